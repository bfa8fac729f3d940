-- A row is a row: outputs hold rows on any axis, widths are the real ones, and a model whose answer to a row depends on other
-- rows or on chance says so.
\set VERBOSITY default
SET client_min_messages = warning;
\set models `echo "$E2I_MODELS"`
\set alias :models '/rows/alias_matrix.onnx'
\set label :models '/rows/alias_label.onnx'
\set last :models '/rows/rows_last.onnx'
\set middle :models '/rows/rows_middle.onnx'
\set narrow :models '/rows/rows_declared_narrow.onnx'
\set wide :models '/rows/rows_declared_wide.onnx'
\set mean :models '/rows/rows_mean.onnx'
\set sum :models '/rows/rows_sum.onnx'
\set pairs :models '/rows/rows_pairs.onnx'
\set random :models '/rows/rows_random.onnx'
\set rarely :models '/rows/rows_rarely_random.onnx'
\set dropout :models '/rows/rows_dropout.onnx'
\set constant :models '/rows/alias_constant.onnx'
\set through :models '/rows/rows_handed_on.onnx'
\set codes :models '/rows/codes_strict.onnx'

-- An output that is an input: every statement is a call site of its own, on both engines.
SELECT e2i_register_model('alias', pg_read_binary_file(:'alias'));
SELECT e2i_register_model('alias_label', pg_read_binary_file(:'label'));
SELECT model_name, engine FROM ml_model_registry WHERE model_name LIKE 'alias%' ORDER BY 1;
SELECT e2i_predict_vector('alias', '[1, 2, 3]');
SELECT e2i_predict_vector('alias', '[4, 5, 6]');
SET e2i_serve.engine = 'onnxruntime';
SELECT e2i_predict_vector('alias', '[1, 2, 3]');
SELECT e2i_predict_vector('alias', '[4, 5, 6]');
SELECT e2i_predict_vector('alias', '[7, 8, 9]'), e2i_predict_vector('alias', ARRAY[10, 11, 12]);
SELECT e2i_predict_label('alias_label', '[7, 0.5, 0.25]');
SELECT e2i_predict_label('alias_label', '[8, 0.5, 0.25]'), e2i_predict('alias_label', '[9, 0.5, 0.25]');
SELECT e2i_serve('alias_label', '{"features": [[3, 1, 1], [4, 2, 2]]}') -> 'predictions' AS predictions;
RESET e2i_serve.engine;

-- Rows on the second axis of the output.
SELECT e2i_register_model('rows_last', pg_read_binary_file(:'last'));
SELECT e2i_serve('rows_last', '{"features": [[1, 2], [3, 4], [5, 6]]}') -> 'predictions' AS predictions;
SELECT e2i_serve('rows_last', '{"features": [[1, 2], [3, 4]]}') -> 'predictions' AS predictions;
SELECT e2i_predict_vector('rows_last', '[1, 2]');
SELECT e2i_register_model('rows_middle', pg_read_binary_file(:'middle'), examples => '[{"features": [1, 0], "vector": [1, 2, 3, 10, 20, 30]},
    {"features": [0, 1], "vector": [4, 5, 6, 40, 50, 60]}, {"features": [1, 1], "vector": [5, 7, 9, 50, 70, 90]}]');
SELECT e2i_serve('rows_middle', '{"features": [[1, 0], [0, 1]]}') -> 'predictions' AS predictions;
SELECT bool_and(ok) FROM e2i_verify_model('rows_middle');

-- What a graph declares and does not keep.
SELECT e2i_register_model('rows_narrow', pg_read_binary_file(:'narrow'));
SELECT e2i_register_model('rows_wide', pg_read_binary_file(:'wide'));
SELECT e2i_serve('rows_narrow', '{"features": [[1, 2], [3, 4]]}') -> 'predictions' AS predictions;
SELECT e2i_serve('rows_wide', '{"features": [[1, 2], [3, 4]]}') -> 'predictions' AS predictions, e2i_predict('rows_wide', '[5, 6]');

-- Answers that look at other rows: each row is scored alone, on its own or in a payload.
SELECT e2i_register_model('rows_mean', pg_read_binary_file(:'mean'));
SELECT e2i_register_model('rows_sum', pg_read_binary_file(:'sum'));
SELECT e2i_register_model('rows_pairs', pg_read_binary_file(:'pairs'));
SELECT e2i_register_model('rows_constant', pg_read_binary_file(:'constant'));
SELECT e2i_register_model('rows_mean_chained', pg_read_binary_file(:'mean'), preprocessor => pg_read_binary_file(:'through'));
SELECT m AS model, e2i_serve(m, '{"features": [[1, 2], [3, 6]]}') -> 'predictions' AS together,
       e2i_predict_vector(m, '[1, 2]') AS first, e2i_predict_vector(m, '[3, 6]') AS second
FROM unnest(ARRAY['rows_mean', 'rows_sum', 'rows_pairs', 'rows_constant', 'rows_mean_chained']) m;
SELECT e2i_predict_pinned('rows_mean:1', '[1, 2]');
SELECT e2i_predict_pinned('rows_sum:1', '[1, 2]');

-- Chance.
SELECT e2i_register_model('rows_random', pg_read_binary_file(:'random'));
SELECT e2i_register_model('rows_rarely', pg_read_binary_file(:'rarely'));
SELECT e2i_register_model('rows_dropout', pg_read_binary_file(:'dropout'), preprocessor => pg_read_binary_file(:'through'));
SELECT e2i_predict('rows_rarely', '[1, 2]');
SELECT e2i_predict_pinned('rows_random:1', '[1, 2]');
CREATE TABLE rows_indexed (features float8[]);
INSERT INTO rows_indexed VALUES ('{1, 2}');
CREATE INDEX ON rows_indexed (e2i_predict_pinned('rows_rarely:1', features));
CREATE INDEX ON rows_indexed (e2i_predict_pinned('rows_dropout:1', features));
SELECT model_name, interface ->> 'varies' AS varies FROM ml_model_registry WHERE interface ? 'varies' ORDER BY model_name;

-- Samples of an encoder that refuses every value it does not know; a row that it knows is scored, another one is an error.
SELECT e2i_register_model('codes', pg_read_binary_file(:'codes'));
SELECT engine, engine_reason FROM ml_model_registry WHERE model_name = 'codes';
SELECT e2i_serve('codes', '{"features": [[3, 20], [1, 30]]}') -> 'predictions' AS predictions;
SELECT e2i_predict('codes', '[4, 20]');

DROP TABLE rows_indexed;
SELECT count(e2i_drop_model(model_name || ':1', force => true)) FROM ml_model_registry
WHERE model_name LIKE 'rows_%' OR model_name LIKE 'alias%' OR model_name = 'codes';
