//! Numbers that a graph gives apart, one output a class or target, read together as the one matrix that they are.
//!
//! skl2onnx writes a classifier so with `options={'zipmap': 'columns'}`: outputs `i0`, `i1` for the classes 0 and 1, `sno`,
//! `syes` for texts. Each is a column cut out of one tensor, which is then read instead of them. Outputs that are computed
//! apart but bear the names of the classes are put side by side in the order of the classes.

use e2i_core::{ElementType, OutputTensor};

use crate::additions;
use crate::graph::{Model, attribute, constant_as_labels};
use crate::native::attributes::{int, ints};
use crate::proto::NodeProto;

/// The outputs `places` as one, if that is what they are, and their names in the order of its columns; `labels` are the
/// classes, where they are known.
pub(crate) fn together(
    model: &Model,
    outputs: &[OutputTensor],
    places: &[usize],
    labels: Option<&[String]>,
) -> Option<(OutputTensor, Vec<String>)> {
    let apart: Vec<&OutputTensor> = places.iter().map(|place| &outputs[*place]).collect();
    let count = apart.len();
    let element = apart.first()?.element;
    let alike = apart.iter().all(|output| output.element == element && !output.widened && output.tensor == output.name);
    if count < 2 || !alike || labels.is_some_and(|labels| labels.len() != count) {
        return None;
    }
    let names: Vec<&str> = apart.iter().map(|output| output.name.as_str()).collect();
    let named = labels.and_then(|labels| by_name(&names, labels));
    cut(model, &names, named.as_deref(), element).or_else(|| Some(side_by_side(&names, &named?, element)))
}

/// The classes that skl2onnx's names of columns stand for, where nothing else in the graph names them.
pub(crate) fn classes_in_names(names: &[String]) -> Option<Vec<String>> {
    let stripped = |prefix: char| {
        names.iter().map(|name| name.strip_prefix(prefix).map(str::to_owned)).collect::<Option<Vec<_>>>()
    };
    stripped('i').filter(|labels| labels.iter().all(|label| label.parse::<i64>().is_ok())).or_else(|| stripped('s'))
}

/// The tensor whose columns they are, all of them and each once. Names that say another order of classes speak against it.
fn cut(
    model: &Model,
    names: &[&str],
    named: Option<&[usize]>,
    element: ElementType,
) -> Option<(OutputTensor, Vec<String>)> {
    let count = names.len();
    let columns: Vec<(&str, usize)> = names.iter().map(|name| column_of(model, name, count)).collect::<Option<_>>()?;
    let whole = columns[0].0;
    let mut seen = vec![false; count];
    for (tensor, column) in &columns {
        if *tensor != whole || *column >= count || std::mem::replace(&mut seen[*column], true) {
            return None;
        }
    }
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_key(|index| columns[*index].1);
    if named.is_some_and(|named| named != order) {
        return None;
    }
    // A column of the input itself is no output of the model.
    model.producer_of(whole)?;
    let ordered: Vec<String> = order.iter().map(|index| names[*index].to_owned()).collect();
    let (name, tensor) = (title(&ordered), whole.to_owned());
    Some((OutputTensor { name, tensor, element, width: Some(count), ..OutputTensor::default() }, ordered))
}

fn side_by_side(names: &[&str], order: &[usize], element: ElementType) -> (OutputTensor, Vec<String>) {
    let columns: Vec<String> = order.iter().map(|index| names[*index].to_owned()).collect();
    let name = title(&columns);
    let (tensor, width) = (additions::tensor_name(&name), Some(columns.len()));
    (OutputTensor { name, tensor, element, width, columns: columns.clone(), ..OutputTensor::default() }, columns)
}

/// What the columns are called together.
fn title(names: &[String]) -> String {
    const LISTED: usize = 4;
    match names {
        [first, .., last] if names.len() > LISTED => format!("{first}, …, {last}"),
        few => few.join(", "),
    }
}

/// For each class the output that bears its name, if each class has one.
fn by_name(names: &[&str], labels: &[String]) -> Option<Vec<usize>> {
    let bears = |name: &str, label: &str| {
        let before = name.strip_suffix(label);
        before
            .is_some_and(|before| matches!(before, "" | "i" | "s") || before.ends_with(['_', '-', '.', ' ', ':', '/']))
    };
    let one = |label: &String| {
        let mut found = names.iter().enumerate().filter(|(_, name)| bears(name, label)).map(|(index, _)| index);
        found.next().filter(|_| found.next().is_none())
    };
    let order: Vec<usize> = labels.iter().map(one).collect::<Option<_>>()?;
    let mut sorted = order.clone();
    sorted.sort_unstable();
    sorted.iter().enumerate().all(|(place, index)| place == *index).then_some(order)
}

/// The tensor that a column is cut out of, and which of its `count` columns it is.
fn column_of<'m>(model: &'m Model, name: &str, count: usize) -> Option<(&'m str, usize)> {
    const STEPS: usize = 8;
    let mut node = model.producer_of(name)?;
    let mut written = name.to_owned();
    for _ in 0..STEPS {
        let from = node.inputs.first()?.as_str();
        let column = match node.op_type.as_str() {
            "Identity" | "Reshape" | "Squeeze" | "Unsqueeze" | "Flatten" => {
                written = from.to_owned();
                node = model.producer_of(from)?;
                continue;
            }
            "Slice" => sliced(model, node)?,
            "Split" if matches!(int(node, "axis", 0), 1 | -1) && node.outputs.len() == count => {
                i64::try_from(node.outputs.iter().position(|output| *output == written)?).ok()?
            }
            "ArrayFeatureExtractor" => only(model, node, 1)?,
            "Gather" if matches!(int(node, "axis", 0), 1 | -1) => only(model, node, 1)?,
            _ => return None,
        };
        let count = i64::try_from(count).ok()?;
        let column = if column < 0 { column + count } else { column };
        return Some((from, usize::try_from(column).ok()?));
    }
    None
}

/// The column that a Slice of one column begins at.
fn sliced(model: &Model, node: &NodeProto) -> Option<i64> {
    let one = |index: usize, name: &str| match ints(node, name) {
        [value] => Some(*value),
        _ => only(model, node, index),
    };
    let (start, end, axis) = (one(1, "starts")?, one(2, "ends")?, one(3, "axes")?);
    let is_one = end == start + 1 || (start == -1 && end == 0) || end >= i64::from(i32::MAX);
    let steps = node.inputs.get(4).filter(|name| !name.is_empty());
    let in_steps = steps.is_none_or(|_| only(model, node, 4) == Some(1));
    (matches!(axis, 1 | -1) && is_one && in_steps).then_some(start)
}

/// The only value of a constant input.
fn only(model: &Model, node: &NodeProto, index: usize) -> Option<i64> {
    let name = node.inputs.get(index)?;
    let values = match model.constant(name) {
        Some(tensor) => constant_as_labels(tensor)?,
        // A Constant node may hold its number in an attribute of its own.
        None => {
            let constant = model.producer_of(name).filter(|node| node.op_type == "Constant")?;
            let one = attribute(constant, "value_int").map(|value| vec![value.int]);
            one.unwrap_or_else(|| ints(constant, "value_ints").to_vec()).iter().map(ToString::to_string).collect()
        }
    };
    match values.as_slice() {
        [value] => value.parse().ok(),
        _ => None,
    }
}
