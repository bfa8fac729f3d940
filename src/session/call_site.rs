//! One call of a scoring function in a plan: the model it resolved and the buffers it reuses from row to row.
//!
//! A statement keeps the version it began with, even when a deploy is committed while it runs; the next statement sees
//! the deploy. A call site can outlive a statement (in PL/pgSQL it lives as long as the transaction), so what it resolved
//! is asked for again when the snapshot is another one *and* the registry has changed since; the snapshot of a statement
//! does not change.

use e2i_core::Result;
use e2i_core::reading::Question;
use pgrx::pg_sys;

use crate::catalog::invalidation;
use crate::catalog::schema::Schema;
use crate::pg::snapshot;
use crate::session::engines::Preference;
use crate::session::target::Target;

/// Most models that one call site keeps, for a model argument that differs from row to row.
const MAX_TARGETS: usize = 64;

/// The state of one call site.
#[derive(Default)]
pub struct CallSite {
    /// Most often one; compared in order, which for that is cheaper than hashing the reference of every row.
    targets: Vec<(Box<str>, Target)>,
    /// For which snapshot and role the targets are good.
    seen: Option<Moment>,
}

/// A statement's snapshot, by what tells it from others, and the role it runs as.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Moment {
    snapshot: snapshot::Mark,
    user: pg_sys::Oid,
}

impl CallSite {
    /// The target of a reference, resolved on the first row of a statement.
    ///
    /// # Errors
    /// Unknown references, models that do not load, questions that a model cannot answer.
    pub fn target(
        &mut self,
        place: impl FnOnce() -> Result<(Schema, Preference)>,
        reference: &str,
        question: Question,
    ) -> Result<&mut Target> {
        self.forget_if_outdated();
        let index = match self.targets.iter().position(|(known, _)| **known == *reference) {
            Some(index) => index,
            None => {
                if self.targets.len() >= MAX_TARGETS {
                    self.targets.clear();
                }
                let (schema, preference) = place()?;
                let target = Target::resolve(schema, reference, question, preference)?;
                self.targets.push((reference.into(), target));
                self.targets.len() - 1
            }
        };
        Ok(&mut self.targets[index].1)
    }

    /// Under another snapshot: drops what was resolved before the registry changed. Under another role: drops everything.
    #[inline]
    fn forget_if_outdated(&mut self) {
        let now = Moment { snapshot: snapshot::mark(), user: snapshot::user() };
        let Some(seen) = self.seen.replace(now) else { return };
        if seen == now {
            return;
        }
        if seen.user != now.user {
            self.targets.clear();
            return;
        }
        // An expression of a PL/pgSQL function takes no lock, which is where a session usually hears of changes.
        invalidation::hear();
        let registry_changes = invalidation::registry_changes();
        self.targets.retain(|(_, target)| target.registry_changes == registry_changes);
    }
}
