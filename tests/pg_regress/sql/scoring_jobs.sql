-- Scoring a table batch by batch.
\set VERBOSITY default
SET client_min_messages = warning;
CALL regress.begin_anew();
\set models `echo "$E2I_MODELS"`
\set churn :models '/hcp_churn.onnx'
SELECT e2i_register_model('churn', pg_read_binary_file(:'churn'));
CREATE SCHEMA shop;
CREATE TABLE shop.customers (id int PRIMARY KEY, specialty text, region text, years_in_practice int, tenure_months int,
    patient_volume bigint, calls_last_quarter int, engagement_score float8, rx_last_quarter float4, is_kol boolean);
DO $$ BEGIN
    EXECUTE format('COPY shop.customers FROM %L WITH (FORMAT csv, HEADER)', current_setting('e2i_test.models') || '/customers.csv'); END $$;
ALTER TABLE shop.customers ADD COLUMN churn_score float8, ADD COLUMN churn_label text, ADD COLUMN churn_version text,
    ADD COLUMN churn_at timestamptz, ADD COLUMN churn_error text, ADD COLUMN churn_hash bigint;
-- The latest job, and how it stands.
CREATE VIEW latest AS SELECT model_name || ':' || model_version AS model, target_table, total, done, written, failed, blocked, skipped, batches, status
    FROM ml_scoring_jobs ORDER BY id DESC LIMIT 1;

-- A column of the table, by its primary key.
CALL e2i_score_table('churn', 'shop.customers', 'churn_score');
SELECT count(*), count(*) FILTER (WHERE churn_score IS DISTINCT FROM e2i_predict('churn', c)) AS wrong FROM shop.customers c;
SELECT model, total, done, written, failed, status FROM latest;
SELECT model, target, done, "left", status FROM e2i_scoring_progress;

-- Several columns, seven batches, some of the rows.
CALL e2i_score_table('churn', 'shop.customers', batch_rows => 300, "where" => 'customers.id % 2 = 0 -- the even ones',
    targets => '{"score": "churn_score", "label": "churn_label", "version": "churn_version", "scored_at": "churn_at", "features_hash": "churn_hash"}');
SELECT * FROM latest;
SELECT churn_label IS NOT NULL AS scored, churn_version, count(*), count(churn_at) AS at, count(DISTINCT churn_at) AS batches,
    count(*) FILTER (WHERE churn_label IS DISTINCT FROM e2i_predict_label('churn', c)) AS differs FROM shop.customers c GROUP BY 1, 2 ORDER BY 1;
-- Only those that no version has scored, and those whose features have changed since.
UPDATE shop.customers SET tenure_months = tenure_months + 1 WHERE id IN (SELECT id FROM shop.customers WHERE id % 2 = 0 ORDER BY id LIMIT 3);
CALL e2i_score_table('churn', 'shop.customers', stale_only => true,
    targets => '{"score": "churn_score", "version": "churn_version", "features_hash": "churn_hash"}');
SELECT total, done, written FROM latest;
-- Only those whose score is another.
CALL e2i_score_table('churn', 'shop.customers', 'churn_score', only_changed => true);
SELECT total, done, written FROM latest;
UPDATE shop.customers SET churn_score = 2 WHERE id = (SELECT min(id) FROM shop.customers);
CALL e2i_score_table('churn', 'shop.customers', 'churn_score', only_changed => true, locked => 'skip');
SELECT total, done, written, skipped FROM latest;

-- Another table, made for it; then rows that are there are written over.
CALL e2i_score_table('churn', 'shop.customers', into_table => 'shop.scores');
SELECT * FROM latest;
SELECT count(*), count(*) FILTER (WHERE s.score IS DISTINCT FROM e2i_predict('churn', c)) AS wrong, min(version) AS version
    FROM shop.customers c LEFT JOIN shop.scores s USING (id);
DELETE FROM shop.scores WHERE id % 10 = 0;
CALL e2i_score_table('churn', 'shop.customers', into_table => 'shop.scores', only_changed => true);
SELECT total, done, written FROM latest;
SELECT count(*) FROM shop.scores;
-- A table without a unique key takes rows again and again.
CREATE TABLE shop.history AS SELECT * FROM shop.scores LIMIT 0;
CALL e2i_score_table('churn', 'shop.customers', into_table => 'shop.history', "where" => 'is_kol');
CALL e2i_score_table('churn', 'shop.customers', into_table => 'shop.history', "where" => 'is_kol');
SELECT count(*) = 2 * (SELECT count(*) FROM shop.customers WHERE is_kol) AS twice FROM shop.history;

