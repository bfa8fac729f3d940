-- Names, versions, aliases, deployments: what the first argument of every function can be, and what it means.
\set VERBOSITY default
SET client_min_messages = warning;
CALL regress.begin_anew();
-- Four models that differ in one number: y = 0.5a - 1.25b + 2c + 0.125d + bias, with the bias patched to 1, 2, 4 or 8.
CREATE FUNCTION pg_temp.biased(bias int) RETURNS bytea LANGUAGE sql AS $$
    SELECT overlay(bytes PLACING CASE bias WHEN 1 THEN '\x0000803f' WHEN 2 THEN '\x00000040' WHEN 4 THEN '\x00008040' WHEN 8 THEN '\x00000041' END::bytea
                   FROM position('\x0000403f'::bytea IN bytes))
    FROM (SELECT regress.onnx('shape_regression_flat') AS bytes) graph
$$;

-- Versions count up; one that is given may be any text. The first is deployed, later ones wait unless deploy => true.
SELECT e2i_register_model('risk', pg_temp.biased(1));
SELECT e2i_register_model('risk', pg_temp.biased(2));
SELECT e2i_register_model('risk', pg_temp.biased(4), version => '2026-01-b');
SELECT e2i_register_model('risk', pg_temp.biased(8), version => '7');
SELECT e2i_register_model('risk', pg_temp.biased(8)) AS next_of_7;
SELECT e2i_predict('risk', '[0, 0, 0, 0]') AS deployed, e2i_predict('risk:1', '[0, 0, 0, 0]') AS "1", e2i_predict('risk:2', '[0, 0, 0, 0]') AS "2",
       e2i_predict('risk:2026-01-b', '[0, 0, 0, 0]') AS "2026-01-b", e2i_predict('risk:7', '[0, 0, 0, 0]') AS "7";
SELECT e2i_register_model('risk', pg_temp.biased(2), deploy => true);
SELECT e2i_predict('risk', '[0, 0, 0, 0]') AS deployed;
SELECT service_name, bento_tag, bento_version, serving_endpoint, status, health_status FROM ml_bentoml_services ORDER BY created_at, bento_tag;
SELECT e2i_register_model('not yet', pg_temp.biased(1), deploy => false);
SELECT e2i_predict('not yet', '[0, 0, 0, 0]');
SELECT e2i_predict('not yet:1', '[0, 0, 0, 0]');

-- A version that exists is never replaced.
SELECT regress.raised($$SELECT e2i_register_model('risk', pg_temp.biased(1), version => '2')$$);
SELECT e2i_register_model('risk', pg_temp.biased(1), version => '2026-01-b');

-- Aliases point to one version each, and can be moved.
SELECT e2i_set_alias('risk', 'champion', '7');
SELECT e2i_predict('risk@champion', '[0, 0, 0, 0]') AS champion;
SELECT e2i_set_alias('risk', 'champion', '1'), e2i_set_alias('risk', 'challenger', '2');
SELECT e2i_predict('risk@champion', '[0, 0, 0, 0]') AS champion, e2i_predict('risk@challenger', '[0, 0, 0, 0]') AS challenger;
SELECT model_name, alias, model_version, set_by = current_user AS by_me FROM ml_model_aliases ORDER BY alias;
SELECT e2i_drop_alias('risk', 'challenger');
SELECT regress.raised($$SELECT e2i_predict('risk@challenger', '[0, 0, 0, 0]')$$);

-- They point to what exists, and their names keep MLflow's rules: letters, digits, _ and -, neither latest nor like a version.
SELECT model, alias, version, regress.raised(format('SELECT e2i_set_alias(%L, %L, %L)', model, alias, version))
FROM (VALUES ('risk', 'champion', '99'), ('gone', 'champion', '1'), ('risk', 'latest', '1'), ('risk', 'Latest', '1'), ('risk', 'v1', '1'), ('risk', 'V12', '1'),
             ('risk', 'v1x', '1'), ('risk', 'a b', '1'), ('risk', 'a@b', '1'), ('risk', '', '1'), ('risk', 'é', '1')) AS v (model, alias, version);
