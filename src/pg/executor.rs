//! Running plans and expressions as the server's own nodes do: inline, and without the guards that pgrx puts around every function of
//! the server.
//!
//! What a plan raises then passes through the caller as it passes through a node in C, with all its fields, and is not made an error of
//! Rust's and back. So whoever calls these must be called by the server without a guard, and have nothing to drop.

#![allow(ffi_unwind_calls, reason = "see above")]

use pgrx::pg_sys;

#[allow(non_snake_case)]
mod unguarded {
    use pgrx::pg_sys;

    unsafe extern "C-unwind" {
        pub fn ExecReScan(node: *mut pg_sys::PlanState);
        pub fn ExecInitNode(
            plan: *mut pg_sys::Plan,
            estate: *mut pg_sys::EState,
            flags: std::ffi::c_int,
        ) -> *mut pg_sys::PlanState;
        pub fn ExecEndNode(node: *mut pg_sys::PlanState);
        pub fn slot_getsomeattrs_int(slot: *mut pg_sys::TupleTableSlot, count: std::ffi::c_int);
        pub fn MemoryContextReset(context: pg_sys::MemoryContext);
        pub fn ProcessInterrupts();
        pub fn standard_ExecutorStart(query: *mut pg_sys::QueryDesc, flags: std::ffi::c_int);
        pub fn standard_planner(
            query: *mut pg_sys::Query,
            text: *const std::ffi::c_char,
            options: std::ffi::c_int,
            parameters: pg_sys::ParamListInfo,
        ) -> *mut pg_sys::PlannedStmt;
    }
}

pub use unguarded::{
    ExecEndNode as end, ExecInitNode as begin, ExecReScan as restart, standard_ExecutorStart as standard_start,
    standard_planner,
};

/// The next row of a plan; null where there is none.
///
/// # Safety
/// The plan must be run, and the caller as this file says.
#[inline]
pub unsafe fn next(node: *mut pg_sys::PlanState) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: as the caller promises; every node has this function.
    unsafe {
        if !(*node).chgParam.is_null() {
            unguarded::ExecReScan(node);
        }
        match (*node).ExecProcNode {
            Some(next) => match next(node) {
                slot if slot.is_null() || is_empty(slot) => std::ptr::null_mut(),
                slot => slot,
            },
            None => std::ptr::null_mut(),
        }
    }
}

unsafe fn is_empty(slot: *mut pg_sys::TupleTableSlot) -> bool {
    // SAFETY: a slot.
    unsafe { (*slot).tts_flags & pg_sys::TTS_FLAG_EMPTY as u16 != 0 }
}

/// Takes a row's first columns apart.
///
/// # Safety
/// As [`next`]; the row must have these columns.
#[inline]
pub unsafe fn take_apart(slot: *mut pg_sys::TupleTableSlot, columns: i16) {
    // SAFETY: as the caller promises.
    unsafe {
        if (*slot).tts_nvalid < columns {
            unguarded::slot_getsomeattrs_int(slot, columns.into());
        }
    }
}

/// Empties a slot.
///
/// # Safety
/// As [`next`].
#[inline]
pub unsafe fn clear(slot: *mut pg_sys::TupleTableSlot) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: as the caller promises; every kind of slot has this function.
    unsafe {
        if let Some(clear) = (*(*slot).tts_ops).clear {
            clear(slot);
        }
        slot
    }
}

/// Says that a slot holds a row, all of whose columns are written into what is returned, values and whether they are NULL.
///
/// # Safety
/// As [`next`]; the slot must be of the kind whose rows are values side by side.
#[inline]
pub unsafe fn begin_row(slot: *mut pg_sys::TupleTableSlot) -> (*mut pg_sys::Datum, *mut bool) {
    // SAFETY: as the caller promises.
    unsafe {
        if (*slot).tts_flags & pg_sys::TTS_FLAG_SHOULDFREE as u16 != 0 {
            clear(slot);
        }
        (*slot).tts_flags &= !(pg_sys::TTS_FLAG_EMPTY as u16);
        (*slot).tts_nvalid = (*(*slot).tts_tupleDescriptor).natts as i16;
        ((*slot).tts_values, (*slot).tts_isnull)
    }
}

/// Frees what was made for the row before.
///
/// # Safety
/// As [`next`].
#[inline]
pub unsafe fn forget(context: *mut pg_sys::ExprContext) {
    // SAFETY: as the caller promises.
    unsafe { unguarded::MemoryContextReset((*context).ecxt_per_tuple_memory) };
}

/// Ends the statement if an interrupt is waiting.
///
/// # Safety
/// As [`next`].
#[inline]
pub unsafe fn interrupt() {
    // SAFETY: reads a variable that signal handlers write; as the caller promises.
    unsafe {
        if (&raw const pg_sys::InterruptPending).read_volatile() != 0 {
            unguarded::ProcessInterrupts();
        }
    }
}

/// Whether a row fulfils conditions.
///
/// # Safety
/// As [`next`]; the conditions must be initialised, or null for none.
#[inline]
pub unsafe fn fulfils(conditions: *mut pg_sys::ExprState, context: *mut pg_sys::ExprContext) -> bool {
    // SAFETY: as the caller promises.
    unsafe { conditions.is_null() || evaluate(conditions, context).value() as u8 != 0 }
}

/// The row that a node hands on.
///
/// # Safety
/// As [`next`].
#[inline]
pub unsafe fn project(projection: *mut pg_sys::ProjectionInfo) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: as the caller promises; the slot is of the kind whose values an expression writes.
    unsafe {
        let state = &raw mut (*projection).pi_state;
        let slot = clear((*state).resultslot);
        evaluate(state, (*projection).pi_exprContext);
        (*slot).tts_flags &= !(pg_sys::TTS_FLAG_EMPTY as u16);
        (*slot).tts_nvalid = (*(*slot).tts_tupleDescriptor).natts as i16;
        slot
    }
}

#[inline]
unsafe fn evaluate(state: *mut pg_sys::ExprState, context: *mut pg_sys::ExprContext) -> pg_sys::Datum {
    // SAFETY: as the callers promise; every expression that is initialised has this function.
    unsafe {
        let before = pg_sys::CurrentMemoryContext;
        pg_sys::CurrentMemoryContext = (*context).ecxt_per_tuple_memory;
        let mut is_null = false;
        let value = match (*state).evalfunc {
            Some(evaluate) => evaluate(state, context, &raw mut is_null),
            None => pg_sys::Datum::from(0),
        };
        pg_sys::CurrentMemoryContext = before;
        value
    }
}
