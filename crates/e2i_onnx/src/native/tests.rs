//! Random tree operators, scored natively and by ONNX Runtime: the same bits, the same labels.
//!
//! `E2I_TREE_GRAPHS` says how many (2,000), `E2I_TREE_SEED` from which seed on.

use std::path::Path;

use bytes::Bytes;
use e2i_core::native::{Forest, Image, ImageWriter, InstructionSet, Labels, Rows, Scratch, Sums, SumsMut};
use e2i_core::random::Random;
use e2i_core::{Column, ElementType, Kind, Tensor};
use ndarray::IxDyn;
use ort::session::Session;
use prost::Message;

use super::tree_operator::TreeOperator;
use super::trees::read;
use crate::proto::{
    Attribute, Dimension, DimensionValue, GraphProto, ModelProto, NodeProto, OperatorSet, Shape, TensorProto,
    TensorType, TypeProto, TypeValue, ValueInfo, data_type,
};
use crate::runtime::Runtime;
use crate::value::{self, Bound, Cells};

const INTS: i32 = 7;
const FLOATS: i32 = 6;
const STRINGS: i32 = 8;

fn attribute(name: &str, kind: i32) -> Attribute {
    Attribute { name: name.into(), kind, ..Attribute::default() }
}

fn ints(name: &str, ints: Vec<i64>) -> Attribute {
    Attribute { ints, ..attribute(name, INTS) }
}

fn int(name: &str, int: i64) -> Attribute {
    Attribute { int, ..attribute(name, 2) }
}

fn text(name: &str, text: &'static str) -> Attribute {
    Attribute { text: Bytes::from_static(text.as_bytes()), ..attribute(name, 3) }
}

