//! `e2i_set_alias` and `e2i_drop_alias`.

use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::catalog::alias;
use crate::catalog::schema::Schema;
use crate::error::{OrRaise, given};

/// Points an alias to a version of a model.
#[pg_extern(volatile, parallel_unsafe)]
fn e2i_set_alias(name: Option<&str>, alias: Option<&str>, version: Option<&str>, fcinfo: pg_sys::FunctionCallInfo) {
    // SAFETY: the server passes a valid fcinfo.
    let schema = unsafe { Schema::of_change(fcinfo) };
    let set = || alias::set(schema, given(name, "name")?, given(alias, "alias")?, given(version, "version")?);
    set().or_raise();
}

/// Drops an alias.
#[pg_extern(volatile, parallel_unsafe)]
fn e2i_drop_alias(name: Option<&str>, alias: Option<&str>, fcinfo: pg_sys::FunctionCallInfo) {
    // SAFETY: the server passes a valid fcinfo.
    let schema = unsafe { Schema::of_change(fcinfo) };
    let drop = || alias::drop(schema, given(name, "name")?, given(alias, "alias")?);
    drop().or_raise();
}
