//! How a row becomes what branches compare: numbers with missing values replaced, or ranks of one byte.
//!
//! Ranks: the thresholds of a feature are sorted; the rank of a value is how many of them it exceeds, and `x <= t` holds
//! exactly when the rank of `x` is at most the place of `t`. So trees can compare bytes instead of numbers, in any type and
//! without rounding. A feature with more than 255 thresholds has several columns of bytes, each for 255 of them.
//!
//! Thresholds lie as a search tree in an array (the children of `k` at `2k` and `2k + 1`), padded with infinity, so that
//! every search takes the same steps and the first steps find their thresholds together.

use std::collections::HashMap;

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::super::number::{NAN_ALONE, NAN_AND_ZERO, Number, Numbers, as_read, broken, missing_code, missing_of};
use super::super::registers::BLOCK;
use super::super::shape::{Asked, Column, Shape};
use super::Question;
use super::source::SourceRow;
use crate::error::{Error, Kind, Result};
use crate::native::ensemble::{FeatureUse, Test};
use crate::native::image::{Image, ImageWriter, Section, Table};

/// Thresholds that one column of bytes tells apart.
pub(super) const PER_BYTE: usize = 255;

/// Levels of a search: 2^24 thresholds of one feature.
pub(super) const LEVELS: u32 = 24;

/// A column of the input.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(in crate::native::forest) struct Input {
    /// Index into a row of the input.
    pub column: u32,
    /// What is missing: a code of [`missing_code`].
    pub missing: u32,
    /// Where its search tree begins.
    pub search: u32,
    /// Levels of the search tree, which has `2^levels` places.
    pub levels: u32,
    /// Its columns of numbers.
    pub numbers: [u32; 2],
    /// Its columns of bytes.
    pub codes: [u32; 2],
}

/// A column that branches read.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(in crate::native::forest) struct Output {
    /// For bytes, the rank at which they begin.
    pub base: u32,
    /// [`MISSING_LOW`] and [`SET`].
    pub flags: u32,
    /// For a set, where its bits begin: one for each rank.
    pub bits: u32,
}

pub(super) const MISSING_LOW: u32 = 1;
pub(super) const SET: u32 = 2;

/// The tables in an image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::native::forest) struct ColumnSections {
    pub width: usize,
    sources: Section<Input>,
    pub numbers: Section<Output>,
    pub codes: Section<Output>,
    search: Numbers,
    bits: Section<u32>,
    /// Whether every source is one column of numbers, no set, and only NaN is missing in it.
    plain: bool,
}

/// The tables.
#[derive(Debug, Clone)]
pub(in crate::native::forest) struct Columns<T> {
    pub sources: Table<Input>,
    pub numbers: Table<Output>,
    pub codes: Table<Output>,
    pub search: Table<T>,
    bits: Table<u32>,
    plain: bool,
}

/// Where the columns of a shape are found among the tables' columns.
pub(in crate::native::forest) struct ColumnPlaces {
    /// Column of the shape to column of numbers.
    pub numbers: Vec<u32>,
    /// Column of the shape and 255 thresholds of it to column of bytes.
    codes: HashMap<(u32, u32), u32>,
    /// Place of each threshold, by feature and bits.
    ranks: HashMap<(u32, u64), u32>,
}

impl ColumnPlaces {
    /// Column and threshold of a branch among the bytes.
    pub(in crate::native::forest) fn code(&self, shape: &Shape, column: u32, bound: f64) -> Option<(u32, u8)> {
        let of = &shape.columns[column as usize];
        if of.set.is_some() {
            return Some((*self.codes.get(&(column, 0))?, 0));
        }
        let rank = *self.ranks.get(&(of.feature, bound.to_bits()))?;
        let (part, threshold) = (rank / PER_BYTE as u32, rank % PER_BYTE as u32);
        Some((*self.codes.get(&(column, part))?, threshold as u8))
    }
}

