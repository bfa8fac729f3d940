//! Locks of the extension's own: heavyweight ones, released with the transaction, seen in `pg_locks`, subject to `lock_timeout`
//! and to the server's search for deadlocks.
//!
//! They lock an object that is in no catalog, so no statement of a user's takes them: an advisory lock would be anybody's who
//! guesses its key.

use pgrx::pg_sys;

/// What only one transaction at a time may do; the numbers stand in `pg_locks.objsubid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Writing an interval of metrics.
    Interval = 1,
    /// Registering a version of a model.
    Registering = 2,
    /// Changing what a service means.
    Deploying = 3,
    /// Pointing an alias somewhere else.
    Alias = 4,
    /// Writing records of the inference log.
    InferenceLog = 5,
}

/// Waits until no other transaction does the same with `name`, and keeps others from it until the end of this one. `registry` is
/// the table of versions. Two names that have one hash wait for each other, which is harmless.
///
/// Not on a standby, where the server refuses locks of this strength.
pub fn exclusive(registry: pg_sys::Oid, purpose: Purpose, name: &str) {
    // In pg_locks: locktype object, classid the registry, objid the name's hash.
    // SAFETY: locks a tag of four numbers and takes in what others have committed; an ERROR ends the waiting. A table's oid is no
    // catalog's, so the server itself locks no such object.
    unsafe {
        let object = pg_sys::Oid::from(hash(name.as_bytes()));
        pg_sys::LockDatabaseObject(registry, object, purpose as u16, pg_sys::ExclusiveLock as pg_sys::LOCKMODE);
    }
}

/// FNV-1a: the same in every process, whichever build of the library it has loaded.
fn hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}
