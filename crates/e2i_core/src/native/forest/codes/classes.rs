//! Sets, and what of a value they ask for: its class.
//!
//! Values of a feature that lie in the same sets are of one class, so that a set is one bit for each class and a branch that
//! asks for it reads one bit. Class 0 lies in no set; where a missing value lies in one, it has the last class. The class of a
//! value is found like a rank (`columns`): its place among the ends of all ranges, then a table.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::super::number::{CARRIED_MAX, NAN_AND_ZERO, Number, Numbers, as_read, broken, missing_code, missing_of};
use super::super::registers::BLOCK;
use super::super::shape::{Ranges, Shape};
use super::Question;
use super::columns::{LEVELS, intervals, levels_for, search_places, search_tree};
use super::source::SourceRow;
use crate::error::{Error, Kind, Result};
use crate::native::ensemble::{FeatureUse, Test};
use crate::native::image::{Image, ImageWriter, Section, Table};

/// Bytes of sets of a model at most.
const MOST_BYTES: usize = 256 << 20;

/// So many bytes at least can be read from the beginning of a set on, whatever its size.
pub(in crate::native::forest) const READABLE: usize = 256;

/// A column of the input whose class branches ask for.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(in crate::native::forest) struct ClassFeature {
    /// Index into a row of the input.
    pub column: u32,
    /// What is missing: a code of [`missing_code`].
    pub missing: u32,
    /// Where its search tree begins.
    search: u32,
    /// Levels of the search tree, which has `2^levels` places.
    levels: u32,
    /// Where its classes begin, one for each rank.
    classes: u32,
    /// The class of a missing value.
    absent: u32,
    /// Number of classes.
    pub count: u32,
    unused: u32,
}

impl ClassFeature {
    /// Bytes of a set of this feature.
    pub(in crate::native::forest) fn bytes(&self) -> usize {
        (self.count as usize).div_ceil(8)
    }
}

/// The tables in an image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::native::forest) struct ClassSections {
    pub features: Section<ClassFeature>,
    search: Numbers,
    class_of: Section<u32>,
    bits: Section<u8>,
    starts: Section<u32>,
}

/// The tables.
#[derive(Debug, Clone)]
pub(in crate::native::forest) struct Classes<T> {
    search: Table<T>,
    class_of: Table<u32>,
    pub sets: Sets,
}

/// The sets.
#[derive(Debug, Clone)]
pub(in crate::native::forest) struct Sets {
    pub features: Table<ClassFeature>,
    /// Sets, from the byte on that branches name. In the first, at 0, is nothing: for branches that ask for none.
    pub bits: Table<u8>,
    /// Where each set begins.
    pub starts: Table<u32>,
    readable: usize,
}

/// Where branches find their sets.
#[derive(Debug, Default)]
pub(in crate::native::forest) struct SetPlaces {
    /// Feature of each set of the shape, an index into [`Sets::features`].
    pub feature: Vec<u32>,
    /// First byte of each.
    pub start: Vec<u32>,
    pub features: Vec<ClassFeature>,
    /// The sets, as they are written.
    bits: Vec<u8>,
}

impl SetPlaces {
    /// Whether a class is in a set of the shape.
    pub(in crate::native::forest) fn is_in(&self, set: u32, class: u32) -> bool {
        self.bits[(self.start[set as usize] + class / 8) as usize] >> (class % 8) & 1 == 1
    }
}

