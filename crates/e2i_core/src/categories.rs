//! Categories of a data frame: the values that a feature had there, and the code that the model knows each by.
//!
//! Rows give values; which code stands for one is its place in the list that the model's file carries. Numbers are compared
//! as numbers (3, 3.0 and `true` for 1), texts as texts. In a list without texts a text that is a number is that number, so
//! that an array of texts can carry it.

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::names::listed;
use crate::value::{Scalar, ValueProblem, float_text};

/// A value that a data frame had.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Category {
    /// A boolean.
    Bool(bool),
    /// A whole number.
    Whole(i64),
    /// Any other number; finite.
    Float(f64),
    /// A text.
    Text(String),
}

impl Category {
    /// A JSON value as a category; `None` for null, arrays, objects and numbers that no type holds exactly.
    #[must_use]
    pub fn from_json(value: &serde_json::Value) -> Option<Self> {
        match value {
            serde_json::Value::Bool(value) => Some(Self::Bool(*value)),
            serde_json::Value::String(text) => Some(Self::Text(text.clone())),
            serde_json::Value::Number(number) if number.is_f64() => number.as_f64().map(Self::Float),
            serde_json::Value::Number(number) => number.as_i64().map(Self::Whole),
            _ => None,
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Whole(value) => write!(f, "{value}"),
            Self::Float(value) => f.write_str(&float_text(*value)),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// What becomes of a value that is not in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unseen {
    /// It counts as missing (LightGBM).
    Missing,
    /// It is an error (XGBoost).
    Refused,
    /// It has a code of its own, the number of categories (scikit-learn).
    Apart,
}

/// The categories of a feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Categories {
    /// The values, in the order of their codes; none for a feature that the model does not look at, which may be anything.
    pub values: Vec<Category>,
    /// What becomes of others.
    pub unseen: Unseen,
}

impl Categories {
    /// The type of all values, as listings name it: `string`, `int64`, `float64` or `bool`; `string` where they differ, `any` where
    /// there are none.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        if self.values.is_empty() {
            return "any";
        }
        let all = |is: fn(&Category) -> bool| self.values.iter().all(is);
        if all(|value| matches!(value, Category::Bool(_))) {
            "bool"
        } else if all(|value| matches!(value, Category::Whole(_))) {
            "int64"
        } else if all(|value| matches!(value, Category::Whole(_) | Category::Float(_))) {
            "float64"
        } else {
            "string"
        }
    }

    /// The type that MLflow has for the values.
    #[must_use]
    pub fn mlflow_type(&self) -> &'static str {
        match self.type_name() {
            "bool" => "boolean",
            "int64" => "long",
            "float64" => "double",
            _ => "string",
        }
    }

    /// The value of a code; `None` for what is missing.
    #[must_use]
    pub fn of_code(&self, code: f64) -> Option<&Category> {
        // What is negative or NaN becomes 0, and is no code.
        let place = code as usize;
        self.values.get(place).filter(|_| place as f64 == code)
    }

    /// The first values, `"a", "b" and 5 more`.
    #[must_use]
    pub fn shown(&self) -> String {
        listed(self.values.iter().map(|value| match value {
            Category::Text(text) => Scalar::Text(text).to_string(),
            other => other.to_string(),
        }))
    }
}

/// Categories by which values are looked up. Of equal ones the first counts.
#[derive(Debug, Default)]
pub(crate) struct Codes {
    texts: HashMap<Box<str>, u32>,
    wholes: HashMap<i64, u32>,
    /// Numbers that are not whole, by their bits.
    fractions: HashMap<u64, u32>,
    /// Whether some value is a boolean.
    bools: bool,
}

impl Codes {
    pub(crate) fn new(categories: &Categories) -> Self {
        let mut codes = Self::default();
        for (code, value) in (0..u32::MAX).zip(&categories.values) {
            match value {
                Category::Text(text) => {
                    codes.texts.entry(text.as_str().into()).or_insert(code);
                }
                Category::Bool(value) => {
                    codes.bools = true;
                    codes.wholes.entry(i64::from(*value)).or_insert(code);
                }
                Category::Whole(value) => {
                    codes.wholes.entry(*value).or_insert(code);
                }
                Category::Float(value) => {
                    match Scalar::Float(*value).to_i64() {
                        Ok(whole) => codes.wholes.entry(whole).or_insert(code),
                        Err(_) => codes.fractions.entry(value.to_bits()).or_insert(code),
                    };
                }
            }
        }
        codes
    }

    /// Whether texts are categories here, so that none of them is a number or means missing.
    pub(crate) fn has_texts(&self) -> bool {
        !self.texts.is_empty()
    }

    fn has_numbers(&self) -> bool {
        !(self.wholes.is_empty() && self.fractions.is_empty())
    }

