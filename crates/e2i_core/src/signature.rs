//! MLflow model signatures: reading, checking against an interface, writing.
//!
//! MLflow writes `{"inputs": …, "outputs": …}` where both are lists of columns (`{"name", "type", "required"}`) or of
//! tensors (`{"type": "tensor", "tensor-spec": {"dtype", "shape"}}`), usually as a JSON text inside the JSON; both are
//! read, and arrays of them. `default` is this project's addition. Format: MLflow documentation, "Model Signatures and Input Examples".

mod arrays;

use std::collections::HashMap;
use std::ops::Range;

use serde_json::{Map, Value, json};

use crate::bind::check_default;
use crate::categories::{Categories, Category, Unseen};
use crate::error::{Error, Kind, Result};
use crate::interface::{ElementType, Feature, Interface, Vector};

/// A parsed signature.
#[derive(Debug, Clone, PartialEq)]
pub struct Signature {
    inputs: Option<Vec<Column>>,
    /// Kept as given; only checked to be a list.
    outputs: Option<Value>,
    /// Kept as given: nothing here takes parameters.
    params: Vec<Value>,
}

#[derive(Debug, Clone, PartialEq)]
struct Column {
    name: Option<String>,
    /// Of an array, that of its values.
    kind: String,
    /// What an array says it holds, as given.
    items: Option<Value>,
    required: Option<bool>,
    default: Option<Value>,
    shape: Option<Vec<i64>>,
    /// The values of a category whose codes the model takes; this project's addition.
    categories: Option<Vec<Category>>,
}

fn bad(message: impl Into<String>) -> Error {
    Error::new(Kind::BadOption, message).with_hint(
        r#"MLflow's form is {"inputs": [{"name": "age", "type": "double", "required": true}, …], "outputs": […]}."#,
    )
}

impl Signature {
    /// Reads MLflow's form.
    ///
    /// # Errors
    /// [`Kind::BadOption`] saying what is not of that form.
    pub fn parse(value: &Value) -> Result<Self> {
        let Value::Object(fields) = value else {
            return Err(bad("the signature is not a JSON object"));
        };
        if let Some(unknown) = fields.keys().find(|key| !matches!(key.as_str(), "inputs" | "outputs" | "params")) {
            return Err(bad(format!("the signature has an unknown field {unknown:?}")));
        }
        let inputs = match list_of(fields, "inputs")? {
            None => None,
            Some(columns) => Some(columns.iter().map(Column::parse).collect::<Result<Vec<_>>>()?),
        };
        let outputs = list_of(fields, "outputs")?.map(Value::Array);
        let params = list_of(fields, "params")?.unwrap_or_default();
        Ok(Self { inputs, outputs, params })
    }

    /// The names of parameters that MLflow would pass to the model: here they are kept, and do nothing.
    pub fn unused_params(&self) -> impl Iterator<Item = &str> {
        self.params.iter().map(|param| param.get("name").and_then(Value::as_str).unwrap_or("without a name"))
    }

    /// Checks the signature against what the graph says, and completes the interface: names where the graph has none
    /// (`named` is false), required, whole numbers, defaults.
    ///
    /// # Errors
    /// [`Kind::BadOption`] or [`Kind::TypeMismatch`] naming the feature on which the two disagree.
    pub fn complete(&self, interface: &mut Interface, named: bool) -> Result<()> {
        let Some(columns) = &self.inputs else { return Ok(()) };
        if let [Column { name: None, shape: Some(shape), kind, .. }] = columns.as_slice() {
            return check_tensor(interface, kind, shape);
        }
        if let Some(places) = arrays::places(columns, interface, named)? {
            return complete_arrays(columns, &places, interface, named);
        }
        if columns.len() != interface.features.len() {
            return Err(bad(format!(
                "the signature has {} inputs, the model takes {} features",
                columns.len(),
                interface.features.len()
            )));
        }
        let mut described = vec![false; columns.len()];
        let mut places = HashMap::new();
        if named {
            // Of two features of one name the first is meant, until that is refused below.
            let names = interface.features.iter().map(|feature| feature.name.clone());
            names.enumerate().for_each(|(place, name)| _ = places.entry(name).or_insert(place));
        }
        for (position, column) in columns.iter().enumerate() {
            let index = match &column.name {
                Some(name) if named => *places
                    .get(name)
                    .ok_or_else(|| bad(format!("the signature has an input {name:?} that the graph does not take")))?,
                _ => position,
            };
            let feature = &mut interface.features[index];
            if std::mem::replace(&mut described[index], true) {
                return Err(bad(format!("the signature has the input {:?} twice", feature.name)));
            }
            if let (Some(name), false) = (&column.name, named) {
                feature.name.clone_from(name);
            }
            column.complete(feature, column.default.as_ref())?;
        }
        check_unique(interface)
    }

