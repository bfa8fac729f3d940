-- The registry and the serving tables. Everything here is marked for pg_dump. No table has a foreign key: pg_restore -j loads
-- an extension's tables in any order and at once, and a key would refuse rows whose other half comes later. Writers lock the
-- version they point to instead, and version_is_free refuses to delete one that something points to. Indexes belong to
-- constraints: an index alone is no member of the extension and could be dropped by itself.

CREATE TYPE deployment_status_enum AS ENUM ('pending', 'deploying', 'active', 'draining', 'rolled_back', 'failed');
COMMENT ON TYPE deployment_status_enum IS 'where a deployment is in its life';

-- Bytes are stored once, whatever number of versions uses them. A chunk has at most 64 MB: a larger value could be
-- inserted, but its text form could not be dumped.
CREATE TABLE ml_model_artifacts (
    sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
    chunk  integer NOT NULL CHECK (chunk >= 0),
    bytes  bytea NOT NULL,
    PRIMARY KEY (sha256, chunk)
);
ALTER TABLE ml_model_artifacts ALTER COLUMN bytes SET STORAGE EXTERNAL;
COMMENT ON TABLE ml_model_artifacts IS 'bytes of registered models, in chunks, by sha256; the extension reads it';
COMMENT ON COLUMN ml_model_artifacts.sha256 IS 'sha256 of all chunks together';
COMMENT ON COLUMN ml_model_artifacts.chunk IS 'number of the chunk, from 0';
COMMENT ON COLUMN ml_model_artifacts.bytes IS 'at most 64 MB of the model';

CREATE TABLE ml_model_registry (
    id                  uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    model_name          text NOT NULL,
    model_version       text NOT NULL,
    framework           text NOT NULL,
    task                text NOT NULL,
    signature           jsonb NOT NULL,
    class_labels        text[],
    interface           jsonb NOT NULL,
    metrics             jsonb NOT NULL DEFAULT '{}',
    tags                jsonb NOT NULL DEFAULT '{}',
    description         text,
    algorithm           text,
    mlflow_run_id       text,
    mlflow_model_uri    text,
    trained_at          timestamptz,
    stage               text NOT NULL DEFAULT 'development'
                        CHECK (stage IN ('development', 'staging', 'shadow', 'production', 'archived')),
    stage_since         timestamptz NOT NULL DEFAULT now(),
    promoted_at         timestamptz,
    artifact_sha256     bytea NOT NULL,
    artifact_size       bigint NOT NULL,
    preprocessor_sha256 bytea,
    preprocessor_size   bigint,
    engine              text NOT NULL,
    engine_reason       text,
    plan_sha256         bytea,
    plan_size           bigint,
    examples            jsonb,
    tolerance           double precision CHECK (tolerance >= 0 AND tolerance < 'Infinity'),
    registered_by       text NOT NULL DEFAULT current_user,
    registered_at       timestamptz NOT NULL DEFAULT now(),
    cost                real CHECK (cost >= 0 AND cost < 'Infinity'),
    UNIQUE (model_name, model_version)
);
COMMENT ON TABLE ml_model_registry IS 'one row a model version; who may SELECT a row may score with that version';
COMMENT ON COLUMN ml_model_registry.id IS 'identity of the version, never reused';
COMMENT ON COLUMN ml_model_registry.model_name IS 'name of the model';
COMMENT ON COLUMN ml_model_registry.model_version IS 'version, unique within the model';
COMMENT ON COLUMN ml_model_registry.framework IS 'format of the artifact, detected from its bytes';
COMMENT ON COLUMN ml_model_registry.task IS 'what it is for: binary_classification, regression, clustering and others';
COMMENT ON COLUMN ml_model_registry.signature IS 'inputs and outputs in MLflow''s form';
COMMENT ON COLUMN ml_model_registry.class_labels IS 'classes in the order of the probabilities';
COMMENT ON COLUMN ml_model_registry.interface IS 'how features reach tensors and outputs are read; the extension''s own';
COMMENT ON COLUMN ml_model_registry.metrics IS 'metrics of training, as given';
COMMENT ON COLUMN ml_model_registry.tags IS 'free labels, as given';
COMMENT ON COLUMN ml_model_registry.description IS 'free text, as given';
COMMENT ON COLUMN ml_model_registry.algorithm IS 'how it was trained, as given';
COMMENT ON COLUMN ml_model_registry.mlflow_run_id IS 'the MLflow run that made it, as given';
COMMENT ON COLUMN ml_model_registry.mlflow_model_uri IS 'where MLflow keeps it, as given';
COMMENT ON COLUMN ml_model_registry.trained_at IS 'when it was trained, as given';
COMMENT ON COLUMN ml_model_registry.stage IS 'development, staging, shadow, production or archived; see ml_stage_policies';
COMMENT ON COLUMN ml_model_registry.stage_since IS 'when it entered its stage';
COMMENT ON COLUMN ml_model_registry.promoted_at IS 'when it last entered production';
COMMENT ON COLUMN ml_model_registry.artifact_sha256 IS 'the model, in ml_model_artifacts';
COMMENT ON COLUMN ml_model_registry.artifact_size IS 'bytes of the model';
COMMENT ON COLUMN ml_model_registry.preprocessor_sha256 IS 'the graph that is run first, in ml_model_artifacts';
COMMENT ON COLUMN ml_model_registry.preprocessor_size IS 'bytes of the preprocessor';
COMMENT ON COLUMN ml_model_registry.engine IS 'which engine scores it: native, or onnxruntime';
COMMENT ON COLUMN ml_model_registry.engine_reason IS 'why it is not the native engine';
COMMENT ON COLUMN ml_model_registry.plan_sha256 IS 'the compiled form for the native engine, in ml_model_artifacts';
COMMENT ON COLUMN ml_model_registry.plan_size IS 'bytes of the compiled form';
COMMENT ON COLUMN ml_model_registry.examples IS 'golden rows that the version was registered with';
COMMENT ON COLUMN ml_model_registry.tolerance IS 'how far a score may be from them, as given';
COMMENT ON COLUMN ml_model_registry.registered_by IS 'role that registered it';
COMMENT ON COLUMN ml_model_registry.registered_at IS 'when it was registered';
COMMENT ON COLUMN ml_model_registry.cost IS 'what a row costs, in units of cpu_operator_cost; NULL: the function''s';

