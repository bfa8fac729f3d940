//! Work that may fail without taking other work along, and what is known of a failure.

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;

use pgrx::pg_sys::panic::CaughtError;
use pgrx::{PgSqlErrorCode, PgTryBuilder};

use crate::pg::{sqlstate, subtransaction};

/// An ERROR that ended a piece of work.
#[derive(Debug, Clone)]
pub struct Failure {
    code: PgSqlErrorCode,
    /// Whether the code is none of the server's.
    is_made_up: bool,
    /// Its message.
    pub message: String,
}

impl Failure {
    /// Of an ERROR that was caught.
    pub fn of(error: &CaughtError) -> Self {
        let (CaughtError::PostgresError(report)
        | CaughtError::ErrorReport(report)
        | CaughtError::RustPanic { ereport: report, .. }) = error;
        let code = report.sql_error_code();
        let is_made_up = sqlstate::take_lost() && code == PgSqlErrorCode::ERRCODE_INTERNAL_ERROR;
        Self { code, is_made_up, message: report.message().to_owned() }
    }

    /// Whether it says something about the values, which fail again whenever they are tried: class 22, data; class 23, a
    /// constraint; class 54, too large; class P0 and codes that a trigger has made up.
    pub fn is_about_values(&self) -> bool {
        // Five characters of six bits, the first ones lowest (utils/elog.h, MAKE_SQLSTATE).
        let character = |index: i32| ((self.code as i32 >> (6 * index) & 0x3f) + i32::from(b'0')) as u8;
        self.is_made_up || matches!(&[character(0), character(1)], b"22" | b"23" | b"54" | b"P0")
    }

    /// Whether a lock was not given in time.
    pub fn is_lock(&self) -> bool {
        self.code == PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE
    }
}

thread_local! {
    static LAST: RefCell<Option<Failure>> = const { RefCell::new(None) };
}

/// Runs `f` in a subtransaction, which an ERROR undoes. A cancel and a termination go on upwards.
pub fn attempt<R>(f: impl FnOnce() -> R) -> Result<R, Failure> {
    let noted = || {
        PgTryBuilder::new(AssertUnwindSafe(|| sqlstate::keeping(f)))
            .catch_others(|error| {
                LAST.set(Some(Failure::of(&error)));
                error.rethrow()
            })
            .execute()
    };
    PgTryBuilder::new(AssertUnwindSafe(|| subtransaction::run(noted).map_err(|_| last())))
        // The subtransaction is undone by then.
        .catch_when(PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE, |_| Err(last()))
        .execute()
}

fn last() -> Failure {
    LAST.take().unwrap_or(Failure {
        code: PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
        is_made_up: false,
        message: String::new(),
    })
}
