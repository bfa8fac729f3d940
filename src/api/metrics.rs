//! What was counted: what the view `e2i_serving_stats` shows, `e2i_serving_stats_reset`, `e2i_prometheus_metrics`.

use std::cell::Cell;

use e2i_core::{Error, Kind};
use e2i_metrics::health::Status;
use e2i_metrics::{Served, Tally, exposition, kind_name, served};
use pgrx::datum::JsonB;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::{PgLogLevel, PgSqlErrorCode, pg_sys};

use crate::catalog::schema::Schema;
use crate::catalog::version;
use crate::error::{OrRaise, raise};
use crate::inference_log::pool::pool;
use crate::metrics::{bigint, board, counter, interval, services};
use crate::pg::process;
use crate::pg::time::{self, timestamptz};
use crate::worker::tasks;

/// What was served in this database, one row for a version and engine of a service, or for each function of it. Read through
/// the view `e2i_serving_stats`.
#[pg_extern(volatile, parallel_restricted)]
fn e2i_serving_counters(
    by_function: default!(bool, false),
) -> TableIterator<
    'static,
    (
        name!(service, Option<String>),
        name!(model, Option<String>),
        name!(version, Option<String>),
        name!(engine, Option<String>),
        name!(function, Option<String>),
        name!(requests, i64),
        name!(predictions, i64),
        name!(errors, i64),
        name!(avg_ms, Option<f64>),
        name!(p50_ms, Option<f64>),
        name!(p95_ms, Option<f64>),
        name!(p99_ms, Option<f64>),
        name!(max_ms, Option<f64>),
        name!(since, TimestampWithTimeZone),
        name!(errors_by_kind, Option<JsonB>),
        name!(batches, Option<JsonB>),
        name!(loads, i64),
        name!(load_ms, Option<f64>),
        name!(hits, i64),
        name!(sessions, i64),
        name!(memory_bytes, i64),
    ),
> {
    version::require_same().or_raise();
    tell_if_alone();
    let rows: Vec<_> = served(counter::rows(), by_function)
        .into_iter()
        .map(|Served { row, loading, loaded }| {
            let (tally, key) = (&row.total, &row.key);
            let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
            let (model, version) = key.reference.as_str().split_once(':').unwrap_or_default();
            let ms = |nanoseconds: Option<f64>| nanoseconds.map(|ns| rounded(ns / 1e6));
            (
                some(key.service.as_str()),
                some(model),
                some(version),
                some(key.engine()),
                by_function.then(|| key.function().to_owned()),
                bigint(tally.requests),
                bigint(tally.predictions),
                bigint(tally.failed()),
                ms(tally.mean_ns()),
                ms(tally.quantile_ns(0.50)),
                ms(tally.quantile_ns(0.95)),
                ms(tally.quantile_ns(0.99)),
                ms((tally.timed > 0).then_some(tally.longest_ns as f64)),
                timestamptz(row.since),
                errors(tally),
                batches(tally),
                bigint(loading.loads),
                ms((loading.loads > 0).then(|| loading.load_ns as f64 / loading.loads as f64)),
                bigint(loading.hits),
                loaded.sessions,
                loaded.bytes,
            )
        })
        .collect();
    TableIterator::new(rows)
}

/// Sets this database's counters back.
#[pg_extern(volatile, parallel_restricted)]
fn e2i_serving_stats_reset() {
    version::require_same().or_raise();
    counter::flush();
    let (database, now) = (process::database(), time::now());
    board::alone(|board| board.reset(database, now));
    // A crash must not bring them back.
    board::keep();
}

/// Everything counted in this database, in the text format of Prometheus, without the buckets of histograms.
#[pg_extern(volatile, parallel_restricted)]
fn e2i_prometheus_metrics(fcinfo: pg_sys::FunctionCallInfo) -> String {
    // SAFETY: the server passes a valid fcinfo.
    metrics_text(unsafe { Schema::of_call(fcinfo) }, false)
}

/// The same, with the buckets of histograms if asked.
#[pg_extern(volatile, parallel_restricted, name = "e2i_prometheus_metrics")]
fn e2i_prometheus_metrics_with(buckets: bool, fcinfo: pg_sys::FunctionCallInfo) -> String {
    // SAFETY: the server passes a valid fcinfo.
    metrics_text(unsafe { Schema::of_call(fcinfo) }, buckets)
}

