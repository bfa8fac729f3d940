-- What a feature's value means: categories of a data frame, missing ones, points in time. A row gives the value that the frame
-- had, in every spelling; the model sees the code.
\set VERBOSITY default
SET client_min_messages = notice;
\set models `echo $E2I_MODELS`
SET client_min_messages = warning;
CALL regress.begin_anew();
SET client_min_messages = notice;
CREATE FUNCTION pg_temp.library(file text) RETURNS bytea LANGUAGE sql AS $$
    SELECT pg_read_binary_file(current_setting('e2i_test.models') || '/libraries/' || file)
$$;
CREATE FUNCTION pg_temp.golden(model text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT pg_read_file(current_setting('e2i_test.models') || '/libraries/' || model || '.golden.json')::jsonb
$$;

-- Registered with what the library predicts for such rows, to the bit.
SELECT e2i_register_model('frame', pg_temp.library('lgb_frame.txt'), examples => pg_temp.golden('lgb_frame'), tolerance => 0);
SELECT e2i_register_model('boosted', pg_temp.library('xgb_frame.ubj'), examples => pg_temp.golden('xgb_frame'), tolerance => 0);
SELECT e2i_register_model('reversed', pg_temp.library('lgb_reversed.txt'), examples => pg_temp.golden('lgb_reversed'), tolerance => 0);
SELECT count(e2i_register_model(model, pg_temp.library(model || '.json'), examples => pg_temp.golden(model), tolerance => 0)) AS base_scores
FROM unnest('{xgb_all_0,xgb_all_1,xgb_shares_all_1,xgb_margins_all_0,xgb_counts_all_0,xgb_low_base,xgb_high_base,xgb_untrained,xgb_untrained_base}'::text[]) AS model;
SELECT e2i_register_model('old', pg_temp.library('lgb_2_1_2.txt'), examples => pg_temp.golden('lgb_2_1_2'), tolerance => 0);

-- A feature is listed as what a row gives, with the values.
SELECT position, name, type, takes_null, note FROM e2i_describe_model('frame') WHERE kind = 'feature';
SELECT i ->> 'name' AS name, i ->> 'type' AS mlflow
FROM ml_model_registry, jsonb_array_elements(signature -> 'inputs') AS i WHERE model_name = 'frame';

-- A row of columns of every type that fits, an object, text, an array.
CREATE TYPE flavour AS ENUM ('New York', 'Köln');
CREATE TABLE homes (age float8, city varchar(20), cylinders smallint, flag boolean, size char(4), share numeric, rare text, constant text);
INSERT INTO homes VALUES (41.5, 'Köln', 3, true, 'M', 0.5, 'u', 'only'), (30, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
SELECT e2i_predict('frame', h) = e2i_predict('frame', to_jsonb(h) || '{"size": "M"}') AS object,
       e2i_predict('frame', h) = e2i_predict('frame', '[41.5, "Köln", 3.0, 1, "M", "0.5", "u", "only"]') AS as_text,
       e2i_predict('frame', h) = e2i_predict('frame', r) AS other_types
FROM homes h, (SELECT 41.5::real AS age, 'Köln'::flavour AS city, '3' AS cylinders, 1 AS flag, 'M'::name AS size,
                      0.5::float8 AS share, 'u' AS rare, 'only' AS constant) r
WHERE h.city IS NOT NULL;
SELECT e2i_predict('reversed', ARRAY['1']) AS one, e2i_predict('reversed', ARRAY[0]) AS zero, e2i_predict('reversed', ARRAY[true]) AS truth,
       e2i_predict('boosted', '{"age": 30, "city": "NaN", "cylinders": 8}') = e2i_predict('boosted', '{"age": 30, "city": null, "cylinders": 8}') AS named_nan_is_missing;
SELECT feature, value, problem FROM e2i_check_features('frame', (SELECT h FROM homes h WHERE age = 41.5));
SELECT feature, value, problem FROM e2i_check_features('boosted', '{"age": 30, "city": "Berlin", "cylinders": "-5"}'::jsonb);

-- A value that the frame had not: missing to LightGBM, an error of XGBoost's. A value of another kind is an error.
SELECT e2i_predict('frame', to_jsonb(h) || '{"size": "M", "cylinders": 4}') = e2i_predict('frame', to_jsonb(h) || '{"size": "M", "cylinders": null}') AS missing
FROM homes h WHERE age = 41.5;
SELECT e2i_predict('boosted', '{"age": 30, "city": "Berlin", "cylinders": 8}');
SELECT e2i_predict('boosted', '{"age": 30, "city": "", "cylinders": 5}');
SELECT e2i_predict('boosted', '{"age": 30, "city": 3, "cylinders": 8}');
SELECT e2i_predict('boosted', '{"age": 30, "city": "", "cylinders": "eight"}');
SELECT e2i_predict('boosted', '{"age": 30, "city": "", "cylinders": [8]}');

-- In batches.
SELECT e2i_serve('reversed', '{"features": [{"g": 1}, {"g": 0}, [true], {"g": null}]}') -> 'predictions' AS predictions;

-- MLflow's signature: a category is text or a number, whole numbers may be double for the sake of missing ones.
SELECT e2i_register_model('signed', pg_temp.library('xgb_frame.json'), signature =>
    '{"inputs": [{"name": "age", "type": "double"}, {"name": "city", "type": "string"}, {"name": "cylinders", "type": "double", "required": false, "default": 8}],
      "params": [{"name": "temperature", "type": "double", "default": 1.0, "shape": null}]}');
SELECT e2i_predict('signed', '{"age": 30, "city": ""}') = e2i_predict('boosted', '{"age": 30, "city": "", "cylinders": 8}') AS by_default;
SELECT signature FROM ml_model_registry WHERE model_name = 'signed';
SELECT e2i_register_model('wrong', pg_temp.library('lgb_reversed.txt'), signature => '{"inputs": [{"name": "g", "type": "datetime"}]}');
SELECT e2i_register_model('wrong', pg_temp.library('lgb_reversed.txt'), signature => '{"inputs": [{"name": "g", "type": "long", "default": 7}]}');
SELECT e2i_register_model('wrong', pg_temp.library('lgb_reversed.txt'), signature => '{"inputs": [{"name": "g", "type": "array", "items": {"type": "double"}}]}');

-- A file that does not tell its categories takes codes, and says so; the signature can state them.
SELECT e2i_register_model('cut', pg_temp.library('xgb_cut.json'));
SELECT e2i_predict('cut', ARRAY[1]) AS by_code;
SELECT e2i_predict('cut', ARRAY['Köln']);
SELECT e2i_register_model('stated', pg_temp.library('xgb_cut.json'), signature => '{"inputs": [{"name": "city", "type": "string", "categories": ["Bonn", "Köln", "München"]}]}');
SELECT e2i_predict('stated', ARRAY['Köln']) AS by_value;

-- What is of another time is named.
SELECT e2i_register_model('binary', pg_temp.library('xgb_1_0_2.model'));
SELECT e2i_register_model('marked', '\xefbbbf'::bytea || pg_temp.library('lgb_reversed.txt'));

-- A point in time is a timestamp's number, also as JSON's text.
SELECT e2i_register_model('visits', regress.onnx('shape_int64_matrix'), signature =>
    '{"inputs": [{"name": "at", "type": "datetime"}, {"name": "b", "type": "double"}, {"name": "c", "type": "long"}, {"name": "d", "type": "long"}]}');
SELECT e2i_predict('visits', r) = e2i_predict('visits', '{"at": "2024-01-01T00:00:00", "b": 1, "c": 2, "d": 3}') AS same
FROM (SELECT '2024-01-01'::timestamp AS at, 1 AS b, 2 AS c, 3 AS d) r;
SELECT e2i_predict('visits', '{"at": "yesterday", "b": 1, "c": 2, "d": 3}');
SELECT e2i_predict('visits', '{"at": "2024-01-01", "b": null, "c": 2, "d": 3}');
DROP TABLE homes;
DROP TYPE flavour;
