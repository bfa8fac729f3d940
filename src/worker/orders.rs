//! What the launcher and its workers tell each other, in shared memory.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use pgrx::{pg_guard, pg_shmem_init, pg_sys};

use crate::pg::shared::Region;
use crate::pg::{process, time};

/// Workers at the same time.
pub const WORKERS: usize = 4;

static REGION: Region = Region::new(c"e2i_serve worker", || PLACES + WORKERS * PLACE, 0, |_: &[AtomicU64]| ());

// Words before the places of workers.
const LAUNCHER: usize = 0; // one more than its place among processes, 0 while there is none
const CROWDED: usize = 1; // whether another database waits for a worker to end
const SAID: usize = 2; // what was said to the log lately
const PLACES: usize = SAID + 62;

// Words of a place.
const DATABASE: usize = 0;
const ORDERS: usize = 1;
const PROCESS: usize = 2; // as above
const FOUND: usize = 3;
const PLACE: usize = 4;

/// Everything that there is to do once an interval.
pub const INTERVAL: u64 = 1;
/// Records of the inference log wait.
pub const LOG: u64 = 2;

/// What a worker found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It did not get so far.
    Nothing = 0,
    /// The extension, and all is done.
    Done = 1,
    /// No extension.
    NoExtension = 2,
    /// The extension, and something that is in the way of the log.
    Obstacle = 3,
}

/// Asks for the shared memory; called while the library is preloaded.
pub fn request() {
    pg_shmem_init!(REGION = true);
}

fn word(index: usize) -> Option<&'static AtomicU64> {
    REGION.shared().and_then(|words| words.get(index))
}

/// This process is the launcher.
pub fn enter_launcher() {
    if let Some(word) = word(LAUNCHER) {
        word.store(process::own() as u64 + 1, Relaxed);
    }
}

/// Wakes the launcher.
pub fn wake_launcher() {
    wake(word(LAUNCHER));
}

fn wake(place: Option<&AtomicU64>) {
    if let Some(process) = place.and_then(|word| usize::try_from(word.load(Relaxed)).ok()?.checked_sub(1)) {
        // SAFETY: the process has written its own place.
        unsafe { process::wake(process) };
    }
}

/// Whether another database waits for a worker to end.
pub fn is_crowded() -> bool {
    word(CROWDED).is_some_and(|word| word.load(Relaxed) != 0)
}

/// Says so.
pub fn set_crowded(is_crowded: bool) {
    if let Some(word) = word(CROWDED) {
        word.store(is_crowded.into(), Relaxed);
    }
}

/// Whether a message may go to the server's log: the same one once an hour, whichever process has it.
pub fn is_news(database: u32, message: &str) -> bool {
    let hour = time::now() / 3_600_000_000;
    let mut hasher = DefaultHasher::new();
    (database, message, hour).hash(&mut hasher);
    let number = hasher.finish() | 1;
    let Some(said) = REGION.shared().and_then(|words| words.get(SAID..PLACES)) else { return true };
    let is_known = said.iter().any(|word| word.load(Relaxed) == number);
    if !is_known {
        said[(number >> 1) as usize % said.len()].store(number, Relaxed);
    }
    !is_known
}

/// The place of one worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(usize);

impl Place {
    /// By its number, below [`WORKERS`].
    pub fn new(number: usize) -> Self {
        Self(number % WORKERS)
    }

    fn word(self, index: usize) -> Option<&'static AtomicU64> {
        word(PLACES + self.0 * PLACE + index)
    }

    fn get(self, index: usize) -> u64 {
        self.word(index).map_or(0, |word| word.load(Relaxed))
    }

    fn set(self, index: usize, value: u64) {
        if let Some(word) = self.word(index) {
            word.store(value, Relaxed);
        }
    }

    /// Before a worker is started: for which database, and with which orders.
    pub fn prepare(self, database: u32, orders: u64) {
        self.set(PROCESS, 0);
        self.set(FOUND, Found::Nothing as u64);
        self.set(DATABASE, database.into());
        self.set(ORDERS, orders);
    }

    /// More to do for a worker that may have begun.
    pub fn order(self, orders: u64) {
        if let Some(word) = self.word(ORDERS) {
            word.fetch_or(orders, Relaxed);
        }
        wake(self.word(PROCESS));
    }

    /// The worker begins; its database.
    pub fn enter(self) -> u32 {
        self.set(PROCESS, process::own() as u64 + 1);
        self.get(DATABASE) as u32
    }

    /// What there is to do, which is then this worker's.
    pub fn take_orders(self) -> u64 {
        self.word(ORDERS).map_or(0, |word| word.swap(0, Relaxed))
    }

    /// What the worker found.
    pub fn set_found(self, found: Found) {
        self.set(FOUND, found as u64);
    }

    /// See [`Place::set_found`].
    pub fn found(self) -> Found {
        let all = [Found::Done, Found::NoExtension, Found::Obstacle];
        all.into_iter().find(|found| *found as u64 == self.get(FOUND)).unwrap_or(Found::Nothing)
    }
}
