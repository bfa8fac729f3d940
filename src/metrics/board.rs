//! The counters of all sessions, in shared memory; of this session, where the library was not preloaded.

use std::sync::atomic::AtomicU64;

use e2i_metrics::{Board, Row};
use pgrx::{pg_guard, pg_shmem_init, pg_sys};

use crate::metrics::{counter, file};
use crate::pg::shared::Region;
use crate::settings;

/// Places of a session's own board.
const OWN_PLACES: usize = 64;

static REGION: Region = Region::new(
    c"e2i_serve metrics",
    || Board::words(settings::metrics_places()),
    Board::words(OWN_PLACES),
    |words: &[AtomicU64]| file::read(&Board::new(words)),
);

/// Asks for the shared memory; called while the library is preloaded.
pub fn request() {
    pg_shmem_init!(REGION = true);
}

/// Whether all sessions count together.
pub fn is_shared() -> bool {
    REGION.is_shared()
}

/// Reads the board and adds to it.
pub fn together<R>(f: impl FnOnce(Board<'static>) -> R) -> R {
    REGION.together(|words| f(Board::new(words)))
}

/// Changes the board.
pub fn alone<R>(f: impl FnOnce(Board<'static>) -> R) -> R {
    REGION.alone(|words| f(Board::new(words)))
}

/// What was counted for this database until now.
pub fn rows() -> Vec<Row> {
    counter::flush();
    let database = database();
    together(|board| board.rows(database).collect())
}

/// The number of this database.
pub fn database() -> u32 {
    // SAFETY: reads a variable.
    unsafe { pg_sys::MyDatabaseId }.to_u32()
}
