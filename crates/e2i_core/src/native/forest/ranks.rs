//! The codes of one row: for each column of bytes its rank (`inputs`), found by counting instead of searching.
//!
//! In a feature of up to 255 thresholds two comparisons of 16 suffice: with the first levels of the search tree, which split
//! the thresholds evenly, and with the 16 that follow the one that was found. Nothing depends on anything but the value, so
//! a processor works on several features at a time.

#![allow(unsafe_code)]

use serde::{Deserialize, Serialize};

use super::broken;
use super::inputs::{self, Inputs, MISSING_LOW, PER_BYTE, SET};
use super::number::{Given, Number, as_read};
use super::shape::Shape;
use crate::error::{Error, Kind, Result};
use crate::native::image::{Image, ImageWriter, Section};

/// Columns of bytes that a row may have.
pub(super) const COLUMNS: usize = 256;

/// Thresholds that are compared together.
pub(super) const TOGETHER: usize = 16;

/// Levels of search that two comparisons replace.
const LEVELS: u32 = 8;

/// A row's codes, as far as there are columns; aligned to the largest registers.
#[repr(align(64))]
pub(super) struct Codes(pub [u8; COLUMNS]);

/// The tables; `single` or `double` is empty.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Ranks {
    /// The thresholds of each source in order, from where `starts` says, padded with infinity so that 16 follow on any.
    pub single: Section<f32>,
    pub double: Section<f64>,
    starts: Section<u32>,
}

/// Makes the tables.
pub(super) fn compile<T: Number>(
    shape: &Shape,
    writer: &mut ImageWriter,
    push: impl Fn(&mut ImageWriter, &[T]) -> (Section<f32>, Section<f64>),
) -> Result<Ranks> {
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
    let (single, double) = push(writer, &sorted);
    Ok(Ranks { single, double, starts: writer.push(&starts) })
}

impl Ranks {
    /// Whether the tables of an image are what the loops rely on.
    pub(super) fn check<T: Number>(&self, image: &Image, inputs: &Inputs, sorted: Section<T>) -> Result<()> {
        image.check(sorted)?;
        image.check(self.starts)?;
        let (starts, sources) = (image.slice(self.starts), image.slice(inputs.sources));
        let fits = |(start, source): (&u32, &inputs::Source)| {
            source.levels > LEVELS || *start as usize + (1usize << source.levels) + TOGETHER <= sorted.len()
        };
        if starts.len() == sources.len() && starts.iter().zip(sources).all(fits) {
            Ok(())
        } else {
            Err(broken("the thresholds"))
        }
    }

    pub(super) fn open<'i, T: Number>(
        &self,
        image: &'i Image,
        sorted: Section<T>,
        inputs: inputs::Opened<'i, T>,
    ) -> Opened<'i, T> {
        Opened { sorted: image.slice(sorted), starts: image.slice(self.starts), inputs }
    }
}

/// The tables, opened.
#[derive(Clone, Copy)]
pub(super) struct Opened<'i, T> {
    sorted: &'i [T],
    starts: &'i [u32],
    pub inputs: inputs::Opened<'i, T>,
}

/// The instructions to count with.
pub(super) trait Count {
    /// How many of some numbers a value exceeds.
    ///
    /// # Safety
    /// The processor must have the instructions.
    unsafe fn below<T: Number>(value: T, numbers: &[T; TOGETHER]) -> u32;
}

/// What every processor has.
pub(super) struct Portable;

impl Count for Portable {
    #[inline(always)]
    unsafe fn below<T: Number>(value: T, numbers: &[T; TOGETHER]) -> u32 {
        let mut count = 0;
        for number in numbers {
            count += u32::from(value > *number);
        }
        count
    }
}

impl<T: Number> Opened<'_, T> {
    /// The codes of a row.
    ///
    /// # Safety
    /// The processor must have the instructions of `C`, and the tables must have passed [`Ranks::check`].
    #[inline(always)]
    pub(super) unsafe fn codes<C: Count, E: Given<T>>(&self, row: &[E], codes: &mut Codes) {
        for (source, start) in self.inputs.sources.iter().zip(self.starts) {
            let (value, missing) = as_read(row[source.column as usize].given(), source.missing);
            let rank = if source.levels <= LEVELS {
                // SAFETY: a search tree has 16 places at least; 16 thresholds follow wherever the first comparison leads.
                unsafe {
                    let pivots = self.inputs.search.as_ptr().add(source.search as usize);
                    let first = C::below(value, &*pivots.cast());
                    if source.levels <= 4 {
                        first
                    } else {
                        let from = first << (source.levels - 4);
                        let rest = self.sorted.as_ptr().add((*start + from) as usize);
                        from + C::below(value, &*rest.cast())
                    }
                }
            } else {
                self.inputs.rank(source, value)
            };
            let [first, end] = source.codes.map(|column| column as usize);
            if source.levels <= LEVELS && end == first + 1 && self.inputs.codes[first].flags & SET == 0 {
                // What is most frequent, in short: all thresholds are in one column.
                let low = self.inputs.codes[first].flags & MISSING_LOW != 0;
                let absent = if low { 0 } else { PER_BYTE as u32 };
                codes.0[first % COLUMNS] = if missing { absent } else { rank } as u8;
                continue;
            }
            for column in first..end {
                let output = &self.inputs.codes[column];
                codes.0[column % COLUMNS] = if missing {
                    if output.flags & MISSING_LOW != 0 { 0 } else { PER_BYTE as u8 }
                } else if output.flags & SET != 0 {
                    u8::from(!self.inputs.is_member(output, rank))
                } else {
                    rank.saturating_sub(output.base).min(PER_BYTE as u32) as u8
                };
            }
        }
    }
}
