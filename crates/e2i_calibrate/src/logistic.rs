//! Logistic regression of a few columns, by Newton's method: what a logistic and a beta curve are fitted with.

use serde::{Deserialize, Serialize};

/// Columns, and one for the intercept.
const MOST: usize = 3;

/// Steps of Newton's method; a dozen do where the classes overlap.
const STEPS: usize = 200;

/// From this size on numbers are divided by the greatest before they are fitted, as scikit-learn's `_sigmoid_calibration` does.
const LARGE: f64 = 30.0;

/// A logistic curve: 1 / (1 + exp(a x + b)), as Platt writes it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Platt {
    /// The slope, negative where what the model says is right.
    pub a: f64,
    /// The intercept.
    pub b: f64,
}

/// A beta curve: the logistic function of a ln p - b ln(1 - p) + c.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Beta {
    /// Of small probabilities.
    pub a: f64,
    /// Of great ones.
    pub b: f64,
    /// The intercept.
    pub c: f64,
}

/// The logistic function.
#[must_use]
pub fn logistic(z: f64) -> f64 {
    if z >= 0.0 { 1.0 / (1.0 + (-z).exp()) } else { z.exp() / (1.0 + z.exp()) }
}

impl Platt {
    /// Fits how often rows are of a class. The targets are Platt's: with one row more of each side, half right.
    #[must_use]
    pub fn fit(numbers: &[f64], is_so: &[bool], weights: Option<&[f64]>) -> Self {
        let weight = |row: usize| weights.map_or(1.0, |weights| weights[row]);
        let sum = |side: bool| -> f64 { (0..numbers.len()).filter(|row| is_so[*row] == side).map(weight).sum() };
        let (against, in_favour) = (sum(false), sum(true));
        let greatest = numbers.iter().fold(0.0_f64, |most, number| most.max(number.abs()));
        let scale = if greatest >= LARGE { greatest } else { 1.0 };
        let targets: Vec<f64> = is_so
            .iter()
            .map(|is_so| if *is_so { (in_favour + 1.0) / (in_favour + 2.0) } else { 1.0 / (against + 2.0) })
            .collect();
        let columns = [numbers.iter().map(|number| number / scale).collect()];
        let begin = -((against + 1.0) / (in_favour + 1.0)).ln();
        let [slope, intercept, _] = fit(&columns, &targets, &weight, 0.0, begin);
        Self { a: -slope / scale, b: -intercept }
    }

    /// How often it is so.
    #[must_use]
    pub fn at(&self, number: f64) -> f64 {
        logistic(-(self.a * number + self.b))
    }
}

impl Beta {
    /// Fits how often rows are of a class, as `betacal` does: a side of the curve that would fall is left out.
    #[must_use]
    pub fn fit(probabilities: &[f64], is_so: &[bool], weights: Option<&[f64]>) -> Self {
        // The penalty of scikit-learn's LogisticRegression with C = 99999999999.
        const RIDGE: f64 = 1.0 / 99_999_999_999.0;
        let weight = |row: usize| weights.map_or(1.0, |weights| weights[row]);
        let targets: Vec<f64> = is_so.iter().map(|is_so| f64::from(u8::from(*is_so))).collect();
        let (low, high): (Vec<f64>, Vec<f64>) = probabilities.iter().map(|p| Self::sides(*p)).unzip();
        let both = [low, high];
        let [a, b, c] = fit(&both, &targets, &weight, RIDGE, 0.0);
        let [low, high] = &both;
        if a < 0.0 {
            let [b, c, _] = fit(std::slice::from_ref(high), &targets, &weight, RIDGE, 0.0);
            return Self { a: 0.0, b, c };
        }
        if b < 0.0 {
            let [a, c, _] = fit(std::slice::from_ref(low), &targets, &weight, RIDGE, 0.0);
            return Self { a, b: 0.0, c };
        }
        Self { a, b, c }
    }

    /// How often it is so.
    #[must_use]
    pub fn at(&self, probability: f64) -> f64 {
        let (low, high) = Self::sides(probability);
        logistic(self.a * low + self.b * high + self.c)
    }

    /// ln p and -ln(1 - p), both finite.
    fn sides(probability: f64) -> (f64, f64) {
        let within = probability.clamp(f64::EPSILON, 1.0 - f64::EPSILON);
        (within.ln(), -(1.0 - within).ln())
    }
}

/// The coefficients and then the intercept that make the targets most likely: a sum over rows, and a penalty of half the ridge times the
/// squares of the coefficients.
fn fit(columns: &[Vec<f64>], targets: &[f64], weight: &dyn Fn(usize) -> f64, ridge: f64, begin: f64) -> [f64; MOST] {
    let count = columns.len();
    let column = |at: usize, row: usize| columns.get(at).map_or(1.0, |column| column[row]);
    let linear = |x: &[f64; MOST], row: usize| (0..=count).map(|at| x[at] * column(at, row)).sum::<f64>();
    let loss = |x: &[f64; MOST]| {
        let rows = (0..targets.len()).map(|row| {
            let z = linear(x, row);
            // ln(1 + exp(z)) - t z
            weight(row) * (z.max(0.0) + (-z.abs()).exp().ln_1p() - targets[row] * z)
        });
        rows.sum::<f64>() + ridge / 2.0 * x[..count].iter().map(|x| x * x).sum::<f64>()
    };
    let mut x = [0.0; MOST];
    x[count] = begin;
    let mut least = loss(&x);
    for _ in 0..STEPS {
        let (mut gradient, mut hessian) = ([0.0; MOST], [[0.0; MOST]; MOST]);
        for (row, target) in targets.iter().enumerate() {
            let share = logistic(linear(&x, row));
            let (off, curve) = (weight(row) * (share - target), weight(row) * share * (1.0 - share));
            for i in 0..=count {
                gradient[i] += off * column(i, row);
                for (j, cell) in hessian[i].iter_mut().enumerate().take(count + 1) {
                    *cell += curve * column(i, row) * column(j, row);
                }
            }
        }
        for i in 0..count {
            gradient[i] += ridge * x[i];
            hessian[i][i] += ridge;
        }
        let trace: f64 = (0..=count).map(|i| hessian[i][i]).sum();
        // Where columns are the same for all rows, no step is taken along what makes no difference.
        (0..=count).for_each(|i| hessian[i][i] += trace * 1e-14 + f64::MIN_POSITIVE);
        let step = solved(hessian, gradient, count + 1);
        let mut length = 1.0;
        let found = loop {
            let mut next = x;
            (0..=count).for_each(|i| next[i] -= length * step[i]);
            let at = loss(&next);
            if at <= least {
                break Some((next, at));
            }
            length /= 2.0;
            if length < 1e-10 {
                break None;
            }
        };
        let Some((next, at)) = found else { break };
        let moved = (0..=count).map(|i| (next[i] - x[i]).abs() / (1.0 + x[i].abs())).fold(0.0, f64::max);
        (x, least) = (next, at);
        if moved < 1e-13 {
            break;
        }
    }
    x
}

