//! One tree of an XGBoost document: parallel arrays with one entry a node.
//!
//! Only what the root leads to is kept: pruned nodes stay in the arrays. In a set of categories the listed ones go right,
//! everything else left, and codes below 0 or from 2^24 on are never in a set.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Visitor};

use super::json::Real;
use crate::formats::{stated_cover, whole_numbers};
use crate::native::{Branch, Node, Test, Tree, Weight};

/// Codes from here on are invalid to XGBoost: float32 could not hold each.
const CATEGORIES_END: u32 = 1 << 24;

/// Marks what has not been visited.
const UNSEEN: u32 = u32::MAX;

#[derive(serde::Deserialize)]
pub(super) struct TreeDocument {
    left_children: Vec<i32>,
    right_children: Vec<i32>,
    split_indices: Vec<i64>,
    split_conditions: Vec<Real>,
    default_left: Vec<Flag>,
    #[serde(default)]
    split_type: Vec<i64>,
    #[serde(default)]
    categories: Vec<i64>,
    #[serde(default)]
    categories_nodes: Vec<i64>,
    #[serde(default)]
    categories_segments: Vec<i64>,
    #[serde(default)]
    categories_sizes: Vec<i64>,
    /// The leaves' vectors, where a leaf has several numbers.
    #[serde(default)]
    base_weights: Vec<Real>,
    /// The cover of each node.
    #[serde(default)]
    sum_hessian: Vec<Real>,
    /// Newer versions keep the leaves' vectors here; a leaf's right child says which is its.
    #[serde(default)]
    leaf_weights: Vec<Real>,
    tree_param: TreeParameters,
}

#[derive(serde::Deserialize)]
struct TreeParameters {
    #[serde(default)]
    num_nodes: Option<String>,
    #[serde(default)]
    size_leaf_vector: Option<String>,
}

