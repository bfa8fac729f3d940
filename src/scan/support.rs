//! The planner support function of the scoring functions.

use std::cell::Cell;

use pgrx::{pg_guard, pg_sys};

use crate::scan::call::Call;
use crate::scan::rewrite;

thread_local! {
    /// Whether a scoring call was seen in the planning that is under way.
    static SEEN: Cell<bool> = const { Cell::new(false) };
    /// Whether any planning has begun since the library was loaded.
    static HAS_BEGUN: Cell<bool> = const { Cell::new(false) };
    /// Whether a scoring call was seen before that, in a planning that had begun when the library was not there.
    static IS_MISSED: Cell<bool> = const { Cell::new(false) };
}

/// A statement begins to be planned; what that around it has seen, to be given back.
pub fn begin() -> bool {
    HAS_BEGUN.set(true);
    SEEN.replace(false)
}

/// It was planned: whether it holds a scoring call. After an error nobody says so, and the planning around it may look in vain.
pub fn end(outer: bool) -> bool {
    SEEN.replace(outer)
}

/// Whether a planning was missed that has seen a scoring call; asked for once.
pub fn take_missed() -> bool {
    IS_MISSED.take()
}

/// Whether the statement that is being planned holds a scoring call.
pub fn has_seen() -> bool {
    SEEN.get()
}

/// Says which calling convention the function has.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_e2i_scoring_support() -> &'static pg_sys::Pg_finfo_record {
    const VERSION_1: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
    &VERSION_1
}

/// See the function of the same name in `sql/scoring.sql`. Raises nothing of its own: planning is no reason to fail.
///
/// # Safety
/// Called by the planner only, with a request.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn e2i_scoring_support(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: the planner passes a request, a node that says which; nobody else has a value of type internal.
    unsafe {
        let request = (*fcinfo).args.as_slice(1)[0].value.cast_mut_ptr::<pg_sys::Node>();
        if (*request).type_ == pg_sys::NodeTag::T_SupportRequestSimplify {
            return pg_sys::Datum::from(simplified(&*request.cast()));
        }
        if (*request).type_ == pg_sys::NodeTag::T_SupportRequestCost {
            return pg_sys::Datum::from(costed(&mut *request.cast()));
        }
    }
    pg_sys::Datum::from(0)
}

/// What takes the place of a call; null for nothing. Without a planner there is no plan to be kept up to date: so expressions of
/// indexes are simplified, and CHECKs.
///
/// # Safety
/// The request must be one of the planner's.
unsafe fn simplified(request: &pg_sys::SupportRequestSimplify) -> *mut pg_sys::FuncExpr {
    SEEN.set(true);
    if !HAS_BEGUN.get() {
        IS_MISSED.set(true);
    }
    if request.root.is_null() {
        return std::ptr::null_mut();
    }
    // SAFETY: as the caller promises.
    unsafe {
        let call = Call::of(request.fcall.cast());
        call.and_then(|call| rewrite::rewritten(request.root, &call)).unwrap_or(std::ptr::null_mut())
    }
}

/// Says what a call costs, with the request as the answer; null where nothing is known.
///
/// # Safety
/// The request must be one of the planner's.
unsafe fn costed(request: &mut pg_sys::SupportRequestCost) -> *mut pg_sys::SupportRequestCost {
    if request.root.is_null() {
        return std::ptr::null_mut();
    }
    // SAFETY: as the caller promises; reads a setting of the server's.
    unsafe {
        let Some(cost) = Call::of(request.node).and_then(|call| rewrite::cost(request.root, &call)) else {
            return std::ptr::null_mut();
        };
        request.startup = 0.0;
        request.per_tuple = cost * pg_sys::cpu_operator_cost;
    }
    request
}
