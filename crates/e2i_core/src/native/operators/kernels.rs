//! Support vector machines in libsvm's arithmetic, float64: kernels with the support vectors, and what pairs of classes say.
//!
//! `.skops` files need scikit-learn's bits, ONNX graphs ONNX Runtime's, whose support vector machines are float32
//! ([`super::Distances`], [`super::Machines`]): products in another type and order, and other scores of the pairs. One family for both
//! would be every line twice behind a switch; what they have in common is in [`crate::native::arithmetic::coupling`].

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::{Operation, ValueType};
use crate::error::Result;
use crate::interface::ElementType;
use crate::native::arithmetic::coupling::{Coupling, ROUNDS, couple};
use crate::native::arithmetic::sklearn::platt;
use crate::native::image::{Image, Section};
use crate::native::instruction_set::InstructionSet;
use crate::native::value::broken;

/// How like each other two rows are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kernel {
    /// Their product.
    Linear,
    /// How far apart they are.
    Distance,
    /// The square of that.
    SquaredDistance,
    /// `(gamma · product + coef0)^degree`.
    Polynomial {
        /// Factor.
        gamma: f64,
        /// Summand.
        coef0: f64,
        /// Exponent.
        degree: u32,
    },
    /// `exp(-gamma · |x - y|²)`.
    Radial {
        /// Factor.
        gamma: f64,
    },
    /// `tanh(gamma · product + coef0)`.
    Sigmoid {
        /// Factor.
        gamma: f64,
        /// Summand.
        coef0: f64,
    },
}

impl Kernel {
    fn of(self, x: &[f64], y: &[f64]) -> f64 {
        let product = || x.iter().zip(y).fold(0.0, |sum, (x, y)| sum + x * y);
        let square = || x.iter().zip(y).fold(0.0, |sum, (x, y)| sum + (x - y) * (x - y));
        match self {
            Self::Distance => square().sqrt(),
            Self::SquaredDistance => square(),
            Self::Linear => product(),
            Self::Polynomial { gamma, coef0, degree } => power(gamma * product() + coef0, degree),
            Self::Radial { gamma } => (-gamma * square()).exp(),
            Self::Sigmoid { gamma, coef0 } => (gamma * product() + coef0).tanh(),
        }
    }
}

/// By squaring, as libsvm does.
fn power(base: f64, exponent: u32) -> f64 {
    let (mut square, mut result, mut left) = (base, 1.0, exponent);
    while left > 0 {
        if left % 2 == 1 {
            result *= square;
        }
        square *= square;
        left /= 2;
    }
    result
}

/// The kernel of a row with each of some vectors.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Kernels {
    /// The kernel.
    pub kernel: Kernel,
    /// The vectors, one after the other, as wide as a row.
    pub vectors: Section<f64>,
}

impl Operation for Kernels {
    fn check(&self, image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        image.check(self.vectors)?;
        let ([input], [output]) = (inputs, outputs) else { return Err(broken("it has one input and one output")) };
        let fits = [input.element, output.element] == [ElementType::Float64; 2]
            && input.width > 0
            && output.width > 0
            && input.width.checked_mul(output.width) == Some(self.vectors.len());
        if fits { Ok(()) } else { Err(broken("its vectors do not fit its values")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        let (input, width, count) = (frame.input::<f64>(0), frame.input_type(0).width, frame.output_type(0).width);
        let vectors = frame.image.slice(self.vectors);
        for (row, into) in input.chunks_exact(width.max(1)).zip(frame.output::<f64>(0).chunks_exact_mut(count.max(1))) {
            for (vector, into) in vectors.chunks_exact(width.max(1)).zip(into) {
                *into = self.kernel.of(row, vector);
            }
        }
        Ok(())
    }

    fn kernel(&self, _set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        format!("kernel with {} numbers", self.vectors.len()).into()
    }
}

/// What is made of the decisions of every pair of classes: 0 and 1, 0 and 2, …, 1 and 2, …; above 0 the first is meant.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pairing {
    /// How many pairs mean each class.
    Votes,
    /// The same, and between equal ones by how decided its pairs are (scikit-learn's `ovr`).
    Decisions,
    /// Probabilities: Platt's sigmoid for each pair by these slopes and offsets, coupled as libsvm does.
    Probabilities {
        /// A slope a pair.
        slopes: Section<f64>,
        /// An offset a pair.
        offsets: Section<f64>,
    },
}

/// A number for each class from one for each pair.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pairs {
    /// How many classes.
    pub classes: usize,
    /// What is made of the pairs.
    pub pairing: Pairing,
}

/// The pairs in order.
fn pairs(classes: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..classes).flat_map(move |first| (first + 1..classes).map(move |second| (first, second)))
}

impl Pairs {
    fn votes(&self, row: &[f64], into: &mut [f64]) {
        into.fill(0.0);
        for ((first, second), decision) in pairs(self.classes).zip(row) {
            into[if *decision > 0.0 { first } else { second }] += 1.0;
        }
    }

    fn decisions(&self, row: &[f64], into: &mut [f64]) {
        let mut sums = vec![0.0; self.classes];
        into.fill(0.0);
        for ((first, second), decision) in pairs(self.classes).zip(row) {
            sums[first] += decision;
            sums[second] -= decision;
            into[if *decision < 0.0 { second } else { first }] += 1.0;
        }
        into.iter_mut().zip(sums).for_each(|(votes, sum)| *votes += sum / (3.0 * (sum.abs() + 1.0)));
    }

    fn probabilities(&self, row: &[f64], slopes: &[f64], offsets: &[f64], into: &mut [f64]) {
        let count = self.classes;
        let mut won = vec![0.0; count * count];
        for (((first, second), decision), (slope, offset)) in pairs(count).zip(row).zip(slopes.iter().zip(offsets)) {
            let p = platt(*decision, *slope, *offset);
            won[first * count + second] = p;
            won[second * count + first] = 1.0 - p;
        }
        couple(&mut Coupling::default(), &won, count.max(ROUNDS), into);
    }
}

impl Operation for Pairs {
    fn check(&self, image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        let ([input], [output]) = (inputs, outputs) else { return Err(broken("it has one input and one output")) };
        let count = self.classes.checked_mul(self.classes.saturating_sub(1)).map(|twice| twice / 2);
        let mut fits = [input.element, output.element] == [ElementType::Float64; 2]
            && self.classes >= 2
            && count == Some(input.width)
            && output.width == self.classes;
        if let Pairing::Probabilities { slopes, offsets } = self.pairing {
            image.check(slopes)?;
            image.check(offsets)?;
            fits &= [slopes.len(), offsets.len()] == [input.width; 2];
        }
        if fits { Ok(()) } else { Err(broken("its pairs do not fit its values")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        let (input, image, width) = (frame.input::<f64>(0), frame.image, frame.input_type(0).width.max(1));
        for (row, into) in input.chunks_exact(width).zip(frame.output::<f64>(0).chunks_exact_mut(self.classes)) {
            match self.pairing {
                Pairing::Votes => self.votes(row, into),
                Pairing::Decisions => self.decisions(row, into),
                Pairing::Probabilities { slopes, offsets } => {
                    self.probabilities(row, image.slice(slopes), image.slice(offsets), into);
                }
            }
        }
        Ok(())
    }

    fn kernel(&self, _set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        format!("pairs of {} classes", self.classes).into()
    }
}
