//! What a change of the answering version leaves stale: tables with scores of another version, those that triggers write and those that
//! scoring jobs have written with their versions.

use std::sync::Arc;

use e2i_core::{Binder, ModelReference, Result, Written};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, PgSqlErrorCode, pg_sys};
use serde_json::{Map, Value, json};

use crate::catalog::model::{Version, describe, route};
use crate::catalog::schema::Schema;
use crate::on_write::installed::{self, Installed};
use crate::on_write::order::OnError;
use crate::pg::query::{Query, under_latest};
use crate::pg::{relation, role};

/// Tables that a message names.
const SHOWN: usize = 3;

// The latest job of each table, model and column decides; tables and columns that are gone have no scores.
const JOBS: Query = Query::new(
    "SELECT DISTINCT ON (j.target_table, j.model, j.targets ->> 'version') to_regclass(j.target_table)::oid, j.model, j.source_table,
        j.target_table, j.targets::text, j.key, j.condition, j.options::text, j.model_name || ':' || j.model_version
     FROM {ml}.ml_scoring_jobs j JOIN pg_attribute a ON a.attrelid = to_regclass(j.target_table) AND a.attname = j.targets ->> 'version'
     WHERE j.status = 'finished' AND NOT a.attisdropped AND to_regclass(j.source_table) IS NOT NULL
     ORDER BY j.target_table, j.model, j.targets ->> 'version', j.id DESC",
);

/// A table with scores that may be stale, and the job that scores it anew.
pub struct Stale {
    /// The table that is written.
    pub table: pg_sys::Oid,
    /// The table whose rows are scored, as it is written.
    pub source: String,
    /// The model, as it was asked for.
    pub model: String,
    /// The options of the job.
    pub options: Value,
    /// What a trigger of it does not see of the version.
    blind: Option<String>,
}

/// The versions that answer to a reference now: the one that is meant, then those that share its traffic.
///
/// # Errors
/// As [`route`] and [`describe`].
pub fn answering(schema: Schema, reference: &ModelReference) -> Result<Vec<Version>> {
    let route = route(schema, reference)?;
    let others = route.traffic.iter().map(|(id, _)| *id).filter(|id| *id != route.id);
    std::iter::once(route.id).chain(others).map(|id| describe(schema, &id, reference)).collect()
}

/// Which tables have scores of what a reference meant before these versions; of those that the caller may read.
pub fn find(schema: Schema, changed: &ModelReference, versions: &[Version]) -> Vec<Stale> {
    let is_meant = |text: &str| ModelReference::parse(text).is_ok_and(|reference| reference == *changed);
    let mut found: Vec<Stale> = installed::list(schema, None)
        .iter()
        .filter(|installed| is_meant(&installed.order.model) && may_read(installed.table))
        .filter_map(|installed| of_trigger(installed, versions))
        .collect();
    let jobs = schema.as_owner(|| {
        JOBS.select_latest(schema, &[], |row| {
            let text = |column| row.get::<String>(column).unwrap_or_default();
            let key: Vec<Option<String>> = row.get(6).unwrap_or_default();
            let job = Finished {
                source: text(3),
                target: text(4),
                targets: serde_json::from_str(&text(5)).ok()?,
                key: key.into_iter().flatten().collect(),
                condition: row.get(7),
                options: serde_json::from_str(&text(8)).ok()?,
            };
            Some((row.get::<pg_sys::Oid>(1)?, text(2), text(9), job))
        })
    });
    for (table, model, version, job) in jobs.into_iter().flatten() {
        let is_fresh = versions.iter().any(|answering| answering.reference() == version);
        let is_known = found.iter().any(|known| known.table == table && known.options["targets"] == job.targets);
        if !is_fresh && !is_known && is_meant(&model) && may_read(table) {
            found.push(Stale { table, source: job.source.clone(), model, options: job.again(), blind: None });
        }
    }
    found
}

fn of_trigger(installed: &Installed, versions: &[Version]) -> Option<Stale> {
    let order = &installed.order;
    let mut options = Map::new();
    options.insert("targets".to_owned(), order.targets.document());
    // Without a version it is not known which rows are stale.
    let which = if order.targets.column(Written::Version).is_some() { "stale_only" } else { "only_changed" };
    options.insert(which.to_owned(), true.into());
    if order.on_error == OnError::Null {
        options.insert("on_error".to_owned(), "skip".into());
    }
    Some(Stale {
        table: installed.table,
        source: relation::qualified(installed.table)?,
        model: order.model.clone(),
        options: options.into(),
        blind: versions.iter().find_map(|version| unwatched(installed, version)),
    })
}

