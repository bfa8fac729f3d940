//! Columns of a signature that are arrays: which features of the model each of them is.
//!
//! MLflow writes `{"type": "array", "items": {"type": "double"}}`, without a length, and named tensors with one.

use std::ops::Range;

use serde_json::Value;

use super::{Column, bad};
use crate::error::{Error, Kind, Result};
use crate::interface::Interface;

/// Arrays within arrays that are read; no tensor has as many axes.
const AXES: usize = 16;

/// The type of the values in an array of arrays; `None` for one of anything else.
pub(super) fn element_kind(column: &Value) -> Option<String> {
    let mut items = column.get("items")?;
    for _ in 0..AXES {
        match items.get("type").and_then(Value::as_str)? {
            "array" => items = items.get("items")?,
            "object" | "map" | "any" | "binary" | "sparse" | "tensor" => return None,
            kind => return Some(kind.to_owned()),
        }
    }
    None
}

impl Column {
    /// Whether it stands for several features.
    pub(super) fn is_array(&self) -> bool {
        self.items.is_some()
            || (self.name.is_some() && self.width().is_none_or(|width| width > 1) && self.shape.is_some())
    }

    /// Values of a row of a tensor, where the shape says it.
    fn width(&self) -> Option<i64> {
        let axes = self.shape.as_ref()?.get(1..)?;
        axes.iter().try_fold(1_i64, |width, axis| width.checked_mul(*axis)).filter(|width| *width >= 0)
    }

    fn called(&self) -> &str {
        self.name.as_deref().unwrap_or("without a name")
    }
}

/// The features of each column, if any of them is an array: by the names of the model's inputs, by their order, or what the columns
/// that are none leave over. `named` is whether the model names its features.
pub(super) fn places(columns: &[Column], interface: &Interface, named: bool) -> Result<Option<Vec<Range<usize>>>> {
    if !columns.iter().any(Column::is_array) {
        return Ok(None);
    }
    let mut first = 0;
    let tensors: Vec<Range<usize>> = (interface.inputs.iter())
        .map(|tensor| {
            let range = first..first + tensor.width();
            first = range.end;
            range
        })
        .collect();
    let of_tensor = |column: &Column| {
        let name = column.name.as_deref()?;
        interface.inputs.iter().position(|tensor| tensor.name == name).map(|place| tensors[place].clone())
    };
    let by_name: Vec<Option<Range<usize>>> = columns.iter().map(of_tensor).collect();
    let fits = |column: &Column, range: &Range<usize>| column.is_array() || range.len() == 1;
    let places = if by_name.iter().all(Option::is_some) {
        by_name.into_iter().flatten().collect()
    } else if columns.len() == tensors.len()
        && by_name.iter().all(Option::is_none)
        && columns.iter().zip(&tensors).all(|(column, range)| fits(column, range))
    {
        tensors
    } else if by_name.iter().any(Option::is_some) && tensors.len() > 1 {
        return Err(untold(columns, interface));
    } else {
        left_over(columns, interface, named)?
    };
    let mut is_taken = vec![false; interface.features.len()];
    for (column, range) in columns.iter().zip(&places) {
        if !fits(column, range) {
            return Err(Error::new(
                Kind::TypeMismatch,
                format!(
                    "input {:?} is {} in the signature and {} values in the model",
                    column.called(),
                    column.kind,
                    range.len()
                ),
            ));
        }
        let feature = &interface.features[range.start];
        if named && column.is_array() && range.len() == 1 && feature.name == column.called() {
            return Err(Error::new(
                Kind::TypeMismatch,
                format!(
                    "input {:?} is an array in the signature and one {} in the model",
                    feature.name,
                    feature.type_name()
                ),
            ));
        }
        let takes = i64::try_from(range.len()).unwrap_or(i64::MAX);
        if column.is_array() && column.width().is_some_and(|width| width != takes) {
            let width = column.width().unwrap_or_default();
            return Err(bad(format!(
                "input {:?} has {width} values a row in the signature, the model takes {takes}",
                column.called()
            )));
        }
        if is_taken[range.clone()].iter().any(|taken| *taken) {
            return Err(bad(format!("the signature has the input {:?} twice", column.called())));
        }
        is_taken[range.clone()].fill(true);
    }
    match is_taken.iter().position(|taken| !*taken) {
        None => Ok(Some(places)),
        Some(left) => {
            let name = &interface.inputs[interface.features[left].tensor].name;
            Err(bad(format!("the signature has no input for {name:?} of the model")))
        }
    }
}

