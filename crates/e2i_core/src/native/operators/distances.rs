//! Distances of a row to points.
//!
//! Each distance is a sum over the columns in order, in float32, as ONNX Runtime's support vector machines have it; points
//! lie side by side in lanes, so that no sum is cut into parts. scikit-learn's kernels, which are float64, are [`super::Kernels`].

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::lanes::LANES;
use super::{Operation, ValueType};
use crate::error::Result;
use crate::interface::ElementType;
use crate::native::image::{Image, ImageWriter, Section};
use crate::native::instruction_set::InstructionSet;
use crate::native::value::broken;
use crate::native::vectorised::vectorised;

/// What is made of the sum of squares.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum DistanceFunction {
    /// The sum itself.
    Squared,
    /// e^(-gamma · sum), with the C library's exponential.
    Gaussian(f32),
}

/// float32 rows to their distances to points.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Distances {
    columns: usize,
    points: usize,
    /// For each group of 16 points, the first column of each, the second of each, …
    pub(super) cells: Section<f32>,
    function: DistanceFunction,
}

impl Distances {
    /// Lays out points, row after row, of so many columns each, of which there is one at least.
    pub fn new(points: &[f32], columns: usize, function: DistanceFunction, tables: &mut ImageWriter) -> Self {
        let rows: Vec<&[f32]> = points.chunks_exact(columns.max(1)).collect();
        let mut cells = Vec::with_capacity(rows.len().next_multiple_of(LANES) * columns);
        for block in rows.chunks(LANES) {
            for column in 0..columns {
                cells.extend((0..LANES).map(|lane| block.get(lane).map_or(0.0, |row| row[column])));
            }
        }
        Self { columns, points: rows.len(), cells: tables.push(&cells), function }
    }
}

vectorised! {
    fn squares(columns: usize, points: usize, cells: &[[f32; LANES]], input: &[f32], output: &mut [f32]) {
        for (row, results) in input.chunks_exact(columns).zip(output.chunks_exact_mut(points)) {
            for (block, results) in cells.chunks_exact(columns).zip(results.chunks_mut(LANES)) {
                let mut sums = [0.0f32; LANES];
                for (cell, points) in row.iter().zip(block) {
                    for (sum, point) in sums.iter_mut().zip(points) {
                        let apart = *cell - *point;
                        *sum += apart * apart;
                    }
                }
                results.iter_mut().zip(sums).for_each(|(result, sum)| *result = sum);
            }
        }
    }
}

impl Operation for Distances {
    fn check(&self, image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        image.check(self.cells)?;
        let cells = self.points.checked_next_multiple_of(LANES).and_then(|points| points.checked_mul(self.columns));
        let fits = self.columns > 0
            && self.points > 0
            && cells == Some(self.cells.len())
            && inputs == [ValueType::new(ElementType::Float32, self.columns)]
            && outputs == [ValueType::new(ElementType::Float32, self.points)];
        if fits { Ok(()) } else { Err(broken("its points do not fit its values")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        let (set, cells) = (frame.set, frame.image.slice(self.cells).as_chunks().0);
        let (input, output) = (frame.input::<f32>(0), frame.output::<f32>(0));
        squares(set, self.columns, self.points, cells, input, output);
        if let DistanceFunction::Gaussian(gamma) = self.function {
            output.iter_mut().for_each(|sum| *sum = (-gamma * *sum).exp());
        }
        Ok(())
    }

    fn kernel(&self, set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        let what = match self.function {
            DistanceFunction::Squared => "distances",
            DistanceFunction::Gaussian(_) => "gaussian distances",
        };
        format!("{what} to {} points, {set}", self.points).into()
    }
}
