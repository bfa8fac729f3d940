//! Trees walked from their roots, several at a time: for one row, and for forests too deep for [`super::blend`].
//!
//! A node is read, its column compared, and the next place is `left`, or `left + 1` where the comparison fails: siblings
//! are neighbours, and no branch of the processor depends on the data. A leaf leads back to itself: its threshold is NaN, to
//! which nothing compares, and its `left` is the place before it. So all walks that go side by side take the same number
//! of steps, and while one waits for memory the others go on. The NaN carries the number of the leaf.
//!
//! Where branches ask for sets, the column of such a branch holds a class, carried by a NaN, and its threshold is a NaN that
//! names the set; a branch that compares has a threshold that names none.

#![allow(unsafe_code)]

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::broken;
use super::classes::{self, Sets};
use super::inputs::{self, Places};
use super::leaves;
use super::number::{CARRIED_MAX, Given, Number};
use super::shape::{Asked, Next, Plain, Shape};
use crate::error::{Error, Kind, Result};
use crate::native::image::{Image, ImageWriter, Section};

/// Trees that are walked side by side for one row. Of 1, 4, 8 and 12 this was the fastest.
const TREES: usize = 12;

/// Rows that are walked side by side through one tree.
const ROWS: usize = 8;

/// Rows whose numbers are prepared together.
const PREPARED: usize = 64;

/// Bytes of nodes that all prepared rows pass through before the next trees: half of a small second-level cache.
const TREES_AT_ONCE: usize = 256 << 10;

/// After how many steps it is looked whether all walks have ended.
const STRIDE: u32 = 4;

/// A node.
pub(super) trait Step: Pod {
    type Number: Number;
    /// The greatest `left` and column.
    const GREATEST: u32;

    fn new(threshold: Self::Number, column: u32, left: u32) -> Self;
    fn threshold(&self) -> Self::Number;
    fn column(&self) -> usize;
    fn left(&self) -> usize;
}

macro_rules! step {
    ($name:ident, $number:ident, $place:ident, $what:literal) => {
        #[doc = $what]
        #[derive(Debug, Clone, Copy, Pod, Zeroable)]
        #[repr(C)]
        pub(super) struct $name {
            threshold: $number,
            column: $place,
            left: $place,
        }

        impl Step for $name {
            type Number = $number;
            const GREATEST: u32 = $place::MAX as u32;

            fn new(threshold: $number, column: u32, left: u32) -> Self {
                Self { threshold, column: column as $place, left: left as $place }
            }

            #[inline(always)]
            fn threshold(&self) -> $number {
                self.threshold
            }

            #[inline(always)]
            fn column(&self) -> usize {
                self.column as usize
            }

            #[inline(always)]
            fn left(&self) -> usize {
                self.left as usize
            }
        }
    };
}

step!(Narrow, f32, u16, "8 bytes: what fits of float32.");
step!(Single, f32, u32, "12 bytes.");
step!(Double, f64, u32, "16 bytes.");

/// Where the nodes of a tree lie.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Span {
    first: u32,
    nodes: u32,
    depth: u32,
}

/// The tables; two of the three kinds of nodes are empty.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Walk {
    pub spans: Section<Span>,
    pub narrow: Section<Narrow>,
    pub single: Section<Single>,
    pub double: Section<Double>,
    /// Steps that a row takes through all trees, in all.
    pub steps: usize,
}

/// Makes the tables.
pub(super) fn compile(
    shape: &Shape,
    places: &Places,
    classes: &classes::Places,
    double: bool,
    writer: &mut ImageWriter,
) -> Result<Walk> {
    if shape.sets.len() > CARRIED_MAX as usize {
        return Err(too_large());
    }
    // The columns of classes follow on those of numbers.
    let columns = shape.columns.len() as u32;
    let column_of = |asked: &Asked| match asked {
        Asked::AtMost(column, bound) => {
            let bound = if shape.columns[*column as usize].set.is_some() { 0.0 } else { *bound };
            (places.numbers[*column as usize], Some(bound), 0)
        }
        Asked::Outside(set) => (columns + classes.feature[*set as usize], None, *set),
    };
    let none = (Section::default(), Section::default(), Section::default());
    let (spans, nodes) = if double {
        let (spans, nodes) = lay_out::<Double>(shape, &column_of)?.ok_or_else(too_large)?;
        (spans, (none.0, none.1, writer.push(&nodes)))
    } else if let Some((spans, nodes)) = lay_out::<Narrow>(shape, &column_of)? {
        (spans, (writer.push(&nodes), none.1, none.2))
    } else {
        let (spans, nodes) = lay_out::<Single>(shape, &column_of)?.ok_or_else(too_large)?;
        (spans, (none.0, writer.push(&nodes), none.2))
    };
    let steps = spans.iter().map(|span| span.depth as usize).sum();
    Ok(Walk { spans: writer.push(&spans), narrow: nodes.0, single: nodes.1, double: nodes.2, steps })
}

