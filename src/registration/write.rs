//! Writing and removing versions: bytes in chunks under their sha256, a row in the registry.
//!
//! Registrations of one name wait for each other on a lock of the extension's own, so two get two versions. Dropping a version locks
//! the chunks of its artifacts before it asks whether another version uses them, and storing bytes that are there already locks them,
//! too ([`crate::catalog::artifact`]): each waits for the other, and only where the bytes are the same. Under REPEATABLE READ the
//! loser may get 40001.

use e2i_core::{Error, Interface, Kind, Result};
use pgrx::datum::{JsonB, TimestampWithTimeZone, Uuid};
use serde_json::Value;

use crate::catalog::alias::any_of;
use crate::catalog::artifact::{release, store};
use crate::catalog::background;
use crate::catalog::calibration;
use crate::catalog::deploy::Service;
use crate::catalog::event::Event;
use crate::catalog::hold::{conflict, take};
use crate::catalog::model::ModelId;
use crate::catalog::schema::Schema;
use crate::datum::document::Document;
use crate::pg::lock::{self, Purpose};
use crate::pg::query::Query;
use crate::pg::role;
use crate::registration::cost::cost;

// A number is read from the registry, and from the events of versions that were dropped.
const GIVEN: Query = Query::new(
    "SELECT (SELECT count(*) FROM {ml}.ml_model_registry r WHERE r.model_name = $1),
         (SELECT max(v.version::numeric)::text
          FROM (SELECT r.model_version FROM {ml}.ml_model_registry r WHERE r.model_name = $1
                UNION ALL
                SELECT e.model_version FROM {ml}.ml_model_events e WHERE e.model_name = $1 AND e.action = 'register') v (version)
          WHERE v.version ~ '^[0-9]{1,18}$')",
);
const INSERT: Query = Query::new(
    "INSERT INTO {ml}.ml_model_registry
         (model_name, model_version, framework, task, signature, class_labels, interface, metrics, tags, description,
          artifact_sha256, artifact_size, preprocessor_sha256, preprocessor_size, engine, registered_by, examples, tolerance,
          algorithm, mlflow_run_id, mlflow_model_uri, trained_at, engine_reason, plan_sha256, plan_size, cost)
     VALUES ($1, $2, $3, $4, $5, $6, $7, coalesce($8, '{}'), coalesce($9, '{}'), $10,
             $11, $12, $13, $14, $15, $16, $17, $18,
             $19, $20, $21, $22, $23, $24, $25, $26)
     ON CONFLICT (model_name, model_version) DO NOTHING RETURNING id",
);
const GONE: Query = Query::new(
    "SELECT 1 FROM {ml}.ml_model_events e WHERE e.action = 'register' AND e.model_name = $1 AND e.model_version = $2
     AND NOT EXISTS (SELECT 1 FROM {ml}.ml_model_registry r WHERE r.model_name = $1 AND r.model_version = $2) LIMIT 1",
);
const EXISTS: Query =
    Query::new("SELECT 1 FROM {ml}.ml_model_registry r WHERE r.model_name = $1 AND r.model_version = $2");
const SERVICES: Query = Query::new(
    "SELECT s.service_name::text FROM {ml}.ml_bentoml_services s WHERE s.model_id = $1 AND s.status = 'active'
     ORDER BY s.service_name",
);
const SHARING: Query = Query::new(
    "SELECT s.service_name::text FROM {ml}.ml_bentoml_services s
     WHERE s.status = 'active' AND s.traffic ? $1 AND s.bento_tag <> $1 LIMIT 1",
);
const UNSHADOW: Query = Query::new(
    "UPDATE {ml}.ml_bentoml_services SET shadow_id = NULL, shadow_sample = NULL WHERE shadow_id = $1
     RETURNING service_name::text",
);
const UNDEPLOY: Query = Query::new(
    "WITH gone AS (DELETE FROM {ml}.ml_bentoml_services WHERE model_id = $1 RETURNING id)
     DELETE FROM {ml}.ml_bentoml_serving_metrics m USING gone WHERE m.service_id = gone.id",
);
const LEFT: Query =
    Query::new("SELECT 1 FROM {ml}.ml_bentoml_services s WHERE s.model_id = $1 OR s.shadow_id = $1 LIMIT 1");
