-- Random statements, each with batches and without: the same rows and the same errors. Shown are those where it is not so.
\set VERBOSITY terse
\set queries `echo "${E2I_QUERIES:-200}"`
\set seed `echo "${E2I_SEED:-0.5}"`
SET client_min_messages = warning;
CALL regress.begin_anew();
CREATE SCHEMA scan;
SET search_path = scan, public;
SELECT e2i_register_model('linear', regress.onnx('shape_regression_flat'), feature_names => '{a,b,c,d}');
SELECT e2i_register_model('linear', regress.onnx('shape_regression_flat'), feature_names => '{d,c,b,a}');
SELECT e2i_register_model('trees', regress.onnx('diabetes_boosting'));
CREATE TABLE points (gone int, id int PRIMARY KEY, a int, b float4, c float8, d numeric, region text, twice int GENERATED ALWAYS AS (2 * a) STORED, note text);
ALTER TABLE points DROP COLUMN gone;
INSERT INTO points (id, a, b, c, d, region, note)
    SELECT i, i % 17, i % 5, i % 3, i, 'r' || i % 4, CASE i % 7 WHEN 0 THEN NULL WHEN 1 THEN repeat(md5(i::text), 200) ELSE repeat('x', i % 40) END
    FROM generate_series(1, 240) i;
CREATE INDEX ON points (region);
CREATE TABLE wide AS SELECT i AS id, i % 17 AS a, (i % 5)::float4 AS b, (i % 3)::float8 AS c, (i % 9)::int2 AS d, 'r' || i % 4 AS region, i AS twice, 'n' AS note
    FROM generate_series(1, 240) i;
-- Rows that cannot be scored.
CREATE TABLE broken AS SELECT id, CASE WHEN id % 60 = 50 THEN NULL ELSE a END AS a, b, c, d, region, twice, note FROM wide;
CREATE TABLE parts (LIKE wide) PARTITION BY LIST (region);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN ('r0', 'r1');
CREATE TABLE parts_2 (gone int, note text, d int2, c float8, b float4, a int, region text, twice int, id int);
ALTER TABLE parts_2 DROP COLUMN gone;
ALTER TABLE parts ATTACH PARTITION parts_2 DEFAULT;
INSERT INTO parts SELECT * FROM wide;
CREATE TABLE nothing (LIKE wide);
ANALYZE;

CREATE FUNCTION one_of(VARIADIC choices text[]) RETURNS text LANGUAGE sql VOLATILE AS 'SELECT choices[1 + floor(random() * cardinality(choices))::int]';
CREATE FUNCTION number(most int) RETURNS text LANGUAGE sql VOLATILE AS 'SELECT floor(random() * most)::int::text';
CREATE FUNCTION features(s text) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT replace(one_of('@', '@', '@', 'ARRAY[@.a, @.b, @.c, @.d]', 'ARRAY[@.a, @.b, @.c, @.twice]', 'to_jsonb(@)', 'jsonb_build_object(''a'', @.a, ''b'', @.b, ''c'', @.c, ''d'', @.id)',
        'to_jsonb(@)::text', 'row_to_json(@)', 'ARRAY[1, 2, 3, 100 / (@.id - 77)]'), '@', s) $$;
CREATE FUNCTION call(s text) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT format('e2i_predict(%L, %s)', one_of('linear', 'linear', 'linear', 'linear:1', 'linear:1', 'linear:2', CASE WHEN random() < 0.1 THEN 'absent' ELSE 'linear' END), features(s)) $$;
CREATE FUNCTION condition(s text) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT replace(one_of('@.a > ' || number(17), '@.id < ' || number(240), '@.region = ''r1''', '@.note LIKE ''xx%''', '@.note IS NULL', '10 / (@.id - ' || number(240) || ') < 3',
        '@.region IN (''r0'', ''r3'')', '@.id % 3 = 0', '@.a IS NOT NULL', '@.c = (SELECT max(c) FROM wide)', '@.id = ' || number(240), 'lower(@.region) <> ''r2'''), '@', s) $$;
CREATE FUNCTION filter(s text) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT one_of('true', condition(s), condition(s), call(s) || ' > ' || number(60), condition(s) || ' AND ' || call(s) || ' > ' || number(60),
        call(s) || ' > ' || number(60) || ' AND ' || condition(s), call(s) || ' > ' || number(60) || ' OR ' || condition(s), call(s) || ' < ' || call(s)) $$;
CREATE FUNCTION item(s text) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT one_of(call(s), call(s), call(s), format('CASE WHEN %s THEN %s END', condition(s), call(s)), format('CASE WHEN %s THEN %s ELSE %s END', condition(s), call(s), call(s)),
        format('coalesce(%s.a, %s)', s, call(s)), format('round(%s) + %s.id', call(s), s), replace(call(s), 'e2i_predict', 'e2i_predict_vector'),
        format('100 / (%s.id - %s)', s, number(300)), s || '.note', s || '.region', format('(SELECT max(%s) FROM wide q WHERE q.id < %s.a)', call('q'), s),
        format('EXISTS (SELECT FROM broken q WHERE q.id > %s.id AND %s)', s, filter('q'))) $$;
CREATE FUNCTION aggregate(s text) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT one_of(format('sum(%s)', call(s)), format('avg(%s)', call(s)), format('count(*) FILTER (WHERE %s)', filter(s)), format('max(%s) FILTER (WHERE %s)', call(s), condition(s)),
        format('count(DISTINCT %s)', call(s)), format('array_agg(%s ORDER BY %s.id)', call(s), s), format('sum(%s.d)', s), format('sum(100 / (%s.id - %s))', s, number(400))) $$;
