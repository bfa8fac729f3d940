//! Rows that a user names: a relation, or a query.

use std::ffi::{CStr, CString};

use e2i_core::{Error, Kind, Result};
use pgrx::prelude::*;
use pgrx::{direct_function_call, pg_sys};

/// What `data` names or is, as a query of whole rows.
///
/// # Errors
/// [`Kind::BadOption`] for what is no relation.
pub fn query_of(data: &str) -> Result<String> {
    let data = data.trim().trim_end_matches(';');
    let first = data.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default().to_ascii_lowercase();
    if data.starts_with('(')
        || matches!(first.as_str(), "select" | "with" | "values" | "table") && data.contains(char::is_whitespace)
    {
        return Ok(format!("SELECT q FROM (\n{data}\n) q"));
    }
    let name =
        CString::new(data).map_err(|_| Error::new(Kind::BadOption, "the name of the data contains a zero byte"))?;
    // SAFETY: the function takes a C string, and raises an error for what is no relation; names are palloc'd C strings, or null for one
    // that is gone.
    let quoted = unsafe {
        let table = direct_function_call::<pg_sys::Oid>(pg_sys::regclassin, &[name.as_c_str().into_datum()]);
        let table = table.unwrap_or(pg_sys::Oid::INVALID);
        let (name, schema) =
            (pg_sys::get_rel_name(table), pg_sys::get_namespace_name(pg_sys::get_rel_namespace(table)));
        if name.is_null() || schema.is_null() {
            return Err(Error::new(Kind::BadOption, format!("there is no relation {data:?}")));
        }
        CStr::from_ptr(pg_sys::quote_qualified_identifier(schema, name)).to_string_lossy().into_owned()
    };
    Ok(format!("SELECT q FROM {quoted} q"))
}