    /// The signature of an interface with what was given here and the interface does not keep: types and outputs as they
    /// were called.
    #[must_use]
    pub fn completed(&self, interface: &Interface) -> Value {
        let mut whole = Self::describe(interface);
        if let (Some(Value::Array(inputs)), Some(columns)) = (whole.get_mut("inputs"), &self.inputs) {
            let mut given = HashMap::new();
            for column in columns {
                if let Some(name) = &column.name {
                    given.entry(name.as_str()).or_insert(column);
                }
            }
            for input in inputs {
                let column = input["name"].as_str().and_then(|name| given.get(name));
                if let Some(column) = column.filter(|column| column.shape.is_none()) {
                    match &column.items {
                        Some(items) => input["items"] = items.clone(),
                        None => input["type"] = json!(column.kind),
                    }
                    if let Some(categories) = &column.categories {
                        input["categories"] = json!(categories);
                    }
                }
            }
        }
        if let Some(outputs) = &self.outputs {
            whole["outputs"] = outputs.clone();
        }
        if !self.params.is_empty() {
            whole["params"] = json!(self.params);
        }
        whole
    }

    /// The signature of an interface, in MLflow's form.
    #[must_use]
    pub fn describe(interface: &Interface) -> Value {
        let mut inputs: Vec<Value> = vec![];
        let mut index = 0;
        while let Some(feature) = interface.features.get(index) {
            let vector = interface.vectors.iter().find(|vector| vector.first == index);
            let mut column = Map::new();
            let kind = match &feature.categories {
                Some(categories) => categories.mlflow_type(),
                None if feature.whole => "long",
                None if feature.instant => "datetime",
                None => mlflow_type(feature.element),
            };
            let features = vector.map_or(index..index + 1, Vector::features);
            column.insert("name".into(), json!(vector.map_or(&feature.name, |vector| &vector.name)));
            column.insert("type".into(), json!(if vector.is_some() { "array" } else { kind }));
            if vector.is_some() {
                column.insert("items".into(), json!({ "type": kind }));
            }
            column.insert("required".into(), json!(feature.required));
            let defaults = interface.features.get(features.clone()).unwrap_or_default();
            let defaults: Option<Vec<&Value>> = defaults.iter().map(|feature| feature.default.as_ref()).collect();
            match defaults.as_deref() {
                Some([default]) if vector.is_none() => _ = column.insert("default".into(), (*default).clone()),
                Some(defaults) => _ = column.insert("default".into(), json!(defaults)),
                None => {}
            }
            inputs.push(Value::Object(column));
            index = features.end.max(index + 1);
        }
        let outputs: Vec<Value> = interface
            .outputs
            .iter()
            .map(|output| {
                let width = output.width.map_or(-1, |width| width as i64);
                json!({"name": output.name, "type": "tensor",
                       "tensor-spec": {"dtype": output.element.name(), "shape": [-1, width]}})
            })
            .collect();
        json!({"inputs": inputs, "outputs": outputs})
    }
}

/// Feature names must be unique and not empty, or binding by name would be arbitrary.
///
/// # Errors
/// [`Kind::BadOption`] naming the feature.
pub(crate) fn check_unique(interface: &Interface) -> Result<()> {
    if let Some(position) = interface.features.iter().position(|feature| feature.name.trim().is_empty()) {
        return Err(Error::new(Kind::BadOption, format!("feature {} has no name", position + 1)));
    }
    let mut seen = std::collections::HashSet::new();
    let names = (interface.features.iter().map(|feature| feature.name.as_str()))
        .chain(interface.vectors.iter().map(|vector| vector.name.as_str()));
    match names.into_iter().find(|name| !seen.insert(*name)) {
        None => Ok(()),
        Some(twice) => Err(Error::new(Kind::BadOption, format!("two features are called {twice:?}"))),
    }
}

