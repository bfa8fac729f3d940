//! Scores of rows whose truth is known, in order: the quantile function of a conformal method.

use crate::level::Level;

/// How far a sum of weights may be from what a level asks for and count as it: sums of floats are not exact.
const ROUNDING: f64 = 1e-12;

/// Scores in ascending order, with the weights of their rows where those have some.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scores {
    sorted: Vec<f64>,
    /// In the order of the scores.
    weights: Option<Vec<f64>>,
    /// The sum of the weights up to each score.
    sums: Vec<f64>,
}

impl Scores {
    /// Puts scores in order; there are as many weights as scores, none of them negative.
    #[must_use]
    pub fn new(scores: Vec<f64>, weights: Option<Vec<f64>>) -> Self {
        let Some(weights) = weights else {
            let mut sorted = scores;
            sorted.sort_by(f64::total_cmp);
            return Self { sorted, weights: None, sums: vec![] };
        };
        let mut pairs: Vec<(f64, f64)> = scores.into_iter().zip(weights).collect();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (sorted, weights): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
        let mut sum = 0.0;
        let sums = weights.iter().map(|weight| {
            sum += weight;
            sum
        });
        let sums = sums.collect();
        Self { sorted, weights: Some(weights), sums }
    }

    /// The scores in ascending order.
    #[must_use]
    pub fn sorted(&self) -> &[f64] {
        &self.sorted
    }

    /// Their weights, if they have some.
    #[must_use]
    pub fn weights(&self) -> Option<&[f64]> {
        self.weights.as_deref()
    }

    /// The score that holds a level: of the rank `Level::rank`, without interpolation. With weights the least one that has, with those
    /// before it, the level's share of all weights and of 1, which is the weight of the row that is predicted (Barber and others 2023).
    /// Infinite where there are too few.
    #[must_use]
    pub fn quantile(&self, level: Level) -> f64 {
        let place = if self.weights.is_some() {
            let all = self.sums.last().copied().unwrap_or_default() + 1.0;
            let wanted = level.share() * all - ROUNDING * all;
            self.sums.partition_point(|sum| *sum < wanted)
        } else {
            level.rank(self.sorted.len()) - 1
        };
        self.sorted.get(place).copied().unwrap_or(f64::INFINITY)
    }

    /// The share of rows, by weight, whose scores are no greater.
    #[must_use]
    pub fn share_within(&self, score: f64) -> f64 {
        let within = self.sorted.partition_point(|other| *other <= score);
        match (&self.weights, self.sums.last()) {
            (Some(_), Some(all)) if within > 0 => self.sums[within - 1] / all,
            _ => within as f64 / self.sorted.len().max(1) as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use e2i_core::random::Random;

    fn level(level: f64) -> Level {
        Level::new(level).unwrap()
    }

    #[test]
    fn the_quantile_is_a_score_and_infinite_where_there_are_too_few() {
        let scores = Scores::new((1..=44).rev().map(f64::from).collect(), None);
        assert_eq!(scores.quantile(level(0.8)), 36.0);
        assert_eq!(scores.quantile(level(0.97)), 44.0);
        assert_eq!(scores.quantile(level(0.98)), f64::INFINITY);
        assert_eq!(Scores::default().quantile(level(0.01)), f64::INFINITY);
        assert_eq!(scores.share_within(36.0), 36.0 / 44.0);
        assert_eq!(scores.share_within(f64::INFINITY), 1.0);
    }

    /// A weight of 1 is a row, 2 are two of them, and 0 is none.
    #[test]
    fn weights_are_numbers_of_rows() {
        let mut random = Random(7);
        for n in 1..80_usize {
            let scores: Vec<f64> = (0..n).map(|_| random.share()).collect();
            let counts: Vec<usize> = (0..n).map(|_| random.below(4)).collect();
            let repeated = scores.iter().zip(&counts).flat_map(|(score, count)| std::iter::repeat_n(*score, *count));
            let repeated = Scores::new(repeated.collect(), None);
            let ones = Scores::new(scores.clone(), Some(vec![1.0; n]));
            let plain = Scores::new(scores.clone(), None);
            let weighted = Scores::new(scores, Some(counts.into_iter().map(|count| count as f64).collect()));
            for hundredths in 1..100 {
                let level = level(f64::from(hundredths) / 100.0);
                assert_eq!(ones.quantile(level), plain.quantile(level), "{n} rows, level {hundredths}");
                assert_eq!(weighted.quantile(level), repeated.quantile(level), "{n} rows, level {hundredths}");
            }
        }
    }

    /// What conformal prediction promises: of rows that are like each other a share of `level` or more, and at most 1/(n+1) above it.
    #[test]
    fn the_promise_is_kept() {
        let mut random = Random(1);
        for (n, level) in [(19, 0.9), (44, 0.8), (99, 0.95)].map(|(n, share)| (n, level(share))) {
            let (mut within, trials) = (0, 20_000);
            for _ in 0..trials {
                let scores = Scores::new((0..n).map(|_| random.share()).collect(), None);
                within += usize::from(random.share() <= scores.quantile(level));
            }
            let coverage = within as f64 / f64::from(trials);
            let exact = level.rank(n) as f64 / (n + 1) as f64;
            assert!((coverage - exact).abs() < 4.0 * (exact * (1.0 - exact) / f64::from(trials)).sqrt(), "{coverage}");
        }
    }
}
