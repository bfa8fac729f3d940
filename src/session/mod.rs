//! What this backend keeps between calls: loaded models, and which of them a reference means.
//!
//! Two levels: a call site keeps what it resolved for as long as its plan lives ([`CallSite`]); below it a cache bounded
//! by bytes keeps loaded models for the life of the session ([`cache`]). Both hold models by identity, never by name, so a
//! deploy changes which model a name resolves to and never what a model is.

pub mod cache;
mod call_site;
pub mod engines;
mod model;
pub mod proof;
pub mod shadow;
mod target;
mod targets;
pub mod trial;

pub use call_site::CallSite;
pub use model::LoadedModel;
pub use target::{Answer, is_sampled};
