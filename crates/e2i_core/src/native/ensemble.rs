//! Trees as a model states them: plain data, whatever file they came from, and their meaning.
//!
//! This is the one definition of what a tree ensemble computes before links and classes. The kernels are tested against
//! [`Ensemble::sums`], which is written to be read, not to be fast.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};

/// In which type numbers are compared or added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// float32.
    Single,
    /// float64.
    Double,
}

impl Precision {
    /// The nearest number of this type.
    pub(super) fn round(self, value: f64) -> f64 {
        match self {
            Self::Single => f64::from(value as f32),
            Self::Double => value,
        }
    }
}

/// What a library takes for a missing value of a feature, before any node looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Missing {
    /// NaN is missing (ONNX, XGBoost, LightGBM's `missing_type` NaN).
    Nan,
    /// NaN counts as 0 and nothing is missing (LightGBM's `missing_type` None).
    Nothing,
    /// NaN and everything from -[`ZERO`] to [`ZERO`] is missing (LightGBM's `missing_type` Zero, `zero_as_missing`).
    NanAndZero,
}

/// A column of the input as nodes read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FeatureUse {
    /// Index of the column.
    pub column: u32,
    /// What is missing there.
    pub missing: Missing,
}

/// What a branch asks of a value that is not missing. Other comparisons are written with these: `x > t` is `x <= t` with
/// the children exchanged, `x == t` is membership of one interval.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// `x < t`.
    Less(f64),
    /// `x <= t`.
    LessEqual(f64),
    /// `x` lies in one of these closed intervals, which ascend and do not overlap.
    Member(Vec<(f64, f64)>),
}

/// A branch.
#[derive(Debug, Clone, PartialEq)]
pub struct Branch {
    /// Index into [`Ensemble::features`].
    pub feature: u32,
    /// The question.
    pub test: Test,
    /// Whether a missing value goes to `yes`.
    pub missing_yes: bool,
    /// The node that follows when the test holds.
    pub yes: u32,
    /// The node that follows when it does not.
    pub no: u32,
}

/// What a leaf adds to one target. Thresholds and weights are float64 so that one type holds both precisions; where the
/// model is single precision every value is one that float32 holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weight {
    /// Index of the target.
    pub target: u32,
    /// The number.
    pub value: f64,
}

/// A node.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// Goes on.
    Branch(Branch),
    /// Ends, and adds these weights in order; none is allowed.
    Leaf(Vec<Weight>),
}

/// One tree. `nodes[0]` is the root; a node may have several parents.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tree {
    /// The nodes.
    pub nodes: Vec<Node>,
    /// How much of the training data came to each node, as the file measures it (XGBoost sums hessians, LightGBM counts rows);
    /// empty where it does not say. No score depends on it.
    pub cover: Vec<f64>,
}

/// How the trees' answers become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    /// The sum.
    Sum,
    /// The sum divided by the number of trees.
    Average,
    /// The least.
    Min,
    /// The greatest.
    Max,
}

/// A tree ensemble up to its raw scores.
#[derive(Debug, Clone, PartialEq)]
pub struct Ensemble {
    /// Numbers a row of the input has.
    pub width: usize,
    /// What nodes read.
    pub features: Vec<FeatureUse>,
    /// The trees, in the order in which they are added.
    pub trees: Vec<Tree>,
    /// Numbers a row of the output has.
    pub targets: usize,
    /// In which type features are compared with thresholds; a feature of the other type is converted first, rounding to
    /// the nearest.
    pub compared_in: Precision,
    /// In which type weights are added.
    pub added_in: Precision,
    /// How the trees' answers become one.
    pub aggregate: Aggregate,
    /// What is added to each target: nothing (empty), or one number a target.
    pub base: Vec<f64>,
    /// Whether the sum starts with the base (XGBoost's own predictor) or the base is added last (ONNX Runtime).
    pub base_first: bool,
}

impl Ensemble {
    /// Whether all indexes are within bounds, no tree is empty and no node is its own ancestor.
    ///
    /// # Errors
    /// [`Kind::BadModel`] naming tree and node.
    pub fn check(&self) -> Result<()> {
        let broken = |what: String| Error::new(Kind::BadModel, format!("the trees of the model are broken: {what}"));
        if self.targets == 0 || !(self.base.is_empty() || self.base.len() == self.targets) {
            return Err(broken(format!("{} base values for {} targets", self.base.len(), self.targets)));
        }
        if let Some(unknown) = self.features.iter().find(|feature| feature.column as usize >= self.width) {
            return Err(broken(format!("column {} of {} is read", unknown.column, self.width)));
        }
        for (number, tree) in self.trees.iter().enumerate() {
            self.check_tree(tree).map_err(|why| broken(format!("tree {number}: {why}")))?;
        }
        Ok(())
    }

