//! The inference log: sampled rows of a service with what was answered, for whoever has to look at them later.
//!
//! Scoring may not write a table, so a row becomes a record ([`record`]) in a bounded pool in shared memory ([`pool`]), and a
//! background worker writes records down ([`write`]), in partitions by day ([`partition`]). What may be written is decided before:
//! `e2i_privacy` says what of a row is replaced. Nobody waits: what finds no room is dropped and counted.

pub mod partition;
pub mod pool;
pub mod record;
pub mod write;

use pgrx::pg_sys;

use crate::pg::transaction::Moment;

/// Asks for shared memory; called once, when the library is loaded. `wakes` wakes who writes records down.
pub fn listen(wakes: fn()) {
    pool::listen(wakes);
    // SAFETY: reads a variable.
    if unsafe { pg_sys::process_shared_preload_libraries_in_progress } {
        pool::request();
    }
}

/// Hears what becomes of transactions that write records down.
pub fn hear(moment: Moment) {
    write::hear(moment);
}
