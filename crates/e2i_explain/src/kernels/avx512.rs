//! AVX-512: eight numbers a register.

#![allow(unsafe_code)]

use std::arch::x86_64::*;

use e2i_core::native::Test;

use super::portable::{self, member, values_of};
use super::{Deep, LANES, Pair, Patterns, Room, Rows, Shape, WORD};
use crate::questions::Question;

/// # Safety
/// The processor must have the instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi2")]
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
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi2")]
fn compare<const HOW: i32>(values: &[f64], threshold: f64, bits: &mut [u64]) {
    let with = _mm512_set1_pd(threshold);
    for (values, bits) in values.chunks(WORD).zip(bits) {
        let (lanes, _) = values.as_chunks::<LANES>();
        let mut all = 0;
        for (lane, values) in lanes.iter().enumerate() {
            // SAFETY: there are eight numbers.
            let some = unsafe { _mm512_loadu_pd(values.as_ptr()) };
            all |= u64::from(_mm512_cmp_pd_mask::<HOW>(some, with)) << (8 * lane);
        }
        *bits = all;
    }
}

/// # Safety
/// The processor must have the instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi2")]
pub(super) unsafe fn patterns(bits: &[Rows], patterns: &mut Patterns) {
    let (words, _) = patterns.as_chunks_mut::<WORD>();
    for (word, patterns) in words.iter_mut().enumerate() {
        let mut all = _mm512_setzero_si512();
        for (bit, rows) in bits.iter().enumerate() {
            all = _mm512_mask_add_epi8(all, rows[word], all, _mm512_set1_epi8((1u8 << (bit % 8)) as i8));
        }
        // SAFETY: there are so many bytes.
        unsafe { _mm512_storeu_si512(patterns.as_mut_ptr().cast(), all) };
    }
}

/// # Safety
/// The processor must have the instructions; there must be a pattern for each row, `numbers` must have a pair for each byte and two
/// cells, and `sums` the rows of all cells.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi2")]
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
                let of = |row: usize| _mm_loadu_pd(of_row[row].add(place).cast());
                // Four rows a register: loads into parts of it are cheaper than moving what was loaded.
                let even = _mm512_castpd128_pd512(of(0));
                let even = _mm512_mask_broadcast_f64x2(even, 0b0000_1100, of(2));
                let even = _mm512_mask_broadcast_f64x2(even, 0b0011_0000, of(4));
                let even = _mm512_mask_broadcast_f64x2(even, 0b1100_0000, of(6));
                let odd = _mm512_castpd128_pd512(of(1));
                let odd = _mm512_mask_broadcast_f64x2(odd, 0b0000_1100, of(3));
                let odd = _mm512_mask_broadcast_f64x2(odd, 0b0011_0000, of(5));
                let odd = _mm512_mask_broadcast_f64x2(odd, 0b1100_0000, of(7));
                let (low, high) = (sums.add(*low as usize * shape.stride), sums.add(*high as usize * shape.stride));
                let lows = _mm512_add_pd(_mm512_loadu_pd(low), _mm512_unpacklo_pd(even, odd));
                let highs = _mm512_add_pd(_mm512_loadu_pd(high), _mm512_unpackhi_pd(even, odd));
                _mm512_storeu_pd(low, lows);
                _mm512_storeu_pd(high, highs);
            }
        }
    }
}

/// # Safety
/// The processor must have the instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi2")]
pub(super) unsafe fn integrate(leaf: Deep<'_>, bits: &[Rows], shape: Shape, room: &mut [Room; 2], sums: &mut [f64]) {
    portable::by_lanes(leaf, bits, shape, room, sums, |leaf, held, before, got| of_lane(leaf, held, before, got));
}

/// As [`portable::of_lane`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi2")]
fn of_lane(leaf: Deep<'_>, held: &[u8], before: &mut [[f64; LANES]], got: &mut [[f64; LANES]]) {
    let Deep { points, shares, .. } = leaf;
    let one = _mm512_set1_pd(1.0);
    for (place, (t, weight)) in points.iter().enumerate() {
        let (with, without) = (_mm512_set1_pd(*t), _mm512_set1_pd(1.0 - t));
        let mut product = one;
        for ((share, held), before) in shares.iter().zip(held).zip(&mut *before) {
            // SAFETY: there is room for eight numbers.
            unsafe { _mm512_storeu_pd(before.as_mut_ptr(), product) };
            let absent = _mm512_mul_pd(without, _mm512_set1_pd(*share));
            product = _mm512_mul_pd(product, _mm512_mask_add_pd(absent, *held, with, absent));
        }
        let mut after = _mm512_set1_pd(*weight);
        for (((share, held), before), got) in shares.iter().zip(held).zip(&*before).zip(&mut *got).rev() {
            let absent = _mm512_mul_pd(without, _mm512_set1_pd(*share));
            // SAFETY: there are eight numbers, and room for them.
            unsafe {
                let sum = if place == 0 { _mm512_setzero_pd() } else { _mm512_loadu_pd(got.as_ptr()) };
                let sum = _mm512_add_pd(sum, _mm512_mul_pd(_mm512_loadu_pd(before.as_ptr()), after));
                _mm512_storeu_pd(got.as_mut_ptr(), sum);
            }
            after = _mm512_mul_pd(after, _mm512_mask_add_pd(absent, *held, with, absent));
        }
    }
    for ((got, held), share) in got.iter_mut().zip(held).zip(shares) {
        let moved = _mm512_mask_blend_pd(*held, _mm512_set1_pd(-share), _mm512_set1_pd(1.0 - share));
        // SAFETY: there are eight numbers, and room for them.
        unsafe { _mm512_storeu_pd(got.as_mut_ptr(), _mm512_mul_pd(_mm512_loadu_pd(got.as_ptr()), moved)) };
    }
}
