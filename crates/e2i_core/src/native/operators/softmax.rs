//! Probabilities from scores.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::vectorised::vectorised;
use super::{Operation, ValueType, elementary};
use crate::error::Result;
use crate::interface::ElementType;
use crate::native::image::Image;
use crate::native::instruction_set::InstructionSet;
use crate::native::value::broken;

/// e^(x - greatest) divided by the sum of these, for groups of neighbouring cells.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Softmax {
    /// Cells of a group.
    pub size: usize,
    /// Its logarithm instead.
    pub logarithm: bool,
}

vectorised! {
    fn single(size: usize, logarithm: bool, input: &[f32], output: &mut [f32]) {
        for (scores, results) in input.chunks_exact(size).zip(output.chunks_exact_mut(size)) {
            let greatest = scores.iter().fold(f32::NEG_INFINITY, |max, score| if *score > max { *score } else { max });
            for (score, result) in scores.iter().zip(results.iter_mut()) {
                *result = elementary::exp(*score - greatest);
            }
            let sum = results.iter().fold(0.0, |sum: f32, power| sum + *power);
            if logarithm {
                let log = sum.ln();
                scores.iter().zip(results).for_each(|(score, result)| *result = (*score - greatest) - log);
            } else {
                results.iter_mut().for_each(|result| *result /= sum);
            }
        }
    }
}

fn double(size: usize, logarithm: bool, input: &[f64], output: &mut [f64]) {
    for (scores, results) in input.chunks_exact(size).zip(output.chunks_exact_mut(size)) {
        let greatest = scores.iter().fold(f64::NEG_INFINITY, |max, score| if *score > max { *score } else { max });
        for (score, result) in scores.iter().zip(results.iter_mut()) {
            *result = (*score - greatest).exp();
        }
        let sum = results.iter().fold(0.0, |sum: f64, power| sum + *power);
        if logarithm {
            let log = sum.ln();
            scores.iter().zip(results).for_each(|(score, result)| *result = (*score - greatest) - log);
        } else {
            results.iter_mut().for_each(|result| *result /= sum);
        }
    }
}

impl Operation for Softmax {
    fn check(&self, _image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        let fits = inputs == outputs
            && self.size > 0
            && matches!(inputs, [input] if input.element.is_float() && input.width.is_multiple_of(self.size));
        if fits { Ok(()) } else { Err(broken("its groups do not fit its values")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        match frame.input_type(0).element {
            ElementType::Float64 => double(self.size, self.logarithm, frame.input(0), frame.output(0)),
            _ => single(frame.set, self.size, self.logarithm, frame.input(0), frame.output(0)),
        }
        Ok(())
    }

    fn kernel(&self, set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        format!("softmax of {}, {set}", self.size).into()
    }
}
