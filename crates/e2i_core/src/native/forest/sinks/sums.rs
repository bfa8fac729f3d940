//! What leaves add, and how the trees' answers become one: the sink of scores.
//!
//! Every tree has a list of targets that its leaves add to, in order, and for each of them a table of one weight a leaf. A
//! leaf that adds less than the others of its tree has weights there that change nothing: -0.0 in a sum (`x + -0.0` is `x`
//! for every x), a marked NaN for least and greatest.

#![allow(unsafe_code)]

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::super::number::{Number, Numbers, broken};
use super::super::registers::{BLOCK, Bytes, Vector};
use super::super::shape::Shape;
use super::{RowSink, Sink};
use crate::error::{Error, Kind, Result};
use crate::native::ensemble::{Aggregate, Ensemble, Node, Weight};
use crate::native::image::{Image, ImageWriter, Section, Table};

/// Tables may be this much larger than the weights that are in them.
const PADDING: usize = 16;

/// The tables of one tree.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(in crate::native::forest) struct Payload {
    /// Where its weights begin: for each target those of all leaves.
    pub weights: u32,
    /// Number of leaves.
    pub leaves: u32,
    /// Where its targets begin.
    pub targets: u32,
    /// Number of targets.
    pub count: u32,
}

/// How answers become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::native::forest) enum Rule {
    Sum,
    Average,
    Least,
    Greatest,
}

/// The tables in an image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::native::forest) struct LeafSections {
    pub targets: usize,
    rule: Rule,
    base_first: bool,
    /// The target to which every tree adds one weight, if it is the same for all.
    lone: Option<usize>,
    /// Whether every tree adds one weight, to a target of its own choice.
    one_each: bool,
    pub payloads: Section<Payload>,
    columns: Section<u32>,
    weights: Numbers,
    /// The base, in the order of the targets; empty for none. Of the type of the weights, widened.
    base: Section<f64>,
}

/// The tables.
#[derive(Debug, Clone)]
pub(in crate::native::forest) struct Leaves<A> {
    pub targets: usize,
    rule: Rule,
    base_first: bool,
    lone: Option<usize>,
    pub one_each: bool,
    pub payloads: Table<Payload>,
    columns: Table<u32>,
    weights: Table<A>,
    base: Table<f64>,
}

/// Makes the tables; the weights come beside, those of each tree from where its payload says.
pub(in crate::native::forest) fn compile<A: Number>(
    ensemble: &Ensemble,
    shape: &Shape,
    writer: &mut ImageWriter,
) -> Result<(LeafSections, Vec<Payload>, Vec<A>)> {
    let rule = match ensemble.aggregate {
        Aggregate::Sum => Rule::Sum,
        Aggregate::Average => Rule::Average,
        Aggregate::Min => Rule::Least,
        Aggregate::Max => Rule::Greatest,
    };
    let nothing = if matches!(rule, Rule::Sum | Rule::Average) { A::from_f64(-0.0) } else { A::NONE };
    let (mut payloads, mut columns, mut weights, mut given) = (vec![], vec![], vec![], 0);
    for (tree, plain) in ensemble.trees.iter().zip(&shape.trees) {
        let leaves: Vec<&[Weight]> = plain
            .leaves
            .iter()
            .map(|leaf| match &tree.nodes[*leaf as usize] {
                Node::Leaf(weights) => weights.as_slice(),
                Node::Branch(_) => &[],
            })
            .collect();
        let targets = targets_of(&leaves);
        given += leaves.iter().map(|weights| weights.len()).sum::<usize>();
        let (begin, size) = (weights.len(), targets.len().saturating_mul(leaves.len()));
        if begin.saturating_add(size) > (given + 4096).saturating_mul(PADDING) || begin + size > u32::MAX as usize {
            return Err(Error::new(Kind::Unsupported, "the leaves of a tree add to very different targets"));
        }
        payloads.push(Payload {
            weights: begin as u32,
            leaves: leaves.len() as u32,
            targets: columns.len() as u32,
            count: targets.len() as u32,
        });
        weights.resize(begin + size, nothing);
        let mut places = TargetPlaces::new(&targets);
        for (leaf, list) in leaves.iter().enumerate() {
            places.restart();
            for weight in *list {
                if let Some(place) = places.next(weight.target) {
                    weights[begin + place * leaves.len() + leaf] = exactly(weight.value)?;
                }
            }
        }
        columns.extend(targets);
    }
    for base in &ensemble.base {
        exactly::<A>(*base)?;
    }
    let summed = matches!(rule, Rule::Sum | Rule::Average);
    let one_each = summed && payloads.iter().all(|payload: &Payload| payload.count == 1);
    let sections = LeafSections {
        targets: ensemble.targets,
        rule,
        base_first: ensemble.base_first,
        lone: columns
            .first()
            .filter(|first| one_each && columns.iter().all(|other| other == *first))
            .map(|t| *t as usize),
        one_each,
        payloads: writer.push(&payloads),
        columns: writer.push(&columns),
        weights: A::write(writer, &weights),
        base: writer.push(&ensemble.base),
    };
    Ok((sections, payloads, weights))
}

