//! Products one after the other as one step: a linear model with what stands before and after it, or a small network.
//!
//! Offset and scale, then layers (a product and a function of its sums each), then, for a classifier of two classes, `1 - p`
//! beside `p`. Each number goes through the same operations as in separate steps, hence the same bits; what is saved are the
//! way through memory and the cost of a step, which for one row is that of a small product. A few rows go through all layers
//! together, so that each weight is read once for them and what stands between two layers stays in the first-level cache.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::lanes::{LANES, Lanes, lanes};
use super::matrix::{Linear, MANY_OUTPUTS};
use super::products::{Product, Tile, by_inputs, by_outputs, row_by_inputs, row_by_outputs};
use super::scale::{Scale, scaled};
use super::unary::UnaryFunction;
use super::{Operation, ValueType};
use crate::batch::Column;
use crate::error::Result;
use crate::interface::ElementType;
use crate::native::arithmetic::own::{logistic, tanh};
use crate::native::image::Image;
use crate::native::instruction_set::InstructionSet;
use crate::native::value::broken;
use crate::native::vectorised::vectorised;

/// The most rows that go through all layers together, and how many cells of theirs (1 MB) the second-level cache may hold: weights are
/// read once for them, from wherever they are.
const MOST_ROWS: usize = 96;
const MOST_CELLS: usize = 1 << 18;

/// The most layers of a step: what fuses copies those before, which would be quadratic, and many layers gain nothing.
const MOST_LAYERS: usize = 64;

/// Layers of products in float32. Its outputs are the result and, if somebody reads them, the sums of the last layer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Network {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scale: Option<Scale>,
    pub(super) layers: Vec<Linear>,
    /// Whether the result is `1 - p` and `p` for the only number `p` of the last layer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    complement: bool,
    /// Cells of scratch memory for each row computed at once.
    between: usize,
}

impl Network {
    /// One product, if it can be a layer.
    pub(crate) fn new(scale: Option<&Scale>, linear: &Linear) -> Option<Self> {
        let fits = linear.is_single() && scale.is_none_or(|scale| scale.offset.len() == linear.inputs);
        let network = Self { scale: scale.cloned(), layers: vec![linear.clone()], complement: false, between: 0 };
        fits.then(|| network.measured())
    }

    /// The same with a product of its result.
    pub(crate) fn with_layer(mut self, linear: &Linear) -> Option<Self> {
        let fits = linear.is_single()
            && !self.complement
            && self.layers.len() < MOST_LAYERS
            && self.layers.last().is_some_and(|last| last.outputs == linear.inputs);
        self.layers.push(linear.clone());
        fits.then(|| self.measured())
    }

    /// The same with a function of its result.
    pub(crate) fn with_function(mut self, function: UnaryFunction) -> Option<Self> {
        let complement = self.complement;
        let last = self.layers.last_mut().filter(|last| !complement && last.after.is_none())?;
        last.after = Some(function);
        is_known(function).then_some(self)
    }

    /// The same with `1 - p` before its only number `p`.
    pub(crate) fn with_complement(mut self) -> Option<Self> {
        let fits = !self.complement && self.layers.last().is_some_and(|last| last.outputs == 1);
        self.complement = true;
        fits.then_some(self)
    }

    /// The same without what is made of the sums of its last layer, and the function of that.
    pub(crate) fn bare(&self) -> (Self, Option<UnaryFunction>) {
        let mut bare = Self { complement: false, ..self.clone() };
        let function = bare.layers.last_mut().and_then(|last| last.after.take());
        (bare, function)
    }

    /// Whether it is one product of a row.
    pub(crate) fn is_one_product(&self) -> bool {
        self.layers.len() == 1
    }

    /// Numbers of its last layer.
    pub(crate) fn outputs(&self) -> usize {
        self.layers.last().map_or(0, |last| last.outputs)
    }

    fn measured(self) -> Self {
        Self { between: self.room(), ..self }
    }

    /// Cells for the scaled row and for what stands between layers, filled up to whole lanes.
    fn room(&self) -> usize {
        let scaled = self.scale.as_ref().map_or(0, |scale| scale.offset.len());
        let hidden = self.layers.iter().rev().skip(1).map(|layer| layer.outputs);
        hidden
            .chain([scaled])
            .fold(0, |sum: usize, width| sum.saturating_add(width.saturating_add(LANES - 1) / LANES * LANES))
    }
}

