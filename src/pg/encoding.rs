//! The encoding of the database.

use e2i_core::{Error, Kind, Result};
use pgrx::pg_sys;

/// Refuses databases in which text would have to be converted before it means anything to a model.
///
/// # Errors
/// [`Kind::Unsupported`] in a database that is not in UTF-8.
pub fn require_utf8() -> Result<()> {
    // SAFETY: no arguments, no side effects.
    if unsafe { pg_sys::GetDatabaseEncoding() } == pg_sys::pg_enc::PG_UTF8 as i32 {
        return Ok(());
    }
    Err(Error::new(Kind::Unsupported, "e2i_serve works in databases with the encoding UTF8 only")
        .with_hint("CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0;"))
}
