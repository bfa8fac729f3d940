//! Every kernel with every sink and source against the definition of trees, bit for bit: `compare` is the one table, and a
//! new case is an ensemble and some rows.
mod damaged;
mod pruned;
mod random;

use self::random::{STYLES, Style, cases, ensemble, rows, singles};
use super::*;
use crate::native::ensemble::{Branch, Node, Test, Weight};
use crate::native::instruction_set::InstructionLevel;
use crate::random::Random;

fn compiled(of: &Ensemble) -> Forest {
    let mut writer = ImageWriter::default();
    let forest = Forest::compile(of, &mut writer).unwrap();
    let (image, mut forest) = Image::open::<Forest>(&writer.finish(&forest).unwrap()).unwrap();
    forest.open(&image).unwrap();
    forest
}

fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

/// What is asked of a forest.
#[derive(Clone, Copy, Debug)]
enum Asks {
    Sums,
    EachTree,
    LeafIndexes,
}

/// The answers of a kernel, widened.
fn answers(forest: &Forest, asks: Asks, set: InstructionSet, input: Rows<'_>, rows: (usize, usize)) -> Vec<f64> {
    let mut scratch = Scratch::default();
    let width = match asks {
        Asks::Sums => forest.targets(),
        Asks::EachTree => forest.targets() * forest.trees(),
        Asks::LeafIndexes => {
            let mut out = vec![u32::MAX; rows.0 * forest.trees()];
            forest.leaf_indexes_of(set, input, rows, &mut scratch, &mut out).unwrap();
            return out.into_iter().map(f64::from).collect();
        }
    };
    let mut write = |out: SumsMut<'_>| match asks {
        Asks::EachTree => forest.each_tree_of(set, input, rows, &mut scratch, out).unwrap(),
        _ => forest.sums_of(set, input, rows, &mut scratch, out).unwrap(),
    };
    match forest.added_in() {
        Precision::Single => {
            let mut out = vec![f32::NAN; rows.0 * width];
            write(SumsMut::Single(&mut out));
            out.into_iter().map(f64::from).collect()
        }
        Precision::Double => {
            let mut out = vec![f64::NAN; rows.0 * width];
            write(SumsMut::Double(&mut out));
            out
        }
    }
}

/// What is right, by the definition; the indexes of leaves count as tables do.
fn expected(of: &Ensemble, shape: &shape::Shape, asks: Asks, input: &[f64]) -> Vec<f64> {
    let round = |value: f64| match of.added_in {
        Precision::Single => f64::from(value as f32),
        Precision::Double => value,
    };
    let of_row = |row: &[f64]| -> Vec<f64> {
        let leaves = of.leaves(row);
        match asks {
            Asks::Sums => of.sums(row),
            Asks::LeafIndexes => {
                let index = |(plain, leaf): (&shape::Plain, &usize)| {
                    plain.leaves.iter().position(|node| *node as usize == *leaf).unwrap() as f64
                };
                shape.trees.iter().zip(&leaves).map(index).collect()
            }
            Asks::EachTree => {
                let mut out = vec![0.0; of.trees.len() * of.targets];
                for (number, (tree, leaf)) in of.trees.iter().zip(&leaves).enumerate() {
                    let Node::Leaf(weights) = &tree.nodes[*leaf] else { unreachable!() };
                    for weight in weights {
                        let sum = &mut out[number * of.targets + weight.target as usize];
                        *sum = round(*sum + weight.value);
                    }
                }
                out
            }
        }
    };
    input.chunks_exact(of.width).flat_map(of_row).collect()
}

/// The same rows, each column in a place of its own: every third cell, float32 and float64 in turn.
struct Apart(Vec<(Vec<f32>, Vec<f64>)>);

impl Apart {
    fn new(singles: &[f32], width: usize) -> Self {
        let cells = |column: usize| singles.iter().skip(column).step_by(width).flat_map(|cell| [*cell, 7.5, f32::NAN]);
        Self((0..width).map(|column| (cells(column).collect(), cells(column).map(f64::from).collect())).collect())
    }

    fn columns(&self) -> Vec<Strided<'_>> {
        let of = self.0.iter().enumerate();
        of.map(|(number, (singles, doubles))| match number % 2 {
            0 => Strided::Single(singles, 3),
            _ => Strided::Double(doubles, 3),
        })
        .collect()
    }
}

