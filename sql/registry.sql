-- What stands on the tables and the generated functions: triggers, views, aliases, comments.

-- Every session hears of a change when it commits. ALWAYS, so that changes that arrive by replication are heard of, too.
CREATE TRIGGER registry_changed AFTER INSERT OR UPDATE OR DELETE ON ml_model_registry
    FOR EACH ROW EXECUTE FUNCTION e2i_registry_changed();
CREATE TRIGGER registry_changed AFTER INSERT OR UPDATE OR DELETE ON ml_model_aliases
    FOR EACH ROW EXECUTE FUNCTION e2i_registry_changed();
-- Not of a change of health, which changes nothing for who scores.
CREATE TRIGGER registry_changed AFTER INSERT OR DELETE
    OR UPDATE OF model_id, service_name, status, traffic, traffic_by, shadow_id, shadow_sample ON ml_bentoml_services
    FOR EACH ROW EXECUTE FUNCTION e2i_registry_changed();
CREATE TRIGGER registry_changed AFTER INSERT OR UPDATE OR DELETE ON ml_inference_log_policies
    FOR EACH ROW EXECUTE FUNCTION e2i_registry_changed();
CREATE TRIGGER registry_changed AFTER INSERT OR UPDATE OR DELETE ON ml_calibrations
    FOR EACH ROW EXECUTE FUNCTION e2i_registry_changed();
CREATE TRIGGER registry_truncated AFTER TRUNCATE ON ml_model_registry
    FOR EACH STATEMENT EXECUTE FUNCTION e2i_registry_changed();
CREATE TRIGGER registry_truncated AFTER TRUNCATE ON ml_model_aliases
    FOR EACH STATEMENT EXECUTE FUNCTION e2i_registry_changed();
CREATE TRIGGER registry_truncated AFTER TRUNCATE ON ml_bentoml_services
    FOR EACH STATEMENT EXECUTE FUNCTION e2i_registry_changed();
CREATE TRIGGER registry_truncated AFTER TRUNCATE ON ml_inference_log_policies
    FOR EACH STATEMENT EXECUTE FUNCTION e2i_registry_changed();
CREATE TRIGGER registry_truncated AFTER TRUNCATE ON ml_calibrations
    FOR EACH STATEMENT EXECUTE FUNCTION e2i_registry_changed();
ALTER TABLE ml_calibrations ENABLE ALWAYS TRIGGER registry_changed;
ALTER TABLE ml_calibrations ENABLE ALWAYS TRIGGER registry_truncated;
ALTER TABLE ml_model_registry ENABLE ALWAYS TRIGGER registry_changed;
ALTER TABLE ml_model_aliases ENABLE ALWAYS TRIGGER registry_changed;
ALTER TABLE ml_bentoml_services ENABLE ALWAYS TRIGGER registry_changed;
ALTER TABLE ml_inference_log_policies ENABLE ALWAYS TRIGGER registry_changed;
ALTER TABLE ml_model_registry ENABLE ALWAYS TRIGGER registry_truncated;
ALTER TABLE ml_model_aliases ENABLE ALWAYS TRIGGER registry_truncated;
ALTER TABLE ml_bentoml_services ENABLE ALWAYS TRIGGER registry_truncated;
ALTER TABLE ml_inference_log_policies ENABLE ALWAYS TRIGGER registry_truncated;

CREATE VIEW e2i_session_cache AS
    SELECT model, version, engine, bytes, loads, hits, load_time, last_used FROM e2i_cached_models();

CREATE VIEW e2i_shadow_scores AS
    SELECT service, version, shadow, answer, shadow_answer, difference, error, scored_at FROM e2i_shadow_comparisons();

CREATE VIEW e2i_serving_stats AS
    SELECT service, model, version, engine, requests, predictions, errors, avg_ms, p50_ms, p95_ms, p99_ms, max_ms, since,
           errors_by_kind, batches, loads, load_ms, hits, sessions, memory_bytes
    FROM e2i_serving_counters();
