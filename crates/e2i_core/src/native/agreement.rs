//! Whether two engines agree: rows to try both on, and what counts as the same answer.
//!
//! Trees, encoders and arithmetic agree to the last bit. Where the runtime itself is not reproducible (sums of products,
//! exponentials by its own polynomials) answers may differ by rounding, and no more.

use crate::batch::{Batch, Column};
use crate::engine::Outputs;
use crate::interface::Interface;

/// Numbers that models treat in different ways: signs, zeros, fractions, magnitudes.
const NUMBERS: [f64; 16] =
    [0.0, 1.0, -1.0, 0.5, -0.0, 2.0, 0.1, -3.5, 10.0, 0.01, 37.0, -250.0, 1e3, 123_456.0, 1e-6, -1e6];

/// Largest difference of two float32 numbers that is taken for rounding, relative to the larger of 1 and the number.
const ROUNDING_SINGLE: f64 = 4e-6;

/// The same for float64.
const ROUNDING_DOUBLE: f64 = 1e-11;

/// `rows` rows like the first of `sample`, with every number replaced by one of many kinds. Texts and integers stay: a
/// category that the model does not know may be an error. The same every time.
#[must_use]
pub fn varied(interface: &Interface, sample: &Batch, rows: usize) -> Batch {
    let mut batch = Batch::new(&interface.inputs, rows);
    let mut generator = Generator(0x9e37_79b9_7f4a_7c15);
    for (index, tensor) in batch.tensors_mut().iter_mut().enumerate() {
        let Some(given) = sample.tensors().get(index) else { continue };
        let width = tensor.width;
        let takes_missing: Vec<bool> = (0..width)
            .map(|position| {
                let at = |feature: &&crate::Feature| feature.tensor == index && feature.position == position;
                interface.features.iter().find(at).is_some_and(|feature| feature.takes_missing)
            })
            .collect();
        for row in 0..rows {
            for position in 0..width {
                let cell = row * width + position;
                match (&mut tensor.values, &given.values) {
                    (Column::Float32(cells), _) => cells[cell] = generator.number(takes_missing[position]) as f32,
                    (Column::Float64(cells), _) => cells[cell] = generator.number(takes_missing[position]),
                    (Column::Int32(cells), Column::Int32(given)) => cells[cell] = given[position],
                    (Column::Int64(cells), Column::Int64(given)) => cells[cell] = given[position],
                    (Column::Bool(cells), _) => cells[cell] = generator.next().is_multiple_of(2),
                    (Column::Text(cells), Column::Text(given)) => cells[cell].clone_from(&given[position]),
                    _ => {}
                }
            }
        }
    }
    batch
}

/// The first row in which two engines disagree, in words; `None` when they agree.
#[must_use]
pub fn disagreement(ours: &Outputs, theirs: &Outputs) -> Option<String> {
    if ours.label.len() != theirs.label.len() || ours.main.len() != theirs.main.len() || ours.width != theirs.width {
        return Some("the answers are not of one shape".to_owned());
    }
    let differs = |ours: &Column, theirs: &Column, width: usize| {
        let at = (0..ours.len()).find(|index| !same(ours, theirs, *index))?;
        let (ours, theirs) = (ours.shown(at)?, theirs.shown(at)?);
        Some(format!("in row {}, {ours} instead of {theirs}", at / width.max(1) + 1))
    };
    differs(&ours.main, &theirs.main, ours.width).or_else(|| differs(&ours.label, &theirs.label, 1))
}

fn same(ours: &Column, theirs: &Column, at: usize) -> bool {
    let close = |ours: f64, theirs: f64, rounding: f64| {
        ours == theirs
            || (ours.is_nan() && theirs.is_nan())
            || (ours - theirs).abs() <= rounding * ours.abs().max(theirs.abs()).max(1.0)
    };
    match (ours, theirs) {
        (Column::Float32(ours), Column::Float32(theirs)) => {
            close(f64::from(ours[at]), f64::from(theirs[at]), ROUNDING_SINGLE)
        }
        (Column::Float64(ours), Column::Float64(theirs)) => close(ours[at], theirs[at], ROUNDING_DOUBLE),
        (ours, theirs) => ours.element() == theirs.element() && ours.shown(at) == theirs.shown(at),
    }
}

/// Marsaglia's xorshift64: not for secrets, the same everywhere.
struct Generator(u64);

impl Generator {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn number(&mut self, takes_missing: bool) -> f64 {
        let drawn = self.next();
        let unit = (drawn >> 11) as f64 / (1u64 << 53) as f64;
        match drawn % 8 {
            0 if takes_missing => f64::NAN,
            0 | 1 => NUMBERS[(drawn >> 3) as usize % NUMBERS.len()],
            2 | 3 => unit,
            4 => (unit * 100.0).floor(),
            // Near the normal distribution, which most scaled features have: the sum of three uniform numbers.
            _ => {
                let other = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
                let third = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
                (unit + other + third - 1.5) * 2.0
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{feature, regression};
    use crate::interface::ElementType;

    fn answers(numbers: &[f32]) -> Outputs {
        Outputs { label: Column::Int64(vec![1]), main: Column::Float32(numbers.to_vec()), width: 2 }
    }

    #[test]
    fn rounding_is_agreement_and_more_is_not() {
        let ours = answers(&[0.25, 0.75, 1000.0, f32::NAN]);
        assert_eq!(disagreement(&ours, &answers(&[0.250_000_1, 0.75, 1000.001, f32::NAN])), None);
        let told = disagreement(&ours, &answers(&[0.25, 0.75, 1000.5, f32::NAN])).unwrap();
        assert_eq!(told, "in row 2, 1000 instead of 1000.5");
        assert!(disagreement(&ours, &answers(&[0.25, 0.75, 1000.0, 1.0])).is_some());
    }

    #[test]
    fn a_label_must_be_the_same() {
        let (ours, mut theirs) = (answers(&[0.5, 0.5]), answers(&[0.5, 0.5]));
        theirs.label = Column::Int64(vec![0]);
        assert_eq!(disagreement(&ours, &theirs).unwrap(), "in row 1, 1 instead of 0");
    }

    #[test]
    fn missing_values_are_tried_only_where_they_are_taken() {
        let mut interface =
            regression(vec![feature("a", 0, ElementType::Float32), feature("b", 1, ElementType::Float32)]);
        interface.features[1].takes_missing = true;
        interface.features[0].takes_missing = false;
        let batch = varied(&interface, &Batch::new(&interface.inputs, 1), 200);
        let Column::Float32(cells) = &batch.tensors()[0].values else { unreachable!() };
        assert!(cells.chunks(2).all(|row| !row[0].is_nan()));
        assert!(cells.chunks(2).any(|row| row[1].is_nan()));
    }
}
