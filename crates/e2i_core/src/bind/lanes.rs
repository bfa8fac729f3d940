//! Rows of plain numbers: bound without a look at what each feature is.

use super::{Batch, Binder, Column, ElementType, Layout, Place};

/// How a source holds a number in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// A float64, by its bits.
    Float64,
    /// A float32, by its bits in the lower half.
    Float32,
    /// An integer of 32 bits in the lower half.
    Int32,
    /// One of 16 bits.
    Int16,
}

impl Word {
    #[inline]
    fn number(self, word: u64) -> f64 {
        match self {
            Self::Float64 => f64::from_bits(word),
            Self::Float32 => f64::from(f32::from_bits(word as u32)),
            Self::Int32 => f64::from(word as i32),
            Self::Int16 => f64::from(word as i16),
        }
    }
}

/// The features of a layout where all of them are numbers of one tensor of floats, and each source holds one in a word: a row is then
/// bound without a look at what each feature is.
#[derive(Debug, Clone)]
pub struct Lanes {
    /// Of each feature the source, how that holds it, and its position.
    lanes: Vec<(u32, Word, u32)>,
}

impl Binder {
    /// The lanes of a layout, if it has them; `word` says how a source holds a number.
    pub fn lanes(&self, layout: &Layout, word: impl Fn(usize) -> Option<Word>) -> Option<Lanes> {
        let is_one_of_floats =
            self.interface.inputs.len() == 1 && self.interface.inputs[0].element == ElementType::Float32;
        let lane = |(source, place): (&Option<u32>, &Place)| {
            let source = (*source)?;
            let is_plain = !place.whole && !place.stands_for && place.element == ElementType::Float32;
            if is_plain { Some((source, word(source as usize)?, place.position)) } else { None }
        };
        let lanes = layout.sources.iter().zip(&self.places).map(lane).collect::<Option<Vec<_>>>()?;
        is_one_of_floats.then_some(Lanes { lanes })
    }

    /// Writes a row whose values are plain numbers: none is NULL or NaN, and all fit. Whether it was; if not, part of it may be
    /// written, and [`Binder::set`] says what is wrong, or writes it.
    #[inline]
    pub fn set_row(
        &self,
        lanes: &Lanes,
        batch: &mut Batch,
        row: usize,
        word: impl Fn(usize) -> u64,
        nulls: &[bool],
    ) -> bool {
        let Some(tensor) = batch.tensors_mut().first_mut() else { return false };
        let width = tensor.width;
        let Column::Float32(cells) = &mut tensor.values else { return false };
        let Some(cells) = cells.get_mut(row * width..(row + 1) * width) else { return false };
        let mut is_plain = true;
        for (source, held, position) in &lanes.lanes {
            let (source, position) = (*source as usize, *position as usize);
            let wide = held.number(word(source));
            let narrow = wide as f32;
            // Also what does not fit: it is infinite then.
            is_plain &= !nulls[source] && narrow.is_finite();
            cells[position] = narrow;
        }
        is_plain
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fixture::{feature, regression};
    use crate::value::Scalar;

    #[test]
    fn rows_of_plain_numbers_are_what_each_value_would_be_and_others_are_left_to_that() {
        let interface = regression(vec![feature("x", 0, ElementType::Float32), feature("y", 1, ElementType::Float32)]);
        let mut batch = Batch::new(&interface.inputs, 3);
        let mut alone = batch.clone();
        let binder = Binder::new(Arc::new(interface), "churn:1");
        let layout = binder.match_names(["y", "other", "x"]);
        assert!(binder.lanes(&layout, |_| None).is_none());
        let lanes = binder.lanes(&layout, |source| Some([Word::Float64, Word::Int16, Word::Int32][source])).unwrap();
        let rows: [([u64; 3], [bool; 3]); 5] = [
            ([0.1_f64.to_bits(), 0, u64::from((-7_i32).cast_unsigned())], [false; 3]),
            ([(-0.0_f64).to_bits(), 0, 16_777_217], [false, true, false]),
            ([1e39_f64.to_bits(), 0, 1], [false; 3]),
            ([f64::NAN.to_bits(), 0, 1], [false; 3]),
            ([0, 0, 1], [true, false, false]),
        ];
        for (row, (words, nulls)) in rows.iter().enumerate() {
            let place = row % 3;
            let is_bound = binder.set_row(&lanes, &mut batch, place, |source| words[source], nulls);
            assert_eq!(is_bound, row < 2);
            if is_bound {
                binder.set(&mut alone, place, 0, Scalar::Int(i64::from(words[2] as i32))).unwrap();
                binder.set(&mut alone, place, 1, Scalar::Float(f64::from_bits(words[0]))).unwrap();
                assert_eq!(batch.tensors()[0].rows::<f32>().row(place), alone.tensors()[0].rows::<f32>().row(place));
            }
        }
        let whole = Binder::new(Arc::new(regression(vec![feature("n", 0, ElementType::Int64)])), "churn:1");
        assert!(whole.lanes(&whole.match_names(["n"]), |_| Some(Word::Float64)).is_none());
    }
}
