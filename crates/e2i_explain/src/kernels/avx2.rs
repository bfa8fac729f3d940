//! AVX2: four numbers a register.

#![allow(unsafe_code)]

use std::arch::x86_64::*;

use e2i_core::native::Test;

use super::portable::{self, member, values_of};
use super::{Deep, LANES, Pair, Patterns, Room, Rows, Shape, WORD};
use crate::questions::Question;

/// # Safety
/// The processor must have the instructions.
#[target_feature(enable = "avx2,bmi2")]
pub(super) unsafe fn answer(questions: &[Question], values: &[f64], shape: Shape, yes: &mut [Rows]) {
    for (question, yes) in questions.iter().zip(yes.chunks_exact_mut(shape.parts())) {
        let yes = yes.as_flattened_mut();
        let values = values_of(question, values, shape);
        match (&question.test, question.missing_yes) {
            (Test::Less(threshold), false) => compare::<_CMP_LT_OQ>(values, *threshold, yes),
            (Test::LessEqual(threshold), false) => compare::<_CMP_LE_OQ>(values, *threshold, yes),
            (Test::Less(threshold), true) => compare::<_CMP_NGE_UQ>(values, *threshold, yes),
            (Test::LessEqual(threshold), true) => compare::<_CMP_NGT_UQ>(values, *threshold, yes),
            (Test::Member(_), _) => member(question, values, yes),
        }
    }
}

#[inline]
#[target_feature(enable = "avx2,bmi2")]
fn compare<const HOW: i32>(values: &[f64], threshold: f64, bits: &mut [u64]) {
    let with = _mm256_set1_pd(threshold);
    for (values, bits) in values.chunks(WORD).zip(bits) {
        let (fours, _) = values.as_chunks::<4>();
        let mut all = 0;
        for (place, four) in fours.iter().enumerate() {
            // SAFETY: there are four numbers.
            let four = unsafe { _mm256_loadu_pd(four.as_ptr()) };
            all |= (_mm256_movemask_pd(_mm256_cmp_pd::<HOW>(four, with)) as u64) << (4 * place);
        }
        *bits = all;
    }
}

/// # Safety
/// The processor must have the instructions.
#[target_feature(enable = "avx2,bmi2")]
pub(super) unsafe fn patterns(bits: &[Rows], patterns: &mut Patterns) {
    let (lanes, _) = patterns.as_chunks_mut::<LANES>();
    for (lane, patterns) in lanes.iter_mut().enumerate() {
        let mut all = 0;
        for (bit, rows) in bits.iter().enumerate() {
            let of_lane = rows[lane * LANES / WORD] >> (lane * LANES % WORD);
            all |= _pdep_u64(of_lane, 0x0101_0101_0101_0101) << bit;
        }
        *patterns = all.to_le_bytes();
    }
}

/// # Safety
/// The processor must have the instructions; there must be a pattern for each row, `numbers` must have a pair for each byte and two
/// cells, and `sums` the rows of all cells.
#[target_feature(enable = "avx2,bmi2")]
pub(super) unsafe fn look_up(
    numbers: &[Pair],
    cells: &[[u32; 2]],
    patterns: &Patterns,
    shape: Shape,
    sums: &mut [f64],
) {
    let (numbers, sums) = (numbers.as_ptr(), sums.as_mut_ptr());
    let (lanes, _) = patterns.as_chunks::<LANES>();
    for (lane, patterns) in lanes.iter().enumerate().take(shape.rows / LANES) {
        // SAFETY: as the caller promises.
        unsafe {
            let of_row = patterns.map(|pattern| numbers.add(usize::from(pattern) * cells.len()));
            let sums = sums.add(shape.first + lane * LANES);
            for (place, [low, high]) in cells.iter().enumerate() {
                let (low, high) = (sums.add(*low as usize * shape.stride), sums.add(*high as usize * shape.stride));
                for (first, four) in [(0, [0, 1, 2, 3]), (4, [4, 5, 6, 7])] {
                    let [a, b, c, d] = four.map(|row| _mm_loadu_pd(of_row[row].add(place).cast()));
                    let (even, odd) = (_mm256_set_m128d(c, a), _mm256_set_m128d(d, b));
                    let lows = _mm256_add_pd(_mm256_loadu_pd(low.add(first)), _mm256_unpacklo_pd(even, odd));
                    let highs = _mm256_add_pd(_mm256_loadu_pd(high.add(first)), _mm256_unpackhi_pd(even, odd));
                    _mm256_storeu_pd(low.add(first), lows);
                    _mm256_storeu_pd(high.add(first), highs);
                }
            }
        }
    }
}

/// # Safety
/// The processor must have the instructions.
#[target_feature(enable = "avx2,bmi2")]
pub(super) unsafe fn integrate(leaf: Deep<'_>, bits: &[Rows], shape: Shape, room: &mut [Room; 2], sums: &mut [f64]) {
    portable::by_lanes(leaf, bits, shape, room, sums, |leaf, held, before, got| {
        portable::of_lane(leaf.points, leaf.shares, held, before, got);
    });
}
