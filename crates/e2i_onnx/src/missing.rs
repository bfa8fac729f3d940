//! Which features may be missing: where can a NaN flow without silently becoming a wrong number?
//!
//! A feature takes missing values when every operator that its value can reach either handles NaN on purpose (a tree
//! ensemble with missing-value directions, an imputer, an IsNaN test) or merely passes it on. Anything else, a linear
//! layer for instance, would answer NaN or, worse, a number. A text feature takes missing values, as empty text, when all
//! that reads it is a one-hot encoder to which an unknown category is no category.

//!
//! Graphs are not trusted to be small or to be trees: what lies behind a tensor is found out once for all inputs, without
//! recursion. Only where columns still are an input's own, in order, are features told apart.

use std::collections::HashSet;

use crate::graph::{Model, attribute, constant_as_indexes, constant_length};
use crate::proto::NodeProto;

/// Operators after which a NaN is still a NaN in the same or another place.
const PASSING: [&str; 17] = [
    "Identity",
    "Cast",
    "Concat",
    "FeatureVectorizer",
    "Reshape",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Transpose",
    "Slice",
    "Split",
    "Scaler",
    "Add",
    "Sub",
    "Mul",
    "Div",
    "CastLike",
];

/// Most columns that selections are followed to one by one, for all inputs together; a selection beyond that is taken to
/// keep all of its columns.
const MAX_PICKED: usize = 1 << 22;

/// What a missing value meets on its ways through a graph.
#[derive(Debug, Clone, Copy, Default)]
struct Met {
    /// Something that handles it.
    handled: bool,
    /// Something that would answer a wrong number.
    refused: bool,
}

impl Met {
    const HANDLED: Self = Self { handled: true, refused: false };
    const REFUSED: Self = Self { handled: false, refused: true };

    fn and(self, other: Self) -> Self {
        Self { handled: self.handled || other.handled, refused: self.refused || other.refused }
    }
}

/// Answers for the inputs of one graph.
pub(crate) struct Missing<'m> {
    model: &'m Model,
    /// What a value meets that enters a node as its data.
    met: Vec<Met>,
    picked_left: usize,
}

impl<'m> Missing<'m> {
    pub(crate) fn new(model: &'m Model) -> Self {
        let nodes = &model.graph().nodes;
        let mut missing = Self { model, met: vec![Met::REFUSED; nodes.len()], picked_left: MAX_PICKED };
        // A graph's nodes come after those whose outputs they read; one that does not would be refused here.
        for (index, node) in nodes.iter().enumerate().rev() {
            missing.met[index] = if PASSING.contains(&node.op_type.as_str()) || is_selection(node) {
                node.outputs.iter().fold(Met::default(), |met, output| met.and(missing.reading(output)))
            } else if handles_missing(model, node) {
                Met::HANDLED
            } else {
                Met::REFUSED
            };
        }
        missing
    }

    /// For each of `width` positions of an input tensor, whether a missing value may be given.
    pub(crate) fn takes_missing(&mut self, input: &str, width: usize) -> Vec<bool> {
        let mut met = vec![Met::default(); width];
        let mut seen = HashSet::new();
        // Tensors whose columns are some of the input's in order, and those columns.
        let mut open: Vec<(&str, Vec<usize>)> = vec![(input, (0..width).collect())];
        while let Some((tensor, positions)) = open.pop() {
            let (mut behind, picks) = self.same_columns(tensor, &mut seen);
            for node in picks {
                let Some(output) = node.outputs.first() else { continue };
                match self.picked(node, &positions) {
                    Some(picked) => open.push((output, picked)),
                    None => behind = behind.and(self.reading(output)),
                }
            }
            positions.iter().for_each(|&position| met[position] = met[position].and(behind));
        }
        met.iter().map(|met| met.handled && !met.refused).collect()
    }

    /// What a value of `tensor` meets, but for selections among its columns, or those of tensors with the same columns; and
    /// these selections.
    fn same_columns(&self, tensor: &str, seen: &mut HashSet<usize>) -> (Met, Vec<&'m NodeProto>) {
        let (mut met, mut picks) = (Met::default(), vec![]);
        let mut open = vec![tensor];
        while let Some(tensor) = open.pop() {
            for &index in self.model.reading(tensor) {
                let Some(node) = self.model.graph().nodes.get(index) else { continue };
                if is_selection(node) && is_data(node, tensor) {
                    if seen.insert(index) {
                        picks.push(node);
                    }
                } else if matches!(node.op_type.as_str(), "Identity" | "Cast" | "Scaler") {
                    if seen.insert(index) {
                        open.extend(node.outputs.iter().map(String::as_str));
                    }
                } else {
                    met = met.and(self.entering(index, tensor));
                }
            }
        }
        (met, picks)
    }

    /// The features that a selection by constant indexes keeps; `None` where that cannot be told.
    fn picked(&mut self, node: &NodeProto, positions: &[usize]) -> Option<Vec<usize>> {
        let indexes = self.model.constant(node.inputs.get(1)?)?;
        self.picked_left = self.picked_left.checked_sub(constant_length(indexes))?;
        Some(constant_as_indexes(indexes)?.into_iter().filter_map(|index| positions.get(index).copied()).collect())
    }

    /// What a value of a tensor meets.
    fn reading(&self, tensor: &str) -> Met {
        let readers = self.model.reading(tensor).iter();
        readers.fold(Met::default(), |met, index| met.and(self.entering(*index, tensor)))
    }

    fn entering(&self, index: usize, tensor: &str) -> Met {
        match self.model.graph().nodes.get(index) {
            Some(node) if is_selection(node) && !is_data(node, tensor) => Met::REFUSED,
            _ => self.met.get(index).copied().unwrap_or(Met::REFUSED),
        }
    }
}

/// Whether a node takes columns of its first input.
fn is_selection(node: &NodeProto) -> bool {
    matches!(node.op_type.as_str(), "ArrayFeatureExtractor" | "Gather")
}

fn is_data(node: &NodeProto, tensor: &str) -> bool {
    node.inputs.first().is_some_and(|data| data == tensor)
}

fn handles_missing(model: &Model, node: &NodeProto) -> bool {
    match node.op_type.as_str() {
        "Imputer" | "IsNaN" => true,
        // The attribute's default is 1: an unknown category becomes zeros instead of an error.
        "OneHotEncoder" => {
            attribute(node, "cats_strings").is_some() && attribute(node, "zeros").is_none_or(|zeros| zeros.int != 0)
        }
        // CatBoost splits by "greater than", which is false for NaN just as for its own smallest value.
        operator if operator.starts_with("TreeEnsemble") => {
            model.producer() == "CatBoost"
                || attribute(node, "nodes_missing_value_tracks_true")
                    .is_some_and(|tracks| tracks.ints.iter().any(|flag| *flag != 0))
        }
        _ => false,
    }
}
