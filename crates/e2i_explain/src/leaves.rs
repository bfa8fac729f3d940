//! Trees as attributions need them: for each leaf the columns that are asked on the way to it, and of rows which of these answer so
//! that they go this way.
//!
//! Made of the ensemble's own nodes: a branch that one side of can never be reached still has its part of the training data. Values
//! are rounded, missing and compared as the ensemble defines it. All branches of one column are one player, also where nodes read the
//! column in several ways.
//!
//! What does not belong here: what a player gets.

use std::ops::Range;

use e2i_core::native::{Aggregate, Ensemble, FeatureUse, Node, Test, Tree};
use e2i_core::{Error, Kind, Result};

use crate::groups::{Groups, questions_below};
use crate::questions::{Question, Turn};

/// Rows that are looked at together: a bit each.
const ROWS: usize = 64;

/// Most players of a leaf: a bit each.
pub(crate) const PLAYERS: usize = 64;

/// Leaves that an ensemble may have: shared nodes have as many as there are ways through them.
const MOST: usize = 1 << 22;

/// A leaf.
#[derive(Debug)]
pub(crate) struct Leaf {
    /// Where its players are.
    pub(crate) players: Range<usize>,
    /// Where its weights are.
    pub(crate) weights: Range<usize>,
}

/// A column that is asked on the way to a leaf.
#[derive(Debug)]
pub(crate) struct Player {
    pub(crate) column: u32,
    /// Where its turns are.
    pub(crate) turns: Range<usize>,
    /// Which part of the training data took these turns.
    pub(crate) share: f64,
}

/// A turn, and the part of what came to the branch that took it.
type Taken = (Turn, f64);

/// All leaves of an ensemble.
#[derive(Debug)]
pub struct Leaves {
    /// How rows are read: an ensemble without trees.
    pub(crate) reading: Ensemble,
    pub(crate) questions: Vec<Question>,
    pub(crate) turns: Vec<Turn>,
    pub(crate) players: Vec<Player>,
    /// What leaves add: target and number.
    pub(crate) weights: Vec<(u32, f64)>,
    pub(crate) leaves: Vec<Leaf>,
    /// Leaves that are looked up together, and whose they are.
    pub(crate) groups: Groups,
    /// What is added to each target for every row.
    pub(crate) constant: Vec<f64>,
    have_covers: bool,
}

/// For each question the rows that answer yes, in words of 64.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    words: usize,
    bits: Vec<u64>,
}

impl Answers {
    pub(crate) fn memory_bytes(&self) -> usize {
        8 * self.bits.len()
    }
}

impl Leaves {
    /// The leaves of an ensemble whose sums are divided by `divisor`.
    ///
    /// # Errors
    /// What is wrong with the ensemble; [`Kind::Unsupported`] where the answers of trees are not added, [`Kind::Limit`] for more
    /// ways, or columns on one, than can be looked at.
    pub fn of(ensemble: &Ensemble, divisor: Option<u32>) -> Result<Self> {
        Self::with_players(ensemble, 1.0 / f64::from(divisor.unwrap_or(1).max(1)), None)
    }

    /// The same of sums that are multiplied with `times`; `players` says for each column which one it is part of, that is the number of
    /// a column that stands for it.
    ///
    /// # Errors
    /// As [`Leaves::of`].
    pub fn with_players(ensemble: &Ensemble, times: f64, players: Option<&[u32]>) -> Result<Self> {
        ensemble.check()?;
        let count = match ensemble.aggregate {
            Aggregate::Sum => 1.0,
            Aggregate::Average => ensemble.trees.len().max(1) as f64,
            Aggregate::Min | Aggregate::Max => {
                let message = "the model takes the least or the greatest of its trees, which has no attributions";
                return Err(Error::new(Kind::Unsupported, message));
            }
        };
        let constant = |target: usize| {
            let base = ensemble.base.get(target).copied().unwrap_or(0.0);
            // What is added last is not averaged.
            if ensemble.base_first { base * times / count } else { base * times }
        };
        let mut made = Self {
            constant: (0..ensemble.targets).map(constant).collect(),
            questions: vec![],
            turns: vec![],
            players: vec![],
            weights: vec![],
            leaves: vec![],
            groups: Groups::default(),
            have_covers: true,
            reading: Ensemble { trees: vec![], features: ensemble.features.clone(), base: vec![], ..*ensemble },
        };
        for tree in &ensemble.trees {
            made.add(tree, times / count, players)?;
        }
        Ok(made)
    }

