//! Which of the values that a source gives is which feature: by name, by position, or several by one name.
//!
//! What does not belong here: what a value becomes.

use std::collections::HashMap;

use super::Binder;
use crate::error::{Error, Kind, Result};
use crate::interface::{Feature, Interface, Vector};
use crate::names::{self, Renamed, likely, quoted};

/// Where each feature of a model is found in one shape of source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// For each feature, the index of its source; `None` when the source does not have it.
    pub(super) sources: Vec<Option<u32>>,
    /// Sources that hold the values of several features, in order.
    pub(super) spreads: Vec<Spread>,
}

/// A source that holds the values of several features that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    /// The first of them.
    pub first: usize,
    /// How many.
    pub count: usize,
    /// Which of the binder's vectors they are.
    vector: usize,
}

impl Layout {
    fn of(sources: Vec<Option<u32>>) -> Self {
        Self { sources, spreads: vec![] }
    }

    /// For each feature in order, the index of its source.
    #[must_use]
    pub fn sources(&self) -> &[Option<u32>] {
        &self.sources
    }

    /// Sources that hold the values of several features, in order: these features have the same source.
    #[must_use]
    pub fn spreads(&self) -> &[Spread] {
        &self.spreads
    }

    /// The spread that begins with a feature.
    #[inline]
    #[must_use]
    pub fn spread_at(&self, feature: usize) -> Option<Spread> {
        match self.spreads.as_slice() {
            [] => None,
            spreads => spreads.iter().find(|spread| spread.first == feature).copied(),
        }
    }
}

/// What a row of a model may give whole.
#[derive(Debug, Clone, Default)]
pub(super) struct Vectors {
    /// Those of the interface first.
    list: Vec<Vector>,
    index: HashMap<Box<str>, usize>,
}

impl Vectors {
    /// The vectors that an interface names, and, where a tensor holds several features, each tensor by its own name: if nobody has
    /// named its features, and all of them must be given, so that a row without them is not scored.
    pub(super) fn of(interface: &Interface, features: &HashMap<Box<str>, usize>) -> Self {
        let mut vectors = Self::default();
        interface.vectors.iter().for_each(|vector| vectors.add(vector.clone()));
        if interface.inputs.iter().all(|tensor| tensor.width() == 1) {
            return vectors;
        }
        let mut first = 0;
        for (place, tensor) in interface.inputs.iter().enumerate() {
            let vector = Vector { name: tensor.name.clone(), first, count: tensor.width() };
            first = vector.features().end;
            let of_tensor = interface.features.get(vector.features()).unwrap_or_default();
            let is_whole = of_tensor.len() == vector.count
                && (of_tensor.iter().enumerate())
                    .all(|(at, feature)| feature.tensor == place && feature.position == at && feature.required)
                && vector.features().zip(of_tensor).all(|(index, feature)| feature.name == format!("f{index}"));
            if is_whole && !features.contains_key(tensor.name.as_str()) {
                vectors.add(vector);
            }
        }
        vectors
    }

    fn add(&mut self, vector: Vector) {
        if !self.index.contains_key(vector.name.as_str()) {
            self.index.insert(vector.name.as_str().into(), self.list.len());
            self.list.push(vector);
        }
    }
}

impl Binder {
    /// Finds each feature among `names`; a name that occurs twice counts as its last occurrence. A vector is found by its name where
    /// none of its features is by its own.
    pub fn match_names<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Layout {
        let mut layout = Layout::of(vec![None; self.interface.features.len()]);
        let mut whole: Vec<Option<u32>> = vec![None; self.vectors.list.len()];
        for (source, name) in names.into_iter().enumerate() {
            if let Some(&feature) = self.index.get(name) {
                layout.sources[feature] = u32::try_from(source).ok();
            } else if let Some(&vector) = self.vectors.index.get(name) {
                whole[vector] = u32::try_from(source).ok();
            }
        }
        for (index, (source, vector)) in whole.into_iter().zip(&self.vectors.list).enumerate() {
            let Some(sources) = layout.sources.get_mut(vector.features()) else { continue };
            if source.is_some() && sources.iter().all(Option::is_none) {
                sources.fill(source);
                layout.spreads.push(Spread { first: vector.first, count: vector.count, vector: index });
            }
        }
        layout.spreads.sort_by_key(|spread| spread.first);
        layout
    }