/// The targets that leaves add to, each as often as the leaf that adds to it most.
fn targets_of(leaves: &[&[Weight]]) -> Vec<u32> {
    if let Some(first) = leaves.first()
        && leaves.iter().all(|leaf| leaf.iter().map(|w| w.target).eq(first.iter().map(|w| w.target)))
    {
        return first.iter().map(|weight| weight.target).collect();
    }
    let mut most: std::collections::BTreeMap<u32, usize> = std::collections::BTreeMap::new();
    for leaf in leaves {
        let mut times = std::collections::BTreeMap::new();
        for weight in *leaf {
            *times.entry(weight.target).or_insert(0) += 1;
        }
        for (target, times) in times {
            let most = most.entry(target).or_insert(0);
            *most = times.max(*most);
        }
    }
    most.into_iter().flat_map(|(target, times)| std::iter::repeat_n(target, times)).collect()
}

/// Gives the weights of a leaf their places in a list of targets.
struct TargetPlaces {
    places: std::collections::HashMap<u32, (Vec<usize>, usize)>,
}

impl TargetPlaces {
    fn new(targets: &[u32]) -> Self {
        let mut places: std::collections::HashMap<u32, (Vec<usize>, usize)> = std::collections::HashMap::new();
        for (place, target) in targets.iter().enumerate() {
            places.entry(*target).or_default().0.push(place);
        }
        Self { places }
    }

    fn restart(&mut self) {
        self.places.values_mut().for_each(|places| places.1 = 0);
    }

    fn next(&mut self, target: u32) -> Option<usize> {
        let (places, used) = self.places.get_mut(&target)?;
        *used += 1;
        places.get(*used - 1).copied()
    }
}

/// A weight in its own type; the tables hold no number that differs from the model's.
fn exactly<A: Number>(value: f64) -> Result<A> {
    let weight = A::from_f64(value);
    if weight.is_nan() {
        return Ok(if weight.is_none() { A::NAN } else { weight });
    }
    if weight.to_f64() == value {
        Ok(weight)
    } else {
        Err(Error::new(Kind::BadModel, format!("the trees of the model are broken: {value} is no float32")))
    }
}

impl LeafSections {
    /// Whether every tree adds one weight.
    pub(in crate::native::forest) fn one_each(&self) -> bool {
        self.one_each
    }

