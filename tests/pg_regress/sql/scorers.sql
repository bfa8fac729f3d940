-- What a call makes for its rows (layouts, buffers, counters) waits for the next statement that asks the same of the same
-- reference. Nothing of one statement shows in another.
\set VERBOSITY terse
SET client_min_messages = warning;
CALL regress.begin_anew();
-- y = 0.5a - 1.25b + 2c + 0.125d + 0.75
SELECT e2i_register_model('linear', regress.onnx('shape_regression_flat'), feature_names => '{a,b,c,d}');
CREATE TABLE one AS SELECT i AS id, i AS a, 2 * i AS b, 3 * i AS c, 4 * i AS d FROM generate_series(1, 100) i;
CREATE TABLE other AS SELECT 'unused ' || id AS text, d::numeric, c::float4, b::float8, a::int8, id FROM one;
PREPARE of_one (int) AS SELECT e2i_predict('linear', o) FROM one o WHERE id = $1;
PREPARE of_other (int) AS SELECT e2i_predict('linear', o) FROM other o WHERE id = $1;
PREPARE of_both AS SELECT count(*) AS rows, count(*) FILTER (WHERE e2i_predict('linear', one) = e2i_predict('linear', other)) AS same
    FROM one JOIN other USING (id);
SET plan_cache_mode = force_generic_plan;

-- Rows of several types in turn, through one statement after the other and at two places of one.
EXECUTE of_one(1);
EXECUTE of_other(1);
EXECUTE of_both;
EXECUTE of_one(2);
EXECUTE of_other(2);
EXECUTE of_both;
SELECT e2i_predict('linear', ARRAY[2, 4, 6, 8]), e2i_predict('linear', '{"d": 8, "c": 6, "b": 4, "a": 2}'), e2i_predict('linear', '[2, 4, 6, 8]'::jsonb);
-- More types than are remembered.
DO $$
DECLARE
    score float8; sum float8 := 0;
BEGIN
    FOR k IN 1..100 LOOP
        EXECUTE format('SELECT e2i_predict(''linear'', t) FROM (SELECT b, %s AS k%s, c, a, d FROM one WHERE id = 2) t', k, k) INTO score;
        sum := sum + score;
    END LOOP;
    RAISE WARNING 'hundred types: %', sum / 100;
END $$;
-- A type that changes between two statements.
ALTER TABLE other DROP COLUMN b;
EXECUTE of_other(1);
ALTER TABLE other ADD COLUMN b int DEFAULT 2;
EXECUTE of_other(1);
ALTER TABLE other RENAME COLUMN b TO e;
ALTER TABLE other RENAME COLUMN a TO b;
ALTER TABLE other RENAME COLUMN e TO a;
EXECUTE of_other(1);
SELECT e2i_predict('linear', ARRAY[2, 1, 3, 4]) AS the_same;
ALTER TABLE other ALTER COLUMN c TYPE date USING '2000-01-01';
EXECUTE of_other(1);
ALTER TABLE other ALTER COLUMN c TYPE bytea USING '\x00';
EXECUTE of_other(1);
ALTER TABLE other ALTER COLUMN c TYPE int USING 3;
EXECUTE of_other(1);

-- One that asks within another, and one that stays open while others come and go.
CREATE FUNCTION within(n int) RETURNS float8 LANGUAGE plpgsql AS $$
BEGIN
    RETURN CASE n WHEN 0 THEN 0 ELSE (SELECT e2i_predict('linear', o) FROM one o WHERE id = n) + within(n - 1) END;
END $$;
SELECT within(5) AS within, (SELECT sum(e2i_predict('linear', o)) FROM one o WHERE id <= 5) AS beside;
BEGIN;
DECLARE open CURSOR FOR SELECT e2i_predict('linear', o) FROM one o ORDER BY id;
FETCH 2 FROM open;
EXECUTE of_one(1);
SAVEPOINT before;
SELECT e2i_predict('linear', ARRAY['x']);
ROLLBACK TO before;
EXECUTE of_one(1);
SELECT e2i_clear_session_cache() > 0 AS cleared;
EXECUTE of_one(1);
FETCH 1 FROM open;
CLOSE open;
COMMIT;
EXECUTE of_one(3);

-- A row that is wrong leaves nothing for the one after it.
SELECT e2i_predict('linear', '{"a": 1000, "b": 1000, "c": 1000, "d": "x"}');
SELECT e2i_predict('linear', '{"a": 1, "b": 2, "c": 3}');
SELECT e2i_predict('linear', '{"a": 1, "b": 2, "c": 3, "d": 4}');

