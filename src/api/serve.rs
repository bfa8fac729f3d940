//! `e2i_serve`: the JSON contract of a model server, for clients that come from one.

use std::rc::Rc;
use std::time::{Duration, Instant};

use e2i_core::reading::{Question, needed};
use e2i_core::spelling::Expected;
use e2i_core::traffic::position;
use e2i_core::{Answer, Batch, Error, Kind, OutputSet, Outputs, Result, Task};
use e2i_metrics::Function;
use pgrx::datum::JsonB;
use pgrx::prelude::*;
use pgrx::{direct_function_call, pg_sys};
use serde_json::{Value as Json, json};

use crate::catalog::schema::Schema;
use crate::datum::features::FeatureSource;
use crate::datum::json_text;
use crate::datum::jsonb::{Container, Value};
use crate::error::OrRaise;
use crate::explain;
use crate::inference_log::record::{self, Capacity, Log, Outcome};
use crate::metrics::clock::Clock;
use crate::metrics::counter::{self, Counter};
use crate::pg::{interrupt, time, varlena};
use crate::scoring::cache::Routed;
use crate::scoring::engines::Preference;
use crate::scoring::{LoadedModel, cache, is_sampled, shadow};

/// Rows that are bound and scored together; bounds the memory of a batch whatever the payload holds.
const ROWS_AT_ONCE: usize = 1024;

/// Scores a payload of one row or several. Declared in `sql/scoring.sql`.
#[pg_extern(sql = false)]
fn e2i_serve(fcinfo: pg_sys::FunctionCallInfo) -> JsonB {
    // SAFETY: the server passes a valid fcinfo with a text and a jsonb, neither of them NULL.
    unsafe { serve(fcinfo, |_, payload| Ok(payload)) }
}

/// The same for a payload that is text or json.
#[pg_extern(sql = false)]
fn e2i_serve_text(fcinfo: pg_sys::FunctionCallInfo) -> JsonB {
    // SAFETY: the server passes a valid fcinfo with a text and a text or json, neither of them NULL.
    unsafe { serve(fcinfo, |model, payload| json_text::parse(varlena::text(payload), Expected::Payload(model))) }
}

/// Scores a payload that `read` makes jsonb of.
///
/// # Safety
/// `fcinfo` must be the argument of the function that is being called, with two arguments that are not NULL, the first a text.
unsafe fn serve(
    fcinfo: pg_sys::FunctionCallInfo,
    read: impl FnOnce(&str, pg_sys::Datum) -> Result<pg_sys::Datum>,
) -> JsonB {
    let begun = Clock::start();
    // SAFETY: as the caller promises.
    let (schema, reference, payload) = unsafe {
        let arguments = (*fcinfo).args.as_slice(2);
        (Schema::of_call(fcinfo), varlena::text(arguments[0].value), arguments[1].value)
    };
    let score_all = || {
        let routed = cache::routed(schema, reference, Preference::current())
            .inspect_err(|error| counter::unresolved(Function::Serve, error.kind()))?;
        let (model, is_split) = (routed.model.clone(), routed.split.is_some());
        let counter = model.counter(Function::Serve, &routed.service);
        if let Some(counter) = &counter {
            counter.request(None);
        }
        let counted = |error: &Error| {
            if let Some(counter) = &counter {
                counter.error(error.kind());
            }
        };
        let scoring = Instant::now();
        let payload = read(model.reference(), payload).inspect_err(counted)?;
        // SAFETY: a valid jsonb, which lives as long as the call.
        let payload = Container::root(unsafe { varlena::bytes(payload) });
        let rows = features(payload).and_then(Rows::of).inspect_err(counted)?;
        let gives_probabilities = needed(model.interface(), Question::Probabilities, model.reference()).is_ok();
        let (scored, beside) = score(routed, &rows, scoring).inspect_err(counted)?;
        let took = scoring.elapsed();
        let mut answer = json!({
            "model_id": model.reference(),
            "prediction_time_ms": milliseconds(took),
            "_metadata": {
                "model_name": model.name,
                "latency_ms": milliseconds(begun.read().all),
                "timestamp": timestamp(),
            },
        });
        if let Some(fields) = answer.as_object_mut() {
            // Where traffic is split, which version scored each row.
            if is_split {
                fields.insert("model_ids".into(), scored.iter().map(|row| json!(row.model.reference())).collect());
            }
            let (predictions, probabilities): (Vec<Json>, Vec<Option<Json>>) =
                scored.into_iter().map(|row| (row.prediction, row.probabilities)).unzip();
            if gives_probabilities {
                fields
                    .insert("probabilities".into(), probabilities.into_iter().map(Option::unwrap_or_default).collect());
            }
            fields.insert("predictions".into(), Json::Array(predictions));
        }
        if let Some(counter) = &counter {
            counter.count(|tally| tally.calls += 1);
            counter.time(begun.read().without(beside));
        }
        Ok(JsonB(answer))
    };
    score_all().or_raise()
}

