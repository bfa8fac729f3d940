//! What scores rows: the active version, or the one that a row's share of traffic belongs to, and beside it the shadow.
//!
//! The one way of a row, whether a statement has one at a time or a payload many: rows are bound, scored together, and each
//! is asked for its answer. What is wrong with a row is kept as its answer, so rows may be read ahead of those that a caller
//! gets to see.

use std::rc::Rc;
use std::time::{Duration, Instant};

use e2i_core::reading::Question;
use e2i_core::traffic::{Split, Traffic};
use e2i_core::{Answer, Batch, Binder, Error, Kind, Known, Outputs, Result, feature_hash};
use e2i_metrics::Function;
use pgrx::pg_sys;

use crate::catalog::schema::Schema;
use crate::datum::columns::Columns;
use crate::datum::features::Features;
use crate::datum::row::Reading;
use crate::explain;
use crate::inference_log::record::{self, Capacity, Log, Outcome};
use crate::metrics::clock::Clock;
use crate::metrics::counter::{self, Counter};
use crate::scoring::arm::{Arm, Asked};
use crate::scoring::calibrated::Calibrated;
use crate::scoring::engines::Preference;
use crate::scoring::model::LoadedModel;
use crate::scoring::shadow;

/// What a reference means, loaded: who scores the rows of a service.
pub struct Lineup {
    /// The schema of the extension.
    pub schema: Schema,
    /// The version that is meant; of a service, the active one.
    pub model: Rc<LoadedModel>,
    /// The service that was called; empty for a version called by its name or alias.
    pub service: String,
    /// The split of a service's traffic, and the version of each share.
    pub split: Option<(Split, Vec<Rc<LoadedModel>>)>,
    /// The service's shadow version and the share of rows that it scores.
    pub shadow: Option<(Rc<LoadedModel>, f64)>,
    /// The log of the service's rows.
    pub log: Option<Log>,
    /// Whether it is the same for every caller, and for every statement: nothing was left out.
    pub is_whole: bool,
}

/// Scores rows with one lineup. Its buffers are used again for the rows that come next.
#[derive(Default)]
pub struct Scorer {
    asked: Vec<Asked>,
    service: String,
    /// The active version first, then those that share its traffic.
    arms: Vec<Arm>,
    traffic: Traffic,
    shadow: Option<Arm>,
    log: Option<Log>,
    /// Whether it has all that its lineup may have.
    is_whole: bool,
    /// Whether one version scores all rows, with nothing beside: neither logged nor compared.
    is_alone: bool,
    /// What was counted when its counters were found.
    counted: counter::Mode,
    rows: Vec<Row>,
}

/// A row that was bound.
#[derive(Default)]
struct Row {
    /// Which arm scores it, and at which place there.
    arm: usize,
    place: usize,
    /// Why it is not scored.
    error: Option<Error>,
    /// `None` for a row that is neither logged nor compared.
    beside: Option<Box<Beside>>,
}

/// What is done besides with a row.
#[derive(Default)]
struct Beside {
    /// A bit for each call that is logged.
    drawn: u32,
    /// Since when, if any is, and how long it took.
    begun: Option<Instant>,
    took: Option<Duration>,
    /// The row's place in the shadow, if it is compared.
    shadow: Option<Result<usize>>,
}

impl Scorer {
    /// A scorer for what is asked of every row.
    ///
    /// # Errors
    /// What a version that answers cannot be asked.
    pub fn new(lineup: Lineup, asked: &[Asked]) -> Result<Self> {
        let Lineup { schema, model, service, split, shadow, log, is_whole } = lineup;
        let is_pinned = asked.iter().any(|asked| asked.function == Some(Function::Pinned));
        if let Some(why) = model.interface().varies.as_ref().filter(|_| is_pinned) {
            return Err(Error::new(Kind::Unsupported, format!("model {} cannot be pinned: {why}", model.reference()))
                .with_detail("Its answer to a row is not that row's alone, or not always the same.")
                .with_hint("Use e2i_predict, or export the model for inference and register that."));
        }
        let mut arms = vec![Arm::new(schema, model, asked, &service, false)?];
        let split = match split {
            None => None,
            Some((split, models)) => {
                let mut versions = Vec::with_capacity(models.len());
                for model in models {
                    let known = arms.iter().position(|arm| arm.model.id == model.id);
                    versions.push(known.unwrap_or(arms.len()));
                    if known.is_none() {
                        arms.push(Arm::new(schema, model, asked, &service, false)?);
                    }
                }
                Some((split, versions))
            }
        };
        // A shadow that cannot answer the question is left out: callers must not notice it.
        let shadow =
            shadow.and_then(|(model, sample)| Some((Arm::new(schema, model, asked, &service, true).ok()?, sample)));
        let (shadow, sample) = shadow.unzip();
        let traffic = Traffic::new(split, sample.unwrap_or_default());
        let (asked, counted) = (asked.to_vec(), counter::mode());
        let is_alone = arms.len() == 1 && !traffic.is_split() && shadow.is_none() && log.is_none();
        let rows = Vec::with_capacity(1);
        Ok(Self { asked, service, arms, traffic, shadow, log, is_whole, is_alone, counted, rows })
    }