impl Interface {
    /// Names the features in order.
    ///
    /// # Errors
    /// [`Kind::BadOption`] when the count differs or a name occurs twice.
    pub fn rename_features(&mut self, names: &[String]) -> Result<()> {
        if names.len() != self.features.len() {
            return Err(Error::new(
                Kind::BadOption,
                format!("feature_names has {} names, the model takes {} features", names.len(), self.features.len()),
            ));
        }
        for (feature, name) in self.features.iter_mut().zip(names) {
            feature.name.clone_from(name);
        }
        check_unique(self)
    }
}

fn list_of(fields: &Map<String, Value>, key: &str) -> Result<Option<Vec<Value>>> {
    match fields.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(list)) => Ok(Some(list.clone())),
        Some(Value::String(text)) => match serde_json::from_str(text) {
            Ok(Value::Array(list)) => Ok(Some(list)),
            _ => Err(bad(format!("the signature's {key} is not a list"))),
        },
        Some(_) => Err(bad(format!("the signature's {key} is not a list"))),
    }
}

impl Column {
    fn parse(value: &Value) -> Result<Self> {
        let kind = match value.get("type") {
            Some(Value::String(kind)) => kind.clone(),
            _ => return Err(bad(format!("the signature has an input without a type: {value}"))),
        };
        let is_array = kind == "array";
        let (kind, shape) = match (kind.as_str(), value.get("tensor-spec")) {
            ("tensor", Some(spec)) => {
                let element = spec.get("dtype").and_then(Value::as_str).unwrap_or_default().to_owned();
                let shape = spec.get("shape").and_then(Value::as_array);
                (element, shape.map(|axes| axes.iter().map(|axis| axis.as_i64().unwrap_or(-1)).collect()))
            }
            ("array", _) if arrays::element_kind(value).is_some() => {
                (arrays::element_kind(value).unwrap_or_default(), None)
            }
            ("array" | "map" | "any" | "binary" | "sparse" | "datetime64", _) => return Err(no_value(value, &kind)),
            ("object", None) => return Err(no_value(value, &kind)),
            _ => (kind, None),
        };
        Ok(Self {
            name: stated(value, "name", "a text", |name| name.as_str().map(str::to_owned))?,
            items: value.get("items").filter(|_| is_array).cloned(),
            kind,
            required: stated(value, "required", "true or false", Value::as_bool)?,
            default: value.get("default").filter(|default| !default.is_null()).cloned(),
            shape,
            categories: value.get("categories").filter(|list| !list.is_null()).map(categories).transpose()?,
        })
    }

    /// Checks what the column says against a feature, and completes that; the default is the feature's part of the column's.
    fn complete(&self, feature: &mut Feature, default: Option<&Value>) -> Result<()> {
        if let Some(values) = &self.categories {
            state_categories(feature, values)?;
        }
        let fits = column_fits(&self.kind, feature)
            .ok_or_else(|| bad(format!("input {:?} has the unknown type {:?}", feature.name, self.kind)))?;
        if !fits {
            return Err(Error::new(
                Kind::TypeMismatch,
                format!(
                    "input {:?} is {} in the signature and {} in the {}",
                    feature.name,
                    self.kind,
                    feature.type_name(),
                    if feature.categories.is_some() { "model's categories" } else { "graph" }
                ),
            ));
        }
        let is_plain = feature.categories.is_none();
        feature.whole = is_plain && matches!(self.kind.as_str(), "integer" | "long") && feature.element.is_float();
        feature.instant = is_plain && self.kind == "datetime";
        if let Some(required) = self.required {
            feature.required = required;
            feature.takes_missing |= !required && (feature.element.is_float() || feature.element == ElementType::Text);
        }
        if let Some(default) = default {
            check_default(feature, default).map_err(|_| {
                let what = match &feature.categories {
                    Some(categories) => format!("none of its categories, {}", categories.shown()),
                    None => format!("no {}", feature.element),
                };
                bad(format!("the default {default} of input {:?} is {what}", feature.name))
            })?;
            feature.default = Some(default.clone());
            feature.required = self.required.unwrap_or(false);
        } else if !feature.required && !feature.takes_missing {
            return Err(bad(format!(
                "input {:?} is not required, and {} has no value for what is missing: give it a default",
                feature.name, feature.element
            )));
        }
        Ok(())
    }
}

