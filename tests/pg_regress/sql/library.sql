\set VERBOSITY default
SET client_min_messages = warning;
\set models `echo $E2I_MODELS`
CALL regress.begin_anew();
-- e2i_serve.onnxruntime_library names the ONNX Runtime library; empty means the one installed beside the extension. A file
-- that cannot be used is an error with its path and the way out, never more, and a session that met it can go on.
SELECT e2i_register_model('linear', pg_read_binary_file(:'models' || '/shape_regression_flat.onnx'));

-- Scores once; paths in messages are masked.
CREATE FUNCTION try(library text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE message text; detail text; hint text;
BEGIN
    PERFORM set_config('e2i_serve.engine', 'onnxruntime', false), set_config('e2i_serve.onnxruntime_library', library, false);
    RETURN e2i_predict('linear', '[1, 2, 3, 4]')::text;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN replace(format(E'%s: %s\nDETAIL: %s\nHINT: %s', SQLSTATE, message, detail, hint), coalesce(nullif(library, ''), '-'), '<path>');
END $$;

-- A file that does not exist, a path that is not absolute, a folder.
\c -
SET client_min_messages = warning;
\pset format unaligned
\pset tuples_only on
SELECT try('/nowhere/libonnxruntime.so');
SELECT try('onnxruntime.so');
SELECT try(current_setting('data_directory'));
-- A text file, an empty one.
SELECT try(current_setting('data_directory') || '/PG_VERSION');
SELECT try('/dev/null');
-- A shared library that is another one.
SELECT setting || '/plpgsql.so' AS plpgsql FROM pg_config WHERE name = 'PKGLIBDIR' \gset
SELECT try(:'plpgsql');
-- The session can go on with the right one.
SELECT try('');
-- Loaded is loaded: another library needs a new session. What is in the session cache scores on.
SELECT try('/nowhere/libonnxruntime.so');
SELECT e2i_clear_session_cache();
SELECT regexp_replace(try('/nowhere/libonnxruntime.so'), '"/[^"]*/e2i_serve/libonnxruntime.so"', '"<installed>"');
SELECT try('');

-- The installed library, named in full, in a session that begins with it.
\c -
SET client_min_messages = warning;
SELECT setting || '/e2i_serve/libonnxruntime.so' AS installed FROM pg_config WHERE name = 'PKGLIBDIR' \gset
SELECT try(:'installed');
-- So it is in a session that begins with a wrong one.
\c -
SET client_min_messages = warning;
SELECT try(:'plpgsql') LIKE '58P01%', try(:'installed');

-- Only a superuser may name a library, because it is loaded into the server; also before the extension is loaded.
CREATE ROLE regress_library;
GRANT SELECT ON ml_model_registry TO regress_library;
\c -
SET client_min_messages = warning;
SET ROLE regress_library;
SET e2i_serve.onnxruntime_library = '/nowhere/libonnxruntime.so';
SELECT e2i_predict('linear', '[1, 2, 3, 4]');
SET e2i_serve.onnxruntime_library = '/nowhere/libonnxruntime.so';
SELECT count(*) FROM pg_settings WHERE name = 'e2i_serve.onnxruntime_library';
ALTER ROLE regress_library SET e2i_serve.onnxruntime_library = '/nowhere/libonnxruntime.so';
RESET ROLE;
REVOKE SELECT ON ml_model_registry FROM regress_library;
DROP ROLE regress_library;

SELECT e2i_drop_model('linear', force => true);
DROP FUNCTION try;
