//! Where rows lie in outputs, and whether the answer to a row is that row's alone.
//!
//! Needs `E2I_ONNXRUNTIME`, the path of libonnxruntime.so; `make unit` sets it.

use std::path::Path;

use e2i_core::native::agreement::varied;
use e2i_core::native::{InstructionSet, NativeEngine};
use e2i_core::{Batch, Column, Engine, Interface, OutputSet, Outputs};
use e2i_onnx::{Artifacts, Model, Options, Runtime, RuntimeEngine, compile, describe, find_rows, try_alone};

fn runtime() -> &'static Runtime {
    let path = std::env::var("E2I_ONNXRUNTIME").expect("E2I_ONNXRUNTIME is the path of libonnxruntime.so");
    Runtime::load(Path::new(&path)).expect("the runtime loads")
}

/// As registration does it; with a preprocessor that hands its rows through, if asked.
fn proved(name: &str, chained: bool) -> (Interface, RuntimeEngine) {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/models/rows");
    let read = |name: &str| Model::parse(&std::fs::read(models.join(name)).unwrap()).unwrap();
    let (model, first) = (read(&format!("{name}.onnx")), chained.then(|| read("rows_handed_on.onnx")));
    let mut interface = describe(&model, first.as_ref(), &Options::default()).unwrap();
    let sample = first.as_ref().unwrap_or(&model).samples(&interface);
    let artifacts = Artifacts { model: model.bytes(), preprocessor: first.as_ref().map(Model::bytes) };
    let mut engine = RuntimeEngine::load(runtime(), &interface, artifacts, 1).unwrap();
    find_rows(&mut engine, &mut interface, &sample.rows).unwrap_or_else(|error| panic!("{name}: {error}"));
    let rows = varied(&interface, &sample, 64, false);
    let suspect = model.suspect(&interface);
    try_alone(&mut engine, &mut interface, &rows, suspect).unwrap();
    (interface, engine)
}

fn scored(interface: &Interface, engine: &mut RuntimeEngine, rows: &[[f32; 2]]) -> (usize, Vec<f32>) {
    let mut batch = Batch::new(&interface.inputs, rows.len());
    batch.tensors_mut()[0].values = Column::Float32(rows.concat());
    let mut outputs = Outputs::default();
    engine.score(&batch, OutputSet::BOTH, &mut outputs).unwrap();
    let Column::Float32(numbers) = outputs.main else { panic!("not float32") };
    (outputs.width, numbers)
}

const ROWS: [[f32; 2]; 3] = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]];

/// Three rows together, two, and each alone give the same.
fn together_and_alone(name: &str, expected: &[&[f32]]) -> Interface {
    for chained in [false, true] {
        let (interface, mut engine) = proved(name, chained);
        let width = expected[0].len();
        assert_eq!(interface.main_output().unwrap().width, Some(width), "{name}");
        assert_eq!(scored(&interface, &mut engine, &ROWS), (width, expected.concat()), "{name}");
        assert_eq!(scored(&interface, &mut engine, &ROWS[..2]), (width, expected[..2].concat()), "{name}");
        for (row, expected) in ROWS.iter().zip(expected) {
            assert_eq!(scored(&interface, &mut engine, &[*row]), (width, expected.to_vec()), "{name}");
        }
    }
    proved(name, false).0
}

/// What the native engine gives for three rows together and each alone.
fn natively(name: &str, interface: &Interface, expected: &[&[f32]]) {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/models/rows");
    let model = Model::parse(&std::fs::read(models.join(format!("{name}.onnx"))).unwrap()).unwrap();
    let image = compile(&model, None, interface).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
    let mut engine = NativeEngine::open(&image, InstructionSet::best()).unwrap();
    let mut scored = |rows: &[[f32; 2]]| {
        let mut batch = Batch::new(&interface.inputs, rows.len());
        batch.tensors_mut()[0].values = Column::Float32(rows.concat());
        let mut outputs = Outputs::default();
        engine.score(&batch, OutputSet::BOTH, &mut outputs).unwrap();
        outputs.main
    };
    assert_eq!(scored(&ROWS), Column::Float32(expected.concat()), "{name}");
    for (row, expected) in ROWS.iter().zip(expected) {
        assert_eq!(scored(&[*row]), Column::Float32(expected.to_vec()), "{name}");
    }
}

