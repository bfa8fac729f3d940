//! What a version adds up before it predicts: its trees as attributions need them, or an engine for its sums.
//!
//! The trees of XGBoost's and LightGBM's own files are read from the artifact, and so are covers of skops files: the compiled form has
//! none. Of other versions they are those of the compiled form, whose columns are computed from the features.
//!
//! What does not belong here: backgrounds, and attributions.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use e2i_core::native::{By, Deciding, Decision, Ensemble, NativeEngine};
use e2i_core::{Batch, Column, Engine, Error, Interface, Kind, OutputSet, Outputs, Result, formats};
use e2i_explain::{Attributions, Leaves, Link};

use crate::catalog::model::{Stored, Version};
use crate::catalog::schema::Schema;
use crate::pg::{interrupt, wait};

/// What decides.
pub enum Decided {
    /// Trees.
    Trees(Box<Trees>),
    /// Whatever computes sums.
    Sums(Sums),
    /// Nobody knows: there are the numbers of answers alone.
    Unknown,
}

/// Trees of a version.
pub struct Trees {
    /// Their leaves, whose players are columns.
    pub leaves: Rc<Leaves>,
    /// Those whose players are features: of a feature of several columns the first stands for all. The same where each is one.
    pub whole: Rc<Leaves>,
    /// What becomes of their sums.
    pub link: Link,
    /// The feature that each column is made of.
    pub features: Vec<usize>,
    /// The attributions by their own covers.
    pub by_covers: OnceCell<Attributions>,
    /// The trees themselves and what sums are multiplied with, where they have no covers.
    pub uncovered: Option<(Ensemble, f64)>,
    columns: Option<RefCell<NativeEngine>>,
}

/// Sums of a version without trees.
pub struct Sums {
    engine: RefCell<Box<NativeEngine>>,
    /// What becomes of them.
    pub link: Link,
    /// Whether each is a sum of functions of one feature.
    pub is_additive: bool,
}

impl Decided {
    /// Reads what a version adds up; `decision` is what its engine knows of it.
    ///
    /// # Errors
    /// What reading reports, and trees that cannot be explained.
    pub fn read(schema: Schema, version: &Version, decision: Option<Decision>) -> Result<Self> {
        let found = Stored::find(schema, version)?;
        let (reference, interface) = (version.reference(), &version.interface);
        let of_model = |error: Error| error.of_model(&reference);
        if matches!(found.framework.as_str(), "xgboost" | "lightgbm") {
            let (bytes, _) = found.artifacts(schema, version)?;
            let _state = wait::loading();
            if let Some(trained) = formats::read(&bytes) {
                let trained = trained?;
                let leaves = Rc::new(Leaves::of(&trained.ensemble, trained.link.divisor).map_err(of_model)?);
                let mut features = vec![0; trained.ensemble.width];
                for (index, feature) in interface.features.iter().enumerate() {
                    if let Some(place) = features.get_mut(feature.position) {
                        *place = index;
                    }
                }
                let link = Link::of(trained.link.function, interface);
                let times = 1.0 / f64::from(trained.link.divisor.unwrap_or(1).max(1));
                let uncovered = (!leaves.have_covers()).then_some((trained.ensemble, times));
                let whole = Rc::clone(&leaves);
                let by_covers = OnceCell::new();
                return Ok(Self::Trees(Box::new(Trees {
                    leaves,
                    whole,
                    link,
                    features,
                    by_covers,
                    uncovered,
                    columns: None,
                })));
            }
        }
        let Some(Decision { by, after }) = decision else { return Ok(Self::Unknown) };
        let link = Link::after(after, interface);
        match by {
            By::Sums { engine, is_additive } => {
                Ok(Self::Sums(Sums { engine: RefCell::new(engine), link, is_additive }))
            }
            By::Trees(mut deciding) => {
                if found.framework == "sklearn" {
                    let (bytes, _) = found.artifacts(schema, version)?;
                    let _state = wait::loading();
                    if let Some(Ok(mut model)) = e2i_skops::read(&bytes)
                        && model.trees.len() == 1
                        && let Some(own) = model.trees.pop()
                        && (own.width, own.targets) == (deciding.ensemble.width, deciding.ensemble.targets)
                    {
                        deciding.ensemble = own;
                    }
                }
                Ok(Trees::of(interface, *deciding, link)
                    .map_err(of_model)?
                    .map_or(Self::Unknown, |trees| Self::Trees(Box::new(trees))))
            }
        }
    }

