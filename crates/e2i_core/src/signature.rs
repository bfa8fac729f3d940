//! MLflow model signatures: reading, checking against an interface, writing.
//!
//! MLflow writes `{"inputs": …, "outputs": …}` where both are lists of columns (`{"name", "type", "required"}`) or of
//! tensors (`{"type": "tensor", "tensor-spec": {"dtype", "shape"}}`), usually as a JSON text inside the JSON; both are
//! read. `default` is this project's addition. Format: MLflow documentation, "Model Signatures and Input Examples".

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::bind::check_default;
use crate::error::{Error, Kind, Result};
use crate::interface::{ElementType, Interface};

/// A parsed signature.
#[derive(Debug, Clone, PartialEq)]
pub struct Signature {
    inputs: Option<Vec<Column>>,
    /// Kept as given; only checked to be a list.
    outputs: Option<Value>,
}

#[derive(Debug, Clone, PartialEq)]
struct Column {
    name: Option<String>,
    kind: String,
    required: Option<bool>,
    default: Option<Value>,
    shape: Option<Vec<i64>>,
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
        Ok(Self { inputs, outputs })
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
            let fits = type_fits(&column.kind, feature.element)
                .ok_or_else(|| bad(format!("input {:?} has the unknown type {:?}", feature.name, column.kind)))?;
            if !fits {
                return Err(Error::new(
                    Kind::TypeMismatch,
                    format!(
                        "input {:?} is {} in the signature and {} in the graph",
                        feature.name, column.kind, feature.element
                    ),
                ));
            }
            feature.whole = matches!(column.kind.as_str(), "integer" | "long") && feature.element.is_float();
            if let Some(required) = column.required {
                feature.required = required;
                feature.takes_missing |=
                    !required && (feature.element.is_float() || feature.element == ElementType::Text);
            }
            if let Some(default) = &column.default {
                check_default(feature, default).map_err(|_| {
                    bad(format!("the default {default} of input {:?} is no {}", feature.name, feature.element))
                })?;
                feature.default = Some(default.clone());
                feature.required = column.required.unwrap_or(false);
            } else if !feature.required && !feature.takes_missing {
                return Err(bad(format!(
                    "input {:?} is not required, and {} has no value for what is missing: give it a default",
                    feature.name, feature.element
                )));
            }
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
                    input["type"] = json!(column.kind);
                }
            }
        }
        if let Some(outputs) = &self.outputs {
            whole["outputs"] = outputs.clone();
        }
        whole
    }

    /// The signature of an interface, in MLflow's form.
    #[must_use]
    pub fn describe(interface: &Interface) -> Value {
        let inputs: Vec<Value> = interface
            .features
            .iter()
            .map(|feature| {
                let mut column = Map::new();
                column.insert("name".into(), json!(feature.name));
                column.insert("type".into(), json!(if feature.whole { "long" } else { mlflow_type(feature.element) }));
                column.insert("required".into(), json!(feature.required));
                if let Some(default) = &feature.default {
                    column.insert("default".into(), default.clone());
                }
                Value::Object(column)
            })
            .collect();
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
    match interface.features.iter().find(|feature| !seen.insert(feature.name.as_str())) {
        None => Ok(()),
        Some(twice) => Err(Error::new(Kind::BadOption, format!("two features are called {:?}", twice.name))),
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
        let (kind, shape) = match (kind.as_str(), value.get("tensor-spec")) {
            ("tensor", Some(spec)) => {
                let element = spec.get("dtype").and_then(Value::as_str).unwrap_or_default().to_owned();
                let shape = spec.get("shape").and_then(Value::as_array);
                (element, shape.map(|axes| axes.iter().map(|axis| axis.as_i64().unwrap_or(-1)).collect()))
            }
            _ => (kind, None),
        };
        Ok(Self {
            name: value.get("name").and_then(Value::as_str).map(str::to_owned),
            kind,
            required: value.get("required").and_then(Value::as_bool),
            default: value.get("default").filter(|default| !default.is_null()).cloned(),
            shape,
        })
    }
}

fn check_tensor(interface: &Interface, element: &str, shape: &[i64]) -> Result<()> {
    let width: i64 = shape.iter().skip(1).product();
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
    fn what_is_described_is_read_again() {
        let mut model = interface();
        model.features[1].default = Some(json!(0.5));
        model.features[1].required = false;
        let again = Signature::parse(&Signature::describe(&model)).unwrap();
        let mut other = interface();
        again.complete(&mut other, true).unwrap();
        assert_eq!(other.features[1].default, model.features[1].default);
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
