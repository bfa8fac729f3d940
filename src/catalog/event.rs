//! Events: a row for every change, written in the transaction of the change.
//!
//! With names instead of keys: events outlive what they tell of. `e2i_version_at` reads nothing else.

use crate::catalog::schema::Schema;
use crate::pg::query::Query;

const RECORD: Query = Query::new(
    "INSERT INTO {ml}.ml_model_events
     (who, action, model_name, model_version, service_name, before, after, reason, details)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb)",
);

/// What happened; names are texts, so that an event outlives what it tells of.
#[derive(Default)]
pub struct Event<'a> {
    /// The role that did it.
    pub who: &'a str,
    /// register, annotate, drop, set_alias, drop_alias, stage, deploy, deploy_failed, rollback, undeploy, traffic, shadow, background, calibrate or coverage.
    pub action: &'a str,
    /// The model.
    pub model: Option<&'a str>,
    /// The version.
    pub version: Option<&'a str>,
    /// The service.
    pub service: Option<&'a str>,
    /// What was before.
    pub before: Option<&'a str>,
    /// What is since then.
    pub after: Option<&'a str>,
    /// Why.
    pub reason: Option<&'a str>,
    /// More, as JSON.
    pub details: Option<String>,
}

impl Event<'_> {
    /// Writes the event. Call with the owner's rights.
    pub fn record(self, schema: Schema) {
        RECORD.execute(
            schema,
            &[
                self.who.into(),
                self.action.into(),
                self.model.into(),
                self.version.into(),
                self.service.into(),
                self.before.into(),
                self.after.into(),
                self.reason.into(),
                self.details.into(),
            ],
        );
    }
}
