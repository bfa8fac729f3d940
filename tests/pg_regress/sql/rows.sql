-- Rows as features: tables, views, sub-queries, record variables; rows whose type changes under a session; values that
-- are stored compressed or outside the row; the model argument differing from row to row.
\set VERBOSITY default
SET client_min_messages = warning;
CALL regress.begin_anew();

-- y = 0.5a - 1.25b + 2c + 0.125d + 0.75
SELECT e2i_register_model('linear', regress.onnx('shape_regression_flat'), feature_names => '{a,b,c,d}');
CREATE TEMP TABLE visits (id int PRIMARY KEY, d float8, c numeric, b real, a int, score float8);
INSERT INTO visits VALUES (1, 4, 3, 2, 1), (2, 0.1, 0.2, 0.3, 4), (3, -8, 1e-3, 0, 0);

-- The row itself, under whatever name the statement gives it; in WHERE, ORDER BY, aggregates, UPDATE and RETURNING.
SELECT id, e2i_predict('linear', v) FROM visits v WHERE e2i_predict('linear', v) > 0 ORDER BY e2i_predict('linear', v) DESC;
SELECT round(avg(e2i_predict('linear', visits))::numeric, 4) FROM visits;
UPDATE visits v SET score = e2i_predict('linear', v) WHERE id < 3 RETURNING id, round(score::numeric, 4);
UPDATE visits v SET score = e2i_predict('linear', to_jsonb(v)) WHERE id = 3 RETURNING id, round(score::numeric, 4);
-- Bit for bit the same through row, array, jsonb and text.
SELECT count(*) AS rows, count(*) FILTER (WHERE r = a AND r = j AND r = t) AS same FROM (
    SELECT e2i_predict('linear', v) r, e2i_predict('linear', ARRAY[a, b, c, d]::float8[]) a, e2i_predict('linear', to_jsonb(v)) j, e2i_predict('linear', to_jsonb(v)::text) t
    FROM (SELECT id, sin(id) AS a, cos(id)::float4 AS b, (id / 7.0)::numeric AS c, id * 1e6 AS d FROM generate_series(1, 1000) AS id) v) q;
-- Sub-queries, VALUES, joins with names given, views, record variables, composite parameters, the rows of a function.
SELECT e2i_predict('linear', t) FROM (SELECT a, b, c, d FROM visits WHERE id = 1) t;
SELECT e2i_predict('linear', t) FROM (VALUES (1, 2, 3, 4)) AS t (a, b, c, d);
SELECT e2i_predict('linear', (SELECT t FROM (SELECT v.a, v.b, w.c, w.d FROM visits v JOIN visits w USING (id) WHERE id = 1) t));
CREATE TEMP VIEW renamed AS SELECT a, b, c, d AS other, d + 1 AS d FROM visits;
SELECT round(e2i_predict('linear', r)::numeric, 4) FROM renamed r ORDER BY 1;
DROP VIEW renamed;
CREATE TYPE pg_temp.visit AS (a int, b int, c int, d int);
SELECT e2i_predict('linear', ROW(1, 2, 3, 4)::pg_temp.visit), e2i_predict('linear', jsonb_populate_record(NULL::pg_temp.visit, '{"a": 1, "b": 2, "c": 3, "d": 4}'));
CREATE DOMAIN pg_temp.checked_visit AS pg_temp.visit CHECK ((VALUE).a > 0);
SELECT e2i_predict('linear', ROW(1, 2, 3, 4)::pg_temp.checked_visit);
DO $$
DECLARE
    untyped record;
    typed visits;
BEGIN
    FOR untyped IN SELECT * FROM visits ORDER BY id LOOP
        RAISE INFO 'record variable: %', round(e2i_predict('linear', untyped)::numeric, 4);
    END LOOP;
    SELECT 1 AS d, 2 AS c, 3 AS b, 4 AS a INTO untyped;
    RAISE INFO 'the same variable, another type: %', e2i_predict('linear', untyped);
    SELECT * FROM visits WHERE id = 1 INTO typed;
    RAISE INFO 'typed variable: %', e2i_predict('linear', typed);
