//! Bytes in chunks under their sha256: models, preprocessors and compiled plans, stored once however many versions use them.
//!
//! Chunks are of 64 MB. Storing bytes that are there already updates their chunks without a change, which locks them.

use e2i_core::{Error, Kind, Result};
use sha2::{Digest, Sha256};

use crate::catalog::schema::Schema;
use crate::pg::interrupt;
use crate::pg::query::Query;
use crate::pg::table::{Key, Record};

/// Largest chunk of an artifact: a larger value could be inserted but not dumped, as its text form exceeds 1 GB.
const CHUNK: usize = 64 << 20;

// Where the bytes are there already, an update that changes nothing locks them: a drop that is about to remove them waits.
const STORE: Query = Query::new(
    "INSERT INTO {ml}.ml_model_artifacts (sha256, chunk, bytes) VALUES ($1, $2, $3)
     ON CONFLICT (sha256, chunk) DO UPDATE SET chunk = excluded.chunk",
);
const LOCK: Query =
    Query::new("SELECT a.chunk FROM {ml}.ml_model_artifacts a WHERE a.sha256 = $1 ORDER BY a.chunk FOR UPDATE");
const USERS: Query = Query::new(
    "SELECT 1 FROM {ml}.ml_model_registry r
     WHERE r.artifact_sha256 = $1 OR r.preprocessor_sha256 = $1 OR r.plan_sha256 = $1 LIMIT 1",
);
const REMOVE: Query = Query::new("DELETE FROM {ml}.ml_model_artifacts WHERE sha256 = $1");

/// Where bytes are, and how many.
pub struct Address {
    /// Their sha256.
    pub sha256: Vec<u8>,
    /// Their number.
    pub size: i64,
}

/// Stores bytes under their sha256, unless they are there already. Call with the owner's rights.
pub fn store(schema: Schema, bytes: &[u8]) -> Vec<u8> {
    let hash = sha256(bytes);
    for (number, chunk) in bytes.chunks(CHUNK).enumerate() {
        STORE.execute_large(schema, || vec![hash.clone().into(), (number as i32).into(), chunk.into()]);
    }
    hash
}

/// Reads bytes chunk by chunk: at no time are there two copies of more than one of them. `reference` is for messages.
///
/// # Errors
/// [`Kind::WrongState`] when bytes are missing or do not have their sha256, [`Kind::Memory`].
pub fn read(schema: Schema, address: &Address, reference: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(usize::try_from(address.size).unwrap_or_default()).map_err(|_| {
        Error::new(Kind::Memory, format!("no memory for the {} bytes of model {reference}", address.size))
    })?;
    let artifacts = schema.table(c"ml_model_artifacts");
    let size = usize::try_from(address.size).unwrap_or_default();
    let mut chunk = 0_i32;
    while bytes.len() < size {
        let key = [(c"sha256", Key::Bytes(&address.sha256)), (c"chunk", Key::Int(chunk))];
        let append = |row: &Record<'_>| row.bytes(c"bytes", |chunk| bytes.extend_from_slice(chunk));
        if artifacts.find(c"ml_model_artifacts_pkey", &key, append).is_empty() {
            break;
        }
        interrupt::check();
        chunk += 1;
    }
    if sha256(&bytes) != address.sha256 {
        return Err(Error::new(
            Kind::WrongState,
            format!("the stored artifact of model {reference} is missing or not what was registered"),
        )
        .with_detail("Its sha256 differs from the one in ml_model_registry."));
    }
    Ok(bytes)
}

/// Removes bytes that no version uses any more. Call with the owner's rights.
pub fn release(schema: Schema, hash: &[u8]) {
    let hash = || hash.to_vec().into();
    // Waits for a registration of the same bytes that is under way, and the next one waits for this.
    LOCK.returning(schema, &[hash()], |_| ());
    if USERS.select_latest(schema, &[hash()], |_| ()).is_empty() {
        REMOVE.execute(schema, &[hash()]);
    }
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}
