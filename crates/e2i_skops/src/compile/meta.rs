//! Estimators of estimators: searches, votes, stacks, calibration.

use e2i_core::native::arithmetic::sklearn::sum;
use e2i_core::native::operators::{Beyond, BinaryFunction, Constants, Interpolate, Pick, RowFunction, UnaryFunction};
use e2i_core::native::{ValueId, ValueType};
use e2i_core::{Column, ElementType};
use e2i_core::{Error, Kind, Result};

use super::answer::{Answer, Classified, classes_of};
use super::forests::estimators;
use super::{Compiler, Table, misshapen, unsupported};
use crate::node::Node;

/// How a number for each class but one is made of two.
fn one_each(count: usize, weight: f64) -> Vec<f64> {
    (0..count * count).map(|at| if at / count == at % count { weight } else { 0.0 }).collect()
}

impl Compiler {
    /// The estimator that a search found best.
    pub(super) fn search(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        self.answer("best_estimator_", node.get("best_estimator_")?, table)
    }

    pub(super) fn search_transform(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        self.transform("best_estimator_", node.get("best_estimator_")?, table)
    }

    pub(super) fn frozen_transform(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        self.transform("estimator", node.get("estimator")?, table)
    }

    /// The estimator that another one holds, fitted.
    pub(super) fn inner_estimator(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        self.answer("estimator_", node.get("estimator_")?, table)
    }

    pub(super) fn frozen(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        self.answer("estimator", node.get("estimator")?, table)
    }

