//! Background workers are started and waited for: one for each part of a job that has several, and one for a run that the clock begins.
//! Each connects as the role whose rights the job has. Where one begins is `background`.

use std::time::{Duration, Instant};

use e2i_core::{Error, Kind};
use pgrx::bgworkers::{BackgroundWorkerBuilder, BgWorkerStartTime};
use pgrx::pg_sys;

use crate::catalog::schema::Schema;
use crate::error::{OrRaise, raise};
use crate::jobs::job::{Job, Part};
use crate::jobs::ledger;
use crate::jobs::run::{Caught, Ended, NOTICES, commit, guarded, run, tell};
use crate::pg::commits::{Ground, sleep};
use crate::pg::worker::Started;
use crate::pg::{process, role};

/// How often a job looks after its workers.
const ROUND: Duration = Duration::from_millis(200);

/// What a worker is started for.
pub enum Order {
    /// A part of a job, for a process.
    Part {
        /// Its number.
        job: i64,
        /// The part's.
        number: usize,
        /// The process.
        leader: i32,
    },
    /// A run of a schedule.
    Run {
        /// Its number.
        schedule: i64,
    },
}

impl Order {
    fn written(&self) -> String {
        match self {
            Self::Part { job, number, leader } => format!("part {job} {number} {leader}"),
            Self::Run { schedule } => format!("run {schedule} 0 0"),
        }
    }

    /// As it was written.
    pub fn read(words: &[&str]) -> Option<Self> {
        let [kind, first, second, third] = words else { return None };
        let first = first.parse().ok()?;
        match *kind {
            "part" => Some(Self::Part { job: first, number: second.parse().ok()?, leader: third.parse().ok()? }),
            "run" => Some(Self::Run { schedule: first }),
            _ => None,
        }
    }
}

fn start(role: pg_sys::Oid, order: &Order) -> Option<Started> {
    // SAFETY: reads a variable.
    let database = unsafe { pg_sys::MyDatabaseId };
    let extra = format!("{} {} {}", database.to_u32(), role.to_u32(), order.written());
    Started::new(
        BackgroundWorkerBuilder::new("e2i_serve scoring job")
            .set_type("e2i_serve scoring job")
            .set_library("e2i_serve")
            .set_function("e2i_scoring_worker")
            .enable_spi_access()
            .set_start_time(BgWorkerStartTime::RecoveryFinished)
            .set_restart_time(None)
            .set_extra(&extra),
    )
}

/// Starts a worker for a run of a schedule.
pub fn start_run(role: pg_sys::Oid, schedule: i64) -> bool {
    start(role, &Order::Run { schedule }).is_some()
}

/// A worker's part; what ends it is written down for who leads.
pub fn part(id: i64, number: usize, leader: i32) {
    let Some(schema) = Schema::of_extension() else { return };
    let found = guarded(|| ledger::found(schema, id).or_raise());
    let ended = found.and_then(|(mut job, parts)| {
        job.leader = Some(leader);
        match parts.into_iter().nth(number) {
            Some(part) => run(&mut job, number, part, Ground::Worker),
            None => Ok(Ended::Done),
        }
    });
    if let Err(caught) = ended {
        Ground::Worker.roll_back();
        let (code, message) = caught.said();
        if guarded(|| ledger::note(schema, id, &code, &message)).is_err() {
            Ground::Worker.roll_back();
        }
    }
}

/// Has workers score the parts of a job, each its own, and waits for them. `None` where none is to be had.
pub fn lead(job: &Job, parts: &[Part], ground: Ground) -> Option<Result<Ended, Caught>> {
    let open = parts.iter().enumerate().filter(|(_, part)| !part.ended).map(|(number, _)| number);
    let leader = process::pid();
    let workers: Vec<Started> =
        open.map_while(|number| start(role::current(), &Order::Part { job: job.id, number, leader })).collect();
    if workers.is_empty() {
        return None;
    }
    let ended = wait(job, &workers, ground);
    if ended.is_err() {
        workers.iter().for_each(Started::terminate);
        // What they write is for them to end; a batch that is under way is not kept. Not for ever: a worker may wait for a lock.
        for _ in 0..50 {
            if workers.iter().all(Started::has_ended) || guarded(|| sleep(ROUND / 2)).is_err() {
                break;
            }
        }
    }
    Some(ended)
}

fn wait(job: &Job, workers: &[Started], ground: Ground) -> Result<Ended, Caught> {
    let mut said = Instant::now();
    loop {
        let are_done = workers.iter().all(Started::has_ended);
        let standing = guarded(|| {
            let standing = ledger::standing(job.schema, job.id);
            if let Some((standing, _)) = &standing
                && said.elapsed() >= NOTICES
            {
                said = Instant::now();
                tell(job, standing);
            }
            standing
        })?;
        let Some((standing, failure)) = standing else { return Ok(Ended::Done) };
        if let Some((code, message)) = failure {
            guarded(|| {
                raise(&Error::new(Kind::WrongState, message).with_detail(format!("A worker met SQLSTATE {code}.")))
            })?;
        }
        if are_done {
            return Ok(if standing.is_cancelled { Ended::Cancelled } else { Ended::Done });
        }
        // No transaction is open for long, as the snapshot of one keeps rows from being vacuumed.
        commit(ground)?;
        guarded(|| sleep(ROUND))?;
    }
}
