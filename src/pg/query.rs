//! Queries on the extension's own tables, written as one would write them at psql: nothing is qualified but the tables, by
//! `{ml}`, their schema.
//!
//! *Names.* A query is parsed and planned, and planned anew where that is due, while `search_path` holds the server's own schema
//! alone, so that nobody's operator, function, type or temporary table takes the place of the one that is meant. It is then run
//! under the caller's own `search_path`: triggers and policies that somebody has put on the tables resolve what they name as they
//! do when the table is changed or read by hand. So planning and running are two steps, a cursor's.
//!
//! *Plans* are made once a session. Reading queries run under the snapshot of the calling statement and never assign a transaction
//! id, so they work on a standby and in a parallel worker; pgrx's own client decides that by itself, which is why this goes to the
//! server's interface directly.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CStr, CString};

use e2i_core::{Error, Kind};
use pgrx::{FromDatum, IntoDatum, PgMemoryContexts, pg_sys};

use crate::error::raise;
use crate::pg::{guc, namespace, sqlstate, varlena};

/// Where names of queries are looked up: nobody but a superuser can create anything in the first, and the second, if not named,
/// would come before it.
const SERVER: &CStr = c"pg_catalog, pg_temp";

/// A query. It is a constant, and known by where its text is.
pub struct Query {
    text: &'static str,
    is_of_caller: bool,
}

/// A plan that is kept, for the schema it was made for.
struct Prepared {
    plan: pg_sys::SPIPlanPtr,
    schema: pg_sys::Oid,
    name: CString,
}

thread_local! {
    static PLANS: RefCell<HashMap<(usize, usize), Prepared>> = RefCell::default();
}

/// An argument: its type and its value, `None` for NULL.
pub struct Argument(pg_sys::Oid, Option<pg_sys::Datum>);

impl<T: IntoDatum> From<T> for Argument {
    fn from(value: T) -> Self {
        Self(T::type_oid(), value.into_datum())
    }
}

impl Argument {
    /// A value of a type that only the server knows.
    pub fn typed(of_type: pg_sys::Oid, value: Option<pg_sys::Datum>) -> Self {
        Self(of_type, value)
    }

    /// Its type.
    pub fn of_type(&self) -> pg_sys::Oid {
        self.0
    }

