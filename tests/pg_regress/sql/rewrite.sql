-- Calls of a constant model are rewritten when a statement is planned: only the columns that the model needs reach it, in whatever
-- way the row is spelled. Answers and errors are those of the call as it was written.
\set VERBOSITY default
SET client_min_messages = warning;
SET timezone = 'UTC';
CALL regress.begin_anew();

-- One graph, its input patched to each type: y = 0.5a - 1.25b + 2c + 0.125d + 0.75; and a model that reads a text.
CREATE FUNCTION pg_temp.retyped(code int) RETURNS bytea LANGUAGE sql AS $$
    SELECT overlay(bytes PLACING set_byte(head, 10, code) FROM position(head IN bytes))
    FROM (SELECT regress.onnx('shape_int64_matrix') AS bytes, '\x5a140a0178120f0a0d0807'::bytea AS head) graph
$$;
SELECT e2i_register_model(name, pg_temp.retyped(code), feature_names => '{a,b,c,d}')
FROM (VALUES ('float32', 1), ('float64', 11), ('int32', 6), ('int64', 7), ('bool', 9)) AS v (name, code);
SELECT e2i_register_model('string', regress.onnx('notes_tfidf'), signature => '{"inputs": [{"name": "note", "type": "string"}]}');
SELECT e2i_register_model('whole', pg_temp.retyped(11), feature_names => '{a,b,c,d}',
    signature => '{"inputs": [{"name": "a", "type": "long"}, {"name": "b", "type": "double"}, {"name": "c", "type": "double"}, {"name": "d", "type": "double"}]}');
SELECT e2i_register_model('when', pg_temp.retyped(11), feature_names => '{a,b,c,d}',
    signature => '{"inputs": [{"name": "a", "type": "datetime"}, {"name": "b", "type": "double"}, {"name": "c", "type": "double"}, {"name": "d", "type": "double"}]}');
SELECT e2i_register_model('gaps', pg_temp.retyped(11), feature_names => '{a,b,c,d}',
    signature => '{"inputs": [{"name": "a", "type": "double"}, {"name": "b", "type": "double"}, {"name": "c", "type": "double", "required": false}, {"name": "d", "type": "double", "required": false}]}');

CREATE TABLE t (id int PRIMARY KEY, a float8, document text, b float8, c real, d int, note text);
INSERT INTO t SELECT i, i, 'a long text', i / 2.0, 0.1, i, 'good service' FROM generate_series(1, 3) i;

-- Every spelling of a row of a table. (Without the node that scores in batches: it reads the same columns.)
SET e2i_serve.batch_scan = off;
EXPLAIN (VERBOSE, COSTS OFF) SELECT e2i_predict('float64', t), e2i_predict('float64:1', t.*) FROM t;
EXPLAIN (VERBOSE, COSTS OFF) SELECT e2i_predict('float64', to_jsonb(t)), e2i_predict('float64', to_json(t)) FROM t;
EXPLAIN (VERBOSE, COSTS OFF) SELECT e2i_predict('float64', row_to_json(t)), e2i_predict('float64', row_to_json(t, true)), e2i_predict('float64', row_to_json(t)::jsonb) FROM t;
EXPLAIN (VERBOSE, COSTS OFF) SELECT e2i_predict('float64', jsonb_build_object('a', a + 1, 'b', b, 'c', c, 'd', d, 'x', document, 'y', 'z')),
    e2i_predict('float64', json_build_object('a', a, 'b', '1', 'c', 0, 'd', NULL)) FROM t;
EXPLAIN (VERBOSE, COSTS OFF) SELECT e2i_predict('float64', r), e2i_predict('float64', to_jsonb(r)) FROM (SELECT a, b, c, d, document, upper(note) AS note, 1 / d AS quotient FROM t) r;
EXPLAIN (VERBOSE, COSTS OFF) SELECT e2i_predict_label('string', t), e2i_predict_proba('string', to_jsonb(t)), e2i_predict_vector('float64', t) FROM t;
-- A condition, an order, an aggregate, a sub-select, a change.
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM t WHERE e2i_predict('float64', t) > 2 ORDER BY e2i_predict('float64', t) DESC LIMIT 2;
EXPLAIN (VERBOSE, COSTS OFF) SELECT avg(e2i_predict('float64', t)) FROM t GROUP BY e2i_predict('float64', t);
EXPLAIN (VERBOSE, COSTS OFF) SELECT (SELECT e2i_predict('float64', t)) FROM t;
EXPLAIN (VERBOSE, COSTS OFF) UPDATE t SET a = e2i_predict('float64', t) RETURNING e2i_predict('float64', t);
EXPLAIN (VERBOSE, COSTS OFF) SELECT e2i_predict('float64', s) FROM (SELECT * FROM t ORDER BY id LIMIT 1) s;
EXPLAIN (VERBOSE, COSTS OFF) WITH s AS MATERIALIZED (SELECT * FROM t) SELECT e2i_predict('float64', s) FROM s;

