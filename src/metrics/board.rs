//! The counters of all sessions, in shared memory; of this session, where the library was not preloaded.
//!
//! A file keeps them while the server is down. It is written once an interval, when counters are set back, and at a clean shutdown;
//! and read when shared memory is made: after a start, and after a crash of any process, so that what is lost then is at most an
//! interval. Only that of a clean shutdown says what was written to tables; after a crash the tables say it
//! ([`crate::metrics::marks`]).

use std::sync::atomic::AtomicU64;

use e2i_metrics::Board;
use pgrx::prelude::*;
use pgrx::{pg_guard, pg_shmem_init, pg_sys};

use crate::pg::kept_file::{self, KeptFile};
use crate::pg::shared::Region;
use crate::settings;

/// Places of a session's own board.
const OWN_PLACES: usize = 64;

static REGION: Region = Region::new(
    c"e2i_serve metrics",
    || Board::words(settings::metrics_places()),
    Board::words(OWN_PLACES),
    |words: &[AtomicU64]| restore(&Board::new(words)),
);

const FILE: KeptFile = KeptFile::new("pg_stat_tmp/e2i_serve.stat");

/// Held by who writes the file, so that an older one never replaces a newer.
static WRITING: Region = Region::new(c"e2i_serve counters file", || 1, 0, |_: &[AtomicU64]| ());

/// Asks for the shared memory; called while the library is preloaded.
pub fn request() {
    pg_shmem_init!(REGION = true);
    pg_shmem_init!(WRITING = true);
}

/// Takes in the file, if there is one, and sees to it that a clean shutdown writes it. Called in the postmaster.
fn restore(board: &Board<'_>) {
    if let Some(bytes) = FILE.read() {
        if board.load(&bytes) {
            // From now on there may come more.
            FILE.tell(FILE.replace(&board.save(false)));
        } else {
            ereport!(
                PgLogLevel::LOG,
                PgSqlErrorCode::ERRCODE_DATA_CORRUPTED,
                format!("e2i_serve: counters in {} cannot be read; they begin at zero", FILE.path())
            );
        }
    }
    kept_file::at_clean_shutdown(|| {
        if let Some(bytes) = REGION.without_waiting(|words| Board::new(words).save(true)) {
            FILE.tell(FILE.replace(&bytes));
        }
    });
}

/// Keeps the counters in the file, where all sessions count together. A failure is logged: counting goes on.
pub fn keep() {
    if is_shared() {
        // Nothing in there calls the server.
        FILE.tell(WRITING.alone(|_| FILE.replace(&together(|board| board.save(false)))));
    }
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
