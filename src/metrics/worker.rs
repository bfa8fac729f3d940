//! The background workers that write metrics to tables.
//!
//! One, the launcher, lives as long as the server and is connected to no database. Once an interval it keeps the counters in
//! their file and starts, one after the other, a short-lived worker for each database that has the extension: so nobody has to
//! say which, none is held open (it can be renamed and dropped), and what goes wrong in one ends that worker only. Between,
//! it does so where the inference log has records. On a standby nothing is written until it is promoted.

use std::collections::HashMap;
use std::ffi::CStr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use pgrx::bgworkers::{BackgroundWorker, BackgroundWorkerBuilder, BgWorkerStartTime};
use pgrx::prelude::*;
use pgrx::{pg_guard, pg_shmem_init, pg_sys};

use crate::catalog::schema::Schema;
use crate::inference_log::pool::pool;
use crate::inference_log::write;
use crate::metrics::{board, file, interval};
use crate::pg::shared::Region;
use crate::pg::worker::{self, OnTermination};
use crate::pg::{process, time};
use crate::settings;

/// Intervals after which a database without the extension is looked at again, unless something was counted for it.
const ROUNDS_WITHOUT: u32 = 20;

/// What the processes here tell each other.
static REGION: Region = Region::new(c"e2i_serve worker", || 2, 0, |_: &[AtomicU64]| ());

// Its words: what the last short-lived worker found, and one more than the place of the launcher, 0 while there is none.
const FOUND: usize = 0;
const LAUNCHER: usize = 1;

// What a worker finds.
const HAS_EXTENSION: u64 = 1;
const HAS_NONE: u64 = 2;

/// Asks for shared memory and registers the launcher; called while the library is preloaded.
pub fn request() {
    pg_shmem_init!(REGION = true);
    // pg_upgrade drops and makes databases in a server that nobody else shall be in.
    // SAFETY: a flag that is set before libraries are loaded.
    if unsafe { pg_sys::IsBinaryUpgrade } {
        return;
    }
    BackgroundWorkerBuilder::new("e2i_serve metrics launcher")
        .set_type("e2i_serve metrics")
        .set_library("e2i_serve")
        .set_function("e2i_metrics_launcher")
        .enable_spi_access()
        .set_start_time(BgWorkerStartTime::ConsistentState)
        .set_restart_time(Some(Duration::from_secs(5)))
        .load();
}

fn word(index: usize) -> Option<&'static AtomicU64> {
    REGION.shared().and_then(|words| words.get(index))
}

/// Wakes the launcher: the inference log has records.
pub fn wake() {
    let launcher = word(LAUNCHER).and_then(|word| usize::try_from(word.load(Relaxed)).ok()?.checked_sub(1));
    if let Some(launcher) = launcher {
        // SAFETY: the launcher has written its own place.
        unsafe { process::wake(launcher) };
    }
}

/// The launcher.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn e2i_metrics_launcher(_argument: pg_sys::Datum) {
    worker::accept_signals(OnTermination::Note);
    BackgroundWorker::connect_worker_to_spi(None, None);
    if let Some(word) = word(LAUNCHER) {
        word.store(process::own() as u64 + 1, Relaxed);
    }
    let mut without: HashMap<u32, u32> = HashMap::new();
    let mut begun = Instant::now();
    loop {
        let rest = settings::metrics_interval().saturating_sub(begun.elapsed());
        worker::wait(if pool().used() > 0 { rest.min(LOG_DELAY) } else { rest });
        // SAFETY: reads a state of the server.
        let is_standby = unsafe { pg_sys::RecoveryInProgress() };
        // Signals wake it before its time.
        if begun.elapsed() < settings::metrics_interval() {
            let waiting = if is_standby { vec![] } else { pool().databases() };
            if waiting.is_empty() {
                continue;
            }
            let databases = BackgroundWorker::transaction(databases);
            for database in waiting {
                // Dropped meanwhile, be it the database or the extension in it.
                if !databases.contains(&database) || run(database, Task::Log) == HAS_NONE {
                    pool().give_up(pool().look(database).into_iter().map(|(slot, _)| slot));
                }
            }
            continue;
        }
        begun = Instant::now();
        file::write();
        if is_standby {
            continue;
        }
        let databases = BackgroundWorker::transaction(databases);
        let active = board::together(|board| board.databases());
        board::alone(|board| board.keep_only(|database| databases.contains(&database)));
        without.retain(|database, _| databases.contains(database));
        for database in databases {
            let rounds = without.get(&database).copied().unwrap_or_default();
            if rounds > 0 && !active.contains(&database) {
                without.insert(database, rounds - 1);
                continue;
            }
            if run(database, Task::Interval) == HAS_NONE {
                without.insert(database, ROUNDS_WITHOUT);
            } else {
                without.remove(&database);
            }
        }
    }
}

