//! Why a model scored a row as it did: exact attributions to its features.
//!
//! The attribution of a feature is its Shapley value: what it adds to the answer on average over all orders in which features may
//! become known. [`Space`] and [`Method`] are what can be asked for, [`Link`] and [`Meant`] of which number. [`Leaves`] are trees as that needs them, [`Attributions`] what their columns add, by the covers of the training data
//! or against the rows of a background; `groups` are leaves that are looked up together, `rows` and `kernels` how many rows are explained; `shapley` is the game of one leaf, `quadrature` its integral; [`games`] are played by scoring rows, of any model; [`stored`] are rows as bytes;
//! [`Importance`] is what attributions of many rows come to, [`interactions()`] what pairs of columns add together;
//! [`Texts`] say it in words.
//!
//! Sums are float64 throughout, and truth in the tests is the game itself, over every coalition.
//!
//! What does not belong here: how a row becomes numbers, which version is meant, and anything that knows who is asking.

mod answer;
mod counted;
pub mod games;
mod groups;
mod importance;
mod interactions;
mod kernels;
mod leaves;
mod options;
mod quadrature;
mod questions;
mod rows;
mod shapley;
pub mod stored;
#[cfg(test)]
mod tests;
mod texts;
mod trees;

pub use answer::{Link, Meant, meant, predicted};
pub use counted::counted;
pub use importance::{Importance, Share};
pub use interactions::{Unknown, interactions};
pub use leaves::Leaves;
pub use options::{Method, Space};
pub use rows::Work;
pub use shapley::of_game;
pub use texts::{Direction, Reason, Text, Texts};
pub use trees::Attributions;
