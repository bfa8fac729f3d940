//! Many rows at a time through every branch of trees with at most 256 leaves.
//!
//! A row's place in a tree is a byte, the number of the leaf; the rows of a block lie side by side. Branches are passed
//! from the leaves up: the leaves of a branch are, row by row, those of its yes side where the row's code is at most the
//! threshold and those of its no side elsewhere. What arrives at the root are the leaves of all rows. So every branch costs
//! one comparison and one choice for as many rows as a register has bytes, whatever the depth, and nothing depends on the
//! data. Weights are then added tree by tree, in order.

#![allow(unsafe_code)]

mod portable;

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

pub(super) use self::portable::Portable;
use super::broken;
use super::classes::{self, READABLE, Sets};
use super::inputs::{self, BLOCK, Places};
use super::leaves;
use super::number::{Given, NAN_ALONE, Number, as_read};
use super::shape::{Ask, Asked, Next, Plain, Shape};
use crate::error::Result;
use crate::native::image::{Image, ImageWriter, Section};

/// Leaves of a tree that a byte can number.
const LEAVES: usize = 256;

/// Columns of bytes that a block may have: 1 MB of them.
const COLUMNS: usize = 8192;

/// Classes of a feature that 256 bytes of a set have room for.
const CLASSES: u32 = 2048;

/// One byte for each row of a block.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
pub(super) struct Bytes(pub [u8; BLOCK]);

/// A branch.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Op {
    /// The threshold, four times.
    pub threshold: u32,
    /// The column of bytes that is compared.
    pub column: u16,
    /// Slots of the yes and no sides: a leaf, or what another branch wrote.
    pub yes: u16,
    pub no: u16,
    /// The slot that is written.
    pub out: u16,
}

/// A branch whose sides are branches between two leaves that nobody else reads: three comparisons, and nothing that is
/// written but what the upper one chooses.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Quad {
    /// Columns of the branch, of its yes side and of its no side.
    pub columns: [u16; 3],
    /// The slot that is written.
    pub out: u16,
    pub thresholds: [u8; 3],
    unused: u8,
    /// The leaves of the yes side, then those of the no side.
    pub leaves: [u8; 4],
}

/// A set that branches of a tree ask for. Before the tree is passed it becomes a column of bytes: 0 outside of it.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Membership {
    /// Where the set begins.
    pub start: u32,
    /// Its feature.
    pub feature: u16,
    /// Bytes of it.
    pub bytes: u16,
}

/// Where the branches of a tree lie.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Span {
    /// Its sets, whose columns follow on those of codes.
    pub first_set: u32,
    pub sets: u32,
    pub first_quad: u32,
    pub quads: u32,
    pub first: u32,
    /// Branches between two leaves, which come first.
    pub pairs: u32,
    /// All branches that are not in quads.
    pub ops: u32,
    /// The slot of the root.
    pub root: u32,
}

/// The tables.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Blend {
    pub spans: Section<Span>,
    pub quads: Section<Quad>,
    pub ops: Section<Op>,
    pub sets: Section<Membership>,
    /// Columns that the sets of a tree need.
    pub set_columns: usize,
    /// Slots that a block needs; the first 256 hold the leaves.
    pub slots: usize,
}

/// Makes the tables, where the shape of the trees allows it.
pub(super) fn compile(
    shape: &Shape,
    places: &Places,
    classes: &classes::Places,
    columns: usize,
    writer: &mut ImageWriter,
) -> Option<Blend> {
    if columns > COLUMNS
        || classes.features.iter().any(|feature| feature.count > CLASSES)
        || shape.trees.iter().any(|tree| tree.leaves.len() > LEAVES || tree.asks.len() > 4 * LEAVES)
    {
        return None;
    }
    let (mut spans, mut quads, mut ops, mut sets, mut slots) = (vec![], vec![], vec![], vec![], LEAVES);
    let mut set_columns = 0;
    for plain in &shape.trees {
        let (first_quad, first, first_set) = (quads.len(), ops.len(), sets.len());
        let mut column_of = |asked: &Asked| match asked {
            Asked::AtMost(column, bound) => places.code(shape, *column, *bound),
            Asked::Outside(set) => {
                let feature = classes.feature[*set as usize];
                sets.push(Membership {
                    start: classes.start[*set as usize],
                    feature: u16::try_from(feature).ok()?,
                    bytes: classes.features[feature as usize].bytes() as u16,
                });
                Some(((columns + sets.len() - 1 - first_set) as u32, 0))
            }
        };
        let (root, used) = lay_out(plain, &mut column_of, &mut quads, &mut ops)?;
        set_columns = set_columns.max(sets.len() - first_set);
        let pairs = ops[first..].iter().take_while(|op| is_pair(op)).count();
        spans.push(Span {
            first_set: u32::try_from(first_set).ok()?,
            sets: (sets.len() - first_set) as u32,
            first_quad: u32::try_from(first_quad).ok()?,
            quads: (quads.len() - first_quad) as u32,
            first: u32::try_from(first).ok()?,
            pairs: pairs as u32,
            ops: (ops.len() - first) as u32,
            root: u32::from(root),
        });
        slots = slots.max(used);
    }
    u32::try_from(ops.len()).ok()?;
    Some(Blend {
        spans: writer.push(&spans),
        quads: writer.push(&quads),
        ops: writer.push(&ops),
        sets: writer.push(&sets),
        set_columns,
        slots,
    })
}

