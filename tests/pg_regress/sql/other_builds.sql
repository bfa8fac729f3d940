-- A compiled form that another build has written and this one cannot read is made anew by the session, and proved before it scores.
\set VERBOSITY default
SET client_min_messages = warning;
\set models `echo $E2I_MODELS`
CALL regress.begin_anew();
SELECT e2i_register_model('graph', regress.onnx('breast_xgboost'));
SELECT e2i_register_model('sum', regress.plus(1), examples => '[{"features": [1], "prediction": 2}]');
SELECT e2i_register_model('trees', pg_read_binary_file(:'models' || '/trained/lgb_custom.txt'),
    examples => '[{"features": [0, 0, 0, 0, 0], "prediction": 0.29760386106188697}]');
CREATE TABLE expected AS
SELECT i, e2i_predict_proba('graph', array_fill(i, ARRAY[30])) AS graph, e2i_predict('sum', ARRAY[i]) AS sum,
    e2i_predict('trees', array_fill(i, ARRAY[5])) AS trees
FROM generate_series(0.0, 50, 0.5) i;

-- The number of the format is in the eighth byte.
INSERT INTO ml_model_artifacts
SELECT sha256(other), 0, other
FROM (SELECT set_byte(bytes, 7, 99) AS other FROM ml_model_artifacts JOIN ml_model_registry ON sha256 = plan_sha256) others;
ALTER TABLE ml_model_registry DISABLE TRIGGER version_is_immutable;
UPDATE ml_model_registry SET plan_sha256 = sha256(set_byte(bytes, 7, 99)) FROM ml_model_artifacts WHERE sha256 = plan_sha256;
ALTER TABLE ml_model_registry ENABLE TRIGGER version_is_immutable;
DELETE FROM ml_model_artifacts WHERE sha256 NOT IN (SELECT unnest(ARRAY[artifact_sha256, plan_sha256]) FROM ml_model_registry);
SELECT model_name, get_byte(bytes, 7) AS format FROM ml_model_registry JOIN ml_model_artifacts ON sha256 = plan_sha256 ORDER BY 1;

-- Proved, they score natively, and the same.
\c -
SET client_min_messages = warning;
SELECT count(*) AS rows, count(*) FILTER (WHERE (graph, sum, trees) IS DISTINCT FROM (e2i_predict_proba('graph', array_fill(i, ARRAY[30])),
    e2i_predict('sum', ARRAY[i]), e2i_predict('trees', array_fill(i, ARRAY[5])))) AS different FROM expected;
SELECT model, engine FROM e2i_session_cache ORDER BY model;

-- In a process of its own: the session did not open ONNX Runtime.
SELECT pg_read_file('/proc/self/maps') LIKE '%libonnxruntime%' AS runtime_is_loaded;

-- A graph is proved against ONNX Runtime. Without it nothing is scored.
\c -
SET client_min_messages = warning;
SET e2i_serve.onnxruntime_library = '/nowhere/libonnxruntime.so';
\set VERBOSITY sqlstate
SELECT e2i_predict('graph', array_fill(1, ARRAY[30]));
\set VERBOSITY default
SELECT e2i_predict('trees', array_fill(0, ARRAY[5]));
RESET e2i_serve.onnxruntime_library;

-- As if what was compiled anew were wrong: the golden rows are others. ONNX Runtime scores graphs then, and nobody other models.
UPDATE ml_model_registry SET examples = jsonb_set(examples, '{0,prediction}', '7') WHERE examples IS NOT NULL;
\c -
SET client_min_messages = warning;
SELECT e2i_predict('sum', ARRAY[1]);
SELECT e2i_predict('sum', ARRAY[2]);
SELECT model, engine FROM e2i_session_cache;
SELECT kind, name, note FROM e2i_describe_model('sum') WHERE kind IN ('engine', 'step');
SELECT e2i_predict('trees', array_fill(0, ARRAY[5]));
SET e2i_serve.engine = 'native';
SELECT e2i_predict('sum', ARRAY[1]);
RESET e2i_serve.engine;

DROP TABLE expected;
CALL regress.begin_anew();
