//! Random support vector machines of every kernel on both engines, and machines that are none.

use e2i_core::native::{InstructionSet, NativeEngine};
use e2i_core::{Batch, Column, Engine, OutputSet, Outputs};

use super::pipeline_tests::{Pipeline, Random, floats, info, int, ints, runtime, text, texts, units};
use crate::proto::{Attribute, NodeProto, data_type};
use crate::{Artifacts, Model, Options, RuntimeEngine, compile, describe};

const COLUMNS: usize = 5;
const KERNELS: [&str; 4] = ["LINEAR", "POLY", "RBF", "SIGMOID"];

fn classifier(
    random: &mut Random,
    kernel: &'static str,
    classes: usize,
    platt: bool,
    of_texts: bool,
) -> Vec<Attribute> {
    let supports: Vec<i64> = (0..classes).map(|_| 1 + random.below(12) as i64).collect();
    let count = supports.iter().sum::<i64>() as usize;
    let pairs = classes * (classes - 1) / 2;
    let mut attributes = vec![
        text("kernel_type", kernel),
        floats("kernel_params", vec![0.4, 0.25, [2.0, 3.0, 4.0][random.below(3)]]),
        ints("vectors_per_class", supports),
        floats("support_vectors", units(random, count * COLUMNS)),
        floats("coefficients", units(random, count * (classes - 1))),
        floats("rho", units(random, pairs)),
        if of_texts {
            texts("classlabels_strings", &["no", "yes", "perhaps", "never"][..classes])
        } else {
            ints("classlabels_ints", (0..classes as i64).map(|class| class * 3 - 2).collect())
        },
    ];
    if platt {
        attributes.push(floats("prob_a", units(random, pairs).iter().map(|factor| factor - 1.5).collect()));
        attributes.push(floats("prob_b", units(random, pairs)));
    }
    attributes
}

fn model(operator: &str, attributes: Vec<Attribute>, label: i32, width: usize) -> Model {
    let mut pipeline = Pipeline::default();
    let x = pipeline.input(data_type::FLOAT, COLUMNS);
    let is_classifier = operator == "SVMClassifier";
    let outputs = if is_classifier { vec!["label".to_owned(), "scores".to_owned()] } else { vec!["scores".to_owned()] };
    pipeline.graph.nodes.push(NodeProto {
        inputs: vec![x],
        outputs,
        name: "machine".into(),
        op_type: operator.into(),
        domain: "ai.onnx.ml".into(),
        attributes,
    });
    if is_classifier {
        pipeline.graph.outputs.push(info("label", label, &[None]));
    }
    pipeline.graph.outputs.push(info("scores", data_type::FLOAT, &[None, Some(width)]));
    Model::parse(&pipeline.model_of(17, 1)).unwrap()
}

fn batch(model: &Model, rows: usize, random: &mut Random) -> (e2i_core::Interface, Batch) {
    let interface = describe(model, None, &Options::default()).unwrap();
    let mut batch = Batch::new(&interface.inputs, rows);
    batch.tensors_mut()[0].values =
        Column::Float32(units(random, rows * COLUMNS).iter().map(|cell| cell * 2.0).collect());
    (interface, batch)
}

/// Scores on both engines and every set of instructions; labels are the same, numbers the same bits or near.
fn compare(what: &str, model: &Model, random: &mut Random, exact: bool) {
    let (interface, batch) = batch(model, 40, random);
    let image = compile(model, None, &interface).unwrap_or_else(|refusal| panic!("{what}: {refusal}"));
    let artifacts = Artifacts { model: model.bytes(), preprocessor: None };
    let mut expected = Outputs::default();
    RuntimeEngine::load(runtime(), &interface, artifacts, 1)
        .and_then(|mut engine| engine.score(&batch, OutputSet::BOTH, &mut expected))
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    for set in InstructionSet::available() {
        let mut engine = NativeEngine::open(&image, set).unwrap();
        assert!(!engine.is_exact(), "{what}: it is taken for exact");
        let mut got = Outputs::default();
        engine.score(&batch, OutputSet::BOTH, &mut got).unwrap();
        assert_eq!((got.width, got.main.len()), (expected.width, expected.main.len()), "{what}");
        for cell in 0..got.main.len() {
            let (a, b) = (expected.main.number(cell).unwrap(), got.main.number(cell).unwrap());
            let near = a == b || (!exact && (a - b).abs() <= 2e-5 * a.abs().max(1.0));
            assert!(near, "{what}, {set}: number {cell} is {b}, on the runtime {a}");
        }
        assert_eq!(got.label, expected.label, "{what}, {set}");
        // One row at a time, and neighbours do not matter.
        for row in 0..5 {
            let mut alone = Outputs::default();
            engine.score(&batch.picked(&[row]), OutputSet::BOTH, &mut alone).unwrap();
            assert_eq!(alone.main, got.main.picked(&[row], got.width), "{what}, {set}: row {row} alone");
        }
    }
}

