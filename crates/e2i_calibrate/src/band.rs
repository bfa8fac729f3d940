//! What a coverage may be by chance.

use e2i_core::Result;

use crate::level::Level;

/// The share of samples that are within the band.
pub const CONFIDENCE: f64 = 0.99;

/// The fewest and the most of `n` rows that are covered by chance where each is with the level's probability, in all but one sample of
/// a hundred: quantiles of the binomial distribution, half of what is missed on each side.
///
/// # Errors
/// What is no level.
pub fn band(n: u64, level: f64) -> Result<(u64, u64)> {
    Level::new(level)?;
    // Terms by their ratio to the greatest one, from there outwards, as long as they count.
    let mode = (((n + 1) as f64 * level).floor() as u64).min(n);
    let odds = level / (1.0 - level);
    let ratio = |k: u64| (n - k) as f64 / (k + 1) as f64 * odds; // of the term of k + 1 to that of k
    let (mut first, mut term, mut terms) = (mode, 1.0, vec![1.0]);
    while first > 0 && term > 1e-18 {
        term /= ratio(first - 1);
        terms.push(term);
        first -= 1;
    }
    terms.reverse();
    let (mut last, mut term) = (mode, 1.0);
    while last < n && term > 1e-18 {
        term *= ratio(last);
        terms.push(term);
        last += 1;
    }
    let all: f64 = terms.iter().sum();
    let tail = (1.0 - CONFIDENCE) / 2.0;
    let quantile = |share: f64| {
        let mut sum = 0.0;
        let place = terms.iter().position(|term| {
            sum += term / all;
            sum >= share
        });
        first + place.unwrap_or(terms.len() - 1) as u64
    };
    Ok((quantile(tail), quantile(1.0 - tail)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy.stats.binom.interval(0.99, n, level), 1.17.1.
    #[test]
    fn the_band_is_that_of_the_binomial_distribution() {
        let expected = [
            ((1, 0.9), (0, 1)),
            ((10, 0.5), (1, 9)),
            ((100, 0.9), (82, 97)),
            ((1000, 0.95), (931, 967)),
            ((100_000, 0.8), (79_674, 80_325)),
            ((10_000_000, 0.9), (8_997_556, 9_002_443)),
        ];
        for ((n, level), (low, high)) in expected {
            assert_eq!(band(n, level).unwrap(), (low, high), "{n} rows at {level}");
        }
        assert_eq!(band(0, 0.9).unwrap(), (0, 0));
        assert!(band(10, 1.0).is_err());
    }
}
