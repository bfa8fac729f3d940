//! Expressions that are evaluated for a row that nobody may ever ask for, and may raise what is wrong with it.
//!
//! What they raise is kept until the row is asked for. Nothing has to be undone for that: [`crate::scan::expression`] says which may be
//! tried, functions of the server's over scalars, which hold no lock, pin or snapshot when they raise.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use pgrx::pg_sys::panic::CaughtError;
use pgrx::{PgSqlErrorCode, pg_sys};

/// Classes of errors that say what is wrong with a value. All others, such as a cancel, say nothing of it and go on at once.
const OF_VALUES: [PgSqlErrorCode; 4] = [
    PgSqlErrorCode::ERRCODE_DATA_EXCEPTION,
    PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
    PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
    PgSqlErrorCode::ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION,
];

/// The two characters of a class in a code, as the server's ERRCODE_TO_CATEGORY has them.
const CLASS: i32 = 0xfff;

/// An error of the server's.
pub struct Raised(Box<dyn Any + Send>);

impl Raised {
    /// Raises it.
    pub fn raise(self) -> ! {
        resume_unwind(self.0)
    }
}

/// What was tried, or what it raised.
pub type Tried<T> = Result<T, Raised>;

/// Runs what may raise an error of a value; which memory context is current is as before.
///
/// # Errors
/// That error.
pub fn tried<R>(f: impl FnOnce() -> R) -> Tried<R> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(result) => Ok(result),
        Err(caught) => match caught.downcast_ref::<CaughtError>() {
            Some(CaughtError::PostgresError(report)) if is_of_a_value(report.sql_error_code()) => Err(Raised(caught)),
            _ => resume_unwind(caught),
        },
    }
}

/// The value of an expression, `None` for NULL.
///
/// # Errors
/// What it raises because of its values.
///
/// # Safety
/// The expression must be initialised, and one that may be tried; the context must have its rows.
pub unsafe fn evaluate(
    state: *mut pg_sys::ExprState,
    context: *mut pg_sys::ExprContext,
) -> Tried<Option<pg_sys::Datum>> {
    tried(|| {
        let mut is_null = false;
        // SAFETY: as the caller promises.
        let value = unsafe { pg_sys::ExecEvalExprSwitchContext(state, context, &raw mut is_null) };
        (!is_null).then_some(value)
    })
}

fn is_of_a_value(code: PgSqlErrorCode) -> bool {
    OF_VALUES.iter().any(|class| code as i32 & CLASS == *class as i32 & CLASS)
}
