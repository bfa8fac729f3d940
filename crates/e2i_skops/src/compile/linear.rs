//! Linear models: a product, and what each makes probabilities of.

use e2i_core::Result;
use e2i_core::native::ValueId;
use e2i_core::native::operators::{BinaryFunction, RowFunction, UnaryFunction};

use super::answer::{Answer, Classified, classes_of};
use super::{Compiler, Table, is_since, misshapen, unsupported};
use crate::node::{Matrix, Node};

impl Compiler {
    /// `X coef_ᵀ + intercept_`.
    fn linear(&mut self, node: Node<'_>, table: &Table) -> Result<ValueId> {
        let value = self.checked(table, false, false)?;
        let weights = node.get("coef_")?.matrix()?;
        let intercept = node.get("intercept_")?;
        let bias = match intercept.simple() {
            Some(_) => vec![intercept.number()?; weights.rows],
            None => match intercept.numbers()? {
                one if one.len() == 1 => vec![one[0]; weights.rows],
                many => many,
            },
        };
        self.product(value, &weights, &bias)
    }

    pub(super) fn linear_regressor(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        Ok(Answer::Values(self.linear(node, table)?))
    }

    pub(super) fn generalized_linear(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let is_identity = node.class() == "TweedieRegressor"
            && match node.get("link")?.text()?.as_str() {
                "auto" => node.get("power")?.number()? <= 0.0,
                "identity" => true,
                "log" => false,
                other => return Err(unsupported(format!("the link {other:?} is not known"))),
            };
        let value = self.linear(node, table)?;
        Ok(Answer::Values(if is_identity { value } else { self.each(UnaryFunction::Exponential, value) }))
    }

    /// A classifier by its decision function, before probabilities.
    fn linear_classified(&mut self, node: Node<'_>, table: &Table) -> Result<Classified> {
        let decision = self.linear(node, table)?;
        self.by_decision(classes_of(node)?, decision)
    }

    pub(super) fn linear_classifier(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        Ok(Answer::Classes(self.linear_classified(node, table)?))
    }

    /// Probabilities of one class against all others: the logistic function, and for more than two their shares.
    fn one_against_rest(&mut self, decision: ValueId, node: Node<'_>) -> Result<ValueId> {
        let probability = self.row(RowFunction::Expit, decision)?;
        self.shares(probability, node)
    }

    /// The shares of classes; of two, where there is one number, what is left of 1 is the first's.
    fn shares(&mut self, probability: ValueId, node: Node<'_>) -> Result<ValueId> {
        let count = self.width_of(probability);
        if count == 1 {
            return self.pair(probability);
        }
        // Rows of nothing but zeros were divided by zero in older versions.
        self.row(RowFunction::Shares { or_even: is_since(node, 1, 8) }, probability)
    }

    fn softmax_of(&mut self, decision: ValueId) -> Result<ValueId> {
        let function = if self.width_of(decision) == 1 { RowFunction::SoftmaxPair(1.0) } else { RowFunction::Softmax };
        self.row(function, decision)
    }

    pub(super) fn logistic_regression(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let classified = self.linear_classified(node, table)?;
        let decision = classified.decision.ok_or_else(|| misshapen("its classes and decisions"))?;
        let is_binary = classified.classes.len() <= 2;
        let is_liblinear = node.option("solver").as_deref() == Some("liblinear");
        // New versions have no such parameter: two classes by the logistic function, more by softmax.
        let against_rest = match node.option("multi_class").as_deref() {
            Some("ovr" | "warn") => true,
            Some("multinomial") => false,
            _ => is_binary || is_liblinear,
        };
        let probabilities =
            if against_rest { self.one_against_rest(decision, node)? } else { self.softmax_of(decision)? };
        Ok(Answer::Classes(Classified { probabilities: Some(probabilities), ..classified }))
    }

    pub(super) fn sgd_classifier(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let classified = self.linear_classified(node, table)?;
        let decision = classified.decision.ok_or_else(|| misshapen("its classes and decisions"))?;
        let probabilities = match node.option("loss").as_deref() {
            Some("log_loss" | "log") => Some(self.one_against_rest(decision, node)?),
            Some("modified_huber") => {
                let clipped = self.clip(decision, -1.0, 1.0);
                let raised = self.with(BinaryFunction::Add, clipped, &[1.0]);
                let halved = self.with(BinaryFunction::Divide, raised, &[2.0]);
                let count = self.width_of(halved);
                Some(match count {
                    1 => self.pair(halved)?,
                    _ => self.row(RowFunction::Shares { or_even: true }, halved)?,
                })
            }
            _ => None,
        };
        Ok(Answer::Classes(Classified { probabilities, ..classified }))
    }

    /// The columns that discriminate most.
    pub(super) fn discriminant_transform(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        if node.option("solver").as_deref() == Some("lsqr") {
            return Err(unsupported("its solver lsqr transforms nothing"));
        }
        let mut value = self.checked(table, false, false)?;
        if node.option("solver").as_deref() == Some("svd") {
            let centre = node.get("xbar_")?.numbers()?;
            if centre.len() != table.width() {
                return Err(misshapen("its columns and what was learned of them"));
            }
            value = self.with(BinaryFunction::Subtract, value, &centre);
        }
        let weights = node.get("scalings_")?.matrix()?.transposed();
        let kept = node.get("_max_components")?.count()?.min(weights.rows);
        let cells = weights.cells.get(..kept * weights.columns).unwrap_or(&[]).to_vec();
        let value = self.product(value, &Matrix { rows: kept, columns: weights.columns, cells }, &[])?;
        Ok(Table::computed(value, kept))
    }

    pub(super) fn discriminant_analysis(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let classified = self.linear_classified(node, table)?;
        let decision = classified.decision.ok_or_else(|| misshapen("its classes and decisions"))?;
        let probabilities = if self.width_of(decision) == 1 {
            let positive = self.row(RowFunction::Expit, decision)?;
            self.pair(positive)?
        } else {
            self.row(RowFunction::Softmax, decision)?
        };
        Ok(Answer::Classes(Classified { probabilities: Some(probabilities), ..classified }))
    }
}
