//! NULL means to an encoder what a missing value meant when it was trained, on both engines.
//!
//! `tests/models/make_missing.py` made graphs and answers. Needs `E2I_ONNXRUNTIME`, the path of libonnxruntime.so.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use e2i_core::native::{InstructionSet, NativeEngine};
use e2i_core::{Batch, Binder, Engine, Interface, Kind, OutputSet, Outputs, Scalar, reading};
use e2i_onnx::{Artifacts, Model, Options, Runtime, RuntimeEngine, compile, describe};
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/models/missing")
}

fn read(name: &str) -> (Interface, Model) {
    let model = Model::parse(&std::fs::read(folder().join(format!("{name}.onnx"))).unwrap()).unwrap();
    let names =
        name.starts_with("matrix").then(|| ["city", "plan", "kind"][..if name == "matrix" { 3 } else { 2 }].to_vec());
    let names = names.or((name == "ordinal_number").then(|| vec!["rooms"]));
    let names = names.map(|names| names.into_iter().map(str::to_owned).collect());
    let interface = describe(&model, None, &Options { feature_names: names, ..Options::default() }).unwrap();
    (interface, model)
}

fn scalar(value: &Value) -> Scalar<'_> {
    match value {
        Value::Null => Scalar::Missing,
        Value::String(text) => Scalar::Text(text),
        Value::Number(number) => Scalar::Float(number.as_f64().unwrap()),
        other => panic!("{other}"),
    }
}

fn golden(name: &str, binder: &Binder) -> (Batch, Vec<f64>) {
    let rows: Value =
        serde_json::from_slice(&std::fs::read(folder().join(format!("{name}.golden.json"))).unwrap()).unwrap();
    let rows = rows.as_array().unwrap();
    let mut batch = Batch::new(&binder.interface().inputs, rows.len());
    for (row, golden) in rows.iter().enumerate() {
        for (feature, described) in binder.interface().features.iter().enumerate() {
            let value = scalar(&golden["features"][&described.name]);
            binder.set(&mut batch, row, feature, value).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
    (batch, rows.iter().map(|row| row["prediction"].as_f64().unwrap()).collect())
}

fn assert_predicts(name: &str, engine: &mut dyn Engine, interface: &Interface, batch: &Batch, expected: &[f64]) {
    let mut outputs = Outputs::default();
    engine.score(batch, OutputSet::BOTH, &mut outputs).unwrap_or_else(|error| panic!("{name}: {error}"));
    for (row, expected) in expected.iter().enumerate() {
        let got = reading::prediction(interface, &outputs, row, name).unwrap();
        assert!((got - expected).abs() < 1e-5, "{name} on {}, row {row}: {got}, want {expected}", engine.name());
    }
}

#[test]
fn null_is_the_category_that_missing_values_had() {
    let runtime = Runtime::load(Path::new(&std::env::var("E2I_ONNXRUNTIME").unwrap())).unwrap();
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().unwrap().strip_suffix(".onnx").map(str::to_owned))
        .collect();
    names.sort();
    assert!(names.len() >= 10, "{names:?}");
    for name in names {
        let (interface, model) = read(&name);
        let binder = Binder::new(Arc::new(interface.clone()), name.as_str());
        let (batch, expected) = golden(&name, &binder);
        let artifacts = Artifacts { model: model.bytes(), preprocessor: None };
        let mut on_runtime = RuntimeEngine::load(runtime, &interface, artifacts, 1).unwrap();
        assert_predicts(&name, &mut on_runtime, &interface, &batch, &expected);
        match compile(&model, None, &interface) {
            Ok(image) => {
                let mut native = NativeEngine::open(&image, InstructionSet::best()).unwrap();
                assert_predicts(&name, &mut native, &interface, &batch, &expected);
            }
            // An imputer of texts chooses, which is not compiled.
            Err(refusal) => assert_eq!(name, "imputed", "{refusal}"),
        }
    }
}

#[test]
fn what_stands_for_null_is_seen_in_the_interface() {
    let defaults = |name: &str| -> Vec<(bool, Option<String>)> {
        let features = read(name).0.features;
        let text = |default: Value| default.as_str().unwrap().to_owned();
        features.into_iter().map(|feature| (feature.takes_missing, feature.default.map(text))).collect()
    };
    let marker = |text: &str| (true, Some(text.to_owned()));
    assert_eq!(defaults("one_hot"), [marker("nan"), marker("None"), (true, None)]);
    assert_eq!(defaults("matrix"), [marker("nan"), marker("None"), (true, None)]);
    // The empty text is a category there: another text is none.
    assert_eq!(defaults("one_hot_empty"), [marker("nan"), marker("nan")]);
    // The second encoder of the city refuses what it does not know; the kind has never been missing.
    assert_eq!(defaults("twice"), [marker("nan"), (true, None)]);
    assert_eq!(defaults("imputed"), [marker("")]);
    assert_eq!(defaults("ordinal_number"), [(true, None)]);
}

#[test]
fn encoders_that_disagree_about_null_leave_it_refused() {
    let bytes = std::fs::read(folder().join("twice.onnx")).unwrap();
    let markers: Vec<usize> =
        bytes.windows(3).enumerate().filter(|(_, part)| part == b"nan").map(|(at, _)| at).collect();
    assert_eq!(markers.len(), 2);
    let interface = |patched: &[(usize, &[u8; 3])]| {
        let mut bytes = bytes.clone();
        patched.iter().for_each(|(at, text)| bytes[*at..at + 3].copy_from_slice(*text));
        describe(&Model::parse(&bytes).unwrap(), None, &Options::default()).unwrap()
    };
    let takes = |patched: &[(usize, &[u8; 3])]| interface(patched).features[0].takes_missing;
    assert!(takes(&[]));
    // One says nan, the other NaN; the one that numbers keys has no marker at all.
    assert!(!takes(&[(markers[0], b"NaN")]) && !takes(&[(markers[1], b"NaN")]));
    assert!(takes(&[(markers[0], b"NaN"), (markers[1], b"NaN")]));
    let keyed = markers.iter().find(|at| !takes(&[(**at, b"abc")])).expect("one of them is a label encoder");
    let refusing = interface(&[(*keyed, b"abc")]);
    let binder = Binder::new(Arc::new(refusing.clone()), "twice");
    let error = binder.set(&mut Batch::new(&refusing.inputs, 1), 0, 0, Scalar::Missing).unwrap_err();
    assert_eq!(error.kind(), Kind::MissingValue);
}