    /// Its value; `None` for NULL.
    pub fn value(&self) -> Option<pg_sys::Datum> {
        self.1
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

    /// What a column's type writes, under the settings of now; `None` for NULL.
    pub fn text(&self, column: i32) -> Option<String> {
        // SAFETY: as above; the text is null or a palloc'd C string.
        unsafe {
            let text = pg_sys::SPI_getvalue(self.tuple, self.descriptor, column);
            (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
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

impl Query {
    /// A query that runs with the rights of the tables' owner, where it is run under [`crate::catalog::schema::Schema::as_owner`].
    pub const fn new(text: &'static str) -> Self {
        Self { text, is_of_caller: false }
    }

    /// A query that runs with the caller's rights. What row-level security adds to it may hold functions in SQL, whose bodies are
    /// parsed when the query is planned; therefore the caller's schemas follow the server's. So it may name only what is found
    /// there as it is written: types, and operators and functions of exactly these arguments.
    pub const fn of_caller(text: &'static str) -> Self {
        Self { text, is_of_caller: true }
    }

    /// Reads under the calling statement's snapshot and returns what `read` makes of each row.
    pub fn select<R>(
        &self,
        schema: impl Into<pg_sys::Oid>,
        arguments: &[Argument],
        read: impl FnMut(&Row) -> R,
    ) -> Vec<R> {
        self.run(schema.into(), arguments, Manner::Read, |_| rows(read))
    }

    /// Reads under a snapshot of its own, which sees what was committed until now and what this transaction has done, whatever the
    /// isolation level. Not for parallel workers.
    pub fn select_latest<R>(
        &self,
        schema: impl Into<pg_sys::Oid>,
        arguments: &[Argument],
        read: impl FnMut(&Row) -> R,
    ) -> Vec<R> {
        under_latest(|| self.select(schema, arguments, read))
    }

    /// Runs a writing statement with RETURNING, or a reading one that locks what it reads.
    pub fn returning<R>(
        &self,
        schema: impl Into<pg_sys::Oid>,
        arguments: &[Argument],
        read: impl FnMut(&Row) -> R,
    ) -> Vec<R> {
        self.run(schema.into(), arguments, Manner::Return, |_| rows(read))
    }

    /// Runs a writing statement without RETURNING and returns how many rows it touched.
    pub fn execute(&self, schema: impl Into<pg_sys::Oid>, arguments: &[Argument]) -> u64 {
        self.run(schema.into(), arguments, Manner::Write, |processed| processed)
    }

    /// Runs a writing statement for one large value, which is given back at once and not at the end of the calling statement.
    pub fn execute_large(&self, schema: impl Into<pg_sys::Oid>, arguments: impl FnOnce() -> Vec<Argument>) -> u64 {
        let mut context = PgMemoryContexts::new("e2i_serve large value");
        // SAFETY: what is made inside is used inside; an ERROR deletes the context with its parent.
        unsafe { context.switch_to(|_| self.execute(schema, &arguments())) }
    }

    fn run<R>(&self, schema: pg_sys::Oid, arguments: &[Argument], manner: Manner, result: impl FnOnce(u64) -> R) -> R {
        let mut values: Vec<pg_sys::Datum> = arguments.iter().map(|a| a.1.unwrap_or(pg_sys::Datum::from(0))).collect();
        let nulls: Vec<std::ffi::c_char> =
            arguments.iter().map(|a| if a.1.is_some() { b' ' } else { b'n' } as _).collect();
        let reads = matches!(manner, Manner::Read);
        // SAFETY: SPI is connected around everything that uses it; an ERROR in between is cleaned up by the server.
        sqlstate::keeping(|| unsafe {
            expect(pg_sys::SPI_connect(), "SPI_connect");
            let portal = guc::with(&[(c"search_path", &self.path())], || {
                let plan = self.plan(schema, arguments, manner);
                pg_sys::SPI_cursor_open(std::ptr::null(), plan, values.as_mut_ptr(), nulls.as_ptr(), reads)
            });
            pg_sys::SPI_cursor_fetch(portal, true, std::ffi::c_long::MAX);
            let result = result(pg_sys::SPI_processed);
            pg_sys::SPI_cursor_close(portal);
            expect(pg_sys::SPI_finish(), "SPI_finish");
            result
        })
    }

    /// Where names are looked up while it is parsed and planned.
    fn path(&self) -> CString {
        // SAFETY: the setting's value, null or a C string.
        let of_caller = unsafe {
            let path = pg_sys::namespace_search_path;
            if path.is_null() { c"" } else { CStr::from_ptr(path) }
        };
        if !self.is_of_caller || of_caller.is_empty() {
            return SERVER.to_owned();
        }
        let path = [SERVER.to_bytes(), b", ", of_caller.to_bytes()].concat();
        CString::new(path).unwrap_or_else(|_| SERVER.to_owned())
    }

    /// The kept plan. Reading is by key, so one plan is right for all values and is made once: by itself the server would plan the
    /// first five executions in every session for their values. Writing is not always: what is deleted by its age may be little or
    /// much.
    ///
    /// # Safety
    /// SPI must be connected.
    unsafe fn plan(&self, schema: pg_sys::Oid, arguments: &[Argument], manner: Manner) -> pg_sys::SPIPlanPtr {
        let Some(name) = namespace::name(schema) else {
            raise(&Error::new(Kind::Internal, "the schema of the extension is gone"))
        };
        let key = (self.text.as_ptr() as usize, self.text.len());
        let known = PLANS.with_borrow_mut(|plans| {
            let is_other = |kept: &Prepared| kept.schema != schema || kept.name != name;
            // The extension was moved, or its schema renamed.
            if plans.get(&key).is_some_and(is_other)
                && let Some(kept) = plans.remove(&key)
            {
                // SAFETY: a plan of ours, in use by nobody: a cursor holds its own reference.
                unsafe { pg_sys::SPI_freeplan(kept.plan) };
            }
            plans.get(&key).map(|kept| kept.plan)
        });
        if let Some(plan) = known {
            return plan;
        }
        let mut sql = self.text.replace("{ml}", &namespace::quoted(&name));
        if matches!(manner, Manner::Write) {
            // What is to be run as a cursor returns something.
            sql.push_str(" RETURNING 1");
        }
        let sql = text(&sql);
        let mut types: Vec<pg_sys::Oid> = arguments.iter().map(|argument| argument.0).collect();
        let generic = if matches!(manner, Manner::Read) { pg_sys::CURSOR_OPT_GENERIC_PLAN } else { 0 };
        let options = (generic | pg_sys::CURSOR_OPT_NO_SCROLL) as i32;
        // SAFETY: text and types have the lengths that are passed; a kept plan lives until it is freed.
        let plan = unsafe {
            let plan = pg_sys::SPI_prepare_cursor(sql.as_ptr(), types.len() as i32, types.as_mut_ptr(), options);
            if plan.is_null() {
                let code = pg_sys::SPI_result;
                raise(&Error::new(Kind::Internal, format!("cannot prepare a query: {code}")));
            }
            expect(pg_sys::SPI_keepplan(plan), "SPI_keepplan");
            plan
        };
        PLANS.with_borrow_mut(|plans| plans.insert(key, Prepared { plan, schema, name }));
        plan
    }
}

/// What a query does.
#[derive(Clone, Copy)]
enum Manner {
    /// Reads under the calling statement's snapshot.
    Read,
    /// Writes, or locks, and returns rows.
    Return,
    /// Writes.
    Write,
}

/// Runs `f` under a snapshot that sees what was committed until now.
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

/// The rows of the statement that was just run, while SPI holds them.
pub fn rows<R>(mut read: impl FnMut(&Row) -> R) -> Vec<R> {
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

/// Runs a statement that no plan is made of, and whose text is made for once, such as one that creates a table of some name.
pub fn execute_once(sql: &str) {
    let text = text(sql);
    // SAFETY: as in `run`.
    guc::with(&[(c"search_path", SERVER)], || unsafe {
        expect(pg_sys::SPI_connect(), "SPI_connect");
        expect(pg_sys::SPI_execute(text.as_ptr(), false, 0), "SPI_execute");
        expect(pg_sys::SPI_finish(), "SPI_finish");
    });
}

/// Runs a query that somebody else has written, with the caller's rights and schemas, and hands over the first column of each row while
/// `take` gives nothing back.
pub fn each_of_caller<R>(sql: &str, mut take: impl FnMut(Option<pg_sys::Datum>) -> Option<R>) -> Option<R> {
    const ROWS_AT_ONCE: std::ffi::c_long = 1000;
    let text = text(sql);
    let mut found = None;
    // SAFETY: as in `run`; what is handed over lives until the next rows are fetched.
    sqlstate::keeping(|| unsafe {
        expect(pg_sys::SPI_connect(), "SPI_connect");
        let options = pg_sys::CURSOR_OPT_NO_SCROLL as i32;
        let plan = pg_sys::SPI_prepare_cursor(text.as_ptr(), 0, std::ptr::null_mut(), options);
        if plan.is_null() {
            let code = pg_sys::SPI_result;
            raise(&Error::new(Kind::BadOption, format!("the query cannot be prepared: {code}")));
        }
        let none = std::ptr::null_mut();
        let portal = pg_sys::SPI_cursor_open(std::ptr::null(), plan, none, std::ptr::null(), false);
        while found.is_none() {
            pg_sys::SPI_cursor_fetch(portal, true, ROWS_AT_ONCE);
            let rows = pg_sys::SPI_tuptable;
            let count = usize::try_from(pg_sys::SPI_processed).unwrap_or_default();
            if count == 0 || rows.is_null() {
                break;
            }
            found = (0..count).find_map(|index| {
                let mut is_null = false;
                let datum = pg_sys::SPI_getbinval(*(*rows).vals.add(index), (*rows).tupdesc, 1, &raw mut is_null);
                take((!is_null).then_some(datum))
            });
            pg_sys::SPI_freetuptable(rows);
        }
        pg_sys::SPI_cursor_close(portal);
        expect(pg_sys::SPI_finish(), "SPI_finish");
    });
    found
}

fn text(sql: &str) -> CString {
    CString::new(sql).unwrap_or_else(|_| raise(&Error::new(Kind::Internal, "a query contains a zero byte")))
}

fn expect(code: i32, what: &str) {
    if code < 0 {
        raise(&Error::new(Kind::Internal, format!("{what} returned {code}")));
    }
}
