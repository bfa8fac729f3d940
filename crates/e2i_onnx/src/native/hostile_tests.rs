//! Tree nodes that nobody trained: lists that disagree, nodes that lead nowhere or in circles, numbers beyond all bounds.
//! They are errors, or trees that can be compiled and scored; never a panic, and never more memory than their lists.

use e2i_core::native::{Forest, ImageWriter};
use e2i_core::{ElementType, Kind, Result};
use prost::Message;

use super::pipeline_tests::{Random, floats, info, int, ints, text, texts};
use super::tree_operator::TreeOperator;
use super::trees::read;
use crate::proto::{Attribute, GraphProto, ModelProto, NodeProto, OperatorSet, TensorProto, data_type};
use crate::{Model, Options, compile, describe};

const WIDTH: usize = 3;

/// One tree of three leaves.
fn regressor() -> NodeProto {
    NodeProto {
        op_type: "TreeEnsembleRegressor".into(),
        attributes: vec![
            ints("nodes_treeids", vec![0; 5]),
            ints("nodes_nodeids", vec![0, 1, 2, 3, 4]),
            ints("nodes_featureids", vec![2, 1, 0, 0, 0]),
            ints("nodes_truenodeids", vec![1, 2, 0, 0, 0]),
            ints("nodes_falsenodeids", vec![4, 3, 0, 0, 0]),
            texts("nodes_modes", &["BRANCH_LEQ", "BRANCH_LT", "LEAF", "LEAF", "LEAF"]),
            floats("nodes_values", vec![0.5, 1.5, 0.0, 0.0, 0.0]),
            ints("target_treeids", vec![0; 3]),
            ints("target_nodeids", vec![2, 3, 4]),
            ints("target_ids", vec![0; 3]),
            floats("target_weights", vec![1.0, 2.0, 3.0]),
            int("n_targets", 1),
        ],
        ..NodeProto::default()
    }
}

fn classifier() -> NodeProto {
    let mut node = regressor();
    node.op_type = "TreeEnsembleClassifier".into();
    node.attributes.retain(|attribute| attribute.name != "n_targets");
    for attribute in &mut node.attributes {
        attribute.name = attribute.name.replace("target_", "class_");
    }
    node.attributes.push(ints("classlabels_int64s", vec![0, 1]));
    node
}

fn tensor(name: &str, numbers: Vec<f32>) -> Attribute {
    let dims = vec![numbers.len() as i64];
    let tensor = TensorProto { dims, data_type: data_type::FLOAT, float_data: numbers, ..TensorProto::default() };
    Attribute { name: name.into(), kind: 4, tensor: Some(tensor), ..Attribute::default() }
}

fn ensemble() -> NodeProto {
    let mut modes = tensor("nodes_modes", vec![]);
    let bytes =
        TensorProto { dims: vec![2], data_type: data_type::UINT8, int32_data: vec![0, 6], ..TensorProto::default() };
    modes.tensor = Some(bytes);
    NodeProto {
        op_type: "TreeEnsemble".into(),
        attributes: vec![
            modes,
            tensor("nodes_splits", vec![0.5, 0.0]),
            ints("nodes_featureids", vec![2, 1]),
            ints("nodes_truenodeids", vec![1, 0]),
            ints("nodes_falsenodeids", vec![2, 1]),
            ints("nodes_trueleafs", vec![0, 1]),
            ints("nodes_falseleafs", vec![1, 1]),
            ints("leaf_targetids", vec![0, 0, 0]),
            tensor("leaf_weights", vec![1.0, 2.0, 3.0]),
            tensor("membership_values", vec![1.0, 4.0, f32::NAN]),
            ints("tree_roots", vec![0]),
            int("n_targets", 1),
        ],
        ..NodeProto::default()
    }
}

fn list<'n>(node: &'n mut NodeProto, name: &str) -> &'n mut Attribute {
    node.attributes.iter_mut().find(|attribute| attribute.name == name).expect("the node has it")
}

