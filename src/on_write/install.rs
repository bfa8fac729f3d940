//! Installing triggers that score, and removing them: with the caller's rights, as by hand.

use std::ffi::CString;

use e2i_core::{Error, Kind, Result};
use pgrx::{PgTupleDesc, notice, pg_sys};

use crate::catalog::schema::Schema;
use crate::on_write::installed::{self, Installed};
use crate::on_write::order::Order;
use crate::on_write::place::Place;
use crate::on_write::plain::require_plain;
use crate::on_write::row;
use crate::pg::namespace::quoted_name;
use crate::pg::relation::{self, Held};
use crate::pg::statement;
use crate::scoring::cache;
use crate::scoring::engines::Preference;

/// Triggers fire in the order of their names: what others make of a row must be done before it is scored.
const PREFIX: &str = "zz_e2i_";

/// Longest name of the server's, in bytes.
const LONGEST: usize = 63;

/// Has the rows of a table scored when they are written, and returns the trigger's name. One that writes into the same columns, or
/// into such as are not there any more, is replaced. `on_apply` is whether rows are scored, too, that arrive by logical replication.
///
/// # Errors
/// Columns that cannot take what is written, what the model needs and the table does not have, and what the model cannot answer.
pub fn install(schema: Schema, table: pg_sys::Oid, order: &Order, on_apply: bool) -> Result<String> {
    let shown = relation::shown(table);
    let (watched, columns) = watched(schema, table, &shown, order)?;
    for old in installed::list(schema, Some(table)) {
        let mine = |column: &str| order.targets.iter().any(|(_, mine)| mine == column);
        // One whose columns are not there any more writes no row.
        let is_broken = old.order.targets.iter().any(|(_, column)| !columns.iter().any(|there| there == column));
        if !is_broken && !old.order.targets.iter().any(|(_, column)| mine(column)) {
            continue;
        }
        remove(&old)?;
        let left: Vec<&str> =
            old.order.targets.iter().map(|(_, column)| column).filter(|column| !mine(column)).collect();
        if !left.is_empty() {
            notice!("nothing writes {} of {shown} any more: trigger {} is replaced", left.join(", "), old.trigger);
        }
    }
    let first = order.targets.iter().next().map_or("", |(_, column)| column);
    let name = format!("{PREFIX}{first}");
    let name = &name[..(0..=LONGEST.min(name.len())).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0)];
    let columns: Vec<String> = watched.iter().map(|column| quoted_name(column)).collect();
    let (target, trigger) = (qualified(table)?, quoted_name(name));
    run(&format!(
        "CREATE TRIGGER {trigger} BEFORE INSERT OR UPDATE OF {} ON {target} FOR EACH ROW EXECUTE FUNCTION {}.e2i_score_row({})",
        columns.join(", "),
        schema.quoted(),
        literal(&order.argument())?,
    ));
    if on_apply {
        run(&format!("ALTER TABLE {target} ENABLE ALWAYS TRIGGER {trigger}"));
    }
    Ok(name.to_owned())
}

/// Drops a trigger.
///
/// # Errors
/// [`Kind::WrongState`] for a table that was dropped meanwhile.
pub fn remove(installed: &Installed) -> Result<()> {
    run(&format!("DROP TRIGGER {} ON {}", quoted_name(&installed.trigger), qualified(installed.table)?));
    Ok(())
}

/// The columns that any version takes which may answer now, and all that a row has before it is written.
fn watched(schema: Schema, table: pg_sys::Oid, shown: &str, order: &Order) -> Result<(Vec<String>, Vec<String>)> {
    let held = Held::open(table).ok_or_else(|| Error::new(Kind::BadOption, format!("there is no table {shown}")))?;
    // SAFETY: a table's descriptor, as long as it is held.
    let attributes = unsafe {
        Place::all(held.descriptor(), shown, &order.targets)?;
        PgTupleDesc::from_pg_unchecked(held.descriptor())
    };
    let there = || attributes.iter().filter(|attribute| !attribute.attisdropped);
    let plain: Vec<&str> = there().filter(|column| column.attgenerated == 0).map(|column| column.name()).collect();
    let generated: Vec<&str> = there().filter(|column| column.attgenerated != 0).map(|column| column.name()).collect();
    let asked: Vec<_> = order.targets.iter().filter_map(|(written, _)| row::asked(written)).collect();
    let (scorer, _) = cache::scorer(schema, &order.model, &asked, Preference::current())?;
    let mut is_watched = vec![false; plain.len()];
    for model in scorer.models() {
        require_plain(&model.binder, &generated, shown)?;
        let layout = model.binder.layout_by_name(plain.iter().copied())?;
        layout.sources().iter().flatten().for_each(|source| is_watched[*source as usize] = true);
    }
    let watched: Vec<String> =
        plain.iter().zip(is_watched).filter(|(_, is)| *is).map(|(name, _)| (*name).to_owned()).collect();
    if watched.is_empty() {
        return Err(Error::new(Kind::BadOption, format!("no column of {shown} is a feature of model {}", order.model))
            .with_hint(format!("SELECT name FROM e2i_describe_model('{}');", order.model.replace('\'', "''"))));
    }
    Ok((watched, plain.into_iter().map(str::to_owned).collect()))
}

fn qualified(table: pg_sys::Oid) -> Result<String> {
    relation::qualified(table).ok_or_else(|| Error::new(Kind::WrongState, "the table was dropped"))
}

fn literal(text: &str) -> Result<String> {
    let text = CString::new(text).map_err(|_| Error::new(Kind::BadOption, "a name contains a zero byte"))?;
    // SAFETY: takes a C string and returns a palloc'd one.
    let quoted = unsafe { std::ffi::CStr::from_ptr(pg_sys::quote_literal_cstr(text.as_ptr())) };
    Ok(quoted.to_string_lossy().into_owned())
}

fn run(sql: &str) {
    statement::run(sql, &[], |_| ());
}
