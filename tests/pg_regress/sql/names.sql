-- What the extension's own queries name is the server's and the extension's, whatever a session has made of those names. What
-- somebody has put on its tables, policies, triggers and constraints, resolves names as it does in that session.
\set VERBOSITY terse
SET client_min_messages = warning;
CALL regress.begin_anew();

-- An operator of another meaning for each pair of types that the server has one for, and for some more pairs, which would fit
-- better where the server converts; functions, types, a collation and temporary tables of the names that queries use.
CREATE SCHEMA regress_names;
DO $$
DECLARE planted record;
BEGIN
    FOR planted IN
        SELECT DISTINCT oprname AS name, l, r, CASE WHEN oprname IN ('=', '<>', '<', '>', '<=', '>=', '~', '?') THEN 'boolean' ELSE oprresult::regtype::text END AS result
        FROM pg_operator, LATERAL (VALUES (oprleft::regtype, oprright::regtype)) AS t (l, r)
        WHERE oprnamespace = 'pg_catalog'::regnamespace AND oprname IN ('=', '<>', '<', '>', '<=', '>=', '~', '?', '||', '+', '-', '*', '/')
          AND '{text,varchar,name,uuid,bytea,jsonb,timestamptz,interval,"double precision",integer,bigint,numeric,anyenum,anyarray}'::regtype[] @> ARRAY[l, r]
        UNION SELECT o, l, r, 'boolean' FROM unnest(ARRAY['=', '<>']) o,
            (VALUES ('varchar'::regtype, 'text'::regtype), ('text', 'varchar'), ('varchar', 'varchar'), ('deployment_status_enum', 'deployment_status_enum'), ('deployment_status_enum', 'text')) t (l, r)
        UNION SELECT '?', 'jsonb', 'varchar', 'boolean'
    LOOP
        EXECUTE format('CREATE OR REPLACE FUNCTION regress_names.%I(%s, %s) RETURNS %s LANGUAGE plpgsql AS $f$ BEGIN RAISE EXCEPTION $m$planted operator %s$m$; END $f$',
            'operator ' || planted.name, planted.l, planted.r, planted.result, replace(planted.name, '%', '%%'));
        EXECUTE format('CREATE OPERATOR regress_names.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = regress_names.%I)', planted.name, planted.l, planted.r, 'operator ' || planted.name);
    END LOOP;
    FOR planted IN
        SELECT DISTINCT proname AS name, replace(pg_get_function_identity_arguments(oid), 'VARIADIC ', '') AS arguments, prorettype::regtype AS result FROM pg_proc
        WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f' AND proname IN ('now', 'length', 'date_part', 'make_interval', 'clock_timestamp', 'to_jsonb',
              'pg_notify', 'to_char', 'random', 'make_timestamptz', 'jsonb_exists', 'to_regclass', 'to_regtype', 'float8', 'text')
        UNION SELECT 'concat', 'text, text, text', 'text'::regtype UNION SELECT 'concat', 'text, unknown, text', 'text'
        UNION SELECT 'jsonb_build_object', 'text, jsonb, text, jsonb', 'jsonb' UNION SELECT 'format', 'text, text, text', 'text'
        UNION SELECT 'count', '', 'bigint' UNION SELECT 'max', t, t::regtype FROM unnest(ARRAY['timestamptz', 'numeric']) t
    LOOP
        EXECUTE format('CREATE FUNCTION regress_names.%I(%s) RETURNS %s LANGUAGE plpgsql AS $f$ BEGIN RAISE EXCEPTION $m$planted function %s$m$; END $f$',
            planted.name, replace(planted.arguments, 'unknown', 'name'), planted.result, planted.name);
    END LOOP;
    FOR planted IN SELECT unnest(ARRAY['text', 'uuid', 'jsonb', 'float8', 'numeric', 'int8', 'timestamptz', 'regclass', 'deployment_status_enum']) AS name LOOP
        EXECUTE format('CREATE DOMAIN regress_names.%I AS pg_catalog.bool; CREATE TEMP TABLE %1$I (planted int)', planted.name);
    END LOOP;
END $$;
CREATE FUNCTION regress_names.unnest(anyarray) RETURNS SETOF anyelement LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'planted function unnest'; END $$;
CREATE FUNCTION regress_names.jsonb_each_text(pg_catalog.jsonb) RETURNS TABLE (key pg_catalog.text, value pg_catalog.text) LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'planted function jsonb_each_text'; END $$;
CREATE COLLATION regress_names."C" FROM pg_catalog."und-x-icu";
CREATE TEMP TABLE ml_model_registry (LIKE public.ml_model_registry);
CREATE TEMP TABLE ml_model_artifacts (LIKE public.ml_model_artifacts);
CREATE TEMP TABLE ml_bentoml_services (LIKE public.ml_bentoml_services);
CREATE TEMP TABLE ml_model_aliases (LIKE public.ml_model_aliases);
CREATE TEMP TABLE ml_inference_log_policies (LIKE public.ml_inference_log_policies);
CREATE TEMP TABLE ml_model_events (LIKE public.ml_model_events);
CREATE TEMP TABLE ml_health_limits (LIKE public.ml_health_limits);
CREATE TEMP TABLE pg_extension (LIKE pg_catalog.pg_extension);

