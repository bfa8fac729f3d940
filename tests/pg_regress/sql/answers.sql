-- What outputs mean is not always what it looks like. Every tests/models/answers/*.json holds a model, how it is registered,
-- and what its training library answers; a question that is null there must be refused. Both engines are asked.
\set VERBOSITY default
SET client_min_messages = warning;
\set models `echo $E2I_MODELS`
\set folder :models '/answers'
CALL regress.begin_anew();

CREATE TABLE answers (name text PRIMARY KEY, spec jsonb NOT NULL, artifact bytea NOT NULL);
INSERT INTO answers
SELECT name, spec, pg_read_binary_file(:'folder' || '/' || (spec ->> 'file'))
FROM (SELECT left(file, -5) AS name, pg_read_file(:'folder' || '/' || file)::jsonb AS spec
      FROM pg_ls_dir(:'folder') AS file WHERE file LIKE '%.json' AND file NOT LIKE '%.xgb.json') s;
CREATE TABLE answer_rows AS
SELECT name, n, r AS features FROM answers, jsonb_array_elements(spec -> 'rows') WITH ORDINALITY AS rows (r, n);

SELECT count(e2i_register_model(name, artifact, task => spec -> 'register' ->> 'task', class_scores => spec -> 'register' ->> 'class_scores',
           class_labels => (SELECT array_agg(l ORDER BY o) FROM jsonb_array_elements_text(spec -> 'register' -> 'class_labels') WITH ORDINALITY AS x (l, o)))) > 40 AS registered
FROM answers;
SELECT name, e2i_model_classes(name) AS got, spec -> 'classes' AS expected
FROM answers WHERE to_jsonb(e2i_model_classes(name)) IS DISTINCT FROM nullif(spec -> 'classes', 'null');

-- One answer as jsonb, or the SQLSTATE that it is refused with.
CREATE FUNCTION pg_temp.asked(question text, model text, features jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    RETURN CASE question
        WHEN 'label' THEN to_jsonb(e2i_predict_label(model, features))
        WHEN 'prediction' THEN to_jsonb(e2i_predict(model, features))
        WHEN 'probabilities' THEN to_jsonb(e2i_predict_proba(model, features))
        ELSE to_jsonb(e2i_predict_vector(model, features)) END;
EXCEPTION WHEN object_not_in_prerequisite_state THEN
    RETURN to_jsonb('refused'::text);
END $$;
CREATE FUNCTION pg_temp.near(expected jsonb, got jsonb, tolerance float8) RETURNS boolean LANGUAGE sql AS $$
    SELECT CASE
        WHEN jsonb_typeof(expected) = 'null' THEN got = '"refused"'
        WHEN jsonb_typeof(expected) <> jsonb_typeof(got) THEN false
        WHEN jsonb_typeof(expected) = 'number' THEN abs(expected::float8 - got::float8) <= tolerance * greatest(1, abs(expected::float8))
        WHEN jsonb_typeof(expected) = 'array' THEN jsonb_array_length(expected) = jsonb_array_length(got)
            AND (SELECT bool_and(abs((e)::float8 - (got -> (o::int - 1))::float8) <= tolerance * greatest(1, abs(e::float8)))
                 FROM jsonb_array_elements(expected) WITH ORDINALITY AS x (e, o))
        ELSE expected = got END
$$;
CREATE VIEW wrong AS
SELECT name, question, n, expected, got
FROM (SELECT a.name, question, n, coalesce(spec -> question -> (n::int - 1), 'null') AS expected, pg_temp.asked(question, a.name, features) AS got,
             (spec ->> 'tolerance')::float8 AS tolerance
      FROM answers a JOIN answer_rows r ON r.name = a.name, unnest(ARRAY['label', 'prediction', 'probabilities', 'vector']) AS question) asked
WHERE NOT pg_temp.near(expected, got, tolerance);
SELECT * FROM wrong ORDER BY name, question, n LIMIT 20;
DELETE FROM answer_rows USING ml_model_registry WHERE name = model_name AND framework <> 'onnx';
SET e2i_serve.engine = 'onnxruntime';
SELECT * FROM wrong ORDER BY name, question, n LIMIT 20;
RESET e2i_serve.engine;

-- What a classifier's numbers are is stored, and shown.
SELECT model_name, (SELECT note FROM e2i_describe_model(model_name) WHERE kind = 'output' AND note IS NOT NULL) AS numbers, interface ->> 'pair' AS pair
FROM ml_model_registry WHERE model_name ~ '^(logit_1|svc|raw|ridge|linear|catboost_1|columns_t)' ORDER BY model_name COLLATE "C";

-- Refused with the way out.
SELECT e2i_predict('svc', '[0, 0, 0, 0]');
SELECT e2i_predict_proba('logit_1', '[0, 0]');
SELECT e2i_predict_label('logit_1', '[0, 0]');
SELECT e2i_predict_proba('logit_1_margin', '[0, 0]');
SELECT e2i_serve('svc', '{"features": [0, 0, 0, 0]}') -> 'predictions' AS predictions, e2i_serve('svc', '{"features": [0, 0, 0, 0]}') ? 'probabilities' AS has_probabilities;

-- Said at registration, unless the caller says what the numbers are.
SET client_min_messages = notice;
SELECT e2i_register_model('svc', artifact), e2i_register_model('svc', artifact, class_scores => 'margin') FROM answers WHERE name = 'svc';
SELECT e2i_register_model('four', artifact, task => 'binary_classification') FROM answers WHERE name = 'logit_1';
SET client_min_messages = warning;

-- Statements that the model contradicts.
SELECT e2i_register_model('wrong', artifact, class_scores => 'probability') FROM answers WHERE name = 'svc';
SELECT e2i_register_model('wrong', artifact, class_scores => 'logit') FROM answers WHERE name = 'catboost_1_2';
SELECT e2i_register_model('wrong', artifact, class_scores => 'logit') FROM answers WHERE name = 'logit_1';
SELECT e2i_register_model('wrong', artifact, class_scores => 'odds') FROM answers WHERE name = 'logit_1';
SELECT e2i_register_model('wrong', artifact, task => 'binary_classification') FROM answers WHERE name = 'lgb_own_objective';
SELECT e2i_register_model('wrong', artifact, task => 'multiclass_classification', class_scores => 'logit') FROM answers WHERE name = 'lgb_own_objective';
SELECT e2i_register_model('wrong', pg_read_binary_file(:'models' || '/trained/lgb_binary.txt'), class_scores => 'logit');

-- Outputs that cannot be read as they are say what to do; labels are text, and one of the classes.
CREATE FUNCTION pg_temp.said(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE hint text;
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(' | ', SQLSTATE, SQLERRM, nullif(hint, ''));
END $$;
SELECT file, pg_temp.said(format('SELECT e2i_register_model(%L, pg_read_binary_file(%L))', file, :'folder' || '/' || file))
FROM pg_ls_dir(:'folder') AS file WHERE file LIKE 'refused%' ORDER BY file COLLATE "C";
SET client_min_messages = notice;
SELECT e2i_register_model('two', pg_read_binary_file(:'folder' || '/said_two_numbers.onnx'));
SET client_min_messages = warning;
SELECT e2i_predict('two', '[1, 2]');
SELECT e2i_register_model('computed', pg_read_binary_file(:'folder' || '/labels_computed.onnx')),
       e2i_register_model('computed', pg_read_binary_file(:'folder' || '/labels_computed.onnx'), class_labels => '{7,9}');
SELECT e2i_predict_label('computed:1', '[1, 2]');
SELECT e2i_model_classes('computed:2') AS classes, e2i_predict_label('computed:2', '[1, 2]') AS second, e2i_predict_label('computed:2', '[2, 1]') AS first;
