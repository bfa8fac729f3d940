//! What the kernels do with registers, written once: rows lie side by side, as many as a register has bytes.
//!
//! [`Vector`] is what a set of instructions brings, [`Work`] what is compiled for each of them; [`run`] takes the way of the
//! set that it is given, which only detection makes. Every set gives the same bits.
//!
//! What does not belong here: what a tree is, and tables of an image.

#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use bytemuck::{Pod, Zeroable};

pub(super) use self::portable::Portable;
use super::number::Number;
#[cfg(target_arch = "x86_64")]
use crate::native::instruction_set::InstructionLevel;
use crate::native::instruction_set::InstructionSet;

/// Rows that are worked on together.
pub(super) const BLOCK: usize = 128;

/// Thresholds that are compared together.
pub(super) const TOGETHER: usize = 16;

/// Registers that are searched for together.
const SEARCHED: usize = 4;

/// One byte for each row of a block.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
pub(super) struct Bytes(pub [u8; BLOCK]);

/// The ways to up to 32 leaves: which of 32 questions are asked on each, and what is answered.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Ways {
    pub asked: [u32; 32],
    pub answers: [u32; 32],
}

/// Work that is compiled for each set of instructions.
pub(super) trait Work {
    /// Does it.
    ///
    /// # Safety
    /// The processor must have the instructions of `V`. Implementations are inlined into functions that enable them.
    unsafe fn run<V: Vector>(self);
}

