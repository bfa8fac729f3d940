//! Rows of a table by a key, read without a query.
//!
//! For what a session reads before it can score for the first time: parsing, planning and starting the first queries of a session
//! takes it longer than all the rest. Reads under the active snapshot, as a query would, with no look at rights: the caller of this
//! has to know that the rows may be read.

use std::ffi::CStr;

use e2i_core::{Error, Kind};
use pgrx::{FromDatum, IntoDatum, PgTupleDesc, pg_sys};

use crate::error::raise;
use crate::pg::varlena;

/// What a column must be.
pub enum Key<'k> {
    /// A text, of a column that is text or varchar.
    Text(&'k str),
    /// A name of the server's catalogs.
    Name(&'k CStr),
    /// A uuid.
    Uuid([u8; 16]),
    /// A bytea.
    Bytes(&'k [u8]),
    /// An integer.
    Int(i32),
}

impl Key<'_> {
    /// The server's function that compares, and its argument.
    fn comparison(&self) -> (u32, Option<pg_sys::Datum>) {
        match *self {
            Self::Text(text) => (pg_sys::F_TEXTEQ, text.into_datum()),
            Self::Name(name) => (pg_sys::F_NAMEEQ, Some(pg_sys::Datum::from(name.as_ptr()))),
            Self::Uuid(id) => (pg_sys::F_UUID_EQ, pgrx::datum::Uuid::from_bytes(id).into_datum()),
            Self::Bytes(bytes) => (pg_sys::F_BYTEAEQ, bytes.into_datum()),
            Self::Int(number) => (pg_sys::F_INT4EQ, number.into_datum()),
        }
    }
}

/// A table that is read, locked against changes of its definition until the end of the transaction.
pub struct Table {
    relation: pg_sys::Relation,
}

impl Drop for Table {
    fn drop(&mut self) {
        // While an error unwinds, the server lets go of it by itself.
        if !std::thread::panicking() {
            // SAFETY: opened below; the lock stays.
            unsafe { pg_sys::table_close(self.relation, pg_sys::NoLock as i32) };
        }
    }
}

impl Table {
    /// Opens a table.
    pub fn open(table: pg_sys::Oid) -> Self {
        // SAFETY: raises an error for what is no table.
        Self { relation: unsafe { pg_sys::table_open(table, pg_sys::AccessShareLock as i32) } }
    }

    /// What `read` makes of each row that has these values, found by the index of this name if it is there and fits; else the
    /// table is read.
    pub fn find<R>(&self, index: &CStr, key: &[(&CStr, Key<'_>)], mut read: impl FnMut(&Record) -> R) -> Vec<R> {
        // SAFETY: scan keys are plain data, initialized below; what is opened is closed, or by the server after an error.
        unsafe {
            let mut keys = vec![std::mem::zeroed::<pg_sys::ScanKeyData>(); key.len()];
            for (entry, (column, value)) in keys.iter_mut().zip(key) {
                let (number, _, collation) = self.column(column);
                let (comparison, argument) = value.comparison();
                pg_sys::ScanKeyEntryInitialize(
                    entry,
                    0,
                    number,
                    pg_sys::BTEqualStrategyNumber as u16,
                    pg_sys::Oid::INVALID,
                    collation,
                    pg_sys::Oid::from(comparison),
                    argument.unwrap_or(pg_sys::Datum::from(0)),
                );
            }
            let index = self.index(index, &keys);
            let (snapshot, has_index) = (pg_sys::GetActiveSnapshot(), index != pg_sys::Oid::INVALID);
            let count = keys.len() as i32;
            let scan = pg_sys::systable_beginscan(self.relation, index, has_index, snapshot, count, keys.as_mut_ptr());
            let mut found = Vec::new();
            loop {
                let tuple = pg_sys::systable_getnext(scan);
                if tuple.is_null() {
                    break;
                }
                found.push(read(&Record { tuple, table: self }));
            }
            pg_sys::systable_endscan(scan);
            found
        }
    }

    /// All rows.
    pub fn all<R>(&self, read: impl FnMut(&Record) -> R) -> Vec<R> {
        self.find(c"", &[], read)
    }

    /// A valid b-tree of this table with these columns, by its name; invalid if there is none.
    fn index(&self, name: &CStr, keys: &[pg_sys::ScanKeyData]) -> pg_sys::Oid {
        // SAFETY: the relation is open, and so is the index while it is looked at; its columns are as many as it says.
        unsafe {
            let index = pg_sys::get_relname_relid(name.as_ptr(), (*(*self.relation).rd_rel).relnamespace);
            if index == pg_sys::Oid::INVALID || pg_sys::get_rel_relkind(index) as u8 != pg_sys::RELKIND_INDEX {
                return pg_sys::Oid::INVALID;
            }
            let relation = pg_sys::index_open(index, pg_sys::AccessShareLock as i32);
            let form = (*relation).rd_index;
            let columns = std::slice::from_raw_parts(
                (&raw const (*form).indkey.values).cast::<i16>(),
                usize::try_from((*form).indnkeyatts).unwrap_or(0),
            );
            let fits = (*form).indrelid == (*self.relation).rd_id
                && (*form).indisvalid
                && (*(*relation).rd_rel).relam == pg_sys::BTREE_AM_OID
                && keys.iter().all(|key| columns.contains(&key.sk_attno));
            pg_sys::index_close(relation, pg_sys::NoLock as i32);
            if fits { index } else { pg_sys::Oid::INVALID }
        }
    }

    /// A column by its name: its number, type and collation.
    fn column(&self, name: &CStr) -> (i16, pg_sys::Oid, pg_sys::Oid) {
        // SAFETY: the relation is open, and its descriptor with it.
        let descriptor = unsafe { PgTupleDesc::from_pg_unchecked((*self.relation).rd_att) };
        let is_it = |attribute: &&pg_sys::FormData_pg_attribute| {
            // SAFETY: a name ends in a zero byte.
            !attribute.attisdropped && unsafe { CStr::from_ptr(attribute.attname.data.as_ptr()) } == name
        };
        match descriptor.iter().find(is_it) {
            Some(attribute) => (attribute.attnum, attribute.atttypid, attribute.attcollation),
            None => raise(&Error::new(Kind::Internal, format!("a table of the extension has no column {name:?}"))),
        }
    }
}

/// A row that is being read.
pub struct Record<'t> {
    tuple: pg_sys::HeapTuple,
    table: &'t Table,
}

impl Record<'_> {
    /// A column, copied; `None` for NULL.
    pub fn get<T: FromDatum>(&self, column: &CStr) -> Option<T> {
        self.datum(column).and_then(|datum| {
            // SAFETY: a value of the column; its type is T by the table's definition.
            unsafe { T::from_datum(datum, false) }
        })
    }

    /// Whether a column is NULL.
    pub fn is_null(&self, column: &CStr) -> bool {
        self.datum(column).is_none()
    }

    /// Hands the bytes of a bytea column to `read`; empty for NULL.
    pub fn bytes<R>(&self, column: &CStr, read: impl FnOnce(&[u8]) -> R) -> R {
        // SAFETY: a value of the column, which is read while the row is held.
        read(self.datum(column).map_or(&[], |datum| unsafe { varlena::bytes(datum) }))
    }

    /// The text of a value of an enum, a uuid or a jsonb: what its type writes.
    pub fn text(&self, column: &CStr) -> Option<String> {
        let datum = self.datum(column)?;
        // SAFETY: the type's own output function; the text is a palloc'd C string.
        unsafe {
            let (mut output, mut is_varlena) = (pg_sys::Oid::INVALID, false);
            let (_, of, _) = self.table.column(column);
            pg_sys::getTypeOutputInfo(of, &raw mut output, &raw mut is_varlena);
            let text = pg_sys::OidOutputFunctionCall(output, datum);
            Some(CStr::from_ptr(text).to_string_lossy().into_owned())
        }
    }

    fn datum(&self, column: &CStr) -> Option<pg_sys::Datum> {
        let mut is_null = false;
        // SAFETY: tuple and descriptor belong together, and the row is held.
        let datum = unsafe {
            let (number, ..) = self.table.column(column);
            pg_sys::heap_getattr(self.tuple, i32::from(number), (*self.table.relation).rd_att, &mut is_null)
        };
        (!is_null).then_some(datum)
    }
}
