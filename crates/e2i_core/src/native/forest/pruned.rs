//! Trees for rows of which something is known: without the branches whose answer that decides.
//!
//! What is left adds the same weights in the same order, a tree that is one leaf as well, so sums are the same to the bit.
//! Whoever says what is known may be wrong: the numbers of every row that is scored are looked at first ([`Pruned::fits`]), and rows
//! that are otherwise pass the whole trees.
//!
//! What does not belong here: where it is known from.

use super::codes::{Rows, Strided};
use super::{Forest, Image, ImageWriter};
use crate::error::Result;
use crate::known::Numbers;
use crate::native::ensemble::{Branch, FeatureUse, Missing, Node, Precision, Test, Tree, ZERO, value_as_read};

/// The share of the branches that may be left: less than a tenth fewer are not worth a look at each row.
const MOST_LEFT: f64 = 0.9;

/// What is left of a forest, and of which rows that is right.
#[derive(Debug)]
pub(super) struct Pruned {
    pub(super) forest: Forest,
    /// Columns of the input, and what was relied upon to be there.
    relied_upon: Vec<(usize, Numbers)>,
}

impl Pruned {
    /// Of an opened forest; `None` where too little is decided. `known` are columns of its input and what they can be, each once.
    pub(super) fn of(forest: &Forest, known: &[(usize, Numbers)]) -> Result<Option<Self>> {
        let mut ensemble = forest.ensemble()?;
        let compared_in = ensemble.compared_in;
        let mut relied_upon: Vec<(usize, Numbers)> =
            known.iter().map(|(column, numbers)| (*column, rounded(numbers, compared_in))).collect();
        let of_feature = |feature: &FeatureUse| {
            relied_upon.iter().position(|(column, numbers)| *column == feature.column as usize && !numbers.is_any())
        };
        let places: Vec<Option<usize>> = ensemble.features.iter().map(of_feature).collect();
        let mut used = vec![false; relied_upon.len()];
        let features = std::mem::take(&mut ensemble.features);
        let mut decide = |branch: &Branch| {
            let place = places[branch.feature as usize]?;
            let answer = decided(branch, features[branch.feature as usize].missing, &relied_upon[place].1);
            used[place] |= answer.is_some();
            answer
        };
        let before = branches(&ensemble.trees);
        ensemble.trees.iter_mut().for_each(|tree| *tree = pruned(tree, &mut decide));
        ensemble.features = features;
        if branches(&ensemble.trees) as f64 > before as f64 * MOST_LEFT {
            return Ok(None);
        }
        let mut used = used.into_iter();
        relied_upon.retain(|_| used.next().unwrap_or(true));
        if relied_upon.is_empty() {
            return Ok(None);
        }
        let mut writer = ImageWriter::default();
        let forest = Forest::compile(&ensemble, &mut writer)?;
        let (image, mut forest) = Image::open::<Forest>(&writer.finish(&forest)?)?;
        forest.open(&image)?;
        Ok(Some(Self { forest, relied_upon }))
    }

    /// Whether all rows are such that the sums are right. As many as [`Rows::are`] says.
    #[inline]
    pub(super) fn fits(&self, input: Rows<'_>, rows: usize) -> bool {
        let (width, double) = (self.forest.width(), self.forest.compared_in() == Precision::Double);
        self.relied_upon.iter().all(|(column, numbers)| match input {
            Rows::Single(cells) => singles(cells, *column, width, rows, numbers),
            Rows::Double(cells) => doubles(cells, *column, width, rows, numbers, double),
            Rows::Columns(columns) => match columns.get(*column) {
                Some(Strided::Single(cells, stride)) => singles(cells, 0, *stride, rows, numbers),
                Some(Strided::Double(cells, stride)) => doubles(cells, 0, *stride, rows, numbers, double),
                None => false,
            },
        })
    }

    /// Memory that its tables take, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.forest.image_bytes
    }
}

fn singles(cells: &[f32], first: usize, stride: usize, rows: usize, numbers: &Numbers) -> bool {
    all(cells.iter().skip(first).step_by(stride.max(1)).take(rows).map(|cell| f64::from(*cell)), numbers)
}

