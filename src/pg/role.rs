//! Acting as another role for the length of a closure.

use std::ffi::CStr;

use pgrx::pg_sys;

/// Runs `f` as `role`, with nothing of the caller's rights, and without leaving anything behind that would run with them: a
/// deferred trigger on a table of `role`'s would otherwise fire at commit as the caller, who may be a superuser or the
/// background worker.
///
/// When `f` raises an error the server itself restores the caller's role with the (sub)transaction, so there is nothing
/// to undo on that way.
pub fn run_as<T>(role: pg_sys::Oid, f: impl FnOnce() -> T) -> T {
    let (mut before, mut context) = (pg_sys::Oid::INVALID, 0);
    // SAFETY: both out pointers are valid; the context is restored below.
    unsafe {
        pg_sys::GetUserIdAndSecContext(&raw mut before, &raw mut context);
        let restricted = pg_sys::SECURITY_LOCAL_USERID_CHANGE | pg_sys::SECURITY_RESTRICTED_OPERATION;
        pg_sys::SetUserIdAndSecContext(role, context | restricted as i32);
    }
    let result = f();
    // SAFETY: the values came from the call above.
    unsafe { pg_sys::SetUserIdAndSecContext(before, context) };
    result
}

/// The current role.
pub fn current() -> pg_sys::Oid {
    // SAFETY: no arguments, no side effects.
    unsafe { pg_sys::GetUserId() }
}

/// The name of a role.
pub fn name(role: pg_sys::Oid) -> String {
    // SAFETY: returns a palloc'd C string, or raises an error for a role that does not exist.
    unsafe { CStr::from_ptr(pg_sys::GetUserNameFromId(role, false)) }.to_string_lossy().into_owned()
}

/// A role by its name.
pub fn find(name: &str) -> Option<pg_sys::Oid> {
    let name = std::ffi::CString::new(name).ok()?;
    // SAFETY: a catalog look-up, told not to raise an error.
    let role = unsafe { pg_sys::get_role_oid(name.as_ptr(), true) };
    (role != pg_sys::Oid::INVALID).then_some(role)
}

/// Whether a role may log in, which a background worker of its own does.
pub fn can_log_in(role: pg_sys::Oid) -> bool {
    // SAFETY: the tuple is released after it was read; pg_authid rows have this form.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::AUTHOID as i32, pg_sys::Datum::from(role));
        if tuple.is_null() {
            return false;
        }
        let can = (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_authid>()).rolcanlogin;
        pg_sys::ReleaseSysCache(tuple);
        can
    }
}

/// Whether the current role has the rights of a role of this name.
pub fn may_act_as(name: &str) -> bool {
    match find(name) {
        // SAFETY: catalog look-ups.
        Some(role) => unsafe { pg_sys::has_privs_of_role(current(), role) },
        // SAFETY: as above.
        None => unsafe { pg_sys::superuser() },
    }
}
