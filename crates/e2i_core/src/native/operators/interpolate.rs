//! Piecewise linear functions of float64, column by column, as numpy's `interp` computes them.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::{Operation, ValueType};
use crate::error::{Error, Kind, Result};
use crate::interface::ElementType;
use crate::native::image::{Image, ImageWriter, Section};
use crate::native::instruction_set::InstructionSet;
use crate::native::value::broken;
use crate::value::float_text;

/// What a number beyond the points becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Beyond {
    /// The nearest point's.
    Nearest,
    /// NaN.
    Nan,
    /// Nothing: the row is refused.
    Refused,
}

/// A line through points for each column; NaN stays.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Interpolate {
    /// Where the points of each column end.
    ends: Vec<usize>,
    x: Section<f64>,
    y: Section<f64>,
    beyond: Beyond,
}

impl Interpolate {
    /// Lays out the points of each column, in ascending order of x.
    #[must_use]
    pub fn new(columns: &[(Vec<f64>, Vec<f64>)], beyond: Beyond, tables: &mut ImageWriter) -> Self {
        let (mut ends, mut x, mut y) = (vec![], vec![], vec![]);
        for (own_x, own_y) in columns {
            x.extend_from_slice(own_x);
            y.extend_from_slice(own_y);
            ends.push(x.len());
        }
        Self { ends, x: tables.push(&x), y: tables.push(&y), beyond }
    }

    #[cold]
    fn refusal(&self, cell: f64, x: &[f64]) -> Error {
        let [first, last] = [x.first(), x.last()].map(|end| float_text(end.copied().unwrap_or(f64::NAN)));
        let message = format!("{} is not between {first} and {last}, and nothing is known beyond", float_text(cell));
        Error::new(Kind::OutOfRange, message)
    }
}

fn interpolated(at: f64, x: &[f64], y: &[f64], beyond: Beyond) -> f64 {
    let (Some(first), Some(last), Some(first_y), Some(last_y)) = (x.first(), x.last(), y.first(), y.last()) else {
        return f64::NAN;
    };
    if at.is_nan() {
        return at;
    }
    if at < *first {
        return if beyond == Beyond::Nan { f64::NAN } else { *first_y };
    }
    if at > *last {
        return if beyond == Beyond::Nan { f64::NAN } else { *last_y };
    }
    // The last point that is not above.
    let left = x.partition_point(|x| *x <= at).saturating_sub(1);
    let right = left + 1;
    match (x.get(left), y.get(left), x.get(right), y.get(right)) {
        (Some(x0), Some(y0), Some(_), Some(_)) if *x0 == at => *y0,
        (Some(x0), Some(y0), Some(x1), Some(y1)) => {
            let slope = (y1 - y0) / (x1 - x0);
            let value = slope * (at - x0) + y0;
            if !value.is_nan() {
                return value;
            }
            let value = slope * (at - x1) + y1;
            if value.is_nan() && y0 == y1 { *y0 } else { value }
        }
        _ => *last_y,
    }
}

impl Operation for Interpolate {
    fn check(&self, image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        image.check(self.x)?;
        image.check(self.y)?;
        let expected = ValueType::new(ElementType::Float64, self.ends.len());
        let fits = inputs == [expected]
            && outputs == [expected]
            && expected.width > 0
            && self.x.len() == self.y.len()
            && self.ends.is_sorted()
            && self.ends.last() == Some(&self.x.len());
        if fits { Ok(()) } else { Err(broken("its points do not fit its values")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        let (input, image, width) = (frame.input::<f64>(0), frame.image, self.ends.len().max(1));
        let (x, y) = (image.slice(self.x), image.slice(self.y));
        if self.beyond == Beyond::Refused {
            for (at, cell) in input.iter().enumerate() {
                let (row, column) = (at / width, at % width);
                let from = column.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
                let own = self.ends.get(column).and_then(|end| x.get(from..*end)).unwrap_or(&[]);
                if own.first().is_some_and(|first| cell < first) || own.last().is_some_and(|last| cell > last) {
                    frame.refuse(row, || self.refusal(*cell, own));
                }
            }
        }
        for (row, into) in input.chunks_exact(width).zip(frame.output::<f64>(0).chunks_exact_mut(width)) {
            let mut from = 0;
            for ((cell, into), end) in row.iter().zip(into).zip(&self.ends) {
                let points = from..*end;
                from = *end;
                let (x, y) = (x.get(points.clone()).unwrap_or(&[]), y.get(points).unwrap_or(&[]));
                *into = interpolated(*cell, x, y, self.beyond);
            }
        }
        Ok(())
    }

    fn kernel(&self, _set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        "interpolate".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_numpys() {
        let of = |at, beyond| interpolated(at, &[0.0, 1.0, 1.0, 3.0], &[0.0, 10.0, 20.0, 30.0], beyond);
        for (at, expected) in [(0.25, 2.5), (1.0, 20.0), (2.0, 25.0), (3.0, 30.0), (-1.0, 0.0), (9.0, 30.0)] {
            assert_eq!(of(at, Beyond::Nearest), expected, "{at}");
        }
        assert!(of(-1.0, Beyond::Nan).is_nan() && of(f64::NAN, Beyond::Nearest).is_nan());
        assert_eq!(interpolated(5.0, &[5.0], &[7.0], Beyond::Nan), 7.0);
    }
}
