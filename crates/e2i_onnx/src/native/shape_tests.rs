//! Small graphs that rearrange, repeat and reduce the cells of a row, on both engines: one table, a line a graph.

use e2i_core::native::{InstructionSet, NativeEngine};
use e2i_core::{Batch, Column, Engine, OutputSet, Outputs};

use super::pipeline_tests::{Pipeline, Random, fill, info, int, ints, runtime};
use crate::proto::{Attribute, TensorProto, data_type};
use crate::{Artifacts, Model, Options, RuntimeEngine, compile, describe};

type Build = fn(&mut Pipeline, &str) -> String;

fn tensor(name: &str, cells: Vec<f32>) -> Attribute {
    let tensor = TensorProto {
        dims: vec![cells.len() as i64],
        data_type: data_type::FLOAT,
        float_data: cells,
        ..TensorProto::default()
    };
    Attribute { name: name.into(), kind: 4, tensor: Some(tensor), ..Attribute::default() }
}

/// `x` under other axes, -1 for the rows.
fn reshaped(pipeline: &mut Pipeline, x: &str, axes: &[i64]) -> String {
    let axes = pipeline.integers(axes.to_vec());
    pipeline.node("Reshape", &[x, &axes], vec![])
}

/// `[2, rows, 6]` of `[rows, 6]`: the cells and their negatives.
fn stacked(pipeline: &mut Pipeline, x: &str) -> String {
    let negative = pipeline.node("Neg", &[x], vec![]);
    let parts = [x, &negative].map(|part| reshaped(pipeline, part, &[1, -1, 6]));
    pipeline.node("Concat", &[&parts[0], &parts[1]], vec![int("axis", 0)])
}

