//! Which features may be missing: where can a missing value flow without silently becoming a wrong number?
//!
//! A number takes missing values when every operator that it can reach either handles NaN on purpose (a tree ensemble with
//! missing-value directions, an imputer, an IsNaN test, an encoder with NaN among its keys) or merely passes it on. Anything
//! else, a linear layer for instance, would answer NaN or, worse, a number.
//!
//! A text takes missing values where all encoders that read it agree on what a missing one is: the category that converters
//! write for it ([`MARKERS`]), or no category at all, where an unknown category is none. Two encoders with different markers,
//! or one with several, leave NULL refused. What an imputer of texts replaces is a missing one, whatever it is called.
//!
//! Columns are followed ([`crate::columns`]), so that each encoder is asked about its own columns only, also where a matrix of texts is taken
//! apart or columns are put together first.

use crate::columns::{Carried, Visitor, Way, walk};
use crate::graph::{Model, attribute};
use crate::proto::{Attribute, NodeProto, data_type};

/// Operators after which a NaN is still a NaN in the same or another place.
const PASSING: [&str; 17] = [
    "Identity",
    "Cast",
    "Concat",
    "FeatureVectorizer",
    "Reshape",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Transpose",
    "Slice",
    "Split",
    "Scaler",
    "Add",
    "Sub",
    "Mul",
    "Div",
    "CastLike",
];

/// How Python writes what stands for a missing value (`nan`, `None`, `NaN`, pandas' `NA`), and converters with it: a category
/// of that name was NULL in the training data.
const MARKERS: [&str; 4] = ["nan", "None", "NaN", "<NA>"];

/// Readers of a tensor that are looked at for the form of an imputer.
const READERS: usize = 8;

/// What may be given for a feature that is missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Missing {
    /// Whether it may be missing.
    pub taken: bool,
    /// The text that stands for a missing one, where it is not the empty text or NaN.
    pub text: Option<String>,
}

/// For each input tensor, `(name, width)`, and each position in it, whether a missing value may be given.
pub(crate) fn missing(model: &Model, inputs: &[(&str, usize)]) -> Vec<Vec<Missing>> {
    let total = inputs.iter().fold(0_usize, |sum, (_, width)| sum.saturating_add(*width));
    let mut readers = Readers { model, found: vec![Found::default(); total] };
    let complete = walk(model, inputs, &mut readers).is_some();
    let mut found = readers.found.iter().map(|found| if complete { found.verdict() } else { Missing::default() });
    inputs.iter().map(|(_, width)| found.by_ref().take(*width).collect()).collect()
}

/// What has been found out about a feature; the bits are those of [`MARKERS`].
#[derive(Clone, Default)]
struct Found {
    /// Something reads it that no missing value may reach.
    refused: bool,
    /// Something reads it to which a missing value means something.
    reached: bool,
    /// Markers that some encoder knows.
    known: u8,
    /// Markers that some encoder does not know and refuses, or takes for something else.
    lacking: u8,
    /// An encoder has the empty text among its categories.
    empty: bool,
    /// What an imputer replaces, where it is no marker.
    imputed: Option<String>,
}

impl Found {
    fn verdict(&self) -> Missing {
        let marker = || MARKERS.get(self.known.trailing_zeros() as usize).map(|marker| (*marker).to_owned());
        let (taken, text) = match (&self.imputed, self.known.count_ones()) {
            _ if self.refused || !self.reached => (false, None),
            (Some(text), _) => (self.known | self.lacking == 0 && !self.empty, Some(text.clone())),
            // No encoder knows a marker: each of them is as unknown as the empty text, unless that is a category.
            (None, 0) if self.empty => (self.lacking == 0, Some(MARKERS[0].to_owned())),
            (None, 0) => (self.lacking == 0, None),
            (None, 1) => (self.lacking & self.known == 0, marker()),
            (None, _) => (false, None),
        };
        Missing { taken, text: text.filter(|_| taken) }
    }
}

/// What a node does with what it reads.
enum Reader<'n> {
    Passes,
    HandlesNan,
    /// Finds a text that an imputer then replaces.
    Imputes(&'n str),
    /// Passes on what an imputer has replaced.
    Replaced,
    /// An encoder of texts: the markers it knows, whether the empty text is a category, whether an unknown one is none.
    Texts {
        known: u8,
        empty: bool,
        unknown_is_none: bool,
    },
    Refuses,
}

