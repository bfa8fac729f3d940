//! Rows of one model that wait to be asked for.
//!
//! While calls are not asked for, one row waits at a time, and is not even bound: only with the first call a model is looked up, and a
//! batch of more than one is bound as it is read, and scored with the first call that asks for a row of it.

use std::time::Duration;

use e2i_core::{Answer, Binder, Error, Result};
use e2i_metrics::Function;
use pgrx::pg_sys::{self, NodeTag};

use crate::catalog::schema::Schema;
use crate::datum::columns::Columns;
use crate::datum::features::{Features, Spelling};
use crate::datum::row::Reading;
use crate::explain;
use crate::metrics::clock::Clock;
use crate::metrics::{counter, statement};
use crate::pg::call_site::Place;
use crate::pg::tree;
use crate::pg::{snapshot, varlena};
use crate::scan::call::{self, ScoringFunction};
use crate::scan::spec::Question;
use crate::scoring::arm::Asked;
use crate::scoring::engines::Preference;
use crate::scoring::{Lease, cache, planned};
use crate::settings;

/// One row in so many is timed while rows are scored one by one, as it is in calls of their own.
const ROWS_A_TIMING: u64 = 64;

/// No row of the scorer.
const NONE: u32 = u32::MAX;

/// Where a row below is, and in which memory expressions over it are evaluated.
#[derive(Clone, Copy)]
pub struct Below {
    /// The row.
    pub slot: *mut pg_sys::TupleTableSlot,
    /// For the expressions.
    pub context: *mut pg_sys::ExprContext,
}

/// Rows of one model, bound or to be bound. What a token points to.
pub struct Waiting {
    function: pg_sys::Oid,
    calls: Vec<Call>,
    model: *mut pg_sys::ExprState,
    /// As the statement calls the model.
    called: String,
    /// The versions that they were planned for, an array of texts.
    versions: Option<pg_sys::Datum>,
    source: Source,
    /// What scores; `None` before the first call.
    scorer: Option<Lease>,
    /// Why nothing does.
    failed: Option<Error>,
    /// The role for which it was looked up.
    user: pg_sys::Oid,
    /// For each row of the batch, the scorer's.
    places: Vec<u32>,
    /// Rows of the scorer's.
    bound: u32,
    is_scored: bool,
    /// The row that is handed on.
    row: usize,
    /// The row below, where it waits alone and is not bound.
    below: Option<Below>,
    /// Rows of this batch that were asked for.
    asked: usize,
    /// What scoring took, if an EXPLAIN asks.
    busy: Duration,
    /// Rows that were scored, of which one in so many is timed.
    timings: u64,
}

/// A call that asks.
struct Call {
    asked: Asked,
    /// The scorer's number for it, or why the model cannot be asked.
    place: Result<usize>,
    /// Whether the statement's request was counted.
    is_counted: bool,
    /// Whether it has not asked for the row that is handed on yet.
    is_first: bool,
}

/// Where features come from.
enum Source {
    /// So many columns of the row below, as they stand there among others.
    Slot { columns: Columns, reading: Reading, count: usize, width: usize },
    /// Columns of the row below, constants and what is computed of them.
    Columns { columns: Columns, reading: Reading, fields: Vec<Field>, values: Vec<pg_sys::Datum>, nulls: Vec<bool> },
    /// One value.
    Value { state: *mut pg_sys::ExprState, spelling: Spelling },
}

enum Field {
    /// A column of the row below.
    Column(usize),
    /// A constant, which is there already.
    Constant,
    Computed(*mut pg_sys::ExprState),
}

