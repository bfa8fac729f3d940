-- A model's bytes come back as they went in, and a preprocessor's: registered again they have the same sha256.
\set VERBOSITY default
SET client_min_messages = warning;
SELECT e2i_register_model('two', regress.onnx('hcp_two_graph'), preprocessor => regress.onnx('hcp_two_graph.preprocessor'));
SELECT e2i_export_model('two') = regress.onnx('hcp_two_graph') AS model, e2i_export_model('two', preprocessor => true) = regress.onnx('hcp_two_graph.preprocessor') AS preprocessor;
SELECT e2i_register_model('again', e2i_export_model('two:1'), preprocessor => e2i_export_model('two:1', preprocessor => true));
SELECT count(DISTINCT artifact_sha256) AS artifacts, count(DISTINCT preprocessor_sha256) AS preprocessors, count(DISTINCT plan_sha256) AS plans
FROM ml_model_registry WHERE model_name IN ('two', 'again');
-- Without a preprocessor there are no bytes of one.
SELECT e2i_register_model('one', regress.onnx('breast_logistic'));
SELECT e2i_export_model('one', true) IS NULL AS none;
SELECT regress.raised($$SELECT e2i_export_model(NULL)$$), regress.raised($$SELECT e2i_export_model('nobody')$$), regress.raised($$SELECT e2i_export_model('two:9')$$);
-- More than a value holds is not tried.
BEGIN;
UPDATE ml_model_registry SET artifact_size = 3000000000 WHERE model_name = 'one';
SELECT e2i_export_model('one');
ROLLBACK;
-- It is the right of an admin, who sees what row-level security lets him see.
CREATE ROLE regress_exporter;
SET ROLE regress_exporter;
SELECT e2i_export_model('one');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
SELECT e2i_grant_usage('regress_exporter', 'admin');
ALTER TABLE ml_model_registry ENABLE ROW LEVEL SECURITY;
CREATE POLICY only_one ON ml_model_registry FOR SELECT TO regress_exporter USING (model_name = 'one');
SET ROLE regress_exporter;
SELECT e2i_export_model('one') IS NOT NULL AS visible, regress.raised($$SELECT e2i_export_model('two')$$);
RESET ROLE;
DROP POLICY only_one ON ml_model_registry;
ALTER TABLE ml_model_registry DISABLE ROW LEVEL SECURITY;

-- The extension goes with its models only where that is said.
BEGIN;
DROP EXTENSION e2i_serve CASCADE;
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN;
SET LOCAL client_min_messages = error;
SET LOCAL e2i_serve.allow_drop = on;
DROP EXTENSION e2i_serve CASCADE;
SELECT to_regproc('e2i_export_model') IS NULL AS gone;
ROLLBACK;
-- Guards stand with their table: an index of the extension does not go alone.
SELECT indexrelid::regclass AS droppable FROM pg_index JOIN pg_class c ON c.oid = indrelid
WHERE (c.relname LIKE 'ml\_model\_%' OR c.relname LIKE 'ml\_bentoml\_%' OR c.relname LIKE 'ml\_%\_policies' OR c.relname = 'ml_health_limits')
  AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid);
DROP INDEX ml_bentoml_services_one_active;
INSERT INTO ml_bentoml_services (service_name, status) VALUES ('one', 'active');
\echo :LAST_ERROR_SQLSTATE

CALL regress.begin_anew();
DROP OWNED BY regress_exporter;
DROP ROLE regress_exporter;
