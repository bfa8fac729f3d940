//! An [`Ensemble`] brought to one form before tables are made of it: one comparison (`x <= t`), sets of ranges, no branch
//! whose sides are the same, no missing value that the branch must ask about.
//!
//! How the last is done: a missing value is read as something below every threshold or above every one, so a feature whose
//! branches send missing values both ways becomes two columns. A set is asked for at the branch, by the class of the value
//! (`classes`); where a feature has few sets, each is a column of its own instead, which holds whether the value is in it:
//! asked once a row, it is a comparison like others in every branch.

use std::collections::HashMap;

use crate::error::{Error, Kind, Result};
use crate::native::ensemble::{Branch, Ensemble, Missing, Node, Precision, Test, Tree};

/// What follows a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Index into [`Plain::leaves`].
    Leaf(u32),
    /// Index into [`Plain::asks`].
    Ask(u32),
}

/// What a branch asks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Asked {
    /// Whether a column (an index into [`Shape::columns`]) is at most a threshold, a number of the type in which features are
    /// compared; of no meaning where the column is a set.
    AtMost(u32, f64),
    /// Whether a feature lies outside a set, an index into [`Shape::sets`].
    Outside(u32),
}

/// A branch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ask {
    /// The node of the ensemble's tree, the first where several became one.
    pub node: u32,
    pub asked: Asked,
    pub yes: Next,
    pub no: Next,
}

/// A tree: every branch once, however many parents it has.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plain {
    /// Children before their parents.
    pub asks: Vec<Ask>,
    /// Which nodes of the ensemble's tree the leaves are.
    pub leaves: Vec<u32>,
    pub root: Next,
    /// Branches on the longest way to a leaf.
    pub depth: u32,
}

/// A column of the input, read in one way.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Feature {
    pub column: u32,
    pub missing: Missing,
    /// Thresholds, ascending: those of branches, and the ends of the ranges of sets that are columns.
    pub bounds: Vec<f64>,
}

/// Half-open ranges `(after, to]`; no `after` is from the least number on.
pub(super) type Ranges = Vec<(Option<f64>, f64)>;

/// What branches compare.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Column {
    /// Index into [`Shape::features`].
    pub feature: u32,
    /// Whether a missing value is below every threshold (and in every set) rather than above (in none).
    pub missing_low: bool,
    /// For a set, the values in it.
    pub set: Option<Ranges>,
}

/// A set that branches ask for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Set {
    /// Index into [`Shape::features`].
    pub feature: u32,
    /// Whether a missing value is in it.
    pub missing: bool,
    pub ranges: Ranges,
}

/// The whole ensemble in this form.
#[derive(Debug, Default)]
pub(super) struct Shape {
    pub features: Vec<Feature>,
    pub columns: Vec<Column>,
    /// The sets that are no columns.
    pub sets: Vec<Set>,
    pub trees: Vec<Plain>,
}

/// So many sets of a feature are columns, if all features together have no more than so many of them: what evaluates each of
/// them for every row must be less than what asks for them on the way through the trees.
const FEW: usize = 8;
const FEW_IN_ALL: usize = 48;

/// Bits of the ends of ranges, to look a set up by.
type RangeBits = Vec<(Option<u64>, u64)>;

#[derive(Default)]
struct Builder {
    shape: Shape,
    /// Features of the ensemble to those here.
    features: Vec<u32>,
    columns: HashMap<(u32, bool), u32>,
    sets: HashMap<(u32, bool, RangeBits), u32>,
}

