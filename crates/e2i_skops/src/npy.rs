//! NumPy's array files: a header in Python's spelling, then the cells.
//!
//! An own reader, because a header is one line of three entries and most of the work is to believe nothing of it: shape, size
//! of an item and bytes must fit each other exactly. Read are numbers of every size and order of bytes, booleans, texts, and
//! records of numbers; arrays of objects, which are pickles, are refused, and so is what has a date.

use e2i_core::{Error, Kind, Result};

use crate::container::broken;

/// Most axes of an array.
const AXES_AT_MOST: usize = 8;

/// The cells of an array, row after row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cells {
    /// Single precision, and half of it.
    Single(Vec<f32>),
    /// Double precision.
    Double(Vec<f64>),
    /// Whole numbers.
    Whole(Vec<i64>),
    /// Booleans.
    Bool(Vec<bool>),
    /// Texts.
    Text(Vec<String>),
    /// Records: the cells of each named field.
    Records(Vec<(String, Cells)>),
}

impl Cells {
    fn len(&self) -> usize {
        match self {
            Self::Single(cells) => cells.len(),
            Self::Double(cells) => cells.len(),
            Self::Whole(cells) => cells.len(),
            Self::Bool(cells) => cells.len(),
            Self::Text(cells) => cells.len(),
            Self::Records(fields) => fields.first().map_or(0, |(_, cells)| cells.len()),
        }
    }
}

/// An array.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Array {
    /// Its axes; none of a single cell.
    pub(crate) shape: Vec<usize>,
    pub(crate) cells: Cells,
}

impl Array {
    /// Number of cells.
    pub(crate) fn len(&self) -> usize {
        self.cells.len()
    }

    /// The cells as float64; `None` for texts, records and whole numbers that float64 does not hold.
    pub(crate) fn numbers(&self) -> Option<Vec<f64>> {
        match &self.cells {
            Cells::Single(cells) => Some(cells.iter().map(|cell| f64::from(*cell)).collect()),
            Cells::Double(cells) => Some(cells.clone()),
            Cells::Whole(cells) => {
                cells.iter().map(|cell| (*cell as f64 as i128 == i128::from(*cell)).then_some(*cell as f64)).collect()
            }
            Cells::Bool(cells) => Some(cells.iter().map(|cell| f64::from(u8::from(*cell))).collect()),
            Cells::Text(_) | Cells::Records(_) => None,
        }
    }

    /// The cells as whole numbers; `None` for others.
    pub(crate) fn wholes(&self) -> Option<Vec<i64>> {
        match &self.cells {
            Cells::Whole(cells) => Some(cells.clone()),
            Cells::Bool(cells) => Some(cells.iter().map(|cell| i64::from(*cell)).collect()),
            Cells::Single(cells) => {
                cells.iter().map(|x| (x.trunc() == *x && x.abs() < 1e9).then_some(*x as i64)).collect()
            }
            Cells::Double(cells) => {
                cells.iter().map(|x| (x.trunc() == *x && x.abs() < 1e15).then_some(*x as i64)).collect()
            }
            Cells::Text(_) | Cells::Records(_) => None,
        }
    }

    /// A field of records.
    pub(crate) fn field(&self, name: &str) -> Option<&Cells> {
        match &self.cells {
            Cells::Records(fields) => fields.iter().find(|(field, _)| field == name).map(|(_, cells)| cells),
            _ => None,
        }
    }
}

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    Float(usize),
    Signed(usize),
    Unsigned(usize),
    Bool,
    /// Four bytes a character.
    Wide(usize),
    /// One byte a character.
    Narrow(usize),
    Padding(usize),
}

impl Item {
    fn size(self) -> usize {
        match self {
            Self::Float(size)
            | Self::Signed(size)
            | Self::Unsigned(size)
            | Self::Narrow(size)
            | Self::Padding(size) => size,
            Self::Bool => 1,
            Self::Wide(characters) => characters.saturating_mul(4),
        }
    }

