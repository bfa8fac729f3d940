//! Attributions against their definition: the game itself, played in float64 over every coalition.

mod interactions;

use std::rc::Rc;

use e2i_core::Kind;
use e2i_core::native::{Aggregate, Branch, Ensemble, FeatureUse, Missing, Node, Precision, Test, Tree, Weight};
use e2i_core::random::Random;

use crate::{Attributions, Leaves, of_game};

const NUMBERS: [f64; 9] = [0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e-36, 0.1, 16_777_217.0, 2.5];

fn number(random: &mut Random) -> f64 {
    if random.chance(40) { random.pick(&NUMBERS) } else { random.unit() * 4.0 - 1.0 }
}

fn threshold(random: &mut Random) -> f64 {
    let number = number(random);
    if number.is_nan() { 0.5 } else { number }
}

fn test(random: &mut Random) -> Test {
    match random.below(6) {
        0..=2 => Test::Less(threshold(random)),
        3..=4 => Test::LessEqual(threshold(random)),
        _ => Test::Member(
            (-1..3).filter(|_| random.chance(50)).map(|code| (f64::from(code), f64::from(code) + 0.7)).collect(),
        ),
    }
}

/// A tree whose nodes are random, each with its cover.
fn grow(random: &mut Random, of: &Ensemble, depth: usize, cover: f64, tree: &mut Tree) -> u32 {
    let at = tree.nodes.len();
    tree.nodes.push(Node::Leaf(vec![]));
    tree.cover.push(cover);
    if depth == 0 || random.chance(12) {
        let targets: Vec<u32> = (0..of.targets as u32).filter(|_| random.chance(80)).collect();
        let weights = targets.into_iter().map(|target| Weight { target, value: random.unit() * 2.0 - 1.0 });
        tree.nodes[at] = Node::Leaf(weights.collect());
        return at as u32;
    }
    let feature = random.below(of.features.len()) as u32;
    let share = if random.chance(10) { 0.0 } else { random.share() };
    let test = test(random);
    let missing_yes = random.chance(50);
    let yes = grow(random, of, depth - 1, cover * share, tree);
    let no = grow(random, of, depth - 1, cover * (1.0 - share), tree);
    tree.nodes[at] = Node::Branch(Branch { feature, test, missing_yes, yes, no });
    at as u32
}

/// Trees over `width` columns, of which the first is read in all ways there are and the last by nobody.
fn ensemble(random: &mut Random, width: usize, depth: usize, targets: usize) -> Ensemble {
    let missing = [Missing::Nan, Missing::Nothing, Missing::NanAndZero];
    let mut features: Vec<FeatureUse> =
        missing.iter().map(|missing| FeatureUse { column: 0, missing: *missing }).collect();
    features.extend((1..width as u32 - 1).map(|column| FeatureUse { column, missing: missing[column as usize % 3] }));
    let mut of = Ensemble {
        width,
        features,
        trees: vec![],
        targets,
        compared_in: if random.chance(50) { Precision::Single } else { Precision::Double },
        added_in: Precision::Double,
        aggregate: if random.chance(30) { Aggregate::Average } else { Aggregate::Sum },
        base: (0..targets).map(|_| random.unit()).collect(),
        base_first: random.chance(50),
    };
    for _ in 0..4 {
        let mut tree = Tree::default();
        grow(random, &of, depth, 100.0, &mut tree);
        of.trees.push(tree);
    }
    of
}

fn rows(random: &mut Random, width: usize, count: usize) -> Vec<f64> {
    (0..width * count).map(|_| number(random)).collect()
}

/// A row whose leaf is `at` or below: where the coalition has the column the row decides, else both ways count by their cover.
fn expected(
    of: &Ensemble,
    tree: &Tree,
    at: usize,
    leaf: &dyn Fn(u32, &Branch) -> bool,
    coalition: usize,
    target: u32,
) -> f64 {
    match &tree.nodes[at] {
        Node::Leaf(weights) => weights.iter().filter(|weight| weight.target == target).map(|weight| weight.value).sum(),
        Node::Branch(branch) => {
            let (yes, no) = (branch.yes as usize, branch.no as usize);
            let way = |at| expected(of, tree, at, leaf, coalition, target);
            if coalition >> of.features[branch.feature as usize].column & 1 == 1 {
                return way(if leaf(branch.feature, branch) { yes } else { no });
            }
            let all = tree.cover[at];
            let share = if all > 0.0 { tree.cover[yes] / all } else { 0.5 };
            let rest = if all > 0.0 { tree.cover[no] / all } else { 0.5 };
            share * way(yes) + rest * way(no)
        }
    }
}

