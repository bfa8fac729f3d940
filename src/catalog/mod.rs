//! The registry in tables: finding a version, reading its bytes, writing a new one, and telling every session.
//!
//! What may enter: SQL on the extension's own tables, each query a constant ([`crate::pg::query::Query`]) at the head of the file
//! that asks it. What may not: what a model means.

pub mod alias;
pub mod annotate;
pub mod artifact;
pub mod background;
pub mod calibration;
pub mod deploy;
pub mod event;
pub mod examples;
pub mod hold;
pub mod invalidation;
pub mod keep;
pub mod log_policy;
pub mod model;
pub mod reason_text;
pub mod rights;
pub mod schema;
pub mod shap_analysis;
pub mod stage;
pub mod version;