    /// A layout by name in which every required feature is found.
    ///
    /// # Errors
    /// [`Kind::MissingValue`] naming the features that are missing and the names that were given but not used.
    pub fn layout_by_name<'n>(&self, names: impl IntoIterator<Item = &'n str> + Clone) -> Result<Layout> {
        let layout = self.match_names(names.clone());
        let is_missing = |(feature, source): &(&Feature, &Option<u32>)| source.is_none() && feature.required;
        let found = || self.interface.features.iter().zip(&layout.sources);
        if !found().any(|found| is_missing(&found)) {
            return Ok(layout);
        }
        let mut missing: Vec<&str> = vec![];
        for (index, found) in found().enumerate().filter(|(_, found)| is_missing(found)) {
            let name = self.interface.vector_of(index).map_or(found.0.name.as_str(), |vector| &vector.name);
            if missing.last() != Some(&name) {
                missing.push(name);
            }
        }
        Err(self.missing_features(&layout, &missing, names))
    }

    #[cold]
    fn missing_features<'n>(
        &self,
        layout: &Layout,
        missing: &[&str],
        names: impl IntoIterator<Item = &'n str>,
    ) -> Error {
        let message = match missing {
            [one] => format!("feature {one:?} of model {} is missing", self.model),
            many => {
                format!("{} features of model {} are missing: {}", many.len(), self.model, quoted(many.iter().copied()))
            }
        };
        let is_whole = |vector: &usize| layout.spreads.iter().any(|spread| spread.vector == *vector);
        let is_used = |name: &str| self.index.contains_key(name) || self.vectors.index.get(name).is_some_and(is_whole);
        let unused: Vec<&str> = names.into_iter().filter(|name| !name.is_empty() && !is_used(name)).collect();
        let mut error = Error::new(Kind::MissingValue, message);
        if !unused.is_empty() {
            error = error
                .with_detail(format!("Names given but not used by the model: {}.", quoted(unused.iter().copied())));
        }
        match renamed(&likely(missing, &unused)) {
            Some(hint) => error.with_hint(hint),
            None => error.with_hint(self.where_listed("the features")),
        }
    }

    /// Whether an array of these lengths is what a spread holds: so many numbers, or the axes of the tensor.
    ///
    /// # Errors
    /// [`Kind::BadOption`] naming the vector, what it takes and what was given.
    pub fn check_lengths(&self, spread: Spread, lengths: &[usize]) -> Result<()> {
        let tensor = self.interface.features.get(spread.first).and_then(|it| self.interface.inputs.get(it.tensor));
        let is_whole =
            |lengths: &[usize]| tensor.is_some_and(|tensor| tensor.width() == spread.count && tensor.shape == lengths);
        if lengths == [spread.count] || is_whole(lengths) {
            return Ok(());
        }
        let shown = |lengths: &[usize]| lengths.iter().map(ToString::to_string).collect::<Vec<_>>().join(" × ");
        let given = if lengths.is_empty() { "0".to_owned() } else { shown(lengths) };
        Err(Error::new(
            Kind::BadOption,
            format!("{} takes {}, got an array of {given}", self.subject(spread), self.taken(spread)),
        )
        .with_hint(self.where_listed("what it takes")))
    }

    /// What was given for a spread and is no array.
    #[must_use]
    #[cold]
    pub fn no_array(&self, spread: Spread, given: impl std::fmt::Display) -> Error {
        Error::new(
            Kind::TypeMismatch,
            format!("{} takes {}, got {given}", self.subject(spread), self.taken(spread)),
        )
        .with_hint("Give an SQL array (real[], float8[]), a JSON array, or a text like '[0.1, 0.2]', as of pgvector's types.")
    }

    /// What is wrong with an element, with the name under which it was given.
    #[must_use]
    #[cold]
    pub fn within(&self, spread: Spread, feature: usize, error: Error) -> Error {
        let name = self.vectors.list.get(spread.vector).map_or("", |vector| &vector.name);
        if self.interface.features.get(feature).is_none_or(|feature| feature.name.starts_with(name)) {
            return error;
        }
        let place = format!("It is element {} of {name:?}.", feature + 1 - spread.first);
        let detail = error.detail().map_or_else(|| place.clone(), |detail| format!("{place} {detail}"));
        error.with_detail(detail)
    }

    fn subject(&self, spread: Spread) -> String {
        let name = self.vectors.list.get(spread.vector).map_or("", |vector| &vector.name);
        format!("feature {name:?} of model {}", self.model)
    }

    fn taken(&self, spread: Spread) -> String {
        let element = self.interface.features.get(spread.first).map_or("", Feature::type_name);
        format!("an array of {} {element}", spread.count)
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
        Ok(Layout::of((0..features).map(|index| u32::try_from(index).ok().filter(|_| index < count)).collect()))
    }

    /// The array of a signature that begins at this place of a row by position.
    #[must_use]
    pub fn spread_from(&self, first: usize) -> Option<Spread> {
        let vector = self.interface.vectors.iter().position(|vector| vector.first == first)?;
        Some(Spread { first, count: self.interface.vectors[vector].count, vector })
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
    use std::sync::Arc;

    use super::*;
    use crate::fixture::{feature, regression};
    use crate::interface::{ElementType, InputTensor, Rows};

    fn binder(features: Vec<Feature>) -> Binder {
        Binder::new(Arc::new(regression(features)), "churn:1")
    }

    fn two() -> Binder {
        binder(vec![feature("tenure", 0, ElementType::Float32), feature("score", 1, ElementType::Float32)])
    }

    #[test]
    fn names_bind_in_any_order_and_the_last_of_two_wins() {
        let binder = two();
        let layout = binder.layout_by_name(["score", "extra", "tenure", "score"]).unwrap();
        assert_eq!(layout.sources(), [Some(2), Some(3)]);
    }

    #[test]
    fn a_missing_name_is_named_with_what_was_given_instead() {
        let binder = two();
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
        let binder = binder(features);
        let error = binder.layout_by_name(["Age years", "größe"]).unwrap_err();
        let hint = error.hint().unwrap();
        assert!(hint.contains(r#"write "Age_years" instead of "Age years", "gr__e" instead of "größe"."#), "{hint}");
        assert!(hint.contains("feature_names => ARRAY["), "{hint}");
    }

    #[test]
    fn positions_must_fit() {
        let binder = two();
        assert!(binder.layout_by_position(2).is_ok());
        assert_eq!(binder.layout_by_position(3).unwrap_err().kind(), Kind::BadOption);
        let error = binder.layout_by_position(1).unwrap_err();
        assert!(error.message().contains(r#""score""#), "{error}");
    }

    /// A matrix of three numbers, and a column.
    fn embedded() -> Interface {
        let mut interface = regression((0..4).map(|at| feature(&format!("f{at}"), at, ElementType::Float32)).collect());
        let tensor = |name: &str, shape| InputTensor {
            name: name.into(),
            element: ElementType::Float32,
            shape,
            rows: Rows::Free,
        };
        interface.inputs = vec![tensor("embedding", vec![3]), tensor("age", vec![1])];
        (interface.features[3].tensor, interface.features[3].position) = (1, 0);
        interface
    }

    #[test]
    fn a_tensor_is_given_whole_by_its_name() {
        let binder = Binder::new(Arc::new(embedded()), "docs:1");
        let layout = binder.layout_by_name(["age", "embedding", "note"]).unwrap();
        assert_eq!(layout.sources(), [Some(1), Some(1), Some(1), Some(0)]);
        let spreads: Vec<_> = layout.spreads().iter().map(|spread| (spread.first, spread.count)).collect();
        assert_eq!(spreads, [(0, 3), (3, 1)]);
        assert_eq!(layout.spread_at(0), Some(layout.spreads()[0]));
        assert_eq!(layout.spread_at(1), None);
        // What is given by its own name is not overwritten.
        let own = binder.layout_by_name(["f0", "f1", "f2", "age", "embedding"]).unwrap();
        assert_eq!((own.sources()[0], own.spreads().len()), (Some(0), 1));
        let error = binder.layout_by_name(["embedding", "Age"]).unwrap_err();
        assert_eq!(error.message(), r#"feature "f3" of model docs:1 is missing"#);
        assert!(binder.lanes(&layout, |_| Some(crate::Word::Float64)).is_none());
    }

    #[test]
    fn a_tensor_that_may_be_left_out_is_not_given_by_its_name() {
        let mut interface = embedded();
        interface.features[1].required = false;
        let binder = Binder::new(Arc::new(interface), "docs:1");
        assert_eq!(binder.match_names(["embedding"]).sources(), [None; 4]);
    }

    #[test]
    fn what_a_vector_takes_is_said() {
        let mut interface = embedded();
        interface.vectors = vec![Vector { name: "emb".into(), first: 0, count: 3 }];
        let binder = Binder::new(Arc::new(interface), "docs:1");
        let spread = binder.match_names(["emb"]).spreads()[0];
        assert!(binder.check_lengths(spread, &[3]).is_ok());
        for (lengths, given) in [(vec![2], "2"), (vec![], "0"), (vec![3, 1], "3 × 1")] {
            let error = binder.check_lengths(spread, &lengths).unwrap_err();
            let told = format!(r#"feature "emb" of model docs:1 takes an array of 3 float32, got an array of {given}"#);
            assert_eq!((error.kind(), error.message()), (Kind::BadOption, told.as_str()));
        }
        assert_eq!(
            binder.no_array(spread, 5).message(),
            r#"feature "emb" of model docs:1 takes an array of 3 float32, got 5"#
        );
        let error = binder.layout_by_name(["age"]).unwrap_err();
        assert_eq!(error.message(), r#"feature "emb" of model docs:1 is missing"#);
    }
}
