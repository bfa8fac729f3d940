\set VERBOSITY default
SET client_min_messages = warning;
-- Bytes that were made to hurt. Registering opens a model in a process of its own first, so the worst that can happen is an
-- error: the server does not restart, nothing is half registered, no process is left. What the error is, for what people do
-- send by accident; for the others the SQLSTATE, as the message is ONNX Runtime's.
SELECT pg_postmaster_start_time() AS started, pg_backend_pid() AS pid, (SELECT count(*) FROM ml_model_registry) AS models, (SELECT count(*) FROM ml_model_artifacts) AS artifacts \gset

-- Writes ONNX, which is protobuf.
CREATE SCHEMA pb;
-- A number, a length-delimited field, a text, little-endian floats.
CREATE FUNCTION pb.varint(n bigint) RETURNS bytea LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE bytes bytea := '';
BEGIN
    WHILE n & ~127 <> 0 LOOP
        bytes := bytes || set_byte('\x00', 0, (n & 127 | 128)::int);
        n := n >> 7 & x'01ffffffffffffff'::bigint;
    END LOOP;
    RETURN bytes || set_byte('\x00', 0, n::int);
END $$;
CREATE FUNCTION pb.int(field int, n bigint) RETURNS bytea LANGUAGE sql AS 'SELECT pb.varint(field * 8) || pb.varint(n)';
CREATE FUNCTION pb.len(field int, bytes bytea) RETURNS bytea LANGUAGE sql AS 'SELECT pb.varint(field * 8 + 2) || pb.varint(octet_length(bytes)) || bytes';
CREATE FUNCTION pb.str(field int, chars text) RETURNS bytea LANGUAGE sql AS $$ SELECT pb.len(field, convert_to(chars, 'UTF8')) $$;
CREATE FUNCTION pb.floats(field int, VARIADIC n real[]) RETURNS bytea LANGUAGE sql AS $$
    SELECT pb.len(field, string_agg(substr(float4send(x), b, 1), '' ORDER BY o, b DESC)) FROM unnest(n) WITH ORDINALITY AS v (x, o), generate_series(1, 4) AS b
$$;
CREATE FUNCTION pb.each(field int, chars text[]) RETURNS bytea LANGUAGE sql AS $$
    SELECT coalesce(string_agg(pb.str(field, c), '' ORDER BY o), '') FROM unnest(chars) WITH ORDINALITY AS v (c, o)
$$;
-- An attribute of one kind: integers, floats, texts, a tensor, a graph.
CREATE FUNCTION pb.ints(name text, VARIADIC n bigint[]) RETURNS bytea LANGUAGE sql AS $$
    SELECT pb.len(5, pb.str(1, name) || (SELECT string_agg(pb.int(8, i), '' ORDER BY o) FROM unnest(n) WITH ORDINALITY AS v (i, o)) || pb.int(20, 7))
$$;
CREATE FUNCTION pb.reals(name text, VARIADIC n real[]) RETURNS bytea LANGUAGE sql AS 'SELECT pb.len(5, pb.str(1, name) || pb.floats(7, VARIADIC n) || pb.int(20, 6))';
CREATE FUNCTION pb.texts(name text, VARIADIC t text[]) RETURNS bytea LANGUAGE sql AS 'SELECT pb.len(5, pb.str(1, name) || pb.each(9, t) || pb.int(20, 8))';
CREATE FUNCTION pb.one(name text, n bigint) RETURNS bytea LANGUAGE sql AS 'SELECT pb.len(5, pb.str(1, name) || pb.int(3, n) || pb.int(20, 2))';
CREATE FUNCTION pb.tensor(name text, tensor bytea) RETURNS bytea LANGUAGE sql AS 'SELECT pb.len(5, pb.str(1, name) || pb.len(5, tensor) || pb.int(20, 4))';
CREATE FUNCTION pb.graph(name text, graph bytea) RETURNS bytea LANGUAGE sql AS 'SELECT pb.len(5, pb.str(1, name) || pb.len(6, graph) || pb.int(20, 5))';
-- A node; an input or output of a graph (1 float, 7 int64, 9 bool; an axis below 0 is free); a model.
CREATE FUNCTION pb.node(op text, inputs text[], outputs text[], attributes bytea = '', domain text = '') RETURNS bytea LANGUAGE sql AS
    'SELECT pb.len(1, pb.each(1, inputs) || pb.each(2, outputs) || pb.str(4, op) || attributes || pb.str(7, domain))';
