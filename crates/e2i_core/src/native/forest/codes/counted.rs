//! The codes of one row: for each column of bytes its rank (`columns`), found by counting instead of searching.
//!
//! In a feature of up to 255 thresholds two comparisons of 16 suffice: with the first levels of the search tree, which split
//! the thresholds evenly, and with the 16 that follow the one that was found. Nothing depends on anything but the value, so
//! a processor works on several features at a time.

#![allow(unsafe_code)]

use serde::{Deserialize, Serialize};

use super::super::number::{Number, Numbers, as_read, broken};
use super::super::registers::{TOGETHER, Vector};
use super::super::shape::Shape;
use super::columns::{Columns, MISSING_LOW, PER_BYTE, SET};
use super::source::SourceRow;
use crate::error::{Error, Kind, Result};
use crate::native::image::{Image, ImageWriter, Section, Table};

/// Columns of bytes that a row may have.
pub(in crate::native::forest) const COLUMNS: usize = 256;

/// Levels of search that two comparisons replace.
const LEVELS: u32 = 8;

/// A row's codes, as far as there are columns; aligned to the largest registers.
#[repr(align(64))]
pub(in crate::native::forest) struct RowCodes(pub [u8; COLUMNS]);

/// The tables in an image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::native::forest) struct CountedSections {
    /// The thresholds of each source in order, from where `starts` says, padded with infinity so that 16 follow on any.
    sorted: Numbers,
    starts: Section<u32>,
}

/// The tables.
#[derive(Debug, Clone)]
pub(in crate::native::forest) struct Counted<T> {
    sorted: Table<T>,
    starts: Table<u32>,
}

/// Makes the tables.
pub(super) fn compile<T: Number>(shape: &Shape, writer: &mut ImageWriter) -> Result<CountedSections> {
    let (mut sorted, mut starts) = (vec![], vec![]);
    // In the order of the sources, which leave out features that nobody reads.
    let mut read = vec![false; shape.features.len()];
    shape.columns.iter().for_each(|column| read[column.feature as usize] = true);
    for (feature, _) in shape.features.iter().zip(read).filter(|(_, read)| *read) {
        let start = u32::try_from(sorted.len());
        starts.push(start.map_err(|_| Error::new(Kind::Limit, "the model has too many thresholds"))?);
        let size = (feature.bounds.len() + 1).next_power_of_two();
        if size > 1 << LEVELS {
            // These are searched for.
            continue;
        }
        let end = sorted.len() + size + TOGETHER;
        sorted.extend(feature.bounds.iter().map(|bound| T::from_f64(*bound)));
        sorted.resize(end, T::HIGHEST);
    }
    Ok(CountedSections { sorted: T::write(writer, &sorted), starts: writer.push(&starts) })
}

impl CountedSections {
    /// The tables, if they are what the loops rely on.
    pub(super) fn open<T: Number>(&self, image: &Image, columns: &Columns<T>) -> Result<Counted<T>> {
        let counted = Counted { sorted: T::table(image, self.sorted)?, starts: image.table(self.starts)? };
        let mut pairs = counted.starts.iter().zip(columns.sources.iter());
        let fits = pairs.all(|(start, source)| {
            source.levels > LEVELS || *start as usize + (1usize << source.levels) + TOGETHER <= counted.sorted.len()
        });
        if counted.starts.len() == columns.sources.len() && fits { Ok(counted) } else { Err(broken("the thresholds")) }
    }
}

impl<T: Number> Counted<T> {
    /// The codes of a row, of the columns with which the tables were opened.
    ///
    /// # Safety
    /// The processor must have the instructions of `V`.
    #[inline(always)]
    pub(super) unsafe fn codes<V: Vector>(&self, columns: &Columns<T>, row: impl SourceRow<T>, codes: &mut RowCodes) {
        for (source, start) in columns.sources.iter().zip(self.starts.iter()) {
            let (value, missing) = as_read(row.number(source.column as usize), source.missing);
            let rank = if source.levels <= LEVELS {
                // SAFETY: a search tree has 16 places at least; 16 thresholds follow wherever the first comparison leads. That
                // was made sure of when the tables were opened.
                unsafe {
                    let pivots = columns.search.as_ptr().add(source.search as usize);
                    let first = V::below(value, &*pivots.cast());
                    if source.levels <= 4 {
                        first
                    } else {
                        let from = first << (source.levels - 4);
                        let rest = self.sorted.as_ptr().add((*start + from) as usize);
                        from + V::below(value, &*rest.cast())
                    }
                }
            } else {
                columns.rank(source, value)
            };
            let [first, end] = source.codes.map(|column| column as usize);
            if source.levels <= LEVELS && end == first + 1 && columns.codes[first].flags & SET == 0 {
                // What is most frequent, in short: all thresholds are in one column.
                let low = columns.codes[first].flags & MISSING_LOW != 0;
                let absent = if low { 0 } else { PER_BYTE as u32 };
                codes.0[first % COLUMNS] = if missing { absent } else { rank } as u8;
                continue;
            }
            for column in first..end {
                let output = &columns.codes[column];
                codes.0[column % COLUMNS] = if missing {
                    if output.flags & MISSING_LOW != 0 { 0 } else { PER_BYTE as u8 }
                } else if output.flags & SET != 0 {
                    u8::from(!columns.is_member(output, rank))
                } else {
                    rank.saturating_sub(output.base).min(PER_BYTE as u32) as u8
                };
            }
        }
    }
}
