//! Numbers that an estimator refuses, refused.
//!
//! scikit-learn looks at its input before each step: NaN where a step takes none, infinities, and for trees what float32
//! cannot hold are errors, not answers.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::{Operation, ValueType};
use crate::error::{Error, Kind, Result};
use crate::interface::ElementType;
use crate::native::image::Image;
use crate::native::instruction_set::InstructionSet;
use crate::native::value::broken;
use crate::value::float_text;

/// The same cells, if all of them are allowed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Finite {
    /// Whether NaN is.
    pub takes_nan: bool,
    /// Whether the numbers become float32 later, so that what is beyond it is not.
    pub single: bool,
    /// What messages call the columns; none or as many as there are.
    pub names: Vec<String>,
}

impl Finite {
    fn allows(&self, cell: f64) -> bool {
        if cell.is_nan() {
            self.takes_nan
        } else if self.single {
            (cell as f32).is_finite()
        } else {
            cell.is_finite()
        }
    }

    #[cold]
    fn refusal(&self, column: usize, cell: f64) -> Error {
        let name = match self.names.get(column) {
            Some(name) => format!("{name:?}"),
            None => format!("{column} of its input"),
        };
        let message = if cell.is_nan() {
            format!("column {name} is NaN, and no missing values are taken there")
        } else if cell.is_finite() {
            format!("column {name} is {}, which float32 cannot hold", float_text(cell))
        } else {
            format!("column {name} is infinite")
        };
        Error::new(Kind::OutOfRange, message)
    }
}

impl Operation for Finite {
    fn check(&self, _image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        let fits =
            inputs == outputs && matches!(inputs, [input] if input.element == ElementType::Float64 && input.width > 0);
        if fits { Ok(()) } else { Err(broken("it has no row of float64")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        let (input, width) = (frame.input::<f64>(0), frame.input_type(0).width.max(1));
        for (row, cells) in input.chunks_exact(width).enumerate() {
            if let Some(column) = cells.iter().position(|cell| !self.allows(*cell)) {
                frame.refuse(row, || self.refusal(column, cells[column]));
            }
        }
        frame.output::<f64>(0).copy_from_slice(input);
        Ok(())
    }

    fn kernel(&self, _set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        "finite".into()
    }
}
