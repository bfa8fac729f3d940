//! Deployments and stages: `e2i_deploy`, `e2i_undeploy`, `e2i_rollback`, `e2i_transition_stage`.

use e2i_core::{Error, Kind, ModelReference, Result, Selector, Stage};
use pgrx::prelude::*;
use pgrx::{Uuid, default, pg_sys};

use crate::catalog::deploy::rollback::Target;
use crate::catalog::deploy::{Deployment, Service, deploy};
use crate::catalog::model::{Version, describe, identify};
use crate::catalog::schema::Schema;
use crate::catalog::stage::{Transition, transition};
use crate::error::{OrRaise, given};
use crate::jobs::schedule;
use crate::on_write::stale;
use crate::pg::role;
use crate::scoring::golden;

/// Deploys a version under a service name, by default the model's. It is loaded first; the version that was active stays so
/// until this transaction commits, and for good where it fails. `on_failure => 'record'` keeps a row with the reason.
#[pg_extern(volatile, parallel_unsafe)]
fn e2i_deploy(
    model: Option<&str>,
    service: default!(Option<&str>, "NULL"),
    on_failure: default!(Option<&str>, "'error'"),
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
    let schema = unsafe { Schema::of_change(fcinfo) };
    let run = || {
        let wanted = Wanted { model, service, on_failure, reason };
        let (deployment, version) = wanted.deploy(schema)?;
        if let Some(stale) = stale_after(schema, &deployment, &version) {
            stale::tell(&stale, &[version], false);
        }
        Ok(deployment)
    };
    TableIterator::once(row(run().or_raise()))
}

/// The same, and where `rescore` is true, tables whose scores are stale then are scored once it is committed. Declared in
/// `sql/jobs.sql`.
#[pg_extern(sql = false)]
fn e2i_deploy_and_rescore(
    model: Option<&str>,
    rescore: Option<bool>,
    service: Option<&str>,
    on_failure: Option<&str>,
    reason: Option<&str>,
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
    let schema = unsafe { Schema::of_change(fcinfo) };
    let run = || {
        let rescore = given(rescore, "rescore")?;
        if rescore {
            schedule::check_role("a run would")?;
        }
        let (deployment, version) = Wanted { model, service, on_failure, reason }.deploy(schema)?;
        if let Some(stale) = stale_after(schema, &deployment, &version) {
            for one in stale.iter().filter(|_| rescore) {
                schedule::once(schema, &one.model, &one.source, one.table, &one.options);
            }
            stale::tell(&stale, &[version], rescore);
        }
        Ok(deployment)
    };
    TableIterator::once(row(run().or_raise()))
}

/// What a deployment is asked for with.
struct Wanted<'w> {
    model: Option<&'w str>,
    service: Option<&'w str>,
    on_failure: Option<&'w str>,
    reason: Option<&'w str>,
}

impl Wanted<'_> {
    fn deploy(&self, schema: Schema) -> Result<(Deployment, Version)> {
        let record = parse_on_failure(given(self.on_failure, "on_failure")?)?;
        let reference = ModelReference::parse(given(self.model, "model")?)?;
        let version = Version::find(schema, &reference)?;
        let service = self.service.unwrap_or(&version.name);
        check_visible(schema, service)?;
        let prove = || golden::still_proves(schema, &version).map(drop);
        let deployment = deploy(schema, &version, service, record, self.reason, prove)?;
        Ok((deployment, version))
    }
}

/// What a service serves now must be visible to who changes it; a service that serves nothing is anybody's.
fn check_visible(schema: Schema, service: &str) -> Result<()> {
    let reference = ModelReference { name: service.to_owned(), selector: Selector::Deployed };
    match identify(schema, &reference) {
        Ok(id) => describe(schema, &id, &reference).map(drop),
        Err(_) => Ok(()),
    }
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

/// Which tables have scores of the version before.
fn stale_after(schema: Schema, deployment: &Deployment, version: &Version) -> Option<Vec<stale::Stale>> {
    let service = ModelReference { name: deployment.service.clone(), selector: Selector::Deployed };
    (deployment.status == "active").then(|| stale::find(schema, &service, std::slice::from_ref(version)))
}

fn row(deployment: Deployment) -> (Uuid, String, String, String, Option<String>) {
    (deployment.id, deployment.service, deployment.tag, deployment.status.to_owned(), deployment.reason)
}

/// Goes back to the version that a service served before, or to a named one, `3` or `name:3`. Twice in a row goes back two
/// steps. The version is loaded and scores its golden rows first, as for a deployment.
#[pg_extern(volatile, parallel_unsafe)]
fn e2i_rollback(
    service: Option<&str>,
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
    let schema = unsafe { Schema::of_change(fcinfo) };
    let run = || {
        let service = given(service, "service")?;
        check_visible(schema, service)?;
        let target = Target::parse(target_version)?;
        let service = Service::lock(schema, service, role::name(role::current()))?;
        let to = schema.as_owner(|| service.earlier(&target))?;
        let version = describe(schema, &to.model, &ModelReference::parse(&to.tag)?)?;
        golden::still_proves(schema, &version)?;
        let deployment = schema.as_owner(|| service.roll_back(to, reason))?;
        if let Some(stale) = stale_after(schema, &deployment, &version) {
            stale::tell(&stale, &[version], false);
        }
        Ok(deployment)
    };
    TableIterator::once(row(run().or_raise()))
}

/// Ends the deployment of a service: it means nothing until the next one is deployed.
#[pg_extern(volatile, parallel_unsafe)]
fn e2i_undeploy(
    service: Option<&str>,
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
    let schema = unsafe { Schema::of_change(fcinfo) };
    let run = || {
        let service = given(service, "service")?;
        check_visible(schema, service)?;
        let service = Service::lock(schema, service, role::name(role::current()))?;
        schema.as_owner(|| service.undeploy(reason))
    };
    TableIterator::once(row(run().or_raise()))
}

/// Moves a version to a stage through the gates of `ml_stage_policies`, and returns the stage.
#[pg_extern(volatile, parallel_unsafe)]
fn e2i_transition_stage(
    name: Option<&str>,
    version: Option<&str>,
    stage: Option<&str>,
    approver: default!(Option<&str>, "NULL"),
    reason: default!(Option<&str>, "NULL"),
    overrule: default!(Option<bool>, "false"),
    fcinfo: pg_sys::FunctionCallInfo,
) -> String {
    // SAFETY: the server passes a valid fcinfo.
    let schema = unsafe { Schema::of_change(fcinfo) };
    let run = || {
        let (name, version) = (given(name, "name")?, given(version, "version")?);
        let stage = Stage::parse(given(stage, "stage")?)?;
        let overrule = overrule.unwrap_or(false);
        transition(schema, &Transition { name, version, stage, approver, reason, overrule })?;
        Ok(stage.name().to_owned())
    };
    run().or_raise()
}