/// How long records of the inference log wait for others, so that not each one takes a process.
const LOG_DELAY: Duration = Duration::from_millis(500);

/// How long one database may keep the others waiting, for a lock that somebody holds.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a short-lived worker is to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Task {
    /// All that there is once an interval.
    Interval,
    /// Only write records of the inference log down.
    Log,
}

impl Task {
    /// The argument of the worker: the database, and above it what is to be done.
    fn argument(self, database: u32) -> pg_sys::Datum {
        pg_sys::Datum::from(u64::from(database) | u64::from(self == Self::Log) << 32)
    }

    fn of(argument: pg_sys::Datum) -> (u32, Self) {
        let task = if argument.value() >> 32 == 0 { Self::Interval } else { Self::Log };
        (argument.value() as u32, task)
    }
}

/// Runs the worker of a database to its end, and says what it found; 0 if it did not get so far.
fn run(database: u32, task: Task) -> u64 {
    let Some(found) = word(FOUND) else { return 0 };
    found.store(0, Relaxed);
    let started = BackgroundWorkerBuilder::new("e2i_serve metrics")
        .set_type("e2i_serve metrics")
        .set_library("e2i_serve")
        .set_function("e2i_metrics_worker")
        .enable_spi_access()
        .set_start_time(BgWorkerStartTime::ConsistentState)
        .set_restart_time(None)
        .set_argument(Some(task.argument(database)))
        // SAFETY: reads a variable.
        .set_notify_pid(unsafe { pg_sys::MyProcPid })
        .load_dynamic();
    match started {
        Ok(started) => worker::wait_for(&started, PATIENCE),
        Err(_) => ereport!(
            PgLogLevel::LOG,
            PgSqlErrorCode::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
            "e2i_serve: no background worker is free to write metrics; raise max_worker_processes"
        ),
    }
    found.load(Relaxed)
}

/// The databases that can be connected to.
fn databases() -> Vec<u32> {
    let mut databases = vec![];
    // SAFETY: a scan of a shared catalog, closed below, as the autovacuum launcher does it; rows of pg_database have this form.
    unsafe {
        let relation = pg_sys::table_open(pg_sys::DatabaseRelationId, pg_sys::AccessShareLock as _);
        let scan = pg_sys::table_beginscan_catalog(relation, 0, std::ptr::null_mut());
        loop {
            let tuple = pg_sys::heap_getnext(scan, pg_sys::ScanDirection::ForwardScanDirection);
            if tuple.is_null() {
                break;
            }
            let database = &*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_database>();
            // A negative limit other than -1 marks one whose dropping was interrupted.
            if database.datallowconn && !database.datistemplate && database.datconnlimit >= -1 {
                databases.push(database.oid.to_u32());
            }
        }
        pg_sys::table_endscan(scan);
        pg_sys::table_close(relation, pg_sys::AccessShareLock as _);
    }
    databases
}

/// The worker of one database: writes an interval and ends.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn e2i_metrics_worker(argument: pg_sys::Datum) {
    worker::accept_signals(OnTermination::Die);
    let (database, task) = Task::of(argument);
    BackgroundWorker::connect_worker_to_spi_by_oid(Some(pg_sys::Oid::from(database)), None);
    settle();
    let has_extension = BackgroundWorker::transaction(|| match Schema::of_extension() {
        Some(schema) => {
            show(c"writing metrics");
            match task {
                Task::Interval => drop(interval::write(schema, is_thorough())),
                Task::Log => {
                    interval::lock(schema);
                    write::write(schema);
                }
            }
            true
        }
        None => false,
    });
    if let Some(found) = word(FOUND) {
        found.store(if has_extension { HAS_EXTENSION } else { HAS_NONE }, Relaxed);
    }
}

/// One interval in ten: no worker knows what the one before did.
fn is_thorough() -> bool {
    let interval = i64::try_from(settings::metrics_interval().as_micros()).unwrap_or(i64::MAX).max(1);
    (time::now() / interval) % 10 == 0
}

/// Nothing that anybody has created is found by its name alone, and nobody who holds a lock keeps a worker for long.
fn settle() {
    set(c"search_path", c"pg_catalog, pg_temp");
    set(c"lock_timeout", c"5s");
}

fn set(name: &CStr, value: &CStr) {
    // SAFETY: C strings; the settings are the server's own.
    unsafe {
        pg_sys::SetConfigOption(
            name.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_SUSET,
            pg_sys::GucSource::PGC_S_OVERRIDE,
        );
    }
}

fn show(activity: &CStr) {
    // SAFETY: a C string, which is copied.
    unsafe { pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, activity.as_ptr()) };
}
