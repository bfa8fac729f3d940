//! What this backend keeps between calls: loaded models, and which of them a reference means.
//!
//! Three levels: a call site keeps what it resolved for as long as its plan lives ([`CallSite`]); below it the session keeps
//! where references lead until the registry changes ([`route`]), and loaded models in a cache bounded by bytes ([`cache`]). All
//! hold models by identity, never by name, so a deploy changes which model a name resolves to and never what a model is.
//!
//! What scores is a [`Scorer`], the one way of a row: rows are bound, scored together, and each is asked for its answer. When a
//! call site goes its scorers wait with their route for the next statement, unless a version of theirs has left the cache; the
//! rights to it are asked for all the same.

mod anew;
pub mod arm;
pub mod cache;
pub mod calibrated;
mod call_site;
pub mod compile;
pub mod decided;
pub mod engines;
pub mod explained;
pub mod golden;
mod model;
pub mod planned;
mod played;
mod route;
mod scorer;
pub mod shadow;

pub use call_site::CallSite;
pub use model::LoadedModel;
pub use route::Lease;
pub use scorer::Scorer;

use crate::pg::transaction::Moment;

/// Hears that the process ends: what it has loaded goes with it.
pub fn hear(moment: Moment) {
    if moment == Moment::Exit {
        cache::leave();
    }
}
