//! Rows of one model that wait to be asked for.
//!
//! While calls are not asked for, one row waits at a time, and is not even bound: only with the first call a model is looked up, and a
//! batch of more than one is bound as it is read, and scored with the first call that asks for a row of it.

use std::time::Duration;

use e2i_core::{Binder, Error, Result};
use e2i_metrics::Function;
use pgrx::pg_sys::{self, NodeTag};

use crate::catalog::schema::Schema;
use crate::datum::features::Features;
use crate::datum::result;
use crate::explain;
use crate::metrics::clock::Clock;
use crate::metrics::{counter, statement};
use crate::pg::call_site::Place;
use crate::pg::tree;
use crate::pg::{snapshot, varlena};
use crate::scan::bounds::Bounds;
use crate::scan::call::{self, ScoringFunction};
use crate::scan::explaining::Explaining;
use crate::scan::finish::Finishing;
use crate::scan::ready::Ready;
use crate::scan::source::{Below, Source};
use crate::scan::spec::Question;
use crate::scan::tried::{self, Raised, Tried};
use crate::scoring::arm::Asked;
use crate::scoring::{Lease, cache, planned};
use crate::settings;

/// One row in so many is timed while rows are scored one by one, as it is in calls of their own.
const ROWS_A_TIMING: u64 = 64;

/// No row of the scorer.
const NONE: u32 = u32::MAX;

/// A row whose features raise an error.
const RAISES: u32 = u32::MAX - 1;

/// Rows whose features raise errors that nobody has asked for, after which they are scored one by one: an error costs as much as
/// scoring hundreds.
const ERRORS: usize = 16;

/// Rows of one model, bound or to be bound. What a token points to.
pub struct Waiting {
    function: pg_sys::Oid,
    /// The same as one of the library's; all that ask are pinned, or none is.
    scoring: &'static ScoringFunction,
    calls: Vec<Call>,
    model: *mut pg_sys::ExprState,
    /// The version that it was planned for, or as the statement calls the model.
    called: String,
    /// The versions that they were planned for, an array of texts.
    versions: Option<pg_sys::Datum>,
    source: Source,
    bounds: Bounds,
    /// Where answers are made that are there before they are asked for.
    memory: pg_sys::MemoryContext,
    /// What scores; `None` before the first call.
    scorer: Option<Lease>,
    /// Why nothing does.
    failed: Option<Error>,
    /// The role for which it was looked up.
    user: pg_sys::Oid,
    /// For each row of the batch, the scorer's.
    places: Vec<u32>,
    /// What features of rows of the batch have raised: before the call, or of a text, in it.
    raised: Vec<(usize, Raised, InCall)>,
    /// Rows whose features have raised errors so far.
    errors: usize,
    /// Rows of the scorer's.
    bound: u32,
    is_scored: bool,
    /// The row that is handed on, and whether a call has asked for it.
    row: usize,
    is_asked: bool,
    /// Whether it has features.
    is_given: bool,
    /// The row below, where it waits alone and is not bound.
    below: Option<Below>,
    /// Rows of this batch that were asked for.
    asked: usize,
    /// What scoring took, if an EXPLAIN asks.
    busy: Duration,
    /// Rows that were scored, of which one in so many is timed.
    timings: u64,
}

/// Whether an error is one that the call raises, which counts it.
type InCall = bool;

/// A call that asks.
struct Call {
    asked: Asked,
    /// The scorer's number for it, or why the model cannot be asked.
    place: Result<usize>,
    /// Whether the statement's request was counted.
    is_counted: bool,
    /// The answers for the rows of a batch, where there are several and no more is to be done than to take one.
    ready: Ready,
    /// What makes of an answer what the function returns, where that is not the answer itself.
    finish: Option<Finishing>,
    /// What says why a row has its score, where that is asked.
    explaining: Option<Explaining>,
}

