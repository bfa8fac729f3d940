//! Axes and the cells between them.

use super::Lowered;

/// Most cells of a row of a value.
const MAX_WIDTH: usize = 1 << 20;

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
