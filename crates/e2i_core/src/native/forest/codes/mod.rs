//! What trees compare: ranks of one byte, classes of sets, or numbers with missing values replaced.
//!
//! `source` reads the numbers of rows, however they lie; `columns` has the thresholds and turns values into ranks, `counted`
//! those of one row, `classes` finds the classes that sets are made of. Nothing here knows of trees: what branches compare
//! is found among the columns with [`ColumnPlaces`] and [`SetPlaces`], when tables are made.
//!
//! What does not belong here: branches and leaves.

#![allow(unsafe_code)]

mod classes;
mod columns;
mod counted;
mod source;

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

pub(super) use self::classes::{READABLE, SetPlaces, Sets};
pub(super) use self::columns::{ColumnPlaces, Output};
pub(super) use self::counted::{COLUMNS, RowCodes};
pub(super) use self::source::{RowMajor, Source, SourceRow};
pub use self::source::{Rows, Strided};
use super::number::{NAN_ALONE, Number, as_read};
use super::registers::{self, BLOCK, Bytes, Vector, Work};
use super::shape::Shape;
use crate::error::Result;
use crate::native::ensemble::{FeatureUse, Test};
use crate::native::image::{Image, ImageWriter};
use crate::native::instruction_set::InstructionSet;

/// The tables in an image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct CodeSections {
    columns: columns::ColumnSections,
    counted: counted::CountedSections,
    classes: classes::ClassSections,
}

/// The tables.
#[derive(Debug, Clone)]
pub(super) struct Codes<T> {
    columns: columns::Columns<T>,
    counted: counted::Counted<T>,
    classes: classes::Classes<T>,
}

/// What a branch asks, read back from the tables.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub feature: FeatureUse,
    pub test: Test,
    /// Whether the answer is yes for a missing value.
    pub missing_yes: bool,
}

/// The codes of the rows of a block.
#[derive(Debug, Default)]
pub(super) struct BlockCodes {
    /// For each column; those that sets become follow.
    pub bytes: Vec<Bytes>,
    /// For each feature with classes, where in a set they are.
    pub classes: Vec<ClassBytes>,
}

/// The classes of the rows of a block.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct ClassBytes {
    /// The byte of a set.
    pub byte: Bytes,
    /// The bit of that byte.
    pub bit: Bytes,
}

/// Makes the tables for comparisons in type `T`.
pub(super) fn compile<T: Number>(
    width: usize,
    shape: &Shape,
    writer: &mut ImageWriter,
) -> Result<(CodeSections, ColumnPlaces, SetPlaces)> {
    let (columns, places) = columns::compile::<T>(width, shape, writer)?;
    let counted = counted::compile::<T>(shape, writer)?;
    let (classes, of_sets) = classes::compile::<T>(shape, writer)?;
    Ok((CodeSections { columns, counted, classes }, places, of_sets))
}

impl CodeSections {
    /// Numbers a row of the input has.
    pub(super) fn width(&self) -> usize {
        self.columns.width
    }

    /// Columns of bytes, columns of numbers, and features with classes.
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        (self.columns.codes.len(), self.columns.numbers.len(), self.classes.features.len())
    }

    /// The tables, if they are what the loops rely on.
    pub(super) fn open<T: Number>(&self, image: &Image) -> Result<Codes<T>> {
        let columns = self.columns.open::<T>(image)?;
        let counted = self.counted.open(image, &columns)?;
        Ok(Codes { classes: self.classes.open(image, self.columns.width)?, columns, counted })
    }
}

impl<T: Number> Codes<T> {
    /// Columns of bytes.
    pub(super) fn bytes(&self) -> &[Output] {
        &self.columns.codes
    }

    /// How many numbers a row has that branches compare: those of columns, then the classes.
    pub(super) fn numbers(&self) -> usize {
        self.columns.numbers.len() + self.classes.sets.features.len()
    }

    /// How many of them are no classes.
    pub(super) fn plain_numbers(&self) -> usize {
        self.columns.numbers.len()
    }

    pub(super) fn sets(&self) -> &Sets {
        &self.classes.sets
    }

    /// What a branch that compares a column asks, read back.
    pub(super) fn at_most(&self, column: usize, threshold: f64) -> Option<Question> {
        self.columns.at_most(column, threshold)
    }

