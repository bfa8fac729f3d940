//! Small safe wrappers over `pg_sys`, each of one thing of the server; what differs between its majors is in [`major`].
//!
//! What may enter: a wrapper that hides one unsafe habit of the server's API behind a function that cannot be misused.
//! What may not: anything that knows what a model is.

pub mod backtrace;
pub mod call_site;
pub mod child;
pub mod commits;
pub mod constraints;
pub mod data;
pub mod encoding;
pub mod executor;
pub mod failure;
pub mod filling;
pub mod guc;
pub mod interrupt;
pub mod kept_file;
pub mod lock;
pub mod major;
pub mod namespace;
pub mod process;
pub mod query;
pub mod relation;
pub mod relcache;
pub mod role;
pub mod shared;
pub mod snapshot;
pub mod sqlstate;
pub mod statement;
pub mod subtransaction;
pub mod table;
pub mod time;
pub mod transaction;
pub mod tree;
pub mod varlena;
pub mod wait;
pub mod worker;
