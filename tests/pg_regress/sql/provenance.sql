-- What is said about a version beside what it is: where it comes from, its metrics, tags and description.
\set VERBOSITY default
SET client_min_messages = warning;
SET timezone = 'UTC';
-- What a registration says is kept as given.
SELECT e2i_register_model('origin', regress.onnx('shape_regression_flat'), algorithm => 'ridge regression', mlflow_run_id => '5b1f…', trained_at => '2026-01-31 12:00+01',
    mlflow_model_uri => 'models:/origin/7', metrics => '{"r2": 0.5}', tags => '{"team": "risk"}', description => 'the first');
-- By position, behind all others; what is not said is NULL.
SELECT e2i_register_model('origin', regress.onnx('shape_regression_flat'), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'by position');
SELECT model_version, algorithm, mlflow_run_id, mlflow_model_uri, trained_at FROM ml_model_registry WHERE model_name = 'origin' ORDER BY 1;
SELECT e2i_register_model('origin', regress.onnx('shape_regression_flat'), trained_at => 'yesterday or so');
SELECT e2i_register_model('origin', regress.onnx('shape_regression_flat'), version => 'ever', trained_at => '-infinity');
SELECT trained_at FROM ml_model_registry WHERE model_version = 'ever';
SELECT unnest(string_to_array(pg_get_function_arguments('e2i_register_model'::regproc), ', ')) AS argument;

-- Metrics, tags and description may be corrected; what is not given stays. Metrics and tags are added to.
SELECT e2i_annotate_model('origin:1', metrics => '{"r2": 0.6, "rmse": 12}');
SELECT e2i_annotate_model('models:/origin/1', tags => '{"owner": "é"}', description => 'better');
SELECT e2i_annotate_model('origin', description => '');
SELECT e2i_annotate_model('origin:1'), e2i_annotate_model('origin:1', metrics => '{"rmse": 12.0}', tags => '{}', description => '');
SELECT metrics, tags, description = '' AS empty FROM ml_model_registry WHERE model_name = 'origin' AND model_version = '1';
SELECT e2i_annotate_model('origin:1', metrics => '[1]');
SELECT e2i_annotate_model('origin:1', tags => '"team"');
SELECT e2i_annotate_model('origin:9', description => 'none');
SELECT e2i_annotate_model(NULL);
-- Each change leaves an event, and only a change does; of that transaction.
BEGIN;
SELECT e2i_annotate_model('origin:2', description => 'gone');
ROLLBACK;
SELECT model_version, before, after, details FROM ml_model_events WHERE action = 'annotate' AND model_name = 'origin' ORDER BY id;
-- Gates see what is said, and say what they saw.
SELECT e2i_register_model('gated', regress.onnx('shape_regression_flat'), metrics => '{"r2": 0.1}');
SELECT e2i_transition_stage('gated', '1', 'staging');
SELECT e2i_annotate_model('gated', metrics => '{"r2": 0.4}');
BEGIN;
SELECT e2i_transition_stage('gated', '1', 'staging');
ROLLBACK;

-- Deployers may, scorers may not; what row-level security hides is not there.
CREATE ROLE regress_deployer;
CREATE ROLE regress_scorer;
SELECT e2i_grant_usage('regress_deployer', 'deployer'), e2i_grant_usage('regress_scorer', 'scorer');
SET ROLE regress_scorer;
SELECT e2i_annotate_model('origin:1', description => 'mine');
SET ROLE regress_deployer;
SELECT e2i_annotate_model('origin:1', tags => '{"reviewed": true}');
UPDATE ml_model_registry SET tags = '{}';
RESET ROLE;
ALTER TABLE ml_model_registry ENABLE ROW LEVEL SECURITY;
CREATE POLICY visible ON ml_model_registry FOR SELECT TO regress_deployer USING (model_name = 'gated');
SET ROLE regress_deployer;
SELECT e2i_annotate_model('origin:1', description => 'hidden');
SELECT e2i_annotate_model('gated:1', description => 'visible');
RESET ROLE;
DROP POLICY visible ON ml_model_registry;
ALTER TABLE ml_model_registry DISABLE ROW LEVEL SECURITY;
SELECT who, details -> 'tags' ->> 'after' AS tags FROM ml_model_events WHERE action = 'annotate' AND who = 'regress_deployer' ORDER BY id;
DROP OWNED BY regress_deployer, regress_scorer;
DROP ROLE regress_deployer, regress_scorer;

SELECT e2i_drop_model('gated', force => true);
SELECT e2i_drop_model('origin:2'), e2i_drop_model('origin:ever'), e2i_drop_model('origin:1', force => true);
