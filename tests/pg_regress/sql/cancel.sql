\set VERBOSITY default
SET client_min_messages = warning;
\set models `echo $E2I_MODELS`
-- statement_timeout, Ctrl-C and pg_cancel_backend stop a model at once, also inside one long call of ONNX Runtime; the
-- session works on with what it had loaded. (How pg_cancel_backend does it is the isolation spec of this name.)

-- A model that does not come to an end cannot be registered, as registering scores one row.
SET statement_timeout = '300ms';
SELECT e2i_register_model('endless', pg_read_binary_file(:'models' || '/shape_loop.onnx'));
RESET statement_timeout;
SELECT count(*) FROM ml_model_registry WHERE model_name = 'endless';

-- y = x + 1 for every step, in a Loop of the graph: takes as long as one likes.
SELECT e2i_register_model('counter',
    '\x08083a98020a260a05737465707312016d22095265647563654d61782a0f0a086b65657064696d731800a001020a97010a016d0a000a01'
    '7812017922044c6f6f702a83010a04626f647932780a100a016312016422084964656e746974790a0e0a01760a016b1201772203416464'
    '1201625a0b0a016912060a04080712005a0b0a016312060a04080912005a140a0176120f0a0d080112090a0312014e0a020801620b0a01'
    '6412060a040809120062140a0177120f0a0d080112090a0312014e0a020801a001051201672a0b10014a040000803f42016b5a140a0178'
    '120f0a0d080112090a0312014e0a0208015a180a057374657073120f0a0d080712090a0312014e0a02080162140a0179120f0a0d080112'
    '090a0312014e0a02080142021011'::bytea);
-- y = x, in about a second a row.
SELECT e2i_register_model('slow', pg_read_binary_file(:'models' || '/shape_slow.onnx'), feature_names => '{x}');
CREATE TABLE points AS SELECT 1::real AS x, 1000 AS steps, NULL::float8 AS score FROM generate_series(1, 200000);

SELECT e2i_predict('counter', '{"x": 1, "steps": 3}'), e2i_prewarm('slow');
SET statement_timeout = '300ms';
-- One long call.
SELECT e2i_predict('counter', '{"x": 1, "steps": 1000000000000}');
SELECT e2i_predict('slow', '{"x": 7}');
-- A batch of many rows, in which each call is one.
SELECT e2i_serve('slow', jsonb_build_object('features', jsonb_agg(ARRAY[i]))) FROM generate_series(1, 2000) i;
SELECT e2i_serve('counter', jsonb_build_object('features', jsonb_agg(ARRAY[i, 1000000000]))) FROM generate_series(1, 2000) i;
-- A long scan of short calls.
SELECT sum(e2i_predict('counter', p)) FROM points p;
UPDATE points p SET score = e2i_predict('counter', p);
RESET statement_timeout;
-- The session scores on, with the same loaded models, and nothing was written.
SELECT e2i_predict('counter', '{"x": 1, "steps": 3}');
SELECT round(e2i_predict('slow', '{"x": 7}')::numeric, 1);
SELECT model, loads FROM e2i_session_cache ORDER BY model;
SELECT count(score) FROM points;

-- A caught cancel ends its subtransaction only: the block scores on.
SET statement_timeout = '300ms';
DO $$
BEGIN
    BEGIN
        PERFORM e2i_predict('counter', '{"x": 1, "steps": 1000000000000}');
    EXCEPTION WHEN query_canceled THEN
        RAISE WARNING '% %', SQLSTATE, SQLERRM;
    END;
    RAISE WARNING '%', e2i_predict('counter', '{"x": 1, "steps": 3}');
END $$;
BEGIN;
SAVEPOINT a;
SELECT e2i_predict('counter', '{"x": 1, "steps": 1000000000000}');
ROLLBACK TO SAVEPOINT a;
SELECT e2i_predict('counter', '{"x": 1, "steps": 3}');
COMMIT;

-- It does not take long: the clock stops within a second of the timeout, on any machine.
CREATE FUNCTION stops_within_a_second(query text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE query;
    RETURN NULL;
EXCEPTION WHEN query_canceled THEN
    RETURN clock_timestamp() - statement_timestamp() < '1.3 s';
END $$;
SELECT stops_within_a_second($$ SELECT e2i_predict('counter', '{"x": 1, "steps": 1000000000000}') $$) AS one_call;
SELECT stops_within_a_second($$ SELECT e2i_predict('slow', '{"x": 7}') $$) AS slow_call;
SELECT stops_within_a_second($$ SELECT e2i_serve('slow', jsonb_build_object('features', jsonb_agg(ARRAY[i]))) FROM generate_series(1, 2000) i $$) AS batch;
SELECT stops_within_a_second($$ SELECT sum(e2i_predict('counter', p)) FROM points p $$) AS scan;
RESET statement_timeout;

DROP TABLE points;
DROP FUNCTION stops_within_a_second;
SELECT e2i_drop_model('counter', force => true), e2i_drop_model('slow', force => true);
