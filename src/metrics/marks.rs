//! What of the counters stands in rows of metrics, written in the transaction of the rows: `ml_serving_marks`.
//!
//! While the server runs, the board knows. After a crash it comes from a file that may be older than the last rows; then the
//! marks say which calls are in rows already. A mark belongs to a place by its key and the time since when that counts, so those
//! of counters that were set back, or of the server that a standby came from, mean nothing.

use std::collections::HashMap;

use e2i_metrics::{Row, Tally};

use crate::catalog::schema::Schema;
use crate::metrics::{board, counter};
use crate::pg::query::Query;

const MARKS: Query = Query::new("SELECT m.key, m.since, m.tally FROM {ml}.ml_serving_marks m");
const WRITE: Query = Query::new(
    "INSERT INTO {ml}.ml_serving_marks AS m (key, since, tally)
     SELECT k.key, k.since, k.tally FROM unnest($1, $2, $3) AS k (key, since, tally)
     ON CONFLICT (key) DO UPDATE SET since = excluded.since, tally = excluded.tally",
);
const FORGET: Query = Query::new("DELETE FROM {ml}.ml_serving_marks m WHERE m.key <> ALL ($1)");

/// Tells the board what stands in tables, where it does not know. The caller holds the lock of the interval.
pub fn reconcile(schema: Schema) {
    let restored: Vec<Row> = counter::rows().into_iter().filter(|row| row.is_restored).collect();
    if restored.is_empty() {
        return;
    }
    let marks: HashMap<(Vec<u8>, i64), Tally> = schema
        .as_owner(|| {
            MARKS.select(schema, &[], |row| {
                let tally = Tally::from_bytes(&row.get::<Vec<u8>>(3)?)?;
                Some(((row.get::<Vec<u8>>(1)?, row.get::<i64>(2)?), tally))
            })
        })
        .into_iter()
        .flatten()
        .collect();
    board::alone(|board| {
        for row in &restored {
            board.reconcile(row.place, marks.get(&(row.key.short(), row.since)));
        }
    });
}

/// Marks what is written with this transaction. Call with the owner's rights.
pub fn write(schema: Schema, rows: &[Row]) {
    // The counters of a session alone end with it.
    if !board::is_shared() {
        return;
    }
    let changed: Vec<&Row> = rows.iter().filter(|row| row.total != row.written).collect();
    if changed.is_empty() {
        return;
    }
    let keys: Vec<Vec<u8>> = changed.iter().map(|row| row.key.short()).collect();
    let since: Vec<i64> = changed.iter().map(|row| row.since).collect();
    let tallies: Vec<Vec<u8>> = changed.iter().map(|row| row.total.to_bytes()).collect();
    WRITE.execute(schema, &[keys.into(), since.into(), tallies.into()]);
}

/// Deletes the marks of what has no place any more.
pub fn forget(schema: Schema) {
    if !board::is_shared() {
        return;
    }
    let keys: Vec<Vec<u8>> = counter::rows().iter().map(|row| row.key.short()).collect();
    schema.as_owner(|| FORGET.execute(schema, &[keys.into()]));
}
