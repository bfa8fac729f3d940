//! One row through trees of depth at most 6 with AVX-512 VBMI.
//!
//! The branches of a tree lie as a full tree of depth 6 in 64 bytes. One permutation of the row's codes puts the code of
//! its column beside every branch, one comparison answers all branches at once, and the way to the leaf is read off the 64
//! answers. Trees do not wait for one another; what they wait for is the addition, which keeps its order.

#![cfg_attr(target_arch = "x86_64", allow(unsafe_code))]

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::super::codes::Codes;
#[cfg(target_arch = "x86_64")]
use super::super::codes::{COLUMNS, RowCodes, Source};
use super::super::number::{Number, broken};
use super::super::sinks::Payload;
#[cfg(target_arch = "x86_64")]
use super::super::sinks::{RowSink, Sink};
use super::coded::{self, BranchCodes};
use crate::error::Result;
use crate::native::image::{Image, ImageWriter, Section, Table};
#[cfg(target_arch = "x86_64")]
use crate::native::instruction_set::InstructionSet;

/// Levels of a full tree.
const DEPTH: u32 = 6;

/// Branches and one more; leaves.
const FULL: usize = 1 << DEPTH;

/// Columns of bytes that two registers hold.
const MOST: usize = 128;

/// Trees whose ways are read off together.
#[cfg(target_arch = "x86_64")]
const TOGETHER: usize = 8;

/// What a tree asks. Branch 1 is the root; those of `k` are `2k`, where its test holds, and `2k + 1`.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct SixLevels {
    columns: [u8; FULL],
    thresholds: [u8; FULL],
}

/// The tables in an image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::native::forest) struct RowwiseSections {
    trees: Section<SixLevels>,
    leaves: Section<[u8; FULL]>,
    weights: Section<[f32; FULL]>,
}

/// The tables.
#[derive(Debug, Clone)]
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
pub(in crate::native::forest) struct Rowwise {
    trees: Table<SixLevels>,
    /// The leaves below the last branches.
    leaves: Table<[u8; FULL]>,
    /// What they add, where every tree adds one float32; else empty.
    weights: Table<[f32; FULL]>,
}

/// Makes the tables, where the shape of the trees allows it. `weight` says what a leaf of a tree adds, where every tree adds
/// one float32.
pub(super) fn compile(
    branches: &BranchCodes<'_>,
    weight: Option<&dyn Fn(usize, u32) -> f32>,
    writer: &mut ImageWriter,
) -> Option<RowwiseSections> {
    let shape = branches.shape;
    if branches.columns > MOST || !shape.sets.is_empty() || shape.trees.iter().any(|tree| tree.depth > DEPTH) {
        return None;
    }
    let (mut trees, mut leaves, mut weights) = (vec![], vec![], vec![]);
    for (number, plain) in shape.trees.iter().enumerate() {
        let (full, _) = coded::unfold::<FULL>(plain, branches, DEPTH)?;
        trees.push(SixLevels { columns: full.columns, thresholds: full.thresholds });
        leaves.push(full.leaves);
        weights.extend(weight.map(|weight| full.leaves.map(|leaf| weight(number, leaf.into()))));
    }
    Some(RowwiseSections { trees: writer.push(&trees), leaves: writer.push(&leaves), weights: writer.push(&weights) })
}

impl RowwiseSections {
    /// The tables, if they are what the loops rely on. `adds_one` says whether every tree adds one float32.
    pub(super) fn open<T: Number>(
        &self,
        image: &Image,
        codes: &Codes<T>,
        payloads: &[Payload],
        adds_one: bool,
    ) -> Result<Rowwise> {
        let rowwise = Rowwise {
            trees: image.table(self.trees)?,
            leaves: image.table(self.leaves)?,
            weights: image.table(self.weights)?,
        };
        let (trees, weights) = (rowwise.trees.len(), rowwise.weights.len());
        let exist =
            |(leaves, payload): (&[u8; FULL], &Payload)| leaves.iter().all(|leaf| u32::from(*leaf) < payload.leaves);
        if trees == payloads.len()
            && rowwise.leaves.len() == trees
            && (weights == 0 || (adds_one && weights == trees))
            && codes.bytes().len() <= MOST
            && rowwise.leaves.iter().zip(payloads).all(exist)
        {
            Ok(rowwise)
        } else {
            Err(broken("the number of trees"))
        }
    }
}

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

