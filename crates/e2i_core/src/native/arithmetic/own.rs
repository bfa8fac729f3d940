//! This engine's own functions: e^x, the logistic function, the hyperbolic tangent and what sums of e^x make, for graphs.
//!
//! Those of float32 are written so that loops over them vectorise: computed in float64 and rounded once, to about 0.51 units in the
//! last place, at least as near to the true value as any float32 library, and the same bits on every machine. ONNX Runtime's own
//! approximations differ from the true value by a few units, so agreement with it is to that, not to the bit. Functions of float64 are the
//! operating system's. Sums are of the type of the cells, one after the other.

use super::Float;
use crate::native::vectorised::vectorised;

/// 1.5 · 2^52: adding it rounds to a whole number, which then stands in the lowest bits.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// Beyond this e^x is 0 or infinite in float32.
const FAR: f64 = 150.0;

/// e^x as `(2^n, e^r - 1)` with x = n·ln 2 + r. Taylor's series on |r| ≤ 0.35 leaves an error of 1e-11.
#[inline(always)]
fn parts(x: f64) -> (f64, f64) {
    // NaN stays NaN.
    #[expect(clippy::manual_clamp, reason = "a function that panics on a bad range does not vectorise as well")]
    let x = if x > FAR {
        FAR
    } else if x < -FAR {
        -FAR
    } else {
        x
    };
    let shifted = x * std::f64::consts::LOG2_E + ROUNDER;
    let r = x - (shifted - ROUNDER) * std::f64::consts::LN_2;
    let power = f64::from_bits((shifted.to_bits() << 52).wrapping_add(1023 << 52));
    // The terms in pairs, pairs of pairs and so on, which are computed side by side.
    let (r2, first) = (r * r, 1.0 + r * 0.5);
    let (second, third) = (1.0 / 6.0 + r * (1.0 / 24.0), 1.0 / 120.0 + r * (1.0 / 720.0));
    let (fourth, r4) = (1.0 / 5_040.0 + r * (1.0 / 40_320.0), r2 * r2);
    let series = (first + r2 * second) + r4 * ((third + r2 * fourth) + r4 * (1.0 / 362_880.0));
    (power, series * r)
}

/// e^x.
#[inline(always)]
fn exp_double(x: f64) -> f64 {
    let (power, rest) = parts(x);
    power * rest + power
}

/// e^x.
#[inline(always)]
fn exp(x: f32) -> f32 {
    exp_double(f64::from(x)) as f32
}

/// 1 / (1 + e^-x).
#[inline(always)]
pub(in crate::native) fn logistic(x: f32) -> f32 {
    (1.0 / (1.0 + exp_double(-f64::from(x)))) as f32
}

/// The hyperbolic tangent, from e^2|x| - 1, which keeps small values exact.
#[inline(always)]
pub(in crate::native) fn tanh(x: f32) -> f32 {
    let (power, rest) = parts(2.0 * f64::from(x).abs());
    let grown = power * rest + (power - 1.0);
    ((grown / (grown + 2.0)) as f32).copysign(x)
}

