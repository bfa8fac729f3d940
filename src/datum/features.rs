//! The second argument of every scoring function, in its four spellings, as one stream of scalars.

use e2i_core::{Batch, Binder, Error, Kind, Lanes, Layout, Result, Scalar, Spread};
use pgrx::pg_sys;

use crate::datum::array::ArraySource;
use crate::datum::as_json;
use crate::datum::columns::Columns;
use crate::datum::json_text;
use crate::datum::jsonb::{Container, Value};
use crate::datum::layout::{Strictness, nested, required};
use crate::datum::row::{Reading, RowSource};
use crate::datum::scalar::Zone;
use crate::datum::stored::Stored;
use crate::datum::vector;
use crate::pg::varlena;

/// How the features are spelled; fixed by the SQL function that is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spelling {
    /// A jsonb object or array.
    Jsonb,
    /// The same as text or json, or an array literal: an untyped literal or a driver's parameter.
    Text,
    /// A row, bound by column name.
    Row,
    /// The same, in place of `to_jsonb` of the row.
    RowAsJson,
    /// An array, bound by position.
    Array,
}

/// The features of one row, as they were given.
#[derive(Clone, Copy)]
pub struct Features<'f>(Form<'f>);

/// A datum is a valid value of its type, which lives as long as `'f`.
#[derive(Clone, Copy)]
enum Form<'f> {
    Json(Container<'f>),
    Cells(Option<&'f [&'f str]>, &'f [Value<'f>]),
    Text(pg_sys::Datum),
    Row(pg_sys::Datum, Reading),
    Array(pg_sys::Datum),
    Columns(&'f Columns, Reading, &'f [pg_sys::Datum], &'f [bool]),
}

impl<'f> Features<'f> {
    /// Those of a function's argument.
    ///
    /// # Safety
    /// `datum` must be a valid value of the type that `spelling` names, and live as long as `'f`.
    #[inline]
    pub unsafe fn of_datum(spelling: Spelling, datum: pg_sys::Datum) -> Self {
        Self(match spelling {
            // SAFETY: as the caller promises.
            Spelling::Jsonb => Form::Json(Container::root(unsafe { varlena::bytes(datum) })),
            Spelling::Text => Form::Text(datum),
            Spelling::Row => Form::Row(datum, Reading::AsRow),
            Spelling::RowAsJson => Form::Row(datum, Reading::AsJson),
            Spelling::Array => Form::Array(datum),
        })
    }

    /// Those of a row that is not put together: its columns, side by side.
    ///
    /// # Safety
    /// `values` and `nulls` must be of these columns, as many or more, and live as long as `'f`.
    #[inline]
    pub unsafe fn of_columns(
        columns: &'f Columns,
        reading: Reading,
        values: &'f [pg_sys::Datum],
        nulls: &'f [bool],
    ) -> Self {
        Self(Form::Columns(columns, reading, values, nulls))
    }

    /// One row of a JSON payload.
    pub fn of_json(json: Container<'f>) -> Self {
        Self(Form::Json(json))
    }

    /// Those of a row whose values stand apart in a JSON payload: by these names, as many, or by position.
    pub fn of_cells(names: Option<&'f [&'f str]>, cells: &'f [Value<'f>]) -> Self {
        Self(Form::Cells(names, cells))
    }

    /// Whether they have no names.
    #[inline]
    pub fn is_by_position(&self) -> bool {
        match &self.0 {
            Form::Array(_) | Form::Cells(None, _) => true,
            Form::Json(json) => !json.is_object(),
            _ => false,
        }
    }

    /// Whether they are a text, which the server parses.
    #[inline]
    pub fn is_text(&self) -> bool {
        matches!(self.0, Form::Text(_))
    }

    /// The same, parsed if they are a text; of several models that score a row, one's binder does for all.
    ///
    /// # Errors
    /// A text that is neither JSON nor an array.
    pub fn parsed(self, binder: &Binder) -> Result<Self> {
        let Form::Text(datum) = self.0 else { return Ok(self) };
        // SAFETY: a text, by the promise of `of_datum`; what is made of it lives in the same memory context.
        Ok(Self::of_json(Container::root(unsafe { varlena::bytes(json_text::features(binder, datum)?) })))
    }
}