/// A truth value, written as one or as a number, depending on the version.
struct Flag(bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Flag;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false, 1 or 0")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Flag, E> {
                Ok(Flag(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Flag, E> {
                Ok(Flag(value != 0))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Flag, E> {
                Ok(Flag(value != 0))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// What the model says about the tree.
pub(super) struct Forms {
    /// The target that a leaf with one number adds to.
    pub(super) target: usize,
    /// Numbers a row of the output has.
    pub(super) targets: usize,
    /// Number of features.
    pub(super) width: usize,
    /// DART's weight.
    pub(super) weight: Option<f32>,
}

pub(super) fn read(document: TreeDocument, forms: &Forms) -> Result<Tree, String> {
    let count = document.left_children.len();
    let lengths = [
        document.right_children.len(),
        document.split_indices.len(),
        document.split_conditions.len(),
        document.default_left.len(),
    ];
    let stated = document.tree_param.num_nodes.as_ref().map_or(Ok(count), |text| text.parse());
    if count == 0 || lengths != [count; 4] || stated != Ok(count) {
        return Err("its arrays have different lengths".into());
    }
    if !(document.split_type.is_empty() || document.split_type.len() == count) {
        return Err(format!("{} of {count} nodes have a type", document.split_type.len()));
    }
    let vector = match document.tree_param.size_leaf_vector.as_deref() {
        None | Some("0" | "1") => None,
        Some(size) => Some(
            size.parse::<usize>()
                .ok()
                .filter(|size| *size == forms.targets)
                .ok_or_else(|| format!("its leaves have {size} numbers and the model {} targets", forms.targets))?,
        ),
    };
    let mut sets = document.sets(count)?;
    let mut nodes: Vec<Node> = Vec::with_capacity(count);
    let mut cover = Vec::with_capacity(count);
    let mut seen = vec![false; count];
    // Which node comes next, and where its number has to be noted: a branch's index, and whether it is its right child.
    let mut open = vec![(0_usize, UNSEEN, false)];
    while let Some((at, parent, right)) = open.pop() {
        if std::mem::replace(&mut seen[at], true) {
            return Err(format!("two ways lead to node {at}"));
        }
        let number = u32::try_from(nodes.len()).map_err(|_| "it has too many nodes".to_owned())?;
        if let Some(Node::Branch(branch)) = nodes.get_mut(parent as usize) {
            // The set of a categorical branch holds what goes right.
            let child = if right == matches!(branch.test, Test::Member(_)) { &mut branch.yes } else { &mut branch.no };
            *child = number;
        }
        cover.extend(document.sum_hessian.get(at).map(|Real(sum)| f64::from(*sum)));
        if document.left_children[at] == -1 {
            nodes.push(document.leaf(at, vector, forms)?);
            continue;
        }
        nodes.push(Node::Branch(document.branch(at, &mut sets, forms)?));
        for (child, right) in [(document.right_children[at], true), (document.left_children[at], false)] {
            let child = usize::try_from(child).ok().filter(|child| *child < count);
            open.push((child.ok_or_else(|| format!("node {at} leads to a node that does not exist"))?, number, right));
        }
    }
    Ok(Tree { cover: stated_cover(cover, nodes.len()), nodes })
}

/// The categories of nodes; nodes without a set of their own have `None`.
type Sets = Vec<Option<(usize, usize)>>;

impl TreeDocument {
    fn sets(&self, count: usize) -> Result<Sets, String> {
        if self.categories_nodes.is_empty() {
            return Ok(Sets::new());
        }
        if [self.categories_segments.len(), self.categories_sizes.len()] != [self.categories_nodes.len(); 2] {
            return Err("its categories have different lengths".into());
        }
        let mut sets = vec![None; count];
        // Sets follow each other in the list; were they allowed to overlap, a short file could ask for much memory.
        let mut end = 0;
        for ((node, start), size) in
            self.categories_nodes.iter().zip(&self.categories_segments).zip(&self.categories_sizes)
        {
            let wrong = || format!("the categories of node {node} are out of bounds");
            let set = usize::try_from(*node).ok().and_then(|node| sets.get_mut(node)).ok_or_else(wrong)?;
            let start = usize::try_from(*start).ok().filter(|start| *start >= end).ok_or_else(wrong)?;
            let size = usize::try_from(*size).map_err(|_| wrong())?;
            end = start.checked_add(size).filter(|end| *end <= self.categories.len()).ok_or_else(wrong)?;
            *set = Some((start, end));
        }
        Ok(sets)
    }

    fn branch(&self, at: usize, sets: &mut Sets, forms: &Forms) -> Result<Branch, String> {
        let feature = u32::try_from(self.split_indices[at])
            .ok()
            .filter(|feature| (*feature as usize) < forms.width)
            .ok_or_else(|| format!("node {at} reads feature {} of {}", self.split_indices[at], forms.width))?;
        let goes_left = self.default_left[at].0;
        match self.split_type.get(at).copied().unwrap_or(0) {
            0 => {
                let Real(threshold) = self.split_conditions[at];
                if threshold.is_nan() {
                    return Err(format!("node {at} compares with NaN"));
                }
                let test = Test::Less(f64::from(threshold));
                Ok(Branch { feature, test, missing_yes: goes_left, yes: UNSEEN, no: UNSEEN })
            }
            1 => {
                let (start, end) =
                    sets.get_mut(at).and_then(Option::take).ok_or_else(|| format!("node {at} has no categories"))?;
                let test = Test::Member(intervals(&self.categories[start..end])?);
                Ok(Branch { feature, test, missing_yes: !goes_left, yes: UNSEEN, no: UNSEEN })
            }
            other => Err(format!("node {at} is of type {other}")),
        }
    }

    fn leaf(&self, at: usize, vector: Option<usize>, forms: &Forms) -> Result<Node, String> {
        let weighted = |Real(value): Real| f64::from(forms.weight.map_or(value, |weight| value * weight));
        // Targets are at most a few thousand, see `Forms`.
        let weight = |(target, value): (usize, Real)| Weight { target: target as u32, value: weighted(value) };
        let Some(size) = vector else { return Ok(Node::Leaf(vec![weight((forms.target, self.split_conditions[at]))])) };
        let (list, index) = if self.leaf_weights.is_empty() {
            (&self.base_weights, Some(at))
        } else {
            (&self.leaf_weights, usize::try_from(self.right_children[at]).ok())
        };
        let start = index.and_then(|index| index.checked_mul(size));
        let numbers = start.and_then(|start| list.get(start..start.checked_add(size)?));
        let numbers = numbers.ok_or_else(|| format!("leaf {at} has not one number a target"))?;
        Ok(Node::Leaf(numbers.iter().copied().enumerate().map(weight).collect()))
    }
}

fn intervals(categories: &[i64]) -> Result<Vec<(f64, f64)>, String> {
    let mut codes = categories
        .iter()
        .map(|code| u32::try_from(*code).map_err(|_| format!("{code} is no category")))
        .collect::<Result<Vec<u32>, String>>()?;
    codes.sort_unstable();
    codes.dedup();
    let reachable = codes.into_iter().filter(|code| *code < CATEGORIES_END);
    Ok(whole_numbers(reachable, |number| f64::from((number as f32).next_down())))
}
