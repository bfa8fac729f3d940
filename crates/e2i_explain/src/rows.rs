//! Attributions of many rows: blocks of them, tree after tree, so that what is read for one row is read for all.

use e2i_core::native::InstructionSet;

use crate::groups::{Group, Part};
use crate::kernels::{self, Deep, LANES, Patterns, Room, Rows, Shape, TOGETHER, WORD};
use crate::questions::Turn;
use crate::shapley::Pairs;
use crate::trees::{Attributions, Game};

/// Most rows of a block, and about how many bytes its numbers may have: so that they stay near the processor.
const MOST: usize = 4096;
const BYTES: usize = 1 << 22;

/// Between columns, so that the same row of two columns is not at the same place of a page, which processors take for the same
/// place in memory at first.
const APART: usize = 17 * LANES;

/// What is used again from block to block.
#[derive(Debug, Default)]
pub struct Work {
    /// For each feature the values of the rows, as nodes see them; NaN is missing.
    values: Vec<f64>,
    /// For each question of a tree the rows that answer yes.
    yes: Vec<Rows>,
    /// For each bit of a pattern the rows that have it.
    bits: Vec<Rows>,
    /// For each group of a tree the patterns of rows.
    patterns: Vec<Patterns>,
    /// For each cell what rows get.
    sums: Vec<f64>,
    /// Of a leaf, what it adds, the shares of its players, and room for what they get.
    adds: Vec<(u32, u32, f64)>,
    shares: Vec<f64>,
    room: [Room; 2],
}

impl Work {
    /// What it takes, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of_val(&*self.values) + size_of_val(&*self.yes) + size_of_val(&*self.patterns) + size_of_val(&*self.sums)
    }
}

impl Attributions {
    /// The attributions of rows of the ensemble's width, one after the other: for each row, for each target, a number for each
    /// column. A column that no path asks has exactly 0.
    #[must_use]
    pub fn of_rows(&self, rows: &[f64]) -> Vec<f64> {
        let mut all = vec![];
        self.of_rows_with(InstructionSet::best(), rows, &mut Work::default(), &mut all);
        all
    }

    /// As [`Attributions::of_rows`], with these instructions, into `all`, which is overwritten.
    pub fn of_rows_with(&self, set: InstructionSet, rows: &[f64], work: &mut Work, all: &mut Vec<f64>) {
        let width = self.leaves.width().max(1);
        let cells = self.leaves.width() * self.leaves.targets();
        all.clear();
        all.resize(rows.len() / width * cells, 0.0);
        let a_row = size_of::<f64>() * (cells + self.leaves.reading.features.len() + 1);
        let together = (BYTES / a_row / WORD).clamp(1, MOST / WORD) * WORD;
        for (rows, all) in rows.chunks(width * together).zip(all.chunks_mut((cells * together).max(1))) {
            let shape = self.block(set, rows, work);
            // Eight rows at a time, so that what is near in the sums is read together.
            for (lane, all) in all.chunks_mut((cells * LANES).max(1)).enumerate() {
                for (cell, sums) in work.sums.chunks_exact(shape.stride).take(cells).enumerate() {
                    let sums = &sums[lane * LANES..][..LANES];
                    all.iter_mut().skip(cell).step_by(cells).zip(sums).for_each(|(number, sum)| *number = *sum);
                }
            }
        }
    }

    /// Fills the sums of a block.
    fn block(&self, set: InstructionSet, rows: &[f64], work: &mut Work) -> Shape {
        let leaves = &self.leaves;
        let count = rows.len() / leaves.width().max(1);
        let lanes = count.next_multiple_of(LANES);
        let shape = Shape { first: 0, rows: lanes, stride: lanes + APART };
        work.sums.clear();
        // One cell more, for nobody.
        work.sums.resize((leaves.width() * leaves.targets() + 1) * shape.stride, 0.0);
        self.read(rows, shape, work);
        for part in &leaves.groups.trees {
            work.yes.resize(part.questions.len() * shape.parts(), [0; TOGETHER]);
            let questions = &leaves.questions[part.questions.clone()];
            kernels::answer(set, questions, &work.values, shape, &mut work.yes);
            for first in (0..lanes).step_by(TOGETHER * WORD) {
                let here = Shape { first, rows: (lanes - first).min(TOGETHER * WORD), ..shape };
                self.tree(set, part, (here, shape.parts(), count), work);
            }
        }
        shape
    }

