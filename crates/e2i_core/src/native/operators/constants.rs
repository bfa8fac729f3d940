//! Cells that are the same for every row, kept in the image.

use serde::{Deserialize, Serialize};

use crate::batch::Column;
use crate::error::Result;
use crate::interface::ElementType;
use crate::native::image::{Image, ImageWriter, Pod, Section};
use crate::native::value::broken;

/// Texts, one after the other.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Texts {
    bytes: Section<u8>,
    /// Where each text ends.
    ends: Section<u32>,
}

impl Texts {
    /// Writes texts into an image.
    pub fn write<T: AsRef<str>>(texts: &[T], tables: &mut ImageWriter) -> Self {
        let mut bytes = Vec::new();
        let mut ends = Vec::with_capacity(texts.len());
        for text in texts {
            bytes.extend_from_slice(text.as_ref().as_bytes());
            ends.push(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        }
        Self { bytes: tables.push(&bytes), ends: tables.push(&ends) }
    }

    pub(crate) fn check(self, image: &Image) -> Result<()> {
        image.check(self.bytes)?;
        image.check(self.ends)?;
        let bytes = image.slice(self.bytes);
        let mut start = 0;
        for end in image.slice(self.ends).iter().map(|end| *end as usize) {
            let text = bytes.get(start..end).ok_or_else(|| broken("texts are out of bounds"))?;
            std::str::from_utf8(text).map_err(|_| broken("a text is not UTF-8"))?;
            start = end;
        }
        Ok(())
    }

    pub(crate) fn len(self) -> usize {
        self.ends.len()
    }

    /// One text; empty beyond the end.
    pub(crate) fn bytes(self, image: &Image, index: usize) -> &[u8] {
        let ends = image.slice(self.ends);
        let Some(end) = ends.get(index) else { return &[] };
        let start = index.checked_sub(1).and_then(|before| ends.get(before)).map_or(0, |start| *start as usize);
        image.slice(self.bytes).get(start..*end as usize).unwrap_or(&[])
    }

    /// One text; empty beyond the end.
    pub(crate) fn get(self, image: &Image, index: usize) -> &str {
        std::str::from_utf8(self.bytes(image, index)).unwrap_or("")
    }
}

/// Cells of one type. Booleans are bytes, 0 or 1.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub enum Constants {
    /// Single precision.
    Float32(Section<f32>),
    /// Double precision.
    Float64(Section<f64>),
    /// 32-bit integers.
    Int32(Section<i32>),
    /// 64-bit integers.
    Int64(Section<i64>),
    /// Booleans.
    Bool(Section<u8>),
    /// Texts.
    Text(Texts),
}

impl Constants {
    /// Writes a column into an image.
    #[must_use]
    pub fn write(column: &Column, tables: &mut ImageWriter) -> Self {
        match column {
            Column::Float32(cells) => Self::Float32(tables.push(cells)),
            Column::Float64(cells) => Self::Float64(tables.push(cells)),
            Column::Int32(cells) => Self::Int32(tables.push(cells)),
            Column::Int64(cells) => Self::Int64(tables.push(cells)),
            Column::Bool(cells) => {
                Self::Bool(tables.push(&cells.iter().map(|cell| u8::from(*cell)).collect::<Vec<_>>()))
            }
            Column::Text(cells) => Self::Text(Texts::write(cells, tables)),
        }
    }

    pub(crate) fn check(&self, image: &Image) -> Result<()> {
        match self {
            Self::Float32(section) => image.check(*section),
            Self::Float64(section) => image.check(*section),
            Self::Int32(section) => image.check(*section),
            Self::Int64(section) => image.check(*section),
            Self::Bool(section) => image.check(*section),
            Self::Text(texts) => texts.check(image),
        }
    }

    /// Number of cells.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Float32(section) => section.len(),
            Self::Float64(section) => section.len(),
            Self::Int32(section) => section.len(),
            Self::Int64(section) => section.len(),
            Self::Bool(section) => section.len(),
            Self::Text(texts) => texts.len(),
        }
    }

    pub(crate) fn element(&self) -> ElementType {
        match self {
            Self::Float32(_) => ElementType::Float32,
            Self::Float64(_) => ElementType::Float64,
            Self::Int32(_) => ElementType::Int32,
            Self::Int64(_) => ElementType::Int64,
            Self::Bool(_) => ElementType::Bool,
            Self::Text(_) => ElementType::Text,
        }
    }

    /// The cells as numbers of type `T`; none of another type.
    #[inline]
    pub(crate) fn numbers<'i, T: Values>(&self, image: &'i Image) -> &'i [T] {
        T::section(self).map_or(&[], |section| image.slice(section))
    }

    /// Writes one cell over another of the same type.
    #[inline]
    pub(crate) fn copy_cell(&self, image: &Image, index: usize, into: &mut Column, at: usize) {
        fn copy<T: Copy>(cells: &[T], index: usize, into: &mut [T], at: usize) {
            if let (Some(cell), Some(into)) = (cells.get(index), into.get_mut(at)) {
                *into = *cell;
            }
        }
        match (self, into) {
            (Self::Float32(cells), Column::Float32(into)) => copy(image.slice(*cells), index, into, at),
            (Self::Float64(cells), Column::Float64(into)) => copy(image.slice(*cells), index, into, at),
            (Self::Int32(cells), Column::Int32(into)) => copy(image.slice(*cells), index, into, at),
            (Self::Int64(cells), Column::Int64(into)) => copy(image.slice(*cells), index, into, at),
            (Self::Bool(cells), Column::Bool(into)) => {
                if let (Some(cell), Some(into)) = (image.slice(*cells).get(index), into.get_mut(at)) {
                    *into = *cell != 0;
                }
            }
            (Self::Text(texts), Column::Text(into)) => {
                if let Some(into) = into.get_mut(at) {
                    into.clear();
                    into.push_str(texts.get(image, index));
                }
            }
            _ => {}
        }
    }
}

/// Number types that constants can have.
pub trait Values: Pod {
    /// Where constants of this type lie.
    fn section(constants: &Constants) -> Option<Section<Self>>;
}

macro_rules! values {
    ($($type:ty, $variant:ident;)+) => {
        $(impl Values for $type {
            #[inline]
            fn section(constants: &Constants) -> Option<Section<Self>> {
                match constants { Constants::$variant(section) => Some(*section), _ => None }
            }
        })+
    };
}

values! { f32, Float32; f64, Float64; i32, Int32; i64, Int64; }
