//! One row through trees of at most 256 leaves, by its codes, several trees side by side.
//!
//! A row's codes are one byte a column (`ranks`), so what a branch asks takes two bytes and the trees of a usual model fit
//! in the first-level cache. Trees of small depth are full trees: the branches of place `k` are at `2k` and `2k + 1`, and
//! a place takes no memory but for its question. Others have places of four bytes, siblings side by side; a leaf asks
//! what always holds, and leads back to itself, so that all walks take the same number of steps.

#![allow(unsafe_code)]

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::broken;
use super::inputs::Places;
use super::leaves;
use super::number::{Given, Number};
use super::ranks::{self, COLUMNS, Codes, Count};
use super::shape::{Ask, Next, Plain, Shape};
use crate::error::Result;
use crate::native::image::{Image, ImageWriter, Section};

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

/// A full tree of `SIZE` places. Question 0 is not used.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
struct Full<const SIZE: usize> {
    columns: [u8; SIZE],
    thresholds: [u8; SIZE],
    leaves: [u8; SIZE],
}

// SAFETY: bytes, without any between them.
unsafe impl<const SIZE: usize> Zeroable for Full<SIZE> {}
// SAFETY: as above.
unsafe impl<const SIZE: usize> Pod for Full<SIZE> {}

/// A branch or a leaf: the threshold, 256 times the column (or [`ALWAYS`] and 256 times the number of the leaf), and
/// 65,536 times the place where it leads, counted from the first of its group.
type Place = u32;

/// Trees that are walked side by side; what is missing in the last group are repetitions.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Group {
    first: u32,
    places: u32,
    /// Branches on the longest way to a leaf.
    depth: u32,
    roots: [u16; TREES],
}

/// The tables: either of full trees or of groups.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Coded {
    /// Places of a full tree; 0 for groups.
    size: usize,
    /// Branches on every way to a leaf of a full tree.
    depth: u32,
    /// Full trees.
    small: Section<Full<SMALL>>,
    large: Section<Full<LARGE>>,
    groups: Section<Group>,
    places: Section<Place>,
    /// Steps that a row takes.
    pub steps: usize,
}

/// Makes the tables, where the shape of the trees allows it.
pub(super) fn compile(shape: &Shape, places: &Places, columns: usize, writer: &mut ImageWriter) -> Option<Coded> {
    if columns > COLUMNS || shape.trees.iter().any(|tree| tree.leaves.len() > LEAVES) {
        return None;
    }
    let depth = shape.trees.iter().map(|tree| tree.depth).max()?;
    let leaves: usize = shape.trees.iter().map(|tree| tree.leaves.len()).sum();
    let size = if depth <= SMALL.ilog2() { SMALL } else { LARGE };
    let mut coded = Coded {
        size: 0,
        depth: 0,
        small: Section::default(),
        large: Section::default(),
        groups: Section::default(),
        places: Section::default(),
        steps: 0,
    };
    if depth <= size.ilog2() && shape.trees.len() << depth <= PADDING * leaves {
        (coded.size, coded.depth, coded.steps) = (size, depth, shape.trees.len() * depth as usize);
        if size == SMALL {
            coded.small = writer.push(&unfold_all(shape, places, depth)?);
        } else {
            coded.large = writer.push(&unfold_all(shape, places, depth)?);
        }
    } else {
        let (mut groups, mut laid) = (vec![], vec![]);
        for trees in shape.trees.chunks(TREES) {
            let first = laid.len();
            let mut group = Group { first: u32::try_from(first).ok()?, places: 0, depth: 0, roots: [0; TREES] };
            for (root, plain) in group.roots.iter_mut().zip(trees) {
                *root = lay_out(plain, shape, places, first, &mut laid)?;
                group.depth = group.depth.max(plain.depth);
            }
            group.places = (laid.len() - first) as u32;
            coded.steps += group.depth as usize * TREES;
            groups.push(group);
        }
        (coded.groups, coded.places) = (writer.push(&groups), writer.push(&laid));
    }
    Some(coded)
}

