//! Model references: the first argument of every function.

use std::fmt;

use crate::error::{Error, Kind, Result};

/// Longest model name or alias, in bytes; a longer one is more likely a mistake than a name.
const MAX_NAME: usize = 255;

/// A parsed model reference.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModelReference {
    /// Model (or service) name.
    pub name: String,
    /// Which version of it.
    pub selector: Selector,
}

/// Which version a reference means.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Selector {
    /// `name`: what is deployed under that service name.
    Deployed,
    /// `name:version`.
    Version(String),
    /// `name@alias`.
    Alias(String),
}

impl ModelReference {
    /// Reads `name`, `name:version`, `name@alias`, `models:/name/version` and `models:/name@alias`.
    ///
    /// # Errors
    /// [`Kind::BadOption`] with the accepted forms in the hint.
    pub fn parse(text: &str) -> Result<Self> {
        let malformed = |why: &str| {
            Error::new(Kind::BadOption, format!("invalid model reference {}: {why}", shown(text)))
                .with_hint("Write name, name:version, name@alias, models:/name/version or models:/name@alias.")
        };
        let (name, selector) = if let Some(rest) = text.strip_prefix("models:/") {
            if let Some((name, alias)) = rest.split_once('@') {
                (name, Selector::Alias(alias.to_owned()))
            } else if let Some((name, version)) = rest.split_once('/') {
                (name, Selector::Version(version.to_owned()))
            } else {
                return Err(malformed("a models:/ reference needs a version or an alias"));
            }
        } else if let Some((name, alias)) = text.split_once('@') {
            (name, Selector::Alias(alias.to_owned()))
        } else if let Some((name, version)) = text.split_once(':') {
            (name, Selector::Version(version.to_owned()))
        } else {
            (text, Selector::Deployed)
        };
        check_name(name).map_err(|why| malformed(&why))?;
        match &selector {
            Selector::Deployed => {}
            Selector::Version(version) => check_part("version", version).map_err(|why| malformed(&why))?,
            Selector::Alias(alias) => check_part("alias", alias).map_err(|why| malformed(&why))?,
        }
        Ok(Self { name: name.to_owned(), selector })
    }

    /// Whether `name` may be given to a new model.
    ///
    /// # Errors
    /// [`Kind::BadOption`] that says which rule it breaks.
    pub fn check_new_name(name: &str) -> Result<()> {
        check_name(name)
            .map_err(|why| Error::new(Kind::BadOption, format!("invalid model name {}: {why}", shown(name))))
    }

    /// Whether `name` may be given to a service, which references call as they do a model.
    ///
    /// # Errors
    /// As for [`Self::check_new_name`].
    pub fn check_new_service(name: &str) -> Result<()> {
        check_name(name)
            .map_err(|why| Error::new(Kind::BadOption, format!("invalid service name {}: {why}", shown(name))))
    }

    /// Whether `version` may be given to a new version.
    ///
    /// # Errors
    /// [`Kind::BadOption`] that says which rule it breaks.
    pub fn check_new_version(version: &str) -> Result<()> {
        check_part("version", version)
            .map_err(|why| Error::new(Kind::BadOption, format!("invalid model version {}: {why}", shown(version))))
    }

    /// Whether `alias` may be set: MLflow's rules, so that `models:/name@alias` reads the same there.
    ///
    /// # Errors
    /// [`Kind::BadOption`] that says which rule it breaks.
    pub fn check_new_alias(alias: &str) -> Result<()> {
        let refuse = |why: &str| Err(Error::new(Kind::BadOption, format!("invalid alias {}: {why}", shown(alias))));
        let lower = alias.to_ascii_lowercase();
        if alias.is_empty() || alias.len() > MAX_NAME {
            return refuse("it must have 1 to 255 characters");
        }
        if !alias.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
            return refuse("only letters, digits, _ and - are allowed");
        }
        if lower == "latest" {
            return refuse("\"latest\" is reserved");
        }
        if lower
            .strip_prefix('v')
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
        {
            return refuse("v and digits look like a version");
        }
        Ok(())
    }
}

/// A reference in a message: quoted, and cut where it is longer than any sensible one.
fn shown(text: &str) -> String {
    const SHOWN: usize = 80;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

fn check_name(name: &str) -> std::result::Result<(), String> {
    check_part("name", name)
}

/// Characters that leave no mark or change the order of others: with them two names would look like one.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Names, versions and aliases share their rules: they must survive being written in a reference and read again.
fn check_part(what: &str, part: &str) -> std::result::Result<(), String> {
    if part.is_empty() {
        return Err(format!("the {what} is empty"));
    }
    if part.len() > MAX_NAME {
        return Err(format!("the {what} is longer than {MAX_NAME} bytes"));
    }
    if let Some(bad) = part.chars().find(|c| matches!(c, '/' | ':' | '@') || c.is_control() || is_invisible(*c)) {
        return Err(format!("the {what} contains {bad:?}"));
    }
    if part.trim() != part {
        return Err(format!("the {what} begins or ends with a space"));
    }
    Ok(())
}

impl fmt::Display for ModelReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.selector {
            Selector::Deployed => f.write_str(&self.name),
            Selector::Version(version) => write!(f, "{}:{version}", self.name),
            Selector::Alias(alias) => write!(f, "{}@{alias}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        let cases = [
            ("churn", "churn"),
            ("churn:3", "churn:3"),
            ("churn@champion", "churn@champion"),
            ("models:/churn/3", "churn:3"),
            ("models:/churn@champion", "churn@champion"),
            ("Churn Modell ä:2026-01", "Churn Modell ä:2026-01"),
        ];
        for (text, shown) in cases {
            assert_eq!(ModelReference::parse(text).unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn aliases_follow_mlflow() {
        for good in ["champion", "A-1_b", "v", "v1a", "latest2"] {
            assert!(ModelReference::check_new_alias(good).is_ok(), "{good}");
        }
        for bad in ["", "latest", "Latest", "v1", "V20", "a b", "a@b", "ä", &"a".repeat(256)] {
            assert_eq!(ModelReference::check_new_alias(bad).unwrap_err().kind(), Kind::BadOption, "{bad}");
        }
    }

    #[test]
    fn malformed_references_say_why() {
        for (text, why) in [
            ("", "empty"),
            ("models:/", "version or an alias"),
            ("models:/churn", "version or an alias"),
            ("models:/a/b/c", "'/'"),
            ("models:/a@x/1", "'/'"),
            ("a:b:c", "':'"),
            ("a@", "alias is empty"),
            (":3", "name is empty"),
            ("a/b", "'/'"),
            (" churn", "space"),
            ("a\u{7}", "'\\u{7}'"),
            ("churn\u{200b}", "'\\u{200b}'"),
            ("churn:2\u{feff}", "'\\u{feff}'"),
            ("churn:\u{202e}21", "'\\u{202e}'"),
        ] {
            let error = ModelReference::parse(text).unwrap_err();
            assert_eq!(error.kind(), Kind::BadOption);
            assert!(error.message().contains(why), "{text}: {error}");
        }
    }
}
