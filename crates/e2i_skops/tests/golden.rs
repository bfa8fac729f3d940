//! What is compiled from a file answers as scikit-learn answers, error for error.
//!
//! `tests/models/make_skops_models.py` and `make_skops_unusual.py` made files and answers with three versions. `E2I_SKOPS` names another folder that it
//! filled; `E2I_SKOPS_MODEL` one model alone.

use std::path::PathBuf;
use std::sync::Arc;

use e2i_core::native::{InstructionSet, NativeEngine};
use e2i_core::{Batch, Binder, Engine, OutputSet, Outputs, Scalar, reading};
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Deserialize)]
struct Golden {
    data: Map<String, Value>,
    models: Map<String, Value>,
}

/// Folders of models, and what their answers are called.
fn folders() -> Vec<(PathBuf, &'static str)> {
    let ours = |folder| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/models")).join(folder);
    if let Some(other) = std::env::var_os("E2I_SKOPS") {
        return vec![(other.clone().into(), "new"), (other.into(), "old")];
    }
    let unusual = ["skops_unusual/1.9", "skops_unusual/1.3"];
    let usual = [(ours("skops"), "new"), (ours("skops"), "old")];
    usual.into_iter().chain(unusual.map(|folder| (ours(folder), "answers"))).collect()
}

fn scalar(value: &Value) -> Scalar<'_> {
    match value {
        Value::Null => Scalar::Missing,
        Value::Bool(value) => Scalar::Bool(*value),
        Value::String(text) => Scalar::Text(text),
        Value::Number(number) if number.is_i64() => Scalar::Int(number.as_i64().unwrap()),
        Value::Number(number) => Scalar::Float(number.as_f64().unwrap()),
        other => panic!("{other} is no feature"),
    }
}

/// What `value` stands for in an answer: null is NaN.
fn number(value: &Value) -> f64 {
    match value {
        Value::Null => f64::NAN,
        Value::String(text) => text.parse().unwrap(),
        other => other.as_f64().unwrap(),
    }
}

/// The label and the numbers of a row, or why there are none.
fn answer(
    model: &e2i_skops::Model,
    engine: &mut NativeEngine,
    binder: &Binder,
    row: &[Value],
) -> Result<(Option<String>, Vec<f64>), String> {
    let mut batch = Batch::new(&model.interface.inputs, 1);
    for (feature, value) in row.iter().enumerate() {
        binder.set(&mut batch, 0, feature, scalar(value)).map_err(|error| error.message().to_owned())?;
    }
    let mut outputs = Outputs::default();
    engine.score(&batch, OutputSet::BOTH, &mut outputs).map_err(|error| error.message().to_owned())?;
    let label = model.interface.label.map(|_| reading::label(&model.interface, &outputs, 0, "m").unwrap().into_owned());
    let mut numbers = vec![];
    if model.interface.main.is_some() {
        reading::vector(&model.interface, &outputs, 0, "m", &mut numbers).unwrap();
    }
    Ok((label, numbers))
}

/// The greatest difference, relative to the greatest number of the row; infinite where one is a number and the other not.
fn difference(ours: &[f64], theirs: &[f64]) -> f64 {
    if ours.len() != theirs.len() {
        return f64::INFINITY;
    }
    let scale = theirs.iter().filter(|x| x.is_finite()).fold(f64::MIN_POSITIVE, |scale, x| scale.max(x.abs()));
    let apart = |(a, b): (&f64, &f64)| if a == b || (a.is_nan() && b.is_nan()) { 0.0 } else { ((a - b) / scale).abs() };
    let nan_is_far = |x: f64| if x.is_nan() { f64::INFINITY } else { x };
    ours.iter().zip(theirs).map(apart).map(nan_is_far).fold(0.0, f64::max)
}

#[test]
fn answers_are_scikit_learns() {
    let only = std::env::var("E2I_SKOPS_MODEL").ok();
    let mut wrong: Vec<String> = vec![];
    let mut compared = 0;
    for (folder, version) in folders() {
        let text = std::fs::read_to_string(folder.join(format!("{version}.golden.json"))).unwrap();
        let Golden { data, models } = serde_json::from_str(&text).unwrap();
        for (name, golden) in models.iter().filter(|(name, _)| only.as_ref().is_none_or(|only| only == *name)) {
            let bytes = std::fs::read(folder.join(format!("{name}.skops"))).unwrap();
            let model = match e2i_skops::read(&bytes).unwrap() {
                Ok(model) => model,
                Err(error) => {
                    wrong.push(format!("{name}: {error:?}"));
                    continue;
                }
            };
            let binder = Binder::new(Arc::new(model.interface.clone()), "m");
            let tolerance = golden["tolerance"].as_f64().unwrap();
            let rows = data[golden["data"].as_str().unwrap()]["rows"].as_array().unwrap();
            let given = &data[golden["data"].as_str().unwrap()]["columns"];
            // A model of one text takes nothing else of a row.
            let taken = golden.get("features").unwrap_or(given).as_array().unwrap();
            let given = given.as_array().unwrap();
            let taken: Vec<usize> =
                taken.iter().map(|name| given.iter().position(|given| given == name).unwrap()).collect();
            let mut worst = (0.0, String::new());
            for set in InstructionSet::available() {
                let mut engine =
                    NativeEngine::open(&model.plan, set).unwrap_or_else(|error| panic!("{name}: {error:?}"));
                for (at, (row, expected)) in rows.iter().zip(golden["answers"].as_array().unwrap()).enumerate() {
                    let row: Vec<Value> = taken.iter().map(|at| row[*at].clone()).collect();
                    let got = answer(&model, &mut engine, &binder, &row);
                    compared += 1;
                    let why = match (&got, expected.get("error")) {
                        (Err(_), Some(_)) => continue,
                        _ if expected.get("undefined").is_some() => continue,
                        (Err(why), None) => format!("refused, {why}"),
                        (Ok((label, numbers)), Some(error)) => {
                            format!("{label:?} {numbers:?}, but it is an error: {error}")
                        }
                        (Ok((label, numbers)), None) => {
                            let theirs: Vec<f64> = expected["numbers"]
                                .as_array()
                                .map(|numbers| numbers.iter().map(number).collect())
                                .unwrap_or_default();
                            let apart =
                                if expected.get("numbers").is_some() { difference(numbers, &theirs) } else { 0.0 };
                            if apart > worst.0 {
                                worst = (apart, format!("row {at}: {numbers:?} and {theirs:?}"));
                            }
                            match (label.as_deref(), expected["label"].as_str()) {
                                (ours, Some(theirs)) if ours != Some(theirs) => {
                                    format!("label {ours:?}, not {theirs:?}")
                                }
                                _ if apart > tolerance => format!("{apart:e} apart, {numbers:?} and {theirs:?}"),
                                _ => continue,
                            }
                        }
                    };
                    let folder = folder.file_name().unwrap_or_default().display();
                    wrong.push(format!("{name} of {folder}, {set}, row {at} {row:?}: {why}"));
                    break;
                }
            }
            if std::env::var_os("E2I_SKOPS_SHOW").is_some() {
                println!("{name:32} {:e} {}", worst.0, if worst.0 > tolerance { &worst.1 } else { "" });
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 100 || only.is_some());
}
