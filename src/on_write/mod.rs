//! Scores on write: a trigger in a user's table that has each row scored as it is written, so that it is written once.
//!
//! What a trigger does stands in its one argument, a JSON document ([`Order`]), and nowhere else: what is installed is read from the
//! server's own catalog, dumped with the table, and gone with it.
//!
//! What belongs here: installing and removing such triggers, running them, and saying what a deployment leaves stale. What does not:
//! scoring tables that stand, and how a row is scored.

pub mod install;
pub mod installed;
mod order;
mod place;
mod plain;
pub mod row;
pub mod stale;

pub use order::{OnError, Order};
pub use place::usual;
