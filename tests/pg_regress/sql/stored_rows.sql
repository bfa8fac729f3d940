-- Features are read from rows as they are stored, where they stand at the same place in each. That gives what taking the rows apart
-- does, whichever columns there are, were or came later.
\set VERBOSITY terse
SET client_min_messages = warning;
SET e2i_serve.batch_scan = on;
CALL regress.begin_anew();
CREATE SCHEMA stored;
SET search_path = stored, public;
-- y = 0.5a - 1.25b + 2c + 0.125d + 0.75
SELECT FROM e2i_register_model('linear', regress.onnx('shape_regression_flat'), feature_names => '{a,b,c,d}');
-- Trees, which take what is missing; these are of three classes.
SELECT FROM e2i_register_model('trees', pg_read_binary_file(current_setting('e2i_test.models') || '/trained/xgb_softprob.json'),
    feature_names => '{a,b,c,d,z}', class_labels => '{low,middle,high}');

CREATE TABLE whole AS SELECT i AS id, (i % 7)::smallint AS a, (i / 3.0)::real AS b, sqrt(i) AS c, (i * 1000)::bigint AS d, sin(i) AS z FROM generate_series(1, 40) i;
CREATE TABLE aligned (first "char", a smallint, second boolean, b real, third "char", c float8, fourth name, d integer, fifth "char");
INSERT INTO aligned SELECT 'x', a, true, b, 'y', c, 'z', d, 'w' FROM whole;
CREATE DOMAIN amount AS float8 CHECK (VALUE >= 0);
CREATE TABLE domains AS SELECT a::float8::amount AS a, b::float8::amount AS b, c::amount AS c, d > 20000 AS d FROM whole;
CREATE TABLE before (gone text, a int, gone_too bigint, b int, c int, d int, last text);
INSERT INTO before SELECT repeat('g', id), a, NULL, b, c, d, 'x' FROM whole WHERE id <= 20;
ALTER TABLE before DROP COLUMN gone, DROP COLUMN gone_too;
INSERT INTO before SELECT a, b, c, d FROM whole;
CREATE TABLE later AS SELECT a, b FROM whole;
ALTER TABLE later ADD c float8 DEFAULT 0.25, ADD note text, ADD d int DEFAULT 7;
INSERT INTO later SELECT a, b, c, 'new', d FROM whole;
CREATE TABLE computed (a int, b int, c int GENERATED ALWAYS AS (a + b) STORED, d int);
INSERT INTO computed (a, b, d) SELECT a, b, d FROM whole;
CREATE TABLE null_after AS SELECT a, b, c, d, z, NULLIF(id % 3, 0) AS e, repeat('t', 3000) AS f FROM whole;
CREATE TABLE null_before AS SELECT NULLIF(id % 3, 0) AS e, a, b, c, d FROM whole;
CREATE TABLE null_within AS SELECT a, NULLIF(b, 5) AS b, c, d, z FROM whole;
CREATE TABLE text_before AS SELECT a, repeat('t', id) AS e, b, c, d FROM whole;
CREATE TABLE many_columns AS SELECT a, b, c, 0 AS e1, 0 AS e2, 0 AS e3, 0 AS e4, d, NULLIF(id % 2, 0) AS e5, 1 AS e6 FROM whole;
CREATE TABLE parts (a int, b real, c float8, d int) PARTITION BY LIST (a);
CREATE TABLE parts_1 (d int, gone int, b real, a int, c float8);
ALTER TABLE parts_1 DROP COLUMN gone;
ALTER TABLE parts ATTACH PARTITION parts_1 FOR VALUES IN (1, 2, 3);
CREATE TABLE parts_2 PARTITION OF parts DEFAULT;
INSERT INTO parts SELECT a, b, c, d FROM whole;
-- What no float32 holds, or JSON not as a number, in the last row.
CREATE TABLE large AS SELECT a::float8, b::float8, c, d::float8 FROM whole UNION ALL SELECT 1e39, 1, 1, 1;
CREATE TABLE infinite AS SELECT a::float8, b::float8, c, d::float8 FROM whole UNION ALL SELECT 1, 'Infinity', 1, 1;
CREATE TABLE not_numbers AS SELECT a::float8, b::float8, c, d::float8, z FROM whole UNION ALL SELECT 1, 1, 'NaN', 1, 1;
CREATE TABLE not_exact AS SELECT a, b, c, d FROM whole UNION ALL SELECT 1, 1, 1, 9007199254740993;
CREATE TABLE signed AS SELECT -0.0::float8 AS a, '-0'::real AS b, -1e-300::float8 AS c, '7.038531e-26'::real AS d FROM whole;

