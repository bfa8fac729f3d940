-- One value on its way into a tensor: every kind of column, and its JSON, into every type of tensor. A value keeps its
-- meaning or is refused: fractions round as numpy rounds them, whole numbers are never rounded, text is no number and a
-- number is no text.
\set VERBOSITY default
SET client_min_messages = warning;
SET timezone = 'UTC';

-- One graph, its input patched to each type: y = 0.5a - 1.25b + 2c + 0.125d + 0.75; and a model that reads a text.
CREATE FUNCTION pg_temp.retyped(code int) RETURNS bytea LANGUAGE sql AS $$
    SELECT overlay(bytes PLACING set_byte(head, 10, code) FROM position(head IN bytes))
    FROM (SELECT regress.onnx('shape_int64_matrix') AS bytes, '\x5a140a0178120f0a0d0807'::bytea AS head) graph
$$;
SELECT e2i_register_model(name, pg_temp.retyped(code), feature_names => '{a,b,c,d}')
FROM (VALUES ('float32', 1), ('float64', 11), ('int32', 6), ('int64', 7), ('bool', 9)) AS v (name, code);
SELECT e2i_register_model('string', regress.onnx('notes_tfidf'), signature => '{"inputs": [{"name": "note", "type": "string"}]}');

CREATE TYPE pg_temp.color AS ENUM ('red', 'green');
CREATE DOMAIN pg_temp.percent AS numeric CHECK (VALUE BETWEEN 0 AND 100);
CREATE DOMAIN pg_temp.code AS varchar(8);
-- Of the string category and stored as text, as citext is.
CREATE TYPE pg_temp.tag;
CREATE FUNCTION pg_temp.tag_in(cstring) RETURNS pg_temp.tag LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION pg_temp.tag_out(pg_temp.tag) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE TYPE pg_temp.tag (INPUT = pg_temp.tag_in, OUTPUT = pg_temp.tag_out, LIKE = text, CATEGORY = 'S');

