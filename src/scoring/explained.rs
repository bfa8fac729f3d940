//! Why a version scores as it does: by its trees or sums ([`super::decided`]), or by the version itself, asked about mixed rows. Made on
//! first use and kept with the loaded model.
//!
//! Rows are those that were bound to be scored, so that a value is read in one way.

mod contributions;
mod interactions;

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use e2i_core::native::Decision;
use e2i_core::{Batch, Error, Interface, Kind, Result};
use e2i_explain::games::{EXACT_AT_MOST, Played};
use e2i_explain::{Attributions, Leaves, Meant, Method, Space, Work, counted, meant, stored};

pub use self::contributions::Contributions;
pub use self::interactions::Pair;
use crate::catalog::background::{self, Description};
use crate::catalog::model::Version;
use crate::catalog::schema::Schema;
use crate::pg::interrupt;
use crate::scoring::decided::{Decided, Trees};
use crate::scoring::played::{self, Effort, Game};
use crate::settings;

/// Most bytes that the tables of one version may take for each method; leaves beyond that are computed for each row.
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
    /// Where orders are drawn, how many.
    pub samples: Option<usize>,
    /// And until which standard error: of no feature is it greater.
    pub error: Option<f64>,
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
    /// How far each of them may be from the truth, where they were drawn: its standard error.
    pub errors: Option<Vec<f64>>,
    /// How many orders were drawn, each forwards and backwards; 0 where nothing was.
    pub orders: usize,
    /// The number itself, in the space that was asked for.
    pub output: f64,
    /// What the model predicts of it.
    pub prediction: f64,
    /// All numbers of the answer.
    pub numbers: Vec<f64>,
    /// What stood for features that are not known.
    pub background: Option<Description>,
}

impl Explanation {
    /// The class or number that it is of.
    pub fn class(&self, interface: &Interface) -> Option<String> {
        let labels = interface.classes.as_ref().map(|classes| &classes.labels)?;
        let target = match labels.len() {
            2 if self.numbers.len() == 1 => usize::from(!self.meant.opposite),
            _ => self.meant.target,
        };
        labels.get(target).cloned()
    }

    /// The features by what they add, greatest first, those that add nothing left out; of equal ones the first.
    pub fn ranked(&self) -> Vec<usize> {
        ranked(&self.contributions)
    }
}

/// The features by what they add, greatest first, those that add nothing left out; of equal ones the first.
pub fn ranked(contributions: &[f64]) -> Vec<usize> {
    let size = |index: &usize| contributions[*index].abs();
    let mut ranked: Vec<usize> = (0..contributions.len()).filter(|index| contributions[*index] != 0.0).collect();
    ranked.sort_by(|a, b| size(b).total_cmp(&size(a)));
    ranked
}

/// What the version itself says of rows: for each the numbers of its answer.
pub type Ask<'a> = dyn Fn(&Batch) -> Result<Vec<f64>> + 'a;

/// How a version is explained.
pub struct Explained {
    reference: String,
    interface: Interface,
    decided: Decided,
    background: RefCell<Option<Rc<Background>>>,
    work: RefCell<Work>,
}

/// The background of a version, read.
struct Background {
    description: Description,
    rows: Batch,
    by_background: OnceCell<Attributions>,
    /// By covers that were counted over it.
    by_counts: OnceCell<Attributions>,
}