fn is_known(function: UnaryFunction) -> bool {
    matches!(function, UnaryFunction::Rectify | UnaryFunction::Logistic | UnaryFunction::HyperbolicTangent)
}

/// A function of each cell, in place.
#[inline(always)]
fn apply(function: Option<UnaryFunction>, cells: &mut [f32]) {
    match (function, cells) {
        (Some(UnaryFunction::Logistic), cells) => cells.iter_mut().for_each(|x| *x = logistic(*x)),
        (Some(UnaryFunction::HyperbolicTangent), cells) => cells.iter_mut().for_each(|x| *x = tanh(*x)),
        (Some(UnaryFunction::Rectify), cells) => cells.iter_mut().for_each(|x| *x = if *x < 0.0 { 0.0 } else { *x }),
        _ => {}
    }
}

/// A group of rows through all layers; the last layer's function is left out.
#[inline(always)]
fn group<L: Lanes>(
    scale: Option<&Scale>,
    layers: &[Linear],
    image: &Image,
    rows: usize,
    input: &[f32],
    between: &mut [f32],
    output: &mut [f32],
) {
    let [first, ..] = layers else { return };
    let mut from = Tile { cells: input, stride: first.inputs };
    let mut free = between;
    let (mut offsets, mut scales) = scale.map_or((&[][..], &[][..]), |scale| scale.tables(image));
    // Where lanes are inputs and the row has as many, they are scaled on their way into the product.
    if !offsets.is_empty() && (first.outputs >= MANY_OUTPUTS || first.inputs < LANES) {
        let Some((room, rest)) =
            std::mem::take(&mut free).split_at_mut_checked(rows * offsets.len().next_multiple_of(LANES))
        else {
            return;
        };
        free = rest;
        scaled::<L>(input, offsets, scales, room);
        from.cells = room;
        (offsets, scales) = (&[], &[]);
    }
    let mut output = Some(output);
    for (index, layer) in layers.iter().enumerate() {
        let is_last = index + 1 == layers.len();
        let (to, stride) = if is_last {
            let Some(output) = output.take() else { return };
            (output, layer.outputs)
        } else {
            let stride = layer.outputs.next_multiple_of(LANES);
            let Some((room, rest)) = std::mem::take(&mut free).split_at_mut_checked(rows * stride) else { return };
            free = rest;
            (room, stride)
        };
        let mut product = layer.product(image);
        product.rectify = !is_last && layer.after == Some(UnaryFunction::Rectify);
        if layer.outputs >= MANY_OUTPUTS {
            by_outputs::<L>(product, rows, from, to, stride);
        } else if index == 0 && !offsets.is_empty() {
            (product.offsets, product.scales) = (offsets, scales);
            by_inputs::<L, true>(product, rows, from, to, stride);
        } else {
            by_inputs::<L, false>(product, rows, from, to, stride);
        }
        if is_last {
            return;
        }
        if !product.rectify {
            apply(layer.after, to);
        }
        from = Tile { cells: to, stride };
    }
}

/// How many rows go through layers together that have so many cells of a row.
fn group_rows(cells: usize) -> usize {
    (MOST_CELLS / cells.max(1)).clamp(24, MOST_ROWS) / 24 * 24
}

/// All rows through all layers, `at_once` together; the last layer's function is left out.
#[inline(always)]
fn groups<L: Lanes>(
    scale: Option<&Scale>,
    layers: &[Linear],
    image: &Image,
    (rows, at_once): (usize, usize),
    input: &[f32],
    between: &mut [f32],
    output: &mut [f32],
) {
    let ([first, ..], [.., last]) = (layers, layers) else { return };
    let (mut input, mut output, mut rows) = (input, output, rows);
    while rows > 0 {
        let now = rows.min(at_once);
        let (Some((these, more_input)), Some((results, more_output))) =
            (input.split_at_checked(now * first.inputs), output.split_at_mut_checked(now * last.outputs))
        else {
            return;
        };
        (input, output, rows) = (more_input, more_output, rows - now);
        group::<L>(scale, layers, image, now, these, between, results);
    }
}

lanes! {
    /// One product of all rows.
    fn forward<L>(linear: &Linear, image: &Image, rows: usize, input: &[f32], output: &mut [f32]) {
        let at_once = group_rows(linear.inputs + linear.outputs);
        groups::<L>(None, std::slice::from_ref(linear), image, (rows, at_once), input, &mut [], output);
    }
}

