//! TreeEnsemble of ai.onnx.ml 5: branches and leaves in lists of their own, which name each other by place.

use std::collections::HashMap;

use e2i_core::native::{Aggregate, Branch, Node, PostTransform, Precision, Test, Tree, Weight};
use e2i_core::{ElementType, Error, Kind, Result};

use super::attributes::{int, ints, numbers, refused, small_numbers};
use super::tree_operator::{Asked, TARGETS, TreeOperator, Trees, regression};
use crate::proto::NodeProto;

/// How often the trees may hold a node of the lists, on average: a short list of roots would else be a gigabyte of trees.
const COPIES: usize = 2;

/// The lists.
struct Lists<'n> {
    node: &'n NodeProto,
    modes: Vec<u8>,
    splits: Vec<f64>,
    features: &'n [i64],
    missing: &'n [i64],
    next: [&'n [i64]; 2],
    ends: [&'n [i64]; 2],
    members: Vec<Vec<f64>>,
    leaves: Vec<Weight>,
    precision: Precision,
}

/// Reads the node.
pub(super) fn read(node: &NodeProto, precision: Precision, width: usize) -> Result<TreeOperator> {
    let targets = int(node, "n_targets", 0);
    if !(1..=TARGETS).contains(&targets) {
        return Err(refused(node, &format!("it has {targets} targets")));
    }
    let targets = targets as usize;
    let aggregate = match int(node, "aggregate_function", 1) {
        0 => Aggregate::Average,
        1 => Aggregate::Sum,
        2 => Aggregate::Min,
        3 => Aggregate::Max,
        other => return Err(refused(node, &format!("it aggregates by {other}"))),
    };
    let post_transform = match int(node, "post_transform", 0) {
        0 => PostTransform::None,
        // The runtime numbers them otherwise than the specification.
        1 => PostTransform::Logistic,
        2 => PostTransform::Softmax,
        3 => PostTransform::SoftmaxZero,
        4 => PostTransform::Probit,
        other => return Err(refused(node, &format!("it transforms by {other}"))),
    };
    let lists = lists(node, targets, precision)?;
    let mut trees = Trees::default();
    let mut nodes = 0;
    for root in ints(node, "tree_roots") {
        let tree = lists.tree(*root, &mut trees)?;
        nodes += tree.nodes.len();
        if nodes > COPIES * (lists.modes.len() + lists.leaves.len()) {
            return Err(Error::new(Kind::Limit, "the trees of the model have too many nodes in common"));
        }
        trees.trees.push(tree);
    }
    let output = match precision {
        Precision::Single => ElementType::Float32,
        Precision::Double => ElementType::Float64,
    };
    regression(node, trees, targets, precision, width, (aggregate, post_transform, vec![]), output)
}

fn lists(node: &NodeProto, targets: usize, precision: Precision) -> Result<Lists<'_>> {
    let broken = |why: &str| Error::new(Kind::BadModel, format!("TreeEnsemble of the model is broken: {why}"));
    let modes = small_numbers(node, "nodes_modes")?;
    let splits = numbers(node, "nodes_splits", precision)?;
    let (features, missing) = (ints(node, "nodes_featureids"), ints(node, "nodes_missing_value_tracks_true"));
    let next = ["nodes_truenodeids", "nodes_falsenodeids"].map(|name| ints(node, name));
    let ends = ["nodes_trueleafs", "nodes_falseleafs"].map(|name| ints(node, name));
    let lengths = [splits.len(), features.len(), next[0].len(), next[1].len(), ends[0].len(), ends[1].len()];
    if lengths.iter().any(|length| *length != modes.len()) || !(missing.is_empty() || missing.len() == modes.len()) {
        return Err(broken("its lists of nodes are not of one length"));
    }
    let (of, weights) = (ints(node, "leaf_targetids"), numbers(node, "leaf_weights", precision)?);
    if of.len() != weights.len() {
        return Err(broken("its lists of leaves are not of one length"));
    }
    let leaf = |(target, value): (&i64, f64)| {
        let target = u32::try_from(*target).ok().filter(|target| (*target as usize) < targets);
        target
            .map(|target| Weight { target, value })
            .ok_or_else(|| broken("a leaf is for a target that does not exist"))
    };
    let leaves = of.iter().zip(weights).map(leaf).collect::<Result<_>>()?;
    let members = members(node, &modes, &numbers(node, "membership_values", precision)?)?;
    Ok(Lists { node, modes, splits, features, missing, next, ends, members, leaves, precision })
}

