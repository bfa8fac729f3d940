//! What a player adds on average, over all orders in which players may come.

use crate::quadrature::gauss_legendre;

/// For each number of others that came before, how much a player's step counts: `k! (n - k - 1)! / n!`.
pub(crate) fn step_weights(players: usize) -> Vec<f64> {
    let mut weights = Vec::with_capacity(players);
    let mut weight = 1.0 / players.max(1) as f64;
    for before in 0..players {
        weights.push(weight);
        if before + 1 < players {
            weight *= (before + 1) as f64 / (players - before - 1) as f64;
        }
    }
    weights
}

/// The attributions of a game whose worth is known for every coalition; the number of a coalition has a bit for each player.
#[must_use]
pub fn of_game(players: usize, worth: &[f64]) -> Vec<f64> {
    let weights = step_weights(players);
    let of = |player: usize| {
        let bit = 1usize << player;
        let without = (0..worth.len()).filter(|coalition| coalition & bit == 0);
        without
            .map(|coalition| weights[coalition.count_ones() as usize] * (worth[coalition | bit] - worth[coalition]))
            .sum()
    };
    (0..players).map(of).collect()
}

/// The game of a leaf while nothing is known of its players but their shares: a player that is in a coalition lets the row pass
/// if the row holds it, one that is not lets its share pass.
///
/// What player `i` gets is `(o_i - z_i) ∫ Π (t o_j + (1 - t) z_j) dt` over the others, `o` being 1 where the row holds and `z` the
/// shares; the integral is exact with half as many points as there are players.
#[derive(Debug)]
pub(crate) struct Shares {
    /// Points and weights for each number of players.
    points: Vec<Vec<(f64, f64)>>,
}

impl Shares {
    /// For leaves of up to so many players.
    pub(crate) fn new(players: usize) -> Self {
        Self { points: (0..=players).map(|players| gauss_legendre(players.div_ceil(2))).collect() }
    }

    /// Points and weights for so many players.
    pub(crate) fn points(&self, players: usize) -> &[(f64, f64)] {
        &self.points[players]
    }

    /// What each player gets for one pattern of players whose conditions the row holds.
    #[cfg(test)]
    pub(crate) fn of_pattern(&self, shares: &[f64], pattern: u64, got: &mut Vec<f64>) {
        let count = shares.len();
        let held = |player: usize| if pattern >> player & 1 == 1 { 1.0 } else { 0.0 };
        got.clear();
        got.resize(count, 0.0);
        let mut before = [1.0; 65];
        for (t, weight) in &self.points[count] {
            let factor = |player: usize| t * held(player) + (1.0 - t) * shares[player];
            for player in 0..count {
                before[player + 1] = before[player] * factor(player);
            }
            let mut after = *weight;
            for player in (0..count).rev() {
                got[player] += before[player] * after;
                after *= factor(player);
            }
        }
        got.iter_mut().enumerate().for_each(|(player, got)| *got *= held(player) - shares[player]);
    }

    /// The same for every pattern: a table for each player, one after the other.
    pub(crate) fn table(&self, shares: &[f64], table: &mut Vec<f64>) {
        let count = shares.len();
        let patterns = 1usize << count;
        let first = table.len();
        table.resize(first + count * patterns, 0.0);
        let mut products = vec![0.0; patterns];
        for (player, of_player) in table[first..].chunks_exact_mut(patterns).enumerate() {
            for (t, weight) in &self.points[count] {
                // Products over the others by doubling: the first half of the patterns lacks the player, the second has it.
                products[0] = *weight;
                for (other, share) in shares.iter().enumerate() {
                    let size = 1usize << other;
                    let (absent, present) =
                        if other == player { (1.0, 1.0) } else { ((1.0 - t) * share, t + (1.0 - t) * share) };
                    let (low, high) = products[..2 * size].split_at_mut(size);
                    for (low, high) in low.iter_mut().zip(high) {
                        *high = *low * present;
                        *low *= absent;
                    }
                }
                of_player.iter_mut().zip(&products).for_each(|(sum, product)| *sum += product);
            }
            for (pattern, got) in of_player.iter_mut().enumerate() {
                let held = if pattern >> player & 1 == 1 { 1.0 } else { 0.0 };
                *got *= held - shares[player];
            }
        }
    }
}

/// The game of a leaf between a row and rows of a background: a coalition has the row's values, the others a background row's. A leaf
/// is reached where every player of one side alone is, or is not, in the coalition.
///
/// For `a` players that only the row holds and `b` that only the background row holds, one of the first gets
/// `(a - 1)! b! / (a + b)!`, and one of the second loses `a! (b - 1)! / (a + b)!`.
#[derive(Debug)]
pub(crate) struct Pairs {
    /// `[a][b]` of one of the first.
    first: Vec<Vec<f64>>,
}

