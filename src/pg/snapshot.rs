//! Which snapshot and which role the current statement has, asked for every row; and whether a snapshot sees what another does.
//!
//! The first two are plain reads that cannot raise an error, so they are declared here without the guard that pgrx puts around
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mark {
    xmin: u32,
    xmax: u32,
    /// On a standby those in progress are counted among the subtransactions.
    in_progress: u32,
    subtransactions: i32,
    command: u32,
}

impl Mark {
    /// The same without what the own transaction has done.
    #[must_use]
    pub fn of_others(self) -> Self {
        Self { command: 0, ..self }
    }
}

/// Whether there is an active snapshot, of the kind that statements have.
pub fn is_of_statement() -> bool {
    // SAFETY: a snapshot that is active lives while the function is called.
    unsafe {
        unguarded::ActiveSnapshotSet()
            && (*unguarded::GetActiveSnapshot()).snapshot_type == pg_sys::SnapshotType::SNAPSHOT_MVCC
    }
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
            subtransactions: snapshot.subxcnt,
            command: snapshot.curcid,
        }
    }
}

/// What had been committed at a moment: snapshots are older or not.
pub struct Horizon {
    /// The transaction after the last that had ended.
    end: u32,
    /// Those before it that had not.
    running: Vec<u32>,
}

impl Horizon {
    /// This moment. `None` where no snapshot may be taken, which is while a parallel plan runs.
    pub fn now() -> Option<Self> {
        // SAFETY: a latest snapshot may be taken in any transaction that is not in parallel mode; it is read at once.
        unsafe {
            if pg_sys::IsInParallelMode() {
                return None;
            }
            let snapshot = &*pg_sys::GetLatestSnapshot();
            Some(Self { end: snapshot.xmax.into_inner(), running: running(snapshot).collect() })
        }
    }

    /// Whether the active snapshot sees everything that had been committed then: it was taken then or later. Transactions only
    /// end, so a later snapshot ends later, or at the same one with no more running.
    pub fn is_seen(&self) -> bool {
        // SAFETY: as in `mark`.
        unsafe {
            if !is_of_statement() {
                return false;
            }
            let snapshot = &*unguarded::GetActiveSnapshot();
            // Numbers of transactions go round.
            match snapshot.xmax.into_inner().wrapping_sub(self.end).cast_signed() {
                0 => running(snapshot).all(|transaction| self.running.contains(&transaction)),
                later => later > 0,
            }
        }
    }
}

/// The transactions that a snapshot takes as running, which on a standby stand among the subtransactions.
///
/// # Safety
/// The snapshot must be one that was taken, with its lists.
unsafe fn running(snapshot: &pg_sys::SnapshotData) -> impl Iterator<Item = u32> {
    let list = |start: *mut pg_sys::TransactionId, length: usize| match start.is_null() {
        true => &[][..],
        // SAFETY: as the caller promises.
        false => unsafe { std::slice::from_raw_parts(start, length) },
    };
    let on_standby =
        if snapshot.takenDuringRecovery { usize::try_from(snapshot.subxcnt).unwrap_or_default() } else { 0 };
    list(snapshot.xip, snapshot.xcnt as usize)
        .iter()
        .chain(list(snapshot.subxip, on_standby))
        .map(|transaction| transaction.into_inner())
}

/// How long a transaction keeps its snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// For a statement.
    ReadCommitted,
    /// To its end.
    RepeatableRead,
    /// To its end, and what it reads is remembered.
    Serializable,
}

/// The isolation of the current transaction.
pub fn isolation() -> Isolation {
    // SAFETY: reads a variable of the server's.
    match unsafe { pg_sys::XactIsoLevel } as u32 {
        pg_sys::XACT_SERIALIZABLE => Isolation::Serializable,
        pg_sys::XACT_REPEATABLE_READ => Isolation::RepeatableRead,
        _ => Isolation::ReadCommitted,
    }
}

/// Whether the statement is one that several processes run under one snapshot.
pub fn is_shared() -> bool {
    // SAFETY: reads variables of the server's.
    unsafe { pg_sys::IsInParallelMode() }
}

/// The current transaction's number, 0 if it has none, as it has before it writes.
pub fn transaction() -> u64 {
    // SAFETY: reads variables of the server's.
    unsafe { pg_sys::GetTopFullTransactionIdIfAny().value }
}

/// The current role.
#[inline]
pub fn user() -> pg_sys::Oid {
    // SAFETY: reads a variable.
    unsafe { unguarded::GetUserId() }
}
