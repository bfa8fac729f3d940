//! Class labels, read off the graph.

use std::collections::{HashSet, VecDeque};

use crate::graph::{Model, attribute, constant_as_labels};
use crate::proto::NodeProto;

/// How many nodes are looked at, nearest first.
const MAX_NODES: usize = 256;

/// The labels that the node nearest before `output` knows: a classifier's or ZipMap's attribute, or the constant from
/// which an index picks the label (how skl2onnx writes networks and naive Bayes).
pub(crate) fn nearest(model: &Model, output: &str) -> Option<Vec<String>> {
    let mut queue = VecDeque::from([output.to_owned()]);
    let mut seen = HashSet::new();
    while let Some(tensor) = queue.pop_front() {
        if !seen.insert(tensor.clone()) || seen.len() > MAX_NODES {
            continue;
        }
        let Some(node) = model.producer_of(&tensor) else { continue };
        if let Some(labels) = from_attributes(node).or_else(|| picked_from(model, node)) {
            return Some(labels);
        }
        queue.extend(node.inputs.iter().filter(|input| !input.is_empty()).cloned());
    }
    None
}

/// Labels in a node's own attributes.
pub(crate) fn from_attributes(node: &NodeProto) -> Option<Vec<String>> {
    ["classlabels_int64s", "classlabels_ints"]
        .iter()
        .filter_map(|name| attribute(node, name))
        .find(|labels| !labels.ints.is_empty())
        .map(|labels| labels.ints.iter().map(ToString::to_string).collect())
        .or_else(|| {
            attribute(node, "classlabels_strings")
                .filter(|labels| !labels.strings.is_empty())
                .map(|labels| labels.strings.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect())
        })
}

fn picked_from(model: &Model, node: &NodeProto) -> Option<Vec<String>> {
    if !matches!(node.op_type.as_str(), "ArrayFeatureExtractor" | "Gather") {
        return None;
    }
    let labels = constant_as_labels(model.constant(node.inputs.first()?)?)?;
    (labels.len() > 1).then_some(labels)
}
