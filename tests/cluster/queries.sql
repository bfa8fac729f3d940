-- Queries that score, made at random from a seed: over several tables and models, in all places where a call may stand.
-- Read by queries.sh, which runs each with the plan node and without it.
CREATE SCHEMA queries;
SET search_path = queries, public;

-- --- rows --------------------------------------------------------------------------------------------------------------
-- 600 customers, some with what the models refuse: a NULL where a number must be, a word where none is known.
CREATE TABLE plain AS SELECT * FROM customers WHERE id <= 600;
ALTER TABLE plain ADD PRIMARY KEY (id);
UPDATE plain SET tenure_months = NULL WHERE id % 97 = 0;
VACUUM (ANALYZE) plain;
CREATE TABLE whole AS SELECT * FROM plain WHERE tenure_months IS NOT NULL AND engagement_score IS NOT NULL AND years_in_practice IS NOT NULL
    AND calls_last_quarter IS NOT NULL;
CREATE INDEX ON whole (region, id);
CREATE TABLE nothing (LIKE plain);
-- Columns that are not there any more, that came later, that are computed, and one that is stored outside of the row.
CREATE TABLE altered (gone text, id int, specialty text, years_in_practice numeric, tenure_months int, gone_too int, patient_volume bigint,
    doubled int GENERATED ALWAYS AS (tenure_months * 2) STORED, region varchar(20));
INSERT INTO altered (gone, id, specialty, years_in_practice, tenure_months, gone_too, patient_volume, region)
    SELECT 'x', id, specialty, years_in_practice, tenure_months, 1, patient_volume, region FROM plain WHERE id <= 300;
ALTER TABLE altered DROP COLUMN gone, DROP COLUMN gone_too, ADD calls_last_quarter int DEFAULT 3, ADD engagement_score float8 DEFAULT 41.5,
    ADD rx_last_quarter float4, ADD is_kol boolean DEFAULT true, ADD document text;
UPDATE altered SET document = (SELECT string_agg(md5(altered.id::text || n), '') FROM generate_series(1, 100) n) WHERE id % 20 = 0;
-- Partitions whose columns stand in another order; a child of a parent that has rows itself.
CREATE TABLE parted (LIKE plain) PARTITION BY LIST (region);
CREATE TABLE parted_west PARTITION OF parted FOR VALUES IN ('West');
CREATE TABLE parted_south (is_kol boolean, rx_last_quarter float4, gone int, engagement_score float8, calls_last_quarter int, patient_volume bigint,
    tenure_months int, years_in_practice int, region text, specialty text, id int NOT NULL);
ALTER TABLE parted_south DROP COLUMN gone;
ALTER TABLE parted ATTACH PARTITION parted_south FOR VALUES IN ('South');
CREATE TABLE parted_other PARTITION OF parted DEFAULT;
INSERT INTO parted SELECT * FROM plain WHERE id > 200;
CREATE TABLE parent (LIKE plain);
CREATE TABLE child (note text DEFAULT 'child') INHERITS (parent);
INSERT INTO parent SELECT * FROM plain WHERE id <= 100;
INSERT INTO child SELECT * FROM plain WHERE id BETWEEN 101 AND 250;
CREATE VIEW barrier WITH (security_barrier) AS SELECT * FROM plain WHERE tenure_months IS NOT NULL AND id % 3 <> 0;
CREATE VIEW narrow AS SELECT id, region, specialty, years_in_practice, tenure_months + 0 AS tenure_months, calls_last_quarter, coalesce(engagement_score, 1) AS
    engagement_score, patient_volume, rx_last_quarter, is_kol FROM plain;
CREATE MATERIALIZED VIEW stored AS SELECT * FROM plain WHERE id % 2 = 0;
CREATE EXTENSION IF NOT EXISTS file_fdw SCHEMA public;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
SELECT format('CREATE FOREIGN TABLE elsewhere (id int, specialty text, region text, years_in_practice int, tenure_months int, patient_volume bigint,
    calls_last_quarter int, engagement_score float8, rx_last_quarter float4, is_kol boolean) SERVER files OPTIONS (filename %L, format ''csv'', header ''true'')',
    current_setting('e2i_test.models') || '/customers.csv') \gexec
