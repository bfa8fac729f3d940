//! A bounded pool of records on their way from those who serve to the one who writes them down.
//!
//! Like the board it is a row of atomic words in memory that the caller brings. A record takes one slot of fixed size; whoever
//! finds no free slot near where it looks counts the record as dropped and goes on: nobody waits. A slot belongs to one side at
//! a time, told by its state, so no lock is needed between those who put records in; those who take them out must take turns
//! for each database.

use std::sync::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

/// Longest record in bytes.
pub const RECORD: usize = (SLOT - DATA) * 8;

// Words before the slots.
const HINT: usize = 0;
const USED: usize = 1;
const DROPPED: usize = 2;
const HEAD: usize = 8;

// Words of a slot: 4 kB.
const STATE: usize = 0;
const DATABASE: usize = 1;
const LENGTH: usize = 2;
const DATA: usize = 3;
const SLOT: usize = 512;

// States. What a writer that died left behind stays `FILLING` until the memory is made anew.
const FREE: u64 = 0;
const FILLING: u64 = 1;
const READY: u64 = 2;

/// Slots that are looked at for a free one: the pool is then as good as full.
const TRIES: usize = 32;

/// The pool.
#[derive(Debug, Clone, Copy)]
pub struct Pool<'m> {
    words: &'m [AtomicU64],
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It is the first: whoever writes records down has none else.
    First,
    /// It makes the pool half full.
    Half,
    /// It is one of several.
    More,
    /// There was no room.
    Dropped,
}

impl<'m> Pool<'m> {
    /// Words that so many slots take.
    #[must_use]
    pub const fn words(slots: usize) -> usize {
        HEAD + slots * SLOT
    }

    /// A pool in these words, which must be zero or have been a pool before.
    #[must_use]
    pub fn new(words: &'m [AtomicU64]) -> Self {
        Self { words }
    }

    fn slots(&self) -> usize {
        self.words.len().saturating_sub(HEAD) / SLOT
    }