/// A graph of six columns, the axes of its result (`None` for the rows), and whether the bits are the runtime's.
const GRAPHS: [(&str, Build, &[Option<usize>], bool); 19] = [
    (
        "log of a sum of powers",
        |p, x| p.node("ReduceLogSumExp", &[x], vec![ints("axes", vec![1])]),
        &[None, Some(1)],
        false,
    ),
    (
        "log of a sum of powers, in the middle",
        |p, x| {
            let x = reshaped(p, x, &[-1, 2, 3]);
            p.node("ReduceLogSumExp", &[&x], vec![ints("axes", vec![1]), int("keepdims", 0)])
        },
        &[None, Some(3)],
        false,
    ),
    (
        "axes that do not lie side by side",
        |p, x| {
            let x = reshaped(p, x, &[-1, 2, 1, 3]);
            p.node("ReduceMax", &[&x], vec![ints("axes", vec![1, 3]), int("keepdims", 0)])
        },
        &[None, Some(1)],
        true,
    ),
    (
        "a mean before the rows",
        |p, x| {
            let stack = stacked(p, x);
            p.node("ReduceMean", &[&stack], vec![ints("axes", vec![0]), int("keepdims", 0)])
        },
        &[None, Some(6)],
        true,
    ),
    (
        "the greatest before and after the rows",
        |p, x| {
            let stack = stacked(p, x);
            p.node("ReduceMax", &[&stack], vec![ints("axes", vec![0, 2]), int("keepdims", 0)])
        },
        &[None],
        true,
    ),
    (
        "the place of the greatest before the rows",
        |p, x| {
            let stack = stacked(p, x);
            let place = p.node("ArgMax", &[&stack], vec![int("axis", 0), int("keepdims", 0)]);
            p.node("Cast", &[&place], vec![int("to", 1)])
        },
        &[None, Some(6)],
        true,
    ),
    (
        "transposed back",
        |p, x| {
            let stack = stacked(p, x);
            p.node("Transpose", &[&stack], vec![ints("perm", vec![1, 2, 0])])
        },
        &[None, Some(6), Some(2)],
        true,
    ),
    (
        "transposed in a row",
        |p, x| {
            let x = reshaped(p, x, &[-1, 2, 3]);
            p.node("Transpose", &[&x], vec![ints("perm", vec![0, 2, 1])])
        },
        &[None, Some(3), Some(2)],
        true,
    ),
    (
        "stretched before the rows",
        |p, x| {
            let stack = stacked(p, x);
            let sum = p.node("Add", &[&stack, x], vec![]);
            p.node("Gather", &[&sum, "one"], vec![int("axis", 0)])
        },
        &[None, Some(6)],
        true,
    ),
    (
        "a constant before the rows",
        |p, x| {
            let stack = stacked(p, x);
            let product = p.node("Mul", &[&stack, "planes"], vec![]);
            p.node("ReduceSum", &[&product], vec![ints("axes", vec![0]), int("keepdims", 0)])
        },
        &[None, Some(6)],
        true,
    ),
    (
        "joined on a new axis",
        |p, x| {
            let negative = p.node("Neg", &[x], vec![]);
            let parts = [x, &negative].map(|part| p.node("Unsqueeze", &[part], vec![ints("axes", vec![2])]));
            p.node("Concat", &[&parts[0], &parts[1]], vec![int("axis", 2)])
        },
        &[None, Some(6), Some(2)],
        true,
    ),
    (
        "joined constants",
        |p, x| {
            let both = p.node("Concat", &["low", "high"], vec![int("axis", 0)]);
            p.node("Mul", &[x, &both], vec![])
        },
        &[None, Some(6)],
        true,
    ),
    (
        "a part of a constant",
        |p, x| {
            let row = p.node("Slice", &["low"], vec![ints("starts", vec![1]), ints("ends", vec![2])]);
            p.node("Add", &[x, &row], vec![])
        },
        &[None, Some(6)],
        true,
    ),
    (
        "filled as the rows are shaped",
        |p, x| {
            let shape = p.node("Shape", &[x], vec![]);
            let filled = p.node("ConstantOfShape", &[&shape], vec![tensor("value", vec![2.5])]);
            let joined = p.node("Concat", &[x, &filled], vec![int("axis", 1)]);
            let positive = p.node("Greater", &[&joined, "nothing"], vec![]);
            p.node("Cast", &[&positive], vec![int("to", 1)])
        },
        &[None, Some(12)],
        true,
    ),
    (
        "filled as is stated",
        |p, x| {
            let shape = p.integers(vec![2, 3]);
            let filled = p.node("ConstantOfShape", &[&shape], vec![]);
            let row = reshaped(p, &filled, &[1, 6]);
            p.node("Add", &[x, &row], vec![])
        },
        &[None, Some(6)],
        true,
    ),
    (
        "tiled",
        |p, x| {
            let times = p.integers(vec![1, 2]);
            p.node("Tile", &[x, &times], vec![])
        },
        &[None, Some(12)],
        true,
    ),
    (
        "a constant tiled for each row",
        |p, x| {
            let shape = p.node("Shape", &[x], vec![]);
            let rows = p.node("Gather", &[&shape, "first"], vec![int("axis", 0)]);
            let once = p.integers(vec![1]);
            let times = p.node("Concat", &[&rows, &once], vec![int("axis", 0)]);
            let row = reshaped(p, "row", &[1, 6]);
            let tiled = p.node("Tile", &[&row, &times], vec![]);
            p.node("Sub", &[&tiled, x], vec![])
        },
        &[None, Some(6)],
        true,
    ),
    (
        "expanded",
        |p, x| {
            let x = reshaped(p, x, &[-1, 6, 1]);
            let axes = p.integers(vec![1, 1, 3]);
            p.node("Expand", &[&x, &axes], vec![])
        },
        &[None, Some(6), Some(3)],
        true,
    ),
    (
        "divided by a norm",
        |p, x| p.node("LpNormalization", &[x], vec![int("p", 1), int("axis", 1)]),
        &[None, Some(6)],
        false,
    ),
];

/// How far two numbers that are no bits of each other may be apart.
fn near(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-5 * a.abs().max(1.0)
}

