//! Naive Bayes: the logarithm of each class's likelihood, and their shares.

use e2i_core::Result;
use e2i_core::native::ValueId;
use e2i_core::native::arithmetic::sklearn::sum;
use e2i_core::native::operators::{BinaryFunction, RowFunction};

use super::answer::{Answer, Classified, classes_of};
use super::{Compiler, Table, misshapen};
use crate::node::{Matrix, Node};

impl Compiler {
    fn by_likelihood(&mut self, node: Node<'_>, likelihood: ValueId) -> Result<Answer> {
        let classes = classes_of(node)?;
        if self.width_of(likelihood) != classes.len() {
            return Err(misshapen("its classes"));
        }
        let label = self.greatest(likelihood);
        let probabilities = self.row(RowFunction::Softmax, likelihood)?;
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
