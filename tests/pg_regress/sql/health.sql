\set VERBOSITY default
SET client_min_messages = warning;
CALL regress.begin_anew();
-- Once an interval each active service gets a row of metrics and a health. A background worker does that; e2i_flush_metrics
-- does it by hand.
SELECT e2i_register_model('churn', regress.onnx('breast_logistic'));
CREATE TABLE patient AS SELECT i, ARRAY(SELECT 0.1 * i + k FROM generate_series(1, 30) k)::float4[] AS features FROM generate_series(1, 200) i;
CREATE PROCEDURE fail(times int) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..times LOOP
        PERFORM regress.raised('SELECT e2i_predict(''churn'', ARRAY[1])');
    END LOOP;
END $$;
DELETE FROM ml_bentoml_serving_metrics;
SELECT e2i_serving_stats_reset();

-- Unknown, as long as nobody called and there is no golden row to try.
SELECT service, version, status, reason, requests, error_rate FROM e2i_health('churn');
SELECT e2i_flush_metrics();
SELECT requests_per_second, error_rate, requests, predictions, errors, avg_latency_ms FROM ml_bentoml_serving_metrics;
SELECT health_status, health_reason FROM ml_bentoml_services;

-- Called, it is judged by its calls; without waiting for the interval's end.
SELECT count(e2i_predict('churn', features)) FROM patient;
SELECT service, status, reason, requests, error_rate, p95_ms > 0 AS p95_ms, checked_at < clock_timestamp() AS checked_at FROM e2i_health();
SELECT e2i_flush_metrics();
SELECT requests_per_second > 0 AS rate, error_rate, requests, predictions, errors, avg_latency_ms > 0 AS avg, p50_latency_ms <= p99_latency_ms AS percentiles,
       memory_mb > 0 AS memory, cpu_percent > 0 AS cpu
FROM ml_bentoml_serving_metrics ORDER BY id DESC LIMIT 1;
SELECT service, health FROM e2i_services;
-- What was written is not written again; for a while, a service is as its last callers found it.
SELECT e2i_flush_metrics();
SELECT service, health FROM e2i_services;
SELECT requests, predictions FROM ml_bentoml_serving_metrics ORDER BY id;

-- Nothing is written, and nothing forgotten, when the transaction is rolled back.
SELECT count(e2i_predict('churn', features)) FROM patient;
BEGIN;
SELECT e2i_flush_metrics();
ROLLBACK;
SELECT e2i_flush_metrics();
SELECT requests, predictions FROM ml_bentoml_serving_metrics ORDER BY id;
SELECT count(e2i_predict('churn', features)) FROM patient;
BEGIN;
SAVEPOINT before;
SELECT e2i_flush_metrics();
ROLLBACK TO SAVEPOINT before;
SELECT e2i_flush_metrics(), e2i_flush_metrics();
COMMIT;
SELECT requests, predictions FROM ml_bentoml_serving_metrics ORDER BY id DESC LIMIT 2;

-- The limits are rows. One request in 20 that fails makes a service degraded, more than one in ten unhealthy.
SELECT * FROM ml_health_limits ORDER BY metric;
DO $$ BEGIN FOR i IN 1..19 LOOP PERFORM count(e2i_predict('churn', features)) FROM patient; END LOOP; END $$;
CALL fail(1);
SELECT status, reason, requests, error_rate FROM e2i_health('churn');
SELECT e2i_flush_metrics();
CALL fail(3);
SELECT status, reason, requests, error_rate FROM e2i_health('churn');
SELECT e2i_flush_metrics();
BEGIN;
UPDATE ml_health_limits SET degraded = 'Infinity', unhealthy = 'Infinity' WHERE metric = 'error_rate';
CALL fail(3);
SELECT status FROM e2i_health('churn');
ROLLBACK;
SELECT e2i_flush_metrics();

-- Changes are events, and told on the channel e2i_health to who listens.
SELECT who, service_name, before, after, reason FROM ml_model_events WHERE action = 'health' ORDER BY id;
SELECT count(e2i_predict('churn', features)) FROM patient;
SELECT e2i_flush_metrics();
SELECT before, after FROM ml_model_events WHERE action = 'health' ORDER BY id DESC LIMIT 1;
-- A change of health is no change of the registry: a loaded model stays loaded.
SELECT model, loads FROM e2i_session_cache;

-- A service that nobody calls is tried with its golden rows.
SELECT e2i_predict('churn', features) AS prediction FROM patient WHERE i = 7 \gset
SELECT e2i_register_model('idle', regress.onnx('breast_logistic'),
    examples => jsonb_build_array(jsonb_build_object('features', (SELECT to_jsonb(features) FROM patient WHERE i = 7), 'prediction', :prediction)));
SELECT e2i_flush_metrics();
SELECT status, reason, requests FROM e2i_health('idle');
-- A model that broke meanwhile is found, and the others are judged all the same.
BEGIN;
ALTER TABLE ml_model_artifacts DISABLE TRIGGER ALL;
DELETE FROM ml_model_artifacts;
SELECT e2i_flush_metrics();
SELECT service, status, reason FROM e2i_health();
ROLLBACK;

-- Rows are kept for e2i_serve.metrics_retention.
INSERT INTO ml_bentoml_serving_metrics (service_id, "timestamp") SELECT id, now() - interval '31 days' FROM ml_bentoml_services WHERE service_name = 'churn';
SELECT count(*) FROM ml_bentoml_serving_metrics WHERE "timestamp" < now() - interval '30 days';
SELECT e2i_flush_metrics();
SELECT count(*) FROM ml_bentoml_serving_metrics WHERE "timestamp" < now() - interval '30 days';

-- What Prometheus sees.
SELECT line FROM regexp_split_to_table(e2i_prometheus_metrics(), '\n') line WHERE line ~ '^e2i_model_health_status';
SELECT * FROM e2i_health('nobody');
DROP PROCEDURE fail;
DROP TABLE patient;
CALL regress.begin_anew();
