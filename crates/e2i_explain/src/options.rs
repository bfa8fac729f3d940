//! What can be asked for: in which space, and by which method.

use e2i_core::{Error, Kind, Result};

/// Of which number attributions are parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Space {
    /// What the model adds up: log odds, the logarithm of a count, a regression's value.
    Margin,
    /// The probability of a class: its own Shapley values.
    Probability,
    /// The probability, as shap scales the attributions of the margin to it.
    ProbabilityScaled,
    /// What the model predicts.
    Output,
}

impl Space {
    const ALL: [Self; 4] = [Self::Margin, Self::Probability, Self::ProbabilityScaled, Self::Output];

    /// The name used in SQL.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Margin => "margin",
            Self::Probability => "probability",
            Self::ProbabilityScaled => "probability_scaled",
            Self::Output => "output",
        }
    }

    /// The space of that name.
    ///
    /// # Errors
    /// [`Kind::BadOption`] with those that there are.
    pub fn from_name(name: &str) -> Result<Self> {
        named("space", name, Self::ALL, Self::name)
    }
}

/// How attributions are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// What is not known goes the ways of the training data, by the covers of the trees.
    PathDependent,
    /// What is not known has the values of a background's rows.
    Interventional,
    /// The same for any model, by scoring rows that are mixed of both.
    Sampled,
}

impl Method {
    const ALL: [Self; 3] = [Self::PathDependent, Self::Interventional, Self::Sampled];

    /// The name used in SQL.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PathDependent => "path_dependent",
            Self::Interventional => "interventional",
            Self::Sampled => "sampled",
        }
    }

    /// The method of that name.
    ///
    /// # Errors
    /// [`Kind::BadOption`] with those that there are.
    pub fn from_name(name: &str) -> Result<Self> {
        named("method", name, Self::ALL, Self::name)
    }
}

fn named<T: Copy, const N: usize>(what: &str, name: &str, all: [T; N], of: fn(T) -> &'static str) -> Result<T> {
    all.into_iter().find(|one| of(*one) == name).ok_or_else(|| {
        Error::new(Kind::BadOption, format!("unknown {what} {name:?}"))
            .with_hint(format!("One of {}.", all.map(of).join(", ")))
    })
}