    /// Whether it is as a new one with this engine would be, for the same lineup.
    pub fn is_for(&self, asked: &[Asked], preference: Preference) -> bool {
        let is_preferred = self.arms.first().is_some_and(|arm| arm.model.preference == preference);
        is_preferred && self.asked == asked && self.counted == counter::mode()
    }

    /// Whether all its versions are in the session's cache.
    pub fn is_cached(&self) -> bool {
        self.models().all(|model| model.is_cached.get())
    }

    /// Whether it may be kept for a later statement, of whichever caller: nothing is left out of it, it holds no version that would
    /// go otherwise, and its buffers are for one row.
    pub fn may_wait(&self) -> bool {
        self.is_whole && self.is_cached() && self.arms.iter().all(|arm| arm.batch.rows() <= 1)
    }

    /// The versions that it has.
    pub fn models(&self) -> impl Iterator<Item = &Rc<LoadedModel>> {
        self.arms.iter().chain(&self.shadow).map(|arm| &arm.model)
    }

    /// The version that is meant; of a service, the active one.
    pub fn active(&self) -> &Rc<LoadedModel> {
        &self.arms[0].model
    }

    /// Whether rows that are read ahead may be scored together.
    pub fn may_be_together(&self) -> bool {
        self.models().all(|model| model.may_be_together())
    }

    /// Whether the traffic is split.
    pub fn is_split(&self) -> bool {
        self.traffic.is_split()
    }

    /// A statement begins to use it; other processes may do so too, at the place of this number.
    pub fn request(&mut self, shared: Option<u64>) {
        self.arms[0].counters().for_each(|counter| counter.request(shared));
        self.arms.iter_mut().chain(&mut self.shadow).for_each(|arm| arm.busy = Duration::ZERO);
    }

    /// The same for one of several things that are asked, whose calls are told apart.
    pub fn request_of(&mut self, asked: usize, shared: Option<u64>) {
        if let Some(counter) = self.arms[0].counter(asked) {
            counter.request(shared);
        }
    }

    /// Counts an error that the server has raised for one of several things that are asked, as [`Scorer::bind`] does where it passes.
    pub fn count_raised(&self, asked: usize) {
        if let Some(counter) = self.arms[0].counter(asked) {
            counter.error(Kind::BadValue);
        }
    }

    /// Whether rows will be bound that may never be asked for.
    pub fn read_ahead(&mut self, is_ahead: bool) {
        self.arms.iter_mut().chain(&mut self.shadow).for_each(|arm| {
            arm.is_ahead = is_ahead;
            arm.busy = Duration::ZERO;
            arm.know(None);
        });
    }

    /// From how many rows on it may pay to [`Scorer::know`] something of them.
    pub fn pruning_pays_from(&self) -> f64 {
        self.arms.first().map_or(f64::INFINITY, |arm| arm.model.pruning_pays_from)
    }

    /// Something is known of the rows that come, until [`Scorer::read_ahead`]; `known` says what, by what binds them. No answer
    /// depends on it.
    pub fn know(&mut self, known: impl Fn(&Binder) -> Option<Known>) {
        for arm in self.arms.iter_mut().chain(&mut self.shadow) {
            let known = known(&arm.model.binder);
            arm.know(known.as_ref());
        }
    }

    /// Branches of the trees of the version that is meant, and how many of them are left for the rows of which something is known; the
    /// code that does most of the work for so many rows.
    pub fn described(&self, rows: usize) -> (Option<(usize, usize)>, Option<String>) {
        let Some(arm) = self.arms.first() else { return (None, None) };
        match arm.pruned() {
            Some(pruned) => (pruned.nodes(), pruned.kernel(rows)),
            None => (arm.model.nodes(), arm.model.kernel(rows)),
        }
    }

