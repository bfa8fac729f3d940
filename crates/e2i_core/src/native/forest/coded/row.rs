//! The walks of one row.

use super::super::number::{Given, Number};
use super::super::ranks::{self, COLUMNS, Codes, Count};
use super::super::{classes, leaves};
use super::{Beside, Full, Group, LARGE, Place, SMALL, TREES};

/// What a row is asked: for each column its code and, where branches ask for sets, its class. `CLASSES` is the number of
/// columns then, else 0: clearing as many takes as long as some trees.
struct Row<'i, const CLASSES: usize> {
    codes: Codes,
    classes: [u32; CLASSES],
    /// The sets.
    bits: &'i [u8],
}

impl<const CLASSES: usize> Row<'_, CLASSES> {
    /// Whether the class of a column is in a set: 1 or 0.
    ///
    /// # Safety
    /// Sets must be able to begin there.
    #[inline(always)]
    unsafe fn is_in(&self, column: usize, set: u32) -> usize {
        let class = self.classes[column % COLUMNS];
        // SAFETY: as promised by the caller, and a class has its bit in every set.
        let byte = unsafe { *self.bits.get_unchecked(set as usize + class as usize / 8) };
        usize::from(byte >> (class % 8) & 1)
    }
}

/// Full trees and the sets beside, which are there where branches ask for some.
type FullOpened<'i, const SIZE: usize> = (&'i [Full<SIZE>], &'i [Beside<SIZE>]);

/// The tables, opened.
pub(in crate::native::forest) struct Opened<'i, T, A> {
    pub(super) size: usize,
    pub(super) depth: u32,
    pub(super) small: FullOpened<'i, SMALL>,
    pub(super) large: FullOpened<'i, LARGE>,
    pub(super) groups: &'i [Group],
    pub(super) places: &'i [Place],
    pub(super) sets: &'i [u32],
    pub(super) ranks: ranks::Opened<'i, T>,
    pub(super) classes: classes::Opened<'i, T>,
    pub(super) leaves: leaves::Opened<'i, A>,
}

impl<T: Number, A: Number> Opened<'_, T, A> {
    /// The sums of all rows.
    ///
    /// # Safety
    /// The processor must have the instructions of `C`, and the tables must have passed [`Coded::check`].
    #[inline(always)]
    pub(in crate::native::forest) unsafe fn sums<C: Count, E: Given<T>>(&self, input: &[E], out: &mut [A]) {
        // SAFETY: as promised by the caller.
        unsafe {
            if self.classes.features.is_empty() {
                self.rows::<C, E, 0>(input, out);
            } else {
                self.rows::<C, E, COLUMNS>(input, out);
            }
        }
    }

    #[inline(always)]
    unsafe fn rows<C: Count, E: Given<T>, const CLASSES: usize>(&self, input: &[E], out: &mut [A]) {
        let (width, targets) = (self.ranks.inputs.width, self.leaves.targets);
        let mut asked = Row { codes: Codes([0; COLUMNS]), classes: [0; CLASSES], bits: self.classes.sets.bits };
        for (row, sums) in out.chunks_exact_mut(targets).enumerate() {
            sums.iter_mut().enumerate().for_each(|(target, sum)| *sum = self.leaves.start(target));
            let row = &input[row * width..(row + 1) * width];
            // SAFETY: as promised by the caller.
            unsafe { self.ranks.codes::<C, E>(row, &mut asked.codes) };
            if CLASSES > 0 {
                let columns = &mut asked.classes[self.ranks.inputs.codes.len()..];
                for (class, feature) in columns.iter_mut().zip(self.classes.features) {
                    *class = self.classes.class(feature, row);
                }
            }
            // SAFETY: as promised by the caller.
            unsafe {
                match self.size {
                    0 => self.groups(&asked, sums),
                    SMALL => self.full(self.small, &asked, sums),
                    _ => self.full(self.large, &asked, sums),
                }
            }
            sums.iter_mut().enumerate().for_each(|(target, sum)| *sum = self.leaves.finish(target, *sum));
        }
    }

    #[inline(always)]
    unsafe fn full<const CLASSES: usize, const SIZE: usize>(
        &self,
        (trees, beside): FullOpened<'_, SIZE>,
        row: &Row<'_, CLASSES>,
        sums: &mut [A],
    ) {
        let mut tree = 0;
        let mut groups = trees.chunks_exact(TREES);
        for group in &mut groups {
            // SAFETY: the depth fits the size, and there are as many sets beside as trees where they are asked for.
            let found: [u8; TREES] = unsafe {
                if CLASSES > 0 {
                    walk_full_sets(group, &beside[tree..tree + TREES], self.depth, row)
                } else {
                    walk_full(group, self.depth, &row.codes.0)
                }
            };
            // SAFETY: the leaves exist.
            unsafe { self.add(tree, &found, sums) };
            tree += TREES;
        }
        for rest in groups.remainder() {
            let rest = std::slice::from_ref(rest);
            // SAFETY: as above.
            unsafe {
                let found: [u8; 1] = if CLASSES > 0 {
                    walk_full_sets(rest, &beside[tree..=tree], self.depth, row)
                } else {
                    walk_full(rest, self.depth, &row.codes.0)
                };
                self.add(tree, &found, sums);
            }
            tree += 1;
        }
    }

    #[inline(always)]
    unsafe fn groups<const CLASSES: usize>(&self, row: &Row<'_, CLASSES>, sums: &mut [A]) {
        let mut tree = 0;
        for group in self.groups {
            let first = group.first as usize;
            // SAFETY: all walks of a group stay in it; there are as many sets as places where they are asked for.
            let found = unsafe {
                if CLASSES > 0 {
                    walk_sets(&self.places[first..], &self.sets[first..], group, row)
                } else {
                    walk(&self.places[first..], group, &row.codes.0)
                }
            };
            let count = TREES.min(self.leaves.payloads.len() - tree);
            // SAFETY: the leaves exist.
            unsafe { self.add(tree, &found[..count], sums) };
            tree += count;
        }
    }

    /// Adds the weights of leaves of consecutive trees.
    ///
    /// # Safety
    /// The leaves must exist.
    #[inline(always)]
    unsafe fn add(&self, tree: usize, found: &[u8], sums: &mut [A]) {
        if let Some(target) = self.leaves.lone {
            let mut sum = sums[target];
            for (payload, leaf) in self.leaves.payloads[tree..tree + found.len()].iter().zip(found) {
                // SAFETY: as promised by the caller.
                sum =
                    sum + unsafe { *self.leaves.weights.get_unchecked(payload.weights as usize + usize::from(*leaf)) };
            }
            sums[target] = sum;
        } else {
            found.iter().enumerate().for_each(|(k, leaf)| self.leaves.add_leaf(tree + k, u32::from(*leaf), sums));
        }
    }
}

