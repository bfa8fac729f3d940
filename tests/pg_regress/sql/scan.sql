-- Scans that score in batches: EXPLAIN shows the node, and every statement gives what it gives without.
\set VERBOSITY terse
SET client_min_messages = warning;
-- The suite is run without the node, too.
\set batch_scan `echo ${BATCH_SCAN:-on}`
SELECT count(*) IS NOT NULL AS loaded FROM e2i_session_cache;
SELECT current_setting('e2i_serve.batch_scan') = :'batch_scan' AS is_as_asked;
SET e2i_serve.batch_scan = on;
CALL regress.begin_anew();
CREATE SCHEMA scan;
SET search_path = scan, public;
-- y = 0.5a - 1.25b + 2c + 0.125d + 0.75
SELECT e2i_register_model('linear', regress.onnx('shape_regression_flat'), feature_names => '{a,b,c,d}');
CREATE TABLE points AS
    SELECT i AS id, i % 17 AS a, (i % 5)::float4 AS b, (i % 3)::float8 AS c, i AS d, 'r' || i % 4 AS region, repeat('x', i % 40) AS note
    FROM generate_series(1, 1000) i;
ALTER TABLE points ADD PRIMARY KEY (id);
CREATE INDEX ON points (region);
ANALYZE points;

-- The node stands above the scan. What it evaluates is the calls, and conditions from the first with a call on.
EXPLAIN (VERBOSE, COSTS OFF) SELECT id, e2i_predict('linear', p) FROM points p WHERE region = 'r1' AND e2i_predict('linear', p) > 40;
EXPLAIN (VERBOSE, COSTS OFF) SELECT region, avg(e2i_predict('linear', p)) FROM points p GROUP BY region;
SET enable_hashagg = off;
SET enable_sort = off;
EXPLAIN (VERBOSE, COSTS OFF) SELECT region, avg(e2i_predict('linear', p)) FROM points p GROUP BY region;
RESET enable_hashagg;
RESET enable_sort;
SET e2i_serve.batch_scan = off;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id, e2i_predict('linear', p) FROM points p WHERE region = 'r1' AND e2i_predict('linear', p) > 40;
SET e2i_serve.batch_scan = on;

-- A condition that may raise an error is tried before a row is scored; what it raises belongs to the row.
SELECT regress.analyzed($$SELECT id, e2i_predict('linear', p) FROM points p WHERE a * 2 > 20 AND region = 'r1'$$);