END $$;
-- Rows of different types in one call site: every type is looked up, none mistaken for another.
CREATE FUNCTION pg_temp.sample(kind int) RETURNS record LANGUAGE plpgsql AS $$
DECLARE
    one record;
BEGIN
    IF kind % 2 = 0 THEN SELECT 1 AS a, 2 AS b, 3 AS c, 4 AS d INTO one; ELSE SELECT 4.0 AS d, 3::int8 AS c, 2::real AS b, true AS a INTO one; END IF;
    RETURN one;
END $$;
SELECT DISTINCT e2i_predict('linear', pg_temp.sample(kind)) FROM generate_series(1, 100) AS kind;
SELECT e2i_predict('linear', pg_temp.sample(1)) = e2i_predict('linear', v) AS same FROM visits v WHERE id = 1;
-- A row of an outer join that is not there has no score; a row of NULLs is a row, and its NULLs are missing values.
SELECT n, e2i_predict('linear', v) FROM generate_series(3, 4) AS n LEFT JOIN visits v ON v.id = n;
SELECT e2i_predict('linear', t) FROM (SELECT NULL::int AS a, NULL::int AS b, NULL::int AS c, NULL::int AS d) t;
-- Partitions and children come in their parent's type.
CREATE TEMP TABLE parted (a int, b int, c int, d int) PARTITION BY RANGE (a);
CREATE TEMP TABLE low (d int, c int, b int, dropped int, a int);
ALTER TABLE low DROP COLUMN dropped;
ALTER TABLE parted ATTACH PARTITION low FOR VALUES FROM (0) TO (10);
CREATE TEMP TABLE high PARTITION OF parted FOR VALUES FROM (10) TO (20);
INSERT INTO parted VALUES (1, 2, 3, 4), (11, 2, 3, 4);
SELECT tableoid::regclass, e2i_predict('linear', p), e2i_predict('linear', to_jsonb(p)) FROM parted p ORDER BY a;

-- The type of a row may change: between statements, in one session, in the middle of a function.
ALTER TABLE visits ADD COLUMN late text DEFAULT 'x', ALTER COLUMN b TYPE numeric USING b::int;
SELECT id, round(e2i_predict('linear', v)::numeric, 4) FROM visits v ORDER BY id;
ALTER TABLE visits RENAME COLUMN a TO aa;
SELECT e2i_predict('linear', v) FROM visits v;
ALTER TABLE visits DROP COLUMN late, DROP COLUMN score;
ALTER TABLE visits ADD COLUMN a bigint DEFAULT 100;
SELECT id, round(e2i_predict('linear', v)::numeric, 4) FROM visits v ORDER BY id;
CREATE FUNCTION pg_temp.total() RETURNS numeric LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT round(sum(e2i_predict('linear', v))::numeric, 4) FROM visits v);
END $$;
DO $$
BEGIN
    RAISE INFO 'with a = 100: %', pg_temp.total();
    ALTER TABLE visits DROP COLUMN a;
    ALTER TABLE visits RENAME COLUMN aa TO a;
    RAISE INFO 'with the first a: %', pg_temp.total();
    ALTER TABLE visits RENAME COLUMN a TO swap;
    ALTER TABLE visits RENAME COLUMN d TO a;
    ALTER TABLE visits RENAME COLUMN swap TO d;
    RAISE INFO 'with a and d exchanged: %', pg_temp.total();
    ALTER TABLE visits DROP COLUMN a;
    RAISE INFO 'without a: %', pg_temp.total();
EXCEPTION WHEN null_value_not_allowed THEN
    RAISE INFO 'without a: %', SQLERRM;
