//! XGBoost's JSON has numbers that JSON has not: `NaN` stands in the threshold of every categorical split that versions
//! before 3 wrote.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};

/// A float32 that may be NaN, written as `null`. Read from its digits as float32, not by way of float64.
#[derive(Debug, Clone, Copy)]
pub(super) struct Real(pub(super) f32);

impl<'de> Deserialize<'de> for Real {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Option::deserialize(deserializer)?.unwrap_or(f32::NAN)))
    }
}

/// The document with `null` for NaN and texts for infinities, which may stand where nothing is read and nowhere else.
pub(super) fn plain(bytes: &[u8]) -> Cow<'_, [u8]> {
    const WORDS: [(&[u8], &[u8]); 3] = [(b"NaN", b"null"), (b"-Infinity", b"\"-\""), (b"Infinity", b"\"+\"")];
    let mut plain: Option<Vec<u8>> = None;
    let (mut at, mut copied, mut in_text) = (0, 0, false);
    while let Some(byte) = bytes.get(at) {
        let word = match byte {
            b'"' => {
                in_text = !in_text;
                None
            }
            b'\\' if in_text => {
                at += 1;
                None
            }
            b'N' | b'I' | b'-' if !in_text => WORDS.iter().find(|(word, _)| bytes[at..].starts_with(word)),
            _ => None,
        };
        match word {
            Some((word, instead)) => {
                let plain = plain.get_or_insert_default();
                plain.extend_from_slice(&bytes[copied..at]);
                plain.extend_from_slice(instead);
                at += word.len();
                copied = at;
            }
            None => at += 1,
        }
    }
    match plain {
        Some(mut plain) => {
            plain.extend_from_slice(&bytes[copied..]);
            Cow::Owned(plain)
        }
        None => Cow::Borrowed(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bare_words_are_replaced() {
        let text = br#"{"NaN \"NaN":[NaN,-1,-Infinity,Infinity],"a\\":NaN}"#;
        assert_eq!(*plain(text), *br#"{"NaN \"NaN":[null,-1,"-","+"],"a\\":null}"#);
        assert!(matches!(plain(b"{\"NaN\\"), Cow::Borrowed(_)));
    }

    #[test]
    fn digits_are_read_as_float32() {
        // Halfway between two float32, then a little more than float64 sees: by way of float64 it would round down.
        let Real(value) = serde_json::from_str("1.00000017881393432617187499999999999999999").unwrap();
        assert_eq!(value, 1.000_000_1);
        let Real(value) = serde_json::from_str("1.000000178813934326171875000000000000000001").unwrap();
        assert_eq!(value, 1.000_000_2);
    }
}
