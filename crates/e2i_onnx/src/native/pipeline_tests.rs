//! Random pipelines of preprocessing, networks and linear models on both engines.
//!
//! `E2I_PIPELINES` says how many (300), `E2I_PIPELINE_SEED` from which seed on. Where no matrix product and no elementary
//! function is on the way, the numbers are the same bits.

use std::path::Path;

use bytes::Bytes;
use e2i_core::native::{InstructionSet, NativeEngine};
pub(super) use e2i_core::random::Random;
use e2i_core::{Batch, Column, Engine, Interface, OutputSet, Outputs};
use prost::Message;

use crate::proto::{
    Attribute, Dimension, DimensionValue, GraphProto, ModelProto, NodeProto, OperatorSet, Shape, TensorProto,
    TensorType, TypeProto, TypeValue, ValueInfo, data_type,
};
use crate::{Artifacts, Model, Options, Runtime, RuntimeEngine, compile, describe};

fn unit(random: &mut Random) -> f32 {
    random.unit() as f32
}

pub(super) fn units(random: &mut Random, count: usize) -> Vec<f32> {
    (0..count).map(|_| unit(random)).collect()
}

fn attribute(name: &str, kind: i32) -> Attribute {
    Attribute { name: name.into(), kind, ..Attribute::default() }
}

pub(super) fn float(name: &str, float: f32) -> Attribute {
    Attribute { float, ..attribute(name, 1) }
}

pub(super) fn int(name: &str, int: i64) -> Attribute {
    Attribute { int, ..attribute(name, 2) }
}

pub(super) fn text(name: &str, value: &'static str) -> Attribute {
    Attribute { text: Bytes::from_static(value.as_bytes()), ..attribute(name, 3) }
}

pub(super) fn floats(name: &str, floats: Vec<f32>) -> Attribute {
    Attribute { floats, ..attribute(name, 6) }
}

pub(super) fn ints(name: &str, ints: Vec<i64>) -> Attribute {
    Attribute { ints, ..attribute(name, 7) }
}