-- Where it stays as it was written: a required feature that is no column, whose message lists what was given; no FROM; a
-- model that is no constant; an array; a pinned version, whose index would not be found; a row that may be missing.
EXPLAIN (VERBOSE, COSTS OFF) SELECT e2i_predict('string', r) FROM (SELECT id, a FROM t) r;
EXPLAIN (VERBOSE, COSTS OFF) SELECT e2i_predict('float64', jsonb_build_object('a', 1, 'b', 2, 'c', 3, 'd', 4, 'e', 5));
EXPLAIN (VERBOSE, COSTS OFF) SELECT e2i_predict(note, t), e2i_predict('float64', ARRAY[a, b, c, d]), e2i_predict_pinned('float64:1', t) FROM t;
EXPLAIN (VERBOSE, COSTS OFF) SELECT e2i_predict('float64', u) FROM t LEFT JOIN t u ON u.id = t.id + 1;
EXPLAIN (VERBOSE, COSTS OFF) SELECT e2i_predict('float64', t) FROM t RIGHT JOIN t u ON u.id = t.id + 1;
EXPLAIN (VERBOSE, COSTS OFF) SELECT e2i_predict('float64', u) FROM t FULL JOIN t u ON u.id = t.id + 1;
EXPLAIN (VERBOSE, COSTS OFF) SELECT e2i_predict('float64', t) FROM t LEFT JOIN t u ON u.id = t.id + 1;
EXPLAIN (VERBOSE, COSTS OFF) SELECT e2i_predict('none', t) FROM t;
RESET e2i_serve.batch_scan;
SELECT t.id, e2i_predict('float64', u) IS NULL AS has_no_score FROM t LEFT JOIN t u ON u.id = t.id + 1 ORDER BY 1;
SELECT t.id, e2i_predict('gaps', to_jsonb(u)) IS NULL AS has_no_score FROM t LEFT JOIN t u ON u.id = t.id + 1 ORDER BY 1;

-- Grouped by a row, which is NULL in one of two sets.
SELECT count(*), e2i_predict('float64', t) FROM t GROUP BY GROUPING SETS ((t), ()) ORDER BY 2;
SELECT count(*), e2i_predict('float64', to_jsonb(t)) FROM t GROUP BY t ORDER BY 2;

