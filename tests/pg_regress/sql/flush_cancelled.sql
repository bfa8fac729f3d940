\set VERBOSITY default
SET client_min_messages = warning;
\set models `echo "$E2I_MODELS"`
-- e2i_flush_metrics that is cancelled, here while a golden row takes long, leaves a session that works on: it was in a
-- subtransaction of its own, which is gone. (By a lock that is not given, and by pg_cancel_backend: the isolation spec of this name.)

SELECT e2i_register_model('slow_golden', pg_read_binary_file(:'models' || '/shape_slow.onnx'),
    examples => '[{"features": [1], "prediction": 1}]');
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

SELECT e2i_drop_model('slow_golden', force => true);
-- Nothing is left that takes long.
SELECT e2i_flush_metrics() >= 0 AS flushed;
DROP TABLE notes;