-- All that asks or changes the registry, with nothing prepared before, and once more after what is prepared has become invalid.
CREATE TABLE regress_names.made AS SELECT regress.plus(1) AS one, regress.plus(2) AS two, regress.plus(3) AS three;
CREATE PROCEDURE regress_names.all_of_it(m pg_catalog.text) LANGUAGE plpgsql SET search_path = pg_temp, regress_names, pg_catalog, public AS $$
DECLARE made regress_names.made;
BEGIN
    SELECT * INTO made FROM regress_names.made;
    PERFORM public.e2i_register_model(m, made.one, examples => '[{"features": [1], "prediction": 2}]');
    PERFORM public.e2i_register_model(m, made.two, description => 'two');
    PERFORM public.e2i_register_model(m, made.three);
    PERFORM public.e2i_annotate_model(pg_catalog.format('%s:2', m), metrics => '{"auc": 0.9}', description => 'second');
    PERFORM public.e2i_set_alias(m, 'best', '2');
    PERFORM public.e2i_deploy(pg_catalog.format('%s:2', m));
    PERFORM public.e2i_deploy(pg_catalog.format('%s:3', m));
    PERFORM public.e2i_rollback(m);
    PERFORM public.e2i_rollback(m, '3');
    PERFORM public.e2i_set_traffic(m, pg_catalog.format('{"%s:3": 1}', m)::pg_catalog.jsonb);
    PERFORM public.e2i_set_shadow(m, pg_catalog.format('%s:1', m), 1);
    PERFORM public.e2i_set_inference_log(m, 1, on_pii => 'block');
    RAISE WARNING 'm % m@best % m:1 % pinned %', public.e2i_predict(m, ARRAY[10]), public.e2i_predict(pg_catalog.format('%s@best', m), ARRAY[10]), public.e2i_predict(pg_catalog.format('%s:1', m), ARRAY[10]), public.e2i_predict_pinned(pg_catalog.format('%s:2', m), ARRAY[10]);
    RAISE WARNING 'served %', public.e2i_serve(m, '{"features": [10]}') OPERATOR(pg_catalog.->) 'predictions';
    PERFORM FROM public.e2i_verify_model(pg_catalog.format('%s:1', m));
    PERFORM FROM public.e2i_describe_model(m);
    PERFORM FROM public.e2i_session_cache;
    PERFORM public.e2i_transition_stage(m, '2', 'staging', overrule => true);
    PERFORM public.e2i_export_model(pg_catalog.format('%s:2', m));
    PERFORM public.e2i_archive_expired();
    PERFORM public.e2i_flush_metrics();
    PERFORM FROM public.e2i_health();
    PERFORM public.e2i_set_inference_log(m, NULL);
    PERFORM public.e2i_set_shadow(m, NULL);
    PERFORM public.e2i_set_traffic(m, NULL);
    PERFORM public.e2i_undeploy(m);
    PERFORM public.e2i_drop_alias(m, 'best');
    PERFORM public.e2i_drop_model(pg_catalog.format('%s:%s', m, n), force => true) FROM pg_catalog.generate_series(1, 3) n;
    BEGIN
        PERFORM public.e2i_predict(m, ARRAY[10]);
    EXCEPTION WHEN undefined_object THEN
        RAISE WARNING '%', SQLERRM;
    END;
END $$;
CALL regress_names.all_of_it('m');
ANALYZE public.ml_model_registry, public.ml_model_artifacts, public.ml_bentoml_services, public.ml_model_aliases, public.ml_model_events, public.ml_inference_log_policies;
CALL regress_names.all_of_it('n');
TRUNCATE public.ml_inference_log, public.ml_bentoml_serving_metrics;
DROP SCHEMA regress_names CASCADE;
DISCARD TEMP;

