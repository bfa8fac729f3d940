-- What holds for a version's life: it never changes, events are never changed, and views made for reading.
--
-- No body holds the name of the schema, so that it can be renamed: a BEGIN ATOMIC body is resolved once, here; a trigger
-- knows where its table is; the rest asks pg_extension.

CREATE FUNCTION e2i_refuse_change() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_TABLE_NAME = 'ml_model_events' THEN
        RAISE EXCEPTION 'events are append-only' USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    RAISE EXCEPTION 'model %:% is registered and never changes', OLD.model_name, OLD.model_version
        USING ERRCODE = 'object_not_in_prerequisite_state',
              HINT = 'Register a new version. Stage, metrics, tags and description may change.';
END;
$$;
COMMENT ON FUNCTION e2i_refuse_change IS 'trigger: refuses changes of what never changes';

CREATE TRIGGER version_is_immutable BEFORE UPDATE ON ml_model_registry FOR EACH ROW
    WHEN ((OLD.id, OLD.model_name, OLD.model_version, OLD.framework, OLD.task, OLD.signature, OLD.class_labels, OLD.interface,
           OLD.artifact_sha256, OLD.preprocessor_sha256, OLD.engine, OLD.plan_sha256)
          IS DISTINCT FROM
          (NEW.id, NEW.model_name, NEW.model_version, NEW.framework, NEW.task, NEW.signature, NEW.class_labels, NEW.interface,
           NEW.artifact_sha256, NEW.preprocessor_sha256, NEW.engine, NEW.plan_sha256))
    EXECUTE FUNCTION e2i_refuse_change();
-- Deleting a version by hand is refused like e2i_drop_model refuses it.
CREATE FUNCTION e2i_refuse_orphans() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    what text;
BEGIN
    EXECUTE format('SELECT ''the alias '' || alias FROM %1$I.ml_model_aliases WHERE (model_name, model_version) = ($1, $2)
        UNION ALL SELECT ''a deployment as '' || service_name FROM %1$I.ml_bentoml_services WHERE model_id = $3 OR shadow_id = $3 LIMIT 1',
        TG_TABLE_SCHEMA) INTO what USING OLD.model_name, OLD.model_version, OLD.id;
    IF what IS NOT NULL THEN
        RAISE EXCEPTION 'model %:% has %', OLD.model_name, OLD.model_version, what
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = format('SELECT e2i_drop_model(%L);', OLD.model_name || ':' || OLD.model_version);
    END IF;
    RETURN NULL;
END;
$$;
COMMENT ON FUNCTION e2i_refuse_orphans IS 'trigger: refuses to delete a version that an alias or a deployment points to';
CREATE TRIGGER version_is_free AFTER DELETE ON ml_model_registry FOR EACH ROW EXECUTE FUNCTION e2i_refuse_orphans();

CREATE TRIGGER events_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ml_model_events
    FOR EACH STATEMENT EXECUTE FUNCTION e2i_refuse_change();

-- Rows that come with the extension are dumped as they were edited: one that is restored replaces its original. The argument
-- is the column that tells them apart.
CREATE FUNCTION e2i_replace_default() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('DELETE FROM %1$I.%2$I d WHERE d.%3$I = ($1).%3$I', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_ARGV[0]) USING NEW;
    RETURN NEW;
END;
$$;
COMMENT ON FUNCTION e2i_replace_default IS 'trigger: a row with a known number or name replaces the one that had it';
CREATE TRIGGER policy_replaces BEFORE INSERT ON ml_stage_policies FOR EACH ROW EXECUTE FUNCTION e2i_replace_default('id');
ALTER TABLE ml_stage_policies ENABLE ALWAYS TRIGGER policy_replaces;
CREATE TRIGGER limit_replaces BEFORE INSERT ON ml_health_limits FOR EACH ROW EXECUTE FUNCTION e2i_replace_default('metric');
ALTER TABLE ml_health_limits ENABLE ALWAYS TRIGGER limit_replaces;