/// Does work with a set of instructions.
#[inline]
pub(super) fn run(set: InstructionSet, work: impl Work) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: only detection makes a set.
    unsafe {
        match set.level() {
            InstructionLevel::Avx512Vbmi => return avx512::run_vbmi(work),
            InstructionLevel::Avx512 => return avx512::run(work),
            InstructionLevel::Avx2 => return avx2::run(work),
            InstructionLevel::Portable => {}
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = set;
    // SAFETY: every processor has what this needs.
    unsafe { work.run::<Portable>() }
}

/// A register of bytes, one a row.
///
/// # Safety
/// Of all functions of this and the next traits: the processor must have the instructions.
pub(super) trait Register: Copy {
    /// How many there are; [`BLOCK`] is a multiple.
    const ROWS: usize;
    /// Yes or no for each.
    type Mask: Copy;

    /// As many bytes from `from` on, which is aligned to as many.
    unsafe fn load(from: *const u8) -> Self;
    /// Writes them to such a place.
    unsafe fn store(self, to: *mut u8);
    unsafe fn splat(byte: u8) -> Self;
    /// The same of four bytes that are one, which may take less.
    unsafe fn splat_four(bytes: u32) -> Self;
    unsafe fn and(self, other: Self) -> Self;
    /// Where a byte is at most another's.
    unsafe fn at_most(self, other: Self) -> Self::Mask;
    /// One of two.
    unsafe fn choose(mask: Self::Mask, yes: Self, no: Self) -> Self;
    /// The bytes of a table of `count`, up to 256, at some places; 256 can be read from `table` on.
    unsafe fn pick(table: *const u8, count: usize, places: Self) -> Self;
}

/// A register of float32, and one of as many places in a search tree.
pub(super) trait Singles: Copy {
    const LANES: usize;
    type Places: Copy;

    unsafe fn load(from: *const f32) -> Self;
    /// The root.
    unsafe fn roots() -> Self::Places;
    /// The thresholds at some places of a level of a search tree, which has 16 places at least.
    unsafe fn thresholds(search: *const f32, level: u32, places: &[Self::Places; SEARCHED]) -> [Self; SEARCHED];
    /// The place after one, where a value is compared with the threshold there.
    unsafe fn after(place: Self::Places, value: Self, threshold: Self) -> Self::Places;
    /// Writes how far places are from the first of theirs.
    unsafe fn store(place: Self::Places, first: u32, to: *mut u32);
}

/// The instructions that work is done with.
pub(super) trait Vector {
    type Register: Register;

    /// The ranks of a block of values, found in a search tree of so many levels; those of NaN are of no meaning.
    unsafe fn ranks<T: Number>(search: (&[T], u32), values: &[T; BLOCK], ranks: &mut [u32; BLOCK]);

    /// How many of some numbers a value exceeds.
    unsafe fn below<T: Number>(value: T, numbers: &[T; TOGETHER]) -> u32;

    /// The leaf whose way goes with some answers, of which there is one.
    #[inline(always)]
    unsafe fn way(answers: u32, ways: &Ways) -> u32 {
        let mut found = 0;
        for leaf in 0..32 {
            let differs = (answers ^ ways.answers[leaf]) & ways.asked[leaf] != 0;
            found |= if differs { 0 } else { leaf as u32 };
        }
        found
    }

    /// Adds to the sums of rows the weights at their leaves, of which all are in the table.
    #[inline(always)]
    unsafe fn add<const HALVES: usize, A: Number>(leaves: &Bytes, weights: &[A], sums: &mut [A; BLOCK]) {
        for (sum, leaf) in sums.iter_mut().zip(&leaves.0).take(HALVES * BLOCK / 2) {
            // SAFETY: as promised by the caller. Gathers of AVX2 were not faster than these loads.
            *sum = *sum + unsafe { *weights.get_unchecked(usize::from(*leaf)) };
        }
    }
}

/// [`Vector::ranks`] without anything special.
#[inline(always)]
fn ranks_one_by_one<T: Number>((search, levels): (&[T], u32), values: &[T; BLOCK], ranks: &mut [u32; BLOCK]) {
    ranks.fill(1);
    for _ in 0..levels {
        for (rank, value) in ranks.iter_mut().zip(values) {
            let above = search.get(*rank as usize).is_some_and(|bound| *value > *bound);
            *rank = 2 * *rank + u32::from(above);
        }
    }
    ranks.iter_mut().for_each(|rank| *rank -= 1 << levels);
}

/// [`Vector::ranks`] of float32 in registers, of others one by one.
///
/// # Safety
/// The processor must have the instructions of `S`; the search tree must have `2^levels` places, and 16 at least.
#[inline(always)]
#[allow(
    clippy::needless_range_loop,
    reason = "what is passed to `map` and its like is compiled without the instructions"
)]
unsafe fn ranks_in_registers<S: Singles, T: Number>(
    (search, levels): (&[T], u32),
    values: &[T; BLOCK],
    ranks: &mut [u32; BLOCK],
) {
    let (Ok(singles), Ok(values)) = (bytemuck::try_cast_slice::<T, f32>(search), bytemuck::try_cast_ref(values)) else {
        return ranks_one_by_one((search, levels), values, ranks);
    };
    let values: &[f32; BLOCK] = values;
    let search = singles.as_ptr();
    for group in 0..BLOCK / S::LANES / SEARCHED {
        let from = group * S::LANES * SEARCHED;
        // SAFETY: there are `BLOCK` values and ranks; a place of level `l` lies between 2^l and 2^(l + 1), within the tree.
        unsafe {
            let mut of = [S::load(values.as_ptr().add(from)); SEARCHED];
            for k in 1..SEARCHED {
                of[k] = S::load(values.as_ptr().add(from + S::LANES * k));
            }
            let mut places = [S::roots(); SEARCHED];
            for level in 0..levels {
                let thresholds = S::thresholds(search, level, &places);
                for k in 0..SEARCHED {
                    places[k] = S::after(places[k], of[k], thresholds[k]);
                }
            }
            for k in 0..SEARCHED {
                S::store(places[k], 1 << levels, ranks.as_mut_ptr().add(from + S::LANES * k));
            }
        }
    }
}

