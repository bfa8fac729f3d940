//! What can be scored before it is written: rows whose features are plain columns.

use e2i_core::{Binder, Error, Kind, Result};

/// Checks that no feature is a generated column, whose value is made after a row was scored.
///
/// # Errors
/// [`Kind::Unsupported`] with the column.
pub fn require_plain(binder: &Binder, generated: &[impl AsRef<str>], table: &str) -> Result<()> {
    if generated.is_empty() {
        return Ok(());
    }
    let layout = binder.match_names(generated.iter().map(AsRef::as_ref));
    let Some(found) = layout.sources().iter().flatten().next() else { return Ok(()) };
    let column = generated[*found as usize].as_ref();
    Err(Error::new(
        Kind::Unsupported,
        format!("model {} takes {column:?}, a generated column of table {table}", binder.model()),
    )
    .with_detail("A row is scored before its generated columns have values.")
    .with_hint("Make it a plain column that a BEFORE trigger fills, whose name is before zz_e2i_ in the alphabet."))
}
