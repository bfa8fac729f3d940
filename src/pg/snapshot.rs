//! What is asked for every row: which snapshot and which role the current statement has.
//!
//! Both are plain reads that cannot raise an error, so they are declared here without the guard that pgrx puts around
//! every function of the server: that guard costs more than the reads.

use pgrx::pg_sys;

#[allow(non_snake_case)]
mod unguarded {
    use pgrx::pg_sys;

    unsafe extern "C" {
        pub fn ActiveSnapshotSet() -> bool;
        pub fn GetActiveSnapshot() -> pg_sys::Snapshot;
        pub fn GetUserId() -> pg_sys::Oid;
    }
}

/// What tells the snapshots of a transaction's statements from each other.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Mark {
    xmin: u32,
    xmax: u32,
    in_progress: u32,
    command: u32,
    completed: u64,
}

/// The mark of the active snapshot.
#[inline]
pub fn mark() -> Mark {
    // SAFETY: a snapshot is active while a function is called; its fields are plain data.
    unsafe {
        if !unguarded::ActiveSnapshotSet() {
            return Mark::default();
        }
        let snapshot = &*unguarded::GetActiveSnapshot();
        Mark {
            xmin: snapshot.xmin.into_inner(),
            xmax: snapshot.xmax.into_inner(),
            in_progress: snapshot.xcnt,
            command: snapshot.curcid,
            completed: snapshot.snapXactCompletionCount,
        }
    }
}

/// The current role.
#[inline]
pub fn user() -> pg_sys::Oid {
    // SAFETY: reads a variable.
    unsafe { unguarded::GetUserId() }
}
