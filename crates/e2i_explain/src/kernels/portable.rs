//! For every processor.

use e2i_core::native::Test;

use super::{Deep, LANES, Pair, Patterns, Room, Rows, Shape, WORD};
use crate::questions::Question;

/// For each byte a word with its bits in bytes of their own.
const SPREAD: [u64; 256] = {
    let mut all = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut bit = 0;
        while bit < 8 {
            all[byte] |= ((byte as u64 >> bit) & 1) << (8 * bit);
            bit += 1;
        }
        byte += 1;
    }
    all
};

/// The values of the feature that a question is about.
#[inline(always)]
pub(super) fn values_of<'v>(question: &Question, values: &'v [f64], shape: Shape) -> &'v [f64] {
    &values[question.feature as usize * shape.stride + shape.first..][..shape.rows]
}

#[inline(always)]
pub(super) fn answer(questions: &[Question], values: &[f64], shape: Shape, yes: &mut [Rows]) {
    for (question, yes) in questions.iter().zip(yes.chunks_exact_mut(shape.parts())) {
        let yes = yes.as_flattened_mut();
        let values = values_of(question, values, shape);
        match (&question.test, question.missing_yes) {
            (Test::Less(threshold), false) => where_holds(values, yes, |value| value < *threshold),
            (Test::LessEqual(threshold), false) => where_holds(values, yes, |value| value <= *threshold),
            #[allow(clippy::neg_cmp_op_on_partial_ord)]
            (Test::Less(threshold), true) => where_holds(values, yes, |value| !(value >= *threshold)),
            #[allow(clippy::neg_cmp_op_on_partial_ord)]
            (Test::LessEqual(threshold), true) => where_holds(values, yes, |value| !(value > *threshold)),
            (Test::Member(_), _) => member(question, values, yes),
        }
    }
}

pub(super) fn member(question: &Question, values: &[f64], yes: &mut [u64]) {
    let holds = |value: f64| if value.is_nan() { question.missing_yes } else { question.test.holds(value) };
    where_holds(values, yes, holds);
}

/// Bytes first, which compilers compare together, then eight of them at a time into bits.
#[inline(always)]
fn where_holds(values: &[f64], bits: &mut [u64], holds: impl Fn(f64) -> bool) {
    for (values, bits) in values.chunks(WORD).zip(bits) {
        let (lanes, _) = values.as_chunks::<LANES>();
        *bits = 0;
        for (lane, values) in lanes.iter().enumerate() {
            let bytes = u64::from_le_bytes(values.map(|value| u8::from(holds(value))));
            *bits |= (bytes.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * lane);
        }
    }
}

#[inline(always)]
pub(super) fn patterns(bits: &[Rows], patterns: &mut Patterns) {
    let (lanes, _) = patterns.as_chunks_mut::<LANES>();
    for (lane, patterns) in lanes.iter_mut().enumerate() {
        let spread = |rows: &Rows| SPREAD[usize::from((rows[lane * LANES / WORD] >> (lane * LANES % WORD)) as u8)];
        let all = bits.iter().enumerate().fold(0, |all, (bit, rows)| all | spread(rows) << bit);
        *patterns = all.to_le_bytes();
    }
}

#[inline(always)]
pub(super) fn look_up(numbers: &[Pair], cells: &[[u32; 2]], patterns: &Patterns, shape: Shape, sums: &mut [f64]) {
    let (lanes, _) = patterns.as_chunks::<LANES>();
    for (lane, patterns) in lanes.iter().enumerate().take(shape.rows / LANES) {
        let of_row = patterns.map(|pattern| &numbers[usize::from(pattern) * cells.len()..][..cells.len()]);
        let first = shape.first + lane * LANES;
        for (place, cells) in cells.iter().enumerate() {
            let got: [Pair; LANES] = std::array::from_fn(|row| of_row[row][place]);
            for (side, cell) in cells.iter().enumerate() {
                let sums = &mut sums[*cell as usize * shape.stride + first..][..LANES];
                sums.iter_mut().zip(&got).for_each(|(sum, got)| *sum += got[side]);
            }
        }
    }
}

pub(super) fn integrate(leaf: Deep<'_>, bits: &[Rows], shape: Shape, room: &mut [Room; 2], sums: &mut [f64]) {
    by_lanes(leaf, bits, shape, room, sums, |leaf, held, before, got| {
        of_lane(leaf.points, leaf.shares, held, before, got);
    });
}

/// Adds what a leaf gives lane by lane, by what the players of a lane get.
#[inline(always)]
pub(super) fn by_lanes(
    leaf: Deep<'_>,
    bits: &[Rows],
    shape: Shape,
    [before, got]: &mut [Room; 2],
    sums: &mut [f64],
    of_lane: impl Fn(Deep<'_>, &[u8], &mut [[f64; LANES]], &mut [[f64; LANES]]),
) {
    let mut held = [0; 64];
    for lane in 0..shape.rows / LANES {
        for (held, rows) in held.iter_mut().zip(bits) {
            *held = (rows[lane * LANES / WORD] >> (lane * LANES % WORD)) as u8;
        }
        of_lane(leaf, &held[..bits.len().min(64)], before, got);
        let first = shape.first + lane * LANES;
        for (cell, player, value) in leaf.adds {
            let sums = sums[*cell as usize * shape.stride + first..].first_chunk_mut::<LANES>();
            let (Some(sums), Some(got)) = (sums, got.get(*player as usize)) else { continue };
            (0..LANES).for_each(|row| sums[row] += value * got[row]);
        }
    }
}

/// What the players get for a lane of rows.
#[inline(always)]
pub(super) fn of_lane(
    points: &[(f64, f64)],
    shares: &[f64],
    held: &[u8],
    before: &mut [[f64; LANES]],
    got: &mut [[f64; LANES]],
) {
    let each = |held: u8, yes: f64, no: f64| -> [f64; LANES] {
        std::array::from_fn(|lane| if held >> lane & 1 == 1 { yes } else { no })
    };
    got.iter_mut().for_each(|got| *got = [0.0; LANES]);
    for (t, weight) in points {
        let factor = |share: f64, held: u8| {
            let absent = (1.0 - t) * share;
            each(held, t + absent, absent)
        };
        let mut product = [1.0; LANES];
        for ((share, held), before) in shares.iter().zip(held).zip(&mut *before) {
            *before = product;
            let factor = factor(*share, *held);
            (0..LANES).for_each(|lane| product[lane] *= factor[lane]);
        }
        let mut after = [*weight; LANES];
        for (((share, held), before), got) in shares.iter().zip(held).zip(&*before).zip(&mut *got).rev() {
            let factor = factor(*share, *held);
            for lane in 0..LANES {
                got[lane] += before[lane] * after[lane];
                after[lane] *= factor[lane];
            }
        }
    }
    for ((got, held), share) in got.iter_mut().zip(held).zip(shares) {
        let moved = each(*held, 1.0 - share, -share);
        (0..LANES).for_each(|lane| got[lane] *= moved[lane]);
    }
}