CREATE FUNCTION source() RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT one_of('points s', 'points s', 'wide s', 'wide s', 'wide s', 'parts s', 'broken s', 'broken s', 'nothing s', '(SELECT * FROM wide OFFSET 3) s', '(SELECT * FROM wide ORDER BY id DESC LIMIT 90) s',
        '(SELECT p.id, p.a, q.b, p.c, q.d, p.region, q.twice, p.note FROM wide p JOIN points q ON q.id = p.id + 1) s',
        '(SELECT p.id, p.a, q.b, p.c, q.d, p.region, q.twice, q.note FROM wide p LEFT JOIN broken q ON q.id = p.a) s',
        'points p JOIN wide s USING (id)', 'generate_series(1, 300) p (n) LEFT JOIN broken s ON s.id = p.n', '(TABLE wide UNION ALL TABLE parts) s',
        format('(SELECT *, %s AS y FROM wide q) s', call('q'))) $$;
CREATE FUNCTION statement() RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    source text := source(); filter text := filter('s'); tail text := '';
BEGIN
    IF random() < 0.3 THEN
        tail := one_of('', '', ' LIMIT ' || number(60), format(' LIMIT %s OFFSET %s', number(30), number(100)));
    END IF;
    CASE number(8)::int
    WHEN 0, 1 THEN RETURN format('SELECT s.id, %s, %s FROM %s WHERE %s%s', item('s'), item('s'), source, filter, tail);
    WHEN 2 THEN RETURN format('SELECT s.id, %s FROM %s WHERE %s ORDER BY s.id%s', item('s'), source, filter, tail);
    WHEN 3 THEN RETURN format('SELECT s.id FROM %s WHERE %s ORDER BY %s, s.id%s', source, filter, call('s'), tail);
    WHEN 4 THEN RETURN format('SELECT %s, %s FROM %s WHERE %s', aggregate('s'), aggregate('s'), source, filter);
    WHEN 5 THEN RETURN format('SELECT s.region, %s, %s FROM %s WHERE %s GROUP BY %s ORDER BY 1%s', aggregate('s'), aggregate('s'), source, filter,
        one_of('s.region', 's.region', 's.region HAVING ' || aggregate('s') || ' IS NOT NULL', 'ROLLUP (s.region)'), tail);
    WHEN 6 THEN RETURN format('SELECT DISTINCT s.region, %s FROM %s WHERE %s ORDER BY 1, 2', call('s'), source, filter);
    ELSE RETURN format('WITH s AS MATERIALIZED (SELECT s.*, %s AS x FROM %s WHERE %s) SELECT s.id, s.x, %s, row_number() OVER (ORDER BY s.x, s.id) FROM s WHERE %s ORDER BY s.id%s', item('s'), source, filter,
        item('s'), condition('s'), tail);
    END CASE;
END $$;
CREATE FUNCTION outcome(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    row record; rows text := '';
BEGIN
    FOR row IN EXECUTE statement LOOP
        rows := rows || md5(row::text) || E'\n';
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
EXCEPTION WHEN OTHERS THEN
    RETURN false;
END $$;
CREATE TABLE settings (name text, other text);
INSERT INTO settings VALUES ('enable_hashjoin', 'off'), ('enable_nestloop', 'off'), ('enable_mergejoin', 'off'), ('enable_seqscan', 'off'), ('enable_hashagg', 'off'), ('enable_sort', 'off'),
    ('enable_material', 'off'), ('enable_bitmapscan', 'off'), ('work_mem', '64kB'), ('e2i_serve.batch_size', '7'), ('jit_above_cost', '0');
CREATE TABLE outcomes (number int, statement text, planned text, is_batched boolean, alone text, together text);
CREATE PROCEDURE ask(queries int, seed float8) LANGUAGE plpgsql AS $$
DECLARE
    statement text; changed settings[]; alone text; together text; batched boolean;
BEGIN
    PERFORM setseed(seed);
    FOR number IN 1..queries LOOP
        statement := statement();
        changed := ARRAY(SELECT s FROM settings s WHERE random() < 0.2);
        PERFORM set_config(c.name, c.other, true) FROM unnest(changed) c;
        batched := is_batched(statement);
        together := outcome(statement);
        SET LOCAL e2i_serve.batch_scan = off;
        alone := outcome(statement);
        SET LOCAL e2i_serve.batch_scan = on;
        INSERT INTO outcomes VALUES (number, statement, ARRAY(SELECT name FROM unnest(changed))::text, batched, alone, together);
        -- The next one begins with the settings as they are; its random numbers go on.
        PERFORM set_config(c.name, s.reset_val, true) FROM unnest(changed) c JOIN pg_settings s USING (name);
    END LOOP;
END $$;
CALL ask(:queries, :seed);
SELECT statement, planned, is_batched, alone, together FROM outcomes WHERE alone IS DISTINCT FROM together;
SELECT count(*) = :queries AS all, count(*) FILTER (WHERE is_batched) > 0.4 * :queries AS batched, count(*) FILTER (WHERE alone ~ '[0-9A-Z]{5} [^\n]*$') BETWEEN 0.1 * :queries AND 0.6 * :queries AS failed
FROM outcomes;
DROP SCHEMA scan CASCADE;
CALL regress.begin_anew();
