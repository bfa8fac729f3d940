//! Mixtures of normal distributions: which one a row is of, and with what probability of each.

use e2i_core::Result;
use e2i_core::native::ValueId;
use e2i_core::native::operators::{BinaryFunction, RowFunction};

use super::answer::Answer;
use super::{Compiler, Table, misshapen, unsupported};
use crate::node::{Matrix, Node};

/// The derivative of the logarithm of the gamma function, of a positive number.
fn digamma(x: f64) -> f64 {
    // Its series is for large numbers.
    let (mut x, mut sum) = (x, 0.0);
    while x < 16.0 {
        sum -= 1.0 / x;
        x += 1.0;
    }
    let z = 1.0 / (x * x);
    let series = z
        * (1.0 / 12.0
            - z * (1.0 / 120.0 - z * (1.0 / 252.0 - z * (1.0 / 240.0 - z * (1.0 / 132.0 - z * (691.0 / 32_760.0))))));
    sum + x.ln() - 0.5 / x - series
}

/// What each component adds to the logarithm of its density, and its weight's logarithm.
fn constants(node: Node<'_>, count: usize, width: usize) -> Result<Vec<f64>> {
    if node.class() == "GaussianMixture" {
        return Ok(node.get("weights_")?.numbers()?.into_iter().map(f64::ln).collect());
    }
    let (freedoms, precisions) = (node.get("degrees_of_freedom_")?.numbers()?, node.get("mean_precision_")?.numbers()?);
    let concentration = node.get("weight_concentration_")?;
    let logs: Vec<f64> = if node.option("weight_concentration_prior_type").as_deref() == Some("dirichlet_process") {
        let [first, second] = concentration.items()?[..] else { return Err(misshapen("its weights")) };
        let (first, second) = (first.numbers()?, second.numbers()?);
        let mut before = 0.0;
        let log = |(first, second): (&f64, &f64)| {
            let both = digamma(first + second);
            let log = digamma(*first) - both + before;
            before += digamma(*second) - both;
            log
        };
        first.iter().zip(&second).map(log).collect()
    } else {
        let given = concentration.numbers()?;
        let all = digamma(given.iter().sum());
        given.iter().map(|own| digamma(*own) - all).collect()
    };
    // Of one common distribution there is one number of degrees of freedom.
    let of = |cells: &[f64], at: usize| cells.get(if cells.len() == 1 { 0 } else { at }).copied();
    let width = width as f64;
    let one = |(at, log): (usize, f64)| {
        let (freedom, precision) = (of(&freedoms, at)?, of(&precisions, at)?);
        let spread: f64 = (0..width as usize).map(|column| digamma(0.5 * (freedom - column as f64))).sum();
        let spread = width * 2f64.ln() + spread;
        Some(log - 0.5 * width * freedom.ln() + 0.5 * (spread - width / precision))
    };
    let all: Option<Vec<f64>> = logs.into_iter().enumerate().map(one).collect();
    all.filter(|all| all.len() == count).ok_or_else(|| misshapen("its components"))
}

impl Compiler {
    pub(super) fn mixture(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let value = self.checked(table, false, false)?;
        let means = node.get("means_")?.matrix()?;
        let (count, width) = (means.rows, table.width());
        if means.columns != width || count == 0 {
            return Err(misshapen("its components and columns"));
        }
        let added = constants(node, count, width)?;
        if added.len() != count {
            return Err(misshapen("its components"));
        }
        let kind = node.get("covariance_type")?.text()?;
        let cells = node.get("precisions_cholesky_")?.numbers()?;
        let expected = match kind.as_str() {
            "full" => count * width * width,
            "tied" => width * width,
            "diag" => count * width,
            "spherical" => count,
            other => return Err(unsupported(format!("the covariance_type {other:?} is not known"))),
        };
        if cells.len() != expected {
            return Err(misshapen("its components and columns"));
        }
        let normal = width as f64 * (2.0 * std::f64::consts::PI).ln();
        let mut parts = vec![];
        for component in 0..count {
            let mean = &means.cells[component * width..(component + 1) * width];
            let (square, determinant) = match kind.as_str() {
                "full" | "tied" => {
                    let from = if kind == "full" { component * width * width } else { 0 };
                    let own = Matrix { rows: width, columns: width, cells: cells[from..from + width * width].to_vec() };
                    let determinant: f64 = (0..width).map(|at| own.cells[at * width + at].ln()).sum();
                    let own = own.transposed();
                    let offset =
                        own.cells.chunks(width).map(|row| -row.iter().zip(mean).map(|(w, m)| w * m).sum::<f64>());
                    let offset: Vec<f64> = offset.collect();
                    let turned = self.product(value, &own, &offset)?;
                    let squared = self.both(BinaryFunction::Multiply, turned, turned);
                    (self.row(RowFunction::Sum, squared)?, determinant)
                }
                _ => {
                    let own: Vec<f64> = (0..width)
                        .map(|at| cells[if kind == "diag" { component * width + at } else { component }])
                        .collect();
                    (self.weighed_square(value, mean, &own)?, own.iter().map(|root| root.ln()).sum())
                }
            };
            let density = self.with(BinaryFunction::Add, square, &[normal]);
            let density = self.with(BinaryFunction::Multiply, density, &[-0.5]);
            parts.push(self.with(BinaryFunction::Add, density, &[determinant + added[component]]));
        }
        let likelihood = self.join(&parts);
        let label = self.greatest(likelihood);
        let probabilities = self.row(RowFunction::Posteriors, likelihood)?;
        Ok(Answer::Clusters { label, scores: probabilities, name: "probabilities" })
    }

    /// Σ mean²·p − 2 Σ x·mean·p + Σ x²·p, where p are the squares of `roots`.
    fn weighed_square(&mut self, value: ValueId, mean: &[f64], roots: &[f64]) -> Result<ValueId> {
        let precisions: Vec<f64> = roots.iter().map(|root| root * root).collect();
        let own: f64 = mean.iter().zip(&precisions).map(|(mean, precision)| mean * mean * precision).sum();
        let row = |cells: Vec<f64>| Matrix { rows: 1, columns: mean.len(), cells };
        let both = row(mean.iter().zip(&precisions).map(|(mean, precision)| -2.0 * mean * precision).collect());
        let crossed = self.product(value, &both, &[own])?;
        let squares = self.both(BinaryFunction::Multiply, value, value);
        let squared = self.product(squares, &row(precisions), &[])?;
        Ok(self.both(BinaryFunction::Add, crossed, squared))
    }
}

#[cfg(test)]
mod tests {
    use super::digamma;

    #[test]
    fn digammas_are_scipys() {
        for (x, expected) in
            [(0.5, -1.963_510_026_021_423_5), (1.0, -0.577_215_664_901_532_9), (7.25, 1.910_453_526_883_736_2)]
        {
            assert!((digamma(x) - expected).abs() < 1e-14, "{x}: {}", digamma(x));
        }
    }
}
