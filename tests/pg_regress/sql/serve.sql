-- The contract of a model server: e2i_serve takes {"features": X} or {"input_data": {"features": X}}, X one row or many,
-- by name or by position, and answers with predictions, probabilities, the version and how long it took.
\set VERBOSITY default
SET client_min_messages = warning;
\set models `echo $E2I_MODELS`
CALL regress.begin_anew();
-- What of an answer is the same every time.
CREATE FUNCTION pg_temp.served(model text, payload jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT e2i_serve(model, payload) - '_metadata' - 'prediction_time_ms' - 'model_id'
$$;
SELECT e2i_register_model('churn', regress.onnx('hcp_churn')),                        -- two classes, 0 and 1
       e2i_register_model('wine', regress.onnx('wine_forest')),                       -- three classes, texts
       e2i_register_model('digits', regress.onnx('digits_mlp')),                      -- ten classes, numbers
       e2i_register_model('linear', regress.onnx('shape_regression_flat'), feature_names => '{a,b,c,d}'),
       e2i_register_model('fixed', regress.onnx('shape_fixed_batch'), feature_names => '{a,b,c,d}'),
       e2i_register_model('targets', regress.onnx('diabetes_targets')),               -- two numbers a row
       e2i_register_model('clusters', regress.onnx('wine_kmeans')),
       e2i_register_model('outliers', regress.onnx('breast_isolation'));

-- The answer in full: its keys and their types; times are numbers, the timestamp is ISO 8601 in UTC.
SELECT key, jsonb_typeof(value) FROM jsonb_each(e2i_serve('churn:1', '{"features": {"specialty": "Oncology", "region": "South", "years_in_practice": 4,
    "tenure_months": 48, "patient_volume": 325, "calls_last_quarter": 5, "engagement_score": 84.9, "rx_last_quarter": 103.8, "is_kol": false}}')) ORDER BY key COLLATE "C";
SELECT answer ->> 'model_id' AS model_id, answer #>> '{_metadata,model_name}' AS model_name, (SELECT string_agg(key, ' ' ORDER BY key COLLATE "C") FROM jsonb_object_keys(answer -> '_metadata') AS key) AS metadata,
       answer #>> '{_metadata,timestamp}' ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$' AS iso, abs(extract(epoch FROM (answer #>> '{_metadata,timestamp}')::timestamptz - clock_timestamp())) < 60 AS now,
       (answer #>> '{_metadata,latency_ms}')::float8 >= (answer ->> 'prediction_time_ms')::float8 AS latency_covers_scoring
FROM e2i_serve('linear', '{"features": [1, 2, 3, 4]}') AS answer;

-- Both envelopes, every form of X. What else is in an envelope is ignored.
SELECT payload, pg_temp.served('linear', payload::jsonb) FROM unnest(ARRAY[
    '{"features": {"a": 1, "b": 2, "c": 3, "d": 4}}',
    '{"input_data": {"features": {"a": 1, "b": 2, "c": 3, "d": 4}}}',
    '{"features": [{"a": 1, "b": 2, "c": 3, "d": 4}, {"d": 1, "c": 2, "b": 3, "a": 4, "e": 5}]}',
    '{"features": [1, 2, 3, 4]}',
    '{"features": [[1, 2, 3, 4], [4, 3, 2, 1]]}',
    '{"features": [[1, 2, 3, 4]]}',
    '{"features": [[1, 2, 3, 4], {"a": 4, "b": 3, "c": 2, "d": 1}]}',
    '{"features": []}',
    '{"input_data": {"features": []}}',
    '{"input_data": {"features": [4, 3, 2, 1], "version": 2}, "request_id": "r-1"}']) AS payload;

-- What predictions are: the probability of the positive class; the class where it is a number, else its name; a value;
-- all values where a row has several; the number of the cluster; the score of an outlier detector.
SELECT p #>> '{}' AS class, (SELECT array_agg(round(n::numeric, 4)) FROM jsonb_array_elements(ps) AS n) AS probabilities, e2i_model_classes('wine')
FROM e2i_serve('wine', jsonb_build_object('features', jsonb_build_array(array_fill(1, '{13}'), array_fill(2, '{13}'), array_fill(800, '{13}')))) AS answer,
     ROWS FROM (jsonb_array_elements(answer -> 'predictions'), jsonb_array_elements(answer -> 'probabilities')) AS rows (p, ps);
SELECT jsonb_array_length(probabilities) AS rows, jsonb_array_length(probabilities -> 0) AS classes, jsonb_typeof(predictions -> 0) AS a_class
FROM (SELECT a -> 'probabilities' AS probabilities, a -> 'predictions' AS predictions FROM e2i_serve('digits', jsonb_build_object('features', array_fill(1, '{64}'))) AS a) q;
SELECT model, (SELECT jsonb_agg(CASE jsonb_typeof(p) WHEN 'array' THEN to_jsonb(ARRAY(SELECT round(n::numeric, 3) FROM jsonb_array_elements(p) AS n)) ELSE to_jsonb(round(p::numeric, 3)) END)
               FROM jsonb_array_elements(answer -> 'predictions') AS p) AS predictions, answer ? 'probabilities' AS has_probabilities
FROM (VALUES ('linear', 4), ('fixed', 4), ('targets', 9), ('clusters', 13), ('outliers', 30)) AS models (model, width),
     LATERAL (SELECT e2i_serve(model, jsonb_build_object('features', array_fill(0.5, ARRAY[width]))) AS answer) served;
-- The numbers are those of the scoring functions (a linear model's may differ in the last bit: a batch is summed in another order).
SELECT count(*) AS rows, count(*) FILTER (WHERE abs(e2i_predict('churn', f) - p::float8) < 1e-6 AND abs((e2i_predict_proba('churn', f))[1] - (ps -> 0)::float8) < 1e-6) AS same
FROM (SELECT jsonb_agg(r -> 'features') AS all_features FROM jsonb_array_elements(pg_read_file(:'models' || '/hcp_churn.golden.json')::jsonb -> 'rows') AS r) golden,
     e2i_serve('churn', jsonb_build_object('features', all_features)) AS answer,
     ROWS FROM (jsonb_array_elements(all_features), jsonb_array_elements(answer -> 'predictions'), jsonb_array_elements(answer -> 'probabilities')) AS rows (f, p, ps);

-- 1, 999, 1000, 1001, 1024, 1025 and 3000 rows: one answer a row, in order, the same as one by one. Also where the graph takes one row only.
SELECT e2i_register_model('tree', regress.onnx('breast_xgboost'));
CREATE TEMP TABLE samples AS SELECT n, ARRAY(SELECT (n * 37 + f * 11) % 101 / 4.0 FROM generate_series(1, 30) AS f)::float8[] AS x FROM generate_series(1, 3000) AS n;
SELECT size, jsonb_array_length(predictions) AS predictions, (SELECT count(*) FROM samples, LATERAL (SELECT predictions -> (n - 1) AS p) one WHERE n <= size AND e2i_predict('tree', x) IS DISTINCT FROM p::float8) AS wrong
FROM unnest('{1,999,1000,1001,1024,1025,3000}'::int[]) AS size,
     LATERAL (SELECT e2i_serve('tree', jsonb_build_object('features', jsonb_agg(x ORDER BY n))) -> 'predictions' AS predictions FROM samples WHERE n <= size) answer;
SELECT count(*) AS rows, count(*) FILTER (WHERE p::float8 = e2i_predict('fixed', x[1:4])) AS same
FROM (SELECT e2i_serve('fixed', jsonb_build_object('features', jsonb_agg(x[1:4] ORDER BY n))) -> 'predictions' AS predictions FROM samples) answer, samples, LATERAL (SELECT predictions -> (n - 1) AS p) one;

-- Missing values: as everywhere; null in a batch is a missing value of that row only.
SELECT round((p ->> 0)::numeric, 4) AS given, round((p ->> 1)::numeric, 4) AS missing
FROM (SELECT e2i_serve('churn', '{"features": [["Oncology", "South", 4, 48, 325, 5, 84.9, 103.8, false], [null, "South", 4, 48, 325, 5, null, "NaN", false]]}') -> 'predictions' AS p) q;
SELECT pg_temp.served('churn', NULL), pg_temp.served(NULL, '{"features": []}');

-- A row that is wrong ends the call and is counted from 1; nothing is answered for the others.
SELECT features, regress.raised(format('SELECT e2i_serve(''linear'', %L)', '{"features": ' || features || '}')) FROM unnest(ARRAY[
    '[[1, 2, 3, 4], [1, 2, null, 4]]', '[[1, 2, 3, 4], [1, 2, 3]]', '[[1, 2, 3, 4], [1, 2, 3, 4, 5]]', '[{"a": 1, "b": 2, "c": 3, "d": 4}, {"a": 1, "b": 2, "c": 3}]',
    '[{"a": 1, "b": 2, "c": 3, "d": "x"}]', '[[1, 2, 3, 4], 5]', '[[1, 2, 3, 4], null]', '[[1, 2, 3, 4], []]', '[[1, 2, 3, 4], {}]']) AS features;
SELECT split_part(regress.raised($$SELECT e2i_serve('tree', (SELECT jsonb_build_object('features', jsonb_agg(CASE WHEN n = 2500 THEN x[1:29] ELSE x END ORDER BY n)) FROM samples))$$), ':', 1) AS raised;
SELECT e2i_serve('linear', '{"features": [[1, 2, 3, 4], {"A": 1, "b": 2, "c": 3, "d": 4}]}');
-- So does a row that the model itself cannot score, on either engine; the others were scored.
SELECT e2i_register_model('lookup', pg_read_binary_file(:'models' || '/answers/row_out_of_bounds.onnx'));
SELECT pg_temp.served('lookup', '{"features": [[0], [1], [2], [3]]}');
SELECT e2i_serving_stats_reset();
SELECT e2i_serve('lookup', '{"features": [[0], [1], [4], [5], [2]]}');
SELECT e2i_serve('lookup', '{"features": [4]}');
SELECT requests, predictions, errors, batches FROM e2i_serving_stats WHERE service = 'lookup';
SET e2i_serve.engine = 'onnxruntime';
SELECT substr(regress.raised($$SELECT e2i_serve('lookup', '{"features": [[0], [1], [2], [4], [5]]}')$$), 1, 29) AS raised;
RESET e2i_serve.engine;
-- MLflow's payloads: a data frame in two forms, rows, columns; null is a missing value, numbered columns have no names. Another member beside
-- (params, signature_name, index) is ignored.
SELECT payload, pg_temp.served('linear', payload::jsonb) -> 'predictions' AS predictions FROM unnest(ARRAY[
    '{"dataframe_split": {"columns": ["d", "c", "b", "a", "other"], "index": [7, 8], "data": [[4, 3, 2, 1, "x"], [1, 2, 3, 4, null]]}, "params": {"t": 1}}',
    '{"dataframe_split": {"columns": [0, 1, 2, 3], "data": [[1, 2, 3, 4], [4, 3, 2, 1]]}}',
    '{"dataframe_split": {"data": [[1, 2, 3, 4], [4, 3, 2, 1]]}}',
    '{"dataframe_split": {"columns": ["a", "b", "c", "d"], "data": []}}',
    '{"columns": ["a", "b", "c", "d"], "data": [[1, 2, 3, 4]]}',
    '{"dataframe_records": [{"a": 1, "b": 2, "c": 3, "d": 4}, {"d": 1, "c": 2, "b": 3, "a": 4, "e": 5}]}',
    '{"instances": [[1, 2, 3, 4], [4, 3, 2, 1]], "signature_name": "serving_default"}',
    '{"instances": [{"a": 1, "b": 2, "c": 3, "d": 4}, {"a": 4, "b": 3, "c": 2, "d": 1}]}',
    '{"instances": [{"a": [1], "b": [2], "c": [3], "d": [4]}, {"a": [4], "b": [3], "c": [2], "d": [1]}]}',
    '{"instances": []}',
    '{"inputs": [[1, 2, 3, 4], [4, 3, 2, 1]]}',
    '{"inputs": {"a": [1, 4], "b": [2, 3], "c": [3, 2], "d": [4, 1]}}',
    '{"inputs": {"a": [[1], [4]], "b": [[2], [3]], "c": [[3], [2]], "d": [[4], [1]]}}',
    '{"inputs": {"a": 1, "b": 2, "c": 3, "d": 4}}',
    '{"inputs": {"any name": [[1, 2, 3, 4], [4, 3, 2, 1]]}}',
    '{"input_data": {"dataframe_split": {"columns": ["a", "b", "c", "d"], "data": [[1, 2, 3, 4]]}}}']) AS payload;
-- Azure's of a model of MLflow's, those of its older scripts, and Seldon's.
SELECT payload, pg_temp.served('linear', payload::jsonb) -> 'predictions' AS predictions FROM unnest(ARRAY[
    '{"input_data": {"columns": ["d", "c", "b", "a"], "index": [0, 1], "data": [[4, 3, 2, 1], [1, 2, 3, 4]]}, "params": {}}',
    '{"input_data": [[1, 2, 3, 4], [4, 3, 2, 1]]}',
    '{"input_data": [{"a": 1, "b": 2, "c": 3, "d": 4}, {"a": 4, "b": 3, "c": 2, "d": 1}]}',
    '{"input_data": {"a": [1, 4], "b": [2, 3], "c": [3, 2], "d": [4, 1]}}',
    '{"data": [[1, 2, 3, 4], [4, 3, 2, 1]]}', '{"data": [{"a": 1, "b": 2, "c": 3, "d": 4}]}',
    '{"data": {"names": ["d", "c", "b", "a"], "ndarray": [[4, 3, 2, 1], [1, 2, 3, 4]]}}', '{"data": {"names": [], "ndarray": [[1, 2, 3, 4]]}}',
    '{"data": {"ndarray": [[1, 2, 3, 4]]}}']) AS payload;
SELECT payload, regress.raised(format('SELECT e2i_serve(''linear'', %L)', payload)) FROM unnest(ARRAY[
    '{"input_data": 3}', '{"input_data": {}}', '{"input_data": []}', '{"input_data": {"a": [1], "b": 2}}', '{"input_data": {"a": [1, 4], "b": [2]}}', '{"input_data": [[1, 2, 3, 4], 5]}',
    '{"data": 3}', '{"data": {}}', '{"data": {"names": ["a"], "ndarray": 3}}', '{"data": {"names": ["a", "b"], "ndarray": [[1]]}}', '{"data": [[1, 2]]}']) AS payload;
SELECT round((p ->> 0)::numeric, 4) AS missing
FROM e2i_serve('churn', '{"columns": ["specialty", "region", "years_in_practice", "tenure_months", "patient_volume", "calls_last_quarter", "engagement_score", "rx_last_quarter", "is_kol"],
    "data": [[null, "South", 4, 48, 325, 5, null, null, false]]}') AS answer, LATERAL (SELECT answer -> 'predictions' AS p) q;
-- The Open Inference Protocol: a tensor a feature, or one that holds several, its data nested or not. Its answer is there as tensors, too.
SELECT payload, pg_temp.served('linear', payload::jsonb) - 'model_name' - 'model_version' AS answer FROM unnest(ARRAY[
    '{"id": "r-1", "inputs": [{"name": "input-0", "shape": [2, 4], "datatype": "FP32", "data": [1, 2, 3, 4, 4, 3, 2, 1]}]}',
    '{"inputs": [{"name": "input-0", "shape": [2, 4], "datatype": "FP32", "data": [[1, 2, 3, 4], [4, 3, 2, 1]]}], "outputs": [{"name": "predictions"}]}',
    '{"inputs": [{"name": "d", "shape": [2], "datatype": "INT64", "data": [4, 1]}, {"name": "a", "shape": [2, 1], "datatype": "FP64", "data": [[1], [4]]},
                 {"name": "b", "shape": [2], "datatype": "UINT8", "data": [2, 3]}, {"name": "c", "shape": [2], "datatype": "FP16", "data": [3, 2]}]}']) AS payload;
SELECT answer ->> 'model_name' AS model_name, answer ->> 'model_version' AS model_version, answer -> 'outputs' -> 0 ->> 'datatype' AS datatype, answer -> 'outputs' -> 1 -> 'shape' AS shape
FROM e2i_serve('wine', jsonb_build_object('inputs', jsonb_build_array(jsonb_build_object('name', 'x', 'shape', '[2, 13]'::jsonb, 'datatype', 'FP64', 'data', array_fill(1, '{26}'))))) AS answer;
-- What contradicts itself is refused.
SELECT payload, regress.raised(format('SELECT e2i_serve(''linear'', %L)', payload)) FROM unnest(ARRAY[
    '{"instances": [[1, 2, 3, 4]], "inputs": [[1, 2, 3, 4]]}',
    '{"dataframe_split": {"columns": ["a", "b", "c", "d"], "data": [[1, 2, 3, 4], [1, 2, 3]]}}',
    '{"dataframe_split": {"columns": ["a", "b", "a", "d"], "data": [[1, 2, 3, 4]]}}',
    '{"dataframe_split": {"columns": ["a", "b", "c"], "data": [[1, 2, 3]]}}',
    '{"dataframe_split": {"columns": ["a", 1], "data": [[1, 2]]}}',
    '{"dataframe_split": {"columns": ["a", "b", "c", "d"]}}', '{"dataframe_split": [[1, 2, 3, 4]]}', '{"dataframe_split": null}',
    '{"dataframe_split": {"columns": ["a", "b", "c", "d"], "data": [1, 2, 3, 4]}}',
    '{"dataframe_records": [{"a": 1, "b": 2, "c": 3, "d": 4}, {"a": 1}]}',
    '{"instances": [1, 2, 3, 4]}', '{"instances": [{"a": [1], "b": [2], "c": [3], "d": [4]}, {"a": [1]}]}',
    '{"inputs": {"a": [1, 4], "b": [2], "c": [3, 2], "d": [4, 1]}}', '{"inputs": {"a": [[1, 2], [3]], "b": 1}}', '{"inputs": {"a": {"x": 1}}}',
    '{"inputs": [{"name": "a", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3]}]}',
    '{"inputs": [{"name": "a", "shape": [2, 2], "datatype": "FP32", "data": [[1], [2, 3, 4]]}]}', '{"inputs": {"a": [[1, 2], [3], [4, 5, 6]]}}',
    '{"inputs": [{"name": "a", "shape": [1, 4], "datatype": "FP31", "data": [1, 2, 3, 4]}]}',
    '{"inputs": [{"name": "a", "shape": [1, 4], "datatype": "INT32", "data": [1, 2, 3, 4.5]}]}',
    '{"inputs": [{"name": "a", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, "4"]}]}',
    '{"inputs": [{"name": "a", "shape": [1, 4], "datatype": "FP32"}]}',
    '{"inputs": [{"name": "a", "shape": [], "datatype": "FP32", "data": [1]}]}',
    '{"inputs": [{"name": "a", "shape": [-1], "datatype": "FP32", "data": []}]}',
    '{"inputs": [{"name": "a", "shape": [1, 99999999999999999999], "datatype": "FP32", "data": [1]}]}',
    '{"inputs": [{"name": "a", "shape": [2], "datatype": "FP32", "data": [1, 2]}, {"name": "b", "shape": [1], "datatype": "FP32", "data": [1]}]}',
    '{"inputs": [{"name": "a", "shape": [1], "datatype": "FP32", "data": [1]}, {"name": "a", "shape": [1], "datatype": "FP32", "data": [1]}]}']) AS payload;

-- Payloads of another form.
SELECT payload, regress.raised(format('SELECT e2i_serve(''linear'', %L)', payload)) FROM unnest(ARRAY[
    '{}', '[]', 'null', '12', '"text"', '[[1, 2, 3, 4]]', '{"a": 1, "b": 2, "c": 3, "d": 4}', '{"feature": [1, 2, 3, 4]}', '{"features": null}', '{"features": 12}', '{"features": "1,2,3,4"}',
    '{"input_data": {}}', '{"input_data": [1, 2, 3, 4]}', '{"features": {}}']) AS payload;
SELECT e2i_serve('linear', '{"data": [1, 2, 3, 4]}');

SELECT count(e2i_drop_model(model_name || ':' || model_version, force => true)) > 0 AS dropped FROM ml_model_registry;
