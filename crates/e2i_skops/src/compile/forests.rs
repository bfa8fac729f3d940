//! Many estimators of one kind, added up: forests, isolation forests, AdaBoost.

use e2i_core::native::arithmetic::sklearn::sum;
use e2i_core::native::operators::{BinaryFunction, RowFunction, WeightedMedian};
use e2i_core::native::{Node as TreeNode, Precision, Tree, ValueId};
use e2i_core::{Error, Kind, Result};

use super::answer::{Answer, Classified, classes_of, several_classes};
use super::trees::{Saved, ensemble, weights};
use super::{Compiler, Table, is_since, is_since_patch, misshapen};
use crate::node::Node;

/// The estimators of an ensemble; one at least.
pub(super) fn estimators(node: Node<'_>) -> Result<Vec<Node<'_>>> {
    let estimators = node.get("estimators_")?.items()?;
    if estimators.is_empty() { Err(misshapen("its estimators")) } else { Ok(estimators) }
}

/// A tree over chosen columns as one over all.
fn over_all(mut tree: Tree, chosen: &[i64], width: usize) -> Result<Tree> {
    for node in &mut tree.nodes {
        if let TreeNode::Branch(branch) = node {
            let column = chosen.get(branch.feature as usize).and_then(|column| u32::try_from(*column).ok());
            branch.feature = column
                .filter(|column| (*column as usize) < width)
                .ok_or_else(|| misshapen("its trees and their columns"))?;
        }
    }
    Ok(tree)
}

/// How many comparisons isolate one of so many rows on average.
fn average_path(rows: f64) -> f64 {
    const EULER: f64 = 0.577_215_664_901_532_9;
    if rows <= 1.0 {
        0.0
    } else if rows == 2.0 {
        1.0
    } else {
        2.0 * ((rows - 1.0).ln() + EULER) - 2.0 * (rows - 1.0) / rows
    }
}

impl Compiler {
    /// Whether a forest takes missing values: since 1.4, where its trees do.
    pub(super) fn forest_takes_missing(node: Node<'_>, tree: Node<'_>) -> bool {
        is_since(node, 1, 4) && Self::trees_take_missing(tree)
    }

    pub(super) fn forest_classifier(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let trees = estimators(node)?;
        let takes_missing = Self::forest_takes_missing(node, trees[0]);
        let several = several_classes(node)?;
        let sums = match &several {
            Some(counts) => self.class_trees(takes_missing, &trees, table, counts)?,
            None => self.class_trees(takes_missing, &trees, table, &[classes_of(node)?.len()])?,
        };
        let probabilities = self.with(BinaryFunction::Divide, sums, &[trees.len() as f64]);
        match several {
            Some(_) => Ok(Answer::Table(Table::computed(probabilities, self.width_of(probabilities)))),
            None => self.by_probability(classes_of(node)?, probabilities),
        }
    }

    pub(super) fn forest_regressor(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let trees = estimators(node)?;
        let sums = self.value_trees(Self::forest_takes_missing(node, trees[0]), &trees, table)?;
        Ok(Answer::Values(self.with(BinaryFunction::Divide, sums, &[trees.len() as f64])))
    }

    pub(super) fn isolation_forest(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let trees = estimators(node)?;
        let features = node.get("estimators_features_")?.items()?;
        let lengths = node.get("_decision_path_lengths")?.items()?;
        let averages = node.get("_average_path_length_per_tree")?.items()?;
        if [features.len(), lengths.len(), averages.len()] != [trees.len(); 3] {
            return Err(misshapen("its trees and the lengths of their paths"));
        }
        // Since 1.6 it does not look at its numbers: they may be missing, or anything that float32 makes infinite.
        let value = if is_since(node, 1, 6) {
            self.take_numbers(table)?;
            table.value
        } else {
            self.for_trees(table, false)?
        };
        let mut read = Vec::with_capacity(trees.len());
        for (index, estimator) in trees.iter().enumerate() {
            let saved = Saved::read(*estimator)?;
            let (length, average) = (lengths[index].numbers()?, averages[index].numbers()?);
            if [length.len(), average.len()] != [saved.len(); 2] {
                return Err(misshapen("its trees and the lengths of their paths"));
            }
            let tree = saved.tree(table.width(), |leaf| weights(&[length[leaf] + average[leaf] - 1.0]))?;
            read.push(over_all(tree, &features[index].wholes()?, table.width())?);
        }
        let depths = self.sums(value, &ensemble(table.width(), read, 1, Precision::Single, vec![]))?;
        let rows = node.attribute("_max_samples").or_else(|| node.attribute("max_samples_"));
        let rows = rows.ok_or_else(|| misshapen("its samples"))?.number()?;
        let all = trees.len() as f64 * average_path(rows);
        let score = self.row(RowFunction::Isolation { all, offset: node.get("offset_")?.number()? }, depths)?;
        Ok(self.anomaly(BinaryFunction::GreaterOrEqual, score))
    }

    pub(super) fn ada_boost_classifier(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let (classes, estimators) = (classes_of(node)?, estimators(node)?);
        let estimator_weights = node.get("estimator_weights_")?.numbers()?;
        let count = classes.len();
        if count < 2 || estimator_weights.len() < estimators.len() {
            return Err(misshapen("its estimators and their weights"));
        }
        let is_real = node.option("algorithm").as_deref() == Some("SAMME.R");
        // What an estimator that says a class adds to each.
        let otherwise = if is_since_patch(node, [1, 3, 1]) { -1.0 / (count as f64 - 1.0) } else { 0.0 };
        let votes = |class: usize, weight: f64| -> Vec<f64> {
            (0..count).map(|other| if other == class { weight } else { otherwise * weight }).collect()
        };
        let are_trees = estimators.iter().all(|estimator| estimator.class() == "DecisionTreeClassifier");
        let sums = if are_trees {
            let value = self.for_trees(table, false)?;
            let mut read = Vec::with_capacity(estimators.len());
            for (estimator, weight) in estimators.iter().zip(&estimator_weights) {
                let saved = Saved::read(*estimator)?;
                if saved.width != count {
                    return Err(misshapen("its classes and the leaves of its trees"));
                }
                read.push(saved.tree(table.width(), |leaf| {
                    let cells = saved.value(leaf);
                    if is_real {
                        let all = if is_since(*estimator, 1, 4) { 1.0 } else { sum(cells) };
                        let shares: Vec<f64> = cells.iter().map(|cell| cell / all).collect();
                        return weights(&RowFunction::LogDeviations.of(&shares));
                    }
                    let greatest =
                        cells.iter().enumerate().fold(0, |best, (at, x)| if *x > cells[best] { at } else { best });
                    weights(&votes(greatest, *weight))
                })?);
            }
            self.sums(value, &ensemble(table.width(), read, count, Precision::Single, vec![]))?
        } else {
            let value = self.checked(table, false, false)?;
            let table = &Table { value, columns: table.columns.clone() };
            let mut sums: Option<ValueId> = None;
            for (index, (estimator, weight)) in estimators.iter().zip(&estimator_weights).enumerate() {
                let classified = self.answer(&format!("estimators_[{index}]"), *estimator, table)?.classes()?;
                let given = if is_real {
                    let probabilities = classified.probabilities.ok_or_else(|| misshapen("its estimators"))?;
                    self.row(RowFunction::LogDeviations, probabilities)?
                } else {
                    let known = |class: &String| classes.iter().position(|known| known == class);
                    let places: Option<Vec<usize>> = classified.classes.iter().map(known).collect();
                    let places = places.ok_or_else(|| misshapen("its classes and those of its estimators"))?;
                    let cells: Vec<f64> = places.iter().flat_map(|class| votes(*class, *weight)).collect();
                    self.by_label(classified.label, &cells, count)
                };
                sums = Some(match sums {
                    None => given,
                    Some(sums) => self.both(BinaryFunction::Add, sums, given),
                });
            }
            sums.ok_or_else(|| misshapen("its estimators"))?
        };
        let all = sum(&estimator_weights);
        let shares = self.with(BinaryFunction::Divide, sums, &[all]);
        let (decision, probabilities) = if count == 2 {
            let decision = self.row(RowFunction::Difference, shares)?;
            (decision, self.row(RowFunction::SoftmaxPair(0.5), decision)?)
        } else {
            let scaled = self.with(BinaryFunction::Divide, shares, &[count as f64 - 1.0]);
            (shares, self.row(RowFunction::Softmax, scaled)?)
        };
        let classified = self.by_decision(classes, decision)?;
        Ok(Answer::Classes(Classified { probabilities: Some(probabilities), ..classified }))
    }

    /// The estimate up to which there is half of the weight.
    pub(super) fn ada_boost_regressor(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let (estimators, weights) = (estimators(node)?, node.get("estimator_weights_")?.numbers()?);
        let weights = weights.get(..estimators.len()).ok_or_else(|| misshapen("its estimators and their weights"))?;
        if !weights.iter().all(|weight| weight.is_finite()) {
            return Err(misshapen("its estimators and their weights"));
        }
        let value = self.checked(table, false, false)?;
        let table = &Table { value, columns: table.columns.clone() };
        let mut given = vec![];
        for (index, estimator) in estimators.iter().enumerate() {
            given.push(self.answer(&format!("estimators_[{index}]"), *estimator, table)?.values()?);
        }
        let all = self.join(&given);
        if self.width_of(all) != weights.len() {
            return Err(misshapen("its estimators and their weights"));
        }
        let weights = self.plan.table(weights);
        Ok(Answer::Values(self.step(WeightedMedian { weights }, &[all], Self::double(1))))
    }

    /// Bagging is not the sum of trees of one table: each estimator has columns of its own.
    pub(super) fn bagging(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let estimators = estimators(node)?;
        let features = node.get("estimators_features_")?.items()?;
        if features.len() != estimators.len() {
            return Err(misshapen("its estimators and their columns"));
        }
        let is_classifier = node.class() == "BaggingClassifier";
        let classes = if is_classifier { classes_of(node)? } else { vec![] };
        let mut sums: Option<ValueId> = None;
        for (index, (estimator, features)) in estimators.iter().zip(features).enumerate() {
            let chosen: Vec<usize> =
                features.wholes()?.into_iter().map(|column| usize::try_from(column).unwrap_or(usize::MAX)).collect();
            let part = self.gather(table, &chosen)?;
            let answer = self.answer(&format!("estimators_[{index}]"), *estimator, &part)?;
            let given = if is_classifier {
                let classified = answer.classes()?;
                // Its estimators know classes by their index.
                let place = |class: &String| {
                    class.trim_end_matches(".0").parse::<usize>().ok().filter(|at| *at < classes.len())
                };
                let places: Option<Vec<usize>> = classified.classes.iter().map(place).collect();
                let places = places.ok_or_else(|| misshapen("its classes and those of its estimators"))?;
                match classified.probabilities {
                    Some(probabilities) if places.len() == classes.len() => probabilities,
                    Some(_) => {
                        return Err(Error::new(Kind::Unsupported, "one of its estimators has not seen every class"));
                    }
                    None => {
                        let one =
                            |class: usize| (0..classes.len()).map(move |other| f64::from(u8::from(other == class)));
                        let cells: Vec<f64> = places.iter().flat_map(|class| one(*class)).collect();
                        self.by_label(classified.label, &cells, classes.len())
                    }
                }
            } else {
                answer.values()?
            };
            sums = Some(match sums {
                None => given,
                Some(sums) => self.both(BinaryFunction::Add, sums, given),
            });
        }
        let sums = sums.ok_or_else(|| misshapen("its estimators"))?;
        let mean = self.with(BinaryFunction::Divide, sums, &[estimators.len() as f64]);
        if is_classifier { self.by_probability(classes, mean) } else { Ok(Answer::Values(mean)) }
    }
}
