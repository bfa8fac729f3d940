-- Written by `make schema` from src/ and sql/; not to be edited.
\echo Use "CREATE EXTENSION e2i_serve VERSION '0.2.0'" to load this file. \quit

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

CREATE FUNCTION "e2i_annotate_model"(
    "model" TEXT,
    "metrics" jsonb DEFAULT NULL,
    "tags" jsonb DEFAULT NULL,
    "description" TEXT DEFAULT NULL
) RETURNS TEXT
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'e2i_annotate_model_wrapper';

CREATE FUNCTION "e2i_cached_models"(

) RETURNS TABLE (
    "model" TEXT,
    "version" TEXT,
    "engine" TEXT,
    "bytes" bigint,
    "loads" INT,
    "hits" bigint,
    "load_time" interval,
    "last_used" timestamp with time zone
)
STRICT VOLATILE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'e2i_cached_models_wrapper';

CREATE FUNCTION "e2i_clear_session_cache"(

) RETURNS INT
STRICT VOLATILE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'e2i_clear_session_cache_wrapper';

CREATE FUNCTION "e2i_deploy"(
    "model" TEXT,
    "service" TEXT DEFAULT NULL,
    "on_failure" TEXT DEFAULT 'error',
    "reason" TEXT DEFAULT NULL
) RETURNS TABLE (
    "id" uuid,
    "service_name" TEXT,
    "version" TEXT,
    "status" TEXT,
    "reason" TEXT
)
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'e2i_deploy_wrapper';

CREATE FUNCTION "e2i_drop_alias"(
    "name" TEXT,
    "alias" TEXT
) RETURNS void
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'e2i_drop_alias_wrapper';

CREATE FUNCTION "e2i_drop_model"(
    "model" TEXT,
    "force" bool DEFAULT false
) RETURNS void
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'e2i_drop_model_wrapper';

CREATE FUNCTION "e2i_export_model"(
    "model" TEXT,
    "preprocessor" bool DEFAULT false
) RETURNS bytea
STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'e2i_export_model_wrapper';

CREATE FUNCTION "e2i_flush_metrics"(

) RETURNS INT
STRICT VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'e2i_flush_metrics_wrapper';

CREATE FUNCTION "e2i_health"(
    "service" TEXT DEFAULT NULL
) RETURNS TABLE (
    "service" TEXT,
    "version" TEXT,
    "status" TEXT,
    "reason" TEXT,
    "requests" bigint,
    "error_rate" double precision,
    "p95_ms" double precision,
    "checked_at" timestamp with time zone
)
VOLATILE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'e2i_health_wrapper';

CREATE FUNCTION "e2i_load_library"() RETURNS void
STRICT VOLATILE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'e2i_load_library_wrapper';

CREATE FUNCTION "e2i_model_classes"(
    "model" TEXT
) RETURNS TEXT[]
STRICT STABLE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'e2i_model_classes_wrapper';

CREATE FUNCTION "e2i_prewarm"(
    "model" TEXT
) RETURNS TEXT
STRICT STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'e2i_prewarm_wrapper';

CREATE FUNCTION "e2i_prometheus_metrics"(

) RETURNS TEXT
STRICT VOLATILE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'e2i_prometheus_metrics_wrapper';

CREATE FUNCTION "e2i_prometheus_metrics"(
    "buckets" bool
) RETURNS TEXT
STRICT VOLATILE PARALLEL RESTRICTED 
LANGUAGE c
AS 'MODULE_PATHNAME', 'e2i_prometheus_metrics_with_wrapper';

CREATE FUNCTION "e2i_register_model"(
    "name" TEXT,
    "artifact" bytea,
    "version" TEXT DEFAULT NULL,
    "framework" TEXT DEFAULT NULL,
    "task" TEXT DEFAULT NULL,
    "feature_names" TEXT[] DEFAULT NULL,
    "class_labels" TEXT[] DEFAULT NULL,
    "preprocessor" bytea DEFAULT NULL,
    "signature" jsonb DEFAULT NULL,
    "metrics" jsonb DEFAULT NULL,
    "tags" jsonb DEFAULT NULL,
    "description" TEXT DEFAULT NULL,
    "deploy" bool DEFAULT NULL,
    "examples" jsonb DEFAULT NULL,
    "tolerance" double precision DEFAULT NULL,
    "algorithm" TEXT DEFAULT NULL,
    "mlflow_run_id" TEXT DEFAULT NULL,
    "mlflow_model_uri" TEXT DEFAULT NULL,
    "trained_at" timestamp with time zone DEFAULT NULL,
    "class_scores" TEXT DEFAULT NULL
) RETURNS TEXT
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'e2i_register_model_wrapper';

