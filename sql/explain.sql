-- Why a row has its score. STABLE, as scoring is. The cost is that of a hundred scores, in units of cpu_operator_cost.

-- e2i_contributions: what each feature adds to the number of a row.
CREATE FUNCTION e2i_contributions(model text, features jsonb, space text DEFAULT 'margin', class text DEFAULT NULL, method text DEFAULT NULL, samples integer DEFAULT NULL, error float8 DEFAULT NULL) RETURNS float8[]
    LANGUAGE c STABLE PARALLEL SAFE COST 20000 AS 'MODULE_PATHNAME', 'e2i_contributions';
CREATE FUNCTION e2i_contributions(model text, features text, space text DEFAULT 'margin', class text DEFAULT NULL, method text DEFAULT NULL, samples integer DEFAULT NULL, error float8 DEFAULT NULL) RETURNS float8[]
    LANGUAGE c STABLE PARALLEL SAFE COST 20000 AS 'MODULE_PATHNAME', 'e2i_contributions';
CREATE FUNCTION e2i_contributions(model text, features json, space text DEFAULT 'margin', class text DEFAULT NULL, method text DEFAULT NULL, samples integer DEFAULT NULL, error float8 DEFAULT NULL) RETURNS float8[]
    LANGUAGE c STABLE PARALLEL SAFE COST 20000 AS 'MODULE_PATHNAME', 'e2i_contributions';
CREATE FUNCTION e2i_contributions(model text, features record, space text DEFAULT 'margin', class text DEFAULT NULL, method text DEFAULT NULL, samples integer DEFAULT NULL, error float8 DEFAULT NULL) RETURNS float8[]
    LANGUAGE c STABLE PARALLEL SAFE COST 20000 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_contributions';
CREATE FUNCTION e2i_contributions(model text, features anyarray, space text DEFAULT 'margin', class text DEFAULT NULL, method text DEFAULT NULL, samples integer DEFAULT NULL, error float8 DEFAULT NULL) RETURNS float8[]
    LANGUAGE c STABLE PARALLEL SAFE COST 20000 AS 'MODULE_PATHNAME', 'e2i_contributions';
COMMENT ON FUNCTION e2i_contributions(text, jsonb, text, text, text, integer, float8) IS 'what each feature adds to a row''s number (from jsonb)';
COMMENT ON FUNCTION e2i_contributions(text, text, text, text, text, integer, float8) IS 'what each feature adds to a row''s number (from JSON as text)';
COMMENT ON FUNCTION e2i_contributions(text, json, text, text, text, integer, float8) IS 'what each feature adds to a row''s number (from json)';
COMMENT ON FUNCTION e2i_contributions(text, record, text, text, text, integer, float8) IS 'what each feature adds to a row''s number (from a row, by column name)';
COMMENT ON FUNCTION e2i_contributions(text, anyarray, text, text, text, integer, float8) IS 'what each feature adds to a row''s number (from an array, by position)';

-- e2i_base_value: what is expected when nothing is known of a row. With the contributions it adds up to the number of the row.
CREATE FUNCTION e2i_base_value(model text, space text DEFAULT 'margin', class text DEFAULT NULL, method text DEFAULT NULL) RETURNS float8
    LANGUAGE c STABLE PARALLEL SAFE COST 20000 AS 'MODULE_PATHNAME', 'e2i_base_value_wrapper';
COMMENT ON FUNCTION e2i_base_value IS 'what contributions begin with: the number where no feature is known';

-- e2i_explain: the same and what is around it, as JSON.
CREATE FUNCTION e2i_explain(model text, features jsonb, space text DEFAULT 'margin', class text DEFAULT NULL, method text DEFAULT NULL, samples integer DEFAULT NULL, error float8 DEFAULT NULL, language text DEFAULT 'en') RETURNS jsonb
    LANGUAGE c STABLE PARALLEL SAFE COST 20000 AS 'MODULE_PATHNAME', 'e2i_explain_wrapper';
