//! Probabilities of all classes, each mapped by itself and then made to add up to 1.
//!
//! As scikit-learn's `CalibratedClassifierCV` does it: of two classes the second one is mapped and the first is what it lacks to 1; of
//! several each is mapped as one against the rest, and divided by the sum.

use e2i_core::{Error, Kind, Result};
use serde::{Deserialize, Serialize};

use crate::isotonic::Isotonic;
use crate::logistic::{Beta, Platt};
use crate::method::Method;

/// From what a model says of a class to how often that is so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Map {
    /// Steps and lines.
    Isotonic(Isotonic),
    /// A logistic curve.
    Platt(Platt),
    /// A beta curve.
    Beta(Beta),
}

impl Map {
    /// The probability that stands for a model's.
    #[must_use]
    pub fn at(&self, number: f64) -> f64 {
        match self {
            Self::Isotonic(isotonic) => isotonic.at(number),
            Self::Platt(platt) => platt.at(number),
            Self::Beta(beta) => beta.at(number),
        }
    }
}

/// Maps of all classes: one for two classes, else one a class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probabilities {
    /// The maps, in the order of the classes.
    pub maps: Vec<Map>,
}

impl Probabilities {
    /// Fits the probabilities of rows, so many a row side by side, to the classes that the rows are of.
    ///
    /// # Errors
    /// Methods that are none of probabilities; [`Kind::WrongState`] where a curve needs rows of both sides.
    pub fn fit(
        method: Method,
        probabilities: &[f64],
        classes: usize,
        truth: &[usize],
        weights: Option<&[f64]>,
    ) -> Result<Self> {
        let mapped = if classes == 2 { 1..2 } else { 0..classes };
        let fit = |class: usize| {
            let numbers: Vec<f64> = probabilities.iter().skip(class).step_by(classes.max(1)).copied().collect();
            let is_so: Vec<bool> = truth.iter().map(|truth| *truth == class).collect();
            match method {
                Method::Isotonic => {
                    let observed: Vec<f64> = is_so.iter().map(|is_so| f64::from(u8::from(*is_so))).collect();
                    Ok(Map::Isotonic(Isotonic::fit(&numbers, &observed, weights)))
                }
                Method::Platt => Ok(Map::Platt(Platt::fit(&numbers, &is_so, weights))),
                Method::Beta if is_so.iter().all(|is_so| *is_so) || !is_so.contains(&true) => {
                    Err(Error::new(Kind::WrongState, "a beta curve needs rows of every class and of others")
                        .with_hint("Take method => 'platt' or 'isotonic', or more rows."))
                }
                Method::Beta => Ok(Map::Beta(Beta::fit(&numbers, &is_so, weights))),
                _ => Err(Error::new(Kind::BadOption, format!("{} makes no probabilities", method.name()))),
            }
        };
        Ok(Self { maps: mapped.map(fit).collect::<Result<_>>()? })
    }

    /// The probabilities that stand for a model's.
    #[must_use]
    pub fn at(&self, probabilities: &[f64]) -> Vec<f64> {
        if let ([map], [_, second]) = (&self.maps[..], probabilities) {
            let second = map.at(*second);
            return vec![1.0 - second, second];
        }
        let mut mapped: Vec<f64> = self.maps.iter().zip(probabilities).map(|(map, number)| map.at(*number)).collect();
        let (sum, count) = (mapped.iter().sum::<f64>(), mapped.len() as f64);
        mapped.iter_mut().for_each(|number| *number = if sum == 0.0 { 1.0 / count } else { *number / sum });
        mapped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_add_up() {
        let probabilities = [0.7, 0.2, 0.1, 0.1, 0.8, 0.1, 0.3, 0.3, 0.4, 0.6, 0.3, 0.1];
        for method in [Method::Isotonic, Method::Platt, Method::Beta] {
            let fitted = Probabilities::fit(method, &probabilities, 3, &[0, 1, 2, 0], None).unwrap();
            assert_eq!(fitted.maps.len(), 3);
            for row in probabilities.chunks(3) {
                assert!((fitted.at(row).iter().sum::<f64>() - 1.0).abs() < 1e-12);
            }
        }
        let nothing = Map::Isotonic(Isotonic { places: vec![0.0], values: vec![0.0] });
        let nothing = Probabilities { maps: vec![nothing.clone(), nothing.clone(), nothing] };
        assert_eq!(nothing.at(&[0.2, 0.3, 0.5]), [1.0 / 3.0; 3]);
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        let one_sided = Probabilities::fit(Method::Beta, &[0.5, 0.5, 0.4, 0.6], 2, &[1, 1], None);
        assert_eq!(one_sided.unwrap_err().kind(), Kind::WrongState);
        assert!(Probabilities::fit(Method::Platt, &[0.5, 0.5, 0.4, 0.6], 2, &[1, 1], None).is_ok());
        assert_eq!(Probabilities::fit(Method::Lac, &[], 2, &[], None).unwrap_err().kind(), Kind::BadOption);
    }
}
