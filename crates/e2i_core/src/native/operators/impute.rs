//! Missing values replaced.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::constants::{Constants, Values};
use super::frame::{Cell, Frame};
use super::{Operation, ValueType};
use crate::error::Result;
use crate::native::image::Image;
use crate::native::instruction_set::InstructionSet;
use crate::native::value::broken;

/// Cells equal to one value (NaN is equal to NaN) replaced by the column's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Impute {
    /// The one cell that counts as missing: float32, float64 or int64.
    pub missing: Constants,
    /// What stands for it in each column.
    pub replacements: Constants,
}

fn impute<T: Cell + Values + PartialEq + Copy>(operator: &Impute, frame: &mut Frame<'_>) {
    let (input, image) = (frame.input::<T>(0), frame.image);
    let (&[missing], replacements) = (operator.missing.numbers::<T>(image), operator.replacements.numbers::<T>(image))
    else {
        return;
    };
    #[expect(clippy::eq_op, reason = "NaN differs from itself")]
    let missing_is_nan = missing != missing;
    let rows = input.chunks_exact(replacements.len()).zip(frame.output::<T>(0).chunks_exact_mut(replacements.len()));
    for (from, into) in rows {
        for ((cell, replacement), into) in from.iter().zip(replacements).zip(into) {
            #[expect(clippy::eq_op, reason = "NaN differs from itself")]
            let is_missing = if missing_is_nan { *cell != *cell } else { *cell == missing };
            *into = if is_missing { *replacement } else { *cell };
        }
    }
}

impl Operation for Impute {
    fn check(&self, image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        self.missing.check(image)?;
        self.replacements.check(image)?;
        let expected = ValueType::new(self.missing.element(), self.replacements.len());
        let fits = self.missing.len() == 1
            && expected.width > 0
            && self.replacements.element() == expected.element
            && matches!(self.missing, Constants::Float32(_) | Constants::Float64(_) | Constants::Int64(_))
            && inputs == [expected]
            && outputs == [expected];
        if fits { Ok(()) } else { Err(broken("its replacements do not fit its values")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        match self.missing {
            Constants::Float32(_) => impute::<f32>(self, frame),
            Constants::Float64(_) => impute::<f64>(self, frame),
            _ => impute::<i64>(self, frame),
        }
        Ok(())
    }

    fn kernel(&self, _set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        "impute".into()
    }
}
