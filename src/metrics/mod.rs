//! What is being served: counters in shared memory, and their way into tables.
//!
//! A call counts in its backend ([`counter`]); at the end of a transaction, and now and then within a long one, that goes to the
//! board that all backends share ([`board`]), which a file keeps over restarts. From there it is read by SQL
//! functions, and written to tables once an interval ([`interval`]), with what was written of it ([`marks`]). [`clock`] times a call.
//!
//! What may enter: the server's side of counting. What a tally, a percentile or a health is stands in `e2i_metrics`.
//!
//! The board hears that a row was written when the transaction has committed, so each call is in one row; a transaction that has written
//! cannot be prepared. A lock of the extension's own keeps a worker and `e2i_flush_metrics` apart. A place of the board whose version was
//! dropped is given away when it is written, in no session's memory, and no other is free; what finds none is counted together, and its
//! service is not called healthy. What a word of a tally means is in files: kinds of errors are added at the end, and who changes the
//! layout changes `FILE` in `e2i_metrics`.
//!
//! Nothing here knows an EXPLAIN: what counters hand over while one runs is told to a function that [`listen`] was given.

pub mod board;
pub mod clock;
pub mod counter;
pub mod interval;
pub mod marks;
pub mod services;
pub mod statement;

use pgrx::pg_sys;

use crate::pg::transaction::Moment;

/// A count as SQL takes it.
pub fn bigint(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Begins to count; called once, when the library is loaded. Shared memory is there when that is while the server starts. What is
/// counted while a statement is explained is handed to `explains`, too.
pub fn listen(explains: counter::Taker) {
    counter::listen(explains);
    // SAFETY: reads a variable.
    if unsafe { pg_sys::process_shared_preload_libraries_in_progress } {
        board::request();
        statement::request();
    }
}

/// Hears what becomes of transactions: what was counted is handed over whether they commit or not.
pub fn hear(moment: Moment) {
    match moment {
        Moment::End { .. } => {
            counter::flush();
            statement::at_end_of_transaction();
        }
        Moment::Exit => counter::flush(),
        Moment::Prepare | Moment::Undo(_) => {}
    }
    interval::hear(moment);
}
