-- How much each feature matters over many rows.
\set VERBOSITY default
SET client_min_messages = warning;
CALL regress.begin_anew();
SET e2i_serve.instruction_set = 'portable';
\set models `echo "$E2I_MODELS"`
\set binary :models '/trained/xgb_binary.json'
\set three :models '/trained/xgb_softprob.json'
SELECT e2i_register_model('binary', pg_read_binary_file(:'binary')) IS NOT NULL,
    e2i_register_model('three', pg_read_binary_file(:'three')) IS NOT NULL;
CREATE TABLE people (id int, age float8, "blood pressure" float8, "é" float8, d float8, e float8);
INSERT INTO people SELECT i, sin(i) * 0.2, cos(i), CASE WHEN i % 3 > 0 THEN sin(i * 7) * 10 END, cos(i * 5) * 0.1, sin(i * 3) FROM generate_series(1, 200) i;

SELECT rank, feature, round(importance::numeric, 4) AS importance, round(share::numeric, 4) AS share, round(standard_error::numeric, 4) AS standard_error, class, rows
FROM e2i_importance('binary', 'people');

-- It is the mean of the sizes that e2i_contributions has, exactly where all rows are explained; shares add up to 1.
SELECT count(*), bool_and(abs(i.importance - m.mean) < 1e-12), max(i.standard_error) AS standard_error, round(sum(i.share)::numeric, 10) AS shares
FROM e2i_importance('binary', 'people') i
JOIN e2i_describe_model('binary') f ON f.name = i.feature AND f.kind = 'feature'
JOIN (SELECT k, avg(abs(c)) AS mean
    FROM people p, unnest(e2i_contributions('binary', p)) WITH ORDINALITY u (c, k) GROUP BY k) m ON m.k = f.position;

-- Many rows are explained together, and each counts once.
SELECT bool_and(abs(a.importance - b.importance) < 1e-12 AND b.rows = 5000) AS same
FROM e2i_importance('binary', 'people') a JOIN e2i_importance('binary', 'SELECT p.* FROM people p, generate_series(1, 25)') b USING (feature);

-- The rows of a query, at most so many of them, drawn in the same way each time: then the means have an error; of one row it is not known.
SELECT count(*), min(rows), bool_and(standard_error > 0 OR importance = 0) AS has_errors FROM e2i_importance('binary', 'SELECT * FROM people WHERE age > 0', most => 50);
SELECT count(DISTINCT importance) = 5 AS same FROM (
    SELECT importance FROM e2i_importance('binary', 'people', most => 20) UNION ALL SELECT importance FROM e2i_importance('binary', 'people', most => 20)) i;
SELECT rank, standard_error, rows FROM e2i_importance('binary', 'people', most => 1) WHERE rank = 1;

-- Of several classes each has its own; one of them is asked for by its label.
CREATE TABLE points AS SELECT age AS f0, "blood pressure" AS f1, "é" AS f2, d AS f3, e AS f4 FROM people;
SELECT class, count(*), min(rank), max(rank), round(sum(share)::numeric, 10) AS shares FROM e2i_importance('three', 'points') GROUP BY class ORDER BY class;
SELECT count(*) FROM (SELECT * FROM e2i_importance('three', 'points', class => '1')
    EXCEPT SELECT * FROM e2i_importance('three', 'points') WHERE class = '1') d;

-- What is found can be kept: of a relation, or of a part of it that has a name.
SELECT count(*) FROM e2i_importance('binary', 'people', store => true);
SELECT count(*) FROM e2i_importance('binary', 'SELECT * FROM people WHERE age > 0', store => true, segment => 'older');
SELECT count(*) FROM e2i_importance('three', 'points', store => true);
SELECT model_name, model_version, analysis_type, segment, class, space, computation_method, sample_size, source, created_by = current_user AS mine,
    round(base_value::numeric, 4) AS base, key_drivers -> 0 ->> 'feature' AS first
