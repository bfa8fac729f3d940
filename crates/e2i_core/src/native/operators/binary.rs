//! Two cells into one: arithmetic, comparisons, logic. Either side may be constants.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::constants::{Constants, Values};
use super::frame::{Cell, Frame};
use super::{Operation, ValueType};
use crate::error::Result;
use crate::interface::ElementType;
use crate::native::arithmetic::{Arithmetic, Float};
use crate::native::image::Image;
use crate::native::instruction_set::InstructionSet;
use crate::native::value::broken;

/// What is made of two cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BinaryFunction {
    /// a + b; integers wrap.
    Add,
    /// a - b; integers wrap.
    Subtract,
    /// a · b; integers wrap.
    Multiply,
    /// a / b; integers towards zero, and 0 for a division by 0.
    Divide,
    /// The lesser; NaN if one is.
    Minimum,
    /// The greater; NaN if one is.
    Maximum,
    /// a to the power of b; floats only.
    Power,
    /// a < b.
    Less,
    /// a ≤ b.
    LessOrEqual,
    /// a > b.
    Greater,
    /// a ≥ b.
    GreaterOrEqual,
    /// a = b.
    Equal,
    /// Both.
    And,
    /// One or both.
    Or,
    /// One, not both.
    ExclusiveOr,
}

impl BinaryFunction {
    /// What the function makes of two cells of `element`; nothing if it is not defined for them.
    #[must_use]
    pub fn result(self, element: ElementType) -> Option<ElementType> {
        let number = !matches!(element, ElementType::Bool | ElementType::Text);
        match self {
            Self::Add | Self::Subtract | Self::Multiply | Self::Divide | Self::Minimum | Self::Maximum => {
                number.then_some(element)
            }
            Self::Power => element.is_float().then_some(element),
            Self::Less | Self::LessOrEqual | Self::Greater | Self::GreaterOrEqual => {
                number.then_some(ElementType::Bool)
            }
            Self::Equal => Some(ElementType::Bool),
            Self::And | Self::Or | Self::ExclusiveOr => (element == ElementType::Bool).then_some(element),
        }
    }
}

/// `function(a, b)` for each cell.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Binary {
    /// What is computed.
    pub function: BinaryFunction,
    /// The left side where it is constant, one cell or a row; else it is an input. Numbers only.
    pub left: Option<Constants>,
    /// The right side likewise.
    pub right: Option<Constants>,
}

