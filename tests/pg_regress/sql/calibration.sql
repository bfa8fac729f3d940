-- How sure a model is: intervals, sets of classes, calibrated probabilities.
\set VERBOSITY default
SET client_min_messages = warning;
CALL regress.begin_anew();
SET e2i_serve.instruction_set = 'portable';
\set models `echo "$E2I_MODELS"`
\set price :models '/trained/xgb_squared.json'
\set pair :models '/trained/xgb_targets.json'
\set risk :models '/trained/xgb_base_score.json'
\set kind :models '/trained/xgb_softprob.json'
SELECT e2i_register_model('price', pg_read_binary_file(:'price')) IS NOT NULL, e2i_register_model('pair', pg_read_binary_file(:'pair')) IS NOT NULL,
    e2i_register_model('risk', pg_read_binary_file(:'risk')) IS NOT NULL, e2i_register_model('kind', pg_read_binary_file(:'kind')) IS NOT NULL;
SELECT e2i_model_classes('kind'), array_length(e2i_predict_vector('pair', '[1, 2, 3, 4, 5]'), 1);
CREATE TABLE rows (id int, f0 float8, f1 float8, f2 float8, f3 float8, f4 float8, region text, y numeric, yes boolean, class text, w float8);
INSERT INTO rows SELECT i, sin(i) * 0.2, cos(i), CASE WHEN i % 3 > 0 THEN sin(i * 7) * 10 END, cos(i * 5) * 0.1, sin(i * 3), CASE i % 4 WHEN 0 THEN 'north' WHEN 3 THEN NULL ELSE 'south' END
    FROM generate_series(1, 144) i;
UPDATE rows SET y = round((e2i_predict('price', r) + sin(r.id * r.id) * (1 + (r.id % 4)))::numeric, 6), yes = sin(r.id * 13) / 2 + 0.5 < e2i_predict('risk', r), w = r.id % 3,
    class = (e2i_model_classes('kind'))[1 + CASE WHEN r.id % 5 = 0 THEN r.id % 3 ELSE (SELECT o - 1 FROM unnest(e2i_predict_proba('kind', r)) WITH ORDINALITY u (p, o) ORDER BY p DESC LIMIT 1) END]
    FROM rows r WHERE r.id = rows.id;
CREATE VIEW known AS SELECT * FROM rows WHERE id <= 44;
CREATE VIEW later AS SELECT * FROM rows WHERE id > 44;

-- A version without a calibration says what makes one.
SELECT e2i_predict_interval('price', '[1, 2, 3, 4, 5]');
SELECT e2i_predict_set('kind', '[1, 2, 3, 4, 5]');
SELECT e2i_predict_calibrated('risk', '[1, 2, 3, 4, 5]');
SELECT e2i_predict_interval('risk', '[1, 2, 3, 4, 5]');
SELECT e2i_predict_set('price', '[1, 2, 3, 4, 5]');

-- Split conformal: the margin at 0.8 is the 36th of 44 residuals, without interpolation.
SELECT e2i_calibrate('price', 'known', 'y');
SELECT method, n, array_length(quantiles, 1), grouped_by, "group", source, target, rows_left_out, made_by = current_user, made_at <= now() FROM ml_calibrations;
CREATE VIEW residuals AS SELECT id, region, abs(y - e2i_predict('price', k)::float8) AS score, row_number() OVER (ORDER BY abs(y - e2i_predict('price', k)::float8)) AS rank FROM known k;
SELECT abs((i).upper - (i).prediction - score) < 1e-12 AS same, (i).prediction - (i).lower - score < 1e-12 AS symmetric, (i).level, round((i).coverage::numeric, 4) AS coverage
FROM residuals, e2i_predict_interval('price', '[1, 2, 3, 4, 5]', 0.8) i WHERE rank = 36;
SELECT l AS level, rank FROM unnest(ARRAY[0.5, 0.7, 0.8, 0.9, 0.95]) l, e2i_predict_interval('price', '[1, 2, 3, 4, 5]', l) i, residuals WHERE abs((i).upper - (i).prediction - score) < 1e-12 ORDER BY l;
-- Too few rows for the level: nothing is ruled out.
SELECT lower, upper, coverage FROM e2i_predict_interval('price', '[1, 2, 3, 4, 5]', 0.98);
-- All spellings, alone and in a scan.
SELECT count(DISTINCT i) FROM (SELECT e2i_predict_interval('price', r) i FROM rows r WHERE id = 50 UNION ALL SELECT e2i_predict_interval('price', to_jsonb(r)) FROM rows r WHERE id = 50
    UNION ALL SELECT e2i_predict_interval('price', to_json(r)) FROM rows r WHERE id = 50 UNION ALL SELECT e2i_predict_interval('price', to_jsonb(r)::text, 0.9) FROM rows r WHERE id = 50
    UNION ALL SELECT e2i_predict_interval('price', ARRAY[f0, f1, f2, f3, f4]) FROM rows r WHERE id = 50 UNION ALL SELECT e2i_predict_interval('price', (SELECT to_jsonb(r) FROM rows r WHERE id = 50))) s;
