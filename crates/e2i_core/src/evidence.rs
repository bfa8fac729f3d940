//! Finding out what the numbers of a classifier are: what is stated, what its operators say, and what rows that it scored
//! show.
//!
//! What does not belong here: which operators mean what (a reader of a format knows).

use crate::class_scores::{Built, ClassScores, Pair};
use crate::engine::Outputs;
use crate::error::{Error, Kind, Result};
use crate::interface::{Interface, Task};
use crate::reading;

/// How far from 0…1 a probability may be, and the sum of a row from 1: float16 and quantised models round coarsely.
const BEYOND: f64 = 1e-3;
const SUM: f64 = 1e-2;

/// Rows that show that unbounded numbers are probabilities nevertheless.
const ENOUGH: usize = 8;

/// A number for messages: enough to recognise it, not enough to differ from machine to machine.
fn shown(number: f64) -> String {
    if number.abs() < 1e6 { format!("{number:.3}") } else { format!("{number:.3e}") }
}

/// What rows showed.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    rows: usize,
    /// The first row that holds no probabilities, in words.
    against: Option<String>,
    /// The first number that is none.
    beyond: Option<f64>,
    /// Rows `{-m, m}`, rows `{1 - m, m}`; of the mirrored ones those whose label is the larger number's, and the others.
    mirrored: usize,
    complements: usize,
    agreeing: usize,
    opposed: usize,
}

impl Evidence {
    /// Looks at rows that a classifier scored, with label and numbers.
    pub fn add(&mut self, interface: &Interface, outputs: &Outputs) {
        let width = outputs.width;
        if width == 0 || !interface.task.is_classification() {
            return;
        }
        for (index, row) in outputs.main.numbers(width).outer_iter().enumerate() {
            // Overflow, and rows that no class took, show nothing.
            if row.iter().any(|number| !number.is_finite()) || row.iter().all(|number| *number == 0.0) {
                continue;
            }
            self.rows += 1;
            let sum: f64 = row.iter().sum();
            let one = width == 1 && interface.task == Task::BinaryClassification;
            if let Some(number) = row.iter().find(|number| !(-BEYOND..=1.0 + BEYOND).contains(*number)) {
                self.beyond.get_or_insert(*number);
                self.against.get_or_insert_with(|| format!("one of them is {} for a row of samples", shown(*number)));
            } else if !one && (sum - 1.0).abs() > SUM {
                self.against.get_or_insert_with(|| format!("those of a row of samples sum to {}", shown(sum)));
            }
            if let Some(&[first, second]) = row.as_slice() {
                self.pair(interface, outputs, index, first, second);
            }
        }
    }

    fn pair(&mut self, interface: &Interface, outputs: &Outputs, index: usize, first: f64, second: f64) {
        let near = |sum: f64, to: f64| (sum - to).abs() <= 1e-5 * (1.0 + first.abs() + second.abs());
        if near(first + second, 1.0) {
            self.complements += 1;
        }
        if !near(first + second, 0.0) {
            return;
        }
        self.mirrored += 1;
        let classes = interface.classes.as_ref();
        let label =
            classes.zip(interface.label).and_then(|(classes, _)| reading::written_class(classes, outputs, index));
        match label {
            Some(label) if (label == 1) == (second > first) => self.agreeing += 1,
            Some(_) if first != second => self.opposed += 1,
            _ => {}
        }
    }

    /// How two numbers hold one margin, if all rows did so.
    fn form(&self) -> Pair {
        match self.rows {
            0 => Pair::Each,
            rows if rows == self.mirrored && self.opposed > 0 && self.agreeing == 0 => Pair::Reversed,
            rows if rows == self.mirrored => Pair::Mirrored,
            rows if rows == self.complements => Pair::Complement,
            _ => Pair::Each,
        }
    }
}

/// Decides what the numbers of a classifier are, and writes it into its interface. What is stated counts, unless the model
/// shows that it cannot be.
///
/// # Errors
/// [`Kind::BadOption`] for a statement that the operators or the rows contradict.
pub fn settle(interface: &mut Interface, stated: Option<ClassScores>, built: Built, evidence: &Evidence) -> Result<()> {
    if !interface.task.is_classification() || interface.main.is_none() {
        return Ok(());
    }
    let wrong = |stated: ClassScores, why: &str| {
        Err(Error::new(Kind::BadOption, format!("class_scores => '{}' was given, but {why}", stated.name())))
    };
    interface.class_scores = match (stated, built) {
        (Some(ClassScores::Probability), _) if evidence.beyond.is_some() => {
            let number = shown(evidence.beyond.unwrap_or_default());
            return wrong(
                ClassScores::Probability,
                &format!("one of the model's numbers for a row of samples is {number}"),
            );
        }
        (Some(stated), Built::Probabilities) if stated != ClassScores::Probability && evidence.against.is_none() => {
            return wrong(stated, "the operators of the model make probabilities of its numbers already");
        }
        (Some(stated), _) => stated,
        (None, Built::Margins) => ClassScores::OperatorMargin,
        (None, _) if evidence.against.is_some() => ClassScores::Unknown,
        (None, Built::Unbounded) if evidence.rows < ENOUGH => ClassScores::Unknown,
        (None, _) => ClassScores::Probability,
    };
    interface.pair = match interface.class_scores {
        ClassScores::Probability => Pair::Each,
        _ if interface.task == Task::BinaryClassification => evidence.form(),
        _ => Pair::Each,
    };
    Ok(())
}