CREATE TABLE documents AS SELECT id, region, to_jsonb(p) AS features FROM plain p WHERE id <= 200;
ANALYZE;

-- --- models ------------------------------------------------------------------------------------------------------------
SELECT FROM e2i_register_model('linear', pg_read_binary_file(current_setting('e2i_test.models') || '/shape_regression_flat.onnx'),
    feature_names => '{years_in_practice,tenure_months,calls_last_quarter,engagement_score}');
SELECT FROM e2i_register_model('linear', pg_read_binary_file(current_setting('e2i_test.models') || '/shape_regression_flat.onnx'),
    feature_names => '{tenure_months,years_in_practice,calls_last_quarter,engagement_score}');
SELECT FROM e2i_register_model('level', pg_read_binary_file(current_setting('e2i_test.models') || '/trained/lgb_classes.txt'),
    feature_names => '{years_in_practice,tenure_months,calls_last_quarter,engagement_score,rx_last_quarter}', class_labels => '{low,middle,high}');
-- A service whose traffic is split.
SELECT FROM e2i_deploy('linear:1', service => 'split');
SELECT FROM e2i_set_traffic('split', '{"linear:1": 0.6, "linear:2": 0.4}', by => 'tenure_months');

-- Row-level security: the reader sees two thirds.
CREATE TABLE secret AS TABLE plain;
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY two_thirds ON secret USING (id % 3 <> 1 AND tenure_months IS NOT NULL);
CREATE ROLE reader;
GRANT USAGE ON SCHEMA queries TO reader;
GRANT SELECT, UPDATE, INSERT, DELETE ON ALL TABLES IN SCHEMA queries TO reader;
SELECT FROM e2i_grant_usage('reader', 'scorer');
GRANT TEMPORARY ON DATABASE postgres TO reader;

-- --- what a query is made of -------------------------------------------------------------------------------------------
-- 0 to n - 1; the next number of the seed's row of numbers. Not the server's random(), which the queries use.
CREATE FUNCTION roll(n int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    at bigint := current_setting('queries.at')::bigint + 1;
BEGIN
    PERFORM set_config('queries.at', at::text, false);
    RETURN abs(hashint8extended(at, current_setting('queries.seed')::bigint) % n);
END $$;
CREATE FUNCTION pick(VARIADIC of text[]) RETURNS text LANGUAGE sql AS $$ SELECT of[1 + roll(cardinality(of))] $$;

-- The features of a row c for a model.
CREATE FUNCTION features(model text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE
        WHEN model IN ('linear', 'split', 'linear:2', 'models:/linear/1') THEN pick('c', 'c', 'c', 'to_jsonb(c)', 'to_jsonb(c)::text',
            'ARRAY[c.years_in_practice, c.tenure_months, c.calls_last_quarter, c.engagement_score]',
            'ARRAY[c.years_in_practice::float8, c.tenure_months + 1, 3, coalesce(c.engagement_score, 0)]',
            'jsonb_build_object(''years_in_practice'', c.years_in_practice, ''tenure_months'', c.tenure_months, ''calls_last_quarter'', c.calls_last_quarter,
                ''engagement_score'', c.engagement_score)',
            'jsonb_build_object(''years_in_practice'', 100 / (c.id % 7), ''tenure_months'', c.tenure_months, ''calls_last_quarter'', c.calls_last_quarter,
                ''engagement_score'', 1)',
            '(SELECT s FROM (SELECT c.years_in_practice, c.tenure_months, c.calls_last_quarter, 7 AS engagement_score) s)',
            'ARRAY[c.years_in_practice::numeric, c.tenure_months * 2, c.calls_last_quarter::text::int, greatest(c.engagement_score, 1)]::float8[]',
            'ARRAY[c.years_in_practice, 100 / (c.id % 300 - 299), 3, c.engagement_score]', 'row_to_json(c)::text || repeat('' '', c.id % 3)',
            'CASE c.id WHEN 280 THEN ''{"x": "\u0000"}'' WHEN 410 THEN ''{no'' ELSE to_jsonb(c)::text END',
            '(SELECT s FROM (SELECT c.years_in_practice::numeric::float8 AS years_in_practice, c.tenure_months + 1 AS tenure_months, 60 / (c.id % 250 - 245) AS calls_last_quarter,
                coalesce(c.engagement_score, 0) AS engagement_score) s)',
            '(SELECT s FROM (SELECT (to_jsonb(c) ->> ''years_in_practice'')::int AS years_in_practice, substr(''12345678x'', c.id % 8 + 1 , c.id / 90 + 1)::int AS tenure_months,
                extract(epoch FROM to_timestamp(c.id)) AS calls_last_quarter, ln(c.id) AS engagement_score) s)')
        WHEN model = 'level' THEN pick('c', 'c', 'to_jsonb(c)', 'row_to_json(c)',
            'ARRAY[c.years_in_practice, c.tenure_months, c.calls_last_quarter, c.engagement_score, c.rx_last_quarter]')
        ELSE pick('c', 'c', 'c', 'to_jsonb(c)', 'row_to_json(c)::jsonb', 'to_jsonb(c) - ''id''')
    END
