//! The kernels of products with matrices: float32, sixteen lanes at once, some rows at once.
//!
//! The two orders of summation are those of [`super::matrix`]; neither how many rows are computed at once nor the instruction
//! set changes them. For many rows, tiles of rows times blocks of sixteen outputs stay in registers, a block's weights in the
//! nearest cache while all rows of a group pass by, and the group in the second-level cache.
//!
//! Every product is added with one rounding ([`Lanes::plus_product`]), as ONNX Runtime, BLAS and all processors of the last ten
//! years do: of two roundings each, no order of loops comes near them, since a processor adds as fast as it multiplies and adds.
//! IEEE 754 defines the result, so the bits are the same everywhere; x86-64 without the instruction (before 2013, or hidden by
//! a virtual machine) computes them in float64, seven times slower than two roundings, which is the price: trees,
//! scaling and everything else are not concerned. Scores of images made before are of two roundings; `MAGIC` refuses those.
//!
//! What does not belong here: what products are made of, and where their tables lie.

#![allow(unsafe_code)]

use std::ops::Range;

use super::lanes::{LANES, Lanes};

/// Sums of an output in the order with lanes over outputs.
pub(super) const SUMS: usize = 4;

/// Tables and shape of a product.
#[derive(Clone, Copy)]
pub(super) struct Product<'a> {
    pub inputs: usize,
    pub outputs: usize,
    /// As many as inputs, or none; with lanes over inputs only.
    pub offsets: &'a [f32],
    pub scales: &'a [f32],
    pub weights: &'a [[f32; LANES]],
    /// None, or one for each output, with lanes over outputs filled up to whole lanes.
    pub bias: &'a [f32],
    pub factor: f32,
    /// Whether sums below 0 become 0.
    pub rectify: bool,
}

/// A few rows of cells, each `stride` after the one before.
#[derive(Clone, Copy)]
pub(super) struct Tile<'a> {
    pub cells: &'a [f32],
    pub stride: usize,
}

impl<'a> Tile<'a> {
    #[inline(always)]
    fn row(self, row: usize, width: usize) -> &'a [f32] {
        self.cells.get(row * self.stride..row * self.stride + width).unwrap_or(&[])
    }
}

/// Lanes of a row; with `SCALED`, after offset and scale.
#[inline(always)]
fn prepared<L: Lanes, const SCALED: bool>(x: &[f32; LANES], offset: &[f32; LANES], scale: &[f32; LANES]) -> L {
    if SCALED { L::load(x).subtract(L::load(offset)).multiply(L::load(scale)) } else { L::load(x) }
}

/// The last lanes of a row, zero where a chunk before had them.
#[inline(always)]
fn last_lanes<L: Lanes, const SCALED: bool>(row: &[f32], product: Product<'_>, rest: usize) -> L {
    const NONE: &[f32; LANES] = &[0.0; LANES];
    if let Some(end) = row.last_chunk::<LANES>() {
        let offset = product.offsets.last_chunk().unwrap_or(NONE);
        let scale = product.scales.last_chunk().unwrap_or(NONE);
        return prepared::<L, SCALED>(end, offset, scale).kept_from(LANES - rest);
    }
    let mut cells = [0.0; LANES];
    cells.iter_mut().rev().zip(row.iter().rev()).for_each(|(cell, x)| *cell = *x);
    L::load(&cells)
}

/// A sum multiplied by the factor, with its bias, rectified.
#[inline(always)]
fn finished(total: f32, product: Product<'_>, output: usize) -> f32 {
    let total = if product.factor == 1.0 { total } else { total * product.factor };
    let total = if let Some(bias) = product.bias.get(output) { total + bias } else { total };
    if product.rectify && total < 0.0 { 0.0 } else { total }
}

