//! What a deployment leaves stale: tables with scores of another version.

use e2i_core::{ModelReference, Selector};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, PgSqlErrorCode, pg_sys};

use crate::catalog::schema::Schema;
use crate::on_write::installed;
use crate::pg::{relation, role};

/// Tables that a message names.
const SHOWN: usize = 3;

/// Says which tables have scores of the version that a service meant before; of those that the caller may read.
pub fn tell(schema: Schema, service: &str, tag: &str) {
    let is_meant = |text: &str| {
        ModelReference::parse(text)
            .is_ok_and(|reference| reference.selector == Selector::Deployed && reference.name == service)
    };
    let mut tables: Vec<pg_sys::Oid> = Vec::new();
    for installed in installed::list(schema, None) {
        if is_meant(&installed.order.model) && !tables.contains(&installed.table) && may_read(installed.table) {
            tables.push(installed.table);
        }
    }
    let Some(first) = tables.first() else { return };
    let names: Vec<String> = tables.iter().take(SHOWN).map(|table| relation::shown(*table)).collect();
    let more = match tables.len() - names.len() {
        0 => String::new(),
        1 => " and another table".to_owned(),
        more => format!(" and {more} other tables"),
    };
    let message = format!("scores in {}{more} may be of another version than {tag}", names.join(", "));
    let hint = format!("SELECT * FROM e2i_stale_scores('{}');", relation::shown(*first).replace('\'', "''"));
    ErrorReport::new(PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION, message, "")
        .set_hint(hint)
        .report(PgLogLevel::NOTICE);
}

fn may_read(table: pg_sys::Oid) -> bool {
    let (role, select) = (role::current(), pg_sys::AclMode::from(pg_sys::ACL_SELECT));
    // SAFETY: catalog look-ups of a table that the catalog has just named.
    unsafe { pg_sys::pg_class_aclcheck(table, role, select) == pg_sys::AclResult::ACLCHECK_OK }
}
