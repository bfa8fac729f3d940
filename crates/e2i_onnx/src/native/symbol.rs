//! What a tensor of a graph is known to be while it is lowered.

use std::cmp::Ordering;

use e2i_core::ElementType;
use e2i_core::native::ValueId;

use super::Lowered;
pub(super) use super::axes::{broadcast, numbered, place, product, stretched};
use super::constant::Constant;

/// A tensor.
#[derive(Debug, Clone)]
pub(super) enum Symbol {
    /// Known now.
    Constant(Constant),
    /// A list of axis lengths, or one of them; `None` is the number of rows.
    Dimensions(Vec<Option<i64>>),
    /// A value of the plan.
    Rows(RowValue),
}

impl Symbol {
    /// How many numbers a copy of it copies.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Constant(constant) => constant.size(),
            Self::Dimensions(lengths) => lengths.len(),
            Self::Rows(_) => 0,
        }
    }

    pub(super) fn rank(&self) -> usize {
        match self {
            Self::Constant(constant) => constant.dims.len(),
            Self::Dimensions(_) => 1,
            Self::Rows(value) => value.rank(),
        }
    }
}

/// A value of the plan as a tensor: axes before that of the rows, the axis of the rows, axes after it. The cells of a row are
/// those of its axes before and after, one after the other.
#[derive(Debug, Clone)]
pub(super) struct RowValue {
    pub id: ValueId,
    pub element: ElementType,
    /// The axes before the axis of the rows.
    pub before: Vec<usize>,
    /// The axes after the axis of the rows.
    pub axes: Vec<usize>,
}

/// Where an axis of a tensor with rows lies.
pub(super) enum Axis {
    /// The rows.
    Rows,
    /// An axis of a row, by its index in [`RowValue::cells`].
    Inner(usize),
}

impl RowValue {
    pub(super) fn rank(&self) -> usize {
        self.before.len() + 1 + self.axes.len()
    }

    /// All axes but that of the rows.
    pub(super) fn cells(&self) -> Vec<usize> {
        [self.before.as_slice(), &self.axes].concat()
    }

    /// Finds an axis by its number, negative ones from the end.
    pub(super) fn axis(&self, axis: i64) -> Lowered<Axis> {
        let place = place(axis, self.rank())?;
        Ok(match place.cmp(&self.before.len()) {
            Ordering::Less => Axis::Inner(place),
            Ordering::Equal => Axis::Rows,
            Ordering::Greater => Axis::Inner(place - 1),
        })
    }

    /// An axis of a row.
    pub(super) fn inner_axis(&self, axis: i64) -> Lowered<usize> {
        match self.axis(axis)? {
            Axis::Inner(inner) => Ok(inner),
            Axis::Rows => Err("it works along the axis of the rows".into()),
        }
    }

    pub(super) fn width(&self) -> Lowered<usize> {
        product(&self.cells())
    }

    /// Cells before, of and after an axis of a row: `outer × length × inner`.
    pub(super) fn around(&self, axis: usize) -> Lowered<(usize, usize, usize)> {
        let cells = self.cells();
        let length = *cells.get(axis).ok_or("an axis is missing")?;
        Ok((product(&cells[..axis])?, length, product(&cells[axis + 1..])?))
    }
}
