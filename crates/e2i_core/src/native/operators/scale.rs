//! `(x - offset) · scale`, column by column.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::vectorised::vectorised;
use super::{Operation, ValueType};
use crate::error::Result;
use crate::interface::ElementType;
use crate::native::image::{Image, Section};
use crate::native::instruction_set::InstructionSet;
use crate::native::plan::broken;

/// Subtracts, then multiplies, in float32.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Scale {
    /// What is subtracted from each column.
    pub offset: Section<f32>,
    /// What each difference is multiplied by.
    pub scale: Section<f32>,
}

vectorised! {
    fn scale_rows(input: &[f32], offset: &[f32], scale: &[f32], output: &mut [f32]) {
        for (x, y) in input.chunks_exact(offset.len()).zip(output.chunks_exact_mut(offset.len())) {
            for (((x, offset), scale), y) in x.iter().zip(offset).zip(scale).zip(y) {
                *y = (*x - *offset) * *scale;
            }
        }
    }
}

impl Operation for Scale {
    fn check(&self, image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        image.check(self.offset)?;
        image.check(self.scale)?;
        let width = self.offset.len();
        let expected = ValueType::new(ElementType::Float32, width);
        let fits = width > 0 && self.scale.len() == width && inputs == [expected] && outputs == [expected];
        if fits { Ok(()) } else { Err(broken("offsets and scales are not as many as columns")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        let (input, set, image) = (frame.input::<f32>(0), frame.set, frame.image);
        let (offset, scale) = (image.slice(self.offset), image.slice(self.scale));
        scale_rows(set, input, offset, scale, frame.output::<f32>(0));
        Ok(())
    }

    fn kernel(&self, set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        format!("scale, {set}").into()
    }
}