/// What all that reads a feature says of it.
struct Readers<'m> {
    model: &'m Model,
    found: Vec<Found>,
}

impl<'m> Visitor<'m> for Readers<'m> {
    fn visit(&mut self, node: &'m NodeProto, read: &[&Carried]) -> Way {
        let kind = reader(self.model, node);
        match kind {
            Reader::Replaced => return Way::Ended,
            Reader::Passes => return Way::Moved,
            _ => {}
        }
        for column in read.iter().flat_map(|carried| carried.columns.iter()) {
            let Some(found) = self.found.get_mut(*column) else { continue };
            match kind {
                Reader::HandlesNan => found.reached = true,
                Reader::Texts { known, empty, unknown_is_none } => {
                    found.reached = true;
                    found.known |= known;
                    found.empty |= empty;
                    found.lacking |= if unknown_is_none { 0 } else { !known };
                }
                Reader::Imputes(text) => {
                    found.reached = true;
                    found.refused |= found.imputed.get_or_insert_with(|| text.to_owned()) != text;
                }
                Reader::Refuses | Reader::Passes | Reader::Replaced => found.refused = true,
            }
        }
        Way::Ended
    }
}

fn reader<'m>(model: &Model, node: &'m NodeProto) -> Reader<'m> {
    match node.op_type.as_str() {
        // The data is picked from; where a feature is the index, it is a number like any other.
        "Gather" | "ArrayFeatureExtractor" => {
            let by_constant = node.inputs.get(1).is_some_and(|indexes| model.constant(indexes).is_some());
            if by_constant { Reader::Passes } else { Reader::Refuses }
        }
        operator if PASSING.contains(&operator) => Reader::Passes,
        "Imputer" | "IsNaN" => Reader::HandlesNan,
        // The attribute's default is 1: an unknown category becomes zeros instead of an error.
        "OneHotEncoder" => match attribute(node, "cats_strings") {
            Some(categories) => texts(
                categories.strings.iter().map(AsRef::as_ref),
                attribute(node, "zeros").is_none_or(|zeros| zeros.int != 0),
            ),
            None => Reader::Refuses,
        },
        "LabelEncoder" | "CategoryMapper" => match imputed(model, node) {
            Some(text) if !MARKERS.contains(&text) => Reader::Imputes(text),
            _ => keys(node),
        },
        "Where" if is_imputer(model, node) => Reader::Replaced,
        // CatBoost splits by "greater than", which is false for NaN just as for its own smallest value.
        operator if operator.starts_with("TreeEnsemble") => {
            let directed = attribute(node, "nodes_missing_value_tracks_true")
                .is_some_and(|tracks| tracks.ints.iter().any(|flag| *flag != 0));
            if directed || model.producer() == "CatBoost" { Reader::HandlesNan } else { Reader::Refuses }
        }
        _ => Reader::Refuses,
    }
}

/// The text that an imputer of texts looks for: converters write it as a label encoder, whose one key is that text, before
/// a cast to booleans and a choice.
fn imputed<'n>(model: &Model, node: &'n NodeProto) -> Option<&'n str> {
    let [key] = attribute(node, "keys_strings")?.strings.as_slice() else { return None };
    let cast = model.consumers_of(node.outputs.first()?).take(READERS).find(|cast| cast.op_type == "Cast")?;
    model.consumers_of(cast.outputs.first()?).take(READERS).any(|choice| is_imputer(model, choice)).then_some(())?;
    std::str::from_utf8(key).ok()
}

/// Whether a choice gives another text for the one that [`imputed`] looks for, in the same column.
fn is_imputer(model: &Model, choice: &NodeProto) -> bool {
    let [condition, _, data] = choice.inputs.as_slice() else { return false };
    let written_by = |tensor: &str, operator: &str| model.producer_of(tensor).filter(|node| node.op_type == operator);
    let cast = written_by(condition, "Cast").and_then(|cast| cast.inputs.first());
    choice.op_type == "Where"
        && cast.and_then(|cast| written_by(cast, "LabelEncoder")).is_some_and(|encoder| {
            let numbers = |name: &str| attribute(encoder, name).map(|list| list.ints.as_slice());
            let default = attribute(encoder, "default_int64").map(|default| default.int);
            encoder.inputs.first() == Some(data) && numbers("values_int64s") == Some(&[1]) && default == Some(0)
        })
}

