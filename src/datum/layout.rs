//! Which of the values that are given is which feature, and whether all must be.

use e2i_core::{Binder, Error, Kind, Layout, Result};

/// Whether a feature that is not there ends the call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// Scoring: every required feature must be there.
    Strict,
    /// `e2i_check_features`: report instead.
    DryRun,
}

/// A layout by name, complete or as far as it goes.
pub fn required<'n>(
    strict: Strictness,
    binder: &Binder,
    names: impl IntoIterator<Item = &'n str> + Clone,
) -> Result<Layout> {
    match strict {
        Strictness::Strict => binder.layout_by_name(names),
        Strictness::DryRun => Ok(binder.match_names(names)),
    }
}

/// Several rows where one is expected.
#[cold]
pub fn nested(binder: &Binder) -> Error {
    Error::new(
        Kind::BadOption,
        format!("features for model {} are a nested array, one row is expected", binder.model()),
    )
    .with_hint("Score one row a call, or several with e2i_serve.")
}
