//! Support vector machines, one for each pair of classes: votes, scores and Platt's probabilities.
//!
//! The arithmetic is ONNX Runtime's: float32 products that are summed in float64, and float32 for what is made of the sums. scikit-learn's
//! own support vector machines are float64 throughout ([`super::Kernels`] says why they are another family).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::{Operation, ValueType};
use crate::error::Result;
use crate::interface::ElementType;
use crate::native::arithmetic::coupling::{Coupling, ROUNDS, couple};
use crate::native::arithmetic::onnxruntime::platt;
use crate::native::image::{Image, ImageWriter, Section};
use crate::native::instruction_set::InstructionSet;
use crate::native::value::broken;

/// Kernel values of a row and the support vectors, those of the first class first, to the class with the most votes (its
/// number, the first of several) and scores: probabilities; without those the sum of each pair, or of two classes the negated
/// sum and the sum.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machines {
    /// Support vectors of each class.
    supports: Section<u32>,
    /// For each class but one, a coefficient of each support vector.
    pub(super) coefficients: Section<f32>,
    /// What is added to the sum of each pair.
    offsets: Section<f32>,
    /// Platt's factor and summand of each pair; or none.
    platt: Option<[Section<f32>; 2]>,
}

/// How many pairs so many classes make.
fn pairs(classes: usize) -> Option<usize> {
    Some(classes.checked_mul(classes.checked_sub(1)?)? / 2)
}

impl Machines {
    /// Writes the tables. Their lengths must be those of `supports` classes: see [`Operation::check`].
    pub fn new(
        supports: &[u32],
        coefficients: &[f32],
        offsets: &[f32],
        platt: Option<[&[f32]; 2]>,
        tables: &mut ImageWriter,
    ) -> Self {
        Self {
            supports: tables.push(supports),
            coefficients: tables.push(coefficients),
            offsets: tables.push(offsets),
            platt: platt.map(|lists| lists.map(|list| tables.push(list))),
        }
    }

    /// Scores a row, whatever the machines: for two classes without probabilities both signs of one sum.
    #[must_use]
    pub fn width(classes: usize, probabilities: bool) -> usize {
        if probabilities || classes <= 2 { classes } else { pairs(classes).unwrap_or(0) }
    }
}

/// The sums of all pairs, and the votes of all classes.
fn vote(supports: &[u32], coefficients: &[f32], offsets: &[f32], kernels: &[f32], sums: &mut [f32], votes: &mut [u32]) {
    votes.fill(0);
    let vectors = kernels.len();
    let product = |row: usize, range: std::ops::Range<usize>, sum: f64| {
        let weights = coefficients.get(row * vectors..).unwrap_or(&[]).get(range.clone()).unwrap_or(&[]);
        let kernels = kernels.get(range).unwrap_or(&[]);
        weights.iter().zip(kernels).fold(sum, |sum, (weight, kernel)| sum + f64::from(weight * kernel))
    };
    let mut pair = 0;
    let mut first = 0;
    for (i, count) in supports.iter().enumerate() {
        let of_i = first..first + *count as usize;
        let mut next = of_i.end;
        for (j, count) in supports.iter().enumerate().skip(i + 1) {
            let of_j = next..next + *count as usize;
            next = of_j.end;
            let sum = product(i, of_j, product(j - 1, of_i.clone(), 0.0));
            let sum = sum + f64::from(offsets.get(pair).copied().unwrap_or(0.0));
            if let Some(place) = sums.get_mut(pair) {
                *place = sum as f32;
            }
            if let Some(votes) = votes.get_mut(if sum > 0.0 { i } else { j }) {
                *votes += 1;
            }
            pair += 1;
        }
        first = of_i.end;
    }
}

impl Operation for Machines {
    fn check(&self, image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        let lists = [self.coefficients, self.offsets];
        image.check(self.supports)?;
        lists.into_iter().chain(self.platt.into_iter().flatten()).try_for_each(|list| image.check(list))?;
        let supports = image.slice(self.supports);
        let vectors = supports.iter().try_fold(0usize, |sum, count| sum.checked_add(*count as usize));
        let (classes, pairs) = (supports.len(), pairs(supports.len()));
        let coefficients = vectors.and_then(|vectors| vectors.checked_mul(classes.checked_sub(1)?));
        let fits = classes >= 2
            && coefficients == Some(self.coefficients.len())
            && pairs == Some(self.offsets.len())
            && self.platt.into_iter().flatten().all(|list| pairs == Some(list.len()))
            && matches!(inputs, [input] if input.element == ElementType::Float32 && Some(input.width) == vectors)
            && vectors.is_some_and(|vectors| vectors > 0)
            && outputs
                == [
                    ValueType::new(ElementType::Int64, 1),
                    ValueType::new(ElementType::Float32, Self::width(classes, self.platt.is_some())),
                ];
        if fits { Ok(()) } else { Err(broken("its machines do not fit its values")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        let image = frame.image;
        let (supports, coefficients) = (image.slice(self.supports), image.slice(self.coefficients));
        let offsets = image.slice(self.offsets);
        let classes = supports.len();
        let (input, vectors) = (frame.input::<f32>(0), frame.input_type(0).width);
        let width = frame.output_type(1).width;
        let (mut sums, mut votes) = (vec![0.0; offsets.len()], vec![0; classes]);
        let (mut pairwise, mut coupling) = (vec![0.0; classes * classes], Coupling::default());
        for (row, kernels) in input.chunks_exact(vectors).enumerate() {
            vote(supports, coefficients, offsets, kernels, &mut sums, &mut votes);
            let most = votes.iter().copied().max().unwrap_or(0);
            let elected = votes.iter().position(|votes| *votes == most).unwrap_or(0);
            if let Some(label) = frame.output::<i64>(0).get_mut(row) {
                *label = elected as i64;
            }
            let Some(scores) = frame.output::<f32>(1).get_mut(row * width..(row + 1) * width) else { break };
            match self.platt {
                Some([factors, summands]) => {
                    let (factors, summands) = (image.slice(factors), image.slice(summands));
                    let ordered = (0..classes).flat_map(|i| (i + 1..classes).map(move |j| (i, j)));
                    for ((i, j), ((sum, factor), summand)) in ordered.zip(sums.iter().zip(factors).zip(summands)) {
                        let first = platt(*sum, *factor, *summand);
                        pairwise[i * classes + j] = first;
                        pairwise[j * classes + i] = 1.0 - first;
                    }
                    couple(&mut coupling, &pairwise, ROUNDS, scores);
                }
                None if classes == 2 => {
                    let sum = sums.first().copied().unwrap_or(0.0);
                    scores.iter_mut().zip([-sum, sum]).for_each(|(score, sum)| *score = sum);
                }
                None => scores.copy_from_slice(&sums),
            }
        }
        Ok(())
    }

    fn kernel(&self, _set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        let probabilities = if self.platt.is_some() { " with probabilities" } else { "" };
        format!("machines of {} classes{probabilities}", self.supports.len()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn votes_go_to_the_first_class_of_a_pair_where_the_sum_is_positive() {
        let (mut sums, mut votes) = (vec![0.0; 3], vec![0; 3]);
        // One vector a class; row 0 holds the coefficients against the class before, row 1 those against the others.
        vote(&[1, 1, 1], &[1.0, -1.0, 0.0, 1.0, 2.0, -3.0], &[0.0, 0.5, 0.0], &[1.0, 2.0, 3.0], &mut sums, &mut votes);
        assert_eq!(sums, [-1.0, 1.5, -5.0]);
        assert_eq!(votes, [1, 1, 1]);
    }
}
