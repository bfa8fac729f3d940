//! Reads ONNX graphs and scores them on ONNX Runtime.
//!
//! Two halves that meet only in [`e2i_core::Interface`]:
//!
//! * reading: [`Model::parse`] decodes a graph and refuses what must never reach the runtime; [`describe`] turns it into
//!   an [`e2i_core::Interface`] (features, task, classes, which output is which);
//! * scoring: [`Runtime`] loads the shared library, [`RuntimeEngine`] implements [`e2i_core::Engine`] over it.
//!
//! A third way out: [`compile`] turns a graph of operators that the native engine knows into an image for
//! [`e2i_core::native::NativeEngine`], or says which node it does not know.
//!
//! `graph` is a decoded graph and questions about it, `guard` what a graph may not contain (`trees` for tree ensembles); `class_scores`
//! reads what the operators before a classifier's numbers say of them; `columns_apart` reads outputs of one class each together,
//! `columns` follows features through a graph; `additions` is what is added to a graph so that an output can be read, `maps` makes tensors of inputs that are maps; `samples` a row that a graph can score.
//!
//! This is the only crate that knows `ort`. It never asks who is calling: cancellation reaches it as a function
//! ([`watchdog::set_probe`]), files as bytes, settings as arguments.

mod additions;
mod alone;
mod class_scores;
mod classes;
mod columns;
mod columns_apart;
mod describe;
mod engine;
mod features;
mod graph;
mod guard;
pub mod locale;
mod maps;
mod missing;
pub mod native;
mod outputs;
mod proto;
mod rows;
mod runtime;
mod samples;
mod suspects;
mod trees;
mod value;
pub mod watchdog;
mod width;

pub use alone::{SLOW, find_rows, try_alone};
pub use class_scores::built;
pub use describe::describe;
pub use e2i_core::Options;
pub use engine::{Artifacts, RuntimeEngine};
pub use graph::Model;
pub use native::{Refusal, compile};
pub use runtime::Runtime;