/// All kernels, sinks and sources on some rows, in batches of the given sizes.
fn compare(of: &Ensemble, input: &[f64], batches: &[usize], what: &str) {
    let forest = compiled(of);
    let shape = shape::shape(of).unwrap();
    let singles: Vec<f32> = input.iter().map(|value| *value as f32).collect();
    let widened: Vec<f64> = singles.iter().copied().map(f64::from).collect();
    let apart = Apart::new(&singles, of.width);
    let columns = apart.columns();
    // Kernels that are given a set more than they know run the same code: sinks but sums are tried with least and best.
    let ends = [InstructionSet::PORTABLE, InstructionSet::best()];
    for asks in [Asks::Sums, Asks::EachTree, Asks::LeafIndexes] {
        let [doubles, rest] = [input, &widened].map(|input| expected(of, &shape, asks, input));
        let width = doubles.len() / (input.len() / of.width).max(1);
        for set in InstructionSet::available().filter(|set| matches!(asks, Asks::Sums) || ends.contains(set)) {
            for (kernel, forest, blend) in forest.kernels(set) {
                // One batch that blocks do not fill, too, is enough for sinks that only write down what they are given.
                let ends = [batches.first(), batches.last()];
                let batches = if matches!(asks, Asks::Sums) {
                    batches.to_vec()
                } else {
                    ends.into_iter().flatten().copied().collect()
                };
                for rows in batches {
                    let values = rows * of.width;
                    let sources = [
                        ("float64", Rows::Double(&input[..values]), &doubles),
                        ("float32", Rows::Single(&singles[..values]), &rest),
                        ("columns", Rows::Columns(&columns), &rest),
                    ];
                    for (source, input, expected) in sources {
                        let got = answers(&forest, asks, set, input, (rows, if blend { rows } else { 0 }));
                        assert_eq!(got.len(), rows * width);
                        for (index, (got, expected)) in got.iter().zip(expected).enumerate() {
                            assert!(
                                same(*got, *expected),
                                "{what}: {set}, {rows} rows of {source}, {kernel}, {asks:?}: number {index} is {got}, not {expected}"
                            );
                        }
                    }
                }
            }
        }
    }
}

const BATCHES: [usize; 10] = [1, 2, 7, 8, 31, 64, 127, 128, 129, 300];
#[test]
fn every_kernel_gives_the_bits_of_the_definition() {
    for case in 0..cases(75) {
        let mut random = Random(case as u64);
        let style = STYLES[case % STYLES.len()];
        let of = ensemble(&mut random, style);
        let input = rows(&mut random, &of, 300);
        let batches: Vec<usize> =
            if case < STYLES.len() { BATCHES.to_vec() } else { vec![1, random.pick(&BATCHES), 300] };
        compare(&of, &input, &batches, &format!("case {case} {style:?}"));
    }
}

#[test]
fn more_nodes_than_narrow_places_hold() {
    let mut random = Random(7);
    let leaf = |value: f64| Node::Leaf(vec![Weight { target: 0, value }]);
    let count = 40_000u32;
    let mut nodes = vec![];
    for index in 0..count {
        let test = Test::LessEqual(f64::from(index));
        nodes.push(Node::Branch(Branch {
            feature: 0,
            test,
            missing_yes: false,
            yes: count + 1 + index,
            no: index + 1,
        }));
    }
    nodes.push(leaf(-1.0));
    nodes.extend((0..count).map(|index| leaf(f64::from(index))));
    let of = singles(1, vec![nodes]);
    let mut input: Vec<f64> = (0..4).map(|_| random.below(50_000) as f64).collect();
    input.push(f64::NAN);
    compare(&of, &input, &[1, 5], "a long chain");
}

/// A ladder of shared nodes has 2^40 ways through it; tables and time must not follow them.
#[test]
fn shared_nodes_do_not_multiply() {
    let mut nodes = vec![];
    for level in 0..40u32 {
        for _ in 0..2 {
            let test = Test::Less(f64::from(level) - 20.0);
            let (yes, no) = (2 * level + 2, 2 * level + 3);
            let branch = Branch { feature: level % 3, test, missing_yes: true, yes, no };
            nodes.push(Node::Branch(branch));
        }
    }
    nodes.extend([1.0, 2.0].map(|value| Node::Leaf(vec![Weight { target: 0, value }])));
    let mut random = Random(3);
    let of = singles(3, vec![nodes; 3]);
    let input = rows(&mut random, &of, 130);
    compare(&of, &input, &[1, 130], "a ladder");
    let mut writer = ImageWriter::default();
    let forest = Forest::compile(&of, &mut writer).unwrap();
    assert!(writer.finish(&forest).unwrap().len() < 100_000);
}

