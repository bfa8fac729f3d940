//! Columns side by side, and chosen columns.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::frame::{Cell, Frame, for_element};
use super::{Operation, ValueType};
use crate::error::Result;
use crate::native::image::{Image, Section};
use crate::native::instruction_set::InstructionSet;
use crate::native::value::broken;

/// The inputs side by side.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Concat {}

fn concat<T: Cell>(frame: &mut Frame<'_>) {
    let width = frame.output_type(0).width;
    let mut at = 0;
    for index in 0..frame.inputs.len() {
        let (input, part) = (frame.input::<T>(index), frame.input_type(index).width);
        if width == 0 || part == 0 {
            continue;
        }
        for (from, into) in input.chunks_exact(part).zip(frame.output::<T>(0).chunks_exact_mut(width)) {
            if let Some(into) = into.get_mut(at..at + part) {
                into.clone_from_slice(from);
            }
        }
        at += part;
    }
}

impl Operation for Concat {
    fn check(&self, _image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        let [output] = outputs else { return Err(broken("it has one output")) };
        let width = inputs.iter().try_fold(0usize, |sum, input| sum.checked_add(input.width));
        let fits = width == Some(output.width) && inputs.iter().all(|input| input.element == output.element);
        if fits { Ok(()) } else { Err(broken("its values do not fit side by side")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        for_element!(frame.output_type(0).element, concat(frame));
        Ok(())
    }

    fn kernel(&self, _set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        "concat".into()
    }
}

/// Columns of the input, by index; a column may be taken several times.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Gather {
    /// Which column of the input each column of the output is.
    pub columns: Section<u32>,
}

fn gather<T: Cell>(columns: &[u32], width: usize, frame: &mut Frame<'_>) {
    let input = frame.input::<T>(0);
    for (from, into) in input.chunks_exact(width).zip(frame.output::<T>(0).chunks_exact_mut(columns.len())) {
        for (column, into) in columns.iter().zip(into) {
            if let Some(cell) = from.get(*column as usize) {
                into.clone_from(cell);
            }
        }
    }
}

impl Operation for Gather {
    fn check(&self, image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        image.check(self.columns)?;
        let ([input], [output]) = (inputs, outputs) else { return Err(broken("it has one input and one output")) };
        let fits = input.width > 0
            && output.width == self.columns.len()
            && !self.columns.is_empty()
            && input.element == output.element
            && image.slice(self.columns).iter().all(|column| (*column as usize) < input.width);
        if fits { Ok(()) } else { Err(broken("it takes columns that are not there")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        let (columns, width) = (frame.image.slice(self.columns), frame.input_type(0).width);
        for_element!(frame.output_type(0).element, gather(columns, width, frame));
        Ok(())
    }

    fn kernel(&self, _set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        "gather".into()
    }
}
