//! One value of one column or array element as a [`Scalar`].

use std::ffi::{CStr, c_char, c_int};

use e2i_core::{ElementType, Scalar};
use pgrx::pg_sys::{self, BuiltinOid};

use crate::datum::numeric;
use crate::pg::varlena;

/// Seconds from 1970-01-01 to 2000-01-01, where the server's dates begin.
const EPOCH_OFFSET_SECONDS: i64 = 946_684_800;
const DAY_MICROS: i64 = 86_400_000_000;

/// Size of the buffer for a date as text: the server's MAXDATELEN, and a zero byte.
const TEXT_BUFFER: usize = 129;

/// The time zone in which a timestamptz is written into text.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub enum Zone {
    /// The session's, as `to_jsonb` writes it.
    #[default]
    Session,
    /// UTC, for answers that no setting may change.
    Utc,
}

/// How the values of a type are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// boolean
    Bool,
    /// smallint
    Int2,
    /// integer
    Int4,
    /// bigint
    Int8,
    /// real
    Float4,
    /// double precision
    Float8,
    /// numeric
    Numeric,
    /// text, varchar and other types of the string category that are stored as text
    Text,
    /// char(n), whose padding is not part of the value
    PaddedText,
    /// name
    Name,
    /// an enum, by its label
    Enum,
    /// date
    Date,
    /// timestamp, read as UTC
    Timestamp,
    /// timestamptz
    TimestampTz,
    /// anything else: no feature
    Other,
}

impl Reader {
    /// The reader of a type; domains are read as what they are over.
    pub fn of(type_oid: pg_sys::Oid) -> Self {
        // SAFETY: catalog look-ups by oid.
        let base = unsafe { pg_sys::getBaseType(type_oid) };
        match BuiltinOid::try_from(base) {
            Ok(BuiltinOid::BOOLOID) => Self::Bool,
            Ok(BuiltinOid::INT2OID) => Self::Int2,
            Ok(BuiltinOid::INT4OID) => Self::Int4,
            Ok(BuiltinOid::INT8OID) => Self::Int8,
            Ok(BuiltinOid::FLOAT4OID) => Self::Float4,
            Ok(BuiltinOid::FLOAT8OID) => Self::Float8,
            Ok(BuiltinOid::NUMERICOID) => Self::Numeric,
            Ok(BuiltinOid::TEXTOID | BuiltinOid::VARCHAROID) => Self::Text,
            Ok(BuiltinOid::BPCHAROID) => Self::PaddedText,
            Ok(BuiltinOid::NAMEOID) => Self::Name,
            Ok(BuiltinOid::DATEOID) => Self::Date,
            Ok(BuiltinOid::TIMESTAMPOID) => Self::Timestamp,
            Ok(BuiltinOid::TIMESTAMPTZOID) => Self::TimestampTz,
            _ => Self::of_user_type(base),
        }
    }

    fn of_user_type(base: pg_sys::Oid) -> Self {
        let (mut category, mut preferred) = (0 as c_char, false);
        // SAFETY: both out pointers are valid.
        unsafe {
            if pg_sys::type_is_enum(base) {
                return Self::Enum;
            }
            pg_sys::get_type_category_preferred(base, &raw mut category, &raw mut preferred);
            // citext and its like: of the string category, and stored as text.
            let stored_as_text = pg_sys::get_typlen(base) == -1;
            if category as u8 == b'S' && stored_as_text { Self::Text } else { Self::Other }
        }
    }