/// Sums of `N` outputs with lanes over inputs, each weight table after the one before.
#[inline(always)]
fn dots<L: Lanes, const SCALED: bool, const N: usize>(
    product: Product<'_>,
    chunks: &[[f32; LANES]],
    last: L,
    weights: [&[[f32; LANES]]; N],
) -> [f32; N] {
    const NONE: &[f32; LANES] = &[0.0; LANES];
    let (offsets, scales) = (product.offsets.as_chunks::<LANES>().0, product.scales.as_chunks::<LANES>().0);
    let mut totals = [L::zero(); N];
    for (index, x) in chunks.iter().enumerate() {
        let (offset, scale) =
            if SCALED { (offsets.get(index).unwrap_or(NONE), scales.get(index).unwrap_or(NONE)) } else { (NONE, NONE) };
        let x = prepared::<L, SCALED>(x, offset, scale);
        for output in 0..N {
            if let Some(w) = weights[output].get(index) {
                totals[output] = totals[output].plus_product(x, L::load(w));
            }
        }
    }
    let mut sums = [0.0; N];
    for output in 0..N {
        if let Some(w) = weights[output].get(chunks.len()) {
            totals[output] = totals[output].plus_product(last, L::load(w));
        }
        sums[output] = totals[output].sum();
    }
    sums
}

/// Lanes over inputs, one row: two outputs at a time so that each input is read once for both.
#[inline(always)]
pub(super) fn row_by_inputs<L: Lanes, const SCALED: bool>(product: Product<'_>, row: &[f32], output: &mut [f32]) {
    let chunks = row.as_chunks::<LANES>().0;
    let rest = row.len() % LANES;
    let last = if rest > 0 { last_lanes::<L, SCALED>(row, product, rest) } else { L::zero() };
    let count = row.len().div_ceil(LANES);
    let mut weights = product.weights;
    let mut done = 0;
    let (pairs, odd) = output.as_chunks_mut::<2>();
    for pair in pairs {
        let Some((first, after_first)) = weights.split_at_checked(count) else { return };
        let Some((second, after_second)) = after_first.split_at_checked(count) else { return };
        let [a, b] = dots::<L, SCALED, 2>(product, chunks, last, [first, second]);
        *pair = [finished(a, product, done), finished(b, product, done + 1)];
        weights = after_second;
        done += 2;
    }
    if let ([odd], Some(first)) = (odd, weights.get(..count)) {
        let [a] = dots::<L, SCALED, 1>(product, chunks, last, [first]);
        *odd = finished(a, product, done);
    }
}

/// The same for `rows` rows.
#[inline(always)]
pub(super) fn by_inputs<L: Lanes, const SCALED: bool>(
    product: Product<'_>,
    rows: usize,
    input: Tile<'_>,
    output: &mut [f32],
    stride: usize,
) {
    for index in 0..rows {
        let Some(sums) = output.get_mut(index * stride..index * stride + product.outputs) else { return };
        row_by_inputs::<L, SCALED>(product, input.row(index, product.inputs), sums);
    }
}

/// `COUNT` of the sums of each of `BLOCKS` blocks of outputs for one row, from sum `first` on: several at a time, since each
/// addition waits for the one before, and as many as stay in registers.
///
/// # Safety
/// Every block has as many weights as the row has cells.
#[inline(always)]
unsafe fn some_sums<L: Lanes, const BLOCKS: usize, const COUNT: usize>(
    row: &[f32],
    weights: [&[[f32; LANES]]; BLOCKS],
    first: usize,
) -> [[L; BLOCKS]; COUNT] {
    let mut sums = [[L::zero(); BLOCKS]; COUNT];
    let count = row.len() / SUMS;
    for index in 0..count {
        for (sum, total) in sums.iter_mut().enumerate() {
            // SAFETY: less than `SUMS * count`, which is at most as many as there are, as the caller promises.
            unsafe { add_products(std::array::from_mut(total), &[row], weights, (first + sum) * count + index) };
        }
    }
    for (sum, total) in sums.iter_mut().enumerate() {
        let last = SUMS * count + first + sum;
        if last < row.len() {
            // SAFETY: just compared, and as the caller promises.
            unsafe { add_products(std::array::from_mut(total), &[row], weights, last) };
        }
    }
    sums
}

/// Adds the products of one input to a sum of some blocks of outputs, for some rows.
///
/// # Safety
/// All rows and blocks have more cells and weights than `input`.
#[inline(always)]
unsafe fn add_products<L: Lanes, const ROWS: usize, const BLOCKS: usize>(
    sums: &mut [[L; BLOCKS]; ROWS],
    rows: &[&[f32]; ROWS],
    weights: [&[[f32; LANES]]; BLOCKS],
    input: usize,
) {
    let mut w = [L::zero(); BLOCKS];
    for block in 0..BLOCKS {
        // SAFETY: as the caller promises. A check for each row and block would cost as much as the products.
        w[block] = L::load(unsafe { weights[block].get_unchecked(input) });
    }
    for row in 0..ROWS {
        // SAFETY: as the caller promises.
        let x = L::splat(unsafe { *rows[row].get_unchecked(input) });
        for block in 0..BLOCKS {
            sums[row][block] = sums[row][block].plus_product(x, w[block]);
        }
    }
}

