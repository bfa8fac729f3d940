//! Products of a row with a matrix of constants.
//!
//! Two orders of summation, chosen by the shape when the plan is made and never by the processor or the batch:
//!
//! * few outputs: lanes over inputs. Input `i` belongs to lane `i mod 16` (those of a last, incomplete chunk to the highest
//!   lanes); each lane adds its products in order, and the lanes are added in halves: `l` and `l + 8`, then `l + 4`, ….
//! * more outputs: lanes over outputs. Each output has four sums, input `i` belongs to sum `i mod 4`; then
//!   (0 + 1) + (2 + 3).
//!
//! Then the factor, if any, and then the bias. What stands directly before (offset and scale) and after (a function of the
//! sum) can be part of the step: the same operations on each number, hence the same bits, without the way through memory.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::constants::Constants;
use super::elementary;
use super::frame::Frame;
use super::lanes::{LANES, Lanes, lanes};
use super::scale::Scale;
use super::unary::UnaryFunction;
use super::{Operation, ValueType};
use crate::batch::Column;
use crate::error::Result;
use crate::interface::ElementType;
use crate::native::image::{Image, ImageWriter};
use crate::native::instruction_set::InstructionSet;
use crate::native::plan::broken;

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
    /// A cell for each output.
    bias: Constants,
    factor: f64,
    /// What is done to `x` first; float32 with lanes over inputs only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<Scale>,
    /// What a second output holds: this function of the first; float32 only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<UnaryFunction>,
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
        let mut lay = |cells: Vec<f64>| {
            let column = match element {
                ElementType::Float64 => Column::Float64(cells),
                _ => Column::Float32(cells.into_iter().map(|cell| cell as f32).collect()),
            };
            Constants::write(&column, tables)
        };
        Self { inputs, outputs, weights: lay(cells), bias: lay(bias.to_vec()), factor, before: None, after: None }
    }

    /// The same product with `bias` added, if nothing is added yet.
    pub(crate) fn with_bias(&self, bias: &Column, tables: &mut ImageWriter) -> Option<Self> {
        let fits = self.bias.len() == 0
            && self.after.is_none()
            && bias.len() == self.outputs
            && bias.element() == self.weights.element();
        fits.then(|| Self { bias: Constants::write(bias, tables), ..self.clone() })
    }

    /// The same product of a scaled row, if that can be one step.
    pub(crate) fn with_scale(&self, scale: &Scale) -> Option<Self> {
        let fits = matches!(self.weights, Constants::Float32(_))
            && self.outputs < MANY_OUTPUTS
            && self.inputs >= LANES
            && self.before.is_none()
            && scale.offset.len() == self.inputs;
        fits.then(|| Self { before: Some(scale.clone()), ..self.clone() })
    }

    /// The same product with a second output that is `function` of the first, if that can be one step.
    pub(crate) fn with_function(&self, function: UnaryFunction) -> Option<Self> {
        let fits = matches!(self.weights, Constants::Float32(_))
            && self.after.is_none()
            && matches!(function, UnaryFunction::Rectify | UnaryFunction::Logistic | UnaryFunction::HyperbolicTangent);
        fits.then(|| Self { after: Some(function), ..self.clone() })
    }

    fn run_single(&self, frame: &mut Frame<'_>) {
        let (input, set, image) = (frame.input::<f32>(0), frame.set, frame.image);
        let weights = self.weights.numbers::<f32>(image);
        let bias = self.bias.numbers::<f32>(image);
        let (inputs, outputs) = (self.inputs, self.outputs);
        let factor = self.factor as f32;
        let scale = self.before.as_ref().map_or((&[][..], &[][..]), |scale| scale.tables(image));
        let [product, rest @ ..] = &mut *frame.outputs else { return };
        let (Column::Float32(product), width) = (product, frame.values.get(frame.first_output)) else { return };
        let count = frame.rows * width.map_or(0, |value| value.width);
        let Some(product) = product.get_mut(..count) else { return };
        if outputs >= MANY_OUTPUTS {
            by_outputs(set, inputs, outputs, input, weights, bias, factor, product);
        } else {
            let (offsets, scales) = scale;
            let tables = ByInputs { inputs, outputs, offsets, scales, weights, bias, factor };
            if offsets.is_empty() {
                plain_by_inputs(set, tables, input, product);
            } else {
                scaled_by_inputs(set, tables, input, product);
            }
        }
        if let (Some(function), [Column::Float32(result), ..]) = (self.after, rest)
            && let Some(result) = result.get_mut(..count)
        {
            match function {
                UnaryFunction::Rectify => rectified(set, product, result),
                UnaryFunction::Logistic => elementary::logistics(set, product, result),
                _ => elementary::tangents(set, product, result),
            }
        }
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
                    row.iter().zip(column).enumerate().for_each(|(i, (x, w))| lanes[i % SUMS] += x * w);
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

/// Tables and shape of a product with lanes over inputs.
#[derive(Clone, Copy)]
pub(super) struct ByInputs<'a> {
    inputs: usize,
    outputs: usize,
    /// As many as inputs, or none.
    offsets: &'a [f32],
    scales: &'a [f32],
    weights: &'a [f32],
    bias: &'a [f32],
    factor: f32,
}

