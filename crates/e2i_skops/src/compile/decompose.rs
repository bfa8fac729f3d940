//! Columns made of all columns, or a choice of them: projections, products, selections, clusters.

use e2i_core::native::operators::{BinaryFunction, Monomials, RowFunction, UnaryFunction};
use e2i_core::{Error, Kind, Result};

use super::answer::Answer;
use super::{COLUMNS_AT_MOST, Compiler, Table, misshapen, unsupported};
use crate::node::{Matrix, Node};

/// Positions of the greatest `count` scores; of equal ones the last.
fn best(scores: &[f64], count: usize) -> Vec<bool> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    let mut mask = vec![false; scores.len()];
    order.iter().rev().take(count).for_each(|at| mask[*at] = true);
    mask
}

/// numpy's percentile, between two scores in proportion.
fn percentile(scores: &[f64], percent: f64) -> f64 {
    let mut sorted = scores.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = percent / 100.0 * (sorted.len() as f64 - 1.0);
    let (low, high) = (place.floor() as usize, (place.ceil() as usize).min(sorted.len() - 1));
    let share = place - low as f64;
    let step = sorted[high] - sorted[low];
    if share >= 0.5 { sorted[high] - step * (1.0 - share) } else { sorted[low] + step * share }
}

/// Which columns a selector keeps.
fn support(node: Node<'_>) -> Result<Vec<bool>> {
    let numbers = |name: &str| node.get(name)?.numbers();
    let class = node.class();
    let (class, parameter) = match (class, node.option("mode").as_deref()) {
        ("GenericUnivariateSelect", mode) => {
            let class = match mode {
                Some("percentile") => "SelectPercentile",
                Some("k_best") => "SelectKBest",
                Some("fpr") => "SelectFpr",
                Some("fwe") => "SelectFwe",
                Some("fdr") => "SelectFdr",
                _ => return Err(unsupported("its mode is not read")),
            };
            (class, "param")
        }
        ("SelectKBest", _) => (class, "k"),
        ("SelectPercentile", _) => (class, "percentile"),
        _ => (class, "alpha"),
    };
    // What is no number is less than any.
    let scores = || -> Result<Vec<f64>> {
        Ok(numbers("scores_")?.into_iter().map(|score| if score.is_nan() { f64::MIN } else { score }).collect())
    };
    Ok(match class {
        "VarianceThreshold" => {
            let threshold = node.get("threshold")?.number()?;
            numbers("variances_")?.into_iter().map(|variance| variance > threshold).collect()
        }
        "SelectKBest" => {
            let scores = scores()?;
            let parameter = node.get(parameter)?;
            if parameter.text().as_deref() == Ok("all") {
                vec![true; scores.len()]
            } else {
                best(&scores, parameter.count()?)
            }
        }
        "SelectPercentile" => {
            let (scores, percent) = (scores()?, node.get(parameter)?.number()?);
            if scores.is_empty() || !(0.0..=100.0).contains(&percent) {
                return Err(misshapen("its scores"));
            }
            if percent == 100.0 || percent == 0.0 {
                return Ok(vec![percent > 0.0; scores.len()]);
            }
            let threshold = percentile(&scores, 100.0 - percent);
            let mut mask: Vec<bool> = scores.iter().map(|score| *score > threshold).collect();
            let most = (scores.len() as f64 * percent / 100.0) as usize;
            let kept = mask.iter().filter(|kept| **kept).count();
            let ties = (0..scores.len()).filter(|at| scores[*at] == threshold);
            ties.take(most.saturating_sub(kept)).for_each(|at| mask[at] = true);
            mask
        }
        "SelectFpr" | "SelectFwe" => {
            let (values, alpha) = (numbers("pvalues_")?, node.get(parameter)?.number()?);
            let alpha = if class == "SelectFwe" { alpha / values.len() as f64 } else { alpha };
            values.into_iter().map(|value| value < alpha).collect()
        }
        "SelectFdr" => {
            let (values, alpha) = (numbers("pvalues_")?, node.get(parameter)?.number()?);
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let share = alpha / values.len() as f64;
            let selected = sorted.into_iter().zip(1..).filter(|(value, place)| *value <= share * f64::from(*place));
            let greatest = selected.map(|(value, _)| value).reduce(f64::max);
            values.into_iter().map(|value| greatest.is_some_and(|greatest| value <= greatest)).collect()
        }
        _ => node.get("support_")?.wholes()?.into_iter().map(|kept| kept != 0).collect(),
    })
}

/// Every choice of `degree` columns in order, with repetition or without.
fn combinations(width: usize, degree: usize, repeated: bool, into: &mut Vec<Vec<u32>>) -> Result<()> {
    let mut chosen: Vec<usize> = (0..degree).map(|at| if repeated { 0 } else { at }).collect();
    let last = |at: usize| if repeated { width - 1 } else { width - degree + at };
    if !repeated && degree > width {
        return Ok(());
    }
    loop {
        if into.len() >= COLUMNS_AT_MOST {
            return Err(Error::new(Kind::Limit, format!("it gives more than {COLUMNS_AT_MOST} columns")));
        }
        into.push(chosen.iter().map(|column| *column as u32).collect());
        let Some(at) = (0..degree).rev().find(|at| chosen[*at] < last(*at)) else { return Ok(()) };
        chosen[at] += 1;
        for after in at + 1..degree {
            chosen[after] = if repeated { chosen[at] } else { chosen[after - 1] + 1 };
        }
    }
}

