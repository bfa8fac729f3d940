\set VERBOSITY default
SET client_min_messages = warning;
\set models `echo $E2I_MODELS`
-- Scoring functions are STABLE and PARALLEL SAFE: they may stand anywhere in a statement, and in any plan.
SELECT e2i_register_model('hist', pg_read_binary_file(:'models' || '/hcp_hist.onnx'));
CREATE TABLE customers AS
SELECT i AS id, i % 7 AS f0, i % 11 + 0.5 AS f1, (i % 13)::real AS f2, nullif(i % 17, 0)::float8 AS f3, i % 19 AS f4, i % 23 AS f5
FROM generate_series(1, 20000) i;
ALTER TABLE customers ADD PRIMARY KEY (id), ADD score float8;
ANALYZE customers;

-- EXPLAIN without ANALYZE neither loads nor runs a model, unless the planner wants to know how large a constant is.
\c -
SET client_min_messages = warning;
SET e2i_serve.batch_scan = on;
EXPLAIN (COSTS OFF) SELECT id, e2i_predict('hist', c) FROM customers c WHERE e2i_predict('hist', c) > 0.5 ORDER BY 2 DESC LIMIT 5;
EXPLAIN (COSTS OFF) SELECT e2i_predict('unknown', c) FROM customers c;
SELECT count(*) FROM e2i_session_cache;
EXPLAIN (COSTS OFF) SELECT id FROM customers c WHERE f1 < e2i_predict('hist', '[1, 2, 3, 4, 5, 6]');
SELECT count(*) FROM e2i_session_cache;

-- The planner calls a model after cheaper conditions, and once for every row that is left.
EXPLAIN (COSTS OFF) SELECT id FROM customers c WHERE e2i_predict('hist', c) > 0.5 AND f0 + 0 = 3;

