//! Numbers of every type that cells have, with the operations that leave no choice of order: those that IEEE 754 defines for
//! floats, and for integers those that wrap.

use std::ops::{Add, AddAssign, Div, DivAssign, Mul, Neg, Sub};

/// float32, float64, int32 or int64.
pub(crate) trait Arithmetic: Copy + PartialOrd {
    const ZERO: Self;
    const ONE: Self;
    /// The sum; integers wrap.
    fn add(self, other: Self) -> Self;
    /// The difference; integers wrap.
    fn subtract(self, other: Self) -> Self;
    /// The product; integers wrap.
    fn multiply(self, other: Self) -> Self;
    /// The quotient; of integers towards zero, and 0 for a division by 0.
    fn divide(self, other: Self) -> Self;
    /// The quotient by a count, likewise.
    fn over(self, count: usize) -> Self;
    /// The absolute value; integers wrap.
    fn absolute(self) -> Self;
    /// The square root, of integers towards zero.
    fn root(self) -> Self;
    /// Whether it is no number.
    fn is_none(self) -> bool;
}

/// float32 or float64.
pub(crate) trait Float:
    Arithmetic
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + DivAssign
{
    const LOWEST: Self;
    /// The nearest of this type.
    fn nearest(value: f64) -> Self;
    fn is_finite(self) -> bool;
    /// The natural logarithm, the operating system's.
    fn logarithm(self) -> Self;
    /// The power, the operating system's.
    fn power(self, exponent: Self) -> Self;
}

macro_rules! floats {
    ($($type:ident),+) => {
        $(impl Arithmetic for $type {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            #[inline(always)]
            fn add(self, other: Self) -> Self { self + other }
            #[inline(always)]
            fn subtract(self, other: Self) -> Self { self - other }
            #[inline(always)]
            fn multiply(self, other: Self) -> Self { self * other }
            #[inline(always)]
            fn divide(self, other: Self) -> Self { self / other }
            #[inline(always)]
            fn over(self, count: usize) -> Self { self / count as Self }
            #[inline(always)]
            fn absolute(self) -> Self { self.abs() }
            #[inline(always)]
            fn root(self) -> Self { self.sqrt() }
            #[inline(always)]
            fn is_none(self) -> bool { self.is_nan() }
        }

        impl Float for $type {
            const LOWEST: Self = $type::NEG_INFINITY;
            #[inline(always)]
            fn nearest(value: f64) -> Self { value as Self }
            #[inline(always)]
            fn is_finite(self) -> bool { $type::is_finite(self) }
            #[inline(always)]
            fn logarithm(self) -> Self { self.ln() }
            #[inline(always)]
            fn power(self, exponent: Self) -> Self { self.powf(exponent) }
        })+
    };
}

macro_rules! integers {
    ($($type:ident),+) => {
        $(impl Arithmetic for $type {
            const ZERO: Self = 0;
            const ONE: Self = 1;
            #[inline(always)]
            fn add(self, other: Self) -> Self { self.wrapping_add(other) }
            #[inline(always)]
            fn subtract(self, other: Self) -> Self { self.wrapping_sub(other) }
            #[inline(always)]
            fn multiply(self, other: Self) -> Self { self.wrapping_mul(other) }
            #[inline(always)]
            fn divide(self, other: Self) -> Self { if other == 0 { 0 } else { self.wrapping_div(other) } }
            #[inline(always)]
            fn over(self, count: usize) -> Self { self.checked_div(count as Self).unwrap_or(0) }
            #[inline(always)]
            fn absolute(self) -> Self { self.wrapping_abs() }
            #[inline(always)]
            fn root(self) -> Self { (self as f64).sqrt() as Self }
            #[inline(always)]
            fn is_none(self) -> bool { false }
        })+
    };
}

floats!(f32, f64);
integers!(i32, i64);