/// [`Vector::below`] without anything special.
#[inline(always)]
fn below_one_by_one<T: Number>(value: T, numbers: &[T; TOGETHER]) -> u32 {
    let mut count = 0;
    for number in numbers {
        count += u32::from(value > *number);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Everything<'a> {
        search: (&'a [f32], u32),
        values: &'a [f32; BLOCK],
        bytes: &'a Bytes,
        table: &'a [u8; 256],
        out: &'a mut (Vec<u32>, Vec<u8>, Vec<f32>),
    }

    impl Work for Everything<'_> {
        #[inline(always)]
        unsafe fn run<V: Vector>(self) {
            let (ranks, bytes, sums) = self.out;
            let mut found = [0; BLOCK];
            // SAFETY: the search tree has its places, bytes and table are as long as they must be.
            unsafe {
                V::ranks(self.search, self.values, &mut found);
                ranks.extend(found);
                let numbers: [f32; TOGETHER] = std::array::from_fn(|at| at as f32 * 1.5 - 9.0);
                ranks.push(V::below(self.values[3], &numbers));
                for at in (0..BLOCK).step_by(V::Register::ROWS) {
                    let of = V::Register::load(self.bytes.0.as_ptr().add(at));
                    for count in [1, 16, 40, 64, 65, 128, 129, 256] {
                        let within = V::Register::splat((count - 1) as u8);
                        let places = V::Register::choose(of.at_most(within), of, V::Register::splat(0));
                        let picked = V::Register::pick(self.table.as_ptr(), count, places);
                        let mut into = Bytes([0; BLOCK]);
                        picked.and(V::Register::splat(0x7e)).store(into.0.as_mut_ptr());
                        // In the order of the rows, whatever the register.
                        bytes.resize(8 * BLOCK, 0);
                        let slot = [1, 16, 40, 64, 65, 128, 129, 256].iter().position(|c| *c == count).unwrap();
                        bytes[slot * BLOCK + at..][..V::Register::ROWS].copy_from_slice(&into.0[..V::Register::ROWS]);
                    }
                }
                let ways = Ways {
                    asked: std::array::from_fn(|leaf| (1 << (leaf + 1).min(31)) - 1),
                    answers: std::array::from_fn(|leaf| (1 << leaf) - 1),
                };
                ranks.extend((0..32).map(|leaf| V::way(0xa5a5_a5a4 << leaf << 1 | ((1 << leaf) - 1), &ways)));
                for size in [1, 7, 16, 17, 31, 32, 33, 64, 100, 128, 200, 256] {
                    let weights: Vec<f64> = (0..size).map(|at| f64::from(at) / 3.0).collect();
                    let singles: Vec<f32> = weights.iter().map(|weight| *weight as f32).collect();
                    let leaves = Bytes(self.bytes.0.map(|byte| byte % size.min(255) as u8));
                    let (mut single, mut double) = ([0.1f32; BLOCK], [0.1f64; BLOCK]);
                    V::add::<2, f32>(&leaves, &singles, &mut single);
                    V::add::<2, f64>(&leaves, &weights, &mut double);
                    V::add::<1, f64>(&leaves, &weights, &mut double);
                    sums.extend(single);
                    sums.extend(double.map(|sum| sum as f32));
                }
            }
        }
    }

    #[test]
    fn every_set_gives_the_same() {
        let bytes = Bytes(std::array::from_fn(|row| (row * 37 + 11) as u8));
        let table: [u8; 256] = std::array::from_fn(|place| (place * 101 + 3) as u8);
        let values: [f32; BLOCK] =
            std::array::from_fn(|row| if row == 77 { f32::NAN } else { row as f32 / 3.0 - 20.0 });
        for levels in 0..10 {
            let mut search = vec![f32::INFINITY; 16.max(1 << levels)];
            let mut in_order: Vec<usize> = vec![];
            fn visit(place: usize, end: usize, order: &mut Vec<usize>) {
                if place < end {
                    visit(2 * place, end, order);
                    order.push(place);
                    visit(2 * place + 1, end, order);
                }
            }
            visit(1, 1 << levels, &mut in_order);
            in_order.iter().enumerate().for_each(|(rank, place)| search[*place] = rank as f32 / 7.0 - 19.0);
            let mut first = None;
            for set in InstructionSet::available() {
                let mut out = (vec![], vec![], vec![]);
                let work = Everything {
                    search: (&search, levels),
                    values: &values,
                    bytes: &bytes,
                    table: &table,
                    out: &mut out,
                };
                run(set, work);
                out.0[77] = 0;
                let first = first.get_or_insert_with(|| out.clone());
                assert!(*first == out, "{set} differs from portable, {levels} levels");
            }
        }
    }
}
