//! Arbitrary-precision decimals in base 10,000, read in place.
//!
//! Numbers in SQL and in stored JSON arrive as sign, weight and base-10,000 digits. Going through text for each of
//! them costs several times the scoring of a row, so the common case is converted directly:
//! a mantissa below 2^53 and a power of ten up to 10^22 are both exact in float64, hence one multiplication or division
//! rounds correctly (Clinger, "How to read floating point numbers accurately", 1990). Everything else goes through the
//! standard library's correctly rounding parser.

use std::fmt;
use std::io::Write;

/// A borrowed decimal: `± Σ digitᵢ · 10000^(weight − i)`.
#[derive(Debug, Clone, Copy)]
pub struct Decimal<'a> {
    negative: bool,
    /// Exponent of the first digit, in powers of 10,000.
    weight: i32,
    /// Base-10,000 digits, two native-endian bytes each; possibly unaligned, as stored.
    digits: &'a [u8],
}

/// Powers of ten that float64 holds exactly.
const POWERS_OF_TEN: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// Longest mantissa that is spelled out in full in messages, in decimal digits.
const PLAIN_DIGITS: i64 = 40;

impl<'a> Decimal<'a> {
    /// A decimal over stored digits; an odd trailing byte is ignored.
    #[must_use]
    #[inline]
    pub fn new(negative: bool, weight: i32, digits: &'a [u8]) -> Self {
        Self { negative, weight, digits: &digits[..digits.len() & !1] }
    }

    fn len(&self) -> usize {
        self.digits.len() / 2
    }

    fn digit(&self, index: usize) -> u64 {
        u64::from(u16::from_ne_bytes([self.digits[2 * index], self.digits[2 * index + 1]]))
    }

    /// The nearest float64 (round half to even), infinite when the magnitude is too large.
    #[must_use]
    #[inline]
    pub fn to_f64(&self) -> f64 {
        let count = self.len();
        if count <= 4 {
            let mantissa = (0..count).fold(0u64, |m, i| m * 10_000 + self.digit(i));
            // Power of ten of the mantissa's last digit.
            let exponent = 4 * (i64::from(self.weight) + 1 - count as i64);
            if mantissa < (1 << 53) && (-22..=22).contains(&exponent) {
                let magnitude = mantissa as f64;
                let scale = POWERS_OF_TEN[exponent.unsigned_abs() as usize];
                let value = if exponent < 0 { magnitude / scale } else { magnitude * scale };
                return if self.negative { -value } else { value };
            }
        }
        self.parse_slowly()
    }

    /// Formats `mantissa e exponent` and lets the standard library round it; on the stack for the 17 digits that a float64
    /// column has in JSON.
    fn parse_slowly(&self) -> f64 {
        const DIGITS: usize = 8;
        let exponent = 4 * (i64::from(self.weight) + 1 - self.len() as i64);
        let mut buffer = [0u8; 4 * DIGITS + 24];
        let magnitude: f64 = if self.len() <= DIGITS {
            for index in 0..self.len() {
                buffer[4 * index..4 * index + 4].copy_from_slice(&four_digits(self.digit(index)));
            }
            let mut rest = &mut buffer[4 * self.len()..];
            let before = rest.len();
            let written = write!(rest, "e{exponent}").map(|()| before - rest.len()).unwrap_or_default();
            let end = 4 * self.len() + written;
            std::str::from_utf8(&buffer[..end]).ok().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
        } else {
            let mut text = String::with_capacity(self.digits.len() * 2 + 24);
            self.push_mantissa(&mut text);
            text.push_str(&format!("e{exponent}"));
            text.parse().unwrap_or(f64::NAN)
        };
        if self.negative { -magnitude } else { magnitude }
    }

    /// Appends every base-10,000 digit as four decimal digits.
    fn push_mantissa(&self, text: &mut String) {
        if self.len() == 0 {
            text.push('0');
        }
        for index in 0..self.len() {
            text.extend(four_digits(self.digit(index)).map(char::from));
        }
    }

