//! Exact attributions of the sums of trees: what each column adds to the sum of a row, beyond what is expected without it.
//!
//! What a leaf gives to its players depends on nothing but which of them the row holds: for leaves of few players there are tables
//! of all patterns, one for each group of leaves, within a bound of memory; for the others it is computed for the row. Rows are looked at in blocks.
//! Everything is added in float64, in the order of the groups.

use std::collections::BTreeSet;
use std::ops::Range;
use std::rc::Rc;

use e2i_core::{Error, Kind, Result};

use crate::groups::Group;
use crate::kernels::{BITS, Pair};
use crate::leaves::{Answers, Leaf, Leaves};
use crate::shapley::{Pairs, Shares};

/// What stands for a column that is not known.
#[derive(Debug)]
pub(crate) enum Game {
    /// What of the training data took each turn.
    Covers(Shares),
    /// The rows of a background.
    Background(Background),
}

/// Rows that stand for what is not known.
#[derive(Debug)]
pub(crate) struct Background {
    pub(crate) pairs: Pairs,
    answers: Answers,
    rows: usize,
    /// For each leaf that is computed for each row, the patterns of the background with the part of its rows that have it.
    pub(crate) patterns: Vec<Vec<(u64, f64)>>,
}

/// What the leaves of a group give together: for each pattern two numbers for each two cells of an answer.
#[derive(Debug)]
pub(crate) struct Table {
    /// Where its numbers begin.
    pub(crate) start: usize,
    /// Where its cells are, of which there is an even number.
    pub(crate) cells: Range<usize>,
    /// Patterns that there are.
    pub(crate) patterns: usize,
}

/// The attributions of one ensemble by one method.
#[derive(Debug)]
pub struct Attributions {
    pub(crate) leaves: Rc<Leaves>,
    pub(crate) game: Game,
    /// What is expected of each target.
    base: Vec<f64>,
    /// The numbers of all tables, and after them as many as a pattern can lead to.
    pub(crate) numbers: Vec<Pair>,
    /// The numbers of cells that tables add to: a number a target and column, and one for nobody.
    pub(crate) cells: Vec<u32>,
    /// For each group its table.
    pub(crate) tables: Vec<Option<Table>>,
}

impl Attributions {
    /// By the covers of the trees (path-dependent), with tables of at most so many bytes.
    ///
    /// # Errors
    /// [`Kind::WrongState`] where a tree has no covers, [`Kind::Interrupted`] when `interrupted` says so.
    pub fn by_covers(leaves: Rc<Leaves>, bytes: usize, interrupted: fn() -> bool) -> Result<Self> {
        if !leaves.have_covers() {
            let message = "the file of the model does not say how much training data came to each branch of its trees";
            return Err(Error::new(Kind::WrongState, message));
        }
        let most = most_players(&leaves);
        let shares = Shares::new(most);
        let mut base = leaves.constant.clone();
        for leaf in &leaves.leaves {
            let part: f64 = shares_of(&leaves, leaf).product();
            leaves.weights[leaf.weights.clone()]
                .iter()
                .for_each(|(target, value)| base[*target as usize] += part * value);
        }
        let mut made = Self::new(leaves, base, Game::Covers(Shares::new(0)));
        made.fill(bytes, interrupted, |leaves, index, tables| {
            let of: Vec<f64> = shares_of(leaves, &leaves.leaves[index]).collect();
            shares.table(&of, tables);
        })?;
        made.game = Game::Covers(shares);
        Ok(made)
    }

