//! Binding: which value becomes which number in which tensor.
//!
//! Names are looked up once per layout (the columns of a row type, the keys of an object) and kept as a [`Layout`]; a
//! row then costs one conversion a feature. Everything that can be wrong with a value is reported here, with model,
//! feature, value and what was expected.

mod lanes;
mod layout;
pub use lanes::{Lanes, StoredLanes, Word};
pub use layout::{Layout, Spread};

use std::collections::HashMap;
use std::sync::Arc;

use crate::batch::{Batch, Column};
use crate::categories::{Codes, Unseen};
use crate::error::{Error, Kind, Result};
use crate::instant;
use crate::interface::{ElementType, Feature, Interface};
use crate::value::{Scalar, ValueProblem};

/// Binds features of one model version.
#[derive(Debug, Clone)]
pub struct Binder {
    interface: Arc<Interface>,
    /// The reference used in messages: `churn:3`.
    model: Arc<str>,
    index: HashMap<Box<str>, usize>,
    /// What a row may give whole: what the interface says, and every tensor whose features it does not name.
    vectors: layout::Vectors,
    places: Vec<Place>,
    /// The codes of categorical features; empty for others, and where no feature is categorical.
    codes: Arc<[Codes]>,
}

/// What a value needs to know of its feature: a few bytes, where the feature itself would bring two cache lines of names and
/// defaults into every row.
#[derive(Debug, Clone, Copy)]
struct Place {
    tensor: u32,
    position: u32,
    /// The type of the values that a row gives.
    element: ElementType,
    whole: bool,
    /// Whether the value is not written as it is: a category, or a point in time.
    stands_for: bool,
}

impl Binder {
    /// A binder for a model; `model` is how messages call it.
    #[must_use]
    pub fn new(interface: Arc<Interface>, model: impl Into<Arc<str>>) -> Self {
        let index = interface.features.iter().enumerate().map(|(i, f)| (f.name.as_str().into(), i)).collect();
        let codes: Arc<[Codes]> = if interface.features.iter().any(|feature| feature.categories.is_some()) {
            interface
                .features
                .iter()
                .map(|feature| feature.categories.as_ref().map(Codes::new).unwrap_or_default())
                .collect()
        } else {
            Arc::default()
        };
        let has_texts = |feature: usize| codes.get(feature).is_some_and(Codes::has_texts);
        let place = |(index, feature): (usize, &Feature)| Place {
            tensor: u32::try_from(feature.tensor).unwrap_or(u32::MAX),
            position: u32::try_from(feature.position).unwrap_or(u32::MAX),
            element: if has_texts(index) { ElementType::Text } else { feature.element },
            whole: feature.whole && feature.element.is_float(),
            stands_for: feature.categories.is_some() || feature.instant,
        };
        let places = interface.features.iter().enumerate().map(place).collect();
        let vectors = layout::Vectors::of(&interface, &index);
        Self { interface, model: model.into(), index, vectors, places, codes }
    }

    /// The interface it binds to.
    #[must_use]
    pub fn interface(&self) -> &Interface {
        &self.interface
    }

    /// The type of the values that a row gives for a feature: text where it has categories that are texts.
    #[inline]
    #[must_use]
    pub fn element(&self, feature: usize) -> ElementType {
        self.places[feature].element
    }

    /// Whether a float is written for a feature as it is: neither whole numbers only, nor what stands for something else.
    #[inline]
    #[must_use]
    pub fn takes_floats(&self, feature: usize) -> bool {
        let place = self.places[feature];
        place.element.is_float() && !place.whole && !place.stands_for
    }

    /// How messages call the model.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Writes the value of one feature of one row.
    ///
    /// # Errors
    /// What is wrong with the value, naming model, feature, value and expected type.
    #[inline]
    pub fn set(&self, batch: &mut Batch, row: usize, feature: usize, value: Scalar<'_>) -> Result<()> {
        let place = self.places[feature];
        if place.stands_for {
            return self.set_for(batch, row, feature, value);
        }
        let tensor = &mut batch.tensors_mut()[place.tensor as usize];
        let at = row * tensor.width + place.position as usize;
        let is_category = place.element == ElementType::Text && matches!(value, Scalar::Text(_));
        let written = if value.is_missing() && !is_category {
            write_missing(&mut tensor.values, at, &self.interface.features[feature])
        } else if place.whole {
            value.to_i64().and_then(|_| write_value(&mut tensor.values, at, value))
        } else {
            write_value(&mut tensor.values, at, value)
        };
        written.map_err(|problem| self.refused(&self.interface.features[feature], value, problem))
    }