CREATE FUNCTION outcome(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    row record; rows text := '';
BEGIN
    FOR row IN EXECUTE statement LOOP
        rows := rows || row || E'\n';
    END LOOP;
    RETURN rows;
EXCEPTION WHEN OTHERS THEN
    RETURN rows || SQLSTATE || ' ' || SQLERRM;
END $$;
-- Whether a statement gives the same with batches; what goes wrong in it.
CREATE FUNCTION compared(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    alone text; together text;
BEGIN
    SET LOCAL e2i_serve.batch_scan = off;
    alone := stored.outcome(statement);
    SET LOCAL e2i_serve.batch_scan = on;
    together := stored.outcome(statement);
    RETURN CASE WHEN alone <> together THEN alone || ' / ' || together ELSE 'same' || coalesce(', ' || substring(alone FROM '[0-9A-Z]{5} .*$'), '') END;
END $$;
SELECT relation, compared(format('SELECT e2i_predict(''linear'', t) FROM %I t', relation)) AS rows,
    compared(format('SELECT e2i_predict(''linear'', to_jsonb(t)) FROM %I t', relation)) AS documents
FROM unnest('{whole, aligned, domains, before, later, computed, null_after, null_before, null_within, text_before, many_columns, parts, large,
    infinite, not_numbers, not_exact, signed}'::text[]) relation;
SELECT relation, compared(format('SELECT a, e2i_predict_label(''trees'', t), e2i_predict_proba(''trees'', t), e2i_predict_vector(''trees'', t), d FROM %I t', relation)) AS rows,
    compared(format('SELECT e2i_predict_label(''trees'', to_jsonb(t)) FROM %I t', relation)) AS documents
FROM unnest('{whole, null_after, null_within, not_numbers}'::text[]) relation;
SELECT count(DISTINCT e2i_predict_label('trees', t)), sum((e2i_predict_proba('trees', t))[1]) > 0 AS some, min(array_dims(e2i_predict_proba('trees', t))) FROM whole t;
-- JSON's zero has no sign, and what is written without all digits is another number.
SET extra_float_digits = -3;
SELECT compared('SELECT e2i_predict(''linear'', to_jsonb(t)) FROM whole t'), sum(e2i_predict('linear', to_jsonb(t))) = sum(e2i_predict('linear', t)) AS as_rows FROM whole t;
SET extra_float_digits = 1;
SELECT compared('SELECT e2i_predict(''linear'', to_jsonb(t)) FROM whole t'), sum(e2i_predict('linear', to_jsonb(t))) = sum(e2i_predict('linear', t)) AS as_rows FROM whole t;
RESET extra_float_digits;
-- What is beside the answers is that of the same row.
SELECT compared('SELECT id, d, e2i_predict(''linear'', t), a, e2i_predict_vector(''linear'', t), e2i_predict_label(''trees'', t), c FROM whole t');
SELECT compared('SELECT f, e, e2i_predict(''linear'', t), a FROM null_after t');
SELECT compared('SELECT e, count(*), sum(e2i_predict(''linear'', t)) FROM null_after t GROUP BY e ORDER BY e');
SELECT compared('SELECT array_agg(e2i_predict_label(''trees'', t) ORDER BY id), max(e2i_predict_proba(''trees'', t)) FROM whole t');
SELECT compared('SELECT ctid, e2i_predict(''linear'', t), id FROM whole t WHERE id > 3 LIMIT 20');
SELECT compared('SELECT ctid, e2i_predict(''linear'', t) FROM whole t WHERE ctid > ''(0,5)''');
SELECT compared('SELECT ctid, tableoid::regclass, e2i_predict(''linear'', t) FROM parts t');
SELECT compared('SELECT ctid, e2i_predict(''linear'', t) FROM whole t FOR UPDATE');
EXPLAIN (VERBOSE, COSTS OFF) UPDATE whole SET c = e2i_predict('linear', whole);
-- A row that was read is changed by the statement, at its place.
BEGIN;
UPDATE whole SET c = e2i_predict('linear', whole), d = id;
SELECT sum(c), count(*) FILTER (WHERE d = id) AS their_own FROM whole;
DELETE FROM whole WHERE e2i_predict('linear', whole) > 2000;
SELECT count(*), min(id), max(id) FROM whole;
ROLLBACK;
BEGIN;
SET LOCAL e2i_serve.batch_scan = off;
UPDATE whole SET c = e2i_predict('linear', whole), d = id;
SELECT sum(c), count(*) FILTER (WHERE d = id) AS their_own FROM whole;
DELETE FROM whole WHERE e2i_predict('linear', whole) > 2000;
SELECT count(*), min(id), max(id) FROM whole;
ROLLBACK;
DROP SCHEMA stored CASCADE;
CALL regress.begin_anew();
