//! Answers of shadow versions beside those that callers got, the latest of this session.

use std::cell::RefCell;
use std::collections::VecDeque;

use e2i_core::{Answer, Result};

use crate::catalog::model::{ModelId, visible};
use crate::catalog::schema::Schema;
use crate::pg::time;
use crate::scoring::model::LoadedModel;

/// Comparisons that a session keeps.
const KEPT: usize = 1000;

/// One row, scored twice.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// The service that was called.
    pub service: String,
    /// The version that answered.
    pub version: String,
    /// The shadow.
    pub shadow: String,
    /// What the caller got.
    pub answer: String,
    /// What the shadow said; `None` where it failed.
    pub shadow_answer: Option<String>,
    /// How far apart: the difference of numbers, the greatest of several, 0 or 1 for labels.
    pub difference: Option<f64>,
    /// Why the shadow failed.
    pub error: Option<String>,
    /// When, as the server's timestamp.
    pub at: i64,
    /// Both versions' identities.
    versions: [ModelId; 2],
}

thread_local! {
    static COMPARISONS: RefCell<VecDeque<Comparison>> = const { RefCell::new(VecDeque::new()) };
}

/// Keeps a comparison, and forgets the oldest where there are too many.
pub fn keep(service: &str, version: &LoadedModel, shadow: &LoadedModel, answer: &Answer, other: Result<Answer>) {
    let comparison = Comparison {
        service: service.to_owned(),
        versions: [version.id, shadow.id],
        version: version.reference().to_owned(),
        shadow: shadow.reference().to_owned(),
        answer: answer.to_string(),
        difference: other.as_ref().ok().map(|other| answer.difference(other)),
        error: other.as_ref().err().map(|error| error.message().to_owned()),
        shadow_answer: other.ok().map(|other| other.to_string()),
        at: time::now(),
    };
    COMPARISONS.with_borrow_mut(|kept| {
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(comparison);
    });
}

/// The comparisons of this session between versions that the caller may see, for a session may have had other roles, oldest first.
pub fn list(schema: Schema) -> Vec<Comparison> {
    let mut kept: Vec<Comparison> = COMPARISONS.with_borrow(|kept| kept.iter().cloned().collect());
    let mut versions: Vec<ModelId> = kept.iter().flat_map(|comparison| comparison.versions).collect();
    versions.sort_unstable();
    versions.dedup();
    let visible = visible(schema, &versions);
    kept.retain(|comparison| comparison.versions.iter().all(|version| visible.contains(version)));
    kept
}
