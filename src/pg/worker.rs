//! Being a background worker: signals and waiting.
//!
//! Not pgrx's own: its handler of SIGTERM only leaves a note, so a worker that waits for a lock would not hear of a shutdown.

use std::ffi::c_int;
use std::time::{Duration, Instant};

use pgrx::bgworkers::{BackgroundWorkerStatus, DynamicBackgroundWorker};
use pgrx::pg_sys;

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
        set_handler(pg_sys::SIGHUP as c_int, handlers::SignalHandlerForConfigReload);
        set_handler(pg_sys::SIGTERM as c_int, terminate);
        pg_sys::BackgroundWorkerUnblockSignals();
    }
}

unsafe fn set_handler(signal: c_int, handler: unsafe extern "C-unwind" fn(c_int)) {
    // SAFETY: as the caller promises.
    unsafe {
        #[cfg(feature = "pg18")]
        pg_sys::pqsignal_be(signal, Some(handler));
        #[cfg(not(feature = "pg18"))]
        pg_sys::pqsignal(signal, Some(handler));
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

/// Waits until a worker that was started by this process has ended, at most so long.
pub fn wait_for(worker: &DynamicBackgroundWorker, time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        match worker.pid() {
            Err(BackgroundWorkerStatus::Stopped | BackgroundWorkerStatus::PostmasterDied) => return,
            // Its start and its end set the latch; the time is for one that never starts.
            _ => wait(Duration::from_millis(500)),
        }
    }
}
