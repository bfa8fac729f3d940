//! Scoring jobs: a table's rows scored, or explained ([`reasons`]), batch by batch, each batch in a transaction of its own with what the ledger says of it.
//!
//! [`asked`] makes of a call's options a [`job`]; [`claim`] keeps others from its columns; [`run`] is the loop, [`statements`] what it
//! has the server do as the caller, [`ledger`] what it writes down as the extension's owner. Upon that rests the promise that no row
//! is lost or scored twice: rows and ledger are committed together, and a part of a job moves on only from where it was.
//!
//! What may enter: when which rows are scored, and what is remembered of it. What may not: how a row is scored, which the scoring
//! functions know.

pub mod asked;
mod background;
mod claim;
pub mod job;
mod ledger;
mod pace;
mod reasons;
mod run;
pub mod schedule;
mod source;
mod statements;
pub mod targets;
mod workers;

use e2i_core::{Error, Kind, Result};
use pgrx::prelude::*;

use crate::catalog::schema::Schema;
use crate::error::OrRaise;
use crate::jobs::asked::{Asked, raised};
use crate::jobs::claim::Claims;
use crate::jobs::job::{Job, Part};
use crate::jobs::run::{Caught, Ended, commit, guarded};
use crate::pg::commits::Ground;
use crate::pg::role;
use crate::settings;

/// Scores a table as asked: begins a job or goes on with one, and raises what ends it before its time.
pub fn score_table(schema: Schema, asked: &Asked, ground: Ground) {
    match attempt_table(schema, asked, ground) {
        Ok(_) => {}
        Err(caught) => caught.raise(),
    }
}

/// The same, with what ends it before its time as a value.
fn attempt_table(schema: Schema, asked: &Asked, ground: Ground) -> std::result::Result<Ended, Caught> {
    let (mut job, claims) = raised(|| {
        let job = asked.job(schema)?;
        let claims = Claims::take(&job)?;
        Ok((job, claims))
    })?;
    let ended = raised(|| begin(&mut job, asked)).and_then(|parts| {
        commit(ground)?;
        let ended = score(&mut job, parts, ground).and_then(|ended| {
            if ended == Ended::Done && job.options.created {
                raised(|| job.complete())?;
            }
            Ok(ended)
        });
        conclude(&job, &ended, ground);
        ended
    });
    claims.release();
    if let Ok(Ended::Cancelled) = ended {
        return raised(|| {
            Err(Error::new(Kind::Interrupted, format!("job {} was cancelled", job.id))
                .with_hint("The same call goes on where it stopped."))
        });
    }
    ended
}

fn score(job: &mut Job, parts: Vec<Part>, ground: Ground) -> std::result::Result<Ended, Caught> {
    if job.options.workers > 1
        && let Some(ended) = workers::lead(job, &parts, ground)
    {
        if ended? == Ended::Cancelled {
            return Ok(Ended::Cancelled);
        }
        // What no worker was to be had for.
        let left = guarded(|| ledger::found(job.schema, job.id).map(|(_, parts)| parts).or_raise())?;
        return alone(job, left, ground);
    }
    alone(job, parts, ground)
}

fn alone(job: &mut Job, parts: Vec<Part>, ground: Ground) -> std::result::Result<Ended, Caught> {
    for (number, part) in parts.into_iter().enumerate() {
        if run::run(job, number, part, ground)? == Ended::Cancelled {
            return Ok(Ended::Cancelled);
        }
    }
    Ok(Ended::Done)
}

