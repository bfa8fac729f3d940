//! Splitting the rows of a service between versions, and drawing those that a shadow scores too.
//!
//! Which version scores a row depends on nothing but the row: on the value of one feature, or of all. The same row gets the
//! same version in every statement, session and server, so a statement stays reproducible while a canary runs. Whether the
//! shadow scores it depends on the row as well, and not on who else does.

use crate::batch::{Batch, Column};
use crate::error::{Error, Kind, Result};
use crate::interface::Interface;

/// How far the shares may sum from 1, for decimals that binary numbers do not hold.
const TOLERANCE: f64 = 1e-9;

/// Shares of versions, in a fixed order.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// Upper end of each version's part of [0, 1).
    ends: Vec<f64>,
    /// Index of the feature that decides; all of them if `None`.
    by: Option<usize>,
}

impl Split {
    /// A split into `shares`; the order is part of what it means. `by` names a feature of the model to which rows are bound.
    ///
    /// # Errors
    /// [`Kind::BadOption`] for shares that are no shares or do not sum to 1, or a feature that the model does not have.
    pub fn new(shares: &[f64], by: Option<&str>, interface: &Interface) -> Result<Self> {
        check_shares(shares)?;
        let by = by
            .map(|name| {
                interface.features.iter().position(|feature| feature.name == name).ok_or_else(|| {
                    Error::new(Kind::BadOption, format!("the active version has no feature {name:?} to split by"))
                })
            })
            .transpose()?;
        let mut end = 0.0;
        let mut ends: Vec<f64> = shares
            .iter()
            .map(|share| {
                end += share;
                end
            })
            .collect();
        if let Some(last) = ends.last_mut() {
            *last = 1.0;
        }
        Ok(Self { ends, by })
    }

    /// Which of the shares a bound row falls into.
    #[must_use]
    pub fn choose(&self, interface: &Interface, batch: &Batch, row: usize) -> usize {
        let place = position(interface, batch, row, self.by);
        self.ends.iter().position(|end| place < *end).unwrap_or(self.ends.len().saturating_sub(1))
    }
}

/// Who scores the rows of a service.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Traffic {
    /// The split, and for each of its shares the version's number.
    split: Option<(Split, Vec<usize>)>,
    /// The share of rows that the shadow scores too.
    sample: f64,
}

/// Who scores one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scored {
    /// The number of the version that answers; the active one's is 0.
    pub by: usize,
    /// Whether the shadow scores it too.
    pub beside: bool,
}

impl Traffic {
    /// `split` says for each of its shares which version it means, two shares may mean the same; `sample` is the share of rows
    /// that a shadow scores too, 0 without one.
    #[must_use]
    pub fn new(split: Option<(Split, Vec<usize>)>, sample: f64) -> Self {
        Self { split, sample }
    }

    /// Whether several versions answer.
    #[must_use]
    pub fn is_split(&self) -> bool {
        self.split.is_some()
    }

    /// Who scores a row that is bound to the active version, whose interface it is.
    #[inline]
    #[must_use]
    pub fn of(&self, interface: &Interface, batch: &Batch, row: usize) -> Scored {
        if self.split.is_none() && self.sample <= 0.0 {
            return Scored::default();
        }
        let by = self.split.as_ref().map_or(0, |(split, versions)| versions[split.choose(interface, batch, row)]);
        let beside = self.sample > 0.0 && is_sampled(position(interface, batch, row, None), self.sample);
        Scored { by, beside }
    }
}

/// Whether a row is sampled: by another part of its place than the one that splits traffic.
fn is_sampled(place: f64, sample: f64) -> bool {
    (place * 1021.0).fract() < sample
}

/// Whether shares are between 0 and 1 and sum to 1.
///
/// # Errors
/// [`Kind::BadOption`] with what they sum to.
pub fn check_shares(shares: &[f64]) -> Result<()> {
    if let Some(wrong) = shares.iter().find(|share| !(0.0..=1.0).contains(*share)) {
        return Err(Error::new(Kind::BadOption, format!("a share of traffic is between 0 and 1, got {wrong:?}")));
    }
    let sum: f64 = shares.iter().sum();
    if (sum - 1.0).abs() > TOLERANCE {
        return Err(Error::new(Kind::BadOption, format!("the shares of traffic sum to {sum}, not to 1")));
    }
    Ok(())
}

/// A row's place in [0, 1): a hash of one feature's value, or of all.
fn position(interface: &Interface, batch: &Batch, row: usize, by: Option<usize>) -> f64 {
    let mut hash = Hash::new();
    let mut add = |index: usize| {
        let feature = &interface.features[index];
        let tensor = &batch.tensors()[feature.tensor];
        let at = row * tensor.width + feature.position;
        match &tensor.values {
            Column::Text(texts) => hash.add(texts.get(at).map_or(&[][..], |text| text.as_bytes())),
            // All numbers as float64, so that the type of the tensor does not matter; the two zeros are one.
            numbers => hash.add(&(numbers.number(at).unwrap_or(0.0) + 0.0).to_bits().to_le_bytes()),
        }
        hash.add(&[0xff]);
    };
    match by {
        Some(index) => add(index),
        None => (0..interface.features.len()).for_each(add),
    }
    hash.unit()
}

