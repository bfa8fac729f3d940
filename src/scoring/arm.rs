//! A version with the rows that it scores together.

use std::rc::Rc;
use std::time::Duration;

use e2i_calibrate::Purpose;
use e2i_core::reading::{self, Question, needed};
use e2i_core::{Answer, Batch, Error, Interface, Known, OutputSet, Outputs, Result, Task};
use e2i_metrics::Function;
use pgrx::pg_sys;

use crate::catalog::schema::Schema;
use crate::datum::columns::Columns;
use crate::datum::features::{FeatureSource, Features};
use crate::datum::row::Reading;
use crate::datum::scalar::Zone;
use crate::metrics::counter::Counter;
use crate::scoring::calibrated::Calibrated;
use crate::scoring::model::{LoadedModel, Pruned};

/// Something that is asked of every row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// What; `None` for what a model server calls the prediction, which differs from version to version.
    pub question: Option<Question>,
    /// As which function's calls it is counted, logged and compared; `None` for what is told besides of a row that is asked
    /// something else, by versions that can.
    pub function: Option<Function>,
    /// What of how sure the version is the caller wants to know besides.
    pub calibrated: Option<Purpose>,
}

impl Asked {
    /// Rows are bound and not scored, and no call of a scoring function is counted.
    pub const NOTHING: Self = Self { question: None, function: None, calibrated: None };
}

/// A version that scores rows of a scorer.
pub struct Arm {
    /// The version.
    pub model: Rc<LoadedModel>,
    /// The rows that are bound; those after the first `rows` are left from before.
    pub batch: Batch,
    /// How many are to be scored.
    pub rows: usize,
    /// What scoring has taken, if an EXPLAIN asks.
    pub busy: Duration,
    /// Whether rows are bound that may never be asked for: each is counted with its answer, as one that is scored alone.
    pub is_ahead: bool,
    source: FeatureSource,
    /// Whether rows have to be seen as they were given, for the groups that they are in.
    reads_groups: bool,
    /// Scores its rows, as something is known of them.
    pruned: Option<Rc<Pruned>>,
    calls: Vec<Call>,
    wanted: OutputSet,
    outputs: Outputs,
    /// Whether the rows could not be scored together.
    is_apart: bool,
    /// The row that was scored alone last, and what came of it.
    alone: Option<(usize, Result<Outputs>)>,
}

/// What one version makes of something that is asked.
struct Call {
    question: Question,
    function: Option<Function>,
    /// Whether the version can answer.
    is_given: bool,
    /// `None` where nothing is counted.
    counter: Option<Rc<Counter>>,
    /// How sure the version is, where that is asked for.
    calibrated: Option<Calibrated>,
}

/// Whether all that a regression gives is one number.
fn has_one_number(interface: &Interface) -> bool {
    interface.task == Task::Regression && interface.main_output().is_some_and(|output| output.width == Some(1))
}

