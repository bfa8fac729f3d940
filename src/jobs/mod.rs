//! Scoring jobs: a table's rows scored batch by batch, each batch in a transaction of its own with what the ledger says of it.
//!
//! [`asked`] makes of a call's options a [`job`]; [`claim`] keeps others from its columns; [`run`] is the loop, [`statements`] what it
//! has the server do as the caller, [`ledger`] what it writes down as the extension's owner. Upon that rests the promise that no row
//! is lost or scored twice: rows and ledger are committed together, and a part of a job moves on only from where it was.
//!
//! What may enter: when which rows are scored, and what is remembered of it. What may not: how a row is scored, which the scoring
//! functions know.

pub mod asked;
mod claim;
pub mod job;
mod ledger;
mod pace;
mod run;
mod source;
mod statements;
pub mod targets;

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
    let mut job = asked.job(schema).or_raise();
    let claims = Claims::take(&job).or_raise();
    let ended = raised(|| Ok(begin(&mut job, asked))).and_then(|parts| {
        commit(ground)?;
        let ended = score(&mut job, parts, ground);
        conclude(&job, &ended, ground);
        ended
    });
    claims.release();
    match ended {
        Ok(Ended::Done) => {}
        Ok(Ended::Cancelled) => crate::error::raise(
            &Error::new(Kind::Interrupted, format!("job {} was cancelled", job.id))
                .with_hint("The same call goes on where it stopped."),
        ),
        Err(caught) => caught.raise(),
    }
}

fn score(job: &mut Job, parts: Vec<Part>, ground: Ground) -> std::result::Result<Ended, Caught> {
    for (number, part) in parts.into_iter().enumerate() {
        if run::run(job, number, part, ground)? == Ended::Cancelled {
            return Ok(Ended::Cancelled);
        }
    }
    Ok(Ended::Done)
}

/// Finds a job to go on with, or writes down a new one.
fn begin(job: &mut Job, asked: &Asked) -> Vec<Part> {
    if let Some(days) = settings::scoring_job_retention_days() {
        ledger::forget(job.schema, days);
    }
    let unfinished = if asked.restart { None } else { ledger::unfinished(job) };
    if let Some(found) = unfinished {
        job.id = found.id;
        job.options.created |= found.options.created;
        let open = found.parts.iter().filter(|part| !part.ended);
        let left: i64 = open.map(|part| job.count(part.from(), Some(&part.upto))).sum();
        ledger::resume(job, found.handled, found.handled + left, &found.parts);
        notice!("job {} goes on: {} of {} rows are behind it", job.id, found.handled, found.handled + left);
        return found.parts;
    }
    let parts = match job.last_key() {
        None => vec![],
        Some(upto) => vec![Part { after: None, upto, reached: None, ended: false }],
    };
    let total = parts.iter().map(|part| job.count(part.from(), Some(&part.upto))).sum();
    job.id = ledger::insert(job, &parts, total);
    ledger::supersede(job);
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
