//! Whether two engines agree: rows to try both on, and what counts as the same answer.
//!
//! Trees, encoders and arithmetic agree to the last bit. Where the runtime itself is not reproducible (sums of products,
//! exponentials by its own polynomials) answers may differ by rounding, and no more.

use crate::batch::{Batch, Column};
use crate::engine::{Engine, OutputSet, Outputs};
use crate::error::{Kind, Result};
use crate::interface::{ElementType, Interface};
use crate::native::NativeEngine;
use crate::random::Random;

/// Numbers that models treat in different ways: signs, zeros, fractions.
const MODERATE: [f64; 8] = [0.0, 1.0, -1.0, 0.5, -0.0, 2.0, 0.1, -3.5];

/// And magnitudes that are seldom met.
const EXTREME: [f64; 8] = [10.0, 0.01, 37.0, -250.0, 1e3, 123_456.0, 1e-6, -1e6];

/// Largest difference of two float32 numbers that is taken for rounding, relative to 1 or the largest number of the row.
const ROUNDING_SINGLE: f64 = 4e-6;

/// The same for float64.
const ROUNDING_DOUBLE: f64 = 1e-11;

/// How many times the distance by which nudged rows move an answer is taken for rounding, too: where large terms cancel,
/// what is left of them is rounded as they are.
const REACH: f64 = 16.0;

/// Rows that a model scores, to make others of.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The rows; one at least.
    pub rows: Batch,
    /// For each tensor, the positions that take no other values than those of `rows`: an encoder refuses them. Empty where
    /// that holds for none.
    pub closed: Vec<Vec<bool>>,
}

impl Sample {
    /// Rows whose numbers may be any.
    #[must_use]
    pub fn of(rows: Batch) -> Self {
        Self { rows, closed: vec![] }
    }
}

/// `rows` rows like those of `sample`, with every number replaced by one of many kinds, `extreme` ones among them or not:
/// those are for exact models, others round them without bounds. Texts, integers and numbers that stand for categories are
/// taken from any row of the sample: one that the model does not know may be an error. The same every time.
#[must_use]
pub fn varied(interface: &Interface, sample: &Sample, rows: usize, extreme: bool) -> Batch {
    let mut batch = Batch::new(&interface.inputs, rows);
    let mut takes_missing: Vec<Vec<bool>> = batch.tensors().iter().map(|tensor| vec![false; tensor.width]).collect();
    for feature in interface.features.iter().filter(|feature| feature.takes_missing) {
        if let Some(takes) = takes_missing.get_mut(feature.tensor).and_then(|tensor| tensor.get_mut(feature.position)) {
            *takes = true;
        }
    }
    let mut random = Random(0);
    let given_rows = sample.rows.rows().max(1);
    for (index, tensor) in batch.tensors_mut().iter_mut().enumerate() {
        let Some(given) = sample.rows.tensors().get(index) else { continue };
        let width = tensor.width;
        for cell in 0..rows * width {
            let position = cell % width;
            let is_closed = sample.closed.get(index).and_then(|closed| closed.get(position)) == Some(&true);
            let mut any_row = || random.below(given_rows) * width + position;
            match (&mut tensor.values, &given.values) {
                (Column::Float32(cells), Column::Float32(given)) if is_closed => cells[cell] = given[any_row()],
                (Column::Float64(cells), Column::Float64(given)) if is_closed => cells[cell] = given[any_row()],
                (Column::Float32(cells), _) => {
                    cells[cell] = number(&mut random, takes_missing[index][position], extreme) as f32;
                }
                (Column::Float64(cells), _) => {
                    cells[cell] = number(&mut random, takes_missing[index][position], extreme);
                }
                (Column::Int32(cells), Column::Int32(given)) => cells[cell] = given[any_row()],
                (Column::Int64(cells), Column::Int64(given)) => cells[cell] = given[any_row()],
                (Column::Bool(cells), _) => cells[cell] = random.chance(50),
                (Column::Text(cells), Column::Text(given)) => cells[cell].clone_from(&given[any_row()]),
                _ => {}
            }
        }
    }
    batch
}

