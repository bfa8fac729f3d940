//! International Bank Account Numbers (`IBAN_CODE`): ISO 13616, with the lengths of the registry that SWIFT keeps
//! (<https://www.swift.com/standards/data-standards/iban-international-bank-account-number>). A country that joins the
//! registry is a line here; until then its numbers are not found.

use crate::cursor::{Cursor, Separator, ends};

/// Digits and letters that are printed together.
const GROUP: usize = 4;

/// Where the number ends that begins at `at`, in either case, in a row or in groups of four.
pub(crate) fn end(text: &str, at: usize) -> Option<usize> {
    let [first, second, tens, ones] = *text.as_bytes().get(at..at + GROUP)?.first_chunk()?;
    if !(first.is_ascii_alphabetic() && second.is_ascii_alphabetic() && tens.is_ascii_digit() && ones.is_ascii_digit())
    {
        return None;
    }
    let length = length([first.to_ascii_uppercase(), second.to_ascii_uppercase()])?;
    let mut cursor = Cursor { text, at: at + GROUP };
    let mut remainder = 0;
    for place in GROUP..length {
        if place % GROUP == 0 {
            let between = cursor;
            if cursor.separator() == Some(Separator::Dot) {
                cursor = between;
            }
        }
        remainder = appended(remainder, cursor.byte()?)?;
        cursor.at += 1;
    }
    // The first four are counted last.
    let remainder = [first, second, tens, ones].into_iter().try_fold(remainder, appended)?;
    (remainder == 1 && ends(text, cursor.at)).then_some(cursor.at)
}

/// The remainder by 97 (ISO/IEC 7064, MOD 97-10) of a number with this behind it; letters are 10 to 35.
fn appended(remainder: u32, byte: u8) -> Option<u32> {
    let value = char::from(byte).to_digit(36)?;
    Some((remainder * if value < 10 { 10 } else { 100 } + value) % 97)
}

/// Characters of a country's numbers.
fn length(country: [u8; 2]) -> Option<usize> {
    Some(match &country {
        b"NO" => 15,
        b"BE" => 16,
        b"DK" | b"FI" | b"FK" | b"FO" | b"GL" | b"NL" | b"SD" => 18,
        b"MK" | b"SI" => 19,
        b"AT" | b"BA" | b"EE" | b"KZ" | b"LT" | b"LU" | b"MN" | b"XK" => 20,
        b"CH" | b"HR" | b"LI" | b"LV" => 21,
        b"BG" | b"BH" | b"CR" | b"DE" | b"GB" | b"GE" | b"IE" | b"ME" | b"RS" | b"VA" => 22,
        b"AE" | b"GI" | b"IL" | b"IQ" | b"OM" | b"SO" | b"TL" => 23,
        b"AD" | b"CZ" | b"ES" | b"MD" | b"PK" | b"RO" | b"SA" | b"SE" | b"SK" | b"TN" | b"VG" => 24,
        b"LY" | b"PT" | b"ST" => 25,
        b"IS" | b"TR" => 26,
        b"BI" | b"DJ" | b"FR" | b"GR" | b"IT" | b"MC" | b"MR" | b"SM" => 27,
        b"AL" | b"AZ" | b"BY" | b"CY" | b"DO" | b"GT" | b"HN" | b"HU" | b"LB" | b"NI" | b"PL" | b"SV" => 28,
        b"BR" | b"EG" | b"PS" | b"QA" | b"UA" => 29,
        b"JO" | b"KW" | b"MU" | b"YE" => 30,
        b"MT" | b"SC" => 31,
        b"LC" => 32,
        b"RU" => 33,
        _ => return None,
    })
}
