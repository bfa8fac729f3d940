-- Why the rows of a table have their scores, written into another table: a scoring job whose answers are reasons.
\set VERBOSITY default
SET client_min_messages = warning;
CALL regress.begin_anew();
SET e2i_serve.instruction_set = 'portable';
\set models `echo "$E2I_MODELS"`
\set binary :models '/trained/xgb_binary.json'
SELECT count(e2i_register_model('risk', pg_read_binary_file(:'binary')));
CREATE SCHEMA shop;
CREATE TABLE shop.patients (id int PRIMARY KEY, region text, age float8, "blood pressure" float8, "é" float8, d float8, e float8);
INSERT INTO shop.patients SELECT i, 'north', sin(i), CASE WHEN i % 7 > 0 THEN cos(i) END, i % 9 - 4, i % 2, i % 5 - 2 FROM generate_series(1, 500) i;
CREATE VIEW latest AS SELECT total, done, written, failed, status, error_code, targets FROM ml_scoring_jobs ORDER BY id DESC LIMIT 1;
ALTER TABLE ml_scoring_jobs ALTER id RESTART;
-- What e2i_reasons says and the table does not have, and the other way round.
CREATE FUNCTION wrong(name text, top int, only_those text DEFAULT 'true') RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE found bigint;
BEGIN
    EXECUTE format('WITH said AS (SELECT p.id, r.* FROM shop.patients p, e2i_reasons(''risk'', p, %1$s) r WHERE %3$s AND p.age < 10),
        kept AS (SELECT * FROM %2$s) SELECT count(*) FROM ((TABLE said EXCEPT TABLE kept) UNION ALL (TABLE kept EXCEPT TABLE said)) d', top, name, only_those) INTO found;
    RETURN found;
END $$;

-- The table is made, a row a reason, and has its key at the end.
CALL e2i_explain_table('risk', 'shop.patients', 'shop.reasons', top => 2, batch_rows => 200);
SELECT *, wrong('shop.reasons', 2) FROM latest;
SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'shop.reasons'::regclass;
SELECT attname, format_type(atttypid, atttypmod) AS type, attnotnull FROM pg_attribute WHERE attrelid = 'shop.reasons'::regclass AND attnum > 0 ORDER BY attnum;
SELECT id, rank, feature, value, round(contribution::numeric, 4) AS contribution, direction, text FROM shop.reasons WHERE id IN (1, 7) ORDER BY id, rank;

-- Called again, what was said before is gone, also where less is said now; of the rows that are meant.
CALL e2i_explain_table('risk', 'shop.patients', 'shop.reasons', top => 1);
SELECT done, written, wrong('shop.reasons', 1) FROM latest;
UPDATE shop.patients SET age = 0.9 WHERE id <= 10;
CALL e2i_explain_table('risk', 'shop.patients', 'shop.reasons', top => 1, "where" => 'id <= 5 AND region = ''north''');
SELECT total, done, written, wrong('shop.reasons', 1) AS of_all, wrong('shop.reasons WHERE id <= 5', 1, 'id <= 5') AS of_those FROM latest;
-- A condition may name a column that reasons have, too.
ALTER TABLE shop.patients RENAME region TO text;
CALL e2i_explain_table('risk', 'shop.patients', 'shop.reasons', top => 1, "where" => 'text = ''north'' AND id <= 10');
SELECT done, wrong('shop.reasons', 1) FROM latest;
ALTER TABLE shop.patients RENAME text TO region;

-- A row that cannot be explained ends the job; the same call goes on once it is mended.
DROP TABLE shop.reasons;
UPDATE shop.patients SET age = 1e300 WHERE id = 250;
CALL e2i_explain_table('risk', 'shop.patients', 'shop.reasons', batch_rows => 100);
SELECT * FROM latest;
SELECT count(DISTINCT id) FROM shop.reasons;
UPDATE shop.patients SET age = 0.5 WHERE id = 250;
SET client_min_messages = notice;
CALL e2i_explain_table('risk', 'shop.patients', 'shop.reasons', batch_rows => 100);
SET client_min_messages = warning;
SELECT done, written, status, wrong('shop.reasons', 3) FROM latest;
-- Or it is kept as an error, and has no reasons.
UPDATE shop.patients SET age = 1e300 WHERE id IN (250, 251);
CALL e2i_explain_table('risk', 'shop.patients', 'shop.reasons', on_error => 'skip');
SELECT done, written, failed, status, wrong('shop.reasons', 3) FROM latest;
SELECT key, error_code, feature, left(value, 10) AS value, message FROM e2i_scoring_errors WHERE job = (SELECT max(id) FROM ml_scoring_jobs) ORDER BY key;
SELECT count(*) FROM shop.reasons WHERE id IN (250, 251);
-- What was asked for otherwise does not go on.
CALL e2i_explain_table('risk', 'shop.patients', 'shop.reasons', batch_rows => 100);
CALL e2i_explain_table('risk', 'shop.patients', 'shop.reasons', batch_rows => 100, top => 1, max_errors => 5);
SELECT done, written, failed, wrong('shop.reasons', 1) FROM latest;
UPDATE shop.patients SET age = 0.5 WHERE id IN (250, 251);

-- In words, in a direction, of a space: as e2i_reasons says it.
INSERT INTO ml_reason_texts (direction, language, text) VALUES ('up', 'de', '{feature}: {value}');
CALL e2i_explain_table('risk', 'shop.patients', 'shop.letters', 2, language => 'de', towards => 'up', class => '1');
SELECT bool_and(direction = 'up'), bool_and(text = feature || ': ' || coalesce(value, 'missing')), count(DISTINCT id) FROM shop.letters;
CALL e2i_explain_table('risk', 'shop.patients', 'shop.letters', 2, language => 'de');
SELECT status, error_code FROM latest;
DELETE FROM ml_reason_texts;

-- Of a view, by a key of several columns; what is read and written is the caller's to read and write.
CREATE VIEW shop.seen AS SELECT id % 3 AS shelf, id AS "at Place", age, "blood pressure", "é", d, e FROM shop.patients WHERE id <= 100;
CALL e2i_explain_table('risk', 'shop.seen', 'shop."Of View"', 1, key => ARRAY['shelf', 'at Place'], batch_rows => 30);
SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'shop."Of View"'::regclass;
CALL e2i_explain_table('risk', 'shop.seen', 'shop."Of View"', 2, key => ARRAY['shelf', 'at Place'], batch_rows => 30);
SELECT done, written, (SELECT count(*) FROM shop."Of View" v JOIN shop.patients p ON p.id = v."at Place",
    e2i_reasons('risk', p, 2) r WHERE (v.rank, v.feature, v.contribution) = (r.rank, r.feature, r.contribution)) AS same FROM latest;
CREATE ROLE regress_explaining;
SELECT e2i_grant_usage('regress_explaining', 'scorer');
GRANT USAGE ON SCHEMA shop TO regress_explaining;
GRANT SELECT ON shop.patients TO regress_explaining;
SET ROLE regress_explaining;
CALL e2i_explain_table('risk', 'shop.patients', 'shop.letters');
RESET ROLE;
GRANT SELECT, INSERT, DELETE ON shop.letters TO regress_explaining;
SET ROLE regress_explaining;
CALL e2i_explain_table('risk', 'shop.patients', 'shop.letters');
RESET ROLE;
SELECT done, status, wrong('shop.letters', 3) FROM latest;
DROP OWNED BY regress_explaining;
DROP ROLE regress_explaining;

-- What cannot be asked.
BEGIN;
CALL e2i_explain_table('risk', 'shop.patients', 'shop.never');
ROLLBACK;
CALL e2i_explain_table('risk', 'shop.patients', NULL);
CALL e2i_explain_table('risk', 'shop.patients', 'shop.patients');
CALL e2i_explain_table('risk', 'shop.patients', 'shop.never', top => 0);
CALL e2i_explain_table('risk', 'shop.patients', 'shop.never', space => 'odds');
CALL e2i_explain_table('risk', 'shop.patients', 'shop.never', towards => 'left');
CALL e2i_explain_table('risk', 'shop.patients', 'shop.never', method => 'guess');
CALL e2i_explain_table('nobody', 'shop.patients', 'shop.never');
CREATE TABLE shop.other (id int, rank int, feature text);
CALL e2i_explain_table('risk', 'shop.patients', 'shop.other');
CREATE TABLE shop.ranked (rank int PRIMARY KEY, age float8, "blood pressure" float8, "é" float8, d float8, e float8);
CALL e2i_explain_table('risk', 'shop.ranked', 'shop.never');
SELECT to_regclass('shop.never') IS NULL AS nothing_was_made;
DROP SCHEMA shop CASCADE;
DROP FUNCTION wrong(text, int, text);
DROP VIEW latest;
DELETE FROM ml_scoring_job_errors;
DELETE FROM ml_scoring_jobs;
ALTER TABLE ml_scoring_jobs ALTER id RESTART;
SELECT count(e2i_drop_model('risk:1', force => true));