CREATE TABLE ml_model_aliases (
    model_name    text NOT NULL,
    alias         text NOT NULL,
    model_version text NOT NULL,
    set_by        text NOT NULL DEFAULT current_user,
    set_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (model_name, alias),
    CONSTRAINT alias_is_well_formed CHECK (alias ~ '^[A-Za-z0-9_-]{1,255}$' AND lower(alias) <> 'latest' AND lower(alias) !~ '^v[0-9]+$')
);
COMMENT ON TABLE ml_model_aliases IS 'names such as champion that point to one version of a model';
COMMENT ON COLUMN ml_model_aliases.model_name IS 'name of the model';
COMMENT ON COLUMN ml_model_aliases.alias IS 'the alias, written name@alias';
COMMENT ON COLUMN ml_model_aliases.model_version IS 'the version it points to';
COMMENT ON COLUMN ml_model_aliases.set_by IS 'role that set it';
COMMENT ON COLUMN ml_model_aliases.set_at IS 'when it was set';

CREATE TABLE ml_bentoml_services (
    id               uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    bento_tag        varchar(255),
    bento_version    varchar(100),
    model_id         uuid,
    service_name     varchar(255) NOT NULL,
    serving_endpoint text,
    container_image  text,
    status           deployment_status_enum NOT NULL DEFAULT 'pending',
    reason           text,
    traffic          jsonb,
    traffic_by       text,
    shadow_id        uuid,
    shadow_sample    double precision CHECK (shadow_sample > 0 AND shadow_sample <= 1),
    health_status    varchar(50) NOT NULL DEFAULT 'unknown',
    health_reason    text,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    deployment       bigint GENERATED BY DEFAULT AS IDENTITY,
    -- A constraint, not a unique index alone, which anybody who tidies up could drop.
    CONSTRAINT ml_bentoml_services_one_active EXCLUDE USING btree (service_name WITH =) WHERE (status = 'active')
);
COMMENT ON TABLE ml_bentoml_services IS 'one row a deployment; at most one is active for a service name';
COMMENT ON COLUMN ml_bentoml_services.id IS 'identity of the deployment';
COMMENT ON COLUMN ml_bentoml_services.created_at IS 'when it was made';
COMMENT ON COLUMN ml_bentoml_services.updated_at IS 'when it last changed';
COMMENT ON COLUMN ml_bentoml_services.bento_tag IS 'name:version of what is deployed';
COMMENT ON COLUMN ml_bentoml_services.bento_version IS 'version of what is deployed';
COMMENT ON COLUMN ml_bentoml_services.model_id IS 'the version, in ml_model_registry';
COMMENT ON COLUMN ml_bentoml_services.service_name IS 'what callers call';
COMMENT ON COLUMN ml_bentoml_services.serving_endpoint IS 'postgres for a deployment in this database';
COMMENT ON COLUMN ml_bentoml_services.container_image IS 'for deployments outside the database';
COMMENT ON COLUMN ml_bentoml_services.status IS 'where the deployment is in its life';
COMMENT ON COLUMN ml_bentoml_services.reason IS 'why it failed or was rolled back';
COMMENT ON COLUMN ml_bentoml_services.traffic IS 'shares of traffic by name:version; NULL for all to the deployed one';
COMMENT ON COLUMN ml_bentoml_services.traffic_by IS 'the feature by which traffic is split; NULL for all of them';
COMMENT ON COLUMN ml_bentoml_services.shadow_id IS 'the version that scores beside, in ml_model_registry';
COMMENT ON COLUMN ml_bentoml_services.shadow_sample IS 'share of rows that the shadow scores';
COMMENT ON COLUMN ml_bentoml_services.deployment IS 'number of the deployment; larger is later';
COMMENT ON COLUMN ml_bentoml_services.health_status IS 'healthy, degraded, unhealthy or unknown';
COMMENT ON COLUMN ml_bentoml_services.health_reason IS 'why it is not healthy';

