//! The node in a plan: what the server calls while it plans, runs and explains, each as `nodeCustom.c` and the manual's chapter
//! "Writing a Custom Scan Provider" have it.

#![allow(ffi_unwind_calls, reason = "what a plan raises passes through, see `pg::executor`")]

use std::ffi::{CStr, CString, c_int};

use e2i_core::Result;
use once_cell::sync::OnceCell;
use pgrx::{pg_guard, pg_sys};

use crate::error::OrRaise;
use crate::pg::call_site::Place;
use crate::pg::{executor, sqlstate, tree};
use crate::scan::plan;
use crate::scan::rows::Rows;
use crate::scan::support;
use crate::scan::waiting::Waiting;
use crate::settings;

/// As EXPLAIN calls it.
const NAME: &CStr = c"E2iScore";

/// The server keeps pointers to these, which are read only.
struct Shared<T>(T);

// SAFETY: pointers to static strings and functions.
unsafe impl<T> Sync for Shared<T> {}

static PLANNED: Shared<pg_sys::CustomScanMethods> =
    Shared(pg_sys::CustomScanMethods { CustomName: NAME.as_ptr(), CreateCustomScanState: Some(create) });

static EXECUTED: Shared<pg_sys::CustomExecMethods> = Shared(pg_sys::CustomExecMethods {
    CustomName: NAME.as_ptr(),
    BeginCustomScan: Some(begin),
    ExecCustomScan: Some(execute),
    EndCustomScan: Some(end),
    ReScanCustomScan: Some(restart),
    MarkPosCustomScan: None,
    RestrPosCustomScan: None,
    EstimateDSMCustomScan: None,
    InitializeDSMCustomScan: None,
    ReInitializeDSMCustomScan: None,
    InitializeWorkerCustomScan: None,
    ShutdownCustomScan: None,
    ExplainCustomScan: Some(explain),
});

static PREVIOUS: OnceCell<pg_sys::planner_hook_type> = OnceCell::new();

/// Changes plans from now on; called once, when the library is loaded.
pub fn listen() {
    // SAFETY: nothing else runs while a library is loaded; the functions are never unloaded.
    unsafe {
        pg_sys::RegisterCustomScanMethods(&raw const PLANNED.0);
        let _ = PREVIOUS.set(pg_sys::planner_hook);
        pg_sys::planner_hook = Some(plan);
    }
}

/// Without a guard: what the planner raises passes as it would without this.
unsafe extern "C-unwind" fn plan(
    query: *mut pg_sys::Query,
    text: *const std::ffi::c_char,
    options: c_int,
    parameters: pg_sys::ParamListInfo,
) -> *mut pg_sys::PlannedStmt {
    let outer = support::begin();
    // SAFETY: the server's own arguments, passed on; then the plan that it has made.
    unsafe {
        let planned = match PREVIOUS.get().copied().flatten() {
            Some(previous) => previous(query, text, options, parameters),
            None => executor::standard_planner(query, text, options, parameters),
        };
        if support::end(outer) && settings::batch_scan() {
            change(planned, options);
        }
        planned
    }
}

/// Changes a finished plan.
///
/// # Safety
/// `planned` must be a plan that nobody has run yet, made with these options.
#[pg_guard]
pub unsafe extern "C-unwind" fn change(planned: *mut pg_sys::PlannedStmt, options: c_int) {
    // SAFETY: a plan that was just made.
    sqlstate::keeping(|| unsafe { plan::change(planned, options, &raw const PLANNED.0) });
}

/// The node while it runs.
#[repr(C)]
struct State {
    scan: pg_sys::CustomScanState,
    /// Owned: dropped with the memory of the query.
    rows: *mut Rows,
}

#[pg_guard]
unsafe extern "C-unwind" fn create(_scan: *mut pg_sys::CustomScan) -> *mut pg_sys::Node {
    // SAFETY: begins with the fields of a node of this kind.
    unsafe {
        let state = tree::make::<State>(pg_sys::NodeTag::T_CustomScanState);
        (*state).scan.methods = &raw const EXECUTED.0;
        state.cast()
    }
}

/// Without a guard, as [`plan`].
unsafe extern "C-unwind" fn begin(node: *mut pg_sys::CustomScanState, estate: *mut pg_sys::EState, flags: c_int) {
    // SAFETY: the server's own arguments; the node is the one that `create` made.
    unsafe {
        let plan = (*(*node).ss.ps.plan).lefttree;
        (*node).ss.ps.lefttree = executor::begin(plan, estate, flags);
        begin_rows(node, estate);
    }
}

