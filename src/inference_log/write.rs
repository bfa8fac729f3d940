//! Writing records down, in partitions by day, and forgetting old ones.

use pgrx::prelude::*;
use pgrx::{PgLogLevel, PgSqlErrorCode, pg_sys};

use crate::catalog::schema::Schema;
use crate::inference_log::pool;
use crate::metrics::board;
use crate::pg::at_commit::AtCommit;
use crate::pg::query::{execute, select};
use crate::pg::subtransaction;
use crate::settings;

thread_local! {
    /// Slots that this transaction is done with, and whether their records are written; they are free when it commits.
    static DONE: AtCommit<(usize, bool)> = const { AtCommit::new() };
}

/// Records that go into one INSERT.
const TOGETHER: usize = 500;

/// The transaction has ended.
pub fn at_end_of_transaction(committed: bool) {
    let done = DONE.with(|done| done.end(committed));
    if !done.is_empty() {
        let (written, given_up): (Vec<_>, Vec<_>) = done.into_iter().partition(|(_, is_written)| *is_written);
        pool::pool().free(written.into_iter().map(|(slot, _)| slot));
        pool::pool().give_up(given_up.into_iter().map(|(slot, _)| slot));
    }
}

/// A subtransaction was rolled back.
pub fn undo(subtransaction: pg_sys::SubTransactionId) {
    DONE.with(|done| done.undo(subtransaction));
}

/// Writes this database's records down, and returns how many they were. One session at a time: the caller holds the lock.
pub fn write(schema: Schema) -> usize {
    let mut records = pool::pool().look(board::database());
    let done = DONE.with(AtCommit::noted);
    records.retain(|(slot, _)| !done.iter().any(|(known, _)| known == slot));
    if records.is_empty() {
        return 0;
    }
    let tables = schema.quoted();
    let ready = subtransaction::run(|| schema.as_owner(|| make_partitions(&tables)));
    let mut written = 0;
    for records in records.chunks(TOGETHER) {
        let texts: Vec<&str> = records.iter().filter_map(|(_, record)| std::str::from_utf8(record).ok()).collect();
        let array = format!("[{}]", texts.join(","));
        // Records that cannot be written would come back each time: they are given up, and count as dropped.
        let inserted = ready.clone().and_then(|()| subtransaction::run(|| schema.as_owner(|| insert(&tables, &array))));
        let is_written = inserted.is_ok();
        match inserted {
            Ok(count) => written += count,
            Err(why) => ereport!(
                PgLogLevel::LOG,
                PgSqlErrorCode::ERRCODE_DATA_EXCEPTION,
                format!("e2i_serve: {} records of the inference log cannot be written: {why}", texts.len())
            ),
        }
        DONE.with(|done| done.note(records.iter().map(|(slot, _)| (*slot, is_written))));
    }
    written as usize
}

fn insert(tables: &str, array: &str) -> u64 {
    execute(
        &format!(
            "INSERT INTO {tables}.ml_inference_log (request_id, logged_at, service_name, model_name, model_version, served_as, \
             status, duration_ms, features, prediction, label, probabilities, error_code, payload_code, caller, trace_id) \
             SELECT r.request_id, pg_catalog.make_timestamptz(2000, 1, 1, 0, 0, 0, 'UTC') OPERATOR(pg_catalog.+) \
             (r.logged_at OPERATOR(pg_catalog.*) '1 microsecond'::pg_catalog.interval), r.service_name, r.model_name, r.model_version, \
             r.served_as, r.status, r.duration_ms, r.features, r.prediction, r.label, r.probabilities, r.error_code, r.payload_code, \
             r.caller, r.trace_id FROM pg_catalog.jsonb_to_recordset($1::pg_catalog.jsonb) AS r (request_id pg_catalog.uuid, \
             logged_at pg_catalog.float8, service_name pg_catalog.text, model_name pg_catalog.text, model_version pg_catalog.text, \
             served_as pg_catalog.text, status pg_catalog.text, duration_ms pg_catalog.float8, features pg_catalog.jsonb, \
             prediction pg_catalog.float8, label pg_catalog.text, probabilities pg_catalog.float8[], error_code pg_catalog.text, \
             payload_code pg_catalog.text, caller pg_catalog.text, trace_id pg_catalog.text)"
        ),
        &[array.into()],
    )
}

/// The partitions of yesterday, for records that waited over midnight, of today and of tomorrow, so that nobody has to lock the
/// table when the day begins.
fn make_partitions(tables: &str) {
    let missing = select(
        "SELECT pg_catalog.format('ml_inference_log_%s', pg_catalog.to_char(d.day, 'YYYYMMDD')), \
             pg_catalog.to_char(d.day, 'YYYY-MM-DD'), pg_catalog.to_char(d.day OPERATOR(pg_catalog.+) '1 day'::pg_catalog.interval, 'YYYY-MM-DD') \
             FROM (SELECT pg_catalog.date_trunc('day', pg_catalog.timezone('UTC', pg_catalog.now())) \
             OPERATOR(pg_catalog.+) (n OPERATOR(pg_catalog.*) '1 day'::pg_catalog.interval) AS day FROM pg_catalog.generate_series(-1, 1) n) d \
             WHERE pg_catalog.to_regclass(pg_catalog.format('%s.ml_inference_log_%s', $1, pg_catalog.to_char(d.day, 'YYYYMMDD'))) IS NULL",
        &[tables.into()],
        |row| Some((row.get::<String>(1)?, row.get::<String>(2)?, row.get::<String>(3)?)),
    );
    for (name, from, to) in missing.into_iter().flatten() {
        execute(
            &format!(
                "CREATE TABLE {tables}.{name} PARTITION OF {tables}.ml_inference_log FOR VALUES FROM ('{from} 00:00:00+00') TO ('{to} 00:00:00+00')"
            ),
            &[],
        );
        for columns in ["service_name, logged_at", "request_id"] {
            execute(&format!("CREATE INDEX ON {tables}.{name} ({columns})"), &[]);
        }
    }
}

/// Drops the partitions that are older than `e2i_serve.inference_log_retention`.
pub fn forget(schema: Schema) {
    let Some(days) = settings::inference_log_retention_days() else { return };
    let tables = schema.quoted();
    schema.as_owner(|| {
        let old = select(
            &format!(
                "SELECT c.relname::pg_catalog.text FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.inhrelid \
                 WHERE i.inhparent OPERATOR(pg_catalog.=) '{}.ml_inference_log'::pg_catalog.regclass \
                 AND c.relname OPERATOR(pg_catalog.~) '^ml_inference_log_[0-9]{{8}}$' \
                 AND pg_catalog.to_date(pg_catalog.right(c.relname::pg_catalog.text, 8), 'YYYYMMDD') OPERATOR(pg_catalog.<) \
                 (pg_catalog.timezone('UTC', pg_catalog.now())::pg_catalog.date OPERATOR(pg_catalog.-) $1)",
                tables.replace('\'', "''")
            ),
            &[days.into()],
            |row| row.get::<String>(1),
        );
        for name in old.into_iter().flatten() {
            execute(&format!("DROP TABLE {tables}.{name}"), &[]);
        }
    });
}
