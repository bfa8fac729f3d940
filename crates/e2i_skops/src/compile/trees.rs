//! scikit-learn's `Tree` as nodes of an ensemble.
//!
//! A value is cast to float32 and compared with a float64 threshold; a missing one goes where its node says. Thresholds may be
//! infinite, which splits missing values from the others. What a leaf holds of classes are shares of its rows from 1.4 on, and
//! weights before.

use e2i_core::native::arithmetic::sklearn::sum;
use e2i_core::native::operators::Trained;
use e2i_core::native::{Aggregate, Branch, Ensemble, FeatureUse, Missing, Precision, Test, Tree, Weight};
use e2i_core::native::{Function, LabelRule, Link, Node as TreeNode, ValueId};
use e2i_core::{Error, Kind, Result};

use super::answer::{Answer, classes_of, several_classes};
use super::{Compiler, Table, is_since, misshapen};
use crate::node::Node;
use crate::npy::Cells;

/// A tree as it was saved.
pub(super) struct Saved {
    left: Vec<i64>,
    right: Vec<i64>,
    feature: Vec<i64>,
    threshold: Vec<f64>,
    missing_left: Vec<i64>,
    /// The weight of the rows that came to each node in training; empty where it is not written.
    cover: Vec<f64>,
    /// How mixed the rows of each node were; empty where it is not written.
    impurity: Vec<f64>,
    /// The cells of each node.
    values: Vec<f64>,
    /// Cells a node.
    pub(super) width: usize,
    outputs: usize,
}

fn broken(why: impl std::fmt::Display) -> Error {
    Error::new(Kind::BadModel, format!("its tree is broken: {why}"))
}