-- Each question, engine and function has its own.
SELECT e2i_register_model('churn', regress.onnx('hcp_hist'));
PREPARE asks AS SELECT e2i_predict('churn', ARRAY[1, 2, 3, 4, 5, 6]) = (e2i_predict_proba('churn', ARRAY[1, 2, 3, 4, 5, 6]))[2] AS same,
    e2i_predict_label('churn', ARRAY[1, 2, 3, 4, 5, 6]), e2i_predict_pinned('churn:1', ARRAY[1, 2, 3, 4, 5, 6]) = e2i_predict('churn:1', ARRAY[1, 2, 3, 4, 5, 6]) AS pinned,
    e2i_serve('churn', '{"features": [1, 2, 3, 4, 5, 6]}') -> 'predictions' -> 0 = to_jsonb(e2i_predict('churn', ARRAY[1, 2, 3, 4, 5, 6])) AS served;
EXECUTE asks;
EXECUTE asks;
CREATE FUNCTION engines() RETURNS text LANGUAGE sql AS $$ SELECT string_agg(engine || ' ' || hits, ', ' ORDER BY engine) FROM e2i_session_cache WHERE model = 'linear' $$;
SELECT e2i_clear_session_cache() > 0 AS cleared;
EXECUTE of_one(1);
EXECUTE of_one(1);
SELECT engines();
SET e2i_serve.engine = 'onnxruntime';
EXECUTE of_one(1);
EXECUTE of_one(1);
SELECT engines();
RESET e2i_serve.engine;
EXECUTE of_one(1);
SELECT engines();

-- What is counted, and whether, is what the statement says.
SELECT e2i_serving_stats_reset();
CREATE VIEW counted AS SELECT function, requests, predictions, errors FROM e2i_serving_counters(by_function => true) WHERE service = 'linear' AND requests > 0;
EXECUTE of_one(1);
EXECUTE of_one(101);
EXECUTE of_one(2);
SELECT * FROM counted;
SET e2i_serve.metrics = off;
EXECUTE of_one(1);
RESET e2i_serve.metrics;
SELECT * FROM counted;
EXECUTE of_one(1);
SELECT e2i_predict('linear', ARRAY[1, 2]);
SELECT * FROM counted;

-- What waits keeps no version in memory.
SELECT e2i_serving_stats_reset();
SELECT e2i_clear_session_cache() > 0 AS cleared;
EXECUTE asks;
EXECUTE of_one(1);
SELECT model, sum(sessions) AS sessions FROM e2i_serving_stats GROUP BY 1 ORDER BY 1;
SELECT e2i_clear_session_cache() AS cleared;
SELECT model, sum(sessions) AS sessions FROM e2i_serving_stats GROUP BY 1 ORDER BY 1;
EXECUTE asks;
SET e2i_serve.session_cache_size = 0;
EXECUTE of_one(1);
SELECT model, sum(sessions) AS sessions FROM e2i_serving_stats GROUP BY 1 ORDER BY 1;
EXECUTE asks;
EXECUTE of_one(1);
SELECT model, sum(sessions) AS sessions FROM e2i_serving_stats GROUP BY 1 ORDER BY 1;
RESET e2i_serve.session_cache_size;

-- A shadow that one caller may not see is nobody else's loss.
SELECT e2i_register_model('linear', regress.onnx('shape_regression_flat'), feature_names => '{a,b,c,d}');
SELECT e2i_set_shadow('linear', 'linear:2', sample => 1);
CREATE ROLE regress_scorer;
GRANT SELECT ON ml_model_registry, one TO regress_scorer;
CREATE POLICY first ON ml_model_registry FOR SELECT TO regress_scorer USING (model_version = '1');
ALTER TABLE ml_model_registry ENABLE ROW LEVEL SECURITY;
EXECUTE of_one(1);
SELECT count(*) FROM e2i_shadow_scores;
SET ROLE regress_scorer;
EXECUTE of_one(1);
EXECUTE of_one(1);
RESET ROLE;
SELECT count(*) FROM e2i_shadow_scores;
EXECUTE of_one(1);
SELECT count(*) FROM e2i_shadow_scores;
ALTER TABLE ml_model_registry DISABLE ROW LEVEL SECURITY;
DROP POLICY first ON ml_model_registry;
SELECT e2i_set_shadow('linear', NULL);
DROP OWNED BY regress_scorer;
DROP ROLE regress_scorer;

DROP VIEW counted;
DROP FUNCTION within, engines;
DROP TABLE one, other;
CALL regress.begin_anew();