FROM ml_shap_analyses ORDER BY model_name, analysis_type, class COLLATE "C";
SELECT jsonb_object_keys(key_drivers -> 0) FROM ml_shap_analyses WHERE segment = 'older';
SELECT bool_and(abs((a.global_importance ->> i.feature)::float8 - i.importance) < 1e-12) AS kept
FROM ml_shap_analyses a, e2i_importance('binary', 'people') i WHERE a.analysis_type = 'global' AND a.model_name = 'binary';

-- What it was compared with is said.
SELECT e2i_set_background('binary', 'SELECT * FROM people ORDER BY id LIMIT 20');
SELECT count(*) FROM e2i_importance('binary', 'people', 'probability', store => true);
SELECT a.space, a.computation_method, b.rows_kept FROM ml_shap_analyses a JOIN ml_model_backgrounds b USING (background_id);

-- How far importance has moved: each analysis against the one before of the same kind. Equal shares have the mean of their places.
BEGIN;
DELETE FROM ml_shap_analyses;
INSERT INTO ml_shap_analyses (model_id, model_name, model_version, analysis_type, segment, space, base_value, global_importance, sample_size, computation_method, created_at)
SELECT gen_random_uuid(), 'm', version, CASE WHEN segment IS NULL THEN 'global' ELSE 'segment' END, segment, 'margin', 0, importance::jsonb, 1, 'sampled', date '2026-01-01' + place
FROM (VALUES (1, '1', NULL, '{"a": 3, "b": 2, "c": 1, "d": 0}'), (2, '1', NULL, '{"a": 6, "b": 4, "c": 2, "d": 0}'), (3, '2', NULL, '{"a": 4, "b": 1, "c": 3, "e": 2}'),
    (4, '2', 'old', '{"a": 1}'), (5, '2', NULL, '{"a": 0, "b": 0}'), (6, '3', 'old', '{"a": 1, "b": 1}')) v (place, version, segment, importance);
SELECT before_version, model_version, segment, round(rank_correlation::numeric, 6) AS rank_correlation, round(largest_change::numeric, 6) AS largest_change, feature,
    round(before_share::numeric, 6) AS before_share, share
FROM e2i_importance_drift ORDER BY created_at;
ROLLBACK;
SELECT count(*) FROM e2i_importance('binary', 'people', store => true);
SELECT model_name, round(rank_correlation::numeric, 9) AS rank_correlation, largest_change FROM e2i_importance_drift;

-- Whoever may score may ask, of rows that he may read; keeping is for those who deploy.
CREATE ROLE asker;
SELECT e2i_grant_usage('asker', 'scorer');
GRANT SELECT ON points TO asker;
SET ROLE asker;
SELECT count(*) FROM e2i_importance('three', 'points');
SELECT count(*) FROM e2i_importance('binary', 'people');
SELECT count(*) FROM e2i_importance('three', 'points', store => true);
SELECT count(*) FROM e2i_importance_drift;
RESET ROLE;
SELECT e2i_grant_usage('asker', 'deployer');
SET ROLE asker;
SELECT count(*) FROM e2i_importance('three', 'points', class => '2', store => true);
SELECT count(*) FROM ml_shap_analyses WHERE created_by = 'asker';
SELECT count(*) > 0 AS drift FROM e2i_importance_drift;
RESET ROLE;
DROP OWNED BY asker;
DROP ROLE asker;

-- An analysis stays when its version goes.
SELECT FROM e2i_undeploy('three');
SELECT e2i_drop_model('three:1');
SELECT count(*) FROM ml_shap_analyses WHERE model_name = 'three';

-- What cannot be.
SELECT * FROM e2i_importance('binary', 'SELECT * FROM people WHERE false');
SELECT * FROM e2i_importance('binary', 'nobody');
SELECT * FROM e2i_importance('binary', 'people', most => 0);
SELECT * FROM e2i_importance('binary', NULL);
SELECT * FROM e2i_importance('binary', 'people', class => 'x');
SELECT * FROM e2i_importance('binary', 'points');

DELETE FROM ml_shap_analyses;
DROP TABLE people, points;
CALL regress.begin_anew();