/// Nothing is looked up: an EXPLAIN stops here.
#[pg_guard]
unsafe extern "C-unwind" fn begin_rows(node: *mut pg_sys::CustomScanState, estate: *mut pg_sys::EState) {
    // SAFETY: as in `begin`.
    sqlstate::keeping(|| unsafe {
        let rows = Box::into_raw(Box::new(Rows::new(node, (*node).ss.ps.lefttree, estate)));
        (*node.cast::<State>()).rows = rows;
        // An ERROR skips `end`.
        let memory = (*estate).es_query_cxt;
        let callback = pg_sys::MemoryContextAllocZero(memory, size_of::<pg_sys::MemoryContextCallback>())
            .cast::<pg_sys::MemoryContextCallback>();
        (*callback).func = Some(forget);
        (*callback).arg = rows.cast();
        pg_sys::MemoryContextRegisterResetCallback(memory, callback);
    });
}

#[pg_guard]
unsafe extern "C-unwind" fn forget(rows: *mut std::ffi::c_void) {
    // SAFETY: the pointer came from Box::into_raw in `begin`, and the server calls each callback once.
    drop(unsafe { Box::from_raw(rows.cast::<Rows>()) });
}

/// Without a guard, as [`plan`]: what is Rust's and may fail is called through one.
unsafe extern "C-unwind" fn execute(node: *mut pg_sys::CustomScanState) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: the node is the one that `begin` has begun.
    unsafe {
        let (state, rows) = (&raw mut (*node).ss.ps, (*node.cast::<State>()).rows);
        let slot = (*node).ss.ss_ScanTupleSlot;
        let (context, projection) = ((*state).ps_ExprContext, (*state).ps_ProjInfo);
        let result = if projection.is_null() { slot } else { (*projection).pi_state.resultslot };
        loop {
            executor::interrupt();
            if (*rows).hand_on_ready(result) {
                return result;
            }
            executor::forget(context);
            if !(*rows).has_next() {
                read(rows, (*state).lefttree);
                note(rows, (*state).instrument);
                if !(*rows).has_next() {
                    return executor::clear(result);
                }
            }
            if (*rows).is_plain() {
                hand_on_plain(rows, executor::clear(result), (*context).ecxt_per_tuple_memory);
                return result;
            }
            hand_on(rows, slot);
            (*context).ecxt_scantuple = slot;
            if executor::fulfils((*state).qual, context) {
                return if projection.is_null() { slot } else { executor::project(projection) };
            }
            if !(*state).instrument.is_null() {
                (*(*state).instrument).nfiltered1 += 1.0;
            }
        }
    }
}

/// Reads the next rows.
unsafe fn read(rows: *mut Rows, child: *mut pg_sys::PlanState) {
    // SAFETY: the node is run; nothing is borrowed while the plan below is.
    unsafe {
        if (*rows).is_ended() {
            return;
        }
        prepare(rows);
        loop {
            let below = executor::next(child);
            if below.is_null() {
                return (*rows).end();
            }
            let is_stored = (*rows).bind_stored(below);
            executor::take_apart(below, (*rows).needed(is_stored));
            let is_next = match is_stored && (*rows).is_kept_by_value() {
                true => (*rows).take_stored(below),
                false => take(rows, below, is_stored),
            };
            if !is_next {
                return;
            }
            executor::interrupt();
        }
    }
}

