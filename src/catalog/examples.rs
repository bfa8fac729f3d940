//! The golden rows of a version, read with the caller's rights: who sees the row of the registry sees them.

use e2i_core::{Error, Examples, Kind, Result};
use pgrx::datum::{JsonB, Uuid};

use crate::catalog::model::ModelId;
use crate::catalog::schema::Schema;
use crate::pg::query::select;

/// The golden rows that a version was registered with; `reference` is its name in messages.
///
/// # Errors
/// [`Kind::WrongState`] when it was registered without any.
pub fn examples(schema: Schema, id: &ModelId, reference: &str) -> Result<Examples> {
    let sql = format!(
        "SELECT r.examples, r.tolerance FROM {}.ml_model_registry r WHERE r.id OPERATOR(pg_catalog.=) $1",
        schema.quoted()
    );
    let rows =
        select(&sql, &[Uuid::from_bytes(*id).into()], |row| row.get::<JsonB>(1).map(|rows| (rows, row.get::<f64>(2))));
    match rows.into_iter().flatten().next() {
        Some((rows, tolerance)) => Examples::parse(&rows.0, tolerance),
        None => Err(Error::new(Kind::WrongState, format!("model {reference} was registered without examples"))
            .with_hint(
                "Register it again with golden rows: examples => '[{\"features\": {…}, \"prediction\": …}, …]'.",
            )),
    }
}
