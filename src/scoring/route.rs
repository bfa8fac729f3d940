//! Where references lead, kept by the session until the registry changes, and the scorers that wait there for the next
//! statement.
//!
//! What is kept is what the owner finds, the same for every role and engine: identities, shares, shadow and log. Whether the
//! caller may see those versions is asked in each statement ([`crate::scoring::cache`]).

use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use e2i_core::{Kept, ModelReference, Result};
use pgrx::pg_sys;

use crate::catalog::invalidation::{self, Standing};
use crate::catalog::model::{self, Route};
use crate::catalog::schema::Schema;
use crate::pg::snapshot::{self, Isolation};
use crate::scoring::arm::Asked;
use crate::scoring::engines::Preference;
use crate::scoring::scorer::Scorer;

/// Most references that a session keeps, some hundred bytes each.
const MAX_ROUTES: usize = 4096;

/// Most scorers that wait for one reference: as many as its calls in a common statement.
const MAX_IDLE: usize = 4;

/// A reference and where it leads.
pub struct Led {
    /// The reference.
    pub reference: ModelReference,
    /// Where it leads.
    pub route: Route,
    /// Scorers that no call site has. They go with the route; the versions of all of them are in the session's cache.
    idle: RefCell<Vec<Scorer>>,
}

/// A scorer in use at one place. When that ends it waits for the next statement.
pub struct Lease {
    led: Rc<Led>,
    scorer: Scorer,
}

/// Where a reference leads for the current statement.
pub struct Found {
    /// Where.
    pub led: Rc<Led>,
    /// Whether a query must say that the caller sees the versions: not where an earlier statement found it, for then they
    /// exist.
    pub must_ask: bool,
    /// For which statements it is right.
    pub standing: Option<Standing>,
}

#[derive(Default)]
struct Routes {
    registry: pg_sys::Oid,
    standing: Option<Standing>,
    routes: Kept<Rc<Led>>,
}

thread_local! {
    // Never dropped, as the cache of what the scorers hold.
    static ROUTES: ManuallyDrop<RefCell<Routes>> = ManuallyDrop::default();
}

impl Led {
    /// A scorer for this reference that waits, if there is one for the same question; the last one first.
    pub fn idle(self: &Rc<Self>, asked: &[Asked], preference: Preference) -> Option<Lease> {
        let mut idle = self.idle.borrow_mut();
        let place = idle.iter().rposition(|scorer| scorer.is_for(asked, preference))?;
        Some(Lease { led: self.clone(), scorer: idle.remove(place) })
    }

    /// A scorer for this reference.
    pub fn lease(self: &Rc<Self>, scorer: Scorer) -> Lease {
        Lease { led: self.clone(), scorer }
    }
}

impl Deref for Lease {
    type Target = Scorer;

    #[inline]
    fn deref(&self) -> &Scorer {
        &self.scorer
    }
}

impl DerefMut for Lease {
    #[inline]
    fn deref_mut(&mut self) -> &mut Scorer {
        &mut self.scorer
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut scorer = std::mem::take(&mut self.scorer);
        scorer.read_ahead(false);
        let mut idle = self.led.idle.borrow_mut();
        if scorer.may_wait() && idle.len() < MAX_IDLE {
            idle.push(scorer);
        }
    }
}

/// Drops the waiting scorers whose versions are no longer in the cache.
pub fn release() {
    ROUTES.with(|kept| {
        kept.borrow().routes.values().for_each(|led| led.idle.borrow_mut().retain(Scorer::is_cached));
    });
}

/// Where a reference leads now. The session must watch the registry and have heard of its changes.
///
/// # Errors
/// Unknown or malformed references.
pub fn find(schema: Schema, text: &str) -> Result<Found> {
    let registry = schema.registry();
    let standing = invalidation::standing();
    // What a SERIALIZABLE transaction depends on it must have read.
    let may_keep = standing.is_some() && snapshot::isolation() != Isolation::Serializable;
    let known = ROUTES.with(|kept| {
        let kept = &mut *kept.borrow_mut();
        let is_good = may_keep && kept.registry == registry && kept.standing == standing;
        if is_good { kept.routes.get(text).cloned() } else { None }
    });
    if let Some(led) = known {
        return Ok(Found { led, must_ask: false, standing });
    }
    let reference = ModelReference::parse(text)?;
    let route = model::route(schema, &reference)?;
    let led = Rc::new(Led { reference, route, idle: RefCell::default() });
    if may_keep && invalidation::is_whole(schema) {
        ROUTES.with(|kept| {
            let kept = &mut *kept.borrow_mut();
            if kept.registry != registry || kept.standing != standing {
                *kept = Routes { registry, standing, routes: Kept::default() };
            }
            if kept.routes.len() >= MAX_ROUTES {
                kept.routes.evict();
            }
            kept.routes.insert(text, led.clone(), 1);
        });
    }
    Ok(Found { led, must_ask: true, standing })
}
