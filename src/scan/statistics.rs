//! Statistics that a user keeps of scores, by CREATE STATISTICS on a scoring call: found again where that call was rewritten.
//!
//! The planner looks for the statistics of an expression by comparing expressions, and what is stored is the call as it was written.
//! So it is rewritten there as well, for this statement, if the statement has a scoring call.

use once_cell::sync::OnceCell;
use pgrx::{pg_guard, pg_sys};

use crate::pg::tree;
use crate::scan::call::Call;
use crate::scan::{rewrite, support};

static PREVIOUS: OnceCell<pg_sys::get_relation_info_hook_type> = OnceCell::new();

/// Begins to look; called once, when the library is loaded.
pub fn listen() {
    // SAFETY: nothing else runs while a library is loaded; the function is never unloaded.
    unsafe {
        let _ = PREVIOUS.set(pg_sys::get_relation_info_hook);
        pg_sys::get_relation_info_hook = Some(look);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn look(
    root: *mut pg_sys::PlannerInfo,
    relation: pg_sys::Oid,
    has_children: bool,
    found: *mut pg_sys::RelOptInfo,
) {
    // SAFETY: the planner's own arguments, passed on; then what it has found of a relation, for this statement alone.
    unsafe {
        if let Some(previous) = PREVIOUS.get().copied().flatten() {
            #[allow(ffi_unwind_calls)]
            pg_sys::ffi::pg_guard_ffi_boundary(|| previous(root, relation, has_children, found));
        }
        if !support::has_seen() {
            return;
        }
        for statistics in tree::members::<pg_sys::StatisticExtInfo>((*found).statlist) {
            let expressions = (*statistics).exprs;
            if expressions.is_null() {
                continue;
            }
            (*statistics).exprs = tree::changed(expressions, &mut |node| {
                Call::of(node).and_then(|call| rewrite::rewritten(root, &call)).map(|call| call.cast())
            });
        }
    }
}
