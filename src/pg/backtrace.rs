//! What Rust would say of itself when something fails: nothing, to a client or to the log.

use std::backtrace::Backtrace;
use std::ffi::OsString;

/// Switches backtraces off for the life of this process, whatever `RUST_BACKTRACE` says: pgrx puts one into the DETAIL of every
/// error that passes, the server's own included, with the paths of the machine that built the library. Call once, from `_PG_init`.
pub fn never() {
    const SWITCH: &str = "RUST_LIB_BACKTRACE";
    let before: Option<OsString> = std::env::var_os(SWITCH);
    // The standard library asks the environment at the first capture, and keeps the answer.
    // SAFETY: the library is being loaded, and no thread of ours is there yet.
    unsafe { std::env::set_var(SWITCH, "0") };
    let _ = Backtrace::capture();
    // SAFETY: as above.
    unsafe {
        match before {
            Some(before) => std::env::set_var(SWITCH, before),
            None => std::env::remove_var(SWITCH),
        }
    }
    // pgrx's hook prints a panic of another thread, with its place, where the server's log is. The thread's owner tells of it.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        // SAFETY: asks for numbers.
        let is_main = unsafe { libc::syscall(libc::SYS_gettid) == libc::c_long::from(libc::getpid()) };
        if is_main {
            hook(info);
        }
    }));
}
