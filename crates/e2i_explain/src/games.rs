//! Attributions of any model: features are the players, and the worth of a coalition is what the model says on average of rows that
//! have a row's values where a feature is in the coalition and a background row's elsewhere.
//!
//! Few players are played out over all coalitions. More are drawn: random orders, each also backwards, which for features that act in
//! pairs at most leaves nothing to chance.

use e2i_core::random::Random;
use e2i_core::{Batch, Column, Feature, Result};

use crate::shapley::of_game;

/// Most players whose coalitions are all played.
pub const EXACT_AT_MOST: usize = 12;

/// Coalitions: for each a flag a player.
#[derive(Debug, Clone, Default)]
pub struct Coalitions {
    players: usize,
    members: Vec<bool>,
}

impl Coalitions {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len() / self.players.max(1)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The flags of one, a player each.
    pub fn iter(&self) -> impl Iterator<Item = &[bool]> {
        self.members.chunks_exact(self.players.max(1))
    }
}

/// What was found: for each number of the answer, a number a player.
#[derive(Debug, Clone, PartialEq)]
pub struct Played {
    /// What each player adds.
    pub added: Vec<Vec<f64>>,
    /// How far that may be from the truth: the standard error of what was drawn; 0 where nothing was.
    pub errors: Vec<Vec<f64>>,
    /// Orders that were drawn, forwards and backwards; 0 where all coalitions were played.
    pub orders: usize,
}

/// Plays a game of up to [`EXACT_AT_MOST`] players out; `worth` says for each coalition `numbers` numbers.
///
/// # Errors
/// What `worth` reports.
pub fn exact(players: usize, numbers: usize, worth: &mut Worth<'_>) -> Result<Played> {
    let count = 1usize << players;
    let mut coalitions = Coalitions { players, members: vec![] };
    // Without players there is one coalition, which has no flags.
    coalitions.members.extend((0..count).flat_map(|of| (0..players).map(move |player| of >> player & 1 == 1)));
    let all = if players == 0 { vec![0.0; numbers] } else { worth(&coalitions)? };
    let of = |number: usize| {
        let worth: Vec<f64> = all.iter().skip(number).step_by(numbers.max(1)).copied().collect();
        of_game(players, &worth)
    };
    let added: Vec<Vec<f64>> = (0..numbers).map(of).collect();
    Ok(Played { errors: vec![vec![0.0; players]; numbers], added, orders: 0 })
}

/// Plays a game in which nobody's worth depends on others: each is asked alone.
///
/// # Errors
/// What `worth` reports.
pub fn additive(players: usize, numbers: usize, worth: &mut Worth<'_>) -> Result<Played> {
    let mut coalitions = Coalitions { players, members: vec![] };
    coalitions.members.extend((0..=players).flat_map(|alone| (1..=players).map(move |player| player == alone)));
    let all = if players == 0 { vec![0.0; numbers] } else { worth(&coalitions)? };
    let of = |number: usize| {
        let added = |player: usize| all[player * numbers + number] - all[number];
        (1..=players).map(added).collect::<Vec<f64>>()
    };
    let added: Vec<Vec<f64>> = (0..numbers).map(of).collect();
    Ok(Played { errors: vec![vec![0.0; players]; numbers], added, orders: 0 })
}

/// Draws `orders` orders of players, each played forwards and backwards.
///
/// # Errors
/// What `worth` reports.
pub fn drawn(players: usize, numbers: usize, orders: usize, seed: u64, worth: &mut Worth<'_>) -> Result<Played> {
    let mut random = Random(seed);
    let (mut sums, mut squares) = (vec![vec![0.0; players]; numbers], vec![vec![0.0; players]; numbers]);
    let mut order: Vec<usize> = (0..players).collect();
    for _ in 0..orders {
        for at in (1..players).rev() {
            order.swap(at, random.below(at + 1));
        }
        // The coalitions from nobody to everybody in this order, then in the other one.
        let mut coalitions = Coalitions { players, members: vec![] };
        let backwards: Vec<usize> = order.iter().rev().copied().collect();
        for order in [&order, &backwards] {
            let mut members = vec![false; players];
            coalitions.members.extend_from_slice(&members);
            for player in order {
                members[*player] = true;
                coalitions.members.extend_from_slice(&members);
            }
        }
        let all = worth(&coalitions)?;
        let step = |way: usize, place: usize, number: usize| {
            let at = |place: usize| all[(way * (players + 1) + place) * numbers + number];
            at(place + 1) - at(place)
        };
        for number in 0..numbers {
            for (place, player) in order.iter().enumerate() {
                let added = f64::midpoint(step(0, place, number), step(1, players - 1 - place, number));
                sums[number][*player] += added;
                squares[number][*player] += added * added;
            }
        }
    }
    let count = orders.max(1) as f64;
    let mean = |sums: &Vec<f64>| sums.iter().map(|sum| sum / count).collect::<Vec<f64>>();
    let added: Vec<Vec<f64>> = sums.iter().map(mean).collect();
    let error = |squares: f64, mean: f64| {
        let variance = (squares - count * mean * mean).max(0.0) / (count - 1.0).max(1.0);
        (variance / count).sqrt()
    };
    let errors = squares.iter().zip(&added).map(|(squares, means)| {
        squares.iter().zip(means).map(|(squares, mean)| error(*squares, *mean)).collect::<Vec<f64>>()
    });
    Ok(Played { errors: errors.collect(), added, orders })
}

