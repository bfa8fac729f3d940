-- Going back and ending: what e2i_rollback may return to, e2i_undeploy, and what of both is remembered.
\set VERBOSITY default
SET client_min_messages = warning;
CALL regress.begin_anew();
-- Two models behind one service; each adds its own number.
CREATE FUNCTION plus(k float4) RETURNS bytea LANGUAGE sql AS $$
    SELECT '\x08083a4c0a0e0a01780a016b12017922034164641201672a0b10014a04'::bytea
        || (SELECT string_agg(substring(float4send(k) FROM i FOR 1), '' ORDER BY i DESC) FROM generate_series(1, 4) i)
        || '\x42016b5a140a0178120f0a0d080112090a0312014e0a02080162140a0179120f0a0d080112090a0312014e0a02080142021011'
$$;
SELECT e2i_register_model('old', plus(k), examples => format('[{"features": [1], "prediction": %s}]', 1 + k)::jsonb, deploy => false) FROM generate_series(1, 2) k;
SELECT e2i_register_model('new', plus(10 * k), examples => format('[{"features": [1], "prediction": %s}]', 1 + 10 * k)::jsonb, deploy => false) FROM generate_series(1, 3) k;
SELECT version FROM e2i_deploy('old:1', 'live') UNION ALL SELECT version FROM e2i_deploy('old:2', 'live') UNION ALL
SELECT version FROM e2i_deploy('new:1', 'live') UNION ALL SELECT version FROM e2i_deploy('new:2', 'live') UNION ALL SELECT version FROM e2i_deploy('new:3', 'live');

-- A bare version is the current model's, where it served that; a reference says which; a version that only one model has needs none.
SELECT version FROM e2i_rollback('live', '1');
SELECT version FROM e2i_rollback('live', 'old:1');
SELECT version FROM e2i_rollback('live', '1');
SELECT version FROM e2i_rollback('live', 'models:/old/2');
SELECT version FROM e2i_rollback('live', '3');
SELECT e2i_predict('live', ARRAY[1]);
-- Of another model than the ones that have it, it is ambiguous.
SELECT e2i_register_model('third', plus(100), version => 'a', deploy => false);
SELECT version FROM e2i_deploy('third:a', 'live');
SELECT e2i_rollback('live', '1');
SELECT e2i_rollback('live', 'new');
SELECT e2i_rollback('live', 'new@champion');
SELECT e2i_rollback('live', 'new:9');
SELECT e2i_rollback('live', '9');
SELECT e2i_rollback('live', 'third:a');
SELECT e2i_rollback('live', 'a:b:c');
SELECT version, e2i_predict('live', ARRAY[1]) FROM e2i_services WHERE service = 'live';

-- A version must load and score its golden rows before a service goes back to it; else everything stays as it was.
CREATE TEMP TABLE before AS SELECT * FROM ml_bentoml_services;
UPDATE ml_model_artifacts a SET bytes = set_byte(bytes, 5, 0) FROM ml_model_registry r
WHERE a.sha256 IN (r.artifact_sha256, r.plan_sha256) AND r.model_name = 'new' AND r.model_version = '3';
SELECT e2i_rollback('live');
UPDATE ml_model_registry SET examples = '[{"features": [1], "prediction": 7}]' WHERE model_name = 'old' AND model_version = '1';
SELECT e2i_rollback('live', 'old:1');
SELECT count(*) FROM ((TABLE ml_bentoml_services EXCEPT TABLE before) UNION ALL (TABLE before EXCEPT TABLE ml_bentoml_services)) changed;
SELECT e2i_predict('live', ARRAY[1]);
SELECT version FROM e2i_rollback('live', 'new:2');

