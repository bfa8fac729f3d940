//! How many rows a batch has: as many as take about half a second.

use std::time::Duration;

/// Long enough that a commit is little beside it, short enough that a lock, a cancel or a crash costs little.
const AIM: Duration = Duration::from_millis(500);

const FIRST: u64 = 1_000;
const MOST: u64 = 200_000;
const LEAST: u64 = 100;

/// Rows of the next batch.
pub struct Pace {
    rows: u64,
    is_given: bool,
}

impl Pace {
    /// So many if given, else what will be measured.
    pub fn new(given: Option<u64>) -> Self {
        Self { rows: given.unwrap_or(FIRST), is_given: given.is_some() }
    }

    /// Rows of the next batch.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// A full batch took so long.
    pub fn measured(&mut self, took: Duration) {
        if self.is_given {
            return;
        }
        let factor = (AIM.as_secs_f64() / took.as_secs_f64().max(1e-4)).clamp(0.25, 8.0);
        self.rows = ((self.rows as f64 * factor) as u64).clamp(LEAST, MOST);
    }
}
