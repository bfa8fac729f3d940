//! One row through trees of at most 32 leaves that mostly ask for sets.
//!
//! What a tree's branches answer to a value of one feature depends on its class (or code) alone: one word a tree, a bit a
//! branch, lies ready for each class. The words of a row's classes, put together, are the answers of all branches. A leaf is
//! where a row ends if the branches on the way to it answer as the way goes, so that its tree's leaves are compared with the
//! word side by side, and no step waits for another.
//!
//! That pays where steps are dear: a branch that asks for a set waits for a class, the place of a set and a byte of it.

#![allow(unsafe_code)]

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::super::codes::{COLUMNS, Codes, RowCodes, Source};
use super::super::number::{Number, broken};
use super::super::registers::{self, Vector, Ways, Work};
use super::super::shape::{Asked, Next, Plain};
use super::super::sinks::{Payload, RowSink, Sink};
use super::coded::BranchCodes;
use crate::error::Result;
use crate::native::image::{Image, ImageWriter, Section, Table};
use crate::native::instruction_set::InstructionSet;

/// Leaves of a tree at most: the branches before them have room in a word.
const LEAVES: usize = 32;

/// Bytes of the words of all classes at most: what stays in a second-level cache, and does not swell an image.
const MOST_BYTES: usize = 4 << 20;

/// Codes that a column has.
const CODES: usize = 256;

/// Trees whose leaves are found before what they add is added.
const TOGETHER: usize = 4;

/// The ways to the leaves of a tree.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct WaysOfTree(Ways);

/// The tables in an image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::native::forest) struct AnsweredSections {
    /// For each class of each feature, and before these each code of each column, a word a tree.
    words: Section<u32>,
    /// Where the words of a column or feature begin, counted in classes.
    firsts: Section<u32>,
    ways: Section<WaysOfTree>,
}

/// The tables.
#[derive(Debug, Clone)]
pub(in crate::native::forest) struct Answered {
    words: Table<u32>,
    firsts: Table<u32>,
    ways: Table<WaysOfTree>,
    leaves: Vec<u8>,
}

/// Makes the tables, where the shape of the trees allows it and most branches ask for sets.
pub(super) fn compile(branches: &BranchCodes<'_>, writer: &mut ImageWriter) -> Option<AnsweredSections> {
    let BranchCodes { shape, places, classes, columns } = branches;
    let asks = || shape.trees.iter().flat_map(|tree| &tree.asks);
    let of_sets = asks().filter(|ask| matches!(ask.asked, Asked::Outside(_))).count();
    if of_sets == 0 || 2 * of_sets < asks().count() || columns + classes.features.len() > COLUMNS {
        return None;
    }
    let mut firsts = vec![];
    let counts = (0..*columns).map(|_| CODES).chain(classes.features.iter().map(|feature| feature.count as usize));
    let end = counts.fold(0, |first, count| {
        firsts.push(first as u32);
        first + count
    });
    let stride = shape.trees.len();
    if end.checked_mul(4 * stride).is_none_or(|bytes| bytes > MOST_BYTES) {
        return None;
    }
    let ways: Vec<WaysOfTree> = shape.trees.iter().map(ways).collect::<Option<_>>()?;
    let mut words = vec![0u32; end * stride];
    for (number, plain) in shape.trees.iter().enumerate() {
        for (bit, ask) in plain.asks.iter().enumerate() {
            let mut no = |first: u32, class: usize| words[(first as usize + class) * stride + number] |= 1 << bit;
            match &ask.asked {
                Asked::AtMost(column, bound) => {
                    let (column, threshold) = places.code(shape, *column, *bound)?;
                    (usize::from(threshold) + 1..CODES).for_each(|code| no(firsts[column as usize], code));
                }
                Asked::Outside(set) => {
                    let feature = classes.feature[*set as usize] as usize;
                    let members = (0..classes.features[feature].count).filter(|class| classes.is_in(*set, *class));
                    members.for_each(|class| no(firsts[columns + feature], class as usize));
                }
            }
        }
    }
    Some(AnsweredSections { words: writer.push(&words), firsts: writer.push(&firsts), ways: writer.push(&ways) })
}

