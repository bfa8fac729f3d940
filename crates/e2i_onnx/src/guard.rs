//! What a graph may not contain, checked in every nested place before the runtime sees the bytes.
//!
//! The runtime would follow a path in external data and load a shared library for a foreign operator domain; neither
//! may be decided by model bytes. Checked: initializers, sparse ones, tensors and graphs in attributes at any depth,
//! and the bodies of functions. Of numbers that say what a reader must know (IR version, operator sets) only the impossible
//! ones are refused here; which are too new for it the runtime says best.

use std::collections::HashSet;

use e2i_core::{Error, Kind, Result};

use crate::proto::{Attribute, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto};
use crate::trees;

/// Operator domains built into the runtime; `""` is `ai.onnx`.
const DOMAINS: [&str; 5] = ["", "ai.onnx", "ai.onnx.ml", "com.microsoft", "ai.onnx.training"];

/// Versions of an operator set that can be; the runtime keeps them in 32 bits.
const KNOWABLE: std::ops::RangeInclusive<i64> = 1..=i32::MAX as i64;

/// Deepest nesting of subgraphs that is followed.
const MAX_DEPTH: usize = 32;

/// Refuses impossible versions, external data, foreign operators and trees that are none.
pub(crate) fn check(model: &ModelProto) -> Result<()> {
    versions(model)?;
    let own: HashSet<&str> = model.functions.iter().map(|function| function.domain.as_str()).collect();
    let checker = Checker { own: &own };
    if let Some(graph) = &model.graph {
        checker.graph(graph, 0)?;
    }
    for function in &model.functions {
        checker.nodes(&function.nodes, 0)?;
        checker.attributes(&function.attributes, 0)?;
    }
    Ok(())
}

fn versions(model: &ModelProto) -> Result<()> {
    let bad = |message: String| Err(Error::new(Kind::BadModel, message));
    if model.ir_version < 1 {
        return bad(format!("the model states the IR version {}, which does not exist", model.ir_version));
    }
    if let Some(set) = model.opset_import.iter().find(|set| !KNOWABLE.contains(&set.version)) {
        let domain = if set.domain.is_empty() { "ai.onnx" } else { &set.domain };
        return bad(format!(
            "the model states version {} of the operators of {domain:?}, which does not exist",
            set.version
        ));
    }
    Ok(())
}

struct Checker<'a> {
    /// Domains of the model's own functions.
    own: &'a HashSet<&'a str>,
}

impl Checker<'_> {
    fn graph(&self, graph: &GraphProto, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(Error::new(Kind::Limit, format!("the model nests graphs more than {MAX_DEPTH} deep")));
        }
        graph.initializers.iter().try_for_each(check_tensor)?;
        graph.sparse_initializers.iter().try_for_each(check_sparse)?;
        self.nodes(&graph.nodes, depth)
    }

    fn nodes(&self, nodes: &[NodeProto], depth: usize) -> Result<()> {
        for node in nodes {
            let domain = node.domain.as_str();
            if !DOMAINS.contains(&domain) && !self.own.contains(domain) {
                return Err(Error::new(
                    Kind::Unsupported,
                    format!(
                        "the model uses operator {:?} of the domain {domain:?}, which is not built in",
                        node.op_type
                    ),
                )
                .with_hint("Export the model with the operators of ai.onnx and ai.onnx.ml only."));
            }
            trees::check(node)?;
            self.attributes(&node.attributes, depth)?;
        }
        Ok(())
    }

    fn attributes(&self, attributes: &[Attribute], depth: usize) -> Result<()> {
        for attribute in attributes {
            attribute.tensor.iter().chain(&attribute.tensors).try_for_each(check_tensor)?;
            attribute.sparse_tensor.iter().chain(&attribute.sparse_tensors).try_for_each(check_sparse)?;
            for graph in attribute.graph.iter().chain(&attribute.graphs) {
                self.graph(graph, depth + 1)?;
            }
        }
        Ok(())
    }
}

fn check_sparse(tensor: &SparseTensorProto) -> Result<()> {
    tensor.values.iter().chain(&tensor.indices).try_for_each(check_tensor)
}

fn check_tensor(tensor: &TensorProto) -> Result<()> {
    if tensor.data_location == 0 && tensor.external_data.is_empty() {
        return Ok(());
    }
    let place =
        tensor.external_data.iter().find(|entry| entry.key == "location").map_or("", |entry| entry.value.as_str());
    Err(Error::new(
        Kind::Unsupported,
        format!("tensor {:?} of the model keeps its data outside the model, at {place:?}", tensor.name),
    )
    .with_hint("Save the model with its data inside: onnx.save_model(model, path, save_as_external_data=False)."))
}
