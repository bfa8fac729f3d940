//! Inputs of a graph as tensors and named features.

use e2i_core::{ElementType, Error, Feature, InputTensor, Kind, Result, Rows};

use crate::graph::{Model, axes, element_type, tensor_type, type_name};
use crate::missing::{Missing, missing};
use crate::proto::{ValueInfo, data_type};
use crate::width::{self, Widths};

/// Most features of a model; tables and documents end far below.
const MAX_FEATURES: usize = 100_000;

/// Most values of one call of a graph with a fixed number of rows: the row that is asked for is padded to it.
const MAX_FIXED_VALUES: usize = 1 << 22;

/// What a graph takes.
pub(crate) struct Inputs {
    pub tensors: Vec<InputTensor>,
    pub features: Vec<Feature>,
    /// Whether the graph itself names the features.
    pub named: bool,
}

/// Reads the inputs of a graph; `wanted` is how many feature names the caller gives, used where the graph leaves the
/// width of its only matrix open.
pub(crate) fn read(model: &Model, wanted: Option<usize>) -> Result<Inputs> {
    let infos: Vec<&ValueInfo> = model.inputs().collect();
    if infos.is_empty() {
        return Err(Error::new(Kind::Unsupported, "the model takes no inputs"));
    }
    let mut tensors = Vec::with_capacity(infos.len());
    let mut widths = Widths::new(model);
    for info in &infos {
        tensors.push(read_tensor(model, &mut widths, info, wanted.filter(|_| infos.len() == 1))?);
    }
    let total = tensors.iter().try_fold(0usize, |sum, tensor| {
        let width = tensor.shape.iter().try_fold(1usize, |product, axis| product.checked_mul(*axis))?;
        sum.checked_add(width).filter(|sum| *sum <= MAX_FEATURES)
    });
    if total.is_none() {
        return Err(Error::new(Kind::Limit, format!("the model takes more than {MAX_FEATURES} features")));
    }
    let fixed = tensors.iter().filter_map(|tensor| match tensor.rows {
        Rows::Fixed(rows) => Some(rows),
        _ => None,
    });
    if fixed.min().is_some_and(|rows| rows.saturating_mul(total.unwrap_or_default().max(1)) > MAX_FIXED_VALUES) {
        return Err(Error::new(Kind::Limit, "the model fixes its number of rows too high")
            .with_hint("Export it with a free batch dimension."));
    }
    for tensor in &tensors {
        let (least, width) = (width::at_least(model, &tensor.name), tensor.width());
        if least > width {
            let message = format!(
                "a tree of the model reads feature {} of the input {:?}, which has {width}",
                least - 1,
                tensor.name
            );
            return Err(Error::new(Kind::BadModel, message).with_detail("Features of a tree are counted from 0."));
        }
    }
    let columns = tensors.iter().all(|tensor| tensor.width() == 1);
    let metadata = metadata_names(model).filter(|_| wanted.is_none());
    if let (Some(names), Some(total)) = (&metadata, total)
        && names.len() != total
    {
        return Err(Error::new(
            Kind::BadOption,
            format!("the model's metadata has {} feature_names, the graph takes {total} features", names.len()),
        )
        .with_hint("Give the names: feature_names => ARRAY['…', '…']."));
    }
    let is_named = |tensor: &InputTensor| {
        let column = columns && (tensors.len() > 1 || !generic(&tensor.name));
        column || model.vocabulary(&tensor.name).is_some()
    };
    let named = metadata.is_some() || tensors.iter().all(is_named);
    let mut features = Vec::with_capacity(total.unwrap_or_default());
    let widths: Vec<(&str, usize)> = tensors.iter().map(|tensor| (tensor.name.as_str(), tensor.width())).collect();
    let tolerant = missing(model, &widths);
    for (index, (tensor, tolerant)) in tensors.iter().zip(tolerant).enumerate() {
        for (position, found) in tolerant.into_iter().enumerate() {
            let found = match tensor.element {
                ElementType::Text => found,
                // A text cannot stand in a tensor of numbers.
                element if element.is_float() && found.text.is_none() => found,
                _ => Missing::default(),
            };
            let word = model.vocabulary(&tensor.name).and_then(|words| words.get(position));
            let name = match (&metadata, word) {
                (Some(names), _) => names[features.len()].clone(),
                (None, Some(word)) => word.clone(),
                (None, None) if columns => tensor.name.clone(),
                (None, None) => format!("f{}", features.len()),
            };
            features.push(Feature {
                name,
                tensor: index,
                position,
                element: tensor.element,
                required: word.is_none(),
                takes_missing: found.taken && word.is_none(),
                whole: false,
                instant: false,
                categories: None,
                default: match word {
                    Some(_) => Some(serde_json::Value::from(0)),
                    None => found.text.map(serde_json::Value::from),
                },
            });
        }
    }
    Ok(Inputs { tensors, features, named })
}

