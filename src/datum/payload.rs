//! The rows in a payload of `e2i_serve`: this project's form, those of MLflow's scoring server, and the Open Inference Protocol's.
//!
//! What may enter: telling the forms apart, and finding the cells of each row where they stand in the jsonb.
//! What may not: what a cell means to a feature, and answers.
//!
//! Forms: MLflow documentation, "Local Inference Specification"; KServe, "Open Inference Protocol", REST, version 2.

use e2i_core::{Datatype, Error, Interface, Kind, Result, Scalar};

use crate::datum::features::Features;
use crate::datum::jsonb::{Container, Value, scalar_kind};

/// Nested arrays of a tensor's data that are read; no tensor has as many axes.
const AXES: usize = 16;

/// What was sent.
pub struct Payload<'j> {
    /// Its rows.
    pub rows: Rows<'j>,
    /// Of a request of the Open Inference Protocol: the id that its answer repeats.
    pub inference: Option<Option<&'j str>>,
}

/// The rows of a payload.
pub enum Rows<'j> {
    /// One, an object or an array of scalars.
    One(Container<'j>),
    /// An array of them.
    Many(Container<'j>),
    /// Cells that stand elsewhere than side by side in a row of their own.
    Cells(Cells<'j>),
}

/// Rows of as many cells each, row by row.
pub struct Cells<'j> {
    /// The features that they are; in the model's order, if `None`.
    names: Option<Vec<&'j str>>,
    width: usize,
    cells: Vec<Value<'j>>,
    rows: usize,
}

/// The members that hold rows, of which a payload has one.
const FORMS: [&str; 5] = ["features", "dataframe_split", "dataframe_records", "instances", "inputs"];

impl<'j> Payload<'j> {
    /// Finds the rows; `interface` says which tensors hold several features.
    ///
    /// # Errors
    /// [`Kind::BadOption`] saying what is not of a known form.
    pub fn read(payload: Container<'j>, interface: &'j Interface) -> Result<Self> {
        let inner = match payload.get("input_data") {
            Some(Value::Container(inner)) => inner,
            _ => payload,
        };
        let is_enveloped = matches!(payload.get("input_data"), Some(Value::Container(_)));
        let is_array = |value| matches!(value, Value::Container(array) if !array.is_object());
        let given: Vec<&str> = FORMS.into_iter().filter(|form| inner.get(form).is_some()).collect();
        let plain = |rows| Ok(Self { rows, inference: None });
        let (form, rows) = match given.as_slice() {
            // Saved by MLflow as input_example.json, and the body of clients that leave the envelope away.
            [] if inner.get("columns").is_some() && inner.get("data").is_some() => {
                return plain(split(inner, "columns", "data")?);
            }
            // Azure's, of a model of MLflow's: rows without a name around them; and those of older scripts, whose name is data.
            [] if !inner.is_object() && is_rows(payload.get("input_data")) => return plain(records(inner)?),
            [] if is_rows(inner.get("data")) => return plain(of_data(inner)?),
            // Azure's named tensors.
            [] if is_enveloped && inner.count() > 0 && inner.values().all(is_array) => {
                return plain(Rows::Cells(side_by_side(columns_of(inner)?, interface)?));
            }
            [] => return Err(bad("the payload has no \"features\"".to_owned())),
            ["features", ..] => ("features", inner.get("features")),
            [form] => (*form, inner.get(form)),
            [one, another, ..] => {
                return Err(bad(format!("the payload has both {one:?} and {another:?}, one is expected")));
            }
        };
        let Some(Value::Container(rows)) = rows else {
            return Err(bad(format!("{form:?} is neither an object nor an array")));
        };
        match form {
            "features" => plain(Rows::of(rows)),
            "dataframe_split" => plain(split(rows, "columns", "data")?),
            "inputs" if is_inference(rows) => {
                let tensors = rows.elements().enumerate().map(|(place, tensor)| Tensor::read(place, tensor));
                let tensors = tensors.collect::<Result<Vec<_>>>()?;
                let id = match inner.get("id") {
                    Some(Value::Scalar(Scalar::Text(id))) => Some(id),
                    _ => None,
                };
                Ok(Self { rows: Rows::Cells(side_by_side(tensors, interface)?), inference: Some(id) })
            }
            _ if rows.is_object() && form == "inputs" => {
                plain(Rows::Cells(side_by_side(columns_of(rows)?, interface)?))
            }
            _ if rows.is_object() => plain(Rows::One(rows)),
            _ => plain(records(rows)?),
        }
    }
}

impl<'j> Rows<'j> {
    /// An array is one row when its first element is a scalar, else an array of rows.
    fn of(features: Container<'j>) -> Self {
        if features.is_object() {
            return Self::One(features);
        }
        match features.elements().next() {
            Some(Value::Scalar(_)) => Self::One(features),
            _ => Self::Many(features),
        }
    }

    /// The features of each row.
    pub fn iter(&self) -> Box<dyn Iterator<Item = Result<Features<'_>>> + '_> {
        match self {
            Self::One(row) => Box::new(std::iter::once(Ok(Features::of_json(*row)))),
            Self::Many(rows) => Box::new(rows.elements().enumerate().map(|(index, row)| match row {
                Value::Container(row) => Ok(Features::of_json(row)),
                Value::Scalar(_) => {
                    Err(bad(format!("row {} of the payload is neither an object nor an array", index + 1)))
                }
            })),
            Self::Cells(Cells { names, width, cells, rows }) => Box::new((0..*rows).map(move |row| {
                let cells = cells.get(row * width..(row + 1) * width).unwrap_or_default();
                Ok(Features::of_cells(names.as_deref(), cells))
            })),
        }
    }
}

/// The elements of `instances`, `dataframe_records` and `inputs`: rows, or rows of one value each. Values in arrays of their own, as of
/// tensors `[n, 1]`, are taken out of them.
fn records(rows: Container<'_>) -> Result<Rows<'_>> {
    let is_wrapped = |row: Container<'_>| row.values().any(|value| matches!(value, Value::Container(_)));
    match rows.elements().next() {
        Some(Value::Scalar(_)) => {
            let cells: Vec<Value<'_>> = rows.elements().collect();
            Ok(Rows::Cells(Cells { names: None, width: 1, rows: cells.len(), cells }))
        }
        Some(Value::Container(first)) if first.is_object() && is_wrapped(first) => {
            let names: Vec<&str> = first.keys().collect();
            let (width, mut cells) = (names.len(), Vec::with_capacity(names.len() * rows.count()));
            for (index, row) in rows.elements().enumerate() {
                match row {
                    Value::Container(row) if row.is_object() && row.keys().eq(names.iter().copied()) => {
                        cells.extend(row.values().map(alone));
                    }
                    _ => return Err(bad(format!("row {} of the payload has other members than the first", index + 1))),
                }
            }
            Ok(Rows::Cells(Cells { names: Some(names), width, rows: rows.count(), cells }))
        }
        _ => Ok(Rows::Many(rows)),
    }
}

/// A value, or the only one of an array.
fn alone(value: Value<'_>) -> Value<'_> {
    match value {
        Value::Container(array) if !array.is_object() && array.count() == 1 => array.elements().next().unwrap_or(value),
        value => value,
    }
}

/// The columns of an object.
fn columns_of(rows: Container<'_>) -> Result<Vec<Tensor<'_>>> {
    rows.keys().zip(rows.values()).map(|(name, values)| Tensor::of_column(name, values)).collect()
}

/// Whether a value is Seldon's names and ndarray, or an array of rows.
fn is_rows(value: Option<Value<'_>>) -> bool {
    match value {
        Some(Value::Container(data)) if data.is_object() => data.get("ndarray").is_some(),
        Some(Value::Container(data)) => matches!(data.elements().next(), Some(Value::Container(_))),
        _ => false,
    }
}

/// The rows under the name data, see [`is_rows`].
fn of_data(payload: Container<'_>) -> Result<Rows<'_>> {
    match payload.get("data") {
        Some(Value::Container(data)) if data.is_object() => split(data, "names", "ndarray"),
        Some(Value::Container(data)) => records(data),
        _ => Err(bad("\"data\" is no array of rows".to_owned())),
    }
}

/// A data frame as pandas writes it with `orient='split'`, its members by their names. Columns that are numbered have no names.
fn split<'j>(frame: Container<'j>, names: &str, rows: &str) -> Result<Rows<'j>> {
    let Some(Value::Container(data)) = frame.get(rows).filter(|_| frame.is_object()) else {
        return Err(bad(format!("a data frame has no array {rows:?}")));
    };
    let columns = match frame.get(names) {
        None | Some(Value::Scalar(Scalar::Missing)) => return Ok(Rows::Many(data)),
        Some(Value::Container(columns)) if columns.count() == 0 && !columns.is_object() && names == "names" => {
            return Ok(Rows::Many(data));
        }
        Some(Value::Container(columns)) if !columns.is_object() && !data.is_object() => columns,
        Some(_) => return Err(bad(format!("{names:?} and {rows:?} of a data frame are arrays"))),
    };
    let is_numbered = columns.elements().enumerate().all(|(place, column)| {
        matches!(column, Value::Scalar(Scalar::Decimal(number)) if number.to_i64() == i64::try_from(place).ok())
    });
    let name = |column| match column {
        Value::Scalar(Scalar::Text(name)) => Some(name),
        _ => None,
    };
    let names: Option<Vec<&str>> = columns.elements().map(name).collect();
    let names = match names {
        Some(names) => Some(distinct(names)?),
        None if is_numbered => None,
        None => return Err(bad("the columns of a data frame are names".to_owned())),
    };
    let width = columns.count();
    let mut cells = Vec::with_capacity(width * data.count());
    for (index, row) in data.elements().enumerate() {
        match row {
            Value::Container(row) if !row.is_object() && row.count() == width => cells.extend(row.elements()),
            Value::Container(row) if !row.is_object() => {
                let message =
                    format!("row {} of the payload has {} values for {width} columns", index + 1, row.count());
                return Err(bad(message));
            }
            _ => return Err(bad(format!("row {} of the payload is no array", index + 1))),
        }
    }
    Ok(Rows::Cells(Cells { names, width, cells, rows: data.count() }))
}

fn distinct(names: Vec<&str>) -> Result<Vec<&str>> {
    let mut seen = std::collections::HashSet::new();
    match names.iter().find(|name| !seen.insert(**name)) {
        Some(twice) => Err(bad(format!("the payload has {twice:?} twice"))),
        None => Ok(names),
    }
}

/// Whether the elements of `inputs` are tensors of the Open Inference Protocol.
fn is_inference(inputs: Container<'_>) -> bool {
    let has = |tensor: Container<'_>, member| tensor.get(member).is_some();
    matches!(inputs.elements().next(), Some(Value::Container(first)) if !inputs.is_object()
        && has(first, "name") && has(first, "datatype"))
}

/// A tensor by name: as many cells in each row.
struct Tensor<'j> {
    name: &'j str,
    rows: usize,
    width: usize,
    cells: Vec<Value<'j>>,
}

impl<'j> Tensor<'j> {
    /// One of the Open Inference Protocol.
    fn read(place: usize, tensor: Value<'j>) -> Result<Self> {
        let member = |name| match tensor {
            Value::Container(tensor) => tensor.get(name),
            Value::Scalar(_) => None,
        };
        let Some(Value::Scalar(Scalar::Text(name))) = member("name") else {
            return Err(not_inference(format!("input {} has no name", place + 1)));
        };
        let datatype = match member("datatype") {
            Some(Value::Scalar(Scalar::Text(datatype))) => Datatype::named(datatype),
            _ => None,
        };
        let datatype = datatype
            .ok_or_else(|| not_inference(format!("the datatype of input {name:?} is none of {}", Datatype::NAMES)))?;
        let axis = |axis| match axis {
            Value::Scalar(Scalar::Decimal(length)) => length.to_i64().and_then(|length| usize::try_from(length).ok()),
            _ => None,
        };
        let shape: Option<Vec<usize>> = match member("shape") {
            Some(Value::Container(shape)) if !shape.is_object() => shape.elements().map(axis).collect(),
            _ => None,
        };
        let Some([rows, rest @ ..]) = shape.as_deref() else {
            return Err(not_inference(format!(
                "the shape of input {name:?} is no list of lengths, that of rows first"
            )));
        };
        let Some(Value::Container(data)) = member("data") else {
            return Err(not_inference(format!("input {name:?} has no array \"data\"")));
        };
        let mut cells = Vec::new();
        flatten(data, AXES, &mut cells)
            .ok_or_else(|| not_inference(format!("the data of input {name:?} are no values")))?;
        let width = rest.iter().try_fold(1, |width: usize, length| width.checked_mul(*length));
        if width.and_then(|width| width.checked_mul(*rows)) != Some(cells.len()) {
            let message = format!("input {name:?} has {} values, its shape has others", cells.len());
            return Err(not_inference(message));
        }
        let is_other = |cell: &&Value<'_>| !matches!(cell, Value::Scalar(cell) if datatype.holds(cell));
        if let Some(Value::Scalar(other)) = cells.iter().find(is_other) {
            let message = format!("input {name:?} has a {} that is not of its datatype", scalar_kind(other));
            return Err(not_inference(message));
        }
        Ok(Self { name, rows: *rows, width: width.unwrap_or_default(), cells })
    }

    /// A column of MLflow's `inputs`: an array with an element a row, or the only row's value.
    fn of_column(name: &'j str, values: Value<'j>) -> Result<Self> {
        let Value::Container(column) = values else {
            return Ok(Self { name, rows: 1, width: 1, cells: vec![values] });
        };
        let width = match column.elements().next() {
            Some(Value::Container(first)) if !first.is_object() => first.count(),
            _ => 1,
        };
        let mut cells = Vec::new();
        let is_flat = !column.is_object() && flatten(column, 2, &mut cells).is_some();
        if !is_flat || cells.len() != width * column.count() {
            return Err(bad(format!("{name:?} of \"inputs\" is no array with as many values in each row")));
        }
        Ok(Self { name, rows: column.count(), width, cells })
    }
}

/// Appends the scalars of nested arrays, unless there is something else in them, or arrays beside each other differ.
fn flatten<'j>(array: Container<'j>, axes: usize, cells: &mut Vec<Value<'j>>) -> Option<()> {
    if array.is_object() || axes == 0 {
        return None;
    }
    let mut first = None;
    for element in array.elements() {
        let before = cells.len();
        let length = match element {
            Value::Container(inner) => {
                flatten(inner, axes - 1, cells)?;
                Some(inner.count())
            }
            scalar => {
                cells.push(scalar);
                None
            }
        };
        let this = (length, cells.len() - before);
        if *first.get_or_insert(this) != this {
            return None;
        }
    }
    Some(())
}

/// Rows of the cells of several tensors. A name is that of a feature, or of a tensor of the model, which holds several; the only one
/// that is sent may have any name.
fn side_by_side<'j>(tensors: Vec<Tensor<'j>>, interface: &'j Interface) -> Result<Cells<'j>> {
    let rows = tensors.first().map_or(0, |tensor| tensor.rows);
    if let Some(other) = tensors.iter().find(|tensor| tensor.rows != rows) {
        let first = tensors.first().map_or("", |tensor| tensor.name);
        return Err(bad(format!("{:?} has {} rows, {first:?} has {rows}", other.name, other.rows)));
    }
    let is_feature = |name: &str| interface.features.iter().any(|feature| feature.name == name);
    let members = |name: &str| -> Vec<&'j str> {
        if let Some(vector) = interface.vectors.iter().find(|vector| vector.name == name) {
            return vector.features().map(|feature| interface.features[feature].name.as_str()).collect();
        }
        let Some(place) = interface.inputs.iter().position(|input| input.name == name) else { return vec![] };
        let of_tensor = interface.features.iter().filter(|feature| feature.tensor == place);
        of_tensor.map(|feature| feature.name.as_str()).collect()
    };
    if let [only] = tensors.as_slice()
        && !(is_feature(only.name) && only.width == 1)
        && members(only.name).len() != only.width
    {
        return Ok(match tensors.into_iter().next() {
            Some(Tensor { width, cells, .. }) => Cells { names: None, width, cells, rows },
            None => Cells { names: None, width: 0, cells: vec![], rows: 0 },
        });
    }
    let mut names = Vec::new();
    for tensor in &tensors {
        let several = members(tensor.name);
        match tensor.width {
            1 if is_feature(tensor.name) => names.push(tensor.name),
            width if several.len() == width => names.extend(several),
            1 => names.push(tensor.name),
            width => {
                let takes = if several.is_empty() { 1 } else { several.len() };
                return Err(bad(format!("{:?} has {width} values a row, the model takes {takes}", tensor.name)));
            }
        }
    }
    let names = distinct(names)?;
    let mut cells = Vec::with_capacity(names.len() * rows);
    for row in 0..rows {
        for tensor in &tensors {
            cells.extend(tensor.cells.get(row * tensor.width..(row + 1) * tensor.width).unwrap_or_default());
        }
    }
    Ok(Cells { width: names.len(), names: Some(names), cells, rows })
}

fn bad(message: String) -> Error {
    Error::new(Kind::BadOption, message).with_hint(
        "Send {\"features\": X} or {\"input_data\": {\"features\": X}}; X is an object, an array of objects, an array of numbers or an \
         array of arrays. MLflow's dataframe_split, dataframe_records, instances and inputs are taken, too.",
    )
}

fn not_inference(message: String) -> Error {
    Error::new(Kind::BadOption, message).with_hint(
        "Send {\"inputs\": [{\"name\": \"age\", \"shape\": [2, 1], \"datatype\": \"FP64\", \"data\": [41, 38]}, …]}.",
    )
}