END $$;
-- All of it was undone.
SELECT pg_temp.total();
PREPARE score AS SELECT id, round(e2i_predict('linear', v)::numeric, 4) FROM visits v WHERE id = 1;
EXECUTE score;
ALTER TABLE visits ALTER COLUMN a TYPE text;
EXECUTE score;
ALTER TABLE visits ALTER COLUMN a DROP DEFAULT, ALTER COLUMN a TYPE boolean USING a = '100';
EXECUTE score;

-- Large values, compressed or outside the row: jsonb with extra keys, arrays, text columns.
SELECT e2i_register_model('notes', regress.onnx('notes_tfidf')), e2i_register_model('digits', regress.onnx('digits_mlp'));
CREATE TEMP TABLE large (id int, storage text, note text, object jsonb, pixels float8[], numbers numeric[]) WITH (toast_tuple_target = 128);
CREATE TEMP TABLE outside (LIKE large) WITH (toast_tuple_target = 128);
ALTER TABLE outside ALTER note SET STORAGE EXTERNAL, ALTER object SET STORAGE EXTERNAL, ALTER pixels SET STORAGE EXTERNAL, ALTER numbers SET STORAGE EXTERNAL;
INSERT INTO large
SELECT id, 'compressed', repeat('asked for more samples, ', 400 * id), jsonb_build_object('a', id, 'b', 2, 'c', 3, 'd', 4, 'zzz', repeat('x', 100000 * id)) || (SELECT jsonb_object_agg('extra ' || n, n) FROM generate_series(1, 300) AS n),
       (SELECT array_agg((n * id) % 17 + 0.1) FROM generate_series(1, 64) AS n), (SELECT array_agg((n * id) % 17 + 0.1) FROM generate_series(1, 64) AS n)
FROM generate_series(1, 3) AS id;
INSERT INTO outside SELECT id, 'outside', note || '', object || '{}', pixels || '{}', numbers || '{}' FROM large;
SELECT storage, bool_and(pg_column_size(note) < octet_length(note)) AS note, bool_and(pg_column_size(object) < octet_length(object::text)) AS object,
       bool_and(pg_column_size(pixels) < 64 * 8) AS pixels
FROM (SELECT * FROM large UNION ALL SELECT * FROM outside) l GROUP BY storage ORDER BY storage;
SELECT storage, e2i_predict('notes', l) = e2i_predict('notes', jsonb_build_object('note', note || '')) AS note, e2i_predict('linear', object) = 0.5 * id + 4.75 AS object,
       e2i_predict_proba('digits', pixels) = e2i_predict_proba('digits', to_jsonb(numbers)) AS arrays
FROM (SELECT * FROM large UNION ALL SELECT * FROM outside) l ORDER BY storage, id;
SELECT id, e2i_predict('notes', l) = e2i_predict('notes', o) AS note, e2i_predict('linear', l.object) = e2i_predict('linear', o.object) AS object,
       e2i_predict_proba('digits', l.pixels) = e2i_predict_proba('digits', o.numbers) AS arrays
FROM large l JOIN outside o USING (id) ORDER BY id;

-- The model may differ from row to row; each resolves to itself.
SELECT count(e2i_register_model('m' || n, regress.onnx('shape_regression_flat'), feature_names => CASE WHEN n % 2 = 0 THEN '{a,b,c,d}' ELSE '{d,c,b,a}' END::text[])) AS models FROM generate_series(1, 100) AS n;
SELECT e2i_predict('m' || 1 + n % 100, '{"a": 1, "b": 2, "c": 3, "d": 4}') AS score, count(*) FROM generate_series(0, 999) AS n GROUP BY 1 ORDER BY 1;
SELECT e2i_predict('m' || 1 + n % 100, t) AS score, count(*) FROM generate_series(0, 999) AS n, (SELECT 1 AS a, 2 AS b, 3 AS c, 4 AS d) t GROUP BY 1 ORDER BY 1;
SELECT regress.raised($$SELECT e2i_predict('m' || n, '[1, 2, 3, 4]') FROM generate_series(99, 101) AS n$$);

SELECT count(e2i_drop_model(model_name || ':' || model_version, force => true)) > 0 AS dropped FROM ml_model_registry;
