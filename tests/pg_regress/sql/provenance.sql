-- What is said about a version beside what it is: where it comes from, its metrics, tags and description.
\set VERBOSITY default
SET client_min_messages = warning;
SET timezone = 'UTC';
-- What a registration says is kept as given.
SELECT e2i_register_model('origin', regress.onnx('shape_regression_flat'), algorithm => 'ridge regression', mlflow_run_id => '5b1f…', trained_at => '2026-01-31 12:00+01',
    mlflow_model_uri => 'models:/origin/7', metrics => '{"r2": 0.5}', tags => '{"team": "risk"}', description => 'the first');
-- By position, behind all others; what is not said is NULL.
SELECT e2i_register_model('origin', regress.onnx('shape_regression_flat'), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'by position');
SELECT model_version, algorithm, mlflow_run_id, mlflow_model_uri, trained_at FROM ml_model_registry WHERE model_name = 'origin' ORDER BY 1;
SELECT e2i_register_model('origin', regress.onnx('shape_regression_flat'), trained_at => 'yesterday or so');
SELECT e2i_register_model('origin', regress.onnx('shape_regression_flat'), version => 'ever', trained_at => '-infinity');
SELECT trained_at FROM ml_model_registry WHERE model_version = 'ever';
SELECT unnest(string_to_array(pg_get_function_arguments('e2i_register_model'::regproc), ', ')) AS argument;

SELECT e2i_drop_model('origin:2'), e2i_drop_model('origin:ever'), e2i_drop_model('origin:1', force => true);
