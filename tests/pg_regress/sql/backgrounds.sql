-- Rows to compare with: why a row has its score, against them.
\set VERBOSITY default
SET client_min_messages = warning;
CALL regress.begin_anew();
SET e2i_serve.instruction_set = 'portable';
\set models `echo "$E2I_MODELS"`
\set risk :models '/trained/xgb_base_score.json'
\set logistic :models '/skops/logistic_binary.skops'
\set wide :models '/breast_logistic.onnx'
SELECT e2i_register_model('risk', pg_read_binary_file(:'risk')) IS NOT NULL,
    e2i_register_model('logistic', pg_read_binary_file(:'logistic')) IS NOT NULL,
    e2i_register_model('wide', pg_read_binary_file(:'wide')) IS NOT NULL;
CREATE TEMP TABLE rows (id int, f0 float8, f1 float8, f2 float8, f3 float8, f4 float8);
INSERT INTO rows SELECT i, sin(i) * 0.2, cos(i), CASE WHEN i % 3 > 0 THEN sin(i * 7) * 10 END, cos(i * 5) * 0.1, sin(i * 3) FROM generate_series(1, 40) i;

-- Without any, it says what to do.
SELECT e2i_contributions('risk:1', '[1, 2, 3, 4, 5]', method => 'interventional');
SELECT e2i_contributions('risk:1', '[1, 2, 3, 4, 5]', space => 'probability');
SELECT e2i_base_value('wide:1', space => 'probability');

-- A relation, or a query; of more rows than are to be kept some are drawn.
SELECT e2i_set_background('risk:1', 'rows', most => 7), e2i_set_background('risk:1', 'SELECT * FROM rows WHERE id <= 12;');
SELECT e2i_set_background('risk:1', 'nowhere');
SELECT e2i_set_background('risk:1', 'SELECT f0, f1 FROM rows');
SELECT e2i_set_background('risk:1', 'SELECT * FROM rows WHERE false');
SELECT e2i_set_background('risk:1', 'rows', most => 0);
SELECT source, rows_read, rows_kept FROM ml_model_backgrounds;

-- By definition: the worth of a coalition of features is the mean over the background of what the model says of rows with the row's
-- values for the coalition. All 32 are played here, in SQL.
CREATE FUNCTION worth(coalition int, of rows, space text) RETURNS float8 LANGUAGE sql AS $$
    SELECT avg(CASE space WHEN 'margin' THEN ln(p / (1 - p)) ELSE p END) FROM rows b, LATERAL (SELECT e2i_predict('risk:1', ARRAY[
        CASE WHEN coalition & 1 > 0 THEN of.f0 ELSE b.f0 END, CASE WHEN coalition & 2 > 0 THEN of.f1 ELSE b.f1 END,
        CASE WHEN coalition & 4 > 0 THEN of.f2 ELSE b.f2 END, CASE WHEN coalition & 8 > 0 THEN of.f3 ELSE b.f3 END,
        CASE WHEN coalition & 16 > 0 THEN of.f4 ELSE b.f4 END]) AS p) s WHERE b.id <= 12
$$;
CREATE FUNCTION truth(of rows, space text) RETURNS float8[] LANGUAGE sql AS $$
    WITH w AS MATERIALIZED (SELECT c, bit_count(c::bit(5)) AS size, worth(c, of, space) AS w FROM generate_series(0, 31) c)
    SELECT array_agg(added ORDER BY player) FROM (
        SELECT player, sum((b.w - a.w) * factorial(a.size::int) * factorial(4 - a.size::int) / 120) AS added
        FROM generate_series(0, 4) player, w a, w b WHERE a.c & (1 << player) = 0 AND b.c = a.c | (1 << player) GROUP BY player) s
$$;
SELECT space, bool_and((SELECT max(abs(a - b)) FROM unnest(truth(r, space), e2i_contributions('risk:1', r, space, method => method)) u (a, b)) < 2e-5) AS same,
    bool_and(abs(e2i_base_value('risk:1', space, method => method) - worth(0, r, space)) < 2e-5) AS base
