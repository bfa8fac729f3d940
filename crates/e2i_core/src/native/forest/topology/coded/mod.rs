//! One row through trees of at most 256 leaves, by its codes, several trees side by side.
//!
//! A row's codes are one byte a column (`codes`), so what a branch asks takes two bytes and the trees of a usual model fit
//! in the first-level cache. Trees of small depth are full trees: the branches of place `k` are at `2k` and `2k + 1`, and
//! a place takes no memory but for its branches. Others have places of four bytes, siblings side by side; a leaf asks
//! what always holds, and leads back to itself, so that all walks take the same number of steps.
//!
//! Where branches ask for sets, every place has one beside it, and every column a class beside its code. A branch that compares
//! codes has the set of nothing, one that asks for a set has a code that is never above: both are asked, and no branch of the
//! processor depends on which it is.

#![allow(unsafe_code)]

mod row;

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::super::codes::{COLUMNS, ColumnPlaces, SetPlaces, Sets};
use super::super::number::broken;
use super::super::shape::{Asked, Next, Plain, Shape};
use super::super::sinks::Payload;
use crate::error::Result;
use crate::native::image::{Image, ImageWriter, Section, Table};

/// Trees that are walked side by side.
const TREES: usize = 12;

/// Leaves that a byte can number.
const LEAVES: usize = 256;

/// Places of a full tree, by what its depth needs.
const SMALL: usize = 1 << 6;
const LARGE: usize = 1 << 8;

/// Full trees may have so many times the leaves that the model has.
const PADDING: usize = 4;

/// The threshold of a leaf: no code exceeds it.
const ALWAYS: u8 = 255;

/// A full tree of `SIZE` places. BranchCodes 0 is not used.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(super) struct Full<const SIZE: usize> {
    pub columns: [u8; SIZE],
    pub thresholds: [u8; SIZE],
    pub leaves: [u8; SIZE],
}

// SAFETY: bytes, without any between them.
unsafe impl<const SIZE: usize> Zeroable for Full<SIZE> {}
// SAFETY: as above.
unsafe impl<const SIZE: usize> Pod for Full<SIZE> {}

/// The sets beside the places of a full tree: where each begins.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(super) struct Beside<const SIZE: usize>([u32; SIZE]);

// SAFETY: numbers, without anything between them.
unsafe impl<const SIZE: usize> Zeroable for Beside<SIZE> {}
// SAFETY: as above.
unsafe impl<const SIZE: usize> Pod for Beside<SIZE> {}

/// A branch or a leaf: the threshold, 256 times the column (or [`ALWAYS`] and 256 times the number of the leaf), and
/// 65,536 times the place where it leads, counted from the first of its group.
type Place = u32;

/// Trees that are walked side by side; what is missing in the last group are repetitions.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Group {
    first: u32,
    places: u32,
    /// Branches on the longest way to a leaf.
    depth: u32,
    roots: [u16; TREES],
}

/// The tables in an image: either of full trees or of groups.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::native::forest) struct CodedSections {
    /// Places of a full tree; 0 for groups.
    size: usize,
    /// Branches on every way to a leaf of a full tree.
    depth: u32,
    /// Full trees.
    small: Section<Full<SMALL>>,
    large: Section<Full<LARGE>>,
    groups: Section<Group>,
    places: Section<Place>,
    /// The sets beside, where branches ask for some.
    small_sets: Section<Beside<SMALL>>,
    large_sets: Section<Beside<LARGE>>,
    sets: Section<u32>,
    /// Steps that a row takes.
    pub steps: usize,
}

/// The tables.
#[derive(Debug, Clone)]
pub(in crate::native::forest) struct Coded {
    trees: usize,
    size: usize,
    depth: u32,
    small: FullTrees<SMALL>,
    large: FullTrees<LARGE>,
    groups: Table<Group>,
    places: Table<Place>,
    sets: Table<u32>,
}

/// Full trees and the sets beside, which are there where branches ask for some.
type FullTrees<const SIZE: usize> = (Table<Full<SIZE>>, Table<Beside<SIZE>>);

