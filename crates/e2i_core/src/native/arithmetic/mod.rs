//! Whose arithmetic it is: logistic functions, softmaxes and sums, one file for each owner of an order of operations.
//!
//! The same formula is written here several times, and on purpose: libraries subtract, round and add in different orders and
//! types, and an answer is promised to the bit. Nothing is shared between owners but what has no order of its own ([`Arithmetic`],
//! and [`coupling`], an iteration that two owners do alike). A change in one file must not reach another owner's models.
//!
//! | file | whose | used for | bits |
//! |---|---|---|---|
//! | `own` | this engine's | graphs' functions of float32 and float64, answers made of logits | the same on every machine (float32); not ONNX Runtime's, whose polynomials err by a few units |
//! | `onnxruntime` | ONNX Runtime's | post transforms of its tree and support vector operators | ONNX Runtime's |
//! | `xgboost` | XGBoost's | its own files, float32 | XGBoost's |
//! | `lightgbm` | LightGBM's | its own files, float64 | LightGBM's |
//! | `sklearn` | scikit-learn's, with numpy's sums and libsvm | `.skops` files, float64 | scikit-learn's |
//!
//! `exp`, `log` and the like are the operating system's wherever the library calls them too; bits are then those of the library on
//! a system with the same ones.
//!
//! Sums of many numbers that are not of this kind stand where they are formed: of trees in `forest` (the order of the trees, in the type
//! that the ensemble names), of products in `operators/lanes.rs` and `operators/products.rs` (sixteen lanes, then halves), of groups of
//! cells in `operators/reduce.rs` (one after the other, as ONNX Runtime reduces neighbouring cells of few columns).
//!
//! What does not belong here: which operator uses what, tables, and anything that knows of rows.

pub(in crate::native) mod coupling;
pub(in crate::native) mod lightgbm;
mod number;
pub(in crate::native) mod onnxruntime;
pub(crate) mod own;
pub mod sklearn;
pub(in crate::native) mod special;
pub(in crate::native) mod xgboost;

pub(crate) use number::{Arithmetic, Float};
