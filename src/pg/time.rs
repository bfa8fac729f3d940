//! The server's own time: microseconds since 2000.

use pgrx::FromDatum;
use pgrx::pg_sys;
use pgrx::prelude::TimestampWithTimeZone;

/// Now.
pub fn now() -> i64 {
    // SAFETY: reads the clock.
    unsafe { pg_sys::GetCurrentTimestamp() }
}

/// A time as SQL sees it.
pub fn timestamptz(microseconds: i64) -> TimestampWithTimeZone {
    // SAFETY: any number of microseconds is a value of the type; those that it cannot show are refused.
    unsafe { TimestampWithTimeZone::from_datum(pg_sys::Datum::from(microseconds), false) }
        .unwrap_or_else(TimestampWithTimeZone::positive_infinity)
}
