//! Queries on the extension's own tables.
//!
//! Plans are prepared once a backend and kept. Reading queries run under the snapshot of the calling statement and
//! never assign a transaction id, so they work on a standby and in a parallel worker; pgrx's own client decides that by
//! itself, which is why this goes to the server's interface directly.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::CString;

use e2i_core::{Error, Kind};
use pgrx::{FromDatum, IntoDatum, PgMemoryContexts, pg_sys};

use crate::error::raise;
use crate::pg::{sqlstate, varlena};

thread_local! {
    static PLANS: RefCell<HashMap<String, pg_sys::SPIPlanPtr>> = RefCell::new(HashMap::new());
}

/// An argument: its type and its value, `None` for NULL.
pub struct Argument(pg_sys::Oid, Option<pg_sys::Datum>);

impl<T: IntoDatum> From<T> for Argument {
    fn from(value: T) -> Self {
        Self(T::type_oid(), value.into_datum())
    }
}

/// One row of a result; columns count from 1.
pub struct Row {
    tuple: pg_sys::HeapTuple,
    descriptor: pg_sys::TupleDesc,
}

impl Row {
    /// A column, copied out of the query's memory; `None` for NULL.
    pub fn get<T: FromDatum>(&self, column: i32) -> Option<T> {
        let mut is_null = false;
        // SAFETY: tuple and descriptor belong to the result that is being read.
        unsafe {
            let datum = pg_sys::SPI_getbinval(self.tuple, self.descriptor, column, &raw mut is_null);
            T::from_datum(datum, is_null)
        }
    }

    /// Hands the bytes of a bytea column to `read`, with no copy beyond the server's own; empty for NULL.
    pub fn bytes<R>(&self, column: i32, read: impl FnOnce(&[u8]) -> R) -> R {
        let mut is_null = false;
        // SAFETY: as above; the value is read while the result is held.
        let bytes = unsafe {
            let datum = pg_sys::SPI_getbinval(self.tuple, self.descriptor, column, &raw mut is_null);
            if is_null { &[] } else { varlena::bytes(datum) }
        };
        read(bytes)
    }
}

/// Runs a reading query under the calling statement's snapshot and returns what `read` makes of each row.
pub fn select<R>(sql: &str, arguments: &[Argument], read: impl FnMut(&Row) -> R) -> Vec<R> {
    run(sql, arguments, true, |_| rows(read))
}

/// Runs a reading query under a snapshot of its own, which sees what was committed until now and what this transaction
/// has done, whatever the isolation level. Not for parallel workers.
pub fn select_latest<R>(sql: &str, arguments: &[Argument], read: impl FnMut(&Row) -> R) -> Vec<R> {
    under_latest(|| select(sql, arguments, read))
}

/// Runs `f` under such a snapshot.
pub fn under_latest<R>(f: impl FnOnce() -> R) -> R {
    // SAFETY: the snapshot is popped below; an ERROR in between pops it with the (sub)transaction.
    unsafe {
        pg_sys::CommandCounterIncrement();
        pg_sys::PushActiveSnapshot(pg_sys::GetLatestSnapshot());
    }
    let result = f();
    // SAFETY: pushed above.
    unsafe { pg_sys::PopActiveSnapshot() };
    result
}

/// Runs a writing statement with RETURNING.
pub fn returning<R>(sql: &str, arguments: &[Argument], read: impl FnMut(&Row) -> R) -> Vec<R> {
    run(sql, arguments, false, |_| rows(read))
}

/// The rows of the statement that was just run.
fn rows<R>(mut read: impl FnMut(&Row) -> R) -> Vec<R> {
    // SAFETY: called while SPI holds the result, which lives until SPI_finish.
    unsafe {
        let table = pg_sys::SPI_tuptable;
        if table.is_null() {
            return vec![];
        }
        let count = usize::try_from(pg_sys::SPI_processed).unwrap_or_default();
        (0..count).map(|index| read(&Row { tuple: *(*table).vals.add(index), descriptor: (*table).tupdesc })).collect()
    }
}

