//! State that belongs to one place in a plan: kept in `fn_extra`, dropped with the plan's memory.

use std::hash::{DefaultHasher, Hash, Hasher};

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

/// Where in a plan, or in a function, the call is.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    memory: pg_sys::MemoryContext,
    expression: *mut pg_sys::Node,
}

impl Place {
    /// Of a call.
    ///
    /// # Safety
    /// `fcinfo` must be the argument of the function that is being called; the value must not outlive the call site's state.
    pub unsafe fn of_call(fcinfo: pg_sys::FunctionCallInfo) -> Self {
        // SAFETY: as the caller promises.
        unsafe { Self { memory: (*(*fcinfo).flinfo).fn_mcxt, expression: (*(*fcinfo).flinfo).fn_expr } }
    }

    /// Of a call that a node of a plan answers by itself, with the memory of the plan.
    pub fn in_plan(memory: pg_sys::MemoryContext, expression: *mut pg_sys::Node) -> Self {
        Self { memory, expression }
    }

    /// What tells the plan's memory from that of others under way.
    pub fn memory(&self) -> usize {
        self.memory as usize
    }

    /// Whether it is in an expression that PL/pgSQL evaluates by itself, without the executor: `x := f(y)`, `IF f(y) > 1`. Such an
    /// expression holds no rows and no aggregates, so each call is a statement. Its memory is a child of the transaction's, or in a
    /// DO block of what the block has connected with, where no plan of the executor is.
    pub fn is_simple_expression(&self) -> bool {
        // SAFETY: memory contexts have parents and names, which are static or live as long as they.
        unsafe {
            let parent = (*self.memory).parent;
            parent == pg_sys::TopTransactionContext
                || (!parent.is_null() && std::ffi::CStr::from_ptr((*parent).name) == c"SPI Proc")
        }
    }

    /// A number that is the same for equal expressions, in all processes: without where they stood in the text, which workers are
    /// not told.
    pub fn expression(&self) -> u64 {
        if self.expression.is_null() {
            return 0;
        }
        // SAFETY: a node of the plan; the text is a palloc'd C string.
        unsafe {
            let text = pg_sys::nodeToString(self.expression.cast());
            let mut hasher = DefaultHasher::new();
            let mut words = std::ffi::CStr::from_ptr(text).to_bytes().split(|byte| *byte == b' ');
            while let Some(word) = words.next() {
                if word == b":location" {
                    words.next();
                } else {
                    word.hash(&mut hasher);
                }
            }
            pg_sys::pfree(text.cast());
            hasher.finish()
        }
    }
}

/// The name of the function that is being called.
///
/// # Safety
/// As [`schema`].
pub unsafe fn name(fcinfo: pg_sys::FunctionCallInfo) -> String {
    // SAFETY: as the caller promises; the name is null or a palloc'd C string.
    unsafe {
        let name = pg_sys::get_func_name((*(*fcinfo).flinfo).fn_oid);
        if name.is_null() { String::new() } else { std::ffi::CStr::from_ptr(name).to_string_lossy().into_owned() }
    }
}

/// The schema in which the function that is being called lives: the extension's, wherever that is.
///
/// # Safety
/// `fcinfo` must be the argument of the function that is being called.
pub unsafe fn schema(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Oid {
    // SAFETY: as the caller promises.
    unsafe { pg_sys::get_func_namespace((*(*fcinfo).flinfo).fn_oid) }
}
