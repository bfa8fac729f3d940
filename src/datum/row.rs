//! Rows: composite values, taken apart once a call, their columns looked up once a row type.

use e2i_core::{Binder, Layout, Result, Scalar};
use pgrx::{PgMemoryContexts, PgTupleDesc, pg_sys};

use crate::datum::features::{Strictness, required};
use crate::datum::scalar::{Reader, Zone, type_name};
use crate::pg::{relcache, varlena};

/// What is known about the row type seen last.
#[derive(Default)]
pub struct RowSource {
    zone: Zone,
    known: Option<Known>,
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
}

struct Known {
    type_oid: pg_sys::Oid,
    typmod: i32,
    /// Number of relation changes that this backend had seen when the type was looked up.
    changes: u64,
    /// The server's own number for this state of the row type.
    identifier: u64,
    descriptor: Descriptor,
    columns: Vec<Column>,
    layout: Layout,
}

struct Column {
    reader: Reader,
    type_name: String,
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
        strict: Strictness,
        sink: &mut S,
    ) -> Result<()>
    where
        S: FnMut(usize, Option<Scalar<'_>>) -> Result<()>,
    {
        // SAFETY: as the caller promises; a composite value begins with its header, and so does its length.
        let (mut tuple, type_oid, typmod) = unsafe {
            let header = varlena::plain(datum).cast::<pg_sys::HeapTupleHeaderData>();
            let fields = (*header).t_choice.t_datum;
            let length = pgrx::varlena::varsize_any(header.cast()) as u32;
            (
                pg_sys::HeapTupleData { t_len: length, t_data: header, ..Default::default() },
                fields.datum_typeid,
                fields.datum_typmod,
            )
        };
        let changes = relcache::changes();
        match &self.known {
            Some(known) if known.type_oid == type_oid && known.typmod == typmod && known.changes == changes => {}
            _ => self.look_up(binder, type_oid, typmod, changes, strict)?,
        }
        let Self { zone, known: Some(known), values, nulls } = self else { return Ok(()) };
        // SAFETY: both arrays have the descriptor's number of attributes.
        unsafe {
            pg_sys::heap_deform_tuple(&raw mut tuple, known.descriptor.0, values.as_mut_ptr(), nulls.as_mut_ptr())
        };
        for (feature, source) in known.layout.sources().iter().enumerate() {
            let Some(source) = source.map(|source| source as usize) else {
                sink(feature, None)?;
                continue;
            };
            let column = &known.columns[source];
            if nulls[source] {
                sink(feature, Some(Scalar::Missing))?;
                continue;
            }
            let element = binder.element(feature);
            // SAFETY: the value came from the tuple, by this column's type.
            unsafe {
                column.reader.read_for(element, *zone, values[source], &column.type_name, |scalar| {
                    sink(feature, Some(scalar))
                })?;
            }
        }
        Ok(())
    }

    #[cold]
    fn look_up(
        &mut self,
        binder: &Binder,
        type_oid: pg_sys::Oid,
        typmod: i32,
        changes: u64,
        strict: Strictness,
    ) -> Result<()> {
        // SAFETY: the type comes from a valid composite value.
        let identifier = unsafe { pg_sys::assign_record_type_identifier(type_oid, typmod) };
        if let Some(known) = &mut self.known
            && known.type_oid == type_oid
            && known.typmod == typmod
            && known.identifier == identifier
        {
            known.changes = changes;
            return Ok(());
        }
        // SAFETY: as above.
        let descriptor = unsafe { Descriptor::copy_of(type_oid, typmod) };
        let (mut names, mut columns) = (Vec::new(), Vec::new());
        for attribute in descriptor.attributes().iter() {
            if attribute.attisdropped {
                names.push(String::new());
                columns.push(Column { reader: Reader::Other, type_name: String::new() });
                continue;
            }
            let reader = Reader::of(attribute.atttypid);
            names.push(attribute.name().to_owned());
            columns.push(Column {
                reader,
                type_name: if reader == Reader::Other { type_name(attribute.atttypid) } else { String::new() },
            });
        }
        let layout = required(strict, binder, names.iter().map(String::as_str))?;
        self.values.resize(columns.len(), pg_sys::Datum::from(0));
        self.nulls.resize(columns.len(), true);
        self.known = Some(Known { type_oid, typmod, changes, identifier, descriptor, columns, layout });
        Ok(())
    }
}