#[test]
fn rows_on_another_axis_are_gathered() {
    let expected = [&[1.0, 20.0][..], &[3.0, 40.0], &[5.0, 60.0]];
    let last = together_and_alone("rows_last", &expected);
    natively("rows_last", &last, &expected);
    assert_eq!((last.main_output().unwrap().rows_axis, last.varies), (1, None));
    let of = |a: f32, b: f32| -> Vec<f32> {
        let sums = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
        let one: Vec<f32> = (0..3).map(|class| a * sums[0][class] + b * sums[1][class]).collect();
        let ten: Vec<f32> = one.iter().map(|sum| sum * 10.0).collect();
        [one, ten].concat()
    };
    let expected = [of(1.0, 2.0), of(3.0, 4.0), of(5.0, 6.0)];
    let expected = expected.each_ref().map(Vec::as_slice);
    let middle = together_and_alone("rows_middle", &expected);
    natively("rows_middle", &middle, &expected);
    assert_eq!((middle.main_output().unwrap().rows_axis, middle.varies), (1, None));
}

/// What is found on some rows holds for others, in calls of any length.
#[test]
fn rows_that_keep_their_bits_beside_others_keep_them_in_every_call() {
    let mut kept = vec![];
    for name in ["../shape_regression_flat", "../breast_xgboost", "../breast_logistic", "../digits_mlp", "../torch_mlp"]
    {
        let (mut interface, mut engine) = proved(name, false);
        assert_eq!(interface.varies, None, "{name}");
        if !interface.is_same_together {
            continue;
        }
        kept.push(name);
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/models/rows");
        let sample =
            Model::parse(&std::fs::read(models.join(format!("{name}.onnx"))).unwrap()).unwrap().samples(&interface);
        let rows = varied(&interface, &sample, 300, false);
        let mut of_length = |rows_at_once: usize| {
            interface.rows_at_once = rows_at_once;
            engine.follow(&interface);
            let mut outputs = Outputs::default();
            engine.score(&rows, OutputSet::BOTH, &mut outputs).unwrap();
            outputs
        };
        let alone = of_length(1);
        for rows_at_once in [2, 4, 7, 64, 300] {
            assert_eq!(of_length(rows_at_once), alone, "{name}, {rows_at_once} rows a call");
        }
    }
    assert!(kept.contains(&"../breast_xgboost"), "trees add up each row by itself: {kept:?}");
}

#[test]
fn the_real_width_wins_over_the_declared_one() {
    assert_eq!(
        together_and_alone("rows_declared_narrow", &[&[5.0, 50.0], &[11.0, 110.0], &[17.0, 170.0]]).varies,
        None
    );
    assert_eq!(together_and_alone("rows_declared_wide", &[&[5.0], &[11.0], &[17.0]]).varies, None);
}

