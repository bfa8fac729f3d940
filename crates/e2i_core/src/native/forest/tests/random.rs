//! Random ensembles and rows that lie where branches part.

use crate::native::ensemble::{Aggregate, Branch, Ensemble, FeatureUse, Missing, Node, Precision, Test, Tree, Weight};
use crate::random::Random;

const SPECIAL: [f64; 12] = [
    0.0,
    -0.0,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
    1e-46,
    -1e-40,
    1e-35,
    -1e-36,
    f32::MAX as f64,
    f64::MAX,
    16_777_217.0,
];

/// A number that thresholds and rows have in common often enough to meet.
fn number(random: &mut Random) -> f64 {
    match random.below(10) {
        0 => random.pick(&SPECIAL),
        1..=4 => random.below(9) as f64 - 4.0,
        5..=7 => f64::from((random.unit() * 4.0) as f32),
        _ => random.unit() * 4.0,
    }
}

/// A set of codes, each a number or what begins with it.
fn set(random: &mut Random, codes: usize) -> Test {
    let (share, whole) = (10 + random.below(80), random.chance(50));
    let kept = (0..codes).map(|code| code as f64 - 2.0).filter(|_| random.chance(share));
    Test::Member(kept.map(|code| (code, if whole { code } else { code.next_up() + 0.75 })).collect())
}

fn test(random: &mut Random, style: Style) -> Test {
    if random.chance(style.sets.0) {
        return set(random, style.sets.1);
    }
    match random.below(10) {
        0..=3 => Test::Less(number(random)),
        4..=7 => Test::LessEqual(number(random)),
        _ => {
            let mut ends: Vec<f64> = (0..2 * random.below(5)).map(|_| number(random)).filter(|x| !x.is_nan()).collect();
            ends.sort_by(f64::total_cmp);
            ends.dedup_by(|a, b| a == b);
            if random.chance(50) {
                return Test::Member(ends.iter().map(|end| (*end, *end)).collect());
            }
            Test::Member(ends.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
        }
    }
}

/// What an ensemble looks like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub trees: usize,
    pub leaves: usize,
    pub features: usize,
    pub targets: usize,
    /// How the leaf that is split next is found.
    pub chain: bool,
    /// Percent of the branches whose side is a node that exists already.
    pub shared: usize,
    pub one_each: bool,
    /// Percent of the branches that ask for a set of codes, and how many codes there are.
    pub sets: (usize, usize),
}

fn tree(random: &mut Random, style: Style, number_of_tree: usize, single: bool) -> Tree {
    let mut nodes = vec![];
    let weights = |random: &mut Random| -> Vec<Weight> {
        let value = |random: &mut Random| {
            let value = if random.chance(5) { random.pick(&[0.0, -0.0, 1e30, -1e-40]) } else { random.unit() };
            if single { f64::from(value as f32) } else { value }
        };
        if style.one_each {
            return vec![Weight { target: (number_of_tree % style.targets) as u32, value: value(random) }];
        }
        let count = random.below(style.targets + 2);
        (0..count).map(|_| Weight { target: random.below(style.targets) as u32, value: value(random) }).collect()
    };
    // Grown from the leaves up, so that a node can be shared with any that comes later.
    let leaves = 1 + random.below(style.leaves);
    let mut open: Vec<u32> = (0..leaves)
        .map(|_| {
            nodes.push(Node::Leaf(weights(random)));
            nodes.len() as u32 - 1
        })
        .collect();
    while open.len() > 1 {
        let first = if style.chain { open.len() - 1 } else { random.below(open.len()) };
        let yes = open.swap_remove(first);
        let second = if style.chain { open.len() - 1 } else { random.below(open.len()) };
        let no = open.swap_remove(second);
        let (yes, no) = if random.chance(style.shared) { (yes, random.below(nodes.len()) as u32) } else { (yes, no) };
        let (yes, no) = if random.chance(50) { (yes, no) } else { (no, yes) };
        let feature = random.below(style.features) as u32;
        nodes.push(Node::Branch(Branch {
            feature,
            test: test(random, style),
            missing_yes: random.chance(50),
            yes,
            no,
        }));
        open.push(nodes.len() as u32 - 1);
    }
    // The root comes first.
    let last = nodes.len() as u32 - 1;
    nodes.swap(0, last as usize);
    let moved = |at: &mut u32| {
        if *at == 0 {
            *at = last;
        } else if *at == last {
            *at = 0;
        }
    };
    for node in &mut nodes {
        if let Node::Branch(branch) = node {
            moved(&mut branch.yes);
            moved(&mut branch.no);
        }
    }
    Tree { nodes, cover: vec![] }
}

