//! Features that arrive as text and are no JSON: an SQL array literal, which drivers send for a list, is one row by
//! position; of everything else this says what it was and what to write.
//!
//! What does not belong here: reading JSON.

use crate::error::{Error, Kind};
use crate::interface::ElementType;

/// Characters of a text that an error shows.
const SHOWN: usize = 60;

/// The JSON array that an SQL array literal such as `{13.2,"1.78",NULL}` stands for, or `None` for a text that is none.
///
/// It is recognised by what no JSON object can begin with: `{` and something that is neither `}` nor a text before a colon.
/// Elements have no types of their own: each is read as what `element` says of its feature. Those that are no number or
/// boolean where one is expected stay texts, so that the binder names them.
#[must_use]
pub fn array_literal(text: &str, element: impl Fn(usize) -> Option<ElementType>) -> Option<String> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let mut rest = inner.trim_start();
    if rest.is_empty() {
        return None; // an object without members
    }
    let mut elements = Vec::new();
    loop {
        let (value, is_quoted, behind) = item(rest)?;
        let next = behind.strip_prefix(',');
        if next.is_none() && !behind.is_empty() {
            return None;
        }
        elements.push(match element(elements.len()) {
            _ if !is_quoted && value.eq_ignore_ascii_case("null") => "null".to_owned(),
            Some(element) => as_json(&value, element),
            None => json_text(&value),
        });
        match next {
            Some(next) => rest = next.trim_start(),
            None => return Some(format!("[{}]", elements.join(","))),
        }
    }
}

/// The first element, whether it was quoted, and what follows it.
fn item(text: &str) -> Option<(String, bool, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(',').unwrap_or(text.len());
        let value = text[..end].trim_end();
        // A colon, a brace or another kind of quote is something else than an element: `{age: 41}`, `{'a'}`.
        let is_element = !value.is_empty() && !value.contains([':', '{', '}', '"', '\'', '\\', '[', '(']);
        return is_element.then(|| (value.to_owned(), false, &text[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, true, quoted[at + 1..].trim_start())),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

fn as_json(value: &str, element: ElementType) -> String {
    match (element, value.trim()) {
        (ElementType::Text, _) => json_text(value),
        (_, "t" | "true") => "true".to_owned(),
        (_, "f" | "false") => "false".to_owned(),
        (_, number) => json_number(number).unwrap_or_else(|| json_text(not_finite(number).unwrap_or(value))),
    }
}

/// As JSON texts that stand for such numbers are read; SQL takes them in either case, and short.
fn not_finite(text: &str) -> Option<&'static str> {
    Some(match text.to_ascii_lowercase().as_str() {
        "nan" => "NaN",
        "inf" | "infinity" | "+inf" | "+infinity" => "Infinity",
        "-inf" | "-infinity" => "-Infinity",
        _ => return None,
    })
}

/// A number as JSON writes it: SQL takes `+5`, `.5`, `5.` and `007`, too.
fn json_number(text: &str) -> Option<String> {
    let is_number = text.parse::<f64>().is_ok_and(f64::is_finite) || text.len() > 300;
    if !is_number || !text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte)) {
        return None;
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = digits.split_at(digits.find(['e', 'E']).unwrap_or(digits.len()));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{sign}{whole}{point}{fraction}{exponent}"))
}

fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// What is read where JSON is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected<'a> {
    /// Features for this model.
    Features(&'a str),
    /// A request to this model.
    Payload(&'a str),
}

/// What stands where JSON was expected: the text, and the parser's word.
#[must_use]
#[cold]
pub fn no_json(expected: Expected<'_>, text: &str, parser: Option<&str>) -> Error {
    let (what, form) = match expected {
        Expected::Features(model) => (
            format!("features for model {model} are"),
            "Write '{\"feature\": value, …}', or '[value, …]' in the order of e2i_describe_model.",
        ),
        Expected::Payload(model) => (
            format!("the payload for model {model} is"),
            "Send {\"features\": {\"feature\": value, …}}, or an array of such objects for several rows.",
        ),
    };
    let got = if text.trim().is_empty() { "an empty text".to_owned() } else { excerpt(text, SHOWN) };
    let error = Error::new(Kind::BadValue, format!("{what} no JSON, got {got}"));
    let error = match parser {
        Some(detail) => error.with_detail(excerpt(detail, 4 * SHOWN)),
        None => error,
    };
    error.with_hint(hint(expected, text).unwrap_or(form))
}

fn hint(expected: Expected<'_>, text: &str) -> Option<&'static str> {
    let begins_with = |prefixes: &[&str]| prefixes.iter().any(|prefix| text.trim_start().starts_with(prefix));
    let has = |words: &[&str]| bare_words(text).any(|word| words.contains(&word));
    let is_payload = matches!(expected, Expected::Payload(_));
    Some(if begins_with(&["\u{feff}"]) {
        "The text begins with a byte order mark: leave it out."
    } else if text.contains("[object ") {
        "That is JavaScript's text of an object: send JSON.stringify(features)."
    } else if has(&["None", "True", "False"]) || begins_with(&["{'", "['", "[{'"]) {
        "That is how Python shows a value: send json.dumps(features)."
    } else if has(&["NaN", "nan", "Infinity", "inf", "undefined"]) {
        "JSON has no such number: write null for a missing value, or \"NaN\", \"Infinity\", \"-Infinity\" in quotes."
    } else if is_payload {
        return None;
    } else if begins_with(&["{{"]) {
        "Score one row a call, or several with e2i_serve."
    } else if begins_with(&["("]) {
        "A tuple is no JSON: write '[value, …]', or pass an array: ARRAY[…]::float8[]."
    } else if begins_with(&["{"]) && !begins_with(&["{\"", "{}"]) {
        "Names and texts are in double quotes: '{\"feature\": value, …}'. An array of numbers may also be '{1, 2}'."
    } else {
        return None;
    })
}

/// Words outside of texts in double quotes.
fn bare_words(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').step_by(2).flat_map(|outside| outside.split(|c: char| !c.is_ascii_alphabetic()))
}

/// The beginning of a text on one line.
fn excerpt(text: &str, length: usize) -> String {
    let shown: String = text.chars().take(length).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let more = if text.chars().nth(length).is_some() { " …" } else { "" };
    format!("{shown}{more}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ElementType::{Bool, Float32, Int64, Text};

    fn literal(text: &str) -> Option<String> {
        let elements = [Float32, Int64, Text, Bool];
        array_literal(text, |index| elements.get(index).copied())
    }

    #[test]
    fn an_array_literal_is_a_row_by_position() {
        for (text, json) in [
            ("{13.2,7}", "[13.2,7]"),
            (" { 13.2 , 7 } ", "[13.2,7]"),
            (r#"{"13.2","7","a, \"b\"","t"}"#, r#"[13.2,7,"a, \"b\"",true]"#),
            ("{NULL,null,NULL,false}", "[null,null,null,false]"),
            (r#"{1,2,"NULL"}"#, r#"[1,2,"NULL"]"#),
            ("{1,2,13.2}", r#"[1,2,"13.2"]"#),
            ("{+5,-.5}", "[5,-0.5]"),
            ("{5.,007}", "[5,7]"),
            ("{1e3,1.5E-3}", "[1e3,1.5E-3]"),
            ("{NaN,many}", r#"["NaN","many"]"#),
            ("{nan}", r#"["NaN"]"#),
            (r#"{"-inf",+Infinity}"#, r#"["-Infinity","Infinity"]"#),
            ("{1,2,nan}", r#"[1,2,"nan"]"#),
            ("{1,2,a,t,5}", r#"[1,2,"a",true,"5"]"#),
            (r#"{1,2,"é\\n"}"#, r#"[1,2,"é\\n"]"#),
        ] {
            assert_eq!(literal(text).as_deref(), Some(json), "{text}");
        }
    }

    #[test]
    fn what_may_be_an_object_or_is_neither_is_no_array_literal() {
        for text in [
            "{}",
            "{ }",
            r#"{"a": 1}"#,
            r#"{"a":"b"}"#,
            r#"{"a" : 1, "b": 2}"#,
            "[1,2]",
            "{age: 41}",
            "{'a': 1}",
            "{1,2",
            "{1,,2}",
            "{1,2,}",
            "{{1,2},{3,4}}",
            "(1,2)",
            "1,2",
            "",
            "{",
            r#"{"a}"#,
            r#"{"a\"#,
            r#"{"a"b}"#,
            "{a\\b}",
        ] {
            assert_eq!(literal(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_named_with_what_to_write() {
        for (text, hint) in [
            ("", "in the order of"),
            ("[NaN, 2.0]", "null for a missing"),
            (r#"{"a": -Infinity}"#, "null for a missing"),
            ("{'a': 1.5}", "json.dumps"),
            (r#"{"a": None}"#, "json.dumps"),
            ("[True, 1]", "json.dumps"),
            ("[object Object]", "JSON.stringify"),
            ("(1, 2, 3)", "ARRAY["),
            ("{age: 41}", "double quotes"),
            ("{{1,2},{3,4}}", "one row a call"),
            ("Cardiology", "in the order of"),
            ("\u{feff}{}", "byte order mark"),
            (r#"{"a": "NaN" oops}"#, "in the order of"),
        ] {
            let error = no_json(Expected::Features("churn:1"), text, Some("Token is invalid."));
            assert!(error.hint().unwrap().contains(hint), "{text}: {:?}", error.hint());
            assert!(error.message().starts_with("features for model churn:1 are no JSON, got "), "{error}");
        }
        assert!(no_json(Expected::Payload("m:1"), "{1, 2}", None).hint().unwrap().starts_with("Send "));
        let long = no_json(Expected::Payload("m:1"), &"é".repeat(1000), None);
        assert!(long.message().chars().count() < 120 && long.message().ends_with('…'));
    }
}
