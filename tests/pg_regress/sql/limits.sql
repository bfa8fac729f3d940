-- Limits are numbers: with NaN nothing would ever be too much.
\set VERBOSITY default
SET client_min_messages = warning;
SELECT statement, regress.raised(statement) FROM unnest(ARRAY[
    $$UPDATE ml_health_limits SET degraded = 'NaN', unhealthy = 'NaN'$$,
    $$UPDATE ml_health_limits SET unhealthy = 'NaN'$$,
    $$UPDATE ml_health_limits SET degraded = '-Infinity'$$,
    $$UPDATE ml_health_limits SET degraded = -1$$,
    $$INSERT INTO ml_health_limits VALUES ('error_rate', 'NaN', 'NaN')$$,
    $$UPDATE ml_stage_policies SET at_least = 'NaN' WHERE id = 1$$,
    $$UPDATE ml_stage_policies SET at_most = 'NaN' WHERE id = 1$$,
    $$UPDATE ml_stage_policies SET at_least = '-Infinity' WHERE id = 1$$,
    $$UPDATE ml_stage_policies SET at_least = 'Infinity' WHERE gate = 'days_out_of_production'$$,
    $$UPDATE ml_stage_policies SET at_least = 1e12 WHERE gate = 'days_in_stage'$$,
    $$UPDATE ml_stage_policies SET at_least = -1 WHERE gate = 'days_in_stage'$$,
    $$INSERT INTO ml_bentoml_services (service_name, shadow_sample) VALUES ('x', 'NaN')$$,
    $$INSERT INTO ml_inference_log_policies (service_name, sample) VALUES ('x', 'NaN')$$,
    $$INSERT INTO ml_bentoml_serving_metrics (service_id, error_rate) VALUES (gen_random_uuid(), 'NaN')$$]) statement;
-- Never is Infinity.
BEGIN;
UPDATE ml_health_limits SET unhealthy = 'Infinity' RETURNING metric, unhealthy;
ROLLBACK;

SELECT e2i_register_model('m', regress.onnx('breast_logistic'));
SELECT e2i_register_model('m', regress.onnx('breast_logistic'));
SELECT statement, regress.raised(statement) FROM unnest(ARRAY[
    $$SELECT e2i_set_shadow('m', 'm:2', 'NaN')$$, $$SELECT e2i_set_shadow('m', 'm:2', 'Infinity')$$, $$SELECT e2i_set_shadow('m', 'm:2', 0)$$,
    $$SELECT e2i_set_inference_log('m', 'NaN')$$, $$SELECT e2i_set_inference_log('m', '-Infinity')$$,
    $$SELECT e2i_set_traffic('m', '{"m:1": "NaN", "m:2": 1}')$$, $$SELECT e2i_set_traffic('m', '{"m:1": -1, "m:2": 2}')$$,
    $$SELECT e2i_register_model('n', regress.onnx('breast_logistic'), examples => '[]', tolerance => 'NaN')$$,
    $$SELECT e2i_register_model('n', regress.onnx('breast_logistic'), examples => '[]', tolerance => 'Infinity')$$]) statement;

-- An argument that must be given is not skipped over silently.
SELECT statement, regress.raised(statement) FROM unnest(ARRAY[
    $$SELECT e2i_set_alias('m', 'best', NULL)$$, $$SELECT e2i_set_alias(NULL, 'best', '1')$$, $$SELECT e2i_set_alias('m', NULL, '1')$$,
    $$SELECT e2i_drop_alias('m', NULL)$$, $$SELECT e2i_drop_model(NULL)$$, $$SELECT e2i_drop_model('m:2', NULL)$$, $$SELECT * FROM e2i_deploy(NULL)$$,
    $$SELECT * FROM e2i_undeploy(NULL)$$, $$SELECT * FROM e2i_rollback(NULL)$$, $$SELECT e2i_set_shadow(NULL, 'm:2')$$,
    $$SELECT e2i_set_traffic(NULL, '{"m:1": 1}')$$, $$SELECT e2i_annotate_model(NULL)$$, $$SELECT e2i_set_inference_log(NULL)$$,
    $$SELECT e2i_export_model('m', NULL)$$]) statement;

-- How long a name may be: name:version has 255 characters at most, and a number that is given takes 20 of them.
SELECT length, regress.raised(format('SELECT e2i_register_model(%L, regress.onnx(''breast_logistic''))', repeat('n', length))),
       regress.raised(format('SELECT e2i_register_model(%L, regress.onnx(''breast_logistic''), version => ''1'')', repeat('v', length)))
FROM unnest('{234,235,253,254,255,256}'::int[]) length;
SELECT length, regress.raised(format('SELECT * FROM e2i_deploy(''m:1'', %L)', repeat('s', length))) FROM unnest('{255,256}'::int[]) length;
CALL regress.begin_anew();
