-- Rows that are logged can be explained, beside what was answered and off the path of those who call.
\set VERBOSITY default
SET client_min_messages = warning;
CALL regress.begin_anew();
SET e2i_serve.instruction_set = 'portable';
TRUNCATE ml_inference_log, ml_shap_analyses;
\set models `echo "$E2I_MODELS"`
\set risk :models '/trained/xgb_base_score.json'
\set three :models '/trained/xgb_softprob.json'
SELECT FROM e2i_register_model('risk', pg_read_binary_file(:'risk'));
SELECT FROM e2i_register_model('three', pg_read_binary_file(:'three'));
CREATE TABLE regress.point AS SELECT i AS id, sin(i) * 0.2 AS f0, cos(i) AS f1, CASE WHEN i % 3 > 0 THEN sin(i * 7) * 10 END AS f2, cos(i * 5) * 0.1 AS f3, sin(i * 3) AS f4 FROM generate_series(1, 60) i;

-- Only where it is asked for.
SELECT e2i_set_inference_log('risk', sample => 1);
SELECT count(e2i_predict('risk', p)) FROM regress.point p WHERE id <= 3;
SELECT FROM e2i_flush_metrics();
SELECT count(*) FROM ml_shap_analyses;
SELECT e2i_set_inference_log('risk', sample => 1, explain => true), e2i_set_inference_log('three', sample => 1, explain => true);
SELECT service_name, explain FROM ml_inference_log_policies ORDER BY 1;
SELECT details FROM ml_model_events WHERE action = 'inference_log' ORDER BY id;
TRUNCATE ml_inference_log;
SELECT count(e2i_predict('risk', p)), count(e2i_predict_label('three', p)) FROM regress.point p WHERE id <= 3;
SELECT count(*) FROM ml_shap_analyses;
SELECT FROM e2i_flush_metrics();
SELECT model_name, model_version, analysis_type, class, space, computation_method, sample_size, source, key_drivers #> '{0}' ?& '{feature,impact,direction}' AS drivers, key_drivers #> '{0}' ? 'value' AS has_values
FROM ml_shap_analyses ORDER BY 1, class;
-- Beside the prediction: what it adds up to is what was answered, and each is what e2i_contributions says of the row.
SELECT count(*), bool_and(abs(1 / (1 + exp(-base_value - sum)) - prediction) < 1e-6) AS adds_up,
    bool_and(found = e2i_contributions('risk:1', features)) AS same
FROM ml_inference_log l JOIN ml_shap_analyses a USING (request_id, model_name, model_version),
    LATERAL (SELECT sum(v::text::float8), array_agg(v::text::float8 ORDER BY k) AS found FROM jsonb_each(local_shap_values) e (k, v)) s WHERE model_name = 'risk';
SELECT bool_and(label = class) AS predicted FROM ml_inference_log l JOIN ml_shap_analyses a USING (request_id) WHERE a.model_name = 'three';
-- Nothing is explained twice.
SELECT FROM e2i_flush_metrics();
SELECT count(*) FROM ml_shap_analyses;

-- The version that scores explains, with shared traffic too; the shadow answers nobody, and calls that fail have no reasons.
TRUNCATE ml_inference_log, ml_shap_analyses;
SELECT FROM e2i_register_model('risk', pg_read_binary_file(:'risk'), deploy => false);
SELECT FROM e2i_set_traffic('risk', '{"risk:1": 0.5, "risk:2": 0.5}');
SELECT count(e2i_predict('risk', p)) FROM regress.point p;
SELECT regress.raised($$ SELECT e2i_predict('risk', ARRAY[1]) $$);
SELECT FROM e2i_flush_metrics();
SELECT model_version, count(*) > 10 AS some FROM ml_shap_analyses GROUP BY 1 ORDER BY 1;
SELECT count(*) AS unlike FROM ml_inference_log l FULL JOIN ml_shap_analyses a USING (request_id, model_version) WHERE (l.status = 'ok') IS DISTINCT FROM (a.id IS NOT NULL);
SELECT FROM e2i_set_traffic('risk', NULL);

-- A version that cannot be explained: whoever calls hears nothing of it, and who writes the log says why.
TRUNCATE ml_inference_log, ml_shap_analyses;
SELECT FROM e2i_register_model('net', regress.onnx('torch_mlp'));
SELECT e2i_set_inference_log('net', sample => 1, explain => true);
SELECT count(e2i_predict('net', array_fill(i::float4 / 10, ARRAY[10]))) FROM generate_series(1, 3) i;
SELECT FROM e2i_flush_metrics();
SELECT count(l.*) AS logged, count(a.*) AS explained FROM ml_inference_log l LEFT JOIN ml_shap_analyses a USING (request_id);
-- With rows to compare with it can.
SELECT e2i_set_background('net', (SELECT format('SELECT %s FROM generate_series(1, 3) i', string_agg(format('sin(i * %s) AS %I', position, name), ', ')) FROM e2i_describe_model('net') WHERE kind = 'feature'));
SELECT count(e2i_predict('net', array_fill(i::float4 / 10, ARRAY[10]))) FROM generate_series(1, 3) i;
SELECT FROM e2i_flush_metrics();
SELECT computation_method, count(*), count(background_id) FROM ml_shap_analyses GROUP BY 1;

-- Features that are not logged cannot be explained; nor can a row of which something was replaced or left out.
SELECT regress.raised($$ SELECT e2i_set_inference_log('risk', redact => '{f2}', explain => true) $$);
TRUNCATE ml_inference_log, ml_shap_analyses;
SELECT count(e2i_predict('risk', ARRAY[x, 1, 2, 3, 4])) FROM unnest(ARRAY[1, 'Infinity', 'NaN']::float4[]) x;
SELECT FROM e2i_flush_metrics();
SELECT features -> 'f0' AS f0, a.id IS NOT NULL AS explained FROM ml_inference_log LEFT JOIN ml_shap_analyses a USING (request_id) ORDER BY 2 DESC, 1;

-- What was asked ends with the log; analyses go with its rows' days.
SELECT e2i_set_inference_log('risk', sample => 1);
SELECT count(e2i_predict('risk', p)) FROM regress.point p WHERE id <= 3;
UPDATE ml_shap_analyses SET created_at = now() - interval '10 years';
SELECT FROM e2i_flush_metrics();
SELECT count(*) FROM ml_shap_analyses;

-- They are the owner's rows: whoever administers sets it, and who deploys reads them.
CREATE ROLE regress_explains;
SELECT e2i_grant_usage('regress_explains', 'deployer');
GRANT SELECT ON regress.point TO regress_explains;
SET ROLE regress_explains;
SELECT regress.raised($$ SELECT e2i_set_inference_log('risk', explain => true) $$);
RESET ROLE;
SELECT e2i_grant_usage('regress_explains', 'admin');
SET ROLE regress_explains;
SELECT e2i_set_inference_log('risk', sample => 1, explain => true);
SELECT count(e2i_predict('risk', p)) FROM regress.point p WHERE id <= 3;
SELECT FROM e2i_flush_metrics();
SELECT count(*), count(*) FILTER (WHERE created_by = 'regress_explains') AS own FROM ml_shap_analyses;
RESET ROLE;
DROP OWNED BY regress_explains;
DROP ROLE regress_explains;
DROP TABLE regress.point;
TRUNCATE ml_inference_log, ml_shap_analyses;
CALL regress.begin_anew();