/// Brings an ensemble that passed [`Ensemble::check`] to this form.
pub(super) fn shape(ensemble: &Ensemble) -> Result<Shape> {
    let mut builder = Builder::default();
    let mut known = HashMap::new();
    for feature in &ensemble.features {
        let features = &mut builder.shape.features;
        let index = *known.entry(*feature).or_insert_with(|| {
            features.push(Feature { column: feature.column, missing: feature.missing, bounds: vec![] });
            features.len() as u32 - 1
        });
        builder.features.push(index);
    }
    for tree in &ensemble.trees {
        let plain = builder.plain(tree, ensemble.compared_in)?;
        builder.shape.trees.push(plain);
    }
    let mut shape = builder.shape;
    shape.few_sets_are_columns();
    for ask in shape.trees.iter().flat_map(|tree| &tree.asks) {
        if let Asked::AtMost(column, bound) = ask.asked
            && let Column { feature, set: None, .. } = shape.columns[column as usize]
        {
            shape.features[feature as usize].bounds.push(bound);
        }
    }
    for column in &shape.columns {
        let bounds = &mut shape.features[column.feature as usize].bounds;
        for (after, to) in column.set.iter().flatten() {
            bounds.extend(after);
            bounds.push(*to);
        }
    }
    for feature in &mut shape.features {
        feature.bounds.sort_by(f64::total_cmp);
        feature.bounds.dedup();
    }
    Ok(shape)
}

impl Shape {
    /// Makes columns of the sets of features that have few, and drops sets that no branch asks for.
    fn few_sets_are_columns(&mut self) {
        let mut asked = vec![false; self.sets.len()];
        for ask in self.trees.iter().flat_map(|tree| &tree.asks) {
            if let Asked::Outside(set) = ask.asked {
                asked[set as usize] = true;
            }
        }
        let mut of_feature = vec![0usize; self.features.len()];
        for (set, _) in self.sets.iter().zip(&asked).filter(|(_, asked)| **asked) {
            of_feature[set.feature as usize] += 1;
        }
        let mut in_all = 0;
        let few: Vec<bool> = of_feature
            .iter()
            .map(|count| {
                let few = *count <= FEW && in_all + count <= FEW_IN_ALL;
                in_all += if few { *count } else { 0 };
                few
            })
            .collect();
        let mut moved = Vec::with_capacity(asked.len());
        for (set, asked) in std::mem::take(&mut self.sets).into_iter().zip(asked) {
            if asked && few[set.feature as usize] {
                moved.push(Asked::AtMost(self.columns.len() as u32, 0.0));
                let Set { feature, missing, ranges } = set;
                self.columns.push(Column { feature, missing_low: missing, set: Some(ranges) });
            } else {
                moved.push(Asked::Outside(self.sets.len() as u32));
                self.sets.extend(asked.then_some(set));
            }
        }
        for ask in self.trees.iter_mut().flat_map(|tree| &mut tree.asks) {
            let Asked::Outside(set) = ask.asked else { continue };
            ask.asked = moved[set as usize];
            if let Asked::AtMost(..) = ask.asked {
                // The code of what is in the set is 0.
                std::mem::swap(&mut ask.yes, &mut ask.no);
            }
        }
    }
}

/// A branch with what it asks brought to one form.
struct Question {
    feature: u32,
    missing_low: bool,
    condition: Split,
    yes: u32,
    no: u32,
}

enum Split {
    AtMost(f64),
    In(Ranges),
}