/// Trees that add to one target in float32, of which only NaN is missing.
pub(super) fn singles(width: u32, trees: Vec<Vec<Node>>) -> Ensemble {
    Ensemble {
        width: width as usize,
        features: (0..width).map(|column| FeatureUse { column, missing: Missing::Nan }).collect(),
        trees: trees.into_iter().map(|nodes| Tree { nodes, cover: vec![] }).collect(),
        targets: 1,
        compared_in: Precision::Single,
        added_in: Precision::Single,
        aggregate: Aggregate::Sum,
        base: vec![],
        base_first: false,
    }
}

pub(super) fn ensemble(random: &mut Random, style: Style) -> Ensemble {
    let compared_in = random.pick(&[Precision::Single, Precision::Double]);
    let added_in = random.pick(&[Precision::Single, Precision::Double]);
    let width = 1 + random.below(style.features);
    let rules = [Missing::Nan, Missing::Nothing, Missing::NanAndZero];
    let mixed = random.chance(30);
    let features = (0..style.features)
        .map(|_| FeatureUse {
            column: random.below(width) as u32,
            missing: if mixed { random.pick(&rules) } else { Missing::Nan },
        })
        .collect();
    let single = added_in == Precision::Single;
    let base =
        if random.chance(50) { vec![] } else { (0..style.targets).map(|_| 0.5 - random.below(3) as f64).collect() };
    let aggregates = [Aggregate::Sum, Aggregate::Sum, Aggregate::Average, Aggregate::Min, Aggregate::Max];
    Ensemble {
        width,
        features,
        trees: (0..style.trees).map(|number| tree(random, style, number, single)).collect(),
        targets: style.targets,
        compared_in,
        added_in,
        aggregate: random.pick(&aggregates),
        base,
        base_first: random.chance(30),
    }
}
/// Rows that lie on thresholds, just beside them, and anywhere.
pub(super) fn rows(random: &mut Random, of: &Ensemble, count: usize) -> Vec<f64> {
    let mut known = vec![0.0];
    for node in of.trees.iter().flat_map(|tree| &tree.nodes) {
        match node {
            Node::Branch(Branch { test: Test::Less(t) | Test::LessEqual(t), .. }) => known.push(*t),
            Node::Branch(Branch { test: Test::Member(intervals), .. }) => {
                known.extend(intervals.iter().flat_map(|(low, high)| [*low, *high]));
            }
            Node::Leaf(_) => {}
        }
    }
    (0..count * of.width)
        .map(|_| {
            let near = random.pick(&known);
            match random.below(8) {
                0 => number(random),
                1 => f64::NAN,
                2 => f64::from((near as f32).next_up()),
                3 => f64::from((near as f32).next_down()),
                4 => near.next_up(),
                5 => near.next_down(),
                6 => random.unit() * 5.0,
                _ => near,
            }
        })
        .collect()
}
/// How many random ensembles: `E2I_FOREST_CASES`, for a long run.
pub(super) fn cases(few: usize) -> usize {
    std::env::var("E2I_FOREST_CASES").ok().and_then(|count| count.parse().ok()).unwrap_or(few)
}

pub(super) const STYLES: [Style; 15] = {
    let usual =
        Style { trees: 13, leaves: 31, features: 7, targets: 1, chain: false, shared: 0, one_each: true, sets: (0, 0) };
    [
        usual,
        Style { trees: 30, leaves: 12, features: 70, ..usual },
        Style { trees: 25, leaves: 3, features: 3, ..usual },
        Style { trees: 5, leaves: 256, features: 12, ..usual },
        Style { trees: 3, leaves: 700, features: 5, ..usual },
        Style { trees: 9, leaves: 40, targets: 3, ..usual },
        Style { trees: 9, leaves: 40, targets: 3, one_each: false, ..usual },
        Style { trees: 6, leaves: 120, chain: true, ..usual },
        Style { trees: 12, leaves: 60, shared: 30, ..usual },
        Style { trees: 1, leaves: 1, features: 1, ..usual },
        Style { trees: 20, leaves: 20, features: 4, sets: (100, 30), ..usual },
        Style { trees: 26, leaves: 30, features: 6, sets: (60, 300), ..usual },
        Style { trees: 5, leaves: 40, features: 4, sets: (70, 900), shared: 20, ..usual },
        Style { trees: 3, leaves: 60, features: 2, sets: (90, 1100), targets: 3, one_each: false, ..usual },
        Style { trees: 2, leaves: 400, features: 3, sets: (50, 2100), ..usual },
    ]
};
