//! `(x - offset) · scale`, column by column.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::lanes::{LANES, Lanes, lanes};
use super::{Operation, ValueType};
use crate::error::Result;
use crate::interface::ElementType;
use crate::native::image::{Image, Section};
use crate::native::instruction_set::InstructionSet;
use crate::native::value::broken;

/// Subtracts, then multiplies, in float32.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Scale {
    /// What is subtracted from each column.
    pub offset: Section<f32>,
    /// What each difference is multiplied by.
    pub scale: Section<f32>,
}

impl Scale {
    pub(super) fn tables<'i>(&self, image: &'i Image) -> (&'i [f32], &'i [f32]) {
        (image.slice(self.offset), image.slice(self.scale))
    }

    pub(super) fn check_tables(&self, image: &Image) -> Result<()> {
        image.check(self.offset)?;
        image.check(self.scale)?;
        let fits = !self.offset.is_empty() && self.scale.len() == self.offset.len();
        if fits { Ok(()) } else { Err(broken("offsets and scales are not as many")) }
    }
}

/// Rows of as many cells as there are offsets.
#[inline(always)]
pub(super) fn scaled<L: Lanes>(input: &[f32], offset: &[f32], scale: &[f32], output: &mut [f32]) {
    let width = offset.len();
    for (x, y) in input.chunks_exact(width).zip(output.chunks_exact_mut(width)) {
        let whole = x.as_chunks::<LANES>().0.iter().zip(y.as_chunks_mut::<LANES>().0);
        let tables = offset.as_chunks::<LANES>().0.iter().zip(scale.as_chunks::<LANES>().0);
        for ((x, y), (offset, scale)) in whole.zip(tables) {
            L::load(x).subtract(L::load(offset)).multiply(L::load(scale)).store(y);
        }
        let done = width / LANES * LANES;
        if done == width {
            continue;
        }
        // The last lanes overlap those before, which come out the same again.
        if let (Some(x), Some(y), Some(offset), Some(scale)) =
            (x.last_chunk::<LANES>(), y.last_chunk_mut::<LANES>(), offset.last_chunk(), scale.last_chunk())
        {
            L::load(x).subtract(L::load(offset)).multiply(L::load(scale)).store(y);
        } else {
            for (((x, offset), scale), y) in x.iter().zip(offset).zip(scale).zip(y) {
                *y = (*x - *offset) * *scale;
            }
        }
    }
}

lanes! {
    fn scale_rows<L>(input: &[f32], offset: &[f32], scale: &[f32], output: &mut [f32]) {
        scaled::<L>(input, offset, scale, output);
    }
}

impl Operation for Scale {
    fn check(&self, image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        self.check_tables(image)?;
        let expected = ValueType::new(ElementType::Float32, self.offset.len());
        let fits = inputs == [expected] && outputs == [expected];
        if fits { Ok(()) } else { Err(broken("offsets and scales are not as many as columns")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        let (input, set) = (frame.input::<f32>(0), frame.set);
        let (offset, scale) = self.tables(frame.image);
        scale_rows(set, input, offset, scale, frame.output::<f32>(0));
        Ok(())
    }

    fn kernel(&self, set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        format!("scale, {set}").into()
    }
}
