//! Forests read back and without decided branches: the same bits for every row, whether it is as it was said to be or not.

use super::random::{STYLES, cases, ensemble, rows, singles};
use super::{Asks, answers, compiled, same};
use crate::known::Numbers;
use crate::native::ensemble::{Branch, Ensemble, Missing, Node, Test, Weight};
use crate::native::forest::{Forest, Rows, Strided};
use crate::native::instruction_set::InstructionSet;
use crate::random::Random;

/// What is said of some columns: ranges that begin and end where branches part, or anywhere.
fn known(random: &mut Random, of: &Ensemble, input: &[f64]) -> Vec<(usize, Numbers)> {
    let columns: Vec<usize> = (0..of.width).filter(|_| random.chance(40)).collect();
    let some = |random: &mut Random, column: usize| input[random.below(input.len() / of.width) * of.width + column];
    columns
        .into_iter()
        .map(|column| {
            let ranges: Vec<(f64, f64)> = (0..1 + random.below(3))
                .map(|_| {
                    let (a, b) = (some(random, column), some(random, column));
                    if random.chance(40) { (a, a) } else { (a.min(b), a.max(b)) }
                })
                .collect();
            (column, Numbers::of(ranges, random.chance(30)))
        })
        .collect()
}

/// Rows that are as it is said: numbers moved into the nearest range.
fn within(random: &mut Random, width: usize, known: &[(usize, Numbers)], input: &[f64]) -> Vec<f64> {
    let mut input = input.to_vec();
    for row in input.chunks_exact_mut(width) {
        for (column, numbers) in known {
            let cell = &mut row[*column];
            if numbers.hold(*cell) {
                continue;
            }
            *cell = match numbers.ranges.as_slice() {
                [] => f64::NAN,
                ranges => {
                    let (low, high) = random.pick(ranges);
                    if *cell < low { low } else { high }
                }
            };
        }
    }
    input
}

/// Every kernel of a forest on some rows, against the definition.
fn compare(of: &Ensemble, forest: &Forest, input: &[f64], what: &str) {
    let count = input.len() / of.width;
    let narrow: Vec<f32> = input.iter().map(|value| *value as f32).collect();
    let wide: Vec<f64> = narrow.iter().copied().map(f64::from).collect();
    let columns: Vec<Strided<'_>> = (0..of.width).map(|at| Strided::Single(&narrow[at..], of.width)).collect();
    let expected = |input: &[f64]| input.chunks_exact(of.width).flat_map(|row| of.sums(row)).collect::<Vec<f64>>();
    let (exact, rounded) = (expected(input), expected(&wide));
    for set in InstructionSet::available() {
        for (kernel, forest, blend) in forest.kernels(set) {
            let blended = if blend { count } else { 0 };
            let sources =
                [(Rows::Double(input), &exact), (Rows::Single(&narrow), &rounded), (Rows::Columns(&columns), &rounded)];
            for (input, expected) in sources {
                let got = answers(&forest, Asks::Sums, set, input, (count, blended));
                for (index, (got, expected)) in got.iter().zip(expected).enumerate() {
                    assert!(same(*got, *expected), "{what}: {set}, {kernel}: {index} is {got}, not {expected}");
                }
            }
        }
    }
}

#[test]
fn an_ensemble_is_read_back_from_tables() {
    for case in 0..cases(2 * STYLES.len()) {
        let mut random = Random(7_000 + case as u64);
        let of = ensemble(&mut random, STYLES[case % STYLES.len()]);
        let input = rows(&mut random, &of, 40);
        let forest = compiled(&of);
        let back = forest.ensemble().unwrap();
        for row in input.chunks_exact(of.width) {
            let (expected, got) = (of.sums(row), back.sums(row));
            assert!(expected.iter().zip(&got).all(|(a, b)| same(*a, *b)), "case {case}: {got:?}, not {expected:?}");
        }
    }
}

