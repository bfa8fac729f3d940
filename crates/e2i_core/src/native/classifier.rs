//! From raw scores to what ONNX's tree operators return: probabilities and a label, or values.
//!
//! The rules are those of ONNX Runtime, including what its specification leaves open: which of two classes a score stands
//! for, what is written where no tree adds to a class, and in which precision.

use serde::{Deserialize, Serialize};

use super::arithmetic::onnxruntime::{logistic, probit, softmax};
use super::forest::SumsMut;
use crate::error::{Error, Kind, Result};

/// ONNX's `post_transform`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PostTransform {
    /// Nothing.
    None,
    /// 1 / (1 + exp(-x)).
    Logistic,
    /// Exponentials that sum to one.
    Softmax,
    /// The same, but what is 0 stays 0.
    SoftmaxZero,
    /// The inverse of the normal distribution, approximately.
    Probit,
}

/// Names of classes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Labels {
    /// Whole numbers.
    Int64(Vec<i64>),
    /// Text.
    Text(Vec<String>),
}

impl Labels {
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Int64(labels) => labels.len(),
            Self::Text(labels) => labels.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Which targets any tree added to: what nobody added to is 0, even where there is a base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seen {
    /// The same for every row.
    Known(Vec<bool>),
    /// As many targets follow the raw scores, which are above 0 where something was added.
    Counted,
}

/// How a classifier decides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Classifier {
    /// The classes, two or more.
    pub labels: Labels,
    /// What is added to the scores: nothing, or one number a class; of two classes also one number.
    pub base: Vec<f64>,
    /// Whether all weights are for one of two classes.
    pub one_column: bool,
    /// Whether no weight is negative, so that the score of `one_column` is a probability.
    pub positive: bool,
}

/// What becomes of the raw scores of an operator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finish {
    /// Numbers a row of the output has.
    pub width: usize,
    /// Which targets were added to.
    pub seen: Seen,
    /// What the numbers go through.
    pub post_transform: PostTransform,
    /// For a classifier, how it decides.
    pub classifier: Option<Classifier>,
}

/// Raw scores.
#[derive(Debug, Clone, Copy)]
pub enum Sums<'a> {
    /// float32.
    Single(&'a [f32]),
    /// float64.
    Double(&'a [f64]),
}

impl Sums<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Single(sums) => sums.len(),
            Self::Double(sums) => sums.len(),
        }
    }
}

impl Finish {
    /// Targets that the trees must have: with those that only count.
    #[must_use]
    pub fn targets(&self) -> usize {
        self.width * if self.seen == Seen::Counted { 2 } else { 1 }
    }

    /// Whether the parts fit together.
    ///
    /// # Errors
    /// [`Kind::BadModel`] if not.
    pub fn check(&self) -> Result<()> {
        let seen = match &self.seen {
            Seen::Known(seen) => seen.len() == self.width,
            Seen::Counted => true,
        };
        let classes = self.classifier.as_ref().is_none_or(|classifier| {
            let base = classifier.base.len();
            let fits = base == 0 || base == self.width || (self.width == 2 && base == 1);
            fits && classifier.labels.len() == self.width && self.width >= 2
        });
        if seen && classes && self.width > 0 && self.width <= usize::MAX / 2 {
            Ok(())
        } else {
            Err(Error::new(Kind::BadModel, "the compiled form of the model is broken: its classes"))
        }
    }

