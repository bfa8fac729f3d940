\set VERBOSITY default
SET client_min_messages = warning;
-- Who may SELECT a model's row in ml_model_registry may score with the model: GRANT and row-level security decide. Artifacts
-- are read by the extension and need not be granted; registering is a right of its own.

-- y = x + k as an ONNX graph.
CREATE FUNCTION plus(k float4) RETURNS bytea LANGUAGE sql AS $$
    SELECT '\x08083a4c0a0e0a01780a016b12017922034164641201672a0b10014a04'::bytea
        || (SELECT string_agg(substring(float4send(k) FROM i FOR 1), '' ORDER BY i DESC) FROM generate_series(1, 4) i)
        || '\x42016b5a140a0178120f0a0d080112090a0312014e0a02080162140a0179120f0a0d080112090a0312014e0a02080142021011'
$$;
SELECT e2i_register_model('open', plus(1)), e2i_register_model('secret', plus(2));
CREATE ROLE regress_analyst;
CREATE ROLE regress_engineer;
CREATE SCHEMA regress_roles AUTHORIZATION regress_analyst;

-- A role without rights cannot score, describe or load, also in a session that has the model loaded.
SELECT e2i_predict('open', ARRAY[10]), e2i_predict('secret', ARRAY[10]);
SET ROLE regress_analyst;
SELECT e2i_predict('open', ARRAY[10]);
\echo :LAST_ERROR_SQLSTATE
SELECT e2i_predict('open:1', '[10]'::jsonb);
SELECT e2i_predict('unknown', ARRAY[10]);
SELECT e2i_serve('open', '{"features": [10]}');
SELECT e2i_prewarm('open');
SELECT * FROM e2i_describe_model('open') WHERE kind <> 'pace';
RESET ROLE;
CREATE ROLE "regress O'Neill";
SET ROLE "regress O'Neill";
SELECT e2i_predict('open', ARRAY[10]);
SELECT e2i_drop_model('open');
SELECT count(*) FROM ml_model_registry;
RESET ROLE;
SELECT e2i_grant_usage('"regress O''Neill"', 'scorer');
SET ROLE "regress O'Neill";
SELECT e2i_predict('open', ARRAY[10]);
RESET ROLE;
DROP OWNED BY "regress O'Neill";
DROP ROLE "regress O'Neill";

-- SELECT on the registry is all it needs.
GRANT SELECT ON ml_model_registry TO regress_analyst;
SET ROLE regress_analyst;
SELECT e2i_predict('open', ARRAY[10]), e2i_predict('secret', ARRAY[10]);
SELECT e2i_clear_session_cache();
SELECT e2i_predict('open', ARRAY[10]), e2i_predict('secret', ARRAY[10]);
SELECT count(*) FROM ml_model_artifacts;
SELECT count(*) FROM ml_bentoml_services;
-- It does not register, drop or move aliases; the hint says which rights it lacks, under a name that can be pasted.
SELECT e2i_register_model('mine', '\x00');
SELECT * FROM e2i_deploy('open:1');
SELECT e2i_drop_model('open');
SELECT e2i_set_alias('open', 'best', '1');
SELECT e2i_drop_alias('open', 'best');
RESET ROLE;

-- EXECUTE is what an engineer needs to register; the tables need not be granted for writing.
GRANT SELECT ON ml_model_registry TO regress_engineer;
GRANT EXECUTE ON FUNCTION e2i_register_model, e2i_drop_model TO regress_engineer;
SET ROLE regress_engineer;
SELECT e2i_register_model('mine', '\x08083a4c0a0e0a01780a016b12017922034164641201672a0b10014a040000404042016b5a140a0178120f0a0d080112090a0312014e0a02080162140a0179120f0a0d080112090a0312014e0a02080142021011');
SELECT e2i_predict('mine', ARRAY[10]);
SELECT model_name, registered_by FROM ml_model_registry WHERE model_name = 'mine';
INSERT INTO ml_bentoml_services (service_name) VALUES ('mine');
SELECT e2i_drop_model('mine', force => true);
RESET ROLE;