impl Saved {
    /// Reads the tree of a decision tree.
    pub(super) fn read(estimator: Node<'_>) -> Result<Self> {
        let tree = estimator.get("tree_")?;
        if tree.class() != "Tree" || !tree.is_of("sklearn") {
            return Err(broken(format!("it is a {:?}", tree.class())));
        }
        let nodes = tree.get("nodes")?.array()?;
        let wholes = |name: &str| match nodes.field(name) {
            Some(Cells::Whole(cells)) => Ok(cells.clone()),
            Some(Cells::Bool(cells)) => Ok(cells.iter().map(|cell| i64::from(*cell)).collect()),
            _ => Err(broken(format!("its nodes have no {name}"))),
        };
        let Some(Cells::Double(threshold)) = nodes.field("threshold") else {
            return Err(broken("its nodes have no threshold"));
        };
        let values = tree.get("values")?.array()?;
        let [count, outputs, classes] = values.shape[..] else {
            return Err(broken("its values are not three-dimensional"));
        };
        let Cells::Double(cells) = values.cells else { return Err(broken("its values are not float64")) };
        if count != threshold.len() || count == 0 {
            return Err(broken(format!("it has {} nodes and values of {count}", threshold.len())));
        }
        // Versions before 1.3 had no missing values.
        let missing_left = wholes("missing_go_to_left").unwrap_or_else(|_| vec![0; count]);
        let cover = match nodes.field("weighted_n_node_samples") {
            Some(Cells::Double(cover)) if cover.len() == count => cover.clone(),
            _ => vec![],
        };
        let impurity = match nodes.field("impurity") {
            Some(Cells::Double(impurity)) if impurity.len() == count => impurity.clone(),
            _ => vec![],
        };
        Ok(Self {
            impurity,
            left: wholes("left_child")?,
            right: wholes("right_child")?,
            feature: wholes("feature")?,
            threshold: threshold.clone(),
            missing_left,
            cover,
            values: cells,
            width: outputs.saturating_mul(classes),
            outputs,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.threshold.len()
    }

    /// How much less mixed rows are for what each of `width` columns was asked.
    pub(super) fn importances(&self, width: usize) -> Result<Vec<f64>> {
        let mut importances = vec![0.0; width];
        if [self.cover.len(), self.impurity.len()] != [self.len(); 2] {
            return Err(broken("it does not say how mixed its rows were"));
        }
        let mixed = |node: i64| {
            let node = usize::try_from(node).ok().filter(|node| *node < self.len());
            node.map(|node| self.cover[node] * self.impurity[node]).ok_or_else(|| broken("a node leads nowhere"))
        };
        for (node, (left, right)) in (0..).zip(self.left.iter().zip(&self.right)).filter(|(_, (left, _))| **left != -1)
        {
            let feature = usize::try_from(self.feature[node as usize]).ok();
            let importance = feature.and_then(|feature| importances.get_mut(feature));
            *importance.ok_or_else(|| broken("a node reads no column"))? +=
                mixed(node)? - mixed(*left)? - mixed(*right)?;
        }
        importances.iter_mut().for_each(|importance| *importance /= self.cover[0]);
        Ok(importances)
    }

    /// The cells of a node.
    pub(super) fn value(&self, node: usize) -> &[f64] {
        self.values.get(node * self.width..(node + 1) * self.width).unwrap_or(&[])
    }

    /// The tree, with the weights that each leaf has by its number.
    pub(super) fn tree(&self, width: usize, weights: impl Fn(usize) -> Result<Vec<Weight>>) -> Result<Tree> {
        let child = |child: i64| u32::try_from(child).map_err(|_| broken(format!("a node leads to node {child}")));
        let node = |at: usize| -> Result<TreeNode> {
            let (left, right) = (self.left[at], self.right[at]);
            if left == -1 && right == -1 {
                return Ok(TreeNode::Leaf(weights(at)?));
            }
            let feature = u32::try_from(self.feature[at]).ok().filter(|feature| (*feature as usize) < width);
            let feature =
                feature.ok_or_else(|| broken(format!("node {at} reads column {} of {width}", self.feature[at])))?;
            let threshold = self.threshold[at];
            if threshold.is_nan() {
                return Err(broken(format!("the threshold of node {at} is NaN")));
            }
            Ok(TreeNode::Branch(Branch {
                feature,
                test: Test::LessEqual(threshold),
                missing_yes: self.missing_left[at] != 0,
                yes: child(left)?,
                no: child(right)?,
            }))
        };
        Ok(Tree { nodes: (0..self.len()).map(node).collect::<Result<_>>()?, cover: self.cover.clone() })
    }
}

/// Numbers as the weights of a leaf; nothing is added for 0.
pub(super) fn weights(cells: &[f64]) -> Result<Vec<Weight>> {
    if let Some(cell) = cells.iter().find(|cell| !cell.is_finite()) {
        return Err(broken(format!("a leaf holds {cell}")));
    }
    let weights = (0u32..).zip(cells).filter(|(_, value)| **value != 0.0);
    Ok(weights.map(|(target, value)| Weight { target, value: *value }).collect())
}

/// Trees that add float64.
pub(super) fn ensemble(
    width: usize,
    trees: Vec<Tree>,
    targets: usize,
    compared_in: Precision,
    base: Vec<f64>,
) -> Ensemble {
    let columns =
        (0..u32::try_from(width).unwrap_or(u32::MAX)).map(|column| FeatureUse { column, missing: Missing::Nan });
    Ensemble {
        width,
        features: columns.collect(),
        trees,
        targets,
        compared_in,
        added_in: Precision::Double,
        aggregate: Aggregate::Sum,
        base_first: !base.is_empty(),
        base,
    }
}

impl Compiler {
    /// The sums of trees.
    pub(super) fn sums(&mut self, value: ValueId, ensemble: &Ensemble) -> Result<ValueId> {
        let link = Link::new(Function::Identity, LabelRule::None);
        let trained = Trained::compile(ensemble, link, self.plan.tables())?;
        let output = Self::double(ensemble.targets);
        self.trees.push(ensemble.clone());
        Ok(self.step(trained, &[value], output))
    }

    /// A table as trees look at it: as float32, with missing values where `takes_nan`.
    pub(super) fn for_trees(&mut self, table: &Table, takes_nan: bool) -> Result<ValueId> {
        self.checked(table, takes_nan, true)
    }

    /// Whether trees of an estimator take missing values: those with random thresholds since 1.6, those of absolute errors since
    /// 1.8; extra trees with the best thresholds never.
    pub(super) fn trees_take_missing(node: Node<'_>) -> bool {
        let is_random = node.option("splitter").as_deref() == Some("random");
        let is_extra = node.class().starts_with("Extra");
        let is_absolute = matches!(node.option("criterion").as_deref(), Some("absolute_error" | "mae"));
        (!is_random || is_since(node, 1, 6)) && (!is_extra || is_random) && (!is_absolute || is_since(node, 1, 8))
    }

    /// Trees of classifiers: a column of shares for each class, output by output, added up.
    pub(super) fn class_trees(
        &mut self,
        takes_missing: bool,
        trees: &[Node<'_>],
        table: &Table,
        classes: &[usize],
    ) -> Result<ValueId> {
        let value = self.for_trees(table, takes_missing)?;
        // Outputs of fewer classes than others are filled up with zeros.
        let most = classes.iter().copied().max().unwrap_or(0);
        let mut read = Vec::with_capacity(trees.len());
        for estimator in trees {
            let saved = Saved::read(*estimator)?;
            if saved.outputs != classes.len() || saved.width != most.saturating_mul(classes.len()) {
                return Err(misshapen("its classes and the leaves of its trees"));
            }
            let are_shares = is_since(*estimator, 1, 4);
            read.push(saved.tree(table.width(), |leaf| {
                let mut shares = vec![];
                for (cells, count) in saved.value(leaf).chunks(most.max(1)).zip(classes) {
                    let cells = cells.get(..*count).unwrap_or(&[]);
                    let all = if are_shares { 1.0 } else { sum(cells) };
                    let all = if all == 0.0 { 1.0 } else { all };
                    shares.extend(cells.iter().map(|cell| cell / all));
                }
                weights(&shares)
            })?);
        }
        self.sums(value, &ensemble(table.width(), read, classes.iter().sum(), Precision::Single, vec![]))
    }

    /// Trees of regressors, added up.
    pub(super) fn value_trees(&mut self, takes_missing: bool, trees: &[Node<'_>], table: &Table) -> Result<ValueId> {
        let value = self.for_trees(table, takes_missing)?;
        let mut read = Vec::with_capacity(trees.len());
        let mut targets = None;
        for estimator in trees {
            let saved = Saved::read(*estimator)?;
            if saved.width != saved.outputs || *targets.get_or_insert(saved.width) != saved.width {
                return Err(misshapen("the outputs of its trees"));
            }
            read.push(saved.tree(table.width(), |leaf| weights(saved.value(leaf)))?);
        }
        let targets = targets.filter(|targets| *targets > 0).ok_or_else(|| misshapen("its trees"))?;
        self.sums(value, &ensemble(table.width(), read, targets, Precision::Single, vec![]))
    }

    pub(super) fn tree_classifier(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let takes_missing = Self::trees_take_missing(node);
        if let Some(counts) = several_classes(node)? {
            let shares = self.class_trees(takes_missing, &[node], table, &counts)?;
            return Ok(Answer::Table(Table::computed(shares, self.width_of(shares))));
        }
        let classes = classes_of(node)?;
        let probabilities = self.class_trees(takes_missing, &[node], table, &[classes.len()])?;
        self.by_probability(classes, probabilities)
    }

    pub(super) fn tree_regressor(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        Ok(Answer::Values(self.value_trees(Self::trees_take_missing(node), &[node], table)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::File;

    fn file(name: &str) -> Vec<u8> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/models/skops/");
        std::fs::read(format!("{folder}{name}.skops")).unwrap()
    }

    #[test]
    fn trees_keep_what_came_to_their_nodes() {
        for name in ["forest_regressor", "forest_3", "extra_trees"] {
            let bytes = file(name);
            let file = File::open(&bytes).unwrap();
            let estimators = file.root().get("estimators_").unwrap().items().unwrap();
            let saved = Saved::read(estimators[0]).unwrap();
            let tree = saved.tree(usize::MAX, |_| Ok(vec![])).unwrap();
            assert!(tree.cover[0] >= 2.0 && tree.cover.len() == tree.nodes.len(), "{name}");
            for (node, cover) in tree.nodes.iter().zip(&tree.cover) {
                let TreeNode::Branch(branch) = node else { continue };
                let sides = tree.cover[branch.yes as usize] + tree.cover[branch.no as usize];
                assert!((sides - cover).abs() < 1e-9 * cover, "{name}: {sides} of {cover}");
            }
        }
    }
}
