//! The kernels of products with matrices: float32, sixteen lanes at once, a few rows at once.
//!
//! The two orders of summation are those of [`super::linear`]; neither how many rows are computed at once nor the instruction
//! set changes them. What does not belong here: what products are made of, and where their tables lie.

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
                totals[output] = totals[output].add(x.multiply(L::load(w)));
            }
        }
    }
    let mut sums = [0.0; N];
    for output in 0..N {
        if let Some(w) = weights[output].get(chunks.len()) {
            totals[output] = totals[output].add(last.multiply(L::load(w)));
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
#[inline(always)]
fn some_sums<L: Lanes, const BLOCKS: usize, const COUNT: usize>(
    row: &[f32],
    weights: [&[[f32; LANES]]; BLOCKS],
    first: usize,
) -> [[L; BLOCKS]; COUNT] {
    let mut sums = [[L::zero(); BLOCKS]; COUNT];
    let (fours, rest) = row.as_chunks::<SUMS>();
    let (mut whole, mut last): ([&[_]; BLOCKS], [&[_]; BLOCKS]) = ([&[]; BLOCKS], [&[]; BLOCKS]);
    for block in 0..BLOCKS {
        let (fours_of_block, rest_of_block) = weights[block].as_chunks::<SUMS>();
        let Some(cut) = fours_of_block.get(..fours.len()) else { return sums };
        (whole[block], last[block]) = (cut, rest_of_block);
    }
    for (index, x) in fours.iter().enumerate() {
        for sum in 0..COUNT {
            let x = L::splat(x[first + sum]);
            for block in 0..BLOCKS {
                sums[sum][block] = sums[sum][block].add(x.multiply(L::load(&whole[block][index][first + sum])));
            }
        }
    }
    for (sum, sums) in sums.iter_mut().enumerate() {
        let Some(x) = rest.get(first + sum) else { break };
        for (sum_of_block, rest_of_block) in sums.iter_mut().zip(last) {
            let Some(w) = rest_of_block.get(first + sum) else { break };
            *sum_of_block = sum_of_block.add(L::splat(*x).multiply(L::load(w)));
        }
    }
    sums
}

/// Sums of blocks of outputs for one row.
#[inline(always)]
fn blocks_of_row<L: Lanes, const BLOCKS: usize>(row: &[f32], weights: [&[[f32; LANES]]; BLOCKS]) -> [L; BLOCKS] {
    let sums = if L::SUMS >= SUMS * BLOCKS {
        some_sums::<L, BLOCKS, SUMS>(row, weights, 0)
    } else {
        let [a, b] = some_sums::<L, BLOCKS, 2>(row, weights, 0);
        let [c, d] = some_sums::<L, BLOCKS, 2>(row, weights, 2);
        [a, b, c, d]
    };
    let mut totals = sums[0];
    for block in 0..BLOCKS {
        totals[block] = sums[0][block].add(sums[1][block]).add(sums[2][block].add(sums[3][block]));
    }
    totals
}

/// One of the four sums of a block of outputs, for several rows.
#[inline(always)]
fn one_sum<L: Lanes, const ROWS: usize>(rows: &[&[f32]; ROWS], weights: &[[f32; LANES]], first: usize) -> [L; ROWS] {
    let mut sums = [L::zero(); ROWS];
    let mut input = first;
    while input < weights.len() {
        let w = L::load(&weights[input]);
        for row in 0..ROWS {
            sums[row] = sums[row].add(L::splat(rows[row][input]).multiply(w));
        }
        input += SUMS;
    }
    sums
}

#[inline(always)]
fn add_rows<L: Lanes, const ROWS: usize>(mut a: [L; ROWS], b: [L; ROWS]) -> [L; ROWS] {
    for row in 0..ROWS {
        a[row] = a[row].add(b[row]);
    }
    a
}

/// Sums of one block of outputs for several rows: one of the four sums after the other, so that those of all rows stay in
/// registers, and each weight is read once for all rows. No closures: they would not be compiled for the instruction set.
#[inline(always)]
fn block_of_rows<L: Lanes, const ROWS: usize>(rows: &[&[f32]; ROWS], weights: &[[f32; LANES]]) -> [L; ROWS] {
    // Rows cut to as many cells as there are weights need no checks in the loop.
    let mut cut: [&[f32]; ROWS] = [&[]; ROWS];
    for row in 0..ROWS {
        let Some(cells) = rows[row].get(..weights.len()) else { return [L::zero(); ROWS] };
        cut[row] = cells;
    }
    let left = add_rows(one_sum::<L, ROWS>(&cut, weights, 0), one_sum::<L, ROWS>(&cut, weights, 1));
    let right = add_rows(one_sum::<L, ROWS>(&cut, weights, 2), one_sum::<L, ROWS>(&cut, weights, 3));
    add_rows(left, right)
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

/// Lanes over outputs: as many rows as `ROWS`. Where there is room after a row's outputs, it is filled up to whole lanes.
#[inline(always)]
pub(super) fn by_outputs<L: Lanes, const ROWS: usize>(
    product: Product<'_>,
    input: Tile<'_>,
    output: &mut [f32],
    stride: usize,
) {
    let inputs = product.inputs;
    let blocks = product.outputs.div_ceil(LANES);
    let width = (blocks * LANES).min(stride);
    let mut rows: [&[f32]; ROWS] = [&[]; ROWS];
    for (row, cells) in rows.iter_mut().enumerate() {
        *cells = input.row(row, inputs);
    }
    let mut weights = product.weights;
    let mut done = 0;
    while done < width {
        let Some((first, after_first)) = weights.split_at_checked(inputs) else { return };
        let bias = product.bias.get(done..).unwrap_or(&[]);
        let totals = block_of_rows::<L, ROWS>(&rows, first);
        for (row, total) in totals.iter().enumerate() {
            let Some(sums) = output.get_mut(row * stride + done..row * stride + width) else { return };
            write_block(*total, product, bias, sums);
        }
        weights = after_first;
        done += LANES;
    }
}
