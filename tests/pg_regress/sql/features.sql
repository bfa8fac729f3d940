-- The second argument in its four spellings: an object, the same as text, a row, an array; what is found by name, what is
-- found by position, what is ignored, what is missing.
\set VERBOSITY default
\set models `echo $E2I_MODELS`
SET client_min_messages = warning;

-- y = 0.5a - 1.25b + 2c + 0.125d + 0.75, all four required, no missing values.
SELECT e2i_register_model('linear', regress.onnx('shape_regression_flat'), feature_names => '{a,b,c,d}'),
       e2i_register_model('churn', regress.onnx('hcp_churn'));

-- The spellings. A literal without a type is text; a row is bound by the names of its columns, an array by position.
SELECT e2i_predict('linear', '{"a": 1, "b": 2, "c": 3, "d": 4}') AS literal, e2i_predict('linear', jsonb '{"a": 1, "b": 2, "c": 3, "d": 4}') AS jsonb,
       e2i_predict('linear', text '{"a": 1, "b": 2, "c": 3, "d": 4}') AS text, e2i_predict('linear', varchar '[1, 2, 3, 4]') AS varchar,
       e2i_predict('linear', ARRAY[1, 2, 3, 4]) AS array, e2i_predict('linear', '[1, 2, 3, 4]') AS json_array, e2i_predict('linear', jsonb '[1, 2, 3, 4]') AS jsonb_array,
       (SELECT e2i_predict('linear', t) FROM (SELECT 4 AS d, 3 AS c, 2 AS b, 1 AS a) t) AS row;
-- A parameter without a type is text, too, and one that the driver calls jsonb is jsonb.
PREPARE untyped AS SELECT e2i_predict($1, $2);
PREPARE typed (text, jsonb) AS SELECT e2i_predict($1, $2);
SELECT parameter_types FROM pg_prepared_statements WHERE name = 'untyped';
EXECUTE untyped ('linear', '{"a": 1, "b": 2, "c": 3, "d": 4}');
EXECUTE untyped ('linear', '[4, 3, 2, 1]');
EXECUTE typed ('linear', '{"a": 1, "b": 2, "c": 3, "d": 4}');
SET plan_cache_mode = force_generic_plan;
EXECUTE typed ('linear', '[4, 3, 2, 1]');
EXECUTE typed ('linear', '{"d": 4, "c": 3, "b": 2, "a": 1}');
RESET plan_cache_mode;
DEALLOCATE ALL;
-- SQL NULL for the model or for all features: no answer.
SELECT e2i_predict(NULL, '[1, 2, 3, 4]'), e2i_predict('linear', NULL::jsonb), e2i_predict('linear', NULL::text), e2i_predict('linear', NULL::record), e2i_predict('linear', NULL::float8[]),
       e2i_predict_label('churn', NULL::text), e2i_predict_proba('churn', NULL::text), e2i_predict_vector('churn', NULL::text), e2i_serve('churn', NULL);

-- The order of names makes no difference, bit for bit; of a name that occurs twice the last counts, as in jsonb.
SELECT count(DISTINCT e2i_predict('churn', features)) AS scores, count(*) AS orders
FROM (SELECT '{' || string_agg(to_json(key) || ': ' || value, ', ' ORDER BY md5(key || seed)) || '}' AS features
      FROM json_each('{"specialty": "Oncology", "region": "South", "years_in_practice": 4, "tenure_months": 48, "patient_volume": 325, "calls_last_quarter": 5, "engagement_score": 84.9, "rx_last_quarter": 103.8, "is_kol": false}'),
           generate_series(1, 50) AS seed GROUP BY seed) shuffled;
SELECT e2i_predict('linear', '{"a": 7, "a": 1, "b": 2, "c": 3, "d": 4}'), e2i_predict('linear', t) AS twice_in_a_row FROM (SELECT 7 AS a, 1 AS a, 2 AS b, 3 AS c, 4 AS d) t;
-- Names the model does not know are ignored: one, and 500.
SELECT e2i_predict('linear', '{"a": 1, "b": 2, "c": 3, "d": 4, "e": "ignored, whatever it holds"}') AS one,
       (SELECT e2i_predict('linear', jsonb_object_agg('extra ' || n, repeat('x', n)) || '{"a": 1, "b": 2, "c": 3, "d": 4}') FROM generate_series(1, 500) AS n) AS "500";
SELECT e2i_predict('linear', t) AS row_with_extras FROM (SELECT 'x'::bytea AS e, 1 AS a, 2 AS b, ARRAY[1] AS f, 3 AS c, 4 AS d, point '(0,0)' AS g) t;

-- A missing name is an error that names it; what was given instead is listed, and a name in other letters is pointed out.
SELECT e2i_predict('linear', '{"a": 1, "b": 2, "c": 3}');
SELECT e2i_predict('linear', '{"a": 1, "B": 2, "c": 3, "d": 4, "x": 5}');
SELECT e2i_predict('churn', '{"Region": "South"}');
SELECT e2i_predict('linear', jsonb_object_agg('x' || n, n)) FROM generate_series(1, 20) AS n;
SELECT e2i_predict('linear', t) FROM (SELECT 1 AS a, 2 AS b, 3 AS c, 4 AS "D") t;
SELECT e2i_predict('linear', ROW(1, 2, 3, 4));
-- Anything that is neither object nor array, and what is no JSON at all.
SELECT features, regress.raised(format('SELECT e2i_predict(''linear'', %L)', features))
FROM unnest(ARRAY['{}', '[]', 'null', 'true', '12', '"text"', '', ' ', 'a=1', '{"a": 1', '[1, 2, 3, 4, 5]', '[1, 2, 3]', '[1, 2, 3, null]']) AS features;
SELECT e2i_predict('linear', '12');
SELECT e2i_predict('linear', '[1, 2, 3]');
SELECT e2i_predict('linear', '[1, 2, 3, 4, 5]');

