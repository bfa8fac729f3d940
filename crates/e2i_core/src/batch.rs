//! Rows on their way into an engine: one dense column of values per tensor, row after row.
//!
//! A batch is allocated once per call site and refilled for every row, so nothing here allocates on the scoring path
//! except text longer than what stood in its place before.

use crate::interface::{ElementType, InputTensor};
use crate::value::float_text;

/// Values of one element type.
#[derive(Debug, Clone, PartialEq)]
pub enum Column {
    /// Single precision.
    Float32(Vec<f32>),
    /// Double precision.
    Float64(Vec<f64>),
    /// 32-bit integers.
    Int32(Vec<i32>),
    /// 64-bit integers.
    Int64(Vec<i64>),
    /// Booleans.
    Bool(Vec<bool>),
    /// Text.
    Text(Vec<String>),
}

impl Column {
    /// A column of `len` zeros (or empty texts).
    #[must_use]
    pub fn zeros(element: ElementType, len: usize) -> Self {
        match element {
            ElementType::Float32 => Self::Float32(vec![0.0; len]),
            ElementType::Float64 => Self::Float64(vec![0.0; len]),
            ElementType::Int32 => Self::Int32(vec![0; len]),
            ElementType::Int64 => Self::Int64(vec![0; len]),
            ElementType::Bool => Self::Bool(vec![false; len]),
            ElementType::Text => Self::Text(vec![String::new(); len]),
        }
    }

    /// Grows with zeros, or cuts.
    pub fn resize(&mut self, len: usize) {
        match self {
            Self::Float32(values) => values.resize(len, 0.0),
            Self::Float64(values) => values.resize(len, 0.0),
            Self::Int32(values) => values.resize(len, 0),
            Self::Int64(values) => values.resize(len, 0),
            Self::Bool(values) => values.resize(len, false),
            Self::Text(values) => values.resize(len, String::new()),
        }
    }

    /// Appends `times` copies of everything from `start` on.
    fn repeat_from(&mut self, start: usize, times: usize) {
        fn repeat<T: Clone>(values: &mut Vec<T>, start: usize, times: usize) {
            let tail = values[start..].to_vec();
            (0..times).for_each(|_| values.extend_from_slice(&tail));
        }
        match self {
            Self::Float32(values) => repeat(values, start, times),
            Self::Float64(values) => repeat(values, start, times),
            Self::Int32(values) => repeat(values, start, times),
            Self::Int64(values) => repeat(values, start, times),
            Self::Bool(values) => repeat(values, start, times),
            Self::Text(values) => repeat(values, start, times),
        }
    }

    /// The rows of these numbers, each of `width` values.
    #[must_use]
    pub fn picked(&self, rows: &[usize], width: usize) -> Self {
        fn picked<T: Clone>(values: &[T], rows: &[usize], width: usize) -> Vec<T> {
            rows.iter().flat_map(|row| values[row * width..(row + 1) * width].iter().cloned()).collect()
        }
        match self {
            Self::Float32(values) => Self::Float32(picked(values, rows, width)),
            Self::Float64(values) => Self::Float64(picked(values, rows, width)),
            Self::Int32(values) => Self::Int32(picked(values, rows, width)),
            Self::Int64(values) => Self::Int64(picked(values, rows, width)),
            Self::Bool(values) => Self::Bool(picked(values, rows, width)),
            Self::Text(values) => Self::Text(picked(values, rows, width)),
        }
    }

    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Float32(values) => values.len(),
            Self::Float64(values) => values.len(),
            Self::Int32(values) => values.len(),
            Self::Int64(values) => values.len(),
            Self::Bool(values) => values.len(),
            Self::Text(values) => values.len(),
        }
    }

    /// Whether there are no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element type.
    #[must_use]
    pub fn element(&self) -> ElementType {
        match self {
            Self::Float32(_) => ElementType::Float32,
            Self::Float64(_) => ElementType::Float64,
            Self::Int32(_) => ElementType::Int32,
            Self::Int64(_) => ElementType::Int64,
            Self::Bool(_) => ElementType::Bool,
            Self::Text(_) => ElementType::Text,
        }
    }

    /// One value as float64; `None` for text or beyond the end.
    #[must_use]
    pub fn number(&self, index: usize) -> Option<f64> {
        match self {
            Self::Float32(values) => values.get(index).map(|v| f64::from(*v)),
            Self::Float64(values) => values.get(index).copied(),
            Self::Int32(values) => values.get(index).map(|v| f64::from(*v)),
            Self::Int64(values) => values.get(index).map(|v| *v as f64),
            Self::Bool(values) => values.get(index).map(|v| f64::from(u8::from(*v))),
            Self::Text(_) => None,
        }
    }

    /// One value as text; a float32 with the digits of the float64 that it is.
    #[must_use]
    pub fn shown(&self, index: usize) -> Option<String> {
        match self {
            Self::Float32(values) => values.get(index).map(|v| float_text(f64::from(*v))),
            Self::Float64(values) => values.get(index).map(|v| float_text(*v)),
            Self::Int32(values) => values.get(index).map(ToString::to_string),
            Self::Int64(values) => values.get(index).map(ToString::to_string),
            Self::Bool(values) => values.get(index).map(ToString::to_string),
            Self::Text(values) => values.get(index).cloned(),
        }
    }
}

/// The values of one tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Values a row.
    pub width: usize,
    /// `rows × width` values, row after row.
    pub values: Column,
}

/// The rows of one call.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    rows: usize,
    tensors: Vec<Tensor>,
}

impl Batch {
    /// A batch of `rows` rows of zeros, shaped for `inputs`.
    #[must_use]
    pub fn new(inputs: &[InputTensor], rows: usize) -> Self {
        let tensors = inputs
            .iter()
            .map(|input| Tensor {
                width: input.width(),
                values: Column::zeros(input.element, rows.saturating_mul(input.width())),
            })
            .collect();
        Self { rows, tensors }
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Changes the number of rows; new rows are zeros.
    pub fn set_rows(&mut self, rows: usize) {
        if rows == self.rows {
            return;
        }
        for tensor in &mut self.tensors {
            tensor.values.resize(rows.saturating_mul(tensor.width));
        }
        self.rows = rows;
    }

    /// Appends `times` copies of the last row, for a graph that takes a fixed number of rows.
    pub fn repeat_last_row(&mut self, times: usize) {
        for tensor in &mut self.tensors {
            let start = self.rows.saturating_sub(1) * tensor.width;
            tensor.values.repeat_from(start, times);
        }
        self.rows += times;
    }

    /// A batch of the rows of these numbers, in that order; one may be named several times.
    #[must_use]
    pub fn picked(&self, rows: &[usize]) -> Self {
        let picked = |tensor: &Tensor| Tensor { width: tensor.width, values: tensor.values.picked(rows, tensor.width) };
        Self { rows: rows.len(), tensors: self.tensors.iter().map(picked).collect() }
    }

    /// The tensors, in the interface's order.
    #[must_use]
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// The tensors, to be filled.
    pub fn tensors_mut(&mut self) -> &mut [Tensor] {
        &mut self.tensors
    }
}