/// Completes features of which a column has one or several.
fn complete_arrays(columns: &[Column], places: &[Range<usize>], interface: &mut Interface, named: bool) -> Result<()> {
    for (column, range) in columns.iter().zip(places) {
        if let (Some(name), true) = (&column.name, column.is_array()) {
            interface.vectors.push(Vector { name: name.clone(), first: range.start, count: range.len() });
        }
        let defaults = match &column.default {
            Some(Value::Array(values)) if column.is_array() && values.len() == range.len() => Some(values),
            Some(default) if column.is_array() => {
                let message = format!(
                    "the default {default} of the array {:?} is no list of {} values",
                    column.name,
                    range.len()
                );
                return Err(bad(message));
            }
            _ => None,
        };
        for (place, index) in range.clone().enumerate() {
            let feature = &mut interface.features[index];
            if let (Some(name), false) = (&column.name, named) {
                feature.name = if column.is_array() { format!("{name}[{}]", place + 1) } else { name.clone() };
            }
            let default =
                defaults.map_or(column.default.as_ref().filter(|_| !column.is_array()), |values| values.get(place));
            column.complete(feature, default)?;
        }
    }
    check_unique(interface)
}

/// A member of a column, if it is there; `is` says what it must be.
fn stated<T>(column: &Value, key: &str, is: &str, read: impl Fn(&Value) -> Option<T>) -> Result<Option<T>> {
    let member = column.get(key).filter(|member| !member.is_null());
    let refused = |member| bad(format!("{key} of an input of the signature is {is}, not {member}"));
    member.map(|member| read(member).ok_or_else(|| refused(member))).transpose()
}

fn categories(list: &Value) -> Result<Vec<Category>> {
    let read: Option<Vec<Category>> = list.as_array().and_then(|list| list.iter().map(Category::from_json).collect());
    read.filter(|values| !values.is_empty())
        .ok_or_else(|| bad(format!("the categories of an input are no list of texts, numbers and booleans: {list}")))
}

/// Takes the values of a category from the signature, in the order of their codes.
fn state_categories(feature: &mut Feature, values: &[Category]) -> Result<()> {
    match &feature.categories {
        Some(known) if known.values == values => Ok(()),
        Some(known) => {
            Err(bad(format!("input {:?} has other categories in the model: {}", feature.name, known.shown())))
        }
        None if feature.element.is_float() => {
            feature.categories = Some(Categories { values: values.to_vec(), unseen: Unseen::Refused });
            Ok(())
        }
        None => Err(Error::new(
            Kind::TypeMismatch,
            format!(
                "input {:?} has categories in the signature and takes {} in the graph",
                feature.name, feature.element
            ),
        )),
    }
}

/// A type whose values are none of a feature's.
fn no_value(column: &Value, kind: &str) -> Error {
    let name = column
        .get("name")
        .and_then(Value::as_str)
        .map_or_else(|| "an input".to_owned(), |name| format!("input {name:?}"));
    Error::new(
        Kind::Unsupported,
        format!("{name} is of the type {kind:?} in the signature, and a feature is one number, boolean, text or point in time"),
    )
    .with_hint("Describe each value that the model takes as an input of its own, or leave the signature out: names and types are read from the model.")
}

fn check_tensor(interface: &Interface, element: &str, shape: &[i64]) -> Result<()> {
    let width = shape.iter().skip(1).fold(1_i64, |width, axis| width.saturating_mul(*axis));
    if width >= 0 && width != interface.features.len() as i64 {
        return Err(bad(format!(
            "the signature's tensor has {width} values a row, the model takes {} features",
            interface.features.len()
        )));
    }
    match interface.features.iter().find(|feature| type_fits(element, feature.element) != Some(true)) {
        None => Ok(()),
        Some(feature) => Err(Error::new(
            Kind::TypeMismatch,
            format!("the signature's tensor is {element}, the model takes {} there", feature.element),
        )),
    }
}

