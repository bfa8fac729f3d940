//! The walks of one row.

use super::super::super::codes::{COLUMNS, Codes, RowCodes, Source};
use super::super::super::number::Number;
use super::super::super::sinks::{RowSink, Sink};
use super::{Beside, Coded, Full, FullTrees, Group, Place, SMALL, TREES};
use crate::native::instruction_set::InstructionSet;

/// What a row is asked: for each column its code and, where branches ask for sets, its class. `CLASSES` is the number of
/// columns then, else 0: clearing as many takes as long as some trees.
struct Row<'i, const CLASSES: usize> {
    codes: RowCodes,
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

impl Coded {
    /// Walks rows one by one. The codes must be those with which the tables were opened.
    pub(in crate::native::forest) fn pass<T: Number>(
        &self,
        codes: &Codes<T>,
        set: InstructionSet,
        source: impl Source<T>,
        rows: std::ops::Range<usize>,
        sink: &mut impl Sink,
    ) {
        if codes.sets().features.is_empty() {
            self.rows::<T, 0>(codes, set, source, rows, sink);
        } else {
            self.rows::<T, COLUMNS>(codes, set, source, rows, sink);
        }
    }

    fn rows<T: Number, const CLASSES: usize>(
        &self,
        codes: &Codes<T>,
        set: InstructionSet,
        source: impl Source<T>,
        rows: std::ops::Range<usize>,
        sink: &mut impl Sink,
    ) {
        let bits = &codes.sets().bits;
        let mut asked = Row { codes: RowCodes([0; COLUMNS]), classes: [0; CLASSES], bits };
        for row in rows {
            codes.read_row(set, source.row(row), &mut asked.codes, &mut asked.classes);
            match self.size {
                0 => self.groups(&asked, sink.row(row)),
                SMALL => self.full(&self.small, &asked, sink.row(row)),
                _ => self.full(&self.large, &asked, sink.row(row)),
            }
        }
    }

    fn full<const CLASSES: usize, const SIZE: usize>(
        &self,
        (trees, beside): &FullTrees<SIZE>,
        row: &Row<'_, CLASSES>,
        mut sink: impl RowSink,
    ) {
        let mut tree = 0;
        let mut groups = trees.chunks_exact(TREES);
        for group in &mut groups {
            // SAFETY: the depth fits the size, and there are as many sets beside as trees where they are asked for; leaves
            // are of their trees.
            unsafe {
                let beside = if CLASSES > 0 { &beside[tree..tree + TREES] } else { &[] };
                sink.leaves(tree, &walk_full::<SIZE, TREES, CLASSES>(group, beside, self.depth, row));
            }
            tree += TREES;
        }
        for rest in groups.remainder() {
            // SAFETY: as above.
            unsafe {
                let beside = if CLASSES > 0 { &beside[tree..=tree] } else { &[] };
                let rest = std::slice::from_ref(rest);
                sink.leaves(tree, &walk_full::<SIZE, 1, CLASSES>(rest, beside, self.depth, row));
            }
            tree += 1;
        }
        sink.finish();
    }

    fn groups<const CLASSES: usize>(&self, row: &Row<'_, CLASSES>, mut sink: impl RowSink) {
        let mut tree = 0;
        for group in self.groups.iter() {
            let first = group.first as usize;
            let sets = if CLASSES > 0 { &self.sets[first..] } else { &[] };
            // SAFETY: all walks of a group stay in it and end at leaves of its trees; there are as many sets as places
            // where they are asked for.
            unsafe {
                let found = walk(&self.places[first..], sets, group, row);
                sink.leaves(tree, &found[..TREES.min(self.trees - tree)]);
            }
            tree += TREES;
        }
        sink.finish();
    }
}

/// The leaves at which a row ends in `N` full trees. Compiled without wide registers and on its own: else the compiler
/// gathers what is faster loaded, or runs out of registers.
///
/// # Safety
/// There must be `N` trees and, where branches ask for sets, as many sets beside, which were looked at. `SIZE` must be at
/// least 2 to the power of `depth`.
#[inline(never)]
#[allow(clippy::needless_range_loop, reason = "several lists of trees go side by side")]
unsafe fn walk_full<const SIZE: usize, const N: usize, const CLASSES: usize>(
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
                let mut no = usize::from(row.codes.0[column] > *tree.thresholds.get_unchecked(at[k]));
                if CLASSES > 0 {
                    no |= row.is_in(column, *beside.get_unchecked(k).0.get_unchecked(at[k]));
                }
                at[k] = 2 * at[k] + no;
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

/// The leaves at which the walks of a group end. Where branches ask for sets, two groups side by side were slower.
///
/// # Safety
/// The group and its places, which are the first of `places`, must have been looked at; where branches ask for sets, there
/// must be as many.
#[inline(never)]
unsafe fn walk<const CLASSES: usize>(
    places: &[Place],
    sets: &[u32],
    group: &Group,
    row: &Row<'_, CLASSES>,
) -> [u8; TREES] {
    let mut at = group.roots.map(usize::from);
    for _ in 0..group.depth {
        for at in &mut at {
            // SAFETY: as promised by the caller; sets can begin where they begin.
            unsafe {
                let place = *places.get_unchecked(*at);
                let column = (place >> 8) as usize % COLUMNS;
                let mut no = usize::from(row.codes.0[column] > place as u8);
                if CLASSES > 0 {
                    no |= row.is_in(column, *sets.get_unchecked(*at));
                }
                *at = (place >> 16) as usize + no;
            }
        }
    }
    // SAFETY: as above.
    at.map(|at| unsafe { *places.get_unchecked(at) >> 8 } as u8)
}
