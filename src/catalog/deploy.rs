//! Deployments: which version a service name means. Going back is in [`rollback`].
//!
//! One row of `ml_bentoml_services` a deployment, one of them active for a service name. A deployment that was followed by
//! another stays as `draining`, one that was rolled back as `rolled_back`; rolling back activates the latest draining one
//! before the active one, so that rolling back twice goes back two steps.
//!
//! Deploying takes a lock on the service, inserts a row (pending, then deploying), has the version loaded and proved by the caller, and
//! then moves the active row to draining and the new one to active. All of that is one transaction, so other sessions see the end of it
//! or nothing. Where failures are to be recorded, the row becomes failed and nothing else changes.

pub mod rollback;

use e2i_core::{Error, Kind, ModelReference, Result};
use pgrx::datum::Uuid;
use serde_json::json;

use crate::catalog::event::Event;
use crate::catalog::hold::{conflict, hold};
use crate::catalog::model::{ModelId, Version};
use crate::catalog::schema::Schema;
use crate::datum::document::Document;
use crate::pg::lock::{self, Purpose};
use crate::pg::query::Query;
use crate::pg::role;

const BEGIN: Query = Query::new(
    "INSERT INTO {ml}.ml_bentoml_services (service_name, model_id, bento_tag, bento_version, serving_endpoint, status)
     VALUES ($1, $2, $3, $4, 'postgres', 'pending') RETURNING id",
);
const SET_STATUS: Query = Query::new(
    "UPDATE {ml}.ml_bentoml_services
     SET status = $2::{ml}.deployment_status_enum, reason = $3, updated_at = now(),
         traffic = NULL, traffic_by = NULL, shadow_id = NULL, shadow_sample = NULL
     WHERE id = $1",
);
const ACTIVE: Query = Query::new(
    "SELECT s.id, s.bento_tag::text FROM {ml}.ml_bentoml_services s WHERE s.service_name = $1 AND s.status = 'active'",
);
const SET_TRAFFIC: Query =
    Query::new("UPDATE {ml}.ml_bentoml_services SET traffic = $2, traffic_by = $3, updated_at = now() WHERE id = $1");
const SET_SHADOW: Query = Query::new(
    "UPDATE {ml}.ml_bentoml_services SET shadow_id = $2, shadow_sample = $3, updated_at = now() WHERE id = $1",
);
const TRAFFIC: Query = Query::new("SELECT s.traffic::text FROM {ml}.ml_bentoml_services s WHERE s.id = $1");
const SHADOW: Query = Query::new(
    "SELECT r.model_name || ':' || r.model_version
     FROM {ml}.ml_bentoml_services s JOIN {ml}.ml_model_registry r ON r.id = s.shadow_id WHERE s.id = $1",
);

/// A deployment as it is after a change.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// Its identity.
    pub id: Uuid,
    /// The service.
    pub service: String,
    /// `name:version`.
    pub tag: String,
    /// Its status.
    pub status: &'static str,
    /// Why it failed or was made.
    pub reason: Option<String>,
}

/// The service of a deployment, locked until the end of the transaction: two deployments of one service follow each other.
pub struct Service<'a> {
    schema: Schema,
    name: &'a str,
    who: String,
}

impl<'a> Service<'a> {
    /// Locks a service; `who` is the role that events name.
    ///
    /// # Errors
    /// [`Kind::BadOption`] for a name that could not be written in a reference.
    pub fn lock(schema: Schema, name: &'a str, who: String) -> Result<Self> {
        ModelReference::check_new_service(name)?;
        let service = Self { schema, name, who };
        lock::exclusive(schema.registry(), Purpose::Deploying, name);
        Ok(service)
    }

    /// Begins a deployment: a row that is pending, then deploying. Call with the owner's rights, as everything below.
    ///
    /// # Errors
    /// [`Kind::UnknownModel`] when the version has been dropped meanwhile.
    pub fn begin(&self, id: &ModelId, name: &str, version: &str) -> Result<Deployment> {
        let tag = format!("{name}:{version}");
        hold(self.schema, id, &tag)?;
        let rows = BEGIN.returning(
            self.schema,
            &[self.name.into(), Uuid::from_bytes(*id).into(), tag.as_str().into(), version.into()],
            |row| row.get::<Uuid>(1),
        );
        let id = rows.into_iter().flatten().next().unwrap_or_else(|| Uuid::from_bytes([0; 16]));
        self.set_status(&id, "deploying", None)?;
        Ok(Deployment { id, service: self.name.to_owned(), tag, status: "deploying", reason: None })
    }