/// The leaves at which a row ends in `N` full trees. Compiled without wide registers and on its own: else the compiler
/// gathers what is faster loaded, or runs out of registers.
///
/// # Safety
/// There must be `N` trees, and `SIZE` must be at least 2 to the power of `depth`.
#[inline(never)]
unsafe fn walk_full<const SIZE: usize, const N: usize>(
    trees: &[Full<SIZE>],
    depth: u32,
    codes: &[u8; COLUMNS],
) -> [u8; N] {
    let mut at = [1usize; N];
    for _ in 0..depth {
        for k in 0..N {
            // SAFETY: before the last step a place is less than 2^depth.
            unsafe {
                let tree = trees.get_unchecked(k);
                let code = codes[usize::from(*tree.columns.get_unchecked(at[k]))];
                at[k] = 2 * at[k] + usize::from(code > *tree.thresholds.get_unchecked(at[k]));
            }
        }
    }
    let last = (1usize << depth) - 1;
    let mut found = [0; N];
    for k in 0..N {
        // SAFETY: `last` is less than the size.
        found[k] = unsafe { *trees.get_unchecked(k).leaves.get_unchecked(at[k] & last) };
    }
    found
}

/// The leaves at which the walks of a group end.
///
/// # Safety
/// The group and its places, which are the first of `places`, must have passed the check.
#[inline(never)]
unsafe fn walk(places: &[Place], group: &Group, codes: &[u8; COLUMNS]) -> [u8; TREES] {
    let mut at = group.roots.map(usize::from);
    for _ in 0..group.depth {
        for at in &mut at {
            // SAFETY: as promised by the caller.
            let place = unsafe { *places.get_unchecked(*at) };
            let code = codes[(place >> 8) as usize % COLUMNS];
            *at = (place >> 16) as usize + usize::from(code > place as u8);
        }
    }
    // SAFETY: as above.
    at.map(|at| unsafe { *places.get_unchecked(at) >> 8 } as u8)
}

/// [`walk_full`] where branches ask for sets.
///
/// # Safety
/// As there; there must be `N` sets beside, which passed the check.
#[inline(never)]
#[allow(clippy::needless_range_loop, reason = "several lists of trees go side by side")]
unsafe fn walk_full_sets<const SIZE: usize, const N: usize, const CLASSES: usize>(
    trees: &[Full<SIZE>],
    beside: &[Beside<SIZE>],
    depth: u32,
    row: &Row<'_, CLASSES>,
) -> [u8; N] {
    let mut at = [1usize; N];
    for _ in 0..depth {
        for k in 0..N {
            // SAFETY: before the last step a place is less than 2^depth; sets can begin where they begin.
            unsafe {
                let tree = trees.get_unchecked(k);
                let column = usize::from(*tree.columns.get_unchecked(at[k]));
                let set = *beside.get_unchecked(k).0.get_unchecked(at[k]);
                let above = usize::from(row.codes.0[column] > *tree.thresholds.get_unchecked(at[k]));
                at[k] = 2 * at[k] + (above | row.is_in(column, set));
            }
        }
    }
    let last = (1usize << depth) - 1;
    let mut found = [0; N];
    for k in 0..N {
        // SAFETY: `last` is less than the size.
        found[k] = unsafe { *trees.get_unchecked(k).leaves.get_unchecked(at[k] & last) };
    }
    found
}

/// [`walk`] where branches ask for sets. Two groups side by side were slower.
///
/// # Safety
/// As there; there must be as many sets as places.
#[inline(never)]
unsafe fn walk_sets<const CLASSES: usize>(
    places: &[Place],
    sets: &[u32],
    group: &Group,
    row: &Row<'_, CLASSES>,
) -> [u8; TREES] {
    let mut at = group.roots.map(usize::from);
    for _ in 0..group.depth {
        for at in &mut at {
            // SAFETY: as promised by the caller.
            let (place, set) = unsafe { (*places.get_unchecked(*at), *sets.get_unchecked(*at)) };
            let column = (place >> 8) as usize % COLUMNS;
            let above = usize::from(row.codes.0[column] > place as u8);
            // SAFETY: sets can begin where they begin.
            *at = (place >> 16) as usize + (above | unsafe { row.is_in(column, set) });
        }
    }
    // SAFETY: as above.
    at.map(|at| unsafe { *places.get_unchecked(at) >> 8 } as u8)
}
