//! What is known of values, as what is known of the cells that they are written into.
//!
//! A cell is what [`Binder::set`] writes of a value, so the ends of ranges are rounded as values are. Writing keeps the order of numbers;
//! where it does not, as with the codes of categories, single values are known and no ranges.

use super::{Known, Numbers, Possible};
use crate::batch::{Batch, Column};
use crate::bind::{Binder, Layout};
use crate::value::Scalar;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Given {
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A text.
    Text(String),
    /// A point in time, as [`Scalar::Instant`].
    Instant(Option<i64>),
}

impl Given {
    /// The same as binding takes it.
    #[must_use]
    pub fn scalar(&self) -> Scalar<'_> {
        match self {
            Self::Bool(value) => Scalar::Bool(*value),
            Self::Int(value) => Scalar::Int(*value),
            Self::Float(value) => Scalar::Float(*value),
            Self::Text(value) => Scalar::Text(value),
            Self::Instant(value) => Scalar::Instant(*value),
        }
    }
}

/// What is known of a value.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Said {
    /// It lies in one of these, from one value to another, both of them possible; without an end there is none.
    pub ranges: Vec<(Option<Given>, Option<Given>)>,
    /// Whether it can be missing: NULL or NaN.
    pub missing: bool,
}

impl Said {
    /// It is one of these values.
    pub fn one_of(values: impl IntoIterator<Item = Given>) -> Self {
        Self { ranges: values.into_iter().map(|value| (Some(value.clone()), Some(value))).collect(), missing: false }
    }

    /// One of two sayings is right.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        self.ranges.extend(other.ranges);
        Self { ranges: self.ranges, missing: self.missing || other.missing }
    }
}

impl Binder {
    /// What is known of the cells of a batch, from what is known of the values of sources in a layout: `said` has it for each source,
    /// all of it right; nothing for one of which nothing is known.
    #[must_use]
    pub fn known(&self, layout: &Layout, said: impl Fn(usize) -> Vec<Said>) -> Known {
        let mut cells = vec![];
        for (feature, source) in layout.sources().iter().enumerate() {
            let is_whole = layout.spreads().iter().any(|it| (it.first..it.first + it.count).contains(&feature));
            // What is said of an array says nothing of an element.
            let said = source.filter(|_| !is_whole).map(|source| said(source as usize)).unwrap_or_default();
            if let Some(possible) = self.possible(feature, &said) {
                let described = &self.interface().features[feature];
                cells.push((described.tensor, described.position, possible));
            }
        }
        Known { cells }
    }

    /// What the cell of a feature can be; `None` where nothing is known.
    fn possible(&self, feature: usize, said: &[Said]) -> Option<Possible> {
        said.iter().filter_map(|said| self.possible_of(feature, said)).reduce(|all, more| match (all, more) {
            (Possible::Numbers(all), Possible::Numbers(more)) => Possible::Numbers(all.and(&more)),
            (Possible::Texts(all), Possible::Texts(more)) => {
                Possible::Texts(all.into_iter().filter(|text| more.contains(text)).collect())
            }
            (all, _) => all,
        })
    }

    fn possible_of(&self, feature: usize, said: &Said) -> Option<Possible> {
        let is_point = |(low, high): &(Option<Given>, Option<Given>)| low.is_some() && low == high;
        let is_category = self.interface().features[feature].categories.is_some();
        // What cannot be written is no row that is scored.
        let absent = if said.missing { self.cell(feature, Scalar::Missing) } else { None };
        if said.ranges.iter().all(is_point) {
            let values = said.ranges.iter().filter_map(|(value, _)| self.cell(feature, value.as_ref()?.scalar()));
            let cells: Vec<Possible> = values.chain(absent).collect();
            let numbers = |possible: &Possible| match possible {
                Possible::Numbers(numbers) => Some(numbers.clone()),
                Possible::Texts(_) => None,
            };
            if let Some(all) = cells.iter().map(numbers).collect::<Option<Vec<Numbers>>>() {
                let nan = all.iter().any(|numbers| numbers.nan);
                return Some(Possible::Numbers(Numbers::of(all.into_iter().flat_map(|numbers| numbers.ranges), nan)));
            }
            let texts = cells.into_iter().filter_map(|possible| match possible {
                Possible::Texts(texts) => Some(texts),
                Possible::Numbers(_) => None,
            });
            return Some(Possible::Texts(texts.flatten().collect()));
        }
        if is_category {
            return None;
        }
        let end = |given: &Option<Given>, else_: f64| {
            let Some(given) = given else { return Some(else_) };
            match self.cell(feature, given.scalar()) {
                Some(Possible::Numbers(Numbers { ranges, .. })) => Some(ranges.first().map_or(else_, |range| range.0)),
                Some(Possible::Texts(_)) => None,
                // Beyond what the cell can hold, or between: who knows where.
                None => Some(else_),
            }
        };
        let range = |(low, high): &(Option<Given>, Option<Given>)| {
            Some((end(low, f64::NEG_INFINITY)?, end(high, f64::INFINITY)?))
        };
        let ranges: Vec<(f64, f64)> = said.ranges.iter().map(range).collect::<Option<_>>()?;
        let (nan, point) = match absent {
            Some(Possible::Numbers(numbers)) => (numbers.nan, numbers.ranges),
            Some(Possible::Texts(_)) => return None,
            None => (false, vec![]),
        };
        Some(Possible::Numbers(Numbers::of(ranges.into_iter().chain(point), nan)))
    }

