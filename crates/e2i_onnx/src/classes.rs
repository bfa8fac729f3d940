//! Class labels, read off the graph.

use std::collections::{HashSet, VecDeque};

use e2i_core::{Error, Kind, Result};

use crate::graph::{Model, attribute, constant_as_labels};
use crate::native::attributes::{ints, strings};
use crate::proto::NodeProto;

/// How many nodes are looked at, nearest first.
const MAX_NODES: usize = 256;

/// The labels that the node nearest before `output` knows: a classifier's or ZipMap's attribute, or the constant from
/// which an index picks the label (how skl2onnx writes networks and naive Bayes). And whether an `ArgMax` lies between: what
/// that gives is the place of a number, and the labels may be those of one estimator among several that vote.
///
/// # Errors
/// [`Kind::BadModel`] for a label that is no text.
pub(crate) fn nearest(model: &Model, output: &str) -> Result<Option<(Vec<String>, bool)>> {
    let mut queue = VecDeque::from([(output.to_owned(), false)]);
    let mut seen = HashSet::new();
    while let Some((tensor, place)) = queue.pop_front() {
        if !seen.insert(tensor.clone()) || seen.len() > MAX_NODES {
            continue;
        }
        let Some(node) = model.producer_of(&tensor) else { continue };
        let labels = match from_attributes(node)? {
            None => picked_from(model, node)?,
            labels => labels,
        };
        if let Some(labels) = labels {
            return Ok(Some((labels, place)));
        }
        let place = place || node.op_type == "ArgMax";
        queue.extend(node.inputs.iter().filter(|input| !input.is_empty()).map(|input| (input.clone(), place)));
    }
    Ok(None)
}

/// Labels in a node's own attributes.
///
/// # Errors
/// As [`nearest`].
pub(crate) fn from_attributes(node: &NodeProto) -> Result<Option<Vec<String>>> {
    let whole = ["classlabels_int64s", "classlabels_ints"]
        .iter()
        .filter_map(|name| attribute(node, name))
        .find(|labels| !labels.ints.is_empty())
        .map(|labels| labels.ints.iter().map(ToString::to_string).collect());
    match (whole, attribute(node, "classlabels_strings").filter(|labels| !labels.strings.is_empty())) {
        (None, Some(labels)) => labels.strings.iter().map(|label| text(label)).collect::<Result<_>>().map(Some),
        (whole, _) => Ok(whole),
    }
}

fn picked_from(model: &Model, node: &NodeProto) -> Result<Option<Vec<String>>> {
    if !matches!(node.op_type.as_str(), "ArrayFeatureExtractor" | "Gather") {
        return Ok(None);
    }
    let Some(tensor) = node.inputs.first().and_then(|list| model.constant(list)) else { return Ok(None) };
    for label in &tensor.string_data {
        text(label)?;
    }
    Ok(constant_as_labels(tensor).filter(|labels| labels.len() > 1))
}

fn text(label: &[u8]) -> Result<String> {
    match std::str::from_utf8(label) {
        Ok(label) => Ok(label.to_owned()),
        Err(_) => {
            let shown = label.escape_ascii();
            Err(Error::new(Kind::BadModel, format!("the class label \"{shown}\" of the model is no UTF-8 text"))
                .with_hint("Train it with labels in UTF-8, or with numbers and class_labels => ARRAY['…', '…']."))
        }
    }
}

/// The trees before a label that ONNX Runtime does not tell from their numbers: of two classes that trees add to both it
/// writes 0 and 1 whatever the classes are, and the second wherever its sum is positive. `None` for other labels.
pub(crate) fn untrue_on_runtime<'m>(model: &'m Model, output: &str) -> Option<&'m NodeProto> {
    const STEPS: usize = 8;
    let mut node = model.producer_of(output)?;
    for _ in 0..STEPS {
        match node.op_type.as_str() {
            "Identity" | "Cast" | "Reshape" | "Squeeze" | "Unsqueeze" | "Flatten" => {}
            "TreeEnsembleClassifier" => {
                let labels = ints(node, "classlabels_int64s").len().max(strings(node, "classlabels_strings").len());
                let ids = ints(node, "class_ids");
                return Some(node).filter(|_| labels == 2 && ids.iter().any(|id| *id != ids[0]));
            }
            _ => return None,
        }
        node = model.producer_of(node.inputs.first()?)?;
    }
    None
}
