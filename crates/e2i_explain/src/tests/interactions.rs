//! Interactions against their definition, over every coalition.

use std::collections::BTreeMap;
use std::rc::Rc;

use e2i_core::Kind;
use e2i_core::native::Ensemble;
use e2i_core::random::Random;

use super::{by_background, by_covers, cases, ensemble, rows};
use crate::{Attributions, Leaves, Unknown, interactions};

/// Both halves of a pair: `Σ |S|! (M - |S| - 2)! / (M - 1)! (v(S ∪ ij) - v(S ∪ i) - v(S ∪ j) + v(S))`.
fn defined(players: usize, worth: &[f64], i: usize, j: usize) -> f64 {
    let factorial = |n: usize| (1..=n).map(|k| k as f64).product::<f64>();
    let (i, j) = (1usize << i, 1usize << j);
    let without = (0..worth.len()).filter(|coalition| coalition & (i | j) == 0);
    without
        .map(|s| {
            let size = s.count_ones() as usize;
            let weight = factorial(size) * factorial(players - size - 2) / factorial(players - 1);
            weight * (worth[s | i | j] - worth[s | i] - worth[s | j] + worth[s])
        })
        .sum()
}

fn check(of: &Ensemble, row: &[f64], target: usize, worth: &[f64], got: &[(u32, u32, f64)], what: &str) {
    let got: BTreeMap<(u32, u32), f64> = got.iter().map(|(a, b, got)| ((*a, *b), *got)).collect();
    for (i, j) in (0..of.width).flat_map(|i| (i + 1..of.width).map(move |j| (i, j))) {
        let right = defined(of.width, worth, i, j);
        let ours = got.get(&(i as u32, j as u32)).copied().unwrap_or(0.0);
        assert!((ours - right).abs() <= 1e-12, "{what}, target {target}, {row:?}: {i} {j} is {ours}, right is {right}");
    }
    assert!(got.keys().all(|(a, b)| a < b && (*b as usize) < of.width - 1), "{what}: {got:?}");
}

#[test]
fn by_covers_every_coalition_counts_as_it_should() {
    cases(|random, of, what| {
        let leaves = Leaves::of(of, Some(3)).unwrap();
        let rows = rows(random, of.width, if of.width > 10 { 1 } else { 5 });
        for (row, target) in rows.chunks_exact(of.width).flat_map(|row| (0..of.targets).map(move |t| (row, t))) {
            let got = interactions(&leaves, row, target, Unknown::Covers, || false).unwrap();
            check(of, row, target, &by_covers(of, row, target, Some(3)), &got, what);
        }
    });
}

#[test]
fn against_a_background_every_coalition_counts_as_it_should() {
    cases(|random, of, what| {
        let leaves = Leaves::of(of, None).unwrap();
        let count = if of.width > 10 { 1 } else { 4 };
        let others = if of.width > 10 { 3 } else { 67 };
        let (rows, background) = (rows(random, of.width, count), rows(random, of.width, others));
        for (row, target) in rows.chunks_exact(of.width).flat_map(|row| (0..of.targets).map(move |t| (row, t))) {
            let got = interactions(&leaves, row, target, Unknown::Background(&background), || false).unwrap();
            check(of, row, target, &by_background(of, row, &background, target), &got, what);
        }
    });
}

#[test]
fn a_pair_is_a_part_of_what_both_add() {
    // Of two columns each adds half of the pair and the rest by itself; what both add is what the row has beyond the base.
    let mut random = Random(31);
    let of = ensemble(&mut random, 3, 6, 1);
    let leaves = Rc::new(Leaves::of(&of, None).unwrap());
    let made = Attributions::by_covers(Rc::clone(&leaves), 0, || false).unwrap();
    let row = rows(&mut random, 3, 1);
    let worth = by_covers(&of, &row, 0, None);
    let got = interactions(&leaves, &row, 0, Unknown::Covers, || false).unwrap();
    let pair = worth[3] - worth[1] - worth[2] + worth[0];
    let right = if pair == 0.0 { vec![] } else { vec![(0, 1)] };
    assert_eq!(got.iter().map(|(a, b, _)| (*a, *b)).collect::<Vec<_>>(), right);
    let contributions = made.of_rows(&row);
    let alone = |column: usize| contributions[column] - got.iter().map(|(_, _, got)| got / 2.0).sum::<f64>();
    assert!((alone(0) - (worth[1] - worth[0])).abs() < 1e-12 && (alone(1) - (worth[2] - worth[0])).abs() < 1e-12);
}

#[test]
fn what_has_no_interactions_is_refused() {
    let mut random = Random(8);
    let mut of = ensemble(&mut random, 5, 4, 1);
    let row = rows(&mut random, 5, 1);
    let leaves = Leaves::of(&of, None).unwrap();
    let kind = |leaves, unknown, interrupted| interactions(leaves, &row, 0, unknown, interrupted).unwrap_err().kind();
    assert_eq!(kind(&leaves, Unknown::Background(&[]), || false), Kind::BadOption);
    assert_eq!(kind(&leaves, Unknown::Covers, || true), Kind::Interrupted);
    of.trees.iter_mut().for_each(|tree| tree.cover.clear());
    assert_eq!(kind(&Leaves::of(&of, None).unwrap(), Unknown::Covers, || false), Kind::WrongState);
}
