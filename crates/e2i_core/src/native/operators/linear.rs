//! Products of a row with a matrix of constants.
//!
//! Two orders of summation, chosen by the shape when the plan is made and never by the processor or the batch:
//!
//! * few outputs: lanes over inputs. Input `i` belongs to lane `i mod 16` (those of a last, incomplete chunk to the highest
//!   lanes); each lane adds its products in order, and the lanes are added in halves: `l` and `l + 8`, then `l + 4`, ….
//! * more outputs: lanes over outputs. Each output has four sums, input `i` belongs to sum `i mod 4`; then
//!   (0 + 1) + (2 + 3).
//!
//! Then the factor, if any, and then the bias.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::constants::{Constants, Values};
use super::frame::{Cell, Frame};
use super::vectorised::vectorised;
use super::{Operation, ValueType};
use crate::batch::Column;
use crate::error::Result;
use crate::interface::ElementType;
use crate::native::image::{Image, ImageWriter};
use crate::native::instruction_set::InstructionSet;
use crate::native::plan::broken;

const LANES: usize = 16;

/// Sums of an output in the order for many outputs.
const SUMS: usize = 4;

/// From how many outputs on lanes are outputs.
const MANY_OUTPUTS: usize = 7;

/// `factor · x W + bias`, for each group of `inputs` cells.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Linear {
    inputs: usize,
    outputs: usize,
    /// Rows of padded lanes, in the order in which they are read.
    weights: Constants,
    /// Empty for none.
    bias: Constants,
    factor: f64,
}

/// float32 or float64.
pub(crate) trait Float: Cell + Values + Copy + std::ops::Mul<Output = Self> + std::ops::AddAssign {
    const ZERO: Self;
    fn add(self, other: Self) -> Self;
    fn rounded(value: f64) -> Self;
    fn column(cells: Vec<Self>) -> Column;
}

impl Float for f32 {
    const ZERO: Self = 0.0;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self + other
    }
    fn rounded(value: f64) -> Self {
        value as Self
    }
    fn column(cells: Vec<Self>) -> Column {
        Column::Float32(cells)
    }
}

impl Float for f64 {
    const ZERO: Self = 0.0;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self + other
    }
    fn rounded(value: f64) -> Self {
        value
    }
    fn column(cells: Vec<Self>) -> Column {
        Column::Float64(cells)
    }
}

impl Linear {
    /// Lays out a matrix. `weight(input, output)` gives its cells; `bias` is empty or has a cell for each output.
    /// Both must be of `element`, float32 or float64.
    pub fn new(
        element: ElementType,
        (inputs, outputs): (usize, usize),
        weight: impl Fn(usize, usize) -> f64,
        bias: &[f64],
        factor: f64,
        tables: &mut ImageWriter,
    ) -> Self {
        fn lay<T: Float>(cells: &[f64], tables: &mut ImageWriter) -> Constants {
            Constants::write(&T::column(cells.iter().map(|cell| T::rounded(*cell)).collect()), tables)
        }
        let mut cells = Vec::new();
        if outputs >= MANY_OUTPUTS {
            for block in 0..outputs.div_ceil(LANES) {
                for input in 0..inputs {
                    let places = block * LANES..(block + 1) * LANES;
                    cells.extend(places.map(|output| if output < outputs { weight(input, output) } else { 0.0 }));
                }
            }
        } else {
            for output in 0..outputs {
                let whole = inputs / LANES * LANES;
                cells.extend((0..whole).map(|input| weight(input, output)));
                let rest = inputs - whole;
                if rest > 0 {
                    cells.extend(std::iter::repeat_n(0.0, LANES - rest));
                    cells.extend((whole..inputs).map(|input| weight(input, output)));
                }
            }
        }
        let lay = if element == ElementType::Float64 { lay::<f64> } else { lay::<f32> };
        Self { inputs, outputs, weights: lay(&cells, tables), bias: lay(bias, tables), factor }
    }

    fn run_as<T: Float>(&self, frame: &mut Frame<'_>) {
        let (input, set) = (frame.input::<T>(0), frame.set);
        let weights = self.weights.numbers::<T>(frame.image);
        let bias = self.bias.numbers::<T>(frame.image);
        let output = frame.output::<T>(0);
        if self.outputs >= MANY_OUTPUTS {
            by_outputs(set, self.inputs, self.outputs, input, weights, output);
        } else {
            by_inputs(set, self.inputs, self.outputs, input, weights, output);
        }
        if self.factor != 1.0 {
            let factor = T::rounded(self.factor);
            output.iter_mut().for_each(|cell| *cell = *cell * factor);
        }
        if !bias.is_empty() {
            for row in output.chunks_exact_mut(self.outputs) {
                row.iter_mut().zip(bias).for_each(|(cell, bias)| *cell += *bias);
            }
        }
    }
}

