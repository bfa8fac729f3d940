//! Processes of the server by their places in its table, which exist as long as the server, and the database of this one.

use pgrx::pg_sys;

/// The place of this process.
pub fn own() -> usize {
    // SAFETY: set in every process that uses shared memory.
    place(unsafe { pg_sys::MyProc })
}

/// The place of the process that leads the parallel statement this one works for; its own if it leads itself.
pub fn leader() -> usize {
    // SAFETY: as above; the leader outlives its workers.
    let leader = unsafe { (*pg_sys::MyProc).lockGroupLeader };
    if leader.is_null() { own() } else { place(leader) }
}

fn place(process: *mut pg_sys::PGPROC) -> usize {
    // SAFETY: reads where the table begins.
    let first = unsafe { (*pg_sys::ProcGlobal).allProcs };
    (process as usize - first as usize) / size_of::<pg_sys::PGPROC>()
}

/// The number of the database that this process is connected to.
pub fn database() -> u32 {
    // SAFETY: reads a variable.
    unsafe { pg_sys::MyDatabaseId }.to_u32()
}

/// Wakes a process, given by what [`own`] said there. One that has another's place by now is woken for nothing.
///
/// # Safety
/// `place` must have come from [`own`].
pub unsafe fn wake(place: usize) {
    // SAFETY: as the caller promises.
    unsafe { pg_sys::SetLatch(&raw mut (*(*pg_sys::ProcGlobal).allProcs.add(place)).procLatch) };
}

/// Whether a process of the server has this number.
pub fn is_alive(pid: i32) -> bool {
    // SAFETY: looks into shared memory, under a lock of its own.
    unsafe { !pg_sys::BackendPidGetProc(pid).is_null() }
}

/// The number of this process.
pub fn pid() -> i32 {
    // SAFETY: reads a variable.
    unsafe { pg_sys::MyProcPid }
}
