//! How sure a model is: intervals around numbers, sets of classes, and probabilities that are as often right as they say.
//!
//! [`Method`] is what can be asked for. Conformal methods keep a [`Scores`] of what the model got wrong in rows whose truth is known:
//! [`conformal`] says what a row's score is and which answers a [`Level`] holds, [`Spread`] how far it goes. [`Probabilities`] are maps from
//! what a model says to how often that is so: [`isotonic`], [`logistic`]. [`band`] is what a coverage may be by chance.
//!
//! Ranks are counted in whole numbers, so that 0.8 of 45 is 36. Sums are float64.
//!
//! What does not belong here: how a row is scored, where rows come from, and anything that knows who is asking.

pub mod band;
pub mod conformal;
pub mod isotonic;
mod level;
pub mod logistic;
mod method;
mod probabilities;
mod scores;
mod spread;

pub use level::Level;
pub use method::{Method, Purpose};
pub use probabilities::{Map, Probabilities};
pub use scores::Scores;
pub use spread::{Margins, Spread};
