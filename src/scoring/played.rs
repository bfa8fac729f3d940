//! Attributions by asking: rows are mixed of the row that is explained and of a background's, scored in batches, and the game that they
//! make is played out, or orders of the features are drawn.
//!
//! What does not belong here: who says what of rows, and which of the numbers is meant ([`super::explained`]).

use e2i_core::{Batch, Error, Interface, Kind, Result};
use e2i_explain::games::{self, Coalitions, Draws, EXACT_AT_MOST, Played, mix};

use crate::pg::interrupt;

/// Rows that are mixed and scored together.
const MIXED_AT_ONCE: usize = 4096;

/// About how many mixed rows are scored for a row whose coalitions are drawn, and the fewest orders that are, where nobody says how many.
const MIXED_A_ROW: usize = 400_000;
const FEWEST_ORDERS: usize = 8;
const MOST_ORDERS: usize = 200;

/// Most orders that are drawn for an error that was asked for.
const ORDERS_FOR_ERROR: usize = 100_000;

/// With this the orders are drawn, so that a row is explained in the same way each time.
const SEED: u64 = 20_261_129;

/// Which coalitions are played.
#[derive(Debug, Clone, Copy, Default)]
pub struct Effort {
    /// Where orders are drawn, how many.
    pub samples: Option<usize>,
    /// And until which standard error: of no feature is it greater.
    pub error: Option<f64>,
    /// Whether nobody's worth depends on others.
    pub is_additive: bool,
}

/// A row, and what it is compared with.
pub struct Game<'g> {
    /// The model's, for messages.
    pub reference: &'g str,
    /// Of which the rows are.
    pub interface: &'g Interface,
    /// The features that can change anything.
    pub players: &'g [usize],
    /// The row, alone.
    pub own: &'g Batch,
    /// Those that stand for what is not known.
    pub others: &'g Batch,
    /// How many numbers of an answer are meant.
    pub meant: usize,
}

/// Plays a game: what each feature adds, in the order of the interface. `ask` says of rows, one after the other, the numbers that are meant.
///
/// # Errors
/// What `ask` reports; [`Kind::Limit`] for an error that cannot be had.
pub fn play(game: &Game<'_>, effort: Effort, ask: &mut dyn FnMut(&Batch) -> Result<Vec<f64>>) -> Result<Played> {
    let (count, meant, others) = (game.players.len(), game.meant, game.others.rows());
    let mut place = vec![None; game.interface.features.len()];
    game.players.iter().enumerate().for_each(|(player, feature)| place[*feature] = Some(player));
    let mut mixed = Batch::new(&game.interface.inputs, 0);
    let mut worth = |coalitions: &Coalitions| -> Result<Vec<f64>> {
        let mut all = Vec::with_capacity(coalitions.len() * meant);
        let together: Vec<&[bool]> = coalitions.iter().collect();
        // As many coalitions at once as make a batch; a background beyond that is scored piece by piece all the same.
        for together in together.chunks((MIXED_AT_ONCE / others).max(1)) {
            interrupt::check();
            mixed.set_rows(together.len() * others);
            for (index, members) in together.iter().enumerate() {
                // A feature that is no player changes nothing.
                let takes = |feature: usize| place[feature].is_none_or(|player| members[player]);
                for other in 0..others {
                    let at = index * others + other;
                    mix(&mut mixed, at, (game.own, 0), (game.others, other), &game.interface.features, takes);
                }
            }
            let numbers = ask(&mixed)?;
            for rows in numbers.chunks_exact(meant * others) {
                all.extend((0..meant).map(|index| rows.iter().skip(index).step_by(meant).sum::<f64>() / others as f64));
            }
        }
        Ok(all)
    };
    let played = if effort.is_additive {
        games::additive(count, meant, &mut worth)?
    } else if is_played_out(count, effort.samples) {
        games::exact(count, meant, &mut worth)?
    } else {
        let usual = (MIXED_A_ROW / (2 * (count + 1) * others)).clamp(FEWEST_ORDERS, MOST_ORDERS);
        let most = effort.samples.unwrap_or(if effort.error.is_some() { ORDERS_FOR_ERROR } else { usual });
        games::drawn(count, meant, Draws { most, error: effort.error }, SEED, &mut worth)?
    };
    if effort.samples.is_none() && played.orders == ORDERS_FOR_ERROR {
        check_error(game, &played.errors, effort.error)?;
    }
    let over_features = |all: &Vec<Vec<f64>>| -> Vec<Vec<f64>> {
        let of = |numbers: &Vec<f64>| place.iter().map(|player| player.map_or(0.0, |player| numbers[player])).collect();
        all.iter().map(of).collect()
    };
    Ok(Played { added: over_features(&played.added), errors: over_features(&played.errors), orders: played.orders })
}

/// Whether all coalitions are played: where there are few enough, and no fewer were asked for.
fn is_played_out(players: usize, samples: Option<usize>) -> bool {
    let are_fewer = |samples: usize| samples.saturating_mul(2 * players) < 1 << players;
    players <= EXACT_AT_MOST && !samples.is_some_and(are_fewer)
}

/// Whether an error that was asked for was reached.
fn check_error(game: &Game<'_>, errors: &[Vec<f64>], most: Option<f64>) -> Result<()> {
    let all = errors.iter().flat_map(|errors| errors.iter().zip(game.players));
    let Some((error, player)) = all.max_by(|(a, _), (b, _)| a.total_cmp(b)) else { return Ok(()) };
    if most.is_none_or(|most| *error <= most) {
        return Ok(());
    }
    let name = &game.interface.features[*player].name;
    let message = format!(
        "the standard error of feature {name:?} of model {} is still {error:.3e} after {ORDERS_FOR_ERROR} samples",
        game.reference
    );
    Err(Error::new(Kind::Limit, message).with_hint("Ask for a greater error, or say how many samples are to do."))
}