$$;
-- A call that gives a number or NULL, and one that gives a text.
CREATE FUNCTION number() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    model text := pick('churn', 'churn', 'volume', 'linear', 'linear', 'linear:2', 'models:/linear/1', 'split', 'level', 'unknown');
    f text := features(CASE model WHEN 'unknown' THEN 'churn' ELSE model END);
BEGIN
    IF model = 'unknown' AND roll(4) > 0 THEN model := 'churn'; END IF;
    RETURN CASE
        WHEN model = 'level' THEN format('(e2i_predict_proba(''level'', %s))[%s]', f, 1 + roll(3))
        WHEN roll(8) = 0 AND model = 'churn' THEN format('(e2i_predict_proba(''churn'', %s))[2]', f)
        WHEN roll(10) = 0 AND model = 'linear' THEN format('(e2i_predict_vector(''linear'', %s))[1]', f)
        WHEN roll(20) = 0 AND model = 'linear:2' THEN format('e2i_predict_pinned(''linear:2'', %s)', f)
        WHEN roll(20) = 0 AND model = 'linear' THEN format('e2i_predict(''linear:'' || 1 + c.id %% 2, %s)', f)
        ELSE format('e2i_predict(%L, %s)', model, f)
    END;
END $$;
CREATE FUNCTION word() RETURNS text LANGUAGE sql AS $$
    SELECT CASE roll(2) WHEN 0 THEN format('e2i_predict_label(''churn'', %s)', features('churn')) ELSE format('e2i_predict_label(''level'', %s)', features('level')) END
$$;
-- An expression with a call, perhaps guarded, perhaps beside what changes from row to row.
CREATE FUNCTION value() RETURNS text LANGUAGE sql AS $$
    SELECT CASE roll(12)
        WHEN 0 THEN format('CASE WHEN c.id %% 2 = 0 THEN %s END', number())
        WHEN 1 THEN format('CASE WHEN c.tenure_months IS NULL OR c.engagement_score IS NULL THEN -1 ELSE %s END', number())
        WHEN 2 THEN format('coalesce(c.engagement_score, %s)', number())
        WHEN 3 THEN format('round(%s::numeric, 4)', number())
        WHEN 4 THEN format('%s + %s', number(), number())
        WHEN 5 THEN format('%s / (c.id %% 11)', number())
        WHEN 6 THEN format('%s + 0 * random()', number())
        WHEN 7 THEN format('greatest(%s, c.patient_volume)', number())
        ELSE number()
    END
$$;
CREATE FUNCTION condition() RETURNS text LANGUAGE sql AS $$
    SELECT CASE roll(12)
        WHEN 0 THEN format('%s > 0.3', number())
        WHEN 1 THEN format('%s BETWEEN 0.1 AND 20', number())
        WHEN 2 THEN format('c.tenure_months IS NOT NULL AND c.engagement_score IS NOT NULL AND %s > 0', number())
        WHEN 3 THEN format('(c.id < 50 OR %s < 0.5)', number())
        WHEN 4 THEN format('%s = ''high''', word())
        WHEN 5 THEN format('c.region <> ''West'' AND %s IS NOT NULL', number())
        WHEN 6 THEN 'c.id % 5 = 1'
        WHEN 7 THEN 'c.region LIKE ''%st'''
        WHEN 8 THEN '100 / (c.id % 13) > 7'
        WHEN 9 THEN 'c.specialty = ''Oncology'''
        ELSE 'true'
    END
