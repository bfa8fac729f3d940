//! Binding: which value becomes which number in which tensor.
//!
//! Names are looked up once per layout (the columns of a row type, the keys of an object) and kept as a [`Layout`]; a
//! row then costs one conversion a feature. Everything that can be wrong with a value is reported here, with model,
//! feature, value and what was expected.

mod lanes;
pub use lanes::{Lanes, StoredLanes, Word};

use std::collections::HashMap;
use std::sync::Arc;

use crate::batch::{Batch, Column};
use crate::categories::{Codes, Unseen};
use crate::error::{Error, Kind, Result};
use crate::instant;
use crate::interface::{ElementType, Feature, Interface};
use crate::names::{self, Renamed, likely, quoted};
use crate::value::{Scalar, ValueProblem};

/// Binds features of one model version.
#[derive(Debug, Clone)]
pub struct Binder {
    interface: Arc<Interface>,
    /// The reference used in messages: `churn:3`.
    model: Arc<str>,
    index: HashMap<Box<str>, usize>,
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

/// Where each feature of a model is found in one shape of source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// For each feature, the index of its source; `None` when the source does not have it.
    sources: Vec<Option<u32>>,
}

impl Layout {
    /// For each feature in order, the index of its source.
    #[must_use]
    pub fn sources(&self) -> &[Option<u32>] {
        &self.sources
    }
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
        Self { interface, model: model.into(), index, places, codes }
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

    /// Finds each feature among `names`; a name that occurs twice counts as its last occurrence.
    pub fn match_names<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Layout {
        let mut sources = vec![None; self.interface.features.len()];
        for (source, name) in names.into_iter().enumerate() {
            if let Some(&feature) = self.index.get(name) {
                sources[feature] = u32::try_from(source).ok();
            }
        }
        Layout { sources }
    }

