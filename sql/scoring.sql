-- Scoring. STABLE, because the answer changes with a deploy; STRICT, because a row that is NULL has no score. The cost is
-- that of a small model, a few microseconds, in units of cpu_operator_cost; it keeps the planner from calling a model
-- before a cheaper condition.

-- What the planner asks about a scoring call.
CREATE FUNCTION e2i_scoring_support(internal) RETURNS internal
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'e2i_scoring_support';
COMMENT ON FUNCTION e2i_scoring_support IS 'planner support of the scoring functions';

-- e2i_predict: one number: a regression's value, the probability of the positive class, a class or cluster number, an anomaly score.
CREATE FUNCTION e2i_predict(model text, features jsonb) RETURNS float8
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_jsonb';
CREATE FUNCTION e2i_predict(model text, features text) RETURNS float8
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_text';
CREATE FUNCTION e2i_predict(model text, features json) RETURNS float8
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_text';
CREATE FUNCTION e2i_predict(model text, features record) RETURNS float8
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_row';
CREATE FUNCTION e2i_predict(model text, features anyarray) RETURNS float8
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_array';
COMMENT ON FUNCTION e2i_predict(text, jsonb) IS 'one number: value, probability, cluster or score (from jsonb)';
COMMENT ON FUNCTION e2i_predict(text, text) IS 'one number: value, probability, cluster or score (from JSON as text)';
COMMENT ON FUNCTION e2i_predict(text, json) IS 'one number: value, probability, cluster or score (from json)';
COMMENT ON FUNCTION e2i_predict(text, record) IS 'one number: value, probability, cluster or score (from a row, by column name)';
COMMENT ON FUNCTION e2i_predict(text, anyarray) IS 'one number: value, probability, cluster or score (from an array, by position)';

-- e2i_predict_label: the predicted class, cluster or verdict.
CREATE FUNCTION e2i_predict_label(model text, features jsonb) RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_label_jsonb';
CREATE FUNCTION e2i_predict_label(model text, features text) RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_label_text';
CREATE FUNCTION e2i_predict_label(model text, features json) RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_label_text';
CREATE FUNCTION e2i_predict_label(model text, features record) RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_label_row';
CREATE FUNCTION e2i_predict_label(model text, features anyarray) RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_label_array';
COMMENT ON FUNCTION e2i_predict_label(text, jsonb) IS 'the predicted class, cluster or verdict (from jsonb)';
COMMENT ON FUNCTION e2i_predict_label(text, text) IS 'the predicted class, cluster or verdict (from JSON as text)';
COMMENT ON FUNCTION e2i_predict_label(text, json) IS 'the predicted class, cluster or verdict (from json)';
COMMENT ON FUNCTION e2i_predict_label(text, record) IS 'the predicted class, cluster or verdict (from a row, by column name)';
COMMENT ON FUNCTION e2i_predict_label(text, anyarray) IS 'the predicted class, cluster or verdict (from an array, by position)';

-- e2i_predict_proba: one probability a class, in the order of e2i_model_classes.
CREATE FUNCTION e2i_predict_proba(model text, features jsonb) RETURNS float8[]
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_proba_jsonb';
CREATE FUNCTION e2i_predict_proba(model text, features text) RETURNS float8[]
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_proba_text';
CREATE FUNCTION e2i_predict_proba(model text, features json) RETURNS float8[]
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_proba_text';
CREATE FUNCTION e2i_predict_proba(model text, features record) RETURNS float8[]
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_proba_row';
CREATE FUNCTION e2i_predict_proba(model text, features anyarray) RETURNS float8[]
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_proba_array';
COMMENT ON FUNCTION e2i_predict_proba(text, jsonb) IS 'one probability a class, as e2i_model_classes (from jsonb)';
COMMENT ON FUNCTION e2i_predict_proba(text, text) IS 'one probability a class, as e2i_model_classes (from JSON as text)';
COMMENT ON FUNCTION e2i_predict_proba(text, json) IS 'one probability a class, as e2i_model_classes (from json)';
COMMENT ON FUNCTION e2i_predict_proba(text, record) IS 'one probability a class, as e2i_model_classes (from a row, by column name)';
COMMENT ON FUNCTION e2i_predict_proba(text, anyarray) IS 'one probability a class, as e2i_model_classes (from an array, by position)';