$$;
CREATE FUNCTION source() RETURNS text LANGUAGE sql AS $$
    SELECT pick('plain', 'plain', 'whole', 'whole', 'whole', 'nothing', 'altered', 'parted', 'parted', 'parent', 'barrier', 'narrow', 'stored', 'elsewhere', 'secret',
        '(SELECT * FROM whole ORDER BY specialty, id LIMIT 150)', '(SELECT DISTINCT ON (region, specialty) * FROM whole ORDER BY region, specialty, id)',
        '(SELECT * FROM whole UNION ALL SELECT * FROM stored)')
$$;
-- {statement, is ordered, reads all}
CREATE FUNCTION question() RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    t text := source();
    w text := condition();
BEGIN
    CASE roll(40)
        WHEN 0 THEN RETURN ARRAY[format('SELECT c.id, %s AS a, %s AS b FROM %s c WHERE %s', value(), word(), t, w), 'f', 't'];
        WHEN 1 THEN RETURN ARRAY[format('SELECT c.id, %s AS a FROM %s c WHERE %s ORDER BY 2 DESC, 1 LIMIT %s', value(), t, w, roll(30)), 't', 'f'];
        WHEN 2 THEN RETURN ARRAY[format('SELECT c.id, %s AS a FROM %s c WHERE %s ORDER BY c.id OFFSET %s LIMIT %s', value(), t, w, roll(20), roll(40)), 't', 'f'];
        WHEN 3 THEN RETURN ARRAY[format('SELECT c.id, %s AS a FROM %s c WHERE %s LIMIT %s', value(), t, w, roll(40)), 'f', 'f'];
        WHEN 4 THEN RETURN ARRAY[format('SELECT c.region, min(%s) AS a, count(*) AS n FROM %s c WHERE %s GROUP BY 1', value(), t, w), 'f', 't'];
        WHEN 5 THEN RETURN ARRAY[format('SELECT max(%s) AS a, count(%s) AS b FROM %s c WHERE %s', value(), number(), t, w), 'f', 't'];
        WHEN 6 THEN RETURN ARRAY[format('SELECT c.region, count(*) FILTER (WHERE %s) AS n, max(%s) FILTER (WHERE c.id %% 2 = 0) AS m FROM %s c GROUP BY ROLLUP (1)', condition(), number(), t), 'f', 't'];
        WHEN 7 THEN RETURN ARRAY[format('SELECT round(%s::numeric, 1) AS a, count(*) AS n FROM %s c WHERE %s GROUP BY 1', number(), t, w), 'f', 't'];
        WHEN 8 THEN RETURN ARRAY[format('SELECT DISTINCT %s AS a FROM %s c WHERE %s', word(), t, w), 'f', 't'];
        WHEN 9 THEN RETURN ARRAY[format('SELECT c.id, rank() OVER (PARTITION BY c.region ORDER BY %s, c.id) AS r FROM %s c WHERE %s', number(), t, w), 'f', 't'];
        WHEN 10 THEN RETURN ARRAY[format('SELECT c.id, max(%s) OVER (PARTITION BY c.specialty ORDER BY c.id ROWS 2 PRECEDING) AS m, row_number() OVER (ORDER BY c.id) AS n FROM %s c WHERE %s', value(), t, w), 'f', 't'];
        WHEN 11 THEN RETURN ARRAY[format('SELECT c.id, d.id AS other, %s AS a FROM %s c JOIN whole d ON d.id = c.id + %s WHERE %s', value(), t, roll(5), w), 'f', 't'];
        WHEN 12 THEN RETURN ARRAY[format('SELECT d.id, c.id AS other, %s AS a FROM whole d LEFT JOIN %s c ON c.id = d.id + 90', number(), t), 'f', 't'];
        WHEN 13 THEN RETURN ARRAY[format('SELECT d.id, c.a FROM whole d, LATERAL (SELECT %s AS a FROM %s c WHERE c.id = d.id + 1 OFFSET 0) c WHERE d.id < 60', value(), t), 'f', 't'];
        WHEN 14 THEN RETURN ARRAY[format('SELECT d.id, (SELECT max(%s) FROM %s c WHERE c.id BETWEEN d.id AND d.id + 3) AS m FROM whole d WHERE d.id < 40', number(), t), 'f', 't'];
        WHEN 15 THEN RETURN ARRAY[format('SELECT d.id FROM whole d WHERE EXISTS (SELECT FROM %s c WHERE c.region = d.region AND %s) AND d.id < 100', t, condition()), 'f', 't'];
        WHEN 16 THEN RETURN ARRAY[format('SELECT d.id FROM whole d WHERE d.id IN (SELECT c.id FROM %s c WHERE %s ORDER BY %s LIMIT 7)', t, w, number()), 'f', 'f'];
        WHEN 17 THEN RETURN ARRAY[format('WITH s AS %s (SELECT c.id, %s AS a FROM %s c WHERE %s) SELECT x.id, x.a, y.a AS b FROM s x JOIN s y ON y.id = x.id + 1', pick('MATERIALIZED', 'NOT MATERIALIZED', ''), value(), t, w), 'f', 't'];
        WHEN 18 THEN RETURN ARRAY[format('SELECT c.id, %s AS a FROM %s c WHERE c.id < 100 UNION ALL SELECT c.id, %s FROM whole c WHERE %s', number(), t, number(), w), 'f', 't'];
        WHEN 19 THEN RETURN ARRAY[format('SELECT c.id, e2i_predict(''linear'', c) AS a, (e2i_predict_vector(''linear'', c))[1] AS b, e2i_predict(''churn'', c) AS x, e2i_predict_label(''churn'', c) AS y, e2i_predict_proba(''churn'', c)::text AS z FROM %s c WHERE %s', t, w), 'f', 't'];
        WHEN 20 THEN RETURN ARRAY[format('SELECT s.id, s.a FROM (SELECT c.id, %s AS a FROM %s c OFFSET 0) s WHERE s.a > 0.2 AND s.id > 20', number(), t), 'f', 't'];
        WHEN 21 THEN RETURN ARRAY[format('WITH RECURSIVE r (id, a, n) AS (SELECT c.id, %s, 1 FROM whole c WHERE c.id < 5 UNION ALL SELECT c.id, %s, r.n + 1 FROM r JOIN whole c ON c.id = r.id + 5 WHERE r.n < 5) SELECT id, a, n FROM r', 'e2i_predict(''linear'', c)', 'e2i_predict(''linear'', c)'), 'f', 't'];
        WHEN 22 THEN RETURN ARRAY[format('SELECT d.id, %s AS a FROM documents d WHERE %s', pick('e2i_predict(''churn'', d.features)', 'e2i_predict(''linear'', d.features)', 'e2i_predict_label(''churn'', d.features::text)'), pick('d.id < 90', 'd.region = ''West''', 'e2i_predict(''churn'', d.features) > 0.2')), 'f', 't'];
        WHEN 23 THEN RETURN ARRAY[format('UPDATE %s c SET patient_volume = (%s) WHERE %s', pick('plain', 'whole', 'altered', 'parted', 'parent', 'secret'), value(), w), 'd', 't'];
        WHEN 24 THEN RETURN ARRAY[format('DELETE FROM %s c WHERE %s', pick('plain', 'whole', 'parted', 'parent', 'secret'), condition()), 'd', 't'];
        WHEN 25 THEN RETURN ARRAY[format('INSERT INTO nothing (id, engagement_score) SELECT c.id, %s FROM %s c WHERE %s', value(), t, w), 'd', 't'];
        WHEN 26 THEN RETURN ARRAY[format('UPDATE plain c SET engagement_score = %s FROM whole d WHERE d.id = c.id + 1 AND %s', value(), w), 'd', 't'];
        WHEN 27 THEN RETURN ARRAY[format('MERGE INTO plain p USING %s c ON p.id = c.id + 1 WHEN MATCHED AND c.id %% 2 = 0 THEN UPDATE SET engagement_score = %s WHEN NOT MATCHED AND c.id < 100 THEN INSERT (id, engagement_score) VALUES (c.id + 10000, %s)',
                pick('whole', 'stored', 'barrier'), value(), number()), 'd', 't'];
        WHEN 28 THEN RETURN ARRAY[format('SELECT c.id, %s AS a FROM whole c ORDER BY c.region, c.id FOR UPDATE', number()), 't', 't'];
        WHEN 29 THEN RETURN ARRAY[format('SELECT c.id, max(%s) AS a, count(*) AS n FROM (SELECT * FROM %s ORDER BY id OFFSET 0) c GROUP BY c.id ORDER BY c.id LIMIT %s', value(), t, roll(120)), 't', 'f'];
        WHEN 30 THEN RETURN ARRAY[format('SELECT c.id, max(%s) OVER (PARTITION BY c.region) AS m, count(%s) OVER (ORDER BY c.region) AS n FROM %s c WHERE %s', value(), number(), t, w), 'f', 't'];
        WHEN 31 THEN RETURN ARRAY[format('SELECT c.id, max(%s) OVER (ORDER BY c.id) AS m, count(*) FILTER (WHERE %s > 1) OVER (PARTITION BY c.id %% 100) AS n FROM %s c ORDER BY c.id LIMIT %s', value(), number(), pick('plain', 'whole', 'altered', 'stored'), roll(120)), 't', 'f'];
        WHEN 32 THEN RETURN ARRAY[format('UPDATE %s c SET patient_volume = c.id WHERE %s RETURNING c.id, %s AS a', pick('plain', 'whole', 'altered', 'parted', 'parent', 'secret'), w, value()), 'r', 't'];
        WHEN 33 THEN RETURN ARRAY[format('WITH gone AS (DELETE FROM %s c WHERE %s RETURNING c.*, %s AS a) SELECT c.id, c.a, %s AS b FROM gone c', pick('plain', 'whole', 'parted', 'secret'), w, value(), number()), 'r', 't'];
        WHEN 34 THEN RETURN ARRAY[format('INSERT INTO plain AS c (id, engagement_score, tenure_months, years_in_practice, calls_last_quarter) SELECT id + 300, 1, 2, 3, 4 FROM whole WHERE id < 400 ON CONFLICT (id) DO UPDATE SET engagement_score = %s WHERE %s RETURNING c.id, %s AS a',
                value(), condition(), number()), 'r', 't'];
        WHEN 35 THEN RETURN ARRAY[format('SELECT c.id, d.id AS other FROM %s c JOIN whole d ON d.id = round(%s) WHERE %s', t, number(), w), 'f', 't'];
        WHEN 36 THEN RETURN ARRAY[format('SELECT c.id, d.id AS other FROM %s c LEFT JOIN whole d ON d.id = c.id AND %s > 0.3', t, number()), 'f', 't'];
        WHEN 37 THEN RETURN ARRAY[format('SELECT c.id, %s AS a FROM %s c WHERE c.id * 2 > 300 AND %s', value(), t, w), 'f', 't'];
        WHEN 38 THEN RETURN ARRAY[format('SELECT s.id, s.a, s.m FROM (SELECT c.id, e2i_predict_pinned(''linear:2'', c) AS a, %s AS m FROM %s c) s WHERE s.a > 3 AND s.id < 300', number(), t), 'f', 't'];
        ELSE RETURN ARRAY[format('SELECT c.specialty, array_agg(c.id ORDER BY %s, c.id) AS ids FROM %s c WHERE %s GROUP BY 1 HAVING max(%s) > 0', value(), t, w, number()), 'f', 't'];
    END CASE;
