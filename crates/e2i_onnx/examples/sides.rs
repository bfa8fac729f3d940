//! One round of `bench/native`: a model on ONNX Runtime alone and on the native engine with every set of instructions.
//!
//! `sides MODEL ROWS.f32 SCORES` scores all rows of the file (float32) one at a time, 1,024 and 4,096 at a time, the sides
//! in turn, and prints `BATCH SIDE NANOSECONDS` a row of every pass, then `load SIDE NANOSECONDS`: creating a session
//! against opening a compiled model. Time is the thread's own on a processor, so that others on the machine disturb less.
//! A line `kernel BATCH SET TEXT` says what ran. Every number of every pass is compared: bit by bit, but for models whose
//! operators round differently, there to a few units in the last places. The model is ONNX, or a file of XGBoost,
//! LightGBM or scikit-learn (skops), which has no runtime beside it; the scores go to SCORES, in the type they have, for
//! their own library to be compared with.

mod alone;

use std::hint::black_box;
use std::time::Duration;

use alone::{Alone, own_time};
use e2i_core::native::{InstructionSet, NativeEngine, compile_trained};
use e2i_core::{Batch, Column, Engine, Interface, OutputSet, Outputs, formats};
use e2i_onnx::{Model, Options, compile, describe};

const PASSES: usize = 3;
const BATCHES: [usize; 3] = [1, 1024, 4096];

/// What rounding in another order may change.
const TOLERANCE: f64 = 2e-6;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, rows, scores] = arguments.as_slice() else { panic!("sides MODEL ROWS.f32 SCORES") };
    let bytes = std::fs::read(model).expect("the model");
    let rows: Vec<f32> = std::fs::read(rows)
        .expect("the rows")
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().expect("four bytes")))
        .collect();
    let (interface, image) = compiled(&bytes);
    let open = |set| NativeEngine::open(&image, set).expect("it opens");
    let sets = InstructionSet::available();
    let mut natives: Vec<_> = sets.map(|set| Native::new(open(set), &interface)).collect();
    // Where operators round, the runtime itself gives other bits for other batches.
    let exact = natives[0].engine.is_exact();
    let environment = model.ends_with(".onnx").then(alone::environment);
    let features = interface.inputs[0].width();
    let width = interface.main_output().and_then(|output| output.width).expect("numbers");
    let mut runtime = environment.as_ref().map(|it| Alone::new(alone::session(it, &bytes), [features, width]));
    let mut expected: Option<Column> = None;
    for batch in BATCHES {
        // The first pass warms up.
        for pass in 0..=PASSES {
            let report = |side: &str, nanoseconds: f64| {
                if pass > 0 {
                    println!("{batch} {side} {nanoseconds:.2}");
                }
            };
            if let Some(runtime) = &mut runtime {
                let mut all = Vec::with_capacity(rows.len() / features * width);
                let begun = own_time();
                rows.chunks(batch * features).for_each(|some| all.extend_from_slice(black_box(runtime.score(some))));
                report("onnxruntime", a_row(begun, rows.len() / features));
                compare("onnxruntime", exact, Column::Float32(all), &mut expected);
            }
            for native in &mut natives {
                let begun = own_time();
                let all = native.pass(&rows, features, batch);
                report(native.engine.instruction_set().name(), a_row(begun, rows.len() / features));
                compare(native.engine.instruction_set().name(), exact, all, &mut expected);
            }
        }
        for native in &natives {
            for step in native.engine.describe(batch) {
                println!("kernel {batch} {} {}", native.engine.instruction_set(), step.kernel);
            }
        }
    }
    for _ in 0..PASSES {
        if let Some(environment) = &environment {
            let begun = own_time();
            black_box(alone::session(environment, &bytes));
            println!("load onnxruntime {}", (own_time() - begun).as_nanos());
        }
        let begun = own_time();
        black_box(open(InstructionSet::best()));
        println!("load native {}", (own_time() - begun).as_nanos());
    }
    let of_native = natives[0].pass(&rows, features, BATCHES[1]);
    let bytes: Vec<u8> = match of_native {
        Column::Float64(cells) => cells.iter().flat_map(|cell| cell.to_le_bytes()).collect(),
        Column::Float32(cells) => cells.iter().flat_map(|cell| cell.to_le_bytes()).collect(),
        _ => panic!("floating-point scores only"),
    };
    std::fs::write(scores, bytes).expect("the scores");
}

/// What the model takes and gives, and its compiled form.
fn compiled(bytes: &[u8]) -> (Interface, Vec<u8>) {
    if let Some(trained) = formats::read(bytes) {
        let trained = trained.expect("a sound file");
        let element = trained.interface.inputs[0].element;
        let image = compile_trained(trained.framework, element, &trained.ensemble, &trained.link).expect("it compiles");
        return (trained.interface, image);
    }
    if let Some(model) = e2i_skops::read(bytes) {
        let model = model.expect("a model that is known");
        return (model.interface, model.plan);
    }
    let model = Model::parse(bytes).expect("it parses");
    let interface = describe(&model, None, &Options::default()).expect("it is described");
    let image = compile(&model, None, &interface).expect("it compiles");
    (interface, image)
}

fn a_row(begun: Duration, rows: usize) -> f64 {
    (own_time() - begun).as_nanos() as f64 / rows as f64
}

/// The first scores are what all others are compared with.
fn compare(side: &str, exact: bool, all: Column, expected: &mut Option<Column>) {
    let Some(expected) = expected else {
        *expected = Some(all);
        return;
    };
    assert_eq!(all.len(), expected.len(), "{side}: as many scores");
    for index in 0..all.len() {
        let (a, b) = (all.number(index).expect("a number"), expected.number(index).expect("a number"));
        let agrees = a.to_bits() == b.to_bits() || (!exact && (a - b).abs() <= TOLERANCE);
        assert!(agrees, "{side} gives {a} for number {index}, the first side {b}");
    }
}

/// The native engine with the batches that it reuses.
struct Native {
    engine: NativeEngine,
    batch: Batch,
    outputs: Outputs,
}

impl Native {
    fn new(engine: NativeEngine, interface: &Interface) -> Self {
        Self { engine, batch: Batch::new(&interface.inputs, 1), outputs: Outputs::default() }
    }

    fn pass(&mut self, rows: &[f32], features: usize, at_once: usize) -> Column {
        let (mut singles, mut doubles) = (Vec::new(), Vec::new());
        for some in rows.chunks(at_once * features) {
            self.batch.set_rows(some.len() / features);
            match &mut self.batch.tensors_mut()[0].values {
                Column::Float32(cells) => cells.copy_from_slice(some),
                Column::Float64(cells) => {
                    cells.iter_mut().zip(some).for_each(|(cell, value)| *cell = f64::from(*value))
                }
                _ => panic!("one input of floating-point numbers only"),
            }
            self.engine.score(&self.batch, OutputSet::MAIN, &mut self.outputs).expect("it scores");
            match &self.outputs.main {
                Column::Float32(cells) => singles.extend_from_slice(black_box(cells)),
                Column::Float64(cells) => doubles.extend_from_slice(black_box(cells)),
                _ => panic!("floating-point scores only"),
            }
        }
        if doubles.is_empty() { Column::Float32(singles) } else { Column::Float64(doubles) }
    }
}