-- e2i_predict_vector: every number of the main output: several targets, distances, an embedding.
CREATE FUNCTION e2i_predict_vector(model text, features jsonb) RETURNS float8[]
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_vector_jsonb';
CREATE FUNCTION e2i_predict_vector(model text, features text) RETURNS float8[]
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_vector_text';
CREATE FUNCTION e2i_predict_vector(model text, features json) RETURNS float8[]
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_vector_text';
CREATE FUNCTION e2i_predict_vector(model text, features record) RETURNS float8[]
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_vector_row';
CREATE FUNCTION e2i_predict_vector(model text, features anyarray) RETURNS float8[]
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_vector_array';
COMMENT ON FUNCTION e2i_predict_vector(text, jsonb) IS 'every number: targets, distances, an embedding (from jsonb)';
COMMENT ON FUNCTION e2i_predict_vector(text, text) IS 'every number: targets, distances, an embedding (from JSON as text)';
COMMENT ON FUNCTION e2i_predict_vector(text, json) IS 'every number: targets, distances, an embedding (from json)';
COMMENT ON FUNCTION e2i_predict_vector(text, record) IS 'every number: targets, distances, an embedding (from a row, by column name)';
COMMENT ON FUNCTION e2i_predict_vector(text, anyarray) IS 'every number: targets, distances, an embedding (from an array, by position)';

-- What plans call in place of the functions above: features are the columns that the versions need, and versions are those that the
-- statement was planned for; as_json is whether the row stands in place of its JSON.
CREATE FUNCTION e2i_predict_planned(model text, features record, versions text[], as_json boolean) RETURNS float8
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_planned';
CREATE FUNCTION e2i_predict_label_planned(model text, features record, versions text[], as_json boolean) RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_label_planned';
CREATE FUNCTION e2i_predict_proba_planned(model text, features record, versions text[], as_json boolean) RETURNS float8[]
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_proba_planned';
CREATE FUNCTION e2i_predict_vector_planned(model text, features record, versions text[], as_json boolean) RETURNS float8[]
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_vector_planned';
COMMENT ON FUNCTION e2i_predict_planned IS 'what a plan calls in place of e2i_predict, with the columns needed';
COMMENT ON FUNCTION e2i_predict_label_planned IS 'what a plan calls in place of e2i_predict_label, with the columns needed';
COMMENT ON FUNCTION e2i_predict_proba_planned IS 'what a plan calls in place of e2i_predict_proba, with the columns needed';
COMMENT ON FUNCTION e2i_predict_vector_planned IS 'what a plan calls in place of e2i_predict_vector, with the columns needed';

-- e2i_predict_pinned: the number of e2i_predict for a version that never changes, and therefore IMMUTABLE: it may stand in an
-- expression index, be pushed down to a foreign server, and be used where only immutable functions are.
CREATE FUNCTION e2i_predict_pinned(model text, features jsonb) RETURNS float8
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_pinned_jsonb';
CREATE FUNCTION e2i_predict_pinned(model text, features text) RETURNS float8
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_pinned_text';
CREATE FUNCTION e2i_predict_pinned(model text, features json) RETURNS float8
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_pinned_text';
CREATE FUNCTION e2i_predict_pinned(model text, features record) RETURNS float8
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_pinned_row';
CREATE FUNCTION e2i_predict_pinned(model text, features anyarray) RETURNS float8
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_pinned_array';
COMMENT ON FUNCTION e2i_predict_pinned(text, jsonb) IS 'one number of name:version, immutable (from jsonb)';
COMMENT ON FUNCTION e2i_predict_pinned(text, text) IS 'one number of name:version, immutable (from JSON as text)';
COMMENT ON FUNCTION e2i_predict_pinned(text, json) IS 'one number of name:version, immutable (from json)';
COMMENT ON FUNCTION e2i_predict_pinned(text, record) IS 'one number of name:version, immutable (from a row, by column name)';
COMMENT ON FUNCTION e2i_predict_pinned(text, anyarray) IS 'one number of name:version, immutable (from an array, by position)';

