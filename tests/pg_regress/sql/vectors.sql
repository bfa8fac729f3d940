-- An input of the model that a row holds in one value, an embedding for instance: MLflow's "array" in the signature, or the name that the
-- graph has for the tensor.
\set VERBOSITY default
SET client_min_messages = warning;
CALL regress.begin_anew();
CREATE FUNCTION pg_temp.signed(VARIADIC inputs text[]) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('inputs', jsonb_agg(input::jsonb)) FROM unnest(inputs) AS input
$$;
\set emb '{"name": "emb", "type": "array", "items": {"type": "double"}, "required": true}'

-- The graph's own names: y = l1 + 2 l2 + 4 l3 - 8 r1 + 16 r2, over left [N,3] and right [N,2].
SELECT e2i_register_model('two', regress.onnx('shape_two_tensors'));
CREATE TABLE docs (id int, "left" float8[], "right" real[], note text);
INSERT INTO docs VALUES (1, '{1,2,3}', '{4,5}', 'x'), (2, '{-1,0.5,0}', '{0,1}', 'y');
SELECT id, e2i_predict('two', d) AS of_a_row, e2i_predict('two', to_jsonb(d)) AS of_json, e2i_predict('two', to_jsonb(d)::text) AS of_text,
       e2i_predict('two', to_json(d)) AS of_plain_json, e2i_predict_pinned('two:1', to_jsonb(d)) AS pinned FROM docs d ORDER BY id;
SELECT e2i_predict('two', (SELECT r FROM (SELECT ARRAY[1, 2, 3] AS "left", ARRAY['4', 5]::numeric[] AS "right") r)) AS of_other_arrays,
       e2i_predict('two', '{"left": [1, 2, 3], "right": "[4, 5]"}') AS of_a_text,
       e2i_predict('two', ARRAY[1, 2, 3, 4, 5]) AS by_position;
-- Batches, with the plan node and without, and after other columns that are null.
SELECT sum(e2i_predict('two', r)) FROM (SELECT NULL::text AS a, ARRAY[i, i, i]::float8[] AS "left", '{0,1}'::float8[] AS "right" FROM generate_series(1, 3000) AS i) r;
CREATE TABLE many AS SELECT i AS id, ARRAY[i, i, i]::float8[] AS "left", ARRAY[0, 1]::real[] AS "right" FROM generate_series(1, 3000) AS i;
SELECT sum(e2i_predict('two', many)), count(*) FILTER (WHERE e2i_predict('two', many) > 1000) FROM many;

-- A signature names the array and says what the other columns leave of a matrix to it.
SELECT e2i_register_model('mixed', regress.onnx('shape_regression_flat'),
    signature => pg_temp.signed('{"name": "age", "type": "long"}', :'emb', '{"name": "dose", "type": "double", "required": false}'));
SELECT position, name, type, shape, required, takes_null FROM e2i_describe_model('mixed') WHERE kind = 'feature';
SELECT jsonb_pretty(signature -> 'inputs') FROM ml_model_registry WHERE model_name = 'mixed';
-- y = 0.5 age - 1.25 emb[1] + 2 emb[2] + 0.125 dose + 0.75
SELECT e2i_predict('mixed', r) AS of_a_row, e2i_predict('mixed', to_jsonb(r)) AS of_json, e2i_predict('mixed', '[40, [2, 1], 80]'::jsonb) AS by_position,
       e2i_predict('mixed', ARRAY[40, 2, 1, 80]) AS flat, e2i_predict('mixed', '{"age": 40, "emb[1]": 2, "emb[2]": 1, "dose": 80}') AS by_element
FROM (SELECT 40 AS age, ARRAY[2, 1]::real[] AS emb, 80 AS dose) r;
SELECT feature, tensor, position, value, problem FROM e2i_check_features('mixed', '{"age": 40, "emb": [2, "one"]}');

-- pgvector's types are read as the text that they print; this one stands for them.
CREATE TYPE vector;
CREATE FUNCTION vector_in(cstring) RETURNS vector LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION vector_out(vector) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE TYPE vector (INPUT = vector_in, OUTPUT = vector_out, LIKE = text);
CREATE DOMAIN embedding AS vector;
SELECT e2i_predict('mixed', r) AS of_a_row, e2i_predict('mixed', to_jsonb(r)) AS of_json
FROM (SELECT 40 AS age, '[2,1e0]'::vector AS emb, 80 AS dose) r;
SELECT e2i_predict('mixed', r) AS of_a_domain FROM (SELECT 40 AS age, '[2,1]'::embedding AS emb, 80 AS dose) r;

