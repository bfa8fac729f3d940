//! Once an interval: what each active service served goes into a row of `ml_bentoml_serving_metrics`, its health is judged,
//! and a change of that is told.

use std::collections::HashSet;

use e2i_calibrate::band;
use e2i_metrics::health::{Limit, Limits, Status, Verdict, judge};
use e2i_metrics::{Function, Name, Place, Row, Tally};
use pgrx::datum::{TimestampWithTimeZone, Uuid};
use serde_json::json;

use crate::catalog::calibration::{self, Checked};
use crate::catalog::event::Event;
use crate::catalog::model::ModelId;
use crate::catalog::schema::Schema;
use crate::metrics::services::{self, Service};
use crate::metrics::{bigint, board, counter, marks};
use crate::pg::lock::{self, Purpose};
use crate::pg::query::{Query, Row as Selected, under_latest};
use crate::pg::transaction::{AtCommit, Moment};
use crate::pg::{process, time};
use crate::settings;

const EXISTING: Query = Query::new("SELECT r.id FROM {ml}.ml_model_registry r WHERE r.id = ANY ($1)");
const LAST: Query = Query::new(
    "SELECT max(m.timestamp), max(m.timestamp) FILTER (WHERE m.requests > 0)
     FROM {ml}.ml_bentoml_serving_metrics m WHERE m.service_id = $1",
);
const INSERT: Query = Query::new(
    "INSERT INTO {ml}.ml_bentoml_serving_metrics
         (service_id, timestamp, requests_per_second, avg_latency_ms, p50_latency_ms, p95_latency_ms, p99_latency_ms,
          error_rate, memory_mb, cpu_percent, requests, predictions, errors)
     VALUES ($1, clock_timestamp(), $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
);
const TELL: Query =
    Query::new("UPDATE {ml}.ml_bentoml_services SET health_status = $2, health_reason = $3 WHERE id = $1");
const NOTIFY: Query = Query::new("SELECT pg_notify('e2i_health', $1)");
const FORGET: Query =
    Query::new("DELETE FROM {ml}.ml_bentoml_serving_metrics m WHERE m.timestamp < now() - make_interval(mins => $1)");
const LIMITS: Query = Query::new("SELECT l.metric, l.degraded, l.unhealthy FROM {ml}.ml_health_limits l");

/// What this transaction has written of a place.
#[derive(Clone)]
struct Written {
    place: Place,
    tally: Tally,
    at: i64,
    /// Whether the version that it stands for is no more.
    is_gone: bool,
}

thread_local! {
    /// The board hears of it when the transaction commits.
    static WRITTEN: AtCommit<Written> = const { AtCommit::new("metrics") };
}

/// Hears what becomes of the transaction.
pub fn hear(moment: Moment) {
    let written = WRITTEN.with(|written| written.hear(moment));
    if !written.is_empty() {
        board::alone(|board| {
            written.iter().for_each(|it| board.written(it.place, &it.tally, it.at));
            board.gone(written.iter().filter(|it| it.is_gone).map(|it| it.place));
        });
    }
}

/// What a service did since its last row.
pub struct Interval {
    /// What was counted.
    pub tally: Tally,
    /// How long that is.
    seconds: f64,
    /// When the last row was written, as the server's timestamp; `None` without one.
    pub last: Option<i64>,
    /// The same of the last row with calls in it.
    called: Option<i64>,
    memory_bytes: i64,
    /// Whether everything that was called found a place among the counters.
    pub is_counted: bool,
}

/// Writes the rows of all active services and judges their health. Returns how many rows were written. What is to be said of a
/// service that nobody called, `probe` finds out, if it can.
///
/// One at a time: two would write the same interval twice. The lock is released with the transaction, after the board has heard
/// of it.
pub fn write(schema: Schema, probe: impl Fn(&Service) -> Option<Verdict>) -> usize {
    lock::exclusive(schema.registry(), Purpose::Interval, "");
    // Who waited for the lock has to see what was written meanwhile.
    under_latest(|| write_alone(schema, probe))
}

fn write_alone(schema: Schema, probe: impl Fn(&Service) -> Option<Verdict>) -> usize {
    marks::reconcile(schema);
    let (now, mut rows, limits) = (time::now(), counter::rows(), limits(schema));
    // What this transaction has written already, the board has not heard of yet.
    for Written { place, tally, at, .. } in WRITTEN.with(AtCommit::noted) {
        if let Some(row) = rows.iter_mut().find(|row| row.place == place) {
            (row.written, row.written_at) = (tally, at);
        }
    }
    let services = services::active(schema);
    let judge = |service: &Service| {
        let interval = interval(schema, service, &rows, now);
        let mut verdict = judged(&interval, &limits);
        if verdict.status == Status::Unknown && interval.is_counted {
            // Without a golden row, what the last callers met holds for a while.
            verdict =
                probe(service).or_else(|| is_recent(&interval, now).then(|| service.verdict())).unwrap_or(verdict);
        }
        (interval, uncovered(schema, service, verdict))
    };
    // All of them before the first one is written: whoever deploys a service waits for its row, and need not wait for the probes
    // of others.
    let found: Vec<(Interval, Verdict)> = services.iter().map(judge).collect();
    schema.as_owner(|| {
        for (service, (interval, verdict)) in services.iter().zip(&found) {
            insert(schema, service, interval);
            tell(schema, service, verdict);
        }
    });
    schema.as_owner(|| marks::write(schema, &rows));
    let there = schema.as_owner(|| versions(schema, &rows));
    let is_gone = |row: &Row| row.key.model != ModelId::default() && !there.contains(&row.key.model);
    WRITTEN.with(|written| {
        written.note(rows.iter().map(|row| Written {
            place: row.place,
            tally: row.total,
            at: now,
            is_gone: is_gone(row),
        }));
    });
    services.len()
}

/// How a service is by what was counted. Where not all of it was, it is not healthy, whatever was.
pub fn judged(interval: &Interval, limits: &Limits) -> Verdict {
    let verdict = judge(&interval.tally, limits);
    if interval.is_counted || matches!(verdict.status, Status::Degraded | Status::Unhealthy) {
        return verdict;
    }
    let places = board::together(|board| board.places());
    let reason =
        format!("not all calls are counted: all {places} places among the counters are taken (e2i_serve.metrics_max)");
    Verdict { status: Status::Unknown, reason: Some(reason) }
}

/// The same verdict, or a worse one where the last check of what is deployed found fewer rows covered than chance explains.
pub fn uncovered(schema: Schema, service: &Service, verdict: Verdict) -> Verdict {
    let checks = service.model.map(|model| calibration::checks(schema, &model)).unwrap_or_default();
    let short = checks.into_iter().find_map(|(group, Checked { level, n, covered })| {
        let (rows, within) = (u64::try_from(n).ok()?, u64::try_from(covered).ok()?);
        let (lowest, _) = band::band(rows, level).ok()?;
        let group = group.map_or_else(String::new, |group| format!(" of group \"{group}\""));
        let share = 100.0 * covered as f64 / n.max(1) as f64;
        (within < lowest).then(|| format!("at level {level} {share:.1} % of {n} rows{group} are covered"))
    });
    let Some(short) = short else { return verdict };
    let status = if verdict.status == Status::Unhealthy { Status::Unhealthy } else { Status::Degraded };
    let before = verdict.reason.filter(|_| matches!(verdict.status, Status::Degraded | Status::Unhealthy));
    // Of a service that was found so before, the reason is there.
    let reasons: Vec<String> = before.filter(|before| !before.contains(&short)).into_iter().chain([short]).collect();
    Verdict { status, reason: Some(reasons.join(", ")) }
}

/// Of the versions that were counted, those that exist.
fn versions(schema: Schema, rows: &[Row]) -> HashSet<ModelId> {
    let counted: HashSet<ModelId> = rows.iter().map(|row| row.key.model).collect();
    let counted: Vec<Uuid> = counted.into_iter().map(Uuid::from_bytes).collect();
    let found = EXISTING.select(schema, &[counted.into()], |row| row.get::<Uuid>(1).map(|id| *id.as_bytes()));
    found.into_iter().flatten().collect()
}

/// What a service did since its last row.
pub fn interval(schema: Schema, service: &Service, rows: &[Row], now: i64) -> Interval {
    let name = Name::new(&service.name);
    let mut tally = Tally::default();
    let mut begun = now;
    let of_service =
        |row: &&Row| row.key.service == name && !row.key.is(Function::Shadow) && !row.key.is(Function::Load);
    for row in rows.iter().filter(of_service) {
        let mut since = row.total.since(&row.written);
        if since.timed == 0 {
            since.longest_ns = 0;
        }
        tally.add(&since);
        begun = begun.min(row.written_at);
    }
    let version = Name::new(&service.version);
    let memory_bytes = rows
        .iter()
        .filter(|row| row.key.is(Function::Load) && row.key.reference == version)
        .map(|row| row.loaded.bytes)
        .sum();
    let (last, called) = schema.as_owner(|| {
        let time = |row: &Selected, at| row.get::<TimestampWithTimeZone>(at).map(i64::from);
        LAST.select(schema, &[service.id.into()], |row| (time(row, 1), time(row, 2))).pop().unwrap_or_default()
    });
    let seconds = (now - last.unwrap_or(begun)).max(1) as f64 / 1e6;
    let is_counted = !board::together(|board| board.loses(process::database(), &name));
    Interval { tally, seconds, last, called, memory_bytes, is_counted }
}

/// Intervals for which the last calls tell how a service is.
const RECENT: i64 = 10;

fn is_recent(interval: &Interval, now: i64) -> bool {
    let length = i64::try_from(settings::metrics_interval().as_micros()).unwrap_or(i64::MAX);
    interval.called.is_some_and(|called| now.saturating_sub(called) <= length.saturating_mul(RECENT))
}

fn insert(schema: Schema, service: &Service, interval: &Interval) {
    let Interval { tally, seconds, memory_bytes, .. } = interval;
    let ms = |ns: Option<f64>| ns.map(|ns| ns / 1e6);
    INSERT.execute(
        schema,
        &[
            service.id.into(),
            (tally.requests as f64 / seconds).into(),
            ms(tally.mean_ns()).into(),
            ms(tally.quantile_ns(0.50)).into(),
            ms(tally.quantile_ns(0.95)).into(),
            ms(tally.quantile_ns(0.99)).into(),
            tally.error_rate().into(),
            (*memory_bytes as f64 / f64::from(1 << 20)).into(),
            (tally.busy_ns() / 1e9 / seconds * 100.0).into(),
            bigint(tally.requests).into(),
            bigint(tally.predictions).into(),
            bigint(tally.failed()).into(),
        ],
    );
}

/// Keeps a health that has changed, and tells of it.
fn tell(schema: Schema, service: &Service, verdict: &Verdict) {
    let status = verdict.status.as_str();
    if service.health_status == status && service.health_reason == verdict.reason {
        return;
    }
    TELL.execute(schema, &[service.id.into(), status.into(), verdict.reason.as_deref().into()]);
    if service.health_status == status {
        return;
    }
    let (model, version) = service.version.split_once(':').unzip();
    Event {
        who: "e2i_serve",
        action: "health",
        model,
        version,
        service: Some(&service.name),
        before: Some(&service.health_status),
        after: Some(status),
        reason: verdict.reason.as_deref(),
        details: None,
    }
    .record(schema);
    let payload = json!({
        "service": service.name, "version": service.version, "from": service.health_status, "to": status, "reason": verdict.reason,
    });
    NOTIFY.select(schema, &[shortened(payload.to_string()).into()], |_| ());
}

/// NOTIFY takes less than 8,000 bytes.
fn shortened(payload: String) -> String {
    if payload.len() < 7_900 { payload } else { "{}".to_owned() }
}

/// Deletes rows that are older than `e2i_serve.metrics_retention`.
pub fn forget(schema: Schema) {
    let Some(minutes) = settings::metrics_retention_minutes() else { return };
    schema.as_owner(|| FORGET.execute(schema, &[minutes.into()]));
}

/// The limits of health, from their table. What it does not name has none.
pub fn limits(schema: Schema) -> Limits {
    let none = Limit { degraded: f64::INFINITY, unhealthy: f64::INFINITY };
    let mut limits = Limits { error_rate: none, latency_ms: none };
    let found = schema.as_owner(|| {
        LIMITS.select(schema, &[], |row| Some((row.get::<String>(1)?, row.get::<f64>(2)?, row.get::<f64>(3)?)))
    });
    for (metric, degraded, unhealthy) in found.into_iter().flatten() {
        let limit = Limit { degraded, unhealthy };
        match metric.as_str() {
            "error_rate" => limits.error_rate = limit,
            _ => limits.latency_ms = limit, // the table takes no third one
        }
    }
    limits
}
