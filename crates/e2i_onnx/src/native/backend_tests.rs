//! ONNX's own backend tests for single operators, which `scripts/onnx_backend` fetches: every one that compiles gives what
//! the test says, and what the runtime gives.
//!
//! They fix the number of rows, and many of them give as inputs what models hold as constants (axes, shapes, bounds). A test
//! that does not compile as it stands is tried with free rows, and with the first input alone, the others being constants.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use e2i_core::native::{InstructionSet, NativeEngine};
use e2i_core::{Batch, Column, Engine, Interface, OutputSet, Outputs, Rows};
use prost::Message;

use super::constant::Constant;
use super::pipeline_tests::runtime;
use crate::proto::{DimensionValue, ModelProto, TensorProto, TypeValue};
use crate::{Artifacts, Model, Options, RuntimeEngine, compile, describe};

/// The tests of ai.onnx.ml, and whether they compile. Two more write int16, which is no type of a model's output here:
/// `label_encoder_tensor_mapping` and `label_encoder_tensor_value_only_mapping`.
const MACHINE_LEARNING: [(&str, bool); 8] = [
    ("array_feature_extractor", true),
    ("binarizer", true),
    ("label_encoder_string_int", true),
    ("label_encoder_string_int_no_default", true),
    ("label_encoder_tensor_mapping", false),
    ("label_encoder_tensor_value_only_mapping", false),
    ("tree_ensemble_set_membership", true),
    ("tree_ensemble_single_tree", true),
];

/// The tests of ai.onnx that compile, a line each.
const COMPILED: &str = include_str!("backend_tests.txt");

fn node_tests() -> Vec<(String, PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/onnx_backend/node");
    let entries = std::fs::read_dir(&folder).expect("scripts/onnx_backend fetches ONNX's backend tests");
    let mut tests: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().trim_start_matches("test_").to_owned(), path))
        .collect();
    tests.sort();
    tests
}

/// The tensors of a test, if all of them are.
fn tensors(folder: &Path, what: &str, count: usize) -> Option<Vec<TensorProto>> {
    let file = |index| folder.join(format!("test_data_set_0/{what}_{index}.pb"));
    (0..count).map(|index| TensorProto::decode(std::fs::read(file(index)).ok()?.as_slice()).ok()).collect()
}

/// A graph of a test with rows for its inputs.
struct Trial {
    model: Model,
    interface: Interface,
    batch: Batch,
}

fn trial(mut proto: ModelProto, mut given: Vec<TensorProto>, [constants, free_rows]: [bool; 2]) -> Option<Trial> {
    let graph = proto.graph.as_mut()?;
    for (input, tensor) in graph.inputs.iter().zip(&mut given) {
        tensor.name.clone_from(&input.name);
    }
    if constants {
        graph.initializers.extend(given.drain(1..));
        graph.inputs.truncate(1);
    }
    for input in graph.inputs.iter_mut().filter(|_| free_rows) {
        let Some(TypeValue::Tensor(tensor)) = input.kind.as_mut()?.value.as_mut() else { return None };
        tensor.shape.as_mut()?.dims.first_mut()?.value = Some(DimensionValue::Named("N".into()));
    }
    let model = Model::parse(&proto.encode_to_vec()).ok()?;
    let interface = describe(&model, None, &Options::default()).ok()?;
    let rows = match interface.inputs.first()?.rows {
        Rows::Fixed(rows) => rows,
        Rows::Free => given.first()?.dims.first().map_or(1, |rows| *rows as usize),
        Rows::Single => return None,
    };
    let mut batch = Batch::new(&interface.inputs, rows);
    for (tensor, given) in batch.tensors_mut().iter_mut().zip(&given) {
        let cells = Constant::read(given).ok()?.cells;
        if cells.len() != rows * tensor.width || cells.element() != tensor.values.element() {
            return None;
        }
        tensor.values = cells;
    }
    Some(Trial { model, interface, batch })
}

/// Whether the cells agree to one part in `1 / relative`, and exactly where they are no floats.
fn agree(expected: &Column, got: &Column, relative: f64) -> bool {
    expected.element() == got.element()
        && expected.len() == got.len()
        && (0..expected.len()).all(|index| match (expected, got) {
            (Column::Float32(_) | Column::Float64(_), _) => {
                let (a, b) = (expected.number(index).unwrap(), got.number(index).unwrap());
                a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-7 + relative * a.abs()
            }
            _ => expected.shown(index) == got.shown(index),
        })
}

