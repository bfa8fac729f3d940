-- What can be registered, and what is read off a graph: tasks, shapes, classes, the names of the features.
\set VERBOSITY default
SET client_min_messages = warning;
\set models `echo $E2I_MODELS`
CALL regress.begin_anew();

-- A name and the bytes are enough: the first version of a name is deployed under it at once.
SELECT e2i_register_model('churn', regress.onnx('hcp_churn'));
SELECT kind, position, name, type, shape, required, takes_null, "default" FROM e2i_describe_model('churn') WHERE kind IN ('feature', 'output');

-- One matrix, several tensors, one input a column; [N], [N,1], [N,F], a fixed batch, a width that only the weights tell;
-- float, double, int32, int64, bool and string; labels, probabilities, ZipMap, one target, several, distances, an embedding.
SELECT count(e2i_register_model(name, bytes)) AS registered
FROM regress.fixture WHERE name NOT IN ('hcp_churn', 'hcp_two_graph', 'hcp_two_graph.preprocessor', 'shape_loop', 'shape_slow', 'shape_locale');
SELECT model_name, task, features, inputs, outputs
FROM ml_model_registry,
     LATERAL (SELECT count(*) FILTER (WHERE kind = 'feature') AS features,
                     string_agg(DISTINCT type || ' ' || shape, ', ') FILTER (WHERE kind = 'feature') AS inputs,
                     string_agg(name || ' ' || type || ' ' || shape, ', ' ORDER BY position) FILTER (WHERE kind = 'output') AS outputs
              FROM e2i_describe_model(model_name)) d
ORDER BY model_name COLLATE "C";

-- A graph that takes uint8, float16, … is refused: the type of the only input is patched to every one that ONNX has.
CREATE FUNCTION pg_temp.retyped(code int) RETURNS bytea LANGUAGE sql AS $$
    SELECT overlay(bytes PLACING set_byte(head, 10, code) FROM position(head IN bytes))
    FROM (SELECT regress.onnx('shape_int64_matrix') AS bytes, '\x5a140a0178120f0a0d0807'::bytea AS head) graph
$$;
SELECT code, regress.raised(format('SELECT e2i_register_model(%L, pg_temp.retyped(%s))', 'type ' || code, code))
FROM generate_series(1, 16) AS code WHERE code <> 8;

-- Names of features: the graph's own input names …
SELECT string_agg(name, ' ' ORDER BY position) AS names FROM e2i_describe_model('shape_vector_inputs') WHERE kind = 'feature';
-- … its metadata, a JSON list or separated by commas (an entry is appended to the bytes, as onnx.helper.set_model_props would) …
CREATE FUNCTION pg_temp.with_metadata(model bytea, key text, value text) RETURNS bytea LANGUAGE sql AS $$
    SELECT model || '\x72' || set_byte('\x00', 0, octet_length(entry)) || entry
    FROM (SELECT '\x0a'::bytea || set_byte('\x00', 0, octet_length(key)) || key::bytea
                 || '\x12' || set_byte('\x00', 0, octet_length(value)) || value::bytea AS entry) e
$$;
SELECT e2i_register_model('from metadata', pg_temp.with_metadata(regress.onnx('shape_regression_flat'), 'feature_names', '["age", "weight, kg", "height", "dose"]')),
       e2i_register_model('from metadata', pg_temp.with_metadata(regress.onnx('shape_regression_flat'), 'feature_names', 'age, weight, height, dose'));
SELECT v, string_agg(name, ' | ' ORDER BY position) AS names
FROM generate_series(1, 2) AS v, e2i_describe_model('from metadata:' || v) WHERE kind = 'feature' GROUP BY v;
-- … the option, which wins over the metadata …
SELECT e2i_register_model('from option', pg_temp.with_metadata(regress.onnx('shape_regression_flat'), 'feature_names', 'a,b,c,d'),
                          feature_names => '{age,weight,height,dose}');
SELECT string_agg(name, ' ' ORDER BY position) AS names FROM e2i_describe_model('from option') WHERE kind = 'feature';
-- … else f0, f1, …
SELECT string_agg(name, ' ' ORDER BY position) AS names FROM e2i_describe_model('shape_two_tensors') WHERE kind = 'feature';
-- Their count is checked, and each is unique.
SELECT regress.raised(format('SELECT e2i_register_model(''names'', regress.onnx(''shape_regression_flat''), feature_names => %L)', names)), names
FROM unnest(ARRAY['{a,b,c}', '{a,b,c,d,e}', '{}', '{a,b,c,a}']) AS names;

-- Classes come from the graph, and can be named otherwise: in the labels and in the list of classes.
SELECT e2i_model_classes('wine_forest'), e2i_model_classes('breast_logistic'), e2i_model_classes('torch_mlp'), e2i_model_classes('diabetes_float64');
SELECT e2i_register_model('breast', regress.onnx('breast_logistic'), class_labels => '{malignant,benign}');
SELECT DISTINCT ON (1, 2) e2i_predict_label('breast_logistic', x) AS label, e2i_predict_label('breast', x) AS renamed,
       e2i_predict('breast_logistic', x) = e2i_predict('breast', x) AS same_probability
FROM (SELECT (SELECT array_agg((r -> 'features' ->> name)::float8 ORDER BY o) FROM jsonb_array_elements_text(g -> 'feature_names') WITH ORDINALITY AS n (name, o)) AS x
      FROM (SELECT pg_read_file(:'models' || '/breast_logistic.golden.json')::jsonb AS g) file, jsonb_array_elements(g -> 'rows') AS r) golden
