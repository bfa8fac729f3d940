//! Work that may raise an error without ending the transaction.

use std::panic::AssertUnwindSafe;

use pgrx::pg_sys::panic::CaughtError;
use pgrx::{PgSqlErrorCode, PgTryBuilder, pg_sys};

/// Runs `f` in a subtransaction. An ERROR in there undoes it and gives its message; what says nothing about the work itself, a
/// cancel, a termination or a lock that was not given in time, undoes it as well and goes on upwards.
pub fn run<R>(f: impl FnOnce() -> R) -> Result<R, String> {
    caught(f).map_err(|error| {
        let (CaughtError::PostgresError(report)
        | CaughtError::ErrorReport(report)
        | CaughtError::RustPanic { ereport: report, .. }) = &*error;
        let is_from_outside = matches!(
            report.sql_error_code(),
            PgSqlErrorCode::ERRCODE_QUERY_CANCELED
                | PgSqlErrorCode::ERRCODE_ADMIN_SHUTDOWN
                | PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE
        );
        if is_from_outside {
            error.rethrow();
        }
        report.message().to_owned()
    })
}

/// The same with the whole of any ERROR, which the caller has to raise again unless it knows better.
pub fn caught<R>(f: impl FnOnce() -> R) -> Result<R, Box<CaughtError>> {
    // SAFETY: the subtransaction is ended on both ways, and with it what it has opened; memory context, resource owner and error
    // contexts are those from before, as PL/pgSQL does for a block with an exception handler.
    unsafe {
        let (context, owner) = (pg_sys::CurrentMemoryContext, pg_sys::CurrentResourceOwner);
        let error_contexts = pg_sys::error_context_stack;
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::MemoryContextSwitchTo(context);
        let result = PgTryBuilder::new(AssertUnwindSafe(|| {
            let result = f();
            pg_sys::ReleaseCurrentSubTransaction();
            Ok(result)
        }))
        .catch_others(|error| {
            pg_sys::error_context_stack = error_contexts;
            pg_sys::MemoryContextSwitchTo(context);
            pg_sys::RollbackAndReleaseCurrentSubTransaction();
            pg_sys::MemoryContextSwitchTo(context);
            pg_sys::CurrentResourceOwner = owner;
            Err(Box::new(error))
        })
        .execute();
        pg_sys::MemoryContextSwitchTo(context);
        pg_sys::CurrentResourceOwner = owner;
        result
    }
}
