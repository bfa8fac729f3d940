//! What a model is and how a row reaches it: signatures, feature binding, batches, the engine trait and the
//! reading of outputs.
//!
//! Everything here is a pure function of its arguments: no I/O, no clock, no database, no model runtime, so that
//! each rule can be tested in a second. The principal types, in the order a call meets them:
//!
//! 1. [`ModelReference`] reads `churn`, `churn:3`, `churn@champion` and MLflow's `models:/…` forms;
//! 2. [`Interface`] says which tensors a model takes, which named [`Feature`] goes where, and what its outputs mean;
//! 3. [`Binder`] turns [`Scalar`] values into a [`Batch`], by name or by position, exactly or with an [`Error`];
//! 4. [`Engine`] scores a [`Batch`] into [`Outputs`];
//! 5. [`reading`] turns [`Outputs`] into a prediction, a label, probabilities or a vector, an [`Answer`];
//! 6. [`Examples`] compares them with what training predicted.
//!
//! [`formats`] reads the files of training libraries, [`native`] computes what they describe.
//!
//! Inside, besides: [`EngineTimes`] keeps which engine was faster; `signature` reads MLflow's signatures, checks and writes them; `categories` and `instant` hold values of a data frame
//! and the codes that stand for them, and points in time as texts; `value` and `decimal` are the rules of conversion, in one place;
//! [`spelling`] is text that is no JSON; [`known`] is what a query says of rows before they are read; [`class_scores`] says what the numbers of a classifier are; `stage` whether a version passes its
//! gates; [`traffic`] which share of the traffic a row belongs to; [`Targets`] says which column takes what of an answer, [`feature_hash`] whether a
//! row's features are those of before; [`random`] draws numbers from a seed; `error` is kind, message, detail and hint.
//!
//! What does not belong here: graph formats (see `e2i_onnx`), storage, sessions, SQL.

mod answer;
mod batch;
mod bind;
mod categories;
pub mod class_scores;
mod datatype;
mod decimal;
mod engine;
mod engine_times;
mod error;
pub mod evidence;
mod feature_hash;
#[cfg(test)]
mod fixture;
pub mod formats;
mod golden;
mod instant;
mod interface;
mod kept;
pub mod known;
mod names;
pub mod native;
mod options;
pub mod random;
pub mod reading;
mod reference;
mod signature;
pub mod spelling;
mod stage;
mod targets;
pub mod traffic;
mod value;

pub use answer::Answer;
pub use batch::{Batch, Cell, Column, Tensor};
pub use bind::{Binder, Lanes, Layout, Spread, StoredLanes, Word};
pub use categories::{Categories, Category, Unseen};
pub use class_scores::ClassScores;
pub use datatype::Datatype;
pub use decimal::Decimal;
pub use engine::{Engine, OutputSet, Outputs};
pub use engine_times::EngineTimes;
pub use error::{Error, Kind, Result};
pub use feature_hash::feature_hash;
pub use golden::{Check, Examples};
pub use interface::{Classes, ElementType, Feature, InputTensor, Interface, OutputTensor, Rows, Task, Vector};
pub use kept::Kept;
pub use known::{Given, Known, Said};
pub use names::quoted;
pub use options::Options;
pub use reference::{KnownVersion, ModelReference, Newest, Selector};
pub use signature::Signature;
pub use stage::{Facts, Gate, Stage};
pub use targets::{Targets, Written};
pub use value::{Scalar, ValueProblem};
