//! Reads scikit-learn's `.skops` files: data, not code.
//!
//! A file is a zip of arrays and a JSON schema that says which object of which class had which attributes (`container`, `json`,
//! `npy`, `node`). [`read`] compiles what it knows of scikit-learn into a plan of the native engine (`compile`): in float64, in
//! scikit-learn's own order of operations, by the rules of the version that fitted the model. What is not known is refused by
//! its class and the name of its step.
//!
//! The bytes are not trusted: whatever they claim is compared with what is there before anything is allocated for it, classes
//! are looked up in one fixed table, and nothing is ever executed.
//!
//! What does not belong here: how a plan is run (`e2i_core::native`), and the files of XGBoost and LightGBM, which
//! `e2i_core::formats` reads. It is a crate of its own because it alone unpacks archives.

mod compile;
mod container;
mod json;
mod node;
mod npy;

use e2i_core::native::agreement::Sample;
use e2i_core::{Interface, Result};

/// A model of scikit-learn, compiled.
#[derive(Debug)]
pub struct Model {
    /// What it takes and gives.
    pub interface: Interface,
    /// Its plan, for the native engine.
    pub plan: Vec<u8>,
    /// Rows that it can be tried on.
    pub samples: Sample,
}

/// Reads and compiles a model; `None` when the bytes are no skops file.
///
/// # Errors
/// In the result: [`e2i_core::Kind::BadModel`] for a file that is broken, [`e2i_core::Kind::Unsupported`] for a class that is
/// not known, [`e2i_core::Kind::Limit`] for what is too large.
#[must_use]
pub fn read(bytes: &[u8]) -> Option<Result<Model>> {
    container::begins(bytes).then(|| compile::compile(&node::File::open(bytes)?))
}
