//! Where the numbers of rows are read: one after the other, row by row, or each column from a place of its own.

use super::super::number::Given;
use super::super::registers::BLOCK;

/// Rows of numbers. No batch has to be laid out anew for trees.
#[derive(Debug, Clone, Copy)]
pub enum Rows<'a> {
    /// float32, row after row.
    Single(&'a [f32]),
    /// float64, row after row.
    Double(&'a [f64]),
    /// A column each.
    Columns(&'a [Strided<'a>]),
}

/// The numbers of a column: every so many of some cells, from the first on.
#[derive(Debug, Clone, Copy)]
pub enum Strided<'a> {
    /// float32, and how far those of two rows are apart.
    Single(&'a [f32], usize),
    /// float64, likewise.
    Double(&'a [f64], usize),
}

impl Rows<'_> {
    /// Whether they are `rows` rows of `width` numbers.
    pub(in crate::native::forest) fn are(&self, rows: usize, width: usize) -> bool {
        match self {
            Self::Single(cells) => rows.checked_mul(width) == Some(cells.len()),
            Self::Double(cells) => rows.checked_mul(width) == Some(cells.len()),
            Self::Columns(columns) => columns.len() == width && columns.iter().all(|column| column.has(rows)),
        }
    }
}

impl Strided<'_> {
    fn has(&self, rows: usize) -> bool {
        let (cells, stride) = match self {
            Self::Single(cells, stride) => (cells.len(), stride),
            Self::Double(cells, stride) => (cells.len(), stride),
        };
        rows == 0 || (rows - 1).checked_mul(*stride).is_some_and(|last| last < cells)
    }
}

/// Rows to read numbers of type `T` from.
pub(in crate::native::forest) trait Source<T>: Copy {
    type Row: SourceRow<T>;

    fn row(self, row: usize) -> Self::Row;
    /// The numbers of a column in up to [`BLOCK`] rows.
    fn column(self, column: usize, rows: std::ops::Range<usize>, into: &mut [T; BLOCK]);
}

/// One row.
pub(in crate::native::forest) trait SourceRow<T>: Copy {
    fn number(self, column: usize) -> T;
}

/// Row after row.
#[derive(Clone, Copy)]
pub(in crate::native::forest) struct RowMajor<'a, E> {
    pub cells: &'a [E],
    pub width: usize,
}

impl<'a, T, E: Given<T>> Source<T> for RowMajor<'a, E> {
    type Row = &'a [E];

    #[inline(always)]
    fn row(self, row: usize) -> &'a [E] {
        &self.cells[row * self.width..(row + 1) * self.width]
    }

    #[inline(always)]
    fn column(self, column: usize, rows: std::ops::Range<usize>, into: &mut [T; BLOCK]) {
        let cells = &self.cells[rows.start * self.width..rows.end * self.width];
        for (into, row) in into.iter_mut().zip(cells.chunks_exact(self.width.max(1))) {
            *into = row[column].given();
        }
    }
}

impl<T, E: Given<T>> SourceRow<T> for &[E] {
    #[inline(always)]
    fn number(self, column: usize) -> T {
        self[column].given()
    }
}

impl<'a, T> Source<T> for &'a [Strided<'a>]
where
    f32: Given<T>,
    f64: Given<T>,
{
    type Row = StridedRow<'a>;

    #[inline(always)]
    fn row(self, row: usize) -> StridedRow<'a> {
        StridedRow { columns: self, row }
    }

    #[inline(always)]
    fn column(self, column: usize, rows: std::ops::Range<usize>, into: &mut [T; BLOCK]) {
        fn fill<T, E: Given<T>>(cells: &[E], stride: usize, rows: std::ops::Range<usize>, into: &mut [T; BLOCK]) {
            if stride == 1 {
                into.iter_mut().zip(&cells[rows]).for_each(|(into, cell)| *into = cell.given());
            } else {
                into.iter_mut().zip(rows).for_each(|(into, row)| *into = cells[row * stride].given());
            }
        }
        match self[column] {
            Strided::Single(cells, stride) => fill(cells, stride, rows, into),
            Strided::Double(cells, stride) => fill(cells, stride, rows, into),
        }
    }
}

/// A row whose columns lie each in a place of its own.
#[derive(Clone, Copy)]
pub(in crate::native::forest) struct StridedRow<'a> {
    columns: &'a [Strided<'a>],
    row: usize,
}

impl<T> SourceRow<T> for StridedRow<'_>
where
    f32: Given<T>,
    f64: Given<T>,
{
    #[inline(always)]
    fn number(self, column: usize) -> T {
        match self.columns[column] {
            Strided::Single(cells, stride) => cells[self.row * stride].given(),
            Strided::Double(cells, stride) => cells[self.row * stride].given(),
        }
    }
}
