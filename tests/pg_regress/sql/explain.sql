\set VERBOSITY default
SET client_min_messages = warning;
CALL regress.begin_anew();
-- EXPLAIN (ANALYZE) says what models did: a line for each version, among those about triggers and JIT.
SELECT e2i_register_model('churn', regress.onnx('breast_logistic'));
SELECT e2i_register_model('risk', regress.onnx('breast_xgboost'));
CREATE TABLE patient AS SELECT i, ARRAY(SELECT 0.1 * i + k FROM generate_series(1, 30) k)::float4[] AS features FROM generate_series(1, 200) i;

EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) SELECT e2i_predict('churn', features) FROM patient;
-- Two models, one of them called by two functions and two names: a row that two calls score is two rows.
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF)
SELECT e2i_predict('churn', features), e2i_predict_label('churn:1', features), e2i_predict('risk', features) FROM patient WHERE i <= 50;
-- The planner tests cheaper conditions first, and it shows.
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) SELECT FROM patient WHERE e2i_predict('churn', features) >= 0 AND i <= 3;
-- Rows of a batch are rows.
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF)
SELECT e2i_serve('churn', jsonb_build_object('features', jsonb_agg(features))) FROM patient WHERE i <= 20;
-- A model that scores nothing is not mentioned, and where none is there is nothing to say.
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) SELECT e2i_predict('churn', features) FROM patient WHERE i < 0;
-- Without ANALYZE nothing is run.
EXPLAIN (COSTS OFF) SELECT e2i_predict('churn', features) FROM patient;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) CREATE TABLE scored AS SELECT e2i_predict('churn', features) FROM patient;
DROP TABLE scored;

-- Shares of the traffic, and the shadow beside them.
SELECT FROM e2i_register_model('churn', regress.onnx('breast_xgboost'), deploy => false);
SELECT FROM e2i_set_traffic('churn', '{"1": 50, "2": 50}');
SELECT FROM e2i_set_shadow('churn', 'risk:1', 1.0);
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) SELECT e2i_predict('churn', features) FROM patient;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF)
SELECT e2i_serve('churn', jsonb_build_object('features', jsonb_agg(features))) FROM patient;
SELECT FROM e2i_set_traffic('churn', NULL);
SELECT FROM e2i_set_shadow('churn', NULL);

-- A function that scores belongs to the statement that calls it, and so does what it caught.
CREATE FUNCTION score_or_null(features text) RETURNS float8 LANGUAGE plpgsql AS $$
BEGIN
    RETURN e2i_predict('churn', features);
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END $$;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF)
SELECT score_or_null(CASE WHEN i % 10 = 0 THEN '["wrong"]' ELSE to_jsonb(features)::text END) FROM patient;
CREATE FUNCTION score_unknown() RETURNS float8 LANGUAGE plpgsql AS $$
BEGIN
    RETURN e2i_predict('nothing', '[1]');
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END $$;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) SELECT score_unknown() FROM generate_series(1, 3);

-- A function that explains: inside its own statement's rows, outside all of them.
CREATE FUNCTION explained(statement text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || statement;
EXCEPTION WHEN OTHERS THEN
    RETURN NEXT SQLERRM;
END $$;
SELECT line FROM explained($$ SELECT e2i_predict('churn', features) FROM patient $$) line WHERE line LIKE '%odel%';
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF)
SELECT explained($$ SELECT e2i_predict('churn', features) FROM patient $$), e2i_predict('churn', features) FROM patient WHERE i = 1;

-- An ERROR ends it, and leaves nothing behind: what comes later is explained for itself.
EXPLAIN (ANALYZE) SELECT e2i_predict('churn', features), 1 / (i - 150) FROM patient;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) SELECT e2i_predict('risk', features) FROM patient WHERE i <= 2;
SELECT explained($$ SELECT e2i_predict('churn', features), 1 / (i - 150) FROM patient $$);
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF)
SELECT explained($$ SELECT e2i_predict('churn', features), 1 / (i - 5) FROM patient ORDER BY i $$), e2i_predict('churn', features) FROM patient WHERE i = 1;
BEGIN;
SAVEPOINT before;
EXPLAIN (ANALYZE) SELECT e2i_predict('churn', features), 1 / (i - 150) FROM patient;
ROLLBACK TO before;
SHOW e2i_serve.explaining;
COMMIT;
SHOW e2i_serve.explaining;