COMMENT ON VIEW e2i_serving_stats IS 'what was served, one row for a version and engine of a service';
COMMENT ON COLUMN e2i_serving_stats.service IS 'what was called; NULL for a version called by its own name, or only loaded';
COMMENT ON COLUMN e2i_serving_stats.model IS 'name of the model; NULL for calls that did not find one';
COMMENT ON COLUMN e2i_serving_stats.version IS 'its version';
COMMENT ON COLUMN e2i_serving_stats.engine IS 'native or onnxruntime';
COMMENT ON COLUMN e2i_serving_stats.requests IS 'uses by a statement';
COMMENT ON COLUMN e2i_serving_stats.predictions IS 'rows scored';
COMMENT ON COLUMN e2i_serving_stats.errors IS 'calls that failed';
COMMENT ON COLUMN e2i_serving_stats.avg_ms IS 'mean time of a call; the first of a statement and one in 64 are timed';
COMMENT ON COLUMN e2i_serving_stats.p50_ms IS 'half of the calls took no longer';
COMMENT ON COLUMN e2i_serving_stats.p95_ms IS '95 of 100 took no longer';
COMMENT ON COLUMN e2i_serving_stats.p99_ms IS '99 of 100 took no longer';
COMMENT ON COLUMN e2i_serving_stats.max_ms IS 'the longest';
COMMENT ON COLUMN e2i_serving_stats.since IS 'since when is counted';
COMMENT ON COLUMN e2i_serving_stats.errors_by_kind IS 'errors by what went wrong';
COMMENT ON COLUMN e2i_serving_stats.batches IS 'how often so many rows, or fewer, were scored together';
COMMENT ON COLUMN e2i_serving_stats.loads IS 'how often the version was loaded, for all services together';
COMMENT ON COLUMN e2i_serving_stats.load_ms IS 'mean time to load it';
COMMENT ON COLUMN e2i_serving_stats.hits IS 'how often a statement found it loaded';
COMMENT ON COLUMN e2i_serving_stats.sessions IS 'sessions that hold it now';
COMMENT ON COLUMN e2i_serving_stats.memory_bytes IS 'memory that it takes in them together';
CREATE FUNCTION e2i_set_inference_log(service text, sample float8 DEFAULT 0.01, redact text[] DEFAULT '{}', on_pii text DEFAULT 'redact_log', explain boolean DEFAULT false)
    RETURNS void LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'e2i_set_inference_log_wrapper';
COMMENT ON FUNCTION e2i_set_inference_log IS 'lets a sample of a service''s rows be logged in ml_inference_log; NULL ends that';
COMMENT ON FUNCTION e2i_flush_metrics IS 'writes what each service served into ml_bentoml_serving_metrics now';
COMMENT ON FUNCTION e2i_health IS 'how services are, by their calls since the last row of metrics';
COMMENT ON FUNCTION e2i_serving_counters IS 'what the view e2i_serving_stats shows, or the same for each function';
COMMENT ON FUNCTION e2i_serving_stats_reset IS 'sets this database''s counters of what was served back';
COMMENT ON FUNCTION e2i_prometheus_metrics() IS 'what was counted, in the text format of Prometheus';
COMMENT ON FUNCTION e2i_prometheus_metrics(boolean) IS 'the same; buckets => true for percentiles in PromQL, 34 lines more a function';


COMMENT ON FUNCTION e2i_register_model IS 'registers a model; the first version of a name is deployed at once';
COMMENT ON FUNCTION e2i_drop_model IS 'drops a version that has no alias and, unless forced, is not deployed';
COMMENT ON FUNCTION e2i_export_model IS 'the bytes that a version was registered with, or those of its preprocessor';
COMMENT ON FUNCTION e2i_annotate_model IS 'adds to the metrics and tags of a version, or replaces its description';
COMMENT ON FUNCTION e2i_model_classes IS 'the classes of a classifier, in the order of its probabilities';
COMMENT ON FUNCTION e2i_set_traffic IS 'splits a service''s traffic; the same row always gets the same version';
COMMENT ON FUNCTION e2i_set_shadow IS 'lets a version score a sample of a service''s rows beside the active one';
COMMENT ON FUNCTION e2i_shadow_comparisons IS 'what the view e2i_shadow_scores shows';
COMMENT ON VIEW e2i_shadow_scores IS 'rows of this session that a shadow scored too, the latest thousand';
COMMENT ON FUNCTION e2i_deploy(text, text, text, text) IS 'deploys a version as a service once it has loaded; the old one drains';
COMMENT ON FUNCTION e2i_rollback IS 'goes back to the version that a service served before, or to a named one';
COMMENT ON FUNCTION e2i_undeploy IS 'ends the deployment of a service, which means nothing until the next';
COMMENT ON FUNCTION e2i_transition_stage IS 'moves a version to a stage through the gates of ml_stage_policies';
COMMENT ON FUNCTION e2i_set_alias IS 'points an alias to a version of a model';
COMMENT ON FUNCTION e2i_drop_alias IS 'drops an alias';
COMMENT ON FUNCTION e2i_prewarm IS 'loads a model into this session and returns its reference';
COMMENT ON FUNCTION e2i_clear_session_cache IS 'drops this session''s loaded models; returns how many there were';
COMMENT ON FUNCTION e2i_cached_models IS 'what the view e2i_session_cache shows';
COMMENT ON FUNCTION e2i_registry_changed IS 'trigger: tells every session that the registry has changed';
COMMENT ON VIEW e2i_session_cache IS 'models that this session has loaded, most recently used first';
