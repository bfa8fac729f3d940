//! Values that hold several features: an SQL array, a JSON array, or a text that lists numbers, which is what pgvector's types print.
//!
//! What does not belong here: rows by position, see `array`.

use std::ffi::CStr;

use e2i_core::{Binder, Error, Result, Scalar, Spread};
use pgrx::pg_sys;

use crate::datum::array::Elements;
use crate::datum::jsonb::{Container, Value, scalar_kind};
use crate::datum::scalar::{Reader, Zone, type_name};
use crate::pg::varlena;

/// Arrays within arrays that are read; no tensor has as many axes.
const AXES: usize = 16;

/// Feeds the features of a spread from a value of JSON.
///
/// # Errors
/// What is no array of as many values, and what `sink` reports.
pub fn feed_json<S>(binder: &Binder, spread: Spread, value: Value<'_>, sink: &mut S) -> Result<()>
where
    S: FnMut(usize, Option<Scalar<'_>>) -> Result<()>,
{
    match value {
        Value::Scalar(scalar) => feed_scalar(binder, spread, scalar, sink),
        Value::Container(object) if object.is_object() => Err(binder.no_array(spread, "an object")),
        Value::Container(array) => {
            let lengths = lengths(array);
            binder.check_lengths(spread, &lengths)?;
            let mut next = spread.first;
            let mut feed = |value: Scalar<'_>| {
                next += 1;
                sink(next - 1, Some(value)).map_err(|error| binder.within(spread, next - 1, error))
            };
            if feed_elements(array, &lengths, &mut feed)? {
                return Ok(());
            }
            Err(binder.no_array(spread, "arrays of several lengths"))
        }
    }
}

/// The lengths of an array's axes, by its first elements.
fn lengths(array: Container<'_>) -> Vec<usize> {
    let mut lengths = vec![array.count()];
    let mut first = array.elements().next();
    while let Some(Value::Container(inner)) = first {
        if inner.is_object() || lengths.len() == AXES {
            break;
        }
        lengths.push(inner.count());
        first = inner.elements().next();
    }
    lengths
}

/// Feeds the scalars of arrays in arrays, in order, and whether all have these lengths.
fn feed_elements(
    array: Container<'_>,
    lengths: &[usize],
    feed: &mut dyn FnMut(Scalar<'_>) -> Result<()>,
) -> Result<bool> {
    let (length, inner_lengths) = lengths.split_first().map_or((0, lengths), |(length, rest)| (*length, rest));
    if array.count() != length {
        return Ok(false);
    }
    for element in array.elements() {
        let is_deeper = !inner_lengths.is_empty();
        match element {
            Value::Container(inner) if is_deeper && !inner.is_object() => {
                if !feed_elements(inner, inner_lengths, feed)? {
                    return Ok(false);
                }
            }
            _ if is_deeper => return Ok(false),
            Value::Container(inner) => feed(Scalar::Other(inner.kind()))?,
            Value::Scalar(scalar) => feed(scalar)?,
        }
    }
    Ok(true)
}

/// Feeds the features of a spread from one value: nothing is missing for each of them, a text lists them.
fn feed_scalar<S>(binder: &Binder, spread: Spread, value: Scalar<'_>, sink: &mut S) -> Result<()>
where
    S: FnMut(usize, Option<Scalar<'_>>) -> Result<()>,
{
    let features = spread.first..spread.first + spread.count;
    let mut sink = |feature, value| sink(feature, value).map_err(|error| binder.within(spread, feature, error));
    match value {
        Scalar::Missing => features.into_iter().try_for_each(|feature| sink(feature, Some(Scalar::Missing))),
        Scalar::Text(text) if spread.count > 1 || text.starts_with('[') => {
            let Some(numbers) = list(text) else { return Err(binder.no_array(spread, value)) };
            binder.check_lengths(spread, &[numbers.len()])?;
            features.zip(numbers).try_for_each(|(feature, number)| sink(feature, Some(Scalar::Float(number))))
        }
        value if spread.count == 1 => sink(spread.first, Some(value)),
        Scalar::Bool(_) | Scalar::Decimal(_) => Err(binder.no_array(spread, format_args!("a {}", scalar_kind(&value)))),
        value => Err(binder.no_array(spread, value)),
    }
}

/// The numbers of a text such as `[0.1,-2e-3]`.
fn list(text: &str) -> Option<Vec<f64>> {
    let inner = text.trim().strip_prefix('[')?.strip_suffix(']')?;
    if inner.trim().is_empty() {
        return Some(vec![]);
    }
    inner.split(',').map(|number| number.trim().parse().ok().filter(|number: &f64| number.is_finite())).collect()
}

/// Feeds the features of a spread from a value of a column.
///
/// # Errors
/// As [`feed_json`].
///
/// # Safety
/// `datum` must be a valid value of the type, which is the reader's.
pub unsafe fn feed_datum<S>(
    binder: &Binder,
    spread: Spread,
    (reader, type_oid): (Reader, pg_sys::Oid),
    zone: Zone,
    datum: pg_sys::Datum,
    sink: &mut S,
) -> Result<()>
where
    S: FnMut(usize, Option<Scalar<'_>>) -> Result<()>,
{
    // SAFETY: as the caller promises; catalog look-ups by oid, and the type's own output function.
    unsafe {
        if reader != Reader::Other {
            let element = binder.element(spread.first);
            return reader.read_for(element, zone, datum, type_oid, |value| feed_scalar(binder, spread, value, sink));
        }
        let base = pg_sys::getBaseType(type_oid);
        if base == pg_sys::JSONBOID {
            let json = Container::root(varlena::bytes(datum));
            return feed_json(binder, spread, json.as_scalar().map_or(Value::Container(json), Value::Scalar), sink);
        }
        if pg_sys::get_element_type(base) != pg_sys::Oid::INVALID {
            let (elements, array, lengths) = Elements::open(datum);
            binder.check_lengths(spread, &lengths)?;
            let element = |place| binder.element(spread.first + place);
            return elements
                .each(array, spread.count, zone, element, |place, value| sink(spread.first + place, Some(value)));
        }
        if is_vector(base) {
            let (mut output, mut is_varlena) = (pg_sys::Oid::INVALID, false);
            pg_sys::getTypeOutputInfo(base, &raw mut output, &raw mut is_varlena);
            let text = pg_sys::OidOutputFunctionCall(output, datum);
            let fed = match CStr::from_ptr(text).to_str() {
                Ok(text) => feed_scalar(binder, spread, Scalar::Text(text), sink),
                Err(_) => Err(binder.no_array(spread, "a text that is not UTF-8")),
            };
            pg_sys::pfree(text.cast());
            return fed;
        }
        Err(not_a_list(binder, spread, type_oid))
    }
}

#[cold]
fn not_a_list(binder: &Binder, spread: Spread, type_oid: pg_sys::Oid) -> Error {
    binder.no_array(spread, format_args!("a value of type {}", type_name(type_oid)))
}

/// Whether a type is one of pgvector's that list all their numbers.
fn is_vector(base: pg_sys::Oid) -> bool {
    let name = type_name(base);
    let name = name.rsplit('.').next().unwrap_or_default().trim_matches('"');
    // format_type adds the modifier only where it is asked for.
    matches!(name, "vector" | "halfvec")
}