FROM rows r, (VALUES ('margin', 'interventional'), ('margin', 'sampled'), ('probability', NULL), ('probability', 'sampled'), ('output', 'interventional')) o (space, method)
WHERE id BETWEEN 20 AND 24 GROUP BY space, method ORDER BY space, method;

-- What is scaled adds up to the probability, too, and is not the same.
SELECT bool_and(abs(e2i_base_value('risk:1', 'probability_scaled') + (SELECT sum(c) FROM unnest(e2i_contributions('risk:1', r, 'probability_scaled')) c)
    - e2i_predict('risk:1', r)) < 1e-6) AS adds_up,
    bool_or(e2i_contributions('risk:1', r, 'probability_scaled') <> e2i_contributions('risk:1', r, 'probability')) AS differs
FROM rows r;

-- The covers of a file are not replaced: they are the method where nothing is said.
SELECT e ->> 'method', e -> 'background' FROM e2i_explain('risk:1', '[0, 0, 0, 0, 0]') e;
SELECT e ->> 'method', (e -> 'background') - 'set_at' - 'set_by', (e ->> 'additivity_error')::float8 < 1e-12
FROM e2i_explain('risk:1', '[0, 0, 0, 0, 0]', space => 'probability') e;

-- Any model is explained by being asked, in what it predicts.
SELECT e2i_contributions('logistic:1', '[1, 2, 3, 4, 5]');
SELECT e2i_contributions('logistic:1', '[1, 2, 3, 4, 5]', method => 'path_dependent');
SELECT e2i_set_background('logistic:1', $$SELECT i * 3.0 AS tenure, i % 5 AS calls, i * 50.0 - 500 AS balance, i / 21.0 AS ratio, sin(i) AS score FROM generate_series(1, 20) i$$);
SELECT abs(e2i_base_value('logistic:1', 'probability') + sum(c) - e2i_predict('logistic:1', '[30, 2, 100, 0.5, 0.1]')) < 1e-12 AS adds_up
FROM unnest(e2i_contributions('logistic:1', '[30, 2, 100, 0.5, 0.1]', 'probability')) c;

-- With many features orders are drawn, the same each time, and it says how close that is.
SELECT format('SELECT %s FROM generate_series(1, 5) i', string_agg(format('abs(sin(i * %s)) * 10 AS %I', position, name), ', ')) AS query
FROM e2i_describe_model('wide:1') WHERE kind = 'feature' \gset
SELECT e2i_set_background('wide:1', :'query');
SELECT format('SELECT %s', string_agg(format('cos(%s) * 10 AS %I', position, name), ', ')) AS row FROM e2i_describe_model('wide:1') WHERE kind = 'feature' \gset
CREATE TEMP TABLE wide AS :row;
SELECT e2i_contributions('wide:1', w, 'probability', method => 'interventional') FROM wide w;
SELECT e ->> 'method', (e ->> 'additivity_error')::float8 < 1e-9, (e #>> '{contributions,0,standard_error}')::float8 BETWEEN 0 AND 0.1,
    e2i_contributions('wide:1', w, 'probability') = e2i_contributions('wide:1', w, 'probability', method => 'sampled') AS again
FROM wide w, e2i_explain('wide:1', w, 'probability') e;

-- It is read with the caller's rights, set by who deploys, and goes with its version.
CREATE ROLE regress_background;
SET ROLE regress_background;
SELECT e2i_set_background('risk:1', 'SELECT 1');
RESET ROLE;
SELECT e2i_grant_usage('regress_background', 'deployer');
CREATE TABLE regress.secret AS SELECT * FROM rows;
SET ROLE regress_background;
SELECT e2i_set_background('risk:1', 'SELECT * FROM regress.secret');
SELECT count(*) FROM ml_model_backgrounds;
RESET ROLE;
DROP TABLE regress.secret;
DROP OWNED BY regress_background;
DROP ROLE regress_background;
SELECT count(*) FROM ml_model_events WHERE action = 'background';
DROP FUNCTION truth(rows, text);
DROP FUNCTION worth(int, rows, text);
SELECT count(e2i_drop_model(name || ':1', force => true)) FROM unnest(ARRAY['risk', 'logistic', 'wide']) name;
SELECT count(*) FROM ml_model_backgrounds;