-- Arrays of any type of number, of booleans, of numeric; of text where the model reads text. One dimension, any lower bound.
SELECT e2i_predict('linear', ARRAY[1, 2, 3, 4]::smallint[]) AS smallint, e2i_predict('linear', ARRAY[1, 2, 3, 4]::bigint[]) AS bigint, e2i_predict('linear', ARRAY[1, 2, 3, 4]::real[]) AS real,
       e2i_predict('linear', ARRAY[1, 2, 3, 4]::float8[]) AS float8, e2i_predict('linear', ARRAY[1, 2, 3, 4]::numeric[]) AS numeric, e2i_predict('linear', '[0:3]={1,2,3,4}'::int[]) AS from_0,
       e2i_predict('linear', ARRAY[true, false, true, false]) AS booleans, e2i_predict('linear', '{1.5,1e2,-0.25,0.1}'::numeric[]) = e2i_predict('linear', '{1.5,1e2,-0.25,0.1}'::float8[]) AS same;
SELECT array_typed, regress.raised(format('SELECT e2i_predict(''linear'', %s)', array_typed))
FROM unnest(ARRAY[$$'{}'::int[]$$, $$'{1,2,3}'::int[]$$, $$'{1,2,3,4,5}'::int[]$$, $$'{{1,2},{3,4}}'::int[]$$, $$'{1,2,NULL,4}'::int[]$$, $$'{1,2,NULL,4}'::numeric[]$$,
    $$'{1,2,3,4}'::text[]$$, $$ARRAY[date '2026-01-01', '2026-01-02', '2026-01-03', '2026-01-04']$$, $$ARRAY[ROW(1), ROW(2), ROW(3), ROW(4)]$$, $$'{1,2,3,4}'::oid[]$$]) AS array_typed;
SELECT e2i_predict('linear', '{{1,2},{3,4}}'::int[]);
SELECT e2i_predict('linear', ARRAY[1, 2, NULL, 4]);
SELECT e2i_register_model('notes', regress.onnx('notes_tfidf'));
SELECT e2i_predict('notes', ARRAY['wants more samples']) = e2i_predict('notes', to_jsonb(ARRAY['wants more samples'])) AS text_array,
       e2i_predict('notes', ARRAY[repeat('a long note ', 1000)]) = e2i_predict('notes', to_jsonb(ARRAY[repeat('a long note ', 1000)])) AS toast_sized;

-- Missing values: NULL is NaN where the model takes missing values and the empty text for a category, else an error.
SELECT round(e2i_predict('churn', '{"specialty": null, "region": null, "years_in_practice": 4, "tenure_months": 48, "patient_volume": 325, "calls_last_quarter": 5, "engagement_score": null, "rx_last_quarter": "NaN", "is_kol": false}')::numeric, 4) AS nulls,
       round(e2i_predict('churn', '{"specialty": "", "region": "", "years_in_practice": 4, "tenure_months": 48, "patient_volume": 325, "calls_last_quarter": 5, "engagement_score": "NaN", "rx_last_quarter": null, "is_kol": false}')::numeric, 4) AS empty_and_nan,
       round(e2i_predict('churn', '{"specialty": "Falconry", "region": "Atlantis", "years_in_practice": 4, "tenure_months": 48, "patient_volume": 325, "calls_last_quarter": 5, "engagement_score": 84.9, "rx_last_quarter": 103.8, "is_kol": false}')::numeric, 4) AS unseen_categories;
SELECT e2i_predict('churn', '{"specialty": null, "region": null, "years_in_practice": null, "tenure_months": 48, "patient_volume": 325, "calls_last_quarter": 5, "engagement_score": null, "rx_last_quarter": null, "is_kol": false}');

-- The dry run says for each feature what the model would see, and what is wrong, without an error.
SELECT * FROM e2i_check_features('churn', '{"specialty": 7, "region": "Süd", "years_in_practice": 4.5, "tenure_months": null, "patient_volume": 325, "calls_last_quarter": "five", "engagement_score": null, "is_kol": 1, "extra": 0}');
SELECT feature, tensor, position, value, problem FROM e2i_check_features('linear', ARRAY[0.5, NULL]);
SELECT feature, value, problem FROM (SELECT 2 AS b, 'x' AS a) t, e2i_check_features('linear', t);
SELECT regress.raised($$SELECT e2i_check_features('linear', '12')$$);

-- A DictVectorizer takes a map: its vocabulary names the features, and those that are not given are 0. On either engine.
SELECT e2i_register_model('dictionary', pg_read_binary_file(:'models' || '/answers/dictionary.onnx'));
SELECT e2i_predict_label('dictionary', '{"age": 20, "city=Bern": 1}') AS bern, round(e2i_predict('dictionary', '{"income": 1.5}')::numeric, 6) AS income,
       round(e2i_predict('dictionary', '{"age": 40, "city=Rome": 1, "income": 2.5, "city=Oslo": 1, "city=Bern": null}')::numeric, 6) AS with_an_unknown_city;
SELECT engine FROM e2i_session_cache WHERE model = 'dictionary';
SET e2i_serve.engine = 'onnxruntime';
SELECT round(e2i_predict('dictionary', jsonb_build_object('income', 1.5))::numeric, 6) AS income;
RESET e2i_serve.engine;
SELECT feature, value, problem FROM e2i_check_features('dictionary', '{"age": 40}');

SELECT count(e2i_drop_model(model_name || ':' || model_version, force => true)) > 0 AS dropped FROM ml_model_registry;
