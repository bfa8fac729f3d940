//! One row through trees of depth at most 6 with AVX-512 VBMI.
//!
//! The branches of a tree lie as a full tree of depth 6 in 64 bytes. One permutation of the row's codes puts the code of
//! its column beside every branch, one comparison answers all branches at once, and the way to the leaf is read off the 64
//! answers. Trees do not wait for one another; what they wait for is the addition, which keeps its order.

#![cfg_attr(target_arch = "x86_64", allow(unsafe_code))]

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::broken;
use super::inputs::{Inputs, Places};
use super::leaves;
#[cfg(target_arch = "x86_64")]
use super::number::Given;
#[cfg(target_arch = "x86_64")]
use super::ranks::{self, Codes};
use super::shape::{Ask, Asked, Next, Plain, Shape};
use crate::error::Result;
use crate::native::image::{Image, ImageWriter, Section};

/// Levels of a full tree.
const DEPTH: u32 = 6;

/// Branches and one more; leaves.
const FULL: usize = 1 << DEPTH;

/// Columns of bytes that two registers hold.
const COLUMNS: usize = 128;

/// Trees whose ways are read off together.
#[cfg(target_arch = "x86_64")]
const TOGETHER: usize = 8;

/// A tree. Branch 1 is the root; those of `k` are `2k`, where its test holds, and `2k + 1`.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Full {
    columns: [u8; FULL],
    thresholds: [u8; FULL],
    weights: [f32; FULL],
}

/// The tables.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Rowwise {
    trees: Section<Full>,
}

/// Makes the tables, where the shape of the trees allows it: one weight a leaf, added in float32.
pub(super) fn compile(
    shape: &Shape,
    places: &Places,
    columns: usize,
    weights: impl Fn(usize, u32) -> f32,
    writer: &mut ImageWriter,
) -> Option<Rowwise> {
    if columns > COLUMNS || !shape.sets.is_empty() || shape.trees.iter().any(|tree| tree.depth > DEPTH) {
        return None;
    }
    let mut trees = Vec::with_capacity(shape.trees.len());
    for (number, plain) in shape.trees.iter().enumerate() {
        trees.push(full(plain, shape, places, |leaf| weights(number, leaf))?);
    }
    Some(Rowwise { trees: writer.push(&trees) })
}

/// Unfolds a tree; a leaf above the last level is the answer of every branch below it.
fn full(plain: &Plain, shape: &Shape, places: &Places, weight: impl Fn(u32) -> f32) -> Option<Full> {
    let mut tree = Full { columns: [0; FULL], thresholds: [255; FULL], weights: [0.0; FULL] };
    let mut path = vec![(1, plain.root)];
    while let Some((place, next)) = path.pop() {
        match next {
            Next::Leaf(leaf) if place >= FULL => tree.weights[place - FULL] = weight(leaf),
            Next::Leaf(_) => path.extend([(2 * place, next), (2 * place + 1, next)]),
            Next::Ask(ask) => {
                let Ask { asked: Asked::AtMost(column, bound), yes, no } = plain.asks[ask as usize] else {
                    return None;
                };
                let (column, threshold) = places.code(shape, column, bound)?;
                tree.columns[place] = u8::try_from(column).ok()?;
                tree.thresholds[place] = threshold;
                path.extend([(2 * place, yes), (2 * place + 1, no)]);
            }
        }
    }
    Some(tree)
}

impl Rowwise {
    /// Whether the tables of an image are what the loops rely on.
    pub(super) fn check(&self, image: &Image, inputs: &Inputs, payloads: &[leaves::Payload]) -> Result<()> {
        image.check(self.trees)?;
        if self.trees.len() == payloads.len() && inputs.codes.len() <= COLUMNS {
            Ok(())
        } else {
            Err(broken("the number of trees"))
        }
    }

    #[cfg(target_arch = "x86_64")]
    pub(super) fn open<'i>(
        &self,
        image: &'i Image,
        ranks: ranks::Opened<'i, f32>,
        leaves: leaves::Opened<'i, f32>,
    ) -> Opened<'i> {
        Opened { trees: image.slice(self.trees), ranks, leaves }
    }
}

/// The tables, opened.
#[cfg(target_arch = "x86_64")]
pub(super) struct Opened<'i> {
    trees: &'i [Full],
    ranks: ranks::Opened<'i, f32>,
    leaves: leaves::Opened<'i, f32>,
}

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

