//! What comes out at the end of a model: classes, values, clusters, verdicts, or a table.

use e2i_core::native::ValueId;
use e2i_core::native::operators::{BinaryFunction, Pick, RowFunction};
use e2i_core::{Column, ElementType, Error, Kind, Result};

use super::{Compiler, Table, misshapen};
use crate::node::{Node, Simple};

/// The answer of a classifier.
#[derive(Debug, Clone)]
pub(crate) struct Classified {
    /// The classes as they are shown, in order.
    pub(crate) classes: Vec<String>,
    /// The index of the class: one int64.
    pub(crate) label: ValueId,
    /// `decision_function`: one number for two classes, else one a class.
    pub(crate) decision: Option<ValueId>,
    /// `predict_proba`: one number a class.
    pub(crate) probabilities: Option<ValueId>,
}

/// What an estimator answers.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Classes(Classified),
    /// Numbers, one or several.
    Values(ValueId),
    /// A verdict, -1 or 1 as int64, and how ordinary a row is.
    Anomaly {
        verdict: ValueId,
        score: ValueId,
    },
    /// The number of a cluster as int64, and a number for each, which are named.
    Clusters {
        label: ValueId,
        scores: ValueId,
        name: &'static str,
    },
    /// A transformer's output.
    Table(Table),
}

impl Answer {
    pub(crate) fn classes(self) -> Result<Classified> {
        match self {
            Self::Classes(classified) => Ok(classified),
            _ => Err(Error::new(Kind::BadModel, "it is no classifier where one is expected")),
        }
    }

    pub(crate) fn values(self) -> Result<ValueId> {
        match self {
            Self::Values(value) => Ok(value),
            _ => Err(Error::new(Kind::BadModel, "it is no regressor where one is expected")),
        }
    }
}

/// How a class is shown: booleans as `true` and `false`, whole numbers without a fraction.
pub(crate) fn shown(class: &Simple) -> String {
    match class {
        Simple::None => "None".to_owned(),
        Simple::Bool(value) => value.to_string(),
        Simple::Whole(value) => value.to_string(),
        Simple::Number(value) if value.trunc() == *value && value.abs() < 1e15 => format!("{value:.1}"),
        Simple::Number(value) => value.to_string(),
        Simple::Text(text) => text.clone(),
    }
}

/// The classes of a classifier.
pub(crate) fn classes_of(node: Node<'_>) -> Result<Vec<String>> {
    // Of some it was a property of what binarized them.
    let binarizer = || node.attribute("_label_binarizer").and_then(|binarizer| binarizer.attribute("classes_"));
    let classes = match node.attribute("classes_").or_else(binarizer) {
        Some(classes) => classes,
        None => node.get("classes_")?,
    };
    if let Ok(items) = classes.items()
        && items.iter().any(|item| item.simple().is_none())
    {
        return Err(Error::new(Kind::Unsupported, "it has several outputs of classes, which are not read"));
    }
    let classes: Vec<String> = classes.simples()?.iter().map(shown).collect();
    if classes.is_empty() { Err(misshapen("its classes")) } else { Ok(classes) }
}

/// How many classes each output of a classifier has; `None` of a classifier of one output.
pub(crate) fn several_classes(node: Node<'_>) -> Result<Option<Vec<usize>>> {
    let Some(outputs) = node.attribute("classes_").and_then(|classes| classes.items().ok()) else { return Ok(None) };
    if outputs.iter().all(|classes| classes.simple().is_some()) {
        return Ok(None);
    }
    outputs.into_iter().map(|classes| Ok(classes.simples()?.len())).collect::<Result<Vec<usize>>>().map(Some)
}

impl Compiler {
    /// The verdict on rows that are ordinary where this holds of their score against zero.
    pub(crate) fn anomaly(&mut self, is_ordinary: BinaryFunction, score: ValueId) -> Answer {
        let ordinary = self.with(is_ordinary, score, &[0.0]);
        let ordinary = self.cast(ordinary, ElementType::Float64);
        let doubled = self.with(BinaryFunction::Multiply, ordinary, &[2.0]);
        let verdict = self.with(BinaryFunction::Subtract, doubled, &[1.0]);
        let verdict = self.cast(verdict, ElementType::Int64);
        Answer::Anomaly { verdict, score }
    }

    /// A classifier whose probabilities are known: the class is the first greatest.
    pub(crate) fn by_probability(&mut self, classes: Vec<String>, probabilities: ValueId) -> Result<Answer> {
        if self.width_of(probabilities) != classes.len() {
            return Err(misshapen("its classes and probabilities"));
        }
        let label = self.greatest(probabilities);
        Ok(Answer::Classes(Classified { classes, label, decision: None, probabilities: Some(probabilities) }))
    }

    /// A classifier whose decision function is known, and no probabilities: the class is the sign of the one number, or the
    /// first greatest.
    pub(crate) fn by_decision(&mut self, classes: Vec<String>, decision: ValueId) -> Result<Classified> {
        let label = match (self.width_of(decision), classes.len()) {
            (1, 2) => self.above(decision, 0.0),
            (1, 1) => {
                let nothing = self.with(e2i_core::native::operators::BinaryFunction::Multiply, decision, &[0.0]);
                self.at_least(nothing, f64::INFINITY)
            }
            (width, count) if width == count => self.greatest(decision),
            _ => return Err(misshapen("its classes and decisions")),
        };
        Ok(Classified { classes, label, decision: Some(decision), probabilities: None })
    }

    /// `1 - p` and `p`.
    pub(crate) fn pair(&mut self, positive: ValueId) -> Result<ValueId> {
        self.row(RowFunction::Complement, positive)
    }

    /// The cells of a table for each label: `width` for each class.
    pub(crate) fn by_label(&mut self, label: ValueId, cells: &[f64], width: usize) -> ValueId {
        let cells = e2i_core::native::operators::Constants::write(&Column::Float64(cells.to_vec()), self.plan.tables());
        self.step(Pick { cells, width }, &[label], Self::double(width))
    }

    /// A label as a number.
    pub(crate) fn as_number(&mut self, label: ValueId) -> ValueId {
        self.cast(label, ElementType::Float64)
    }
}