#[cfg(target_arch = "x86_64")]
impl Rowwise {
    /// Passes rows one by one. The codes must be those with which the tables were opened.
    ///
    /// # Safety
    /// The processor must have AVX-512 with VBMI.
    pub(super) unsafe fn pass<T: Number>(
        &self,
        codes: &Codes<T>,
        set: InstructionSet,
        source: impl Source<T>,
        rows: std::ops::Range<usize>,
        sink: &mut impl Sink,
    ) {
        let mut asked = RowCodes([0; COLUMNS]);
        for row in rows {
            codes.read_row(set, source.row(row), &mut asked, &mut []);
            // SAFETY: as promised by the caller.
            unsafe {
                if codes.bytes().len() <= FULL {
                    self.row::<false, _>(&asked, sink.row(row));
                } else {
                    self.row::<true, _>(&asked, sink.row(row));
                }
            }
        }
    }

    /// The leaves of one row, whose columns are in one register or two.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,popcnt,bmi1,bmi2")]
    fn row<const TWO: bool, R: RowSink>(&self, codes: &RowCodes, mut sink: R) {
        // SAFETY: the array is longer than two registers, and aligned to one.
        let registers: [__m512i; 2] = unsafe {
            let codes = codes.0.as_ptr().cast::<__m512i>();
            [_mm512_load_si512(codes), _mm512_load_si512(codes.add(1))]
        };
        let mut tree = 0;
        let mut groups = self.trees.chunks_exact(TOGETHER);
        if R::ADDS && !self.weights.is_empty() {
            for (group, weights) in (&mut groups).zip(self.weights.chunks_exact(TOGETHER)) {
                let places = Self::ends::<TWO>(group, registers);
                let mut added = [0.0; TOGETHER];
                for k in 0..TOGETHER {
                    added[k] = weights[k][places[k] as usize % FULL];
                }
                sink.weights(tree, &added);
                tree += TOGETHER;
            }
            for asked in groups.remainder() {
                sink.weights(tree, &[self.weights[tree][Self::end::<TWO>(asked, registers)]]);
                tree += 1;
            }
        } else {
            for (group, leaves) in (&mut groups).zip(self.leaves.chunks_exact(TOGETHER)) {
                let places = Self::ends::<TWO>(group, registers);
                let mut found = [0u8; TOGETHER];
                for k in 0..TOGETHER {
                    found[k] = leaves[k][places[k] as usize % FULL];
                }
                // SAFETY: the leaves are of their trees.
                unsafe { sink.leaves(tree, &found) };
                tree += TOGETHER;
            }
            for asked in groups.remainder() {
                // SAFETY: as above.
                unsafe { sink.leaves(tree, &[self.leaves[tree][Self::end::<TWO>(asked, registers)]]) };
                tree += 1;
            }
        }
        sink.finish();
    }

    /// The answers of all branches of a tree; 1 is no.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,popcnt,bmi1,bmi2")]
    #[inline]
    fn answers<const TWO: bool>(tree: &SixLevels, codes: [__m512i; 2]) -> u64 {
        // SAFETY: the arrays are as long as a register.
        let (columns, thresholds) = unsafe {
            (_mm512_loadu_si512(tree.columns.as_ptr().cast()), _mm512_loadu_si512(tree.thresholds.as_ptr().cast()))
        };
        let beside = if TWO {
            _mm512_permutex2var_epi8(codes[0], columns, codes[1])
        } else {
            _mm512_permutexvar_epi8(columns, codes[0])
        };
        _mm512_cmpgt_epu8_mask(beside, thresholds)
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,popcnt,bmi1,bmi2")]
    #[inline]
    fn end<const TWO: bool>(tree: &SixLevels, codes: [__m512i; 2]) -> usize {
        let answers = Self::answers::<TWO>(tree, codes);
        let mut place = 1u64;
        for _ in 0..DEPTH {
            place = 2 * place + (answers >> place & 1);
        }
        place as usize % FULL
    }

    /// The ends of some trees, whose ways are read off side by side.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,popcnt,bmi1,bmi2")]
    #[inline]
    fn ends<const TWO: bool>(trees: &[SixLevels], codes: [__m512i; 2]) -> [u64; TOGETHER] {
        let mut answers = [0; TOGETHER];
        for (answers, tree) in answers.iter_mut().zip(trees) {
            *answers = Self::answers::<TWO>(tree, codes);
        }
        let one = _mm512_set1_epi64(1);
        // SAFETY: the array is as long as a register.
        let answers = unsafe { _mm512_loadu_si512(answers.as_ptr().cast()) };
        let mut places = one;
        for _ in 0..DEPTH {
            let answer = _mm512_and_si512(_mm512_srlv_epi64(answers, places), one);
            places = _mm512_add_epi64(_mm512_add_epi64(places, places), answer);
        }
        let mut ends = [0; TOGETHER];
        // SAFETY: as above.
        unsafe { _mm512_storeu_si512(ends.as_mut_ptr().cast(), places) };
        ends
    }
}
