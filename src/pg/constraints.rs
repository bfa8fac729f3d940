//! What an open table says of all its rows: constraints, and the bounds of a partition. The table is its first in what it says.

use std::ffi::c_int;

use pgrx::pg_sys;

unsafe extern "C-unwind" {
    /// Not among what pgrx declares; see the server's `utils/cache/partcache.c`.
    fn RelationGetPartitionQual(relation: pg_sys::Relation) -> *mut pg_sys::List;
}

/// The CHECK constraints that hold for all rows, each an expression.
///
/// # Safety
/// `relation` must be open.
pub unsafe fn checks(relation: pg_sys::Relation) -> *mut pg_sys::List {
    // SAFETY: as the caller promises; the descriptor has as many constraints as it says.
    unsafe {
        let constraints = (*(*relation).rd_att).constr;
        if constraints.is_null() {
            return std::ptr::null_mut();
        }
        let count = usize::from((*constraints).num_check);
        (0..count).map(|number| &*(*constraints).check.add(number)).filter(|check| check.ccvalid).fold(
            std::ptr::null_mut(),
            |all, check| {
                let expression =
                    pg_sys::eval_const_expressions(std::ptr::null_mut(), pg_sys::stringToNode(check.ccbin).cast());
                pg_sys::lappend(all, expression.cast())
            },
        )
    }
}

/// What the bounds of a partition, and of those above it, say of its rows; null for none.
///
/// # Safety
/// `relation` must be open.
pub unsafe fn partition_bounds(relation: pg_sys::Relation) -> *mut pg_sys::List {
    // SAFETY: as the caller promises; what it raises passes as from any function of the server.
    unsafe {
        if !(*(*relation).rd_rel).relispartition {
            return std::ptr::null_mut();
        }
        #[allow(ffi_unwind_calls)]
        pg_sys::ffi::pg_guard_ffi_boundary(|| RelationGetPartitionQual(relation))
    }
}

/// Whether a column is NOT NULL.
///
/// # Safety
/// `relation` must be open and have the column, whose number is positive.
pub unsafe fn is_not_null(relation: pg_sys::Relation, column: i16) -> bool {
    // SAFETY: as the caller promises.
    unsafe {
        let attributes = pgrx::PgTupleDesc::from_pg_unchecked((*relation).rd_att);
        let place = usize::try_from(c_int::from(column) - 1).unwrap_or(usize::MAX);
        attributes.get(place).is_some_and(|attribute| attribute.attnotnull)
    }
}
