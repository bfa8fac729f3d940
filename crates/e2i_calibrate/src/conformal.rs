//! What a row's score is, and which answers have scores within a margin.

use crate::spread::Margins;

/// An interval around what a model predicts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The prediction itself: of quantiles the middle one of three, or the middle between two.
    pub prediction: f64,
    /// Where it begins.
    pub lower: f64,
    /// Where it ends.
    pub upper: f64,
}

/// The absolute residual, as a part of the row's scale, which is 1 where rows have none.
#[must_use]
pub fn residual(truth: f64, prediction: f64, scale: f64) -> f64 {
    (truth - prediction).abs() / scale
}

/// A prediction with what is within the margin of it, as multiples of the row's scale.
#[inline]
#[must_use]
pub fn around(prediction: f64, scale: f64, margins: Margins) -> Interval {
    Interval { prediction, lower: prediction - margins.below * scale, upper: prediction + margins.above * scale }
}

/// The lowest and the highest of a row's quantiles, and the middle; they may have been given in another order, as models may have
/// them cross.
#[must_use]
pub fn ends(quantiles: &[f64]) -> Interval {
    let mut sorted = quantiles.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (lower, upper) = match sorted[..] {
        [lower, .., upper] => (lower, upper),
        [only] => (only, only),
        [] => (f64::NAN, f64::NAN),
    };
    let (middle, count) = (sorted.len() / 2, sorted.len());
    let prediction = if count % 2 == 1 { sorted[middle] } else { lower + (upper - lower) / 2.0 };
    Interval { prediction, lower, upper }
}

/// How far the truth is outside of the quantiles on each side; negative inside.
#[must_use]
pub fn outside(truth: f64, ends: &Interval) -> (f64, f64) {
    (ends.lower - truth, truth - ends.upper)
}

/// Quantiles moved by the margins. Negative ones may make the ends cross; they are put in order.
#[must_use]
pub fn moved(ends: &Interval, margins: Margins) -> Interval {
    let (lower, upper) = (ends.lower - margins.below, ends.upper + margins.above);
    Interval { prediction: ends.prediction, lower: lower.min(upper), upper: lower.max(upper) }
}

/// The score of a class by least ambiguous sets: what its probability lacks to 1.
#[inline]
#[must_use]
pub fn lac(probability: f64) -> f64 {
    1.0 - probability
}

/// The scores of all classes by adaptive sets: the probabilities of the classes that are as probable or more, added up from the most
/// probable one on to the class itself. Of equal ones the first in the order of the classes comes first.
#[must_use]
pub fn aps(probabilities: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|a, b| probabilities[*b].total_cmp(&probabilities[*a]));
    let (mut scores, mut sum) = (vec![0.0; probabilities.len()], 0.0);
    for class in order {
        sum += probabilities[class];
        scores[class] = sum;
    }
    scores
}

#[cfg(test)]
mod tests {
    use super::*;
    use e2i_core::random::Random;

    fn margins(below: f64, above: f64) -> Margins {
        Margins { below, above, coverage: 1.0 }
    }

    #[test]
    fn an_interval_holds_what_has_no_greater_score() {
        let mut random = Random(3);
        for _ in 0..1000 {
            let (truth, prediction, scale) = (random.unit() * 9.0, random.unit() * 9.0, random.share() + 0.1);
            let margin = random.share() * 9.0;
            let interval = around(prediction, scale, margins(margin, margin));
            let is_within = interval.lower <= truth && truth <= interval.upper;
            let score = residual(truth, prediction, scale);
            assert!(is_within == (score <= margin) || (score - margin).abs() < 1e-9);
        }
        let all = around(1.0, 2.0, margins(f64::INFINITY, f64::INFINITY));
        assert_eq!((all.lower, all.upper), (f64::NEG_INFINITY, f64::INFINITY));
    }

    #[test]
    fn quantiles_that_cross_are_put_in_order() {
        let three = ends(&[5.0, 1.0, 2.0]);
        assert_eq!((three.lower, three.prediction, three.upper), (1.0, 2.0, 5.0));
        assert_eq!(ends(&[4.0, 2.0]), Interval { prediction: 3.0, lower: 2.0, upper: 4.0 });
        assert_eq!(outside(7.0, &three), (-6.0, 2.0));
        let shrunk = moved(&ends(&[0.0, 1.0]), margins(-0.8, -0.8));
        assert!(shrunk.lower <= shrunk.upper);
        assert_eq!(moved(&three, margins(1.0, 2.0)), Interval { prediction: 2.0, lower: 0.0, upper: 7.0 });
    }

    #[test]
    fn adaptive_scores_add_up_from_the_most_probable_class_on() {
        assert_eq!(aps(&[0.25, 0.5, 0.25]), [0.75, 0.5, 1.0], "of equal ones the first comes first");
        assert_eq!(aps(&[]), [0.0; 0]);
        assert_eq!(lac(0.75), 0.25);
    }
}
