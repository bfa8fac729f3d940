//! Planner and executor: what is made of scoring calls in a statement before its rows are read, and how they are run.
//!
//! What may enter: the server's trees of expressions and plans, its nodes and hooks. What may not: what a model means, and how
//! a row is scored, which [`crate::scoring`] knows for every way of a row.

pub mod call;
mod support;

#[allow(unused_imports, reason = "until there is a node")]
pub use support::watch;

/// Begins to recognise scoring calls; called once, when the library is loaded.
pub fn listen(functions: &'static [call::ScoringFunction]) {
    call::know(functions);
}
