-- Where a reference leads is found once a session and kept until the registry changes; each statement asks only whether its
-- role may see the version.
\set VERBOSITY terse
SET client_min_messages = warning;
CALL regress.begin_anew();
SELECT e2i_register_model('m', regress.plus(1)), e2i_register_model('m', regress.plus(2));
SELECT e2i_set_alias('m', 'best', '1');
CREATE ROLE regress_one;
CREATE ROLE regress_other;
GRANT SELECT ON ml_model_registry TO regress_one, regress_other;
PREPARE score AS SELECT e2i_predict('m', ARRAY[10]) AS m, e2i_predict('m@best', ARRAY[10]) AS best, e2i_predict('m:1', ARRAY[10]) AS one;
SET plan_cache_mode = force_generic_plan;
EXECUTE score;

-- How often the statement reads the registry's tables, the fewest of some times: other work of the server may be heard of between.
CREATE FUNCTION reads(statement text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE before bigint; after bigint; fewest bigint;
BEGIN
    FOR i IN 1..10 LOOP
        SELECT sum(seq_scan + COALESCE(idx_scan, 0)) INTO before FROM pg_stat_xact_user_tables WHERE relname LIKE 'ml\_%';
        EXECUTE statement;
        SELECT sum(seq_scan + COALESCE(idx_scan, 0)) INTO after FROM pg_stat_xact_user_tables WHERE relname LIKE 'ml\_%';
        fewest := LEAST(fewest, after - before);
    END LOOP;
    RETURN fewest;
END $$;
SELECT reads('EXECUTE score') AS kept, reads($$SELECT e2i_predict('m:2', ARRAY[1])$$) AS other, reads($$SELECT e2i_serve('m', '{"features": [1]}')$$) AS served;
-- Another session's cache is empty; a transaction that has changed the registry, or that must have read what it depends on, asks.
BEGIN;
SELECT e2i_set_alias('m', 'best', '2');
SELECT reads('EXECUTE score') > 0 AS asks;
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT reads('EXECUTE score') > 0 AS asks;
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT reads('EXECUTE score') AS kept;
ROLLBACK;
-- As many references as there are.
SELECT reads($$SELECT e2i_predict(CASE i % 2 WHEN 0 THEN 'models:/m/' ELSE 'm:' END || 1 + i / 2 % 2, ARRAY[1]) FROM generate_series(1, 100) i$$) AS kept;

-- Roles: what one may see another may not, whoever found the route.
SET ROLE regress_one;
EXECUTE score;
RESET ROLE;
REVOKE SELECT ON ml_model_registry FROM regress_one;
SET ROLE regress_one;
EXECUTE score;
SET ROLE regress_other;
EXECUTE score;
RESET ROLE;
-- Some columns are not enough, and those that are asked for are.
GRANT SELECT (id) ON ml_model_registry TO regress_one;
SET ROLE regress_one;
EXECUTE score;
RESET ROLE;
GRANT SELECT (model_name, model_version, interface) ON ml_model_registry TO regress_one;
SET ROLE regress_one;
EXECUTE score;
RESET ROLE;
GRANT SELECT ON ml_model_registry TO regress_one;
-- A membership counts from the next statement on.
REVOKE SELECT ON ml_model_registry FROM regress_other;
GRANT regress_one TO regress_other;
SET ROLE regress_other;
EXECUTE score;
RESET ROLE;
REVOKE regress_one FROM regress_other;
SET ROLE regress_other;
EXECUTE score;
RESET ROLE;
GRANT SELECT ON ml_model_registry TO regress_other;

-- A policy hides a version that was scored with, also by a condition that is not of the registry.
ALTER TABLE ml_model_registry ENABLE ROW LEVEL SECURITY;
CREATE POLICY permitted ON ml_model_registry FOR SELECT TO regress_one USING (model_version = current_setting('regress.version', true));
SET regress.version = '1';
SET ROLE regress_one;
EXECUTE score;
EXECUTE score;
SET regress.version = '2';
EXECUTE score;
SELECT e2i_predict('m:2', ARRAY[10]);
SET regress.version = '1';
EXECUTE score;
SELECT e2i_predict('m:2', ARRAY[10]);
SET row_security = off;
EXECUTE score;
RESET row_security;
-- The owner is not subject to it, nor is who bypasses all policies.
RESET ROLE;
EXECUTE score;
ALTER ROLE regress_other BYPASSRLS;
SET ROLE regress_other;
EXECUTE score;
RESET ROLE;
ALTER ROLE regress_other NOBYPASSRLS;
SET ROLE regress_other;
EXECUTE score;
RESET ROLE;
DROP POLICY permitted ON ml_model_registry;
ALTER TABLE ml_model_registry DISABLE ROW LEVEL SECURITY;
SET ROLE regress_one;
EXECUTE score;
RESET ROLE;

-- What a service does beside answering is part of its route.
SELECT e2i_set_shadow('m', 'm:2', sample => 1);
EXECUTE score;
EXECUTE score;
SELECT count(*) FROM e2i_shadow_scores;
SELECT e2i_set_shadow('m', NULL);
EXECUTE score;
SELECT count(*) FROM e2i_shadow_scores;
SELECT e2i_set_traffic('m', '{"m:1": 0.5, "m:2": 0.5}');
PREPARE spread AS SELECT DISTINCT e2i_predict('m', ARRAY[i]) - i AS plus FROM generate_series(1, 100) i ORDER BY 1;
EXECUTE spread;
EXECUTE spread;
SELECT e2i_set_traffic('m', NULL);
EXECUTE spread;

SELECT e2i_register_model('notes', regress.onnx('notes_tfidf'));
PREPARE note AS SELECT e2i_predict_label('notes', ARRAY['card 4111 1111 1111 1111']) IS NOT NULL AS scored;
EXECUTE note;
EXECUTE note;
SELECT e2i_set_inference_log('notes', sample => 0, on_pii => 'block');
EXECUTE note;
EXECUTE note;
SELECT e2i_set_inference_log('notes', sample => NULL);
EXECUTE note;
SELECT e2i_set_inference_log('notes', sample => 0, on_pii => 'block');
EXECUTE note;
TRUNCATE ml_inference_log_policies;
EXECUTE note;

-- Whoever switches the triggers off is heard when they are switched on.
ALTER TABLE ml_model_aliases DISABLE TRIGGER USER;
UPDATE ml_model_aliases SET model_version = '2';
ALTER TABLE ml_model_aliases ENABLE TRIGGER USER;
ALTER TABLE ml_model_aliases ENABLE ALWAYS TRIGGER registry_changed, ENABLE ALWAYS TRIGGER registry_truncated;
EXECUTE score;
SELECT e2i_set_alias('m', 'best', '1');

-- Dropped and registered again: another model of the same name.
EXECUTE score;
SELECT e2i_drop_alias('m', 'best');
SELECT e2i_drop_model('m:1', force => true);
EXECUTE score;
SELECT e2i_register_model('m', regress.plus(40), version => '4', deploy => true);
SELECT e2i_set_alias('m', 'best', '4');
SELECT e2i_predict('m', ARRAY[10]) AS m, e2i_predict('m@best', ARRAY[10]) AS best;

-- The extension moves to another schema.
CREATE SCHEMA regress_elsewhere;
PREPARE moved AS SELECT e2i_predict('m', ARRAY[10]) AS m, e2i_predict('m@best', ARRAY[10]) AS best;
EXECUTE moved;
ALTER EXTENSION e2i_serve SET SCHEMA regress_elsewhere;
SET search_path = public, regress_elsewhere;
EXECUTE moved;
SELECT e2i_set_alias('m', 'best', '2');
EXECUTE moved;
ALTER SCHEMA regress_elsewhere RENAME TO regress_there;
SET search_path = public, regress_there;
SELECT e2i_predict('m', ARRAY[10]) AS m, e2i_predict('m@best', ARRAY[10]) AS best;
ALTER EXTENSION e2i_serve SET SCHEMA public;
RESET search_path;
SELECT e2i_predict('m', ARRAY[10]) AS m, e2i_predict('m@best', ARRAY[10]) AS best;

-- More models at one call site than it was ever made for, each asked for again and again.
CREATE TABLE numbers AS SELECT n AS number FROM generate_series(1, 70) n;
SELECT count(e2i_register_model('many' || number, regress.plus(number::real))) FROM numbers;
SELECT count(*), sum(e2i_predict('many' || 1 + i % 70, ARRAY[i]) - i - 1 - i % 70) AS off FROM generate_series(1, 7000) i;
SELECT loads, hits, count(*) FROM e2i_session_cache WHERE model LIKE 'many%' GROUP BY 1, 2;
DO $$ BEGIN PERFORM e2i_drop_model('many' || number, force => true) FROM numbers; END $$;

DROP FUNCTION reads;
DROP TABLE numbers;
DROP SCHEMA regress_there;
DROP OWNED BY regress_one, regress_other;
DROP ROLE regress_one, regress_other;
RESET plan_cache_mode;
CALL regress.begin_anew();
