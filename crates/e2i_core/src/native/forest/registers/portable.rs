//! What every processor has.

use super::super::number::Number;
use super::{BLOCK, Register, TOGETHER, Vector, below_one_by_one, ranks_one_by_one};

/// What every processor has; the loops are written so that the compiler finds the vector instructions of the architecture.
pub(in crate::native::forest) struct Portable;

/// Rows that are taken at once: a register of SSE2 or NEON.
const ROWS: usize = 16;

impl Register for [u8; ROWS] {
    const ROWS: usize = ROWS;
    type Mask = [bool; ROWS];

    #[inline(always)]
    unsafe fn load(from: *const u8) -> Self {
        // SAFETY: as promised by the caller.
        unsafe { *from.cast() }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut u8) {
        // SAFETY: as promised by the caller.
        unsafe { *to.cast() = self }
    }

    #[inline(always)]
    unsafe fn splat(byte: u8) -> Self {
        [byte; ROWS]
    }

    #[inline(always)]
    unsafe fn splat_four(bytes: u32) -> Self {
        [bytes as u8; ROWS]
    }

    #[inline(always)]
    unsafe fn and(self, other: Self) -> Self {
        std::array::from_fn(|row| self[row] & other[row])
    }

    #[inline(always)]
    unsafe fn at_most(self, other: Self) -> Self::Mask {
        std::array::from_fn(|row| self[row] <= other[row])
    }

    #[inline(always)]
    unsafe fn choose(mask: Self::Mask, yes: Self, no: Self) -> Self {
        std::array::from_fn(|row| if mask[row] { yes[row] } else { no[row] })
    }

    #[inline(always)]
    unsafe fn pick(table: *const u8, _count: usize, places: Self) -> Self {
        // SAFETY: as promised by the caller.
        std::array::from_fn(|row| unsafe { *table.add(usize::from(places[row])) })
    }
}

impl Vector for Portable {
    type Register = [u8; ROWS];

    #[inline(always)]
    unsafe fn ranks<T: Number>(search: (&[T], u32), values: &[T; BLOCK], ranks: &mut [u32; BLOCK]) {
        ranks_one_by_one(search, values, ranks);
    }

    #[inline(always)]
    unsafe fn below<T: Number>(value: T, numbers: &[T; TOGETHER]) -> u32 {
        below_one_by_one(value, numbers)
    }
}
