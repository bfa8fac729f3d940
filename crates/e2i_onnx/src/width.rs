//! How many columns a matrix input has when the graph does not say: read off the first operator that must know.

use std::collections::HashMap;

use crate::graph::{Model, attribute};
use crate::proto::NodeProto;

/// How far to look behind operators that keep the number of columns.
const MAX_STEPS: usize = 16;

/// Answers for the inputs of one graph, which may share what is behind them.
pub(crate) struct Widths<'m> {
    model: &'m Model,
    /// What was found behind a tensor, looking so many steps far.
    known: HashMap<(&'m str, usize), Option<usize>>,
}

impl<'m> Widths<'m> {
    pub(crate) fn new(model: &'m Model) -> Self {
        Self { model, known: HashMap::new() }
    }

    /// The width of `input`, if some operator behind it fixes it.
    pub(crate) fn infer(&mut self, input: &'m str) -> Option<usize> {
        self.look_behind(input, MAX_STEPS)
    }

    fn look_behind(&mut self, tensor: &'m str, steps: usize) -> Option<usize> {
        let steps = steps.checked_sub(1)?;
        if let Some(known) = self.known.get(&(tensor, steps)) {
            return *known;
        }
        let model = self.model;
        let found = model.consumers_of(tensor).find_map(|node| {
            width_of(model, node, tensor).or_else(|| {
                matches!(
                    node.op_type.as_str(),
                    "Cast" | "Identity" | "Scaler" | "Normalizer" | "Imputer" | "Sub" | "Div" | "Mul" | "Add"
                )
                .then(|| node.outputs.first())
                .flatten()
                .and_then(|output| self.look_behind(output, steps))
            })
        });
        self.known.insert((tensor, steps), found);
        found
    }
}

/// The least width that `input` must have: one more than the largest feature index a tree ensemble reads from it.
pub(crate) fn at_least(model: &Model, input: &str) -> usize {
    model
        .consumers_of(input)
        .filter(|node| node.inputs.first().is_some_and(|first| first == input))
        .filter_map(|node| attribute(node, "nodes_featureids"))
        .flat_map(|ids| ids.ints.iter())
        .filter_map(|id| usize::try_from(*id).ok())
        .max()
        .map_or(0, |largest| largest.saturating_add(1))
}

fn width_of(model: &Model, node: &NodeProto, tensor: &str) -> Option<usize> {
    let count = |name: &str| attribute(node, name).map(|a| a.floats.len()).filter(|len| *len > 1);
    let other = node.inputs.iter().find(|input| *input != tensor);
    let other_dims = || other.and_then(|name| model.constant(name)).map(|constant| constant.dims.as_slice());
    let size = |dim: Option<&i64>| dim.and_then(|dim| usize::try_from(*dim).ok()).filter(|dim| *dim > 1);
    match node.op_type.as_str() {
        "Scaler" => count("offset").or_else(|| count("scale")),
        "Imputer" => count("imputed_value_floats"),
        "LinearRegressor" => divided(count("coefficients")?, attribute(node, "targets").map_or(1, |a| a.int)),
        "LinearClassifier" => {
            divided(count("coefficients")?, attribute(node, "intercepts").map_or(1, |a| a.floats.len() as i64))
        }
        "MatMul" => size(other_dims()?.first()),
        "Gemm" => {
            let transposed = attribute(node, "transB").is_some_and(|a| a.int != 0);
            size(other_dims()?.get(usize::from(transposed)))
        }
        "Sub" | "Div" | "Mul" | "Add" => size(other_dims()?.last()),
        _ => None,
    }
}

fn divided(total: usize, by: i64) -> Option<usize> {
    let by = usize::try_from(by).ok().filter(|by| *by > 0)?;
    total.is_multiple_of(by).then_some(total / by)
}