const MEMBER: u8 = 6;

/// Below this, float32 holds a whole number and numbers beside it.
const WHOLE: f64 = 4_194_304.0;

/// The sets: in the order of the nodes that have one, each ended by NaN.
fn members(node: &NodeProto, modes: &[u8], values: &[f64]) -> Result<Vec<Vec<f64>>> {
    let mut sets = values.split(|value| value.is_nan());
    let mut members = vec![vec![]; modes.len()];
    for (members, _) in members.iter_mut().zip(modes).filter(|(_, mode)| **mode == MEMBER) {
        let set = sets.next().filter(|set| !set.is_empty());
        *members = set.ok_or_else(|| refused(node, "a set has no members"))?.to_vec();
    }
    Ok(members)
}

impl Lists<'_> {
    /// The tree below a root, with those of its nodes that can be reached, each once.
    fn tree(&self, root: i64, trees: &mut Trees) -> Result<Tree> {
        let mut order: Vec<(bool, usize)> = vec![];
        let mut known = HashMap::new();
        let root = self.place(root, false)?;
        let mut place_of = |order: &mut Vec<(bool, usize)>, at: (bool, usize)| {
            *known.entry(at).or_insert_with(|| {
                order.push(at);
                order.len() as u32 - 1
            })
        };
        place_of(&mut order, (false, root));
        if self.ends.iter().all(|ends| ends[root] != 0) && self.next[0][root] == self.next[1][root] {
            return Err(refused(self.node, "a tree is a single leaf"));
        }
        let mut nodes = vec![];
        while let Some((is_leaf, at)) = order.get(nodes.len()).copied() {
            if is_leaf {
                nodes.push(Node::Leaf(vec![self.leaves[at]]));
                continue;
            }
            let mut sides = [0; 2];
            for (side, place) in sides.iter_mut().enumerate() {
                let end = self.ends[side][at] != 0;
                *place = place_of(&mut order, (end, self.place(self.next[side][at], end)?));
            }
            let feature = trees.feature(self.features[at])?;
            let tracks_true = self.missing.get(at) == Some(&1);
            nodes.push(self.branch(at, feature, tracks_true, sides)?);
        }
        Ok(Tree { nodes, cover: vec![] })
    }

    fn place(&self, at: i64, is_leaf: bool) -> Result<usize> {
        let count = if is_leaf { self.leaves.len() } else { self.modes.len() };
        usize::try_from(at).ok().filter(|at| *at < count).ok_or_else(|| {
            Error::new(Kind::BadModel, format!("TreeEnsemble of the model is broken: it has no node {at}"))
        })
    }

    /// The members of a set as intervals. The runtime compares the members of a small set of small numbers with the
    /// value, those of other sets with its whole part.
    fn set(&self, at: usize) -> Result<Vec<(f64, f64)>> {
        let mut members = self.members[at].clone();
        members.sort_by(f64::total_cmp);
        members.dedup_by(|a, b| a == b);
        let is_small = self.members[at].len() < 31 && members.iter().all(|member| (0.0..=30.0).contains(member));
        if is_small {
            return Ok(members.into_iter().map(|member| (member, member)).collect());
        }
        if members.iter().any(|member| member.fract() != 0.0 || member.abs() >= WHOLE) {
            return Err(refused(self.node, "a set has members that are no whole numbers, or great ones"));
        }
        let below = |number: f64| match self.precision {
            Precision::Single => f64::from((number as f32).next_down()),
            Precision::Double => number.next_down(),
        };
        let with_fractions = |member: f64| {
            let low = if member > 0.0 { member } else { -below(1.0 - member) };
            let high = if member < 0.0 { member } else { below(1.0 + member) };
            (low, high)
        };
        Ok(members.into_iter().map(with_fractions).collect())
    }

    fn branch(&self, at: usize, feature: u32, tracks_true: bool, [yes, no]: [u32; 2]) -> Result<Node> {
        let asked = match self.modes[at] {
            0 => Asked::LessEqual,
            1 => Asked::Less,
            2 => Asked::GreaterEqual,
            3 => Asked::Greater,
            4 => Asked::Equal,
            5 => Asked::NotEqual,
            MEMBER => {
                let test = Test::Member(self.set(at)?);
                return Ok(Node::Branch(Branch { feature, test, missing_yes: tracks_true, yes, no }));
            }
            other => return Err(refused(self.node, &format!("a node has mode {other}"))),
        };
        Ok(asked.branch(feature, self.splits[at], tracks_true, (yes, no)))
    }
}