/// A job that has finished.
struct Finished {
    source: String,
    target: String,
    targets: Value,
    key: Vec<String>,
    condition: Option<String>,
    options: Value,
}

impl Finished {
    /// The options of one that scores what is stale of the same rows.
    fn again(self) -> Value {
        let mut options = Map::new();
        let mut put = |name: &str, value: Value| {
            if !value.is_null() {
                options.insert(name.to_owned(), value);
            }
        };
        let old = |name: &str| self.options.get(name).cloned().unwrap_or_default();
        put("into_table", if self.source == self.target { Value::Null } else { self.target.as_str().into() });
        put("key", json!(self.key));
        put("where", json!(self.condition));
        put("stale_only", true.into());
        for name in ["batch_rows", "workers", "max_errors"] {
            put(name, old(name));
        }
        if old("max_errors").is_null() {
            put("on_error", old("on_error"));
        }
        put("pause_ms", Some(old("pause")).filter(|pause| *pause != json!(0)).unwrap_or_default());
        put("max_lag_ms", old("max_lag"));
        put("targets", self.targets.clone());
        options.into()
    }
}

/// Does what may change which versions answer to a reference, and says what that leaves stale. Nothing is where every version that
/// answered still does.
///
/// # Errors
/// Those of what is done.
pub fn watching<R>(schema: Schema, reference: &ModelReference, change: impl FnOnce() -> Result<R>) -> Result<R> {
    // Who may not see the version that answers is not told, nor where none does.
    let before: Vec<String> = answering(schema, reference).iter().flatten().map(Version::reference).collect();
    let changed = change()?;
    let after = under_latest(|| answering(schema, reference)).unwrap_or_default();
    let is_gone = |version: &String| after.iter().all(|answering| answering.reference() != *version);
    if !after.is_empty() && before.iter().any(is_gone) {
        tell(&find(schema, reference, &after), &after, false);
    }
    Ok(changed)
}

/// Says which tables these are; `is_rescored` where they are about to be scored anew.
pub fn tell(stale: &[Stale], versions: &[Version], is_rescored: bool) {
    let mut tables: Vec<pg_sys::Oid> = vec![];
    for one in stale {
        if !tables.contains(&one.table) {
            tables.push(one.table);
        }
    }
    let Some(first) = tables.first() else { return };
    let names: Vec<String> = tables.iter().take(SHOWN).map(|table| relation::shown(*table)).collect();
    let more = match tables.len() - names.len() {
        0 => String::new(),
        1 => " and another table".to_owned(),
        more => format!(" and {more} other tables"),
    };
    let versions = versions.iter().map(Version::reference).collect::<Vec<_>>().join(" and ");
    let message = format!("scores in {}{more} may be of another version than {versions}", names.join(", "));
    let hint = match is_rescored {
        true => {
            "A background worker scores them once this is committed: SELECT * FROM e2i_scoring_schedules;".to_owned()
        }
        false => format!("SELECT * FROM e2i_stale_scores('{}');", relation::shown(*first).replace('\'', "''")),
    };
    let mut report = ErrorReport::new(PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION, message, "").set_hint(hint);
    let blind: Vec<&str> = stale.iter().filter_map(|one| one.blind.as_deref()).take(SHOWN).collect();
    if !blind.is_empty() {
        report = report.set_detail(blind.join("\n"));
    }
    report.report(PgLogLevel::NOTICE);
}

/// Which columns a version takes that a trigger does not watch, and how it will.
fn unwatched(installed: &Installed, version: &Version) -> Option<String> {
    let binder = Binder::new(Arc::new(version.interface.clone()), version.reference());
    let layout = binder.match_names(installed.unwatched.iter().map(String::as_str));
    let columns: Vec<&str> =
        layout.sources().iter().flatten().map(|source| installed.unwatched[*source as usize].as_str()).collect();
    let literal = |text: &str| text.replace('\'', "''");
    let (order, table) = (&installed.order, relation::shown(installed.table));
    (!columns.is_empty()).then(|| {
        format!(
            "It takes {} of {table}, whose updates have no row scored until: SELECT e2i_score_on_write('{}', '{}', targets => '{}', on_error => '{}'{});",
            columns.join(", "),
            literal(&table),
            literal(&order.model),
            literal(&order.targets.document().to_string()),
            order.on_error.name(),
            if installed.fires == "always" { ", on_apply => true" } else { "" },
        )
    })
}

fn may_read(table: pg_sys::Oid) -> bool {
    let (role, select) = (role::current(), pg_sys::AclMode::from(pg_sys::ACL_SELECT));
    // SAFETY: catalog look-ups of a table that the catalog has just named.
    unsafe { pg_sys::pg_class_aclcheck(table, role, select) == pg_sys::AclResult::ACLCHECK_OK }
}
