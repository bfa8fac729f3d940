//! What is counted while models serve, and what follows from it.
//!
//! A [`Tally`] is what one backend, one place of the board or one interval has counted; a [`Board`] is the bounded table of
//! tallies that all backends of a server add to; [`latency`] says how times fall into buckets and what a percentile is;
//! [`served`] puts together what is shown; [`health`] is the one rule for a service's health; a [`Pool`] carries records to who writes
//! them down; [`exposition`] writes the text that Prometheus reads. A [`Key`] is what a tally belongs to: database, function, engine,
//! version, service.
//!
//! What may enter: what can be said without a clock, a lock or a table. The caller brings the memory, holds the lock and reads
//! the clock.

mod board;
pub mod exposition;
pub mod health;
mod key;
pub mod latency;
mod pool;
mod served;
mod tally;

pub use board::{Board, Place, Row};
pub use key::{Function, Key, Name, Scorer};
pub use pool::{Pool, Put, RECORD};
pub use served::{Served, served};
pub use tally::{BATCHES, KINDS, Loaded, Tally, kind_name};
