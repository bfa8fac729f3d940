-- Tables that scoring jobs make: filled page by page, and given their key at the end.
\set VERBOSITY default
SET client_min_messages = warning;
\set models `echo "$E2I_MODELS"`
\set churn :models '/hcp_churn.onnx'
CALL regress.begin_anew();
SELECT e2i_register_model('churn', pg_read_binary_file(:'churn'));
CREATE SCHEMA shop;
CREATE TABLE shop.customers (id int PRIMARY KEY, specialty text, region text, years_in_practice int, tenure_months numeric,
    patient_volume bigint, calls_last_quarter int, engagement_score float8, rx_last_quarter float4, is_kol boolean);
DO $$ BEGIN
    EXECUTE format('COPY shop.customers FROM %L WITH (FORMAT csv, HEADER)', current_setting('e2i_test.models') || '/customers.csv'); END $$;
UPDATE shop.customers SET id = (SELECT count(*) FROM shop.customers c WHERE c.id < customers.id) + 1000000;
UPDATE shop.customers SET id = id - 1000000 + 1;
CREATE VIEW latest AS SELECT total, done, written, failed, status, error_code FROM ml_scoring_jobs ORDER BY id DESC LIMIT 1;
CREATE FUNCTION keys(name text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = name::regclass $$;
CREATE FUNCTION wrong(name text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE found bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM shop.customers c FULL JOIN %s s USING (id) WHERE s.score IS DISTINCT FROM e2i_predict(''churn'', c)', name) INTO found;
    RETURN found;
END $$;

-- A row ends the job in its third batch. There is no key yet; the same call goes on, and there is.
UPDATE shop.customers SET tenure_months = tenure_months + 0.5 WHERE id = 1500;
CALL e2i_score_table('churn', 'shop.customers', into_table => 'shop.scores', batch_rows => 600);
SELECT * FROM latest;
SELECT count(*), array(SELECT keys('shop.scores')) AS keys FROM shop.scores;
UPDATE shop.customers SET tenure_months = tenure_months - 0.5 WHERE id = 1500;
CALL e2i_score_table('churn', 'shop.customers', into_table => 'shop.scores', batch_rows => 600);
SELECT * FROM latest;
SELECT wrong('shop.scores'), keys('shop.scores');
-- What is there now is written over.
CALL e2i_score_table('churn', 'shop.customers', into_table => 'shop.scores');
SELECT wrong('shop.scores');

-- One that is half full, and a job that begins anew: its rows are written over.
UPDATE shop.customers SET tenure_months = tenure_months + 0.5 WHERE id = 1500;
CALL e2i_score_table('churn', 'shop.customers', into_table => 'shop.half', batch_rows => 600);
UPDATE shop.customers SET tenure_months = tenure_months - 0.5 WHERE id = 1500;
CALL e2i_score_table('churn', 'shop.customers', into_table => 'shop.half', restart => true);
SELECT * FROM latest;
SELECT wrong('shop.half'), keys('shop.half');

-- One that is half full and dropped: the job begins anew as well.
UPDATE shop.customers SET tenure_months = tenure_months + 0.5 WHERE id = 1500;
CALL e2i_score_table('churn', 'shop.customers', into_table => 'shop.dropped', batch_rows => 600);
UPDATE shop.customers SET tenure_months = tenure_months - 0.5 WHERE id = 1500;
DROP TABLE shop.dropped;
CALL e2i_score_table('churn', 'shop.customers', into_table => 'shop.dropped');
SELECT * FROM latest;
SELECT wrong('shop.dropped'), keys('shop.dropped');

-- Somebody has put a row of the same key into it.
UPDATE shop.customers SET tenure_months = tenure_months + 0.5 WHERE id = 1500;
CALL e2i_score_table('churn', 'shop.customers', into_table => 'shop.shared', batch_rows => 600);
UPDATE shop.customers SET tenure_months = tenure_months - 0.5 WHERE id = 1500;
INSERT INTO shop.shared (id, score) VALUES (1, 2);
CALL e2i_score_table('churn', 'shop.customers', into_table => 'shop.shared');
SELECT * FROM latest;
DELETE FROM shop.shared WHERE version IS NULL;
CALL e2i_score_table('churn', 'shop.customers', into_table => 'shop.shared');
SELECT * FROM latest;
SELECT wrong('shop.shared'), keys('shop.shared');

-- What an INSERT would look at is looked at, in tables that others have made, or changed: rights, checks, triggers, defaults.
CREATE TABLE shop.checked (id int NOT NULL, score float8 CHECK (score < 0));
\set VERBOSITY terse
CALL e2i_score_table('churn', 'shop.customers', into_table => 'shop.checked', target => 'score');
\set VERBOSITY default
CREATE TABLE shop.partly (id int NOT NULL, score float8, note text DEFAULT 'new');
CALL e2i_score_table('churn', 'shop.customers', into_table => 'shop.partly', target => 'score');
SELECT wrong('shop.partly'), min(note) FROM shop.partly;
CREATE TABLE shop.seen (id int NOT NULL, score float8);
CREATE FUNCTION doubled() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN new.score := 7; RETURN new; END';
CREATE TRIGGER doubled BEFORE INSERT ON shop.seen FOR EACH ROW EXECUTE FUNCTION doubled();
CALL e2i_score_table('churn', 'shop.customers', into_table => 'shop.seen', target => 'score');
SELECT count(*), min(score), max(score) FROM shop.seen;
CREATE TABLE shop.real (id int NOT NULL, score real);
CALL e2i_score_table('churn', 'shop.customers', into_table => 'shop.real', target => 'score');
SELECT count(*) FROM shop.real r JOIN shop.customers c USING (id) WHERE r.score = e2i_predict('churn', c)::real;
CREATE TABLE shop.plain (id int NOT NULL, score float8);
CREATE ROLE regress_filling;
SELECT e2i_grant_usage('regress_filling', 'scorer');
GRANT USAGE ON SCHEMA shop TO regress_filling;
GRANT SELECT ON shop.customers, shop.plain TO regress_filling;
SET ROLE regress_filling;
CALL e2i_score_table('churn', 'shop.customers', into_table => 'shop.plain', target => 'score');
RESET ROLE;
GRANT INSERT ON shop.plain TO regress_filling;
SET ROLE regress_filling;
CALL e2i_score_table('churn', 'shop.customers', into_table => 'shop.plain', target => 'score');
RESET ROLE;
SELECT wrong('shop.plain');
DROP SCHEMA shop CASCADE;
DROP VIEW latest;
DROP FUNCTION keys, wrong, doubled;
DROP OWNED BY regress_filling;
DROP ROLE regress_filling;
