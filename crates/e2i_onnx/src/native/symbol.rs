//! What a tensor of a graph is known to be while it is lowered.

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

/// A value of the plan as a tensor: axes of length 1, the axis of the rows, the axes of a row.
#[derive(Debug, Clone)]
pub(super) struct RowValue {
    pub id: ValueId,
    pub element: ElementType,
    /// How many axes of length 1 stand before the axis of the rows.
    pub before: usize,
    /// The axes after the axis of the rows.
    pub axes: Vec<usize>,
}

/// Where an axis of a tensor with rows lies.
pub(super) enum Axis {
    /// Before the rows: its length is 1.
    Before,
    /// The rows.
    Rows,
    /// An axis of a row, by its index in [`RowValue::axes`].
    Inner(usize),
}

impl RowValue {
    pub(super) fn rank(&self) -> usize {
        self.before + 1 + self.axes.len()
    }

    /// Finds an axis by its number, negative ones from the end.
    pub(super) fn axis(&self, axis: i64) -> Lowered<Axis> {
        let place = place(axis, self.rank())?;
        Ok(match place.checked_sub(self.before) {
            None => Axis::Before,
            Some(0) => Axis::Rows,
            Some(inner) => Axis::Inner(inner - 1),
        })
    }

    /// An axis of a row.
    pub(super) fn inner_axis(&self, axis: i64) -> Lowered<usize> {
        match self.axis(axis)? {
            Axis::Inner(inner) => Ok(inner),
            Axis::Rows => Err("it works along the axis of the rows".into()),
            Axis::Before => Err("it works along an axis before that of the rows".into()),
        }
    }

    pub(super) fn width(&self) -> Lowered<usize> {
        product(&self.axes)
    }

    /// Cells before, of and after an axis of a row: `outer × length × inner`.
    pub(super) fn around(&self, axis: usize) -> Lowered<(usize, usize, usize)> {
        let length = *self.axes.get(axis).ok_or("an axis is missing")?;
        Ok((product(&self.axes[..axis])?, length, product(&self.axes[axis + 1..])?))
    }
}