SELECT bool_and((i).prediction = p AND (i).lower = p - s.score AND (i).upper = p + s.score) AS same, count(*) FROM residuals s,
    LATERAL (SELECT e2i_predict_interval('price', r, 0.8) i, e2i_predict('price', r) p FROM rows r OFFSET 0) q WHERE rank = 36;
SELECT pg_typeof(e2i_predict_interval('price', r)), e2i_predict_interval('price', NULL::jsonb) IS NULL AS "null", (e2i_predict_interval('price', r, CASE WHEN id = 45 THEN 0.5 ELSE 0.9 END)).level FROM rows r WHERE id IN (45, 46);
SET plan_cache_mode = force_generic_plan;
PREPARE levels(float8) AS SELECT count(i), min((i).level), count(DISTINCT round(((i).upper - (i).prediction)::numeric, 9)), round(min((i).coverage)::numeric, 3) AS coverage
    FROM (SELECT e2i_predict_interval('price', r, $1) i FROM rows r OFFSET 0) s;
EXECUTE levels(0.5);
EXECUTE levels(0.8);
EXECUTE levels(NULL);
EXECUTE levels(1.5);
RESET plan_cache_mode;
-- A batch in which some rows have no features, and a level that each row has.
SELECT count(i), count(*) FROM (SELECT e2i_predict_interval('price', CASE WHEN id % 2 = 0 THEN to_jsonb(r) END, 0.5) i FROM rows r OFFSET 0) s;
SELECT count(DISTINCT round(((i).upper - (i).prediction)::numeric, 9)) FROM (SELECT e2i_predict_interval('price', r, 0.2 + id % 3 * 0.3) i FROM rows r OFFSET 0) s;
CREATE TABLE kept AS SELECT id, e2i_predict_interval('price', r) AS i FROM rows r;
SELECT count((i).lower), count((i).coverage), bool_and((i).lower < (i).upper) FROM kept;

-- What is no level.
SELECT e2i_predict_interval('price', r, 0) FROM rows r;
SELECT e2i_predict_interval('price', r, 1) FROM rows r;
SELECT e2i_predict_interval('price', '[1, 2, 3, 4, 5]', 2);
SELECT e2i_predict_interval('price', '[1, 2, 3, 4, 5]', 'NaN');
SELECT e2i_coverage('price', 'later', 'y', level => 'NaN');

