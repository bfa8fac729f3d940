//! SQLSTATEs of the server's errors, kept on their way through Rust.
//!
//! pgrx carries an error through Rust with its SQLSTATE as an enum of those it knows; any other, a newer one of the server or
//! one that a trigger made up, would leave as XX000. So the code is noted while the error is raised, and set again while pgrx
//! raises it once more: the server calls what stands on its stack of error contexts both times.

use std::cell::{Cell, UnsafeCell};
use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr;

use e2i_core::Error;
use pgrx::{PgSqlErrorCode, pg_sys};

use crate::error::sqlstate;

thread_local! {
    /// The code that pgrx is about to lose, or 0.
    static LOST: Cell<c_int> = const { Cell::new(0) };
    /// What a panic that is under way means, where the panic itself does not say it.
    static MEANT: Cell<Option<Meant>> = const { Cell::new(None) };
    /// Stands on the stack of error contexts from the end of [`keeping`] until pgrx has raised the error again.
    static RESTORE: UnsafeCell<pg_sys::ErrorContextCallback> = const {
        UnsafeCell::new(pg_sys::ErrorContextCallback { previous: ptr::null_mut(), callback: None, arg: ptr::null_mut() })
    };
}

// Functions of `elog.c` for the error that is being raised, without pgrx's guards, which are not meant for this place.
unsafe extern "C-unwind" {
    fn errcode(code: c_int) -> c_int;
    fn geterrcode() -> c_int;
    fn errmsg(format: *const c_char, ...) -> c_int;
    fn errhint(format: *const c_char, ...) -> c_int;
}

struct Meant {
    code: c_int,
    message: CString,
    hint: CString,
}

/// Lets the panic that is under way leave as this error. For a hook that sees panics of the main thread.
pub fn mean(error: &Error) {
    let text = |text: &str| CString::new(text).unwrap_or_default();
    let (code, message, hint) =
        (sqlstate(error.kind()) as c_int, text(error.message()), text(error.hint().unwrap_or("")));
    MEANT.set(Some(Meant { code, message, hint }));
    // SAFETY: the node that restores lives as long as the process.
    unsafe { pg_sys::error_context_stack = restoring(pg_sys::error_context_stack) };
}

/// Runs what calls code of the server or of users that may raise any SQLSTATE. Who catches an error of it on the way must put
/// the stack of error contexts back, as [`crate::pg::subtransaction`] does.
#[inline]
pub fn keeping<R>(f: impl FnOnce() -> R) -> R {
    // SAFETY: the node is on the stack of error contexts no longer than it lives: it is taken off when this function is left, in
    // whatever way.
    unsafe {
        let previous = pg_sys::error_context_stack;
        let mut node = pg_sys::ErrorContextCallback { previous, callback: Some(note), arg: ptr::null_mut() };
        pg_sys::error_context_stack = &raw mut node;
        let _leave = Leave(previous);
        f()
    }
}

/// Whether the error that was just caught had a code that pgrx does not know, which is then forgotten.
pub fn take_lost() -> bool {
    LOST.take() != 0
}

/// The code of the error that was just caught, if pgrx does not know it; it is then forgotten, see [`lose`].
pub fn take_code() -> Option<c_int> {
    Some(LOST.take()).filter(|code| *code != 0)
}

/// Before an error that was caught is raised again: the code that it had.
pub fn lose(code: c_int) {
    LOST.set(code);
    // SAFETY: the node that restores lives as long as the process.
    unsafe { pg_sys::error_context_stack = restoring(pg_sys::error_context_stack) };
}

/// Puts the stack of error contexts back.
struct Leave(*mut pg_sys::ErrorContextCallback);

impl Drop for Leave {
    fn drop(&mut self) {
        // SAFETY: what was on the stack before is still there; the node that restores lives as long as the process.
        unsafe { pg_sys::error_context_stack = if std::thread::panicking() { restoring(self.0) } else { self.0 } };
    }
}

/// The stack of error contexts with the node that restores on top.
#[cold]
fn restoring(previous: *mut pg_sys::ErrorContextCallback) -> *mut pg_sys::ErrorContextCallback {
    let meant = MEANT.take();
    let is_meant = meant.is_some();
    MEANT.set(meant);
    if LOST.get() == 0 && !is_meant {
        return previous;
    }
    RESTORE.with(|node| {
        let node = node.get();
        // SAFETY: only this thread sees the node, and nothing holds a reference to it.
        unsafe {
            (*node).previous = previous;
            (*node).callback = Some(restore);
        }
        node
    })
}

/// Called by the server while it raises an error. Must not raise one, and does not.
#[allow(ffi_unwind_calls)]
unsafe extern "C-unwind" fn note(_: *mut c_void) {
    // SAFETY: an error is being raised.
    let code = unsafe { geterrcode() };
    LOST.set(if PgSqlErrorCode::from(code) as c_int == code { 0 } else { code });
}

/// Called by the server while pgrx raises the error again. Must not raise one, and does not.
#[allow(ffi_unwind_calls)]
unsafe extern "C-unwind" fn restore(_: *mut c_void) {
    let (lost, meant) = (LOST.take(), MEANT.take());
    // SAFETY: an error is being raised; the formats ask for one C string, which the server copies.
    unsafe {
        if let Some(Meant { code, message, hint }) = meant {
            errcode(code);
            errmsg(c"%s".as_ptr(), message.as_ptr());
            errhint(c"%s".as_ptr(), hint.as_ptr());
        } else if lost != 0 && geterrcode() == PgSqlErrorCode::ERRCODE_INTERNAL_ERROR as c_int {
            errcode(lost);
        }
    }
}
