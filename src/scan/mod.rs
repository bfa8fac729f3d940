//! Planner and executor: what is made of scoring calls in a statement before its rows are read, and how they are run.
//!
//! What may enter: the server's trees of expressions and plans, its nodes and hooks. What may not: what a model means, and how
//! a row is scored, which [`crate::scoring`] knows for every way of a row.

mod ahead;
mod arguments;
mod bounds;
pub mod call;
mod explaining;
mod expression;
mod finish;
mod first;
mod given;
mod groups;
mod node;
mod plan;
mod ready;
mod rewrite;
mod rows;
mod source;
mod spec;
mod split;
mod statistics;
mod support;
mod target;
mod tried;
mod waiting;

pub use node::answer;
pub use spec::asked;

/// Begins to recognise scoring calls, to change plans, and to look for statistics; called once, when the library is loaded.
pub fn listen(functions: &'static [&'static [call::ScoringFunction]]) {
    call::know(functions);
    node::listen();
    first::listen();
    statistics::listen();
}