    fn check_tree(&self, tree: &Tree) -> std::result::Result<(), String> {
        if tree.nodes.is_empty() {
            return Err("it has no nodes".to_owned());
        }
        if !(tree.cover.is_empty() || tree.cover.len() == tree.nodes.len()) {
            return Err(format!("{} of {} nodes have a cover", tree.cover.len(), tree.nodes.len()));
        }
        for (index, node) in tree.nodes.iter().enumerate() {
            match node {
                Node::Leaf(weights) => {
                    if let Some(weight) = weights.iter().find(|weight| weight.target as usize >= self.targets) {
                        return Err(format!("leaf {index} adds to target {} of {}", weight.target, self.targets));
                    }
                }
                Node::Branch(branch) => {
                    if branch.feature as usize >= self.features.len() {
                        return Err(format!("node {index} reads feature {}", branch.feature));
                    }
                    if let Some(child) = [branch.yes, branch.no].iter().find(|c| **c as usize >= tree.nodes.len()) {
                        return Err(format!("node {index} leads to node {child}, which does not exist"));
                    }
                    if let Test::Member(intervals) = &branch.test
                        && !intervals.is_sorted_by(|a, b| a.0 <= a.1 && a.1 < b.0 && b.0 <= b.1)
                    {
                        return Err(format!("node {index} has intervals that do not ascend"));
                    }
                }
            }
        }
        tree.depths().map(|_| ())
    }

    /// The value of a feature as nodes see it, of a row of [`Ensemble::width`] numbers; `None` is missing.
    #[must_use]
    pub fn value(&self, row: &[f64], feature: FeatureUse) -> Option<f64> {
        value_as_read(self.compared_in.round(row[feature.column as usize]), feature.missing)
    }

    /// The nodes at which one row ends, one a tree. As for [`Ensemble::sums`].
    #[must_use]
    pub fn leaves(&self, row: &[f64]) -> Vec<usize> {
        let value = |feature: u32| self.value(row, self.features[feature as usize]);
        self.trees.iter().map(|tree| tree.leaf(value)).collect()
    }

    /// The raw scores of one row by definition: every tree walked from its root, answers added in order.
    ///
    /// The ensemble must have passed [`Ensemble::check`]; `row` has [`Ensemble::width`] numbers.
    #[must_use]
    pub fn sums(&self, row: &[f64]) -> Vec<f64> {
        let base = |target: usize| self.base.get(target).copied().unwrap_or(0.0);
        let mut sums: Vec<f64> =
            (0..self.targets).map(|target| if self.base_first { base(target) } else { 0.0 }).collect();
        let mut seen = vec![false; self.targets];
        for (tree, leaf) in self.trees.iter().zip(self.leaves(row)) {
            let Node::Leaf(weights) = &tree.nodes[leaf] else { continue };
            for weight in weights {
                let target = weight.target as usize;
                let (sum, first) = (sums[target], !std::mem::replace(&mut seen[target], true));
                sums[target] = match self.aggregate {
                    Aggregate::Min if !first => {
                        if weight.value < sum {
                            weight.value
                        } else {
                            sum
                        }
                    }
                    Aggregate::Max if !first => {
                        if weight.value > sum {
                            weight.value
                        } else {
                            sum
                        }
                    }
                    Aggregate::Min | Aggregate::Max => weight.value,
                    Aggregate::Sum | Aggregate::Average => self.added_in.round(sum + weight.value),
                };
            }
        }
        if self.aggregate == Aggregate::Average && !self.trees.is_empty() {
            let count = self.trees.len() as f64;
            sums.iter_mut().for_each(|sum| *sum = self.added_in.round(*sum / count));
        }
        if !self.base_first && !self.base.is_empty() {
            sums.iter_mut().enumerate().for_each(|(i, sum)| *sum = self.added_in.round(*sum + base(i)));
        }
        sums
    }
}

/// LightGBM's `kZeroThreshold`: numbers up to here count as zero. It is written there as a float32 and compared as float64.
pub const ZERO: f64 = 1e-35_f32 as f64;

