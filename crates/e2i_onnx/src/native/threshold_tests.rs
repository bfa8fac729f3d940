//! The tree models of tests/models, and those of target/bench where they were made, on rows that lie on thresholds, just
//! below and just above them, with NaN, ±0, infinities, denormals and the greatest numbers: the runtime's bits and labels.
//!
//! Models are scored whole, and their tree operators alone, as they stand and without their post transform, since a
//! probability can hide the last bit of a sum. `E2I_ROWS` says how many rows for each (2,000, of tests/models only),
//! `E2I_ROWS_SEED` from which seed on.

use std::path::{Path, PathBuf};

use e2i_core::native::{Ensemble, InstructionSet, NativeEngine, Node, Test};
use e2i_core::{Batch, Column, ElementType, Engine, Interface, OutputSet, Outputs};
use prost::Message;

use super::pipeline_tests::{Random, info, int, runtime, text};
use super::trees::read;
use crate::proto::{GraphProto, ModelProto, NodeProto, OperatorSet, data_type};
use crate::{Artifacts, Model, Options, RuntimeEngine, compile, describe};

/// Rows that are drawn and scored in one go; more than the native engine and the runtime take at once.
const BATCH: usize = 4096;

/// Tree operators of a model that are scored alone; all of them are in the whole.
const ALONE: usize = 2;

/// A graph with the numbers near which its inputs are drawn, for each column.
struct Subject {
    name: String,
    model: Model,
    thresholds: Vec<Vec<f64>>,
}

fn folder(path: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    let Ok(entries) = std::fs::read_dir(folder) else { return vec![] };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "onnx"));
    files.sort();
    files
}

fn is_trees(node: &NodeProto) -> bool {
    node.op_type.starts_with("TreeEnsemble")
}

/// The type of the numbers that a node compares.
fn element_of(node: &NodeProto) -> ElementType {
    let is_double = |tensor: &crate::proto::TensorProto| tensor.data_type == data_type::DOUBLE;
    let mut tensors = node.attributes.iter().filter_map(|attribute| attribute.tensor.as_ref());
    if tensors.any(is_double) { ElementType::Float64 } else { ElementType::Float32 }
}

fn thresholds_of(ensemble: &Ensemble) -> Vec<Vec<f64>> {
    let mut thresholds = vec![vec![]; ensemble.width];
    for node in ensemble.trees.iter().flat_map(|tree| &tree.nodes) {
        let Node::Branch(branch) = node else { continue };
        let of = &mut thresholds[ensemble.features[branch.feature as usize].column as usize];
        match &branch.test {
            Test::Less(threshold) | Test::LessEqual(threshold) => of.push(*threshold),
            Test::Member(intervals) => of.extend(intervals.iter().flat_map(|(low, high)| [*low, *high])),
        }
    }
    for of in &mut thresholds {
        of.sort_by(f64::total_cmp);
        of.dedup();
    }
    thresholds
}

/// Whether a node makes something else of its sums.
fn transforms(node: &NodeProto) -> bool {
    let is_transform = |name: &str| name == "post_transform";
    let mut of = node.attributes.iter().filter(|attribute| is_transform(&attribute.name));
    of.any(|attribute| attribute.int != 0 || !(attribute.text.is_empty() || attribute.text == "NONE"))
}

/// A graph of one tree operator of a model, as it is or without its post transform.
fn alone(model: &Model, node: &NodeProto, width: usize, targets: usize, raw: bool) -> Model {
    let mut node = node.clone();
    let element = if element_of(&node) == ElementType::Float64 { data_type::DOUBLE } else { data_type::FLOAT };
    let (is_classifier, is_new) = (node.op_type == "TreeEnsembleClassifier", node.op_type == "TreeEnsemble");
    let is_text = node.attributes.iter().any(|list| list.name == "classlabels_strings" && !list.strings.is_empty());
    if raw {
        node.attributes.retain(|attribute| attribute.name != "post_transform");
        node.attributes.push(if is_new { int("post_transform", 0) } else { text("post_transform", "NONE") });
    }
    node.inputs = vec!["rows".into()];
    node.outputs = vec!["numbers".into()];
    let mut outputs = vec![info("numbers", if is_new { element } else { data_type::FLOAT }, &[None, Some(targets)])];
    if is_classifier {
        node.outputs.insert(0, "label".into());
        outputs.insert(0, info("label", if is_text { data_type::STRING } else { data_type::INT64 }, &[None]));
    }
    let inputs = vec![info("rows", element, &[None, Some(width)])];
    let set = |domain: &str, version| OperatorSet { domain: domain.into(), version };
    let proto = ModelProto {
        ir_version: 8,
        graph: Some(GraphProto { nodes: vec![node], inputs, outputs, ..GraphProto::default() }),
        opset_import: vec![set("", 17), set("ai.onnx.ml", model.operator_set("ai.onnx.ml"))],
        ..ModelProto::default()
    };
    Model::parse(&proto.encode_to_vec()).unwrap()
}