impl Waiting {
    /// Rows of a question; the largest column of the row below that they need.
    ///
    /// # Safety
    /// The question must be of the plan of `parent`.
    pub unsafe fn new(question: &Question, parent: *mut pg_sys::PlanState) -> Option<(Self, usize)> {
        let functions: Vec<&'static ScoringFunction> =
            question.asked.iter().filter_map(|oid| call::function(*oid)).collect();
        let (function, spelling) = (*question.asked.first()?, functions.first()?.spelling(question.is_as_json));
        if functions.len() != question.asked.len() {
            return None;
        }
        let calls = functions.iter().enumerate().map(|(index, function)| Call {
            asked: function.asked(),
            place: Ok(index),
            is_counted: false,
            is_first: false,
        });
        // SAFETY: as the caller promises.
        unsafe {
            let (source, needed) = Source::new(question.features, spelling, parent);
            let model = pg_sys::ExecInitExpr(question.model.cast(), parent);
            let versions = tree::cast::<pg_sys::Const, _>(question.versions, NodeTag::T_Const);
            let versions = versions.filter(|versions| !(**versions).constisnull);
            let this = Self {
                function,
                calls: calls.collect(),
                model,
                called: called(question.model),
                versions: versions.map(|versions| (*versions).constvalue),
                source,
                scorer: None,
                failed: None,
                user: pg_sys::Oid::INVALID,
                places: vec![],
                bound: 0,
                is_scored: false,
                row: 0,
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
        self.bound = 0;
        self.is_scored = false;
        self.below = None;
        self.row = 0;
        self.asked = 0;
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
            let place = match (self.source.features(below), &mut self.scorer) {
                (None, _) => NONE,
                (Some(_), None) => 0,
                (Some(features), Some(scorer)) => {
                    scorer.bind(features);
                    self.bound += 1;
                    self.bound - 1
                }
            };
            self.places.push(place);
        }
    }

    /// The row of this number is handed on: whether it has features.
    ///
    /// # Safety
    /// The row that waits alone, if one does, must be as it was.
    pub unsafe fn hand_on(&mut self, row: usize) -> bool {
        self.row = row;
        self.calls.iter_mut().for_each(|call| call.is_first = true);
        match self.below {
            // SAFETY: as the caller promises.
            Some(below) => unsafe { self.source.is_given(below) },
            None => self.places.get(row).is_none_or(|place| *place != NONE),
        }
    }

    /// The version with its engine, or as the statement calls it if nothing was scored.
    pub fn model(&self) -> String {
        match &self.scorer {
            Some(scorer) => format!("{} ({})", scorer.active().reference(), scorer.active().engine_name()),
            None => self.called.clone(),
        }
    }

    /// How features reach the model.
    pub fn features(&self) -> String {
        match &self.source {
            Source::Slot { count, .. } => format!("{count} columns"),
            Source::Columns { fields, .. } => format!("{} columns", fields.len()),
            Source::Value { spelling, .. } => match spelling {
                Spelling::Row | Spelling::RowAsJson => "a row".to_owned(),
                Spelling::Array => "an array".to_owned(),
                Spelling::Jsonb | Spelling::Text => "a document".to_owned(),
            },
        }
    }

    /// What scoring took since this was asked last.
    pub fn take_busy(&mut self) -> Duration {
        std::mem::take(&mut self.busy)
    }

    /// Whether its rows are scored one by one even where they wait together.
    pub fn is_scored_alone(&self) -> bool {
        self.scorer.as_ref().is_some_and(|scorer| !scorer.may_be_together())
    }

    /// Rows of the batch that were asked for.
    pub fn asked(&self) -> usize {
        self.asked
    }

    /// The answer to a call for the row that is handed on.
    ///
    /// # Errors
    /// Those of the scalar call.
    ///
    /// # Safety
    /// `place` must be that of the call.
    pub unsafe fn answer(&mut self, call: usize, place: Place) -> Result<Answer> {
        if call >= self.calls.len() {
            return Err(Error::new(e2i_core::Kind::Internal, "a call asks for a row that nobody has read"));
        }
        if self.calls.iter().all(|call| call.is_first) {
            self.asked += 1;
        }
        self.calls[call].is_first = false;
        // SAFETY: as the caller promises; the row below stays while it waits alone.
        unsafe {
            let is_new = !self.calls[call].is_counted;
            let timed = if self.is_scored { 0 } else { self.timed(is_new) };
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
            if !self.is_scored {
                if let Some(below) = self.below
                    && let Some(features) = self.source.features(below)
                {
                    scorer.bind(features);
                    self.places.push(0);
                }
                scorer.score();
                self.is_scored = true;
            }
            let row = self.places.get(self.row).copied().unwrap_or_default();
            let answer = scorer.answer(row as usize, number);
            if let Some(clock) = clock {
                self.busy += clock.read().busy;
                scorer.time_rows(&clock, number, timed);
            }
            answer
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
    fn unresolved(&self, call: usize, error: Error) -> Result<Answer> {
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
        Ok(cache::scorer(schema, reference, asked, Preference::current())?.0)
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

impl Source {
    /// Where features come from, and the largest column of the row below that is needed.
    unsafe fn new(features: *mut pg_sys::Node, spelling: Spelling, parent: *mut pg_sys::PlanState) -> (Self, usize) {
        // SAFETY: an expression of the plan; each node is read as what its tag says.
        unsafe {
            let mut needed = 0;
            tree::has(features, &mut |node| {
                if let Some(column) = tree::cast::<pg_sys::Var, _>(node, NodeTag::T_Var) {
                    needed = needed.max(usize::try_from((*column).varattno).unwrap_or_default());
                }
                None
            });
            let row = tree::cast::<pg_sys::RowExpr, _>(features, NodeTag::T_RowExpr)
                .filter(|row| (**row).row_typeid == pg_sys::RECORDOID);
            let reading = match spelling {
                Spelling::Row => Some(Reading::AsRow),
                Spelling::RowAsJson => Some(Reading::AsJson),
                _ => None,
            };
            let Some((row, reading)) = row.zip(reading) else {
                return (Self::Value { state: pg_sys::ExecInitExpr(features.cast(), parent), spelling }, needed);
            };
            let arguments: Vec<*mut pg_sys::Node> = tree::members((*row).args).collect();
            let names: Vec<String> = tree::members::<pg_sys::Node>((*row).colnames).map(|name| text(name)).collect();
            let columns = Columns::new(arguments.iter().enumerate().map(|(index, argument)| {
                Some((names.get(index).map_or("", String::as_str), pg_sys::exprType(*argument)))
            }));
            if let Some(columns) = Self::as_they_stand(&arguments, &names, needed) {
                return (Self::Slot { columns, reading, count: arguments.len(), width: needed }, needed);
            }
            let mut values = vec![pg_sys::Datum::from(0); arguments.len()];
            let mut nulls = vec![false; arguments.len()];
            let fields = arguments.iter().enumerate().map(|(index, argument)| {
                if let Some(column) = tree::cast::<pg_sys::Var, _>(*argument, NodeTag::T_Var) {
                    return Field::Column(usize::try_from((*column).varattno).unwrap_or_default());
                }
                if let Some(constant) = tree::cast::<pg_sys::Const, _>(*argument, NodeTag::T_Const) {
                    values[index] = (*constant).constvalue;
                    nulls[index] = (*constant).constisnull;
                    return Field::Constant;
                }
                Field::Computed(pg_sys::ExecInitExpr(argument.cast(), parent))
            });
            let fields = fields.collect();
            (Self::Columns { columns, reading, fields, values, nulls }, needed)
        }
    }

    /// The columns of the row below, if these are some of them in the same order.
    unsafe fn as_they_stand(arguments: &[*mut pg_sys::Node], names: &[String], width: usize) -> Option<Columns> {
        let (mut columns, mut last) = (vec![None; width], 0);
        for (index, argument) in arguments.iter().enumerate() {
            // SAFETY: expressions of the plan.
            let (column, type_oid) = unsafe {
                let column = tree::cast::<pg_sys::Var, _>(*argument, NodeTag::T_Var)?;
                (usize::try_from((*column).varattno).ok()?, (*column).vartype)
            };
            if column <= last {
                return None;
            }
            last = column;
            *columns.get_mut(column - 1)? = Some((names.get(index)?.as_str(), type_oid));
        }
        Some(Columns::new(columns.into_iter()))
    }

    /// The features of the row below; `None` where they are NULL.
    unsafe fn features(&mut self, below: Below) -> Option<Features<'_>> {
        // SAFETY: as the callers promise.
        unsafe {
            match self {
                Self::Slot { columns, reading, width, .. } => {
                    let values = std::slice::from_raw_parts((*below.slot).tts_values, *width);
                    let nulls = std::slice::from_raw_parts((*below.slot).tts_isnull, *width);
                    Some(Features::of_columns(columns, *reading, values, nulls))
                }
                Self::Columns { columns, reading, fields, values, nulls } => {
                    for (index, field) in fields.iter().enumerate() {
                        match field {
                            Field::Column(column) => {
                                values[index] = *(*below.slot).tts_values.add(column - 1);
                                nulls[index] = *(*below.slot).tts_isnull.add(column - 1);
                            }
                            Field::Constant => {}
                            Field::Computed(state) => {
                                values[index] =
                                    pg_sys::ExecEvalExprSwitchContext(*state, below.context, &raw mut nulls[index]);
                            }
                        }
                    }
                    Some(Features::of_columns(columns, *reading, values, nulls))
                }
                Self::Value { state, spelling } => {
                    let mut is_null = false;
                    let value = pg_sys::ExecEvalExprSwitchContext(*state, below.context, &raw mut is_null);
                    (!is_null).then(|| Features::of_datum(*spelling, value))
                }
            }
        }
    }

    /// Whether the row below has features.
    unsafe fn is_given(&mut self, below: Below) -> bool {
        match self {
            Self::Slot { .. } | Self::Columns { .. } => true,
            // SAFETY: as the callers promise.
            Self::Value { .. } => unsafe { self.features(below).is_some() },
        }
    }
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

/// The text of a node that is a string.
unsafe fn text(node: *mut pg_sys::Node) -> String {
    // SAFETY: names of columns are such nodes, with a C string.
    unsafe { std::ffi::CStr::from_ptr((*node.cast::<pg_sys::String>()).sval).to_string_lossy().into_owned() }
}
