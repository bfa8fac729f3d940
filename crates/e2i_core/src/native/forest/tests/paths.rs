//! Paths against the leaves that rows reach.

use super::compiled;
use super::random::{STYLES, Style, cases, ensemble, rows, singles};
use crate::error::Kind;
use crate::native::ensemble::{Branch, Ensemble, Node, Test, Weight};
use crate::native::forest::{Condition, Path, Paths, Rows, Scratch};
use crate::native::instruction_set::InstructionSet;
use crate::random::Random;

/// What ends at each node, counted.
fn covered(of: &mut Ensemble, input: &[f64]) {
    for tree in &mut of.trees {
        tree.cover = vec![0.0; tree.nodes.len()];
    }
    for row in input.chunks_exact(of.width) {
        for (tree, leaf) in of.leaves(row).into_iter().enumerate() {
            of.trees[tree].cover[leaf] += 1.0;
        }
    }
    for tree in &mut of.trees {
        // Children come to their sums before their parents.
        let depths = tree.depths().unwrap();
        let mut order: Vec<usize> = (0..tree.nodes.len()).collect();
        order.sort_by_key(|node| depths[*node]);
        for node in order {
            if let Node::Branch(branch) = &tree.nodes[node] {
                tree.cover[node] = tree.cover[branch.yes as usize] + tree.cover[branch.no as usize];
            }
        }
    }
}

#[test]
fn every_row_holds_the_path_of_its_leaf_alone_and_covers_are_what_ended_there() {
    for (number, style) in STYLES.iter().cycle().take(cases(2 * STYLES.len())).enumerate() {
        let mut random = Random(300 + number as u64);
        let mut of = ensemble(&mut random, Style { trees: style.trees.min(6), ..*style });
        let input = rows(&mut random, &of, 300);
        if style.shared == 0 {
            covered(&mut of, &input);
        }
        let (paths, forest) = (Paths::of(&of).unwrap(), compiled(&of));
        let count = input.len() / of.width;
        let mut indexes = vec![0; count * forest.trees()];
        let (set, given) = (InstructionSet::best(), Rows::Double(&input));
        forest.leaf_indexes(set, given, count, &mut Scratch::default(), &mut indexes).unwrap();
        for (row, indexes) in input.chunks_exact(of.width).zip(indexes.chunks_exact(forest.trees())) {
            let codes = paths.codes(row);
            for ((paths, leaf), node) in paths.trees.iter().zip(indexes).zip(of.leaves(row)) {
                let held: Vec<&Path> = paths.iter().filter(|path| path.holds(&codes)).collect();
                assert_eq!(held.iter().map(|path| (path.leaf, path.node)).collect::<Vec<_>>(), [(*leaf, node as u32)]);
            }
        }
        for paths in paths.trees.iter().filter(|_| style.shared == 0) {
            assert_eq!(paths.iter().map(|path| path.cover.unwrap()).sum::<f64>(), count as f64);
            for path in paths {
                assert!(path.conditions.is_sorted_by(|a, b| a.feature < b.feature), "{path:?}");
                let share: f64 = path.conditions.iter().map(|condition| condition.share.unwrap()).product();
                // Shares below a node to which no row came are those of nothing.
                let there = path.cover.unwrap() / count as f64;
                assert!(share.is_nan() || (share - there).abs() < 1e-9, "{share} of {there}");
            }
        }
    }
}

#[test]
fn conditions_of_one_feature_are_one() {
    let leaf = |value| Node::Leaf(vec![Weight { target: 0, value }]);
    let branch = |t, yes, no| Node::Branch(Branch { feature: 0, test: Test::LessEqual(t), missing_yes: true, yes, no });
    let nodes =
        vec![branch(5.0, 1, 2), branch(1.0, 3, 4), leaf(2.0), leaf(0.0), branch(3.0, 5, 6), leaf(1.0), leaf(1.5)];
    let mut of = singles(1, vec![nodes]);
    of.trees[0].cover = vec![10.0, 8.0, 2.0, 5.0, 3.0, 2.0, 1.0];
    let paths = Paths::of(&of).unwrap();
    assert_eq!(paths.features[0].bounds, [1.0, 3.0, 5.0]);
    let found: Vec<_> = paths.trees[0]
        .iter()
        .map(|path| {
            let [Condition { codes, missing, share, .. }] = path.conditions.as_slice() else { panic!("{path:?}") };
            (path.node, codes.clone(), *missing, share.map(|share| (share * 100.0).round()))
        })
        .collect();
    let one = |node, code, missing, share| (node, vec![(code, code)], missing, Some(share));
    let right = [one(2, 3, false, 20.0), one(3, 0, true, 50.0), one(5, 1, false, 20.0), one(6, 2, false, 10.0)];
    assert!(right.iter().all(|path| found.contains(path)) && found.len() == 4, "{found:?}");
}

#[test]
fn ways_through_shared_nodes_have_an_end() {
    // 2^40 paths.
    let mut nodes = vec![];
    for level in 0..40u32 {
        let sides = |test| Branch { feature: 0, test, missing_yes: true, yes: 2 * level + 2, no: 2 * level + 3 };
        nodes.extend([0.5, 1.5].map(|t| Node::Branch(sides(Test::Less(f64::from(level) + t)))));
    }
    nodes.extend([1.0, 2.0].map(|value| Node::Leaf(vec![Weight { target: 0, value }])));
    assert_eq!(Paths::of(&singles(1, vec![nodes])).unwrap_err().kind(), Kind::Limit);
}