CREATE FUNCTION "e2i_registry_changed"()
    RETURNS TRIGGER
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'e2i_registry_changed_wrapper';

CREATE FUNCTION "e2i_rollback"(
    "service" TEXT,
    "target_version" TEXT DEFAULT NULL,
    "reason" TEXT DEFAULT NULL
) RETURNS TABLE (
    "id" uuid,
    "service_name" TEXT,
    "version" TEXT,
    "status" TEXT,
    "reason" TEXT
)
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'e2i_rollback_wrapper';

CREATE FUNCTION "e2i_serving_counters"(
    "by_function" bool DEFAULT false
) RETURNS TABLE (
    "service" TEXT,
    "model" TEXT,
    "version" TEXT,
    "engine" TEXT,
    "function" TEXT,
    "requests" bigint,
    "predictions" bigint,
    "errors" bigint,
    "avg_ms" double precision,
    "p50_ms" double precision,
    "p95_ms" double precision,
    "p99_ms" double precision,
    "max_ms" double precision,
    "since" timestamp with time zone,
    "errors_by_kind" jsonb,
    "batches" jsonb,
    "loads" bigint,
    "load_ms" double precision,
    "hits" bigint,
    "sessions" bigint,
    "memory_bytes" bigint
)
STRICT VOLATILE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'e2i_serving_counters_wrapper';

CREATE FUNCTION "e2i_serving_stats_reset"() RETURNS void
STRICT VOLATILE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'e2i_serving_stats_reset_wrapper';

CREATE FUNCTION "e2i_set_alias"(
    "name" TEXT,
    "alias" TEXT,
    "version" TEXT
) RETURNS void
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'e2i_set_alias_wrapper';

CREATE FUNCTION "e2i_set_shadow"(
    "service" TEXT,
    "model" TEXT,
    "sample" double precision DEFAULT 0.01
) RETURNS void
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'e2i_set_shadow_wrapper';

CREATE FUNCTION "e2i_set_traffic"(
    "service" TEXT,
    "traffic" jsonb,
    "by" TEXT DEFAULT NULL
) RETURNS void
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'e2i_set_traffic_wrapper';

CREATE FUNCTION "e2i_shadow_comparisons"(

) RETURNS TABLE (
    "service" TEXT,
    "version" TEXT,
    "shadow" TEXT,
    "answer" TEXT,
    "shadow_answer" TEXT,
    "difference" double precision,
    "error" TEXT,
    "scored_at" timestamp with time zone
)
STRICT VOLATILE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'e2i_shadow_comparisons_wrapper';

CREATE FUNCTION "e2i_transition_stage"(
    "name" TEXT,
    "version" TEXT,
    "stage" TEXT,
    "approver" TEXT DEFAULT NULL,
    "reason" TEXT DEFAULT NULL,
    "overrule" bool DEFAULT false
) RETURNS TEXT
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'e2i_transition_stage_wrapper';

CREATE FUNCTION "e2i_undeploy"(
    "service" TEXT,
    "reason" TEXT DEFAULT NULL
) RETURNS TABLE (
    "id" uuid,
    "service_name" TEXT,
    "version" TEXT,
    "status" TEXT,
    "reason" TEXT
)
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'e2i_undeploy_wrapper';

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

-- Scoring jobs: what was begun, how far it is, what could not be scored, and what the clock begins. Tables are named by their
-- texts, which outlive the tables that they name.

