//! One feature value on its way into a tensor, and the rules of conversion.
//!
//! The rules, in one place: a value either keeps its meaning or is refused. Fractions round to the nearest float64 and
//! from there to the nearest float32, which is what numpy's `float32(x)` gives; whole numbers must be exact in float64
//! and are never rounded into an integer tensor; booleans are 0 and 1 where a number is expected; text is a number only
//! when it is `NaN`, `Infinity` or `-Infinity`, the names JSON writers use; numbers are never text.

use std::fmt;

use crate::decimal::Decimal;

/// Whole numbers up to this magnitude are exact in float64.
const EXACT_IN_F64: u64 = 1 << 53;

/// A feature value as the caller gave it.
#[derive(Debug, Clone, Copy)]
pub enum Scalar<'a> {
    /// NULL, JSON null, or an optional feature that was not given.
    Missing,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float32 or float64.
    Float(f64),
    /// A decimal number, including every JSON number.
    Decimal(Decimal<'a>),
    /// Text, a category.
    Text(&'a str),
    /// A point in time, microseconds since 1970-01-01 00:00 UTC; `None` is infinity.
    Instant(Option<i64>),
    /// A value of a type that is no feature, named for the message: `bytea`, `array`, `object`.
    Other(&'a str),
}

/// Why a value does not fit its tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueProblem {
    /// Text, or something else, where a number is expected.
    NotANumber,
    /// A number or boolean where text is expected.
    NotText,
    /// A text that is no date and time where one is expected.
    NotInstant,
    /// Neither a boolean nor 0 nor 1.
    NotBoolean,
    /// A fraction where a whole number is expected.
    NotWhole,
    /// Beyond the range of the type.
    OutOfRange,
    /// A whole number or an instant that the type would replace by a neighbour.
    NotExact,
    /// A type that never fits.
    WrongType,
    /// Missing, and the model takes no missing values here.
    Missing,
}

impl Scalar<'_> {
    /// Whether this counts as a missing value: missing, or a float NaN (how pandas and numpy say missing).
    #[inline]
    #[must_use]
    pub fn is_missing(&self) -> bool {
        match self {
            Self::Missing => true,
            Self::Float(value) => value.is_nan(),
            Self::Text(text) => *text == "NaN",
            _ => false,
        }
    }

    /// As float64.
    ///
    /// # Errors
    /// The reason it does not fit.
    #[inline]
    pub fn to_f64(&self) -> Result<f64, ValueProblem> {
        match *self {
            Self::Float(value) => Ok(value),
            Self::Bool(value) => Ok(f64::from(u8::from(value))),
            Self::Int(value) => {
                let float = value as f64;
                let exact = value.unsigned_abs() <= EXACT_IN_F64 || float as i128 == i128::from(value);
                if exact { Ok(float) } else { Err(ValueProblem::NotExact) }
            }
            Self::Decimal(value) => match value.to_f64_or_refuse() {
                Some(float) if float.is_finite() => Ok(float),
                Some(_) => Err(ValueProblem::OutOfRange),
                None => Err(ValueProblem::NotExact),
            },
            Self::Text(text) => special_float(text).ok_or(ValueProblem::NotANumber),
            Self::Instant(Some(micros)) => Ok(micros as f64 / 1e6),
            Self::Instant(None) => Err(ValueProblem::OutOfRange),
            Self::Missing => Err(ValueProblem::Missing),
            Self::Other(_) => Err(ValueProblem::WrongType),
        }
    }

    /// As float32: the nearest float64 first, then the nearest float32, as numpy does.
    ///
    /// # Errors
    /// The reason it does not fit.
    #[inline]
    pub fn to_f32(&self) -> Result<f32, ValueProblem> {
        let wide = self.to_f64()?;
        let narrow = wide as f32;
        if narrow.is_infinite() && wide.is_finite() {
            return Err(ValueProblem::OutOfRange);
        }
        if matches!(self, Self::Instant(_)) && f64::from(narrow) != wide {
            return Err(ValueProblem::NotExact);
        }
        Ok(narrow)
    }

    /// As int64.
    ///
    /// # Errors
    /// The reason it does not fit.
    #[inline]
    pub fn to_i64(&self) -> Result<i64, ValueProblem> {
        match *self {
            Self::Int(value) => Ok(value),
            Self::Bool(value) => Ok(i64::from(value)),
            Self::Float(value) => whole_float(value),
            Self::Decimal(value) => match value.to_i64() {
                Some(whole) => Ok(whole),
                None if value.is_whole() => Err(ValueProblem::OutOfRange),
                None => Err(ValueProblem::NotWhole),
            },
            Self::Instant(Some(micros)) if micros % 1_000_000 == 0 => Ok(micros / 1_000_000),
            Self::Instant(Some(_)) => Err(ValueProblem::NotWhole),
            Self::Instant(None) => Err(ValueProblem::OutOfRange),
            Self::Text(_) => Err(ValueProblem::NotANumber),
            Self::Missing => Err(ValueProblem::Missing),
            Self::Other(_) => Err(ValueProblem::WrongType),
        }
    }

    /// As int32.
    ///
    /// # Errors
    /// The reason it does not fit.
    pub fn to_i32(&self) -> Result<i32, ValueProblem> {
        i32::try_from(self.to_i64()?).map_err(|_| ValueProblem::OutOfRange)
    }

    /// As a boolean: booleans, and the numbers 0 and 1.
    ///
    /// # Errors
    /// The reason it does not fit.
    pub fn to_bool(&self) -> Result<bool, ValueProblem> {
        match *self {
            Self::Bool(value) => Ok(value),
            Self::Int(_) | Self::Float(_) | Self::Decimal(_) => match self.to_i64() {
                Ok(0) => Ok(false),
                Ok(1) => Ok(true),
                _ => Err(ValueProblem::NotBoolean),
            },
            Self::Text(_) | Self::Instant(_) => Err(ValueProblem::NotBoolean),
            Self::Missing => Err(ValueProblem::Missing),
            Self::Other(_) => Err(ValueProblem::WrongType),
        }
    }

    /// As text.
    ///
    /// # Errors
    /// The reason it does not fit.
    pub fn to_text(&self) -> Result<&str, ValueProblem> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Missing => Err(ValueProblem::Missing),
            Self::Other(_) => Err(ValueProblem::WrongType),
            _ => Err(ValueProblem::NotText),
        }
    }
}