/// Whether a row goes to `yes` at a branch.
fn goes(of: &Ensemble, row: &[f64], branch: &Branch) -> bool {
    let value = of.value(row, of.features[branch.feature as usize]);
    value.map_or(branch.missing_yes, |value| branch.test.holds(value))
}

/// What sums are scaled and moved by.
fn finished(of: &Ensemble, sum: f64, target: usize, divisor: Option<u32>) -> f64 {
    let count = if of.aggregate == Aggregate::Average { of.trees.len() as f64 } else { 1.0 };
    let base = of.base[target];
    let all = if of.base_first { (sum + base) / count } else { sum / count + base };
    all / f64::from(divisor.unwrap_or(1))
}

fn by_covers(of: &Ensemble, row: &[f64], target: usize, divisor: Option<u32>) -> Vec<f64> {
    let worth: Vec<f64> = (0..1usize << of.width)
        .map(|coalition| {
            let goes = |_, branch: &Branch| goes(of, row, branch);
            let sum = of.trees.iter().map(|tree| expected(of, tree, 0, &goes, coalition, target as u32)).sum();
            finished(of, sum, target, divisor)
        })
        .collect();
    worth
}

fn by_background(of: &Ensemble, row: &[f64], background: &[f64], target: usize) -> Vec<f64> {
    let count = background.len() / of.width;
    let sum = |row: &[f64]| -> f64 {
        let leaves = of.trees.iter().zip(of.leaves(row));
        let weights = leaves.map(|(tree, leaf)| match &tree.nodes[leaf] {
            Node::Leaf(weights) => weights.iter().filter(|w| w.target as usize == target).map(|w| w.value).sum(),
            Node::Branch(_) => 0.0,
        });
        finished(of, weights.sum(), target, None)
    };
    let mixed = |coalition: usize, other: &[f64]| -> Vec<f64> {
        (0..of.width).map(|column| if coalition >> column & 1 == 1 { row[column] } else { other[column] }).collect()
    };
    let mean = |coalition| background.chunks_exact(of.width).map(|other| sum(&mixed(coalition, other))).sum::<f64>();
    (0..1usize << of.width).map(|coalition| mean(coalition) / count as f64).collect()
}

fn check(of: &Ensemble, made: &Attributions, rows: &[f64], worth: impl Fn(&[f64], usize) -> Vec<f64>, what: &str) {
    let all = made.of_rows(rows);
    for (index, row) in rows.chunks_exact(of.width).enumerate() {
        for target in 0..of.targets {
            let worth = worth(row, target);
            let right = of_game(of.width, &worth);
            let got = &all[(index * of.targets + target) * of.width..][..of.width];
            let close = |a: f64, b: f64| (a - b).abs() <= 1e-12;
            assert!(right.iter().zip(got).all(|(a, b)| close(*a, *b)), "{what}: {got:?}, right is {right:?}");
            assert!(close(made.base()[target], worth[0]), "{what}: base {} of {}", made.base()[target], worth[0]);
            let sum = made.base()[target] + got.iter().sum::<f64>();
            assert!(close(sum, worth[worth.len() - 1]), "{what}: {sum} of {}", worth[worth.len() - 1]);
            assert_eq!(got[of.width - 1], 0.0, "{what}: a column that nobody reads");
        }
    }
}

/// With tables of all leaves, of some, and of none.
const BYTES: [usize; 3] = [usize::MAX, 20_000, 0];

fn cases(mut case: impl FnMut(&mut Random, &Ensemble, &str)) {
    for (number, (width, depth, targets)) in
        [(4, 3, 1), (5, 5, 2), (6, 8, 1), (3, 0, 1), (7, 4, 3), (11, 12, 1)].into_iter().enumerate()
    {
        let mut random = Random(900 + number as u64);
        let of = ensemble(&mut random, width, depth, targets);
        case(&mut random, &of, &format!("{width} columns, depth {depth}, {targets} targets"));
    }
}

