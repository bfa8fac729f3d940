//! One tree of a LightGBM text.
//!
//! Numbered are branches from 0 and, as complements, leaves from 0. LightGBM reads every number up to [`ZERO`] as 0 before
//! a tree sees it; here thresholds are moved to where that makes no difference.

use super::{Features, Keys};
use crate::formats::{stated_cover, whole_numbers};
use crate::native::{Branch, Missing, Node, Test, Tree, Weight, ZERO};

/// Bits of `decision_type`.
const CATEGORICAL: u8 = 1;
const DEFAULT_LEFT: u8 = 2;

pub(super) enum Problem {
    /// The text contradicts itself.
    Broken(String),
    /// Leaves are linear functions.
    Linear,
}

impl From<String> for Problem {
    fn from(why: String) -> Self {
        Self::Broken(why)
    }
}

pub(super) fn read(keys: &Keys<'_>, width: usize, target: u32, features: &mut Features) -> Result<Tree, Problem> {
    if keys.get("is_linear").is_some_and(|flag| flag.trim() != "0") {
        return Err(Problem::Linear);
    }
    let leaf_count: usize = keys.number("num_leaves")?;
    let leaves = keys.numbers::<f64>("leaf_value", leaf_count)?;
    let Some(branch_count) = leaf_count.checked_sub(1) else { return Err("it has no leaves".to_owned().into()) };
    let mut nodes = Vec::with_capacity(branch_count + leaf_count);
    if branch_count > 0 {
        let split_feature = keys.numbers::<u32>("split_feature", branch_count)?;
        let threshold = keys.numbers::<f64>("threshold", branch_count)?;
        let left = keys.numbers::<i64>("left_child", branch_count)?;
        let right = keys.numbers::<i64>("right_child", branch_count)?;
        let decision = match keys.get("decision_type") {
            Some(_) => keys.numbers::<u8>("decision_type", branch_count)?,
            None => vec![0; branch_count],
        };
        let mut sets = Sets::read(keys)?;
        let mut parented = vec![false; branch_count + leaf_count];
        let mut child = |number: i64| {
            let index = if number < 0 { (!number).checked_add(branch_count as i64) } else { Some(number) };
            let kind = if number < 0 { branch_count..parented.len() } else { 1..branch_count };
            let index = index.and_then(|index| usize::try_from(index).ok()).filter(|index| kind.contains(index));
            let index = index.ok_or_else(|| format!("a branch leads to {number}, which does not exist"))?;
            if std::mem::replace(&mut parented[index], true) {
                return Err(format!("two ways lead to {number}"));
            }
            u32::try_from(index).map_err(|_| "it has too many nodes".to_owned())
        };
        for at in 0..branch_count {
            let column = split_feature[at];
            if column as usize >= width {
                return Err(format!("branch {at} reads feature {column} of {width}").into());
            }
            let (test, missing, missing_yes) = if decision[at] & CATEGORICAL == 0 {
                let missing = match decision[at] >> 2 {
                    0 => Missing::Nothing,
                    1 => Missing::NanAndZero,
                    2 => Missing::Nan,
                    _ => return Err(format!("branch {at} has the decision type {}", decision[at]).into()),
                };
                if threshold[at].is_nan() {
                    return Err(format!("branch {at} compares with NaN").into());
                }
                (Test::LessEqual(beside_zero(threshold[at])), missing, decision[at] & DEFAULT_LEFT != 0)
            } else {
                // NaN is in no set, whatever the missing type says.
                (Test::Member(sets.take(threshold[at])?), Missing::Nan, false)
            };
            let feature = features.index(column, missing);
            nodes.push(Node::Branch(Branch {
                feature,
                test,
                missing_yes,
                yes: child(left[at])?,
                no: child(right[at])?,
            }));
        }
    }
    nodes.extend(leaves.into_iter().map(|value| Node::Leaf(vec![Weight { target, value }])));
    // Not every file counts; where one does so wrongly, it says nothing.
    let mut cover = keys.numbers::<f64>("internal_count", branch_count).unwrap_or_default();
    cover.extend(keys.numbers::<f64>("leaf_count", leaf_count).unwrap_or_default());
    Ok(Tree { cover: stated_cover(cover, nodes.len()), nodes })
}

/// A threshold that tells numbers apart as `threshold` does once those around 0 have become 0.
fn beside_zero(threshold: f64) -> f64 {
    if (-ZERO..0.0).contains(&threshold) {
        (-ZERO).next_down()
    } else if (0.0..ZERO).contains(&threshold) {
        ZERO
    } else {
        threshold
    }
}

/// The sets of categories, bits in words; each belongs to one branch.
struct Sets {
    boundaries: Vec<usize>,
    words: Vec<u32>,
    taken: Vec<bool>,
}

impl Sets {
    fn read(keys: &Keys<'_>) -> Result<Self, String> {
        let count: usize = if keys.get("num_cat").is_some() { keys.number("num_cat")? } else { 0 };
        if count == 0 {
            return Ok(Self { boundaries: vec![], words: vec![], taken: vec![] });
        }
        let boundaries =
            keys.numbers::<usize>("cat_boundaries", count.checked_add(1).ok_or("num_cat is too large")?)?;
        let words = keys.numbers::<u32>("cat_threshold", boundaries.last().copied().unwrap_or(0))?;
        if !boundaries.is_sorted() {
            return Err("cat_boundaries do not ascend".into());
        }
        Ok(Self { boundaries, words, taken: vec![false; count] })
    }

    /// The numbers that truncate to a category of the set, as closed intervals.
    fn take(&mut self, threshold: f64) -> Result<Vec<(f64, f64)>, String> {
        // Were sets shared, a short file could ask for much memory.
        let free = (threshold >= 0.0 && threshold < self.taken.len() as f64)
            .then_some(threshold as usize)
            .filter(|index| !std::mem::replace(&mut self.taken[*index], true));
        let index = free.ok_or_else(|| format!("the set of categories {threshold} is missing or used twice"))?;
        let words = &self.words[self.boundaries[index]..self.boundaries[index + 1]];
        // Codes are C ints there: what lies beyond cannot be reached.
        let codes = (0..u32::try_from(words.len()).unwrap_or(u32::MAX).min(1 << 26)).flat_map(|place| {
            let word = words[place as usize];
            (0..32).filter(move |bit| word >> bit & 1 == 1).map(move |bit| place * 32 + bit)
        });
        let mut intervals = whole_numbers(codes, |number| (number as f64).next_down());
        if let Some(first) = intervals.first_mut()
            && first.0 == 0.0
        {
            first.0 = (-1.0_f64).next_up();
        }
        Ok(intervals)
    }
}
