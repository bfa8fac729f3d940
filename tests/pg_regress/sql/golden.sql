-- The promise: the score in SQL is the score of the library that trained the model. Every tests/models/*.golden.json holds
-- rows with the answers of that library; here all of them are asked for in every spelling of the features, over a table
-- (one statement for all rows) and singly (one statement a row), and in one batch through e2i_serve. All rows must agree
-- to the fixture's tolerance, relative to max(1, |expected|).
\set VERBOSITY default
SET client_min_messages = warning;
\set models `echo $E2I_MODELS`

-- The fixtures: whatever is in the folder is tested.
CREATE TABLE golden (model text PRIMARY KEY, spec jsonb NOT NULL, reference text);
CREATE TABLE golden_rows (
    model text, n int, features jsonb, prediction float8, label text, probabilities float8[], vector float8[], PRIMARY KEY (model, n)
);
INSERT INTO golden (model, spec)
SELECT model, pg_read_file(:'models' || '/' || file)::jsonb
FROM pg_ls_dir(:'models') AS file, replace(file, '.golden.json', '') AS model
WHERE file LIKE '%.golden.json';
INSERT INTO golden_rows
SELECT model, n, r -> 'features', (r ->> 'prediction')::float8, r ->> 'label',
       (SELECT array_agg(x::float8 ORDER BY o) FROM jsonb_array_elements_text(nullif(r -> 'probabilities', 'null')) WITH ORDINALITY AS p (x, o)),
       (SELECT array_agg(x::float8 ORDER BY o) FROM jsonb_array_elements_text(nullif(r -> 'vector', 'null')) WITH ORDINALITY AS v (x, o))
FROM golden, jsonb_array_elements(spec -> 'rows') WITH ORDINALITY AS rows (r, n);

-- Register each: names are passed where the graph has none, and the first of two graphs where there are two.
UPDATE golden SET reference = e2i_register_model(
    model, pg_read_binary_file(:'models' || '/' || model || '.onnx'),
    feature_names => CASE WHEN (spec ->> 'pass_feature_names')::boolean
                     THEN ARRAY(SELECT jsonb_array_elements_text(spec -> 'feature_names')) END,
    preprocessor => pg_read_binary_file(:'models' || '/' || model || '.preprocessor.onnx', 0, 1 << 26, true));

-- A typed table for each: the columns of the fixture, and the number of the golden row, which no model takes.
CREATE FUNCTION make_table(model text, spec jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TABLE %I (golden_row int, %s)', 'rows_' || model,
        (SELECT string_agg(format('%I %s', c ->> 'name', c ->> 'sql_type'), ', ' ORDER BY o)
         FROM jsonb_array_elements(spec -> 'columns') WITH ORDINALITY AS columns (c, o)));
    EXECUTE format('INSERT INTO %1$I SELECT t.* FROM golden_rows g,
        jsonb_populate_record(NULL::%1$I, g.features || jsonb_build_object(''golden_row'', g.n)) t WHERE g.model = %2$L', 'rows_' || model, model);
END $$;
SELECT count(make_table(model, spec)) AS tables FROM golden;

-- The features of row t (golden row g) in a spelling, as an SQL expression. Arrays: float8[] where all features are
-- numbers, a JSON array where they are not.
CREATE FUNCTION spelled(spelling text, spec jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT CASE spelling
        WHEN 'jsonb' THEN 'g.features'
        WHEN 'text' THEN 'g.features::text'
        WHEN 'row' THEN 't'
        WHEN 'array' THEN CASE WHEN bool_or(c ->> 'sql_type' IN ('text', 'boolean'))
            THEN format('jsonb_build_array(%s)', string_agg(format('t.%I', c ->> 'name'), ', ' ORDER BY o))
            ELSE format('ARRAY[%s]', string_agg(format('t.%I::float8', c ->> 'name'), ', ' ORDER BY o)) END
    END
    FROM jsonb_array_elements(spec -> 'columns') WITH ORDINALITY AS columns (c, o)
$$;

-- Number of answers that differ from the expected ones, and of all that were compared; nothing is asked that the golden
-- row does not answer.
CREATE FUNCTION differ(got float8, expected float8, tolerance float8) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(abs(got - expected) > tolerance * greatest(1, abs(expected)), true)
$$;
CREATE FUNCTION differ(got float8[], expected float8[], tolerance float8) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(bool_or(differ(g, e, tolerance)), true) FROM unnest(got, expected) AS pairs (g, e)
$$;
CREATE FUNCTION question(model text, spelling text, spec jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT format($sql$
        SELECT CASE WHEN g.prediction IS NOT NULL THEN differ(e2i_predict(%1$L, %2$s), g.prediction, %3$s) END AS prediction,
               CASE WHEN g.label IS NOT NULL THEN e2i_predict_label(%1$L, %2$s) IS DISTINCT FROM g.label END AS label,
               CASE WHEN g.probabilities IS NOT NULL THEN differ(e2i_predict_proba(%1$L, %2$s), g.probabilities, %3$s) END AS probabilities,
               CASE WHEN g.vector IS NOT NULL THEN differ(e2i_predict_vector(%1$L, %2$s), g.vector, %3$s) END AS vector
        FROM golden_rows g JOIN %4$I t ON t.golden_row = g.n WHERE g.model = %1$L$sql$,
        model, spelled(spelling, spec), spec ->> 'tolerance', 'rows_' || model)
$$;
CREATE TABLE found (model text, spelling text, how text, compared bigint, wrong bigint);
CREATE FUNCTION compare(model text, spelling text, spec jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    ask text := question(model, spelling, spec);
    tally text := 'INSERT INTO found SELECT %L, %L, %L, count(a), count(a) FILTER (WHERE a) FROM (%s) q,
                   LATERAL (VALUES (prediction), (label), (probabilities), (vector)) answers (a)';
BEGIN
    EXECUTE format(tally, model, spelling, 'table', ask);
    FOR n IN 1 .. jsonb_array_length(spec -> 'rows') LOOP
        EXECUTE format(tally, model, spelling, 'singly', format('%s AND g.n = %s', ask, n));
    END LOOP;
END $$;
SELECT count(compare(model, spelling, spec)) AS compared FROM golden, unnest('{jsonb,text,row,array}'::text[]) AS spelling;

-- All rows in one batch. "predictions" holds the number of e2i_predict where there is one, else the label, else all numbers.
CREATE FUNCTION serve(model text, spec jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    answer jsonb := e2i_serve(model, (SELECT jsonb_build_object('features', jsonb_agg(g.features ORDER BY g.n)) FROM golden_rows g WHERE g.model = serve.model));
    tolerance float8 := spec ->> 'tolerance';
BEGIN
    INSERT INTO found
    SELECT g.model, 'serve', 'table', count(a), count(a) FILTER (WHERE a)
    FROM golden_rows g,
         LATERAL (SELECT answer -> 'predictions' -> (g.n - 1) AS p, answer -> 'probabilities' -> (g.n - 1) AS ps) j,
         LATERAL (VALUES
             (CASE WHEN g.prediction IS NOT NULL THEN differ((p #>> '{}')::float8, g.prediction, tolerance)
                   WHEN g.label IS NOT NULL THEN p #>> '{}' IS DISTINCT FROM g.label
                   ELSE differ(ARRAY(SELECT x::float8 FROM jsonb_array_elements_text(p) x), g.vector, tolerance) END),
             (CASE WHEN g.probabilities IS NOT NULL
                   THEN differ(ARRAY(SELECT x::float8 FROM jsonb_array_elements_text(ps) x), g.probabilities, tolerance) END)) answers (a)
    WHERE g.model = serve.model GROUP BY g.model;
END $$;
SELECT count(serve(model, spec)) AS batches FROM golden;

-- One line a model: golden rows, answers compared a spelling, and how many were wrong: over the table | singly.
CREATE FUNCTION wrong(model text, spelling text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(w::text, '|' ORDER BY how DESC)
    FROM (SELECT how, sum(f.wrong) AS w FROM found f WHERE (f.model, f.spelling) = (wrong.model, wrong.spelling) GROUP BY how) per_way
$$;
SELECT model, task, jsonb_array_length(spec -> 'rows') AS rows,
       (SELECT sum(compared) FROM found f WHERE (f.model, f.spelling, f.how) = (g.model, 'row', 'table')) AS answers,
       wrong(model, 'jsonb') AS jsonb, wrong(model, 'text') AS text, wrong(model, 'row') AS row, wrong(model, 'array') AS array,
       wrong(model, 'serve') AS serve
FROM golden g JOIN ml_model_registry r ON r.model_name = g.model
ORDER BY model COLLATE "C";

-- The same count for every spelling, singly and over the table, so none was left out; and all of them together.
SELECT model FROM found WHERE spelling <> 'serve' GROUP BY model
HAVING count(DISTINCT (spelling, how)) <> 8 OR sum(compared) FILTER (WHERE how = 'table') <> sum(compared) FILTER (WHERE how = 'singly');
SELECT count(DISTINCT model) AS models, (SELECT count(*) FROM golden_rows) AS rows, sum(compared) AS answers, sum(wrong) AS wrong FROM found;

-- So far the native engine scored what it knows. The same rows once more by ONNX Runtime.
TRUNCATE found;
SET e2i_serve.engine = 'onnxruntime';
SELECT count(compare(model, 'row', spec)) AS compared FROM golden;
RESET e2i_serve.engine;
SELECT count(DISTINCT model) AS models, sum(compared) AS answers, sum(wrong) AS wrong FROM found;

-- Task and classes are read off the graph, and are those of the library.
SELECT model, task, spec ->> 'task' AS expected_task, e2i_model_classes(model), spec -> 'classes' AS expected_classes
FROM golden JOIN ml_model_registry ON model_name = model
WHERE task <> spec ->> 'task' OR (spec -> 'classes' <> 'null' AND to_jsonb(e2i_model_classes(model)) IS DISTINCT FROM spec -> 'classes');

-- All four spellings agree bit for bit; this model takes texts, integers, floats, booleans and missing values.
SELECT count(*) AS rows, count(*) FILTER (WHERE j = r AND j = a AND j = x) AS same
FROM (SELECT e2i_predict('hcp_churn', g.features) j, e2i_predict('hcp_churn', g.features::text) x, e2i_predict('hcp_churn', t) r,
             e2i_predict('hcp_churn', jsonb_build_array(t.specialty, t.region, t.years_in_practice, t.tenure_months, t.patient_volume,
                 t.calls_last_quarter, t.engagement_score, t.rx_last_quarter, t.is_kol)) a
      FROM golden_rows g JOIN rows_hcp_churn t ON t.golden_row = g.n WHERE g.model = 'hcp_churn') q;

SELECT count(e2i_drop_model(reference, force => true)) AS dropped FROM golden;
DO $$ DECLARE name text; BEGIN FOR name IN SELECT model FROM golden LOOP EXECUTE format('DROP TABLE %I', 'rows_' || name); END LOOP; END $$;
DROP TABLE golden, golden_rows, found;
DROP FUNCTION make_table, spelled, question, compare, serve, wrong, differ(float8, float8, float8), differ(float8[], float8[], float8);
