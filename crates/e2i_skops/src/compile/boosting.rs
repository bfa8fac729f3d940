//! Gradient boosting over exact trees, and the estimators that it begins with.
//!
//! Everything is cast to float32 first, what the first estimator sees too. Sums begin with what that one says of the classes:
//! the logarithm of their odds, or of their shares.

use e2i_core::native::arithmetic::sklearn::{logit, sum};
use e2i_core::native::operators::{BinaryFunction, RowFunction};
use e2i_core::native::{Precision, ValueId};
use e2i_core::{ElementType, Error, Kind, Result};

use super::answer::{Answer, Classified, classes_of};
use super::trees::{Saved, ensemble, weights};
use super::{Compiler, Table, TableColumn, is_since, misshapen, unsupported};
use crate::node::Node;

/// What sums begin with.
enum Start {
    /// The same numbers for every row.
    Numbers(Vec<f64>),
    /// What an estimator says.
    Value(ValueId),
}

impl Compiler {
    /// The sums of boosted trees, with what they begin with.
    fn boosted(
        &mut self,
        node: Node<'_>,
        table: &Table,
        start: impl FnOnce(&mut Self, Node<'_>, &Table) -> Result<Start>,
    ) -> Result<ValueId> {
        let rate = node.get("learning_rate")?.number()?;
        let value = self.for_trees(table, false)?;
        let mut trees = vec![];
        let iterations = node.get("estimators_")?.items()?;
        let mut width = None;
        for iteration in iterations {
            let estimators = iteration.items()?;
            if *width.get_or_insert(estimators.len()) != estimators.len() {
                return Err(misshapen("its classes and trees"));
            }
            for (target, estimator) in (0u32..).zip(estimators) {
                let saved = Saved::read(estimator)?;
                if saved.width != 1 {
                    return Err(misshapen("the leaves of its trees"));
                }
                trees.push(saved.tree(table.width(), |leaf| {
                    let mut weights = weights(&[rate * saved.value(leaf).first().copied().unwrap_or(f64::NAN)])?;
                    weights.iter_mut().for_each(|weight| weight.target = target);
                    Ok(weights)
                })?);
            }
        }
        let width = width.filter(|width| *width > 0).ok_or_else(|| misshapen("its trees"))?;
        let single = self.cast(value, ElementType::Float32);
        let single = self.cast(single, ElementType::Float64);
        let columns = vec![TableColumn::default(); table.width()];
        let (base, more) = match start(self, node, &Table { value: single, columns })? {
            Start::Numbers(numbers) if numbers.len() == width => (numbers, None),
            Start::Value(value) if self.width_of(value) == width => (vec![0.0; width], Some(value)),
            _ => return Err(misshapen("its classes and what they begin with")),
        };
        let sums = self.sums(value, &ensemble(table.width(), trees, width, Precision::Single, base))?;
        Ok(more.map_or(sums, |more| self.both(BinaryFunction::Add, more, sums)))
    }

    pub(super) fn gradient_boosting_regressor(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let sums = self.boosted(node, table, |compiler, node, table| {
            let init = node.get("init_")?;
            if init.text().as_deref() == Ok("zero") {
                return Ok(Start::Numbers(vec![0.0]));
            }
            if init.class() == "DummyRegressor" {
                return Ok(Start::Numbers(init.get("constant_")?.numbers()?));
            }
            Ok(Start::Value(compiler.answer("init_", init, table)?.values()?))
        })?;
        Ok(Answer::Values(sums))
    }

    pub(super) fn gradient_boosting_classifier(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let classes = classes_of(node)?;
        let count = classes.len();
        let is_exponential = node.option("loss").as_deref() == Some("exponential");
        let width = if count == 2 { 1 } else { count };
        // How near a share may come to 0 and 1 is the type's own smallest step: float32's in older versions.
        let least = if is_since(node, 1, 6) { f64::EPSILON } else { f64::from(f32::EPSILON) };
        let centred = is_since(node, 1, 4);
        let sums = self.boosted(node, table, |compiler, node, table| {
            let init = node.get("init_")?;
            if init.text().as_deref() == Ok("zero") {
                return Ok(Start::Numbers(vec![0.0; width]));
            }
            if init.class() == "DummyClassifier" && init.option("strategy").as_deref() == Some("prior") {
                let priors = init.get("class_prior_")?.numbers()?;
                let priors: Vec<f64> = priors.into_iter().map(|p| p.clamp(least, 1.0 - least)).collect();
                return Ok(Start::Numbers(match (count, priors.as_slice()) {
                    (2, [_, positive]) => vec![if is_exponential { 0.5 * logit(*positive) } else { logit(*positive) }],
                    _ => {
                        let logs: Vec<f64> = priors.iter().map(|p| p.ln()).collect();
                        let mean = if centred { sum(&logs) / logs.len() as f64 } else { 0.0 };
                        logs.iter().map(|log| log - mean).collect()
                    }
                }));
            }
            let given = compiler.answer("init_", init, table)?.classes()?;
            let probabilities = given.probabilities.ok_or_else(|| unsupported("its init gives no probabilities"))?;
            let clipped = compiler.clip(probabilities, least, 1.0 - least);
            if count == 2 {
                // The logarithm of the odds.
                let log = compiler.each(e2i_core::native::operators::UnaryFunction::Logarithm, clipped);
                let odds = compiler.row(RowFunction::Difference, log)?;
                return Ok(Start::Value(if is_exponential {
                    compiler.with(BinaryFunction::Multiply, odds, &[0.5])
                } else {
                    odds
                }));
            }
            let log = compiler.each(e2i_core::native::operators::UnaryFunction::Logarithm, clipped);
            Ok(Start::Value(if centred { compiler.row(RowFunction::Centred, log)? } else { log }))
        })?;
        self.boosted_classes(classes, sums, is_exponential, true)
    }

    /// Classes and probabilities from the sums of boosted trees; of two classes the second is that of sums above 0, and from 0 on
    /// where `from_zero`.
    pub(super) fn boosted_classes(
        &mut self,
        classes: Vec<String>,
        sums: ValueId,
        is_exponential: bool,
        from_zero: bool,
    ) -> Result<Answer> {
        if self.width_of(sums) != if classes.len() <= 2 { 1 } else { classes.len() } {
            return Err(misshapen("its classes and trees"));
        }
        let (label, probabilities) = if classes.len() == 1 {
            let positive = self.row(RowFunction::Expit, sums)?;
            let both = self.pair(positive)?;
            (self.greatest(sums), self.pick(both, &[0]))
        } else if classes.len() == 2 {
            let scaled = if is_exponential { self.with(BinaryFunction::Multiply, sums, &[2.0]) } else { sums };
            let positive = self.row(RowFunction::Expit, scaled)?;
            let label = if from_zero { self.at_least(sums, 0.0) } else { self.above(sums, 0.0) };
            (label, self.pair(positive)?)
        } else {
            (self.greatest(sums), self.row(RowFunction::Softmax, sums)?)
        };
        Ok(Answer::Classes(Classified { classes, label, decision: Some(sums), probabilities: Some(probabilities) }))
    }

    pub(super) fn dummy_regressor(&mut self, node: Node<'_>, _table: &Table) -> Result<Answer> {
        let numbers = node.get("constant_")?.numbers()?;
        if numbers.is_empty() {
            return Err(misshapen("its outputs"));
        }
        Ok(Answer::Values(self.fill(&numbers)))
    }

    pub(super) fn dummy_classifier(&mut self, node: Node<'_>, _table: &Table) -> Result<Answer> {
        let classes = classes_of(node)?;
        let strategy = node.get("strategy")?.text()?;
        let priors = node.get("class_prior_")?.numbers()?;
        if priors.len() != classes.len() {
            return Err(misshapen("its classes"));
        }
        let greatest = priors.iter().enumerate().fold(0, |best, (at, x)| if *x > priors[best] { at } else { best });
        let one = |class: usize| (0..priors.len()).map(|at| f64::from(u8::from(at == class))).collect::<Vec<f64>>();
        let cells = match strategy.as_str() {
            "prior" => priors.clone(),
            "most_frequent" => one(greatest),
            other => {
                let message = format!("the strategy {other:?} answers by chance or by a constant, and is not read");
                return Err(Error::new(Kind::Unsupported, message));
            }
        };
        let probabilities = self.fill(&cells);
        self.by_probability(classes, probabilities)
    }
}
