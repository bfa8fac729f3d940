//! The SQL-callable functions, one file a chapter of the manual.
//!
//! What may enter: taking arguments apart, calling one thing, giving its result back. What may not: rules.

// The columns of a result are read off the function's own type.
#![allow(clippy::type_complexity)]

mod alias;
mod annotate;
mod calibrated;
mod calibration;
mod contributions;
mod deploy;
mod describe;
mod explain;
mod explain_table;
mod export;
mod importance;
mod inference_log;
mod interactions;
mod jobs;
mod metrics;
mod on_write;
mod register;
mod score;
mod serve;
mod session;
mod traffic;
mod verify;

use crate::scan::call::ScoringFunction;

/// All functions that score a row.
pub const FUNCTIONS: &[&[ScoringFunction]] = &[score::FUNCTIONS, calibrated::FUNCTIONS, contributions::FUNCTIONS];
