//! One call of a scoring function in a plan: the model it resolved and the buffers it reuses from row to row.
//!
//! A statement keeps the version it began with, even when a deploy is committed while it runs; the next statement sees
//! the deploy. A call site can outlive a statement (in PL/pgSQL it lives as long as the transaction), so what it resolved
//! is asked for again when the registry has changed *and* the snapshot is another one; the snapshot of a statement does
//! not change.

use std::collections::HashMap;
use std::rc::Rc;

use e2i_core::reading::{Question, needed};
use e2i_core::{Batch, OutputSet, Outputs, Result};
use pgrx::pg_sys;

use crate::catalog::invalidation;
use crate::catalog::schema::Schema;
use crate::datum::features::FeatureSource;
use crate::pg::role;
use crate::session::cache;
use crate::session::model::LoadedModel;

/// Most models that one call site keeps, for a model argument that differs from row to row.
const MAX_TARGETS: usize = 64;

/// The state of one call site.
#[derive(Default)]
pub struct CallSite {
    targets: HashMap<Box<str>, Target>,
    /// The target of the row before, under its name.
    last: Option<Box<str>>,
    resolved_for: Option<Moment>,
}

/// A resolved model with this call site's buffers for it.
pub struct Target {
    /// The model.
    pub model: Rc<LoadedModel>,
    /// Which outputs the question needs.
    pub wanted: OutputSet,
    /// How the features are found in the source.
    pub source: FeatureSource,
    /// One row.
    pub batch: Batch,
    /// Its outputs.
    pub outputs: Outputs,
}

/// When and for whom references were resolved.
#[derive(Clone, PartialEq, Eq)]
struct Moment {
    registry_changes: u64,
    user: pg_sys::Oid,
    snapshot: (u32, u32, u32, u32, u64),
}

impl CallSite {
    /// The target of a reference, resolved on the first row of a statement.
    ///
    /// # Errors
    /// Unknown references, models that do not load, questions that a model cannot answer.
    pub fn target(
        &mut self,
        schema: impl FnOnce() -> Schema,
        reference: &str,
        question: Question,
    ) -> Result<&mut Target> {
        self.forget_if_outdated();
        let known = match &self.last {
            Some(last) => **last == *reference || self.targets.contains_key(reference),
            None => false,
        };
        if !known {
            if self.targets.len() >= MAX_TARGETS {
                self.targets.clear();
            }
            let model = cache::model(schema(), reference)?;
            let wanted = needed(model.interface(), question, model.reference())?;
            let batch = Batch::new(&model.interface().inputs, 1);
            let target = Target { model, wanted, source: FeatureSource::default(), batch, outputs: Outputs::default() };
            self.targets.insert(reference.into(), target);
            // After resolving, which may itself have noticed the table for the first time.
            self.resolved_for = Some(Moment::now());
        }
        if self.last.as_deref() != Some(reference) {
            self.last = Some(reference.into());
        }
        self.targets
            .get_mut(reference)
            .ok_or_else(|| e2i_core::Error::new(e2i_core::Kind::Internal, "a call site lost its model"))
    }

    #[inline]
    fn forget_if_outdated(&mut self) {
        let Some(then) = &self.resolved_for else { return };
        if then.registry_changes == invalidation::registry_changes() && then.user == role::current() {
            return;
        }
        let now = Moment::now();
        if now.snapshot != then.snapshot || now.user != then.user {
            self.targets.clear();
            self.last = None;
            self.resolved_for = None;
        }
    }
}

impl Moment {
    fn now() -> Self {
        // SAFETY: a function is called under an active snapshot; its fields are plain data.
        let snapshot = unsafe {
            if pg_sys::ActiveSnapshotSet() {
                let snapshot = &*pg_sys::GetActiveSnapshot();
                (
                    snapshot.xmin.into_inner(),
                    snapshot.xmax.into_inner(),
                    snapshot.xcnt,
                    snapshot.curcid,
                    snapshot.snapXactCompletionCount,
                )
            } else {
                (0, 0, 0, 0, 0)
            }
        };
        Self { registry_changes: invalidation::registry_changes(), user: role::current(), snapshot }
    }
}
