//! Rows of plain numbers: bound without a look at what each feature is.

use super::{Batch, Binder, Column, ElementType, Layout, Place};

/// Whole numbers up to this magnitude are the same in every type of number.
const WHOLE: u64 = 1 << 53;

/// From here on the float64 that is nearest to the text of a float32 is nearest to that float32.
const LEAST_REAL: f32 = 1e-20;

/// How a source holds a number in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// A float64, by its bits.
    Float64,
    /// A float32, by its bits in the lower half.
    Float32,
    /// An integer of 64 bits.
    Int64,
    /// One of 32 bits in the lower half.
    Int32,
    /// One of 16 bits.
    Int16,
    /// A truth value in the lowest byte.
    Bool,
}

impl Word {
    /// Bytes that it takes where words stand side by side.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::Float64 | Self::Int64 => 8,
            Self::Float32 | Self::Int32 => 4,
            Self::Int16 => 2,
            Self::Bool => 1,
        }
    }

    /// The number, and whether it is one as it is: a float's text, which is what JSON holds of it, may be another.
    #[inline]
    fn number<const JSON: bool>(self, word: u64) -> (f64, bool) {
        match self {
            Self::Float64 => common::<JSON>(f64::from_bits(word)),
            Self::Float32 => real::<JSON>(f32::from_bits(word as u32)),
            Self::Int64 => whole(word.cast_signed()),
            Self::Int32 => (f64::from(word as i32), true),
            Self::Int16 => (f64::from(word as i16), true),
            Self::Bool => (f64::from(u8::from(word as u8 != 0)), true),
        }
    }
}

/// A number of JSON is as near to a float as its text is, and zero has no sign.
#[inline]
fn common<const JSON: bool>(wide: f64) -> (f64, bool) {
    if JSON { (wide + 0.0, wide.abs() <= WHOLE as f64) } else { (wide, true) }
}

#[inline]
fn real<const JSON: bool>(narrow: f32) -> (f64, bool) {
    let (wide, is_common) = common::<JSON>(f64::from(narrow));
    (wide, !JSON || (is_common & ((narrow == 0.0) | (narrow.abs() >= LEAST_REAL))))
}

#[inline]
fn whole(word: i64) -> (f64, bool) {
    (word as f64, word.unsigned_abs() <= WHOLE)
}

/// The features of a layout where all of them are numbers of one tensor of floats, and each source holds one in a word: a row is then
/// bound without a look at what each feature is.
#[derive(Debug, Clone)]
pub struct Lanes {
    lanes: Vec<Lane>,
}

/// A feature.
#[derive(Debug, Clone, Copy)]
struct Lane {
    source: u32,
    held: Word,
    position: u32,
    /// Whether nothing is a value of the feature: NaN.
    takes_missing: bool,
}

impl Binder {
    /// The lanes of a layout, if it has them; `word` says how a source holds a number.
    pub fn lanes(&self, layout: &Layout, word: impl Fn(usize) -> Option<Word>) -> Option<Lanes> {
        if !layout.spreads.is_empty() {
            return None;
        }
        let is_one_of_floats =
            self.interface.inputs.len() == 1 && self.interface.inputs[0].element == ElementType::Float32;
        let lane = |(index, (source, place)): (usize, (&Option<u32>, &Place))| {
            let (source, feature) = ((*source)?, &self.interface.features[index]);
            let is_plain = !place.whole && !place.stands_for && place.element == ElementType::Float32;
            let takes_missing = feature.takes_missing && feature.default.is_none();
            let held = word(source as usize).filter(|_| is_plain)?;
            Some(Lane { source, held, position: place.position, takes_missing })
        };
        let lanes = layout.sources.iter().zip(&self.places).enumerate().map(lane).collect::<Option<Vec<_>>>()?;
        is_one_of_floats.then_some(Lanes { lanes })
    }

    /// Writes a row whose values are plain numbers, or nothing where a feature takes that: all fit. Whether it was; if not, part of it
    /// may be written, and [`Binder::set`] says what is wrong, or writes it. `is_json` stands for what JSON holds of the values, of
    /// floats all digits.
    #[inline]
    pub fn set_row(
        &self,
        lanes: &Lanes,
        batch: &mut Batch,
        row: usize,
        is_json: bool,
        word: impl Fn(usize) -> u64,
        nulls: &[bool],
    ) -> bool {
        let Some(cells) = cells(batch, row) else { return false };
        match is_json {
            true => lanes.set::<true>(cells, word, nulls),
            false => lanes.set::<false>(cells, word, nulls),
        }
    }
}

