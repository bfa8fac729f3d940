-- e2i_importance: how much each feature matters over the rows of a relation, which are read with the caller's rights. VOLATILE: it can
-- keep what it found.
CREATE FUNCTION e2i_importance(model text, relation text, space text DEFAULT 'margin', class text DEFAULT NULL, method text DEFAULT NULL,
        most integer DEFAULT 10000, store boolean DEFAULT false, segment text DEFAULT NULL, samples integer DEFAULT NULL, error float8 DEFAULT NULL)
    RETURNS TABLE (rank integer, feature text, importance float8, share float8, standard_error float8, class text, "rows" bigint)
    LANGUAGE c VOLATILE COST 1000000 AS 'MODULE_PATHNAME', 'e2i_importance_wrapper';
COMMENT ON FUNCTION e2i_importance IS 'how much each feature adds on average over many rows, with its rank';

-- e2i_importance_drift: each analysis that was kept of rows against the one before it of the same model, part, class, space and method.
CREATE VIEW e2i_importance_drift AS
    SELECT a.model_name, a.model_version, b.model_version AS before_version, a.segment, a.class, a.space, a.computation_method, a.created_at,
        b.created_at AS before_at, d.rank_correlation, d.largest_change, d.feature, d.before_share, d.share, a.id, b.id AS before_id
    FROM (SELECT id, lag(id) OVER (PARTITION BY model_name, analysis_type, segment, class, space, computation_method ORDER BY created_at, id) AS before_id
            FROM ml_shap_analyses WHERE analysis_type <> 'local') p
        JOIN ml_shap_analyses a USING (id)
        JOIN ml_shap_analyses b ON b.id = p.before_id
        CROSS JOIN LATERAL (
            -- Ranks of equal shares are the mean of their places.
            SELECT corr(r.place + (r.same - 1) / 2.0, r.before_place + (r.before_same - 1) / 2.0) AS rank_correlation, max(abs(r.share - r.before_share)) AS largest_change,
                (array_agg(r.feature ORDER BY abs(r.share - r.before_share) DESC, r.feature))[1] AS feature,
                (array_agg(r.before_share ORDER BY abs(r.share - r.before_share) DESC, r.feature))[1] AS before_share,
                (array_agg(r.share ORDER BY abs(r.share - r.before_share) DESC, r.feature))[1] AS share
            FROM (SELECT s.*, rank() OVER (ORDER BY share DESC) AS place, count(*) OVER (PARTITION BY share) AS same,
                    rank() OVER (ORDER BY before_share DESC) AS before_place, count(*) OVER (PARTITION BY before_share) AS before_same
                FROM (SELECT feature, coalesce(n.mean::text::float8 / nullif(sum(n.mean::text::float8) OVER (), 0), 0) AS share,
                        coalesce(o.mean::text::float8 / nullif(sum(o.mean::text::float8) OVER (), 0), 0) AS before_share
                    FROM jsonb_each(a.global_importance) n (feature, mean) FULL JOIN jsonb_each(b.global_importance) o (feature, mean) USING (feature)) s) r) d;
COMMENT ON VIEW e2i_importance_drift IS 'how far importance moved from one kept analysis to the next';
COMMENT ON COLUMN e2i_importance_drift.model_name IS 'the model';
COMMENT ON COLUMN e2i_importance_drift.model_version IS 'its version';
COMMENT ON COLUMN e2i_importance_drift.before_version IS 'the version of the analysis before';
COMMENT ON COLUMN e2i_importance_drift.segment IS 'the part of the rows';
COMMENT ON COLUMN e2i_importance_drift.class IS 'the class, where there are several numbers';
COMMENT ON COLUMN e2i_importance_drift.space IS 'margin, probability, probability_scaled or output';
COMMENT ON COLUMN e2i_importance_drift.computation_method IS 'path_dependent, interventional or sampled';
COMMENT ON COLUMN e2i_importance_drift.created_at IS 'when the analysis was made';
COMMENT ON COLUMN e2i_importance_drift.before_at IS 'when the one before was';
COMMENT ON COLUMN e2i_importance_drift.rank_correlation IS 'of the features'' order, by Spearman: 1 is the same; NULL without order';
COMMENT ON COLUMN e2i_importance_drift.largest_change IS 'how far the share moved that moved most';
COMMENT ON COLUMN e2i_importance_drift.feature IS 'whose share that is';
COMMENT ON COLUMN e2i_importance_drift.before_share IS 'what it was';
COMMENT ON COLUMN e2i_importance_drift.share IS 'what it is';
COMMENT ON COLUMN e2i_importance_drift.id IS 'the analysis';
COMMENT ON COLUMN e2i_importance_drift.before_id IS 'the one before';
