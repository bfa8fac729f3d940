//! The worker of one database: does what was ordered, stays while the inference log is busy, and ends.

use std::ffi::CStr;
use std::time::{Duration, Instant};

use pgrx::bgworkers::BackgroundWorker;
use pgrx::{pg_guard, pg_sys};

use crate::inference_log::pool::pool;
use crate::pg::guc;
use crate::pg::worker::{self, OnTermination};
use crate::worker::orders::{self, Found, INTERVAL, Place};
use crate::worker::tasks::{self, Task};

/// How long a worker waits for more records of the inference log before it ends: shorter than what DROP DATABASE waits for
/// those who are connected, which is five seconds.
const IDLE: Duration = Duration::from_secs(2);

/// How long records wait for others.
const LOG_DELAY: Duration = Duration::from_millis(500);

/// What a database may have set otherwise, and a worker must not depend on.
const SETTINGS: [(&CStr, &CStr); 6] = [
    (c"default_transaction_read_only", c"off"),
    (c"default_transaction_deferrable", c"off"),
    (c"default_transaction_isolation", c"read committed"),
    (c"session_replication_role", c"origin"),
    (c"statement_timeout", c"0"),
    (c"idle_in_transaction_session_timeout", c"0"),
];

/// The worker of one database.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn e2i_metrics_worker(argument: pg_sys::Datum) {
    // SAFETY: reads a variable.
    if unsafe { pg_sys::IsBinaryUpgrade } {
        return;
    }
    worker::accept_signals(OnTermination::Die);
    let place = Place::new(argument.value());
    let database = place.enter();
    BackgroundWorker::connect_worker_to_spi_by_oid(Some(pg_sys::Oid::from(database)), None);
    guc::settle(&SETTINGS);
    place.set_found(work(place, database));
}

fn work(place: Place, database: u32) -> Found {
    let mut last: Option<Instant> = None;
    loop {
        let orders = place.take_orders();
        let tasks: &[Task] = match orders & INTERVAL {
            0 => &[Task::Log, Task::Reasons],
            _ => &Task::ALL,
        };
        let has_records = pool().databases().contains(&database);
        let mut is_free = true;
        if orders != 0 || has_records {
            for task in tasks {
                match tasks::run_alone(database, *task) {
                    None => return Found::NoExtension,
                    Some(is_done) => is_free &= is_done || *task != Task::Log,
                }
            }
        }
        if has_records {
            last = Some(Instant::now());
        }
        if !is_free {
            return Found::Obstacle;
        }
        if orders::is_crowded() || last.is_none_or(|last| last.elapsed() >= IDLE) {
            return Found::Done;
        }
        // SAFETY: an activity without a text.
        unsafe { pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_IDLE, std::ptr::null()) };
        worker::wait(LOG_DELAY);
    }
}
