//! How far intervals and sets go at a level.

use std::cell::Cell;

use e2i_core::Result;

use crate::level::Level;
use crate::scores::Scores;

/// How far answers go at a level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Margins {
    /// Downwards; of a set, the greatest score that is in it.
    pub below: f64,
    /// Upwards.
    pub above: f64,
    /// The share of the rows that were calibrated with which that covers.
    pub coverage: f64,
}

/// The scores of a version, or of one group of its rows.
#[derive(Debug, Clone, Default)]
pub struct Spread {
    /// Of both sides; or of the lower one, where the upper one has its own.
    pub scores: Scores,
    /// Of the upper side.
    pub above: Option<Scores>,
    /// What was asked for last: rows of a statement ask for one level.
    last: Cell<Option<(u64, Margins)>>,
}

impl Spread {
    /// Of these scores.
    #[must_use]
    pub fn new(scores: Scores, above: Option<Scores>) -> Self {
        Self { scores, above, last: Cell::new(None) }
    }

    /// How far answers go at a level.
    ///
    /// # Errors
    /// What is no level.
    #[inline]
    pub fn at(&self, level: f64) -> Result<Margins> {
        match self.last.get() {
            Some((bits, margins)) if bits == level.to_bits() => Ok(margins),
            _ => self.found(level),
        }
    }

    #[cold]
    fn found(&self, level: f64) -> Result<Margins> {
        let exact = Level::new(level)?;
        let margins = match &self.above {
            None => {
                let margin = self.scores.quantile(exact);
                Margins { below: margin, above: margin, coverage: self.scores.share_within(margin) }
            }
            Some(upper) => {
                let side = exact.of_one_side();
                let (below, above) = (self.scores.quantile(side), upper.quantile(side));
                // No row is missed on both sides.
                let coverage = self.scores.share_within(below) + upper.share_within(above) - 1.0;
                Margins { below, above, coverage: coverage.max(0.0) }
            }
        };
        self.last.set(Some((level.to_bits(), margins)));
        Ok(margins)
    }

    /// Where nothing is known: everything is possible.
    ///
    /// # Errors
    /// What is no level.
    pub fn of_nothing(level: f64) -> Result<Margins> {
        Self::default().at(level).map(|margins| Margins { coverage: f64::NAN, ..margins })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_of_their_own_are_at_half_of_what_is_missed() {
        let scores = |from: i32| Scores::new((from..from + 39).map(f64::from).collect(), None);
        let spread = Spread::new(scores(0), Some(scores(100)));
        let margins = spread.at(0.9).unwrap();
        assert_eq!((margins.below, margins.above), (37.0, 137.0), "0.95 of 40 is 38");
        assert!((margins.coverage - (1.0 - 2.0 / 39.0)).abs() < 1e-12);
        assert_eq!(spread.at(0.96).unwrap().above, f64::INFINITY);
        assert!(spread.at(1.5).is_err());
        assert_eq!(spread.at(0.9).unwrap(), margins);
    }

    #[test]
    fn where_nothing_is_known_everything_is_possible() {
        let margins = Spread::of_nothing(0.5).unwrap();
        assert!(margins.below.is_infinite() && margins.above.is_infinite() && margins.coverage.is_nan());
        assert!(Spread::of_nothing(f64::NAN).is_err());
    }
}
