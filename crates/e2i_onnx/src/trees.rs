//! Whether the tree ensembles of a graph are trees.
//!
//! The runtime walks them without looking back: a cycle would never end, and no run that tries a few rows is sure to meet
//! it. Checked for TreeEnsembleRegressor and TreeEnsembleClassifier, where each node names its children (ai.onnx.ml 1 to
//! 4); a node may have several parents, as LightGBM's exporter writes sets of categories. And for TreeEnsemble (ai.onnx.ml
//! 5), where children are places in lists of nodes and of leaves: before 1.31 the runtime believes these places, and it
//! writes every tree out in full, a set as a chain of its members, so that a few shared nodes can become any number.

use std::collections::HashMap;

use e2i_core::{Error, Kind, Result};

use crate::proto::{Attribute, NodeProto, TensorProto, attribute, data_type};

/// Most nodes that the trees of a TreeEnsemble have, written out in full.
const MAX_WRITTEN_OUT: u64 = 1 << 25;

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
    match node.op_type.as_str() {
        "TreeEnsembleRegressor" | "TreeEnsembleClassifier" => {}
        "TreeEnsemble" => return check_places(node),
        _ => return Ok(()),
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
    let comes_back = |place: usize| broken(format!("tree {} comes back to its node {}", trees[place], ids[place]));
    walk(count, 0..count, comes_back, |place, side| {
        if is_leaf(place) {
            return Ok(None);
        }
        if features[place] < 0 {
            let (id, tree) = (ids[place], trees[place]);
            return Err(broken(format!("node {id} of tree {tree} reads feature {}", features[place])));
        }
        child(place, side).map(Some)
    })
    .map(|_| ())
}

/// Walks nodes below roots, and gives them with children first. `child` says which node is below another at either side, if
/// any; `comes_back` is the error for a node below itself.
fn walk(
    count: usize,
    roots: impl IntoIterator<Item = usize>,
    comes_back: impl Fn(usize) -> Error,
    child: impl Fn(usize, usize) -> Result<Option<usize>>,
) -> Result<Vec<usize>> {
    let mut seen = vec![Seen::Never; count];
    let mut order = Vec::with_capacity(count);
    for root in roots {
        // The nodes above, each with the side that is to be taken next.
        let mut path = vec![(root, 0)];
        while let Some((place, side)) = path.pop() {
            if side == 0 {
                match seen[place] {
                    Seen::Done => continue,
                    Seen::Above => return Err(comes_back(place)),
                    Seen::Never => seen[place] = Seen::Above,
                }
            }
            if side == 2 {
                seen[place] = Seen::Done;
                order.push(place);
            } else {
                path.push((place, side + 1));
                path.extend(child(place, side)?.map(|below| (below, 0)));
            }
        }
    }
    Ok(order)
}

/// The mode of a node that tests whether a value is in a set.
const MEMBER: u8 = 6;

