//! Work that commits as it goes: in a procedure, or in a background worker.

use std::time::Duration;

use pgrx::pg_sys;

use crate::pg::interrupt;

/// Whose transactions they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// A procedure's, which was called where it may commit: see [`may_commit`] and [`as_procedure`].
    Procedure,
    /// A background worker's own, see [`as_worker`].
    Worker,
}

/// Whether the procedure that is being called may commit: it is called by a client, or by a procedure that may, and not within a
/// transaction block.
///
/// # Safety
/// `fcinfo` must be the argument of the procedure that is being called.
pub unsafe fn may_commit(fcinfo: pg_sys::FunctionCallInfo) -> bool {
    // SAFETY: as the caller promises; a context is null or a node.
    unsafe {
        let context = (*fcinfo).context;
        !context.is_null()
            && (*context).type_ == pg_sys::NodeTag::T_CallContext
            && !(*context.cast::<pg_sys::CallContext>()).atomic
    }
}

/// Runs a procedure's work, which may commit.
pub fn as_procedure<R>(f: impl FnOnce() -> R) -> R {
    // SAFETY: what is connected is finished; after an ERROR the server does so. Memory of this level outlives the commits.
    unsafe {
        pg_sys::SPI_connect_ext(pg_sys::SPI_OPT_NONATOMIC as i32);
        let result = f();
        pg_sys::SPI_finish();
        result
    }
}

/// Runs a background worker's work in a transaction that it may commit, beginning the next.
pub fn as_worker<R>(f: impl FnOnce() -> R) -> R {
    begin();
    let result = f();
    end();
    result
}

fn begin() {
    // SAFETY: no transaction is under way in a worker.
    unsafe {
        pg_sys::SetCurrentStatementStartTimestamp();
        pg_sys::StartTransactionCommand();
        pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
    }
}

fn end() {
    // SAFETY: what `begin` has begun.
    unsafe {
        pg_sys::PopActiveSnapshot();
        pg_sys::CommitTransactionCommand();
        pg_sys::pgstat_report_stat(false);
    }
}

impl Ground {
    /// Commits, and begins the next transaction. Nothing of the one before may be held but memory of the level that it runs on.
    pub fn commit(self) {
        match self {
            // SAFETY: within `as_procedure`; a portal runs the CALL.
            Self::Procedure => unsafe {
                pg_sys::SPI_commit();
                pg_sys::EnsurePortalSnapshotExists();
            },
            Self::Worker => {
                end();
                begin();
            }
        }
    }

    /// Rolls back, and begins the next transaction. Not within a subtransaction.
    pub fn roll_back(self) {
        match self {
            // SAFETY: as above.
            Self::Procedure => unsafe {
                pg_sys::SPI_rollback();
                pg_sys::EnsurePortalSnapshotExists();
            },
            Self::Worker => {
                // SAFETY: the worker's own transaction.
                unsafe { pg_sys::AbortCurrentTransaction() };
                begin();
            }
        }
    }
}

/// Waits so long, or until somebody wakes this process or wants it to stop, which raises the server's error.
pub fn sleep(time: Duration) {
    let milliseconds = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    let events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
    // SAFETY: the latch is this process' own.
    unsafe {
        pg_sys::WaitLatch(pg_sys::MyLatch, events as i32, milliseconds, pg_sys::PG_WAIT_EXTENSION);
        pg_sys::ResetLatch(pg_sys::MyLatch);
    }
    interrupt::check();
}
