//! What scores a row: the active version, or the one that the row's share of traffic belongs to, and beside it the shadow.

use std::rc::Rc;
use std::time::{Duration, Instant};

use e2i_core::reading::{Question, needed};
use e2i_core::traffic::{Split, position};
use e2i_core::{Answer, Batch, Error, Kind, OutputSet, Outputs, Result};
use e2i_metrics::Function;
use pgrx::pg_sys;

use crate::catalog::invalidation::Standing;
use crate::catalog::schema::Schema;
use crate::datum::features::{FeatureSource, Spelling};
use crate::datum::scalar::Zone;
use crate::explain;
use crate::inference_log::record::{self, Capacity, Log, Outcome};
use crate::metrics::clock::Clock;
use crate::metrics::counter::Counter;
use crate::scoring::cache::{self, Routed};
use crate::scoring::engines::Preference;
use crate::scoring::model::LoadedModel;
use crate::scoring::shadow;

/// A model with this call site's buffers for it.
pub struct Arm {
    /// The model.
    pub model: Rc<LoadedModel>,
    wanted: OutputSet,
    source: FeatureSource,
    batch: Batch,
    outputs: Outputs,
    /// `None` where nothing is counted.
    counter: Option<Rc<Counter>>,
}

impl Arm {
    fn new(model: Rc<LoadedModel>, question: Question, function: Function, service: &str) -> Result<Self> {
        let counter = model.counter(function, service);
        let wanted = needed(model.interface(), question, model.reference())?;
        let batch = Batch::new(&model.interface().inputs, 1);
        // What is IMMUTABLE depends on no setting.
        let zone = if function == Function::Pinned { Zone::Utc } else { Zone::Session };
        Ok(Self { model, wanted, source: FeatureSource::new(zone), batch, outputs: Outputs::default(), counter })
    }

    /// # Safety
    /// `datum` must be a valid value of the type that `spelling` names.
    #[inline]
    unsafe fn bind(&mut self, spelling: Spelling, datum: pg_sys::Datum) -> Result<()> {
        // The server's own reader of JSON raises errors of its own.
        let _counts = (spelling == Spelling::Text).then(|| CountsUnwinding(self.counter.clone()));
        // SAFETY: as the caller promises.
        unsafe { self.source.bind(&self.model.binder, spelling, datum, &mut self.batch, 0) }
    }

    #[inline]
    fn answer(&mut self, question: Question) -> Result<Answer> {
        self.model.score(&self.batch, self.wanted, &mut self.outputs)?;
        let answer = self.model.answer(question, &self.outputs, 0)?;
        if let Some(counter) = &self.counter {
            counter.row();
        }
        Ok(answer)
    }
}

/// Counts an error of the server's that passes through.
struct CountsUnwinding(Option<Rc<Counter>>);

impl Drop for CountsUnwinding {
    fn drop(&mut self) {
        if let Some(counter) = self.0.as_ref().filter(|_| std::thread::panicking()) {
            counter.error(Kind::BadValue);
        }
    }
}

/// A resolved reference: the active version first, then those that share its traffic.
pub struct Target {
    /// For which statements it is right.
    pub standing: Option<Standing>,
    /// The call site's number of the statement that used it last.
    pub statement: u64,
    question: Question,
    arms: Vec<Arm>,
    /// The split, and for each of its shares the arm.
    split: Option<(Split, Vec<usize>)>,
    shadow: Option<Shadow>,
    log: Option<Log>,
    /// The arm that scored the last row, and what the shadow took of it, if that was timed.
    chosen: usize,
    beside: Duration,
}

struct Shadow {
    service: String,
    arm: Arm,
    sample: f64,
}

impl Target {
    /// Bytes of the models that it holds.
    pub fn memory_bytes(&self) -> usize {
        let arms = self.arms.iter().chain(self.shadow.iter().map(|shadow| &shadow.arm));
        arms.map(|arm| arm.model.memory_bytes()).sum()
    }

    /// Resolves a reference for a question.
    ///
    /// # Errors
    /// Unknown references, models that do not load, questions that a model cannot answer.
    pub fn resolve(
        schema: Schema,
        reference: &str,
        question: Question,
        preference: Preference,
        function: Function,
    ) -> Result<Self> {
        let Routed { model, service, split, shadow, log, standing } = cache::routed(schema, reference, preference)?;
        if let (Function::Pinned, Some(why)) = (function, &model.interface().varies) {
            return Err(Error::new(Kind::Unsupported, format!("model {} cannot be pinned: {why}", model.reference()))
                .with_detail("Its answer to a row is not that row's alone, or not always the same.")
                .with_hint("Use e2i_predict, or export the model for inference and register that."));
        }
        let mut arms = vec![Arm::new(model, question, function, &service)?];
        let split = match split {
            None => None,
            Some((split, models)) => {
                let mut places = Vec::with_capacity(models.len());
                for model in models {
                    let known = arms.iter().position(|arm| arm.model.id == model.id);
                    places.push(known.unwrap_or(arms.len()));
                    if known.is_none() {
                        arms.push(Arm::new(model, question, function, &service)?);
                    }
                }
                Some((split, places))
            }
        };
        // A shadow that cannot answer the question is left out: callers must not notice it.
        let shadow = shadow.and_then(|(model, sample)| {
            let arm = Arm::new(model, question, Function::Shadow, &service).ok()?;
            Some(Shadow { service, arm, sample })
        });
        Ok(Self { standing, statement: 0, question, arms, split, shadow, log, chosen: 0, beside: Duration::ZERO })
    }