/// Makes the tables.
pub(super) fn compile<T: Number>(shape: &Shape, writer: &mut ImageWriter) -> Result<(ClassSections, SetPlaces)> {
    let mut sets_of: Vec<Vec<usize>> = vec![vec![]; shape.features.len()];
    shape.sets.iter().enumerate().for_each(|(number, set)| sets_of[set.feature as usize].push(number));
    let mut places = SetPlaces {
        feature: vec![0; shape.sets.len()],
        start: vec![0; shape.sets.len()],
        features: vec![],
        bits: vec![],
    };
    let (mut search, mut class_of, mut bits) = (vec![], vec![], vec![]);
    for (feature, sets) in shape.features.iter().zip(&sets_of).filter(|(_, sets)| !sets.is_empty()) {
        let ranges = || sets.iter().map(|set| &shape.sets[*set].ranges);
        let bounds = ends(ranges());
        let levels = levels_for(bounds.len())?;
        let (classes, mut count) = classes(&bounds, ranges());
        let mut absent = 0;
        if sets.iter().any(|set| shape.sets[*set].missing) {
            (absent, count) = (count, count + 1);
        }
        let described = ClassFeature {
            column: feature.column,
            missing: missing_code(feature.missing),
            search: search.len() as u32,
            levels,
            classes: class_of.len() as u32,
            absent,
            count,
            unused: 0,
        };
        for number in sets {
            let (set, start) = (&shape.sets[*number], bits.len());
            if start + described.bytes() > MOST_BYTES {
                return Err(Error::new(Kind::Limit, "the sets of the model are too many or too large"));
            }
            bits.resize(start + described.bytes(), 0);
            let mut add = |class: u32| bits[start + class as usize / 8] |= 1 << (class % 8);
            for (first, last) in set.ranges.iter().map(|range| ranks(&bounds, range)) {
                (classes[first]..=classes[last]).for_each(&mut add);
            }
            if set.missing {
                add(absent);
            }
            (places.feature[*number], places.start[*number]) = (places.features.len() as u32, start as u32);
        }
        search.extend(search_tree::<T>(&bounds, levels));
        let end = class_of.len() + (1usize << levels);
        class_of.extend(classes);
        class_of.resize(end, 0);
        places.features.push(described);
    }
    if search.len().max(class_of.len()) > u32::MAX as usize {
        return Err(Error::new(Kind::Limit, "the model has too many thresholds"));
    }
    let readable = readable(&places.features);
    bits.splice(0..0, std::iter::repeat_n(0u8, readable));
    bits.resize(bits.len() + readable, 0);
    places.start.iter_mut().for_each(|start| *start += readable as u32);
    let classes = ClassSections {
        features: writer.push(&places.features),
        search: T::write(writer, &search),
        class_of: writer.push(&class_of),
        bits: writer.push(&bits),
        starts: writer.push(&places.start),
    };
    places.bits = bits;
    Ok((classes, places))
}

/// How many bytes can be read from the beginning of any set on.
fn readable(features: &[ClassFeature]) -> usize {
    features.iter().map(ClassFeature::bytes).fold(READABLE, usize::max)
}

/// The ends of ranges, ascending.
fn ends<'r>(ranges: impl Iterator<Item = &'r Ranges>) -> Vec<f64> {
    let mut bounds: Vec<f64> = ranges.flatten().flat_map(|(after, to)| after.iter().copied().chain([*to])).collect();
    bounds.sort_by(f64::total_cmp);
    bounds.dedup();
    bounds
}

/// The first and the last rank of the values in a range.
fn ranks(bounds: &[f64], (after, to): &(Option<f64>, f64)) -> (usize, usize) {
    let rank = |bound: f64| bounds.partition_point(|other| *other < bound);
    (after.map_or(0, |after| rank(after) + 1), rank(*to))
}

/// The class of each rank, and how many there are: neighbours between which no range begins or ends are of one class.
fn classes<'r>(bounds: &[f64], ranges: impl Iterator<Item = &'r Ranges>) -> (Vec<u32>, u32) {
    // How many more ranges a rank lies in than the one before, and whether one begins or ends there.
    let mut more = vec![(0i64, false); bounds.len() + 2];
    for (first, last) in ranges.flatten().map(|range| ranks(bounds, range)) {
        more[first] = (more[first].0 + 1, true);
        more[last + 1] = (more[last + 1].0 - 1, true);
    }
    let (mut within, mut count) = (0, 1);
    let classes = more[..=bounds.len()].iter().map(|(change, apart)| {
        within += change;
        if within == 0 {
            return 0;
        }
        count += u32::from(*apart);
        count - 1
    });
    (classes.collect(), count)
}