    /// The tables, if they are what the loops rely on.
    pub(in crate::native::forest) fn open<A: Number>(&self, image: &Image) -> Result<Leaves<A>> {
        let leaves = Leaves {
            targets: self.targets,
            rule: self.rule,
            base_first: self.base_first,
            lone: self.lone,
            one_each: self.one_each,
            payloads: image.table(self.payloads)?,
            columns: image.table(self.columns)?,
            weights: A::table(image, self.weights)?,
            base: image.table(self.base)?,
        };
        let (columns, payloads) = (&leaves.columns, &leaves.payloads);
        if self.targets == 0 || !(self.base.is_empty() || self.base.len() == self.targets) {
            return Err(broken("the base"));
        }
        if columns.iter().any(|target| *target as usize >= self.targets) {
            return Err(broken("the targets"));
        }
        let summed = matches!(self.rule, Rule::Sum | Rule::Average);
        for payload in payloads.iter() {
            let size = (payload.count as usize).saturating_mul(payload.leaves as usize);
            if payload.leaves == 0
                || (payload.weights as usize).saturating_add(size) > leaves.weights.len()
                || payload.targets as usize + payload.count as usize > columns.len()
                || (self.one_each && payload.count != 1)
            {
                return Err(broken("the leaves"));
            }
        }
        let lone = self.lone.is_none_or(|lone| {
            let same = |payload: &Payload| columns[payload.targets as usize] as usize == lone;
            self.one_each && lone < self.targets && payloads.iter().all(same)
        });
        if (self.one_each && !summed) || !lone {
            return Err(broken("the leaves' targets"));
        }
        Ok(leaves)
    }
}

impl<A: Number> Leaves<A> {
    /// How answers become one, what is added to each target, and whether that is first.
    pub(in crate::native::forest) fn rule(&self) -> (Aggregate, &[f64], bool) {
        let aggregate = match self.rule {
            Rule::Sum => Aggregate::Sum,
            Rule::Average => Aggregate::Average,
            Rule::Least => Aggregate::Min,
            Rule::Greatest => Aggregate::Max,
        };
        (aggregate, &self.base, self.base_first)
    }

    /// What a leaf adds, read back; of weights that change nothing none or all.
    pub(in crate::native::forest) fn weights(&self, tree: usize, leaf: u32) -> Vec<Weight> {
        let there = self.of_leaf(tree, leaf).filter(|(_, weight)| !weight.is_none());
        there.map(|(target, weight)| Weight { target: target as u32, value: weight.to_f64() }).collect()
    }

    /// What a target begins with.
    #[inline(always)]
    fn start(&self, target: usize) -> A {
        match self.rule {
            Rule::Least | Rule::Greatest => A::NONE,
            Rule::Sum | Rule::Average if self.base_first => A::from_f64(self.base.get(target).copied().unwrap_or(0.0)),
            Rule::Sum | Rule::Average => A::ZERO,
        }
    }

    /// Adds one weight.
    #[inline(always)]
    fn add(&self, sum: A, weight: A) -> A {
        match self.rule {
            Rule::Sum | Rule::Average => sum + weight,
            Rule::Least => {
                if !weight.is_none() && (sum.is_none() || weight < sum) {
                    weight
                } else {
                    sum
                }
            }
            Rule::Greatest => {
                if !weight.is_none() && (sum.is_none() || weight > sum) {
                    weight
                } else {
                    sum
                }
            }
        }
    }

    /// What a leaf adds, in order: targets, and weights of which some may add nothing.
    #[inline(always)]
    pub(super) fn of_leaf(&self, tree: usize, leaf: u32) -> impl Iterator<Item = (usize, A)> {
        let payload = &self.payloads[tree];
        let targets = &self.columns[payload.targets as usize..(payload.targets + payload.count) as usize];
        let weights = self.weights.get(payload.weights as usize + leaf as usize..).unwrap_or(&[]);
        let weights = weights.iter().step_by(payload.leaves as usize);
        targets.iter().map(|target| *target as usize).zip(weights.copied())
    }