    /// A statement begins to use it; other processes may do so too, at the place of this number.
    pub fn request(&self, shared: Option<u64>) {
        if let Some(counter) = &self.arms[0].counter {
            counter.request(shared);
        }
    }

    /// A call has scored a row, for so long.
    #[cold]
    pub fn time(&mut self, clock: &Clock) {
        let took = clock.read().without(std::mem::take(&mut self.beside));
        if let Some(counter) = &self.arms[self.chosen].counter {
            counter.time(took);
        }
    }

    /// Scores one row.
    ///
    /// # Safety
    /// `datum` must be a valid value of the type that `spelling` names.
    ///
    /// # Errors
    /// What binding or the engine reports.
    #[inline]
    pub unsafe fn answer(&mut self, spelling: Spelling, datum: pg_sys::Datum) -> Result<Answer> {
        let drawn = self.log.as_ref().is_some_and(Log::draw).then(Instant::now);
        // SAFETY: as the caller promises.
        let answer = unsafe { self.score(spelling, datum, drawn) };
        if let Err(error) = &answer {
            if let Some(counter) = &self.arms[self.chosen].counter {
                counter.error(error.kind());
            }
            if drawn.is_some() {
                self.note(record::request(), Err(error), drawn);
            }
        }
        answer
    }

    /// Writes the last row to the log.
    #[cold]
    fn note(&self, request: u128, answer: std::result::Result<&Answer, &Error>, drawn: Option<Instant>) {
        let Some(log) = &self.log else { return };
        let arm = &self.arms[self.chosen];
        log.keep(
            request,
            &Outcome {
                model: &arm.model.binder,
                capacity: if self.chosen == 0 { Capacity::Active } else { Capacity::Canary },
                // What was bound only in part is not shown.
                row: answer.is_ok().then_some((&arm.batch, 0)),
                answer,
                took: drawn.map(|drawn| drawn.elapsed()),
            },
        );
    }

    /// # Safety
    /// As [`Target::answer`].
    #[inline]
    unsafe fn score(&mut self, spelling: Spelling, datum: pg_sys::Datum, drawn: Option<Instant>) -> Result<Answer> {
        self.chosen = 0;
        // SAFETY: as the caller promises, here and below.
        unsafe { self.arms[0].bind(spelling, datum)? };
        let chosen = match &self.split {
            None => 0,
            Some((split, places)) => {
                let active = &self.arms[0];
                places[split.choose(active.model.interface(), &active.batch, 0)]
            }
        };
        if chosen != 0 {
            // SAFETY: as above.
            unsafe { self.arms[chosen].bind(spelling, datum)? };
        }
        self.chosen = chosen;
        if let Some(log) = &self.log {
            log.guard(&self.arms[chosen].model.binder, &self.arms[chosen].batch, 0)?;
        }
        let answer = self.arms[chosen].answer(self.question)?;
        // SAFETY: as above.
        let compared = self.shadow.is_some() && unsafe { self.shadow(spelling, datum, chosen, &answer, drawn) };
        if drawn.is_some() && !compared {
            self.note(record::request(), Ok(&answer), drawn);
        }
        Ok(answer)
    }

    /// Scores a sampled row with the shadow and keeps both answers, in the log too if there is one. What goes wrong there is
    /// kept, not raised. Whether the row was sampled.
    ///
    /// # Safety
    /// As [`Target::answer`].
    #[cold]
    unsafe fn shadow(
        &mut self,
        spelling: Spelling,
        datum: pg_sys::Datum,
        chosen: usize,
        answer: &Answer,
        drawn: Option<Instant>,
    ) -> bool {
        let Some(shadow) = &mut self.shadow else { return false };
        let active = &self.arms[0];
        if !is_sampled(position(active.model.interface(), &active.batch, 0, None), shadow.sample) {
            return false;
        }
        let clock = explain::is_timed().then(Clock::start);
        // SAFETY: as the caller promises.
        let bound = unsafe { shadow.arm.bind(spelling, datum) };
        let other = bound.and_then(|()| shadow.arm.answer(self.question));
        if let (Err(error), Some(counter)) = (&other, &shadow.arm.counter) {
            counter.error(error.kind());
        }
        if let (Some(clock), Some(counter)) = (clock, &shadow.arm.counter) {
            self.beside = clock.read().busy;
            counter.busy(self.beside);
        }
        if let Some(log) = &self.log {
            let request = record::request();
            let row = other.is_ok().then_some((&shadow.arm.batch, 0));
            let outcome = Outcome {
                model: &shadow.arm.model.binder,
                capacity: Capacity::Shadow,
                row,
                answer: other.as_ref(),
                took: None,
            };
            log.keep(request, &outcome);
            self.note(request, Ok(answer), drawn);
        }
        let Some(shadow) = &self.shadow else { return true };
        shadow::keep(&shadow.service, &self.arms[chosen].model, &shadow.arm.model, answer, other);
        true
    }
}

/// Whether a row is sampled: another part of its place than the one that splits traffic.
#[must_use]
pub fn is_sampled(place: f64, sample: f64) -> bool {
    (place * 1021.0).fract() < sample
}
