//! Columns offset and scaled: each operation of scikit-learn's, in its order, by division where it divides.

use e2i_core::native::ValueId;
use e2i_core::native::operators::{BinaryFunction, RowFunction};
use e2i_core::{ElementType, Result};

use super::{Column, Compiler, Table, misshapen, unsupported};
use crate::node::Node;

impl Compiler {
    /// `value function attribute`, a number for each column.
    fn with_attribute(&mut self, function: BinaryFunction, value: ValueId, node: Node<'_>, name: &str) -> Result<ValueId> {
        let cells = node.get(name)?.numbers()?;
        if cells.len() != self.width_of(value) {
            return Err(misshapen("its columns and what was learned of them"));
        }
        Ok(self.with(function, value, &cells))
    }

    /// A table of the same columns with other numbers.
    fn scaled(table: &Table, value: ValueId) -> Table {
        Table { value, columns: table.columns.iter().map(|column| Column { feature: None, ..*column }).collect() }
    }

    pub(super) fn standard_scaler(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        let mut value = self.checked(table, true, false)?;
        if node.is_true("with_mean") {
            value = self.with_attribute(BinaryFunction::Subtract, value, node, "mean_")?;
        }
        if node.is_true("with_std") {
            value = self.with_attribute(BinaryFunction::Divide, value, node, "scale_")?;
        }
        Ok(Self::scaled(table, value))
    }

    pub(super) fn min_max_scaler(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        let mut value = self.checked(table, true, false)?;
        value = self.with_attribute(BinaryFunction::Multiply, value, node, "scale_")?;
        value = self.with_attribute(BinaryFunction::Add, value, node, "min_")?;
        if node.is_true("clip") {
            let [low, high] = node.get("feature_range")?.numbers()?[..] else { return Err(misshapen("its range")) };
            value = self.clip(value, low, high);
        }
        Ok(Self::scaled(table, value))
    }

    pub(super) fn max_abs_scaler(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        let mut value = self.checked(table, true, false)?;
        value = self.with_attribute(BinaryFunction::Divide, value, node, "scale_")?;
        if node.is_true("clip") {
            value = self.clip(value, -1.0, 1.0);
        }
        Ok(Self::scaled(table, value))
    }

    pub(super) fn robust_scaler(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        let mut value = self.checked(table, true, false)?;
        if node.is_true("with_centering") {
            value = self.with_attribute(BinaryFunction::Subtract, value, node, "center_")?;
        }
        if node.is_true("with_scaling") {
            value = self.with_attribute(BinaryFunction::Divide, value, node, "scale_")?;
        }
        Ok(Self::scaled(table, value))
    }

    pub(super) fn normalizer(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        let value = self.checked(table, false, false)?;
        let function = match node.get("norm")?.text()?.as_str() {
            "l1" => RowFunction::ByL1,
            "l2" => RowFunction::ByL2,
            "max" => RowFunction::ByMax,
            other => return Err(unsupported(format!("the norm {other:?} is not known"))),
        };
        let value = self.row(function, value)?;
        Ok(Self::scaled(table, value))
    }

    pub(super) fn binarizer(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        let value = self.checked(table, false, false)?;
        let above = self.with(BinaryFunction::Greater, value, &[node.get("threshold")?.number()?]);
        let value = self.cast(above, ElementType::Float64);
        Ok(Self::scaled(table, value))
    }
}
