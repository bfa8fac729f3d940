//! How many changes of tables and types this backend has heard of: who keeps something that it has looked up in the catalog keeps
//! the number with it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use pgrx::{pg_guard, pg_sys};

static CHANGES: AtomicU64 = AtomicU64::new(0);

/// Begins to count; called once, when the library is loaded.
pub fn listen() {
    // SAFETY: the callback lives as long as the library, which is never unloaded.
    unsafe { pg_sys::CacheRegisterRelcacheCallback(Some(heard), pg_sys::Datum::from(0)) };
}

#[pg_guard]
unsafe extern "C-unwind" fn heard(_argument: pg_sys::Datum, _relation: pg_sys::Oid) {
    CHANGES.fetch_add(1, Relaxed);
}

/// Number of changes of any relation that this backend has heard of.
#[inline]
pub fn changes() -> u64 {
    CHANGES.load(Relaxed)
}
