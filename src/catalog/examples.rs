//! The golden rows of a version, read with the caller's rights: who sees the row of the registry sees them.

use e2i_core::{Examples, Result};
use pgrx::datum::Uuid;

use crate::catalog::model::ModelId;
use crate::catalog::schema::Schema;
use crate::datum::document::tree;
use crate::datum::jsonb::Container;
use crate::pg::query::Query;

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
