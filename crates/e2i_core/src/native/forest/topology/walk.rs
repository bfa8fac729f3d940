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

use super::super::codes::{Codes, ColumnPlaces, SetPlaces, Sets, Source};
use super::super::number::{CARRIED_MAX, Number, broken};
use super::super::shape::{Asked, Next, Plain, Shape};
use super::super::sinks::{Payload, RowSink, Sink};
use crate::error::{Error, Kind, Result};
use crate::native::image::{Image, ImageWriter, Section, Table};

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
pub(in crate::native::forest) trait WalkNode: Pod + Sync {
    type Number: Number;
    /// The greatest `left` and column.
    const GREATEST: u32;

    fn new(threshold: Self::Number, column: u32, left: u32) -> Self;
    fn threshold(&self) -> Self::Number;
    fn column(&self) -> usize;
    fn left(&self) -> usize;
    /// The nodes of a forest, which must be of this kind.
    fn table(image: &Image, nodes: WalkNodes) -> Result<Table<Self>>;
}

/// The nodes of all trees, of one of the kinds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::native::forest) enum WalkNodes {
    Narrow(Section<Narrow>),
    Single(Section<Single>),
    Double(Section<Double>),
}

macro_rules! step {
    ($name:ident, $number:ident, $place:ident, $what:literal) => {
        #[doc = $what]
        #[derive(Debug, Clone, Copy, Pod, Zeroable)]
        #[repr(C)]
        pub(in crate::native::forest) struct $name {
            threshold: $number,
            column: $place,
            left: $place,
        }

        impl WalkNode for $name {
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

            fn table(image: &Image, nodes: WalkNodes) -> Result<Table<Self>> {
                match nodes {
                    WalkNodes::$name(section) => image.table(section),
                    _ => Err(broken("the type")),
                }
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
pub(in crate::native::forest) struct NodesOfTree {
    first: u32,
    nodes: u32,
    depth: u32,
}

/// The tables in an image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::native::forest) struct WalkSections {
    spans: Section<NodesOfTree>,
    pub nodes: WalkNodes,
    /// Steps that a row takes through all trees, in all.
    pub steps: usize,
}

/// The tables.
#[derive(Debug, Clone)]
pub(in crate::native::forest) struct Walk<S: WalkNode> {
    spans: Table<NodesOfTree>,
    nodes: Table<S>,
}

/// Makes the tables.
pub(super) fn compile(
    shape: &Shape,
    places: &ColumnPlaces,
    classes: &SetPlaces,
    double: bool,
    writer: &mut ImageWriter,
) -> Result<WalkSections> {
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
    let (spans, nodes) = if double {
        let (spans, nodes) = lay_out::<Double>(shape, &column_of)?.ok_or_else(too_large)?;
        (spans, WalkNodes::Double(writer.push(&nodes)))
    } else if let Some((spans, nodes)) = lay_out::<Narrow>(shape, &column_of)? {
        (spans, WalkNodes::Narrow(writer.push(&nodes)))
    } else {
        let (spans, nodes) = lay_out::<Single>(shape, &column_of)?.ok_or_else(too_large)?;
        (spans, WalkNodes::Single(writer.push(&nodes)))
    };
    let steps = spans.iter().map(|span| span.depth as usize).sum();
    Ok(WalkSections { spans: writer.push(&spans), nodes, steps })
}

fn too_large() -> Error {
    Error::new(Kind::Limit, "the model has too many nodes")
}

/// The column of what is asked, and the threshold or the set.
trait ColumnOf: Fn(&Asked) -> (u32, Option<f64>, u32) {}

impl<F: Fn(&Asked) -> (u32, Option<f64>, u32)> ColumnOf for F {}

/// The nodes of all trees, or `None` where their places do not fit.
fn lay_out<S: WalkNode>(shape: &Shape, column_of: &impl ColumnOf) -> Result<Option<(Vec<NodesOfTree>, Vec<S>)>> {
    let (mut spans, mut nodes) = (vec![], vec![]);
    for plain in &shape.trees {
        let first = nodes.len();
        if !lay_out_tree(plain, column_of, &mut nodes) {
            return Ok(None);
        }
        if nodes.len() > u32::MAX as usize || plain.leaves.len() > CARRIED_MAX as usize {
            return Err(too_large());
        }
        spans.push(NodesOfTree { first: first as u32, nodes: (nodes.len() - first) as u32, depth: plain.depth.max(1) });
    }
    Ok(Some((spans, nodes)))
}

/// The two nodes after a branch are written once, however many branches lead to it, so shared branches stay shared.
fn lay_out_tree<S: WalkNode>(plain: &Plain, column_of: &impl ColumnOf, nodes: &mut Vec<S>) -> bool {
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

impl WalkSections {
    /// The tables, if they are what the loops rely on: every walk stays within its tree and reads existing columns, and
    /// every node at which one can end carries the number of a leaf.
    pub(super) fn open<S: WalkNode>(
        &self,
        image: &Image,
        codes: &Codes<S::Number>,
        payloads: &[Payload],
    ) -> Result<Walk<S>> {
        let walk = Walk { spans: image.table(self.spans)?, nodes: S::table(image, self.nodes)? };
        let columns = codes.numbers();
        if walk.spans.len() != payloads.len() {
            return Err(broken("the number of trees"));
        }
        for (span, payload) in walk.spans.iter().zip(payloads) {
            let (first, count) = (span.first as usize, span.nodes as usize);
            let tree = first.checked_add(count).and_then(|end| walk.nodes.get(first..end));
            let Some(tree) = tree.filter(|tree| tree.len() > 1) else { return Err(broken("a tree")) };
            if span.depth as usize > tree.len() {
                return Err(broken("the depth of a tree"));
            }
            for node in tree {
                if node.left() + 1 >= count
                    || node.column() >= columns.max(1)
                    || !is_sound(node, codes.plain_numbers(), codes.sets(), payload)
                {
                    return Err(broken("a node"));
                }
            }
        }
        Ok(walk)
    }
}

/// Whether a node that compares with nothing is a leaf of its tree, or asks a column of classes for a set.
fn is_sound<S: WalkNode>(node: &S, numbers: usize, sets: &Sets, payload: &Payload) -> bool {
    let threshold = node.threshold();
    if !threshold.is_nan() {
        return true;
    }
    if threshold.names() {
        return node.column() >= numbers && (threshold.carried() as usize) < sets.starts.len();
    }
    threshold.carried() < payload.leaves
}

/// A node as it can be read back.
pub(in crate::native::forest) enum Passed {
    /// The leaf of this number.
    Leaf(u32),
    /// Whether the number of a column is at most a threshold; where it is, `left` follows, else the one after.
    AtMost { column: usize, threshold: f64, left: u32 },
    /// Whether the class of a column, the classes counted, is outside of a set; what follows likewise.
    Outside { column: usize, set: u32, left: u32 },
}

impl<S: WalkNode> Walk<S> {
    /// The nodes of a tree, the root first, with columns counted as [`Codes::read_numbers`] writes them.
    pub(super) fn nodes_read_back(&self, tree: usize) -> Vec<Passed> {
        let read = |node: &S| {
            let (threshold, left) = (node.threshold(), node.left() as u32);
            match (threshold.is_nan(), threshold.names()) {
                (false, _) => Passed::AtMost { column: node.column(), threshold: threshold.to_f64(), left },
                (true, true) => Passed::Outside { column: node.column(), set: threshold.carried(), left },
                (true, false) => Passed::Leaf(threshold.carried()),
            }
        };
        let nodes = self.nodes_of(&self.spans[tree]);
        match nodes {
            // The place before a root that is a leaf.
            [first, root, ..] if matches!(read(first), Passed::Leaf(_)) => vec![read(root)],
            _ => nodes.iter().map(read).collect(),
        }
    }

    /// Walks rows. `numbers` is memory that is kept. The codes must be those with which the tables were opened.
    pub(super) fn pass(
        &self,
        codes: &Codes<S::Number>,
        source: impl Source<S::Number>,
        rows: std::ops::Range<usize>,
        numbers: &mut Vec<S::Number>,
        sink: &mut impl Sink,
    ) {
        if codes.sets().features.is_empty() {
            self.rows::<false>(codes, source, rows, numbers, sink);
        } else {
            self.rows::<true>(codes, source, rows, numbers, sink);
        }
    }

    fn rows<const SETS: bool>(
        &self,
        codes: &Codes<S::Number>,
        source: impl Source<S::Number>,
        rows: std::ops::Range<usize>,
        numbers: &mut Vec<S::Number>,
        sink: &mut impl Sink,
    ) {
        let columns = codes.numbers().max(1);
        numbers.clear();
        numbers.resize(columns * PREPARED.min(rows.len()), S::Number::ZERO);
        if rows.len() < 4 {
            for row in rows {
                codes.read_numbers::<SETS>(source.row(row), numbers);
                self.row::<SETS>(codes.sets(), numbers, sink.row(row));
            }
            return;
        }
        sink.begin(rows.clone());
        let mut from = 0;
        while from < self.spans.len() {
            let mut size = 0;
            let trees = self.spans[from..].iter().take_while(|span| {
                size += span.nodes as usize * size_of::<S>();
                size <= TREES_AT_ONCE
            });
            let to = from + trees.count().max(1);
            for first in rows.clone().step_by(PREPARED) {
                let prepared = first..rows.end.min(first + PREPARED);
                for (row, into) in prepared.clone().zip(numbers.chunks_exact_mut(columns)) {
                    codes.read_numbers::<SETS>(source.row(row), into);
                }
                self.block::<SETS>(codes.sets(), from..to, &numbers[..columns * prepared.len()], columns, first, sink);
            }
            from = to;
        }
        sink.end(rows);
    }

    /// The leaves of one row.
    fn row<const SETS: bool>(&self, sets: &Sets, numbers: &[S::Number], mut sink: impl RowSink) {
        let mut tree = 0;
        let mut groups = self.spans.chunks_exact(TREES);
        for group in &mut groups {
            let depth = group.iter().map(|span| span.depth).max().unwrap_or(0);
            let roots: [&[S]; TREES] = std::array::from_fn(|k| self.nodes_of(&group[k]));
            // SAFETY: the nodes were looked at, and there are as many numbers as columns.
            unsafe { sink.leaves(tree, &walk::<S, SETS, _>(&roots, &[numbers; TREES], sets, depth)) };
            tree += TREES;
        }
        for span in groups.remainder() {
            // SAFETY: as above.
            unsafe { sink.leaves(tree, &walk::<S, SETS, _>(&[self.nodes_of(span)], &[numbers], sets, span.depth)) };
            tree += 1;
        }
        sink.finish();
    }

    #[inline(always)]
    fn nodes_of(&self, span: &NodesOfTree) -> &[S] {
        &self.nodes[span.first as usize..(span.first + span.nodes) as usize]
    }

    /// Some trees for rows from `first` on, whose numbers are given.
    fn block<const SETS: bool>(
        &self,
        sets: &Sets,
        trees: std::ops::Range<usize>,
        numbers: &[S::Number],
        columns: usize,
        first: usize,
        sink: &mut impl Sink,
    ) {
        for tree in trees {
            let span = &self.spans[tree];
            let nodes = self.nodes_of(span);
            let mut row = first;
            let mut groups = numbers.chunks_exact(columns * ROWS);
            for group in &mut groups {
                let rows: [&[S::Number]; ROWS] = std::array::from_fn(|k| &group[k * columns..(k + 1) * columns]);
                // SAFETY: the nodes were looked at, and every row has a number for each column.
                unsafe { sink.rows(tree, row, &walk::<S, SETS, _>(&[nodes; ROWS], &rows, sets, span.depth)) };
                row += ROWS;
            }
            for numbers in groups.remainder().chunks_exact(columns) {
                // SAFETY: as above.
                unsafe { sink.rows(tree, row, &walk::<S, SETS, _>(&[nodes], &[numbers], sets, span.depth)) };
                row += 1;
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
unsafe fn walk<S: WalkNode, const SETS: bool, const N: usize>(
    trees: &[&[S]; N],
    rows: &[&[S::Number]; N],
    sets: &Sets,
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