SELECT e2i_set_alias('risk', 'champion', '99');
SELECT e2i_drop_alias('risk', 'v1x');
SELECT regress.raised($$SELECT e2i_drop_alias('risk', 'nobody')$$);

-- Every form of a reference, in every function that takes one.
SELECT reference, e2i_predict(reference, '[0, 0, 0, 0]') AS bias, e2i_serve(reference, '{"features": [0, 0, 0, 0]}') ->> 'model_id' AS served,
       (SELECT count(*) FROM e2i_describe_model(reference) WHERE kind IN ('feature', 'output')) AS described, e2i_prewarm(reference) AS prewarmed
FROM unnest('{risk,risk:1,risk@champion,models:/risk/7,models:/risk@champion}'::text[]) AS reference;
-- Names may hold spaces, dots, quotes and any letter; case matters.
SELECT e2i_register_model(name, pg_temp.biased(1)) FROM unnest(ARRAY['Risk', 'churn model v2.1', 'Umsatz für Zürich', 'o''hara "x"', '模型', 'risk; DROP TABLE x', 'models']) AS name;
SELECT e2i_predict('Umsatz für Zürich:1', '[0, 0, 0, 0]'), e2i_predict('models:/模型/1', '[0, 0, 0, 0]'), e2i_predict('o''hara "x"', '[0, 0, 0, 0]'), e2i_predict('models', '[0, 0, 0, 0]');

-- Malformed references are told from unknown ones, and say why.
SELECT reference, regress.raised(format('SELECT e2i_predict(%L, ''[0, 0, 0, 0]'')', reference))
FROM unnest(ARRAY['', ' ', ' risk', 'risk ', 'risk:', 'risk@', ':1', '@champion', 'a:b:c', 'a@b@c', 'risk:1@champion', 'risk@champion:1', 'a/b',
                  'models:/', 'models:/risk', 'models:/risk/', 'models:/risk@', 'models://1', 'models:/a/b/c', 'models:/a@x/1', 'models:risk/1',
                  E'ri\tsk', E'risk\n']) AS reference;
SELECT regress.raised(format('SELECT e2i_predict(%L, ''[0, 0, 0, 0]'')', repeat('é', 127))) LIKE '42704 model %' AS "254 bytes",
       regress.raised(format('SELECT e2i_predict(%L, ''[0, 0, 0, 0]'')', repeat('é', 128))) LIKE '22023 % longer than 255 bytes' AS "256 bytes";
SELECT e2i_predict('models:/risk', '[0, 0, 0, 0]');
-- Unknown model, unknown version, unknown alias, nothing deployed: four messages.
SELECT reference, regress.raised(format('SELECT e2i_predict(%L, ''[0, 0, 0, 0]'')', reference))
FROM unnest('{unknown,unknown:1,unknown@champion,risk:99,risk@nobody,not yet,RISK,models:/risk/99}'::text[]) AS reference;
SELECT e2i_predict('unknown', '[0, 0, 0, 0]');
SELECT e2i_predict('risk:99', '[0, 0, 0, 0]');
SELECT e2i_predict('risk@nobody', '[0, 0, 0, 0]');
-- The same from every function.
SELECT call, regress.raised('SELECT * FROM ' || call)
FROM unnest(ARRAY[$$e2i_predict('gone', '{}'::jsonb)$$, $$e2i_predict_label('gone', '{}')$$, $$e2i_predict_proba('gone', ARRAY[1])$$, $$e2i_predict_vector('gone', ROW(1))$$,
    $$e2i_serve('gone', '{"features": []}')$$, $$e2i_describe_model('gone')$$, $$e2i_check_features('gone', '{}')$$, $$e2i_model_classes('gone')$$, $$e2i_prewarm('gone')$$,
    $$e2i_drop_model('gone')$$]) AS call;
