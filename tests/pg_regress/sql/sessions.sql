\set VERBOSITY default
SET client_min_messages = warning;
CALL regress.begin_anew();
-- A session keeps the models it has loaded, and always scores with the version that the registry names.

-- y = x + k as an ONNX graph: a model whose answers tell which version gave them.
CREATE FUNCTION plus(k float4) RETURNS bytea LANGUAGE sql AS $$
    SELECT '\x08083a4c0a0e0a01780a016b12017922034164641201672a0b10014a04'::bytea
        || (SELECT string_agg(substring(float4send(k) FROM i FOR 1), '' ORDER BY i DESC) FROM generate_series(1, 4) i)
        || '\x42016b5a140a0178120f0a0d080112090a0312014e0a02080162140a0179120f0a0d080112090a0312014e0a02080142021011'
$$;
SELECT e2i_register_model('sum', plus(1), feature_names => '{x}');
SELECT e2i_register_model('sum', plus(2), feature_names => '{x}');
SELECT e2i_predict('sum', '{"x": 10}') AS sum, e2i_predict('sum:1', '{"x": 10}') AS "sum:1", e2i_predict('sum:2', '{"x": 10}') AS "sum:2";

-- The view e2i_session_cache shows what this session has loaded, most recently used first.
\c -
SET client_min_messages = warning;
SELECT * FROM e2i_session_cache;
SELECT e2i_predict('sum', '{"x": 10}');
SELECT model, version, engine, loads, hits, bytes > 0 AS bytes, load_time > '0' AS load_time, last_used > now() - interval '1 hour' AS last_used
FROM e2i_session_cache;

-- A hit is counted once a statement, not once a row.
SELECT sum(e2i_predict('sum', ARRAY[i])) FROM generate_series(1, 1000) i;
SELECT model, version, loads, hits FROM e2i_session_cache;

-- A loaded version is found under every reference that leads to it.
SELECT e2i_set_alias('sum', 'champion', '1');
SELECT e2i_predict('sum:1', '{"x": 10}');
SELECT e2i_predict('sum@champion', '{"x": 10}');
SELECT e2i_predict('models:/sum/1', '{"x": 10}');
SELECT e2i_predict('models:/sum@champion', '{"x": 10}');
SELECT e2i_serve('sum', '{"features": {"x": 10}}') -> 'predictions' AS predictions;
SELECT model, version, loads, hits FROM e2i_session_cache;
SELECT e2i_drop_alias('sum', 'champion');

-- e2i_prewarm loads a model before it is needed; e2i_clear_session_cache forgets all.
SELECT e2i_prewarm('sum:2');
SELECT model, version, loads, hits FROM e2i_session_cache;
SELECT e2i_clear_session_cache();
SELECT count(*) FROM e2i_session_cache;
SELECT e2i_predict('sum:2', '{"x": 10}');
SELECT e2i_clear_session_cache();
SELECT e2i_clear_session_cache();

-- e2i_serve.session_cache_size bounds the memory of loaded models; the least recently used goes first.
\c -
SET client_min_messages = warning;
SELECT e2i_prewarm('sum:1');
SELECT bytes / 1024 * 3 / 2 AS one_and_a_half FROM e2i_session_cache \gset
SET e2i_serve.session_cache_size = :one_and_a_half;
SELECT e2i_predict('sum:1', '{"x": 10}'), e2i_predict('sum:1', '{"x": 20}');
SELECT e2i_predict('sum:2', '{"x": 10}');
SELECT e2i_predict('sum:1', '{"x": 10}');
SELECT e2i_predict('sum:2', '{"x": 10}');
SELECT e2i_predict('sum:1', '{"x": 10}');
SELECT model, version, loads FROM e2i_session_cache;
-- The model in use always stays, whatever the limit; a statement may use several.
SET e2i_serve.session_cache_size = 0;
SELECT e2i_predict('sum:2', '{"x": 10}');
SELECT e2i_predict('sum:2', '{"x": 10}');
SELECT sum(e2i_predict('sum:1', ARRAY[i])), sum(e2i_predict('sum:2', ARRAY[i])) FROM generate_series(1, 1000) i;
SELECT sum(e2i_predict('sum:' || 1 + i % 2, ARRAY[i])) FROM generate_series(1, 1000) i;
SELECT count(*) FROM e2i_session_cache;
RESET e2i_serve.session_cache_size;
-- A thousand rows with alternating models have loaded each of them once more, not a thousand times.
SELECT e2i_predict('sum:1', '{"x": 10}'), e2i_predict('sum:2', '{"x": 10}');
SELECT version, loads FROM e2i_session_cache ORDER BY version;

