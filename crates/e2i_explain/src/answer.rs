//! Which number of a model's answer is meant, and what its sums become.
//!
//! The margin is what the model adds up: one number for two classes, or one a class. What is not the margin itself is a function of
//! it, [`Link`].

use e2i_core::native::{After, Function};
use e2i_core::{ClassScores, Error, Interface, Kind, Result, Task};

use crate::options::Space;

/// What becomes of the margins of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Link {
    /// Nothing.
    Identity,
    /// `1 / (1 + exp(-c x))` of each.
    Logistic(f64),
    /// Exponentials divided by their sum.
    Softmax,
    /// `exp(x)` of each.
    Exp,
    /// 1 where positive, else 0.
    Step,
    /// `sign(x) * x * x` of each.
    SignedSquare,
    /// `ln(1 + exp(x))` of each.
    Softplus,
    /// The logistic function of each, divided by the sum of all.
    Shares,
    /// `-2^(-x · times) - offset`: what isolation trees make of the mean length of a path.
    Isolation {
        /// As above.
        times: f64,
        /// As above.
        offset: f64,
    },
}

fn logistic(margin: f64) -> f64 {
    1.0 / (1.0 + (-margin).exp())
}

/// A number of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meant {
    /// Which margin.
    pub target: usize,
    /// Whether it is that of the other class of two: its negative, or the rest to 1.
    pub opposite: bool,
}

impl Link {
    /// What a compiled model makes of its sums.
    #[must_use]
    pub fn after(after: After, interface: &Interface) -> Self {
        match after {
            After::Function(function) => Self::of(function, interface),
            After::Shares => Self::Shares,
            After::Isolation { times, offset } => Self::Isolation { times, offset },
        }
    }

    /// What a training library makes of the sums of its trees, and who registered them of that.
    #[must_use]
    pub fn of(function: Function, interface: &Interface) -> Self {
        match function {
            Function::Identity if interface.class_scores == ClassScores::Logit => {
                let is_one = interface.main_output().and_then(|output| output.width) == Some(1);
                if is_one { Self::Logistic(1.0) } else { Self::Softmax }
            }
            Function::Identity => Self::Identity,
            Function::Logistic { coefficient } => Self::Logistic(coefficient),
            Function::Softmax => Self::Softmax,
            Function::Exp => Self::Exp,
            Function::Step => Self::Step,
            Function::SignedSquare => Self::SignedSquare,
            Function::Softplus => Self::Softplus,
        }
    }

    /// The number that is meant of the margins of a row, in a space.
    #[must_use]
    pub fn value(self, margins: &[f64], meant: Meant, space: Space) -> f64 {
        let margin = margins.get(meant.target).copied().unwrap_or(f64::NAN);
        if space == Space::Margin {
            return if meant.opposite { -margin } else { margin };
        }
        let value = match self {
            Self::Identity => margin,
            Self::Logistic(coefficient) => 1.0 / (1.0 + (-coefficient * margin).exp()),
            Self::Softmax => {
                let greatest = margins.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                (margin - greatest).exp() / margins.iter().map(|margin| (margin - greatest).exp()).sum::<f64>()
            }
            Self::Exp => margin.exp(),
            Self::Step => f64::from(u8::from(margin > 0.0)),
            Self::SignedSquare => margin.abs() * margin,
            Self::Softplus => margin.max(0.0) + (-margin.abs()).exp().ln_1p(),
            Self::Shares => logistic(margin) / margins.iter().map(|margin| logistic(*margin)).sum::<f64>(),
            Self::Isolation { times, offset } => -(-margin * times).exp2() - offset,
        };
        if meant.opposite { 1.0 - value } else { value }
    }

    /// How much what is predicted moves for each step of one margin, from another to it.
    #[must_use]
    pub fn moves(self, margin: f64, other: f64) -> f64 {
        let value = |margin: f64| self.value(&[margin], Meant { target: 0, opposite: false }, Space::Output);
        let (own, difference) = (value(margin), margin - other);
        match self {
            Self::Identity => 1.0,
            // So close together it is the slope that is meant.
            Self::Logistic(coefficient) if difference.abs() < 1e-9 => coefficient * own * (1.0 - own),
            _ => (own - value(other)) / difference,
        }
    }

    /// Whether attributions in a space are those of the margin.
    #[must_use]
    pub fn is_linear_in(self, space: Space) -> bool {
        space == Space::Margin || self == Self::Identity
    }

    /// Whether a space is one that the model has.
    ///
    /// # Errors
    /// [`Kind::BadOption`] with those that it has.
    pub fn check(self, interface: &Interface, space: Space, model: &str) -> Result<()> {
        let has_classes = interface.task.is_classification() && interface.class_scores.give_probabilities();
        let gives_probabilities =
            matches!(self, Self::Logistic(_) | Self::Softmax | Self::Shares) || self == Self::Identity && has_classes;
        let can = match space {
            Space::Margin | Space::Output => true,
            Space::Probability => gives_probabilities,
            // Of several margins no one difference leads from one probability to another.
            Space::ProbabilityScaled => gives_probabilities && !matches!(self, Self::Softmax | Self::Shares),
        };
        if can {
            return Ok(());
        }
        let what = if gives_probabilities { "has several margins" } else { "gives no probabilities" };
        let others = if gives_probabilities { "margin or probability" } else { "margin or output" };
        Err(Error::new(Kind::BadOption, format!("model {model} {what}, and has no space {:?}", space.name()))
            .with_hint(format!("One of {others}.")))
    }
}

