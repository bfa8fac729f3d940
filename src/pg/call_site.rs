//! State that belongs to one place in a plan: kept in `fn_extra`, dropped with the plan's memory.

use pgrx::{pg_guard, pg_sys};

/// The state of this call site, made on its first call.
///
/// # Safety
/// `fcinfo` must be the argument of the function that is being called, and every caller with the same `fcinfo` must use
/// the same `T`. The reference must not outlive the call.
pub unsafe fn state<'c, T: Default>(fcinfo: pg_sys::FunctionCallInfo) -> &'c mut T {
    // SAFETY: the server passes a valid fcinfo with a valid flinfo; fn_extra is ours, null on the first call, and holds a
    // T afterwards by the caller's promise.
    unsafe {
        let flinfo = (*fcinfo).flinfo;
        if (*flinfo).fn_extra.is_null() {
            let state = Box::into_raw(Box::<T>::default());
            let callback =
                pg_sys::MemoryContextAllocZero((*flinfo).fn_mcxt, size_of::<pg_sys::MemoryContextCallback>())
                    .cast::<pg_sys::MemoryContextCallback>();
            (*callback).func = Some(drop_state::<T>);
            (*callback).arg = state.cast();
            pg_sys::MemoryContextRegisterResetCallback((*flinfo).fn_mcxt, callback);
            (*flinfo).fn_extra = state.cast();
        }
        &mut *(*flinfo).fn_extra.cast::<T>()
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn drop_state<T>(state: *mut std::ffi::c_void) {
    // SAFETY: the pointer came from Box::into_raw in `state`, and the server calls each callback once.
    drop(unsafe { Box::from_raw(state.cast::<T>()) });
}

/// The schema in which the function that is being called lives: the extension's, wherever that is.
///
/// # Safety
/// `fcinfo` must be the argument of the function that is being called.
pub unsafe fn schema(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Oid {
    // SAFETY: as the caller promises.
    unsafe { pg_sys::get_func_namespace((*(*fcinfo).flinfo).fn_oid) }
}
