//! Every operator through one table: each row alone, portably, is what the row gives in batches of all sizes and on every set of
//! instructions, and what a plain reference makes of it where the operator has one. A row that is refused alone is refused in every
//! batch, for the same reason, and no other row is.

use std::collections::BTreeMap;

use super::table_tests::cases;
use super::*;
use crate::batch::{Batch, Cell, Column};
use crate::engine::{Engine, OutputSet, Outputs};
use crate::error::Error;
use crate::interface::{ElementType, InputTensor, Rows};
use crate::native::image::ImageWriter;
use crate::native::{NativeEngine, PlanBuilder};
use crate::random::Random;

/// What an operator makes of one row's inputs, written to be read; `None` where it refuses the row.
pub(super) type Reference = Box<dyn Fn(&[Column]) -> Option<Column>>;

/// An operator to try.
pub(super) struct Case {
    /// Which one, and what of it is tried.
    pub name: &'static str,
    pub operator: Box<dyn Fn(&mut ImageWriter) -> Operator>,
    pub inputs: Vec<ValueType>,
    pub outputs: Vec<ValueType>,
    /// For the first output.
    pub reference: Option<Reference>,
}

/// Rows of a batch: whole lanes and parts of them, blocks of kernels and parts of these.
const SIZES: [usize; 12] = [1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 33, 129];
/// How many rows go through these, and how many at once: more than a block has.
const SOME_ROWS: usize = 140;
const ROWS: usize = 1100;

const FLOATS: [f64; 22] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    2.0,
    0.5,
    3.0,
    -2.5,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    // Denormals of both types.
    1e-40,
    -1e-45,
    f64::from_bits(1),
    f64::MIN_POSITIVE,
    f32::MIN_POSITIVE as f64,
    1e30,
    -3e38,
    f64::MAX,
    88.8,
    -104.0,
    2_147_483_648.0,
];
const TEXTS: [&str; 8] = ["", "a", "b", "Straße", "ΣΑΣ a b", "a b a", "unknown", "b  a,b"];

fn cells(random: &mut Random, of: ValueType, is_plain: bool) -> Column {
    let mut float = || match random.below(10) {
        0..=3 if !is_plain => random.pick(&FLOATS),
        0 | 4 => random.below(4) as f64,
        _ => random.unit() * 3.0,
    };
    let width = of.width;
    match of.element {
        ElementType::Float32 => Column::Float32((0..width).map(|_| float() as f32).collect()),
        ElementType::Float64 => Column::Float64((0..width).map(|_| float()).collect()),
        ElementType::Int32 => {
            Column::Int32((0..width).map(|_| random.pick(&[0, 1, -1, 2, 7, i32::MIN, i32::MAX])).collect())
        }
        ElementType::Int64 => {
            Column::Int64((0..width).map(|_| random.pick(&[0, 1, -1, 2, 7, -7, i64::MIN, i64::MAX])).collect())
        }
        ElementType::Bool => Column::Bool((0..width).map(|_| random.chance(50)).collect()),
        ElementType::Text => Column::Text((0..width).map(|_| random.pick(&TEXTS).to_owned()).collect()),
    }
}

fn rows(case: &Case) -> Batch {
    let tensor = |(index, value): (usize, &ValueType)| InputTensor {
        name: index.to_string(),
        element: value.element,
        shape: vec![value.width],
        rows: Rows::Free,
    };
    let tensors: Vec<InputTensor> = case.inputs.iter().enumerate().map(tensor).collect();
    let mut batch = Batch::new(&tensors, ROWS);
    let mut random = Random(case.name.len() as u64);
    for row in 0..ROWS {
        let is_plain = random.chance(60);
        for (tensor, value) in batch.tensors_mut().iter_mut().zip(&case.inputs) {
            write(&mut tensor.values, row * value.width, &cells(&mut random, *value, is_plain));
        }
    }
    batch
}

fn write(into: &mut Column, at: usize, cells: &Column) {
    fn over<T: Cell>(into: &mut Column, at: usize, cells: &Column) {
        let cells = T::cells(cells);
        T::cells_mut(into)[at..at + cells.len()].clone_from_slice(cells);
    }
    frame::for_element!(cells.element(), over(into, at, cells));
}

/// The cells of a row.
fn part(column: &Column, row: usize, width: usize) -> Column {
    column.picked(&[row], width)
}

/// Bit by bit, but that NaN is NaN.
fn same(one: &Column, other: &Column) -> bool {
    match (one, other) {
        (Column::Float32(one), Column::Float32(other)) if one.len() == other.len() => {
            one.iter().zip(other).all(|(a, b)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()))
        }
        (Column::Float64(one), Column::Float64(other)) if one.len() == other.len() => {
            one.iter().zip(other).all(|(a, b)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()))
        }
        _ => one == other,
    }
}

/// The image of a plan of this operator alone, whose numbers are one of its outputs.
fn image(case: &Case, output: usize) -> Vec<u8> {
    let mut plan = PlanBuilder::default();
    let inputs: Vec<_> = case.inputs.iter().map(|input| plan.input(*input)).collect();
    let operator = (case.operator)(plan.tables());
    let first = plan.step(case.name, operator, &inputs, &case.outputs);
    plan.finish(None, Some(first + output as u32)).unwrap()
}

/// The answer to each row, or why there is none.
type Answers = Vec<Result<Column>>;