/// Arrays that cannot be told apart.
fn untold(columns: &[Column], interface: &Interface) -> Error {
    let inputs: Vec<&str> = interface.inputs.iter().map(|tensor| tensor.name.as_str()).collect();
    let arrays = columns.iter().filter(|column| column.is_array()).count();
    let message = format!(
        "the signature has {arrays} arrays among {} inputs, and the model takes {} features: which of them each array is, is not said",
        columns.len(),
        interface.features.len(),
    );
    Error::new(Kind::BadOption, message)
        .with_hint(format!("Call each column as the input of the model that it is: {}.", crate::quoted(inputs)))
}

/// One array between columns that are one feature each.
fn left_over(columns: &[Column], interface: &Interface, named: bool) -> Result<Vec<Range<usize>>> {
    let features = interface.features.len();
    let singles = columns.iter().filter(|column| !column.is_array()).count();
    let (true, Some(width)) = (singles + 1 == columns.len(), features.checked_sub(singles).filter(|width| *width > 0))
    else {
        return Err(untold(columns, interface));
    };
    if !named {
        let mut next = 0;
        return Ok(columns
            .iter()
            .map(|column| {
                let range = next..next + if column.is_array() { width } else { 1 };
                next = range.end;
                range
            })
            .collect());
    }
    let index: std::collections::HashMap<&str, usize> =
        interface.features.iter().enumerate().map(|(index, feature)| (feature.name.as_str(), index)).collect();
    let mut is_free = vec![true; features];
    let mut places = vec![];
    for column in columns {
        let place = match column.is_array() {
            true => 0..0,
            false => match index.get(column.called()) {
                Some(&place) => place..place + 1,
                None => {
                    return Err(bad(format!(
                        "the signature has an input {:?} that the graph does not take",
                        column.called()
                    )));
                }
            },
        };
        is_free[place.clone()].fill(false);
        places.push(place);
    }
    let first = is_free.iter().position(|free| *free).unwrap_or_default();
    let rest = first..first + width;
    if !is_free.get(rest.clone()).is_some_and(|free| free.iter().all(|free| *free)) {
        let array = columns.iter().find(|column| column.is_array()).map_or("", Column::called);
        return Err(bad(format!(
            "the features that are left for the array {array:?} do not follow each other in the model"
        )));
    }
    for (place, column) in places.iter_mut().zip(columns) {
        if column.is_array() {
            *place = rest.clone();
        }
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::fixture::{feature, regression};
    use crate::interface::{ElementType, InputTensor, Interface, Rows, Vector};
    use crate::{Kind, Signature};

    /// Tensors of these names and widths, whose features are numbered.
    fn model(tensors: &[(&str, usize)]) -> Interface {
        let total: usize = tensors.iter().map(|(_, width)| width).sum();
        let mut model = regression((0..total).map(|at| feature(&format!("f{at}"), at, ElementType::Float32)).collect());
        model.inputs = (tensors.iter())
            .map(|(name, width)| InputTensor {
                name: (*name).into(),
                element: ElementType::Float32,
                shape: vec![*width],
                rows: Rows::Free,
            })
            .collect();
        let places =
            tensors.iter().enumerate().flat_map(|(tensor, (_, width))| (0..*width).map(move |at| (tensor, at)));
        for (feature, place) in model.features.iter_mut().zip(places) {
            (feature.tensor, feature.position) = place;
        }
        model
    }

    fn complete(tensors: &[(&str, usize)], inputs: serde_json::Value) -> crate::Result<Interface> {
        let mut model = model(tensors);
        Signature::parse(&json!({ "inputs": inputs }))?.complete(&mut model, false)?;
        assert!(model.is_consistent());
        Ok(model)
    }

    fn array(name: &str) -> serde_json::Value {
        json!({"name": name, "type": "array", "items": {"type": "double"}, "required": true})
    }

    fn names(model: &Interface) -> Vec<&str> {
        model.features.iter().map(|feature| feature.name.as_str()).collect()
    }

    fn vector(name: &str, first: usize, count: usize) -> Vector {
        Vector { name: name.into(), first, count }
    }

    #[test]
    fn an_array_is_an_input_of_the_model() {
        let age = json!({"name": "age", "type": "double"});
        for (tensors, inputs, first) in [
            (&[("emb", 3), ("age", 1)], json!([age, array("emb")]), 0), // by name, in another order
            (&[("in_1", 1), ("in_2", 3)], json!([age, array("emb")]), 1), // by order
        ] {
            let model = complete(tensors, inputs).unwrap();
            assert_eq!(model.vectors, [vector("emb", first, 3)]);
            let emb = ["emb[1]", "emb[2]", "emb[3]"];
            let expected: Vec<&str> =
                if first == 0 { [&emb[..], &["age"]].concat() } else { [&["age"], &emb[..]].concat() };
            assert_eq!(names(&model), expected);
        }
    }

    #[test]
    fn one_array_is_what_the_other_columns_leave_of_a_matrix() {
        let model = complete(
            &[("X", 5)],
            json!([{"name": "age", "type": "long"}, array("emb"), {"name": "vip", "type": "boolean"}]),
        )
        .unwrap();
        assert_eq!(names(&model), ["age", "emb[1]", "emb[2]", "emb[3]", "vip"]);
        assert!(model.features[0].whole && !model.features[1].whole);
        let text = Signature::describe(&model);
        assert_eq!(text["inputs"].as_array().unwrap().len(), 3);
        assert_eq!(
            text["inputs"][1],
            json!({"name": "emb", "type": "array", "items": {"type": "float"}, "required": true})
        );
        let again = complete(&[("X", 5)], text["inputs"].clone()).unwrap();
        assert_eq!(again, model);
    }

    #[test]
    fn a_named_tensor_is_an_array_of_its_width() {
        let tensor =
            |shape| json!([{"name": "emb", "type": "tensor", "tensor-spec": {"dtype": "float32", "shape": shape}}]);
        let model = complete(&[("X", 3)], tensor([-1, 3])).unwrap();
        assert_eq!(model.vectors, [vector("emb", 0, 3)]);
        let error = complete(&[("X", 3)], tensor([-1, 4])).unwrap_err();
        assert_eq!(error.message(), r#"input "emb" has 4 values a row in the signature, the model takes 3"#);
    }

    #[test]
    fn a_model_that_names_its_features_keeps_their_names() {
        let mut model = model(&[("X", 3)]);
        model.rename_features(&["age".into(), "a".into(), "b".into()]).unwrap();
        let signature = json!({"inputs": [array("emb"), {"name": "age", "type": "double"}]});
        Signature::parse(&signature).unwrap().complete(&mut model, true).unwrap();
        assert_eq!((model.vectors.clone(), names(&model)), (vec![vector("emb", 1, 2)], vec!["age", "a", "b"]));
        let mut one = regression(vec![feature("age", 0, ElementType::Float32)]);
        let error = Signature::parse(&json!({"inputs": [array("age")]})).unwrap().complete(&mut one, true).unwrap_err();
        assert_eq!(error.message(), r#"input "age" is an array in the signature and one float32 in the model"#);
        let apart = json!({"inputs": [array("emb"), {"name": "emb[1]", "type": "double"}]});
        assert!(Signature::parse(&apart).unwrap().complete(&mut model, true).is_err());
    }

    #[test]
    fn what_an_array_holds_may_be_missing_or_have_defaults() {
        let mut column = array("emb");
        column["required"] = json!(false);
        let model = complete(&[("X", 2)], json!([column])).unwrap();
        assert!(model.features.iter().all(|feature| !feature.required && feature.takes_missing));
        column["default"] = json!([0.5, 1.5]);
        let model = complete(&[("X", 2)], json!([column])).unwrap();
        assert_eq!(model.features[1].default, Some(json!(1.5)));
        for default in [json!([0.5]), json!(0.5), json!(["a", "b"])] {
            column["default"] = default;
            assert!(complete(&[("X", 2)], json!([column])).unwrap_err().message().contains("default"));
        }
    }

    #[test]
    fn arrays_that_cannot_be_told_apart_are_refused() {
        let double = |name: &str| json!({"name": name, "type": "double"});
        let whole = json!({"name": "emb", "type": "array", "items": {"type": "string"}});
        for (tensors, inputs, kind, message) in [
            (&[("X", 5)][..], json!([array("a"), array("b")]), Kind::BadOption, "which of them each array is"),
            (&[("a", 3), ("b", 1)], json!([double("a"), double("b")]), Kind::BadOption, "has 2 inputs"),
            (
                &[("a", 3), ("b", 2)],
                json!([double("a"), array("b")]),
                Kind::TypeMismatch,
                "\"a\" is double in the signature and 3 values",
            ),
            (&[("a", 3), ("b", 2)], json!([array("a")]), Kind::BadOption, "no input for \"b\""),
            (&[("a", 3), ("b", 2)], json!([array("emb"), double("a")]), Kind::BadOption, "which of them each array is"),
            (&[("a", 3)], json!([array("a"), array("a")]), Kind::BadOption, "\"a\" twice"),
            (&[("X", 1)], json!([double("a"), array("b")]), Kind::BadOption, "1 arrays among 2 inputs"),
            (&[("X", 2)], json!([whole]), Kind::TypeMismatch, "\"emb[1]\" is string in the signature and float32"),
            (&[("X", 2)], json!([array("emb[1]")]), Kind::BadOption, ""),
        ] {
            match complete(tensors, inputs) {
                Err(error) => {
                    assert_eq!(error.kind(), kind, "{error}");
                    assert!(error.message().contains(message), "{error}");
                }
                Ok(_) => assert_eq!(message, ""),
            }
        }
    }
}