impl ClassSections {
    /// The tables, if they are what the loops rely on: every class that can be found is one of its feature.
    pub(super) fn open<T: Number>(&self, image: &Image, width: usize) -> Result<Classes<T>> {
        let features = image.table(self.features)?;
        let readable = readable(&features);
        let sets = Sets { features, bits: image.table(self.bits)?, starts: image.table(self.starts)?, readable };
        let classes = Classes { search: T::table(image, self.search)?, class_of: image.table(self.class_of)?, sets };
        let sets = &classes.sets;
        for feature in sets.features.iter() {
            let places = 1usize << feature.levels.min(LEVELS);
            let found = classes.class_of.get(feature.classes as usize..feature.classes as usize + places);
            if feature.column as usize >= width
                || feature.missing > NAN_AND_ZERO
                || feature.levels > LEVELS
                || feature.search as usize + search_places(places) > classes.search.len()
                || feature.absent >= feature.count
                || feature.count > CARRIED_MAX
                || found.is_none_or(|found| found.iter().any(|class| *class >= feature.count))
            {
                return Err(broken("the classes of a feature"));
            }
        }
        let nothing = sets.bits.get(..readable).is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0));
        let nothing = nothing && !sets.starts.is_empty();
        if (nothing || sets.features.is_empty()) && sets.starts.iter().all(|start| sets.can_begin(*start)) {
            Ok(classes)
        } else {
            Err(broken("the sets"))
        }
    }
}

impl Sets {
    /// Whether a set of any feature can begin at this byte, and [`READABLE`] bytes can be read from there.
    pub(in crate::native::forest) fn can_begin(&self, start: u32) -> bool {
        start as usize + self.readable <= self.bits.len()
    }

    /// Bytes of a set of a feature.
    pub(in crate::native::forest) fn bytes(&self, feature: usize) -> Option<usize> {
        self.features.get(feature).map(ClassFeature::bytes)
    }
}

impl<T: Number> Classes<T> {
    /// The tree that a feature's ends of ranges are searched in.
    #[inline(always)]
    pub(super) fn search_of(&self, feature: &ClassFeature) -> (&[T], u32) {
        let begin = feature.search as usize;
        (&self.search[begin..begin + search_places(1usize << feature.levels)], feature.levels)
    }

    /// The class of a feature's value in a row.
    #[inline(always)]
    pub(super) fn class(&self, feature: &ClassFeature, row: impl SourceRow<T>) -> u32 {
        let (value, missing) = as_read(row.number(feature.column as usize), feature.missing);
        let (search, levels) = self.search_of(feature);
        let mut place = 1;
        for _ in 0..levels {
            place = 2 * place + usize::from(value > search[place]);
        }
        let class = self.class_of[feature.classes as usize + place - (1usize << levels)];
        if missing { feature.absent } else { class }
    }

    /// What a branch asks whose answer is yes within a set of this feature.
    pub(super) fn within(&self, feature: usize, set: u32) -> Option<Question> {
        let of = self.sets.features.get(feature)?;
        let start = *self.sets.starts.get(set as usize)? as usize;
        let is_in = |class: u32| {
            self.sets.bits.get(start + class as usize / 8).is_some_and(|byte| byte >> (class % 8) & 1 == 1)
        };
        let class = |rank: u32| self.class_of[of.classes as usize + rank as usize];
        Some(Question {
            feature: FeatureUse { column: of.column, missing: missing_of(of.missing) },
            test: Test::Member(intervals(self.search_of(of), |rank| is_in(class(rank)))),
            missing_yes: is_in(of.absent),
        })
    }

    /// For a block of ranks, the byte of a set that their classes are in, and their bit in it. For features whose sets have
    /// up to 256 bytes.
    #[inline(always)]
    pub(super) fn places(
        &self,
        feature: &ClassFeature,
        ranks: &[u32; BLOCK],
        missing: &[bool; BLOCK],
        bytes: &mut [u8; BLOCK],
        bits: &mut [u8; BLOCK],
    ) {
        let classes = &self.class_of[feature.classes as usize..][..1usize << feature.levels];
        for row in 0..BLOCK {
            let class = classes.get(ranks[row] as usize).copied().unwrap_or(0);
            let class = if missing[row] { feature.absent } else { class };
            (bytes[row], bits[row]) = ((class / 8) as u8, 1 << (class % 8));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_in_the_same_sets_are_of_one_class() {
        let sets: [Ranges; 3] =
            [vec![(Some(0.0), 1.0), (Some(3.0), 4.0)], vec![(Some(0.0), 1.0), (Some(5.0), 7.0)], vec![(None, -9.0)]];
        let bounds = ends(sets.iter());
        assert_eq!(bounds, [-9.0, 0.0, 1.0, 3.0, 4.0, 5.0, 7.0]);
        let (classes, count) = classes(&bounds, sets.iter());
        assert_eq!((classes, count), (vec![1, 0, 2, 0, 3, 0, 4, 0], 5));
        assert_eq!(ranks(&bounds, &sets[1][1]), (6, 6));
    }
}
