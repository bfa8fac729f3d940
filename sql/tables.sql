-- The registry and the serving tables. Everything here is marked for pg_dump.

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
COMMENT ON TABLE ml_model_artifacts IS 'bytes of registered models, in chunks, by sha256; read by the extension, need not be granted';
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
    artifact_sha256     bytea NOT NULL,
    artifact_size       bigint NOT NULL,
    preprocessor_sha256 bytea,
    preprocessor_size   bigint,
    engine              text NOT NULL,
    examples            jsonb,
    tolerance           double precision,
    registered_by       text NOT NULL DEFAULT current_user,
    registered_at       timestamptz NOT NULL DEFAULT now(),
    UNIQUE (model_name, model_version)
);
COMMENT ON TABLE ml_model_registry IS 'one row a model version; who may SELECT a row may score with that version';
COMMENT ON COLUMN ml_model_registry.id IS 'identity of the version, never reused';
COMMENT ON COLUMN ml_model_registry.model_name IS 'name of the model';
COMMENT ON COLUMN ml_model_registry.model_version IS 'version, unique within the model';
COMMENT ON COLUMN ml_model_registry.framework IS 'format of the artifact, detected from its bytes';
COMMENT ON COLUMN ml_model_registry.task IS 'binary_classification, multiclass_classification, regression, anomaly, clustering or other';
COMMENT ON COLUMN ml_model_registry.signature IS 'inputs and outputs in MLflow''s form';
COMMENT ON COLUMN ml_model_registry.class_labels IS 'classes in the order of the probabilities';
COMMENT ON COLUMN ml_model_registry.interface IS 'how features reach tensors and outputs are read; written and read by the extension';
COMMENT ON COLUMN ml_model_registry.metrics IS 'metrics of training, as given';
COMMENT ON COLUMN ml_model_registry.tags IS 'free labels, as given';
COMMENT ON COLUMN ml_model_registry.description IS 'free text, as given';
COMMENT ON COLUMN ml_model_registry.artifact_sha256 IS 'the model, in ml_model_artifacts';
COMMENT ON COLUMN ml_model_registry.artifact_size IS 'bytes of the model';
COMMENT ON COLUMN ml_model_registry.preprocessor_sha256 IS 'the graph that is run first, in ml_model_artifacts';
COMMENT ON COLUMN ml_model_registry.preprocessor_size IS 'bytes of the preprocessor';
COMMENT ON COLUMN ml_model_registry.engine IS 'which engine scores it';
COMMENT ON COLUMN ml_model_registry.examples IS 'golden rows that the version was registered with';
COMMENT ON COLUMN ml_model_registry.tolerance IS 'how far a score may be from them, as given';
COMMENT ON COLUMN ml_model_registry.registered_by IS 'role that registered it';
COMMENT ON COLUMN ml_model_registry.registered_at IS 'when it was registered';

CREATE TABLE ml_model_aliases (
    model_name    text NOT NULL,
    alias         text NOT NULL,
    model_version text NOT NULL,
    set_by        text NOT NULL DEFAULT current_user,
    set_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (model_name, alias),
    FOREIGN KEY (model_name, model_version) REFERENCES ml_model_registry (model_name, model_version),
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
    model_id         uuid REFERENCES ml_model_registry (id),
    service_name     varchar(255) NOT NULL,
    serving_endpoint text,
    container_image  text,
    status           deployment_status_enum NOT NULL DEFAULT 'pending',
    health_status    varchar(50) NOT NULL DEFAULT 'unknown',
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX ml_bentoml_services_one_active ON ml_bentoml_services (service_name) WHERE status = 'active';
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
COMMENT ON COLUMN ml_bentoml_services.health_status IS 'healthy, degraded, unhealthy or unknown';

CREATE TABLE ml_bentoml_serving_metrics (
    id                  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    service_id          uuid NOT NULL REFERENCES ml_bentoml_services (id) ON DELETE CASCADE,
    "timestamp"         timestamptz NOT NULL DEFAULT now(),
    requests_per_second double precision,
    avg_latency_ms      double precision,
    p95_latency_ms      double precision,
    p99_latency_ms      double precision,
    error_rate          double precision CHECK (error_rate BETWEEN 0 AND 1),
    memory_mb           double precision,
    cpu_percent         double precision
);
CREATE INDEX ON ml_bentoml_serving_metrics (service_id, "timestamp");
COMMENT ON TABLE ml_bentoml_serving_metrics IS 'how a deployment served, one row an interval';
COMMENT ON COLUMN ml_bentoml_serving_metrics.id IS 'number of the row';
COMMENT ON COLUMN ml_bentoml_serving_metrics.service_id IS 'the deployment, in ml_bentoml_services';
COMMENT ON COLUMN ml_bentoml_serving_metrics."timestamp" IS 'end of the interval';
COMMENT ON COLUMN ml_bentoml_serving_metrics.requests_per_second IS 'calls a second';
COMMENT ON COLUMN ml_bentoml_serving_metrics.avg_latency_ms IS 'mean time of a call, ms';
COMMENT ON COLUMN ml_bentoml_serving_metrics.p95_latency_ms IS '95th percentile of the time of a call, ms';
COMMENT ON COLUMN ml_bentoml_serving_metrics.p99_latency_ms IS '99th percentile of the time of a call, ms';
COMMENT ON COLUMN ml_bentoml_serving_metrics.error_rate IS 'calls that failed, a fraction, 0 to 1';
COMMENT ON COLUMN ml_bentoml_serving_metrics.memory_mb IS 'memory in use, MB';
COMMENT ON COLUMN ml_bentoml_serving_metrics.cpu_percent IS 'processor time in use, percent';

SELECT pg_catalog.pg_extension_config_dump('ml_model_artifacts', '');
SELECT pg_catalog.pg_extension_config_dump('ml_model_registry', '');
SELECT pg_catalog.pg_extension_config_dump('ml_model_aliases', '');
SELECT pg_catalog.pg_extension_config_dump('ml_bentoml_services', '');
SELECT pg_catalog.pg_extension_config_dump('ml_bentoml_serving_metrics', '');
SELECT pg_catalog.pg_extension_config_dump('ml_bentoml_serving_metrics_id_seq', '');