    /// What becomes of sums.
    pub fn link(&self) -> Link {
        match self {
            Self::Trees(trees) => trees.link,
            Self::Sums(sums) => sums.link,
            Self::Unknown => Link::Identity,
        }
    }

    /// The trees, if there are any.
    pub fn trees(&self) -> Option<&Trees> {
        if let Self::Trees(trees) = self { Some(trees) } else { None }
    }

    /// Whether each sum is one of functions of one feature.
    pub fn is_additive(&self) -> bool {
        matches!(self, Self::Sums(sums) if sums.is_additive)
    }

    /// What it holds, in bytes.
    pub fn memory_bytes(&self) -> usize {
        match self {
            Self::Trees(trees) => trees.memory_bytes(),
            // Its image is the loaded model's.
            Self::Sums(sums) => size_of_val(sums),
            Self::Unknown => 0,
        }
    }
}

impl Sums {
    /// The sums of rows.
    ///
    /// # Errors
    /// What the engine reports, rows that are refused among it.
    pub fn of(&self, rows: &Batch) -> Result<Vec<f64>> {
        computed(&mut self.engine.borrow_mut(), rows)
    }
}

impl Trees {
    /// `None` where a column is made of no feature.
    fn of(interface: &Interface, deciding: Deciding, link: Link) -> Result<Option<Self>> {
        let Deciding { ensemble, times, columns, cells } = deciding;
        let feature = |(tensor, position): &(usize, usize)| {
            interface.features.iter().position(|one| (one.tensor, one.position) == (*tensor, *position))
        };
        let Some(features) = cells.iter().map(feature).collect::<Option<Vec<usize>>>() else { return Ok(None) };
        let first = |feature: &usize| features.iter().position(|of| of == feature).unwrap_or(0) as u32;
        let players: Vec<u32> = features.iter().map(first).collect();
        let leaves = Rc::new(Leaves::with_players(&ensemble, times, None)?);
        let is_each = players.iter().enumerate().all(|(column, player)| column == *player as usize);
        let whole = match is_each {
            true => Rc::clone(&leaves),
            false => Rc::new(Leaves::with_players(&ensemble, times, Some(&players))?),
        };
        let uncovered = (!leaves.have_covers()).then_some((ensemble, times));
        let columns = Some(RefCell::new(columns));
        Ok(Some(Self { leaves, whole, link, features, by_covers: OnceCell::new(), uncovered, columns }))
    }

    /// The numbers of rows, as the trees read them, one row after the other.
    ///
    /// # Errors
    /// What computing them reports, rows that are refused among it.
    pub fn columns(&self, batch: &Batch) -> Result<Vec<f64>> {
        if let Some(engine) = &self.columns {
            return computed(&mut engine.borrow_mut(), batch);
        }
        let cells = batch.rows() * self.leaves.width();
        let tensor = batch.tensors().first().filter(|tensor| tensor.width == self.leaves.width());
        let all = tensor.and_then(|tensor| numbers(&tensor.values, cells));
        all.ok_or_else(|| Error::new(Kind::Internal, "a row is not shaped for its trees"))
    }

    fn memory_bytes(&self) -> usize {
        let whole = if Rc::ptr_eq(&self.leaves, &self.whole) { 0 } else { self.whole.memory_bytes() };
        let nodes = self.uncovered.iter().flat_map(|(ensemble, _)| &ensemble.trees).map(|tree| tree.nodes.len());
        self.leaves.memory_bytes()
            + whole
            + nodes.sum::<usize>() * size_of::<e2i_core::native::Node>()
            + self.by_covers.get().map_or(0, Attributions::memory_bytes)
    }
}

fn numbers(column: &Column, cells: usize) -> Option<Vec<f64>> {
    (0..cells).map(|cell| column.number(cell)).collect()
}

/// The numbers that an engine computes of rows.
fn computed(engine: &mut NativeEngine, rows: &Batch) -> Result<Vec<f64>> {
    let mut outputs = Outputs::default();
    loop {
        match engine.score(rows, OutputSet::MAIN, &mut outputs) {
            // Returns only when the interrupt was withdrawn meanwhile.
            Err(error) if error.kind() == Kind::Interrupted => interrupt::check(),
            done => break done?,
        }
    }
    let all = numbers(&outputs.main, rows.rows() * outputs.width);
    all.ok_or_else(|| Error::new(Kind::Internal, "what a model adds up is no number"))
}