/// The same rows with every number moved to its neighbour: how far answers move with them is how far rounding reaches.
#[must_use]
pub fn nudged(batch: &Batch) -> Batch {
    let mut batch = batch.clone();
    for tensor in batch.tensors_mut() {
        match &mut tensor.values {
            Column::Float32(cells) => cells.iter_mut().for_each(|cell| *cell = cell.next_up()),
            Column::Float64(cells) => cells.iter_mut().for_each(|cell| *cell = cell.next_up()),
            Column::Int32(_) | Column::Int64(_) | Column::Bool(_) | Column::Text(_) => {}
        }
    }
    batch
}

/// Where a native engine first answers otherwise than another one, in words; `None` where it does not. Both may refuse a row, as for a
/// category that is not known: such a row is asked of the other engine alone, and the others without it.
///
/// # Errors
/// [`Kind::Interrupted`], and what the native engine reports but of single rows.
pub fn first_difference<'b>(
    native: &mut NativeEngine,
    other: &mut dyn Engine,
    rows: impl IntoIterator<Item = &'b Batch>,
) -> Result<Option<String>> {
    for batch in rows {
        let mut ours = Outputs::default();
        native.score_rows(batch, OutputSet::BOTH, &mut ours)?;
        let (refused, given): (Vec<usize>, Vec<usize>) =
            (0..batch.rows()).partition(|row| ours.refused.contains_key(row));
        for row in refused {
            match other.score(&batch.picked(&[row]), OutputSet::BOTH, &mut Outputs::default()) {
                Ok(()) => return Ok(ours.refused.get(&row).map(|error| error.message().to_owned())),
                Err(error) if error.kind() == Kind::Interrupted => return Err(error),
                Err(_) => {}
            }
        }
        let difference = match given.len() == batch.rows() {
            true => difference_of_answers(native, other, batch)?,
            false => difference_of_answers(native, other, &batch.picked(&given))?,
        };
        if difference.is_some() {
            return Ok(difference);
        }
    }
    Ok(None)
}

/// The same for rows that the native engine does not refuse.
fn difference_of_answers(native: &mut NativeEngine, other: &mut dyn Engine, batch: &Batch) -> Result<Option<String>> {
    let (mut ours, mut theirs, mut moved) = (Outputs::default(), Outputs::default(), Outputs::default());
    if batch.rows() == 0 {
        return Ok(None);
    }
    native.score(batch, OutputSet::BOTH, &mut ours)?;
    match other.score(batch, OutputSet::BOTH, &mut theirs) {
        Err(error) if error.kind() == Kind::Interrupted => Err(error),
        Err(error) => Ok(Some(error.message().to_owned())),
        Ok(()) if native.is_exact() => Ok(disagreement(&ours, &theirs, None)),
        Ok(()) => {
            match other.score(&nudged(batch), OutputSet::BOTH, &mut moved) {
                Err(error) if error.kind() == Kind::Interrupted => return Err(error),
                // A category that is moved is none: what cannot be moved reaches nowhere.
                Err(_) => moved.clone_from(&theirs),
                Ok(()) => {}
            }
            Ok(disagreement(&ours, &theirs, Some(&moved)))
        }
    }
}

