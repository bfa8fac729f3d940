//! UBJSON as XGBoost writes it, read through serde, so that a model has one description for both of its encodings.
//!
//! Markers: `Z T F i U I l L d D C S [ {`. Arrays may be counted (`[#n`) or counted and of one number type (`[$d#n`);
//! objects are neither. Big-endian, as the format says. Nothing is allocated for a count that the bytes left do not carry.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

/// Arrays and objects may lie this deep in each other; a model needs nine.
const DEPTH_AT_MOST: u32 = 64;

/// Why bytes are not UBJSON, or not what was asked for.
#[derive(Debug)]
pub(super) struct Problem(String);

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Problem {}

impl serde::de::Error for Problem {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// Reads one value, which must be all there is.
pub(super) fn from_slice<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, Problem> {
    let mut reader = Reader { whole: bytes.len(), rest: bytes, depth: 0 };
    let value = T::deserialize(Value { reader: &mut reader, marker: None });
    let value = value.map_err(|problem| reader.placed(&problem))?;
    if reader.rest.is_empty() { Ok(value) } else { Err(reader.placed(&Problem("there is more behind the end".into()))) }
}

struct Reader<'de> {
    whole: usize,
    rest: &'de [u8],
    depth: u32,
}

impl<'de> Reader<'de> {
    fn placed(&self, problem: &Problem) -> Problem {
        Problem(format!("{problem} at byte {}", self.whole - self.rest.len()))
    }

    fn take(&mut self, count: usize) -> Result<&'de [u8], Problem> {
        let (taken, rest) =
            self.rest.split_at_checked(count).ok_or_else(|| Problem("the bytes end too early".into()))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(|| Problem("the bytes end too early".into()))?;
        self.rest = rest;
        Ok(*taken)
    }

    fn marker(&mut self) -> Result<u8, Problem> {
        Ok(self.array::<1>()?[0])
    }

    /// Takes the next byte if it is this one.
    fn skip(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// A whole number with its marker.
    fn integer(&mut self) -> Result<i64, Problem> {
        let marker = self.marker()?;
        self.integer_of(marker)
    }

    fn integer_of(&mut self, marker: u8) -> Result<i64, Problem> {
        Ok(match marker {
            b'i' => i64::from(i8::from_be_bytes(self.array()?)),
            b'U' => i64::from(u8::from_be_bytes(self.array()?)),
            b'I' => i64::from(i16::from_be_bytes(self.array()?)),
            b'l' => i64::from(i32::from_be_bytes(self.array()?)),
            b'L' => i64::from_be_bytes(self.array()?),
            _ => return Err(Problem(format!("{:?} is no whole number's marker", char::from(marker)))),
        })
    }

    /// How many things of at least `size` bytes follow.
    fn count(&mut self, size: usize) -> Result<usize, Problem> {
        let count = self.integer()?;
        usize::try_from(count)
            .ok()
            .filter(|count| count.checked_mul(size).is_some_and(|bytes| bytes <= self.rest.len()))
            .ok_or_else(|| Problem(format!("a length of {count} is more than what follows")))
    }

    fn text(&mut self) -> Result<&'de str, Problem> {
        let length = self.count(1)?;
        std::str::from_utf8(self.take(length)?).map_err(|_| Problem("a text is not UTF-8".into()))
    }

    fn deeper(&mut self) -> Result<(), Problem> {
        self.depth += 1;
        if self.depth > DEPTH_AT_MOST {
            return Err(Problem(format!("values lie more than {DEPTH_AT_MOST} deep in each other")));
        }
        Ok(())
    }
}

/// A value that begins here; its marker may have been said before (in an array of one type).
struct Value<'r, 'de> {
    reader: &'r mut Reader<'de>,
    marker: Option<u8>,
}

