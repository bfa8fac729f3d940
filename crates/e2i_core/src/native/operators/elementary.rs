//! Elementary functions of float32, written so that loops over them vectorise.
//!
//! They are computed in float64 and rounded once, to about 0.51 units in the last place: at least as near to the true value
//! as any float32 library, and the same bits on every machine. ONNX Runtime's own approximations differ from the true value
//! by a few units, so agreement with it is to that, not to the bit. Functions of float64 are the operating system's.

use super::vectorised::vectorised;

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
pub(crate) fn exp(x: f32) -> f32 {
    exp_double(f64::from(x)) as f32
}

/// 1 / (1 + e^-x).
#[inline(always)]
pub(super) fn logistic(x: f32) -> f32 {
    (1.0 / (1.0 + exp_double(-f64::from(x)))) as f32
}

/// The hyperbolic tangent, from e^2|x| - 1, which keeps small values exact.
#[inline(always)]
pub(super) fn tanh(x: f32) -> f32 {
    let (power, rest) = parts(2.0 * f64::from(x).abs());
    let grown = power * rest + (power - 1.0);
    ((grown / (grown + 2.0)) as f32).copysign(x)
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
