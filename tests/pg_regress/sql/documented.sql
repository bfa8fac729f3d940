-- The extension explains itself: \df+ and \d+ have a comment for everything it makes; and what it grants, and to whom.
\set VERBOSITY default
SET client_min_messages = warning;
CREATE TEMP VIEW mine AS
SELECT d.classid, d.objid, i.type, i.identity
FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid, pg_identify_object(d.classid, d.objid, 0) AS i
WHERE d.deptype = 'e' AND e.extname = 'e2i_serve';

-- What it makes.
SELECT type, count(*) > 0 AS some FROM mine WHERE type IN ('function', 'table', 'view', 'type') GROUP BY type ORDER BY type COLLATE "C";
-- Without a comment: no function, table, view, sequence or type. (A table's own type and its array type need none.)
SELECT type, identity FROM mine
WHERE obj_description(objid, classid::regclass::name) IS NULL AND type IN ('function', 'procedure', 'aggregate', 'table', 'view', 'materialized view')
   OR type = 'type' AND obj_description(objid, 'pg_type') IS NULL
      AND EXISTS (SELECT FROM pg_type t WHERE t.oid = objid AND t.typtype IN ('e', 'd', 'b') AND t.typcategory <> 'A')
ORDER BY 1, 2;
-- Comments are short: as wide as a terminal at most, lower case, without a period, as the server's own are. The manual says the rest.
SELECT type, identity, comment FROM mine, LATERAL obj_description(objid, classid::regclass::name) AS comment
WHERE length(comment) NOT BETWEEN 10 AND 80 OR comment ~ '^[A-Z][a-z]|[.]$' ORDER BY 1, 2;
SELECT identity, attname, col_description(objid, attnum) AS comment FROM mine JOIN pg_attribute a ON classid = 'pg_class'::regclass AND attrelid = objid
WHERE length(col_description(objid, attnum)) > 80 ORDER BY 1, 2;
-- The extension itself.
SELECT obj_description(oid, 'pg_extension') IS NOT NULL AS documented FROM pg_extension WHERE extname = 'e2i_serve';

-- Scoring is STABLE (the answer changes with a deploy), STRICT (a row that is NULL has no score) and PARALLEL SAFE.
SELECT p.proname, count(*) AS spellings, string_agg(DISTINCT p.provolatile::text, ' ') AS volatile, bool_and(p.proisstrict) AS strict, string_agg(DISTINCT p.proparallel::text, ' ') AS parallel,
       bool_and(has_function_privilege('public', p.oid, 'EXECUTE')) AS for_everybody
FROM mine JOIN pg_proc p ON p.oid = objid AND classid = 'pg_proc'::regclass
WHERE p.proname ~ '^e2i_(predict|serve$|check_features|describe_model|model_classes)' GROUP BY p.proname ORDER BY p.proname COLLATE "C";
SELECT p.oid::regprocedure FROM mine JOIN pg_proc p ON p.oid = objid AND classid = 'pg_proc'::regclass
WHERE p.proname ~ '^e2i_predict' AND p.proname !~ '_planned$' AND replace(pg_get_function_arguments(p.oid), ', level double precision DEFAULT 0.9', '') NOT IN ('model text, features jsonb', 'model text, features text', 'model text, features json', 'model text, features record', 'model text, features anyarray');
-- Nothing that answers from the registry is IMMUTABLE, but for the pinned form: a version never changes.
SELECT p.oid::regprocedure FROM mine JOIN pg_proc p ON p.oid = objid AND classid = 'pg_proc'::regclass
WHERE p.provolatile = 'i' AND pg_get_function_arguments(p.oid) <> '' ORDER BY 1;
-- What writes is VOLATILE, not parallel, and not for everybody.
SELECT p.proname, p.provolatile AS volatile, p.proparallel AS parallel, has_function_privilege('public', p.oid, 'EXECUTE') AS for_everybody
FROM mine JOIN pg_proc p ON p.oid = objid AND classid = 'pg_proc'::regclass
WHERE p.proname IN ('e2i_register_model', 'e2i_drop_model', 'e2i_set_alias', 'e2i_drop_alias', 'e2i_registry_changed') ORDER BY p.proname COLLATE "C";
-- Functions that run as their owner say where they look names up.
SELECT p.oid::regprocedure FROM mine JOIN pg_proc p ON p.oid = objid AND classid = 'pg_proc'::regclass
WHERE p.prosecdef AND NOT coalesce(p.proconfig::text LIKE '%search_path=%', false) ORDER BY 1;
-- Tables are the owner's; who may read the registry may score with it. The view of the session's cache is for everybody.
SELECT c.relname, c.relkind, array_remove(ARRAY[CASE WHEN has_table_privilege('public', c.oid, 'SELECT') THEN 'select' END, CASE WHEN has_table_privilege('public', c.oid, 'INSERT') THEN 'insert' END,
       CASE WHEN has_table_privilege('public', c.oid, 'UPDATE') THEN 'update' END, CASE WHEN has_table_privilege('public', c.oid, 'DELETE') THEN 'delete' END], NULL) AS for_everybody
FROM mine JOIN pg_class c ON c.oid = objid AND classid = 'pg_class'::regclass WHERE c.relkind IN ('r', 'v') ORDER BY c.relname COLLATE "C";
-- Every table and its sequence is dumped with its rows, but for what means something to this server's counters only.
SELECT c.relname FROM mine JOIN pg_class c ON c.oid = objid AND classid = 'pg_class'::regclass
WHERE c.relkind IN ('r', 'S') AND NOT EXISTS (SELECT FROM pg_extension e WHERE e.extname = 'e2i_serve' AND c.oid = ANY (e.extconfig)) ORDER BY 1;
-- The settings are there once the library is loaded, at the latest by the first call; they say what they are for and what they cost.
LOAD 'e2i_serve';
SELECT name, unit, context, vartype, short_desc <> '' AND extra_desc <> '' AS documented FROM pg_settings WHERE name LIKE 'e2i_serve.%' ORDER BY name COLLATE "C";
-- A name under the prefix that is no setting is refused.
SET e2i_serve.session_cache_sice = '1GB';