fn too_large() -> Error {
    Error::new(Kind::Limit, "the model has too many nodes")
}

/// The column of what is asked, and the threshold or the set.
trait ColumnOf: Fn(&Asked) -> (u32, Option<f64>, u32) {}

impl<F: Fn(&Asked) -> (u32, Option<f64>, u32)> ColumnOf for F {}

/// The nodes of all trees, or `None` where their places do not fit.
fn lay_out<S: Step>(shape: &Shape, column_of: &impl ColumnOf) -> Result<Option<(Vec<Span>, Vec<S>)>> {
    let (mut spans, mut nodes) = (vec![], vec![]);
    for plain in &shape.trees {
        let first = nodes.len();
        if !lay_out_tree(plain, column_of, &mut nodes) {
            return Ok(None);
        }
        if nodes.len() > u32::MAX as usize || plain.leaves.len() > CARRIED_MAX as usize {
            return Err(too_large());
        }
        spans.push(Span { first: first as u32, nodes: (nodes.len() - first) as u32, depth: plain.depth.max(1) });
    }
    Ok(Some((spans, nodes)))
}

/// The two nodes after a branch are written once, however many branches lead to it, so shared branches stay shared.
fn lay_out_tree<S: Step>(plain: &Plain, column_of: &impl ColumnOf, nodes: &mut Vec<S>) -> bool {
    let first = nodes.len();
    let mut following: Vec<Option<u32>> = vec![None; plain.asks.len()];
    let mut order = vec![plain.root];
    if let Next::Leaf(_) = plain.root {
        // A leaf needs a place before it.
        nodes.push(S::new(S::Number::NAN, 0, 0));
        order.push(plain.root);
    }
    let mut at = nodes.len() - first;
    while let Some(next) = order.get(at).copied() {
        let node = match next {
            Next::Leaf(leaf) => S::new(S::Number::carrying(leaf), 0, at as u32 - 1),
            Next::Ask(ask) => {
                let place = &mut following[ask as usize];
                let ask = &plain.asks[ask as usize];
                let left = *place.get_or_insert_with(|| {
                    order.extend([ask.yes, ask.no]);
                    order.len() as u32 - 2
                });
                let (column, bound, set) = column_of(&ask.asked);
                if left.max(column) > S::GREATEST {
                    return false;
                }
                S::new(bound.map_or(S::Number::naming(set), S::Number::from_f64), column, left)
            }
        };
        if at > S::GREATEST as usize {
            return false;
        }
        nodes.push(node);
        at += 1;
    }
    true
}

impl Walk {
    /// Whether the tables of an image are what the loops rely on: every walk stays within its tree and reads existing
    /// columns, and every node at which one can end carries the number of a leaf.
    pub(super) fn check<S: Step>(
        &self,
        image: &Image,
        nodes: Section<S>,
        numbers: usize,
        sets: &Sets<'_>,
        payloads: &[leaves::Payload],
    ) -> Result<()> {
        let columns = numbers + sets.features();
        image.check(self.spans)?;
        image.check(nodes)?;
        let (spans, nodes) = (image.slice(self.spans), image.slice(nodes));
        if spans.len() != payloads.len() {
            return Err(broken("the number of trees"));
        }
        for (span, payload) in spans.iter().zip(payloads) {
            let (first, count) = (span.first as usize, span.nodes as usize);
            let tree = first.checked_add(count).and_then(|end| nodes.get(first..end));
            let Some(tree) = tree.filter(|tree| tree.len() > 1) else { return Err(broken("a tree")) };
            if span.depth as usize > tree.len() {
                return Err(broken("the depth of a tree"));
            }
            for node in tree {
                if node.left() + 1 >= count
                    || node.column() >= columns.max(1)
                    || !is_sound(node, numbers, sets, payload)
                {
                    return Err(broken("a node"));
                }
            }
        }
        Ok(())
    }

    pub(super) fn open<'i, S: Step, A: Number>(
        &self,
        image: &'i Image,
        nodes: Section<S>,
        inputs: inputs::Opened<'i, S::Number>,
        classes: classes::Opened<'i, S::Number>,
        leaves: leaves::Opened<'i, A>,
    ) -> Opened<'i, S, A> {
        Opened { spans: image.slice(self.spans), nodes: image.slice(nodes), inputs, classes, leaves }
    }
}