-- What a spelling answers, or the whole of its error, rewritten and not; and what of three equal rows, which is a batch.
CREATE FUNCTION pg_temp.outcome(model text, features text, source text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer float8;
    detail text;
    hint text;
BEGIN
    EXECUTE format('SELECT e2i_predict(%L, %s) FROM %s', model, features, source) INTO answer;
    RETURN encode(float8send(answer), 'hex');
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(' | ', SQLSTATE, SQLERRM, detail, hint);
END $$;
CREATE FUNCTION pg_temp.in_batch(model text, features text, source text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer float8;
BEGIN
    EXECUTE format('SELECT max(y) FROM (SELECT e2i_predict(%L, %s) AS y FROM %s CROSS JOIN generate_series(1, 3) OFFSET 0) s', model, features, source) INTO answer;
    RETURN encode(float8send(answer), 'hex');
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END $$;
CREATE FUNCTION pg_temp.both(model text, features text, source text) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    written text;
BEGIN
    SET LOCAL e2i_serve.rewrite_calls = off;
    written := pg_temp.outcome(model, features, source);
    SET LOCAL e2i_serve.rewrite_calls = on;
    RETURN ARRAY[written, pg_temp.outcome(model, features, source)];
END $$;

CREATE TYPE pg_temp.color AS ENUM ('red', 'green');
CREATE DOMAIN pg_temp.percent AS numeric CHECK (VALUE BETWEEN 0 AND 100);
CREATE DOMAIN pg_temp.code AS varchar(8);
CREATE DOMAIN pg_temp.percents AS pg_temp.percent[] CHECK (cardinality(VALUE) < 3);
CREATE TYPE pg_temp.pair AS (x int, y text);
CREATE TYPE pg_temp.tag;
CREATE FUNCTION pg_temp.tag_in(cstring) RETURNS pg_temp.tag LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION pg_temp.tag_out(pg_temp.tag) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE TYPE pg_temp.tag (INPUT = pg_temp.tag_in, OUTPUT = pg_temp.tag_out, LIKE = text, CATEGORY = 'S');
-- A type that says what it is in JSON.
CREATE TYPE pg_temp.celsius AS (degrees float8);
CREATE FUNCTION pg_temp.as_json(pg_temp.celsius) RETURNS json LANGUAGE sql AS 'SELECT to_json($1.degrees)';
CREATE CAST (pg_temp.celsius AS json) WITH FUNCTION pg_temp.as_json(pg_temp.celsius);
CREATE TABLE value AS SELECT type, value FROM (VALUES
    ('boolean', '{true,false,NULL}'::text[]), ('smallint', '{0,1,-32768}'), ('integer', '{0,1,7,2147483647,16777217}'),
    ('bigint', '{0,1,2147483648,9007199254740992,-9007199254740993,9007199254740993,1234567890123456768,1234567890123456800,9223372036854775807,-9223372036854775808}'),
    ('real', '{0,-0,0.1,1,7,16777217,1e15,9007199254740992,9007199254740994,1.1754944e-38,7.038531e-26,-7.038531e-26,1e-45,3.4028235e38,NaN,Infinity,-Infinity}'),
    ('float8', '{0,-0,0.1,1,12.6,9007199254740992,9007199254740994,1e15,1e16,1e18,1234567890123456768,9.223372036854775807e18,1e22,1e23,5e-324,1e-50,1e39,1.7976931348623157e308,0.30000000000000004,NaN,Infinity,-Infinity}'),
    ('numeric', '{0,0.00,1.0,1,0.1,12.6,1e39,1e400,1e-400,9007199254740993,1234567890123456800,123456789012345678901234567890,0.1000000000000000055511151231257827,NaN,Infinity,-Infinity}'),
    ('text', ARRAY['good service', '', '12', 'NaN', 'Infinity', '-Infinity', 'true', '2024-01-31T12:00:00', 'Zürich "quoted" \\', E'tab\tline\n']),
    ('varchar(20)', '{good,NaN,12}'), ('char(8)', '{good,NaN,12}'), ('name', '{good}'), ('"char"', '{g}'),
    ('pg_temp.color', '{red}'), ('pg_temp.percent', '{99.5,1}'), ('pg_temp.code', '{good,NaN}'), ('pg_temp.tag', '{good,NaN}'),
    ('date', ARRAY['1970-01-01', '2026-01-22', '0044-03-15 BC', 'infinity']), ('timestamp', ARRAY['2026-01-22 14:30:00.25', 'infinity', '1970-01-01 00:00:01']),
    ('timestamptz', ARRAY['2026-01-22 14:30:00+01', '-infinity']), ('interval', '{1 day}'), ('time', '{12:00}'), ('bytea', '{good}'),
    ('uuid', '{5e2b9d5c-6a8e-4f0b-9d53-1f7c2c1d0a11}'), ('inet', '{::1}'), ('point', ARRAY['(0,0)']), ('integer[]', ARRAY['{1}', '{}']),
    ('jsonb', ARRAY['{"x": 1}', '1', '"good"', 'null', '[1]', 'true']), ('json', ARRAY['{"x": 1}', '1', '"NaN"', '0.1']), ('pg_temp.celsius', ARRAY['(1)', '(0.1)']),
    ('int4range', ARRAY['[1,3)', 'empty']), ('nummultirange', ARRAY['{[1,3),[5,7)}']), ('pg_temp.pair', ARRAY['(1,x)', '(,)']), ('money', '{1.50,0}'), ('bit(3)', '{101}'), ('varbit', '{1}'),
    ('oid', '{7}'), ('timetz', '{12:00+01}'), ('macaddr', '{08:00:2b:01:02:03}'), ('cidr', '{10.0.0.0/8}'), ('tsvector', '{good}'), ('regclass', '{pg_class}'),
    ('pg_temp.color[]', ARRAY['{red}']), ('pg_temp.percents', ARRAY['{1,2}']), ('float8[]', ARRAY['{1,NaN}', '{{1},{2}}', '{NULL}']), ('jsonpath', '{$.a}'), ('pg_lsn', '{0/1}')
) AS of_types (type, vals), unnest(vals) AS value;
-- A table with a column of each type, for each value; before it and behind it columns that no model knows.
CREATE FUNCTION pg_temp.compare(spellings text[], models text[]) RETURNS TABLE (spelling text, compared bigint, answers bigint, errors bigint, differing text[]) LANGUAGE plpgsql AS $$
DECLARE
    it record;
BEGIN
    CREATE TEMP TABLE compared (spelling text, what text, outcomes text[]);
    FOR it IN SELECT * FROM value LOOP
        EXECUTE format('CREATE TEMP TABLE one AS SELECT 1 AS before, %L::%s AS a, 0 AS b, 0::float8 AS c, 0::real AS d, %1$L::%2$s AS note, repeat(''x'', 10) AS behind', it.value, it.type);
        INSERT INTO compared SELECT s, format('%s %s %s', m, it.type, it.value), array_remove(b || nullif(pg_temp.in_batch(m, s, 'one'), b[1]), NULL)
            FROM unnest(spellings) s, unnest(models) m, pg_temp.both(m, s, 'one') b;
        DROP TABLE one;
    END LOOP;
    RETURN QUERY SELECT c.spelling, count(*), count(*) FILTER (WHERE length(outcomes[1]) = 16), count(*) FILTER (WHERE length(outcomes[1]) <> 16),
        array_agg(format('%s: %s, rewritten %s, in a batch %s', what, outcomes[1], outcomes[2], outcomes[3])) FILTER (WHERE outcomes[1] <> outcomes[2] OR cardinality(outcomes) > 2)
    FROM compared c GROUP BY c.spelling ORDER BY c.spelling;
    DROP TABLE compared;
END $$;
\set spellings '{one,to_jsonb(one),row_to_json(one),to_json(one)::jsonb,"jsonb_build_object(''a'', a, ''b'', b, ''c'', c, ''d'', d, ''note'', note, ''a'', a)","json_build_object(''note'', note, ''a'', a, ''b'', b, ''c'', c, ''d'', d)"}'
SELECT * FROM pg_temp.compare(:'spellings', '{float32,float64,int32,int64,bool,string,whole,when,gaps}');
-- Floats that are written with fewer digits, and another time zone, change JSON and so the answer.
SET extra_float_digits = 0;
SET timezone = 'Asia/Kolkata';
SELECT * FROM pg_temp.compare('{to_jsonb(one)}', '{float32,float64,string,when}');
SELECT pg_temp.both('float64', 'to_jsonb(r)', '(SELECT 0.1::float8 + 0.2 AS a, 0 AS b, 0 AS c, 0 AS d) r');
RESET extra_float_digits;
SET timezone = 'UTC';

-- A row has several errors: the first is that of the first feature, in JSON that of the first key.
CREATE TABLE wrong AS SELECT 'x'::text AS b, true AS c, 0.5 AS a, NULL::int AS d;
SELECT pg_temp.both('int64', spelling, source) FROM unnest('{r,to_jsonb(r)}'::text[]) spelling,
    unnest(ARRAY['wrong r', '(SELECT a, b, c, 1 AS d FROM wrong) r', '(SELECT c AS a, b, a AS c, 1 AS d FROM wrong) r']) source;
SELECT e2i_register_model('words', pg_temp.retyped(7), feature_names => '{long,b,c,a}');
SELECT pg_temp.both('words', spelling, '(SELECT 0.1 AS long, 0.2 AS c, 0.3 AS a, 0.4 AS b FROM wrong) r') FROM unnest('{r,to_jsonb(r)}'::text[]) spelling;
-- Expressions that the model does not need may fail, and do.
SELECT pg_temp.both('float64', spelling, '(SELECT a, b, c, d, 1 / (d - 1) AS x FROM t) r') FROM unnest('{r,to_jsonb(r)}'::text[]) spelling;
-- Columns of one name: the last counts. A row whose columns were dropped and added, a view, a type of its own.
ALTER TABLE t DROP COLUMN note, ADD COLUMN note text DEFAULT 'poor', ADD COLUMN e float8 DEFAULT 7;
CREATE VIEW seen AS SELECT a, b, c, d, note FROM t WHERE id = 2;
CREATE TYPE quadruple AS (d float8, c float8, b float8, a float8);
SELECT spelling, source, pg_temp.both(model, spelling, source) FROM (VALUES ('float64', 'r', '(SELECT a, b, 9 AS c, c, d FROM t) r'), ('float64', 'to_jsonb(r)', '(SELECT a, b, 9 AS c, c, d FROM t) r'),
    ('float64', 't', 't'), ('string', 'to_jsonb(t)', 't'), ('float64', 'seen', 'seen'), ('float64', 'to_jsonb(seen)', 'seen'), ('float64', 'ROW(a, b, c, d)::quadruple', 't'),
    ('float64', 'to_jsonb(ROW(a, b, c, d)::quadruple)', 't'), ('float64', 'ROW(a, b, c, d)', 't'), ('gaps', 'jsonb_build_object(''a'', a, ''b'', b)', 't'),
    ('gaps', 'jsonb_build_object(''x'', a)', 't'), ('float64', 'jsonb_build_object(''a'')', 't'), ('float64', 'jsonb_build_object(NULL, a)', 't')) AS v (model, spelling, source);

-- What is not needed is not read: no value is fetched from where long ones are kept, and none is carried through a sort.
CREATE TABLE long (a float8, b float8, c float8, d float8, document text);
ALTER TABLE long ALTER document SET STORAGE EXTERNAL;
INSERT INTO long SELECT i, i, i, i, repeat('x', 100000) FROM generate_series(1, 50) i;
CREATE FUNCTION pg_temp.blocks(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    FOR i IN 1..2 LOOP
        EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, FORMAT json) ' || query INTO plan;
    END LOOP;
    RETURN (plan -> 0 -> 'Plan' ->> 'Shared Hit Blocks')::bigint + (plan -> 0 -> 'Plan' ->> 'Shared Read Blocks')::bigint;
END $$;
SELECT pg_temp.blocks($$SELECT e2i_predict('float64', long) FROM long ORDER BY 1$$) < 10 AS row, pg_temp.blocks($$SELECT e2i_predict('float64', to_jsonb(long)) FROM long$$) < 10 AS json;
SET e2i_serve.rewrite_calls = off;
SELECT pg_temp.blocks($$SELECT e2i_predict('float64', long) FROM long ORDER BY 1$$) > 500 AS row, pg_temp.blocks($$SELECT e2i_predict('float64', to_jsonb(long)) FROM long$$) > 500 AS json;
RESET e2i_serve.rewrite_calls;

-- How many rows pass is known where statistics are kept of the scores: of one spelling of an object, for all of them and the row, but not for
-- another name of the version.
CREATE TABLE many AS SELECT i AS a, 0 AS b, 0 AS c, 0 AS d, 'x' AS document FROM generate_series(1, 10000) i;
CREATE FUNCTION pg_temp.expected(condition text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT json) SELECT FROM many WHERE ' || condition INTO plan;
    RETURN round((plan -> 0 -> 'Plan' ->> 'Plan Rows')::numeric, -2);
END $$;
CREATE STATISTICS scores ON (e2i_predict('float64', jsonb_build_object('a', a, 'b', b, 'c', c, 'd', d))) FROM many;
ANALYZE many;
SELECT condition, pg_temp.expected(condition)
FROM unnest(ARRAY[$$e2i_predict('float64', many) > 4000$$, $$e2i_predict('float64', to_jsonb(many)) > 4000$$, $$e2i_predict('float64', jsonb_build_object('d', d, 'c', c, 'b', b, 'a', a)) >= 4000$$,
    $$4000 < e2i_predict('float64:1', row_to_json(many))$$, $$e2i_predict('float64', row_to_json(many)) BETWEEN 4000 AND 5001$$]) AS condition;
SET e2i_serve.rewrite_calls = off;
SELECT pg_temp.expected($$e2i_predict('float64', jsonb_build_object('a', a, 'b', b, 'c', c, 'd', d)) > 4000$$) AS as_it_was_written;
RESET e2i_serve.rewrite_calls;

-- What a model costs is known from when it was registered, and a cheap one is asked first; nothing is loaded for that.
SELECT e2i_register_model('trees', regress.onnx('breast_xgboost')), e2i_register_model('line', regress.onnx('breast_logistic'));
SELECT (SELECT cost FROM ml_model_registry WHERE model_name = 'trees') > (SELECT cost FROM ml_model_registry WHERE model_name = 'line') AS trees_cost_more;
CREATE TABLE vectors (v float8[]);
SELECT e2i_clear_session_cache() > 0 AS cleared;
SET e2i_serve.batch_scan = off;
EXPLAIN (COSTS OFF) SELECT FROM vectors WHERE e2i_predict('trees', v) > 0 AND e2i_predict('line', v) > 0;
UPDATE ml_model_registry SET cost = NULL;
EXPLAIN (COSTS OFF) SELECT FROM vectors WHERE e2i_predict('trees', v) > 0 AND e2i_predict('line', v) > 0;
RESET e2i_serve.batch_scan;
SELECT count(*) AS loaded FROM e2i_session_cache;

-- A plan that is kept follows a deployment, also one whose version needs other columns; a split of traffic and a shadow need theirs, too.
SET e2i_serve.batch_scan = off;
SET plan_cache_mode = force_generic_plan;
PREPARE p AS SELECT e2i_predict('float64', t) FROM t WHERE id = 2;
EXPLAIN (VERBOSE, COSTS OFF) EXECUTE p;
EXECUTE p;
SELECT e2i_register_model('float64', pg_temp.retyped(11), feature_names => '{a,b,c,e}', deploy => true);
EXPLAIN (VERBOSE, COSTS OFF) EXECUTE p;
EXECUTE p;
SELECT e2i_set_traffic('float64', '{"float64:1": 0.5, "float64:2": 0.5}');
EXPLAIN (VERBOSE, COSTS OFF) EXECUTE p;
SELECT e2i_set_traffic('float64', NULL);
SELECT e2i_set_shadow('float64', 'float64:1', 1);
EXPLAIN (VERBOSE, COSTS OFF) EXECUTE p;
SELECT e2i_set_shadow('float64', NULL);
BEGIN;
SELECT e2i_rollback('float64') IS NOT NULL AS is_back;
EXECUTE p;
ROLLBACK;
EXECUTE p;

-- Who may not see a version learns nothing of it from a plan, not of a plan either that another role has made in the session, and is
-- refused when it is run. Rows of the registry that are filtered are not looked at while planning.
CREATE ROLE regress_rewrite_none;
CREATE ROLE regress_rewrite_some;
GRANT SELECT ON t TO PUBLIC;
SELECT e2i_grant_usage('regress_rewrite_some', 'scorer');
SET ROLE regress_rewrite_none;
EXPLAIN (VERBOSE, COSTS OFF) EXECUTE p;
EXECUTE p;
RESET ROLE;
SET ROLE regress_rewrite_some;
EXPLAIN (VERBOSE, COSTS OFF) EXECUTE p;
EXECUTE p;
RESET ROLE;
ALTER TABLE ml_model_registry ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON ml_model_registry FOR SELECT TO regress_rewrite_some USING (model_name = 'float64');
SET ROLE regress_rewrite_some;
EXPLAIN (VERBOSE, COSTS OFF) EXECUTE p;
EXECUTE p;
RESET ROLE;
DROP POLICY mine ON ml_model_registry;
ALTER TABLE ml_model_registry DISABLE ROW LEVEL SECURITY;
-- Who may call the one must be able to call the other; what is taken away counts from the next statement on.
BEGIN;
REVOKE EXECUTE ON FUNCTION e2i_predict_planned FROM PUBLIC;
SET ROLE regress_rewrite_some;
EXPLAIN (VERBOSE, COSTS OFF) EXECUTE p;
EXECUTE p;
ROLLBACK;
SET ROLE regress_rewrite_some;
EXECUTE p;
RESET ROLE;
BEGIN;
REVOKE EXECUTE ON FUNCTION e2i_predict(text, record) FROM PUBLIC;
SET ROLE regress_rewrite_some;
EXECUTE p;
ROLLBACK;
DEALLOCATE p;
RESET plan_cache_mode;
RESET e2i_serve.batch_scan;

DROP TABLE t, long, value, wrong, many, vectors CASCADE;
DROP TYPE quadruple;
DROP OWNED BY regress_rewrite_some;
DROP ROLE regress_rewrite_none, regress_rewrite_some;
SELECT count(e2i_drop_model(model_name || ':' || model_version, force => true)) > 0 AS dropped FROM ml_model_registry;