/// Whether values of an MLflow or numpy type can go into a tensor; `None` for an unknown type.
fn type_fits(kind: &str, element: ElementType) -> Option<bool> {
    let number = element != ElementType::Text;
    Some(match kind {
        "double" | "float" | "float32" | "float64" => element.is_float(),
        "integer" | "long" | "int32" | "int64" | "datetime" => number && element != ElementType::Bool,
        "boolean" | "bool" => number,
        "string" | "object" | "str" => !number,
        _ => return None,
    })
}

/// The same for a column. MLflow has a column of whole numbers declared as double where values can be missing, and categories as
/// what they are, as text, or as numbers.
fn column_fits(kind: &str, feature: &Feature) -> Option<bool> {
    let known = type_fits(kind, feature.element)?;
    Some(match &feature.categories {
        None => {
            known
                || matches!(feature.element, ElementType::Int32 | ElementType::Int64)
                    && matches!(kind, "double" | "float")
        }
        Some(categories) => match (categories.type_name(), kind) {
            ("any", _) | (_, "string" | "str" | "object") => true,
            ("string", _) | (_, "datetime") => false,
            ("float64" | "int64", number) => !matches!(number, "boolean" | "bool"),
            (_, number) => !matches!(number, "double" | "float" | "float32" | "float64"),
        },
    })
}

