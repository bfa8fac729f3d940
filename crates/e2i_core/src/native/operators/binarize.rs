//! Numbers cut in two.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::{Operation, ValueType};
use crate::error::{Error, Kind, Result};
use crate::interface::ElementType;
use crate::native::image::{Image, Section};
use crate::native::instruction_set::InstructionSet;
use crate::native::value::broken;

/// 1 for float32 above a threshold, else 0; an error for NaN, as on the runtime.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Binarize {
    /// The one threshold.
    pub threshold: Section<f32>,
}

impl Operation for Binarize {
    fn check(&self, image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        image.check(self.threshold)?;
        let fits = self.threshold.len() == 1
            && inputs == outputs
            && matches!(inputs, [input] if input.element == ElementType::Float32);
        if fits { Ok(()) } else { Err(broken("its threshold does not fit its values")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        let (input, &[threshold]) = (frame.input::<f32>(0), frame.image.slice(self.threshold)) else { return Ok(()) };
        if input.iter().any(|cell| cell.is_nan()) {
            for (row, cells) in input.chunks_exact(frame.input_type(0).width.max(1)).enumerate() {
                if cells.iter().any(|cell| cell.is_nan()) {
                    frame.refuse(row, || Error::new(Kind::Runtime, "NaN is neither above a threshold nor below"));
                }
            }
        }
        let output = frame.output::<f32>(0);
        input.iter().zip(output).for_each(|(cell, out)| *out = if *cell > threshold { 1.0 } else { 0.0 });
        Ok(())
    }

    fn kernel(&self, _set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        "binarize".into()
    }
}
