//! How a change of the registry reaches every session: by the server's own relation-cache invalidation.
//!
//! A trigger on the registry's tables invalidates the relation `ml_model_registry`. The server delivers that to every
//! backend when the change commits, and to the own backend at once; nothing is polled, and a rolled-back change is
//! never heard of. Each backend counts what it hears, and whoever keeps something derived from the registry keeps its
//! [`Standing`] with it: the count, and which snapshots see what was counted.
//!
//! The count alone does not do. A change is heard of while a statement runs that does not see it (a cursor, a transaction
//! that keeps its snapshot, a statement that began just before), and what such a statement finds is older than the count.
//!
//! A change can be seen by others some microseconds before it can be heard of: the server makes a transaction visible,
//! then sends its invalidations, then answers COMMIT. A READ COMMITTED statement that begins in between may be answered as
//! if it had begun before. Where that would show, in a transaction that keeps its snapshot and in a statement that
//! several processes share, only what was found under the very same snapshot is used.
//!
//! Two things are kept so: the session's routes, and the scorers of a call site that outlives a statement, as in PL/pgSQL. A call site
//! looks at the standing when the snapshot is another one, which within a statement it never is; so a running statement keeps its version,
//! and the next one sees the deploy. A backend usually hears of changes when it takes a lock; a statement without tables takes none, so
//! what is waiting is taken in first ([`hear`]). The triggers are ENABLE ALWAYS: changes that arrive by logical replication count, too; on
//! a standby the invalidation arrives with the replayed commit.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use pgrx::prelude::*;
use pgrx::{pg_guard, pg_sys};

use crate::catalog::schema::Schema;
use crate::pg::snapshot::{self, Horizon, Isolation, Mark};
use crate::pg::transaction::Moment;

/// Where it is read what a reference means, the registry first. A change by hand of one whose triggers are disabled is heard
/// of when they are enabled, which invalidates the table itself.
const TABLES: [&std::ffi::CStr; 5] = [
    c"ml_model_registry",
    c"ml_model_aliases",
    c"ml_bentoml_services",
    c"ml_inference_log_policies",
    c"ml_calibrations",
];

/// Those that this backend has read, 0 before the first time.
static WATCHED: [AtomicU32; 5] = [const { AtomicU32::new(0) }; 5];
/// The transaction of this session that changed the registry last.
static CHANGED_BY: AtomicU64 = AtomicU64::new(0);
static REGISTRY_CHANGES: AtomicU64 = AtomicU64::new(0);
/// How often a part of such a transaction was rolled back.
static UNDONE: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// A moment at which everything counted had been committed, with the count.
    static HORIZON: RefCell<Option<(u64, Horizon)>> = const { RefCell::new(None) };
}

/// What tells whether something that one statement derived from the registry is right for another: the same standing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// After so many changes, under a snapshot that sees them all.
    Latest(u64),
    /// After so many changes, under this snapshot.
    Snapshot(u64, Mark),
}

/// The standing of the current statement; call [`watch`] and [`hear`] before. `None` if nothing may be kept from one statement
/// to the next: this transaction has itself changed the registry, and its own statements and cursors see that or do not.
pub fn standing() -> Option<Standing> {
    if is_own() || !snapshot::is_of_statement() {
        return None;
    }
    let changes = registry_changes();
    let is_latest = snapshot::isolation() == Isolation::ReadCommitted
        && !snapshot::is_shared()
        && HORIZON.with_borrow_mut(|horizon| {
            if horizon.as_ref().is_none_or(|(counted, _)| *counted != changes) {
                *horizon = Horizon::now().map(|now| (changes, now));
            }
            horizon.as_ref().is_some_and(|(_, horizon)| horizon.is_seen())
        });
    Some(match is_latest {
        true => Standing::Latest(changes),
        false => Standing::Snapshot(changes, snapshot::mark().of_others()),
    })
}

/// Whether this transaction has itself changed the registry.
fn is_own() -> bool {
    let transaction = snapshot::transaction();
    transaction != 0 && transaction == CHANGED_BY.load(Ordering::Relaxed)
}

/// Begins to listen; called once, when the library is loaded.
pub fn listen() {
    // SAFETY: the callback lives as long as the library, which is never unloaded.
    unsafe { pg_sys::CacheRegisterRelcacheCallback(Some(heard), pg_sys::Datum::from(0)) };
}

/// Hears what becomes of transactions.
pub fn end(moment: Moment) {
    if matches!(moment, Moment::Undo(_)) && is_own() {
        UNDONE.fetch_add(1, Ordering::Relaxed);
    }
}

/// How often this session has rolled back a part of a transaction that changed the registry. The snapshots before and after that need
/// not differ: not where a transaction with a larger number has ended before.
#[inline]
pub fn undone() -> u32 {
    UNDONE.load(Ordering::Relaxed)
}

#[pg_guard]
unsafe extern "C-unwind" fn heard(_argument: pg_sys::Datum, relation: pg_sys::Oid) {
    let is_watched = || WATCHED.iter().any(|watched| watched.load(Ordering::Relaxed) == relation.to_u32());
    if relation == pg_sys::Oid::INVALID || is_watched() {
        REGISTRY_CHANGES.fetch_add(1, Ordering::Relaxed);
    }
}

/// Number of changes of the registry that this backend has heard of.
#[inline]
pub fn registry_changes() -> u64 {
    REGISTRY_CHANGES.load(Ordering::Relaxed)
}

/// Takes in what other sessions have committed until now.
pub fn hear() {
    // SAFETY: no arguments; may run callbacks such as ours.
    unsafe { pg_sys::AcceptInvalidationMessages() };
}

/// Says which schema's registry is read; what was derived from another one is out of date.
pub fn watch(schema: Schema) {
    let registry = schema.registry().to_u32();
    if WATCHED[0].load(Ordering::Relaxed) == registry {
        return;
    }
    for (watched, table) in WATCHED.iter().zip(TABLES) {
        watched.store(schema.relation(table).to_u32(), Ordering::Relaxed);
    }
    REGISTRY_CHANGES.fetch_add(1, Ordering::Relaxed);
}

/// Whether every table is read whole by its owner, whatever the session: no policy is forced upon the owner.
pub fn is_whole(schema: Schema) -> bool {
    TABLES.iter().all(|table| schema.is_whole_for_owner(table))
}

/// The trigger on the registry's tables.
#[pg_trigger]
fn e2i_registry_changed<'a>(
    trigger: &'a pgrx::PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, impl WhoAllocated>>, PgTriggerError> {
    let relation = trigger.relation()?;
    CHANGED_BY.store(snapshot::transaction(), Ordering::Relaxed);
    // SAFETY: catalog look-ups of the schema that the table is in; invalidation is by oid.
    unsafe {
        let registry = pg_sys::get_relname_relid(c"ml_model_registry".as_ptr(), relation.namespace_oid());
        if registry != pg_sys::Oid::INVALID {
            pg_sys::CacheInvalidateRelcacheByRelid(registry);
        }
    }
    Ok(trigger.old().or(trigger.new()))
}
