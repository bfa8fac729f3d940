//! Attributes of a node, with the defaults of the schema.

use super::Lowered;
use super::constant::texts;
use crate::graph::attribute;
use crate::proto::NodeProto;

pub(super) fn int(node: &NodeProto, name: &str, default: i64) -> i64 {
    attribute(node, name).map_or(default, |attribute| attribute.int)
}

pub(super) fn float(node: &NodeProto, name: &str, default: f32) -> f32 {
    attribute(node, name).map_or(default, |attribute| attribute.float)
}

pub(super) fn ints<'n>(node: &'n NodeProto, name: &str) -> Option<&'n [i64]> {
    attribute(node, name).map(|attribute| attribute.ints.as_slice())
}

pub(super) fn floats<'n>(node: &'n NodeProto, name: &str) -> Option<&'n [f32]> {
    attribute(node, name).map(|attribute| attribute.floats.as_slice())
}

pub(super) fn strings(node: &NodeProto, name: &str) -> Lowered<Option<Vec<String>>> {
    attribute(node, name).map(|attribute| texts(&attribute.strings)).transpose()
}

pub(super) fn string(node: &NodeProto, name: &str, default: &str) -> Lowered<String> {
    match attribute(node, name) {
        None => Ok(default.to_owned()),
        Some(attribute) => {
            String::from_utf8(attribute.text.to_vec()).map_err(|_| "a text of it is not UTF-8".to_owned())
        }
    }
}
