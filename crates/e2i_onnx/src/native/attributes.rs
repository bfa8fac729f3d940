//! The lists that a node's attributes hold.

use bytes::Bytes;
use e2i_core::native::Precision;
use e2i_core::{Error, Kind, Result};

use crate::graph::attribute;
use crate::proto::{NodeProto, TensorProto, data_type};

pub(crate) fn ints<'n>(node: &'n NodeProto, name: &str) -> &'n [i64] {
    attribute(node, name).map_or(&[], |attribute| &attribute.ints)
}

pub(crate) fn floats<'n>(node: &'n NodeProto, name: &str) -> &'n [f32] {
    attribute(node, name).map_or(&[], |attribute| &attribute.floats)
}

pub(crate) fn strings<'n>(node: &'n NodeProto, name: &str) -> &'n [Bytes] {
    attribute(node, name).map_or(&[], |attribute| &attribute.strings)
}

pub(crate) fn int(node: &NodeProto, name: &str, default: i64) -> i64 {
    attribute(node, name).map_or(default, |attribute| attribute.int)
}

pub(crate) fn text<'n>(node: &'n NodeProto, name: &str, default: &'n str) -> Result<&'n str> {
    let Some(attribute) = attribute(node, name) else { return Ok(default) };
    std::str::from_utf8(&attribute.text).map_err(|_| refused(node, &format!("its {name} is no text")))
}

/// A reason why a node is left to the runtime.
pub(crate) fn refused(node: &NodeProto, why: &str) -> Error {
    Error::new(Kind::Unsupported, format!("{} is not computed natively: {why}", node.op_type))
}

/// The numbers of a tensor attribute, in the type that the runtime wants there.
pub(crate) fn numbers(node: &NodeProto, name: &str, precision: Precision) -> Result<Vec<f64>> {
    let Some(tensor) = attribute(node, name).and_then(|attribute| attribute.tensor.as_ref()) else {
        return Ok(vec![]);
    };
    let wrong = || refused(node, &format!("its {name} is of another type than its input"));
    let expected = match precision {
        Precision::Single => data_type::FLOAT,
        Precision::Double => data_type::DOUBLE,
    };
    if tensor.data_type != expected || is_elsewhere(tensor) {
        return Err(wrong());
    }
    let numbers = match precision {
        Precision::Single if tensor.raw_data.is_empty() => tensor.float_data.iter().copied().map(f64::from).collect(),
        Precision::Double if tensor.raw_data.is_empty() => tensor.double_data.clone(),
        Precision::Single => raw::<4, f64>(tensor, |bytes| f32::from_le_bytes(bytes).into()).ok_or_else(wrong)?,
        Precision::Double => raw::<8, f64>(tensor, f64::from_le_bytes).ok_or_else(wrong)?,
    };
    if holds(tensor, numbers.len()) { Ok(numbers) } else { Err(wrong()) }
}

/// The bytes of a tensor attribute of small whole numbers.
pub(crate) fn small_numbers(node: &NodeProto, name: &str) -> Result<Vec<u8>> {
    let wrong = || refused(node, &format!("its {name} is no list of bytes"));
    let tensor = attribute(node, name).and_then(|attribute| attribute.tensor.as_ref()).ok_or_else(wrong)?;
    if tensor.data_type != data_type::UINT8 || is_elsewhere(tensor) {
        return Err(wrong());
    }
    let numbers: Vec<u8> = if tensor.raw_data.is_empty() {
        let narrow = tensor.int32_data.iter().map(|number| u8::try_from(*number).map_err(|_| wrong()));
        narrow.collect::<Result<_>>()?
    } else {
        tensor.raw_data.to_vec()
    };
    if holds(tensor, numbers.len()) { Ok(numbers) } else { Err(wrong()) }
}

fn is_elsewhere(tensor: &TensorProto) -> bool {
    tensor.data_location != 0 || !tensor.external_data.is_empty()
}

fn raw<const SIZE: usize, T>(tensor: &TensorProto, read: impl Fn([u8; SIZE]) -> T) -> Option<Vec<T>> {
    let chunks = tensor.raw_data.chunks_exact(SIZE);
    let whole = chunks.remainder().is_empty();
    whole.then(|| chunks.filter_map(|chunk| chunk.try_into().ok().map(&read)).collect())
}

/// Whether the axes of a tensor, of which there is one, say as many elements as there are.
fn holds(tensor: &TensorProto, count: usize) -> bool {
    matches!(tensor.dims.as_slice(), [axis] if usize::try_from(*axis) == Ok(count))
}
