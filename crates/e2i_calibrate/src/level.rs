//! The level that intervals and sets are to hold, and the rank that it means.

use e2i_core::{Error, Kind, Result};

/// A share between 0 and 1 as the decimal that people write: 0.8 is 8/10 and not the float beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    numerator: u128,
    denominator: u128,
}

/// Most decimals that are told apart; a level with more is smaller than one row of as many as there can be.
const DECIMALS: u32 = 24;

impl Level {
    /// The level of the shortest decimal that is read as this float.
    ///
    /// # Errors
    /// [`Kind::BadOption`] for what is not between 0 and 1.
    pub fn new(level: f64) -> Result<Self> {
        if !(level > 0.0 && level < 1.0) {
            let message = format!("the level is {level}, and must be greater than 0 and less than 1");
            return Err(Error::new(Kind::BadOption, message).with_hint("Say level => 0.9 for nine rows of ten."));
        }
        let text = format!("{level:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let decimals = digits.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        let exponent: i64 = exponent.parse().unwrap_or_default();
        let numerator: u128 = digits.replace('.', "").parse().unwrap_or(1);
        let places = u32::try_from(decimals as i64 - exponent).unwrap_or_default();
        Ok(match places > DECIMALS {
            true => Self { numerator: 1, denominator: 10_u128.pow(DECIMALS) },
            false => Self { numerator, denominator: 10_u128.pow(places) },
        })
    }

    /// The level of each side where two sides miss half each: (1 + level) / 2.
    #[must_use]
    pub fn of_one_side(self) -> Self {
        Self { numerator: self.numerator + self.denominator, denominator: 2 * self.denominator }
    }

    /// The rank of the score that holds the level among so many: ceil((n + 1) level), counted from 1. Greater than `n` where there are
    /// too few (Vovk, Gammerman and Shafer 2005).
    #[must_use]
    pub fn rank(self, n: usize) -> usize {
        let rank = ((n as u128 + 1) * self.numerator).div_ceil(self.denominator);
        usize::try_from(rank).unwrap_or(usize::MAX)
    }

    /// The nearest float.
    #[must_use]
    pub fn share(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_counted_in_decimals() {
        let rank = |level, n| Level::new(level).unwrap().rank(n);
        assert_eq!(rank(0.8, 44), 36, "0.8 of 45 is 36");
        assert_eq!(rank(0.9, 9), 9);
        assert_eq!(rank(0.9, 8), 9, "too few");
        assert_eq!(rank(0.95, 19), 19);
        assert_eq!(rank(0.7, 9), 7);
        assert_eq!(rank(0.07, 99), 7, "as a float 0.07 * 100 is more than 7");
        assert_eq!(rank(0.29, 99), 29, "as a float 0.29 * 100 is less than 29");
    }

    /// Against whole numbers: a level of hundredths.
    #[test]
    fn every_level_of_hundredths_has_its_rank() {
        for hundredths in 1..100_usize {
            let level = Level::new(hundredths as f64 / 100.0).unwrap();
            for n in 0..500 {
                assert_eq!(level.rank(n), ((n + 1) * hundredths).div_ceil(100), "{hundredths} of {n}");
                assert_eq!(level.of_one_side().rank(n), ((n + 1) * (100 + hundredths)).div_ceil(200));
            }
        }
    }

    #[test]
    fn what_is_no_level_is_refused() {
        for level in [0.0, 1.0, 2.0, -0.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0] {
            assert_eq!(Level::new(level).unwrap_err().kind(), Kind::BadOption, "{level}");
        }
    }

    #[test]
    fn levels_at_the_ends_have_ranks() {
        for level in [f64::MIN_POSITIVE, 5e-324, 1e-30, 1e-17] {
            assert_eq!(Level::new(level).unwrap().rank(1_000_000), 1, "{level}");
        }
        assert_eq!(Level::new(1.0 - f64::EPSILON / 2.0).unwrap().rank(1000), 1001);
    }
}