-- Therefore one that came with the extension cannot go: a restored dump would bring it back, switched on. Not for what
-- arrives by replication, nor for the replacing above.
CREATE FUNCTION e2i_keep_policy() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        RAISE EXCEPTION 'the gates that came with the extension cannot be deleted' USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Switch them off: UPDATE ml_stage_policies SET enabled = false;';
    END IF;
    RAISE EXCEPTION 'gate % came with the extension and cannot be deleted or numbered anew', OLD.id
        USING ERRCODE = 'object_not_in_prerequisite_state',
              HINT = format('Switch it off: UPDATE ml_stage_policies SET enabled = false WHERE id = %s;', OLD.id);
END;
$$;
COMMENT ON FUNCTION e2i_keep_policy IS 'trigger: refuses to delete a condition that came with the extension';
CREATE TRIGGER policy_stays BEFORE DELETE ON ml_stage_policies FOR EACH ROW
    WHEN (OLD.id BETWEEN 1 AND 9 AND pg_trigger_depth() = 0) EXECUTE FUNCTION e2i_keep_policy();
CREATE TRIGGER policy_keeps_its_number BEFORE UPDATE ON ml_stage_policies FOR EACH ROW
    WHEN (OLD.id BETWEEN 1 AND 9 AND NEW.id <> OLD.id) EXECUTE FUNCTION e2i_keep_policy();
CREATE TRIGGER policies_stay BEFORE TRUNCATE ON ml_stage_policies FOR EACH STATEMENT EXECUTE FUNCTION e2i_keep_policy();

CREATE FUNCTION e2i_version_at(service text, at timestamptz) RETURNS text
    LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT e.after FROM ml_model_events e
    WHERE e.service_name = service AND e.happened_at <= at AND e.action IN ('deploy', 'rollback', 'undeploy')
    ORDER BY e.happened_at DESC, e.id DESC LIMIT 1;
END;
COMMENT ON FUNCTION e2i_version_at IS 'which version a service served at a time; NULL if none';

CREATE FUNCTION e2i_archive_expired() RETURNS SETOF text
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH expired AS MATERIALIZED (
        SELECT r.model_name, r.model_version
        FROM ml_model_registry r
        WHERE r.stage NOT IN ('archived', 'production') AND r.promoted_at IS NOT NULL
          AND r.stage_since <= now() - make_interval(days => (
              SELECT max(p.at_least)::integer FROM ml_stage_policies p
              WHERE p.stage = 'archived' AND p.gate = 'days_out_of_production' AND p.enabled))
          AND NOT EXISTS (SELECT FROM ml_bentoml_services s WHERE s.model_id = r.id AND s.status = 'active')
    )
    SELECT e.model_name || ':' || e.model_version
    FROM expired e, LATERAL e2i_transition_stage(e.model_name, e.model_version, 'archived', reason => 'expired')
    ORDER BY 1;
END;
COMMENT ON FUNCTION e2i_archive_expired IS 'archives versions that left production long enough ago and serve nothing';

CREATE FUNCTION e2i_shadow_report(service text, since interval DEFAULT '7 days')
    RETURNS TABLE (version text, shadow text, "rows" bigint, failed bigint, mean_difference double precision,
        max_difference double precision, labels_changed double precision)
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT a.model_name || ':' || a.model_version, s.model_name || ':' || s.model_version, count(*),
           count(*) FILTER (WHERE s.status = 'error'),
           avg(abs(s.prediction - a.prediction)), max(abs(s.prediction - a.prediction)),
           avg(CASE WHEN s.label IS NOT NULL THEN s.label <> a.label
                    WHEN r.task = 'binary_classification' THEN (s.prediction > 0.5) <> (a.prediction > 0.5)
               END::integer::double precision)
    FROM ml_inference_log s LEFT JOIN ml_model_registry r ON (r.model_name, r.model_version) = (s.model_name, s.model_version) JOIN ml_inference_log a ON a.request_id = s.request_id AND a.served_as <> 'shadow'
        AND a.logged_at > s.logged_at - interval '1 minute' AND a.logged_at < s.logged_at + interval '1 minute'
    WHERE s.service_name = service AND s.served_as = 'shadow' AND s.logged_at > now() - since
    GROUP BY 1, 2 ORDER BY 1, 2;