/// The ways to a tree's leaves, if each has one and there is room for all.
fn ways(plain: &Plain) -> Option<WaysOfTree> {
    if plain.leaves.len() > LEAVES || plain.asks.len() >= LEAVES {
        return None;
    }
    // What nobody reaches asks for the last bit, which no branch has.
    let mut ways = Ways { asked: [1 << (LEAVES - 1); LEAVES], answers: [1 << (LEAVES - 1); LEAVES] };
    let mut met = [false; LEAVES];
    let mut open = vec![(plain.root, 0u32, 0u32)];
    while let Some((next, asked, answers)) = open.pop() {
        match next {
            Next::Leaf(leaf) => {
                let leaf = leaf as usize;
                if std::mem::replace(&mut met[leaf], true) {
                    return None;
                }
                (ways.asked[leaf], ways.answers[leaf]) = (asked, answers);
            }
            Next::Ask(ask) => {
                let (bit, ask) = (1 << ask, &plain.asks[ask as usize]);
                open.extend([(ask.yes, asked | bit, answers), (ask.no, asked | bit, answers | bit)]);
            }
        }
    }
    Some(WaysOfTree(ways))
}

impl AnsweredSections {
    /// The tables, if they are what the loops rely on: there is a word for each class that a row can have.
    pub(super) fn open<T: Number>(&self, image: &Image, codes: &Codes<T>, payloads: &[Payload]) -> Result<Answered> {
        let answered = Answered {
            words: image.table(self.words)?,
            firsts: image.table(self.firsts)?,
            ways: image.table(self.ways)?,
            leaves: payloads.iter().map(|payload| payload.leaves.min(255) as u8).collect(),
        };
        let counts =
            codes.bytes().iter().map(|_| CODES).chain(codes.sets().features.iter().map(|of| of.count as usize));
        let words = |(first, count): (&u32, usize)| (*first as usize + count).saturating_mul(payloads.len());
        let fits = answered.firsts.len() == codes.bytes().len() + codes.sets().features.len()
            && answered.firsts.len() <= COLUMNS
            && answered.firsts.iter().zip(counts).all(|of| words(of) <= answered.words.len())
            && answered.ways.len() == payloads.len();
        if fits { Ok(answered) } else { Err(broken("the answers")) }
    }
}

impl Answered {
    /// Passes rows one by one. `answers` is memory that is kept. The codes must be those with which the tables were opened.
    pub(super) fn pass<T: Number>(
        &self,
        codes: &Codes<T>,
        set: InstructionSet,
        source: impl Source<T>,
        rows: std::ops::Range<usize>,
        answers: &mut Vec<u32>,
        sink: &mut impl Sink,
    ) {
        let (mut bytes, mut classes) = (RowCodes([0; COLUMNS]), [0u32; COLUMNS]);
        let columns = codes.bytes().len();
        for row in rows {
            codes.read_row(set, source.row(row), &mut bytes, &mut classes);
            for (class, code) in classes.iter_mut().zip(bytes.0).take(columns) {
                *class = code.into();
            }
            registers::run(set, PassRow { tables: self, classes: &classes, answers, sink: sink.row(row) });
        }
    }
}

struct PassRow<'a, R> {
    tables: &'a Answered,
    classes: &'a [u32; COLUMNS],
    answers: &'a mut Vec<u32>,
    sink: R,
}

impl<R: RowSink> Work for PassRow<'_, R> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Self { tables: Answered { words, firsts, ways, leaves }, classes, answers, mut sink } = self;
        let trees = ways.len();
        answers.clear();
        answers.resize(trees, 0);
        for (first, class) in firsts.iter().zip(classes) {
            let from = (first + class) as usize * trees;
            for (answers, words) in answers.iter_mut().zip(&words[from..from + trees]) {
                *answers |= *words;
            }
        }
        let mut tree = 0;
        let mut found = [0u8; TOGETHER];
        let groups = answers.chunks(TOGETHER).zip(ways.chunks(TOGETHER)).zip(leaves.chunks(TOGETHER));
        for ((answers, ways), leaves) in groups {
            for k in 0..answers.len() {
                // SAFETY: as promised by the caller.
                let leaf = unsafe { V::way(answers[k], &ways[k].0) } as u8;
                // A damaged image may lead elsewhere than to a leaf.
                found[k] = if leaf < leaves[k] { leaf } else { 0 };
            }
            // SAFETY: the leaves are of their trees.
            unsafe { sink.leaves(tree, &found[..answers.len()]) };
            tree += TOGETHER;
        }
        sink.finish();
    }
}
