//! A function of its own for each column of float64, as scikit-learn's discretizer and power transformer compute them.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::{Operation, ValueType};
use crate::error::{Error, Kind, Result};
use crate::interface::ElementType;
use crate::native::image::{Image, ImageWriter, Section};
use crate::native::instruction_set::InstructionSet;
use crate::native::value::broken;

/// What is made of the cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnFunction {
    /// How many of the column's numbers, which ascend, are not above the cell.
    Bin,
    /// Yeo and Johnson's power with the column's one number for its exponent.
    YeoJohnson,
    /// Box and Cox's likewise; what is not positive is refused.
    BoxCox,
}

/// The function of each column by numbers of its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Columnwise {
    function: ColumnFunction,
    /// Where the numbers of each column end.
    ends: Vec<usize>,
    numbers: Section<f64>,
}

impl Columnwise {
    /// Lays out the numbers of each column.
    #[must_use]
    pub fn new(function: ColumnFunction, columns: &[Vec<f64>], tables: &mut ImageWriter) -> Self {
        let mut numbers = vec![];
        let mut ends = vec![];
        for column in columns {
            numbers.extend_from_slice(column);
            ends.push(numbers.len());
        }
        Self { function, ends, numbers: tables.push(&numbers) }
    }
}

fn yeo_johnson(x: f64, lambda: f64) -> f64 {
    if x >= 0.0 {
        if lambda.abs() < f64::EPSILON { x.ln_1p() } else { (lambda * x.ln_1p()).exp_m1() / lambda }
    } else if (lambda - 2.0).abs() > f64::EPSILON {
        -((2.0 - lambda) * (-x).ln_1p()).exp_m1() / (2.0 - lambda)
    } else {
        -(-x).ln_1p()
    }
}

fn box_cox(x: f64, lambda: f64) -> f64 {
    if lambda.abs() < 1e-19 { x.ln() } else { (lambda * x.ln()).exp_m1() / lambda }
}

impl Operation for Columnwise {
    fn check(&self, image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        image.check(self.numbers)?;
        let expected = ValueType::new(ElementType::Float64, self.ends.len());
        let one_each = self.ends.iter().enumerate().all(|(column, end)| *end == column + 1);
        let fits = inputs == [expected]
            && outputs == [expected]
            && expected.width > 0
            && self.ends.is_sorted()
            && self.ends.last() == Some(&self.numbers.len())
            && (self.function == ColumnFunction::Bin || one_each);
        if fits { Ok(()) } else { Err(broken("its numbers do not fit its values")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        let (input, numbers, width) = (frame.input::<f64>(0), frame.image.slice(self.numbers), self.ends.len().max(1));
        let mut refusals = vec![];
        let rows = input.chunks_exact(width).zip(frame.output::<f64>(0).chunks_exact_mut(width));
        for (row, (cells, into)) in rows.enumerate() {
            let mut from = 0;
            for ((cell, into), end) in cells.iter().zip(into).zip(&self.ends) {
                let own = numbers.get(from..*end).unwrap_or(&[]);
                from = *end;
                let number = own.first().copied().unwrap_or(f64::NAN);
                *into = match self.function {
                    ColumnFunction::Bin => own.partition_point(|edge| edge <= cell) as f64,
                    ColumnFunction::YeoJohnson => yeo_johnson(*cell, number),
                    ColumnFunction::BoxCox if *cell <= 0.0 => {
                        refusals.push((row, *cell));
                        f64::NAN
                    }
                    ColumnFunction::BoxCox => box_cox(*cell, number),
                };
            }
        }
        for (row, cell) in refusals {
            let message = || format!("{cell} is not positive, as Box and Cox's transformation asks for");
            frame.refuse(row, || Error::new(Kind::OutOfRange, message()));
        }
        Ok(())
    }

    fn kernel(&self, _set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        format!("{:?}", self.function).to_lowercase().into()
    }
}
