//! The bounded table of tallies that all backends of a server add to.
//!
//! It is a row of atomic words in memory that the caller brings, all zero in the beginning, so the same code works on shared
//! memory and on a session's own. The caller also brings the lock: [`Board::add`] and the reading functions under a shared one,
//! everything else under an exclusive one. A place that was freed and given away is told by its generation, so a
//! backend that still points to it notices. Nothing here blocks, allocates on the way of counting, or can fail.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::key::Key;
use crate::tally::{Loaded, Tally};

// Words before the places.
const NEXT_GENERATION: usize = 0;
const LOST_REQUESTS: usize = 1;
const LOST_PREDICTIONS: usize = 2;
const HEAD: usize = 8;

// Words of a place.
const GENERATION: usize = 0; // 0: free
const SINCE: usize = 1;
const WRITTEN_AT: usize = 2;
const SESSIONS: usize = 3;
const BYTES: usize = 4;
const KEY: usize = 5;
const TOTAL: usize = KEY + Key::WORDS;
const WRITTEN: usize = TOTAL + Tally::WORDS;
const PLACE: usize = WRITTEN + Tally::WORDS;

/// The table.
#[derive(Debug, Clone, Copy)]
pub struct Board<'m> {
    words: &'m [AtomicU64],
}

/// Where a key is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    index: usize,
    generation: u64,
}

/// A place and what was counted there. Times are the caller's, in microseconds.
#[derive(Debug, Clone)]
pub struct Row {
    /// Where it is.
    pub place: Place,
    /// What it stands for.
    pub key: Key,
    /// Since when it counts.
    pub since: i64,
    /// All that was counted.
    pub total: Tally,
    /// What of it has been written to tables,
    pub written: Tally,
    /// and when.
    pub written_at: i64,
    /// How much of the model is in memory now.
    pub loaded: Loaded,
}

impl<'m> Board<'m> {
    /// Words that a board of so many places takes.
    #[must_use]
    pub const fn words(places: usize) -> usize {
        HEAD + places * PLACE
    }

    /// A board in these words, which must be zero or have been a board before.
    #[must_use]
    pub fn new(words: &'m [AtomicU64]) -> Self {
        Self { words }
    }

    /// How many keys it can hold.
    #[must_use]
    pub fn places(&self) -> usize {
        self.words.len().saturating_sub(HEAD) / PLACE
    }

