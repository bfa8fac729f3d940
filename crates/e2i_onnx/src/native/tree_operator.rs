//! What tree operators of all versions have in common: trees with the columns that they read, and what becomes of sums.

use std::collections::HashMap;

use e2i_core::native::{
    Aggregate, Branch, Ensemble, FeatureUse, Finish, Missing, Node, PostTransform, Precision, Seen, Test, Tree, Weight,
};
use e2i_core::{ElementType, Error, Kind, Result};

use super::attributes::refused;
use crate::proto::NodeProto;

/// Targets or classes at most.
pub(super) const TARGETS: i64 = 1 << 16;

/// What a tree node computes.
#[derive(Debug, Clone, PartialEq)]
pub struct TreeOperator {
    /// The trees. Rows of float, int32 and int64 are given to them as float32 (rounded to the nearest), rows of double as
    /// float64.
    pub ensemble: Ensemble,
    /// What becomes of their sums.
    pub finish: Finish,
    /// The type of the numbers that come out; of labels see [`Finish::classifier`].
    pub output: ElementType,
}

/// What regressors of all versions have in common.
pub(super) fn regression(
    node: &NodeProto,
    trees: Trees,
    targets: usize,
    precision: Precision,
    width: usize,
    (aggregate, post_transform, base): (Aggregate, PostTransform, Vec<f64>),
    output: ElementType,
) -> Result<TreeOperator> {
    if !base.is_empty() && base.len() != targets {
        return Err(refused(node, &format!("it has {} base values for {targets} targets", base.len())));
    }
    let mut ensemble = trees.ensemble(targets, precision, width);
    ensemble.aggregate = aggregate;
    // The runtime adds a base of 0 where there is none, which makes a -0.0 a 0.0, except to several sums.
    let adds_zero = targets == 1 || matches!(aggregate, Aggregate::Min | Aggregate::Max);
    ensemble.base = if base.is_empty() && adds_zero { vec![0.0; targets] } else { base };
    // A single value is written with its base even where no tree added to it.
    let seen = if targets == 1 { Seen::Known(vec![true]) } else { seen(&mut ensemble, targets) };
    let finish = Finish { width: targets, seen, post_transform, classifier: None };
    checked(TreeOperator { ensemble, finish, output })
}

/// The operator, if its trees are trees and its classes classes.
pub(super) fn checked(operator: TreeOperator) -> Result<TreeOperator> {
    operator.ensemble.check()?;
    operator.finish.check()?;
    Ok(operator)
}

/// Trees with the columns that they read.
#[derive(Debug, Default)]
pub(super) struct Trees {
    pub trees: Vec<Tree>,
    columns: Vec<u32>,
    known: HashMap<i64, u32>,
}

impl Trees {
    /// The feature that reads a column.
    pub(super) fn feature(&mut self, column: i64) -> Result<u32> {
        if let Some(feature) = self.known.get(&column) {
            return Ok(*feature);
        }
        let read = i32::try_from(column).ok().and_then(|column| u32::try_from(column).ok());
        let read = read.ok_or_else(|| Error::new(Kind::BadModel, format!("a tree reads feature {column}")))?;
        let feature = self.columns.len() as u32;
        self.columns.push(read);
        self.known.insert(column, feature);
        Ok(feature)
    }

    /// As an ensemble that sums.
    pub(super) fn ensemble(self, targets: usize, precision: Precision, width: usize) -> Ensemble {
        Ensemble {
            width,
            features: self.columns.iter().map(|column| FeatureUse { column: *column, missing: Missing::Nan }).collect(),
            trees: self.trees,
            targets,
            compared_in: precision,
            added_in: precision,
            aggregate: Aggregate::Sum,
            base: vec![],
            base_first: false,
        }
    }
}

/// Which targets trees add to. Where that depends on the row, the ensemble gets as many targets more, to which every leaf
/// adds 1 for each that it adds to.
pub(super) fn seen(ensemble: &mut Ensemble, targets: usize) -> Seen {
    let mut always = vec![false; targets];
    let mut ever = vec![false; targets];
    let mut last = vec![usize::MAX; targets];
    for tree in &ensemble.trees {
        let leaves = tree.nodes.iter().filter_map(|node| match node {
            Node::Leaf(weights) => Some(weights),
            Node::Branch(_) => None,
        });
        let (mut count, mut times) = (0, HashMap::<u32, usize>::new());
        last.fill(usize::MAX);
        for weights in leaves {
            for weight in weights {
                let target = weight.target as usize;
                ever[target] = true;
                if std::mem::replace(&mut last[target], count) != count {
                    *times.entry(weight.target).or_default() += 1;
                }
            }
            count += 1;
        }
        times.iter().filter(|(_, times)| **times == count).for_each(|(target, _)| always[*target as usize] = true);
    }
    if always == ever {
        return Seen::Known(always);
    }
    ensemble.targets = 2 * targets;
    if !ensemble.base.is_empty() {
        ensemble.base.resize(2 * targets, 0.0);
    }
    for node in ensemble.trees.iter_mut().flat_map(|tree| &mut tree.nodes) {
        if let Node::Leaf(weights) = node {
            let mut counted: Vec<u32> = weights.iter().map(|weight| weight.target).collect();
            counted.sort_unstable();
            counted.dedup();
            let count = |target| Weight { target: target + targets as u32, value: 1.0 };
            weights.extend(counted.into_iter().map(count));
        }
    }
    Seen::Counted
}

/// What a node asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    LessEqual,
    Less,
    GreaterEqual,
    Greater,
    Equal,
    NotEqual,
}

impl Asked {
    /// By the name of a mode of versions 1 to 3.
    pub(super) fn from_mode(mode: &[u8]) -> Option<Self> {
        Some(match mode {
            b"BRANCH_LEQ" => Self::LessEqual,
            b"BRANCH_LT" => Self::Less,
            b"BRANCH_GTE" => Self::GreaterEqual,
            b"BRANCH_GT" => Self::Greater,
            b"BRANCH_EQ" => Self::Equal,
            b"BRANCH_NEQ" => Self::NotEqual,
            _ => return None,
        })
    }

    /// The branch, with the comparison turned around where ours are the other way.
    pub(super) fn branch(self, feature: u32, value: f64, tracks_true: bool, (yes, no): (u32, u32)) -> Node {
        let straight = |test| Branch { feature, test, missing_yes: tracks_true, yes, no };
        let turned = |test, missing_yes| Branch { feature, test, missing_yes, yes: no, no: yes };
        Node::Branch(match self {
            // Everything differs from NaN, and nothing else is true of it.
            Self::NotEqual if value.is_nan() => {
                Branch { feature, test: Test::Less(value), missing_yes: true, yes, no: yes }
            }
            _ if value.is_nan() => straight(Test::Less(value)),
            Self::LessEqual => straight(Test::LessEqual(value)),
            Self::Less => straight(Test::Less(value)),
            Self::Equal => straight(Test::Member(vec![(value, value)])),
            Self::Greater => turned(Test::LessEqual(value), !tracks_true),
            Self::GreaterEqual => turned(Test::Less(value), !tracks_true),
            // NaN differs from every number, whatever the node says of missing values.
            Self::NotEqual => turned(Test::Member(vec![(value, value)]), false),
        })
    }
}