-- Rows without a target are left out, and counted; other values that are no finite numbers are refused.
SET client_min_messages = notice;
SELECT e2i_calibrate('price:1', 'SELECT * FROM rows r NATURAL LEFT JOIN (SELECT id, y AS truth FROM known) k', 'truth');
RESET client_min_messages;
SET client_min_messages = warning;
SELECT n, rows_left_out FROM ml_calibrations;
SELECT e2i_calibrate('price', 'SELECT *, CASE id WHEN 7 THEN ''Infinity''::float8 ELSE 1 END AS t FROM known', 't');
SELECT e2i_calibrate('price', 'SELECT *, CASE id WHEN 7 THEN ''NaN''::numeric ELSE 1 END AS t FROM known', 't');
SELECT e2i_calibrate('price', 'SELECT *, ''NaN''::float4 AS t FROM known', 't');
SELECT e2i_calibrate('price', 'known', 'region');
SELECT e2i_calibrate('price', 'known', 'nothing');
SELECT e2i_calibrate('price', 'known', 'y', by => 'nothing');
SELECT e2i_calibrate('price', 'known', 'y', weights => 'region');
SELECT e2i_calibrate('price', 'SELECT *, -w AS v FROM known', 'y', weights => 'v');
SELECT e2i_calibrate('price', 'SELECT *, 0 AS v FROM known', 'y', weights => 'v');
SELECT e2i_calibrate('price', 'SELECT * FROM known WHERE false', 'y');
SELECT e2i_calibrate('price', 'SELECT *, NULL::int AS t FROM known', 't');
SELECT e2i_calibrate('price', 'SELECT f0, y FROM known', 'y');
SELECT e2i_calibrate('price', 'nowhere', 'y');
SELECT e2i_calibrate('price', 'known', NULL);
SELECT e2i_calibrate('price', 'known', 'y', method => 'jackknife');
SELECT e2i_calibrate('price', 'known', 'y', method => 'lac');
SELECT e2i_calibrate('price', 'known', 'y', method => 'cqr');
SELECT e2i_calibrate('price', 'known', 'y', method => 'normalised_residual');
SELECT e2i_calibrate('price', 'known', 'y', method => 'normalised_residual', scale => 'region');
SELECT e2i_calibrate('price', 'known', 'y', scale => 'f1');
SELECT e2i_calibrate('pair', 'known', 'y');
SELECT e2i_calibrate('kind', 'known', 'y', method => 'residual');
SELECT e2i_calibrate('risk', 'known', 'yes', method => 'beta', space => 'margin');
SELECT e2i_calibrate('risk', 'known', 'yes', method => 'platt', space => 'odds');

-- By a scale that each row has: a feature, as the model sees it, which is in float32 here.
SELECT e2i_calibrate('price', 'known', 'y', method => 'normalised_residual', scale => 'f1');
CREATE TABLE scaled AS SELECT id, f0, abs(f1) + 1 AS f1, f2, f3, f4, y FROM rows;
SELECT e2i_calibrate('price', 'SELECT * FROM scaled WHERE id <= 44', 'y', method => 'normalised', scale => 'f1');
SELECT bool_and(abs((i).upper - (i).prediction - q * f1) < 1e-6 * q) AS same FROM scaled r, LATERAL (SELECT e2i_predict_interval('price', r, 0.8) i) s,
    (SELECT abs(y - e2i_predict('price', s)::float8) / f1 AS q FROM scaled s WHERE id <= 44 ORDER BY 1 OFFSET 35 LIMIT 1) k;
SELECT e2i_predict_interval('price', '[1, 0, 3, 4, 5]');

-- Weights are numbers of rows, and 1 is that of the row which is predicted.
SELECT e2i_calibrate('price', 'known', 'y', weights => 'w');
CREATE TABLE weighted AS SELECT l AS level, (e2i_predict_interval('price', '[1, 2, 3, 4, 5]', l)).upper FROM generate_series(0.05, 0.95, 0.05) l;
SELECT e2i_calibrate('price', 'SELECT k.* FROM known k, generate_series(1, w::int)', 'y');
SELECT bool_and((e2i_predict_interval('price', '[1, 2, 3, 4, 5]', level)).upper = upper) AS same FROM weighted;

-- By group, which need be no feature. One that is too small, or that nobody has seen, rules nothing out; it is never given the margin of all.
SELECT e2i_calibrate('price', 'known', 'y', by => 'region');
SELECT number, "group", n FROM ml_calibrations ORDER BY number;
SELECT r.region, count(DISTINCT round(((i).upper - (i).lower)::numeric, 9)), min(round(((i).upper - (i).lower)::numeric / 2, 9)) =
    (SELECT round(score::numeric, 9) FROM residuals s WHERE s.region IS NOT DISTINCT FROM r.region ORDER BY score OFFSET ceil((count(DISTINCT k.id) + 1) * 0.8)::int - 1 LIMIT 1) AS same