-- Row-level security hides models: the same error as for a model that is not there, whatever the reference.
ALTER TABLE ml_model_registry ENABLE ROW LEVEL SECURITY;
CREATE POLICY visible ON ml_model_registry FOR SELECT TO regress_analyst USING (model_name = 'open');
SELECT e2i_set_alias('secret', 'best', '1');
SET ROLE regress_analyst;
SELECT e2i_predict('open', ARRAY[10]);
SELECT e2i_predict('secret', ARRAY[10]);
\echo :LAST_ERROR_SQLSTATE
SELECT e2i_predict('unknown', ARRAY[10]);
\echo :LAST_ERROR_SQLSTATE
SELECT e2i_predict('secret:1', ARRAY[10]);
SELECT e2i_predict('secret:2', ARRAY[10]);
SELECT e2i_predict('unknown:1', ARRAY[10]);
SELECT e2i_predict('secret@best', ARRAY[10]);
SELECT e2i_predict('secret@worst', ARRAY[10]);
SELECT e2i_predict('unknown@best', ARRAY[10]);
SELECT e2i_serve('secret', '{"features": [10]}');
SELECT * FROM e2i_describe_model('secret') WHERE kind <> 'pace';
SELECT e2i_model_classes('secret');
RESET ROLE;

-- What a session has loaded or compared for another role it does not show: a pooled connection has many.
SELECT e2i_register_model('open', plus(5)), e2i_register_model('secret', plus(5));
SELECT e2i_set_shadow('open', 'open:2', 1), e2i_set_shadow('secret', 'secret:2', 1);
SELECT e2i_predict('open', ARRAY[10]), e2i_predict('secret', ARRAY[10]);
SELECT e2i_set_shadow('open', 'secret:2', 1);
SELECT e2i_predict('open', ARRAY[10]);
SELECT model, version FROM e2i_session_cache ORDER BY 1, 2;
SELECT service, version, shadow, answer, shadow_answer FROM e2i_shadow_scores;
SET ROLE regress_analyst;
SELECT model, version FROM e2i_session_cache ORDER BY 1, 2;
SELECT service, version, shadow, answer, shadow_answer FROM e2i_shadow_scores;
SELECT e2i_clear_session_cache();
SET ROLE regress_engineer;
SELECT count(*) FROM e2i_session_cache;
RESET ROLE;
CREATE ROLE regress_nobody;
SELECT e2i_predict('secret', ARRAY[10]);
SET ROLE regress_nobody;
SELECT (SELECT count(*) FROM e2i_session_cache) AS loaded, (SELECT count(*) FROM e2i_shadow_scores) AS compared;
SELECT e2i_clear_session_cache();
RESET ROLE;
SELECT count(*) FROM e2i_session_cache;
DROP ROLE regress_nobody;
SELECT e2i_set_shadow('open', NULL), e2i_set_shadow('secret', NULL);
SELECT e2i_drop_model('open:2'), e2i_drop_model('secret:2');
-- Who may register is told of a version that row-level security hides from him: it is there, and cannot be his.
SET ROLE regress_engineer;
SELECT e2i_predict('secret', ARRAY[10]);
SELECT regress.raised($$SELECT e2i_register_model('secret', plus(9), version => '1')$$);
RESET ROLE;

-- A SECURITY DEFINER function scores with its owner's rights.
CREATE FUNCTION score_secret(x float8) RETURNS float8 LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
    AS $$ SELECT e2i_predict('secret', ARRAY[x]) $$;
SET ROLE regress_analyst;
SELECT score_secret(10);
RESET ROLE;

-- Rights are asked for by whoever runs the statement, also where one call goes on from role to role.
CREATE FUNCTION score(model text) RETURNS float8 LANGUAGE plpgsql AS $$ BEGIN RETURN e2i_predict(model, ARRAY[10]); END $$;
BEGIN;
SELECT score('secret');
SET LOCAL ROLE regress_analyst;
SELECT score('secret');
ROLLBACK;
DO $$
DECLARE roles text[] := ARRAY[session_user, 'regress_analyst', session_user];
BEGIN
    FOR i IN 1..3 LOOP
        PERFORM set_config('role', roles[i], true);
        BEGIN
            RAISE WARNING '%', score('secret');
        EXCEPTION WHEN undefined_object THEN
            RAISE WARNING '% %', SQLSTATE, SQLERRM;
        END;
    END LOOP;
    PERFORM set_config('role', 'none', true);
END $$;
RESET ROLE;