    fn place(&self, index: usize) -> &'m [AtomicU64] {
        &self.words[HEAD + index * PLACE..][..PLACE]
    }

    /// The place of a key, found or taken at the time `now`; `None` when all are taken.
    #[must_use]
    pub fn claim(&self, key: &Key, now: i64) -> Option<Place> {
        let mut free = None;
        for index in 0..self.places() {
            let words = self.place(index);
            let generation = words[GENERATION].load(Relaxed);
            if generation == 0 {
                free = free.or(Some(index));
            } else if words[KEY..TOTAL].iter().zip(key.words()).all(|(kept, word)| kept.load(Relaxed) == *word) {
                return Some(Place { index, generation });
            }
        }
        let index = free?;
        let words = self.place(index);
        words.iter().for_each(|word| word.store(0, Relaxed));
        words[KEY..TOTAL].iter().zip(key.words()).for_each(|(kept, word)| kept.store(*word, Relaxed));
        words[SINCE].store(now.cast_unsigned(), Relaxed);
        words[WRITTEN_AT].store(now.cast_unsigned(), Relaxed);
        let generation = self.words[NEXT_GENERATION].fetch_add(1, Relaxed) + 1;
        words[GENERATION].store(generation, Relaxed);
        Some(Place { index, generation })
    }

    /// Adds to a place; whether it is still the same.
    #[must_use]
    pub fn add(&self, place: Place, tally: &Tally, loaded: Loaded) -> bool {
        let words = self.place(place.index);
        if words[GENERATION].load(Relaxed) != place.generation {
            return false;
        }
        let total = &words[TOTAL..WRITTEN];
        for (total, more) in total.iter().zip(tally.words()).take(Tally::WORDS - 1).filter(|(_, more)| **more != 0) {
            total.fetch_add(*more, Relaxed);
        }
        total[Tally::WORDS - 1].fetch_max(tally.longest_ns, Relaxed);
        words[SESSIONS].fetch_add(loaded.sessions.cast_unsigned(), Relaxed);
        words[BYTES].fetch_add(loaded.bytes.cast_unsigned(), Relaxed);
        true
    }

    /// Counts what found no place.
    pub fn lose(&self, tally: &Tally) {
        self.words[LOST_REQUESTS].fetch_add(tally.requests, Relaxed);
        self.words[LOST_PREDICTIONS].fetch_add(tally.predictions, Relaxed);
    }

    /// Requests and predictions that found no place.
    #[must_use]
    pub fn lost(&self) -> (u64, u64) {
        (self.words[LOST_REQUESTS].load(Relaxed), self.words[LOST_PREDICTIONS].load(Relaxed))
    }

    /// All places of a database.
    pub fn rows(&self, database: u32) -> impl Iterator<Item = Row> {
        self.all().filter(move |row| row.key.database == database)
    }

    fn all(&self) -> impl Iterator<Item = Row> {
        (0..self.places()).filter_map(|index| {
            let words = self.place(index);
            let generation = words[GENERATION].load(Relaxed);
            let tally = |at: usize| {
                let mut tally = Tally::default();
                tally.words_mut().iter_mut().zip(&words[at..]).for_each(|(copy, word)| *copy = word.load(Relaxed));
                tally
            };
            let mut key = [0; Key::WORDS];
            key.iter_mut().zip(&words[KEY..]).for_each(|(copy, word)| *copy = word.load(Relaxed));
            let signed = |at: usize| words[at].load(Relaxed).cast_signed();
            (generation != 0).then(|| Row {
                place: Place { index, generation },
                key: Key::from_words(&key),
                since: signed(SINCE),
                total: tally(TOTAL),
                written: tally(WRITTEN),
                written_at: signed(WRITTEN_AT),
                loaded: Loaded { sessions: signed(SESSIONS), bytes: signed(BYTES) },
            })
        })
    }

    /// The databases that something was counted for.
    #[must_use]
    pub fn databases(&self) -> Vec<u32> {
        let mut databases: Vec<u32> = self.all().map(|row| row.key.database).collect();
        databases.sort_unstable();
        databases.dedup();
        databases
    }

    /// Remembers that a place's counts up to `tally` stand in tables since `now`.
    pub fn written(&self, place: Place, tally: &Tally, now: i64) {
        let words = self.place(place.index);
        if words[GENERATION].load(Relaxed) == place.generation {
            words[WRITTEN..].iter().zip(tally.words()).for_each(|(kept, word)| kept.store(*word, Relaxed));
            words[WRITTEN_AT].store(now.cast_unsigned(), Relaxed);
        }
    }

    /// Sets the counters of a database back. What is in memory stays known; a place without it is freed.
    pub fn reset(&self, database: u32, now: i64) {
        for row in self.rows(database) {
            let words = self.place(row.place.index);
            words[TOTAL..].iter().for_each(|word| word.store(0, Relaxed));
            words[SINCE].store(now.cast_unsigned(), Relaxed);
            words[WRITTEN_AT].store(now.cast_unsigned(), Relaxed);
            if row.loaded == Loaded::default() {
                words[GENERATION].store(0, Relaxed);
            }
        }
        self.words[LOST_REQUESTS].store(0, Relaxed);
        self.words[LOST_PREDICTIONS].store(0, Relaxed);
    }

    /// Frees the places of databases that are gone.
    pub fn keep_only(&self, exists: impl Fn(u32) -> bool) {
        for row in self.all().filter(|row| !exists(row.key.database)) {
            self.place(row.place.index)[GENERATION].store(0, Relaxed);
        }
    }

    /// Everything counted, as bytes for a file.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        let mut words: Vec<u64> = vec![FILE, PLACE as u64];
        let (requests, predictions) = self.lost();
        words.extend([requests, predictions]);
        for row in self.all() {
            words.extend([row.since.cast_unsigned(), row.written_at.cast_unsigned()]);
            words.extend(row.key.words());
            words.extend(row.total.words());
            words.extend(row.written.words());
        }
        let sum = checksum(&words);
        words.push(sum);
        bytemuck::cast_slice(&words).to_vec()
    }

    /// Takes in what [`Board::save`] wrote, into a board that is empty. Whether the bytes were such.
    pub fn load(&self, bytes: &[u8]) -> bool {
        const ENTRY: usize = 2 + Key::WORDS + 2 * Tally::WORDS;
        let words: Vec<u64> = bytes.chunks_exact(8).map(bytemuck::pod_read_unaligned).collect();
        let Some((sum, words)) = words.split_last() else { return false };
        let [FILE, place, requests, predictions, entries @ ..] = words else { return false };
        if !bytes.len().is_multiple_of(8)
            || *place != PLACE as u64
            || *sum != checksum(words)
            || !entries.len().is_multiple_of(ENTRY)
        {
            return false;
        }
        self.words[LOST_REQUESTS].store(*requests, Relaxed);
        self.words[LOST_PREDICTIONS].store(*predictions, Relaxed);
        for entry in entries.chunks_exact(ENTRY) {
            let [since, written_at, rest @ ..] = entry else { continue };
            let mut key = [0; Key::WORDS];
            key.copy_from_slice(&rest[..Key::WORDS]);
            let Some(place) = self.claim(&Key::from_words(&key), since.cast_signed()) else { continue };
            let place = self.place(place.index);
            place[TOTAL..].iter().zip(&rest[Key::WORDS..]).for_each(|(word, kept)| word.store(*kept, Relaxed));
            place[WRITTEN_AT].store(*written_at, Relaxed);
        }
        true
    }
}