/// Makes the tables.
pub(super) fn compile<T: Number>(
    width: usize,
    shape: &Shape,
    writer: &mut ImageWriter,
) -> Result<(ColumnSections, ColumnPlaces)> {
    let mut places =
        ColumnPlaces { numbers: vec![0; shape.columns.len()], codes: HashMap::new(), ranks: HashMap::new() };
    for (number, feature) in shape.features.iter().enumerate() {
        places
            .ranks
            .extend(feature.bounds.iter().enumerate().map(|(rank, t)| ((number as u32, t.to_bits()), rank as u32)));
    }
    let mut parts: Vec<Vec<u32>> = vec![vec![]; shape.columns.len()];
    for ask in shape.trees.iter().flat_map(|tree| &tree.asks) {
        let Asked::AtMost(index, bound) = ask.asked else { continue };
        let column = &shape.columns[index as usize];
        let rank = places.ranks.get(&(column.feature, bound.to_bits())).copied().unwrap_or(0);
        parts[index as usize].push(if column.set.is_some() { 0 } else { rank / PER_BYTE as u32 });
    }
    let mut columns_of: Vec<Vec<u32>> = vec![vec![]; shape.features.len()];
    for (index, column) in shape.columns.iter().enumerate() {
        parts[index].sort_unstable();
        parts[index].dedup();
        columns_of[column.feature as usize].push(index as u32);
    }
    let (mut sources, mut numbers, mut codes) = (vec![], vec![], vec![]);
    let (mut search, mut bits) = (vec![], vec![]);
    for (feature, columns) in shape.features.iter().zip(&columns_of).filter(|(_, columns)| !columns.is_empty()) {
        let levels = levels_for(feature.bounds.len())?;
        let begins = (numbers.len(), codes.len());
        for column in columns {
            let of = &shape.columns[*column as usize];
            let flags = u32::from(of.missing_low) * MISSING_LOW + u32::from(of.set.is_some()) * SET;
            let begin = bits.len() as u32;
            if of.set.is_some() {
                bits.extend(members(of, &feature.bounds));
            }
            places.numbers[*column as usize] = numbers.len() as u32;
            numbers.push(Output { base: 0, flags, bits: begin });
            for part in &parts[*column as usize] {
                places.codes.insert((*column, *part), codes.len() as u32);
                codes.push(Output { base: part * PER_BYTE as u32, flags, bits: begin });
            }
        }
        sources.push(Input {
            column: feature.column,
            missing: missing_code(feature.missing),
            search: search.len() as u32,
            levels,
            numbers: [begins.0 as u32, numbers.len() as u32],
            codes: [begins.1 as u32, codes.len() as u32],
        });
        search.extend(search_tree::<T>(&feature.bounds, levels));
    }
    if search.len().max(bits.len()) > u32::MAX as usize {
        return Err(Error::new(Kind::Limit, "the model has too many thresholds"));
    }
    let plain = is_plain(&sources, &numbers);
    let columns = ColumnSections {
        width,
        plain,
        search: T::write(writer, &search),
        sources: writer.push(&sources),
        numbers: writer.push(&numbers),
        codes: writer.push(&codes),
        bits: writer.push(&bits),
    };
    Ok((columns, places))
}

/// The levels of a search among so many thresholds.
pub(super) fn levels_for(bounds: usize) -> Result<u32> {
    let levels = (bounds + 1).next_power_of_two().trailing_zeros();
    if levels > LEVELS {
        return Err(Error::new(Kind::Limit, "a feature of the model has too many thresholds"));
    }
    Ok(levels)
}

/// How many places the search tree of so many ranks has: 16 at least, so that the first four levels can be read at once.
pub(super) fn search_places(ranks: usize) -> usize {
    ranks.max(16)
}

/// Thresholds as a search tree.
pub(super) fn search_tree<T: Number>(bounds: &[f64], levels: u32) -> Vec<T> {
    let mut search = vec![T::HIGHEST; search_places(1 << levels)];
    for (rank, bound) in bounds.iter().enumerate() {
        search[place_in_search(rank, levels)] = T::from_f64(*bound);
    }
    search
}

