//! Calls that ask why a row has its score.

use e2i_core::{Error, Kind, Result};
use pgrx::pg_sys;

use crate::catalog::schema::Schema;
use crate::pg::tree;
use crate::scan::call::{Explain, ScoringFunction};
use crate::scan::ready::Ready;
use crate::scan::spec::Question;
use crate::scoring::Scorer;

/// Explains the rows of a call.
pub struct Explaining {
    made: Explain,
    /// Expressions of the plan.
    options: Vec<*mut pg_sys::ExprState>,
    /// Their values, once a statement has begun; they are constants' and parameters' own.
    values: Vec<Option<pg_sys::Datum>>,
}

impl Explaining {
    /// Of the function of a call, if it explains.
    ///
    /// # Safety
    /// The question must be of the plan of `parent`, and the call one of its calls.
    pub unsafe fn new(
        function: &ScoringFunction,
        question: &Question,
        call: usize,
        parent: *mut pg_sys::PlanState,
    ) -> Option<Self> {
        let (_, made) = function.explains?;
        let options = question.options.get(call).copied().unwrap_or(std::ptr::null_mut());
        // SAFETY: as the caller promises.
        unsafe {
            let options = tree::members::<pg_sys::Expr>(options).map(|option| pg_sys::ExecInitExpr(option, parent));
            Some(Self { made, options: options.collect(), values: vec![] })
        }
    }

    /// A statement begins: its options are worked out, which are the same for all rows.
    ///
    /// # Safety
    /// `context` must be that of the plan.
    pub unsafe fn begin(&mut self, context: *mut pg_sys::ExprContext) {
        self.values.clear();
        for option in &self.options {
            let mut is_null = false;
            // SAFETY: as the caller promises.
            let value = unsafe { pg_sys::ExecEvalExprSwitchContext(*option, context, &raw mut is_null) };
            self.values.push((!is_null).then_some(value));
        }
    }

    /// What the function returns for a row of the scorer's. Where `batch` rows are bound, those of all are made and kept ready, unless that was
    /// tried.
    ///
    /// # Errors
    /// Those of the scalar call.
    ///
    /// # Safety
    /// `memory` must be a memory context that stays as long as what is ready.
    pub unsafe fn answer(
        &self,
        scorer: &mut Scorer,
        schema: Schema,
        (row, batch): (usize, Option<usize>),
        ready: &mut Ready,
        memory: pg_sys::MemoryContext,
    ) -> Result<Option<pg_sys::Datum>> {
        if let Some(rows) = batch
            && !ready.is_tried()
        {
            // SAFETY: as the caller promises.
            unsafe { ready.keep(rows, memory, || (self.made)(scorer, schema, None, &self.values)) };
            if let Some(made) = ready.get(row) {
                return Ok(Some(made));
            }
        }
        let made = (self.made)(scorer, schema, Some(row), &self.values)?;
        let made = made.and_then(|made| made.first().copied());
        made.map(Some).ok_or_else(|| Error::new(Kind::Internal, "a row was not explained"))
    }
}
