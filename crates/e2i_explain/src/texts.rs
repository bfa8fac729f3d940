//! What a reason says: a text that somebody has written for a feature, with places for what the row has, or the usual one.
//!
//! `{feature}`, `{value}`, `{contribution}` and `{direction}` are places; other braces stand for themselves. What is filled in is never
//! looked into again.
//!
//! What does not belong here: where texts are kept.

use e2i_core::{Error, Kind, Result};

/// Where a feature moves a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// It raises it.
    Up,
    /// It lowers it.
    Down,
}

impl Direction {
    /// That of a contribution.
    #[must_use]
    pub fn of(contribution: f64) -> Self {
        if contribution > 0.0 { Self::Up } else { Self::Down }
    }

    /// The name used in SQL.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }

    /// The direction of that name.
    ///
    /// # Errors
    /// [`Kind::BadOption`] with those that there are.
    pub fn from_name(name: &str) -> Result<Self> {
        [Self::Up, Self::Down].into_iter().find(|one| one.name() == name).ok_or_else(|| {
            let hint = "One of up, down; both where nothing is said.";
            Error::new(Kind::BadOption, format!("unknown direction {name:?}")).with_hint(hint)
        })
    }
}

/// What a feature adds to the number of a row.
#[derive(Debug, Clone, Copy)]
pub struct Reason<'r> {
    /// The feature's name.
    pub feature: &'r str,
    /// What the row has; `None` for a missing value.
    pub value: Option<&'r str>,
    /// What it adds.
    pub contribution: f64,
}

/// A text for reasons.
#[derive(Debug, Clone)]
pub struct Text {
    /// Of which feature; any if `None`.
    pub feature: Option<String>,
    /// Of which direction.
    pub direction: Direction,
    /// What is said.
    pub text: String,
    /// What is said of a missing value; `None` where that is the same.
    pub missing: Option<String>,
}

/// The language that has texts of its own.
const USUAL: &str = "en";

/// What stands in the place of a missing value.
const MISSING: &str = "missing";

/// All texts for a model in a language.
#[derive(Debug, Clone)]
pub struct Texts {
    language: String,
    all: Vec<Text>,
}

impl Texts {
    /// Of those for one reason the first is taken.
    #[must_use]
    pub fn new(language: &str, all: Vec<Text>) -> Self {
        Self { language: language.to_owned(), all }
    }

    /// What is said of a reason.
    ///
    /// # Errors
    /// [`Kind::WrongState`] where nobody has written a text in another language than English.
    pub fn of(&self, reason: &Reason<'_>) -> Result<String> {
        let direction = Direction::of(reason.contribution);
        let is_meant = |text: &&Text| {
            text.direction == direction && text.feature.as_deref().is_none_or(|feature| feature == reason.feature)
        };
        if let Some(text) = self.all.iter().find(is_meant) {
            let missing = text.missing.as_ref().filter(|_| reason.value.is_none());
            return Ok(filled(missing.unwrap_or(&text.text), reason));
        }
        if self.language != USUAL {
            return Err(self.unwritten(reason.feature, direction));
        }
        let verb = if direction == Direction::Up { "raises" } else { "lowers" };
        let name = reason.feature;
        Ok(match reason.value {
            Some(value) => format!("{name} = {value} {verb} the score"),
            None => format!("{name} is missing, which {verb} the score"),
        })
    }

    #[cold]
    fn unwritten(&self, feature: &str, direction: Direction) -> Error {
        let (language, direction) = (&self.language, direction.name());
        let message =
            format!("there is no text in language {language:?} for feature {feature:?}, direction {direction}");
        let quoted = |text: &str| text.replace('\'', "''");
        Error::new(Kind::WrongState, message).with_hint(format!(
            "INSERT INTO ml_reason_texts (feature, direction, language, text) VALUES ('{}', '{direction}', '{}', '{{feature}}: {{value}}');",
            quoted(feature),
            quoted(language)
        ))
    }
}