fn is_plain(sources: &[Input], numbers: &[Output]) -> bool {
    let lone = |(index, source): (u32, &Input)| source.numbers == [index, index + 1] && source.missing == NAN_ALONE;
    (0..).zip(sources).all(lone) && numbers.iter().all(|output| output.flags & SET == 0)
}

/// Where the threshold of a rank lies in a search tree: its level is given by the zeros that `rank + 1` ends in.
fn place_in_search(rank: usize, levels: u32) -> usize {
    let ends_in = (rank + 1).trailing_zeros();
    let level = levels - 1 - ends_in;
    (1 << level) + (rank >> (ends_in + 1))
}

/// The closed intervals of the values whose ranks, by a search tree, are in a set.
pub(super) fn intervals<T: Number>((search, levels): (&[T], u32), is_in: impl Fn(u32) -> bool) -> Vec<(f64, f64)> {
    let ranks = 1usize << levels;
    let bound = |rank: usize| search[place_in_search(rank, levels)];
    let mut intervals: Vec<(f64, f64)> = vec![];
    let mut is_open = false;
    for rank in 0..ranks {
        let after = rank.checked_sub(1).map(bound);
        // Nothing is above infinity, with which the thresholds are filled up.
        if !is_in(rank as u32) || after.is_some_and(|after| after.to_f64() == f64::INFINITY) {
            is_open = false;
            continue;
        }
        let to = if rank + 1 < ranks { bound(rank).to_f64() } else { f64::INFINITY };
        match intervals.last_mut().filter(|_| is_open) {
            Some(last) => last.1 = to,
            None => intervals.push((after.map_or(f64::NEG_INFINITY, |after| after.above().to_f64()), to)),
        }
        is_open = true;
    }
    intervals
}

/// A bit for each rank: whether values of this rank are in the set.
fn members(column: &Column, bounds: &[f64]) -> Vec<u32> {
    let mut bits = vec![0u32; (bounds.len() + 1).next_power_of_two().div_ceil(32)];
    let rank = |bound: f64| bounds.partition_point(|other| *other < bound);
    for (after, to) in column.set.iter().flatten() {
        for rank in after.map_or(0, |after| rank(after) + 1)..=rank(*to) {
            bits[rank / 32] |= 1 << (rank % 32);
        }
    }
    bits
}

impl ColumnSections {
    /// The tables, if they are what the loops below rely on.
    pub(super) fn open<T: Number>(&self, image: &Image) -> Result<Columns<T>> {
        let columns = Columns {
            sources: image.table(self.sources)?,
            numbers: image.table(self.numbers)?,
            codes: image.table(self.codes)?,
            search: T::table(image, self.search)?,
            bits: image.table(self.bits)?,
            plain: self.plain,
        };
        let outputs = [&columns.numbers, &columns.codes];
        let mut next = [0u32; 2];
        for source in columns.sources.iter() {
            let places = 1usize << source.levels.min(LEVELS);
            if source.column as usize >= self.width
                || source.missing > NAN_AND_ZERO
                || source.levels > LEVELS
                || source.search as usize + search_places(places) > columns.search.len()
            {
                return Err(broken("a column of the input"));
            }
            for (side, range) in [source.numbers, source.codes].into_iter().enumerate() {
                if range[0] != next[side] || range[1] < range[0] || range[1] as usize > outputs[side].len() {
                    return Err(broken("the columns of a feature"));
                }
                next[side] = range[1];
                for output in &outputs[side][range[0] as usize..range[1] as usize] {
                    if output.flags & SET != 0 && output.bits as usize + places.div_ceil(32) > columns.bits.len() {
                        return Err(broken("a set"));
                    }
                }
            }
        }
        let complete = next[0] as usize == outputs[0].len() && next[1] as usize == outputs[1].len();
        let complete = complete && self.plain == is_plain(&columns.sources, outputs[0]);
        if complete { Ok(columns) } else { Err(broken("the number of columns")) }
    }
}