/// What a file gives to score.
fn subjects(path: &Path) -> Vec<Subject> {
    let model = Model::parse(&std::fs::read(path).unwrap()).unwrap();
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    let nodes: Vec<NodeProto> = model.graph().nodes.iter().filter(|node| is_trees(node)).cloned().collect();
    let (mut subjects, mut all) = (vec![], vec![]);
    for (number, node) in nodes.iter().enumerate() {
        let features = super::attributes::ints(node, "nodes_featureids");
        let width = features.iter().max().map_or(1, |most| *most as usize + 1);
        let operator = read(node, element_of(node), width).unwrap_or_else(|error| panic!("{name}: {error}"));
        let thresholds = thresholds_of(&operator.ensemble);
        for raw in [false, true].into_iter().filter(|raw| number < ALONE && (!raw || transforms(node))) {
            let name = format!("{name}, trees {number}{}", if raw { " without their transform" } else { "" });
            let model = alone(&model, node, width, operator.finish.width, raw);
            subjects.push(Subject { name, model, thresholds: thresholds.clone() });
        }
        all.push(thresholds);
    }
    // Models with text among their inputs are scored whole by tests/native.rs.
    if let (Ok(interface), [_, ..]) = (describe(&model, None, &Options::default()), subjects.as_slice())
        && interface.inputs.iter().all(|tensor| tensor.element.is_float())
    {
        let mut thresholds = vec![vec![]; interface.features.len()];
        for (column, of) in thresholds.iter_mut().enumerate() {
            of.extend(all.iter().filter_map(|thresholds| thresholds.get(column)).flatten());
        }
        subjects.push(Subject { name: format!("{name}, whole"), model, thresholds });
    }
    subjects
}

/// Draws a number near one of `thresholds`: mostly on it or beside it, sometimes an odd one.
macro_rules! draw {
    ($type:ident, $random:expr, $thresholds:expr, $odd:expr) => {{
        const ODD: [$type; 13] = [
            $type::NAN,
            $type::NAN,
            0.0,
            -0.0,
            $type::INFINITY,
            $type::NEG_INFINITY,
            $type::MAX,
            $type::MIN,
            $type::MIN_POSITIVE,
            $type::from_bits(1),
            -$type::from_bits(1),
            -$type::MIN_POSITIVE / 2.0,
            1.0e-40,
        ];
        let (random, thresholds): (&mut Random, &[f64]) = (&mut *$random, $thresholds);
        let bits = random.bits();
        if thresholds.is_empty() || (bits % 100) < $odd {
            ODD[random.below(ODD.len())]
        } else {
            let at = thresholds[random.below(thresholds.len())] as $type;
            match bits >> 32 & 15 {
                0..=4 => at,
                5..=8 => at.next_up(),
                9..=12 => at.next_down(),
                13 => -at,
                14 => at + random.unit() as $type,
                _ => (at + thresholds[random.below(thresholds.len())] as $type) / 2.0,
            }
        }
    }};
}

fn fill(batch: &mut Batch, thresholds: &[Vec<f64>], random: &mut Random) {
    let mut first = 0;
    for tensor in batch.tensors_mut() {
        let (width, columns) = (tensor.width, &thresholds[first..]);
        first += width;
        // Rows of which nothing is odd as well as rows of which much is.
        let mut odd = 0;
        let mut rate = |random: &mut Random, column: usize| {
            if column == 0 {
                odd = [0, 2, 10, 40][random.below(4)];
            }
            odd
        };
        match &mut tensor.values {
            Column::Float32(cells) => cells.iter_mut().enumerate().for_each(|(index, cell)| {
                let odd = rate(random, index % width);
                *cell = draw!(f32, random, &columns[index % width], odd);
            }),
            Column::Float64(cells) => cells.iter_mut().enumerate().for_each(|(index, cell)| {
                let odd = rate(random, index % width);
                *cell = draw!(f64, random, &columns[index % width], odd);
            }),
            other => panic!("inputs of {} are not drawn", other.element()),
        }
    }
}

