//! Jobs that the clock begins: a run is due, a worker is started as the role that made the schedule, and how it ended is written down.

use e2i_clock::Times;
use e2i_core::{Error, Kind, Result};
use pgrx::pg_sys;
use pgrx::prelude::TimestampWithTimeZone;
use serde_json::Value;

use crate::catalog::schema::Schema;
use crate::error::OrRaise;
use crate::jobs::asked::Asked;
use crate::jobs::run::{commit, guarded};
use crate::jobs::{Ended, attempt_table, workers};
use crate::pg::commits::Ground;
use crate::pg::lock::{Held, Purpose};
use crate::pg::query::Query;
use crate::pg::{relation, role};

const PUT: Query = Query::new(
    "INSERT INTO {ml}.ml_scoring_schedules (name, model, source_table, options, every, made_by, next_run, cron, time_zone)
     VALUES ($1, $2, $3, $4::jsonb, $5::interval, $6, coalesce($7, clock_timestamp()), $8, $9)
     ON CONFLICT (name) DO UPDATE SET model = excluded.model, source_table = excluded.source_table, options = excluded.options,
        every = excluded.every, next_run = excluded.next_run, made_at = clock_timestamp(), cron = excluded.cron, time_zone = excluded.time_zone,
        status = 'waiting', error = NULL
     WHERE ml_scoring_schedules.made_by = excluded.made_by RETURNING id",
);
const ONCE: Query = Query::new(
    "INSERT INTO {ml}.ml_scoring_schedules (name, model, source_table, options, made_by, next_run)
     VALUES ($1, $2, $3, $4::jsonb, $5, clock_timestamp())
     ON CONFLICT (name) DO UPDATE SET model = excluded.model, source_table = excluded.source_table, options = excluded.options,
        next_run = excluded.next_run, made_at = clock_timestamp(), status = 'waiting', error = NULL",
);
// What was asked for again meanwhile is run again.
const ONCE_ENDED: Query = Query::new(
    "UPDATE {ml}.ml_scoring_schedules SET next_run = 'infinity' WHERE id = $1 AND made_at = $2 AND every IS NULL AND cron IS NULL",
);
const ONCE_DONE: Query = Query::new(
    "DELETE FROM {ml}.ml_scoring_schedules WHERE id = $1 AND made_at = $2 AND every IS NULL AND cron IS NULL",
);
const DROP: Query = Query::new("DELETE FROM {ml}.ml_scoring_schedules WHERE name = $1");
const WHOSE: Query = Query::new("SELECT s.made_by FROM {ml}.ml_scoring_schedules s WHERE s.name = $1");
// A run that was due while nothing could be begun is made up for once; the next ones keep their time. The times of a cron text are
// found after this. What is run once is gone then; it is begun again if a crash has kept it from that.
const DUE: Query = Query::new(
    "UPDATE {ml}.ml_scoring_schedules s SET last_run = clock_timestamp(), missed = s.missed + d.passed,
        next_run = CASE WHEN s.every IS NULL THEN clock_timestamp() + interval '1 minute' ELSE s.next_run + (d.passed + 1) * s.every END
     FROM (SELECT o.id, o.next_run, coalesce(floor(extract(epoch FROM clock_timestamp() - o.next_run) / extract(epoch FROM o.every))::bigint, 0) AS passed
           FROM {ml}.ml_scoring_schedules o WHERE o.next_run <= clock_timestamp() AND o.status <> 'stopped') d
     WHERE s.id = d.id
     RETURNING s.id, s.name, s.made_by, s.cron, extract(epoch FROM date_trunc('second', d.next_run AT TIME ZONE s.time_zone))::bigint,
        extract(epoch FROM date_trunc('second', clock_timestamp() AT TIME ZONE s.time_zone))::bigint",
);
// What a clock on a wall shows: when it is to begin, and in which zone.
const WALL: Query = Query::new(
    "SELECT CASE WHEN isfinite(t.at) THEN extract(epoch FROM date_trunc('second', t.at AT TIME ZONE t.zone))::bigint END, t.zone
     FROM (SELECT coalesce($1, clock_timestamp()) AS at, coalesce($2, current_setting('TimeZone')) AS zone) t",
);
const INSTANT: Query = Query::new("SELECT (timestamp 'epoch' + $1 * interval '1 second') AT TIME ZONE $2");
const NEXT: Query = Query::new(
    "UPDATE {ml}.ml_scoring_schedules s SET next_run = (timestamp 'epoch' + $2 * interval '1 second') AT TIME ZONE s.time_zone, missed = s.missed + $3
     WHERE s.id = $1 RETURNING next_run > clock_timestamp()",
);
const READ: Query = Query::new(
    "SELECT s.name, s.model, s.source_table, s.options::text, s.made_at FROM {ml}.ml_scoring_schedules s WHERE s.id = $1",
);
const MISSED: Query = Query::new(
    "UPDATE {ml}.ml_scoring_schedules SET missed = missed + 1 WHERE id = $1 AND (every IS NOT NULL OR cron IS NOT NULL)",
);
const STATUS: Query = Query::new(
    "UPDATE {ml}.ml_scoring_schedules s SET status = $2, error = $3,
        last_job = coalesce((SELECT max(j.id) FROM {ml}.ml_scoring_jobs j WHERE j.schedule = s.name), s.last_job)
     WHERE s.id = $1",
);

