//! Why a version scores as it does: its trees as attributions need them, made on first use and kept with the loaded model.
//!
//! The trees are read from the version's artifact, which the compiled form does not replace: only the file has the covers. Rows are those
//! that were bound to be scored, so that a value is read in one way.

use std::cell::OnceCell;
use std::rc::Rc;

use e2i_core::{Batch, Error, Interface, Kind, Result, formats};
use e2i_explain::{Attributions, Leaves, Link, Meant, Method, Space, meant, predicted};

use crate::catalog::model::{Stored, Version};
use crate::catalog::schema::Schema;
use crate::pg::{interrupt, wait};
use crate::settings;

/// Most bytes that the tables of one version may take; leaves beyond that are computed for each row.
const TABLES_AT_MOST: usize = 64 << 20;

/// What is asked of a row.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'w> {
    /// Of which number attributions are parts.
    pub space: Space,
    /// How they are found; the version's own way if `None`.
    pub method: Option<Method>,
    /// Of which class.
    pub class: Option<&'w str>,
}

/// Why a row has one of its numbers.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// Which number it is.
    pub meant: Meant,
    /// How it was found.
    pub method: Method,
    /// What is expected when no feature is known.
    pub base: f64,
    /// What each feature adds, in the order of the interface.
    pub contributions: Vec<f64>,
    /// The number itself, in the space that was asked for.
    pub output: f64,
    /// The margins of the row.
    pub margins: Vec<f64>,
}

/// A version's trees.
pub struct Explained {
    reference: String,
    leaves: Rc<Leaves>,
    link: Link,
    /// The feature that each column holds.
    features: Vec<usize>,
    by_covers: OnceCell<Attributions>,
}

impl Explained {
    /// Reads the trees of a version.
    ///
    /// # Errors
    /// What reading reports; [`Kind::Unsupported`] for a model of another kind.
    pub fn read(schema: Schema, version: &Version) -> Result<Self> {
        let stored = Stored::find(schema, version)?;
        let reference = version.reference();
        if !matches!(stored.framework.as_str(), "xgboost" | "lightgbm") {
            return Err(unsupported(&reference, &stored.framework));
        }
        let (bytes, _) = stored.artifacts(schema, version)?;
        let _state = wait::loading();
        let trained = formats::read(&bytes).ok_or_else(|| unsupported(&reference, &stored.framework))??;
        let leaves = Leaves::of(&trained.ensemble, trained.link.divisor).map_err(|error| error.of_model(&reference))?;
        let mut features = vec![0; trained.ensemble.width];
        for (index, feature) in version.interface.features.iter().enumerate() {
            if let Some(place) = features.get_mut(feature.position) {
                *place = index;
            }
        }
        let link = Link::of(trained.link.function, &version.interface);
        Ok(Self { reference, leaves: Rc::new(leaves), link, features, by_covers: OnceCell::new() })
    }