vectorised! {
    /// Lanes over inputs.
    fn by_inputs<T: Float>(inputs: usize, outputs: usize, input: &[T], weights: &[T], output: &mut [T]) {
        let rest = inputs % LANES;
        let skipped = LANES - rest;
        let padded = inputs.next_multiple_of(LANES);
        for (row, sums) in input.chunks_exact(inputs).zip(output.chunks_exact_mut(outputs)) {
            // The last lanes of the row, zero where a chunk before had them.
            let mut last = [T::ZERO; LANES];
            if rest > 0 {
                if let Some((_, end)) = row.split_last_chunk::<LANES>() {
                    for lane in 0..LANES {
                        last[lane] = if lane >= skipped { end[lane] } else { T::ZERO };
                    }
                } else {
                    last[skipped..].copy_from_slice(row);
                }
            }
            for (weights, sum) in weights.chunks_exact(padded).zip(sums) {
                let mut lanes = [T::ZERO; LANES];
                let (whole, end) = weights.split_at(inputs - rest);
                for (x, w) in row.as_chunks::<LANES>().0.iter().zip(whole.as_chunks::<LANES>().0) {
                    for lane in 0..LANES {
                        lanes[lane] += x[lane] * w[lane];
                    }
                }
                if let Some(w) = end.first_chunk::<LANES>() {
                    for lane in 0..LANES {
                        lanes[lane] += last[lane] * w[lane];
                    }
                }
                *sum = added(lanes);
            }
        }
    }
}

/// The sum of the lanes, in halves.
#[inline(always)]
fn added<T: Float>(lanes: [T; LANES]) -> T {
    let mut eight = [T::ZERO; 8];
    for lane in 0..8 {
        eight[lane] = lanes[lane].add(lanes[lane + 8]);
    }
    let mut four = [T::ZERO; 4];
    for lane in 0..4 {
        four[lane] = eight[lane].add(eight[lane + 4]);
    }
    four[0].add(four[2]).add(four[1].add(four[3]))
}

vectorised! {
    /// Lanes over outputs.
    fn by_outputs<T: Float>(inputs: usize, outputs: usize, input: &[T], weights: &[T], output: &mut [T]) {
        for (row, sums) in input.chunks_exact(inputs).zip(output.chunks_exact_mut(outputs)) {
            for (sums, weights) in sums.chunks_mut(LANES).zip(weights.chunks_exact(inputs * LANES)) {
                let mut lanes = [[T::ZERO; LANES]; SUMS];
                let (fours, rest) = row.as_chunks::<SUMS>();
                let (weight_fours, weight_rest) = weights.as_chunks::<{ LANES * SUMS }>();
                for (x, w) in fours.iter().zip(weight_fours) {
                    for sum in 0..SUMS {
                        for lane in 0..LANES {
                            lanes[sum][lane] += x[sum] * w[sum * LANES + lane];
                        }
                    }
                }
                for ((x, w), lanes) in rest.iter().zip(weight_rest.as_chunks::<LANES>().0).zip(&mut lanes) {
                    for lane in 0..LANES {
                        lanes[lane] += *x * w[lane];
                    }
                }
                let mut total = [T::ZERO; LANES];
                for lane in 0..LANES {
                    total[lane] = lanes[0][lane].add(lanes[1][lane]).add(lanes[2][lane].add(lanes[3][lane]));
                }
                if let Some(all) = sums.first_chunk_mut::<LANES>() {
                    *all = total;
                } else {
                    sums.copy_from_slice(&total[..sums.len()]);
                }
            }
        }
    }
}

impl Operation for Linear {
    fn check(&self, image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        self.weights.check(image)?;
        self.bias.check(image)?;
        let ([input], [output]) = (inputs, outputs) else { return Err(broken("it has one input and one output")) };
        let lanes = if self.outputs >= MANY_OUTPUTS {
            self.outputs.div_ceil(LANES).checked_mul(self.inputs).and_then(|count| count.checked_mul(LANES))
        } else {
            self.inputs.checked_next_multiple_of(LANES).and_then(|padded| padded.checked_mul(self.outputs))
        };
        let groups = input.width.checked_div(self.inputs);
        let fits = input.element.is_float()
            && [output.element, self.weights.element(), self.bias.element()].iter().all(|e| *e == input.element)
            && self.outputs > 0
            && groups.is_some_and(|groups| {
                groups.checked_mul(self.inputs) == Some(input.width)
                    && groups.checked_mul(self.outputs) == Some(output.width)
            })
            && lanes == Some(self.weights.len())
            && (self.bias.len() == 0 || self.bias.len() == self.outputs);
        if fits { Ok(()) } else { Err(broken("its matrix is not shaped for its values")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        match self.weights {
            Constants::Float64(_) => self.run_as::<f64>(frame),
            _ => self.run_as::<f32>(frame),
        }
        Ok(())
    }

    fn kernel(&self, set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        let order = if self.outputs >= MANY_OUTPUTS { "outputs" } else { "inputs" };
        format!("linear {}x{}, lanes over {order}, {set}", self.inputs, self.outputs).into()
    }
}