impl<'de> Deserializer<'de> for Value<'_, 'de> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let reader = self.reader;
        let marker = match self.marker {
            Some(marker) => marker,
            None => reader.marker()?,
        };
        match marker {
            b'Z' => visitor.visit_unit(),
            b'T' => visitor.visit_bool(true),
            b'F' => visitor.visit_bool(false),
            b'd' => visitor.visit_f32(f32::from_be_bytes(reader.array()?)),
            b'D' => visitor.visit_f64(f64::from_be_bytes(reader.array()?)),
            b'C' => visitor.visit_char(char::from(reader.marker()?)),
            b'S' => visitor.visit_borrowed_str(reader.text()?),
            b'[' => {
                reader.deeper()?;
                visitor.visit_seq(Elements::begin(reader)?)
            }
            b'{' => {
                reader.deeper()?;
                if reader.rest.first().is_some_and(|byte| matches!(byte, b'#' | b'$')) {
                    return Err(Problem("objects with a count are not read".into()));
                }
                visitor.visit_map(Members { reader })
            }
            integer => visitor.visit_i64(reader.integer_of(integer)?),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        if self.marker.is_none() && self.reader.skip(b'Z') { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// The elements of an array.
struct Elements<'r, 'de> {
    reader: &'r mut Reader<'de>,
    /// How many are left; `None` goes on until `]`.
    left: Option<usize>,
    marker: Option<u8>,
}

impl<'r, 'de> Elements<'r, 'de> {
    fn begin(reader: &'r mut Reader<'de>) -> Result<Self, Problem> {
        if reader.skip(b'$') {
            let marker = reader.marker()?;
            // Types without bytes of their own would make a long array of nothing.
            let size = match marker {
                b'i' | b'U' => 1,
                b'I' => 2,
                b'l' | b'd' => 4,
                b'L' | b'D' => 8,
                _ => return Err(Problem(format!("arrays of {:?} are not read", char::from(marker)))),
            };
            if !reader.skip(b'#') {
                return Err(Problem("an array of one type has no count".into()));
            }
            let left = Some(reader.count(size)?);
            return Ok(Self { reader, left, marker: Some(marker) });
        }
        let left = if reader.skip(b'#') { Some(reader.count(1)?) } else { None };
        Ok(Self { reader, left, marker: None })
    }
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Problem;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Problem> {
        let ended = match &mut self.left {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => self.reader.skip(b']'),
        };
        if ended {
            self.reader.depth = self.reader.depth.saturating_sub(1);
            return Ok(None);
        }
        seed.deserialize(Value { reader: self.reader, marker: self.marker }).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        self.left
    }
}

/// The members of an object.
struct Members<'r, 'de> {
    reader: &'r mut Reader<'de>,
}

impl<'de> MapAccess<'de> for Members<'_, 'de> {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Problem> {
        if self.reader.skip(b'}') {
            self.reader.depth = self.reader.depth.saturating_sub(1);
            return Ok(None);
        }
        let key = self.reader.text()?;
        seed.deserialize(serde::de::value::BorrowedStrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Problem> {
        seed.deserialize(Value { reader: self.reader, marker: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::IgnoredAny;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Small {
        numbers: Vec<f32>,
        #[serde(default)]
        name: Option<String>,
        flags: Vec<bool>,
    }

    #[test]
    fn values_come_back() {
        let bytes =
            b"{i\x07numbers[$d#i\x02\x3f\x80\0\0\xbf\0\0\0i\x05extra[#U\x02i\x01{}i\x04nameSi\x02abi\x05flags[TF]}";
        let small: Small = from_slice(bytes).unwrap();
        assert_eq!(small, Small { numbers: vec![1.0, -0.5], name: Some("ab".into()), flags: vec![true, false] });
        for end in 0..bytes.len() {
            assert!(from_slice::<Small>(&bytes[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn claims_are_checked_before_they_are_believed() {
        let refused = |bytes: &[u8]| from_slice::<IgnoredAny>(bytes).unwrap_err().to_string();
        assert!(refused(b"[$d#L\x7f\xff\xff\xff\xff\xff\xff\xff").contains("more than what follows"));
        assert!(refused(b"[$T#L\x7f\xff\xff\xff\xff\xff\xff\xff").contains("arrays of 'T'"));
        assert!(refused(b"[#i\xff]").contains("length of -1"));
        assert!(refused(b"SL\0\0\0\0\0\0\0\x09ab").contains("length of 9"));
        assert!(refused(&[b'['; 100_000]).contains("deep"));
        assert!(refused(b"{#i\x01").contains("count"));
        assert!(refused(b"i\x01i\x02").contains("behind the end"));
    }
}
