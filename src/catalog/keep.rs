//! Models do not go by the way: `DROP EXTENSION`, and whatever else takes the extension along, is refused while there are versions,
//! unless `e2i_serve.allow_drop` is on.
//!
//! The server tells libraries of each object before it drops it, whatever the statement was, so a cascade is seen, too. It tells
//! those that are loaded; an event trigger (`sql/keep.sql`) therefore loads this one as a statement begins that may drop an
//! extension.
//!
//! A script of pg_dump is known by two settings that it begins with (`check_function_bodies` and `row_security` off).

use std::ffi::{CStr, c_int, c_void};

use e2i_core::{Error, Kind};
use once_cell::sync::OnceCell;
use pgrx::prelude::*;
use pgrx::{pg_guard, pg_sys};

use crate::catalog::schema::Schema;
use crate::error::raise;
use crate::pg::query::Query;
use crate::settings;

const VERSIONS: Query = Query::new("SELECT count(*) FROM {ml}.ml_model_registry");

static PREVIOUS: OnceCell<pg_sys::object_access_hook_type> = OnceCell::new();

/// Hears of objects that are dropped; called once, when the library is loaded.
pub fn listen() {
    // SAFETY: nothing else runs while a library is loaded; the function is never unloaded.
    unsafe {
        let _ = PREVIOUS.set(pg_sys::object_access_hook);
        pg_sys::object_access_hook = Some(on_access);
    }
}

/// Does nothing, but the server loads the library for it.
#[pg_extern(volatile, parallel_restricted)]
fn e2i_load_library() {}

#[pg_guard]
unsafe extern "C-unwind" fn on_access(
    access: pg_sys::ObjectAccessType::Type,
    class: pg_sys::Oid,
    object: pg_sys::Oid,
    sub: c_int,
    argument: *mut c_void,
) {
    // SAFETY: the server's own arguments, passed on.
    unsafe {
        if let Some(previous) = PREVIOUS.get().copied().flatten() {
            #[allow(ffi_unwind_calls)]
            pg_sys::ffi::pg_guard_ffi_boundary(|| previous(access, class, object, sub, argument));
        }
        if access == pg_sys::ObjectAccessType::OAT_DROP
            && class == pg_sys::RelationRelationId
            && sub == 0
            && is_registry(object)
        {
            before_dropping(Schema::of_relation(object));
        }
    }
}

/// Whether a table is the extension's registry.
fn is_registry(table: pg_sys::Oid) -> bool {
    // SAFETY: catalog look-ups; the name is null or a palloc'd C string. Members are dropped before their extension.
    unsafe {
        let name = pg_sys::get_rel_name(table);
        if name.is_null() || CStr::from_ptr(name) != c"ml_model_registry" {
            return false;
        }
        let extension = pg_sys::getExtensionOfObject(pg_sys::RelationRelationId, table);
        extension != pg_sys::Oid::INVALID && extension == pg_sys::get_extension_oid(c"e2i_serve".as_ptr(), true)
    }
}

fn before_dropping(schema: Schema) {
    // SAFETY: flags of this process. A script of pg_dump begins with switching both off; it drops what it is about to bring back.
    let (is_upgrade, is_restore) =
        unsafe { (pg_sys::IsBinaryUpgrade, !pg_sys::check_function_bodies && !pg_sys::row_security) };
    if settings::allow_drop() || is_upgrade {
        return;
    }
    let versions = schema.as_owner(|| VERSIONS.select_latest(schema, &[], |row| row.get::<i64>(1)));
    let versions = versions.into_iter().next().flatten().unwrap_or(0);
    let what = if versions == 1 { "a version of a model".to_owned() } else { format!("{versions} versions of models") };
    match (versions, is_restore) {
        (0, _) => {}
        (_, true) => warning!("the extension e2i_serve is dropped with {what}, to be restored from a dump"),
        (_, false) => raise(
            &Error::new(Kind::WrongState, format!("the extension e2i_serve holds {what} and is not dropped"))
                .with_detail("Models would be gone, with their bytes, deployments and events.")
                .with_hint(
                    "SELECT e2i_export_model('name:version') gives the bytes of a model. To drop them all: SET e2i_serve.allow_drop = on;",
                ),
        ),
    }
}
