//! Going back: which earlier deployment a rollback means, and making it the active one again.
//!
//! The version found is loaded and proved as by a deployment; then the active row is marked rolled_back, and the latest draining row
//! with a smaller `deployment` number becomes active. Rows that were rolled back are passed over.

use e2i_core::{Error, Kind, ModelReference, Result, Selector};
use pgrx::datum::Uuid;

use super::{Deployment, Service};
use crate::catalog::hold::hold;
use crate::catalog::model::{ModelId, Version};
use crate::pg::query::{Query, Row};

// Those that were rolled back are passed over, so that going back twice goes back two steps.
const BEFORE: Query = Query::new(
    "SELECT s.id, s.bento_tag::text, s.model_id FROM {ml}.ml_bentoml_services s
     WHERE s.service_name = $1 AND s.model_id IS NOT NULL AND s.status = 'draining'
       AND s.deployment < (SELECT a.deployment FROM {ml}.ml_bentoml_services a WHERE a.id = $2)
     ORDER BY s.deployment DESC",
);
const OF_VERSION: Query = Query::new(
    "SELECT s.id, s.bento_tag::text, s.model_id FROM {ml}.ml_bentoml_services s
     WHERE s.service_name = $1 AND s.model_id IS NOT NULL AND s.status IN ('draining', 'rolled_back')
       AND s.id <> $2 AND s.bento_version = $3
     ORDER BY s.deployment DESC",
);
const OF_REFERENCE: Query = Query::new(
    "SELECT s.id, s.bento_tag::text, s.model_id FROM {ml}.ml_bentoml_services s
     WHERE s.service_name = $1 AND s.model_id IS NOT NULL AND s.status IN ('draining', 'rolled_back')
       AND s.id <> $2 AND s.bento_tag = $3
     ORDER BY s.deployment DESC",
);

/// Where a rollback goes.
pub enum Target {
    /// To what was active before.
    Previous,
    /// To a version, of the active model if it served that one.
    Version(String),
    /// To a version of a model, `name:version`.
    Reference(String),
}

impl Target {
    /// Reads what a caller writes: nothing, a bare version, or a reference to a version.
    ///
    /// # Errors
    /// [`Kind::BadOption`] for a reference that is malformed or names no version.
    pub fn parse(text: Option<&str>) -> Result<Self> {
        match text {
            None => Ok(Self::Previous),
            Some(text) if text.contains([':', '@', '/']) => {
                let reference = ModelReference::parse(text)?;
                match reference.selector {
                    Selector::Version(_) => Ok(Self::Reference(reference.to_string())),
                    _ => Err(Error::new(
                        Kind::BadOption,
                        format!("a rollback goes to a version, written 3 or name:3, got {text:?}"),
                    )),
                }
            }
            Some(version) => Ok(Self::Version(version.to_owned())),
        }
    }
}

/// An earlier deployment of a service.
pub struct Earlier {
    id: Uuid,
    /// `name:version`.
    pub tag: String,
    /// Its version, in the registry.
    pub model: ModelId,
}

