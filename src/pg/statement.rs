//! Statements whose text is made for once and which run as if the caller had written them: with the caller's rights, under the
//! caller's `search_path`. Not for the extension's own tables, see [`crate::pg::query`].

use std::ffi::{CStr, CString, c_char};

use e2i_core::{Error, Kind};
use pgrx::pg_sys;

use crate::error::raise;
use crate::pg::query::{Argument, Row, rows};
use crate::pg::{guc, sqlstate};

/// The forms in which values are written for another session to read: the settings that texts depend on.
const FORMS: [(&CStr, &CStr); 5] = [
    (c"DateStyle", c"ISO, YMD"),
    (c"IntervalStyle", c"postgres"),
    (c"TimeZone", c"UTC"),
    (c"extra_float_digits", c"3"),
    (c"bytea_output", c"hex"),
];

/// Runs it under a snapshot of its own; how many rows it touched, and what `read` makes of those that it returns. It is planned for
/// these arguments.
pub fn run<R>(sql: &str, arguments: &[Argument], read: impl FnMut(&Row) -> R) -> (u64, Vec<R>) {
    let text =
        CString::new(sql).unwrap_or_else(|_| raise(&Error::new(Kind::BadOption, "a statement contains a zero byte")));
    let mut types: Vec<pg_sys::Oid> = arguments.iter().map(Argument::of_type).collect();
    let mut values: Vec<pg_sys::Datum> =
        arguments.iter().map(|it| it.value().unwrap_or(pg_sys::Datum::from(0))).collect();
    let nulls: Vec<c_char> = arguments.iter().map(|it| if it.value().is_some() { b' ' } else { b'n' } as _).collect();
    // SAFETY: SPI is connected around everything that uses it; an ERROR in between is cleaned up by the server.
    sqlstate::keeping(|| unsafe {
        pg_sys::SPI_connect();
        let code = pg_sys::SPI_execute_with_args(
            text.as_ptr(),
            types.len() as i32,
            types.as_mut_ptr(),
            values.as_mut_ptr(),
            nulls.as_ptr(),
            false,
            0,
        );
        if code < 0 {
            raise(&Error::new(Kind::Internal, format!("SPI_execute_with_args returned {code}")));
        }
        let processed = pg_sys::SPI_processed;
        let result = rows(read);
        pg_sys::SPI_finish();
        (processed, result)
    })
}

/// Runs `f` while values are written and read in forms that every session reads the same.
pub fn in_common_forms<R>(f: impl FnOnce() -> R) -> R {
    guc::with(&FORMS, f)
}

/// A value of a type by its text, in the forms of [`in_common_forms`].
pub fn parsed(of_type: pg_sys::Oid, text: &str) -> Argument {
    let text = CString::new(text).unwrap_or_default();
    // SAFETY: the type's own input function with its arguments, and a C string.
    let value = unsafe {
        let (mut input, mut parameter) = (pg_sys::Oid::INVALID, pg_sys::Oid::INVALID);
        pg_sys::getTypeInputInfo(of_type, &raw mut input, &raw mut parameter);
        pg_sys::OidInputFunctionCall(input, text.as_ptr().cast_mut(), parameter, -1)
    };
    Argument::typed(of_type, Some(value))
}
