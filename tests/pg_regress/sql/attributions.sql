-- Why a row has its score.
\set VERBOSITY default
SET client_min_messages = warning;
SET e2i_serve.instruction_set = 'portable';
\set models `echo "$E2I_MODELS"`
\set binary :models '/trained/xgb_binary.json'
\set three :models '/trained/xgb_softprob.json'
\set count :models '/trained/xgb_poisson.json'
\set dart :models '/trained/xgb_dart.json'
\set sets :models '/libraries/lgb_frame.txt'
\set graph :models '/breast_logistic.onnx'
SELECT e2i_register_model('binary', pg_read_binary_file(:'binary')) IS NOT NULL,
    e2i_register_model('three', pg_read_binary_file(:'three')) IS NOT NULL,
    e2i_register_model('count', pg_read_binary_file(:'count')) IS NOT NULL,
    e2i_register_model('dart', pg_read_binary_file(:'dart')) IS NOT NULL,
    e2i_register_model('sets', pg_read_binary_file(:'sets')) IS NOT NULL,
    e2i_register_model('graph', pg_read_binary_file(:'graph')) IS NOT NULL;

CREATE TEMP TABLE people (id int, age float8, "blood pressure" float8, "é" float8, d float8, e float8);
INSERT INTO people SELECT i, sin(i) * 0.2, cos(i), CASE WHEN i % 3 > 0 THEN sin(i * 7) * 10 END, cos(i * 5) * 0.1, sin(i * 3) FROM generate_series(1, 200) i;

-- One number a feature, in their order. With what is expected when nothing is known they add up to the margin of the row.
SELECT p.id, (SELECT array_agg(round(c::numeric, 5)) FROM unnest(e2i_contributions('binary:1', p)) c) FROM people p WHERE id <= 3 ORDER BY id;
SELECT round(e2i_base_value('binary:1')::numeric, 5) AS base;
SELECT count(*), bool_and(abs(1 / (1 + exp(-margin)) - e2i_predict('binary:1', p)) < 1e-6)
FROM people p, LATERAL (SELECT e2i_base_value('binary:1') + sum(c) AS margin FROM unnest(e2i_contributions('binary:1', p)) c) m;

-- Every spelling of the features is the same row.
SELECT count(DISTINCT c) FROM people p, LATERAL (VALUES
    (e2i_contributions('binary:1', p)),
    (e2i_contributions('binary:1', to_jsonb(p))),
    (e2i_contributions('binary:1', to_json(p))),
    (e2i_contributions('binary:1', to_json(p)::text)),
    (e2i_contributions('binary:1', ARRAY[age, "blood pressure", "é", d, e]))) v (c) WHERE id = 1;

-- A class is meant by its label: of two the other one has the opposite.
SELECT e2i_base_value('binary:1', class => '0') = - e2i_base_value('binary:1', class => '1') AS base,
    (SELECT array_agg(-c) FROM unnest(e2i_contributions('binary:1', p, class => '0')) c) = e2i_contributions('binary:1', p) AS same
FROM people p WHERE id = 1;

-- Of several each has an array of its own, and a base value.
ALTER TABLE people RENAME COLUMN age TO f0;
ALTER TABLE people RENAME COLUMN "blood pressure" TO f1;
ALTER TABLE people RENAME COLUMN "é" TO f2;
ALTER TABLE people RENAME COLUMN d TO f3;
ALTER TABLE people RENAME COLUMN e TO f4;
SELECT array_dims(e2i_contributions('three:1', p)),
    (e2i_contributions('three:1', p))[2:2] = ARRAY[e2i_contributions('three:1', p, class => '1')] AS second
FROM people p WHERE id = 1;
SELECT e2i_base_value('three:1');
SELECT e2i_base_value('three:1', class => 'x');
SELECT bool_and(probability - proba[k] BETWEEN -1e-6 AND 1e-6) FROM (
    SELECT p.id, k, e2i_predict_proba('three:1', p) AS proba, exp(margin) / sum(exp(margin)) OVER (PARTITION BY p.id) AS probability
    FROM people p, generate_series(1, 3) k,
        LATERAL (SELECT e2i_base_value('three:1', class => (k - 1)::text) + sum(c) AS margin
            FROM unnest(e2i_contributions('three:1', p, class => (k - 1)::text)) c) m) s;

-- A logarithm is what a model of counts adds up; weights of dropped trees count.
SELECT bool_and(abs(exp(e2i_base_value('count:1') + (SELECT sum(c) FROM unnest(e2i_contributions('count:1', p)) c)) / e2i_predict('count:1', p) - 1) < 1e-5)
FROM people p;
SELECT bool_and(abs(e2i_base_value('dart:1') + (SELECT sum(c) FROM unnest(e2i_contributions('dart:1', p)) c)
    - ln(e2i_predict('dart:1', p) / (1 - e2i_predict('dart:1', p)))) < 1e-4) FROM people p;

