//! The records of all sessions, in shared memory; of this session, where the library was not preloaded.

use std::sync::atomic::AtomicU64;

use e2i_metrics::{Pool, Put};
use once_cell::sync::OnceCell;
use pgrx::{pg_guard, pg_shmem_init, pg_sys};

use crate::pg::kept_file::{self, KeptFile};
use crate::pg::process;
use crate::pg::shared::Region;
use crate::settings;

/// Slots of a session's own pool.
const OWN_SLOTS: usize = 256;

static REGION: Region = Region::new(
    c"e2i_serve inference log",
    || Pool::words(settings::inference_log_slots()),
    Pool::words(OWN_SLOTS),
    |words: &[AtomicU64]| restore(&Pool::new(words)),
);

/// Records that waited when the server was shut down.
const FILE: KeptFile = KeptFile::new("pg_stat_tmp/e2i_serve.records");

/// Wakes who writes records down.
static WAKES: OnceCell<fn()> = OnceCell::new();

/// Whom to wake; called once, when the library is loaded.
pub fn listen(wakes: fn()) {
    let _ = WAKES.set(wakes);
}

/// Asks for the shared memory; called while the library is preloaded.
pub fn request() {
    pg_shmem_init!(REGION = true);
}

/// Takes in the records that a clean shutdown kept; once, because they are written down afterwards. Called in the postmaster.
fn restore(made: &Pool<'_>) {
    if let Some(bytes) = FILE.take() {
        made.load(&bytes);
    }
    kept_file::at_clean_shutdown(save);
}

fn save() {
    let records = pool().save();
    if !records.is_empty() {
        FILE.tell(FILE.replace(&records));
    }
}

/// The pool. Its slots need no lock among those who put records in.
pub fn pool() -> Pool<'static> {
    REGION.shared().map_or_else(|| REGION.together(Pool::new), Pool::new)
}

/// Puts a record in, and wakes who writes it down when it is time.
pub fn put(record: &[u8]) {
    if matches!(pool().put(process::database(), record), Put::First | Put::Half)
        && let Some(wake) = WAKES.get()
    {
        wake();
    }
}
