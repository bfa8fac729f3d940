//! `jsonb`, read in place: no tree is built, no text is made.
//!
//! Layout: `src/include/utils/jsonb.h` (containers, JEntry), the same in every supported major version. An object stores all keys first,
//! sorted by length and then by bytes, and then all values in the same order; numbers and containers are aligned to four
//! bytes within the value.

use e2i_core::Scalar;

use crate::datum::numeric;

const COUNT: u32 = 0x0FFF_FFFF;
const IS_SCALAR: u32 = 0x1000_0000;
const IS_OBJECT: u32 = 0x2000_0000;
const ENTRY_VALUE: u32 = 0x0FFF_FFFF;
const ENTRY_TYPE: u32 = 0x7000_0000;
const ENTRY_HAS_OFFSET: u32 = 0x8000_0000;
const ENTRY_STRING: u32 = 0x0000_0000;
const ENTRY_NUMBER: u32 = 0x1000_0000;
const ENTRY_FALSE: u32 = 0x2000_0000;
const ENTRY_TRUE: u32 = 0x3000_0000;
const ENTRY_NULL: u32 = 0x4000_0000;

/// An object or an array.
#[derive(Clone, Copy)]
pub struct Container<'j> {
    bytes: &'j [u8],
    header: u32,
}

/// A value in a container.
#[derive(Clone, Copy)]
pub enum Value<'j> {
    /// Null, boolean, number or text.
    Scalar(Scalar<'j>),
    /// An object or an array.
    Container(Container<'j>),
}

impl<'j> Container<'j> {
    /// The root of a jsonb value, given its bytes behind the variable-length header.
    pub fn root(bytes: &'j [u8]) -> Self {
        Self { header: word(bytes, 0), bytes }
    }

    /// Number of pairs or elements.
    pub fn count(&self) -> usize {
        (self.header & COUNT) as usize
    }

    /// Whether this is an object.
    pub fn is_object(&self) -> bool {
        self.header & IS_OBJECT != 0
    }

    /// The value itself when the root is neither object nor array (stored as an array of one).
    pub fn as_scalar(&self) -> Option<Scalar<'j>> {
        if self.header & IS_SCALAR == 0 {
            return None;
        }
        match self.elements().next() {
            Some(Value::Scalar(scalar)) => Some(scalar),
            _ => Some(Scalar::Missing),
        }
    }

    /// What it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self.as_scalar() {
            Some(scalar) => scalar_kind(&scalar),
            None if self.is_object() => "object",
            None => "array",
        }
    }

    /// The elements of an array.
    pub fn elements(self) -> Values<'j> {
        Values::new(self, 0, self.count(), self.count())
    }

    /// The keys of an object, in stored order.
    pub fn keys(self) -> impl Iterator<Item = &'j str> + Clone {
        let count = self.count();
        Values::new(self, 0, count, 2 * count).filter_map(|key| match key {
            Value::Scalar(Scalar::Text(key)) => Some(key),
            _ => None,
        })
    }

    /// The values of an object, in the order of its keys.
    pub fn values(self) -> Values<'j> {
        let count = self.count();
        Values::new(self, count, 2 * count, 2 * count)
    }

    /// A member of an object.
    pub fn get(self, name: &str) -> Option<Value<'j>> {
        if !self.is_object() {
            return None;
        }
        self.keys().zip(self.values()).find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// The bytes that say which keys an object has: two objects with the same ones have the same keys in the same order.
    pub fn key_bytes(&self) -> (&'j [u8], &'j [u8]) {
        let count = self.count();
        let entries = slice(self.bytes, 4, 4 * count);
        let end = if count == 0 { 0 } else { Values::new(*self, 0, 2 * count, 2 * count).offset_of(count) };
        (entries, slice(self.bytes, 4 + 8 * count, end))
    }
}

/// What a scalar is, for messages.
pub fn scalar_kind(scalar: &Scalar<'_>) -> &'static str {
    match scalar {
        Scalar::Missing => "null",
        Scalar::Bool(_) => "boolean",
        Scalar::Text(_) => "string",
        _ => "number",
    }
}

/// Entries of a container, one after the other: lengths are stored, offsets only now and then.
#[derive(Clone)]
pub struct Values<'j> {
    container: Container<'j>,
    index: usize,
    end: usize,
    /// Number of all entries; the data begins behind them.
    entries: usize,
    offset: usize,
}

impl<'j> Values<'j> {
    fn new(container: Container<'j>, from: usize, end: usize, entries: usize) -> Self {
        let mut values = Self { container, index: from, end, entries, offset: 0 };
        values.offset = values.offset_of(from);
        values
    }

    fn entry(&self, index: usize) -> u32 {
        word(self.container.bytes, 4 + 4 * index)
    }

    /// Where entry `index` begins in the data: the lengths since the last stored offset before it.
    fn offset_of(&self, index: usize) -> usize {
        let mut offset = 0;
        for before in (0..index).rev() {
            let entry = self.entry(before);
            offset += (entry & ENTRY_VALUE) as usize;
            if entry & ENTRY_HAS_OFFSET != 0 {
                break;
            }
        }
        offset
    }
}

impl<'j> Iterator for Values<'j> {
    type Item = Value<'j>;

    #[inline]
    fn next(&mut self) -> Option<Value<'j>> {
        if self.index >= self.end {
            return None;
        }
        let entry = self.entry(self.index);
        let stored = (entry & ENTRY_VALUE) as usize;
        let length = if entry & ENTRY_HAS_OFFSET != 0 { stored.saturating_sub(self.offset) } else { stored };
        let start = self.offset;
        self.offset += length;
        self.index += 1;
        let base = 4 + 4 * self.entries;
        let data = || {
            // The padding before an aligned value is part of its length.
            let aligned = start.next_multiple_of(4);
            slice(self.container.bytes, base + aligned, length.saturating_sub(aligned - start))
        };
        Some(match entry & ENTRY_TYPE {
            ENTRY_STRING => Value::Scalar(Scalar::Text(text(slice(self.container.bytes, base + start, length)))),
            ENTRY_NUMBER => Value::Scalar(numeric::scalar(behind_header(data()))),
            ENTRY_FALSE => Value::Scalar(Scalar::Bool(false)),
            ENTRY_TRUE => Value::Scalar(Scalar::Bool(true)),
            ENTRY_NULL => Value::Scalar(Scalar::Missing),
            _ => Value::Container(Container::root(data())),
        })
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or("\u{fffd}")
}

/// A number inside jsonb is a numeric with its own variable-length header, of one or four bytes.
fn behind_header(bytes: &[u8]) -> &[u8] {
    let one_byte = bytes
        .first()
        .is_some_and(|first| if cfg!(target_endian = "little") { first & 1 == 1 } else { first & 0x80 != 0 });
    bytes.get(if one_byte { 1 } else { 4 }..).unwrap_or_default()
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|word| word.try_into().ok()).map_or(0, u32::from_ne_bytes)
}

fn slice(bytes: &[u8], at: usize, length: usize) -> &[u8] {
    bytes.get(at..at.saturating_add(length)).unwrap_or_default()
}
