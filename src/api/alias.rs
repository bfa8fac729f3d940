//! `e2i_set_alias` and `e2i_drop_alias`.

use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::catalog::alias;
use crate::catalog::schema::Schema;
use crate::error::OrRaise;

/// Points an alias to a version of a model.
#[pg_extern(volatile, parallel_unsafe, strict)]
fn e2i_set_alias(name: &str, alias: &str, version: &str, fcinfo: pg_sys::FunctionCallInfo) {
    // SAFETY: the server passes a valid fcinfo.
    alias::set(unsafe { Schema::of_call(fcinfo) }, name, alias, version).or_raise();
}

/// Drops an alias.
#[pg_extern(volatile, parallel_unsafe, strict)]
fn e2i_drop_alias(name: &str, alias: &str, fcinfo: pg_sys::FunctionCallInfo) {
    // SAFETY: the server passes a valid fcinfo.
    alias::drop(unsafe { Schema::of_call(fcinfo) }, name, alias).or_raise();
}
