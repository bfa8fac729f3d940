//! Aliases: names such as `champion` that point to one version of a model.

use e2i_core::{Error, Kind, ModelReference, Result, Selector};
use pgrx::datum::Uuid;

use crate::catalog::event::Event;
use crate::catalog::hold::hold;
use crate::catalog::model::{ModelId, Version};
use crate::catalog::schema::Schema;
use crate::pg::lock::{self, Purpose};
use crate::pg::query::Query;
use crate::pg::role;

const SET: Query = Query::new(
    "INSERT INTO {ml}.ml_model_aliases (model_name, alias, model_version, set_by) VALUES ($1, $2, $3, $4)
     ON CONFLICT (model_name, alias) DO UPDATE
     SET model_version = excluded.model_version, set_by = excluded.set_by, set_at = now()",
);
const DROP: Query = Query::new("DELETE FROM {ml}.ml_model_aliases WHERE model_name = $1 AND alias = $2");
const TARGET: Query =
    Query::new("SELECT a.model_version FROM {ml}.ml_model_aliases a WHERE a.model_name = $1 AND a.alias = $2");
const ANY_OF: Query = Query::new(
    "SELECT a.alias FROM {ml}.ml_model_aliases a JOIN {ml}.ml_model_registry r USING (model_name, model_version)
     WHERE r.id = $1 ORDER BY a.alias LIMIT 1",
);

/// Points an alias to a version; it may have pointed to another one.
///
/// # Errors
/// [`Kind::BadOption`] for an alias that is not well formed, [`Kind::UnknownModel`] for a version that does not exist.
pub fn set(schema: Schema, name: &str, alias: &str, version: &str) -> Result<()> {
    ModelReference::check_new_name(name)?;
    ModelReference::check_new_alias(alias)?;
    let reference = ModelReference { name: name.to_owned(), selector: Selector::Version(version.to_owned()) };
    let Version { id, version, .. } = Version::find(schema, &reference)?;
    let (version, reference) = (version.as_str(), format!("{name}:{version}"));
    let by = role::name(role::current());
    schema.as_owner(|| {
        hold(schema, &id, &reference)?;
        let before = target(schema, name, alias);
        SET.execute(schema, &[name.into(), alias.into(), version.into(), by.as_str().into()]);
        let before = before.map(|version| format!("{name}:{version}"));
        let details = Some(serde_json::json!({ "alias": alias }).to_string());
        Event {
            who: &by,
            action: "set_alias",
            model: Some(name),
            version: Some(version),
            before: before.as_deref(),
            after: Some(&reference),
            details,
            ..Event::default()
        }
        .record(schema);
        Ok(())
    })
}

/// Drops an alias.
///
/// # Errors
/// [`Kind::UnknownModel`] when there is none of that name.
pub fn drop(schema: Schema, name: &str, alias: &str) -> Result<()> {
    let by = role::name(role::current());
    let dropped = schema.as_owner(|| {
        let before = target(schema, name, alias);
        let dropped = DROP.execute(schema, &[name.into(), alias.into()]);
        if dropped > 0 {
            let details = Some(serde_json::json!({ "alias": alias }).to_string());
            let version = before.as_deref();
            let before = version.map(|version| format!("{name}:{version}"));
            Event {
                who: &by,
                action: "drop_alias",
                model: Some(name),
                version,
                before: before.as_deref(),
                details,
                ..Event::default()
            }
            .record(schema);
        }
        dropped
    });
    match dropped {
        0 => Err(Error::new(Kind::UnknownModel, format!("model \"{name}\" has no alias \"{alias}\""))),
        _ => Ok(()),
    }
}

/// The version that an alias points to, after those who are about to change it.
fn target(schema: Schema, name: &str, alias: &str) -> Option<String> {
    lock::exclusive(schema.registry(), Purpose::Alias, &format!("{name}@{alias}"));
    TARGET.select_latest(schema, &[name.into(), alias.into()], |row| row.get::<String>(1)).into_iter().flatten().next()
}

/// An alias that points to a version, if there is one. Call with the owner's rights.
pub fn any_of(schema: Schema, id: &ModelId) -> Option<String> {
    ANY_OF
        .select_latest(schema, &[Uuid::from_bytes(*id).into()], |row| row.get::<String>(1))
        .into_iter()
        .flatten()
        .next()
}
