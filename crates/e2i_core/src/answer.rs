//! What a model answers for a row, as a value: read off its outputs once, then returned, logged and compared.

use crate::engine::Outputs;
use crate::error::Result;
use crate::interface::Interface;
use crate::reading::{self, Question};

/// What a model answers for a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// A prediction.
    Number(f64),
    /// A label.
    Label(String),
    /// Probabilities, or every number of the main output.
    Numbers(Vec<f64>),
}

impl Answer {
    /// Reads the answer to a question off a model's outputs. `model` is the reference used in messages.
    ///
    /// # Errors
    /// Why the row was refused, and what the outputs do not hold.
    #[inline]
    pub fn read(question: Question, interface: &Interface, model: &str, outputs: &Outputs, row: usize) -> Result<Self> {
        if let Some(error) = outputs.refused.get(&row) {
            return Err(error.clone());
        }
        let mut numbers = Vec::new();
        match question {
            Question::Prediction => return reading::prediction(interface, outputs, row, model).map(Self::Number),
            Question::Label => return Ok(Self::Label(reading::label(interface, outputs, row, model)?.into_owned())),
            Question::Probabilities => reading::probabilities(interface, outputs, row, model, &mut numbers)?,
            Question::Vector => reading::vector(interface, outputs, row, model, &mut numbers)?,
        }
        Ok(Self::Numbers(numbers))
    }

    /// How far apart two answers are: the difference of numbers, the greatest of several, 0 or 1 for labels. Infinite for
    /// answers of different kinds.
    #[must_use]
    pub fn difference(&self, other: &Self) -> f64 {
        match (self, other) {
            (Self::Number(one), Self::Number(other)) => (one - other).abs(),
            (Self::Numbers(one), Self::Numbers(other)) if one.len() == other.len() => {
                one.iter().zip(other).map(|(one, other)| (one - other).abs()).fold(0.0, f64::max)
            }
            (Self::Label(one), Self::Label(other)) if one == other => 0.0,
            (Self::Label(_), Self::Label(_)) => 1.0,
            _ => f64::INFINITY,
        }
    }
}

/// As it is shown beside another: a number, the label, or `{0.25,0.75}`.
impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Label(label) => f.write_str(label),
            Self::Numbers(numbers) => {
                let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
                write!(f, "{{{}}}", numbers.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_one_kind_differ_by_their_numbers() {
        let label = |text: &str| Answer::Label(text.to_owned());
        assert_eq!(Answer::Number(1.5).difference(&Answer::Number(1.0)), 0.5);
        assert_eq!(Answer::Numbers(vec![0.25, 0.75]).difference(&Answer::Numbers(vec![0.5, 0.25])), 0.5);
        assert_eq!(label("yes").difference(&label("yes")), 0.0);
        assert_eq!(label("yes").difference(&label("no")), 1.0);
    }

    #[test]
    fn answers_of_different_kinds_are_infinitely_far_apart() {
        assert_eq!(Answer::Number(1.0).difference(&Answer::Label("1".to_owned())), f64::INFINITY);
        assert_eq!(Answer::Numbers(vec![1.0]).difference(&Answer::Numbers(vec![1.0, 0.0])), f64::INFINITY);
    }

    #[test]
    fn several_numbers_are_shown_as_an_array() {
        assert_eq!(Answer::Numbers(vec![0.25, 0.75]).to_string(), "{0.25,0.75}");
        assert_eq!(Answer::Number(1.0).to_string(), "1");
    }
}
