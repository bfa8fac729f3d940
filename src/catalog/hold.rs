//! Holding a version against being dropped, until the end of the transaction.
//!
//! The registry's tables refer to each other without foreign keys: a dump restores the tables of an extension in any order
//! when it is restored by several jobs, and a key would refuse half of the rows. What a key does is done here: who points
//! to a version holds its row first, and dropping takes the row for itself before it looks who points to it.
//!
//! Who makes something point to a version locks its row FOR KEY SHARE; dropping locks it FOR UPDATE and looks afterwards, under a fresh
//! snapshot, who points to it. Services are locked before versions. A transaction that finds a change which it cannot see ends with 40001.
//! A trigger refuses to delete such a row by hand.

use e2i_core::{Error, Kind, Result};
use pgrx::datum::Uuid;

use crate::catalog::model::ModelId;
use crate::catalog::schema::Schema;
use crate::pg::query::Query;

const HOLD: Query = Query::new("SELECT 1 FROM {ml}.ml_model_registry r WHERE r.id = $1 FOR KEY SHARE");
const TAKE: Query = Query::new("SELECT 1 FROM {ml}.ml_model_registry r WHERE r.id = $1 FOR UPDATE");

/// Keeps a version from being dropped while this transaction makes something point to it. Call with the owner's rights.
///
/// # Errors
/// [`Kind::UnknownModel`] when it has been dropped meanwhile.
pub fn hold(schema: Schema, id: &ModelId, reference: &str) -> Result<()> {
    lock(&HOLD, schema, id, reference)
}

/// Waits for those who hold a version, and keeps others from holding it. Call with the owner's rights.
///
/// # Errors
/// [`Kind::UnknownModel`] when it has been dropped meanwhile.
pub fn take(schema: Schema, id: &ModelId, reference: &str) -> Result<()> {
    lock(&TAKE, schema, id, reference)
}

fn lock(query: &Query, schema: Schema, id: &ModelId, reference: &str) -> Result<()> {
    match query.returning(schema, &[Uuid::from_bytes(*id).into()], |_| ()).len() {
        0 => Err(Error::new(Kind::UnknownModel, format!("model {reference} was dropped by another session"))),
        _ => Ok(()),
    }
}

/// What a transaction reports that cannot go on from what it saw.
#[cold]
pub fn conflict(what: &str) -> Error {
    Error::new(Kind::Conflict, format!("could not serialize access: {what} was changed by another session"))
        .with_hint("Try the transaction again.")
}
