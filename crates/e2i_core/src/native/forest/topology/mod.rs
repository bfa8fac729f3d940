//! Trees as tables, once for each kernel that can take them, and the choice between the kernels.
//!
//! `walk` takes all trees; `blend` those of up to 256 leaves, for many rows; `coded` those of few columns, for one row;
//! `rowwise` trees of depth 6 without sets, and `answered` those of up to 32 leaves that ask for many, for one row. All hand the leaves that they find to a sink; which kernel ran
//! cannot be told from what arrives there.
//!
//! What does not belong here: what a branch compares (`codes`), and what a leaf is for (`sinks`).

mod answered;
mod blend;
mod coded;
mod rowwise;
mod walk;

use serde::{Deserialize, Serialize};

pub(super) use self::walk::{Double, Narrow, Passed, Single, WalkNode, WalkNodes};
use super::codes::{CodeSections, Codes, ColumnPlaces, SetPlaces, Source};
use super::registers::BLOCK;
use super::shape::{Asked, Shape};
use super::sinks::{Payload, Sink};
use crate::error::Result;
use crate::native::image::{Image, ImageWriter};
use crate::native::instruction_set::{InstructionLevel, InstructionSet};

/// The tables in an image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct TopologySections {
    walk: walk::WalkSections,
    pub blend: Option<blend::BlendSections>,
    pub coded: Option<coded::CodedSections>,
    pub rowwise: Option<rowwise::RowwiseSections>,
    pub answered: Option<answered::AnsweredSections>,
    /// Branches of all trees, and how many of them ask for sets.
    branches: usize,
    memberships: usize,
}

/// The tables.
#[derive(Debug, Clone)]
pub(super) struct Topology<S: WalkNode> {
    codes: Codes<S::Number>,
    walk: walk::Walk<S>,
    blend: Option<blend::Blend>,
    coded: Option<coded::Coded>,
    rowwise: Option<rowwise::Rowwise>,
    answered: Option<answered::Answered>,
}

/// Memory that kernels need, kept between calls.
#[derive(Debug, Default)]
pub(super) struct KernelMemory<T> {
    block: blend::BlockMemory,
    numbers: Vec<T>,
    answers: Vec<u32>,
}

impl<T> KernelMemory<T> {
    pub(super) fn memory_bytes(&self) -> usize {
        self.block.memory_bytes()
            + self.numbers.capacity() * size_of::<T>()
            + self.answers.capacity() * size_of::<u32>()
    }
}

/// Makes the tables. `weight` says what a leaf of a tree adds, where every tree adds one float32.
pub(super) fn compile(
    shape: &Shape,
    places: &ColumnPlaces,
    classes: &SetPlaces,
    (columns, double): (usize, bool),
    weight: Option<&dyn Fn(usize, u32) -> f32>,
    writer: &mut ImageWriter,
) -> Result<TopologySections> {
    let asks = || shape.trees.iter().flat_map(|tree| &tree.asks);
    let branches = coded::BranchCodes { shape, places, classes, columns };
    Ok(TopologySections {
        walk: walk::compile(shape, places, classes, double, writer)?,
        blend: blend::compile(shape, places, classes, columns, writer),
        coded: coded::compile(&branches, writer),
        rowwise: rowwise::compile(&branches, weight, writer),
        answered: answered::compile(&branches, writer),
        branches: asks().count(),
        memberships: asks().filter(|ask| matches!(ask.asked, Asked::Outside(_))).count(),
    })
}

impl TopologySections {
    /// Branches on the longest ways of a row through all trees.
    pub(super) fn steps(&self) -> usize {
        self.walk.steps
    }

    /// Branches of all trees.
    pub(super) fn branches(&self) -> usize {
        self.branches
    }

    /// Of which kind the nodes are that `walk` passes.
    pub(super) fn nodes(&self) -> WalkNodes {
        self.walk.nodes
    }

    /// The tables, if they are what the kernels rely on. `adds_one` says whether every tree adds one float32.
    pub(super) fn open<S: WalkNode>(
        &self,
        image: &Image,
        codes: Codes<S::Number>,
        payloads: &[Payload],
        adds_one: bool,
    ) -> Result<Topology<S>> {
        let columns = codes.bytes().len();
        let (blend, coded, rowwise, answered) = (&self.blend, &self.coded, &self.rowwise, &self.answered);
        Ok(Topology {
            walk: self.walk.open(image, &codes, payloads)?,
            blend: blend.as_ref().map(|blend| blend.open(image, columns, codes.sets(), payloads)).transpose()?,
            coded: coded.as_ref().map(|coded| coded.open(image, columns, codes.sets(), payloads)).transpose()?,
            rowwise: rowwise.as_ref().map(|rowwise| rowwise.open(image, &codes, payloads, adds_one)).transpose()?,
            answered: answered.as_ref().map(|answered| answered.open(image, &codes, payloads)).transpose()?,
            codes,
        })
    }

