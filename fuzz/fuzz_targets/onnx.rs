//! The reader of ONNX graphs and the compiler behind it: any bytes give a model or an error, and what compiles can be opened
//! and scores rows of zeros and of NaN without a panic. ONNX Runtime is not asked.
#![no_main]

use e2i_core::native::{InstructionSet, NativeEngine};
use e2i_core::{Batch, Column, Engine, OutputSet, Outputs};
use e2i_onnx::{Model, Options, compile, describe};
use libfuzzer_sys::fuzz_target;

/// Models that take more numbers a row are read and compiled, not scored.
const WIDEST: usize = 4096;

fuzz_target!(|bytes: &[u8]| {
    let Ok(model) = Model::parse(bytes) else { return };
    let _ = e2i_onnx::native::trees_of(&model);
    let Ok(interface) = describe(&model, None, &Options::default()) else { return };
    let Ok(image) = compile(&model, None, &interface) else { return };
    let mut engine = NativeEngine::open(&image, InstructionSet::best()).expect("what was compiled can be opened");
    let _ = engine.describe(1);
    if interface.features.len() > WIDEST {
        return;
    }
    let mut batch = Batch::new(&interface.inputs, 2);
    let mut outputs = Outputs::default();
    let _ = engine.score(&batch, OutputSet::BOTH, &mut outputs);
    for tensor in batch.tensors_mut() {
        match &mut tensor.values {
            Column::Float32(cells) => cells.fill(f32::NAN),
            Column::Float64(cells) => cells.fill(f64::NAN),
            Column::Int64(cells) => cells.fill(i64::MIN),
            Column::Int32(cells) => cells.fill(i32::MIN),
            _ => {}
        }
    }
    let _ = engine.score(&batch, OutputSet::BOTH, &mut outputs);
});