-- Several columns, of types whose texts depend on settings; a view.
CREATE TABLE shop.visits AS SELECT c.*, timestamptz '2026-03-01 12:00+00' + id % 40 * interval '17 hours' AS at, ('b' || id % 7)::bytea AS ward FROM shop.customers c;
SET DateStyle = 'SQL, DMY';
CALL e2i_score_table('churn', 'shop.visits', 'churn_score', key => '{ward,at,id}');
CREATE UNIQUE INDEX ON shop.visits (ward, at, id);
CALL e2i_score_table('churn', 'shop.visits', 'churn_score', key => '{ward,at,id}');
ALTER TABLE shop.visits ALTER at SET NOT NULL, ALTER ward SET NOT NULL, ALTER id SET NOT NULL;
UPDATE shop.visits SET churn_score = NULL;
CALL e2i_score_table('churn', 'shop.visits', 'churn_score', key => '{ward,at,id}', batch_rows => 123);
RESET DateStyle;
SELECT total, done, batches FROM latest;
SELECT count(*) FILTER (WHERE churn_score IS DISTINCT FROM e2i_predict('churn', c)) AS wrong FROM shop.visits c;
CREATE VIEW shop.kols AS SELECT * FROM shop.customers WHERE is_kol;
CALL e2i_score_table('churn', 'shop.kols', 'churn_score', key => '{id}');
CALL e2i_score_table('churn', 'shop.kols', into_table => 'shop.kol_scores', key => '{id}');
SELECT count(*) = (SELECT count(*) FROM shop.kols) AS all FROM shop.kol_scores;

-- Two processes, each half of the keys.
UPDATE shop.customers SET churn_score = NULL;
CALL e2i_score_table('churn', 'shop.customers', 'churn_score', workers => 2, batch_rows => 200);
SELECT total, done, written, batches, status FROM latest;
SELECT jsonb_array_length(parts) FROM ml_scoring_jobs ORDER BY id DESC LIMIT 1;
SELECT count(*) FILTER (WHERE churn_score IS DISTINCT FROM e2i_predict('churn', c)) AS wrong FROM shop.customers c;

-- Rows that cannot be scored end the job; mended, the same call goes on.
CREATE TABLE shop.leads AS SELECT id, specialty, region, years_in_practice, tenure_months::numeric, patient_volume, calls_last_quarter, engagement_score,
    rx_last_quarter, is_kol, churn_score, churn_error FROM shop.customers ORDER BY id LIMIT 100;
ALTER TABLE shop.leads ADD PRIMARY KEY (id);
UPDATE shop.leads SET churn_score = NULL, id = n FROM (SELECT id AS old, row_number() OVER (ORDER BY id) AS n FROM shop.leads) o WHERE id = old;
UPDATE shop.leads SET tenure_months = 3.5 WHERE id = 55;
CALL e2i_score_table('churn', 'shop.leads', 'churn_score', batch_rows => 10);
SELECT total, done, failed, batches, status FROM latest;
SELECT count(churn_score), max(id) FILTER (WHERE churn_score IS NOT NULL) FROM shop.leads;
SELECT error_code, error FROM ml_scoring_jobs ORDER BY id DESC LIMIT 1;
UPDATE shop.leads SET tenure_months = 3 WHERE id = 55;
SET client_min_messages = notice;
DO $$ BEGIN PERFORM set_config('shop.job', max(id)::text, false) FROM ml_scoring_jobs; END $$;
SET client_min_messages = warning;
CALL e2i_score_table('churn', 'shop.leads', 'churn_score', batch_rows => 10);
SELECT total, done, failed, batches, status FROM latest;
SELECT id = current_setting('shop.job')::bigint AS the_same FROM ml_scoring_jobs ORDER BY id DESC LIMIT 1;
SELECT count(churn_score) FROM shop.leads;

