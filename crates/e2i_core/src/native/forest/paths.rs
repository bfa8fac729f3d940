//! The paths of trees: what a row must be like to reach a leaf, one condition a feature, however often branches ask it.
//!
//! Made of a [`Shape`] when it is asked for; scoring does not read it. Attributions, intervals and pruning by what is known
//! of a row stand on it: a path holds exactly where the tree ends at its leaf, and values count as codes, so that whether it
//! holds is a comparison of small numbers.
//!
//! What does not belong here: tables of an image, and what leaves add.

use super::shape::{Asked, Next, Plain, Ranges, Shape, shape};
use crate::error::{Error, Kind, Result};
use crate::native::ensemble::{Ensemble, Missing, Precision, Tree, value_as_read};

/// Paths that an ensemble may have: shared nodes have as many as there are ways through them.
const MOST: usize = 1 << 22;

/// The paths of all trees.
#[derive(Debug, Clone)]
pub struct Paths {
    /// What conditions are about.
    pub features: Vec<PathFeature>,
    /// For each tree its paths. Every row holds one of them.
    pub trees: Vec<Vec<Path>>,
    compared_in: Precision,
}

/// A column of the input, read in one way.
#[derive(Debug, Clone, PartialEq)]
pub struct PathFeature {
    /// Index of the column.
    pub column: u32,
    /// What is missing there.
    pub missing: Missing,
    /// Where codes begin and end, ascending: the code of a value is how many of these it exceeds.
    pub bounds: Vec<f64>,
}

/// The way to a leaf.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    /// The leaf, counted within its tree as in [`Forest::leaf_indexes`](super::Forest::leaf_indexes).
    pub leaf: u32,
    /// The leaf's node in the ensemble's tree.
    pub node: u32,
    /// How much of the training data ended here; nothing where the file does not say, or where nodes are shared.
    pub cover: Option<f64>,
    /// What must hold, for each feature that is asked on the way once, in the order of the features.
    pub conditions: Vec<Condition>,
}

/// What must hold of a feature.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// Index into [`Paths::features`].
    pub feature: u32,
    /// The codes with which it holds: ranges with both of their ends, ascending; one where no set was asked for.
    pub codes: Vec<(u32, u32)>,
    /// Whether it holds for a missing value.
    pub missing: bool,
    /// Which part of the training data that came to the branches of this feature took this way, the parts of all of them
    /// multiplied; nothing where [`Path::cover`] is.
    pub share: Option<f64>,
}

impl Condition {
    /// Whether it holds for a code, of which a missing value has none.
    #[must_use]
    pub fn holds(&self, code: Option<u32>) -> bool {
        code.map_or(self.missing, |code| self.codes.iter().any(|(from, to)| (*from..=*to).contains(&code)))
    }
}

impl Path {
    /// Whether a row ends here; `codes` are its [`Paths::codes`].
    #[must_use]
    pub fn holds(&self, codes: &[Option<u32>]) -> bool {
        self.conditions.iter().all(|condition| condition.holds(codes[condition.feature as usize]))
    }
}

impl Paths {
    /// The paths of an ensemble.
    ///
    /// # Errors
    /// What [`Ensemble::check`] finds, [`Kind::Limit`] for more paths than can be written down.
    pub fn of(ensemble: &Ensemble) -> Result<Self> {
        ensemble.check()?;
        let shape = shape(ensemble)?;
        let features = features(&shape);
        let (mut trees, mut left) = (vec![], MOST);
        for (tree, plain) in ensemble.trees.iter().zip(&shape.trees) {
            let paths = Walker { shape: &shape, features: &features, tree, plain }.paths(&mut left)?;
            trees.push(paths);
        }
        Ok(Self { features, trees, compared_in: ensemble.compared_in })
    }

    /// The codes of a row of the ensemble's width, one a feature; a missing value has none.
    #[must_use]
    pub fn codes(&self, row: &[f64]) -> Vec<Option<u32>> {
        let code = |feature: &PathFeature| {
            let value = value_as_read(self.compared_in.round(row[feature.column as usize]), feature.missing)?;
            Some(feature.bounds.partition_point(|bound| *bound < value) as u32)
        };
        self.features.iter().map(code).collect()
    }
}

/// The features of a shape, with the ends of all sets among their bounds.
fn features(shape: &Shape) -> Vec<PathFeature> {
    let mut features: Vec<PathFeature> = shape
        .features
        .iter()
        .map(|of| PathFeature { column: of.column, missing: of.missing, bounds: of.bounds.clone() })
        .collect();
    for set in &shape.sets {
        let bounds = &mut features[set.feature as usize].bounds;
        set.ranges.iter().for_each(|(after, to)| bounds.extend(after.iter().copied().chain([*to])));
    }
    for feature in &mut features {
        feature.bounds.sort_by(f64::total_cmp);
        feature.bounds.dedup();
    }
    features
}

/// One tree on its way to paths.
struct Walker<'a> {
    shape: &'a Shape,
    features: &'a [PathFeature],
    tree: &'a Tree,
    plain: &'a Plain,
}

