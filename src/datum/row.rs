//! Rows: composite values, taken apart into their columns.
//!
//! A row type is looked up once a session, and matched with the features of a model once a model and type.

use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::rc::Rc;

use e2i_core::{Binder, Layout, Result, Scalar};
use pgrx::{PgMemoryContexts, PgTupleDesc, pg_sys};

use crate::datum::columns::Columns;
use crate::datum::layout::Strictness;
use crate::datum::scalar::Zone;
use crate::pg::{relcache, varlena};

/// Row types that a session keeps, 100 bytes a column.
const ROW_TYPES: usize = 64;

/// Row types that one call site keeps with their layouts: a query has one, an untyped variable or a model that is scored by
/// several statements in turn a few.
const LAYOUTS: usize = 4;

thread_local! {
    // Never dropped: at the end of a process the server's memory is no longer to be freed.
    static KNOWN: ManuallyDrop<RefCell<Vec<Rc<RowType>>>> = const { ManuallyDrop::new(RefCell::new(vec![])) };
}

/// What is known about the row types seen last, the last one first.
#[derive(Default)]
pub struct RowSource {
    zone: Zone,
    known: Vec<(Rc<RowType>, Layout)>,
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
}

struct RowType {
    type_oid: pg_sys::Oid,
    typmod: i32,
    /// Number of relation changes that this backend had seen when the type was known to be the same.
    changes: Cell<u64>,
    /// The server's own number for this state of the row type.
    identifier: u64,
    descriptor: Descriptor,
    columns: Columns,
}

/// A copy of a tuple descriptor that outlives changes of the type.
struct Descriptor(pg_sys::TupleDesc);

impl Descriptor {
    /// # Safety
    /// The type must be that of an existing composite value.
    unsafe fn copy_of(type_oid: pg_sys::Oid, typmod: i32) -> Self {
        // SAFETY: as the caller promises; the copy is made where nothing resets it, and freed on drop.
        unsafe {
            PgMemoryContexts::TopMemoryContext
                .switch_to(|_| Self(pg_sys::lookup_rowtype_tupdesc_copy(type_oid, typmod)))
        }
    }

    /// A view of the copy that frees nothing.
    fn attributes(&self) -> PgTupleDesc<'_> {
        // SAFETY: the copy is valid until drop.
        unsafe { PgTupleDesc::from_pg_unchecked(self.0) }
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: made by copy_of, freed once.
        unsafe { pg_sys::FreeTupleDesc(self.0) };
    }
}

impl RowType {
    /// The type of a composite value, as it is now.
    ///
    /// # Safety
    /// The value must exist.
    unsafe fn find(type_oid: pg_sys::Oid, typmod: i32) -> Rc<Self> {
        let changes = relcache::changes();
        let is_same = |known: &Rc<Self>| known.type_oid == type_oid && known.typmod == typmod;
        // SAFETY: as the caller promises.
        let identifier = unsafe { pg_sys::assign_record_type_identifier(type_oid, typmod) };
        let known = KNOWN.with(|known| known.borrow().iter().find(|known| is_same(known)).cloned());
        if let Some(known) = known.filter(|known| known.identifier == identifier) {
            known.changes.set(changes);
            return known;
        }
        // SAFETY: as above.
        let descriptor = unsafe { Descriptor::copy_of(type_oid, typmod) };
        let columns = Columns::new(descriptor.attributes().iter().map(|attribute| {
            let is_there = !attribute.attisdropped;
            is_there.then(|| (attribute.name(), attribute.atttypid))
        }));
        let found = Rc::new(Self { type_oid, typmod, changes: Cell::new(changes), identifier, descriptor, columns });
        KNOWN.with(|known| {
            let mut known = known.borrow_mut();
            known.retain(|known| !is_same(known));
            known.truncate(ROW_TYPES - 1);
            known.insert(0, found.clone());
        });
        found
    }
}

/// How the values of a row are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reading {
    /// As what they are.
    AsRow,
    /// As `to_jsonb` of the row gives them.
    AsJson,
}

