//! The seam between what a model means and what computes it.

use std::any::Any;
use std::collections::BTreeMap;

use crate::batch::{Batch, Column};
use crate::error::{Error, Result};
use crate::known::Known;

/// Which outputs a caller needs; an engine need not compute the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputSet {
    /// The label: class, cluster or verdict.
    pub label: bool,
    /// The numbers: probabilities, values, scores, distances.
    pub main: bool,
}

impl OutputSet {
    /// Only the numbers.
    pub const MAIN: Self = Self { label: false, main: true };
    /// Only the label.
    pub const LABEL: Self = Self { label: true, main: false };
    /// Both.
    pub const BOTH: Self = Self { label: true, main: true };
}

/// What an engine wrote for a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Outputs {
    /// The label of each row, if asked for.
    pub label: Column,
    /// `rows × width` numbers, if asked for.
    pub main: Column,
    /// Numbers a row in `main`.
    pub width: usize,
    /// Rows that the model refuses, and why; what stands for them in `label` and `main` means nothing.
    pub refused: BTreeMap<usize, Error>,
}

impl Default for Outputs {
    fn default() -> Self {
        Self { label: Column::Int64(Vec::new()), main: Column::Float32(Vec::new()), width: 0, refused: BTreeMap::new() }
    }
}

impl Outputs {
    /// That no row is refused.
    ///
    /// # Errors
    /// Why the first one is that is.
    pub fn first_refusal(&self) -> Result<()> {
        self.refused.first_key_value().map_or(Ok(()), |(_, error)| Err(error.clone()))
    }
}

/// Something that scores batches of one model.
pub trait Engine {
    /// `onnxruntime` or `native`.
    fn name(&self) -> &'static str;

    /// Resident memory it holds, in bytes; an estimate that the cache accounts with.
    fn memory_bytes(&self) -> usize;

    /// Scores every row of `batch` and overwrites `outputs` with what `wanted` asks for.
    ///
    /// A row's result does not depend on its neighbours beyond what the runtime itself does. Long work is cut into
    /// pieces between which the caller can interrupt. Rows that are refused stand in [`Outputs::refused`] where the engine can tell
    /// which they are; an engine that cannot fails for all.
    ///
    /// # Errors
    /// [`crate::Kind::Interrupted`] when the caller asked to stop, otherwise what the runtime reported.
    fn score_rows(&mut self, batch: &Batch, wanted: OutputSet, outputs: &mut Outputs) -> Result<()>;

    /// The code that does most of the work for batches of so many rows, for people; `None` where it is not known.
    fn kernel(&self, _rows: usize) -> Option<String> {
        None
    }

    /// Branches of the model's trees, and how many of them are left for rows that are as it is known; `None` without trees.
    fn nodes(&self) -> Option<(usize, usize)> {
        None
    }

    /// From how many rows on [`Engine::pruned`] may save the time that it takes to make.
    fn pruning_pays_from(&self) -> f64 {
        f64::INFINITY
    }

    /// The same model with the same answers to all rows, to the bit, and faster for those that are as it is known; `None` where
    /// too little can be left out. What it holds besides this one is its memory.
    ///
    /// # Errors
    /// What making it reports.
    fn pruned(&self, _known: &Known) -> Result<Option<Box<dyn Engine>>> {
        Ok(None)
    }

    /// Itself, for who knows engines of its kind.
    fn as_any(&self) -> &dyn Any;

    /// The same for callers that have no use for some of the rows.
    ///
    /// # Errors
    /// As [`Engine::score_rows`], and why the first row that is refused is.
    fn score(&mut self, batch: &Batch, wanted: OutputSet, outputs: &mut Outputs) -> Result<()> {
        self.score_rows(batch, wanted, outputs)?;
        outputs.first_refusal()
    }
}
