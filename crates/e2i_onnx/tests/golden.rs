//! Every fixture, described from its graph and scored on the runtime, against what the training library predicted.
//!
//! Needs `E2I_ONNXRUNTIME`, the path of libonnxruntime.so; `make unit` sets it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use e2i_core::reading::{self, Question};
use e2i_core::{Batch, Binder, Engine, Interface, Kind, OutputSet, Outputs, Scalar, Task};
use e2i_onnx::{Artifacts, Model, Options, Runtime, RuntimeEngine, describe};
use serde_json::Value;

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/models")
}

fn runtime() -> &'static Runtime {
    let path = std::env::var("E2I_ONNXRUNTIME").expect("E2I_ONNXRUNTIME is the path of libonnxruntime.so");
    Runtime::load(Path::new(&path)).expect("the runtime loads")
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(models().join(name)).expect("the fixture is there")
}

fn load(name: &str, options: &Options) -> (Interface, RuntimeEngine) {
    let model = Model::parse(&bytes(&format!("{name}.onnx"))).expect("it parses");
    let first = models().join(format!("{name}.preprocessor.onnx"));
    let preprocessor = first.exists().then(|| Model::parse(&std::fs::read(&first).unwrap()).expect("it parses"));
    let interface = describe(&model, preprocessor.as_ref(), options).unwrap_or_else(|error| panic!("{name}: {error}"));
    let artifacts = Artifacts { model: model.bytes(), preprocessor: preprocessor.as_ref().map(Model::bytes) };
    let engine =
        RuntimeEngine::load(runtime(), &interface, artifacts, 1).unwrap_or_else(|error| panic!("{name}: {error}"));
    (interface, engine)
}

fn strings(value: &Value) -> Option<Vec<String>> {
    value.as_array().map(|list| list.iter().map(|text| text.as_str().unwrap_or_default().to_owned()).collect())
}

fn scalar(value: &Value) -> Scalar<'_> {
    match value {
        Value::Null => Scalar::Missing,
        Value::Bool(value) => Scalar::Bool(*value),
        Value::String(text) => Scalar::Text(text),
        Value::Number(number) => number.as_i64().map_or_else(|| Scalar::Float(number.as_f64().unwrap()), Scalar::Int),
        _ => Scalar::Other("array"),
    }
}

fn close(expected: f64, got: f64, tolerance: f64) -> bool {
    (expected - got).abs() <= tolerance * expected.abs().max(1.0)
}