-- Or they are left out, and kept as errors.
UPDATE shop.leads SET tenure_months = 3.5 WHERE id = 55;
UPDATE shop.leads SET tenure_months = 1e30 WHERE id IN (7, 77);
CALL e2i_score_table('churn', 'shop.leads', 'churn_score', batch_rows => 10, on_error => 'skip');
SELECT total, done, written, failed, blocked, status FROM latest;
SELECT id FROM shop.leads WHERE churn_score IS NULL ORDER BY 1;
SELECT key, error_code, feature, value, message FROM e2i_scoring_errors;
CALL e2i_score_table('churn', 'shop.leads', targets => '{"score": "churn_score", "error": "churn_error"}', on_error => 'skip');
SELECT id, churn_score, churn_error FROM shop.leads WHERE churn_error IS NOT NULL ORDER BY 1;
-- So many and no more.
\set VERBOSITY terse
DO $$ BEGIN PERFORM setval('ml_scoring_jobs_id_seq', 1000); END $$;
CALL e2i_score_table('churn', 'shop.leads', 'churn_score', batch_rows => 10, max_errors => 1);
\set VERBOSITY default
SELECT total, done, failed, status FROM latest;
CALL e2i_score_table('churn', 'shop.leads', 'churn_score', batch_rows => 10, max_errors => 10);
SELECT total, done, failed, status FROM latest;
-- A trigger's error is no row's that cannot be scored, and keeps its SQLSTATE.
CREATE FUNCTION shop.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'SH001'; END $$;
CREATE TRIGGER refuse BEFORE UPDATE ON shop.leads FOR EACH ROW WHEN (new.id = 30) EXECUTE FUNCTION shop.refuse();
\set VERBOSITY sqlstate
CALL e2i_score_table('churn', 'shop.leads', 'churn_score', batch_rows => 10, on_error => 'skip');
\set VERBOSITY default
SELECT done, failed, status, (SELECT error_code FROM ml_scoring_jobs ORDER BY id DESC LIMIT 1) FROM latest;
DROP TRIGGER refuse ON shop.leads;

-- Personal data that a service refuses is counted apart, and not repeated.
\set notes :models '/notes_tfidf.onnx'
SELECT e2i_register_model('notes', pg_read_binary_file(:'notes'));
SELECT e2i_set_inference_log('notes', sample => 0, on_pii => 'block');
SELECT name AS feature FROM e2i_describe_model('notes') LIMIT 1 \gset
SELECT format('CREATE TABLE shop.notes (id int PRIMARY KEY, %I text, label text, blocked boolean)', :'feature') \gexec
INSERT INTO shop.notes VALUES (1, 'patient doing well'), (2, 'write to jane@example.com'), (3, 'no change');
CALL e2i_score_table('notes', 'shop.notes', targets => '{"label": "label", "blocked": "blocked"}');
SELECT total, done, failed, blocked, status FROM latest;
SELECT id, label IS NOT NULL AS scored, blocked FROM shop.notes ORDER BY id;
SELECT key, error_code, value, is_blocked FROM e2i_scoring_errors WHERE is_blocked;
-- All that a batch of a model server tells of a row: its answer, how long it takes, whether and for what it was refused, and what is wrong.
ALTER TABLE shop.notes ADD violations text[], ADD latency float8, ADD error text;
CALL e2i_score_table('notes', 'shop.notes', targets => '{"label": "label", "latency": "latency", "blocked": "blocked", "violations": "violations", "error": "error"}');
SELECT id, label IS NOT NULL AS answered, latency > 0 AS took, blocked, violations, error FROM shop.notes ORDER BY id;
-- Probabilities and all numbers.
ALTER TABLE shop.visits ADD chances float8[], ADD whole_answer float8[];
CALL e2i_score_table('churn', 'shop.visits', key => '{ward,at,id}', targets => '{"score": "churn_score", "probabilities": "chances", "vector": "whole_answer"}');
SELECT count(*), bool_and(chances = e2i_predict_proba('churn', v)) AS chances, bool_and(whole_answer = e2i_predict_vector('churn', v)) AS vector FROM shop.visits v;
-- Why a row has its score. y = 0.5a - 1.25b + 2c + 0.125d + 0.75
SELECT e2i_register_model('jobs_linear', regress.onnx('shape_regression_flat'), feature_names => '{a,b,c,d}');
CREATE TABLE shop.four (id int PRIMARY KEY, a real, b real, c real, d real, score float8, reasons text[]);
INSERT INTO shop.four SELECT i, i % 3, i % 5, i % 7, i % 11 FROM generate_series(1, 40) i;
SELECT e2i_set_background('jobs_linear', 'SELECT a, b, c, d FROM shop.four') AS background;
CALL e2i_score_table('jobs_linear', 'shop.four', targets => '{"score": "score", "reasons": "reasons"}');
SELECT count(*), count(DISTINCT reasons) > 1 AS several, bool_and(reasons = e2i_top_reasons('jobs_linear', v)) AS same FROM shop.four v;