    /// Changes the status; a split of traffic and a shadow belong to the deployment that was active and end with it.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when this transaction cannot see the deployment yet.
    fn set_status(&self, id: &Uuid, status: &str, reason: Option<&str>) -> Result<()> {
        self.seen(SET_STATUS.execute(self.schema, &[(*id).into(), status.into(), reason.into()]))
    }

    /// A deployment made by a transaction that this one does not see is found but cannot be changed.
    fn seen(&self, changed: u64) -> Result<()> {
        if changed > 0 { Ok(()) } else { Err(conflict(&format!("the service \"{}\"", self.name))) }
    }

    /// The active deployment and its version.
    pub fn active(&self) -> Option<(Uuid, String)> {
        let rows = ACTIVE
            .select_latest(self.schema, &[self.name.into()], |row| Some((row.get::<Uuid>(1)?, row.get::<String>(2)?)));
        rows.into_iter().flatten().next()
    }

    /// Makes a deployment the active one; the one before is left draining.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when another transaction has deployed that this one does not see.
    pub fn activate(&self, mut deployment: Deployment, reason: Option<&str>) -> Result<Deployment> {
        let before = self.active();
        if let Some((before, _)) = &before {
            self.end_beside(before, "deploy");
            self.set_status(before, "draining", None)?;
        }
        self.set_status(&deployment.id, "active", None)?;
        deployment.status = "active";
        self.record("deploy", before.as_ref().map(|(_, tag)| tag.as_str()), Some(&deployment.tag), reason);
        Ok(deployment)
    }

    /// Records that a deployment failed; what was active stays so.
    ///
    /// # Errors
    /// None that is expected.
    pub fn fail(&self, mut deployment: Deployment, why: &str) -> Result<Deployment> {
        self.set_status(&deployment.id, "failed", Some(why))?;
        deployment.status = "failed";
        deployment.reason = Some(why.to_owned());
        self.record(
            "deploy_failed",
            self.active().as_ref().map(|(_, tag)| tag.as_str()),
            Some(&deployment.tag),
            Some(why),
        );
        Ok(deployment)
    }

    /// Records what a service means, before and after, as `name:version`.
    fn record(&self, action: &str, before: Option<&str>, after: Option<&str>, reason: Option<&str>) {
        let (model, version) = after.or(before).and_then(|tag| tag.rsplit_once(':')).unzip();
        Event {
            who: &self.who,
            action,
            model,
            version,
            service: Some(self.name),
            before,
            after,
            reason,
            details: None,
        }
        .record(self.schema);
    }

    /// Splits the traffic of the active deployment between `versions`, or ends the split.
    ///
    /// # Errors
    /// [`Kind::UnknownModel`] without an active deployment.
    pub fn set_traffic(
        &self,
        traffic: Option<Document<'_>>,
        by: Option<&str>,
        versions: &[(ModelId, String)],
    ) -> Result<()> {
        for (id, reference) in versions {
            hold(self.schema, id, reference)?;
        }
        let (id, _) = self.active_or_unknown()?;
        let before = self.traffic(&id);
        self.seen(SET_TRAFFIC.execute(self.schema, &[id.into(), traffic.into(), by.into()]))?;
        let after = self.traffic(&id);
        let details = by.filter(|_| after.is_some()).map(|by| json!({ "by": by }).to_string());
        self.record_beside("traffic", before.as_deref(), after.as_deref(), details);
        Ok(())
    }