    fn add(&mut self, tree: &Tree, scale: f64, players: Option<&[u32]>) -> Result<()> {
        let first = self.questions.len() as u32;
        let mut number = vec![0; tree.nodes.len()];
        let mut parents = vec![0u32; tree.nodes.len()];
        for (at, node) in tree.nodes.iter().enumerate() {
            let Node::Branch(branch) = node else { continue };
            number[at] = first + (self.questions.len() as u32 - first);
            let (feature, test) = (branch.feature, branch.test.clone());
            self.questions.push(Question { feature, test, missing_yes: branch.missing_yes });
            parents[branch.yes as usize] += 1;
            parents[branch.no as usize] += 1;
        }
        // Of a node with several parents no cover says how much came from which.
        let is_known = !tree.cover.is_empty() && parents.iter().all(|parents| *parents <= 1);
        self.have_covers &= is_known || matches!(tree.nodes[0], Node::Leaf(_));
        // The way to a node: a turn at each branch above it, and the part of what came there that took it.
        let mut open: Vec<(usize, usize, Option<Taken>)> = vec![(0, 0, None)];
        let mut way: Vec<Taken> = vec![];
        let below = questions_below(tree);
        // The depth at which the group that is open begins.
        let mut group: Option<usize> = None;
        while let Some((at, depth, turn)) = open.pop() {
            way.truncate(depth.saturating_sub(1));
            way.extend(turn);
            if group.is_none_or(|begun| depth <= begun) {
                let columns: Vec<u32> = way.iter().map(|taken| self.column(taken, players)).collect();
                let turns: Vec<(u32, Turn)> = columns.into_iter().zip(way.iter().map(|(turn, _)| *turn)).collect();
                group = self.groups.begin(turns, below[at], self.leaves.len()).then_some(depth);
            }
            match &tree.nodes[at] {
                Node::Leaf(weights) => {
                    if group.is_none() {
                        self.groups.begin_alone(self.leaves.len());
                    }
                    let from = self.weights.len();
                    self.weights.extend(weights.iter().map(|weight| (weight.target, weight.value * scale)));
                    self.leaf(&way, from, players)?;
                }
                Node::Branch(branch) => {
                    if group.is_some() {
                        self.groups.ask(number[at]);
                    }
                    for (next, yes) in [(branch.no as usize, false), (branch.yes as usize, true)] {
                        let share = if is_known { part(tree.cover[next], tree.cover[at]) } else { f64::NAN };
                        open.push((next, depth + 1, Some(((number[at], yes), share))));
                    }
                }
            }
        }
        self.groups.end_tree(self.questions.len(), self.leaves.len());
        Ok(())
    }

    /// The column that decides a turn, or the one that it is part of.
    fn column(&self, ((question, _), _): &Taken, players: Option<&[u32]>) -> u32 {
        let column = self.reading.features[self.questions[*question as usize].feature as usize].column;
        players.and_then(|players| players.get(column as usize)).copied().unwrap_or(column)
    }

    /// One more leaf, with the weights from `from` on.
    fn leaf(&mut self, way: &[Taken], from: usize, players: Option<&[u32]>) -> Result<()> {
        if self.leaves.len() == MOST {
            return Err(Error::new(Kind::Limit, "the trees of the model have too many leaves to be explained"));
        }
        let mut columns: Vec<u32> = way.iter().map(|taken| self.column(taken, players)).collect();
        let of_turns = columns.clone();
        columns.sort_unstable();
        columns.dedup();
        if columns.len() > PLAYERS {
            let message = format!("a leaf of the model depends on more than {PLAYERS} columns");
            return Err(Error::new(Kind::Limit, message));
        }
        let first = self.players.len();
        for column in columns {
            let turns = self.turns.len();
            let mut share = 1.0;
            for ((turn, part), _) in way.iter().zip(&of_turns).filter(|(_, of)| **of == column) {
                self.turns.push(*turn);
                share *= part;
            }
            self.players.push(Player { column, turns: turns..self.turns.len(), share });
        }
        self.leaves.push(Leaf { players: first..self.players.len(), weights: from..self.weights.len() });
        Ok(())
    }