impl Pairs {
    /// For leaves of up to so many players.
    pub(crate) fn new(players: usize) -> Self {
        let of = |a: usize, b: usize| {
            // 1 / (a * binomial(a + b, a)), step by step.
            if a == 0 { 0.0 } else { (1..=b).fold(1.0 / a as f64, |weight, k| weight * k as f64 / (a + k) as f64) }
        };
        Self { first: (0..=players).map(|a| (0..=players).map(|b| of(a, b)).collect()).collect() }
    }

    /// Adds `times` what each of `count` players gets for the pattern of the row and that of a background row.
    pub(crate) fn add(&self, count: usize, row: u64, other: u64, times: f64, got: &mut [f64]) {
        let all = if count == 64 { u64::MAX } else { (1 << count) - 1 };
        if row | other != all {
            return;
        }
        let (only_row, only_other) = (row & !other, other & !row);
        let (a, b) = (only_row.count_ones() as usize, only_other.count_ones() as usize);
        let (gain, loss) = (times * self.first[a][b], times * self.first[b][a]);
        for (player, got) in got.iter_mut().enumerate().take(count) {
            if only_row >> player & 1 == 1 {
                *got += gain;
            } else if only_other >> player & 1 == 1 {
                *got -= loss;
            }
        }
    }

    /// What each player gets for every pattern, on average over background rows whose patterns are counted: a table for each
    /// player.
    pub(crate) fn table(&self, count: usize, others: &[(u64, f64)], table: &mut Vec<f64>) {
        let patterns = 1usize << count;
        let first = table.len();
        table.resize(first + count * patterns, 0.0);
        let mut got = vec![0.0; count];
        for pattern in 0..patterns {
            got.fill(0.0);
            for (other, times) in others {
                self.add(count, pattern as u64, *other, *times, &mut got);
            }
            got.iter().enumerate().for_each(|(player, got)| table[first + player * patterns + pattern] = *got);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worth of every coalition.
    fn worth(players: usize, of: impl Fn(u64) -> f64) -> Vec<f64> {
        (0..1u64 << players).map(of).collect()
    }

    fn product(players: usize, of: impl Fn(usize) -> f64) -> f64 {
        (0..players).map(of).product()
    }

    const SHARES: [f64; 7] = [0.3, 0.0, 1.0, 0.72, 1e-9, 0.5, 0.11];

    fn close(a: &[f64], b: &[f64]) {
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-15) && a.len() == b.len(), "{a:?} {b:?}");
    }

    #[test]
    fn shares_are_those_of_every_coalition() {
        for count in 0..=SHARES.len() {
            let (shares, means) = (&SHARES[..count], Shares::new(count));
            let mut table = vec![];
            means.table(shares, &mut table);
            for pattern in 0..1u64 << count {
                let held = |player: usize| f64::from(u8::from(pattern >> player & 1 == 1));
                let in_it = |coalition: u64, player: usize| coalition >> player & 1 == 1;
                let worth = worth(count, |coalition| {
                    product(count, |player| if in_it(coalition, player) { held(player) } else { shares[player] })
                });
                let right = of_game(count, &worth);
                let mut got = vec![];
                means.of_pattern(shares, pattern, &mut got);
                close(&got, &right);
                let looked_up: Vec<f64> =
                    (0..count).map(|player| table[(player << count) + pattern as usize]).collect();
                close(&looked_up, &right);
            }
        }
    }

    #[test]
    fn deep_leaves_are_integrated_as_exactly() {
        let count = 20;
        let shares: Vec<f64> = (0..count).map(|player| (player as f64 * 0.37).fract()).collect();
        let pattern = 0b1011_0111_0101_1110_1101;
        let held = |player: usize| f64::from(u8::from(pattern >> player & 1 == 1));
        let worth = worth(count, |coalition| {
            product(count, |player| if coalition >> player & 1 == 1 { held(player) } else { shares[player] })
        });
        let mut got = vec![];
        Shares::new(count).of_pattern(&shares, pattern, &mut got);
        close(&got, &of_game(count, &worth));
    }

    #[test]
    fn pairs_are_those_of_every_coalition() {
        for count in 1..=5 {
            let pairs = Pairs::new(count);
            for (row, other) in (0..1u64 << count).flat_map(|row| (0..1u64 << count).map(move |other| (row, other))) {
                let all = (1u64 << count) - 1;
                let reached = |coalition: u64| f64::from(u8::from(coalition & row | !coalition & other & all == all));
                let mut got = vec![0.0; count];
                pairs.add(count, row, other, 1.0, &mut got);
                close(&got, &of_game(count, &worth(count, reached)));
            }
        }
    }
}