/// Lanes of a row; with `SCALED`, after offset and scale.
#[inline(always)]
fn prepared<L: Lanes, const SCALED: bool>(x: &[f32; LANES], offset: &[f32; LANES], scale: &[f32; LANES]) -> L {
    if SCALED { L::load(x).subtract(L::load(offset)).multiply(L::load(scale)) } else { L::load(x) }
}

/// The last lanes of a row, zero where a chunk before had them.
#[inline(always)]
fn last_lanes<L: Lanes, const SCALED: bool>(row: &[f32], tables: ByInputs<'_>, rest: usize) -> L {
    const NONE: &[f32; LANES] = &[0.0; LANES];
    if let Some(end) = row.last_chunk::<LANES>() {
        let offset = tables.offsets.last_chunk().unwrap_or(NONE);
        let scale = tables.scales.last_chunk().unwrap_or(NONE);
        return prepared::<L, SCALED>(end, offset, scale).kept_from(LANES - rest);
    }
    let mut cells = [0.0; LANES];
    cells.iter_mut().rev().zip(row.iter().rev()).for_each(|(cell, x)| *cell = *x);
    L::load(&cells)
}

/// The product of rows, two outputs at a time so that each input is read once for both.
#[inline(always)]
fn by_inputs<L: Lanes, const SCALED: bool>(tables: ByInputs<'_>, input: &[f32], output: &mut [f32]) {
    const NONE: &[f32; LANES] = &[0.0; LANES];
    let ByInputs { inputs, outputs, factor, bias, .. } = tables;
    let (whole, rest) = (inputs / LANES, inputs % LANES);
    let chunks_of_output = inputs.div_ceil(LANES);
    let (offsets, scales) = (tables.offsets.as_chunks::<LANES>().0, tables.scales.as_chunks::<LANES>().0);
    let finish = |total: f32, output: usize| {
        let total = if factor == 1.0 { total } else { total * factor };
        if let Some(bias) = bias.get(output) { total + bias } else { total }
    };
    // Cut piece by piece: chunks would be counted with divisions, which one row would feel.
    let (mut input, mut output) = (input, output);
    while let (Some((row, more_input)), Some((sums, more_output))) =
        (input.split_at_checked(inputs), output.split_at_mut_checked(outputs))
    {
        (input, output) = (more_input, more_output);
        let last = if rest > 0 { last_lanes::<L, SCALED>(row, tables, rest) } else { L::zero() };
        let chunks = row.as_chunks::<LANES>().0;
        let mut weights = tables.weights.as_chunks::<LANES>().0;
        let mut done = 0;
        while let (Some((first, after_first)), true) = (weights.split_at_checked(chunks_of_output), done < outputs) {
            // Without a second output the first is computed twice, and one result is dropped.
            let (second, after_second) = match after_first.split_at_checked(chunks_of_output) {
                Some(both) if done + 1 < outputs => both,
                _ => (first, after_first),
            };
            let (mut a, mut b) = (L::zero(), L::zero());
            for (index, ((x, v), w)) in chunks.iter().zip(&first[..whole]).zip(&second[..whole]).enumerate() {
                let (offset, scale) = if SCALED {
                    (offsets.get(index).unwrap_or(NONE), scales.get(index).unwrap_or(NONE))
                } else {
                    (NONE, NONE)
                };
                let x = prepared::<L, SCALED>(x, offset, scale);
                a = a.add(x.multiply(L::load(v)));
                b = b.add(x.multiply(L::load(w)));
            }
            if rest > 0
                && let (Some(v), Some(w)) = (first.last(), second.last())
            {
                a = a.add(last.multiply(L::load(v)));
                b = b.add(last.multiply(L::load(w)));
            }
            sums[done] = finish(a.sum(), done);
            if let Some(sum) = sums.get_mut(done + 1) {
                *sum = finish(b.sum(), done + 1);
            }
            done += 2;
            weights = after_second;
        }
    }
}