-- Every form of e2i_serve.
SELECT payload, e2i_serve('mixed', payload::jsonb) -> 'predictions' AS predictions FROM unnest(ARRAY[
    '{"features": {"age": 40, "emb": [2, 1], "dose": 80}}',
    '{"input_data": {"features": [{"age": 40, "emb": [2, 1], "dose": 80}, {"age": 40, "emb": [2, 1], "dose": 0}]}}',
    '{"features": [[40, [2, 1], 80], [40, 2, 1, 0]]}',
    '{"dataframe_split": {"columns": ["emb", "age", "dose"], "data": [[[2, 1], 40, 80], [[0, 0], 0, 0]]}}',
    '{"dataframe_records": [{"age": 40, "emb": [2, 1], "dose": 80}]}',
    '{"instances": [{"age": 40, "emb": [2, 1], "dose": 80}]}',
    '{"inputs": {"age": [40, 0], "emb": [[2, 1], [0, 0]], "dose": [80, 0]}}',
    '{"inputs": [{"name": "emb", "shape": [1, 2], "datatype": "FP64", "data": [2, 1]}, {"name": "age", "shape": [1, 1], "datatype": "INT64", "data": [40]},
                 {"name": "dose", "shape": [1, 1], "datatype": "FP32", "data": [80]}]}']) AS payload;

-- Golden rows give it whole, too; and what is missing.
SELECT e2i_register_model('proved', regress.onnx('shape_two_tensors'), signature => pg_temp.signed(:'emb', '{"name": "other", "type": "array", "items": {"type": "float"}, "required": false}'),
    examples => '[{"features": {"emb": [1, 2, 3], "other": [4, 5]}, "prediction": 65}]');
SELECT e2i_register_model('proved', regress.onnx('shape_two_tensors'), signature => pg_temp.signed('{"name": "left", "type": "array", "items": {"type": "double"}}',
    '{"name": "right", "type": "array", "items": {"type": "double"}, "default": [4, 5]}'), examples => '[{"features": {"left": [1, 2, 3]}, "prediction": 65}, {"features": {"left": [1, 2, 3], "right": [0, 0]}, "prediction": 17}]');
SELECT e2i_predict('proved', '{"left": [1, 2, 3]}') AS default_of_all, e2i_predict('proved', '{"left": [1, 2, 3], "right": null}') AS of_null,
       e2i_predict('proved', '{"left": [1, 2, 3], "right": [null, 0]}') AS of_one;

-- What is no such array is refused, with model, feature and value.
SELECT "left", regress.raised(format('SELECT e2i_predict(''two'', (SELECT r FROM (SELECT %s AS "left", ARRAY[1, 2] AS "right") r))', "left")) AS of_a_row
FROM unnest(ARRAY['ARRAY[1,2]', 'ARRAY[1,2,3,4]', 'ARRAY[]::int[]', 'ARRAY[[1,2,3]]', 'ARRAY[1,NULL,3]', 'NULL::float8[]', 'ARRAY[''a'',''b'',''c'']', 'ARRAY[1e300,1,1]',
    '3', '''x''::text', '''[1,2]''::text', '''[1,2,x]''::text', '''\x01''::bytea', '''[1,2,"x"]''::jsonb', 'ARRAY[date ''2026-01-01'', NULL, NULL]']) AS "left";
SELECT value, regress.raised(format('SELECT e2i_predict(''two'', %L::jsonb)', format('{"left": %s, "right": [1, 2]}', value))) AS of_json
FROM unnest(ARRAY['[1,2]', '[1,2,3,4]', '[]', '[[1,2,3]]', '[[1],[2,3],[]]', '[1,null,3]', 'null', '[1,[2],3]', '[[1],[2],3]', '[1,{},3]', '"x"', '"[1,2,NaN]"', '3', 'true', '{"a": 1}']) AS value;
SELECT e2i_predict('two', '{"left": [1, 2, "x"], "right": [1, 2]}');
SELECT e2i_predict('mixed', '{"age": 40, "dose": 80, "embedding": [2, 1]}');
SELECT e2i_predict('mixed', '[40, [2, 1, 3], 80]'::jsonb);
SELECT e2i_predict('mixed', '[[40, 2, 1, 80]]'::jsonb);
SELECT e2i_predict('two', '[[1, 2, 3], [4, 5]]'::jsonb);
SELECT regress.raised($$SELECT e2i_serve('two', '{"inputs": {"left": [[1, 2]], "right": [[1, 2]]}}')$$);
SELECT regress.raised(format('SELECT e2i_register_model(''bad'', regress.onnx(''shape_two_tensors''), signature => %L)', pg_temp.signed(VARIADIC inputs))), inputs
FROM (VALUES (ARRAY[:'emb']), (ARRAY[:'emb', '{"name": "left", "type": "double"}']), (ARRAY['{"name": "emb", "type": "array"}']),
    (ARRAY['{"name": "left", "type": "array", "items": {"type": "object"}}', '{"name": "right", "type": "array", "items": {"type": "string"}}']),
    (ARRAY['{"name": "left", "type": "array", "items": {"type": "double"}}', '{"name": "right", "type": "array", "items": {"type": "string"}}'])) AS v (inputs);

-- A trigger scores it as it is written.
ALTER TABLE docs ADD COLUMN score float8;
SELECT e2i_score_on_write('docs', 'two', target => 'score');
UPDATE docs SET "left"[3] = 0 WHERE id = 1 RETURNING id, score, score = e2i_predict('two', docs) AS same;
DROP TABLE docs, many;
DROP DOMAIN embedding;
DROP TYPE vector CASCADE;
CALL regress.begin_anew();
