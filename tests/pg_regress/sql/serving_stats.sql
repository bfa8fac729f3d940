\set VERBOSITY default
SET client_min_messages = warning;
CALL regress.begin_anew();
-- Every call is counted: what was asked, of which version, how it went and how long it took. e2i_serving_stats shows it.
-- Without the library in shared_preload_libraries each session counts for itself.
SELECT e2i_register_model('churn', regress.onnx('breast_logistic'));
CREATE VIEW seen AS
    SELECT service, version, engine, requests, predictions, errors FROM e2i_serving_stats WHERE requests > 0 ORDER BY service, version;
CREATE TABLE patient AS SELECT i, ARRAY(SELECT 0.1 * i + k FROM generate_series(1, 30) k)::float4[] AS features FROM generate_series(1, 200) i;
SELECT e2i_serving_stats_reset();

-- A statement that uses a model is a request, a row a prediction.
SELECT count(e2i_predict('churn', features)) FROM patient;
SELECT count(e2i_predict('churn', features)) FROM patient WHERE i <= 10;
SELECT * FROM seen;
-- A version that is called by its own name is not counted for the service.
SELECT count(e2i_predict_label('churn:1', features)) FROM patient WHERE i <= 5;
SELECT * FROM seen;
-- Each function for itself.
SELECT count(e2i_predict_proba('churn', features)) FROM patient WHERE i <= 3;
SELECT service, version, function, requests, predictions FROM e2i_serving_counters(by_function => true) WHERE requests > 0 ORDER BY service, function;

-- A loop in a function is a request for each of its statements.
DO $$
DECLARE score float8; row_number int;
BEGIN
    FOR row_number IN 1..20 LOOP
        SELECT e2i_predict('churn', features) INTO score FROM patient WHERE i = row_number;
    END LOOP;
END $$;
SELECT * FROM seen WHERE service = 'churn';

-- What was served before a rollback was served.
SELECT e2i_serving_stats_reset();
BEGIN;
SELECT count(e2i_predict('churn', features)) FROM patient;
ROLLBACK;
BEGIN;
SAVEPOINT before;
SELECT count(e2i_predict('churn', features)) FROM patient;
ROLLBACK TO SAVEPOINT before;
COMMIT;
SELECT * FROM seen;

-- Errors by kind, those included that did not find a model. Nobody's error: a cancelled statement.
SELECT e2i_serving_stats_reset();
SELECT regress.raised($$ SELECT e2i_predict('churn', '{"no such feature": 1}') $$);
SELECT regress.raised($$ SELECT e2i_predict('churn', ARRAY[1, 2]) $$);
SELECT regress.raised($$ SELECT e2i_predict('nobody', ARRAY[1, 2]) $$);
SELECT regress.raised($$ SELECT e2i_serve('churn', '{"rows": []}') $$);
SELECT service, model, requests, predictions, errors, errors_by_kind FROM e2i_serving_stats WHERE requests > 0;

-- The JSON contract: a payload is a call, of as many rows as it has.
SELECT e2i_serving_stats_reset();
SELECT jsonb_array_length(e2i_serve('churn', jsonb_build_object('features', (SELECT jsonb_agg(features) FROM patient))) -> 'predictions') AS rows;
SELECT service, requests, predictions, batches FROM e2i_serving_stats WHERE requests > 0;

-- Split traffic is counted by the version that scored; a shadow for itself.
SELECT e2i_register_model('churn', regress.onnx('breast_logistic'));
SELECT e2i_set_traffic('churn', '{"churn:1": 0.5, "churn:2": 0.5}');
SELECT e2i_set_shadow('churn', 'churn:2', sample => 1);
SELECT e2i_serving_stats_reset();
SELECT count(e2i_predict('churn', features)) FROM patient;
SELECT version, function, requests, predictions > 50 AND predictions < 150 AS about_half, predictions = 200 AS all
FROM e2i_serving_counters(by_function => true) WHERE predictions > 0 ORDER BY function, version;

-- Times: the first call of a statement is timed, then one in 64.
SELECT e2i_serving_stats_reset();
SELECT count(e2i_predict('churn:1', features)) FROM patient;
SELECT avg_ms > 0 AS avg, p50_ms <= p95_ms AS p50, p95_ms <= p99_ms AS p95, p99_ms <= max_ms AS p99, since <= clock_timestamp() AS since
FROM e2i_serving_stats WHERE requests > 0;
SELECT string_agg(line, '') ~ '_count\{[^}]*version="1"[^}]*\} 4' AS timed
FROM regexp_split_to_table(e2i_prometheus_metrics(), '\n') line WHERE line ~ '^e2i_model_request_latency_seconds_count';

-- Loading: how often, how long, and what it takes in memory now.
SELECT e2i_clear_session_cache() > 0 AS cleared;
SELECT e2i_serving_stats_reset();
SELECT e2i_prewarm('churn:1');
SELECT e2i_prewarm('churn:1');
SELECT version, requests, loads, load_ms > 0 AS load_ms, hits, sessions, memory_bytes > 1000 AS memory FROM e2i_serving_stats;
SELECT e2i_clear_session_cache();
SELECT version, loads, hits, sessions, memory_bytes FROM e2i_serving_stats;

-- It can be switched off.
SET e2i_serve.metrics = off;
SELECT e2i_serving_stats_reset();
SELECT count(e2i_predict('churn', features)) FROM patient;
SELECT * FROM seen;
RESET e2i_serve.metrics;

-- For Prometheus.
SELECT e2i_serving_stats_reset();
SELECT count(e2i_predict('churn:1', features)) FROM patient;
SELECT line FROM regexp_split_to_table(e2i_prometheus_metrics(), '\n') line WHERE line ~ '^(#|e2i_model_(requests|predictions))';

-- Monitoring is granted, not public.
CREATE ROLE regress_watcher;
SET ROLE regress_watcher;
SELECT regress.raised('SELECT * FROM e2i_serving_stats');
SELECT regress.raised('SELECT e2i_serving_stats_reset()');
RESET ROLE;
GRANT pg_monitor TO regress_watcher;
SET ROLE regress_watcher;
SELECT sum(predictions) FROM e2i_serving_stats;
SELECT regress.raised('SELECT e2i_serving_stats_reset()');
RESET ROLE;
DROP OWNED BY regress_watcher;
DROP ROLE regress_watcher;
DROP TABLE patient;
DROP VIEW seen;