#[test]
fn graphs_of_axes_score_as_on_the_runtime() {
    for (what, build, axes, exact) in GRAPHS {
        let mut pipeline = Pipeline::default();
        let x = pipeline.input(data_type::FLOAT, 6);
        let constants = [
            ("low", vec![3], vec![0.5, -1.5, 2.0]),
            ("high", vec![3], vec![3.0, 0.25, -1.0]),
            ("row", vec![6], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
            ("planes", vec![2, 1, 1], vec![2.0, -3.0]),
            ("nothing", vec![], vec![0.0]),
        ];
        for (name, dims, float_data) in constants {
            let (name, data_type) = (name.to_owned(), data_type::FLOAT);
            pipeline.graph.initializers.push(TensorProto {
                name,
                dims,
                data_type,
                float_data,
                ..TensorProto::default()
            });
        }
        for (name, dims, index) in [("one", vec![], 1), ("first", vec![1], 0)] {
            let (name, int64_data) = (name.to_owned(), vec![index]);
            let data_type = data_type::INT64;
            pipeline.graph.initializers.push(TensorProto {
                name,
                dims,
                data_type,
                int64_data,
                ..TensorProto::default()
            });
        }
        let y = build(&mut pipeline, &x);
        pipeline.graph.outputs.push(info(&y, data_type::FLOAT, axes));
        // Version 9, where axes and bounds are attributes; of the later operators their own.
        let later = ["Concat", "Tile", "Expand", "LpNormalization"];
        let version =
            if pipeline.graph.nodes.iter().any(|node| later.contains(&node.op_type.as_str())) { 11 } else { 9 };
        let slices = pipeline.graph.nodes.iter().any(|node| node.op_type == "Slice");
        let bytes = pipeline.model_of(if slices { 9 } else { version }, 1);
        let model = Model::parse(&bytes).unwrap();
        let interface = describe(&model, None, &Options::default()).unwrap_or_else(|error| panic!("{what}: {error}"));
        let image = compile(&model, None, &interface).unwrap_or_else(|refusal| panic!("{what}: {refusal}"));
        let mut batch = Batch::new(&interface.inputs, 29);
        fill(&mut batch, &mut Random(3));
        if let Column::Float32(cells) = &mut batch.tensors_mut()[0].values {
            cells[6..12].fill(0.0);
            cells[12..18].fill(f32::NEG_INFINITY);
            cells[20] = f32::INFINITY;
            // What the runtime makes of NaN among the greatest depends on its place.
            cells.iter_mut().filter(|cell| cell.is_nan()).for_each(|cell| *cell = 0.75);
        }
        let mut expected = Outputs::default();
        RuntimeEngine::load(runtime(), &interface, Artifacts { model: &bytes, preprocessor: None }, 1)
            .and_then(|mut engine| engine.score(&batch, OutputSet::BOTH, &mut expected))
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        for set in InstructionSet::available() {
            let mut got = Outputs::default();
            NativeEngine::open(&image, set).unwrap().score(&batch, OutputSet::BOTH, &mut got).unwrap();
            assert_eq!((got.width, got.main.len()), (expected.width, expected.main.len()), "{what}");
            for cell in 0..got.main.len() {
                let (a, b) = (expected.main.number(cell).unwrap(), got.main.number(cell).unwrap());
                let same = a == b || (a.is_nan() && b.is_nan());
                assert!(same || (!exact && near(a, b)), "{what}, {set}: cell {cell} is {b}, on the runtime {a}");
            }
        }
    }
}

#[test]
fn shapes_that_are_too_large_or_no_shapes_are_refused() {
    let refused = |build: Build| {
        let mut pipeline = Pipeline::default();
        let x = pipeline.input(data_type::FLOAT, 6);
        let y = build(&mut pipeline, &x);
        pipeline.graph.outputs.push(info(&y, data_type::FLOAT, &[None, Some(6)]));
        let model = Model::parse(&pipeline.model_of(11, 1)).unwrap();
        let interface = describe(&model, None, &Options::default()).unwrap();
        compile(&model, None, &interface).expect_err("it is not compiled").why
    };
    assert_eq!(
        refused(|p, x| {
            let times = p.integers(vec![1, i64::MAX]);
            p.node("Tile", &[x, &times], vec![])
        }),
        "a row is too wide"
    );
    assert_eq!(
        refused(|p, x| {
            let times = p.integers(vec![2, 1]);
            p.node("Tile", &[x, &times], vec![])
        }),
        "it repeats rows"
    );
    assert_eq!(
        refused(|p, x| {
            let times = p.integers(vec![1]);
            p.node("Tile", &[x, &times], vec![])
        }),
        "it does not say how often each axis is repeated"
    );
    assert_eq!(
        refused(|p, x| {
            let shape = p.integers(vec![1 << 40, 1 << 40]);
            let filled = p.node("ConstantOfShape", &[&shape], vec![]);
            p.node("Add", &[x, &filled], vec![])
        }),
        "a row is too wide"
    );
    assert_eq!(
        refused(|p, x| {
            let axes = p.integers(vec![1, 1 << 60]);
            let x = p.node("Unsqueeze", &[x], vec![ints("axes", vec![2])]);
            p.node("Expand", &[&x, &axes], vec![])
        }),
        "a row is too wide"
    );
    assert_eq!(
        refused(|p, x| {
            let shape = p.integers(vec![-2, 3]);
            let filled = p.node("ConstantOfShape", &[&shape], vec![]);
            p.node("Add", &[x, &filled], vec![])
        }),
        "its shape is not known"
    );
    assert_eq!(
        refused(|p, x| p.node("ReduceLogSumExp", &[x], vec![ints("axes", vec![0])])),
        "it works along the axis of the rows"
    );
}