FROM rows r JOIN known k ON k.region IS NOT DISTINCT FROM r.region, LATERAL (SELECT e2i_predict_interval('price', r, 0.8) i) s GROUP BY r.region ORDER BY r.region;
SELECT lower, upper, coverage FROM e2i_predict_interval('price', '{"f0": 1, "f1": 2, "f2": 3, "f3": 4, "f4": 5, "region": "west"}');
SELECT count(DISTINCT i) FROM (SELECT e2i_predict_interval('price', r, 0.5) i FROM rows r WHERE id = 50 UNION ALL SELECT e2i_predict_interval('price', to_jsonb(r), 0.5) FROM rows r WHERE id = 50
    UNION ALL SELECT e2i_predict_interval('price', (SELECT to_jsonb(r)::text FROM rows r WHERE id = 50), 0.5)) s;
SELECT e2i_predict_interval('price', '[1, 2, 3, 4, 5]');
SELECT e2i_predict_interval('price', r) FROM (SELECT f0, f1, f2, f3, f4 FROM rows) r;
SELECT e2i_predict('price', r) IS NOT NULL FROM (SELECT f0, f1, f2, f3, f4 FROM rows LIMIT 1) r;

-- Quantiles, moved: both sides by one margin, or each by its own. Those that cross are put in order.
SELECT e2i_calibrate('pair', 'known', 'y', method => 'quantiles');
CREATE VIEW ends AS SELECT id, y, least(v[1], v[2]) AS lower, greatest(v[1], v[2]) AS upper FROM (SELECT id, y::float8, e2i_predict_vector('pair', r) AS v FROM rows r OFFSET 0) s;
SELECT count(*) FILTER (WHERE v[1] > v[2]) > 0 AS cross FROM (SELECT e2i_predict_vector('pair', r) AS v FROM rows r) s;
SELECT bool_and(abs((i).lower - (e.lower - q)) + abs((i).upper - (e.upper + q)) < 1e-9 AND (i).prediction = e.lower + (e.upper - e.lower) / 2) AS same FROM ends e JOIN rows r USING (id),
    LATERAL (SELECT e2i_predict_interval('pair', r, 0.8) i) s, (SELECT greatest(lower - y, y - upper) AS q FROM ends WHERE id <= 44 ORDER BY 1 OFFSET 35 LIMIT 1) k;
SELECT e2i_calibrate('pair', 'known', 'y', method => 'asymmetric_quantiles');
SELECT bool_and(abs((i).lower - (e.lower - below)) + abs((i).upper - (e.upper + above)) < 1e-9) AS same FROM ends e JOIN rows r USING (id), LATERAL (SELECT e2i_predict_interval('pair', r, 0.8) i) s,
    (SELECT lower - y AS below FROM ends WHERE id <= 44 ORDER BY 1 OFFSET 40 LIMIT 1) b, (SELECT y - upper AS above FROM ends WHERE id <= 44 ORDER BY 1 OFFSET 40 LIMIT 1) a;

-- A trained model of quantiles, as MAPIE conformalises it.
\set quantile :models '/trained/xgb_quantile.json'
SELECT FROM e2i_register_model('quantile', pg_read_binary_file(:'quantile'));
CREATE TABLE mapie AS SELECT pg_read_file(:'models' || '/calibrations_trained.json')::jsonb AS said;
CREATE TABLE trained AS SELECT id, f0, f1, f2, f3, f4, (said -> 'truth' ->> (id::int - 1))::float8 AS y, id <= (said -> 'known')::int AS is_known
    FROM mapie, jsonb_array_elements(said -> 'features') WITH ORDINALITY r (row, id),
        LATERAL (SELECT (row ->> 0)::float8, (row ->> 1)::float8, (row ->> 2)::float8, (row ->> 3)::float8, (row ->> 4)::float8) f (f0, f1, f2, f3, f4);