fn is_pair(op: &Op) -> bool {
    usize::from(op.yes) < LEAVES && usize::from(op.no) < LEAVES
}

/// Writes the branches of a tree, quads and those between two leaves first. Slots are used again when nobody reads them any more, so
/// that they stay in the first-level cache. Returns the slot of the root and how many slots were used.
fn lay_out(
    plain: &Plain,
    column_of: &mut impl FnMut(&Asked) -> Option<(u32, u8)>,
    quads: &mut Vec<Quad>,
    ops: &mut Vec<Op>,
) -> Option<(u16, usize)> {
    let slot_of_leaf = |leaf: u32| u16::try_from(leaf).ok();
    if let Next::Leaf(leaf) = plain.root {
        return Some((slot_of_leaf(leaf)?, LEAVES));
    }
    let mut readers = vec![0u32; plain.asks.len()];
    for next in plain.asks.iter().flat_map(|ask| [ask.yes, ask.no]) {
        if let Next::Ask(ask) = next {
            readers[ask as usize] += 1;
        }
    }
    let (mut slots, mut free, mut used) = (vec![0u16; plain.asks.len()], vec![], LEAVES);
    let mut within = vec![false; plain.asks.len()];
    for (index, ask) in plain.asks.iter().enumerate() {
        let Some(sides) = sides_of_quad(plain, ask, &readers) else { continue };
        let out = u16::try_from(used).ok()?;
        let mut quad = Quad { columns: [0; 3], out, thresholds: [0; 3], unused: 0, leaves: [0; 4] };
        for (at, of) in [ask, &plain.asks[sides[0]], &plain.asks[sides[1]]].into_iter().enumerate() {
            let (column, threshold) = column_of(&of.asked)?;
            (quad.columns[at], quad.thresholds[at]) = (u16::try_from(column).ok()?, threshold);
        }
        for (leaf, next) in quad.leaves.iter_mut().zip(sides.iter().flat_map(|side| ends_of(&plain.asks[*side]))) {
            *leaf = u8::try_from(next?).ok()?;
        }
        quads.push(quad);
        (slots[index], used) = (out, used + 1);
        [index, sides[0], sides[1]].into_iter().for_each(|ask| within[ask] = true);
    }
    let (pairs, rest): (Vec<usize>, Vec<usize>) =
        (0..plain.asks.len()).filter(|ask| !within[*ask]).partition(|ask| is_between_leaves(&plain.asks[*ask]));
    for index in pairs.into_iter().chain(rest) {
        let ask = &plain.asks[index];
        let mut slot = |next: Next| match next {
            Next::Leaf(leaf) => slot_of_leaf(leaf),
            Next::Ask(ask) => {
                readers[ask as usize] -= 1;
                if readers[ask as usize] == 0 {
                    free.push(slots[ask as usize]);
                }
                Some(slots[ask as usize])
            }
        };
        let (yes, no) = (slot(ask.yes)?, slot(ask.no)?);
        let out = match free.pop() {
            Some(slot) => slot,
            None => {
                used += 1;
                u16::try_from(used - 1).ok()?
            }
        };
        slots[index] = out;
        let (column, threshold) = column_of(&ask.asked)?;
        let threshold = u32::from_ne_bytes([threshold; 4]);
        ops.push(Op { threshold, column: u16::try_from(column).ok()?, yes, no, out });
    }
    Some((*slots.last()?, used))
}

