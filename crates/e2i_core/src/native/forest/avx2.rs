//! [`super::blend`] with AVX2: 32 rows a register.

#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::blend::{Bench, Bytes, Classes, Membership, Op, Opened, Portable, Quad, Vector};
use super::coded;
use super::inputs::BLOCK;
use super::number::{Given, Number};
use super::ranks::{self, Count, TOGETHER};

/// AVX2.
pub(super) struct Avx2;

/// Runs the kernel.
///
/// # Safety
/// As [`Opened::sums`].
#[target_feature(enable = "avx2")]
pub(super) unsafe fn sums<T: Number, A: Number, E: Given<T>>(
    tables: &Opened<'_, T, A>,
    input: &[E],
    bench: &mut Bench<A>,
    out: &mut [A],
) {
    // SAFETY: as promised by the caller.
    unsafe { tables.sums::<Avx2, E>(input, bench, out) };
}

/// Runs the kernel for one row.
///
/// # Safety
/// As [`coded::Opened::sums`].
#[target_feature(enable = "avx2,popcnt,bmi1,bmi2")]
pub(super) unsafe fn coded<T: Number, A: Number, E: Given<T>>(
    tables: &coded::Opened<'_, T, A>,
    input: &[E],
    out: &mut [A],
) {
    // SAFETY: as promised by the caller.
    unsafe { tables.sums::<Avx2, E>(input, out) };
}

impl Count for Avx2 {
    #[inline(always)]
    unsafe fn below<T: Number>(value: T, numbers: &[T; TOGETHER]) -> u32 {
        match (bytemuck::try_cast::<T, f32>(value), bytemuck::try_cast_slice::<T, f32>(numbers)) {
            // SAFETY: as promised by the caller; there are as many numbers as in two registers.
            (Ok(value), Ok(numbers)) if size_of::<T>() == 4 => unsafe {
                let value = _mm256_set1_ps(value);
                let low = _mm256_cmp_ps::<_CMP_GT_OQ>(value, _mm256_loadu_ps(numbers.as_ptr()));
                let high = _mm256_cmp_ps::<_CMP_GT_OQ>(value, _mm256_loadu_ps(numbers.as_ptr().add(8)));
                ((_mm256_movemask_ps(high) as u32) << 8 | _mm256_movemask_ps(low) as u32).count_ones()
            },
            // SAFETY: needs nothing special.
            _ => unsafe { ranks::Portable::below(value, numbers) },
        }
    }
}

impl Vector for Avx2 {
    #[inline(always)]
    unsafe fn ranks<T: Number>((search, levels): (&[T], u32), values: &[T; BLOCK], ranks: &mut [u32; BLOCK]) {
        match (bytemuck::try_cast_slice::<T, f32>(search), bytemuck::try_cast_slice::<T, f32>(values)) {
            (Ok(search), Ok(values)) if size_of::<T>() == 4 => {
                // SAFETY: the search tree has 2^levels places, 16 at least; there are as many values as ranks.
                unsafe { ranks_of_singles(search, levels, values, ranks) };
            }
            // SAFETY: needs nothing special.
            _ => unsafe { Portable::ranks((search, levels), values, ranks) },
        }
    }

