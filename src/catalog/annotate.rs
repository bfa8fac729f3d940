//! What is said about a version beside what it is, and may change: metrics, tags, description.

use e2i_core::{Error, Kind, Result};
use pgrx::datum::Uuid;

use crate::catalog::event::Event;
use crate::catalog::model::Version;
use crate::catalog::schema::Schema;
use crate::datum::document::Document;
use crate::pg::query::Query;
use crate::pg::role;

// In the server, whose numbers have any length; what differs only in how it is written, 1.1 and 1.10, is a change.
const ANNOTATE: Query = Query::new(
    "WITH before AS (SELECT r.metrics, r.tags, r.description FROM {ml}.ml_model_registry r WHERE r.id = $1 FOR UPDATE),
     after AS (
         UPDATE {ml}.ml_model_registry r
         SET metrics = b.metrics || coalesce($2, '{}'), tags = b.tags || coalesce($3, '{}'), description = coalesce($4, b.description)
         FROM before b WHERE r.id = $1 RETURNING r.metrics, r.tags, r.description)
     SELECT (SELECT jsonb_object_agg(d.name, jsonb_build_object('before', d.before, 'after', d.after))::text
             FROM (VALUES ('metrics', b.metrics, a.metrics), ('tags', b.tags, a.tags),
                 ('description', coalesce(to_jsonb(b.description), 'null'), coalesce(to_jsonb(a.description), 'null')))
                 d (name, before, after)
             WHERE d.before::text <> d.after::text)
     FROM before b, after a",
);

/// What is to be said; `None` leaves what was said before.
pub struct Annotation<'a> {
    /// Metrics, added to those there are; one of the same name is replaced.
    pub metrics: Option<Document<'a>>,
    /// Tags, in the same way.
    pub tags: Option<Document<'a>>,
    /// The new description.
    pub description: Option<&'a str>,
}

/// Metrics and tags have names.
///
/// # Errors
/// [`Kind::BadOption`] for those that are no object.
pub fn check_objects(metrics: Option<Document<'_>>, tags: Option<Document<'_>>) -> Result<()> {
    for (name, value, example) in [("metrics", metrics, r#"{"auc": 0.81}"#), ("tags", tags, r#"{"team": "growth"}"#)] {
        if value.is_some_and(|value| !value.is_object()) {
            let error = Error::new(Kind::BadOption, format!("{name} must be a JSON object"));
            return Err(error.with_hint(format!("{name} => '{example}'")));
        }
    }
    Ok(())
}

/// Says it, and records what was said before and after. Nothing to say is no event.
///
/// # Errors
/// [`Kind::BadOption`] for metrics or tags that are no object, [`Kind::UnknownModel`] for a version that was dropped meanwhile.
pub fn annotate(schema: Schema, version: &Version, new: &Annotation<'_>) -> Result<()> {
    check_objects(new.metrics, new.tags)?;
    if new.metrics.is_none() && new.tags.is_none() && new.description.is_none() {
        return Ok(());
    }
    let who = role::name(role::current());
    schema.as_owner(|| {
        let said = ANNOTATE.returning(
            schema,
            &[Uuid::from_bytes(version.id).into(), new.metrics.into(), new.tags.into(), new.description.into()],
            |row| row.get::<String>(1),
        );
        let Some(details) = said.into_iter().next() else {
            return Err(Error::new(Kind::UnknownModel, format!("model {} was dropped", version.reference())));
        };
        if details.is_some() {
            let (model, version) = (Some(version.name.as_str()), Some(version.version.as_str()));
            Event { who: &who, action: "annotate", model, version, details, ..Event::default() }.record(schema);
        }
        Ok(())
    })
}