impl Waiting {
    /// Rows of a question; the largest column of the row below that they need.
    ///
    /// # Safety
    /// The question must be of the plan of `parent`; `memory` must stay as long as rows wait.
    pub unsafe fn new(
        question: &Question,
        parent: *mut pg_sys::PlanState,
        memory: pg_sys::MemoryContext,
    ) -> Option<(Self, usize)> {
        let functions: Vec<&'static ScoringFunction> =
            question.asked.iter().filter_map(|oid| call::function(*oid)).collect();
        let (function, scoring) = (*question.asked.first()?, *functions.first()?);
        let spelling = scoring.spelling(question.is_as_json);
        if functions.len() != question.asked.len() {
            return None;
        }
        // SAFETY: as the caller promises.
        unsafe {
            let calls = functions.iter().enumerate().map(|(index, function)| Call {
                asked: function.asked(),
                place: Ok(index),
                is_counted: false,
                ready: Ready::default(),
                finish: Finishing::new(function, question, index, parent),
                explaining: Explaining::new(function, question, index, parent),
            });
            let (source, needed) = Source::new(question.features, spelling, parent);
            let model = pg_sys::ExecInitExpr(question.model.cast(), parent);
            let versions = tree::cast::<pg_sys::Const, _>(question.versions, NodeTag::T_Const);
            let versions = versions.filter(|versions| !(**versions).constisnull).map(|versions| (*versions).constvalue);
            let this = Self {
                function,
                scoring,
                calls: calls.collect(),
                model,
                called: versions.and_then(|versions| planned::only(versions)).unwrap_or_else(|| called(question.model)),
                versions,
                source,
                bounds: Bounds::new((*parent).lefttree),
                memory,
                scorer: None,
                failed: None,
                user: pg_sys::Oid::INVALID,
                places: vec![],
                raised: vec![],
                errors: 0,
                bound: 0,
                is_scored: false,
                row: 0,
                is_asked: false,
                is_given: false,
                below: None,
                asked: 0,
                busy: Duration::ZERO,
                timings: 0,
            };
            Some((this, needed))
        }
    }

    /// Forgets the rows.
    pub fn begin(&mut self) {
        self.places.clear();
        self.raised.clear();
        self.bound = 0;
        self.is_scored = false;
        self.below = None;
        self.row = 0;
        self.asked = 0;
        self.calls.iter_mut().for_each(|call| call.ready.begin());
        if let Some(scorer) = &mut self.scorer {
            scorer.begin();
        }
    }

    /// Takes the row below as the only one, to be bound when it is asked for. The row must stay as it is until the next
    /// [`Waiting::begin`]: [`Waiting::hand_on`] and [`Waiting::answer`] read it.
    pub fn wait(&mut self, below: Below) {
        self.below = Some(below);
    }

    /// Binds a row of several.
    ///
    /// # Safety
    /// A valid row below, with all columns that are needed.
    pub unsafe fn bind(&mut self, below: Below) {
        // SAFETY: as the caller promises.
        unsafe {
            if self.scorer.is_none() && self.failed.is_none() {
                self.look_up(below.context);
            }
            let row = self.places.len();
            let mut keep = |raised, in_call| {
                self.raised.push((row, raised, in_call));
                self.errors += 1;
                RAISES
            };
            let place = match (self.source.features(below), &mut self.scorer) {
                (Ok(None), _) => NONE,
                (Ok(Some(_)), None) => 0,
                (Ok(Some(features)), Some(scorer)) => match bound(scorer, features) {
                    Ok(()) => {
                        self.bound += 1;
                        self.bound - 1
                    }
                    Err(raised) => keep(raised, true),
                },
                (Err(raised), _) => keep(raised, false),
            };
            self.places.push(place);
            if let (Source::Slot { columns, .. }, Some(scorer)) = (&self.source, &mut self.scorer) {
                scorer.learn(columns, below.slot);
            }
        }
    }

    /// Binds a row of several as it is stored, without its columns' being taken apart: whether that could be done. It is not one of
    /// the rows before [`Waiting::take_stored`]. Calls nothing of the server's that may raise an error.
    ///
    /// # Safety
    /// A slot of the plan below that holds a row.
    #[inline]
    pub unsafe fn bind_stored(&mut self, slot: *mut pg_sys::TupleTableSlot) -> bool {
        match (&self.source, &mut self.scorer) {
            // SAFETY: as the caller promises.
            (Source::Slot { columns, reading, .. }, Some(scorer)) => unsafe {
                scorer.bind_stored(columns, *reading, slot)
            },
            _ => false,
        }
    }

    /// Takes the row that was bound as it is stored.
    #[inline]
    pub fn take_stored(&mut self) {
        if let Some(scorer) = &mut self.scorer {
            scorer.take_stored();
            self.places.push(self.bound);
            self.bound += 1;
        }
    }

