//! Locks of the extension's own: heavyweight ones, released with the transaction or held beyond it, seen in `pg_locks`, subject to `lock_timeout`
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
    /// Scoring into a column.
    ScoringJob = 6,
    /// Running a schedule of scoring jobs.
    Schedule = 7,
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

/// A lock that outlives transactions: until [`Held::release`], or the end of the process.
#[derive(Clone, Copy)]
pub struct Held(pg_sys::LOCKTAG);

impl Held {
    /// Takes it unless another process has it, or this one.
    pub fn take(registry: pg_sys::Oid, purpose: Purpose, name: &str) -> Option<Self> {
        // SAFETY: reads a variable; then as in `exclusive`, without waiting.
        unsafe {
            let tag = pg_sys::LOCKTAG {
                locktag_field1: pg_sys::MyDatabaseId.to_u32(),
                locktag_field2: registry.to_u32(),
                locktag_field3: hash(name.as_bytes()),
                locktag_field4: purpose as u16,
                locktag_type: pg_sys::LockTagType::LOCKTAG_OBJECT as u8,
                // Of the server's own method, an abort releases all.
                locktag_lockmethodid: pg_sys::USER_LOCKMETHOD as u8,
            };
            match pg_sys::LockAcquire(&raw const tag, pg_sys::ExclusiveLock as pg_sys::LOCKMODE, true, true) {
                pg_sys::LockAcquireResult::LOCKACQUIRE_OK => Some(Self(tag)),
                pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL => None,
                _ => {
                    Self(tag).release();
                    None
                }
            }
        }
    }

    /// Gives it back. Not while an error unwinds: the server may hold what this needs until the transaction has ended.
    pub fn release(self) {
        // SAFETY: a tag that was locked.
        unsafe { pg_sys::LockRelease(&raw const self.0, pg_sys::ExclusiveLock as pg_sys::LOCKMODE, true) };
    }
}

/// FNV-1a: the same in every process, whichever build of the library it has loaded.
fn hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}
