//! Where the majors of PostgreSQL differ: each difference is a function here, and callers know none.
//!
//! What may enter: what one major calls otherwise than another, or lacks; the oldest is 15. No other file asks which major it is
//! compiled for, and `tests/tidy.rs` sees to it.

use std::ffi::{CStr, c_char, c_int, c_void};

use pgrx::pg_sys;

/// A node of a tree.
type Node = *mut pg_sys::Node;

/// `STATS_EXT_EXPRESSIONS` of catalog/pg_statistic_ext.h, which the bindings of 18 lack.
pub const STATISTICS_OF_EXPRESSIONS: u8 = b'e';

/// What the server does for EXPLAIN where there is no hook; until 16 it has no name.
///
/// # Safety
/// The arguments must be those of an `ExplainOneQuery_hook`.
pub unsafe fn explain_one_query(
    query: *mut pg_sys::Query,
    options: c_int,
    into: *mut pg_sys::IntoClause,
    state: *mut pg_sys::ExplainState,
    text: *const c_char,
    parameters: pg_sys::ParamListInfo,
    environment: *mut pg_sys::QueryEnvironment,
) {
    // SAFETY: as the caller promises.
    #[cfg(not(any(feature = "pg15", feature = "pg16")))]
    unsafe {
        pg_sys::standard_ExplainOneQuery(query, options, into, state, text, parameters, environment);
    }
    // SAFETY: as the caller promises; counters of this process.
    #[cfg(any(feature = "pg15", feature = "pg16"))]
    unsafe {
        let before = pg_sys::pgBufferUsage;
        let begun = std::time::Instant::now();
        let plan = pg_sys::pg_plan_query(query, text, options, parameters);
        let duration = instr_time(begun.elapsed());
        let mut buffers = pg_sys::BufferUsage::default();
        pg_sys::BufferUsageAccumDiff(&raw mut buffers, &raw const pg_sys::pgBufferUsage, &raw const before);
        let buffers = if (*state).buffers { &raw const buffers } else { std::ptr::null() };
        pg_sys::ExplainOnePlan(plan, into, state, text, parameters, environment, &raw const duration, buffers);
    }
}

#[cfg(feature = "pg15")]
fn instr_time(time: std::time::Duration) -> pg_sys::instr_time {
    pg_sys::instr_time { tv_sec: time.as_secs().cast_signed(), tv_nsec: time.subsec_nanos().into() }
}

#[cfg(feature = "pg16")]
fn instr_time(time: std::time::Duration) -> pg_sys::instr_time {
    pg_sys::instr_time { ticks: i64::try_from(time.as_nanos()).unwrap_or(i64::MAX) }
}

/// Whether a role may call a function that is there.
pub fn may_call(function: pg_sys::Oid, role: pg_sys::Oid) -> bool {
    let execute = pg_sys::AclMode::from(pg_sys::ACL_EXECUTE);
    // SAFETY: a catalog look-up of a function that is there.
    #[cfg(feature = "pg15")]
    let found = unsafe { pg_sys::pg_proc_aclcheck(function, role, execute) };
    // SAFETY: as above.
    #[cfg(not(feature = "pg15"))]
    let found = unsafe { pg_sys::object_aclcheck(pg_sys::ProcedureRelationId, function, role, execute) };
    found == pg_sys::AclResult::ACLCHECK_OK
}

/// A function that changes a node of an expression.
pub type Mutator = unsafe extern "C-unwind" fn(Node, *mut c_void) -> Node;

/// A copy of an expression whose parts went through `change`.
///
/// # Safety
/// `node` must be null or an expression, and `context` what `change` expects.
pub unsafe fn expression_tree_mutator(node: Node, change: Mutator, context: *mut c_void) -> Node {
    // SAFETY: until 15 the server declares the function without its arguments, and calls it with these.
    #[cfg(feature = "pg15")]
    unsafe {
        let mutator = std::mem::transmute::<Mutator, unsafe extern "C-unwind" fn() -> Node>(change);
        pg_sys::expression_tree_mutator(node, Some(mutator), context)
    }
    // SAFETY: as the caller promises.
    #[cfg(not(feature = "pg15"))]
    unsafe {
        pg_sys::expression_tree_mutator_impl(node, Some(change), context)
    }
}

/// Names and variables of the columns of an entry of FROM, as a variable of its row sees them.
///
/// # Safety
/// The entry must be the one that the variable is of.
pub unsafe fn columns_of_entry(
    entry: *mut pg_sys::RangeTblEntry,
    var: &pg_sys::Var,
) -> (*mut pg_sys::List, *mut pg_sys::List) {
    let (mut names, mut variables) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: both out pointers are valid; else as the caller promises.
    unsafe {
        pg_sys::expandRTE(
            entry,
            var.varno,
            var.varlevelsup.cast_signed(),
            #[cfg(feature = "pg18")]
            var.varreturningtype,
            var.location,
            false,
            &raw mut names,
            &raw mut variables,
        );
    }
    (names, variables)
}

/// Whether a variable is of the row as it is, and not of one before or after a change.
#[cfg(feature = "pg18")]
pub fn is_of_current_row(var: &pg_sys::Var) -> bool {
    var.varreturningtype == pg_sys::VarReturningType::VAR_RETURNING_DEFAULT
}

/// Before 18 all variables are of the row as it is.
#[cfg(not(feature = "pg18"))]
pub fn is_of_current_row(_var: &pg_sys::Var) -> bool {
    true
}

/// Whether an outer join may make the row of a variable NULL, if the variable says so.
#[cfg(not(feature = "pg15"))]
pub fn may_be_missing(var: &pg_sys::Var) -> Option<bool> {
    Some(!var.varnullingrels.is_null())
}

/// Before 16 a variable does not say whether an outer join may make its row NULL.
#[cfg(feature = "pg15")]
pub fn may_be_missing(_var: &pg_sys::Var) -> Option<bool> {
    None
}

/// The number of a wait event of this name.
#[cfg(not(any(feature = "pg15", feature = "pg16")))]
pub fn wait_event(name: &'static CStr) -> u32 {
    // SAFETY: a C string; the server finds the event again by its name.
    unsafe { pg_sys::WaitEventExtensionNew(name.as_ptr()) }
}

/// Before 17 extensions share one wait event.
#[cfg(any(feature = "pg15", feature = "pg16"))]
pub fn wait_event(_name: &'static CStr) -> u32 {
    pg_sys::PG_WAIT_EXTENSION
}

/// Sets a signal's handler.
///
/// # Safety
/// The handler must be one that may run at any time in this process.
pub unsafe fn set_handler(signal: c_int, handler: unsafe extern "C-unwind" fn(c_int)) {
    // SAFETY: as the caller promises.
    unsafe {
        #[cfg(feature = "pg18")]
        pg_sys::pqsignal_be(signal, Some(handler));
        #[cfg(not(feature = "pg18"))]
        pg_sys::pqsignal(signal, Some(handler));
    }
}