/// The first row in which two engines disagree, in words, or that one of them refuses alone; `None` when they agree: to the last bit, or to rounding where
/// `nudged` holds the other engine's answers to nudged rows.
#[must_use]
pub fn disagreement(ours: &Outputs, theirs: &Outputs, nudged: Option<&Outputs>) -> Option<String> {
    if !same_shape(ours, theirs, nudged) {
        return Some(OTHER_SHAPE.to_owned());
    }
    let told = |ours: &Column, theirs: &Column, at: usize, row: usize| {
        Some(format!("in row {}, {} instead of {}", row + 1, ours.shown(at)?, theirs.shown(at)?))
    };
    let is_refused = |row: usize| ours.refused.contains_key(&row);
    if let Some(row) = theirs.refused.keys().find(|row| !is_refused(**row)) {
        return Some(format!("row {} is answered instead of refused", row + 1));
    }
    if let Some(row) = ours.refused.keys().find(|row| !theirs.refused.contains_key(row)) {
        return Some(format!("row {} is refused", row + 1));
    }
    for row in (0..ours.main.len() / ours.width.max(1)).filter(|row| !is_refused(*row)) {
        if let Some(at) = differing_cell(ours, theirs, nudged, row) {
            return told(&ours.main, &theirs.main, at, row);
        }
    }
    let mut labels = (0..ours.label.len()).filter(|at| !is_refused(*at));
    let at = labels.find(|at| !same(&ours.label, &theirs.label, *at, 0.0))?;
    told(&ours.label, &theirs.label, at, at)
}

/// The rows in which the answers differ by more than rounding, and the first of them in words. A label that goes with numbers
/// that agree may be another: the numbers were as good as equal. `nudged` holds `theirs` of nudged rows.
#[must_use]
pub fn differing_rows(ours: &Outputs, theirs: &Outputs, nudged: &Outputs) -> (usize, Option<String>) {
    if !same_shape(ours, theirs, Some(nudged)) {
        return (usize::MAX, Some(OTHER_SHAPE.to_owned()));
    }
    let told = |ours: &Column, theirs: &Column, at: usize, row: usize| {
        Some(format!("row {} gave {} and {}", row + 1, theirs.shown(at)?, ours.shown(at)?))
    };
    let (mut count, mut first) = (0, None);
    let rows = if ours.main.is_empty() { ours.label.len() } else { ours.main.len() / ours.width.max(1) };
    for row in 0..rows {
        let (ours, theirs, at) = if ours.main.is_empty() {
            (&ours.label, &theirs.label, (!same(&ours.label, &theirs.label, row, 0.0)).then_some(row))
        } else {
            (&ours.main, &theirs.main, differing_cell(ours, theirs, Some(nudged), row))
        };
        if let Some(at) = at {
            count += 1;
            first = first.or_else(|| told(ours, theirs, at, row));
        }
    }
    (count, first)
}

const OTHER_SHAPE: &str = "the answers are not of one shape";

fn same_shape(ours: &Outputs, theirs: &Outputs, nudged: Option<&Outputs>) -> bool {
    let shape = |outputs: &Outputs| (outputs.label.len(), outputs.main.len(), outputs.width);
    shape(ours) == shape(theirs) && nudged.is_none_or(|nudged| shape(nudged) == shape(theirs))
}

/// The first number of a row that differs by more than rounding; of answers of one shape.
fn differing_cell(ours: &Outputs, theirs: &Outputs, nudged: Option<&Outputs>, row: usize) -> Option<usize> {
    let (width, main) = (ours.width.max(1), &theirs.main);
    let rounding = if main.element() == ElementType::Float64 { ROUNDING_DOUBLE } else { ROUNDING_SINGLE };
    let moved = |nudged: &Outputs, at: usize| Some((main.number(at)? - nudged.main.number(at)?).abs());
    let mut cells = row * width..(row + 1) * width;
    let tolerance = match nudged {
        None => 0.0,
        Some(nudged) => {
            let largest = cells.clone().filter_map(|at| main.number(at)).filter(|number| number.is_finite());
            let farthest = cells.clone().filter_map(|at| moved(nudged, at)).filter(|number| number.is_finite());
            rounding * largest.fold(1.0, |a: f64, b| a.max(b.abs())) + REACH * farthest.fold(0.0, f64::max)
        }
    };
    cells.find(|at| !same(&ours.main, main, *at, tolerance))
}

