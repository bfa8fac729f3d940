//! What a tensor of a graph is known to be while it is lowered.

use e2i_core::ElementType;
use e2i_core::native::ValueId;

use super::Lowered;
use super::constant::Constant;

/// Most cells of a row of a value.
const MAX_WIDTH: usize = 1 << 20;

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

/// An axis number as an index, negative ones from the end.
pub(super) fn place(axis: i64, rank: usize) -> Lowered<usize> {
    let place = if axis < 0 { axis.checked_add(rank as i64) } else { Some(axis) };
    place
        .and_then(|place| usize::try_from(place).ok())
        .filter(|place| *place < rank)
        .ok_or_else(|| format!("there is no axis {axis} of {rank}"))
}

/// The number of cells of some axes.
pub(super) fn product(axes: &[usize]) -> Lowered<usize> {
    axes.iter()
        .try_fold(1usize, |product, axis| product.checked_mul(*axis))
        .filter(|product| *product <= MAX_WIDTH)
        .ok_or_else(|| "a row is too wide".to_owned())
}

/// The axes of two operands together; those that are 1 stretch.
pub(super) fn broadcast(left: &[usize], right: &[usize]) -> Lowered<Vec<usize>> {
    let rank = left.len().max(right.len());
    let length = |axes: &[usize], index: usize| (index + axes.len()).checked_sub(rank).map_or(1, |index| axes[index]);
    (0..rank)
        .map(|index| match (length(left, index), length(right, index)) {
            (a, b) if a == b => Ok(a),
            (1, b) => Ok(b),
            (a, 1) => Ok(a),
            (a, b) => Err(format!("axes of {a} and {b} do not fit together")),
        })
        .collect()
}

/// For each cell of `to` axes, which cell of `from` axes it is when those are stretched.
pub(super) fn stretched(from: &[usize], to: &[usize]) -> Lowered<Vec<u32>> {
    let count = product(to)?;
    let mut places = Vec::with_capacity(count);
    for cell in 0..count {
        let (mut rest, mut place, mut stride) = (cell, 0, 1);
        for (back, length) in to.iter().rev().enumerate() {
            let index = rest % length.max(&1);
            rest /= length.max(&1);
            if let Some(own) = from.len().checked_sub(back + 1).map(|axis| from[axis]) {
                place += if own == 1 { 0 } else { index * stride };
                stride *= own;
            }
        }
        places.push(u32::try_from(place).unwrap_or(u32::MAX));
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_of_one_stretch() {
        assert_eq!(broadcast(&[3, 1], &[4]).unwrap(), [3, 4]);
        assert!(broadcast(&[3], &[4]).is_err());
        assert_eq!(stretched(&[2, 1], &[2, 3]).unwrap(), [0, 0, 0, 1, 1, 1]);
        assert_eq!(stretched(&[3], &[2, 3]).unwrap(), [0, 1, 2, 0, 1, 2]);
        assert_eq!(stretched(&[], &[2]).unwrap(), [0, 0]);
    }
}
