//! The launcher: which database gets a worker, and when.
//!
//! Once an interval it keeps the counters in their file and has the tasks done in each database that has the extension, so
//! nobody has to say which; between, where the inference log has records. Few workers run at the same time, and each ends soon
//! when it has nothing to do, so that a database can be renamed and dropped; what goes wrong in one ends that worker only. On a
//! standby nothing is written until it is promoted.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use pgrx::bgworkers::{BackgroundWorker, BackgroundWorkerBuilder, BgWorkerStartTime};
use pgrx::prelude::*;
use pgrx::{pg_guard, pg_sys};

use crate::inference_log::pool::pool;
use crate::metrics::board;
use crate::pg::worker::{self, OnTermination, Started};
use crate::settings;
use crate::worker::orders::{self, Found, INTERVAL, LOG, Place, WORKERS};

/// Intervals after which a database without the extension is looked at again, unless something was counted for it.
const ROUNDS_WITHOUT: u32 = 20;

/// How long records of the inference log wait for others.
const LOG_DELAY: Duration = Duration::from_millis(500);

/// How long a database's log is left alone after something was in the way of it, or of the worker.
const OBSTACLE_DELAY: Duration = Duration::from_secs(5);

/// Registers the launcher; called while the library is preloaded.
pub fn request() {
    builder("e2i_serve metrics launcher", "e2i_metrics_launcher").set_restart_time(Some(Duration::from_secs(5))).load();
}

fn builder(name: &str, function: &str) -> BackgroundWorkerBuilder {
    BackgroundWorkerBuilder::new(name)
        .set_type("e2i_serve metrics")
        .set_library("e2i_serve")
        .set_function(function)
        .enable_spi_access()
        .set_start_time(BgWorkerStartTime::ConsistentState)
        .set_restart_time(None)
}

/// The inference log has records.
pub fn wake() {
    orders::wake_launcher();
}

/// The launcher.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn e2i_metrics_launcher(_argument: pg_sys::Datum) {
    worker::accept_signals(OnTermination::Note);
    BackgroundWorker::connect_worker_to_spi(None, None);
    orders::enter_launcher();
    let mut launcher = Launcher::default();
    let mut begun = Instant::now();
    loop {
        let rest = settings::metrics_interval().saturating_sub(begun.elapsed());
        let is_busy = pool().used() > 0 || launcher.is_busy();
        worker::wait(if is_busy { rest.min(LOG_DELAY) } else { rest });
        launcher.reap();
        // Signals wake it before its time.
        let is_interval = begun.elapsed() >= settings::metrics_interval();
        if is_interval {
            begun = Instant::now();
            board::keep();
        }
        // SAFETY: reads a state of the server.
        if unsafe { pg_sys::RecoveryInProgress() } {
            continue;
        }
        if is_interval {
            launcher.interval();
        }
        launcher.log();
        launcher.start();
    }
}

/// A worker that was started.
struct Running {
    database: u32,
    place: Place,
    process: Started,
}

#[derive(Default)]
struct Launcher {
    running: Vec<Running>,
    /// Databases that wait for a worker, with what is to be done there.
    due: VecDeque<(u32, u64)>,
    /// Databases without the extension, and for how many intervals that is believed.
    without: HashMap<u32, u32>,
    /// Until when a database's log is left alone.
    obstacles: HashMap<u32, Instant>,
    /// Whether the log says already that no worker is to be had.
    has_complained: bool,
}

impl Launcher {
    fn is_busy(&self) -> bool {
        !self.running.is_empty() || !self.due.is_empty()
    }

    /// Takes in what workers that have ended found.
    fn reap(&mut self) {
        let (ended, running) = self.running.drain(..).partition(|it| it.process.has_ended());
        self.running = running;
        for Running { database, place, .. } in ended {
            match place.found() {
                Found::NoExtension => {
                    self.without.insert(database, ROUNDS_WITHOUT);
                    give_up(database);
                }
                Found::Obstacle | Found::Nothing => {
                    self.obstacles.insert(database, Instant::now() + OBSTACLE_DELAY);
                }
                Found::Done => {}
            }
            // What was ordered when it was about to end.
            match place.take_orders() {
                0 => {}
                orders => self.order(database, orders),
            }
        }
    }

    /// Everything, in each database.
    fn interval(&mut self) {
        let databases = BackgroundWorker::transaction(databases);
        let active = board::together(|board| board.databases());
        board::alone(|board| board.keep_only(|database| databases.contains(&database)));
        self.without.retain(|database, _| databases.contains(database));
        self.obstacles.retain(|_, until| *until > Instant::now());
        for database in databases {
            match self.without.get_mut(&database) {
                Some(rounds) if *rounds > 0 && !active.contains(&database) => *rounds -= 1,
                _ => self.order(database, INTERVAL),
            }
        }
    }

    /// The databases with records of the inference log, where no worker is that would see them by itself.
    fn log(&mut self) {
        let is_seen = |launcher: &Self, database: u32| {
            launcher.running.iter().any(|it| it.database == database)
                || launcher.due.iter().any(|(due, _)| *due == database)
                || launcher.obstacles.get(&database).is_some_and(|until| *until > Instant::now())
        };
        let mut waiting = pool().databases();
        waiting.retain(|database| !is_seen(self, *database));
        if waiting.is_empty() {
            return;
        }
        let databases = BackgroundWorker::transaction(databases);
        for database in waiting {
            match databases.contains(&database) {
                true => self.order(database, LOG),
                // Dropped meanwhile.
                false => give_up(database),
            }
        }
    }

    fn order(&mut self, database: u32, orders: u64) {
        if let Some(running) = self.running.iter().find(|it| it.database == database) {
            running.place.order(orders);
        } else if let Some((_, due)) = self.due.iter_mut().find(|(due, _)| *due == database) {
            *due |= orders;
        } else {
            self.due.push_back((database, orders));
        }
    }

    /// Starts workers, as many as there is room for.
    fn start(&mut self) {
        while let Some((database, orders)) = self.due.front().copied() {
            let is_taken = |number: usize| self.running.iter().any(|it| it.place == Place::new(number));
            let Some(number) = (0..WORKERS).find(|number| !is_taken(*number)) else { break };
            let place = Place::new(number);
            place.prepare(database, orders);
            let worker =
                builder("e2i_serve metrics", "e2i_metrics_worker").set_argument(Some(pg_sys::Datum::from(number)));
            let Some(process) = Started::new(worker) else {
                if self.running.is_empty() && !std::mem::replace(&mut self.has_complained, true) {
                    ereport!(
                        PgLogLevel::LOG,
                        PgSqlErrorCode::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
                        "e2i_serve: no background worker is free to write metrics; raise max_worker_processes"
                    );
                }
                break;
            };
            self.has_complained = false;
            self.due.pop_front();
            self.running.push(Running { database, place, process });
        }
        orders::set_crowded(!self.due.is_empty());
    }
}

/// The records of a database where nobody can write them.
fn give_up(database: u32) {
    pool().give_up(pool().look(database).into_iter().map(|(slot, _)| slot));
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