    /// Reads a value that is not NULL.
    ///
    /// # Safety
    /// `datum` must be a valid value of the type that the reader is of, and live as long as `'d`.
    #[inline]
    unsafe fn read<'d>(self, datum: pg_sys::Datum) -> Scalar<'d> {
        // SAFETY: as the caller promises.
        unsafe {
            match self {
                Self::Bool => Scalar::Bool(datum.value() as u8 != 0),
                Self::Int2 => Scalar::Int(i64::from(datum.value() as i16)),
                Self::Int4 => Scalar::Int(i64::from(datum.value() as i32)),
                Self::Int8 => Scalar::Int(datum.value() as i64),
                Self::Float4 => Scalar::Float(f64::from(f32::from_bits(datum.value() as u32))),
                Self::Float8 => Scalar::Float(f64::from_bits(datum.value() as u64)),
                Self::Numeric => numeric::scalar(varlena::bytes(datum)),
                Self::Text => Scalar::Text(varlena::text(datum)),
                Self::PaddedText => Scalar::Text(varlena::text(datum).trim_end_matches(' ')),
                Self::Name => Scalar::Text(c_text(datum.cast_mut_ptr())),
                Self::Enum => Scalar::Text(enum_label(datum)),
                Self::Date => Scalar::Instant(match datum.value() as i32 {
                    i32::MIN | i32::MAX => None,
                    days => Some(i64::from(days) * DAY_MICROS + EPOCH_OFFSET_SECONDS * 1_000_000),
                }),
                Self::Timestamp | Self::TimestampTz => Scalar::Instant(match datum.value() as i64 {
                    i64::MIN | i64::MAX => None,
                    micros => micros.checked_add(EPOCH_OFFSET_SECONDS * 1_000_000),
                }),
                // Named where the type is known: see `read_for`.
                Self::Other => Scalar::Other(""),
            }
        }
    }

    /// Reads a value that is not NULL for a feature of type `element`, and passes it on: a date goes into text as text. One that
    /// is no feature is named by its type.
    ///
    /// # Safety
    /// As [`Reader::read`].
    #[inline]
    pub unsafe fn read_for<T>(
        self,
        element: ElementType,
        zone: Zone,
        datum: pg_sys::Datum,
        type_oid: pg_sys::Oid,
        pass_on: impl FnOnce(Scalar<'_>) -> T,
    ) -> T {
        if self.is_instant() && element == ElementType::Text {
            let mut buffer: [c_char; TEXT_BUFFER] = [0; TEXT_BUFFER];
            // SAFETY: as the caller promises.
            return pass_on(Scalar::Text(unsafe { self.instant_as_text(datum, zone, &mut buffer) }));
        }
        if self == Self::Other {
            return pass_on(Scalar::Other(&type_name(type_oid)));
        }
        // SAFETY: as the caller promises.
        pass_on(unsafe { self.read(datum) })
    }

    /// A date or timestamp as the ISO 8601 text that `to_jsonb` writes.
    ///
    /// # Safety
    /// As [`Reader::read`]; the type must be one of those that [`Reader::is_instant`] names.
    unsafe fn instant_as_text(self, datum: pg_sys::Datum, zone: Zone, buffer: &mut [c_char; TEXT_BUFFER]) -> &str {
        let offset: c_int = 0;
        let type_oid = match self {
            Self::Date => pg_sys::DATEOID,
            Self::Timestamp => pg_sys::TIMESTAMPOID,
            _ => pg_sys::TIMESTAMPTZOID,
        };
        // SAFETY: the buffer has the size that the function asks for, and is a C string afterwards.
        unsafe {
            let zone = if zone == Zone::Utc { &raw const offset } else { std::ptr::null() };
            pg_sys::JsonEncodeDateTime(buffer.as_mut_ptr(), datum, type_oid, zone);
            c_text(buffer.as_ptr())
        }
    }

    /// Whether the type is a date or timestamp.
    fn is_instant(self) -> bool {
        matches!(self, Self::Date | Self::Timestamp | Self::TimestampTz)
    }
}

/// The SQL name of a type, for messages.
#[cold]
pub fn type_name(type_oid: pg_sys::Oid) -> String {
    // SAFETY: returns a palloc'd C string for every oid.
    unsafe { CStr::from_ptr(pg_sys::format_type_be(type_oid)) }.to_string_lossy().into_owned()
}

unsafe fn enum_label<'d>(datum: pg_sys::Datum) -> &'d str {
    // SAFETY: enum_out takes any enum value and returns a palloc'd C string.
    unsafe {
        let label = pg_sys::OidOutputFunctionCall(pg_sys::Oid::from(pg_sys::F_ENUM_OUT), datum);
        c_text(label)
    }
}

unsafe fn c_text<'d>(text: *const c_char) -> &'d str {
    // SAFETY: a C string of the server that lives as long as the value it came from.
    unsafe { CStr::from_ptr(text) }.to_str().unwrap_or("\u{fffd}")
}