-- What a statement gives: its rows until an error, and the error.
CREATE FUNCTION outcome(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    row record; rows text := '';
BEGIN
    FOR row IN EXECUTE statement LOOP
        rows := rows || row || E'\n';
    END LOOP;
    RETURN rows;
EXCEPTION WHEN OTHERS THEN
    RETURN rows || SQLSTATE || ' ' || SQLERRM;
END $$;
CREATE FUNCTION is_batched(statement text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    line text; found boolean := false;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN ' || statement LOOP
        found := found OR line ~ 'E2iScore';
    END LOOP;
    RETURN found;
END $$;
-- Each with the node and without it, in batches of all sizes.
CREATE FUNCTION compared(statement text, OUT batched boolean, OUT same boolean, OUT gives text) LANGUAGE plpgsql AS $$
DECLARE
    alone text; batches text[];
BEGIN
    batched := scan.is_batched(statement);
    SET LOCAL e2i_serve.batch_scan = off;
    alone := scan.outcome(statement);
    SET LOCAL e2i_serve.batch_scan = on;
    batches := ARRAY[scan.outcome(statement)];
    SET LOCAL e2i_serve.batch_size = 1;
    batches := batches || scan.outcome(statement);
    SET LOCAL e2i_serve.batch_size = 3;
    batches := batches || scan.outcome(statement);
    SET LOCAL e2i_serve.batch_size = 1024;
    same := alone = ALL (batches);
    gives := CASE WHEN alone ~ '^[0-9A-Z]{5} ' THEN alone ELSE regexp_count(alone, E'\n') || ' rows' END;
    IF NOT same THEN
        gives := alone || ' / ' || batches[1];
    END IF;
END $$;
CREATE VIEW scored AS SELECT id, region, e2i_predict('linear', points) AS y FROM points;
-- A row that cannot be scored, late in the table: a feature is NULL.
CREATE TABLE broken AS SELECT id, CASE id WHEN 50 THEN NULL ELSE a END AS a, b, c, d, region FROM points WHERE id <= 200 ORDER BY id;
CREATE TABLE parts (LIKE points) PARTITION BY LIST (region);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN ('r0', 'r1');
CREATE TABLE parts_2 (gone int, note text, d int, c float8, b float4, a int, region text, id int NOT NULL);
ALTER TABLE parts_2 DROP COLUMN gone;
ALTER TABLE parts ATTACH PARTITION parts_2 DEFAULT;
INSERT INTO parts SELECT * FROM points WHERE id <= 500;
CREATE TABLE documents AS SELECT id, to_jsonb(p) - 'note' - 'id' - 'region' AS document, CASE WHEN id % 3 > 0 THEN to_jsonb(p) END AS perhaps FROM points p WHERE id <= 300;
CREATE TABLE nothing (LIKE points);

SELECT place, (compared(statement)).* FROM (VALUES
    ('rows',                    $$SELECT id, e2i_predict('linear', p), note FROM points p ORDER BY id$$),
    ('a row by its key',        $$SELECT e2i_predict('linear', p) FROM points p WHERE id = 7$$),
    ('columns',                 $$SELECT e2i_predict('linear', s) FROM (SELECT d, c, b, a FROM points) s$$),
    ('an array',                $$SELECT id, e2i_predict('linear', ARRAY[a, b, c, d]) FROM points$$),
    ('documents',               $$SELECT id, e2i_predict('linear', document) FROM documents$$),
    ('documents or NULL',       $$SELECT id, e2i_predict('linear', perhaps) FROM documents$$),
    ('texts',                   $$SELECT id, e2i_predict('linear', document::text) FROM documents$$),
    ('no rows',                 $$SELECT id, e2i_predict('linear', n) FROM nothing n$$),
    ('a text that is made',     $$SELECT id, e2i_predict('linear', '[' || a || ', ' || b || ', 1, 2]') FROM points p$$),
    ('casts',                   $$SELECT id, e2i_predict('linear', ARRAY[a::numeric, b::numeric, c::numeric, d]::float8[]) FROM points$$),
    ('columns that are cast',   $$SELECT id, e2i_predict('linear', s) FROM (SELECT id, a::numeric::float8 AS a, coalesce(b, 0)::text::float8 AS b, c + 1 AS c, extract(epoch FROM to_timestamp(d))::int AS d FROM points) s$$),
    ('fields of a document',    $$SELECT id, e2i_predict('linear', s) FROM (SELECT id, (document ->> 'a')::int AS a, (document ->> 'b')::float8 AS b, (document -> 'c')::float8 AS c, greatest((document ->> 'd')::numeric, 7) AS d FROM documents) s$$),
    ('several questions',       $$SELECT e2i_predict('linear', p), e2i_predict_vector('linear', p), e2i_predict('linear:1', p) FROM points p$$),
    ('WHERE',                   $$SELECT id FROM points p WHERE e2i_predict('linear', p) > 100$$),
    ('WHERE and beside',        $$SELECT id, e2i_predict('linear', p) FROM points p WHERE a > 3 AND e2i_predict('linear', p) > 100 AND note LIKE '%xx%'$$),
    ('arithmetic in WHERE',     $$SELECT id, e2i_predict('linear', p) FROM points p WHERE region = 'r1' AND a * 2 + d > 50 AND e2i_predict('linear', p) > 20 AND 1000 / id > 1$$),
    ('and in a join',           $$SELECT p.id, e2i_predict('linear', p), n.i FROM points p JOIN generate_series(1, 9) n (i) ON p.id = n.i * 100 AND p.a + n.i > 7$$),
    ('ORDER BY',                $$SELECT id FROM points p ORDER BY e2i_predict('linear', p) DESC, id$$),
    ('ORDER BY and LIMIT',      $$SELECT id, e2i_predict('linear', p) FROM points p ORDER BY id DESC LIMIT 10$$),
    ('LIMIT',                   $$SELECT id, e2i_predict('linear', p) FROM points p LIMIT 10 OFFSET 5$$),
    ('DISTINCT',                $$SELECT DISTINCT e2i_predict('linear', s) FROM (SELECT a, b, c, 0 AS d FROM points) s ORDER BY 1$$),
    ('GROUP BY',                $$SELECT round(e2i_predict('linear', p)), count(*) FROM points p GROUP BY 1 ORDER BY 1$$),
    ('HAVING',                  $$SELECT region, max(d) FROM points GROUP BY region HAVING e2i_predict('linear', ARRAY[1, 2, 3, max(d)]) > 0 ORDER BY 1$$),
    ('an aggregate',            $$SELECT avg(e2i_predict('linear', p)), count(*) FROM points p$$),
    ('aggregates in groups',    $$SELECT region, avg(e2i_predict('linear', p)), sum(d) FROM points p GROUP BY region ORDER BY region$$),
    ('FILTER',                  $$SELECT region, sum(e2i_predict('linear', p)) FILTER (WHERE a > 8), count(*) FILTER (WHERE c = 1) FROM points p GROUP BY region ORDER BY 1$$),
    ('FILTER by a score',       $$SELECT count(*) FILTER (WHERE e2i_predict('linear', p) > 100) FROM points p$$),
    ('by one and of one',       $$SELECT region, count(*) FILTER (WHERE e2i_predict('linear', p) > 50), sum(e2i_predict('linear', p)) FILTER (WHERE e2i_predict('linear', p) > 50), sum(d) FILTER (WHERE e2i_predict('linear', p) > 50) FROM points p GROUP BY region ORDER BY 1$$),
    ('aggregate and WHERE',     $$SELECT avg(e2i_predict('linear', p)) FROM points p WHERE e2i_predict('linear', p) > 100$$),
    ('DISTINCT in aggregate',   $$SELECT count(DISTINCT e2i_predict('linear', p)), array_agg(id ORDER BY e2i_predict('linear', p), id) FROM points p$$),
    ('grouping sets',           $$SELECT region, c, sum(e2i_predict('linear', p)) FROM points p GROUP BY CUBE (region, c) ORDER BY 1, 2$$),
    ('grouping sets, hashed',   $$SELECT region, c, sum(e2i_predict('linear', p)) FROM points p GROUP BY GROUPING SETS ((region), (c))$$),
    ('groups and all',          $$SELECT region, avg(e2i_predict('linear', p)) FROM points p GROUP BY ROLLUP (region)$$),
    ('window functions',        $$SELECT id, rank() OVER (PARTITION BY region ORDER BY e2i_predict('linear', p)), sum(e2i_predict('linear', p)) OVER (ORDER BY id) FROM points p WHERE id < 100$$),
    ('aggregates, sorted',      $$SELECT id, sum(e2i_predict('linear', p)), sum(d) FROM (SELECT * FROM points ORDER BY id OFFSET 0) p GROUP BY id ORDER BY id LIMIT 20$$),
    ('groups, sorted',          $$SELECT id, sum(e2i_predict('linear', p)) FILTER (WHERE e2i_predict('linear', p) > 3), max(e2i_predict('linear', p) + 1), avg(d), count(DISTINCT e2i_predict('linear', p)) FROM (SELECT * FROM points ORDER BY id OFFSET 0) p GROUP BY id HAVING min(e2i_predict('linear', p)) > 4 ORDER BY id$$),
    ('a join',                  $$SELECT p.id, e2i_predict('linear', p) FROM points p JOIN documents USING (id) WHERE e2i_predict('linear', p) > 20 ORDER BY 1$$),
    ('both sides of a join',    $$SELECT id, e2i_predict('linear', s) FROM (SELECT p.id, p.a, q.b, p.c, q.d FROM points p JOIN points q ON q.id = p.d) s ORDER BY id$$),
    ('the side that is NULL',   $$SELECT q.id, e2i_predict('linear', p) FROM generate_series(990, 1010) q (id) LEFT JOIN points p USING (id) ORDER BY 1$$),
    ('LATERAL',                 $$SELECT p.id, s.* FROM (SELECT * FROM points WHERE id < 30) p, LATERAL (SELECT e2i_predict('linear', ARRAY[p.a, q.b, q.c, q.d]) FROM points q WHERE q.id IN (p.id, p.id + 1) LIMIT 1) s ORDER BY 1$$),
    ('a subquery',              $$SELECT id, (SELECT e2i_predict('linear', ARRAY[q.a, q.b, p.c, p.d]) FROM points q WHERE q.id = p.id + 1) FROM points p WHERE id < 50 ORDER BY 1$$),
    ('EXISTS',                  $$SELECT id FROM points p WHERE id < 50 AND EXISTS (SELECT FROM points q WHERE q.id > p.id AND e2i_predict('linear', q) > 100) ORDER BY 1$$),
    ('IN',                      $$SELECT id FROM points WHERE d IN (SELECT round(e2i_predict('linear', p))::int FROM points p) ORDER BY 1$$),
    ('a CTE',                   $$WITH s AS MATERIALIZED (SELECT id, e2i_predict('linear', p) AS y FROM points p) SELECT * FROM s WHERE y > 50 ORDER BY id LIMIT 20$$),
    ('over a CTE',              $$WITH s AS MATERIALIZED (SELECT * FROM points WHERE a > 3) SELECT id, e2i_predict('linear', s) FROM s ORDER BY id$$),
    ('a recursive CTE',         $$WITH RECURSIVE s (n, y) AS (SELECT 1, 0::float8 UNION ALL SELECT n + 1, e2i_predict('linear', ARRAY[n, 1, 2, 3]) FROM s WHERE n < 50) SELECT * FROM s$$),
    ('a view',                  $$SELECT region, avg(y) FROM scored GROUP BY region ORDER BY region$$),
    ('UNION ALL',               $$SELECT e2i_predict('linear', p) FROM points p UNION ALL SELECT e2i_predict('linear', q) FROM parts q$$),
    ('partitions',              $$SELECT id, e2i_predict('linear', p) FROM parts p ORDER BY id$$),
    ('partitions, aggregated',  $$SELECT region, avg(e2i_predict('linear', p)) FROM parts p GROUP BY region ORDER BY region$$),
    ('functions of rows',       $$SELECT e2i_predict('linear', ARRAY[i, 1, 2, 3]) FROM generate_series(1, 100) i$$),
    ('VALUES',                  $$SELECT e2i_predict('linear', v) FROM (VALUES (1, 2, 3, 4), (5, 6, 7, 8)) v (a, b, c, d)$$),
    ('FOR UPDATE',              $$SELECT id, e2i_predict('linear', p) FROM points p WHERE id < 20 FOR UPDATE$$),
    ('samples',                 $$SELECT id, e2i_predict('linear', p) FROM points p TABLESAMPLE system (50) REPEATABLE (1) ORDER BY id$$),
    ('system columns',          $$SELECT ctid, tableoid::regclass, e2i_predict('linear', p) FROM parts p ORDER BY 2, 1$$),
    ('the row itself',          $$SELECT p, e2i_predict('linear', p) FROM points p WHERE id < 20$$)
) AS places (place, statement);

-- Rows are read ahead, but an error belongs to its row: nobody sees that of a row that is not handed on, or whose call is not evaluated.
-- What is evaluated beside a call, or before it, is evaluated as often as without, and in the same order.
CREATE SEQUENCE seen;
CREATE FUNCTION loud(n int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN nextval('scan.seen'); END $$;
CREATE FUNCTION fails_late(n int) RETURNS boolean LANGUAGE plpgsql STABLE COST 1 AS $$
BEGIN
    IF n > 40 THEN RAISE 'row %', n; END IF;
    RETURN true;
END $$;
CREATE FUNCTION once(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM setval('scan.seen', 1, false);
    RETURN scan.outcome(statement) || ' seen ' || nextval('scan.seen');
END $$;
SELECT place, (compared(statement)).* FROM (VALUES
    ('an error',                $$SELECT id, e2i_predict('linear', s) FROM broken s$$),
    ('that is not reached',     $$SELECT id, e2i_predict('linear', s) FROM broken s LIMIT 49$$),
    ('that is',                 $$SELECT id, e2i_predict('linear', s) FROM broken s LIMIT 50$$),
    ('by OFFSET',               $$SELECT id, e2i_predict('linear', s) FROM broken s LIMIT 1 OFFSET 49$$),
    ('not reached by EXISTS',   $$SELECT EXISTS (SELECT FROM broken s WHERE e2i_predict('linear', s) > 10)$$),
    ('filtered before',         $$SELECT id, e2i_predict('linear', s) FROM broken s WHERE id <> 50$$),
    ('filtered after',          $$SELECT id, e2i_predict('linear', s) FROM broken s WHERE e2i_predict('linear', ARRAY[b, b, c, d]) <> 0 AND id <> 50$$),
    ('guarded',                 $$SELECT id, CASE WHEN a IS NOT NULL THEN e2i_predict('linear', s) END FROM broken s$$),
    ('a pinned one',            $$SELECT id, e2i_predict_pinned('linear:1', s), e2i_predict('linear:1', s) FROM broken s$$),
    ('pinned by a name',        $$SELECT id, e2i_predict_pinned('linear', s) FROM broken s$$),
    ('guarded in part',         $$SELECT id, CASE WHEN id < 50 THEN e2i_predict('linear', s) ELSE e2i_predict('linear', ARRAY[1, 2, 3, 4]) END FROM broken s$$),
    ('guarded from one model',  $$SELECT id, CASE WHEN id < 10 THEN e2i_predict('linear', s) ELSE e2i_predict('absent', s) END FROM broken s LIMIT 20$$),
    ('or from a question',      $$SELECT id, e2i_predict('linear', s), CASE WHEN id > 20 THEN e2i_predict_label('linear', s) END FROM broken s$$),
    ('COALESCE',                $$SELECT id, coalesce(a::float8, e2i_predict('linear', s)) FROM broken s WHERE id < 50$$),
    ('OR',                      $$SELECT id FROM broken s WHERE a IS NULL OR e2i_predict('linear', s) > 3$$),
    ('in an aggregate',         $$SELECT sum(e2i_predict('linear', s)) FROM broken s$$),
    ('not of the next group',   $$SELECT id, sum(e2i_predict('linear', s)), array_agg(1 / (id - 51)) FROM (SELECT * FROM broken ORDER BY id OFFSET 0) s GROUP BY id ORDER BY id LIMIT 49$$),
    ('but of this one',         $$SELECT id, sum(e2i_predict('linear', s)), array_agg(1 / (id - 51)) FROM (SELECT * FROM broken ORDER BY id OFFSET 0) s GROUP BY id ORDER BY id OFFSET 40 LIMIT 10$$),
    ('not with its FILTER',     $$SELECT sum(e2i_predict('linear', s)) FILTER (WHERE a IS NOT NULL) FROM broken s$$),
    ('no model',                $$SELECT e2i_predict('absent', s) FROM broken s$$),
    ('nor rows',                $$SELECT e2i_predict('absent', n) FROM nothing n$$),
    ('model NULL',              $$SELECT e2i_predict(NULL, s) FROM broken s LIMIT 3$$),
    ('another error before',    $$SELECT id, e2i_predict('linear', s) FROM broken s WHERE 1 / (id - 60) < 1$$),
    ('another error beside',    $$SELECT id, e2i_predict('linear', s), 1 / (id - 40) FROM broken s$$),
    ('and in an aggregate',     $$SELECT sum(1 / (id - 60)), sum(e2i_predict('linear', s)) FROM broken s$$),
    ('and after it',            $$SELECT id, e2i_predict('linear', s) FROM broken s WHERE e2i_predict('linear', ARRAY[b, b, c, d]) > -100 AND 1 / (id - 60) < 1$$),
    ('before, not reached',     $$SELECT id, e2i_predict('linear', s) FROM broken s WHERE 1 / (id - 49) < 1 LIMIT 48$$),
    ('before, refused by it',   $$SELECT id, e2i_predict('linear', s) FROM broken s WHERE id * 2 <> 100$$),
    ('a function fails late',   $$SELECT id, e2i_predict('linear', s) FROM broken s WHERE fails_late(id) LIMIT 35$$),
    ('not reached by LIMIT',    $$SELECT id, e2i_predict('linear', ARRAY[1 / (id - 40), 1, 1, 1]) FROM broken s LIMIT 39$$),
    ('features not asked for',  $$SELECT id, CASE WHEN id % 10 > 0 THEN e2i_predict('linear', ARRAY[1 / (id % 10), 1, 1, 1]) END FROM broken s$$),
    ('columns not asked for',   $$SELECT id, CASE WHEN id % 3 > 0 THEN e2i_predict('linear', s) END FROM (SELECT id, a, b, c, 1 / (id % 3) AS d FROM broken) s WHERE id <> 50$$),
    ('casts fail',              $$SELECT id, e2i_predict('linear', s) FROM (SELECT id, substr('123456789x', 1, id % 20)::int AS a, b, c, d FROM broken) s WHERE id > 1$$),
    ('an element that is none', $$SELECT id, e2i_predict('linear', ARRAY[1, 2, 3, 10 ^ (id * 10)]) FROM broken s$$),
    ('not before the model',    $$SELECT id, e2i_predict('absent', ARRAY[1 / (id - 3), 1, 1, 1]) FROM broken s WHERE id = 3$$),
    ('no JSON',                 $$SELECT id, e2i_predict('linear', CASE id WHEN 30 THEN '{a' ELSE '[1, 2, 3, 4]' END) FROM broken s$$),
    ('beyond JSON',             $$SELECT id, e2i_predict('linear', CASE id WHEN 30 THEN '{"a": "\u0000"}' ELSE '[1, 2, 3, 4]' END) FROM broken s$$),
    ('and not asked for',       $$SELECT id, e2i_predict('linear', CASE id WHEN 30 THEN '{"a": "\u0000"}' ELSE '[1, 2, 3, 4]' END) FROM broken s LIMIT 29$$),
    ('features fail',           $$SELECT id, e2i_predict('linear', ARRAY[1 / (id - 40), 1, 1, 1]) FROM broken s$$),
    ('a type that is none',     $$SELECT e2i_predict('linear', s) FROM (SELECT '\x00'::bytea AS a, b, c, d FROM broken) s$$),
    ('a feature that is none',  $$SELECT e2i_predict('linear', s) FROM (SELECT b, c, d AS e FROM broken) s$$)
) AS places (place, statement);
SELECT place, is_batched(statement), (compared(format('SELECT scan.once(%L)', statement))).same, once(statement) ~ ' seen 21' AS exact FROM (VALUES
    ('beside',      $$SELECT id, scan.loud(id), e2i_predict('linear', p) FROM scan.points p LIMIT 20$$),
    ('before',      $$SELECT id, e2i_predict('linear', p) FROM scan.points p WHERE scan.loud(id) > 0 AND e2i_predict('linear', p) > -100 LIMIT 20$$),
    ('after',       $$SELECT id FROM scan.points p WHERE e2i_predict('linear', p) > 100 AND scan.loud(id) > 0 LIMIT 20$$),
    ('below',       $$SELECT id, e2i_predict('linear', s) FROM (SELECT *, scan.loud(id) FROM scan.points OFFSET 0) s LIMIT 20$$),
    ('a cursor',    $$SELECT id, scan.loud(id), e2i_predict('linear', p) FROM scan.points p WHERE id <= 20$$)
) AS places (place, statement);

-- The first statement of a session loads the library, and is scored in batches; so are plans that are kept from before, and cursors as ever.
\c -
SET client_min_messages = warning;
SET e2i_serve.batch_scan = on;
EXPLAIN (COSTS OFF) SELECT avg(e2i_predict('linear', p)) FROM scan.points p;
\c -
SET client_min_messages = warning;
SET e2i_serve.batch_scan = on;
SET plan_cache_mode = force_generic_plan;
PREPARE first AS SELECT count(*) FROM scan.points p WHERE e2i_predict('linear', p) > 100;
EXECUTE first;
EXPLAIN (COSTS OFF) EXECUTE first;
EXECUTE first;
\c -
SET client_min_messages = warning;
SET e2i_serve.batch_scan = on;
BEGIN;
DECLARE back CURSOR FOR SELECT id, e2i_predict('linear', p) FROM scan.points p WHERE id < 5;
FETCH 3 FROM back;
FETCH BACKWARD 1 FROM back;
COMMIT;
\c -
SET client_min_messages = warning;
SET e2i_serve.batch_scan = off;
EXPLAIN (COSTS OFF) SELECT avg(e2i_predict('linear', p)) FROM scan.points p;
DROP SCHEMA scan CASCADE;
CALL regress.begin_anew();
