//! What a function makes of the answers to its rows, where it does not return them as they are.

use e2i_core::{Answer, Result};
use pgrx::pg_sys;

use crate::datum::result::Float8Rows;
use crate::pg::tree;
use crate::scan::call::{Finish, ScoringFunction};
use crate::scan::spec::Question;
use crate::scoring::Scorer;

/// Makes of an answer what a function returns.
pub struct Finishing {
    made: Finish,
    /// An expression of the plan; null for a function without one.
    level: *mut pg_sys::ExprState,
    /// Its value, once a statement has begun.
    value: f64,
    rows: Option<Float8Rows>,
}

impl Finishing {
    /// Of the function of a call, if it makes something of answers.
    ///
    /// # Safety
    /// The question must be of the plan of `parent`, and the call one of its calls.
    pub unsafe fn new(
        function: &ScoringFunction,
        question: &Question,
        call: usize,
        parent: *mut pg_sys::PlanState,
    ) -> Option<Self> {
        let (_, made) = function.calibrated?;
        // SAFETY: as the caller promises.
        unsafe {
            let options = question.options.get(call).copied().unwrap_or(std::ptr::null_mut());
            let level = tree::members::<pg_sys::Node>(options).next();
            let level = level.map_or(std::ptr::null_mut(), |level| pg_sys::ExecInitExpr(level.cast(), parent));
            Some(Self { made, level, value: f64::NAN, rows: function.rows(question.asked[call]) })
        }
    }

    /// A statement begins: its level is worked out, which is the same for all rows.
    ///
    /// # Safety
    /// `context` must be that of the plan.
    pub unsafe fn begin(&mut self, context: *mut pg_sys::ExprContext) {
        if self.level.is_null() {
            return;
        }
        let mut is_null = false;
        // SAFETY: as the caller promises; a level is a float8.
        let level = unsafe { pg_sys::ExecEvalExprSwitchContext(self.level, context, &raw mut is_null) };
        // For a level that is NULL nobody asks.
        self.value = if is_null { f64::NAN } else { f64::from_bits(level.value() as u64) };
    }

    /// What the function returns; `None` is NULL.
    ///
    /// # Errors
    /// What it reports.
    #[inline]
    pub fn made(&self, scorer: &Scorer, place: (usize, usize), answer: &Answer) -> Result<Option<pg_sys::Datum>> {
        (self.made)(scorer, place, answer, self.value, self.rows.as_ref())
    }
}
