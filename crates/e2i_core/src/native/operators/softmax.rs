//! Probabilities from scores.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::{Operation, ValueType};
use crate::error::Result;
use crate::interface::ElementType;
use crate::native::arithmetic::own;
use crate::native::image::Image;
use crate::native::instruction_set::InstructionSet;
use crate::native::value::broken;

/// e^(x - greatest) divided by the sum of these, for groups of neighbouring cells.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Softmax {
    /// Cells of a group.
    pub size: usize,
    /// Its logarithm instead.
    pub logarithm: bool,
}

impl Operation for Softmax {
    fn check(&self, _image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        let fits = inputs == outputs
            && self.size > 0
            && matches!(inputs, [input] if input.element.is_float() && input.width.is_multiple_of(self.size));
        if fits { Ok(()) } else { Err(broken("its groups do not fit its values")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        let Self { size, logarithm } = *self;
        match frame.input_type(0).element {
            ElementType::Float64 => own::softmaxes::<f64>(frame.set, size, logarithm, frame.input(0), frame.output(0)),
            _ => own::softmaxes::<f32>(frame.set, size, logarithm, frame.input(0), frame.output(0)),
        }
        Ok(())
    }

    fn kernel(&self, set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        format!("softmax of {}, {set}", self.size).into()
    }
}