/// A number as `to_jsonb` writes it: JSON has no numbers that are not finite.
fn number(value: f64) -> Json {
    match value {
        _ if value.is_nan() => json!("NaN"),
        _ if value.is_infinite() => json!(if value > 0.0 { "Infinity" } else { "-Infinity" }),
        _ => json!(value),
    }
}

fn milliseconds(time: std::time::Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// Now, in UTC and ISO 8601.
fn timestamp() -> String {
    // SAFETY: both functions take the arguments that are passed.
    let text = unsafe {
        let now = pg_sys::Datum::from(time::now());
        let utc = "UTC".into_datum();
        let local = direct_function_call::<pg_sys::Datum>(pg_sys::timestamptz_zone, &[utc, Some(now)]);
        let format = "YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"".into_datum();
        local.and_then(|local| direct_function_call::<String>(pg_sys::timestamp_to_char, &[Some(local), format]))
    };
    text.unwrap_or_default()
}

/// The features in a payload.
fn features(payload: Container<'_>) -> Result<Container<'_>> {
    let inner = match payload.get("input_data") {
        Some(Value::Container(inner)) => inner,
        _ => payload,
    };
    match inner.get("features") {
        Some(Value::Container(features)) => Ok(features),
        Some(Value::Scalar(_)) => Err(bad("\"features\" is neither an object nor an array".to_owned())),
        None => Err(bad("the payload has no \"features\"".to_owned())),
    }
}

fn bad(message: String) -> Error {
    Error::new(Kind::BadOption, message).with_hint(
        "Send {\"features\": X} or {\"input_data\": {\"features\": X}}; X is an object, an array of objects, an array of numbers or an \
         array of arrays.",
    )
}

/// The rows of a payload.
enum Rows<'j> {
    One(Container<'j>),
    Many(Container<'j>),
}

impl<'j> Rows<'j> {
    /// An array is one row when its first element is a scalar, else an array of rows.
    fn of(features: Container<'j>) -> Result<Self> {
        if features.is_object() {
            return Ok(Self::One(features));
        }
        match features.elements().next() {
            Some(Value::Scalar(_)) => Ok(Self::One(features)),
            _ => Ok(Self::Many(features)),
        }
    }

    fn iter(&self) -> Box<dyn Iterator<Item = Result<Container<'j>>> + '_> {
        match self {
            Self::One(row) => Box::new(std::iter::once(Ok(*row))),
            Self::Many(rows) => Box::new(rows.elements().enumerate().map(|(index, row)| match row {
                Value::Container(row) => Ok(row),
                Value::Scalar(_) => {
                    Err(bad(format!("row {} of the payload is neither an object nor an array", index + 1)))
                }
            })),
        }
    }
}

/// What is written for one row.
struct Scored {
    prediction: Json,
    probabilities: Option<Json>,
    model: Rc<LoadedModel>,
}

/// A version with its part of the rows that are scored together.
struct Part {
    model: Rc<LoadedModel>,
    question: Question,
    wanted: OutputSet,
    probabilities: bool,
    source: FeatureSource,
    batch: Batch,
    outputs: Outputs,
    /// For each row of the batch, its place among the rows that are scored together, if its answer is wanted.
    places: Vec<Option<usize>>,
    counter: Option<Rc<Counter>>,
    /// What scoring took, if an EXPLAIN asks.
    busy: Duration,
}

impl Part {
    /// `predictions` holds the number of `e2i_predict` where there is one, else the label, else all numbers.
    fn new(model: Rc<LoadedModel>, function: Function, service: &str) -> Self {
        let counter = model.counter(function, service);
        let (interface, name) = (model.interface(), model.reference());
        let question = if needed(interface, Question::Prediction, name).is_ok() {
            Question::Prediction
        } else if interface.task.is_classification() || interface.main.is_none() {
            Question::Label
        } else {
            Question::Vector
        };
        let probabilities = needed(interface, Question::Probabilities, name).is_ok();
        let label = question == Question::Label
            || interface.main.is_none()
            || matches!(interface.task, Task::MulticlassClassification | Task::Clustering);
        let wanted = OutputSet { label: interface.label.is_some() && label, main: interface.main.is_some() };
        let batch = Batch::new(&interface.inputs, 0);
        let (source, outputs, places) = (FeatureSource::default(), Outputs::default(), vec![]);
        Self { model, question, wanted, probabilities, source, batch, outputs, places, counter, busy: Duration::ZERO }
    }

    fn clear(&mut self) {
        self.batch.set_rows(0);
        self.places.clear();
    }

    /// Binds a row whose answer, if it is wanted, belongs to `place`.
    fn bind(&mut self, row: Container<'_>, place: Option<usize>) -> Result<()> {
        let number = self.batch.rows();
        self.batch.set_rows(number + 1);
        self.places.push(place);
        self.source.bind_json(&self.model.binder, row, &mut self.batch, number)
    }

    /// Scores what was bound, and hands out the answers that are wanted.
    fn score(&mut self, take: impl FnMut((&Batch, usize), usize, Answer, Option<Json>)) -> Result<()> {
        let clock = explain::is_timed().then(Clock::start);
        let scored = self.hand_out(take);
        if let Some(clock) = clock {
            self.busy += clock.read().busy;
        }
        scored
    }

    fn hand_out(&mut self, mut take: impl FnMut((&Batch, usize), usize, Answer, Option<Json>)) -> Result<()> {
        if self.places.iter().all(Option::is_none) {
            return Ok(());
        }
        self.model.score(&self.batch, self.wanted, &mut self.outputs)?;
        if let Some(counter) = &self.counter {
            counter.count(|tally| tally.batch(self.places.iter().flatten().count() as u64, 1));
        }
        for (row, place) in self.places.iter().enumerate() {
            let Some(place) = *place else { continue };
            let answer = self.model.answer(self.question, &self.outputs, row)?;
            let probabilities = match self.probabilities {
                true => Some(to_json(self.model.answer(Question::Probabilities, &self.outputs, row)?)),
                false => None,
            };
            take((&self.batch, row), place, answer, probabilities);
        }
        Ok(())
    }
}

fn to_json(answer: Answer) -> Json {
    match answer {
        Answer::Number(value) => number(value),
        Answer::Label(label) => json!(label),
        Answer::Numbers(values) => values.into_iter().map(number).collect(),
    }
}

/// Scores all rows, each with the version that its share of traffic belongs to, and sampled ones also with the shadow. Says
/// also what other versions than the active one took, if an EXPLAIN asks.
fn score(routed: Routed, rows: &Rows<'_>, begun: Instant) -> Result<(Vec<Scored>, Duration)> {
    let log = routed.log;
    let service = routed.service;
    let mut parts = vec![Part::new(routed.model, Function::Serve, &service)];
    let split = routed.split.map(|(split, models)| {
        let places: Vec<usize> = models
            .into_iter()
            .map(|model| match parts.iter().position(|part| part.model.id == model.id) {
                Some(known) => known,
                None => {
                    parts.push(Part::new(model, Function::Serve, &service));
                    parts.len() - 1
                }
            })
            .collect();
        (split, places)
    });
    let mut shadow = routed.shadow.map(|(model, sample)| (Part::new(model, Function::Shadow, &service), sample));
    let mut scored: Vec<Scored> = Vec::new();
    let mut rows = rows.iter();
    loop {
        parts.iter_mut().chain(shadow.iter_mut().map(|(part, _)| part)).for_each(Part::clear);
        let mut together = 0;
        // For each row the number of its request, and whether the shadow scores it too.
        let mut requests: Vec<(u128, bool)> = vec![];
        for row in rows.by_ref().take(ROWS_AT_ONCE) {
            let row = row?;
            let in_row = |error: Error| error.in_row(scored.len() + together + 1);
            parts[0].bind(row, Some(together)).map_err(in_row)?;
            let active = &parts[0];
            let place = position(active.model.interface(), &active.batch, together, None);
            let chosen = split
                .as_ref()
                .map_or(0, |(split, places)| places[split.choose(active.model.interface(), &active.batch, together)]);
            if chosen != 0 {
                parts[0].places[together] = None;
                parts[chosen].bind(row, Some(together)).map_err(in_row)?;
            }
            if let Some(log) = &log {
                let part = &parts[chosen];
                log.guard(&part.model.binder, &part.batch, part.batch.rows() - 1).map_err(in_row)?;
            }
            let is_compared = shadow.as_ref().is_some_and(|(_, sample)| is_sampled(place, *sample));
            if log.is_some() {
                requests.push((record::request(), is_compared));
            }
            if let Some((part, _)) = shadow.as_mut().filter(|_| is_compared) {
                // A row that the shadow cannot bind is not compared.
                if part.bind(row, Some(together)).is_err()
                    && let Some(last) = part.places.last_mut()
                {
                    *last = None;
                }
            }
            together += 1;
        }
        if together == 0 {
            return Ok((scored, beside(parts.iter().skip(1).chain(shadow.iter().map(|(part, _)| part)))));
        }
        interrupt::check();
        let mut answers: Vec<Option<(Answer, Scored)>> = (0..together).map(|_| None).collect();
        for (index, part) in parts.iter_mut().enumerate() {
            let model = part.model.clone();
            let capacity = if index == 0 { Capacity::Active } else { Capacity::Canary };
            part.score(|row, place, answer, probabilities| {
                if let (Some(log), Some((request, is_compared))) = (&log, requests.get(place))
                    && (*is_compared || log.draw())
                {
                    let (row, took) = (Some(row), Some(begun.elapsed()));
                    log.keep(*request, &Outcome { model: &model.binder, capacity, row, answer: Ok(&answer), took });
                }
                let prediction = to_json(answer.clone());
                answers[place] = Some((answer, Scored { prediction, probabilities, model: model.clone() }));
            })?;
        }
        if let Some((part, _)) = &mut shadow {
            compare(&service, part, &answers, log.as_ref().map(|log| (log, requests.as_slice())));
        }
        scored.extend(answers.into_iter().flatten().map(|(_, scored)| scored));
    }
}

/// Counts what these versions took, and says how much that is together.
fn beside<'p>(parts: impl Iterator<Item = &'p Part>) -> Duration {
    parts
        .filter_map(|part| Some((part.busy, part.counter.as_ref()?)))
        .map(|(busy, counter)| {
            counter.busy(busy);
            busy
        })
        .sum()
}

/// Scores the sampled rows with the shadow; what goes wrong there is nobody's error.
fn compare(service: &str, part: &mut Part, answers: &[Option<(Answer, Scored)>], log: Option<(&Log, &[(u128, bool)])>) {
    let model = part.model.clone();
    let _ = part.score(|row, place, other, _| {
        if let Some((log, requests)) = log
            && let Some((request, _)) = requests.get(place)
        {
            let (row, capacity) = (Some(row), Capacity::Shadow);
            log.keep(*request, &Outcome { model: &model.binder, capacity, row, answer: Ok(&other), took: None });
        }
        if let Some(Some((answer, scored))) = answers.get(place) {
            shadow::keep(service, &scored.model, &model, answer, Ok(other));
        }
    });
}
