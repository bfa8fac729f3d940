//! Graphs that are small in bytes and would be large in what a careless reader does: chains, many inputs, parts that are
//! shared. None of these tests would end if a reader recursed, searched, or walked every path.

use e2i_core::native::{InstructionSet, NativeEngine};
use e2i_core::{Batch, Column, ElementType, Engine, Interface, OutputSet, Outputs};
use prost::Message;

use super::compile_within;
use super::pipeline_tests::{Pipeline, floats, info, int, texts};
use crate::proto::{GraphProto, ModelProto, OperatorSet, TensorProto, data_type};
use crate::{Model, Options, Refusal, compile, describe};

fn model(graph: GraphProto) -> Model {
    let set = |domain: &str, version| OperatorSet { domain: domain.into(), version };
    let opset_import = vec![set("", 13), set("ai.onnx.ml", 3)];
    let proto = ModelProto { ir_version: 7, opset_import, graph: Some(graph), ..ModelProto::default() };
    Model::parse(&proto.encode_to_vec()).expect("it is decoded")
}

fn floats_named(name: &str, dims: &[i64], float_data: Vec<f32>) -> TensorProto {
    let (name, dims) = (name.to_owned(), dims.to_vec());
    TensorProto { name, dims, data_type: data_type::FLOAT, float_data, ..TensorProto::default() }
}

fn read(pipeline: Pipeline, output: &str, width: usize) -> (Model, Interface) {
    let mut graph = pipeline.graph;
    graph.outputs.push(info(output, data_type::FLOAT, &[None, Some(width)]));
    let model = model(graph);
    let interface = describe(&model, None, &Options::default()).expect("it is described");
    (model, interface)
}

/// `count` nodes of one operator, each reading the one before and `others`.
fn chain(pipeline: &mut Pipeline, operator: &str, from: &str, others: &[&str], count: usize) -> String {
    (0..count).fold(from.to_owned(), |before, _| {
        let inputs: Vec<&str> = std::iter::once(before.as_str()).chain(others.iter().copied()).collect();
        pipeline.node(operator, &inputs, vec![])
    })
}

/// Sixteen levels of a hundred tensors, each made of all of the level before: 100^16 paths.
fn ladder(pipeline: &mut Pipeline, operator: &str, from: &str) -> String {
    let mut level = vec![from.to_owned()];
    for _ in 0..16 {
        let inputs: Vec<&str> = level.iter().map(String::as_str).collect();
        level = (0..100).map(|_| pipeline.node(operator, &inputs, vec![])).collect();
    }
    level.swap_remove(0)
}

fn refused(model: &Model, interface: &Interface) -> Refusal {
    compile(model, None, interface).expect_err("it is not compiled")
}

#[test]
fn a_chain_of_a_hundred_thousand_nodes_is_read_without_recursion() {
    let mut pipeline = Pipeline::default();
    let x = pipeline.input(data_type::FLOAT, 2);
    let y = chain(&mut pipeline, "Identity", &x, &[], 100_000);
    let z = pipeline.node("Imputer", &[&y], vec![floats("imputed_value_floats", vec![1.0]), float_nan()]);
    let (model, interface) = read(pipeline, &z, 2);
    assert!(interface.features.iter().all(|feature| feature.takes_missing));
    assert_eq!(refused(&model, &interface).why, "the graph has too many nodes");
}

fn float_nan() -> crate::proto::Attribute {
    super::pipeline_tests::float("replaced_value_float", f32::NAN)
}

