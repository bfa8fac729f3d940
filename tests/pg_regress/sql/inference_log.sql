\set VERBOSITY default
SET client_min_messages = warning;
CALL regress.begin_anew();
-- Off by default: what a service scored is not kept. e2i_set_inference_log keeps a sample of its rows in ml_inference_log; a
-- background worker writes them, or, without one, e2i_flush_metrics.
SELECT e2i_register_model('churn', regress.onnx('breast_logistic'), feature_names => (SELECT array_agg('f' || i ORDER BY i) FROM generate_series(1, 30) i));
CREATE TABLE patient AS SELECT i, ARRAY(SELECT 0.1 * i + k FROM generate_series(1, 30) k)::float4[] AS features FROM generate_series(1, 200) i;
SELECT count(e2i_predict('churn', features)) FROM patient;
SELECT e2i_flush_metrics();
SELECT count(*) FROM ml_inference_log;

-- All rows of the service; a version that is called by its own name is not the service.
SELECT e2i_set_inference_log('churn', sample => 1);
SET e2i_serve.trace_id = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
SELECT count(e2i_predict('churn', features)), count(e2i_predict('churn:1', features)) FROM patient WHERE i <= 3;
RESET e2i_serve.trace_id;
SELECT e2i_flush_metrics();
SELECT service_name, model_name, model_version, served_as, status, duration_ms > 0 AS took, features -> 'f1' AS f1, prediction IS NOT NULL AS prediction,
       caller = current_user AS caller, trace_id
FROM ml_inference_log ORDER BY features -> 'f1';
-- What is logged is what was answered.
SELECT sum(prediction) = (SELECT sum(e2i_predict('churn:1', features)) FROM patient WHERE i <= 3) AS same FROM ml_inference_log;
-- One request, one number; a partition a day.
SELECT count(DISTINCT request_id), bool_and(substr(request_id::text, 15, 1) = '4') AS version_4 FROM ml_inference_log;
SELECT count(*) FROM pg_inherits WHERE inhparent = 'ml_inference_log'::regclass;

-- Labels, probabilities, payloads, and errors.
TRUNCATE ml_inference_log;
SELECT e2i_predict_label('churn', features) IS NOT NULL AS label, array_length(e2i_predict_proba('churn', features), 1) FROM patient WHERE i = 1;
SELECT jsonb_array_length(e2i_serve('churn', jsonb_build_object('features', (SELECT jsonb_agg(features) FROM patient WHERE i <= 2))) -> 'predictions') AS rows;
SELECT regress.raised($$ SELECT e2i_predict('churn', ARRAY[1]) $$);
SELECT e2i_flush_metrics();
SELECT status, prediction IS NOT NULL AS prediction, label, array_length(probabilities, 1) AS probabilities, error_code, payload_code, features IS NOT NULL AS features
FROM ml_inference_log ORDER BY logged_at;

-- Read-only transactions are logged, and those that are rolled back.
TRUNCATE ml_inference_log;
BEGIN READ ONLY;
SELECT count(e2i_predict('churn', features)) FROM patient WHERE i <= 2;
ROLLBACK;
-- What could not be written is not lost.
BEGIN;
SELECT e2i_flush_metrics();
ROLLBACK;
SELECT e2i_flush_metrics();
SELECT count(*) FROM ml_inference_log;

-- A sample.
TRUNCATE ml_inference_log;
SELECT e2i_set_inference_log('churn', sample => 0.1);
SELECT count(e2i_predict('churn', p.features)) FROM patient p, generate_series(1, 5) again;
SELECT e2i_flush_metrics();
SELECT count(*) BETWEEN 40 AND 180 AS about_a_tenth FROM ml_inference_log;

-- Features that the service names are never written.
TRUNCATE ml_inference_log;
SELECT e2i_set_inference_log('churn', sample => 1, redact => '{f2, f30}');
SELECT count(e2i_predict('churn', features)) FROM patient WHERE i = 1;
SELECT e2i_flush_metrics();
SELECT features -> 'f1' AS f1, features -> 'f2' AS f2, features -> 'f30' AS f30 FROM ml_inference_log;
SELECT regress.raised($$ SELECT e2i_set_inference_log('churn', redact => '{f99}') $$);
SELECT regress.raised($$ SELECT e2i_set_inference_log('churn', redact => '{f2, NULL}') $$);
SELECT regress.raised($$ SELECT e2i_set_inference_log('churn', on_pii => 'maybe') $$);
SELECT regress.raised($$ SELECT e2i_set_inference_log('churn', sample => 1.5) $$);
SELECT regress.raised($$ SELECT e2i_set_inference_log('nobody') $$);

