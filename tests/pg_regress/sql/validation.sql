\set VERBOSITY default
SET client_min_messages = warning;
CALL regress.begin_anew();
-- A model is tried out in a process of its own before it is registered, under limits of time and memory. (What it is tried
-- with is in hostile.sql; golden rows are in golden_rows.sql.)

-- The session itself does not even load ONNX Runtime for that, and can register both before and after it has.
\c -
SET client_min_messages = warning;
CREATE FUNCTION pg_temp.runtime_is_loaded() RETURNS boolean LANGUAGE sql AS $$ SELECT pg_read_file('/proc/self/maps') LIKE '%libonnxruntime%' $$;
CREATE FUNCTION pg_temp.children() RETURNS text LANGUAGE sql AS $$ SELECT pg_read_file(format('/proc/self/task/%s/children', pg_backend_pid())) $$;
SELECT e2i_register_model('tried', regress.onnx('shape_regression_flat')), pg_temp.runtime_is_loaded();
SELECT e2i_predict('tried', '[1, 2, 3, 4]'), pg_temp.runtime_is_loaded();
SET e2i_serve.engine = 'onnxruntime';
SELECT e2i_predict('tried', '[1, 2, 3, 4]'), pg_temp.runtime_is_loaded();
RESET e2i_serve.engine;
SELECT e2i_register_model('tried', regress.onnx('shape_regression_flat')), e2i_register_model('two graphs', regress.onnx('hcp_two_graph'), preprocessor => regress.onnx('hcp_two_graph.preprocessor'));
-- Both times the same was found out: widths for instance.
SELECT count(DISTINCT interface - '{rows_at_once,engine_times}'::text[]) FROM ml_model_registry WHERE model_name = 'tried';
SELECT e2i_predict('tried:2', '[1, 2, 3, 4]');

-- Time: of its own, and the statement's. A loop never ends, a slow model takes about a second a row.
SET e2i_serve.validation_timeout = '300ms';
SELECT e2i_register_model('endless', regress.onnx('shape_loop'));
SELECT regress.raised($$SELECT e2i_register_model('slow', regress.onnx('shape_slow'))$$);
SET e2i_serve.validation_timeout = 0;
SET statement_timeout = '300ms';
SELECT e2i_register_model('endless', regress.onnx('shape_loop'));
RESET e2i_serve.validation_timeout;
SELECT e2i_register_model('endless', regress.onnx('shape_loop'));
RESET statement_timeout;
-- The same where the error is caught, in a loop.
SET e2i_serve.validation_timeout = '50ms';
SELECT regress.raised($$SELECT e2i_register_model('endless', regress.onnx('shape_loop'))$$), count(*) FROM generate_series(1, 10) GROUP BY 1;
RESET e2i_serve.validation_timeout;
SELECT pg_temp.children() = '' AS "no child left";

-- Memory: y = x plus the sum of 400,000,000 zeros.
SET e2i_serve.validation_memory = '1GB';
SELECT e2i_register_model('hungry',
    '\x08083a8a010a251201732208436f6e7374616e742a160a0576616c75652a0a08011007388088debe01a001040a170a017312017a220f436f6e73'
    '74616e744f6653686170650a110a017a120172220952656475636553756d0a0e0a01780a017212017922034164641201675a100a0178120b0a09'
    '080112050a0312014e62100a0179120b0a09080112050a0312014e42021011'::bytea) \g (format=unaligned)
\set VERBOSITY sqlstate
SET e2i_serve.validation_memory = '1MB';
\set VERBOSITY default
RESET e2i_serve.validation_memory;
SELECT pg_temp.children() = '' AS "no child left";

-- What the runtime says passes through as it is, and the library is looked for in the try-out, too.
\c -
SET client_min_messages = warning;
SET e2i_serve.onnxruntime_library = '/nowhere/libonnxruntime.so';
SELECT e2i_register_model('tried', regress.onnx('shape_regression_flat'));
RESET e2i_serve.onnxruntime_library;
SELECT e2i_register_model('tried', regress.onnx('shape_regression_flat'));

-- Several rows and several models in one statement, in a transaction that is rolled back, and by a role that may.
BEGIN;
SELECT count(e2i_register_model('many', regress.onnx('shape_regression_flat'))) FROM generate_series(1, 20);
ROLLBACK;
CREATE ROLE regress_registrar;
GRANT EXECUTE ON FUNCTION e2i_register_model TO regress_registrar;
SELECT regress.onnx('shape_regression_flat') AS bytes \gset
SET ROLE regress_registrar;
SELECT e2i_register_model('role', :'bytes');
-- Who registers cannot lift the limits.
SET e2i_serve.validation_timeout = 0;
SET e2i_serve.validation_memory = '4GB';
RESET ROLE;
REVOKE EXECUTE ON FUNCTION e2i_register_model FROM regress_registrar;
DROP ROLE regress_registrar;

-- Nothing of what failed is there.
SELECT model_name, count(*) FROM ml_model_registry WHERE model_name IN ('tried', 'endless', 'slow', 'hungry', 'many', 'role') GROUP BY 1 ORDER BY 1;
SELECT count(e2i_drop_model(model_name || ':' || model_version, force => true)) FROM ml_model_registry;
