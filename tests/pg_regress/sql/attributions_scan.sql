-- Why all rows of a table have their scores: rows are read ahead and explained together, and it says what it says of each alone.
\set VERBOSITY default
SET client_min_messages = warning;
CALL regress.begin_anew();
SET e2i_serve.batch_scan = on;
\set models `echo "$E2I_MODELS"`
\set risk :models '/trained/xgb_base_score.json'
\set classes :models '/trained/xgb_softprob.json'
SELECT e2i_register_model('risk', pg_read_binary_file(:'risk')) IS NOT NULL, e2i_register_model('classes', pg_read_binary_file(:'classes')) IS NOT NULL;
CREATE TABLE asked AS SELECT i, sin(i) * 0.2 AS f0, cos(i) AS f1, CASE WHEN i % 3 > 0 THEN sin(i * 7) * 10 END AS f2, cos(i * 5) * 0.1 AS f3, sin(i * 3) AS f4
FROM generate_series(1, 3000) i;
ANALYZE asked;

EXPLAIN (COSTS OFF) SELECT e2i_top_reasons('risk', a, 3), e2i_contributions('risk', a) FROM asked a;

-- The same, bit by bit, alone and together, with all instructions, and behind conditions, limits and joins.
CREATE TABLE alone (i int, added float8[], reasons text[], opposite float8[]);
SET e2i_serve.batch_scan = off;
SET e2i_serve.instruction_set = 'portable';
INSERT INTO alone SELECT i, e2i_contributions('risk', a), e2i_top_reasons('risk', a, 2), e2i_contributions('risk', a, class => '0') FROM asked a;
SET e2i_serve.batch_scan = on;
RESET e2i_serve.instruction_set;
SELECT count(*), count(DISTINCT added) > 100 AS differ, min(cardinality(reasons)), max(cardinality(reasons)) FROM alone;
CREATE FUNCTION differences() RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM (SELECT i, e2i_contributions('risk', a) AS added, e2i_top_reasons('risk', a, 2) AS reasons, e2i_contributions('risk', a, class => '0') AS opposite
        FROM asked a OFFSET 0) t FULL JOIN alone USING (i) WHERE (t.added, t.reasons, t.opposite) IS DISTINCT FROM (alone.added, alone.reasons, alone.opposite)
$$;
SELECT differences();
SET e2i_serve.instruction_set = 'avx2';
SELECT differences();
SET e2i_serve.instruction_set = 'avx512';
SELECT differences();
RESET e2i_serve.instruction_set;
SET work_mem = '64kB';
SELECT differences();
RESET work_mem;
SELECT count(*) FROM (SELECT i, e2i_contributions('risk', a) AS now FROM asked a WHERE i % 7 = 0 OFFSET 0) t JOIN alone USING (i) WHERE now IS DISTINCT FROM added;
SELECT i, e2i_top_reasons('risk', a, 1) FROM asked a ORDER BY i LIMIT 3;

-- In parallel.
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
SELECT differences();
RESET parallel_setup_cost; RESET parallel_tuple_cost; RESET min_parallel_table_scan_size;

-- What is added up with the base value is the margin, in every row; as a condition, and beside a score.
SELECT count(*) FROM (SELECT e2i_predict('risk', a) AS p, e2i_contributions('risk', a) AS added FROM asked a OFFSET 0) t,
    LATERAL (SELECT sum(c) FROM unnest(added) c) s (sum) WHERE abs(ln(p / (1 - p)) - sum - e2i_base_value('risk')) < 1e-5;
SELECT count(*) = (SELECT count(*) FROM alone WHERE added[1] > 0.1) AS same FROM asked a WHERE (e2i_contributions('risk', a))[1] > 0.1;

-- Options are as they are for one row: parameters, NULL, and what is wrong with them.
PREPARE why(int, text) AS SELECT e2i_top_reasons('risk', a, $1, class => $2) FROM asked a ORDER BY i LIMIT 1;
SET plan_cache_mode = force_generic_plan;
EXECUTE why(2, '1'); EXECUTE why(NULL, '1'); EXECUTE why(-1, NULL); EXECUTE why(1, 'maybe');
RESET plan_cache_mode;
SELECT e2i_contributions('risk', a, space => 'odds') FROM asked a LIMIT 1;
SELECT e2i_contributions('risk', a, method => 'interventional') FROM asked a LIMIT 1;
SELECT count(*), count(e2i_contributions(NULL, a)) FROM asked a;
SELECT count(*), count(e2i_contributions('risk', a)) FROM (VALUES (1), (2)) v (k) LEFT JOIN asked a ON a.i = v.k AND v.k = 1;

-- Rows that cannot be bound raise what they raise alone, and those beside them do not.
CREATE TABLE large AS SELECT i, f0, f1, CASE WHEN i = 5 THEN 1e300 ELSE f2 END AS f2, f3, f4 FROM asked;
SELECT count(e2i_contributions('risk', t)) FROM large t;
SELECT count(e2i_contributions('risk', t)) FROM large t WHERE i <> 5;

-- Of several classes each is explained, or the one that is predicted.
CREATE TABLE several AS SELECT i, sin(i) * 2 AS f0, cos(i) AS f1, sin(i * 7) AS f2, cos(i * 5) AS f3, sin(i * 3) AS f4 FROM generate_series(1, 400) i;
CREATE TABLE several_alone (i int, added float8[], reasons text[]);
SET e2i_serve.batch_scan = off;
INSERT INTO several_alone SELECT i, e2i_contributions('classes', a), e2i_top_reasons('classes', a, 2) FROM several a;
SET e2i_serve.batch_scan = on;
SELECT count(*), min(array_ndims(a.added)), count(DISTINCT a.reasons) > 1 AS differ FROM several_alone a
    JOIN (SELECT i, e2i_contributions('classes', s) AS added, e2i_top_reasons('classes', s, 2) AS reasons FROM several s OFFSET 0) t USING (i) WHERE a.added = t.added AND a.reasons = t.reasons;

-- Against a background.
SELECT e2i_set_background('risk', 'SELECT * FROM asked WHERE i <= 50') > 0 AS set;
SELECT count(*) FROM (SELECT i, e2i_contributions('risk', a, method => 'interventional') AS added FROM asked a OFFSET 0) t
    JOIN LATERAL (SELECT e2i_contributions('risk', to_jsonb(a), method => 'interventional') AS alone FROM asked a WHERE a.i = t.i) s ON true WHERE i <= 200 AND added IS DISTINCT FROM alone;
DROP TABLE asked, alone, large, several, several_alone;
DROP FUNCTION differences;
