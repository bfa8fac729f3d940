//! What can be asked for, by name.

use e2i_core::{Error, Kind, Result};

/// What a calibration is for. A version has one of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// An interval around a number.
    Interval,
    /// A set of classes.
    Set,
    /// Probabilities.
    Probability,
}

impl Purpose {
    /// The name in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Interval => "interval",
            Self::Set => "set",
            Self::Probability => "probability",
        }
    }

    /// The purpose of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Interval, Self::Set, Self::Probability].into_iter().find(|purpose| purpose.name() == name)
    }
}

/// How a version is calibrated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Split conformal by the absolute residual (Lei and others 2018).
    Residual,
    /// By the residual as a part of a scale that each row has (Papadopoulos and others 2008).
    NormalisedResidual,
    /// Conformalised quantiles (Romano, Patterson and Candès 2019), both sides by one margin.
    Quantiles,
    /// The same, each side by its own.
    AsymmetricQuantiles,
    /// Least ambiguous sets (Sadinle, Lei and Wasserman 2019).
    Lac,
    /// Adaptive sets (Romano, Sesia and Candès 2020), without their randomisation.
    Aps,
    /// Isotonic regression (Zadrozny and Elkan 2002).
    Isotonic,
    /// A logistic curve (Platt 1999).
    Platt,
    /// A beta curve (Kull, Silva Filho and Flach 2017).
    Beta,
}

/// The names that a method is known by, its own first.
const NAMES: [(Method, &[&str]); 9] = [
    (Method::Residual, &["residual", "absolute_residual", "absolute"]),
    (Method::NormalisedResidual, &["normalised_residual", "normalized_residual", "normalised", "normalized"]),
    (Method::Quantiles, &["quantiles", "cqr", "conformalised_quantiles", "conformalized_quantiles"]),
    (Method::AsymmetricQuantiles, &["asymmetric_quantiles", "cqr_asymmetric", "asymmetric_cqr"]),
    (Method::Lac, &["lac"]),
    (Method::Aps, &["aps"]),
    (Method::Isotonic, &["isotonic"]),
    (Method::Platt, &["platt", "sigmoid"]),
    (Method::Beta, &["beta"]),
];

impl Method {
    /// The method of that name, of whichever case.
    ///
    /// # Errors
    /// [`Kind::BadOption`] for what is none.
    pub fn from_name(name: &str) -> Result<Self> {
        let lower = name.to_lowercase();
        let found = NAMES.iter().find(|(_, names)| names.contains(&lower.as_str()));
        found.map(|(method, _)| *method).ok_or_else(|| {
            let own: Vec<&str> = NAMES.iter().map(|(_, names)| names[0]).collect();
            Error::new(Kind::BadOption, format!("unknown method of calibration {name:?}"))
                .with_hint(format!("One of {}.", own.join(", ")))
        })
    }

    /// Its own name.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(method, _)| *method == self).map_or("", |(_, names)| names[0])
    }

    /// What it is for.
    #[must_use]
    pub fn purpose(self) -> Purpose {
        match self {
            Self::Residual | Self::NormalisedResidual | Self::Quantiles | Self::AsymmetricQuantiles => {
                Purpose::Interval
            }
            Self::Lac | Self::Aps => Purpose::Set,
            Self::Isotonic | Self::Platt | Self::Beta => Purpose::Probability,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_method_has_a_name_of_its_own_and_others_that_people_use() {
        for (method, names) in NAMES {
            assert!(names.iter().all(|name| Method::from_name(name).unwrap() == method));
            assert_eq!(Method::from_name(method.name()).unwrap(), method);
        }
        assert_eq!(Method::from_name("CQR").unwrap(), Method::Quantiles);
        let error = Method::from_name("jackknife").unwrap_err();
        assert_eq!(error.kind(), Kind::BadOption);
        assert_eq!(error.message(), "unknown method of calibration \"jackknife\"");
    }
}
