//! One call of a scoring function in a plan: the model it resolved and the buffers it reuses from row to row.
//!
//! A statement keeps the version it began with, even when a deploy is committed while it runs; the next statement sees
//! the deploy. A call site can outlive a statement (in PL/pgSQL it lives as long as the transaction), so what it resolved
//! is asked for again when the snapshot is another one *and* has another standing: the registry has changed since. The
//! snapshot of a statement does not change.

use e2i_core::{Kept, Result};
use e2i_metrics::Function;
use pgrx::pg_sys;

use crate::catalog::invalidation::{self, Standing};
use crate::catalog::schema::Schema;
use crate::explain;
use crate::metrics::clock::Clock;
use crate::metrics::{counter, statement};
use crate::pg::call_site::Place;
use crate::pg::snapshot;
use crate::scoring::arm::Asked;
use crate::scoring::cache;
use crate::scoring::engines::Preference;
use crate::scoring::route::Lease;
use crate::scoring::scorer::Scorer;
use crate::settings;

/// Models that one call site keeps whatever they hold, for a model argument that differs from row to row.
const MIN_TARGETS: usize = 64;

/// Most models that it keeps; beyond those above only as long as all of them together are within `e2i_serve.session_cache_size`.
const MAX_TARGETS: usize = 4096;

/// The state of one call site.
#[derive(Default)]
pub struct CallSite {
    /// By reference. Most often it is that of the row before.
    targets: Kept<Target>,
    /// For which snapshot and role they are good.
    seen: Option<Moment>,
    /// Number of statements seen, and of calls.
    statements: u64,
    calls: u64,
    kind: Option<Kind>,
}

/// A reference that was resolved.
struct Target {
    scorer: Lease,
    /// For which statements it is right.
    standing: Option<Standing>,
    /// Number of the statement that used it last.
    statement: u64,
}

/// What a call is to its statement.
#[derive(Clone, Copy)]
enum Kind {
    /// One of many.
    Row,
    /// One of many, of which other processes may have some, at a place of this number.
    SharedRow(u64),
    /// The only one.
    Statement,
}

impl Kind {
    fn of(place: &Place) -> Self {
        match statement::is_shared(place) {
            true => Self::SharedRow(statement::number(place)),
            false if place.is_simple_expression() => Self::Statement,
            false => Self::Row,
        }
    }
}

/// A statement's snapshot, by what tells it from others, what of the registry was rolled back before, and the role it runs as.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Moment {
    snapshot: snapshot::Mark,
    undone: u32,
    user: pg_sys::Oid,
}

/// One call in so many is timed, besides the first of a statement, unless an EXPLAIN wants all: reading the clock twice costs 44 ns.
const CALLS_A_TIMING: u64 = 64;

impl CallSite {
    /// A call begins: forgets what is out of date, and starts the clock if the call is to be timed.
    #[inline]
    pub fn enter(&mut self, place: Place) -> Option<Clock> {
        let kind = *self.kind.get_or_insert_with(|| Kind::of(&place));
        let is_new = self.forget_if_outdated() || matches!(kind, Kind::Statement);
        self.statements += u64::from(is_new);
        self.calls += 1;
        let is_sampled = (is_new || self.calls.is_multiple_of(CALLS_A_TIMING)) && settings::metrics();
        (is_sampled || explain::is_timed()).then(|| Clock::start().drawn(!is_new))
    }

    /// What scores rows with a reference, resolved on the first row of a statement, where `check` may refuse it.
    ///
    /// # Errors
    /// Unknown references, models that do not load, questions that a model cannot answer, what `check` reports.
    #[inline]
    pub fn scorer(
        &mut self,
        place: impl FnOnce() -> Result<(Schema, Preference)>,
        reference: &str,
        asked: Asked,
        check: impl FnOnce(&Scorer) -> Result<()>,
    ) -> Result<&mut Scorer> {
        let index = match self.targets.find(reference) {
            Some(index) => index,
            None => self.resolve(place, reference, asked, check)?,
        };
        let target = self.targets.at(index);
        if target.statement != self.statements {
            target.statement = self.statements;
            target.scorer.request(match self.kind {
                Some(Kind::SharedRow(number)) => Some(number),
                _ => None,
            });
        }
        Ok(&mut target.scorer)
    }

    #[cold]
    fn resolve(
        &mut self,
        place: impl FnOnce() -> Result<(Schema, Preference)>,
        reference: &str,
        asked: Asked,
        check: impl FnOnce(&Scorer) -> Result<()>,
    ) -> Result<usize> {
        let found = place().and_then(|(schema, preference)| cache::scorer(schema, reference, &[asked], preference));
        let found = found.and_then(|found| check(&found.0).map(|()| found));
        let (scorer, standing) = found.inspect_err(|error| {
            counter::unresolved(asked.function.unwrap_or(Function::Predict), error.kind());
        })?;
        Ok(self.keep(reference, Target { scorer, standing, statement: 0 }))
    }

    /// Under another snapshot: drops what is not right for it. Under another role: drops everything.
    /// Whether anything is another than before.
    #[inline]
    fn forget_if_outdated(&mut self) -> bool {
        let now = Moment { snapshot: snapshot::mark(), undone: invalidation::undone(), user: snapshot::user() };
        let Some(seen) = self.seen.replace(now) else { return true };
        if seen == now {
            return false;
        }
        if seen.user != now.user {
            self.targets.clear();
            return true;
        }
        // An expression of a PL/pgSQL function takes no lock, which is where a session usually hears of changes.
        invalidation::hear();
        let standing = invalidation::standing();
        self.targets.retain(|target| standing.is_some() && target.standing == standing);
        true
    }

    /// Keeps a target, and says at which place.
    #[cold]
    fn keep(&mut self, reference: &str, target: Target) -> usize {
        let bytes = target.scorer.models().map(|model| model.memory_bytes()).sum();
        let limit = settings::session_cache_bytes();
        while self.targets.len() >= MAX_TARGETS
            || self.targets.len() >= MIN_TARGETS && self.targets.weight() + bytes > limit
        {
            self.targets.evict();
        }
        self.targets.insert(reference, target, bytes)
    }
}
