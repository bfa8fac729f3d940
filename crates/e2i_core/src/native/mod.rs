//! The native engine: trees, linear models, small networks and their preprocessing, computed here.
//!
//! A model graph or a library's own file is read elsewhere into data ([`Ensemble`] for trees); here it is compiled into a
//! plan whose tables lie in one [`Image`] that is stored beside the version and scored from without parsing.
//!
//! The promise: the bits of ONNX Runtime with one thread for the same graph (or of the training library, where its own
//! file was read), whatever the batch, the row's neighbours or the processor's instruction set.
//!
//! What does not belong here: file formats, and anything that knows where an image is kept.

pub mod agreement;
mod builder;
mod classifier;
mod engine;
mod ensemble;
mod forest;
mod fuse;
mod image;
mod instruction_set;
mod link;
pub mod operators;
mod plan;
mod trained;
mod value;

pub use builder::PlanBuilder;
pub use classifier::{Classifier, Finish, Labels, PostTransform, Seen, Sums, logistic, probit};
pub use engine::{NativeEngine, StepDescription};
pub use ensemble::{Aggregate, Branch, Ensemble, FeatureUse, Missing, Node, Precision, Test, Tree, Weight, ZERO};
pub use forest::{Forest, Rows, Scratch, SumsMut};
pub use image::{Image, ImageWriter, Pod, Section};
pub use instruction_set::InstructionSet;
pub use link::{Function, LabelRule, Link};
pub use plan::{Plan, Step};
pub use trained::compile_trained;
pub use value::{ValueId, ValueType};
