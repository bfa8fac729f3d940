//! How much features matter over many rows: the mean size of what each adds, and, of rows that were drawn, how far that mean may be from
//! the one of all.
//!
//! What does not belong here: which rows, and how they are explained.

/// Sizes of contributions that are added up row by row.
#[derive(Debug, Clone)]
pub struct Importance {
    rows: u64,
    /// For each feature the mean size until now.
    means: Vec<f64>,
    /// And the sum of squares around it.
    squares: Vec<f64>,
}

/// How much one feature matters.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// Which feature, from 0 on.
    pub feature: usize,
    /// The mean size of what it adds.
    pub mean: f64,
    /// Which part that is of the sum over all features; 0 where none adds anything.
    pub share: f64,
    /// The standard error of the mean of what was drawn of more rows; 0 of all of them, and `None` of a single one of several.
    pub error: Option<f64>,
}

impl Importance {
    /// Of so many features, over no rows yet.
    #[must_use]
    pub fn new(features: usize) -> Self {
        Self { rows: 0, means: vec![0.0; features], squares: vec![0.0; features] }
    }

    /// Takes in what each feature adds to one row.
    pub fn add(&mut self, contributions: &[f64]) {
        self.rows += 1;
        let rows = self.rows as f64;
        // By differences from the mean, as sums of squares would cancel.
        for ((mean, square), contribution) in self.means.iter_mut().zip(&mut self.squares).zip(contributions) {
            let before = contribution.abs() - *mean;
            *mean += before / rows;
            *square += before * (contribution.abs() - *mean);
        }
    }

    /// Rows that were taken in.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// All features, those that matter most first, of equal ones the first; `read` is how many rows there are that these were drawn of.
    #[must_use]
    pub fn ranked(&self, read: u64) -> Vec<Share> {
        let (all, rows) = (self.means.iter().sum::<f64>(), self.rows as f64);
        // Of all rows the mean is no estimate.
        let left = (1.0 - rows / read as f64).max(0.0);
        let error = |square: f64| match self.rows {
            _ if self.rows >= read => Some(0.0),
            1 => None,
            _ => Some((square / (rows - 1.0) / rows * left).sqrt()),
        };
        let of = |feature: usize| Share {
            feature,
            mean: self.means[feature],
            share: if all > 0.0 { self.means[feature] / all } else { 0.0 },
            error: error(self.squares[feature]),
        };
        let mut ranked: Vec<Share> = (0..self.means.len()).map(of).collect();
        ranked.sort_by(|a, b| b.mean.total_cmp(&a.mean));
        ranked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_of_sizes_have_shares_and_the_error_of_a_mean() {
        let mut importance = Importance::new(3);
        let rows = [[1.0, -2.0, 0.0], [-3.0, 2.5, 0.0], [0.5, 8.0, 0.0], [1.5, -0.25, 0.0]];
        rows.iter().for_each(|row| importance.add(row));
        let ranked = importance.ranked(8);
        assert_eq!(ranked.iter().map(|share| share.feature).collect::<Vec<_>>(), [1, 0, 2]);
        let (second, first) = (12.75 / 4.0, 6.0 / 4.0);
        assert!((ranked[0].mean - second).abs() < 1e-15 && (ranked[1].mean - first).abs() < 1e-15);
        assert!((ranked[0].share - second / (first + second)).abs() < 1e-15);
        // The sample's standard deviation, divided by the root of its size; it is half of all rows.
        let sizes: [f64; 4] = [1.0, 3.0, 0.5, 1.5];
        let variance = sizes.iter().map(|size| (size - first).powi(2)).sum::<f64>() / 3.0;
        assert!((ranked[1].error.unwrap() - (variance / 4.0 / 2.0).sqrt()).abs() < 1e-15);
        assert!(importance.ranked(4).iter().all(|share| share.error == Some(0.0)));
        assert_eq!(ranked[2], Share { feature: 2, mean: 0.0, share: 0.0, error: Some(0.0) });
    }

    #[test]
    fn one_row_has_no_error_and_nothing_has_no_shares() {
        let mut importance = Importance::new(2);
        importance.add(&[0.0, 0.0]);
        assert!(importance.ranked(2).iter().all(|share| share.share == 0.0 && share.error.is_none()));
        assert_eq!(importance.rows(), 1);
    }
}