-- Policies, triggers and constraints of one's own find what they name where the statement's session looks for it.
\c -
SET client_min_messages = warning;
CALL regress.begin_anew();
CREATE SCHEMA regress_names;
SET search_path = regress_names, public;
CREATE ROLE regress_reader;
CREATE ROLE regress_deployer;
CREATE TABLE allowed (model text);
CREATE TABLE heard (what text);
CREATE FUNCTION a_name(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT $1 ~ '^[a-z]+$' $$;
CREATE FUNCTION is_allowed(text) RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT EXISTS (SELECT FROM allowed WHERE model = $1) $$;
CREATE FUNCTION is_good(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT a_name($1) $$;
CREATE FUNCTION is_fine(text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN a_name($1); END $$;
CREATE FUNCTION hear() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO heard VALUES (concat_ws(' ', NEW.action, NEW.model_name, NEW.model_version)); RETURN NULL; END $$;
GRANT USAGE ON SCHEMA regress_names TO regress_reader, regress_deployer;
GRANT SELECT ON allowed TO regress_reader;
SELECT e2i_grant_usage('regress_reader', 'scorer'), e2i_grant_usage('regress_deployer', 'deployer');
SELECT e2i_register_model('m', regress.plus(1)), e2i_register_model('m', regress.plus(2));
INSERT INTO allowed VALUES ('m');
ALTER TABLE ml_model_registry ENABLE ROW LEVEL SECURITY;
CREATE POLICY regress_some ON ml_model_registry FOR SELECT TO regress_reader USING (is_allowed(model_name) AND is_good(model_name) AND is_fine(model_name));
CREATE POLICY regress_all ON ml_model_registry FOR SELECT TO regress_deployer USING (true);
CREATE TRIGGER regress_hear AFTER INSERT ON ml_model_events FOR EACH ROW EXECUTE FUNCTION hear();
ALTER TABLE ml_model_aliases ADD CONSTRAINT regress_alias CHECK (is_good(alias));
SET ROLE regress_reader;
SELECT e2i_predict('m', ARRAY[10]), e2i_predict('m:2', ARRAY[10]);
SELECT model FROM e2i_session_cache;
RESET ROLE;
DELETE FROM allowed;
SET ROLE regress_reader;
SELECT e2i_predict('m', ARRAY[10]);
SET ROLE regress_deployer;
SELECT e2i_set_alias('m', 'best', '2');
SELECT e2i_set_alias('m', 'best2', '2');
SELECT version FROM e2i_deploy('m:2');
RESET ROLE;
SELECT * FROM heard;
-- Where a session looks elsewhere, they find nothing, as in any statement of that session.
SET search_path = public;
SET ROLE regress_reader;
SELECT e2i_predict('m', ARRAY[10]);
SELECT count(*) FROM ml_model_registry;
SET ROLE regress_deployer;
SELECT e2i_set_alias('m', 'other', '2');
RESET ROLE;
-- An index of another name, or another index of the name, changes nothing but the time: deployments that ended are passed over.
SELECT service_name, bento_version, status FROM ml_bentoml_services ORDER BY deployment;
ALTER TABLE ml_bentoml_services RENAME CONSTRAINT ml_bentoml_services_one_active TO regress_active;
ALTER INDEX ml_model_registry_pkey RENAME TO regress_registry;
ALTER INDEX ml_model_registry_model_name_model_version_key RENAME TO regress_version;
ALTER INDEX ml_model_artifacts_pkey RENAME TO regress_artifacts;
SELECT e2i_clear_session_cache() > 0 AS cleared;
SELECT e2i_predict('m', ARRAY[10]), e2i_predict('m@best', ARRAY[10]), e2i_predict('m:1', ARRAY[10]);
CREATE INDEX ml_bentoml_services_one_active ON ml_bentoml_services (bento_tag);
CREATE INDEX ml_model_registry_pkey ON ml_model_registry USING hash (id);
CREATE INDEX ml_model_registry_model_name_model_version_key ON ml_model_events (model_name, model_version);
SELECT e2i_clear_session_cache() > 0 AS cleared;
SELECT e2i_predict('m', ARRAY[10]), e2i_predict('m@best', ARRAY[10]), e2i_predict('m:1', ARRAY[10]);
DROP INDEX ml_bentoml_services_one_active, ml_model_registry_pkey, ml_model_registry_model_name_model_version_key;
ALTER TABLE ml_bentoml_services RENAME CONSTRAINT regress_active TO ml_bentoml_services_one_active;
ALTER INDEX regress_registry RENAME TO ml_model_registry_pkey;
ALTER INDEX regress_version RENAME TO ml_model_registry_model_name_model_version_key;
ALTER INDEX regress_artifacts RENAME TO ml_model_artifacts_pkey;
SELECT e2i_predict('m', ARRAY[10]);
ALTER TABLE ml_model_aliases DROP CONSTRAINT regress_alias;
DROP TRIGGER regress_hear ON ml_model_events;
DROP POLICY regress_some ON ml_model_registry;
DROP POLICY regress_all ON ml_model_registry;
ALTER TABLE ml_model_registry DISABLE ROW LEVEL SECURITY;
CALL regress.begin_anew();
DROP SCHEMA regress_names CASCADE;
DROP OWNED BY regress_reader, regress_deployer;
DROP ROLE regress_reader, regress_deployer;
