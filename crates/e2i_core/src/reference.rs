//! Model references: the first argument of every function.

use std::fmt;

use crate::error::{Error, Kind, Result};
use crate::stage::Stage;

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
    /// `models:/name/latest`, `models:/name/Production`: what follows the name, as it is written; see [`Newest`].
    Newest(String),
}

/// Of which versions the newest is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Newest {
    /// Of all.
    OfAll,
    /// Of those in a stage.
    InStage(Stage),
}

impl Newest {
    /// What `latest` and the names of stages mean, in any letter case.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("latest") {
            return Some(Self::OfAll);
        }
        Stage::ALL.into_iter().find(|stage| text.eq_ignore_ascii_case(stage.name())).map(Self::InStage)
    }
}

/// A version that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownVersion {
    /// What it is called.
    pub version: String,
    /// Where it is in its life.
    pub stage: Stage,
}

impl KnownVersion {
    /// Puts the newest first, given those registered last first: where all are numbers, as MLflow's are, the highest is the newest,
    /// whenever it was registered.
    pub fn sort<T>(known: &mut [(Self, T)]) {
        let is_number = |(it, _): &(Self, T)| it.version.bytes().all(|byte| byte.is_ascii_digit());
        if known.iter().all(is_number) {
            known.sort_by(|(one, _), (other, _)| {
                let [one, other] = [one, other].map(|it| it.version.trim_start_matches('0'));
                (other.len(), other).cmp(&(one.len(), one))
            });
        }
    }

    /// Which of `known`, the newest first, a text that is none of their names may mean: `v3` and `V3` the version `3`, `latest` and a stage
    /// the newest, and any a version whose name differs in letter case alone. More than one is ambiguous.
    #[must_use]
    pub fn meant(text: &str, known: &[Self]) -> Vec<usize> {
        let number = numbered(text);
        let newest = Newest::named(text).and_then(|newest| match newest {
            Newest::OfAll => (!known.is_empty()).then_some(0),
            Newest::InStage(stage) => known.iter().position(|it| it.stage == stage),
        });
        let is_meant = |(place, it): (usize, &Self)| {
            let is =
                Some(place) == newest || Some(it.version.as_str()) == number || it.version.eq_ignore_ascii_case(text);
            is.then_some(place)
        };
        known.iter().enumerate().filter_map(is_meant).collect()
    }

    /// The version of `known` that somebody who wrote `text` probably had in mind: the same number otherwise written, as `1.0`, `v01` or
    /// `#1` for `1`. For hints alone.
    #[must_use]
    pub fn likely<'k>(text: &str, known: &'k [Self]) -> Option<&'k str> {
        fn bare(text: &str) -> String {
            let lower = text.trim().to_lowercase();
            let lower =
                lower.strip_prefix("version").unwrap_or(&lower).trim_start_matches(['v', '#', ' ', '_', '-', '.']);
            let mut bare = lower.trim_start_matches('0');
            while let Some(shorter) = bare.strip_suffix(".0") {
                bare = shorter;
            }
            bare.to_owned()
        }
        let wanted = bare(text);
        known.iter().map(|it| it.version.as_str()).find(|version| !wanted.is_empty() && bare(version) == wanted)
    }
}

/// The `3` of `v3` and `V3`.
fn numbered(version: &str) -> Option<&str> {
    let digits = version.strip_prefix(['v', 'V'])?;
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)
}