/// Sums of blocks of outputs for one row.
#[inline(always)]
fn blocks_of_row<L: Lanes, const BLOCKS: usize>(row: &[f32], weights: [&[[f32; LANES]]; BLOCKS]) -> [L; BLOCKS] {
    if !are_as_many(&[row], weights, row.len()) {
        return [L::zero(); BLOCKS];
    }
    // SAFETY: just compared.
    let sums = unsafe {
        if L::SUMS >= SUMS * BLOCKS {
            some_sums::<L, BLOCKS, SUMS>(row, weights, 0)
        } else {
            let [a, b] = some_sums::<L, BLOCKS, 2>(row, weights, 0);
            let [c, d] = some_sums::<L, BLOCKS, 2>(row, weights, 2);
            [a, b, c, d]
        }
    };
    let mut totals = sums[0];
    for block in 0..BLOCKS {
        totals[block] = sums[0][block].add(sums[1][block]).add(sums[2][block].add(sums[3][block]));
    }
    totals
}

#[inline(always)]
fn are_as_many<const BLOCKS: usize>(rows: &[&[f32]], weights: [&[[f32; LANES]]; BLOCKS], inputs: usize) -> bool {
    rows.iter().all(|row| row.len() == inputs) && weights.iter().all(|block| block.len() == inputs)
}

/// One of the four sums of some blocks of outputs, for several rows: all stay in registers.
///
/// # Safety
/// All rows and blocks have `inputs` cells and weights.
#[inline(always)]
unsafe fn one_sum<L: Lanes, const ROWS: usize, const BLOCKS: usize>(
    rows: &[&[f32]; ROWS],
    weights: [&[[f32; LANES]]; BLOCKS],
    inputs: usize,
    sum: usize,
) -> [[L; BLOCKS]; ROWS] {
    let mut sums = [[L::zero(); BLOCKS]; ROWS];
    let count = inputs / SUMS;
    for index in sum * count..(sum + 1) * count {
        // SAFETY: less than `SUMS * count`, which is at most `inputs`.
        unsafe { add_products(&mut sums, rows, weights, index) };
    }
    if SUMS * count + sum < inputs {
        // SAFETY: just compared.
        unsafe { add_products(&mut sums, rows, weights, SUMS * count + sum) };
    }
    sums
}

#[inline(always)]
fn add_sums<L: Lanes, const ROWS: usize, const BLOCKS: usize>(
    mut a: [[L; BLOCKS]; ROWS],
    b: [[L; BLOCKS]; ROWS],
) -> [[L; BLOCKS]; ROWS] {
    for row in 0..ROWS {
        for block in 0..BLOCKS {
            a[row][block] = a[row][block].add(b[row][block]);
        }
    }
    a
}

/// Sums of some blocks of outputs for several rows: one of the four sums after the other, each weight read once for all rows.
/// No closures: they would not be compiled for the instruction set.
#[inline(always)]
fn blocks_of_rows<L: Lanes, const ROWS: usize, const BLOCKS: usize>(
    rows: &[&[f32]; ROWS],
    weights: [&[[f32; LANES]]; BLOCKS],
) -> [[L; BLOCKS]; ROWS] {
    let inputs = weights[0].len();
    if !are_as_many(rows, weights, inputs) {
        return [[L::zero(); BLOCKS]; ROWS];
    }
    // SAFETY: just compared.
    unsafe {
        let left = add_sums(one_sum(rows, weights, inputs, 0), one_sum(rows, weights, inputs, 1));
        let right = add_sums(one_sum(rows, weights, inputs, 2), one_sum(rows, weights, inputs, 3));
        add_sums(left, right)
    }
}

/// The sum of a block with factor and bias, rectified.
#[inline(always)]
fn finished_block<L: Lanes>(total: L, product: Product<'_>, bias: Option<&[f32; LANES]>) -> L {
    let total = if product.factor == 1.0 { total } else { total.multiply(L::splat(product.factor)) };
    let total = if let Some(bias) = bias { total.add(L::load(bias)) } else { total };
    if product.rectify { total.rectify() } else { total }
}