ORDER BY 1;
SELECT e2i_model_classes('breast');
SELECT regress.raised($$SELECT e2i_register_model('breast', regress.onnx('breast_logistic'), class_labels => '{malignant,benign,unclear}')$$)
UNION ALL SELECT regress.raised($$SELECT e2i_register_model('diabetes', regress.onnx('diabetes_float64'), class_labels => '{low,high}')$$);

-- The task is read off the graph and can be stated: the same one number is a regression, a probability, …
SELECT e2i_register_model('stated', regress.onnx('torch_mlp'), task => 'regression'),
       e2i_register_model('stated', regress.onnx('torch_mlp'), task => 'binary_classification', class_labels => '{no,yes}');
SELECT round(e2i_predict('stated:1', x)::numeric, 4) AS regression, round(e2i_predict('stated:2', x)::numeric, 4) AS probability,
       e2i_predict_label('stated:2', x) AS label
FROM (SELECT array_fill(0.5, '{10}')) AS v (x);
SELECT e2i_register_model('stated', regress.onnx('torch_mlp'), task => 'guessing');

-- Two graphs are one version: the first reads the features by name, the second what the first makes of them.
SELECT e2i_register_model('two graphs', regress.onnx('hcp_two_graph'), preprocessor => regress.onnx('hcp_two_graph.preprocessor'));
SELECT kind, name, type, shape, required, takes_null FROM e2i_describe_model('two graphs') WHERE kind IN ('feature', 'output');
SELECT round(e2i_predict('two graphs', '{"specialty": "Oncology", "region": "South", "years_in_practice": 4, "tenure_months": 48,
    "patient_volume": 325, "calls_last_quarter": 5, "engagement_score": null, "rx_last_quarter": 103.8, "is_kol": false}')::numeric, 2) AS predicted;
SELECT regress.raised(format('SELECT e2i_register_model(%L, regress.onnx(%L), preprocessor => %s)', 'two', model, preprocessor)), model, preprocessor
FROM (VALUES ('breast_logistic', $$regress.onnx('hcp_churn')$$), ('shape_int64_matrix', $$regress.onnx('hcp_two_graph.preprocessor')$$),
             ('hcp_two_graph', $$''::bytea$$)) AS v (model, preprocessor);

-- What each kind of model answers, and where the others point to.
SELECT model_name AS model, task, question,
       regress.raised(format('SELECT e2i_%s(%L, array_fill(0.5, ARRAY[%s]))', question, model_name, jsonb_array_length(signature -> 'inputs')))
FROM ml_model_registry, unnest('{predict,predict_label,predict_proba,predict_vector}'::text[]) WITH ORDINALITY AS q (question, o)
WHERE model_name IN ('breast_isolation', 'breast_logistic', 'diabetes_float64', 'diabetes_targets', 'torch_embedding', 'torch_mlp', 'wine_forest', 'wine_kmeans')
ORDER BY model_name COLLATE "C", o;
SELECT e2i_predict('wine_forest', array_fill(0.5, '{13}'));
SELECT e2i_predict('torch_embedding', array_fill(0.5, '{12}'));
SELECT e2i_predict_proba('wine_kmeans', array_fill(0.5, '{13}'));

-- Bytes that are no ONNX model: familiar ones are named …
SELECT what, regress.raised(format('SELECT e2i_register_model(''bad'', %L::bytea)', bytes))
FROM (VALUES ('nothing', ''::bytea), ('gzip', '\x1f8b0800000000000003'), ('pickle', '\x80049500'), ('JSON', '{"a": 1}'), ('zip', '\x504b030414')) AS v (what, bytes);
-- … random ones, and a model cut at any point.
SELECT split_part(regress.raised(format('SELECT e2i_register_model(''bad'', %L::bytea)', bytes)), ':', 1) AS raised, count(*)
FROM (SELECT substr(regress.onnx('wine_forest'), 1, cut) FROM generate_series(0, 24000, 1000) AS cut
      UNION ALL SELECT decode(repeat(md5(n::text), 32), 'hex') FROM generate_series(1, 100) AS n) AS v (bytes) GROUP BY 1 ORDER BY 1;
SELECT e2i_register_model('bad', '\x1f8b08');
SELECT e2i_register_model('bad', NULL);
SELECT regress.raised($$SELECT e2i_register_model(NULL, regress.onnx('torch_mlp'))$$), regress.raised($$SELECT e2i_register_model('bad', regress.onnx('torch_mlp'), framework => 'catboost')$$);
SELECT e2i_register_model('stated', regress.onnx('torch_mlp'), framework => 'onnx');
SET e2i_serve.max_model_size = '16kB';
SELECT e2i_register_model('bad', regress.onnx('wine_forest'));
RESET e2i_serve.max_model_size;

-- A failed registration leaves nothing behind; the bytes of equal models are stored once, and go with their last version.
SELECT count(*) FROM ml_model_registry WHERE model_name IN ('bad', 'two', 'names', 'diabetes');
SELECT (SELECT count(*) FROM ml_model_artifacts) = count(DISTINCT sha) AS once
FROM (SELECT artifact_sha256 AS sha FROM ml_model_registry UNION ALL SELECT preprocessor_sha256 FROM ml_model_registry UNION ALL SELECT plan_sha256 FROM ml_model_registry) used WHERE sha IS NOT NULL;
SELECT count(e2i_drop_model(model_name || ':' || model_version, force => true)) > 0 AS dropped FROM ml_model_registry;
SELECT (SELECT count(*) FROM ml_model_registry) AS models, (SELECT count(*) FROM ml_model_artifacts) AS artifacts, (SELECT count(*) FROM ml_bentoml_services) AS services;
