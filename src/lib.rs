//! Glue.
#![allow(unsafe_code)]
use pgrx::prelude::*;
pgrx::pg_module_magic!();

/// Version of the loaded library.
#[pg_extern(immutable, parallel_safe)]
fn e2i_version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
