-- Why a row has its score, of every kind of model that the training libraries write; what is added up is what is predicted.
\set VERBOSITY default
SET client_min_messages = warning;
CALL regress.begin_anew();
SET e2i_serve.instruction_set = 'portable';
\set models `echo "$E2I_MODELS"`
CREATE TABLE regress.kind AS
SELECT name, CASE WHEN name ~ '^xgb' THEN 'json' ELSE 'txt' END AS ending, pg_read_file(format('%s/trained/%s.golden.json', :'models', name))::jsonb AS golden
FROM (SELECT replace(file, '.golden.json', '') AS name FROM pg_ls_dir(:'models' || '/trained') file WHERE file ~ '\.golden\.json$') f;
SELECT count(e2i_register_model(name, pg_read_binary_file(format('%s/trained/%s.%s', :'models', name, ending)))) = count(*) AS all FROM regress.kind;
SELECT name, count(*) AS numbers, bool_and((e ->> 'additivity_error')::float8 < 1e-9 * greatest(1, abs((e ->> 'output')::float8))) AS adds_up,
    bool_and(abs((e ->> 'prediction')::float8 - answer) < 2e-5 * greatest(1, abs(answer))) AS is_predicted
FROM regress.kind, LATERAL (SELECT r -> 'features' AS features FROM jsonb_array_elements(golden -> 'rows') r OFFSET 1 LIMIT 3) r,
    LATERAL (SELECT count(*) AS width FROM unnest(e2i_predict_vector(name, features))) w,
    LATERAL (SELECT array_agg(c) AS labels FROM unnest(e2i_model_classes(name)) c) k,
    LATERAL unnest(CASE WHEN labels IS NULL AND width > 1 THEN ARRAY(SELECT place::text FROM generate_series(1, width) place) ELSE coalesce(labels, ARRAY[NULL]) END) WITH ORDINALITY l (label, place),
    LATERAL (SELECT CASE WHEN labels IS NULL THEN (e2i_predict_vector(name, features))[place] ELSE (e2i_predict_proba(name, features))[place] END AS answer) a,
    e2i_explain(name, features, class => label) e
