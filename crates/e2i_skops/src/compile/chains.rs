//! Several answers of one row, each by an estimator of its own, and one class by several: chains, multiple outputs, output codes.

use e2i_core::native::ValueId;
use e2i_core::native::operators::{Kernel, Kernels};
use e2i_core::{Error, Kind, Result};

use super::answer::{Answer, Classified, classes_of};
use super::forests::estimators;
use super::{Compiler, Table, misshapen, unsupported};
use crate::node::Node;

/// The classes as numbers.
fn as_numbers(classified: &Classified) -> Result<Vec<f64>> {
    let number = |class: &String| match class.as_str() {
        "true" => Some(1.0),
        "false" => Some(0.0),
        other => other.parse().ok(),
    };
    let numbers: Option<Vec<f64>> = classified.classes.iter().map(number).collect();
    numbers.ok_or_else(|| unsupported("several outputs of classes that are no numbers are not read"))
}

impl Compiler {
    fn label_cells(&mut self, classified: &Classified) -> Result<ValueId> {
        let numbers = as_numbers(classified)?;
        Ok(self.by_label(classified.label, &numbers, 1))
    }

    /// The probabilities of all outputs side by side where all estimators give them, else the classes.
    pub(super) fn multi_output_classifier(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let mut given = vec![];
        for (index, estimator) in estimators(node)?.into_iter().enumerate() {
            given.push(self.answer(&format!("estimators_[{index}]"), estimator, table)?.classes()?);
        }
        let probabilities: Option<Vec<ValueId>> = given.iter().map(|classified| classified.probabilities).collect();
        let values = match probabilities {
            Some(probabilities) => probabilities,
            None => given.iter().map(|classified| self.label_cells(classified)).collect::<Result<_>>()?,
        };
        let value = self.join(&values);
        let width = self.width_of(value);
        Ok(Answer::Table(Table::computed(value, width)))
    }

    /// Each estimator sees what those before it said.
    pub(super) fn chain(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let fitted = estimators(node)?;
        let order = node.get("order_")?.wholes()?;
        let mut places = vec![usize::MAX; fitted.len()];
        for (at, output) in order.iter().enumerate() {
            match usize::try_from(*output).ok().and_then(|output| places.get_mut(output)) {
                Some(place) if *place == usize::MAX => *place = at,
                _ => return Err(misshapen("its estimators and their order")),
            }
        }
        if order.len() != fitted.len() {
            return Err(misshapen("its estimators and their order"));
        }
        let is_classifier = node.class() == "ClassifierChain";
        let method = node.option("chain_method_").unwrap_or_else(|| "predict".to_owned());
        let value = self.checked(table, false, false)?;
        let mut seen = Table { value, columns: table.columns.clone() };
        let (mut labels, mut probabilities, mut decisions) = (vec![], vec![], vec![]);
        for (index, estimator) in fitted.into_iter().enumerate() {
            let answer = self.answer(&format!("estimators_[{index}]"), estimator, &seen)?;
            let said = if is_classifier {
                let classified = answer.classes()?;
                let label = self.label_cells(&classified)?;
                labels.push(label);
                let positive = classified.probabilities.filter(|value| self.width_of(*value) >= 2);
                let positive = positive.map(|value| self.pick(value, &[1]));
                probabilities.extend(positive);
                decisions.extend(classified.decision.filter(|value| self.width_of(*value) == 1));
                match method.as_str() {
                    "predict" => label,
                    "predict_proba" => {
                        positive.ok_or_else(|| unsupported("one of its estimators gives no probabilities"))?
                    }
                    "decision_function" => {
                        classified.decision.ok_or_else(|| unsupported("one of its estimators gives no decisions"))?
                    }
                    other => return Err(unsupported(format!("chains by {other} are not read"))),
                }
            } else {
                let value = answer.values()?;
                labels.push(value);
                value
            };
            seen = self.beside(&[seen, Table::computed(said, 1)]);
        }
        // Probabilities where all give them, else decisions.
        let all = match is_classifier {
            true if probabilities.len() == labels.len() => probabilities,
            true if decisions.len() == labels.len() => decisions,
            _ => labels,
        };
        let all: Vec<ValueId> = places.iter().map(|place| all[*place]).collect();
        let value = self.join(&all);
        let width = self.width_of(value);
        Ok(if is_classifier { Answer::Table(Table::computed(value, width)) } else { Answer::Values(value) })
    }

    /// The class whose code is nearest to what the estimators say.
    pub(super) fn output_code(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let classes = classes_of(node)?;
        let codes = node.get("code_book_")?.matrix()?;
        let fitted = estimators(node)?;
        if [codes.rows, codes.columns] != [classes.len(), fitted.len()] {
            return Err(misshapen("its classes and their codes"));
        }
        let mut scores = vec![];
        for (index, estimator) in fitted.into_iter().enumerate() {
            let score = match self.answer(&format!("estimators_[{index}]"), estimator, table)? {
                Answer::Values(value) => value,
                Answer::Classes(Classified { decision: Some(decision), .. }) => decision,
                Answer::Classes(Classified { probabilities: Some(both), .. }) if self.width_of(both) == 2 => {
                    self.pick(both, &[1])
                }
                _ => return Err(Error::new(Kind::Unsupported, "one of its estimators gives no score")),
            };
            scores.push(score);
        }
        let scores = self.join(&scores);
        if self.width_of(scores) != codes.columns {
            return Err(misshapen("its classes and their codes"));
        }
        let vectors = self.plan.table(&codes.cells);
        let operator = Kernels { kernel: Kernel::SquaredDistance, vectors };
        let apart = self.step(operator, &[scores], Self::double(codes.rows));
        let label = self.least(apart);
        Ok(Answer::Classes(Classified { classes, label, decision: None, probabilities: None }))
    }
}
