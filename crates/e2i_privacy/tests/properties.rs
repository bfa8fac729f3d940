//! What holds for every text. `E2I_TEXTS` asks for more than 4,000 a property.

use e2i_privacy::{Entity, find, redact};
use proptest::prelude::*;

/// Pieces of which texts are made that come close to every rule and to the edges between them.
const PIECES: [&str; 52] = [
    "jane@example.com",
    "@",
    "a@b",
    ".com",
    ".",
    ",",
    "..",
    "-",
    "_",
    " ",
    "\u{a0}",
    "\u{2011}",
    "+",
    "(",
    ")",
    "(212)",
    "1",
    "12",
    "212",
    "555",
    "1234",
    "+1",
    "+44 20 7946 0958",
    "+12125551234",
    "212-555-1234",
    "x",
    " ext. 7",
    "4111",
    "4111111111111111",
    "1111",
    "4111 1111 1111 1111",
    "378282246310005",
    "DE89",
    "DE89370400440532013000",
    "3704",
    "GB29NWBK60161331926819",
    "078-05-1120",
    "078",
    "05",
    "1234567893",
    "1234-567-893",
    "1120",
    "0",
    "é",
    "e\u{301}",
    "号",
    "ש",
    "\u{200f}",
    "４",
    "👩‍👩‍👧",
    "<US_NPI>",
    "<",
];

fn near_misses() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&PIECES[..]), 0..12).prop_map(|pieces| pieces.concat())
}

fn holds(text: &str) -> Result<(), TestCaseError> {
    let mut end = 0;
    for (range, entity) in find(text) {
        prop_assert!(range.start >= end && range.start < range.end, "finds overlap in {:?}", text);
        prop_assert!(text.get(range.clone()).is_some(), "a find cuts a character in {:?}", text);
        prop_assert_ne!(entity, Entity::Redacted);
        end = range.end;
    }
    let redacted = redact(text);
    prop_assert_eq!(find(&redacted).next(), None, "in {:?}, which was {:?}", &redacted, text);
    prop_assert_eq!(redact(&redacted), redacted.clone());
    Ok(())
}

fn texts() -> ProptestConfig {
    let cases = std::env::var("E2I_TEXTS").map_or(4_000, |cases| cases.parse().unwrap());
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(texts())]

    #[test]
    fn redaction_is_final(text in near_misses()) {
        holds(&text)?;
    }

    #[test]
    fn any_text_is_read(text in any::<String>()) {
        holds(&text)?;
    }

    /// Digits and what stands between them, denser than in any text.
    #[test]
    fn any_numbers_are_read(text in prop::collection::vec(prop::sample::select(&b"0123456789012345678912345 -.,+()xaDE@"[..]), 0..60)) {
        holds(&String::from_utf8_lossy(&text))?;
    }
}
