//! Variable-length values: their bytes without a copy wherever they are stored plainly.

use pgrx::pg_sys;

use crate::error::raise;
use crate::pg::encoding;

/// The bytes of a variable-length value, behind its header.
///
/// Compressed and out-of-line values are expanded into the current memory context; others are read in place.
///
/// # Safety
/// `datum` must be a valid pointer to a variable-length value that lives as long as `'d`.
pub unsafe fn bytes<'d>(datum: pg_sys::Datum) -> &'d [u8] {
    // SAFETY: as the caller promises; pg_detoast_datum_packed returns the same or a palloc'd value.
    unsafe {
        let mut value = datum.cast_mut_ptr::<pg_sys::varlena>();
        if pgrx::varlena::varatt_is_1b_e(value) || pgrx::varlena::varatt_is_4b_c(value) {
            value = pg_sys::pg_detoast_datum_packed(value);
        }
        std::slice::from_raw_parts(pgrx::varlena::vardata_any(value).cast(), pgrx::varlena::varsize_any_exhdr(value))
    }
}

/// A value with a plain four-byte header, as composite values and arrays are read.
///
/// # Safety
/// As [`bytes`].
pub unsafe fn plain(datum: pg_sys::Datum) -> *mut pg_sys::varlena {
    // SAFETY: as the caller promises.
    unsafe {
        let value = datum.cast_mut_ptr::<pg_sys::varlena>();
        if pgrx::varlena::varatt_is_4b_u(value) { value } else { pg_sys::pg_detoast_datum(value) }
    }
}

/// Text without a copy.
///
/// # Safety
/// As [`bytes`]; the database must be in UTF-8, or the text in ASCII, which is checked.
pub unsafe fn text<'d>(datum: pg_sys::Datum) -> &'d str {
    // SAFETY: as the caller promises.
    let bytes = unsafe { bytes(datum) };
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => raise(&encoding::not_utf8()),
    }
}