    /// Writes what a value stands for: the code of a category, the number of a point in time.
    fn set_for(&self, batch: &mut Batch, row: usize, index: usize, value: Scalar<'_>) -> Result<()> {
        let feature = &self.interface.features[index];
        let tensor = &mut batch.tensors_mut()[feature.tensor];
        let at = row * tensor.width + feature.position;
        let (Some(categories), Some(codes)) = (&feature.categories, self.codes.get(index)) else {
            let written = if value.is_missing() {
                write_missing(&mut tensor.values, at, feature)
            } else {
                as_instant(value).and_then(|value| write_value(&mut tensor.values, at, value))
            };
            return written.map_err(|problem| self.refused(feature, value, problem));
        };
        if categories.values.is_empty() {
            return write_value(&mut tensor.values, at, Scalar::Float(f64::NAN))
                .map_err(|problem| self.refused(feature, value, problem));
        }
        let is_text = codes.has_texts() && matches!(value, Scalar::Text(_));
        let (value, missing) = match &feature.default {
            Some(default) if value.is_missing() && !is_text => (default_scalar(default).unwrap_or(value), false),
            _ => (value, value.is_missing() && !is_text),
        };
        if missing && !feature.takes_missing {
            return Err(self.refused(feature, value, ValueProblem::Missing));
        }
        let code = if missing { Ok(None) } else { codes.code(value) };
        let code = match code.map_err(|problem| self.refused(feature, value, problem))? {
            None if !missing && categories.unseen == Unseen::Refused => return Err(self.unseen(feature, value)),
            None if !missing && categories.unseen == Unseen::Apart => categories.values.len() as f64,
            code => code.map_or(f64::NAN, f64::from),
        };
        write_value(&mut tensor.values, at, Scalar::Float(code))
            .map_err(|problem| self.refused(feature, value, problem))
    }

    #[cold]
    fn unseen(&self, feature: &Feature, value: Scalar<'_>) -> Error {
        let known = feature.categories.as_ref().map(|categories| categories.shown()).unwrap_or_default();
        let message = format!("feature {:?} of model {} has no category {value}", feature.name, self.model);
        Error::new(Kind::BadValue, message)
            .with_detail(format!("Its categories are {known}."))
            .with_hint("The training library refuses what it was not trained on: give one of these, or NULL where the value is missing.")
    }

    /// What a bound feature is to the model, for a listing; a category with its code.
    #[must_use]
    pub fn shown(&self, batch: &Batch, row: usize, feature: usize) -> Option<String> {
        let described = self.interface.features.get(feature)?;
        let tensor = batch.tensors().get(described.tensor)?;
        let at = row * tensor.width + described.position;
        let category = described.categories.as_ref().zip(tensor.values.number(at));
        match category.and_then(|(categories, code)| categories.of_code(code)) {
            Some(category) => Some(format!("{category} (code {})", tensor.values.shown(at)?)),
            None => tensor.values.shown(at),
        }
    }