/// Refuses a TreeEnsemble whose lists disagree or whose trees are none.
fn check_places(node: &NodeProto) -> Result<()> {
    let broken = |what: String| Error::new(Kind::BadModel, format!("{} of the model is broken: {what}", node.op_type));
    let ints = |name: &str| attribute(node, name).map_or(&[][..], |attribute| attribute.ints.as_slice());
    let modes = attribute(node, "nodes_modes").and_then(|modes| modes.tensor.as_ref()).map(small_numbers);
    let modes = modes.unwrap_or_default();
    let count = modes.len();
    let next = [ints("nodes_truenodeids"), ints("nodes_falsenodeids")];
    let ends = [ints("nodes_trueleafs"), ints("nodes_falseleafs")];
    let features = ints("nodes_featureids");
    let splits = attribute(node, "nodes_splits").map_or(0, length);
    let lengths = [next[0].len(), next[1].len(), ends[0].len(), ends[1].len(), features.len(), splits];
    let optional = [
        attribute(node, "nodes_hitrates").map_or(0, length),
        attribute(node, "nodes_missing_value_tracks_true").map_or(0, length),
    ];
    if lengths.iter().any(|length| *length != count) || optional.iter().any(|length| *length != 0 && *length != count) {
        return Err(broken("its lists of nodes are not of one length".to_owned()));
    }
    let targets = ints("leaf_targetids");
    if attribute(node, "leaf_weights").map_or(0, length) != targets.len() {
        return Err(broken("its lists of leaves are not of one length".to_owned()));
    }
    let known_targets = attribute(node, "n_targets").map_or(0, |targets| targets.int);
    if let Some(target) = targets.iter().find(|target| !(0..known_targets).contains(*target)) {
        return Err(broken(format!("a leaf is for target {target} of {known_targets}")));
    }
    if let Some(mode) = modes.iter().find(|mode| **mode > MEMBER) {
        return Err(broken(format!("a node has mode {mode}")));
    }
    if let Some(feature) = features.iter().find(|feature| **feature < 0) {
        return Err(broken(format!("a node reads feature {feature}")));
    }
    let sets = set_sizes(node, &modes).ok_or_else(|| broken("a set has no members".to_owned()))?;
    let place = |at: i64, of: usize, what: &str| {
        usize::try_from(at).ok().filter(|at| *at < of).ok_or_else(|| broken(format!("it has no {what} {at}")))
    };
    let roots = ints("tree_roots").iter().map(|root| place(*root, count, "node")).collect::<Result<Vec<_>>>()?;
    // The runtime takes a root with one child at both sides for a leaf.
    for &root in &roots {
        if next[0][root] == next[1][root] {
            place(next[0][root], if ends[0][root] == 0 { count } else { targets.len() }, "node")?;
            place(root as i64, targets.len(), "leaf")?;
        }
    }
    let child = |at: usize, side: usize| {
        let below = next[side][at];
        match ends[side][at] {
            0 => place(below, count, "node").map(Some),
            _ => place(below, targets.len(), "leaf").map(|_| None),
        }
    };
    let order = walk(count, roots.iter().copied(), |at| broken(format!("it comes back to its node {at}")), child)?;
    let mut written = vec![0u64; count];
    for at in order {
        let below = |side: usize| child(at, side).map(|below| below.map_or(1, |below| written[below]));
        let (yes, no) = (below(0)?, below(1)?);
        written[at] = sets[at].max(1).saturating_mul(yes.saturating_add(1)).saturating_add(no);
    }
    let total = roots.iter().fold(0u64, |sum, root| sum.saturating_add(written[*root]));
    if total > MAX_WRITTEN_OUT {
        let message = format!("the trees of the model have more than {MAX_WRITTEN_OUT} nodes, written out in full");
        return Err(Error::new(Kind::Limit, message));
    }
    Ok(())
}

/// How many members the set of each node has; 0 for other nodes. Sets stand in the order of their nodes, with NaN between
/// them. `None` if one is missing or empty.
fn set_sizes(node: &NodeProto, modes: &[u8]) -> Option<Vec<u64>> {
    let values = attribute(node, "membership_values").and_then(|values| values.tensor.as_ref());
    let values = values.map(numbers).unwrap_or_default();
    let mut sets = values.split(|value| value.is_nan());
    let mut sizes = vec![0; modes.len()];
    for (size, _) in sizes.iter_mut().zip(modes).filter(|(_, mode)| **mode == MEMBER) {
        *size = sets.next().filter(|set| !set.is_empty())?.len() as u64;
    }
    Some(sizes)
}

/// The cells of a tensor of uint8.
fn small_numbers(tensor: &TensorProto) -> Vec<u8> {
    if tensor.raw_data.is_empty() {
        tensor.int32_data.iter().map(|cell| u8::try_from(*cell).unwrap_or(u8::MAX)).collect()
    } else {
        tensor.raw_data.to_vec()
    }
}

/// The cells of a tensor of float32 or float64.
fn numbers(tensor: &TensorProto) -> Vec<f64> {
    match (tensor.raw_data.is_empty(), tensor.data_type == data_type::DOUBLE) {
        (true, true) => tensor.double_data.clone(),
        (true, false) => tensor.float_data.iter().map(|cell| f64::from(*cell)).collect(),
        (false, true) => tensor.raw_data.as_chunks().0.iter().map(|cell| f64::from_le_bytes(*cell)).collect(),
        (false, false) => {
            tensor.raw_data.as_chunks().0.iter().map(|cell| f64::from(f32::from_le_bytes(*cell))).collect()
        }
    }
}