impl Walker<'_> {
    fn paths(&self, left: &mut usize) -> Result<Vec<Path>> {
        let known = !self.tree.cover.is_empty() && !self.is_shared();
        let mut paths = vec![];
        let mut open = vec![(self.plain.root, Vec::<Condition>::new())];
        while let Some((next, conditions)) = open.pop() {
            match next {
                Next::Leaf(leaf) => {
                    *left = left
                        .checked_sub(1)
                        .ok_or_else(|| Error::new(Kind::Limit, "the trees of the model have too many paths"))?;
                    let node = self.plain.leaves[leaf as usize];
                    let cover = known.then(|| self.tree.cover[node as usize]);
                    paths.push(Path { leaf, node, cover, conditions });
                }
                Next::Ask(ask) => {
                    let ask = &self.plain.asks[ask as usize];
                    let (feature, yes, missing_yes) = self.answer(&ask.asked);
                    for (next, is_yes) in [(ask.no, false), (ask.yes, true)] {
                        let codes = if is_yes { yes.clone() } else { complement(&yes, self.last_code(feature)) };
                        let share = known.then(|| self.cover(next) / self.tree.cover[ask.node as usize]);
                        let missing = missing_yes == is_yes && self.can_be_missing(feature);
                        let condition = Condition { feature, codes, missing, share };
                        open.push((next, merged(&conditions, condition)));
                    }
                }
            }
        }
        paths.sort_by_key(|path| path.leaf);
        Ok(paths)
    }

    /// Whether a branch or leaf has several parents.
    fn is_shared(&self) -> bool {
        let (mut asks, mut leaves) = (vec![0u32; self.plain.asks.len()], vec![0u32; self.plain.leaves.len()]);
        for next in self.plain.asks.iter().flat_map(|ask| [ask.yes, ask.no]) {
            match next {
                Next::Ask(ask) => asks[ask as usize] += 1,
                Next::Leaf(leaf) => leaves[leaf as usize] += 1,
            }
        }
        asks.into_iter().chain(leaves).any(|parents| parents > 1)
    }

    fn cover(&self, next: Next) -> f64 {
        let node = match next {
            Next::Ask(ask) => self.plain.asks[ask as usize].node,
            Next::Leaf(leaf) => self.plain.leaves[leaf as usize],
        };
        self.tree.cover[node as usize]
    }

    fn last_code(&self, feature: u32) -> u32 {
        self.features[feature as usize].bounds.len() as u32
    }

    fn can_be_missing(&self, feature: u32) -> bool {
        self.features[feature as usize].missing != Missing::Nothing
    }

    /// The feature that is asked, the codes for which the answer is yes, and whether it is for a missing value.
    fn answer(&self, asked: &Asked) -> (u32, Vec<(u32, u32)>, bool) {
        match asked {
            Asked::AtMost(column, bound) => {
                let column = &self.shape.columns[*column as usize];
                let codes = match &column.set {
                    Some(ranges) => self.codes_of(column.feature, ranges),
                    None => vec![(0, self.code(column.feature, *bound))],
                };
                (column.feature, codes, column.missing_low)
            }
            Asked::Outside(set) => {
                let set = &self.shape.sets[*set as usize];
                let inside = self.codes_of(set.feature, &set.ranges);
                (set.feature, complement(&inside, self.last_code(set.feature)), !set.missing)
            }
        }
    }

    fn code(&self, feature: u32, bound: f64) -> u32 {
        self.features[feature as usize].bounds.partition_point(|other| *other < bound) as u32
    }

    fn codes_of(&self, feature: u32, ranges: &Ranges) -> Vec<(u32, u32)> {
        let first = |after: f64| self.code(feature, after) + 1;
        ranges.iter().map(|(after, to)| (after.map_or(0, first), self.code(feature, *to))).collect()
    }
}

/// The codes up to `last` that are in none of some ranges, which ascend.
fn complement(ranges: &[(u32, u32)], last: u32) -> Vec<(u32, u32)> {
    let mut from = 0;
    let mut outside = vec![];
    for (first, to) in ranges {
        if *first > from {
            outside.push((from, first - 1));
        }
        from = to + 1;
    }
    if from <= last {
        outside.push((from, last));
    }
    outside
}

/// The conditions with one more, of which those of the same feature must hold together.
fn merged(conditions: &[Condition], with: Condition) -> Vec<Condition> {
    let mut conditions = conditions.to_vec();
    match conditions.binary_search_by_key(&with.feature, |condition| condition.feature) {
        Err(place) => conditions.insert(place, with),
        Ok(place) => {
            let condition = &mut conditions[place];
            let both = |a: &(u32, u32), b: &(u32, u32)| (a.0.max(b.0), a.1.min(b.1));
            let all = condition.codes.iter().flat_map(|a| with.codes.iter().map(move |b| both(a, b)));
            condition.codes = all.filter(|(from, to)| from <= to).collect();
            condition.missing &= with.missing;
            condition.share = condition.share.zip(with.share).map(|(a, b)| a * b);
        }
    }
    conditions
}