    #[cold]
    fn refused(&self, feature: &Feature, value: Scalar<'_>, problem: ValueProblem) -> Error {
        let expected = feature.type_name();
        let subject = format!("feature {:?} of model {}", feature.name, self.model);
        match problem {
            ValueProblem::Missing => Error::new(
                Kind::MissingValue,
                format!("{subject} is {}, and the model takes no missing values there", if matches!(value, Scalar::Missing) { "NULL" } else { "NaN" }),
            )
            .with_detail(format!("Expected {expected}."))
            .with_hint("Give a value, for instance with coalesce(), or register the model with a default for the feature in its signature."),
            ValueProblem::NotANumber if matches!(value, Scalar::Text(text) if text.trim().parse::<f64>().is_ok()) => {
                Error::new(Kind::BadValue, format!("{subject} takes {expected}, got {value}")).with_hint(
                    "A number in quotes is text: leave the quotes out, or cast an array of parameters: ARRAY[$1, $2]::float8[].",
                )
            }
            ValueProblem::NotANumber => Error::new(Kind::BadValue, format!("{subject} takes {expected}, got {value}")),
            ValueProblem::NotText => Error::new(Kind::BadValue, format!("{subject} takes {expected}, got {value}"))
                .with_hint("Cast the value to text if it is a category."),
            ValueProblem::NotInstant => Error::new(Kind::BadValue, format!("{subject} takes a date and time, got {value}"))
                .with_hint("Write it as 2024-01-31T12:00:00 (UTC unless it says otherwise: Z, +02:00), or give a timestamp or the number."),
            ValueProblem::NotBoolean => Error::new(Kind::BadValue, format!("{subject} takes {expected}, got {value}"))
                .with_hint("Give true or false, or 0 or 1."),
            ValueProblem::NotWhole => {
                let whole = if feature.element.is_float() { "a whole number".to_owned() } else { expected.to_string() };
                Error::new(Kind::BadValue, format!("{subject} takes {whole}, got {value}"))
                    .with_hint("Round the value if that is what the model was trained on.")
            }
            ValueProblem::OutOfRange => Error::new(Kind::OutOfRange, format!("{subject}: {value} is out of range for {expected}")),
            ValueProblem::NotExact if matches!(value, Scalar::Instant(_)) => {
                Error::new(Kind::OutOfRange, format!("{subject}: {expected} cannot hold {value} exactly"))
                    .with_hint("Give the number that the model was trained on, for instance extract(epoch FROM …)::real.")
            }
            ValueProblem::NotExact => Error::new(Kind::OutOfRange, format!("{subject}: {expected} cannot hold {value} exactly"))
                .with_hint("Give a float8, or a rounded number, if rounding is what the model was trained on."),
            ValueProblem::WrongType => Error::new(Kind::TypeMismatch, format!("{subject} takes {expected}, got {value}")),
        }
    }
}

#[inline]
fn write_value(values: &mut Column, at: usize, value: Scalar<'_>) -> std::result::Result<(), ValueProblem> {
    match values {
        Column::Float32(cells) => cells[at] = value.to_f32()?,
        Column::Float64(cells) => cells[at] = value.to_f64()?,
        Column::Int32(cells) => cells[at] = value.to_i32()?,
        Column::Int64(cells) => cells[at] = value.to_i64()?,
        Column::Bool(cells) => cells[at] = value.to_bool()?,
        Column::Text(cells) => {
            let text = value.to_text()?;
            let cell = &mut cells[at];
            cell.clear();
            cell.push_str(text);
        }
    }
    Ok(())
}

/// A default, else NaN or empty text where the model takes missing values, else a refusal.
fn write_missing(values: &mut Column, at: usize, target: &Feature) -> std::result::Result<(), ValueProblem> {
    if let Some(default) = &target.default {
        return write_value(values, at, default_scalar(default)?);
    }
    if !target.takes_missing {
        return Err(ValueProblem::Missing);
    }
    match values {
        Column::Float32(cells) => cells[at] = f32::NAN,
        Column::Float64(cells) => cells[at] = f64::NAN,
        Column::Text(cells) => cells[at].clear(),
        Column::Int32(_) | Column::Int64(_) | Column::Bool(_) => return Err(ValueProblem::Missing),
    }
    Ok(())
}

/// A text as the point in time that it is; any other value as it is.
fn as_instant(value: Scalar<'_>) -> std::result::Result<Scalar<'_>, ValueProblem> {
    match value {
        Scalar::Text(text) => {
            instant::parse(text).map(|micros| Scalar::Instant(Some(micros))).ok_or(ValueProblem::NotInstant)
        }
        other => Ok(other),
    }
}

/// A default from a signature as a value.
///
/// # Errors
/// [`ValueProblem::WrongType`] for JSON null, arrays and objects.
pub(crate) fn default_scalar(default: &serde_json::Value) -> std::result::Result<Scalar<'_>, ValueProblem> {
    match default {
        serde_json::Value::Bool(value) => Ok(Scalar::Bool(*value)),
        serde_json::Value::String(text) => Ok(Scalar::Text(text)),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(whole) => Ok(Scalar::Int(whole)),
            None => number.as_f64().map(Scalar::Float).ok_or(ValueProblem::OutOfRange),
        },
        _ => Err(ValueProblem::WrongType),
    }
}