-- A key of texts, whatever the collation (a server without ICU has only its own); of two columns; a partitioned table.
SELECT CASE WHEN EXISTS (SELECT FROM pg_collation WHERE collname = 'en-x-icu') THEN 'en-x-icu' ELSE 'C' END AS words \gset
CREATE TABLE shop.named (code text COLLATE :"words" PRIMARY KEY, x real, score float8);
INSERT INTO shop.named SELECT CASE i % 4 WHEN 0 THEN 'É' WHEN 1 THEN 'e' WHEN 2 THEN 'E''' ELSE 'z,"' END || i, i FROM generate_series(1, 50) i;
SELECT e2i_register_model('jobs_plus', regress.plus(1));
CALL e2i_score_table('jobs_plus', 'shop.named', 'score', batch_rows => 7);
SELECT (SELECT done FROM latest), count(*) FILTER (WHERE score = x + 1) AS scored FROM shop.named;
CREATE TABLE shop.parts (day date, id int, x real, score float8, PRIMARY KEY (day, id)) PARTITION BY RANGE (day);
CREATE TABLE shop.parts_1 PARTITION OF shop.parts FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE shop.parts_2 PARTITION OF shop.parts FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
INSERT INTO shop.parts SELECT date '2026-01-01' + i % 59, i, i FROM generate_series(1, 500) i;
CALL e2i_score_table('jobs_plus', 'shop.parts', 'score', batch_rows => 64);
SELECT (SELECT done FROM latest), count(*) FILTER (WHERE score = x + 1) AS scored FROM shop.parts;
-- What is asked wrongly is said before anything is begun.
BEGIN;
CALL e2i_score_table('churn', 'shop.customers', 'churn_score');
ROLLBACK;
CALL e2i_score_table('churn', 'shop.customers');
CALL e2i_score_table('churn', 'shop.customers', 'churn');
CALL e2i_score_table('churn', 'shop.customers', 'tenure_months');
CALL e2i_score_table('churn', 'shop.visits', 'churn_score');
ALTER TABLE shop.customers ADD COLUMN whole int;
CALL e2i_score_table('churn', 'shop.customers', 'whole');
CALL e2i_score_table('churn', 'shop.customers', targets => '{"scores": "churn_score"}');
CALL e2i_score_table('churn', 'shop.customers', targets => '{"version": "churn_version"}');
CALL e2i_score_table('churn', 'shop.customers', 'churn_score', "where" => 'no_such_column > 1');
CALL e2i_score_table('churn', 'shop.customers', 'churn_score', on_error => 'ignore');
CALL e2i_score_table('churn', 'shop.customers', 'churn_score', on_error => 'stop', max_errors => 3);
CALL e2i_score_table('churn', 'shop.customers', 'churn_score', locked => 'maybe');
CALL e2i_score_table('churn', 'shop.customers', 'churn_score', batch_rows => 0);
CALL e2i_score_table('churn', 'shop.customers', 'churn_score', workers => 0);
CALL e2i_score_table('churn', 'shop.customers', 'churn_score', pause => '-1 second');
CALL e2i_score_table('churn', 'shop.customers', 'churn_score', stale_only => true);
CALL e2i_score_table('churn', 'shop.customers', into_table => 'shop.customers');
CALL e2i_score_table('churn', 'shop.customers', into_table => 'shop.notes');
CALL e2i_score_table('nobody', 'shop.customers', 'churn_score');
CALL e2i_score_table('churn', NULL, 'churn_score');
SELECT count(*) FROM ml_scoring_jobs WHERE status NOT IN ('finished', 'failed', 'superseded');
CREATE TABLE shop.empty (LIKE shop.customers INCLUDING ALL);
CALL e2i_score_table('churn', 'shop.empty', 'churn_score');
SELECT total, done, status FROM latest;

-- Rights are the caller's: to write the column, to see the rows, to see the model.
CREATE ROLE regress_scoring LOGIN;
GRANT USAGE ON SCHEMA shop TO regress_scoring;
GRANT SELECT ON shop.customers TO regress_scoring;
SET ROLE regress_scoring;
CALL e2i_score_table('churn', 'shop.customers', 'churn_score');
RESET ROLE;
SELECT e2i_grant_usage('regress_scoring', 'scorer');
SET ROLE regress_scoring;
CALL e2i_score_table('churn', 'shop.customers', 'churn_score');
RESET ROLE;
GRANT UPDATE (churn_score) ON shop.customers TO regress_scoring;
CREATE POLICY kols ON shop.customers TO regress_scoring USING (is_kol);
ALTER TABLE shop.customers ENABLE ROW LEVEL SECURITY;
UPDATE shop.customers SET churn_score = NULL;
SET ROLE regress_scoring;
CALL e2i_score_table('churn', 'shop.customers', 'churn_score');
SELECT count(*), bool_and(status = 'finished') AS finished FROM e2i_scoring_progress;
RESET ROLE;
SELECT is_kol, count(churn_score) > 0 AS scored FROM shop.customers GROUP BY 1 ORDER BY 1;
SELECT started_by FROM ml_scoring_jobs ORDER BY id DESC LIMIT 1;
SET ROLE regress_scoring;
SELECT e2i_cancel_scoring_job(1001);
SELECT e2i_cancel_scoring_job(999999);
RESET ROLE;
SELECT e2i_cancel_scoring_job(1001);

