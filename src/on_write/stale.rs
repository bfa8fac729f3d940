//! What a deployment leaves stale: tables with scores of another version.

use std::sync::Arc;

use e2i_core::{Binder, ModelReference, Selector};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, PgSqlErrorCode, pg_sys};

use crate::catalog::model::Version;
use crate::catalog::schema::Schema;
use crate::on_write::installed::{self, Installed};
use crate::pg::{relation, role};

/// Tables that a message names.
const SHOWN: usize = 3;

/// Says which tables have scores of the version that a service meant before, and whose triggers do not watch a column that this one
/// takes; of those that the caller may read.
pub fn tell(schema: Schema, service: &str, version: &Version) {
    let is_meant = |text: &str| {
        ModelReference::parse(text)
            .is_ok_and(|reference| reference.selector == Selector::Deployed && reference.name == service)
    };
    let (mut tables, mut blind): (Vec<pg_sys::Oid>, Vec<String>) = (vec![], vec![]);
    for installed in installed::list(schema, None) {
        if !is_meant(&installed.order.model) || !may_read(installed.table) {
            continue;
        }
        if !tables.contains(&installed.table) {
            tables.push(installed.table);
        }
        blind.extend(unwatched(&installed, version));
    }
    let Some(first) = tables.first() else { return };
    let names: Vec<String> = tables.iter().take(SHOWN).map(|table| relation::shown(*table)).collect();
    let more = match tables.len() - names.len() {
        0 => String::new(),
        1 => " and another table".to_owned(),
        more => format!(" and {more} other tables"),
    };
    let message =
        format!("scores in {}{more} may be of another version than {}", names.join(", "), version.reference());
    let hint = format!("SELECT * FROM e2i_stale_scores('{}');", relation::shown(*first).replace('\'', "''"));
    let mut report = ErrorReport::new(PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION, message, "").set_hint(hint);
    if !blind.is_empty() {
        blind.truncate(SHOWN);
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