    /// What it holds, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.leaves.memory_bytes() + self.by_covers.get().map_or(0, Attributions::memory_bytes)
    }

    /// The attributions by covers, whose tables are made on first use.
    fn by_covers(&self) -> Result<&Attributions> {
        if let Some(made) = self.by_covers.get() {
            return Ok(made);
        }
        let bytes = TABLES_AT_MOST.min(settings::session_cache_bytes() / 2);
        let made = loop {
            match Attributions::by_covers(Rc::clone(&self.leaves), bytes, interrupt::pending) {
                // Returns only when the interrupt was withdrawn meanwhile.
                Err(error) if error.kind() == Kind::Interrupted => interrupt::check(),
                Err(error) if error.kind() == Kind::WrongState => return Err(self.no_covers()),
                made => break made?,
            }
        };
        Ok(self.by_covers.get_or_init(|| made))
    }

    /// Why one row of a batch has the numbers that are meant: those of a class, or all.
    ///
    /// # Errors
    /// Spaces, classes and methods that the version has not.
    pub fn explain(
        &self,
        interface: &Interface,
        batch: &Batch,
        row: usize,
        wanted: &Wanted<'_>,
    ) -> Result<Vec<Explanation>> {
        let meant = self.meant(interface, wanted)?;
        let method = self.method(wanted)?;
        let attributions = self.by_covers()?;
        let values = self.columns(batch, row)?;
        let (width, count) = (self.leaves.width(), interface.features.len());
        let all = attributions.of_rows(&values);
        let margins = self.leaves.sums(&values);
        let explained = |meant: Meant| {
            let sign = if meant.opposite { -1.0 } else { 1.0 };
            let mut contributions = vec![0.0; count];
            for (column, number) in all[meant.target * width..][..width].iter().enumerate() {
                contributions[self.features[column]] += sign * number;
            }
            let base = self.base_of(attributions, meant, wanted.space);
            let output = self.link.value(&margins, meant, wanted.space);
            Explanation { meant, method, base, contributions, output, margins: margins.clone() }
        };
        Ok(meant.into_iter().map(explained).collect())
    }

    /// What is expected of the number that is meant when nothing is known.
    ///
    /// # Errors
    /// As [`Explained::explain`]; [`Kind::BadOption`] where several numbers could be meant.
    pub fn base_value(&self, interface: &Interface, wanted: &Wanted<'_>) -> Result<f64> {
        let all = self.meant(interface, wanted)?;
        let [meant] = all[..] else { return Err(several(interface, &self.reference)) };
        self.method(wanted)?;
        Ok(self.base_of(self.by_covers()?, meant, wanted.space))
    }

    fn base_of(&self, attributions: &Attributions, meant: Meant, space: Space) -> f64 {
        let base = attributions.base()[meant.target];
        match (meant.opposite, space) {
            (false, _) => base,
            (true, Space::Margin) => -base,
            (true, _) => 1.0 - base,
        }
    }

    /// Of those that an answer has, the one that was predicted.
    pub fn predicted(interface: &Interface, all: Vec<Explanation>) -> Option<Explanation> {
        let first = all.first()?;
        let meant = if all.len() == 1 { first.meant } else { predicted(interface, &first.margins) };
        all.into_iter().find(|explanation| explanation.meant == meant)
    }

    /// What the model predicts of margins: the number that is meant, as it comes out.
    pub fn prediction(&self, explanation: &Explanation) -> f64 {
        self.link.value(&explanation.margins, explanation.meant, Space::Output)
    }

    fn meant(&self, interface: &Interface, wanted: &Wanted<'_>) -> Result<Vec<Meant>> {
        self.link.check(interface, wanted.space, &self.reference)?;
        meant(interface, self.leaves.targets(), wanted.class, &self.reference)
    }

    fn method(&self, wanted: &Wanted<'_>) -> Result<Method> {
        let of = &self.reference;
        if let Some(method @ (Method::Interventional | Method::Sampled)) = wanted.method {
            return Err(Error::new(
                Kind::Unsupported,
                format!("model {of} is not explained by method {:?}", method.name()),
            )
            .with_hint("Leave method out, or say method => 'path_dependent'."));
        }
        if !self.link.is_linear_in(wanted.space) {
            let space = wanted.space.name();
            return Err(Error::new(Kind::Unsupported, format!("model {of} is not explained in space {space:?}"))
                .with_detail("By the covers of its trees a model can be explained in what it adds up.")
                .with_hint("Say space => 'margin'."));
        }
        Ok(Method::PathDependent)
    }

    /// The numbers of a row, as the trees read it.
    fn columns(&self, batch: &Batch, row: usize) -> Result<Vec<f64>> {
        let width = self.leaves.width();
        let tensor = batch.tensors().first().filter(|tensor| tensor.width == width);
        let number = |tensor: &e2i_core::Tensor, column| tensor.values.number(row * width + column);
        let values = tensor.and_then(|tensor| (0..width).map(|column| number(tensor, column)).collect());
        values.ok_or_else(|| Error::new(Kind::Internal, "a row is not shaped for its trees"))
    }

    #[cold]
    fn no_covers(&self) -> Error {
        let message =
            format!("model {} does not say how much training data came to each branch of its trees", self.reference);
        Error::new(Kind::WrongState, message).with_hint(
            "Save it again with the library that trained it, whose files have that, and register the new file.",
        )
    }
}

#[cold]
fn several(interface: &Interface, model: &str) -> Error {
    let error =
        Error::new(Kind::BadOption, format!("model {model} gives several numbers, each with a base value of its own"));
    error.with_hint(match &interface.classes {
        Some(classes) => format!(
            "Say which: class => '{}' or another of {}.",
            classes.labels[0].replace('\'', "''"),
            classes.labels.join(", ")
        ),
        None => "Say which: class => '1' is the first.".to_owned(),
    })
}

#[cold]
fn unsupported(reference: &str, framework: &str) -> Error {
    Error::new(Kind::Unsupported, format!("model {reference} cannot be explained: its format is {framework}"))
        .with_detail("Explained are models in XGBoost's and LightGBM's own files.")
        .with_hint("Register what the library's save_model writes instead of an export.")
}