lanes! {
    /// A whole network. `sums` may be empty where nobody reads them and the result has a cell for each.
    fn run_network<L>(
        network: &Network,
        image: &Image,
        rows: (usize, usize),
        input: &[f32],
        between: &mut [f32],
        sums: &mut [f32],
        result: &mut [f32],
    ) {
        let Network { scale, layers, complement, .. } = network;
        let function = layers.last().and_then(|last| last.after);
        if sums.is_empty() {
            groups::<L>(scale.as_ref(), layers, image, rows, input, between, result);
            apply(function, result);
            return;
        }
        groups::<L>(scale.as_ref(), layers, image, rows, input, between, sums);
        if *complement {
            apply(function, sums);
            sums.iter().zip(result.as_chunks_mut::<2>().0).for_each(|(p, both)| *both = [1.0 - *p, *p]);
        } else {
            result.copy_from_slice(sums);
            apply(function, result);
        }
    }
}

#[inline(always)]
fn few_outputs<L: Lanes>(product: Product<'_>, row: &[f32], sums: &mut [f32]) {
    if product.offsets.is_empty() {
        row_by_inputs::<L, false>(product, row, sums);
    } else {
        row_by_inputs::<L, true>(product, row, sums);
    }
}

vectorised! {
    /// A function of each cell, in place.
    fn apply_in_place(function: Option<UnaryFunction>, cells: &mut [f32]) {
        apply(function, cells);
    }
}

/// The same, kept out of the code around it, which has none of the constants that its loops prepare.
#[inline(never)]
fn apply_to_many(set: InstructionSet, function: Option<UnaryFunction>, cells: &mut [f32]) {
    apply_in_place(set, function, cells);
}

/// The function of a result, which often is one number or two.
#[inline(always)]
fn apply_to_row(set: InstructionSet, function: Option<UnaryFunction>, cells: &mut [f32]) {
    match (function, cells) {
        (None, _) => {}
        (Some(UnaryFunction::Logistic), [x]) => *x = logistic(*x),
        (Some(UnaryFunction::Logistic), [x, y]) => (*x, *y) = (logistic(*x), logistic(*y)),
        (function, cells) => apply_to_many(set, function, cells),
    }
}

/// One row through all layers; the last layer's function is left out. What stands between layers is in whole lanes. There
/// is little work in one row: a function of its own keeps out what only many rows need.
#[inline(always)]
fn row<L: Lanes>(network: &Network, image: &Image, input: &[f32], between: &mut [f32], output: &mut [f32]) {
    let [first, ..] = network.layers.as_slice() else { return };
    let mut from = input;
    let mut free = between.as_chunks_mut::<LANES>().0;
    let (mut offsets, mut scales) = network.scale.as_ref().map_or((&[][..], &[][..]), |scale| scale.tables(image));
    if !offsets.is_empty() && (first.outputs >= MANY_OUTPUTS || first.inputs < LANES) {
        let count = first.inputs.div_ceil(LANES);
        let Some((room, rest)) = std::mem::take(&mut free).split_at_mut_checked(count) else { return };
        free = rest;
        scaled::<L>(input, offsets, scales, room.as_flattened_mut());
        (from, offsets, scales) = (room.as_flattened(), &[], &[]);
    }
    for (index, layer) in network.layers.iter().enumerate() {
        let mut product = layer.product(image);
        let Some(row) = from.get(..layer.inputs) else { return };
        let is_last = index + 1 == network.layers.len();
        product.rectify = !is_last && layer.after == Some(UnaryFunction::Rectify);
        (product.offsets, product.scales) = (offsets, scales);
        (offsets, scales) = (&[], &[]);
        if is_last && layer.outputs < MANY_OUTPUTS {
            few_outputs::<L>(product, row, output);
            return;
        }
        let count = layer.outputs.div_ceil(LANES);
        let Some((room, rest)) = std::mem::take(&mut free).split_at_mut_checked(count) else { return };
        free = rest;
        if layer.outputs >= MANY_OUTPUTS {
            row_by_outputs::<L>(product, row, room);
        }
        let Some(sums) = room.as_flattened_mut().get_mut(..layer.outputs) else { return };
        if layer.outputs < MANY_OUTPUTS {
            few_outputs::<L>(product, row, sums);
        }
        if is_last {
            output.iter_mut().zip(sums).for_each(|(output, sum)| *output = *sum);
            return;
        }
        if !product.rectify && layer.after.is_some() {
            apply_to_many(L::SET, layer.after, sums);
        }
        from = sums;
    }
}

