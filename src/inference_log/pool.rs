//! The records of all sessions, in shared memory; of this session, where the library was not preloaded.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use e2i_metrics::{Pool, Put};
use pgrx::{pg_guard, pg_shmem_init, pg_sys};

use crate::metrics::{board, file};
use crate::pg::shared::Region;
use crate::settings;

/// Slots of a session's own pool.
const OWN_SLOTS: usize = 256;

static REGION: Region = Region::new(
    c"e2i_serve inference log",
    || Pool::words(settings::inference_log_slots()),
    Pool::words(OWN_SLOTS),
    |words: &[AtomicU64]| file::read_records(&Pool::new(words)),
);

/// One word: one more than the number of the process that writes records down, 0 while there is none.
static WRITER: Region = Region::new(c"e2i_serve inference log writer", || 1, 0, |_: &[AtomicU64]| ());

/// Asks for the shared memory; called while the library is preloaded.
pub fn request() {
    pg_shmem_init!(REGION = true);
    request_writer();
}

fn request_writer() {
    pg_shmem_init!(WRITER = true);
}

/// The pool. Its slots need no lock among those who put records in.
pub fn pool() -> Pool<'static> {
    REGION.shared().map_or_else(|| REGION.together(Pool::new), Pool::new)
}

/// Puts a record in, and wakes who writes it down when it is time.
pub fn put(record: &[u8]) {
    if matches!(pool().put(board::database(), record), Put::First | Put::Half) {
        wake();
    }
}

/// This process writes records down from now on.
pub fn serve() {
    if let Some(word) = WRITER.shared().and_then(<[_]>::first) {
        // SAFETY: both are set in a background worker that uses shared memory.
        let own = unsafe { pg_sys::MyProc as usize - (*pg_sys::ProcGlobal).allProcs as usize };
        word.store((own / size_of::<pg_sys::PGPROC>()) as u64 + 1, Relaxed);
    }
}

fn wake() {
    let Some(number) = WRITER.shared().and_then(<[_]>::first).map(|word| word.load(Relaxed)) else { return };
    // SAFETY: the number is one of a process' place, which exist as long as the server; setting the latch of another process
    // than meant wakes it once for nothing.
    unsafe {
        if let Some(index) = number.checked_sub(1) {
            let process = (*pg_sys::ProcGlobal).allProcs.add(index as usize);
            pg_sys::SetLatch(&raw mut (*process).procLatch);
        }
    }
}
