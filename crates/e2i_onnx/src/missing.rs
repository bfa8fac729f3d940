//! Which features may be missing: where can a NaN flow without silently becoming a wrong number?
//!
//! A feature takes missing values when every operator that its value can reach either handles NaN on purpose (a tree
//! ensemble with missing-value directions, an imputer, an IsNaN test) or merely passes it on. Anything else, a linear
//! layer for instance, would answer NaN or, worse, a number. A text feature takes missing values, as empty text, when all
//! that reads it is a one-hot encoder to which an unknown category is no category.

use std::collections::HashSet;

use crate::graph::{Model, attribute, constant_as_indexes};
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

/// For each of `width` positions of an input tensor, whether a missing value may be given.
pub(crate) fn takes_missing(model: &Model, input: &str, width: usize) -> Vec<bool> {
    let mut walk = Walk { model, refused: vec![false; width], reached: vec![false; width], seen: HashSet::new() };
    walk.visit(input, &(0..width).collect::<Vec<_>>(), true);
    walk.reached.iter().zip(&walk.refused).map(|(reached, refused)| *reached && !refused).collect()
}

struct Walk<'m> {
    model: &'m Model,
    refused: Vec<bool>,
    reached: Vec<bool>,
    seen: HashSet<(String, Vec<usize>)>,
}

impl Walk<'_> {
    /// Follows the features `positions` that `tensor` carries; `ordered` while its columns are exactly those, in order.
    fn visit(&mut self, tensor: &str, positions: &[usize], ordered: bool) {
        if !self.seen.insert((tensor.to_owned(), positions.to_vec())) {
            return;
        }
        let nodes: Vec<&NodeProto> = self.model.consumers_of(tensor).collect();
        for node in nodes {
            let operator = node.op_type.as_str();
            if matches!(operator, "ArrayFeatureExtractor" | "Gather")
                && node.inputs.first().is_some_and(|data| data == tensor)
            {
                let picked = self.picked(node, positions, ordered);
                self.follow(node, &picked, ordered);
            } else if PASSING.contains(&operator) {
                let keeps_order = ordered && matches!(operator, "Identity" | "Cast" | "Scaler");
                self.follow(node, positions, keeps_order);
            } else if self.handles_missing(node) {
                positions.iter().for_each(|&position| self.reached[position] = true);
            } else {
                positions.iter().for_each(|&position| self.refused[position] = true);
            }
        }
    }

    fn follow(&mut self, node: &NodeProto, positions: &[usize], ordered: bool) {
        for output in &node.outputs {
            self.visit(output, positions, ordered);
        }
    }

    /// The features that a selection by constant indexes keeps; all of them where that cannot be told.
    fn picked(&self, node: &NodeProto, positions: &[usize], ordered: bool) -> Vec<usize> {
        let indexes = node.inputs.get(1).and_then(|name| self.model.constant(name)).and_then(constant_as_indexes);
        match indexes {
            Some(indexes) if ordered => indexes.iter().filter_map(|index| positions.get(*index).copied()).collect(),
            _ => positions.to_vec(),
        }
    }

    fn handles_missing(&self, node: &NodeProto) -> bool {
        match node.op_type.as_str() {
            "Imputer" | "IsNaN" => true,
            // The attribute's default is 1: an unknown category becomes zeros instead of an error.
            "OneHotEncoder" => {
                attribute(node, "cats_strings").is_some() && attribute(node, "zeros").is_none_or(|zeros| zeros.int != 0)
            }
            // CatBoost splits by "greater than", which is false for NaN just as for its own smallest value.
            operator if operator.starts_with("TreeEnsemble") => {
                self.model.producer() == "CatBoost"
                    || attribute(node, "nodes_missing_value_tracks_true")
                        .is_some_and(|tracks| tracks.ints.iter().any(|flag| *flag != 0))
            }
            _ => false,
        }
    }
}
