//! Times in buckets, and percentiles read off them.

/// Upper bounds of the buckets in nanoseconds. From 5 ms on they are those of a model server's own histograms, so that its
/// dashboards can be used as they are; below, five a decade (the R5 series of preferred numbers, ISO 3), because a prediction
/// takes microseconds.
pub const BOUNDS: [u64; 34] = [
    100,
    160,
    250,
    400,
    630, // nanoseconds
    1_000,
    1_600,
    2_500,
    4_000,
    6_300,
    10_000,
    16_000,
    25_000,
    40_000,
    63_000, // microseconds
    100_000,
    160_000,
    250_000,
    400_000,
    630_000,
    1_000_000,
    1_600_000,
    2_500_000,
    4_000_000, // to milliseconds
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000, // a model server's
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
];

/// Buckets: one a bound, and one for what is longer.
pub const BUCKETS: usize = BOUNDS.len() + 1;

/// The bucket of a time: the first whose bound it does not exceed.
#[must_use]
pub fn bucket(nanoseconds: u64) -> usize {
    BOUNDS.partition_point(|bound| *bound < nanoseconds)
}

/// The time that a `share` of all times does not exceed, in nanoseconds, linear within a bucket (as Prometheus'
/// `histogram_quantile`) and never more than the longest. `None` when nothing was timed.
#[must_use]
pub fn quantile(buckets: &[u64; BUCKETS], share: f64, longest: u64) -> Option<f64> {
    let all: u64 = buckets.iter().sum();
    if all == 0 {
        return None;
    }
    let wanted = share.clamp(0.0, 1.0) * all as f64;
    let mut below = 0.0;
    for (index, count) in buckets.iter().enumerate() {
        let count = *count as f64;
        if count > 0.0 && below + count >= wanted {
            let from = index.checked_sub(1).and_then(|index| BOUNDS.get(index)).copied().unwrap_or(0);
            let to = BOUNDS.get(index).copied().unwrap_or(longest).min(longest).max(from);
            let within = ((wanted - below) / count).clamp(0.0, 1.0);
            return Some((to - from) as f64 * within + from as f64);
        }
        below += count;
    }
    Some(longest as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_ascend_and_belong_to_their_bucket() {
        assert!(BOUNDS.windows(2).all(|pair| pair[0] < pair[1]));
        for (index, bound) in BOUNDS.iter().enumerate() {
            assert_eq!(bucket(*bound), index);
            assert_eq!(bucket(*bound + 1), index + 1);
        }
        assert_eq!(bucket(0), 0);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_lie_in_the_bucket_of_their_rank() {
        let mut buckets = [0; BUCKETS];
        assert_eq!(quantile(&buckets, 0.5, 0), None);
        for time in 1..=100u64 {
            buckets[bucket(time * 10_000)] += 1;
        }
        for share in [0.01, 0.5, 0.95, 0.99, 1.0] {
            let exact = (share * 1e6) as u64;
            let found = quantile(&buckets, share, 1_000_000).unwrap_or_default();
            assert_eq!(bucket(found.round() as u64), bucket(exact), "{share}: {found}");
        }
    }

    #[test]
    fn no_percentile_exceeds_the_longest() {
        let mut buckets = [0; BUCKETS];
        buckets[bucket(1_100)] = 3;
        assert_eq!(quantile(&buckets, 1.0, 1_100), Some(1_100.0));
        buckets[BUCKETS - 1] = 1;
        assert_eq!(quantile(&buckets, 1.0, 9_000_000_000), Some(9_000_000_000.0));
    }
}
