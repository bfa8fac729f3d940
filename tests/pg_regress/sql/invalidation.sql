\set VERBOSITY default
SET client_min_messages = warning;
-- A deploy is seen by the next statement of every session, wherever the call is written; a statement that runs keeps the
-- version it began with.

-- y = x + k as an ONNX graph: a model whose answers tell which version gave them.
CREATE FUNCTION plus(k float4) RETURNS bytea LANGUAGE sql AS $$
    SELECT '\x08083a4c0a0e0a01780a016b12017922034164641201672a0b10014a04'::bytea
        || (SELECT string_agg(substring(float4send(k) FROM i FOR 1), '' ORDER BY i DESC) FROM generate_series(1, 4) i)
        || '\x42016b5a140a0178120f0a0d080112090a0312014e0a02080162140a0179120f0a0d080112090a0312014e0a02080142021011'
$$;
-- Registers y = x + k as the next version and deploys it.
CREATE FUNCTION deploy(k float4) RETURNS text LANGUAGE sql AS $$ SELECT e2i_register_model('m', plus(k), feature_names => '{x}', deploy => true) $$;
SELECT deploy(1);

-- The next statement, plain or prepared.
PREPARE predict(jsonb) AS SELECT e2i_predict('m', $1);
SET plan_cache_mode = force_generic_plan;
EXECUTE predict('{"x": 100}');
SELECT deploy(2);
EXECUTE predict('{"x": 100}');
SELECT e2i_predict('m', '{"x": 100}');
RESET plan_cache_mode;

-- The next execution of a function, in SQL or PL/pgSQL, immutable in name or not.
CREATE FUNCTION score_sql(x float8) RETURNS float8 LANGUAGE sql STABLE AS $$ SELECT e2i_predict('m', ARRAY[x]) $$;
CREATE FUNCTION score_plpgsql(x float8) RETURNS float8 LANGUAGE plpgsql AS $$ BEGIN RETURN e2i_predict('m', ARRAY[x]); END $$;
CREATE FUNCTION score_stable(x float8) RETURNS float8 LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN e2i_predict('m', ARRAY[x]); END $$;
SELECT score_sql(100), score_plpgsql(100), score_stable(100);
SELECT deploy(3);
SELECT score_sql(100), score_plpgsql(100), score_stable(100);
BEGIN;
SELECT score_sql(100), score_plpgsql(100), score_stable(100);
SELECT deploy(4);
SELECT score_sql(100), score_plpgsql(100), score_stable(100);
ROLLBACK;
SELECT score_sql(100), score_plpgsql(100), score_stable(100);

-- Within one block the same call sees what was deployed between two executions of it.
DO $$
DECLARE scores float8[];
BEGIN
    FOR k IN 1..3 LOOP
        scores := scores || e2i_predict('m', '{"x": 100}');
        PERFORM deploy(10 * k);
        scores := scores || e2i_predict('m', '{"x": 100}') || score_plpgsql(100);
    END LOOP;
    RAISE WARNING '%', scores;
END $$;
SELECT e2i_predict('m', '{"x": 100}');

-- An exception takes a deploy back, also for the call that has scored with it.
DO $$
DECLARE scores float8[];
BEGIN
    FOR k IN 1..3 LOOP
        scores := scores || score_plpgsql(100);
        BEGIN
            PERFORM deploy(40 + k);
            scores := scores || score_plpgsql(100) || score_stable(100);
            RAISE EXCEPTION 'no';
        EXCEPTION WHEN raise_exception THEN
            scores := scores || score_plpgsql(100) || score_stable(100);
        END;
    END LOOP;
    RAISE WARNING '%', scores;
END $$;

-- So it does where the snapshots before and after are the same: a transaction with a larger number has ended meanwhile.
DO $$
DECLARE scores float8[];
BEGIN
    BEGIN
        PERFORM deploy(44);
        BEGIN
            PERFORM deploy(45);
            RAISE EXCEPTION 'no';
        EXCEPTION WHEN raise_exception THEN NULL;
        END;
        scores := scores || score_plpgsql(100);
        RAISE EXCEPTION 'no';
    EXCEPTION WHEN raise_exception THEN
        scores := scores || score_plpgsql(100);
    END;
    RAISE WARNING '%', scores;
END $$;

