//! The partitions of the log, one a day in UTC: made before they are needed, dropped when they are too old.
//!
//! Which days there are is read from the partitions' bounds, and where they are from the catalog: the extension may have been
//! moved, and somebody else may have a table of the name that a day's partition would have. Nothing here keeps readers of the
//! log waiting: a partition is attached, not created in place, and dropped only when nobody is reading.
//!
//! Runs in a task (`crate::worker::tasks`), which sees to it that names mean the server's own, times are in UTC, and dates ISO's.

use crate::catalog::schema::Schema;
use crate::pg::failure::{Failure, attempt};
use crate::pg::query::{Argument, Query, Row, execute_once};
use crate::settings;

/// A day in UTC: days since 2000-01-01.
pub type Day = i32;

const DAY: i64 = 86_400_000_000;

/// The day of a time in the server's microseconds.
pub fn day(time: i64) -> Day {
    Day::try_from(time.div_euclid(DAY)).unwrap_or(Day::MAX)
}

/// Whether records of a day are kept: not those that would be forgotten at once, nor those of a clock that went wrong.
pub fn is_kept(day: Day, today: Day) -> bool {
    let oldest = settings::inference_log_retention_days().map_or(Day::MIN, |days| today.saturating_sub(days));
    (oldest..=today.saturating_add(2)).contains(&day)
}

/// The log's partitions that have bounds; `$1` is the log.
macro_rules! partitions {
    () => {
        r"SELECT p.oid, p.relname, p.relkind, p.relowner = l.relowner AS is_ours, l.oid AS log,
              coalesce(b.bound[1]::timestamptz, '-infinity') AS since, coalesce(b.bound[2]::timestamptz, 'infinity') AS until
          FROM pg_class l JOIN pg_inherits i ON i.inhparent = l.oid JOIN pg_class p ON p.oid = i.inhrelid,
          LATERAL (SELECT regexp_match(pg_get_expr(p.relpartbound, p.oid),
              '^FOR VALUES FROM \((?:''([^'']+)''|MINVALUE)\) TO \((?:''([^'']+)''|MAXVALUE)\)$') AS bound) b
          WHERE l.oid = $1 AND b.bound IS NOT NULL"
    };
}

const MISSING: Query = Query::new(concat!(
    "SELECT d.day FROM unnest($2) AS d (day),
     LATERAL (SELECT timestamptz '2000-01-01 00:00:00+00' + make_interval(days => d.day) AS begun) b
     WHERE NOT EXISTS (SELECT FROM (",
    partitions!(),
    ") p WHERE p.since <= b.begun AND p.until > b.begun)"
));
const NAME: Query = Query::new(
    "SELECT n.name, to_char(d.since, 'YYYY-MM-DD'), to_char(d.since + interval '1 day', 'YYYY-MM-DD')
     FROM (SELECT timestamp '2000-01-01' + make_interval(days => $2) AS since) d, generate_series(1, 12) k,
     LATERAL (SELECT format('ml_inference_log_%s%s', to_char(d.since, 'YYYYMMDD'),
         CASE WHEN k > 9 THEN '_' || (1e15 * random())::bigint WHEN k > 1 THEN '_' || k END) AS name) n
     WHERE to_regclass(format('%s.%s', $1, n.name)) IS NULL AND to_regtype(format('%s.%s', $1, n.name)) IS NULL
     ORDER BY k LIMIT 1",
);
const WANTED: Query = Query::new(concat!(
    "SELECT EXISTS (SELECT FROM {ml}.ml_inference_log_policies) OR EXISTS (SELECT FROM (",
    partitions!(),
    ") p)"
));
const OLD: Query = Query::new(concat!(
    "SELECT p.oid::regclass::text, p.log::regclass::text FROM (",
    partitions!(),
    ") p
     WHERE p.relname ~ '^ml_inference_log_[0-9]{8}(_[0-9]+)?$' AND p.relkind = 'r' AND p.is_ours
       AND p.until <= date_trunc('day', now()) - make_interval(days => $2) ORDER BY p.until"
));

/// The log.
fn log(schema: Schema) -> Argument {
    schema.relation(c"ml_inference_log").into()
}

/// Makes the partitions of these days that are missing. For each that cannot be made, why.
pub fn make(schema: Schema, days: &[Day]) -> Vec<(Day, Failure)> {
    let tables = schema.quoted();
    let missing = schema
        .as_owner(|| MISSING.select_latest(schema, &[log(schema), days.to_vec().into()], |row| row.get::<Day>(1)));
    let made = |day: Day| attempt(|| schema.as_owner(|| make_one(schema, &tables, day)));
    missing.into_iter().flatten().filter_map(|day| made(day).err().map(|why| (day, why))).collect()
}

/// With the indexes of its own. Attaching a table lets others read and write meanwhile. Somebody may have taken the likely names;
/// the last ones that are tried cannot be guessed.
fn make_one(schema: Schema, tables: &str, day: Day) {
    let found = NAME.select(schema, &[tables.into(), day.into()], |row| {
        Some((row.get::<String>(1)?, row.get::<String>(2)?, row.get::<String>(3)?))
    });
    for (name, since, until) in found.into_iter().flatten() {
        execute_once(&format!(
            "CREATE TABLE {tables}.{name} (LIKE {tables}.ml_inference_log INCLUDING ALL EXCLUDING COMMENTS EXCLUDING IDENTITY \
             EXCLUDING INDEXES EXCLUDING STATISTICS)"
        ));
        for columns in ["service_name, logged_at", "request_id"] {
            execute_once(&format!("CREATE INDEX ON {tables}.{name} ({columns})"));
        }
        execute_once(&format!(
            "ALTER TABLE {tables}.ml_inference_log ATTACH PARTITION {tables}.{name} \
             FOR VALUES FROM ('{since} 00:00:00+00') TO ('{until} 00:00:00+00')"
        ));
    }
}

/// Whether there is a partition, or a service that wants one.
pub fn is_wanted(schema: Schema) -> bool {
    schema.as_owner(|| WANTED.select(schema, &[log(schema)], |row| row.get::<bool>(1))).pop().flatten().unwrap_or(false)
}

/// Drops the partitions that are older than `e2i_serve.inference_log_retention` and that nobody is reading; those that are
/// read are tried again another time. For each that cannot be dropped, its name and why.
///
/// What is dropped has the name that [`make`] gives, and is a plain table of the log's owner.
pub fn forget(schema: Schema) -> Vec<(String, Failure)> {
    let Some(days) = settings::inference_log_retention_days() else { return vec![] };
    let read = |row: &Row| Some((row.get::<String>(1)?, row.get::<String>(2)?));
    let old = schema.as_owner(|| OLD.select(schema, &[log(schema), days.into()], read));
    let mut failures = vec![];
    for (partition, log) in old.into_iter().flatten() {
        let dropped = attempt(|| {
            schema.as_owner(|| {
                // Who waits for a lock lets nobody else pass: whoever reads now is left in peace.
                execute_once(&format!("LOCK TABLE ONLY {log} IN ACCESS EXCLUSIVE MODE NOWAIT"));
                execute_once(&format!("LOCK TABLE ONLY {partition} IN ACCESS EXCLUSIVE MODE NOWAIT"));
                execute_once(&format!("DROP TABLE {partition}"));
            });
        });
        match dropped {
            Ok(()) => {}
            Err(why) if why.is_lock() => return failures,
            Err(why) => failures.push((partition, why)),
        }
    }
    failures
}
