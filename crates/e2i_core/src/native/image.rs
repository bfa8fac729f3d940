//! One block of bytes that holds a compiled model: a small JSON head that says what is where, and the tables.
//!
//! Layout: 8 bytes magic, `u32` length of the head, `u32` zero, the head, padding, the tables; every table starts at a
//! multiple of 64 bytes of the block. Tables are little-endian arrays that are used where they lie: opening an image costs
//! one copy (into aligned memory) and the parsing of the head. A [`Section`] was checked when the image was opened, so
//! that [`Image::slice`] cannot fail; an image is not trusted more than any other bytes. A [`Table`] is a section that was
//! found whole and is read without looking again.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};

pub use bytemuck::Pod;

const MAGIC: [u8; 8] = *b"e2iplan\x03";
const PREFIX: usize = 16;

/// Tables start at multiples of this: a cache line, and the widest vector.
const ALIGNMENT: usize = 64;

/// Where an array of `T` lies in an image.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub struct Section<T> {
    place: (usize, usize),
    #[serde(skip)]
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for Section<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Section<T> {}

impl<T> PartialEq for Section<T> {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl<T> fmt::Debug for Section<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Section({}, {})", self.place.0, self.place.1)
    }
}

impl<T> Default for Section<T> {
    fn default() -> Self {
        Self { place: (0, 0), of: PhantomData }
    }
}

impl<T> Section<T> {
    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.place.1
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.place.1 == 0
    }
}

/// Collects the tables of an image.
#[derive(Debug, Default)]
pub struct ImageWriter {
    tables: Vec<u8>,
}

impl ImageWriter {
    /// Appends a table.
    pub fn push<T: Pod>(&mut self, table: &[T]) -> Section<T> {
        self.tables.resize(self.tables.len().next_multiple_of(ALIGNMENT), 0);
        let place = (self.tables.len(), table.len());
        self.tables.extend_from_slice(bytemuck::cast_slice(table));
        Section { place, of: PhantomData }
    }

    /// A copy of a table; empty for a section that was not written here.
    #[must_use]
    pub fn table<T: Pod>(&self, section: Section<T>) -> Vec<T> {
        let (from, count) = section.place;
        let end = count.checked_mul(size_of::<T>()).and_then(|size| from.checked_add(size));
        let bytes = end.and_then(|end| self.tables.get(from..end)).unwrap_or(&[]);
        bytes.chunks_exact(size_of::<T>().max(1)).map(bytemuck::pod_read_unaligned).collect()
    }

    /// The image: `head` describes the tables.
    ///
    /// # Errors
    /// [`Kind::Internal`] when `head` cannot be written, [`Kind::Limit`] beyond 4 GB of it.
    pub fn finish(self, head: &impl Serialize) -> Result<Vec<u8>> {
        let head = serde_json::to_vec(head)
            .map_err(|error| Error::new(Kind::Internal, format!("a plan cannot be written: {error}")))?;
        let length =
            u32::try_from(head.len()).map_err(|_| Error::new(Kind::Limit, "the plan of the model is too large"))?;
        let mut bytes = Vec::with_capacity(PREFIX + head.len() + ALIGNMENT + self.tables.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&head);
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
        bytes.extend_from_slice(&self.tables);
        Ok(bytes)
    }
}

/// A cache line of bytes: what the tables are aligned to.
#[derive(Clone, Copy, bytemuck::Zeroable, Pod)]
#[repr(C, align(64))]
struct Line([u8; ALIGNMENT]);

/// An opened image. A copy is the same bytes.
#[derive(Clone)]
pub struct Image {
    lines: Arc<Vec<Line>>,
    /// Where the tables begin and end.
    tables: (usize, usize),
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Image({} bytes)", self.lines.len() * ALIGNMENT)
    }
}

impl Image {
    /// Copies an image into aligned memory and reads its head. The head's type must call [`Image::check`] on each of its
    /// sections before it uses them.
    ///
    /// # Errors
    /// [`Kind::BadModel`] for bytes that are no image of this version of the format.
    pub fn open<H: DeserializeOwned>(bytes: &[u8]) -> Result<(Self, H)> {
        let broken = |why: &str| Error::new(Kind::BadModel, format!("the compiled form of the model is broken: {why}"));
        let prefix = bytes.get(..PREFIX).ok_or_else(|| broken("it is too short"))?;
        if prefix[..8] != MAGIC {
            return Err(broken("it does not begin as one"));
        }
        let mut length = [0; 4];
        length.copy_from_slice(&prefix[8..12]);
        let end = PREFIX.saturating_add(u32::from_le_bytes(length) as usize);
        let head = bytes.get(PREFIX..end).ok_or_else(|| broken("its head is cut"))?;
        let head = serde_json::from_slice(head).map_err(|error| broken(&error.to_string()))?;
        let mut lines = vec![Line([0; ALIGNMENT]); bytes.len().div_ceil(ALIGNMENT)];
        bytemuck::cast_slice_mut::<Line, u8>(&mut lines)[..bytes.len()].copy_from_slice(bytes);
        let start = end.next_multiple_of(ALIGNMENT).min(bytes.len());
        Ok((Self { lines: Arc::new(lines), tables: (start, bytes.len()) }, head))
    }

