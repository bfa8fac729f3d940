//! The bounded table of tallies that all backends of a server add to.
//!
//! It is a row of atomic words in memory that the caller brings, all zero in the beginning, so the same code works on shared
//! memory and on a session's own. The caller also brings the lock: [`Board::add`] and the reading functions under a shared one,
//! everything else under an exclusive one. A place that was freed and given away is told by its generation, so a
//! backend that still points to it notices. Nothing here blocks, allocates on the way of counting, or can fail.
//!
//! What is counted outlives a crash less well than the tables that it is written to. So a place that comes from a file of which
//! nobody knows whether it is the last is marked as restored, until its owner has told by [`Board::reconcile`] what stands in
//! the tables.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::key::{Key, Name};
use crate::tally::{Loaded, Tally};

// Words before the places.
const NEXT_GENERATION: usize = 0;
const LOST_REQUESTS: usize = 1;
const LOST_PREDICTIONS: usize = 2;
const VACATED: usize = 3;
const LOSERS: usize = 8; // a bit each, by the number of a service
const HEAD: usize = LOSERS + 64;

// Words of a place.
const GENERATION: usize = 0; // 0: free
const SINCE: usize = 1;
const WRITTEN_AT: usize = 2;
const SESSIONS: usize = 3;
const BYTES: usize = 4;
const STATE: usize = 5;
const KEY: usize = 6;
const TOTAL: usize = KEY + Key::WORDS;
const WRITTEN: usize = TOTAL + Tally::WORDS;
const PLACE: usize = WRITTEN + Tally::WORDS;

