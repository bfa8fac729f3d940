//! Telephone numbers (`PHONE_NUMBER`), where they are written as such: `+` and a country's code, or the forms of North
//! America. Presidio asks libphonenumber; here the form must say it, because most runs of digits in features are something
//! else.

use crate::cursor::{Cursor, Digits, Separator, Written, ends};

/// Digits of a number with its country's code: at most 15 by ITU-T E.164, and no country's are fewer than 8 but a few islands'.
const INTERNATIONAL: std::ops::RangeInclusive<usize> = 8..=15;

/// Most digits of an extension.
const EXTENSION: usize = 6;

/// `212-555-1234`, `1 212 555 1234`, with dots, hyphens or spaces.
pub(crate) fn is_separated(written: Written<'_>) -> bool {
    match written.lengths {
        [3, 3, 4] => is_north_american(written.digits),
        [1, 3, 3, 4] => written.digits[0] == 1 && is_north_american(&written.digits[1..]),
        _ => false,
    }
}

/// Where a number ends that begins at `at` with `+`, with `(`, or with the `1` of `1 (212) 555-1234`.
pub(crate) fn end(text: &str, at: usize) -> Option<usize> {
    let mut cursor = Cursor { text, at };
    match cursor.byte()? {
        b'+' => international(cursor),
        b'1' => {
            cursor.at += 1;
            cursor.separator();
            area_in_parentheses(cursor)
        }
        _ => area_in_parentheses(cursor),
    }
}

/// `+44 20 7946 0958`, `+44 (0)20 7946 0958`, `+12125551234`: the longest beginning that can be a number.
fn international(mut cursor: Cursor<'_>) -> Option<usize> {
    cursor.at += 1;
    let mut digits = Digits::default();
    let mut found = None;
    let mut groups = 0;
    let mut only_separator = None;
    loop {
        let in_parentheses = cursor.eat(b'(');
        if cursor.digits(&mut digits).is_none() || (in_parentheses && !cursor.eat(b')')) {
            return found;
        }
        groups += 1;
        let is_decimal = groups == 2 && only_separator == Some(Separator::Dot);
        if !in_parentheses && is_international(digits.as_slice(), is_decimal) {
            found = last(cursor.text, cursor.at).or(found);
        }
        let separator = cursor.separator();
        only_separator = only_separator.or(separator);
        if separator.is_none() && !in_parentheses && cursor.byte() != Some(b'(') {
            return found;
        }
    }
}

/// `is_decimal`: one dot and nothing else between digits, which is also how a number with a sign is written.
fn is_international(digits: &[u8], is_decimal: bool) -> bool {
    INTERNATIONAL.contains(&digits.len())
        && match digits {
            [0, ..] => false,
            [1, national @ ..] => is_north_american(national),
            _ => !is_decimal,
        }
}

/// `(212) 555-1234`, `(212)555-1234`.
fn area_in_parentheses(mut cursor: Cursor<'_>) -> Option<usize> {
    let mut digits = Digits::default();
    if !cursor.eat(b'(') || cursor.digits(&mut digits) != Some(3) || !cursor.eat(b')') {
        return None;
    }
    cursor.separator();
    match cursor.digits(&mut digits)? {
        3 => {
            cursor.separator()?;
            cursor.digits(&mut digits)?;
        }
        7 => {}
        _ => return None,
    }
    if is_north_american(digits.as_slice()) { last(cursor.text, cursor.at) } else { None }
}

/// Ten digits by the North American Numbering Plan: area and exchange begin with 2 to 9, and end not in 11 (those are
/// services): <https://www.nanpa.com/numbering>.
fn is_north_american(digits: &[u8]) -> bool {
    let is_code = |code: &[u8]| code[0] >= 2 && code[1..] != [1, 1];
    digits.len() == 10 && is_code(&digits[..3]) && is_code(&digits[3..6])
}

/// Where a number with its extension ends, if it may end there.
pub(crate) fn last(text: &str, at: usize) -> Option<usize> {
    past_extension(text, at).into_iter().chain([at]).find(|end| ends(text, *end))
}

/// `x123`, ` ext. 123`.
fn past_extension(text: &str, at: usize) -> Option<usize> {
    let mut cursor = Cursor { text, at };
    cursor.eat(b' ');
    if !["ext.", "ext", "x"].iter().any(|word| cursor.eat_word(word)) {
        return None;
    }
    cursor.eat(b' ');
    cursor.digits(&mut Digits::default()).filter(|count| *count <= EXTENSION).map(|_| cursor.at)
}
