//! Arrays: features by position, read in place.
//!
//! Layout: `src/include/utils/array.h`. Elements are aligned to their type; a NULL takes no room.

use e2i_core::{Binder, ElementType, Layout, Result, Scalar};
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
    elements: Elements,
    count: usize,
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
        if !matches!(&self.known, Some(known) if known.elements.element == element && known.count == count) {
            self.known = Some(look_up(binder, element, count, strict)?);
        }
        let Some(known) = &self.known else { return Ok(()) };
        let features = known.layout.sources().len();
        let wanted = |index| binder.element(index);
        // SAFETY: an array of such elements, as many or more.
        unsafe {
            known
                .elements
                .each(array, count.min(features), self.zone, wanted, |index, value| sink(index, Some(value)))?;
        }
        (count..features).try_for_each(|feature| sink(feature, None))
    }
}

/// How the elements of an array are read.
pub struct Elements {
    element: pg_sys::Oid,
    reader: Reader,
    size: i16,
    by_value: bool,
    align: usize,
}

impl Elements {
    /// Those of a type.
    fn of(element: pg_sys::Oid) -> Self {
        let (mut size, mut by_value, mut align) = (0i16, false, 0);
        // SAFETY: the out pointers are valid, the type exists.
        unsafe { pg_sys::get_typlenbyvalalign(element, &raw mut size, &raw mut by_value, &raw mut align) };
        let align = match align as u8 {
            b'c' => 1,
            b's' => 2,
            b'i' => 4,
            _ => 8,
        };
        Self { element, reader: Reader::of(element), size, by_value, align }
    }

    /// An array, how its elements are read, and the lengths of its axes.
    ///
    /// # Safety
    /// `datum` must be a valid array value.
    pub unsafe fn open(datum: pg_sys::Datum) -> (Self, *const pg_sys::ArrayType, Vec<usize>) {
        // SAFETY: as the caller promises; the lengths follow the fixed part.
        unsafe {
            let array = varlena::plain(datum).cast::<pg_sys::ArrayType>();
            let axes = usize::try_from((*array).ndim).unwrap_or_default();
            let lengths = std::slice::from_raw_parts(array.add(1).cast::<i32>(), axes);
            let lengths = lengths.iter().map(|length| usize::try_from(*length).unwrap_or_default()).collect();
            (Self::of((*array).elemtype), array, lengths)
        }
    }

    /// Feeds the first `count` elements, row by row where there are several axes; `wanted` is the type that each is read for.
    ///
    /// # Safety
    /// The array must be of such elements, and have as many or more.
    #[inline]
    pub unsafe fn each(
        &self,
        array: *const pg_sys::ArrayType,
        count: usize,
        zone: Zone,
        wanted: impl Fn(usize) -> ElementType,
        mut feed: impl FnMut(usize, Scalar<'_>) -> Result<()>,
    ) -> Result<()> {
        // SAFETY: the array is valid, and every element is visited once, in order, by its own size and alignment.
        unsafe {
            let start = array.cast::<u8>();
            // The lengths and lower bounds of the dimensions follow the fixed part; then the bitmap, if there is one.
            let header = size_of::<pg_sys::ArrayType>() + 8 * usize::try_from((*array).ndim).unwrap_or_default();
            let bitmap = ((*array).dataoffset != 0).then(|| start.add(header));
            let mut position = match (*array).dataoffset {
                0 => header.next_multiple_of(pg_sys::MAXIMUM_ALIGNOF as usize),
                offset => usize::try_from(offset).unwrap_or_default(),
            };
            for index in 0..count {
                if bitmap.is_some_and(|bits| *bits.add(index / 8) & (1 << (index % 8)) == 0) {
                    feed(index, Scalar::Missing)?;
                    continue;
                }
                position = self.aligned(start, position);
                let value = self.fetch(start.add(position));
                self.reader.read_for(wanted(index), zone, value, self.element, |scalar| feed(index, scalar))?;
                position += self.length(start.add(position));
            }
            Ok(())
        }
    }

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
    Ok(Known { elements: Elements::of(element), count, layout })
}