/// What coalitions are worth: for each, one after the other, as many numbers as the answer has.
pub type Worth<'w> = dyn FnMut(&Coalitions) -> Result<Vec<f64>> + 'w;

/// Writes a row into a batch that has the values of `row` for the features that `takes` names, and those of a background row for
/// the others. All three are of one interface.
pub fn mix(
    into: &mut Batch,
    at: usize,
    row: (&Batch, usize),
    other: (&Batch, usize),
    features: &[Feature],
    takes: impl Fn(usize) -> bool,
) {
    for (index, feature) in features.iter().enumerate() {
        let (from, of) = if takes(index) { row } else { other };
        let (Some(source), Some(target)) =
            (from.tensors().get(feature.tensor), into.tensors_mut().get_mut(feature.tensor))
        else {
            continue;
        };
        let (from, to) = (of * source.width + feature.position, at * target.width + feature.position);
        copy(&source.values, from, &mut target.values, to);
    }
}

fn copy(source: &Column, from: usize, target: &mut Column, to: usize) {
    fn cell<T: Clone>(source: &[T], from: usize, target: &mut [T], to: usize) {
        if let (Some(value), Some(place)) = (source.get(from), target.get_mut(to)) {
            place.clone_from(value);
        }
    }
    match (source, target) {
        (Column::Float32(source), Column::Float32(target)) => cell(source, from, target, to),
        (Column::Float64(source), Column::Float64(target)) => cell(source, from, target, to),
        (Column::Int32(source), Column::Int32(target)) => cell(source, from, target, to),
        (Column::Int64(source), Column::Int64(target)) => cell(source, from, target, to),
        (Column::Bool(source), Column::Bool(target)) => cell(source, from, target, to),
        (Column::Text(source), Column::Text(target)) => cell(source, from, target, to),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Players in pairs, and alone: `Σ a_i x_i + Σ b_i x_i x_{i+1}`, and its double.
    fn pairs(coalitions: &Coalitions) -> Vec<f64> {
        let of = |members: &[bool]| {
            let x = |player: usize| f64::from(u8::from(members[player]));
            let alone: f64 = (0..members.len()).map(|player| (player as f64 - 2.5) * x(player)).sum();
            alone + (1..members.len()).map(|player| player as f64 * x(player) * x(player - 1)).sum::<f64>()
        };
        coalitions.iter().map(of).flat_map(|worth| [worth, 2.0 * worth]).collect()
    }

    #[test]
    fn of_pairs_one_order_and_its_opposite_say_everything() {
        let right = exact(7, 2, &mut |coalitions| Ok(pairs(coalitions))).unwrap();
        assert!((right.added[0][0] + 2.0).abs() < 1e-12 && (right.added[1][0] + 4.0).abs() < 1e-12, "{right:?}");
        assert_eq!(right.orders, 0);
        for orders in [1, 3] {
            let drawn = drawn(7, 2, orders, 5, &mut |coalitions| Ok(pairs(coalitions))).unwrap();
            for (a, b) in drawn.added.iter().flatten().zip(right.added.iter().flatten()) {
                assert!((a - b).abs() < 1e-12, "{drawn:?} {right:?}");
            }
            assert!(drawn.errors.iter().flatten().all(|error| *error < 1e-6));
        }
    }

    #[test]
    fn what_is_drawn_comes_closer_and_says_how_close_it_is() {
        let threes = |coalitions: &Coalitions| {
            let x = |members: &[bool], player: usize| f64::from(u8::from(members[player % members.len()]));
            let of = |members: &[bool]| {
                (0..9).map(|p| x(members, p) * x(members, p + 1) * x(members, p + 4)).sum::<f64>().sqrt()
            };
            Ok(coalitions.iter().map(of).collect())
        };
        let right = exact(9, 1, &mut { threes }).unwrap();
        let wrong = |orders: usize| {
            let drawn = drawn(9, 1, orders, 11, &mut { threes }).unwrap();
            let sum: f64 = drawn.added[0].iter().sum();
            assert!((sum - 3.0).abs() < 1e-12, "what is drawn adds up, too: {sum}");
            let pairs = drawn.added[0].iter().zip(&right.added[0]).zip(&drawn.errors[0]);
            let within = pairs.clone().filter(|((a, b), error)| (*a - *b).abs() <= 4.0 * *error).count();
            assert_eq!(within, 9, "{drawn:?} {right:?}");
            pairs.map(|((a, b), _)| (a - b).abs()).fold(0.0, f64::max)
        };
        assert!(wrong(2_000) < 0.3 * wrong(20));
    }

    #[test]
    fn nobody_plays_for_nothing() {
        let played = exact(0, 2, &mut |_| unreachable!()).unwrap();
        assert_eq!(played.added, [vec![], vec![]] as [Vec<f64>; 2]);
    }
}
