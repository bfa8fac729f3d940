//! [`super::blend`] with AVX-512: 64 rows a register.

#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::blend::{Bench, Bytes, Classes, Membership, Op, Opened, Portable, Quad, Vector};
use super::coded;
use super::inputs::BLOCK;
use super::number::{Given, Number};
use super::ranks::{self, Count, TOGETHER};

/// AVX-512 F, BW, DQ and VL, with VBMI or without.
pub(super) struct Avx512<const VBMI: bool>;

/// Runs the kernel.
///
/// # Safety
/// As [`Opened::sums`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) unsafe fn sums<T: Number, A: Number, E: Given<T>>(
    tables: &Opened<'_, T, A>,
    input: &[E],
    bench: &mut Bench<A>,
    out: &mut [A],
) {
    // SAFETY: as promised by the caller.
    unsafe { tables.sums::<Avx512<false>, E>(input, bench, out) };
}

/// Runs the kernel where there is VBMI, which is used for sets alone.
///
/// # Safety
/// As [`Opened::sums`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) unsafe fn sums_vbmi<T: Number, A: Number, E: Given<T>>(
    tables: &Opened<'_, T, A>,
    input: &[E],
    bench: &mut Bench<A>,
    out: &mut [A],
) {
    // SAFETY: as promised by the caller.
    unsafe { tables.sums::<Avx512<true>, E>(input, bench, out) };
}

/// Runs the kernel for one row.
///
/// # Safety
/// As [`coded::Opened::sums`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,popcnt,bmi1,bmi2")]
pub(super) unsafe fn coded<T: Number, A: Number, E: Given<T>>(
    tables: &coded::Opened<'_, T, A>,
    input: &[E],
    out: &mut [A],
) {
    // SAFETY: as promised by the caller.
    unsafe { tables.sums::<Avx512<false>, E>(input, out) };
}

impl<const VBMI: bool> Count for Avx512<VBMI> {
    #[inline(always)]
    unsafe fn below<T: Number>(value: T, numbers: &[T; TOGETHER]) -> u32 {
        match (bytemuck::try_cast::<T, f32>(value), bytemuck::try_cast_slice::<T, f32>(numbers)) {
            // SAFETY: as promised by the caller; there are as many numbers as in a register.
            (Ok(value), Ok(numbers)) if size_of::<T>() == 4 => unsafe {
                let numbers = _mm512_loadu_ps(numbers.as_ptr());
                _mm512_cmp_ps_mask::<_CMP_GT_OQ>(_mm512_set1_ps(value), numbers).count_ones()
            },
            // SAFETY: needs nothing special.
            _ => unsafe { ranks::Portable::below(value, numbers) },
        }
    }
}

