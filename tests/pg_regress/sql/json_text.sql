\set VERBOSITY default
SET client_min_messages = warning;
CALL regress.begin_anew();
-- Features and payloads as text: JSON, what drivers send for a list, and everything that is neither.
SELECT e2i_register_model('diabetes', regress.onnx('diabetes_float64'), feature_names => '{age,sex,bmi,bp,s1,s2,s3,s4,s5,s6}');
SELECT e2i_register_model('churn', regress.onnx('hcp_churn'));
SELECT e2i_register_model('plus', regress.plus(1));
SELECT name, type FROM e2i_describe_model('churn') WHERE kind = 'feature';

-- An untyped literal and an untyped parameter need no cast, for each function; json is taken as jsonb and text are.
SELECT e2i_predict('plus', '{"x": 1}'), e2i_predict_vector('plus', '{"x": 1}'), e2i_predict_pinned('plus:1', '[1]'),
    e2i_predict_label('churn', '["Cardiology", "West", 1, 2, 3, 4, 5, 6, true]'), e2i_predict_proba('churn', '["Cardiology", "West", 1, 2, 3, 4, 5, 6, true]');
PREPARE untyped AS SELECT e2i_predict('plus', $1), e2i_serve('plus', $2)->'predictions', (SELECT value FROM e2i_check_features('plus', $3));
SELECT parameter_types FROM pg_prepared_statements WHERE name = 'untyped';
EXECUTE untyped('{"x": 1}', '{"features": [[1], [2]]}', '[1]');
SELECT e2i_predict('plus', r), e2i_predict_label('churn', j), e2i_predict_proba('churn', j) = e2i_predict_proba('churn', j::jsonb) AS proba,
    e2i_predict_vector('plus', r), e2i_predict_pinned('plus:1', r), e2i_serve('plus', json_build_object('features', r))->'predictions'
FROM (SELECT row_to_json(t) AS r, '["Cardiology", "West", 1, 2, 3, 4, 5, 6, true]'::json AS j FROM (VALUES (1)) t (x)) s;
SELECT value FROM e2i_check_features('plus', '{"x": 5}'::json);
-- Whatever a driver calls the text.
SELECT e2i_serve('plus', '{"features": {"x": 1}}'::varchar)->'predictions', e2i_serve('plus', '{"features": {"x": 1}}'::text)->'predictions',
    e2i_predict('plus', '{"x": 1}'::varchar);
SELECT e2i_serve(model => 'plus', payload => '{"features": {"x": 1}}')->'predictions', e2i_serve(model => 'plus', request => '{"features": {"x": 1}}')->'predictions';

-- An array literal is a row by position, quoted as node-postgres does it or not.
SELECT e2i_predict('plus', '{1.5}'), e2i_predict('plus', '{"1.5"}'), e2i_predict('plus', ' { +1.5 } ');
SELECT e2i_predict('diabetes', '{0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9,1}') = e2i_predict('diabetes', '[0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9,1]') AS same;
SELECT e2i_predict('churn', literal) = e2i_predict('churn', '["Cardiology", null, 1, 2, 3, 4, 0.5, 6, true]') AS same
FROM (VALUES ('{Cardiology,NULL,1,2,3,4,.5,6,t}'), ('{"Cardiology",NULL,"1","2","3","4","0.5","6","true"}')) v (literal);
EXECUTE untyped('{"1"}', '{"features": {"x": 1}}', '{1}');

-- What is wrong with the others, by model, with what to write.
SELECT e2i_predict('plus', '[NaN]');
SELECT e2i_predict('plus', '{"x": -Infinity}');
SELECT e2i_predict('plus', '{''x'': 1.5}');
SELECT e2i_predict('plus', '{"x": None}');
SELECT e2i_predict('plus', '[True]');
SELECT e2i_predict('plus', '(1,)');
SELECT e2i_predict('plus', 'Cardiology');
SELECT e2i_predict('plus', '');
SELECT e2i_predict('plus', '[object Object]');
SELECT e2i_predict('plus', '{x: 1}');
SELECT e2i_predict('plus', '{{1},{2}}');
SELECT e2i_predict('plus', '{1,2}');
SELECT e2i_predict('plus', '{many}');
SELECT e2i_predict('plus', '{"x": 1');
SELECT e2i_predict('plus', '{"x": ' || repeat('é', 500));
SELECT e2i_predict_pinned('plus:1', 'oops');
SELECT e2i_check_features('plus', 'oops');
SELECT e2i_serve('plus', '{"features": {"x": NaN}}');
SELECT e2i_serve('plus', 'features=1');
-- Numbers and nesting beyond the server's own limits are its own errors; a text cannot hold a zero.
SELECT regress.raised($$ SELECT e2i_predict('plus', '{"x": 1e999999}') $$);
SELECT regress.raised($$ SELECT e2i_predict('plus', repeat('[', 100000)) $$);
SELECT regress.raised($$ SELECT e2i_predict('plus', '{"x": "\u0000"}') $$);
-- An error of a text is caught, and counted, as any other.
SELECT e2i_serving_stats_reset();
SELECT regress.raised($$ SELECT e2i_predict('plus', 'oops') $$), regress.raised($$ SELECT e2i_serve('plus', 'oops') $$);
SELECT function, requests, errors, errors_by_kind FROM e2i_serving_counters(true) WHERE function <> 'load' ORDER BY function;

-- An array of parameters without a type is one of text: numbers are not read out of texts.
PREPARE texts AS SELECT e2i_predict('plus', ARRAY[$1]);
EXECUTE texts('1');
PREPARE numbers AS SELECT e2i_predict('plus', ARRAY[$1]::float8[]);
EXECUTE numbers('1');
DEALLOCATE ALL;

-- Objects whose keys differ from row to row: each is bound by its own.
SELECT count(*), sum(e2i_predict('plus', jsonb_build_object('x', n) || jsonb_build_object('k' || n % 20, 'unused') || jsonb_build_object(repeat('a', n % 3), n))) = sum(n + 1) AS right
FROM generate_series(1, 1000) n;