    /// The row of this number is handed on: whether it has features.
    ///
    /// # Safety
    /// The row that waits alone, if one does, must be as it was.
    pub unsafe fn hand_on(&mut self, row: usize) -> bool {
        self.row = row;
        self.is_asked = false;
        self.is_given = match self.below {
            // SAFETY: as the caller promises.
            Some(below) => unsafe { self.source.is_given(below) },
            None => self.places.get(row).is_none_or(|place| *place != NONE),
        };
        self.is_given
    }

    /// Whether the row that is handed on has features.
    #[inline]
    pub fn is_given(&self) -> bool {
        self.is_given
    }

    /// The version with its engine; before anything was scored the one that it was planned for, or as the statement calls the model.
    pub fn model(&self) -> String {
        match &self.scorer {
            Some(scorer) => format!("{} ({})", scorer.active().reference(), scorer.active().engine_name()),
            None => self.called.clone(),
        }
    }

    /// Branches of its trees, with how many of them are left for these rows, and its kernel; nothing before anything was scored.
    pub fn described(&self) -> (Option<(usize, usize)>, Option<String>) {
        self.scorer.as_ref().map_or((None, None), |scorer| scorer.described(settings::batch_size()))
    }

    /// How features reach the model.
    pub fn features(&self) -> String {
        self.source.described()
    }

    /// What scoring took since this was asked last.
    pub fn take_busy(&mut self) -> Duration {
        std::mem::take(&mut self.busy)
    }

    /// Whether its rows are scored one by one even where they wait together.
    pub fn is_scored_alone(&self) -> bool {
        self.errors >= ERRORS || self.scorer.as_ref().is_some_and(|scorer| !scorer.may_be_together())
    }

    /// Rows of the batch that were asked for.
    pub fn asked(&self) -> usize {
        self.asked
    }

    /// Whether the answers to a call are there for all rows.
    pub fn is_ready(&self, call: usize) -> bool {
        self.calls.get(call).is_some_and(|call| call.ready.is_made())
    }

    /// Whether the role that asks now is the one for which the model was looked up.
    #[inline]
    pub fn is_current(&self) -> bool {
        self.user == snapshot::user() && self.failed.is_none()
    }

    /// A row is handed on for which all calls that ask have their answers ready.
    #[inline]
    pub fn hand_on_ready(&mut self, row: usize) {
        self.row = row;
        self.is_asked = true;
        self.asked += 1;
    }

    /// The answer to a call for the row that is handed on, if it was made with those of the whole batch; it is counted.
    #[inline]
    pub fn take_ready(&self, call: usize) -> Option<pg_sys::Datum> {
        let call = self.calls.get(call)?;
        let (answer, place) = (call.ready.get(self.row)?, call.place.as_ref().ok()?);
        self.scorer.as_ref()?.count(*place);
        Some(answer)
    }

