-- What is handed over instead of a model is named, with what to do.
\set VERBOSITY default
SET client_min_messages = warning;
CALL regress.begin_anew();

SELECT e2i_register_model('m', '/srv/models/x.onnx');
SELECT e2i_register_model('m', 'models:/churn/1');
SELECT e2i_register_model('m', convert_to(encode(regress.onnx('torch_mlp'), 'base64'), 'UTF8'));
SELECT e2i_register_model('m', convert_to(encode(regress.onnx('torch_mlp'), 'hex'), 'UTF8'));
SELECT e2i_register_model('m', convert_to(E'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n', 'UTF8'));
SELECT e2i_register_model('m', '<!DOCTYPE html><html><head><title>Sign in</title>');
SELECT e2i_register_model('m', '\x894844460d0a1a0a0000');
SELECT e2i_register_model('m', convert_to('{"model_info": {}, "features_info": {}, "oblivious_trees": []}', 'UTF8'));

-- A column that a training library renamed, or a table cut, gets the likely name.
SELECT e2i_register_model('visits', regress.onnx('shape_vector_inputs'), feature_names => '{Age_years,visits,is_new}');
SELECT e2i_predict('visits', '{"Age years": 1.5, "visits": 4, "is_new": true}');
SELECT e2i_predict('visits', r) FROM (SELECT 1.5 AS "Age years", 4 AS "Visits", true AS is_new) AS r;
