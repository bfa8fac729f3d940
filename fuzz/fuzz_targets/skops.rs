//! The reader of scikit-learn's skops files: any bytes give a plan that scores or refuses rows, or an error.
#![no_main]

use e2i_core::native::{InstructionSet, NativeEngine};
use e2i_core::{Engine, OutputSet, Outputs};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(Ok(model)) = e2i_skops::read(bytes) {
        let mut engine = NativeEngine::open(&model.plan, InstructionSet::best()).expect("a plan that was just made");
        let _ = engine.score(&model.samples.rows, OutputSet::BOTH, &mut Outputs::default());
    }
});