-- Times are of the models alone. Other formats have the same as numbers, in milliseconds.
CREATE FUNCTION explained_as_json(statement text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE explained jsonb;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, FORMAT JSON) ' || statement INTO explained;
    RETURN explained -> 0;
END $$;
CREATE TEMP TABLE timed AS
SELECT explained_as_json($$ SELECT e2i_predict('churn', features), e2i_predict('risk', features) FROM patient $$) AS explained;
SELECT m ->> 'Model' AS model, m ->> 'Engine' AS engine, m -> 'Shadow' AS shadow, m -> 'Rows' AS rows, m -> 'Errors' AS errors, m -> 'Loads' AS loads,
    m -> 'Load Time' AS load_time, (m ->> 'Time')::float8 > 0 AS took_time
FROM timed, jsonb_array_elements(explained -> 'Models') m;
SELECT sum((m ->> 'Time')::float8) < (explained ->> 'Execution Time')::float8 AS is_within
FROM timed, jsonb_array_elements(explained -> 'Models') m GROUP BY explained;
-- Every call is timed, not one in 64.
SELECT e2i_serving_stats_reset();
SELECT FROM explained_as_json($$ SELECT e2i_predict('churn', features) FROM patient $$);
SELECT regexp_matches(e2i_prometheus_metrics(), 'e2i_call_duration_seconds_count[^\n]*') IS NOT NULL AS is_counted;

-- Loading is told apart: it is not time in the model, though the first call waits for it.
SELECT e2i_clear_session_cache() > 0 AS cleared;
CREATE TEMP TABLE loaded AS SELECT explained_as_json($$ SELECT e2i_predict('churn', features) FROM patient WHERE i = 1 $$) -> 'Models' -> 0 AS model;
SELECT model -> 'Rows' AS rows, model -> 'Loads' AS loads, (model ->> 'Load Time')::float8 > 0 AS took_time FROM loaded;
SELECT e2i_clear_session_cache() > 0 AS cleared;
SELECT regexp_replace(line, '\d+\.\d{3}', '*', 'g') FROM (SELECT explained FROM timed) t, LATERAL (
    SELECT unnest(regexp_split_to_array($$Model x: time=1.000$$, E'\n')) AS line) l;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF, FORMAT YAML) SELECT e2i_predict('churn', features) FROM patient WHERE i <= 2;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF, FORMAT XML) SELECT e2i_predict('churn', features) FROM patient WHERE i <= 2;

-- What is explained does not depend on whether it is counted.
SET e2i_serve.metrics = off;
SELECT e2i_serving_stats_reset();
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) SELECT e2i_predict('churn', features) FROM patient WHERE i <= 7;
SELECT count(*) FROM e2i_serving_stats WHERE requests > 0;
RESET e2i_serve.metrics;

-- A prepared statement is explained by the server alone: no lines.
PREPARE scored AS SELECT e2i_predict('churn', features) FROM patient WHERE i <= 7;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) EXECUTE scored;
DEALLOCATE scored;

-- The setting behind it is nobody's to see or to set.
SELECT count(*) FROM pg_settings WHERE name = 'e2i_serve.explaining';
CREATE ROLE somebody;
SET ROLE somebody;
SET e2i_serve.explaining = 3;
RESET ROLE;
DROP ROLE somebody;

DROP FUNCTION score_or_null, score_unknown, explained, explained_as_json;
DROP TABLE patient;
SELECT e2i_drop_model('churn:2', force => true), e2i_drop_model('churn:1', force => true), e2i_drop_model('risk', force => true);
