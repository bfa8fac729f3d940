//! What a row of a model costs the planner, estimated once, when it is registered: planning loads nothing.
//!
//! In the unit of `COST`, what an operator of SQL takes, which is about 10 ns. The compiled form says how much there is to do; what ONNX
//! Runtime takes was measured, and kept as the rows of one call.

use e2i_core::Interface;
use e2i_core::native::{InstructionSet, NativeEngine};

/// Of a call, whatever the model.
const CALL: f64 = 20.0;

/// Of a feature: read, looked at, written.
const FEATURE: f64 = 2.0;

/// Steps of the native engine in a unit: half a nanosecond each.
const STEPS: f64 = 20.0;

/// Units in the time that one call of ONNX Runtime takes.
const RUNTIME_CALL: f64 = 200_000.0;

/// The cost of a row.
pub fn cost(interface: &Interface, plan: Option<&[u8]>) -> f32 {
    let native = plan.and_then(|plan| NativeEngine::open(plan, InstructionSet::best()).ok());
    let scoring = match native {
        Some(native) => native.work() / STEPS,
        None => RUNTIME_CALL / interface.rows_at_once as f64,
    };
    (CALL + FEATURE * interface.features.len() as f64 + scoring) as f32
}