pub(super) fn texts(name: &str, texts: &[&'static str]) -> Attribute {
    let strings = texts.iter().map(|text| Bytes::from_static(text.as_bytes())).collect();
    Attribute { strings, ..attribute(name, 8) }
}

pub(super) fn info(name: &str, element: i32, axes: &[Option<usize>]) -> ValueInfo {
    let dims = axes.iter().map(|axis| Dimension { value: axis.map(|axis| DimensionValue::Fixed(axis as i64)) });
    let shape = Some(Shape { dims: dims.collect() });
    ValueInfo {
        name: name.into(),
        kind: Some(TypeProto { value: Some(TypeValue::Tensor(TensorType { element, shape })) }),
    }
}

/// A matrix of float32 in the graph.
#[derive(Clone)]
struct Matrix {
    name: String,
    width: usize,
    /// Whether the runtime's bits are expected.
    exact: bool,
}

#[derive(Default)]
pub(super) struct Pipeline {
    pub(super) graph: GraphProto,
    names: usize,
}

pub(super) const CITIES: [&str; 5] = ["Aachen", "Bonn", "Ulm", "", "Zürich"];

impl Pipeline {
    fn fresh(&mut self) -> String {
        self.names += 1;
        format!("t{}", self.names)
    }

    pub(super) fn node(&mut self, operator: &str, inputs: &[&str], attributes: Vec<Attribute>) -> String {
        const ML: [&str; 9] = [
            "Scaler",
            "Imputer",
            "Normalizer",
            "OneHotEncoder",
            "LabelEncoder",
            "LinearClassifier",
            "LinearRegressor",
            "ArrayFeatureExtractor",
            "FeatureVectorizer",
        ];
        let output = self.fresh();
        self.graph.nodes.push(NodeProto {
            inputs: inputs.iter().map(ToString::to_string).collect(),
            outputs: vec![output.clone()],
            name: format!("{operator}_{output}"),
            op_type: operator.into(),
            domain: if ML.contains(&operator) { "ai.onnx.ml".into() } else { String::new() },
            attributes,
        });
        output
    }

    fn constant(&mut self, dims: &[usize], cells: Vec<f32>) -> String {
        let name = self.fresh();
        self.graph.initializers.push(TensorProto {
            name: name.clone(),
            dims: dims.iter().map(|dim| *dim as i64).collect(),
            data_type: data_type::FLOAT,
            float_data: cells,
            ..TensorProto::default()
        });
        name
    }

    pub(super) fn integers(&mut self, cells: Vec<i64>) -> String {
        let name = self.fresh();
        self.graph.initializers.push(TensorProto {
            name: name.clone(),
            dims: vec![cells.len() as i64],
            data_type: data_type::INT64,
            int64_data: cells,
            ..TensorProto::default()
        });
        name
    }

    pub(super) fn input(&mut self, element: i32, width: usize) -> String {
        let name = self.fresh();
        self.graph.inputs.push(info(&name, element, &[None, Some(width)]));
        name
    }

    /// A matrix from a new input, by way of what its type needs.
    fn source(&mut self, random: &mut Random) -> Matrix {
        let exact = |name: String, width| Matrix { name, width, exact: true };
        match random.below(6) {
            0 => {
                let width = 1 + random.below(3);
                let input = self.input(data_type::INT64, width);
                exact(self.node("Cast", &[&input], vec![int("to", 1)]), width)
            }
            1 => {
                let input = self.input(data_type::STRING, 1);
                let known = 1 + random.below(CITIES.len());
                let hot = self.node("OneHotEncoder", &[&input], vec![texts("cats_strings", &CITIES[..known])]);
                let shape = self.integers(vec![-1, known as i64]);
                exact(self.node("Reshape", &[&hot, &shape], vec![]), known)
            }
            2 => {
                let input = self.input(data_type::STRING, 1);
                let values = units(random, 4);
                let attributes = vec![
                    texts("keys_strings", &CITIES[..4]),
                    floats("values_floats", values),
                    float("default_float", unit(random)),
                ];
                exact(self.node("LabelEncoder", &[&input], attributes), 1)
            }
            3 => {
                let input = self.input(data_type::DOUBLE, 2);
                let scale = vec![floats("offset", units(random, 2)), floats("scale", units(random, 2))];
                exact(self.node("Scaler", &[&input], scale), 2)
            }
            _ => {
                let width = 1 + random.below(20);
                exact(self.input(data_type::FLOAT, width), width)
            }
        }
    }

    /// One more operator.
    fn grow(&mut self, of: &Matrix, random: &mut Random) -> Matrix {
        let (x, width) = (of.name.as_str(), of.width);
        let same = |name: String| Matrix { name, ..of.clone() };
        let inexact = |name: String| Matrix { name, width, exact: false };
        match random.below(21) {
            0 => {
                let count = if random.below(2) == 0 { 1 } else { width };
                let attributes = vec![floats("offset", units(random, count)), floats("scale", units(random, count))];
                same(self.node("Scaler", &[x], attributes))
            }
            1 => {
                // What is nearly 0 may be 0 on one side only.
                let missing = if random.below(2) == 0 || !of.exact { f32::NAN } else { 0.0 };
                let values = units(random, width);
                same(self.node(
                    "Imputer",
                    &[x],
                    vec![floats("imputed_value_floats", values), float("replaced_value_float", missing)],
                ))
            }
            2 => {
                // The greatest number may be near 0, where nothing is left of what is not exact.
                let norm = ["L1", "L2", "MAX"][random.below(if of.exact { 3 } else { 2 })];
                same(self.node("Normalizer", &[x], vec![text("norm", norm)]))
            }
            3 => {
                let operator = ["Add", "Sub", "Mul"][random.below(3)];
                let (dims, count) = match random.below(4) {
                    0 => (vec![], 1),
                    1 => (vec![1], 1),
                    2 => (vec![width], width),
                    _ => (vec![1, width], width),
                };
                let cells = units(random, count);
                let constant = self.constant(&dims, cells);
                let sides = if random.below(2) == 0 { [x, constant.as_str()] } else { [constant.as_str(), x] };
                same(self.node(operator, &sides, vec![]))
            }
            4 => {
                let cells = units(random, width).iter().map(|cell| cell + 2.0).collect();
                let constant = self.constant(&[width], cells);
                same(self.node("Div", &[x, &constant], vec![]))
            }
            5 => {
                let picked: Vec<i64> = (0..1 + random.below(width)).map(|_| random.below(width) as i64).collect();
                let (count, indexes) = (picked.len(), self.integers(picked));
                let (operator, attributes) =
                    [("Gather", vec![int("axis", 1)]), ("ArrayFeatureExtractor", vec![])][random.below(2)].clone();
                Matrix { name: self.node(operator, &[x, &indexes], attributes), width: count, exact: of.exact }
            }
            6 => {
                let start = random.below(width) as i64;
                let [starts, ends, axes] = [vec![start], vec![i64::MAX], vec![-1]].map(|list| self.integers(list));
                let name = self.node("Slice", &[x, &starts, &ends, &axes], vec![]);
                Matrix { name, width: width - start as usize, exact: of.exact }
            }
            7 => same(self.node(
                ["Relu", "Abs", "Neg", "Floor", "Sign"][random.below(if of.exact { 5 } else { 3 })],
                &[x],
                vec![],
            )),
            8 => inexact(self.node(["Sigmoid", "Tanh", "Softplus"][random.below(3)], &[x], vec![])),
            9 => {
                let (low, high) = (self.constant(&[], vec![-3.0]), self.constant(&[], vec![2.5]));
                let clipped = self.node("Clip", &[x, &low, &high], vec![]);
                if random.below(2) == 0 { same(clipped) } else { inexact(self.node("Exp", &[&clipped], vec![])) }
            }
            10 => {
                let absolute = self.node("Abs", &[x], vec![]);
                // Near 0 a root makes much of little.
                if of.exact && random.below(2) == 0 {
                    return same(self.node("Sqrt", &[&absolute], vec![]));
                }
                let one = self.constant(&[1], vec![1.0]);
                let more = self.node("Add", &[&absolute, &one], vec![]);
                inexact(self.node("Log", &[&more], vec![]))
            }
            11 | 12 => {
                let outputs = 1 + random.below(40);
                let weights = units(random, width * outputs);
                let matrix = self.constant(&[width, outputs], weights);
                let product = self.node("MatMul", &[x, &matrix], vec![]);
                let bias = units(random, outputs);
                let bias = self.constant(&[outputs], bias);
                let name = self.node("Add", &[&product, &bias], vec![]);
                Matrix { name, width: outputs, exact: false }
            }
            13 => {
                let outputs = 1 + random.below(20);
                let weights = units(random, width * outputs);
                let matrix = self.constant(&[outputs, width], weights);
                let bias = units(random, outputs);
                let bias = self.constant(&[1, outputs], bias);
                let attributes = vec![float("alpha", 0.7), float("beta", -1.5), int("transB", 1)];
                Matrix { name: self.node("Gemm", &[x, &matrix, &bias], attributes), width: outputs, exact: false }
            }
            14 => {
                let unknown = self.node("IsNaN", &[x], vec![]);
                let cells = units(random, width);
                let constant = self.constant(&[width], cells);
                same(self.node("Where", &[&unknown, &constant, x], vec![]))
            }
            15 => inexact(self.node(["Softmax", "LogSoftmax"][random.below(2)], &[x], vec![int("axis", -1)])),
            16 => {
                let operator = ["ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2"][random.below(4)];
                let exact = of.exact && matches!(operator, "ReduceMax" | "ReduceMin");
                // What the runtime makes of NaN there depends on its place.
                let (unknown, zero) = (self.node("IsNaN", &[x], vec![]), self.constant(&[], vec![0.5]));
                let numbers = self.node("Where", &[&unknown, &zero, x], vec![]);
                let name = self.node(operator, &[&numbers], vec![ints("axes", vec![1]), int("keepdims", 1)]);
                Matrix { name, width: 1, exact }
            }
            17 => {
                let other = self.node("Neg", &[x], vec![]);
                let operator = ["Add", "Mul", "Min", "Max", "Sub"][random.below(5)];
                same(self.node(operator, &[x, &other], vec![]))
            }
            18 if of.exact => {
                let zero = self.constant(&[1], vec![0.1]);
                let operator = ["Less", "Greater", "LessOrEqual", "GreaterOrEqual", "Equal"][random.below(5)];
                let flags = self.node(operator, &[x, &zero], vec![]);
                let flags = if random.below(2) == 0 { self.node("Not", &[&flags], vec![]) } else { flags };
                same(self.node("Cast", &[&flags], vec![int("to", 1)]))
            }
            19 if of.exact => {
                let whole = self.node("Cast", &[x], vec![int("to", [6, 7][random.below(2)])]);
                same(self.node("Cast", &[&whole], vec![int("to", 1)]))
            }
            20 => {
                let axes = self.integers(vec![1]);
                let wide = self.node("Unsqueeze", &[x, &axes], vec![]);
                same(if random.below(2) == 0 {
                    self.node("Squeeze", &[&wide, &axes], vec![])
                } else {
                    self.node("Flatten", &[&wide], vec![])
                })
            }
            _ => {
                let two = self.constant(&[], vec![2.0]);
                same(self.node("Pow", &[x, &two], vec![]))
            }
        }
    }

    /// The end: numbers, and a label for a classifier. Says whether the numbers are exact.
    fn finish(&mut self, of: &Matrix, random: &mut Random) -> bool {
        let (x, width) = (of.name.clone(), of.width);
        let output = |name: &str, element, width| info(name, element, &[None, Some(width)]);
        match random.below(4) {
            0 => {
                let targets = 1 + random.below(3);
                let (weights, bias) = (units(random, width * targets), units(random, targets));
                let attributes =
                    vec![floats("coefficients", weights), floats("intercepts", bias), int("targets", targets as i64)];
                let name = self.node("LinearRegressor", &[&x], attributes);
                self.graph.outputs.push(output(&name, data_type::FLOAT, targets));
                false
            }
            1 => {
                let classes = [1, 2, 3, 9][random.below(4)];
                let (weights, bias) = (units(random, width * classes), units(random, classes));
                let labels = classes.max(2);
                let post = ["NONE", "LOGISTIC", "SOFTMAX"][random.below(3)];
                let attributes = vec![
                    floats("coefficients", weights),
                    floats("intercepts", bias),
                    ints("classlabels_ints", (10..10 + labels as i64).collect()),
                    text("post_transform", post),
                ];
                let label = self.node("LinearClassifier", &[&x], attributes);
                let scores = format!("{label}_probabilities");
                self.graph.nodes.last_mut().unwrap().outputs.push(scores.clone());
                self.graph.outputs.push(info(&label, data_type::INT64, &[None]));
                self.graph.outputs.push(output(&scores, data_type::FLOAT, labels));
                false
            }
            _ => {
                let name = self.node("Identity", &[&x], vec![]);
                self.graph.outputs.push(output(&name, data_type::FLOAT, width));
                of.exact
            }
        }
    }

    fn model(self) -> Vec<u8> {
        self.model_of(17, 3)
    }

    pub(super) fn model_of(self, version: i64, ml_version: i64) -> Vec<u8> {
        let set = |domain: &str, version| OperatorSet { domain: domain.into(), version };
        let model = ModelProto {
            ir_version: 8,
            graph: Some(self.graph),
            opset_import: vec![set("", version), set("ai.onnx.ml", ml_version)],
            ..ModelProto::default()
        };
        model.encode_to_vec()
    }
}

/// Numbers of ordinary size with some that are missing, whole, zero or large; categories known and not.
pub(super) fn fill(batch: &mut Batch, random: &mut Random) {
    for tensor in batch.tensors_mut() {
        match &mut tensor.values {
            Column::Float32(cells) => cells.iter_mut().for_each(|cell| {
                *cell = match random.below(20) {
                    0 => f32::NAN,
                    1 => 0.0,
                    2 => -0.0,
                    3 => unit(random).round(),
                    4 => unit(random) * 1e3,
                    _ => unit(random) * 3.0,
                };
            }),
            Column::Float64(cells) => cells.iter_mut().for_each(|cell| *cell = f64::from(unit(random)) * 3.7),
            Column::Int64(cells) => cells.iter_mut().for_each(|cell| *cell = random.below(9) as i64 - 4),
            Column::Text(cells) => cells.iter_mut().for_each(|cell| {
                let city = random.below(CITIES.len() + 1);
                *cell = CITIES.get(city).copied().unwrap_or("elsewhere").to_owned();
            }),
            _ => {}
        }
    }
}

pub(super) fn runtime() -> &'static Runtime {
    let path = std::env::var("E2I_ONNXRUNTIME").expect("E2I_ONNXRUNTIME is the path of libonnxruntime.so");
    Runtime::load(Path::new(&path)).expect("the runtime loads")
}

