//! What is written once an interval, each task apart from the others: what fails in one, or waits for a lock, keeps no other from
//! being done. In a worker each has a transaction of its own, in `e2i_flush_metrics` a subtransaction.

use std::ffi::CStr;
use std::time::Duration;

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::{PgLogLevel, PgSqlErrorCode, pg_sys};

use crate::catalog::schema::Schema;
use crate::catalog::{shap_analysis, version};
use crate::inference_log::{partition, write};
use crate::jobs::schedule;
use crate::metrics::{board, interval, marks};
use crate::pg::failure::{Failure, attempt};
use crate::pg::{guc, time, worker};
use crate::settings;
use crate::worker::orders;
use crate::worker::probe::probe;
use crate::worker::reasons;

/// A task. What is judged from counters comes first, what is only tidied last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Rows of metrics, and health.
    Metrics,
    /// Records of the inference log.
    Log,
    /// Why rows that were logged have their numbers.
    Reasons,
    /// Scoring jobs that are due. Not of `e2i_flush_metrics`, which runs with its caller's rights.
    Schedules,
    /// Partitions for the days to come, and what is too old.
    Housekeeping,
}

/// Nothing that anybody has created is found by its name alone, and times and texts are written in one way.
const SETTINGS: [(&CStr, &CStr); 4] = [
    (c"search_path", c"pg_catalog, pg_temp"),
    (c"TimeZone", c"UTC"),
    (c"DateStyle", c"ISO, YMD"),
    (c"standard_conforming_strings", c"on"),
];

const LOG: &str = "ml_inference_log";

/// How long a lock is waited for, in milliseconds.
const LOCK_TIMEOUT: i32 = 5_000;

impl Task {
    /// All, in their order.
    pub const ALL: [Self; 5] = [Self::Metrics, Self::Log, Self::Reasons, Self::Schedules, Self::Housekeeping];

    /// How long it may take. A service that nobody calls is probed, which may take `e2i_serve.validation_timeout`.
    fn time(self) -> Duration {
        match self {
            Self::Metrics => Duration::from_secs(600),
            Self::Log | Self::Reasons | Self::Schedules | Self::Housekeeping => Duration::from_secs(60),
        }
    }

    /// What did not happen, for a message.
    fn failed(self) -> &'static str {
        match self {
            Self::Metrics => "metrics are not written",
            Self::Log => "records of the inference log wait",
            Self::Reasons => "rows of the inference log are not explained",
            Self::Schedules => "scoring jobs that are due are not begun",
            Self::Housekeeping => "what is too old is kept",
        }
    }

    /// Runs it; how many rows of metrics were written, and what could not be done.
    fn run(self, schema: Schema, manner: Manner) -> (usize, Vec<String>) {
        let mut settings = SETTINGS.to_vec();
        // The caller's own stays, if it is shorter.
        if guc::lock_timeout() == 0 || guc::lock_timeout() > LOCK_TIMEOUT {
            settings.push((c"lock_timeout", c"5s"));
        }
        guc::with(&settings, || match self {
            Self::Metrics => (interval::write(schema, |service| probe(schema, service, manner.thoroughly)), vec![]),
            Self::Log => {
                let waits = write::write(schema);
                (0, waits.into_iter().map(|why| format!("{}: {}", self.failed(), why.message)).collect())
            }
            Self::Reasons => (0, reasons::write(schema)),
            Self::Schedules => (0, schedule::start_due(schema)),
            Self::Housekeeping => (0, tidy(schema, manner)),
        })
    }
}

/// How tasks are run.
#[derive(Debug, Clone, Copy)]
struct Manner {
    /// Whether services with a large model are probed, too.
    thoroughly: bool,
    /// Whether the transaction ends with the tasks: what is locked to drop it would stay locked until then.
    ends: bool,
}