/// The solution of a few equations, by elimination with the greatest pivot.
fn solved(mut matrix: [[f64; MOST]; MOST], mut right: [f64; MOST], count: usize) -> [f64; MOST] {
    for column in 0..count {
        let size = |row: &usize| matrix[*row][column].abs();
        let pivot = (column..count).max_by(|a, b| size(a).total_cmp(&size(b))).unwrap_or(column);
        matrix.swap(column, pivot);
        right.swap(column, pivot);
        if matrix[column][column] == 0.0 {
            continue;
        }
        for row in column + 1..count {
            let factor = matrix[row][column] / matrix[column][column];
            (column..count).for_each(|at| matrix[row][at] -= factor * matrix[column][at]);
            right[row] -= factor * right[column];
        }
    }
    let mut solution = [0.0; MOST];
    for row in (0..count).rev() {
        let known: f64 = (row + 1..count).map(|at| matrix[row][at] * solution[at]).sum();
        let pivot = matrix[row][row];
        solution[row] = if pivot == 0.0 { 0.0 } else { (right[row] - known) / pivot };
    }
    solution
}

#[cfg(test)]
mod tests {
    use super::*;
    use e2i_core::random::Random;

    /// Rows whose class is drawn by a curve that is known.
    fn drawn(rows: usize, truth: impl Fn(f64) -> f64) -> (Vec<f64>, Vec<bool>) {
        let mut random = Random(11);
        (0..rows)
            .map(|_| {
                let p = random.share();
                (p, random.share() < truth(p))
            })
            .unzip()
    }

    #[test]
    fn curves_are_found_again() {
        let (p, is_so) = drawn(200_000, |p| logistic(4.0 * p - 2.0));
        let platt = Platt::fit(&p, &is_so, None);
        assert!((platt.a + 4.0).abs() < 0.1 && (platt.b - 2.0).abs() < 0.1, "{platt:?}");
        let truth = Beta { a: 0.5, b: 2.0, c: 0.3 };
        let (p, is_so) = drawn(200_000, |p| truth.at(p));
        let beta = Beta::fit(&p, &is_so, None);
        assert!((beta.a - 0.5).abs() < 0.05 && (beta.b - 2.0).abs() < 0.05 && (beta.c - 0.3).abs() < 0.05, "{beta:?}");
    }

    #[test]
    fn hopeless_rows_have_finite_curves() {
        let cases: [(&[f64], &[bool]); 5] = [
            (&[0.5, 0.5, 0.5], &[true, false, true]),
            (&[0.0, 1.0], &[false, true]),
            (&[0.1, 0.9], &[true, false]),
            (&[0.3], &[true]),
            (&[1e300, -1e300], &[true, false]),
        ];
        for (numbers, is_so) in cases {
            let platt = Platt::fit(numbers, is_so, None);
            assert!(platt.at(0.5).is_finite(), "{platt:?}");
            let beta = Beta::fit(numbers, is_so, None);
            assert!(beta.at(0.0).is_finite() && beta.at(1.0).is_finite(), "{beta:?}");
            assert!(beta.a >= 0.0 && beta.b >= 0.0 || beta.a == 0.0 || beta.b == 0.0);
        }
        let constant = Platt::fit(&[0.5; 4], &[true, false, true, true], None);
        assert!((constant.at(0.5) - (3.0 * 0.8 + 1.0 / 3.0) / 4.0).abs() < 1e-9, "{constant:?}");
    }

    /// A weight of two is the row twice.
    #[test]
    fn weights_are_numbers_of_rows() {
        let (p, is_so) = drawn(300, |p| p * p);
        let weights: Vec<f64> = (0..300).map(|row| f64::from(row % 3)).collect();
        let repeated: Vec<usize> = (0..300).flat_map(|row| std::iter::repeat_n(row, row % 3)).collect();
        let (q, was_so): (Vec<f64>, Vec<bool>) = repeated.into_iter().map(|row| (p[row], is_so[row])).unzip();
        let (one, other) = (Platt::fit(&p, &is_so, Some(&weights)), Platt::fit(&q, &was_so, None));
        assert!((one.a - other.a).abs() < 1e-8 && (one.b - other.b).abs() < 1e-8);
        let (one, other) = (Beta::fit(&p, &is_so, Some(&weights)), Beta::fit(&q, &was_so, None));
        assert!((one.a - other.a).abs() < 1e-7 && (one.b - other.b).abs() < 1e-7);
    }
}
