//! The types that tensors of the Open Inference Protocol say they have, and whether a value is of one.
//!
//! What does not belong here: what a feature takes, which is decided when it is bound.

use crate::value::Scalar;

/// A `datatype` of the protocol, version 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datatype {
    /// `BOOL`: true and false, or 1 and 0.
    Bool,
    /// `INT8` to `UINT64`: whole numbers from the first to the second.
    Integer(i128, i128),
    /// `FP16`, `FP32`, `FP64`, `BF16`: numbers; null and the text `NaN` are missing values.
    Float,
    /// `BYTES`: texts.
    Bytes,
}

impl Datatype {
    /// The names that are read.
    pub const NAMES: &'static str =
        "BOOL, INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64, FP16, BF16, FP32, FP64, BYTES";

    /// Reads a name, in the protocol's letter case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let bits = |digits: &str| {
            [("8", 8), ("16", 16), ("32", 32), ("64", 64)].into_iter().find(|it| it.0 == digits).map(|it| it.1)
        };
        Some(match name {
            "BOOL" => Self::Bool,
            "FP16" | "BF16" | "FP32" | "FP64" => Self::Float,
            "BYTES" => Self::Bytes,
            _ => match (name.strip_prefix("INT").and_then(bits), name.strip_prefix("UINT").and_then(bits)) {
                (Some(bits), _) => Self::Integer(-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1),
                (_, Some(bits)) => Self::Integer(0, (1_i128 << bits) - 1),
                _ => return None,
            },
        })
    }

    /// Whether a value of JSON is of this type. Null is a missing value of every one.
    #[must_use]
    pub fn holds(self, value: &Scalar<'_>) -> bool {
        match (self, value) {
            (_, Scalar::Missing) | (Self::Bool, Scalar::Bool(_)) | (Self::Bytes, Scalar::Text(_)) => true,
            (Self::Bool, Scalar::Decimal(number)) => matches!(number.to_i64(), Some(0 | 1)),
            (Self::Integer(least, most), Scalar::Decimal(number)) => match number.to_i64() {
                Some(number) => (least..=most).contains(&i128::from(number)),
                // What int64 does not hold: of the wider half of UINT64 the range is told by float64, whose 2^64 is exact.
                None => {
                    most > i128::from(i64::MAX)
                        && number.is_whole()
                        && (0.0..18_446_744_073_709_551_616.0).contains(&number.to_f64())
                }
            },
            (Self::Float, Scalar::Decimal(_)) => true,
            (Self::Float, Scalar::Text(text)) => matches!(*text, "NaN" | "Infinity" | "-Infinity"),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decimal::Decimal;

    fn whole(digits: &[i16], weight: i32, negative: bool) -> Vec<(Vec<u8>, i32, bool)> {
        vec![(digits.iter().flat_map(|digit| digit.to_ne_bytes()).collect(), weight, negative)]
    }

    #[test]
    fn every_name_of_the_protocol_is_read() {
        for name in Datatype::NAMES.split(", ") {
            assert!(Datatype::named(name).is_some(), "{name}");
        }
        for name in ["", "INT", "INT128", "INT7", "fp32", "STRING", "UINT0", "INT+8", "BYTE", "FP8"] {
            assert_eq!(Datatype::named(name), None, "{name}");
        }
        assert_eq!(Datatype::named("INT8"), Some(Datatype::Integer(-128, 127)));
        assert_eq!(Datatype::named("UINT64"), Some(Datatype::Integer(0, u64::MAX.into())));
    }

    #[test]
    fn values_are_told_by_their_type() {
        // 200, -1, 1.5 and 2^64 in groups of four decimal digits.
        let numbers = [
            whole(&[200], 0, false),
            whole(&[1], 0, true),
            whole(&[1, 5000], 0, false),
            whole(&[1844, 6744, 737, 955, 1616], 4, false),
            whole(&[1], 0, false),
        ]
        .concat();
        let of = |name: &str| -> Vec<bool> {
            let datatype = Datatype::named(name).unwrap();
            (numbers.iter())
                .map(|(digits, weight, negative)| {
                    datatype.holds(&Scalar::Decimal(Decimal::new(*negative, *weight, digits)))
                })
                .collect()
        };
        assert_eq!(of("INT8"), [false, true, false, false, true]);
        assert_eq!(of("UINT8"), [true, false, false, false, true]);
        assert_eq!(of("INT64"), [true, true, false, false, true]);
        assert_eq!(of("UINT64"), [true, false, false, false, true]);
        assert_eq!(of("FP32"), [true; 5]);
        assert_eq!(of("BOOL"), [false, false, false, false, true]);
        assert_eq!(of("BYTES"), [false; 5]);
        for (name, text, is) in
            [("BYTES", "a", true), ("FP32", "NaN", true), ("FP32", "1.5", false), ("INT8", "1", false)]
        {
            assert_eq!(Datatype::named(name).unwrap().holds(&Scalar::Text(text)), is, "{name} {text}");
        }
        assert!(Datatype::Float.holds(&Scalar::Missing) && Datatype::Bool.holds(&Scalar::Bool(true)));
        assert!(!Datatype::Float.holds(&Scalar::Bool(true)) && !Datatype::Integer(0, 1).holds(&Scalar::Other("array")));
    }
}