impl<T: Number> Columns<T> {
    /// The tree that a source's thresholds are searched in.
    #[inline(always)]
    pub(super) fn search_of(&self, source: &Input) -> (&[T], u32) {
        let begin = source.search as usize;
        (&self.search[begin..begin + search_places(1usize << source.levels)], source.levels)
    }

    #[inline(always)]
    pub(super) fn is_member(&self, output: &Output, rank: u32) -> bool {
        let word = self.bits.get(output.bits as usize + rank as usize / 32).copied().unwrap_or(0);
        word >> (rank % 32) & 1 == 1
    }

    /// Writes the numbers that branches compare, in the order of the columns of numbers.
    #[inline(always)]
    pub(super) fn numbers(&self, row: impl SourceRow<T>, into: &mut [T]) {
        if self.plain {
            for ((source, output), into) in self.sources.iter().zip(self.numbers.iter()).zip(into) {
                let value = row.number(source.column as usize);
                // A missing value above all thresholds is NaN already.
                *into = if value.is_nan() & (output.flags & MISSING_LOW != 0) { T::LOWEST } else { value };
            }
            return;
        }
        for source in self.sources.iter() {
            let (value, missing) = as_read(row.number(source.column as usize), source.missing);
            let range = source.numbers[0] as usize..source.numbers[1] as usize;
            for (output, into) in self.numbers[range.clone()].iter().zip(&mut into[range]) {
                let low = output.flags & MISSING_LOW != 0;
                *into = if output.flags & SET != 0 {
                    let member = if missing { low } else { self.is_member(output, self.rank(source, value)) };
                    if member { T::ZERO } else { T::ONE }
                } else if missing {
                    if low { T::LOWEST } else { T::NAN }
                } else {
                    value
                };
            }
        }
    }

    /// What a branch that compares a column of numbers asks.
    pub(super) fn at_most(&self, column: usize, threshold: f64) -> Option<Question> {
        let output = self.numbers.get(column)?;
        let source = self.sources.get(self.sources.partition_point(|source| source.numbers[1] as usize <= column))?;
        let feature = FeatureUse { column: source.column, missing: missing_of(source.missing) };
        let test = if output.flags & SET == 0 {
            Test::LessEqual(threshold)
        } else {
            Test::Member(intervals(self.search_of(source), |rank| self.is_member(output, rank)))
        };
        Some(Question { feature, test, missing_yes: output.flags & MISSING_LOW != 0 })
    }

    /// How many thresholds a value exceeds.
    pub(super) fn rank(&self, source: &Input, value: T) -> u32 {
        let (search, levels) = self.search_of(source);
        let mut place = 1;
        for _ in 0..levels {
            place = 2 * place + usize::from(value > search[place]);
        }
        (place - (1 << levels)) as u32
    }

    /// The bytes of one column for a block of ranks.
    #[inline(always)]
    pub(super) fn bytes(&self, output: &Output, ranks: &[u32; BLOCK], missing: &[bool; BLOCK], into: &mut [u8; BLOCK]) {
        let absent = if output.flags & MISSING_LOW != 0 { 0 } else { PER_BYTE as u8 };
        if output.flags & SET != 0 {
            for ((into, rank), missing) in into.iter_mut().zip(ranks).zip(missing) {
                *into = if *missing { absent } else { u8::from(!self.is_member(output, *rank)) };
            }
        } else {
            for ((into, rank), missing) in into.iter_mut().zip(ranks).zip(missing) {
                let code = rank.saturating_sub(output.base).min(PER_BYTE as u32) as u8;
                *into = if *missing { absent } else { code };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_lie_where_a_search_looks_for_them() {
        for levels in 1..6 {
            let count = (1 << levels) - 1;
            let mut search = vec![f64::INFINITY; 1 << levels];
            (0..count).for_each(|rank| search[place_in_search(rank, levels)] = rank as f64);
            for value in 0..=count {
                let mut place = 1;
                for _ in 0..levels {
                    place = 2 * place + usize::from(value as f64 - 0.5 > search[place]);
                }
                assert_eq!(place - (1 << levels), value);
            }
        }
    }
}
