//! Categories: their index, what stands for them, and the reverse.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::constants::Constants;
use super::frame::Frame;
use super::{Operation, ValueType};
use crate::batch::Column;
use crate::error::{Error, Kind, Result};
use crate::interface::ElementType;
use crate::native::image::{Image, ImageWriter, Section};
use crate::native::instruction_set::InstructionSet;
use crate::native::value::broken;

/// Categories by which a cell is looked up.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Keys {
    /// Texts and integers ascend, floats are in any order.
    keys: Constants,
    /// The number of each key.
    numbers: Section<u32>,
}

impl Keys {
    /// Lays out keys, which are numbered in the order given. Of equal keys the first counts.
    fn write(keys: &Column, tables: &mut ImageWriter) -> Self {
        fn sorted<T: Clone + Ord>(keys: &[T]) -> (Vec<T>, Vec<u32>) {
            let mut order: Vec<u32> = (0..keys.len() as u32).collect();
            order.sort_by(|a, b| keys[*a as usize].cmp(&keys[*b as usize]));
            order.dedup_by(|later, earlier| keys[*later as usize] == keys[*earlier as usize]);
            (order.iter().map(|index| keys[*index as usize].clone()).collect(), order)
        }
        let (keys, numbers) = match keys {
            Column::Text(keys) => {
                let (keys, numbers) = sorted(keys);
                (Column::Text(keys), numbers)
            }
            Column::Int64(keys) => {
                let (keys, numbers) = sorted(keys);
                (Column::Int64(keys), numbers)
            }
            other => (other.clone(), (0..other.len() as u32).collect()),
        };
        Self { keys: Constants::write(&keys, tables), numbers: tables.push(&numbers) }
    }

    fn check(&self, image: &Image, element: ElementType, most: usize) -> Result<()> {
        self.keys.check(image)?;
        image.check(self.numbers)?;
        let fits = self.keys.element() == element
            && !matches!(element, ElementType::Bool | ElementType::Int32)
            && self.numbers.len() == self.keys.len()
            && image.slice(self.numbers).iter().all(|number| (*number as usize) < most);
        if fits { Ok(()) } else { Err(broken("its categories do not fit its values")) }
    }

    /// Calls `f` with the place and number of each cell of input 0, in order.
    #[inline(always)]
    fn each(&self, frame: &Frame<'_>, mut f: impl FnMut(usize, Option<usize>)) {
        let image = frame.image;
        let numbers = image.slice(self.numbers);
        let number = |place: Option<usize>| place.and_then(|place| numbers.get(place)).map(|number| *number as usize);
        match &self.keys {
            Constants::Text(keys) => {
                let cells = frame.input::<String>(0).iter().enumerate();
                for (at, cell) in cells {
                    let (mut low, mut high) = (0, keys.len());
                    let mut found = None;
                    while low < high {
                        let middle = low.midpoint(high);
                        match keys.bytes(image, middle).cmp(cell.as_bytes()) {
                            std::cmp::Ordering::Less => low = middle + 1,
                            std::cmp::Ordering::Greater => high = middle,
                            std::cmp::Ordering::Equal => {
                                found = Some(middle);
                                break;
                            }
                        }
                    }
                    f(at, number(found));
                }
            }
            Constants::Int64(keys) => {
                let keys = image.slice(*keys);
                for (at, cell) in frame.input::<i64>(0).iter().enumerate() {
                    f(at, number(keys.binary_search(cell).ok()));
                }
            }
            Constants::Float32(keys) => {
                let keys = image.slice(*keys);
                for (at, cell) in frame.input::<f32>(0).iter().enumerate() {
                    f(at, number(keys.iter().position(|key| key == cell || (key.is_nan() && cell.is_nan()))));
                }
            }
            Constants::Float64(keys) => {
                let keys = image.slice(*keys);
                for (at, cell) in frame.input::<f64>(0).iter().enumerate() {
                    f(at, number(keys.iter().position(|key| key == cell || (key.is_nan() && cell.is_nan()))));
                }
            }
            Constants::Int32(_) | Constants::Bool(_) => {}
        }
    }
}

/// What becomes of a category that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unknown {
    /// Zeros.
    Zeros,
    /// An error.
    Refused,
}

/// For each cell as many float32 as there are categories: all 0 but the one of its category.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OneHot {
    keys: Keys,
    categories: usize,
    unknown: Unknown,
}

impl OneHot {
    /// Lays out categories: texts or int64.
    pub fn new(categories: &Column, unknown: Unknown, tables: &mut ImageWriter) -> Self {
        Self { keys: Keys::write(categories, tables), categories: categories.len(), unknown }
    }
}

