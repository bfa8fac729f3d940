\set VERBOSITY default
SET client_min_messages = warning;
\set models `echo $E2I_MODELS`
CALL regress.begin_anew();
-- Golden rows: rows with what training predicted for them. A version that does not score them as expected is not registered,
-- and they can be scored again at any time.

-- Every example model is registered with the rows that its training library predicted, and verified.
CREATE TABLE golden AS
SELECT g ->> 'model' AS model, g -> 'rows' AS rows, (g ->> 'tolerance')::float8 AS tolerance,
       CASE WHEN (g ->> 'pass_feature_names')::boolean THEN ARRAY(SELECT jsonb_array_elements_text(g -> 'feature_names')) END AS names
FROM pg_ls_dir(:'models') AS file, LATERAL (SELECT pg_read_file(:'models' || '/' || file)::jsonb AS g) f WHERE file LIKE '%.golden.json';
SELECT count(e2i_register_model(model, regress.onnx(model), feature_names => names, preprocessor => regress.onnx(model || '.preprocessor'),
                                examples => rows, tolerance => tolerance)) FROM golden;
SELECT model, count(DISTINCT v.row) AS rows, string_agg(DISTINCT v.output, ' ') AS outputs, bool_and(v.ok) AS ok
FROM golden, e2i_verify_model(model) AS v GROUP BY model ORDER BY model COLLATE "C";

-- By name and by position; the tolerance is a part of the number, or of 1 where that is larger.
SELECT e2i_register_model('linear', regress.onnx('shape_regression_flat'), feature_names => '{a,b,c,d}',
    examples => '[{"features": {"d": 4, "c": 3, "b": 2, "a": 1}, "prediction": 5.25}, {"features": [1, 2, 3, 4], "prediction": 5.2505, "vector": [5.25]},
                  {"features": [1000, 0, 0, 0], "prediction": 500.79}]');
SELECT * FROM e2i_verify_model('linear');
SELECT jsonb_array_length(examples), tolerance FROM ml_model_registry WHERE model_name = 'linear';

-- Differences stop the registration: the first five are named.
SELECT e2i_register_model('linear', regress.onnx('shape_regression_flat'),
    examples => '[{"features": [1, 2, 3, 4], "prediction": 5.25}, {"features": [1, 2, 3, 4], "prediction": 5.26, "vector": [5.25, 1]}, {"features": [1, 2, 3, 4], "vector": [5]},
                  {"features": [1, 2, 3, 4], "prediction": "NaN"}, {"features": [1, 2, 3, 4], "prediction": "Infinity"}, {"features": [1, 2, 3, 4], "prediction": 1e300}]');
SELECT regress.raised($$SELECT e2i_register_model('linear', regress.onnx('shape_regression_flat'), tolerance => 0.01,
    examples => '[{"features": [1, 2, 3, 4], "prediction": 5.26}]')$$);
SELECT e2i_register_model('linear', regress.onnx('shape_regression_flat'), tolerance => 0.01);
-- So do labels and probabilities.
SELECT e2i_register_model('wine', regress.onnx('wine_forest'), feature_names => (SELECT names FROM golden WHERE model = 'wine_forest'),
    examples => (SELECT jsonb_build_array(rows -> 0 || '{"label": "merlot"}', rows -> 1 || '{"label": null, "vector": null, "probabilities": [0, 0, 0.25]}') FROM golden WHERE model = 'wine_forest'));

-- What a model has no answer to cannot be expected of it, and features must bind like everywhere.
SELECT v.why, regress.raised(format('SELECT e2i_register_model(''bad'', regress.onnx(''shape_regression_flat''), feature_names => ''{a,b,c,d}'', examples => %L, tolerance => %L)', examples, tolerance))
FROM (VALUES ('no classes', '[{"features": [1, 2, 3, 4], "prediction": 5.25}, {"features": [1, 2, 3, 4], "label": "1"}]', NULL::float8),
             ('no probabilities', '[{"features": [1, 2, 3, 4], "probabilities": [1]}]', NULL),
             ('a feature missing', '[{"features": {"a": 1, "b": 2, "c": 3}, "prediction": 1}]', NULL),
             ('a text', '[{"features": {"a": 1, "b": 2, "c": 3, "d": "x"}, "prediction": 1}]', NULL),
             ('a null', '[{"features": [1, 2, 3, null], "prediction": 1}]', NULL),
             ('nested', '[{"features": [[1, 2, 3, 4]], "prediction": 1}]', NULL),
             ('too many', '[{"features": [1, 2, 3, 4, 5], "prediction": 1}]', NULL),
             ('nothing to compare', '[{"features": [1, 2, 3, 4], "prediction": null}]', NULL),
             ('no features', '[{"prediction": 1}]', NULL), ('no row', '[]', NULL), ('no array', '{"features": [1, 2, 3, 4], "prediction": 1}', NULL),
             ('unknown', '[{"features": [1, 2, 3, 4], "prediction": 1, "probability": 1}]', NULL),
             ('a tolerance below 0', '[{"features": [1, 2, 3, 4], "prediction": 5.25}]', -1), ('a tolerance of NaN', '[{"features": [1, 2, 3, 4], "prediction": 5.25}]', 'NaN')) AS v (why, examples, tolerance);

-- Where no sample row can be made up, a golden row says what the model takes, and there is no warning.
SELECT e2i_register_model('notes', regress.onnx('notes_tfidf'), examples => (SELECT jsonb_build_array(rows -> 0) FROM golden WHERE model = 'notes_tfidf'));

-- Without golden rows there is nothing to verify; unknown models are what they are everywhere.
SELECT e2i_register_model('plain', regress.onnx('shape_regression_flat'));
SELECT * FROM e2i_verify_model('plain');
SELECT regress.raised($$SELECT * FROM e2i_verify_model('unknown')$$), regress.raised($$SELECT * FROM e2i_verify_model('models:/x')$$);
SELECT count(*) FROM e2i_verify_model(NULL);
-- Who may score may verify, in a read-only transaction as well.
CREATE ROLE regress_verifier;
SET ROLE regress_verifier;
SELECT * FROM e2i_verify_model('linear');
RESET ROLE;
GRANT SELECT ON ml_model_registry TO regress_verifier;
SET ROLE regress_verifier;
BEGIN READ ONLY;
SELECT bool_and(ok) FROM e2i_verify_model('linear');
COMMIT;
RESET ROLE;
REVOKE SELECT ON ml_model_registry FROM regress_verifier;
DROP ROLE regress_verifier;

SELECT count(*) FROM ml_model_registry WHERE model_name IN ('bad', 'wine');
SELECT count(e2i_drop_model(model_name || ':' || model_version, force => true)) > 0 AS dropped FROM ml_model_registry;
DROP TABLE golden;
