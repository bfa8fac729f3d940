//! The records of all sessions, in shared memory; of this session, where the library was not preloaded.

use std::sync::atomic::AtomicU64;

use e2i_metrics::{Pool, Put};
use pgrx::{pg_guard, pg_shmem_init, pg_sys};

use crate::metrics::{board, file};
use crate::pg::shared::Region;
use crate::settings;
use crate::worker::launcher;

/// Slots of a session's own pool.
const OWN_SLOTS: usize = 256;

static REGION: Region = Region::new(
    c"e2i_serve inference log",
    || Pool::words(settings::inference_log_slots()),
    Pool::words(OWN_SLOTS),
    |words: &[AtomicU64]| file::read_records(&Pool::new(words)),
);

/// Asks for the shared memory; called while the library is preloaded.
pub fn request() {
    pg_shmem_init!(REGION = true);
}

/// The pool. Its slots need no lock among those who put records in.
pub fn pool() -> Pool<'static> {
    REGION.shared().map_or_else(|| REGION.together(Pool::new), Pool::new)
}

/// Puts a record in, and wakes who writes it down when it is time.
pub fn put(record: &[u8]) {
    if matches!(pool().put(board::database(), record), Put::First | Put::Half) {
        launcher::wake();
    }
}