/// First word of a file; another one when the meaning of a word changes.
const FILE: u64 = u64::from_le_bytes(*b"e2i_cnt2");

/// FNV-1a over words: against a file that was cut or overwritten, not against anybody.
fn checksum(words: &[u64]) -> u64 {
    words.iter().fold(0xcbf2_9ce4_8422_2325, |sum: u64, word| (sum ^ word).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Function, Scorer};

    fn memory(places: usize) -> Vec<AtomicU64> {
        (0..Board::words(places)).map(|_| AtomicU64::new(0)).collect()
    }

    fn key(database: u32, service: &str) -> Key {
        Key::new(database, Function::Predict, Scorer::Native, [7; 16], service, "churn:1")
    }

    fn one_row() -> Tally {
        let mut tally = Tally { requests: 1, ..Tally::default() };
        tally.batch(1, 1);
        tally.time(1_500);
        tally
    }

    #[test]
    fn threads_lose_no_count() {
        let memory = memory(4);
        let board = Board::new(&memory);
        let place = board.claim(&key(1, "churn"), 5).expect("a place");
        std::thread::scope(|scope| {
            for thread in 0..8u64 {
                scope.spawn(move || {
                    for round in 0..1_000 {
                        let tally = Tally { longest_ns: thread * 1_000 + round, ..one_row() };
                        assert!(board.add(place, &tally, Loaded { sessions: 1, bytes: 10 }));
                        assert!(board.add(place, &Tally::default(), Loaded { sessions: -1, bytes: -10 }));
                    }
                });
            }
        });
        let row = board.rows(1).next().expect("a row");
        assert_eq!((row.total.requests, row.total.predictions, row.total.longest_ns), (8_000, 8_000, 7_999));
        assert_eq!((row.loaded, row.since), (Loaded::default(), 5));
    }

    #[test]
    fn keys_are_found_again_and_those_beyond_the_end_are_counted() {
        let memory = memory(2);
        let board = Board::new(&memory);
        let first = board.claim(&key(1, "a"), 0);
        assert!(first.is_some() && board.claim(&key(2, "a"), 0) != first);
        assert_eq!(board.claim(&key(1, "a"), 9), first);
        assert_eq!(board.claim(&key(1, "b"), 0), None);
        board.lose(&one_row());
        assert_eq!(board.lost(), (1, 1));
        assert_eq!(board.databases(), [1, 2]);
    }

    #[test]
    fn a_place_that_was_given_away_takes_nothing_for_the_one_before() {
        let memory = memory(1);
        let board = Board::new(&memory);
        let before = board.claim(&key(1, "a"), 0).expect("a place");
        board.reset(1, 3);
        assert!(!board.add(before, &one_row(), Loaded::default()));
        let after = board.claim(&key(1, "b"), 4).expect("the same place");
        assert!(!board.add(before, &one_row(), Loaded::default()) && board.add(after, &one_row(), Loaded::default()));
        board.keep_only(|database| database != 1);
        assert_eq!(board.rows(1).count(), 0);
    }

    #[test]
    fn what_is_in_memory_outlives_a_reset() {
        let memory = memory(1);
        let board = Board::new(&memory);
        let place = board.claim(&key(1, "a"), 0).expect("a place");
        assert!(board.add(place, &one_row(), Loaded { sessions: 2, bytes: 64 }));
        board.reset(1, 8);
        let row = board.rows(1).next().expect("a row");
        assert_eq!((row.total, row.since, row.loaded), (Tally::default(), 8, Loaded { sessions: 2, bytes: 64 }));
        assert!(board.add(place, &one_row(), Loaded::default()));
    }

    #[test]
    fn a_file_brings_back_the_counts_and_what_was_written() {
        let (memory, other) = (memory(3), memory(3));
        let board = Board::new(&memory);
        let place = board.claim(&key(1, "größe"), 1).expect("a place");
        assert!(board.add(place, &one_row(), Loaded { sessions: 1, bytes: 1 }));
        board.written(place, &one_row(), 2);
        assert!(board.add(place, &one_row(), Loaded::default()));
        let bytes = board.save();
        let again = Board::new(&other);
        assert!(again.load(&bytes));
        let row = again.rows(1).next().expect("a row");
        assert_eq!((row.total.requests, row.written, row.written_at, row.since), (2, one_row(), 2, 1));
        assert_eq!((row.key.service.as_str(), row.loaded), ("größe", Loaded::default()));
        assert_eq!((row.key.engine(), row.key.function()), ("native", "e2i_predict"));
        for cut in 0..bytes.len() {
            assert!(!Board::new(&self::memory(3)).load(&bytes[..cut]), "{cut}");
        }
        let mut flipped = bytes.clone();
        flipped[100] ^= 1;
        assert!(!Board::new(&self::memory(3)).load(&flipped));
        assert!(!again.load(b""));
    }
}