END;
COMMENT ON FUNCTION e2i_shadow_report IS 'how far a service''s shadow is from what callers got, by the inference log';

CREATE VIEW e2i_models AS
    SELECT r.model_name AS model, r.model_version AS version,
           (SELECT string_agg(a.alias, ', ' ORDER BY a.alias) FROM ml_model_aliases a
            WHERE (a.model_name, a.model_version) = (r.model_name, r.model_version)) AS aliases,
           r.stage,
           (SELECT string_agg(s.service_name, ', ' ORDER BY s.service_name) FROM ml_bentoml_services s
            WHERE s.model_id = r.id AND s.status = 'active') AS deployed_as,
           r.task, r.engine,
           pg_size_pretty(r.artifact_size + coalesce(r.preprocessor_size, 0)) AS size,
           -- jsonb holds numbers that float64 does not, the smallest among them.
           CASE jsonb_typeof(r.metrics -> 'auc') WHEN 'number' THEN
               CASE WHEN abs((r.metrics ->> 'auc')::numeric) < 1e6 THEN round((r.metrics ->> 'auc')::numeric, 6)::double precision END
           END AS auc,
           date_trunc('second', now() - r.registered_at) AS age
    FROM ml_model_registry r
    ORDER BY r.model_name, r.registered_at DESC, length(r.model_version) DESC, r.model_version DESC;
COMMENT ON VIEW e2i_models IS 'every version with its aliases, stage and deployments, for reading';

CREATE VIEW e2i_services AS
    SELECT s.service_name AS service, s.bento_tag AS version, r.stage, s.status, s.traffic,
           (SELECT x.model_name || ':' || x.model_version FROM ml_model_registry x WHERE x.id = s.shadow_id) AS shadow,
           s.health_status AS health,
           date_trunc('second', now() - s.updated_at) AS since
    FROM ml_bentoml_services s LEFT JOIN ml_model_registry r ON r.id = s.model_id
    WHERE s.status = 'active'
    ORDER BY s.service_name;
-- What a role may not see in the registry it does not see here either. Before 15 a view reads with its owner's rights.
DO $$
BEGIN
    IF current_setting('server_version_num')::integer >= 150000 THEN
        ALTER VIEW e2i_models SET (security_invoker = true);
        ALTER VIEW e2i_services SET (security_invoker = true);
    END IF;
END;
$$;
COMMENT ON VIEW e2i_services IS 'what is deployed now, for reading';

-- What decides how models score and who may change that. What a server finds out about itself stays there: rows of metrics, and
-- since 15, which can leave parts of a table out, the health of services and its events.
CREATE FUNCTION e2i_publish_registry() RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    home constant text := (SELECT nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = 'e2i_serve');
    can_choose constant boolean := current_setting('server_version_num')::integer >= 150000;
    columns constant text := (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
        WHERE attrelid = format('%I.ml_bentoml_services', home)::regclass AND attnum > 0 AND NOT attisdropped
          AND attname NOT IN ('health_status', 'health_reason'));
BEGIN
    EXECUTE format('CREATE PUBLICATION e2i_serve_registry FOR TABLE %1$I.ml_model_artifacts, %1$I.ml_model_registry, %1$I.ml_model_aliases,
        %1$I.ml_stage_policies, %1$I.ml_health_limits, %1$I.ml_inference_log_policies, %1$I.ml_calibrations, %1$I.ml_bentoml_services %2$s, %1$I.ml_model_events %3$s',
        home, CASE WHEN can_choose THEN '(' || columns || ')' END, CASE WHEN can_choose THEN 'WHERE (action <> ''health'')' END);
END;
$$;
COMMENT ON FUNCTION e2i_publish_registry IS 'makes the publication e2i_serve_registry, to be subscribed to by another cluster';