/// FNV-1a with the finaliser of SplitMix64, whose high bits are even where FNV's are not.
struct Hash(u64);

impl Hash {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn unit(&self) -> f64 {
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{feature, regression};
    use crate::interface::ElementType;

    fn interface(element: ElementType) -> Interface {
        regression(vec![feature("id", 0, element), feature("age", 1, element)])
    }

    fn rows(element: ElementType, count: usize) -> Batch {
        let mut batch = Batch::new(&interface(element).inputs, count);
        match &mut batch.tensors_mut()[0].values {
            Column::Float64(cells) => cells.iter_mut().enumerate().for_each(|(i, cell)| *cell = (i / 2) as f64),
            Column::Int64(cells) => cells.iter_mut().enumerate().for_each(|(i, cell)| *cell = (i / 2) as i64),
            _ => {}
        }
        batch
    }

    #[test]
    fn shares_are_met_and_the_type_of_the_tensor_does_not_matter() {
        let (floats, integers) = (interface(ElementType::Float64), interface(ElementType::Int64));
        let split = Split::new(&[0.9, 0.1], Some("id"), &floats).unwrap();
        let (as_floats, as_integers) = (rows(ElementType::Float64, 10_000), rows(ElementType::Int64, 10_000));
        let chosen: Vec<usize> = (0..10_000).map(|row| split.choose(&floats, &as_floats, row)).collect();
        let canary = chosen.iter().sum::<usize>();
        // Four standard deviations of a binomial of 10,000 and 0.1.
        assert!((880..=1120).contains(&canary), "{canary}");
        assert!((0..10_000).all(|row| split.choose(&integers, &as_integers, row) == chosen[row]));
    }

    #[test]
    fn only_the_named_feature_decides() {
        let model = interface(ElementType::Float64);
        let by_id = Split::new(&[0.5, 0.5], Some("id"), &model).unwrap();
        let by_all = Split::new(&[0.5, 0.5], None, &model).unwrap();
        let mut batch = rows(ElementType::Float64, 200);
        let places =
            |split: &Split, batch: &Batch| (0..200).map(|row| split.choose(&model, batch, row)).collect::<Vec<_>>();
        let (before_id, before_all) = (places(&by_id, &batch), places(&by_all, &batch));
        if let Column::Float64(cells) = &mut batch.tensors_mut()[0].values {
            cells.iter_mut().skip(1).step_by(2).for_each(|age| *age += 1.0);
        }
        assert_eq!(places(&by_id, &batch), before_id);
        assert_ne!(places(&by_all, &batch), before_all);
    }

    #[test]
    fn a_version_may_have_several_shares() {
        let model = interface(ElementType::Float64);
        let split = Split::new(&[0.25, 0.5, 0.25], None, &model).unwrap();
        let traffic = Traffic::new(Some((split.clone(), vec![1, 0, 1])), 0.0);
        let batch = rows(ElementType::Float64, 1000);
        for row in 0..1000 {
            let scored = traffic.of(&model, &batch, row);
            assert_eq!(scored.by, usize::from(split.choose(&model, &batch, row) != 1));
            assert!(!scored.beside);
        }
    }

    #[test]
    fn the_shadow_scores_its_sample_of_every_version() {
        let model = interface(ElementType::Float64);
        let split = Split::new(&[0.5, 0.5], None, &model).unwrap();
        let traffic = Traffic::new(Some((split, vec![0, 1])), 0.3);
        let batch = rows(ElementType::Float64, 20_000);
        let mut counts = [[0.0; 2]; 2];
        for row in 0..20_000 {
            let scored = traffic.of(&model, &batch, row);
            counts[scored.by][usize::from(scored.beside)] += 1.0;
        }
        for [alone, beside] in counts {
            // Four standard deviations of a binomial of 10,000 and 0.3.
            assert!((beside / (alone + beside) - 0.3_f64).abs() < 0.019, "{counts:?}");
        }
    }

    #[test]
    fn without_split_and_shadow_the_active_version_scores_alone() {
        let model = interface(ElementType::Float64);
        let batch = rows(ElementType::Float64, 100);
        assert!((0..100).all(|row| Traffic::default().of(&model, &batch, row) == Scored::default()));
        let all = Traffic::new(None, 1.0);
        assert!((0..100).all(|row| all.of(&model, &batch, row) == Scored { by: 0, beside: true }));
    }

    #[test]
    fn shares_must_be_shares() {
        for (shares, why) in [
            (&[0.9, 0.2][..], "sum to 1.1"),
            (&[1.5, -0.5][..], "between 0 and 1"),
            (&[1e300][..], "got 1e300"),
            (&[0.999][..], "0.999"),
        ] {
            assert!(check_shares(shares).unwrap_err().message().contains(why));
        }
        assert!(check_shares(&[0.1, 0.2, 0.7]).is_ok());
        assert!(Split::new(&[1.0], Some("nobody"), &interface(ElementType::Float64)).is_err());
    }
}