-- Names for new models and versions follow the same rules.
SELECT name, version, regress.raised(format('SELECT e2i_register_model(%L, pg_temp.biased(1), version => %L)', name, version))
FROM (VALUES ('', NULL), ('a/b', NULL), ('a:1', NULL), ('a@b', NULL), (' a', NULL), (E'a\n', NULL), ('a', ''), ('a', '1/2'), ('a', '1:2'), ('a', ' 1')) AS v (name, version);

-- As MLflow and model servers write them: v2 is version 2 where none is called so; latest; the newest in a stage, in any letter case.
SELECT e2i_register_model('plan', pg_temp.biased(1)), e2i_register_model('plan', pg_temp.biased(2)), e2i_register_model('plan', pg_temp.biased(4));
SELECT e2i_transition_stage('plan', 'v2', 'staging', overrule => true);
SELECT e2i_transition_stage('plan', 'V3', 'staging', overrule => true);
SELECT reference, e2i_predict(reference, '[0, 0, 0, 0]') AS bias, e2i_serve(reference, '{"features": [0, 0, 0, 0]}') ->> 'model_id' AS served
FROM unnest('{plan:v1,plan:V2,models:/plan/v3,models:/plan/latest,models:/plan/LATEST,plan:latest,plan@latest,models:/plan@latest,models:/plan/Staging,plan:staging,models:/plan/Development}'::text[]) AS reference;
-- A statement later they may mean another version.
PREPARE newest AS SELECT e2i_predict('models:/plan/Staging', '[0, 0, 0, 0]') AS staging, e2i_predict('models:/plan/latest', '[0, 0, 0, 0]') AS latest;
EXECUTE newest;
SELECT e2i_transition_stage('plan', '3', 'development'), e2i_register_model('plan', pg_temp.biased(8));
EXECUTE newest;
-- What is kept is the version itself.
SELECT e2i_set_alias('plan', 'champion', 'v2'), e2i_set_alias('plan', 'newest', 'latest');
SELECT alias, model_version FROM ml_model_aliases WHERE model_name = 'plan' ORDER BY alias;
SELECT bool_and(model_version ~ '^\d$') AS kept FROM ml_model_events WHERE model_name = 'plan';
SELECT e2i_drop_alias('plan', 'newest');
SELECT version, status FROM e2i_deploy('plan:v2');
SELECT version, status FROM e2i_rollback('plan', 'v1');
SELECT version, status FROM e2i_rollback('plan', 'plan:V2');
-- Other spellings are no versions; the hint says what was probably meant. Nor is a version that may come one that is pinned.
SELECT reference, regress.raised(format('SELECT e2i_predict(%L, ''[0, 0, 0, 0]'')', reference))
FROM unnest(ARRAY['plan:v01', 'plan:1.0', 'plan: 1', 'plan:v', 'plan:v9', 'plan@v1', 'models:/plan/Production', 'models:/plan/None', 'models:/plan/']) AS reference;
SELECT e2i_predict('plan:1.0', '[0, 0, 0, 0]');
SELECT e2i_predict('plan@v1', '[0, 0, 0, 0]');
SELECT e2i_predict('models:/plan/Production', '[0, 0, 0, 0]');
SELECT reference, regress.raised(format('SELECT e2i_predict_pinned(%L, ''[0, 0, 0, 0]'')', reference)) FROM unnest('{plan:v1,plan:latest,models:/plan/staging,plan:9}'::text[]) AS reference;
SELECT e2i_predict_pinned('plan:1', '[0, 0, 0, 0]') AS pinned;
SELECT regress.raised($$SELECT e2i_set_traffic('plan', '{"plan:v2": 0.5, "plan:3": 0.5}')$$);
SELECT regress.raised($$SELECT e2i_rollback('plan', 'v9')$$);
-- A version that is called so comes first; with several that may be meant, the error names them.
SELECT e2i_register_model('plan', pg_temp.biased(8), version => 'v1'), e2i_register_model('plan', pg_temp.biased(8), version => 'Staging'), e2i_register_model('plan', pg_temp.biased(4), version => 'b');
SELECT reference, regress.raised(format('SELECT e2i_predict(%L, ''[0, 0, 0, 0]'')', reference))
FROM unnest('{plan:V1,plan:staging,models:/plan/Staging,models:/plan/staging}'::text[]) AS reference;
SELECT reference, e2i_predict(reference, '[0, 0, 0, 0]') AS bias FROM unnest('{plan:v1,models:/plan/v1,plan:1,plan:Staging,plan:B,models:/plan/latest}'::text[]) AS reference;
SELECT e2i_predict('plan:V1', '[0, 0, 0, 0]');