CREATE FUNCTION e2i_explain(model text, features text, space text DEFAULT 'margin', class text DEFAULT NULL, method text DEFAULT NULL, samples integer DEFAULT NULL, error float8 DEFAULT NULL, language text DEFAULT 'en') RETURNS jsonb
    LANGUAGE c STABLE PARALLEL SAFE COST 20000 AS 'MODULE_PATHNAME', 'e2i_explain_wrapper';
CREATE FUNCTION e2i_explain(model text, features json, space text DEFAULT 'margin', class text DEFAULT NULL, method text DEFAULT NULL, samples integer DEFAULT NULL, error float8 DEFAULT NULL, language text DEFAULT 'en') RETURNS jsonb
    LANGUAGE c STABLE PARALLEL SAFE COST 20000 AS 'MODULE_PATHNAME', 'e2i_explain_wrapper';
CREATE FUNCTION e2i_explain(model text, features record, space text DEFAULT 'margin', class text DEFAULT NULL, method text DEFAULT NULL, samples integer DEFAULT NULL, error float8 DEFAULT NULL, language text DEFAULT 'en') RETURNS jsonb
    LANGUAGE c STABLE PARALLEL SAFE COST 20000 AS 'MODULE_PATHNAME', 'e2i_explain_wrapper';
CREATE FUNCTION e2i_explain(model text, features anyarray, space text DEFAULT 'margin', class text DEFAULT NULL, method text DEFAULT NULL, samples integer DEFAULT NULL, error float8 DEFAULT NULL, language text DEFAULT 'en') RETURNS jsonb
    LANGUAGE c STABLE PARALLEL SAFE COST 20000 AS 'MODULE_PATHNAME', 'e2i_explain_wrapper';
COMMENT ON FUNCTION e2i_explain(text, jsonb, text, text, text, integer, float8, text) IS 'why a row has its number, as JSON (from jsonb)';
COMMENT ON FUNCTION e2i_explain(text, text, text, text, text, integer, float8, text) IS 'why a row has its number, as JSON (from JSON as text)';
COMMENT ON FUNCTION e2i_explain(text, json, text, text, text, integer, float8, text) IS 'why a row has its number, as JSON (from json)';
COMMENT ON FUNCTION e2i_explain(text, record, text, text, text, integer, float8, text) IS 'why a row has its number, as JSON (from a row, by column name)';
COMMENT ON FUNCTION e2i_explain(text, anyarray, text, text, text, integer, float8, text) IS 'why a row has its number, as JSON (from an array, by position)';

-- e2i_reasons: the features that add most.
CREATE FUNCTION e2i_reasons(model text, features jsonb, k integer DEFAULT 3, space text DEFAULT 'margin', class text DEFAULT NULL, method text DEFAULT NULL, samples integer DEFAULT NULL, error float8 DEFAULT NULL, language text DEFAULT 'en', towards text DEFAULT NULL)
    RETURNS TABLE (rank integer, feature text, value text, contribution float8, direction text, "text" text)
    LANGUAGE c STABLE PARALLEL SAFE COST 20000 AS 'MODULE_PATHNAME', 'e2i_reasons_wrapper';
CREATE FUNCTION e2i_reasons(model text, features text, k integer DEFAULT 3, space text DEFAULT 'margin', class text DEFAULT NULL, method text DEFAULT NULL, samples integer DEFAULT NULL, error float8 DEFAULT NULL, language text DEFAULT 'en', towards text DEFAULT NULL)
    RETURNS TABLE (rank integer, feature text, value text, contribution float8, direction text, "text" text)
    LANGUAGE c STABLE PARALLEL SAFE COST 20000 AS 'MODULE_PATHNAME', 'e2i_reasons_wrapper';
CREATE FUNCTION e2i_reasons(model text, features json, k integer DEFAULT 3, space text DEFAULT 'margin', class text DEFAULT NULL, method text DEFAULT NULL, samples integer DEFAULT NULL, error float8 DEFAULT NULL, language text DEFAULT 'en', towards text DEFAULT NULL)
    RETURNS TABLE (rank integer, feature text, value text, contribution float8, direction text, "text" text)
    LANGUAGE c STABLE PARALLEL SAFE COST 20000 AS 'MODULE_PATHNAME', 'e2i_reasons_wrapper';
