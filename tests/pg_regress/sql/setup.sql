-- Runs first: every other test finds the extension in place, the example models, and errors in full.
\set VERBOSITY default
SET client_min_messages = warning;
CREATE EXTENSION e2i_serve;
SELECT extname, extversion FROM pg_extension WHERE extname = 'e2i_serve';

\set models `echo $E2I_MODELS`
CREATE SCHEMA regress;
GRANT USAGE ON SCHEMA regress TO PUBLIC;
CREATE TABLE regress.fixture AS
SELECT replace(file, '.onnx', '') AS name, pg_read_binary_file(:'models' || '/' || file) AS bytes
FROM pg_ls_dir(:'models') AS file WHERE file LIKE '%.onnx';
CREATE FUNCTION regress.onnx(fixture text) RETURNS bytea LANGUAGE sql AS 'SELECT bytes FROM regress.fixture WHERE name = $1';
-- y = x + k, as an ONNX graph of one feature.
CREATE FUNCTION regress.plus(k real) RETURNS bytea LANGUAGE sql AS $$
    SELECT '\x08083a4c0a0e0a01780a016b12017922034164641201672a0b10014a04'::bytea
        || (SELECT string_agg(substring(float4send(k) FROM i FOR 1), '' ORDER BY i DESC) FROM generate_series(1, 4) i)
        || '\x42016b5a140a0178120f0a0d080112090a0312014e0a02080162140a0179120f0a0d080112090a0312014e0a02080142021011'
$$;
-- SQLSTATE and message of a statement, so that many wrong ones fit in one list.
CREATE FUNCTION regress.raised(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
-- EXPLAIN (ANALYZE) without what only later majors print: searches of indexes and hundredths of rows.
CREATE FUNCTION regress.analyzed(statement text, options text DEFAULT 'VERBOSE false') RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE format('EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF, %s) %s', options, statement) LOOP
        IF line !~ '^ *Index Searches:' THEN RETURN NEXT regexp_replace(line, '(rows=[0-9]+)\.00', '\1'); END IF;
    END LOOP;
END $$;
-- As if nothing had ever been registered: numbers of dropped versions are not given again, so each test begins anew.
CREATE PROCEDURE regress.begin_anew() LANGUAGE plpgsql AS $$
BEGIN
    PERFORM e2i_drop_alias(model_name, alias) FROM ml_model_aliases;
    PERFORM e2i_drop_model(model_name || ':' || model_version, force => true) FROM ml_model_registry;
    ALTER TABLE ml_model_events DISABLE TRIGGER events_are_append_only;
    DELETE FROM ml_model_events;
    DELETE FROM ml_inference_log_policies;
    DELETE FROM ml_scoring_jobs;
    ALTER TABLE ml_model_events ENABLE TRIGGER events_are_append_only;
END $$;
