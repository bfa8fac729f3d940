//! Columns: values side by side, each of a type of its own, as a row, a slot or a list of arguments holds them.
//!
//! How they are read is the same for all models; which of them is which feature is a [`Layout`] of one model.

use std::cell::Cell;

use e2i_core::{Binder, Known, Lanes, Layout, Result, Said, Scalar, Word};
use pgrx::pg_sys;

use crate::datum::as_json;
use crate::datum::layout::{Strictness, required};
use crate::datum::scalar::{Reader, Zone};
use crate::datum::vector;

/// How the values of columns are read.
pub struct Columns {
    number: u64,
    names: Vec<String>,
    columns: Vec<Column>,
}

#[derive(Clone, Copy)]
struct Column {
    reader: Reader,
    type_oid: pg_sys::Oid,
}

thread_local! {
    /// The number that was given last.
    static LAST: Cell<u64> = const { Cell::new(0) };
}

impl Columns {
    /// Columns by name and type; `None` for one that is not there any more.
    pub fn new<'n>(attributes: impl Iterator<Item = Option<(&'n str, pg_sys::Oid)>>) -> Self {
        let (names, columns) = attributes
            .map(|attribute| match attribute {
                Some((name, type_oid)) => (name.to_owned(), Column { reader: Reader::of(type_oid), type_oid }),
                // No feature has an empty name.
                None => (String::new(), Column { reader: Reader::Other, type_oid: pg_sys::Oid::INVALID }),
            })
            .unzip();
        LAST.set(LAST.get() + 1);
        Self { number: LAST.get(), names, columns }
    }

    /// What tells them from all others of this process.
    #[inline]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// How a value stands in a word, where it is a number in one.
    fn word(&self, column: usize) -> Option<Word> {
        match self.columns[column].reader {
            Reader::Float8 => Some(Word::Float64),
            Reader::Float4 => Some(Word::Float32),
            Reader::Int8 => Some(Word::Int64),
            Reader::Int4 => Some(Word::Int32),
            Reader::Int2 => Some(Word::Int16),
            Reader::Bool => Some(Word::Bool),
            _ => None,
        }
    }

    /// The lanes of a layout, if the columns are such that a row is bound by them.
    pub fn lanes(&self, layout: &Layout, binder: &Binder) -> Option<Lanes> {
        binder.lanes(layout, |column| self.word(column))
    }

    /// How many there are, with those that are not there any more.
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// Which of them is which feature of a model.
    ///
    /// # Errors
    /// Required features that are not among them, unless it is a dry run.
    pub fn layout(&self, binder: &Binder, strict: Strictness) -> Result<Layout> {
        required(strict, binder, self.names.iter().map(String::as_str))
    }

    /// Feeds every feature to `sink`, `None` where an optional one is no column.
    ///
    /// # Errors
    /// What `sink` reports.
    ///
    /// # Safety
    /// `values` and `nulls` must be of these columns, as many or more, and `layout` of these columns and `binder`.
    #[inline]
    pub unsafe fn scan<S>(
        &self,
        layout: &Layout,
        binder: &Binder,
        zone: Zone,
        values: &[pg_sys::Datum],
        nulls: &[bool],
        sink: &mut S,
    ) -> Result<()>
    where
        S: FnMut(usize, Option<Scalar<'_>>) -> Result<()>,
    {
        let mut fed = 0;
        for (feature, source) in layout.sources().iter().enumerate() {
            if feature < fed {
                continue;
            }
            let Some(source) = source.map(|source| source as usize) else {
                sink(feature, None)?;
                continue;
            };
            if nulls[source] {
                sink(feature, Some(Scalar::Missing))?;
                continue;
            }
            let column = &self.columns[source];
            if let Some(spread) = layout.spread_at(feature) {
                fed = feature + spread.count;
                // SAFETY: as the caller promises, the value is of this column's type.
                unsafe {
                    let read = (column.reader, column.type_oid);
                    vector::feed_datum(binder, spread, read, zone, values[source], sink)?;
                }
                continue;
            }
            let element = binder.element(feature);
            // SAFETY: as the caller promises, the value is of this column's type.
            unsafe {
                column
                    .reader
                    .read_for(element, zone, values[source], column.type_oid, |scalar| sink(feature, Some(scalar)))?;
            }
        }
        Ok(())
    }

    /// The same, each value as `to_jsonb` of a row would give it. Of several errors the one that a JSON object gives, whose members
    /// are in an order of their own, so a feature may be fed twice.
    ///
    /// # Errors
    /// What `sink` reports.
    ///
    /// # Safety
    /// As [`Columns::scan`].
    #[inline]
    pub unsafe fn scan_as_json<S>(
        &self,
        layout: &Layout,
        binder: &Binder,
        values: &[pg_sys::Datum],
        nulls: &[bool],
        sink: &mut S,
    ) -> Result<()>
    where
        S: FnMut(usize, Option<Scalar<'_>>) -> Result<()>,
    {
        let mut feed = |feature: usize, source: Option<u32>| {
            let Some(source) = source.map(|source| source as usize) else { return sink(feature, None) };
            if nulls[source] {
                return sink(feature, Some(Scalar::Missing));
            }
            let Column { reader, type_oid } = self.columns[source];
            let spread = layout.spreads().iter().find(|it| (it.first..it.first + it.count).contains(&feature));
            // SAFETY: as the caller promises, the value is of this column's type.
            unsafe {
                match spread {
                    Some(spread) if spread.first == feature => {
                        return as_json::read_whole(type_oid, values[source], |value| {
                            vector::feed_json(binder, *spread, value, sink)
                        });
                    }
                    Some(_) => return Ok(()),
                    None => {}
                }
                as_json::read(reader, type_oid, binder, feature, values[source], |scalar| sink(feature, Some(scalar)))
            }
        };
        let sources = layout.sources();
        let fed = sources.iter().enumerate().try_for_each(|(feature, source)| feed(feature, *source));
        if fed.is_ok() {
            return Ok(());
        }
        let mut members: Vec<usize> = (0..sources.len()).collect();
        let features = &binder.interface().features;
        members.sort_by_key(|feature| (sources[*feature].is_none(), as_json::key(&features[*feature].name)));
        members.into_iter().try_for_each(|feature| feed(feature, sources[feature])).and(fed)
    }

    /// The type of one.
    pub fn type_of(&self, column: usize) -> pg_sys::Oid {
        self.columns[column].type_oid
    }

    /// What is known of the cells of a model's batch, from what is said of each of them.
    pub fn known(&self, binder: &Binder, said: impl Fn(usize) -> Vec<Said>) -> Known {
        binder.known(&binder.match_names(self.names.iter().map(String::as_str)), said)
    }

    /// Whether each feature of a model is among them.
    pub fn hold_all(&self, binder: &Binder) -> bool {
        binder.match_names(self.names.iter().map(String::as_str)).sources().iter().all(Option::is_some)
    }
}