/// When a schedule is due.
pub enum When {
    /// Every so long, an interval as text.
    Every(String),
    /// At the times of a cron text, in a time zone: the session's if not given.
    Cron {
        /// The text, which was read once.
        text: String,
        /// See above.
        time_zone: Option<String>,
    },
}

/// What is to be run, and how often.
pub struct Wanted<'w> {
    /// Its name.
    pub name: &'w str,
    /// What each run does.
    pub asked: &'w Asked,
    /// Its options as they were given.
    pub options: &'w Value,
    /// How often, or at which times.
    pub when: &'w When,
    /// When first; now if not given.
    pub starting: Option<TimestampWithTimeZone>,
}

/// Makes a schedule, or changes one of the caller's.
///
/// # Errors
/// Whatever would keep a run from being begun now; a name that is another role's; a role that cannot log in, as a worker does.
pub fn put(schema: Schema, wanted: &Wanted<'_>) -> Result<()> {
    let by = check_role("a run of the schedule would")?;
    let job = wanted.asked.job(schema)?;
    let options = wanted.options.to_string();
    let (mut every, mut cron, mut zone, mut first) = (None, None, None, wanted.starting);
    match wanted.when {
        When::Every(interval) => every = Some(interval.as_str()),
        When::Cron { text, time_zone } => {
            let (in_zone, at) = next_time(text, time_zone.as_deref(), wanted.starting)?;
            (cron, zone, first) = (Some(text.as_str()), Some(in_zone), at);
        }
    }
    let arguments = [
        wanted.name.into(),
        job.model.as_str().into(),
        job.source.name.as_str().into(),
        options.as_str().into(),
        every.into(),
        by.as_str().into(),
        first.into(),
        cron.into(),
        zone.as_deref().into(),
    ];
    let put = schema.as_owner(|| PUT.returning(schema, &arguments, |row| row.get::<i64>(1)));
    match put.is_empty() {
        false => Ok(()),
        true => Err(Error::new(Kind::Duplicate, format!("the schedule {:?} is another role's", wanted.name))
            .with_hint("Choose another name.")),
    }
}

/// The caller's role, which a worker can log in as.
///
/// # Errors
/// [`Kind::Privilege`] with what would, for one that cannot.
pub fn check_role(what: &str) -> Result<String> {
    let by = role::name(role::current());
    match role::can_log_in(role::current()) {
        true => Ok(by),
        false => Err(Error::new(Kind::Privilege, format!("role {by} cannot log in, and {what}"))
            .with_hint(format!("ALTER ROLE {by} LOGIN; or do it as a role that can."))),
    }
}

/// Has a table's stale scores made anew once this transaction is committed, with the caller's rights: by a schedule that is due at
/// once and gone when it has run.
pub fn once(schema: Schema, model: &str, source: &str, written: pg_sys::Oid, options: &Value) {
    let by = role::name(role::current());
    let column = options["targets"].as_object().and_then(|targets| targets.values().next()).and_then(Value::as_str);
    let written = relation::qualified(written).unwrap_or_default();
    let name = format!("rescore {written}.{} as {by}", column.unwrap_or_default());
    let options = options.to_string();
    let arguments = [name.as_str().into(), model.into(), source.into(), options.as_str().into(), by.as_str().into()];
    schema.as_owner(|| ONCE.execute(schema, &arguments));
}

/// The time zone of a cron text, and the first of its times from `starting` on, or after now.
fn next_time(
    cron: &str,
    time_zone: Option<&str>,
    starting: Option<TimestampWithTimeZone>,
) -> Result<(String, Option<TimestampWithTimeZone>)> {
    let home = pg_sys::Oid::from(pg_sys::PG_CATALOG_NAMESPACE);
    let read =
        WALL.select_latest(home, &[starting.into(), time_zone.into()], |row| (row.get::<i64>(1), row.get::<String>(2)));
    let (wall, zone) = read.into_iter().next().unwrap_or_default();
    let zone = zone.unwrap_or_default();
    // One that never begins stays so.
    let Some(wall) = wall else { return Ok((zone, starting)) };
    let wall = if starting.is_some() { wall.saturating_sub(1) } else { wall };
    let Some(next) = Times::parse(cron)?.after(wall) else { return Err(no_more(cron)) };
    let found = INSTANT.select_latest(home, &[next.into(), zone.as_str().into()], |row| row.get(1));
    Ok((zone, found.into_iter().flatten().next()))
}

fn no_more(cron: &str) -> Error {
    Error::new(Kind::BadOption, format!("cron {cron:?} means no time that is still to come"))
}

