-- Statements that score in batches beyond a plain SELECT: what they write, whose rights they need, what is counted, and what happens to them
-- while they run.
\set VERBOSITY terse
SET client_min_messages = warning;
SET e2i_serve.batch_scan = on;
CALL regress.begin_anew();
CREATE SCHEMA scan;
SET search_path = scan, public;
-- y = 0.5a - 1.25b + 2c + 0.125d + 0.75
SELECT e2i_register_model('linear', regress.onnx('shape_regression_flat'), feature_names => '{a,b,c,d}');
CREATE TABLE points (id int PRIMARY KEY, a int, b float4, c float8, d numeric, y float8);
INSERT INTO points SELECT i, i % 17, i % 5, i % 3, i FROM generate_series(1, 500) i;
ANALYZE points;
CREATE FUNCTION is_batched(statement text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    line text; found boolean := false;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN ' || statement LOOP
        found := found OR line ~ 'E2iScore';
    END LOOP;
    RETURN found;
END $$;

-- What a table holds after a statement, which is then taken back.
CREATE FUNCTION after(statement text, target text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    rows text;
BEGIN
    EXECUTE statement;
    EXECUTE format('SELECT count(*) || '' rows, '' || md5(string_agg(t::text, '','' ORDER BY t::text)) FROM %s t', target) INTO rows;
    RAISE EXCEPTION USING MESSAGE = rows;
EXCEPTION WHEN OTHERS THEN
    RETURN SQLERRM;
END $$;
CREATE FUNCTION compared(statement text, target text, OUT same boolean, OUT gives text) LANGUAGE plpgsql AS $$
DECLARE
    alone text; together text;
BEGIN
    SET LOCAL e2i_serve.batch_scan = off;
    alone := scan.after(statement, target);
    SET LOCAL e2i_serve.batch_scan = on;
    together := scan.after(statement, target);
    same := alone = together;
    gives := CASE WHEN same THEN split_part(alone, ',', 1) ELSE alone || ' / ' || together END;
END $$;
CREATE VIEW writable AS SELECT id, y FROM points WHERE e2i_predict('linear', points) > 20;
SELECT place, is_batched(statement), (compared(statement, target)).* FROM (VALUES
    ('INSERT',          'points', $$INSERT INTO points (id, y) SELECT id + 1000, e2i_predict('linear', p) FROM points p$$),
    ('ON CONFLICT',     'points', $$INSERT INTO points (id, y) SELECT id + 250, e2i_predict('linear', p) FROM points p ON CONFLICT (id) DO UPDATE SET y = excluded.y$$),
    ('UPDATE',          'points', $$UPDATE points p SET y = e2i_predict('linear', p)$$),
    ('UPDATE WHERE',    'points', $$UPDATE points p SET y = 1 WHERE e2i_predict('linear', p) > 20$$),
    ('UPDATE FROM',     'points', $$UPDATE points p SET y = s.y FROM (SELECT id, e2i_predict('linear', q) AS y FROM points q) s WHERE s.id = p.id$$),
    ('DELETE',          'points', $$DELETE FROM points p WHERE e2i_predict('linear', p) > 20$$),
    ('MERGE',           'points', $$MERGE INTO points p USING (SELECT id, e2i_predict('linear', q) AS y FROM points q) s ON s.id = p.id WHEN MATCHED AND s.y > 20 THEN DELETE WHEN MATCHED THEN UPDATE SET y = s.y$$),
    ('through a view',  'points', $$UPDATE writable SET y = 7$$),
    ('CREATE TABLE AS', 'made',   $$CREATE TABLE made AS SELECT id, e2i_predict('linear', p) FROM points p$$),
    ('a view of rows',  'made',   $$CREATE MATERIALIZED VIEW made AS SELECT id, e2i_predict('linear', p) FROM points p$$),
    ('a CTE that writes', 'points', $$WITH gone AS (DELETE FROM points WHERE id > 100 RETURNING *) INSERT INTO points (id, y) SELECT id, e2i_predict('linear', g) FROM gone g ON CONFLICT DO NOTHING$$)
) AS places (place, target, statement);
-- RETURNING evaluates a row when it was written.
EXPLAIN (COSTS OFF) UPDATE points p SET y = a WHERE id < 4 RETURNING e2i_predict('linear', p);
COPY (SELECT id, e2i_predict('linear', p) FROM points p WHERE id < 3) TO STDOUT;

-- Cursors. One whose rows may be asked for backwards, or changed where it stands, has its calls alone.
BEGIN;
DECLARE joined NO SCROLL CURSOR FOR SELECT p.id, e2i_predict('linear', p) FROM points p JOIN generate_series(1, 500) i ON i = id ORDER BY id;
FETCH 3 FROM joined;
DECLARE back SCROLL CURSOR FOR SELECT id, e2i_predict('linear', p) FROM points p WHERE id < 10;
FETCH 2 FROM back;
FETCH BACKWARD 1 FROM back;
DECLARE here CURSOR FOR SELECT id, e2i_predict('linear', p) FROM points p WHERE id < 10 FOR UPDATE;
FETCH 2 FROM here;
UPDATE points SET y = -1 WHERE CURRENT OF here;
DECLARE there NO SCROLL CURSOR FOR SELECT id, e2i_predict('linear', p) FROM points p WHERE id < 10;
FETCH 3 FROM there;
UPDATE points SET y = -2 WHERE CURRENT OF there;
FETCH 1 FROM there;
SELECT id, y FROM points WHERE y < 0 ORDER BY id;
ROLLBACK;

-- PL/pgSQL, in loops that are left and expressions.
DO $$
DECLARE
    point record; sum float8 := 0;
BEGIN
    FOR point IN SELECT id, e2i_predict('linear', p) AS y FROM points p ORDER BY id LOOP
        EXIT WHEN point.id > 60;
        sum := sum + point.y;
    END LOOP;
    RAISE WARNING 'sum %', sum;
    FOR i IN 1..3 LOOP
        SELECT sum(e2i_predict('linear', p)) INTO sum FROM points p WHERE id <= i * 20;
        RAISE WARNING 'of the first %: %', i * 20, sum;
    END LOOP;
END $$;

-- Plans that are kept follow a deployment; the model can be a parameter.
SET plan_cache_mode = force_generic_plan;
SELECT e2i_register_model('linear', regress.onnx('shape_regression_flat'), feature_names => '{b,a,c,d}');
SELECT version FROM e2i_deploy('linear:1', 'points');
PREPARE deployed AS SELECT sum(e2i_predict('points', p)) FROM points p;
PREPARE given (text, int) AS SELECT id, e2i_predict($1, p) FROM points p WHERE id <= $2;
EXPLAIN (COSTS OFF) EXECUTE given('linear:1', 2);
EXECUTE deployed;
EXECUTE given('linear:1', 2);
EXECUTE given(NULL, 2);
SELECT version FROM e2i_deploy('linear:2', 'points');
EXECUTE deployed;
EXECUTE given('points', 2);
EXECUTE given('linear:3', 2);
-- A statement keeps the version that it began with.
BEGIN;
DECLARE slow NO SCROLL CURSOR FOR SELECT e2i_predict('points', p) AS y FROM points p JOIN generate_series(1, 500) i ON i = id ORDER BY id;
FETCH 3 FROM slow;
SELECT version FROM e2i_deploy('linear:1', 'points');
FETCH 3 FROM slow;
ROLLBACK;
RESET plan_cache_mode;

-- What a policy or a barrier hides is not scored, however early.
CREATE TABLE secrets AS SELECT id, CASE id WHEN 5 THEN NULL ELSE a END AS a, b, c, d FROM points WHERE id <= 20;
CREATE FUNCTION open(id int) RETURNS boolean LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN id <> 5; END $$;
ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
CREATE POLICY hidden ON secrets USING (id <> 5);
CREATE VIEW barrier WITH (security_barrier) AS SELECT * FROM secrets WHERE open(id);
CREATE ROLE regress_scan;
GRANT USAGE ON SCHEMA scan TO regress_scan;
GRANT SELECT ON secrets, points TO regress_scan;
SELECT e2i_grant_usage('regress_scan', 'scorer');
SELECT count(*) FROM barrier s WHERE e2i_predict('linear:1', s) > 3;
SELECT count(*) FROM secrets s WHERE e2i_predict('linear:1', s) > 3;
SET ROLE regress_scan;
EXPLAIN (COSTS OFF) SELECT count(*) FROM secrets s WHERE e2i_predict('linear:1', s) > 3;
SELECT count(*) FROM secrets s WHERE e2i_predict('linear:1', s) > 3;
RESET ROLE;
-- Rights are asked for when it runs, as the role that runs it: to the function, and to the model.
REVOKE SELECT ON ml_model_registry FROM regress_scan;
BEGIN;
DECLARE mine NO SCROLL CURSOR FOR SELECT e2i_predict('linear:1', p) AS y FROM points p JOIN generate_series(1, 500) i ON i = id ORDER BY id;
FETCH 4 FROM mine;
SET ROLE regress_scan;
FETCH 1 FROM mine;
ROLLBACK;
BEGIN;
REVOKE EXECUTE ON FUNCTION e2i_predict(text, record) FROM PUBLIC;
SET LOCAL ROLE regress_scan;
EXPLAIN SELECT e2i_predict('linear:1', p) FROM points p;
ROLLBACK;

-- What is counted is what was answered.
CREATE FUNCTION counted(statement text, is_batched boolean) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('e2i_serve.batch_scan', is_batched::text, true), e2i_serving_stats_reset();
    BEGIN
        EXECUTE statement;
    EXCEPTION WHEN OTHERS THEN
        NULL;
    END;
    RETURN QUERY SELECT format('%s: requests %s, predictions %s, errors %s, batches %s', model, requests, predictions, errors, batches)
        FROM e2i_serving_stats s WHERE requests > 0;
END $$;
SELECT place, together, ARRAY(SELECT counted(statement, false)) = together AS same
FROM (VALUES
    ('all',       $$SELECT count(e2i_predict('linear:1', p)) FROM scan.points p$$),
    ('LIMIT',     $$SELECT sum(y) FROM (SELECT e2i_predict('linear:1', p) AS y FROM scan.points p LIMIT 37) s$$),
    ('two',       $$SELECT count(e2i_predict('linear:1', p)), count(e2i_predict_vector('linear:1', p)) FROM scan.points p$$),
    ('guarded',   $$SELECT count(CASE WHEN id % 2 = 0 THEN e2i_predict('linear:1', p) END) FROM scan.points p$$),
    ('an error',  $$SELECT count(e2i_predict('linear:1', s)) FROM scan.secrets s$$),
    ('texts',     $$SELECT count(e2i_predict('linear:1', CASE id WHEN 30 THEN '{"a": "\u0000"}' ELSE '[1, 2, 3, 4]' END)) FROM scan.points p$$),
    ('not asked', $$SELECT count(y) FROM (SELECT e2i_predict('linear:1', CASE id WHEN 30 THEN '{"a": "\u0000"}' ELSE '[1, 2, 3, 4]' END) AS y FROM scan.points p LIMIT 29) s$$),
    ('features',  $$SELECT count(e2i_predict('linear:1', ARRAY[1 / (id - 30), 1, 1, 1])) FROM scan.points p$$),
    ('pinned',    $$SELECT count(e2i_predict_pinned('linear:1', p)), count(e2i_predict('linear:1', p)) FROM scan.points p$$),
    ('no model',  $$SELECT count(e2i_predict('absent', s)) FROM scan.secrets s$$)
) AS places (place, statement), LATERAL (SELECT ARRAY(SELECT counted(statement, true))) t (together);

-- In parallel, the node stands in each process.
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS OFF) SELECT count(*), sum(round(e2i_predict('linear:1', p))) FROM points p;
SELECT count(*), sum(round(e2i_predict('linear:1', p))) FROM points p;
SELECT count(*) FROM points p WHERE e2i_predict('linear:1', p) > 20;
SELECT id, e2i_predict('linear:1', p) FROM points p ORDER BY 2 DESC, 1 LIMIT 3;
SET e2i_serve.batch_scan = off;
SELECT count(*), sum(round(e2i_predict('linear:1', p))) FROM points p;
SELECT count(*) FROM points p WHERE e2i_predict('linear:1', p) > 20;
SELECT id, e2i_predict('linear:1', p) FROM points p ORDER BY 2 DESC, 1 LIMIT 3;
SET e2i_serve.batch_scan = on;

DROP OWNED BY regress_scan;
DROP ROLE regress_scan;
DROP SCHEMA scan CASCADE;
CALL regress.begin_anew();