    /// By the rows of a background (interventional), which have the ensemble's width, one after the other.
    ///
    /// # Errors
    /// [`Kind::BadOption`] for no rows, [`Kind::Interrupted`] when `interrupted` says so.
    pub fn by_background(leaves: Rc<Leaves>, rows: &[f64], bytes: usize, interrupted: fn() -> bool) -> Result<Self> {
        let count = rows.len() / leaves.width().max(1);
        if count == 0 {
            return Err(Error::new(Kind::BadOption, "the background has no rows"));
        }
        let answers = leaves.answers(rows);
        let mut base = vec![0.0; leaves.targets()];
        for sums in leaves.sums_of(&answers, count).chunks_exact(leaves.targets()) {
            base.iter_mut().zip(sums).for_each(|(base, sum)| *base += sum / count as f64);
        }
        let pairs = Pairs::new(most_players(&leaves));
        let patterns_of = |leaves: &Leaves, leaf: &Leaf| {
            let mut all: Vec<u64> = (0..count).map(|row| leaves.pattern(leaf, &answers, row)).collect();
            all.sort_unstable();
            let alike = all.chunk_by(|a, b| a == b);
            alike.map(|alike| (alike[0], alike.len() as f64 / count as f64)).collect::<Vec<(u64, f64)>>()
        };
        let empty = Background { pairs: Pairs::new(0), answers: Answers::default(), rows: 0, patterns: vec![] };
        let mut made = Self::new(leaves, base, Game::Background(empty));
        let mut patterns = vec![];
        made.fill(bytes, interrupted, |leaves, index, tables| {
            let leaf = &leaves.leaves[index];
            pairs.table(leaf.players.len(), &patterns_of(leaves, leaf), tables);
        })?;
        for (group, table) in made.leaves.groups.groups.iter().zip(&made.tables) {
            let computed = |leaf: &Leaf| if table.is_none() { patterns_of(&made.leaves, leaf) } else { vec![] };
            patterns.extend(made.leaves.leaves[group.leaves.clone()].iter().map(computed));
        }
        made.game = Game::Background(Background { pairs, answers, rows: count, patterns });
        Ok(made)
    }

    fn new(leaves: Rc<Leaves>, base: Vec<f64>, game: Game) -> Self {
        Self { leaves, game, base, numbers: vec![], cells: vec![], tables: vec![] }
    }

    /// Makes the tables that fit; `unit` gives for a leaf that adds 1 the numbers of each player for each pattern of them.
    fn fill(
        &mut self,
        bytes: usize,
        interrupted: fn() -> bool,
        mut unit: impl FnMut(&Leaves, usize, &mut Vec<f64>),
    ) -> Result<()> {
        const GROUPS_BETWEEN_LOOKS: usize = 64;
        let leaves = Rc::clone(&self.leaves);
        let mut of_leaf = vec![];
        for (index, group) in leaves.groups.groups.iter().enumerate() {
            if index % GROUPS_BETWEEN_LOOKS == 0 && interrupted() {
                return Err(Error::new(Kind::Interrupted, "the run was interrupted"));
            }
            let table = self.table(group, bytes);
            if let Some(table) = &table {
                for leaf in group.leaves.clone() {
                    of_leaf.clear();
                    unit(&leaves, leaf, &mut of_leaf);
                    self.add_to_table(table, group, &leaves.leaves[leaf], &of_leaf);
                }
            }
            self.tables.push(table);
        }
        // Whatever a byte says is within the numbers.
        let widest = self.tables.iter().flatten().map(|table| table.cells.len() / 2).max().unwrap_or(0);
        self.numbers.resize(self.numbers.len() + (widest << BITS), [0.0; 2]);
        self.numbers.shrink_to_fit();
        Ok(())
    }

    /// An empty table for a group, if it can have one and fits.
    fn table(&mut self, group: &Group, bytes: usize) -> Option<Table> {
        let leaves = &self.leaves;
        let mut cells = BTreeSet::new();
        for leaf in &leaves.leaves[group.leaves.clone()] {
            if leaf.players.len() > BITS {
                return None;
            }
            for (target, _) in &leaves.weights[leaf.weights.clone()] {
                let cell = |column: u32| target * leaves.width() as u32 + column;
                cells.extend(leaves.players[leaf.players.clone()].iter().map(|player| cell(player.column)));
            }
        }
        let patterns = 1 << leaves.groups.bits(group).len();
        let more = cells.len().div_ceil(2) * patterns;
        let (start, first) = (self.numbers.len(), self.cells.len());
        if (start + more) * size_of::<Pair>() > bytes {
            return None;
        }
        self.numbers.resize(start + more, [0.0; 2]);
        self.cells.extend(cells);
        if (self.cells.len() - first) % 2 == 1 {
            self.cells.push((leaves.width() * leaves.targets()) as u32);
        }
        Some(Table { start, cells: first..self.cells.len(), patterns })
    }

