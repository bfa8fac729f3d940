//! Many rows at a time through every branch of trees with at most 256 leaves.
//!
//! A row's place in a tree is a byte, the number of the leaf; the rows of a block lie side by side. Branches are passed
//! from the leaves up: the leaves of a branch are, row by row, those of its yes side where the row's code is at most the
//! threshold and those of its no side elsewhere. What arrives at the root are the leaves of all rows. So every branch costs
//! one comparison and one choice for as many rows as a register has bytes, whatever the depth, and nothing depends on the
//! data. Weights are then added tree by tree, in order.

#![allow(unsafe_code)]

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::super::codes::{BlockCodes, ClassBytes, ColumnPlaces, READABLE, SetPlaces, Sets};
use super::super::number::broken;
use super::super::registers::{self, BLOCK, Bytes, Register, Vector, Work};
use super::super::shape::{Ask, Asked, Next, Plain, Shape};
use super::super::sinks::{Payload, Sink};
use crate::error::Result;
use crate::native::image::{Image, ImageWriter, Section, Table};
use crate::native::instruction_set::InstructionSet;

/// Leaves of a tree that a byte can number.
const LEAVES: usize = 256;

/// Columns of bytes that a block may have: 1 MB of them.
const COLUMNS: usize = 8192;

/// Classes of a feature that 256 bytes of a set have room for.
const CLASSES: u32 = 2048;