/// A value as nodes see it; `None` is missing.
pub(super) fn value_as_read(value: f64, missing: Missing) -> Option<f64> {
    match missing {
        Missing::Nan => (!value.is_nan()).then_some(value),
        Missing::Nothing => Some(if value.is_nan() { 0.0 } else { value }),
        Missing::NanAndZero => (!value.is_nan() && value.abs() > ZERO).then_some(value),
    }
}

impl Tree {
    /// The leaf that a row reaches.
    fn leaf(&self, value: impl Fn(u32) -> Option<f64>) -> usize {
        let mut at = 0;
        loop {
            match &self.nodes[at] {
                Node::Leaf(_) => return at,
                Node::Branch(branch) => {
                    let yes = match value(branch.feature) {
                        None => branch.missing_yes,
                        Some(value) => branch.test.holds(value),
                    };
                    at = if yes { branch.yes } else { branch.no } as usize;
                }
            }
        }
    }

    /// For each node, how many branches lie on the longest way from it to a leaf.
    ///
    /// # Errors
    /// What is wrong, when a node is its own ancestor. Children must exist.
    pub fn depths(&self) -> std::result::Result<Vec<u32>, String> {
        const NEVER: u32 = u32::MAX;
        const ABOVE: u32 = u32::MAX - 1;
        let mut depths = vec![NEVER; self.nodes.len()];
        for root in 0..self.nodes.len() {
            let mut path = vec![root];
            while let Some(&at) = path.last() {
                let Node::Branch(branch) = &self.nodes[at] else {
                    depths[at] = 0;
                    path.pop();
                    continue;
                };
                if depths[at] < ABOVE {
                    path.pop();
                    continue;
                }
                let children = [branch.yes as usize, branch.no as usize];
                if let Some(&child) = children.iter().find(|child| depths[**child] == NEVER) {
                    depths[at] = ABOVE;
                    path.push(child);
                } else if children.iter().any(|child| depths[*child] == ABOVE) {
                    return Err(format!("node {at} leads back to a node above it"));
                } else {
                    depths[at] = 1 + children.iter().map(|child| depths[*child]).max().unwrap_or(0);
                    path.pop();
                }
            }
        }
        Ok(depths)
    }
}

impl Test {
    /// Whether the test holds for a value that is not missing.
    #[must_use]
    pub fn holds(&self, value: f64) -> bool {
        match self {
            Self::Less(threshold) => value < *threshold,
            Self::LessEqual(threshold) => value <= *threshold,
            Self::Member(intervals) => {
                let first = intervals.partition_point(|(_, high)| *high < value);
                intervals.get(first).is_some_and(|(low, high)| *low <= value && value <= *high)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stump(missing: Missing, test: Test) -> Ensemble {
        let leaf = |value| Node::Leaf(vec![Weight { target: 0, value }]);
        let branch = Branch { feature: 0, test, missing_yes: true, yes: 1, no: 2 };
        Ensemble {
            width: 1,
            features: vec![FeatureUse { column: 0, missing }],
            trees: vec![Tree { nodes: vec![Node::Branch(branch), leaf(1.0), leaf(2.0)], cover: vec![] }],
            targets: 1,
            compared_in: Precision::Double,
            added_in: Precision::Single,
            aggregate: Aggregate::Sum,
            base: vec![],
            base_first: false,
        }
    }

    #[test]
    fn what_is_missing_depends_on_the_library() {
        let score = |missing, value| stump(missing, Test::Less(-1.0)).sums(&[value])[0];
        assert_eq!(score(Missing::Nan, f64::NAN), 1.0);
        assert_eq!(score(Missing::Nothing, f64::NAN), 2.0);
        assert_eq!(score(Missing::NanAndZero, 1e-36), 1.0);
        assert_eq!(score(Missing::Nan, 1e-36), 2.0);
    }

    #[test]
    fn intervals_are_closed() {
        let score = |value| stump(Missing::Nan, Test::Member(vec![(1.0, 1.0), (3.0, 4.0)])).sums(&[value])[0];
        assert_eq!([0.5, 1.0, 2.0, 3.0, 4.0, 4.5].map(score), [2.0, 1.0, 2.0, 1.0, 1.0, 2.0]);
    }

    #[test]
    fn a_node_above_itself_is_refused() {
        let mut ensemble = stump(Missing::Nan, Test::Less(0.0));
        ensemble.check().unwrap();
        let Node::Branch(branch) = &mut ensemble.trees[0].nodes[0] else { unreachable!() };
        branch.no = 0;
        assert!(ensemble.check().unwrap_err().message().contains("node 0 leads back"));
    }
}