    /// Reads `|b1`, `<f8`, `<U7`; and whether the most significant byte comes first.
    fn parse(text: &str) -> Result<(Self, bool)> {
        let unknown = || {
            Error::new(Kind::Unsupported, format!("the skops file holds an array of type {text:?}, which is not read"))
        };
        let mut chars = text.chars();
        let (order, kind) = (chars.next().ok_or_else(unknown)?, chars.next().ok_or_else(unknown)?);
        if !matches!(order, '<' | '>' | '|' | '=') {
            return Err(unknown());
        }
        if kind == 'O' {
            return Err(Error::new(
                Kind::Unsupported,
                "the skops file holds an array of objects as a pickle, which is code and is not read",
            ));
        }
        let size: usize = chars.as_str().parse().map_err(|_| unknown())?;
        let item = match (kind, size) {
            ('f', 2 | 4 | 8) => Self::Float(size),
            ('i', 1 | 2 | 4 | 8) => Self::Signed(size),
            ('u', 1 | 2 | 4 | 8) => Self::Unsigned(size),
            ('b', 1) => Self::Bool,
            ('U', _) => Self::Wide(size),
            ('S', _) => Self::Narrow(size),
            ('V', _) => Self::Padding(size),
            _ => return Err(unknown()),
        };
        Ok((item, order == '>'))
    }

    /// The cells of items that lie `stride` bytes apart, from `at` on.
    fn cells(self, big: bool, bytes: &[u8], at: usize, stride: usize, count: usize) -> Result<Cells> {
        let size = self.size();
        let item = |index: usize| bytes.get(index * stride + at..index * stride + at + size).unwrap_or(&[]);
        let bits = |index: usize| {
            let bytes = item(index).iter();
            let add = |bits: u64, byte: &u8| bits << 8 | u64::from(*byte);
            if big { bytes.fold(0, add) } else { bytes.rev().fold(0, add) }
        };
        let each = 0..count;
        Ok(match self {
            Self::Float(8) => Cells::Double(each.map(|i| f64::from_bits(bits(i))).collect()),
            Self::Float(4) => Cells::Single(each.map(|i| f32::from_bits(bits(i) as u32)).collect()),
            Self::Float(_) => Cells::Single(each.map(|i| half(bits(i) as u16)).collect()),
            Self::Signed(size) => {
                let shift = 64 - 8 * size as u32;
                Cells::Whole(each.map(|i| (bits(i) << shift) as i64 >> shift).collect())
            }
            Self::Unsigned(_) => {
                let whole = |i| {
                    i64::try_from(bits(i)).map_err(|_| broken("an array holds a number beyond 64 bits with a sign"))
                };
                Cells::Whole(each.map(whole).collect::<Result<_>>()?)
            }
            Self::Bool => Cells::Bool(each.map(|i| bits(i) != 0).collect()),
            Self::Narrow(_) => {
                let text = |i| String::from_utf8_lossy(item(i)).trim_end_matches('\0').to_owned();
                Cells::Text(each.map(text).collect())
            }
            Self::Wide(_) => {
                let text = |i| {
                    let characters = item(i).chunks_exact(4).map(|four| {
                        let four = [four[0], four[1], four[2], four[3]];
                        char::from_u32(if big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) })
                    });
                    let text: Option<String> = characters.collect();
                    text.map(|text| text.trim_end_matches('\0').to_owned())
                        .ok_or_else(|| broken("an array holds a text that is none"))
                };
                Cells::Text(each.map(text).collect::<Result<_>>()?)
            }
            Self::Padding(_) => Cells::Bool(vec![]),
        })
    }
}

/// A float16 as float32.
fn half(bits: u16) -> f32 {
    let (sign, exponent, fraction) = (u32::from(bits >> 15), u32::from(bits >> 10 & 31), u32::from(bits & 1023));
    let magnitude = match exponent {
        0 => fraction as f32 * 2f32.powi(-24),
        31 => f32::from_bits(0x7f80_0000 | fraction << 13),
        _ => f32::from_bits((exponent + 112) << 23 | fraction << 13),
    };
    if sign == 1 { -magnitude } else { magnitude }
}

/// Names and types, and whether the greatest byte is first; one without a name where the type is no record.
type Fields = Vec<(String, Item, bool)>;

/// What the header says.
struct Header {
    /// Fields with their names; one without a name where items are no records.
    fields: Fields,
    is_record: bool,
    fortran: bool,
    shape: Vec<usize>,
}

