-- Which pairs of features add something together: each pair once, with all that it adds, and what each feature adds by itself.
\set VERBOSITY default
SET client_min_messages = warning;
CALL regress.begin_anew();
SET e2i_serve.instruction_set = 'portable';
\set models `echo "$E2I_MODELS"`
CREATE TEMP TABLE golden AS
SELECT name, ending, pg_read_file(format('%s/interactions/%s.json', :'models', name))::jsonb AS said
FROM (VALUES ('xgb_binary', 'json'), ('xgb_softprob', 'json'), ('xgb_dart', 'json'), ('xgb_sets', 'json'), ('lgb_binary', 'txt'),
    ('boosting_2', 'skops'), ('extra', 'skops'), ('forest_3', 'skops'), ('tree_3', 'skops'), ('one_hot', 'skops')) f (name, ending);
SELECT count(e2i_register_model('pairs_' || name,
    pg_read_binary_file(format('%s/%s/%s.%s', :'models', CASE ending WHEN 'skops' THEN 'shap' ELSE 'trained' END, name, ending)))) = count(*) FROM golden;

-- The matrix of XGBoost and shap has half of a pair in each of two cells, and what a feature adds by itself in the diagonal.
CREATE FUNCTION regress.difference(name text, features jsonb, number int, matrix jsonb) RETURNS float8 LANGUAGE sql AS $$
    WITH feature AS (SELECT f.name, f.position - 1 AS place FROM e2i_describe_model('pairs_' || difference.name) f WHERE kind = 'feature'),
    ours AS (SELECT a.place AS a, b.place AS b, interaction
        FROM e2i_interactions('pairs_' || difference.name, features, class => CASE WHEN difference.name ~ 'softprob|_3$' THEN number::text END) i
            JOIN feature a ON a.name = i.feature_a JOIN feature b ON b.name = i.feature_b)
    SELECT max(abs(coalesce(o.interaction / CASE WHEN a.place = b.place THEN 1 ELSE 2 END, 0) - (matrix -> a.place ->> b.place)::float8))
    FROM feature a CROSS JOIN feature b LEFT JOIN ours o ON (o.a, o.b) = (least(a.place, b.place), greatest(a.place, b.place))
$$;
SELECT name, count(*) AS matrices, max(regress.difference(name, row, (number - 1)::int, matrix)) / max((said ->> 'scale')::float8) < 1e-6 AS same
FROM golden, jsonb_array_elements(said -> 'rows') WITH ORDINALITY r (row, place),
    jsonb_array_elements(said -> 'interactions' -> (place - 1)::int) WITH ORDINALITY m (matrix, number) GROUP BY 1 ORDER BY 1;

-- All of them are what a row has beyond the base value, and those of a feature, pairs by half, what it adds.
SELECT name, max(abs(e2i_base_value('pairs_' || name, class => e ->> 'class') + sums.all - (e ->> 'output')::float8)) < 1e-12 AS adds_up
FROM golden, jsonb_array_elements(said -> 'rows') row, e2i_explain('pairs_' || name, row) e,
    LATERAL (SELECT sum(interaction) AS all FROM e2i_interactions('pairs_' || name, row)) sums GROUP BY 1 ORDER BY 1;
SELECT round(max(abs(contribution - parts))::numeric, 12) AS difference
FROM golden, e2i_reasons('pairs_xgb_binary', said #> '{rows,0}', 9) r,
    LATERAL (SELECT sum(CASE WHEN feature_a = feature_b THEN interaction ELSE interaction / 2 END) AS parts
        FROM e2i_interactions('pairs_xgb_binary', said #> '{rows,0}') WHERE r.feature IN (feature_a, feature_b)) p
WHERE name = 'xgb_binary';

-- What adds most comes first; the first feature of a pair is the one that comes first in the model.
SELECT feature_a, feature_b, round(interaction::numeric, 6) AS interaction FROM golden, e2i_interactions('pairs_xgb_binary', said #> '{rows,0}') WHERE name = 'xgb_binary';
-- The other class of two has the negatives.
SELECT bool_and(a.interaction = -b.interaction) AS opposite FROM golden, e2i_interactions('pairs_xgb_binary', said #> '{rows,0}', class => '1') a
    JOIN LATERAL e2i_interactions('pairs_xgb_binary', said #> '{rows,0}', class => '0') b USING (feature_a, feature_b) WHERE name = 'xgb_binary';
SELECT count(*) FROM e2i_interactions(NULL, '[1]'::jsonb);

-- Against a background: of one row, the definition over the four coalitions of two features.
SELECT e2i_set_background('pairs_extra', 'SELECT 0.5 AS x0, 0.5 AS x1, -1.5 AS x2, -2 AS x3') AS rows;
CREATE FUNCTION regress.worth(a float8, b float8) RETURNS float8 LANGUAGE sql AS $$ SELECT e2i_predict('pairs_extra', ARRAY[0.5, 0.5, a, b]) $$;
SELECT count(*) AS pairs, bool_and(abs(interaction - (regress.worth(2.5, 1) - regress.worth(2.5, -2) - regress.worth(-1.5, 1) + regress.worth(-1.5, -2))) < 1e-9) AS as_defined
FROM e2i_interactions('pairs_extra', ARRAY[0.5, 0.5, 2.5, 1], method => 'interventional') WHERE feature_a <> feature_b;
SELECT DISTINCT feature_a, feature_b FROM e2i_interactions('pairs_extra', ARRAY[0.5, 0.5, 2.5, 1], method => 'interventional') ORDER BY 1, 2;
-- Of several rows, behind an encoder, where a feature of several columns is one: what is more than the base value.
SELECT e2i_set_background('pairs_one_hot', $$SELECT * FROM (VALUES (0.1::float8, -0.2::float8, 'Bern', 'S'), (1.5, -1, 'Oslo', 'L'), (-1, 2, 'Rome', 'M')) b (a, b, city, size)$$) AS rows;
SELECT count(*) AS pairs, count(*) FILTER (WHERE feature_a = 'city' OR feature_b = 'city') > 0 AS has_city,
    abs(e2i_base_value('pairs_one_hot', method => 'interventional') + sum(interaction) - e2i_predict('pairs_one_hot', '[0.3, -1.2, "Oslo", "S"]')) < 1e-6 AS adds_up
FROM e2i_interactions('pairs_one_hot', '[0.3, -1.2, "Oslo", "S"]'::jsonb, method => 'interventional');

-- What cannot be asked.
SELECT e2i_interactions('pairs_xgb_binary', '[1, 2, 3, 4, 5]', space => 'probability');
SELECT e2i_interactions('pairs_xgb_binary', '[1, 2, 3, 4, 5]', method => 'sampled');
SELECT e2i_interactions('pairs_xgb_binary', '[1, 2, 3, 4, 5]', method => 'interventional');
SELECT e2i_interactions('pairs_xgb_binary', '[1, 2, 3, 4, 5]', class => '7');
SELECT count(e2i_register_model('pairs_ols', pg_read_binary_file(:'models' || '/shap/ols.skops')));
SELECT e2i_interactions('pairs_ols', '[1, 2, 3, 4]');
SELECT e2i_interactions('pairs_nobody', '[1, 2, 3, 4]');
DROP FUNCTION regress.worth(float8, float8);
DROP FUNCTION regress.difference(text, jsonb, int, jsonb);
SELECT count(e2i_drop_model('pairs_' || name || ':1', force => true)) = count(*) FROM (SELECT name FROM golden UNION VALUES ('ols')) f (name);