/// The leaves of a branch, where its sides are some.
fn ends_of(ask: &Ask) -> [Option<u32>; 2] {
    [ask.yes, ask.no].map(|next| match next {
        Next::Leaf(leaf) => Some(leaf),
        Next::Ask(_) => None,
    })
}

fn is_between_leaves(ask: &Ask) -> bool {
    ends_of(ask).iter().all(Option::is_some)
}

/// The branches of the yes and no sides of a [`Quad`], if a branch is one.
fn sides_of_quad(plain: &Plain, ask: &Ask, readers: &[u32]) -> Option<[usize; 2]> {
    let (Next::Ask(yes), Next::Ask(no)) = (ask.yes, ask.no) else { return None };
    let sides = [yes as usize, no as usize];
    let alone = |side: &usize| readers[*side] == 1 && is_between_leaves(&plain.asks[*side]);
    sides.iter().all(alone).then_some(sides)
}

impl Blend {
    /// Whether the tables of an image are what the loops rely on: every slot that is read was written before, for the
    /// same tree, and what arrives at a root are numbers of leaves of this tree.
    pub(super) fn check(
        &self,
        image: &Image,
        codes: usize,
        of_sets: &Sets<'_>,
        payloads: &[leaves::Payload],
    ) -> Result<()> {
        image.check(self.sets)?;
        image.check(self.spans)?;
        image.check(self.quads)?;
        image.check(self.ops)?;
        let (spans, quads, ops) = (image.slice(self.spans), image.slice(self.quads), image.slice(self.ops));
        let sets = image.slice(self.sets);
        for set in sets {
            let feature = usize::from(set.feature);
            if !of_sets.can_begin(set.start)
                || of_sets.bytes(feature) != Some(set.bytes.into())
                || usize::from(set.bytes) > READABLE
            {
                return Err(broken("a set"));
            }
        }
        if self.set_columns > sets.len() {
            return Err(broken("the sets"));
        }
        if spans.len() != payloads.len() || self.slots < LEAVES || self.slots > usize::from(u16::MAX) + 1 {
            return Err(broken("the number of trees"));
        }
        // Which tree wrote a slot last.
        let mut written = vec![0u32; self.slots];
        for (tree, (span, payload)) in (1..).zip(spans.iter().zip(payloads)) {
            let first = span.first as usize;
            let ops = first.checked_add(span.ops as usize).and_then(|end| ops.get(first..end));
            let Some(ops) = ops.filter(|ops| span.pairs as usize <= ops.len()) else { return Err(broken("a tree")) };
            let readable = |slot: u32, written: &[u32]| {
                if (slot as usize) < LEAVES { slot < payload.leaves } else { written.get(slot as usize) == Some(&tree) }
            };
            let first = span.first_set as usize;
            let within = first.checked_add(span.sets as usize).is_some_and(|end| end <= sets.len());
            if !within || span.sets as usize > self.set_columns {
                return Err(broken("the sets of a tree"));
            }
            let columns = codes + span.sets as usize;
            let first = span.first_quad as usize;
            let quads = first.checked_add(span.quads as usize).and_then(|end| quads.get(first..end));
            let Some(quads) = quads else { return Err(broken("a tree")) };
            for quad in quads {
                let out = usize::from(quad.out);
                if quad.columns.iter().any(|column| usize::from(*column) >= columns)
                    || quad.leaves.iter().any(|leaf| u32::from(*leaf) >= payload.leaves)
                    || !(LEAVES..self.slots).contains(&out)
                {
                    return Err(broken("a branch"));
                }
                written[out] = tree;
            }
            for (index, op) in ops.iter().enumerate() {
                let out = usize::from(op.out);
                if usize::from(op.column) >= columns
                    || !readable(op.yes.into(), &written)
                    || !readable(op.no.into(), &written)
                    || !(LEAVES..self.slots).contains(&out)
                    || (index < span.pairs as usize && !is_pair(op))
                {
                    return Err(broken("a branch"));
                }
                written[out] = tree;
            }
            if !readable(span.root, &written) {
                return Err(broken("a root"));
            }
        }
        Ok(())
    }

