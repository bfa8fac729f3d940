//! Rows as a heap stores them: numbers whose places are the same in every row are read without taking the row apart.
//!
//! Columns of a fixed width stand at the same place in every row in which nothing before them is NULL, nor of a width that varies. The
//! server takes a row apart by the same rules: `heap_deform_tuple`.

use std::ptr;

use e2i_core::{Lanes, StoredLanes};
use pgrx::pg_sys;

/// Where the columns of lanes stand in stored rows of one description.
pub struct Stored {
    description: pg_sys::TupleDesc,
    /// How many columns have to be there.
    columns: usize,
    lanes: Option<StoredLanes>,
}

impl Stored {
    /// Of lanes whose sources are the columns of the row in their order.
    ///
    /// # Safety
    /// The description must be valid, and stay as long as rows of it are read.
    pub unsafe fn new(lanes: &Lanes, description: pg_sys::TupleDesc) -> Self {
        // SAFETY: as the caller promises.
        let places = unsafe { places(description) };
        let mut columns = 0;
        let lanes = lanes.stored(|source, word| {
            columns = columns.max(source + 1);
            let (place, length) = *places.get(source)?;
            (length == word.bytes()).then_some(place)
        });
        Self { description, columns, lanes }
    }

    /// Whether it is of the description that a slot's rows have.
    ///
    /// # Safety
    /// `slot` must be valid.
    #[inline]
    pub unsafe fn is_of(&self, slot: *mut pg_sys::TupleTableSlot) -> bool {
        // SAFETY: as the caller promises.
        ptr::eq(self.description, unsafe { (*slot).tts_tupleDescriptor })
    }

    /// The lanes, and the bytes of the row in the slot; `None` if it is no stored row, or one whose columns stand elsewhere.
    ///
    /// # Safety
    /// `slot` must be valid, hold a row, be of the description, and not be changed as long as the bytes are used.
    #[inline]
    pub unsafe fn row(&self, slot: *mut pg_sys::TupleTableSlot) -> Option<(&StoredLanes, &[u8])> {
        let lanes = self.lanes.as_ref()?;
        // SAFETY: as the caller promises; a slot with these functions is of this kind, and a tuple that it has is whole: the header,
        // which is followed by a bit for each column if there are any NULLs, and from `t_hoff` on the columns.
        unsafe {
            let kind = (*slot).tts_ops;
            let is_stored = ptr::eq(kind, &raw const pg_sys::TTSOpsBufferHeapTuple)
                || ptr::eq(kind, &raw const pg_sys::TTSOpsHeapTuple);
            let tuple = if is_stored { (*slot.cast::<pg_sys::HeapTupleTableSlot>()).tuple } else { ptr::null_mut() };
            if tuple.is_null() {
                return None;
            }
            let header = (*tuple).t_data;
            // A row may be older than its last columns.
            if usize::from((*header).t_infomask2 & pg_sys::HEAP_NATTS_MASK as u16) < self.columns {
                return None;
            }
            if (*header).t_infomask & pg_sys::HEAP_HASNULL as u16 != 0 {
                let bits = (&raw const (*header).t_bits).cast::<u8>();
                let bits = std::slice::from_raw_parts(bits, self.columns.div_ceil(8));
                if !are_all_set(bits, self.columns) {
                    return None;
                }
            }
            let (from, length) = (usize::from((*header).t_hoff), (*tuple).t_len as usize);
            let bytes = header.cast::<u8>().cast_const().add(from);
            Some((lanes, std::slice::from_raw_parts(bytes, length.saturating_sub(from))))
        }
    }
}

/// Whether the first bits are set, the lowest of a byte first.
#[inline]
fn are_all_set(bits: &[u8], count: usize) -> bool {
    let (whole, rest) = (count / 8, count % 8);
    let mask = (1_u8 << rest) - 1;
    bits.iter().take(whole).all(|byte| *byte == u8::MAX) && bits.get(whole).is_none_or(|byte| *byte & mask == mask)
}

/// Place and length of each column from the first on, up to one whose width varies.
unsafe fn places(description: pg_sys::TupleDesc) -> Vec<(usize, usize)> {
    // SAFETY: as the caller promises.
    let description = unsafe { pgrx::PgTupleDesc::from_pg_unchecked(description) };
    let mut next = 0_usize;
    let fixed = description.iter().map_while(|column| {
        let length = usize::try_from(column.attlen).ok()?;
        let alignment = match column.attalign as u8 {
            b'c' => 1,
            b's' => align_of::<i16>(),
            b'i' => align_of::<i32>(),
            b'd' => align_of::<f64>(),
            _ => return None,
        };
        let place = next.next_multiple_of(alignment);
        next = place + length;
        Some((place, length))
    });
    fixed.collect()
}
