//! What this backend has counted and not yet handed over.
//!
//! Counting a row is one addition to memory that nobody else writes; the clock is read for one call in 64 and for the first of
//! a statement. What was counted goes to the board at the end of the transaction, whether it commits or not, because it was
//! served either way, and every thousand rows within one.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use e2i_core::Kind;
use e2i_metrics::{Function, Key, Loaded, Place, Row, Scorer, Tally};
use once_cell::sync::OnceCell;

use crate::catalog::model::ModelId;
use crate::metrics::clock::Took;
use crate::metrics::{board, statement};
use crate::pg::{process, time, transaction};
use crate::settings;

/// Rows after which a timed call hands over what was counted, so that a long statement is seen while it runs.
const ROWS_AT_MOST: u64 = 1024;

/// Counters that a session keeps.
const COUNTERS: usize = 1024;

/// Counts for one key.
pub struct Counter {
    key: Key,
    place: Cell<Option<Place>>,
    /// Rows scored one by one, which are also calls.
    rows: Cell<u64>,
    /// Everything else.
    tally: RefCell<Tally>,
    /// Nanoseconds in the model itself, of the calls that were timed; only an EXPLAIN asks.
    busy_ns: Cell<u64>,
    loaded: Cell<Loaded>,
    /// How often places had become free when it found none last.
    refused: Cell<Option<u64>>,
    is_pending: Cell<bool>,
    /// Whether it goes to the board; if not, only an EXPLAIN asks.
    is_kept: bool,
}

type Known = (Function, Scorer, ModelId);

thread_local! {
    static COUNTERS_OF: RefCell<HashMap<Known, Vec<Rc<Counter>>>> = RefCell::new(HashMap::new());
    static PENDING: RefCell<Vec<Rc<Counter>>> = const { RefCell::new(vec![]) };
    static KNOWN: Cell<usize> = const { Cell::new(0) };
}

/// Somebody else who takes what counters hand over, of which `timed_ns` is the time in the model alone.
pub type Taker = fn(&Key, &Tally);

static EXPLAINS: OnceCell<Taker> = OnceCell::new();

/// While a statement is explained, `taker` hears of what is handed over, too; called once, when the library is loaded.
pub fn listen(taker: Taker) {
    let _ = EXPLAINS.set(taker);
}

/// What was counted for this database until now.
pub fn rows() -> Vec<Row> {
    flush();
    board::together(|board| board.rows(process::database()).collect())
}

/// Hands everything over.
pub fn flush() {
    let pending = PENDING.with(|pending| pending.try_borrow_mut().map(|mut pending| std::mem::take(&mut *pending)));
    pending.into_iter().flatten().for_each(|counter| counter.flush());
}

impl Counter {
    /// The counter of a function, an engine, a version and a service; the last is empty for a version called by its name.
    pub fn of(function: Function, scorer: Scorer, model: ModelId, service: &str, reference: &str) -> Rc<Self> {
        COUNTERS_OF.with_borrow_mut(|known| {
            if KNOWN.get() >= COUNTERS {
                KNOWN.set(0);
                known.clear();
            }
            let same = known.entry((function, scorer, model)).or_default();
            // What is in memory is always known.
            let is_kept = settings::metrics() || function == Function::Load;
            let key = Key::new(process::database(), function, scorer, model, service, reference);
            if let Some(counter) = same.iter().find(|counter| counter.key == key && counter.is_kept == is_kept) {
                return counter.clone();
            }
            let counter = Rc::new(Self {
                key,
                place: Cell::new(None),
                rows: Cell::new(0),
                tally: RefCell::new(Tally::default()),
                busy_ns: Cell::new(0),
                loaded: Cell::new(Loaded::default()),
                refused: Cell::new(None),
                is_pending: Cell::new(false),
                is_kept,
            });
            KNOWN.set(KNOWN.get() + 1);
            same.push(counter.clone());
            counter
        })
    }

