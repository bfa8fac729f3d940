//! What was counted, as numbers that add.

use bytemuck::{Pod, Zeroable};
use e2i_core::Kind;

use crate::latency::{self, BUCKETS};

/// Kinds of errors that are told apart.
pub const KINDS: usize = NAMES.len();

/// In the order of their counters, which are kept in files: new ones go to the end.
const NAMES: [(Kind, &str); 18] = [
    (Kind::UnknownModel, "unknown_model"),
    (Kind::BadOption, "bad_option"),
    (Kind::BadValue, "bad_value"),
    (Kind::OutOfRange, "out_of_range"),
    (Kind::MissingValue, "missing_value"),
    (Kind::TypeMismatch, "type_mismatch"),
    (Kind::Unsupported, "unsupported"),
    (Kind::BadModel, "bad_model"),
    (Kind::Limit, "limit"),
    (Kind::Memory, "memory"),
    (Kind::Library, "library"),
    (Kind::WrongState, "wrong_state"),
    (Kind::Privilege, "privilege"),
    (Kind::Runtime, "runtime"),
    (Kind::Duplicate, "duplicate"),
    (Kind::TakenMeanwhile, "taken_meanwhile"),
    (Kind::Conflict, "conflict"),
    (Kind::Internal, "internal"),
];

/// What the counter of a kind is called; `None` beyond the last.
#[must_use]
pub fn kind_name(index: usize) -> Option<&'static str> {
    NAMES.get(index).map(|(_, name)| *name)
}

/// Upper bounds of the batch sizes that are told apart; one more counter is for larger ones.
pub const BATCHES: [u64; 6] = [1, 10, 100, 1_000, 10_000, 100_000];

/// Everything that adds up. Times are in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Tally {
    /// Uses of a model by a statement.
    pub requests: u64,
    /// Rows scored.
    pub predictions: u64,
    /// Calls of a function: a row each, or a payload each.
    pub calls: u64,
    /// Calls that were timed, and their time together.
    pub timed: u64,
    /// See [`Tally::timed`].
    pub timed_ns: u64,
    /// Those of them that were drawn from all, not the first of a statement, and their time together. A first call also looks
    /// the model up and may load it, so it says nothing about the others.
    pub drawn: u64,
    /// See [`Tally::drawn`].
    pub drawn_ns: u64,
    /// Models loaded, and the time that took.
    pub loads: u64,
    /// See [`Tally::loads`].
    pub load_ns: u64,
    /// Statements that found the model loaded.
    pub hits: u64,
    /// Calls that failed, by [`kind_name`].
    pub errors: [u64; KINDS],
    /// Times of calls, by [`latency::BOUNDS`].
    pub latency: [u64; BUCKETS],
    /// Rows scored together, by [`BATCHES`].
    pub batches: [u64; BATCHES.len() + 1],
    /// The longest time of a call. Does not add: the larger one stays.
    pub longest_ns: u64,
}

impl Default for Tally {
    fn default() -> Self {
        Self::zeroed()
    }
}

impl Tally {
    /// Numbers in a tally.
    pub(crate) const WORDS: usize = size_of::<Self>() / size_of::<u64>();

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Counts a time.
    pub fn time(&mut self, nanoseconds: u64) {
        self.timed += 1;
        self.timed_ns = self.timed_ns.saturating_add(nanoseconds);
        self.latency[latency::bucket(nanoseconds)] += 1;
        self.longest_ns = self.longest_ns.max(nanoseconds);
    }

    /// Counts the time of a call that was drawn from all.
    pub fn time_drawn(&mut self, nanoseconds: u64) {
        self.time(nanoseconds);
        self.drawn += 1;
        self.drawn_ns = self.drawn_ns.saturating_add(nanoseconds);
    }

    /// Counts `times` that `rows` rows were scored together.
    pub fn batch(&mut self, rows: u64, times: u64) {
        self.predictions += rows * times;
        self.batches[BATCHES.partition_point(|bound| *bound < rows)] += times;
    }

    /// Counts an error. An interrupt is nobody's error.
    pub fn error(&mut self, kind: Kind) {
        if let Some(index) = NAMES.iter().position(|(known, _)| *known == kind) {
            self.errors[index] += 1;
        }
    }

