//! Graphs that take a map, read as graphs that take a tensor.
//!
//! Converters write scikit-learn's `DictVectorizer` as the operator of that name: a map of a row's features by their names becomes a
//! vector, one number for each name of its vocabulary and 0 for those that are not in the map. A row of features by name is what a version
//! takes anyway. So where a DictVectorizer is all that reads a map, the vector itself becomes the input and the operator goes; the
//! vocabulary names its features, which are 0 where they are not given. Any number of rows then go through the graph at once.
//!
//! Only the messages of the input, the node and the vector's type are written anew; everything else stays byte for byte.

use std::borrow::Cow;
use std::collections::HashMap;

use prost::Message;

use crate::proto::{
    Dimension, DimensionValue, ModelProto, NodeProto, Shape, TensorType, TypeProto, TypeValue, ValueInfo, attribute,
    data_type,
};

const OPERATOR: &str = "DictVectorizer";

/// The names of the features of each input that was a map, in the order of its columns.
pub(crate) type Vocabularies = HashMap<String, Vec<String>>;

/// A vector that takes the place of a map.
struct Vector {
    /// The input that was the map.
    map: String,
    /// The type of its numbers.
    element: i32,
    vocabulary: Vec<String>,
}

/// The model with vectors instead of maps, where it is one that can be read so.
pub(crate) fn as_vectors(model: &[u8]) -> Cow<'_, [u8]> {
    rewritten(model).map_or(Cow::Borrowed(model), |(bytes, _)| Cow::Owned(bytes))
}

/// The same with the vocabularies; `None` where there is nothing to change.
pub(crate) fn rewritten(model: &[u8]) -> Option<(Vec<u8>, Vocabularies)> {
    model.windows(OPERATOR.len()).any(|part| part == OPERATOR.as_bytes()).then_some(())?;
    let decoded = ModelProto::decode(model).ok()?;
    let vectors = vectors(&decoded);
    if vectors.is_empty() {
        return None;
    }
    let mut bytes = Vec::with_capacity(model.len());
    for field in Fields(model) {
        let Field { tag, whole, content } = field?;
        match tag {
            GRAPH => write(&mut bytes, GRAPH, &graph(content, &vectors)?),
            _ => bytes.extend_from_slice(whole),
        }
    }
    let vocabularies = vectors.into_iter().map(|(name, vector)| (name, vector.vocabulary)).collect();
    Some((bytes, vocabularies))
}

/// The vectors that DictVectorizers make of inputs which nobody else reads, by their names.
fn vectors(model: &ModelProto) -> HashMap<String, Vector> {
    let Some(graph) = &model.graph else { return HashMap::new() };
    let mut readers: HashMap<&str, Vec<&NodeProto>> = HashMap::new();
    for node in &graph.nodes {
        node.inputs.iter().for_each(|input| readers.entry(input).or_default().push(node));
    }
    let vector = |input: &ValueInfo| {
        let element = element(input)?;
        let [reader] = readers.get(input.name.as_str())?.as_slice() else { return None };
        let is_read = reader.op_type == OPERATOR && reader.domain == "ai.onnx.ml" && reader.inputs.len() == 1;
        let ([vector], true) = (reader.outputs.as_slice(), is_read) else { return None };
        let text = |word: &bytes::Bytes| String::from_utf8(word.to_vec()).ok();
        let texts = || attribute(reader, "string_vocabulary")?.strings.iter().map(text).collect::<Option<_>>();
        let ints = || Some(attribute(reader, "int64_vocabulary")?.ints.iter().map(ToString::to_string).collect());
        let vocabulary: Vec<String> = if is_by_text(input)? { texts()? } else { ints()? };
        let vector_of = |vocabulary| Vector { map: input.name.clone(), element, vocabulary };
        (!vocabulary.is_empty()).then(|| (vector.clone(), vector_of(vocabulary)))
    };
    graph.inputs.iter().filter_map(vector).collect()
}

/// The type of the numbers of a map of numbers.
fn element(input: &ValueInfo) -> Option<i32> {
    let Some(TypeValue::Map(map)) = &input.kind.as_ref()?.value else { return None };
    let Some(TypeValue::Tensor(tensor)) = &map.value.as_ref()?.value else { return None };
    matches!(tensor.element, data_type::FLOAT | data_type::DOUBLE | data_type::INT64).then_some(tensor.element)
}

/// Whether the keys of a map are texts; else they are whole numbers.
fn is_by_text(input: &ValueInfo) -> Option<bool> {
    let Some(TypeValue::Map(map)) = &input.kind.as_ref()?.value else { return None };
    match map.key {
        data_type::STRING => Some(true),
        data_type::INT64 => Some(false),
        _ => None,
    }
}

