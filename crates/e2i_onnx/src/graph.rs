//! A decoded model and the questions the other modules ask of its graph.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use e2i_core::formats::recognise;
use e2i_core::{ElementType, Error, Kind, Result};
use prost::Message;

use crate::guard;
use crate::maps;
pub(crate) use crate::proto::attribute;
use crate::proto::{
    self, GraphProto, ModelProto, NodeProto, TensorProto, TensorType, TypeProto, TypeValue, ValueInfo, data_type,
};

/// A decoded ONNX model whose contents may be given to the runtime.
pub struct Model {
    bytes: Bytes,
    proto: ModelProto,
    /// Which node writes a tensor.
    producers: HashMap<String, usize>,
    /// Which nodes read a tensor, each once, in the order of the graph.
    consumers: HashMap<String, Vec<usize>>,
    constants: HashMap<String, ConstantIn>,
    /// Places of the inputs that are no initializers.
    inputs: Vec<usize>,
    /// Domains whose operators the model itself defines.
    own_domains: HashSet<String>,
    vocabularies: maps::Vocabularies,
}

/// Where a constant is kept.
#[derive(Clone, Copy)]
enum ConstantIn {
    Initializer(usize),
    /// The first output of a Constant node.
    Node(usize),
}

impl Model {
    /// Decodes and checks a model. Inputs that are maps of numbers become vectors, where their names are known.
    ///
    /// # Errors
    /// [`Kind::BadModel`] when the bytes are no ONNX model, [`Kind::Unsupported`] when it uses external data or foreign
    /// operators.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let (bytes, vocabularies) = match maps::rewritten(bytes) {
            Some((bytes, vocabularies)) => (Bytes::from(bytes), vocabularies),
            None => (Bytes::copy_from_slice(bytes), maps::Vocabularies::new()),
        };
        let not_onnx = |why: String| {
            let known = recognise(&bytes);
            let why = known.as_ref().map_or(why, |known| format!("it is {}", known.what));
            let hint = known.map_or_else(
                || "Give an ONNX model, as skl2onnx.to_onnx(model, X).SerializeToString() makes it, or the file that save_model of XGBoost (JSON, UBJSON) or LightGBM wrote.".to_owned(),
                |known| known.hint,
            );
            Error::new(Kind::BadModel, format!("the artifact is not an ONNX model: {why}")).with_hint(hint)
        };
        let proto = ModelProto::decode(bytes.clone()).map_err(|error| not_onnx(undecodable(&error)))?;
        let Some(graph) = &proto.graph else {
            return Err(not_onnx("it has no graph".into()));
        };
        if graph.outputs.is_empty() {
            return Err(Error::new(Kind::BadModel, "the model has no outputs"));
        }
        guard::check(&proto)?;
        let mut producers = HashMap::new();
        let mut consumers: HashMap<String, Vec<usize>> = HashMap::new();
        let mut constants = HashMap::new();
        for (index, tensor) in graph.initializers.iter().enumerate() {
            constants.insert(tensor.name.clone(), ConstantIn::Initializer(index));
        }
        let is_given = |input: &ValueInfo| !constants.contains_key(&input.name);
        let written_twice = |tensor: &str| {
            Error::new(Kind::BadModel, format!("tensor {tensor:?} of the model is defined twice"))
                .with_detail("Each tensor is an input or the output of one node.")
        };
        let mut given = HashSet::with_capacity(graph.inputs.len());
        if let Some(twice) = graph.inputs.iter().find(|input| !given.insert(input.name.as_str())) {
            return Err(written_twice(&twice.name));
        }
        let inputs = graph.inputs.iter().enumerate().filter(|(_, input)| is_given(input)).map(|(place, _)| place);
        let inputs = inputs.collect();
        for (index, node) in graph.nodes.iter().enumerate() {
            for output in node.outputs.iter().filter(|output| !output.is_empty()) {
                if producers.insert(output.clone(), index).is_some() || given.contains(output.as_str()) {
                    return Err(written_twice(output));
                }
            }
            for input in node.inputs.iter().filter(|input| !input.is_empty()) {
                let readers = consumers.entry(input.clone()).or_default();
                if readers.last() != Some(&index) {
                    readers.push(index);
                }
            }
            if node.op_type == "Constant"
                && let Some(output) = node.outputs.first()
                && attribute(node, "value").is_some_and(|value| value.tensor.is_some())
            {
                constants.insert(output.clone(), ConstantIn::Node(index));
            }
        }
        let own_domains = proto.functions.iter().map(|function| function.domain.clone()).collect();
        Ok(Self { bytes, proto, producers, consumers, constants, inputs, own_domains, vocabularies })
    }

    /// The bytes as they were given, but for inputs that were maps.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Which exporter wrote it, as recorded in the model: `skl2onnx`, `pytorch`, `CatBoost`, …
    #[must_use]
    pub fn producer(&self) -> &str {
        &self.proto.producer_name
    }

    pub(crate) fn graph(&self) -> &GraphProto {
        const EMPTY: &GraphProto = &GraphProto {
            nodes: vec![],
            initializers: vec![],
            inputs: vec![],
            outputs: vec![],
            value_info: vec![],
            sparse_initializers: vec![],
        };
        self.proto.graph.as_ref().unwrap_or(EMPTY)
    }

    /// The version of an operator set that the model is written for; 1 where it does not say.
    pub(crate) fn operator_set(&self, domain: &str) -> i64 {
        let is_default = |domain: &str| matches!(domain, "" | "ai.onnx");
        let same = |of: &str| of == domain || (is_default(of) && is_default(domain));
        self.proto.opset_import.iter().find(|set| same(&set.domain)).map_or(1, |set| set.version)
    }

    /// The operators that the model defines itself.
    pub(crate) fn functions(&self) -> impl Iterator<Item = &proto::FunctionProto> {
        self.proto.functions.iter()
    }

    /// Whether the model gives an operator of this domain a meaning of its own.
    pub(crate) fn defines_operators_of(&self, domain: &str) -> bool {
        self.own_domains.contains(domain)
    }

    /// The inputs that a caller must give: those that are no initializers.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = &ValueInfo> {
        self.inputs.iter().filter_map(|place| self.graph().inputs.get(*place))
    }

    /// The names of the features of an input that was a map; what is not given of them is 0.
    pub(crate) fn vocabulary(&self, input: &str) -> Option<&[String]> {
        self.vocabularies.get(input).map(Vec::as_slice)
    }

    /// A metadata entry.
    pub(crate) fn metadata(&self, key: &str) -> Option<&str> {
        self.proto.metadata.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str())
    }

    /// The node that writes a tensor, if it is not an input or a constant.
    pub(crate) fn producer_of(&self, tensor: &str) -> Option<&NodeProto> {
        self.producers.get(tensor).and_then(|index| self.graph().nodes.get(*index))
    }

    /// The nodes that read a tensor.
    pub(crate) fn consumers_of(&self, tensor: &str) -> impl Iterator<Item = &NodeProto> {
        self.reading(tensor).iter().filter_map(|index| self.graph().nodes.get(*index))
    }

    /// The places of the nodes that read a tensor.
    pub(crate) fn reading(&self, tensor: &str) -> &[usize] {
        self.consumers.get(tensor).map_or(&[], Vec::as_slice)
    }

    /// A constant tensor: an initializer or the output of a Constant node.
    pub(crate) fn constant(&self, name: &str) -> Option<&TensorProto> {
        match *self.constants.get(name)? {
            ConstantIn::Initializer(index) => self.graph().initializers.get(index),
            ConstantIn::Node(index) => attribute(self.graph().nodes.get(index)?, "value")?.tensor.as_ref(),
        }
    }
}