/// What answers are made by.
enum Way<'w> {
    Covers(&'w Trees),
    /// The same with covers that were counted.
    Counts(&'w Trees, Rc<Background>),
    Background(&'w Trees, Rc<Background>),
    /// All coalitions are played, or as many as are drawn.
    Game(Rc<Background>, Method),
}

impl Explained {
    /// Reads what there is to know of a version.
    ///
    /// # Errors
    /// What reading reports, and trees that cannot be explained.
    pub fn read(schema: Schema, version: &Version, decision: Option<Decision>) -> Result<Self> {
        let (reference, interface) = (version.reference(), version.interface.clone());
        let decided = Decided::read(schema, version, decision)?;
        Ok(Self { reference, interface, decided, background: RefCell::new(None), work: RefCell::default() })
    }

    /// Whether it knows how much training data came to each branch of its trees; nothing without trees.
    pub fn have_covers(&self) -> Option<bool> {
        self.decided.trees().map(|trees| trees.leaves.have_covers())
    }

    /// What it holds, in bytes.
    pub fn memory_bytes(&self) -> usize {
        let background = self.background.borrow().as_ref().map_or(0, |background| {
            let cells: usize = background.rows.tensors().iter().map(|tensor| 8 * tensor.values.len()).sum();
            let made = [&background.by_background, &background.by_counts];
            cells + made.into_iter().filter_map(OnceCell::get).map(Attributions::memory_bytes).sum::<usize>()
        });
        size_of::<Self>() + self.decided.memory_bytes() + background + self.work.borrow().memory_bytes()
    }

    /// Why one row of a batch has the numbers that are meant: those of a class, or all.
    ///
    /// # Errors
    /// Spaces, classes and methods that the version has not; what the version reports of mixed rows.
    pub fn explain(
        &self,
        schema: Schema,
        id: &[u8; 16],
        (batch, row): (&Batch, usize),
        wanted: &Wanted<'_>,
        ask: &Ask<'_>,
    ) -> Result<Vec<Explanation>> {
        self.check(wanted)?;
        let way = self.way(schema, id, wanted)?;
        if let Way::Game(background, method) = way {
            return self.play(&background, method, (batch, row), wanted, ask);
        }
        let (trees, background, attributions) = match &way {
            Way::Background(trees, background) => (*trees, Some(background), self.against(trees, background)?),
            Way::Counts(trees, background) => (*trees, Some(background), self.by_counts(trees, background)?),
            Way::Covers(trees) => (*trees, None, self.by_covers(trees)?),
            Way::Game(..) => return Err(Error::new(Kind::Internal, "a game has no trees")),
        };
        let values = match batch.rows() {
            1 => trees.columns(batch)?,
            _ => trees.columns(&batch.picked(&[row]))?,
        };
        let numbers = trees.leaves.sums(&values);
        let (width, count) = (trees.leaves.width(), self.interface.features.len());
        let is_scaled = wanted.space == Space::ProbabilityScaled;
        let all = if is_scaled { vec![] } else { attributions.of_rows(&values) };
        let explained = |meant: Meant| -> Result<Explanation> {
            let sign = if meant.opposite { -1.0 } else { 1.0 };
            let of_columns = match is_scaled {
                true => attributions.scaled(&values, meant.target, |own, other| trees.link.moves(own, other))?,
                false => all[meant.target * width..][..width].to_vec(),
            };
            let mut contributions = vec![0.0; count];
            of_columns
                .iter()
                .zip(&trees.features)
                .for_each(|(number, feature)| contributions[*feature] += sign * number);
            Ok(Explanation {
                meant,
                method: match way {
                    Way::Background(..) => Method::Interventional,
                    _ => Method::PathDependent,
                },
                base: self.base_of(trees, attributions, background, meant, wanted.space)?,
                contributions,
                errors: None,
                orders: 0,
                output: trees.link.value(&numbers, meant, wanted.space),
                prediction: trees.link.value(&numbers, meant, Space::Output),
                numbers: numbers.clone(),
                background: background.map(|background| background.description.clone()),
            })
        };
        self.meant(trees.leaves.targets(), wanted)?.into_iter().map(explained).collect()
    }

    /// What is expected of the number that is meant when nothing is known.
    ///
    /// # Errors
    /// As [`Explained::explain`]; [`Kind::BadOption`] where several numbers could be meant.
    pub fn base_value(&self, schema: Schema, id: &[u8; 16], wanted: &Wanted<'_>, ask: &Ask<'_>) -> Result<f64> {
        self.check(wanted)?;
        let one = |targets: usize| match self.meant(targets, wanted)?[..] {
            [meant] => Ok(meant),
            _ => Err(several(&self.interface, &self.reference)),
        };
        match self.way(schema, id, wanted)? {
            Way::Covers(trees) => {
                let meant = one(trees.leaves.targets())?;
                self.base_of(trees, self.by_covers(trees)?, None, meant, wanted.space)
            }
            Way::Counts(trees, background) => {
                let meant = one(trees.leaves.targets())?;
                self.base_of(trees, self.by_counts(trees, &background)?, None, meant, wanted.space)
            }
            Way::Background(trees, background) => {
                let meant = one(trees.leaves.targets())?;
                self.base_of(trees, self.against(trees, &background)?, Some(&background), meant, wanted.space)
            }
            Way::Game(background, _) => {
                let (numbers, targets) = self.numbers(&background.rows, ask)?;
                let meant = one(targets)?;
                let count = background.rows.rows() as f64;
                Ok(numbers.chunks_exact(targets).map(|numbers| self.value(numbers, meant, wanted.space)).sum::<f64>()
                    / count)
            }
        }
    }

    /// What is expected by trees.
    fn base_of(
        &self,
        trees: &Trees,
        attributions: &Attributions,
        background: Option<&Rc<Background>>,
        meant: Meant,
        space: Space,
    ) -> Result<f64> {
        if space == Space::ProbabilityScaled
            && let Some(background) = background
        {
            let (numbers, targets) = self.numbers(&background.rows, &|_| Ok(vec![]))?;
            let values = numbers.chunks_exact(targets).map(|numbers| trees.link.value(numbers, meant, space));
            return Ok(values.sum::<f64>() / background.rows.rows() as f64);
        }
        let base = attributions.base()[meant.target];
        Ok(match (meant.opposite, space) {
            (false, _) => base,
            (true, Space::Margin) => -base,
            (true, _) => 1.0 - base,
        })
    }

    /// Plays the game of a row.
    fn play(
        &self,
        background: &Rc<Background>,
        method: Method,
        (batch, row): (&Batch, usize),
        wanted: &Wanted<'_>,
        ask: &Ask<'_>,
    ) -> Result<Vec<Explanation>> {
        let own = batch.picked(&[row]);
        let (numbers, targets) = self.numbers(&own, ask)?;
        let meant = self.meant(targets, wanted)?;
        let is_additive = self.decided.is_additive() && self.decided.link().is_linear_in(wanted.space);
        let game = Game {
            reference: &self.reference,
            interface: &self.interface,
            players: &self.players(),
            own: &own,
            others: &background.rows,
            meant: meant.len(),
        };
        let effort = Effort { samples: wanted.samples, error: wanted.error, is_additive };
        let Played { added, errors, orders } = played::play(&game, effort, &mut |rows| {
            let (numbers, targets) = self.numbers(rows, ask)?;
            let values = |row| meant.iter().map(move |meant| self.value(row, *meant, wanted.space));
            Ok(numbers.chunks_exact(targets).flat_map(values).collect())
        })?;
        let explained = meant.iter().enumerate().map(|(index, meant)| {
            let output = self.value(&numbers, *meant, wanted.space);
            let contributions = added[index].clone();
            Explanation {
                meant: *meant,
                method,
                // What was played adds up, so that it need not be scored again.
                base: output - added[index].iter().sum::<f64>(),
                contributions,
                errors: (orders > 0).then(|| errors[index].clone()),
                orders,
                output,
                prediction: self.value(&numbers, *meant, Space::Output),
                numbers: numbers.clone(),
                background: Some(background.description.clone()),
            }
        });
        Ok(explained.collect())
    }

    /// The features that can change anything.
    fn players(&self) -> Vec<usize> {
        match self.decided.trees() {
            None => (0..self.interface.features.len()).collect(),
            Some(trees) => {
                let columns = trees.leaves.columns();
                let mut players: Vec<usize> = columns.iter().map(|column| trees.features[*column as usize]).collect();
                players.sort_unstable();
                players.dedup();
                players
            }
        }
    }

    /// What is said of rows, and how many numbers of each.
    fn numbers(&self, rows: &Batch, ask: &Ask<'_>) -> Result<(Vec<f64>, usize)> {
        let numbers = match &self.decided {
            Decided::Trees(trees) => trees.leaves.sums(&trees.columns(rows)?),
            Decided::Sums(sums) => sums.of(rows)?,
            Decided::Unknown => ask(rows)?,
        };
        let targets = numbers.len() / rows.rows().max(1);
        if targets == 0 {
            return Err(Error::new(Kind::WrongState, format!("model {} gives no numbers to explain", self.reference)));
        }
        Ok((numbers, targets))
    }

    fn value(&self, numbers: &[f64], meant: Meant, space: Space) -> f64 {
        self.decided.link().value(numbers, meant, space)
    }

    fn check(&self, wanted: &Wanted<'_>) -> Result<()> {
        self.decided.link().check(&self.interface, wanted.space, &self.reference)?;
        if let Some(why) = self.interface.varies.as_ref().filter(|_| matches!(self.decided, Decided::Unknown)) {
            let message = format!("model {} cannot be explained: {why}", self.reference);
            return Err(Error::new(Kind::Unsupported, message)
                .with_detail("Its answer to a row is not that row's alone, or not always the same."));
        }
        if matches!(self.decided, Decided::Unknown)
            && self.interface.task.is_classification()
            && self.interface.class_scores.give_probabilities()
            && wanted.space == Space::Margin
        {
            return Err(Error::new(
                Kind::Unsupported,
                format!(
                    "model {} is not explained in space \"margin\": only its probabilities are known",
                    self.reference
                ),
            )
            .with_detail(
                "What a model adds up is known where it ends in trees, in a product, or in a function of sums.",
            )
            .with_hint("Say space => 'probability'."));
        }
        if self.decided.trees().is_none() && wanted.space == Space::ProbabilityScaled {
            return Err(Error::new(
                Kind::Unsupported,
                format!("model {} has no trees whose margins could be scaled to its probability", self.reference),
            )
            .with_hint("Say space => 'probability'."));
        }
        Ok(())
    }

    fn meant(&self, targets: usize, wanted: &Wanted<'_>) -> Result<Vec<Meant>> {
        meant(&self.interface, targets, wanted.class, &self.reference)
    }

    /// How what is wanted is found.
    fn way(&self, schema: Schema, id: &[u8; 16], wanted: &Wanted<'_>) -> Result<Way<'_>> {
        let needed = || self.background(schema, id)?.ok_or_else(|| self.no_background(wanted));
        let Some(trees) = self.decided.trees() else {
            if wanted.method == Some(Method::PathDependent) {
                let message = format!("model {} has no trees with covers", self.reference);
                return Err(Error::new(Kind::Unsupported, message)
                    .with_detail(
                        "Explained by covers are trees, alone or behind steps that make each column of one feature.",
                    )
                    .with_hint("Leave method out, or say method => 'sampled'."));
            }
            let is_closed = self.decided.is_additive() && self.decided.link().is_linear_in(wanted.space);
            if !is_closed {
                self.check_players(wanted)?;
            }
            let own = if is_closed { Method::Interventional } else { Method::Sampled };
            return Ok(Way::Game(needed()?, wanted.method.unwrap_or(own)));
        };
        let is_linear = trees.link.is_linear_in(wanted.space);
        let counts = || -> Result<Option<Way<'_>>> {
            let background = self.background(schema, id)?.filter(|background| background.description.counts_covers);
            Ok(background.map(|background| Way::Counts(trees, background)))
        };
        match wanted.method {
            Some(Method::PathDependent) if !is_linear => {
                let space = wanted.space.name();
                Err(Error::new(
                    Kind::Unsupported,
                    format!("model {} is not explained by its covers in space {space:?}", self.reference),
                )
                .with_detail("By the covers of its trees a model is explained in what it adds up.")
                .with_hint("Say space => 'margin', or method => 'interventional'."))
            }
            None | Some(Method::PathDependent) if is_linear && trees.leaves.have_covers() => Ok(Way::Covers(trees)),
            Some(Method::PathDependent) => counts()?.ok_or_else(|| self.no_covers()),
            None if is_linear && let Some(way) = counts()? => Ok(way),
            Some(Method::Sampled) if wanted.space == Space::ProbabilityScaled => {
                let message = format!("model {} is not sampled in space \"probability_scaled\"", self.reference);
                Err(Error::new(Kind::Unsupported, message).with_hint("Say method => 'interventional'."))
            }
            Some(Method::Sampled) => Ok(Way::Game(needed()?, Method::Sampled)),
            None | Some(Method::Interventional) if is_linear || wanted.space == Space::ProbabilityScaled => {
                Ok(Way::Background(trees, needed()?))
            }
            None | Some(Method::Interventional) => {
                self.check_players(&Wanted { method: Some(Method::Interventional), ..*wanted })?;
                Ok(Way::Game(needed()?, Method::Interventional))
            }
        }
    }

    /// Whether all coalitions can be played, where that was asked for.
    fn check_players(&self, wanted: &Wanted<'_>) -> Result<()> {
        let count = self.players().len();
        if wanted.method != Some(Method::Interventional) || count <= EXACT_AT_MOST {
            return Ok(());
        }
        let message = format!(
            "model {} is explained exactly in space {:?} with up to {EXACT_AT_MOST} features, and has {count}",
            self.reference,
            wanted.space.name()
        );
        Err(Error::new(Kind::Limit, message)
            .with_hint("Say method => 'sampled', which draws orders of the features and states its error."))
    }

    /// The version's background as it is now.
    fn background(&self, schema: Schema, id: &[u8; 16]) -> Result<Option<Rc<Background>>> {
        let Some(description) = background::describe(schema, id) else { return Ok(None) };
        let known = self.background.borrow().as_ref().filter(|known| known.description.id == description.id).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let cells = background::cells(schema, id).unwrap_or_default();
        let rows = stored::read(&self.interface.inputs, usize::try_from(description.kept).unwrap_or(0), &cells)?;
        let read =
            Rc::new(Background { description, rows, by_background: OnceCell::new(), by_counts: OnceCell::new() });
        self.background.replace(Some(Rc::clone(&read)));
        Ok(Some(read))
    }

    /// The attributions by covers, whose tables are made on first use.
    fn by_covers<'t>(&self, trees: &'t Trees) -> Result<&'t Attributions> {
        made(&trees.by_covers, || {
            let made = Attributions::by_covers(Rc::clone(&trees.leaves), bytes(), interrupt::pending);
            made.map_err(|error| if error.kind() == Kind::WrongState { self.no_covers() } else { error })
        })
    }

    /// Those by covers that are counted over a background.
    fn by_counts<'b>(&self, trees: &Trees, background: &'b Background) -> Result<&'b Attributions> {
        made(&background.by_counts, || {
            let (ensemble, times) = trees.uncovered.clone().ok_or_else(|| self.no_covers())?;
            let ensemble = counted(ensemble, &trees.columns(&background.rows)?);
            let leaves = Rc::new(Leaves::with_players(&ensemble, times, None)?);
            Attributions::by_covers(leaves, bytes(), interrupt::pending)
        })
    }

    /// Those against a background.
    fn against<'b>(&self, trees: &Trees, background: &'b Background) -> Result<&'b Attributions> {
        made(&background.by_background, || {
            let rows = trees.columns(&background.rows)?;
            Attributions::by_background(Rc::clone(&trees.whole), &rows, bytes(), interrupt::pending)
        })
    }

    #[cold]
    fn no_covers(&self) -> Error {
        let message =
            format!("model {} does not say how much training data came to each branch of its trees", self.reference);
        let reference = self.reference.replace('\'', "''");
        Error::new(Kind::WrongState, message).with_hint(format!(
            "Have them counted: SELECT e2i_set_background('{reference}', 'SELECT … FROM …', covers => 'count');"
        ))
    }

    #[cold]
    fn no_background(&self, wanted: &Wanted<'_>) -> Error {
        let message = format!(
            "model {} has no background, and needs one to be explained in space {:?}{}",
            self.reference,
            wanted.space.name(),
            wanted.method.map_or(String::new(), |method| format!(" by method {:?}", method.name()))
        );
        Error::new(Kind::WrongState, message).with_hint(self.give_background())
    }

    fn give_background(&self) -> String {
        let reference = self.reference.replace('\'', "''");
        format!("Give it rows to compare with: SELECT e2i_set_background('{reference}', 'SELECT … FROM … LIMIT 100');")
    }
}

