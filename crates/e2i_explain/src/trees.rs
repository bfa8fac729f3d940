//! Exact attributions of the sums of trees: what each column adds to the sum of a row, beyond what is expected without it.
//!
//! What a leaf gives to its players depends on nothing but which of them the row holds: for leaves of few players there is a table
//! of all patterns, within a bound of memory, and for the others it is computed for the row. Rows are looked at in words of 64.
//! Everything is added in float64.

use std::rc::Rc;

use e2i_core::{Error, Kind, Result};

use crate::leaves::{Answers, Leaf, Leaves, ROWS};
use crate::shapley::{Pairs, Shares};

/// Most players of a leaf that has a table.
const PLAYERS: usize = 8;

/// What stands for a column that is not known.
#[derive(Debug)]
enum Game {
    /// What of the training data took each turn.
    Covers(Shares),
    /// The rows of a background.
    Background(Background),
}

/// Rows that stand for what is not known.
#[derive(Debug)]
struct Background {
    pairs: Pairs,
    answers: Answers,
    rows: usize,
    /// For each leaf that is computed for each row, the patterns of the background with the part of its rows that have it.
    patterns: Vec<Vec<(u64, f64)>>,
}

/// The attributions of one ensemble by one method.
#[derive(Debug)]
pub struct Attributions {
    leaves: Rc<Leaves>,
    game: Game,
    /// What is expected of each target.
    base: Vec<f64>,
    tables: Vec<f64>,
    /// For each leaf where its table begins.
    starts: Vec<Option<usize>>,
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
        let mut made = Self { base, tables: vec![], starts: vec![], game: Game::Covers(Shares::new(0)), leaves };
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
        let mut made = Self { base, tables: vec![], starts: vec![], game: Game::Background(empty), leaves };
        let mut patterns = vec![];
        made.fill(bytes, interrupted, |leaves, index, tables| {
            let leaf = &leaves.leaves[index];
            pairs.table(leaf.players.len(), &patterns_of(leaves, leaf), tables);
        })?;
        for (leaf, start) in made.leaves.leaves.iter().zip(&made.starts) {
            patterns.push(if start.is_none() { patterns_of(&made.leaves, leaf) } else { vec![] });
        }
        made.game = Game::Background(Background { pairs, answers, rows: count, patterns });
        Ok(made)
    }

    /// Makes the tables that fit.
    fn fill(
        &mut self,
        bytes: usize,
        interrupted: fn() -> bool,
        mut table: impl FnMut(&Leaves, usize, &mut Vec<f64>),
    ) -> Result<()> {
        const LEAVES_BETWEEN_LOOKS: usize = 256;
        for (index, leaf) in self.leaves.leaves.iter().enumerate() {
            if index % LEAVES_BETWEEN_LOOKS == 0 && interrupted() {
                return Err(Error::new(Kind::Interrupted, "the run was interrupted"));
            }
            let players = leaf.players.len();
            let size = players << players.min(PLAYERS + 1);
            let fits = players <= PLAYERS && (self.tables.len() + size) * size_of::<f64>() <= bytes;
            self.starts.push(fits.then_some(self.tables.len()));
            if fits {
                table(&self.leaves, index, &mut self.tables);
            }
        }
        self.tables.shrink_to_fit();
        Ok(())
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
            + self.tables.len() * size_of::<f64>()
            + self.starts.len() * size_of::<Option<usize>>()
            + background
    }

    /// The attributions of rows of the ensemble's width, one after the other: for each row, for each target, a number for each
    /// column. A column that no path asks has exactly 0.
    #[must_use]
    pub fn of_rows(&self, rows: &[f64]) -> Vec<f64> {
        let (width, targets) = (self.leaves.width(), self.leaves.targets());
        let cells = width * targets;
        let mut all = vec![0.0; rows.len() / width.max(1) * cells];
        // A column of rows for each number, so that rows beside each other are added together.
        let mut sums = vec![[0.0; ROWS]; cells];
        for (rows, all) in rows.chunks(width.max(1) * ROWS).zip(all.chunks_mut((cells * ROWS).max(1))) {
            sums.iter_mut().for_each(|sums| sums.fill(0.0));
            self.add_word(&self.leaves.answers(rows), rows.len() / width.max(1), &mut sums);
            for (row, all) in all.chunks_exact_mut(cells.max(1)).enumerate() {
                all.iter_mut().zip(&sums).for_each(|(number, sums)| *number = sums[row]);
            }
        }
        all
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

    fn add_word(&self, answers: &Answers, rows: usize, sums: &mut [[f64; ROWS]]) {
        let mut got = vec![];
        for (index, leaf) in self.leaves.leaves.iter().enumerate() {
            let players = &self.leaves.players[leaf.players.clone()];
            let weights = &self.leaves.weights[leaf.weights.clone()];
            if players.is_empty() || weights.is_empty() {
                continue;
            }
            let Some(start) = self.starts[index] else {
                let patterns = (0..rows).map(|row| self.leaves.pattern(leaf, answers, row));
                for (row, pattern) in patterns.enumerate() {
                    self.compute(index, pattern, &mut got);
                    for (player, got) in players.iter().zip(&got) {
                        for (target, value) in weights {
                            sums[*target as usize * self.leaves.width() + player.column as usize][row] += value * got;
                        }
                    }
                }
                continue;
            };
            let mut patterns = [0u8; ROWS];
            for (place, player) in players.iter().enumerate() {
                let held = self.leaves.player(player, answers, 0);
                for (row, pattern) in patterns.iter_mut().enumerate().take(rows) {
                    *pattern |= ((held >> row & 1) as u8) << place;
                }
            }
            let size = 1usize << players.len();
            let tables = self.tables[start..start + players.len() * size].chunks_exact(size);
            for (player, table) in players.iter().zip(tables) {
                for (target, value) in weights {
                    let sums = &mut sums[*target as usize * self.leaves.width() + player.column as usize];
                    for (sum, pattern) in sums.iter_mut().zip(&patterns).take(rows) {
                        *sum += value * table[*pattern as usize];
                    }
                }
            }
        }
    }

    /// What the players of a leaf without a table get for a pattern.
    fn compute(&self, index: usize, pattern: u64, got: &mut Vec<f64>) {
        let leaf = &self.leaves.leaves[index];
        match &self.game {
            Game::Covers(shares) => {
                let mut of = [0.0; 64];
                for (place, share) in of.iter_mut().zip(shares_of(&self.leaves, leaf)) {
                    *place = share;
                }
                shares.of_pattern(&of[..leaf.players.len()], pattern, got);
            }
            Game::Background(background) => {
                got.clear();
                got.resize(leaf.players.len(), 0.0);
                for (other, times) in &background.patterns[index] {
                    background.pairs.add(leaf.players.len(), pattern, *other, *times, got);
                }
            }
        }
    }
}

fn shares_of(leaves: &Leaves, leaf: &Leaf) -> impl Iterator<Item = f64> {
    leaves.players[leaf.players.clone()].iter().map(|player| player.share)
}

fn most_players(leaves: &Leaves) -> usize {
    leaves.leaves.iter().map(|leaf| leaf.players.len()).max().unwrap_or(0)
}
