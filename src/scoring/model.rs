//! A model that this backend has loaded.
//!
//! A native model is counted as its image and its buffers, one of ONNX Runtime as seven times the bytes of its graphs and 64 kB a graph.
//! The runtime's memory arena is off: it would keep the memory of the largest batch for the life of the session. Scoring a row allocates
//! nothing but text and what the answer needs.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use e2i_core::native::Decision;
use e2i_core::reading::{Question, needed};
use e2i_core::{Answer, Batch, Binder, Engine, Error, Interface, Kind, Known, OutputSet, Outputs, Result};
use e2i_metrics::{Function, Scorer};

use crate::catalog::model::{ModelId, Version};
use crate::catalog::schema::Schema;
use crate::explain;
use crate::metrics::clock;
use crate::metrics::counter::{self, Counter};
use crate::pg::interrupt;
use crate::scoring::engines::{self, Preference};
use crate::scoring::explained::{Contributions, Explained, Explanation, Pair, Wanted};
use crate::settings::{self, EngineChoice};

/// ONNX Runtime for the batches of a version whose rows the native engine scores.
struct ForBatches {
    /// From how many rows on.
    from: usize,
    schema: Schema,
    version: Version,
    /// Loaded by the first such batch.
    engine: RefCell<Option<Box<dyn Engine>>>,
}

impl ForBatches {
    fn of(schema: Schema, version: &Version, preference: Preference, engine: &dyn Engine) -> Option<Self> {
        let may = preference.engine == EngineChoice::Fastest && engine.name() == "native";
        let from = version.interface.engine_times.as_ref().filter(|_| may)?.faster_on_runtime_from()?;
        Some(Self { from, schema, version: version.clone(), engine: RefCell::new(None) })
    }
}

/// Of how many sets of what may be known a loaded model keeps its engine.
const MOST_PRUNED: usize = 8;

/// An engine for rows of which something is known, with the same answers as the model's to all.
pub struct Pruned(RefCell<Box<dyn Engine>>);

impl Pruned {
    /// Branches of the model's trees, and how many of them are left.
    pub fn nodes(&self) -> Option<(usize, usize)> {
        self.0.borrow().nodes()
    }

    /// The code that does most of the work for batches of so many rows.
    pub fn kernel(&self, rows: usize) -> Option<String> {
        self.0.borrow().kernel(rows)
    }
}

/// A version with its engine.
pub struct LoadedModel {
    /// The version's identity.
    pub id: ModelId,
    /// Model name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Binds features to it; holds its interface and reference.
    pub binder: Binder,
    engine: RefCell<Box<dyn Engine>>,
    for_batches: Option<ForBatches>,
    /// For rows of which something is known, the last ones first; `None` where nothing is gained.
    pruned: RefCell<Vec<(Known, Option<Rc<Pruned>>)>>,
    /// From how many rows on it may pay to make one of these.
    pub pruning_pays_from: f64,
    /// What its engine was chosen by.
    pub preference: Preference,
    /// How long loading took.
    pub load_time: Duration,
    /// Statements that found it loaded.
    pub hits: Cell<u64>,
    /// When a statement last used it, as the server's timestamp.
    pub last_used: Cell<i64>,
    /// Bytes it held when it was last used, which is what the cache has counted.
    pub bytes: Cell<usize>,
    /// Order of use among the loaded models; larger is later.
    pub turn: Cell<u64>,
    /// Whether it is in the session's cache, and not only in use.
    pub is_cached: Cell<bool>,
    scorer: Scorer,
    /// Why it scores as it does, once somebody has asked.
    explained: RefCell<Option<Rc<Explained>>>,
    /// Where its loading is counted, and the bytes that were counted; `None` for one that is not kept.
    held: RefCell<Option<(Rc<Counter>, i64)>>,
}

impl Drop for LoadedModel {
    fn drop(&mut self) {
        self.leave();
    }
}