    /// What a branch asks whose answer is yes within a set, read back; the column is that of its class.
    pub(super) fn within(&self, column: usize, set: u32) -> Option<Question> {
        self.classes.within(column.checked_sub(self.columns.numbers.len())?, set)
    }

    /// Writes the numbers that branches of a row compare; classes are carried by NaN.
    #[inline(always)]
    pub(super) fn read_numbers<const SETS: bool>(&self, row: impl SourceRow<T>, into: &mut [T]) {
        let (numbers, classes) = into.split_at_mut(self.columns.numbers.len());
        self.columns.numbers(row, numbers);
        if SETS {
            for (class, feature) in classes.iter_mut().zip(self.classes.sets.features.iter()) {
                *class = T::carrying(self.classes.class(feature, row));
            }
        }
    }

    /// Writes the codes of a row, and its classes beside, from the first column after those of codes on.
    #[inline]
    pub(super) fn read_row(
        &self,
        set: InstructionSet,
        row: impl SourceRow<T>,
        codes: &mut RowCodes,
        classes: &mut [u32],
    ) {
        registers::run(set, ReadRow { tables: self, row, codes });
        for (class, feature) in classes.iter_mut().skip(self.columns.codes.len()).zip(self.classes.sets.features.iter())
        {
            *class = self.classes.class(feature, row);
        }
    }

    /// Writes the codes of up to [`BLOCK`] rows.
    pub(super) fn read_block(
        &self,
        set: InstructionSet,
        source: impl Source<T>,
        rows: std::ops::Range<usize>,
        into: &mut BlockCodes,
    ) {
        registers::run(set, ReadBlock { tables: self, source, rows, into });
    }

    /// The values of a column as branches see them, and which are missing.
    #[inline(always)]
    fn column(
        source: impl Source<T>,
        rows: std::ops::Range<usize>,
        (column, missing_code): (u32, u32),
        values: &mut [T; BLOCK],
        missing: &mut [bool; BLOCK],
    ) {
        source.column(column as usize, rows, values);
        // What follows takes whole registers; so it is kept apart from what does not.
        if missing_code == NAN_ALONE {
            for (missing, value) in missing.iter_mut().zip(&*values) {
                *missing = value.is_nan();
            }
        } else {
            for (missing, value) in missing.iter_mut().zip(values) {
                (*value, *missing) = as_read(*value, missing_code);
            }
        }
    }
}

struct ReadRow<'a, T, R> {
    tables: &'a Codes<T>,
    row: R,
    codes: &'a mut RowCodes,
}

impl<T: Number, R: SourceRow<T>> Work for ReadRow<'_, T, R> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: as promised by the caller.
        unsafe { self.tables.counted.codes::<V>(&self.tables.columns, self.row, self.codes) };
    }
}

struct ReadBlock<'a, T, S> {
    tables: &'a Codes<T>,
    source: S,
    rows: std::ops::Range<usize>,
    into: &'a mut BlockCodes,
}

impl<T: Number, S: Source<T>> Work for ReadBlock<'_, T, S> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Self { tables: Codes { columns, classes, .. }, source, rows, into } = self;
        let (mut values, mut missing, mut ranks) = ([T::ZERO; BLOCK], [false; BLOCK], [0; BLOCK]);
        for input in columns.sources.iter().filter(|input| input.codes[0] < input.codes[1]) {
            Codes::column(source, rows.clone(), (input.column, input.missing), &mut values, &mut missing);
            // SAFETY: as promised by the caller.
            unsafe { V::ranks(columns.search_of(input), &values, &mut ranks) };
            for column in input.codes[0] as usize..input.codes[1] as usize {
                columns.bytes(&columns.codes[column], &ranks, &missing, &mut into.bytes[column].0);
            }
        }
        for (feature, into) in classes.sets.features.iter().zip(&mut into.classes) {
            Codes::column(source, rows.clone(), (feature.column, feature.missing), &mut values, &mut missing);
            // SAFETY: as promised by the caller.
            unsafe { V::ranks(classes.search_of(feature), &values, &mut ranks) };
            classes.places(feature, &ranks, &missing, &mut into.byte.0, &mut into.bit.0);
        }
    }
}
