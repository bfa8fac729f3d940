//! The native engine: trees, linear models, small networks and their preprocessing, computed here.
//!
//! A model graph or a library's own file is read elsewhere into data ([`Ensemble`] for trees); here it is compiled into a
//! plan whose tables lie in one [`Image`] that is stored beside the version and scored from without parsing.
//!
//! The promise: the bits of ONNX Runtime with one thread for the same graph (or of the training library, where its own
//! file was read), whatever the batch, the row's neighbours or the processor's instruction set.
//!
//! The image does not depend on the processor: tables for all kernels are in it, and which one runs is decided by shape, number of rows
//! and instruction set. It is not trusted: opening it refuses whatever the hot loops rely on and an image could get
//! wrong, and makes the types that alone can be run: only over them may a kernel index without a bound. An image that is refused, such as one that another
//! version wrote, is made anew from the artifact. Who changes what an image means changes `MAGIC` in `image.rs`: an old image must be
//! refused, never misread.
//!
//! To add an operator: data with `check`, `run` and `kernel` in [`operators`], its name in the list there (and in `rounds`, if another
//! engine may round otherwise), and the lowering in `e2i_onnx`. Random pipelines and random trees score on both engines in its tests.
//!
//! `ensemble` is trees as data with a scorer written to be read, which every kernel is tested against; `forest` an ensemble compiled into
//! tables, and its kernels; `link` and `classifier` lead from the raw sums of trees to predictions and labels;
//! `arithmetic` says whose order of operations each softmax, logistic function and sum has;
//! `plan` and `fuse` are the steps, and steps that become one; `pruned` is a plan for rows of which something is known; `image` is the block of bytes; [`NativeEngine`] runs a plan block by block;
//! `instruction_set` says which instructions kernels may use; [`agreement`] has rows to try two engines on.
//!
//! What does not belong here: file formats, and anything that knows where an image is kept.

pub mod agreement;
pub mod arithmetic;
mod builder;
mod classifier;
mod decision;
mod engine;
mod ensemble;
mod forest;
mod fuse;
mod image;
mod instruction_set;
mod link;
pub mod operators;
mod plan;
mod pruned;
mod trained;
mod value;
mod vectorised;

pub use builder::PlanBuilder;
pub use classifier::{Classifier, Finish, Labels, PostTransform, Seen, Sums};
pub use decision::{After, By, Deciding, Decision};
pub use engine::{NativeEngine, StepDescription};
pub use ensemble::{Aggregate, Branch, Ensemble, FeatureUse, Missing, Node, Precision, Test, Tree, Weight, ZERO};
pub use forest::{Forest, Rows, Scratch, Strided, SumsMut};
pub use image::{Image, ImageWriter, Pod, Section};
pub use instruction_set::{InstructionLevel, InstructionSet};
pub use link::{Function, LabelRule, Link};
pub use plan::{Plan, Step};
pub use trained::compile_trained;
pub use value::{ValueId, ValueType};
