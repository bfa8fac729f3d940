//! Where the rows of a call lie in what the runtime gives: on which axis.
//!
//! A graph declares that, and declarations are wrong now and then; so an axis is believed only as far as its length is the
//! number of rows of the call.

use ndarray::{ArrayViewD, Axis};

/// The axis of an output that the graph declares as that of the rows, and how many numbers a row then has, where known: the
/// only free axis, else the first.
pub(crate) fn declared(axes: &[Option<usize>]) -> (usize, Option<usize>) {
    let mut free = axes.iter().enumerate().filter(|(_, axis)| axis.is_none()).map(|(index, _)| index);
    let rows_axis = match (free.next(), free.next()) {
        (Some(only), None) => only,
        _ => 0,
    };
    let others = axes.iter().enumerate().filter(|(index, _)| *index != rows_axis);
    (rows_axis, others.map(|(_, axis)| *axis).try_fold(1usize, |product, axis| product.checked_mul(axis?)))
}

/// The axis that is as long as each of these calls had rows, if there is just one such axis.
pub(crate) fn axis_of_rows(calls: &[(&[usize], usize)]) -> Option<usize> {
    let (first, _) = calls.first()?;
    let fits = |axis: &usize| calls.iter().all(|(axes, rows)| axes.len() == first.len() && axes[*axis] == *rows);
    let mut fitting = (0..first.len()).filter(fits);
    fitting.next().filter(|_| fitting.next().is_none())
}

/// A tensor that was given for `rows` rows, which lie on `axis`, with that axis first; `None` when they do not lie there. What
/// is given for a single row is all that row's, wherever it lies, if it is as many numbers as are expected.
pub(crate) fn rows_first<T>(
    mut cells: ArrayViewD<'_, T>,
    rows: usize,
    axis: usize,
    expected: Option<usize>,
) -> Option<ArrayViewD<'_, T>> {
    if cells.shape().get(axis) == Some(&rows) {
        (0..axis).rev().for_each(|place| cells.swap_axes(place, place + 1));
        return Some(cells);
    }
    let fits = rows == 1 && expected.is_none_or(|expected| expected == cells.len());
    fits.then(|| cells.insert_axis(Axis(0)))
}

#[cfg(test)]
mod tests {
    use ndarray::ArrayD;

    use super::*;

    #[test]
    fn the_only_free_axis_holds_the_rows() {
        assert_eq!(declared(&[None, Some(3)]), (0, Some(3)));
        assert_eq!(declared(&[Some(2), None, Some(3)]), (1, Some(6)));
        assert_eq!(declared(&[None, None]), (0, None));
        assert_eq!(declared(&[Some(1), Some(4)]), (0, Some(4)));
        assert_eq!(declared(&[None]), (0, Some(1)));
        assert_eq!(declared(&[]), (0, Some(1)));
    }

    #[test]
    fn an_axis_that_follows_the_number_of_rows_holds_them() {
        assert_eq!(axis_of_rows(&[(&[2, 3], 3), (&[2, 2], 2)]), Some(1));
        assert_eq!(axis_of_rows(&[(&[3, 3], 3), (&[2, 2], 2)]), None);
        assert_eq!(axis_of_rows(&[(&[1], 3), (&[1], 2)]), None);
        assert_eq!(axis_of_rows(&[(&[3], 3), (&[], 2)]), None);
    }

    #[test]
    fn rows_on_any_axis_come_first() {
        let first = |axes: &[usize], rows, axis, expected| {
            let cells = ArrayD::from_shape_vec(axes, (0..axes.iter().product()).collect()).unwrap();
            rows_first(cells.view(), rows, axis, expected).map(|cells| cells.iter().copied().collect::<Vec<usize>>())
        };
        assert_eq!(first(&[3, 2], 3, 0, None), Some(vec![0, 1, 2, 3, 4, 5]));
        assert_eq!(first(&[2, 3], 3, 1, None), Some(vec![0, 3, 1, 4, 2, 5]));
        assert_eq!(first(&[2, 3, 1], 3, 1, None), Some(vec![0, 3, 1, 4, 2, 5]));
        assert_eq!(first(&[2, 2, 2], 2, 1, None), Some(vec![0, 1, 4, 5, 2, 3, 6, 7]));
        assert_eq!(first(&[2, 2, 2], 2, 2, None), Some(vec![0, 2, 4, 6, 1, 3, 5, 7]));
        assert_eq!(first(&[2, 3], 2, 1, None), None);
        assert_eq!(first(&[], 1, 0, None), Some(vec![0]));
        assert_eq!(first(&[3, 2], 1, 0, Some(2)), None);
    }
}
