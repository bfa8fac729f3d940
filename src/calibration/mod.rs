//! Rows whose truth is known, and what they say of a version: how sure it is ([`make`]), and whether that is so ([`measure`]).
//!
//! What may enter: reading such rows with the caller's rights and having them scored ([`rows`]). What may not: what a score or a margin
//! is, which `e2i_calibrate` says, and how they reach a row that is scored, see [`crate::scoring::calibrated`].

pub mod make;
pub mod measure;
pub mod rows;
