//! Arrays: features by position, read in place.
//!
//! Layout: `src/include/utils/array.h`. Elements are aligned to their type; a NULL takes no room.

use e2i_core::{Binder, Layout, Result, Scalar};
use pgrx::pg_sys;

use crate::datum::layout::{Strictness, nested};
use crate::datum::scalar::{Reader, Zone};
use crate::pg::varlena;

/// What is known about the element type and length seen last.
#[derive(Default)]
pub struct ArraySource {
    zone: Zone,
    known: Option<Known>,
}

impl ArraySource {
    /// One that writes timestamps into text in this time zone.
    pub fn new(zone: Zone) -> Self {
        Self { zone, known: None }
    }
}

struct Known {
    element: pg_sys::Oid,
    count: usize,
    reader: Reader,
    size: i16,
    by_value: bool,
    align: usize,
    layout: Layout,
}

impl ArraySource {
    /// Feeds every feature of an array to `sink`.
    ///
    /// # Safety
    /// `datum` must be a valid array value.
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
        // SAFETY: as the caller promises; the header tells where the bitmap and the data are.
        let (array, element, count) = unsafe {
            let array = varlena::plain(datum).cast::<pg_sys::ArrayType>();
            let dimensions = (*array).ndim;
            if dimensions > 1 {
                return Err(nested(binder));
            }
            let count = if dimensions == 0 { 0 } else { *array.add(1).cast::<i32>() };
            (array, (*array).elemtype, usize::try_from(count).unwrap_or_default())
        };
        if !matches!(&self.known, Some(known) if known.element == element && known.count == count) {
            self.known = Some(look_up(binder, element, count, strict)?);
        }
        let Some(known) = &self.known else { return Ok(()) };
        // SAFETY: the array is valid, and every element is visited once, in order, by its own size and alignment.
        unsafe {
            let start = array.cast::<u8>();
            // The lengths and lower bounds of the dimensions follow the fixed part; then the bitmap, if there is one.
            let bitmap = ((*array).dataoffset != 0)
                .then(|| start.add(size_of::<pg_sys::ArrayType>() + 8 * usize::from((*array).ndim > 0)));
            let data = match (*array).dataoffset {
                0 => (size_of::<pg_sys::ArrayType>() + 8 * usize::from((*array).ndim > 0))
                    .next_multiple_of(pg_sys::MAXIMUM_ALIGNOF as usize),
                offset => usize::try_from(offset).unwrap_or_default(),
            };
            let mut position = data;
            let features = known.layout.sources().len();
            for index in 0..count.min(features) {
                if bitmap.is_some_and(|bits| *bits.add(index / 8) & (1 << (index % 8)) == 0) {
                    sink(index, Some(Scalar::Missing))?;
                    continue;
                }
                position = known.aligned(start, position);
                let value = known.fetch(start.add(position));
                let wanted = binder.element(index);
                known.reader.read_for(wanted, self.zone, value, element, |scalar| sink(index, Some(scalar)))?;
                position += known.length(start.add(position));
            }
            (count..features).try_for_each(|feature| sink(feature, None))
        }
    }
}

impl Known {
    /// The alignment is a power of two; a division by it would cost more than the rest of the element.
    ///
    /// # Safety
    /// `start + position` must be within the array.
    #[inline]
    unsafe fn aligned(&self, start: *const u8, position: usize) -> usize {
        // SAFETY: as the caller promises. A variable-length value with a short header is not aligned; padding is zero.
        if self.size == -1 && unsafe { *start.add(position) } != 0 {
            position
        } else {
            (position + self.align - 1) & !(self.align - 1)
        }
    }

    /// # Safety
    /// `at` must point to an element.
    #[inline]
    unsafe fn length(&self, at: *const u8) -> usize {
        // SAFETY: as the caller promises.
        unsafe {
            match self.size {
                -1 => pgrx::varlena::varsize_any(at.cast()),
                -2 => std::ffi::CStr::from_ptr(at.cast()).to_bytes_with_nul().len(),
                fixed => usize::try_from(fixed).unwrap_or_default(),
            }
        }
    }

    /// # Safety
    /// `at` must point to an element.
    #[inline]
    unsafe fn fetch(&self, at: *const u8) -> pg_sys::Datum {
        // SAFETY: as the caller promises.
        unsafe {
            match (self.by_value, self.size) {
                (true, 1) => pg_sys::Datum::from(*at),
                (true, 2) => pg_sys::Datum::from(at.cast::<i16>().read_unaligned()),
                (true, 4) => pg_sys::Datum::from(at.cast::<i32>().read_unaligned()),
                (true, _) => pg_sys::Datum::from(at.cast::<i64>().read_unaligned()),
                (false, _) => pg_sys::Datum::from(at.cast_mut()),
            }
        }
    }
}

#[cold]
fn look_up(binder: &Binder, element: pg_sys::Oid, count: usize, strict: Strictness) -> Result<Known> {
    let layout = match strict {
        Strictness::Strict => binder.layout_by_position(count)?,
        Strictness::DryRun => binder.match_positions(count)?,
    };
    let (mut size, mut by_value, mut align) = (0i16, false, 0);
    // SAFETY: the out pointers are valid, the type exists.
    unsafe { pg_sys::get_typlenbyvalalign(element, &raw mut size, &raw mut by_value, &raw mut align) };
    let align = match align as u8 {
        b'c' => 1,
        b's' => 2,
        b'i' => 4,
        _ => 8,
    };
    Ok(Known { element, count, reader: Reader::of(element), size, by_value, align, layout })
}
