//! Deployments and stages: `e2i_deploy`, `e2i_rollback`, `e2i_transition_stage`.

use e2i_core::{Error, Kind, ModelReference, Result, Stage};
use pgrx::prelude::*;
use pgrx::{Uuid, default, pg_sys};

use crate::catalog::deploy::{Deployment, Service, deploy};
use crate::catalog::model::{describe, identify};
use crate::catalog::schema::Schema;
use crate::catalog::stage::{Transition, transition};
use crate::error::OrRaise;
use crate::pg::role;
use crate::session::LoadedModel;

/// Deploys a version under a service name, by default the model's. It is loaded first; the version that was active stays so
/// until this transaction commits, and for good where it fails. `on_failure => 'record'` keeps a row with the reason.
#[pg_extern(volatile, parallel_unsafe)]
#[allow(clippy::type_complexity)]
fn e2i_deploy(
    model: &str,
    service: default!(Option<&str>, "NULL"),
    on_failure: default!(&str, "'error'"),
    reason: default!(Option<&str>, "NULL"),
    fcinfo: pg_sys::FunctionCallInfo,
) -> TableIterator<
    'static,
    (
        name!(id, Uuid),
        name!(service_name, String),
        name!(version, String),
        name!(status, String),
        name!(reason, Option<String>),
    ),
> {
    // SAFETY: the server passes a valid fcinfo.
    let schema = unsafe { Schema::of_call(fcinfo) };
    let run = || {
        let record = parse_on_failure(on_failure)?;
        let reference = ModelReference::parse(model)?;
        let version = describe(schema, &identify(schema, &reference)?, &reference)?;
        let prove = || LoadedModel::load(schema, &version).map(drop);
        deploy(schema, &version, service.unwrap_or(&version.name), record, reason, prove)
    };
    TableIterator::once(row(run().or_raise()))
}

fn parse_on_failure(on_failure: &str) -> Result<bool> {
    match on_failure {
        "error" => Ok(false),
        "record" => Ok(true),
        other => {
            Err(Error::new(Kind::BadOption, format!("unknown on_failure {other:?}")).with_hint("One of error, record."))
        }
    }
}

fn row(deployment: Deployment) -> (Uuid, String, String, String, Option<String>) {
    (deployment.id, deployment.service, deployment.tag, deployment.status.to_owned(), deployment.reason)
}

/// Goes back to the version that a service served before, or to a named one. Twice in a row goes back two steps.
#[pg_extern(volatile, parallel_unsafe)]
#[allow(clippy::type_complexity)]
fn e2i_rollback(
    service: &str,
    target_version: default!(Option<&str>, "NULL"),
    reason: default!(Option<&str>, "NULL"),
    fcinfo: pg_sys::FunctionCallInfo,
) -> TableIterator<
    'static,
    (
        name!(id, Uuid),
        name!(service_name, String),
        name!(version, String),
        name!(status, String),
        name!(reason, Option<String>),
    ),
> {
    // SAFETY: the server passes a valid fcinfo.
    let schema = unsafe { Schema::of_call(fcinfo) };
    let run = || {
        let service = Service::lock(schema, service, role::name(role::current()))?;
        schema.as_owner(|| service.roll_back(target_version, reason))
    };
    TableIterator::once(row(run().or_raise()))
}

/// Moves a version to a stage through the gates of `ml_stage_policies`, and returns the stage.
#[pg_extern(volatile, parallel_unsafe)]
fn e2i_transition_stage(
    name: &str,
    version: &str,
    stage: &str,
    approver: default!(Option<&str>, "NULL"),
    reason: default!(Option<&str>, "NULL"),
    overrule: default!(bool, "false"),
    fcinfo: pg_sys::FunctionCallInfo,
) -> String {
    // SAFETY: the server passes a valid fcinfo.
    let schema = unsafe { Schema::of_call(fcinfo) };
    let run = || {
        let stage = Stage::parse(stage)?;
        transition(schema, &Transition { name, version, stage, approver, reason, overrule })?;
        Ok(stage.name().to_owned())
    };
    run().or_raise()
}
