\set VERBOSITY default
SET client_min_messages = warning;
\set models `echo $E2I_MODELS`
CALL regress.begin_anew();
-- Memory of a session stays flat, however many models come and go and however many rows are scored.

-- Resident memory of this session's process that it shares with nobody, in MB: not the server's shared buffers.
CREATE FUNCTION resident() RETURNS numeric LANGUAGE sql VOLATILE AS $$
    SELECT (pages[2]::numeric - pages[3]::numeric) * 4096 / 1048576 FROM string_to_array(pg_read_file('/proc/self/statm'), ' ') pages
$$;
-- y = x + k as an ONNX graph.
CREATE FUNCTION plus(k float4) RETURNS bytea LANGUAGE sql AS $$
    SELECT '\x08083a4c0a0e0a01780a016b12017922034164641201672a0b10014a04'::bytea
        || (SELECT string_agg(substring(float4send(k) FROM i FOR 1), '' ORDER BY i DESC) FROM generate_series(1, 4) i)
        || '\x42016b5a140a0178120f0a0d080112090a0312014e0a02080162140a0179120f0a0d080112090a0312014e0a02080142021011'
$$;

-- Register, predict, drop: a thousand rounds, each a transaction.
CREATE PROCEDURE rounds(n int) LANGUAGE plpgsql AS $$
BEGIN
    FOR k IN 1..n LOOP
        PERFORM e2i_register_model('round', plus(k));
        IF e2i_predict('round', ARRAY[1000]) <> 1000 + k THEN
            RAISE EXCEPTION 'round % scored %', k, e2i_predict('round', ARRAY[1000]);
        END IF;
        PERFORM e2i_drop_model('round', force => true);
        COMMIT;
    END LOOP;
END $$;
CALL rounds(200);
SELECT resident() AS before \gset
CALL rounds(1000);
SELECT resident() - :before < 20 AS "rounds leave memory flat";
SELECT count(*) FROM e2i_session_cache;

-- A hundred thousand predictions, through row, jsonb and array; and the same twice again.
SELECT e2i_register_model('churn', pg_read_binary_file(:'models' || '/hcp_hist.onnx'));
CREATE TABLE wide AS
SELECT i % 7 AS f0, i % 11 + 0.5 AS f1, (i % 13)::real AS f2, nullif(i % 17, 0)::float8 AS f3, i % 19 AS f4, i % 23 AS f5
FROM generate_series(1, 25000) i;
CREATE VIEW spellings AS
SELECT (SELECT count(e2i_predict('churn', w)) FROM wide w) AS rows,
       (SELECT count(e2i_predict('churn', to_jsonb(w))) FROM wide w) AS jsonb,
       (SELECT count(e2i_predict('churn', ARRAY[f0, f1, f2, f3, f4, f5])) FROM wide) AS arrays,
       (SELECT count(e2i_predict_proba('churn', w)) FROM wide w) AS probabilities;
SELECT * FROM spellings;
SELECT resident() AS before \gset
SELECT * FROM spellings;
SELECT * FROM spellings;
SELECT resident() - :before < 5 AS "predictions leave memory flat";

-- So do batches, statements of one row, and errors that are caught.
CREATE PROCEDURE singles(n int) LANGUAGE plpgsql AS $$
DECLARE p float8;
BEGIN
    FOR k IN 1..n LOOP
        EXECUTE 'SELECT e2i_predict(''churn'', $1)' INTO p USING jsonb_build_array(k, 1, 1, 1, 1, 1);
    END LOOP;
END $$;
CREATE PROCEDURE failures(n int) LANGUAGE plpgsql AS $$
DECLARE failed int := 0;
BEGIN
    FOR k IN 1..n LOOP
        BEGIN
            CASE k % 5
                WHEN 0 THEN PERFORM e2i_predict('churn', '{"f0": "text"}');
                WHEN 1 THEN PERFORM e2i_predict('churn', ARRAY[1, 2]);
                WHEN 2 THEN PERFORM e2i_predict('unknown', ARRAY[1, 2]);
                WHEN 3 THEN PERFORM e2i_serve('churn', '{"features": [[1, 2], 3]}');
                WHEN 4 THEN PERFORM e2i_register_model('broken', '\x08083a4c0a0e0a0178');
            END CASE;
        EXCEPTION WHEN OTHERS THEN
            failed := failed + 1;
        END;
    END LOOP;
    RAISE WARNING '% failures', failed;
END $$;
CREATE PROCEDURE batches(n int) LANGUAGE plpgsql AS $$
DECLARE payload jsonb;
BEGIN
    SELECT jsonb_build_object('features', jsonb_agg(w)) INTO payload FROM (SELECT * FROM wide LIMIT 5000) w;
    FOR k IN 1..n LOOP
        PERFORM e2i_serve('churn', payload);
    END LOOP;
END $$;
CALL singles(2000);
CALL failures(1000);
CALL batches(2);
SELECT resident() AS before \gset
CALL singles(10000);
SELECT resident() - :before < 5 AS "singles leave memory flat";
CALL failures(10000);
SELECT resident() - :before < 10 AS "errors leave memory flat";
SELECT resident() AS before \gset
CALL batches(5);
SELECT resident() - :before < 10 AS "batches leave memory flat";

DROP VIEW spellings;
DROP TABLE wide;
DROP PROCEDURE rounds, singles, failures, batches;
DROP FUNCTION plus, resident;
SELECT e2i_drop_model('churn', force => true);