impl Evidence {
    /// Why the numbers are no probabilities, as far as rows showed it.
    #[must_use]
    pub fn against(&self) -> Option<&str> {
        self.against.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Column;
    use crate::fixture::regression;
    use crate::interface::{Classes, ElementType, OutputTensor};

    fn binary(label: bool) -> Interface {
        let mut interface = regression(vec![]);
        interface.task = Task::BinaryClassification;
        interface.classes = Some(Classes::new(vec!["0".into(), "1".into()]));
        interface.outputs = ["label", "scores"]
            .map(|name| OutputTensor { name: name.into(), element: ElementType::Float32, ..OutputTensor::default() })
            .into();
        (interface.label, interface.main) = (label.then_some(0), Some(1));
        interface
    }

    /// What is found of these rows, each with its label.
    fn found(
        interface: &mut Interface,
        stated: Option<ClassScores>,
        built: Built,
        rows: &[(i64, [f64; 2])],
    ) -> Result<(ClassScores, Pair)> {
        let mut evidence = Evidence::default();
        let outputs = Outputs {
            label: Column::Int64(rows.iter().map(|(label, _)| *label).collect()),
            main: Column::Float64(rows.iter().flat_map(|(_, numbers)| *numbers).collect()),
            width: 2,
            ..Outputs::default()
        };
        evidence.add(interface, &outputs);
        settle(interface, stated, built, &evidence)?;
        Ok((interface.class_scores, interface.pair))
    }

    #[test]
    fn rows_tell_probabilities_from_other_numbers() {
        let mut model = binary(true);
        let shares = [(0, [0.75, 0.25]), (1, [0.0, 1.0]), (0, [0.0, 0.0]), (0, [f64::NAN, 1.0])];
        let mut of = |built, rows: &[(i64, [f64; 2])]| found(&mut model, None, built, rows).unwrap();
        assert_eq!(of(Built::Unknown, &shares), (ClassScores::Probability, Pair::Each));
        assert_eq!(of(Built::Unknown, &[(1, [4.0, 6.0])]).0, ClassScores::Unknown);
        assert_eq!(of(Built::Unknown, &[(1, [0.5, 0.25])]).0, ClassScores::Unknown);
        // Few rows do not prove a product to be a probability, and none does what an operator calls a margin.
        assert_eq!(of(Built::Unbounded, &shares).0, ClassScores::Unknown);
        assert_eq!(of(Built::Unbounded, &shares.repeat(4)).0, ClassScores::Probability);
        assert_eq!(of(Built::Margins, &shares.repeat(4)).0, ClassScores::OperatorMargin);
    }

    #[test]
    fn two_numbers_may_be_one_margin() {
        let mut model = binary(true);
        let mut of = |rows: &[(i64, [f64; 2])]| found(&mut model, None, Built::Margins, rows).unwrap().1;
        assert_eq!(of(&[(1, [-0.5, 0.5]), (0, [2.0, -2.0])]), Pair::Mirrored);
        assert_eq!(of(&[(0, [-0.5, 0.5]), (1, [2.0, -2.0])]), Pair::Reversed);
        assert_eq!(of(&[(1, [0.7, 0.3]), (0, [2.0, -1.0])]), Pair::Complement);
        assert_eq!(of(&[(1, [-0.5, 0.5]), (0, [2.0, -1.0])]), Pair::Each);
        // Without a label nothing tells the order.
        let alone = found(&mut binary(false), None, Built::Margins, &[(0, [-0.5, 0.5])]).unwrap();
        assert_eq!(alone.1, Pair::Mirrored);
    }

    #[test]
    fn a_statement_counts_unless_the_model_shows_otherwise() {
        let mut model = binary(true);
        let sums = [(1, [0.5, 0.25])];
        let kept = found(&mut model, Some(ClassScores::Probability), Built::Unknown, &sums).unwrap();
        assert_eq!(kept.0, ClassScores::Probability);
        let beyond = found(&mut model, Some(ClassScores::Probability), Built::Unknown, &[(1, [4.0, 6.0])]);
        assert_eq!(beyond.unwrap_err().kind(), Kind::BadOption);
        let twice = found(&mut model, Some(ClassScores::Logit), Built::Probabilities, &[(1, [0.25, 0.75])]);
        assert_eq!(twice.unwrap_err().kind(), Kind::BadOption);
    }
}