/// Removes one of the caller's.
///
/// # Errors
/// One that there is not, or that is another role's.
pub fn drop(schema: Schema, name: &str) -> Result<()> {
    let by = schema.as_owner(|| WHOSE.select_latest(schema, &[name.into()], |row| row.get::<String>(1)));
    let Some(by) = by.into_iter().flatten().next() else {
        return Err(Error::new(Kind::UnknownModel, format!("there is no schedule {name:?}"))
            .with_hint("SELECT name FROM e2i_scoring_schedules;"));
    };
    if !role::may_act_as(&by) {
        return Err(Error::new(Kind::Privilege, format!("the schedule {name:?} is {by}'s")));
    }
    schema.as_owner(|| DROP.execute(schema, &[name.into()]));
    Ok(())
}

/// Starts what is due, in the transaction of a worker that may do anything; what could not be started.
pub fn start_due(schema: Schema) -> Vec<String> {
    let due = DUE.returning(schema, &[], |row| {
        let times = row.get::<String>(4).zip(row.get::<i64>(5)).zip(row.get::<i64>(6));
        Some((row.get::<i64>(1)?, row.get::<String>(2)?, row.get::<String>(3)?, times))
    });
    let mut failures = vec![];
    for (id, name, by, times) in due.into_iter().flatten() {
        if let Some(((cron, last), now)) = times {
            failures.extend(find_next(schema, id, &cron, last, now).err().map(|error| error.message().to_owned()));
        }
        let role = role::find(&by);
        let stopped = match role {
            None => Some(format!("role {by:?} does not exist")),
            Some(role) if !role::can_log_in(role) => Some(format!("role {by:?} cannot log in")),
            Some(role) => {
                if !workers::start_run(role, id) {
                    MISSED.execute(schema, &[id.into()]);
                    failures.push(format!(
                        "no background worker is free for the schedule {name:?}; raise max_worker_processes"
                    ));
                }
                None
            }
        };
        if let Some(why) = stopped {
            STATUS.execute(schema, &[id.into(), "stopped".into(), why.as_str().into()]);
            failures.push(format!("the schedule {name:?} is stopped: {why}"));
        }
    }
    failures
}

/// Writes down when a schedule of a cron text is due next, and how many of its times have passed since the one that is made up for.
fn find_next(schema: Schema, id: i64, cron: &str, last: i64, now: i64) -> Result<()> {
    let times = Times::parse(cron)?;
    let (mut next, mut passed) = times.since(last, now);
    // Where clocks go back, a time may have passed before it comes.
    for _ in 0..100 {
        let Some(wall) = next else { return Err(no_more(cron)) };
        let missed = i64::try_from(std::mem::take(&mut passed)).unwrap_or(i64::MAX);
        let arguments = [id.into(), wall.into(), missed.into()];
        if NEXT.returning(schema, &arguments, |row| row.get::<bool>(1)) == [Some(true)] {
            break;
        }
        next = times.after(wall);
    }
    Ok(())
}

/// A run, in a worker that is connected as the schedule's role.
pub fn run(id: i64) {
    let Some(schema) = Schema::of_extension() else { return };
    let Some(held) = Held::take(schema.registry(), Purpose::Schedule, &id.to_string()) else {
        // The run before goes on.
        schema.as_owner(|| MISSED.execute(schema, &[id.into()]));
        return;
    };
    let read = guarded(|| asked(schema, id).or_raise());
    let mut made_at = None;
    let ended = read.and_then(|read| match read {
        Some((asked, at)) => {
            made_at = at;
            schema.as_owner(|| STATUS.execute(schema, &[id.into(), "running".into(), None::<&str>.into()]));
            commit(Ground::Worker)?;
            attempt_table(schema, &asked, Ground::Worker)
        }
        None => Ok(Ended::Done),
    });
    let (status, error) = match ended {
        Ok(_) => ("waiting", None),
        Err(caught) => {
            Ground::Worker.roll_back();
            let (code, message) = caught.said();
            // Rights that are gone do not come back by themselves.
            (if code == "42501" { "stopped" } else { "failed" }, Some(message))
        }
    };
    schema.as_owner(|| {
        STATUS.execute(schema, &[id.into(), status.into(), error.as_deref().into()]);
        let once = if error.is_none() { &ONCE_DONE } else { &ONCE_ENDED };
        once.execute(schema, &[id.into(), made_at.into()])
    });
    held.release();
}

/// What a schedule does, and when it was made.
fn asked(schema: Schema, id: i64) -> Result<Option<(Asked, Option<TimestampWithTimeZone>)>> {
    let read = schema.as_owner(|| {
        READ.select_latest(schema, &[id.into()], |row| {
            let text = |column| row.get::<String>(column).unwrap_or_default();
            (text(1), text(2), text(3), text(4), row.get::<TimestampWithTimeZone>(5))
        })
    });
    let Some((name, model, table, options, made_at)) = read.into_iter().next() else { return Ok(None) };
    let options: Value = serde_json::from_str(&options).unwrap_or_default();
    let table = crate::jobs::statements::found(&table)?
        .ok_or_else(|| Error::new(Kind::UnknownModel, format!("the table {table} does not exist")))?;
    let asked = Asked { schedule: Some(name), ..Asked::of_options(&model, table.oid, &options)? };
    Ok(Some((asked, made_at)))
}
