//! Being a background worker, and starting others: signals, waiting, transactions.
//!
//! Not pgrx's own: its handler of SIGTERM only leaves a note, so a worker that waits for a lock would not hear of a shutdown.

use std::ffi::c_int;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use pgrx::bgworkers::BackgroundWorkerBuilder;
use pgrx::{PgTryBuilder, pg_sys};

use super::major;
use crate::pg::failure::Failure;

#[allow(non_snake_case)]
mod handlers {
    use std::ffi::c_int;

    // As they are, without pgrx's guard: what a signal may run must not be more than it was written for.
    unsafe extern "C-unwind" {
        pub fn die(signal: c_int);
        pub fn SignalHandlerForShutdownRequest(signal: c_int);
        pub fn SignalHandlerForConfigReload(signal: c_int);
    }
}

mod timer {
    use std::ffi::c_int;

    // Neither raises an error.
    unsafe extern "C" {
        pub fn enable_timeout_after(timer: c_int, milliseconds: c_int);
        pub fn disable_timeout(timer: c_int, keeps_indicator: bool);
    }

    /// utils/timeout.h, the same in all supported versions: its handler cancels what this process does.
    pub const STATEMENT_TIMEOUT: c_int = 3;
}

/// What a SIGTERM does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum OnTermination {
    /// It ends the process at the next place where an interrupt may, be it in a query or waiting for a lock.
    Die,
    /// It is noted: the process ends itself, see [`wait`].
    Note,
}

/// Lets signals come.
pub fn accept_signals(on_termination: OnTermination) {
    let terminate = match on_termination {
        OnTermination::Die => handlers::die,
        OnTermination::Note => handlers::SignalHandlerForShutdownRequest,
    };
    // SAFETY: the server's own handlers, for a worker that it has just started.
    unsafe {
        major::set_handler(pg_sys::SIGHUP as c_int, handlers::SignalHandlerForConfigReload);
        major::set_handler(pg_sys::SIGTERM as c_int, terminate);
        pg_sys::BackgroundWorkerUnblockSignals();
    }
}

/// Waits until somebody wakes this process, or so long. Ends the process when it shall end; the server starts it anew unless it
/// shuts down.
pub fn wait(time: Duration) {
    let milliseconds = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    let events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
    // SAFETY: the latch is this process' own; both flags are written by handlers of this process.
    unsafe {
        pg_sys::WaitLatch(pg_sys::MyLatch, events as c_int, milliseconds, pg_sys::PG_WAIT_EXTENSION);
        pg_sys::ResetLatch(pg_sys::MyLatch);
        if (&raw const pg_sys::ShutdownRequestPending).read_volatile() != 0 {
            pg_sys::proc_exit(1);
        }
        pgrx::check_for_interrupts!();
        if (&raw const pg_sys::ConfigReloadPending).read_volatile() != 0 {
            pg_sys::ConfigReloadPending = 0;
            pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP);
        }
    }
}

/// Runs `f` in a transaction of its own, for so long at most. An ERROR undoes it.
pub fn transaction<R>(time: Duration, f: impl FnOnce() -> R) -> Result<R, Failure> {
    let milliseconds = c_int::try_from(time.as_millis()).unwrap_or(c_int::MAX);
    // SAFETY: what the server does around a statement of a client; no transaction is under way in a worker between two of these.
    unsafe {
        let result = PgTryBuilder::new(AssertUnwindSafe(|| {
            pg_sys::SetCurrentStatementStartTimestamp();
            pg_sys::StartTransactionCommand();
            pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
            timer::enable_timeout_after(timer::STATEMENT_TIMEOUT, milliseconds);
            let result = f();
            timer::disable_timeout(timer::STATEMENT_TIMEOUT, false);
            pg_sys::PopActiveSnapshot();
            pg_sys::CommitTransactionCommand();
            Ok(result)
        }))
        .catch_others(|error| {
            timer::disable_timeout(timer::STATEMENT_TIMEOUT, false);
            pg_sys::AbortCurrentTransaction();
            Err(Failure::of(&error))
        })
        .execute();
        // One that came too late is meant for nothing else.
        (&raw mut pg_sys::QueryCancelPending).write_volatile(0);
        pg_sys::pgstat_report_stat(true);
        result
    }
}

/// Another worker, started by this process.
pub struct Started(*mut pg_sys::BackgroundWorkerHandle);

impl Started {
    /// Asks the server for a worker; `None` if it has no place for one. Its start and its end set the latch of this process.
    pub fn new(worker: BackgroundWorkerBuilder) -> Option<Self> {
        let mut handle = std::ptr::null_mut();
        // SAFETY: reads a variable; the server fills in the handle when it answers yes.
        let is_registered = unsafe {
            let mut worker = pg_sys::BackgroundWorker::from(&worker.set_notify_pid(pg_sys::MyProcPid));
            pg_sys::RegisterDynamicBackgroundWorker(&raw mut worker, &raw mut handle)
        };
        // Not one of a worker that there is not: it would be given back.
        is_registered.then(|| Self(handle))
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        let mut pid = 0;
        // SAFETY: a handle that the server has given.
        let status = unsafe { pg_sys::GetBackgroundWorkerPid(self.0, &raw mut pid) };
        matches!(status, pg_sys::BgwHandleStatus::BGWH_STOPPED | pg_sys::BgwHandleStatus::BGWH_POSTMASTER_DIED)
    }

    /// Ends it, if it has not ended.
    pub fn terminate(&self) {
        // SAFETY: a handle that the server has given.
        unsafe { pg_sys::TerminateBackgroundWorker(self.0) };
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // SAFETY: the server has allocated it for who asked, and keeps no reference.
        unsafe { pg_sys::pfree(self.0.cast()) };
    }
}
