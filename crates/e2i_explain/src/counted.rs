//! How many rows come to each node of trees, where a file does not say.

use e2i_core::native::{Ensemble, Node};

/// The same trees with the number of some rows that come to each node as its cover. The rows have the ensemble's width, one after the
/// other.
#[must_use]
pub fn counted(mut ensemble: Ensemble, rows: &[f64]) -> Ensemble {
    let width = ensemble.width.max(1);
    let mut covers: Vec<Vec<f64>> = ensemble.trees.iter().map(|tree| vec![0.0; tree.nodes.len()]).collect();
    for row in rows.chunks_exact(width) {
        let values: Vec<Option<f64>> = ensemble.features.iter().map(|feature| ensemble.value(row, *feature)).collect();
        for (tree, cover) in ensemble.trees.iter().zip(&mut covers) {
            let mut at = 0;
            loop {
                cover[at] += 1.0;
                let Node::Branch(branch) = &tree.nodes[at] else { break };
                let yes = match values[branch.feature as usize] {
                    Some(value) => branch.test.holds(value),
                    None => branch.missing_yes,
                };
                at = (if yes { branch.yes } else { branch.no }) as usize;
            }
        }
    }
    for (tree, cover) in ensemble.trees.iter_mut().zip(covers) {
        tree.cover = cover;
    }
    ensemble
}