const DELETE: Query = Query::new(
    "DELETE FROM {ml}.ml_model_registry WHERE id = $1 RETURNING artifact_sha256, preprocessor_sha256, plan_sha256",
);

/// What is stored of a new version, besides its bytes.
pub struct NewVersion<'a> {
    /// Model name.
    pub name: &'a str,
    /// Version; the next integer where it is not given.
    pub version: Option<&'a str>,
    /// The format of the artifact.
    pub framework: &'a str,
    /// What it takes and gives.
    pub interface: &'a Interface,
    /// Its signature in MLflow's form.
    pub signature: serde_json::Value,
    /// Metrics of training.
    pub metrics: Option<Document<'a>>,
    /// Free labels.
    pub tags: Option<Document<'a>>,
    /// Free text.
    pub description: Option<&'a str>,
    /// Which engine scores it.
    pub engine: &'a str,
    /// Why not the native one.
    pub engine_reason: Option<&'a str>,
    /// The compiled form, for the native engine.
    pub plan: Option<&'a [u8]>,
    /// Whether to deploy it under its name; the first version of a name is, if nothing is said.
    pub deploy: Option<bool>,
    /// Golden rows, as given.
    pub examples: Option<Document<'a>>,
    /// How far a score may be from them, if it was said.
    pub tolerance: Option<f64>,
    /// Where it comes from.
    pub origin: Origin<'a>,
}

/// Where a version comes from, as its maker says; kept and not interpreted.
pub struct Origin<'a> {
    /// How it was trained.
    pub algorithm: Option<&'a str>,
    /// The MLflow run that made it.
    pub mlflow_run_id: Option<&'a str>,
    /// Where MLflow keeps it.
    pub mlflow_model_uri: Option<&'a str>,
    /// When it was trained.
    pub trained_at: Option<TimestampWithTimeZone>,
}

/// The version that a new registration of `name` gets, and whether it is the first. Registrations of one name wait for
/// each other until the end of the transaction, so two that do not say a version get two. A number is not given again after
/// its version was dropped: an index over a pinned version's scores may still hold them.
pub fn next_version(schema: Schema, name: &str, wanted: Option<&str>) -> (String, bool) {
    lock::exclusive(schema.registry(), Purpose::Registering, name);
    schema.as_owner(|| {
        // Sees what a registration that was waited for has committed.
        let found = GIVEN.select_latest(schema, &[name.into()], |row| (row.get::<i64>(1), row.get::<String>(2)));
        let (count, last) = found.into_iter().next().unwrap_or_default();
        let next = last.and_then(|last| last.parse::<u64>().ok()).unwrap_or(0) + 1;
        (wanted.map_or_else(|| next.to_string(), str::to_owned), count == Some(0))
    })
}

/// What is stored of an interface.
///
/// # Errors
/// [`Kind::BadModel`] for a name or a class with a zero byte, which no text of the server's can hold.
fn stored(model: &str, interface: &Interface) -> Result<JsonB> {
    let value = serde_json::to_value(interface).map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
    match with_zero(&value) {
        None => Ok(JsonB(value)),
        Some(text) => {
            let message =
                format!("{text:?}, a name or class of model {model:?}, has a zero byte, which no text can hold");
            Err(Error::new(Kind::BadModel, message).with_hint("Export the model with another name for it."))
        }
    }
}

/// A text in there with a zero byte.
fn with_zero(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text.as_str()).filter(|text| text.contains('\0')),
        Value::Array(values) => values.iter().find_map(with_zero),
        Value::Object(members) => members.iter().find_map(|(name, value)| {
            Some(name.as_str()).filter(|name| name.contains('\0')).or_else(|| with_zero(value))
        }),
        _ => None,
    }
}