    /// All errors.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.errors.iter().sum()
    }

    /// Adds what another has counted.
    pub fn add(&mut self, other: &Self) {
        let longest = self.longest_ns.max(other.longest_ns);
        for (mine, other) in self.words_mut().iter_mut().zip(other.words()) {
            *mine = mine.wrapping_add(*other);
        }
        self.longest_ns = longest;
    }

    /// What was counted since `earlier`; everything if the counters were set back meanwhile. The longest time is that of all.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut difference = *self;
        if self.calls < earlier.calls || self.requests < earlier.requests {
            return difference;
        }
        for (mine, earlier) in difference.words_mut().iter_mut().zip(earlier.words()) {
            *mine = mine.saturating_sub(*earlier);
        }
        difference.longest_ns = self.longest_ns;
        difference
    }

    /// Mean time of a call in nanoseconds.
    #[must_use]
    pub fn mean_ns(&self) -> Option<f64> {
        (self.timed > 0).then(|| self.busy_ns() / self.calls.max(self.timed) as f64)
    }

    /// The time of all calls together in nanoseconds: of those that were timed what they took, of the others the mean of those
    /// that were drawn; where none were, of all that were timed.
    #[must_use]
    pub fn busy_ns(&self) -> f64 {
        let untimed = self.calls.saturating_sub(self.timed) as f64;
        let mean = |time: u64, calls: u64| time as f64 / calls.max(1) as f64;
        let one = if self.drawn > 0 { mean(self.drawn_ns, self.drawn) } else { mean(self.timed_ns, self.timed) };
        self.timed_ns as f64 + one * untimed
    }

    /// The time that a `share` of the calls does not exceed, in nanoseconds.
    #[must_use]
    pub fn quantile_ns(&self, share: f64) -> Option<f64> {
        latency::quantile(&self.latency, share, self.longest_ns)
    }

    /// The share of requests that failed, 0 to 1; `None` without requests.
    #[must_use]
    pub fn error_rate(&self) -> Option<f64> {
        (self.requests > 0).then(|| (self.failed() as f64 / self.requests as f64).min(1.0))
    }

    /// In few bytes: each number in groups of seven bits, the lowest first (LEB128).
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![];
        for word in self.words() {
            let mut rest = *word;
            while rest > 0x7f {
                bytes.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            bytes.push(rest as u8);
        }
        bytes
    }

    /// What [`Tally::to_bytes`] gave; `None` for other bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (mut tally, mut bytes) = (Self::default(), bytes.iter());
        for word in tally.words_mut() {
            for shift in (0..64).step_by(7) {
                let byte = bytes.next()?;
                *word |= u64::from(byte & 0x7f) << shift;
                if byte & 0x80 == 0 {
                    break;
                }
            }
        }
        bytes.next().is_none().then_some(tally)
    }

    pub(crate) fn words(&self) -> &[u64; Self::WORDS] {
        bytemuck::must_cast_ref(self)
    }

    pub(crate) fn words_mut(&mut self) -> &mut [u64; Self::WORDS] {
        bytemuck::must_cast_mut(self)
    }
}

/// How much of a model is in memory now: a level, not a count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Sessions that hold it.
    pub sessions: i64,
    /// Bytes that they hold together.
    pub bytes: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_each_counted_and_named_once() {
        for (index, (kind, name)) in NAMES.iter().enumerate() {
            let mut tally = Tally::default();
            tally.error(*kind);
            assert_eq!((tally.errors[index], tally.failed()), (1, 1), "{name}");
            assert_eq!(NAMES.iter().filter(|(_, other)| other == name).count(), 1);
        }
        let mut tally = Tally::default();
        tally.error(Kind::Interrupted);
        assert_eq!(tally.failed(), 0, "who cancels a statement has not met an error");
    }

    #[test]
    fn sums_and_differences_are_each_others_inverse() {
        let (mut early, mut more) = (Tally::default(), Tally::default());
        early.batch(1, 5);
        early.calls = 5;
        early.time(700);
        early.requests = 2;
        more.batch(250, 1);
        more.calls = 1;
        more.time(90_000);
        more.error(Kind::BadValue);
        more.requests = 1;
        let mut late = early;
        late.add(&more);
        assert_eq!(late.since(&early), Tally { longest_ns: 90_000, ..more });
        assert_eq!((late.predictions, late.calls, late.longest_ns), (255, 6, 90_000));
        assert_eq!(late.batches[..4], [5, 0, 0, 1]);
        assert_eq!(early.since(&late), early, "set back: everything is new");
        assert_eq!(late.error_rate(), Some(1.0 / 3.0));
    }

    #[test]
    fn time_is_reckoned_from_the_timed_calls() {
        let mut tally = Tally { calls: 640, ..Tally::default() };
        (0..10).for_each(|_| tally.time(2_000));
        assert_eq!(tally.busy_ns(), 1_280_000.0);
        assert_eq!(tally.quantile_ns(1.0), Some(2_000.0));
        // First calls are slow; they stand for themselves alone.
        let mut tally = Tally { calls: 129, ..Tally::default() };
        tally.time(1_000_000);
        tally.time_drawn(1_000);
        tally.time_drawn(3_000);
        assert_eq!(tally.busy_ns(), 1_004_000.0 + 126.0 * 2_000.0);
        assert_eq!(tally.mean_ns(), Some(1_256_000.0 / 129.0));
    }

    #[test]
    fn few_bytes_are_the_same_tally() {
        let mut tally = Tally { requests: u64::MAX, calls: 127, predictions: 128, ..Tally::default() };
        tally.time(5_000_000_000);
        let bytes = tally.to_bytes();
        assert_eq!(Tally::from_bytes(&bytes), Some(tally));
        assert!(bytes.len() < 100, "{}", bytes.len());
        assert!((0..bytes.len()).all(|cut| Tally::from_bytes(&bytes[..cut]).is_none()));
        assert_eq!(Tally::from_bytes(&[bytes, vec![0]].concat()), None);
    }
}
