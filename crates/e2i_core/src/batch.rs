//! Rows on their way into an engine: one dense column of values per tensor, row after row.
//!
//! A batch is allocated once per call site and refilled for every row, so nothing here allocates on the scoring path
//! except text longer than what stood in its place before.

use ndarray::{Array2, ArrayView2, Axis, aview2};

use crate::interface::{ElementType, InputTensor};
use crate::value::float_text;

/// A type that cells can have.
pub trait Cell: Clone + PartialEq + Default + 'static {
    /// The cells of a column of this type; none of another.
    fn cells(column: &Column) -> &[Self];

    /// The same, to be written.
    fn cells_mut(column: &mut Column) -> &mut [Self];

    /// The same, to be appended to.
    fn list_mut(column: &mut Column) -> Option<&mut Vec<Self>>;
}

macro_rules! cells {
    ($($type:ty, $variant:ident;)+) => {
        $(impl Cell for $type {
            #[inline]
            fn cells(column: &Column) -> &[Self] {
                match column { Column::$variant(cells) => cells, _ => &[] }
            }

            #[inline]
            fn cells_mut(column: &mut Column) -> &mut [Self] {
                match column { Column::$variant(cells) => cells, _ => &mut [] }
            }

            fn list_mut(column: &mut Column) -> Option<&mut Vec<Self>> {
                match column { Column::$variant(cells) => Some(cells), _ => None }
            }
        })+
    };
}

cells! { f32, Float32; f64, Float64; i32, Int32; i64, Int64; bool, Bool; String, Text; }

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

    /// The values as rows of `width`, without those of a last row that is not whole; no rows of another type than `T`, nor
    /// of no width.
    #[must_use]
    pub fn rows<T: Cell>(&self, width: usize) -> ArrayView2<'_, T> {
        let cells = T::cells(self);
        let rows = cells.len().checked_div(width).unwrap_or(0);
        let whole = cells.get(..rows * width).unwrap_or(&[]);
        ArrayView2::from_shape((rows, width), whole).unwrap_or(aview2::<T, 0>(&[]))
    }

    /// The values as float64, in rows of `width`; none for text.
    #[must_use]
    pub fn numbers(&self, width: usize) -> Array2<f64> {
        match self {
            Self::Float32(_) => self.rows::<f32>(width).mapv(f64::from),
            Self::Float64(_) => self.rows::<f64>(width).to_owned(),
            Self::Int32(_) => self.rows::<i32>(width).mapv(f64::from),
            Self::Int64(_) => self.rows::<i64>(width).mapv(|number| number as f64),
            Self::Bool(_) => self.rows::<bool>(width).mapv(|flag| f64::from(u8::from(flag))),
            Self::Text(_) => Array2::zeros((0, width)),
        }
    }

    /// The rows of these numbers, each of `width` values.
    #[must_use]
    pub fn picked(&self, rows: &[usize], width: usize) -> Self {
        fn picked<T: Cell>(column: &Column, rows: &[usize], width: usize) -> Vec<T> {
            // What has no width has no rows to pick either.
            let rows = if width == 0 { &[] } else { rows };
            column.rows::<T>(width).select(Axis(0), rows).into_raw_vec_and_offset().0
        }
        match self {
            Self::Float32(_) => Self::Float32(picked(self, rows, width)),
            Self::Float64(_) => Self::Float64(picked(self, rows, width)),
            Self::Int32(_) => Self::Int32(picked(self, rows, width)),
            Self::Int64(_) => Self::Int64(picked(self, rows, width)),
            Self::Bool(_) => Self::Bool(picked(self, rows, width)),
            Self::Text(_) => Self::Text(picked(self, rows, width)),
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

impl Tensor {
    /// The values, row by row; no rows of another type than `T`, nor of no width.
    #[must_use]
    pub fn rows<T: Cell>(&self) -> ArrayView2<'_, T> {
        self.values.rows(self.width)
    }
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

    /// A batch of these tensors, which have so many rows.
    pub(crate) fn of(rows: usize, tensors: Vec<Tensor>) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_those_of_a_type_and_a_width() {
        let column = Column::Float32(vec![1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(column.rows::<f32>(2), ndarray::array![[1.0, 2.0], [3.0, 4.0]]);
        assert_eq!(column.rows::<f64>(2).dim(), (0, 2));
        assert_eq!(column.rows::<f32>(0).dim(), (0, 0));
        assert_eq!(column.numbers(5), ndarray::array![[1.0, 2.0, 3.0, 4.0, 5.0]]);
        assert!(Column::Text(vec!["1".into()]).numbers(1).is_empty());
    }

    #[test]
    fn rows_are_picked_in_any_order_and_several_times() {
        let column = Column::Text(["a", "b", "c", "d"].map(str::to_owned).to_vec());
        assert_eq!(
            column.picked(&[1, 0, 1], 2),
            Column::Text(["c", "d", "a", "b", "c", "d"].map(str::to_owned).to_vec())
        );
        assert_eq!(Column::Int64(vec![]).picked(&[0, 1], 0), Column::Int64(vec![]));
    }
}
