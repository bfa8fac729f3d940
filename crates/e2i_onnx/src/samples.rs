//! Rows that a graph can score: categories that it knows, where it names them.
//!
//! Nodes are walked once, in the order of the graph, and for each tensor it is known which feature each of its columns holds,
//! as long as operators only pick, join or reshape columns. An encoder then says which values its own columns take.
//!
//! The sample is the first category that an encoder behind the input names, zeros elsewhere. Where a graph with inputs other than
//! floats does not score it, nobody could guess what it takes: it is registered with a warning, at the default of rows a call. Otherwise
//! a second run is timed, and [`e2i_core::Interface::set_pace`] chooses from it how many rows a call takes. That is stored, not measured
//! by every session, because the last bits of a score can depend on it.

use std::collections::HashMap;
use std::rc::Rc;

use e2i_core::native::agreement::Sample;
use e2i_core::{Batch, Column, Interface};

use crate::graph::{Model, attribute, constant_as_labels, constant_length};
use crate::proto::{NodeProto, TensorProto, data_type};

/// Rows of a sample; of an encoder with more categories, the first so many are tried.
const ROWS: usize = 32;

/// How many words of a vocabulary samples are made of.
const WORDS: usize = 100;

/// Most columns that are followed, of all tensors together: joining columns again and again may double them each time.
const MAX_COLUMNS: usize = 1 << 20;

/// Operators that leave the columns of a matrix as they are.
const KEEPING: [&str; 9] =
    ["Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Imputer", "StringNormalizer", "Tokenizer"];

/// A feature, by its tensor and position.
type Place = (usize, usize);

/// Which feature each column of a tensor holds.
type Columns = Vec<Option<Place>>;

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
        for ((tensor, position), known) in known {
            let Some(into) = rows.tensors_mut().get_mut(tensor) else { continue };
            let width = into.width;
            let accepted = fill(&mut into.values, position, width, &known.values);
            if let Some(flag) = closed.get_mut(tensor).and_then(|tensor| tensor.get_mut(position)) {
                *flag = known.closed && accepted;
            }
        }
        Sample { rows, closed }
    }

    fn categories(&self, interface: &Interface) -> HashMap<Place, Known> {
        let mut columns: HashMap<&str, Rc<Columns>> = HashMap::new();
        for (index, input) in interface.inputs.iter().enumerate() {
            columns.insert(&input.name, Rc::new((0..input.width()).map(|position| Some((index, position))).collect()));
        }
        let (mut known, mut left) = (HashMap::new(), MAX_COLUMNS);
        for node in &self.graph().nodes {
            let read = |input: &String| columns.get(input.as_str());
            if KEEPING.contains(&node.op_type.as_str()) {
                if let (Some(read), Some(output)) = (node.inputs.first().and_then(read).cloned(), node.outputs.first())
                {
                    columns.insert(output, read);
                }
                continue;
            }
            let many: usize = node.inputs.iter().filter_map(read).map(|columns| columns.len()).sum();
            let constants = node.inputs.iter().filter_map(|input| self.constant(input)).map(constant_length);
            let many = constants.fold(many, usize::saturating_add);
            let Some(rest) = left.checked_sub(many) else { break };
            left = rest;
            if let Some(values) = self.known_to(node) {
                for place in node.inputs.first().and_then(read).into_iter().flat_map(|read| read.iter()).flatten() {
                    note(&mut known, *place, &values);
                }
                continue;
            }
            let made = self.columns_after(node, &columns);
            left = left.saturating_sub(made.iter().map(Vec::len).sum());
            node.outputs.iter().zip(made).for_each(|(output, made)| {
                columns.insert(output, Rc::new(made));
            });
        }
        known
    }

    /// The columns of each output of a node that picks or joins them; none where they are no columns of inputs.
    fn columns_after(&self, node: &NodeProto, columns: &HashMap<&str, Rc<Columns>>) -> Vec<Columns> {
        let of = |index: usize| node.inputs.get(index).and_then(|input| columns.get(input.as_str())).map(|it| &**it);
        let Some(first) = of(0) else { return vec![] };
        match node.op_type.as_str() {
            "Gather" | "Concat" | "Split" if !is_of_columns(attribute(node, "axis").map_or(0, |axis| axis.int)) => {
                vec![]
            }
            "ArrayFeatureExtractor" | "Gather" => match self.numbers(node, 1) {
                Some(picked) => {
                    vec![picked.iter().filter_map(|at| first.get(place(*at, first.len())?).copied()).collect()]
                }
                None => vec![],
            },
            "Concat" | "FeatureVectorizer" => {
                let parts: Option<Vec<&Columns>> = (0..node.inputs.len()).map(of).collect();
                parts.map(|parts| vec![parts.into_iter().flatten().copied().collect()]).unwrap_or_default()
            }
            "Slice" => self.sliced(node, first).map(|columns| vec![columns]).unwrap_or_default(),
            "Split" => self.split(node, first),
            _ => vec![],
        }
    }

    fn sliced(&self, node: &NodeProto, columns: &Columns) -> Option<Columns> {
        let of = |index: usize, name: &str| {
            self.numbers(node, index).or_else(|| attribute(node, name).map(|given| given.ints.clone()))
        };
        let (from, to, axes) = (of(1, "starts")?, of(2, "ends")?, of(3, "axes")?);
        let ([from], [to], [axis]) = (from.as_slice(), to.as_slice(), axes.as_slice()) else { return None };
        if !is_of_columns(*axis) {
            return None;
        }
        let step = self.numbers(node, 4).and_then(|steps| steps.first().copied()).unwrap_or(1);
        let end = |at: i64| if at < 0 { at.saturating_add(columns.len() as i64) } else { at };
        let clamped = |at: i64| usize::try_from(end(at)).unwrap_or(0).min(columns.len());
        (step == 1).then(|| columns.get(clamped(*from)..clamped(*to)).map(<[_]>::to_vec))?
    }

    fn split(&self, node: &NodeProto, columns: &Columns) -> Vec<Columns> {
        let given = self.numbers(node, 1).or_else(|| attribute(node, "split").map(|given| given.ints.clone()));
        let equal = || vec![(columns.len() / node.outputs.len().max(1)) as i64; node.outputs.len()];
        let mut rest = columns.as_slice();
        let mut parts = vec![];
        for size in given.unwrap_or_else(equal) {
            let Some((part, after)) = usize::try_from(size).ok().and_then(|size| rest.split_at_checked(size)) else {
                break;
            };
            parts.push(part.to_vec());
            rest = after;
        }
        parts
    }

    /// The integers of a constant input.
    fn numbers(&self, node: &NodeProto, input: usize) -> Option<Vec<i64>> {
        let texts = constant_as_labels(self.constant(node.inputs.get(input)?)?)?;
        texts.iter().map(|text| text.parse().ok()).collect()
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
fn note(known: &mut HashMap<Place, Known>, place: Place, values: &Known) {
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

/// Whether an axis of a matrix is that of its columns.
fn is_of_columns(axis: i64) -> bool {
    matches!(axis, 1 | -1)
}

/// An index, negative ones from the end.
fn place(at: i64, length: usize) -> Option<usize> {
    let at = if at < 0 { at.checked_add(i64::try_from(length).ok()?)? } else { at };
    usize::try_from(at).ok()
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
