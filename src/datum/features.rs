//! The second argument of every scoring function, in its four spellings, as one stream of scalars.

use e2i_core::{Batch, Binder, Error, Kind, Layout, Result, Scalar};
use pgrx::pg_sys;

use crate::datum::array::ArraySource;
use crate::datum::json_text;
use crate::datum::jsonb::{Container, Value};
pub use crate::datum::layout::{Strictness, nested, required};
use crate::datum::row::RowSource;
use crate::datum::scalar::Zone;
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
    /// An array, bound by position.
    Array,
}

/// What a call site remembers about its features: names are looked up once, not once a row.
#[derive(Default)]
pub struct FeatureSource {
    json: JsonSource,
    row: RowSource,
    array: ArraySource,
}

impl FeatureSource {
    /// One that writes timestamps into text in this time zone.
    pub fn new(zone: Zone) -> Self {
        Self { json: JsonSource::default(), row: RowSource::new(zone), array: ArraySource::new(zone) }
    }

    /// Feeds every feature of one row to `sink`, `None` where an optional one was not given.
    ///
    /// # Safety
    /// `datum` must be a valid value of the type that `spelling` names.
    pub unsafe fn scan<S>(
        &mut self,
        binder: &Binder,
        spelling: Spelling,
        datum: pg_sys::Datum,
        strict: Strictness,
        mut sink: S,
    ) -> Result<()>
    where
        S: FnMut(usize, Option<Scalar<'_>>) -> Result<()>,
    {
        // SAFETY: as the caller promises.
        unsafe {
            match spelling {
                Spelling::Row => self.row.scan(binder, datum, strict, &mut sink),
                Spelling::Array => self.array.scan(binder, datum, strict, &mut sink),
                Spelling::Jsonb => self.json.scan(binder, Container::root(varlena::bytes(datum)), strict, &mut sink),
                Spelling::Text => {
                    let parsed = json_text::features(binder, datum)?;
                    self.json.scan(binder, Container::root(varlena::bytes(parsed)), strict, &mut sink)
                }
            }
        }
    }

    /// Binds one row into `batch`.
    ///
    /// # Safety
    /// As [`FeatureSource::scan`].
    #[inline]
    pub unsafe fn bind(
        &mut self,
        binder: &Binder,
        spelling: Spelling,
        datum: pg_sys::Datum,
        batch: &mut Batch,
        row: usize,
    ) -> Result<()> {
        // SAFETY: as the caller promises.
        unsafe {
            self.scan(binder, spelling, datum, Strictness::Strict, |feature, value| {
                binder.set(batch, row, feature, value.unwrap_or(Scalar::Missing))
            })
        }
    }

    /// Binds one row of a JSON payload into `batch`.
    pub fn bind_json(&mut self, binder: &Binder, json: Container<'_>, batch: &mut Batch, row: usize) -> Result<()> {
        self.json.scan(binder, json, Strictness::Strict, &mut |feature, value: Option<Scalar<'_>>| {
            binder.set(batch, row, feature, value.unwrap_or(Scalar::Missing))
        })
    }
}

/// Sets of keys that are remembered. Documents in which one of a few keys may be missing have a handful.
const LAYOUTS: usize = 8;

/// What is known about the keys of the objects seen lately, the last one first.
#[derive(Default)]
struct JsonSource {
    objects: Vec<ObjectLayout>,
    array: Option<(usize, Layout)>,
}

struct ObjectLayout {
    entries: Vec<u8>,
    keys: Vec<u8>,
    /// For each member in stored order, its feature.
    features: Vec<Option<u32>>,
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
                sink(*feature as usize, Some(as_scalar(value)))?;
            }
        }
        layout.absent.iter().try_for_each(|feature| sink(*feature, None))
    }

    fn scan_array<S>(&mut self, binder: &Binder, json: Container<'_>, strict: Strictness, sink: &mut S) -> Result<()>
    where
        S: FnMut(usize, Option<Scalar<'_>>) -> Result<()>,
    {
        if let Some(Value::Container(_)) = json.elements().next() {
            return Err(nested(binder));
        }
        let count = json.count();
        if self.array.as_ref().is_none_or(|(known, _)| *known != count) {
            let layout = match strict {
                Strictness::Strict => binder.layout_by_position(count)?,
                Strictness::DryRun => binder.match_positions(count)?,
            };
            self.array = Some((count, layout));
        }
        let features = binder.interface().features.len();
        for (feature, value) in json.elements().take(features).enumerate() {
            sink(feature, Some(as_scalar(value)))?;
        }
        (count..features).try_for_each(|feature| sink(feature, None))
    }
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
                Some(source) => features[*source as usize] = u32::try_from(feature).ok(),
                None => absent.push(feature),
            }
        }
        Ok(Self { entries: entries.to_vec(), keys: keys.to_vec(), features, absent })
    }
}

fn as_scalar(value: Value<'_>) -> Scalar<'_> {
    match value {
        Value::Scalar(scalar) => scalar,
        Value::Container(container) => Scalar::Other(container.kind()),
    }
}
