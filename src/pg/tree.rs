//! The server's trees of nodes, those of expressions and plans: walked, changed, made.
//!
//! All that is made lives in the current memory context.

use std::ffi::c_void;

use pgrx::{pg_guard, pg_sys};

use super::major;

/// A node of a tree.
pub type Node = *mut pg_sys::Node;

/// What a node is.
///
/// # Safety
/// `node` must be a node.
#[inline]
pub unsafe fn tag<T>(node: *const T) -> pg_sys::NodeTag {
    // SAFETY: every node begins with its tag.
    unsafe { (*node.cast::<pg_sys::Node>()).type_ }
}

/// A node as one of its kind, if it is.
///
/// # Safety
/// `node` must be null or a node, and `T` the type of nodes of that tag.
pub unsafe fn cast<T, N>(node: *mut N, kind: pg_sys::NodeTag) -> Option<*mut T> {
    // SAFETY: as the caller promises.
    unsafe { (!node.is_null() && tag(node) == kind).then(|| node.cast()) }
}

/// A new node, all zeros.
///
/// # Safety
/// `T` must be the type of nodes of that tag.
pub unsafe fn make<T>(kind: pg_sys::NodeTag) -> *mut T {
    // SAFETY: as the caller promises; memory of that size, all zeros.
    unsafe {
        let node = pg_sys::palloc0(size_of::<T>()).cast::<T>();
        (*node.cast::<pg_sys::Node>()).type_ = kind;
        node
    }
}

/// A copy of a node with all below it.
///
/// # Safety
/// `node` must be null or a node.
pub unsafe fn copy<T>(node: *const T) -> *mut T {
    // SAFETY: as the caller promises.
    unsafe { pg_sys::copyObjectImpl(node.cast()) }.cast()
}

/// The members of a list of nodes.
///
/// # Safety
/// `list` must be null or a list of nodes of type `T`, and not be changed while it is read.
pub unsafe fn members<T>(list: *const pg_sys::List) -> impl DoubleEndedIterator<Item = *mut T> + ExactSizeIterator {
    // SAFETY: as the caller promises; a list that is there has an array of its length.
    unsafe { cells(list) }.iter().map(|cell| {
        // SAFETY: as the caller promises.
        unsafe { cell.ptr_value.cast() }
    })
}

/// The members of a list of integers.
///
/// # Safety
/// `list` must be null or a list of integers, and not be changed while it is read.
pub unsafe fn integers(list: *const pg_sys::List) -> impl ExactSizeIterator<Item = i32> {
    // SAFETY: as the caller promises.
    unsafe { cells(list) }.iter().map(|cell| {
        // SAFETY: as the caller promises.
        unsafe { cell.int_value }
    })
}

unsafe fn cells<'l>(list: *const pg_sys::List) -> &'l [pg_sys::ListCell] {
    if list.is_null() {
        return &[];
    }
    // SAFETY: as the callers promise.
    unsafe { std::slice::from_raw_parts((*list).elements, usize::try_from((*list).length).unwrap_or_default()) }
}

/// Replaces a member of a list.
///
/// # Safety
/// `list` must be a list of nodes that has this member.
pub unsafe fn replace<T>(list: *mut pg_sys::List, index: usize, node: *mut T) {
    // SAFETY: as the caller promises.
    unsafe { (*(*list).elements.add(index)).ptr_value = node.cast() };
}

/// A list of nodes.
pub fn list<T>(members: impl IntoIterator<Item = *mut T>) -> *mut pg_sys::List {
    // SAFETY: appends pointers to a list of them, which begins as null.
    members.into_iter().fold(std::ptr::null_mut(), |list, member| unsafe { pg_sys::lappend(list, member.cast()) })
}

/// A list of integers.
pub fn list_of_integers(members: impl IntoIterator<Item = i32>) -> *mut pg_sys::List {
    // SAFETY: appends integers to a list of them, which begins as null.
    members.into_iter().fold(std::ptr::null_mut(), |list, member| unsafe { pg_sys::lappend_int(list, member) })
}

/// Whether a node of the expression, or of the list of them, is what `is_it` looks for; of a node that is not, `None` looks at those
/// below, and `Some(false)` does not.
///
/// # Safety
/// `node` must be null, an expression of a plan or a list of them.
pub unsafe fn has(node: Node, is_it: &mut dyn FnMut(Node) -> Option<bool>) -> bool {
    let mut is_it = is_it;
    // SAFETY: as the caller promises; the context is that closure.
    unsafe { walk(node, (&raw mut is_it).cast()) }
}

#[pg_guard]
unsafe extern "C-unwind" fn walk(node: Node, context: *mut c_void) -> bool {
    if node.is_null() {
        return false;
    }
    // SAFETY: called by `has` and by the server on behalf of it, with the same context and nodes of the same tree.
    unsafe {
        let is_it = &mut *context.cast::<&mut dyn FnMut(Node) -> Option<bool>>();
        match is_it(node) {
            Some(found) => found,
            None => pg_sys::expression_tree_walker(node, Some(walk), context),
        }
    }
}

/// A copy of an expression or a list of them in which nodes are others, those for which `other` gives one.
///
/// # Safety
/// `node` must be null, an expression of a plan or a list of them, and what `other` gives must be valid in its place.
pub unsafe fn changed<T>(node: *mut T, other: &mut dyn FnMut(Node) -> Option<Node>) -> *mut T {
    let mut other = other;
    // SAFETY: as the caller promises; the context is that closure.
    unsafe { change(node.cast(), (&raw mut other).cast()) }.cast()
}

#[pg_guard]
unsafe extern "C-unwind" fn change(node: Node, context: *mut c_void) -> Node {
    if node.is_null() {
        return node;
    }
    // SAFETY: called by `changed` and by the server on behalf of it, with the same context and nodes of the same tree.
    unsafe {
        let other = &mut *context.cast::<&mut dyn FnMut(Node) -> Option<Node>>();
        match other(node) {
            Some(other) => other,
            None => major::expression_tree_mutator(node, change, context),
        }
    }
}
