//! Models whose outputs mean something else than they look like (`tests/models/answers`, made by `make_answers.py`), against
//! what the training library answers: labels, probabilities, numbers, and which questions are refused. On both engines.
//!
//! `E2I_ANSWERS` is another folder of the kind, for instance what other versions of the libraries make.
//!
//! Needs `E2I_ONNXRUNTIME`, the path of libonnxruntime.so; `make unit` sets it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use e2i_core::evidence::{Evidence, settle};
use e2i_core::native::agreement::{Sample, disagreement, varied};
use e2i_core::native::{InstructionSet, NativeEngine};
use e2i_core::reading::{self, Question, needed};
use e2i_core::{Batch, Binder, ClassScores, Engine, Interface, OutputSet, Outputs, Scalar, Task};
use e2i_onnx::{Artifacts, Model, Options, Runtime, RuntimeEngine, built, compile, describe, find_rows};
use serde_json::Value;

fn answers() -> PathBuf {
    if let Some(folder) = std::env::var_os("E2I_ANSWERS") {
        return folder.into();
    }
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/models/answers")
}

fn runtime() -> &'static Runtime {
    let path = std::env::var("E2I_ONNXRUNTIME").expect("E2I_ONNXRUNTIME is the path of libonnxruntime.so");
    Runtime::load(Path::new(&path)).expect("the runtime loads")
}

fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array().map(|list| list.iter().map(|text| text.as_str().unwrap_or_default().to_owned()).collect())
}

/// The batch of a specification's rows.
fn bound(spec: &Value, interface: &Interface, name: &str) -> Batch {
    let binder = Binder::new(Arc::new(interface.clone()), name);
    let rows = spec["rows"].as_array().unwrap();
    let mut batch = Batch::new(&interface.inputs, rows.len());
    for (row, values) in rows.iter().enumerate() {
        for (feature, value) in values.as_array().unwrap().iter().enumerate() {
            binder.set(&mut batch, row, feature, Scalar::Float(value.as_f64().unwrap())).unwrap();
        }
    }
    batch
}

/// What each question is answered with, one list of texts or numbers a row, or `None` where it is refused.
fn check(name: &str, spec: &Value, interface: &Interface, outputs: &Outputs, engine: &str) {
    let tolerance = spec["tolerance"].as_f64().unwrap();
    for (key, question) in [
        ("label", Question::Label),
        ("prediction", Question::Prediction),
        ("probabilities", Question::Probabilities),
        ("vector", Question::Vector),
    ] {
        let expected = &spec[key];
        let allowed = needed(interface, question, name);
        if expected.is_null() {
            let error = allowed.expect_err(&format!("{name}: {key} is not refused on {engine}"));
            assert!(error.hint().is_some(), "{name}: {error}");
            continue;
        }
        allowed.unwrap_or_else(|error| panic!("{name}: {key}: {error}"));
        for (row, expected) in expected.as_array().unwrap().iter().enumerate() {
            let mut got = vec![];
            match question {
                Question::Label => {
                    let label = reading::label(interface, outputs, row, name).unwrap();
                    assert_eq!(label, expected.as_str().unwrap(), "{name}: label of row {row} on {engine}");
                    continue;
                }
                Question::Prediction => got.push(reading::prediction(interface, outputs, row, name).unwrap()),
                Question::Probabilities => {
                    reading::probabilities(interface, outputs, row, name, &mut got).unwrap();
                }
                Question::Vector => reading::vector(interface, outputs, row, name, &mut got).unwrap(),
            }
            let expected: Vec<f64> = match expected {
                Value::Array(list) => list.iter().map(|number| number.as_f64().unwrap()).collect(),
                one => vec![one.as_f64().unwrap()],
            };
            let near = |(expected, got): (&f64, &f64)| (expected - got).abs() <= tolerance * expected.abs().max(1.0);
            let all = expected.len() == got.len() && expected.iter().zip(&got).all(near);
            assert!(all, "{name}: {key} of row {row} on {engine}: expected {expected:?}, got {got:?}");
        }
    }
}

/// Describes and scores one model; whether the native engine scored it too.
fn one(name: &str, spec: &Value) -> bool {
    let stated = &spec["register"];
    let options = Options {
        task: stated["task"].as_str().and_then(Task::from_name),
        class_labels: texts(&stated["class_labels"]),
        class_scores: stated["class_scores"].as_str().and_then(ClassScores::from_name),
        ..Options::default()
    };
    let bytes = std::fs::read(answers().join(spec["file"].as_str().unwrap())).unwrap();
    let model = Model::parse(&bytes).unwrap();
    let mut interface = describe(&model, None, &options).unwrap_or_else(|error| panic!("{name}: {error}"));
    let artifacts = Artifacts { model: &bytes, preprocessor: None };
    let mut engine = RuntimeEngine::load(runtime(), &interface, artifacts, 1).unwrap();
    let batch = bound(spec, &interface, name);
    find_rows(&mut engine, &mut interface, &batch).unwrap();
    let mut outputs = Outputs::default();
    let mut evidence = Evidence::default();
    let others = varied(&interface, &Sample::of(Batch::new(&interface.inputs, 1)), 64, false);
    for rows in [&others, &batch] {
        if engine.score(rows, OutputSet::BOTH, &mut outputs).is_ok() {
            evidence.add(&interface, &outputs);
        }
    }
    let operators = built(&model, &interface);
    settle(&mut interface, options.class_scores, operators, &evidence).unwrap();
    let classes = interface.classes.as_ref().map(|classes| classes.labels.clone());
    assert_eq!(classes, texts(&spec["classes"]), "{name}: classes");
    check(name, spec, &interface, &outputs, "onnxruntime");
    let Ok(plan) = compile(&model, None, &interface) else { return false };
    let mut ours = Outputs::default();
    NativeEngine::open(&plan, InstructionSet::best()).unwrap().score(&batch, OutputSet::BOTH, &mut ours).unwrap();
    assert_eq!(disagreement(&ours, &outputs, Some(&outputs)), None, "{name}");
    check(name, spec, &interface, &ours, "native");
    true
}

#[test]
fn every_answer_is_the_training_librarys() {
    let (mut native, mut wrong) = (0, vec![]);
    let mut names: Vec<String> = std::fs::read_dir(answers())
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str().unwrap().strip_suffix(".json").map(str::to_owned))
        .filter(|name| !name.ends_with(".xgb"))
        .collect();
    names.sort();
    for name in &names {
        let spec: Value =
            serde_json::from_slice(&std::fs::read(answers().join(format!("{name}.json"))).unwrap()).unwrap();
        // The files of training libraries are tried in SQL, as they are registered.
        if spec["file"].as_str().unwrap().ends_with(".onnx") {
            match std::panic::catch_unwind(|| one(name, &spec)) {
                Ok(scored) => native += usize::from(scored),
                Err(_) => wrong.push(name),
            }
        }
    }
    assert!(wrong.is_empty(), "wrong: {wrong:?}");
    let own = std::env::var_os("E2I_ANSWERS").is_none();
    assert!(!own || (names.len() >= 40 && native >= 20), "{} were checked, {native} of them natively", names.len());
}
