//! Functions of all cells of a row in float64, in scikit-learn's and numpy's order of operations.
//!
//! `exp` and `pow` are the C library's; sums are numpy's ([`sum`]).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::{Operation, ValueType};
use crate::error::Result;
use crate::interface::ElementType;
use crate::native::arithmetic::sklearn::{expit, logit, softmax, sum};
use crate::native::arithmetic::special::{erf, normal_quantile};
use crate::native::image::Image;
use crate::native::instruction_set::InstructionSet;
use crate::native::value::broken;

/// A function of one cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Elementary {
    /// ln(1 + x).
    Log1p,
    /// e^x - 1.
    Expm1,
    /// The logarithm to base 2.
    Log2,
    /// The logarithm to base 10.
    Log10,
    /// The cube root.
    CubeRoot,
    /// The sine.
    Sine,
    /// The cosine.
    Cosine,
    /// The inverse hyperbolic sine.
    ArcSinh,
    /// The tangent.
    Tangent,
    /// The inverse sine.
    ArcSine,
    /// The inverse cosine.
    ArcCosine,
    /// The inverse tangent.
    ArcTangent,
    /// The hyperbolic sine.
    HyperbolicSine,
    /// The hyperbolic cosine.
    HyperbolicCosine,
    /// 2^x.
    Exponential2,
    /// The whole number towards 0.
    Truncate,
    /// The error function.
    Erf,
    /// The quantile of the normal distribution.
    NormalQuantile,
    /// The inverse hyperbolic cosine.
    ArcCosh,
    /// The inverse hyperbolic tangent.
    ArcTanh,
    /// The logarithm of the odds.
    Logit,
    /// sin(pi x) / (pi x), and 1 of 0.
    Sinc,
    /// 1 of a number that is neither NaN nor infinite, else 0.
    IsFinite,
    /// 1 of NaN, else 0.
    IsNan,
    /// 1 of an infinite number, else 0.
    IsInfinite,
    /// 1 of what has the sign of a negative number, else 0.
    SignBit,
    /// 1 of 0, else 0.
    IsZero,
    /// The whole part as an unsigned byte, as x86 converts it; NaN of what is negative.
    Byte,
}

impl Elementary {
    fn of(self, x: f64) -> f64 {
        match self {
            Self::Log1p => x.ln_1p(),
            Self::Expm1 => x.exp_m1(),
            Self::Log2 => x.log2(),
            Self::Log10 => x.log10(),
            Self::CubeRoot => x.cbrt(),
            Self::Sine => x.sin(),
            Self::Cosine => x.cos(),
            Self::ArcSinh => x.asinh(),
            Self::Tangent => x.tan(),
            Self::ArcSine => x.asin(),
            Self::ArcCosine => x.acos(),
            Self::ArcTangent => x.atan(),
            Self::HyperbolicSine => x.sinh(),
            Self::HyperbolicCosine => x.cosh(),
            Self::Exponential2 => x.exp2(),
            Self::Truncate => x.trunc(),
            Self::Erf => erf(x),
            Self::NormalQuantile => normal_quantile(x),
            Self::ArcCosh => x.acosh(),
            Self::ArcTanh => x.atanh(),
            Self::Logit => logit(x),
            Self::Sinc => {
                // numpy's way around 0.
                let x = std::f64::consts::PI * if x == 0.0 { 1e-20 } else { x };
                x.sin() / x
            }
            Self::IsFinite => f64::from(u8::from(x.is_finite())),
            Self::IsNan => f64::from(u8::from(x.is_nan())),
            Self::IsInfinite => f64::from(u8::from(x.is_infinite())),
            Self::SignBit => f64::from(u8::from(x.is_sign_negative())),
            Self::IsZero => f64::from(u8::from(x == 0.0)),
            Self::Byte if (0.0..2_147_483_648.0).contains(&x) => x.trunc() % 256.0,
            Self::Byte if x >= 0.0 => 0.0,
            Self::Byte => f64::NAN,
        }
    }
}

/// What is computed of a row.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowFunction {
    /// A function of each cell.
    Each(Elementary),
    /// `1 / (1 + exp(-x))` of each.
    Expit,
    /// Exponentials after the greatest was subtracted, divided by their sum.
    Softmax,
    /// The softmax of `-d` and `d`, where `d` is the one cell times a number.
    SoftmaxPair(f64),
    /// `1 - p` and `p` of one cell.
    Complement,
    /// Each divided by the sum of all; where that is 0, each is the same share, or NaN.
    Shares {
        /// Whether it is the same share.
        or_even: bool,
    },
    /// Each divided by the sum of all; a row whose sum is 0 stays.
    SharesOrZeros,
    /// The second minus the first of two.
    Difference,
    /// The sum of all.
    Sum,
    /// Each divided by the greatest absolute value, the sum of absolute values or the root of the sum of squares; 0 stays.
    ByMax,
    /// Likewise.
    ByL1,
    /// Likewise.
    ByL2,
    /// Of the summed depths of isolation trees, `-2^(-x / all) - offset`; of no depths (`all` is 0) `-2^-1 - offset`.
    Isolation {
        /// What the sum is divided by.
        all: f64,
        /// What is subtracted from the score.
        offset: f64,
    },
    /// The logarithm of each, after it was raised to float64's epsilon; minus the mean of them; times the number of classes
    /// less one (`SAMME.R`).
    LogDeviations,
    /// Each minus the mean of all.
    Centred,
    /// The exponential of each minus the logarithm of the sum of all exponentials.
    Posteriors,
}

