//! Whether the tree ensembles of a graph are trees.
//!
//! The runtime walks them without looking back: a cycle would never end, and no run that tries a few rows is sure to meet
//! it. Checked for TreeEnsembleRegressor and TreeEnsembleClassifier, where each node names its children (ai.onnx.ml 1 to
//! 4); a node may have several parents, as LightGBM's exporter writes sets of categories.

use std::collections::HashMap;

use e2i_core::{Error, Kind, Result};

use crate::graph::attribute;
use crate::proto::NodeProto;

/// Where a walk stands at a node.
#[derive(Clone, Copy, PartialEq)]
enum Seen {
    Never,
    /// On the way from the root to here.
    Above,
    /// With everything below.
    Done,
}

/// Refuses nodes that are numbered twice, lack a child, read a feature of a negative number, or are their own ancestors.
pub(crate) fn check(node: &NodeProto) -> Result<()> {
    if !matches!(node.op_type.as_str(), "TreeEnsembleRegressor" | "TreeEnsembleClassifier") {
        return Ok(());
    }
    let ints = |name: &str| attribute(node, name).map_or(&[][..], |attribute| attribute.ints.as_slice());
    let (trees, ids) = (ints("nodes_treeids"), ints("nodes_nodeids"));
    let children = [ints("nodes_truenodeids"), ints("nodes_falsenodeids")];
    let features = ints("nodes_featureids");
    let modes = attribute(node, "nodes_modes").map_or(&[][..], |attribute| attribute.strings.as_slice());
    let broken = |what: String| Error::new(Kind::BadModel, format!("{} of the model is broken: {what}", node.op_type));
    let count = ids.len();
    if [trees.len(), children[0].len(), children[1].len(), features.len(), modes.len()].iter().any(|len| *len != count)
    {
        return Err(broken("its lists of nodes are not of one length".to_owned()));
    }
    let mut places = HashMap::with_capacity(count);
    for (place, key) in trees.iter().zip(ids).enumerate() {
        if places.insert(key, place).is_some() {
            return Err(broken(format!("tree {} has two nodes {}", key.0, key.1)));
        }
    }
    let is_leaf = |place: usize| modes[place].as_ref() == b"LEAF";
    let child = |place: usize, side: usize| {
        let (tree, id) = (&trees[place], &children[side][place]);
        places
            .get(&(tree, id))
            .copied()
            .ok_or_else(|| broken(format!("tree {tree} has no node {id}, and a branch to it")))
    };
    let mut seen = vec![Seen::Never; count];
    for root in 0..count {
        // The nodes above, each with the side that is to be taken next.
        let mut path = vec![(root, 0)];
        while let Some((place, side)) = path.pop() {
            if side == 0 {
                match seen[place] {
                    Seen::Done => continue,
                    Seen::Above => {
                        return Err(broken(format!("tree {} comes back to its node {}", trees[place], ids[place])));
                    }
                    Seen::Never => {}
                }
                if is_leaf(place) {
                    seen[place] = Seen::Done;
                    continue;
                }
                if features[place] < 0 {
                    return Err(broken(format!(
                        "node {} of tree {} reads feature {}",
                        ids[place], trees[place], features[place]
                    )));
                }
                seen[place] = Seen::Above;
            }
            if side == 2 {
                seen[place] = Seen::Done;
            } else {
                path.push((place, side + 1));
                path.push((child(place, side)?, 0));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::proto::Attribute;

    /// One tree of nodes `(id, true child, false child, feature, is a leaf)`.
    fn tree(nodes: &[(i64, i64, i64, i64, bool)]) -> NodeProto {
        let ints = |name: &str, ints: Vec<i64>| Attribute { name: name.into(), ints, ..Attribute::default() };
        let modes = |leaf: &bool| Bytes::from_static(if *leaf { b"LEAF" } else { b"BRANCH_LEQ" });
        NodeProto {
            op_type: "TreeEnsembleRegressor".into(),
            attributes: vec![
                ints("nodes_treeids", vec![0; nodes.len()]),
                ints("nodes_nodeids", nodes.iter().map(|node| node.0).collect()),
                ints("nodes_truenodeids", nodes.iter().map(|node| node.1).collect()),
                ints("nodes_falsenodeids", nodes.iter().map(|node| node.2).collect()),
                ints("nodes_featureids", nodes.iter().map(|node| node.3).collect()),
                Attribute {
                    name: "nodes_modes".into(),
                    strings: nodes.iter().map(|node| modes(&node.4)).collect(),
                    ..Attribute::default()
                },
            ],
            ..NodeProto::default()
        }
    }

    #[test]
    fn trees_pass_and_other_graphs_do_not() {
        let leaf = |id| (id, 0, 0, 0, true);
        check(&tree(&[(0, 1, 2, 5, false), leaf(1), leaf(2)])).unwrap();
        // Two parents of one node.
        check(&tree(&[(0, 1, 2, 0, false), (1, 3, 2, 0, false), leaf(2), leaf(3)])).unwrap();
        check(&tree(&[])).unwrap();
        for (nodes, why) in [
            (&[(0, 0, 1, 0, false), leaf(1)][..], "comes back to its node 0"),
            (&[(0, 1, 2, 0, false), leaf(1), (2, 1, 3, 0, false), (3, 1, 2, 0, false)], "comes back to its node 2"),
            (&[(0, 1, 9, 0, false), leaf(1)], "no node 9"),
            (&[leaf(0), leaf(0)], "two nodes 0"),
            (&[(0, 1, 1, -7, false), leaf(1)], "feature -7"),
        ] {
            let error = check(&tree(nodes)).unwrap_err();
            assert!(error.message().contains(why), "{error}");
        }
        let mut short = tree(&[leaf(0), leaf(1)]);
        short.attributes[2].ints.pop();
        assert!(check(&short).unwrap_err().message().contains("one length"));
    }

    #[test]
    fn a_long_chain_is_walked_without_recursion() {
        let mut nodes: Vec<_> = (0..200_000).map(|id| (id, id + 1, id + 1, 0, false)).collect();
        nodes.push((200_000, 0, 0, 0, true));
        check(&tree(&nodes)).unwrap();
    }
}