    /// A statement begins to use the version; other processes may do so too, at the place of this number.
    pub fn request(self: &Rc<Self>, shared: Option<u64>) {
        if shared.is_none_or(|number| statement::is_first(number, self.key.number())) {
            self.count(|tally| tally.requests += 1);
        }
    }

    /// A row was scored by a call of its own.
    #[inline]
    pub fn row(self: &Rc<Self>) {
        let rows = self.rows.get();
        if rows == 0 {
            self.remember();
        }
        self.rows.set(rows + 1);
    }

    /// Counts anything else.
    pub fn count(self: &Rc<Self>, change: impl FnOnce(&mut Tally)) {
        self.remember();
        change(&mut self.tally.borrow_mut());
    }

    /// Calls took so long each, and the model itself for all of them together.
    pub fn time(self: &Rc<Self>, took: Took, calls: u32) {
        self.count(|tally| {
            for call in 0..calls {
                match took.is_drawn || call > 0 {
                    true => tally.time_drawn(nanoseconds(took.all)),
                    false => tally.time(nanoseconds(took.all)),
                }
            }
        });
        self.busy(took.busy);
        if self.rows.get() >= ROWS_AT_MOST {
            self.flush();
        }
    }

    /// The model itself took so long, for a call that is timed elsewhere.
    pub fn busy(self: &Rc<Self>, time: Duration) {
        self.remember();
        self.busy_ns.set(self.busy_ns.get().saturating_add(nanoseconds(time)));
    }

    /// A call failed.
    pub fn error(self: &Rc<Self>, kind: Kind) {
        self.count(|tally| {
            tally.calls += 1;
            tally.error(kind);
        });
    }

    /// Something came into this session's memory, or went: sessions (1 or -1) and bytes.
    pub fn load(self: &Rc<Self>, sessions: i64, bytes: i64) {
        // What this process holds is given back when it ends.
        transaction::hear_of_exit();
        self.remember();
        let Loaded { sessions: all_sessions, bytes: all_bytes } = self.loaded.get();
        self.loaded.set(Loaded { sessions: all_sessions + sessions, bytes: all_bytes + bytes });
    }

    fn remember(self: &Rc<Self>) {
        if !self.is_pending.replace(true) {
            PENDING.with_borrow_mut(|pending| pending.push(self.clone()));
        }
    }

    fn flush(&self) {
        self.is_pending.set(false);
        let (rows, mut tally) = (self.rows.take(), self.tally.replace(Tally::default()));
        let (loaded, busy_ns) = (self.loaded.take(), self.busy_ns.take());
        tally.batch(1, rows);
        tally.calls += rows;
        if let Some(taker) = EXPLAINS.get().filter(|_| settings::is_explaining()) {
            taker(&self.key, &Tally { timed_ns: busy_ns, ..tally });
        }
        if !self.is_kept {
            return;
        }
        let added =
            |place: Option<Place>| place.is_some_and(|place| board::together(|board| board.add(place, &tally, loaded)));
        if added(self.place.get()) {
            return;
        }
        // No place yet, or it was given away. While all are taken nobody is kept from counting by who looks for one.
        let vacated = board::together(|board| board.vacated());
        if self.refused.get() != Some(vacated) {
            let now = time::now();
            self.place.set(board::alone(|board| board.claim(&self.key, now)));
            self.refused.set(self.place.get().is_none().then_some(vacated));
        }
        if !added(self.place.get()) {
            board::together(|board| board.lose(&self.key, &tally));
        }
    }
}

/// What is counted, and for whom: counters that were found in one mode are not those of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mode {
    is_kept: bool,
    is_explained: bool,
}

/// The mode of the current statement.
pub fn mode() -> Mode {
    Mode { is_kept: settings::metrics(), is_explained: settings::is_explaining() }
}

/// A call failed before it was known which version it means.
pub fn unresolved(function: Function, kind: Kind) {
    if settings::metrics() || settings::is_explaining() {
        let counter = Counter::of(function, Scorer::None, ModelId::default(), "", "");
        counter.count(|tally| tally.requests += 1);
        counter.error(kind);
    }
}

/// A time in nanoseconds.
pub fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
