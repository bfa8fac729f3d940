//! Whether a version still scores its golden rows as training did.

use e2i_core::{Check, Examples, Result};

use crate::catalog::examples::examples;
use crate::catalog::model::{Stored, Version};
use crate::catalog::schema::Schema;
use crate::scoring::engines::Preference;
use crate::scoring::model::LoadedModel;

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
