//! What leaves add, and how the trees' answers become one.
//!
//! Every tree has a list of targets that its leaves add to, in order, and for each of them a table of one weight a leaf. A
//! leaf that adds less than the others of its tree has weights there that change nothing: -0.0 in a sum (`x + -0.0` is `x`
//! for every x), a marked NaN for least and greatest.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::broken;
use super::number::Number;
use super::shape::Shape;
use crate::error::{Error, Kind, Result};
use crate::native::ensemble::{Aggregate, Ensemble, Node, Weight};
use crate::native::image::{Image, ImageWriter, Section};

/// Tables may be this much larger than the weights that are in them.
const PADDING: usize = 16;

/// The tables of one tree.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Payload {
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
pub(super) enum Rule {
    Sum,
    Average,
    Least,
    Greatest,
}

/// The tables; `single` or `double` is empty.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Leaves {
    pub targets: usize,
    pub rule: Rule,
    pub base_first: bool,
    /// The target to which every tree adds one weight, if it is the same for all.
    pub lone: Option<usize>,
    /// Whether every tree adds one weight, to a target of its own choice.
    pub one_each: bool,
    pub payloads: Section<Payload>,
    pub columns: Section<u32>,
    pub single: Section<f32>,
    pub double: Section<f64>,
    /// The base, in the order of the targets; empty for none. Of the type of the weights, widened.
    pub base: Section<f64>,
}

/// The tables, opened.
#[derive(Clone, Copy)]
pub(super) struct Opened<'i, A> {
    pub targets: usize,
    pub rule: Rule,
    pub base_first: bool,
    pub lone: Option<usize>,
    pub payloads: &'i [Payload],
    pub columns: &'i [u32],
    pub weights: &'i [A],
    pub base: &'i [f64],
}

/// Makes the tables.
pub(super) fn compile<A: Number>(
    ensemble: &Ensemble,
    shape: &Shape,
    writer: &mut ImageWriter,
    push: impl Fn(&mut ImageWriter, &[A]) -> (Section<f32>, Section<f64>),
) -> Result<Leaves> {
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
        let mut places = Places::new(&targets);
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
    let (single, double) = push(writer, &weights);
    Ok(Leaves {
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
        single,
        double,
        base: writer.push(&ensemble.base),
    })
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
struct Places {
    places: std::collections::HashMap<u32, (Vec<usize>, usize)>,
}

impl Places {
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

impl Leaves {
    /// Whether the tables of an image are what the loops rely on.
    pub(super) fn check<A: Number>(&self, image: &Image, weights: Section<A>) -> Result<()> {
        image.check(self.payloads)?;
        image.check(self.columns)?;
        image.check(weights)?;
        image.check(self.base)?;
        let columns = image.slice(self.columns);
        if self.targets == 0 || !(self.base.is_empty() || self.base.len() == self.targets) {
            return Err(broken("the base"));
        }
        if columns.iter().any(|target| *target as usize >= self.targets) {
            return Err(broken("the targets"));
        }
        let summed = matches!(self.rule, Rule::Sum | Rule::Average);
        for payload in image.slice(self.payloads) {
            let size = (payload.count as usize).saturating_mul(payload.leaves as usize);
            if payload.leaves == 0
                || (payload.weights as usize).saturating_add(size) > weights.len()
                || payload.targets as usize + payload.count as usize > columns.len()
                || (self.one_each && payload.count != 1)
            {
                return Err(broken("the leaves"));
            }
        }
        let lone = self.lone.is_none_or(|lone| {
            let same = |payload: &Payload| columns[payload.targets as usize] as usize == lone;
            self.one_each && lone < self.targets && image.slice(self.payloads).iter().all(same)
        });
        if (self.one_each && !summed) || !lone {
            return Err(broken("the leaves' targets"));
        }
        Ok(())
    }

    pub(super) fn open<'i, A: Number>(&self, image: &'i Image, weights: Section<A>) -> Opened<'i, A> {
        Opened {
            targets: self.targets,
            rule: self.rule,
            base_first: self.base_first,
            lone: self.lone,
            payloads: image.slice(self.payloads),
            columns: image.slice(self.columns),
            weights: image.slice(weights),
            base: image.slice(self.base),
        }
    }
}

impl<A: Number> Opened<'_, A> {
    /// What a target begins with.
    #[inline(always)]
    pub(super) fn start(&self, target: usize) -> A {
        match self.rule {
            Rule::Least | Rule::Greatest => A::NONE,
            Rule::Sum | Rule::Average if self.base_first => A::from_f64(self.base.get(target).copied().unwrap_or(0.0)),
            Rule::Sum | Rule::Average => A::ZERO,
        }
    }

    /// Adds one weight.
    #[inline(always)]
    pub(super) fn add(&self, sum: A, weight: A) -> A {
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

    /// Adds what a leaf adds to the sums of a row.
    #[inline(always)]
    pub(super) fn add_leaf(&self, tree: usize, leaf: u32, sums: &mut [A]) {
        let payload = &self.payloads[tree];
        let mut place = payload.weights as usize + leaf as usize;
        for target in &self.columns[payload.targets as usize..(payload.targets + payload.count) as usize] {
            let sum = &mut sums[*target as usize];
            *sum = self.add(*sum, self.weights[place]);
            place += payload.leaves as usize;
        }
    }

    /// What becomes of the sum of a target when all trees have been added.
    #[inline(always)]
    pub(super) fn finish(&self, target: usize, sum: A) -> A {
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