impl Builder {
    fn plain(&mut self, tree: &Tree, precision: Precision) -> Result<Plain> {
        let mut plain = Plain { asks: vec![], leaves: vec![], root: Next::Leaf(0), depth: 0 };
        let mut depths: Vec<u32> = vec![];
        let mut done: Vec<Option<Next>> = vec![None; tree.nodes.len()];
        let mut parents = vec![0u32; tree.nodes.len()];
        for node in &tree.nodes {
            if let Node::Branch(branch) = node {
                parents[branch.yes as usize] += 1;
                parents[branch.no as usize] += 1;
            }
        }
        let mut path = vec![0];
        while let Some(&at) = path.last() {
            if done[at as usize].is_some() {
                path.pop();
                continue;
            }
            let Node::Branch(branch) = &tree.nodes[at as usize] else {
                done[at as usize] = Some(Next::Leaf(index(plain.leaves.len())?));
                plain.leaves.push(at);
                continue;
            };
            let question = self.question(tree, &parents, branch, precision);
            let (yes, no) = match (done[question.yes as usize], done[question.no as usize]) {
                (Some(yes), Some(no)) => (yes, no),
                (None, _) => {
                    path.push(question.yes);
                    continue;
                }
                (_, None) => {
                    path.push(question.no);
                    continue;
                }
            };
            if yes == no {
                done[at as usize] = Some(yes);
                continue;
            }
            done[at as usize] = Some(match self.ask(at, question, yes, no)? {
                None => no,
                Some(ask) => {
                    let depth = |next| match next {
                        Next::Leaf(_) => 0,
                        Next::Ask(ask) => depths[ask as usize],
                    };
                    depths.push(1 + depth(yes).max(depth(no)));
                    plain.asks.push(ask);
                    Next::Ask(index(plain.asks.len() - 1)?)
                }
            });
        }
        plain.root = done[0].unwrap_or(Next::Leaf(0));
        if let Next::Ask(root) = plain.root {
            plain.depth = depths[root as usize];
            // Branches that lead nowhere but were walked over stay below the root; those above it do not exist.
            plain.asks.truncate(root as usize + 1);
        } else {
            plain.asks.clear();
        }
        Ok(plain)
    }

    /// What a branch asks, together with the branches that only go on asking the same feature for further members: this is
    /// how exporters write a set. A branch that others lead to as well is left alone: it would be read once for each of them.
    fn question(&self, tree: &Tree, parents: &[u32], branch: &Branch, precision: Precision) -> Question {
        let feature = self.features[branch.feature as usize];
        let missing = self.shape.features[feature as usize].missing;
        let low = |branch: &Branch| branch.missing_yes && missing != Missing::Nothing;
        let mut question = Question {
            feature,
            missing_low: low(branch),
            condition: condition(&branch.test, precision),
            yes: branch.yes,
            no: branch.no,
        };
        let Split::In(ranges) = &mut question.condition else { return question };
        let alone = ranges.len();
        while let Node::Branch(next) = &tree.nodes[question.no as usize]
            && parents[question.no as usize] == 1
            && next.yes == question.yes
            && self.features[next.feature as usize] == feature
            && let Split::In(more) = condition(&next.test, precision)
        {
            ranges.extend(more);
            question.missing_low |= low(next);
            question.no = next.no;
        }
        if ranges.len() > alone {
            joined(ranges);
        }
        question
    }

    /// `None` where the answer is always no.
    fn ask(&mut self, node: u32, question: Question, yes: Next, no: Next) -> Result<Option<Ask>> {
        let feature = question.feature;
        Ok(Some(match question.condition {
            Split::AtMost(bound) => {
                let key = (feature, question.missing_low);
                let column = match self.columns.get(&key) {
                    Some(column) => *column,
                    None => {
                        let column = index(self.shape.columns.len())?;
                        self.shape.columns.push(Column { feature, missing_low: question.missing_low, set: None });
                        self.columns.insert(key, column);
                        column
                    }
                };
                Ask { node, asked: Asked::AtMost(column, bound), yes, no }
            }
            Split::In(ranges) if ranges.is_empty() && !question.missing_low => return Ok(None),
            Split::In(ranges) => {
                let bits = ranges.iter().map(|(after, to)| (after.map(f64::to_bits), to.to_bits())).collect();
                let key = (feature, question.missing_low, bits);
                let set = match self.sets.get(&key) {
                    Some(set) => *set,
                    None => {
                        let set = index(self.shape.sets.len())?;
                        self.shape.sets.push(Set { feature, missing: question.missing_low, ranges });
                        self.sets.insert(key, set);
                        set
                    }
                };
                Ask { node, asked: Asked::Outside(set), yes: no, no: yes }
            }
        }))
    }
}

