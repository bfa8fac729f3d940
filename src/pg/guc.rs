//! Settings of the server for the length of a closure.

use std::ffi::CStr;

use pgrx::pg_sys;

/// Runs `f` with these settings, as a function with SET clauses runs; an ERROR sets them back with the (sub)transaction that it
/// ends.
pub fn with<R>(settings: &[(&CStr, &CStr)], f: impl FnOnce() -> R) -> R {
    // SAFETY: the level is ended below.
    let level = unsafe { pg_sys::NewGUCNestLevel() };
    settings.iter().for_each(|(name, value)| save(name, value));
    let result = f();
    // SAFETY: the level that was begun above.
    unsafe { pg_sys::AtEOXact_GUC(true, level) };
    result
}

/// Sets one until the level of settings that is under way ends.
pub fn save(name: &CStr, value: &CStr) {
    // SAFETY: C strings.
    unsafe {
        pg_sys::set_config_option(
            name.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_SUSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SAVE,
            true,
            0,
            false,
        );
    }
}

/// For the rest of the process, whatever the database or the role says.
pub fn settle(settings: &[(&CStr, &CStr)]) {
    for (name, value) in settings {
        // SAFETY: C strings.
        unsafe {
            pg_sys::SetConfigOption(
                name.as_ptr(),
                value.as_ptr(),
                pg_sys::GucContext::PGC_SUSET,
                pg_sys::GucSource::PGC_S_OVERRIDE,
            );
        }
    }
}

/// How long a lock is waited for, in milliseconds; 0 is for ever.
pub fn lock_timeout() -> i32 {
    // SAFETY: reads a variable.
    unsafe { pg_sys::LockTimeout }
}
