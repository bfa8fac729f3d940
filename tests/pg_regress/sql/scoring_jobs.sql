-- Scoring a table batch by batch.
\set VERBOSITY default
SET client_min_messages = warning;
\set models `echo "$E2I_MODELS"`
\set churn :models '/hcp_churn.onnx'
SELECT e2i_register_model('churn', pg_read_binary_file(:'churn'));
CREATE TABLE customers (id int PRIMARY KEY, specialty text, region text, years_in_practice int, tenure_months int,
    patient_volume bigint, calls_last_quarter int, engagement_score float8, rx_last_quarter float4, is_kol boolean);
\set customers :models '/customers.csv'
CREATE FUNCTION load() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    EXECUTE format('COPY customers FROM %L WITH (FORMAT csv, HEADER)', current_setting('e2i_test.models') || '/customers.csv'); END $$;
SELECT load();
ALTER TABLE customers ADD COLUMN churn_score float8, ADD COLUMN churn_version text;

CALL e2i_score_table('churn', 'customers', 'churn_score');
SELECT count(*), count(*) FILTER (WHERE churn_score IS DISTINCT FROM e2i_predict('churn', c)) AS wrong FROM customers c;
SELECT model_name, model_version, source_table, target_table, targets, key, total, done, written, failed, status FROM ml_scoring_jobs;
SELECT job > 0 AS job, model, target, done, "left", status FROM e2i_scoring_progress;

DROP TABLE customers;
DROP FUNCTION load;
SELECT e2i_drop_model('churn:1', force => true);