/// A float as SQL writes it: names for what is not finite, an exponent for what is very large or small.
pub(crate) fn float_text(value: f64) -> String {
    let magnitude = value.abs();
    match value {
        _ if value.is_nan() => "NaN".to_owned(),
        _ if value.is_infinite() => if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned(),
        _ if magnitude != 0.0 && !(1e-5..1e15).contains(&magnitude) => format!("{value:e}"),
        _ => value.to_string(),
    }
}

fn special_float(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

fn whole_float(value: f64) -> Result<i64, ValueProblem> {
    if value.is_nan() {
        return Err(ValueProblem::Missing);
    }
    // The bounds are exact: -2^63 is a float64, and 2^63 is the first one too large.
    if !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value) {
        return Err(ValueProblem::OutOfRange);
    }
    if value.fract() == 0.0 { Ok(value as i64) } else { Err(ValueProblem::NotWhole) }
}

impl fmt::Display for Scalar<'_> {
    /// The offending value for a message; long text is cut.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 60;
        match self {
            Self::Missing => f.write_str("NULL"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => f.write_str(&float_text(*value)),
            Self::Decimal(value) => write!(f, "{value}"),
            Self::Text(text) => match text.char_indices().nth(SHOWN) {
                Some((end, _)) => write!(f, "{:?}…", &text[..end]),
                None => write!(f, "{text:?}"),
            },
            Self::Instant(Some(micros)) => write!(f, "{} s since 1970", *micros as f64 / 1e6),
            Self::Instant(None) => f.write_str("infinity"),
            Self::Other(kind) => write!(f, "a value of type {kind}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_is_the_float32_that_numpy_gives() {
        // numpy.float32(0.1).view('uint32') == 0x3dcccccd
        assert_eq!(Scalar::Float(0.1).to_f32().unwrap().to_bits(), 0x3dcc_cccd);
    }

    #[test]
    fn integers_keep_every_digit_or_are_refused() {
        assert_eq!(Scalar::Int(9_007_199_254_740_993).to_i64(), Ok(9_007_199_254_740_993));
        assert_eq!(Scalar::Int(9_007_199_254_740_993).to_f64(), Err(ValueProblem::NotExact));
        assert_eq!(Scalar::Int(i64::MIN).to_f64(), Ok(-9_223_372_036_854_775_808.0));
        assert_eq!(Scalar::Int(i64::MAX).to_f64(), Err(ValueProblem::NotExact));
        assert_eq!(Scalar::Int(2_147_483_648).to_i32(), Err(ValueProblem::OutOfRange));
        assert_eq!(Scalar::Float(12.6).to_i64(), Err(ValueProblem::NotWhole));
        assert_eq!(Scalar::Float(9.3e18).to_i64(), Err(ValueProblem::OutOfRange));
        assert_eq!(Scalar::Float(-9_223_372_036_854_775_808.0).to_i64(), Ok(i64::MIN));
    }

    #[test]
    fn floats_do_not_become_infinite_by_narrowing() {
        assert_eq!(Scalar::Float(1e39).to_f32(), Err(ValueProblem::OutOfRange));
        assert_eq!(Scalar::Float(f64::INFINITY).to_f32(), Ok(f32::INFINITY));
    }

    #[test]
    fn booleans_are_numbers_but_numbers_are_rarely_booleans() {
        assert_eq!(Scalar::Bool(true).to_f32(), Ok(1.0));
        assert_eq!(Scalar::Int(1).to_bool(), Ok(true));
        assert_eq!(Scalar::Int(2).to_bool(), Err(ValueProblem::NotBoolean));
        assert_eq!(Scalar::Text("true").to_bool(), Err(ValueProblem::NotBoolean));
    }

    #[test]
    fn text_is_a_number_only_where_json_has_no_other_way() {
        assert_eq!(Scalar::Text("12").to_f64(), Err(ValueProblem::NotANumber));
        assert_eq!(Scalar::Text("-Infinity").to_f64(), Ok(f64::NEG_INFINITY));
        assert!(Scalar::Text("NaN").is_missing());
        assert_eq!(Scalar::Int(3).to_text(), Err(ValueProblem::NotText));
    }

    #[test]
    fn instants_are_seconds_and_exact() {
        assert_eq!(Scalar::Instant(Some(1_700_000_000_000_000)).to_i64(), Ok(1_700_000_000));
        assert_eq!(Scalar::Instant(Some(1_700_000_000_500_000)).to_f64(), Ok(1_700_000_000.5));
        assert_eq!(Scalar::Instant(Some(1_700_000_000_500_000)).to_i64(), Err(ValueProblem::NotWhole));
        assert_eq!(Scalar::Instant(Some(1_700_000_001_000_000)).to_f32(), Err(ValueProblem::NotExact));
        assert_eq!(Scalar::Instant(None).to_f64(), Err(ValueProblem::OutOfRange));
    }
}
