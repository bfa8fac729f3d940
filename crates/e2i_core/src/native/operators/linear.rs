//! Products of a row with a matrix of constants, as a step.

use std::borrow::Cow;

use super::constants::Constants;
use super::frame::Frame;
use super::lanes::LANES;
use super::matrix::{Linear, MANY_OUTPUTS};
use super::network::forward;
use super::products::SUMS;
use super::{Operation, ValueType};
use crate::error::Result;
use crate::native::image::Image;
use crate::native::instruction_set::InstructionSet;
use crate::native::value::broken;

impl Linear {
    fn run_single(&self, frame: &mut Frame<'_>) {
        let (input, set, image, rows) = (frame.input::<f32>(0), frame.set, frame.image, frame.rows);
        let rows = frame.input_type(0).width.checked_div(self.inputs).map_or(0, |groups| groups * rows);
        forward(set, self, image, rows, input, frame.output::<f32>(0));
    }

    /// The same sums in the same order, without regard to speed.
    fn run_double(&self, frame: &mut Frame<'_>) {
        let (input, image) = (frame.input::<f64>(0), frame.image);
        let weights = self.weights.numbers::<f64>(image);
        let bias = self.bias.numbers::<f64>(image);
        let (inputs, outputs) = (self.inputs, self.outputs);
        for (row, results) in input.chunks_exact(inputs).zip(frame.output::<f64>(0).chunks_exact_mut(outputs)) {
            for (output, result) in results.iter_mut().enumerate() {
                let mut lanes = [0.0; LANES];
                let sum = if outputs >= MANY_OUTPUTS {
                    let column = weights[output / LANES * inputs * LANES..].iter().skip(output % LANES).step_by(LANES);
                    let part = inputs / SUMS;
                    let sum_of = |i| if i < part * SUMS { i / part } else { i - part * SUMS };
                    row.iter().zip(column).enumerate().for_each(|(i, (x, w))| lanes[sum_of(i)] += x * w);
                    (lanes[0] + lanes[1]) + (lanes[2] + lanes[3])
                } else {
                    let padding = inputs.next_multiple_of(LANES) - inputs;
                    let column = &weights[output * (inputs + padding)..];
                    for (i, x) in row.iter().enumerate() {
                        let place = if i < inputs / LANES * LANES { i } else { i + padding };
                        lanes[place % LANES] += x * column[place];
                    }
                    let eight: [f64; 8] = std::array::from_fn(|lane| lanes[lane] + lanes[lane + 8]);
                    let four: [f64; 4] = std::array::from_fn(|lane| eight[lane] + eight[lane + 4]);
                    (four[0] + four[2]) + (four[1] + four[3])
                };
                let sum = if self.factor == 1.0 { sum } else { sum * self.factor };
                *result = bias.get(output).map_or(sum, |bias| sum + bias);
            }
        }
    }
}

impl Operation for Linear {
    fn check(&self, image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        let ([input], [output]) = (inputs, outputs) else { return Err(broken("it has one input and one output")) };
        self.check_tables(image, input.element)?;
        let groups = input.width.checked_div(self.inputs);
        let fits = input.element.is_float()
            && output.element == input.element
            && self.after.is_none()
            && groups.is_some_and(|groups| {
                groups.checked_mul(self.inputs) == Some(input.width)
                    && groups.checked_mul(self.outputs) == Some(output.width)
            });
        if fits { Ok(()) } else { Err(broken("its matrix is not shaped for its values")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        match self.weights {
            Constants::Float64(_) => self.run_double(frame),
            _ => self.run_single(frame),
        }
        Ok(())
    }

    fn kernel(&self, set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        let set = if self.is_single() { set } else { InstructionSet::PORTABLE };
        format!("{}, {}, {set}", self.described(), self.order()).into()
    }
}