fn mlflow_type(element: ElementType) -> &'static str {
    match element {
        ElementType::Float32 => "float",
        ElementType::Float64 => "double",
        ElementType::Int32 => "integer",
        ElementType::Int64 => "long",
        ElementType::Bool => "boolean",
        ElementType::Text => "string",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{feature, regression};

    fn interface() -> Interface {
        regression(vec![feature("f0", 0, ElementType::Float32), feature("f1", 1, ElementType::Float32)])
    }

    #[test]
    fn names_required_and_defaults_come_from_the_signature() {
        let text = r#"[{"name": "age", "type": "long"}, {"name": "score", "type": "double", "required": false}]"#;
        let signature = Signature::parse(&json!({"inputs": text, "outputs": null})).unwrap();
        let mut model = interface();
        signature.complete(&mut model, false).unwrap();
        assert_eq!(model.features[0].name, "age");
        assert!(model.features[0].whole && model.features[0].required);
        assert!(model.features[1].takes_missing && !model.features[1].required);
    }

    #[test]
    fn a_column_that_is_none_is_refused() {
        for (column, why) in [
            (
                r#"{"name": "a", "type": "double", "required": "maybe"}"#,
                "required of an input of the signature is true or false, not \"maybe\"",
            ),
            (r#"{"name": 3, "type": "double"}"#, "name of an input of the signature is a text, not 3"),
        ] {
            let signature = serde_json::from_str(&format!(r#"{{"inputs": [{column}]}}"#)).unwrap();
            assert_eq!(Signature::parse(&signature).unwrap_err().message(), why);
        }
        let unsaid = serde_json::json!({"inputs": [{"name": null, "type": "double", "required": null}]});
        assert!(Signature::parse(&unsaid).is_ok());
    }

    #[test]
    fn what_is_described_is_read_again() {
        let mut model = interface();
        model.features[1].default = Some(json!(0.5));
        model.features[1].required = false;
        let again = Signature::parse(&Signature::describe(&model)).unwrap();
        let mut other = interface();
        again.complete(&mut other, true).unwrap();
        assert_eq!(other.features[1].default, model.features[1].default);
    }

    fn columns(kinds: [&str; 2]) -> Signature {
        let column = |name: &str, kind: &str| json!({"name": name, "type": kind, "required": true});
        Signature::parse(&json!({"inputs": [column("a", kinds[0]), column("b", kinds[1])]})).unwrap()
    }

    #[test]
    fn whole_numbers_may_be_declared_double_for_the_sake_of_missing_ones() {
        let mut model = regression(vec![feature("a", 0, ElementType::Int64), feature("b", 1, ElementType::Int64)]);
        columns(["double", "float"]).complete(&mut model, true).unwrap();
        assert!(!model.features[0].takes_missing);
        assert_eq!(columns(["double", "float"]).completed(&model)["inputs"][0]["type"], "double");
        let mut flags = regression(vec![feature("a", 0, ElementType::Bool), feature("b", 1, ElementType::Bool)]);
        assert!(columns(["double", "boolean"]).complete(&mut flags, true).is_err());
    }

    #[test]
    fn categories_are_what_their_values_are() {
        let model = || {
            let mut model = interface();
            for (index, values) in [json!(["a", "b"]), json!([3, 8])].into_iter().enumerate() {
                let values = serde_json::from_value(values).unwrap();
                model.features[index].categories = Some(Categories { values, unseen: Unseen::Missing });
            }
            (model.features[0].name, model.features[1].name) = ("a".into(), "b".into());
            model
        };
        assert_eq!(Signature::describe(&model())["inputs"][0]["type"], "string");
        assert_eq!(Signature::describe(&model())["inputs"][1]["type"], "long");
        for kinds in [["string", "long"], ["string", "string"], ["string", "double"]] {
            let mut model = model();
            columns(kinds).complete(&mut model, true).unwrap();
            assert!(!model.features[1].whole);
        }
        let error = columns(["double", "long"]).complete(&mut model(), true).unwrap_err();
        assert!(
            error.message().contains(r#""a" is double in the signature and string in the model's categories"#),
            "{error}"
        );
        assert!(columns(["string", "boolean"]).complete(&mut model(), true).is_err());
    }

    #[test]
    fn what_is_no_value_is_named_and_params_are_kept() {
        for kind in ["array", "object", "map", "any", "binary"] {
            let error = Signature::parse(&json!({"inputs": [{"name": "emb", "type": kind}]})).unwrap_err();
            assert_eq!(error.kind(), Kind::Unsupported);
            assert!(error.message().contains(&format!("input \"emb\" is of the type {kind:?}")), "{error}");
        }
        let params = r#"[{"name": "temperature", "type": "double", "default": 0.5, "shape": null}]"#;
        let signature = Signature::parse(&json!({"inputs": null, "params": params})).unwrap();
        assert_eq!(signature.unused_params().collect::<Vec<_>>(), ["temperature"]);
        assert_eq!(signature.completed(&interface())["params"][0]["default"], 0.5);
    }

    #[test]
    fn disagreement_names_the_feature() {
        let cases = [
            (json!({"inputs": [{"name": "a", "type": "string"}, {"name": "b", "type": "double"}]}), "\"a\" is string"),
            (json!({"inputs": [{"name": "a", "type": "double"}]}), "1 inputs"),
            (json!({"inputs": [{"name": "a", "type": "double"}, {"name": "a", "type": "double"}]}), "two features"),
            (
                json!({"inputs": [{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 3]}}]}),
                "3 values",
            ),
            (json!({"inputs": [{"name": "a", "type": "uuid"}, {"name": "b", "type": "double"}]}), "unknown type"),
            (
                json!({"inputs": [{"name": "a", "type": "double", "default": "x"}, {"name": "b", "type": "double"}]}),
                "default",
            ),
        ];
        for (value, expected) in cases {
            let error = Signature::parse(&value).and_then(|s| s.complete(&mut interface(), false)).unwrap_err();
            assert!(error.message().contains(expected), "{error}");
        }
        assert!(Signature::parse(&json!([])).is_err());
        assert!(Signature::parse(&json!({"inputs": 3})).is_err());
    }

    #[test]
    fn a_long_signature_is_not_searched_column_by_column() {
        const COUNT: usize = 200_000;
        let name = |index: usize| format!("f{index}");
        let mut model = regression((0..COUNT).map(|i| feature(&name(i), i, ElementType::Float32)).collect());
        let columns: Vec<Value> = (0..COUNT).rev().map(|i| json!({"name": name(i), "type": "double"})).collect();
        let signature = Signature::parse(&json!({ "inputs": columns })).unwrap();
        signature.complete(&mut model, true).unwrap();
        assert_eq!(
            signature.completed(&model)["inputs"][COUNT - 1],
            json!({"name": name(COUNT - 1), "type": "double", "required": true})
        );
    }
}