/// The node with another list, read.
fn with(mut node: NodeProto, change: impl FnOnce(&mut NodeProto)) -> Result<TreeOperator> {
    change(&mut node);
    let operator = read(&node, ElementType::Float32, WIDTH)?;
    Forest::compile(&operator.ensemble, &mut ImageWriter::default())?;
    Ok(operator)
}

fn with_ints(node: NodeProto, name: &str, numbers: &[i64]) -> Result<TreeOperator> {
    with(node, |node| list(node, name).ints = numbers.to_vec())
}

#[track_caller]
fn refused(result: Result<TreeOperator>, kinds: &[Kind]) {
    match result {
        Ok(operator) => panic!("it was read: {:?}", operator.ensemble),
        Err(error) => assert!(kinds.contains(&error.kind()), "{:?}: {error}", error.kind()),
    }
}

const BAD: &[Kind] = &[Kind::BadModel];
const BAD_OR_LEFT: &[Kind] = &[Kind::BadModel, Kind::Unsupported, Kind::Limit];
const FAR: [i64; 7] = [-1, i64::MIN, i64::MAX, 1 << 31, 1 << 32, (1 << 62) + 1, u32::MAX as i64];

#[test]
fn whole_nodes_are_read() {
    for node in [regressor(), classifier(), ensemble()] {
        let operator = with(node.clone(), |_| ()).unwrap_or_else(|error| panic!("{}: {error}", node.op_type));
        assert_eq!(operator.ensemble.trees.len(), 1);
    }
}

#[test]
fn circles_are_refused() {
    refused(with_ints(regressor(), "nodes_truenodeids", &[0, 2, 0, 0, 0]), BAD_OR_LEFT);
    refused(with_ints(regressor(), "nodes_truenodeids", &[1, 0, 0, 0, 0]), BAD_OR_LEFT);
    refused(with_ints(classifier(), "nodes_falsenodeids", &[0, 3, 0, 0, 0]), BAD_OR_LEFT);
    refused(with_ints(ensemble(), "nodes_truenodeids", &[0, 0]), BAD_OR_LEFT);
    refused(
        with(ensemble(), |node| {
            list(node, "nodes_trueleafs").ints = vec![0, 0];
            list(node, "nodes_truenodeids").ints = vec![1, 0];
        }),
        BAD_OR_LEFT,
    );
}

#[test]
fn nodes_that_are_not_there_are_refused() {
    for far in FAR.into_iter().chain([5, 9]) {
        refused(with_ints(regressor(), "nodes_truenodeids", &[1, far, 0, 0, 0]), BAD);
        refused(with_ints(classifier(), "nodes_falsenodeids", &[far, 3, 0, 0, 0]), BAD);
        refused(with_ints(regressor(), "target_nodeids", &[2, far, 4]), BAD);
        refused(with_ints(regressor(), "target_treeids", &[0, far, 0]), BAD);
        refused(with_ints(ensemble(), "nodes_truenodeids", &[far, 0]), BAD);
        refused(with_ints(ensemble(), "nodes_falsenodeids", &[2, far]), BAD);
        refused(with_ints(ensemble(), "tree_roots", &[0, far]), BAD);
    }
    refused(with_ints(regressor(), "nodes_nodeids", &[0, 1, 2, 2, 4]), BAD);
}

#[test]
fn features_and_targets_out_of_range_are_refused() {
    for far in FAR.into_iter().chain([WIDTH as i64]) {
        refused(with_ints(regressor(), "nodes_featureids", &[2, far, 0, 0, 0]), BAD);
        refused(with_ints(ensemble(), "nodes_featureids", &[far, 1]), BAD);
        refused(with_ints(regressor(), "target_ids", &[0, far, 0]), BAD);
        refused(with_ints(classifier(), "class_ids", &[0, far, 0]), BAD);
        refused(with_ints(ensemble(), "leaf_targetids", &[0, far, 0]), BAD);
    }
    for targets in FAR.into_iter().chain([0]) {
        for node in [regressor(), ensemble()] {
            refused(with(node, |node| list(node, "n_targets").int = targets), &[Kind::Unsupported]);
        }
    }
}

