//! Sixteen float32 at once, on every instruction set alike.
//!
//! Each operation is IEEE 754's on each lane, and the sum of the lanes is formed in halves, so that all three ways give the
//! same bits. Kernels are written once over [`Lanes`] and compiled for each set by `lanes!`.

#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

#[cfg(target_arch = "x86_64")]
use crate::native::instruction_set::InstructionLevel;
use crate::native::instruction_set::InstructionSet;

/// How many lanes there are.
pub(super) const LANES: usize = 16;

/// Sixteen float32. Methods are inlined into functions that enable the instructions that they use.
pub(super) trait Lanes: Copy {
    /// The instructions that it needs: where code over this type runs, they were detected.
    const SET: InstructionSet;
    /// How many rows, and blocks of lanes of each, a product computes at once: as many sums as there are registers for.
    const ROWS: usize;
    const BLOCKS: usize;
    /// How many sums of one row are formed at once, likewise.
    const SUMS: usize;

    fn zero() -> Self;
    fn splat(value: f32) -> Self;
    fn load(cells: &[f32; LANES]) -> Self;
    fn store(self, cells: &mut [f32; LANES]);
    fn add(self, other: Self) -> Self;
    fn subtract(self, other: Self) -> Self;
    fn multiply(self, other: Self) -> Self;
    /// `x * w + self`, rounded once.
    fn plus_product(self, x: Self, w: Self) -> Self;
    /// 0 for what is negative; NaN stays.
    fn rectify(self) -> Self;
    /// Lanes below `first` become 0.
    fn kept_from(self, first: usize) -> Self;
    /// Lanes added in halves: `l` and `l + 8`, then `l + 4`, `l + 2`, `l + 1`.
    fn sum(self) -> f32;
}

/// `x * w + sum`, rounded once, as IEEE 754 defines a fused multiply-add.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn rounded_once(x: f32, w: f32, sum: f32) -> f32 {
    x.mul_add(w, sum)
}

/// The same without the instruction, which not every processor of x86-64 has. In float64 the product is exact; the sum is
/// rounded to odd, after which rounding to float32 cannot go wrong (Boldo and Melquiond 2008). Without branches, so that the
/// compiler can do it for several lanes at once.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn rounded_once(x: f32, w: f32, sum: f32) -> f32 {
    let (product, sum) = (f64::from(x) * f64::from(w), f64::from(sum));
    let total = product + sum;
    // What was lost by rounding the total, exactly (Knuth's TwoSum); NaN where it is not finite.
    let of_sum = total - product;
    let lost = (product - (total - of_sum)) + (sum - of_sum);
    let bits = total.to_bits();
    let is_even = 1 - (bits & 1);
    let up = u64::from((lost > 0.0) == (total > 0.0)) * 2;
    let inexact = u64::from(lost < 0.0) | u64::from(lost > 0.0);
    // One up or down in magnitude, or where it is.
    f64::from_bits(bits.wrapping_add((inexact & is_even).wrapping_mul(up.wrapping_sub(1)))) as f32
}

impl Lanes for [f32; LANES] {
    const SET: InstructionSet = InstructionSet::PORTABLE;
    const ROWS: usize = 2;
    const BLOCKS: usize = 1;
    const SUMS: usize = 2;

    #[inline(always)]
    fn zero() -> Self {
        [0.0; LANES]
    }

    #[inline(always)]
    fn splat(value: f32) -> Self {
        [value; LANES]
    }

    #[inline(always)]
    fn load(cells: &[f32; LANES]) -> Self {
        *cells
    }

    #[inline(always)]
    fn store(self, cells: &mut [f32; LANES]) {
        *cells = self;
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        std::array::from_fn(|lane| self[lane] + other[lane])
    }

    #[inline(always)]
    fn subtract(self, other: Self) -> Self {
        std::array::from_fn(|lane| self[lane] - other[lane])
    }

    #[inline(always)]
    fn multiply(self, other: Self) -> Self {
        std::array::from_fn(|lane| self[lane] * other[lane])
    }

    #[inline(always)]
    fn plus_product(self, x: Self, w: Self) -> Self {
        std::array::from_fn(|lane| rounded_once(x[lane], w[lane], self[lane]))
    }

    #[inline(always)]
    fn rectify(self) -> Self {
        self.map(|cell| if cell < 0.0 { 0.0 } else { cell })
    }

