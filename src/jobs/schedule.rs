//! Jobs that the clock begins: a run is due, a worker is started as the role that made the schedule, and how it ended is written down.

use e2i_core::{Error, Kind, Result};
use serde_json::Value;

use crate::catalog::schema::Schema;
use crate::error::OrRaise;
use crate::jobs::asked::Asked;
use crate::jobs::run::{commit, guarded};
use crate::jobs::{Ended, attempt_table, workers};
use crate::pg::commits::Ground;
use crate::pg::lock::{Held, Purpose};
use crate::pg::query::Query;
use crate::pg::role;

const PUT: Query = Query::new(
    "INSERT INTO {ml}.ml_scoring_schedules (name, model, source_table, options, every, made_by, next_run)
     VALUES ($1, $2, $3, $4::jsonb, $5::interval, $6, coalesce($7, clock_timestamp()))
     ON CONFLICT (name) DO UPDATE SET model = excluded.model, source_table = excluded.source_table, options = excluded.options,
        every = excluded.every, next_run = excluded.next_run, status = 'waiting', error = NULL
     WHERE ml_scoring_schedules.made_by = excluded.made_by RETURNING id",
);
const DROP: Query = Query::new("DELETE FROM {ml}.ml_scoring_schedules WHERE name = $1");
const WHOSE: Query = Query::new("SELECT s.made_by FROM {ml}.ml_scoring_schedules s WHERE s.name = $1");
// A run that was due while nothing could be begun is made up for once; the next ones keep their time.
const DUE: Query = Query::new(
    "UPDATE {ml}.ml_scoring_schedules s SET last_run = clock_timestamp(), missed = s.missed + d.passed,
        next_run = s.next_run + (d.passed + 1) * s.every
     FROM (SELECT o.id, floor(extract(epoch FROM clock_timestamp() - o.next_run) / extract(epoch FROM o.every))::bigint AS passed
           FROM {ml}.ml_scoring_schedules o WHERE o.next_run <= clock_timestamp() AND o.status <> 'stopped') d
     WHERE s.id = d.id RETURNING s.id, s.name, s.made_by",
);
const READ: Query = Query::new(
    "SELECT s.name, s.model, s.source_table, s.options::text FROM {ml}.ml_scoring_schedules s WHERE s.id = $1",
);
const MISSED: Query = Query::new("UPDATE {ml}.ml_scoring_schedules SET missed = missed + 1 WHERE id = $1");
const STATUS: Query = Query::new(
    "UPDATE {ml}.ml_scoring_schedules s SET status = $2, error = $3,
        last_job = coalesce((SELECT max(j.id) FROM {ml}.ml_scoring_jobs j WHERE j.schedule = s.name), s.last_job)
     WHERE s.id = $1",
);

/// What is to be run, and how often.
pub struct Wanted<'w> {
    /// Its name.
    pub name: &'w str,
    /// What each run does.
    pub asked: &'w Asked,
    /// Its options as they were given.
    pub options: &'w Value,
    /// How often, an interval as text.
    pub every: &'w str,
    /// When first; now if not given.
    pub starting: Option<pgrx::prelude::TimestampWithTimeZone>,
}

/// Makes a schedule, or changes one of the caller's.
///
/// # Errors
/// Whatever would keep a run from being begun now; a name that is another role's; a role that cannot log in, as a worker does.
pub fn put(schema: Schema, wanted: &Wanted<'_>) -> Result<()> {
    let by = role::name(role::current());
    if !role::can_log_in(role::current()) {
        return Err(Error::new(Kind::Privilege, format!("role {by} cannot log in, and a run of the schedule would"))
            .with_hint(format!("ALTER ROLE {by} LOGIN; or make the schedule as a role that can.")));
    }
    let job = wanted.asked.job(schema)?;
    let options = wanted.options.to_string();
    let arguments = [
        wanted.name.into(),
        job.model.as_str().into(),
        job.source.name.as_str().into(),
        options.as_str().into(),
        wanted.every.into(),
        by.as_str().into(),
        wanted.starting.into(),
    ];
    let put = schema.as_owner(|| PUT.returning(schema, &arguments, |row| row.get::<i64>(1)));
    match put.is_empty() {
        false => Ok(()),
        true => Err(Error::new(Kind::Duplicate, format!("the schedule {:?} is another role's", wanted.name))
            .with_hint("Choose another name.")),
    }
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
    let due =
        DUE.returning(schema, &[], |row| Some((row.get::<i64>(1)?, row.get::<String>(2)?, row.get::<String>(3)?)));
    let mut failures = vec![];
    for (id, name, by) in due.into_iter().flatten() {
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

/// A run, in a worker that is connected as the schedule's role.
pub fn run(id: i64) {
    let Some(schema) = Schema::of_extension() else { return };
    let Some(held) = Held::take(schema.registry(), Purpose::Schedule, &id.to_string()) else {
        // The run before goes on.
        schema.as_owner(|| MISSED.execute(schema, &[id.into()]));
        return;
    };
    let read = guarded(|| asked(schema, id).or_raise());
    let ended = read.and_then(|asked| match asked {
        Some(asked) => {
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
    schema.as_owner(|| STATUS.execute(schema, &[id.into(), status.into(), error.as_deref().into()]));
    held.release();
}

fn asked(schema: Schema, id: i64) -> Result<Option<Asked>> {
    let read = schema.as_owner(|| {
        READ.select_latest(schema, &[id.into()], |row| {
            let text = |column| row.get::<String>(column).unwrap_or_default();
            (text(1), text(2), text(3), text(4))
        })
    });
    let Some((name, model, table, options)) = read.into_iter().next() else { return Ok(None) };
    let options: Value = serde_json::from_str(&options).unwrap_or_default();
    let table = crate::jobs::statements::found(&table)?
        .ok_or_else(|| Error::new(Kind::UnknownModel, format!("the table {table} does not exist")))?;
    Ok(Some(Asked { schedule: Some(name), ..Asked::of_options(&model, table.oid, &options)? }))
}
