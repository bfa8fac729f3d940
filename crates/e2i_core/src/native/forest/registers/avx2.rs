//! AVX2: 32 rows a register.

use std::arch::x86_64::*;

use super::super::number::Number;
use super::{BLOCK, Register, SEARCHED, Singles, TOGETHER, Vector, Ways, Work, below_one_by_one, ranks_in_registers};

/// AVX2.
pub(super) struct Avx2;

/// Does work compiled with it.
///
/// # Safety
/// The processor must have the instructions.
#[target_feature(enable = "avx2,popcnt,bmi1,bmi2")]
pub(super) unsafe fn run(work: impl Work) {
    // SAFETY: as promised by the caller.
    unsafe { work.run::<Avx2>() }
}

impl Vector for Avx2 {
    type Register = __m256i;

    #[inline(always)]
    unsafe fn ranks<T: Number>(search: (&[T], u32), values: &[T; BLOCK], ranks: &mut [u32; BLOCK]) {
        // SAFETY: as promised by the caller.
        unsafe { ranks_in_registers::<__m256, T>(search, values, ranks) }
    }

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
            _ => below_one_by_one(value, numbers),
        }
    }

    #[inline(always)]
    unsafe fn way(answers: u32, ways: &Ways) -> u32 {
        // SAFETY: as promised by the caller; there are as many words as in four registers.
        unsafe {
            let given = _mm256_set1_epi32(answers as i32);
            let mut found = 0;
            for part in 0..4 {
                let asked = _mm256_loadu_si256(ways.asked.as_ptr().cast::<__m256i>().add(part));
                let right = _mm256_loadu_si256(ways.answers.as_ptr().cast::<__m256i>().add(part));
                let differ = _mm256_and_si256(_mm256_xor_si256(given, right), asked);
                let same = _mm256_castsi256_ps(_mm256_cmpeq_epi32(differ, _mm256_setzero_si256()));
                found |= (_mm256_movemask_ps(same) as u32) << (8 * part);
            }
            found.trailing_zeros()
        }
    }
}

impl Register for __m256i {
    const ROWS: usize = 32;
    type Mask = __m256i;

    #[inline(always)]
    unsafe fn load(from: *const u8) -> Self {
        // SAFETY: as promised by the caller.
        unsafe { _mm256_load_si256(from.cast()) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut u8) {
        // SAFETY: as promised by the caller.
        unsafe { _mm256_store_si256(to.cast(), self) }
    }

    #[inline(always)]
    unsafe fn splat(byte: u8) -> Self {
        // SAFETY: as promised by the caller.
        unsafe { _mm256_set1_epi8(byte as i8) }
    }

    #[inline(always)]
    unsafe fn splat_four(bytes: u32) -> Self {
        // SAFETY: as promised by the caller.
        unsafe { _mm256_set1_epi32(bytes as i32) }
    }

    #[inline(always)]
    unsafe fn and(self, other: Self) -> Self {
        // SAFETY: as promised by the caller.
        unsafe { _mm256_and_si256(self, other) }
    }

    /// Unsigned comparison of bytes, which AVX2 lacks.
    #[inline(always)]
    unsafe fn at_most(self, other: Self) -> Self::Mask {
        // SAFETY: as promised by the caller.
        unsafe { _mm256_cmpeq_epi8(_mm256_min_epu8(self, other), self) }
    }

    #[inline(always)]
    unsafe fn choose(mask: Self::Mask, yes: Self, no: Self) -> Self {
        // SAFETY: as promised by the caller.
        unsafe { _mm256_blendv_epi8(no, yes, mask) }
    }

    #[inline(always)]
    unsafe fn pick(table: *const u8, count: usize, places: Self) -> Self {
        // SAFETY: as promised by the caller.
        unsafe {
            let (mut places, mut found) = (places, _mm256_setzero_si256());
            for part in 0..count.div_ceil(16) {
                // A byte of another part has its highest bit set, for which nothing is picked.
                let within = _mm256_adds_epu8(places, _mm256_set1_epi8(0x70));
                let table = _mm256_broadcastsi128_si256(_mm_loadu_si128(table.add(16 * part).cast()));
                found = _mm256_or_si256(found, _mm256_shuffle_epi8(table, within));
                places = _mm256_sub_epi8(places, _mm256_set1_epi8(16));
            }
            found
        }
    }
}

/// The levels of a search tree up to 64 places are held in registers; deeper ones are gathered.
impl Singles for __m256 {
    const LANES: usize = 8;
    type Places = __m256i;

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: as promised by the caller.
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn roots() -> __m256i {
        // SAFETY: as promised by the caller.
        unsafe { _mm256_set1_epi32(1) }
    }

    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "closures are compiled without the instructions")]
    unsafe fn thresholds(search: *const f32, level: u32, places: &[__m256i; SEARCHED]) -> [Self; SEARCHED] {
        // SAFETY: as promised by the caller.
        unsafe {
            let mut found = [_mm256_setzero_ps(); SEARCHED];
            match level {
                0..=3 => {
                    let table = _mm256_loadu_ps(search.add(if level < 3 { 0 } else { 8 }));
                    for k in 0..SEARCHED {
                        found[k] = _mm256_permutevar8x32_ps(table, places[k]);
                    }
                }
                4 => {
                    let (low, high) = (_mm256_loadu_ps(search.add(16)), _mm256_loadu_ps(search.add(24)));
                    for k in 0..SEARCHED {
                        found[k] = one_of_16(low, high, places[k]);
                    }
                }
                5 => {
                    let (a, b) = (_mm256_loadu_ps(search.add(32)), _mm256_loadu_ps(search.add(40)));
                    let (c, d) = (_mm256_loadu_ps(search.add(48)), _mm256_loadu_ps(search.add(56)));
                    for k in 0..SEARCHED {
                        let half = _mm256_castsi256_ps(_mm256_slli_epi32::<27>(places[k]));
                        found[k] = _mm256_blendv_ps(one_of_16(a, b, places[k]), one_of_16(c, d, places[k]), half);
                    }
                }
                _ => {
                    for k in 0..SEARCHED {
                        found[k] = _mm256_i32gather_ps::<4>(search, places[k]);
                    }
                }
            }
            found
        }
    }

    #[inline(always)]
    unsafe fn after(place: __m256i, value: Self, threshold: Self) -> __m256i {
        // SAFETY: as promised by the caller.
        unsafe {
            let above = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_GT_OQ>(value, threshold));
            _mm256_sub_epi32(_mm256_add_epi32(place, place), above)
        }
    }

    #[inline(always)]
    unsafe fn store(place: __m256i, first: u32, to: *mut u32) {
        // SAFETY: as promised by the caller.
        unsafe { _mm256_storeu_si256(to.cast(), _mm256_sub_epi32(place, _mm256_set1_epi32(first as i32))) }
    }
}

/// One of 16 numbers.
#[target_feature(enable = "avx2")]
#[inline]
fn one_of_16(low: __m256, high: __m256, place: __m256i) -> __m256 {
    let half = _mm256_castsi256_ps(_mm256_slli_epi32::<28>(place));
    _mm256_blendv_ps(_mm256_permutevar8x32_ps(low, place), _mm256_permutevar8x32_ps(high, place), half)
}