    /// The kernel that scores so many rows, or most of them.
    pub(super) fn kernel(&self, codes: &CodeSections, trees: usize, set: InstructionSet, rows: usize) -> &'static str {
        match self.blended(codes, trees, set, rows) {
            0 if self.is_rowwise(set) => "tree at once (AVX-512 VBMI)",
            0 if self.answered.is_some() => "all answers at once",
            0 if self.coded.is_some() => "coded walk",
            0 => "interleaved walk",
            _ => match set.level() {
                InstructionLevel::Portable => "blend",
                InstructionLevel::Avx2 => "blend (AVX2)",
                InstructionLevel::Avx512 | InstructionLevel::Avx512Vbmi => "blend (AVX-512)",
            },
        }
    }

    pub(super) fn is_rowwise(&self, set: InstructionSet) -> bool {
        self.rowwise.is_some() && set.level() == InstructionLevel::Avx512Vbmi
    }

    /// How many of `rows` rows are best passed in blocks; the others one by one.
    ///
    /// A block costs the same whatever number of rows are in it. The costs are those of a branch of a block and of a step
    /// of a row, in tenths of a nanosecond as measured on a Zen 4 (2 cores at 3.7 GHz); only their ratios matter.
    pub(super) fn blended(&self, codes: &CodeSections, trees: usize, set: InstructionSet, rows: usize) -> usize {
        if self.blend.is_none() {
            return 0;
        }
        // Of a set beside, what its column costs.
        let (branch, membership) = match set.level() {
            InstructionLevel::Portable => (120, 1500),
            InstructionLevel::Avx2 => (30, 120),
            InstructionLevel::Avx512 => (15, 80),
            InstructionLevel::Avx512Vbmi => (15, 40),
        };
        let (bytes, numbers, classes) = codes.counts();
        let half = BLOCK / 2;
        let block = |rows: usize| {
            let halves = rows.div_ceil(half).min(2);
            let branches = self.branches * branch + self.memberships * membership;
            halves * (branches / 2 + trees * 300) + (bytes + classes) * 1500
        };
        let step = if self.memberships > 0 { 15 } else { 10 };
        let one = match self.answered {
            _ if self.is_rowwise(set) => trees * 30,
            Some(_) => trees * if set.level() == InstructionLevel::Portable { 90 } else { 45 },
            None => self.walk.steps * step + trees * 10,
        };
        let read = numbers * 10 + classes * 200;
        let pays = |rows: usize| rows > 0 && block(rows) < rows * (one + read);
        let rest = rows % BLOCK;
        if pays(rest) && (rows < BLOCK || pays(BLOCK)) {
            rows
        } else if pays(BLOCK) {
            rows - rest
        } else {
            0
        }
    }
}

impl<S: WalkNode> Topology<S> {
    /// Leaves out kernels.
    #[cfg(test)]
    pub(super) fn keep(&mut self, rowwise: bool, answered: bool, coded: bool) {
        self.answered = self.answered.take().filter(|_| answered);
        self.rowwise = self.rowwise.take().filter(|_| rowwise);
        self.coded = self.coded.take().filter(|_| coded);
    }

    /// What branches compare.
    pub(super) fn codes(&self) -> &Codes<S::Number> {
        &self.codes
    }

    /// The nodes of a tree, the root first.
    pub(super) fn nodes_read_back(&self, tree: usize) -> Vec<Passed> {
        self.walk.nodes_read_back(tree)
    }

    /// Passes rows through all trees, `blended` of them in blocks.
    pub(super) fn pass(
        &self,
        set: InstructionSet,
        source: impl Source<S::Number>,
        (rows, blended): (usize, usize),
        memory: &mut KernelMemory<S::Number>,
        sink: &mut impl Sink,
    ) {
        let codes = &self.codes;
        let mut first = 0;
        if let Some(blend) = self.blend.as_ref().filter(|_| blended > 0) {
            blend.prepare(&mut memory.block);
            while first < blended {
                let block = first..blended.min(first + BLOCK);
                codes.read_block(set, source, block.clone(), &mut memory.block.codes);
                sink.begin_block();
                blend.pass(set, codes.sets(), &mut memory.block, block.clone(), sink);
                sink.end_block(block.clone());
                first = block.end;
            }
        }
        if first == rows {
            return;
        }
        #[cfg(target_arch = "x86_64")]
        if let Some(rowwise) = self.rowwise.as_ref().filter(|_| set.level() == InstructionLevel::Avx512Vbmi) {
            #[allow(unsafe_code)]
            // SAFETY: only detection makes a set.
            unsafe {
                rowwise.pass(codes, set, source, first..rows, sink);
            }
            return;
        }
        if let Some(answered) = &self.answered {
            answered.pass(codes, set, source, first..rows, &mut memory.answers, sink);
            return;
        }
        match &self.coded {
            Some(coded) => coded.pass(codes, set, source, first..rows, sink),
            None => self.walk.pass(codes, source, first..rows, &mut memory.numbers, sink),
        }
    }
}
