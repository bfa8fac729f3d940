//! `e2i_serve`: the JSON contract of a model server, for clients that come from one.

use std::rc::Rc;
use std::time::Instant;

use e2i_core::reading::Question;
use e2i_core::spelling::Expected;
use e2i_core::{Answer, Error, Kind, Result};
use e2i_metrics::Function;
use pgrx::datum::JsonB;
use pgrx::prelude::*;
use pgrx::{direct_function_call, pg_sys};
use serde_json::{Value as Json, json};

use crate::catalog::schema::Schema;
use crate::datum::features::Features;
use crate::datum::json_text;
use crate::datum::jsonb::{Container, Value};
use crate::error::OrRaise;
use crate::metrics::clock::Clock;
use crate::metrics::counter;
use crate::pg::{interrupt, time, varlena};
use crate::scoring::arm::Asked;
use crate::scoring::engines::Preference;
use crate::scoring::{LoadedModel, Scorer, cache};

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
    score_all(schema, reference, begun, |model| read(model, payload)).map(JsonB).or_raise()
}

/// What is asked of every row: the prediction, which is what is counted, and the probabilities where there are any.
const ASKED: [Asked; 2] = [
    Asked { question: None, function: Some(Function::Serve), calibrated: None },
    Asked { question: Some(Question::Probabilities), function: None, calibrated: None },
];
const PREDICTION: usize = 0;
const PROBABILITIES: usize = 1;

/// The answer to a payload that `read` gives.
fn score_all(
    schema: Schema,
    reference: &str,
    begun: Clock,
    read: impl FnOnce(&str) -> Result<pg_sys::Datum>,
) -> Result<Json> {
    let (mut scorer, _) = cache::scorer(schema, reference, &ASKED, Preference::current())
        .inspect_err(|error| counter::unresolved(Function::Serve, error.kind()))?;
    scorer.request(None);
    let scoring = Instant::now();
    let model = scorer.active().clone();
    let payload = read(model.reference()).inspect_err(|error| scorer.failed(error))?;
    // SAFETY: a valid jsonb, which lives as long as the call.
    let payload = Container::root(unsafe { varlena::bytes(payload) });
    let rows = features(payload).and_then(Rows::of).inspect_err(|error| scorer.failed(error))?;
    let scored = score(&mut scorer, &rows)?;
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
        if scorer.is_split() {
            fields.insert("model_ids".into(), scored.iter().map(|row| json!(row.model.reference())).collect());
        }
        let (predictions, probabilities): (Vec<Json>, Vec<Option<Json>>) =
            scored.into_iter().map(|row| (row.prediction, row.probabilities)).unzip();
        if scorer.active_gives(PROBABILITIES) {
            fields.insert("probabilities".into(), probabilities.into_iter().map(Option::unwrap_or_default).collect());
        }
        fields.insert("predictions".into(), Json::Array(predictions));
    }
    scorer.time_payload(&begun);
    Ok(answer)
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

fn to_json(answer: Answer) -> Json {
    match answer {
        Answer::Number(value) => number(value),
        Answer::Label(label) => json!(label),
        Answer::Numbers(values) => values.into_iter().map(number).collect(),
    }
}

/// Scores all rows. The first one that is wrong ends the call, and its number says so.
fn score(scorer: &mut Scorer, rows: &Rows<'_>) -> Result<Vec<Scored>> {
    let mut scored: Vec<Scored> = vec![];
    let mut rows = rows.iter();
    loop {
        scorer.begin();
        let (before, mut together) = (scored.len(), 0);
        for row in rows.by_ref().take(ROWS_AT_ONCE) {
            let is_scored = scorer.bind(Features::of_json(row.inspect_err(|error| scorer.failed(error))?));
            together += 1;
            if !is_scored {
                scorer.answer(together - 1, PREDICTION).map_err(|error| error.in_row(before + together))?;
            }
        }
        if together == 0 {
            return Ok(scored);
        }
        interrupt::check();
        scorer.score();
        for row in 0..together {
            let in_row = |error: Error| error.in_row(before + row + 1);
            let prediction = to_json(scorer.answer(row, PREDICTION).map_err(in_row)?);
            let probabilities = match scorer.gives(row, PROBABILITIES) {
                true => Some(to_json(scorer.answer(row, PROBABILITIES).map_err(in_row)?)),
                false => None,
            };
            scored.push(Scored { prediction, probabilities, model: scorer.model(row).clone() });
        }
    }
}