CREATE FUNCTION e2i_reasons(model text, features record, k integer DEFAULT 3, space text DEFAULT 'margin', class text DEFAULT NULL, method text DEFAULT NULL, samples integer DEFAULT NULL, error float8 DEFAULT NULL, language text DEFAULT 'en', towards text DEFAULT NULL)
    RETURNS TABLE (rank integer, feature text, value text, contribution float8, direction text, "text" text)
    LANGUAGE c STABLE PARALLEL SAFE COST 20000 AS 'MODULE_PATHNAME', 'e2i_reasons_wrapper';
CREATE FUNCTION e2i_reasons(model text, features anyarray, k integer DEFAULT 3, space text DEFAULT 'margin', class text DEFAULT NULL, method text DEFAULT NULL, samples integer DEFAULT NULL, error float8 DEFAULT NULL, language text DEFAULT 'en', towards text DEFAULT NULL)
    RETURNS TABLE (rank integer, feature text, value text, contribution float8, direction text, "text" text)
    LANGUAGE c STABLE PARALLEL SAFE COST 20000 AS 'MODULE_PATHNAME', 'e2i_reasons_wrapper';
COMMENT ON FUNCTION e2i_reasons(text, jsonb, integer, text, text, text, integer, float8, text, text) IS 'the k features that add most, in words (from jsonb)';
COMMENT ON FUNCTION e2i_reasons(text, text, integer, text, text, text, integer, float8, text, text) IS 'the k features that add most, in words (from JSON as text)';
COMMENT ON FUNCTION e2i_reasons(text, json, integer, text, text, text, integer, float8, text, text) IS 'the k features that add most, in words (from json)';
COMMENT ON FUNCTION e2i_reasons(text, record, integer, text, text, text, integer, float8, text, text) IS 'the k features that add most, in words (from a row, by column name)';
COMMENT ON FUNCTION e2i_reasons(text, anyarray, integer, text, text, text, integer, float8, text, text) IS 'the k features that add most, in words (from an array, by position)';

-- e2i_top_reasons: their names alone, for scans.
CREATE FUNCTION e2i_top_reasons(model text, features jsonb, k integer DEFAULT 3, space text DEFAULT 'margin', class text DEFAULT NULL, method text DEFAULT NULL, samples integer DEFAULT NULL, error float8 DEFAULT NULL) RETURNS text[]
    LANGUAGE c STABLE PARALLEL SAFE COST 20000 AS 'MODULE_PATHNAME', 'e2i_top_reasons';
CREATE FUNCTION e2i_top_reasons(model text, features text, k integer DEFAULT 3, space text DEFAULT 'margin', class text DEFAULT NULL, method text DEFAULT NULL, samples integer DEFAULT NULL, error float8 DEFAULT NULL) RETURNS text[]
    LANGUAGE c STABLE PARALLEL SAFE COST 20000 AS 'MODULE_PATHNAME', 'e2i_top_reasons';
CREATE FUNCTION e2i_top_reasons(model text, features json, k integer DEFAULT 3, space text DEFAULT 'margin', class text DEFAULT NULL, method text DEFAULT NULL, samples integer DEFAULT NULL, error float8 DEFAULT NULL) RETURNS text[]
    LANGUAGE c STABLE PARALLEL SAFE COST 20000 AS 'MODULE_PATHNAME', 'e2i_top_reasons';
CREATE FUNCTION e2i_top_reasons(model text, features record, k integer DEFAULT 3, space text DEFAULT 'margin', class text DEFAULT NULL, method text DEFAULT NULL, samples integer DEFAULT NULL, error float8 DEFAULT NULL) RETURNS text[]
    LANGUAGE c STABLE PARALLEL SAFE COST 20000 SUPPORT e2i_scoring_support AS 'MODULE_PATHNAME', 'e2i_top_reasons';
CREATE FUNCTION e2i_top_reasons(model text, features anyarray, k integer DEFAULT 3, space text DEFAULT 'margin', class text DEFAULT NULL, method text DEFAULT NULL, samples integer DEFAULT NULL, error float8 DEFAULT NULL) RETURNS text[]
    LANGUAGE c STABLE PARALLEL SAFE COST 20000 AS 'MODULE_PATHNAME', 'e2i_top_reasons';