/// The first cell in which two columns differ; all NaN are one.
fn first_difference(expected: &Column, got: &Column) -> Option<usize> {
    let different = |index: &usize| match (expected, got) {
        (Column::Float32(a), Column::Float32(b)) => {
            a[*index].to_bits() != b[*index].to_bits() && !(a[*index].is_nan() && b[*index].is_nan())
        }
        (Column::Float64(a), Column::Float64(b)) => {
            a[*index].to_bits() != b[*index].to_bits() && !(a[*index].is_nan() && b[*index].is_nan())
        }
        (a, b) => a.shown(*index) != b.shown(*index),
    };
    if expected.element() != got.element() || expected.len() != got.len() {
        return Some(0);
    }
    (0..expected.len()).find(different)
}

/// Scores random rows on both engines; says what differs, at most one row a batch.
fn compare(subject: &Subject, interface: &Interface, rows: usize, seed: u64) -> Result<Vec<String>, String> {
    let image = compile(&subject.model, None, interface).map_err(|refusal| refusal.to_string())?;
    let artifacts = Artifacts { model: subject.model.bytes(), preprocessor: None };
    let mut oracle = RuntimeEngine::load(runtime(), interface, artifacts, 1).unwrap();
    let sets = InstructionSet::available();
    let mut engines: Vec<_> = sets.map(|set| (set, NativeEngine::open(&image, set).unwrap())).collect();
    let (mut random, mut different) = (Random(seed), vec![]);
    let (mut expected, mut got) = (Outputs::default(), Outputs::default());
    for from in (0..rows).step_by(BATCH) {
        let mut batch = Batch::new(&interface.inputs, BATCH.min(rows - from));
        fill(&mut batch, &subject.thresholds, &mut random);
        oracle.score(&batch, OutputSet::BOTH, &mut expected).unwrap();
        for (set, engine) in &mut engines {
            engine.score(&batch, OutputSet::BOTH, &mut got).unwrap();
            let number = first_difference(&expected.main, &got.main).map(|index| (index, &expected.main, &got.main));
            let label = first_difference(&expected.label, &got.label).map(|index| (index, &expected.label, &got.label));
            for (index, expected, got) in [number, label].into_iter().flatten() {
                let shown = |column: &Column| column.shown(index).unwrap_or_default();
                let (expected, got) = (shown(expected), shown(got));
                different.push(format!(
                    "{} {set}: cell {index} of the batch from row {from} is {got}, not {expected}",
                    subject.name
                ));
            }
        }
    }
    Ok(different)
}

#[test]
fn tree_models_score_rows_at_thresholds_as_the_runtime_does() {
    let setting = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (rows, seed) = (setting("E2I_ROWS").unwrap_or(2_000) as usize, setting("E2I_ROWS_SEED").unwrap_or(1));
    let large = if setting("E2I_ROWS").is_some() { folder("target/bench") } else { vec![] };
    let (mut compared, mut different) = (0, vec![]);
    for path in folder("tests/models").into_iter().chain(large) {
        for subject in subjects(&path) {
            let begun = std::time::Instant::now();
            let interface = describe(&subject.model, None, &Options::default()).unwrap();
            let found =
                compare(&subject, &interface, rows, seed).unwrap_or_else(|why| panic!("{}: {why}", subject.name));
            let count: usize = subject.thresholds.iter().map(Vec::len).sum();
            println!(
                "{}: {rows} rows at {count} thresholds, {} batches differ, {:.0} s",
                subject.name,
                found.len(),
                begun.elapsed().as_secs_f64()
            );
            compared += 1;
            different.extend(found);
        }
    }
    let shown = &different[..different.len().min(20)];
    assert!(different.is_empty(), "{} batches differ:\n{}", different.len(), shown.join("\n"));
    assert!(compared >= 20, "only {compared} graphs were compared");
}