/// An encoder by keys, to which an unknown key is some default: only a marker among the keys is a missing value, and NaN not
/// where it merely has the code after those of all others. So skl2onnx writes an `OrdinalEncoder` that makes NaN of a missing value:
/// what comes after it was trained with NaN and would get a number.
fn keys(node: &NodeProto) -> Reader<'_> {
    let named = |names: &[&str]| -> Option<&Attribute> { names.iter().find_map(|name| attribute(node, name)) };
    let codes = named(&["values_int64s"]).map_or(&[][..], |values| values.ints.as_slice());
    let counted = codes.iter().enumerate().all(|(place, code)| usize::try_from(*code) == Ok(place));
    let is_last = |place: Option<usize>| counted && place.is_some_and(|place| place + 1 == codes.len());
    if let Some(keys) = named(&["keys_strings", "cats_strings", "classes_strings"]) {
        // None is a category like any other to an OrdinalEncoder.
        let nan = keys.strings.iter().position(|key| matches!(key.as_ref(), b"nan" | b"NaN"));
        return if is_last(nan) { Reader::Refuses } else { texts(keys.strings.iter().map(AsRef::as_ref), false) };
    }
    if let Some(keys) = named(&["keys_floats"]) {
        let nan = keys.floats.iter().position(|key| key.is_nan());
        return if nan.is_some() && !is_last(nan) { Reader::HandlesNan } else { Reader::Refuses };
    }
    let Some(tensor) = named(&["keys_tensor"]).and_then(|keys| keys.tensor.as_ref()) else { return Reader::Refuses };
    let raw = tensor.raw_data.as_ref();
    let has_nan = match tensor.data_type {
        data_type::STRING => return texts(tensor.string_data.iter().map(AsRef::as_ref), false),
        data_type::FLOAT => {
            tensor.float_data.iter().any(|key| key.is_nan())
                || raw.as_chunks().0.iter().any(|key| f32::from_le_bytes(*key).is_nan())
        }
        data_type::DOUBLE => {
            tensor.double_data.iter().any(|key| key.is_nan())
                || raw.as_chunks().0.iter().any(|key| f64::from_le_bytes(*key).is_nan())
        }
        _ => false,
    };
    if has_nan { Reader::HandlesNan } else { Reader::Refuses }
}

fn texts<'c>(categories: impl Iterator<Item = &'c [u8]>, unknown_is_none: bool) -> Reader<'static> {
    let (mut known, mut empty) = (0, false);
    for category in categories {
        empty |= category.is_empty();
        if let Some(marker) = MARKERS.iter().position(|marker| marker.as_bytes() == category) {
            known |= 1 << marker;
        }
    }
    Reader::Texts { known, empty, unknown_is_none }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::proto::ModelProto;

    /// A label encoder of one text or number a row with these keys and codes.
    fn taken(keys: &[&str], codes: &[i64]) -> Missing {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/models/missing/ordinal.onnx");
        let mut proto = ModelProto::decode(std::fs::read(path).unwrap().as_slice()).unwrap();
        for node in proto.graph.as_mut().unwrap().nodes.iter_mut().filter(|node| node.op_type == "LabelEncoder") {
            for attribute in &mut node.attributes {
                match attribute.name.as_str() {
                    "keys_strings" => {
                        attribute.strings = keys.iter().map(|key| key.as_bytes().to_vec().into()).collect()
                    }
                    "values_int64s" => attribute.ints = codes.to_vec(),
                    _ => {}
                }
            }
        }
        let model = Model::parse(&proto.encode_to_vec()).unwrap();
        missing(&model, &[("city", 1)]).remove(0).remove(0)
    }

    #[test]
    fn a_code_that_is_counted_on_is_no_missing_value() {
        let marker = |text: &str| Missing { taken: true, text: Some(text.to_owned()) };
        assert_eq!(taken(&["a", "b", "nan"], &[0, 1, -2]), marker("nan"));
        assert_eq!(taken(&["a", "b", "nan"], &[0, 1, 7]), marker("nan"));
        assert_eq!(taken(&["a", "nan", "z"], &[0, 1, 2]), marker("nan"));
        assert_eq!(taken(&["a", "b", "None"], &[0, 1, 2]), marker("None"));
        assert_eq!(taken(&["a", "b", "nan"], &[0, 1, 2]), Missing::default());
        assert_eq!(taken(&["a", "b", "None", "nan"], &[0, 1, 2, 3]), Missing::default());
    }
}