    #[inline(always)]
    fn kept_from(self, first: usize) -> Self {
        std::array::from_fn(|lane| if lane >= first { self[lane] } else { 0.0 })
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        let eight: [f32; 8] = std::array::from_fn(|lane| self[lane] + self[lane + 8]);
        let four: [f32; 4] = std::array::from_fn(|lane| eight[lane] + eight[lane + 4]);
        (four[0] + four[2]) + (four[1] + four[3])
    }
}

/// Two registers of AVX2.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(super) struct Avx2(__m256, __m256);

/// The sum of eight lanes in halves.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn sum_of_eight(eight: __m256) -> f32 {
    // SAFETY: only called from methods that are inlined into functions with AVX2.
    unsafe {
        let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
    }
}

// Every block below is sound for one reason: `lanes!` compiles the kernels over this type with AVX2 enabled and calls them
// only for a set that the processor has; loads and stores are unaligned and of arrays of sixteen.
#[cfg(target_arch = "x86_64")]
impl Lanes for Avx2 {
    // SAFETY: see above.
    const SET: InstructionSet = unsafe { InstructionSet::assumed(InstructionLevel::Avx2) };
    const ROWS: usize = 6;
    const BLOCKS: usize = 1;
    const SUMS: usize = 4;

    #[inline(always)]
    fn zero() -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm256_setzero_ps(), _mm256_setzero_ps()) }
    }

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm256_set1_ps(value), _mm256_set1_ps(value)) }
    }

    #[inline(always)]
    fn load(cells: &[f32; LANES]) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm256_loadu_ps(cells.as_ptr()), _mm256_loadu_ps(cells.as_ptr().add(8))) }
    }

    #[inline(always)]
    fn store(self, cells: &mut [f32; LANES]) {
        // SAFETY: see above.
        unsafe {
            _mm256_storeu_ps(cells.as_mut_ptr(), self.0);
            _mm256_storeu_ps(cells.as_mut_ptr().add(8), self.1);
        }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm256_add_ps(self.0, other.0), _mm256_add_ps(self.1, other.1)) }
    }

    #[inline(always)]
    fn subtract(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm256_sub_ps(self.0, other.0), _mm256_sub_ps(self.1, other.1)) }
    }

    #[inline(always)]
    fn multiply(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm256_mul_ps(self.0, other.0), _mm256_mul_ps(self.1, other.1)) }
    }

    #[inline(always)]
    fn plus_product(self, x: Self, w: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm256_fmadd_ps(x.0, w.0, self.0), _mm256_fmadd_ps(x.1, w.1, self.1)) }
    }

    #[inline(always)]
    fn rectify(self) -> Self {
        // The maximum of a pair is its second where one is NaN or both are zeros.
        // SAFETY: see above.
        unsafe {
            let zero = _mm256_setzero_ps();
            Self(_mm256_max_ps(zero, self.0), _mm256_max_ps(zero, self.1))
        }
    }

    #[inline(always)]
    fn kept_from(self, first: usize) -> Self {
        // SAFETY: see above.
        unsafe {
            let first = _mm256_set1_epi32(first as i32 - 1);
            let kept = |lanes| _mm256_castsi256_ps(_mm256_cmpgt_epi32(lanes, first));
            Self(
                _mm256_and_ps(self.0, kept(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))),
                _mm256_and_ps(self.1, kept(_mm256_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15))),
            )
        }
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: see above.
        sum_of_eight(unsafe { _mm256_add_ps(self.0, self.1) })
    }
}

/// One register of AVX-512.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(super) struct Avx512(__m512);

// As for AVX2, with AVX-512 F and DQ.
#[cfg(target_arch = "x86_64")]
impl Lanes for Avx512 {
    // SAFETY: see above.
    const SET: InstructionSet = unsafe { InstructionSet::assumed(InstructionLevel::Avx512) };
    const ROWS: usize = 8;
    const BLOCKS: usize = 2;
    const SUMS: usize = 8;

    #[inline(always)]
    fn zero() -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm512_setzero_ps()) }
    }

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm512_set1_ps(value)) }
    }

    #[inline(always)]
    fn load(cells: &[f32; LANES]) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm512_loadu_ps(cells.as_ptr())) }
    }

    #[inline(always)]
    fn store(self, cells: &mut [f32; LANES]) {
        // SAFETY: see above.
        unsafe { _mm512_storeu_ps(cells.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm512_add_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn subtract(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm512_sub_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn multiply(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm512_mul_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn plus_product(self, x: Self, w: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm512_fmadd_ps(x.0, w.0, self.0)) }
    }

    #[inline(always)]
    fn rectify(self) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm512_max_ps(_mm512_setzero_ps(), self.0)) }
    }

    #[inline(always)]
    fn kept_from(self, first: usize) -> Self {
        let kept = if first >= LANES { 0 } else { u16::MAX << first };
        // SAFETY: see above.
        unsafe { Self(_mm512_maskz_mov_ps(kept, self.0)) }
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: see above.
        sum_of_eight(unsafe { _mm256_add_ps(_mm512_castps512_ps256(self.0), _mm512_extractf32x8_ps::<1>(self.0)) })
    }
}