/// Reads an array.
pub(crate) fn read(bytes: &[u8]) -> Result<Array> {
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or_else(|| broken("a member is no array of NumPy"))?;
    let short = || broken("an array is cut");
    let (length, rest) = match rest {
        [1, 0, a, b, rest @ ..] => (usize::from(u16::from_le_bytes([*a, *b])), rest),
        [2 | 3, 0, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
        _ => return Err(broken("an array is of an unknown version of NumPy's format")),
    };
    let (header, data) = rest.split_at_checked(length).ok_or_else(short)?;
    let header = std::str::from_utf8(header).map_err(|_| broken("the header of an array is no text"))?;
    let header = Literal { rest: header }.header()?;
    let count = header.shape.iter().try_fold(1usize, |product, axis| product.checked_mul(*axis));
    let size = header.fields.iter().try_fold(0usize, |sum, (_, item, _)| sum.checked_add(item.size()));
    let (Some(count), Some(size)) = (count, size) else { return Err(broken("an array is too large")) };
    if count.checked_mul(size) != Some(data.len()) {
        return Err(broken(format!(
            "an array of shape {:?} and {size} bytes a cell has {} bytes",
            header.shape,
            data.len()
        )));
    }
    // A text of no characters takes no bytes, so that their number is bounded by nothing.
    if size == 0 && count > 1 << 20 {
        return Err(broken("an array is too large"));
    }
    let mut at = 0;
    let mut fields = Vec::with_capacity(header.fields.len());
    for (name, item, big) in &header.fields {
        let cells = item.cells(*big, data, at, size, count)?;
        at += item.size();
        if !matches!(item, Item::Padding(_)) {
            fields.push((name.clone(), if header.fortran { in_rows(cells, &header.shape) } else { cells }));
        }
    }
    let cells = if header.is_record {
        Cells::Records(fields)
    } else {
        fields.pop().map(|(_, cells)| cells).ok_or_else(|| broken("an array has cells of no type"))?
    };
    Ok(Array { shape: header.shape, cells })
}

/// Cells whose first axis runs fastest, so that the last does.
fn in_rows(cells: Cells, shape: &[usize]) -> Cells {
    fn sorted<T: Clone>(cells: &[T], shape: &[usize]) -> Vec<T> {
        let mut index = vec![0; shape.len()];
        let mut sorted = Vec::with_capacity(cells.len());
        for _ in 0..cells.len() {
            let at = index.iter().zip(shape).rev().fold(0, |at, (index, axis)| at * axis + index);
            sorted.extend(cells.get(at).cloned());
            for (index, axis) in index.iter_mut().zip(shape).rev() {
                *index += 1;
                if *index < *axis {
                    break;
                }
                *index = 0;
            }
        }
        sorted
    }
    match cells {
        Cells::Single(cells) => Cells::Single(sorted(&cells, shape)),
        Cells::Double(cells) => Cells::Double(sorted(&cells, shape)),
        Cells::Whole(cells) => Cells::Whole(sorted(&cells, shape)),
        Cells::Bool(cells) => Cells::Bool(sorted(&cells, shape)),
        Cells::Text(cells) => Cells::Text(sorted(&cells, shape)),
        records @ Cells::Records(_) => records,
    }
}

/// The part of Python's spelling that headers use.
struct Literal<'t> {
    rest: &'t str,
}

impl<'t> Literal<'t> {
    fn wrong(&self) -> Error {
        broken(format!(
            "the header of an array is not understood at {:?}",
            self.rest.chars().take(20).collect::<String>()
        ))
    }

    fn skip(&mut self, text: &str) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn take(&mut self, text: &str) -> Result<()> {
        if self.skip(text) { Ok(()) } else { Err(self.wrong()) }
    }

