//! The active services of this database, as metrics see them.

use e2i_metrics::health::{Status, Verdict};
use pgrx::datum::Uuid;

use crate::catalog::model::ModelId;
use crate::catalog::schema::Schema;
use crate::pg::query::Query;

const ACTIVE: Query = Query::new(
    "SELECT s.id, s.service_name::text, s.bento_tag::text, s.health_status::text, s.health_reason, r.artifact_size, s.model_id
     FROM {ml}.ml_bentoml_services s LEFT JOIN {ml}.ml_model_registry r ON r.id = s.model_id
     WHERE s.status = 'active' ORDER BY s.service_name COLLATE \"C\"",
);

/// An active deployment.
pub struct Service {
    /// The deployment.
    pub id: Uuid,
    /// What callers call.
    pub name: String,
    /// `name:version` of what is deployed.
    pub version: String,
    /// How it was last found to be.
    pub health_status: String,
    /// Why.
    pub health_reason: Option<String>,
    /// The identity of what is deployed.
    pub model: Option<ModelId>,
    /// Bytes of what is deployed.
    pub model_size: i64,
}

impl Service {
    /// Its health as it was last found.
    pub fn verdict(&self) -> Verdict {
        Verdict { status: Status::named(&self.health_status), reason: self.health_reason.clone() }
    }
}

/// The active services, by name.
pub fn active(schema: Schema) -> Vec<Service> {
    let found = schema.as_owner(|| {
        ACTIVE.select(schema, &[], |row| {
            Some(Service {
                id: row.get::<Uuid>(1)?,
                name: row.get::<String>(2)?,
                version: row.get::<String>(3).unwrap_or_default(),
                health_status: row.get::<String>(4)?,
                health_reason: row.get::<String>(5),
                model_size: row.get::<i64>(6).unwrap_or_default(),
                model: row.get::<Uuid>(7).map(|id| *id.as_bytes()),
            })
        })
    });
    found.into_iter().flatten().collect()
}