#[test]
fn lists_that_disagree_are_refused() {
    for (node, names) in [(regressor(), 0..11), (ensemble(), 0..9)] {
        for index in names {
            let cut = |attribute: &mut Attribute| {
                attribute.ints.pop();
                attribute.floats.pop();
                attribute.strings.pop();
                if let Some(tensor) = &mut attribute.tensor {
                    tensor.dims[0] -= 1;
                    tensor.float_data.pop();
                    tensor.int32_data.pop();
                }
            };
            refused(with(node.clone(), |node| cut(&mut node.attributes[index])), BAD);
            refused(with(node.clone(), |node| drop(node.attributes.remove(index))), BAD_OR_LEFT);
        }
    }
    // Axes that promise other than there is.
    for promised in [0, 1, -2, 3, i64::MAX, i64::MIN, 1 << 62] {
        for name in ["nodes_splits", "leaf_weights", "nodes_modes"] {
            let change = |node: &mut NodeProto| {
                let tensor = list(node, name).tensor.as_mut().unwrap();
                let other = if tensor.dims[0] == promised { 7 } else { promised };
                tensor.dims = vec![other];
            };
            refused(with(ensemble(), change), BAD_OR_LEFT);
        }
    }
}

/// A graph of the node.
fn model(node: &NodeProto) -> Vec<u8> {
    let mut node = node.clone();
    node.domain = "ai.onnx.ml".into();
    node.inputs = vec!["rows".into()];
    node.outputs = vec!["numbers".into()];
    let mut outputs = vec![info("numbers", data_type::FLOAT, &[None, None])];
    if node.op_type == "TreeEnsembleClassifier" {
        node.outputs.insert(0, "label".into());
        outputs.insert(0, info("label", data_type::INT64, &[None]));
    }
    let inputs = vec![info("rows", data_type::FLOAT, &[None, Some(WIDTH)])];
    let version = if node.op_type == "TreeEnsemble" { 5 } else { 3 };
    let set = |domain: &str, version| OperatorSet { domain: domain.into(), version };
    let proto = ModelProto {
        ir_version: 9,
        graph: Some(GraphProto { nodes: vec![node], inputs, outputs, ..GraphProto::default() }),
        opset_import: vec![set("", 18), set("ai.onnx.ml", version)],
        ..ModelProto::default()
    };
    proto.encode_to_vec()
}

fn put<T>(numbers: &mut [T], place: usize, number: T) {
    if let Some(at) = numbers.get_mut(place) {
        *at = number;
    }
}

/// Puts an odd number somewhere, cuts or repeats a list, or drops one.
fn damage(node: &mut NodeProto, random: &mut Random) {
    let index = random.below(node.attributes.len());
    let attribute = &mut node.attributes[index];
    let odd = [-1, 0, 1, 2, 3, 4, 5, 100, i64::MAX, i64::MIN, 1 << 31, 1 << 32, 1 << 62][random.below(13)];
    let float = [f32::NAN, f32::INFINITY, -0.0, f32::MAX, f32::from_bits(1), 0.5][random.below(6)];
    let at = |length: usize, random: &mut Random| random.below(length.max(1));
    match random.below(12) {
        0 => attribute.ints.clear(),
        1 => drop(attribute.ints.pop()),
        2 => attribute.ints.push(odd),
        3 => attribute.int = odd,
        4 => drop(attribute.strings.pop()),
        5 => attribute.name.push('x'),
        6 => attribute.ints.fill(odd),
        _ => {}
    }
    let place = at(attribute.ints.len(), random);
    put(&mut attribute.ints, place, odd);
    let place = at(attribute.floats.len(), random);
    put(&mut attribute.floats, place, float);
    if let Some(tensor) = &mut attribute.tensor {
        let place = at(tensor.float_data.len(), random);
        put(&mut tensor.float_data, place, float);
        let place = at(tensor.int32_data.len(), random);
        put(&mut tensor.int32_data, place, odd as i32 & 7);
        if random.below(10) == 0 {
            tensor.dims = vec![odd];
        }
    }
    if random.below(8) == 0 {
        let mode = ["BRANCH_EQ", "BRANCH_NEQ", "BRANCH_GT", "LEAF", "BRANCH_MEMBER", ""][random.below(6)];
        let modes = node.attributes.iter_mut().find(|attribute| attribute.name == "nodes_modes");
        let strings = modes.map(|modes| &mut modes.strings).filter(|strings| !strings.is_empty());
        if let Some(strings) = strings {
            let place = random.below(strings.len());
            strings[place] = mode.as_bytes().into();
        }
    }
    if random.below(10) == 0 {
        node.attributes.push(text("post_transform", ["PROBIT", "SOFTMAX", "?"][random.below(3)]));
    }
}