CREATE FUNCTION pb.value(field int, name text, type int, VARIADIC dims bigint[]) RETURNS bytea LANGUAGE sql AS $$
    SELECT pb.len(field, pb.str(1, name) || pb.len(2, pb.len(1, pb.int(1, type) || pb.len(2,
        (SELECT coalesce(string_agg(pb.len(1, CASE WHEN d < 0 THEN pb.str(2, 'N') ELSE pb.int(1, d) END), '' ORDER BY o), '') FROM unnest(dims) WITH ORDINALITY AS v (d, o))))))
$$;
CREATE FUNCTION pb.model(graph bytea, ir bigint = 8, opset bigint = 17, ml bigint = 3, more bytea = '') RETURNS bytea LANGUAGE sql AS $$
    SELECT pb.int(1, ir) || pb.len(7, graph || pb.str(2, 'g')) || pb.len(8, pb.str(1, '') || pb.int(2, opset)) || pb.len(8, pb.str(1, 'ai.onnx.ml') || pb.int(2, ml)) || more
$$;
-- y = -x, and a tree over x with 2 features: node ids, true and false children, features and modes as given.
CREATE FUNCTION pb.negative() RETURNS bytea LANGUAGE sql AS $$ SELECT pb.node('Neg', '{x}', '{y}') || pb.value(11, 'x', 1, -1, 2) || pb.value(12, 'y', 1, -1, 2) $$;
CREATE FUNCTION pb.tree(ids bigint[], trues bigint[], falses bigint[], features bigint[], modes text[], op text = 'TreeEnsembleRegressor') RETURNS bytea LANGUAGE sql AS $$
    SELECT pb.model(pb.node(op, '{x}', '{y}',
        pb.ints('nodes_treeids', VARIADIC array_fill(0::bigint, ARRAY[cardinality(ids)])) || pb.ints('nodes_nodeids', VARIADIC ids)
        || pb.ints('nodes_truenodeids', VARIADIC trues) || pb.ints('nodes_falsenodeids', VARIADIC falses) || pb.ints('nodes_featureids', VARIADIC features)
        || pb.texts('nodes_modes', VARIADIC modes) || pb.reals('nodes_values', VARIADIC array_fill(0.5::real, ARRAY[cardinality(ids)]))
        || pb.ints('target_treeids', 0, 0) || pb.ints('target_nodeids', 1, 2) || pb.ints('target_ids', 0, 0) || pb.reals('target_weights', 1, 2) || pb.one('n_targets', 1), 'ai.onnx.ml')
        || pb.value(11, 'x', 1, -1, 2) || pb.value(12, 'y', 1, -1, 1))
