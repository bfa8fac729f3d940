//! The first statement of a session that scores, where nothing has loaded the library before.
//!
//! It is loaded while the planner plans that statement, too late for the hook that changes finished plans. So the plan is changed
//! when it is run; a copy, because a cache may keep it. What caches keep is planned anew.

#![allow(ffi_unwind_calls, reason = "what a plan raises passes through, see `pg::executor`")]

use std::ffi::c_int;

use once_cell::sync::OnceCell;
use pgrx::{pg_guard, pg_sys};

use crate::pg::{executor, sqlstate, tree};
use crate::scan::{node, support};
use crate::settings;

static PREVIOUS: OnceCell<pg_sys::ExecutorStart_hook_type> = OnceCell::new();

/// Begins to look at statements that are run, where the library was not there from the start; called once, when it is loaded.
pub fn listen() {
    // SAFETY: nothing else runs while a library is loaded; the function is never unloaded.
    unsafe {
        if !pg_sys::process_shared_preload_libraries_in_progress {
            let _ = PREVIOUS.set(pg_sys::ExecutorStart_hook);
            pg_sys::ExecutorStart_hook = Some(start);
        }
    }
}

/// Without a guard: what the executor raises passes as it would without this.
unsafe extern "C-unwind" fn start(query: *mut pg_sys::QueryDesc, flags: c_int) {
    // SAFETY: the server's own arguments, passed on.
    unsafe {
        if support::take_missed() {
            change(query);
        }
        match PREVIOUS.get().copied().flatten() {
            Some(previous) => previous(query, flags),
            None => executor::standard_start(query, flags),
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn change(query: *mut pg_sys::QueryDesc) {
    if !settings::batch_scan() {
        return;
    }
    // SAFETY: a statement that begins; the copy lives as long as its description, which was made in the same memory just before.
    sqlstate::keeping(|| unsafe {
        let portal = pg_sys::ActivePortal;
        let options = if portal.is_null() { 0 } else { (*portal).cursorOptions };
        let planned = tree::copy((*query).plannedstmt);
        node::change(planned, options);
        (*query).plannedstmt = planned;
        pg_sys::ResetPlanCache();
    });
}
