//! Tree ensembles with what becomes of their sums.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::frame::{Frame, Scratch};
use super::{Operation, ValueType};
use crate::batch::Column;
use crate::error::Result;
use crate::interface::ElementType;
use crate::native::ensemble::{Ensemble, Precision};
use crate::native::forest::{Forest, Rows, SumsMut};
use crate::native::image::{Image, ImageWriter};
use crate::native::instruction_set::InstructionSet;
use crate::native::link::{LabelRule, Link};
use crate::native::plan::broken;

/// The type of the numbers that trees add.
pub(super) fn element_of(precision: Precision) -> ElementType {
    match precision {
        Precision::Single => ElementType::Float32,
        Precision::Double => ElementType::Float64,
    }
}

/// The rows of input 0.
pub(super) fn rows_of<'a>(frame: &Frame<'a>) -> Rows<'a> {
    match frame.input_type(0).element {
        ElementType::Float64 => Rows::Double(frame.input(0)),
        _ => Rows::Single(frame.input(0)),
    }
}

/// An ensemble as its training library scores it: the predictions, and the class where there are classes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Trained {
    forest: Box<Forest>,
    link: Link,
}

impl Trained {
    /// Compiles an ensemble.
    ///
    /// # Errors
    /// As [`Forest::compile`].
    pub fn compile(ensemble: &Ensemble, link: Link, tables: &mut ImageWriter) -> Result<Self> {
        Ok(Self { forest: Box::new(Forest::compile(ensemble, tables)?), link })
    }

    /// What it writes: predictions, then labels.
    #[must_use]
    pub fn outputs(&self) -> Vec<ValueType> {
        let predictions = ValueType::new(element_of(self.forest.added_in()), self.forest.targets());
        match self.link.label {
            LabelRule::None => vec![predictions],
            _ => vec![predictions, ValueType::new(ElementType::Int64, 1)],
        }
    }
}

impl Operation for Trained {
    fn check(&self, image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        self.forest.check(image)?;
        let fits = matches!(inputs, [input] if input.element.is_float() && input.width == self.forest.width())
            && self.forest.targets() > 0
            && self.outputs() == outputs;
        if fits { Ok(()) } else { Err(broken("its trees do not fit its values")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        let (input, rows, targets) = (rows_of(frame), frame.rows, self.forest.targets());
        let label_needed = frame.needs(1);
        let [predictions, rest @ ..] = &mut *frame.outputs else { return Ok(()) };
        let labels: &mut [i64] = match rest {
            [Column::Int64(labels)] if label_needed => labels.get_mut(..rows).unwrap_or(&mut []),
            _ => &mut [],
        };
        let scratch = &mut frame.scratch.forest;
        match predictions {
            Column::Float32(sums) => {
                let sums = sums.get_mut(..rows * targets).unwrap_or(&mut []);
                self.forest.sums(frame.image, frame.set, input, rows, scratch, SumsMut::Single(sums))?;
                self.link.apply_single(targets, sums, labels);
            }
            Column::Float64(sums) => {
                let sums = sums.get_mut(..rows * targets).unwrap_or(&mut []);
                self.forest.sums(frame.image, frame.set, input, rows, scratch, SumsMut::Double(sums))?;
                self.link.apply_double(targets, sums, labels);
            }
            _ => {}
        }
        Ok(())
    }

    fn kernel(&self, set: InstructionSet, rows: usize) -> Cow<'static, str> {
        format!("trees, {}", self.forest.kernel(set, rows)).into()
    }
}

impl Scratch {
    /// What trees keep between calls is counted by what they were given.
    pub(crate) fn memory_bytes(&self) -> usize {
        (self.single.capacity() + self.sums.capacity()) * size_of::<f32>()
            + self.double_sums.capacity() * size_of::<f64>()
            + self.labels.capacity() * size_of::<u32>()
    }
}