impl Arm {
    /// A version that answers with the function's name, or as the shadow of those that do.
    ///
    /// # Errors
    /// Questions that the model cannot answer, calibrations that cannot be read.
    pub fn new(
        schema: Schema,
        model: Rc<LoadedModel>,
        asked: &[Asked],
        service: &str,
        is_shadow: bool,
    ) -> Result<Self> {
        let (interface, reference) = (model.interface(), model.reference());
        let mut wanted = OutputSet { label: false, main: false };
        let mut calls = Vec::with_capacity(asked.len());
        for Asked { question, function, calibrated } in asked {
            let question = match question {
                // The one number that there is needs no list.
                Some(Question::Vector) if calibrated.is_some() && has_one_number(interface) => Question::Prediction,
                Some(question) => *question,
                None => reading::served(interface, reference),
            };
            let needed = needed(interface, question, reference);
            let is_given = needed.is_ok();
            match needed {
                Ok(needed) => {
                    wanted.label |= needed.label;
                    wanted.main |= needed.main;
                }
                Err(error) if function.is_some() => return Err(error),
                Err(_) => {}
            }
            let function = function.map(|function| if is_shadow { Function::Shadow } else { function });
            let counter = function.and_then(|function| model.counter(function, service));
            let calibrated = calibrated.filter(|_| !is_shadow);
            let calibrated = calibrated.map(|purpose| Calibrated::find(schema, &model, purpose)).transpose()?;
            calls.push(Call { question, function, is_given, counter, calibrated });
        }
        // What is IMMUTABLE depends on no setting.
        let is_pinned = calls.iter().any(|call| call.function == Some(Function::Pinned));
        let source = FeatureSource::new(if is_pinned { Zone::Utc } else { Zone::Session });
        let batch = Batch::new(&interface.inputs, 1);
        let reads_groups = calls.iter().any(|call| call.calibrated.as_ref().is_some_and(Calibrated::reads_groups));
        Ok(Self {
            reads_groups,
            model,
            batch,
            rows: 0,
            busy: Duration::ZERO,
            is_ahead: false,
            source,
            pruned: None,
            calls,
            wanted,
            outputs: Outputs::default(),
            is_apart: false,
            alone: None,
        })
    }

    /// Where calls of what is asked at this place are counted, if they are.
    #[inline]
    pub fn counter(&self, asked: usize) -> Option<&Rc<Counter>> {
        self.calls[asked].counter.as_ref()
    }

    /// All of them.
    pub fn counters(&self) -> impl Iterator<Item = &Rc<Counter>> {
        self.calls.iter().filter_map(|call| call.counter.as_ref())
    }

    /// How sure the version is of what is asked at this place.
    #[inline]
    pub fn calibrated(&self, asked: usize) -> Option<&Calibrated> {
        self.calls[asked].calibrated.as_ref()
    }

    /// Whether it can answer what is asked at this place.
    pub fn gives(&self, asked: usize) -> bool {
        self.calls[asked].is_given
    }

    /// Something is known of the rows that come, or, without that, nothing any more.
    pub fn know(&mut self, known: Option<&Known>) {
        self.pruned = known.filter(|known| !known.cells.is_empty()).and_then(|known| self.model.pruned(known));
    }

    /// What scores its rows where something is known of them and that is of use.
    pub fn pruned(&self) -> Option<&Pruned> {
        self.pruned.as_deref()
    }

    /// Forgets its rows.
    #[inline]
    pub fn clear(&mut self) {
        self.rows = 0;
        self.is_apart = false;
        self.alone = None;
    }

    /// Binds a row at the place after the last, where it stays if the caller counts it in [`Arm::rows`].
    ///
    /// # Errors
    /// What is wrong with the features.
    #[inline]
    pub fn bind(&mut self, features: Features<'_>) -> Result<usize> {
        if self.batch.rows() <= self.rows {
            self.batch.set_rows(self.rows + 1);
        }
        self.source.bind(&self.model.binder, features, &mut self.batch, self.rows)?;
        for calibrated in self.calls.iter_mut().filter_map(|call| call.calibrated.as_mut()) {
            calibrated.bind(&self.model.binder, features, self.rows)?;
        }
        Ok(self.rows)
    }

    /// Binds a row as [`Arm::bind`] does, as it is stored, if it can be: whether it was. See [`Arm::learn`].
    ///
    /// # Safety
    /// As [`FeatureSource::bind_stored`].
    #[inline]
    pub unsafe fn bind_stored(
        &mut self,
        columns: &Columns,
        reading: Reading,
        slot: *mut pg_sys::TupleTableSlot,
    ) -> bool {
        if self.reads_groups {
            return false;
        }
        if self.batch.rows() <= self.rows {
            self.batch.set_rows(self.rows + 1);
        }
        // SAFETY: as the caller promises.
        unsafe { self.source.bind_stored(columns, reading, slot, &mut self.batch, self.rows) }
    }

