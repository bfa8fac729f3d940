//! What is done for many rows at once, compiled for each set of instructions.
//!
//! Rows are looked at in lanes of 8, up to 64 a word of bits. No set changes which numbers are added, or in which order, and none
//! fuses a product with a sum: every one gives the same bits, and so does a row alone.
//!
//! What does not belong here: what the numbers mean.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use e2i_core::native::{InstructionLevel, InstructionSet};

use crate::questions::Question;

/// Rows that are always looked at together.
pub(crate) const LANES: usize = 8;

/// Rows of a word of bits.
pub(crate) const WORD: usize = 64;

/// Words of rows that are looked up together.
pub(crate) const TOGETHER: usize = 2;

/// Bits of rows that are looked up together.
pub(crate) type Rows = [u64; TOGETHER];

/// Patterns of rows that are looked up together.
pub(crate) type Patterns = [u8; TOGETHER * WORD];

/// Most bits of a pattern, which is a byte.
pub(crate) const BITS: usize = 8;

/// What two cells get.
pub(crate) type Pair = [f64; 2];

/// Numbers of rows, column after column: each of whole lanes, and as far from the next as the stride says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Where the rows begin in a column.
    pub(crate) first: usize,
    /// Rows, of whole lanes.
    pub(crate) rows: usize,
    pub(crate) stride: usize,
}

impl Shape {
    /// Of how many [`Rows`] they are.
    pub(crate) fn parts(self) -> usize {
        self.rows.div_ceil(TOGETHER * WORD)
    }

    /// Whether the rows of a column are among so many numbers.
    fn fits(self, column: u32, numbers: usize) -> bool {
        column as usize * self.stride + self.first + self.rows <= numbers
    }
}

/// For each question the rows that answer yes, part by part, by the values of features; NaN is missing.
#[inline]
#[allow(unsafe_code)]
pub(crate) fn answer(set: InstructionSet, questions: &[Question], values: &[f64], shape: Shape, yes: &mut [Rows]) {
    match set.level() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: only detection makes a set.
        InstructionLevel::Avx2 => unsafe { avx2::answer(questions, values, shape, yes) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        InstructionLevel::Avx512 | InstructionLevel::Avx512Vbmi => unsafe {
            avx512::answer(questions, values, shape, yes);
        },
        _ => portable::answer(questions, values, shape, yes),
    }
}

/// For each row a byte, whose bit `b` is that of the row in `bits[b]`.
#[inline]
#[allow(unsafe_code)]
pub(crate) fn patterns(set: InstructionSet, bits: &[Rows], patterns: &mut Patterns) {
    match set.level() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: only detection makes a set.
        InstructionLevel::Avx2 => unsafe { avx2::patterns(bits, patterns) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        InstructionLevel::Avx512 | InstructionLevel::Avx512Vbmi => unsafe { avx512::patterns(bits, patterns) },
        _ => portable::patterns(bits, patterns),
    }
}

/// Has numbers that are soon needed brought near.
#[inline]
#[allow(unsafe_code)]
pub(crate) fn prefetch(numbers: &[Pair]) {
    const A_LINE: usize = 4;
    #[cfg(target_arch = "x86_64")]
    for line in numbers.chunks(A_LINE) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every processor of the architecture has it, and it reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
}

/// Adds to cells of rows, at most as many as there are patterns, what they get for the pattern of each row: for each pattern `numbers`
/// has a pair for each two cells.
#[inline]
#[allow(unsafe_code)]
pub(crate) fn look_up(
    set: InstructionSet,
    numbers: &[Pair],
    cells: &[[u32; 2]],
    patterns: &Patterns,
    shape: Shape,
    sums: &mut [f64],
) {
    let has_all = shape.rows <= patterns.len()
        && cells.iter().flatten().all(|cell| shape.fits(*cell, sums.len()))
        && numbers.len() >= cells.len() << BITS;
    if !has_all {
        return;
    }
    match set.level() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: only detection makes a set; all numbers and sums are there.
        InstructionLevel::Avx2 => unsafe { avx2::look_up(numbers, cells, patterns, shape, sums) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        InstructionLevel::Avx512 | InstructionLevel::Avx512Vbmi => unsafe {
            avx512::look_up(numbers, cells, patterns, shape, sums);
        },
        _ => portable::look_up(numbers, cells, patterns, shape, sums),
    }
}

/// A leaf whose players are many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deep<'l> {
    /// Points and weights of its integral.
    pub(crate) points: &'l [(f64, f64)],
    /// The shares of its players.
    pub(crate) shares: &'l [f64],
    /// What it adds: to which cell, of which player, how much.
    pub(crate) adds: &'l [(u32, u32, f64)],
}