fn unfold_all<const SIZE: usize>(shape: &Shape, places: &Places, depth: u32) -> Option<Vec<Full<SIZE>>> {
    shape.trees.iter().map(|plain| unfold(plain, shape, places, depth)).collect()
}

/// Makes a full tree; a leaf above the last level is the answer of every branch below it.
fn unfold<const SIZE: usize>(plain: &Plain, shape: &Shape, places: &Places, depth: u32) -> Option<Full<SIZE>> {
    let mut full = Full { columns: [0; SIZE], thresholds: [ALWAYS; SIZE], leaves: [0; SIZE] };
    let last = 1usize << depth;
    let mut path = vec![(1, plain.root)];
    while let Some((place, next)) = path.pop() {
        match next {
            Next::Leaf(leaf) if place >= last => full.leaves[place - last] = u8::try_from(leaf).ok()?,
            Next::Leaf(_) => path.extend([(2 * place, next), (2 * place + 1, next)]),
            Next::Ask(ask) => {
                let Ask { column, bound, yes, no } = plain.asks[ask as usize];
                let (column, threshold) = places.code(shape, column, bound)?;
                full.columns[place] = u8::try_from(column).ok()?;
                full.thresholds[place] = threshold;
                path.extend([(2 * place, yes), (2 * place + 1, no)]);
            }
        }
    }
    Some(full)
}

/// Writes a tree of a group, whose places begin with `first`. The two places after a branch are written once, however many
/// branches lead to it; it is given up where one would lead back.
fn lay_out(plain: &Plain, shape: &Shape, places: &Places, first: usize, laid: &mut Vec<Place>) -> Option<u16> {
    let begin = laid.len() - first;
    let mut following: Vec<Option<usize>> = vec![None; plain.asks.len()];
    let mut order = vec![plain.root];
    let mut at = 0;
    while let Some(next) = order.get(at).copied() {
        let ((threshold, column), to) = match next {
            Next::Leaf(leaf) => ((ALWAYS, u8::try_from(leaf).ok()?), at),
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
                let (column, threshold) = places.code(shape, ask.column, ask.bound)?;
                ((threshold, u8::try_from(column).ok()?), left)
            }
        };
        let [low, high] = u16::try_from(begin + to).ok()?.to_le_bytes();
        laid.push(Place::from_le_bytes([threshold, column, low, high]));
        at += 1;
    }
    u16::try_from(begin).ok()
}

impl Coded {
    /// Whether the tables of an image are what the loops rely on: every walk stays within its group and ends at a leaf of
    /// its tree.
    pub(super) fn check(&self, image: &Image, columns: usize, payloads: &[leaves::Payload]) -> Result<()> {
        image.check(self.small)?;
        image.check(self.large)?;
        image.check(self.groups)?;
        image.check(self.places)?;
        if columns > COLUMNS {
            return Err(broken("the number of columns"));
        }
        if self.size != 0 {
            let sound = self.depth <= self.size.ilog2()
                && match self.size {
                    SMALL => leaves_exist(image.slice(self.small), payloads),
                    LARGE => leaves_exist(image.slice(self.large), payloads),
                    _ => false,
                };
            return if sound { Ok(()) } else { Err(broken("the full form")) };
        }
        let (groups, places) = (image.slice(self.groups), image.slice(self.places));
        if groups.len() != payloads.len().div_ceil(TREES) {
            return Err(broken("the number of trees"));
        }
        for (group, payloads) in groups.iter().zip(payloads.chunks(TREES)) {
            let first = group.first as usize;
            let places = first.checked_add(group.places as usize).and_then(|end| places.get(first..end));
            let Some(places) = places.filter(|places| !places.is_empty()) else { return Err(broken("a group")) };
            if !is_sound(group, places, payloads) {
                return Err(broken("a group"));
            }
        }
        Ok(())
    }

