//! What belongs to one statement of one client, whichever processes work on it.
//!
//! A parallel statement scores in its leader, in workers, or in both; it is one request all the same. Whoever comes first
//! leaves a mark that the others find.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use pgrx::{pg_guard, pg_shmem_init, pg_sys};

use crate::pg::process;
use crate::pg::shared::Region;
use crate::pg::snapshot::Mark;

/// Processes that are told apart; more of them share marks, and two parallel statements that meet there may count twice.
const PROCESSES: usize = 4096;

/// Uses of models by one statement that are told apart.
const MARKS: usize = 4;

static REGION: Region = Region::new(c"e2i_serve statements", || PROCESSES * MARKS, 0, |_: &[AtomicU64]| ());

/// Asks for the shared memory; called while the library is preloaded.
pub fn request() {
    pg_shmem_init!(REGION = true);
}

/// Whether this process is the first to use `what` in this statement.
pub fn is_first(mark: &Mark, what: u64) -> bool {
    // SAFETY: plain reads of this process' state.
    if !unsafe { pg_sys::IsInParallelMode() } {
        return true;
    }
    let Some(marks) = REGION.shared() else { return true };
    // SAFETY: as above.
    let began = unsafe { pg_sys::GetCurrentStatementStartTimestamp() }.cast_unsigned();
    let stamp = (mark.number() ^ began ^ what).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let place = (process::leader() % PROCESSES) * MARKS + what as usize % MARKS;
    marks.get(place).is_none_or(|mark| mark.swap(stamp, Relaxed) != stamp)
}