/// Whether a node that compares with nothing is a leaf of its tree, or asks a column of classes for a set.
fn is_sound<S: Step>(node: &S, numbers: usize, sets: &Sets<'_>, payload: &leaves::Payload) -> bool {
    let threshold = node.threshold();
    if !threshold.is_nan() {
        return true;
    }
    if threshold.names() {
        return node.column() >= numbers && (threshold.carried() as usize) < sets.starts.len();
    }
    threshold.carried() < payload.leaves
}

/// The tables, opened.
pub(super) struct Opened<'i, S: Step, A> {
    spans: &'i [Span],
    nodes: &'i [S],
    inputs: inputs::Opened<'i, S::Number>,
    classes: classes::Opened<'i, S::Number>,
    leaves: leaves::Opened<'i, A>,
}

impl<S: Step, A: Number> Opened<'_, S, A> {
    /// The sums of all rows. The tables must have passed [`Walk::check`].
    pub(super) fn sums<E: Given<S::Number>>(&self, input: &[E], numbers: &mut Vec<S::Number>, out: &mut [A]) {
        if self.classes.features.is_empty() {
            self.rows::<E, false>(input, numbers, out);
        } else {
            self.rows::<E, true>(input, numbers, out);
        }
    }

    /// The numbers and classes that branches of a row compare.
    #[inline(always)]
    fn read<E: Given<S::Number>, const SETS: bool>(&self, row: &[E], into: &mut [S::Number]) {
        let (numbers, classes) = into.split_at_mut(self.inputs.numbers.len());
        self.inputs.numbers(row, numbers);
        if SETS {
            for (class, feature) in classes.iter_mut().zip(self.classes.features) {
                *class = S::Number::carrying(self.classes.class(feature, row));
            }
        }
    }

    #[inline(always)]
    fn rows<E: Given<S::Number>, const SETS: bool>(&self, input: &[E], numbers: &mut Vec<S::Number>, out: &mut [A]) {
        let columns = (self.inputs.numbers.len() + self.classes.features.len()).max(1);
        let (width, targets) = (self.inputs.width, self.leaves.targets);
        let rows = out.len() / targets;
        numbers.clear();
        numbers.resize(columns * PREPARED.min(rows), S::Number::ZERO);
        if rows < 4 {
            for (row, sums) in out.chunks_exact_mut(targets).enumerate() {
                self.read::<E, SETS>(&input[row * width..(row + 1) * width], numbers);
                self.row::<SETS>(numbers, sums);
            }
            return;
        }
        for sums in out.chunks_exact_mut(targets) {
            sums.iter_mut().enumerate().for_each(|(target, sum)| *sum = self.leaves.start(target));
        }
        let mut from = 0;
        while from < self.spans.len() {
            let mut size = 0;
            let trees = self.spans[from..].iter().take_while(|span| {
                size += span.nodes as usize * size_of::<S>();
                size <= TREES_AT_ONCE
            });
            let to = from + trees.count().max(1);
            for (block, sums) in out.chunks_mut(targets * PREPARED).enumerate() {
                let begin = block * PREPARED * width;
                for (row, into) in (0..sums.len() / targets).zip(numbers.chunks_exact_mut(columns)) {
                    let begin = begin + row * width;
                    self.read::<E, SETS>(&input[begin..begin + width], into);
                }
                self.block::<SETS>(from..to, numbers, columns, sums);
            }
            from = to;
        }
        for sums in out.chunks_exact_mut(targets) {
            sums.iter_mut().enumerate().for_each(|(target, sum)| *sum = self.leaves.finish(target, *sum));
        }
    }

    /// The sums of one row.
    fn row<const SETS: bool>(&self, numbers: &[S::Number], sums: &mut [A]) {
        sums.iter_mut().enumerate().for_each(|(target, sum)| *sum = self.leaves.start(target));
        let mut tree = 0;
        let mut groups = self.spans.chunks_exact(TREES);
        for group in &mut groups {
            let depth = group.iter().map(|span| span.depth).max().unwrap_or(0);
            let roots: [&[S]; TREES] = std::array::from_fn(|k| self.nodes_of(&group[k]));
            // SAFETY: the nodes passed `check`, and there are as many numbers as columns.
            let ends = unsafe { walk::<S, SETS, _>(&roots, &[numbers; TREES], &self.classes.sets, depth) };
            self.add(tree, &ends, sums);
            tree += TREES;
        }
        for span in groups.remainder() {
            // SAFETY: as above.
            let ends =
                unsafe { walk::<S, SETS, _>(&[self.nodes_of(span)], &[numbers], &self.classes.sets, span.depth) };
            self.add(tree, &ends, sums);
            tree += 1;
        }
        sums.iter_mut().enumerate().for_each(|(target, sum)| *sum = self.leaves.finish(target, *sum));
    }

    #[inline(always)]
    fn nodes_of(&self, span: &Span) -> &[S] {
        &self.nodes[span.first as usize..(span.first + span.nodes) as usize]
    }

    #[inline(always)]
    fn add(&self, tree: usize, ends: &[u32], sums: &mut [A]) {
        if let Some(target) = self.leaves.lone {
            let mut sum = sums[target];
            for (of, leaf) in self.leaves.payloads[tree..tree + ends.len()].iter().zip(ends) {
                sum = sum + self.leaves.weights[(of.weights + leaf) as usize];
            }
            sums[target] = sum;
        } else {
            ends.iter().enumerate().for_each(|(k, leaf)| self.leaves.add_leaf(tree + k, *leaf, sums));
        }
    }

    /// Adds some trees to the sums of a block of rows.
    fn block<const SETS: bool>(
        &self,
        trees: std::ops::Range<usize>,
        numbers: &[S::Number],
        columns: usize,
        sums: &mut [A],
    ) {
        let targets = self.leaves.targets;
        for tree in trees {
            let span = &self.spans[tree];
            let nodes = self.nodes_of(span);
            let mut rows = sums.chunks_exact_mut(targets * ROWS);
            let mut numbers = numbers.chunks_exact(columns);
            for sums in &mut rows {
                let rows: [&[S::Number]; ROWS] = std::array::from_fn(|_| numbers.next().unwrap_or(&[]));
                // SAFETY: the nodes passed `check`; the buffer holds as many rows as are scored, of one number a column.
                let ends = unsafe { walk::<S, SETS, _>(&[nodes; ROWS], &rows, &self.classes.sets, span.depth) };
                if let Some(target) = self.leaves.lone {
                    let first = self.leaves.payloads[tree].weights;
                    for (sum, leaf) in sums.iter_mut().skip(target).step_by(targets).zip(ends) {
                        *sum = *sum + self.leaves.weights[(first + leaf) as usize];
                    }
                } else {
                    for (sums, leaf) in sums.chunks_exact_mut(targets).zip(ends) {
                        self.leaves.add_leaf(tree, leaf, sums);
                    }
                }
            }
            for (sums, numbers) in rows.into_remainder().chunks_exact_mut(targets).zip(numbers) {
                // SAFETY: as above.
                let ends = unsafe { walk::<S, SETS, _>(&[nodes], &[numbers], &self.classes.sets, span.depth) };
                self.leaves.add_leaf(tree, ends[0], sums);
            }
        }
    }
}

