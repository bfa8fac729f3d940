//! The values of a plan: what steps write and others read.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind};
use crate::interface::ElementType;

/// What a value holds for each row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValueType {
    /// The type of its cells.
    pub element: ElementType,
    /// Cells a row.
    pub width: usize,
}

impl ValueType {
    /// A value of `width` cells a row.
    #[must_use]
    pub fn new(element: ElementType, width: usize) -> Self {
        Self { element, width }
    }
}

/// Index of a value of a plan.
pub type ValueId = u32;

/// What is said of a plan that no compiler made.
pub(super) fn broken(why: impl std::fmt::Display) -> Error {
    Error::new(Kind::BadModel, format!("the compiled form of the model is broken: {why}"))
}
