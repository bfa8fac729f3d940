//! B-splines of each column, as scipy evaluates them and scikit-learn continues them.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::{Operation, ValueType};
use crate::error::{Error, Kind, Result};
use crate::interface::ElementType;
use crate::native::image::{Image, Section};
use crate::native::instruction_set::InstructionSet;
use crate::native::value::broken;

/// The highest degree.
const HIGHEST: usize = 16;

/// What splines are beyond their knots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Continuation {
    /// What is beyond is refused.
    Refused,
    /// As at the last knot.
    Constant,
    /// A line with the slope at the last knot.
    Linear,
    /// The polynomials go on.
    Polynomial,
    /// The knots begin again.
    Periodic,
}

/// The splines of each column, side by side.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Splines {
    /// The degree of the polynomials.
    pub degree: usize,
    /// What they are beyond the knots.
    pub beyond: Continuation,
    /// How many splines a column has.
    pub count: usize,
    /// Whether the last spline of each column is left out.
    pub leaves_last: bool,
    /// The knots of each column, as many for each.
    pub knots: Section<f64>,
    /// What each B-spline counts for each spline of a column, one column after the other.
    pub cells: Section<f64>,
}

/// The knots and cells of a column.
#[derive(Clone, Copy)]
struct One<'a> {
    degree: usize,
    /// Which knots are the first and last.
    edge: usize,
    /// How many splines go on beyond each of them.
    near: usize,
    count: usize,
    knots: &'a [f64],
    cells: &'a [f64],
}

impl One<'_> {
    /// The first and last knot between which the splines are whole.
    fn ends(&self) -> [f64; 2] {
        [self.knots[self.edge], self.knots[self.knots.len() - self.edge - 1]]
    }

    /// De Boor's recurrence, in scipy's order: all splines at a point, or their slopes.
    fn at(&self, x: f64, slope: bool, into: &mut [f64]) {
        let (degree, last) = (self.degree, self.knots.len() - self.degree - 2);
        let place = self.knots[..=last].partition_point(|knot| *knot <= x).saturating_sub(1).clamp(degree, last);
        let (mut h, mut before) = ([0.0; HIGHEST + 1], [0.0; HIGHEST + 1]);
        h[0] = 1.0;
        for j in 1..=degree {
            before[..j].copy_from_slice(&h[..j]);
            h[0] = 0.0;
            let differs = slope && j == degree;
            for n in 1..=j {
                let (right, left) = (self.knots[place + n], self.knots[place + n - j]);
                if right == left {
                    h[n] = 0.0;
                } else if differs {
                    let w = j as f64 * before[n - 1] / (right - left);
                    h[n - 1] -= w;
                    h[n] = w;
                } else {
                    let w = before[n - 1] / (right - left);
                    h[n - 1] += w * (right - x);
                    h[n] = w * (x - left);
                }
            }
        }
        if slope && degree == 0 {
            h[0] = 0.0;
        }
        for (spline, into) in into.iter_mut().enumerate() {
            *into =
                (0..=degree).fold(0.0, |sum, n| sum + self.cells[(place + n - degree) * self.count + spline] * h[n]);
        }
    }

    /// All splines at a point that is beyond the first or the last knot.
    fn beyond(&self, x: f64, linear: bool, into: &mut [f64], [values, slopes]: [&mut [f64]; 2]) {
        let [first, last] = self.ends();
        let count = into.len();
        into.fill(0.0);
        for (is_beyond, end, is_first) in [(x < first, first, true), (x > last, last, false)] {
            if !is_beyond {
                continue;
            }
            self.at(end, false, values);
            if linear {
                self.at(end, true, slopes);
            }
            let near = self.near.min(count);
            let near = if is_first { 0..near } else { count - near..count };
            for spline in near {
                into[spline] = if linear { values[spline] + (x - end) * slopes[spline] } else { values[spline] };
            }
        }
    }
}

impl Splines {
    /// Which knots of a column are its ends, and how many splines go on beyond each. For lines scikit-learn counts on from column to
    /// column until it has come to 2.
    fn edge(&self, column: usize) -> (usize, usize) {
        if self.beyond == Continuation::Linear && self.degree <= 1 {
            (self.degree.saturating_add(column).min(2), self.degree.saturating_add(column).saturating_add(1).min(2))
        } else {
            (self.degree, self.degree)
        }
    }

    fn kept(&self) -> usize {
        self.count - usize::from(self.leaves_last)
    }
}

impl Operation for Splines {
    fn check(&self, image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        image.check(self.knots)?;
        image.check(self.cells)?;
        let ([input], [output]) = (inputs, outputs) else { return Err(broken("it has one input and one output")) };
        let knots = self.knots.len().checked_div(input.width).unwrap_or(0);
        let own = image.slice(self.knots).chunks_exact(knots.max(1));
        let fits = [input.element, output.element] == [ElementType::Float64; 2]
            && self.degree <= HIGHEST
            && knots >= 2 * self.degree + 2
            && knots > self.edge(input.width).0
            && knots.checked_mul(input.width) == Some(self.knots.len())
            && (1 + usize::from(self.leaves_last)..=1 << 20).contains(&self.count)
            && (knots - self.degree - 1).checked_mul(self.count).and_then(|cells| cells.checked_mul(input.width))
                == Some(self.cells.len())
            && input.width.checked_mul(self.kept()) == Some(output.width)
            && own.into_iter().all(|knots| knots.is_sorted() && knots.iter().all(|knot| knot.is_finite()));
        if fits { Ok(()) } else { Err(broken("its splines do not fit its values")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        let (input, image, width) = (frame.input::<f64>(0), frame.image, frame.input_type(0).width.max(1));
        let (knots, cells) = (image.slice(self.knots), image.slice(self.cells));
        let (own_knots, own_cells, kept) = (knots.len() / width, cells.len() / width, self.kept());
        let [mut values, mut at_end, mut slopes] = [(); 3].map(|()| vec![0.0; self.count]);
        let mut refusals = vec![];
        let rows = input.chunks_exact(width).zip(frame.output::<f64>(0).chunks_exact_mut(width * kept));
        for (row, (given, into)) in rows.enumerate() {
            for (column, (x, into)) in given.iter().zip(into.chunks_exact_mut(kept)).enumerate() {
                let (edge, near) = self.edge(column);
                let own = One {
                    degree: self.degree,
                    edge,
                    near,
                    count: self.count,
                    knots: &knots[column * own_knots..(column + 1) * own_knots],
                    cells: &cells[column * own_cells..(column + 1) * own_cells],
                };
                let [first, last] = own.ends();
                let is_beyond = *x < first || *x > last;
                match self.beyond {
                    _ if x.is_nan() => values.fill(f64::NAN),
                    Continuation::Refused if is_beyond => {
                        refusals.push((row, *x));
                        values.fill(f64::NAN);
                    }
                    Continuation::Constant if is_beyond => {
                        own.beyond(*x, false, &mut values, [&mut at_end, &mut slopes])
                    }
                    Continuation::Linear if is_beyond => own.beyond(*x, true, &mut values, [&mut at_end, &mut slopes]),
                    Continuation::Periodic => own.at(first + (x - first).rem_euclid(last - first), false, &mut values),
                    _ => own.at(*x, false, &mut values),
                }
                into.copy_from_slice(&values[..kept]);
            }
        }
        for (row, x) in refusals {
            frame.refuse(row, || Error::new(Kind::OutOfRange, format!("{x} is beyond the knots of its splines")));
        }
        Ok(())
    }

    fn kernel(&self, _set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        format!("splines of degree {}", self.degree).into()
    }
}
