//! The seam between what a model means and what computes it.

use crate::batch::{Batch, Column};
use crate::error::Result;

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
}

impl Default for Outputs {
    fn default() -> Self {
        Self { label: Column::Int64(Vec::new()), main: Column::Float32(Vec::new()), width: 0 }
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
    /// pieces between which the caller can interrupt.
    ///
    /// # Errors
    /// [`crate::Kind::Interrupted`] when the caller asked to stop, otherwise what the runtime reported.
    fn score(&mut self, batch: &Batch, wanted: OutputSet, outputs: &mut Outputs) -> Result<()>;
}