    /// Adds what a leaf adds to the sums of a row.
    #[inline(always)]
    fn add_leaf(&self, tree: usize, leaf: u32, sums: &mut [A]) {
        let payload = &self.payloads[tree];
        let mut place = payload.weights as usize + leaf as usize;
        for target in &self.columns[payload.targets as usize..(payload.targets + payload.count) as usize] {
            let sum = &mut sums[*target as usize];
            *sum = self.add(*sum, self.weights[place]);
            place += payload.leaves as usize;
        }
    }

    /// The weight of a leaf of a tree that adds one.
    ///
    /// # Safety
    /// The leaf must be one of the tree's.
    #[inline(always)]
    unsafe fn lone_weight(&self, payload: &Payload, leaf: u32) -> A {
        // SAFETY: as promised by the caller; the weights of a tree's leaves exist.
        unsafe { *self.weights.get_unchecked((payload.weights + leaf) as usize) }
    }

    /// What becomes of the sum of a target when all trees have been added.
    #[inline(always)]
    fn finish(&self, target: usize, sum: A) -> A {
        let mut sum = if sum.is_none() { self.unseen(target) } else { sum };
        if self.rule == Rule::Average && !self.payloads.is_empty() {
            sum = sum / A::from_f64(self.payloads.len() as f64);
        }
        if !self.base_first && !self.base.is_empty() {
            sum = sum + A::from_f64(self.base[target]);
        }
        sum
    }

    fn unseen(&self, target: usize) -> A {
        if self.base_first { A::from_f64(self.base.get(target).copied().unwrap_or(0.0)) } else { A::ZERO }
    }
}

/// Adds up what leaves add, tree by tree in the order of the model.
pub(in crate::native::forest) struct Sums<'a, A> {
    pub leaves: &'a Leaves<A>,
    /// For each row a number a target.
    pub out: &'a mut [A],
    /// For each target the sums of the rows of a block.
    pub block: &'a mut Vec<A>,
}

/// The sums of one row.
pub(in crate::native::forest) struct SumsOfRow<'s, A> {
    leaves: &'s Leaves<A>,
    sums: &'s mut [A],
    /// The sum of the target to which all trees add.
    lone: A,
}

