//! The native engine against ONNX Runtime, on every fixture that it knows.
//!
//! Needs `E2I_ONNXRUNTIME`, the path of libonnxruntime.so; `make unit` sets it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use e2i_core::native::{InstructionSet, NativeEngine};
use e2i_core::random::Random;
use e2i_core::{Batch, Binder, Column, Engine, Interface, OutputSet, Outputs, Scalar};
use e2i_onnx::{Artifacts, Model, Options, Refusal, Runtime, RuntimeEngine, compile, describe, locale};
use serde_json::Value;

/// Fixtures that have no native plan, and the operator that is why.
const LEFT_TO_THE_RUNTIME: [(&str, &str); 3] =
    [("shape_cumsum", "CumSum"), ("shape_loop", "Loop"), ("shape_slow", "MatMul")];

/// Fixtures of trees and categories, which score to the bit as on the runtime; so do sums of few numbers by chance only.
const EXACT: [&str; 8] = [
    "breast_isolation",
    "breast_lightgbm",
    "breast_xgboost",
    "diabetes_boosting",
    "hcp_catboost",
    "hcp_hist",
    "hcp_two_graph",
    "wine_forest",
];

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/models")
}

fn runtime() -> &'static Runtime {
    let path = std::env::var("E2I_ONNXRUNTIME").expect("E2I_ONNXRUNTIME is the path of libonnxruntime.so");
    Runtime::load(Path::new(&path)).expect("the runtime loads")
}

struct Fixture {
    name: String,
    interface: Interface,
    model: Model,
    preprocessor: Option<Model>,
    golden: Option<Value>,
}

impl Fixture {
    fn compile(&self) -> Result<Vec<u8>, Refusal> {
        compile(&self.model, self.preprocessor.as_ref(), &self.interface)
    }

