//! The sink of what every tree says alone: what quantile forests and intervals are made of.

#![allow(unsafe_code)]

use super::super::number::Number;
use super::super::registers::{Bytes, Vector};
use super::sums::Leaves;
use super::{RowSink, Sink};

/// Keeps what each tree adds to each target; 0 where it adds nothing.
pub(in crate::native::forest) struct EachTree<'a, A> {
    pub leaves: &'a Leaves<A>,
    /// For each row and tree a number a target.
    pub out: &'a mut [A],
}

impl<A: Number> EachTree<'_, A> {
    #[inline(always)]
    fn put(&mut self, row: usize, tree: usize, leaf: u32) {
        let leaves = self.leaves;
        let out = &mut self.out[(row * leaves.payloads.len() + tree) * leaves.targets..][..leaves.targets];
        out.fill(A::ZERO);
        for (target, weight) in leaves.of_leaf(tree, leaf).filter(|(_, weight)| !weight.is_none()) {
            out[target] = out[target] + weight;
        }
    }
}

/// That of a row.
pub(in crate::native::forest) struct EachTreeOfRow<'s, 'a, A> {
    all: &'s mut EachTree<'a, A>,
    row: usize,
}

impl<'a, A: Number> Sink for EachTree<'a, A> {
    type Row<'s>
        = EachTreeOfRow<'s, 'a, A>
    where
        Self: 's;

    fn row(&mut self, row: usize) -> EachTreeOfRow<'_, 'a, A> {
        EachTreeOfRow { all: self, row }
    }

    fn begin(&mut self, _rows: std::ops::Range<usize>) {}

    unsafe fn rows(&mut self, tree: usize, first: usize, found: &[u32]) {
        (first..).zip(found).for_each(|(row, leaf)| self.put(row, tree, *leaf));
    }

    fn end(&mut self, _rows: std::ops::Range<usize>) {}

    fn begin_block(&mut self) {}

    unsafe fn block<V: Vector, const HALVES: usize>(
        &mut self,
        tree: usize,
        found: &Bytes,
        rows: std::ops::Range<usize>,
    ) {
        rows.zip(found.0).for_each(|(row, leaf)| self.put(row, tree, leaf.into()));
    }

    fn end_block(&mut self, _rows: std::ops::Range<usize>) {}
}

impl<A: Number> RowSink for EachTreeOfRow<'_, '_, A> {
    unsafe fn leaves<L: Copy + Into<u32>>(&mut self, tree: usize, found: &[L]) {
        (tree..).zip(found).for_each(|(tree, leaf)| self.all.put(self.row, tree, (*leaf).into()));
    }

    fn finish(self) {}
}
