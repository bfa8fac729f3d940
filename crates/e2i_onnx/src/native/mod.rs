//! Reads what the nodes of a graph compute into the native engine's data.
//!
//! A node that is not understood in full, with the runtime's bits, is refused with the reason; nothing here guesses.

pub(crate) mod attributes;
#[cfg(test)]
mod tests;
mod tree_ensemble;
pub(crate) mod trees;

use e2i_core::{Error, Kind, Result};

use crate::graph::Model;
use crate::graph::{axes, element_type, tensor_type};

pub use trees::TreeOperator;

/// The trees of a graph whose tree operator reads the graph's only input, a matrix of known width.
///
/// # Errors
/// [`Kind::Unsupported`] for any other graph, or with the reason why the runtime must score the trees.
pub fn trees_of(model: &Model) -> Result<TreeOperator> {
    let other = || Error::new(Kind::Unsupported, "the graph does not give its input to trees at once");
    let node = model.graph().nodes.iter().find(|node| node.op_type.starts_with("TreeEnsemble")).ok_or_else(other)?;
    let name = node.inputs.first().ok_or_else(other)?;
    let input = model.inputs().find(|input| input.name == *name).ok_or_else(other)?;
    let tensor = tensor_type(input).ok_or_else(other)?;
    let element = element_type(tensor.element).ok_or_else(other)?;
    let width = axes(tensor).and_then(|axes| axes.get(1).copied().flatten()).ok_or_else(other)?;
    trees::read(node, element, width)
}