-- Undeployed, a name means nothing until the next deployment. The row stays as draining: one can go back to it then.
SELECT e2i_set_traffic('live', '{"new:2": 0.5, "new:1": 0.5}'), e2i_set_shadow('live', 'old:2', 0.5);
SELECT service_name, version, status, reason FROM e2i_undeploy('live', 'not trusted');
SELECT e2i_predict('live', ARRAY[1]);
SELECT e2i_predict('new', ARRAY[1]);
SELECT e2i_predict('new:2', ARRAY[1]);
SELECT count(*) FROM e2i_services WHERE service = 'live';
SELECT bento_tag, status, reason, traffic, shadow_id FROM ml_bentoml_services WHERE service_name = 'live' AND bento_tag = 'new:2';
SELECT e2i_undeploy('live');
SELECT e2i_rollback('live');
SELECT e2i_undeploy('unknown');
SELECT e2i_undeploy(NULL);
SELECT e2i_version_at('live', now() + interval '1 day') IS NULL AS serves_nothing;
SELECT version FROM e2i_deploy('old:2', 'live');
SELECT version, status FROM e2i_rollback('live', 'new:2');
-- In a transaction that is rolled back nothing happened.
BEGIN;
SELECT version, status, reason FROM e2i_undeploy('live');
ROLLBACK;
SELECT e2i_predict('live', ARRAY[1]);

-- Who may deploy may undeploy.
CREATE ROLE regress_deployer;
CREATE ROLE regress_scorer;
SELECT e2i_grant_usage('regress_deployer', 'deployer'), e2i_grant_usage('regress_scorer', 'scorer');
SET ROLE regress_scorer;
SELECT e2i_undeploy('live');
SET ROLE regress_deployer;
SELECT version FROM e2i_undeploy('live');
SELECT version FROM e2i_deploy('new:1', 'live');
-- A version that row-level security hides is not deployed by going back to it either.
RESET ROLE;
ALTER TABLE ml_model_registry ENABLE ROW LEVEL SECURITY;
CREATE POLICY visible ON ml_model_registry FOR SELECT TO regress_deployer USING (model_name = 'new');
SET ROLE regress_deployer;
SELECT e2i_rollback('live', 'old:2');
SELECT version FROM e2i_rollback('live', 'new:2');
RESET ROLE;
DROP POLICY visible ON ml_model_registry;
ALTER TABLE ml_model_registry DISABLE ROW LEVEL SECURITY;
SELECT e2i_set_alias('old', 'champion', '1'), e2i_set_alias('old', 'champion', '2'), e2i_drop_alias('old', 'champion');
SELECT e2i_set_traffic('live', '{"new:2": 0.5, "new:1": 0.5}', by => 'x'), e2i_set_traffic('live', NULL), e2i_set_shadow('live', 'old:2', 0.5);
SELECT version FROM e2i_deploy('new:1', 'live');
SELECT e2i_set_shadow('live', 'old:2');
SELECT version FROM e2i_rollback('live');
-- Dropping by force ends the deployment, and what goes beside it, in the same way.
SELECT version FROM e2i_deploy('third:a', 'beside');
SELECT e2i_set_traffic('beside', '{"third:a": 1}'), e2i_set_shadow('beside', 'old:2');
SELECT e2i_drop_model('third:a');
SELECT e2i_drop_model('third:a', force => true);
SELECT action, model_version AS version, before, after, details FROM ml_model_events WHERE service_name = 'beside' OR action = 'drop' AND model_name = 'third' ORDER BY id;

-- What is remembered: before and after are name:version, whatever happened; of a split its shares, of a stage its name.
SELECT action, model_name AS model, model_version AS version, service_name AS service, before, after, reason, details FROM ml_model_events
WHERE service_name = 'live' OR action IN ('set_alias', 'drop_alias') AND model_name = 'old' ORDER BY id;
SELECT e.after IS NOT DISTINCT FROM e2i_version_at('live', e.happened_at) AS agrees, count(*) FROM ml_model_events e
WHERE e.service_name = 'live' AND e.action IN ('deploy', 'rollback', 'undeploy') GROUP BY 1;

DROP OWNED BY regress_deployer, regress_scorer;
DROP ROLE regress_deployer, regress_scorer;
SELECT e2i_drop_model(model_name || ':' || model_version, force => true) FROM ml_model_registry ORDER BY model_name, model_version;
DROP FUNCTION plus;
