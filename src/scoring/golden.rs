//! The golden rows of a version, read with the caller's rights, and whether it still scores them as training did: who sees the row of
//! the registry sees them.

use e2i_core::{Check, Examples, Result};
use pgrx::datum::Uuid;

use crate::catalog::model::{ModelId, Stored, Version};
use crate::catalog::schema::Schema;
use crate::datum::document::tree;
use crate::datum::jsonb::Container;
use crate::pg::query::Query;
use crate::scoring::engines::Preference;
use crate::scoring::model::LoadedModel;

const EXAMPLES: Query =
    Query::of_caller("SELECT r.examples, r.tolerance FROM {ml}.ml_model_registry r WHERE r.id = $1");

/// The golden rows that a version was registered with, if any.
///
/// # Errors
/// [`e2i_core::Kind::BadOption`] where what is stored cannot be read.
pub fn examples(schema: Schema, id: &ModelId) -> Result<Option<Examples>> {
    let read = |rows: &[u8]| (!rows.is_empty()).then(|| tree(Container::root(rows), "examples"));
    let rows =
        EXAMPLES.select(schema, &[Uuid::from_bytes(*id).into()], |row| row.bytes(1, read).zip(Some(row.get::<f64>(2))));
    rows.into_iter().flatten().next().map(|(rows, tolerance)| Examples::parse(&rows?, tolerance)).transpose()
}

/// Scores the golden rows of a loaded model again, in this session.
///
/// # Errors
/// What binding or scoring reports; a difference is no error.
pub fn verify(model: &LoadedModel, examples: &Examples) -> Result<Vec<Check>> {
    examples.prove(&model.binder, |batch, wanted, outputs| model.score(batch, wanted, outputs))
}

/// Whether a version, loaded anew, still scores its golden rows as expected; one without any is only loaded. Says whether it
/// has any.
///
/// # Errors
/// What loading or scoring reports, or the first differences.
pub fn still_proves(schema: Schema, version: &Version) -> Result<bool> {
    // Of a version that is scored from its compiled form, the bytes that it was made from are looked at, too.
    Stored::find(schema, version)?.artifacts(schema, version)?;
    let model = LoadedModel::load(schema, version, Preference::current())?;
    match examples(schema, &version.id)? {
        Some(examples) => examples.judge(&verify(&model, &examples)?).map(|()| true),
        None => Ok(false),
    }
}
