-- A service that refuses personal data refuses it under every name of the version that it serves.
\set VERBOSITY default
SET client_min_messages = warning;
DELETE FROM ml_inference_log_policies;
SELECT e2i_register_model('notes', regress.onnx('notes_tfidf'));
SELECT e2i_register_model('notes', regress.onnx('notes_tfidf'), deploy => false);
SELECT e2i_set_alias('notes', 'best', '1'), e2i_set_alias('notes', 'next', '2');
CREATE TABLE regress.note AS SELECT 'card 4111 1111 1111 1111'::text AS note;
CREATE FUNCTION regress.refused() RETURNS TABLE (call text, raised text) LANGUAGE sql AS $$
    SELECT call, regress.raised(format(call, model)) FROM unnest('{notes,notes:1,models:/notes/1,notes@best,models:/notes@best,elsewhere,notes:2,notes@next}'::text[]) model,
        unnest(ARRAY['SELECT e2i_predict_label(%L, n) FROM regress.note n', 'SELECT e2i_serve(%L, ''{"features": [["card 4111 1111 1111 1111"]]}'')']) call
    UNION ALL SELECT 'pinned', regress.raised(format('SELECT e2i_predict_pinned(%L, n) FROM regress.note n', model)) FROM unnest('{notes:1,models:/notes/1}'::text[]) model
$$;
-- Nothing is refused where no service says so.
SELECT DISTINCT raised FROM regress.refused() WHERE raised <> '42704 model "elsewhere" does not exist';
SELECT e2i_set_inference_log('notes', sample => 0, on_pii => 'block');
SELECT call, count(*) AS forms, raised FROM regress.refused() GROUP BY 1, 3 ORDER BY 1, 3;
-- What has nothing of the kind is scored, and nothing is logged under other names.
SELECT e2i_predict_label('notes:1', ARRAY['fine']) IS NOT NULL AS scored;
-- A version with a share of the traffic is served, too; another service serves it by its own rules, where it has any.
SELECT e2i_set_traffic('notes', '{"notes:1": 0.5, "notes:2": 0.5}');
SELECT version, status FROM e2i_deploy('notes:1', 'elsewhere');
SELECT raised, count(*) FROM regress.refused() GROUP BY 1 ORDER BY 1;
SELECT e2i_set_inference_log('elsewhere', sample => 0, on_pii => 'allow');
SELECT e2i_predict_label('elsewhere', n) IS NOT NULL AS scored FROM regress.note n;
-- A session hears of the policy as of all that changes, in the middle of a transaction as well.
BEGIN;
SELECT regress.raised($$ SELECT e2i_predict_label('notes:1', n) FROM regress.note n $$);
SELECT e2i_set_inference_log('notes', sample => NULL);
SELECT regress.raised($$ SELECT e2i_predict_label('notes:1', n) FROM regress.note n $$);
ROLLBACK;
SELECT regress.raised($$ SELECT e2i_predict_label('notes:1', n) FROM regress.note n $$);
SELECT version, status FROM e2i_undeploy('notes');
SELECT regress.raised($$ SELECT e2i_predict_label('notes:1', n) FROM regress.note n $$);

SELECT e2i_set_inference_log('elsewhere', sample => NULL);
DELETE FROM ml_inference_log_policies;
DROP FUNCTION regress.refused;
DROP TABLE regress.note;
CALL regress.begin_anew();
