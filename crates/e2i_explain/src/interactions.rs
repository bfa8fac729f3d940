//! What pairs of columns add together, beyond what each adds by itself: Shapley interaction values.
//!
//! A leaf's worth is a product over its players ([`Shares`](crate::shapley::Shares)), so that the pair `i`, `j` gets
//! `(o_i - z_i) (o_j - z_j) ∫ Π (t o_k + (1 - t) z_k) dt` over the others. Against a row of a background the shares are 0 and 1.
//! Both halves of a pair are one number here: shap's matrix and XGBoost's `pred_interactions` have half of it in each of two cells.
//!
//! What does not belong here: what columns add in all, of which pairs are parts.

use std::collections::BTreeMap;

use e2i_core::{Error, Kind, Result};

use crate::leaves::{Leaf, Leaves, PLAYERS};
use crate::quadrature::gauss_legendre;

/// Leaves between two looks at whether somebody wants it to end.
const LEAVES_BETWEEN_LOOKS: usize = 256;

/// What stands for a column that is not known.
#[derive(Debug, Clone, Copy)]
pub enum Unknown<'u> {
    /// What of the training data took each turn.
    Covers,
    /// The rows of a background, of the ensemble's width, one after the other.
    Background(&'u [f64]),
}

/// The pairs of columns that add anything to a target of one row, and how much: both halves. The lesser column comes first.
///
/// # Errors
/// [`Kind::WrongState`] for trees without covers, [`Kind::BadOption`] for a background without rows, [`Kind::Interrupted`] when
/// `interrupted` says so.
pub fn interactions(
    leaves: &Leaves,
    row: &[f64],
    target: usize,
    unknown: Unknown<'_>,
    interrupted: fn() -> bool,
) -> Result<Vec<(u32, u32, f64)>> {
    let background = match unknown {
        Unknown::Covers if !leaves.have_covers() => {
            let message = "the file of the model does not say how much training data came to each branch of its trees";
            return Err(Error::new(Kind::WrongState, message));
        }
        Unknown::Covers => None,
        Unknown::Background(rows) => Some((leaves.answers(rows), rows.len() / leaves.width().max(1))),
    };
    if background.as_ref().is_some_and(|(_, count)| *count == 0) {
        return Err(Error::new(Kind::BadOption, "the background has no rows"));
    }
    let answers = leaves.answers(row);
    let mut points: Vec<Vec<(f64, f64)>> = vec![];
    let mut all = BTreeMap::new();
    for (index, leaf) in leaves.leaves.iter().enumerate() {
        if index % LEAVES_BETWEEN_LOOKS == 0 && interrupted() {
            return Err(Error::new(Kind::Interrupted, "the run was interrupted"));
        }
        let weight = weight_of(leaves, leaf, target);
        let players = &leaves.players[leaf.players.clone()];
        let count = players.len();
        if weight == 0.0 || count < 2 {
            continue;
        }
        while points.len() <= count {
            // Exact up to a degree that is two less than there are players.
            points.push(gauss_legendre(points.len() / 2));
        }
        let pattern = leaves.pattern(leaf, &answers, 0);
        let mut held = [0.0; PLAYERS];
        held.iter_mut().take(count).enumerate().for_each(|(place, held)| *held = bit(pattern, place));
        let mut shares = [0.0; PLAYERS];
        let mut add = |shares: &[f64], times: f64| {
            pairs(&held[..count], shares, &points[count], |i, j, got| {
                *all.entry((players[i].column, players[j].column)).or_insert(0.0) += times * got;
            });
        };
        match &background {
            None => {
                shares.iter_mut().zip(players).for_each(|(share, player)| *share = player.share);
                add(&shares[..count], weight);
            }
            Some((theirs, rows)) => {
                let mut patterns = vec![];
                for word in 0..rows.div_ceil(u64::BITS as usize) {
                    // A player that neither row holds keeps every coalition from the leaf.
                    let lacking = players.iter().enumerate().filter(|(place, _)| bit(pattern, *place) == 0.0);
                    let mut left = lacking.fold(u64::MAX, |rows, (_, it)| rows & leaves.player(it, theirs, word));
                    while left != 0 {
                        let other = word * u64::BITS as usize + left.trailing_zeros() as usize;
                        left &= left - 1;
                        // Beyond the last row there are none.
                        if other < *rows {
                            patterns.push(leaves.pattern(leaf, theirs, other));
                        }
                    }
                }
                patterns.sort_unstable();
                for alike in patterns.chunk_by(|a, b| a == b) {
                    shares.iter_mut().take(count).enumerate().for_each(|(place, share)| *share = bit(alike[0], place));
                    add(&shares[..count], weight * alike.len() as f64 / *rows as f64);
                }
            }
        }
    }
    Ok(all.into_iter().filter(|(_, got)| *got != 0.0).map(|((a, b), got)| (a, b, got)).collect())
}

fn bit(pattern: u64, place: usize) -> f64 {
    if pattern >> place & 1 == 1 { 1.0 } else { 0.0 }
}

fn weight_of(leaves: &Leaves, leaf: &Leaf, target: usize) -> f64 {
    let weights = leaves.weights[leaf.weights.clone()].iter();
    weights.filter(|(of, _)| *of as usize == target).map(|(_, value)| value).sum()
}

/// Tells of each pair of players that gets anything of a leaf, and what.
fn pairs(held: &[f64], shares: &[f64], points: &[(f64, f64)], mut tell: impl FnMut(usize, usize, f64)) {
    let count = held.len();
    let moves = |player: usize| held[player] - shares[player];
    for i in 0..count {
        for j in i + 1..count {
            let moved = moves(i) * moves(j);
            if moved == 0.0 {
                continue;
            }
            let product = |t: f64| -> f64 {
                let others = (0..count).filter(|other| *other != i && *other != j);
                others.map(|other| t * held[other] + (1.0 - t) * shares[other]).product()
            };
            tell(i, j, moved * points.iter().map(|(t, weight)| weight * product(*t)).sum::<f64>());
        }
    }
}