    /// Forgets the rows of before.
    #[inline]
    pub fn begin(&mut self) {
        self.rows.clear();
        self.arms.iter_mut().chain(&mut self.shadow).for_each(Arm::clear);
    }

    /// Binds the next row; whether it will be scored.
    #[inline]
    pub fn bind(&mut self, features: Features<'_>) -> bool {
        let mut row = Row { beside: self.log.as_ref().and_then(|log| self.draw(log)), ..Row::default() };
        row.error = self.place(features, &mut row).err();
        let is_scored = row.error.is_none();
        self.rows.push(row);
        is_scored
    }

    /// Binds the next row as it is stored, if it can be: whether it was. It is not one of the rows before [`Scorer::take_stored`].
    ///
    /// # Safety
    /// `columns` must be those of the slot's rows in their order, and the slot hold a row.
    #[inline]
    pub unsafe fn bind_stored(
        &mut self,
        columns: &Columns,
        reading: Reading,
        slot: *mut pg_sys::TupleTableSlot,
    ) -> bool {
        match &mut self.arms[..] {
            // SAFETY: as the caller promises.
            [only] if self.is_alone => unsafe { only.bind_stored(columns, reading, slot) },
            _ => false,
        }
    }

    /// Takes the row that was bound as it is stored.
    #[inline]
    pub fn take_stored(&mut self) {
        if let [only, ..] = &mut self.arms[..] {
            self.rows.push(Row { place: only.rows, ..Row::default() });
            only.rows += 1;
        }
    }

    /// Learns where columns stand in the rows of a slot.
    ///
    /// # Safety
    /// As [`Scorer::bind_stored`]; the description of the slot's rows must stay as long as such rows are bound.
    pub unsafe fn learn(&mut self, columns: &Columns, slot: *mut pg_sys::TupleTableSlot) {
        if let [only] = &mut self.arms[..] {
            // SAFETY: as the caller promises.
            unsafe { only.learn(columns, slot) };
        }
    }

    /// What came of all rows for what is asked at this place, where an answer is no more than read off it: the version, the question
    /// and the outputs. Who reads an answer there counts it by [`Scorer::count`].
    pub fn together(&self, asked: usize) -> Option<(&LoadedModel, Question, &Outputs)> {
        let [only] = &self.arms[..] else { return None };
        let is_whole = self.is_alone && only.rows == self.rows.len() && self.rows.iter().all(|row| row.error.is_none());
        let (question, outputs) = only.together(asked).filter(|_| is_whole)?;
        Some((&*only.model, question, outputs))
    }

    /// Counts an answer that was read off the outputs.
    #[inline]
    pub fn count(&self, asked: usize) {
        if let [only] = &self.arms[..] {
            only.count(asked);
        }
    }

    /// Draws the calls that are logged.
    fn draw(&self, log: &Log) -> Option<Box<Beside>> {
        let drawn = self
            .asked
            .iter()
            .enumerate()
            .map(|(index, asked)| u32::from(asked.function.is_some() && log.draw()) << index);
        let drawn = drawn.sum();
        (drawn != 0).then(|| Box::new(Beside { drawn, begun: Some(Instant::now()), ..Beside::default() }))
    }

    /// Binds a row to the active version, which says whose it is, and to the version that scores it.
    #[inline]
    fn place(&mut self, features: Features<'_>, row: &mut Row) -> Result<()> {
        let [active, ..] = &mut self.arms[..] else { return Ok(()) };
        let features = match features.is_text() {
            false => features,
            true => {
                // The server's own reader of JSON raises errors of its own.
                let _counts = CountsUnwinding(active.counter(0));
                features.parsed(&active.model.binder)?
            }
        };
        row.place = active.bind(features)?;
        let scored = self.traffic.of(active.model.interface(), &active.batch, row.place);
        if scored.by != 0 {
            row.place = self.arms[scored.by].bind(features)?;
            row.arm = scored.by;
        }
        let arm = &mut self.arms[row.arm];
        if let Some(log) = &self.log {
            log.guard(&arm.model.binder, &arm.batch, row.place)?;
        }
        arm.rows += 1;
        if scored.beside {
            row.beside.get_or_insert_default().shadow = self.bind_beside(features);
        }
        Ok(())
    }

