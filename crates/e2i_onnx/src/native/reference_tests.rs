//! Small random graphs of one operator of ai.onnx.ml, with what ONNX's reference in Python answers: both engines answer so.
//!
//! `tests/models/make_reference.py` made them. Where the runtime differs from the reference, it is the runtime that is
//! followed; the file says where, and its answers there are the runtime's.

use std::path::Path;

use e2i_core::native::{InstructionSet, NativeEngine};
use e2i_core::{Batch, Column, ElementType, Engine, OutputSet, Outputs};
use serde_json::Value;

use super::pipeline_tests::runtime;
use crate::{Artifacts, Model, Options, RuntimeEngine, compile, describe};

/// RFC 4648.
fn base64(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        other => panic!("{other} is no digit of base64"),
    };
    let mut bytes = vec![];
    for group in text.trim_end_matches('=').as_bytes().chunks(4) {
        let bits = group.iter().fold(0u32, |bits, byte| bits << 6 | u32::from(digit(*byte))) << (6 * (4 - group.len()));
        bytes.extend(&bits.to_be_bytes()[1..group.len()]);
    }
    bytes
}

fn column(stored: &Value) -> Column {
    let (kind, cells) = stored.as_object().unwrap().iter().next().unwrap();
    macro_rules! numbers {
        ($type:ty) => {
            base64(cells.as_str().unwrap()).as_chunks().0.iter().map(|bytes| <$type>::from_le_bytes(*bytes)).collect()
        };
    }
    match kind.as_str() {
        "texts" => {
            Column::Text(cells.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect())
        }
        "float32" => Column::Float32(numbers!(f32)),
        "float64" => Column::Float64(numbers!(f64)),
        "int64" => Column::Int64(numbers!(i64)),
        other => panic!("cells of {other}"),
    }
}

/// The first cell in which two columns differ; floats by more than a few units in the last place of float32, or at all.
fn difference(expected: &Column, got: &Column, to_the_bit: bool) -> Option<String> {
    if expected.element() != got.element() || expected.len() != got.len() {
        return Some(format!("{} {}, not {} {}", got.len(), got.element(), expected.len(), expected.element()));
    }
    let same = |index: usize| match (expected.number(index), got.number(index)) {
        (Some(a), Some(b)) if expected.element().is_float() => {
            let close = if to_the_bit { a.to_bits() == b.to_bits() } else { (a - b).abs() <= 1e-6 + 1e-5 * a.abs() };
            close || (a.is_nan() && b.is_nan()) || (!to_the_bit && a == b)
        }
        _ => expected.shown(index) == got.shown(index),
    };
    let place = (0..expected.len()).find(|index| !same(*index))?;
    let cell = |column: &Column| column.shown(place).unwrap_or_default();
    Some(format!("cell {place} is {}, not {}", cell(got), cell(expected)))
}

#[test]
fn operators_answer_as_the_reference_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/models/reference.json");
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let (mut compared, mut wrong) = (0, vec![]);
    for (number, case) in file["cases"].as_array().unwrap().iter().enumerate() {
        let operator = case["operator"].as_str().unwrap();
        let what = format!("case {number}, {operator}");
        let model = Model::parse(&base64(case["model"].as_str().unwrap())).unwrap();
        let interface = describe(&model, None, &Options::default()).unwrap_or_else(|error| panic!("{what}: {error}"));
        let inputs: Vec<Column> = case["inputs"].as_array().unwrap().iter().map(column).collect();
        let rows = inputs[0].len() / interface.inputs[0].width();
        let mut batch = Batch::new(&interface.inputs, rows);
        for (tensor, cells) in batch.tensors_mut().iter_mut().zip(inputs) {
            assert_eq!((tensor.values.element(), tensor.values.len()), (cells.element(), cells.len()), "{what}");
            tensor.values = cells;
        }
        let check = |who: &str, outputs: &Outputs, wrong: &mut Vec<String>| {
            for (output, got) in [(interface.label_output(), &outputs.label), (interface.main_output(), &outputs.main)]
            {
                let Some(expected) = output.map(|output| column(&case["outputs"][&output.tensor])) else { continue };
                wrong.extend(difference(&expected, got, false).map(|found| format!("{what}: {who}: {found}")));
            }
        };
        let mut on_runtime = Outputs::default();
        RuntimeEngine::load(runtime(), &interface, Artifacts { model: model.bytes(), preprocessor: None }, 1)
            .and_then(|mut engine| engine.score(&batch, OutputSet::BOTH, &mut on_runtime))
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        check("the runtime", &on_runtime, &mut wrong);
        let image = compile(&model, None, &interface).unwrap_or_else(|refusal| panic!("{what}: {refusal}"));
        compared += 1;
        for set in InstructionSet::available() {
            let mut engine = NativeEngine::open(&image, set).unwrap();
            let (exact, mut got) = (engine.is_exact(), Outputs::default());
            engine.score(&batch, OutputSet::BOTH, &mut got).unwrap_or_else(|error| panic!("{what}: {error}"));
            check(set.name(), &got, &mut wrong);
            let found = difference(&on_runtime.main, &got.main, exact);
            let found = found.or_else(|| difference(&on_runtime.label, &got.label, exact));
            wrong.extend(found.map(|found| format!("{what}: {set} beside the runtime: {found}")));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared >= 190, "only {compared} were compared");
}

#[test]
fn base64_is_read() {
    assert_eq!(base64("TWFu"), b"Man");
    assert_eq!(base64("TWE="), b"Ma");
    assert_eq!(base64("+/8="), [0xfb, 0xff]);
    assert_eq!(column(&serde_json::json!({"float32": "AACAPw=="})).element(), ElementType::Float32);
}
