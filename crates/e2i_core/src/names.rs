//! Names in messages: how many are listed, and which of those that were given is likely the one that a model knows otherwise.
//!
//! Training libraries and databases rename columns: LightGBM writes `_` for a blank, skl2onnx for all but ASCII letters and
//! digits, a database cuts names at 63 bytes and folds them to lower case, and an accent can be written in two ways. This is
//! for hints only: binding is by the exact name.

use std::collections::{HashMap, HashSet};

use unicode_normalization::UnicodeNormalization;

/// How many names, labels or values a message shows.
pub(crate) const SHOWN: usize = 8;

/// The first of several, each as it is shown, and how many more there are: `"a", "b" and 5 more`.
#[must_use]
pub fn listed(shown: impl IntoIterator<Item = String>) -> String {
    let mut shown = shown.into_iter();
    let first: Vec<String> = shown.by_ref().take(SHOWN).collect();
    match shown.count() {
        0 => first.join(", "),
        rest => format!("{} and {rest} more", first.join(", ")),
    }
}

/// The same of names, in quotes.
#[must_use]
pub fn quoted<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    listed(names.into_iter().map(|name| format!("{name:?}")))
}

/// Longest name of a column of a table, in bytes.
const LONGEST_COLUMN: usize = 63;

/// How a given name came from a wanted one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renamed {
    /// Only the case of letters differs.
    Case,
    /// Other characters differ.
    Characters,
    /// It was cut at the longest name of a column.
    Cut,
}

/// For each of the `wanted` names that has a likely one among those given, that one; a given name that fits two wanted ones
/// fits neither.
pub(crate) fn likely<'n>(wanted: &[&'n str], given: &[&'n str]) -> Vec<(&'n str, &'n str, Renamed)> {
    let mut found = vec![];
    let mut left: Vec<&str> = wanted.to_vec();
    let mut free: Vec<&str> = given.to_vec();
    for (key, renamed) in [
        (lower as fn(&str) -> String, Renamed::Case),
        (letters, Renamed::Characters),
        (cut, Renamed::Cut),
        (|name| letters(&cut(name)), Renamed::Cut),
        (ascii, Renamed::Characters),
        (|name| ascii(&cut(name)), Renamed::Cut),
    ] {
        let keyed = |names: &[&'n str]| {
            let mut keyed: HashMap<String, Option<&'n str>> = HashMap::with_capacity(names.len());
            for name in names {
                let key = key(name);
                if !key.is_empty() {
                    keyed.entry(key).and_modify(|name| *name = None).or_insert(Some(*name));
                }
            }
            keyed
        };
        let (of_wanted, of_given) = (keyed(&left), keyed(&free));
        let mut taken = HashSet::new();
        left.retain(|name| {
            let key = key(name);
            let both = (of_wanted.get(&key).copied().flatten(), of_given.get(&key).copied().flatten());
            if let (Some(wanted), Some(given)) = both {
                found.push((wanted, given, renamed));
                taken.insert(given);
            }
            both.0.is_none() || both.1.is_none()
        });
        free.retain(|name| !taken.contains(name));
    }
    let places: HashMap<&str, usize> = wanted.iter().enumerate().map(|(place, name)| (*name, place)).collect();
    found.sort_by_key(|(wanted, ..)| places.get(wanted).copied());
    found
}

fn lower(name: &str) -> String {
    name.to_lowercase()
}

/// Letters and digits, however an accent is written, in lower case.
fn letters(name: &str) -> String {
    name.nfkc().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// What is left where all but ASCII letters and digits were replaced.
fn ascii(name: &str) -> String {
    name.nfkc().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// What a table leaves of a name.
fn cut(name: &str) -> String {
    let mut end = name.len().min(LONGEST_COLUMN);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn is(wanted: &str, given: &str, renamed: Renamed) {
        let others = ["other", "Age", "Jahre"];
        let given_too: Vec<&str> = others.iter().copied().chain([given]).collect();
        assert_eq!(likely(&["another", wanted], &given_too), [(wanted, given, renamed)]);
    }

    #[test]
    fn renamed_columns_are_found() {
        is("Amount", "amount", Renamed::Case);
        is("GRÖSSE", "grösse", Renamed::Case);
        is("Age_years", "Age years", Renamed::Characters);
        is("Age years", "Age_years", Renamed::Characters);
        is("Age__years_", "Age (years)", Renamed::Characters);
        is("age_years", "  age-years ", Renamed::Characters);
        is("a.b", "a_b", Renamed::Characters);
        is("gr__e", "größe", Renamed::Characters);
        is("caf\u{e9}", "cafe\u{301}", Renamed::Characters);
        is("x[0]", "x_0_", Renamed::Characters);
        let long = format!("days_since_{}", "last_contact_".repeat(6));
        is(&long, &long[..63], Renamed::Cut);
        is(&long.replace('_', " "), &long[..63], Renamed::Cut);
        let accents = format!("a{}", "é".repeat(40));
        is(&accents, &accents[..63], Renamed::Cut);
    }

    #[test]
    fn nothing_is_guessed_between_two() {
        assert_eq!(likely(&["Age years"], &["age_years", "age.years"]), []);
        assert_eq!(likely(&["a b", "a_b"], &["a.b"]), []);
        assert_eq!(likely(&["_", "?"], &["-", "!"]), []);
        assert_eq!(likely(&["tenure"], &["income"]), []);
    }

    #[test]
    fn many_names_are_compared_at_once() {
        let wanted: Vec<String> = (0..100_000).map(|index| format!("Feature {index}")).collect();
        let given: Vec<String> = (0..100_000).map(|index| format!("other_{index}")).collect();
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        let given: Vec<&str> = given.iter().map(String::as_str).collect();
        assert_eq!(likely(&wanted, &given), []);
    }
}
