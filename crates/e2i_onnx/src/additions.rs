//! What is added to a graph before it is loaded, so that an output can be read: outputs for tensors inside it, numbers of
//! one class each put side by side, types widened to one that is read, and a version of operators that find NaN.
//!
//! Nothing of the original is decoded or changed: protobuf merges repeated messages, so two graphs written one after the
//! other are one graph.

use std::borrow::Cow;

use e2i_core::{ElementType, Interface, OutputTensor};
use prost::Message;

use crate::proto::{
    Attribute, GraphProto, ModelProto, NodeProto, OperatorSet, TensorProto, TensorType, TypeProto, TypeValue,
    ValueInfo, data_type,
};

/// `AttributeProto.INT`.
const INT: i32 = 2;

/// The constant that makes a column of a list: any number of rows, one cell each.
const COLUMN: &str = "e2i_serve/column";

/// The name of a tensor that is added for the output of that name.
pub(crate) fn tensor_name(output: &str) -> String {
    format!("e2i_serve/{output}")
}

/// Whether nodes are added, and not only outputs.
pub(crate) fn has_nodes(interface: &Interface) -> bool {
    interface.outputs.iter().any(|output| output.widened || !output.columns.is_empty())
}

/// The model with all that its interface needs besides what it has.
pub(crate) fn extended<'b>(model: Cow<'b, [u8]>, interface: &Interface) -> Cow<'b, [u8]> {
    let mut graph = GraphProto::default();
    for output in interface.outputs.iter().filter(|output| output.tensor != output.name) {
        add(&mut graph, output);
    }
    if graph.outputs.is_empty() {
        return model;
    }
    let addition = ModelProto { graph: Some(graph), ..ModelProto::default() };
    let mut bytes = Vec::with_capacity(model.len() + addition.encoded_len());
    bytes.extend_from_slice(&model);
    bytes.extend(addition.encode_to_vec());
    Cow::Owned(bytes)
}

fn add(graph: &mut GraphProto, output: &OutputTensor) {
    let element = type_of(output.element);
    let kind = TypeProto { value: Some(TypeValue::Tensor(TensorType { element, shape: None })) };
    graph.outputs.push(ValueInfo { name: output.tensor.clone(), kind: Some(kind) });
    if output.widened {
        graph.nodes.push(node("Cast", vec![output.name.clone()], &output.tensor, Some(("to", i64::from(element)))));
    }
    if output.columns.is_empty() {
        return;
    }
    if !graph.initializers.iter().any(|tensor| tensor.name == COLUMN) {
        graph.initializers.push(TensorProto {
            dims: vec![2],
            data_type: data_type::INT64,
            int64_data: vec![-1, 1],
            name: COLUMN.to_owned(),
            ..TensorProto::default()
        });
    }
    let columns: Vec<String> = output.columns.iter().map(|column| tensor_name(column)).collect();
    for (column, reshaped) in output.columns.iter().zip(&columns) {
        graph.nodes.push(node("Reshape", vec![column.clone(), COLUMN.to_owned()], reshaped, None));
    }
    graph.nodes.push(node("Concat", columns, &output.tensor, Some(("axis", 1))));
}

fn node(operator: &str, inputs: Vec<String>, output: &str, int: Option<(&str, i64)>) -> NodeProto {
    let made = |(name, int): (&str, i64)| Attribute { name: name.to_owned(), int, kind: INT, ..Attribute::default() };
    NodeProto {
        inputs,
        outputs: vec![output.to_owned()],
        name: output.to_owned(),
        op_type: operator.to_owned(),
        attributes: int.map(made).into_iter().collect(),
        ..NodeProto::default()
    }
}

fn type_of(element: ElementType) -> i32 {
    match element {
        ElementType::Float32 => data_type::FLOAT,
        ElementType::Float64 => data_type::DOUBLE,
        ElementType::Int32 => data_type::INT32,
        ElementType::Int64 => data_type::INT64,
        ElementType::Bool => data_type::BOOL,
        ElementType::Text => data_type::STRING,
    }
}

/// The type that a narrower one is widened to; `None` for types that are read as they are, or not at all.
pub(crate) fn widened(narrow: i32) -> Option<ElementType> {
    const FLOAT16: i32 = 10;
    const BFLOAT16: i32 = 16;
    const UINT32: i32 = 12;
    const SMALL: std::ops::RangeInclusive<i32> = data_type::UINT8..=5;
    match narrow {
        FLOAT16 | BFLOAT16 => Some(ElementType::Float32),
        UINT32 => Some(ElementType::Int64),
        other if SMALL.contains(&other) => Some(ElementType::Int64),
        _ => None,
    }
}

/// The same model with label encoders that find NaN among their keys. Version 4 of ONNX's operators for machine learning
/// says so, the runtime does it from that version on, and converters rely on it while they ask for an older one. Of two
/// statements about a domain the runtime takes the last.
pub(crate) fn finding_nan(model: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    const DOMAIN: &str = "ai.onnx.ml";
    const FINDS_NAN: i64 = 4;
    const KEYS: &str = "keys_floats";
    if !model.windows(KEYS.len()).any(|part| part == KEYS.as_bytes()) {
        return model;
    }
    let Ok(decoded) = ModelProto::decode(model.as_ref()) else { return model };
    let nodes = decoded.graph.iter().flat_map(|graph| &graph.nodes);
    let mut lists = nodes.flat_map(|node| &node.attributes).filter(|attribute| attribute.name == KEYS);
    let older = decoded.opset_import.iter().any(|set| set.domain == DOMAIN && (2..FINDS_NAN).contains(&set.version));
    if !older || !lists.any(|keys| keys.floats.iter().any(|key| key.is_nan())) {
        return model;
    }
    let newer = OperatorSet { domain: DOMAIN.to_owned(), version: FINDS_NAN };
    let mut bytes = model.into_owned();
    bytes.extend(ModelProto { opset_import: vec![newer], ..ModelProto::default() }.encode_to_vec());
    Cow::Owned(bytes)
}
