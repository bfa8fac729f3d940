//! Interrupts: what the watchdog thread may look at, and where they take effect.
//!
//! The probe reads the flags that signal handlers write, and nothing else. What it stops returns an error; the scoring thread then calls
//! `CHECK_FOR_INTERRUPTS`, outside of every borrow, which raises the server's own error.

use pgrx::pg_sys;

/// Whether a cancel or a termination is waiting that the server would act on now.
///
/// The only function of this crate that another thread calls: it reads flags that signal handlers write, and nothing
/// else.
pub fn pending() -> bool {
    // SAFETY: plain loads of flags that are written by signal handlers and by the backend's own thread; a torn or stale
    // value of a single word only delays the answer by one poll.
    unsafe {
        let read = |flag: *const pg_sys::sig_atomic_t| flag.read_volatile() != 0;
        let held = (&raw const pg_sys::InterruptHoldoffCount).read_volatile() != 0
            || (&raw const pg_sys::CritSectionCount).read_volatile() != 0;
        let cancel_held = (&raw const pg_sys::QueryCancelHoldoffCount).read_volatile() != 0;
        !held
            && (read(&raw const pg_sys::ProcDiePending)
                || (!cancel_held && read(&raw const pg_sys::QueryCancelPending)))
    }
}

/// Ends the statement if an interrupt is waiting.
pub fn check() {
    pgrx::check_for_interrupts!();
}