impl LoadedModel {
    /// Reads the bytes of a version and loads them.
    ///
    /// # Errors
    /// What reading or the runtime reports.
    pub fn load(schema: Schema, version: &Version, preference: Preference) -> Result<Self> {
        let begun = Instant::now();
        let opened = engines::open(schema, version, preference);
        let load_time = begun.elapsed();
        clock::loaded(load_time);
        let engine = opened?;
        let scorer = Scorer::named(engine.name());
        let for_batches = ForBatches::of(schema, version, preference, &*engine);
        Ok(Self {
            id: version.id,
            name: version.name.clone(),
            version: version.version.clone(),
            binder: Binder::new(Arc::new(version.interface.clone()), version.reference()),
            pruning_pays_from: engine.pruning_pays_from(),
            engine: RefCell::new(engine),
            for_batches,
            pruned: RefCell::default(),
            preference,
            load_time,
            hits: Cell::new(0),
            last_used: Cell::new(0),
            bytes: Cell::new(0),
            turn: Cell::new(0),
            is_cached: Cell::new(false),
            scorer,
            explained: RefCell::new(None),
            held: RefCell::new(None),
        })
    }

    /// It is kept for later statements: counted as loaded, until it goes.
    pub fn enter(&self) {
        let loading = Counter::of(Function::Load, self.scorer, self.id, "", self.reference());
        let bytes = i64::try_from(self.memory_bytes()).unwrap_or(i64::MAX);
        loading.load(1, bytes);
        loading.count(|tally| {
            tally.loads += 1;
            tally.load_ns += counter::nanoseconds(self.load_time);
        });
        self.held.replace(Some((loading, bytes)));
    }

    /// A statement found it loaded.
    pub fn hit(&self) {
        self.hits.set(self.hits.get() + 1);
        if let Some((loading, _)) = &*self.held.borrow() {
            loading.count(|tally| tally.hits += 1);
        }
    }

    /// It goes from memory, now or with the process.
    pub fn leave(&self) {
        if let Some((loading, bytes)) = self.held.take() {
            loading.load(-1, -bytes);
        }
    }

    /// Where calls of a function through a service are counted, if they are.
    pub fn counter(&self, function: Function, service: &str) -> Option<Rc<Counter>> {
        (settings::metrics() || explain::is_on())
            .then(|| Counter::of(function, self.scorer, self.id, service, self.reference()))
    }

    /// What it takes and gives.
    pub fn interface(&self) -> &Interface {
        self.binder.interface()
    }

    /// Whether rows that are read ahead may be scored together: each has the bits that it has alone, as always with the native engine
    /// and with ONNX Runtime where registration has found it, or the session wants what is fastest.
    pub fn may_be_together(&self) -> bool {
        self.preference.engine == EngineChoice::Fastest
            || self.scorer == Scorer::Native
            || self.interface().is_same_together
    }

    /// `name:version`.
    pub fn reference(&self) -> &str {
        self.binder.model()
    }

