//! Numbers of payment cards (`CREDIT_CARD`): 12 to 19 digits with Luhn's check digit, as Presidio has it, and, because one
//! run of digits in ten passes that check, also a network's prefix and length.
//!
//! Left out: Visa's 13 digits, which are no longer issued and which one European article number in ten would pass for, and
//! the cards of airlines (prefix 1), among which are too many counters and times.

use crate::cursor::{Written, luhn, number};

pub(crate) fn is_card(written: Written<'_>) -> bool {
    (12..=19).contains(&written.digits.len())
        && is_grouped(written.lengths)
        && is_issued(written.digits)
        && luhn(written.digits, 0)
}

/// Unseparated, in fours, as American Express and Diners Club do, or prefix and account.
fn is_grouped(lengths: &[usize]) -> bool {
    match lengths {
        [_] | [4, 6, 4 | 5] | [6, 13] => true,
        [fours @ .., last] => fours.iter().all(|length| *length == 4) && *last <= 4,
        [] => false,
    }
}

/// Prefixes and lengths: <https://en.wikipedia.org/wiki/Payment_card_number#Issuer_identification_number_(IIN)>.
fn is_issued(digits: &[u8]) -> bool {
    match (number(&digits[..4]), digits.len()) {
        // Visa
        (4000..=4999, 16 | 19) => true,
        // Mastercard
        (5100..=5599 | 2221..=2720, 16) => true,
        // American Express
        (3400..=3499 | 3700..=3799, 15) => true,
        // Diners Club
        (3000..=3059 | 3095 | 3600..=3699 | 3800..=3999, 14..=19) => true,
        // Discover, JCB, UnionPay, Mir
        (6011 | 6440..=6599 | 3528..=3589 | 6200..=6299 | 8100..=8171 | 2200..=2204, 16..=19) => true,
        // RuPay
        (6000..=6099 | 8172..=8299 | 5080..=5089, 16) => true,
        // Maestro
        (5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763, 12..=19) => true,
        _ => false,
    }
}