/// The cells of a row.
#[inline]
fn cells(batch: &mut Batch, row: usize) -> Option<&mut [f32]> {
    let tensor = batch.tensors_mut().first_mut()?;
    let width = tensor.width;
    let Column::Float32(cells) = &mut tensor.values else { return None };
    cells.get_mut(row * width..(row + 1) * width)
}

impl Lanes {
    #[inline]
    fn set<const JSON: bool>(&self, cells: &mut [f32], word: impl Fn(usize) -> u64, nulls: &[bool]) -> bool {
        let mut is_plain = true;
        for Lane { source, held, position, takes_missing } in &self.lanes {
            let (source, position) = (*source as usize, *position as usize);
            let (wide, is_itself) = held.number::<JSON>(word(source));
            let narrow = wide as f32;
            let is_missing = nulls[source] | (!JSON & wide.is_nan());
            // Also what does not fit: it is infinite then.
            is_plain &= if is_missing { *takes_missing } else { is_itself & narrow.is_finite() };
            cells[position] = if is_missing { f32::NAN } else { narrow };
        }
        is_plain
    }

    /// The same where sources stand at fixed places of a row of bytes; `None` if one of them does not.
    #[must_use]
    pub fn stored(&self, mut place: impl FnMut(usize, Word) -> Option<usize>) -> Option<StoredLanes> {
        let mut runs: Vec<Run> = vec![];
        for Lane { source, held, position, .. } in &self.lanes {
            let (from, position) = (place(*source as usize, *held)?, *position as usize);
            match runs.last_mut() {
                Some(run)
                    if run.held == *held
                        && from == run.from + run.count * held.bytes()
                        && position == run.position + run.count =>
                {
                    run.count += 1;
                }
                _ => runs.push(Run { held: *held, from, position, count: 1 }),
            }
        }
        Some(StoredLanes { runs })
    }
}

/// Lanes whose sources stand at fixed places of a row of bytes.
#[derive(Debug, Clone)]
pub struct StoredLanes {
    runs: Vec<Run>,
}

/// Words that stand side by side in the row, as their features do in the tensor.
#[derive(Debug, Clone, Copy)]
struct Run {
    held: Word,
    from: usize,
    position: usize,
    count: usize,
}

impl StoredLanes {
    /// Writes a row none of whose values is missing; see [`Binder::set_row`].
    #[inline]
    pub fn set_row(&self, batch: &mut Batch, row: usize, is_json: bool, bytes: &[u8]) -> bool {
        let Some(cells) = cells(batch, row) else { return false };
        match is_json {
            true => self.runs.iter().all(|run| run.set::<true>(cells, bytes)),
            false => self.runs.iter().all(|run| run.set::<false>(cells, bytes)),
        }
    }
}

impl Run {
    #[inline]
    fn set<const JSON: bool>(&self, cells: &mut [f32], bytes: &[u8]) -> bool {
        let bytes = bytes.get(self.from..self.from + self.count * self.held.bytes());
        let cells = cells.get_mut(self.position..self.position + self.count);
        let (Some(bytes), Some(cells)) = (bytes, cells) else { return false };
        match self.held {
            Word::Float64 => {
                each(cells, bytes, |word| common::<JSON>(f64::from_ne_bytes(word)).0)
                    && (!JSON || all(bytes, |word| common::<JSON>(f64::from_ne_bytes(word)).1))
            }
            Word::Float32 => {
                each(cells, bytes, |word| real::<JSON>(f32::from_ne_bytes(word)).0)
                    && (!JSON || all(bytes, |word| real::<JSON>(f32::from_ne_bytes(word)).1))
            }
            Word::Int64 => {
                each(cells, bytes, |word| whole(i64::from_ne_bytes(word)).0)
                    && all(bytes, |word| whole(i64::from_ne_bytes(word)).1)
            }
            Word::Int32 => each(cells, bytes, |word| f64::from(i32::from_ne_bytes(word))),
            Word::Int16 => each(cells, bytes, |word| f64::from(i16::from_ne_bytes(word))),
            Word::Bool => each(cells, bytes, |word: [u8; 1]| f64::from(u8::from(word[0] != 0))),
        }
    }
}

