//! One cell into one.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::constants::{Constants, Values};
use super::frame::{Cell, Frame};
use super::{Operation, ValueType};
use crate::error::Result;
use crate::interface::ElementType;
use crate::native::arithmetic::own;
use crate::native::image::Image;
use crate::native::instruction_set::InstructionSet;
use crate::native::value::broken;

/// What is made of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum UnaryFunction {
    /// -x; integers wrap.
    Negate,
    /// |x|; integers wrap.
    Absolute,
    /// The square root.
    SquareRoot,
    /// e^x.
    Exponential,
    /// The natural logarithm.
    Logarithm,
    /// 0 for what is negative.
    Rectify,
    /// What is negative times a number.
    LeakyRectify(f32),
    /// a·(e^x - 1) for what is negative.
    ExponentialLinear(f32),
    /// 1 / (1 + e^-x).
    Logistic,
    /// The hyperbolic tangent.
    HyperbolicTangent,
    /// ln(1 + e^x).
    Softplus,
    /// 1 / x.
    Reciprocal,
    /// The whole number below.
    Floor,
    /// The whole number above.
    Ceiling,
    /// The nearest whole number, halves to even.
    Round,
    /// -1, 0 or 1.
    Sign,
    /// Whether it is NaN.
    IsNan,
    /// Whether it is infinite.
    IsInfinite,
    /// The other boolean.
    Not,
}

impl UnaryFunction {
    /// What the function makes of a cell of `element`; nothing if it is not defined for it.
    #[must_use]
    pub fn result(self, element: ElementType) -> Option<ElementType> {
        let number = !matches!(element, ElementType::Bool | ElementType::Text);
        match self {
            Self::Negate | Self::Absolute | Self::Sign => number.then_some(element),
            Self::Rectify => number.then_some(element),
            Self::IsNan | Self::IsInfinite => element.is_float().then_some(ElementType::Bool),
            Self::Not => (element == ElementType::Bool).then_some(element),
            _ => element.is_float().then_some(element),
        }
    }
}

/// `function(x)` for each cell.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Unary {
    /// What is computed.
    pub function: UnaryFunction,
}

#[inline(always)]
fn map<T: Cell + Copy, U: Cell>(frame: &mut Frame<'_>, f: impl Fn(T) -> U) {
    let input = frame.input::<T>(0);
    input.iter().zip(frame.output::<U>(0)).for_each(|(x, y)| *y = f(*x));
}

macro_rules! run_floats {
    ($name:ident, $type:ty, $exp:expr, $logistic:expr, $tanh:expr) => {
        fn $name(function: UnaryFunction, frame: &mut Frame<'_>) {
            type T = $type;
            match function {
                UnaryFunction::Negate => map(frame, |x: T| -x),
                UnaryFunction::Absolute => map(frame, |x: T| x.abs()),
                UnaryFunction::SquareRoot => map(frame, |x: T| x.sqrt()),
                UnaryFunction::Exponential => $exp(frame),
                UnaryFunction::Logarithm => map(frame, |x: T| x.ln()),
                // NaN stays.
                UnaryFunction::Rectify => map(frame, |x: T| if x < 0.0 { 0.0 } else { x }),
                UnaryFunction::LeakyRectify(slope) => map(frame, |x: T| if x < 0.0 { x * T::from(slope) } else { x }),
                UnaryFunction::ExponentialLinear(slope) => {
                    map(frame, |x: T| if x < 0.0 { T::from(slope) * x.exp_m1() } else { x });
                }
                UnaryFunction::Logistic => $logistic(frame),
                UnaryFunction::HyperbolicTangent => $tanh(frame),
                UnaryFunction::Softplus => {
                    map(frame, |x: T| if x > 0.0 { x + (-x).exp().ln_1p() } else { x.exp().ln_1p() });
                }
                UnaryFunction::Reciprocal => map(frame, |x: T| 1.0 / x),
                UnaryFunction::Floor => map(frame, |x: T| x.floor()),
                UnaryFunction::Ceiling => map(frame, |x: T| x.ceil()),
                UnaryFunction::Round => map(frame, |x: T| x.round_ties_even()),
                UnaryFunction::Sign => map(frame, |x: T| {
                    if x > 0.0 {
                        1.0
                    } else if x < 0.0 {
                        -1.0
                    } else if x == 0.0 {
                        0.0
                    } else {
                        x
                    }
                }),
                UnaryFunction::IsNan => map(frame, |x: T| x.is_nan()),
                UnaryFunction::IsInfinite => map(frame, |x: T| x.is_infinite()),
                UnaryFunction::Not => {}
            }
        }
    };
}

