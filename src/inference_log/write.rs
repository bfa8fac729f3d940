//! Writing records down.
//!
//! A record that the table refuses costs itself alone. What says nothing about a record, a lock that is not given or a partition
//! that cannot be made, leaves it waiting.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use pgrx::prelude::*;
use pgrx::{PgLogLevel, PgSqlErrorCode};
use serde::Deserialize;

use crate::catalog::schema::Schema;
use crate::inference_log::partition::{self, Day};
use crate::inference_log::pool;
use crate::pg::failure::{Failure, attempt};
use crate::pg::lock::{self, Purpose};
use crate::pg::query::Query;
use crate::pg::transaction::{AtCommit, Moment};
use crate::pg::{process, time};

thread_local! {
    /// Records that were written by the last [`write`] and are to be explained.
    static TO_EXPLAIN: RefCell<Vec<String>> = const { RefCell::new(vec![]) };
    /// Slots that this transaction is done with, and whether their records are written; they are free when it commits.
    static DONE: AtCommit<(usize, bool)> = const { AtCommit::new("the inference log") };
}

const INSERT: Query = Query::new(
    "INSERT INTO {ml}.ml_inference_log
         (request_id, logged_at, service_name, model_name, model_version, served_as, status, duration_ms, features, prediction,
          label, probabilities, error_code, payload_code, caller, trace_id)
     SELECT r.request_id, make_timestamptz(2000, 1, 1, 0, 0, 0, 'UTC') + r.logged_at * interval '1 microsecond',
         r.service_name, r.model_name, r.model_version, r.served_as, r.status, r.duration_ms, r.features, r.prediction,
         r.label, r.probabilities, r.error_code, r.payload_code, r.caller, r.trace_id
     FROM jsonb_to_recordset($1::jsonb) AS r (request_id uuid, logged_at float8, service_name text, model_name text,
         model_version text, served_as text, status text, duration_ms float8, features jsonb, prediction float8, label text,
         probabilities float8[], error_code text, payload_code text, caller text, trace_id text)",
);

/// Records that go into one INSERT.
const TOGETHER: usize = 500;

/// Hears what becomes of the transaction.
pub fn hear(moment: Moment) {
    let done = DONE.with(|done| done.hear(moment));
    if !done.is_empty() {
        let (written, given_up): (Vec<_>, Vec<_>) = done.into_iter().partition(|(_, is_written)| *is_written);
        pool::pool().free(written.into_iter().map(|(slot, _)| slot));
        pool::pool().give_up(given_up.into_iter().map(|(slot, _)| slot));
    }
}

/// A record in its slot.
struct Waiting {
    slot: usize,
    text: String,
    explain: bool,
}

/// What of a record says where it goes.
#[derive(Deserialize)]
struct Dated {
    logged_at: String,
    #[serde(default)]
    explain: bool,
}

/// Takes the records that were written last and are to be explained.
pub fn to_explain() -> Vec<String> {
    TO_EXPLAIN.take()
}

/// Writes this database's records down, and returns why some have to wait, if so. One session at a time.
pub fn write(schema: Schema) -> Option<Failure> {
    lock::exclusive(schema.registry(), Purpose::InferenceLog, "");
    TO_EXPLAIN.take();
    let done: BTreeSet<usize> = DONE.with(AtCommit::noted).into_iter().map(|(slot, _)| slot).collect();
    let today = partition::day(time::now());
    let mut days: BTreeMap<Day, Vec<Waiting>> = BTreeMap::new();
    for (slot, record) in pool::pool().look(process::database()) {
        if done.contains(&slot) {
            continue;
        }
        let text = String::from_utf8(record).unwrap_or_default();
        let dated = serde_json::from_str::<Dated>(&text).ok();
        let explain = dated.as_ref().is_some_and(|dated| dated.explain);
        let day = dated.and_then(|dated| dated.logged_at.parse().ok()).map(partition::day);
        match day.filter(|day| partition::is_kept(*day, today)) {
            Some(day) => days.entry(day).or_default().push(Waiting { slot, text, explain }),
            None => give_up(slot, "its day is kept no more, or cannot be read"),
        }
    }
    let wanted: Vec<Day> = days.keys().copied().collect();
    let missing = if wanted.is_empty() { vec![] } else { partition::make(schema, &wanted) };
    let mut waits = None;
    for (day, records) in days {
        // A partition of somebody's own may take them all the same.
        let is_missing = missing.iter().find(|(failed, _)| *failed == day).map(|(_, why)| why);
        for records in records.chunks(TOGETHER) {
            if let Err(why) = settle(schema, records, is_missing) {
                waits = Some(why);
                break;
            }
        }
    }
    waits
}

/// Writes records, or finds out by halves which of them the table refuses.
fn settle(schema: Schema, records: &[Waiting], is_missing: Option<&Failure>) -> Result<(), Failure> {
    let texts: Vec<&str> = records.iter().map(|record| record.text.as_str()).collect();
    let array = format!("[{}]", texts.join(","));
    match (attempt(|| schema.as_owner(|| INSERT.execute(schema, &[array.as_str().into()]))), is_missing, records) {
        (Ok(_), ..) => {
            DONE.with(|done| done.note(records.iter().map(|record| (record.slot, true))));
            let to_explain = records.iter().filter(|record| record.explain).map(|record| record.text.clone());
            TO_EXPLAIN.with_borrow_mut(|all| all.extend(to_explain));
        }
        (Err(_), Some(why), _) => return Err(why.clone()),
        (Err(why), None, _) if !why.is_about_values() => return Err(why),
        (Err(why), None, [record]) => give_up(record.slot, &why.message),
        (Err(_), None, _) => {
            let (first, second) = records.split_at(records.len() / 2);
            settle(schema, first, is_missing)?;
            settle(schema, second, is_missing)?;
        }
    }
    Ok(())
}

fn give_up(slot: usize, why: &str) {
    ereport!(
        PgLogLevel::LOG,
        PgSqlErrorCode::ERRCODE_DATA_EXCEPTION,
        format!("e2i_serve: a record of the inference log is given up: {why}")
    );
    DONE.with(|done| done.note([(slot, false)]));
}
