-- Stages: labels with gates. The gates are rows of a table, ready filled, that an administrator may edit.
\set VERBOSITY default
SET client_min_messages = warning;
CALL regress.begin_anew();
SELECT stage, gate, task, metric, at_least, at_most FROM ml_stage_policies ORDER BY id;

SELECT e2i_register_model('churn', regress.onnx('hcp_churn'), metrics => '{"auc": 0.78}');
SELECT e2i_transition_stage('churn', '1', 'production');
SELECT e2i_transition_stage('churn', '1', 'staging');
SELECT e2i_transition_stage('churn', '1', 'shadow', reason => 'looks good');
-- A refusal names the gate, its limit and what was found; all of them at once.
SELECT e2i_transition_stage('churn', '1', 'production');
-- Metrics may change, days must pass, somebody must sign.
UPDATE ml_model_registry SET metrics = '{"auc": 0.86}' WHERE model_name = 'churn';
SELECT e2i_transition_stage('churn', '1', 'production', approver => 'Ada');
UPDATE ml_model_registry SET stage_since = now() - interval '8 days' WHERE model_name = 'churn';
SELECT e2i_transition_stage('churn', '1', 'production');
SELECT e2i_transition_stage('churn', '1', 'production', approver => 'Ada', reason => 'quarterly review');
SELECT stage, promoted_at IS NOT NULL AS promoted, stage_since > now() - interval '1 day' AS since_today FROM ml_model_registry WHERE model_name = 'churn';
SELECT e2i_transition_stage('churn', '1', 'production', approver => 'Ada');
SELECT e2i_transition_stage('churn', '1', 'retired');
SELECT e2i_transition_stage('churn', '9', 'staging');

-- A regression has metrics of its own, and the gates can be edited.
SELECT e2i_register_model('bmi', regress.onnx('diabetes_boosting'), metrics => '{"rmse": 55}');
SELECT e2i_transition_stage('bmi', '1', 'staging');
UPDATE ml_stage_policies SET metric = 'rmse', at_least = NULL, at_most = 60 WHERE stage = 'staging' AND task = 'regression';
SELECT e2i_transition_stage('bmi', '1', 'staging');
UPDATE ml_stage_policies SET metric = 'r2', at_least = 0.3, at_most = NULL WHERE stage = 'staging' AND task = 'regression';
-- What came with the extension is switched off; what was added may go.
DELETE FROM ml_stage_policies WHERE id = 4;
DELETE FROM ml_stage_policies;
UPDATE ml_stage_policies SET id = 100 WHERE id = 4;
TRUNCATE ml_stage_policies;
INSERT INTO ml_stage_policies (stage, gate) VALUES ('archived', 'approver') RETURNING id > 9 AS own;
UPDATE ml_stage_policies SET id = 100 WHERE stage = 'archived' AND gate = 'approver';
DELETE FROM ml_stage_policies WHERE id = 100;
-- Restoring inserts: a known number replaces.
BEGIN;
INSERT INTO ml_stage_policies (id, stage, gate, enabled) VALUES (4, 'staging', 'approver', false);
SELECT gate, enabled FROM ml_stage_policies WHERE id = 4;
ROLLBACK;
SELECT count(*) FROM ml_stage_policies;
-- No gate stands before a model of another kind but time and approval.
SELECT e2i_register_model('groups', regress.onnx('wine_kmeans'));
SELECT e2i_transition_stage('groups', '1', 'staging');

-- A superuser may overrule the gates, and that is recorded as such. Nobody else may.
SELECT e2i_transition_stage('groups', '1', 'production', reason => 'demonstration', overrule => true);
CREATE ROLE regress_deployer;
SELECT e2i_grant_usage('regress_deployer', 'deployer');
SET ROLE regress_deployer;
SELECT e2i_transition_stage('bmi', '1', 'shadow', overrule => true);
SELECT e2i_transition_stage('bmi', '1', 'development', reason => 'back to the drawing board');
SELECT e2i_drop_model('bmi:1');
RESET ROLE;
SELECT who = current_user AS by_me, model_name, before, after, reason, details FROM ml_model_events WHERE action = 'stage' ORDER BY id;

-- What left production thirty days ago and serves nothing is archived by one call.
SELECT e2i_transition_stage('groups', '1', 'archived');
SELECT e2i_transition_stage('groups', '1', 'staging', reason => 'replaced');
SELECT e2i_transition_stage('groups', '1', 'archived');
UPDATE ml_model_registry SET stage_since = now() - interval '31 days' WHERE model_name = 'groups';
SELECT * FROM e2i_archive_expired();
DELETE FROM ml_bentoml_services WHERE service_name = 'groups';
SELECT * FROM e2i_archive_expired();
SELECT model, stage, deployed_as, auc FROM e2i_models ORDER BY model;

-- The usual sets of rights.
CREATE ROLE regress_scorer;
SELECT e2i_grant_usage('regress_scorer', 'scorer');
SET ROLE regress_scorer;
SELECT count(*) FROM ml_model_registry;
SELECT round(e2i_predict('bmi', array_fill(0::real, ARRAY[10]))::numeric) IS NOT NULL AS scores;
SELECT * FROM ml_model_artifacts;
SELECT e2i_deploy('bmi:1');
RESET ROLE;
SELECT e2i_grant_usage('regress_scorer', 'owner');
DROP OWNED BY regress_scorer, regress_deployer;
DROP ROLE regress_scorer, regress_deployer;
SELECT e2i_drop_model('churn', force => true), e2i_drop_model('bmi', force => true), e2i_drop_model('groups:1', force => true);
