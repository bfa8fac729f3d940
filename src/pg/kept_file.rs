//! Files that keep what is in shared memory while the server is down.
//!
//! They lie among the temporary statistics, which a base backup leaves out: a standby begins with its own.

use std::fs;
use std::io::Write;

use pgrx::prelude::*;
use pgrx::{pg_guard, pg_sys};

/// A file, by its path below the data directory, where every process of the server is.
pub struct KeptFile(&'static str);

impl KeptFile {
    /// By its path.
    pub const fn new(path: &'static str) -> Self {
        Self(path)
    }

    /// Its path, for messages.
    pub fn path(&self) -> &'static str {
        self.0
    }

    /// What it holds, if it is there.
    pub fn read(&self) -> Option<Vec<u8>> {
        fs::read(self.0).ok()
    }

    /// What it holds, once: it is removed.
    pub fn take(&self) -> Option<Vec<u8>> {
        self.read().filter(|_| fs::remove_file(self.0).is_ok())
    }

    /// Replaces it, wholly or not at all. Two who do so at the same time must see to it that the newer one is the last. Calls nothing
    /// of the server's.
    ///
    /// # Errors
    /// What the system reports; see [`KeptFile::tell`].
    pub fn replace(&self, bytes: &[u8]) -> std::io::Result<()> {
        let new = format!("{}.new", self.0);
        fs::File::create(&new)?.write_all(bytes)?;
        fs::rename(&new, self.0)
    }

    /// Logs what kept it from being written.
    pub fn tell(&self, written: std::io::Result<()>) {
        if let Err(error) = written {
            ereport!(
                PgLogLevel::LOG,
                PgSqlErrorCode::ERRCODE_IO_ERROR,
                format!("e2i_serve: {} cannot be written: {error}", self.0)
            );
        }
    }
}

/// Calls `save` at a clean shutdown, when all other processes have ended; for who makes shared memory, which is in the postmaster.
pub fn at_clean_shutdown(save: fn()) {
    // SAFETY: the callback is a function of this library, which is never unloaded.
    unsafe { pg_sys::on_shmem_exit(Some(at_shutdown), pg_sys::Datum::from(save as usize)) };
}

#[pg_guard]
unsafe extern "C-unwind" fn at_shutdown(code: std::ffi::c_int, save: pg_sys::Datum) {
    // SAFETY: reads a variable. Children inherit the callback and clear it before they could get here; after a crash shared memory
    // may have been caught in the middle of a change.
    if code == 0 && !unsafe { pg_sys::IsUnderPostmaster } {
        // SAFETY: made of such a function above.
        let save = unsafe { std::mem::transmute::<usize, fn()>(save.value()) };
        save();
    }
}
