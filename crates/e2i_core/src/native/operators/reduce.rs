//! Groups of cells of a row into one cell each.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::frame::{Cell, Frame};
use super::{Operation, ValueType};
use crate::error::Result;
use crate::interface::ElementType;
use crate::native::arithmetic::{Arithmetic, own};
use crate::native::image::Image;
use crate::native::instruction_set::InstructionSet;
use crate::native::value::broken;

/// What is made of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reduction {
    /// The sum, in order.
    Sum,
    /// The sum divided by the number of cells.
    Mean,
    /// The least; NaN if one is (the runtime answers now this, now that).
    Minimum,
    /// The greatest; NaN if one is.
    Maximum,
    /// The product, in order.
    Product,
    /// The sum of absolute values.
    L1,
    /// The root of the sum of squares.
    L2,
    /// The sum of squares.
    SumOfSquares,
    /// The logarithm of the sum of e^x, taken from the greatest cell on.
    LogSumExp,
}

impl Reduction {
    /// Whether it is defined for floats alone.
    #[must_use]
    pub fn is_of_floats(self) -> bool {
        matches!(self, Self::L2 | Self::Mean | Self::LogSumExp)
    }
}

/// A row as `outer × size × inner` cells, reduced over the middle.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reduce {
    /// What is computed.
    pub reduction: Reduction,
    /// Cells that become one.
    pub size: usize,
    /// How far they lie apart.
    pub inner: usize,
}

/// Of floats, the logarithm of the sum of e^x; there is none of integers.
trait LogSumExp: Arithmetic {
    fn log_sum_exp(cells: impl Iterator<Item = Self> + Clone) -> Self;
}

macro_rules! log_sum_exp {
    ($($type:ty, $function:expr);+) => {
        $(impl LogSumExp for $type {
            #[inline(always)]
            fn log_sum_exp(cells: impl Iterator<Item = Self> + Clone) -> Self { $function(cells) }
        })+
    };
}

log_sum_exp!(f32, own::log_sum_exp; f64, own::log_sum_exp; i32, |_| 0; i64, |_| 0);

/// Calls `f` with the first place of each group.
#[inline(always)]
fn each_group(cells: usize, size: usize, inner: usize, mut f: impl FnMut(usize)) {
    let block = size * inner;
    let mut start = 0;
    while start + block <= cells {
        (start..start + inner).for_each(&mut f);
        start += block;
    }
}

impl Reduce {
    fn run_as<T: LogSumExp + Cell>(&self, frame: &mut Frame<'_>) {
        let input = frame.input::<T>(0);
        let mut outputs = frame.output::<T>(0).iter_mut();
        let (size, inner) = (self.size, self.inner);
        each_group(input.len(), size, inner, |first| {
            let cells = input[first..].iter().step_by(inner).take(size).copied();
            let result = match self.reduction {
                Reduction::Sum => cells.fold(T::ZERO, T::add),
                Reduction::Mean => cells.fold(T::ZERO, T::add).over(size),
                Reduction::Product => cells.fold(T::ONE, T::multiply),
                Reduction::L1 => cells.fold(T::ZERO, |sum, cell| sum.add(cell.absolute())),
                Reduction::L2 => cells.fold(T::ZERO, |sum, cell| sum.add(cell.multiply(cell))).root(),
                Reduction::LogSumExp => T::log_sum_exp(cells),
                Reduction::SumOfSquares => cells.fold(T::ZERO, |sum, cell| sum.add(cell.multiply(cell))),
                Reduction::Minimum => cells.reduce(|a, b| if b < a || b.is_none() { b } else { a }).unwrap_or(T::ZERO),
                Reduction::Maximum => cells.reduce(|a, b| if b > a || b.is_none() { b } else { a }).unwrap_or(T::ZERO),
            };
            if let Some(output) = outputs.next() {
                *output = result;
            }
        });
    }
}

/// Whether a row of `input` cells is whole groups, one for each cell of the output.
fn groups_fit(input: usize, output: usize, size: usize, inner: usize) -> bool {
    size > 0
        && inner > 0
        && size.checked_mul(inner).is_some_and(|block| input.is_multiple_of(block))
        && output.checked_mul(size) == Some(input)
}

impl Operation for Reduce {
    fn check(&self, _image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        let ([input], [output]) = (inputs, outputs) else { return Err(broken("it has one input and one output")) };
        let fits = input.element == output.element
            && !matches!(input.element, ElementType::Bool | ElementType::Text)
            && (input.element.is_float() || !self.reduction.is_of_floats())
            && groups_fit(input.width, output.width, self.size, self.inner);
        if fits { Ok(()) } else { Err(broken("its groups do not fit its values")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        match frame.input_type(0).element {
            ElementType::Float32 => self.run_as::<f32>(frame),
            ElementType::Float64 => self.run_as::<f64>(frame),
            ElementType::Int32 => self.run_as::<i32>(frame),
            ElementType::Int64 => self.run_as::<i64>(frame),
            ElementType::Bool | ElementType::Text => {}
        }
        Ok(())
    }

    fn kernel(&self, _set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        format!("{:?} of {}", self.reduction, self.size).to_lowercase().into()
    }
}

/// The index of the greatest or least cell of each group, as int64.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ArgExtreme {
    /// The greatest, or the least.
    pub greatest: bool,
    /// Of equal cells the last, or the first.
    pub last: bool,
    /// Cells of a group.
    pub size: usize,
    /// How far they lie apart.
    pub inner: usize,
}

impl ArgExtreme {
    fn run_as<T: LogSumExp + Cell>(&self, frame: &mut Frame<'_>) {
        let input = frame.input::<T>(0);
        let mut outputs = frame.output::<i64>(0).iter_mut();
        each_group(input.len(), self.size, self.inner, |first| {
            let mut best = (0, input[first]);
            for (index, cell) in input[first..].iter().step_by(self.inner).take(self.size).enumerate().skip(1) {
                let better = if self.greatest { *cell > best.1 } else { *cell < best.1 };
                if better || (self.last && *cell == best.1) {
                    best = (index, *cell);
                }
            }
            if let Some(output) = outputs.next() {
                *output = best.0 as i64;
            }
        });
    }
}

impl Operation for ArgExtreme {
    fn check(&self, _image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        let ([input], [output]) = (inputs, outputs) else { return Err(broken("it has one input and one output")) };
        let fits = output.element == ElementType::Int64
            && !matches!(input.element, ElementType::Bool | ElementType::Text)
            && groups_fit(input.width, output.width, self.size, self.inner);
        if fits { Ok(()) } else { Err(broken("its groups do not fit its values")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        match frame.input_type(0).element {
            ElementType::Float32 => self.run_as::<f32>(frame),
            ElementType::Float64 => self.run_as::<f64>(frame),
            ElementType::Int32 => self.run_as::<i32>(frame),
            ElementType::Int64 => self.run_as::<i64>(frame),
            ElementType::Bool | ElementType::Text => {}
        }
        Ok(())
    }

    fn kernel(&self, _set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        if self.greatest { "argmax" } else { "argmin" }.into()
    }
}
