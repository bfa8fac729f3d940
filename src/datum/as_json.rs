//! One value of one column as it would be in JSON: what `to_jsonb` makes of it, without the making where that is known to be the
//! same.
//!
//! The server writes a value as text and reads that again. What it does to the values of a feature, and what not, is the table in
//! docs/03-features.md; here every value that is not plainly the same goes through the server.

use std::ffi::CStr;

use e2i_core::{Binder, ElementType, Scalar};
use pgrx::pg_sys;

use crate::datum::jsonb::{Container, Value};
use crate::datum::numeric;
use crate::datum::scalar::Reader;
use crate::pg::varlena;

/// Whole numbers up to this magnitude are the same in every type of number.
const WHOLE: i64 = 1 << 53;

/// From here on the float64 that is nearest to the text of a float32 is nearest to that float32. All were tried: it is so of every
/// float32 but 7.038531e-26.
const LEAST_REAL: f32 = 1e-20;

/// The longest text that JSON holds.
const LONGEST_TEXT: usize = 0x0FFF_FFFF;

/// Reads a value that is not NULL for a feature, and passes it on.
///
/// # Safety
/// `datum` must be a valid value of the type, which is the reader's.
#[inline]
pub unsafe fn read<T>(
    reader: Reader,
    type_oid: pg_sys::Oid,
    binder: &Binder,
    feature: usize,
    datum: pg_sys::Datum,
    pass_on: impl FnOnce(Scalar<'_>) -> T,
) -> T {
    // SAFETY: as the caller promises.
    unsafe {
        match reader {
            Reader::Bool => return pass_on(Scalar::Bool(datum.value() as u8 != 0)),
            Reader::Int2 => return pass_on(Scalar::Int(i64::from(datum.value() as i16))),
            Reader::Int4 => return pass_on(Scalar::Int(i64::from(datum.value() as i32))),
            Reader::Int8 => {
                let whole = datum.value() as i64;
                if (-WHOLE..=WHOLE).contains(&whole) {
                    return pass_on(Scalar::Int(whole));
                }
            }
            Reader::Float8 => {
                let float = f64::from_bits(datum.value() as u64);
                if is_common(float) && is_whole_in_text() && binder.takes_floats(feature) {
                    // JSON's zero has no sign.
                    return pass_on(Scalar::Float(float + 0.0));
                }
            }
            Reader::Float4 => {
                let float = f32::from_bits(datum.value() as u32);
                if is_common(f64::from(float)) && binder.takes_floats(feature) {
                    let is_itself = float == 0.0 || float.abs() >= LEAST_REAL;
                    if binder.element(feature) == ElementType::Float32 && is_itself && is_whole_in_text() {
                        return pass_on(Scalar::Float(f64::from(float) + 0.0));
                    }
                    if let Some(float) = through_text(datum) {
                        return pass_on(Scalar::Float(float + 0.0));
                    }
                }
            }
            Reader::Numeric => {
                let scalar = numeric::scalar(varlena::bytes(datum));
                if matches!(scalar, Scalar::Decimal(_)) {
                    return pass_on(scalar);
                }
            }
            Reader::Text if matches!(pg_sys::getBaseType(type_oid), pg_sys::TEXTOID | pg_sys::VARCHAROID) => {
                let bytes = varlena::text(datum);
                if bytes.len() <= LONGEST_TEXT {
                    return pass_on(Scalar::Text(bytes));
                }
            }
            _ => {}
        }
        through_server(type_oid, datum, pass_on)
    }
}

/// Whether a number is nothing special, and as near to its text as texts come to numbers.
fn is_common(float: f64) -> bool {
    float.abs() <= WHOLE as f64
}

/// Whether floats are written with all their digits.
pub fn is_whole_in_text() -> bool {
    // SAFETY: reads a setting of the server's.
    unsafe { pg_sys::extra_float_digits > 0 }
}

/// The float64 that is nearest to what the server writes for a `real`.
///
/// # Safety
/// `datum` must be a `real`.
unsafe fn through_text(datum: pg_sys::Datum) -> Option<f64> {
    // SAFETY: as the caller promises; the text is a palloc'd C string.
    unsafe {
        let text = pg_sys::OidOutputFunctionCall(pg_sys::Oid::from(pg_sys::F_FLOAT4OUT), datum);
        let float = CStr::from_ptr(text).to_str().ok().and_then(|text| text.parse().ok());
        pg_sys::pfree(text.cast());
        float
    }
}

/// What the server makes of a value of a feature.
///
/// # Safety
/// `datum` must be a valid value of the type.
#[cold]
unsafe fn through_server<T>(type_oid: pg_sys::Oid, datum: pg_sys::Datum, pass_on: impl FnOnce(Scalar<'_>) -> T) -> T {
    // SAFETY: as the caller promises.
    unsafe {
        read_whole(type_oid, datum, |value| match value {
            Value::Scalar(scalar) => pass_on(scalar),
            Value::Container(container) => pass_on(Scalar::Other(container.kind())),
        })
    }
}

/// What the server makes of a value.
///
/// # Safety
/// `datum` must be a valid value of the type.
pub unsafe fn read_whole<T>(type_oid: pg_sys::Oid, datum: pg_sys::Datum, pass_on: impl FnOnce(Value<'_>) -> T) -> T {
    // SAFETY: to_jsonb learns from the expression of which type its argument is; what is made here lives in the memory of the call.
    unsafe {
        let (mut length, mut by_value): (i16, bool) = (0, false);
        pg_sys::get_typlenbyval(type_oid, &raw mut length, &raw mut by_value);
        let argument = pg_sys::makeConst(type_oid, -1, pg_sys::Oid::INVALID, i32::from(length), datum, false, by_value);
        let none = pg_sys::Oid::INVALID;
        let call = pg_sys::makeFuncExpr(
            pg_sys::Oid::from(pg_sys::F_TO_JSONB),
            pg_sys::JSONBOID,
            pg_sys::lappend(std::ptr::null_mut(), argument.cast()),
            none,
            none,
            pg_sys::CoercionForm::COERCE_EXPLICIT_CALL,
        );
        let mut function = pg_sys::FmgrInfo::default();
        pg_sys::fmgr_info(pg_sys::Oid::from(pg_sys::F_TO_JSONB), &raw mut function);
        function.fn_expr = call.cast();
        let json = pg_sys::FunctionCall1Coll(&raw mut function, none, datum);
        let json = Container::root(varlena::bytes(json));
        pass_on(json.as_scalar().map_or(Value::Container(json), Value::Scalar))
    }
}

/// Whether values of a type become JSON by what the server knows of the type, and cannot fail to.
pub fn is_plain(type_oid: pg_sys::Oid) -> bool {
    // SAFETY: a catalog look-up.
    let reader = Reader::of(unsafe { pg_sys::getBaseType(type_oid) });
    !matches!(reader, Reader::Other | Reader::Enum) && !is_others(type_oid)
}

/// Whether a type is not the server's own: somebody may have made a cast from it to json.
fn is_others(type_oid: pg_sys::Oid) -> bool {
    const FIRST_OTHER: u32 = 16_384;
    // SAFETY: a catalog look-up.
    unsafe { pg_sys::getBaseType(type_oid) }.to_u32() >= FIRST_OTHER
}

/// The order of the keys of a JSON object.
pub fn key(name: &str) -> (usize, &[u8]) {
    (name.len(), name.as_bytes())
}
