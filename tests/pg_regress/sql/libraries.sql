-- XGBoost's JSON and UBJSON and LightGBM's text are registered as they were saved, with no converter in between: feature names,
-- classes and missing values come along, and the answers are the library's own, to the last bit.
\set VERBOSITY default
SET client_min_messages = warning;
\set models `echo $E2I_MODELS`
CALL regress.begin_anew();

CREATE TABLE saved AS
SELECT regexp_replace(file, '\.(json|ubj|txt)$', '') AS model, file, pg_read_binary_file(:'models' || '/trained/' || file) AS bytes
FROM pg_ls_dir(:'models' || '/trained') AS file WHERE file ~ '\.(json|ubj|txt)$' AND file !~ 'golden';
CREATE TABLE expected AS
SELECT replace(file, '.golden.json', '') AS model, n, r -> 'features' AS features, r -> 'prediction' AS prediction, r ->> 'label' AS label
FROM pg_ls_dir(:'models' || '/trained') AS file,
     jsonb_array_elements(pg_read_file(:'models' || '/trained/' || file)::jsonb -> 'rows') WITH ORDINALITY AS rows (r, n)
WHERE file ~ 'golden';

-- All of them, each under the name of its file; what is not trees with constant leaves is refused.
SELECT e2i_register_model('refused', bytes) FROM saved WHERE model = 'lgb_linear';
SELECT count(e2i_register_model(file, bytes)) = count(*) AS registered FROM saved WHERE model <> 'lgb_linear';
SELECT framework, engine, count(*) > 20 AS many FROM ml_model_registry GROUP BY 1, 2 ORDER BY 1;

-- Every row of every file: numbers equal, not merely close; labels too.
SELECT framework, count(DISTINCT model) > 20 AS many_models, count(*) > 500 AS many_rows,
       count(*) FILTER (WHERE to_jsonb(e2i_predict_vector(file, features)) IS DISTINCT FROM prediction
                          AND to_jsonb(e2i_predict_vector(file, features)) -> 0 IS DISTINCT FROM prediction) AS wrong_numbers,
       count(*) FILTER (WHERE label IS NOT NULL AND task LIKE '%classification' AND e2i_predict_label(file, features) <> label) AS wrong_labels
FROM expected JOIN saved USING (model) JOIN ml_model_registry ON model_name = file
GROUP BY framework ORDER BY framework;

-- Feature names are the library's, or as the library calls features without names.
SELECT model_name, task, class_labels, (SELECT string_agg(name, ' ' ORDER BY position) FROM e2i_describe_model(model_name) WHERE kind = 'feature') AS features
FROM ml_model_registry WHERE model_name ~ '^(xgb_binary|lgb_classes|xgb_squared)\.' ORDER BY 1;

-- Statements about a model apply as they do to a graph; one that contradicts the file is an error.
SELECT e2i_register_model('named', bytes, feature_names => '{a,b,c,d,e}', class_labels => '{stays,leaves}') FROM saved WHERE file = 'xgb_binary.ubj';
SELECT e2i_predict('named', '{"e": 1, "d": 0, "c": null, "b": 2, "a": 3}') = e2i_predict('xgb_binary.json', '[3, 2, null, 0, 1]') AS same,
       e2i_predict_label('named', '[3, 2, null, 0, 1]') AS label;
SELECT regress.raised(format('SELECT e2i_register_model(''wrong'', bytes, %s) FROM saved WHERE file = ''xgb_binary.json''', option))
FROM unnest(ARRAY[$$framework => 'onnx'$$, $$framework => 'catboost'$$, $$task => 'regression'$$, $$feature_names => '{a}'$$, $$preprocessor => 'x'$$]) AS option;

-- Damaged files, cut at each eighth and with single bytes changed, are refused or scored; nothing else happens.
CREATE TABLE damaged AS
SELECT file, 'cut' AS damage, substring(bytes FOR length(bytes) * i / 8) AS bytes FROM saved, generate_series(0, 7) i WHERE file IN ('xgb_sets.json', 'xgb_sets.ubj', 'lgb_sets.txt')
UNION ALL
SELECT file, 'changed', set_byte(bytes, (i * 7919 + 13) % length(bytes), (i * 31) % 256) FROM saved, generate_series(1, 20) i WHERE file IN ('xgb_sets.json', 'xgb_sets.ubj', 'lgb_sets.txt');
CREATE FUNCTION pg_temp.outcome(bytes bytea) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM e2i_register_model('damaged', bytes, deploy => false);
    PERFORM e2i_predict_vector('damaged:' || (SELECT max(model_version::int) FROM ml_model_registry WHERE model_name = 'damaged'), '[1, 2, null, 4, 5]');
    RETURN 'scored or refused';
EXCEPTION WHEN invalid_parameter_value OR feature_not_supported OR program_limit_exceeded THEN
    RETURN 'scored or refused';
END $$;
SELECT damage, pg_temp.outcome(bytes) AS outcome, count(*) FROM damaged GROUP BY 1, 2 ORDER BY 1;
DROP TABLE damaged;

-- ONNX Runtime is no part of it.
\c -
SET client_min_messages = warning;
SELECT e2i_predict('lgb_binary.txt', '[1, 2, 3, 4, 5]') IS NOT NULL AS scored, pg_read_file('/proc/self/maps') LIKE '%libonnxruntime%' AS runtime_is_loaded;
SET e2i_serve.engine = 'onnxruntime';
SELECT e2i_predict('lgb_binary.txt', '[1, 2, 3, 4, 5]');

CALL regress.begin_anew();
DROP TABLE saved, expected;
