-- Canary: a share of the rows goes to another version. Shadow: another version scores beside, and nobody notices.
\set VERBOSITY default
SET client_min_messages = warning;
CALL regress.begin_anew();
-- Three versions whose features bear other names, so that a score tells which one gave it.
SELECT e2i_register_model('risk', regress.onnx('shape_regression_flat'), feature_names => '{a,b,c,d}');
SELECT e2i_register_model('risk', regress.onnx('shape_regression_flat'), feature_names => '{b,a,c,d}');
SELECT e2i_register_model('risk', regress.onnx('shape_dynamic_width'), feature_names => '{c,b,a,d}');
CREATE TABLE patients AS SELECT i AS d, i % 7 AS a, i % 7 + 1 AS b, i % 7 + 3 AS c FROM generate_series(1, 1000) i;
CREATE FUNCTION pg_temp.scored_by(p patients) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(v::text, ',') FROM generate_series(1, 3) v WHERE e2i_predict('risk', p) = e2i_predict('risk:' || v, p)
$$;

-- One tenth goes to version 2, by the value of one feature.
SELECT e2i_set_traffic('risk', '{"risk:1": 0.9, "risk:2": 0.1}', by => 'd');
SELECT service, version, traffic FROM e2i_services;
SELECT pg_temp.scored_by(p) AS version, round(count(*) / 1000.0, 1) AS share FROM patients p GROUP BY 1 ORDER BY 1;
-- The same row always gets the same version: in every statement, through every spelling, singly and in a batch.
SELECT count(*) FILTER (WHERE e2i_predict('risk', p) <> e2i_predict('risk', to_jsonb(p))) AS differ FROM patients p;
SELECT count(*) FILTER (WHERE e2i_predict('risk', p) <> (served ->> 'prediction')::float8) AS differ,
    count(*) FILTER (WHERE pg_temp.scored_by(p) <> split_part(served ->> 'version', ':', 2)) AS misnamed
FROM (SELECT e2i_serve('risk', jsonb_build_object('features', jsonb_agg(p ORDER BY d))) AS answer FROM patients p) s,
    LATERAL (SELECT i, jsonb_build_object('prediction', answer -> 'predictions' -> i, 'version', answer -> 'model_ids' -> i) AS served
             FROM generate_series(0, 999) i) one
    JOIN patients p ON p.d = i + 1;
-- Another feature does not matter, and a canary can be named as nothing but a version.
SELECT count(*) FILTER (WHERE pg_temp.scored_by(p) <> pg_temp.scored_by((p.d, p.a + 1, p.b + 2, p.c + 4)::patients)) AS moved
FROM patients p WHERE p.d <= 200;
SELECT e2i_set_traffic('risk', '{"risk:1": 0.9, "risk:2": 0.2}');
SELECT e2i_set_traffic('risk', '{"risk:1": 0.9, "risk:9": 0.1}');
SELECT e2i_set_traffic('risk', '{"risk": 1}');
SELECT e2i_set_traffic('risk', '{"risk:1": "all"}');
SELECT e2i_set_traffic('risk', '{"risk:1": 0.5, "risk:2": 0.5}', by => 'age');
SELECT e2i_set_traffic('nothing', '{"risk:1": 1}');
-- A deploy ends the split, and so does NULL.
SELECT version FROM e2i_deploy('risk:2');
SELECT service, version, traffic FROM e2i_services;
SELECT pg_temp.scored_by(p) AS version, count(*) FROM patients p GROUP BY 1;
SELECT e2i_set_traffic('risk', '{"risk:1": 0.5, "risk:2": 0.25, "risk:3": 0.25}');
SELECT pg_temp.scored_by(p) AS version, round(count(*) / 1000.0, 1) AS share FROM patients p GROUP BY 1 ORDER BY 1;
SELECT e2i_set_traffic('risk', NULL);
SELECT pg_temp.scored_by(p) AS version, count(*) FROM patients p GROUP BY 1;

-- Shadow: callers get the active version's score; the other's is kept beside it, in this session.
SELECT e2i_set_shadow('risk', 'risk:3', sample => 0.5);
SELECT service, version, shadow FROM e2i_services;
SELECT count(e2i_predict('risk', p)) FROM patients p;
SELECT version, shadow, count(*) BETWEEN 400 AND 600 AS about_half, bool_and(answer::float8 <> shadow_answer::float8) AS differ,
    bool_and(difference = abs(answer::float8 - shadow_answer::float8)) AS difference_is_right FROM e2i_shadow_scores GROUP BY 1, 2;
SELECT pg_temp.scored_by(p) AS version, count(*) FROM patients p GROUP BY 1;
-- What goes wrong in the shadow is kept, not raised: this one knows no feature e.
SELECT e2i_register_model('risk', regress.onnx('shape_regression_flat'), feature_names => '{a,b,c,e}');
SELECT e2i_set_shadow('risk', 'risk:4', sample => 1);
SELECT count(e2i_predict('risk', p)) FROM patients p WHERE d <= 3;
SELECT shadow, answer IS NOT NULL AS answered, shadow_answer, error FROM e2i_shadow_scores WHERE shadow = 'risk:4';
SELECT e2i_serve('risk', '{"features": [{"a": 1, "b": 2, "c": 3, "d": 4}, {"a": 1, "b": 2, "c": 3, "d": 5, "e": 6}]}') -> 'predictions' AS predictions;
SELECT shadow, count(*) AS rows, count(error) AS errors FROM e2i_shadow_scores WHERE shadow = 'risk:4' GROUP BY 1;
SELECT e2i_set_shadow('risk', 'risk:9');
SELECT e2i_set_shadow('risk', 'risk:3', sample => 2);
SELECT e2i_set_shadow('risk', NULL);
SELECT action, before, after FROM ml_model_events WHERE service_name = 'risk' AND action IN ('traffic', 'shadow') ORDER BY id;

-- A split that can no longer be scored is replaced like any other.
SELECT version FROM e2i_deploy('risk:1');
UPDATE ml_bentoml_services SET traffic = '{"risk:1": 0.5, "gone:1": 0.5}' WHERE service_name = 'risk' AND status = 'active';
SELECT e2i_predict('risk', '{"a": 1, "b": 0, "c": 0, "d": 0}');
SELECT e2i_set_traffic('risk', '{"risk:1": 1}');
SELECT e2i_predict('risk', '{"a": 1, "b": 0, "c": 0, "d": 0}') IS NOT NULL AS scores;

DROP TABLE patients CASCADE;
SELECT e2i_drop_model('risk:' || v, force => true) FROM generate_series(1, 4) v;
