//! Where references lead, kept by the session until the registry changes.
//!
//! What is kept is what the owner finds, the same for every role and engine: identities, shares, shadow and log. Whether the
//! caller may see those versions is asked in each statement ([`crate::scoring::cache`]).

use std::cell::RefCell;
use std::rc::Rc;

use e2i_core::{Kept, ModelReference, Result};
use pgrx::pg_sys;

use crate::catalog::invalidation::{self, Standing};
use crate::catalog::model::{self, Route};
use crate::catalog::schema::Schema;
use crate::pg::snapshot::{self, Isolation};

/// Most references that a session keeps, some hundred bytes each.
const MAX_ROUTES: usize = 4096;

/// A reference and where it leads.
pub struct Led {
    /// The reference.
    pub reference: ModelReference,
    /// Where it leads.
    pub route: Route,
}

/// Where a reference leads for the current statement.
pub struct Found {
    /// Where.
    pub led: Rc<Led>,
    /// Whether it was kept: an earlier statement found it, and the versions exist.
    pub is_kept: bool,
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
    static ROUTES: RefCell<Routes> = RefCell::default();
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
    let known = ROUTES.with_borrow_mut(|kept| {
        let is_good = may_keep && kept.registry == registry && kept.standing == standing;
        if is_good { kept.routes.get(text).cloned() } else { None }
    });
    if let Some(led) = known {
        return Ok(Found { led, is_kept: true, standing });
    }
    let reference = ModelReference::parse(text)?;
    let route = model::route(schema, &reference)?;
    let led = Rc::new(Led { reference, route });
    if may_keep && invalidation::is_whole(schema) {
        ROUTES.with_borrow_mut(|kept| {
            if kept.registry != registry || kept.standing != standing {
                *kept = Routes { registry, standing, routes: Kept::default() };
            }
            if kept.routes.len() >= MAX_ROUTES {
                kept.routes.evict();
            }
            kept.routes.insert(text, led.clone(), 1);
        });
    }
    Ok(Found { led, is_kept: false, standing })
}