-- A right that is taken away is gone with the next statement; in a policy that asks a setting, with the setting.
CREATE POLICY tenant ON ml_model_registry FOR SELECT TO regress_analyst USING (model_name = current_setting('regress.tenant', true));
SET ROLE regress_analyst;
SET regress.tenant = 'secret';
SELECT e2i_predict('secret', ARRAY[10]);
SET regress.tenant = 'other';
SELECT e2i_predict('secret', ARRAY[10]);
RESET ROLE;
DROP POLICY tenant ON ml_model_registry;
REVOKE SELECT ON ml_model_registry FROM regress_analyst;
SET ROLE regress_analyst;
SELECT e2i_predict('open', ARRAY[10]);
RESET ROLE;
GRANT SELECT ON ml_model_registry TO regress_analyst;

-- What a reference means does not depend on the search path or on what stands in it.
SET ROLE regress_analyst;
CREATE TEMP TABLE ml_model_registry (LIKE public.ml_model_registry);
CREATE TEMP TABLE ml_model_artifacts (sha256 bytea, chunk integer, bytes bytea);
CREATE TEMP TABLE ml_bentoml_services (service_name text, model_id uuid, status text);
CREATE FUNCTION regress_roles.always(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'called'; RETURN true; END $$;
CREATE FUNCTION regress_roles.always(uuid, uuid) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'called'; RETURN true; END $$;
CREATE FUNCTION regress_roles.always(bytea, bytea) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'called'; RETURN true; END $$;
CREATE OPERATOR regress_roles.= (LEFTARG = text, RIGHTARG = text, FUNCTION = regress_roles.always);
CREATE OPERATOR regress_roles.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = regress_roles.always);
CREATE OPERATOR regress_roles.= (LEFTARG = bytea, RIGHTARG = bytea, FUNCTION = regress_roles.always);
CREATE FUNCTION regress_roles.unnest(anyarray) RETURNS SETOF anyelement LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'called'; END $$;
CREATE FUNCTION regress_roles.e2i_cached_models() RETURNS text LANGUAGE sql AS $$ SELECT 'mine' $$;
CREATE DOMAIN regress_roles.uuid AS text;
CREATE DOMAIN regress_roles.jsonb AS text;
SET search_path = pg_temp, regress_roles, pg_catalog, public;
SELECT public.e2i_clear_session_cache();
SELECT public.e2i_predict('open', ARRAY[10]);
SELECT public.e2i_predict('secret', ARRAY[10]);
SELECT public.e2i_predict('open:1', ARRAY[10]);
SELECT public.e2i_predict('open:2', ARRAY[10]);
SELECT public.e2i_serve('open', '{"features": [10]}') OPERATOR(pg_catalog.->) 'predictions' AS predictions;
SELECT model, version FROM public.e2i_session_cache;
RESET ROLE;
-- The same in a session that has prepared nothing yet, and for what the owner does.
\c -
SET client_min_messages = warning;
SET ROLE regress_analyst;
SET search_path = pg_temp, regress_roles, pg_catalog, public;
SELECT public.e2i_predict('open', ARRAY[10]);
SELECT public.e2i_predict('secret', ARRAY[10]);
RESET ROLE;
SELECT public.e2i_register_model('third', public.plus(3));
SELECT public.e2i_predict('third', ARRAY[10]);
SELECT public.e2i_set_alias('third', 'best', '1');
SELECT public.e2i_predict('third@best', ARRAY[10]);
SELECT public.e2i_drop_alias('third', 'best');
SELECT public.e2i_drop_model('third', force => true);
-- An empty search path does as well.
SET search_path = '';
SELECT public.e2i_predict('open', ARRAY[10]);
SELECT model, version FROM public.e2i_session_cache;
RESET search_path;

DROP POLICY visible ON ml_model_registry;
ALTER TABLE ml_model_registry DISABLE ROW LEVEL SECURITY;
SELECT e2i_drop_alias('secret', 'best');
SELECT e2i_drop_model('secret', force => true), e2i_drop_model('open', force => true);
DROP FUNCTION score, score_secret, plus;
SET client_min_messages = error;
DROP SCHEMA regress_roles CASCADE;
DROP OWNED BY regress_analyst, regress_engineer;
DROP ROLE regress_analyst, regress_engineer;