    pub(super) fn open<'i, T: Number, A: Number>(
        &self,
        image: &'i Image,
        ranks: ranks::Opened<'i, T>,
        leaves: leaves::Opened<'i, A>,
    ) -> Opened<'i, T, A> {
        Opened {
            size: self.size,
            depth: self.depth,
            small: image.slice(self.small),
            large: image.slice(self.large),
            groups: image.slice(self.groups),
            places: image.slice(self.places),
            ranks,
            leaves,
        }
    }
}

fn leaves_exist<const SIZE: usize>(trees: &[Full<SIZE>], payloads: &[leaves::Payload]) -> bool {
    let exist = |(tree, payload): (&Full<SIZE>, &leaves::Payload)| {
        tree.leaves.iter().all(|leaf| u32::from(*leaf) < payload.leaves)
    };
    trees.len() == payloads.len() && trees.iter().zip(payloads).all(exist)
}

/// Whether all walks of a group end at leaves that their trees have. From the last place to the first, so that what
/// follows a place is known: the steps to a leaf and the greatest leaf.
fn is_sound(group: &Group, places: &[Place], payloads: &[leaves::Payload]) -> bool {
    let mut known: Vec<(u32, u32)> = vec![(0, 0); places.len()];
    for (at, place) in places.iter().enumerate().rev() {
        let to = (place >> 16) as usize;
        known[at] = if *place as u8 == ALWAYS {
            if to != at {
                return false;
            }
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

/// The tables, opened.
pub(super) struct Opened<'i, T, A> {
    size: usize,
    depth: u32,
    small: &'i [Full<SMALL>],
    large: &'i [Full<LARGE>],
    groups: &'i [Group],
    places: &'i [Place],
    ranks: ranks::Opened<'i, T>,
    leaves: leaves::Opened<'i, A>,
}

impl<T: Number, A: Number> Opened<'_, T, A> {
    /// The sums of all rows.
    ///
    /// # Safety
    /// The processor must have the instructions of `C`, and the tables must have passed [`Coded::check`].
    #[inline(always)]
    pub(super) unsafe fn sums<C: Count, E: Given<T>>(&self, input: &[E], out: &mut [A]) {
        let (width, targets) = (self.ranks.inputs.width, self.leaves.targets);
        let mut codes = Codes([0; COLUMNS]);
        for (row, sums) in out.chunks_exact_mut(targets).enumerate() {
            sums.iter_mut().enumerate().for_each(|(target, sum)| *sum = self.leaves.start(target));
            // SAFETY: as promised by the caller.
            unsafe {
                self.ranks.codes::<C, E>(&input[row * width..(row + 1) * width], &mut codes);
                match self.size {
                    0 => self.groups(&codes.0, sums),
                    SMALL => self.full(self.small, &codes.0, sums),
                    _ => self.full(self.large, &codes.0, sums),
                }
            }
            sums.iter_mut().enumerate().for_each(|(target, sum)| *sum = self.leaves.finish(target, *sum));
        }
    }

    #[inline(always)]
    unsafe fn full<const SIZE: usize>(&self, trees: &[Full<SIZE>], codes: &[u8; COLUMNS], sums: &mut [A]) {
        let mut tree = 0;
        let mut groups = trees.chunks_exact(TREES);
        for group in &mut groups {
            // SAFETY: the depth fits the size.
            let found: [u8; TREES] = unsafe { walk_full(group, self.depth, codes) };
            // SAFETY: the leaves exist.
            unsafe { self.add(tree, &found, sums) };
            tree += TREES;
        }
        for rest in groups.remainder() {
            // SAFETY: as above.
            unsafe {
                let found: [u8; 1] = walk_full(std::slice::from_ref(rest), self.depth, codes);
                self.add(tree, &found, sums);
            }
            tree += 1;
        }
    }

    #[inline(always)]
    unsafe fn groups(&self, codes: &[u8; COLUMNS], sums: &mut [A]) {
        let mut tree = 0;
        for group in self.groups {
            let places = &self.places[group.first as usize..];
            // SAFETY: all walks of a group stay in it.
            let found = unsafe { walk(places, group, codes) };
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
