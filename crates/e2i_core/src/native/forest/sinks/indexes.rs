//! The sink of leaf indexes: which leaf of each tree a row reaches.

#![allow(unsafe_code)]

use super::super::registers::{Bytes, Vector};
use super::{RowSink, Sink};

/// Keeps the numbers of leaves.
pub(in crate::native::forest) struct Indexes<'a> {
    pub trees: usize,
    /// For each row one a tree.
    pub out: &'a mut [u32],
}

/// Those of a row.
pub(in crate::native::forest) struct IndexesOfRow<'s>(&'s mut [u32]);

impl Sink for Indexes<'_> {
    type Row<'s>
        = IndexesOfRow<'s>
    where
        Self: 's;

    #[inline(always)]
    fn row(&mut self, row: usize) -> IndexesOfRow<'_> {
        IndexesOfRow(&mut self.out[row * self.trees..(row + 1) * self.trees])
    }

    fn begin(&mut self, _rows: std::ops::Range<usize>) {}

    #[inline(always)]
    unsafe fn rows(&mut self, tree: usize, first: usize, found: &[u32]) {
        for (row, leaf) in (first..).zip(found) {
            self.out[row * self.trees + tree] = *leaf;
        }
    }

    fn end(&mut self, _rows: std::ops::Range<usize>) {}

    fn begin_block(&mut self) {}

    #[inline(always)]
    unsafe fn block<V: Vector, const HALVES: usize>(
        &mut self,
        tree: usize,
        found: &Bytes,
        rows: std::ops::Range<usize>,
    ) {
        for (row, leaf) in rows.zip(found.0) {
            self.out[row * self.trees + tree] = leaf.into();
        }
    }

    fn end_block(&mut self, _rows: std::ops::Range<usize>) {}
}

impl RowSink for IndexesOfRow<'_> {
    #[inline(always)]
    unsafe fn leaves<L: Copy + Into<u32>>(&mut self, tree: usize, found: &[L]) {
        self.0[tree..].iter_mut().zip(found).for_each(|(out, leaf)| *out = (*leaf).into());
    }

    fn finish(self) {}
}
