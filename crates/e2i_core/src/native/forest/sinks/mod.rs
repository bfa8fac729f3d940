//! What becomes of the leaves that rows reach.
//!
//! Kernels find leaves and hand them to a [`Sink`], each in the way that suits it: one row's in consecutive trees, those of
//! some rows in one tree, or a byte each for a block of rows. Sinks are compiled into the kernels. `sums` adds what leaves
//! add, `indexes` keeps their numbers, `each_tree` what every tree says alone.
//!
//! What does not belong here: how a leaf is found.

#![allow(unsafe_code)]

mod each_tree;
mod indexes;
mod sums;

pub(super) use self::each_tree::EachTree;
pub(super) use self::indexes::Indexes;
pub(super) use self::sums::{LeafSections, Leaves, Payload, Sums, compile};
use super::registers::{Bytes, Vector};

/// Takes the leaves of rows. A row comes in one of three ways, and each of its trees once, the first tree first.
///
/// # Safety
/// Of all functions: the leaves must be of the trees that are named; of [`Sink::block`], of all rows of the halves.
pub(super) trait Sink {
    type Row<'s>: RowSink
    where
        Self: 's;

    /// Begins with a row whose leaves come tree by tree.
    fn row(&mut self, row: usize) -> Self::Row<'_>;

    /// Begins with rows whose leaves come some rows at a time.
    fn begin(&mut self, rows: std::ops::Range<usize>);

    /// The leaves of some of them in a tree, from row `first` on.
    unsafe fn rows(&mut self, tree: usize, first: usize, found: &[u32]);

    /// All trees were passed.
    fn end(&mut self, rows: std::ops::Range<usize>);

    /// Begins with a block of rows.
    fn begin_block(&mut self);

    /// The leaves of a block in a tree.
    ///
    /// # Safety
    /// The processor must have the instructions of `V`, too.
    unsafe fn block<V: Vector, const HALVES: usize>(
        &mut self,
        tree: usize,
        found: &Bytes,
        rows: std::ops::Range<usize>,
    );

    /// All trees were passed by a block of these rows.
    fn end_block(&mut self, rows: std::ops::Range<usize>);
}

/// Takes the leaves of one row.
///
/// # Safety
/// As [`Sink`].
pub(super) trait RowSink {
    /// Whether it takes weights of float32 instead of leaves, where every tree adds one.
    const ADDS: bool = false;

    /// The leaves in trees from `tree` on.
    unsafe fn leaves<L: Copy + Into<u32>>(&mut self, tree: usize, found: &[L]);

    /// What the leaves in trees from `tree` on add.
    fn weights(&mut self, _tree: usize, _weights: &[f32]) {}

    /// All trees were passed.
    fn finish(self);
}