#[test]
fn damaged_nodes_are_errors_or_trees() {
    let mut random = Random(17);
    let (mut trees, mut errors, mut graphs) = (0, 0, 0);
    for round in 0..6_000 {
        let mut node = [regressor, classifier, ensemble][round % 3]();
        for _ in 0..=random.below(3) {
            damage(&mut node, &mut random);
        }
        match with(node.clone(), |_| ()) {
            Ok(operator) => {
                trees += 1;
                operator.ensemble.check().expect("what was read is whole");
                assert_eq!(operator.ensemble.sums(&[1.0; WIDTH]).len(), operator.ensemble.targets);
            }
            Err(error) => {
                errors += 1;
                assert!(BAD_OR_LEFT.contains(&error.kind()), "round {round}: {:?} {error}", error.kind());
            }
        }
        // The same through the whole reader, which looks at more than the node.
        if let Ok(model) = Model::parse(&model(&node))
            && let Ok(interface) = describe(&model, None, &Options::default())
        {
            graphs += usize::from(compile(&model, None, &interface).is_ok());
        }
    }
    assert!(trees > 500 && errors > 2_000 && graphs > 300, "{trees} trees, {errors} errors, {graphs} graphs");
}

/// Trees of which each node leads to the next on both sides: as many paths as there are subsets of the nodes.
fn ladders(depth: usize, roots: usize) -> NodeProto {
    let mut node = ensemble();
    let next = (1..=depth as i64).map(|place| if place == depth as i64 { 0 } else { place }).collect::<Vec<_>>();
    for side in ["true", "false"] {
        list(&mut node, &format!("nodes_{side}nodeids")).ints = next.clone();
        list(&mut node, &format!("nodes_{side}leafs")).ints =
            (1..=depth).map(|place| i64::from(place == depth)).collect();
    }
    list(&mut node, "nodes_featureids").ints = (0..depth).map(|place| (place % WIDTH) as i64).collect();
    *list(&mut node, "nodes_splits") = tensor("nodes_splits", (0..depth).map(|place| place as f32).collect());
    let modes = list(&mut node, "nodes_modes").tensor.as_mut().unwrap();
    (modes.dims, modes.int32_data) = (vec![depth as i64], vec![0; depth]);
    list(&mut node, "tree_roots").ints = vec![0; roots];
    node
}

#[test]
fn trees_that_share_nodes_do_not_grow_without_bound() {
    refused(with(ladders(2_000, 20_000), |_| ()), BAD_OR_LEFT);
    for depth in [30, 60, 300, 2_000, 100_000] {
        // Compiled or refused: either ends.
        if let Err(error) = with(ladders(depth, 1), |_| ()) {
            assert!(BAD_OR_LEFT.contains(&error.kind()), "{depth}: {:?} {error}", error.kind());
        }
    }
}
