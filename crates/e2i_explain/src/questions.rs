//! What branches ask, by number, and the ways to go at them.

use e2i_core::native::Test;

/// What a branch asks.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) feature: u32,
    pub(crate) test: Test,
    pub(crate) missing_yes: bool,
}

/// A way to go at a branch: the number of its question, and whether the answer must be yes.
pub(crate) type Turn = (u32, bool);
