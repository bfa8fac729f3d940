//! `e2i_serve`: the JSON contract of a model server, for clients that come from one.

use std::rc::Rc;
use std::time::Instant;

use e2i_core::reading::Question;
use e2i_core::spelling::Expected;
use e2i_core::{Answer, Error, Result};
use e2i_metrics::Function;
use pgrx::datum::JsonB;
use pgrx::prelude::*;
use pgrx::{direct_function_call, pg_sys};
use serde_json::{Map, Value as Json, json};

use crate::catalog::schema::Schema;
use crate::datum::json_text;
use crate::datum::jsonb::Container;
use crate::datum::payload::{Payload, Rows};
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
    let Payload { rows, inference } =
        Payload::read(payload, model.interface()).inspect_err(|error| scorer.failed(error))?;
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
        if let Some(id) = inference {
            answer_inference(fields, &model, id);
        }
    }
    scorer.time_payload(&begun);
    Ok(answer)
}

/// What a client of the Open Inference Protocol looks for beside the rest: the model, the id of its request, and the same answers as
/// tensors. A tensor has one number or text of rows that have one, else as many as each has.
fn answer_inference(fields: &mut Map<String, Json>, model: &LoadedModel, id: Option<&str>) {
    let tensor = |name: &str| {
        let rows = fields.get(name)?.as_array()?;
        let width = rows.first().and_then(Json::as_array).map(Vec::len);
        let data: Vec<&Json> = match width {
            Some(_) => rows.iter().filter_map(Json::as_array).flatten().collect(),
            None => rows.iter().collect(),
        };
        let is_text = |value: &&&Json| value.as_str().is_some_and(|text| !NOT_FINITE.contains(&text));
        let datatype = if data.iter().any(|value| is_text(&value)) { "BYTES" } else { "FP64" };
        let shape: Vec<usize> = std::iter::once(rows.len()).chain(width).collect();
        Some(json!({"name": name, "shape": shape, "datatype": datatype, "data": data}))
    };
    let outputs: Vec<Json> = ["predictions", "probabilities"].into_iter().filter_map(tensor).collect();
    fields.insert("outputs".into(), Json::Array(outputs));
    fields.insert("model_name".into(), json!(model.name));
    fields.insert("model_version".into(), json!(model.version));
    if let Some(id) = id {
        fields.insert("id".into(), json!(id));
    }
}

/// How numbers that JSON has not are written.
const NOT_FINITE: [&str; 3] = ["NaN", "Infinity", "-Infinity"];

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
            let is_scored = scorer.bind(row.inspect_err(|error| scorer.failed(error))?);
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
