//! Where parallel workers hand over what they counted for a statement that their leader explains.
//!
//! A leader takes one of a few tables in shared memory and tells its workers the ticket through a setting. A ticket is never
//! given twice, so a worker that outlives its statement adds to nobody else's. Without shared memory, or when all tables are
//! taken, there is no ticket, and what workers did is not known.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use e2i_metrics::{Board, Key, Loaded, Tally};
use pgrx::{pg_guard, pg_shmem_init, pg_sys};

use crate::pg::shared::Region;
use crate::pg::{process, time, transaction};

/// Statements that can be explained at the same time, with their workers.
const TABLES: usize = 16;

/// Versions in one statement that workers score; what is beyond is not shown. A table takes 27 kB.
const VERSIONS: usize = 16;

/// Tickets, as far as a setting holds them beside its two bits.
const TICKETS: u64 = 1 << 29;

/// Words of a table: its ticket, 0 while it is free, and a board.
const TABLE: usize = 1 + Board::words(VERSIONS);

/// One word with the round of the last ticket, then the tables.
static REGION: Region = Region::new(c"e2i_serve explain", || 1 + TABLES * TABLE, 0, |_: &[AtomicU64]| ());

/// Asks for the shared memory; called while the library is preloaded.
pub fn request() {
    pg_shmem_init!(REGION = true);
}

/// A table that is taken, until this is dropped.
pub struct Ticket(u64);

impl Ticket {
    /// What workers are told: larger than 0.
    pub fn number(&self) -> i32 {
        i32::try_from(self.0).unwrap_or_default()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        REGION.alone(|words| {
            if let Some([ticket, ..]) = table(words, self.0) {
                ticket.store(0, Relaxed);
            }
        });
    }
}

/// The table of a ticket, unless it was given back.
fn table(words: &'static [AtomicU64], ticket: u64) -> Option<&'static [AtomicU64]> {
    let table = words.get(1..)?.chunks_exact(TABLE).nth(ticket as usize % TABLES)?;
    (ticket != 0 && table.first()?.load(Relaxed) == ticket).then_some(table)
}

/// Takes a table.
pub fn claim() -> Option<Ticket> {
    if !REGION.is_shared() {
        return None;
    }
    // A leader that ends without an ERROR that passes through it gives back what it took.
    transaction::hear_of_exit();
    REGION.alone(|words| {
        let (round, tables) = words.split_first()?;
        let index = tables.chunks_exact(TABLE).position(|table| table[0].load(Relaxed) == 0)?;
        let next = (round.load(Relaxed) + 1) % (TICKETS / TABLES as u64);
        // 0 is nobody's.
        let next = next.max(1);
        round.store(next, Relaxed);
        let table = &tables[index * TABLE..][..TABLE];
        table.iter().for_each(|word| word.store(0, Relaxed));
        let ticket = next * TABLES as u64 + index as u64;
        table[0].store(ticket, Relaxed);
        Some(Ticket(ticket))
    })
}

/// Adds to the table of a leader.
pub fn add(ticket: i32, key: &Key, tally: &Tally) {
    if !REGION.is_shared() {
        return;
    }
    let now = time::now();
    REGION.alone(|words| {
        let Some([_, table @ ..]) = table(words, u64::try_from(ticket).unwrap_or_default()) else { return };
        let board = Board::new(table);
        if let Some(place) = board.claim(key, now) {
            // Nobody else can have taken the place meanwhile.
            let _ = board.add(place, tally, Loaded::default());
        }
    });
}

/// What workers have added.
pub fn take(ticket: &Ticket) -> Vec<(Key, Tally)> {
    let database = process::database();
    REGION.together(|words| {
        let Some([_, table @ ..]) = table(words, ticket.0) else { return vec![] };
        Board::new(table).rows(database).map(|row| (row.key, row.total)).collect()
    })
}