/// Whether a default fits its feature.
///
/// # Errors
/// The reason it does not.
pub(crate) fn check_default(feature: &Feature, default: &serde_json::Value) -> std::result::Result<(), ValueProblem> {
    let value = default_scalar(default)?;
    if let Some(categories) = &feature.categories {
        // A default that is no category could only be missing, or an error in every row.
        return Codes::new(categories).code(value)?.map(|_| ()).ok_or(ValueProblem::OutOfRange);
    }
    let mut cell = Column::zeros(feature.element, 1);
    let value = if feature.instant { as_instant(value)? } else { value };
    write_value(&mut cell, 0, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::categories::Categories;
    use crate::fixture::{feature, regression};

    fn binder(features: Vec<Feature>) -> (Binder, Batch) {
        let interface = regression(features);
        let batch = Batch::new(&interface.inputs, 1);
        (Binder::new(Arc::new(interface), "churn:1"), batch)
    }

    fn two(element: ElementType) -> (Binder, Batch) {
        binder(vec![feature("tenure", 0, element), feature("score", 1, element)])
    }

    #[test]
    fn null_is_nan_only_where_the_model_takes_it() {
        let mut tolerant = feature("a", 0, ElementType::Float32);
        tolerant.takes_missing = true;
        let mut defaulted = feature("b", 1, ElementType::Float32);
        defaulted.default = Some(serde_json::json!(7.5));
        let (binder, mut batch) = binder(vec![tolerant, defaulted, feature("c", 2, ElementType::Float32)]);
        binder.set(&mut batch, 0, 0, Scalar::Missing).unwrap();
        binder.set(&mut batch, 0, 1, Scalar::Float(f64::NAN)).unwrap();
        let Column::Float32(cells) = &batch.tensors()[0].values else { unreachable!() };
        assert!(cells[0].is_nan());
        assert_eq!(cells[1], 7.5);
        let error = binder.set(&mut batch, 0, 2, Scalar::Missing).unwrap_err();
        assert_eq!(error.kind(), Kind::MissingValue);
        assert!(error.message().contains(r#"feature "c" of model churn:1 is NULL"#), "{error}");
    }

    #[test]
    fn refusals_name_model_feature_value_and_type() {
        let (binder, mut batch) = two(ElementType::Int64);
        for (value, kind, shown) in [
            (Scalar::Float(12.6), Kind::BadValue, "12.6"),
            (Scalar::Float(1e300), Kind::OutOfRange, "out of range for int64"),
            (Scalar::Text("12"), Kind::BadValue, r#"takes int64, got "12""#),
            (Scalar::Other("bytea"), Kind::TypeMismatch, "a value of type bytea"),
            (Scalar::Missing, Kind::MissingValue, "NULL"),
        ] {
            let error = binder.set(&mut batch, 0, 1, value).unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.message().contains(r#"feature "score" of model churn:1"#), "{error}");
            assert!(error.message().contains(shown), "{error}");
        }
    }

    fn categorical(values: &str, unseen: Unseen) -> (Binder, Batch) {
        let mut feature = feature("city", 0, ElementType::Float32);
        feature.takes_missing = true;
        feature.categories = Some(Categories { values: serde_json::from_str(values).unwrap(), unseen });
        binder(vec![feature])
    }

    fn first(batch: &Batch) -> f64 {
        batch.tensors()[0].values.number(0).unwrap()
    }

    #[test]
    fn a_category_is_given_by_its_value_and_written_as_its_code() {
        let (binder, mut batch) = categorical(r#"["Paris", "London", "NaN"]"#, Unseen::Missing);
        assert_eq!(binder.element(0), ElementType::Text);
        binder.set(&mut batch, 0, 0, Scalar::Text("London")).unwrap();
        assert_eq!((first(&batch), binder.shown(&batch, 0, 0).unwrap()), (1.0, "London (code 1)".into()));
        binder.set(&mut batch, 0, 0, Scalar::Text("NaN")).unwrap();
        assert_eq!(first(&batch), 2.0);
        for missing in [Scalar::Missing, Scalar::Float(f64::NAN), Scalar::Text("Berlin")] {
            binder.set(&mut batch, 0, 0, missing).unwrap();
            assert!(first(&batch).is_nan(), "{missing}");
        }
        let error = binder.set(&mut batch, 0, 0, Scalar::Int(1)).unwrap_err();
        assert_eq!(error.message(), r#"feature "city" of model churn:1 takes string, got 1"#);
    }

    #[test]
    fn what_the_library_refuses_is_refused_with_what_it_knows() {
        let (binder, mut batch) = categorical("[3, 8]", Unseen::Refused);
        binder.set(&mut batch, 0, 0, Scalar::Text("8")).unwrap();
        assert_eq!(first(&batch), 1.0);
        for missing in [Scalar::Missing, Scalar::Text("NaN")] {
            binder.set(&mut batch, 0, 0, missing).unwrap();
            assert!(first(&batch).is_nan(), "{missing}");
        }
        let error = binder.set(&mut batch, 0, 0, Scalar::Int(5)).unwrap_err();
        assert_eq!(error.message(), r#"feature "city" of model churn:1 has no category 5"#);
        assert_eq!(error.detail(), Some("Its categories are 3, 8."));
    }

    #[test]
    fn a_default_of_a_category_is_a_value_too() {
        let (binder, mut batch) = {
            let mut feature = feature("city", 0, ElementType::Float64);
            feature.categories =
                Some(Categories { values: serde_json::from_str("[3, 8]").unwrap(), unseen: Unseen::Refused });
            assert!(check_default(&feature, &serde_json::json!(5)).is_err());
            assert!(check_default(&feature, &serde_json::json!(8)).is_ok());
            feature.default = Some(serde_json::json!(8));
            binder(vec![feature])
        };
        binder.set(&mut batch, 0, 0, Scalar::Missing).unwrap();
        assert_eq!(first(&batch), 1.0);
    }

    #[test]
    fn a_text_is_the_point_in_time_that_a_timestamp_is() {
        let mut at = feature("at", 0, ElementType::Int64);
        at.instant = true;
        let (binder, mut batch) = binder(vec![at]);
        binder.set(&mut batch, 0, 0, Scalar::Text("2024-01-01T00:00:00")).unwrap();
        let of_text = first(&batch);
        binder.set(&mut batch, 0, 0, Scalar::Instant(Some(1_704_067_200_000_000))).unwrap();
        assert_eq!((first(&batch), of_text), (1_704_067_200.0, 1_704_067_200.0));
        binder.set(&mut batch, 0, 0, Scalar::Int(5)).unwrap();
        let error = binder.set(&mut batch, 0, 0, Scalar::Text("yesterday")).unwrap_err();
        assert!(error.message().contains(r#"takes a date and time, got "yesterday""#), "{error}");
        assert_eq!(binder.set(&mut batch, 0, 0, Scalar::Missing).unwrap_err().kind(), Kind::MissingValue);
    }

    #[test]
    fn a_category_may_be_called_nan() {
        let (binder, mut batch) = binder(vec![feature("region", 0, ElementType::Text)]);
        binder.set(&mut batch, 0, 0, Scalar::Text("NaN")).unwrap();
        assert_eq!(batch.tensors()[0].values, Column::Text(vec!["NaN".into()]));
    }

    #[test]
    fn whole_numbers_are_asked_of_float_tensors_that_a_signature_calls_integer() {
        let mut counted = feature("visits", 0, ElementType::Float32);
        counted.whole = true;
        let (binder, mut batch) = binder(vec![counted]);
        assert!(binder.set(&mut batch, 0, 0, Scalar::Float(3.0)).is_ok());
        assert_eq!(binder.set(&mut batch, 0, 0, Scalar::Float(3.5)).unwrap_err().kind(), Kind::BadValue);
    }
}