#[test]
fn every_fixture_scores_as_its_training_library() {
    let mut checked = 0;
    let mut files: Vec<_> = std::fs::read_dir(models()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for path in files.iter().filter(|path| path.to_string_lossy().ends_with(".golden.json")) {
        let golden: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let name = golden["model"].as_str().unwrap();
        let options = Options {
            feature_names: strings(&golden["feature_names"]).filter(|_| golden["pass_feature_names"] == true),
            ..Options::default()
        };
        let (interface, mut engine) = load(name, &options);
        assert_eq!(interface.task.name(), golden["task"].as_str().unwrap(), "{name}");
        if let Some(classes) = strings(&golden["classes"]) {
            assert_eq!(interface.classes.as_ref().unwrap().labels, classes, "{name}");
        }
        let binder = Binder::new(Arc::new(interface.clone()), name);
        let rows = golden["rows"].as_array().unwrap();
        // All rows in one batch, then each alone: a row does not depend on its neighbours.
        for at_once in [rows.len(), 1] {
            for (start, chunk) in rows.chunks(at_once).enumerate() {
                let mut batch = Batch::new(&interface.inputs, chunk.len());
                for (row, expected) in chunk.iter().enumerate() {
                    let features = expected["features"].as_object().unwrap();
                    let layout = binder.layout_by_name(features.keys().map(String::as_str)).unwrap();
                    let values: Vec<&Value> = features.values().collect();
                    for (feature, source) in layout.sources().iter().enumerate() {
                        let value = source.map_or(Scalar::Missing, |source| scalar(values[source as usize]));
                        binder.set(&mut batch, row, feature, value).unwrap_or_else(|error| panic!("{name}: {error}"));
                    }
                }
                let mut outputs = Outputs::default();
                engine.score(&batch, OutputSet::BOTH, &mut outputs).unwrap_or_else(|error| panic!("{name}: {error}"));
                for (row, expected) in chunk.iter().enumerate() {
                    compare(name, &golden, &interface, &outputs, row, expected, start * at_once + row);
                }
            }
        }
        checked += 1;
    }
    assert!(checked >= 20, "only {checked} fixtures were found");
}

fn compare(
    name: &str,
    golden: &Value,
    interface: &Interface,
    outputs: &Outputs,
    row: usize,
    expected: &Value,
    number: usize,
) {
    let tolerance = golden["tolerance"].as_f64().unwrap();
    let model = format!("{name} row {number}");
    if let Some(prediction) = expected["prediction"].as_f64() {
        reading::needed(interface, Question::Prediction, &model).unwrap();
        let got = reading::prediction(interface, outputs, row, &model).unwrap();
        assert!(close(prediction, got, tolerance), "{model}: expected {prediction}, got {got}");
    }
    if let Some(label) = expected["label"].as_str() {
        assert_eq!(reading::label(interface, outputs, row, &model).unwrap(), label, "{model}");
    }
    for (key, question) in [("probabilities", Question::Probabilities), ("vector", Question::Vector)] {
        let Some(list) = expected[key].as_array() else { continue };
        let mut got = vec![];
        match question {
            Question::Probabilities => reading::probabilities(interface, outputs, row, &model, &mut got).unwrap(),
            _ => reading::vector(interface, outputs, row, &model, &mut got).unwrap(),
        }
        assert_eq!(got.len(), list.len(), "{model} {key}");
        for (expected, got) in list.iter().zip(&got) {
            let expected = expected.as_f64().unwrap();
            assert!(close(expected, *got, tolerance), "{model} {key}: expected {expected}, got {got}");
        }
    }
}

#[test]
fn missing_values_are_taken_where_trees_know_them() {
    let takes = |name: &str| {
        let (interface, _) = load(name, &Options::default());
        interface.features.iter().map(|feature| feature.takes_missing).collect::<Vec<_>>()
    };
    assert!(takes("hcp_hist").iter().all(|takes| *takes));
    assert!(takes("breast_xgboost").iter().all(|takes| *takes));
    assert!(takes("breast_logistic").iter().all(|takes| !takes));
    let (churn, _) = load("hcp_churn", &Options::default());
    let tolerant: Vec<&str> =
        churn.features.iter().filter(|feature| feature.takes_missing).map(|feature| feature.name.as_str()).collect();
    assert_eq!(tolerant, ["specialty", "region", "engagement_score", "rx_last_quarter"]);
}

#[test]
fn a_missing_locale_is_named_with_the_way_out() {
    let model = Model::parse(&bytes("shape_locale.onnx")).unwrap();
    let interface = describe(&model, None, &Options::default()).unwrap();
    let artifacts = Artifacts { model: model.bytes(), preprocessor: None };
    // Where the locale exists the model simply loads.
    if let Err(error) = RuntimeEngine::load(runtime(), &interface, artifacts, 1) {
        assert_eq!(error.kind(), Kind::WrongState);
        assert!(error.message().contains("en_US.UTF-8"), "{error}");
        assert!(error.hint().unwrap().contains("localedef -i en_US"), "{:?}", error.hint());
    }
}

#[test]
fn options_that_contradict_the_graph_are_refused() {
    let model = Model::parse(&bytes("wine_forest.onnx")).unwrap();
    let refuse = |options: Options| describe(&model, None, &options).unwrap_err().message().to_owned();
    let names = |count: usize| Some((0..count).map(|i| format!("n{i}")).collect::<Vec<_>>());
    assert!(refuse(Options { feature_names: names(12), ..Options::default() }).contains("12 names"));
    assert!(refuse(Options { class_labels: names(2), ..Options::default() }).contains("2 labels"));
    let same = vec!["a".to_owned(); 13];
    assert!(refuse(Options { feature_names: Some(same), ..Options::default() }).contains("two features"));
    let stated = describe(&model, None, &Options { task: Some(Task::Regression), ..Options::default() }).unwrap();
    assert_eq!(stated.task, Task::Regression);
    assert_eq!(stated.classes, None);
}

#[test]
fn bytes_that_are_no_model_are_refused_by_name() {
    for (bytes, what) in [
        (&b""[..], "empty"),
        (&b"\x1f\x8b\x08\x00rest"[..], "gzip"),
        (&b"PK\x03\x04rest"[..], "zip"),
        (&b"\x80\x04\x95rest"[..], "pickle"),
        (&b"{\"learner\": {}}"[..], "JSON"),
        (&b"\x08"[..], "not an ONNX model"),
    ] {
        let error = Model::parse(bytes).err().expect("it is refused");
        assert_eq!(error.kind(), Kind::BadModel, "{what}");
        assert!(error.message().contains(what), "{error}");
    }
    // A valid model cut short, at each 64th of its length.
    let whole = bytes_of_churn();
    for part in 1..64 {
        let _ = Model::parse(&whole[..whole.len() * part / 64]);
    }
}

fn bytes_of_churn() -> Vec<u8> {
    bytes("hcp_churn.onnx")
}
