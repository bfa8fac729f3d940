-- How sure a model is. STABLE and STRICT, as scoring is; the cost is that of scoring.

-- An interval around what a model predicts.
CREATE TYPE e2i_interval AS (prediction float8, lower float8, upper float8, level float8, coverage float8);
COMMENT ON TYPE e2i_interval IS 'a prediction, where the truth is at a level, and how often it was';
COMMENT ON COLUMN e2i_interval.prediction IS 'what the model predicts';
COMMENT ON COLUMN e2i_interval.lower IS 'where the interval begins; -Infinity where there were too few rows for the level';
COMMENT ON COLUMN e2i_interval.upper IS 'where it ends';
COMMENT ON COLUMN e2i_interval.level IS 'the level that was asked for';
COMMENT ON COLUMN e2i_interval.coverage IS 'share of rows covered at the last check, or of those calibrated with';

-- e2i_predict_interval: what the model predicts, and from where to where the truth is.
CREATE FUNCTION e2i_predict_interval(model text, features jsonb, level float8 DEFAULT 0.9) RETURNS e2i_interval
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_interval_jsonb';
CREATE FUNCTION e2i_predict_interval(model text, features text, level float8 DEFAULT 0.9) RETURNS e2i_interval
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_interval_text';
CREATE FUNCTION e2i_predict_interval(model text, features json, level float8 DEFAULT 0.9) RETURNS e2i_interval
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_interval_text';
CREATE FUNCTION e2i_predict_interval(model text, features record, level float8 DEFAULT 0.9) RETURNS e2i_interval
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_interval_row';
CREATE FUNCTION e2i_predict_interval(model text, features anyarray, level float8 DEFAULT 0.9) RETURNS e2i_interval
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_interval_array';
CREATE FUNCTION e2i_predict_interval_planned(model text, features record, versions text[], as_json boolean, level float8) RETURNS e2i_interval
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_interval_planned';
COMMENT ON FUNCTION e2i_predict_interval(text, jsonb, float8) IS 'from where to where the truth is, at that level (from jsonb)';
COMMENT ON FUNCTION e2i_predict_interval(text, text, float8) IS 'from where to where the truth is, at that level (from JSON as text)';
COMMENT ON FUNCTION e2i_predict_interval(text, json, float8) IS 'from where to where the truth is, at that level (from json)';
COMMENT ON FUNCTION e2i_predict_interval(text, record, float8) IS 'from where to where the truth is, at that level (from a row, by column name)';
COMMENT ON FUNCTION e2i_predict_interval(text, anyarray, float8) IS 'from where to where the truth is, at that level (from an array, by position)';
COMMENT ON FUNCTION e2i_predict_interval_planned IS 'what a plan calls in place of e2i_predict_interval';

-- e2i_predict_set: classes of which the truth is one.
CREATE FUNCTION e2i_predict_set(model text, features jsonb, level float8 DEFAULT 0.9) RETURNS text[]
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_set_jsonb';
CREATE FUNCTION e2i_predict_set(model text, features text, level float8 DEFAULT 0.9) RETURNS text[]
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_set_text';
CREATE FUNCTION e2i_predict_set(model text, features json, level float8 DEFAULT 0.9) RETURNS text[]
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_set_text';
CREATE FUNCTION e2i_predict_set(model text, features record, level float8 DEFAULT 0.9) RETURNS text[]
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_set_row';
CREATE FUNCTION e2i_predict_set(model text, features anyarray, level float8 DEFAULT 0.9) RETURNS text[]
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_set_array';
CREATE FUNCTION e2i_predict_set_planned(model text, features record, versions text[], as_json boolean, level float8) RETURNS text[]
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_set_planned';
COMMENT ON FUNCTION e2i_predict_set(text, jsonb, float8) IS 'classes of which the truth is one, at that level (from jsonb)';
COMMENT ON FUNCTION e2i_predict_set(text, text, float8) IS 'classes of which the truth is one, at that level (from JSON as text)';
COMMENT ON FUNCTION e2i_predict_set(text, json, float8) IS 'classes of which the truth is one, at that level (from json)';
COMMENT ON FUNCTION e2i_predict_set(text, record, float8) IS 'classes of which the truth is one, at that level (from a row, by column name)';
COMMENT ON FUNCTION e2i_predict_set(text, anyarray, float8) IS 'classes of which the truth is one, at that level (from an array, by position)';
COMMENT ON FUNCTION e2i_predict_set_planned IS 'what a plan calls in place of e2i_predict_set';