    #[inline(always)]
    unsafe fn sets<const HALVES: usize>(sets: &[Membership], bits: &[u8], classes: &[Classes], out: &mut [Bytes]) {
        for (set, out) in sets.iter().zip(out) {
            // SAFETY: the set and its feature exist, as promised by the caller: 256 bytes follow wherever a set begins, and no
            // set has more. Bytes are aligned to a register.
            unsafe {
                let classes = classes.get_unchecked(usize::from(set.feature));
                let table = bits.as_ptr().add(set.start as usize).cast::<__m128i>();
                let parts = usize::from(set.bytes).div_ceil(16);
                for quarter in 0..HALVES * 2 {
                    let mut byte = _mm256_load_si256(classes.byte.0.as_ptr().cast::<__m256i>().add(quarter));
                    let mut found = _mm256_setzero_si256();
                    for part in 0..parts {
                        // A byte of another part has its highest bit set, for which nothing is picked.
                        let within = _mm256_adds_epu8(byte, _mm256_set1_epi8(0x70));
                        let table = _mm256_broadcastsi128_si256(_mm_loadu_si128(table.add(part)));
                        found = _mm256_or_si256(found, _mm256_shuffle_epi8(table, within));
                        byte = _mm256_sub_epi8(byte, _mm256_set1_epi8(16));
                    }
                    let bit = _mm256_load_si256(classes.bit.0.as_ptr().cast::<__m256i>().add(quarter));
                    _mm256_store_si256(out.0.as_mut_ptr().cast::<__m256i>().add(quarter), _mm256_and_si256(found, bit));
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn quads<const HALVES: usize>(quads: &[Quad], codes: &[Bytes], slots: &mut [Bytes]) {
        let (codes, slots) = (codes.as_ptr(), slots.as_mut_ptr());
        for quad in quads {
            // SAFETY: columns and slots exist, as promised by the caller, and are aligned to a register.
            unsafe {
                let [a, b, c, d] = quad.leaves;
                let (a, b) = (_mm256_set1_epi8(a as i8), _mm256_set1_epi8(b as i8));
                let (c, d) = (_mm256_set1_epi8(c as i8), _mm256_set1_epi8(d as i8));
                let [at, at_yes, at_no] = quad.thresholds;
                let (at, at_yes) = (_mm256_set1_epi8(at as i8), _mm256_set1_epi8(at_yes as i8));
                let at_no = _mm256_set1_epi8(at_no as i8);
                let [upper, yes, no] = quad.columns;
                let (upper, out) = (codes.add(upper.into()).cast::<__m256i>(), slots.add(quad.out.into()));
                let (yes, no) = (codes.add(yes.into()).cast::<__m256i>(), codes.add(no.into()).cast::<__m256i>());
                for part in 0..HALVES * 2 {
                    let below_yes = at_most(_mm256_load_si256(yes.add(part)), at_yes);
                    let below_no = at_most(_mm256_load_si256(no.add(part)), at_no);
                    let below = at_most(_mm256_load_si256(upper.add(part)), at);
                    let yes = _mm256_blendv_epi8(b, a, below_yes);
                    let no = _mm256_blendv_epi8(d, c, below_no);
                    _mm256_store_si256(out.cast::<__m256i>().add(part), _mm256_blendv_epi8(no, yes, below));
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn pairs<const HALVES: usize>(ops: &[Op], codes: &[Bytes], slots: &mut [Bytes]) {
        let (codes, slots) = (codes.as_ptr(), slots.as_mut_ptr());
        for op in ops {
            // SAFETY: columns and slots exist, as promised by the caller, and are aligned to a register.
            unsafe {
                let threshold = _mm256_set1_epi32(op.threshold as i32);
                let (yes, no) = (_mm256_set1_epi8(op.yes as i8), _mm256_set1_epi8(op.no as i8));
                let code = codes.add(op.column.into()).cast::<__m256i>();
                let out = slots.add(op.out.into()).cast::<__m256i>();
                for part in 0..HALVES * 2 {
                    let below = at_most(_mm256_load_si256(code.add(part)), threshold);
                    _mm256_store_si256(out.add(part), _mm256_blendv_epi8(no, yes, below));
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn blend<const HALVES: usize>(ops: &[Op], codes: &[Bytes], slots: &mut [Bytes]) {
        let (codes, slots) = (codes.as_ptr(), slots.as_mut_ptr());
        for op in ops {
            // SAFETY: as above.
            unsafe {
                let threshold = _mm256_set1_epi32(op.threshold as i32);
                let code = codes.add(op.column.into()).cast::<__m256i>();
                let yes = slots.add(op.yes.into()).cast::<__m256i>();
                let no = slots.add(op.no.into()).cast::<__m256i>();
                let out = slots.add(op.out.into()).cast::<__m256i>();
                for part in 0..HALVES * 2 {
                    let below = at_most(_mm256_load_si256(code.add(part)), threshold);
                    let (yes, no) = (_mm256_load_si256(yes.add(part)), _mm256_load_si256(no.add(part)));
                    _mm256_store_si256(out.add(part), _mm256_blendv_epi8(no, yes, below));
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn add<const HALVES: usize, A: Number>(leaves: &Bytes, weights: &[A], sums: &mut [A; BLOCK]) {
        for (sum, leaf) in sums.iter_mut().zip(&leaves.0).take(HALVES * BLOCK / 2) {
            // SAFETY: leaves exist, as promised by the caller. Gathers were not faster than these loads.
            *sum = *sum + unsafe { *weights.get_unchecked(usize::from(*leaf)) };
        }
    }
}

/// Unsigned comparison of bytes, which AVX2 lacks.
#[target_feature(enable = "avx2")]
#[inline]
fn at_most(code: __m256i, threshold: __m256i) -> __m256i {
    _mm256_cmpeq_epi8(_mm256_min_epu8(code, threshold), code)
}

/// The levels of a search tree up to 64 places are held in registers; deeper ones are gathered. Loops are written out: what
/// is passed to `map` and its like is compiled without the instructions.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn ranks_of_singles(search: &[f32], levels: u32, values: &[f32], ranks: &mut [u32; BLOCK]) {
    /// Registers that are searched for together.
    const TOGETHER: usize = 4;
    let search = search.as_ptr();
    for group in 0..BLOCK / 8 / TOGETHER {
        let from = group * 8 * TOGETHER;
        let (mut of, mut bounds) = ([_mm256_setzero_ps(); TOGETHER], [_mm256_setzero_ps(); TOGETHER]);
        let mut places = [_mm256_set1_epi32(1); TOGETHER];
        for (k, of) in of.iter_mut().enumerate() {
            // SAFETY: there are `BLOCK` values.
            *of = unsafe { _mm256_loadu_ps(values.as_ptr().add(from + 8 * k)) };
        }
        for level in 0..levels {
            // SAFETY: a place of level `l` lies between 2^l and 2^(l + 1), within the tree, which has 16 places at least.
            unsafe {
                match level {
                    0..=3 => {
                        let table = _mm256_loadu_ps(search.add(if level < 3 { 0 } else { 8 }));
                        for k in 0..TOGETHER {
                            bounds[k] = _mm256_permutevar8x32_ps(table, places[k]);
                        }
                    }
                    4 => {
                        let (low, high) = (_mm256_loadu_ps(search.add(16)), _mm256_loadu_ps(search.add(24)));
                        for k in 0..TOGETHER {
                            bounds[k] = pick(low, high, places[k]);
                        }
                    }
                    5 => {
                        let (a, b) = (_mm256_loadu_ps(search.add(32)), _mm256_loadu_ps(search.add(40)));
                        let (c, d) = (_mm256_loadu_ps(search.add(48)), _mm256_loadu_ps(search.add(56)));
                        for k in 0..TOGETHER {
                            let half = _mm256_castsi256_ps(_mm256_slli_epi32::<27>(places[k]));
                            bounds[k] = _mm256_blendv_ps(pick(a, b, places[k]), pick(c, d, places[k]), half);
                        }
                    }
                    _ => {
                        for k in 0..TOGETHER {
                            bounds[k] = _mm256_i32gather_ps::<4>(search, places[k]);
                        }
                    }
                }
            }
            for k in 0..TOGETHER {
                let above = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_GT_OQ>(of[k], bounds[k]));
                places[k] = _mm256_sub_epi32(_mm256_add_epi32(places[k], places[k]), above);
            }
        }
        for (k, place) in places.iter().enumerate() {
            let rank = _mm256_sub_epi32(*place, _mm256_set1_epi32(1 << levels));
            // SAFETY: there are `BLOCK` ranks.
            unsafe { _mm256_storeu_si256(ranks.as_mut_ptr().add(from + 8 * k).cast(), rank) };
        }
    }
}

/// One of 16 numbers.
#[target_feature(enable = "avx2")]
#[inline]
fn pick(low: __m256, high: __m256, place: __m256i) -> __m256 {
    let half = _mm256_castsi256_ps(_mm256_slli_epi32::<28>(place));
    _mm256_blendv_ps(_mm256_permutevar8x32_ps(low, place), _mm256_permutevar8x32_ps(high, place), half)
}
