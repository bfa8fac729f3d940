//! Rows that a graph can score: categories that it knows, where it names them.
//!
//! Columns are followed as long as operators only pick, join or reshape them ([`crate::columns`]). An encoder then says which values its
//! own columns take.
//!
//! The sample is the first category that an encoder behind the input names, zeros elsewhere. Where a graph with inputs other than
//! floats does not score it, nobody could guess what it takes: it is registered with a warning, at the default of rows a call. Otherwise
//! a second run is timed, and [`e2i_core::Interface::set_pace`] chooses from it how many rows a call takes. That is stored, not measured
//! by every session, because the last bits of a score can depend on it.

use std::collections::HashMap;
use std::rc::Rc;

use e2i_core::native::agreement::Sample;
use e2i_core::{Batch, Column, Interface};

use crate::columns::{Carried, Visitor, Way, walk};
use crate::graph::{Model, attribute, constant_as_labels};
use crate::proto::{NodeProto, TensorProto, data_type};

/// Rows of a sample; of an encoder with more categories, the first so many are tried.
const ROWS: usize = 32;

/// How many words of a vocabulary samples are made of.
const WORDS: usize = 100;

/// Operators that leave the columns of a matrix as they are.
const KEEPING: [&str; 9] =
    ["Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Imputer", "StringNormalizer", "Tokenizer"];

/// Operators that pick, cut or join columns.
const MOVING: [&str; 6] = ["ArrayFeatureExtractor", "Gather", "Concat", "FeatureVectorizer", "Slice", "Split"];

/// The first values that an encoder knows, as texts, and whether it refuses others.
struct Known {
    values: Rc<Vec<String>>,
    closed: bool,
}

impl Model {
    /// Rows that the graph can score: for a feature that an encoder reads, the values that it knows, one after the other; zeros
    /// and empty texts elsewhere. `interface` must be that of this graph.
    #[must_use]
    pub fn samples(&self, interface: &Interface) -> Sample {
        let known = self.categories(interface);
        let mut rows = Batch::new(&interface.inputs, ROWS);
        let mut closed: Vec<Vec<bool>> = rows.tensors().iter().map(|tensor| vec![false; tensor.width]).collect();
        let places = interface.inputs.iter().enumerate();
        let places: Vec<(usize, usize)> =
            places.flat_map(|(tensor, input)| (0..input.width()).map(move |position| (tensor, position))).collect();
        for (feature, known) in known {
            let Some((tensor, position)) = places.get(feature).copied() else { continue };
            let Some(into) = rows.tensors_mut().get_mut(tensor) else { continue };
            let width = into.width;
            let accepted = fill(&mut into.values, position, width, &known.values);
            if let Some(flag) = closed.get_mut(tensor).and_then(|tensor| tensor.get_mut(position)) {
                *flag = known.closed && accepted;
            }
        }
        Sample { rows, closed }
    }

    /// By the number of the feature over all inputs.
    fn categories(&self, interface: &Interface) -> HashMap<usize, Known> {
        let inputs: Vec<(&str, usize)> =
            interface.inputs.iter().map(|input| (input.name.as_str(), input.width())).collect();
        let mut encoders = Encoders { model: self, known: HashMap::new() };
        // Of a graph that is too large, what was found so far is known.
        let _ = walk(self, &inputs, &mut encoders);
        encoders.known
    }

    /// The values that an encoder knows.
    fn known_to(&self, node: &NodeProto) -> Option<Known> {
        if node.op_type == "TfIdfVectorizer" {
            let words: Vec<_> = attribute(node, "pool_strings")?.strings.iter().take(WORDS).collect();
            return Some(Known { values: Rc::new(texts_with(&words)), closed: false });
        }
        let names: &[&str] = match node.op_type.as_str() {
            "OneHotEncoder" => &["cats_strings", "cats_int64s"],
            "LabelEncoder" => &["keys_strings", "keys_int64s", "keys_floats", "keys_tensor", "classes_strings"],
            "CategoryMapper" => &["cats_strings", "cats_int64s"],
            _ => return None,
        };
        let values = names.iter().find_map(|name| {
            let given = attribute(node, name)?;
            let text = |bytes: &bytes::Bytes| String::from_utf8_lossy(bytes).into_owned();
            let mut values: Vec<String> = match &given.tensor {
                Some(tensor) => texts_of(tensor)?,
                None => (given.strings.iter().map(text))
                    .chain(given.ints.iter().map(ToString::to_string))
                    .chain(given.floats.iter().map(ToString::to_string))
                    .collect(),
            };
            values.truncate(ROWS);
            Some(values).filter(|values| !values.is_empty())
        })?;
        let closed = node.op_type == "OneHotEncoder" && attribute(node, "zeros").is_some_and(|zeros| zeros.int == 0);
        Some(Known { values: Rc::new(values), closed })
    }
}

