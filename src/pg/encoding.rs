//! The encoding of the database.

use std::ffi::CStr;

use e2i_core::{Error, Kind, Result};
use pgrx::pg_sys;

use crate::pg::sqlstate;

/// Refuses databases in which text would have to be converted before it means anything to a model.
///
/// # Errors
/// [`Kind::Unsupported`] in a database that is not in UTF-8, naming its encoding.
pub fn require_utf8() -> Result<()> {
    // SAFETY: no arguments, no side effects.
    if unsafe { pg_sys::GetDatabaseEncoding() } == pg_sys::pg_enc::PG_UTF8 as i32 {
        return Ok(());
    }
    Err(not_utf8())
}

/// What a database in another encoding is told.
#[cold]
pub fn not_utf8() -> Error {
    // SAFETY: a C string of the server's, which lives as long as the process.
    let name = unsafe { CStr::from_ptr(pg_sys::GetDatabaseEncodingName()) }.to_string_lossy();
    Error::new(
        Kind::Unsupported,
        format!("e2i_serve works in databases with the encoding UTF8 only, and the encoding of this one is {name}"),
    )
    .with_hint("CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0;")
}

/// Lets pgrx's panic about a text that is no UTF-8, which it reads before a function of ours is called, leave as that error.
/// Call once, from `_PG_init`.
pub fn listen() {
    /// How the messages of `FromDatum for &str` in pgrx begin.
    const PANIC: &str = "datums converted to &str should be valid UTF-8";
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // SAFETY: asks for numbers.
        let is_main = unsafe { libc::syscall(libc::SYS_gettid) == libc::c_long::from(libc::getpid()) };
        if is_main && panic.payload_as_str().is_some_and(|message| message.starts_with(PANIC)) {
            sqlstate::mean(&not_utf8());
        }
        hook(panic);
    }));
}