fn strings(name: &str, of: &[&'static str]) -> Attribute {
    let strings = of.iter().map(|text| Bytes::from_static(text.as_bytes())).collect();
    Attribute { strings, ..attribute(name, STRINGS) }
}

/// As a list of floats, or as a tensor of doubles.
fn numbers(name: &str, values: &[f64], double: bool, always_tensor: bool) -> Attribute {
    if !double && !always_tensor {
        let floats = values.iter().map(|value| *value as f32).collect();
        return Attribute { floats, ..attribute(name, FLOATS) };
    }
    let name = if always_tensor { name.to_owned() } else { format!("{name}_as_tensor") };
    let mut tensor = TensorProto { dims: vec![values.len() as i64], name: name.clone(), ..TensorProto::default() };
    if double {
        (tensor.data_type, tensor.double_data) = (data_type::DOUBLE, values.to_vec());
    } else {
        tensor.data_type = data_type::FLOAT;
        tensor.raw_data = values.iter().flat_map(|value| (*value as f32).to_le_bytes()).collect::<Vec<u8>>().into();
    }
    Attribute { tensor: Some(tensor), ..attribute(&name, 4) }
}

const MODES: [&str; 6] = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"];
const TRANSFORMS: [&str; 5] = ["NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT"];
const LABELS: [&str; 4] = ["ja", "nein", "vielleicht", "nie"];

/// A graph, and the input that it is scored with.
struct Case {
    node: NodeProto,
    version: i64,
    element: ElementType,
    width: usize,
    thresholds: Vec<f64>,
}

fn threshold(random: &mut Random) -> f64 {
    match random.below(12) {
        0..=5 => random.below(8) as f64,
        6 => random.pick(&[0.0, -0.0, 1e-42, f64::INFINITY, f64::NEG_INFINITY, 16_777_217.0, 31.0, 40.0]),
        7 if random.chance(10) => f64::NAN,
        8 => random.unit() * 4.0,
        _ => f64::from((random.unit() * 4.0) as f32),
    }
}

fn weight(random: &mut Random, positive: bool) -> f64 {
    let value = if random.chance(4) { random.pick(&[0.0, -0.0, 1e-42, 1e30]) } else { random.unit() };
    let value = if positive { value.abs() } else { value };
    f64::from(value as f32)
}

/// How the branches of a model ask.
struct Manner {
    modes: Vec<usize>,
    missing: Option<usize>,
}

impl Manner {
    fn new(random: &mut Random, kinds: usize) -> Self {
        let modes = match random.below(3) {
            0 => vec![random.below(kinds)],
            1 => vec![0, 4.min(kinds - 1)],
            _ => (0..kinds).collect(),
        };
        Self { modes, missing: random.pick(&[None, Some(0), Some(50), Some(100)]) }
    }

    fn missing(&self, random: &mut Random, count: usize) -> Option<Attribute> {
        let percent = self.missing?;
        let tracks = (0..count).map(|_| i64::from(random.chance(percent))).collect();
        Some(ints("nodes_missing_value_tracks_true", tracks))
    }
}

/// A classifier or a regressor of versions 1 to 3.
fn listed(random: &mut Random) -> Case {
    let element = random.pick(&[
        ElementType::Float32,
        ElementType::Float32,
        ElementType::Float64,
        ElementType::Int64,
        ElementType::Int32,
    ]);
    let double = element == ElementType::Float64 && random.chance(70);
    let is_classifier = random.chance(50);
    let (targets, width) = (1 + random.below(4), 1 + random.below(5));
    let targets = if is_classifier { targets.max(2) } else { targets };
    let (manner, positive) = (Manner::new(random, 6), random.chance(40));
    let mut case = Case { node: NodeProto::default(), version: 3, element, width, thresholds: vec![0.0] };
    let (mut trees, mut ids, mut features, mut yes, mut no) = (vec![], vec![], vec![], vec![], vec![]);
    let (mut modes, mut values) = (vec![], vec![]);
    let mut weights: Vec<(i64, i64, i64, f64)> = vec![];
    let (style, stray) = (random.below(4), random.chance(5));
    let (only, deep) = (random.below(targets) as i64, random.chance(10));
    let most = if random.chance(10) { 100 } else { 6 };
    for tree in 0..1 + random.below(most) as i64 {
        // Pre-order with the false side first, as the runtime stores it; chains of equality share their true side.
        let branches = random.below(if deep { 60 } else { 12 });
        let mut open: Vec<usize> = vec![];
        let mut left = branches;
        let push = |case: &mut Case,
                    random: &mut Random,
                    left: &mut usize,
                    ids: &mut Vec<i64>,
                    features: &mut Vec<i64>,
                    modes: &mut Vec<&'static str>,
                    values: &mut Vec<f64>,
                    yes: &mut Vec<i64>,
                    no: &mut Vec<i64>,
                    trees: &mut Vec<i64>,
                    start: usize| {
            let id = (ids.len() - start) as i64;
            let is_leaf = *left == 0 || (ids.len() > start && random.chance(25));
            ids.push(id);
            trees.push(tree);
            features.push(if is_leaf { 0 } else { random.below(case.width) as i64 });
            let value = threshold(random);
            let value = if double { value } else { f64::from(value as f32) };
            values.push(value);
            yes.push(0);
            no.push(0);
            if is_leaf {
                modes.push("LEAF");
            } else {
                case.thresholds.push(value);
                modes.push(MODES[random.pick(&manner.modes)]);
                *left -= 1;
            }
            is_leaf
        };
        let start = ids.len();
        macro_rules! node {
            () => {
                push(
                    &mut case,
                    random,
                    &mut left,
                    &mut ids,
                    &mut features,
                    &mut modes,
                    &mut values,
                    &mut yes,
                    &mut no,
                    &mut trees,
                    start,
                )
            };
        }
        if !node!() {
            open.push(start);
        }
        let mut waiting: Vec<Vec<usize>> = vec![];
        while let Some(at) = open.pop() {
            if at == usize::MAX {
                // The true side of some branches.
                let parents = waiting.pop().unwrap_or_default();
                let place = ids.len();
                let leaf = node!();
                parents.iter().for_each(|parent| yes[*parent] = (place - start) as i64);
                if !leaf {
                    open.push(place);
                }
                continue;
            }
            // A chain of equal modes may share its true side.
            let mut parents = vec![at];
            let mut last = at;
            let mut end;
            loop {
                end = ids.len();
                let leaf = node!();
                no[last] = (end - start) as i64;
                if leaf || !(random.chance(50) && modes[last] == "BRANCH_EQ") {
                    break;
                }
                if random.chance(80) {
                    (features[end], modes[end]) = (features[last], modes[last]);
                }
                parents.push(end);
                last = end;
                if left == 0 {
                    end = ids.len();
                    node!();
                    no[last] = (end - start) as i64;
                    break;
                }
            }
            waiting.push(parents);
            open.push(usize::MAX);
            if modes[end] != "LEAF" {
                open.push(end);
            }
        }
        for place in start..ids.len() {
            if modes[place] != "LEAF" && !(stray && random.chance(20)) {
                continue;
            }
            let to: Vec<i64> = match style {
                0 => vec![only],
                1 => (0..targets as i64).collect(),
                2 => vec![tree % targets as i64],
                _ => (0..random.below(3)).map(|_| random.below(targets) as i64).collect(),
            };
            weights.extend(to.into_iter().map(|target| (tree, ids[place], target, weight(random, positive))));
        }
    }
    if random.chance(20) {
        weights.reverse();
    }
    let count = ids.len();
    let base = match random.below(3) {
        0 => 0,
        1 if is_classifier && targets == 2 => 1,
        1 => 0,
        _ => targets,
    };
    let base: Vec<f64> = (0..base).map(|_| weight(random, false)).collect();
    let what = if is_classifier { "class" } else { "target" };
    let mut attributes = vec![
        ints("nodes_treeids", trees),
        ints("nodes_nodeids", ids),
        ints("nodes_featureids", features),
        ints("nodes_truenodeids", yes),
        ints("nodes_falsenodeids", no),
        strings("nodes_modes", &modes),
        numbers("nodes_values", &values, double, false),
        ints(&format!("{what}_treeids"), weights.iter().map(|weight| weight.0).collect()),
        ints(&format!("{what}_nodeids"), weights.iter().map(|weight| weight.1).collect()),
        ints(&format!("{what}_ids"), weights.iter().map(|weight| weight.2).collect()),
        numbers(&format!("{what}_weights"), &weights.iter().map(|weight| weight.3).collect::<Vec<_>>(), double, false),
        text("post_transform", random.pick(&TRANSFORMS)),
    ];
    attributes.extend(manner.missing(random, count));
    if !base.is_empty() {
        attributes.push(numbers("base_values", &base, double, false));
    }
    if !is_classifier {
        attributes.push(int("n_targets", targets as i64));
        attributes.push(text("aggregate_function", random.pick(&["SUM", "SUM", "AVERAGE", "MIN", "MAX"])));
    } else if random.chance(50) {
        attributes.push(ints("classlabels_int64s", [7, 5, -1, 9][..targets].to_vec()));
    } else {
        attributes.push(strings("classlabels_strings", &LABELS[..targets]));
    }
    case.node.op_type = if is_classifier { "TreeEnsembleClassifier" } else { "TreeEnsembleRegressor" }.into();
    case.node.attributes = attributes;
    case
}

/// TreeEnsemble of version 5.
fn placed(random: &mut Random) -> Case {
    let element = random.pick(&[ElementType::Float32, ElementType::Float64]);
    let double = element == ElementType::Float64;
    let (targets, width) = (1 + random.below(3), 1 + random.below(4));
    let manner = Manner::new(random, 7);
    let mut case = Case { node: NodeProto::default(), version: 5, element, width, thresholds: vec![0.0] };
    let (mut modes, mut splits, mut features) = (vec![], vec![], vec![]);
    let (mut next, mut ends) = ([vec![], vec![]], [vec![], vec![]]);
    let (mut members, mut roots) = (vec![], vec![]);
    let mut leaves: Vec<(i64, f64)> = vec![];
    for _ in 0..1 + random.below(5) {
        roots.push(modes.len() as i64);
        let first = modes.len();
        let branches = 1 + random.below(10);
        for at in 0..branches {
            let mode = random.pick(&manner.modes) as u8;
            modes.push(mode);
            features.push(random.below(width) as i64);
            let split = threshold(random);
            let split = if double { split } else { f64::from(split as f32) };
            splits.push(split);
            case.thresholds.push(split);
            if mode == 6 {
                let wide = random.chance(30);
                let set: Vec<f64> = (0..1 + random.below(if wide { 40 } else { 4 }))
                    .map(|_| if wide { random.below(60) as f64 - 5.0 } else { random.below(8) as f64 })
                    .collect();
                case.thresholds.extend(&set);
                members.extend(set);
                members.push(f64::NAN);
            }
            for side in 0..2 {
                // The next branch hangs below some earlier one: here always below the one before, on either side.
                let goes_on = at + 1 < branches && side == usize::from(split.to_bits() % 3 == 0);
                ends[side].push(i64::from(!goes_on));
                next[side].push(if goes_on { (first + at + 1) as i64 } else { leaves.len() as i64 });
                if !goes_on {
                    leaves.push((random.below(targets) as i64, weight(random, false)));
                }
            }
        }
    }
    let count = modes.len();
    let mut tensor = TensorProto { dims: vec![count as i64], data_type: data_type::UINT8, ..TensorProto::default() };
    tensor.raw_data = modes.into();
    let [yes, no] = next;
    let [yes_ends, no_ends] = ends;
    let mut attributes = vec![
        Attribute { tensor: Some(tensor), ..attribute("nodes_modes", 4) },
        numbers("nodes_splits", &splits, double, true),
        ints("nodes_featureids", features),
        ints("nodes_truenodeids", yes),
        ints("nodes_falsenodeids", no),
        ints("nodes_trueleafs", yes_ends),
        ints("nodes_falseleafs", no_ends),
        ints("leaf_targetids", leaves.iter().map(|leaf| leaf.0).collect()),
        numbers("leaf_weights", &leaves.iter().map(|leaf| leaf.1).collect::<Vec<_>>(), double, true),
        ints("tree_roots", roots),
        int("n_targets", targets as i64),
        int("aggregate_function", random.below(4) as i64),
        int("post_transform", random.below(5) as i64),
    ];
    attributes.extend(manner.missing(random, count));
    if !members.is_empty() {
        attributes.push(numbers("membership_values", &members, double, true));
    }
    case.node.op_type = "TreeEnsemble".into();
    case.node.attributes = attributes;
    case
}

fn model(case: &Case) -> Vec<u8> {
    let is_classifier = case.node.op_type == "TreeEnsembleClassifier";
    let tensor = |name: &str, element: i32, width: Option<usize>| {
        let fixed = |size: usize| Dimension { value: Some(DimensionValue::Fixed(size as i64)) };
        let rows = Dimension { value: Some(DimensionValue::Named("N".into())) };
        let shape = width.map(|width| Shape { dims: vec![rows, fixed(width)] });
        ValueInfo {
            name: name.into(),
            kind: Some(TypeProto { value: Some(TypeValue::Tensor(TensorType { element, shape })) }),
        }
    };
    let element = match case.element {
        ElementType::Float32 => data_type::FLOAT,
        ElementType::Float64 => data_type::DOUBLE,
        ElementType::Int64 => data_type::INT64,
        _ => data_type::INT32,
    };
    let text = case.node.attributes.iter().any(|attribute| attribute.name == "classlabels_strings");
    let label = if text { data_type::STRING } else { data_type::INT64 };
    let number = if case.version == 5 { element } else { data_type::FLOAT };
    let mut outputs = vec![tensor("numbers", number, None)];
    let mut node = case.node.clone();
    node.domain = "ai.onnx.ml".into();
    node.inputs = vec!["rows".into()];
    node.outputs = vec!["numbers".into()];
    if is_classifier {
        outputs.push(tensor("label", label, None));
        node.outputs.insert(0, "label".into());
    }
    let graph = GraphProto {
        nodes: vec![node],
        inputs: vec![tensor("rows", element, Some(case.width))],
        outputs,
        ..GraphProto::default()
    };
    let set = |domain: &str, version| OperatorSet { domain: domain.into(), version };
    let model = ModelProto {
        ir_version: 9,
        graph: Some(graph),
        opset_import: vec![set("ai.onnx.ml", case.version), set("", 18)],
        ..ModelProto::default()
    };
    model.encode_to_vec()
}

/// Numbers on thresholds, beside them, and anywhere, as far as the type has them.
fn input(random: &mut Random, case: &Case, rows: usize) -> Column {
    let values: Vec<f64> = (0..rows * case.width)
        .map(|_| {
            let near = random.pick(&case.thresholds);
            match random.below(8) {
                0 => f64::NAN,
                1 => f64::from((near as f32).next_up()),
                2 => f64::from((near as f32).next_down()),
                3 => near.next_up(),
                4 => random.below(9) as f64,
                5 => {
                    random.pick(&[f64::INFINITY, f64::NEG_INFINITY, -0.0, 1e-42, 16_777_217.0, 9_007_199_254_740_993.0])
                }
                6 => random.unit() * 5.0,
                _ => near,
            }
        })
        .collect();
    match case.element {
        ElementType::Float32 => Column::Float32(values.into_iter().map(|value| value as f32).collect()),
        ElementType::Float64 => Column::Float64(values),
        ElementType::Int64 => Column::Int64(values.into_iter().map(|value| value as i64).collect()),
        _ => Column::Int32(values.into_iter().map(|value| value as i32).collect()),
    }
}

/// What the runtime makes of it: numbers, and for a classifier labels as text.
fn by_runtime(case: &Case, runtime: &'static Runtime, column: &Column, rows: usize) -> Option<(Vec<f64>, Vec<String>)> {
    let mut builder = Session::builder(runtime.environment()).ok()?.with_intra_threads(1).ok()?;
    builder = builder.with_log_level(ort::logging::LogLevel::Fatal).ok()?;
    let session = builder.commit_from_memory(&model(case)).ok()?;
    let tensor = Tensor { width: case.width, values: column.clone() };
    let bound = Bound::bind(None, &tensor, 0, rows, &IxDyn(&[rows, case.width])).ok()?;
    let names: &[&std::ffi::CStr] =
        if case.node.op_type == "TreeEnsembleClassifier" { &[c"numbers", c"label"] } else { &[c"numbers"] };
    let mut outputs = [None, None];
    let outputs = &mut outputs[..names.len()];
    let inputs = std::iter::once(bound.value());
    value::run(&session, runtime.run_options(), &[c"rows".to_owned()], inputs, names, outputs).ok()?;
    let read = |value: &Option<value::Value>| match value.as_ref().unwrap().cells().unwrap() {
        Cells::Float32(cells) => Column::Float32(cells.iter().copied().collect()),
        Cells::Float64(cells) => Column::Float64(cells.iter().copied().collect()),
        Cells::Int64(cells) => Column::Int64(cells.iter().copied().collect()),
        Cells::Text(cells) => Column::Text(cells.into_iter().collect()),
        _ => panic!("trees give no such cells"),
    };
    let all = read(&outputs[0]);
    let numbers = (0..all.len()).map(|index| all.number(index).unwrap()).collect();
    let labels = outputs.get(1).map(read);
    Some((numbers, labels.map_or(vec![], |labels| (0..labels.len()).map(|i| labels.shown(i).unwrap()).collect())))
}

/// What the native engine makes of it with one set of instructions.
fn natively(of: &TreeOperator, column: &Column, rows: usize, set: InstructionSet) -> (Vec<f64>, Vec<String>) {
    let mut writer = ImageWriter::default();
    let forest = Forest::compile(&of.ensemble, &mut writer).unwrap();
    let (image, mut forest) = Image::open::<Forest>(&writer.finish(&forest).unwrap()).unwrap();
    forest.open(&image).unwrap();
    let singles: Vec<f32> = match column {
        Column::Float32(values) => values.clone(),
        Column::Int64(values) => values.iter().map(|value| *value as f32).collect(),
        Column::Int32(values) => values.iter().map(|value| *value as f32).collect(),
        _ => vec![],
    };
    let input = match column {
        Column::Float64(values) => Rows::Double(values),
        _ => Rows::Single(&singles),
    };
    let size = rows * of.ensemble.targets;
    let (mut single, mut double, mut scratch) = (vec![0f32; size], vec![0f64; size], Scratch::default());
    let sums = if of.ensemble.added_in == e2i_core::native::Precision::Single {
        forest.sums(set, input, rows, &mut scratch, SumsMut::Single(&mut single)).unwrap();
        Sums::Single(&single)
    } else {
        forest.sums(set, input, rows, &mut scratch, SumsMut::Double(&mut double)).unwrap();
        Sums::Double(&double)
    };
    let width = of.finish.width;
    let (mut narrow, mut wide, mut labels) = (vec![0f32; rows * width], vec![0f64; rows * width], vec![0; rows]);
    let numbers = if of.output == ElementType::Float64 {
        of.finish.apply(sums, rows, Some(SumsMut::Double(&mut wide)), Some(&mut labels)).unwrap();
        wide
    } else {
        of.finish.apply(sums, rows, Some(SumsMut::Single(&mut narrow)), Some(&mut labels)).unwrap();
        narrow.into_iter().map(f64::from).collect()
    };
    let label = |label: u32| match &of.finish.classifier.as_ref().unwrap().labels {
        Labels::Int64(labels) => labels[label as usize].to_string(),
        Labels::Text(labels) => labels[label as usize].clone(),
    };
    (numbers, if of.finish.classifier.is_some() { labels.into_iter().map(label).collect() } else { vec![] })
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

#[test]
fn random_trees_score_as_the_runtime_scores_them() {
    let library = std::env::var("E2I_ONNXRUNTIME").expect("E2I_ONNXRUNTIME is the path of libonnxruntime.so");
    let library = std::path::absolute(Path::new(&library)).unwrap();
    let library = if library.exists() { library } else { Path::new("../..").join(&library).canonicalize().unwrap() };
    let runtime = Runtime::load(&library).unwrap();
    let (count, first) = (setting("E2I_TREE_GRAPHS", 2000), setting("E2I_TREE_SEED", 1));
    let (mut compared, mut refused, mut unloaded) = (0, 0, 0);
    let mut wrong = vec![];
    for seed in first..first + count {
        if seed > first && (seed - first).is_multiple_of(10_000) {
            println!("{} of {count} graphs, {} differ", seed - first, wrong.len());
        }
        let mut random = Random(seed);
        let case = if random.chance(75) { listed(&mut random) } else { placed(&mut random) };
        let rows = random.pick(&[1, 3, 20, 60, 130]);
        let column = input(&mut random, &case, rows);
        let operator = match read(&case.node, case.element, case.width) {
            Ok(operator) => operator,
            Err(error) => {
                assert_eq!(error.kind(), Kind::Unsupported, "seed {seed}: {error}");
                refused += 1;
                continue;
            }
        };
        let Some(expected) = by_runtime(&case, runtime, &column, rows) else {
            unloaded += 1;
            continue;
        };
        compared += 1;
        for set in InstructionSet::available() {
            let got = natively(&operator, &column, rows, set);
            let same = |a: &f64, b: &f64| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
            let place = (0..expected.0.len()).find(|i| got.0.get(*i).is_none_or(|got| !same(got, &expected.0[*i])));
            if place.is_some() || got.0.len() != expected.0.len() || got.1 != expected.1 {
                let what = place.map(|i| format!("number {i} is {:?}, not {:?}", got.0.get(i), expected.0[i]));
                let finish = &operator.finish;
                if std::env::var("E2I_TREE_SHOW").is_ok() {
                    let row = place.unwrap_or(0) / finish.width;
                    let at = |i: usize| column.number(row * case.width + i).unwrap();
                    println!("{:?}", (0..case.width).map(at).collect::<Vec<_>>());
                    println!("{:?}", operator.ensemble.features);
                    for tree in &operator.ensemble.trees {
                        for node in &tree.nodes {
                            println!("  {node:?}");
                        }
                        println!();
                    }
                }
                wrong.push(format!(
                    "seed {seed} {set} {:?} {} rows {rows}: {} {finish:?}",
                    case.element,
                    case.node.op_type,
                    what.unwrap_or("labels".into())
                ));
            }
        }
    }
    println!("{compared} compared, {refused} left to the runtime, {unloaded} that the runtime refuses");
    assert!(wrong.is_empty(), "{} of {compared} differ:\n{}", wrong.len(), wrong[..wrong.len().min(12)].join("\n"));
    assert!(compared * 10 > count * 6, "only {compared} of {count} were compared");
}
