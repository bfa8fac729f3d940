//! The nearest of some points, and what these say: scikit-learn's nearest neighbours in float64.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::{Operation, ValueType};
use crate::error::Result;
use crate::interface::ElementType;
use crate::native::image::{Image, Section};
use crate::native::instruction_set::InstructionSet;
use crate::native::value::broken;

/// How far apart two points are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The root of the sum of the squares.
    Euclidean,
    /// The sum of the absolute differences.
    Manhattan,
    /// The greatest absolute difference.
    Chebyshev,
    /// The root of that power of the sum of the powers.
    Minkowski(f64),
    /// One minus the cosine of the angle between them; points at zero are 1 apart from all.
    Cosine,
    /// The sum of the squares.
    SquaredEuclidean,
    /// The sum of the absolute differences, each divided by the sum of both absolute values.
    Canberra,
    /// The sum of the absolute differences divided by the sum of all absolute values.
    BrayCurtis,
    /// The share of the columns that differ.
    Hamming,
}

impl Metric {
    /// A number that is greater the farther two points are apart.
    pub(super) fn rank(self, x: &[f64], y: &[f64]) -> f64 {
        let apart = x.iter().zip(y).map(|(x, y)| (x - y).abs());
        match self {
            Self::Euclidean | Self::SquaredEuclidean => apart.fold(0.0, |sum, apart| sum + apart * apart),
            Self::Canberra => {
                let sizes = x.iter().zip(y).map(|(x, y)| x.abs() + y.abs());
                let parts = apart.zip(sizes).filter(|(_, size)| *size > 0.0);
                parts.fold(0.0, |sum, (apart, size)| sum + apart / size)
            }
            Self::BrayCurtis => {
                let size = x.iter().zip(y).fold(0.0, |sum, (x, y)| sum + (x.abs() + y.abs()));
                let all = apart.fold(0.0, |sum, apart| sum + apart);
                if size > 0.0 { all / size } else { 0.0 }
            }
            Self::Hamming => {
                let differ = x.iter().zip(y).filter(|(x, y)| x != y).count();
                differ as f64 / x.len() as f64
            }
            Self::Manhattan => apart.fold(0.0, |sum, apart| sum + apart),
            Self::Chebyshev => apart.fold(0.0, f64::max),
            Self::Minkowski(power) => apart.fold(0.0, |sum, apart| sum + apart.powf(power)),
            Self::Cosine => {
                let norm = |cells: &[f64]| cells.iter().fold(0.0, |sum, x| sum + x * x).sqrt();
                let unit = |norm: f64| if norm == 0.0 { 1.0 } else { norm };
                let (own, other) = (unit(norm(x)), unit(norm(y)));
                let product = x.iter().zip(y).fold(0.0, |sum, (x, y)| sum + x / own * (y / other));
                (1.0 - product).clamp(0.0, 2.0)
            }
        }
    }

    pub(super) fn distance(self, rank: f64) -> f64 {
        match self {
            Self::Euclidean => rank.sqrt(),
            Self::Manhattan
            | Self::Chebyshev
            | Self::Cosine
            | Self::SquaredEuclidean
            | Self::Canberra
            | Self::BrayCurtis
            | Self::Hamming => rank,
            Self::Minkowski(power) => rank.powf(1.0 / power),
        }
    }
}

/// The mean of what the nearest points stand for, of equally near ones the first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Neighbours {
    /// How far apart points are.
    pub metric: Metric,
    /// How many points count.
    pub count: usize,
    /// Whether a point counts by one divided by its distance; points that are no distance away then count alone.
    pub by_distance: bool,
    /// The points, one after the other.
    pub points: Section<f64>,
    /// What each stands for.
    pub targets: Section<f64>,
}

impl Operation for Neighbours {
    fn check(&self, image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        image.check(self.points)?;
        image.check(self.targets)?;
        let ([input], [output]) = (inputs, outputs) else { return Err(broken("it has one input and one output")) };
        let points = self.points.len().checked_div(input.width).unwrap_or(0);
        let fits = [input.element, output.element] == [ElementType::Float64; 2]
            && points.checked_mul(input.width) == Some(self.points.len())
            && points.checked_mul(output.width) == Some(self.targets.len())
            && output.width > 0
            && (1..=points).contains(&self.count);
        if fits { Ok(()) } else { Err(broken("its points do not fit its values")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        let (input, image, width) = (frame.input::<f64>(0), frame.image, frame.input_type(0).width.max(1));
        let (points, targets) = (image.slice(self.points), image.slice(self.targets));
        let cells = frame.output_type(0).width.max(1);
        let mut ranked: Vec<(f64, usize)> = Vec::with_capacity(points.len() / width);
        for (row, into) in input.chunks_exact(width).zip(frame.output::<f64>(0).chunks_exact_mut(cells)) {
            ranked.clear();
            ranked.extend(points.chunks_exact(width).enumerate().map(|(at, point)| (self.metric.rank(row, point), at)));
            let order = |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
            if self.count < ranked.len() {
                ranked.select_nth_unstable_by(self.count - 1, order);
            }
            let nearest = ranked.get_mut(..self.count).unwrap_or(&mut []);
            nearest.sort_unstable_by(order);
            let met = nearest.iter().any(|(rank, _)| *rank == 0.0);
            let weight = |rank: f64| match (self.by_distance, met) {
                (false, _) => 1.0,
                (true, true) => f64::from(u8::from(rank == 0.0)),
                (true, false) => 1.0 / self.metric.distance(rank),
            };
            into.fill(0.0);
            let mut all = 0.0;
            for (rank, at) in nearest.iter() {
                let weight = weight(*rank);
                all += weight;
                let target = targets.get(at * cells..(at + 1) * cells).unwrap_or(&[]);
                into.iter_mut().zip(target).for_each(|(sum, target)| *sum += weight * target);
            }
            into.iter_mut().for_each(|sum| *sum /= all);
        }
        Ok(())
    }

    fn kernel(&self, _set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        format!("{} nearest of {} numbers", self.count, self.points.len()).into()
    }
}
