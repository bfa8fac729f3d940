//! How long both engines take for the same rows. Runs in the try-out's child.
//!
//! The least of a few rounds, the engines in turn: what others do on the machine only makes calls longer. All together takes two tenths
//! of a second at most; sizes that would take longer are left out.

use std::time::{Duration, Instant};

use e2i_core::native::NativeEngine;
use e2i_core::{Batch, Engine, EngineTimes, OutputSet, Outputs, Result};
use e2i_onnx::RuntimeEngine;

/// For all sizes together.
const LIMIT: Duration = Duration::from_millis(200);
const ROUNDS: u32 = 5;

/// Times both engines. `batch` gives so many rows; `None` where a row cannot be scored.
pub fn measure(
    native: &mut NativeEngine,
    runtime: &mut RuntimeEngine,
    batch: impl Fn(usize) -> Batch,
) -> Option<EngineTimes> {
    let begun = Instant::now();
    let mut times = EngineTimes { exact: native.is_exact(), ..EngineTimes::default() };
    let mut slowest_row = Duration::ZERO;
    for rows in EngineTimes::ROWS {
        // Short calls are repeated, so that reading the clock does not count.
        let calls = (64 / u32::try_from(rows).unwrap_or(u32::MAX)).max(1);
        let expected = slowest_row * u32::try_from(rows).unwrap_or(u32::MAX) * calls * 2;
        if begun.elapsed() + expected > LIMIT {
            break;
        }
        let batch = batch(rows);
        let mut least = [Duration::MAX; 2];
        // The first round warms up, and counts where there is no time for another.
        for round in 0..=ROUNDS {
            if round == 1 {
                least = least.map(|_| Duration::MAX);
            }
            let engines: [&mut dyn Engine; 2] = [&mut *native, &mut *runtime];
            for (engine, least) in engines.into_iter().zip(&mut least) {
                *least = (*least).min(time(engine, &batch, calls).ok()?);
            }
            let round_takes = least.iter().sum::<Duration>();
            if begun.elapsed() + round_takes > LIMIT {
                break;
            }
        }
        let rows = f64::from(calls) * rows as f64;
        let [native, runtime] = least.map(|least| (least.as_nanos() as f64 / rows * 10.0).round() / 10.0);
        times.native.push(native);
        times.onnxruntime.push(runtime);
        slowest_row = Duration::from_nanos(native.max(runtime) as u64);
    }
    (!times.native.is_empty()).then_some(times)
}

fn time(engine: &mut dyn Engine, batch: &Batch, calls: u32) -> Result<Duration> {
    let mut outputs = Outputs::default();
    let begun = Instant::now();
    for _ in 0..calls {
        engine.score(batch, OutputSet::MAIN, &mut outputs)?;
    }
    Ok(begun.elapsed())
}
