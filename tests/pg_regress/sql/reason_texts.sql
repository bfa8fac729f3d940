-- What reasons say: the usual texts, those that users have written, in a language; and of which direction they are.
\set VERBOSITY default
SET client_min_messages = warning;
CALL regress.begin_anew();
SET e2i_serve.instruction_set = 'portable';
\set models `echo "$E2I_MODELS"`
\set binary :models '/trained/xgb_binary.json'
SELECT count(e2i_register_model('risk', pg_read_binary_file(:'binary')));
CREATE TEMP TABLE patients (id int, age float8, "blood pressure" float8, "é" float8, d float8, e float8);
INSERT INTO patients VALUES (1, 0.1, 0.5, -3, 0, 1), (2, -0.1, NULL, 8, 0.2, -1);
SELECT id, rank, feature, text FROM patients p, e2i_reasons('risk', p) ORDER BY id, rank;

-- A text of a feature comes before one of all, then one of the model.
INSERT INTO ml_reason_texts (feature, direction, text) VALUES
    ('age', 'up', 'At {value} years {feature} goes {direction} by {contribution}'), (NULL, 'down', 'any: {feature}');
INSERT INTO ml_reason_texts (feature, direction, text, text_missing, model) VALUES
    ('blood pressure', 'up', 'Blood pressure is {value}, which raises the risk', 'Nobody measured the blood pressure', 'risk'),
    ('age', 'up', 'not of this model', NULL, 'another'), (NULL, 'up', 'of the model: {feature}', NULL, 'risk');
SELECT id, rank, feature, text FROM patients p, e2i_reasons('risk', p, 9) ORDER BY id, rank;
SELECT id, driver ->> 'feature' AS feature, driver ->> 'text' AS text
FROM patients p, jsonb_array_elements(e2i_explain('risk', p) -> 'key_drivers') WITH ORDINALITY d (driver, rank) WHERE id = 2 ORDER BY rank;

-- In a language without a text for a reason nothing is made up.
INSERT INTO ml_reason_texts (feature, direction, language, text) VALUES (NULL, 'up', 'de', '{feature} ist {value}, was das Risiko erhöht');
SELECT feature, text FROM patients p, e2i_reasons('risk', p, 2, language => 'de') WHERE id = 1;
SELECT feature, text FROM patients p, e2i_reasons('risk', p, 2, language => 'de') WHERE id = 2;
SELECT e2i_explain('risk', p, language => 'fr') FROM patients p WHERE id = 1;

-- Those that raise the number, for a letter about one that is high; or those that lower it.
SELECT id, rank, feature, direction FROM patients p, e2i_reasons('risk', p, 9, towards => 'up') ORDER BY id, rank;
SELECT id, rank, feature, direction FROM patients p, e2i_reasons('risk', p, 1, towards => 'down') ORDER BY id, rank;
SELECT count(*) FROM patients p, e2i_reasons('risk', p, 9, towards => 'left');

-- Of equal size the first of the model comes first: a sum, against zeros.
\set cumsum :models '/shape_cumsum.onnx'
SELECT count(e2i_register_model('ties', pg_read_binary_file(:'cumsum')));
SELECT e2i_set_background('ties', 'SELECT 0 AS f0, 0 AS f1, 0 AS f2');
SELECT rank, feature, contribution, direction FROM e2i_reasons('ties', ARRAY[2, -2, 2]);
SELECT rank, feature, direction FROM e2i_reasons('ties', ARRAY[2, -2, 2], 1);
SELECT rank, feature, direction FROM e2i_reasons('ties', ARRAY[2, -2, 2], towards => 'up');
SELECT count(e2i_drop_model('ties:1', force => true));

-- What cannot be filled in is refused when it is written; what is filled in is not looked into.
\set VERBOSITY terse
INSERT INTO ml_reason_texts (direction, text) VALUES ('up', '{name} is high');
INSERT INTO ml_reason_texts (direction, text, text_missing) VALUES ('up', 'high', 'no {');
INSERT INTO ml_reason_texts (direction, text) VALUES ('sideways', 'high');
INSERT INTO ml_reason_texts (feature, direction, text) VALUES ('age', 'up', 'twice');
\set VERBOSITY default
UPDATE ml_reason_texts SET text = '{feature}' WHERE feature IS NULL AND model = 'risk';
SELECT rank, text FROM e2i_reasons('risk', '{"age": 0.1, "blood pressure": 0.5, "é": 8, "d": 0, "e": 1}', 9, towards => 'up');

-- Who may score reads what is said; admins write it.
CREATE ROLE regress_clerk;
CREATE ROLE regress_admin;
SELECT e2i_grant_usage('regress_clerk', 'deployer'), e2i_grant_usage('regress_admin', 'admin');
SET ROLE regress_clerk;
SELECT text FROM e2i_reasons('risk', '[0.1, 0.5, -3, 0, 1]', 1);
SELECT count(*) FROM ml_reason_texts;
INSERT INTO ml_reason_texts (direction, text) VALUES ('up', 'high');
SET ROLE regress_admin;
INSERT INTO ml_reason_texts (feature, direction, text) VALUES ('é', 'up', 'high');
DELETE FROM ml_reason_texts;
RESET ROLE;
DROP OWNED BY regress_clerk, regress_admin;
DROP ROLE regress_clerk, regress_admin;
SELECT count(e2i_drop_model('risk:1', force => true));