    /// Learns where columns stand in stored rows.
    ///
    /// # Safety
    /// As [`FeatureSource::learn`].
    pub unsafe fn learn(&mut self, columns: &Columns, slot: *mut pg_sys::TupleTableSlot) {
        // SAFETY: as the caller promises.
        unsafe { self.source.learn(columns, slot) };
    }

    /// What is asked at this place, and what came of all rows, none of which is refused; `None` where each is scored alone.
    pub fn together(&self, asked: usize) -> Option<(Question, &Outputs)> {
        let is_whole = !self.is_apart && self.outputs.refused.is_empty();
        is_whole.then_some((self.calls[asked].question, &self.outputs))
    }

    /// Scores its rows together; those that were read ahead one by one, where a row's bits would depend on those beside it. An error is that of its row: the engine keeps it beside the answers, or fails for all, and then each row
    /// is scored alone when it is asked for.
    #[inline]
    pub fn score(&mut self) {
        self.batch.set_rows(self.rows);
        if self.is_ahead && self.rows > 1 && !self.model.may_be_together() {
            self.is_apart = true;
            return;
        }
        match self.model.score_rows_by(self.pruned.as_deref(), &self.batch, self.wanted, &mut self.outputs) {
            Ok(()) => self.count_batch(),
            Err(error) => self.fall_apart(error),
        }
    }

    #[cold]
    fn fall_apart(&mut self, error: Error) {
        self.is_apart = true;
        self.alone = (self.rows == 1).then_some((0, Err(error)));
    }

    /// A row alone is counted with its answer, see [`Arm::count`].
    #[inline]
    fn count_batch(&self) {
        if self.is_ahead {
            return;
        }
        for call in &self.calls {
            if let Some(counter) = call.counter.as_ref().filter(|_| self.rows != 1 || call.is_of_payloads()) {
                let scored = (self.rows - self.outputs.refused.len()) as u64;
                if scored > 0 {
                    counter.count(|tally| tally.batch(scored, 1));
                }
            }
        }
    }

    /// The answer to what is asked at this place for one row.
    ///
    /// # Errors
    /// What the engine reports for the row, and what its outputs do not hold.
    #[inline]
    pub fn answer(&mut self, asked: usize, row: usize) -> Result<Answer> {
        let call = &self.calls[asked];
        let answer = match self.is_apart {
            false => self.model.answer(call.question, &self.outputs, row)?,
            true => self.answer_alone(asked, row)?,
        };
        self.count(asked);
        Ok(answer)
    }

    #[cold]
    fn answer_alone(&mut self, asked: usize, row: usize) -> Result<Answer> {
        if self.alone.as_ref().is_none_or(|(alone, _)| *alone != row) {
            let mut outputs = Outputs::default();
            let scored = self.model.score(&self.batch.picked(&[row]), self.wanted, &mut outputs);
            self.alone = Some((row, scored.map(|()| outputs)));
        }
        match &self.alone {
            Some((_, Ok(outputs))) => self.model.answer(self.calls[asked].question, outputs, 0),
            Some((_, Err(error))) => Err(error.clone()),
            None => self.model.answer(self.calls[asked].question, &self.outputs, row),
        }
    }

    /// Counts the call that asked for a row, and the row if it was scored alone.
    #[inline]
    pub fn count(&self, asked: usize) {
        let call = &self.calls[asked];
        let Some(counter) = &call.counter else { return };
        match (self.rows == 1 || self.is_apart || self.is_ahead, call.is_of_payloads()) {
            (true, false) => counter.row(),
            (false, false) => counter.count(|tally| tally.calls += 1),
            (true, true) if self.is_apart => counter.count(|tally| tally.batch(1, 1)),
            (_, true) => {}
        }
    }
}

impl Call {
    /// Whether a call may have many rows; if not, each is one.
    fn is_of_payloads(&self) -> bool {
        self.function == Some(Function::Serve)
    }
}
