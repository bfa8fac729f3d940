//! What is known of the rows of a batch before they are bound: what a cell can be.
//!
//! It may come from a query or from anywhere; nobody relies on it. Who computes less for what is known looks at each row first,
//! and computes all for one that is otherwise.
//!
//! What does not belong here: where it is known from, and what becomes of it.

mod said;

pub use said::{Given, Said};

/// Most ranges, or texts, that are told apart.
pub const MOST_RANGES: usize = 32;

/// What a cell can be.
#[derive(Debug, Clone, PartialEq)]
pub enum Possible {
    /// Numbers.
    Numbers(Numbers),
    /// One of these texts.
    Texts(Vec<String>),
}

/// Numbers in closed ranges, which ascend and do not overlap, and perhaps NaN.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Numbers {
    /// The ranges.
    pub ranges: Vec<(f64, f64)>,
    /// Whether it can be NaN.
    pub nan: bool,
}

impl Numbers {
    /// Any number, and NaN.
    #[must_use]
    pub fn any() -> Self {
        Self { ranges: vec![(f64::NEG_INFINITY, f64::INFINITY)], nan: true }
    }

    /// Those of some ranges, in any order; NaN ends are no ranges. Of too many the gaps between them are left out.
    #[must_use]
    pub fn of(ranges: impl IntoIterator<Item = (f64, f64)>, nan: bool) -> Self {
        let mut all: Vec<(f64, f64)> = ranges.into_iter().filter(|(low, high)| low <= high).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut ranges: Vec<(f64, f64)> = vec![];
        for (low, high) in all {
            match ranges.last_mut().filter(|last| low <= last.1) {
                Some(last) => last.1 = last.1.max(high),
                None => ranges.push((low, high)),
            }
        }
        if ranges.len() > MOST_RANGES
            && let (Some(first), Some(last)) = (ranges.first(), ranges.last())
        {
            ranges = vec![(first.0, last.1)];
        }
        Self { ranges, nan }
    }

    /// The numbers that these and others have in common.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let both = |a: &(f64, f64), b: &(f64, f64)| (a.0.max(b.0), a.1.min(b.1));
        let all = self.ranges.iter().flat_map(|a| other.ranges.iter().map(move |b| both(a, b)));
        Self::of(all, self.nan && other.nan)
    }

    /// Whether every number is possible.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.ranges == [(f64::NEG_INFINITY, f64::INFINITY)]
    }

    /// Whether a number is one of them.
    #[inline]
    #[must_use]
    pub fn hold(&self, number: f64) -> bool {
        if number.is_nan() {
            return self.nan;
        }
        self.ranges.iter().any(|(low, high)| *low <= number && number <= *high)
    }
}

/// What is known of the cells of a batch: tensor, position in it, what the cell can be. Each cell once.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Known {
    /// The cells.
    pub cells: Vec<(usize, usize, Possible)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_sorted_and_joined_and_have_no_end_of_nan() {
        let numbers = Numbers::of([(5.0, 6.0), (f64::NAN, 1.0), (1.0, 2.0), (2.0, 3.0), (9.0, 8.0)], false);
        assert_eq!(numbers.ranges, [(1.0, 3.0), (5.0, 6.0)]);
        assert!(numbers.hold(3.0) && numbers.hold(5.5) && !numbers.hold(4.0) && !numbers.hold(f64::NAN));
        let many = Numbers::of((0..100).map(|at| (f64::from(at), f64::from(at))), true);
        assert_eq!((many.ranges, many.nan), (vec![(0.0, 99.0)], true));
    }

    #[test]
    fn what_two_have_in_common() {
        let (some, most) = (Numbers::of([(1.0, 3.0), (5.0, 9.0)], true), Numbers::of([(2.0, 6.0)], false));
        assert_eq!(some.and(&most), Numbers { ranges: vec![(2.0, 3.0), (5.0, 6.0)], nan: false });
        assert_eq!(some.and(&Numbers::any()), some);
        assert!(Numbers::any().is_any() && Numbers::any().hold(f64::NAN));
        assert!(Numbers::of([(1.0, 1.0)], false).and(&Numbers::of([(2.0, 2.0)], false)).ranges.is_empty());
    }

    #[test]
    fn zero_has_no_sign() {
        assert!(Numbers::of([(0.0, 0.0)], false).hold(-0.0) && Numbers::of([(-0.0, -0.0)], false).hold(0.0));
    }
}
