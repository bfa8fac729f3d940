//! Axes and the cells between them.

use ndarray::ArrayD;

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

/// The cells of a tensor by their number, under its axes: what is done to the axes is done to these.
pub(super) fn numbered(axes: &[usize]) -> Lowered<ArrayD<u32>> {
    let count = axes.iter().try_fold(1usize, |product, axis| product.checked_mul(*axis));
    let count = count.and_then(|count| u32::try_from(count).ok()).ok_or("a tensor is too large")?;
    ArrayD::from_shape_vec(axes, (0..count).collect()).map_err(|error| error.to_string())
}

/// For each cell of `to` axes, which cell of `from` axes it is when those are stretched.
pub(super) fn stretched(from: &[usize], to: &[usize]) -> Lowered<ArrayD<u32>> {
    product(to)?;
    let numbered = numbered(from)?;
    numbered
        .broadcast(to)
        .map(|cells| cells.to_owned())
        .ok_or_else(|| format!("axes {from:?} do not stretch to {to:?}"))
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn axes_of_one_stretch() {
        assert_eq!(broadcast(&[3, 1], &[4]).unwrap(), [3, 4]);
        assert!(broadcast(&[3], &[4]).is_err());
        assert_eq!(stretched(&[2, 1], &[2, 3]).unwrap(), array![[0, 0, 0], [1, 1, 1]].into_dyn());
        assert_eq!(stretched(&[3], &[2, 3]).unwrap(), array![[0, 1, 2], [0, 1, 2]].into_dyn());
        assert_eq!(stretched(&[], &[2]).unwrap(), array![0, 0].into_dyn());
        assert!(stretched(&[2], &[3]).is_err());
        assert!(numbered(&[1 << 40, 1 << 40]).is_err());
    }
}