-- e2i_predict_calibrated: the probability of the positive class, as often right as it says.
CREATE FUNCTION e2i_predict_calibrated(model text, features jsonb) RETURNS float8
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_calibrated_jsonb';
CREATE FUNCTION e2i_predict_calibrated(model text, features text) RETURNS float8
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_calibrated_text';
CREATE FUNCTION e2i_predict_calibrated(model text, features json) RETURNS float8
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_calibrated_text';
CREATE FUNCTION e2i_predict_calibrated(model text, features record) RETURNS float8
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_calibrated_row';
CREATE FUNCTION e2i_predict_calibrated(model text, features anyarray) RETURNS float8
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_calibrated_array';
CREATE FUNCTION e2i_predict_calibrated_planned(model text, features record, versions text[], as_json boolean) RETURNS float8
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_calibrated_planned';
COMMENT ON FUNCTION e2i_predict_calibrated(text, jsonb) IS 'the calibrated probability (from jsonb)';
COMMENT ON FUNCTION e2i_predict_calibrated(text, text) IS 'the calibrated probability (from JSON as text)';
COMMENT ON FUNCTION e2i_predict_calibrated(text, json) IS 'the calibrated probability (from json)';
COMMENT ON FUNCTION e2i_predict_calibrated(text, record) IS 'the calibrated probability (from a row, by column name)';
COMMENT ON FUNCTION e2i_predict_calibrated(text, anyarray) IS 'the calibrated probability (from an array, by position)';
COMMENT ON FUNCTION e2i_predict_calibrated_planned IS 'what a plan calls in place of e2i_predict_calibrated';

-- e2i_predict_calibrated_proba: one such probability a class.
CREATE FUNCTION e2i_predict_calibrated_proba(model text, features jsonb) RETURNS float8[]
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_calibrated_proba_jsonb';
CREATE FUNCTION e2i_predict_calibrated_proba(model text, features text) RETURNS float8[]
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_calibrated_proba_text';
CREATE FUNCTION e2i_predict_calibrated_proba(model text, features json) RETURNS float8[]
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_calibrated_proba_text';
CREATE FUNCTION e2i_predict_calibrated_proba(model text, features record) RETURNS float8[]
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_calibrated_proba_row';
CREATE FUNCTION e2i_predict_calibrated_proba(model text, features anyarray) RETURNS float8[]
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_calibrated_proba_array';
CREATE FUNCTION e2i_predict_calibrated_proba_planned(model text, features record, versions text[], as_json boolean) RETURNS float8[]
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_predict_calibrated_proba_planned';
COMMENT ON FUNCTION e2i_predict_calibrated_proba(text, jsonb) IS 'calibrated probabilities of all classes (from jsonb)';
COMMENT ON FUNCTION e2i_predict_calibrated_proba(text, text) IS 'calibrated probabilities of all classes (from JSON as text)';
COMMENT ON FUNCTION e2i_predict_calibrated_proba(text, json) IS 'calibrated probabilities of all classes (from json)';
COMMENT ON FUNCTION e2i_predict_calibrated_proba(text, record) IS 'calibrated probabilities of all classes (from a row, by column name)';
COMMENT ON FUNCTION e2i_predict_calibrated_proba(text, anyarray) IS 'calibrated probabilities of all classes (from an array, by position)';
COMMENT ON FUNCTION e2i_predict_calibrated_proba_planned IS 'what a plan calls in place of e2i_predict_calibrated_proba';

-- e2i_calibrate: from rows whose truth is known, read with the caller's rights.
CREATE FUNCTION e2i_calibrate(model text, relation text, target text, method text DEFAULT NULL, by text DEFAULT NULL, weights text DEFAULT NULL,
        scale text DEFAULT NULL, space text DEFAULT 'probability') RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'e2i_calibrate_wrapper';
COMMENT ON FUNCTION e2i_calibrate IS 'calibrates a version with rows whose truth is known; returns how many';

-- e2i_coverage: whether intervals and sets hold what they promise, on rows that were not calibrated with.
CREATE FUNCTION e2i_coverage(model text, relation text, target text, level float8 DEFAULT 0.9, by text DEFAULT NULL)
    RETURNS TABLE ("group" text, n bigint, covered bigint, coverage float8, width float8, lowest float8, highest float8, is_within boolean)
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'e2i_coverage_wrapper';
COMMENT ON FUNCTION e2i_coverage IS 'how many rows the intervals or sets cover, and how wide they are';
CREATE FUNCTION e2i_check_coverage(model text, relation text, target text, level float8 DEFAULT 0.9)
    RETURNS TABLE ("group" text, n bigint, covered bigint, coverage float8, width float8, lowest float8, highest float8, is_within boolean)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'e2i_check_coverage_wrapper';
COMMENT ON FUNCTION e2i_check_coverage IS 'as e2i_coverage, kept: too little of it makes a service degraded';
