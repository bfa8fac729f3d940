//! The loop: a batch, its place in the ledger and its errors in one transaction, and the next one.

use std::ffi::CString;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use e2i_core::{Error, Kind};
use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;
use pgrx::{PgTryBuilder, pg_sys};

use crate::error::{OrRaise, raise};
use crate::jobs::job::{Job, Part, Tally};
use crate::jobs::ledger::{self, Standing};
use crate::jobs::pace::Pace;
use crate::jobs::statements::in_own_memory;
use crate::pg::commits::{Ground, sleep};
use crate::pg::query::Query;
use crate::pg::{guc, process, sqlstate, subtransaction};

/// How often a batch is tried again that others were in the way of: with the pauses between, for half a minute.
const TRIES: i64 = 12;

/// Between two lines about the progress.
pub const NOTICES: Duration = Duration::from_secs(5);

/// Rows of a batch that is scored row by row.
const CAREFUL: u64 = 5_000;

const LAG: Query = Query::new("SELECT max(1000 * extract(epoch FROM r.replay_lag))::float8 FROM pg_stat_replication r");

/// An ERROR that ended a piece of work, to be raised again.
pub struct Caught {
    error: Box<CaughtError>,
    lost: Option<i32>,
}

impl Caught {
    fn of(error: Box<CaughtError>) -> Self {
        Self { error, lost: sqlstate::take_code() }
    }

    fn code(&self) -> PgSqlErrorCode {
        let (CaughtError::PostgresError(report)
        | CaughtError::ErrorReport(report)
        | CaughtError::RustPanic { ereport: report, .. }) = &*self.error;
        report.sql_error_code()
    }

    /// Its SQLSTATE and message.
    pub fn said(&self) -> (String, String) {
        let (CaughtError::PostgresError(report)
        | CaughtError::ErrorReport(report)
        | CaughtError::RustPanic { ereport: report, .. }) = &*self.error;
        let packed = self.lost.unwrap_or(report.sql_error_code() as i32);
        // The server packs six bits a character (MAKE_SQLSTATE).
        let code = (0..5).map(|at| char::from(b'0' + ((packed >> (6 * at)) & 0x3f) as u8)).collect();
        (code, report.message().to_owned())
    }

    /// Whether others were in the way, and the same may work in a moment.
    fn is_passing(&self) -> bool {
        matches!(
            self.code(),
            PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE
                | PgSqlErrorCode::ERRCODE_T_R_DEADLOCK_DETECTED
                | PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE
        )
    }

    /// Whether somebody wants the work to stop.
    pub fn is_cancel(&self) -> bool {
        self.code() == PgSqlErrorCode::ERRCODE_QUERY_CANCELED
    }

    /// Raises it again, as it was.
    pub fn raise(self) -> ! {
        if let Some(code) = self.lost {
            sqlstate::lose(code);
        }
        self.error.rethrow()
    }
}

/// Runs `f` in a subtransaction, which any ERROR undoes.
pub fn guarded<R>(f: impl FnOnce() -> R) -> Result<R, Caught> {
    subtransaction::caught(|| sqlstate::keeping(f)).map_err(Caught::of)
}

/// Commits; an ERROR has rolled everything back.
pub fn commit(ground: Ground) -> Result<(), Caught> {
    let committed = PgTryBuilder::new(AssertUnwindSafe(|| {
        sqlstate::keeping(|| ground.commit());
        Ok(())
    }))
    .catch_others(|error| Err(Caught::of(Box::new(error))))
    .execute();
    if committed.is_err() {
        ground.roll_back();
    }
    committed
}

/// How a part ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All its rows are done.
    Done,
    /// Somebody wants the job to end.
    Cancelled,
}

/// Scores a part of a job, batch by batch.
pub fn run(job: &mut Job, number: usize, mut part: Part, ground: Ground) -> Result<Ended, Caught> {
    let mut pace = Pace::new(job.options.batch_rows);
    let (mut is_careful, mut tries, mut said) = (false, 0, Instant::now());
    while !part.ended {
        let begun = Instant::now();
        let rows = if is_careful { pace.rows().min(CAREFUL) } else { pace.rows() };
        let scored = guarded(|| in_own_memory(|| batch(job, number, &part, rows, is_careful, tries)));
        let scored = scored.and_then(|scored| commit(ground).map(|()| scored)).inspect_err(|_| ground.roll_back());
        match scored {
            Ok(batch) => {
                if batch.is_full {
                    pace.measured(begun.elapsed());
                }
                is_careful = is_careful && batch.has_errors;
                tries = 0;
                part = batch.to;
                if batch.standing.is_cancelled || job.leader.is_some_and(|leader| !process::is_alive(leader)) {
                    return Ok(Ended::Cancelled);
                }
                guarded(|| {
                    show(job, &batch.standing);
                    if job.leader.is_none() && said.elapsed() >= NOTICES {
                        said = Instant::now();
                        tell(job, &batch.standing);
                    }
                    check_errors(job, &batch.standing);
                    if !part.ended {
                        rest(job);
                    }
                })?;
            }
            Err(caught) if caught.is_passing() && tries < TRIES => {
                tries += 1;
                guarded(|| sleep(Duration::from_millis(10 << tries.min(8))))?;
            }
            // Whether a row is to blame, or something else, is seen when each is looked at.
            Err(caught) if job.keeps_errors() && !is_careful && !caught.is_cancel() => is_careful = true,
            Err(caught) => return Err(caught),
        }
    }
    Ok(Ended::Done)
}

