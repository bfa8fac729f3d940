//! Tree ensembles with what becomes of their sums.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::constants::Constants;
use super::frame::{Frame, Scratch};
use super::{Operation, ValueType};
use crate::batch::Column;
use crate::error::Result;
use crate::interface::ElementType;
use crate::native::classifier::{Finish, Labels, Sums};
use crate::native::ensemble::{Ensemble, Precision};
use crate::native::forest::{Forest, Rows, SumsMut};
use crate::native::image::{Image, ImageWriter};
use crate::native::instruction_set::InstructionSet;
use crate::native::link::{LabelRule, Link};
use crate::native::value::broken;

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
    pub(super) forest: Box<Forest>,
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

    /// Its trees.
    pub(crate) fn forest(&self) -> &Forest {
        &self.forest
    }

    /// What becomes of their sums.
    pub(crate) fn link(&self) -> &Link {
        &self.link
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
    fn open(&mut self, image: &Image) -> Result<()> {
        self.forest.open(image)
    }

    fn check(&self, _image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
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
                self.forest.sums(frame.set, input, rows, scratch, SumsMut::Single(sums))?;
                self.link.apply_single(targets, sums, labels);
            }
            Column::Float64(sums) => {
                let sums = sums.get_mut(..rows * targets).unwrap_or(&mut []);
                self.forest.sums(frame.set, input, rows, scratch, SumsMut::Double(sums))?;
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

/// An ensemble as an operator of ONNX: the labels where it is a classifier, and the numbers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Trees {
    pub(super) forest: Box<Forest>,
    finish: Finish,
    /// The labels by their index.
    labels: Option<Constants>,
    /// The type of the numbers.
    output: ElementType,
}

impl Trees {
    /// Compiles an ensemble whose sums become numbers of `output`, float32 or float64.
    ///
    /// # Errors
    /// As [`Forest::compile`] and [`Finish::check`].
    pub fn compile(ensemble: &Ensemble, finish: Finish, output: ElementType, tables: &mut ImageWriter) -> Result<Self> {
        finish.check()?;
        let labels = finish.classifier.as_ref().map(|classifier| match &classifier.labels {
            Labels::Int64(labels) => Constants::write(&Column::Int64(labels.clone()), tables),
            Labels::Text(labels) => Constants::write(&Column::Text(labels.clone()), tables),
        });
        Ok(Self { forest: Box::new(Forest::compile(ensemble, tables)?), finish, labels, output })
    }

    /// Its trees.
    pub(crate) fn forest(&self) -> &Forest {
        &self.forest
    }

    /// What becomes of their sums.
    pub(crate) fn rule(&self) -> &Finish {
        &self.finish
    }

    /// What it writes: labels, if it is a classifier, then numbers.
    #[must_use]
    pub fn outputs(&self) -> Vec<ValueType> {
        let labels = self.labels.map(|labels| ValueType::new(labels.element(), 1));
        labels.into_iter().chain([ValueType::new(self.output, self.finish.width)]).collect()
    }

    /// Numbers and indexes of labels from sums.
    fn finish(
        &self,
        sums: Sums<'_>,
        rows: usize,
        numbers: Option<&mut Column>,
        labels: Option<&mut [u32]>,
    ) -> Result<()> {
        let count = rows * self.finish.width;
        let numbers = match numbers {
            Some(Column::Float32(numbers)) => numbers.get_mut(..count).map(SumsMut::Single),
            Some(Column::Float64(numbers)) => numbers.get_mut(..count).map(SumsMut::Double),
            _ => None,
        };
        self.finish.apply(sums, rows, numbers, labels)
    }
}

impl Operation for Trees {
    fn open(&mut self, image: &Image) -> Result<()> {
        self.forest.open(image)
    }

    fn check(&self, image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        self.finish.check()?;
        let mut fits = matches!(inputs, [input] if input.element.is_float() && input.width == self.forest.width())
            && self.output.is_float()
            && self.forest.targets() == self.finish.targets()
            && self.labels.is_some() == self.finish.classifier.is_some();
        if let Some(labels) = &self.labels {
            labels.check(image)?;
            fits &= labels.len() == self.finish.width;
        }
        if fits && self.outputs() == outputs { Ok(()) } else { Err(broken("its trees do not fit its values")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        let (input, rows, targets) = (rows_of(frame), frame.rows, self.forest.targets());
        let (image, set) = (frame.image, frame.set);
        let labels_needed = self.labels.is_some() && frame.needs(0);
        let numbers_needed = frame.needs(frame.outputs.len() - 1);
        let Scratch { sums, double_sums, labels, forest: scratch, .. } = &mut *frame.scratch;
        let count = if labels_needed { rows } else { 0 };
        labels.resize(count, 0);
        let places = labels_needed.then_some(labels.as_mut_slice());
        let numbers = frame.outputs.last_mut().filter(|_| numbers_needed);
        match self.forest.added_in() {
            Precision::Single => {
                sums.resize(rows * targets, 0.0);
                self.forest.sums(set, input, rows, scratch, SumsMut::Single(sums))?;
                self.finish(Sums::Single(sums), rows, numbers, places)?;
            }
            Precision::Double => {
                double_sums.resize(rows * targets, 0.0);
                self.forest.sums(set, input, rows, scratch, SumsMut::Double(double_sums))?;
                self.finish(Sums::Double(double_sums), rows, numbers, places)?;
            }
        }
        if let (Some(table), true, Some(column)) = (&self.labels, labels_needed, frame.outputs.first_mut()) {
            for (row, label) in labels.iter().enumerate() {
                table.copy_cell(image, *label as usize, column, row);
            }
        }
        Ok(())
    }

    fn kernel(&self, set: InstructionSet, rows: usize) -> Cow<'static, str> {
        format!("trees, {}", self.forest.kernel(set, rows)).into()
    }
}

impl Scratch {
    /// Memory it holds, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.forest.memory_bytes()
            + (self.single.capacity() + self.sums.capacity()) * size_of::<f32>()
            + self.double_sums.capacity() * size_of::<f64>()
            + self.labels.capacity() * size_of::<u32>()
    }
}