CREATE TABLE ml_bentoml_serving_metrics (
    id                  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    service_id          uuid NOT NULL,
    "timestamp"         timestamptz NOT NULL DEFAULT now(),
    requests_per_second double precision,
    avg_latency_ms      double precision,
    p50_latency_ms      double precision,
    p95_latency_ms      double precision,
    p99_latency_ms      double precision,
    error_rate          double precision CHECK (error_rate BETWEEN 0 AND 1),
    memory_mb           double precision,
    cpu_percent         double precision,
    requests            bigint,
    predictions         bigint,
    errors              bigint,
    CONSTRAINT ml_bentoml_serving_metrics_by_time UNIQUE (service_id, "timestamp", id)
);
COMMENT ON TABLE ml_bentoml_serving_metrics IS 'how a deployment served, one row an interval';
COMMENT ON COLUMN ml_bentoml_serving_metrics.id IS 'number of the row';
COMMENT ON COLUMN ml_bentoml_serving_metrics.service_id IS 'the deployment, in ml_bentoml_services';
COMMENT ON COLUMN ml_bentoml_serving_metrics."timestamp" IS 'end of the interval';
COMMENT ON COLUMN ml_bentoml_serving_metrics.requests_per_second IS 'calls a second';
COMMENT ON COLUMN ml_bentoml_serving_metrics.avg_latency_ms IS 'mean time of a call, ms';
COMMENT ON COLUMN ml_bentoml_serving_metrics.p50_latency_ms IS 'median of the time of a call, ms';
COMMENT ON COLUMN ml_bentoml_serving_metrics.p95_latency_ms IS '95th percentile of the time of a call, ms';
COMMENT ON COLUMN ml_bentoml_serving_metrics.p99_latency_ms IS '99th percentile of the time of a call, ms';
COMMENT ON COLUMN ml_bentoml_serving_metrics.error_rate IS 'calls that failed, a fraction, 0 to 1';
COMMENT ON COLUMN ml_bentoml_serving_metrics.memory_mb IS 'memory that the deployed version takes in all sessions, MB';
COMMENT ON COLUMN ml_bentoml_serving_metrics.cpu_percent IS 'time spent in calls, percent of the interval; above 100 with several sessions';
COMMENT ON COLUMN ml_bentoml_serving_metrics.requests IS 'uses by a statement, in the interval';
COMMENT ON COLUMN ml_bentoml_serving_metrics.predictions IS 'rows scored, in the interval';
COMMENT ON COLUMN ml_bentoml_serving_metrics.errors IS 'calls that failed, in the interval';

