//! What the operators before a classifier's numbers say they are: probabilities, margins, or nothing.
//!
//! What rows say is `e2i_core::class_scores`'s business.

use std::collections::HashMap;

use e2i_core::Interface;
use e2i_core::class_scores::Built;

use crate::graph::{Model, attribute};
use crate::native::attributes::{floats, ints, strings, text};
use crate::proto::NodeProto;

/// Nodes that are looked at, at most.
const NODES: usize = 64;

/// How far sums of leaves may be from 1: float32 rounds each of them.
const NEAR: f64 = 1e-3;

/// What the operators of a graph say of the numbers that are read as a classifier's.
#[must_use]
pub fn built(model: &Model, interface: &Interface) -> Built {
    let Some(main) = interface.main_output() else { return Built::Unknown };
    let tensors = match (main.columns.as_slice(), main.widened) {
        ([], true) => vec![main.name.clone()],
        ([], false) => vec![main.tensor.clone()],
        (columns, _) => columns.to_vec(),
    };
    before(model, tensors)
}

fn before(model: &Model, tensors: Vec<String>) -> Built {
    let mut open = tensors;
    let mut found = Built::Unknown;
    for _ in 0..NODES {
        let Some(tensor) = open.pop() else { break };
        let Some(node) = model.producer_of(&tensor) else { continue };
        match said(model, node) {
            Said::Nothing => {}
            Said::Of(built) => {
                found = match (found, built) {
                    (Built::Margins, _) | (_, Built::Margins) => Built::Margins,
                    (Built::Unbounded, _) | (_, Built::Unbounded) => Built::Unbounded,
                    (_, other) => other,
                };
            }
            Said::Before(inputs) => open.extend(inputs),
        }
    }
    found
}

/// What one node says.
enum Said {
    Nothing,
    Of(Built),
    /// What is before it: it moves numbers, or scales and shifts them.
    Before(Vec<String>),
}

fn said(model: &Model, node: &NodeProto) -> Said {
    let first = || Said::Before(node.inputs.first().cloned().into_iter().collect());
    match node.op_type.as_str() {
        "Identity"
        | "Cast"
        | "Reshape"
        | "Squeeze"
        | "Unsqueeze"
        | "Flatten"
        | "Transpose"
        | "Slice"
        | "Split"
        | "ArrayFeatureExtractor"
        | "Gather"
        | "ZipMap"
        | "Neg"
        | "Dropout" => first(),
        "Concat" => Said::Before(node.inputs.clone()),
        "Add" | "Sub" | "Mul" | "Div" => {
            let varying: Vec<String> =
                node.inputs.iter().filter(|input| model.constant(input).is_none()).cloned().collect();
            if varying.len() == 1 { Said::Before(varying) } else { Said::Nothing }
        }
        "Softmax" | "Sigmoid" => Said::Of(Built::Probabilities),
        "MatMul" | "Gemm" | "Conv" | "LinearRegressor" | "SVMRegressor" | "LogSoftmax" => Said::Of(Built::Unbounded),
        "LinearClassifier" => transformed(node).map_or(Said::Of(Built::Margins), Said::Of),
        "SVMClassifier" if floats(node, "prob_a").is_empty() => {
            transformed(node).map_or(Said::Of(Built::Margins), Said::Of)
        }
        "TreeEnsembleClassifier" => Said::Of(transformed(node).unwrap_or_else(|| leaves(node))),
        _ => Said::Nothing,
    }
}

/// What a `post_transform` makes; `None` where there is none.
fn transformed(node: &NodeProto) -> Option<Built> {
    match text(node, "post_transform", "NONE") {
        Ok("NONE") => None,
        Ok("LOGISTIC" | "SOFTMAX" | "SOFTMAX_ZERO") => Some(Built::Probabilities),
        _ => Some(Built::Unknown),
    }
}

/// What the leaves of a tree classifier without a transform are: shares of the classes, or terms of a margin.
fn leaves(node: &NodeProto) -> Built {
    let weights = floats(node, "class_weights");
    let (trees, nodes, classes) = (ints(node, "class_treeids"), ints(node, "class_nodeids"), ints(node, "class_ids"));
    if weights.is_empty() || [trees.len(), nodes.len(), classes.len()] != [weights.len(); 3] {
        return Built::Unknown;
    }
    if weights.iter().any(|weight| *weight < 0.0) {
        return Built::Margins;
    }
    if attribute(node, "base_values").is_some() || !matches!(text(node, "aggregate_function", "SUM"), Ok("SUM")) {
        return Built::Unknown;
    }
    let mut sums: HashMap<(i64, i64), f64> = HashMap::new();
    for ((tree, leaf), weight) in trees.iter().zip(nodes).zip(weights) {
        *sums.entry((*tree, *leaf)).or_default() += f64::from(*weight);
    }
    let mut bounds: HashMap<i64, (f64, f64)> = HashMap::new();
    for ((tree, _), sum) in sums {
        let (least, most) = bounds.entry(tree).or_insert((sum, sum));
        (*least, *most) = (least.min(sum), most.max(sum));
    }
    let (least, most) = bounds.values().fold((0.0, 0.0), |(least, most), tree| (least + tree.0, most + tree.1));
    // Weights of class 0 alone are those of the second of two classes (ONNX Runtime).
    let of_one = classes.iter().all(|class| *class == 0) && label_count(node) == 2;
    let is_share = most <= 1.0 + NEAR && (of_one || least >= 1.0 - NEAR);
    if is_share { Built::Probabilities } else { Built::Unbounded }
}

fn label_count(node: &NodeProto) -> usize {
    ints(node, "classlabels_int64s").len().max(strings(node, "classlabels_strings").len())
}
