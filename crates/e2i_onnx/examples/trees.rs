//! Times the native trees beside ONNX Runtime on the same model and rows, and compares every result bit for bit.
//!
//! `cargo run --release --example trees -p e2i_onnx -- target/bench/ref.onnx target/bench/rows.f32`
//!
//! The model gives its only input, float32, to trees at once (`bench/make_native_models.py` makes such models). The file
//! of rows holds float32 numbers, row after row. Rounds alternate between the two; what is printed is the least time of a
//! row over all rounds, and the quotient of the two. The runtime scores on one thread into values that are kept.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use e2i_core::native::{Forest, Image, ImageWriter, InstructionSet, Precision, Rows, Scratch, Sums, SumsMut};
use e2i_core::{Batch, Column, Engine, OutputSet, Outputs};
use e2i_onnx::native::{TreeOperator, trees_of};
use e2i_onnx::{Artifacts, Model, Options, Runtime, RuntimeEngine, describe};

const ROUNDS: usize = 11;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (model, rows, only) = match arguments.as_slice() {
        [model, rows] => (model, rows, None),
        [model, rows, set] => (model, rows, Some(InstructionSet::from_name(set).expect("a set of instructions"))),
        _ => panic!("trees MODEL.onnx ROWS.f32 [portable | avx2 | avx512 | avx512vbmi]"),
    };
    let sets: Vec<InstructionSet> =
        InstructionSet::available().filter(|set| only.is_none_or(|only| only == *set)).collect();
    let bytes = std::fs::read(model).expect("the model");
    let parsed = Model::parse(&bytes).expect("a model");
    let operator = trees_of(&parsed).expect("trees");
    assert_eq!(operator.ensemble.compared_in, Precision::Single, "float32 only");
    let width = operator.ensemble.width;
    let rows: Vec<f32> = std::fs::read(rows)
        .expect("the rows")
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().expect("four bytes")))
        .collect();
    let count = rows.len() / width;
    let branches = |tree: &e2i_core::native::Tree| tree.nodes.len() / 2;
    println!(
        "{model}: {} trees, {} branches, {width} columns, {count} rows",
        operator.ensemble.trees.len(),
        operator.ensemble.trees.iter().map(branches).sum::<usize>()
    );
    let library = std::env::var("E2I_ONNXRUNTIME").expect("E2I_ONNXRUNTIME is the path of libonnxruntime.so");
    let runtime = Runtime::load(&std::path::absolute(Path::new(&library)).expect("a path")).expect("the runtime");
    let interface = describe(&parsed, None, &Options::default()).expect("an interface");
    let artifacts = Artifacts { model: &bytes, preprocessor: None };
    let mut engine = RuntimeEngine::load(runtime, &interface, artifacts, 1).expect("a session");
    let begun = Instant::now();
    let mut native = Native::new(&operator);
    println!("compiled in {:.1} ms, {} bytes", begun.elapsed().as_secs_f64() * 1e3, native.image.memory_bytes());
    for batch in [1, 4096] {
        let mut least = vec![f64::MAX; 1 + sets.len()];
        for round in 0..ROUNDS {
            let (time, expected) = by_runtime(&mut engine, &interface.inputs, &rows, width, batch);
            least[0] = least[0].min(time);
            for (index, set) in sets.iter().copied().enumerate() {
                let (time, got) = native.pass(&operator, &rows, width, batch, set);
                least[index + 1] = least[index + 1].min(time);
                let differ = got.iter().zip(&expected).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
                assert!(differ == 0 && got.len() == expected.len(), "{set}: {differ} numbers differ in round {round}");
            }
        }
        println!("{batch:>5} rows: runtime {:>9.1} ns a row", least[0]);
        for (set, least_of) in sets.iter().copied().zip(&least[1..]) {
            let kernel = native.forest.kernel(set, batch);
            println!(
                "        {:<12} {least_of:>9.1} ns a row, {:>5.1} times faster: {kernel}",
                set.name(),
                least[0] / least_of
            );
        }
    }
}

/// One pass of the runtime; the outputs are copied out of the value that is kept, as the engine does it.
fn by_runtime(
    engine: &mut RuntimeEngine,
    inputs: &[e2i_core::InputTensor],
    rows: &[f32],
    width: usize,
    batch: usize,
) -> (f64, Vec<f32>) {
    let mut filled = Batch::new(inputs, batch);
    let mut outputs = Outputs::default();
    let mut all = Vec::with_capacity(rows.len() / width * 2);
    let begun = Instant::now();
    for chunk in rows.chunks(batch * width) {
        filled.set_rows(chunk.len() / width);
        let Column::Float32(values) = &mut filled.tensors_mut()[0].values else { panic!("float32 only") };
        values.copy_from_slice(chunk);
        engine.score(&filled, OutputSet::MAIN, &mut outputs).expect("scores");
        let Column::Float32(scores) = &outputs.main else { panic!("float32 only") };
        all.extend_from_slice(scores);
    }
    (begun.elapsed().as_nanos() as f64 / (rows.len() / width) as f64, all)
}

/// The compiled trees with their buffers.
struct Native {
    image: Image,
    forest: Forest,
    scratch: Scratch,
    sums: Vec<f32>,
    numbers: Vec<f32>,
    labels: Vec<u32>,
}

impl Native {
    fn new(operator: &TreeOperator) -> Self {
        let mut writer = ImageWriter::default();
        let forest = Forest::compile(&operator.ensemble, &mut writer).expect("a forest");
        let bytes = writer.finish(&forest).expect("an image");
        let (image, mut forest) = Image::open::<Forest>(&bytes).expect("an image");
        forest.open(&image).expect("sound tables");
        Self { image, forest, scratch: Scratch::default(), sums: vec![], numbers: vec![], labels: vec![] }
    }

    fn pass(
        &mut self,
        operator: &TreeOperator,
        rows: &[f32],
        width: usize,
        batch: usize,
        set: InstructionSet,
    ) -> (f64, Vec<f32>) {
        let mut all = Vec::with_capacity(rows.len() / width * 2);
        let begun = Instant::now();
        for chunk in rows.chunks(batch * width) {
            let count = chunk.len() / width;
            self.sums.resize(count * self.forest.targets(), 0.0);
            self.numbers.resize(count * operator.finish.width, 0.0);
            self.labels.resize(count, 0);
            let out = SumsMut::Single(&mut self.sums);
            self.forest.sums(set, Rows::Single(chunk), count, &mut self.scratch, out).expect("sums");
            let (sums, numbers) = (Sums::Single(&self.sums), SumsMut::Single(&mut self.numbers));
            operator.finish.apply(sums, count, Some(numbers), None).expect("numbers");
            all.extend_from_slice(black_box(&self.numbers));
        }
        (begun.elapsed().as_nanos() as f64 / (rows.len() / width) as f64, all)
    }
}
