-- e2i_importance: how much each feature matters over the rows of a relation, which are read with the caller's rights. VOLATILE: it can
-- keep what it found.
CREATE FUNCTION e2i_importance(model text, relation text, space text DEFAULT 'margin', class text DEFAULT NULL, method text DEFAULT NULL,
        most integer DEFAULT 10000, store boolean DEFAULT false, segment text DEFAULT NULL, samples integer DEFAULT NULL, error float8 DEFAULT NULL)
    RETURNS TABLE (rank integer, feature text, importance float8, share float8, standard_error float8, class text, "rows" bigint)
    LANGUAGE c VOLATILE COST 1000000 AS 'MODULE_PATHNAME', 'e2i_importance_wrapper';
COMMENT ON FUNCTION e2i_importance IS 'how much each feature adds on average over many rows, with its rank';
