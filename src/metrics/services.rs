//! The active services of this database, as metrics see them.

use e2i_metrics::health::{Status, Verdict};
use pgrx::datum::Uuid;

use crate::catalog::schema::Schema;
use crate::pg::query::select;

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
    let tables = schema.quoted();
    let sql = format!(
        "SELECT s.id, s.service_name::pg_catalog.text, s.bento_tag::pg_catalog.text, s.health_status::pg_catalog.text, s.health_reason, \
         r.artifact_size FROM {tables}.ml_bentoml_services s LEFT JOIN {tables}.ml_model_registry r ON r.id OPERATOR(pg_catalog.=) s.model_id \
         WHERE s.status OPERATOR(pg_catalog.=) 'active'::{tables}.deployment_status_enum ORDER BY s.service_name COLLATE pg_catalog.\"C\""
    );
    let found = schema.as_owner(|| {
        select(&sql, &[], |row| {
            Some(Service {
                id: row.get::<Uuid>(1)?,
                name: row.get::<String>(2)?,
                version: row.get::<String>(3).unwrap_or_default(),
                health_status: row.get::<String>(4)?,
                health_reason: row.get::<String>(5),
                model_size: row.get::<i64>(6).unwrap_or_default(),
            })
        })
    });
    found.into_iter().flatten().collect()
}