#[test]
fn a_hundred_thousand_inputs_with_as_many_defaults_are_read() {
    let mut pipeline = Pipeline::default();
    let mut names = vec![];
    for index in 0..100_000 {
        names.push(pipeline.input(data_type::FLOAT, 1));
        let name = format!("d{index}");
        pipeline.graph.inputs.push(info(&name, data_type::FLOAT, &[Some(1)]));
        pipeline.graph.initializers.push(floats_named(&name, &[1], vec![0.0]));
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let joined = pipeline.node("Concat", &names, vec![int("axis", 1)]);
    let end = chain(&mut pipeline, "Identity", &joined, &[], 100_000);
    let (_, interface) = read(pipeline, &end, 100_000);
    assert_eq!(interface.features.len(), 100_000);
}

#[test]
fn what_is_shared_is_looked_at_once() {
    // The width of the input is known behind the ladder only, which is farther than anybody looks.
    let mut pipeline = Pipeline::default();
    pipeline.graph.inputs.push(info("x", data_type::FLOAT, &[None, None]));
    let end = ladder(&mut pipeline, "Add", "x");
    let mut graph = pipeline.graph;
    graph.outputs.push(info(&end, data_type::FLOAT, &[None, Some(1)]));
    let error = describe(&model(graph), None, &Options::default()).unwrap_err();
    assert!(error.message().contains("does not say how many columns"), "{error}");

    // No encoder names a category for the sample.
    let mut pipeline = Pipeline::default();
    let x = pipeline.input(data_type::STRING, 1);
    let end = ladder(&mut pipeline, "Concat", &x);
    let end = pipeline.node("OneHotEncoder", &[&end], vec![texts("cats_strings", &["a"])]);
    let (model, interface) = read(pipeline, &end, 1);
    assert!(interface.features[0].takes_missing);
    let sample = model.samples(&interface).rows.picked(&[0]);
    assert_eq!(sample.tensors()[0].values, Column::Text(vec![String::new()]));
}

#[test]
fn columns_that_are_picked_one_by_one_and_joined_are_followed_together() {
    const WIDTH: usize = 20_000;
    let mut pipeline = Pipeline::default();
    let x = pipeline.input(data_type::FLOAT, WIDTH);
    let parts: Vec<String> = (0..WIDTH as i64 - 1)
        .map(|column| {
            let index = pipeline.integers(vec![column]);
            pipeline.node("ArrayFeatureExtractor", &[&x, &index], vec![])
        })
        .collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let joined = pipeline.node("Concat", &parts, vec![int("axis", 1)]);
    let end = chain(&mut pipeline, "Identity", &joined, &[], 20_000);
    let end = pipeline.node("Imputer", &[&end], vec![floats("imputed_value_floats", vec![1.0]), float_nan()]);
    let (_, interface) = read(pipeline, &end, WIDTH - 1);
    let tolerant = interface.features.iter().filter(|feature| feature.takes_missing).count();
    assert_eq!(tolerant, WIDTH - 1);
    assert!(!interface.features[WIDTH - 1].takes_missing);
}

#[test]
fn selections_of_everything_from_everything_are_not_followed_for_ever() {
    const WIDTH: usize = 50_000;
    let mut pipeline = Pipeline::default();
    let x = pipeline.input(data_type::FLOAT, WIDTH);
    let all = pipeline.integers((0..WIDTH as i64).collect());
    let end = chain(&mut pipeline, "ArrayFeatureExtractor", &x, &[&all], 50_000);
    let end = pipeline.node("Imputer", &[&end], vec![floats("imputed_value_floats", vec![1.0]), float_nan()]);
    let (_, interface) = read(pipeline, &end, WIDTH);
    assert!(interface.features.iter().all(|feature| feature.takes_missing));
}

#[test]
fn a_large_constant_that_every_node_reads_is_too_much() {
    let mut pipeline = Pipeline::default();
    let x = pipeline.input(data_type::FLOAT, 1);
    pipeline.graph.initializers.push(floats_named("c", &[1, 1000], vec![1.0; 1000]));
    let end = chain(&mut pipeline, "Add", &x, &["c"], 19_000);
    let (model, interface) = read(pipeline, &end, 1000);
    let refusal = compile_within(100_000, &model, None, &interface).expect_err("it is not compiled");
    assert_eq!((refusal.why.as_str(), refusal.node.as_str()), ("its constants are too large", "Add_t51"));
}

#[test]
fn a_list_of_axes_that_doubles_is_too_much() {
    let mut pipeline = Pipeline::default();
    let x = pipeline.input(data_type::FLOAT, 1);
    let mut shape = pipeline.node("Shape", &[&x], vec![]);
    for _ in 0..100 {
        shape = pipeline.node("Concat", &[&shape, &shape], vec![int("axis", 0)]);
    }
    let end = pipeline.node("Reshape", &[&x, &shape], vec![]);
    let (model, interface) = read(pipeline, &end, 1);
    assert_eq!(refused(&model, &interface).why, "it joins a long list of axis lengths");
}

#[test]
fn a_tensor_of_very_many_axes_is_refused() {
    let mut pipeline = Pipeline::default();
    let x = pipeline.input(data_type::FLOAT, 1);
    let axes = pipeline.integers((2..100_002).collect());
    let wide = pipeline.node("Unsqueeze", &[&x, &axes], vec![]);
    let end = pipeline.node("Transpose", &[&wide], vec![]);
    let (model, interface) = read(pipeline, &end, 1);
    assert_eq!(refused(&model, &interface).why, "it makes a tensor of too many axes");
}

#[test]
fn a_network_of_very_many_layers_is_some_networks() {
    let mut pipeline = Pipeline::default();
    let x = pipeline.input(data_type::FLOAT, 1);
    pipeline.graph.initializers.push(floats_named("w", &[1, 1], vec![1.0]));
    let end = chain(&mut pipeline, "MatMul", &x, &["w"], 19_000);
    let (model, interface) = read(pipeline, &end, 1);
    let image = compile(&model, None, &interface).expect("it is compiled");
    let mut engine = NativeEngine::open(&image, InstructionSet::PORTABLE).expect("it opens");
    let mut batch = Batch::new(&interface.inputs, 1);
    batch.tensors_mut()[0].values = Column::Float32(vec![3.5]);
    let mut outputs = Outputs::default();
    engine.score(&batch, OutputSet::MAIN, &mut outputs).expect("it scores");
    assert_eq!(outputs.main, Column::Float32(vec![3.5]));
    assert_eq!(outputs.main.element(), ElementType::Float32);
}

#[test]
fn a_tensor_that_is_defined_twice_is_refused() {
    let mut twice = Pipeline::default();
    let x = twice.input(data_type::FLOAT, 1);
    twice.node("Identity", &[&x], vec![]);
    twice.graph.nodes.push(twice.graph.nodes[0].clone());
    let mut over_an_input = Pipeline::default();
    let x = over_an_input.input(data_type::FLOAT, 1);
    over_an_input.node("Identity", &[&x], vec![]);
    over_an_input.graph.nodes[0].outputs = vec![x];
    for mut pipeline in [twice, over_an_input] {
        pipeline.graph.outputs.push(info("y", data_type::FLOAT, &[None, Some(1)]));
        let proto = ModelProto { ir_version: 7, graph: Some(pipeline.graph), ..ModelProto::default() };
        let error = Model::parse(&proto.encode_to_vec()).err().expect("it is refused");
        assert!(error.message().contains("defined twice"), "{error}");
    }
}