#[cfg(target_arch = "x86_64")]
impl Opened<'_> {
    /// The sums of all rows.
    ///
    /// # Safety
    /// The processor must have AVX-512 with VBMI, and the tables must have passed [`Rowwise::check`].
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,popcnt,bmi1,bmi2")]
    pub(super) unsafe fn sums<E: Given<f32>>(&self, input: &[E], out: &mut [f32]) {
        let (width, targets) = (self.ranks.inputs.width, self.leaves.targets);
        let mut codes = Codes([0; ranks::COLUMNS]);
        for (row, sums) in out.chunks_exact_mut(targets).enumerate() {
            // SAFETY: as promised by the caller.
            unsafe {
                self.ranks.codes::<super::avx512::Avx512<true>, E>(&input[row * width..(row + 1) * width], &mut codes)
            };
            sums.iter_mut().enumerate().for_each(|(target, sum)| *sum = self.leaves.start(target));
            // SAFETY: as promised by the caller; the array is as long as two registers.
            let registers: [__m512i; 2] = unsafe {
                let codes = codes.0.as_ptr().cast::<__m512i>();
                [_mm512_load_si512(codes), _mm512_load_si512(codes.add(1))]
            };
            if let Some(target) = self.leaves.lone {
                let mut sum = sums[target];
                let mut groups = self.trees.chunks_exact(TOGETHER);
                for group in &mut groups {
                    let places = self.leaves(group, registers);
                    for (tree, place) in group.iter().zip(places) {
                        sum += tree.weights[place as usize % FULL];
                    }
                }
                for tree in groups.remainder() {
                    sum += tree.weights[self.leaf(tree, registers)];
                }
                sums[target] = sum;
            } else {
                let mut payloads = self.leaves.payloads.iter();
                let mut add = |weight: f32| {
                    if let Some(payload) = payloads.next() {
                        sums[self.leaves.columns[payload.targets as usize] as usize] += weight;
                    }
                };
                let mut groups = self.trees.chunks_exact(TOGETHER);
                for group in &mut groups {
                    let places = self.leaves(group, registers);
                    for (tree, place) in group.iter().zip(places) {
                        add(tree.weights[place as usize % FULL]);
                    }
                }
                for tree in groups.remainder() {
                    add(tree.weights[self.leaf(tree, registers)]);
                }
            }
            sums.iter_mut().enumerate().for_each(|(target, sum)| *sum = self.leaves.finish(target, *sum));
        }
    }

    /// The answers of all branches of a tree; 1 is no.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,popcnt,bmi1,bmi2")]
    #[inline]
    fn answers(&self, tree: &Full, codes: [__m512i; 2]) -> u64 {
        // SAFETY: the arrays are as long as a register.
        let (columns, thresholds) = unsafe {
            (_mm512_loadu_si512(tree.columns.as_ptr().cast()), _mm512_loadu_si512(tree.thresholds.as_ptr().cast()))
        };
        let beside = if self.ranks.inputs.codes.len() <= FULL {
            _mm512_permutexvar_epi8(columns, codes[0])
        } else {
            _mm512_permutex2var_epi8(codes[0], columns, codes[1])
        };
        _mm512_cmpgt_epu8_mask(beside, thresholds)
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,popcnt,bmi1,bmi2")]
    #[inline]
    fn leaf(&self, tree: &Full, codes: [__m512i; 2]) -> usize {
        let answers = self.answers(tree, codes);
        let mut place = 1u64;
        for _ in 0..DEPTH {
            place = 2 * place + (answers >> place & 1);
        }
        place as usize % FULL
    }

    /// The leaves of some trees, whose ways are read off side by side.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,popcnt,bmi1,bmi2")]
    #[inline]
    fn leaves(&self, trees: &[Full], codes: [__m512i; 2]) -> [u64; TOGETHER] {
        let mut answers = [0; TOGETHER];
        for (answers, tree) in answers.iter_mut().zip(trees) {
            *answers = self.answers(tree, codes);
        }
        let one = _mm512_set1_epi64(1);
        // SAFETY: the array is as long as a register.
        let answers = unsafe { _mm512_loadu_si512(answers.as_ptr().cast()) };
        let mut places = one;
        for _ in 0..DEPTH {
            let answer = _mm512_and_si512(_mm512_srlv_epi64(answers, places), one);
            places = _mm512_add_epi64(_mm512_add_epi64(places, places), answer);
        }
        let mut leaves = [0; TOGETHER];
        // SAFETY: as above.
        unsafe { _mm512_storeu_si512(leaves.as_mut_ptr().cast(), places) };
        leaves
    }
}
