//! Where the rows of a call lie in what the runtime gives: on which axis, and how their cells are gathered.
//!
//! A graph declares that, and declarations are wrong now and then; so an axis is believed only as far as its length is the
//! number of rows of the call.

use e2i_core::Column;

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

/// How the cells of a tensor are dealt to rows: `before × rows × after`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    before: usize,
    rows: usize,
    after: usize,
}

impl Layout {
    /// The layout of a tensor with these axes, given for `rows` rows that lie on `axis`; `None` when they do not. What is
    /// given for a single row is all that row's, wherever it lies, if it is as many numbers as are expected.
    pub(crate) fn of(axes: &[i64], rows: usize, axis: usize, expected: Option<usize>) -> Option<Self> {
        let product = |axes: &[i64]| {
            axes.iter().try_fold(1usize, |product, axis| product.checked_mul(usize::try_from(*axis).ok()?))
        };
        if axes.get(axis).is_some_and(|length| usize::try_from(*length) == Ok(rows)) {
            return Some(Self { before: product(&axes[..axis])?, rows, after: product(&axes[axis + 1..])? });
        }
        let count = product(axes)?;
        (rows == 1 && expected.is_none_or(|expected| expected == count)).then_some(Self {
            before: 1,
            rows,
            after: count,
        })
    }

    /// Numbers a row.
    pub(crate) fn width(self) -> usize {
        self.before * self.after
    }

    /// Puts the cells from `start` on in the order of the rows.
    pub(crate) fn gather(self, column: &mut Column, start: usize) {
        if self.before <= 1 || self.rows <= 1 {
            return;
        }
        match column {
            Column::Float32(cells) => self.gathered(&mut cells[start..]),
            Column::Float64(cells) => self.gathered(&mut cells[start..]),
            Column::Int32(cells) => self.gathered(&mut cells[start..]),
            Column::Int64(cells) => self.gathered(&mut cells[start..]),
            Column::Bool(cells) => self.gathered(&mut cells[start..]),
            Column::Text(cells) => self.gathered(&mut cells[start..]),
        }
    }

    fn gathered<T: Clone>(self, cells: &mut [T]) {
        let given = cells.to_vec();
        let parts = (0..self.rows).flat_map(|row| (0..self.before).map(move |before| before * self.rows + row));
        for (part, into) in parts.zip(cells.chunks_exact_mut(self.after.max(1))) {
            into.clone_from_slice(&given[part * self.after..(part + 1) * self.after]);
        }
    }
}

#[cfg(test)]
mod tests {
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
    fn rows_on_any_axis_are_gathered() {
        let gathered = |axes: &[i64], rows, axis| {
            let mut column = Column::Int64((-1..axes.iter().product()).collect());
            let layout = Layout::of(axes, rows, axis, None)?;
            layout.gather(&mut column, 1);
            Some((layout.width(), column))
        };
        assert_eq!(gathered(&[3, 2], 3, 0), Some((2, Column::Int64(vec![-1, 0, 1, 2, 3, 4, 5]))));
        assert_eq!(gathered(&[2, 3], 3, 1), Some((2, Column::Int64(vec![-1, 0, 3, 1, 4, 2, 5]))));
        assert_eq!(gathered(&[2, 3, 1], 3, 1), Some((2, Column::Int64(vec![-1, 0, 3, 1, 4, 2, 5]))));
        assert_eq!(gathered(&[2, 2, 2], 2, 1), Some((4, Column::Int64(vec![-1, 0, 1, 4, 5, 2, 3, 6, 7]))));
        assert_eq!(gathered(&[2, 3], 2, 1), None);
        assert_eq!(gathered(&[], 1, 0), Some((1, Column::Int64(vec![-1, 0]))));
        assert_eq!(Layout::of(&[3, 2], 1, 0, Some(2)), None);
    }
}
