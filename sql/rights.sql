-- Who may do what with the members of the extension, all in one place and last, so that nothing is forgotten: what does not stand
-- here is its owner's alone. src/catalog/rights.rs names the set that a role is missing.

CREATE VIEW e2i_rights AS
    WITH members (object, name) AS (
        SELECT CASE d.classid WHEN 'pg_proc'::regclass THEN CASE p.prokind WHEN 'p' THEN 'PROCEDURE ' ELSE 'FUNCTION ' END || d.objid::regprocedure
                   WHEN 'pg_type'::regclass THEN 'TYPE ' || d.objid::regtype
                   ELSE CASE c.relkind WHEN 'S' THEN 'SEQUENCE ' ELSE 'TABLE ' END || d.objid::regclass END,
               coalesce(p.proname, t.typname, c.relname)
        FROM pg_extension e JOIN pg_depend d ON (d.refclassid, d.refobjid, d.deptype) = ('pg_extension'::regclass, e.oid, 'e')
            LEFT JOIN pg_proc p ON (d.classid, d.objid) = ('pg_proc'::regclass, p.oid)
            LEFT JOIN pg_type t ON (d.classid, d.objid) = ('pg_type'::regclass, t.oid)
            LEFT JOIN pg_class c ON (d.classid, d.objid) = ('pg_class'::regclass, c.oid)
        WHERE e.extname = 'e2i_serve' AND (p.oid IS NOT NULL OR t.typtype = 'e' OR c.oid IS NOT NULL)
    ), held (kind, privilege, names) AS (VALUES
        ('everybody', 'EXECUTE', ARRAY['e2i_predict', 'e2i_predict_label', 'e2i_predict_proba', 'e2i_predict_vector', 'e2i_predict_pinned',
            'e2i_predict_planned', 'e2i_predict_label_planned', 'e2i_predict_proba_planned', 'e2i_predict_vector_planned',
            'e2i_serve', 'e2i_check_features', 'e2i_describe_model', 'e2i_verify_model', 'e2i_model_classes', 'e2i_version_at', 'e2i_prewarm',
            'e2i_cached_models', 'e2i_clear_session_cache', 'e2i_shadow_comparisons', 'e2i_load_library', 'e2i_score_row', 'e2i_score_on_write',
            'e2i_score_on_write_off', 'e2i_score_triggers', 'e2i_features_hash', 'e2i_answering_versions', 'e2i_stale_scores',
            'e2i_score_table', 'e2i_score_problem', 'e2i_score_latency', 'e2i_cancel_scoring_job', 'e2i_unschedule_scoring',
            'e2i_contributions', 'e2i_base_value', 'e2i_explain', 'e2i_reasons', 'e2i_top_reasons', 'e2i_interactions', 'e2i_explain_table', 'e2i_importance',
            'e2i_predict_interval', 'e2i_predict_interval_planned', 'e2i_predict_set', 'e2i_predict_set_planned', 'e2i_predict_calibrated',
            'e2i_predict_calibrated_planned', 'e2i_predict_calibrated_proba', 'e2i_predict_calibrated_proba_planned', 'e2i_coverage']),
        ('everybody', 'SELECT', ARRAY['e2i_session_cache', 'e2i_shadow_scores', 'e2i_rights', 'e2i_scored_on_write', 'e2i_score_history', 'e2i_scoring_progress',
            'e2i_scoring_errors', 'e2i_scoring_schedules']),
        ('everybody', 'USAGE', ARRAY['deployment_status_enum']),
        ('scorer', 'SELECT', ARRAY['ml_model_registry']),
        ('deployer', 'EXECUTE', ARRAY['e2i_register_model', 'e2i_annotate_model', 'e2i_deploy', 'e2i_undeploy', 'e2i_rollback', 'e2i_set_alias',
            'e2i_drop_alias', 'e2i_transition_stage', 'e2i_set_traffic', 'e2i_set_shadow', 'e2i_serving_counters', 'e2i_prometheus_metrics',
            'e2i_health', 'e2i_shadow_report', 'e2i_schedule_scoring', 'e2i_set_background', 'e2i_calibrate', 'e2i_check_coverage']),
        ('deployer', 'SELECT', ARRAY['ml_model_aliases', 'ml_bentoml_services', 'ml_stage_policies', 'ml_model_events',
            'ml_bentoml_serving_metrics', 'ml_health_limits', 'ml_inference_log_policies', 'e2i_models', 'e2i_services', 'e2i_serving_stats',
            'ml_scoring_jobs', 'ml_scoring_schedules', 'ml_calibrations', 'e2i_importance_drift', 'ml_reason_texts']),
        ('deployer', 'SELECT, INSERT', ARRAY['ml_shap_analyses']),
        ('admin', 'EXECUTE', ARRAY['e2i_drop_model', 'e2i_archive_expired', 'e2i_serving_stats_reset', 'e2i_flush_metrics',
            'e2i_set_inference_log', 'e2i_export_model']),
        ('admin', 'SELECT', ARRAY['ml_inference_log', 'ml_scoring_job_errors']),
        ('admin', 'INSERT, UPDATE, DELETE', ARRAY['ml_stage_policies', 'ml_health_limits', 'ml_reason_texts']),
        ('pg_monitor', 'EXECUTE', ARRAY['e2i_serving_counters', 'e2i_prometheus_metrics', 'e2i_health']),
        ('pg_monitor', 'SELECT', ARRAY['e2i_serving_stats'])
    )
    SELECT coalesce(h.kind, 'owner') AS kind, coalesce(h.privilege, 'ALL') AS privilege, m.object
    FROM members m LEFT JOIN held h ON m.name = ANY (h.names);