/// Makes the tables, where the shape of the trees allows it.
pub(super) fn compile(branches: &BranchCodes<'_>, writer: &mut ImageWriter) -> Option<CodedSections> {
    let BranchCodes { shape, classes, columns, .. } = branches;
    if columns + classes.features.len() > COLUMNS || shape.trees.iter().any(|tree| tree.leaves.len() > LEAVES) {
        return None;
    }
    let depth = shape.trees.iter().map(|tree| tree.depth).max()?;
    let leaves: usize = shape.trees.iter().map(|tree| tree.leaves.len()).sum();
    let size = if depth <= SMALL.ilog2() { SMALL } else { LARGE };
    let mut coded = CodedSections {
        size: 0,
        depth: 0,
        small: Section::default(),
        large: Section::default(),
        groups: Section::default(),
        places: Section::default(),
        small_sets: Section::default(),
        large_sets: Section::default(),
        sets: Section::default(),
        steps: 0,
    };
    if depth <= size.ilog2() && shape.trees.len() << depth <= PADDING * leaves {
        (coded.size, coded.depth, coded.steps) = (size, depth, shape.trees.len() * depth as usize);
        if size == SMALL {
            (coded.small, coded.small_sets) = unfold_all(branches, depth, writer)?;
        } else {
            (coded.large, coded.large_sets) = unfold_all(branches, depth, writer)?;
        }
    } else {
        let (mut groups, mut laid, mut sets) = (vec![], vec![], vec![]);
        for trees in shape.trees.chunks(TREES) {
            let first = laid.len();
            let mut group = Group { first: u32::try_from(first).ok()?, places: 0, depth: 0, roots: [0; TREES] };
            for (root, plain) in group.roots.iter_mut().zip(trees) {
                *root = lay_out(plain, branches, first, &mut laid, &mut sets)?;
                group.depth = group.depth.max(plain.depth);
            }
            group.places = (laid.len() - first) as u32;
            coded.steps += group.depth as usize * TREES;
            groups.push(group);
        }
        (coded.groups, coded.places) = (writer.push(&groups), writer.push(&laid));
        if !shape.sets.is_empty() {
            coded.sets = writer.push(&sets);
        }
    }
    Some(coded)
}

/// What becomes of what branches ask.
pub(super) struct BranchCodes<'s> {
    pub shape: &'s Shape,
    pub places: &'s ColumnPlaces,
    pub classes: &'s SetPlaces,
    /// How many columns of codes there are; those of classes follow.
    pub columns: usize,
}

impl BranchCodes<'_> {
    /// Column, threshold and the beginning of the set.
    fn of(&self, asked: &Asked) -> Option<(u8, u8, u32)> {
        let (column, threshold, set) = match asked {
            Asked::AtMost(column, bound) => {
                let (column, threshold) = self.places.code(self.shape, *column, *bound)?;
                (column as usize, threshold, 0)
            }
            Asked::Outside(set) => {
                let set = *set as usize;
                (self.columns + self.classes.feature[set] as usize, ALWAYS, self.classes.start[set])
            }
        };
        Some((u8::try_from(column).ok()?, threshold, set))
    }
}

fn unfold_all<const SIZE: usize>(
    branches: &BranchCodes<'_>,
    depth: u32,
    writer: &mut ImageWriter,
) -> Option<(Section<Full<SIZE>>, Section<Beside<SIZE>>)> {
    let (mut trees, mut sets) = (vec![], vec![]);
    for plain in &branches.shape.trees {
        let (tree, beside) = unfold(plain, branches, depth)?;
        trees.push(tree);
        sets.push(beside);
    }
    let sets = if branches.shape.sets.is_empty() { Section::default() } else { writer.push(&sets) };
    Some((writer.push(&trees), sets))
}

/// Makes a full tree; a leaf above the last level is the answer of every branch below it.
pub(super) fn unfold<const SIZE: usize>(
    plain: &Plain,
    branches: &BranchCodes<'_>,
    depth: u32,
) -> Option<(Full<SIZE>, Beside<SIZE>)> {
    let mut full = Full { columns: [0; SIZE], thresholds: [ALWAYS; SIZE], leaves: [0; SIZE] };
    let mut beside = Beside([0; SIZE]);
    let last = 1usize << depth;
    let mut path = vec![(1, plain.root)];
    while let Some((place, next)) = path.pop() {
        match next {
            Next::Leaf(leaf) if place >= last => full.leaves[place - last] = u8::try_from(leaf).ok()?,
            Next::Leaf(_) => path.extend([(2 * place, next), (2 * place + 1, next)]),
            Next::Ask(ask) => {
                let ask = &plain.asks[ask as usize];
                (full.columns[place], full.thresholds[place], beside.0[place]) = branches.of(&ask.asked)?;
                path.extend([(2 * place, ask.yes), (2 * place + 1, ask.no)]);
            }
        }
    }
    Some((full, beside))
}

