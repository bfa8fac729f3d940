//! Isotonic regression: the non-decreasing steps nearest to what was observed, with straight lines between them.
//!
//! As scikit-learn's `IsotonicRegression(out_of_bounds="clip")` has it, by the pool-adjacent-violators algorithm: equal places are one,
//! with the mean of what was observed there; between two steps is a line, and beyond the ends their values.

use serde::{Deserialize, Serialize};

/// Places nearer to each other than this are one: numpy's resolution of float64.
const SAME: f64 = 1e-15;

/// A non-decreasing function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Isotonic {
    /// Where its corners are, ascending.
    pub places: Vec<f64>,
    /// Its values there.
    pub values: Vec<f64>,
}

/// Observations that have the same value in the result.
struct Block {
    first: usize,
    weight: f64,
    value: f64,
}

impl Isotonic {
    /// Fits what was observed at places; rows of weight 0 are left out. Without any rows it has no corners.
    #[must_use]
    pub fn fit(places: &[f64], observed: &[f64], weights: Option<&[f64]>) -> Self {
        let weight = |row: usize| weights.map_or(1.0, |weights| weights[row]);
        let mut order: Vec<usize> = (0..places.len()).filter(|row| weight(*row) > 0.0).collect();
        order.sort_by(|a, b| places[*a].total_cmp(&places[*b]).then(observed[*a].total_cmp(&observed[*b])));
        let (mut at, mut blocks) = (Vec::<f64>::new(), Vec::<Block>::new());
        for row in order {
            let (place, value, weight) = (places[row], observed[row], weight(row));
            match (at.last(), blocks.last_mut()) {
                (Some(last), Some(block)) if place - last < SAME => {
                    // A sum until all rows of the place are there.
                    block.value += weight * value;
                    block.weight += weight;
                }
                _ => {
                    blocks.push(Block { first: at.len(), weight, value: weight * value });
                    at.push(place);
                }
            }
        }
        let mut pooled = Vec::<Block>::with_capacity(blocks.len());
        for mut block in blocks {
            block.value /= block.weight;
            while let Some(before) = pooled.pop_if(|before| before.value >= block.value) {
                let weight = before.weight + block.weight;
                let value = (before.weight * before.value + block.weight * block.value) / weight;
                block = Block { first: before.first, weight, value };
            }
            pooled.push(block);
        }
        let mut fitted = Self { places: vec![], values: vec![] };
        for (number, block) in pooled.iter().enumerate() {
            let last = pooled.get(number + 1).map_or(at.len(), |next| next.first) - 1;
            fitted.places.push(at[block.first]);
            fitted.values.push(block.value);
            if last > block.first {
                fitted.places.push(at[last]);
                fitted.values.push(block.value);
            }
        }
        fitted
    }

    /// Its value at a place; NaN where it has no corners.
    #[must_use]
    pub fn at(&self, place: f64) -> f64 {
        let (places, values) = (&self.places, &self.values);
        match (places.first(), places.last()) {
            (Some(first), Some(last)) if places.len() == values.len() && !place.is_nan() => {
                let place = place.clamp(*first, *last);
                let above = places.partition_point(|other| *other < place).clamp(1, places.len().max(2) - 1);
                match (places.get(above - 1..=above), values.get(above - 1..=above)) {
                    (Some([x0, x1]), Some([y0, y1])) => (y1 - y0) / (x1 - x0) * (place - x0) + y0,
                    _ => values[0],
                }
            }
            _ => f64::NAN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use e2i_core::random::Random;

    #[test]
    fn it_does_not_decrease_and_pools_what_does() {
        let fitted = Isotonic::fit(&[1.0, 2.0, 3.0, 4.0], &[0.0, 1.0, 0.0, 1.0], None);
        assert_eq!(fitted, Isotonic { places: vec![1.0, 2.0, 3.0, 4.0], values: vec![0.0, 0.5, 0.5, 1.0] });
        assert_eq!([0.0, 1.5, 2.5, 3.5, 9.0].map(|place| fitted.at(place)), [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert!(fitted.at(f64::NAN).is_nan());
        let one = Isotonic::fit(&[0.5, 0.5], &[0.0, 1.0], None);
        assert_eq!((one.at(0.1), one.at(0.9)), (0.5, 0.5));
        assert!(Isotonic::fit(&[], &[], None).at(0.5).is_nan());
    }

    /// What tells the best non-decreasing function: the mean of each prefix of a block is no less than the block's, and blocks ascend.
    #[test]
    fn no_other_is_nearer() {
        let mut random = Random(5);
        for rows in 1..60 {
            let places: Vec<f64> = (0..rows).map(|_| random.below(20) as f64 / 20.0).collect();
            let observed: Vec<f64> = (0..rows).map(|_| f64::from(u8::from(random.chance(50)))).collect();
            let weights: Vec<f64> = (0..rows).map(|_| random.below(3) as f64).collect();
            let fitted = Isotonic::fit(&places, &observed, Some(&weights));
            assert!(fitted.values.is_sorted() && fitted.places.is_sorted_by(|a, b| a < b));
            let loss = |function: &dyn Fn(f64) -> f64| -> f64 {
                let each = places.iter().zip(&observed).zip(&weights);
                each.filter(|(_, w)| **w > 0.0).map(|((x, y), w)| w * (y - function(*x)).powi(2)).sum()
            };
            let best = loss(&|x| fitted.at(x));
            for _ in 0..20 {
                let (cut, step) = (random.share(), random.unit() * 0.1);
                let other = loss(&|x| fitted.at(x) + if x > cut { step.max(0.0) } else { step.min(0.0) });
                assert!(best <= other + 1e-12);
            }
        }
    }
}
