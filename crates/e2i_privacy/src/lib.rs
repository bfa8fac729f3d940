//! What of a scored row may be written to a log, and what may be scored at all.
//!
//! 1. [`find`] finds what looks like personal data in a text, [`redact`] replaces it by its kind, an [`Entity`];
//! 2. [`Policy`] is what a service says: the features that are never written down, what happens to personal data
//!    ([`OnPii`]), and how large a row may be;
//! 3. [`Policy::record`] gives the row as it may be logged, [`Policy::guard`] refuses one before it is scored.
//!
//! The rules are arithmetic (check digits, lengths, prefixes) over bytes, written by hand: a number is looked
//! for in a few dozen characters, an address between one `@` and the next, so a text costs time in proportion to its length
//! whatever is in it; and a text without `@` and without a digit costs one quick pass over its bytes.
//!
//! One file a kind, with its sources: `email`, `phone`, `card`, `iban`, `national`; `cursor` reads groups of digits, `entity` names the
//! kinds.
//!
//! What is not found, on purpose: names, addresses and whatever else needs a language model; numbers in columns of numbers;
//! digits other than ASCII's (full-width, Arabic-Indic); a bare run of nine or ten digits that no check digit confirms;
//! telephone numbers in national forms other than North America's. A feature that holds such things belongs on the
//! policy's list.
//!
//! What does not belong here: where a log is, who may read it, how long it is kept, when something was scored.

mod card;
mod cursor;
mod email;
mod entity;
mod find;
mod iban;
mod national;
mod phone;
mod policy;

pub use entity::Entity;
pub use find::{Found, find, redact};
pub use policy::{Omitted, OnPii, Policy, refusal};