/// Every kernel is met by the shapes above.
#[test]
fn the_kernel_follows_from_shape_rows_and_instructions() {
    let mut random = Random(1);
    let mut kernels = std::collections::BTreeSet::new();
    for style in STYLES[..10].iter().cycle().take(80) {
        let of = ensemble(&mut random, *style);
        let forest = compiled(&of);
        for set in InstructionSet::available() {
            kernels.extend([1, 128].map(|rows| forest.kernel(set, rows)));
        }
    }
    assert!(kernels.contains("interleaved walk") && kernels.contains("blend"), "{kernels:?}");
    if InstructionSet::best().level() == InstructionLevel::Avx512Vbmi {
        assert_eq!(kernels.len(), 6, "{kernels:?}");
    }
}
/// A model of categories as libraries train them is not one column a set.
#[test]
fn sets_are_asked_for_at_the_branch_unless_they_are_few() {
    let shapes = [STYLES[10], Style { trees: 2, leaves: 4, ..STYLES[10] }];
    let shapes = shapes.map(|style| shape::shape(&ensemble(&mut Random(3), style)).unwrap());
    assert!(shapes[0].sets.len() > 100 && shapes[0].columns.is_empty());
    assert!(shapes[1].sets.is_empty() && shapes[1].columns.iter().any(|column| column.set.is_some()));
}
#[test]
fn what_is_given_must_fit() {
    let of = ensemble(&mut Random(5), STYLES[0]);
    let forest = compiled(&of);
    let row = vec![0.0; of.width];
    let mut scratch = Scratch::default();
    let mut call = |rows: usize, out: SumsMut<'_>| {
        forest.sums(InstructionSet::best(), Rows::Double(&row), rows, &mut scratch, out).is_ok()
    };
    let (mut single, mut double) = ([0f32], [0f64]);
    let right = forest.added_in() == Precision::Single;
    assert_eq!(call(1, SumsMut::Single(&mut single)), right);
    assert_eq!(call(1, SumsMut::Double(&mut double)), !right);
    assert!(!call(2, SumsMut::Single(&mut single)));
    let column = [Strided::Double(&row, 1)];
    let too_few = vec![column[0]; of.width - 1];
    let short = vec![Strided::Single(&[], 1); of.width];
    for columns in [&too_few, &short] {
        let input = Rows::Columns(columns);
        assert!(forest.leaf_indexes(InstructionSet::best(), input, 1, &mut Scratch::default(), &mut [0; 13]).is_err());
    }
    assert!(!call(usize::MAX, SumsMut::Double(&mut double)));
}

#[test]
fn no_trees_are_a_forest() {
    let mut of = ensemble(&mut Random(5), STYLES[5]);
    of.trees.clear();
    let input = vec![1.0; 130 * of.width];
    compare(&of, &input, &[1, 130], "no trees");
}

#[test]
fn a_set_that_others_enter_in_the_middle_is_not_read_once_for_each() {
    // A chain of tests of membership, and a branch into each of its places: joined, they would be n²/2 members.
    const COUNT: u32 = 100_000;
    let leaf = |value| Node::Leaf(vec![Weight { target: 0, value }]);
    let branch = |feature, test, yes, no| Node::Branch(Branch { feature, test, missing_yes: false, yes, no });
    // The branches are the first nodes, the chain follows, then two leaves.
    let (found, lost) = (2 * COUNT, 2 * COUNT + 1);
    let chain = |place: u32| if place == COUNT { lost } else { COUNT + place };
    let mut nodes = vec![];
    for place in 0..COUNT {
        let no = if place + 1 == COUNT { lost } else { place + 1 };
        nodes.push(branch(1, Test::LessEqual(f64::from(place)), chain(place), no));
    }
    for place in 0..COUNT {
        let member = f64::from(place);
        nodes.push(branch(0, Test::Member(vec![(member, member)]), found, chain(place + 1)));
    }
    nodes.extend([leaf(1.0), leaf(0.0)]);
    let of = singles(2, vec![nodes]);
    of.check().unwrap();
    assert_eq!(shape::shape(&of).unwrap().trees[0].asks.len(), 2 * COUNT as usize);
}