    /// Adds what a leaf of a group gives.
    fn add_to_table(&mut self, table: &Table, group: &Group, leaf: &Leaf, of_leaf: &[f64]) {
        let (leaves, width) = (&self.leaves, self.leaves.width() as u32);
        let players = &leaves.players[leaf.players.clone()];
        let meant: Vec<(usize, usize)> = players
            .iter()
            .map(|player| leaves.groups.meant(group, player.column, &leaves.turns[player.turns.clone()]))
            .collect();
        let own = |pattern: usize| {
            let holds = |(mask, right): &(usize, usize)| usize::from(pattern & mask == *right);
            meant.iter().enumerate().fold(0, |own, (place, meant)| own | holds(meant) << place)
        };
        let own: Vec<usize> = (0..table.patterns).map(own).collect();
        let cells = &self.cells[table.cells.clone()];
        for (player, got) in players.iter().zip(of_leaf.chunks_exact(1 << players.len())) {
            for (target, value) in &leaves.weights[leaf.weights.clone()] {
                let Some(place) = cells.iter().position(|cell| *cell == target * width + player.column) else {
                    continue;
                };
                let pairs = self.numbers[table.start + place / 2..].iter_mut().step_by(cells.len() / 2);
                for (pair, own) in pairs.zip(&own) {
                    pair[place % 2] += value * got[*own];
                }
            }
        }
    }

    /// What is expected of each target when no column is known.
    #[must_use]
    pub fn base(&self) -> &[f64] {
        &self.base
    }

    /// The leaves.
    #[must_use]
    pub fn leaves(&self) -> &Leaves {
        &self.leaves
    }

    /// What it holds besides the leaves, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let background = match &self.game {
            Game::Covers(_) => 0,
            Game::Background(background) => {
                background.answers.memory_bytes()
                    + background.patterns.iter().map(|patterns| 16 * patterns.len()).sum::<usize>()
            }
        };
        size_of::<Self>()
            + self.numbers.len() * size_of::<Pair>()
            + self.cells.len() * size_of::<u32>()
            + self.tables.len() * size_of::<Option<Table>>()
            + background
    }

    /// What each column of a row adds to another number, as shap scales it: for each background row, in the proportion in which the
    /// other number differs where the margin does; `moves` says of the margins of the row and of a background row both differences, or,
    /// where the margins are the same, how fast the one moves with the other.
    ///
    /// # Errors
    /// [`Kind::Internal`] without a background.
    pub fn scaled(&self, row: &[f64], target: usize, moves: impl Fn(f64, f64) -> f64) -> Result<Vec<f64>> {
        let Game::Background(background) = &self.game else {
            return Err(Error::new(Kind::Internal, "no background to scale by"));
        };
        let leaves = &self.leaves;
        let answers = leaves.answers(row);
        let count = background.rows;
        let (own, others) = (leaves.sums_of(&answers, 1), leaves.sums_of(&background.answers, count));
        let factor = |other: usize| moves(own[target], others[other * leaves.targets() + target]) / count as f64;
        let factors: Vec<f64> = (0..count).map(factor).collect();
        let mut all = vec![0.0; leaves.width()];
        let mut got = vec![];
        for leaf in &leaves.leaves {
            let weights = leaves.weights[leaf.weights.clone()].iter();
            let weight: f64 = weights.filter(|(of, _)| *of as usize == target).map(|(_, value)| value).sum();
            let players = &leaves.players[leaf.players.clone()];
            if weight == 0.0 || players.is_empty() {
                continue;
            }
            let pattern = leaves.pattern(leaf, &answers, 0);
            got.clear();
            got.resize(players.len(), 0.0);
            for (other, factor) in factors.iter().enumerate() {
                let theirs = leaves.pattern(leaf, &background.answers, other);
                background.pairs.add(players.len(), pattern, theirs, weight * factor, &mut got);
            }
            players.iter().zip(&got).for_each(|(player, got)| all[player.column as usize] += got);
        }
        Ok(all)
    }
}

fn shares_of(leaves: &Leaves, leaf: &Leaf) -> impl Iterator<Item = f64> {
    leaves.players[leaf.players.clone()].iter().map(|player| player.share)
}

fn most_players(leaves: &Leaves) -> usize {
    leaves.leaves.iter().map(|leaf| leaf.players.len()).max().unwrap_or(0)
}
