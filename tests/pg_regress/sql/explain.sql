\set VERBOSITY default
SET client_min_messages = warning;
CALL regress.begin_anew();
-- EXPLAIN (ANALYZE) says what models did: a line for each version, behind those about triggers and JIT.
SELECT e2i_register_model('churn', regress.onnx('breast_logistic'));
SELECT e2i_register_model('risk', regress.onnx('breast_xgboost'));
CREATE TABLE patient AS SELECT i, ARRAY(SELECT 0.1 * i + k FROM generate_series(1, 30) k)::float4[] AS features FROM generate_series(1, 200) i;

-- Only what is said of models: the rest is the server's, and differs between its versions. Without TIMING it is the same every time.
CREATE FUNCTION explained(statement text, options text DEFAULT 'ANALYZE, TIMING OFF') RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE part text;
BEGIN
    FOR part IN EXECUTE format('EXPLAIN (%s) %s', options, statement) LOOP
        part := coalesce(substring(part FROM '\n( +<Models.*)\n  </Query>'), substring(part FROM '\n( +Models:.*)\n  Exec'), part);
        IF part ~ '^\s*<?(Shadow )?[Mm]odel' THEN
            RETURN NEXT part;
        END IF;
    END LOOP;
END $$;

SELECT explained($$ SELECT e2i_predict('churn', features) FROM patient $$);
-- Two models, one of them called by two functions and two names: a row that two calls score is two rows.
SELECT explained($$ SELECT e2i_predict('churn', features), e2i_predict_label('churn:1', features), e2i_predict('risk', features)
    FROM patient WHERE i <= 50 $$);
-- The planner tests cheaper conditions first, and it shows.
SELECT explained($$ SELECT FROM patient WHERE e2i_predict('churn', features) >= 0 AND i <= 3 $$);
-- Rows of a batch are rows.
SELECT explained($$ SELECT e2i_serve('churn', jsonb_build_object('features', jsonb_agg(features))) FROM patient WHERE i <= 20 $$);
SELECT explained($$ CREATE TABLE scored AS SELECT e2i_predict('churn', features) FROM patient $$);
DROP TABLE scored;
-- A model that scores nothing is not mentioned, and without ANALYZE nothing is run.
SELECT explained($$ SELECT e2i_predict('churn', features) FROM patient WHERE i < 0 $$);
SELECT explained($$ SELECT e2i_predict('churn', features) FROM patient $$, 'COSTS OFF');
-- What the planner evaluates because it never changes was evaluated for this statement, too.
SELECT explained($$ SELECT e2i_predict_pinned('churn:1', array_fill(1::float4, ARRAY[30])) FROM patient $$);

-- Shares of the traffic, and the shadow beside them.
SELECT FROM e2i_register_model('churn', regress.onnx('breast_xgboost'), deploy => false);
SELECT FROM e2i_set_traffic('churn', '{"churn:1": 0.5, "churn:2": 0.5}');
SELECT FROM e2i_set_shadow('churn', 'risk:1', 1.0);
SELECT explained($$ SELECT e2i_predict('churn', features) FROM patient $$);
SELECT explained($$ SELECT e2i_serve('churn', jsonb_build_object('features', jsonb_agg(features))) FROM patient $$);

-- Times are of the models alone, in milliseconds. Other formats have them as numbers.
CREATE FUNCTION explained_as_json(statement text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE explained jsonb;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, FORMAT JSON) ' || statement INTO explained;
    RETURN explained -> 0;
END $$;
CREATE TEMP VIEW timed AS
SELECT said ->> 'statement' AS statement, m ->> 'Model' AS model, m ->> 'Engine' AS engine, m -> 'Shadow' AS shadow, m -> 'Rows' AS rows,
    m -> 'Errors' AS errors, m -> 'Loads' AS loads, (m ->> 'Time')::float8 AS time, (m ->> 'Load Time')::float8 AS load_time, (said ->> 'Execution Time')::float8 AS execution_time
FROM (SELECT explained_as_json(statement) || jsonb_build_object('statement', name) AS said FROM (VALUES
    ('two models', $$ SELECT e2i_predict('churn:1', features), e2i_predict('risk', features) FROM patient $$),
    ('traffic and shadow', $$ SELECT e2i_predict('churn', features) FROM patient $$),
    ('a batch', $$ SELECT e2i_serve('churn', jsonb_build_object('features', jsonb_agg(features))) FROM patient $$)) s (name, statement)
    OFFSET 0) e, jsonb_array_elements(said -> 'Models') m;