/// Writes a version and, where asked for or first, its deployment.
///
/// # Errors
/// [`Kind::Duplicate`] when the version exists, [`Kind::TakenMeanwhile`] when another session has just registered it.
pub fn insert(schema: Schema, new: NewVersion<'_>, model: &[u8], preprocessor: Option<&[u8]>) -> Result<String> {
    let interface = stored(new.name, new.interface)?;
    let registered_by = role::name(role::current());
    // Asked before waiting for other registrations, so that a version which existed is told from one that was taken meanwhile.
    let existed = new.version.is_some_and(|version| schema.as_owner(|| exists(schema, new.name, version)));
    let (version, first) = next_version(schema, new.name, new.version);
    schema.as_owner(|| {
        if !existed && new.version.is_some() && was_given(schema, new.name, &version) {
            return Err(Error::new(
                Kind::Duplicate,
                format!("model {}:{version} was dropped, and its version is not given again", new.name),
            )
            .with_detail("An index over scores of e2i_predict_pinned may still hold what it answered.")
            .with_hint("Leave the version out to get the next number."));
        }
        let model_hash = store(schema, model);
        let preprocessor_hash = preprocessor.map(|bytes| store(schema, bytes));
        let plan_hash = new.plan.map(|bytes| store(schema, bytes));
        let classes: Option<Vec<String>> = new.interface.classes.as_ref().map(|classes| classes.labels.clone());
        let ids = INSERT.returning(
            schema,
            &[
                new.name.into(),
                version.as_str().into(),
                new.framework.into(),
                new.interface.task.name().into(),
                JsonB(new.signature).into(),
                classes.into(),
                interface.into(),
                new.metrics.into(),
                new.tags.into(),
                new.description.into(),
                model_hash.into(),
                size(model).into(),
                preprocessor_hash.into(),
                preprocessor.map(size).into(),
                new.engine.into(),
                registered_by.as_str().into(),
                new.examples.into(),
                new.tolerance.into(),
                new.origin.algorithm.into(),
                new.origin.mlflow_run_id.into(),
                new.origin.mlflow_model_uri.into(),
                new.origin.trained_at.into(),
                new.engine_reason.into(),
                plan_hash.into(),
                new.plan.map(size).into(),
                cost(new.interface, new.plan).into(),
            ],
            |row| row.get::<Uuid>(1).map(|id| *id.as_bytes()),
        );
        let Some(id) = ids.into_iter().flatten().next() else {
            let reference = format!("{}:{version}", new.name);
            let error = if existed {
                Error::new(Kind::Duplicate, format!("model {reference} exists already"))
            } else {
                Error::new(
                    Kind::TakenMeanwhile,
                    format!("model {reference} was registered by another session meanwhile"),
                )
            };
            return Err(error.with_hint("Leave the version out to get the next number."));
        };
        let reference = format!("{}:{version}", new.name);
        Event {
            who: &registered_by,
            action: "register",
            model: Some(new.name),
            version: Some(&version),
            after: Some(&reference),
            ..Event::default()
        }
        .record(schema);
        if new.deploy.unwrap_or(first) {
            let service = Service::lock(schema, new.name, registered_by.clone())?;
            service.activate(service.begin(&id, new.name, &version)?, None)?;
        }
        Ok(reference)
    })
}

/// Whether a version was registered once and is there no more, after those who are about to register it.
fn was_given(schema: Schema, name: &str, version: &str) -> bool {
    !GONE.select_latest(schema, &[name.into(), version.into()], |_| ()).is_empty()
}

fn exists(schema: Schema, name: &str, version: &str) -> bool {
    !EXISTS.select(schema, &[name.into(), version.into()], |_| ()).is_empty()
}

fn size(bytes: &[u8]) -> i64 {
    i64::try_from(bytes.len()).unwrap_or(i64::MAX)
}