    /// Numbers of a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.reading.width
    }

    /// Numbers of an answer.
    #[must_use]
    pub fn targets(&self) -> usize {
        self.reading.targets
    }

    /// The columns that any branch asks, in order.
    #[must_use]
    pub fn columns(&self) -> Vec<u32> {
        let mut columns: Vec<u32> = self.players.iter().map(|player| player.column).collect();
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// Whether each turn has the part of the training data that took it.
    #[must_use]
    pub fn have_covers(&self) -> bool {
        self.have_covers
    }

    /// What they take, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let members =
            |question: &Question| if let Test::Member(members) = &question.test { 16 * members.len() } else { 0 };
        size_of::<Self>()
            + self.questions.iter().map(|question| members(question) + size_of::<Question>()).sum::<usize>()
            + self.reading.features.len() * size_of::<FeatureUse>()
            + self.turns.len() * size_of::<Turn>()
            + self.players.len() * size_of::<Player>()
            + self.weights.len() * size_of::<(u32, f64)>()
            + self.leaves.len() * size_of::<Leaf>()
            + self.groups.memory_bytes()
    }

    /// What rows answer; they have the ensemble's width, one after the other.
    pub(crate) fn answers(&self, rows: &[f64]) -> Answers {
        let width = self.width().max(1);
        let words = (rows.len() / width).div_ceil(ROWS);
        let mut bits = vec![0; self.questions.len() * words];
        // For each feature the values of the rows of one word, as nodes see them; NaN is missing.
        let mut values = vec![[f64::NAN; ROWS]; self.reading.features.len()];
        for (word, rows) in rows.chunks(width * ROWS).enumerate() {
            for (index, row) in rows.chunks_exact(width).enumerate() {
                for (feature, values) in self.reading.features.iter().zip(&mut values) {
                    values[index] = self.reading.value(row, *feature).unwrap_or(f64::NAN);
                }
            }
            for (number, question) in self.questions.iter().enumerate() {
                let values = &values[question.feature as usize];
                let yes = match &question.test {
                    Test::Less(threshold) => where_holds(values, |value| value < *threshold),
                    Test::LessEqual(threshold) => where_holds(values, |value| value <= *threshold),
                    test @ Test::Member(_) => where_holds(values, |value| !value.is_nan() && test.holds(value)),
                };
                let missing = if question.missing_yes { where_holds(values, f64::is_nan) } else { 0 };
                bits[number * words + word] = yes | missing;
            }
        }
        Answers { words, bits }
    }

    /// The rows of one word that take all turns of a player.
    pub(crate) fn player(&self, player: &Player, answers: &Answers, word: usize) -> u64 {
        self.turns[player.turns.clone()].iter().fold(u64::MAX, |rows, (question, yes)| {
            let said = answers.bits[*question as usize * answers.words + word];
            rows & if *yes { said } else { !said }
        })
    }

    /// The players of a leaf whose turns one row takes, a bit each.
    pub(crate) fn pattern(&self, leaf: &Leaf, answers: &Answers, row: usize) -> u64 {
        let players = self.players[leaf.players.clone()].iter().enumerate();
        let takes = |player| self.player(player, answers, row / ROWS) >> (row % ROWS) & 1;
        players.fold(0, |pattern, (place, player)| pattern | takes(player) << place)
    }

    /// The sums of rows of the ensemble's width, one after the other: for each row a number a target.
    #[must_use]
    pub fn sums(&self, rows: &[f64]) -> Vec<f64> {
        self.sums_of(&self.answers(rows), rows.len() / self.width().max(1))
    }

    pub(crate) fn sums_of(&self, answers: &Answers, rows: usize) -> Vec<f64> {
        let targets = self.targets();
        let mut sums = self.constant.repeat(rows);
        for leaf in &self.leaves {
            let (players, weights) = (&self.players[leaf.players.clone()], &self.weights[leaf.weights.clone()]);
            for word in 0..answers.words {
                let here = |rows: u64, player| rows & self.player(player, answers, word);
                let mut ended = players.iter().fold(u64::MAX, here);
                while ended != 0 {
                    let row = word * ROWS + ended.trailing_zeros() as usize;
                    ended &= ended - 1;
                    if row < rows {
                        weights.iter().for_each(|(target, value)| sums[row * targets + *target as usize] += value);
                    }
                }
            }
        }
        sums
    }
}

/// Which part of what came to a branch took one of its ways; half of nothing, where a branch was never reached, so that every
/// attribution is a number.
fn part(cover: f64, of: f64) -> f64 {
    if of > 0.0 { cover / of } else { 0.5 }
}

/// A bit for each value for which something holds. Bytes first, which compilers compare together, then eight of them at a time into
/// bits.
fn where_holds(values: &[f64; ROWS], holds: impl Fn(f64) -> bool) -> u64 {
    let mut bytes = [0u8; ROWS];
    for (byte, value) in bytes.iter_mut().zip(values) {
        *byte = u8::from(holds(*value));
    }
    let eight = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes).wrapping_mul(0x0102_0408_1020_4080) >> 56;
    let (eights, _) = bytes.as_chunks::<8>();
    eights.iter().enumerate().fold(0, |bits, (place, bytes)| bits | eight(bytes) << (8 * place))
}