COMMENT ON FUNCTION e2i_top_reasons(text, jsonb, integer, text, text, text, integer, float8) IS 'the names of the k features that add most (from jsonb)';
COMMENT ON FUNCTION e2i_top_reasons(text, text, integer, text, text, text, integer, float8) IS 'the names of the k features that add most (from JSON as text)';
COMMENT ON FUNCTION e2i_top_reasons(text, json, integer, text, text, text, integer, float8) IS 'the names of the k features that add most (from json)';
COMMENT ON FUNCTION e2i_top_reasons(text, record, integer, text, text, text, integer, float8) IS 'the names of the k features that add most (from a row, by column name)';
COMMENT ON FUNCTION e2i_top_reasons(text, anyarray, integer, text, text, text, integer, float8) IS 'the names of the k features that add most (from an array, by position)';

-- e2i_set_background: rows that stand for what is not known, read with the caller's rights.
CREATE FUNCTION e2i_set_background(model text, data text, most integer DEFAULT 10000, covers text DEFAULT 'file') RETURNS bigint
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'e2i_set_background_wrapper';
COMMENT ON FUNCTION e2i_set_background IS 'gives a version rows to compare with in explanations; returns how many';

-- e2i_interactions: what pairs of features add together.
CREATE FUNCTION e2i_interactions(model text, features jsonb, space text DEFAULT 'margin', class text DEFAULT NULL, method text DEFAULT NULL)
    RETURNS TABLE (feature_a text, feature_b text, interaction float8)
    LANGUAGE c STABLE PARALLEL SAFE COST 20000 AS 'MODULE_PATHNAME', 'e2i_interactions_wrapper';
CREATE FUNCTION e2i_interactions(model text, features text, space text DEFAULT 'margin', class text DEFAULT NULL, method text DEFAULT NULL)
    RETURNS TABLE (feature_a text, feature_b text, interaction float8)
    LANGUAGE c STABLE PARALLEL SAFE COST 20000 AS 'MODULE_PATHNAME', 'e2i_interactions_wrapper';
CREATE FUNCTION e2i_interactions(model text, features json, space text DEFAULT 'margin', class text DEFAULT NULL, method text DEFAULT NULL)
    RETURNS TABLE (feature_a text, feature_b text, interaction float8)
    LANGUAGE c STABLE PARALLEL SAFE COST 20000 AS 'MODULE_PATHNAME', 'e2i_interactions_wrapper';
CREATE FUNCTION e2i_interactions(model text, features record, space text DEFAULT 'margin', class text DEFAULT NULL, method text DEFAULT NULL)
    RETURNS TABLE (feature_a text, feature_b text, interaction float8)
    LANGUAGE c STABLE PARALLEL SAFE COST 20000 AS 'MODULE_PATHNAME', 'e2i_interactions_wrapper';
CREATE FUNCTION e2i_interactions(model text, features anyarray, space text DEFAULT 'margin', class text DEFAULT NULL, method text DEFAULT NULL)
    RETURNS TABLE (feature_a text, feature_b text, interaction float8)
    LANGUAGE c STABLE PARALLEL SAFE COST 20000 AS 'MODULE_PATHNAME', 'e2i_interactions_wrapper';
COMMENT ON FUNCTION e2i_interactions(text, jsonb, text, text, text) IS 'what each feature adds, and each pair besides (from jsonb)';
COMMENT ON FUNCTION e2i_interactions(text, text, text, text, text) IS 'what each feature adds, and each pair besides (from JSON as text)';
COMMENT ON FUNCTION e2i_interactions(text, json, text, text, text) IS 'what each feature adds, and each pair besides (from json)';
COMMENT ON FUNCTION e2i_interactions(text, record, text, text, text) IS 'what each feature adds, and each pair besides (from a row, by column name)';
COMMENT ON FUNCTION e2i_interactions(text, anyarray, text, text, text) IS 'what each feature adds, and each pair besides (from an array, by position)';
