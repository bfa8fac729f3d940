//! AVX-512: 64 rows a register.

use std::arch::x86_64::*;

use super::super::number::Number;
use super::{
    BLOCK, Bytes, Register, SEARCHED, Singles, TOGETHER, Vector, Ways, Work, below_one_by_one, ranks_in_registers,
};

/// AVX-512 F, BW, DQ and VL, with VBMI or without.
pub(super) struct Avx512<const VBMI: bool>;

/// Does work compiled with it.
///
/// # Safety
/// The processor must have the instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,popcnt,bmi1,bmi2")]
pub(super) unsafe fn run(work: impl Work) {
    // SAFETY: as promised by the caller.
    unsafe { work.run::<Avx512<false>>() }
}

/// Does work compiled with VBMI.
///
/// # Safety
/// The processor must have the instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,popcnt,bmi1,bmi2")]
pub(super) unsafe fn run_vbmi(work: impl Work) {
    // SAFETY: as promised by the caller.
    unsafe { work.run::<Avx512<true>>() }
}

impl<const VBMI: bool> Vector for Avx512<VBMI> {
    type Register = Bytes512<VBMI>;

    #[inline(always)]
    unsafe fn ranks<T: Number>(search: (&[T], u32), values: &[T; BLOCK], ranks: &mut [u32; BLOCK]) {
        // SAFETY: as promised by the caller.
        unsafe { ranks_in_registers::<__m512, T>(search, values, ranks) }
    }

    #[inline(always)]
    unsafe fn below<T: Number>(value: T, numbers: &[T; TOGETHER]) -> u32 {
        match (bytemuck::try_cast::<T, f32>(value), bytemuck::try_cast_slice::<T, f32>(numbers)) {
            // SAFETY: as promised by the caller; there are as many numbers as in a register.
            (Ok(value), Ok(numbers)) if size_of::<T>() == 4 => unsafe {
                let numbers = _mm512_loadu_ps(numbers.as_ptr());
                _mm512_cmp_ps_mask::<_CMP_GT_OQ>(_mm512_set1_ps(value), numbers).count_ones()
            },
            _ => below_one_by_one(value, numbers),
        }
    }

    #[inline(always)]
    unsafe fn way(answers: u32, ways: &Ways) -> u32 {
        // SAFETY: as promised by the caller; there are as many words as in two registers.
        unsafe {
            let given = _mm512_set1_epi32(answers as i32);
            let mut found = 0;
            for part in 0..2 {
                let asked = _mm512_loadu_si512(ways.asked.as_ptr().cast::<__m512i>().add(part));
                let right = _mm512_loadu_si512(ways.answers.as_ptr().cast::<__m512i>().add(part));
                let same = _mm512_testn_epi32_mask(_mm512_xor_si512(given, right), asked);
                found |= u32::from(same) << (16 * part);
            }
            found.trailing_zeros()
        }
    }

    #[inline(always)]
    unsafe fn add<const HALVES: usize, A: Number>(leaves: &Bytes, weights: &[A], sums: &mut [A; BLOCK]) {
        // SAFETY: leaves exist, as promised by the caller; there are `BLOCK` sums.
        unsafe {
            if size_of::<A>() == 4
                && let Ok(weights) = bytemuck::try_cast_slice::<A, f32>(weights)
                && let Ok(sums) = bytemuck::try_cast_slice_mut::<A, f32>(sums)
            {
                match weights.len() {
                    0..=32 => add_singles::<HALVES, 2>(leaves, weights, sums),
                    33..=64 => add_singles::<HALVES, 4>(leaves, weights, sums),
                    65..=128 => add_singles::<HALVES, 8>(leaves, weights, sums),
                    _ => add_singles::<HALVES, 16>(leaves, weights, sums),
                }
                return;
            }
        }
        for (sum, leaf) in sums.iter_mut().zip(&leaves.0).take(HALVES * BLOCK / 2) {
            // SAFETY: leaves exist, as promised by the caller.
            *sum = *sum + unsafe { *weights.get_unchecked(usize::from(*leaf)) };
        }
    }
}

/// A register of bytes.
#[derive(Clone, Copy)]
pub(super) struct Bytes512<const VBMI: bool>(__m512i);

impl<const VBMI: bool> Register for Bytes512<VBMI> {
    const ROWS: usize = 64;
    type Mask = __mmask64;