    /// Binds a row to the shadow. What goes wrong there is kept, not raised.
    #[cold]
    fn bind_beside(&mut self, features: Features<'_>) -> Option<Result<usize>> {
        let shadow = self.shadow.as_mut()?;
        let clock = explain::is_timed().then(Clock::start);
        let bound = shadow.bind(features);
        shadow.rows += usize::from(bound.is_ok());
        shadow.busy += clock.map_or(Duration::ZERO, |clock| clock.read().busy);
        Some(bound)
    }

    /// Scores all rows that were bound.
    #[inline]
    pub fn score(&mut self) {
        match (&mut self.arms[..], &self.shadow) {
            ([only], None) => {
                if only.rows > 0 {
                    only.score();
                }
            }
            _ => self.score_all(),
        }
        if self.log.is_some() {
            let begun = self.rows.iter_mut().filter_map(|row| row.beside.as_mut());
            begun.for_each(|beside| beside.took = beside.begun.map(|begun| begun.elapsed()));
        }
    }

    fn score_all(&mut self) {
        let is_timed = explain::is_timed();
        for arm in self.arms.iter_mut().chain(&mut self.shadow).filter(|arm| arm.rows > 0) {
            let clock = is_timed.then(Clock::start);
            arm.score();
            arm.busy += clock.map_or(Duration::ZERO, |clock| clock.read().busy);
        }
    }

    /// The answer of one row by itself.
    ///
    /// # Errors
    /// As [`Scorer::answer`].
    #[inline]
    pub fn score_one(&mut self, features: Features<'_>) -> Result<Answer> {
        self.begin();
        if self.bind(features) {
            self.score();
        }
        self.answer(0, 0)
    }

    /// The version that a row belongs to, its batch, and the row's place there.
    ///
    /// # Errors
    /// What binding reported.
    pub fn bound(&self, row: usize) -> Result<(&Rc<LoadedModel>, &Batch, usize)> {
        let Row { arm, place, error, .. } = &self.rows[row];
        match error {
            None => Ok((&self.arms[*arm].model, &self.arms[*arm].batch, *place)),
            Some(error) => Err(error.clone()),
        }
    }

    /// All rows, where one version was given all, and none is in error: the version and its batch, which has them in their order.
    pub fn all_bound(&mut self) -> Option<(&Rc<LoadedModel>, &Batch)> {
        let [only] = &mut self.arms[..] else { return None };
        if only.rows != self.rows.len() || self.rows.iter().any(|row| row.error.is_some()) {
            return None;
        }
        only.batch.set_rows(only.rows);
        Some((&only.model, &only.batch))
    }

    /// How sure the version that scored a row is of what is asked at this place, with the version, its batch, and the row's place there.
    #[inline]
    pub fn calibrated(&self, row: usize, asked: usize) -> Option<(&Calibrated, &LoadedModel, (&Batch, usize))> {
        let Row { arm, place, .. } = self.rows.get(row)?;
        let arm = &self.arms[*arm];
        Some((arm.calibrated(asked)?, &arm.model, (&arm.batch, *place)))
    }

    /// The version that scored a row.
    pub fn model(&self, row: usize) -> &Rc<LoadedModel> {
        &self.arms[self.rows[row].arm].model
    }

    /// The hash of a row's features, as the version that scores it is given them; `None` for a row that could not be bound.
    pub fn features_hash(&self, row: usize) -> Option<i64> {
        let Row { arm, place, error, .. } = &self.rows[row];
        let arm = &self.arms[*arm];
        error.is_none().then(|| feature_hash(arm.model.interface(), &arm.batch, *place))
    }

    /// Whether the active version can answer what is asked at this place.
    pub fn active_gives(&self, asked: usize) -> bool {
        self.arms[0].gives(asked)
    }

    /// Whether the version that scored a row can.
    pub fn gives(&self, row: usize, asked: usize) -> bool {
        self.arms[self.rows[row].arm].gives(asked)
    }

    /// The answer of a row to what is asked at this place. To be asked for once: that is a call, which is counted, logged
    /// and compared.
    ///
    /// # Errors
    /// What binding reported, or the engine.
    #[inline]
    pub fn answer(&mut self, row: usize, asked: usize) -> Result<Answer> {
        let Row { arm, place, error, beside } = &self.rows[row];
        let arm = &mut self.arms[*arm];
        let answer = match error {
            None => arm.answer(asked, *place),
            Some(error) => Err(error.clone()),
        };
        if let (Err(error), Some(counter)) = (&answer, arm.counter(asked)) {
            counter.error(error.kind());
        }
        if beside.is_some() {
            self.answer_beside(row, asked, &answer);
        }
        answer
    }

