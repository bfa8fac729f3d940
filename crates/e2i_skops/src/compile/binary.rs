//! Classes by estimators that tell two apart each: one class against the rest, one against one other.

use e2i_core::ElementType;
use e2i_core::Result;
use e2i_core::native::ValueId;
use e2i_core::native::ValueType;
use e2i_core::native::operators::{ArgExtreme, BinaryFunction, RowFunction, UnaryFunction};

use super::answer::{Answer, Classified, classes_of};
use super::forests::estimators;
use super::{Compiler, Table, is_since, misshapen, unsupported};
use crate::node::Node;

/// What an estimator of two classes says of a row.
struct Said {
    /// What it predicts: the index of a class, or any number if it is a regressor.
    predicted: ValueId,
    /// How much it is for the second class: its decision, else its probability, else its prediction.
    score: ValueId,
    /// The probability of the second class.
    probability: Option<ValueId>,
    /// Above what score the second class is meant.
    border: f64,
}

impl Compiler {
    fn said(&mut self, name: &str, estimator: Node<'_>, table: &Table) -> Result<Said> {
        let classified = match self.answer(name, estimator, table)? {
            Answer::Values(value) if self.width_of(value) == 1 => {
                return Ok(Said { predicted: value, score: value, probability: None, border: 0.5 });
            }
            answer => answer.classes()?,
        };
        let probability = match classified.probabilities {
            Some(both) if self.width_of(both) == 2 => Some(self.pick(both, &[1])),
            _ => None,
        };
        let (score, border) = match (classified.decision, probability) {
            (Some(decision), _) if self.width_of(decision) == 1 => (decision, 0.0),
            (_, Some(probability)) => (probability, 0.5),
            _ => return Err(unsupported("one of its estimators gives no score")),
        };
        let predicted = self.as_number(classified.label);
        Ok(Said { predicted, score, probability, border })
    }

    fn all_said(&mut self, node: Node<'_>, table: &Table) -> Result<Vec<Said>> {
        let fitted = estimators(node)?.into_iter().enumerate();
        fitted.map(|(index, estimator)| self.said(&format!("estimators_[{index}]"), estimator, table)).collect()
    }

    /// Which class stands out, out of an estimator for each, or one of two.
    pub(super) fn one_vs_rest(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let binarizer = node.get("label_binarizer_")?;
        let is_several = binarizer.option("y_type_").is_some_and(|kind| kind.starts_with("multilabel"));
        let said = self.all_said(node, table)?;
        let scores: Vec<ValueId> = said.iter().map(|said| said.score).collect();
        let scores = self.join(&scores);
        let probabilities: Option<Vec<ValueId>> = said.iter().map(|said| said.probability).collect();
        let probabilities = probabilities.map(|probabilities| self.join(&probabilities));
        if is_several {
            let value = probabilities.unwrap_or(scores);
            return Ok(Answer::Table(Table::computed(value, self.width_of(value))));
        }
        let classes = classes_of(binarizer)?;
        let border = said.first().map_or(0.0, |said| said.border);
        let label = match (said.len(), classes.len()) {
            (1, 2) => self.above(scores, border),
            (count, known) if count == known => {
                // Of equal ones the last, and the first since 1.8.
                let operator = ArgExtreme { greatest: true, last: !is_since(node, 1, 8), size: count, inner: 1 };
                self.step(operator, &[scores], ValueType::new(ElementType::Int64, 1))
            }
            _ => return Err(misshapen("its classes and estimators")),
        };
        let decision = said.iter().all(|said| said.border == 0.0).then_some(scores);
        let probabilities = match probabilities {
            Some(probability) if said.len() == 1 => Some(self.pair(probability)?),
            Some(probability) => Some(self.row(RowFunction::SharesOrZeros, probability)?),
            None => None,
        };
        Ok(Answer::Classes(Classified { classes, label, decision, probabilities }))
    }

    /// Votes of each pair, and between classes of as many votes the scores added up, which are made small for it.
    pub(super) fn one_vs_one(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let classes = classes_of(node)?;
        let count = classes.len();
        if node.some("pairwise_indices_").is_some() {
            return Err(unsupported("pairs of rows are not read"));
        }
        let said = self.all_said(node, table)?;
        if count < 2 || said.len() != count * (count - 1) / 2 {
            return Err(misshapen("its classes and estimators"));
        }
        let nothing = self.fill(&[0.0]);
        let (mut votes, mut sums) = (vec![nothing; count], vec![nothing; count]);
        let pairs = (0..count).flat_map(|first| (first + 1..count).map(move |second| (first, second)));
        for ((first, second), said) in pairs.zip(&said) {
            sums[first] = self.both(BinaryFunction::Subtract, sums[first], said.score);
            sums[second] = self.both(BinaryFunction::Add, sums[second], said.score);
            for (class, prediction) in [(first, 0.0), (second, 1.0)] {
                let vote = self.with(BinaryFunction::Equal, said.predicted, &[prediction]);
                let vote = self.cast(vote, ElementType::Float64);
                votes[class] = self.both(BinaryFunction::Add, votes[class], vote);
            }
        }
        let (votes, sums) = (self.join(&votes), self.join(&sums));
        let size = self.each(UnaryFunction::Absolute, sums);
        let size = self.with(BinaryFunction::Add, size, &[1.0]);
        let size = self.with(BinaryFunction::Multiply, size, &[3.0]);
        let small = self.both(BinaryFunction::Divide, sums, size);
        let decisions = self.both(BinaryFunction::Add, votes, small);
        if count == 2 {
            let decision = self.pick(decisions, &[1]);
            let label = self.above(decision, said.first().map_or(0.0, |said| said.border));
            return Ok(Answer::Classes(Classified { classes, label, decision: Some(decision), probabilities: None }));
        }
        Ok(Answer::Classes(self.by_decision(classes, decisions)?))
    }

    /// What stands in the place of an estimator where all rows were of one class.
    pub(super) fn constant_predictor(&mut self, node: Node<'_>, _table: &Table) -> Result<Answer> {
        let known = node.get("y_")?.numbers()?;
        let [known] = known[..] else { return Err(misshapen("its class")) };
        let decision = self.fill(&[known]);
        let label = self.above(decision, 0.0);
        let probabilities = Some(self.fill(&[1.0 - known, known]));
        let classes = vec!["0".to_owned(), "1".to_owned()];
        Ok(Answer::Classes(Classified { classes, label, decision: Some(decision), probabilities }))
    }
}