impl<A: Number> Sink for Sums<'_, A> {
    type Row<'s>
        = SumsOfRow<'s, A>
    where
        Self: 's;

    #[inline(always)]
    fn row(&mut self, row: usize) -> SumsOfRow<'_, A> {
        let leaves = self.leaves;
        let sums = &mut self.out[row * leaves.targets..(row + 1) * leaves.targets];
        sums.iter_mut().enumerate().for_each(|(target, sum)| *sum = leaves.start(target));
        SumsOfRow { lone: leaves.lone.map_or(A::ZERO, |target| sums[target]), leaves, sums }
    }

    fn begin(&mut self, rows: std::ops::Range<usize>) {
        let targets = self.leaves.targets;
        for sums in self.out[rows.start * targets..rows.end * targets].chunks_exact_mut(targets) {
            sums.iter_mut().enumerate().for_each(|(target, sum)| *sum = self.leaves.start(target));
        }
    }

    #[inline(always)]
    unsafe fn rows(&mut self, tree: usize, first: usize, found: &[u32]) {
        let targets = self.leaves.targets;
        let sums = &mut self.out[first * targets..(first + found.len()) * targets];
        if let Some(target) = self.leaves.lone {
            let payload = &self.leaves.payloads[tree];
            for (sum, leaf) in sums.iter_mut().skip(target).step_by(targets).zip(found) {
                // SAFETY: as promised by the caller.
                *sum = *sum + unsafe { self.leaves.lone_weight(payload, *leaf) };
            }
        } else {
            for (sums, leaf) in sums.chunks_exact_mut(targets).zip(found) {
                self.leaves.add_leaf(tree, *leaf, sums);
            }
        }
    }

    fn end(&mut self, rows: std::ops::Range<usize>) {
        let targets = self.leaves.targets;
        for sums in self.out[rows.start * targets..rows.end * targets].chunks_exact_mut(targets) {
            sums.iter_mut().enumerate().for_each(|(target, sum)| *sum = self.leaves.finish(target, *sum));
        }
    }

    fn begin_block(&mut self) {
        self.block.resize(self.leaves.targets * BLOCK, A::ZERO);
        for (target, sums) in self.block.chunks_exact_mut(BLOCK).enumerate() {
            sums.fill(self.leaves.start(target));
        }
    }

    #[inline(always)]
    unsafe fn block<V: Vector, const HALVES: usize>(
        &mut self,
        tree: usize,
        found: &Bytes,
        _rows: std::ops::Range<usize>,
    ) {
        let leaves = self.leaves;
        let payload = &leaves.payloads[tree];
        let mut first = payload.weights as usize;
        for target in &leaves.columns[payload.targets as usize..(payload.targets + payload.count) as usize] {
            let weights = &leaves.weights[first..first + payload.leaves as usize];
            first += payload.leaves as usize;
            let Some(sums) = self.block[*target as usize * BLOCK..].first_chunk_mut() else { continue };
            if matches!(leaves.rule, Rule::Sum | Rule::Average) {
                // SAFETY: as promised by the caller.
                unsafe { V::add::<HALVES, A>(found, weights, sums) };
            } else {
                for (sum, leaf) in sums.iter_mut().zip(&found.0).take(HALVES * BLOCK / 2) {
                    *sum = leaves.add(*sum, weights[usize::from(*leaf)]);
                }
            }
        }
    }

    fn end_block(&mut self, rows: std::ops::Range<usize>) {
        let targets = self.leaves.targets;
        let out = &mut self.out[rows.start * targets..rows.end * targets];
        for (row, out) in out.chunks_exact_mut(targets).enumerate() {
            for (target, out) in out.iter_mut().enumerate() {
                *out = self.leaves.finish(target, self.block[target * BLOCK + row]);
            }
        }
    }
}

impl<A: Number> RowSink for SumsOfRow<'_, A> {
    const ADDS: bool = true;

    #[inline(always)]
    unsafe fn leaves<L: Copy + Into<u32>>(&mut self, tree: usize, found: &[L]) {
        if self.leaves.lone.is_some() {
            for (payload, leaf) in self.leaves.payloads[tree..tree + found.len()].iter().zip(found) {
                // SAFETY: as promised by the caller.
                self.lone = self.lone + unsafe { self.leaves.lone_weight(payload, (*leaf).into()) };
            }
        } else if self.leaves.one_each {
            for (payload, leaf) in self.leaves.payloads[tree..tree + found.len()].iter().zip(found) {
                let sum = &mut self.sums[self.leaves.columns[payload.targets as usize] as usize];
                // SAFETY: as promised by the caller.
                *sum = *sum + unsafe { self.leaves.lone_weight(payload, (*leaf).into()) };
            }
        } else {
            let numbered = (tree..).zip(found);
            numbered.for_each(|(tree, leaf)| self.leaves.add_leaf(tree, (*leaf).into(), self.sums));
        }
    }

    #[inline(always)]
    fn weights(&mut self, tree: usize, weights: &[f32]) {
        if self.leaves.lone.is_some() {
            weights.iter().for_each(|weight| self.lone = self.lone + A::from_single(*weight));
        } else {
            for (payload, weight) in self.leaves.payloads[tree..tree + weights.len()].iter().zip(weights) {
                let sum = &mut self.sums[self.leaves.columns[payload.targets as usize] as usize];
                *sum = *sum + A::from_single(*weight);
            }
        }
    }

    #[inline(always)]
    fn finish(self) {
        if let Some(target) = self.leaves.lone {
            self.sums[target] = self.lone;
        }
        self.sums.iter_mut().enumerate().for_each(|(target, sum)| *sum = self.leaves.finish(target, *sum));
    }
}
