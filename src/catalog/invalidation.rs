//! How a change of the registry reaches every session: by the server's own relation-cache invalidation.
//!
//! A trigger on the registry's tables invalidates the relation `ml_model_registry`. The server delivers that to every
//! backend when the change commits, and to the own backend at once; nothing is polled, and a rolled-back change is
//! never heard of. Each backend counts what it hears, and whoever keeps something derived from the registry keeps the
//! count with it.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use pgrx::prelude::*;
use pgrx::{pg_guard, pg_sys};

/// The registry that this backend has read, 0 before the first time.
static REGISTRY: AtomicU32 = AtomicU32::new(0);
static REGISTRY_CHANGES: AtomicU64 = AtomicU64::new(0);
static RELATION_CHANGES: AtomicU64 = AtomicU64::new(0);

/// Begins to listen; called once, when the library is loaded.
pub fn listen() {
    // SAFETY: the callback lives as long as the library, which is never unloaded.
    unsafe { pg_sys::CacheRegisterRelcacheCallback(Some(heard), pg_sys::Datum::from(0)) };
}

#[pg_guard]
unsafe extern "C-unwind" fn heard(_argument: pg_sys::Datum, relation: pg_sys::Oid) {
    RELATION_CHANGES.fetch_add(1, Ordering::Relaxed);
    if relation == pg_sys::Oid::INVALID || relation.to_u32() == REGISTRY.load(Ordering::Relaxed) {
        REGISTRY_CHANGES.fetch_add(1, Ordering::Relaxed);
    }
}

/// Number of changes of the registry that this backend has heard of.
#[inline]
pub fn registry_changes() -> u64 {
    REGISTRY_CHANGES.load(Ordering::Relaxed)
}

/// Number of changes of any relation that this backend has heard of.
#[inline]
pub fn relation_changes() -> u64 {
    RELATION_CHANGES.load(Ordering::Relaxed)
}

/// Takes in what other sessions have committed until now.
pub fn hear() {
    // SAFETY: no arguments; may run callbacks such as ours.
    unsafe { pg_sys::AcceptInvalidationMessages() };
}

/// Says which relation is the registry; what was derived from another one is out of date.
pub fn watch(registry: pg_sys::Oid) {
    if REGISTRY.swap(registry.to_u32(), Ordering::Relaxed) != registry.to_u32() {
        REGISTRY_CHANGES.fetch_add(1, Ordering::Relaxed);
    }
}

/// The trigger on the registry's tables.
#[pg_trigger]
fn e2i_registry_changed<'a>(
    trigger: &'a pgrx::PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, impl WhoAllocated>>, PgTriggerError> {
    let relation = trigger.relation()?;
    // SAFETY: catalog look-ups of the schema that the table is in; invalidation is by oid.
    unsafe {
        let registry = pg_sys::get_relname_relid(c"ml_model_registry".as_ptr(), relation.namespace_oid());
        if registry != pg_sys::Oid::INVALID {
            pg_sys::CacheInvalidateRelcacheByRelid(registry);
        }
    }
    Ok(trigger.old().or(trigger.new()))
}