-- What a value is to a model: as the dry run shows it, or the SQLSTATE that scoring raises.
CREATE FUNCTION pg_temp.seen(model text, expression text, spelled text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    sample text := format('(SELECT %s FROM (SELECT %s AS a, 0 AS b, 0 AS c, 0 AS d, %2$s AS note) t)', spelled, expression);
    raised text := regress.raised(format('SELECT e2i_predict(%L, %s)', model, sample));
    checked record;
BEGIN
    EXECUTE format('SELECT value, problem FROM e2i_check_features(%L, %s) WHERE feature IN (''a'', ''note'')', model, sample) INTO checked;
    IF (raised = 'no error') <> (checked.problem IS NULL) OR right(raised, length(checked.problem)) <> checked.problem THEN
        RETURN format('e2i_predict says %s, e2i_check_features %s', raised, checked.problem);
    END IF;
    -- A float in full: 0.1 in float32 is 0.10000000149011612.
    RETURN CASE WHEN raised <> 'no error' THEN left(raised, 5) WHEN model = 'float32' THEN checked.value::float4::float8::text
                WHEN model = 'float64' THEN checked.value::float8::text ELSE checked.value END;
END $$;
-- A line for each value: what a column of a row is to each type of tensor, and where its JSON is something else.
CREATE FUNCTION pg_temp.matrix(expressions text[]) RETURNS TABLE (value text, float32 text, float64 text, int32 text, int64 text, bool text, string text, as_json text)
LANGUAGE sql AS $$
    SELECT e, c[1], c[2], c[3], c[4], c[5], c[6],
           CASE WHEN c = j THEN 'same' ELSE (SELECT string_agg(y, ' ' ORDER BY o) FROM unnest(c, j) WITH ORDINALITY AS pairs (x, y, o)) END
    FROM unnest(expressions) WITH ORDINALITY AS expressions (e, o),
         LATERAL (SELECT array_agg(pg_temp.seen(m, e, 't') ORDER BY i), array_agg(pg_temp.seen(m, e, 'to_jsonb(t)') ORDER BY i)
                  FROM unnest('{float32,float64,int32,int64,bool,string}'::text[]) WITH ORDINALITY AS models (m, i)) AS cells (c, j)
    ORDER BY o
$$;

-- Integers. 2^31 is no int32; 2^53 + 1 is no float64; 16777217 is rounded to float32, as numpy does.
SELECT * FROM pg_temp.matrix('{0::smallint,1::smallint,(-32768)::smallint,7::integer,2147483647::integer,2147483648::bigint,16777217::integer,
    9007199254740992::bigint,9007199254740993::bigint,9223372036854775807::bigint}');
-- Fractions. The nearest float64, and from there the nearest float32: 0.1 is what numpy.float32(0.1) is.
SELECT * FROM pg_temp.matrix('{0.1::real,0.1::float8,0.1::numeric,12.6::float8,12.6::numeric,12.0::float8,12.0::numeric,1e39::float8,1e-50::float8,-0.0::float8,
    1e18::float8,1e19::numeric,1e400::numeric,-1e400::numeric,1e-400::numeric,0.30000000000000004::numeric,123456789012345678901234567890::numeric}');
-- Not a number, and infinity. NaN is a missing value, which this model does not take; infinity is a float.
SELECT * FROM pg_temp.matrix(ARRAY[$$'NaN'::float8$$, $$'NaN'::real$$, $$'NaN'::numeric$$, $$'Infinity'::float8$$, $$'-Infinity'::real$$, $$'-Infinity'::numeric$$]);
-- Booleans are 0 and 1 where a number is expected; only 0 and 1 are booleans.
SELECT * FROM pg_temp.matrix('{true,false,2,1.0::numeric,0.5,-1}');
-- Text is a number in no spelling of it, but for the names that JSON writers give to what JSON cannot write.
SELECT * FROM pg_temp.matrix(ARRAY[$$'12'::text$$, $$'0.5'::text$$, $$'true'::text$$, $$''::text$$, $$'nan'::text$$, $$'Infinity'::text$$]);
-- Text types.
SELECT * FROM pg_temp.matrix(ARRAY[$$'Zürich'::text$$, $$'Bern'::varchar(10)$$, $$'Bern'::name$$, $$'Bern'::"char"$$,
    $$'red'::pg_temp.color$$, $$'B 12'::pg_temp.code$$, $$'Tag'::pg_temp.tag$$, $$99.5::pg_temp.percent$$, $$100::pg_temp.percent$$]);
-- The padding of char(n) is no part of a column's value, and is part of its JSON; the trailing space of varchar is part of both.
SELECT t AS value, replace(pg_temp.seen('string', format('''Bern ''::%s', t), 't'), ' ', '_') AS in_a_row, replace(pg_temp.seen('string', format('''Bern ''::%s', t), 'to_jsonb(t)'), ' ', '_') AS in_json
FROM unnest('{char(8),varchar(8)}'::text[]) AS t;
-- A point in time is its seconds since 1970-01-01 00:00 UTC where a number is expected, and ISO 8601 where a text is.
-- Float32 counts seconds of our years no finer than two minutes: refused, unless it happens to be exact.
SELECT * FROM pg_temp.matrix(ARRAY[$$date '1970-01-01'$$, $$date '2026-01-22'$$, $$date '0044-03-15 BC'$$, $$date 'infinity'$$, $$timestamp '2026-01-22 14:30:00'$$,
    $$timestamp '2026-01-22 14:30:00.25'$$, $$timestamptz '2026-01-22 14:30:00+01'$$, $$timestamptz '1970-01-01 00:00:10Z'$$, $$timestamptz '-infinity'$$]);
-- NULL, and types that are no features.
SELECT * FROM pg_temp.matrix(ARRAY[$$NULL::integer$$, $$NULL::text$$, $$NULL::bytea$$, $$'\x00'::bytea$$, $$interval '1 day'$$, $$time '12:00'$$,
    $$uuid '5e2b9d5c-6a8e-4f0b-9d53-1f7c2c1d0a11'$$, $$inet '::1'$$, $$point '(0,0)'$$, $$ARRAY[1]$$, $$ROW(1)$$, $$jsonb '{"x": 1}'$$, $$jsonb '1'$$, $$json '1'$$]);

-- Numbers that only JSON writes.
SELECT number, pg_temp.seen('float64', quote_literal(number), 'jsonb_build_object(''a'', a::jsonb, ''b'', 0, ''c'', 0, ''d'', 0)') AS float64,
       pg_temp.seen('int64', quote_literal(number), 'jsonb_build_object(''a'', a::jsonb, ''b'', 0, ''c'', 0, ''d'', 0)') AS int64
FROM unnest('{1,1.0,1e0,10e-1,1E2,-0,-0.0,0.1e1,1e15,1e22,1e23,9007199254740992,9007199254740993,9007199254740993.0,9007199254740994,9223372036854775807,
              -9223372036854775808,-9223372036854775809,1e308,1e309,4.9e-324,1e-330,1.7976931348623157e308,0.1,0.10000000000000001,12.6}'::text[]) AS number;

-- The messages name feature, model, value and what was expected.
SELECT regress.raised(format('SELECT e2i_predict(%L, ARRAY[%s, 0, 0, 0])', model, value))
FROM (VALUES ('int64', '12.6'), ('int32', '2147483648'), ('float64', '9007199254740993::bigint'), ('bool', '2'), ('int64', 'NULL'),
             ('int64', $$'NaN'::float8$$)) AS v (model, value)
UNION ALL
SELECT regress.raised(format('SELECT e2i_predict(%L, %L)', model, features))
FROM (VALUES ('float32', '{"a": "12", "b": 0, "c": 0, "d": 0}'), ('float32', '{"a": [1], "b": 0, "c": 0, "d": 0}'), ('float32', '{"a": {"x": 1}, "b": 0, "c": 0, "d": 0}'),
             ('float32', '{"a": 1e400, "b": 0, "c": 0, "d": 0}'), ('bool', '{"a": "true", "b": 0, "c": 0, "d": 0}'), ('string', '{"note": 12}'), ('string', '{"note": false}'),
             ('float32', format('{"a": %s, "b": 0, "c": 0, "d": 0}', to_json(repeat('long text ', 20))))) AS v (model, features)
UNION ALL
SELECT regress.raised($$SELECT e2i_predict('float64', t) FROM (SELECT '\x00'::bytea AS a, 0 AS b, 0 AS c, 0 AS d) t$$);
SELECT e2i_predict('int64', '{"a": 12.6, "b": 0, "c": 0, "d": 0}');
SELECT e2i_predict('float64', '{"a": 9007199254740993, "b": 0, "c": 0, "d": 0}');
SELECT e2i_predict('float64', '{"a": null, "b": 0, "c": 0, "d": 0}');
SELECT e2i_predict('string', '{"note": 12}');
SELECT e2i_predict('bool', '{"a": 2, "b": 0, "c": 0, "d": 0}');

SELECT count(e2i_drop_model(model_name || ':' || model_version, force => true)) > 0 AS dropped FROM ml_model_registry;