/// Bytes that tables may take in this session.
fn bytes() -> usize {
    TABLES_AT_MOST.min(settings::session_cache_bytes() / 2)
}

/// What is made on first use; interrupts take effect between two tries.
fn made(place: &OnceCell<Attributions>, make: impl Fn() -> Result<Attributions>) -> Result<&Attributions> {
    if let Some(made) = place.get() {
        return Ok(made);
    }
    let made = loop {
        match make() {
            // Returns only when the interrupt was withdrawn meanwhile.
            Err(error) if error.kind() == Kind::Interrupted => interrupt::check(),
            made => break made?,
        }
    };
    Ok(place.get_or_init(|| made))
}

/// Of the numbers of an answer, the one that was predicted.
pub fn predicted(interface: &Interface, all: &[Explanation]) -> Option<Explanation> {
    let first = all.first()?;
    let meant = if all.len() == 1 { first.meant } else { e2i_explain::predicted(interface, &first.numbers) };
    all.iter().find(|explanation| explanation.meant == meant).cloned()
}

#[cold]
fn several(interface: &Interface, model: &str) -> Error {
    let message = format!("model {model} gives several numbers, each with a base value of its own");
    Error::new(Kind::BadOption, message).with_hint(match &interface.classes {
        Some(classes) => {
            let first = classes.labels.first().map_or(String::new(), |label| label.replace('\'', "''"));
            format!("Say which: class => '{first}' or another of {}.", classes.labels.join(", "))
        }
        None => "Say which: class => '1' is the first.".to_owned(),
    })
}