#[test]
fn by_covers_every_coalition_counts_as_it_should() {
    cases(|random, of, what| {
        let divisor = random.chance(50).then_some(3);
        let leaves = Rc::new(Leaves::of(of, divisor).unwrap());
        let count = if of.width > 10 { 1 } else { 7 };
        let rows = rows(random, of.width, count);
        for bytes in BYTES {
            let made = Attributions::by_covers(Rc::clone(&leaves), bytes, || false).unwrap();
            check(of, &made, &rows, |row, target| by_covers(of, row, target, divisor), what);
        }
    });
}

#[test]
fn against_a_background_every_coalition_counts_as_it_should() {
    cases(|random, of, what| {
        let leaves = Rc::new(Leaves::of(of, None).unwrap());
        let count = if of.width > 10 { 1 } else { 5 };
        let (rows, background) = (rows(random, of.width, count), rows(random, of.width, 3));
        for bytes in BYTES {
            let made = Attributions::by_background(Rc::clone(&leaves), &background, bytes, || false).unwrap();
            check(of, &made, &rows, |row, target| by_background(of, row, &background, target), what);
        }
    });
}

#[test]
fn what_is_scaled_is_the_mean_over_single_rows_each_in_its_proportion() {
    let mut random = Random(21);
    let of = ensemble(&mut random, 6, 6, 2);
    let leaves = Rc::new(Leaves::of(&of, None).unwrap());
    let (row, background) = (rows(&mut random, 6, 1), rows(&mut random, 6, 5));
    let made = Attributions::by_background(Rc::clone(&leaves), &background, 0, || false).unwrap();
    let link = crate::Link::Logistic(1.0);
    for target in 0..2 {
        let mut right = [0.0; 6];
        for other in background.chunks_exact(6) {
            let one = Attributions::by_background(Rc::clone(&leaves), other, 0, || false).unwrap();
            let factor = link.moves(leaves.sums(&row)[target], leaves.sums(other)[target]) / 5.0;
            let added = one.of_rows(&row);
            right.iter_mut().zip(&added[target * 6..]).for_each(|(right, added)| *right += factor * added);
        }
        let got = made.scaled(&row, target, |own, other| link.moves(own, other)).unwrap();
        assert!(right.iter().zip(&got).all(|(a, b)| (a - b).abs() < 1e-14), "{got:?} {right:?}");
    }
}

#[test]
fn a_row_has_the_same_bits_alone_and_beside_others() {
    let mut random = Random(7);
    let of = ensemble(&mut random, 6, 6, 2);
    let made = Attributions::by_covers(Rc::new(Leaves::of(&of, None).unwrap()), 20_000, || false).unwrap();
    let rows = rows(&mut random, 6, 150);
    let together = made.of_rows(&rows);
    let alone: Vec<f64> = rows.chunks_exact(6).flat_map(|row| made.of_rows(row)).collect();
    assert_eq!(together, alone);
}

#[test]
fn what_has_no_attributions_is_refused() {
    let mut random = Random(8);
    let of = ensemble(&mut random, 5, 4, 1);
    let mut bare = of.clone();
    bare.trees.iter_mut().for_each(|tree| tree.cover.clear());
    let leaves = Rc::new(Leaves::of(&bare, None).unwrap());
    assert_eq!(Attributions::by_covers(Rc::clone(&leaves), 0, || false).unwrap_err().kind(), Kind::WrongState);
    assert_eq!(Attributions::by_background(leaves, &[], 0, || false).unwrap_err().kind(), Kind::BadOption);
    let leaves = Rc::new(Leaves::of(&of, None).unwrap());
    assert_eq!(Attributions::by_covers(leaves, 0, || true).unwrap_err().kind(), Kind::Interrupted);
    let least = Ensemble { aggregate: Aggregate::Min, ..of };
    assert_eq!(Leaves::of(&least, None).unwrap_err().kind(), Kind::Unsupported);
}
