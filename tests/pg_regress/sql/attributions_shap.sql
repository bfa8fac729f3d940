-- Why a row has its score, as shap says: scikit-learn's trees and products, in their own files and as ONNX, alone and behind steps.
\set VERBOSITY default
SET client_min_messages = warning;
CALL regress.begin_anew();
SET e2i_serve.instruction_set = 'portable';
\set models `echo "$E2I_MODELS"`
CREATE TEMP TABLE files (name text, ending text);
INSERT INTO files SELECT split_part(file, '.', 1), split_part(file, '.', 2) FROM pg_ls_dir(:'models' || '/shap') file WHERE file NOT LIKE '%.json';
CREATE TEMP TABLE golden AS
SELECT name, pg_read_file(format('%s/shap/%s.json', :'models', name))::jsonb AS said FROM files;
SELECT count(e2i_register_model('why_' || name, pg_read_binary_file(format('%s/shap/%s.%s', :'models', name, ending)))) = count(*) FROM files;

-- Rows to compare with; covers are counted where the file has none and somebody asks for it.
SELECT name, e2i_set_background('why_' || name || ':1',
    format('SELECT %s FROM jsonb_array_elements(%L) r', (SELECT string_agg(format('(r ->> %s)::%s AS %I', place - 1, type, feature), ', ')
        FROM (SELECT name AS feature, position AS place FROM e2i_describe_model('why_' || golden.name || ':1') WHERE kind = 'feature') c
        JOIN jsonb_array_elements_text(said -> 'types') WITH ORDINALITY t (type, place) USING (place)), said ->> 'background'),
    covers => CASE WHEN said @? '$.answers[*] ? (@.covers == "count")' THEN 'count' ELSE 'file' END) AS rows
FROM golden ORDER BY name;

-- Each number that shap gives is ours, the base value among them (against a background shap adds up in single precision); and what a model adds up is what is taken apart.
CREATE FUNCTION difference(name text, answer jsonb, rows jsonb) RETURNS float8 LANGUAGE sql AS $$
    SELECT max(greatest(abs(base - (answer ->> 'base')::float8),
        (SELECT max(abs(ours - theirs::float8)) FROM unnest(e2i_contributions('why_' || name || ':1', row, class => answer ->> 'class', method => answer ->> 'method'))
            WITH ORDINALITY o (ours, feature) JOIN jsonb_array_elements_text(answer #> ARRAY['values', (place - 1)::text]) WITH ORDINALITY t (theirs, feature) USING (feature))))
    FROM jsonb_array_elements(rows) WITH ORDINALITY r (row, place),
        e2i_base_value('why_' || name || ':1', class => answer ->> 'class', method => answer ->> 'method') base
$$;
SELECT name, answer ->> 'method' AS method, count(*) AS numbers, max(difference(name, answer, said -> 'rows')) < max(greatest((said ->> 'tolerance')::float8, CASE answer ->> 'method' WHEN 'interventional' THEN 1e-6 END)) AS same
FROM golden, jsonb_array_elements(said -> 'answers') answer GROUP BY 1, 2 ORDER BY 1, 2;

-- What is said where nothing is: by covers where there are some; against the background otherwise.
SELECT name, e ->> 'method' AS method, e #>> '{background,covers_counted}' AS counted, (e ->> 'additivity_error')::float8 < 2e-6 AS adds_up
FROM golden, e2i_explain('why_' || name || ':1', said #> '{rows,0}') e ORDER BY name;
SELECT bool_and(abs((e ->> 'prediction')::float8 - e2i_predict('why_' || name || ':1', said #> '{rows,1}')) < 1e-6) AS predicted
FROM golden, e2i_explain('why_' || name || ':1', said #> '{rows,1}', class => CASE WHEN name ~ '_2$|logistic$|one_hot$' AND name <> 'one_hot' THEN '1' END) e
WHERE name !~ '_3$';

-- Covers are not counted twice, nor where there are no trees; a file's own are never replaced.
SELECT e2i_set_background('why_boosting:1', 'SELECT 1 AS x0, 2 AS x1, 3 AS x2, 4 AS x3', covers => 'count');
SELECT e2i_set_background('why_ols:1', 'SELECT 1 AS x0, 2 AS x1, 3 AS x2, 4 AS x3', covers => 'count');
SELECT e2i_set_background('why_ols:1', 'SELECT 1 AS x0, 2 AS x1, 3 AS x2, 4 AS x3', covers => 'guess');
SELECT e2i_contributions('why_onnx_boosting:1', '[1, 2, 3, 4]', method => 'path_dependent');
DROP FUNCTION difference(text, jsonb, jsonb);
SELECT count(e2i_drop_model('why_' || name || ':1', force => true)) = count(*) FROM files;
