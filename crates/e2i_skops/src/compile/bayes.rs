//! Naive Bayes: the logarithm of each class's likelihood, and their shares.

use e2i_core::native::ValueId;
use e2i_core::native::arithmetic::sklearn::sum;
use e2i_core::native::operators::{Becomes, BinaryFunction, Encode, Encoding, RowFunction};
use e2i_core::{ElementType, Result};

use super::answer::{Answer, Classified, classes_of};
use super::{Compiler, Table, misshapen};
use crate::node::{Matrix, Node, Simple};

impl Compiler {
    fn by_likelihood(&mut self, node: Node<'_>, likelihood: ValueId) -> Result<Answer> {
        let classes = classes_of(node)?;
        if self.width_of(likelihood) != classes.len() {
            return Err(misshapen("its classes"));
        }
        let label = self.greatest(likelihood);
        let probabilities = self.row(RowFunction::Posteriors, likelihood)?;
        Ok(Answer::Classes(Classified { classes, label, decision: None, probabilities: Some(probabilities) }))
    }

    pub(super) fn gaussian_bayes(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let value = self.checked(table, false, false)?;
        let (means, variances) = (node.get("theta_")?.matrix()?, node.get("var_")?.matrix()?);
        let priors = node.get("class_prior_")?.numbers()?;
        let width = table.width();
        if [means.rows, variances.rows] != [priors.len(); 2] || [means.columns, variances.columns] != [width; 2] {
            return Err(misshapen("its classes and columns"));
        }
        let mut parts = vec![];
        for (class, prior) in priors.iter().enumerate() {
            let own = class * width..(class + 1) * width;
            let (mean, variance) = (&means.cells[own.clone()], &variances.cells[own]);
            let away = self.with(BinaryFunction::Subtract, value, mean);
            let squared = self.both(BinaryFunction::Multiply, away, away);
            let scaled = self.with(BinaryFunction::Divide, squared, variance);
            let all = self.row(RowFunction::Sum, scaled)?;
            let half = self.with(BinaryFunction::Multiply, all, &[-0.5]);
            let logs: Vec<f64> = variance.iter().map(|variance| (2.0 * std::f64::consts::PI * variance).ln()).collect();
            let moved = self.with(BinaryFunction::Add, half, &[-0.5 * sum(&logs)]);
            parts.push(self.with(BinaryFunction::Add, moved, &[prior.ln()]));
        }
        let likelihood = self.join(&parts);
        self.by_likelihood(node, likelihood)
    }

    pub(super) fn categorical_bayes(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let value = self.checked(table, false, false)?;
        let (given, priors) = (node.get("feature_log_prob_")?.items()?, node.get("class_log_prior_")?.numbers()?);
        let count = priors.len();
        if given.len() != table.width() || count == 0 {
            return Err(misshapen("its categories and columns"));
        }
        // A category is the whole part of a number.
        let whole = self.cast(value, ElementType::Int64);
        let whole = self.cast(whole, ElementType::Float64);
        let mut encodings = vec![];
        for (index, logs) in given.into_iter().enumerate() {
            let logs = logs.matrix()?.transposed();
            if logs.columns != count {
                return Err(misshapen("its classes and categories"));
            }
            encodings.push(Encoding {
                name: self.column_name(table.columns[index], index),
                categories: (0..logs.rows).map(|at| (at as f64, Becomes::Place(at as u32))).collect(),
                missing: Becomes::Refused,
                unknown: Becomes::Refused,
                width: count,
                cells: logs.cells,
            });
            let known: Vec<Simple> = (0..logs.rows).map(|at| Simple::Whole(at as i64)).collect();
            self.note_categories(table.columns[index], &known, true, false);
        }
        let operator = Encode::new(&encodings, self.plan.tables());
        let width = operator.width();
        let all = self.step(operator, &[whole], Self::double(width));
        let mut sum = None;
        for column in 0..encodings.len() {
            let own = self.pick(all, &(column * count..(column + 1) * count).collect::<Vec<_>>());
            sum = Some(match sum {
                None => own,
                Some(sum) => self.both(BinaryFunction::Add, sum, own),
            });
        }
        let sum = sum.ok_or_else(|| misshapen("its columns"))?;
        let likelihood = self.with(BinaryFunction::Add, sum, &priors);
        self.by_likelihood(node, likelihood)
    }

    pub(super) fn discrete_bayes(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let mut value = self.checked(table, false, false)?;
        let logs = node.get("feature_log_prob_")?.matrix()?;
        let priors = node.get("class_log_prior_")?.numbers()?;
        if priors.len() != logs.rows {
            return Err(misshapen("its classes"));
        }
        let likelihood = match node.class() {
            "BernoulliNB" => {
                if let Some(border) = node.some("binarize") {
                    let above = self.with(BinaryFunction::Greater, value, &[border.number()?]);
                    value = self.cast(above, e2i_core::ElementType::Float64);
                }
                let absent: Vec<f64> = logs.cells.iter().map(|log| (1.0 - log.exp()).ln()).collect();
                let cells = logs.cells.iter().zip(&absent).map(|(log, absent)| log - absent).collect();
                let all = absent.chunks(logs.columns.max(1)).map(sum);
                let bias: Vec<f64> = priors.iter().zip(all).map(|(prior, all)| prior + all).collect();
                self.product(value, &Matrix { rows: logs.rows, columns: logs.columns, cells }, &bias)?
            }
            "ComplementNB" if logs.rows > 1 => self.product(value, &logs, &[])?,
            _ => self.product(value, &logs, &priors)?,
        };
        self.by_likelihood(node, likelihood)
    }
}