    pub(super) fn open<'i, T, A>(
        &self,
        image: &'i Image,
        inputs: inputs::Opened<'i, T>,
        classes: classes::Opened<'i, T>,
        leaves: leaves::Opened<'i, A>,
    ) -> Opened<'i, T, A> {
        Opened {
            spans: image.slice(self.spans),
            quads: image.slice(self.quads),
            ops: image.slice(self.ops),
            sets: image.slice(self.sets),
            set_columns: self.set_columns,
            slots: self.slots,
            inputs,
            classes,
            leaves,
        }
    }
}

/// The tables, opened.
#[derive(Clone, Copy)]
pub(super) struct Opened<'i, T, A> {
    spans: &'i [Span],
    quads: &'i [Quad],
    ops: &'i [Op],
    sets: &'i [Membership],
    set_columns: usize,
    slots: usize,
    inputs: inputs::Opened<'i, T>,
    classes: classes::Opened<'i, T>,
    leaves: leaves::Opened<'i, A>,
}

/// The classes of the rows of a block.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Classes {
    /// The byte of a set.
    pub byte: Bytes,
    /// The bit of that byte.
    pub bit: Bytes,
}

/// What a block is worked on in.
#[derive(Debug, Default)]
pub(super) struct Bench<A> {
    codes: Vec<Bytes>,
    /// For each feature with classes, where in a set they are.
    classes: Vec<Classes>,
    slots: Vec<Bytes>,
    /// For each target the sums of the rows of the block.
    sums: Vec<A>,
}

/// The instructions that a block is worked on with. `HALVES` of 64 rows are worked on, one or two.
///
/// # Safety
/// Of all functions: the processor must have the instructions, and the tables must have passed their checks: columns,
/// slots and leaves exist.
pub(super) trait Vector {
    /// See [`inputs::ranks`].
    unsafe fn ranks<T: Number>(search: (&[T], u32), values: &[T; BLOCK], ranks: &mut [u32; BLOCK]);

    /// Sets as columns of bytes, one after the other.
    unsafe fn sets<const HALVES: usize>(sets: &[Membership], bits: &[u8], classes: &[Classes], out: &mut [Bytes]);

    /// Branches with both of their sides.
    unsafe fn quads<const HALVES: usize>(quads: &[Quad], codes: &[Bytes], slots: &mut [Bytes]);

    /// Branches between two leaves.
    unsafe fn pairs<const HALVES: usize>(ops: &[Op], codes: &[Bytes], slots: &mut [Bytes]);

    /// Branches.
    unsafe fn blend<const HALVES: usize>(ops: &[Op], codes: &[Bytes], slots: &mut [Bytes]);

    /// Adds the weights of leaves.
    unsafe fn add<const HALVES: usize, A: Number>(leaves: &Bytes, weights: &[A], sums: &mut [A; BLOCK]);
}