/// Writes a tree of a group, whose places begin with `first`. The two places after a branch are written once, however many
/// branches lead to it; it is given up where one would lead back.
fn lay_out(
    plain: &Plain,
    branches: &BranchCodes<'_>,
    first: usize,
    laid: &mut Vec<Place>,
    sets: &mut Vec<u32>,
) -> Option<u16> {
    let begin = laid.len() - first;
    let mut following: Vec<Option<usize>> = vec![None; plain.asks.len()];
    let mut order = vec![plain.root];
    let mut at = 0;
    while let Some(next) = order.get(at).copied() {
        let ((column, threshold, set), to) = match next {
            Next::Leaf(leaf) => ((u8::try_from(leaf).ok()?, ALWAYS, 0), at),
            Next::Ask(ask) => {
                let left = &mut following[ask as usize];
                let ask = &plain.asks[ask as usize];
                let left = *left.get_or_insert_with(|| {
                    order.extend([ask.yes, ask.no]);
                    order.len() - 2
                });
                if left <= at {
                    return None;
                }
                (branches.of(&ask.asked)?, left)
            }
        };
        let [low, high] = u16::try_from(begin + to).ok()?.to_le_bytes();
        laid.push(Place::from_le_bytes([threshold, column, low, high]));
        sets.push(set);
        at += 1;
    }
    u16::try_from(begin).ok()
}

impl CodedSections {
    /// The tables, if they are what the loops rely on: every walk stays within its group and ends at a leaf of its tree.
    pub(super) fn open(&self, image: &Image, columns: usize, of_sets: &Sets, payloads: &[Payload]) -> Result<Coded> {
        let coded = Coded {
            trees: payloads.len(),
            size: self.size,
            depth: self.depth,
            small: (image.table(self.small)?, image.table(self.small_sets)?),
            large: (image.table(self.large)?, image.table(self.large_sets)?),
            groups: image.table(self.groups)?,
            places: image.table(self.places)?,
            sets: image.table(self.sets)?,
        };
        let features = of_sets.features.len();
        if columns + features > COLUMNS {
            return Err(broken("the number of columns"));
        }
        if self.size != 0 {
            let sound = self.depth <= self.size.ilog2()
                && match self.size {
                    SMALL => are_full(&coded.small, of_sets, payloads),
                    LARGE => are_full(&coded.large, of_sets, payloads),
                    _ => false,
                };
            return if sound { Ok(coded) } else { Err(broken("the full form")) };
        }
        if coded.groups.len() != payloads.len().div_ceil(TREES) {
            return Err(broken("the number of trees"));
        }
        let asks = features > 0;
        if (asks && coded.sets.len() != coded.places.len()) || !coded.sets.iter().all(|set| of_sets.can_begin(*set)) {
            return Err(broken("the sets"));
        }
        for (group, payloads) in coded.groups.iter().zip(payloads.chunks(TREES)) {
            let first = group.first as usize;
            let range = first..first + group.places as usize;
            let Some(places) = coded.places.get(range.clone()).filter(|places| !places.is_empty()) else {
                return Err(broken("a group"));
            };
            let sets = if asks { coded.sets.get(range).unwrap_or(&[]) } else { &[] };
            if !is_sound(group, places, sets, payloads) {
                return Err(broken("a group"));
            }
        }
        Ok(coded)
    }
}

fn are_full<const SIZE: usize>((trees, beside): &FullTrees<SIZE>, of_sets: &Sets, payloads: &[Payload]) -> bool {
    let exist =
        |(tree, payload): (&Full<SIZE>, &Payload)| tree.leaves.iter().all(|leaf| u32::from(*leaf) < payload.leaves);
    let begin = |beside: &Beside<SIZE>| beside.0.iter().all(|set| of_sets.can_begin(*set));
    trees.len() == payloads.len()
        && (of_sets.features.is_empty() || beside.len() == trees.len())
        && beside.iter().all(begin)
        && trees.iter().zip(payloads).all(exist)
}

/// Whether all walks of a group end at leaves that their trees have. From the last place to the first, so that what
/// follows a place is known: the steps to a leaf and the greatest leaf.
fn is_sound(group: &Group, places: &[Place], sets: &[u32], payloads: &[Payload]) -> bool {
    let mut known: Vec<(u32, u32)> = vec![(0, 0); places.len()];
    for (at, place) in places.iter().enumerate().rev() {
        let to = (place >> 16) as usize;
        // What is at a leaf must stay there: nothing is above, and nothing is in the set.
        let stays = *place as u8 == ALWAYS && sets.get(at).is_none_or(|set| *set == 0);
        known[at] = if stays && to == at {
            (0, *place >> 8 & 0xff)
        } else {
            if to <= at || to + 1 >= places.len() {
                return false;
            }
            let (yes, no) = (known[to], known[to + 1]);
            (1 + yes.0.max(no.0), yes.1.max(no.1))
        };
    }
    group.roots.iter().enumerate().all(|(tree, root)| {
        let Some((depth, leaf)) = known.get(usize::from(*root)) else { return false };
        *depth <= group.depth && payloads.get(tree).is_none_or(|payload| *leaf < payload.leaves)
    }) && group.depth as usize <= places.len()
}