    /// The weights of the estimators that were not dropped, and the names of these.
    fn voters<'f>(&self, node: Node<'f>) -> Result<(Vec<Node<'f>>, Vec<f64>, Vec<String>)> {
        let fitted = estimators(node)?;
        let weights = node.some("weights").map(Node::numbers).transpose()?;
        let (mut kept, mut names) = (vec![], vec![]);
        for (index, pair) in node.get("estimators")?.items()?.into_iter().enumerate() {
            let [name, estimator] = pair.items()?[..] else { return Err(misshapen("its estimators")) };
            if estimator.text().as_deref() != Ok("drop") {
                kept.extend(weights.as_ref().and_then(|weights| weights.get(index)).copied());
                names.push(name.text()?);
            }
        }
        if names.len() != fitted.len() || weights.is_some() && kept.len() != fitted.len() {
            return Err(misshapen("its estimators and their weights"));
        }
        Ok((fitted, kept, names))
    }

    /// `values` times their weights, added up in order and divided by the sum of the weights; the mean without weights.
    fn averaged(&mut self, values: &[ValueId], weights: &[f64]) -> Result<ValueId> {
        let mut total: Option<ValueId> = None;
        for (index, value) in values.iter().enumerate() {
            let value = match weights.get(index) {
                Some(weight) => self.with(BinaryFunction::Multiply, *value, &[*weight]),
                None => *value,
            };
            total = Some(match total {
                None => value,
                Some(total) => self.both(BinaryFunction::Add, total, value),
            });
        }
        let total = total.ok_or_else(|| misshapen("its estimators"))?;
        let all = if weights.is_empty() { values.len() as f64 } else { sum(weights) };
        Ok(self.with(BinaryFunction::Divide, total, &[all]))
    }

    pub(super) fn voting_classifier(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let (classes, (voters, weights, names)) = (classes_of(node)?, self.voters(node)?);
        let is_soft = node.option("voting").as_deref() == Some("soft");
        let mut given = vec![];
        for (index, (voter, name)) in voters.iter().zip(&names).enumerate() {
            let classified = self.answer(name, *voter, table)?.classes()?;
            if classified.classes.len() != classes.len() {
                return Err(misshapen("its classes and those of its estimators"));
            }
            given.push(if is_soft {
                classified
                    .probabilities
                    .ok_or_else(|| unsupported(format!("its estimator {name:?} gives no probabilities")))?
            } else {
                let weight = weights.get(index).copied().unwrap_or(1.0);
                self.by_label(classified.label, &one_each(classes.len(), weight), classes.len())
            });
        }
        if is_soft {
            let probabilities = self.averaged(&given, &weights)?;
            return self.by_probability(classes, probabilities);
        }
        let mut votes = given[0];
        for more in &given[1..] {
            votes = self.both(BinaryFunction::Add, votes, *more);
        }
        let label = self.greatest(votes);
        Ok(Answer::Classes(Classified { classes, label, decision: None, probabilities: None }))
    }

    pub(super) fn voting_regressor(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let (voters, weights, names) = self.voters(node)?;
        let mut given = vec![];
        for (voter, name) in voters.iter().zip(&names) {
            given.push(self.answer(name, *voter, table)?.values()?);
        }
        Ok(Answer::Values(self.averaged(&given, &weights)?))
    }

    /// What the estimators of a stack say, side by side, and the features after them where they are passed through.
    fn stacked(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        let methods = node.get("stack_method_")?.items()?;
        let fitted = estimators(node)?;
        let mut names = vec![];
        for pair in node.get("estimators")?.items()? {
            let [name, estimator] = pair.items()?[..] else { return Err(misshapen("its estimators")) };
            if estimator.text().as_deref() != Ok("drop") {
                names.push(name.text()?);
            }
        }
        if [methods.len(), names.len()] != [fitted.len(); 2] {
            return Err(misshapen("its estimators and their methods"));
        }
        let mut parts = vec![];
        for ((estimator, method), name) in fitted.iter().zip(methods).zip(&names) {
            let value = match (self.answer(name, *estimator, table)?, method.text()?.as_str()) {
                (Answer::Values(value), "predict") => value,
                (Answer::Classes(classified), "predict") => self.as_number(classified.label),
                (Answer::Classes(classified), "decision_function") => classified
                    .decision
                    .ok_or_else(|| unsupported(format!("its estimator {name:?} gives no decisions")))?,
                (Answer::Classes(classified), "predict_proba") => {
                    let given = classified.probabilities;
                    let given =
                        given.ok_or_else(|| unsupported(format!("its estimator {name:?} gives no probabilities")))?;
                    // Of two classes one number says everything.
                    if classified.classes.len() == 2 { self.pick(given, &[1]) } else { given }
                }
                _ => return Err(misshapen("its estimators and their methods")),
            };
            let width = self.width_of(value);
            parts.push(Table::computed(value, width));
        }
        if node.is_true("passthrough") {
            let value = self.checked(table, false, false)?;
            parts.push(Table { value, columns: table.columns.clone() });
        }
        Ok(self.beside(&parts))
    }

    pub(super) fn stacking_classifier(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let classes = classes_of(node)?;
        let stacked = self.stacked(node, table)?;
        let last = self.answer("final_estimator_", node.get("final_estimator_")?, &stacked)?.classes()?;
        if last.classes.len() != classes.len() {
            return Err(misshapen("its classes and those of its final estimator"));
        }
        Ok(Answer::Classes(Classified { classes, ..last }))
    }

    pub(super) fn stacking_regressor(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let stacked = self.stacked(node, table)?;
        self.answer("final_estimator_", node.get("final_estimator_")?, &stacked)
    }

    pub(super) fn calibrated(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let classes = classes_of(node)?;
        let folds = node.get("calibrated_classifiers_")?.items()?;
        let mut given = vec![];
        for (index, fold) in folds.iter().enumerate() {
            let name = format!("calibrated_classifiers_[{index}]");
            given.push(self.within(&name, *fold, |compiler| compiler.fold(*fold, table, classes.len()))?);
        }
        let probabilities = self.averaged(&given, &[])?;
        self.by_probability(classes, probabilities)
    }

    /// The probabilities of one estimator and its calibrators.
    fn fold(&mut self, fold: Node<'_>, table: &Table, count: usize) -> Result<ValueId> {
        let estimator = fold.get("estimator")?;
        let given = self.answer("estimator", estimator, table)?.classes()?;
        let calibrators = fold.get("calibrators")?.items()?;
        if given.classes.len() != count {
            return Err(Error::new(Kind::Unsupported, "one of its estimators has not seen every class"));
        }
        if let [calibrator] = calibrators[..]
            && calibrator.class() == "_TemperatureScaling"
        {
            let mut given = given;
            for scores in [&mut given.decision, &mut given.probabilities].into_iter().flatten() {
                *scores = self.checked(&Table::computed(*scores, self.width_of(*scores)), false, false)?;
            }
            let beta = calibrator.get("beta_")?.number()?;
            let logits = match (given.decision, given.probabilities) {
                (Some(decision), _) if count == 2 => return self.row(RowFunction::SoftmaxPair(beta), decision),
                (Some(decision), _) => decision,
                (None, Some(probabilities)) => {
                    let above = self.with(BinaryFunction::Add, probabilities, &[1e-12]);
                    self.each(UnaryFunction::Logarithm, above)
                }
                (None, None) => return Err(unsupported("its estimator gives no scores")),
            };
            let scaled = self.with(BinaryFunction::Multiply, logits, &[beta]);
            return self.row(RowFunction::Softmax, scaled);
        }
        let scores = match (given.decision, given.probabilities) {
            (Some(decision), _) => decision,
            (None, Some(probabilities)) if count == 2 => self.pick(probabilities, &[1]),
            (None, Some(probabilities)) => probabilities,
            (None, None) => return Err(unsupported("its estimator gives no scores")),
        };
        if self.width_of(scores) != calibrators.len() {
            return Err(misshapen("its classes and calibrators"));
        }
        let mut columns = vec![];
        for (index, calibrator) in calibrators.into_iter().enumerate() {
            let score = self.pick(scores, &[index]);
            columns.push(match calibrator.class() {
                "_SigmoidCalibration" => {
                    let (a, b) = (calibrator.get("a_")?.number()?, calibrator.get("b_")?.number()?);
                    let scaled = self.with(BinaryFunction::Multiply, score, &[a]);
                    let moved = self.with(BinaryFunction::Add, scaled, &[b]);
                    let negative = self.each(UnaryFunction::Negate, moved);
                    self.row(RowFunction::Expit, negative)?
                }
                "IsotonicRegression" => self.isotonic(calibrator, score)?,
                other => return Err(unsupported(format!("the calibration by {other} is not read"))),
            });
        }
        if let [positive] = columns[..] {
            return self.pair(positive);
        }
        let all = self.join(&columns);
        self.row(RowFunction::Shares { or_even: true }, all)
    }

    pub(super) fn isotonic_regression(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let value = self.checked(table, false, false)?;
        if table.width() != 1 {
            return Err(misshapen("its columns"));
        }
        Ok(Answer::Values(self.isotonic(node, value)?))
    }

    /// A line through the points that were learned.
    fn isotonic(&mut self, node: Node<'_>, value: ValueId) -> Result<ValueId> {
        let value = self.checked(&Table::computed(value, 1), false, false)?;
        let (x, y) = (node.get("X_thresholds_")?.numbers()?, node.get("y_thresholds_")?.numbers()?);
        if x.len() != y.len() || x.is_empty() || !x.is_sorted() {
            return Err(misshapen("its points"));
        }
        let (value, beyond) = match node.get("out_of_bounds")?.text()?.as_str() {
            "clip" => {
                let (low, high) = (node.get("X_min_")?.number()?, node.get("X_max_")?.number()?);
                (self.clip(value, low, high), Beyond::Nearest)
            }
            "nan" => (value, Beyond::Nan),
            "raise" => (value, Beyond::Refused),
            other => return Err(unsupported(format!("out_of_bounds {other:?} is not known"))),
        };
        let beyond = if x.len() == 1 { Beyond::Nearest } else { beyond };
        let operator = Interpolate::new(&[(x, y)], beyond, self.plan.tables());
        Ok(self.step(operator, &[value], Self::double(1)))
    }

    /// A classifier whose class is told by a threshold of its own.
    pub(super) fn thresholded(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let given = self.answer("estimator_", node.get("estimator_")?, table)?.classes()?;
        if given.classes.len() != 2 {
            return Err(misshapen("its classes"));
        }
        let method = node.option("response_method").unwrap_or_else(|| "auto".to_owned());
        let probability = given.probabilities.filter(|_| method != "decision_function");
        let is_probability = probability.is_some();
        let positive = node.attribute("pos_label").and_then(Node::simple).map(|label| super::answer::shown(&label));
        let positive = positive.filter(|label| label != "None");
        let place = match &positive {
            None => 1,
            Some(label) => {
                given.classes.iter().position(|class| class == label).ok_or_else(|| misshapen("its classes"))?
            }
        };
        let score = match (probability, given.decision) {
            (Some(probability), _) => self.pick(probability, &[place]),
            (None, Some(decision)) if place == 1 => decision,
            (None, Some(decision)) => self.each(UnaryFunction::Negate, decision),
            (None, None) => return Err(unsupported("its estimator gives no scores")),
        };
        let threshold = match node.attribute("best_threshold_") {
            Some(best) => best.number()?,
            None => match node.get("threshold")? {
                threshold if threshold.text().as_deref() == Ok("auto") => {
                    if is_probability {
                        0.5
                    } else {
                        0.0
                    }
                }
                threshold => threshold.number()?,
            },
        };
        let reached = self.at_least(score, threshold);
        let label = if place == 1 {
            reached
        } else {
            let cells = Constants::write(&Column::Int64(vec![1, 0]), self.plan.tables());
            let output = ValueType::new(ElementType::Int64, 1);
            self.step(Pick { cells, width: 1 }, &[reached], output)
        };
        Ok(Answer::Classes(Classified { label, ..given }))
    }

    pub(super) fn multi_output(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let mut values = vec![];
        for (index, estimator) in estimators(node)?.into_iter().enumerate() {
            values.push(self.answer(&format!("estimators_[{index}]"), estimator, table)?.values()?);
        }
        Ok(Answer::Values(self.join(&values)))
    }

    /// A regressor of a transformed target: its answer is transformed back.
    pub(super) fn transformed_target(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let value = self.answer("regressor_", node.get("regressor_")?, table)?.values()?;
        let transformer = node.get("transformer_")?;
        let number = |name: &str| -> Result<Vec<f64>> { transformer.get(name)?.numbers() };
        let value = match transformer.class() {
            "FunctionTransformer" => match transformer.some("inverse_func") {
                None => value,
                Some(function) => self.function(function, value)?,
            },
            "StandardScaler" => self.uncentred(value, transformer, ["with_mean", "mean_"], ["with_std", "scale_"])?,
            "MinMaxScaler" => {
                let value = self.with(BinaryFunction::Subtract, value, &number("min_")?);
                self.with(BinaryFunction::Divide, value, &number("scale_")?)
            }
            "RobustScaler" => {
                self.uncentred(value, transformer, ["with_centering", "center_"], ["with_scaling", "scale_"])?
            }
            other => return Err(unsupported(format!("a target transformed by {other} is not read"))),
        };
        Ok(Answer::Values(value))
    }

    /// Back from what a scaler made that centres and scales: the other way round, where its parameters of these names say so.
    fn uncentred(&mut self, value: ValueId, node: Node<'_>, centre: [&str; 2], scale: [&str; 2]) -> Result<ValueId> {
        let mut value = value;
        for (function, [asked, name]) in [(BinaryFunction::Multiply, scale), (BinaryFunction::Add, centre)] {
            if node.is_true(asked) {
                value = self.with(function, value, &node.get(name)?.numbers()?);
            }
        }
        Ok(value)
    }
}