/// A text with its places filled.
fn filled(text: &str, reason: &Reason<'_>) -> String {
    let mut said = String::with_capacity(text.len() + 32);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        said.push_str(before);
        let place = after.split_once('}').and_then(|(name, after)| Some((in_place(name, reason)?, after)));
        rest = match place {
            Some((value, after)) => {
                said.push_str(&value);
                after
            }
            None => {
                said.push('{');
                after
            }
        };
    }
    said.push_str(rest);
    said
}

fn in_place(name: &str, reason: &Reason<'_>) -> Option<String> {
    match name {
        "feature" => Some(reason.feature.to_owned()),
        "value" => Some(reason.value.unwrap_or(MISSING).to_owned()),
        "contribution" => Some(rounded(reason.contribution)),
        "direction" => Some(Direction::of(reason.contribution).name().to_owned()),
        _ => None,
    }
}

/// A number with three digits that say something, and all before its point.
fn rounded(number: f64) -> String {
    let size = number.abs().log10().floor();
    let decimals = if size.is_finite() { (2.0 - size).clamp(0.0, 17.0) as usize } else { 0 };
    format!("{number:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(feature: Option<&str>, direction: Direction, text: &str, missing: Option<&str>) -> Text {
        let missing = missing.map(str::to_owned);
        Text { feature: feature.map(str::to_owned), direction, text: text.to_owned(), missing }
    }

    fn reason<'r>(feature: &'r str, value: Option<&'r str>, contribution: f64) -> Reason<'r> {
        Reason { feature, value, contribution }
    }

    #[test]
    fn the_first_text_of_feature_and_direction_is_taken() {
        let texts = Texts::new(
            "de",
            vec![
                text(Some("age"), Direction::Up, "Alter {value}: {direction} um {contribution}", Some("Alter fehlt")),
                text(None, Direction::Up, "{feature} ist {value}", None),
            ],
        );
        assert_eq!(texts.of(&reason("age", Some("41"), 1.2345)).unwrap(), "Alter 41: up um 1.23");
        assert_eq!(texts.of(&reason("age", None, 1.2345)).unwrap(), "Alter fehlt");
        assert_eq!(texts.of(&reason("size", None, 1.0)).unwrap(), "size ist missing");
        let error = texts.of(&reason("it's", Some("1"), -1.0)).unwrap_err();
        assert_eq!(error.message(), r#"there is no text in language "de" for feature "it's", direction down"#);
        assert!(error.hint().unwrap().contains("VALUES ('it''s', 'down', 'de', '{feature}: {value}')"));
    }

    #[test]
    fn english_has_the_usual_texts() {
        let texts = Texts::new("en", vec![text(Some("age"), Direction::Up, "old", None)]);
        assert_eq!(texts.of(&reason("age", Some("7"), 1.0)).unwrap(), "old");
        assert_eq!(texts.of(&reason("age", Some("7"), -1.0)).unwrap(), "age = 7 lowers the score");
        assert_eq!(texts.of(&reason("b", None, 1.0)).unwrap(), "b is missing, which raises the score");
    }

    #[test]
    fn what_is_filled_in_is_not_looked_into() {
        let texts = Texts::new("en", vec![text(None, Direction::Up, "{{feature}} {value} {else} {", None)]);
        let said = texts.of(&reason("{value}", Some("{direction}é"), 1.0)).unwrap();
        assert_eq!(said, "{{value}} {direction}é {else} {");
    }

    #[test]
    fn numbers_keep_three_digits_or_all_before_the_point() {
        let said = [1.23456, -0.678_91, 0.000_123_456, 12_345.67, 99.96, 0.0, f64::INFINITY].map(rounded);
        assert_eq!(said, ["1.23", "-0.679", "0.000123", "12346", "100.0", "0", "inf"]);
    }

    #[test]
    fn directions_have_names() {
        assert_eq!(Direction::from_name("up").unwrap(), Direction::Up);
        assert_eq!(Direction::of(-1.0).name(), "down");
        assert!(Direction::from_name("left").unwrap_err().hint().unwrap().starts_with("One of up, down"));
    }
}