    /// What is written for a value; `None` for one that is refused.
    fn cell(&self, feature: usize, value: Scalar<'_>) -> Option<Possible> {
        let described = &self.interface().features[feature];
        let mut batch = Batch::new(&self.interface().inputs, 1);
        self.set(&mut batch, 0, feature, value).ok()?;
        let values = &batch.tensors().get(described.tensor)?.values;
        Some(match values {
            Column::Text(texts) => Possible::Texts(vec![texts.get(described.position)?.clone()]),
            numbers => {
                let number = numbers.number(described.position)?;
                Possible::Numbers(Numbers::of([(number, number)], number.is_nan()))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::categories::{Categories, Unseen};
    use crate::fixture::{feature, regression};
    use crate::interface::{ElementType, Feature};

    fn of(feature: Feature, said: &[Said]) -> Option<Possible> {
        let binder = Binder::new(Arc::new(regression(vec![feature])), "churn:1");
        let layout = binder.match_names(["x"]);
        let mut known = binder.known(&layout, |_| said.to_vec());
        known.cells.pop().map(|(.., possible)| possible)
    }

    fn x() -> Feature {
        let mut x = feature("x", 0, ElementType::Float32);
        x.takes_missing = true;
        x
    }

    fn from(low: f64) -> Said {
        Said { ranges: vec![(Some(Given::Float(low)), None)], missing: true }
    }

    fn to(high: f64) -> Said {
        Said { ranges: vec![(None, Some(Given::Float(high)))], missing: false }
    }

    fn numbers(ranges: &[(f64, f64)], nan: bool) -> Option<Possible> {
        Some(Possible::Numbers(Numbers { ranges: ranges.to_vec(), nan }))
    }

    #[test]
    fn ends_are_rounded_as_values_are() {
        assert_eq!(of(x(), &[from(0.1), to(0.3)]), numbers(&[(f64::from(0.1f32), f64::from(0.3f32))], false));
        assert_eq!(of(x(), &[from(0.1)]), numbers(&[(f64::from(0.1f32), f64::INFINITY)], true));
        // What float32 does not hold is no end.
        assert_eq!(of(x(), &[to(1e39)]), numbers(&[(f64::NEG_INFINITY, f64::INFINITY)], false));
        assert_eq!(of(x(), &[]), None);
    }

    #[test]
    fn what_stands_for_a_missing_value_is_possible_where_it_can_be_missing() {
        let mut defaulted = x();
        defaulted.default = Some(serde_json::json!(-7));
        assert_eq!(of(defaulted.clone(), &[from(1.0)]), numbers(&[(-7.0, -7.0), (1.0, f64::INFINITY)], false));
        assert_eq!(of(defaulted, &[to(1.0)]), numbers(&[(f64::NEG_INFINITY, 1.0)], false));
        // A row without a value is refused.
        let strict = feature("x", 0, ElementType::Float32);
        assert_eq!(of(strict, &[from(1.0)]), numbers(&[(1.0, f64::INFINITY)], false));
        let is_null = Said { ranges: vec![], missing: true };
        assert_eq!(of(x(), &[is_null]), numbers(&[], true));
    }

    #[test]
    fn values_are_points_and_several_sayings_hold_together() {
        let some = Said::one_of([1, 2, 7].map(Given::Int));
        assert_eq!(of(x(), &[some.clone(), from(2.0)]), numbers(&[(2.0, 2.0), (7.0, 7.0)], false));
        let either = Said::one_of([Given::Int(9)]).or(Said { ranges: vec![], missing: true });
        let both = [either, some];
        assert_eq!(of(x(), &both[..1]), numbers(&[(9.0, 9.0)], true));
        assert_eq!(of(x(), &both), numbers(&[], false));
        let city = feature("x", 0, ElementType::Text);
        let texts = |texts: &[&str]| Said::one_of(texts.iter().map(|text| Given::Text((*text).to_owned())));
        let found = of(city, &[texts(&["Rome", "Paris"]), texts(&["Paris", "Oslo"])]);
        assert_eq!(found, Some(Possible::Texts(vec!["Paris".to_owned()])));
    }

    #[test]
    fn of_categories_the_codes_are_known_and_no_ranges() {
        let mut city = x();
        let values = serde_json::from_str(r#"["Paris", "London"]"#).unwrap();
        city.categories = Some(Categories { values, unseen: Unseen::Missing });
        let text = |text: &str| Given::Text(text.to_owned());
        assert_eq!(of(city.clone(), &[Said::one_of([text("London")])]), numbers(&[(1.0, 1.0)], false));
        assert_eq!(of(city.clone(), &[Said::one_of([text("Berlin"), text("Paris")])]), numbers(&[(0.0, 0.0)], true));
        let between = Said { ranges: vec![(Some(text("A")), Some(text("Z")))], missing: false };
        assert_eq!(of(city, &[between]), None);
    }
}
