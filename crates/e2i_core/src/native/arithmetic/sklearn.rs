//! scikit-learn's float64 arithmetic, with numpy's order of additions, scipy's `expit` and libsvm's Platt.
//!
//! Bit-equal to scikit-learn on a system with the same `exp`, up to numpy's own vector loops for it.

/// How near to 0 and 1 libsvm lets the probability of one class of a pair come.
const LEAST: f64 = 1e-7;

/// numpy's sum of contiguous numbers (`pairwise_sum`): fewer than eight one after the other; up to 128 in eight sums, which are added in
/// pairs; more in halves at a multiple of eight.
#[must_use]
pub fn sum(cells: &[f64]) -> f64 {
    const BLOCK: usize = 128;
    if cells.len() < 8 {
        // From -0, so that a sum of nothing but -0 keeps its sign as numpy's does.
        return cells.iter().copied().reduce(|sum, cell| sum + cell).unwrap_or(0.0);
    }
    if cells.len() > BLOCK {
        let half = cells.len() / 2 / 8 * 8;
        let (first, second) = cells.split_at(half);
        return sum(first) + sum(second);
    }
    let mut sums = [0.0; 8];
    let (chunks, rest) = cells.as_chunks::<8>();
    for (index, chunk) in chunks.iter().enumerate() {
        for (sum, cell) in sums.iter_mut().zip(chunk) {
            *sum = if index == 0 { *cell } else { *sum + cell };
        }
    }
    let all = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
    rest.iter().fold(all, |sum, cell| sum + cell)
}

/// scipy's `expit`: 1 / (1 + e^-x).
pub(in crate::native) fn expit(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// `sklearn.utils.extmath.softmax`, in place: the greatest is subtracted, and [`sum`] of the exponentials divides each.
pub(in crate::native) fn softmax(row: &mut [f64]) {
    let greatest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    row.iter_mut().for_each(|x| *x = (*x - greatest).exp());
    let all = sum(row);
    row.iter_mut().for_each(|x| *x /= all);
}

/// libsvm's `sigmoid_predict` within its bounds: the probability of the first class of a pair.
pub(in crate::native) fn platt(decision: f64, slope: f64, offset: f64) -> f64 {
    let x = decision * slope + offset;
    let p = if x >= 0.0 { (-x).exp() / (1.0 + (-x).exp()) } else { 1.0 / (1.0 + x.exp()) };
    // What is no number is the least, as comparisons have it.
    let p = if p > LEAST { p } else { LEAST };
    if p < 1.0 - LEAST { p } else { 1.0 - LEAST }
}

/// scipy's logit: near one half by what differs from it.
#[must_use]
pub fn logit(p: f64) -> f64 {
    if (0.3..=0.65).contains(&p) {
        let s = 2.0 * (p - 0.5);
        s.ln_1p() - (-s).ln_1p()
    } else {
        (p / (1.0 - p)).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_numpys() {
        // numpy.sum([0.1] * n) for these n; sums in order differ from the third on.
        for (count, expected) in [(3, 0.300_000_000_000_000_04), (8, 0.8), (10, 1.0), (200, 20.0)] {
            assert_eq!(sum(&vec![0.1; count]), expected, "{count}");
        }
    }
}
