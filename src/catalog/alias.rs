//! Aliases: names such as `champion` that point to one version of a model.

use e2i_core::{Error, Kind, ModelReference, Result, Selector};
use pgrx::datum::Uuid;

use crate::catalog::event::Event;
use crate::catalog::hold::hold;
use crate::catalog::model::{ModelId, Version};
use crate::catalog::schema::Schema;
use crate::pg::lock::{self, Purpose};
use crate::pg::query::{execute, select_latest};
use crate::pg::role;

/// Points an alias to a version; it may have pointed to another one.
///
/// # Errors
/// [`Kind::BadOption`] for an alias that is not well formed, [`Kind::UnknownModel`] for a version that does not exist.
pub fn set(schema: Schema, name: &str, alias: &str, version: &str) -> Result<()> {
    ModelReference::check_new_name(name)?;
    ModelReference::check_new_alias(alias)?;
    let reference = ModelReference { name: name.to_owned(), selector: Selector::Version(version.to_owned()) };
    let id = Version::find(schema, &reference)?.id;
    let by = role::name(role::current());
    let sql = format!(
        "INSERT INTO {}.ml_model_aliases (model_name, alias, model_version, set_by) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (model_name, alias) DO UPDATE \
         SET model_version = excluded.model_version, set_by = excluded.set_by, set_at = pg_catalog.now()",
        schema.quoted()
    );
    let tables = schema.quoted();
    schema.as_owner(|| {
        hold(&tables, &id, &reference.to_string())?;
        let before = target(schema, &tables, name, alias);
        execute(&sql, &[name.into(), alias.into(), version.into(), by.as_str().into()]);
        let before = before.map(|version| format!("{name}:{version}"));
        let after = format!("{name}:{version}");
        let details = Some(serde_json::json!({ "alias": alias }).to_string());
        Event {
            who: &by,
            action: "set_alias",
            model: Some(name),
            version: Some(version),
            before: before.as_deref(),
            after: Some(&after),
            details,
            ..Event::default()
        }
        .record(&tables);
        Ok(())
    })
}

/// Drops an alias.
///
/// # Errors
/// [`Kind::UnknownModel`] when there is none of that name.
pub fn drop(schema: Schema, name: &str, alias: &str) -> Result<()> {
    let sql = format!(
        "DELETE FROM {}.ml_model_aliases WHERE model_name OPERATOR(pg_catalog.=) $1 AND alias OPERATOR(pg_catalog.=) $2",
        schema.quoted()
    );
    let (tables, by) = (schema.quoted(), role::name(role::current()));
    let dropped = schema.as_owner(|| {
        let before = target(schema, &tables, name, alias);
        let dropped = execute(&sql, &[name.into(), alias.into()]);
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
            .record(&tables);
        }
        dropped
    });
    match dropped {
        0 => Err(Error::new(Kind::UnknownModel, format!("model \"{name}\" has no alias \"{alias}\""))),
        _ => Ok(()),
    }
}

/// The version that an alias points to, after those who are about to change it.
fn target(schema: Schema, tables: &str, name: &str, alias: &str) -> Option<String> {
    lock::exclusive(schema.registry(), Purpose::Alias, &format!("{name}@{alias}"));
    let sql = format!(
        "SELECT a.model_version FROM {tables}.ml_model_aliases a \
         WHERE a.model_name OPERATOR(pg_catalog.=) $1 AND a.alias OPERATOR(pg_catalog.=) $2"
    );
    select_latest(&sql, &[name.into(), alias.into()], |row| row.get::<String>(1)).into_iter().flatten().next()
}

/// An alias that points to a version, if there is one. Call with the owner's rights.
pub fn any_of(tables: &str, id: &ModelId) -> Option<String> {
    let sql = format!(
        "SELECT a.alias FROM {tables}.ml_model_aliases a JOIN {tables}.ml_model_registry r \
         ON r.model_name OPERATOR(pg_catalog.=) a.model_name AND r.model_version OPERATOR(pg_catalog.=) a.model_version \
         WHERE r.id OPERATOR(pg_catalog.=) $1 ORDER BY a.alias LIMIT 1"
    );
    select_latest(&sql, &[Uuid::from_bytes(*id).into()], |row| row.get::<String>(1)).into_iter().flatten().next()
}