lanes! {
    /// Lanes over inputs.
    fn plain_by_inputs<L>(tables: ByInputs<'_>, input: &[f32], output: &mut [f32]) {
        by_inputs::<L, false>(tables, input, output);
    }
}

lanes! {
    /// Lanes over inputs, after offset and scale.
    fn scaled_by_inputs<L>(tables: ByInputs<'_>, input: &[f32], output: &mut [f32]) {
        by_inputs::<L, true>(tables, input, output);
    }
}

/// Sums of one block of outputs.
#[inline(always)]
fn block<L: Lanes>(row: &[f32], weights: &[[f32; LANES]]) -> L {
    let (fours, rest) = row.as_chunks::<SUMS>();
    let (weight_fours, weight_rest) = weights.as_chunks::<SUMS>();
    let mut sums = [L::zero(); SUMS];
    for (x, w) in fours.iter().zip(weight_fours) {
        sums[0] = sums[0].add(L::splat(x[0]).multiply(L::load(&w[0])));
        sums[1] = sums[1].add(L::splat(x[1]).multiply(L::load(&w[1])));
        sums[2] = sums[2].add(L::splat(x[2]).multiply(L::load(&w[2])));
        sums[3] = sums[3].add(L::splat(x[3]).multiply(L::load(&w[3])));
    }
    for ((x, w), sum) in rest.iter().zip(weight_rest).zip(&mut sums) {
        *sum = sum.add(L::splat(*x).multiply(L::load(w)));
    }
    sums[0].add(sums[1]).add(sums[2].add(sums[3]))
}

/// The same for two blocks at once, which read each input once.
#[inline(always)]
fn two_blocks<L: Lanes>(row: &[f32], weights: &[[f32; LANES]], more: &[[f32; LANES]]) -> (L, L) {
    let (fours, rest) = row.as_chunks::<SUMS>();
    let (weight_fours, weight_rest) = weights.as_chunks::<SUMS>();
    let (more_fours, more_rest) = more.as_chunks::<SUMS>();
    let (mut a, mut b) = ([L::zero(); SUMS], [L::zero(); SUMS]);
    for ((x, v), w) in fours.iter().zip(weight_fours).zip(more_fours) {
        let x = [L::splat(x[0]), L::splat(x[1]), L::splat(x[2]), L::splat(x[3])];
        a[0] = a[0].add(x[0].multiply(L::load(&v[0])));
        b[0] = b[0].add(x[0].multiply(L::load(&w[0])));
        a[1] = a[1].add(x[1].multiply(L::load(&v[1])));
        b[1] = b[1].add(x[1].multiply(L::load(&w[1])));
        a[2] = a[2].add(x[2].multiply(L::load(&v[2])));
        b[2] = b[2].add(x[2].multiply(L::load(&w[2])));
        a[3] = a[3].add(x[3].multiply(L::load(&v[3])));
        b[3] = b[3].add(x[3].multiply(L::load(&w[3])));
    }
    for ((((x, v), w), a), b) in rest.iter().zip(weight_rest).zip(more_rest).zip(&mut a).zip(&mut b) {
        let x = L::splat(*x);
        *a = a.add(x.multiply(L::load(v)));
        *b = b.add(x.multiply(L::load(w)));
    }
    (a[0].add(a[1]).add(a[2].add(a[3])), b[0].add(b[1]).add(b[2].add(b[3])))
}

/// Multiplies by the factor, adds the bias and writes a block, of which the last may be cut.
#[inline(always)]
fn write_block<L: Lanes>(total: L, factor: f32, bias: &[f32], sums: &mut [f32]) {
    let total = if factor == 1.0 { total } else { total.multiply(L::splat(factor)) };
    if let (Some(sums), Some(bias)) = (sums.first_chunk_mut::<LANES>(), bias.first_chunk::<LANES>()) {
        total.add(L::load(bias)).store(sums);
        return;
    }
    let mut cells = [0.0; LANES];
    total.store(&mut cells);
    cells.iter_mut().zip(bias).for_each(|(cell, bias)| *cell += *bias);
    sums.iter_mut().zip(&cells).for_each(|(sum, cell)| *sum = *cell);
}

