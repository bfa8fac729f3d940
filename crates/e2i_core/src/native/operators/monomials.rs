//! Products of columns with each other, multiplied from left to right.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::{Operation, ValueType};
use crate::error::Result;
use crate::interface::ElementType;
use crate::native::image::{Image, ImageWriter, Section};
use crate::native::instruction_set::InstructionSet;
use crate::native::value::broken;

/// For each cell of a row the columns whose product it is; of none it is 1.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Monomials {
    /// Where the columns of each product end.
    ends: Section<u32>,
    columns: Section<u32>,
}

impl Monomials {
    /// Lays out products.
    #[must_use]
    pub fn new(products: &[Vec<u32>], tables: &mut ImageWriter) -> Self {
        let columns: Vec<u32> = products.iter().flatten().copied().collect();
        let mut end = 0;
        let ends: Vec<u32> = products
            .iter()
            .map(|product| {
                end += u32::try_from(product.len()).unwrap_or(u32::MAX);
                end
            })
            .collect();
        Self { ends: tables.push(&ends), columns: tables.push(&columns) }
    }
}

impl Operation for Monomials {
    fn check(&self, image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        image.check(self.ends)?;
        image.check(self.columns)?;
        let ([input], [output]) = (inputs, outputs) else { return Err(broken("it has one input and one output")) };
        let (ends, columns) = (image.slice(self.ends), image.slice(self.columns));
        let fits = [input.element, output.element] == [ElementType::Float64; 2]
            && input.width > 0
            && output.width == ends.len()
            && !ends.is_empty()
            && ends.is_sorted()
            && ends.last().is_some_and(|end| *end as usize == columns.len())
            && columns.iter().all(|column| (*column as usize) < input.width);
        if fits { Ok(()) } else { Err(broken("its products do not fit its values")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        let (input, image, width) = (frame.input::<f64>(0), frame.image, frame.input_type(0).width.max(1));
        let (ends, columns) = (image.slice(self.ends), image.slice(self.columns));
        for (row, into) in input.chunks_exact(width).zip(frame.output::<f64>(0).chunks_exact_mut(ends.len().max(1))) {
            let mut from = 0;
            for (into, end) in into.iter_mut().zip(ends) {
                let product = columns.get(from..*end as usize).unwrap_or(&[]).iter();
                from = *end as usize;
                let cells = product.filter_map(|column| row.get(*column as usize)).copied();
                *into = cells.reduce(|product, cell| product * cell).unwrap_or(1.0);
            }
        }
        Ok(())
    }

    fn kernel(&self, _set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        format!("{} products", self.ends.len()).into()
    }
}