impl Reading {
    /// Whether they are what JSON holds of them.
    #[inline]
    pub fn is_json(self) -> bool {
        self == Self::AsJson
    }
}

/// A composite value, with its row type.
///
/// # Safety
/// `datum` must be a valid composite value.
unsafe fn opened(datum: pg_sys::Datum) -> (pg_sys::HeapTupleData, pg_sys::Oid, i32) {
    // SAFETY: as the caller promises; a composite value begins with its header, and so does its length.
    unsafe {
        let header = varlena::plain(datum).cast::<pg_sys::HeapTupleHeaderData>();
        let fields = (*header).t_choice.t_datum;
        let length = pgrx::varlena::varsize_any(header.cast()) as u32;
        (
            pg_sys::HeapTupleData { t_len: length, t_data: header, ..Default::default() },
            fields.datum_typeid,
            fields.datum_typmod,
        )
    }
}

/// Whether each feature of a model is a column of a row.
///
/// # Safety
/// `datum` must be a valid composite value.
pub unsafe fn holds_all(datum: pg_sys::Datum, binder: &Binder) -> bool {
    // SAFETY: as the caller promises.
    unsafe {
        let (_, type_oid, typmod) = opened(datum);
        RowType::find(type_oid, typmod).columns.hold_all(binder)
    }
}

impl RowSource {
    /// One that writes timestamps into text in this time zone.
    pub fn new(zone: Zone) -> Self {
        Self { zone, ..Self::default() }
    }

    /// Feeds every feature of a row to `sink`.
    ///
    /// # Safety
    /// `datum` must be a valid composite value.
    pub unsafe fn scan<S>(
        &mut self,
        binder: &Binder,
        datum: pg_sys::Datum,
        reading: Reading,
        strict: Strictness,
        sink: &mut S,
    ) -> Result<()>
    where
        S: FnMut(usize, Option<Scalar<'_>>) -> Result<()>,
    {
        // SAFETY: as the caller promises.
        let (mut tuple, type_oid, typmod) = unsafe { opened(datum) };
        let changes = relcache::changes();
        match self.known.first() {
            Some((known, _))
                if known.type_oid == type_oid && known.typmod == typmod && known.changes.get() == changes => {}
            // SAFETY: the type comes from a valid composite value.
            _ => unsafe { self.look_up(binder, type_oid, typmod, strict)? },
        }
        let Self { zone, known, values, nulls } = self;
        let Some((row_type, layout)) = known.first() else { return Ok(()) };
        // SAFETY: both arrays have at least the descriptor's number of attributes, and then hold values of its types.
        unsafe {
            pg_sys::heap_deform_tuple(&raw mut tuple, row_type.descriptor.0, values.as_mut_ptr(), nulls.as_mut_ptr());
            match reading {
                Reading::AsRow => row_type.columns.scan(layout, binder, *zone, values, nulls, sink),
                Reading::AsJson => row_type.columns.scan_as_json(layout, binder, values, nulls, sink),
            }
        }
    }

    /// Puts a row type first.
    ///
    /// # Safety
    /// As [`RowType::find`].
    #[cold]
    unsafe fn look_up(
        &mut self,
        binder: &Binder,
        type_oid: pg_sys::Oid,
        typmod: i32,
        strict: Strictness,
    ) -> Result<()> {
        // SAFETY: as the caller promises.
        let row_type = unsafe { RowType::find(type_oid, typmod) };
        match self.known.iter().position(|(known, _)| Rc::ptr_eq(known, &row_type)) {
            Some(place) => self.known.swap(0, place),
            None => {
                let layout = row_type.columns.layout(binder, strict)?;
                let columns = row_type.columns.len();
                if self.values.len() < columns {
                    self.values.resize(columns, pg_sys::Datum::from(0));
                    self.nulls.resize(columns, true);
                }
                self.known.truncate(LAYOUTS - 1);
                self.known.insert(0, (row_type, layout));
            }
        }
        Ok(())
    }
}
