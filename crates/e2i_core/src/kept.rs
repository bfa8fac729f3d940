//! Values by a text, as many as one likes to keep.

use std::collections::HashMap;
use std::rc::Rc;

/// That many are compared in order, which is cheaper than a hash.
const COMPARED: usize = 8;

/// Values by their texts. Asking for the same text as the last time costs a comparison, for another one of many a hash.
#[derive(Debug)]
pub struct Kept<V> {
    slots: Vec<Slot<V>>,
    /// Of all or, as long as they are few, of none.
    places: HashMap<Rc<str>, usize>,
    last: usize,
    weight: usize,
    draws: u64,
}

#[derive(Debug)]
struct Slot<V> {
    text: Rc<str>,
    value: V,
    weight: usize,
}

impl<V> Default for Kept<V> {
    fn default() -> Self {
        Self { slots: vec![], places: HashMap::new(), last: 0, weight: 0, draws: 0 }
    }
}

impl<V> Kept<V> {
    /// The place of a text's value.
    #[inline]
    pub fn find(&mut self, text: &str) -> Option<usize> {
        let is_last = self.slots.get(self.last).is_some_and(|slot| *slot.text == *text);
        if !is_last {
            self.last = self.place_of(text)?;
        }
        Some(self.last)
    }

    fn place_of(&self, text: &str) -> Option<usize> {
        match self.slots.len() <= COMPARED {
            true => self.slots.iter().position(|slot| *slot.text == *text),
            false => self.places.get(text).copied(),
        }
    }

    /// The value at a place that [`Kept::find`] or [`Kept::insert`] gave, if none was dropped since.
    #[inline]
    pub fn at(&mut self, place: usize) -> &mut V {
        &mut self.slots[place].value
    }

    /// The value of a text.
    pub fn get(&mut self, text: &str) -> Option<&mut V> {
        self.find(text).map(|place| self.at(place))
    }

    /// Keeps a value of some weight, instead of one with the same text, and says at which place.
    pub fn insert(&mut self, text: &str, value: V, weight: usize) -> usize {
        if let Some(place) = self.place_of(text) {
            self.remove(place);
        }
        self.last = self.slots.len();
        self.slots.push(Slot { text: text.into(), value, weight });
        self.weight += weight;
        if !self.places.is_empty() || self.slots.len() > COMPARED {
            let missing = if self.places.is_empty() { 0 } else { self.last };
            let texts = self.slots.iter().enumerate().skip(missing);
            self.places.extend(texts.map(|(place, slot)| (slot.text.clone(), place)));
        }
        self.last
    }

    /// Drops a value that is drawn by lot: where texts come in turn, the one asked for longest ago is the next to be needed.
    pub fn evict(&mut self) {
        // Knuth's MMIX: the upper bits are good enough for a lot.
        self.draws = self.draws.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        if let Some(place) = ((self.draws >> 33) as usize).checked_rem(self.slots.len()) {
            self.remove(place);
        }
    }

    fn remove(&mut self, place: usize) {
        let slot = self.slots.swap_remove(place);
        self.weight -= slot.weight;
        if !self.places.is_empty() {
            self.places.remove(&slot.text);
            if let Some(moved) = self.slots.get(place) {
                self.places.insert(moved.text.clone(), place);
            }
        }
        self.last = 0;
    }

    /// Keeps those values of which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&V) -> bool) {
        let mut place = 0;
        while let Some(slot) = self.slots.get(place) {
            if keep(&slot.value) {
                place += 1;
            } else {
                self.remove(place);
            }
        }
    }

    /// All values, in no order.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.slots.iter().map(|slot| &slot.value)
    }

    /// Drops all.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// What they weigh together.
    pub fn weight(&self) -> usize {
        self.weight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Kept<u32> {
        let mut kept = Kept::default();
        for (text, value) in [("a", 1), ("b", 2), ("c", 3)] {
            kept.insert(text, value, 10);
        }
        kept
    }

    #[test]
    fn one_goes_by_lot_and_the_others_stay() {
        let mut kept = three();
        kept.evict();
        let left = ["a", "b", "c"].map(|text| kept.get(text).copied());
        assert_eq!(left.into_iter().flatten().count(), 2);
        assert!(left.iter().zip([1, 2, 3]).all(|(left, value)| left.is_none_or(|left| left == value)));
        assert_eq!((kept.len(), kept.weight()), (2, 20));
        (0..3).for_each(|_| kept.evict());
        assert_eq!((kept.is_empty(), kept.weight()), (true, 0));
        assert_eq!(kept.get("a"), None);
    }

    #[test]
    fn texts_in_turn_are_found_though_not_all_are_kept() {
        let (mut kept, mut found) = (Kept::default(), 0);
        for number in (0..100).cycle().take(2000).map(|number: u32| number.to_string()) {
            match kept.get(&number) {
                Some(()) => found += 1,
                None => {
                    if kept.len() == 90 {
                        kept.evict();
                    }
                    kept.insert(&number, (), 0);
                }
            }
        }
        assert!(found > 1000, "{found}");
    }

    #[test]
    fn a_text_that_is_kept_again_has_the_new_value_alone() {
        let mut kept = three();
        kept.insert("a", 4, 1);
        assert_eq!(["a", "b", "c"].map(|text| kept.get(text).copied()), [Some(4), Some(2), Some(3)]);
        assert_eq!((kept.len(), kept.weight()), (3, 21));
    }

    #[test]
    fn what_is_retained_is_found_under_its_text() {
        let mut kept = three();
        kept.retain(|value| *value != 1);
        assert_eq!(["a", "b", "c"].map(|text| kept.get(text).copied()), [None, Some(2), Some(3)]);
        assert_eq!((kept.len(), kept.weight()), (2, 20));
    }

    #[test]
    fn few_and_many_are_found_whichever_were_there_before() {
        let mut kept = Kept::default();
        for round in 0..5 {
            for number in 0..20 {
                kept.insert(&number.to_string(), number + round, 1);
            }
            for number in 0..20 {
                assert_eq!(kept.get(&number.to_string()), Some(&mut (number + round)));
            }
            kept.retain(|value| value % 5 == round);
            assert_eq!(kept.len(), 4);
            assert_eq!((0..20).filter(|number| kept.get(&number.to_string()).is_some()).count(), 4);
        }
        kept.retain(|_| false);
        assert_eq!(kept.get("1"), None);
        assert_eq!(kept.insert("1", 1, 1), 0);
        assert_eq!(kept.get("1"), Some(&mut 1));
    }

    #[test]
    fn as_many_as_one_likes_are_found() {
        let mut kept = Kept::default();
        for number in 0..1000 {
            kept.insert(&number.to_string(), number, 1);
            if number % 3 == 2 {
                kept.evict();
            }
        }
        let found = (0..1000).filter(|number| kept.get(&number.to_string()) == Some(&mut number.clone())).count();
        assert_eq!((found, kept.len()), (667, 667));
    }
}
