//! The two types in which features are compared and scores are added.

use bytemuck::Pod;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::native::ensemble::{Missing, ZERO};
use crate::native::image::{Image, ImageWriter, Section, Table};

/// A table of numbers of either type.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Numbers {
    Single(Section<f32>),
    Double(Section<f64>),
}

/// What is said of tables that no compiler made.
pub(super) fn broken(what: &str) -> Error {
    Error::new(Kind::BadModel, format!("the compiled form of the model is broken: {what} of its trees"))
}

/// float32 or float64.
pub(super) trait Number:
    Pod + Sync + PartialOrd + std::ops::Add<Output = Self> + std::ops::Div<Output = Self>
{
    const LOWEST: Self;
    const HIGHEST: Self;
    const NAN: Self;
    const ZERO: Self;
    const ONE: Self;
    /// A NaN that stands for "no weight" in tables; weights with these very bits are refused.
    const NONE: Self;

    /// Rounds to the nearest.
    fn from_f64(value: f64) -> Self;
    fn from_single(value: f32) -> Self;
    fn to_f64(self) -> f64;
    /// The next number of the type above.
    fn above(self) -> Self;
    fn is_none(self) -> bool;
    fn is_nan(self) -> bool;
    /// Whether it counts as zero where zero is missing.
    fn is_tiny(self) -> bool;
    /// A NaN that carries a small number.
    fn carrying(number: u32) -> Self;
    fn carried(self) -> u32;
    /// Another NaN that carries a small number: those of [`Number::carrying`] are none of these.
    fn naming(number: u32) -> Self;
    /// Whether it is one of [`Number::naming`], if it is NaN.
    fn names(self) -> bool;

    /// Writes a table.
    fn write(writer: &mut ImageWriter, table: &[Self]) -> Numbers;
    /// A table, which must be of this type.
    fn table(image: &Image, numbers: Numbers) -> Result<Table<Self>>;
}

/// What a NaN of [`Number::carrying`] can carry.
pub(super) const CARRIED_MAX: u32 = (1 << 22) - 1;

macro_rules! number {
    ($float:ident, $bits:ident, $quiet:expr, $precision:ident) => {
        impl Number for $float {
            const LOWEST: Self = $float::NEG_INFINITY;
            const HIGHEST: Self = $float::INFINITY;
            const NAN: Self = $float::NAN;
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const NONE: Self = $float::from_bits($quiet | 0x000e_210e);

            #[inline(always)]
            fn from_f64(value: f64) -> Self {
                value as $float
            }

            #[inline(always)]
            fn from_single(value: f32) -> Self {
                $float::from(value)
            }

            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }

            fn above(self) -> Self {
                self.next_up()
            }

            #[inline(always)]
            fn is_none(self) -> bool {
                self.to_bits() == Self::NONE.to_bits()
            }

            #[inline(always)]
            fn is_nan(self) -> bool {
                $float::is_nan(self)
            }

            #[inline(always)]
            fn is_tiny(self) -> bool {
                f64::from(self).abs() <= ZERO
            }

            #[inline(always)]
            fn carrying(number: u32) -> Self {
                $float::from_bits($quiet | $bits::from(number & CARRIED_MAX))
            }

            #[inline(always)]
            fn carried(self) -> u32 {
                (self.to_bits() & $bits::from(CARRIED_MAX)) as u32
            }

            #[inline(always)]
            fn naming(number: u32) -> Self {
                -Self::carrying(number)
            }

            #[inline(always)]
            fn names(self) -> bool {
                self.is_sign_negative()
            }

            fn write(writer: &mut ImageWriter, table: &[Self]) -> Numbers {
                Numbers::$precision(writer.push(table))
            }

            fn table(image: &Image, numbers: Numbers) -> Result<Table<Self>> {
                match numbers {
                    Numbers::$precision(section) => image.table(section),
                    _ => Err(broken("the type of the numbers")),
                }
            }
        }
    };
}

number!(f32, u32, 0x7fc0_0000u32, Single);
number!(f64, u64, 0x7ff8_0000_0000_0000u64, Double);

/// A value as branches see it, and whether it is missing. `missing` is a [`missing_code`].
#[inline(always)]
pub(super) fn as_read<T: Number>(value: T, missing: u32) -> (T, bool) {
    let nan = value.is_nan();
    match missing {
        NAN_ALONE => (value, nan),
        NOTHING => (if nan { T::ZERO } else { value }, false),
        _ => (value, nan || value.is_tiny()),
    }
}

pub(super) const NAN_ALONE: u32 = 0;
pub(super) const NOTHING: u32 = 1;
pub(super) const NAN_AND_ZERO: u32 = 2;

/// [`Missing`] as tables hold it.
pub(super) fn missing_code(missing: Missing) -> u32 {
    match missing {
        Missing::Nan => NAN_ALONE,
        Missing::Nothing => NOTHING,
        Missing::NanAndZero => NAN_AND_ZERO,
    }
}

/// The same, back.
pub(super) fn missing_of(code: u32) -> Missing {
    match code {
        NAN_ALONE => Missing::Nan,
        NOTHING => Missing::Nothing,
        _ => Missing::NanAndZero,
    }
}

/// A number of the input on its way to the type it is compared in.
pub(super) trait Given<T>: Copy {
    fn given(self) -> T;
}

impl Given<f32> for f32 {
    #[inline(always)]
    fn given(self) -> f32 {
        self
    }
}

impl Given<f32> for f64 {
    #[inline(always)]
    fn given(self) -> f32 {
        self as f32
    }
}

impl Given<f64> for f32 {
    #[inline(always)]
    fn given(self) -> f64 {
        f64::from(self)
    }
}

impl Given<f64> for f64 {
    #[inline(always)]
    fn given(self) -> f64 {
        self
    }
}
