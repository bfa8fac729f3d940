-- What a statement says of its rows decides branches of trees: scans pass those that are left, and every row has the score that it
-- has by itself.
\set VERBOSITY terse
SET client_min_messages = warning;
SET e2i_serve.batch_scan = on;
\set models `echo $E2I_MODELS`
CALL regress.begin_anew();
CREATE SCHEMA scan_pruned;
SET search_path = scan_pruned, public;
SET max_parallel_workers_per_gather = 0;
-- Six numbers, any of which may be missing.
SELECT e2i_register_model('hist', regress.onnx('hcp_hist'), feature_names => '{years,tenure,volume,calls,engagement,rx}');
-- Engagement is missing in two ways, and so is rx.
CREATE TABLE visits AS
    SELECT i AS id, (i % 40)::smallint AS years, i % 120 AS tenure, (20 + i % 700)::bigint AS volume, i % 9 AS calls,
           CASE i % 20 WHEN 0 THEN NULL WHEN 1 THEN 'NaN' ELSE i % 1000 / 10.0 END::float8 AS engagement,
           CASE WHEN i % 10 > 0 THEN i % 777 / 4.0 END::float4 AS rx
    FROM generate_series(1, 6000) i;

-- The branches of the model, and how many are left; whether each score is what it is without batches.
CREATE FUNCTION pruned(condition text, source text, model text DEFAULT 'hist', OUT nodes text, OUT rows bigint, OUT same boolean)
LANGUAGE plpgsql AS $$
DECLARE
    plan jsonb; scores text; alone text;
    scored text := format('SELECT count(*), md5(string_agg(float8send(e2i_predict(%L, c))::text, %L)) FROM %s c WHERE %s', model, '', source, condition);
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, FORMAT json) ' || scored INTO plan;
    nodes := (SELECT string_agg(DISTINCT n #>> '{}', ', ') FROM jsonb_path_query(plan, '$.**.Nodes') n);
    EXECUTE scored INTO rows, scores;
    SET LOCAL e2i_serve.batch_scan = off;
    EXECUTE scored INTO rows, alone;
    SET LOCAL e2i_serve.batch_scan = on;
    same := scores = alone;
END $$;
-- The same in a table most of whose rows are such: it is for many rows only.
CREATE FUNCTION pruned_among_most(condition text, source text DEFAULT 'visits', model text DEFAULT 'hist', OUT nodes text, OUT rows bigint, OUT same boolean)
LANGUAGE plpgsql AS $$
DECLARE
    found bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM %s WHERE %s', source, condition) INTO found;
    EXECUTE format('CREATE TEMP TABLE most AS SELECT s.* FROM %1$s s, generate_series(1, 70000 / greatest(%3$s, 1)) WHERE %2$s
        UNION ALL (SELECT * FROM %1$s WHERE (%2$s) IS NOT TRUE LIMIT 500)', source, condition, found);
    ANALYZE most;
    SELECT p.* INTO nodes, rows, same FROM scan_pruned.pruned(condition, 'most', model) p;
    DROP TABLE most;
END $$;
SELECT condition, p.*
FROM unnest(ARRAY[
    'true', 'id > 7',
    'tenure = 36', 'tenure = 36 AND calls < 5 AND volume < 400', 'tenure BETWEEN 12 AND 24', '24 > tenure', 'tenure IN (1, 2)',
    'calls = 3 OR calls = 4', 'calls = 3 OR id = 4', 'NOT (calls > 2)',
    'engagement > 50', 'engagement = 49.9', 'engagement < 20', 'engagement = ''NaN''', 'engagement IS NULL OR engagement < 10',
    'rx > 150.1', 'rx < 1.5::float4', 'years < 3 AND years >= 1']) condition, pruned_among_most(condition) p;

-- What a table says of its rows: CHECK constraints, which NULL passes; the bounds of a partition.
CREATE TABLE checked (LIKE visits, CHECK (tenure < 20), CHECK (engagement >= 90 OR engagement < 30));
INSERT INTO checked SELECT id, years, CASE WHEN id % 7 > 0 THEN tenure % 20 END, volume, calls, CASE WHEN engagement < 30 OR engagement > 90 THEN engagement END, rx
FROM visits, generate_series(1, 15);
CREATE TABLE parted (LIKE visits) PARTITION BY RANGE (tenure);
CREATE TABLE parted_new PARTITION OF parted FOR VALUES FROM (0) TO (12);
CREATE TABLE parted_old PARTITION OF parted FOR VALUES FROM (12) TO (1000);
INSERT INTO parted SELECT id, years, tenure % 24, volume, calls, engagement, rx FROM visits, generate_series(1, 30);
ANALYZE checked, parted;
SELECT source, p.* FROM unnest('{checked,parted_new}'::text[]) source, pruned('true', source) p;

-- A parameter counts with what it is when the statement runs.
PREPARE scores (int, float8) AS SELECT count(*), round(sum(e2i_predict('hist', v))::numeric, 9) AS sum FROM parted_new v WHERE tenure <= $1 AND engagement > $2;
CREATE FUNCTION nodes(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    plan jsonb;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, FORMAT json) ' || statement INTO plan;
    RETURN (SELECT string_agg(n #>> '{}', ', ') FROM jsonb_path_query(plan, '$.**.Nodes') n);
END $$;
SET plan_cache_mode = force_generic_plan;
SELECT nodes('EXECUTE scores (9, 1)'), nodes('EXECUTE scores (11, 20)');
EXECUTE scores (9, 1);
EXECUTE scores (11, 20);
SET e2i_serve.batch_scan = off;
EXECUTE scores (9, 1);
EXECUTE scores (11, 20);
SET e2i_serve.batch_scan = on;
RESET plan_cache_mode;
DEALLOCATE scores;

-- Columns that come through a join, a subquery, an index.
CREATE TABLE known AS SELECT i AS tenure FROM generate_series(0, 119) i;
CREATE INDEX ON parted_new (tenure);
ANALYZE known;
SELECT source, p.*
FROM unnest(ARRAY['(SELECT v.* FROM checked v JOIN known USING (tenure) WHERE years > 5)',
                  '(SELECT * FROM checked WHERE years > 5 OFFSET 0)']) source, pruned('true', source) p;
SET enable_seqscan = off;
SELECT p.* FROM pruned('tenure > 2', 'parted_new') p;
SET enable_bitmapscan = off;
SELECT p.* FROM pruned('tenure > 2', 'parted_new') p;
RESET enable_seqscan;
RESET enable_bitmapscan;

-- A category is known by its code.
SELECT e2i_register_model('boosted', pg_read_binary_file(:'models' || '/libraries/xgb_frame.ubj'));
SELECT name, note FROM e2i_describe_model('boosted') WHERE kind = 'feature' AND name = 'city';
CREATE TABLE homes AS
    SELECT i AS id, (i % 90)::float8 AS age, (ARRAY['Cologne', 'New York', 'NaN', NULL])[1 + i % 4] AS city, (ARRAY[3, 8, -5])[1 + i % 3] AS cylinders, i % 2 = 0 AS flag,
           (ARRAY['S', 'M'])[1 + i % 2] AS size, 0.5 AS share, 'u' AS rare, 'only' AS constant
    FROM generate_series(1, 6000) i;
SELECT condition, p.*
FROM unnest(ARRAY['true', 'city = ''Cologne''', 'city IN (''Cologne'', ''New York'')', 'city > ''C''', 'flag', 'NOT flag', 'age < 40']) condition,
     pruned_among_most(condition, 'homes', 'boosted') p;

-- Who asks for a few rows does not pay for it. EXPLAIN shows it where there is something to show, and with VERBOSE the branches of all trees.
SELECT regress.analyzed($$SELECT count(e2i_predict('hist', v)) FROM visits v WHERE tenure = 36$$);
SELECT regress.analyzed($$SELECT count(e2i_predict('hist', v)) FROM parted_new v WHERE tenure < 9$$);
SET e2i_serve.instruction_set = 'portable';
SELECT regress.analyzed($$SELECT count(e2i_predict('hist', v)) FROM visits v WHERE tenure = 36$$, 'VERBOSE');
RESET e2i_serve.instruction_set;

DROP SCHEMA scan_pruned CASCADE;
