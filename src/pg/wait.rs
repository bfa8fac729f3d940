//! What others see in `pg_stat_activity` while this backend is busy outside of the executor.

use pgrx::pg_sys;

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

/// Since 17 an extension can name its events.
#[cfg(any(feature = "pg17", feature = "pg18"))]
fn loading_event() -> u32 {
    static EVENT: once_cell::sync::OnceCell<u32> = once_cell::sync::OnceCell::new();
    // SAFETY: a C string; the event is registered once a process, and found again by its name.
    *EVENT.get_or_init(|| unsafe { pg_sys::WaitEventExtensionNew(c"E2iModelLoad".as_ptr()) })
}

#[cfg(not(any(feature = "pg17", feature = "pg18")))]
fn loading_event() -> u32 {
    pg_sys::PG_WAIT_EXTENSION
}
