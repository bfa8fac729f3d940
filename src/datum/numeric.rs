//! `numeric` and the numbers in `jsonb`, which are the same bytes.
//!
//! Layout: `src/backend/utils/adt/numeric.c` ("Numeric storage"), the same in every supported major version.

use e2i_core::{Decimal, Scalar};

const SIGN: u16 = 0xC000;
const NEGATIVE: u16 = 0x4000;
const SHORT: u16 = 0x8000;
const SPECIAL: u16 = 0xC000;
const INFINITE: u16 = 0xD000;
const NEGATIVE_INFINITE: u16 = 0xF000;
const SHORT_NEGATIVE: u16 = 0x2000;
const SHORT_WEIGHT_NEGATIVE: u16 = 0x0040;
const SHORT_WEIGHT: u16 = 0x003F;

/// A numeric's bytes, behind the variable-length header, as a scalar.
#[inline]
pub fn scalar(bytes: &[u8]) -> Scalar<'_> {
    let Some(header) = word(bytes, 0) else {
        return Scalar::Float(f64::NAN);
    };
    match header & SIGN {
        SPECIAL => Scalar::Float(match header & 0xF000 {
            INFINITE => f64::INFINITY,
            NEGATIVE_INFINITE => f64::NEG_INFINITY,
            _ => f64::NAN,
        }),
        SHORT => {
            let magnitude = (header & SHORT_WEIGHT) as i32;
            let weight =
                if header & SHORT_WEIGHT_NEGATIVE != 0 { magnitude | !i32::from(SHORT_WEIGHT) } else { magnitude };
            Scalar::Decimal(Decimal::new(header & SHORT_NEGATIVE != 0, weight, &bytes[2..]))
        }
        sign => {
            let weight = word(bytes, 2).map_or(0, |weight| i32::from(weight as i16));
            Scalar::Decimal(Decimal::new(sign == NEGATIVE, weight, bytes.get(4..).unwrap_or_default()))
        }
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}
