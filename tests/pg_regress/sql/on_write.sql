-- Scores on write: each row is scored before it is written, and once.
\set VERBOSITY default
SET client_min_messages = warning;
CALL regress.begin_anew();

-- y = 0.5a - 1.25b + 2c + 0.125d + 0.75
SELECT e2i_register_model('linear', regress.onnx('shape_regression_flat'), feature_names => '{a,b,c,d}');
CREATE TABLE visits (id int PRIMARY KEY, a int, b real, c numeric, d float8, note text,
    score float8, version text, scored_at timestamptz, hash bigint);
SELECT e2i_score_on_write('visits', 'linear', target => 'score');
SELECT "table", model, targets, on_error, fires, trigger FROM e2i_scored_on_write;
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = 'zz_e2i_score';
INSERT INTO visits (id, a, b, c, d) VALUES (1, 1, 2, 3, 4), (2, 4, 0.5, 0.25, 8) RETURNING id, score, score = e2i_predict('linear', visits) AS same;
UPDATE visits SET a = 3 WHERE id = 1 RETURNING score, score = e2i_predict('linear', visits) AS same;

-- More is kept: the version, when, and a hash of the features. A trigger that writes into the same columns is replaced.
SELECT e2i_score_on_write('visits', 'linear', targets => '{"score": "score", "version": "version", "scored_at": "scored_at", "features_hash": "hash"}');
SELECT count(*) FROM e2i_scored_on_write;
INSERT INTO visits (id, a, b, c, d) VALUES (3, 1, 2, 3, 4) RETURNING score, version, scored_at = now() AS at_once, hash = e2i_features_hash('linear', visits) AS same_hash;
-- What touches no feature leaves the score alone, whatever it is; an assignment of a feature makes it anew.
UPDATE visits SET score = -1 WHERE id = 3;
UPDATE visits SET note = 'seen' WHERE id = 3 RETURNING score;
UPDATE visits SET a = a WHERE id = 3 RETURNING score;
-- The rows of before have no version.
SELECT * FROM e2i_stale_scores('visits');

-- COPY, ON CONFLICT, MERGE, INSERT … SELECT, data-modifying WITH.
COPY visits (id, a, b, c, d) FROM stdin;
4	1	2	3	4
5	1	2	3	5
\.
INSERT INTO visits (id, a, b, c, d) VALUES (5, 9, 9, 9, 9) ON CONFLICT (id) DO UPDATE SET a = excluded.a, score = excluded.score RETURNING a, b, score = e2i_predict('linear', visits) AS same;
INSERT INTO visits (id, a, b, c, d) VALUES (5, 7, 9, 9, 9) ON CONFLICT (id) DO UPDATE SET note = excluded.a RETURNING note, score = e2i_predict('linear', visits) AS same;
INSERT INTO visits (id, a, b, c, d) SELECT i, i, i, i, i FROM generate_series(10, 19) i;
SELECT current_setting('server_version_num')::int >= 150000 AS has_merge \gset
\if :has_merge
MERGE INTO visits v USING (VALUES (1, 2), (21, 3)) n (id, a) ON v.id = n.id
    WHEN MATCHED THEN UPDATE SET a = n.a WHEN NOT MATCHED THEN INSERT (id, a, b, c, d) VALUES (n.id, n.a, 1, 1, 1);
\else
INSERT INTO visits (id, a, b, c, d) VALUES (1, 2, 2, 3, 4), (21, 3, 1, 1, 1) ON CONFLICT (id) DO UPDATE SET a = excluded.a;
\endif
SELECT id, a, score = e2i_predict('linear', v) AS same FROM visits v WHERE id IN (1, 21) ORDER BY id;
WITH moved AS (DELETE FROM visits WHERE id = 19 RETURNING *), again AS (INSERT INTO visits (id, a, b, c, d) SELECT 20, a, b, c, d FROM moved RETURNING *)
SELECT count(*), bool_and(score = e2i_predict('linear', again)) FROM again;
SELECT count(*), count(*) FILTER (WHERE score = e2i_predict('linear', v)) AS same, count(*) FILTER (WHERE hash = e2i_features_hash('linear', v)) AS hashes FROM visits v WHERE id > 2;

