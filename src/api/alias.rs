//! `e2i_set_alias` and `e2i_drop_alias`.

use e2i_core::{ModelReference, Selector};
use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::catalog::alias;
use crate::catalog::schema::Schema;
use crate::error::{OrRaise, given};
use crate::on_write::stale;

/// Points an alias to a version of a model.
#[pg_extern(volatile, parallel_unsafe)]
fn e2i_set_alias(name: Option<&str>, alias: Option<&str>, version: Option<&str>, fcinfo: pg_sys::FunctionCallInfo) {
    // SAFETY: the server passes a valid fcinfo.
    let schema = unsafe { Schema::of_change(fcinfo) };
    let set = || {
        let (name, alias, version) = (given(name, "name")?, given(alias, "alias")?, given(version, "version")?);
        let reference = ModelReference { name: name.to_owned(), selector: Selector::Alias(alias.to_owned()) };
        stale::watching(schema, &reference, || alias::set(schema, name, alias, version))
    };
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
