//! A hash of what a version has been given of a row: whether its features have changed since it was scored.
//!
//! Of what the model sees, after binding: defaults stand in place of what is missing, a number has the precision of its tensor, and in
//! which type or spelling it came does not matter. The same in every session, server and release, for it is kept in tables.

use sha2::{Digest, Sha256};

use crate::batch::{Batch, Column};
use crate::interface::Interface;

/// The first 64 bits of a SHA-256 over the features of a bound row in the model's order: a number as float64, an integer as int64,
/// a text by its length and UTF-8. The two zeros are one, and so is every NaN. A changed row has
/// the hash of before in 1 of 2⁶⁴ cases.
#[must_use]
pub fn feature_hash(interface: &Interface, batch: &Batch, row: usize) -> i64 {
    let mut hash = Sha256::new();
    for feature in &interface.features {
        let tensor = &batch.tensors()[feature.tensor];
        let at = row * tensor.width + feature.position;
        match &tensor.values {
            Column::Text(texts) => {
                let text = texts.get(at).map_or(&[][..], |text| text.as_bytes());
                hash.update((text.len() as u64).to_be_bytes());
                hash.update(text);
            }
            Column::Int64(integers) => hash.update(integers.get(at).copied().unwrap_or_default().to_be_bytes()),
            numbers => {
                let number = numbers.number(at).unwrap_or_default();
                let one = if number.is_nan() { f64::NAN.abs() } else { number + 0.0 };
                hash.update(one.to_bits().to_be_bytes());
            }
        }
    }
    let mut first = [0; 8];
    first.copy_from_slice(&hash.finalize()[..8]);
    i64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{feature, regression};
    use crate::interface::ElementType;

    fn hash_of(element: ElementType, set: impl Fn(&mut Column)) -> i64 {
        let interface = regression(vec![feature("a", 0, element), feature("b", 1, element)]);
        let mut batch = Batch::new(&interface.inputs, 1);
        set(&mut batch.tensors_mut()[0].values);
        feature_hash(&interface, &batch, 0)
    }

    fn of_floats(a: f64, b: f64) -> i64 {
        hash_of(ElementType::Float64, |column| *column = Column::Float64(vec![a, b]))
    }

    fn of_texts(a: &str, b: &str) -> i64 {
        hash_of(ElementType::Text, |column| *column = Column::Text(vec![a.to_owned(), b.to_owned()]))
    }

    #[test]
    fn it_is_the_same_for_ever() {
        // printf '3ff0000000000000c000000000000000' | xxd -r -p | sha256sum
        assert_eq!(of_floats(1.0, -2.0), 6_355_817_309_153_484_810);
    }

    #[test]
    fn every_feature_counts_and_so_does_its_place() {
        assert_ne!(of_floats(1.0, 2.0), of_floats(2.0, 1.0));
        assert_ne!(of_floats(1.0, 2.0), of_floats(1.0, 2.0 + f64::EPSILON * 2.0));
        assert_ne!(of_texts("ab", "c"), of_texts("a", "bc"));
        assert_ne!(of_texts("", "0"), of_texts("0", ""));
        let of_integers = |a, b| hash_of(ElementType::Int64, |column| *column = Column::Int64(vec![a, b]));
        assert_ne!(of_integers(1 << 53, 0), of_integers((1 << 53) + 1, 0));
    }

    #[test]
    fn zeros_are_one_and_so_are_nans() {
        assert_eq!(of_floats(0.0, f64::NAN), of_floats(-0.0, -f64::NAN));
        assert_ne!(of_floats(0.0, f64::NAN), of_floats(0.0, f64::INFINITY));
        assert_eq!(of_floats(1.5, 2.0), hash_of(ElementType::Float32, |c| *c = Column::Float32(vec![1.5, 2.0])));
    }
}