#[test]
fn rows_that_look_at_others_are_scored_alone() {
    let mean = together_and_alone("rows_mean", &[&[0.0, 0.0], &[0.0, 0.0], &[0.0, 0.0]]);
    assert!(mean.varies.unwrap().starts_with("alone and beside others"));
    let sum = together_and_alone("rows_sum", &[&[3.0], &[7.0], &[11.0]]);
    assert_eq!(sum.varies.unwrap(), r#"no axis of its output "y" holds the rows: it is [] for 3 and [] for 2"#);
    let pairs = together_and_alone("rows_pairs", &[&[5.0], &[25.0], &[61.0]]);
    assert_eq!(
        pairs.varies.unwrap(),
        r#"no axis of its output "y" holds the rows: it is [3, 3] for 3 and [2, 2] for 2"#
    );
    let constant = together_and_alone("alias_constant", &[&[7.0_f32, 8.0][..]; 3]);
    assert!(constant.varies.unwrap().starts_with("no axis of its output"));
}

#[test]
fn nodes_that_draw_are_named_whatever_samples_say() {
    let why = |name: &str| proved(name, false).0.varies.unwrap();
    assert_eq!(why("rows_random"), r#"node "noise" (RandomNormalLike) draws random numbers"#);
    assert_eq!(why("rows_rarely_random"), r#"node "noise" (RandomNormalLike) draws random numbers"#);
    assert_eq!(why("rows_dropout"), r#"node "drop" (Dropout) is in training mode"#);
}

/// A model of one node over one input.
fn one_node(operator: &str, domain: &str, element: i32, axes: &[Option<i64>], attributes: &[u8]) -> Vec<u8> {
    // The few messages of onnx.proto that are needed, by hand: key, length, bytes.
    let part = |field: u8, bytes: &[u8]| [&[field << 3 | 2, bytes.len() as u8][..], bytes].concat();
    let number = |field: u8, number: i64| [field << 3, number as u8].to_vec();
    let dim = |axis: &Option<i64>| part(1, &axis.map_or(part(2, b"n"), |axis| number(1, axis)));
    let shape = part(2, &axes.iter().flat_map(dim).collect::<Vec<u8>>());
    let info = |name: &[u8]| {
        let tensor = part(1, &[number(1, element.into()), shape.clone()].concat());
        [part(1, name), part(2, &tensor)].concat()
    };
    let node =
        [part(1, b"x"), part(2, b"y"), part(4, operator.as_bytes()), part(7, domain.as_bytes()), attributes.to_vec()];
    let graph = [part(1, &node.concat()), part(2, b"g"), part(11, &info(b"x")), part(12, &info(b"y"))].concat();
    let sets = [part(8, &number(2, 17)), part(8, &[part(1, b"ai.onnx.ml"), number(2, 3)].concat())].concat();
    [number(1, 8), part(7, &graph), sets].concat()
}

#[test]
fn inputs_that_cannot_hold_rows_are_refused_with_the_way_out() {
    const FLOAT: i32 = 1;
    let refused = |axes: &[Option<i64>]| {
        let model = Model::parse(&one_node("Identity", "", FLOAT, axes, &[])).unwrap();
        let error = describe(&model, None, &Options::default()).unwrap_err();
        (error.message().to_owned(), error.hint().unwrap_or_default().to_owned())
    };
    let (message, hint) = refused(&[Some(0), Some(4)]);
    assert_eq!(message, r#"input "x" of the model is declared as [0, 4]: an axis of length 0 holds no rows"#);
    assert!(hint.contains("None, 4"), "{hint}");
    for axes in [&[None, None, Some(3)][..], &[Some(10), None, Some(3)], &[None, None, None]] {
        let (message, hint) = refused(axes);
        assert!(message.contains("with a free axis besides that of the rows"), "{message}");
        assert!(hint.contains("dynamic_axes"), "{hint}");
    }
}

#[test]
fn a_graph_of_doubles_without_operators_is_to_be_exported_with_floats() {
    const DOUBLE: i32 = 11;
    // imputed_value_floats = [0.0]
    let attribute =
        [&[5 << 3 | 2, 31][..], &[10, 20], b"imputed_value_floats", &[7 << 3 | 2, 4, 0, 0, 0, 0, 20 << 3, 1, 6]];
    let bytes = one_node("Imputer", "ai.onnx.ml", DOUBLE, &[None, Some(1)], &attribute.concat());
    let model = Model::parse(&bytes).unwrap();
    let interface = describe(&model, None, &Options::default()).unwrap();
    let error = RuntimeEngine::load(runtime(), &interface, Artifacts { model: &bytes, preprocessor: None }, 1);
    let error = error.err().expect("it does not load");
    assert!(error.hint().is_some_and(|hint| hint.contains("float inputs")), "{error} {:?}", error.hint());
}