    /// Turns raw scores into numbers, and for a classifier into the index of the label of each row. Either may be left out.
    ///
    /// # Errors
    /// [`Kind::Internal`] when lengths differ.
    pub fn apply(
        &self,
        sums: Sums<'_>,
        rows: usize,
        mut numbers: Option<SumsMut<'_>>,
        mut labels: Option<&mut [u32]>,
    ) -> Result<()> {
        let targets = self.targets();
        let fits = rows.checked_mul(targets) == Some(sums.len())
            && numbers.as_ref().is_none_or(|numbers| numbers.len() == rows * self.width)
            && labels.as_ref().is_none_or(|labels| labels.len() == rows);
        if !fits {
            return Err(Error::new(Kind::Internal, "scores of another width were given"));
        }
        match sums {
            Sums::Single(sums) if self.is_plain() => {
                if let Some(SumsMut::Single(numbers)) = &mut numbers {
                    numbers.copy_from_slice(sums);
                    return Ok(());
                }
            }
            _ => {}
        }
        let mut few = [Score::default(); 8];
        let mut many = vec![];
        let row = if self.width <= few.len() {
            &mut few[..self.width]
        } else {
            many.resize(self.width, Score::default());
            &mut many[..]
        };
        for index in 0..rows {
            let at = |target: usize| match sums {
                Sums::Single(sums) => f64::from(sums[index * targets + target]),
                Sums::Double(sums) => sums[index * targets + target],
            };
            for (target, score) in row.iter_mut().enumerate() {
                let seen = match &self.seen {
                    Seen::Known(seen) => seen[target],
                    Seen::Counted => at(self.width + target) > 0.0,
                };
                *score = Score { sum: at(target), seen };
            }
            let label = self.row(row, matches!(sums, Sums::Single(_)));
            if let Some(labels) = &mut labels {
                labels[index] = label;
            }
            match &mut numbers {
                None => {}
                Some(SumsMut::Single(numbers)) => {
                    let numbers = &mut numbers[index * self.width..][..self.width];
                    numbers.iter_mut().zip(row.iter()).for_each(|(number, score)| *number = score.sum as f32);
                }
                Some(SumsMut::Double(numbers)) => {
                    let numbers = &mut numbers[index * self.width..][..self.width];
                    numbers.iter_mut().zip(row.iter()).for_each(|(number, score)| *number = score.sum);
                }
            }
        }
        Ok(())
    }

    /// Whether numbers are the sums.
    fn is_plain(&self) -> bool {
        let one = self.width == 1 && self.post_transform != PostTransform::Probit;
        let seen = match &self.seen {
            Seen::Known(seen) => one || seen.iter().all(|seen| *seen),
            Seen::Counted => false,
        };
        seen && self.classifier.is_none() && (one || self.post_transform == PostTransform::None)
    }

    /// One row, in place. Returns the index of the label.
    fn row(&self, row: &mut [Score], single: bool) -> u32 {
        let Some(classifier) = &self.classifier else {
            if self.width == 1 {
                // Of a single value the runtime transforms nothing else.
                if self.post_transform == PostTransform::Probit {
                    row[0].sum = f64::from(probit(row[0].sum as f32));
                }
            } else {
                transform(row, self.post_transform, single);
            }
            return 0;
        };
        let add = |sum: f64, base: f64| if single { f64::from(sum as f32 + base as f32) } else { sum + base };
        if self.width == 2 {
            return classifier.of_two(row, single, add, self.post_transform);
        }
        for (score, base) in row.iter_mut().zip(&classifier.base) {
            *score = Score { sum: if score.seen { add(score.sum, *base) } else { *base }, seen: true };
        }
        let mut best: Option<usize> = None;
        for (class, score) in row.iter().enumerate().filter(|(_, score)| score.seen) {
            if best.is_none_or(|best| score.sum > row[best].sum) {
                best = Some(class);
            }
        }
        let label = best.unwrap_or(0) as u32;
        transform(row, self.post_transform, single);
        label
    }
}

/// A score, and whether any tree added to it.
#[derive(Debug, Clone, Copy, Default)]
struct Score {
    sum: f64,
    seen: bool,
}

impl Score {
    /// What the runtime reads of it.
    fn value(self) -> f64 {
        if self.seen { self.sum } else { 0.0 }
    }
}