impl<T: Number, A: Number> Opened<'_, T, A> {
    /// The sums of all rows.
    ///
    /// # Safety
    /// The processor must have the instructions of `V`, and the tables must have passed [`Blend::check`].
    #[inline(always)]
    pub(super) unsafe fn sums<V: Vector, E: Given<T>>(&self, input: &[E], bench: &mut Bench<A>, out: &mut [A]) {
        let (width, targets) = (self.inputs.width, self.leaves.targets);
        bench.codes.resize(self.inputs.codes.len() + self.set_columns, Bytes::zeroed());
        bench.classes.resize(self.classes.features.len(), Classes::zeroed());
        bench.slots.resize(self.slots, Bytes::zeroed());
        (0..=255).zip(&mut bench.slots).for_each(|(leaf, slot)| slot.0.fill(leaf));
        bench.sums.resize(targets * BLOCK, A::ZERO);
        for (block, out) in out.chunks_mut(BLOCK * targets).enumerate() {
            let rows = out.len() / targets;
            let input = &input[block * BLOCK * width..][..rows * width];
            for (target, sums) in bench.sums.chunks_exact_mut(BLOCK).enumerate() {
                sums.fill(self.leaves.start(target));
            }
            // SAFETY: as promised by the caller.
            unsafe {
                self.codes::<V, E>(input, rows, bench);
                if rows > BLOCK / 2 { self.trees::<V, 2>(bench) } else { self.trees::<V, 1>(bench) }
            }
            for (row, out) in out.chunks_exact_mut(targets).enumerate() {
                for (target, out) in out.iter_mut().enumerate() {
                    *out = self.leaves.finish(target, bench.sums[target * BLOCK + row]);
                }
            }
        }
    }

    /// What the trees compare: the codes and classes of a block.
    #[inline(always)]
    unsafe fn codes<V: Vector, E: Given<T>>(&self, input: &[E], rows: usize, bench: &mut Bench<A>) {
        let input = &input[..rows * self.inputs.width];
        let (mut values, mut missing, mut ranks) = ([T::ZERO; BLOCK], [false; BLOCK], [0; BLOCK]);
        for source in self.inputs.sources.iter().filter(|source| source.codes[0] < source.codes[1]) {
            self.column(input, (source.column, source.missing), &mut values, &mut missing);
            // SAFETY: as promised by the caller.
            unsafe { V::ranks(self.inputs.search_of(source), &values, &mut ranks) };
            for column in source.codes[0] as usize..source.codes[1] as usize {
                self.inputs.bytes(&self.inputs.codes[column], &ranks, &missing, &mut bench.codes[column].0);
            }
        }
        for (feature, classes) in self.classes.features.iter().zip(&mut bench.classes) {
            self.column(input, (feature.column, feature.missing), &mut values, &mut missing);
            // SAFETY: as promised by the caller.
            unsafe { V::ranks(self.classes.search_of(feature), &values, &mut ranks) };
            self.classes.places(feature, &ranks, &missing, &mut classes.byte.0, &mut classes.bit.0);
        }
    }

    /// The values of a column as branches see them, and which are missing.
    #[inline(always)]
    fn column<E: Given<T>>(
        &self,
        input: &[E],
        (column, missing_code): (u32, u32),
        values: &mut [T; BLOCK],
        missing: &mut [bool; BLOCK],
    ) {
        let width = self.inputs.width.max(1);
        for (value, row) in values.iter_mut().zip(input.chunks_exact(width)) {
            *value = row[column as usize].given();
        }
        // What follows takes whole registers; so it is kept apart from what does not.
        if missing_code == NAN_ALONE {
            for (missing, value) in missing.iter_mut().zip(&*values) {
                *missing = value.is_nan();
            }
        } else {
            for (missing, value) in missing.iter_mut().zip(values) {
                (*value, *missing) = as_read(*value, missing_code);
            }
        }
    }

    #[inline(always)]
    unsafe fn trees<V: Vector, const HALVES: usize>(&self, bench: &mut Bench<A>) {
        for (span, payload) in self.spans.iter().zip(self.leaves.payloads) {
            let ops = &self.ops[span.first as usize..(span.first + span.ops) as usize];
            let (pairs, rest) = ops.split_at(span.pairs as usize);
            let quads = &self.quads[span.first_quad as usize..(span.first_quad + span.quads) as usize];
            // SAFETY: as promised by the caller.
            unsafe {
                if span.sets > 0 {
                    let sets = &self.sets[span.first_set as usize..(span.first_set + span.sets) as usize];
                    let columns = &mut bench.codes[self.inputs.codes.len()..];
                    V::sets::<HALVES>(sets, self.classes.sets.bits, &bench.classes, columns);
                }
                V::quads::<HALVES>(quads, &bench.codes, &mut bench.slots);
                V::pairs::<HALVES>(pairs, &bench.codes, &mut bench.slots);
                V::blend::<HALVES>(rest, &bench.codes, &mut bench.slots);
            }
            let leaves = &bench.slots[span.root as usize];
            let mut first = payload.weights as usize;
            for target in &self.leaves.columns[payload.targets as usize..(payload.targets + payload.count) as usize] {
                let weights = &self.leaves.weights[first..first + payload.leaves as usize];
                first += payload.leaves as usize;
                let Some(sums) = bench.sums[*target as usize * BLOCK..].first_chunk_mut() else { continue };
                if matches!(self.leaves.rule, leaves::Rule::Sum | leaves::Rule::Average) {
                    // SAFETY: as promised by the caller.
                    unsafe { V::add::<HALVES, A>(leaves, weights, sums) };
                } else {
                    for (sum, leaf) in sums.iter_mut().zip(&leaves.0).take(HALVES * BLOCK / 2) {
                        *sum = self.leaves.add(*sum, weights[usize::from(*leaf)]);
                    }
                }
            }
        }
    }
}