    /// Adds what a tree gives to the rows that are looked up together, part of so many, and of `count` rows of the block.
    fn tree(&self, set: InstructionSet, part: &Part, (here, parts, count): (Shape, usize, usize), work: &mut Work) {
        let leaves = &self.leaves;
        let groups = &leaves.groups.groups[part.groups.clone()];
        let tables = &self.tables[part.groups.clone()];
        work.patterns.resize(work.patterns.len().max(groups.len()), [0; TOGETHER * WORD]);
        for ((group, table), patterns) in groups.iter().zip(tables).zip(&mut work.patterns) {
            let Some(table) = table.as_ref().filter(|table| !table.cells.is_empty()) else { continue };
            ask(leaves.groups.bits(group), part, (here, parts), &work.yes, &mut work.bits);
            kernels::patterns(set, &work.bits, patterns);
            // Few rows need few of the numbers, and nobody has brought them near.
            let pairs = table.cells.len() / 2;
            if count <= LANES {
                for pattern in &patterns[..count] {
                    kernels::prefetch(&self.numbers[table.start + usize::from(*pattern) * pairs..][..pairs]);
                }
            }
        }
        for (place, (group, table)) in groups.iter().zip(tables).enumerate() {
            match table {
                Some(table) => {
                    let (cells, _) = self.cells[table.cells.clone()].as_chunks::<2>();
                    let numbers = &self.numbers[table.start..];
                    kernels::look_up(set, numbers, cells, &work.patterns[place], here, &mut work.sums);
                }
                None => self.compute(set, group, part, (here, parts, count), work),
            }
        }
    }

    fn read(&self, rows: &[f64], shape: Shape, work: &mut Work) {
        let reading = &self.leaves.reading;
        work.values.clear();
        work.values.resize(reading.features.len() * shape.stride, f64::NAN);
        for (feature, values) in reading.features.iter().zip(work.values.chunks_exact_mut(shape.stride)) {
            let mut last = f64::NAN;
            for (row, value) in rows.chunks_exact(reading.width).zip(&mut *values) {
                last = reading.value(row, *feature).unwrap_or(f64::NAN);
                *value = last;
            }
            // The rest of a lane is looked up as well, where the last row has been.
            values[rows.len() / reading.width.max(1)..].fill(last);
        }
    }

    /// Adds what the leaves of a group without a table give; there are `count` rows.
    fn compute(
        &self,
        set: InstructionSet,
        group: &Group,
        part: &Part,
        (here, parts, count): (Shape, usize, usize),
        work: &mut Work,
    ) {
        let leaves = &self.leaves;
        for (index, leaf) in group.leaves.clone().zip(&leaves.leaves[group.leaves.clone()]) {
            if leaf.players.is_empty() || leaf.weights.is_empty() {
                continue;
            }
            let players = &leaves.players[leaf.players.clone()];
            let turns = players.iter().map(|player| &leaves.turns[player.turns.clone()]);
            ask(turns, part, (here, parts), &work.yes, &mut work.bits);
            work.adds.clear();
            for (place, player) in (0..).zip(players) {
                let weights = leaves.weights[leaf.weights.clone()].iter();
                let cell = |target: &u32| target * leaves.width() as u32 + player.column;
                work.adds.extend(weights.map(|(target, value)| (cell(target), place, *value)));
            }
            match &self.game {
                Game::Covers(shares) => {
                    work.shares.clear();
                    work.shares.extend(players.iter().map(|player| player.share));
                    let points = shares.points(players.len());
                    let deep = Deep { points, shares: &work.shares, adds: &work.adds };
                    kernels::integrate(set, deep, &work.bits, here, &mut work.room, &mut work.sums);
                }
                Game::Background(background) => {
                    let others = (&background.pairs, &background.patterns[index][..]);
                    for row in 0..here.rows.min(count.saturating_sub(here.first)) {
                        pair(others, players.len(), row, here, work);
                    }
                }
            }
        }
    }
}

/// Adds what a leaf gives to one row, between it and the patterns of a background.
fn pair((pairs, others): (&Pairs, &[(u64, f64)]), players: usize, row: usize, here: Shape, work: &mut Work) {
    let bits = work.bits.iter().enumerate();
    let pattern = bits.fold(0, |all, (player, rows)| all | (rows[row / WORD] >> (row % WORD) & 1) << player);
    let mut got = [0.0; 64];
    for (other, times) in others {
        pairs.add(players, pattern, *other, *times, &mut got[..players]);
    }
    for (cell, player, value) in &work.adds {
        work.sums[*cell as usize * here.stride + here.first + row] += value * got[*player as usize];
    }
}

/// The rows that take all turns, for each of several. `parts` are those of all rows of the block.
fn ask<'t>(
    turns: impl Iterator<Item = &'t [Turn]>,
    part: &Part,
    (here, parts): (Shape, usize),
    yes: &[Rows],
    bits: &mut Vec<Rows>,
) {
    let at = here.first / (TOGETHER * WORD);
    bits.clear();
    bits.extend(turns.map(|turns| {
        let mut all = [u64::MAX; TOGETHER];
        for (question, is_yes) in turns {
            let said = yes[(*question as usize - part.questions.start) * parts + at];
            let other = if *is_yes { 0 } else { u64::MAX };
            all.iter_mut().zip(said).for_each(|(all, said)| *all &= said ^ other);
        }
        all
    }));
}