struct Batch {
    to: Part,
    standing: Standing,
    is_full: bool,
    has_errors: bool,
}

/// One batch, to be committed.
fn batch(job: &mut Job, number: usize, part: &Part, rows: u64, is_careful: bool, tries: i64) -> Batch {
    if job.options.follow {
        let is_into = job.into.is_some();
        job.version = Job::resolve(job.schema, &job.model, &job.source, &job.targets, is_into).or_raise();
    }
    // A batch is planned once and runs for half a second.
    let (to, is_full, mut tally, errors) = guc::with(&[(c"jit", c"off")], || {
        let last = job.key_at(part.from(), &part.upto, rows);
        let is_full = last.is_some();
        let upto = last.unwrap_or_else(|| part.upto.clone());
        let (tally, errors) = job.score(part.from(), &upto, is_careful);
        let ended = upto == part.upto;
        (Part { reached: Some(upto), ended, ..part.clone() }, is_full, tally, errors)
    });
    tally.retried = tries;
    if !errors.is_empty() {
        ledger::keep(job, &errors);
    }
    match ledger::advance(job, number, part, &to, &tally) {
        Some(standing) => Batch { to, standing, is_full, has_errors: !errors.is_empty() },
        None => raise(&moved(job, tally)),
    }
}

fn moved(job: &Job, tally: Tally) -> Error {
    let message = format!("job {} was moved by another process while this one scored {} rows", job.id, tally.done);
    Error::new(Kind::WrongState, message)
        .with_detail("Nothing of this batch is kept.")
        .with_hint("SELECT * FROM e2i_scoring_progress;")
}

/// Ends the job when too many rows could not be scored. What was done stays.
fn check_errors(job: &Job, standing: &Standing) {
    if let Some(most) = job.options.max_errors.filter(|most| standing.failed > *most) {
        let message =
            format!("job {}: {} rows could not be scored, more than max_errors, {most}", job.id, standing.failed);
        raise(&Error::new(Kind::BadOption, message).with_hint(format!(
            "SELECT * FROM e2i_scoring_errors WHERE job = {}; the same call with a larger max_errors goes on.",
            job.id
        )));
    }
}

/// Between two batches.
fn rest(job: &Job) {
    if job.options.pause > 0 {
        sleep(job.options.pause());
    }
    let Some(most) = job.options.max_lag else { return };
    let is_behind = || {
        let lag = job.schema.as_owner(|| LAG.select_latest(job.schema, &[], |row| row.get::<f64>(1)));
        lag.into_iter().flatten().next().is_some_and(|lag| lag > most as f64)
    };
    while is_behind() {
        sleep(Duration::from_millis(500));
    }
}

fn percent(standing: &Standing) -> i64 {
    if standing.total > 0 { (100 * standing.handled / standing.total).min(100) } else { 100 }
}

/// What `pg_stat_activity` shows instead of the call.
fn show(job: &Job, standing: &Standing) {
    let text = format!(
        "CALL {}: job {}, {} into {}, {}% ({} of {} rows)",
        job.procedure(),
        job.id,
        job.version,
        job.target_name(),
        percent(standing),
        standing.handled,
        standing.total
    );
    if let Ok(text) = CString::new(text) {
        // SAFETY: a C string, which is copied.
        unsafe { pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, text.as_ptr()) };
    }
}

/// A line for who waits.
pub fn tell(job: &Job, standing: &Standing) {
    let left = match standing.rate > 0.0 {
        true => format!(", {:.0} s left", (standing.total - standing.handled).max(0) as f64 / standing.rate),
        false => String::new(),
    };
    notice!(
        "job {}: {}%, {} of {} rows, {:.0} rows/s{left}",
        job.id,
        percent(standing),
        standing.handled,
        standing.total,
        standing.rate
    );
}
