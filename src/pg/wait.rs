//! What others see in `pg_stat_activity` while this backend is busy outside of the executor.

use pgrx::pg_sys;

use super::major;

/// A wait event that ends with the value.
pub struct Waiting(());

impl Drop for Waiting {
    fn drop(&mut self) {
        // SAFETY: clears a word of shared memory that is this backend's own.
        unsafe { pg_sys::pgstat_report_wait_end() };
    }
}

/// A model is being loaded.
pub fn loading() -> Waiting {
    // SAFETY: sets a word of shared memory that is this backend's own.
    unsafe { pg_sys::pgstat_report_wait_start(loading_event()) };
    Waiting(())
}

/// Registered once a process.
fn loading_event() -> u32 {
    static EVENT: once_cell::sync::OnceCell<u32> = once_cell::sync::OnceCell::new();
    *EVENT.get_or_init(|| major::wait_event(c"E2iModelLoad"))
}
