//! Whether the library and the extension's objects are of one version.
//!
//! They change at different moments: the library when its file was installed and the session, or the server that preloads it, is
//! started anew; the objects in each database when somebody says ALTER EXTENSION. Between, every function refuses to work rather
//! than failing somewhere inside. What the server does by itself is not asked: dumping, restoring, updating and dropping the
//! extension, pg_upgrade.

use std::sync::atomic::{AtomicBool, Ordering};

use e2i_core::{Error, Kind};
use pgrx::{pg_guard, pg_sys};

use crate::pg::table::{Key, Table};

/// The library's own.
const LIBRARY: &str = env!("CARGO_PKG_VERSION");

/// Whether they were found to be the same, and no function was created, changed or dropped since: that is how this session hears
/// of an update.
static IS_SAME: AtomicBool = AtomicBool::new(false);

/// Begins to listen; called once, when the library is loaded.
pub fn listen() {
    let functions = pg_sys::SysCacheIdentifier::PROCOID as i32;
    // SAFETY: the callback lives as long as the library, which is never unloaded.
    unsafe { pg_sys::CacheRegisterSyscacheCallback(functions, Some(heard), pg_sys::Datum::from(0)) };
}

#[pg_guard]
unsafe extern "C-unwind" fn heard(_argument: pg_sys::Datum, _cache: i32, _hash: u32) {
    IS_SAME.store(false, Ordering::Relaxed);
}

/// Looks once a session, and again when it may have changed.
///
/// # Errors
/// [`Kind::WrongState`] where the versions differ.
#[inline]
pub fn require_same() -> e2i_core::Result<()> {
    if IS_SAME.load(Ordering::Relaxed) { Ok(()) } else { compare() }
}

#[cold]
fn compare() -> e2i_core::Result<()> {
    // Before the look, so that what is heard meanwhile counts.
    IS_SAME.store(true, Ordering::Relaxed);
    let Some(extension) = installed().filter(|extension| extension != LIBRARY) else { return Ok(()) };
    IS_SAME.store(false, Ordering::Relaxed);
    let message = format!("the extension e2i_serve is at version {extension}, its library at {LIBRARY}");
    let hint = match numbers(&extension) > numbers(LIBRARY) {
        true => {
            "Connect again, or restart the server where it preloads the library; the files of that version must be installed."
        }
        false => "ALTER EXTENSION e2i_serve UPDATE;",
    };
    Err(Error::new(Kind::WrongState, message).with_hint(hint))
}

/// For comparing: 0.10.0 comes after 0.9.0.
fn numbers(version: &str) -> Vec<u32> {
    version.split('.').map(|number| number.parse().unwrap_or_default()).collect()
}

/// The version that the catalog says; none where the extension is not there.
fn installed() -> Option<String> {
    let extensions = Table::open(pg_sys::ExtensionRelationId);
    let key = [(c"extname", Key::Name(c"e2i_serve"))];
    extensions.find(c"pg_extension_name_index", &key, |row| row.get(c"extversion")).pop().flatten()
}
