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

/// How many orders are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Draws {
    /// At most so many, each forwards and backwards.
    pub most: usize,
    /// No more once every standard error is this or less.
    pub error: Option<f64>,
}

/// Orders that are drawn and asked about together. As few say nothing of how far off they are.
const ROUND: usize = 8;

/// Draws orders of players, each played forwards and backwards.
///
/// # Errors
/// What `worth` reports.
pub fn drawn(players: usize, numbers: usize, draws: Draws, seed: u64, worth: &mut Worth<'_>) -> Result<Played> {
    let mut random = Random(seed);
    // Nobody and everybody are at the ends of every order.
    let mut ends = Coalitions { players, members: vec![false; players] };
    ends.members.resize(2 * players, true);
    let ends = worth(&ends)?;
    let mut means = vec![Means::new(players); numbers];
    let mut order: Vec<usize> = (0..players).collect();
    let mut count = 0;
    while count < draws.most {
        let (mut coalitions, mut orders) = (Coalitions { players, members: vec![] }, vec![]);
        for _ in 0..ROUND.min(draws.most - count) {
            for at in (1..players).rev() {
                order.swap(at, random.below(at + 1));
            }
            let backwards: Vec<usize> = order.iter().rev().copied().collect();
            for order in [&order, &backwards] {
                let mut members = vec![false; players];
                for player in &order[..players.saturating_sub(1)] {
                    members[*player] = true;
                    coalitions.members.extend_from_slice(&members);
                }
            }
            orders.push(order.clone());
        }
        let between = players.saturating_sub(1);
        let all = if between == 0 { vec![] } else { worth(&coalitions)? };
        for (index, order) in orders.iter().enumerate() {
            count += 1;
            for (number, means) in means.iter_mut().enumerate() {
                let at = |way: usize, members: usize| match members {
                    0 => ends[number],
                    _ if members == players => ends[numbers + number],
                    _ => all[((2 * index + way) * between + members - 1) * numbers + number],
                };
                let step = |way: usize, place: usize| at(way, place + 1) - at(way, place);
                for (place, player) in order.iter().enumerate() {
                    let added = f64::midpoint(step(0, place), step(1, players - 1 - place));
                    means.add(*player, added, count as f64);
                }
            }
        }
        let is_close = |error: f64| means.iter().all(|means| means.errors(count as f64).all(|own| own <= error));
        if draws.error.is_some_and(is_close) {
            break;
        }
    }
    let errors = means.iter().map(|means| means.errors(count as f64).collect()).collect();
    Ok(Played { errors, added: means.into_iter().map(|means| means.means).collect(), orders: count })
}

/// Means of what players add, and the sums of squares around them.
#[derive(Clone)]
struct Means {
    means: Vec<f64>,
    squares: Vec<f64>,
}

impl Means {
    fn new(players: usize) -> Self {
        Self { means: vec![0.0; players], squares: vec![0.0; players] }
    }

    /// By differences from the mean, as sums of squares would cancel.
    fn add(&mut self, player: usize, added: f64, count: f64) {
        let before = added - self.means[player];
        self.means[player] += before / count;
        self.squares[player] += before * (added - self.means[player]);
    }

    fn errors(&self, count: f64) -> impl Iterator<Item = f64> {
        self.squares.iter().map(move |square| (square.max(0.0) / (count - 1.0).max(1.0) / count).sqrt())
    }
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
            let draws = Draws { most: orders, error: None };
            let drawn = drawn(7, 2, draws, 5, &mut |coalitions| Ok(pairs(coalitions))).unwrap();
            for (a, b) in drawn.added.iter().flatten().zip(right.added.iter().flatten()) {
                assert!((a - b).abs() < 1e-12, "{drawn:?} {right:?}");
            }
            assert!(drawn.errors.iter().flatten().all(|error| *error < 1e-14));
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
            let drawn = drawn(9, 1, Draws { most: orders, error: None }, 11, &mut { threes }).unwrap();
            assert_eq!(drawn.orders, orders);
            let sum: f64 = drawn.added[0].iter().sum();
            assert!((sum - 3.0).abs() < 1e-12, "what is drawn adds up, too: {sum}");
            let pairs = drawn.added[0].iter().zip(&right.added[0]).zip(&drawn.errors[0]);
            let within = pairs.clone().filter(|((a, b), error)| (*a - *b).abs() <= 4.0 * *error).count();
            assert_eq!(within, 9, "{drawn:?} {right:?}");
            pairs.map(|((a, b), _)| (a - b).abs()).fold(0.0, f64::max)
        };
        assert!(wrong(2_000) < 0.3 * wrong(20));

        // As many orders as an error needs, and no more than are allowed.
        let until = |most, error| drawn(9, 1, Draws { most, error: Some(error) }, 11, &mut { threes }).unwrap();
        let (rough, fine) = (until(100_000, 0.02), until(100_000, 0.002));
        for (played, error) in [(&rough, 0.02), (&fine, 0.002)] {
            assert!(played.errors[0].iter().all(|own| *own <= error), "{played:?}");
            let pairs = played.added[0].iter().zip(&right.added[0]);
            assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() <= 4.0 * error), "{played:?} {right:?}");
        }
        // A tenth of the error takes about a hundred times as many.
        assert!((30 * rough.orders..300 * rough.orders).contains(&fine.orders), "{} {}", rough.orders, fine.orders);
        assert_eq!(until(24, 1e-9).orders, 24);
    }

    #[test]
    fn one_player_and_two_are_drawn_as_they_are() {
        let alone = drawn(1, 1, Draws { most: 3, error: None }, 1, &mut |all| {
            Ok(all.iter().map(|members| if members[0] { 2.5 } else { 1.0 }).collect())
        });
        assert_eq!(alone.unwrap().added, [[1.5]]);
        let two = drawn(2, 2, Draws { most: 1, error: None }, 1, &mut |coalitions| Ok(pairs(coalitions))).unwrap();
        assert_eq!(two.added, exact(2, 2, &mut |coalitions| Ok(pairs(coalitions))).unwrap().added);
    }

    #[test]
    fn nobody_plays_for_nothing() {
        let played = exact(0, 2, &mut |_| unreachable!()).unwrap();
        assert_eq!(played.added, [vec![], vec![]] as [Vec<f64>; 2]);
    }
}