-- Dropping: refused while deployed, unless forced; the version is gone at once, for warm sessions too.
SELECT e2i_drop_model('risk:2');
SELECT regress.raised($$SELECT e2i_predict('risk:2', '[0, 0, 0, 0]')$$);
SELECT e2i_drop_model('not yet:1');
SELECT e2i_drop_model('risk');
SELECT regress.raised($$SELECT e2i_drop_model('risk:9')$$);
SELECT e2i_drop_model('risk', force => true);
-- A version that an alias points to is not dropped, not even by force.
SELECT e2i_drop_model('risk:1');
SELECT regress.raised($$SELECT e2i_drop_model('risk@champion', force => true)$$);
SELECT regress.raised($$SELECT e2i_predict('risk', '[0, 0, 0, 0]')$$);
-- Registering is transactional: what was rolled back was never there, for this session's cache neither.
BEGIN;
SELECT e2i_register_model('tried', pg_temp.biased(2));
SELECT e2i_predict('tried', '[0, 0, 0, 0]');
SELECT e2i_set_alias('risk', 'champion', '7');
SELECT e2i_predict('risk@champion', '[0, 0, 0, 0]') AS champion;
ROLLBACK;
SELECT regress.raised($$SELECT e2i_predict('tried', '[0, 0, 0, 0]')$$);
SELECT e2i_predict('risk@champion', '[0, 0, 0, 0]') AS champion;
BEGIN;
SELECT e2i_register_model('tried', pg_temp.biased(4));
COMMIT;
SELECT e2i_predict('tried', '[0, 0, 0, 0]');

-- A version that something points to is not deleted by hand either.
SELECT model_version, alias FROM ml_model_aliases WHERE model_name = 'risk' ORDER BY alias;
DELETE FROM ml_model_registry r USING ml_model_aliases a WHERE (r.model_name, r.model_version, a.alias) = ('risk', a.model_version, 'champion');
DELETE FROM ml_model_registry WHERE model_name = 'tried';
-- The number of a dropped version is not given again, nor is any other version, also where it is asked for: what was pinned stays true.
SELECT e2i_drop_model('tried', force => true);
SELECT e2i_register_model('tried', pg_temp.biased(2), version => '1');
\echo :LAST_ERROR_SQLSTATE
SELECT e2i_register_model('tried', pg_temp.biased(1)), e2i_register_model('tried', pg_temp.biased(8), version => 'a');
SELECT e2i_drop_model('tried:a');
SELECT regress.raised(format('SELECT e2i_register_model(''tried'', pg_temp.biased(8), version => %L)', version)) FROM unnest('{1,2,a,b}'::text[]) version;
-- One whose registration was taken back was never given.
BEGIN; SELECT e2i_register_model('tried', pg_temp.biased(1), version => 'c'); ROLLBACK;
SELECT e2i_register_model('tried', pg_temp.biased(1), version => 'c');

SELECT e2i_drop_alias(model_name, alias) FROM ml_model_aliases;
SELECT count(e2i_drop_model(model_name || ':' || model_version, force => true)) > 0 AS dropped FROM ml_model_registry;
SELECT (SELECT count(*) FROM ml_model_artifacts) AS artifacts, (SELECT count(*) FROM ml_bentoml_services) AS services;
