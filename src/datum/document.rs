//! `jsonb` that is kept: the server's own value, stored as it was given, and read within limits.
//!
//! What may enter: the way of a document from an argument into a table, and into a tree where somebody must look into it.
//! What may not: features, which are read in place.

use e2i_core::{Error, Kind, Result, Scalar};
use pgrx::callconv::{Arg, ArgAbi};
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::{IntoDatum, pg_sys};
use serde_json::{Number, Value as Json};

use crate::datum::jsonb::{Container, Value};
use crate::pg::varlena;

/// Levels of a document that are read. None of the documents that are read needs ten; a tree is walked by recursion.
const DEPTH: usize = 100;

/// An argument of type jsonb that is not NULL. Lives as long as the call.
#[derive(Clone, Copy)]
pub struct Document<'c> {
    datum: pg_sys::Datum,
    root: Container<'c>,
}

impl Document<'_> {
    /// Whether it is an object.
    pub fn is_object(&self) -> bool {
        self.root.is_object()
    }

    /// The document as a tree; `name` is that of the argument.
    ///
    /// # Errors
    /// [`Kind::BadOption`] with the place of a number that float64 does not hold, or of what is nested too deep.
    pub fn read(&self, name: &str) -> Result<Json> {
        tree(self.root, name)
    }
}

/// A document as a tree; `name` says which it is.
///
/// # Errors
/// [`Kind::BadOption`] with the place of a number that float64 does not hold, or of what is nested too deep.
pub fn tree(root: Container<'_>, name: &str) -> Result<Json> {
    let value = root.as_scalar().map_or(Value::Container(root), Value::Scalar);
    grow(value, 0)
        .map_err(|Unreadable { place, why }| Error::new(Kind::BadOption, format!("{name}: {why}, at ${place}")))
}

/// The members of an object that are numbers, as an object. One beyond the range of float64 is left out.
pub fn numbers(root: Container<'_>) -> Json {
    let numbers = root.keys().zip(root.values()).filter_map(|(key, value)| match value {
        Value::Scalar(Scalar::Decimal(decimal)) => Some((key.to_owned(), Number::from_f64(decimal.to_f64())?)),
        _ => None,
    });
    numbers.map(|(key, number)| (key, Json::Number(number))).collect()
}

struct Unreadable {
    /// As a path in SQL's language for JSON, without its `$`.
    place: String,
    why: String,
}

fn grow(value: Value<'_>, depth: usize) -> std::result::Result<Json, Unreadable> {
    let container = match value {
        Value::Scalar(scalar) => return leaf(&scalar).map_err(|why| Unreadable { place: String::new(), why }),
        Value::Container(container) => container,
    };
    if depth == DEPTH {
        return Err(Unreadable { place: String::new(), why: format!("nested deeper than {DEPTH} levels") });
    }
    if container.is_object() {
        let members = container.keys().zip(container.values()).map(|(key, value)| {
            let value = grow(value, depth + 1).map_err(|error| error.within(&member(key)))?;
            Ok((key.to_owned(), value))
        });
        return members.collect::<std::result::Result<_, _>>().map(Json::Object);
    }
    let elements = container.elements().enumerate();
    elements.map(|(index, value)| grow(value, depth + 1).map_err(|error| error.within(&format!("[{index}]")))).collect()
}

impl Unreadable {
    /// The outer place before the inner one, cut short: the first levels tell enough.
    fn within(self, outer: &str) -> Self {
        const SHOWN: usize = 60;
        let place = format!("{outer}{}", self.place);
        let place = match place.char_indices().nth(SHOWN) {
            Some((end, _)) => format!("{}…", place[..end].trim_end_matches('…')),
            None => place,
        };
        Self { place, ..self }
    }
}

fn member(key: &str) -> String {
    let is_plain = key.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && key.chars().all(|character| character.is_ascii_alphanumeric() || character == '_');
    if is_plain { format!(".{key}") } else { format!(".{}", Json::from(key)) }
}

fn leaf(scalar: &Scalar<'_>) -> std::result::Result<Json, String> {
    Ok(match scalar {
        Scalar::Bool(value) => Json::Bool(*value),
        Scalar::Text(text) => Json::from(*text),
        Scalar::Decimal(decimal) => {
            if let Some(whole) = decimal.to_i64() {
                return Ok(Json::from(whole));
            }
            match decimal.to_f64_or_refuse() {
                Some(float) if float.is_finite() => Json::from(float),
                Some(_) => return Err(format!("{decimal} is beyond the range of float64")),
                None => return Err(format!("{decimal} is a whole number that float64 would round")),
            }
        }
        _ => Json::Null,
    })
}

impl IntoDatum for Document<'_> {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        Some(self.datum)
    }

    fn type_oid() -> pg_sys::Oid {
        pg_sys::JSONBOID
    }
}

// SAFETY: called for an argument that is not NULL and of the type that ARGUMENT_SQL says; its value lives as long as the call.
unsafe impl<'fcx> ArgAbi<'fcx> for Document<'fcx> {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: as above.
        unsafe {
            let datum = arg.unbox_arg_using_from_datum::<pg_sys::Datum>().unwrap_or(pg_sys::Datum::from(0));
            let datum = pg_sys::Datum::from(varlena::plain(datum));
            Self { datum, root: Container::root(varlena::bytes(datum)) }
        }
    }
}

// SAFETY: the type is the server's jsonb.
unsafe impl SqlTranslatable for Document<'_> {
    const TYPE_IDENT: &'static str = "e2i_serve::Document";
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: std::result::Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal("jsonb"));
    const RETURN_SQL: std::result::Result<ReturnsRef, ReturnsError> =
        Ok(ReturnsRef::One(SqlMappingRef::literal("jsonb")));
}