impl<const VBMI: bool> Vector for Avx512<VBMI> {
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
        // SAFETY: as promised by the caller.
        unsafe {
            if VBMI {
                sets_by_byte::<HALVES>(sets, bits, classes, out);
            } else {
                sets_by_part::<HALVES>(sets, bits, classes, out);
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
                let (a, b) = (_mm512_set1_epi8(a as i8), _mm512_set1_epi8(b as i8));
                let (c, d) = (_mm512_set1_epi8(c as i8), _mm512_set1_epi8(d as i8));
                let [at, at_yes, at_no] = quad.thresholds;
                let (at, at_yes) = (_mm512_set1_epi8(at as i8), _mm512_set1_epi8(at_yes as i8));
                let at_no = _mm512_set1_epi8(at_no as i8);
                let [upper, yes, no] = quad.columns;
                let (upper, out) = (codes.add(upper.into()).cast(), slots.add(quad.out.into()).cast());
                let (yes, no) = (codes.add(yes.into()).cast(), codes.add(no.into()).cast());
                for half in 0..HALVES {
                    let below_yes = _mm512_cmple_epu8_mask(_mm512_load_si512(half_of(yes, half)), at_yes);
                    let below_no = _mm512_cmple_epu8_mask(_mm512_load_si512(half_of(no, half)), at_no);
                    let below = _mm512_cmple_epu8_mask(_mm512_load_si512(half_of(upper, half)), at);
                    let yes = _mm512_mask_blend_epi8(below_yes, b, a);
                    let no = _mm512_mask_blend_epi8(below_no, d, c);
                    _mm512_store_si512(half_of_mut(out, half), _mm512_mask_blend_epi8(below, no, yes));
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
                let threshold = _mm512_set1_epi32(op.threshold as i32);
                let (yes, no) = (_mm512_set1_epi8(op.yes as i8), _mm512_set1_epi8(op.no as i8));
                let (code, out) = (codes.add(op.column.into()).cast(), slots.add(op.out.into()).cast());
                for half in 0..HALVES {
                    let below = _mm512_cmple_epu8_mask(_mm512_load_si512(half_of(code, half)), threshold);
                    _mm512_store_si512(half_of_mut(out, half), _mm512_mask_blend_epi8(below, no, yes));
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
                let threshold = _mm512_set1_epi32(op.threshold as i32);
                let (yes, no) = (slots.add(op.yes.into()).cast(), slots.add(op.no.into()).cast());
                let (code, out) = (codes.add(op.column.into()).cast(), slots.add(op.out.into()).cast());
                for half in 0..HALVES {
                    let below = _mm512_cmple_epu8_mask(_mm512_load_si512(half_of(code, half)), threshold);
                    let (yes, no) = (_mm512_load_si512(half_of(yes, half)), _mm512_load_si512(half_of(no, half)));
                    _mm512_store_si512(half_of_mut(out, half), _mm512_mask_blend_epi8(below, no, yes));
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn add<const HALVES: usize, A: Number>(leaves: &Bytes, weights: &[A], sums: &mut [A; BLOCK]) {
        let singles = (bytemuck::try_cast_slice::<A, f32>(weights), bytemuck::try_cast_slice_mut::<A, f32>(sums));
        match singles {
            (Ok(weights), Ok(sums)) if size_of::<A>() == 4 => {
                // SAFETY: leaves exist, as promised by the caller; there are `BLOCK` sums.
                unsafe {
                    match weights.len() {
                        0..=32 => add_singles::<HALVES, 2>(leaves, weights, sums),
                        33..=64 => add_singles::<HALVES, 4>(leaves, weights, sums),
                        65..=128 => add_singles::<HALVES, 8>(leaves, weights, sums),
                        _ => add_singles::<HALVES, 16>(leaves, weights, sums),
                    }
                }
            }
            // SAFETY: as promised by the caller.
            _ => unsafe { Portable::add::<HALVES, A>(leaves, weights, sums) },
        }
    }
}

/// Sets as columns, with VBMI.
///
/// # Safety
/// The sets and their features must exist: 256 bytes follow wherever a set begins, and no set has more.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")]
unsafe fn sets_by_byte<const HALVES: usize>(sets: &[Membership], bits: &[u8], classes: &[Classes], out: &mut [Bytes]) {
    for (set, out) in sets.iter().zip(out) {
        // SAFETY: as promised by the caller; bytes are aligned to a register.
        unsafe {
            let classes = classes.get_unchecked(usize::from(set.feature));
            let table = bits.as_ptr().add(set.start as usize);
            let (byte, bit) = (classes.byte.0.as_ptr().cast(), classes.bit.0.as_ptr().cast());
            let out = out.0.as_mut_ptr().cast();
            for half in 0..HALVES {
                let found = found_by_byte(table, set.bytes, _mm512_load_si512(half_of(byte, half)));
                let bit = _mm512_load_si512(half_of(bit, half));
                _mm512_store_si512(half_of_mut(out, half), _mm512_and_si512(found, bit));
            }
        }
    }
}

/// Sets as columns without VBMI.
///
/// # Safety
/// The sets and their features must exist: 256 bytes follow wherever a set begins, and no set has more.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn sets_by_part<const HALVES: usize>(sets: &[Membership], bits: &[u8], classes: &[Classes], out: &mut [Bytes]) {
    for (set, out) in sets.iter().zip(out) {
        // SAFETY: as promised by the caller; bytes are aligned to a register.
        unsafe {
            let classes = classes.get_unchecked(usize::from(set.feature));
            let table = bits.as_ptr().add(set.start as usize);
            let (byte, bit) = (classes.byte.0.as_ptr().cast(), classes.bit.0.as_ptr().cast());
            let out = out.0.as_mut_ptr().cast();
            for half in 0..HALVES {
                let found = found_by_part(table, set.bytes, _mm512_load_si512(half_of(byte, half)));
                let bit = _mm512_load_si512(half_of(bit, half));
                _mm512_store_si512(half_of_mut(out, half), _mm512_and_si512(found, bit));
            }
        }
    }
}

/// The bytes of a set in some places, a register of them in one step or four.
///
/// # Safety
/// 256 bytes must follow on `table`.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")]
#[inline]
unsafe fn found_by_byte(table: *const u8, bytes: u16, places: __m512i) -> __m512i {
    // SAFETY: as promised by the caller.
    let at = |offset: usize| unsafe { _mm512_loadu_si512(table.add(offset).cast()) };
    if bytes <= 64 {
        return _mm512_permutexvar_epi8(places, at(0));
    }
    let low = _mm512_permutex2var_epi8(at(0), places, at(64));
    if bytes <= 128 {
        return low;
    }
    let high = _mm512_permutex2var_epi8(at(128), places, at(192));
    _mm512_mask_blend_epi8(_mm512_movepi8_mask(places), low, high)
}

/// The same without VBMI, 16 bytes of the set at a time.
///
/// # Safety
/// 256 bytes must follow on `table`, and `bytes` must be no more.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
#[inline]
unsafe fn found_by_part(table: *const u8, bytes: u16, places: __m512i) -> __m512i {
    let (mut places, mut found) = (places, _mm512_setzero_si512());
    for part in 0..usize::from(bytes).div_ceil(16) {
        // A byte of another part has its highest bit set, for which nothing is picked.
        let within = _mm512_adds_epu8(places, _mm512_set1_epi8(0x70));
        // SAFETY: as promised by the caller.
        let table = unsafe { _mm_loadu_si128(table.add(16 * part).cast()) };
        found = _mm512_or_si512(found, _mm512_shuffle_epi8(_mm512_broadcast_i32x4(table), within));
        places = _mm512_sub_epi8(places, _mm512_set1_epi8(16));
    }
    found
}

#[inline(always)]
unsafe fn half_of(bytes: *const __m512i, half: usize) -> *const __m512i {
    // SAFETY: the caller has two halves.
    unsafe { bytes.add(half) }
}

#[inline(always)]
unsafe fn half_of_mut(bytes: *mut __m512i, half: usize) -> *mut __m512i {
    // SAFETY: the caller has two halves.
    unsafe { bytes.add(half) }
}

/// Weights are picked from registers: tables of up to 256 are 16 of them. Loops are written out here and below: what is
/// passed to `map` and its like is compiled without the instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
#[inline]
unsafe fn add_singles<const HALVES: usize, const TABLES: usize>(leaves: &Bytes, weights: &[f32], sums: &mut [f32]) {
    let mut tables = [_mm512_setzero_ps(); TABLES];
    for (table, weights) in tables.iter_mut().zip(weights.chunks(16)) {
        let mask = ((1u32 << weights.len()) - 1) as __mmask16;
        // SAFETY: masked loads read only what exists.
        *table = unsafe { _mm512_maskz_loadu_ps(mask, weights.as_ptr()) };
    }
    for rows in 0..HALVES * 4 {
        // SAFETY: the rows are within the block.
        let leaves = unsafe { _mm512_cvtepu8_epi32(_mm_load_si128(leaves.0.as_ptr().cast::<__m128i>().add(rows))) };
        let mut picked = [_mm512_setzero_ps(); 8];
        for pair in 0..TABLES / 2 {
            picked[pair] = _mm512_permutex2var_ps(tables[2 * pair], leaves, tables[2 * pair + 1]);
        }
        if TABLES > 8 {
            let high = _mm512_test_epi32_mask(leaves, _mm512_set1_epi32(128));
            for pair in 0..4 {
                picked[pair] = _mm512_mask_blend_ps(high, picked[pair], picked[pair + 4]);
            }
        }
        if TABLES > 4 {
            let high = _mm512_test_epi32_mask(leaves, _mm512_set1_epi32(64));
            for pair in 0..2 {
                picked[pair] = _mm512_mask_blend_ps(high, picked[pair], picked[pair + 2]);
            }
        }
        if TABLES > 2 {
            let high = _mm512_test_epi32_mask(leaves, _mm512_set1_epi32(32));
            picked[0] = _mm512_mask_blend_ps(high, picked[0], picked[1]);
        }
        // SAFETY: there are `BLOCK` sums.
        unsafe {
            let sum = sums.as_mut_ptr().add(16 * rows);
            _mm512_storeu_ps(sum, _mm512_add_ps(_mm512_loadu_ps(sum), picked[0]));
        }
    }
}

/// The levels of a search tree up to 256 places are held in registers; deeper ones are gathered.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
#[inline]
unsafe fn ranks_of_singles(search: &[f32], levels: u32, values: &[f32], ranks: &mut [u32; BLOCK]) {
    /// Registers that are searched for together.
    const TOGETHER: usize = 4;
    let search = search.as_ptr();
    let one = _mm512_set1_epi32(1);
    for group in 0..BLOCK / 16 / TOGETHER {
        let from = group * 16 * TOGETHER;
        let (mut of, mut bounds) = ([_mm512_setzero_ps(); TOGETHER], [_mm512_setzero_ps(); TOGETHER]);
        let mut places = [one; TOGETHER];
        for (k, of) in of.iter_mut().enumerate() {
            // SAFETY: there are `BLOCK` values.
            *of = unsafe { _mm512_loadu_ps(values.as_ptr().add(from + 16 * k)) };
        }
        for level in 0..levels {
            // SAFETY: a place of level `l` lies between 2^l and 2^(l + 1), within the tree, which has 16 places at least.
            unsafe {
                match level {
                    0..=4 => {
                        let table = _mm512_loadu_ps(search.add(if level < 4 { 0 } else { 16 }));
                        for k in 0..TOGETHER {
                            bounds[k] = _mm512_permutexvar_ps(places[k], table);
                        }
                    }
                    5 => {
                        let (low, high) = (_mm512_loadu_ps(search.add(32)), _mm512_loadu_ps(search.add(48)));
                        for k in 0..TOGETHER {
                            bounds[k] = _mm512_permutex2var_ps(low, places[k], high);
                        }
                    }
                    6 => {
                        for k in 0..TOGETHER {
                            bounds[k] = pick(search.add(64), places[k]);
                        }
                    }
                    7 => {
                        for k in 0..TOGETHER {
                            let half = _mm512_test_epi32_mask(places[k], _mm512_set1_epi32(64));
                            let (low, high) = (pick(search.add(128), places[k]), pick(search.add(192), places[k]));
                            bounds[k] = _mm512_mask_blend_ps(half, low, high);
                        }
                    }
                    _ => {
                        for k in 0..TOGETHER {
                            bounds[k] = _mm512_i32gather_ps::<4>(places[k], search);
                        }
                    }
                }
            }
            for k in 0..TOGETHER {
                let above = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(of[k], bounds[k]);
                let doubled = _mm512_add_epi32(places[k], places[k]);
                places[k] = _mm512_mask_add_epi32(doubled, above, doubled, one);
            }
        }
        for (k, place) in places.iter().enumerate() {
            let rank = _mm512_sub_epi32(*place, _mm512_set1_epi32(1 << levels));
            // SAFETY: there are `BLOCK` ranks.
            unsafe { _mm512_storeu_si512(ranks.as_mut_ptr().add(from + 16 * k).cast(), rank) };
        }
    }
}

/// One of the 64 numbers from `table` on.
///
/// # Safety
/// There must be 64.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
#[inline]
unsafe fn pick(table: *const f32, place: __m512i) -> __m512 {
    // SAFETY: as promised by the caller.
    let at = |offset: usize| unsafe { _mm512_loadu_ps(table.add(offset)) };
    let half = _mm512_test_epi32_mask(place, _mm512_set1_epi32(32));
    let low = _mm512_permutex2var_ps(at(0), place, at(16));
    let high = _mm512_permutex2var_ps(at(32), place, at(48));
    _mm512_mask_blend_ps(half, low, high)
}
