//! Categories that are numbers, column by column: zeros and a one, or chosen cells.
//!
//! Several columns at once, each with categories of its own, a place for what is missing (NaN) and one for what is not known;
//! this is how scikit-learn's encoders see a table. Texts come here as codes.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::{Operation, ValueType};
use crate::error::{Error, Kind, Result};
use crate::interface::ElementType;
use crate::native::image::{Image, ImageWriter, Section};
use crate::native::instruction_set::InstructionSet;
use crate::native::value::broken;
use crate::value::float_text;

/// What a category becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Becomes {
    /// The one at this place of the column's cells, or the row of cells of this number.
    Place(u32),
    /// Zeros.
    Zeros,
    /// An error.
    Refused,
}

/// How one column is encoded.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoding {
    /// What messages call the column.
    pub name: String,
    /// The categories and what each becomes; of equal ones the first counts. None is NaN.
    pub categories: Vec<(f64, Becomes)>,
    /// What NaN becomes.
    pub missing: Becomes,
    /// What any other number becomes.
    pub unknown: Becomes,
    /// Cells that the column becomes.
    pub width: usize,
    /// The cells of each place, `width` each; none where a place is the one of `width` cells that is 1.
    pub cells: Vec<f64>,
}

/// Each column by its encoding, side by side.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Encode {
    columns: Vec<Laid>,
    keys: Section<f64>,
    /// What each key becomes: a place, or [`ZEROS`], or [`REFUSED`].
    places: Section<u32>,
    cells: Section<f64>,
}

const ZEROS: u32 = u32::MAX - 1;
const REFUSED: u32 = u32::MAX;

/// Where an encoding lies in the tables.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Laid {
    name: String,
    keys: (usize, usize),
    missing: Becomes,
    unknown: Becomes,
    width: usize,
    /// `None` where a place is the cell that is 1.
    cells: Option<(usize, usize)>,
}

fn number(becomes: Becomes) -> u32 {
    match becomes {
        Becomes::Place(place) => place,
        Becomes::Zeros => ZEROS,
        Becomes::Refused => REFUSED,
    }
}

impl Encode {
    /// Lays out encodings.
    #[must_use]
    pub fn new(encodings: &[Encoding], tables: &mut ImageWriter) -> Self {
        let (mut keys, mut places, mut cells) = (vec![], vec![], vec![]);
        let mut columns = vec![];
        for encoding in encodings {
            let mut sorted: Vec<(f64, Becomes)> = encoding.categories.clone();
            // 0 and -0 are one category.
            sorted.iter_mut().for_each(|(key, _)| *key += 0.0);
            sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
            sorted.dedup_by(|later, earlier| later.0 == earlier.0);
            columns.push(Laid {
                name: encoding.name.clone(),
                keys: (keys.len(), keys.len() + sorted.len()),
                missing: encoding.missing,
                unknown: encoding.unknown,
                width: encoding.width,
                cells: (!encoding.cells.is_empty()).then(|| (cells.len(), cells.len() + encoding.cells.len())),
            });
            keys.extend(sorted.iter().map(|(key, _)| *key));
            places.extend(sorted.iter().map(|(_, becomes)| number(*becomes)));
            cells.extend_from_slice(&encoding.cells);
        }
        Self { columns, keys: tables.push(&keys), places: tables.push(&places), cells: tables.push(&cells) }
    }

    /// The column that a cell of what comes out is made of.
    pub(super) fn column_of(&self, cell: usize) -> Option<usize> {
        let mut end = 0;
        self.columns.iter().position(|column| {
            end += column.width;
            cell < end
        })
    }

    /// Cells a row of what comes out.
    #[must_use]
    pub fn width(&self) -> usize {
        self.columns.iter().fold(0, |sum, column| sum.saturating_add(column.width))
    }
}

#[cold]
fn refused(column: &Laid, cell: f64) -> Error {
    let what = if cell.is_nan() { "a missing value".to_owned() } else { float_text(cell) };
    Error::new(
        Kind::BadValue,
        format!("{what} in column {:?} is none of the categories that it was fitted to", column.name),
    )
}

impl Operation for Encode {
    fn check(&self, image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        image.check(self.keys)?;
        image.check(self.places)?;
        image.check(self.cells)?;
        let ([input], [output]) = (inputs, outputs) else { return Err(broken("it has one input and one output")) };
        let (places, cells) = (image.slice(self.places), image.slice(self.cells));
        let column_fits = |column: &Laid| {
            let most = match column.cells {
                None => column.width,
                Some((from, to)) if from <= to && to <= cells.len() => {
                    (to - from).checked_div(column.width).unwrap_or(0)
                }
                Some(_) => return false,
            };
            let place_fits = |place: u32| place == REFUSED || place == ZEROS || (place as usize) < most;
            column.keys.0 <= column.keys.1
                && places.get(column.keys.0..column.keys.1).is_some_and(|places| places.iter().all(|p| place_fits(*p)))
                && place_fits(number(column.missing))
                && place_fits(number(column.unknown))
        };
        let fits = self.keys.len() == self.places.len()
            && [input.element, output.element] == [ElementType::Float64; 2]
            && input.width == self.columns.len()
            && output.width == self.width()
            && input.width > 0
            && output.width > 0
            && self.columns.iter().all(column_fits);
        if fits { Ok(()) } else { Err(broken("its categories do not fit its values")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        let (input, image) = (frame.input::<f64>(0), frame.image);
        let (keys, places, cells) = (image.slice(self.keys), image.slice(self.places), image.slice(self.cells));
        let (from_width, to_width) = (self.columns.len().max(1), frame.output_type(0).width.max(1));
        let output = frame.output::<f64>(0);
        output.fill(0.0);
        let mut refusals = vec![];
        let rows = input.chunks_exact(from_width).zip(output.chunks_exact_mut(to_width));
        for (row, (cells_of_row, mut into)) in rows.enumerate() {
            for (column, cell) in self.columns.iter().zip(cells_of_row) {
                let (own, rest) = into.split_at_mut(column.width.min(into.len()));
                into = rest;
                let place = if cell.is_nan() {
                    number(column.missing)
                } else {
                    let (first, end) = column.keys;
                    let known = keys.get(first..end).unwrap_or(&[]);
                    let at = known.partition_point(|key| key < cell);
                    match known.get(at) {
                        Some(key) if key == cell => places.get(first + at).copied().unwrap_or(REFUSED),
                        _ => number(column.unknown),
                    }
                };
                match (place, column.cells) {
                    (REFUSED, _) => refusals.push((row, column, *cell)),
                    (ZEROS, _) => {}
                    (place, None) => {
                        if let Some(one) = own.get_mut(place as usize) {
                            *one = 1.0;
                        }
                    }
                    (place, Some((from, _))) => {
                        let from = from + place as usize * column.width;
                        if let Some(cells) = cells.get(from..from + column.width) {
                            own.copy_from_slice(cells);
                        }
                    }
                }
            }
        }
        refusals.into_iter().for_each(|(row, column, cell)| frame.refuse(row, || refused(column, cell)));
        Ok(())
    }

    fn kernel(&self, _set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        format!("encode {} columns", self.columns.len()).into()
    }
}