/// Notes a batch, and what those before took, where an EXPLAIN finds it: numbers of a node's instrument that the server adds up from all
/// workers, and uses for other nodes only.
unsafe fn note(rows: *mut Rows, instrument: *mut pg_sys::Instrumentation) {
    // SAFETY: called by `execute`; the instrument is null where nobody asks.
    unsafe {
        if !instrument.is_null() {
            (*instrument).ntuples2 += f64::from(u8::from((*rows).has_next()));
            (*instrument).nfiltered1 += (*rows).take_dropped() as f64;
            (*instrument).nfiltered2 += (*rows).take_busy().as_secs_f64();
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn prepare(rows: *mut Rows) {
    // SAFETY: called by `read`.
    sqlstate::keeping(|| unsafe { (*rows).prepare() });
}

#[pg_guard]
unsafe extern "C-unwind" fn take(rows: *mut Rows, below: *mut pg_sys::TupleTableSlot, is_stored: bool) -> bool {
    // SAFETY: called by `read`.
    sqlstate::keeping(|| unsafe {
        match is_stored {
            true => (*rows).take_stored(below),
            false => (*rows).take(below),
        }
    })
}

#[pg_guard]
unsafe extern "C-unwind" fn hand_on(rows: *mut Rows, slot: *mut pg_sys::TupleTableSlot) {
    // SAFETY: called by `execute`.
    sqlstate::keeping(|| unsafe { (*rows).hand_on(slot) });
}

#[pg_guard]
unsafe extern "C-unwind" fn hand_on_plain(
    rows: *mut Rows,
    slot: *mut pg_sys::TupleTableSlot,
    memory: pg_sys::MemoryContext,
) {
    // SAFETY: called by `execute`.
    sqlstate::keeping(|| unsafe {
        let before = pg_sys::MemoryContextSwitchTo(memory);
        let handed = (*rows).hand_on_plain(slot);
        pg_sys::MemoryContextSwitchTo(before);
        handed
    })
    .or_raise();
}

/// Without a guard, as [`plan`].
unsafe extern "C-unwind" fn restart(node: *mut pg_sys::CustomScanState) {
    // SAFETY: as in `execute`.
    unsafe {
        restart_rows((*node.cast::<State>()).rows);
        let child = (*node).ss.ps.lefttree;
        // With changed parameters it begins anew by itself.
        if (*child).chgParam.is_null() {
            executor::restart(child);
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn restart_rows(rows: *mut Rows) {
    // SAFETY: called by `restart`.
    unsafe { (*rows).restart() };
}

/// Without a guard, as [`plan`].
unsafe extern "C-unwind" fn end(node: *mut pg_sys::CustomScanState) {
    // SAFETY: as in `execute`.
    unsafe { executor::end((*node).ss.ps.lefttree) };
}

#[pg_guard]
unsafe extern "C-unwind" fn explain(
    node: *mut pg_sys::CustomScanState,
    _ancestors: *mut pg_sys::List,
    state: *mut pg_sys::ExplainState,
) {
    // SAFETY: the server's own arguments; strings that it copies.
    unsafe {
        let rows = &mut *(*node.cast::<State>()).rows;
        let text = |label: &CStr, text: &str| {
            if let Ok(text) = CString::new(text) {
                pg_sys::ExplainPropertyText(label.as_ptr(), text.as_ptr(), state);
            }
        };
        let number = |label: &CStr, number: i64| {
            pg_sys::ExplainPropertyInteger(label.as_ptr(), std::ptr::null(), number, state);
        };
        text(c"Scorer", &rows.models());
        let is_text = (*state).format == pg_sys::ExplainFormat::EXPLAIN_FORMAT_TEXT;
        if (*state).verbose || !is_text {
            text(c"Features", &rows.features());
            number(c"Batch Size", i64::try_from(settings::batch_size()).unwrap_or(i64::MAX));
        }
        let instrument = (*node).ss.ps.instrument;
        if (*state).analyze && !instrument.is_null() {
            let is_full = (*state).verbose || !is_text;
            if let Some(nodes) = rows.nodes(is_full) {
                text(c"Nodes", &nodes);
            }
            if let Some(kernels) = rows.kernels().filter(|_| is_full) {
                text(c"Kernel", &kernels);
            }
            number(c"Batches", (*instrument).ntuples2 as i64);
            if (*state).timing {
                (*instrument).nfiltered2 += rows.take_busy().as_secs_f64();
                let milliseconds = (*instrument).nfiltered2 * 1000.0;
                pg_sys::ExplainPropertyFloat(c"Scoring Time".as_ptr(), c"ms".as_ptr(), milliseconds, 3, state);
            }
        }
    }
}

/// The answer to a call for the row that its token stands for, as what the function returns; `None` is NULL.
///
/// # Errors
/// Those of the scalar call.
///
/// # Safety
/// `token` must be the value of a token of the node, which evaluates the call.
pub unsafe fn answer(token: pg_sys::Datum, asked: usize, place: Place) -> Result<Option<pg_sys::Datum>> {
    // SAFETY: as the caller promises; nothing else holds what waits while expressions are evaluated.
    unsafe { (*token.cast_mut_ptr::<Waiting>()).answer(asked, place) }
}