CREATE TABLE ml_scoring_jobs (
    id             bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    model          text NOT NULL,
    model_name     text NOT NULL,
    model_version  text NOT NULL,
    source_table   text NOT NULL,
    target_table   text NOT NULL,
    targets        jsonb NOT NULL,
    key            text[] NOT NULL,
    condition      text,
    options        jsonb NOT NULL DEFAULT '{}',
    parts          jsonb NOT NULL DEFAULT '[]',
    total          bigint NOT NULL DEFAULT 0,
    done           bigint NOT NULL DEFAULT 0,
    written        bigint NOT NULL DEFAULT 0,
    failed         bigint NOT NULL DEFAULT 0,
    blocked        bigint NOT NULL DEFAULT 0,
    skipped        bigint NOT NULL DEFAULT 0,
    retried        bigint NOT NULL DEFAULT 0,
    batches        bigint NOT NULL DEFAULT 0,
    rate           double precision,
    estimated_end  timestamptz,
    status         text NOT NULL DEFAULT 'running'
                   CHECK (status IN ('running', 'cancelling', 'finished', 'failed', 'interrupted', 'cancelled', 'superseded')),
    started_by     text NOT NULL,
    schedule       text,
    started_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    resumed_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    resumed_from   bigint NOT NULL DEFAULT 0,
    updated_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at       timestamptz,
    pid            integer,
    error_code     text,
    error          text
);
COMMENT ON TABLE ml_scoring_jobs IS 'one row a scoring job, written with each of its commits; see e2i_score_table';
COMMENT ON COLUMN ml_scoring_jobs.id IS 'number of the job';
COMMENT ON COLUMN ml_scoring_jobs.model IS 'the model as it was asked for';
COMMENT ON COLUMN ml_scoring_jobs.model_name IS 'the model that scores';
COMMENT ON COLUMN ml_scoring_jobs.model_version IS 'its version; the latest one, of a job that follows deployments';
COMMENT ON COLUMN ml_scoring_jobs.source_table IS 'the table whose rows are scored, with its schema';
COMMENT ON COLUMN ml_scoring_jobs.target_table IS 'the table that is written';
COMMENT ON COLUMN ml_scoring_jobs.targets IS 'what is written, and into which column';
COMMENT ON COLUMN ml_scoring_jobs.key IS 'the columns whose order is followed';
COMMENT ON COLUMN ml_scoring_jobs.condition IS 'which rows, as given; NULL for all';
COMMENT ON COLUMN ml_scoring_jobs.options IS 'the other options of e2i_score_table';
COMMENT ON COLUMN ml_scoring_jobs.parts IS 'ranges of keys: after, upto, the last one reached, and whether it has ended';
COMMENT ON COLUMN ml_scoring_jobs.total IS 'rows that there were when it began or went on';
COMMENT ON COLUMN ml_scoring_jobs.done IS 'rows that were scored';
COMMENT ON COLUMN ml_scoring_jobs.written IS 'rows that were written';
COMMENT ON COLUMN ml_scoring_jobs.failed IS 'rows that could not be scored; see ml_scoring_job_errors';
COMMENT ON COLUMN ml_scoring_jobs.blocked IS 'rows with personal data, which the model''s service does not take';
COMMENT ON COLUMN ml_scoring_jobs.skipped IS 'rows that others had locked';
COMMENT ON COLUMN ml_scoring_jobs.retried IS 'batches that were tried again: deadlocks, serialization failures, lock timeouts';
COMMENT ON COLUMN ml_scoring_jobs.batches IS 'commits with rows';
COMMENT ON COLUMN ml_scoring_jobs.rate IS 'rows a second since it began or went on';
COMMENT ON COLUMN ml_scoring_jobs.estimated_end IS 'when it will end at this rate';
COMMENT ON COLUMN ml_scoring_jobs.status IS 'running, cancelling, finished, failed, interrupted, cancelled or superseded';
COMMENT ON COLUMN ml_scoring_jobs.started_by IS 'the role whose rights it has';
COMMENT ON COLUMN ml_scoring_jobs.schedule IS 'the schedule that began it';
COMMENT ON COLUMN ml_scoring_jobs.started_at IS 'when it began';
COMMENT ON COLUMN ml_scoring_jobs.resumed_at IS 'when it last went on';
COMMENT ON COLUMN ml_scoring_jobs.resumed_from IS 'rows that were behind it then';
COMMENT ON COLUMN ml_scoring_jobs.updated_at IS 'when this row was written';
COMMENT ON COLUMN ml_scoring_jobs.ended_at IS 'when it ended';
COMMENT ON COLUMN ml_scoring_jobs.pid IS 'the process that runs it';
COMMENT ON COLUMN ml_scoring_jobs.error_code IS 'SQLSTATE of what ended it';
COMMENT ON COLUMN ml_scoring_jobs.error IS 'what ended it';