SELECT statement, model, engine, shadow, rows, errors, loads, load_time, time > 0 AS took_time FROM timed;
SELECT statement, sum(time) < min(execution_time) AS is_within FROM timed GROUP BY statement ORDER BY statement;
SELECT FROM e2i_set_traffic('churn', NULL);
SELECT FROM e2i_set_shadow('churn', NULL);
SELECT regexp_replace(explained($$ SELECT e2i_predict('churn', features) FROM patient $$, 'ANALYZE'), '\d+\.\d{3}', '*');
-- Every call is timed, not one in 64.
SELECT e2i_serving_stats_reset();
SELECT FROM explained($$ SELECT e2i_predict('churn', features) FROM patient $$, 'ANALYZE');
SELECT line FROM regexp_split_to_table(e2i_prometheus_metrics(), '\n') line WHERE line ~ 'latency_seconds_count';

-- Loading is told apart: it is not time in the model, though the first call waits for it.
SELECT e2i_clear_session_cache() > 0 AS cleared;
SELECT rows, loads, load_time > 0 AS took_time FROM timed WHERE statement = 'two models';
SELECT e2i_clear_session_cache() > 0 AS cleared;
SELECT regexp_replace(explained($$ SELECT e2i_predict('churn', features) FROM patient $$, 'ANALYZE'), '\d+\.\d{3}', '*', 'g');

SELECT explained($$ SELECT e2i_predict('churn', features) FROM patient WHERE i <= 2 $$, 'ANALYZE, TIMING OFF, FORMAT YAML');
SELECT explained($$ SELECT e2i_predict('churn', features) FROM patient WHERE i <= 2 $$, 'ANALYZE, TIMING OFF, SUMMARY OFF, FORMAT XML');

-- A function that scores belongs to the statement that calls it, and so do the errors that it caught.
CREATE FUNCTION score_or_null(model text, features text) RETURNS float8 LANGUAGE plpgsql AS $$
BEGIN
    RETURN e2i_predict(model, features);
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END $$;
SELECT explained($$ SELECT score_or_null('churn', CASE WHEN i % 10 = 0 THEN '["wrong"]' ELSE to_jsonb(features)::text END) FROM patient $$);
SELECT explained($$ SELECT score_or_null('nothing', '[1]') FROM generate_series(1, 3) $$);

-- A function may explain what it runs: its statement has its own rows, the one around it all.
SELECT explained($outer$ SELECT (SELECT string_agg(e, '') FROM explained($$ SELECT e2i_predict('churn', features) FROM patient $$) e),
    e2i_predict('churn', features) FROM patient WHERE i = 1 $outer$);

-- An ERROR leaves nothing behind: what comes later is explained for itself, and what was done before the ERROR was done.
EXPLAIN (ANALYZE) SELECT e2i_predict('churn', features), 1 / (i - 150) FROM patient;
SHOW e2i_serve.explaining;
SELECT explained($$ SELECT e2i_predict('risk', features) FROM patient WHERE i <= 2 $$);
BEGIN;
SAVEPOINT before;
EXPLAIN (ANALYZE) SELECT e2i_predict('churn', features), 1 / (i - 150) FROM patient;
ROLLBACK TO before;
SHOW e2i_serve.explaining;
COMMIT;
CREATE FUNCTION explained_or_error(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN string_agg(e, '') FROM explained(statement) e;
EXCEPTION WHEN OTHERS THEN
    RETURN SQLERRM;
END $$;
SELECT explained($outer$ SELECT explained_or_error($$ SELECT e2i_predict('churn', features), 1 / (i - 5) FROM patient $$),
    e2i_predict('churn', features) FROM patient WHERE i = 1 $outer$);
SHOW e2i_serve.explaining;

-- What is explained does not depend on whether it is counted.
SET e2i_serve.metrics = off;
SELECT e2i_serving_stats_reset();
SELECT explained($$ SELECT e2i_predict('churn', features) FROM patient WHERE i <= 7 $$);
SELECT count(*) FROM e2i_serving_stats WHERE requests > 0;
RESET e2i_serve.metrics;

-- A prepared statement is explained by the server alone: it has no lines.
PREPARE scored AS SELECT e2i_predict('churn', features) FROM patient WHERE i <= 7;
SELECT explained('EXECUTE scored');
DEALLOCATE scored;

-- The setting behind it is nobody's to see or to set.
SELECT count(*) FROM pg_settings WHERE name = 'e2i_serve.explaining';
CREATE ROLE somebody;
SET ROLE somebody;
SET e2i_serve.explaining = 3;
RESET ROLE;
DROP ROLE somebody;

-- The library comes with the first call of a session; an EXPLAIN before that has no lines.
\c -
SET client_min_messages = warning;
SELECT explained($$ SELECT e2i_predict('churn', features) FROM patient $$);
SELECT explained($$ SELECT e2i_predict('churn', features) FROM patient $$);

DROP VIEW IF EXISTS timed;
DROP FUNCTION score_or_null, explained, explained_or_error, explained_as_json;
DROP TABLE patient;
CALL regress.begin_anew();