/// A graph with the vectors as inputs.
fn graph(graph: &[u8], vectors: &HashMap<String, Vector>) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(graph.len());
    for field in Fields(graph) {
        let Field { tag, whole, content } = field?;
        match tag {
            NODE => {
                let node = NodeProto::decode(content).ok()?;
                let is_left_out = node.outputs.first().is_some_and(|output| vectors.contains_key(output));
                if !is_left_out {
                    bytes.extend_from_slice(whole);
                }
            }
            INPUT => {
                let input = ValueInfo::decode(content).ok()?;
                match vectors.iter().find(|(_, vector)| vector.map == input.name) {
                    Some((name, vector)) => write(&mut bytes, INPUT, &value(name, vector).encode_to_vec()),
                    None => bytes.extend_from_slice(whole),
                }
            }
            // The converter says that it has one row.
            VALUE if vectors.contains_key(&ValueInfo::decode(content).ok()?.name) => {}
            _ => bytes.extend_from_slice(whole),
        }
    }
    Some(bytes)
}

fn value(name: &str, vector: &Vector) -> ValueInfo {
    let columns = i64::try_from(vector.vocabulary.len()).unwrap_or(i64::MAX);
    let axes = [DimensionValue::Named("rows".to_owned()), DimensionValue::Fixed(columns)];
    let shape = Shape { dims: axes.map(|axis| Dimension { value: Some(axis) }).to_vec() };
    let tensor = TensorType { element: vector.element, shape: Some(shape) };
    ValueInfo { name: name.to_owned(), kind: Some(TypeProto { value: Some(TypeValue::Tensor(tensor)) }) }
}

// Numbers of fields of `ModelProto` and `GraphProto`.
const GRAPH: u64 = 7;
const NODE: u64 = 1;
const INPUT: u64 = 11;
const VALUE: u64 = 13;

/// One field of a message.
struct Field<'b> {
    tag: u64,
    whole: &'b [u8],
    /// What is in it, if it has a length.
    content: &'b [u8],
}

/// The fields of a message; `None` for what is none, which ends them.
struct Fields<'b>(&'b [u8]);

impl<'b> Iterator for Fields<'b> {
    type Item = Option<Field<'b>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = field(self.0);
        self.0 = field.as_ref().map_or(&[], |field| &self.0[field.whole.len()..]);
        Some(field)
    }
}

fn field(bytes: &[u8]) -> Option<Field<'_>> {
    let mut rest = bytes;
    let key = prost::encoding::decode_varint(&mut rest).ok()?;
    let length = match key & 7 {
        0 => {
            let mut after = rest;
            prost::encoding::decode_varint(&mut after).ok()?;
            rest.len() - after.len()
        }
        1 => 8,
        2 => usize::try_from(prost::encoding::decode_varint(&mut rest).ok()?).ok()?,
        5 => 4,
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    let whole = bytes.get(..bytes.len() - after.len())?;
    Some(Field { tag: key >> 3, whole, content: if key & 7 == 2 { content } else { &[] } })
}

fn write(bytes: &mut Vec<u8>, tag: u64, content: &[u8]) {
    prost::encoding::encode_varint(tag << 3 | 2, bytes);
    prost::encoding::encode_varint(content.len() as u64, bytes);
    bytes.extend_from_slice(content);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Model;

    fn model() -> Vec<u8> {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/models/answers/dictionary.onnx");
        std::fs::read(path).unwrap()
    }

    #[test]
    fn the_vector_takes_the_place_of_the_map() {
        let (bytes, vocabularies) = rewritten(&model()).unwrap();
        assert_eq!(vocabularies["variable"], ["age", "city=Bern", "city=Rome", "income"]);
        let graph = ModelProto::decode(bytes.as_slice()).unwrap().graph.unwrap();
        assert_eq!(graph.inputs.len(), 1);
        assert_eq!(graph.inputs[0].name, "variable");
        assert!(graph.nodes.iter().all(|node| node.op_type != OPERATOR));
        // Nothing is left to change.
        assert!(rewritten(&bytes).is_none());
    }

    #[test]
    fn a_map_that_others_read_stays_a_map_and_is_refused() {
        let mut proto = ModelProto::decode(model().as_slice()).unwrap();
        let graph = proto.graph.as_mut().unwrap();
        let mut second = graph.nodes[0].clone();
        second.outputs[0] = "other".to_owned();
        graph.nodes.push(second);
        let bytes = proto.encode_to_vec();
        assert!(rewritten(&bytes).is_none());
        let error = crate::describe(&Model::parse(&bytes).unwrap(), None, &crate::Options::default()).unwrap_err();
        assert_eq!(error.message(), "input \"x\" of the model is map(string, tensor(float))");
        assert!(error.hint().unwrap().contains("DictVectorizer"));
    }

    #[test]
    fn damaged_bytes_are_left_as_they_are_or_make_a_graph() {
        let whole = model();
        let mut random = e2i_core::random::Random(3);
        for _ in 0..2000 {
            let mut bytes = whole.clone();
            let at = random.below(bytes.len());
            bytes[at] = random.below(256) as u8;
            bytes.truncate(bytes.len() - random.below(2) * random.below(whole.len()));
            if let Ok(model) = Model::parse(&bytes) {
                let _ = crate::describe(&model, None, &crate::Options::default());
            }
        }
    }
}
