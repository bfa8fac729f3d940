//! Nodes that make the answer to a row something else than that row's alone, or another one each time, whatever samples say.

use e2i_core::{Interface, Rows};

use crate::graph::{Model, attribute};
use crate::proto::{GraphProto, NodeProto, TensorProto, data_type};

/// Operators that draw random numbers anew at each call.
const RANDOM: [&str; 7] =
    ["RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli", "Sampling"];

/// Operators that round by the range of all that a call gives them.
const ROUNDED_BY_CALL: [&str; 3] = ["DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM"];

impl Model {
    /// The first node, at any depth, for which the answer to a row is not that row's alone or not always the same, in words.
    /// `interface` is that of the version.
    #[must_use]
    pub fn suspect(&self, interface: &Interface) -> Option<String> {
        // A call of one row has no neighbours.
        let alone = interface.inputs.iter().any(|input| matches!(input.rows, Rows::Single | Rows::Fixed(1)));
        let look = Look { model: self, alone };
        let bodies = || self.functions().find_map(|function| look.nodes(&function.nodes, self.graph()));
        look.nodes(&self.graph().nodes, self.graph()).or_else(bodies)
    }
}

struct Look<'m> {
    model: &'m Model,
    alone: bool,
}

impl Look<'_> {
    /// Nested no deeper than what the guard let through.
    fn nodes(&self, nodes: &[NodeProto], of: &GraphProto) -> Option<String> {
        nodes.iter().find_map(|node| {
            if let Some(fault) = self.fault(node, of) {
                let name = if node.name.is_empty() { node.outputs.first()? } else { &node.name };
                return Some(format!("node {name:?} ({}) {fault}", node.op_type));
            }
            let mut nested =
                node.attributes.iter().flat_map(|attribute| attribute.graph.iter().chain(&attribute.graphs));
            nested.find_map(|graph| self.nodes(&graph.nodes, graph))
        })
    }

    fn fault(&self, node: &NodeProto, of: &GraphProto) -> Option<&'static str> {
        let operator = node.op_type.as_str();
        match operator {
            _ if RANDOM.contains(&operator) => Some("draws random numbers"),
            _ if ROUNDED_BY_CALL.contains(&operator) && !self.alone => {
                Some("rounds by the range of all rows of a call")
            }
            "BatchNormalization" if attribute(node, "training_mode").is_some_and(|mode| mode.int != 0) => {
                Some("is in training mode")
            }
            // What is not known now may say training.
            "Dropout" => {
                let mode = node.inputs.get(2).filter(|name| !name.is_empty())?;
                self.flag(mode, of).unwrap_or(true).then_some("is in training mode")
            }
            _ => None,
        }
    }

    /// A constant of the graph that a node is in, or of the outermost.
    fn flag(&self, name: &str, of: &GraphProto) -> Option<bool> {
        let initializer = of.initializers.iter().find(|tensor| tensor.name == name);
        let written = || {
            let node =
                of.nodes.iter().find(|node| node.op_type == "Constant" && node.outputs.iter().any(|o| o == name))?;
            attribute(node, "value")?.tensor.as_ref()
        };
        let tensor: &TensorProto = initializer.or_else(written).or_else(|| self.model.constant(name))?;
        if tensor.data_type != data_type::BOOL {
            return None;
        }
        let packed = tensor.raw_data.first().map(|byte| *byte != 0);
        packed.or_else(|| tensor.int32_data.first().map(|number| *number != 0))
    }
}