CREATE FUNCTION e2i_serve(model text, payload jsonb) RETURNS jsonb
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 1000 AS 'MODULE_PATHNAME', 'e2i_serve_wrapper';
-- Two parameters of other names, so that a gateway that finds functions by the names of their parameters (PostgREST) sees one.
CREATE FUNCTION e2i_serve(model text, request text) RETURNS jsonb
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 1000 AS 'MODULE_PATHNAME', 'e2i_serve_text_wrapper';
CREATE FUNCTION e2i_serve(model text, request_json json) RETURNS jsonb
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 1000 AS 'MODULE_PATHNAME', 'e2i_serve_text_wrapper';
COMMENT ON FUNCTION e2i_serve(text, jsonb) IS 'scores a payload, {"features": X}, and answers as a model server does';
COMMENT ON FUNCTION e2i_serve(text, text) IS 'the same, the payload as text';
COMMENT ON FUNCTION e2i_serve(text, json) IS 'the same, the payload as json';

-- e2i_check_features: a dry run of the binding.
CREATE FUNCTION e2i_check_features(model text, features jsonb)
    RETURNS TABLE (feature text, tensor text, "position" integer, value text, problem text)
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'e2i_check_features_wrapper';
CREATE FUNCTION e2i_check_features(model text, features text)
    RETURNS TABLE (feature text, tensor text, "position" integer, value text, problem text)
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'e2i_check_features_wrapper';
CREATE FUNCTION e2i_check_features(model text, features json)
    RETURNS TABLE (feature text, tensor text, "position" integer, value text, problem text)
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'e2i_check_features_wrapper';
CREATE FUNCTION e2i_check_features(model text, features record)
    RETURNS TABLE (feature text, tensor text, "position" integer, value text, problem text)
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'e2i_check_features_wrapper';
CREATE FUNCTION e2i_check_features(model text, features anyarray)
    RETURNS TABLE (feature text, tensor text, "position" integer, value text, problem text)
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'e2i_check_features_wrapper';
COMMENT ON FUNCTION e2i_check_features(text, jsonb) IS 'what each feature would be, and what is wrong (from jsonb)';
COMMENT ON FUNCTION e2i_check_features(text, text) IS 'what each feature would be, and what is wrong (from JSON as text)';
COMMENT ON FUNCTION e2i_check_features(text, json) IS 'what each feature would be, and what is wrong (from json)';
COMMENT ON FUNCTION e2i_check_features(text, record) IS 'what each feature would be, and what is wrong (from a row, by column name)';
COMMENT ON FUNCTION e2i_check_features(text, anyarray) IS 'what each feature would be, and what is wrong (from an array, by position)';

CREATE FUNCTION e2i_describe_model(model text)
    RETURNS TABLE (kind text, "position" integer, name text, type text, shape text, required boolean, takes_null boolean, "default" jsonb, note text)
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'e2i_describe_model_wrapper';
COMMENT ON FUNCTION e2i_describe_model IS 'what a model takes and gives, and which engine scores it, and how';

CREATE FUNCTION e2i_verify_model(model text)
    RETURNS TABLE ("row" integer, output text, expected text, got text, difference double precision, ok boolean)
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'e2i_verify_model_wrapper';
COMMENT ON FUNCTION e2i_verify_model IS 'scores the golden rows again: expected, given, and whether they agree';