/// Each part apart from the others; what could not be done.
fn tidy(schema: Schema, manner: Manner) -> Vec<String> {
    let today = partition::day(time::now());
    let made = attempt(|| match partition::is_wanted(schema) {
        true => partition::make(schema, &[today, today + 1]),
        false => vec![],
    });
    let dropped = attempt(|| match manner.ends {
        true => partition::forget(schema),
        false => vec![],
    });
    let mut failures: Vec<(String, Failure)> = vec![];
    match made {
        Ok(failed) => {
            failures.extend(failed.into_iter().map(|(_, why)| (format!("a partition of {LOG} is not made"), why)))
        }
        Err(why) => failures.push((format!("partitions of {LOG} are not made"), why)),
    }
    match dropped {
        Ok(failed) => {
            failures.extend(failed.into_iter().map(|(name, why)| (format!("the partition {name} is kept"), why)))
        }
        Err(why) => failures.push((format!("partitions of {LOG} are kept"), why)),
    }
    for (what, done) in [
        ("old rows of ml_bentoml_serving_metrics are kept", attempt(|| interval::forget(schema))),
        ("old rows of ml_serving_marks are kept", attempt(|| marks::forget(schema))),
        ("old rows of ml_shap_analyses are kept", attempt(|| shap_analysis::forget(schema))),
    ] {
        failures.extend(done.err().map(|why| (what.to_owned(), why)));
    }
    failures.into_iter().map(|(what, why)| format!("{what}: {}", why.message)).collect()
}

/// Runs a task in a transaction of its own, in a worker. Whether all of it was done; `None` where there is no extension.
pub fn run_alone(database: u32, task: Task) -> Option<bool> {
    let done = worker::transaction(task.time(), || {
        let schema = guc::with(&[(c"lock_timeout", c"5s")], Schema::of_held_extension)?;
        if let Err(error) = version::require_same() {
            return Some(vec![format!("nothing is written: {}", error.message())]);
        }
        show(c"writing metrics");
        Some(task.run(schema, Manner { thoroughly: is_thorough(), ends: true }).1)
    });
    let failures = match done {
        Ok(None) => return None,
        Ok(Some(failures)) => failures,
        Err(why) => vec![format!("{}: {}", task.failed(), why.message)],
    };
    for failure in &failures {
        if orders::is_news(database, failure) {
            ereport!(PgLogLevel::LOG, PgSqlErrorCode::ERRCODE_WARNING, format!("e2i_serve: {failure}"));
        }
    }
    Some(failures.is_empty())
}

/// Runs all tasks in the calling transaction, and returns how many rows of metrics were written. Who asks for metrics gets the
/// error of those; what else cannot be done is a warning.
pub fn run_here(schema: Schema) -> usize {
    board::keep();
    let mut rows = 0;
    // Asked before a subtransaction, which is a block of its own.
    // SAFETY: reads the state of this backend's transaction.
    let manner = Manner { thoroughly: true, ends: !unsafe { pg_sys::IsTransactionBlock() } };
    for task in Task::ALL.into_iter().filter(|task| *task != Task::Schedules) {
        let done = match task {
            Task::Metrics => Ok(task.run(schema, manner)),
            _ => attempt(|| task.run(schema, manner)),
        };
        let failures = match done {
            Ok((written, failures)) => {
                rows += written;
                failures
            }
            Err(why) => vec![format!("{}: {}", task.failed(), why.message)],
        };
        for failure in failures {
            ErrorReport::new(PgSqlErrorCode::ERRCODE_WARNING, failure, "").report(PgLogLevel::WARNING);
        }
    }
    rows
}

/// One interval in ten: no worker knows what the one before did.
fn is_thorough() -> bool {
    let interval = i64::try_from(settings::metrics_interval().as_micros()).unwrap_or(i64::MAX).max(1);
    (time::now() / interval) % 10 == 0
}

/// What `pg_stat_activity` says of this worker.
fn show(activity: &CStr) {
    // SAFETY: a C string, which is copied.
    unsafe { pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, activity.as_ptr()) };
}
