//! Every kernel against [`Ensemble::sums`], bit for bit.

use super::*;
use crate::native::ensemble::{Aggregate, Branch, FeatureUse, Missing, Node, Test, Tree, Weight};
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
struct Style {
    trees: usize,
    leaves: usize,
    features: usize,
    targets: usize,
    /// How the leaf that is split next is found.
    chain: bool,
    /// Percent of the branches whose side is a node that exists already.
    shared: usize,
    one_each: bool,
    /// Percent of the branches that ask for a set of codes, and how many codes there are.
    sets: (usize, usize),
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

fn ensemble(random: &mut Random, style: Style) -> Ensemble {
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
fn rows(random: &mut Random, of: &Ensemble, count: usize) -> Vec<f64> {
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

fn compiled(of: &Ensemble) -> (Image, Forest) {
    let mut writer = ImageWriter::default();
    let forest = Forest::compile(of, &mut writer).unwrap();
    let (image, forest) = Image::open::<Forest>(&writer.finish(&forest).unwrap()).unwrap();
    forest.check(&image).unwrap();
    (image, forest)
}

fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

fn score(
    forest: &Forest,
    image: &Image,
    set: InstructionSet,
    input: Rows<'_>,
    (rows, blended): (usize, usize),
) -> Vec<f64> {
    let mut scratch = Scratch::default();
    match forest.added_in() {
        Precision::Single => {
            let mut out = vec![0f32; rows * forest.targets()];
            let sums = SumsMut::Single(&mut out);
            forest.sums_of(image, set, input, rows, blended, &mut scratch, sums).unwrap();
            out.into_iter().map(f64::from).collect()
        }
        Precision::Double => {
            let mut out = vec![0f64; rows * forest.targets()];
            let sums = SumsMut::Double(&mut out);
            forest.sums_of(image, set, input, rows, blended, &mut scratch, sums).unwrap();
            out
        }
    }
}

/// The kernels that a forest has, each alone: in blocks, a tree at once, coded, walked.
fn kernels(forest: &Forest, set: InstructionSet) -> Vec<(&'static str, Forest, bool)> {
    let only = |rowwise: bool, coded: bool| {
        let mut forest = forest.clone();
        forest.rowwise = forest.rowwise.filter(|_| rowwise);
        forest.coded = forest.coded.filter(|_| coded);
        forest
    };
    let mut kernels = vec![("walk", only(false, false), false)];
    if forest.coded.is_some() {
        kernels.push(("coded", only(false, true), false));
    }
    if forest.is_rowwise(set) {
        kernels.push(("a tree at once", only(true, false), false));
    }
    if forest.blend.is_some() {
        kernels.push(("blend", forest.clone(), true));
    }
    kernels
}

/// All kernels on some rows, in batches of the given sizes.
fn compare(of: &Ensemble, input: &[f64], batches: &[usize], what: &str) {
    let (image, forest) = compiled(of);
    let singles: Vec<f32> = input.iter().map(|value| *value as f32).collect();
    let widened: Vec<f64> = singles.iter().copied().map(f64::from).collect();
    let expected = |input: &[f64]| -> Vec<f64> { input.chunks_exact(of.width).flat_map(|row| of.sums(row)).collect() };
    let expected = [expected(input), expected(&widened)];
    for set in InstructionSet::available() {
        for (kernel, forest, blend) in kernels(&forest, set) {
            for batch in batches {
                let (rows, values) = (*batch, batch * of.width);
                for (input, expected) in
                    [Rows::Double(&input[..values]), Rows::Single(&singles[..values])].iter().zip(&expected)
                {
                    let got = score(&forest, &image, set, *input, (rows, if blend { rows } else { 0 }));
                    for (index, (got, expected)) in got.iter().zip(expected).enumerate() {
                        assert!(
                            same(*got, *expected),
                            "{what}: {set}, {batch} rows, {kernel}: number {index} is {got}, not {expected}"
                        );
                    }
                }
            }
        }
    }
}

const BATCHES: [usize; 10] = [1, 2, 7, 8, 31, 64, 127, 128, 129, 300];

/// How many random ensembles: `E2I_FOREST_CASES`, for a long run.
fn cases(few: usize) -> usize {
    std::env::var("E2I_FOREST_CASES").ok().and_then(|count| count.parse().ok()).unwrap_or(few)
}

const STYLES: [Style; 15] = {
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
    let of = Ensemble {
        width: 1,
        features: vec![FeatureUse { column: 0, missing: Missing::Nan }],
        trees: vec![Tree { nodes, cover: vec![] }],
        targets: 1,
        compared_in: Precision::Single,
        added_in: Precision::Single,
        aggregate: Aggregate::Sum,
        base: vec![],
        base_first: false,
    };
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
    let mut of = ensemble(&mut random, STYLES[0]);
    of.width = 3;
    of.features = (0..3).map(|column| FeatureUse { column, missing: Missing::Nan }).collect();
    of.trees = vec![Tree { nodes, cover: vec![] }; 3];
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
        let (_, forest) = compiled(&of);
        for set in InstructionSet::available() {
            kernels.extend([1, 128].map(|rows| forest.kernel(set, rows)));
        }
    }
    assert!(kernels.contains("interleaved walk") && kernels.contains("blend"), "{kernels:?}");
    if InstructionSet::best().level() == InstructionLevel::Avx512Vbmi {
        assert_eq!(kernels.len(), 6, "{kernels:?}");
    }
}

/// A damaged image is refused or scores something, but never reads what is not there.
#[test]
fn damaged_images_do_no_harm() {
    let mut refused = 0;
    for case in 0..cases(45) {
        let mut random = Random(1000 + case as u64);
        let of = ensemble(&mut random, Style { trees: 4, leaves: 12, ..STYLES[case % STYLES.len()] });
        let input = rows(&mut random, &of, 130);
        let mut writer = ImageWriter::default();
        let forest = Forest::compile(&of, &mut writer).unwrap();
        let whole = writer.finish(&forest).unwrap();
        for _ in 0..40 {
            let mut bytes = whole.clone();
            for _ in 0..=random.below(3) {
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(8);
            }
            let Ok((image, forest)) = Image::open::<Forest>(&bytes) else { continue };
            if forest.check(&image).is_err() {
                refused += 1;
                continue;
            }
            for set in InstructionSet::available() {
                if forest.width() != of.width || forest.targets() != of.targets {
                    continue;
                }
                for (_, forest, blend) in kernels(&forest, set) {
                    for rows in [1, 130] {
                        let blended = if blend { rows } else { 0 };
                        score(&forest, &image, set, Rows::Double(&input[..rows * of.width]), (rows, blended));
                    }
                }
            }
        }
    }
    assert!(refused > 50, "only {refused} were refused");
}

/// A forest of sets, whose tables are overwritten one at a time with what leads out of them.
#[test]
fn tables_of_sets_that_lead_elsewhere_are_refused() {
    for style in [10, 11, 14].map(|style| STYLES[style]) {
        let of = ensemble(&mut Random(17), style);
        let mut writer = ImageWriter::default();
        let forest = Forest::compile(&of, &mut writer).unwrap();
        let head = serde_json::to_value(&forest).unwrap();
        let whole = writer.finish(&forest).unwrap();
        let place = |path: &str| {
            let section = head.pointer(path)?.as_array()?;
            let (start, count) = (section[0].as_u64()? as usize, section[1].as_u64()?);
            let length = u32::from_le_bytes(whole[8..12].try_into().ok()?) as usize;
            (count > 0).then_some((16 + length).next_multiple_of(64) + start)
        };
        let mut tried = 0;
        for path in [
            "/classes/features",
            "/classes/class_of",
            "/classes/bits",
            "/classes/starts",
            "/blend/sets",
            "/coded/sets",
            "/coded/small_sets",
            "/coded/large_sets",
        ] {
            let Some(place) = place(path) else { continue };
            let mut bytes = whole.clone();
            bytes[place..place + 4].fill(0xff);
            let (image, forest) = Image::open::<Forest>(&bytes).unwrap();
            assert!(forest.check(&image).is_err(), "{style:?}: {path}");
            tried += 1;
        }
        assert!(tried >= 4, "{style:?}: {tried}");
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
    let (image, forest) = compiled(&of);
    let row = vec![0.0; of.width];
    let mut scratch = Scratch::default();
    let mut call = |rows: usize, out: SumsMut<'_>| {
        forest.sums(&image, InstructionSet::best(), Rows::Double(&row), rows, &mut scratch, out).is_ok()
    };
    let (mut single, mut double) = ([0f32], [0f64]);
    let right = forest.added_in() == Precision::Single;
    assert_eq!(call(1, SumsMut::Single(&mut single)), right);
    assert_eq!(call(1, SumsMut::Double(&mut double)), !right);
    assert!(!call(2, SumsMut::Single(&mut single)));
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
    let of = Ensemble {
        width: 2,
        features: (0..2).map(|column| FeatureUse { column, missing: Missing::Nan }).collect(),
        trees: vec![Tree { nodes, cover: vec![] }],
        targets: 1,
        compared_in: Precision::Single,
        added_in: Precision::Single,
        aggregate: Aggregate::Sum,
        base: vec![],
        base_first: false,
    };
    of.check().unwrap();
    assert_eq!(shape::shape(&of).unwrap().trees[0].asks.len(), 2 * COUNT as usize);
}
