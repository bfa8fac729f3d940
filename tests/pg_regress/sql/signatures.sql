-- MLflow signatures: what the graph says is stored as one, and one that is given is checked against the graph and
-- completes it: names, required, whole numbers, and (this project's addition) defaults.
\set VERBOSITY default
SET client_min_messages = warning;
CALL regress.begin_anew();

-- Without one, the graph's is stored.
SELECT e2i_register_model('plain', regress.onnx('shape_vector_inputs')), e2i_register_model('tree', regress.onnx('hcp_churn'));
SELECT jsonb_pretty(signature) FROM ml_model_registry WHERE model_name = 'plain';
SELECT string_agg(i ->> 'type', ' ' ORDER BY o) AS types
FROM ml_model_registry, jsonb_array_elements(signature -> 'inputs') WITH ORDINALITY AS inputs (i, o) WHERE model_name = 'tree';

-- MLflow's file holds the lists as texts inside the JSON; both are read, and what was stored is read again.
SELECT e2i_register_model('signed', regress.onnx('shape_regression_flat'), signature => '{
    "inputs": "[{\"type\": \"double\", \"name\": \"age\", \"required\": true}, {\"type\": \"long\", \"name\": \"visits\"}, {\"type\": \"float\", \"name\": \"dose\", \"required\": false}, {\"type\": \"float\", \"name\": \"weight\", \"required\": false, \"default\": 70.5}]",
    "outputs": "[{\"type\": \"tensor\", \"tensor-spec\": {\"dtype\": \"float32\", \"shape\": [-1]}}]", "params": null}');
SELECT e2i_register_model('signed', regress.onnx('shape_regression_flat'), signature => (SELECT signature FROM ml_model_registry WHERE model_name = 'signed'));
SELECT count(*) AS versions, count(DISTINCT signature) AS signatures, count(DISTINCT interface - '{rows_at_once,engine_times}'::text[]) AS interfaces FROM ml_model_registry WHERE model_name = 'signed';
SELECT name, type, required, takes_null, "default" FROM e2i_describe_model('signed') WHERE kind = 'feature';
-- y = 0.5 age - 1.25 visits + 2 dose + 0.125 weight + 0.75
SELECT e2i_predict('signed', '{"age": 40, "visits": 2, "dose": 1, "weight": 80}') AS all_given,
       e2i_predict('signed', '{"age": 40, "visits": 2, "dose": 1}') AS weight_left_out,
       e2i_predict('signed', '{"age": 40, "visits": 2, "dose": 1, "weight": null}') AS weight_null,
       e2i_predict('signed', '{"age": 40, "visits": 2}') AS dose_left_out,
       e2i_predict('signed', '{"age": 40, "visits": 2, "dose": null}') AS dose_null,
       e2i_predict('signed', ARRAY[40, 2, 1]) AS by_position;
-- "long" into a float tensor: whole numbers only. "required": true stays as it is without a default.
SELECT regress.raised(format('SELECT e2i_predict(''signed'', %L)', features)), features
FROM (VALUES ('{"age": 40, "visits": 2.5, "dose": 1}'), ('{"visits": 2, "dose": 1}'), ('{"age": null, "visits": 2, "dose": 1}')) AS v (features);
SELECT e2i_predict('signed', '{"age": 40, "visits": 2.5, "dose": 1}');

-- Both: the name must be given, and the default stands for NULL.
SELECT e2i_register_model('both', regress.onnx('shape_vector_inputs'),
    signature => '{"inputs": [{"name": "amount", "type": "float", "required": true, "default": 8}, {"name": "visits", "type": "integer"}, {"name": "is_new", "type": "boolean"}]}');
SELECT e2i_predict('both', '{"amount": null, "visits": 1, "is_new": false}'), regress.raised($$SELECT e2i_predict('both', '{"visits": 1, "is_new": false}')$$);

-- Columns without names take the graph's order; where the graph has names, they are found by name in any order.
SELECT e2i_register_model('unnamed', regress.onnx('shape_int64_matrix'),
           signature => '{"inputs": [{"type": "long"}, {"type": "long", "default": 4}, {"type": "integer"}, {"type": "long"}]}'),
       e2i_register_model('ordered', regress.onnx('shape_vector_inputs'),
           signature => '{"inputs": [{"name": "is_new", "type": "boolean", "default": false}, {"name": "amount", "type": "double"}, {"name": "visits", "type": "integer"}]}');
SELECT name, required, "default" FROM e2i_describe_model('unnamed') WHERE kind = 'feature';
SELECT name, required, "default" FROM e2i_describe_model('ordered') WHERE kind = 'feature';
SELECT e2i_predict('ordered', '{"amount": 8, "visits": 1}'), e2i_predict('ordered', '{"amount": 8, "visits": 1, "is_new": true}');

-- The tensor form names nothing; its type and width are checked.
SELECT e2i_register_model('tensor', regress.onnx('diabetes_float64'),
    signature => '{"inputs": [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 10]}}], "outputs": [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 1]}}]}');
SELECT string_agg(name, ' ' ORDER BY position) AS names FROM e2i_describe_model('tensor') WHERE kind = 'feature';

-- Where signature and graph disagree, registering fails and says on what.
CREATE FUNCTION pg_temp.try_signature(signature text) RETURNS text LANGUAGE sql AS $$
    SELECT regress.raised(format('SELECT e2i_register_model(''bad'', regress.onnx(''shape_regression_flat''), signature => %L)', signature))
$$;
SELECT signature, pg_temp.try_signature(signature)
FROM unnest(ARRAY['{"inputs": [{"name": "a", "type": "double"}]}', '{"inputs": []}', '{"inputs": 3}', '{"inputs": "not a list"}', '{"input": []}', '[]', '"text"', 'null',
    '{"inputs": [{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 3]}}]}',
    '{"inputs": [{"type": "tensor", "tensor-spec": {"dtype": "str", "shape": [-1, 4]}}]}']) AS signature;
SELECT first_input, pg_temp.try_signature(format('{"inputs": [%s, {"name": "b", "type": "double"}, {"name": "c", "type": "double"}, {"name": "d", "type": "double"}]}', first_input))
FROM unnest(ARRAY['{"name": "a", "type": "string"}', '{"name": "a", "type": "uuid"}', '{"name": "a"}', '{"name": "b", "type": "double"}',
    '{"name": "a", "type": "double", "default": "x"}', '{"name": "a", "type": "boolean"}']) AS first_input;
SELECT changed, regress.raised(format('SELECT e2i_register_model(''bad'', regress.onnx(''shape_vector_inputs''), signature => %L)',
    format('{"inputs": [{"name": "amount", "type": "double"}, %s, {"name": "is_new", "type": "boolean"}]}', changed)))
FROM unnest(ARRAY['{"name": "visit", "type": "integer"}', '{"name": "visits", "type": "string"}', '{"name": "visits", "type": "integer", "default": 0.5}']) AS changed;
-- Names given twice: feature_names names the columns, and the signature finds them.
SELECT e2i_register_model('twice', regress.onnx('shape_two_tensors'), feature_names => '{a,b,c,d,e}',
    signature => '{"inputs": [{"name": "e", "type": "double", "default": 1}, {"name": "d", "type": "double"}, {"name": "c", "type": "double"}, {"name": "b", "type": "double"}, {"name": "a", "type": "double"}]}');
SELECT string_agg(name || coalesce('=' || "default"::text, ''), ' ' ORDER BY position) AS features FROM e2i_describe_model('twice') WHERE kind = 'feature';
SELECT e2i_register_model('bad', regress.onnx('shape_vector_inputs'), signature => '{"inputs": [{"name": "amount", "type": "double"}]}');

-- Metrics, tags and a description are kept as given; without them, empty.
SELECT e2i_register_model('noted', regress.onnx('torch_mlp'), metrics => '{"auc": 0.973, "folds": [0.97, 0.98]}', tags => '{"owner": "sales ops"}', description => 'Who leaves?'),
       e2i_register_model('noted', regress.onnx('torch_mlp'));
SELECT model_version, framework, task, metrics, tags, description, artifact_size, preprocessor_size, registered_by = current_user AS by_me
FROM ml_model_registry WHERE model_name = 'noted' ORDER BY model_version;

SELECT count(e2i_drop_model(model_name || ':' || model_version, force => true)) > 0 AS dropped FROM ml_model_registry;