    /// The answer to a call for the row that is handed on, as what the function returns, in the current memory or where answers are
    /// made for the whole batch.
    ///
    /// # Errors
    /// Those of the scalar call.
    ///
    /// # Safety
    /// `place` must be that of the call.
    pub unsafe fn answer(&mut self, call: usize, place: Place) -> Result<Option<pg_sys::Datum>> {
        if call >= self.calls.len() {
            return Err(Error::new(e2i_core::Kind::Internal, "a call asks for a row that nobody has read"));
        }
        if !std::mem::replace(&mut self.is_asked, true) {
            self.asked += 1;
        }
        if self.is_current()
            && let Some(answer) = self.take_ready(call)
        {
            return Ok(Some(answer));
        }
        // SAFETY: as the caller promises; the row below stays while it waits alone.
        unsafe {
            self.raise_of_features();
            let is_new = !self.calls[call].is_counted;
            let is_scoring = !self.is_scored && self.calls[call].explaining.is_none();
            let timed = if is_scoring { self.timed(is_new) } else { 0 };
            let clock = (timed > 0).then(|| Clock::start().drawn(!is_new));
            self.require(self.below.map(|below| below.context));
            if let Some(error) = &self.failed {
                let error = error.clone();
                return self.unresolved(call, error);
            }
            let number = match &self.calls[call].place {
                Ok(number) => *number,
                Err(error) => {
                    let error = error.clone();
                    return self.unresolved(call, error);
                }
            };
            let Some(scorer) = &mut self.scorer else {
                return Err(Error::new(e2i_core::Kind::Internal, "a call asks for a row of a model that is NULL"));
            };
            if is_new {
                self.calls[call].is_counted = true;
                scorer.request_of(number, statement::is_shared(&place).then(|| statement::number(&place)));
            }
            if let Some(raised) = take(&mut self.raised, self.row, true) {
                scorer.count_raised(number);
                raised.raise();
            }
            if let Some(below) = self.below
                && self.places.is_empty()
                && let Ok(Some(features)) = self.source.features(below)
            {
                if let Err(raised) = bound(scorer, features) {
                    scorer.count_raised(number);
                    raised.raise();
                }
                self.places.push(0);
            }
            let row = self.places.get(self.row).copied().unwrap_or_default();
            let (asking, rows) = (&mut self.calls[call], self.places.len());
            if let Some(explaining) = &asking.explaining {
                let (schema, row) = (Schema::of_function(self.function)?, row as usize);
                let batch = (rows > 1 && rows == self.bound as usize).then_some(rows);
                return explaining.answer(scorer, schema, (row, batch), &mut asking.ready, self.memory);
            }
            if !self.is_scored {
                if self.bounds.is_time(self.bound, scorer.pruning_pays_from()) {
                    scorer.know(|binder| self.source.known(binder, &self.bounds));
                }
                scorer.score();
                self.is_scored = true;
            }
            let answer = scorer.answer(row as usize, number);
            let ready = &mut asking.ready;
            if rows > 1
                && rows == self.bound as usize
                && !ready.is_tried()
                && let Some((model, question, outputs)) = scorer.together(number)
            {
                match &asking.finish {
                    None => ready.make(model, question, outputs, rows, self.memory),
                    Some(finish) => {
                        let answer = |row| model.answer(question, outputs, row);
                        ready.finish(rows, self.memory, |row| finish.made(scorer, (row, number), &answer(row)?));
                    }
                }
            }
            if let Some(clock) = clock {
                self.busy += clock.read().busy;
                scorer.time_rows(&clock, number, timed);
            }
            let answer = answer?;
            match &self.calls[call].finish {
                None => Ok(Some(result::answer(&answer))),
                Some(finish) => finish.made(scorer, (row as usize, number), &answer),
            }
        }
    }

    /// Raises what the features of the row that is handed on raise, before there is a call.
    #[inline]
    unsafe fn raise_of_features(&mut self) {
        // SAFETY: as the callers promise.
        unsafe {
            if let Some(below) = self.below
                && !self.is_scored
                && self.source.is_computed()
                && let Err(raised) = self.source.features(below)
            {
                raised.raise();
            }
        }
        if let Some(raised) = take(&mut self.raised, self.row, false) {
            raised.raise();
        }
    }

    /// How many calls of the rows that are scored next are timed: as many as of calls of their own.
    fn timed(&mut self, is_new: bool) -> u32 {
        let before = self.timings;
        let rows = if self.below.is_some() { 1 } else { u64::from(self.bound) };
        self.timings += rows;
        let timed = match explain::is_timed() {
            true => rows,
            false if settings::metrics() => {
                let drawn = self.timings / ROWS_A_TIMING - before / ROWS_A_TIMING;
                drawn.max(u64::from(is_new))
            }
            false => 0,
        };
        u32::try_from(timed).unwrap_or(u32::MAX)
    }

    #[cold]
    fn unresolved(&self, call: usize, error: Error) -> Result<Option<pg_sys::Datum>> {
        counter::unresolved(self.calls[call].asked.function.unwrap_or(Function::Predict), error.kind());
        Err(error)
    }

    /// Looks the model up, or again for another role.
    unsafe fn require(&mut self, context: Option<*mut pg_sys::ExprContext>) {
        let is_new = self.scorer.is_none() && self.failed.is_none();
        // SAFETY: as the callers promise.
        unsafe {
            if is_new && let Some(context) = context {
                self.look_up(context);
            } else if !is_new && self.user != snapshot::user() {
                self.look_up_again();
            }
        }
    }

