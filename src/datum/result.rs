//! Results as datums.

use e2i_core::Answer;
use pgrx::pg_sys;

/// An answer: a `float8`, a `text`, a `float8[]`.
#[inline]
pub fn answer(answer: &Answer) -> pg_sys::Datum {
    match answer {
        Answer::Number(number) => pg_sys::Datum::from(number.to_bits()),
        Answer::Label(label) => text(label),
        Answer::Numbers(numbers) => float8_array(numbers),
    }
}

/// Bytes before the elements of an array: its header, the length of its dimension and where that begins.
const BEFORE_ELEMENTS: usize = size_of::<pg_sys::ArrayType>() + 2 * size_of::<i32>();

// The elements stand where the server looks for them: at the next multiple of eight.
const _: () = assert!(BEFORE_ELEMENTS.is_multiple_of(8));

/// A `float8[]` of one dimension.
pub fn float8_array(numbers: &[f64]) -> pg_sys::Datum {
    // SAFETY: room for the array is made before it is written; one of no elements has no dimension.
    unsafe {
        match numbers {
            [] => pg_sys::Datum::from(pg_sys::construct_empty_array(pg_sys::FLOAT8OID)),
            _ => write_float8_array(pg_sys::palloc(float8_array_size(numbers.len())).cast(), numbers),
        }
    }
}

/// Bytes of a `float8[]` of so many elements, at least one.
pub fn float8_array_size(elements: usize) -> usize {
    BEFORE_ELEMENTS + elements * size_of::<f64>()
}

/// Writes a `float8[]` of one dimension, as the server's `construct_array` does.
///
/// # Safety
/// `place` must have room for [`float8_array_size`] and be aligned to eight bytes; there must be at least one number, and no more than
/// an array holds.
#[inline]
pub unsafe fn write_float8_array(place: *mut u8, numbers: &[f64]) -> pg_sys::Datum {
    // SAFETY: as the caller promises.
    unsafe {
        let array = place.cast::<pg_sys::ArrayType>();
        pgrx::varlena::set_varsize_4b(array.cast(), float8_array_size(numbers.len()) as i32);
        (*array).ndim = 1;
        (*array).dataoffset = 0;
        (*array).elemtype = pg_sys::FLOAT8OID;
        let dimension = place.add(size_of::<pg_sys::ArrayType>()).cast::<i32>();
        *dimension = numbers.len() as i32;
        *dimension.add(1) = 1;
        std::ptr::copy_nonoverlapping(numbers.as_ptr(), place.add(BEFORE_ELEMENTS).cast(), numbers.len());
        pg_sys::Datum::from(place)
    }
}

/// Rows of a composite type whose columns are all `float8`, of which the last one may be NULL. The server has made one of each kind, with
/// whatever it keeps in their headers; those that follow are copies with other numbers.
pub struct Float8Rows {
    whole: Vec<u64>,
    without_last: Vec<u64>,
}

impl Float8Rows {
    /// Of a type with so many columns.
    ///
    /// # Safety
    /// `row_type` must be a composite type with these columns.
    #[cold]
    pub unsafe fn new(row_type: pg_sys::Oid, columns: usize) -> Self {
        // SAFETY: as the caller promises; the rows are read as far as they say that they go.
        unsafe {
            let descriptor = pg_sys::lookup_rowtype_tupdesc_copy(row_type, -1);
            let mut values = vec![pg_sys::Datum::from(0); columns];
            let mut nulls = vec![false; columns];
            let mut made = || {
                let tuple = pg_sys::heap_form_tuple(descriptor, values.as_mut_ptr(), nulls.as_mut_ptr());
                let datum = pg_sys::heap_copy_tuple_as_datum(tuple, descriptor);
                let size = pgrx::varlena::varsize_any(datum.cast_mut_ptr());
                let mut words = vec![0_u64; size.div_ceil(8)];
                std::ptr::copy_nonoverlapping(datum.cast_mut_ptr::<u8>(), words.as_mut_ptr().cast(), size);
                if let Some(last) = nulls.last_mut() {
                    *last = true;
                }
                words
            };
            Self { whole: made(), without_last: made() }
        }
    }

    /// A row of these numbers and the last one.
    #[inline]
    pub fn row<const COLUMNS: usize>(&self, numbers: [f64; COLUMNS], last: Option<f64>) -> pg_sys::Datum {
        let of = if last.is_some() { &self.whole } else { &self.without_last };
        let count = COLUMNS + usize::from(last.is_some());
        let first = of.len().saturating_sub(count);
        // SAFETY: room for a copy, whose numbers are its last words: they are aligned to eight bytes, and so is where they begin.
        unsafe {
            let place = pg_sys::palloc(of.len() * size_of::<u64>()).cast::<u64>();
            std::ptr::copy_nonoverlapping(of.as_ptr(), place, of.len());
            let columns = std::slice::from_raw_parts_mut(place.add(first).cast::<f64>(), of.len() - first);
            for (column, number) in columns.iter_mut().zip(numbers.into_iter().chain(last)) {
                *column = number;
            }
            pg_sys::Datum::from(place)
        }
    }
}

/// A `text`.
pub fn text(text: &str) -> pg_sys::Datum {
    // SAFETY: pointer and length belong together; the server copies.
    unsafe { pg_sys::Datum::from(pg_sys::cstring_to_text_with_len(text.as_ptr().cast(), text.len() as i32)) }
}

/// A `float8[]` of two dimensions: rows of as many numbers each.
pub fn float8_rows(rows: &[Vec<f64>]) -> pg_sys::Datum {
    let cells = rows.iter().flatten();
    let mut elements: Vec<pg_sys::Datum> = cells.map(|number| pg_sys::Datum::from(number.to_bits())).collect();
    let mut sizes = [rows.len() as i32, rows.first().map_or(0, Vec::len) as i32];
    let mut first = [1, 1];
    // SAFETY: the elements are float8 datums by value, as many as the product of the sizes; the array is a copy.
    unsafe {
        let array = pg_sys::construct_md_array(
            elements.as_mut_ptr(),
            std::ptr::null_mut(),
            2,
            sizes.as_mut_ptr(),
            first.as_mut_ptr(),
            pg_sys::FLOAT8OID,
            8,
            true,
            b'd' as _,
        );
        pg_sys::Datum::from(array)
    }
}

/// A `text[]` of one dimension.
pub fn text_array<'t>(texts: impl Iterator<Item = &'t str>) -> pg_sys::Datum {
    let mut elements: Vec<pg_sys::Datum> = texts.map(text).collect();
    // SAFETY: the elements are text datums, as the arguments say; the array is a copy.
    unsafe {
        let array = pg_sys::construct_array(
            elements.as_mut_ptr(),
            elements.len() as i32,
            pg_sys::TEXTOID,
            -1,
            false,
            b'i' as _,
        );
        pg_sys::Datum::from(array)
    }
}
