//! The rows of `ml_scoring_jobs` and `ml_scoring_job_errors`: what was begun, how far it is. Written with the owner's rights, in the
//! transaction that it tells of.

use e2i_core::{Error, Kind, Result, Targets};
use serde_json::Value;

use crate::catalog::schema::Schema;
use crate::jobs::job::{Job, Options, Part, RowError, Tally};
use crate::jobs::statements;
use crate::pg::query::Query;

const INSERT: Query = Query::new(
    "INSERT INTO {ml}.ml_scoring_jobs (model, model_name, model_version, source_table, target_table, targets, key, condition, options,
        parts, total, started_by, schedule, pid)
     VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7, $8, $9::jsonb, $10::jsonb, $11, $12, $13, pg_backend_pid()) RETURNING id",
);
// The latest one decides: what came after it has written the same columns.
const UNFINISHED: Query = Query::new(
    "SELECT j.id, j.parts::text, j.done + j.failed + j.blocked + j.skipped, j.model_name, j.model_version, j.options::text, j.status, j.schedule
     FROM {ml}.ml_scoring_jobs j
     WHERE j.source_table = $1 AND j.target_table = $2 AND j.targets = $3::jsonb AND j.key = $4 AND j.condition IS NOT DISTINCT FROM $5
       AND j.started_by = $6 AND (j.model_name, j.model_version) = ($7, $8)
       AND j.status IN ('running', 'cancelling', 'failed', 'interrupted', 'cancelled')
     ORDER BY j.id DESC LIMIT 1",
);
const RESUME: Query = Query::new(
    "UPDATE {ml}.ml_scoring_jobs SET status = 'running', resumed_at = clock_timestamp(), resumed_from = $2, total = $3, options = $4::jsonb,
        parts = $5::jsonb, updated_at = clock_timestamp(), ended_at = NULL, pid = pg_backend_pid(), error = NULL, error_code = NULL,
        rate = NULL, estimated_end = NULL, schedule = $6
     WHERE id = $1",
);
const SUPERSEDE: Query = Query::new(
    "UPDATE {ml}.ml_scoring_jobs j SET status = 'superseded', ended_at = coalesce(j.ended_at, clock_timestamp()), pid = NULL
     WHERE j.target_table = $1 AND j.id <> $2 AND j.status IN ('running', 'cancelling', 'failed', 'interrupted', 'cancelled')
       AND EXISTS (SELECT FROM jsonb_each_text(j.targets) t WHERE t.value = ANY ($3))",
);
const HALF_MADE: Query = Query::new(
    "SELECT EXISTS (SELECT FROM {ml}.ml_scoring_jobs j WHERE j.target_table = $1 AND j.options @> '{\"created\": true}'
        AND j.status NOT IN ('finished', 'superseded'))",
);
const ADVANCE: Query = Query::new(
    "UPDATE {ml}.ml_scoring_jobs j SET parts = jsonb_set(j.parts, ARRAY[$2::text], $4::jsonb), done = j.done + $5, written = j.written + $6,
        failed = j.failed + $7, blocked = j.blocked + $8, skipped = j.skipped + $9, retried = j.retried + $10, batches = j.batches + 1,
        model_version = $11, total = greatest(j.total, h.handled), updated_at = clock_timestamp(), rate = h.rate,
        estimated_end = CASE WHEN h.rate > 0 AND j.total - h.handled < 1e9 * h.rate
            THEN clock_timestamp() + greatest(0, j.total - h.handled) / h.rate * interval '1 second' END
     FROM (SELECT i.id, i.done + i.failed + i.blocked + i.skipped + $5 + $7 + $8 + $9 AS handled,
               (i.done + i.failed + i.blocked + i.skipped + $5 + $7 + $8 + $9 - i.resumed_from)
                   / greatest(0.001, extract(epoch FROM clock_timestamp() - i.resumed_at)::float8) AS rate
           FROM {ml}.ml_scoring_jobs i WHERE i.id = $1) h
     WHERE j.id = $1 AND h.id = j.id AND j.parts -> $2 = $3::jsonb
     RETURNING j.status, h.handled, j.total, j.failed, h.rate",
);
const END: Query = Query::new(
    "UPDATE {ml}.ml_scoring_jobs SET status = $2, error_code = $3, error = $4, ended_at = clock_timestamp(), updated_at = clock_timestamp(),
        estimated_end = NULL, pid = NULL, total = CASE WHEN $2 = 'finished' THEN done + failed + blocked + skipped ELSE total END
     WHERE id = $1 AND status IN ('running', 'cancelling')",
);
const ERRORS: Query = Query::new(
    "INSERT INTO {ml}.ml_scoring_job_errors (job, key, error_code, feature, value, message, is_blocked)
     SELECT $1, ARRAY(SELECT jsonb_array_elements_text(e -> 'key')), e ->> 'code', e ->> 'feature', e ->> 'value', e ->> 'message',
         (e ->> 'blocked')::boolean
     FROM jsonb_array_elements($2::jsonb) WITH ORDINALITY AS t (e, n) ORDER BY n",
);
const RIVAL: Query = Query::new(
    "SELECT j.id, j.started_by FROM {ml}.ml_scoring_jobs j
     WHERE j.target_table = $1 AND j.status IN ('running', 'cancelling') AND EXISTS (SELECT FROM jsonb_each_text(j.targets) t WHERE t.value = $2)
     ORDER BY j.id DESC LIMIT 1",
);
const OF: Query = Query::new(
    "SELECT j.status, j.started_by, EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = j.pid) FROM {ml}.ml_scoring_jobs j WHERE j.id = $1",
);
const CANCEL: Query = Query::new(
    "UPDATE {ml}.ml_scoring_jobs SET status = $2, ended_at = CASE WHEN $2 = 'cancelled' THEN clock_timestamp() END, updated_at = clock_timestamp()
     WHERE id = $1 AND status IN ('running', 'cancelling', 'failed', 'interrupted') RETURNING status",
);
const NOTE: Query = Query::new(
    "UPDATE {ml}.ml_scoring_jobs SET error_code = $2, error = $3 WHERE id = $1 AND status IN ('running', 'cancelling') AND error IS NULL",
);
const STANDING: Query = Query::new(
    "SELECT j.status, j.done + j.failed + j.blocked + j.skipped, j.total, j.failed, j.rate, j.error_code, j.error
     FROM {ml}.ml_scoring_jobs j WHERE j.id = $1",
);
const FOUND: Query = Query::new(
    "SELECT j.model, j.model_name || ':' || j.model_version, j.source_table, j.target_table, j.targets::text, j.key, j.condition, j.options::text,
        j.parts::text, j.started_by, j.schedule FROM {ml}.ml_scoring_jobs j WHERE j.id = $1",
);
const FORGET: Query = Query::new(
    "DELETE FROM {ml}.ml_scoring_jobs WHERE ended_at < now() - $1 * interval '1 day' AND status NOT IN ('running', 'cancelling')",
);
const FORGET_ERRORS: Query = Query::new(
    "DELETE FROM {ml}.ml_scoring_job_errors e WHERE NOT EXISTS (SELECT FROM {ml}.ml_scoring_jobs j WHERE j.id = e.job)",
);