#[test]
fn machines_score_as_on_the_runtime() {
    let mut random = Random(11);
    for (number, kernel) in KERNELS.iter().copied().cycle().take(48).enumerate() {
        let classes = 2 + number / 4 % 3;
        let (platt, of_texts) = (number / 12 % 2 == 1, number % 5 == 0);
        let attributes = classifier(&mut random, kernel, classes, platt, of_texts);
        let label = if of_texts { data_type::STRING } else { data_type::INT64 };
        let width = if platt || classes == 2 { classes } else { classes * (classes - 1) / 2 };
        let what = format!("classifier {number}, {kernel}, {classes} classes, probabilities: {platt}");
        // Distances, their exponentials and the sums of them are the runtime's.
        let exact = kernel == "RBF" && !platt;
        compare(&what, &model("SVMClassifier", attributes, label, width), &mut random, exact);
    }
    for (number, kernel) in KERNELS.iter().copied().cycle().take(16).enumerate() {
        let count = 1 + random.below(30);
        let attributes = vec![
            text("kernel_type", kernel),
            floats("kernel_params", vec![0.4, 0.25, 3.0]),
            int("n_supports", count as i64),
            floats("support_vectors", units(&mut random, count * COLUMNS)),
            floats("coefficients", units(&mut random, count)),
            floats("rho", units(&mut random, 1)),
            int("one_class", i64::from(number >= 12)),
        ];
        compare(&format!("regressor {number}, {kernel}"), &model("SVMRegressor", attributes, 0, 1), &mut random, false);
    }
    let linear = vec![
        text("kernel_type", "LINEAR"),
        floats("kernel_params", vec![0.4, 0.25, 3.0]),
        floats("coefficients", units(&mut random, COLUMNS)),
        floats("rho", vec![0.5]),
    ];
    compare("a linear regressor", &model("SVMRegressor", linear, 0, 1), &mut random, false);
}

#[test]
fn machines_whose_lists_disagree_are_refused() {
    let mut random = Random(5);
    let whole = classifier(&mut random, "RBF", 3, true, false);
    let refused = |change: &dyn Fn(&mut Vec<Attribute>)| {
        let mut attributes = whole.clone();
        change(&mut attributes);
        let model = model("SVMClassifier", attributes, data_type::INT64, 3);
        let interface = describe(&model, None, &Options::default()).unwrap();
        compile(&model, None, &interface).err().map(|refusal| refusal.why)
    };
    fn list<'a>(attributes: &'a mut [Attribute], name: &str) -> &'a mut Attribute {
        attributes.iter_mut().find(|attribute| attribute.name == name).unwrap()
    }
    assert_eq!(refused(&|_| ()), None);
    for name in ["support_vectors", "coefficients", "rho", "prob_a", "prob_b"] {
        let shorter = refused(&|attributes| list(attributes, name).floats.truncate(1));
        assert!(shorter.is_some(), "{name} is too short");
    }
    for ints in [vec![], vec![1, 2], vec![-1, 2, 3], vec![i64::MAX; 3], vec![i64::from(u32::MAX); 3], vec![0, 0, 0]] {
        let refusal = refused(&|attributes| list(attributes, "vectors_per_class").ints.clone_from(&ints));
        assert!(refusal.is_some(), "{ints:?}");
    }
    assert!(refused(&|attributes| list(attributes, "classlabels_ints").ints.truncate(2)).is_some());
    assert!(refused(&|attributes| list(attributes, "kernel_params").floats.truncate(2)).is_some());
    assert!(
        refused(&|attributes| list(attributes, "kernel_type").text = bytes::Bytes::from_static(b"COSINE")).is_some()
    );
    let many = vec![1; 1 << 12];
    let refusal = refused(&|attributes| list(attributes, "vectors_per_class").ints.clone_from(&many));
    assert!(refusal.is_some());
}
