//! `e2i_serve`: the JSON contract of a model server, for clients that come from one.

use std::time::Instant;

use e2i_core::reading::{self, Question, needed};
use e2i_core::{Batch, Error, Interface, Kind, OutputSet, Outputs, Result, Task};
use pgrx::datum::JsonB;
use pgrx::prelude::*;
use pgrx::{direct_function_call, pg_sys};
use serde_json::{Value as Json, json};

use crate::catalog::schema::Schema;
use crate::datum::features::FeatureSource;
use crate::datum::jsonb::{Container, Value};
use crate::error::OrRaise;
use crate::pg::{interrupt, varlena};
use crate::session::{LoadedModel, cache};

/// Rows that are bound and scored together; bounds the memory of a batch whatever the payload holds.
const ROWS_AT_ONCE: usize = 1024;

/// Scores a payload of one row or several. Declared in `sql/scoring.sql`.
#[pg_extern(sql = false)]
fn e2i_serve(fcinfo: pg_sys::FunctionCallInfo) -> JsonB {
    let begun = Instant::now();
    // SAFETY: the server passes a valid fcinfo with a text and a jsonb, neither of them NULL.
    let (schema, reference, payload) = unsafe {
        let arguments = (*fcinfo).args.as_slice(2);
        (Schema::of_call(fcinfo), varlena::text(arguments[0].value), varlena::bytes(arguments[1].value))
    };
    let serve = || {
        let model = cache::model(schema, reference)?;
        let scoring = Instant::now();
        let rows = Rows::of(features(Container::root(payload))?)?;
        let (predictions, probabilities) = score(&model, rows)?;
        let scored = scoring.elapsed();
        let mut answer = json!({
            "predictions": predictions,
            "model_id": model.reference(),
            "prediction_time_ms": milliseconds(scored),
            "_metadata": {
                "model_name": model.name,
                "latency_ms": milliseconds(begun.elapsed()),
                "timestamp": timestamp(),
            },
        });
        if let (Some(probabilities), Some(fields)) = (probabilities, answer.as_object_mut()) {
            fields.insert("probabilities".to_owned(), Json::Array(probabilities));
        }
        Ok(JsonB(answer))
    };
    serve().or_raise()
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
        let now = pg_sys::Datum::from(pg_sys::GetCurrentTimestamp());
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

/// Scores all rows; predictions, and probabilities for classifiers that give them.
fn score(model: &LoadedModel, rows: Rows<'_>) -> Result<(Vec<Json>, Option<Vec<Json>>)> {
    let interface = model.interface();
    let reader = Answer::of(interface, model.reference());
    let mut source = FeatureSource::default();
    let mut batch = Batch::new(&interface.inputs, 0);
    let mut outputs = Outputs::default();
    let (mut predictions, mut probabilities) = (Vec::new(), Vec::new());
    let mut rows = rows.iter();
    let mut done = 0;
    loop {
        batch.set_rows(0);
        for row in rows.by_ref().take(ROWS_AT_ONCE) {
            let (row, number) = (row?, batch.rows());
            batch.set_rows(number + 1);
            source
                .bind_json(&model.binder, row, &mut batch, number)
                .map_err(|error| error.in_row(done + number + 1))?;
        }
        if batch.rows() == 0 {
            break;
        }
        interrupt::check();
        model.score(&batch, reader.wanted, &mut outputs)?;
        for row in 0..batch.rows() {
            predictions.push(reader.prediction(interface, &outputs, row, model.reference())?);
            if reader.probabilities {
                let mut numbers = Vec::with_capacity(outputs.width.max(2));
                reading::probabilities(interface, &outputs, row, model.reference(), &mut numbers)?;
                probabilities.push(numbers.into_iter().map(number).collect());
            }
        }
        done += batch.rows();
    }
    Ok((predictions, reader.probabilities.then_some(probabilities)))
}

/// What `predictions` holds for a model: the number of `e2i_predict` where there is one, else the label, else all numbers.
struct Answer {
    wanted: OutputSet,
    question: Question,
    probabilities: bool,
}

impl Answer {
    fn of(interface: &Interface, model: &str) -> Self {
        let question = if needed(interface, Question::Prediction, model).is_ok() {
            Question::Prediction
        } else if interface.task.is_classification() || interface.main.is_none() {
            Question::Label
        } else {
            Question::Vector
        };
        let probabilities = needed(interface, Question::Probabilities, model).is_ok();
        let label =
            question == Question::Label || matches!(interface.task, Task::MulticlassClassification | Task::Clustering);
        let wanted = OutputSet {
            label: interface.label.is_some() && (label || interface.main.is_none()),
            main: interface.main.is_some(),
        };
        Self { wanted, question, probabilities }
    }

    fn prediction(&self, interface: &Interface, outputs: &Outputs, row: usize, model: &str) -> Result<Json> {
        Ok(match self.question {
            Question::Prediction => number(reading::prediction(interface, outputs, row, model)?),
            Question::Label => json!(reading::label(interface, outputs, row, model)?),
            _ => {
                let mut numbers = Vec::with_capacity(outputs.width);
                reading::vector(outputs, row, model, &mut numbers)?;
                numbers.into_iter().map(number).collect()
            }
        })
    }
}
