//! Small safe wrappers over `pg_sys`: backtraces, call sites, throw-away processes, work that commits, rows that users name, the encoding, running plans, failures, filling of tables, interrupts, files that are kept, locks, names of schemas,
//! processes, queries, changes of relations, roles, settings of the server, shared memory, snapshots, SQLSTATEs, statements of the caller, subtransactions, time,
//! transactions, trees of nodes, variable-length values, wait events, background workers.
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
