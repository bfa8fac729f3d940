//! Schemas by their oid.

use std::ffi::{CStr, CString};

use pgrx::pg_sys;

/// The name of a schema, `None` if it is gone.
pub fn name(namespace: pg_sys::Oid) -> Option<CString> {
    // SAFETY: returns null or a palloc'd C string, which is copied.
    unsafe {
        let name = pg_sys::get_namespace_name(namespace);
        (!name.is_null()).then(|| {
            let copy = CStr::from_ptr(name).to_owned();
            pg_sys::pfree(name.cast());
            copy
        })
    }
}

/// A name as it is written in a query.
pub fn quoted(name: &CStr) -> String {
    // SAFETY: takes a C string and returns it, or a palloc'd one.
    unsafe { CStr::from_ptr(pg_sys::quote_identifier(name.as_ptr())).to_string_lossy().into_owned() }
}

/// The same of a name that is no C string yet; one with a zero byte names nothing and is given back as it is.
pub fn quoted_name(name: &str) -> String {
    CString::new(name).map_or_else(|_| name.to_owned(), |name| quoted(&name))
}