/// Takes `N` walks side by side; returns the leaves at which they end.
///
/// # Safety
/// Every `left + 1` of the nodes must be a place of its tree, and every column a place of its row. Branches that ask for
/// sets must ask for existing ones, and of columns of classes.
#[inline(always)]
#[allow(clippy::neg_cmp_op_on_partial_ord, reason = "what is not comparable goes to the no side")]
unsafe fn walk<S: Step, const SETS: bool, const N: usize>(
    trees: &[&[S]; N],
    rows: &[&[S::Number]; N],
    sets: &Sets<'_>,
    depth: u32,
) -> [u32; N] {
    let mut at = [0usize; N];
    let step = |at: &mut [usize; N]| {
        for k in 0..N {
            // SAFETY: 0 is a place of every tree, and the caller promises the rest.
            let (node, value) = unsafe {
                let node = trees[k].get_unchecked(at[k]);
                (node, *rows[k].get_unchecked(node.column()))
            };
            // What is missing is not less either.
            let mut no = !(value <= node.threshold());
            if SETS {
                let asks = node.threshold().is_nan() && node.threshold().names();
                let (set, class) = if asks { (node.threshold().carried(), value.carried()) } else { (0, 0) };
                // SAFETY: a set exists and begins where one can begin; a class has its bit in every set.
                let byte = unsafe {
                    let start = *sets.starts.get_unchecked(set as usize);
                    *sets.bits.get_unchecked(start as usize + class as usize / 8)
                };
                let member = byte >> (class % 8) & 1 == 1;
                no = if asks { member } else { no };
            }
            at[k] = node.left() + usize::from(no);
        }
    };
    let mut left = depth;
    while left > 2 * STRIDE {
        (0..STRIDE - 1).for_each(|_| step(&mut at));
        let before = at;
        step(&mut at);
        left -= STRIDE;
        if at == before {
            left = 0;
        }
    }
    (0..left).for_each(|_| step(&mut at));
    std::array::from_fn(|k| {
        // SAFETY: as above.
        let threshold = unsafe { trees[k].get_unchecked(at[k]) }.threshold();
        // A damaged image may end elsewhere than at a leaf.
        if threshold.is_nan() && !(SETS && threshold.names()) { threshold.carried() } else { 0 }
    })
}