-- Categories are given by their values.
SELECT (e2i_explain('sets:1', jsonb_build_object('age', 41.5, 'city', 'Paris', 'cylinders', 8, 'flag', true, 'size', 'M', 'share', 0.5, 'constant', 'only', 'rare', 'a'))
    -> 'additivity_error')::float8 < 1e-12 AS adds_up;

-- All about it.
SELECT jsonb_pretty((e2i_explain('binary:1', '{"age": 0.1, "blood pressure": null, "é": -3, "d": 0, "e": 1}') - 'explanation_id' - 'additivity_error' - 'base_value' - 'output' - 'prediction' - 'local_shap_values' - 'contributions' - 'key_drivers'));
SELECT jsonb_object_keys(e2i_explain('binary:1', '[0.1, null, -3, 0, 1]'));
-- In the words of others: what each feature adds by its name, and what drives the number, in order; each explanation has an identity of its own.
SELECT bool_and((e -> 'local_shap_values' ->> f.name)::float8 = c) AS local_shap_values, count(*) = (SELECT count(*) FROM jsonb_object_keys(e -> 'local_shap_values')) AS no_others
FROM e2i_explain('binary:1', '[0.1, null, -3, 0, 1]') e, unnest(e2i_contributions('binary:1', '[0.1, null, -3, 0, 1]'::jsonb)) WITH ORDINALITY u (c, place)
    JOIN e2i_describe_model('binary:1') f ON f.kind = 'feature' AND f.position = place GROUP BY e;
SELECT bool_and((d ->> 'feature', (d ->> 'impact')::float8, (d ->> 'value')::float8, d ->> 'direction', d ->> 'text') IS NOT DISTINCT FROM (r.feature, r.contribution, r.value::float8, r.direction, r.text)) AS key_drivers, count(*)
FROM e2i_explain('binary:1', '[0.1, null, -3, 0, 1]') e, jsonb_array_elements(e -> 'key_drivers') WITH ORDINALITY k (d, rank)
    FULL JOIN e2i_reasons('binary:1', '[0.1, null, -3, 0, 1]'::jsonb, 99) r USING (rank);
SELECT count(DISTINCT (e2i_explain('binary:1', jsonb_build_array(i / 9.0, null, -3, 0, 1)) ->> 'explanation_id')::uuid) AS identities FROM generate_series(1, 3) i;
SELECT e ->> 'class', (e -> 'output')::float8 = (e -> 'prediction')::float8 AS same, e #> '{contributions,1}' ->> 'value' AS missing
FROM e2i_explain('three:1', '[0.1, null, -3, 0, 1]') e;
SELECT rank, feature, value, round(contribution::numeric, 5), direction, text FROM e2i_reasons('binary:1', '{"age": 0.1, "blood pressure": null, "é": -3, "d": 0, "e": 1}', 3);
SELECT e2i_top_reasons('binary:1', '[0.1, null, -3, 0, 1]', 2);
SELECT e2i_top_reasons('binary:1', '[0.1, null, -3, 0, 1]', 0), cardinality(e2i_top_reasons('binary:1', '[0.1, null, -3, 0, 1]', 99)) <= 5;
SELECT e2i_top_reasons('binary:1', '[0.1, null, -3, 0, 1]', -1);

-- NULL has no reasons.
SELECT e2i_contributions('binary:1', NULL::jsonb) IS NULL, e2i_explain(NULL, '[1]') IS NULL, e2i_top_reasons('binary:1', NULL::text) IS NULL;
SELECT count(*) FROM e2i_reasons('binary:1', NULL::text);

-- What is not there is named, with what is.
SELECT e2i_contributions('binary:1', '[1, 2, 3, 4, 5]', space => 'odds');
SELECT e2i_contributions('binary:1', '[1, 2, 3, 4, 5]', method => 'guessed');
SELECT e2i_contributions('count:1', '[1, 2, 3, 4, 5]', space => 'probability');
SELECT e2i_contributions('binary:1', '[1, 2, 3, 4]');
SELECT e2i_contributions('nobody', '[1]');
SELECT e2i_base_value('graph:1');
SELECT e2i_contributions('count:1', '[1, 2, 3, 4, 5]', class => '1');

-- Who may score may ask why, and nobody else.
CREATE ROLE regress_why;
SET ROLE regress_why;
SELECT e2i_contributions('binary:1', '[1, 2, 3, 4, 5]');
SELECT e2i_base_value('binary:1');
RESET ROLE;
SELECT e2i_grant_usage('regress_why', 'scorer');
SET ROLE regress_why;
SELECT cardinality(e2i_contributions('binary:1', '[1, 2, 3, 4, 5]'));
RESET ROLE;
DROP OWNED BY regress_why;
DROP ROLE regress_why;

SELECT count(e2i_drop_model(name || ':1', force => true)) FROM unnest(ARRAY['binary', 'three', 'count', 'dart', 'sets', 'graph']) name;
