//! Another element type for the same cells.
//!
//! Floats become integers as x86-64 does it: cut towards zero, and the least integer for NaN and what does not fit. Floats
//! never become text here, nor text numbers: their spelling is the runtime's own.

use std::borrow::Cow;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::frame::{Cell, Frame};
use super::{Operation, ValueType};
use crate::error::Result;
use crate::interface::ElementType;
use crate::native::image::Image;
use crate::native::instruction_set::InstructionSet;
use crate::native::value::broken;

/// The type is that of the output.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cast {}

impl Cast {
    /// Whether cells of one type can become another.
    #[must_use]
    pub fn is_possible(from: ElementType, to: ElementType) -> bool {
        match (from, to) {
            _ if from == to => true,
            (ElementType::Int32 | ElementType::Int64 | ElementType::Bool, ElementType::Text) => true,
            (ElementType::Text, _) | (_, ElementType::Text) => false,
            _ => true,
        }
    }
}

fn map<T: Cell, U: Cell>(frame: &mut Frame<'_>, f: impl Fn(&T) -> U) {
    let input = frame.input::<T>(0);
    input.iter().zip(frame.output::<U>(0)).for_each(|(x, y)| *y = f(x));
}

macro_rules! cut {
    ($name:ident, $from:ty, $to:ty) => {
        fn $name(x: &$from) -> $to {
            // Both ends are powers of two, which every float type holds.
            let end = -(<$to>::MIN as $from);
            if *x >= -end && *x < end { *x as $to } else { <$to>::MIN }
        }
    };
}

cut!(cut_f32_i32, f32, i32);
cut!(cut_f32_i64, f32, i64);
cut!(cut_f64_i64, f64, i64);

/// float64 has whole numbers between -2^31 - 1 and -2^31, which are cut to the latter.
fn cut_f64_i32(x: &f64) -> i32 {
    let whole = x.trunc();
    if whole >= f64::from(i32::MIN) && whole <= f64::from(i32::MAX) { whole as i32 } else { i32::MIN }
}

fn spell<T: Cell + std::fmt::Display>(frame: &mut Frame<'_>) {
    let input = frame.input::<T>(0);
    for (x, y) in input.iter().zip(frame.output::<String>(0)) {
        y.clear();
        // Writing into a String does not fail.
        let _ = write!(y, "{x}");
    }
}

impl Operation for Cast {
    fn check(&self, _image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        match (inputs, outputs) {
            ([from], [to]) if from.width == to.width && Self::is_possible(from.element, to.element) => Ok(()),
            _ => Err(broken("its values cannot become each other")),
        }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        use ElementType::{Bool, Float32, Float64, Int32, Int64, Text};
        match (frame.input_type(0).element, frame.output_type(0).element) {
            (Float32, Float64) => map(frame, |x: &f32| f64::from(*x)),
            (Float32, Int32) => map(frame, cut_f32_i32),
            (Float32, Int64) => map(frame, cut_f32_i64),
            (Float32, Bool) => map(frame, |x: &f32| *x != 0.0),
            (Float64, Float32) => map(frame, |x: &f64| *x as f32),
            (Float64, Int32) => map(frame, cut_f64_i32),
            (Float64, Int64) => map(frame, cut_f64_i64),
            (Float64, Bool) => map(frame, |x: &f64| *x != 0.0),
            (Int32, Float32) => map(frame, |x: &i32| *x as f32),
            (Int32, Float64) => map(frame, |x: &i32| f64::from(*x)),
            (Int32, Int64) => map(frame, |x: &i32| i64::from(*x)),
            (Int32, Bool) => map(frame, |x: &i32| *x != 0),
            (Int64, Float32) => map(frame, |x: &i64| *x as f32),
            (Int64, Float64) => map(frame, |x: &i64| *x as f64),
            (Int64, Int32) => map(frame, |x: &i64| *x as i32),
            (Int64, Bool) => map(frame, |x: &i64| *x != 0),
            (Bool, Float32) => map(frame, |x: &bool| f32::from(*x)),
            (Bool, Float64) => map(frame, |x: &bool| f64::from(*x)),
            (Bool, Int32) => map(frame, |x: &bool| i32::from(*x)),
            (Bool, Int64) => map(frame, |x: &bool| i64::from(*x)),
            (Int32, Text) => spell::<i32>(frame),
            (Int64, Text) => spell::<i64>(frame),
            (Float32, Float32) => map(frame, |x: &f32| *x),
            (Float64, Float64) => map(frame, |x: &f64| *x),
            (Int32, Int32) => map(frame, |x: &i32| *x),
            (Int64, Int64) => map(frame, |x: &i64| *x),
            (Bool, Bool) => map(frame, |x: &bool| *x),
            (Text, Text) => {
                let input = frame.input::<String>(0);
                input.iter().zip(frame.output::<String>(0)).for_each(|(x, y)| y.clone_from(x));
            }
            (Bool, Text) => {
                let input = frame.input::<bool>(0);
                for (x, y) in input.iter().zip(frame.output::<String>(0)) {
                    y.clear();
                    y.push(if *x { '1' } else { '0' });
                }
            }
            (Float32 | Float64, Text) | (Text, _) => {}
        }
        Ok(())
    }

    fn kernel(&self, _set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        "cast".into()
    }
}