END $$;

-- --- what comes of a query -------------------------------------------------------------------------------------------------
-- A digest of the rows, or the error; whatever the statement changes is taken back.
CREATE FUNCTION outcome(statement text, kind text, manner text, is_parallel bool) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    said text;
    many bigint := 0;
    r record;
    c refcursor;
    step int;
BEGIN
    IF manner = 'prepared' AND EXISTS (SELECT FROM pg_prepared_statements WHERE name = 'asked') THEN DEALLOCATE asked; END IF;
    BEGIN
        IF kind = 'd' THEN
            EXECUTE statement;
            GET DIAGNOSTICS many = ROW_COUNT;
            SELECT md5(string_agg(a::text, '/' ORDER BY a::text COLLATE "C")) INTO said FROM
                (SELECT p::text FROM plain p UNION ALL SELECT p::text FROM whole p UNION ALL SELECT p::text FROM altered p UNION ALL SELECT p::text FROM parted p
                 UNION ALL SELECT p::text FROM parent p UNION ALL SELECT p::text FROM secret p UNION ALL SELECT p::text FROM nothing p) AS s (a);
        ELSIF manner = 'loop' OR kind = 'r' THEN
            said := '';
            FOR r IN EXECUTE statement LOOP
                many := many + 1;
                said := md5(said || r::text);
                EXIT WHEN many = 50 AND kind <> 'r';
            END LOOP;
        ELSIF manner = 'cursor' THEN
            said := '';
            OPEN c NO SCROLL FOR EXECUTE statement;
            LOOP
                FETCH c INTO r;
                EXIT WHEN NOT FOUND OR many = 10;
                many := many + 1;
                said := md5(said || r::text);
            END LOOP;
            CLOSE c;
        ELSIF manner = 'back' THEN
            -- A cursor that may go back, or not: where it cannot, that is the error.
            said := '';
            EXECUTE 'DECLARE back CURSOR FOR ' || statement;
            c := 'back';
            FOREACH step IN ARRAY ARRAY[7, -3, 5, -20, 30] LOOP
                FOR i IN 1..abs(step) LOOP
                    IF step > 0 THEN FETCH NEXT FROM c INTO r; ELSE FETCH PRIOR FROM c INTO r; END IF;
                    EXIT WHEN NOT FOUND;
                    many := many + 1;
                    said := md5(said || r::text);
                END LOOP;
            END LOOP;
            CLOSE c;
        ELSIF manner = 'prepared' THEN
            -- With the first model as a parameter.
            EXECUTE format('PREPARE asked (text) AS %s', regexp_replace(statement, $r$(e2i_predict(?:_label|_proba|_vector|_pinned)?\()'[^']+'$r$, '\1$1'));
            EXECUTE format('CREATE TEMP TABLE got AS EXECUTE asked(%L)', substring(statement FROM $r$e2i_predict(?:_label|_proba|_vector|_pinned)?\('([^']+)'$r$));
            EXECUTE format('SELECT count(*), md5(string_agg(g::text, ''/'' ORDER BY %s)) FROM got g', CASE kind WHEN 't' THEN 'ctid' ELSE 'g::text COLLATE "C"' END) INTO many, said;
        ELSE
            IF statement LIKE '% FOR UPDATE' THEN
                EXECUTE format('SELECT count(*), md5(string_agg(r::text, ''/'')) FROM (%s) r', statement) INTO many, said;
            ELSE
                EXECUTE 'CREATE TEMP TABLE got AS ' || statement;
                EXECUTE format('SELECT count(*), md5(string_agg(g::text, ''/'' ORDER BY %s)) FROM got g', CASE kind WHEN 't' THEN 'ctid' ELSE 'g::text COLLATE "C"' END) INTO many, said;
            END IF;
        END IF;
        RAISE EXCEPTION USING ERRCODE = 'ZZ000', MESSAGE = coalesce(said, 'no rows');
    EXCEPTION WHEN OTHERS THEN
        -- Which of several processes meets its wrong row first is nobody's to say.
        RETURN SQLSTATE || CASE WHEN SQLSTATE = 'ZZ000' THEN format(' %s %s', many, SQLERRM) WHEN is_parallel THEN '' ELSE format(' %s %s', many, SQLERRM) END;
    END;
END $$;

CREATE TABLE asked (n int PRIMARY KEY, statement text, kind text, manner text, is_parallel bool, settings text[]);
CREATE FUNCTION make(many int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    q text[];
    how text;
    is_parallel bool;
BEGIN
    FOR i IN 1..many LOOP
        q := question();
        is_parallel := roll(3) = 0 AND q[2] NOT IN ('d', 'r') AND q[3] = 't';
        how := CASE WHEN is_parallel THEN pick('table', 'table', 'prepared') ELSE pick('table', 'table', 'prepared', 'loop', 'cursor', 'back') END;
        IF q[1] LIKE '% FOR UPDATE' AND how = 'prepared' THEN how := 'table'; END IF;
        INSERT INTO asked VALUES (i, q[1], q[2], how, is_parallel, ARRAY[
            'max_parallel_workers_per_gather=' || CASE WHEN is_parallel THEN 2 ELSE 0 END,
            'enable_hashagg=' || pick('on', 'on', 'off'), 'enable_hashjoin=' || pick('on', 'on', 'off'), 'enable_mergejoin=' || pick('on', 'on', 'off'),
            'enable_nestloop=' || pick('on', 'on', 'off'), 'enable_seqscan=' || pick('on', 'on', 'on', 'off'), 'enable_sort=' || pick('on', 'on', 'off'),
            'enable_partitionwise_aggregate=' || pick('on', 'off'), 'enable_partitionwise_join=' || pick('on', 'off'), 'jit=off', 'plan_cache_mode=' || pick('auto', 'force_generic_plan'),
            'work_mem=' || pick('64kB', '4MB'), 'e2i_serve.batch_size=' || pick('1', '2', '7', '1024', '1024'), 'e2i_serve.engine=' || pick('auto', 'auto', 'auto', 'onnxruntime'),
            'role=' || CASE WHEN roll(6) = 0 OR q[1] LIKE '%secret%' THEN 'reader' ELSE 'none' END]);
    END LOOP;
END $$;
-- Rows scored and calls failed, of all sessions so far.
CREATE FUNCTION total() RETURNS bigint LANGUAGE sql AS $$ SELECT coalesce(sum(predictions + errors), 0)::bigint FROM e2i_serving_stats $$;
-- The same with references that are not known before the statement runs: nothing is prepared for them when it is planned.
CREATE FUNCTION opaque(statement text) RETURNS text LANGUAGE sql AS $$
    SELECT regexp_replace(statement, $r$(e2i_predict(?:_label|_proba|_vector)?\()('[^']+')$r$, '\1(SELECT \2::text)', 'g')
$$;
-- Without the node, with it, and without it again: what statements took back makes tables longer, and plans change with that.
CREATE TABLE answers (n int, run text, answer text, counted bigint, PRIMARY KEY (n, run));
CREATE PROCEDURE answer(first int, last int) LANGUAGE plpgsql AS $$
DECLARE
    q asked;
    mode text;
    said text;
    before bigint;
BEGIN
    FOR q IN SELECT * FROM asked WHERE n BETWEEN first AND last ORDER BY n LOOP
        FOREACH mode IN ARRAY ARRAY['off', 'on', 'again', 'opaque'] LOOP
            before := total();
            PERFORM set_config('e2i_serve.batch_scan', CASE mode WHEN 'on' THEN 'on' ELSE 'off' END, false);
            PERFORM set_config(split_part(s, '=', 1), split_part(s, '=', 2), false) FROM unnest(q.settings) s;
            said := outcome(CASE mode WHEN 'opaque' THEN opaque(q.statement) ELSE q.statement END, q.kind, q.manner, q.is_parallel);
            RESET role;
            COMMIT; -- which hands over what was counted
            INSERT INTO answers VALUES (q.n, mode, said, total() - before);
        END LOOP;
    END LOOP;
END $$;
-- Whether the plan has the node.
CREATE FUNCTION is_batched(statement text) RETURNS bool LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN ' || statement LOOP
        IF line LIKE '%E2iScore%' THEN RETURN true; END IF;
    END LOOP;
    RETURN false;
EXCEPTION WHEN OTHERS THEN
    RETURN false;
END $$;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA queries TO reader;