impl ModelReference {
    /// Reads `name`, `name:version`, `name@alias`, and MLflow's `models:/name/version`, `models:/name@alias`, `models:/name/latest` and
    /// `models:/name/Production`, of which `latest` and stages are read in any letter case.
    ///
    /// # Errors
    /// [`Kind::BadOption`] with the accepted forms in the hint.
    pub fn parse(text: &str) -> Result<Self> {
        let malformed = |why: &str| {
            Error::new(Kind::BadOption, format!("invalid model reference {}: {why}", shown(text)))
                .with_hint("Write name, name:version, name@alias, models:/name/version, models:/name@alias, models:/name/latest or \
                     models:/name/Production.")
        };
        let alias = |alias: &str| match alias.eq_ignore_ascii_case("latest") {
            true => Selector::Newest(alias.to_owned()),
            false => Selector::Alias(alias.to_owned()),
        };
        let (name, selector) = if let Some(rest) = text.strip_prefix("models:/") {
            if let Some((name, after)) = rest.split_once('@') {
                (name, alias(after))
            } else if let Some((name, version)) = rest.split_once('/') {
                let version = version.to_owned();
                let is_newest = Newest::named(&version).is_some();
                (name, if is_newest { Selector::Newest(version) } else { Selector::Version(version) })
            } else {
                return Err(malformed("a models:/ reference needs a version or an alias"));
            }
        } else if let Some((name, after)) = text.split_once('@') {
            (name, alias(after))
        } else if let Some((name, version)) = text.split_once(':') {
            (name, Selector::Version(version.to_owned()))
        } else {
            (text, Selector::Deployed)
        };
        check_name(name).map_err(|why| malformed(&why))?;
        match &selector {
            Selector::Deployed | Selector::Newest(_) => {}
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
            Selector::Newest(newest) => write!(f, "models:/{}/{newest}", self.name),
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
            ("models:/churn/v3", "churn:v3"),
            ("models:/churn/Latest", "models:/churn/Latest"),
            ("models:/churn/PRODUCTION", "models:/churn/PRODUCTION"),
            ("models:/churn@latest", "models:/churn/latest"),
            ("churn@latest", "models:/churn/latest"),
            ("churn:latest", "churn:latest"),
            ("Churn Modell ä:2026-01", "Churn Modell ä:2026-01"),
        ];
        for (text, shown) in cases {
            assert_eq!(ModelReference::parse(text).unwrap().to_string(), shown, "{text}");
        }
    }

    fn known(versions: &[(&str, Stage)]) -> Vec<KnownVersion> {
        versions.iter().map(|(version, stage)| KnownVersion { version: (*version).to_owned(), stage: *stage }).collect()
    }

    #[test]
    fn what_is_no_version_may_mean_one() {
        use Stage::{Development, Production, Staging};
        let plain = known(&[("12", Development), ("3", Production), ("2", Production), ("1", Staging)]);
        let of = |text: &str| -> Vec<&str> {
            KnownVersion::meant(text, &plain).into_iter().map(|it| plain[it].version.as_str()).collect()
        };
        for (text, versions) in [
            ("v1", &["1"][..]),
            ("V12", &["12"]),
            ("latest", &["12"]),
            ("LATEST", &["12"]),
            ("Production", &["3"]),
            ("staging", &["1"]),
            ("shadow", &[]),
            ("v01", &[]),
            ("1.0", &[]),
            ("v", &[]),
            ("v4", &[]),
            ("None", &[]),
            ("vv1", &[]),
            ("v\u{661}", &[]),
        ] {
            assert_eq!(of(text), versions, "{text}");
        }
        let named = known(&[("v2", Development), ("2", Development), ("Production", Staging), ("1", Production)]);
        assert_eq!(KnownVersion::meant("V2", &named), [0, 1]);
        assert_eq!(KnownVersion::meant("production", &named), [2, 3]);
        assert_eq!(KnownVersion::meant("STAGING", &named), [2]);
        assert_eq!(KnownVersion::meant("latest", &[]), [0_usize; 0]);
    }

    #[test]
    fn the_newest_is_the_highest_number_or_the_last() {
        let sorted = |versions: &[&str]| {
            let mut all: Vec<(KnownVersion, ())> =
                versions.iter().flat_map(|it| known(&[(it, Stage::Staging)])).map(|it| (it, ())).collect();
            KnownVersion::sort(&mut all);
            all.into_iter().map(|(it, ())| it.version).collect::<Vec<_>>()
        };
        assert_eq!(sorted(&["2", "10", "9", "11"]), ["11", "10", "9", "2"]);
        assert_eq!(sorted(&["2", "b", "9"]), ["2", "b", "9"]);
        assert_eq!(sorted(&["3", "18446744073709551616", "007"]), ["18446744073709551616", "007", "3"]);
    }

    #[test]
    fn a_hint_finds_the_number() {
        let versions = known(&[("2026-01-b", Stage::Staging), ("1", Stage::Staging), ("v2", Stage::Staging)]);
        for (text, version) in [
            ("v01", Some("1")),
            ("1.0", Some("1")),
            ("1.0.0", Some("1")),
            ("#1", Some("1")),
            ("Version 1", Some("1")),
            ("2", Some("v2")),
            ("2026-01-B", Some("2026-01-b")),
            ("10", None),
            ("0", None),
            ("", None),
        ] {
            assert_eq!(KnownVersion::likely(text, &versions), version, "{text}");
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