-- A row that cannot be scored is not written…
INSERT INTO visits (id, a, b, c) VALUES (30, 1, 2, 3);
-- … unless that is what is wanted: its columns are NULL, and the statement says so once.
SELECT e2i_score_on_write('visits', 'linear', targets => '{"score": "score", "version": "version", "scored_at": "scored_at", "features_hash": "hash", "error": "note"}', on_error => 'null');
INSERT INTO visits (id, a, b, c) VALUES (30, 1, 2, 3), (31, 1, NULL, 3) RETURNING id, score, version, scored_at, hash, note;
UPDATE visits SET b = 1, d = 1 WHERE id > 29 RETURNING id, score, version, note;

-- A cancel is not such an error. (y = x, in about a second a row.)
SELECT e2i_register_model('slow', regress.onnx('shape_slow'), feature_names => '{x}');
CREATE TABLE slowly (x real, score float8);
SELECT e2i_score_on_write('slowly', 'slow', 'score', on_error => 'null');
SET statement_timeout = '300ms';
INSERT INTO slowly VALUES (7);
RESET statement_timeout;
SELECT count(*) FROM slowly;
DROP TABLE slowly;

-- Another version is deployed: what its scores were is known.
SELECT e2i_score_on_write('visits', 'linear', targets => '{"score": "score", "version": "version", "features_hash": "hash"}');
SELECT e2i_register_model('linear', regress.onnx('shape_regression_flat'), feature_names => '{d,c,b,a}');
SET client_min_messages = notice;
SELECT version FROM e2i_deploy('linear:2');
SELECT * FROM e2i_stale_scores('visits');
UPDATE visits SET a = a WHERE id < 5;
SELECT * FROM e2i_stale_scores('visits');
SELECT version FROM e2i_rollback('linear');
SET client_min_messages = warning;
SELECT * FROM e2i_stale_scores('visits', 'linear');
-- Features that were changed past the trigger.
ALTER TABLE visits DISABLE TRIGGER zz_e2i_score;
SELECT fires FROM e2i_scored_on_write;
UPDATE visits SET d = d + 1 WHERE id IN (10, 11);
ALTER TABLE visits ENABLE TRIGGER zz_e2i_score;
SELECT scored_by, "rows", stale, unscored, other_version, changed FROM e2i_stale_scores('visits');
-- Scores that somebody else has written are known when one says where.
SELECT e2i_score_on_write_off('visits');
SELECT e2i_stale_scores('visits');
SELECT scored_by, "rows", stale, unscored, other_version, changed FROM e2i_stale_scores('visits', 'linear', '{"version": "version"}');
SELECT e2i_score_on_write_off('visits');

-- The hash is of what the model sees, not of how it is spelled.
SELECT e2i_features_hash('linear', t) = e2i_features_hash('linear', u) AS same FROM (SELECT 1::int AS a, 2::real AS b, 3::numeric AS c, 4.5 AS d) t, (SELECT 'x' AS other, 4.5::float4 AS d, 1.00 AS a, 2::int8 AS b, true::int + 2 AS c) u;
SELECT e2i_features_hash('linear', t) IS NULL AS not_taken FROM (SELECT 1 AS a, 2 AS b, 3 AS c, NULL::int AS d) t;

DROP TABLE visits;

-- Labels and probabilities, asked of one run of the model.
SELECT e2i_register_model('breast', regress.onnx('breast_logistic'), feature_names => ARRAY(SELECT 'f' || i FROM generate_series(1, 30) i));
SELECT format('CREATE TABLE exams (%s, chance float8, verdict text, both_chances float8[])', string_agg(format('f%s float8 DEFAULT %s', i, i), ', ')) FROM generate_series(1, 30) i \gexec
SELECT e2i_score_on_write('exams', 'breast', targets => '{"label": "verdict", "probabilities": "both_chances", "score": "chance"}');
INSERT INTO exams (f1) VALUES (17.5), (9) RETURNING chance = e2i_predict('breast', exams) AS chance, verdict = e2i_predict_label('breast', exams) AS verdict, both_chances = e2i_predict_proba('breast', exams) AS both_chances;
DROP TABLE exams;

