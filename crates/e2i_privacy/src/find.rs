//! Looking through a text, and what it looks like afterwards.

use std::borrow::Cow;
use std::iter::FusedIterator;
use std::ops::Range;

use crate::cursor::{Groups, Written, begins, decimals_follow, ends};
use crate::entity::Entity;
use crate::{card, email, iban, national, phone};

/// What looks like personal data in `text`, from left to right, none overlapping another.
///
/// Where several kinds begin at the same place the longest is meant, which leaves none that could be two kinds: a card's
/// number, a social security number, a provider's and a telephone's differ in their groups. A find that begins further left
/// goes before a longer one that it overlaps.
#[must_use]
pub fn find(text: &str) -> Found<'_> {
    let at = if has_at_or_digit(text.as_bytes()) { 0 } else { text.len() };
    Found { text, at, floor: at, email: email::next(text, at, at) }
}

/// `text` with each find replaced by its kind: `<EMAIL_ADDRESS>`. Doing it again changes nothing.
#[must_use]
pub fn redact(text: &str) -> Cow<'_, str> {
    let mut found = find(text).peekable();
    if found.peek().is_none() {
        return Cow::Borrowed(text);
    }
    let mut redacted = String::with_capacity(text.len());
    let mut kept = 0;
    for (range, entity) in found {
        redacted.push_str(&text[kept..range.start]);
        redacted.push_str(entity.placeholder());
        kept = range.end;
    }
    redacted.push_str(&text[kept..]);
    Cow::Owned(redacted)
}

/// The iterator of [`find`]: bytes of the text, and what they look like.
#[derive(Debug, Clone)]
pub struct Found<'a> {
    text: &'a str,
    /// Where to look next.
    at: usize,
    /// Where the last find ended; nothing before it counts.
    floor: usize,
    /// The first address that begins at `at` or behind.
    email: Option<Range<usize>>,
}

impl Iterator for Found<'_> {
    type Item = (Range<usize>, Entity);

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.text.as_bytes();
        while self.at < bytes.len() {
            let start = self.at;
            let email = self.email.as_ref().filter(|email| email.start == start).map(|email| email.end);
            let number = if may_begin(bytes, self.floor, start) { number(self.text, self.floor, start) } else { None };
            let Some((end, entity)) =
                number.into_iter().chain(email.map(|end| (end, Entity::EmailAddress))).max_by_key(|(end, _)| *end)
            else {
                self.at += 1;
                continue;
            };
            (self.at, self.floor) = (end, end);
            if self.email.as_ref().is_some_and(|email| email.start < end) {
                self.email = email::next(self.text, end, end);
            }
            return Some((start..end, entity));
        }
        None
    }
}

impl FusedIterator for Found<'_> {}

/// Whether anything can be found. In blocks without a way out, which the compiler makes a few instructions each.
fn has_at_or_digit(bytes: &[u8]) -> bool {
    bytes
        .chunks(64)
        .any(|block| block.iter().fold(false, |found, byte| found | (*byte == b'@' || byte.is_ascii_digit())))
}

/// Whether a number can begin at `at`, from the bytes around it: what most places are dismissed by.
fn may_begin(bytes: &[u8], floor: usize, at: usize) -> bool {
    let in_word = at > floor && bytes[at - 1].is_ascii_alphanumeric();
    match bytes[at] {
        b'(' => true,
        b'+' | b'0'..=b'9' => !in_word,
        byte => !in_word && byte.is_ascii_alphabetic() && bytes.get(at + 2).is_some_and(u8::is_ascii_digit),
    }
}

/// The longest number that begins at a byte, and where it ends. Bytes inside of a character begin none.
fn number(text: &str, floor: usize, at: usize) -> Option<(usize, Entity)> {
    let telephone = || phone::end(text, at).map(|end| (end, Entity::PhoneNumber));
    match text.as_bytes()[at] {
        b'(' => telephone(),
        b'+' if begins(text, floor, at) => telephone(),
        b'0'..=b'9' if begins(text, floor, at) => {
            let groups = Groups::read(text, at);
            groups.beginnings().find_map(|written| kind(text, written)).or_else(telephone)
        }
        byte if byte.is_ascii_alphabetic() && begins(text, floor, at) => {
            iban::end(text, at).map(|end| (end, Entity::IbanCode))
        }
        _ => None,
    }
}

/// What groups of digits look like, and where that ends.
fn kind(text: &str, written: Written<'_>) -> Option<(usize, Entity)> {
    let end = written.end;
    if phone::is_separated(written) {
        return phone::last(text, end).map(|end| (end, Entity::PhoneNumber));
    }
    let entity = if card::is_card(written) {
        Entity::CreditCard
    } else if national::is_ssn(written) {
        Entity::UsSsn
    } else if national::is_npi(written) && !decimals_follow(text, end) {
        // The others are no decimal numbers, or, of cards, some that went through a table of floats and end in `.0`.
        Entity::UsNpi
    } else {
        return None;
    };
    ends(text, end).then_some((end, entity))
}