fn same(ours: &Column, theirs: &Column, at: usize, tolerance: f64) -> bool {
    if ours.element() != theirs.element() {
        return false;
    }
    match (ours.number(at), theirs.number(at)) {
        (Some(ours), Some(theirs)) => {
            ours == theirs || (ours.is_nan() && theirs.is_nan()) || (ours - theirs).abs() <= tolerance
        }
        _ => ours.shown(at) == theirs.shown(at),
    }
}

/// A number of one kind of many.
fn number(random: &mut Random, takes_missing: bool, extreme: bool) -> f64 {
    let drawn = random.bits();
    let unit = (drawn >> 11) as f64 / (1u64 << 53) as f64;
    match drawn % 8 {
        0 if takes_missing => f64::NAN,
        0 if extreme => EXTREME[(drawn >> 3) as usize % EXTREME.len()],
        0 | 1 => MODERATE[(drawn >> 3) as usize % MODERATE.len()],
        2 | 3 => unit,
        4 => (unit * 10.0).floor(),
        // Near the normal distribution, which most scaled features have: the sum of three uniform numbers.
        _ => (unit + random.share() + random.share() - 1.5) * 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{feature, regression};
    use crate::interface::ElementType;

    fn answers(numbers: &[f32]) -> Outputs {
        Outputs {
            label: Column::Int64(vec![1]),
            main: Column::Float32(numbers.to_vec()),
            width: 2,
            ..Outputs::default()
        }
    }

    #[test]
    fn rounding_is_agreement_and_more_is_not() {
        let ours = answers(&[0.25, 0.75, 1000.0, f32::NAN]);
        let near = answers(&[0.250_000_1, 0.75, 1000.001, f32::NAN]);
        assert_eq!(disagreement(&ours, &near, Some(&near)), None);
        assert_eq!(disagreement(&ours, &near, None).unwrap(), "in row 1, 0.25 instead of 0.25000008940696716");
        let far = answers(&[0.25, 0.75, 1000.5, f32::NAN]);
        assert_eq!(disagreement(&ours, &far, Some(&far)).unwrap(), "in row 2, 1000 instead of 1000.5");
        // Their own answer moves by a tenth when the row moves by nothing to speak of.
        assert_eq!(disagreement(&ours, &far, Some(&answers(&[0.25, 0.75, 1000.6, f32::NAN]))), None);
        let number = answers(&[0.25, 0.75, 1000.0, 1.0]);
        assert!(disagreement(&ours, &number, Some(&number)).is_some());
    }

    #[test]
    fn a_label_must_be_the_same() {
        let (ours, mut theirs) = (answers(&[0.5, 0.5]), answers(&[0.5, 0.5]));
        theirs.label = Column::Int64(vec![0]);
        assert_eq!(disagreement(&ours, &theirs, Some(&theirs)).unwrap(), "in row 1, 1 instead of 0");
    }

    #[test]
    fn missing_values_are_tried_only_where_they_are_taken() {
        let mut interface =
            regression(vec![feature("a", 0, ElementType::Float32), feature("b", 1, ElementType::Float32)]);
        interface.features[1].takes_missing = true;
        interface.features[0].takes_missing = false;
        let batch = varied(&interface, &Sample::of(Batch::new(&interface.inputs, 1)), 200, true);
        let Column::Float32(cells) = &batch.tensors()[0].values else { unreachable!() };
        assert!(cells.chunks(2).all(|row| !row[0].is_nan()));
        assert!(cells.chunks(2).any(|row| row[1].is_nan()));
    }

    #[test]
    fn many_features_are_not_searched_for_one_by_one() {
        const COUNT: usize = 400_000;
        let features = (0..COUNT).map(|position| feature("f", position, ElementType::Float32)).collect();
        let mut interface = regression(features);
        interface.features[COUNT - 1].takes_missing = true;
        let sample = Sample::of(Batch::new(&interface.inputs, 1));
        assert_eq!(varied(&interface, &sample, 1, true).tensors()[0].values.len(), COUNT);
    }
}