    fn text(&mut self) -> Result<&'t str> {
        let quote = if self.skip("'") {
            '\''
        } else if self.skip("\"") {
            '"'
        } else {
            return Err(self.wrong());
        };
        let (text, rest) = self.rest.split_once(quote).ok_or_else(|| self.wrong())?;
        if text.contains('\\') {
            return Err(self.wrong());
        }
        self.rest = rest;
        Ok(text)
    }

    fn number(&mut self) -> Result<usize> {
        self.rest = self.rest.trim_start();
        let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let number = self.rest[..digits].parse().map_err(|_| self.wrong())?;
        self.rest = self.rest[digits..].trim_start_matches('L');
        Ok(number)
    }

    fn numbers(&mut self) -> Result<Vec<usize>> {
        self.take("(")?;
        let mut numbers = vec![];
        while !self.skip(")") {
            if numbers.len() == AXES_AT_MOST {
                return Err(broken(format!("an array has more than {AXES_AT_MOST} axes")));
            }
            numbers.push(self.number()?);
            if !self.skip(",") {
                self.take(")")?;
                break;
            }
        }
        Ok(numbers)
    }

    /// A type: a text, or a list of fields, each `('name', 'type')`, and which of them it is.
    fn fields(&mut self) -> Result<(Fields, bool)> {
        if !self.skip("[") {
            let (item, big) = Item::parse(self.text()?)?;
            return Ok((vec![(String::new(), item, big)], false));
        }
        let mut fields = vec![];
        while !self.skip("]") {
            self.take("(")?;
            let name = self.text()?.to_owned();
            self.take(",")?;
            let (item, big) = Item::parse(self.text()?)?;
            self.take(")")?;
            fields.push((name, item, big));
            if !self.skip(",") {
                self.take("]")?;
                break;
            }
        }
        Ok((fields, true))
    }

    fn header(mut self) -> Result<Header> {
        self.take("{")?;
        let (mut fields, mut fortran, mut shape) = (None, None, None);
        while !self.skip("}") {
            let name = self.text()?;
            self.take(":")?;
            let twice = match name {
                "descr" => fields.replace(self.fields()?).is_some(),
                "fortran_order" => {
                    let value = self.skip("True");
                    if !value {
                        self.take("False")?;
                    }
                    fortran.replace(value).is_some()
                }
                "shape" => shape.replace(self.numbers()?).is_some(),
                _ => true,
            };
            if twice {
                return Err(self.wrong());
            }
            if !self.skip(",") {
                self.take("}")?;
                break;
            }
        }
        if !self.rest.trim_end().is_empty() {
            return Err(self.wrong());
        }
        match (fields, fortran, shape) {
            (Some((fields, is_record)), Some(fortran), Some(shape)) => Ok(Header { fields, is_record, fortran, shape }),
            _ => Err(broken("the header of an array lacks an entry")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn npy(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn numbers_of_every_order_are_read() {
        let array =
            read(&npy("{'descr': '>f8', 'fortran_order': False, 'shape': (), }  \n", &1.5f64.to_be_bytes())).unwrap();
        assert_eq!((array.shape.len(), array.numbers().unwrap()), (0, vec![1.5]));
        let cells: Vec<u8> = (0..6i16).flat_map(i16::to_le_bytes).collect();
        let array = read(&npy("{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3)}", &cells)).unwrap();
        assert_eq!(array.wholes().unwrap(), [0, 2, 4, 1, 3, 5]);
        let array = read(&npy(
            "{'descr': '<U2', 'fortran_order': False, 'shape': (2,)}",
            "a\0\0\0é\0\0\0b\0\0\0\0\0\0\0".replace('é', "\u{63}").as_bytes(),
        ))
        .unwrap();
        assert_eq!(array.cells, Cells::Text(vec!["ac".into(), "b".into()]));
        assert_eq!(half(0x3c00), 1.0);
        assert_eq!(half(0xc000), -2.0);
    }

    #[test]
    fn records_have_padding_without_a_name() {
        let header = "{'descr': [('a', '<f8'), ('b', '|u1'), ('', '|V7')], 'fortran_order': False, 'shape': (1,)}";
        let data = [&2.5f64.to_le_bytes()[..], &[7], &[0; 7]].concat();
        let array = read(&npy(header, &data)).unwrap();
        assert_eq!(array.field("a"), Some(&Cells::Double(vec![2.5])));
        assert_eq!(array.field("b"), Some(&Cells::Whole(vec![7])));
        assert_eq!(array.field(""), None);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (header, data) in [
            ("{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}", 8),
            ("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}", 8),
            ("{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904, 4)}", 0),
            ("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1, 1, 1)}", 8),
            ("{'descr': '<f8', 'fortran_order': False}", 8),
            ("{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': (1,)}", 8),
            ("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", 8),
            ("{'descr': '<M8[s]', 'fortran_order': False, 'shape': (1,)}", 8),
            ("{'descr': '<f8', 'fortran_order': False, 'shape': (__import__('os'),)}", 8),
            ("{'descr': '<U0', 'fortran_order': False, 'shape': (99999999999,)}", 0),
            ("{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}, 1", 8),
        ] {
            assert!(read(&npy(header, &vec![0; data])).is_err(), "{header}");
        }
        assert!(read(b"\x93NUMPY\x02\x00\xff\xff\xff\xff").is_err());
        assert!(read(b"\x80\x04pickle").is_err());
    }
}
