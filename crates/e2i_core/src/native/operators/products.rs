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

/// Lanes over inputs: `rows` rows, two outputs at a time so that each input is read once for both.
#[inline(always)]
pub(super) fn by_inputs<L: Lanes, const SCALED: bool>(
    product: Product<'_>,
    rows: usize,
    input: Tile<'_>,
    output: &mut [f32],
    stride: usize,
) {
    const NONE: &[f32; LANES] = &[0.0; LANES];
    let Product { inputs, outputs, .. } = product;
    let (whole, rest) = (inputs / LANES, inputs % LANES);
    let chunks_of_output = inputs.div_ceil(LANES);
    let (offsets, scales) = (product.offsets.as_chunks::<LANES>().0, product.scales.as_chunks::<LANES>().0);
    for index in 0..rows {
        let row = input.row(index, inputs);
        let Some(sums) = output.get_mut(index * stride..index * stride + outputs) else { return };
        let last = if rest > 0 { last_lanes::<L, SCALED>(row, product, rest) } else { L::zero() };
        let chunks = row.as_chunks::<LANES>().0;
        let mut weights = product.weights;
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
            sums[done] = finished(a.sum(), product, done);
            if let Some(sum) = sums.get_mut(done + 1) {
                *sum = finished(b.sum(), product, done + 1);
            }
            done += 2;
            weights = after_second;
        }
    }
}

/// Sums of one block of outputs for one row: four at a time, since each addition waits for the one before.
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

/// Multiplies by the factor, adds the bias, rectifies, and writes a block, of which the last may be cut.
#[inline(always)]
fn write_block<L: Lanes>(total: L, product: Product<'_>, bias: &[f32], sums: &mut [f32]) {
    let total = if product.factor == 1.0 { total } else { total.multiply(L::splat(product.factor)) };
    let total = if let Some(bias) = bias.first_chunk::<LANES>() { total.add(L::load(bias)) } else { total };
    let total = if product.rectify { total.rectify() } else { total };
    if let Some(sums) = sums.first_chunk_mut::<LANES>() {
        total.store(sums);
        return;
    }
    let mut cells = [0.0; LANES];
    total.store(&mut cells);
    sums.iter_mut().zip(&cells).for_each(|(sum, cell)| *sum = *cell);
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
        if ROWS == 1 {
            let Some(sums) = output.get_mut(done..width) else { return };
            if sums.len() > LANES
                && let Some((second, after_second)) = after_first.split_at_checked(inputs)
            {
                let (a, b) = two_blocks::<L>(rows[0], first, second);
                let (left, right) = sums.split_at_mut(LANES);
                write_block(a, product, bias, left);
                write_block(b, product, bias.get(LANES..).unwrap_or(&[]), right);
                weights = after_second;
                done += 2 * LANES;
                continue;
            }
            write_block(block::<L>(rows[0], first), product, bias, sums);
        } else {
            let totals = block_of_rows::<L, ROWS>(&rows, first);
            for (row, total) in totals.iter().enumerate() {
                let Some(sums) = output.get_mut(row * stride + done..row * stride + width) else { return };
                write_block(*total, product, bias, sums);
            }
        }
        weights = after_first;
        done += LANES;
    }
}