    /// Logs a row, and compares it with what the shadow says.
    #[cold]
    fn answer_beside(&mut self, row: usize, asked: usize, answer: &Result<Answer>) {
        let Row { arm, place, beside: Some(beside), .. } = &self.rows[row] else { return };
        if self.asked[asked].function.is_none() {
            return;
        }
        let request = record::request();
        let mut is_logged = beside.drawn >> asked & 1 != 0;
        if let (Ok(answer), Some(shadow), Some(bound)) = (answer, &mut self.shadow, &beside.shadow) {
            let other = match bound {
                Ok(place) => shadow.answer(asked, *place),
                Err(error) => Err(error.clone()),
            };
            if let (Err(error), Some(counter)) = (&other, shadow.counter(asked)) {
                counter.error(error.kind());
            }
            if let Some(log) = &self.log {
                let bound = bound.as_ref().ok().filter(|_| other.is_ok());
                let row = bound.map(|place| (&shadow.batch, *place));
                let (model, capacity) = (&shadow.model.binder, Capacity::Shadow);
                log.keep(request, &Outcome { model, capacity, row, answer: other.as_ref(), took: None });
                is_logged = true;
            }
            shadow::keep(&self.service, &self.arms[*arm].model, &shadow.model, answer, other);
        }
        if let Some(log) = self.log.as_ref().filter(|_| is_logged) {
            let capacity = if *arm == 0 { Capacity::Active } else { Capacity::Canary };
            let arm = &self.arms[*arm];
            // What was bound only in part is not shown.
            let row = answer.is_ok().then_some((&arm.batch, *place));
            let (model, took) = (&arm.model.binder, beside.took.or_else(|| Some(beside.begun?.elapsed())));
            log.keep(request, &Outcome { model, capacity, row, answer: answer.as_ref(), took });
        }
    }

    /// A call failed before its rows could be bound.
    pub fn failed(&self, error: &Error) {
        if let Some(counter) = self.arms[0].counter(0) {
            counter.error(error.kind());
        }
    }

    /// A call has scored one row, for so long.
    #[cold]
    pub fn time_row(&mut self, clock: &Clock) {
        let arm = self.rows.last().map_or(0, |row| row.arm);
        self.time(clock, arm);
    }

    /// What is asked at this place has had rows scored together, for so long: a row's share is the time of its call, of which so many
    /// are noted.
    pub fn time_rows(&mut self, clock: &Clock, asked: usize, calls: u32) {
        let rows = u32::try_from(self.rows.len().max(1)).unwrap_or(u32::MAX);
        self.time_of(clock, 0, asked, Shares { rows, calls });
    }

    /// A call has scored a payload, for so long.
    pub fn time_payload(&mut self, clock: &Clock) {
        if let Some(counter) = self.arms[0].counter(0) {
            counter.count(|tally| tally.calls += 1);
        }
        self.time(clock, 0);
    }

    /// Of the time of a call, what other versions took is theirs.
    fn time(&mut self, clock: &Clock, answering: usize) {
        self.time_of(clock, answering, 0, Shares { rows: 1, calls: 1 });
    }

    fn time_of(&mut self, clock: &Clock, answering: usize, asked: usize, shares: Shares) {
        let mut took = clock.read();
        took.all /= shares.rows;
        let mut beside = Duration::ZERO;
        for (index, arm) in self.arms.iter_mut().chain(&mut self.shadow).enumerate() {
            let busy = std::mem::take(&mut arm.busy);
            if let Some(counter) = arm.counter(asked).filter(|_| index != answering && !busy.is_zero()) {
                counter.busy(busy);
                beside += busy;
            }
        }
        if let Some(counter) = self.arms[answering].counter(asked) {
            counter.time(took.without(beside), shares.calls);
        }
    }
}

/// Rows that a time is of, and calls that are noted to have taken their share of it.
#[derive(Clone, Copy)]
struct Shares {
    rows: u32,
    calls: u32,
}

/// Counts an error of the server's that passes through.
struct CountsUnwinding<'c>(Option<&'c Rc<Counter>>);

impl Drop for CountsUnwinding<'_> {
    fn drop(&mut self) {
        if let Some(counter) = self.0.filter(|_| std::thread::panicking()) {
            counter.error(Kind::BadValue);
        }
    }
}