impl Operation for OneHot {
    fn check(&self, image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        let ([input], [output]) = (inputs, outputs) else { return Err(broken("it has one input and one output")) };
        self.keys.check(image, input.element, self.categories)?;
        let width = input.width.checked_mul(self.categories);
        let fits = output.element == ElementType::Float32 && width == Some(output.width) && self.categories > 0;
        if fits { Ok(()) } else { Err(broken("its categories do not fit its values")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        let categories = self.categories;
        let mut output = std::mem::take(&mut frame.scratch.single);
        output.clear();
        output.resize(frame.output_type(0).width * frame.rows, 0.0);
        let mut refusals = vec![];
        self.keys.each(frame, |at, number| match number {
            Some(number) => {
                if let Some(cell) = output.get_mut(at * categories + number) {
                    *cell = 1.0;
                }
            }
            None if self.unknown == Unknown::Zeros => {}
            None => refusals.push(at),
        });
        frame.output::<f32>(0).copy_from_slice(&output);
        frame.scratch.single = output;
        let width = frame.input_type(0).width.max(1);
        for at in refusals {
            let message = "a category is not among those that the model knows";
            frame.refuse(at / width, || Error::new(Kind::Runtime, message));
        }
        Ok(())
    }

    fn kernel(&self, _set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        format!("one-hot of {}", self.categories).into()
    }
}

/// What stands for a category.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Lookup {
    keys: Keys,
    /// One cell for each key, and last the one for categories that are not known.
    cells: Constants,
}

impl Lookup {
    /// Lays out keys (texts, int64 or floats) and cells, of which there is one more.
    pub fn new(keys: &Column, cells: &Column, tables: &mut ImageWriter) -> Self {
        Self { keys: Keys::write(keys, tables), cells: Constants::write(cells, tables) }
    }
}

impl Operation for Lookup {
    fn check(&self, image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        let ([input], [output]) = (inputs, outputs) else { return Err(broken("it has one input and one output")) };
        self.cells.check(image)?;
        self.keys.check(image, input.element, self.cells.len())?;
        let fits = self.cells.len() > 0 && output.element == self.cells.element() && output.width == input.width;
        if fits { Ok(()) } else { Err(broken("its categories do not fit its values")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        let Some(output) = frame.outputs.first_mut() else { return Ok(()) };
        let mut output = std::mem::replace(output, Column::Bool(Vec::new()));
        let unknown = self.cells.len().saturating_sub(1);
        self.keys.each(frame, |at, number| {
            self.cells.copy_cell(frame.image, number.unwrap_or(unknown), &mut output, at);
        });
        if let Some(place) = frame.outputs.first_mut() {
            *place = output;
        }
        Ok(())
    }

    fn kernel(&self, _set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        format!("lookup in {}", self.cells.len().saturating_sub(1)).into()
    }
}

/// A part of a table for each index: int64, negative ones from the end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pick {
    /// The table.
    pub cells: Constants,
    /// How many cells an index picks.
    pub width: usize,
}

impl Operation for Pick {
    fn check(&self, image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        let ([input], [output]) = (inputs, outputs) else { return Err(broken("it has one input and one output")) };
        self.cells.check(image)?;
        let fits = input.element == ElementType::Int64
            && self.width > 0
            && self.cells.len().is_multiple_of(self.width)
            && output.element == self.cells.element()
            && input.width.checked_mul(self.width) == Some(output.width);
        if fits { Ok(()) } else { Err(broken("its table does not fit its values")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        let (indexes, image) = (frame.input::<i64>(0), frame.image);
        let count = self.cells.len() / self.width;
        let (mut refusals, columns) = (vec![], frame.input_type(0).width.max(1));
        let Some(output) = frame.outputs.first_mut() else { return Ok(()) };
        for (at, index) in indexes.iter().enumerate() {
            let place = if *index < 0 { index.saturating_add(count as i64) } else { *index };
            let Some(place) = usize::try_from(place).ok().filter(|place| *place < count) else {
                refusals.push((at / columns, *index));
                continue;
            };
            for offset in 0..self.width {
                self.cells.copy_cell(image, place * self.width + offset, output, at * self.width + offset);
            }
        }
        for (row, index) in refusals {
            let message = || format!("index {index} is beyond a table of {count}");
            frame.refuse(row, || Error::new(Kind::Runtime, message()));
        }
        Ok(())
    }

    fn kernel(&self, _set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        "pick".into()
    }
}
