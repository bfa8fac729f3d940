//! The background workers: who writes what was counted and noted, and when.
//!
//! One process, the [`launcher`], lives as long as the server and is connected to no database. It starts a worker for each
//! [`database`] where there is something to do, which runs the [`tasks`]: the same that `e2i_flush_metrics` runs. `probe` scores
//! golden rows of services that nobody calls, `reasons` explains rows that were logged. [`orders`] is what launcher and workers tell each other.
//!
//! What may enter: processes, their order, and how a task may fail. What is written stands in `metrics` and `inference_log`.

pub mod database;
pub mod launcher;
pub mod orders;
mod probe;
mod reasons;
pub mod tasks;

use pgrx::pg_sys;

/// Asks for the launcher; called once, when the library is loaded. Not while the server is being upgraded: nothing may write then.
pub fn listen() {
    // SAFETY: reads variables.
    if unsafe { pg_sys::process_shared_preload_libraries_in_progress && !pg_sys::IsBinaryUpgrade } {
        orders::request();
        launcher::request();
    }
}
