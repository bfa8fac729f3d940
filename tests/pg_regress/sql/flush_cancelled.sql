\set VERBOSITY default
SET client_min_messages = warning;
CALL regress.begin_anew();
-- e2i_flush_metrics that is cancelled, here while a record of the inference log takes long, leaves a session that works on: it was
-- in a subtransaction of its own, which is gone. (By a lock that is not given, and by pg_cancel_backend: the isolation spec of this name.)

SELECT e2i_register_model('plus', regress.plus(1));
SELECT e2i_set_inference_log('plus', 1);
SELECT e2i_flush_metrics() > 0 AS partitions_are_made;
CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(5); RETURN new; END';
CREATE TRIGGER wait BEFORE INSERT ON ml_inference_log FOR EACH ROW EXECUTE FUNCTION wait();
SELECT e2i_predict('plus', '{"x": 1}');
CREATE TABLE notes (note text);

-- A statement of its own.
SET statement_timeout = '200ms';
SELECT e2i_flush_metrics();
SET statement_timeout = 0;
SELECT 'the next statement works';
ROLLBACK;
BEGIN;
INSERT INTO notes VALUES ('a transaction works');
COMMIT;

-- In a transaction, after a savepoint and before one.
BEGIN;
INSERT INTO notes VALUES ('before the savepoint');
SAVEPOINT a;
INSERT INTO notes VALUES ('after it, undone');
SET LOCAL statement_timeout = '200ms';
SELECT e2i_flush_metrics();
SELECT 'refused until the savepoint';
ROLLBACK TO SAVEPOINT a;
SAVEPOINT b;
INSERT INTO notes VALUES ('after the savepoint');
RELEASE SAVEPOINT b;
COMMIT;
BEGIN;
SET LOCAL statement_timeout = '200ms';
SELECT e2i_flush_metrics();
ROLLBACK;

-- In a block of PL/pgSQL that catches it.
SET statement_timeout = '200ms';
DO $$
BEGIN
    INSERT INTO notes VALUES ('before the block');
    BEGIN
        INSERT INTO notes VALUES ('in the block, undone');
        PERFORM e2i_flush_metrics();
    EXCEPTION WHEN query_canceled THEN
        RAISE WARNING '% %', SQLSTATE, SQLERRM;
    END;
    INSERT INTO notes VALUES ('after the block');
END $$;
SET statement_timeout = 0;
TABLE notes;

-- The record is still there, and is written when it does not take long any more.
DROP TRIGGER wait ON ml_inference_log;
SELECT e2i_flush_metrics() >= 0 AS flushed;
SELECT prediction FROM ml_inference_log WHERE service_name = 'plus';
SELECT e2i_set_inference_log('plus', NULL);
DELETE FROM ml_inference_log;
DROP FUNCTION wait;
DROP TABLE notes;