lanes! {
    /// A whole network for one row, whose sums nobody reads.
    fn run_row<L>(network: &Network, image: &Image, input: &[f32], between: &mut [f32], result: &mut [f32]) {
        let function = network.layers.last().and_then(|last| last.after);
        if !network.complement {
            row::<L>(network, image, input, between, result);
            apply_to_row(L::SET, function, result);
        } else if let [rest, p] = result {
            let p = std::slice::from_mut(p);
            row::<L>(network, image, input, between, p);
            apply_to_row(L::SET, function, p);
            *rest = 1.0 - p[0];
        }
    }
}

/// The first `count` cells from a multiple of 64 bytes on: stores and loads of whole lanes then stay within cache lines.
#[inline]
fn aligned(cells: &mut Vec<f32>, count: usize) -> &mut [f32] {
    if cells.len() < count + LANES {
        cells.resize(count + LANES, 0.0);
    }
    let skipped = cells.as_ptr().align_offset(64).min(LANES);
    cells.get_mut(skipped..skipped + count).unwrap_or(&mut [])
}

impl Operation for Network {
    fn check(&self, image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        let wrong = || broken("its layers do not fit together");
        let ([input], [result, sums @ ..]) = (inputs, outputs) else { return Err(wrong()) };
        let mut width = input.width;
        for layer in &self.layers {
            layer.check_tables(image, ElementType::Float32)?;
            if layer.inputs != width || !layer.after.is_none_or(is_known) {
                return Err(wrong());
            }
            width = layer.outputs;
        }
        if let Some(scale) = &self.scale {
            scale.check_tables(image)?;
            if scale.offset.len() != input.width {
                return Err(wrong());
            }
        }
        let single = |width| ValueType::new(ElementType::Float32, width);
        let results = if self.complement { single(2) } else { single(width) };
        let fits = !self.layers.is_empty()
            && self.between == self.room()
            && *input == single(input.width)
            && *result == results
            && (!self.complement || width == 1)
            && (sums.is_empty() || (sums == [single(width)] && !self.complement));
        if fits { Ok(()) } else { Err(wrong()) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        let (input, image, set, rows) = (frame.input::<f32>(0), frame.image, frame.set, frame.rows);
        let outputs = self.layers.last().map_or(0, |last| last.outputs);
        let sums_needed = frame.needs(1);
        let width = if self.complement { 2 } else { outputs };
        if rows == 1 && !sums_needed {
            let between = aligned(&mut frame.scratch.single, self.between + outputs.next_multiple_of(LANES));
            let [Column::Float32(result), ..] = &mut *frame.outputs else { return Ok(()) };
            if let Some(result) = result.get_mut(..width) {
                run_row(set, self, image, input, between, result);
            }
            return Ok(());
        }
        let at_once = group_rows(frame.input_type(0).width + self.between + outputs).min(rows);
        let scratched = if self.complement { rows } else { 0 };
        let scratch = aligned(&mut frame.scratch.single, at_once * self.between + scratched);
        let Some((between, scratched)) = scratch.split_at_mut_checked(at_once * self.between) else { return Ok(()) };
        let [Column::Float32(result), rest @ ..] = &mut *frame.outputs else { return Ok(()) };
        let sums = match rest {
            [Column::Float32(sums)] if sums_needed => sums.get_mut(..rows * outputs).unwrap_or(&mut []),
            _ => scratched,
        };
        if let Some(result) = result.get_mut(..rows * width) {
            run_network(set, self, image, (rows, at_once), input, between, sums, result);
        }
        Ok(())
    }

    fn kernel(&self, set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        let mut parts: Vec<Cow<'_, str>> = Vec::new();
        parts.extend(self.scale.as_ref().map(|_| "scale".into()));
        parts.extend(self.layers.iter().map(|layer| layer.described().into()));
        parts.extend(self.complement.then_some("complement".into()));
        if let [layer] = self.layers.as_slice() {
            parts.push(layer.order().into());
        }
        format!("{}, {set}", parts.join(", ")).into()
    }
}
