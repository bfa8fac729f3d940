//! Estimators of few lines: quadratic discriminants, quantiles, one class by stochastic gradients.

use e2i_core::native::arithmetic::sklearn::sum;
use e2i_core::native::operators::{Beyond, BinaryFunction, Elementary, Interpolate, RowFunction, UnaryFunction};
use e2i_core::{ElementType, Result};

use super::answer::{Answer, Classified, classes_of};
use super::{Compiler, Table, TableColumn, misshapen, unsupported};
use crate::node::{Matrix, Node};

/// How near to the end of the quantiles is the end.
const BORDER: f64 = 1e-7;

impl Compiler {
    pub(super) fn quadratic_discriminant(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let (classes, width) = (classes_of(node)?, table.width());
        let value = self.checked(table, false, false)?;
        let means = node.get("means_")?.matrix()?;
        let priors = node.get("priors_")?.numbers()?;
        let (rotations, scalings) = (node.get("rotations_")?.items()?, node.get("scalings_")?.items()?);
        let count = classes.len();
        if [means.rows, priors.len(), rotations.len(), scalings.len()] != [count; 4] || means.columns != width {
            return Err(misshapen("its classes and columns"));
        }
        let mut parts = vec![];
        for class in 0..count {
            let (rotation, scaling) = (rotations[class].matrix()?, scalings[class].numbers()?);
            if rotation.rows != width || rotation.columns != scaling.len() {
                return Err(misshapen("its classes and columns"));
            }
            let away = self.with(BinaryFunction::Subtract, value, &means.cells[class * width..(class + 1) * width]);
            let scaled =
                rotation.cells.iter().enumerate().map(|(at, cell)| cell * scaling[at % scaling.len()].powf(-0.5));
            let weights = Matrix { rows: width, columns: scaling.len(), cells: scaled.collect() }.transposed();
            let turned = self.product(away, &weights, &[])?;
            let squared = self.both(BinaryFunction::Multiply, turned, turned);
            let norm = self.row(RowFunction::Sum, squared)?;
            let logs: Vec<f64> = scaling.iter().map(|scaling| scaling.ln()).collect();
            let moved = self.with(BinaryFunction::Add, norm, &[sum(&logs)]);
            let halved = self.with(BinaryFunction::Multiply, moved, &[-0.5]);
            parts.push(self.with(BinaryFunction::Add, halved, &[priors[class].ln()]));
        }
        let decisions = self.join(&parts);
        let probabilities = Some(self.row(RowFunction::Softmax, decisions)?);
        if count == 2 {
            let decision = self.row(RowFunction::Difference, decisions)?;
            let classified = self.by_decision(classes, decision)?;
            return Ok(Answer::Classes(Classified { probabilities, ..classified }));
        }
        let classified = self.by_decision(classes, decisions)?;
        Ok(Answer::Classes(Classified { probabilities, ..classified }))
    }

    /// Quantiles by the mean of the lines from below and from above, which differ where quantiles are equal.
    pub(super) fn quantile_transformer(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        let is_normal = match node.get("output_distribution")?.text()?.as_str() {
            "uniform" => false,
            "normal" => true,
            other => return Err(unsupported(format!("the output_distribution {other:?} is not known"))),
        };
        let value = self.checked(table, true, false)?;
        let quantiles = node.get("quantiles_")?.matrix()?;
        let references = node.get("references_")?.numbers()?;
        let (rows, width) = (quantiles.rows, table.width());
        let columns: Vec<Vec<f64>> = (0..width)
            .map(|column| (0..rows).filter_map(|row| quantiles.cells.get(row * width + column).copied()).collect())
            .collect();
        let fits = quantiles.columns == width
            && rows == references.len()
            && rows > 0
            && columns.iter().all(|own| own.is_sorted());
        if !fits {
            return Err(misshapen("its quantiles and columns"));
        }
        let turned = |cells: &[f64]| cells.iter().rev().map(|cell| -cell).collect::<Vec<f64>>();
        let up: Vec<(Vec<f64>, Vec<f64>)> = columns.iter().map(|own| (own.clone(), references.clone())).collect();
        let down: Vec<(Vec<f64>, Vec<f64>)> = columns.iter().map(|own| (turned(own), turned(&references))).collect();
        let up = Interpolate::new(&up, Beyond::Nearest, self.plan.tables());
        let down = Interpolate::new(&down, Beyond::Nearest, self.plan.tables());
        let up = self.step(up, &[value], Self::double(width));
        let negative = self.each(UnaryFunction::Negate, value);
        let down = self.step(down, &[negative], Self::double(width));
        let both = self.both(BinaryFunction::Subtract, up, down);
        let mut mean = self.with(BinaryFunction::Multiply, both, &[0.5]);
        // The ends themselves are 0 and 1, however many quantiles are equal there.
        for (row, end) in [(rows - 1, 1.0), (0, 0.0)] {
            let ends: Vec<f64> = columns.iter().map(|own| own[row]).collect();
            let at_end = if is_normal {
                // What is nearly there, too.
                let moved = self.with(BinaryFunction::Add, value, &[if end > 0.0 { BORDER } else { -BORDER }]);
                self.with(if end > 0.0 { BinaryFunction::Greater } else { BinaryFunction::Less }, moved, &ends)
            } else {
                self.with(BinaryFunction::Equal, value, &ends)
            };
            let at_end = self.cast(at_end, ElementType::Float64);
            let opposite = self.with(BinaryFunction::Multiply, at_end, &[-1.0]);
            let elsewhere = self.with(BinaryFunction::Add, opposite, &[1.0]);
            mean = self.both(BinaryFunction::Multiply, mean, elsewhere);
            if end > 0.0 {
                mean = self.both(BinaryFunction::Add, mean, at_end);
            }
        }
        if is_normal {
            let quantile = |p: f64| RowFunction::Each(Elementary::NormalQuantile).of(&[p]);
            let ends = [BORDER - f64::EPSILON, 1.0 - (BORDER - f64::EPSILON)].map(|p| quantile(p)[0]);
            mean = self.row(RowFunction::Each(Elementary::NormalQuantile), mean)?;
            mean = self.clip(mean, ends[0], ends[1]);
        }
        let columns = table.columns.iter().map(|column| TableColumn { feature: None, ..*column }).collect();
        Ok(Table { value: mean, columns })
    }

    pub(super) fn linear_one_class(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let value = self.checked(table, false, false)?;
        let weights = node.get("coef_")?.matrix()?;
        let product = self.product(value, &weights, &[])?;
        let offset = node.get("offset_")?.numbers()?;
        let [offset] = offset[..] else { return Err(misshapen("its offset")) };
        let score = self.with(BinaryFunction::Subtract, product, &[offset]);
        Ok(self.anomaly(BinaryFunction::GreaterOrEqual, score))
    }
}