/// How many numbers an attribute has, as a list or as a tensor of float32 or float64.
fn length(attribute: &Attribute) -> usize {
    attribute.tensor.as_ref().map_or(attribute.ints.len(), |tensor| numbers(tensor).len())
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

    /// A TreeEnsemble of branches `(true node, is it a leaf, false node, is it a leaf)` with two leaves, and its roots.
    fn places(nodes: &[(i64, bool, i64, bool)], roots: &[i64]) -> NodeProto {
        let ints = |name: &str, ints: Vec<i64>| Attribute { name: name.into(), ints, ..Attribute::default() };
        let tensor = |name: &str, tensor: TensorProto| Attribute {
            name: name.into(),
            tensor: Some(tensor),
            ..Attribute::default()
        };
        let floats = |float_data: Vec<f32>| TensorProto { data_type: 1, float_data, ..TensorProto::default() };
        let modes = TensorProto { int32_data: vec![0; nodes.len()], data_type: 2, ..TensorProto::default() };
        NodeProto {
            op_type: "TreeEnsemble".into(),
            attributes: vec![
                tensor("nodes_modes", modes),
                tensor("nodes_splits", floats(vec![0.5; nodes.len()])),
                tensor("leaf_weights", floats(vec![1.0, 2.0])),
                ints("nodes_featureids", vec![0; nodes.len()]),
                ints("nodes_truenodeids", nodes.iter().map(|node| node.0).collect()),
                ints("nodes_trueleafs", nodes.iter().map(|node| node.1.into()).collect()),
                ints("nodes_falsenodeids", nodes.iter().map(|node| node.2).collect()),
                ints("nodes_falseleafs", nodes.iter().map(|node| node.3.into()).collect()),
                ints("leaf_targetids", vec![0, 0]),
                ints("tree_roots", roots.to_vec()),
                Attribute { name: "n_targets".into(), int: 1, ..Attribute::default() },
            ],
            ..NodeProto::default()
        }
    }

    fn of<'n>(node: &'n mut NodeProto, name: &str) -> &'n mut Attribute {
        node.attributes.iter_mut().find(|attribute| attribute.name == name).unwrap()
    }

    #[test]
    fn trees_of_places_pass_and_other_graphs_do_not() {
        check(&places(&[(1, false, 0, true), (0, true, 1, true)], &[0, 1])).unwrap();
        check(&places(&[(0, true, 0, true)], &[0])).unwrap();
        for (nodes, roots, why) in [
            (&[(0, false, 0, true)][..], &[0][..], "comes back to its node 0"),
            (&[(1, false, 0, true), (0, false, 1, true)], &[1], "comes back to its node 1"),
            (&[(2, false, 0, true), (0, true, 1, true)], &[0], "no node 2"),
            (&[(-1, false, 0, true)], &[0], "no node -1"),
            (&[(0, true, 2, true)], &[0], "no leaf 2"),
            (&[(0, true, i64::MIN, true)], &[0], "no leaf"),
            (&[(0, true, 1, true)], &[1], "no node 1"),
            (&[(0, true, 1, true)], &[-1], "no node -1"),
            (&[(0, true, 1, true), (0, true, 1, true), (1, true, 1, true)], &[2], "no leaf 2"),
        ] {
            let error = check(&places(nodes, roots)).unwrap_err();
            assert_eq!(error.kind(), Kind::BadModel);
            assert!(error.message().contains(why), "{why}: {error}");
        }
        type Change = fn(&mut NodeProto);
        let changes: [(Change, &str); 9] = [
            (|node| of(node, "nodes_falseleafs").ints.clear(), "one length"),
            (|node| of(node, "nodes_featureids").ints.push(0), "one length"),
            (|node| of(node, "nodes_splits").tensor.as_mut().unwrap().float_data.clear(), "one length"),
            (|node| of(node, "leaf_weights").tensor.as_mut().unwrap().float_data.clear(), "one length"),
            (|node| of(node, "leaf_targetids").ints[1] = 1, "target 1 of 1"),
            (|node| of(node, "leaf_targetids").ints[1] = -1, "target -1"),
            (|node| of(node, "nodes_featureids").ints[0] = -3, "feature -3"),
            (|node| of(node, "nodes_modes").tensor.as_mut().unwrap().int32_data[0] = 6, "no members"),
            (|node| of(node, "nodes_modes").tensor.as_mut().unwrap().int32_data[0] = 7, "mode 7"),
        ];
        for (change, why) in changes {
            let mut node = places(&[(0, true, 1, true)], &[0]);
            change(&mut node);
            let error = check(&node).unwrap_err();
            assert!(error.message().contains(why), "{why}: {error}");
        }
    }

    #[test]
    fn trees_that_double_when_they_are_written_out_are_refused() {
        let mut nodes: Vec<_> = (1..64).map(|below| (below, false, below, false)).collect();
        nodes.push((0, true, 1, true));
        // The runtime takes a root with one child for a leaf, so the first has two.
        nodes.push((0, false, 1, false));
        let error = check(&places(&nodes, &[64])).unwrap_err();
        assert_eq!(error.kind(), Kind::Limit, "{error}");
        let long: Vec<_> = (1..=200_000).map(|below| (below, below == 200_000, 1, true)).collect();
        let mut long: Vec<_> = long.into_iter().collect();
        long.last_mut().unwrap().0 = 0;
        check(&places(&long, &[0])).unwrap();
    }

    #[test]
    fn a_long_chain_is_walked_without_recursion() {
        let mut nodes: Vec<_> = (0..200_000).map(|id| (id, id + 1, id + 1, 0, false)).collect();
        nodes.push((200_000, 0, 0, 0, true));
        check(&tree(&nodes)).unwrap();
    }
}
