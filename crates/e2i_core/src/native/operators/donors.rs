//! Missing numbers replaced by what the nearest rows of the training data have there, and how far a row lies from others beside how
//! far these lie: two of scikit-learn's models that keep rows.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::neighbours::Metric;
use super::{Operation, ValueType};
use crate::error::Result;
use crate::interface::ElementType;
use crate::native::arithmetic::sklearn::sum;
use crate::native::image::{Image, Section};
use crate::native::instruction_set::InstructionSet;
use crate::native::value::broken;

/// Missing numbers replaced by the mean of those of the nearest rows, of equally near ones the first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Donors {
    /// How many rows count.
    pub count: usize,
    /// Whether a row counts by one divided by its distance; rows that are no distance away then count alone.
    pub by_distance: bool,
    /// The rows, one after the other; NaN where nothing is known.
    pub points: Section<f64>,
    /// What a column has where no row has anything in common with the one that is asked for.
    pub means: Section<f64>,
}

/// The square of the distance by the columns that both rows have, as if they had all. It is formed of squares and a product, as
/// scikit-learn forms it: where rows are near to each other and far from zero, what is left is rounded as those are.
fn apart(row: &[f64], point: &[f64]) -> f64 {
    let known = |cell: f64| if cell.is_nan() { 0.0 } else { cell };
    let (mut product, mut own, mut other, mut common) = (0.0f64, 0.0, 0.0, 0u32);
    let (mut own_alone, mut other_alone) = (0.0, 0.0);
    for (x, y) in row.iter().zip(point) {
        let (a, b) = (known(*x), known(*y));
        product = a.mul_add(b, product);
        own += a * a;
        other += b * b;
        common += u32::from(!x.is_nan() && !y.is_nan());
        own_alone += if y.is_nan() { a * a } else { 0.0 };
        other_alone += if x.is_nan() { b * b } else { 0.0 };
    }
    let square = ((-2.0 * product + own + other).max(0.0) - own_alone - other_alone).max(0.0);
    if common == 0 { f64::NAN } else { square / f64::from(common) * row.len() as f64 }
}

