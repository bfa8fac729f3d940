//! Results as datums.

use pgrx::pg_sys;

/// A `float8[]` of one dimension.
pub fn float8_array(numbers: &[f64]) -> pg_sys::Datum {
    let mut elements: Vec<pg_sys::Datum> = numbers.iter().map(|number| pg_sys::Datum::from(number.to_bits())).collect();
    // SAFETY: the elements are float8 datums by value, as the arguments say; the array is a copy.
    unsafe {
        let array = pg_sys::construct_array(
            elements.as_mut_ptr(),
            elements.len() as i32,
            pg_sys::FLOAT8OID,
            8,
            true,
            b'd' as _,
        );
        pg_sys::Datum::from(array)
    }
}

/// A `text`.
pub fn text(text: &str) -> pg_sys::Datum {
    // SAFETY: pointer and length belong together; the server copies.
    unsafe { pg_sys::Datum::from(pg_sys::cstring_to_text_with_len(text.as_ptr().cast(), text.len() as i32)) }
}