/// Writes a finished block, of which the last may be cut.
#[inline(always)]
fn write_block<L: Lanes>(total: L, product: Product<'_>, bias: &[f32], sums: &mut [f32]) {
    let total = finished_block(total, product, bias.first_chunk());
    if let Some(sums) = sums.first_chunk_mut::<LANES>() {
        total.store(sums);
        return;
    }
    let mut cells = [0.0; LANES];
    total.store(&mut cells);
    sums.iter_mut().zip(&cells).for_each(|(sum, cell)| *sum = *cell);
}

/// Lanes over outputs for one row, written in whole lanes: a plain loop, in which hardly anything but products is computed.
#[inline(always)]
pub(super) fn row_by_outputs<L: Lanes>(product: Product<'_>, row: &[f32], output: &mut [[f32; LANES]]) {
    let mut weights = product.weights;
    let mut bias = product.bias.as_chunks::<LANES>().0.iter();
    let (pairs, last) = output.as_chunks_mut::<2>();
    for [left, right] in pairs {
        let Some((first, after_first)) = weights.split_at_checked(row.len()) else { return };
        let Some((second, after_second)) = after_first.split_at_checked(row.len()) else { return };
        let [a, b] = if L::SUMS > SUMS / 2 {
            blocks_of_row::<L, 2>(row, [first, second])
        } else {
            let ([a], [b]) = (blocks_of_row::<L, 1>(row, [first]), blocks_of_row::<L, 1>(row, [second]));
            [a, b]
        };
        finished_block(a, product, bias.next()).store(left);
        finished_block(b, product, bias.next()).store(right);
        weights = after_second;
    }
    if let ([last], Some(first)) = (last, weights.get(..row.len())) {
        let [total] = blocks_of_row::<L, 1>(row, [first]);
        finished_block(total, product, bias.next()).store(last);
    }
}

/// Writes finished blocks of a row, whose outputs begin where the first block does.
#[inline(always)]
fn write_blocks<L: Lanes>(totals: &[L], product: Product<'_>, first: usize, row: &mut [f32]) {
    for (block, total) in totals.iter().enumerate() {
        let bias = product.bias.get(first + block * LANES..).unwrap_or(&[]);
        let Some(sums) = row.get_mut(block * LANES..) else { return };
        write_block(*total, product, bias, sums);
    }
}

/// Some blocks of outputs for all rows, `ROWS` at once. The blocks' weights stay in the cache meanwhile.
#[inline(always)]
fn panel<L: Lanes, const ROWS: usize, const BLOCKS: usize>(
    product: Product<'_>,
    weights: [&[[f32; LANES]]; BLOCKS],
    outputs: Range<usize>,
    rows: usize,
    input: Tile<'_>,
    output: &mut [f32],
    stride: usize,
) {
    let mut done = 0;
    while done < rows {
        let left = rows - done;
        if left <= ROWS / 2 {
            // Few are faster one by one than in a tile that is not full.
            let total = blocks_of_row::<L, BLOCKS>(input.row(done, product.inputs), weights);
            let row = done * stride;
            let Some(sums) = output.get_mut(row + outputs.start..row + outputs.end) else { return };
            write_blocks(&total, product, outputs.start, sums);
            done += 1;
            continue;
        }
        // Where the tile is not full, the last row is computed several times.
        let mut tile: [&[f32]; ROWS] = [&[]; ROWS];
        for (row, cells) in tile.iter_mut().enumerate() {
            *cells = input.row(done + row.min(left - 1), product.inputs);
        }
        let totals = blocks_of_rows::<L, ROWS, BLOCKS>(&tile, weights);
        for totals in totals.iter().take(left) {
            let row = done * stride;
            let Some(sums) = output.get_mut(row + outputs.start..row + outputs.end) else { return };
            write_blocks(totals, product, outputs.start, sums);
            done += 1;
        }
    }
}