impl Operation for Donors {
    fn check(&self, image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        image.check(self.points)?;
        image.check(self.means)?;
        let ([input], [output]) = (inputs, outputs) else { return Err(broken("it has one input and one output")) };
        let fits = input == output
            && input.element == ElementType::Float64
            && input.width > 0
            && self.points.len().is_multiple_of(input.width)
            && self.means.len() == input.width
            && self.count > 0;
        if fits { Ok(()) } else { Err(broken("its rows do not fit its values")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        let (input, image, width) = (frame.input::<f64>(0), frame.image, frame.input_type(0).width.max(1));
        let (points, means) = (image.slice(self.points), image.slice(self.means));
        let mut distances = vec![];
        let mut donors: Vec<(f64, f64)> = vec![];
        for (row, into) in input.chunks_exact(width).zip(frame.output::<f64>(0).chunks_exact_mut(width)) {
            into.copy_from_slice(row);
            if !row.iter().any(|cell| cell.is_nan()) {
                continue;
            }
            distances.clear();
            distances.extend(points.chunks_exact(width).map(|point| apart(row, point)));
            for (column, into) in into.iter_mut().enumerate().filter(|(_, cell)| cell.is_nan()) {
                donors.clear();
                let own = points.chunks_exact(width).zip(&distances).map(|(point, apart)| (*apart, point[column]));
                donors.extend(own.filter(|(apart, cell)| !apart.is_nan() && !cell.is_nan()));
                donors.sort_by(|a, b| a.0.total_cmp(&b.0));
                donors.truncate(self.count);
                let met = donors.iter().any(|(apart, _)| *apart == 0.0);
                let weight = |apart: f64| match (self.by_distance, met) {
                    (false, _) => 1.0,
                    (true, true) => f64::from(u8::from(apart == 0.0)),
                    (true, false) => 1.0 / apart.sqrt(),
                };
                let weights: Vec<f64> = donors.iter().map(|(apart, _)| weight(*apart)).collect();
                let cells: Vec<f64> = donors.iter().zip(&weights).map(|((_, cell), weight)| cell * weight).collect();
                *into = if donors.is_empty() { means[column] } else { sum(&cells) / sum(&weights) };
            }
        }
        Ok(())
    }

    fn kernel(&self, _set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        format!("{} nearest of {} numbers", self.count, self.points.len()).into()
    }
}

/// How dense it is around the nearest points, divided by how dense around the row: the negative local outlier factor.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outliers {
    /// How far apart points are.
    pub metric: Metric,
    /// How many points count.
    pub count: usize,
    /// The points, one after the other.
    pub points: Section<f64>,
    /// How far each point's own last neighbour is.
    pub reach: Section<f64>,
    /// How dense it is around each point.
    pub densities: Section<f64>,
}

impl Operation for Outliers {
    fn check(&self, image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        image.check(self.points)?;
        image.check(self.reach)?;
        image.check(self.densities)?;
        let ([input], [output]) = (inputs, outputs) else { return Err(broken("it has one input and one output")) };
        let fits = [input.element, output.element] == [ElementType::Float64; 2]
            && output.width == 1
            && self.reach.len() == self.densities.len()
            && self.reach.len().checked_mul(input.width) == Some(self.points.len())
            && (1..=self.reach.len()).contains(&self.count);
        if fits { Ok(()) } else { Err(broken("its points do not fit its values")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        let (input, image, width) = (frame.input::<f64>(0), frame.image, frame.input_type(0).width.max(1));
        let (points, reach, densities) =
            (image.slice(self.points), image.slice(self.reach), image.slice(self.densities));
        let share = |cells: &[f64]| sum(cells) / cells.len() as f64;
        let mut ranked: Vec<(f64, usize)> = vec![];
        for (row, into) in input.chunks_exact(width).zip(frame.output::<f64>(0)) {
            ranked.clear();
            ranked.extend(points.chunks_exact(width).enumerate().map(|(at, point)| (self.metric.rank(row, point), at)));
            ranked.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            ranked.truncate(self.count);
            let reached = ranked.iter().map(|(rank, at)| self.metric.distance(*rank).max(reach[*at]));
            let own = 1.0 / (share(&reached.collect::<Vec<f64>>()) + 1e-10);
            *into = -share(&ranked.iter().map(|(_, at)| densities[*at] / own).collect::<Vec<f64>>());
        }
        Ok(())
    }

    fn kernel(&self, _set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        format!("density of {} nearest of {} numbers", self.count, self.points.len()).into()
    }
}

/// The first number, in ascending order, up to which there is half of the weight.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WeightedMedian {
    /// The weight of each.
    pub weights: Section<f64>,
}

impl Operation for WeightedMedian {
    fn check(&self, image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        image.check(self.weights)?;
        let ([input], [output]) = (inputs, outputs) else { return Err(broken("it has one input and one output")) };
        let fits = [input.element, output.element] == [ElementType::Float64; 2]
            && [input.width, output.width] == [self.weights.len(), 1]
            && input.width > 0;
        if fits { Ok(()) } else { Err(broken("its weights do not fit its values")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        let (input, weights, width) =
            (frame.input::<f64>(0), frame.image.slice(self.weights), frame.input_type(0).width.max(1));
        for (row, into) in input.chunks_exact(width).zip(frame.output::<f64>(0)) {
            let mut order: Vec<usize> = (0..width).collect();
            order.sort_by(|a, b| row[*a].total_cmp(&row[*b]));
            let up_to = |sum: &mut f64, at: usize| {
                *sum += weights[at];
                Some((at, *sum))
            };
            let sums: Vec<(usize, f64)> = order.into_iter().scan(0.0, |sum, at| up_to(sum, at)).collect();
            let all = sums.last().map_or(0.0, |(_, sum)| *sum);
            let half = sums.iter().find(|(_, sum)| *sum >= 0.5 * all).or(sums.first());
            *into = half.map_or(f64::NAN, |(at, _)| row[*at]);
        }
        Ok(())
    }

    fn kernel(&self, _set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        "weighted median".into()
    }
}