// Bits of a place's state.
const GONE: u64 = 1; // what it stands for is no more; another may have the place
const RESTORED: u64 = 2; // `WRITTEN` is what was counted until the file was read

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
    /// Whether what was written has to be told by [`Board::reconcile`] first.
    pub is_restored: bool,
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

    /// The place of a key, found or taken at the time `now`; `None` when all are taken. A place whose key is gone is given away
    /// only when no other is free, the one that was written longest ago first.
    #[must_use]
    pub fn claim(&self, key: &Key, now: i64) -> Option<Place> {
        let (mut free, mut gone): (Option<usize>, Option<(u64, usize)>) = (None, None);
        for index in 0..self.places() {
            let words = self.place(index);
            let generation = words[GENERATION].load(Relaxed);
            if generation == 0 {
                free = free.or(Some(index));
            } else if words[KEY..TOTAL].iter().zip(key.words()).all(|(kept, word)| kept.load(Relaxed) == *word) {
                words[STATE].fetch_and(!GONE, Relaxed);
                return Some(Place { index, generation });
            } else if words[STATE].load(Relaxed) & GONE != 0 && self.is_done(index) {
                let written = (words[WRITTEN_AT].load(Relaxed), index);
                gone = Some(gone.map_or(written, |earlier| earlier.min(written)));
            }
        }
        let index = free.or(gone.map(|(_, index)| index))?;
        let words = self.place(index);
        words.iter().for_each(|word| word.store(0, Relaxed));
        words[KEY..TOTAL].iter().zip(key.words()).for_each(|(kept, word)| kept.store(*word, Relaxed));
        words[SINCE].store(now.cast_unsigned(), Relaxed);
        words[WRITTEN_AT].store(now.cast_unsigned(), Relaxed);
        let generation = self.next_generation();
        words[GENERATION].store(generation, Relaxed);
        Some(Place { index, generation })
    }

    fn next_generation(&self) -> u64 {
        self.words[NEXT_GENERATION].fetch_add(1, Relaxed) + 1
    }

    /// Whether everything counted there is written, and nothing in memory.
    fn is_done(&self, index: usize) -> bool {
        let words = self.place(index);
        let (total, written) = (&words[TOTAL..WRITTEN], &words[WRITTEN..]);
        words[SESSIONS].load(Relaxed) == 0
            && words[STATE].load(Relaxed) & RESTORED == 0
            && total.iter().zip(written).all(|(total, written)| total.load(Relaxed) == written.load(Relaxed))
    }

    /// How often places became free: a key that found none need not look again before that changes.
    #[must_use]
    pub fn vacated(&self) -> u64 {
        self.words[VACATED].load(Relaxed)
    }

    /// What found no place may find one now.
    fn vacate(&self) {
        self.words[VACATED].fetch_add(1, Relaxed);
        self.words[LOSERS..HEAD].iter().for_each(|word| word.store(0, Relaxed));
    }

    /// The version that these places stand for is no more: another key may have those of them that are written and not in memory.
    pub fn gone(&self, places: impl IntoIterator<Item = Place>) {
        let mut is_vacated = false;
        for place in places {
            let words = self.place(place.index);
            if words[GENERATION].load(Relaxed) == place.generation
                && self.is_done(place.index)
                && words[STATE].fetch_or(GONE, Relaxed) & GONE == 0
            {
                is_vacated = true;
            }
        }
        if is_vacated {
            self.vacate();
        }
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
    pub fn lose(&self, key: &Key, tally: &Tally) {
        self.words[LOST_REQUESTS].fetch_add(tally.requests, Relaxed);
        self.words[LOST_PREDICTIONS].fetch_add(tally.predictions, Relaxed);
        let (word, bit) = self.loser(key.database, &key.service);
        word.fetch_or(bit, Relaxed);
    }

    fn loser(&self, database: u32, service: &Name) -> (&'m AtomicU64, u64) {
        let number = service.as_bytes().iter().fold(u64::from(database), |sum, byte| {
            (sum ^ u64::from(*byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23)
        });
        (&self.words[LOSERS + (number >> 6) as usize % (HEAD - LOSERS)], 1 << (number % 64))
    }

    /// Whether something that was called for this service found no place since places became free last. Two services that share
    /// a bit, one in four thousand, share the answer.
    #[must_use]
    pub fn loses(&self, database: u32, service: &Name) -> bool {
        let (word, bit) = self.loser(database, service);
        word.load(Relaxed) & bit != 0
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
                is_restored: words[STATE].load(Relaxed) & RESTORED != 0,
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

    /// Tells what of a restored place stands in tables, `None` for nothing. What was counted after the file was kept, and is known
    /// from there, counts again.
    pub fn reconcile(&self, place: Place, written: Option<&Tally>) {
        let words = self.place(place.index);
        if words[GENERATION].load(Relaxed) != place.generation
            || words[STATE].fetch_and(!RESTORED, Relaxed) & RESTORED == 0
        {
            return;
        }
        let nothing = Tally::default();
        let known = written.unwrap_or(&nothing).words();
        let (total, kept) = (&words[TOTAL..WRITTEN], &words[WRITTEN..]);
        for ((total, kept), known) in total.iter().zip(kept).zip(known).take(Tally::WORDS - 1) {
            total.fetch_add(known.saturating_sub(kept.swap(*known, Relaxed)), Relaxed);
        }
        total[Tally::WORDS - 1].fetch_max(known[Tally::WORDS - 1], Relaxed);
        kept[Tally::WORDS - 1].store(known[Tally::WORDS - 1], Relaxed);
    }

    /// Sets the counters of a database back. What is in memory stays known; a place without it is freed.
    pub fn reset(&self, database: u32, now: i64) {
        for row in self.rows(database) {
            let words = self.place(row.place.index);
            words[TOTAL..].iter().for_each(|word| word.store(0, Relaxed));
            words[SINCE].store(now.cast_unsigned(), Relaxed);
            words[WRITTEN_AT].store(now.cast_unsigned(), Relaxed);
            words[STATE].store(0, Relaxed);
            // Who is about to tell what it has written of what was counted before must not be heard.
            let is_kept = row.loaded != Loaded::default();
            words[GENERATION].store(if is_kept { self.next_generation() } else { 0 }, Relaxed);
        }
        self.words[LOST_REQUESTS].store(0, Relaxed);
        self.words[LOST_PREDICTIONS].store(0, Relaxed);
        self.vacate();
    }

    /// Frees the places of databases that are gone.
    pub fn keep_only(&self, exists: impl Fn(u32) -> bool) {
        let mut is_vacated = false;
        for row in self.all().filter(|row| !exists(row.key.database)) {
            self.place(row.place.index)[GENERATION].store(0, Relaxed);
            is_vacated = true;
        }
        if is_vacated {
            self.vacate();
        }
    }

    /// Everything counted, as bytes for a file. `is_last`: nothing is counted or written after it.
    #[must_use]
    pub fn save(&self, is_last: bool) -> Vec<u8> {
        let (requests, predictions) = self.lost();
        let mut words: Vec<u64> = vec![FILE, PLACE as u64, u64::from(is_last), requests, predictions];
        for row in self.all() {
            words.extend([row.since, row.written_at].map(i64::cast_unsigned));
            words.push(u64::from(row.is_restored));
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
        const ENTRY: usize = 3 + Key::WORDS + 2 * Tally::WORDS;
        let words: Vec<u64> = bytes.chunks_exact(8).map(bytemuck::pod_read_unaligned).collect();
        let Some((sum, words)) = words.split_last() else { return false };
        let [FILE, place, is_last, requests, predictions, entries @ ..] = words else { return false };
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
            let [since, written_at, is_restored, rest @ ..] = entry else { continue };
            let mut key = [0; Key::WORDS];
            key.copy_from_slice(&rest[..Key::WORDS]);
            let Some(place) = self.claim(&Key::from_words(&key), since.cast_signed()) else { continue };
            let place = self.place(place.index);
            let (total, written) = rest[Key::WORDS..].split_at(Tally::WORDS);
            // Where what was written is to be told by tables, what was counted until now is kept in its place.
            let restored = *is_last == 0 && *is_restored == 0;
            let written = if restored { total } else { written };
            place[TOTAL..].iter().zip(total.iter().chain(written)).for_each(|(word, kept)| word.store(*kept, Relaxed));
            place[WRITTEN_AT].store(*written_at, Relaxed);
            place[STATE].store(if restored || *is_restored != 0 { RESTORED } else { 0 }, Relaxed);
        }
        true
    }
}

/// First word of a file; another one when the meaning of a word changes.
const FILE: u64 = u64::from_le_bytes(*b"e2i_cnt3");

/// FNV-1a over words: against a file that was cut or overwritten, not against anybody.
fn checksum(words: &[u64]) -> u64 {
    words.iter().fold(0xcbf2_9ce4_8422_2325, |sum: u64, word| (sum ^ word).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests;