    /// Whether a section lies within the tables.
    ///
    /// # Errors
    /// [`Kind::BadModel`] if not.
    pub fn check<T: Pod>(&self, section: Section<T>) -> Result<()> {
        let (from, count) = section.place;
        let fits = count
            .checked_mul(size_of::<T>())
            .and_then(|size| from.checked_add(size)?.checked_add(self.tables.0))
            .is_some_and(|end| end <= self.tables.1);
        if fits && from.is_multiple_of(ALIGNMENT) && align_of::<T>() <= ALIGNMENT {
            Ok(())
        } else {
            Err(Error::new(Kind::BadModel, "the compiled form of the model is broken: a table is out of bounds"))
        }
    }

    /// A table; empty for a section that does not lie in this image.
    #[inline]
    #[must_use]
    pub fn slice<T: Pod>(&self, section: Section<T>) -> &[T] {
        let (from, count) = section.place;
        let start = self.tables.0.saturating_add(from);
        if const { ALIGNMENT.is_multiple_of(size_of::<T>()) && align_of::<T>() <= ALIGNMENT } {
            // Whole lines are whole elements, and sections begin with a line: nothing is left to be checked but the bounds.
            let (cells, start) = (bytemuck::cast_slice::<Line, T>(self.lines.as_slice()), start / size_of::<T>());
            return cells.get(start..start.saturating_add(count)).unwrap_or(&[]);
        }
        let bytes: &[u8] = bytemuck::cast_slice(self.lines.as_slice());
        let end = start.saturating_add(count.saturating_mul(size_of::<T>()));
        bytes.get(start..end).map_or(&[], |bytes| bytemuck::try_cast_slice(bytes).unwrap_or(&[]))
    }

    /// A table that stays where it is found.
    ///
    /// # Errors
    /// As [`Image::check`].
    pub(super) fn table<T: Pod>(&self, section: Section<T>) -> Result<Table<T>> {
        self.check(section)?;
        let found = self.slice(section);
        Ok(Table { first: NonNull::from(found).cast(), length: found.len(), lines: Some(Arc::clone(&self.lines)) })
    }

    /// Memory it holds, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.lines.len() * ALIGNMENT
    }
}

/// A table of an image, which lives as long as anybody has one of its tables. The default is empty.
pub(super) struct Table<T> {
    first: NonNull<T>,
    length: usize,
    /// What `first` points into.
    lines: Option<Arc<Vec<Line>>>,
}

impl<T: Pod> Deref for Table<T> {
    type Target = [T];

    #[inline(always)]
    #[allow(unsafe_code)]
    fn deref(&self) -> &[T] {
        // SAFETY: a table is made from a slice of the lines that it keeps, which nobody changes, or is empty and dangling.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.length) }
    }
}

#[allow(unsafe_code)]
// SAFETY: it is a shared slice of numbers with what keeps it.
unsafe impl<T: Pod + Sync> Send for Table<T> {}
#[allow(unsafe_code)]
// SAFETY: as above.
unsafe impl<T: Pod + Sync> Sync for Table<T> {}

impl<T> Clone for Table<T> {
    fn clone(&self) -> Self {
        Self { lines: self.lines.clone(), ..*self }
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { first: NonNull::dangling(), length: 0, lines: None }
    }
}

impl<T> fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({})", self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Serialize, Deserialize)]
    struct Head {
        numbers: Section<f32>,
        bytes: Section<u8>,
    }

    fn image() -> Vec<u8> {
        let mut writer = ImageWriter::default();
        let bytes = writer.push(&[7u8; 3]);
        let numbers = writer.push(&[1.5f32, f32::NAN]);
        writer.finish(&Head { numbers, bytes }).unwrap()
    }

    #[test]
    fn tables_come_back_aligned() {
        let (image, head) = Image::open::<Head>(&image()).unwrap();
        image.check(head.numbers).unwrap();
        image.check(head.bytes).unwrap();
        let numbers = image.slice(head.numbers);
        assert_eq!(numbers[0], 1.5);
        assert!(numbers[1].is_nan());
        assert_eq!(numbers.as_ptr() as usize % ALIGNMENT, 0);
        assert_eq!(image.slice(head.bytes), [7, 7, 7]);
    }

    #[test]
    fn a_table_outlives_the_image_that_it_was_found_in() {
        let (image, head) = Image::open::<Head>(&image()).unwrap();
        let (bytes, numbers) = (image.table(head.bytes).unwrap(), image.table(head.numbers).unwrap().clone());
        drop(image);
        assert_eq!((&bytes[..], numbers[0], numbers.len()), (&[7, 7, 7][..], 1.5, 2));
        assert!(Table::<f64>::default().is_empty());
    }

    #[test]
    fn an_image_of_another_format_is_refused() {
        let mut other = image();
        other[7] -= 1;
        assert_eq!(Image::open::<Head>(&other).unwrap_err().kind(), Kind::BadModel);
    }

    #[test]
    fn a_cut_image_is_refused_somewhere() {
        let whole = image();
        for end in 0..whole.len() {
            let Ok((image, head)) = Image::open::<Head>(&whole[..end]) else { continue };
            assert!(image.check(head.numbers).is_err() && image.table(head.numbers).is_err(), "cut at {end}");
        }
    }
}