WHERE name <> 'xgb_vectors' GROUP BY name ORDER BY name COLLATE "C";
-- Leaves of several numbers have no covers in the file.
SELECT e2i_contributions('xgb_vectors', golden #> '{rows,0,features}') FROM regress.kind WHERE name = 'xgb_vectors';

-- Vectors can be counted for, or compared with: the sum is the same, a part is not.
CREATE TABLE regress.point AS SELECT i AS id, sin(i) * 0.2 AS f0, cos(i) AS f1, CASE WHEN i % 3 > 0 THEN sin(i * 7) * 10 END AS f2, cos(i * 5) * 0.1 AS f3, sin(i * 3) AS f4, 5 AS f5 FROM generate_series(1, 60) i;
SELECT e2i_set_background('xgb_vectors', 'SELECT f0, f1, f2, f3, f4 FROM regress.point', covers => 'count');
SELECT e ->> 'method' AS method, array_dims(e2i_contributions('xgb_vectors', p)) AS numbers, (e ->> 'additivity_error')::float8 < 1e-9 AS adds_up
FROM regress.point p, e2i_explain('xgb_vectors', p, class => '2') e WHERE id = 1;

-- Of several targets each by its number; a class by its label or its number.
SELECT e2i_contributions('xgb_targets', p, class => '2') = (SELECT array_agg(c ORDER BY f) FROM unnest((e2i_contributions('xgb_targets', p))[2:2]) WITH ORDINALITY u (c, f)) AS target,
    e2i_contributions('xgb_softprob', p, class => '3') = e2i_contributions('xgb_softprob', p, class => '2') AS class,
    e2i_contributions('xgb_several_labels', p, class => '1') <> e2i_contributions('xgb_several_labels', p, class => '2') AS labels
FROM regress.point p WHERE id = 1;
SELECT e2i_contributions('xgb_targets', p, class => '3') FROM regress.point p WHERE id = 1;

-- A feature that no tree reads adds exactly nothing, nor does one that is the same everywhere add anything against rows that have it.
SELECT kind.name, array_agg(f.name ORDER BY f.position) AS unused
FROM regress.kind, e2i_describe_model(kind.name) f
WHERE kind = 'feature' AND kind.name ~ '^(lgb|xgb)_(binary|pruned|one_leaf|sets)$' AND NOT EXISTS (
    SELECT FROM (SELECT r FROM jsonb_array_elements(golden -> 'rows') r LIMIT 30) r WHERE (e2i_contributions(kind.name, r -> 'features'))[f.position] <> 0)
GROUP BY kind.name ORDER BY kind.name COLLATE "C";
SELECT e2i_set_background('xgb_binary', 'SELECT f0 AS age, f1 AS "blood pressure", 0.5 AS "é", f3 AS d, f4 AS e FROM regress.point');
SELECT count(*), bool_and(abs((e2i_contributions('xgb_binary', ARRAY[f0, f1, 0.5, f3, f4], method => 'interventional'))[3]) < 1e-15) AS nothing FROM regress.point;

-- Graphs on both engines, in what they predict: the same, though one looks into them and the other asks.
INSERT INTO regress.kind SELECT name, 'onnx', pg_read_file(format('%s/%s.golden.json', :'models', name))::jsonb
FROM unnest(ARRAY['diabetes_boosting', 'diabetes_targets', 'hcp_hist', 'hcp_catboost', 'hcp_churn', 'shape_two_tensors', 'torch_mlp', 'breast_isolation']) name;
SELECT count(e2i_register_model(name, regress.onnx(name))) FROM regress.kind WHERE ending = 'onnx';
CREATE TABLE regress.asked AS
SELECT name, id, (SELECT jsonb_agg(row #> ARRAY['features', coalesce(golden #>> ARRAY['feature_names', place::text], feature)] ORDER BY place)
        FROM (SELECT position - 1 AS place, f.name AS feature FROM e2i_describe_model(k.name) f WHERE kind = 'feature') f) AS features
FROM regress.kind k, jsonb_array_elements(golden -> 'rows') WITH ORDINALITY r (row, id) WHERE ending = 'onnx' AND id <= 8;
SELECT k.name, e2i_set_background(k.name, (SELECT format('SELECT %s FROM regress.asked WHERE name = %L AND id BETWEEN 4 AND 8', string_agg(format('(features ->> %s)::%s AS %I', f.position - 1,
    CASE jsonb_typeof(a.features -> (f.position - 1)) WHEN 'number' THEN 'float8' WHEN 'boolean' THEN 'boolean' ELSE 'text' END, f.name), ', '), k.name)
    FROM e2i_describe_model(k.name) f, regress.asked a WHERE kind = 'feature' AND a.name = k.name AND a.id = 4))
FROM regress.kind k WHERE ending = 'onnx' ORDER BY 1;
CREATE FUNCTION regress.explained(engine text) RETURNS TABLE (name text, id bigint, method text, adds_up boolean, says_so boolean, contributions float8[]) LANGUAGE sql AS $$
    SELECT set_config('e2i_serve.engine', engine, false);
    SELECT a.name, a.id, e ->> 'method', (e ->> 'additivity_error')::float8 < 1e-6 * greatest(1, abs((e ->> 'output')::float8)),
        abs((e ->> 'output')::float8 - coalesce((e2i_predict_vector(a.name, features))[CASE WHEN space = 'probability' THEN 2 ELSE 1 END], e2i_predict(a.name, features))) < 1e-5 * greatest(1, abs((e ->> 'output')::float8)),
        (SELECT array_agg((c ->> 'contribution')::float8 ORDER BY place) FROM jsonb_array_elements(e -> 'contributions') WITH ORDINALITY j (c, place))
    FROM regress.asked a JOIN ml_model_registry r ON r.model_name = a.name,
        LATERAL (SELECT CASE WHEN r.task = 'binary_classification' THEN 'probability' ELSE 'output' END AS space) s,
        e2i_explain(a.name, features, space, method => CASE WHEN a.name = 'breast_isolation' THEN 'sampled' END, samples => CASE WHEN a.name = 'breast_isolation' THEN 4 END) e WHERE a.id = 1
$$;
CREATE TABLE regress.by_native AS SELECT * FROM regress.explained('native');
SELECT n.name, n.method, o.method AS asked, bool_and(n.adds_up AND n.says_so) AS native, bool_and(o.adds_up AND o.says_so) AS onnxruntime,
    max((SELECT max(abs(x - y)) / greatest(1, max(abs(x))) FROM unnest(n.contributions, o.contributions) u (x, y))) < 2e-5 AS same
FROM regress.by_native n JOIN regress.explained('onnxruntime') o USING (name, id) GROUP BY 1, 2, 3 ORDER BY 1;
RESET e2i_serve.engine;

-- Where a part of the rows goes to another version, the version that scores a row explains it.
SELECT FROM e2i_register_model('shared', pg_read_binary_file(:'models' || '/trained/xgb_base_score.json'));
SELECT FROM e2i_register_model('shared', pg_read_binary_file(:'models' || '/trained/xgb_two_classes.json'), deploy => false);
SELECT FROM e2i_set_traffic('shared', '{"shared:1": 0.7, "shared:2": 0.3}');
SELECT e ->> 'version' AS version, count(*) > 5 AS some, bool_and(abs((e ->> 'prediction')::float8 - e2i_predict('shared', p)) < 1e-6) AS scored,
    bool_and(e2i_contributions('shared', p) = e2i_contributions('shared:' || (e ->> 'version'), p)) AS same,
    bool_and(e2i_top_reasons('shared', p, 2) = ARRAY(SELECT feature FROM e2i_reasons('shared', p, 2) ORDER BY rank)) AS reasons
FROM regress.point p, e2i_explain('shared', p) e GROUP BY 1 ORDER BY 1;
SELECT FROM e2i_set_traffic('shared', NULL);
DROP TABLE regress.kind, regress.point, regress.asked, regress.by_native;
DROP FUNCTION regress.explained;
CALL regress.begin_anew();