-- How long a row took, and for what one was refused.
SELECT e2i_register_model('refusing', regress.onnx('notes_tfidf'));
SELECT e2i_set_inference_log('refusing', sample => 0, on_pii => 'block');
SELECT name AS feature FROM e2i_describe_model('refusing') LIMIT 1 \gset
SELECT format('CREATE TABLE notes (%I text, label text, took float8, blocked boolean, violations text[], error text)', :'feature') \gexec
SELECT e2i_score_on_write('notes', 'refusing', targets => '{"label": "label", "latency": "took", "blocked": "blocked", "violations": "violations", "error": "error"}', on_error => 'null');
INSERT INTO notes VALUES ('patient doing well'), ('write to jane@example.com') RETURNING label IS NOT NULL AS answered, took > 0 AS took, blocked, violations, error;
SELECT e2i_score_on_write('notes', 'refusing', targets => '{"label": "label", "reasons": "violations"}');
SELECT e2i_set_inference_log('refusing', NULL);
DROP TABLE notes;

-- Columns of other types that fit, and a domain.
SELECT e2i_register_model('sum', regress.plus(1));
CREATE DOMAIN share AS numeric(6, 2) CHECK (VALUE < 100);
CREATE TABLE sums (x real, score share, single real, version varchar(5));
SELECT e2i_score_on_write('sums', 'sum', targets => '{"score": "score", "version": "version"}'), e2i_score_on_write('sums', 'sum', 'single');
INSERT INTO sums VALUES (1.239), (41) RETURNING score, single, version;
INSERT INTO sums VALUES (99);

-- What cannot be installed.
SELECT regress.raised(format('SELECT e2i_score_on_write(%s)', call)) FROM (VALUES
    ($$'sums', 'sum'$$), ($$'sums', 'sum', 'score', '{"score": "score"}'$$), ($$'sums', 'nobody', 'score'$$), ($$'sums', 'sum', 'nothing'$$),
    ($$'sums', 'sum', 'version'$$), ($$'sums', 'sum', targets => '{"label": "version"}'$$), ($$'sums', 'sum', targets => '{"score": "score", "scored_at": "version"}'$$),
    ($$'sums', 'sum', targets => '{"scores": "score"}'$$), ($$'sums', 'sum', targets => '{"version": "version"}'$$), ($$'sums', 'sum', 'score', on_error => 'skip'$$),
    ($$'sums', 'linear', 'score'$$), ($$NULL, 'sum', 'score'$$), ($$'e2i_models', 'sum', 'auc'$$), ($$1, 'sum', 'score'$$)) v (call);
DROP TABLE sums;
DROP DOMAIN share;
CREATE TABLE made (y real, x real GENERATED ALWAYS AS (y + 1) STORED, score float8);
SELECT e2i_score_on_write('made', 'sum', 'score');
SELECT e2i_score_on_write('made', 'sum', 'x');
DROP TABLE made;
-- By hand, and called by hand.
CREATE TABLE hand (x real, score float8);
CREATE TRIGGER by_hand BEFORE INSERT ON hand FOR EACH ROW EXECUTE FUNCTION e2i_score_row();
INSERT INTO hand VALUES (1);
CREATE OR REPLACE TRIGGER by_hand BEFORE INSERT ON hand FOR EACH ROW EXECUTE FUNCTION e2i_score_row('no order');
INSERT INTO hand VALUES (1);
CREATE TRIGGER too_late AFTER INSERT ON hand FOR EACH ROW EXECUTE FUNCTION e2i_score_row('{"model": "sum", "targets": {"score": "score"}}');
DROP TRIGGER by_hand ON hand;
INSERT INTO hand VALUES (1);
SELECT e2i_score_row();
SELECT "table", targets FROM e2i_scored_on_write;
DROP TABLE hand;

-- A feature, a target or the table gets another name; the model goes.
CREATE TABLE named (x real, "The Score" float8);
SELECT e2i_score_on_write('named', 'sum', 'The Score');
ALTER TABLE named RENAME TO renamed;
INSERT INTO renamed VALUES (1) RETURNING "The Score";
ALTER TABLE renamed RENAME "The Score" TO score;
INSERT INTO renamed VALUES (1);
SELECT e2i_score_on_write('renamed', 'sum', 'score');
INSERT INTO renamed VALUES (2) RETURNING score;
ALTER TABLE renamed RENAME x TO z;
INSERT INTO renamed VALUES (1);
ALTER TABLE renamed RENAME z TO x;
ALTER TABLE renamed DROP COLUMN x;
SELECT e2i_drop_model('sum:1', force => true);
INSERT INTO renamed VALUES (1);
SELECT e2i_score_on_write_off('renamed', target => 'other'), e2i_score_on_write_off('renamed', 'sum', 'score');
DROP TABLE renamed;