/// Writes numbers side by side; whether all are finite. First the one, then the other: compilers make better loops of each.
#[inline]
fn each<const N: usize>(cells: &mut [f32], bytes: &[u8], number: impl Fn([u8; N]) -> f64) -> bool {
    /// What lifts the exponent of what is not finite, and no other, into the place of the sign.
    const LIFT: u32 = 0x0080_0000;
    let (words, _) = bytes.as_chunks::<N>();
    for (cell, word) in cells.iter_mut().zip(words) {
        *cell = number(*word) as f32;
    }
    cells.iter().fold(0, |all, cell| all | (cell.abs().to_bits() + LIFT)) & (1 << 31) == 0
}

/// Whether all words fulfil a condition.
#[inline]
fn all<const N: usize>(bytes: &[u8], is_so: impl Fn([u8; N]) -> bool) -> bool {
    let (words, _) = bytes.as_chunks::<N>();
    words.iter().fold(0, |others, word| others | u32::from(!is_so(*word))) == 0
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fixture::{feature, regression};
    use crate::value::Scalar;

    fn of_numbers() -> (Binder, Batch) {
        let mut missing = feature("x", 0, ElementType::Float32);
        missing.takes_missing = true;
        let mut never = feature("y", 1, ElementType::Float32);
        never.takes_missing = false;
        let interface = regression(vec![missing, never]);
        let batch = Batch::new(&interface.inputs, 1);
        (Binder::new(Arc::new(interface), "churn:1"), batch)
    }

    /// The bits of a row.
    fn row(batch: &Batch) -> Vec<u32> {
        batch.tensors()[0].rows::<f32>().row(0).iter().map(|cell| cell.to_bits()).collect()
    }

    /// What each value would be by itself.
    fn one_by_one(binder: &Binder, batch: &mut Batch, values: [Option<Scalar<'_>>; 2]) -> Vec<u32> {
        for (feature, value) in values.into_iter().enumerate() {
            binder.set(batch, 0, feature, value.unwrap_or(Scalar::Missing)).unwrap();
        }
        row(batch)
    }

    #[test]
    fn rows_of_plain_numbers_are_what_each_value_would_be_and_others_are_left_to_that() {
        let (binder, mut batch) = of_numbers();
        let mut alone = batch.clone();
        let layout = binder.match_names(["y", "other", "x"]);
        assert!(binder.lanes(&layout, |_| None).is_none());
        let lanes = binder.lanes(&layout, |source| Some([Word::Float64, Word::Int16, Word::Int32][source])).unwrap();
        let rows: [([u64; 3], [bool; 3], bool); 6] = [
            ([0.1_f64.to_bits(), 0, u64::from((-7_i32).cast_unsigned())], [false; 3], true),
            ([(-0.0_f64).to_bits(), 0, 16_777_217], [false, true, false], true),
            ([0.5_f64.to_bits(), 0, 1], [false, false, true], true),
            ([1e39_f64.to_bits(), 0, 1], [false; 3], false),
            ([f64::NAN.to_bits(), 0, 1], [false; 3], false),
            ([0, 0, 1], [true, false, false], false),
        ];
        for (words, nulls, expected) in rows {
            assert_eq!(binder.set_row(&lanes, &mut batch, 0, false, |source| words[source], &nulls), expected);
            if expected {
                let x = (!nulls[2]).then_some(Scalar::Int(i64::from(words[2] as i32)));
                let y = Some(Scalar::Float(f64::from_bits(words[0])));
                assert_eq!(row(&batch), one_by_one(&binder, &mut alone, [x, y]));
            }
        }
        let whole = Binder::new(Arc::new(regression(vec![feature("n", 0, ElementType::Int64)])), "churn:1");
        assert!(whole.lanes(&whole.match_names(["n"]), |_| Some(Word::Float64)).is_none());
    }

    #[test]
    fn a_float_that_is_not_a_number_is_nothing_where_a_feature_takes_that() {
        let (binder, mut batch) = of_numbers();
        let mut alone = batch.clone();
        let lanes = binder.lanes(&binder.match_names(["x", "y"]), |_| Some(Word::Float64)).unwrap();
        let words = [f64::from_bits(0xfff8_0000_0000_0123).to_bits(), 1.0_f64.to_bits()];
        assert!(binder.set_row(&lanes, &mut batch, 0, false, |source| words[source], &[false; 2]));
        let expected = one_by_one(&binder, &mut alone, [Some(Scalar::Float(f64::NAN)), Some(Scalar::Float(1.0))]);
        assert_eq!(row(&batch), expected);
        // JSON writes it as a text.
        assert!(!binder.set_row(&lanes, &mut batch, 0, true, |source| words[source], &[false; 2]));
    }

    #[test]
    fn of_json_zero_has_no_sign_and_what_its_text_may_change_is_left_to_that() {
        let (binder, mut batch) = of_numbers();
        let layout = binder.match_names(["x", "y"]);
        let wide = binder.lanes(&layout, |_| Some(Word::Float64)).unwrap();
        let mut set = |lanes: &Lanes, x: u64, y: u64| {
            let is_set = binder.set_row(lanes, &mut batch, 0, true, |source| [x, y][source], &[false; 2]);
            is_set.then(|| row(&batch))
        };
        let floats = |x: f64, y: f64| [x.to_bits(), y.to_bits()];
        let [zero, tiny] = floats(-0.0, -1e-300);
        assert_eq!(set(&wide, zero, tiny), Some(vec![0, (-0.0_f32).to_bits()]));
        let [large, larger] = floats(9_007_199_254_740_992.0, 9_007_199_254_740_994.0);
        assert!(set(&wide, large, zero).is_some());
        assert!(set(&wide, larger, zero).is_none());
        let narrow = binder.lanes(&layout, |_| Some(Word::Float32)).unwrap();
        let real = |number: f32| u64::from(number.to_bits());
        assert_eq!(set(&narrow, real(-0.0), real(0.1)), Some(vec![0, 0.1_f32.to_bits()]));
        assert!(set(&narrow, real(7.038_531e-26), real(0.1)).is_none());
        let whole = binder.lanes(&layout, |_| Some(Word::Int64)).unwrap();
        assert!(set(&whole, 1 << 53, 1).is_some());
        assert!(set(&whole, (1 << 53) + 1, 1).is_none());
    }

    #[test]
    fn words_that_stand_in_a_row_of_bytes_are_read_as_others_are() {
        let words = [Word::Float64, Word::Float32, Word::Int64, Word::Int32, Word::Int16, Word::Bool];
        for (first, second) in words.into_iter().flat_map(|first| words.map(|second| (first, second))) {
            let (binder, mut batch) = of_numbers();
            let mut other = batch.clone();
            let lanes = binder.lanes(&binder.match_names(["x", "y"]), |source| Some([first, second][source])).unwrap();
            let start = 3;
            let stored = lanes.stored(|source, _| Some(start + if source == 0 { 0 } else { first.bytes() })).unwrap();
            assert_eq!(stored.runs.len(), if first == second { 1 } else { 2 });
            for bits in [
                0_u64,
                1,
                0xbfb9_9999_9999_999a,
                0x7ff0_0000_0000_0000,
                0x4340_0000_0000_0001,
                0x3f80_0000,
                0x7f80_0000,
            ] {
                let mut bytes = vec![0xaa; start];
                for word in [first, second] {
                    bytes.extend(&bits.to_le_bytes()[..word.bytes()]);
                }
                for is_json in [false, true] {
                    let is_set = stored.set_row(&mut batch, 0, is_json, &bytes);
                    assert_eq!(is_set, binder.set_row(&lanes, &mut other, 0, is_json, |_| bits, &[false; 2]));
                    if is_set {
                        assert_eq!(row(&batch), row(&other));
                    }
                    assert!(!stored.set_row(&mut batch, 0, is_json, &bytes[..bytes.len() - 1]));
                }
            }
            assert!(lanes.stored(|source, _| (source == 0).then_some(0)).is_none());
        }
    }
}
