//! One side of `bench/skops`: `skops_side MODEL ROWS SCORES`.
//!
//! ROWS holds a JSON array of rows, values in the order of the features. Prints `FIGURE NUMBER` lines: nanoseconds to read and compile the
//! file, how much more memory that took at its most in bytes, nanoseconds a row bound and scored one by one, and in one call with
//! all rows bound before; leaves the numbers of all rows in SCORES.

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;

use e2i_core::native::{InstructionSet, NativeEngine};
use e2i_core::{Batch, Binder, Engine, OutputSet, Outputs, Scalar, reading};
use serde_json::Value;

const PASSES: usize = 3;

fn scalar(value: &Value) -> Scalar<'_> {
    match value {
        Value::Bool(value) => Scalar::Bool(*value),
        Value::String(text) => Scalar::Text(text),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Scalar::Int(whole),
            None => Scalar::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        _ => Scalar::Missing,
    }
}

/// The time that this thread was on a processor, in ns: others on the machine disturb less than by the clock.
fn on_processor() -> u64 {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    schedule.split_whitespace().next().and_then(|time| time.parse().ok()).unwrap_or(0)
}

/// The most memory so far, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, rows, scores] = &arguments[..] else { return Err("MODEL ROWS SCORES".into()) };
    let rows: Vec<Vec<Value>> = serde_json::from_str(&std::fs::read_to_string(rows)?)?;
    let bytes = std::fs::read(model)?;
    let (before, begun) = (peak(), on_processor());
    let model = e2i_skops::read(&bytes).ok_or("no skops file")??;
    println!("read {}", on_processor() - begun);
    println!("memory {}", peak() - before);
    let binder = Binder::new(Arc::new(model.interface.clone()), "m");
    let mut engine = NativeEngine::open(&model.plan, InstructionSet::best())?;
    let mut outputs = Outputs::default();
    let bind = |batch: &mut Batch, at: usize, row: &[Value]| -> e2i_core::Result<()> {
        row.iter().enumerate().try_for_each(|(feature, value)| binder.set(batch, at, feature, scalar(value)))
    };
    let mut all = Batch::new(&model.interface.inputs, rows.len());
    for (at, row) in rows.iter().enumerate() {
        bind(&mut all, at, row)?;
    }
    let mut one = Batch::new(&model.interface.inputs, 1);
    for _ in 0..PASSES {
        let some = &rows[..rows.len().min(2000)];
        let begun = on_processor();
        for row in some {
            bind(&mut one, 0, row)?;
            engine.score(&one, OutputSet::BOTH, &mut outputs)?;
            black_box(&outputs);
        }
        println!("1 {}", (on_processor() - begun) / some.len() as u64);
        let begun = on_processor();
        engine.score(&all, OutputSet::BOTH, &mut outputs)?;
        println!("all {}", (on_processor() - begun) / rows.len() as u64);
    }
    let mut written = vec![];
    for row in 0..rows.len() {
        let mut numbers = vec![];
        reading::vector(&model.interface, &outputs, row, "m", &mut numbers)?;
        written.extend(numbers.into_iter().flat_map(f64::to_le_bytes));
    }
    std::fs::write(scores, written)?;
    Ok(())
}