impl Service<'_> {
    /// The earlier deployment that a rollback goes to. Call with the owner's rights.
    ///
    /// # Errors
    /// [`Kind::UnknownModel`] for a service that serves nothing, [`Kind::WrongState`] when there is nothing to go back to,
    /// [`Kind::BadOption`] for a version that several models have.
    pub fn earlier(&self, target: &Target) -> Result<Earlier> {
        let (active, tag) = self.active_or_unknown()?;
        let model = tag.rsplit_once(':').map_or(self.name, |(model, _)| model);
        let mut earlier = self.all_earlier(&active, target);
        if earlier.is_empty()
            && let Some(meant) = self.meant(target, model)
        {
            earlier = self.all_earlier(&active, &meant);
        }
        let of = |earlier: &Earlier| earlier.tag.rsplit_once(':').map_or("", |(model, _)| model).to_owned();
        if let Target::Version(version) = target
            && !earlier.iter().any(|earlier| of(earlier) == model)
        {
            let mut models: Vec<String> = earlier.iter().map(of).collect();
            models.sort();
            models.dedup();
            if let [first, _, ..] = models.as_slice() {
                return Err(Error::new(
                    Kind::BadOption,
                    format!(
                        "the service \"{}\" served a version \"{version}\" of several models: {}",
                        self.name,
                        models.join(", ")
                    ),
                )
                .with_hint(format!(
                    "Name one: SELECT e2i_rollback('{}', '{}:{version}');",
                    quoted(self.name),
                    quoted(first)
                )));
            }
        }
        let is_preferred = |earlier: &Earlier| matches!(target, Target::Version(_)) && of(earlier) == model;
        let chosen = earlier.iter().position(is_preferred).unwrap_or(0);
        earlier.into_iter().nth(chosen).ok_or_else(|| self.nothing_to_go_back_to(target, model, &tag))
    }

    /// The earlier deployments that a target may mean, latest first.
    fn all_earlier(&self, active: &Uuid, target: &Target) -> Vec<Earlier> {
        let read = |row: &Row| {
            let (id, model) = (row.get::<Uuid>(1)?, row.get::<Uuid>(3)?);
            Some(Earlier { id, tag: row.get::<String>(2)?, model: *model.as_bytes() })
        };
        let (name, id) = (self.name.into(), (*active).into());
        let rows = match target {
            Target::Previous => BEFORE.select_latest(self.schema, &[name, id], read),
            Target::Version(version) => {
                OF_VERSION.select_latest(self.schema, &[name, id, version.as_str().into()], read)
            }
            Target::Reference(tag) => OF_REFERENCE.select_latest(self.schema, &[name, id, tag.as_str().into()], read),
        };
        rows.into_iter().flatten().collect()
    }

    /// The version that a target means which is the name of none: `v3` is `3`.
    fn meant(&self, target: &Target, model: &str) -> Option<Target> {
        let (name, version) = match target {
            Target::Previous => return None,
            Target::Version(version) => (model, version.as_str()),
            Target::Reference(reference) => reference.rsplit_once(':')?,
        };
        let reference = ModelReference { name: name.to_owned(), selector: Selector::Version(version.to_owned()) };
        let found = Version::find(self.schema, &reference).ok()?;
        (found.version != version).then(|| Target::Reference(found.reference()))
    }

    fn nothing_to_go_back_to(&self, target: &Target, model: &str, tag: &str) -> Error {
        let (what, reference) = match target {
            Target::Previous => {
                return Error::new(
                    Kind::WrongState,
                    format!("the service \"{}\" has no version before {tag}", self.name),
                );
            }
            Target::Version(version) => (format!("a version \"{version}\""), format!("{model}:{version}")),
            Target::Reference(reference) => (reference.clone(), reference.clone()),
        };
        Error::new(
            Kind::WrongState,
            format!("the service \"{}\" has no other deployment of {what} to go back to", self.name),
        )
        .with_hint(format!("Deploy it: SELECT e2i_deploy('{}', '{}');", quoted(&reference), quoted(self.name)))
    }

    /// Makes an earlier deployment the active one. Call with the owner's rights, after its version has proved itself.
    ///
    /// # Errors
    /// [`Kind::UnknownModel`] for a service that serves nothing, or a version that was dropped meanwhile.
    pub fn roll_back(&self, to: Earlier, reason: Option<&str>) -> Result<Deployment> {
        let (active, tag) = self.active_or_unknown()?;
        hold(self.schema, &to.model, &to.tag)?;
        self.end_beside(&active, "rollback");
        self.set_status(&active, "rolled_back", Some(reason.unwrap_or("rolled back")))?;
        self.set_status(&to.id, "active", None)?;
        self.record("rollback", Some(&tag), Some(&to.tag), reason);
        Ok(Deployment {
            id: to.id,
            service: self.name.to_owned(),
            tag: to.tag,
            status: "active",
            reason: reason.map(str::to_owned),
        })
    }
}

fn quoted(text: &str) -> String {
    text.replace('\'', "''")
}