fn answers(engine: &mut NativeEngine, batch: &Batch, rows: usize, size: usize, width: usize) -> Answers {
    let mut answers = vec![];
    let mut outputs = Outputs::default();
    for first in (0..rows).step_by(size) {
        let taken: Vec<usize> = (first..(first + size).min(rows)).collect();
        engine.score_rows(&batch.picked(&taken), OutputSet::MAIN, &mut outputs).unwrap();
        let refused: BTreeMap<usize, Error> = std::mem::take(&mut outputs.refused);
        answers.extend((0..taken.len()).map(|row| match refused.get(&row) {
            Some(error) => Err(error.clone()),
            None => Ok(part(&outputs.main, row, width)),
        }));
    }
    answers
}

fn compare(what: &str, batch: &Batch, found: &Answers, expected: &Answers) {
    for (row, (found, expected)) in found.iter().zip(expected).enumerate() {
        let is_same = match (found, expected) {
            (Ok(found), Ok(expected)) => same(found, expected),
            (found, expected) => found == expected,
        };
        let inputs = || batch.picked(&[row]);
        assert!(is_same, "{what}, row {row}, {:?}: {found:?} instead of {expected:?}", inputs().tensors());
    }
    assert!(found.len() == ROWS || found.len() == SOME_ROWS, "{what}");
}

fn check(case: &Case) {
    let batch = rows(case);
    for (output, value) in case.outputs.iter().enumerate() {
        let (image, width) = (image(case, output), value.width);
        let alone = answers(&mut NativeEngine::open(&image, InstructionSet::PORTABLE).unwrap(), &batch, ROWS, 1, width);
        if let (Some(reference), 0) = (&case.reference, output) {
            for (row, alone) in alone.iter().enumerate() {
                let inputs: Vec<Column> =
                    batch.tensors().iter().map(|tensor| part(&tensor.values, row, tensor.width)).collect();
                let expected = reference(&inputs);
                let is_same = match (alone, &expected) {
                    (Ok(found), Some(expected)) => same(found, expected),
                    (found, expected) => found.is_ok() == expected.is_some(),
                };
                assert!(is_same, "{}, {inputs:?}: {alone:?} instead of {expected:?}", case.name);
            }
        }
        for set in InstructionSet::available() {
            let mut engine = NativeEngine::open(&image, set).unwrap();
            let whole = [(ROWS, ROWS)];
            for (rows, size) in SIZES.map(|size| (SOME_ROWS, size)).into_iter().chain(whole) {
                let what = format!("{}, output {output}, {set}, {size} rows", case.name);
                compare(&what, &batch, &answers(&mut engine, &batch, rows, size, width), &alone);
            }
        }
    }
}

#[test]
fn a_row_alone_is_the_row_in_every_batch_on_every_set() {
    for case in cases() {
        check(&case);
    }
}

#[test]
fn every_operator_is_in_the_table() {
    let tried: Vec<&str> = cases().iter().map(|case| (case.operator)(&mut ImageWriter::default()).name()).collect();
    let missing: Vec<&&str> = Operator::NAMES.iter().filter(|name| !tried.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_table_refuses_rows() {
    // Batches in which some rows are refused are what the table is for, too.
    let refusing = |case: &Case| {
        let mut engine = NativeEngine::open(&image(case, 0), InstructionSet::best()).unwrap();
        let answers = answers(&mut engine, &rows(case), ROWS, ROWS, case.outputs[0].width);
        let refused = answers.iter().filter(|answer| answer.is_err()).count();
        (0 < refused && refused < ROWS).then_some((case.operator)(&mut ImageWriter::default()).name())
    };
    let refusing: std::collections::BTreeSet<&str> = cases().iter().filter_map(refusing).collect();
    assert_eq!(Vec::from_iter(refusing), ["Binarize", "Columnwise", "Encode", "Finite", "OneHot", "Pick"]);
}

#[test]
fn a_row_is_refused_for_the_reason_that_it_has_alone() {
    let one = [ValueType::new(ElementType::Float64, 1)];
    let mut plan = PlanBuilder::default();
    let input = plan.input(one[0]);
    let finite = Finite { takes_nan: true, single: false, names: vec![] };
    let finite = plan.step("finite", finite.into(), &[input], &one);
    let encoding = Encoding {
        name: "x".into(),
        categories: vec![(1.0, Becomes::Place(0))],
        missing: Becomes::Refused,
        unknown: Becomes::Refused,
        width: 1,
        cells: vec![0.5],
    };
    let encode = Encode::new(&[encoding], plan.tables());
    let main = plan.step("encode", encode.into(), &[finite], &one);
    let mut engine = NativeEngine::open(&plan.finish(None, Some(main)).unwrap(), InstructionSet::best()).unwrap();

    let tensor = InputTensor { name: "x".into(), element: ElementType::Float64, shape: vec![1], rows: Rows::Free };
    let mut batch = Batch::new(&[tensor], 5);
    batch.tensors_mut()[0].values = Column::Float64(vec![1.0, f64::INFINITY, f64::NAN, 7.0, 1.0]);
    let found = answers(&mut engine, &batch, 5, 5, 1);
    assert_eq!(found, answers(&mut engine, &batch, 5, 1, 1));
    let told: Vec<String> = found
        .iter()
        .map(|answer| match answer {
            Ok(cells) => cells.shown(0).unwrap(),
            Err(error) => error.to_string(),
        })
        .collect();
    let infinite = "node \"finite\" of the model: column 0 of its input is infinite";
    let unknown = |what| {
        format!("node \"encode\" of the model: {what} in column \"x\" is none of the categories that it was fitted to")
    };
    assert_eq!(told, ["0.5", infinite, &unknown("a missing value"), &unknown("7"), "0.5"]);
    // Who has no use for some of the rows is told of the first that is refused.
    let error = engine.score(&batch, OutputSet::MAIN, &mut Outputs::default()).unwrap_err();
    assert_eq!(error.message(), infinite);
}