COMMENT ON VIEW e2i_rights IS 'which set of rights of e2i_grant_usage holds what, each with those before';
COMMENT ON COLUMN e2i_rights.kind IS 'everybody, scorer, deployer, admin, pg_monitor or owner';
COMMENT ON COLUMN e2i_rights.privilege IS 'as GRANT calls it';
COMMENT ON COLUMN e2i_rights.object IS 'of what, as GRANT calls it';

-- Granting needs the right to grant, so this runs with the caller's.
CREATE FUNCTION e2i_grant_usage(role regrole, kind text) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    sets constant text[] := ARRAY['scorer', 'deployer', 'admin'];
    home constant text := (SELECT nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = 'e2i_serve');
    held record;
BEGIN
    IF kind <> ALL (sets) THEN
        RAISE EXCEPTION 'unknown set of rights "%"', kind
            USING ERRCODE = 'invalid_parameter_value', HINT = 'One of scorer, deployer, admin.';
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %s', home, role);
    FOR held IN EXECUTE format('SELECT privilege, object FROM %I.e2i_rights WHERE array_position($1, kind) <= array_position($1, $2)', home)
        USING sets, kind
    LOOP
        EXECUTE format('GRANT %s ON %s TO %s', held.privilege, held.object, role);
    END LOOP;
END;
$$;
COMMENT ON FUNCTION e2i_grant_usage IS 'grants a role what a scorer, deployer or admin needs';

DO $$
DECLARE
    it record;
BEGIN
    -- What is made is everybody's where it is a function, or where somebody has altered the default privileges.
    FOR it IN
        SELECT r.object FROM e2i_rights r GROUP BY r.object
        HAVING bool_and(r.kind <> 'everybody') AND (r.object ~ '^(FUNCTION|PROCEDURE) '
            OR EXISTS (SELECT FROM pg_class c WHERE c.oid = to_regclass(substring(r.object FROM '^\w+ (.*)')) AND c.relacl IS NOT NULL))
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM PUBLIC', it.object);
    END LOOP;
    FOR it IN SELECT r.privilege, r.object, replace(r.kind, 'everybody', 'PUBLIC') AS role FROM e2i_rights r
        WHERE r.kind = 'pg_monitor' OR r.kind = 'everybody' AND r.object LIKE 'TABLE %'
    LOOP
        EXECUTE format('GRANT %s ON %s TO %s', it.privilege, it.object, it.role);
    END LOOP;
END;
$$;