-- The clock begins jobs for who made a schedule.
SELECT e2i_schedule_scoring('nightly', 'churn', 'shop.customers', 'churn_score', every => '1 day', options => '{"where": "is_kol"}', starting => 'infinity');
SELECT name, model, "table", every, next_run, status FROM e2i_scoring_schedules;
SELECT e2i_schedule_scoring('nightly', 'churn', 'shop.customers', 'churn_score', every => '0 s');
SELECT e2i_schedule_scoring('nightly', 'churn', 'shop.customers', 'churn_score', every => '1 day', options => '{"were": "is_kol"}');
SELECT e2i_unschedule_scoring('weekly');
SELECT e2i_unschedule_scoring('nightly');
-- Or at the times of a cron text, of a clock in some zone; the year is one in which nothing comes due here.
SET TimeZone = 'America/New_York';
SELECT e2i_schedule_scoring('weekdays', 'churn', 'shop.customers', 'churn_score', cron => '0 3 * * 1-5', starting => '2040-06-02 03:00');
SELECT e2i_schedule_scoring('month end', 'churn', 'shop.customers', 'churn_score', cron => '30 23 L * *', time_zone => 'Asia/Tokyo', starting => '2040-02-01 00:00+09');
-- A time that clocks pass over is an hour later, one that they pass twice is the second of both.
SELECT e2i_schedule_scoring('spring', 'churn', 'shop.customers', 'churn_score', cron => '30 2 * * *', starting => '2040-03-11 00:00');
SELECT e2i_schedule_scoring('autumn', 'churn', 'shop.customers', 'churn_score', cron => '30 1 * * *', starting => '2040-11-04 00:00');
SELECT e2i_schedule_scoring('never', 'churn', 'shop.customers', 'churn_score', cron => '@daily', starting => 'infinity');
SET TimeZone = 'UTC';
SELECT name, every, cron, time_zone, next_run, status FROM e2i_scoring_schedules;
-- From now on, the next time is to come.
SELECT e2i_schedule_scoring('never', 'churn', 'shop.customers', 'churn_score', cron => '*/5 * * * *');
SELECT next_run > now() AND next_run <= now() + interval '5 minutes' AS soon FROM e2i_scoring_schedules WHERE name = 'never';
SELECT e2i_unschedule_scoring(name) FROM e2i_scoring_schedules;
SELECT e2i_schedule_scoring('nightly', 'churn', 'shop.customers', 'churn_score');
SELECT e2i_schedule_scoring('nightly', 'churn', 'shop.customers', 'churn_score', cron => NULL);
SELECT e2i_schedule_scoring('nightly', 'churn', 'shop.customers', 'churn_score', every => '1 day', cron => '@daily');
SELECT e2i_schedule_scoring('nightly', 'churn', 'shop.customers', 'churn_score', every => '1 day', time_zone => 'UTC');
SELECT e2i_schedule_scoring('nightly', 'churn', 'shop.customers', 'churn_score', cron => '0 25 * * *');
SELECT e2i_schedule_scoring('nightly', 'churn', 'shop.customers', 'churn_score', cron => '0 3 * * MONDAY');
SELECT e2i_schedule_scoring('nightly', 'churn', 'shop.customers', 'churn_score', cron => 'every night');
SELECT e2i_schedule_scoring('nightly', 'churn', 'shop.customers', 'churn_score', cron => '');
SELECT e2i_schedule_scoring('nightly', 'churn', 'shop.customers', 'churn_score', cron => '0 0 31 4 *');
SELECT e2i_schedule_scoring('nightly', 'churn', 'shop.customers', 'churn_score', cron => '@daily', time_zone => 'Mars/Olympus');

DROP SCHEMA shop CASCADE;
DROP VIEW latest;
DROP OWNED BY regress_scoring;
DROP ROLE regress_scoring;
SELECT e2i_set_inference_log('notes', NULL);
SELECT e2i_drop_model('churn:1', force => true), e2i_drop_model('notes:1', force => true), e2i_drop_model('jobs_plus:1', force => true),
    e2i_drop_model('jobs_linear:1', force => true);
DELETE FROM ml_scoring_jobs;
DELETE FROM ml_scoring_job_errors;