fn doubles(cells: &[f64], first: usize, stride: usize, rows: usize, numbers: &Numbers, is_exact: bool) -> bool {
    let cells = cells.iter().skip(first).step_by(stride.max(1)).take(rows);
    match is_exact {
        true => all(cells.copied(), numbers),
        false => all(cells.map(|cell| f64::from(*cell as f32)), numbers),
    }
}

#[inline(always)]
fn all(mut cells: impl Iterator<Item = f64>, numbers: &Numbers) -> bool {
    match numbers.ranges.as_slice() {
        // What is most frequent, without a branch a row.
        [(low, high)] if !numbers.nan => cells.fold(true, |all, cell| all & (*low <= cell) & (cell <= *high)),
        _ => cells.all(|cell| numbers.hold(cell)),
    }
}

/// What numbers are once they are of the type in which they are compared.
fn rounded(numbers: &Numbers, compared_in: Precision) -> Numbers {
    let rounded = numbers.ranges.iter().map(|(low, high)| (compared_in.round(*low), compared_in.round(*high)));
    Numbers::of(rounded, numbers.nan)
}

/// The answer of a branch, if it is the same for all numbers that are possible.
fn decided(branch: &Branch, missing: Missing, possible: &Numbers) -> Option<bool> {
    let mut answers = [false; 2];
    let mut add = |answer: bool| answers[usize::from(answer)] = true;
    if possible.nan {
        add(answer(branch, missing, f64::NAN));
    }
    for (low, high) in &possible.ranges {
        if missing == Missing::NanAndZero && *low <= ZERO && *high >= -ZERO {
            add(branch.missing_yes);
            if *low >= -ZERO && *high <= ZERO {
                continue;
            }
        }
        match &branch.test {
            Test::Less(bound) => {
                add(*low < *bound);
                add(*high < *bound);
            }
            Test::LessEqual(bound) => {
                add(*low <= *bound);
                add(*high <= *bound);
            }
            Test::Member(intervals) => {
                if intervals.iter().any(|(from, to)| from <= high && low <= to) {
                    add(true);
                }
                if !intervals.iter().any(|(from, to)| from <= low && high <= to) {
                    add(false);
                }
            }
        }
    }
    match answers {
        [true, false] => Some(false),
        [false, true] => Some(true),
        _ => None,
    }
}

fn answer(branch: &Branch, missing: Missing, value: f64) -> bool {
    value_as_read(value, missing).map_or(branch.missing_yes, |value| branch.test.holds(value))
}

fn branches(trees: &[Tree]) -> usize {
    trees.iter().flat_map(|tree| &tree.nodes).filter(|node| matches!(node, Node::Branch(_))).count()
}

/// A tree without the branches that are decided.
fn pruned(tree: &Tree, decide: &mut impl FnMut(&Branch) -> Option<bool>) -> Tree {
    // Where each node leads, if a row comes there.
    let mut leads: Vec<Option<u32>> = vec![None; tree.nodes.len()];
    let mut reached = |from: u32| {
        let (mut at, mut passed) = (from, vec![]);
        let end = loop {
            if let Some(known) = leads[at as usize] {
                break known;
            }
            passed.push(at);
            let Node::Branch(branch) = &tree.nodes[at as usize] else { break at };
            match decide(branch) {
                Some(answer) => at = if answer { branch.yes } else { branch.no },
                None => break at,
            }
        };
        passed.into_iter().for_each(|node| leads[node as usize] = Some(end));
        end
    };
    let mut places: Vec<Option<u32>> = vec![None; tree.nodes.len()];
    let mut order = vec![reached(0)];
    places[order[0] as usize] = Some(0);
    let mut nodes = vec![];
    while let Some(at) = order.get(nodes.len()) {
        let node = match &tree.nodes[*at as usize] {
            Node::Leaf(weights) => Node::Leaf(weights.clone()),
            Node::Branch(branch) => {
                let [yes, no] = [branch.yes, branch.no].map(|child| {
                    let child = reached(child);
                    *places[child as usize].get_or_insert_with(|| {
                        order.push(child);
                        order.len() as u32 - 1
                    })
                });
                Node::Branch(Branch { yes, no, ..branch.clone() })
            }
        };
        nodes.push(node);
    }
    Tree { nodes, cover: vec![] }
}