$$;
-- Registers; what is registered is also scored, with ones and zeros, and dropped.
CREATE FUNCTION pb.outcome(model bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE features int;
BEGIN
    PERFORM e2i_register_model('hostile', model);
    SELECT count(*) INTO features FROM e2i_describe_model('hostile') WHERE kind = 'feature';
    FOR i IN 0..1 LOOP
        BEGIN
            PERFORM e2i_predict_vector('hostile', (SELECT jsonb_agg(i) FROM generate_series(1, features)));
        EXCEPTION WHEN OTHERS THEN
            NULL;
        END;
    END LOOP;
    PERFORM e2i_drop_model('hostile', force => true);
    RETURN 'registered';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
-- The SQLSTATE and the message without what ONNX Runtime says.
CREATE FUNCTION pb.short(outcome text) RETURNS text LANGUAGE sql AS $$ SELECT regexp_replace(outcome, '(ONNX Runtime( does not load the model)?: ).*', '\1…') $$;

-- No model at all; a length of 2 GB and one of 2^63; 1,500 messages in each other.
SELECT what, pb.outcome(bytes) FROM (VALUES
    ('nothing', ''::bytea), ('one byte', '\x08'), ('gzip', '\x1f8b0800000000000003'), ('a pickle', '\x80049517000000'), ('zeros', decode(repeat('00', 1000), 'hex')),
    ('2 GB', '\x08083affffffff07'), ('2^63', '\x08083affffffffffffffffff01'), ('a number of 11 bytes', '\x08ffffffffffffffffffffff'),
    ('1,500 deep', (WITH RECURSIVE graphs (n, graph) AS (SELECT 0, pb.negative() UNION ALL SELECT n + 1, pb.node('If', '{x}', '{y}', pb.graph('then_branch', graph)) FROM graphs WHERE n < 500)
        SELECT pb.model(graph) FROM graphs WHERE n = 500))) AS v (what, bytes);
SELECT left(pb.outcome(decode(repeat(md5(n::text), 32), 'hex')), 46) AS random, count(*) FROM generate_series(1, 200) AS n GROUP BY 1;

-- IR version and operator sets.
SELECT ir, pb.outcome(pb.model(pb.negative(), ir => ir)) FROM unnest('{-1,0,8,999,9223372036854775807}'::bigint[]) AS ir;
SELECT opset, pb.outcome(pb.model(pb.negative(), opset => opset)) FROM unnest('{-1,0,17,999,9223372036854775807}'::bigint[]) AS opset;
SELECT ml, pb.outcome(pb.model(pb.negative(), ml => ml)) FROM unnest('{-1,0,3,999}'::bigint[]) AS ml;
SELECT pb.short(pb.outcome(pb.int(1, 8) || pb.len(7, pb.negative() || pb.str(2, 'g')))) AS "no operator set";

-- Operators that do not exist, and those of other domains, whose library would have to be loaded.
CREATE FUNCTION pb.around(nodes bytea, initializers bytea = '') RETURNS bytea LANGUAGE sql AS $$
    SELECT nodes || initializers || pb.value(11, 'x', 1, -1, 2) || pb.value(12, 'y', 1, -1, 2)
$$;
SELECT pb.short(pb.outcome(pb.model(pb.around(pb.node('Nonsense', '{x}', '{y}'))))) AS unknown,
       pb.outcome(pb.model(pb.around(pb.node('Nonsense', '{x}', '{y}', '', 'evil')), more => pb.len(8, pb.str(1, 'evil') || pb.int(2, 1)))) AS foreign;
SELECT where_, pb.outcome(pb.model(pb.around(nodes), more => more)) FROM (VALUES
    ('in a subgraph', pb.node('If', '{x}', '{y}', pb.graph('then_branch', pb.node('Nonsense', '{x}', '{z}', '', 'evil') || pb.value(12, 'z', 1, -1, 2))), ''::bytea),
    ('in a function', pb.node('F', '{x}', '{y}', '', 'own'), pb.len(25, pb.str(1, 'F') || pb.each(4, '{x}') || pb.each(5, '{y}')
        || pb.len(7, pb.each(1, '{x}') || pb.each(2, '{y}') || pb.str(4, 'Nonsense') || pb.str(7, 'evil')) || pb.str(10, 'own')))) AS v (where_, nodes, more);

-- Data kept in a file of the server, in every place that can hold a tensor.
CREATE FUNCTION pb.elsewhere(file text) RETURNS bytea LANGUAGE sql AS $$
    SELECT pb.int(1, 2) || pb.int(2, 1) || pb.str(8, 'c') || pb.len(13, pb.str(1, 'location') || pb.str(2, file)) || pb.int(14, 1)
$$;
SELECT place, file, pb.outcome(pb.model(pb.around(nodes, initializers), more => more))
FROM unnest('{../../etc/passwd,/etc/passwd,a/../../b,*/_ORT_MEM_ADDR_/*}'::text[]) WITH ORDINALITY AS f (file, o),
    LATERAL (VALUES
    (1, 'initializer', pb.node('Add', '{x,c}', '{y}'), pb.len(5, pb.elsewhere(file)), ''::bytea),
    (2, 'sparse initializer', pb.node('Add', '{x,c}', '{y}'), pb.len(15, pb.len(1, pb.elsewhere(file))), ''),
    (3, 'Constant', pb.node('Constant', '{}', '{c}', pb.tensor('value', pb.elsewhere(file))) || pb.node('Add', '{x,c}', '{y}'), '', ''),
    (4, 'subgraph', pb.node('If', '{x}', '{y}', pb.graph('then_branch', pb.len(5, pb.elsewhere(file)))), '', ''),
    (5, 'function', pb.node('F', '{x}', '{y}', '', 'own'), '', pb.len(25, pb.str(1, 'F') || pb.str(10, 'own')
        || pb.len(7, pb.each(2, '{c}') || pb.str(4, 'Constant') || pb.tensor('value', pb.elsewhere(file)))))) AS v (n, place, nodes, initializers, more)
WHERE o = 1 OR n = 1 ORDER BY o, n;

-- Trees that are none.
SELECT what, pb.outcome(pb.tree(ids, trues, falses, features, modes)) FROM (VALUES
    ('a tree', '{0,1,2}'::bigint[], '{1,0,0}'::bigint[], '{2,0,0}'::bigint[], '{0,0,0}'::bigint[], '{BRANCH_LEQ,LEAF,LEAF}'::text[]),
    ('its own child', '{0,1,2}', '{0,0,0}', '{2,0,0}', '{0,0,0}', '{BRANCH_LEQ,LEAF,LEAF}'),
    ('its own grandchild', '{0,1,2,3}', '{1,0,0,1}', '{3,0,0,0}', '{0,0,0,0}', '{BRANCH_LEQ,LEAF,LEAF,BRANCH_LEQ}'),
    ('a missing child', '{0,1,2}', '{1,0,0}', '{9,0,0}', '{0,0,0}', '{BRANCH_LEQ,LEAF,LEAF}'),
    ('feature 2 of 2', '{0,1,2}', '{1,0,0}', '{2,0,0}', '{2,0,0}', '{BRANCH_LEQ,LEAF,LEAF}'),
    ('feature 2^40', '{0,1,2}', '{1,0,0}', '{2,0,0}', '{1099511627776,0,0}', '{BRANCH_LEQ,LEAF,LEAF}'),
    ('feature -7', '{0,1,2}', '{1,0,0}', '{2,0,0}', '{-7,0,0}', '{BRANCH_LEQ,LEAF,LEAF}'),
    ('a node twice', '{0,1,1}', '{1,0,0}', '{1,0,0}', '{0,0,0}', '{BRANCH_LEQ,LEAF,LEAF}'),
    ('lists of two lengths', '{0,1,2}', '{1,0}', '{2,0,0}', '{0,0,0}', '{BRANCH_LEQ,LEAF,LEAF}')) AS v (what, ids, trues, falses, features, modes);
SELECT left(pb.outcome(pb.tree('{0,1,2}', '{1,0,0}', '{2,0,0}', '{0,0,0}', '{BRANCH_EVIL,LEAF,LEAF}')), 5) AS "a wrong mode";

-- A graph that never ends, and graphs that want 100 GB: when they are loaded, or when they are run.
SET e2i_serve.validation_timeout = '500ms';
SELECT pb.outcome(regress.onnx('shape_loop')) AS endless;
RESET e2i_serve.validation_timeout;
CREATE FUNCTION pb.huge(sizes bytea) RETURNS bytea LANGUAGE sql AS $$
    SELECT pb.model(pb.around(sizes || pb.node('ConstantOfShape', '{sizes}', '{zeros}') || pb.node('ReduceSum', '{zeros}', '{sum}') || pb.node('Add', '{x,sum}', '{y}')))
$$;
CREATE FUNCTION pb.constant(name text, VARIADIC n bigint[]) RETURNS bytea LANGUAGE sql AS $$
    SELECT pb.node('Constant', '{}', ARRAY[name], pb.tensor('value', pb.int(1, cardinality(n)) || pb.int(2, 7) || (SELECT string_agg(pb.int(7, i), '' ORDER BY o) FROM unnest(n) WITH ORDINALITY AS v (i, o))))
$$;
SELECT pb.outcome(pb.huge(pb.constant('sizes', 25000000000))) AS "100 GB at once",
       pb.outcome(pb.huge(pb.node('Shape', '{x}', '{shape}') || pb.constant('times', 25000000000, 1) || pb.node('Mul', '{shape,times}', '{sizes}'))) AS "100 GB a row",
       pb.short(pb.outcome(pb.huge(pb.constant('sizes', 9223372036854775807, 9223372036854775807)))) AS overflow;

-- No output, no input, no node, an output that nothing writes, nodes in a circle, 5,000 inputs.
SELECT pb.outcome(pb.model(pb.node('Neg', '{x}', '{y}') || pb.value(11, 'x', 1, -1, 2))) AS "no output",
       pb.outcome(pb.model(pb.constant('y', 1) || pb.value(12, 'y', 7, 1))) AS "no input";
SELECT pb.short(pb.outcome(pb.model(pb.around('')))) AS "no node",
       pb.short(pb.outcome(pb.model(pb.around(pb.node('Neg', '{b}', '{a}') || pb.node('Add', '{a,x}', '{b}') || pb.node('Neg', '{a}', '{y}'))))) AS circle;
WITH inputs AS (SELECT string_agg(pb.value(11, 'x' || i, 1, -1, 1), '') AS declared, array_agg('x' || i) AS names FROM generate_series(1, 5000) AS i)
SELECT pb.outcome(pb.model(declared || pb.node('Concat', names, '{y}', pb.one('axis', 1)) || pb.value(12, 'y', 1, -1, 5000))) AS "5,000 inputs" FROM inputs;

-- A valid model cut at each 64th of its length, and with each of 1,000 bytes changed: never more than an error.
CREATE VIEW pb.victim AS SELECT 0 AS n, regress.onnx('shape_vector_inputs') AS bytes UNION ALL SELECT 1, regress.onnx('hcp_churn')
    UNION ALL SELECT 2, pb.tree('{0,1,2}', '{1,0,0}', '{2,0,0}', '{1,0,0}', '{BRANCH_LEQ,LEAF,LEAF}');
SET client_min_messages = error;
CREATE TABLE pb.tried AS
SELECT 'cut' AS how, pb.outcome(substr(bytes, 1, octet_length(bytes) * part / 64)) AS outcome FROM generate_series(0, 63) AS part, pb.victim WHERE victim.n = 1;
INSERT INTO pb.tried
SELECT 'changed', pb.outcome(set_byte(bytes, place, get_byte(bytes, place) # difference))
FROM (SELECT bytes, (hash & 1048575) % octet_length(bytes) AS place, 1 + (hash >> 20) % 255 AS difference
      FROM generate_series(1, 1000) AS i, LATERAL (SELECT ('x' || left(md5(i::text), 7))::bit(28)::int AS hash) h, pb.victim WHERE victim.n = i % 3) AS v;
SET client_min_messages = warning;
-- 22023 no model, 0A000 not supported, 54000 and 53200 too large, 42804 and 55000 contradictions, 38000 a failed run: no crash.
SELECT how, count(*), count(*) FILTER (WHERE outcome = 'registered') > 0 AS some_registered,
       count(*) FILTER (WHERE outcome <> 'registered' AND left(outcome, 5) NOT IN ('22023', '0A000', '54000', '53200', '42804', '55000', '38000')) AS others,
       count(*) FILTER (WHERE outcome LIKE '%crashed%') AS crashes
FROM pb.tried GROUP BY how ORDER BY how;

-- After all of it.
SELECT pg_postmaster_start_time() = :'started' AS "not restarted", pg_backend_pid() = :pid AS "same session",
       (SELECT count(*) FROM ml_model_registry) = :models AND (SELECT count(*) FROM ml_model_artifacts) = :artifacts AS "nothing half registered",
       pg_read_file(format('/proc/self/task/%s/children', pg_backend_pid())) = '' AS "no child left";
DROP SCHEMA pb CASCADE;
