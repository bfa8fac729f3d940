//! `e2i_serve`: machine-learning models scored inside PostgreSQL.
//!
//! This crate translates between PostgreSQL and the pure crates; what a model means is decided in `e2i_core`, what a
//! graph means in `e2i_onnx`. The modules, in the order a call meets them:
//!
//! * [`api`]: the SQL-callable functions, one file a chapter of the manual;
//! * [`scan`]: what planner and executor make of scoring calls;
//! * [`scoring`]: which version a reference means for this call, and the loaded models of this backend;
//! * [`on_write`]: triggers that score rows when they are written;
//! * [`registration`]: how a model gets in;
//! * [`calibration`]: rows whose truth is known, and what they say of a version;
//! * [`catalog`]: the registry's tables, privileges, invalidation;
//! * [`datum`]: values from and to PostgreSQL's own binary forms, without logic;
//! * [`metrics`]: what is counted meanwhile, and its way into tables;
//! * [`inference_log`]: sampled rows with their answers, on their way into a table;
//! * [`jobs`]: tables scored batch by batch;
//! * [`worker`]: the background workers that do the writing;
//! * [`explain`]: what `EXPLAIN (ANALYZE)` says of it;
//! * [`pg`]: small safe wrappers over `pg_sys`; [`settings`], [`error`].
#![allow(unsafe_code)]
#![deny(ffi_unwind_calls)]

mod api;
mod calibration;
mod catalog;
mod datum;
mod error;
mod explain;
mod inference_log;
mod jobs;
mod metrics;
mod on_write;
mod pg;
mod registration;
mod scan;
mod scoring;
mod settings;
#[cfg(debug_assertions)]
mod tests;
mod worker;

use pgrx::prelude::*;

pgrx::pg_module_magic!(name, version);

pgrx::extension_sql_file!("../sql/tables.sql", name = "tables", bootstrap);
pgrx::extension_sql_file!("../sql/scoring.sql", name = "scoring", requires = ["tables"]);
pgrx::extension_sql_file!("../sql/jobs.sql", name = "jobs", requires = ["scoring"]);
pgrx::extension_sql_file!("../sql/explain.sql", name = "explain", requires = ["scoring"]);
pgrx::extension_sql_file!("../sql/reasons.sql", name = "reasons", requires = ["jobs"]);
pgrx::extension_sql_file!("../sql/importance.sql", name = "importance", requires = ["scoring"]);
pgrx::extension_sql_file!("../sql/calibration.sql", name = "calibration", requires = ["scoring"]);
pgrx::extension_sql_file!("../sql/lifecycle.sql", name = "lifecycle", requires = ["tables", e2i_transition_stage]);
pgrx::extension_sql_file!("../sql/keep.sql", name = "keep", requires = [e2i_load_library]);
pgrx::extension_sql_file!("../sql/registry.sql", name = "registry", requires = ["lifecycle", "keep"]);
pgrx::extension_sql_file!("../sql/on_write.sql", name = "on_write", requires = ["registry", "jobs"]);
pgrx::extension_sql_file!("../sql/rights.sql", name = "rights", finalize);

/// Runs when the library is loaded. Nothing here starts a thread, opens a file or touches ONNX Runtime: in
/// `shared_preload_libraries` this is the postmaster, and its children must find all that untouched.
#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    pg::backtrace::never();
    pg::encoding::listen();
    settings::define();
    pg::relcache::listen();
    // Models leave the memory of a process before it hands over, for the last time, what it has counted.
    pg::transaction::listen(&[
        catalog::invalidation::end,
        scoring::hear,
        metrics::hear,
        inference_log::hear,
        explain::hear,
    ]);
    catalog::version::listen();
    catalog::invalidation::listen();
    catalog::rights::listen();
    catalog::keep::listen();
    metrics::listen(explain::collect);
    inference_log::listen(worker::launcher::wake);
    scan::listen(api::FUNCTIONS);
    worker::listen();
    explain::listen(metrics::counter::flush);
}
