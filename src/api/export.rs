//! `e2i_export_model`: a version's bytes, as they were registered.

use e2i_core::{Error, Kind, ModelReference, Result};
use pgrx::prelude::*;
use pgrx::{default, pg_sys};

use crate::catalog::model::{Stored, Version};
use crate::catalog::schema::Schema;
use crate::error::{OrRaise, given};

/// Most bytes of a value of the server (`MaxAllocSize`), without its header.
const MOST: i64 = 0x3fff_ffff - 4;

/// The bytes that a version was registered with: those of the model, or of its preprocessor, NULL where it has none.
#[pg_extern(stable, parallel_restricted)]
fn e2i_export_model(
    model: Option<&str>,
    preprocessor: default!(Option<bool>, "false"),
    fcinfo: pg_sys::FunctionCallInfo,
) -> Option<Vec<u8>> {
    // SAFETY: the server passes a valid fcinfo.
    let schema = unsafe { Schema::of_call(fcinfo) };
    let export = || -> Result<Option<Vec<u8>>> {
        let reference = ModelReference::parse(given(model, "model")?)?;
        let version = Version::find(schema, &reference)?;
        let stored = Stored::find(schema, &version)?;
        let Some(address) = stored.address(given(preprocessor, "preprocessor")?) else { return Ok(None) };
        if address.size > MOST {
            let hash: String = address.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
            return Err(Error::new(
                Kind::Limit,
                format!("model {} has {} bytes, more than a value can hold: {MOST}", version.reference(), address.size),
            )
            .with_hint(format!(
                "Its parts: SELECT bytes FROM ml_model_artifacts WHERE sha256 = '\\x{hash}' ORDER BY chunk;"
            )));
        }
        stored.bytes(schema, &version, address).map(Some)
    };
    export().or_raise()
}