    /// Whether the value is a whole number.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        (0..self.len()).all(|i| i64::from(self.weight) >= i as i64 || self.digit(i) == 0)
    }

    /// The value as an i64, if it is whole and fits.
    #[must_use]
    pub fn to_i64(&self) -> Option<i64> {
        if !self.is_whole() {
            return None;
        }
        let mut value: i64 = 0;
        for position in 0..=self.weight.max(-1) {
            let digit = if (position as usize) < self.len() { self.digit(position as usize) } else { 0 };
            let digit = digit as i64;
            // Accumulated with its own sign, so that i64::MIN fits.
            value = value.checked_mul(10_000)?.checked_add(if self.negative { -digit } else { digit })?;
        }
        Some(value)
    }

    /// The nearest float64, or `None` for a whole number that float64 would silently replace by a neighbour.
    ///
    /// A fraction is rounded, as every reader of JSON does, and so is what exceeds every integer type. A whole number in
    /// between is accepted when it is exactly a float64 or the shortest decimal name of one (which is how float64 columns are
    /// written into JSON); 9007199254740993 is neither.
    #[inline]
    #[must_use]
    pub fn to_f64_or_refuse(&self) -> Option<f64> {
        let value = self.to_f64();
        // Below 10,000^3, or not above 2^53: a fraction, or a whole number that float64 holds.
        if self.weight < 3 || (value.abs() <= 9_007_199_254_740_992.0 && !self.exceeds_2_53()) {
            return Some(value);
        }
        if value.abs() > 18_446_744_073_709_551_615.0 || !self.is_whole() {
            return Some(value);
        }
        let digits = self.significant();
        let named = digits == significant_of(&format!("{value:e}")) || digits == significant_of(&format!("{value:.0}"));
        named.then_some(value)
    }

    fn exceeds_2_53(&self) -> bool {
        self.weight >= 3 && self.is_whole() && self.to_i64().is_none_or(|whole| whole.unsigned_abs() > 1 << 53)
    }

    /// Decimal digits without leading and trailing zeros.
    fn significant(&self) -> String {
        let mut text = String::with_capacity(self.digits.len() * 2);
        self.push_mantissa(&mut text);
        text.trim_matches('0').to_owned()
    }
}

/// A base-10,000 digit in decimal.
fn four_digits(digit: u64) -> [u8; 4] {
    [1000, 100, 10, 1].map(|power| b'0' + (digit / power % 10) as u8)
}

/// The significant digits of a float formatted with `{:e}`.
fn significant_of(formatted: &str) -> String {
    let mantissa = formatted.split('e').next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').to_owned()
}