    /// A layout by name in which every required feature is found.
    ///
    /// # Errors
    /// [`Kind::MissingValue`] naming the features that are missing and the names that were given but not used.
    pub fn layout_by_name<'n>(&self, names: impl IntoIterator<Item = &'n str> + Clone) -> Result<Layout> {
        let layout = self.match_names(names.clone());
        let missing: Vec<&Feature> = self
            .interface
            .features
            .iter()
            .zip(&layout.sources)
            .filter(|(feature, source)| source.is_none() && feature.required)
            .map(|(feature, _)| feature)
            .collect();
        if missing.is_empty() {
            return Ok(layout);
        }
        Err(self.missing_features(&missing, names))
    }

    #[cold]
    fn missing_features<'n>(&self, missing: &[&Feature], names: impl IntoIterator<Item = &'n str>) -> Error {
        let message = match missing {
            [one] => format!("feature {:?} of model {} is missing", one.name, self.model),
            many => format!(
                "{} features of model {} are missing: {}",
                many.len(),
                self.model,
                quoted(many.iter().map(|f| f.name.as_str()))
            ),
        };
        let unused: Vec<&str> =
            names.into_iter().filter(|name| !name.is_empty() && !self.index.contains_key(*name)).collect();
        let mut error = Error::new(Kind::MissingValue, message);
        if !unused.is_empty() {
            error = error
                .with_detail(format!("Names given but not used by the model: {}.", quoted(unused.iter().copied())));
        }
        let wanted: Vec<&str> = missing.iter().map(|feature| feature.name.as_str()).collect();
        match renamed(&likely(&wanted, &unused)) {
            Some(hint) => error.with_hint(hint),
            None => error.with_hint(self.where_listed("the features")),
        }
    }

    /// A layout by position for a source of `count` values.
    ///
    /// # Errors
    /// [`Kind::BadOption`] when there are more values than features, [`Kind::MissingValue`] when a required feature has no value.
    pub fn layout_by_position(&self, count: usize) -> Result<Layout> {
        let layout = self.match_positions(count)?;
        match self.interface.features[count..].iter().find(|feature| feature.required) {
            None => Ok(layout),
            Some(missing) => Err(Error::new(
                Kind::MissingValue,
                format!(
                    "feature {:?} of model {} is missing: the model takes {}, got an array of {count}",
                    missing.name,
                    self.model,
                    self.counted()
                ),
            )
            .with_hint(self.where_listed("them in order"))),
        }
    }

    /// A layout by position as far as it goes, for a dry run.
    ///
    /// # Errors
    /// [`Kind::BadOption`] when there are more values than features.
    pub fn match_positions(&self, count: usize) -> Result<Layout> {
        let features = self.interface.features.len();
        if count > features {
            let message = format!("model {} takes {}, got an array of {count}", self.model, self.counted());
            return Err(Error::new(Kind::BadOption, message).with_hint(self.where_listed("them in order")));
        }
        let sources = (0..features).map(|index| u32::try_from(index).ok().filter(|_| index < count)).collect();
        Ok(Layout { sources })
    }

    fn counted(&self) -> String {
        match self.interface.features.len() {
            1 => "1 feature".to_owned(),
            many => format!("{many} features"),
        }
    }

    fn where_listed(&self, what: &str) -> String {
        format!("SELECT * FROM e2i_describe_model('{}') lists {what}.", self.model.replace('\'', "''"))
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

/// What to write where columns were renamed.
fn renamed(likely: &[(&str, &str, Renamed)]) -> Option<String> {
    let shown = likely.iter().take(names::SHOWN).map(|(wanted, given, _)| format!("{wanted:?} instead of {given:?}"));
    let mut hint = format!("Names must match exactly: write {}.", shown.collect::<Vec<_>>().join(", "));
    if likely.iter().any(|(.., renamed)| *renamed == Renamed::Cut) {
        hint.push_str(
            " Tables cut names of columns at 63 bytes: give the row as JSON, or register the model with shorter ones.",
        );
    }
    if likely.iter().any(|(.., renamed)| *renamed != Renamed::Case) {
        hint.push_str(" Or register the model with the names that your data has: feature_names => ARRAY['…', '…'].");
    }
    (!likely.is_empty()).then_some(hint)
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
    fn names_bind_in_any_order_and_the_last_of_two_wins() {
        let (binder, _) = two(ElementType::Float32);
        let layout = binder.layout_by_name(["score", "extra", "tenure", "score"]).unwrap();
        assert_eq!(layout.sources(), [Some(2), Some(3)]);
    }

    #[test]
    fn a_missing_name_is_named_with_what_was_given_instead() {
        let (binder, _) = two(ElementType::Float32);
        let error = binder.layout_by_name(["Tenure", "score"]).unwrap_err();
        assert_eq!(error.kind(), Kind::MissingValue);
        assert_eq!(error.message(), r#"feature "tenure" of model churn:1 is missing"#);
        assert!(error.detail().unwrap().contains(r#""Tenure""#));
        assert!(error.hint().unwrap().contains(r#"write "tenure""#));
    }

    #[test]
    fn a_renamed_column_gets_the_likely_name() {
        let names = ["Age_years", "gr__e"];
        let features = names.iter().enumerate().map(|(at, name)| feature(name, at, ElementType::Float32)).collect();
        let (binder, _) = binder(features);
        let error = binder.layout_by_name(["Age years", "größe"]).unwrap_err();
        let hint = error.hint().unwrap();
        assert!(hint.contains(r#"write "Age_years" instead of "Age years", "gr__e" instead of "größe"."#), "{hint}");
        assert!(hint.contains("feature_names => ARRAY["), "{hint}");
    }

    #[test]
    fn positions_must_fit() {
        let (binder, _) = two(ElementType::Float32);
        assert!(binder.layout_by_position(2).is_ok());
        assert_eq!(binder.layout_by_position(3).unwrap_err().kind(), Kind::BadOption);
        let error = binder.layout_by_position(1).unwrap_err();
        assert!(error.message().contains(r#""score""#), "{error}");
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