/// One side: a cell for each, or a row that is repeated.
#[derive(Clone, Copy)]
enum Side<'a, T> {
    Cells(&'a [T]),
    Row(&'a [T]),
}

#[inline(always)]
fn map_pairs<T, U>(left: Side<'_, T>, right: Side<'_, T>, output: &mut [U], f: impl Fn(&T, &T) -> U) {
    match (left, right) {
        (Side::Cells(left), Side::Cells(right)) => {
            left.iter().zip(right).zip(output).for_each(|((a, b), out)| *out = f(a, b));
        }
        (Side::Cells(left), Side::Row([one])) => {
            left.iter().zip(output).for_each(|(a, out)| *out = f(a, one));
        }
        (Side::Row([one]), Side::Cells(right)) => {
            right.iter().zip(output).for_each(|(b, out)| *out = f(one, b));
        }
        (Side::Cells(left), Side::Row(row)) if !row.is_empty() => {
            for (left, output) in left.chunks_exact(row.len()).zip(output.chunks_exact_mut(row.len())) {
                left.iter().zip(row).zip(output).for_each(|((a, b), out)| *out = f(a, b));
            }
        }
        (Side::Row(row), Side::Cells(right)) if !row.is_empty() => {
            for (right, output) in right.chunks_exact(row.len()).zip(output.chunks_exact_mut(row.len())) {
                row.iter().zip(right).zip(output).for_each(|((a, b), out)| *out = f(a, b));
            }
        }
        _ => {}
    }
}

/// A power as the runtime computes it, which takes these two apart.
#[inline(always)]
fn power<T: Float>(base: &T, exponent: &T) -> T {
    if *exponent == T::nearest(2.0) {
        *base * *base
    } else if *exponent == T::nearest(3.0) {
        *base * *base * *base
    } else {
        base.power(*exponent)
    }
}

impl Binary {
    fn sides<'a, T: Values + Cell>(&self, frame: &Frame<'a>) -> (Side<'a, T>, Side<'a, T>) {
        let constants = |constants: &Constants| Side::Row(constants.numbers::<T>(frame.image));
        match (&self.left, &self.right) {
            (None, None) => (Side::Cells(frame.input(0)), Side::Cells(frame.input(1))),
            (Some(left), _) => (constants(left), Side::Cells(frame.input(0))),
            (None, Some(right)) => (Side::Cells(frame.input(0)), constants(right)),
        }
    }

    fn run_numbers<T: Arithmetic + Cell + Values>(&self, frame: &mut Frame<'_>) {
        let (left, right) = self.sides::<T>(frame);
        match self.function {
            BinaryFunction::Add => map_pairs(left, right, frame.output::<T>(0), |a, b| a.add(*b)),
            BinaryFunction::Subtract => map_pairs(left, right, frame.output::<T>(0), |a, b| a.subtract(*b)),
            BinaryFunction::Multiply => map_pairs(left, right, frame.output::<T>(0), |a, b| a.multiply(*b)),
            BinaryFunction::Divide => map_pairs(left, right, frame.output::<T>(0), |a, b| a.divide(*b)),
            BinaryFunction::Minimum => map_pairs(left, right, frame.output::<T>(0), |a, b| {
                if a.is_none() || (!b.is_none() && a < b) { *a } else { *b }
            }),
            BinaryFunction::Maximum => map_pairs(left, right, frame.output::<T>(0), |a, b| {
                if a.is_none() || (!b.is_none() && a > b) { *a } else { *b }
            }),
            BinaryFunction::Less => map_pairs(left, right, frame.output::<bool>(0), |a, b| a < b),
            BinaryFunction::LessOrEqual => map_pairs(left, right, frame.output::<bool>(0), |a, b| a <= b),
            BinaryFunction::Greater => map_pairs(left, right, frame.output::<bool>(0), |a, b| a > b),
            BinaryFunction::GreaterOrEqual => map_pairs(left, right, frame.output::<bool>(0), |a, b| a >= b),
            BinaryFunction::Equal => map_pairs(left, right, frame.output::<bool>(0), |a, b| a == b),
            BinaryFunction::Power | BinaryFunction::And | BinaryFunction::Or | BinaryFunction::ExclusiveOr => {}
        }
    }

    fn run_floats<T: Float + Cell + Values>(&self, frame: &mut Frame<'_>) {
        if self.function != BinaryFunction::Power {
            return self.run_numbers::<T>(frame);
        }
        let (left, right) = self.sides::<T>(frame);
        map_pairs(left, right, frame.output::<T>(0), power);
    }

    fn run_cells<T: Cell>(&self, frame: &mut Frame<'_>) {
        let (left, right) = (Side::Cells(frame.input::<T>(0)), Side::Cells(frame.input::<T>(1)));
        map_pairs(left, right, frame.output::<bool>(0), |a, b| a == b);
    }
}

impl Operation for Binary {
    fn check(&self, image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        let values = 2 - usize::from(self.left.is_some()) - usize::from(self.right.is_some());
        let ([first, ..], [output]) = (inputs, outputs) else { return Err(broken("it has no input or output")) };
        let mut fits = inputs.len() == values && values > 0 && inputs.iter().all(|input| input == first);
        for constants in self.left.iter().chain(&self.right) {
            constants.check(image)?;
            let number = !matches!(first.element, ElementType::Bool | ElementType::Text);
            fits &= number
                && constants.element() == first.element
                && (constants.len() == 1 || constants.len() == first.width);
        }
        let result = self.function.result(first.element).map(|element| ValueType::new(element, first.width));
        if fits && result == Some(*output) { Ok(()) } else { Err(broken("its values do not fit together")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        match frame.input_type(0).element {
            ElementType::Float32 => self.run_floats::<f32>(frame),
            ElementType::Float64 => self.run_floats::<f64>(frame),
            ElementType::Int32 => self.run_numbers::<i32>(frame),
            ElementType::Int64 => self.run_numbers::<i64>(frame),
            ElementType::Text => self.run_cells::<String>(frame),
            ElementType::Bool => {
                let (left, right) = (Side::Cells(frame.input::<bool>(0)), Side::Cells(frame.input::<bool>(1)));
                let output = frame.output::<bool>(0);
                match self.function {
                    BinaryFunction::And => map_pairs(left, right, output, |a, b| a & b),
                    BinaryFunction::Or => map_pairs(left, right, output, |a, b| a | b),
                    BinaryFunction::ExclusiveOr => map_pairs(left, right, output, |a, b| a ^ b),
                    _ => map_pairs(left, right, output, |a, b| a == b),
                }
            }
        }
        Ok(())
    }

    fn kernel(&self, _set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        format!("{:?}", self.function).to_lowercase().into()
    }
}
