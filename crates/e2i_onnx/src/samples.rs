//! A row that a graph can score: categories that it knows, where it names them.

use std::collections::HashMap;

use e2i_core::{Batch, Column, Interface};

use crate::graph::{Model, attribute};
use crate::proto::NodeProto;

/// How far to look behind operators that pass a category on.
const MAX_STEPS: usize = 8;

/// Encoders behind tensors.
type Known<'m> = HashMap<(&'m str, usize), Option<&'m NodeProto>>;

impl Model {
    /// Fills `batch` with samples: for text and integers the first category that an operator behind the input names, zeros
    /// elsewhere. `interface` must be that of this graph.
    pub fn fill_samples<'m>(&'m self, interface: &'m Interface, batch: &mut Batch) {
        let mut known = HashMap::new();
        for (input, tensor) in interface.inputs.iter().zip(batch.tensors_mut()) {
            let Some(node) = self.category_reader(&input.name, MAX_STEPS, &mut known) else { continue };
            match &mut tensor.values {
                Column::Text(cells) => {
                    if let Some(text) = first_text(node) {
                        cells.fill(text);
                    }
                }
                Column::Int64(cells) => {
                    if let Some(number) = first_integer(node) {
                        cells.fill(number);
                    }
                }
                _ => {}
            }
        }
    }

    /// The encoder that a category reaches first. `known` keeps what was found behind a tensor, looking so many steps far:
    /// inputs may share what is behind them.
    fn category_reader<'m>(&'m self, tensor: &'m str, steps: usize, known: &mut Known<'m>) -> Option<&'m NodeProto> {
        let steps = steps.checked_sub(1)?;
        if let Some(found) = known.get(&(tensor, steps)) {
            return *found;
        }
        let found = self.consumers_of(tensor).find_map(|node| match node.op_type.as_str() {
            "OneHotEncoder" | "LabelEncoder" | "CategoryMapper" => Some(node),
            "Identity"
            | "Concat"
            | "Reshape"
            | "Squeeze"
            | "Unsqueeze"
            | "ArrayFeatureExtractor"
            | "Gather"
            | "Cast" => node.outputs.first().and_then(|output| self.category_reader(output, steps, known)),
            _ => None,
        });
        known.insert((tensor, steps), found);
        found
    }
}

fn first_text(node: &NodeProto) -> Option<String> {
    ["cats_strings", "keys_strings", "classes_strings"]
        .iter()
        .find_map(|name| attribute(node, name)?.strings.first())
        .map(|text| String::from_utf8_lossy(text).into_owned())
}

fn first_integer(node: &NodeProto) -> Option<i64> {
    ["cats_int64s", "keys_int64s"].iter().find_map(|name| attribute(node, name)?.ints.first().copied())
}
