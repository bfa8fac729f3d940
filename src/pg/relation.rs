//! Tables of users: held open while they are looked at, and their names.

use std::ffi::CStr;

use pgrx::pg_sys;

use crate::pg::namespace;

/// A relation that stays as it is until this is dropped.
pub struct Held(pg_sys::Relation);

impl Held {
    /// Of an oid; `None` if there is none.
    pub fn open(oid: pg_sys::Oid) -> Option<Self> {
        // SAFETY: closed on drop; an ERROR in between is cleaned up by the server.
        let relation = unsafe { pg_sys::try_relation_open(oid, pg_sys::AccessShareLock as _) };
        (!relation.is_null()).then(|| Self(relation))
    }

    /// Its columns.
    pub fn descriptor(&self) -> pg_sys::TupleDesc {
        // SAFETY: open.
        unsafe { (*self.0).rd_att }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: opened once.
        unsafe { pg_sys::relation_close(self.0, pg_sys::NoLock as _) };
    }
}

/// The name of a relation as `regclass` shows it: with its schema where that is not in the search path.
pub fn shown(oid: pg_sys::Oid) -> String {
    // SAFETY: returns a palloc'd C string for any oid.
    unsafe {
        let text = pg_sys::OidOutputFunctionCall(pg_sys::Oid::from(pg_sys::F_REGCLASSOUT), pg_sys::Datum::from(oid));
        CStr::from_ptr(text).to_string_lossy().into_owned()
    }
}

/// The name of a relation with its schema, as it is written in a statement; `None` if it is gone.
pub fn qualified(oid: pg_sys::Oid) -> Option<String> {
    // SAFETY: catalog look-ups; the name is null or a palloc'd C string.
    unsafe {
        let name = pg_sys::get_rel_name(oid);
        let schema = namespace::name(pg_sys::get_rel_namespace(oid))?;
        (!name.is_null()).then(|| format!("{}.{}", namespace::quoted(&schema), namespace::quoted(CStr::from_ptr(name))))
    }
}
