//! One of two cells, and cells that are the same in every row.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::constants::Constants;
use super::frame::{Cell, Frame, for_element};
use super::{Operation, ValueType};
use crate::error::Result;
use crate::interface::ElementType;
use crate::native::image::Image;
use crate::native::instruction_set::InstructionSet;
use crate::native::value::broken;

/// The second input's cell where the first input's is true, else the third's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Select {}

fn select<T: Cell>(frame: &mut Frame<'_>) {
    let (chosen, yes, no) = (frame.input::<bool>(0), frame.input::<T>(1), frame.input::<T>(2));
    for (((chosen, yes), no), output) in chosen.iter().zip(yes).zip(no).zip(frame.output::<T>(0)) {
        output.clone_from(if *chosen { yes } else { no });
    }
}

impl Operation for Select {
    fn check(&self, _image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        let ([chosen, yes, no], [output]) = (inputs, outputs) else { return Err(broken("it has three inputs")) };
        let fits = *chosen == ValueType::new(ElementType::Bool, output.width) && yes == output && no == output;
        if fits { Ok(()) } else { Err(broken("its values do not fit together")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        for_element!(frame.output_type(0).element, select(frame));
        Ok(())
    }

    fn kernel(&self, _set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        "select".into()
    }
}

/// The same cells in every row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fill {
    /// The cells of a row.
    pub cells: Constants,
}

impl Operation for Fill {
    fn check(&self, image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        self.cells.check(image)?;
        let fits = inputs.is_empty() && outputs == [ValueType::new(self.cells.element(), self.cells.len())];
        if fits { Ok(()) } else { Err(broken("its cells are not a row")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        let (image, rows, width) = (frame.image, frame.rows, self.cells.len());
        let Some(output) = frame.outputs.first_mut() else { return Ok(()) };
        for row in 0..rows {
            for cell in 0..width {
                self.cells.copy_cell(image, cell, output, row * width + cell);
            }
        }
        Ok(())
    }

    fn kernel(&self, _set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        "fill".into()
    }
}