fn singles(column: &Column) -> &[f32] {
    match column {
        Column::Float32(cells) => cells,
        other => panic!("float32 was expected, not {}", other.element()),
    }
}

/// A row of a batch as a batch.
fn one_row(batch: &Batch, interface: &Interface, row: usize) -> Batch {
    let mut one = Batch::new(&interface.inputs, 1);
    for (from, to) in batch.tensors().iter().zip(one.tensors_mut()) {
        let cells = row * from.width..(row + 1) * from.width;
        to.values = match &from.values {
            Column::Float32(values) => Column::Float32(values[cells].to_vec()),
            Column::Float64(values) => Column::Float64(values[cells].to_vec()),
            Column::Int32(values) => Column::Int32(values[cells].to_vec()),
            Column::Int64(values) => Column::Int64(values[cells].to_vec()),
            Column::Bool(values) => Column::Bool(values[cells].to_vec()),
            Column::Text(values) => Column::Text(values[cells].to_vec()),
        };
    }
    one
}

#[test]
fn random_pipelines_score_as_on_the_runtime() {
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let (count, seed) = (number("E2I_PIPELINES", 300), number("E2I_PIPELINE_SEED", 0));
    let (mut exact_ones, first) = (0, seed);
    for seed in seed..seed + count {
        if seed > first && (seed - first).is_multiple_of(1_000) {
            println!("{} of {count} pipelines", seed - first);
        }
        let mut random = Random(seed.wrapping_mul(0x1234_5677));
        let mut pipeline = Pipeline::default();
        let mut parts = vec![];
        for _ in 0..1 + random.below(3) {
            let mut part = pipeline.source(&mut random);
            for _ in 0..random.below(3) {
                part = pipeline.grow(&part, &mut random);
            }
            parts.push(part);
        }
        let names: Vec<String> = parts.iter().map(|part| part.name.clone()).collect();
        let mut whole = Matrix {
            name: pipeline.node("Concat", &names.iter().map(String::as_str).collect::<Vec<_>>(), vec![int("axis", -1)]),
            width: parts.iter().map(|part| part.width).sum(),
            exact: parts.iter().all(|part| part.exact),
        };
        for _ in 0..random.below(6) {
            whole = pipeline.grow(&whole, &mut random);
        }
        let exact = pipeline.finish(&whole, &mut random);
        let operators: Vec<String> = pipeline.graph.nodes.iter().map(|node| node.op_type.clone()).collect();
        let bytes = pipeline.model();
        let what = format!("seed {seed}: {operators:?}");
        let model = Model::parse(&bytes).unwrap();
        let interface = describe(&model, None, &Options::default()).unwrap_or_else(|error| panic!("{what}: {error}"));
        let image = compile(&model, None, &interface).unwrap_or_else(|refusal| panic!("{what}: {refusal}"));
        let rows = 23;
        let mut batch = Batch::new(&interface.inputs, rows);
        fill(&mut batch, &mut random);
        let mut expected = Outputs::default();
        RuntimeEngine::load(runtime(), &interface, Artifacts { model: &bytes, preprocessor: None }, 1)
            .and_then(|mut engine| engine.score(&batch, OutputSet::BOTH, &mut expected))
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        let mut first: Option<Vec<u32>> = None;
        for set in InstructionSet::available() {
            let mut got = Outputs::default();
            NativeEngine::open(&image, set).unwrap().score(&batch, OutputSet::BOTH, &mut got).unwrap();
            assert_eq!((got.width, got.main.len()), (expected.width, expected.main.len()), "{what}");
            let (a, b) = (singles(&expected.main), singles(&got.main));
            let bits: Vec<u32> = b.iter().map(|cell| if cell.is_nan() { 0 } else { cell.to_bits() }).collect();
            assert_eq!(*first.get_or_insert_with(|| bits.clone()), bits, "{what}: {set}");
            // One row alone has code of its own.
            let (mut alone, mut its) = (NativeEngine::open(&image, set).unwrap(), Outputs::default());
            for (row, bits) in bits.chunks_exact(got.width).enumerate().take(4) {
                alone.score(&one_row(&batch, &interface, row), OutputSet::MAIN, &mut its).unwrap();
                let cells = singles(&its.main);
                let own: Vec<u32> = cells.iter().map(|cell| if cell.is_nan() { 0 } else { cell.to_bits() }).collect();
                assert_eq!(own, bits, "{what}: {set}: row {row} alone");
            }
            for (row, (a, b)) in a.chunks_exact(got.width).zip(b.chunks_exact(got.width)).enumerate() {
                let size = a.iter().filter(|cell| cell.is_finite()).fold(1.0f32, |size, cell| size.max(cell.abs()));
                for (a, b) in a.iter().zip(b) {
                    // Beyond the range one side may just overflow.
                    let far = !exact && (!a.is_finite() || !b.is_finite() || a.abs() > 1e30);
                    let same = a == b || (a.is_nan() && b.is_nan()) || far;
                    assert!(
                        same || (!exact && (a - b).abs() <= 2e-4 * size),
                        "{what}: row {row}: the runtime gives {a:e}, the native engine {b:e}"
                    );
                }
                if let (Column::Int64(a_labels), Column::Int64(b_labels)) = (&expected.label, &got.label)
                    && !a_labels.is_empty()
                    && a_labels[row] != b_labels[row]
                {
                    // Only a tie may be decided differently.
                    let mut sorted = a.to_vec();
                    sorted.sort_by(f32::total_cmp);
                    let gap = sorted[sorted.len() - 1] - sorted[sorted.len() - 2];
                    assert!(gap.is_nan() || gap <= 1e-3 * size, "{what}: row {row}: labels differ");
                }
            }
        }
        exact_ones += u64::from(exact);
    }
    println!("{count} pipelines, {exact_ones} to the bit");
    assert!(count < 100 || exact_ones > count / 20, "only {exact_ones} pipelines are exact");
}