impl fmt::Display for Decimal<'_> {
    /// Plain notation for ordinary magnitudes, `d.ddde±n` for others; never more than about forty digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut mantissa = String::new();
        self.push_mantissa(&mut mantissa);
        let mut exponent = 4 * (i64::from(self.weight) + 1 - self.len() as i64);
        let trimmed = mantissa.trim_end_matches('0');
        exponent += (mantissa.len() - trimmed.len()) as i64;
        let digits = trimmed.trim_start_matches('0');
        if digits.is_empty() {
            return f.write_str("0");
        }
        if self.negative {
            f.write_str("-")?;
        }
        let count = digits.len() as i64;
        if exponent >= 0 && count + exponent <= PLAIN_DIGITS {
            return write!(f, "{digits}{}", "0".repeat(exponent as usize));
        }
        if exponent < 0 && count <= PLAIN_DIGITS && exponent >= -PLAIN_DIGITS {
            let point = count + exponent;
            if point > 0 {
                let (whole, fraction) = digits.split_at(point as usize);
                return write!(f, "{whole}.{fraction}");
            }
            return write!(f, "0.{}{digits}", "0".repeat(point.unsigned_abs() as usize));
        }
        let shown = &digits[..digits.len().min(PLAIN_DIGITS as usize)];
        let (first, rest) = shown.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        write!(f, "{first}{point}{rest}e{}", exponent + count - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds the stored form of a plain decimal literal such as `-12.5`.
    fn stored(text: &str) -> (bool, i32, Vec<u8>) {
        let negative = text.starts_with('-');
        let text = text.trim_start_matches('-');
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let padded_whole = format!("{}{whole}", "0".repeat((4 - whole.len() % 4) % 4));
        let padded_fraction = format!("{fraction}{}", "0".repeat((4 - fraction.len() % 4) % 4));
        let mut weight = padded_whole.len() as i32 / 4 - 1;
        let all = format!("{padded_whole}{padded_fraction}");
        let mut digits: Vec<u16> =
            all.as_bytes().chunks(4).map(|c| std::str::from_utf8(c).unwrap().parse().unwrap()).collect();
        while digits.first() == Some(&0) {
            digits.remove(0);
            weight -= 1;
        }
        while digits.last() == Some(&0) {
            digits.pop();
        }
        (negative, weight, digits.iter().flat_map(|d| d.to_ne_bytes()).collect())
    }

    fn with<T>(text: &str, f: impl FnOnce(Decimal<'_>) -> T) -> T {
        let (negative, weight, digits) = stored(text);
        f(Decimal::new(negative, weight, &digits))
    }

    #[test]
    fn floats_are_the_nearest() {
        for text in [
            "0",
            "1",
            "-1",
            "0.1",
            "0.3",
            "123456.789",
            "-0.000001",
            "9007199254740993",
            "0.12345678901234567",
            "3.14159265358979323846264338327950288",
            "12345678901234567890",
            "99999999999999999999999999999999",
            "0.00000000000000000000000000000000000001",
        ] {
            let expected: f64 = text.parse().unwrap();
            assert_eq!(with(text, |d| d.to_f64()).to_bits(), expected.to_bits(), "{text}");
        }
    }

    #[test]
    fn too_large_is_infinite() {
        let text = format!("1{}", "0".repeat(400));
        assert_eq!(with(&text, |d| d.to_f64()), f64::INFINITY);
        assert_eq!(with(&text, |d| d.to_string()), "1e400");
    }

    #[test]
    fn integers_are_exact_or_nothing() {
        assert_eq!(with("9007199254740993", |d| d.to_i64()), Some(9_007_199_254_740_993));
        assert_eq!(with("-9223372036854775808", |d| d.to_i64()), Some(i64::MIN));
        assert_eq!(with("9223372036854775808", |d| d.to_i64()), None);
        assert_eq!(with("12.6", |d| d.to_i64()), None);
        assert_eq!(with("12.0", |d| d.to_i64()), Some(12));
        assert_eq!(with("50000", |d| d.to_i64()), Some(50_000));
        assert_eq!(with("0", |d| d.to_i64()), Some(0));
        assert_eq!(with("0.5", |d| d.to_i64()), None);
    }

    #[test]
    fn whole_numbers_are_not_replaced_by_a_neighbour() {
        assert_eq!(with("9007199254740993", |d| d.to_f64_or_refuse()), None);
        assert_eq!(with("-9007199254740993", |d| d.to_f64_or_refuse()), None);
        assert_eq!(with("9007199254740992", |d| d.to_f64_or_refuse()), Some(9_007_199_254_740_992.0));
        // The shortest name of a float64, as a float8 column is written into JSON.
        assert_eq!(with("1234567890123456800", |d| d.to_f64_or_refuse()), Some(1.234_567_890_123_456_8e18));
        assert_eq!(with("0.1", |d| d.to_f64_or_refuse()), Some(0.1));
        for exact in ["18446744073709551616", "9223372036854775808", "9999999999999999000000"] {
            assert_eq!(with(exact, |d| d.to_f64_or_refuse()), exact.parse().ok(), "{exact}");
        }
        let big = format!("1{}", "0".repeat(300));
        assert_eq!(with(&big, |d| d.to_f64_or_refuse()), Some(1e300));
    }

    #[test]
    fn shown_as_written() {
        for text in ["0", "12.6", "-0.001", "123456789.125", "10000", "120000"] {
            assert_eq!(with(text, |d| d.to_string()), text);
        }
    }
}