/// Defines `fn name(set, arguments…)` that runs its body over the [`Lanes`] of `set`.
macro_rules! lanes {
    ($(#[$doc:meta])* fn $name:ident<$lanes:ident>($($argument:ident: $of:ty),+ $(,)?) $body:block) => {
        $(#[$doc])*
        #[allow(unsafe_code, clippy::too_many_arguments)]
        #[inline]
        pub(super) fn $name(set: $crate::native::InstructionSet, $($argument: $of),+) {
            #[inline(always)]
            fn body<$lanes: $crate::native::operators::lanes::Lanes>($($argument: $of),+) $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($argument: $of),+) {
                body::<$crate::native::operators::lanes::Avx2>($($argument),+);
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
            fn avx512($($argument: $of),+) {
                body::<$crate::native::operators::lanes::Avx512>($($argument),+);
            }

            match set.level() {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: only detection makes a set.
                $crate::native::InstructionLevel::Avx2 => unsafe { avx2($($argument),+) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: as above.
                $crate::native::InstructionLevel::Avx512 | $crate::native::InstructionLevel::Avx512Vbmi => unsafe {
                    avx512($($argument),+);
                },
                _ => body::<[f32; $crate::native::operators::lanes::LANES]>($($argument),+),
            }
        }
    };
}
pub(super) use lanes;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::InstructionSet;

    lanes! {
        fn everything<L>(x: &[f32; LANES], y: &[f32; LANES], first: usize, out: &mut [f32; LANES], sum: &mut f32) {
            let (a, b) = (L::load(x), L::load(y));
            let c = a.subtract(b).multiply(a).add(L::splat(0.3)).rectify().add(a.kept_from(first)).plus_product(a, b);
            c.store(out);
            *sum = L::zero().add(c).sum();
        }
    }

    #[test]
    fn every_set_gives_the_same_bits() {
        let mut x: [f32; LANES] = std::array::from_fn(|lane| (lane as f32 * 1.7 - 9.1).powi(3) / 7.0);
        let y: [f32; LANES] = std::array::from_fn(|lane| 1.0 / (lane as f32 + 0.3));
        for special in [1.0, -0.0, f32::NAN, f32::INFINITY] {
            x[9] = special;
            for first in 0..=LANES {
                let results = InstructionSet::available().map(|set| {
                    let (mut out, mut sum) = ([0.0; LANES], 0.0);
                    everything(set, &x, &y, first, &mut out, &mut sum);
                    (out.map(f32::to_bits), if sum.is_nan() { 0 } else { sum.to_bits() })
                });
                let results: Vec<_> = results.collect();
                assert!(results.windows(2).all(|pair| pair[0] == pair[1]), "{special} {first} {results:?}");
            }
        }
    }

    #[test]
    fn a_product_is_added_with_one_rounding() {
        let mut state = 3_u64;
        let mut number = |exponents: u32| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let drawn = (state >> 33) as u32;
            // Few bits, so that sums lie half-way between two numbers; many, near one another and near nothing.
            let fraction = if drawn & 1 == 0 { drawn & 0x7f_f000 } else { drawn & 0x7f_ffff };
            let exponent = if drawn & 2 == 0 { 120 + (drawn >> 23) % 12 } else { (drawn >> 23) % exponents };
            f32::from_bits((drawn & 0x4000_0000) << 1 | exponent << 23 | fraction)
        };
        for _ in 0..400_000 {
            let (x, w, sum) = (number(150), number(150), number(255));
            for sum in [sum, -x * w, (x * w).next_up(), f32::MIN_POSITIVE] {
                let (found, expected) = (rounded_once(x, w, sum), x.mul_add(w, sum));
                assert_eq!(found.to_bits(), expected.to_bits(), "{x:e} * {w:e} + {sum:e}: {found:e}, not {expected:e}");
            }
        }
        assert_eq!(rounded_once(f32::MAX, 2.0, 1.0), f32::INFINITY);
        assert_eq!(rounded_once(f32::MAX, 2.0, f32::NEG_INFINITY), f32::NEG_INFINITY);
        assert!(rounded_once(f32::INFINITY, 0.0, 1.0).is_nan());
    }
}