impl Classifier {
    /// Two classes, in the runtime's cases: what a score stands for depends on how many base values there are and on
    /// whether the trees added to the second class.
    fn of_two(
        &self,
        row: &mut [Score],
        single: bool,
        add: impl Fn(f64, f64) -> f64,
        post_transform: PostTransform,
    ) -> u32 {
        let both = row[1].seen;
        match self.base.as_slice() {
            [_, second] if both => {
                row[1].sum = add(*second, row[0].sum);
                row[0].sum = -row[1].sum;
            }
            [first, second] => {
                row[1].sum = add(row[1].sum, *second);
                row[0].sum = add(row[0].sum, *first);
            }
            [only] => row[0].sum = add(row[0].sum, *only),
            _ => {}
        }
        let is_pair = both || self.base.len() == 2;
        let positive = if both { row[1].sum } else { row[0].value() };
        let label = u32::from(positive > if self.one_column && self.positive { 0.5 } else { 0.0 });
        if is_pair {
            transform(row, post_transform, single);
            return label;
        }
        let score = row[0].value();
        (row[0].sum, row[1].sum) = if post_transform == PostTransform::Logistic {
            (f64::from(logistic(-score as f32)), f64::from(logistic(score as f32)))
        } else if self.one_column && self.positive {
            (if single { f64::from(1.0 - score as f32) } else { 1.0 - score }, score)
        } else {
            (if row[0].seen { -score } else { 0.0 }, score)
        };
        label
    }
}

fn transform(row: &mut [Score], how: PostTransform, single: bool) {
    row.iter_mut().for_each(|score| score.sum = score.value());
    match how {
        PostTransform::None => {}
        PostTransform::Probit => row.iter_mut().for_each(|score| score.sum = f64::from(probit(score.sum as f32))),
        PostTransform::Logistic => row.iter_mut().for_each(|score| score.sum = f64::from(logistic(score.sum as f32))),
        PostTransform::Softmax | PostTransform::SoftmaxZero => {
            softmax(row, |score| &mut score.sum, how == PostTransform::SoftmaxZero, single);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finish(labels: usize, base: Vec<f64>, seen: Vec<bool>, one_column: bool, positive: bool) -> Finish {
        let labels = Labels::Int64((0..labels as i64).collect());
        Finish {
            width: seen.len(),
            seen: Seen::Known(seen),
            post_transform: PostTransform::None,
            classifier: Some(Classifier { labels, base, one_column, positive }),
        }
    }

    fn scored(finish: &Finish, sums: &[f32]) -> (Vec<f32>, u32) {
        finish.check().unwrap();
        let mut numbers = vec![0.0; finish.width];
        let mut label = [9];
        finish.apply(Sums::Single(sums), 1, Some(SumsMut::Single(&mut numbers)), Some(&mut label)).unwrap();
        (numbers, label[0])
    }

    #[test]
    fn one_column_is_a_probability_or_a_margin() {
        let probability = finish(2, vec![], vec![true, false], true, true);
        assert_eq!(scored(&probability, &[0.25, 0.0]), (vec![0.75, 0.25], 0));
        assert_eq!(scored(&probability, &[0.75, 0.0]), (vec![0.25, 0.75], 1));
        let margin = finish(2, vec![0.5], vec![true, false], true, false);
        assert_eq!(scored(&margin, &[0.25, 0.0]), (vec![-0.75, 0.75], 1));
        assert_eq!(scored(&margin, &[-0.5, 0.0]), (vec![-0.0, 0.0], 0));
    }

    #[test]
    fn the_first_of_equal_classes_wins() {
        let three = finish(3, vec![], vec![true, true, true], false, true);
        assert_eq!(scored(&three, &[0.2, 0.4, 0.4]).1, 1);
        // A class that no tree added to is not chosen, though 0 is more.
        let partial = finish(3, vec![], vec![false, true, true], false, false);
        assert_eq!(scored(&partial, &[0.0, -2.0, -1.0]), (vec![0.0, -2.0, -1.0], 2));
    }

    #[test]
    fn lengths_are_checked() {
        let three = finish(3, vec![], vec![true, true, true], false, true);
        assert!(three.apply(Sums::Single(&[0.0; 4]), 1, None, None).is_err());
        let broken = finish(2, vec![], vec![true, true, true], false, true);
        assert!(broken.check().is_err());
    }
}