    /// Lets a version score beside the active one, or ends that.
    ///
    /// # Errors
    /// [`Kind::UnknownModel`] without an active deployment.
    pub fn set_shadow(&self, shadow: Option<(&ModelId, &str)>, sample: f64) -> Result<()> {
        if let Some((id, reference)) = shadow {
            hold(self.schema, id, reference)?;
        }
        let (id, _) = self.active_or_unknown()?;
        let before = self.shadow(&id);
        let changed = SET_SHADOW.execute(
            self.schema,
            &[id.into(), shadow.map(|(shadow, _)| Uuid::from_bytes(*shadow)).into(), shadow.map(|_| sample).into()],
        );
        self.seen(changed)?;
        let details = shadow.map(|_| json!({ "sample": sample }).to_string());
        self.record_beside("shadow", before.as_deref(), shadow.map(|(_, reference)| reference), details);
        Ok(())
    }

    /// The active deployment and its version.
    ///
    /// # Errors
    /// [`Kind::UnknownModel`] without one.
    pub fn active_or_unknown(&self) -> Result<(Uuid, String)> {
        self.active().ok_or_else(|| {
            Error::new(Kind::UnknownModel, format!("the service \"{}\" has no active deployment", self.name))
                .with_hint(format!("SELECT e2i_deploy('name:version', '{}');", self.name.replace('\'', "''")))
        })
    }

    fn traffic(&self, id: &Uuid) -> Option<String> {
        self.setting(&TRAFFIC, id)
    }

    fn shadow(&self, id: &Uuid) -> Option<String> {
        self.setting(&SHADOW, id)
    }

    fn setting(&self, query: &Query, id: &Uuid) -> Option<String> {
        query.select_latest(self.schema, &[(*id).into()], |row| row.get::<String>(1)).into_iter().flatten().next()
    }

    /// Records that a split of traffic and a shadow end with the active deployment, where there are any.
    fn end_beside(&self, id: &Uuid, with: &str) {
        let traffic = self.traffic(id);
        for (action, before) in [("traffic", traffic), ("shadow", self.shadow(id))] {
            if before.is_some() {
                self.record_beside(action, before.as_deref(), None, Some(json!({ "ended_by": with }).to_string()));
            }
        }
    }

    /// Records what goes beside the active version: the shares of traffic, or the shadow, which is a version.
    fn record_beside(&self, action: &str, before: Option<&str>, after: Option<&str>, details: Option<String>) {
        let version = after.or(before).filter(|_| action == "shadow");
        let (model, version) = version.and_then(|tag| tag.rsplit_once(':')).unzip();
        let service = Some(self.name);
        Event { who: &self.who, action, model, version, service, before, after, details, ..Event::default() }
            .record(self.schema);
    }

    /// Ends the active deployment: the service means nothing until the next one.
    ///
    /// # Errors
    /// [`Kind::UnknownModel`] without an active deployment.
    pub fn undeploy(&self, reason: Option<&str>) -> Result<Deployment> {
        let (id, tag) = self.active_or_unknown()?;
        self.end_beside(&id, "undeploy");
        self.set_status(&id, "draining", Some(reason.unwrap_or("undeployed")))?;
        self.record("undeploy", Some(&tag), None, reason);
        let reason = reason.map(str::to_owned);
        Ok(Deployment { id, service: self.name.to_owned(), tag, status: "draining", reason })
    }
}

/// Deploys a version after `prove` has accepted it.
///
/// # Errors
/// What `prove` reports, unless failures are to be recorded; [`Kind::WrongState`] when the version is active already.
pub fn deploy(
    schema: Schema,
    version: &Version,
    service: &str,
    record_failure: bool,
    reason: Option<&str>,
    prove: impl FnOnce() -> Result<()>,
) -> Result<Deployment> {
    let service = Service::lock(schema, service, role::name(role::current()))?;
    let deployment = schema.as_owner(|| match service.active() {
        Some((_, tag)) if tag == version.reference() => {
            Err(Error::new(Kind::WrongState, format!("the service \"{}\" serves {tag} already", service.name)))
        }
        _ => service.begin(&version.id, &version.name, &version.version),
    })?;
    match prove() {
        Ok(()) => schema.as_owner(|| service.activate(deployment, reason)),
        Err(error) if record_failure => schema.as_owner(|| service.fail(deployment, error.message())),
        Err(error) => Err(error),
    }
}
