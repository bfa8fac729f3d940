//! One model on both engines, side by side: `native_against_runtime MODEL.onnx [ROWS] [SET]`.
//!
//! Scores 10,000 rows of nearly normal numbers one at a time and 1,024 at a time, alternating between ONNX Runtime (one
//! thread, values made once and reused, only the numbers asked for) and the native engine with the instructions SET, in nine
//! rounds. Prints the least and the median nanoseconds a row of each, the ratio of the least, and by how much the scores differ
//! at most; a wrong engine does not go unnoticed.

use std::path::Path;
use std::time::Instant;

use e2i_core::native::{InstructionSet, NativeEngine};
use e2i_core::random::Random;
use e2i_core::{Batch, Column, Engine, Interface, OutputSet, Outputs};
use e2i_onnx::{Artifacts, Model, Options, Runtime, RuntimeEngine, compile, describe};

const ROUNDS: usize = 9;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, rest @ ..] = arguments.as_slice() else { panic!("native_against_runtime MODEL.onnx [ROWS] [SET]") };
    let count: usize = rest.first().map_or(10_000, |rows| rows.parse().expect("a number of rows"));
    let set = rest.get(1).map_or(InstructionSet::best(), |name| InstructionSet::from_name(name).expect("a set"));
    let library = std::env::var("E2I_ONNXRUNTIME").expect("E2I_ONNXRUNTIME is the path of libonnxruntime.so");
    let runtime = Runtime::load(Path::new(&library)).expect("it loads");
    let model = Model::parse(&std::fs::read(path).expect("the model")).expect("it parses");
    let interface = describe(&model, None, &Options::default()).expect("it is described");
    let artifacts = Artifacts { model: model.bytes(), preprocessor: None };
    let mut on_runtime = RuntimeEngine::load(runtime, &interface, artifacts, 1).expect("it loads");
    let begun = Instant::now();
    let image = compile(&model, None, &interface).expect("it compiles");
    let compiled = begun.elapsed();
    let begun = Instant::now();
    let mut native = NativeEngine::open(&image, set).expect("it opens");
    println!(
        "compiled in {:.1} µs to {} bytes, opened in {:.1} µs, holds {} bytes ({} on the runtime), {}",
        compiled.as_nanos() as f64 / 1e3,
        image.len(),
        begun.elapsed().as_nanos() as f64 / 1e3,
        native.memory_bytes(),
        on_runtime.memory_bytes(),
        native.instruction_set()
    );
    for step in native.describe(1) {
        println!("  {}: {}", step.node, step.kernel);
    }
    for at_once in [1, 1024] {
        let batches = batches(&interface, count, at_once);
        compare(&mut on_runtime, &mut native, &batches, count, at_once);
    }
}

/// All rows, cut into batches; the same numbers whatever the size of a batch.
fn batches(interface: &Interface, count: usize, at_once: usize) -> Vec<Batch> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut normal = move || (0..12).map(|_| random.share()).sum::<f64>() - 6.0;
    let mut batches = Vec::new();
    for start in (0..count).step_by(at_once) {
        let mut batch = Batch::new(&interface.inputs, at_once.min(count - start));
        for tensor in batch.tensors_mut() {
            match &mut tensor.values {
                Column::Float32(cells) => cells.iter_mut().for_each(|cell| *cell = normal() as f32),
                Column::Float64(cells) => cells.iter_mut().for_each(|cell| *cell = normal()),
                Column::Int64(cells) => cells.iter_mut().for_each(|cell| *cell = (normal() * 10.0) as i64),
                _ => {}
            }
        }
        batches.push(batch);
    }
    batches
}

fn compare(a: &mut impl Engine, b: &mut impl Engine, batches: &[Batch], count: usize, at_once: usize) {
    let (mut times_a, mut times_b) = (Vec::new(), Vec::new());
    let (mut scores_a, mut scores_b) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        times_a.push(pass(a, batches, count, &mut scores_a));
        times_b.push(pass(b, batches, count, &mut scores_b));
    }
    assert_eq!(scores_a.len(), scores_b.len(), "as many scores");
    let apart = scores_a.iter().zip(&scores_b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    let different = scores_a.iter().zip(&scores_b).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
    let [(least_a, middle_a), (least_b, middle_b)] = [times_a, times_b].map(|mut times| {
        times.sort_by(f64::total_cmp);
        (times[0], times[ROUNDS / 2])
    });
    println!(
        "{at_once} at once: {} {least_a:.1} ({middle_a:.1}) ns/row, {} {least_b:.1} ({middle_b:.1}) ns/row, ratio {:.1}; \
         {different} of {} scores differ, at most by {apart:e}",
        a.name(),
        b.name(),
        least_a / least_b,
        scores_a.len()
    );
}

/// One pass over all rows; the last number of each row is kept.
fn pass(engine: &mut impl Engine, batches: &[Batch], count: usize, scores: &mut Vec<f64>) -> f64 {
    scores.clear();
    let mut outputs = Outputs::default();
    let begun = Instant::now();
    for batch in batches {
        engine.score(batch, OutputSet::MAIN, &mut outputs).expect("it scores");
        // The last number of each row; no division, which would cost as much as a small model.
        let width = outputs.width;
        let mut last = width - 1;
        match &outputs.main {
            Column::Float32(cells) => {
                while let Some(score) = cells.get(last) {
                    scores.push(f64::from(*score));
                    last += width;
                }
            }
            Column::Float64(cells) => {
                while let Some(score) = cells.get(last) {
                    scores.push(*score);
                    last += width;
                }
            }
            _ => {}
        }
    }
    begun.elapsed().as_nanos() as f64 / count as f64
}
