//! Statistics that a user keeps of scores, by CREATE STATISTICS on a scoring call: found again where that call was rewritten.
//!
//! The planner looks for the statistics of an expression by comparing expressions, and what is stored is the call as it was written.
//! So it is rewritten there as well, for this statement, if the statement has a scoring call. The server keeps none of calls with whole
//! rows; those of the same columns in JSON stand for them.

use once_cell::sync::OnceCell;
use pgrx::{pg_guard, pg_sys};

use crate::pg::{major, tree};
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
        let rows: Vec<_> = tree::members((*found).statlist).filter_map(|statistics| of_rows(statistics)).collect();
        for statistics in rows {
            (*found).statlist = pg_sys::lappend((*found).statlist, statistics.cast());
        }
    }
}

/// Statistics of an expression with calls of JSON, as those of calls of rows; `None` where there is none.
unsafe fn of_rows(statistics: *mut pg_sys::StatisticExtInfo) -> Option<*mut pg_sys::StatisticExtInfo> {
    // SAFETY: one of the relation's, whose expressions were rewritten; what is made is a copy.
    unsafe {
        if (*statistics).kind.cast_unsigned() != major::STATISTICS_OF_EXPRESSIONS {
            return None;
        }
        let mut is_found = false;
        let expressions = tree::changed((*statistics).exprs, &mut |node| {
            let row = of_row(&Call::of(node)?)?;
            is_found = true;
            Some(row.cast())
        });
        if !is_found {
            return None;
        }
        let other = tree::make::<pg_sys::StatisticExtInfo>((*statistics).type_);
        *other = *statistics;
        (*other).exprs = expressions;
        Some(other)
    }
}

/// A planned call of JSON of columns, as one of the row that has these columns in the table's order.
unsafe fn of_row(call: &Call) -> Option<*mut pg_sys::FuncExpr> {
    // SAFETY: nodes of the expression; what is made is a copy.
    unsafe {
        let row = tree::cast::<pg_sys::RowExpr, _>(call.features(), pg_sys::NodeTag::T_RowExpr);
        let row = row.filter(|_| call.is_as_json())?;
        let values = tree::members::<pg_sys::Var>((*row).args);
        let mut columns: Vec<_> = values.zip(tree::members::<pg_sys::Node>((*row).colnames)).collect();
        if columns.iter().any(|(value, _)| tree::tag(*value) != pg_sys::NodeTag::T_Var) {
            return None;
        }
        columns.sort_by_key(|(value, _)| (**value).varattno);
        let other = tree::copy(call.expression());
        let row = tree::copy(row);
        (*row).args = tree::list(columns.iter().map(|(value, _)| *value));
        (*row).colnames = tree::list(columns.iter().map(|(_, name)| *name));
        tree::replace((*other).args, 1, row);
        tree::replace((*other).args, 3, pg_sys::makeBoolConst(false, false));
        Some(other)
    }
}