CREATE TABLE ml_scoring_job_errors (
    id          bigint GENERATED BY DEFAULT AS IDENTITY,
    job         bigint NOT NULL,
    key         text[] NOT NULL,
    error_code  text NOT NULL,
    feature     text,
    value       text,
    message     text NOT NULL,
    is_blocked  boolean NOT NULL DEFAULT false,
    happened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (job, id)
);
COMMENT ON TABLE ml_scoring_job_errors IS 'rows that a scoring job could not score';
COMMENT ON COLUMN ml_scoring_job_errors.id IS 'number of the error';
COMMENT ON COLUMN ml_scoring_job_errors.job IS 'the job, in ml_scoring_jobs';
COMMENT ON COLUMN ml_scoring_job_errors.key IS 'the row''s key';
COMMENT ON COLUMN ml_scoring_job_errors.error_code IS 'SQLSTATE';
COMMENT ON COLUMN ml_scoring_job_errors.feature IS 'the feature that was refused';
COMMENT ON COLUMN ml_scoring_job_errors.value IS 'its value; NULL also where it holds personal data';
COMMENT ON COLUMN ml_scoring_job_errors.message IS 'what is wrong';
COMMENT ON COLUMN ml_scoring_job_errors.is_blocked IS 'whether the row was refused for personal data';
COMMENT ON COLUMN ml_scoring_job_errors.happened_at IS 'when';

CREATE TABLE ml_scoring_schedules (
    id           bigint NOT NULL GENERATED BY DEFAULT AS IDENTITY UNIQUE,
    name         text PRIMARY KEY,
    model        text NOT NULL,
    source_table text NOT NULL,
    options      jsonb NOT NULL,
    every        interval CHECK (every >= interval '1 second'),
    made_by      text NOT NULL,
    made_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    next_run     timestamptz NOT NULL,
    last_run     timestamptz,
    last_job     bigint,
    missed       bigint NOT NULL DEFAULT 0,
    status       text NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'running', 'failed', 'stopped')),
    error        text,
    cron         text,
    time_zone    text CHECK (num_nulls(cron, time_zone) <> 1),
    CHECK (num_nonnulls(every, cron) < 2)
);
COMMENT ON TABLE ml_scoring_schedules IS 'scoring jobs that the clock begins; written by e2i_schedule_scoring';
COMMENT ON COLUMN ml_scoring_schedules.id IS 'number of the schedule';
COMMENT ON COLUMN ml_scoring_schedules.name IS 'its name';
COMMENT ON COLUMN ml_scoring_schedules.model IS 'the model';
COMMENT ON COLUMN ml_scoring_schedules.source_table IS 'the table whose rows are scored';
COMMENT ON COLUMN ml_scoring_schedules.options IS 'the other options of e2i_score_table';
COMMENT ON COLUMN ml_scoring_schedules.every IS 'how long from one run to the next; NULL for cron, and for a single run';
COMMENT ON COLUMN ml_scoring_schedules.made_by IS 'the role that made it, and whose rights it has';
COMMENT ON COLUMN ml_scoring_schedules.made_at IS 'when it was made';
COMMENT ON COLUMN ml_scoring_schedules.next_run IS 'when it is due';
COMMENT ON COLUMN ml_scoring_schedules.last_run IS 'when it was last begun';
COMMENT ON COLUMN ml_scoring_schedules.last_job IS 'the latest job of it, in ml_scoring_jobs';
COMMENT ON COLUMN ml_scoring_schedules.missed IS 'runs that were due while nothing could be begun, or while the one before went on';
COMMENT ON COLUMN ml_scoring_schedules.status IS 'waiting, running, failed (the last run), or stopped (without the right)';
COMMENT ON COLUMN ml_scoring_schedules.error IS 'why';
COMMENT ON COLUMN ml_scoring_schedules.cron IS 'at which times, as cron has them';
COMMENT ON COLUMN ml_scoring_schedules.time_zone IS 'of which time zone they are';