-- What a version is scored with is kept by its identity: two models of the same bytes share the stored artifact only.
SELECT e2i_register_model('twin', plus(1), feature_names => '{x}');
SELECT e2i_predict('twin', '{"x": 10}');
SELECT r.model_name, count(*) OVER (PARTITION BY r.artifact_sha256) AS sharing, (SELECT count(*) FROM ml_model_artifacts a WHERE a.sha256 = r.artifact_sha256) AS stored
FROM ml_model_registry r ORDER BY 1, r.model_version;
SELECT e2i_drop_model('twin', force => true);
SELECT count(*) FROM ml_model_artifacts;
\c -
SET client_min_messages = warning;
SELECT e2i_predict('sum:1', '{"x": 10}');

-- A dropped version is gone at once, however well it is cached.
SELECT e2i_register_model('brief', plus(5), feature_names => '{x}');
SELECT e2i_predict('brief', '{"x": 10}'), e2i_predict('brief:1', '{"x": 10}');
SELECT e2i_drop_model('brief', force => true);
SELECT e2i_predict('brief', '{"x": 10}');
SELECT e2i_predict('brief:1', '{"x": 10}');
SELECT model, version FROM e2i_session_cache;
-- The same name and version with other bytes is another model.
SELECT e2i_register_model('brief', plus(6), feature_names => '{x}');
SELECT e2i_predict('brief', '{"x": 10}'), e2i_predict('brief:2', '{"x": 10}');
SELECT model, version, loads FROM e2i_session_cache WHERE model = 'brief';
SELECT e2i_drop_model('brief', force => true);

SELECT e2i_drop_model('sum:1', force => true), e2i_drop_model('sum:2');
SELECT (SELECT count(*) FROM ml_model_registry) AS versions, (SELECT count(*) FROM ml_model_artifacts) AS artifacts;
DROP FUNCTION plus;
-- A model of its own for every row: one place in a query keeps them all, and asks for each once.
SELECT count(e2i_register_model('of_' || k, regress.plus(k))) FROM generate_series(1, 80) k;
SELECT FROM e2i_clear_session_cache();
SELECT count(*), sum(e2i_predict('of_' || 1 + n % 80, ARRAY[n])) FROM generate_series(1, 2000) n;
SELECT count(*), sum(loads) AS loads, sum(hits) AS hits FROM e2i_session_cache;
-- 64 of them where the cache holds none. Who goes is drawn by lot.
SET e2i_serve.session_cache_size = 0;
SELECT count(*), sum(e2i_predict('of_' || 1 + n % 80, ARRAY[n])) FROM generate_series(1, 2000) n;
SELECT count(*), sum(e2i_predict('of_' || 1 + n % 9, ARRAY[n])) FROM generate_series(1, 2000) n;
RESET e2i_serve.session_cache_size;
-- A place that outlives what was dropped and deployed meanwhile.
DO $$
DECLARE
    s float8 := 0;
BEGIN
    FOR round IN 1..3 LOOP
        FOR k IN 1..20 LOOP
            s := s + e2i_predict('of_' || k, ARRAY[0]);
        END LOOP;
        PERFORM e2i_drop_model('of_' || 20 - round, force => true), e2i_register_model('of_' || 20 - round, regress.plus(1000));
    END LOOP;
    RAISE WARNING 'sum %', s;
END $$;
CALL regress.begin_anew();