impl Compiler {
    pub(super) fn selector(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        let mask = support(node)?;
        if mask.len() != table.width() {
            return Err(misshapen("its columns and what was learned of them"));
        }
        let kept: Vec<usize> = (0..mask.len()).filter(|at| mask[*at]).collect();
        // It looks at every column, those that it leaves out too.
        let value = match node.attribute("estimator_").or_else(|| node.attribute("estimator")) {
            Some(model) => self.looked_at(model, table)?,
            // It takes missing values, and looks at none then.
            None if node.class() == "VarianceThreshold" && table.width() > 0 => {
                self.take_numbers(table)?;
                table.value
            }
            None => self.checked(table, false, false)?,
        };
        self.gather(&Table { value, columns: table.columns.clone() }, &kept)
    }

    /// The answer of the estimator that columns were selected by.
    pub(super) fn selected(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let table = self.selector(node, table)?;
        self.answer("estimator_", node.get("estimator_")?, &table)
    }

    pub(super) fn projection(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        let value = self.checked(table, false, false)?;
        let components = node.get("components_")?.matrix()?;
        let mut value = self.product(value, &components, &[])?;
        if let Some(mean) = node.some("mean_") {
            let mean = mean.numbers()?;
            if mean.len() != components.columns {
                return Err(misshapen("its components and columns"));
            }
            let of_mean =
                |row: usize| (0..mean.len()).map(|at| components.cells[row * mean.len() + at] * mean[at]).sum();
            let offset: Vec<f64> = (0..components.rows).map(of_mean).collect();
            value = self.with(BinaryFunction::Subtract, value, &offset);
        }
        if node.is_true("whiten") {
            let variance = node.get("explained_variance_")?.numbers()?;
            if variance.len() != components.rows {
                return Err(misshapen("its components and variances"));
            }
            let scale: Vec<f64> = variance.into_iter().map(|variance| variance.sqrt().max(f64::EPSILON)).collect();
            value = self.with(BinaryFunction::Divide, value, &scale);
        }
        Ok(Table::computed(value, components.rows))
    }

    pub(super) fn polynomial_features(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        let value = self.checked(table, false, false)?;
        let degree = node.get("degree")?;
        let (least, most) = match degree.items() {
            Ok(pair) => match pair[..] {
                [least, most] => (least.count()?, most.count()?),
                _ => return Err(misshapen("its degrees")),
            },
            Err(_) => (0, degree.count()?),
        };
        let mut products = vec![];
        if node.is_true("include_bias") {
            products.push(vec![]);
        }
        for degree in least.max(1)..=most {
            combinations(table.width(), degree, !node.is_true("interaction_only"), &mut products)?;
        }
        // A product of a degree is one of the degree below times the first column.
        products.iter_mut().for_each(|product| product.reverse());
        let operator = Monomials::new(&products, self.plan.tables());
        let value = self.step(operator, &[value], Self::double(products.len()));
        Ok(Table::computed(value, products.len()))
    }

    /// The distance to the centre of each cluster.
    pub(super) fn k_means_transform(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        match self.k_means(node, table)? {
            Answer::Clusters { scores, .. } => Ok(Table::computed(scores, self.width_of(scores))),
            _ => Err(misshapen("its centres")),
        }
    }

    /// Clusters by the distance to their centres.
    pub(super) fn k_means(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let value = self.checked(table, false, false)?;
        let centers = node.get("cluster_centers_")?.matrix()?;
        let (count, width) = (centers.rows, centers.columns);
        if width != table.width() {
            return Err(misshapen("its centres and columns"));
        }
        let square = |row: usize| centers.cells[row * width..(row + 1) * width].iter().map(|x| x * x).sum::<f64>();
        let squares: Vec<f64> = (0..count).map(square).collect();
        // |c|² - 2xc, to which |x|² makes the square of the distance.
        let weights = Matrix { rows: count, columns: width, cells: centers.cells.iter().map(|x| -2.0 * x).collect() };
        let apart = self.product(value, &weights, &squares)?;
        let label = self.least(apart);
        let squared = self.both(BinaryFunction::Multiply, value, value);
        let own = self.row(RowFunction::Sum, squared)?;
        let both = self.join(&[apart, own]);
        let cells = (0..count).flat_map(|row| (0..=count).map(move |at| f64::from(u8::from(at == row || at == count))));
        let sums = Matrix { rows: count, columns: count + 1, cells: cells.collect() };
        let squares = self.product(both, &sums, &[])?;
        let squares = self.clip(squares, 0.0, f64::INFINITY);
        let distances = self.each(UnaryFunction::SquareRoot, squares);
        Ok(Answer::Clusters { label, scores: distances, name: "distances" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combinations_are_in_pythons_order() {
        let of = |width, degree, repeated| {
            let mut into = vec![];
            combinations(width, degree, repeated, &mut into).unwrap();
            into
        };
        assert_eq!(of(2, 2, true), [[0, 0], [0, 1], [1, 1]]);
        assert_eq!(of(3, 2, false), [[0, 1], [0, 2], [1, 2]]);
        assert!(of(2, 3, false).is_empty());
        assert!(combinations(10_000, 4, true, &mut vec![]).is_err());
    }

    #[test]
    fn the_last_of_equal_scores_is_kept() {
        assert_eq!(best(&[1.0, 3.0, 3.0, 2.0], 1), [false, false, true, false]);
        assert_eq!(percentile(&[1.0, 2.0, 3.0, 4.0], 50.0), 2.5);
    }
}