    /// The engine's name; both where batches have loaded the other one, too.
    pub fn engine_name(&self) -> &'static str {
        match self.for_batches.as_ref().is_some_and(|batches| batches.engine.borrow().is_some()) {
            true => "native, onnxruntime",
            false => self.engine.borrow().name(),
        }
    }

    /// Bytes it holds.
    pub fn memory_bytes(&self) -> usize {
        let batches = self.for_batches.as_ref().map(|batches| batches.engine.borrow());
        let beside = batches.as_ref().and_then(|engine| engine.as_ref()).map_or(0, |engine| engine.memory_bytes());
        let pruned = self.pruned.borrow();
        let pruned = pruned.iter().filter_map(|(_, pruned)| pruned.as_ref());
        let pruned: usize = pruned.map(|pruned| pruned.0.borrow().memory_bytes()).sum();
        let explained = self.explained.borrow().as_ref().map_or(0, |explained| explained.memory_bytes());
        self.engine.borrow().memory_bytes() + beside + pruned + explained
    }

    /// Why it scores as it does, read from its artifact on first use.
    ///
    /// # Errors
    /// As [`Explained::read`].
    fn explained(&self, schema: Schema) -> Result<Rc<Explained>> {
        if let Some(explained) = &*self.explained.borrow() {
            return Ok(Rc::clone(explained));
        }
        let (interface, cost) = (self.interface().clone(), None);
        let version = Version { id: self.id, name: self.name.clone(), version: self.version.clone(), interface, cost };
        // No borrow is held while the bytes are read.
        let decision = Decision::of(&**self.engine.borrow())?;
        let made = Rc::new(Explained::read(schema, &version, decision)?);
        self.explained.replace(Some(Rc::clone(&made)));
        Ok(made)
    }

    /// Why a row of a batch has the numbers that are meant.
    ///
    /// # Errors
    /// As [`Explained::read`] and [`Explained::explain`].
    pub fn explain(&self, schema: Schema, row: (&Batch, usize), wanted: &Wanted<'_>) -> Result<Vec<Explanation>> {
        self.explained(schema)?.explain(schema, &self.id, row, wanted, &|rows| self.numbers(rows))
    }

    /// What each feature adds to the numbers of rows that are meant; `None` where each row is explained by [`LoadedModel::explain`].
    ///
    /// # Errors
    /// As [`Explained::read`] and [`Explained::contributions`].
    pub fn contributions(&self, schema: Schema, rows: &Batch, wanted: &Wanted<'_>) -> Result<Option<Contributions>> {
        self.explained(schema)?.contributions(schema, &self.id, rows, wanted)
    }

    /// What features and pairs of them add to a number of a row of a batch.
    ///
    /// # Errors
    /// As [`Explained::read`] and [`Explained::interactions`].
    pub fn interactions(&self, schema: Schema, row: (&Batch, usize), wanted: &Wanted<'_>) -> Result<Vec<Pair>> {
        self.explained(schema)?.interactions(schema, &self.id, row, wanted)
    }

    /// Whether its trees know how much training data came to each branch; nothing without trees.
    ///
    /// # Errors
    /// As [`Explained::read`].
    pub fn have_covers(&self, schema: Schema) -> Result<Option<bool>> {
        Ok(self.explained(schema)?.have_covers())
    }

    /// What is expected of its number when nothing is known of a row.
    ///
    /// # Errors
    /// As [`Explained::read`] and [`Explained::base_value`].
    pub fn base_value(&self, schema: Schema, wanted: &Wanted<'_>) -> Result<f64> {
        self.explained(schema)?.base_value(schema, &self.id, wanted, &|rows| self.numbers(rows))
    }

    /// The numbers of rows: the probabilities of a classifier, or all that it gives.
    fn numbers(&self, rows: &Batch) -> Result<Vec<f64>> {
        let interface = self.interface();
        let are_probabilities = interface.task.is_classification() && interface.class_scores.give_probabilities();
        let question = if are_probabilities { Question::Probabilities } else { Question::Vector };
        let wanted = needed(interface, question, self.reference())?;
        let mut outputs = Outputs::default();
        self.score(rows, wanted, &mut outputs)?;
        let mut all = vec![];
        for row in 0..rows.rows() {
            match self.answer(question, &outputs, row)? {
                Answer::Numbers(numbers) => all.extend(numbers),
                Answer::Number(number) => all.push(number),
                Answer::Label(_) => {}
            }
        }
        Ok(all)
    }

    /// The engine for rows of which something is known, made when it is asked for first; `None` where too little is left out to be of use.
    pub fn pruned(&self, known: &Known) -> Option<Rc<Pruned>> {
        if let Some((_, pruned)) = self.pruned.borrow().iter().find(|(other, _)| other == known) {
            return pruned.clone();
        }
        // Nobody needs it: what goes wrong is no error of the statement.
        let made = self.engine.borrow().pruned(known).ok().flatten();
        let made = made.map(|engine| Rc::new(Pruned(RefCell::new(engine))));
        let mut pruned = self.pruned.borrow_mut();
        pruned.truncate(MOST_PRUNED - 1);
        pruned.insert(0, (known.clone(), made.clone()));
        // Those of before go where all together would hold more than the model.
        let (most, mut held) = (self.engine.borrow().memory_bytes(), 0);
        pruned.retain(|(other, pruned)| {
            held += pruned.as_ref().map_or(0, |pruned| pruned.0.borrow().memory_bytes());
            held <= most || other == known
        });
        made
    }

    /// Branches of its trees; see [`Pruned::nodes`].
    pub fn nodes(&self) -> Option<(usize, usize)> {
        self.engine.borrow().nodes()
    }

    /// The code that does most of the work for batches of so many rows.
    pub fn kernel(&self, rows: usize) -> Option<String> {
        self.engine.borrow().kernel(rows)
    }

    /// One call to an engine for so many rows.
    fn score_once(
        &self,
        pruned: Option<&Pruned>,
        batch: &Batch,
        wanted: OutputSet,
        outputs: &mut Outputs,
    ) -> Result<()> {
        let Some(batches) = self.for_batches.as_ref().filter(|batches| batch.rows() >= batches.from) else {
            let engine = pruned.map_or(&self.engine, |pruned| &pruned.0);
            return engine.borrow_mut().score_rows(batch, wanted, outputs);
        };
        if batches.engine.borrow().is_none() {
            // No borrow is held while the bytes are read.
            let opened = engines::open_beside(batches.schema, &batches.version, self.preference)?;
            batches.engine.replace(Some(opened));
        }
        match &mut *batches.engine.borrow_mut() {
            Some(engine) => engine.score_rows(batch, wanted, outputs),
            None => Ok(()),
        }
    }

    /// Scores a batch; rows that are refused stand in the outputs, where the engine can tell which. Interrupts take effect here, after
    /// the engine has come to rest.
    ///
    /// # Errors
    /// What the engine reports.
    pub fn score_rows(&self, batch: &Batch, wanted: OutputSet, outputs: &mut Outputs) -> Result<()> {
        self.score_rows_by(None, batch, wanted, outputs)
    }

    /// The same by an engine that [`LoadedModel::pruned`] has made, if one is given.
    ///
    /// # Errors
    /// What the engine reports.
    pub fn score_rows_by(
        &self,
        pruned: Option<&Pruned>,
        batch: &Batch,
        wanted: OutputSet,
        outputs: &mut Outputs,
    ) -> Result<()> {
        let named = |error: Error| match error.kind() {
            Kind::Runtime => error.of_model(self.reference()),
            _ => error,
        };
        loop {
            // The borrow ends before the interrupt is raised.
            let result = self.score_once(pruned, batch, wanted, outputs);
            match result {
                // Returns only when the interrupt was withdrawn meanwhile.
                Err(error) if error.kind() == Kind::Interrupted => interrupt::check(),
                Err(error) => return Err(named(error)),
                Ok(()) => break,
            }
        }
        outputs.refused.values_mut().for_each(|error| *error = named(error.clone()));
        Ok(())
    }

    /// Scores a batch none of whose rows may be refused.
    ///
    /// # Errors
    /// What the engine reports, and why the first row that is refused is.
    pub fn score(&self, batch: &Batch, wanted: OutputSet, outputs: &mut Outputs) -> Result<()> {
        self.score_rows(batch, wanted, outputs)?;
        outputs.first_refusal()
    }

    /// Reads the answer to a question for one row of what was scored.
    ///
    /// # Errors
    /// What the outputs do not hold.
    #[inline]
    pub fn answer(&self, question: Question, outputs: &Outputs, row: usize) -> Result<Answer> {
        Answer::read(question, self.interface(), self.reference(), outputs, row)
    }
}
