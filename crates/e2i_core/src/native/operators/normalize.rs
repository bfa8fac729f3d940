//! A row divided by its norm.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::{Operation, ValueType};
use crate::error::Result;
use crate::interface::ElementType;
use crate::native::image::Image;
use crate::native::instruction_set::InstructionSet;
use crate::native::value::broken;

/// What a row is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Norm {
    /// The greatest cell.
    Max,
    /// The sum of the absolute values.
    L1,
    /// The root of the sum of the squares.
    L2,
}

/// float32 rows divided by their norm; a row whose norm is 0 stays.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Normalize {
    /// The norm.
    pub norm: Norm,
}

impl Operation for Normalize {
    fn check(&self, _image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        let fits =
            inputs == outputs && matches!(inputs, [input] if input.element == ElementType::Float32 && input.width > 0);
        if fits { Ok(()) } else { Err(broken("it has no row of float32")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        let (input, width) = (frame.input::<f32>(0), frame.input_type(0).width);
        for (from, into) in input.chunks_exact(width).zip(frame.output::<f32>(0).chunks_exact_mut(width)) {
            // The order of additions and the detour by squares are ONNX Runtime's.
            let norm = match self.norm {
                Norm::Max => from.iter().fold(f32::MIN, |max, cell| if max < *cell { *cell } else { max }),
                Norm::L1 => from.iter().fold(0.0, |sum, cell| sum + cell.abs()),
                Norm::L2 => from.iter().fold(0.0, |sum, cell| sum + cell * cell),
            };
            for (cell, into) in from.iter().zip(into) {
                *into = match self.norm {
                    _ if norm == 0.0 => *cell,
                    Norm::Max | Norm::L1 => cell / norm,
                    Norm::L2 if *cell < 0.0 => -(cell * cell / norm).sqrt(),
                    Norm::L2 => (cell * cell / norm).sqrt(),
                };
            }
        }
        Ok(())
    }

    fn kernel(&self, _set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        format!("normalize by {:?}", self.norm).into()
    }
}