/// What is remembered about the features of the rows of one model: names are looked up once, not once a row.
#[derive(Default)]
pub struct FeatureSource {
    json: JsonSource,
    row: RowSource,
    array: ArraySource,
    columns: Option<KnownColumns>,
    zone: Zone,
}

impl FeatureSource {
    /// One that writes timestamps into text in this time zone.
    pub fn new(zone: Zone) -> Self {
        let (row, array) = (RowSource::new(zone), ArraySource::new(zone));
        Self { row, array, zone, ..Self::default() }
    }

    /// Feeds every feature of one row to `sink`, `None` where an optional one was not given.
    ///
    /// # Errors
    /// Features that are missing or too many, and what `sink` reports.
    pub fn scan<S>(&mut self, binder: &Binder, features: Features<'_>, strict: Strictness, mut sink: S) -> Result<()>
    where
        S: FnMut(usize, Option<Scalar<'_>>) -> Result<()>,
    {
        match features.0 {
            Form::Json(json) => self.json.scan(binder, json, strict, &mut sink),
            Form::Cells(Some(names), cells) => self.json.scan_named(binder, names, cells, strict, &mut sink),
            Form::Cells(None, cells) => {
                self.json.scan_positions(binder, cells.len(), cells.iter().copied(), strict, &mut sink)
            }
            // SAFETY: a row and an array, by the promise of `of_datum`.
            Form::Row(datum, reading) => unsafe { self.row.scan(binder, datum, reading, strict, &mut sink) },
            // SAFETY: as above.
            Form::Array(datum) => unsafe { self.array.scan(binder, datum, strict, &mut sink) },
            Form::Columns(columns, reading, values, nulls) => {
                let zone = self.zone;
                let Some(KnownColumns { layout, .. }) = self.known(binder, columns, strict)? else { return Ok(()) };
                // SAFETY: values of these columns, by the promise of `of_columns`; the layout is of them and the binder.
                unsafe {
                    match reading {
                        Reading::AsRow => columns.scan(layout, binder, zone, values, nulls, &mut sink),
                        Reading::AsJson => columns.scan_as_json(layout, binder, values, nulls, &mut sink),
                    }
                }
            }
            Form::Text(_) => self.scan(binder, features.parsed(binder)?, strict, sink),
        }
    }

    /// What is known about columns.
    #[inline]
    fn known(&mut self, binder: &Binder, columns: &Columns, strict: Strictness) -> Result<Option<&KnownColumns>> {
        if self.columns.as_ref().is_none_or(|known| known.number != columns.number()) {
            let layout = columns.layout(binder, strict)?;
            let lanes = columns.lanes(&layout, binder);
            self.columns = Some(KnownColumns { number: columns.number(), layout, lanes, stored: None });
        }
        Ok(self.columns.as_ref())
    }

    /// Learns where columns that were bound already stand in the rows of a slot, to be bound as they are stored.
    ///
    /// # Safety
    /// `columns` must be those of the slot's rows in their order, and its description stay as long as such rows are bound.
    pub unsafe fn learn(&mut self, columns: &Columns, slot: *mut pg_sys::TupleTableSlot) {
        let Some(KnownColumns { number, lanes: Some(lanes), stored, .. }) = &mut self.columns else { return };
        // SAFETY: as the caller promises.
        unsafe {
            if *number == columns.number() && !stored.as_ref().is_some_and(|stored| stored.is_of(slot)) {
                *stored = Some(Stored::new(lanes, (*slot).tts_tupleDescriptor));
            }
        }
    }

    /// Binds one row into `batch` as it is stored, without its being taken apart: whether that could be done. If not, part of it may
    /// be written.
    ///
    /// # Safety
    /// As [`FeatureSource::learn`]; the slot must hold a row.
    #[inline]
    pub unsafe fn bind_stored(
        &self,
        columns: &Columns,
        reading: Reading,
        slot: *mut pg_sys::TupleTableSlot,
        batch: &mut Batch,
        row: usize,
    ) -> bool {
        let Some(KnownColumns { number, stored: Some(stored), .. }) = &self.columns else { return false };
        // SAFETY: as the caller promises.
        unsafe {
            *number == columns.number()
                && stored.is_of(slot)
                && has_plain(reading)
                && (stored.row(slot)).is_some_and(|(lanes, bytes)| lanes.set_row(batch, row, reading.is_json(), bytes))
        }
    }

    /// Binds one row into `batch`.
    ///
    /// # Errors
    /// As [`FeatureSource::scan`], and values that do not fit.
    #[inline]
    pub fn bind(&mut self, binder: &Binder, features: Features<'_>, batch: &mut Batch, row: usize) -> Result<()> {
        if let Form::Columns(columns, reading, values, nulls) = features.0
            && let Some(KnownColumns { lanes: Some(lanes), .. }) = self.known(binder, columns, Strictness::Strict)?
            && has_plain(reading)
            && binder.set_row(lanes, batch, row, reading.is_json(), |column| values[column].value() as u64, nulls)
        {
            return Ok(());
        }
        self.scan(binder, features, Strictness::Strict, |feature, value| {
            binder.set(batch, row, feature, value.unwrap_or(Scalar::Missing))
        })
    }
}

/// Whether numbers of columns can be plain: those of JSON are not while the server writes floats without all their digits.
#[inline]
fn has_plain(reading: Reading) -> bool {
    !reading.is_json() || as_json::is_whole_in_text()
}

/// What is known about the columns seen last.
struct KnownColumns {
    number: u64,
    layout: Layout,
    lanes: Option<Lanes>,
    /// Where they stand in stored rows.
    stored: Option<Stored>,
}

/// Sets of keys that are remembered. Documents in which one of a few keys may be missing have a handful.
const LAYOUTS: usize = 8;

/// What is known about the keys of the objects seen lately, the last one first.
#[derive(Default)]
struct JsonSource {
    objects: Vec<ObjectLayout>,
    array: Option<(usize, Layout)>,
    named: Option<(Vec<String>, Layout)>,
}

struct ObjectLayout {
    entries: Vec<u8>,
    keys: Vec<u8>,
    /// For each member in stored order, its feature, the first if it has several.
    features: Vec<Option<u32>>,
    spreads: Vec<Spread>,
    /// Features that the object does not have.
    absent: Vec<usize>,
}

impl JsonSource {
    fn scan<S>(&mut self, binder: &Binder, json: Container<'_>, strict: Strictness, sink: &mut S) -> Result<()>
    where
        S: FnMut(usize, Option<Scalar<'_>>) -> Result<()>,
    {
        if json.as_scalar().is_some() {
            return Err(Error::new(
                Kind::BadOption,
                format!(
                    "features for model {} are a JSON {}, an object or an array is expected",
                    binder.model(),
                    json.kind()
                ),
            )
            .with_hint("Write '{\"feature\": value, …}', or '[value, …]' in the order of e2i_describe_model."));
        }
        if json.is_object() {
            self.scan_object(binder, json, strict, sink)
        } else {
            self.scan_array(binder, json, strict, sink)
        }
    }

    fn scan_object<S>(&mut self, binder: &Binder, json: Container<'_>, strict: Strictness, sink: &mut S) -> Result<()>
    where
        S: FnMut(usize, Option<Scalar<'_>>) -> Result<()>,
    {
        let (entries, keys) = json.key_bytes();
        match self.objects.iter().position(|known| known.entries == entries && known.keys == keys) {
            Some(0) => {}
            Some(place) => self.objects.swap(0, place),
            None => {
                let layout = ObjectLayout::look_up(binder, json, strict)?;
                self.objects.truncate(LAYOUTS - 1);
                self.objects.insert(0, layout);
            }
        }
        let Some(layout) = self.objects.first() else { return Ok(()) };
        for (feature, value) in layout.features.iter().zip(json.values()) {
            if let Some(feature) = feature {
                let feature = *feature as usize;
                match layout.spreads.iter().find(|spread| spread.first == feature) {
                    None => sink(feature, Some(as_scalar(value)))?,
                    Some(spread) => vector::feed_json(binder, *spread, value, sink)?,
                }
            }
        }
        layout.absent.iter().try_for_each(|feature| sink(*feature, None))
    }

    fn scan_array<S>(&mut self, binder: &Binder, json: Container<'_>, strict: Strictness, sink: &mut S) -> Result<()>
    where
        S: FnMut(usize, Option<Scalar<'_>>) -> Result<()>,
    {
        if !binder.interface().vectors.is_empty() && json.elements().any(|value| matches!(value, Value::Container(_))) {
            return scan_arrays(binder, json, strict, sink);
        }
        if let Some(Value::Container(_)) = json.elements().next() {
            return Err(nested(binder));
        }
        self.scan_positions(binder, json.count(), json.elements(), strict, sink)
    }

    fn scan_named<S>(
        &mut self,
        binder: &Binder,
        names: &[&str],
        cells: &[Value<'_>],
        strict: Strictness,
        sink: &mut S,
    ) -> Result<()>
    where
        S: FnMut(usize, Option<Scalar<'_>>) -> Result<()>,
    {
        if self.named.as_ref().is_none_or(|(known, _)| known != names) {
            let layout = required(strict, binder, names.iter().copied())?;
            self.named = Some((names.iter().map(|&name| name.to_owned()).collect(), layout));
        }
        let Some((_, layout)) = &self.named else { return Ok(()) };
        let mut fed = 0;
        for (feature, source) in layout.sources().iter().enumerate() {
            if feature < fed {
                continue;
            }
            let cell = source.and_then(|source| cells.get(source as usize));
            match (cell, layout.spread_at(feature)) {
                (Some(cell), Some(spread)) => {
                    vector::feed_json(binder, spread, *cell, sink)?;
                    fed = feature + spread.count;
                }
                _ => sink(feature, cell.map(|cell| as_scalar(*cell)))?,
            }
        }
        Ok(())
    }

    fn scan_positions<'v, S>(
        &mut self,
        binder: &Binder,
        count: usize,
        values: impl Iterator<Item = Value<'v>>,
        strict: Strictness,
        sink: &mut S,
    ) -> Result<()>
    where
        S: FnMut(usize, Option<Scalar<'_>>) -> Result<()>,
    {
        if self.array.as_ref().is_none_or(|(known, _)| *known != count) {
            let layout = match strict {
                Strictness::Strict => binder.layout_by_position(count)?,
                Strictness::DryRun => binder.match_positions(count)?,
            };
            self.array = Some((count, layout));
        }
        let features = binder.interface().features.len();
        for (feature, value) in values.take(features).enumerate() {
            sink(feature, Some(as_scalar(value)))?;
        }
        (count..features).try_for_each(|feature| sink(feature, None))
    }
}

/// A row by position in which arrays stand for what a signature calls an array.
fn scan_arrays<S>(binder: &Binder, json: Container<'_>, strict: Strictness, sink: &mut S) -> Result<()>
where
    S: FnMut(usize, Option<Scalar<'_>>) -> Result<()>,
{
    let features = binder.interface().features.len();
    let mut place = 0;
    for value in json.elements() {
        match (value, binder.spread_from(place)) {
            (Value::Container(array), Some(spread)) if !array.is_object() => {
                vector::feed_json(binder, spread, value, sink)?;
                place += spread.count;
                continue;
            }
            (Value::Container(_), _) if place == 0 => return Err(nested(binder)),
            _ if place < features => sink(place, Some(as_scalar(value)))?,
            _ => {}
        }
        place += 1;
    }
    match strict {
        Strictness::Strict => binder.layout_by_position(place)?,
        Strictness::DryRun => binder.match_positions(place)?,
    };
    (place..features).try_for_each(|feature| sink(feature, None))
}

impl ObjectLayout {
    #[cold]
    fn look_up(binder: &Binder, json: Container<'_>, strict: Strictness) -> Result<Self> {
        let layout = required(strict, binder, json.keys())?;
        let (entries, keys) = json.key_bytes();
        let mut features = vec![None; json.count()];
        let mut absent = Vec::new();
        for (feature, source) in layout.sources().iter().enumerate() {
            match source {
                Some(source) => {
                    features[*source as usize].get_or_insert(u32::try_from(feature).unwrap_or(u32::MAX));
                }
                None => absent.push(feature),
            }
        }
        let spreads = layout.spreads().to_vec();
        Ok(Self { entries: entries.to_vec(), keys: keys.to_vec(), features, spreads, absent })
    }
}

fn as_scalar(value: Value<'_>) -> Scalar<'_> {
    match value {
        Value::Scalar(scalar) => scalar,
        Value::Container(container) => Scalar::Other(container.kind()),
    }
}