-- Parallel workers give the scores of a serial scan.
SET max_parallel_workers_per_gather = 0;
CREATE TABLE serial AS SELECT id, e2i_predict('hist', c) AS score, e2i_predict_label('hist', c) AS label, e2i_predict_proba('hist', to_jsonb(c)) AS proba FROM customers c;
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT count(*), sum(e2i_predict('hist', c)) FROM customers c;
EXPLAIN (COSTS OFF) CREATE TABLE parallel AS SELECT id, e2i_predict('hist', c) AS score FROM customers c;
CREATE TABLE parallel AS SELECT id, e2i_predict('hist', c) AS score, e2i_predict_label('hist', c) AS label, e2i_predict_proba('hist', to_jsonb(c)) AS proba FROM customers c;
SELECT count(*), count(*) FILTER (WHERE (p.score, p.label, p.proba) IS DISTINCT FROM (s.score, s.label, s.proba)) AS different FROM parallel p FULL JOIN serial s USING (id);
-- Also where the leader scores nothing itself, and where the plan is made parallel against its will.
SET parallel_leader_participation = off;
SELECT count(*) FILTER (WHERE e2i_predict('hist', c) IS DISTINCT FROM s.score) AS different FROM customers c JOIN serial s USING (id);
SELECT sum((e2i_serve('hist', jsonb_build_object('features', to_jsonb(c))) -> 'predictions' -> 0)::float8) = (SELECT sum(score) FROM serial WHERE id <= 100) AS same FROM customers c WHERE id <= 100;
RESET parallel_leader_participation;
SELECT set_config(name, 'on', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
SELECT e2i_predict('hist', c) = s.score AS same FROM customers c JOIN serial s USING (id) WHERE id = 77;
SELECT e2i_predict('unknown', ARRAY[1]);
SELECT name IS NOT NULL AS described FROM e2i_describe_model('hist') LIMIT 1;
SELECT count(e2i_prewarm('hist'));
SELECT set_config(name, 'off', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;

-- In a read-only transaction, in an UPDATE, with LIMIT, LATERAL, ORDER BY, WHERE, HAVING, in aggregates, windows, CTEs and sub-selects.
BEGIN READ ONLY;
SELECT count(e2i_predict('hist', c)) FROM customers c WHERE id <= 10;
COMMIT;
UPDATE customers c SET score = e2i_predict('hist', c);
SELECT count(*) FILTER (WHERE c.score IS DISTINCT FROM s.score) AS different FROM customers c JOIN serial s USING (id);
INSERT INTO customers AS c (id, f0, f1, f2, f3, f4, f5) VALUES (0, 1, 1, 1, 1, 1, 1) RETURNING e2i_predict('hist', c) BETWEEN 0 AND 1 AS scored;
DELETE FROM customers c WHERE id = 0 RETURNING e2i_predict('hist', c) BETWEEN 0 AND 1 AS scored;
SELECT count(*) = (SELECT count(*) FROM serial WHERE score > 0.5) AS same FROM customers c WHERE e2i_predict('hist', c) > 0.5;
SELECT array_agg(id) = (SELECT array_agg(id) FROM (SELECT id FROM serial ORDER BY score DESC, id LIMIT 7) s) AS same
FROM (SELECT id FROM customers c ORDER BY e2i_predict('hist', c) DESC, id LIMIT 7) t;
SELECT count(*) AS scored FROM (SELECT e2i_predict('hist', c) FROM customers c LIMIT 3) t;
SELECT count(*) FILTER (WHERE p.score <> s.score) AS different
FROM customers c CROSS JOIN LATERAL (SELECT e2i_predict('hist', c) AS score) p JOIN serial s USING (id) WHERE c.id <= 1000;
SELECT count(*) FILTER (WHERE p.score <> s.score) AS different
FROM customers c CROSS JOIN LATERAL e2i_predict('hist', c) AS p (score) JOIN serial s USING (id) WHERE c.id <= 1000;
SELECT f0 FROM customers c GROUP BY f0 HAVING max(e2i_predict('hist', c)) > 2 ORDER BY 1;
WITH scored AS MATERIALIZED (SELECT id, e2i_predict('hist', c) AS score FROM customers c)
SELECT count(*) FILTER (WHERE a.score <> s.score) AS different FROM scored a JOIN serial s USING (id);
SELECT count(*) FILTER (WHERE r <> 1) AS not_first
FROM (SELECT id, rank() OVER (PARTITION BY f0 ORDER BY e2i_predict('hist', c)) AS r, avg(e2i_predict('hist', c)) OVER (ORDER BY id ROWS 3 PRECEDING) FROM customers c WHERE id <= 7) w;
SELECT (SELECT e2i_predict('hist', c) FROM customers c WHERE c.id = s.id) = s.score AS same FROM serial s WHERE id = 5;

-- In views, plain and materialised, in functions, generated rows and triggers.
CREATE VIEW risky AS SELECT id, e2i_predict('hist', c) AS score FROM customers c;
SELECT count(*) FILTER (WHERE r.score <> s.score) AS different FROM risky r JOIN serial s USING (id) WHERE id <= 1000;
CREATE MATERIALIZED VIEW risks AS SELECT id, e2i_predict('hist', c) AS score FROM customers c WHERE id <= 1000;
REFRESH MATERIALIZED VIEW risks;
SELECT count(*) FILTER (WHERE r.score <> s.score) AS different, count(*) FROM risks r JOIN serial s USING (id);
CREATE FUNCTION score_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.score := e2i_predict('hist', NEW); RETURN NEW; END $$;
CREATE TRIGGER score_row BEFORE INSERT OR UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION score_row();
UPDATE customers SET score = NULL;
SELECT count(*) FILTER (WHERE c.score IS DISTINCT FROM s.score) AS different FROM customers c JOIN serial s USING (id);

-- STABLE is not IMMUTABLE: a generated column or an index, which would outlive a deploy, is refused.
CREATE INDEX ON customers (e2i_predict('hist', ARRAY[f0, f1, f2, f3, f4, f5]));
ALTER TABLE customers ADD generated float8 GENERATED ALWAYS AS (e2i_predict('hist', ARRAY[f0, f1, f2, f3, f4, f5])) STORED;

DROP MATERIALIZED VIEW risks;
DROP VIEW risky;
DROP TABLE customers, serial, parallel;
DROP FUNCTION score_row;
SELECT e2i_drop_model('hist', force => true);