/// The numbers that are meant: of a class by its label or its number from 1, of one of several numbers by its number; of two classes the
/// second, otherwise all, where nothing is said.
///
/// # Errors
/// [`Kind::BadOption`] with the classes that there are.
pub fn meant(interface: &Interface, targets: usize, class: Option<&str>, model: &str) -> Result<Vec<Meant>> {
    let one = |target| vec![Meant { target, opposite: false }];
    let labels = interface.classes.as_ref().map(|classes| classes.labels.as_slice()).unwrap_or_default();
    let is_pair = labels.len() == 2 && targets == 1;
    let Some(class) = class else {
        return Ok(match labels.len() {
            2 if targets <= 2 => one(targets - 1),
            _ => (0..targets).map(|target| Meant { target, opposite: false }).collect(),
        });
    };
    let known = if labels.is_empty() { targets } else { labels.len() };
    let place = labels.iter().position(|label| label == class);
    let place = place.or_else(|| class.parse::<usize>().ok()?.checked_sub(1).filter(|place| *place < known));
    match place {
        Some(place) if is_pair => Ok(vec![Meant { target: 0, opposite: place == 0 }]),
        Some(place) if place < targets && (targets > 1 || interface.task.is_classification()) => Ok(one(place)),
        _ => Err(unknown(interface, targets, class, model)),
    }
}

#[cold]
fn unknown(interface: &Interface, targets: usize, class: &str, model: &str) -> Error {
    let error = Error::new(Kind::BadOption, format!("model {model} has no class {class:?}"));
    match &interface.classes {
        Some(classes) => error.with_hint(format!("One of {}.", classes.labels.join(", "))),
        None if targets > 1 => error.with_hint(format!("It gives {targets} numbers: class => '1' is the first.")),
        None => error.with_hint("Leave class out: the model gives one number."),
    }
}

/// How the number of a row is called that is explained where nothing is said.
#[must_use]
pub fn predicted(interface: &Interface, margins: &[f64]) -> Meant {
    let greatest = margins.iter().enumerate().fold(0, |best, (at, x)| if *x > margins[best] { at } else { best });
    match interface.task {
        Task::MulticlassClassification => Meant { target: greatest, opposite: false },
        Task::BinaryClassification if margins.len() == 2 => Meant { target: 1, opposite: false },
        _ => Meant { target: 0, opposite: false },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use e2i_core::formats;

    fn interface(name: &str) -> Interface {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/models/trained/");
        formats::read(&std::fs::read(format!("{folder}{name}")).unwrap()).unwrap().unwrap().interface
    }

    #[test]
    fn a_class_is_meant_by_its_label_or_its_number() {
        let (binary, three, one) =
            (interface("xgb_binary.json"), interface("xgb_softprob.json"), interface("xgb_squared.json"));
        let of = |interface: &Interface, targets, class| {
            meant(interface, targets, class, "m:1")
                .map(|all| all.iter().map(|m| (m.target, m.opposite)).collect::<Vec<_>>())
        };
        assert_eq!(of(&binary, 1, None).unwrap(), [(0, false)]);
        assert_eq!(of(&binary, 1, Some("1")).unwrap(), [(0, false)]);
        assert_eq!(of(&binary, 1, Some("0")).unwrap(), [(0, true)]);
        assert_eq!(of(&binary, 2, None).unwrap(), [(1, false)]);
        assert_eq!(of(&three, 3, None).unwrap().len(), 3);
        assert_eq!(of(&three, 3, Some("2")).unwrap(), [(2, false)]);
        assert_eq!(of(&three, 3, Some("3")).unwrap(), [(2, false)]);
        assert_eq!(of(&three, 3, Some("4")).unwrap_err().hint(), Some("One of 0, 1, 2."));
        assert!(of(&one, 1, Some("1")).unwrap_err().hint().unwrap().starts_with("Leave class out"));
    }

    const MEANT: Meant = Meant { target: 0, opposite: false };

    #[test]
    fn the_other_class_of_two_has_the_rest() {
        let opposite = Meant { target: 0, opposite: true };
        let link = Link::Logistic(1.0);
        assert_eq!(link.value(&[2.0], opposite, Space::Margin), -2.0);
        assert!((link.value(&[2.0], opposite, Space::Probability) - 1.0 / (1.0 + 2f64.exp())).abs() < 1e-15);
        assert!((link.moves(1e-12, 0.0) - 0.25).abs() < 1e-9);
        assert!(
            (link.moves(3.0, 1.0)
                - (link.value(&[3.0], MEANT, Space::Output) - link.value(&[1.0], MEANT, Space::Output)) / 2.0)
                .abs()
                < 1e-15
        );
        let softmax = Link::Softmax.value(&[1000.0, 1000.0], Meant { target: 1, opposite: false }, Space::Probability);
        assert_eq!(softmax, 0.5);
    }

    #[test]
    fn spaces_that_a_model_has_not_are_refused_with_those_that_it_has() {
        let (binary, count) = (interface("xgb_binary.json"), interface("xgb_poisson.json"));
        assert!(Link::Logistic(1.0).check(&binary, Space::Probability, "m:1").is_ok());
        let error = Link::Exp.check(&count, Space::Probability, "m:1").unwrap_err();
        assert_eq!(error.hint(), Some("One of margin or output."));
        assert!(Link::Softmax.check(&interface("xgb_softprob.json"), Space::ProbabilityScaled, "m:1").is_err());
    }
}