fn index(of: usize) -> Result<u32> {
    u32::try_from(of).map_err(|_| Error::new(Kind::Limit, "a tree of the model has too many nodes"))
}

fn condition(test: &Test, precision: Precision) -> Split {
    let bound = match test {
        Test::LessEqual(threshold) => at_most(*threshold, precision),
        Test::Less(threshold) => below(*threshold, precision),
        Test::Member(intervals) => {
            let mut ranges: Ranges = intervals
                .iter()
                .filter(|(low, high)| low <= high)
                .filter_map(|(low, high)| Some((below(*low, precision), at_most(*high, precision)?)))
                .filter(|(after, to)| after.is_none_or(|after| after < *to))
                .collect();
            joined(&mut ranges);
            return Split::In(ranges);
        }
    };
    bound.map_or(Split::In(vec![]), Split::AtMost)
}

/// Sorts ranges and joins those that meet.
fn joined(ranges: &mut Ranges) {
    let start = |range: &(Option<f64>, f64)| range.0.unwrap_or(f64::NEG_INFINITY);
    ranges.sort_by(|a, b| start(a).total_cmp(&start(b)).then(a.0.is_some().cmp(&b.0.is_some())));
    let mut kept: Ranges = Vec::with_capacity(ranges.len());
    for range in ranges.drain(..) {
        match kept.last_mut() {
            Some(last) if range.0.is_none_or(|after| after <= last.1) => last.1 = last.1.max(range.1),
            _ => kept.push(range),
        }
    }
    *ranges = kept;
}

/// The greatest number of the type that is not above `t`; zero is written without a sign. `None` for NaN.
fn at_most(t: f64, precision: Precision) -> Option<f64> {
    let bound = match precision {
        Precision::Double => t,
        Precision::Single => {
            let near = t as f32;
            f64::from(if f64::from(near) > t { near.next_down() } else { near })
        }
    };
    (!bound.is_nan()).then_some(bound + 0.0)
}

/// The greatest number of the type that is below `t`. `None` if there is none.
fn below(t: f64, precision: Precision) -> Option<f64> {
    if t.is_nan() || t == f64::NEG_INFINITY {
        return None;
    }
    Some(match precision {
        Precision::Double => t.next_down() + 0.0,
        Precision::Single => {
            let near = t as f32;
            f64::from(if f64::from(near) < t { near } else { near.next_down() }) + 0.0
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_rounded_so_that_no_single_changes_sides() {
        for t in [0.0, -0.0, 0.1, 1e-46, -1e-46, 1e39, -1e39, f64::INFINITY, f64::NEG_INFINITY, 16_777_217.0] {
            let near = t as f32;
            for x in [near.next_down().next_down(), near.next_down(), near, near.next_up(), 0.0, -0.0, f32::INFINITY] {
                let x = f64::from(x);
                let (le, lt) = (at_most(t, Precision::Single), below(t, Precision::Single));
                assert_eq!(le.is_some_and(|bound| x <= bound), x <= t, "{x} <= {t}");
                assert_eq!(lt.is_some_and(|bound| x <= bound), x < t, "{x} < {t}");
                let (le, lt) = (at_most(t, Precision::Double), below(t, Precision::Double));
                assert_eq!(le.is_some_and(|bound| x <= bound), x <= t, "{x} <= {t}");
                assert_eq!(lt.is_some_and(|bound| x <= bound), x < t, "{x} < {t}");
            }
        }
        assert_eq!(at_most(f64::NAN, Precision::Single), None);
        assert_eq!(below(f64::NAN, Precision::Double), None);
    }

    #[test]
    fn ranges_that_meet_become_one() {
        let mut ranges = vec![(Some(3.0), 4.0), (None, 1.0), (Some(1.0), 2.0), (Some(3.5), 3.7)];
        joined(&mut ranges);
        assert_eq!(ranges, [(None, 2.0), (Some(3.0), 4.0)]);
    }
}