/// 1 / (1 + e^-x) of float64.
#[inline(always)]
pub(crate) fn logistic_double(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Floats with an exponential: of float32 this engine's, of float64 the operating system's.
pub(crate) trait Exponential: Float {
    /// e^x.
    fn exponential(self) -> Self;
}

impl Exponential for f32 {
    #[inline(always)]
    fn exponential(self) -> Self {
        exp(self)
    }
}

impl Exponential for f64 {
    #[inline(always)]
    fn exponential(self) -> Self {
        self.exp()
    }
}

/// The greatest that is no NaN.
#[inline(always)]
fn greatest<T: Float>(cells: impl Iterator<Item = T>) -> T {
    cells.fold(T::LOWEST, |most, cell| if cell > most { cell } else { most })
}

/// e^(x - greatest) divided by the sum of these, in place.
#[inline(always)]
pub(crate) fn softmax<T: Exponential>(row: &mut [T]) {
    let from = greatest(row.iter().copied());
    row.iter_mut().for_each(|x| *x = (*x - from).exponential());
    let sum = row.iter().fold(T::ZERO, |sum, power| sum + *power);
    row.iter_mut().for_each(|power| *power /= sum);
}

/// The logarithm of the softmax, `(x - greatest) - ln(sum of e^(x - greatest))`, of each of `scores`.
#[inline(always)]
pub(in crate::native) fn log_softmax<T: Exponential>(scores: &[T], results: &mut [T]) {
    let from = greatest(scores.iter().copied());
    scores.iter().zip(results.iter_mut()).for_each(|(score, result)| *result = (*score - from).exponential());
    let log = results.iter().fold(T::ZERO, |sum, power| sum + *power).logarithm();
    scores.iter().zip(results).for_each(|(score, result)| *result = (*score - from) - log);
}

/// ln of the sum of e^x, taken from the greatest on; as on ONNX Runtime from 0 where that is infinite, for then there is no
/// distance from it.
#[inline(always)]
pub(in crate::native) fn log_sum_exp<T: Exponential>(cells: impl Iterator<Item = T> + Clone) -> T {
    let greatest = greatest(cells.clone());
    let from = if greatest.is_finite() { greatest } else { T::ZERO };
    cells.fold(T::ZERO, |sum, cell| sum + (cell - from).exponential()).logarithm() + from
}

vectorised! {
    /// Each group of `size` cells as [`softmax`] or [`log_softmax`] makes it.
    fn softmaxes<T: Exponential>(size: usize, logarithm: bool, input: &[T], output: &mut [T]) {
        for (scores, results) in input.chunks_exact(size).zip(output.chunks_exact_mut(size)) {
            if logarithm {
                log_softmax(scores, results);
            } else {
                results.copy_from_slice(scores);
                softmax(results);
            }
        }
    }
}

vectorised! {
    /// e^x of each cell.
    fn exponentials(input: &[f32], output: &mut [f32]) {
        input.iter().zip(output).for_each(|(x, y)| *y = exp(*x));
    }
}

vectorised! {
    /// 1 / (1 + e^-x) of each cell.
    fn logistics(input: &[f32], output: &mut [f32]) {
        input.iter().zip(output).for_each(|(x, y)| *y = logistic(*x));
    }
}

vectorised! {
    /// The hyperbolic tangent of each cell.
    fn tangents(input: &[f32], output: &mut [f32]) {
        input.iter().zip(output).for_each(|(x, y)| *y = tanh(*x));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Distance in units of the last place.
    fn apart(a: f32, b: f32) -> u32 {
        if a == b || (a.is_nan() && b.is_nan()) { 0 } else { a.to_bits().abs_diff(b.to_bits()) }
    }

    #[test]
    fn functions_are_within_one_unit_of_the_true_value() {
        let mut bits = 0u32;
        while bits < 0x7f80_0000 {
            for x in [f32::from_bits(bits), -f32::from_bits(bits)] {
                let true_value = f64::from(x);
                assert!(apart(exp(x), true_value.exp() as f32) <= 1, "exp {x}");
                assert!(apart(tanh(x), true_value.tanh() as f32) <= 1, "tanh {x}");
                assert!(apart(logistic(x), (1.0 / (1.0 + (-true_value).exp())) as f32) <= 1, "logistic {x}");
            }
            bits += 9_973;
        }
    }

    #[test]
    fn the_ends_are_those_of_the_functions() {
        assert_eq!([exp(f32::INFINITY), exp(f32::NEG_INFINITY), exp(0.0)], [f32::INFINITY, 0.0, 1.0]);
        assert_eq!([tanh(f32::INFINITY), tanh(f32::NEG_INFINITY)], [1.0, -1.0]);
        assert_eq!(tanh(-0.0).to_bits(), (-0.0f32).to_bits());
        assert_eq!([logistic(f32::INFINITY), logistic(f32::NEG_INFINITY), logistic(0.0)], [1.0, 0.0, 0.5]);
        assert!(exp(f32::NAN).is_nan() && tanh(f32::NAN).is_nan() && logistic(f32::NAN).is_nan());
    }
}