/// Names that exporters give to an only input, which say nothing about what it holds.
fn generic(name: &str) -> bool {
    matches!(
        name,
        "X" | "x" | "input" | "inputs" | "features" | "float_input" | "double_input" | "int64_input" | "string_input"
    )
}

/// Feature names that the model carries in its metadata: a JSON list, or names separated by commas.
fn metadata_names(model: &Model) -> Option<Vec<String>> {
    let text = model.metadata("feature_names")?;
    let names = serde_json::from_str(text)
        .unwrap_or_else(|_| text.split(',').map(|name| name.trim().to_owned()).collect::<Vec<String>>());
    Some(names).filter(|names| !names.is_empty())
}

fn read_tensor<'m>(
    model: &Model,
    widths: &mut Widths<'m>,
    info: &'m ValueInfo,
    wanted: Option<usize>,
) -> Result<InputTensor> {
    let name = info.name.clone();
    let unsupported = |what: String| {
        Error::new(Kind::Unsupported, format!("input {name:?} of the model is {what}"))
            .with_hint("Supported inputs are tensors of float, double, int32, int64, bool and string, and maps of numbers by name that one DictVectorizer alone reads.")
    };
    let Some(tensor) = tensor_type(info) else {
        return Err(unsupported(type_name(info.kind.as_ref())));
    };
    let Some(element) = element_type(tensor.element) else {
        return Err(unsupported(format!("a tensor of {}", data_type::name(tensor.element))));
    };
    let Some(axes) = axes(tensor) else {
        // No rank at all: a matrix is what exporters mean.
        let columns = open_width(model, widths, &info.name, wanted)?;
        return Ok(InputTensor { name, element, shape: vec![columns], rows: Rows::Free });
    };
    let shown = || {
        let axes: Vec<String> = axes.iter().map(|axis| axis.map_or("?".to_owned(), |axis| axis.to_string())).collect();
        format!("[{}]", axes.join(", "))
    };
    if axes.contains(&Some(0)) {
        let message =
            format!("input {name:?} of the model is declared as {}: an axis of length 0 holds no rows", shown());
        return Err(Error::new(Kind::Unsupported, message)
            .with_hint("Export it with a free axis for the rows, for instance FloatTensorType([None, 4])."));
    }
    let rows = |axis: Option<usize>| axis.map_or(Rows::Free, Rows::Fixed);
    let (shape, rows) = match axes.as_slice() {
        [] => (vec![], Rows::Single),
        // One fixed axis longer than one is the features of a single row, not a batch.
        [Some(fixed)] if *fixed > 1 => (vec![*fixed], Rows::Single),
        [first] => (vec![], rows(*first)),
        [first, rest @ ..] => {
            let open = rest.iter().filter(|axis| axis.is_none()).count();
            let shape = match (open, rest) {
                (0, _) => rest.iter().map(|axis| axis.unwrap_or(1)).collect(),
                (1, [None]) => vec![open_width(model, widths, &info.name, wanted)?],
                _ => {
                    let message = format!(
                        "input {name:?} of the model is declared as {}, with a free axis besides that of the rows, the first",
                        shown()
                    );
                    return Err(Error::new(Kind::Unsupported, message).with_hint(
                        "Fix the other axes at export, for instance with dynamic_axes={'x': {0: 'rows'}}; only the rows may be free.",
                    ));
                }
            };
            (shape, rows(*first))
        }
    };
    Ok(InputTensor { name, element, shape, rows })
}

/// The width of a matrix whose graph leaves it open.
fn open_width<'m>(model: &Model, widths: &mut Widths<'m>, name: &'m str, wanted: Option<usize>) -> Result<usize> {
    if let Some(width) = widths.infer(name).or(wanted) {
        return Ok(width);
    }
    let least = width::at_least(model, name);
    Err(Error::new(Kind::BadOption, format!("the model does not say how many columns its input {name:?} has"))
        .with_detail(if least > 0 {
            format!("It reads at least {least} of them.")
        } else {
            "No operator fixes it.".into()
        })
        .with_hint("Give the names of its columns: feature_names => ARRAY['…', '…']."))
}

/// The element type of the inputs of the graph, in order, for wiring a preprocessor to it.
pub(crate) fn element_types(model: &Model) -> Vec<(String, Option<ElementType>)> {
    model
        .inputs()
        .map(|info| (info.name.clone(), tensor_type(info).and_then(|tensor| element_type(tensor.element))))
        .collect()
}
