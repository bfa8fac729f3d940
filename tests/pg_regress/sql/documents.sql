\set VERBOSITY default
SET client_min_messages = warning;
CALL regress.begin_anew();
-- JSON that is kept is kept as given: numbers of any length and scale, any nesting that the server takes.

CREATE FUNCTION nested(levels int) RETURNS jsonb LANGUAGE sql AS $$ SELECT (repeat('{"a":', levels) || '1' || repeat('}', levels))::jsonb $$;
SELECT e2i_register_model('plus', regress.plus(1),
    metrics => '{"big": 12345678901234567890123, "scale": 1.10, "tiny": 1e-400, "huge": 1e400}',
    tags => jsonb_build_object('deep', nested(1000), 'é', 'ü'),
    examples => '[{"features": {"x": 1.10}, "prediction": 2.10}]');
SELECT metrics->'big', metrics->'scale', length(metrics->>'tiny'), length(metrics->>'huge'), tags->'deep' = nested(1000) AS deep, tags->'é', examples
FROM ml_model_registry;
SELECT expected, got, ok FROM e2i_verify_model('plus');
SELECT e2i_annotate_model('plus', metrics => '{"scale": 1.100, "auc": 1e400}', tags => nested(200));
SELECT metrics->'scale', length(metrics->>'auc'), tags->'a' = nested(199) AS deep FROM ml_model_registry;
SELECT model, auc FROM e2i_models;
-- What the extension keeps for itself is read within limits as well, should the owner have changed it.
BEGIN;
ALTER TABLE ml_model_registry DISABLE TRIGGER version_is_immutable;
UPDATE ml_model_registry SET interface = nested(200);
SELECT e2i_clear_session_cache() > 0 AS cleared;
SELECT e2i_predict('plus:1', ARRAY[1]);
ROLLBACK;
-- The event says what was before and after, as given; what is only written differently is a change.
SELECT details->'metrics'->'before'->'scale', details->'metrics'->'after'->'scale', details->'metrics'->'after'->'big', details ? 'description' AS description
FROM ml_model_events WHERE action = 'annotate';
SELECT e2i_annotate_model('plus', metrics => '{"scale": 1.100}');
SELECT count(*) FROM ml_model_events WHERE action = 'annotate';
-- A gate reads the metrics that are numbers it can compare; others are no metric.
SELECT e2i_transition_stage('plus', '1', 'staging');
INSERT INTO ml_stage_policies (stage, gate, metric, at_least) VALUES ('shadow', 'metric', 'huge', 1);
SELECT e2i_transition_stage('plus', '1', 'shadow');
DELETE FROM ml_stage_policies WHERE metric = 'huge';

-- What is read is refused where it cannot be, with the place.
SELECT e2i_register_model('refused', regress.plus(1), examples => '[{"features": {"x": 1}, "prediction": 2}, {"features": {"x": 1e400}, "prediction": 2}]');
SELECT e2i_register_model('refused', regress.plus(1), examples => '[{"features": [1], "prediction": -1e999}]');
SELECT e2i_register_model('refused', regress.plus(1), examples => '[{"features": {"a b": 9007199254740993}, "prediction": 2}]');
SELECT e2i_register_model('refused', regress.plus(1), examples => jsonb_build_array(nested(128)));
SELECT e2i_register_model('refused', regress.plus(1), examples => '1e400');
SELECT e2i_register_model('refused', regress.plus(1), signature => '{"inputs": [{"name": "x", "type": "float", "default": 1e400}]}');
SELECT e2i_register_model('refused', regress.plus(1), signature => nested(3000));
SELECT e2i_set_traffic('plus', '{"plus:1": 1e400}');
SELECT e2i_set_traffic('plus', jsonb_build_object('plus:1', nested(128)));
SELECT e2i_set_traffic('plus', '{"plus:1": 0.50, "plus:2": 0.50}');
SELECT e2i_register_model('refused', regress.plus(1), tags => '[1]');
SELECT e2i_register_model('refused', regress.plus(1), metrics => '1');
SELECT e2i_annotate_model('plus', tags => '"team"');
-- Shares are kept as given, too.
SELECT e2i_register_model('plus', regress.plus(2));
SELECT e2i_set_traffic('plus', '{"plus:1": 0.50, "plus:2": 0.500}');
SELECT traffic FROM ml_bentoml_services WHERE status = 'active';
SELECT count(*) FROM ml_model_registry WHERE model_name = 'refused';
-- A class called 'a' and a zero byte is in no text of the server's, nor in its JSON.
CREATE FUNCTION zero() RETURNS bytea LANGUAGE sql AS $$ SELECT decode('
    CAgSADrqAQqiAQoBeBIFbGFiZWwSAXAiEExpbmVhckNsYXNzaWZpZXIqHwoTY2xhc3NsYWJlbHNfc3RyaW5nc0oCYQBKAWKgAQgqGwoMY29lZmZpY2ll
    bnRzPQAAgL89AACAP6ABBioZCgppbnRlcmNlcHRzPQAAAAA9AAAAAKABBiocCg5wb3N0X3RyYW5zZm9ybSIHU09GVE1BWKABAzoKYWkub25ueC5tbBIB
    Z1oUCgF4Eg8KDQgBEgkKAxIBTgoCCAFiFAoFbGFiZWwSCwoJCAgSBQoDEgFOYhQKAXASDwoNCAESCQoDEgFOCgIIAkIECgAQDUIOCgphaS5vbm54Lm1s
    EAE=', 'base64') $$;
SELECT e2i_register_model('zero', zero());
SELECT e2i_register_model('zero', zero(), class_labels => '{a,b}');
DROP FUNCTION nested, zero;
