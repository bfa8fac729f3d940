//! The planner support function of the scoring functions.

use std::cell::Cell;

use pgrx::{pg_guard, pg_sys};

thread_local! {
    /// Whether a scoring call was seen in the planning that is under way.
    static SEEN: Cell<bool> = const { Cell::new(false) };
}

/// Runs `plan`, and says whether a statement that is planned there, and not in a planning within that one, holds a scoring call.
pub fn watch<R>(plan: impl FnOnce() -> R) -> (R, bool) {
    /// Puts back what the planning around this one has seen, also when an error unwinds.
    struct Outer(bool);
    impl Drop for Outer {
        fn drop(&mut self) {
            SEEN.set(self.0);
        }
    }
    let _outer = Outer(SEEN.replace(false));
    let planned = plan();
    (planned, SEEN.get())
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
            SEEN.set(true);
        }
    }
    pg_sys::Datum::from(0)
}
