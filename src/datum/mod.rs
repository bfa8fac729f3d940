//! Values from PostgreSQL's own binary forms, read in place, and results back into them.
//!
//! What may enter: knowledge of how the server stores a type. What may not: any rule about what a value means to a
//! model; a value leaves here as an [`e2i_core::Scalar`] and the binder decides.

pub mod array;
pub mod as_json;
pub mod columns;
pub mod document;
pub mod features;
pub mod json_text;
pub mod jsonb;
pub mod layout;
pub mod numeric;
pub mod payload;
pub mod result;
pub mod row;
pub mod scalar;
pub mod stored;
pub mod vector;