fn metrics_text(schema: Schema, buckets: bool) -> String {
    tell_if_alone();
    let services: Vec<_> =
        services::active(schema).into_iter().map(|service| (service.name, service.health_status)).collect();
    let lost = board::together(|board| board.lost());
    exposition::text(&counter::rows(), &services, lost, pool().dropped(), buckets)
        .map_err(|why| Error::new(Kind::Internal, format!("the metrics cannot be written: {why}")))
        .or_raise()
}

/// Writes a row of metrics for each active service, and judges its health, as the background worker does once an interval.
/// Returns how many rows were written.
#[pg_extern(volatile, parallel_unsafe)]
fn e2i_flush_metrics(fcinfo: pg_sys::FunctionCallInfo) -> i32 {
    tell_if_alone();
    // SAFETY: the server passes a valid fcinfo.
    let schema = unsafe { Schema::of_change(fcinfo) };
    i32::try_from(tasks::run_here(schema)).unwrap_or(i32::MAX)
}

/// How the active services are, or one of them: by what was called since the last row of metrics, else as it was found then.
#[pg_extern(volatile, parallel_restricted)]
fn e2i_health(
    service: default!(Option<String>, "NULL"),
    fcinfo: pg_sys::FunctionCallInfo,
) -> TableIterator<
    'static,
    (
        name!(service, String),
        name!(version, String),
        name!(status, String),
        name!(reason, Option<String>),
        name!(requests, i64),
        name!(error_rate, Option<f64>),
        name!(p95_ms, Option<f64>),
        name!(checked_at, Option<TimestampWithTimeZone>),
    ),
> {
    tell_if_alone();
    // SAFETY: the server passes a valid fcinfo.
    let schema = unsafe { Schema::of_call(fcinfo) };
    let (now, rows, limits) = (time::now(), counter::rows(), interval::limits(schema));
    let mut services = services::active(schema);
    if let Some(wanted) = &service {
        services.retain(|known| known.name == *wanted);
        if services.is_empty() {
            let message = format!("the service \"{wanted}\" has no active deployment");
            raise(&Error::new(Kind::UnknownModel, message).with_hint("SELECT service FROM e2i_services;"));
        }
    }
    let found: Vec<_> = services
        .into_iter()
        .map(|service| {
            let interval = interval::interval(schema, &service, &rows, now);
            let now = interval::judged(&interval, &limits);
            let is_unknown = now.status == Status::Unknown && interval.is_counted;
            let verdict = if is_unknown { service.verdict() } else { now };
            let verdict = interval::uncovered(schema, &service, verdict);
            (
                service.name,
                service.version,
                verdict.status.as_str().to_owned(),
                verdict.reason,
                bigint(interval.tally.requests),
                interval.tally.error_rate(),
                interval.tally.quantile_ns(0.95).map(|ns| rounded(ns / 1e6)),
                interval.last.map(timestamptz),
            )
        })
        .collect();
    TableIterator::new(found)
}

/// Says once a session that nobody else's calls are counted.
fn tell_if_alone() {
    thread_local! {
        static TOLD: Cell<bool> = const { Cell::new(false) };
    }
    if !board::is_shared() && !TOLD.replace(true) {
        ErrorReport::new(PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION, "only this session's calls are counted", "")
            .set_hint("Add to postgresql.conf and restart: shared_preload_libraries = 'e2i_serve'")
            .report(PgLogLevel::NOTICE);
    }
}

/// To nanoseconds, as the clock gives them.
fn rounded(milliseconds: f64) -> f64 {
    (milliseconds * 1e6).round() / 1e6
}

/// `{"bad_value": 3}`.
fn errors(tally: &Tally) -> Option<JsonB> {
    let kinds = tally.errors.iter().enumerate().filter(|(_, count)| **count > 0);
    let found: serde_json::Map<_, _> =
        kinds.filter_map(|(kind, count)| Some((kind_name(kind)?.to_owned(), (*count).into()))).collect();
    (!found.is_empty()).then(|| JsonB(found.into()))
}

/// `{"1": 200, "1000": 4}`: how often so many rows, or fewer but more than the bound before, were scored together.
fn batches(tally: &Tally) -> Option<JsonB> {
    let bounds = e2i_metrics::BATCHES.iter().map(ToString::to_string).chain(["more".to_owned()]);
    let found: serde_json::Map<_, _> =
        bounds.zip(tally.batches).filter(|(_, count)| *count > 0).map(|(bound, count)| (bound, count.into())).collect();
    (!found.is_empty()).then(|| JsonB(found.into()))
}
