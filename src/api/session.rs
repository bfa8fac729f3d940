//! This session's loaded models: `e2i_prewarm`, `e2i_clear_session_cache` and what the view `e2i_session_cache` shows.

use pgrx::prelude::*;
use pgrx::{datum::Interval, pg_sys};

use crate::catalog::schema::Schema;
use crate::error::OrRaise;
use crate::pg::time;
use crate::scoring::cache;

/// Loads a model into this session, so that the next statement need not. Returns the version that was loaded.
#[pg_extern(stable, parallel_restricted, strict)]
fn e2i_prewarm(model: &str, fcinfo: pg_sys::FunctionCallInfo) -> String {
    // SAFETY: the server passes a valid fcinfo.
    let schema = unsafe { Schema::of_call(fcinfo) };
    cache::model(schema, model).or_raise().reference().to_owned()
}

/// Drops this session's loaded models and returns how many there were, of those that the caller may see.
#[pg_extern(volatile, parallel_restricted)]
fn e2i_clear_session_cache(fcinfo: pg_sys::FunctionCallInfo) -> i32 {
    // SAFETY: the server passes a valid fcinfo.
    i32::try_from(cache::clear(unsafe { Schema::of_call(fcinfo) })).unwrap_or(i32::MAX)
}

/// This session's loaded models that the caller may see, most recently used first. Read through the view `e2i_session_cache`.
#[pg_extern(volatile, parallel_restricted)]
fn e2i_cached_models(
    fcinfo: pg_sys::FunctionCallInfo,
) -> TableIterator<
    'static,
    (
        name!(model, String),
        name!(version, String),
        name!(engine, String),
        name!(bytes, i64),
        name!(loads, i32),
        name!(hits, i64),
        name!(load_time, Interval),
        name!(last_used, TimestampWithTimeZone),
    ),
> {
    // SAFETY: the server passes a valid fcinfo.
    let rows: Vec<_> = cache::list(unsafe { Schema::of_call(fcinfo) })
        .into_iter()
        .map(|(model, loads)| {
            (
                model.name.clone(),
                model.version.clone(),
                model.engine_name().to_owned(),
                i64::try_from(model.memory_bytes()).unwrap_or(i64::MAX),
                i32::try_from(loads).unwrap_or(i32::MAX),
                i64::try_from(model.hits.get()).unwrap_or(i64::MAX),
                Interval::from_micros(i64::try_from(model.load_time.as_micros()).unwrap_or(i64::MAX)),
                time::timestamptz(model.last_used.get()),
            )
        })
        .collect();
    TableIterator::new(rows)
}