/// What encoders know of the features that they read.
struct Encoders<'m> {
    model: &'m Model,
    known: HashMap<usize, Known>,
}

impl<'m> Visitor<'m> for Encoders<'m> {
    fn visit(&mut self, node: &'m NodeProto, read: &[&Carried]) -> Way {
        let operator = node.op_type.as_str();
        if KEEPING.contains(&operator) {
            return Way::Kept;
        }
        if MOVING.contains(&operator) {
            return Way::Moved;
        }
        if let (Some(values), Some(read)) = (self.model.known_to(node), read.first().filter(|read| read.ordered)) {
            read.columns.iter().for_each(|feature| note(&mut self.known, *feature, &values));
        }
        Way::Ended
    }
}

/// Texts of which words are counted: some of the words, a few of them in capital letters, with what may stand between
/// words; the first is empty.
fn texts_with(words: &[&bytes::Bytes]) -> Vec<String> {
    const BETWEEN: [&str; 7] = [" ", ", ", " ", "-", "  ", "é", ". "];
    let text = |row: usize| {
        let drawn = (0..row % 12).map(|place| row * 7 + place * (row % 5 + 1));
        let written = drawn.zip(BETWEEN.iter().cycle().skip(row)).map(|(drawn, between)| {
            let word = words.get(drawn % words.len().max(1)).map(|word| String::from_utf8_lossy(word));
            let word = word.unwrap_or_default();
            format!("{}{between}", if drawn % 4 == 0 { word.to_uppercase() } else { word.into_owned() })
        });
        written.collect()
    };
    (0..ROWS).map(text).collect()
}

/// The values that every encoder of a feature knows; those of the strictest where no value is known to all.
fn note(known: &mut HashMap<usize, Known>, place: usize, values: &Known) {
    let closed = values.closed;
    let Some(before) = known.get_mut(&place) else {
        known.insert(place, Known { values: values.values.clone(), closed });
        return;
    };
    let both: std::collections::HashSet<&String> = values.values.iter().collect();
    let common: Vec<String> = before.values.iter().filter(|value| both.contains(value)).cloned().collect();
    if !common.is_empty() {
        before.values = Rc::new(common);
    } else if closed && !before.closed {
        before.values.clone_from(&values.values);
    }
    before.closed |= closed;
}

/// Writes values one after the other into a column of all rows. Whether there was one that the column takes.
fn fill(column: &mut Column, position: usize, width: usize, values: &[String]) -> bool {
    fn write<T: Clone>(cells: &mut [T], position: usize, width: usize, values: Option<Vec<T>>) -> bool {
        let Some(values) = values.filter(|values| !values.is_empty()) else { return false };
        let into = cells.iter_mut().skip(position).step_by(width.max(1));
        into.zip(values.iter().cycle()).for_each(|(cell, value)| cell.clone_from(value));
        true
    }
    let number = |text: &String| text.parse::<f64>().ok();
    let whole = |text: &String| number(text).filter(|number| number.fract() == 0.0);
    match column {
        Column::Text(cells) => write(cells, position, width, Some(values.to_vec())),
        Column::Float32(cells) => {
            write(cells, position, width, values.iter().map(|text| Some(number(text)? as f32)).collect())
        }
        Column::Float64(cells) => write(cells, position, width, values.iter().map(number).collect()),
        Column::Int64(cells) => {
            write(cells, position, width, values.iter().map(|text| Some(whole(text)? as i64)).collect())
        }
        Column::Int32(cells) => {
            write(cells, position, width, values.iter().map(|text| Some(whole(text)? as i32)).collect())
        }
        Column::Bool(_) => false,
    }
}

/// The values of a tensor as texts.
fn texts_of(tensor: &TensorProto) -> Option<Vec<String>> {
    let raw = |size: usize| tensor.raw_data.chunks_exact(size);
    match tensor.data_type {
        data_type::FLOAT if !tensor.raw_data.is_empty() => {
            Some(raw(4).map(|c| f32::from_le_bytes(c.try_into().unwrap_or_default()).to_string()).collect())
        }
        data_type::FLOAT => Some(tensor.float_data.iter().map(ToString::to_string).collect()),
        data_type::DOUBLE if !tensor.raw_data.is_empty() => {
            Some(raw(8).map(|c| f64::from_le_bytes(c.try_into().unwrap_or_default()).to_string()).collect())
        }
        data_type::DOUBLE => Some(tensor.double_data.iter().map(ToString::to_string).collect()),
        _ => constant_as_labels(tensor),
    }
}