/// A job that was not finished.
pub struct Unfinished {
    /// Its number.
    pub id: i64,
    /// Its ranges of keys.
    pub parts: Vec<Part>,
    /// Rows behind it.
    pub handled: i64,
    /// Its options.
    pub options: Options,
    /// How it ended; `running` for one whose process is gone.
    pub status: String,
}

/// How a job stands after a batch.
pub struct Standing {
    /// Whether somebody wants it to end.
    pub is_cancelled: bool,
    /// Rows behind it, of how many.
    pub handled: i64,
    /// See above.
    pub total: i64,
    /// Those that could not be scored.
    pub failed: i64,
    /// Rows a second.
    pub rate: f64,
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn columns(job: &Job) -> Vec<String> {
    job.targets.iter().map(|(_, column)| column.to_owned()).collect()
}

fn key_names(job: &Job) -> Vec<String> {
    job.key.iter().map(|column| column.name.clone()).collect()
}

/// A job of the same kind that was not finished, which nobody runs.
pub fn unfinished(job: &Job) -> Option<Unfinished> {
    let targets = json(&job.targets.document());
    let arguments = [
        job.source.name.as_str().into(),
        job.target_name().into(),
        targets.as_str().into(),
        key_names(job).into(),
        job.condition.as_deref().into(),
        job.by.as_str().into(),
        job.model_name().into(),
        job.model_version().into(),
    ];
    let found = job.schema.as_owner(|| {
        UNFINISHED.select_latest(job.schema, &arguments, |row| {
            let text = |column| row.get::<String>(column).unwrap_or_default();
            Some(Unfinished {
                id: row.get(1)?,
                parts: serde_json::from_str(&text(2)).ok()?,
                handled: row.get(3).unwrap_or(0),
                options: serde_json::from_str(&text(6)).ok()?,
                status: text(7),
            })
        })
    });
    found.into_iter().flatten().next()
}

/// A new job; its number.
pub fn insert(job: &Job, parts: &[Part], total: i64) -> i64 {
    let (targets, options, parts) = (json(&job.targets.document()), json(&job.options), json(&parts));
    let arguments = [
        job.model.as_str().into(),
        job.model_name().into(),
        job.model_version().into(),
        job.source.name.as_str().into(),
        job.target_name().into(),
        targets.as_str().into(),
        key_names(job).into(),
        job.condition.as_deref().into(),
        options.as_str().into(),
        parts.as_str().into(),
        total.into(),
        job.by.as_str().into(),
        job.schedule.as_deref().into(),
    ];
    let inserted = job.schema.as_owner(|| INSERT.returning(job.schema, &arguments, |row| row.get::<i64>(1)));
    inserted.into_iter().flatten().next().unwrap_or(0)
}

/// One that goes on.
pub fn resume(job: &Job, handled: i64, total: i64, parts: &[Part]) {
    let (options, parts) = (json(&job.options), json(&parts));
    let arguments = [
        job.id.into(),
        handled.into(),
        total.into(),
        options.as_str().into(),
        parts.as_str().into(),
        job.schedule.as_deref().into(),
    ];
    job.schema.as_owner(|| RESUME.execute(job.schema, &arguments));
}

/// What was not finished before it, and wrote the same columns, will not be.
pub fn supersede(job: &Job) {
    let arguments = [job.target_name().into(), job.id.into(), columns(job).into()];
    job.schema.as_owner(|| SUPERSEDE.execute(job.schema, &arguments));
}

/// Whether the table that is written was made by a job that has not finished it.
pub fn is_half_made(job: &Job) -> bool {
    let found = job
        .schema
        .as_owner(|| HALF_MADE.select_latest(job.schema, &[job.target_name().into()], |row| row.get::<bool>(1)));
    found.into_iter().flatten().next().unwrap_or(false)
}

/// A part of a job goes from one range to the next; `None` where another process has moved it since.
pub fn advance(job: &Job, number: usize, from: &Part, to: &Part, tally: &Tally) -> Option<Standing> {
    let (from, to) = (json(from), json(to));
    let arguments = [
        job.id.into(),
        i32::try_from(number).unwrap_or_default().into(),
        from.as_str().into(),
        to.as_str().into(),
        tally.done.into(),
        tally.written.into(),
        tally.failed.into(),
        tally.blocked.into(),
        tally.skipped.into(),
        tally.retried.into(),
        job.model_version().into(),
    ];
    let moved = job.schema.as_owner(|| {
        ADVANCE.returning(job.schema, &arguments, |row| Standing {
            is_cancelled: row.get::<String>(1).as_deref() == Some("cancelling"),
            handled: row.get(2).unwrap_or(0),
            total: row.get(3).unwrap_or(0),
            failed: row.get(4).unwrap_or(0),
            rate: row.get(5).unwrap_or(0.0),
        })
    });
    moved.into_iter().next()
}

/// It has ended.
pub fn end(schema: Schema, id: i64, status: &str, error: Option<(&str, &str)>) {
    let (code, message) = error.unzip();
    schema.as_owner(|| END.execute(schema, &[id.into(), status.into(), code.into(), message.into()]));
}

/// Keeps rows that could not be scored.
pub fn keep(job: &Job, errors: &[RowError]) {
    let document: Value = errors
        .iter()
        .map(|it| {
            serde_json::json!({"key": it.key, "code": it.code, "message": it.message, "feature": it.feature, "value": it.value,
                "blocked": it.is_blocked})
        })
        .collect();
    let document = document.to_string();
    job.schema.as_owner(|| ERRORS.execute(job.schema, &[job.id.into(), document.as_str().into()]));
}

/// The job that writes a column of a table now, and whose it is.
pub fn rival(schema: Schema, table: &str, column: &str) -> Option<(i64, String)> {
    let found = schema.as_owner(|| {
        RIVAL.select_latest(schema, &[table.into(), column.into()], |row| Some((row.get(1)?, row.get(2)?)))
    });
    found.into_iter().flatten().next()
}

/// The status of a job, whose it is, and whether a process runs it.
pub fn look(schema: Schema, id: i64) -> Option<(String, String, bool)> {
    let found = schema.as_owner(|| {
        OF.select_latest(schema, &[id.into()], |row| Some((row.get(1)?, row.get(2)?, row.get(3).unwrap_or(false))))
    });
    found.into_iter().flatten().next()
}

/// Has a job end; its status then.
pub fn cancel(schema: Schema, id: i64, status: &str) -> Option<String> {
    let found = schema.as_owner(|| CANCEL.returning(schema, &[id.into(), status.into()], |row| row.get::<String>(1)));
    found.into_iter().flatten().next()
}

/// What has ended a worker of a job, for who leads.
pub fn note(schema: Schema, id: i64, code: &str, message: &str) {
    schema.as_owner(|| NOTE.execute(schema, &[id.into(), code.into(), message.into()]));
}

/// How a job stands, and what has ended a worker of it: SQLSTATE and message.
pub fn standing(schema: Schema, id: i64) -> Option<(Standing, Option<(String, String)>)> {
    let found = schema.as_owner(|| {
        STANDING.select_latest(schema, &[id.into()], |row| {
            let standing = Standing {
                is_cancelled: row.get::<String>(1).as_deref() == Some("cancelling"),
                handled: row.get(2).unwrap_or(0),
                total: row.get(3).unwrap_or(0),
                failed: row.get(4).unwrap_or(0),
                rate: row.get(5).unwrap_or(0.0),
            };
            (standing, row.get(6).zip(row.get(7)))
        })
    });
    found.into_iter().next()
}

/// A job by its number, with its parts, as another process has begun it.
///
/// # Errors
/// One that is gone, or whose tables are.
pub fn found(schema: Schema, id: i64) -> Result<(Job, Vec<Part>)> {
    let gone = |what: String| Error::new(Kind::WrongState, format!("{what} of job {id} is gone"));
    let read = schema.as_owner(|| {
        FOUND.select_latest(schema, &[id.into()], |row| {
            let text = |column| row.get::<String>(column).unwrap_or_default();
            let names: Vec<Option<String>> = row.get(6).unwrap_or_default();
            let names: Vec<String> = names.into_iter().flatten().collect();
            ([text(1), text(2), text(3), text(4), text(5), text(8), text(9), text(10)], names, row.get(7), row.get(11))
        })
    });
    let Some(([model, version, source, target, targets, options, parts, by], names, condition, schedule)) =
        read.into_iter().next()
    else {
        return Err(gone("the row".to_owned()));
    };
    let document: Value = serde_json::from_str(&targets).unwrap_or_default();
    let is_into = source != target;
    let source = statements::found(&source)?.ok_or_else(|| gone(format!("the table {source}")))?;
    let into = match is_into {
        true => Some(statements::found(&target)?.ok_or_else(|| gone(format!("the table {target}")))?),
        false => None,
    };
    let key = source.key(Some(&names))?;
    let options: Options =
        serde_json::from_str(&options).map_err(|_| gone("a readable form of the options".to_owned()))?;
    let parts: Vec<Part> = serde_json::from_str(&parts).map_err(|_| gone("a readable form of the parts".to_owned()))?;
    let targets = match options.explains {
        None => Targets::parse(&document)?,
        Some(_) => Targets::of_reasons(),
    };
    let job =
        Job { schema, id, model, version, source, key, into, targets, condition, options, by, schedule, leader: None };
    Ok((job, parts))
}

/// Drops jobs that ended so many days ago.
pub fn forget(schema: Schema, days: i32) {
    schema.as_owner(|| {
        if FORGET.execute(schema, &[f64::from(days).into()]) > 0 {
            FORGET_ERRORS.execute(schema, &[]);
        }
    });
}