/// Room for a number a player, for a lane of rows.
pub(crate) type Room = Vec<[f64; LANES]>;

/// Adds what a leaf gives, as `Shares::of_pattern` has it; `bits` has for each player which rows hold what it asks.
#[inline]
#[allow(unsafe_code)]
pub(crate) fn integrate(
    set: InstructionSet,
    leaf: Deep<'_>,
    bits: &[Rows],
    shape: Shape,
    room: &mut [Room; 2],
    sums: &mut [f64],
) {
    room.iter_mut().for_each(|room| room.resize(leaf.shares.len(), [0.0; LANES]));
    match set.level() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: only detection makes a set.
        InstructionLevel::Avx2 => unsafe { avx2::integrate(leaf, bits, shape, room, sums) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        InstructionLevel::Avx512 | InstructionLevel::Avx512Vbmi => unsafe {
            avx512::integrate(leaf, bits, shape, room, sums);
        },
        _ => portable::integrate(leaf, bits, shape, room, sums),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use e2i_core::native::Test;
    use e2i_core::random::Random;

    #[test]
    fn every_set_of_instructions_gives_the_same_bits() {
        let mut random = Random(5);
        let special = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.0, 0.25];
        let cells = [[0, 3], [2, 4], [1, 5]];
        let numbers: Vec<Pair> = (0..cells.len() << BITS).map(|_| [random.unit() - 0.5, random.unit()]).collect();
        let tests = [Test::Less(0.25), Test::LessEqual(0.25), Test::Member(vec![(0.0, 0.25), (0.5, 0.75)])];
        let asked = tests
            .iter()
            .flat_map(|test| [false, true].map(|missing_yes| Question { feature: 1, test: test.clone(), missing_yes }));
        let questions: Vec<Question> = asked.collect();
        for lanes in 1..=TOGETHER * WORD / LANES {
            let shape = Shape { first: 8, rows: lanes * LANES, stride: 8 + lanes * LANES };
            let values: Vec<f64> = (0..2 * shape.stride)
                .map(|_| if random.chance(50) { random.pick(&special) } else { random.unit() })
                .collect();
            let bits: Vec<Rows> = (0..7).map(|_| std::array::from_fn(|_| random.bits())).collect();
            let sums: Vec<f64> = (0..6 * shape.stride).map(|_| random.unit()).collect();
            let shares: Vec<f64> = (0..9).map(|_| random.unit()).collect();
            let held: Vec<Rows> = (0..9).map(|_| std::array::from_fn(|_| random.bits())).collect();
            let adds: Vec<(u32, u32, f64)> = (0..9).map(|player| (player % 6, player, random.unit())).collect();
            let points = crate::quadrature::gauss_legendre(5);
            let all = |set| {
                let mut yes = vec![[0; TOGETHER]; questions.len()];
                answer(set, &questions, &values, shape, &mut yes);
                let mut told = yes.as_flattened().to_vec();
                for (question, yes) in questions.iter().zip(&yes) {
                    for (row, value) in values[shape.stride + 8..].iter().take(shape.rows).enumerate() {
                        let right = if value.is_nan() { question.missing_yes } else { question.test.holds(*value) };
                        assert_eq!(yes[row / 64] >> (row % 64) & 1 == 1, right, "{set} {question:?} {value}");
                    }
                }
                let mut looked_up = sums.clone();
                let mut of = [0; TOGETHER * WORD];
                patterns(set, &bits, &mut of);
                look_up(set, &numbers, &cells, &of, shape, &mut looked_up);
                for row in 0..shape.rows {
                    let bit = |bit: usize| (bits[bit][row / 64] >> (row % 64) & 1) << bit;
                    let pattern = (0..7).map(bit).sum::<u64>() as usize;
                    for (place, cell) in cells.iter().flatten().enumerate() {
                        let at = *cell as usize * shape.stride + 8 + row;
                        let number = numbers[pattern * cells.len() + place / 2][place % 2];
                        assert_eq!(looked_up[at], sums[at] + number, "{set} row {row} cell {cell}");
                    }
                }
                let leaf = Deep { points: &points, shares: &shares, adds: &adds };
                integrate(set, leaf, &held, shape, &mut [vec![], vec![]], &mut looked_up);
                told.extend(looked_up.iter().map(|number| number.to_bits()));
                told
            };
            let right = all(InstructionSet::PORTABLE);
            for set in InstructionSet::available() {
                assert!(all(set) == right, "{set}, {lanes} lanes");
            }
        }
    }
}