#[test]
fn what_is_left_for_rows_of_which_something_is_known_gives_the_same_bits() {
    let mut pruned_some = 0;
    for case in 0..cases(4 * STYLES.len()) {
        let mut random = Random(9_000 + case as u64);
        let of = ensemble(&mut random, STYLES[case % STYLES.len()]);
        let input = rows(&mut random, &of, 130);
        let known = known(&mut random, &of, &input);
        let what = format!("case {case}, {known:?}");
        let forest = compiled(&of);
        let Some(narrowed) = forest.pruned(&known).unwrap() else { continue };
        let (before, after) = narrowed.branches();
        assert!(after < before, "{what}");
        pruned_some += 1;
        let inside = within(&mut random, of.width, &known, &input);
        // Of no range at all there is no such row.
        if known.iter().all(|(_, numbers)| !numbers.ranges.is_empty() || numbers.nan) {
            let pruned = narrowed.pruned.clone().unwrap();
            // As float64, and as the float32 beside it.
            let fits = |row: &[f64]| {
                let narrow: Vec<f32> = row.iter().map(|value| *value as f32).collect();
                pruned.fits(Rows::Double(row), 1) && pruned.fits(Rows::Single(&narrow), 1)
            };
            let right: Vec<f64> = inside.chunks_exact(of.width).filter(|row| fits(row)).flatten().copied().collect();
            if !right.is_empty() {
                compare(&of, &pruned.forest, &right, &what);
            }
        }
        // Rows of both kinds through the door of all.
        let mut mixed = inside;
        let half = mixed.len() / of.width / 2 * of.width;
        mixed[half..].copy_from_slice(&input[half..]);
        for rows in [mixed.as_slice(), &mixed[..half], &mixed[..of.width]] {
            let count = rows.len() / of.width;
            let set = InstructionSet::best();
            let mut scratch = super::Scratch::default();
            let expected: Vec<f64> = rows.chunks_exact(of.width).flat_map(|row| of.sums(row)).collect();
            let mut got = vec![0.0; expected.len()];
            let mut single = vec![0.0f32; expected.len()];
            let out = match of.added_in {
                super::Precision::Double => super::SumsMut::Double(&mut got),
                super::Precision::Single => super::SumsMut::Single(&mut single),
            };
            narrowed.sums(set, Rows::Double(rows), count, &mut scratch, out).unwrap();
            if of.added_in == super::Precision::Single {
                got = single.into_iter().map(f64::from).collect();
            }
            assert!(expected.iter().zip(&got).all(|(a, b)| same(*a, *b)), "{what}: {got:?}, not {expected:?}");
        }
    }
    assert!(pruned_some > STYLES.len());
}

fn stump(missing: Missing, test: Test, missing_yes: bool) -> Forest {
    let leaf = |value| Node::Leaf(vec![Weight { target: 0, value }]);
    let branch = Node::Branch(Branch { feature: 0, test, missing_yes, yes: 1, no: 2 });
    let mut of = singles(1, vec![vec![branch, leaf(1.0), leaf(2.0)]]);
    of.features[0].missing = missing;
    compiled(&of)
}

#[test]
fn a_branch_is_decided_only_where_all_that_is_possible_goes_one_way() {
    let is_decided = |missing, test: Test, ranges: &[(f64, f64)], nan| {
        let known = [(0, Numbers::of(ranges.iter().copied(), nan))];
        stump(missing, test, true).pruned(&known).unwrap().is_some()
    };
    let at_most = |bound| Test::LessEqual(bound);
    assert!(is_decided(Missing::Nan, at_most(5.0), &[(1.0, 5.0)], false));
    assert!(!is_decided(Missing::Nan, at_most(5.0), &[(1.0, f64::from(5.0f32.next_up()))], false));
    // What is above 5 as float64 may be 5 as float32, in which it is compared.
    assert!(is_decided(Missing::Nan, at_most(5.0), &[(1.0, 5.0f64.next_up())], false));
    assert!(!is_decided(Missing::Nan, at_most(5.0), &[(5.0f64.next_up(), 9.0)], false));
    // A missing value goes to the yes side.
    assert!(is_decided(Missing::Nan, at_most(5.0), &[(1.0, 5.0)], true));
    assert!(!is_decided(Missing::Nan, at_most(5.0), &[(6.0, 7.0)], true));
    assert!(is_decided(Missing::Nan, at_most(5.0), &[], true));
    // Nothing is possible: nobody knows anything.
    assert!(!is_decided(Missing::Nan, at_most(5.0), &[], false));
    // Zero is missing, NaN is zero.
    assert!(is_decided(Missing::NanAndZero, at_most(-5.0), &[(0.0, 0.0)], false));
    assert!(!is_decided(Missing::NanAndZero, at_most(-5.0), &[(0.0, 1.0)], false));
    assert!(is_decided(Missing::Nothing, at_most(-5.0), &[], true));
    assert!(is_decided(Missing::Nan, at_most(0.0), &[(-0.0, 0.0)], false));
    let member = || Test::Member(vec![(1.0, 2.0), (4.0, 4.0)]);
    assert!(is_decided(Missing::Nan, member(), &[(1.0, 1.5), (4.0, 4.0)], false));
    assert!(is_decided(Missing::Nan, member(), &[(2.5, 3.0)], false));
    assert!(!is_decided(Missing::Nan, member(), &[(2.0, 3.0)], false));
}

#[test]
fn of_a_forest_is_relied_upon_only_what_has_decided_something() {
    let forest = stump(Missing::Nan, Test::LessEqual(5.0), false);
    let of = forest.pruned(&[(0, Numbers::any())]).unwrap();
    assert!(of.is_none());
    let pruned = forest.pruned(&[(0, Numbers::of([(1.0, 2.0)], false))]).unwrap().unwrap();
    assert_eq!((pruned.branches(), forest.branches()), ((1, 0), (1, 1)));
}
