-- Which version a service name means: deploy, roll back, and what is remembered of it.
\set VERBOSITY default
SET client_min_messages = warning;
-- Three versions whose features bear other names, so that a score tells which one gave it.
SELECT e2i_register_model('risk', regress.onnx('shape_int64_matrix'), feature_names => '{a,b,c,d}');
SELECT e2i_register_model('risk', regress.onnx('shape_regression_flat'), feature_names => '{b,a,c,d}');
SELECT e2i_register_model('risk', regress.onnx('shape_dynamic_width'), feature_names => '{c,b,a,d}');
SELECT v AS version, e2i_predict('risk:' || v, '{"a": 1, "b": 2, "c": 3, "d": 4}') FROM generate_series(1, 3) v;

-- The first version was deployed by registering it; the others wait to be deployed.
SELECT e2i_predict('risk', '{"a": 1, "b": 2, "c": 3, "d": 4}') = e2i_predict('risk:1', '{"a": 1, "b": 2, "c": 3, "d": 4}') AS serves_1;
SELECT service_name, version, status FROM e2i_deploy('risk:2');
SELECT e2i_predict('risk', '{"a": 1, "b": 2, "c": 3, "d": 4}') = e2i_predict('risk:2', '{"a": 1, "b": 2, "c": 3, "d": 4}') AS serves_2;
SELECT service_name, version, status FROM e2i_deploy('risk:3', reason => 'better on Tuesdays');
SELECT service, version, stage, status, health FROM e2i_services;
SELECT bento_tag, bento_version, status, serving_endpoint FROM ml_bentoml_services WHERE service_name = 'risk' ORDER BY deployment;
SELECT e2i_deploy('risk:3');

-- Rolling back twice goes back two steps, not to and fro; the row left behind says why.
SELECT version, status FROM e2i_rollback('risk', reason => 'worse on Wednesdays');
SELECT version, status FROM e2i_rollback('risk');
SELECT version, status FROM e2i_rollback('risk');
SELECT bento_tag, status, reason FROM ml_bentoml_services WHERE service_name = 'risk' ORDER BY deployment;
SELECT e2i_predict('risk', '{"a": 1, "b": 2, "c": 3, "d": 4}') = e2i_predict('risk:1', '{"a": 1, "b": 2, "c": 3, "d": 4}') AS serves_1;
-- To a named version, also forwards.
SELECT version, status FROM e2i_rollback('risk', '3');
SELECT version, status FROM e2i_rollback('risk', target_version => '9');
SELECT e2i_rollback('unknown');

-- A service need not be called as its model.
SELECT service_name, version FROM e2i_deploy('risk:2', 'risk-eu');
SELECT e2i_predict('risk-eu', '{"a": 1, "b": 2, "c": 3, "d": 4}') = e2i_predict('risk:2', '{"a": 1, "b": 2, "c": 3, "d": 4}') AS serves_2;

-- A deployment that fails changes nothing; it may leave a row that says why.
UPDATE ml_model_artifacts a SET bytes = overlay(bytes placing '\x00' from 5) FROM ml_model_registry r
WHERE a.sha256 IN (r.artifact_sha256, r.plan_sha256) AND r.model_name = 'risk' AND r.model_version = '1';
SELECT e2i_clear_session_cache() > 0 AS cleared;
SELECT e2i_deploy('risk:1');
SELECT service_name, version, status, reason FROM e2i_deploy('risk:1', on_failure => 'record');
SELECT version FROM e2i_services WHERE service = 'risk';
SELECT e2i_deploy('risk:1', on_failure => 'ignore');

-- At most one deployment of a name is active: the table itself says so.
UPDATE ml_bentoml_services SET status = 'active' WHERE bento_tag = 'risk:2' AND service_name = 'risk';

-- Everything is remembered, in order, and which version served at a time is one query.
SELECT action, service_name, before, after, reason FROM ml_model_events
WHERE model_name = 'risk' OR service_name LIKE 'risk%' ORDER BY id;
SELECT e2i_version_at('risk', now() - interval '1 day') AS yesterday, e2i_version_at('risk', now() + interval '1 day') AS now;
SELECT e2i_version_at('risk', e.happened_at) AS then, e.after FROM ml_model_events e
WHERE e.service_name = 'risk' AND e.action IN ('deploy', 'rollback') ORDER BY e.id;
UPDATE ml_model_events SET who = 'nobody';
DELETE FROM ml_model_events;
TRUNCATE ml_model_events;

-- In a transaction that is rolled back nothing happened.
BEGIN;
SELECT version FROM e2i_deploy('risk:2');
ROLLBACK;
SELECT version FROM e2i_services WHERE service = 'risk';

-- A version never changes once it is registered; what is said about it may.
UPDATE ml_model_registry SET task = 'other' WHERE model_name = 'risk' AND model_version = '2';
UPDATE ml_model_registry SET model_version = '2b' WHERE model_name = 'risk' AND model_version = '2';
UPDATE ml_model_registry SET description = 'the second', tags = '{"team": "risk"}' WHERE model_name = 'risk' AND model_version = '2';
SELECT model, version, stage, deployed_as, task FROM e2i_models WHERE model = 'risk';

-- Therefore a pinned prediction is immutable, and an index can answer ORDER BY.
CREATE TABLE patients (id int PRIMARY KEY, a real, b real, c real, d real);
INSERT INTO patients SELECT i, i % 7, i % 5, i % 3, i % 2 FROM generate_series(1, 200) i;
CREATE INDEX ON patients (e2i_predict_pinned('risk:2', ARRAY[a, b, c, d]));
ANALYZE patients;
SET enable_sort = off;
EXPLAIN (COSTS OFF) SELECT id FROM patients ORDER BY e2i_predict_pinned('risk:2', ARRAY[a, b, c, d]) DESC LIMIT 3;
RESET enable_sort;
SELECT bool_and(e2i_predict_pinned('risk:2', ARRAY[a, b, c, d]) = e2i_predict('risk:2', ARRAY[a, b, c, d])) AS same FROM patients;
SELECT e2i_predict_pinned('risk', '{"a": 1, "b": 2, "c": 3, "d": 4}');
SELECT e2i_predict_pinned('risk@champion', '{"a": 1, "b": 2, "c": 3, "d": 4}');
DROP TABLE patients;

SELECT e2i_drop_model(bento_tag, force => true) FROM ml_bentoml_services WHERE service_name LIKE 'risk%' AND status = 'active';
SELECT e2i_drop_model('risk:1', force => true);
SELECT count(*) FROM ml_model_registry;
