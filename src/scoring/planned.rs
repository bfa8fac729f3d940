//! What a plan may know of a reference before anything is run: which versions may answer, and what they take. No model is loaded,
//! nothing is raised, and who may not see a version learns nothing of it.
//!
//! A plan outlives the moment in which it was made. The registry's relation is among what it depends on, so the server makes it
//! anew after a deployment; a statement that began to run before it could hear of one is told to try again where that matters
//! ([`require`]).

use std::cell::RefCell;
use std::collections::HashMap;
use std::mem::ManuallyDrop;
use std::rc::Rc;
use std::sync::Arc;

use e2i_core::{Binder, Error, Kind, ModelReference, Result};
use pgrx::{FromDatum, pg_sys};

use crate::catalog::calibration;
use crate::catalog::invalidation::{self, Standing};
use crate::catalog::model::{self, ModelId, Route, describe};
use crate::catalog::schema::Schema;
use crate::pg::{encoding, query, snapshot};
use crate::scoring::route;
use crate::scoring::scorer::Scorer;

/// Versions of which a session keeps what they take, some hundred bytes a feature.
const MAX_KNOWN: usize = 64;

/// A version that may answer.
pub struct Answering {
    /// What it takes.
    pub binder: Binder,
    /// The columns besides by which groups of its rows are told, where it is calibrated by group.
    pub grouped_by: Vec<String>,
    /// What a row costs the planner, in units of an operator of SQL; `None` for what the function is declared with.
    pub cost: Option<f32>,
}

/// Versions, and the number of registry changes since which they are as they were read.
type Known = (u64, HashMap<ModelId, Rc<Answering>>);

thread_local! {
    // Never dropped, as what else a session keeps of versions.
    static KNOWN: ManuallyDrop<RefCell<Known>> = ManuallyDrop::default();
}

/// The versions that may answer to a reference: the one that is meant, those that share its traffic, the shadow; what the current
/// statement sees, and what is committed by now, for the plan may be run by a later one. `None` where the caller does not see all
/// of each row of the registry, and where the reference leads nowhere.
pub fn versions(schema: Schema, text: &str) -> Option<Vec<Rc<Answering>>> {
    if schema.registry() == pg_sys::Oid::INVALID || !schema.is_whole() || !snapshot::is_of_statement() {
        return None;
    }
    encoding::require_utf8().ok()?;
    invalidation::watch(schema);
    invalidation::hear();
    let found = route::find(schema, text).ok()?;
    let reference = &found.led.reference;
    let mut versions = Vec::new();
    add(schema, reference, &found.led.route, &mut versions)?;
    if !matches!(found.standing, Some(Standing::Latest(_))) {
        if snapshot::is_shared() {
            return None;
        }
        query::under_latest(|| {
            let route = model::route(schema, reference).ok()?;
            add(schema, reference, &route, &mut versions)
        })?;
    }
    Some(versions)
}

/// Adds what a route leads to, each version once.
fn add(schema: Schema, reference: &ModelReference, route: &Route, versions: &mut Vec<Rc<Answering>>) -> Option<()> {
    let shares = route.traffic.iter().map(|(id, _)| id);
    for id in std::iter::once(&route.id).chain(shares).chain(route.shadow.as_ref().map(|(id, _)| id)) {
        let version = known(schema, id, reference)?;
        if !versions.iter().any(|other| Rc::ptr_eq(other, &version)) {
            versions.push(version);
        }
    }
    Some(())
}

fn known(schema: Schema, id: &ModelId, reference: &ModelReference) -> Option<Rc<Answering>> {
    let changes = invalidation::registry_changes();
    let version = KNOWN.with(|known| {
        let known = known.borrow();
        if known.0 == changes { known.1.get(id).cloned() } else { None }
    });
    if version.is_some() {
        return version;
    }
    let version = describe(schema, id, reference).ok()?;
    let model = version.reference();
    let binder = Binder::new(Arc::new(version.interface), model);
    let version = Rc::new(Answering { binder, grouped_by: calibration::groupings(schema, id), cost: version.cost });
    KNOWN.with(|known| {
        let mut known = known.borrow_mut();
        if known.0 != changes || known.1.len() >= MAX_KNOWN {
            *known = Known::default();
        }
        known.0 = changes;
        known.1.insert(*id, version.clone());
    });
    Some(version)
}

/// The version that a call was planned for, if it is one. `versions` is an array of texts.
///
/// # Safety
/// `versions` must be a valid value of that type.
pub unsafe fn only(versions: pg_sys::Datum) -> Option<String> {
    // SAFETY: as the caller promises.
    let mut versions: Vec<String> = unsafe { FromDatum::from_datum(versions, false) }?;
    versions.pop().filter(|_| versions.is_empty())
}

/// Whether a call that was planned for these versions gives each that scores it what it takes: a version that it was planned for,
/// or one of whose features `holds_all` says that none is missing. `versions` is an array of texts.
///
/// # Errors
/// [`Kind::Conflict`] for another version, whose features may have been left out. The next plan is a new one.
///
/// # Safety
/// `versions` must be a valid value of that type.
#[cold]
pub unsafe fn require(scorer: &Scorer, versions: pg_sys::Datum, holds_all: impl Fn(&Binder) -> bool) -> Result<()> {
    // SAFETY: as the caller promises.
    let versions: Vec<String> = unsafe { FromDatum::from_datum(versions, false) }.unwrap_or_default();
    let is_known = |model: &str| versions.iter().any(|version| version == model);
    let other = scorer.models().find(|model| !is_known(model.reference()) && !holds_all(&model.binder));
    let Some(other) = other else { return Ok(()) };
    // SAFETY: marks what this session has planned as out of date. Most often the registry's change has done so already.
    unsafe { pg_sys::ResetPlanCache() };
    let message = format!("model {} was deployed after the statement was planned", other.reference());
    Err(Error::new(Kind::Conflict, message)
        .with_detail(format!(
            "The plan reads the columns that {} needs, and this version takes others.",
            versions.join(", ")
        ))
        .with_hint("Try again."))
}
