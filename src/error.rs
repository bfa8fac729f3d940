//! The one table from error kinds to SQLSTATEs, and the one place where an error becomes an `ereport`.

use e2i_core::{Error, Kind};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, PgSqlErrorCode};

/// The SQLSTATE of a kind.
pub fn sqlstate(kind: Kind) -> PgSqlErrorCode {
    match kind {
        Kind::UnknownModel => PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
        Kind::Duplicate => PgSqlErrorCode::ERRCODE_DUPLICATE_OBJECT,
        Kind::BadOption | Kind::BadModel => PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
        Kind::BadValue => PgSqlErrorCode::ERRCODE_INVALID_TEXT_REPRESENTATION,
        Kind::OutOfRange => PgSqlErrorCode::ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
        Kind::MissingValue => PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED,
        Kind::TypeMismatch => PgSqlErrorCode::ERRCODE_DATATYPE_MISMATCH,
        Kind::Unsupported => PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
        Kind::Limit => PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
        Kind::Memory => PgSqlErrorCode::ERRCODE_OUT_OF_MEMORY,
        Kind::Library => PgSqlErrorCode::ERRCODE_UNDEFINED_FILE,
        Kind::WrongState => PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        Kind::TakenMeanwhile => PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION,
        Kind::Conflict => PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE,
        Kind::Privilege => PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
        Kind::ReadOnly => PgSqlErrorCode::ERRCODE_READ_ONLY_SQL_TRANSACTION,
        Kind::Runtime => PgSqlErrorCode::ERRCODE_EXTERNAL_ROUTINE_EXCEPTION,
        Kind::Interrupted => PgSqlErrorCode::ERRCODE_QUERY_CANCELED,
        Kind::Internal => PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
    }
}

/// The SQLSTATE of an error, as it is written: five characters.
pub fn code(kind: Kind) -> String {
    let packed = sqlstate(kind) as u32;
    // The server packs six bits a character (MAKE_SQLSTATE).
    (0..5).map(|at| char::from(b'0' + ((packed >> (6 * at)) & 0x3f) as u8)).collect()
}

/// Raises an error of the pure crates as a PostgreSQL ERROR.
#[cold]
pub fn raise(error: &Error) -> ! {
    let mut report = ErrorReport::new(sqlstate(error.kind()), error.message().to_owned(), "");
    if let Some(detail) = error.detail() {
        report = report.set_detail(detail.to_owned());
    }
    if let Some(hint) = error.hint() {
        report = report.set_hint(hint.to_owned());
    }
    report.report(PgLogLevel::ERROR);
    unreachable!("a report of level ERROR does not return")
}

/// The elements of an array argument, none of which is NULL.
///
/// # Errors
/// [`Kind::MissingValue`] with the place of one that is.
pub fn without_nulls(option: &str, texts: Vec<Option<String>>) -> e2i_core::Result<Vec<String>> {
    let null = texts.iter().position(Option::is_none);
    match null {
        None => Ok(texts.into_iter().flatten().collect()),
        Some(position) => Err(Error::new(Kind::MissingValue, format!("element {} of {option} is NULL", position + 1))),
    }
}

/// An argument that must not be NULL.
///
/// # Errors
/// [`Kind::MissingValue`] naming the argument.
pub fn given<T>(argument: Option<T>, name: &str) -> e2i_core::Result<T> {
    argument.ok_or_else(|| Error::new(Kind::MissingValue, format!("the argument {name} is NULL")))
}

/// Takes the value or raises the error.
pub trait OrRaise<T> {
    /// The value of `Ok`; an `Err` ends the statement.
    fn or_raise(self) -> T;
}

impl<T> OrRaise<T> for e2i_core::Result<T> {
    fn or_raise(self) -> T {
        self.unwrap_or_else(|error| raise(&error))
    }
}
