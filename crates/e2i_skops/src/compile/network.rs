//! Networks of dense layers: `MLPClassifier`, `MLPRegressor`.

use e2i_core::Result;
use e2i_core::native::ValueId;
use e2i_core::native::operators::{RowFunction, UnaryFunction};

use super::answer::{Answer, Classified, classes_of};
use super::{Compiler, Table, misshapen, unsupported};
use crate::node::Node;

impl Compiler {
    fn activated(&mut self, name: &str, value: ValueId) -> Result<ValueId> {
        Ok(match name {
            "identity" => value,
            "relu" => self.each(UnaryFunction::Rectify, value),
            "tanh" => self.each(UnaryFunction::HyperbolicTangent, value),
            "logistic" => self.row(RowFunction::Expit, value)?,
            "softmax" => self.row(RowFunction::Softmax, value)?,
            "exp" => self.each(UnaryFunction::Exponential, value),
            other => return Err(unsupported(format!("the activation {other:?} is not known"))),
        })
    }

    fn network(&mut self, node: Node<'_>, table: &Table) -> Result<ValueId> {
        let mut value = self.checked(table, false, false)?;
        let (weights, biases) = (node.get("coefs_")?.items()?, node.get("intercepts_")?.items()?);
        let (inner, last) = (node.get("activation")?.text()?, node.get("out_activation_")?.text()?);
        let count = weights.len();
        if biases.len() != count || count == 0 {
            return Err(misshapen("its layers"));
        }
        for (index, (weights, bias)) in weights.into_iter().zip(biases).enumerate() {
            value = self.product(value, &weights.matrix()?.transposed(), &bias.numbers()?)?;
            value = self.activated(if index + 1 == count { &last } else { &inner }, value)?;
        }
        Ok(value)
    }

    pub(super) fn mlp_regressor(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        Ok(Answer::Values(self.network(node, table)?))
    }

    pub(super) fn mlp_classifier(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let classes = classes_of(node)?;
        let value = self.network(node, table)?;
        match (self.width_of(value), classes.len()) {
            (1, 2) => {
                let label = self.above(value, 0.5);
                let probabilities = self.pair(value)?;
                Ok(Answer::Classes(Classified { classes, label, decision: None, probabilities: Some(probabilities) }))
            }
            (width, count) if width == count && node.option("out_activation_").as_deref() == Some("softmax") => {
                self.by_probability(classes, value)
            }
            // Of several labels a row the probability of each.
            (width, count) if width == count => Ok(Answer::Table(Table::computed(value, width))),
            _ => Err(misshapen("its classes and layers")),
        }
    }
}