fn divided(row: &[f64], into: &mut [f64], by: f64) {
    // scikit-learn does not divide by what is nearly nothing.
    let by = if by < 10.0 * f64::EPSILON { 1.0 } else { by };
    row.iter().zip(into).for_each(|(x, y)| *y = x / by);
}

impl RowFunction {
    /// Cells of what comes out of a row of `width`; nothing where the function is not defined for it.
    #[must_use]
    pub fn width(self, width: usize) -> Option<usize> {
        let defined = match self {
            Self::SoftmaxPair(_) | Self::Complement | Self::Isolation { .. } => width == 1,
            Self::Difference => width == 2,
            _ => width > 0,
        };
        defined.then_some(match self {
            Self::SoftmaxPair(_) | Self::Complement => 2,
            Self::Difference | Self::Sum | Self::Isolation { .. } => 1,
            _ => width,
        })
    }

    /// What comes out of a row; nothing where the function is not defined for it.
    #[must_use]
    pub fn of(self, row: &[f64]) -> Vec<f64> {
        let mut into = vec![0.0; self.width(row.len()).unwrap_or(0)];
        if !into.is_empty() {
            self.apply(row, &mut into);
        }
        into
    }

    fn apply(self, row: &[f64], into: &mut [f64]) {
        match self {
            Self::Each(function) => row.iter().zip(into).for_each(|(x, y)| *y = function.of(*x)),
            Self::Expit => row.iter().zip(into).for_each(|(x, y)| *y = expit(*x)),
            Self::Softmax => {
                into.copy_from_slice(row);
                softmax(into);
            }
            Self::SoftmaxPair(scale) => {
                if let ([x], [first, second]) = (row, &mut *into) {
                    (*first, *second) = (-(x * scale), x * scale);
                }
                softmax(into);
            }
            Self::Complement => {
                if let ([p], [first, second]) = (row, into) {
                    (*first, *second) = (1.0 - p, *p);
                }
            }
            Self::Shares { or_even } => {
                let (all, even) = (sum(row), 1.0 / row.len() as f64);
                row.iter().zip(into).for_each(|(x, y)| *y = if all == 0.0 && or_even { even } else { x / all });
            }
            Self::SharesOrZeros => {
                let all = sum(row);
                row.iter().zip(into).for_each(|(x, y)| *y = if all == 0.0 { *x } else { x / all });
            }
            Self::Difference => {
                if let ([first, second], [into]) = (row, into) {
                    *into = -first + second;
                }
            }
            Self::Sum => into.fill(sum(row)),
            Self::ByMax => {
                divided(row, into, row.iter().fold(0.0, |max: f64, x| if x.abs() > max { x.abs() } else { max }))
            }
            Self::ByL1 => divided(row, into, row.iter().fold(0.0, |sum, x| sum + x.abs())),
            Self::ByL2 => divided(row, into, row.iter().fold(0.0, |sum, x| sum + x * x).sqrt()),
            Self::Isolation { all, offset } => {
                if let ([depth], [into]) = (row, into) {
                    let exponent = if all == 0.0 { 1.0 } else { depth / all };
                    *into = -(2f64.powf(-exponent)) - offset;
                }
            }
            Self::LogDeviations => {
                row.iter().zip(into.iter_mut()).for_each(|(p, y)| *y = p.max(f64::EPSILON).ln());
                let share = 1.0 / row.len() as f64;
                let mean = share * sum(into);
                let factor = row.len() as f64 - 1.0;
                into.iter_mut().for_each(|y| *y = factor * (*y - mean));
            }
            Self::Posteriors => {
                let greatest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                row.iter().zip(into.iter_mut()).for_each(|(x, y)| *y = (x - greatest).exp());
                let all = greatest + sum(into).ln();
                row.iter().zip(into).for_each(|(x, y)| *y = (x - all).exp());
            }
            Self::Centred => {
                let mean = sum(row) / row.len() as f64;
                row.iter().zip(into).for_each(|(x, y)| *y = x - mean);
            }
        }
    }
}

/// One function of each row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WholeRow {
    /// What is computed.
    pub function: RowFunction,
}

impl Operation for WholeRow {
    fn check(&self, _image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        let ([input], [output]) = (inputs, outputs) else { return Err(broken("it has one input and one output")) };
        let fits = [input.element, output.element] == [ElementType::Float64; 2]
            && self.function.width(input.width) == Some(output.width);
        if fits { Ok(()) } else { Err(broken("its function does not fit its values")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        let (input, from, to) = (frame.input::<f64>(0), frame.input_type(0).width, frame.output_type(0).width);
        let rows = input.chunks_exact(from.max(1)).zip(frame.output::<f64>(0).chunks_exact_mut(to.max(1)));
        rows.for_each(|(row, into)| self.function.apply(row, into));
        Ok(())
    }

    fn kernel(&self, _set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        let name = format!("{:?}", self.function).to_lowercase();
        name.split(['(', ' ']).next().unwrap_or_default().to_owned().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_zeros_stay_or_become_what_is_stated() {
        let of = |function: RowFunction, row: &[f64]| {
            let mut into = vec![9.0; function.width(row.len()).unwrap()];
            function.apply(row, &mut into);
            into
        };
        assert_eq!(of(RowFunction::Shares { or_even: true }, &[0.0, 0.0]), [0.5, 0.5]);
        assert!(of(RowFunction::Shares { or_even: false }, &[0.0, 0.0])[0].is_nan());
        assert_eq!(of(RowFunction::ByL2, &[0.0, 0.0]), [0.0, 0.0]);
        assert_eq!(of(RowFunction::Complement, &[0.25]), [0.75, 0.25]);
        assert_eq!(RowFunction::Complement.width(2), None);
    }
}