/// Runs a writing statement and returns how many rows it touched.
pub fn execute(sql: &str, arguments: &[Argument]) -> u64 {
    run(sql, arguments, false, |processed| processed)
}

/// Runs a writing statement for one large value, which is given back at once and not at the end of the calling statement.
pub fn execute_large(sql: &str, arguments: impl FnOnce() -> Vec<Argument>) -> u64 {
    let mut context = PgMemoryContexts::new("e2i_serve large value");
    // SAFETY: what is made inside is used inside; an ERROR deletes the context with its parent.
    unsafe { context.switch_to(|_| execute(sql, &arguments())) }
}

fn run<R>(sql: &str, arguments: &[Argument], read_only: bool, result: impl FnOnce(u64) -> R) -> R {
    let mut values: Vec<pg_sys::Datum> = arguments.iter().map(|a| a.1.unwrap_or(pg_sys::Datum::from(0))).collect();
    let nulls: Vec<std::ffi::c_char> = arguments.iter().map(|a| if a.1.is_some() { b' ' } else { b'n' } as _).collect();
    // SAFETY: SPI is connected around everything that uses it; an ERROR in between is cleaned up by the server.
    sqlstate::keeping(|| unsafe {
        expect(pg_sys::SPI_connect(), "SPI_connect");
        let plan = plan(sql, arguments, read_only);
        expect(pg_sys::SPI_execute_plan(plan, values.as_mut_ptr(), nulls.as_ptr(), read_only, 0), "SPI_execute_plan");
        let result = result(pg_sys::SPI_processed);
        expect(pg_sys::SPI_finish(), "SPI_finish");
        result
    })
}

/// Runs a statement whose text is made for once, such as one that names a day. Its plan is not kept.
pub fn execute_once(sql: &str) {
    let text = text(sql);
    // SAFETY: as above.
    unsafe {
        expect(pg_sys::SPI_connect(), "SPI_connect");
        expect(pg_sys::SPI_execute(text.as_ptr(), false, 0), "SPI_execute");
        expect(pg_sys::SPI_finish(), "SPI_finish");
    }
}

fn text(sql: &str) -> CString {
    CString::new(sql).unwrap_or_else(|_| raise(&Error::new(Kind::Internal, "a query contains a zero byte")))
}

/// The kept plan of a query. Reading is by key, so one plan is right for all values and is made once: by itself the server
/// would plan the first five executions in every session for their values. Writing is not always: what is deleted by its age
/// may be little or much.
///
/// # Safety
/// SPI must be connected.
unsafe fn plan(sql: &str, arguments: &[Argument], read_only: bool) -> pg_sys::SPIPlanPtr {
    if let Some(plan) = PLANS.with_borrow(|plans| plans.get(sql).copied()) {
        return plan;
    }
    let text = text(sql);
    let mut types: Vec<pg_sys::Oid> = arguments.iter().map(|argument| argument.0).collect();
    // SAFETY: text and types have the lengths that are passed; a kept plan lives as long as the backend.
    let plan = unsafe {
        let options = if read_only { pg_sys::CURSOR_OPT_GENERIC_PLAN as i32 } else { 0 };
        let plan = pg_sys::SPI_prepare_cursor(text.as_ptr(), types.len() as i32, types.as_mut_ptr(), options);
        if plan.is_null() {
            let code = pg_sys::SPI_result;
            raise(&Error::new(Kind::Internal, format!("cannot prepare a query: {code}")));
        }
        expect(pg_sys::SPI_keepplan(plan), "SPI_keepplan");
        plan
    };
    PLANS.with_borrow_mut(|plans| plans.insert(sql.to_owned(), plan));
    plan
}

fn expect(code: i32, what: &str) {
    if code < 0 {
        raise(&Error::new(Kind::Internal, format!("{what} returned {code}")));
    }
}