-- Not dumped: the counters of another server are others.
CREATE TABLE ml_serving_marks (
    key   bytea PRIMARY KEY,
    since bigint NOT NULL,
    tally bytea NOT NULL
);
COMMENT ON TABLE ml_serving_marks IS 'what of the counters was written already; the extension''s own';
COMMENT ON COLUMN ml_serving_marks.key IS 'what is counted';
COMMENT ON COLUMN ml_serving_marks.since IS 'since when';
COMMENT ON COLUMN ml_serving_marks.tally IS 'the counts that stand in rows';

CREATE TABLE ml_inference_log_policies (
    service_name text PRIMARY KEY,
    sample       double precision NOT NULL CHECK (sample BETWEEN 0 AND 1),
    redact       text[] NOT NULL DEFAULT '{}',
    on_pii       text NOT NULL DEFAULT 'redact_log' CHECK (on_pii IN ('block', 'redact_log', 'allow')),
    set_by       text NOT NULL DEFAULT current_user,
    set_at       timestamptz NOT NULL DEFAULT now(),
    explain      boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE ml_inference_log_policies IS 'services whose rows are logged, and what of them: e2i_set_inference_log';
COMMENT ON COLUMN ml_inference_log_policies.service_name IS 'the service';
COMMENT ON COLUMN ml_inference_log_policies.sample IS 'share of rows that are logged';
COMMENT ON COLUMN ml_inference_log_policies.redact IS 'features whose values are never logged';
COMMENT ON COLUMN ml_inference_log_policies.on_pii IS 'personal data in texts: block (the row), redact_log, or allow';
COMMENT ON COLUMN ml_inference_log_policies.set_by IS 'role that set it';
COMMENT ON COLUMN ml_inference_log_policies.set_at IS 'when it was set';
COMMENT ON COLUMN ml_inference_log_policies.explain IS 'whether rows that are logged are explained, in ml_shap_analyses';

-- Partitions are made by who writes, one a day in UTC. Their indexes are their own: a dump does not know those of a table that
-- belongs to an extension, and would make the partitions' twice.
CREATE TABLE ml_inference_log (
    request_id    uuid NOT NULL,
    logged_at     timestamptz NOT NULL,
    service_name  text NOT NULL,
    model_name    text NOT NULL,
    model_version text NOT NULL,
    served_as     text NOT NULL CHECK (served_as IN ('active', 'canary', 'shadow')),
    status        text NOT NULL CHECK (status IN ('ok', 'error')),
    duration_ms   double precision,
    features      jsonb,
    prediction    double precision,
    label         text,
    probabilities double precision[],
    error_code    text,
    payload_code  text,
    caller        text,
    trace_id      text
) PARTITION BY RANGE (logged_at);
COMMENT ON TABLE ml_inference_log IS 'sampled rows of services with what was answered; see e2i_set_inference_log';
COMMENT ON COLUMN ml_inference_log.request_id IS 'the same for all versions that scored a row';
COMMENT ON COLUMN ml_inference_log.logged_at IS 'when';
COMMENT ON COLUMN ml_inference_log.service_name IS 'what was called';
COMMENT ON COLUMN ml_inference_log.model_name IS 'the model that scored';
COMMENT ON COLUMN ml_inference_log.model_version IS 'its version';
COMMENT ON COLUMN ml_inference_log.served_as IS 'active, canary or shadow';
COMMENT ON COLUMN ml_inference_log.status IS 'ok or error';
COMMENT ON COLUMN ml_inference_log.duration_ms IS 'how long the call took; of e2i_serve, its payload until then';
COMMENT ON COLUMN ml_inference_log.features IS 'what the model saw, redacted';
COMMENT ON COLUMN ml_inference_log.prediction IS 'the number that was answered';
COMMENT ON COLUMN ml_inference_log.label IS 'the label that was answered';
COMMENT ON COLUMN ml_inference_log.probabilities IS 'the numbers that were answered, 40 at most';
COMMENT ON COLUMN ml_inference_log.error_code IS 'SQLSTATE of the error';
COMMENT ON COLUMN ml_inference_log.payload_code IS 'why there are no features: payload_too_large, or failed';
COMMENT ON COLUMN ml_inference_log.caller IS 'role that called';
COMMENT ON COLUMN ml_inference_log.trace_id IS 'e2i_serve.trace_id, or the trace id of a traceparent in it';

CREATE TABLE ml_health_limits (
    metric    text PRIMARY KEY CHECK (metric IN ('error_rate', 'p95_latency_ms')),
    degraded  double precision NOT NULL,
    unhealthy double precision NOT NULL,
    CONSTRAINT unhealthy_is_worse CHECK (unhealthy >= degraded),
    -- NaN is greater than all numbers here, and in no comparison elsewhere.
    CONSTRAINT limits_are_numbers CHECK (degraded >= 0 AND degraded < 'NaN' AND unhealthy < 'NaN')
);
COMMENT ON TABLE ml_health_limits IS 'when a service counts as degraded or unhealthy; edit them to suit your rules';
COMMENT ON COLUMN ml_health_limits.metric IS 'what is looked at, of an interval';
COMMENT ON COLUMN ml_health_limits.degraded IS 'from here on a service is degraded';
COMMENT ON COLUMN ml_health_limits.unhealthy IS 'above, it is unhealthy; Infinity for never';
INSERT INTO ml_health_limits VALUES ('error_rate', 0.05, 0.10), ('p95_latency_ms', 500, 2000);

CREATE TABLE ml_stage_policies (
    id          integer GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    stage       text NOT NULL CHECK (stage IN ('development', 'staging', 'shadow', 'production', 'archived')),
    gate        text NOT NULL CHECK (gate IN ('metric', 'days_in_stage', 'days_out_of_production', 'approver')),
    task        text,
    metric      text,
    at_least    double precision,
    at_most     double precision,
    enabled     boolean NOT NULL DEFAULT true,
    description text,
    CONSTRAINT a_metric_gate_names_a_metric CHECK (gate <> 'metric' OR metric IS NOT NULL),
    CONSTRAINT a_gate_of_days_says_how_many CHECK (gate NOT LIKE 'days%' OR at_least IS NOT NULL AND at_least BETWEEN 0 AND 36500),
    CONSTRAINT limits_are_numbers CHECK (at_least < 'Infinity' AND at_least > '-Infinity' AND at_most < 'Infinity' AND at_most > '-Infinity')
);
COMMENT ON TABLE ml_stage_policies IS 'conditions for entering a stage, one a row; edit them to suit your rules';
COMMENT ON COLUMN ml_stage_policies.id IS 'number of the condition';
COMMENT ON COLUMN ml_stage_policies.stage IS 'the stage to be entered';
COMMENT ON COLUMN ml_stage_policies.gate IS 'metric, days_in_stage, days_out_of_production or approver';
COMMENT ON COLUMN ml_stage_policies.task IS 'for models of this task only; classification means both kinds; NULL for all';
COMMENT ON COLUMN ml_stage_policies.metric IS 'name in the metrics of the version';
COMMENT ON COLUMN ml_stage_policies.at_least IS 'least value, or number of days';
COMMENT ON COLUMN ml_stage_policies.at_most IS 'greatest value';
COMMENT ON COLUMN ml_stage_policies.enabled IS 'whether the condition holds; the extension''s own are switched off so';
COMMENT ON COLUMN ml_stage_policies.description IS 'free text';
INSERT INTO ml_stage_policies (stage, gate, task, metric, at_least) VALUES
    ('staging', 'metric', 'classification', 'auc', 0.70),
    ('shadow', 'metric', 'classification', 'auc', 0.75),
    ('production', 'metric', 'classification', 'auc', 0.80),
    ('staging', 'metric', 'regression', 'r2', 0.30),
    ('shadow', 'metric', 'regression', 'r2', 0.40),
    ('production', 'metric', 'regression', 'r2', 0.50),
    ('production', 'days_in_stage', NULL, NULL, 7),
    ('production', 'approver', NULL, NULL, NULL),
    ('archived', 'days_out_of_production', NULL, NULL, 30);

-- What happened, for good: rows are added and never changed. Names, not keys, so that they outlive what they tell of.
-- Each server that follows a publication numbers its own, so numbers tell events of one server apart and identities all.
CREATE TABLE ml_model_events (
    id            bigint NOT NULL GENERATED BY DEFAULT AS IDENTITY,
    happened_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    who           text NOT NULL,
    action        text NOT NULL,
    model_name    text,
    model_version text,
    service_name  text,
    before        text,
    after         text,
    reason        text,
    details       jsonb,
    event_id      uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    CONSTRAINT ml_model_events_by_service UNIQUE (service_name, happened_at, event_id),
    CONSTRAINT ml_model_events_by_version UNIQUE (model_name, model_version, happened_at, event_id)
);
COMMENT ON TABLE ml_model_events IS 'every change of the registry: who, when, what, from, to, why; append-only';
COMMENT ON COLUMN ml_model_events.id IS 'number of the event on the server where it happened';
COMMENT ON COLUMN ml_model_events.happened_at IS 'when';
COMMENT ON COLUMN ml_model_events.who IS 'the role that did it';
COMMENT ON COLUMN ml_model_events.action IS 'what was done: register, set_alias, stage, deploy, rollback, traffic and others';
COMMENT ON COLUMN ml_model_events.model_name IS 'the model';
COMMENT ON COLUMN ml_model_events.model_version IS 'the version';
COMMENT ON COLUMN ml_model_events.service_name IS 'the service, for deployments';
COMMENT ON COLUMN ml_model_events.before IS 'what was before: a stage, a version';
COMMENT ON COLUMN ml_model_events.after IS 'what is since then';
COMMENT ON COLUMN ml_model_events.reason IS 'why, as given';
COMMENT ON COLUMN ml_model_events.details IS 'more: the approver, an override, the gates that it passed over';
COMMENT ON COLUMN ml_model_events.event_id IS 'identity of the event';

CREATE TABLE ml_model_backgrounds (
    model_id      uuid PRIMARY KEY,
    background_id uuid NOT NULL DEFAULT gen_random_uuid(),
    source        text NOT NULL,
    rows_read     bigint NOT NULL,
    rows_kept     integer NOT NULL CHECK (rows_kept > 0),
    cells         bytea NOT NULL,
    set_by        text NOT NULL DEFAULT current_user,
    set_at        timestamptz NOT NULL DEFAULT now(),
    counts_covers boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE ml_model_backgrounds IS 'rows that explanations compare with, one set a version; the extension''s own';
COMMENT ON COLUMN ml_model_backgrounds.model_id IS 'the version';
COMMENT ON COLUMN ml_model_backgrounds.background_id IS 'identity of the background, another one each time that it is set';
COMMENT ON COLUMN ml_model_backgrounds.source IS 'the relation or query that it was read from';
COMMENT ON COLUMN ml_model_backgrounds.rows_read IS 'rows that there were';
COMMENT ON COLUMN ml_model_backgrounds.rows_kept IS 'rows that were kept';
COMMENT ON COLUMN ml_model_backgrounds.cells IS 'their features, as they were bound';
COMMENT ON COLUMN ml_model_backgrounds.set_by IS 'role that set it';
COMMENT ON COLUMN ml_model_backgrounds.set_at IS 'when it was set';
COMMENT ON COLUMN ml_model_backgrounds.counts_covers IS 'whether the covers of trees whose file has none are counted over it';

CREATE TABLE ml_calibrations (
    model_id        uuid NOT NULL,
    purpose         text NOT NULL CHECK (purpose IN ('interval', 'set', 'probability')),
    number          integer NOT NULL,
    method          text NOT NULL,
    grouped_by      text,
    "group"         text,
    n               bigint NOT NULL CHECK (n >= 0),
    quantiles       double precision[] NOT NULL DEFAULT '{}',
    weights         double precision[],
    upper_quantiles double precision[],
    upper_weights   double precision[],
    maps            jsonb,
    scale           text,
    space           text,
    source          text NOT NULL,
    target          text NOT NULL,
    rows_left_out   bigint NOT NULL,
    made_by         text NOT NULL DEFAULT current_user,
    made_at         timestamptz NOT NULL DEFAULT now(),
    checked_level   double precision,
    checked_n       bigint,
    checked_covered bigint,
    checked_at      timestamptz,
    PRIMARY KEY (model_id, purpose, number)
);
COMMENT ON TABLE ml_calibrations IS 'how sure versions are: of each intervals, sets and probabilities, by group';
COMMENT ON COLUMN ml_calibrations.model_id IS 'the version';
COMMENT ON COLUMN ml_calibrations.purpose IS 'interval, set or probability';
COMMENT ON COLUMN ml_calibrations.number IS 'number of the group, from 0 on';
COMMENT ON COLUMN ml_calibrations.method IS 'how: residual, quantiles, lac, aps, isotonic, platt, beta and others';
COMMENT ON COLUMN ml_calibrations.grouped_by IS 'the column that says which group a row is in; NULL where all are one';
COMMENT ON COLUMN ml_calibrations."group" IS 'the value of that column; NULL for rows where it is NULL';
COMMENT ON COLUMN ml_calibrations.n IS 'rows that it was made from';
COMMENT ON COLUMN ml_calibrations.quantiles IS 'scores of those rows, ascending: the ceil((n + 1) level)-th is a level''s';
COMMENT ON COLUMN ml_calibrations.weights IS 'weights of the rows, in the order of their scores';
COMMENT ON COLUMN ml_calibrations.upper_quantiles IS 'scores of the upper side, where it has its own';
COMMENT ON COLUMN ml_calibrations.upper_weights IS 'weights in the order of those';
COMMENT ON COLUMN ml_calibrations.maps IS 'curves from what the model says of each class to its probability';
COMMENT ON COLUMN ml_calibrations.scale IS 'the feature that residuals are multiples of; NULL: the model gives it';
COMMENT ON COLUMN ml_calibrations.space IS 'what curves are over: probability or margin';
COMMENT ON COLUMN ml_calibrations.source IS 'the relation or query that it was made from';
COMMENT ON COLUMN ml_calibrations.target IS 'its column that says what is true';
COMMENT ON COLUMN ml_calibrations.rows_left_out IS 'rows of all groups where that was NULL';
COMMENT ON COLUMN ml_calibrations.made_by IS 'role that made it';
COMMENT ON COLUMN ml_calibrations.made_at IS 'when it was made';
COMMENT ON COLUMN ml_calibrations.checked_level IS 'the level at which its coverage was checked last';
COMMENT ON COLUMN ml_calibrations.checked_n IS 'rows that it was checked with';
COMMENT ON COLUMN ml_calibrations.checked_covered IS 'those of them that were covered';
COMMENT ON COLUMN ml_calibrations.checked_at IS 'when it was checked';

CREATE TABLE ml_shap_analyses (
    id                 uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    model_id           uuid NOT NULL,
    model_name         text NOT NULL,
    model_version      text NOT NULL,
    analysis_type      text NOT NULL CHECK (analysis_type IN ('global', 'local', 'segment')),
    segment            text,
    class              text,
    space              text NOT NULL,
    base_value         double precision NOT NULL,
    global_importance  jsonb,
    local_shap_values  jsonb,
    key_drivers        jsonb NOT NULL DEFAULT '[]',
    sample_size        bigint NOT NULL CHECK (sample_size > 0),
    computation_method text NOT NULL,
    source             text,
    background_id      uuid,
    created_by         text NOT NULL DEFAULT current_user,
    created_at         timestamptz NOT NULL DEFAULT now(),
    request_id         uuid
);
CREATE INDEX ml_shap_analyses_model_idx ON ml_shap_analyses (model_id, created_at);
CREATE INDEX ml_shap_analyses_request_idx ON ml_shap_analyses (request_id) WHERE request_id IS NOT NULL;
COMMENT ON TABLE ml_shap_analyses IS 'how much features matter to versions, as it was found and kept';
COMMENT ON COLUMN ml_shap_analyses.id IS 'identity of the analysis';
COMMENT ON COLUMN ml_shap_analyses.model_id IS 'the version';
COMMENT ON COLUMN ml_shap_analyses.model_name IS 'its model';
COMMENT ON COLUMN ml_shap_analyses.model_version IS 'its number';
COMMENT ON COLUMN ml_shap_analyses.analysis_type IS 'global, of a relation; segment, of a named part of one; local, of a row';
COMMENT ON COLUMN ml_shap_analyses.segment IS 'the name of the part';
COMMENT ON COLUMN ml_shap_analyses.class IS 'the class, or which number, was explained; NULL where there is only one';
COMMENT ON COLUMN ml_shap_analyses.space IS 'margin, probability, probability_scaled or output';
COMMENT ON COLUMN ml_shap_analyses.base_value IS 'what is expected when no feature is known';
COMMENT ON COLUMN ml_shap_analyses.global_importance IS 'for each feature the mean size of what it adds';
COMMENT ON COLUMN ml_shap_analyses.local_shap_values IS 'for each feature what it adds to one row';
COMMENT ON COLUMN ml_shap_analyses.key_drivers IS 'features by how much they matter, with share and standard error';
COMMENT ON COLUMN ml_shap_analyses.sample_size IS 'rows that were explained';
COMMENT ON COLUMN ml_shap_analyses.computation_method IS 'path_dependent, interventional or sampled';
COMMENT ON COLUMN ml_shap_analyses.source IS 'the relation or query that was explained';
COMMENT ON COLUMN ml_shap_analyses.background_id IS 'the background that it was compared with, if it was';
COMMENT ON COLUMN ml_shap_analyses.created_by IS 'role that had it made';
COMMENT ON COLUMN ml_shap_analyses.created_at IS 'when it was made';
COMMENT ON COLUMN ml_shap_analyses.request_id IS 'the row of ml_inference_log that a local one explains';

SELECT pg_catalog.pg_extension_config_dump('ml_model_artifacts', '');
SELECT pg_catalog.pg_extension_config_dump('ml_model_registry', '');
SELECT pg_catalog.pg_extension_config_dump('ml_model_aliases', '');
SELECT pg_catalog.pg_extension_config_dump('ml_bentoml_services', '');
SELECT pg_catalog.pg_extension_config_dump('ml_bentoml_services_deployment_seq', '');
SELECT pg_catalog.pg_extension_config_dump('ml_stage_policies', '');
SELECT pg_catalog.pg_extension_config_dump('ml_stage_policies_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('ml_health_limits', '');
SELECT pg_catalog.pg_extension_config_dump('ml_inference_log_policies', '');
SELECT pg_catalog.pg_extension_config_dump('ml_model_events', '');
SELECT pg_catalog.pg_extension_config_dump('ml_model_events_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('ml_bentoml_serving_metrics', '');
SELECT pg_catalog.pg_extension_config_dump('ml_bentoml_serving_metrics_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('ml_model_backgrounds', '');
SELECT pg_catalog.pg_extension_config_dump('ml_calibrations', '');
SELECT pg_catalog.pg_extension_config_dump('ml_shap_analyses', '');
