//! What the numbers of a classifier are: probabilities, logits or margins.
//!
//! What does not belong here: how that is found out (`evidence`), how an answer is made of them (`reading`), and which
//! operators mean what (a reader of a format knows).

use std::fmt;

use serde::{Deserialize, Serialize};

/// What the numbers of a classifier are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassScores {
    /// One probability a class, or that of the second of two.
    #[default]
    Probability,
    /// What becomes probabilities by the logistic function (one number) or by softmax (several).
    Logit,
    /// Distances from a border, as was stated: the largest is the class, or the sign of the only one.
    Margin,
    /// The same by an operator's own statement. Whoever registered did not say so, and may take them for probabilities.
    OperatorMargin,
    /// No probabilities, as rows showed; nobody said what else.
    Unknown,
}

impl ClassScores {
    /// What can be stated, in the order messages list them.
    pub const STATED: [Self; 3] = [Self::Probability, Self::Logit, Self::Margin];

    /// The name used in SQL.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Probability => "probability",
            Self::Logit => "logit",
            Self::Margin | Self::OperatorMargin => "margin",
            Self::Unknown => "unknown",
        }
    }

    /// What can be stated by that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::STATED.into_iter().find(|scores| scores.name() == name)
    }

    /// Whether probabilities can be told from them.
    #[must_use]
    pub fn give_probabilities(self) -> bool {
        matches!(self, Self::Probability | Self::Logit)
    }

    /// Whether a binary classifier's prediction can be told from them: a probability, or the margin that was asked for.
    #[must_use]
    pub fn gives_prediction(self) -> bool {
        self.give_probabilities() || self == Self::Margin
    }

    /// Whether they are the default, which is not stored.
    #[must_use]
    pub fn are_default(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for ClassScores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Probability => "probabilities",
            Self::Logit => "logits",
            Self::Margin | Self::OperatorMargin => "margins",
            Self::Unknown => "no probabilities",
        })
    }
}

/// How two numbers hold the one margin of a binary classifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pair {
    /// They do not: each class has a number of its own.
    #[default]
    Each,
    /// `{-m, m}`.
    Mirrored,
    /// `{m, -m}`: the class with the smaller number is the one that is predicted (ONNX Runtime's SVMClassifier).
    Reversed,
    /// `{1 - m, m}`, with the border at `m = 0` (ONNX Runtime's LinearClassifier of one row of coefficients).
    Complement,
}

impl Pair {
    /// Whether it is the default, which is not stored.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What a graph's operators say of its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Built {
    /// Nothing: rows must show it.
    #[default]
    Unknown,
    /// They come from a function whose values are probabilities.
    Probabilities,
    /// They come from a product or sum without bounds; only many rows could show that it is meant as a probability.
    Unbounded,
    /// They are margins by an operator's own statement.
    Margins,
}