/// Removes a version, its deployments if `force` is set, and the bytes that no other version uses.
///
/// # Errors
/// [`Kind::WrongState`] while it has an alias, a share of traffic or, unless forced, is deployed.
pub fn drop_version(schema: Schema, id: &ModelId, reference: &str, force: bool) -> Result<()> {
    let who = role::name(role::current());
    schema.as_owner(|| {
        // Services before versions, in the order in which a deploy locks them.
        for service in active_services(schema, id) {
            Service::lock(schema, &service, who.clone())?;
        }
        take(schema, id, reference)?;
        let services = active_services(schema, id);
        let quoted = reference.replace('\'', "''");
        if let Some(service) = sharing(schema, reference) {
            return Err(Error::new(
                Kind::WrongState,
                format!("model {reference} has a share of the traffic of \"{service}\""),
            )
            .with_hint(format!("SELECT e2i_set_traffic('{}', NULL);", service.replace('\'', "''"))));
        }
        if let Some(service) = services.first().filter(|_| !force) {
            return Err(Error::new(Kind::WrongState, format!("model {reference} is deployed as \"{service}\""))
                .with_hint(format!(
                    "Deploy another version first, or end the deployment: SELECT e2i_undeploy('{}');",
                    service.replace('\'', "''")
                )));
        }
        if let Some(alias) = any_of(schema, id) {
            let name = quoted.rsplit_once(':').map_or(quoted.as_str(), |(name, _)| name);
            return Err(Error::new(Kind::WrongState, format!("model {reference} has the alias \"{alias}\""))
                .with_hint(format!("SELECT e2i_drop_alias('{name}', '{alias}');")));
        }
        for service in &services {
            let service = Service::lock(schema, service, who.clone())?;
            if service.active().is_some_and(|(_, tag)| tag == reference) {
                service.undeploy(None)?;
            }
        }
        let shadowed = remove(schema, id, reference)?;
        let (model, version) = reference.rsplit_once(':').unzip();
        for service in &shadowed {
            let (before, service) = (Some(reference), Some(service.as_str()));
            let details = Some(serde_json::json!({ "ended_by": "drop" }).to_string());
            Event { who: &who, action: "shadow", model, version, service, before, details, ..Event::default() }
                .record(schema);
        }
        Event { who: &who, action: "drop", model, version, before: Some(reference), ..Event::default() }.record(schema);
        Ok(())
    })
}

/// The services that a version is deployed as.
fn active_services(schema: Schema, id: &ModelId) -> Vec<String> {
    let rows = SERVICES.select_latest(schema, &[Uuid::from_bytes(*id).into()], |row| row.get::<String>(1));
    rows.into_iter().flatten().collect()
}

/// A service of another version that sends this one a share of its traffic.
fn sharing(schema: Schema, reference: &str) -> Option<String> {
    SHARING.select_latest(schema, &[reference.into()], |row| row.get::<String>(1)).into_iter().flatten().next()
}

/// Removes the row, its deployments with their metrics, and bytes that nobody else uses. Returns the services for which
/// the version was a shadow.
fn remove(schema: Schema, id: &ModelId, reference: &str) -> Result<Vec<String>> {
    let key = || Uuid::from_bytes(*id);
    let shadowed = UNSHADOW.returning(schema, &[key().into()], |row| row.get::<String>(1));
    UNDEPLOY.execute(schema, &[key().into()]);
    background::remove(schema, id);
    calibration::remove(schema, id);
    // A transaction that sees an older state has not reached what was deployed since.
    if !LEFT.select_latest(schema, &[key().into()], |_| ()).is_empty() {
        return Err(conflict(&format!("a deployment of model {reference}")));
    }
    let hashes = DELETE.returning(schema, &[key().into()], |row| {
        [row.get::<Vec<u8>>(1), row.get::<Vec<u8>>(2), row.get::<Vec<u8>>(3)]
    });
    for hash in hashes.into_iter().flatten().flatten() {
        release(schema, &hash);
    }
    Ok(shadowed.into_iter().flatten().collect())
}