    /// The code of a value that is not missing; `None` for one that is not in the list.
    ///
    /// # Errors
    /// Why the value is of a kind that cannot be in the list.
    pub(crate) fn code(&self, value: Scalar<'_>) -> Result<Option<u32>, ValueProblem> {
        match value {
            Scalar::Text(text) if self.has_texts() => Ok(self.texts.get(text).copied()),
            Scalar::Text(text) => match text {
                "true" | "True" if self.bools => Ok(self.whole(1)),
                "false" | "False" if self.bools => Ok(self.whole(0)),
                _ => match text.parse::<i64>() {
                    Ok(whole) => Ok(self.whole(whole)),
                    Err(_) => self.fraction(text.parse().map_err(|_| ValueProblem::NotANumber)?),
                },
            },
            Scalar::Bool(_) | Scalar::Int(_) | Scalar::Float(_) | Scalar::Decimal(_) if !self.has_numbers() => {
                Err(ValueProblem::NotText)
            }
            Scalar::Bool(value) => Ok(self.whole(i64::from(value))),
            Scalar::Int(value) => Ok(self.whole(value)),
            Scalar::Float(value) => self.fraction(value),
            Scalar::Decimal(decimal) => match decimal.to_i64() {
                Some(whole) => Ok(self.whole(whole)),
                None => Ok(value.to_f64().map_or(None, |value| self.fraction(value).unwrap_or(None))),
            },
            Scalar::Missing => Err(ValueProblem::Missing),
            Scalar::Instant(_) | Scalar::Other(_) => Err(ValueProblem::WrongType),
        }
    }

    fn whole(&self, value: i64) -> Option<u32> {
        self.wholes.get(&value).copied()
    }

    fn fraction(&self, value: f64) -> Result<Option<u32>, ValueProblem> {
        Ok(match Scalar::Float(value).to_i64() {
            Ok(whole) => self.whole(whole),
            Err(ValueProblem::Missing) => return Err(ValueProblem::NotANumber),
            Err(_) => self.fractions.get(&value.to_bits()).copied(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(json: &str) -> Codes {
        Codes::new(&Categories { values: serde_json::from_str(json).unwrap(), unseen: Unseen::Missing })
    }

    #[test]
    fn numbers_are_found_by_what_they_are() {
        let cylinders = codes("[8, 3]");
        for three in [Scalar::Int(3), Scalar::Float(3.0), Scalar::Text("3")] {
            assert_eq!(cylinders.code(three), Ok(Some(1)), "{three}");
        }
        assert_eq!(cylinders.code(Scalar::Int(9)), Ok(None));
        assert_eq!(cylinders.code(Scalar::Float(3.5)), Ok(None));
        assert_eq!(cylinders.code(Scalar::Float(f64::INFINITY)), Ok(None));
        assert_eq!(cylinders.code(Scalar::Text("three")), Err(ValueProblem::NotANumber));
        assert_eq!(cylinders.code(Scalar::Instant(Some(3))), Err(ValueProblem::WrongType));
        let shares = codes("[0.5, 2.0]");
        assert_eq!(shares.code(Scalar::Float(0.5)), Ok(Some(0)));
        assert_eq!(shares.code(Scalar::Text("0.5")), Ok(Some(0)));
        assert_eq!(shares.code(Scalar::Int(2)), Ok(Some(1)));
    }

    #[test]
    fn booleans_are_0_and_1_and_the_other_way_round() {
        let flags = codes("[true, false]");
        for value in [Scalar::Bool(true), Scalar::Int(1), Scalar::Text("true"), Scalar::Text("True")] {
            assert_eq!(flags.code(value), Ok(Some(0)), "{value}");
        }
        assert_eq!(flags.code(Scalar::Int(2)), Ok(None));
        assert_eq!(codes("[0, 1]").code(Scalar::Bool(true)), Ok(Some(1)));
        assert_eq!(codes("[0, 1]").code(Scalar::Text("true")), Err(ValueProblem::NotANumber));
    }

    #[test]
    fn texts_are_never_numbers_where_texts_are_categories() {
        let codes = codes(r#"["1", "b", 2, "NaN"]"#);
        assert_eq!(codes.code(Scalar::Text("1")), Ok(Some(0)));
        assert_eq!(codes.code(Scalar::Text("2")), Ok(None));
        assert_eq!(codes.code(Scalar::Text("NaN")), Ok(Some(3)));
        assert_eq!(codes.code(Scalar::Int(1)), Ok(None));
        assert_eq!(codes.code(Scalar::Int(2)), Ok(Some(2)));
        let only = super::tests::codes(r#"["1"]"#);
        assert_eq!(only.code(Scalar::Int(1)), Err(ValueProblem::NotText));
    }
}
