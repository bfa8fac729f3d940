//! What is one request where several processes work on a statement.
//!
//! A place in the plan of a parallel statement is called in its leader, in workers, or in both; that is one request all the same.
//! Processes know a place by its expression, which they have each a copy of, and by its number among equal ones. Whoever calls it
//! first leaves its number where the leader began, empty, with the statement. What a function runs within such a statement is a
//! statement of its own, in one process.
//!
//! An expression that PL/pgSQL evaluates by itself is a statement each time; its memory tells ([`crate::pg::call_site`]).

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use once_cell::sync::OnceCell;
use pgrx::{pg_guard, pg_shmem_init, pg_sys};

use crate::pg::call_site::Place;
use crate::pg::process;
use crate::pg::shared::Region;
use crate::pg::sqlstate;

/// Processes that are told apart; more of them share numbers, and two parallel statements that meet there may miss a request.
const PROCESSES: usize = 4096;

/// Uses of models by one statement that are told apart; more of them may count in each process.
const USES: usize = 32;

static REGION: Region = Region::new(c"e2i_serve statements", || PROCESSES * USES, 0, |_: &[AtomicU64]| ());

static PREVIOUS_START: OnceCell<pg_sys::ExecutorStart_hook_type> = OnceCell::new();
static PREVIOUS_END: OnceCell<pg_sys::ExecutorEnd_hook_type> = OnceCell::new();

thread_local! {
    /// The memory of plans under way that several processes work on: by that a call knows whether it is in one.
    static PARALLEL: RefCell<Vec<usize>> = const { RefCell::new(vec![]) };
    /// How many places with the same expression were called for the first time.
    static EQUAL: RefCell<HashMap<u64, u64>> = RefCell::new(HashMap::new());
}

/// Asks for the shared memory, and to hear of statements; called while the library is preloaded.
pub fn request() {
    pg_shmem_init!(REGION = true);
    // SAFETY: nothing else runs while a library is loaded; the functions are never unloaded.
    unsafe {
        let _ = PREVIOUS_START.set(pg_sys::ExecutorStart_hook);
        pg_sys::ExecutorStart_hook = Some(executor_start);
        let _ = PREVIOUS_END.set(pg_sys::ExecutorEnd_hook);
        pg_sys::ExecutorEnd_hook = Some(executor_end);
    }
}

fn is_worker() -> bool {
    // SAFETY: reads a variable, which is negative in every process but a worker.
    unsafe { pg_sys::ParallelWorkerNumber >= 0 }
}

#[pg_guard]
unsafe extern "C-unwind" fn executor_start(query: *mut pg_sys::QueryDesc, flags: std::ffi::c_int) {
    // SAFETY: the server's own arguments, passed on; afterwards the plan has its state.
    sqlstate::keeping(|| unsafe {
        match PREVIOUS_START.get().copied().flatten() {
            Some(previous) =>
            {
                #[allow(ffi_unwind_calls)]
                pg_sys::ffi::pg_guard_ffi_boundary(|| previous(query, flags))
            }
            None => pg_sys::standard_ExecutorStart(query, flags),
        }
        // A worker has one such plan, the first.
        let is_shared = match is_worker() {
            true => PARALLEL.with_borrow(Vec::is_empty),
            false => (*(*query).plannedstmt).parallelModeNeeded && !pg_sys::IsInParallelMode(),
        };
        if is_shared {
            if !is_worker() {
                begin();
            }
            PARALLEL.with_borrow_mut(|plans| plans.push((*(*query).estate).es_query_cxt as usize));
        }
    });
}

#[pg_guard]
unsafe extern "C-unwind" fn executor_end(query: *mut pg_sys::QueryDesc) {
    // SAFETY: the server's own argument, passed on.
    sqlstate::keeping(|| unsafe {
        let memory = (*(*query).estate).es_query_cxt as usize;
        PARALLEL.with_borrow_mut(|plans| plans.retain(|plan| *plan != memory));
        match PREVIOUS_END.get().copied().flatten() {
            Some(previous) =>
            {
                #[allow(ffi_unwind_calls)]
                pg_sys::ffi::pg_guard_ffi_boundary(|| previous(query))
            }
            None => pg_sys::standard_ExecutorEnd(query),
        }
    });
}

/// The transaction has ended, and with it plans that an ERROR kept from ending.
pub fn at_end_of_transaction() {
    let _ = PARALLEL.with(|plans| plans.try_borrow_mut().map(|mut plans| plans.clear()));
    begin();
}

/// Nothing was used yet.
fn begin() {
    for word in uses(process::own()).iter().filter(|word| word.load(Relaxed) != 0) {
        word.store(0, Relaxed);
    }
    let _ = EQUAL.with(|equal| equal.try_borrow_mut().map(|mut equal| equal.clear()));
}

fn uses(process: usize) -> &'static [AtomicU64] {
    let begin = (process % PROCESSES) * USES;
    REGION.shared().and_then(|words| words.get(begin..begin + USES)).unwrap_or_default()
}

/// Whether a place belongs to a plan that several processes may work on, or to what they do together without one, an index.
pub fn is_shared(place: &Place) -> bool {
    // SAFETY: reads this process' state.
    let is_parallel = unsafe { pg_sys::IsInParallelMode() };
    is_parallel && PARALLEL.with_borrow(|plans| plans.is_empty() || plans.contains(&place.memory()))
}

/// What tells a place in such a plan from others, in all processes the same.
pub fn number(place: &Place) -> u64 {
    let expression = place.expression();
    let equal = EQUAL.with_borrow_mut(|equal| {
        let count = equal.entry(expression).or_default();
        *count += 1;
        *count
    });
    let mut hasher = DefaultHasher::new();
    (expression, equal).hash(&mut hasher);
    hasher.finish()
}

/// Whether this process is the first to use `what` at the place of that number, in the statement that it works on.
pub fn is_first(number: u64, what: u64) -> bool {
    let mut hasher = DefaultHasher::new();
    (number, what).hash(&mut hasher);
    let mark = hasher.finish() | 1;
    let uses = uses(process::leader());
    for step in 0..uses.len() {
        let word = &uses[(mark as usize / 2 + step) % uses.len()];
        match word.compare_exchange(0, mark, Relaxed, Relaxed) {
            Ok(_) => return true,
            Err(known) if known == mark => return false,
            Err(_) => {}
        }
    }
    true
}