lanes! {
    /// Lanes over outputs.
    fn by_outputs<L>(
        inputs: usize,
        outputs: usize,
        input: &[f32],
        weights: &[f32],
        bias: &[f32],
        factor: f32,
        output: &mut [f32],
    ) {
        let weights = weights.as_chunks::<LANES>().0;
        let (mut input, mut output) = (input, output);
        while let (Some((row, more_input)), Some((sums, more_output))) =
            (input.split_at_checked(inputs), output.split_at_mut_checked(outputs))
        {
            (input, output) = (more_input, more_output);
            let (mut weights, mut bias, mut sums) = (weights, bias, sums);
            while !sums.is_empty() {
                let Some((first, rest)) = weights.split_at_checked(inputs) else { break };
                if sums.len() > LANES && let Some((second, rest)) = rest.split_at_checked(inputs) {
                    let (a, b) = two_blocks::<L>(row, first, second);
                    let (left, right) = sums.split_at_mut(LANES);
                    let (here, there) = bias.split_at_checked(LANES).unwrap_or((bias, &[]));
                    write_block(a, factor, here, left);
                    let (now, after) = right.split_at_mut(right.len().min(LANES));
                    write_block(b, factor, there, now);
                    (weights, bias, sums) = (rest, there.get(LANES..).unwrap_or(&[]), after);
                } else {
                    let (now, after) = sums.split_at_mut(sums.len().min(LANES));
                    write_block(block::<L>(row, first), factor, bias, now);
                    (weights, bias, sums) = (rest, bias.get(LANES..).unwrap_or(&[]), after);
                }
            }
        }
    }
}

lanes! {
    fn rectified<L>(input: &[f32], output: &mut [f32]) {
        let (chunks, rest) = input.as_chunks::<LANES>();
        let (results, result_rest) = output.as_chunks_mut::<LANES>();
        chunks.iter().zip(results).for_each(|(x, y)| L::load(x).rectify().store(y));
        rest.iter().zip(result_rest).for_each(|(x, y)| *y = if *x < 0.0 { 0.0 } else { *x });
    }
}

impl Operation for Linear {
    fn check(&self, image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        self.weights.check(image)?;
        self.bias.check(image)?;
        let ([input], [output, more @ ..]) = (inputs, outputs) else { return Err(broken("it has one input")) };
        let lanes = if self.outputs >= MANY_OUTPUTS {
            self.outputs.div_ceil(LANES).checked_mul(self.inputs).and_then(|count| count.checked_mul(LANES))
        } else {
            self.inputs.checked_next_multiple_of(LANES).and_then(|padded| padded.checked_mul(self.outputs))
        };
        let groups = input.width.checked_div(self.inputs);
        let mut fits = input.element.is_float()
            && [output.element, self.weights.element(), self.bias.element()].iter().all(|e| *e == input.element)
            && self.outputs > 0
            && groups.is_some_and(|groups| {
                groups.checked_mul(self.inputs) == Some(input.width)
                    && groups.checked_mul(self.outputs) == Some(output.width)
            })
            && lanes == Some(self.weights.len())
            && (self.bias.len() == 0 || self.bias.len() == self.outputs);
        if let Some(scale) = &self.before {
            scale.check_tables(image)?;
            fits &= self.with_scale_fits(scale);
        }
        match (self.after, more) {
            (None, []) => {}
            (Some(_), [result]) => fits &= result == output && output.element == ElementType::Float32,
            _ => fits = false,
        }
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
        let order = if self.outputs >= MANY_OUTPUTS { "outputs" } else { "inputs" };
        let before = if self.before.is_some() { "scale, " } else { "" };
        let after = self.after.map_or(String::new(), |function| format!(", {function:?}").to_lowercase());
        let set = if matches!(self.weights, Constants::Float64(_)) { InstructionSet::Portable } else { set };
        format!("{before}linear {}x{}{after}, lanes over {order}, {set}", self.inputs, self.outputs).into()
    }
}

impl Linear {
    fn with_scale_fits(&self, scale: &Scale) -> bool {
        Self { before: None, ..self.clone() }.with_scale(scale).is_some()
    }
}