fn shown(column: &Column) -> String {
    let cells: Vec<String> = (0..column.len().min(12)).filter_map(|index| column.shown(index)).collect();
    format!("{} {} [{}]", column.len(), column.element(), cells.join(", "))
}

/// Scores a trial natively if it compiles, and says what is wrong.
fn run(trial: &Trial, expected: &BTreeMap<String, TensorProto>) -> Option<Vec<String>> {
    let Trial { model, interface, batch } = trial;
    let image = compile(model, None, interface).ok()?;
    let mut wrong = vec![];
    let artifacts = Artifacts { model: model.bytes(), preprocessor: None };
    let mut on_runtime = Outputs::default();
    let scored = RuntimeEngine::load(runtime(), interface, artifacts, 1)
        .and_then(|mut engine| engine.score(batch, OutputSet::BOTH, &mut on_runtime));
    let check = |who: &str, outputs: &Outputs, wrong: &mut Vec<String>| {
        for (output, got) in [(interface.label_output(), &outputs.label), (interface.main_output(), &outputs.main)] {
            let Some(stated) = output.and_then(|output| expected.get(&output.tensor)) else { continue };
            let Ok(Constant { cells, .. }) = Constant::read(stated) else { continue };
            if !agree(&cells, got, 1e-3) {
                wrong.push(format!("{who} gives {}, the test says {}", shown(got), shown(&cells)));
            }
        }
    };
    for set in InstructionSet::available() {
        let mut got = Outputs::default();
        match NativeEngine::open(&image, set).and_then(|mut engine| engine.score(batch, OutputSet::BOTH, &mut got)) {
            Ok(()) => check(set.name(), &got, &mut wrong),
            Err(error) => wrong.push(format!("{set}: {error}")),
        }
        if scored.is_ok() && !(agree(&on_runtime.main, &got.main, 1e-5) && agree(&on_runtime.label, &got.label, 1e-5)) {
            wrong.push(format!("{set}: it is {}, on the runtime {}", shown(&got.main), shown(&on_runtime.main)));
        }
    }
    Some(wrong)
}

#[test]
fn backend_tests_of_onnx_pass() {
    let (mut compiled, mut machine_learning, mut wrong) = (vec![], vec![], vec![]);
    for (name, folder) in node_tests() {
        let proto = ModelProto::decode(std::fs::read(folder.join("model.onnx")).unwrap().as_slice()).unwrap();
        let graph = proto.graph.clone().unwrap();
        let (Some(given), Some(outputs)) =
            (tensors(&folder, "input", graph.inputs.len()), tensors(&folder, "output", graph.outputs.len()))
        else {
            continue;
        };
        let expected = graph.outputs.iter().map(|output| output.name.clone()).zip(outputs).collect();
        let ways = [[false, false], [false, true], [true, false], [true, true]].into_iter();
        let ways = ways.filter(|[constants, _]| !constants || given.len() > 1);
        let mut trials = ways.filter_map(|way| trial(proto.clone(), given.clone(), way)).peekable();
        let is_trial = trials.peek().is_some();
        let found = trials.find_map(|trial| run(&trial, &expected));
        match name.strip_prefix("ai_onnx_ml_") {
            Some(name) if is_trial => machine_learning.push((name.to_owned(), found.is_some())),
            None if found.is_some() => compiled.push(name.clone()),
            _ => {}
        }
        wrong.extend(found.into_iter().flatten().map(|what| format!("{name}: {what}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(machine_learning, MACHINE_LEARNING.map(|(name, is_native)| (name.to_owned(), is_native)));
    let listed: Vec<&str> = COMPILED.lines().collect();
    let surplus: Vec<_> = compiled.iter().filter(|name| !listed.contains(&name.as_str())).collect();
    let missing: Vec<_> = listed.iter().filter(|name| !compiled.iter().any(|other| other == *name)).collect();
    assert!(surplus.is_empty() && missing.is_empty(), "these compile now: {surplus:?}, these no longer: {missing:?}");
}