    fn runtime_engine(&self) -> RuntimeEngine {
        let preprocessor = self.preprocessor.as_ref().map(Model::bytes);
        // The locale that a graph names may be missing here.
        let replaced = locale::replaced(self.model.bytes()).filter(|_| self.name == "shape_locale");
        let artifacts = Artifacts { model: replaced.as_deref().unwrap_or(self.model.bytes()), preprocessor };
        RuntimeEngine::load(runtime(), &self.interface, artifacts, 1)
            .unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}

fn fixtures() -> Vec<Fixture> {
    let mut files: Vec<_> = std::fs::read_dir(models()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut fixtures = Vec::new();
    for path in files {
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let Some(name) = file.strip_suffix(".onnx").filter(|name| !name.ends_with(".preprocessor")) else { continue };
        let model = Model::parse(&std::fs::read(&path).unwrap()).unwrap();
        let first = models().join(format!("{name}.preprocessor.onnx"));
        let preprocessor = first.exists().then(|| Model::parse(&std::fs::read(&first).unwrap()).unwrap());
        let golden: Option<Value> = std::fs::read(models().join(format!("{name}.golden.json")))
            .ok()
            .map(|bytes| serde_json::from_slice(&bytes).unwrap());
        let names = golden.as_ref().filter(|golden| golden["pass_feature_names"] == true).map(|golden| {
            let names = golden["feature_names"].as_array().unwrap();
            names.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
        });
        let options = Options { feature_names: names, ..Options::default() };
        let interface = describe(&model, preprocessor.as_ref(), &options).unwrap();
        fixtures.push(Fixture { name: name.to_owned(), interface, model, preprocessor, golden });
    }
    fixtures
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

/// The golden rows, each several times, with numbers changed by a seeded generator in all but the first copy.
fn rows(fixture: &Fixture, copies: usize) -> Batch {
    let binder = Binder::new(Arc::new(fixture.interface.clone()), fixture.name.as_str());
    let golden = fixture.golden.as_ref().unwrap()["rows"].as_array().unwrap();
    let mut batch = Batch::new(&fixture.interface.inputs, golden.len() * copies);
    for (row, expected) in golden.iter().cycle().take(golden.len() * copies).enumerate() {
        let features = expected["features"].as_object().unwrap();
        let layout = binder.layout_by_name(features.keys().map(String::as_str)).unwrap();
        let values: Vec<&Value> = features.values().collect();
        for (feature, source) in layout.sources().iter().enumerate() {
            let value = source.map_or(Scalar::Missing, |source| scalar(values[source as usize]));
            binder.set(&mut batch, row, feature, value).unwrap();
        }
    }
    let mut random = Random(7);
    for tensor in batch.tensors_mut() {
        let first = golden.len() * tensor.width;
        match &mut tensor.values {
            Column::Float32(cells) => cells[first..].iter_mut().for_each(|cell| *cell *= 0.5 + random.share() as f32),
            Column::Float64(cells) => cells[first..].iter_mut().for_each(|cell| *cell *= 0.5 + random.share()),
            Column::Int64(cells) => cells[first..].iter_mut().for_each(|cell| *cell += (random.bits() % 7) as i64),
            Column::Int32(cells) => cells[first..].iter_mut().for_each(|cell| *cell += (random.bits() % 7) as i32),
            Column::Bool(cells) => cells[first..].iter_mut().for_each(|cell| *cell = random.bits().is_multiple_of(2)),
            Column::Text(cells) => {
                for cell in cells[first..].iter_mut().step_by(11) {
                    "never seen".clone_into(cell);
                }
            }
        }
    }
    batch
}

fn part(batch: &Batch, interface: &Interface, from: usize, rows: usize) -> Batch {
    fn cut<T: Clone>(cells: &[T], from: usize, count: usize) -> Vec<T> {
        cells[from..from + count].to_vec()
    }
    let mut part = Batch::new(&interface.inputs, rows);
    for (into, tensor) in part.tensors_mut().iter_mut().zip(batch.tensors()) {
        let (from, count) = (from * tensor.width, rows * tensor.width);
        into.values = match &tensor.values {
            Column::Float32(cells) => Column::Float32(cut(cells, from, count)),
            Column::Float64(cells) => Column::Float64(cut(cells, from, count)),
            Column::Int32(cells) => Column::Int32(cut(cells, from, count)),
            Column::Int64(cells) => Column::Int64(cut(cells, from, count)),
            Column::Bool(cells) => Column::Bool(cut(cells, from, count)),
            Column::Text(cells) => Column::Text(cut(cells, from, count)),
        };
    }
    part
}

fn bits(column: &Column) -> Vec<String> {
    match column {
        Column::Float32(cells) => cells.iter().map(|cell| format!("{:08x}", cell.to_bits())).collect(),
        Column::Float64(cells) => cells.iter().map(|cell| format!("{:016x}", cell.to_bits())).collect(),
        other => (0..other.len()).map(|index| other.shown(index).unwrap()).collect(),
    }
}

/// Whether numbers agree to a part in a hundred thousand of the largest number of the row: what a score has lost in the last place of
/// float32 before a softmax is lost by its probability as a whole.
fn assert_close(name: &str, expected: &Column, got: &Column, width: usize) {
    assert_eq!(expected.element(), got.element(), "{name}");
    assert_eq!(expected.len(), got.len(), "{name}");
    for row in 0..expected.len() / width.max(1) {
        let cells = row * width..(row + 1) * width;
        let scale = cells.clone().filter_map(|i| expected.number(i)).map(f64::abs).fold(0.0, f64::max);
        for i in cells {
            match (expected.number(i), got.number(i)) {
                (Some(a), Some(b)) => assert!(
                    (a - b).abs() <= 1e-5 * scale.max(0.1) || (a.is_nan() && b.is_nan()) || a == b,
                    "{name}: row {row}: the runtime gives {a:e}, the native engine {b:e}"
                ),
                _ => assert_eq!(expected.shown(i), got.shown(i), "{name}: row {row}"),
            }
        }
    }
}

#[test]
fn every_fixture_that_is_known_scores_as_on_the_runtime() {
    let mut refused = Vec::new();
    for fixture in fixtures() {
        let name = &fixture.name;
        let image = match fixture.compile() {
            Ok(image) => image,
            Err(refusal) => {
                refused.push((name.clone(), refusal.operator));
                continue;
            }
        };
        if fixture.golden.is_none() {
            continue;
        }
        let batch = rows(&fixture, 40);
        let mut expected = Outputs::default();
        fixture.runtime_engine().score(&batch, OutputSet::BOTH, &mut expected).unwrap();
        let mut first: Option<(Vec<String>, Vec<String>)> = None;
        for set in InstructionSet::available() {
            let mut engine = NativeEngine::open(&image, set).unwrap();
            let mut outputs = Outputs::default();
            engine.score(&batch, OutputSet::BOTH, &mut outputs).unwrap();
            assert_eq!(outputs.width, expected.width, "{name}");
            assert_close(name, &expected.main, &outputs.main, outputs.width);
            assert_close(name, &expected.label, &outputs.label, 1);
            if EXACT.contains(&name.as_str()) {
                assert_eq!(bits(&expected.main), bits(&outputs.main), "{name} {set}");
            }
            let got = (bits(&outputs.label), bits(&outputs.main));
            let width = outputs.width;
            engine.score(&batch, OutputSet::MAIN, &mut outputs).unwrap();
            assert_eq!(bits(&outputs.main), got.1, "{name} {set}: the numbers alone");
            engine.score(&batch, OutputSet::LABEL, &mut outputs).unwrap();
            assert_eq!(bits(&outputs.label), got.0, "{name} {set}: the label alone");
            for at_once in [1, 7] {
                for from in (0..batch.rows() - at_once).step_by(at_once) {
                    let some = part(&batch, &fixture.interface, from, at_once);
                    engine.score(&some, OutputSet::BOTH, &mut outputs).unwrap();
                    assert_eq!(bits(&outputs.main), got.1[from * width..(from + at_once) * width], "{name} {set}");
                    if !got.0.is_empty() {
                        assert_eq!(bits(&outputs.label), got.0[from..from + at_once], "{name} {set}");
                    }
                }
            }
            assert_eq!(*first.get_or_insert_with(|| got.clone()), got, "{name} {set}");
        }
    }
    assert_eq!(refused, LEFT_TO_THE_RUNTIME.map(|(name, operator)| (name.to_owned(), operator.to_owned())));
}

#[test]
fn a_damaged_image_is_refused_or_scores_something() {
    let mut random = Random(11);
    for fixture in fixtures().iter().filter(|fixture| fixture.golden.is_some()) {
        let Ok(image) = fixture.compile() else { continue };
        let batch = rows(fixture, 1);
        let mut opened = 0;
        let head = 16 + u32::from_le_bytes(image[8..12].try_into().unwrap()) as usize;
        for round in 0..200 {
            let mut damaged = image.clone();
            // Heads are read as text: most changes there are refused at once, so that tables are met as often.
            for _ in 0..1 + round % 4 {
                let place = if round % 2 == 0 && head < image.len() {
                    head + random.bits() as usize % (image.len() - head)
                } else {
                    random.bits() as usize % image.len()
                };
                damaged[place] = match round % 3 {
                    0 => b'0' + (random.bits() % 10) as u8,
                    1 => random.bits() as u8,
                    _ => damaged[place] ^ (1 << (random.bits() % 8)),
                };
            }
            if round % 10 == 9 {
                damaged.truncate(random.bits() as usize % image.len());
            }
            let Ok(mut engine) = NativeEngine::open(&damaged, InstructionSet::best()) else { continue };
            opened += 1;
            let _ = engine.score(&batch, OutputSet::BOTH, &mut Outputs::default());
            let _ = engine.describe(1);
        }
        assert!(opened > 0, "{}: every damage was noticed, which tests nothing", fixture.name);
    }
}

#[test]
fn the_compiler_refuses_what_is_damaged_and_does_not_panic() {
    let mut random = Random(13);
    let (mut described, mut compiled) = (0, 0);
    for fixture in fixtures() {
        let bytes = fixture.model.bytes();
        // Large graphs are the same nodes many times over.
        for round in 0..if bytes.len() > 200_000 { 5 } else { 150 } {
            let mut damaged = bytes.to_vec();
            for _ in 0..1 + round % 5 {
                let place = random.bits() as usize % damaged.len();
                damaged[place] =
                    if round % 2 == 0 { random.bits() as u8 } else { damaged[place] ^ (1 << (random.bits() % 8)) };
            }
            let Ok(model) = Model::parse(&damaged) else { continue };
            let Ok(interface) = describe(&model, None, &Options::default()) else { continue };
            described += 1;
            let Ok(image) = compile(&model, None, &interface) else { continue };
            compiled += 1;
            let mut engine =
                NativeEngine::open(&image, InstructionSet::best()).expect("what was compiled can be opened");
            let batch = Batch::new(&interface.inputs, 2);
            let _ = engine.score(&batch, OutputSet::BOTH, &mut Outputs::default());
        }
    }
    for _ in 0..2_000 {
        let bytes: Vec<u8> = (0..random.bits() % 200).map(|_| random.bits() as u8).collect();
        if let Ok(model) = Model::parse(&bytes)
            && let Ok(interface) = describe(&model, None, &Options::default())
        {
            let _ = compile(&model, None, &interface);
        }
    }
    assert!(described > 500 && compiled > 300, "{described} were described, {compiled} compiled");
}
