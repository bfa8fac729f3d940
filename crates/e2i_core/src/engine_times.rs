//! How long both engines took for the same rows when a version was registered, and what follows for batches.
//!
//! What does not belong here: taking the time.

use serde::{Deserialize, Serialize};

/// What one row took on each engine. Times tell of the machine that the version was registered on.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct EngineTimes {
    /// Nanoseconds a row on the native engine, in calls of [`EngineTimes::ROWS`] each; fewer where one more would have taken too long.
    pub native: Vec<f64>,
    /// The same on ONNX Runtime.
    pub onnxruntime: Vec<f64>,
    /// Whether the answers are the same to the bit; if not, to rounding.
    pub exact: bool,
}

impl EngineTimes {
    /// How many rows the calls had that were timed.
    pub const ROWS: [usize; 3] = [1, 32, 1024];

    /// By how much ONNX Runtime must be faster to be called so: times of a machine that others use differ by as much.
    const MARGIN: f64 = 0.9;

    /// From how many rows on ONNX Runtime is faster, in all calls that were timed; `None` where it is not.
    #[must_use]
    pub fn faster_on_runtime_from(&self) -> Option<usize> {
        let timed = Self::ROWS.iter().zip(&self.native).zip(&self.onnxruntime);
        let mut from = None;
        for ((rows, native), runtime) in timed {
            from = if runtime < &(native * Self::MARGIN) { from.or(Some(*rows)) } else { None };
        }
        from
    }

    /// Rows of a call and the times of both engines, in words.
    pub fn shown(&self) -> impl Iterator<Item = (usize, String)> {
        Self::ROWS.iter().zip(&self.native).zip(&self.onnxruntime).map(|((rows, native), runtime)| {
            let micros = |nanoseconds: &f64| format!("{:.2}", nanoseconds / 1e3);
            (*rows, format!("µs a row: native {}, onnxruntime {}", micros(native), micros(runtime)))
        })
    }

    /// How far the answers agree, in words.
    #[must_use]
    pub fn agreement(&self) -> &'static str {
        if self.exact { "to the bit" } else { "to rounding" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(native: &[f64], onnxruntime: &[f64]) -> Option<usize> {
        let times = EngineTimes { native: native.to_vec(), onnxruntime: onnxruntime.to_vec(), exact: true };
        times.faster_on_runtime_from()
    }

    #[test]
    fn batches_go_to_the_runtime_from_the_least_size_on_from_which_it_stays_faster() {
        assert_eq!(from(&[100.0, 50.0, 50.0], &[2000.0, 60.0, 40.0]), Some(1024));
        assert_eq!(from(&[100.0, 90.0, 80.0], &[2000.0, 60.0, 40.0]), Some(32));
        assert_eq!(from(&[3000.0, 90.0, 80.0], &[2000.0, 60.0, 40.0]), Some(1));
        assert_eq!(from(&[100.0, 90.0, 30.0], &[2000.0, 60.0, 40.0]), None, "slower again in large batches");
        assert_eq!(from(&[100.0, 90.0, 40.0], &[2000.0, 95.0, 38.0]), None, "no more than times vary");
        assert_eq!(from(&[100.0, 90.0], &[2000.0, 60.0]), Some(32), "what took too long was not timed");
        assert_eq!(from(&[], &[]), None);
    }
}