    #[inline(always)]
    unsafe fn load(from: *const u8) -> Self {
        // SAFETY: as promised by the caller.
        unsafe { Self(_mm512_load_si512(from.cast())) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut u8) {
        // SAFETY: as promised by the caller.
        unsafe { _mm512_store_si512(to.cast(), self.0) }
    }

    #[inline(always)]
    unsafe fn splat(byte: u8) -> Self {
        // SAFETY: as promised by the caller.
        unsafe { Self(_mm512_set1_epi8(byte as i8)) }
    }

    #[inline(always)]
    unsafe fn splat_four(bytes: u32) -> Self {
        // SAFETY: as promised by the caller.
        unsafe { Self(_mm512_set1_epi32(bytes as i32)) }
    }

    #[inline(always)]
    unsafe fn and(self, other: Self) -> Self {
        // SAFETY: as promised by the caller.
        unsafe { Self(_mm512_and_si512(self.0, other.0)) }
    }

    #[inline(always)]
    unsafe fn at_most(self, other: Self) -> Self::Mask {
        // SAFETY: as promised by the caller.
        unsafe { _mm512_cmple_epu8_mask(self.0, other.0) }
    }

    #[inline(always)]
    unsafe fn choose(mask: Self::Mask, yes: Self, no: Self) -> Self {
        // SAFETY: as promised by the caller.
        unsafe { Self(_mm512_mask_blend_epi8(mask, no.0, yes.0)) }
    }

    #[inline(always)]
    unsafe fn pick(table: *const u8, count: usize, places: Self) -> Self {
        // SAFETY: as promised by the caller; with VBMI only where there is VBMI.
        unsafe { Self(if VBMI { by_byte(table, count, places.0) } else { by_part(table, count, places.0) }) }
    }
}

/// The bytes of a table at some places, a register of them in one step or four.
///
/// # Safety
/// 256 bytes must follow on `table`.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")]
#[inline]
unsafe fn by_byte(table: *const u8, count: usize, places: __m512i) -> __m512i {
    // SAFETY: as promised by the caller.
    let at = |offset: usize| unsafe { _mm512_loadu_si512(table.add(offset).cast()) };
    if count <= 64 {
        return _mm512_permutexvar_epi8(places, at(0));
    }
    let low = _mm512_permutex2var_epi8(at(0), places, at(64));
    if count <= 128 {
        return low;
    }
    let high = _mm512_permutex2var_epi8(at(128), places, at(192));
    _mm512_mask_blend_epi8(_mm512_movepi8_mask(places), low, high)
}

/// The same without VBMI, 16 bytes of the table at a time.
///
/// # Safety
/// 256 bytes must follow on `table`, and `count` must be no more.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
#[inline]
unsafe fn by_part(table: *const u8, count: usize, places: __m512i) -> __m512i {
    let (mut places, mut found) = (places, _mm512_setzero_si512());
    for part in 0..count.div_ceil(16) {
        // A byte of another part has its highest bit set, for which nothing is picked.
        let within = _mm512_adds_epu8(places, _mm512_set1_epi8(0x70));
        // SAFETY: as promised by the caller.
        let table = unsafe { _mm_loadu_si128(table.add(16 * part).cast()) };
        found = _mm512_or_si512(found, _mm512_shuffle_epi8(_mm512_broadcast_i32x4(table), within));
        places = _mm512_sub_epi8(places, _mm512_set1_epi8(16));
    }
    found
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
impl Singles for __m512 {
    const LANES: usize = 16;
    type Places = __m512i;

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: as promised by the caller.
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn roots() -> __m512i {
        // SAFETY: as promised by the caller.
        unsafe { _mm512_set1_epi32(1) }
    }

    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "closures are compiled without the instructions")]
    unsafe fn thresholds(search: *const f32, level: u32, places: &[__m512i; SEARCHED]) -> [Self; SEARCHED] {
        // SAFETY: as promised by the caller.
        unsafe {
            let mut found = [_mm512_setzero_ps(); SEARCHED];
            match level {
                0..=4 => {
                    let table = _mm512_loadu_ps(search.add(if level < 4 { 0 } else { 16 }));
                    for k in 0..SEARCHED {
                        found[k] = _mm512_permutexvar_ps(places[k], table);
                    }
                }
                5 => {
                    let (low, high) = (_mm512_loadu_ps(search.add(32)), _mm512_loadu_ps(search.add(48)));
                    for k in 0..SEARCHED {
                        found[k] = _mm512_permutex2var_ps(low, places[k], high);
                    }
                }
                6 => {
                    for k in 0..SEARCHED {
                        found[k] = one_of_64(search.add(64), places[k]);
                    }
                }
                7 => {
                    for k in 0..SEARCHED {
                        let half = _mm512_test_epi32_mask(places[k], _mm512_set1_epi32(64));
                        let (low, high) =
                            (one_of_64(search.add(128), places[k]), one_of_64(search.add(192), places[k]));
                        found[k] = _mm512_mask_blend_ps(half, low, high);
                    }
                }
                _ => {
                    for k in 0..SEARCHED {
                        found[k] = _mm512_i32gather_ps::<4>(places[k], search);
                    }
                }
            }
            found
        }
    }

    #[inline(always)]
    unsafe fn after(place: __m512i, value: Self, threshold: Self) -> __m512i {
        // SAFETY: as promised by the caller.
        unsafe {
            let above = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(value, threshold);
            let doubled = _mm512_add_epi32(place, place);
            _mm512_mask_add_epi32(doubled, above, doubled, _mm512_set1_epi32(1))
        }
    }

    #[inline(always)]
    unsafe fn store(place: __m512i, first: u32, to: *mut u32) {
        // SAFETY: as promised by the caller.
        unsafe { _mm512_storeu_si512(to.cast(), _mm512_sub_epi32(place, _mm512_set1_epi32(first as i32))) }
    }
}

/// One of the 64 numbers from `table` on.
///
/// # Safety
/// There must be 64.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
#[inline]
unsafe fn one_of_64(table: *const f32, place: __m512i) -> __m512 {
    // SAFETY: as promised by the caller.
    let at = |offset: usize| unsafe { _mm512_loadu_ps(table.add(offset)) };
    let half = _mm512_test_epi32_mask(place, _mm512_set1_epi32(32));
    let low = _mm512_permutex2var_ps(at(0), place, at(16));
    let high = _mm512_permutex2var_ps(at(32), place, at(48));
    _mm512_mask_blend_ps(half, low, high)
}