/// Lanes over outputs. Where there is room after a row's outputs, it is filled up to whole lanes.
#[inline(always)]
pub(super) fn by_outputs<L: Lanes>(
    product: Product<'_>,
    rows: usize,
    input: Tile<'_>,
    output: &mut [f32],
    stride: usize,
) {
    let width = (product.outputs.div_ceil(LANES) * LANES).min(stride);
    let mut weights = product.weights;
    let mut done = 0;
    while done < width {
        let Some((first, after_first)) = weights.split_at_checked(product.inputs) else { return };
        let second = after_first.split_at_checked(product.inputs).filter(|_| L::BLOCKS == 2 && done + LANES < width);
        if let Some((second, after_second)) = second {
            panel::<L, 8, 2>(product, [first, second], done..width, rows, input, output, stride);
            (weights, done) = (after_second, done + 2 * LANES);
            continue;
        }
        match L::ROWS {
            8 => panel::<L, 8, 1>(product, [first], done..width, rows, input, output, stride),
            6 => panel::<L, 6, 1>(product, [first], done..width, rows, input, output, stride),
            _ => panel::<L, 2, 1>(product, [first], done..width, rows, input, output, stride),
        }
        (weights, done) = (after_first, done + LANES);
    }
}

#[cfg(test)]
mod tests {
    use super::super::lanes::lanes;
    use super::*;
    use crate::native::InstructionSet;

    lanes! {
        fn many<L>(product: Product<'_>, rows: usize, input: &[f32], output: &mut [f32]) {
            by_outputs::<L>(product, rows, Tile { cells: input, stride: product.inputs }, output, product.outputs);
        }
    }

    lanes! {
        fn one<L>(product: Product<'_>, row: &[f32], output: &mut [[f32; LANES]]) {
            row_by_outputs::<L>(product, row, output);
        }
    }

    /// The order that the documentation of `matrix` states, with the rounding of a fused multiply-add.
    fn defined(product: Product<'_>, row: &[f32], output: usize) -> f32 {
        let quarter = row.len() / SUMS;
        let weight = |input: usize| product.weights[output / LANES * row.len() + input][output % LANES];
        let sums: [f32; SUMS] = std::array::from_fn(|sum| {
            let own = (sum * quarter..(sum + 1) * quarter)
                .chain((SUMS * quarter + sum < row.len()).then_some(SUMS * quarter + sum));
            own.fold(0.0, |total, input| row[input].mul_add(weight(input), total))
        });
        let total = (sums[0] + sums[1]) + (sums[2] + sums[3]) + product.bias[output];
        if product.rectify && total < 0.0 { 0.0 } else { total }
    }

    #[test]
    fn every_row_of_every_batch_has_the_sums_in_the_defined_order() {
        let mut state = 7_u64;
        let mut number = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 40) as f32 / 16_777_216.0 - 0.5) * 8.0
        };
        for (inputs, outputs) in [(1_usize, 7_usize), (2, 16), (3, 17), (5, 33), (30, 32), (67, 40), (128, 90)] {
            let weights: Vec<[f32; LANES]> =
                (0..outputs.div_ceil(LANES) * inputs).map(|_| std::array::from_fn(|_| number())).collect();
            let bias: Vec<f32> = (0..outputs.next_multiple_of(LANES)).map(|_| number()).collect();
            let product = Product {
                inputs,
                outputs,
                offsets: &[],
                scales: &[],
                weights: &weights,
                bias: &bias,
                factor: 1.0,
                rectify: true,
            };
            let input: Vec<f32> = (0..20 * inputs).map(|_| number()).collect();
            let expected: Vec<u32> = input
                .chunks(inputs)
                .flat_map(|row| (0..outputs).map(move |output| defined(product, row, output).to_bits()))
                .collect();
            for set in InstructionSet::available() {
                for rows in 1..=20 {
                    let mut output = vec![0.0; rows * outputs];
                    many(set, product, rows, &input[..rows * inputs], &mut output);
                    let found: Vec<u32> = output.iter().map(|cell| cell.to_bits()).collect();
                    assert_eq!(found, expected[..rows * outputs], "{set}, {rows} rows, {inputs}x{outputs}");
                }
                let mut alone = vec![[0.0; LANES]; outputs.div_ceil(LANES)];
                one(set, product, &input[..inputs], &mut alone);
                let found: Vec<u32> = alone.as_flattened()[..outputs].iter().map(|cell| cell.to_bits()).collect();
                assert_eq!(found, expected[..outputs], "{set}, a row alone, {inputs}x{outputs}");
            }
        }
    }
}