SELECT e2i_calibrate('quantile', 'SELECT * FROM trained WHERE is_known', 'y', method => 'quantiles');
CREATE VIEW as_said AS SELECT method, level, count(*), max(abs((i).lower - (said #>> ARRAY[method, place, row, '0'])::float8) + abs((i).upper - (said #>> ARRAY[method, place, row, '1'])::float8)) < 2e-6 AS same
    FROM (VALUES ('quantiles'), ('asymmetric_quantiles')) m (method), mapie, (VALUES (0.5, '0'), (0.8, '1')) l (level, place),
        LATERAL (SELECT e2i_predict_interval('quantile', t, level) AS i, (id - 1 - (said -> 'known')::int)::text AS row FROM trained t WHERE NOT is_known) s
    WHERE method = (SELECT c.method FROM ml_calibrations c JOIN ml_model_registry r ON r.id = c.model_id WHERE r.model_name = 'quantile' LIMIT 1) GROUP BY 1, 2 ORDER BY 2;
SELECT * FROM as_said;
SELECT e2i_calibrate('quantile', 'SELECT * FROM trained WHERE is_known', 'y', method => 'asymmetric_quantiles');
SELECT * FROM as_said;
DROP VIEW as_said;
DROP TABLE mapie, trained;
SELECT e2i_drop_model('quantile:1', force => true) IS NOT NULL;

-- Sets of classes. Least ambiguous ones may be empty.
SELECT e2i_calibrate('kind', 'known', 'class');
CREATE VIEW probabilities AS SELECT r.id, c.label, c.o, p.p, sum(p.p) OVER (PARTITION BY id ORDER BY p.p DESC, c.o ROWS UNBOUNDED PRECEDING) AS sum, c.label = r.class AS is_so
    FROM rows r, LATERAL unnest(e2i_model_classes('kind')) WITH ORDINALITY c (label, o), LATERAL (SELECT (e2i_predict_proba('kind', r))[c.o] AS p) p;
SELECT level, bool_and(e2i_predict_set('kind', r, level) = labels) AS same FROM rows r, unnest(ARRAY[0.5, 0.8, 0.9]) level, LATERAL (SELECT coalesce(array_agg(label ORDER BY o), '{}') AS labels FROM probabilities p
    WHERE p.id = r.id AND 1 - p.p <= (SELECT 1 - t.p FROM probabilities t WHERE is_so AND t.id <= 44 ORDER BY 1 OFFSET ceil(45 * level)::int - 1 LIMIT 1)) s GROUP BY level ORDER BY level;
SELECT e2i_predict_set('kind', '[1, 2, 3, 4, 5]', 0.99);
SELECT count(*) > 0 AS empty FROM rows r WHERE e2i_predict_set('kind', r, 0.1) = '{}';
SELECT e2i_calibrate('kind', 'known', 'class', method => 'aps');
SELECT level, bool_and(e2i_predict_set('kind', r, level) = labels) AS same FROM rows r, unnest(ARRAY[0.5, 0.8, 0.9]) level, LATERAL (SELECT coalesce(array_agg(label ORDER BY o), '{}') AS labels FROM probabilities p
    WHERE p.id = r.id AND p.sum <= (SELECT t.sum FROM probabilities t WHERE is_so AND t.id <= 44 ORDER BY 1 OFFSET ceil(45 * level)::int - 1 LIMIT 1)) s GROUP BY level ORDER BY level;
SELECT e2i_calibrate('kind', 'SELECT *, ''maybe'' AS t FROM known', 't');
SELECT e2i_calibrate('kind', 'SELECT *, 3.5 AS t FROM known', 't');
-- Whatever a class is written as.
SELECT e2i_calibrate('risk', 'known', 'yes', method => 'lac'), e2i_calibrate('risk', 'SELECT *, yes::int AS t FROM known', 't', method => 'lac'),
    e2i_calibrate('risk', 'SELECT *, yes::int::numeric(3, 1) AS t FROM known', 't', method => 'lac'), e2i_calibrate('risk', 'SELECT *, yes::int::text AS t FROM known', 't', method => 'lac');

-- Probabilities. Of two classes the second is mapped.
SELECT e2i_calibrate('risk', 'known', 'yes', method => 'isotonic');
SELECT bool_and(c BETWEEN 0 AND 1) AS probabilities, bool_and(c >= before) AS ascends FROM (SELECT c, lag(c) OVER (ORDER BY p) AS before FROM (SELECT e2i_predict_calibrated('risk', r) AS c, e2i_predict('risk', r) AS p FROM rows r) s) s;
SELECT bool_and(e2i_predict_calibrated_proba('risk', r) = ARRAY[1 - e2i_predict_calibrated('risk', r), e2i_predict_calibrated('risk', r)]) AS same FROM rows r;
SELECT round(sum(c)::numeric, 9) = sum(yes::int) AS right_on_average FROM (SELECT e2i_predict_calibrated('risk', r) AS c, yes FROM known r) s;
SELECT e2i_calibrate('risk', 'known', 'yes', method => 'platt', weights => 'w');
SELECT method, space, maps -> 'maps' -> 0 ? 'platt' AS curve, quantiles FROM ml_calibrations WHERE purpose = 'probability';
SELECT bool_and(abs(e2i_predict_calibrated('risk', r) - 1 / (1 + exp((m ->> 'a')::float8 * e2i_predict('risk', r) + (m ->> 'b')::float8))) < 1e-12) AS same FROM rows r, (SELECT maps #> '{maps,0,platt}' AS m FROM ml_calibrations WHERE purpose = 'probability') c;
SELECT e2i_calibrate('risk', 'known', 'yes', method => 'platt', space => 'margin');
SELECT bool_and(abs(e2i_predict_calibrated('risk', r) - 1 / (1 + exp((m ->> 'a')::float8 * ln(p / (1 - p)) + (m ->> 'b')::float8))) < 1e-9) AS same FROM rows r, LATERAL (SELECT e2i_predict('risk', r) AS p) p,
    (SELECT maps #> '{maps,0,platt}' AS m FROM ml_calibrations WHERE purpose = 'probability') c;
SELECT e2i_calibrate('risk', 'known', 'yes', method => 'beta', by => 'region');
SELECT e2i_predict_calibrated('risk', '{"f0": 1, "f1": 2, "f2": 3, "f3": 4, "f4": 5, "region": "west"}') IS NULL AS unseen, e2i_predict_calibrated('risk', r) IS NULL AS known FROM rows r WHERE id = 44;
SELECT e2i_calibrate('risk', 'SELECT * FROM known WHERE yes', 'yes', method => 'beta');
SELECT e2i_calibrate('kind', 'known', 'class', method => 'isotonic');
SELECT bool_and(abs((SELECT sum(p) FROM unnest(e2i_predict_calibrated_proba('kind', r)) p) - 1) < 1e-12) AS adds_up FROM rows r;
SELECT e2i_predict_calibrated('kind', '[1, 2, 3, 4, 5]');

-- Coverage, of all rows and by group, on rows that were not calibrated with.
SELECT e2i_calibrate('price', 'known', 'y');
SELECT "group", n, covered, round(coverage::numeric, 3) AS coverage, width > 0 AS wide, round(lowest::numeric, 3) AS lowest, round(highest::numeric, 3) AS highest, is_within FROM e2i_coverage('price', 'later', 'y', 0.8, by => 'region');
SELECT c.covered = (SELECT count(*) FROM later r, e2i_predict_interval('price', r, 0.8) i WHERE y BETWEEN i.lower AND i.upper) AS same,
    abs(width - (SELECT avg((i).upper - (i).lower) FROM later r, e2i_predict_interval('price', r, 0.8) i)) < 1e-9 AS wide FROM e2i_coverage('price', 'later', 'y', 0.8) c;
SELECT n, covered = (SELECT count(*) FROM later r WHERE class = ANY (e2i_predict_set('kind', r))) AS same, abs(width - (SELECT avg(cardinality(e2i_predict_set('kind', r))) FROM later r)) < 1e-9 AS classes FROM e2i_coverage('kind', 'later', 'class');
SELECT * FROM e2i_coverage('price', 'SELECT * FROM later WHERE false', 'y');
SELECT * FROM e2i_coverage('pair:1', 'later', 'region');
-- Checked, it is kept: intervals tell it, and a service that covers too little is degraded.
SELECT e2i_serving_stats_reset();
SELECT e2i_predict('price', '[1, 2, 3, 4, 5]') IS NOT NULL AS called;
SELECT status FROM e2i_health('price');
SELECT n, is_within FROM e2i_check_coverage('price', 'SELECT f0, f1, f2, f3, f4, y + 100 * (id % 2) AS y FROM later', 'y', 0.8);
SELECT checked_level, checked_n, checked_covered < 60 AS few FROM ml_calibrations WHERE purpose = 'interval' AND source = 'known' AND checked_at IS NOT NULL;
SELECT coverage < 0.6 AS measured FROM e2i_predict_interval('price', '[1, 2, 3, 4, 5]', 0.8);
SELECT coverage FROM e2i_predict_interval('price', '[1, 2, 3, 4, 5]', 0.5);
SELECT status, reason ~ '^at level 0.8 [0-9.]+ % of 100 rows are covered$' AS says FROM e2i_health('price');
SELECT is_within FROM e2i_check_coverage('price', 'later', 'y', 0.8);
SELECT status FROM e2i_health('price');
SELECT action, details - 'covered' FROM ml_model_events WHERE model_name = 'price' AND action IN ('calibrate', 'coverage') ORDER BY id DESC LIMIT 3;

-- A plan that is kept hears of a calibration; a statement that has begun keeps the one that it began with.
PREPARE width AS SELECT count(DISTINCT round(((i).upper - (i).lower)::numeric, 9)) FROM (SELECT e2i_predict_interval('price', r, 0.5) i FROM rows r OFFSET 0) s;
EXECUTE width;
SELECT e2i_calibrate('price', 'known', 'y', by => 'region');
EXECUTE width;
BEGIN;
SELECT e2i_calibrate('price', 'known', 'y');
EXECUTE width;
ROLLBACK;
EXECUTE width;

-- A calibration belongs to a version, and goes with it.
SELECT e2i_register_model('price', pg_read_binary_file(:'price'));
SELECT e2i_predict_interval('price:2', '[1, 2, 3, 4, 5]');
SELECT e2i_calibrate('price:2', 'known', 'y');
SELECT count(*) FROM ml_calibrations c JOIN ml_model_registry r ON r.id = c.model_id WHERE r.model_name = 'price' AND r.model_version = '2';
SELECT e2i_drop_model('price:2');
SELECT count(*) FROM ml_calibrations c LEFT JOIN ml_model_registry r ON r.id = c.model_id WHERE r.id IS NULL;

-- Rights: rows are read with the caller's, who may calibrate is who may deploy, and who may score may ask how sure.
CREATE ROLE regress_scorer;
CREATE ROLE regress_deployer;
SELECT e2i_grant_usage('regress_scorer', 'scorer'), e2i_grant_usage('regress_deployer', 'deployer');
SET ROLE regress_scorer;
SELECT e2i_calibrate('price', 'known', 'y');
SELECT e2i_coverage('price', 'known', 'y');
SELECT (i).lower < (i).upper AS sure FROM e2i_predict_interval('price', '{"f0": 1, "f1": 2, "f2": 3, "f3": 4, "f4": 5, "region": "south"}', 0.5) i;
SELECT count(*) FROM ml_calibrations;
SET ROLE regress_deployer;
SELECT e2i_calibrate('price', 'known', 'y');
RESET ROLE;
GRANT SELECT ON known TO regress_deployer;
SET ROLE regress_deployer;
SELECT e2i_calibrate('price', 'known', 'y');
SELECT DISTINCT made_by FROM ml_calibrations WHERE purpose = 'interval' AND method = 'residual';
RESET ROLE;

-- Calls are counted as those of the functions that were called.
SELECT FROM e2i_serving_stats_reset();
SELECT count(e2i_predict_interval('price', r)), count(e2i_predict_set('kind', r)), count(e2i_predict_calibrated('risk', r)), count(e2i_predict_calibrated_proba('risk', r)), count(e2i_predict('price', r)) FROM rows r WHERE id <= 7 AND region IS NOT NULL;
SELECT version, function, predictions FROM e2i_serving_counters(by_function => true) WHERE predictions > 0 ORDER BY function;

DROP VIEW ends, probabilities, residuals, known, later;
DROP TABLE rows, kept, scaled, weighted;
DROP OWNED BY regress_scorer, regress_deployer;
DROP ROLE regress_scorer, regress_deployer;
SELECT e2i_drop_model(name || ':1', force => true) FROM unnest(ARRAY['price', 'pair', 'risk', 'kind']) name;
SELECT count(*) FROM ml_calibrations;
