//! What one call site has resolved: most often one reference, or as many as a model argument that differs from row to row names.
//!
//! They hold their models, whatever the session's cache does. So there are few of them, or as many as its size allows.

use std::collections::HashMap;

use crate::session::target::Target;
use crate::settings;

/// That many are compared in order, which is cheaper than hashing the reference of every row.
const COMPARED: usize = 8;

/// That many are kept however large their models are, and not more than that many however small.
const LEAST: usize = 64;
const MOST: usize = 4096;

/// Targets by their references.
#[derive(Default)]
pub struct Targets {
    /// In no order.
    pub all: Vec<(Box<str>, Target)>,
    /// Where each is in there.
    places: HashMap<Box<str>, usize>,
    /// Draws the one that has to go.
    draws: usize,
}

impl Targets {
    /// Where a reference is in [`Targets::all`].
    #[inline]
    pub fn find(&self, reference: &str) -> Option<usize> {
        if self.all.len() <= COMPARED {
            return self.all.iter().position(|(known, _)| **known == *reference);
        }
        self.places.get(reference).copied()
    }

    /// Keeps one that is not there yet; where it is then. Another one may go, drawn by lot: where references come in turn, the one
    /// that was used longest ago is the next to be needed.
    pub fn keep(&mut self, reference: &str, target: Target) -> usize {
        if self.all.len() >= LEAST && (self.all.len() >= MOST || self.bytes() > settings::session_cache_bytes()) {
            self.draws = self.draws.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (gone, _) = self.all.swap_remove((self.draws >> 33) % self.all.len());
            if let Some(place) = self.places.remove(&gone)
                && let Some((moved, _)) = self.all.get(place)
            {
                self.places.insert(moved.clone(), place);
            }
        }
        let place = self.all.len();
        self.all.push((reference.into(), target));
        self.places.insert(reference.into(), place);
        place
    }

    /// Forgets those that are not good any more.
    pub fn retain(&mut self, is_good: impl Fn(&Target) -> bool) {
        self.all.retain(|(_, target)| is_good(target));
        if self.all.len() != self.places.len() {
            self.places = self.all.iter().enumerate().map(|(place, (known, _))| (known.clone(), place)).collect();
        }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.all.clear();
        self.places.clear();
    }

    fn bytes(&self) -> usize {
        self.all.iter().map(|(_, target)| target.memory_bytes()).sum()
    }
}