-- A job that runs is no job on the server that a dump is restored on.
SELECT pg_catalog.pg_extension_config_dump('ml_scoring_jobs', 'WHERE status NOT IN (''running'', ''cancelling'')');
SELECT pg_catalog.pg_extension_config_dump('ml_scoring_jobs_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('ml_scoring_job_errors', '');
SELECT pg_catalog.pg_extension_config_dump('ml_scoring_job_errors_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('ml_scoring_schedules', '');
SELECT pg_catalog.pg_extension_config_dump('ml_scoring_schedules_id_seq', '');

-- The rights of these views are their owner's, and the rows those of the caller: the jobs of roles that the caller is.
CREATE VIEW e2i_scoring_progress WITH (security_barrier) AS
    SELECT j.id AS job, left(j.model_name || ':' || j.model_version, 14) AS model,
           left(regexp_replace(j.target_table, '^.*\.', ''), 16) AS target,
           rpad(repeat('#', (s.share / 10)::integer), 10, '.') || lpad(s.share || '%', 5) AS done,
           CASE WHEN j.rate >= 1 THEN round(j.rate)::bigint ELSE 0 END AS "rows/s",
           CASE WHEN s.runs AND j.estimated_end > now() THEN to_char(j.estimated_end - now(), 'HH24:MI:SS') END AS "left",
           CASE WHEN s.runs OR j.status NOT IN ('running', 'cancelling') THEN j.status ELSE 'interrupted' END AS status
    FROM ml_scoring_jobs j JOIN pg_roles r ON r.rolname = j.started_by,
        LATERAL (SELECT j.status IN ('running', 'cancelling') AND EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = j.pid) AS runs,
            CASE WHEN j.status = 'finished' THEN 100
                 WHEN j.total > 0 THEN least(100, 100 * (j.done + j.failed + j.blocked + j.skipped) / j.total) ELSE 0 END AS share) s
    WHERE pg_has_role(r.oid, 'USAGE') OR pg_has_role('pg_monitor', 'USAGE')
    ORDER BY j.id DESC;
COMMENT ON VIEW e2i_scoring_progress IS 'scoring jobs of the caller''s roles, the latest first, with what is done';

CREATE VIEW e2i_scoring_errors WITH (security_barrier) AS
    SELECT e.job, e.key, e.error_code, e.feature, e.value, e.message, e.is_blocked, e.happened_at
    FROM ml_scoring_job_errors e JOIN ml_scoring_jobs j ON j.id = e.job JOIN pg_roles r ON r.rolname = j.started_by
    WHERE pg_has_role(r.oid, 'USAGE')
    ORDER BY e.job, e.id;
COMMENT ON VIEW e2i_scoring_errors IS 'rows that scoring jobs of the caller''s roles could not score';

-- SECURITY INVOKER: rows are read and written with the caller's rights.
CREATE PROCEDURE e2i_score_table(
    model text,
    "table" regclass,
    target text DEFAULT NULL,
    targets jsonb DEFAULT NULL,
    into_table text DEFAULT NULL,
    key text[] DEFAULT NULL,
    "where" text DEFAULT NULL,
    batch_rows integer DEFAULT NULL,
    on_error text DEFAULT NULL,
    max_errors bigint DEFAULT NULL,
    locked text DEFAULT 'wait',
    only_changed boolean DEFAULT false,
    stale_only boolean DEFAULT false,
    follow boolean DEFAULT false,
    workers integer DEFAULT 1,
    pause interval DEFAULT NULL,
    max_lag interval DEFAULT NULL,
    restart boolean DEFAULT false
) LANGUAGE c AS 'MODULE_PATHNAME', 'e2i_score_table_wrapper';
COMMENT ON PROCEDURE e2i_score_table IS 'scores a table in batches, each committed; called again, it goes on';

CREATE FUNCTION e2i_score_problem(model text, features record, what text) RETURNS text[]
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 400 AS 'MODULE_PATHNAME', 'e2i_score_problem';
COMMENT ON FUNCTION e2i_score_problem IS 'why a row cannot be scored, or NULL; called by scoring jobs';

CREATE FUNCTION e2i_score_latency(model text, features record, what text) RETURNS float8
    LANGUAGE c VOLATILE STRICT PARALLEL SAFE COST 400 AS 'MODULE_PATHNAME', 'e2i_score_latency';
COMMENT ON FUNCTION e2i_score_latency IS 'how many milliseconds it takes to score a row by itself; of scoring jobs';

CREATE FUNCTION e2i_cancel_scoring_job(id bigint) RETURNS text
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'e2i_cancel_scoring_job_wrapper';
COMMENT ON FUNCTION e2i_cancel_scoring_job IS 'ends a scoring job of the caller''s after its batch; returns its status';

CREATE VIEW e2i_scoring_schedules WITH (security_barrier) AS
    SELECT s.name, s.model, s.source_table AS "table", s.every, date_trunc('second', s.next_run) AS next_run, s.last_job, s.missed, s.status, s.error,
           s.cron, s.time_zone
    FROM ml_scoring_schedules s JOIN pg_roles r ON r.rolname = s.made_by
    WHERE pg_has_role(r.oid, 'USAGE') OR pg_has_role('pg_monitor', 'USAGE')
    ORDER BY s.name;
COMMENT ON VIEW e2i_scoring_schedules IS 'schedules of the caller''s roles with their next runs, for reading';

CREATE FUNCTION e2i_schedule_scoring(name text, model text, "table" regclass, target text DEFAULT NULL, every interval DEFAULT NULL,
        options jsonb DEFAULT '{}', starting timestamptz DEFAULT NULL, cron text DEFAULT NULL, time_zone text DEFAULT NULL) RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'e2i_schedule_scoring_wrapper';
COMMENT ON FUNCTION e2i_schedule_scoring IS 'has a table scored again and again, every so long or by a cron text';

CREATE FUNCTION e2i_unschedule_scoring(name text) RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'e2i_unschedule_scoring_wrapper';
COMMENT ON FUNCTION e2i_unschedule_scoring IS 'removes a schedule of the caller''s; a run that is under way goes on';

-- Named apart from the other e2i_deploy by an argument that has no default.
CREATE FUNCTION e2i_deploy(model text, rescore boolean, service text DEFAULT NULL, on_failure text DEFAULT 'error', reason text DEFAULT NULL)
    RETURNS TABLE (id uuid, service_name text, version text, status text, reason text)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'e2i_deploy_and_rescore_wrapper';
COMMENT ON FUNCTION e2i_deploy(text, boolean, text, text, text) IS 'the same, and has stale scores of tables made anew in the background';

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

-- What reasons say, as users write it.

CREATE TABLE ml_reason_texts (
    id           bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    feature      text,
    direction    text NOT NULL CHECK (direction IN ('up', 'down')),
    language     text NOT NULL DEFAULT 'en',
    text         text NOT NULL,
    text_missing text,
    model        text,
    UNIQUE NULLS NOT DISTINCT (model, feature, direction, language),
    CONSTRAINT braces_hold_feature_value_contribution_or_direction
        CHECK (regexp_replace(text || coalesce(text_missing, ''), '\{(feature|value|contribution|direction)\}', '', 'g') !~ '[{}]')
);
COMMENT ON TABLE ml_reason_texts IS 'what explanations say of features in words, for users to write';
COMMENT ON COLUMN ml_reason_texts.id IS 'number of the text';
COMMENT ON COLUMN ml_reason_texts.feature IS 'of which feature; NULL for all';
COMMENT ON COLUMN ml_reason_texts.direction IS 'up where it raises the number, down where it lowers it';
COMMENT ON COLUMN ml_reason_texts.language IS 'the language, as it is asked for';
COMMENT ON COLUMN ml_reason_texts.text IS 'what is said; {feature}, {value}, {contribution} and {direction} are filled in';
COMMENT ON COLUMN ml_reason_texts.text_missing IS 'what is said where the row has no value; NULL: the same, with missing';
COMMENT ON COLUMN ml_reason_texts.model IS 'of which model; NULL for all';
SELECT pg_catalog.pg_extension_config_dump('ml_reason_texts', '');
SELECT pg_catalog.pg_extension_config_dump('ml_reason_texts_id_seq', '');

-- SECURITY INVOKER: rows are read and reasons written with the caller's rights.
CREATE PROCEDURE e2i_explain_table(
    model text,
    "table" regclass,
    into_table text,
    top integer DEFAULT 3,
    space text DEFAULT 'margin',
    class text DEFAULT NULL,
    method text DEFAULT NULL,
    samples integer DEFAULT NULL,
    error float8 DEFAULT NULL,
    language text DEFAULT 'en',
    towards text DEFAULT NULL,
    key text[] DEFAULT NULL,
    "where" text DEFAULT NULL,
    batch_rows integer DEFAULT NULL,
    on_error text DEFAULT NULL,
    max_errors bigint DEFAULT NULL,
    workers integer DEFAULT 1,
    pause interval DEFAULT NULL,
    max_lag interval DEFAULT NULL,
    restart boolean DEFAULT false
) LANGUAGE c AS 'MODULE_PATHNAME', 'e2i_explain_table_wrapper';
COMMENT ON PROCEDURE e2i_explain_table IS 'writes why a table''s rows have their numbers into a table, in batches';

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

-- Models are not dropped by the way. The library refuses that (`src/catalog/keep.rs`), and must be loaded to do so.

COMMENT ON FUNCTION e2i_load_library IS 'does nothing but have the library loaded';
CREATE FUNCTION e2i_before_drop() RETURNS event_trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    home constant text := (SELECT nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = 'e2i_serve');
BEGIN
    EXECUTE format('SELECT %I.e2i_load_library()', home);
-- Without the library, or the right to enter the schema, other things can still be dropped.
EXCEPTION WHEN undefined_file OR undefined_function OR insufficient_privilege OR null_value_not_allowed THEN
    NULL;
END;
$$;
COMMENT ON FUNCTION e2i_before_drop IS 'event trigger: loads the library, which can refuse a DROP EXTENSION';
CREATE EVENT TRIGGER e2i_serve_keeps_models ON ddl_command_start WHEN TAG IN ('DROP EXTENSION', 'DROP SCHEMA', 'DROP OWNED')
    EXECUTE FUNCTION e2i_before_drop();
COMMENT ON EVENT TRIGGER e2i_serve_keeps_models IS 'models are not dropped with the extension unless e2i_serve.allow_drop is on';

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

-- Scores that are written with their rows, and how many are stale.
--
-- What is installed stands in the server's catalog of triggers and nowhere else. All of it runs with the caller's rights: installing
-- takes the rights of CREATE TRIGGER, and who writes a row must see the model that scores it.

-- Fires for each row that is written; its argument is what e2i_score_on_write was called with.
CREATE FUNCTION e2i_score_row() RETURNS trigger
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'e2i_score_row';
COMMENT ON FUNCTION e2i_score_row IS 'trigger: scores a row before it is written; installed by e2i_score_on_write';

CREATE FUNCTION e2i_score_on_write("table" regclass, model text, target text DEFAULT NULL, targets jsonb DEFAULT NULL,
        on_error text DEFAULT 'error', on_apply boolean DEFAULT false) RETURNS text
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'e2i_score_on_write_wrapper';
COMMENT ON FUNCTION e2i_score_on_write IS 'has rows scored as they are written, by a trigger; returns its name';

CREATE FUNCTION e2i_score_on_write_off("table" regclass, model text DEFAULT NULL, target text DEFAULT NULL) RETURNS integer
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'e2i_score_on_write_off_wrapper';
COMMENT ON FUNCTION e2i_score_on_write_off IS 'drops the triggers that score rows as they are written; returns how many';

CREATE FUNCTION e2i_score_triggers()
    RETURNS TABLE ("table" regclass, model text, targets jsonb, on_error text, fires text, trigger text, watched text[])
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'e2i_score_triggers_wrapper';
COMMENT ON FUNCTION e2i_score_triggers IS 'what e2i_scored_on_write shows, with the columns that a trigger watches';

CREATE VIEW e2i_scored_on_write AS
    SELECT "table", model, targets, on_error, fires, trigger FROM e2i_score_triggers();
COMMENT ON VIEW e2i_scored_on_write IS 'tables whose rows are scored when they are written, one row a trigger';
COMMENT ON COLUMN e2i_scored_on_write."table" IS 'the table';
COMMENT ON COLUMN e2i_scored_on_write.model IS 'the reference of the model that scores';
COMMENT ON COLUMN e2i_scored_on_write.targets IS 'which column takes what';
COMMENT ON COLUMN e2i_scored_on_write.on_error IS 'what becomes of a row that cannot be scored: error or null';
COMMENT ON COLUMN e2i_scored_on_write.fires IS 'origin (writes here), replica (what is replicated), always or disabled';
COMMENT ON COLUMN e2i_scored_on_write.trigger IS 'the trigger''s name';

CREATE FUNCTION e2i_features_hash(model text, features record) RETURNS bigint
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 AS 'MODULE_PATHNAME', 'e2i_features_hash';
COMMENT ON FUNCTION e2i_features_hash IS 'a hash of a row''s features; NULL for a row that the model does not take';

CREATE FUNCTION e2i_answering_versions(model text) RETURNS text[]
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'e2i_answering_versions_wrapper';
COMMENT ON FUNCTION e2i_answering_versions IS 'the versions that may answer to a reference now, the one meant first';

-- The rights of this view are its owner's, and the rows those of the caller: jobs of roles that the caller is, and those that wrote
-- tables which the caller may read.
CREATE VIEW e2i_score_history WITH (security_barrier) AS
    SELECT j.id AS job, j.target_table AS "table", j.model_name || ':' || j.model_version AS version, j.written AS "rows", j.status,
           date_trunc('second', j.started_at) AS started_at, date_trunc('second', j.ended_at - j.started_at) AS took,
           j.started_by, j.model, j.source_table, j.targets
    FROM ml_scoring_jobs j
        LEFT JOIN (SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace) t
            ON t.name = j.target_table
        LEFT JOIN pg_roles r ON r.rolname = j.started_by
    WHERE coalesce(pg_has_role(r.oid, 'USAGE'), false) OR coalesce(has_table_privilege(t.oid, 'SELECT'), false)
    ORDER BY j.id DESC;
COMMENT ON VIEW e2i_score_history IS 'which version scored which table and when, of scoring jobs, the latest first';
COMMENT ON COLUMN e2i_score_history.job IS 'number of the job';
COMMENT ON COLUMN e2i_score_history."table" IS 'the table that was written, with its schema';
COMMENT ON COLUMN e2i_score_history.version IS 'the version that scored; of a job that follows deployments the latest one';
COMMENT ON COLUMN e2i_score_history."rows" IS 'rows that were written';
COMMENT ON COLUMN e2i_score_history.status IS 'as in ml_scoring_jobs';
COMMENT ON COLUMN e2i_score_history.started_at IS 'when it began';
COMMENT ON COLUMN e2i_score_history.took IS 'how long it took from then, with all interruptions';
COMMENT ON COLUMN e2i_score_history.started_by IS 'by which role';
COMMENT ON COLUMN e2i_score_history.model IS 'the model as it was asked for';
COMMENT ON COLUMN e2i_score_history.source_table IS 'the table whose rows were scored';
COMMENT ON COLUMN e2i_score_history.targets IS 'which column took what';

CREATE FUNCTION e2i_stale_scores("table" regclass, model text DEFAULT NULL, targets jsonb DEFAULT NULL)
    RETURNS TABLE (scored_by text, deployed text, "rows" bigint, stale bigint, unscored bigint, other_version bigint, changed bigint)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    home constant text := (SELECT nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = 'e2i_serve');
    kept record;
    versions text[];
    is_known boolean := false;
BEGIN
    FOR kept IN EXECUTE format('SELECT k.model, k.targets ->> ''version'' AS version, max(k.targets ->> ''features_hash'') AS hash FROM (
            SELECT w.model, w.targets FROM %1$I.e2i_scored_on_write w WHERE $3 IS NULL AND w."table" = $1
            UNION ALL SELECT h.model, CASE WHEN h.source_table = h."table" THEN h.targets ELSE h.targets - ''features_hash'' END
                FROM %1$I.e2i_score_history h WHERE $3 IS NULL AND h."table" = $1::text AND h.status = ''finished''
            UNION ALL SELECT $2, $3 WHERE $3 IS NOT NULL) k
        WHERE ($2 IS NULL OR k.model = $2) AND k.targets ->> ''version'' IS NOT NULL AND ($3 IS NOT NULL OR EXISTS (
            SELECT FROM pg_attribute a WHERE a.attrelid = $1 AND a.attname = k.targets ->> ''version'' AND NOT a.attisdropped))
        GROUP BY 1, 2 ORDER BY 1, 2', home) USING $1, $2, $3
    LOOP
        EXECUTE format('SELECT %I.e2i_answering_versions($1)', home) INTO versions USING kept.model;
        RETURN QUERY EXECUTE format(
            'SELECT $1, $2[1], s.all_rows, s.none + s.other + s.changed, s.none, s.other, s.changed FROM (
                 SELECT count(*) AS all_rows, count(*) FILTER (WHERE t.%1$I IS NULL) AS none,
                     count(*) FILTER (WHERE t.%1$I::text <> ALL ($2)) AS other,
                     count(*) FILTER (WHERE t.%1$I::text = ANY ($2) AND %2$s) AS changed
                 FROM %3$s t) s',
            kept.version,
            CASE WHEN kept.hash IS NULL THEN 'false' ELSE format('t.%I IS DISTINCT FROM %I.e2i_features_hash($1, t)', kept.hash, home) END,
            $1) USING kept.model, versions;
        is_known := true;
    END LOOP;
    IF NOT is_known THEN
        RAISE EXCEPTION 'nothing is known of versions that scored table %', $1
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = format('Name the model and the column that keeps its version: SELECT * FROM e2i_stale_scores(%L, %L, targets => %L);',
                      $1, coalesce($2, 'churn'), '{"version": "churn_version"}');
    END IF;
END;
$$;
COMMENT ON FUNCTION e2i_stale_scores IS 'how many rows of a table have no score, or one of before';

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