/// Why bytes cannot be decoded; the path to a part that is nested too deep would fill a page.
fn undecodable(error: &prost::DecodeError) -> String {
    let text = error.to_string();
    if text.ends_with("recursion limit reached") { "its parts are nested too deep".to_owned() } else { text }
}

/// The element type and axes of a tensor value; `None` for sequences, maps and the like.
pub(crate) fn tensor_type(value: &ValueInfo) -> Option<&TensorType> {
    match value.kind.as_ref()?.value.as_ref()? {
        TypeValue::Tensor(tensor) => Some(tensor),
        _ => None,
    }
}

/// The axes of a tensor: `None` is free. `None` overall when the rank is unknown.
pub(crate) fn axes(tensor: &TensorType) -> Option<Vec<Option<usize>>> {
    let shape = tensor.shape.as_ref()?;
    Some(
        shape
            .dims
            .iter()
            .map(|dim| match dim.value {
                Some(proto::DimensionValue::Fixed(size)) if size >= 0 => usize::try_from(size).ok(),
                _ => None,
            })
            .collect(),
    )
}

/// The element type, where features and outputs can have it.
pub(crate) fn element_type(data_type: i32) -> Option<ElementType> {
    Some(match data_type {
        data_type::FLOAT => ElementType::Float32,
        data_type::DOUBLE => ElementType::Float64,
        data_type::INT32 => ElementType::Int32,
        data_type::INT64 => ElementType::Int64,
        data_type::BOOL => ElementType::Bool,
        data_type::STRING => ElementType::Text,
        _ => return None,
    })
}

/// A type as people write it, for messages: `sequence(map(string, float))`.
pub(crate) fn type_name(kind: Option<&TypeProto>) -> String {
    match kind.and_then(|kind| kind.value.as_ref()) {
        None => "an unknown type".into(),
        Some(TypeValue::Tensor(tensor)) => format!("tensor({})", data_type::name(tensor.element)),
        Some(TypeValue::SparseTensor(tensor)) => format!("sparse_tensor({})", data_type::name(tensor.element)),
        Some(TypeValue::Sequence(of)) => format!("sequence({})", type_name(of.element.as_deref())),
        Some(TypeValue::Optional(of)) => format!("optional({})", type_name(of.element.as_deref())),
        Some(TypeValue::Map(map)) => format!("map({}, {})", data_type::name(map.key), type_name(map.value.as_deref())),
    }
}

/// The values of an integer or text constant as texts, in order; `None` for other types or where the data is short.
pub(crate) fn constant_as_labels(tensor: &TensorProto) -> Option<Vec<String>> {
    let raw = |size: usize| tensor.raw_data.chunks_exact(size);
    match tensor.data_type {
        data_type::INT64 if !tensor.raw_data.is_empty() => {
            Some(raw(8).map(|c| i64::from_le_bytes(c.try_into().unwrap_or_default()).to_string()).collect())
        }
        data_type::INT64 => Some(tensor.int64_data.iter().map(ToString::to_string).collect()),
        data_type::INT32 if !tensor.raw_data.is_empty() => {
            Some(raw(4).map(|c| i32::from_le_bytes(c.try_into().unwrap_or_default()).to_string()).collect())
        }
        data_type::INT32 => Some(tensor.int32_data.iter().map(ToString::to_string).collect()),
        data_type::STRING => {
            Some(tensor.string_data.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect())
        }
        _ => None,
    }
}

/// At least as many as a constant has values, without reading them.
pub(crate) fn constant_length(tensor: &TensorProto) -> usize {
    tensor.raw_data.len().max(tensor.int64_data.len()).max(tensor.int32_data.len())
}