/// A branch.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(in crate::native::forest) struct Op {
    /// The threshold, four times: four bytes are spread over a register in one step, one byte is not.
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
pub(in crate::native::forest) struct Quad {
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
pub(in crate::native::forest) struct Membership {
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
pub(in crate::native::forest) struct BranchesOfTree {
    /// Its sets, whose columns follow on those of codes.
    first_set: u32,
    sets: u32,
    first_quad: u32,
    quads: u32,
    first: u32,
    /// Branches between two leaves, which come first.
    pairs: u32,
    /// All branches that are not in quads.
    ops: u32,
    /// The slot of the root.
    root: u32,
}

/// The tables in an image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::native::forest) struct BlendSections {
    spans: Section<BranchesOfTree>,
    quads: Section<Quad>,
    ops: Section<Op>,
    sets: Section<Membership>,
    /// Columns that the sets of a tree need.
    set_columns: usize,
    /// Slots that a block needs; the first 256 hold the leaves.
    slots: usize,
}

/// The tables.
#[derive(Debug, Clone)]
pub(in crate::native::forest) struct Blend {
    spans: Table<BranchesOfTree>,
    quads: Table<Quad>,
    ops: Table<Op>,
    sets: Table<Membership>,
    /// Columns of codes, and those that the sets of a tree need.
    columns: usize,
    set_columns: usize,
    /// Features with classes.
    features: usize,
    slots: usize,
}

/// Makes the tables, where the shape of the trees allows it.
pub(super) fn compile(
    shape: &Shape,
    places: &ColumnPlaces,
    classes: &SetPlaces,
    columns: usize,
    writer: &mut ImageWriter,
) -> Option<BlendSections> {
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
        spans.push(BranchesOfTree {
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
    Some(BlendSections {
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

impl BlendSections {
    /// The tables, if they are what the loops rely on: every slot that is read was written before, for the same tree, and
    /// what arrives at a root are numbers of leaves of this tree.
    pub(super) fn open(&self, image: &Image, columns: usize, of_sets: &Sets, payloads: &[Payload]) -> Result<Blend> {
        let blend = Blend {
            spans: image.table(self.spans)?,
            quads: image.table(self.quads)?,
            ops: image.table(self.ops)?,
            sets: image.table(self.sets)?,
            columns,
            set_columns: self.set_columns,
            features: of_sets.features.len(),
            slots: self.slots,
        };
        for set in blend.sets.iter() {
            let feature = usize::from(set.feature);
            if !of_sets.can_begin(set.start)
                || of_sets.bytes(feature) != Some(set.bytes.into())
                || usize::from(set.bytes) > READABLE
            {
                return Err(broken("a set"));
            }
        }
        if self.set_columns > blend.sets.len() {
            return Err(broken("the sets"));
        }
        if blend.spans.len() != payloads.len() || self.slots < LEAVES || self.slots > usize::from(u16::MAX) + 1 {
            return Err(broken("the number of trees"));
        }
        // Which tree wrote a slot last.
        let mut written = vec![0u32; self.slots];
        for (tree, (span, payload)) in (1..).zip(blend.spans.iter().zip(payloads)) {
            let first = span.first as usize;
            let ops = first.checked_add(span.ops as usize).and_then(|end| blend.ops.get(first..end));
            let Some(ops) = ops.filter(|ops| span.pairs as usize <= ops.len()) else { return Err(broken("a tree")) };
            let readable = |slot: u32, written: &[u32]| {
                if (slot as usize) < LEAVES { slot < payload.leaves } else { written.get(slot as usize) == Some(&tree) }
            };
            let first = span.first_set as usize;
            let within = first.checked_add(span.sets as usize).is_some_and(|end| end <= blend.sets.len());
            if !within || span.sets as usize > self.set_columns {
                return Err(broken("the sets of a tree"));
            }
            let columns = columns + span.sets as usize;
            let first = span.first_quad as usize;
            let quads = first.checked_add(span.quads as usize).and_then(|end| blend.quads.get(first..end));
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
        Ok(blend)
    }
}

/// What a block is worked on in.
#[derive(Debug, Default)]
pub(super) struct BlockMemory {
    pub codes: BlockCodes,
    slots: Vec<Bytes>,
}

impl BlockMemory {
    pub(super) fn memory_bytes(&self) -> usize {
        (self.codes.bytes.capacity() + 2 * self.codes.classes.capacity() + self.slots.capacity()) * size_of::<Bytes>()
    }
}

impl Blend {
    /// Makes room for blocks.
    pub(super) fn prepare(&self, memory: &mut BlockMemory) {
        memory.codes.bytes.resize(self.columns + self.set_columns, Bytes::zeroed());
        memory.codes.classes.resize(self.features, ClassBytes::zeroed());
        memory.slots.resize(self.slots, Bytes::zeroed());
        (0..=255).zip(&mut memory.slots).for_each(|(leaf, slot)| slot.0.fill(leaf));
    }

    /// The trees for a block of rows, whose codes were read; `sets` are those with which the tables were opened.
    pub(super) fn pass(
        &self,
        set: InstructionSet,
        sets: &Sets,
        memory: &mut BlockMemory,
        rows: std::ops::Range<usize>,
        sink: &mut impl Sink,
    ) {
        registers::run(set, PassBlock { tables: self, bits: &sets.bits, memory, rows, sink });
    }
}

struct PassBlock<'a, K> {
    tables: &'a Blend,
    bits: &'a [u8],
    memory: &'a mut BlockMemory,
    rows: std::ops::Range<usize>,
    sink: &'a mut K,
}

impl<K: Sink> Work for PassBlock<'_, K> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: as promised by the caller.
        unsafe { if self.rows.len() > BLOCK / 2 { self.trees::<V, 2>() } else { self.trees::<V, 1>() } }
    }
}

impl<K: Sink> PassBlock<'_, K> {
    /// # Safety
    /// The processor must have the instructions of `V`.
    #[inline(always)]
    unsafe fn trees<V: Vector, const HALVES: usize>(self) {
        let Self { tables, bits, memory, rows, sink } = self;
        let BlockMemory { codes: BlockCodes { bytes: codes, classes }, slots } = memory;
        for (tree, span) in tables.spans.iter().enumerate() {
            let ops = &tables.ops[span.first as usize..(span.first + span.ops) as usize];
            let (pairs, rest) = ops.split_at(span.pairs as usize);
            let quads = &tables.quads[span.first_quad as usize..(span.first_quad + span.quads) as usize];
            // SAFETY: the processor has the instructions, as promised by the caller. Columns, slots and leaves exist, as
            // was made sure of when the tables were opened; a register is what bytes are aligned to, or less.
            unsafe {
                if span.sets > 0 {
                    let sets = &tables.sets[span.first_set as usize..(span.first_set + span.sets) as usize];
                    members::<V::Register, HALVES>(sets, bits, classes, &mut codes[tables.columns..]);
                }
                answer_quads::<V::Register, HALVES>(quads, codes, slots);
                answer_pairs::<V::Register, HALVES>(pairs, codes, slots);
                answer::<V::Register, HALVES>(rest, codes, slots);
                sink.block::<V, HALVES>(tree, &slots[span.root as usize], rows.clone());
            }
        }
    }
}

/// Sets as columns of bytes, one after the other.
///
/// # Safety
/// The processor must have the instructions; the sets and their features must exist.
#[inline(always)]
unsafe fn members<R: Register, const HALVES: usize>(
    sets: &[Membership],
    bits: &[u8],
    classes: &[ClassBytes],
    out: &mut [Bytes],
) {
    for (set, out) in sets.iter().zip(out) {
        // Read once: what is written could be the set, for all that the compiler knows.
        let Membership { start, feature, bytes } = *set;
        // SAFETY: as promised by the caller; 256 bytes follow wherever a set begins, and no set has more.
        unsafe {
            let classes = classes.get_unchecked(usize::from(feature));
            let table = bits.as_ptr().add(start as usize);
            for part in 0..HALVES * BLOCK / 2 / R::ROWS {
                let at = part * R::ROWS;
                let places = R::load(classes.byte.0.as_ptr().add(at));
                let bit = R::load(classes.bit.0.as_ptr().add(at));
                R::pick(table, bytes.into(), places).and(bit).store(out.0.as_mut_ptr().add(at));
            }
        }
    }
}

/// The bytes of a column or slot.
///
/// # Safety
/// It must exist.
#[inline(always)]
unsafe fn bytes(of: *const Bytes, index: u16) -> *const u8 {
    // SAFETY: as promised by the caller.
    unsafe { of.add(index.into()).cast() }
}

/// Branches with both of their sides.
///
/// # Safety
/// The processor must have the instructions; columns and slots must exist.
#[inline(always)]
unsafe fn answer_quads<R: Register, const HALVES: usize>(quads: &[Quad], codes: &[Bytes], slots: &mut [Bytes]) {
    let (codes, slots) = (codes.as_ptr(), slots.as_mut_ptr());
    for quad in quads {
        // SAFETY: as promised by the caller.
        unsafe {
            let [a, b, c, d] = quad.leaves;
            let (a, b, c, d) = (R::splat(a), R::splat(b), R::splat(c), R::splat(d));
            let [at, at_yes, at_no] = quad.thresholds;
            let (at, at_yes, at_no) = (R::splat(at), R::splat(at_yes), R::splat(at_no));
            let [upper, yes, no] = quad.columns;
            let (upper, yes, no) = (bytes(codes, upper), bytes(codes, yes), bytes(codes, no));
            let out = slots.add(quad.out.into()).cast::<u8>();
            for part in 0..HALVES * BLOCK / 2 / R::ROWS {
                let row = part * R::ROWS;
                let yes = R::choose(R::load(yes.add(row)).at_most(at_yes), a, b);
                let no = R::choose(R::load(no.add(row)).at_most(at_no), c, d);
                R::choose(R::load(upper.add(row)).at_most(at), yes, no).store(out.add(row));
            }
        }
    }
}

/// Branches between two leaves.
///
/// # Safety
/// As [`answer_quads`].
#[inline(always)]
unsafe fn answer_pairs<R: Register, const HALVES: usize>(ops: &[Op], codes: &[Bytes], slots: &mut [Bytes]) {
    let (codes, slots) = (codes.as_ptr(), slots.as_mut_ptr());
    for op in ops {
        // SAFETY: as promised by the caller.
        unsafe {
            let (threshold, yes, no) = (R::splat_four(op.threshold), R::splat(op.yes as u8), R::splat(op.no as u8));
            let (code, out) = (bytes(codes, op.column), slots.add(op.out.into()).cast::<u8>());
            for part in 0..HALVES * BLOCK / 2 / R::ROWS {
                let row = part * R::ROWS;
                R::choose(R::load(code.add(row)).at_most(threshold), yes, no).store(out.add(row));
            }
        }
    }
}

/// Branches.
///
/// # Safety
/// As [`answer_quads`].
#[inline(always)]
unsafe fn answer<R: Register, const HALVES: usize>(ops: &[Op], codes: &[Bytes], slots: &mut [Bytes]) {
    let (codes, slots) = (codes.as_ptr(), slots.as_mut_ptr());
    for op in ops {
        // SAFETY: as promised by the caller.
        unsafe {
            let threshold = R::splat_four(op.threshold);
            let (yes, no) = (bytes(slots, op.yes), bytes(slots, op.no));
            let (code, out) = (bytes(codes, op.column), slots.add(op.out.into()).cast::<u8>());
            for part in 0..HALVES * BLOCK / 2 / R::ROWS {
                let row = part * R::ROWS;
                let below = R::load(code.add(row)).at_most(threshold);
                R::choose(below, R::load(yes.add(row)), R::load(no.add(row))).store(out.add(row));
            }
        }
    }
}