    fn slot(&self, index: usize) -> &'m [AtomicU64] {
        &self.words[HEAD + index * SLOT..][..SLOT]
    }

    /// Puts a record in. One that is too long, or finds no room, is dropped and counted.
    pub fn put(&self, database: u32, record: &[u8]) -> Put {
        let slots = self.slots();
        if slots > 0 && record.len() <= RECORD {
            let start = self.words[HINT].fetch_add(1, Relaxed) as usize;
            for index in (0..slots.min(TRIES)).map(|step| (start + step) % slots) {
                let slot = self.slot(index);
                if slot[STATE].compare_exchange(FREE, FILLING, AcqRel, Relaxed).is_err() {
                    continue;
                }
                slot[DATABASE].store(database.into(), Relaxed);
                slot[LENGTH].store(record.len() as u64, Relaxed);
                for (word, bytes) in slot[DATA..].iter().zip(record.chunks(8)) {
                    let mut padded = [0; 8];
                    padded[..bytes.len()].copy_from_slice(bytes);
                    word.store(u64::from_le_bytes(padded), Relaxed);
                }
                slot[STATE].store(READY, Release);
                return match self.words[USED].fetch_add(1, Relaxed) as usize {
                    0 => Put::First,
                    used if used == slots / 2 => Put::Half,
                    _ => Put::More,
                };
            }
        }
        self.words[DROPPED].fetch_add(1, Relaxed);
        Put::Dropped
    }

    /// The records of a database, with the slots they are in.
    #[must_use]
    pub fn look(&self, database: u32) -> Vec<(usize, Vec<u8>)> {
        (0..self.slots())
            .filter_map(|index| {
                let slot = self.slot(index);
                if slot[STATE].load(Acquire) != READY || slot[DATABASE].load(Relaxed) != u64::from(database) {
                    return None;
                }
                let length = (slot[LENGTH].load(Relaxed) as usize).min(RECORD);
                let words = slot[DATA..].iter().take(length.div_ceil(8));
                let mut record: Vec<u8> = words.flat_map(|word| word.load(Relaxed).to_le_bytes()).collect();
                record.truncate(length);
                Some((index, record))
            })
            .collect()
    }

    /// Frees slots that [`Pool::look`] has given, when their records are written down.
    pub fn free(&self, slots: impl IntoIterator<Item = usize>) {
        for index in slots {
            if self.slot(index)[STATE].compare_exchange(READY, FREE, AcqRel, Relaxed).is_ok() {
                self.words[USED].fetch_sub(1, Relaxed);
            }
        }
    }

    /// Frees slots whose records cannot be written down, and counts them as dropped.
    pub fn give_up(&self, slots: impl IntoIterator<Item = usize>) {
        self.free(slots.into_iter().inspect(|_| {
            self.words[DROPPED].fetch_add(1, Relaxed);
        }));
    }

    /// Records that wait.
    #[must_use]
    pub fn used(&self) -> usize {
        self.words[USED].load(Relaxed) as usize
    }

    /// The databases that have records waiting.
    #[must_use]
    pub fn databases(&self) -> Vec<u32> {
        let ready = (0..self.slots()).map(|index| self.slot(index)).filter(|slot| slot[STATE].load(Acquire) == READY);
        let mut databases: Vec<u32> =
            ready.filter_map(|slot| u32::try_from(slot[DATABASE].load(Relaxed)).ok()).collect();
        databases.sort_unstable();
        databases.dedup();
        databases
    }

    /// Records that found no room.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.words[DROPPED].load(Relaxed)
    }

    /// Everything that waits, as bytes for a file: database, length and record, one after the other.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        let mut bytes = vec![];
        for database in self.databases() {
            for (_, record) in self.look(database) {
                bytes.extend(database.to_le_bytes());
                bytes.extend((record.len() as u32).to_le_bytes());
                bytes.extend(record);
            }
        }
        bytes
    }

    /// Puts in what [`Pool::save`] gave; ends where the bytes are no such thing.
    pub fn load(&self, mut bytes: &[u8]) {
        while let Some((head, rest)) = bytes.split_first_chunk::<8>() {
            let [d0, d1, d2, d3, l0, l1, l2, l3] = *head;
            let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
            let Some((record, rest)) = rest.split_at_checked(length) else { return };
            self.put(u32::from_le_bytes([d0, d1, d2, d3]), record);
            bytes = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(slots: usize) -> Vec<AtomicU64> {
        (0..Pool::words(slots)).map(|_| AtomicU64::new(0)).collect()
    }

    #[test]
    fn records_come_out_as_they_went_in() {
        let memory = memory(8);
        let pool = Pool::new(&memory);
        assert_eq!(pool.put(1, b"one"), Put::First);
        assert_eq!(pool.put(2, &[7; RECORD]), Put::More);
        assert_eq!(pool.put(1, b""), Put::More);
        assert_eq!(pool.databases(), [1, 2]);
        let mine: Vec<_> = pool.look(1).into_iter().map(|(_, record)| record).collect();
        assert_eq!(mine, [b"one".to_vec(), vec![]]);
        assert_eq!(pool.look(2)[0].1, [7; RECORD]);
        pool.free(pool.look(1).into_iter().map(|(slot, _)| slot));
        assert_eq!((pool.used(), pool.look(1).len(), pool.dropped()), (1, 0, 0));
    }

    #[test]
    fn what_finds_no_room_is_dropped_and_counted() {
        let memory = memory(4);
        let pool = Pool::new(&memory);
        let puts: Vec<Put> = (0..6).map(|_| pool.put(1, b"x")).collect();
        assert_eq!(puts, [Put::First, Put::More, Put::Half, Put::More, Put::Dropped, Put::Dropped]);
        assert_eq!(pool.put(1, &[0; RECORD + 1]), Put::Dropped);
        assert_eq!(pool.dropped(), 3);
        pool.free([0, 1, 2, 3]);
        assert_eq!(pool.put(1, &[0; RECORD + 1]), Put::Dropped);
        assert_eq!((pool.put(1, b"y"), pool.used()), (Put::First, 1));
    }

    #[test]
    fn what_cannot_be_written_down_is_dropped_and_counted() {
        let memory = memory(4);
        let pool = Pool::new(&memory);
        for database in [1, 2, 1] {
            pool.put(database, b"x");
        }
        pool.give_up(pool.look(1).into_iter().map(|(slot, _)| slot));
        assert_eq!((pool.databases(), pool.used(), pool.dropped()), (vec![2], 1, 2));
    }

    #[test]
    fn threads_put_in_while_one_takes_out() {
        let memory = memory(16);
        let pool = Pool::new(&memory);
        let taken = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..4u32)
                .map(|thread| {
                    scope.spawn(move || {
                        (0..2_000u32)
                            .filter(|round| {
                                let record = format!("{thread}:{round}").repeat(9);
                                pool.put(1, record.as_bytes()) != Put::Dropped
                            })
                            .count()
                    })
                })
                .collect();
            let mut taken = 0;
            while writers.iter().any(|writer| !writer.is_finished()) || pool.used() > 0 {
                let found = pool.look(1);
                for (_, record) in &found {
                    let text = std::str::from_utf8(record).expect("text");
                    assert_eq!(text, text[..text.len() / 9].repeat(9), "a record is whole");
                }
                taken += found.len();
                pool.free(found.into_iter().map(|(slot, _)| slot));
            }
            let put: usize = writers.into_iter().map(|writer| writer.join().expect("a writer")).sum();
            assert_eq!(taken, put);
            taken
        });
        assert_eq!(taken as u64 + pool.dropped(), 8_000);
    }

    #[test]
    fn a_file_brings_records_back() {
        let (memory, other) = (memory(4), memory(4));
        let pool = Pool::new(&memory);
        pool.put(3, b"three");
        pool.put(1, b"one");
        let bytes = pool.save();
        let again = Pool::new(&other);
        again.load(&bytes[..bytes.len() - 1]);
        assert_eq!(again.used(), 1);
        again.load(&bytes);
        assert_eq!((again.look(3)[0].1.as_slice(), again.used()), (&b"three"[..], 3));
    }
}