-- Texts that look like personal data are replaced by what they are; block refuses the row before it is scored.
TRUNCATE ml_inference_log;
SELECT e2i_register_model('notes', regress.onnx('notes_tfidf'));
SELECT name FROM e2i_describe_model('notes') WHERE kind = 'feature';
SELECT e2i_set_inference_log('notes', sample => 1);
SELECT e2i_predict_label('notes', ARRAY['write to jane@example.com or call +1 212 555 0187']) IS NOT NULL AS scored;
SELECT e2i_flush_metrics();
SELECT features FROM ml_inference_log;
SELECT e2i_set_inference_log('notes', sample => 1, on_pii => 'block');
SELECT e2i_predict_label('notes', ARRAY['write to jane@example.com']);
SELECT regress.raised($$ SELECT e2i_serve('notes', '{"features": [["card 4111 1111 1111 1111"]]}') $$);
SELECT e2i_predict_label('notes', ARRAY['nothing of the kind']) IS NOT NULL AS scored;
-- A text that is too long is not logged, and the log says so.
SELECT e2i_predict_label('notes', ARRAY[repeat('long ', 2000)]) IS NOT NULL AS scored;
SELECT e2i_flush_metrics();
SELECT status, error_code, payload_code, features FROM ml_inference_log ORDER BY logged_at OFFSET 1;

-- It is the version that scores whose features are looked at, with split traffic too.
SELECT e2i_register_model('notes', regress.onnx('notes_tfidf'), feature_names => '{comment}');
SELECT e2i_set_traffic('notes', '{"notes:1": 0.5, "notes:2": 0.5}');
SELECT regress.raised($$ SELECT e2i_serve('notes', jsonb_build_object('features',
    (SELECT jsonb_agg(jsonb_build_object('note', 'note ' || i, 'comment', 'of jane@example.com')) FROM generate_series(1, 20) i))) $$);
SELECT count(*) FILTER (WHERE raised = 'no error') BETWEEN 1 AND 19 AS some_pass, array_agg(DISTINCT raised) FILTER (WHERE raised <> 'no error') AS others
FROM (SELECT regress.raised(format('SELECT e2i_predict_label(''notes'', ''{"note": "note %s", "comment": "of jane@example.com"}''::jsonb)', i)) AS raised
      FROM generate_series(1, 20) i) tried;
SELECT e2i_set_traffic('notes', NULL);

-- A canary and a shadow: which version scored a row, and how far the shadow is from what callers got.
SELECT e2i_flush_metrics();
TRUNCATE ml_inference_log;
SELECT e2i_register_model('churn', regress.onnx('breast_xgboost'), feature_names => (SELECT array_agg('f' || i ORDER BY i) FROM generate_series(1, 30) i));
SELECT e2i_set_inference_log('churn', sample => 1);
SELECT e2i_set_traffic('churn', '{"churn:1": 0.5, "churn:2": 0.5}');
SELECT count(e2i_predict('churn', features)) FROM patient;
SELECT e2i_flush_metrics();
SELECT served_as, model_version, count(*) BETWEEN 50 AND 150 AS about_half FROM ml_inference_log GROUP BY 1, 2 ORDER BY 1;
TRUNCATE ml_inference_log;
SELECT e2i_set_traffic('churn', NULL);
SELECT e2i_set_shadow('churn', 'churn:2', sample => 1);
SELECT count(e2i_predict('churn', features)) FROM patient WHERE i <= 50;
SELECT jsonb_array_length(e2i_serve('churn', jsonb_build_object('features', (SELECT jsonb_agg(features) FROM patient WHERE i BETWEEN 51 AND 100))) -> 'predictions') AS rows;
SELECT e2i_flush_metrics();
SELECT version, shadow, rows, failed, mean_difference BETWEEN 0 AND max_difference AS mean, labels_changed BETWEEN 0 AND 1 AS labels FROM e2i_shadow_report('churn');
SELECT max_difference = (SELECT max(abs(e2i_predict('churn:1', features) - e2i_predict('churn:2', features))) FROM patient WHERE i <= 100) AS max,
       labels_changed = (SELECT avg(((e2i_predict('churn:1', features) > 0.5) <> (e2i_predict('churn:2', features) > 0.5))::int) FROM patient WHERE i <= 100) AS labels
FROM e2i_shadow_report('churn');

-- Nobody waits for the log: what finds no room is dropped, and counted.
TRUNCATE ml_inference_log;
SELECT substring(e2i_prometheus_metrics() FROM 'e2i_inference_log_dropped_total (\d+)\n')::int AS before \gset
SELECT count(e2i_predict('churn', features)) FROM patient, generate_series(1, 100) again;
SELECT e2i_flush_metrics();
SELECT substring(e2i_prometheus_metrics() FROM 'e2i_inference_log_dropped_total (\d+)\n')::int - :before AS dropped \gset
SELECT count(*) > 100 AS some, count(*) + :dropped AS all FROM ml_inference_log;

-- NULL ends it; every change is an event.
SELECT e2i_set_inference_log('churn', sample => NULL);
TRUNCATE ml_inference_log;
SELECT count(e2i_predict('churn', features)) FROM patient;
SELECT e2i_flush_metrics();
SELECT count(*) FROM ml_inference_log;
SELECT service_name, details FROM ml_model_events WHERE action = 'inference_log' ORDER BY id DESC LIMIT 3;
DROP TABLE patient;
CALL regress.begin_anew();