-- So do ROLLBACK and ROLLBACK TO SAVEPOINT.
BEGIN;
SELECT deploy(50);
SELECT e2i_predict('m', '{"x": 100}');
SAVEPOINT a;
SELECT deploy(60);
SELECT e2i_predict('m', '{"x": 100}'), score_plpgsql(100);
ROLLBACK TO SAVEPOINT a;
SELECT e2i_predict('m', '{"x": 100}'), score_plpgsql(100);
ROLLBACK;
SELECT e2i_predict('m', '{"x": 100}'), score_plpgsql(100);
-- What was rolled back is not kept either.
SELECT r.model_version FROM ml_model_registry r ORDER BY r.model_version::int DESC LIMIT 1;
SELECT c.version FROM e2i_session_cache c WHERE NOT EXISTS (SELECT FROM ml_model_registry r WHERE (r.model_name, r.model_version) = (c.model, c.version));
BEGIN;
SELECT e2i_register_model('short', plus(1), feature_names => '{x}');
SELECT e2i_predict('short', '{"x": 100}');
ROLLBACK;
SELECT model, version FROM e2i_session_cache WHERE model = 'short';
SELECT e2i_predict('short', '{"x": 100}');

-- A cursor keeps the version that was deployed when it was opened, until it is closed.
BEGIN;
DECLARE c CURSOR FOR SELECT i, e2i_predict('m', ARRAY[i]) FROM generate_series(100, 105) i;
DECLARE late CURSOR FOR SELECT i, e2i_predict('m', ARRAY[i]) FROM generate_series(100, 105) i;
FETCH 2 FROM c;
SELECT deploy(70);
SELECT e2i_predict('m', '{"x": 100}');
FETCH 2 FROM c;
FETCH 2 FROM late;
SELECT deploy(80);
FETCH 1 FROM c;
CLOSE c;
DECLARE c CURSOR FOR SELECT i, e2i_predict('m', ARRAY[i]) FROM generate_series(100, 105) i;
FETCH 1 FROM c;
ROLLBACK;

-- A statement scores all its rows with one version, also when it deploys another one while it runs.
BEGIN;
SELECT i, CASE WHEN i = 2 THEN deploy(90) END AS deployed, e2i_predict('m', ARRAY[100]) AS score FROM generate_series(1, 4) i;
SELECT e2i_predict('m', '{"x": 100}');
ROLLBACK;

-- Whoever writes to the tables by hand is heard as well.
BEGIN;
UPDATE ml_bentoml_services s SET model_id = r.id, bento_tag = 'm:1', bento_version = '1'
FROM ml_model_registry r WHERE s.service_name = 'm' AND s.status = 'active' AND (r.model_name, r.model_version) = ('m', '1');
SELECT e2i_predict('m', '{"x": 100}'), score_plpgsql(100);
UPDATE ml_bentoml_services SET status = 'draining' WHERE service_name = 'm' AND status = 'active';
SAVEPOINT a;
\set VERBOSITY terse
SELECT e2i_predict('m', '{"x": 100}');
\set VERBOSITY default
ROLLBACK TO SAVEPOINT a;
SELECT e2i_set_alias('m', 'best', '2');
SELECT e2i_predict('m@best', '{"x": 100}');
SELECT e2i_set_alias('m', 'best', '3');
SELECT e2i_predict('m@best', '{"x": 100}');
TRUNCATE ml_model_registry, ml_model_aliases, ml_bentoml_services, ml_bentoml_serving_metrics;
SAVEPOINT a;
SELECT e2i_predict('m:1', '{"x": 100}');
ROLLBACK TO SAVEPOINT a;
SELECT score_plpgsql(100);
ROLLBACK;
SELECT e2i_predict('m', '{"x": 100}'), score_plpgsql(100);

-- The extension itself can go and come within a session.
BEGIN;
DROP FUNCTION deploy;
SET LOCAL e2i_serve.allow_drop = on;
DROP EXTENSION e2i_serve;
CREATE EXTENSION e2i_serve;
SAVEPOINT a;
SELECT e2i_predict('m', '{"x": 100}');
ROLLBACK TO SAVEPOINT a;
SELECT e2i_register_model('m', plus(500), feature_names => '{x}');
SELECT e2i_predict('m', '{"x": 100}'), score_plpgsql(100);
ROLLBACK;
SELECT e2i_predict('m', '{"x": 100}'), score_plpgsql(100);

DO $$ BEGIN PERFORM e2i_drop_model('m:' || model_version, force => true) FROM ml_model_registry WHERE model_name = 'm'; END $$;
SELECT (SELECT count(*) FROM ml_model_registry) AS versions, (SELECT count(*) FROM ml_model_artifacts) AS artifacts;
DROP FUNCTION deploy, score_sql, score_plpgsql, score_stable, plus;
