-- Two engines, one answer. Registration compiles what the native engine knows, compares it with ONNX Runtime, and says in the
-- registry who scores and why. Sessions can force either engine, and the instructions that the native one may use.
\set VERBOSITY default
SET client_min_messages = warning;
\set models `echo $E2I_MODELS`
CALL regress.begin_anew();

CREATE TABLE golden AS
SELECT replace(file, '.golden.json', '') AS model, pg_read_file(:'models' || '/' || file)::jsonb AS spec
FROM pg_ls_dir(:'models') AS file WHERE file LIKE '%.golden.json';
SELECT count(e2i_register_model(model, regress.onnx(model),
    feature_names => CASE WHEN spec @> '{"pass_feature_names": true}' THEN ARRAY(SELECT jsonb_array_elements_text(spec -> 'feature_names')) END)) AS models
FROM golden WHERE model !~ '^(shape|hcp_two_graph)';
SELECT e2i_register_model('running', regress.onnx('shape_cumsum'));
SELECT model_name, engine, engine_reason FROM ml_model_registry ORDER BY engine DESC, model_name COLLATE "C";

-- What is done for a row: the engine, its steps and their kernels. Without preferences the instructions are the processor's.
SET e2i_serve.instruction_set = 'portable';
SELECT kind, position, name, note FROM e2i_describe_model('breast_logistic') WHERE kind NOT IN ('feature', 'output', 'pace');
SELECT kind, position, name, note FROM e2i_describe_model('breast_xgboost') WHERE kind NOT IN ('feature', 'output', 'pace');
SELECT kind, position, name, note IS NOT NULL AS says_why FROM e2i_describe_model('running') WHERE kind NOT IN ('feature', 'output', 'pace');
RESET e2i_serve.instruction_set;

-- Every instruction set gives the same bits, and ONNX Runtime's: trees and encoders to the last, others to rounding.
CREATE TABLE rows AS
SELECT model, n, r -> 'features' AS features FROM golden, jsonb_array_elements(spec -> 'rows') WITH ORDINALITY AS t (r, n);
CREATE TABLE scores (model text, n int, forced text, score float8[]);
SET e2i_serve.engine = 'native';
DO $$
DECLARE forced text;
BEGIN
    FOREACH forced IN ARRAY '{portable,avx2,avx512,avx512vbmi,auto}'::text[] LOOP
        PERFORM set_config('e2i_serve.instruction_set', forced, false);
        EXECUTE format('INSERT INTO scores SELECT model, n, %L, e2i_predict_vector(model, features)
            FROM rows JOIN ml_model_registry ON model_name = model WHERE engine = ''native''', forced);
    END LOOP;
END $$;
RESET e2i_serve.instruction_set;
SET e2i_serve.engine = 'onnxruntime';
INSERT INTO scores SELECT model, n, 'onnxruntime', e2i_predict_vector(model, features)
FROM rows JOIN ml_model_registry ON model_name = model WHERE engine = 'native';
RESET e2i_serve.engine;
SELECT count(DISTINCT model) > 5 AS models, count(*) > 1000 AS scores FROM scores;
SELECT model, n FROM scores WHERE forced <> 'onnxruntime' GROUP BY 1, 2 HAVING count(DISTINCT score) <> 1;
SELECT a.model, max(abs(x - y) / greatest(1, abs(y))) < 1e-5 AS close, bool_and(x = y OR a.model !~ 'xgboost|lightgbm|forest|hist|catboost|isolation') AS trees_equal
FROM scores a JOIN scores b USING (model, n), unnest(a.score, b.score) AS pair (x, y)
WHERE a.forced = 'auto' AND b.forced = 'onnxruntime' GROUP BY 1 ORDER BY a.model COLLATE "C";

-- A forced engine that cannot score a model is an error; the setting holds from the next statement on.
SET e2i_serve.engine = 'native';
SELECT e2i_predict('running', '[1, 2, 4]');
RESET e2i_serve.engine;
SELECT e2i_predict('running', '[1, 2, 4]');

-- A pinned score is the registered engine's, whatever a session prefers: it may stand in an index.
CREATE TABLE pinned AS SELECT n, features, e2i_predict_pinned('hcp_churn:1', features) AS score FROM rows WHERE model = 'hcp_churn';
SET e2i_serve.engine = 'onnxruntime';
SELECT count(*) > 10 AS rows, count(*) FILTER (WHERE score <> e2i_predict_pinned('hcp_churn:1', features)) AS changed FROM pinned;
SELECT kind, name, note FROM e2i_describe_model('hcp_churn') WHERE kind NOT IN ('feature', 'output', 'pace');
RESET e2i_serve.engine;
DROP TABLE pinned;

-- A session that scores natively never opens the ONNX Runtime library, and holds little.
\c -
SET client_min_messages = warning;
SELECT count(e2i_predict_vector(model, features)) > 100 AS scored FROM rows JOIN ml_model_registry ON model_name = model WHERE engine = 'native';
SELECT pg_read_file('/proc/self/maps') LIKE '%libonnxruntime%' AS runtime_is_loaded;
SELECT bool_and(engine = 'native') AS native, max(bytes) < 4 * 1024 * 1024 AS small FROM e2i_session_cache;

-- The compiled form is stored beside the version, goes with it, and does not change. One that cannot be read is made anew.
SELECT count(*) = count(plan_sha256) AND min(plan_size) > 0 AS compiled FROM ml_model_registry WHERE engine = 'native';
UPDATE ml_model_registry SET plan_sha256 = NULL WHERE model_name = 'breast_xgboost';
CALL regress.begin_anew();
SELECT count(*) FROM ml_model_artifacts;
DROP TABLE golden, rows, scores;