/// Finds a job to go on with, or writes down a new one.
///
/// # Errors
/// A role that cannot have workers.
fn begin(job: &mut Job, asked: &Asked) -> Result<Vec<Part>> {
    if job.options.workers > 1 && !role::can_log_in(role::current()) {
        let message = format!("role {} cannot log in, which workers do", job.by);
        return Err(Error::new(Kind::Privilege, message).with_hint("workers => 1"));
    }
    if let Some(days) = settings::scoring_job_retention_days() {
        ledger::forget(job.schema, days);
    }
    // Of a schedule's, only what nobody has ended: each of its runs is to score all rows. And not into a table that is there since now.
    let is_new = job.options.created;
    let goes_on = |found: &ledger::Unfinished| {
        !asked.restart
            && !is_new
            && found.options.explains == job.options.explains
            && (asked.schedule.is_none() || found.status == "running")
    };
    if let Some(mut found) = ledger::unfinished(job).filter(goes_on) {
        job.id = found.id;
        job.options.created |= found.options.created;
        found.parts = found.parts.into_iter().flat_map(|part| split(job, part)).collect();
        let total = match job.estimate() {
            Some(total) => total.max(found.handled),
            None => found.handled + count(job, &found.parts),
        };
        ledger::resume(job, found.handled, total, &found.parts);
        notice!("job {} goes on: {} of {total} rows are behind it", job.id, found.handled);
        return Ok(found.parts);
    }
    if !is_new && ledger::is_half_made(job) {
        // Another job's, which will not go on with it.
        job.complete()?;
    }
    let parts = match job.last_key() {
        None => vec![],
        Some(upto) => split(job, Part { after: None, upto, reached: None, ended: false }),
    };
    let total = job.estimate().unwrap_or_else(|| count(job, &parts));
    job.id = ledger::insert(job, &parts, total);
    ledger::supersede(job);
    Ok(parts)
}

/// Rows that are left of some parts.
fn count(job: &Job, parts: &[Part]) -> i64 {
    parts.iter().filter(|part| !part.ended).map(|part| job.count(part.from(), Some(&part.upto))).sum()
}

/// What is left of a part, in as many parts as there are workers.
fn split(job: &Job, part: Part) -> Vec<Part> {
    let workers = job.options.workers as u64;
    if part.ended || workers < 2 {
        return vec![part];
    }
    let each = job.keys_between(part.from(), &part.upto).div_ceil(workers);
    let mut parts: Vec<Part> = vec![];
    let mut after = part.from().cloned();
    while (parts.len() as u64) < workers - 1
        && each > 0
        && let Some(upto) = job.key_at(after.as_ref(), &part.upto, each).filter(|key| *key != part.upto)
    {
        parts.push(Part { after: after.replace(upto.clone()), upto, reached: None, ended: false });
    }
    parts.push(Part { after, upto: part.upto, reached: None, ended: false });
    parts
}

/// Writes down how a job has ended. Where that cannot be written, it is found without a process.
fn conclude(job: &Job, ended: &std::result::Result<Ended, Caught>, ground: Ground) {
    let said = ended.as_ref().err().map(Caught::said);
    let error = said.as_ref().map(|(code, message)| (code.as_str(), message.as_str()));
    let status = match ended {
        Ok(Ended::Done) => "finished",
        Ok(Ended::Cancelled) => "cancelled",
        Err(caught) if caught.is_cancel() => "interrupted",
        Err(_) => "failed",
    };
    let written = guarded(|| {
        ledger::end(job.schema, job.id, status, error);
    });
    if written.is_err() || commit(ground).is_err() {
        ground.roll_back();
    }
}

/// Has a job end after its batch; its status then.
///
/// # Errors
/// A job that there is not, or that is another role's.
pub fn cancel(schema: Schema, id: i64) -> Result<String> {
    let unknown = || {
        Error::new(Kind::UnknownModel, format!("there is no scoring job {id}"))
            .with_hint("SELECT job, status FROM e2i_scoring_progress;")
    };
    let (status, by, is_alive) = ledger::look(schema, id).ok_or_else(unknown)?;
    if !role::may_act_as(&by) {
        return Err(
            Error::new(Kind::Privilege, format!("scoring job {id} is {by}'s")).with_hint(format!("SET ROLE {by};"))
        );
    }
    let wanted =
        if is_alive && matches!(status.as_str(), "running" | "cancelling") { "cancelling" } else { "cancelled" };
    Ok(ledger::cancel(schema, id, wanted).unwrap_or(status))
}
