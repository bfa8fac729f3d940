-- Registration times both engines where both can score a version. e2i_serve.engine = 'fastest' gives batches to ONNX Runtime from the size on
-- from which it was faster; by default one engine scores a version, so that no score depends on its batch.
\set VERBOSITY default
SET client_min_messages = warning;
\set models `echo $E2I_MODELS`
CALL regress.begin_anew();
SELECT e2i_register_model('digits', regress.onnx('digits_mlp'));
SELECT e2i_register_model('trees', regress.onnx('breast_xgboost'));
SELECT e2i_register_model('file', pg_read_binary_file(:'models' || '/trained/lgb_custom.txt'));
SELECT e2i_register_model('running', regress.onnx('shape_cumsum'));
SELECT model_name, interface -> 'engine_times' -> 'exact' AS exact,
    jsonb_array_length(interface -> 'engine_times' -> 'native') BETWEEN 1 AND 3 AS timed,
    jsonb_array_length(interface -> 'engine_times' -> 'native') = jsonb_array_length(interface -> 'engine_times' -> 'onnxruntime') AS both
FROM ml_model_registry ORDER BY model_name;
SELECT name, regexp_replace(note, '[0-9]+\.[0-9]+', '…', 'g') AS note FROM e2i_describe_model('digits')
WHERE kind = 'pace' AND name IN ('rows 1', 'agreement');
SELECT name, note FROM e2i_describe_model('trees') WHERE kind = 'pace' AND name = 'agreement';
SELECT count(*) FROM e2i_describe_model('file') WHERE kind = 'pace';

-- As if ONNX Runtime had been faster from 32 rows on with one version, and never with the other.
ALTER TABLE ml_model_registry DISABLE TRIGGER version_is_immutable;
UPDATE ml_model_registry SET interface = jsonb_set(interface, '{engine_times}', '{"native": [1, 20, 20], "onnxruntime": [30, 10, 10], "exact": false}')
WHERE model_name = 'digits';
UPDATE ml_model_registry SET interface = jsonb_set(interface, '{engine_times}', '{"native": [1, 1, 1], "onnxruntime": [30, 10, 10], "exact": true}')
WHERE model_name = 'trees';
ALTER TABLE ml_model_registry ENABLE TRIGGER version_is_immutable;
SELECT name, note FROM e2i_describe_model('digits') WHERE kind = 'pace';

CREATE TABLE digit AS
SELECT n, ARRAY(SELECT ((n * 7 + i * i * 3) % 17)::float4 FROM generate_series(1, 64) i) AS features FROM generate_series(1, 64) n;
CREATE FUNCTION served(model text, rows int) RETURNS jsonb LANGUAGE sql AS $$
    SELECT e2i_serve(model, jsonb_build_object('features', jsonb_agg(features ORDER BY n))) FROM digit WHERE n <= rows
$$;
CREATE TABLE kept AS
SELECT served('digits', 64) AS many, served('digits', 31) AS few, (SELECT array_agg(e2i_predict_proba('digits', features) ORDER BY n) FROM digit) AS alone;
SET e2i_serve.engine = 'onnxruntime';
ALTER TABLE kept ADD on_runtime jsonb;
UPDATE kept SET on_runtime = served('digits', 64);

-- Rows and small batches: the native engine, and no other library is opened.
\c -
SET client_min_messages = warning;
SET e2i_serve.engine = 'fastest';
SET e2i_serve.batch_scan = off;
SELECT array_agg(e2i_predict_proba('digits', features) ORDER BY n) = (SELECT alone FROM kept) AS same FROM digit;
SELECT served('digits', 31) -> 'probabilities' = few -> 'probabilities' AS same FROM kept;
SELECT model, engine FROM e2i_session_cache;
SELECT pg_read_file('/proc/self/maps') LIKE '%libonnxruntime%' AS runtime_is_loaded;

-- From 32 rows on ONNX Runtime, to the bit what it answers to such a batch; and to rounding what the native engine does.
SELECT served('digits', 64) -> 'probabilities' = on_runtime -> 'probabilities' AS same,
    served('digits', 64) -> 'predictions' = many -> 'predictions' AS as_native FROM kept;
SELECT model, engine FROM e2i_session_cache;
SELECT array_agg(e2i_predict_proba('digits', features) ORDER BY n) = (SELECT alone FROM kept) AS same FROM digit;

-- A scan gives the engine batches, too.
\c -
SET client_min_messages = warning;
SET e2i_serve.engine = 'fastest';
LOAD 'e2i_serve';
SET e2i_serve.batch_scan = on;
SET e2i_serve.batch_size = 64;
SELECT max(abs(a - b)) < 1e-5 AS close
FROM (SELECT array_agg(e2i_predict_proba('digits', features) ORDER BY n) AS batched FROM digit) scan, kept, unnest(batched, alone) AS pair (a, b);
SELECT model, engine FROM e2i_session_cache;

-- Where it was not faster, where nobody timed it, and where it scores alone, everything is as without the setting. So are pinned scores.
SELECT e2i_serve('trees', jsonb_build_object('features', jsonb_agg(array_fill(n, ARRAY[30])))) IS NOT NULL AS scored FROM digit;
SELECT e2i_serve('file', jsonb_build_object('features', jsonb_agg(array_fill(n, ARRAY[5])))) IS NOT NULL AS scored FROM digit;
SELECT e2i_predict_vector('running', '[1, 2, 4]');
SELECT model, engine FROM e2i_session_cache ORDER BY model;
SELECT array_agg(e2i_predict_pinned('digits:1', features) ORDER BY n) IS NOT NULL AS scored FROM digit;
SELECT model, engine FROM e2i_session_cache WHERE model = 'digits' ORDER BY engine;

DROP TABLE digit, kept;
DROP FUNCTION served;
CALL regress.begin_anew();