    /// Looks the model up for what is asked.
    #[cold]
    unsafe fn look_up(&mut self, context: *mut pg_sys::ExprContext) {
        self.user = snapshot::user();
        // SAFETY: an expression of the plan, initialised.
        let reference = unsafe {
            let mut is_null = false;
            let model = pg_sys::ExecEvalExprSwitchContext(self.model, context, &raw mut is_null);
            // The functions are STRICT: nobody asks.
            if is_null {
                return;
            }
            for call in &mut self.calls {
                call.finish.iter_mut().for_each(|finish| finish.begin(context));
                call.explaining.iter_mut().for_each(|explaining| explaining.begin(context));
            }
            varlena::text(model).to_owned()
        };
        let asked: Vec<Asked> = self.calls.iter().map(|call| call.asked).collect();
        let mut found = self.lease(&reference, &asked);
        if found.is_err() && asked.len() > 1 {
            // A version that cannot answer one of them answers the others.
            let each: Vec<Result<()>> = asked.iter().map(|asked| self.lease(&reference, &[*asked]).map(drop)).collect();
            let can: Vec<Asked> =
                asked.iter().zip(&each).filter(|(_, can)| can.is_ok()).map(|(asked, _)| *asked).collect();
            if !can.is_empty() {
                let mut number = 0;
                for (call, can) in self.calls.iter_mut().zip(each) {
                    call.place = can.map(|()| {
                        number += 1;
                        number - 1
                    });
                }
                found = self.lease(&reference, &can);
            }
        }
        match found.and_then(|scorer| self.suiting(scorer)) {
            Ok(mut scorer) => {
                scorer.read_ahead(true);
                scorer.begin();
                self.scorer = Some(scorer);
            }
            Err(error) => self.failed = Some(error),
        }
    }

    /// A scorer whose versions find here what they take.
    fn suiting(&self, scorer: Lease) -> Result<Lease> {
        let holds_all = |model: &Binder| match &self.source {
            Source::Slot { columns, .. } | Source::Columns { columns, .. } => columns.hold_all(model),
            Source::Value { .. } => false,
        };
        if let Some(versions) = self.versions {
            // SAFETY: a constant of the plan, of that type.
            unsafe { planned::require(&scorer, versions, holds_all)? };
        }
        Ok(scorer)
    }

    fn lease(&self, reference: &str, asked: &[Asked]) -> Result<Lease> {
        let schema = Schema::of_function(self.function)?;
        let preference = self.scoring.preference(schema, reference)?;
        Ok(cache::scorer(schema, reference, asked, preference)?.0)
    }

    /// Another role asks for rows that were read already: it needs the right to see the version.
    #[cold]
    fn look_up_again(&mut self) {
        self.user = snapshot::user();
        let Some(scorer) = &self.scorer else { return };
        let reference = scorer.active().reference().to_owned();
        let asked: Vec<Asked> = self.calls.iter().filter(|call| call.place.is_ok()).map(|call| call.asked).collect();
        self.failed = self.lease(&reference, &asked).map(drop).err();
    }
}

/// Binds a row. A text is parsed by the server, which may raise what is wrong with it.
fn bound(scorer: &mut Lease, features: Features<'_>) -> Tried<()> {
    let parsed = match features.is_text() {
        // One that is no JSON at all is the scorer's to report.
        true => tried::tried(|| features.parsed(&scorer.active().binder))?.unwrap_or(features),
        false => features,
    };
    scorer.bind(parsed);
    Ok(())
}

/// What the features of a row have raised.
#[inline]
fn take(raised: &mut Vec<(usize, Raised, InCall)>, row: usize, in_call: InCall) -> Option<Raised> {
    let place = raised.iter().position(|(number, _, at)| *number == row && *at == in_call)?;
    Some(raised.swap_remove(place).1)
}

/// How a statement calls a model: the constant, or which parameter.
unsafe fn called(model: *mut pg_sys::Node) -> String {
    // SAFETY: an expression of the plan; a constant that is not NULL is a text.
    unsafe {
        if let Some(constant) = tree::cast::<pg_sys::Const, _>(model, NodeTag::T_Const) {
            return if (*constant).constisnull {
                String::new()
            } else {
                varlena::text((*constant).constvalue).to_owned()
            };
        }
        tree::cast::<pg_sys::Param, _>(model, NodeTag::T_Param)
            .map_or_else(String::new, |parameter| format!("${}", (*parameter).paramid))
    }
}
