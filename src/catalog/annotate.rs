//! What is said about a version beside what it is, and may change: metrics, tags, description.

use e2i_core::{Error, Kind, Result};
use pgrx::datum::{JsonB, Uuid};
use serde_json::{Map, Value, json};

use crate::catalog::event::Event;
use crate::catalog::model::Version;
use crate::catalog::schema::Schema;
use crate::pg::query::{execute, returning};
use crate::pg::role;

/// What is to be said; `None` leaves what was said before.
pub struct Annotation<'a> {
    /// Metrics, added to those there are; one of the same name is replaced.
    pub metrics: Option<Value>,
    /// Tags, in the same way.
    pub tags: Option<Value>,
    /// The new description.
    pub description: Option<&'a str>,
}

/// Says it, and records what was said before and after. Nothing to say is no event.
///
/// # Errors
/// [`Kind::BadOption`] for metrics or tags that are no object, [`Kind::UnknownModel`] for a version that was dropped meanwhile.
pub fn annotate(schema: Schema, version: &Version, new: &Annotation<'_>) -> Result<()> {
    for (name, value) in [("metrics", &new.metrics), ("tags", &new.tags)] {
        if value.as_ref().is_some_and(|value| !value.is_object()) {
            return Err(Error::new(Kind::BadOption, format!("{name} must be a JSON object")));
        }
    }
    if new.metrics.is_none() && new.tags.is_none() && new.description.is_none() {
        return Ok(());
    }
    let (tables, who) = (schema.quoted(), role::name(role::current()));
    schema.as_owner(|| {
        let Some(before) = said(&tables, version) else {
            return Err(Error::new(Kind::UnknownModel, format!("model {} was dropped", version.reference())));
        };
        execute(
            &format!(
                "UPDATE {tables}.ml_model_registry SET \
                 metrics = metrics OPERATOR(pg_catalog.||) COALESCE($2, '{{}}'::pg_catalog.jsonb), \
                 tags = tags OPERATOR(pg_catalog.||) COALESCE($3, '{{}}'::pg_catalog.jsonb), \
                 description = COALESCE($4, description) WHERE id OPERATOR(pg_catalog.=) $1"
            ),
            &[
                Uuid::from_bytes(version.id).into(),
                new.metrics.clone().map(JsonB).into(),
                new.tags.clone().map(JsonB).into(),
                new.description.into(),
            ],
        );
        let after = said(&tables, version).unwrap_or_default();
        let mut details = Map::new();
        for (name, before) in before {
            let after = after.get(&name).cloned().unwrap_or_default();
            if before != after {
                details.insert(name, json!({ "before": before, "after": after }));
            }
        }
        if !details.is_empty() {
            let details = Some(Value::Object(details));
            let (model, version) = (Some(version.name.as_str()), Some(version.version.as_str()));
            Event { who: &who, action: "annotate", model, version, details, ..Event::default() }.record(&tables);
        }
        Ok(())
    })
}

/// What is said about a version, which is locked against others who would change it.
fn said(tables: &str, version: &Version) -> Option<Map<String, Value>> {
    let sql = format!(
        "SELECT r.metrics, r.tags, r.description FROM {tables}.ml_model_registry r WHERE r.id OPERATOR(pg_catalog.=) $1 FOR UPDATE"
    );
    let rows = returning(&sql, &[Uuid::from_bytes(version.id).into()], |row| {
        let json = |column| row.get::<JsonB>(column).map(|json| json.0).unwrap_or_default();
        let said = [("metrics", json(1)), ("tags", json(2)), ("description", json!(row.get::<String>(3)))];
        said.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()
    });
    rows.into_iter().next()
}
