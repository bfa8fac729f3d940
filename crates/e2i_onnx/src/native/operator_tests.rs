//! Single operators in their variants and older versions, on both engines.

use e2i_core::native::{InstructionSet, NativeEngine};
use e2i_core::{Batch, Column, Engine, OutputSet, Outputs};

use super::pipeline_tests::{CITIES, Pipeline, Random, fill, float, floats, info, int, ints, runtime, text, texts};
use crate::proto::{Attribute, data_type};
use crate::{Artifacts, Model, Options, RuntimeEngine, compile, describe};

/// One node between an input and an output, on both engines: the same cells, or an error on both.
fn compare_node(
    operator: &str,
    (element, width): (i32, usize),
    (result, axes): (i32, &[Option<usize>]),
    (version, ml_version): (i64, i64),
    attributes: Vec<Attribute>,
) {
    let mut pipeline = Pipeline::default();
    let input = pipeline.input(element, width);
    let name = pipeline.node(operator, &[&input], attributes);
    if matches!(operator, "CategoryMapper" | "Binarizer") {
        pipeline.graph.nodes[0].domain = "ai.onnx.ml".into();
    }
    pipeline.graph.outputs.push(info(&name, result, axes));
    let bytes = pipeline.model_of(version, ml_version);
    let model = Model::parse(&bytes).unwrap();
    let interface = describe(&model, None, &Options::default()).unwrap();
    let image = compile(&model, None, &interface).unwrap_or_else(|refusal| panic!("{refusal}"));
    let mut batch = Batch::new(&interface.inputs, 29);
    fill(&mut batch, &mut Random(3));
    let (mut expected, mut got) = (Outputs::default(), Outputs::default());
    let on_runtime = RuntimeEngine::load(runtime(), &interface, Artifacts { model: &bytes, preprocessor: None }, 1)
        .unwrap()
        .score(&batch, OutputSet::BOTH, &mut expected);
    let here = NativeEngine::open(&image, InstructionSet::best()).unwrap().score(&batch, OutputSet::BOTH, &mut got);
    match (on_runtime, here) {
        (Ok(()), Ok(())) => {
            for (a, b) in [(&expected.label, &got.label), (&expected.main, &got.main)] {
                let cells = |column: &Column| (0..column.len()).map(|i| column.shown(i).unwrap()).collect::<Vec<_>>();
                assert_eq!(cells(a), cells(b), "{operator}");
            }
        }
        (Err(_), Err(error)) => assert!(error.message().contains(operator), "{error}"),
        (a, b) => panic!("{operator}: the runtime says {a:?}, the native engine {b:?}"),
    }
}

#[test]
fn encoders_of_all_types_score_as_on_the_runtime() {
    use data_type::{FLOAT, INT64, STRING};
    let one = &[None, Some(1)][..];
    let cities = || texts("keys_strings", &CITIES[1..4]);
    let numbers = || ints("keys_int64s", vec![-2, 3, 0]);
    let now = (17, 3);
    compare_node("LabelEncoder", (STRING, 1), (INT64, one), now, vec![cities(), ints("values_int64s", vec![7, -8, 9])]);
    compare_node(
        "LabelEncoder",
        (STRING, 1),
        (STRING, one),
        now,
        vec![cities(), texts("values_strings", &["a", "", "c"])],
    );
    compare_node(
        "LabelEncoder",
        (INT64, 1),
        (STRING, one),
        now,
        vec![numbers(), texts("values_strings", &["a", "", "c"])],
    );
    compare_node(
        "LabelEncoder",
        (INT64, 2),
        (FLOAT, &[None, Some(2)]),
        now,
        vec![numbers(), floats("values_floats", vec![0.5, -1.5, 2.5])],
    );
    compare_node(
        "LabelEncoder",
        (FLOAT, 1),
        (STRING, one),
        now,
        vec![
            floats("keys_floats", vec![1.0, -1.0, 0.0]),
            texts("values_strings", &["one", "minus", "none"]),
            text("default_string", "other"),
        ],
    );
    compare_node(
        "LabelEncoder",
        (STRING, 1),
        (INT64, one),
        (9, 1),
        vec![texts("classes_strings", &CITIES[..3]), int("default_int64", -7)],
    );
    for element in [STRING, INT64] {
        let result = if element == STRING { INT64 } else { STRING };
        compare_node(
            "CategoryMapper",
            (element, 1),
            (result, one),
            now,
            vec![
                texts("cats_strings", &CITIES[..3]),
                ints("cats_int64s", vec![1, -2, 3]),
                int("default_int64", -7),
                text("default_string", "?"),
            ],
        );
    }
    let three = &[None, Some(1), Some(3)][..];
    compare_node("OneHotEncoder", (INT64, 1), (FLOAT, three), now, vec![ints("cats_int64s", vec![2, -1, 0])]);
    compare_node("OneHotEncoder", (FLOAT, 1), (FLOAT, three), now, vec![ints("cats_int64s", vec![2, -1, 0])]);
    // An unknown category is an error on both.
    compare_node(
        "OneHotEncoder",
        (INT64, 1),
        (FLOAT, three),
        now,
        vec![ints("cats_int64s", vec![2, -1, 0]), int("zeros", 0)],
    );
}

#[test]
fn older_versions_of_operators_score_as_on_the_runtime() {
    use data_type::{FLOAT, INT64};
    let (flat, four) = (&[None][..], &[None, Some(4)][..]);
    let old = (10, 1);
    compare_node("Clip", (FLOAT, 4), (FLOAT, four), old, vec![float("min", -0.5), float("max", 0.25)]);
    compare_node("Squeeze", (FLOAT, 1), (FLOAT, flat), old, vec![ints("axes", vec![1])]);
    compare_node("Unsqueeze", (FLOAT, 4), (FLOAT, &[None, Some(1), Some(4)]), old, vec![ints("axes", vec![1])]);
    compare_node("ArgMax", (FLOAT, 4), (INT64, flat), old, vec![int("axis", -1), int("keepdims", 0)]);
    compare_node("ArgMin", (FLOAT, 4), (INT64, &[None, Some(1)]), old, vec![int("axis", 1)]);
    compare_node(
        "Slice",
        (FLOAT, 4),
        (FLOAT, &[None, Some(2)]),
        (9, 1),
        vec![ints("starts", vec![-3]), ints("ends", vec![3]), ints("axes", vec![1])],
    );
    compare_node("ReduceSum", (INT64, 4), (INT64, flat), old, vec![ints("axes", vec![1]), int("keepdims", 0)]);
    compare_node("Transpose", (INT64, 1), (INT64, &[Some(1), None]), old, vec![]);
    // NaN, which is among the cells, is an error on both.
    compare_node("Binarizer", (FLOAT, 4), (FLOAT, four), old, vec![float("threshold", 0.5)]);
    compare_node("Binarizer", (FLOAT, 1), (FLOAT, &[None, Some(1)]), old, vec![float("threshold", 0.5)]);
}
