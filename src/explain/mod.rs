//! `EXPLAIN (ANALYZE)` shows what models did while the statement ran: rows and time of each version.
//!
//! While a plan is explained, every call is timed, and what counters hand over is collected here besides ([`frame`]); parallel
//! workers hand theirs over through shared memory ([`workers`]). When the plan has ended, the server having written all but the
//! execution time, lines are added to what it wrote ([`lines`]).
//!
//! Which state is on is a setting that nobody sees: the server gives it to parallel workers, and sets it back after an ERROR.

mod frame;
mod lines;
mod workers;

use std::ffi::CString;

use e2i_metrics::{Key, Tally};
use once_cell::sync::OnceCell;
use pgrx::{pg_guard, pg_sys};

use crate::pg::transaction::Moment;
use crate::pg::{guc, major, sqlstate};
use crate::settings;

// The setting: two bits, and above them where workers hand over, 0 for nowhere.
const ON: i32 = 1;
const TIMED: i32 = 2;
const TICKET: i32 = 4;

/// Has counters hand over what they have counted until now.
static FLUSH: OnceCell<fn()> = OnceCell::new();

static PREVIOUS_EXPLAIN: OnceCell<pg_sys::ExplainOneQuery_hook_type> = OnceCell::new();
static PREVIOUS_END: OnceCell<pg_sys::ExecutorEnd_hook_type> = OnceCell::new();

/// Sees statements that are explained; called once, when the library is loaded. `flush` has counters hand over ([`collect`]) what
/// they have counted until now.
pub fn listen(flush: fn()) {
    let _ = FLUSH.set(flush);
    // SAFETY: nothing else runs while a library is loaded; the functions are never unloaded.
    unsafe {
        if pg_sys::process_shared_preload_libraries_in_progress {
            workers::request();
        }
        let _ = PREVIOUS_EXPLAIN.set(pg_sys::ExplainOneQuery_hook);
        pg_sys::ExplainOneQuery_hook = Some(explain_one_query);
        let _ = PREVIOUS_END.set(pg_sys::ExecutorEnd_hook);
        pg_sys::ExecutorEnd_hook = Some(executor_end);
    }
}

/// Whether what is counted belongs to a statement that is explained.
#[inline]
pub fn is_on() -> bool {
    settings::is_explaining()
}

/// Whether all of its calls are timed.
#[inline]
pub fn is_timed() -> bool {
    settings::explaining() & TIMED != 0
}

fn flush() {
    FLUSH.get().into_iter().for_each(|flush| flush());
}

/// Hears that the process ends: what it took of shared memory it gives back.
pub fn hear(moment: Moment) {
    if moment == Moment::Exit {
        frame::end();
    }
}

/// Takes what a counter hands over; of its times, `timed_ns` is that in the model alone.
pub fn collect(key: &Key, tally: &Tally) {
    let (key, ticket) = (key.version(), settings::explaining() / TICKET);
    // SAFETY: reads a variable, which is negative in every process but a worker.
    let is_worker = unsafe { pg_sys::ParallelWorkerNumber } >= 0;
    if !frame::add(&key, tally) && is_worker {
        workers::add(ticket, &key, tally);
    }
}

/// Plans, runs and explains a statement: what the server would do, between two looks at the counters.
#[pg_guard]
unsafe extern "C-unwind" fn explain_one_query(
    query: *mut pg_sys::Query,
    options: std::ffi::c_int,
    into: *mut pg_sys::IntoClause,
    state: *mut pg_sys::ExplainState,
    text: *const std::ffi::c_char,
    parameters: pg_sys::ParamListInfo,
    environment: *mut pg_sys::QueryEnvironment,
) {
    // SAFETY: the server's own arguments, passed on; and a setting that is set as SET LOCAL of a function does it. An ERROR sets
    // it back with the transaction or subtransaction that it ends.
    sqlstate::keeping(|| unsafe {
        let explain = || match PREVIOUS_EXPLAIN.get().copied().flatten() {
            Some(previous) => {
                #[allow(ffi_unwind_calls)]
                pg_sys::ffi::pg_guard_ffi_boundary(|| {
                    previous(query, options, into, state, text, parameters, environment)
                });
            }
            None => major::explain_one_query(query, options, into, state, text, parameters, environment),
        };
        if !(*state).analyze {
            return explain();
        }
        // What was counted until now belongs to somebody else, and so does what is counted after.
        flush();
        let frame = frame::begin(state);
        let level = pg_sys::NewGUCNestLevel();
        // A statement around it may be timed where this one is not.
        let timed = if (*state).timing { TIMED } else { settings::explaining() & TIMED };
        set(ON | timed | (frame.ticket() * TICKET));
        explain();
        flush();
        pg_sys::AtEOXact_GUC(true, level);
        drop(frame);
    });
}

fn set(value: i32) {
    if let Ok(value) = CString::new(value.to_string()) {
        guc::save(settings::EXPLAINING_NAME, &value);
    }
}

/// A plan ends. That of the statement that is explained does when all but its execution time is written.
#[pg_guard]
unsafe extern "C-unwind" fn executor_end(query: *mut pg_sys::QueryDesc) {
    // SAFETY: the server's own argument, passed on.
    sqlstate::keeping(|| unsafe {
        if is_on() {
            if (*(*query).plannedstmt).parallelModeNeeded {
                frame::is_parallel();
            }
            if let Some(state) = frame::state().filter(|state| (**state).pstmt == (*query).plannedstmt) {
                flush();
                let (rows, is_missing_workers) = frame::spent();
                lines::write(state, &rows, is_missing_workers);
            }
        }
        match PREVIOUS_END.get().copied().flatten() {
            Some(previous) =>
            {
                #[allow(ffi_unwind_calls)]
                pg_sys::ffi::pg_guard_ffi_boundary(|| previous(query))
            }
            None => pg_sys::standard_ExecutorEnd(query),
        }
    });
}
