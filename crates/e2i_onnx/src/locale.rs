//! The locale that a graph asks the runtime for, replaced: so that a graph can be tried out on a server that lacks it.
//!
//! StringNormalizer changes case by a locale of the operating system. `C.UTF-8`, which every Debian has, changes it as
//! Unicode says, and so do most others; which, the compiler knows. The bytes are rewritten rather than the decoded graph
//! written anew, which has only what is read here. What does not belong here: what is scored.

use bytes::{Buf, BufMut};

/// The locale that is put in.
pub const EVERYWHERE: &str = "C.UTF-8";

/// Fields of the schema: `graph` of a model, `node` of a graph, `op_type` and `attribute` of a node, `name` of an attribute.
const GRAPH: u64 = 7;
const NODE: u64 = 1;
const OPERATOR: u64 = 4;
const ATTRIBUTE: u64 = 5;
const NAME: u64 = 1;

/// A model's bytes with another locale in all StringNormalizer nodes of its graph; `None` if there are none.
#[must_use]
pub fn replaced(model: &[u8]) -> Option<Vec<u8>> {
    let mut count = 0;
    let model = rewritten(model, &mut |field, graph| {
        (field == GRAPH).then(|| {
            rewritten(graph, &mut |field, node| {
                let is_normalizer = field == NODE && first(node, OPERATOR) == Some(b"StringNormalizer");
                is_normalizer.then(|| {
                    count += 1;
                    with_locale(node)
                })
            })
        })
    })?;
    (count > 0).then_some(model)
}

/// A node with the locale as its last attribute.
fn with_locale(node: &[u8]) -> Option<Vec<u8>> {
    let is_locale = |field, part: &[u8]| field == ATTRIBUTE && first(part, NAME) == Some(b"locale");
    let mut node = rewritten(node, &mut |field, part| is_locale(field, part).then(|| Some(vec![])))?;
    // name, s, and type: STRING.
    let mut attribute = vec![];
    write(&mut attribute, 1, b"locale");
    write(&mut attribute, 4, EVERYWHERE.as_bytes());
    attribute.extend_from_slice(&[0xa0, 1, 3]);
    write(&mut node, ATTRIBUTE, &attribute);
    Some(node)
}

/// What stands for the part of a field: nothing for one that stays, `Some(None)` for one that cannot be read.
type Replace<'r> = dyn FnMut(u64, &[u8]) -> Option<Option<Vec<u8>>> + 'r;

/// A message with some of its parts of variable length replaced, empty ones left out; the rest as it is.
fn rewritten(message: &[u8], replace: &mut Replace<'_>) -> Option<Vec<u8>> {
    let mut written = Vec::with_capacity(message.len() + 64);
    let mut rest = message;
    while rest.has_remaining() {
        let before = rest;
        let (field, part) = next(&mut rest)?;
        match part.and_then(|part| replace(field, part)) {
            Some(part) => {
                let part = part?;
                if !part.is_empty() {
                    write(&mut written, field, &part);
                }
            }
            None => written.extend_from_slice(&before[..before.len() - rest.len()]),
        }
    }
    Some(written)
}

/// The first part of variable length of a field.
fn first(message: &[u8], field: u64) -> Option<&[u8]> {
    let mut rest = message;
    while rest.has_remaining() {
        if let (found, Some(part)) = next(&mut rest)?
            && found == field
        {
            return Some(part);
        }
    }
    None
}

/// The number of the next field, and its bytes if it is of variable length.
fn next<'m>(rest: &mut &'m [u8]) -> Option<(u64, Option<&'m [u8]>)> {
    let key = number(rest)?;
    let skip = match key & 7 {
        0 => {
            number(rest)?;
            return Some((key >> 3, None));
        }
        1 => 8,
        5 => 4,
        2 => {
            let length = usize::try_from(number(rest)?).ok()?;
            let (part, after) = rest.split_at_checked(length)?;
            *rest = after;
            return Some((key >> 3, Some(part)));
        }
        _ => return None,
    };
    *rest = rest.get(skip..)?;
    Some((key >> 3, None))
}

/// A number in groups of seven bits, the lowest first.
fn number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn write(into: &mut Vec<u8>, field: u64, part: &[u8]) {
    for mut number in [field << 3 | 2, part.len() as u64] {
        while number >= 0x80 {
            into.put_u8(number as u8 | 0x80);
            number >>= 7;
        }
        into.put_u8(number as u8);
    }
    into.extend_from_slice(part);
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use prost::Message;

    use super::*;
    use crate::proto::{Attribute, GraphProto, ModelProto, NodeProto};

    fn model(locale: Option<&'static str>, operator: &str) -> Vec<u8> {
        let text = |name: &str, text: &'static str| Attribute {
            name: name.into(),
            kind: 3,
            text: Bytes::from_static(text.as_bytes()),
            ..Attribute::default()
        };
        let mut attributes = vec![text("case_change_action", "LOWER")];
        attributes.extend(locale.map(|locale| text("locale", locale)));
        let node = NodeProto { op_type: operator.into(), attributes, ..NodeProto::default() };
        let graph = GraphProto { nodes: vec![NodeProto::default(), node], ..GraphProto::default() };
        ModelProto { ir_version: 7, graph: Some(graph), ..ModelProto::default() }.encode_to_vec()
    }

    #[test]
    fn the_locale_is_replaced_and_nothing_else() {
        let expected = ModelProto::decode(&*model(Some(EVERYWHERE), "StringNormalizer")).unwrap();
        for locale in [None, Some("en_US.UTF-8"), Some("xx")] {
            let replaced = replaced(&model(locale, "StringNormalizer")).unwrap();
            assert_eq!(ModelProto::decode(&*replaced).unwrap(), expected);
        }
        assert_eq!(replaced(&model(None, "Identity")), None);
        let whole = model(None, "StringNormalizer");
        (0..whole.len()).for_each(|end| assert_eq!(replaced(&whole[..end]), None));
    }
}
