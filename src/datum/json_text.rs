//! JSON that arrives as text, parsed into jsonb by the server.

use std::ffi::CString;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use e2i_core::spelling::{Expected, array_literal, no_json};
use e2i_core::{Binder, Error, Kind, Result};
use pgrx::pg_sys::panic::CaughtError;
use pgrx::{PgSqlErrorCode, direct_function_call, pg_sys};

use crate::pg::varlena;

/// Features as text: JSON, or an SQL array literal, which is one row by position.
///
/// # Errors
/// [`Kind::BadValue`] naming the model for a text that is neither; the server's own for JSON beyond its limits.
///
/// # Safety
/// `datum` must be a valid text value.
pub unsafe fn features(binder: &Binder, datum: pg_sys::Datum) -> Result<pg_sys::Datum> {
    // SAFETY: as the caller promises.
    let text = unsafe { varlena::text(datum) };
    let count = binder.interface().features.len();
    let array = array_literal(text, |index| (index < count).then(|| binder.element(index)));
    parse(array.as_deref().unwrap_or(text), Expected::Features(binder.model()))
}

/// A text as jsonb, by the server's own parser.
///
/// # Errors
/// [`Kind::BadValue`] for what is no JSON; the server's own for JSON beyond its limits.
pub fn parse(text: &str, expected: Expected<'_>) -> Result<pg_sys::Datum> {
    let Ok(c_text) = CString::new(text) else { return Err(no_json(expected, text, None)) };
    // SAFETY: jsonb_in takes a C string and returns a palloc'd value.
    let parse = || unsafe {
        direct_function_call::<pg_sys::Datum>(pg_sys::jsonb_in, &[Some(pg_sys::Datum::from(c_text.as_ptr()))])
    };
    // What is caught is raised again, in other words: nothing goes on as if it had not happened.
    let caught = match catch_unwind(AssertUnwindSafe(parse)) {
        Ok(parsed) => return parsed.ok_or_else(|| Error::new(Kind::Internal, "jsonb_in returned NULL")),
        Err(caught) => caught,
    };
    match caught.downcast_ref::<CaughtError>() {
        Some(CaughtError::PostgresError(report))
            if report.sql_error_code() == PgSqlErrorCode::ERRCODE_INVALID_TEXT_REPRESENTATION =>
        {
            Err(no_json(expected, text, report.detail()))
        }
        _ => resume_unwind(caught),
    }
}
