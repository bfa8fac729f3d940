-- Why a row has its score, of models that can only be asked: networks, graphs that ONNX Runtime runs, graphs behind a preprocessor.
\set VERBOSITY default
SET client_min_messages = warning;
CALL regress.begin_anew();
SET e2i_serve.instruction_set = 'portable';
SELECT FROM e2i_register_model('net', regress.onnx('torch_mlp'));
SELECT FROM e2i_register_model('wines', regress.onnx('wine_forest'));
SELECT FROM e2i_register_model('two', regress.onnx('hcp_two_graph'), preprocessor => regress.onnx('hcp_two_graph.preprocessor'));
\set models `echo "$E2I_MODELS"`
CREATE TABLE regress.asked (name text, id int, features jsonb);
INSERT INTO regress.asked SELECT name, id, (SELECT jsonb_agg(row #> ARRAY['features', feature] ORDER BY place) FROM jsonb_array_elements_text(golden -> 'feature_names') WITH ORDINALITY n (feature, place))
FROM (SELECT name, pg_read_file(format('%s/%s.golden.json', :'models', file))::jsonb AS golden FROM (VALUES ('net', 'torch_mlp'), ('wines', 'wine_forest'), ('two', 'hcp_two_graph')) f (name, file)) g,
    jsonb_array_elements(golden -> 'rows') WITH ORDINALITY r (row, id);

-- Rows to compare with: a query of the columns, by name.
CREATE PROCEDURE regress.compare(model text, rows text) LANGUAGE plpgsql AS $$
DECLARE columns text;
BEGIN
    SELECT string_agg(format('(features ->> %s)::%s AS %I', position - 1, CASE jsonb_typeof(features -> (position - 1)) WHEN 'number' THEN 'float8' WHEN 'boolean' THEN 'boolean' ELSE 'text' END, f.name), ', ')
    INTO columns FROM e2i_describe_model(model) f, regress.asked a WHERE kind = 'feature' AND a.name = model AND a.id = 1;
    PERFORM e2i_set_background(model, format('SELECT %s FROM regress.asked WHERE name = %L AND id %s', columns, model, rows));
END $$;
CALL regress.compare('net', 'BETWEEN 21 AND 23');
CALL regress.compare('wines', 'BETWEEN 21 AND 30');
CALL regress.compare('two', 'BETWEEN 21 AND 23');

-- The definition: what the model says on average of rows that have the row's values for a coalition of features, and a background row's for
-- the others; for each feature the mean of its steps over all coalitions. Everything is played here, in SQL.
CREATE FUNCTION regress.truth(model text, of jsonb, is_margin boolean) RETURNS float8[] LANGUAGE sql AS $$
    WITH size AS (SELECT jsonb_array_length(of) AS n),
    mixed AS MATERIALIZED (
        SELECT c, e2i_predict(model, (SELECT jsonb_agg(CASE WHEN c & (1 << (k::int - 1)) > 0 THEN own ELSE b.features -> (k::int - 1) END ORDER BY k)
                FROM jsonb_array_elements(of) WITH ORDINALITY o (own, k))) AS p
        FROM size, generate_series(0, (1 << n) - 1) c, regress.asked b WHERE b.name = model AND b.id BETWEEN 21 AND 23),
    w AS MATERIALIZED (SELECT c, bit_count(c::bit(16)) AS size, avg(CASE WHEN is_margin THEN ln(p / (1 - p)) ELSE p END) AS w FROM mixed GROUP BY c)
    SELECT array_agg(added ORDER BY player) FROM (
        SELECT player, sum((b.w - a.w) * factorial(a.size::int)::float8 * factorial(n - 1 - a.size::int)::float8 / factorial(n)::float8) AS added
        FROM size, generate_series(0, n - 1) player, w a JOIN w b ON true WHERE a.c & (1 << player) = 0 AND b.c = a.c | (1 << player) GROUP BY player) s
$$;
CREATE TABLE regress.right AS
SELECT name, space, features, regress.truth(name, features, space = 'margin') AS truth
FROM regress.asked JOIN (VALUES ('net', 'margin'), ('net', 'probability'), ('two', 'output')) v (name, space) USING (name) WHERE id = 2;

CREATE FUNCTION regress.off(a float8[], b float8[]) RETURNS float8 LANGUAGE sql AS $$
    SELECT max(CASE WHEN x IS NULL OR y IS NULL THEN 'inf' ELSE abs(x - y) END) FROM unnest(a, b) u (x, y)
$$;
SELECT name, space, regress.off(truth, e2i_contributions(name, features, space)) < 5e-6 AS same,
    e2i_explain(name, features, space) - '{explanation_id,contributions,key_drivers,local_shap_values,base_value,output,prediction,additivity_error,background}'::text[] AS said
FROM regress.right ORDER BY 1, 2;

-- ONNX Runtime is asked in the same way: what it adds up is not known, so that a classifier is explained in its probability.
SET e2i_serve.engine = 'onnxruntime';
SELECT name, space, regress.off(truth, e2i_contributions(name, features, space)) < 5e-6 AS same,
    (e2i_explain(name, features, space) ->> 'additivity_error')::float8 < 1e-9 AS adds_up
FROM regress.right WHERE (name, space) <> ('net', 'margin') ORDER BY 1, 2;
SELECT e2i_contributions(name, features) FROM regress.right WHERE (name, space) = ('net', 'margin');
RESET e2i_serve.engine;

-- With more than 12 features orders are drawn: as many as usual, as samples says, or until no standard error is above the one that is
-- asked for. These trees are also explained exactly, so that it shows how far off that is: the more orders, the closer.
CREATE TABLE regress.drawn AS
SELECT what, e, regress.off(exact, found) AS off, most, said
FROM (SELECT features, e2i_contributions('wines', features, class => '1', method => 'interventional') AS exact FROM regress.asked WHERE name = 'wines' AND id = 3) r,
    LATERAL (VALUES ('8 samples', e2i_explain('wines', features, class => '1', method => 'sampled', samples => 8)),
        ('800 samples', e2i_explain('wines', features, class => '1', method => 'sampled', samples => 800)),
        ('usual', e2i_explain('wines', features, class => '1', method => 'sampled')),
        ('error 0.004', e2i_explain('wines', features, class => '1', method => 'sampled', error => 0.004)),
        ('error 0.0005', e2i_explain('wines', features, class => '1', method => 'sampled', error => 0.0005)),
        ('error 1e-9, 20 samples', e2i_explain('wines', features, class => '1', method => 'sampled', error => 1e-9, samples => 20))) v (what, e),
    LATERAL (SELECT array_agg((c ->> 'contribution')::float8 ORDER BY place) AS found, max((c ->> 'standard_error')::float8) AS most,
            bool_and(abs((c ->> 'contribution')::float8 - exact[place]) <= 4 * (c ->> 'standard_error')::float8 + 1e-9) AS said
        FROM jsonb_array_elements(e -> 'contributions') WITH ORDINALITY j (c, place)) c;
SELECT what, CASE WHEN what ~ 'samples' THEN e -> 'samples' END AS samples, (e ->> 'additivity_error')::float8 < 1e-9 AS adds_up, said AS within_four_errors,
    most <= substring(what FROM '^error (.*?)(,|$)')::float8 AS as_close_as_asked
FROM regress.drawn ORDER BY what COLLATE "C";
SELECT (SELECT off FROM regress.drawn WHERE what = '800 samples') < 0.3 * (SELECT off FROM regress.drawn WHERE what = '8 samples') AS closer,
    (SELECT e -> 'samples' FROM regress.drawn WHERE what = 'error 0.0005')::int > 4 * (SELECT e -> 'samples' FROM regress.drawn WHERE what = 'error 0.004')::int AS takes_more;
-- The same each time, and in whatever shape it is asked for.
SELECT bool_and(e2i_contributions('wines', features, class => '1', method => 'sampled', samples => 8) = (SELECT array_agg((c ->> 'contribution')::float8 ORDER BY place)
        FROM regress.drawn, jsonb_array_elements(e -> 'contributions') WITH ORDINALITY j (c, place) WHERE what = '8 samples')) AS same,
    bool_and(e2i_top_reasons('wines', features, 3, class => '1', method => 'sampled', samples => 8)
        = ARRAY(SELECT feature FROM e2i_reasons('wines', features, 3, class => '1', method => 'sampled', samples => 8) r ORDER BY rank)) AS reasons
FROM regress.asked WHERE name = 'wines' AND id = 3;

-- Fewer samples than all coalitions are drawn, more are not: then it is exact, as it is where trees or sums are known.
SELECT samples, e -> 'samples' AS drawn, regress.off(truth, (SELECT array_agg((c ->> 'contribution')::float8 ORDER BY place) FROM jsonb_array_elements(e -> 'contributions') WITH ORDINALITY j (c, place))) < 5e-6 AS exact
FROM regress.right, (VALUES (10), (100)) s (samples), LATERAL (SELECT e2i_explain(name, features, space, samples => samples) AS e) x
WHERE (name, space) = ('net', 'probability') ORDER BY samples;
SELECT e2i_contributions('wines', features, class => '1', samples => 3, error => 0.5) = e2i_contributions('wines', features, class => '1') AS same
FROM regress.asked WHERE name = 'wines' AND id = 3;

SELECT regress.raised(format('SELECT e2i_contributions(%L, features, %s) FROM regress.asked WHERE name = %L AND id = 1', 'wines', option, 'wines'))
FROM unnest(ARRAY['samples => 0', 'samples => -1', 'error => 0', 'error => -0.1', 'error => ''nan''', 'error => ''infinity''']) option;
DROP TABLE regress.asked, regress.right, regress.drawn;
DROP PROCEDURE regress.compare;
DROP FUNCTION regress.truth, regress.off;
CALL regress.begin_anew();