run_floats!(
    run_single,
    f32,
    |frame: &mut Frame<'_>| own::exponentials(frame.set, frame.input(0), frame.output(0)),
    |frame: &mut Frame<'_>| own::logistics(frame.set, frame.input(0), frame.output(0)),
    |frame: &mut Frame<'_>| own::tangents(frame.set, frame.input(0), frame.output(0))
);
run_floats!(
    run_double,
    f64,
    |frame: &mut Frame<'_>| map(frame, f64::exp),
    |frame: &mut Frame<'_>| map(frame, own::logistic_double),
    |frame: &mut Frame<'_>| map(frame, f64::tanh)
);

macro_rules! run_integers {
    ($name:ident, $type:ty) => {
        fn $name(function: UnaryFunction, frame: &mut Frame<'_>) {
            match function {
                UnaryFunction::Negate => map(frame, <$type>::wrapping_neg),
                UnaryFunction::Absolute => map(frame, <$type>::wrapping_abs),
                UnaryFunction::Rectify => map(frame, |x: $type| x.max(0)),
                UnaryFunction::Sign => map(frame, <$type>::signum),
                _ => {}
            }
        }
    };
}

run_integers!(run_int32, i32);
run_integers!(run_int64, i64);

impl Operation for Unary {
    fn check(&self, _image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        let ([input], [output]) = (inputs, outputs) else { return Err(broken("it has one input and one output")) };
        let result = self.function.result(input.element).map(|element| ValueType::new(element, input.width));
        if result == Some(*output) { Ok(()) } else { Err(broken("its values do not fit together")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        match frame.input_type(0).element {
            ElementType::Float32 => run_single(self.function, frame),
            ElementType::Float64 => run_double(self.function, frame),
            ElementType::Int32 => run_int32(self.function, frame),
            ElementType::Int64 => run_int64(self.function, frame),
            ElementType::Bool => map(frame, |x: bool| !x),
            ElementType::Text => {}
        }
        Ok(())
    }

    fn kernel(&self, set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        let name = format!("{:?}", self.function).to_lowercase();
        match self.function {
            UnaryFunction::Exponential | UnaryFunction::Logistic | UnaryFunction::HyperbolicTangent => {
                format!("{name}, {set}").into()
            }
            _ => name.into(),
        }
    }
}

/// Cells cut to a range; NaN stays.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Clip {
    /// The least and the greatest cell, of the values' type.
    pub range: Constants,
}

fn clip<T: Cell + Values + PartialOrd + Copy>(range: &Constants, frame: &mut Frame<'_>) {
    let &[low, high] = range.numbers::<T>(frame.image) else { return };
    map(frame, |x: T| {
        let x = if x < low { low } else { x };
        if x > high { high } else { x }
    });
}

impl Operation for Clip {
    fn check(&self, image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        self.range.check(image)?;
        let fits = matches!(inputs, [input] if input.element == self.range.element())
            && inputs == outputs
            && self.range.len() == 2
            && !matches!(self.range, Constants::Bool(_) | Constants::Text(_));
        if fits { Ok(()) } else { Err(broken("its range does not fit its values")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        match self.range {
            Constants::Float32(_) => clip::<f32>(&self.range, frame),
            Constants::Float64(_) => clip::<f64>(&self.range, frame),
            Constants::Int32(_) => clip::<i32>(&self.range, frame),
            Constants::Int64(_) => clip::<i64>(&self.range, frame),
            Constants::Bool(_) | Constants::Text(_) => {}
        }
        Ok(())
    }

    fn kernel(&self, _set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        "clip".into()
    }
}
