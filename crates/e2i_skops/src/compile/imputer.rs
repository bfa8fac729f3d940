//! Missing values replaced, and columns that say where they were.

use e2i_core::native::ValueId;
use e2i_core::native::operators::{BinaryFunction, Impute, UnaryFunction};
use e2i_core::{ElementType, Result};

use super::inputs::Holds;
use super::{Compiler, Table, TableColumn, misshapen, unsupported};
use crate::node::{Node, Simple};

impl Compiler {
    /// 1 where a cell of the chosen columns is missing, else 0.
    pub(super) fn indicator(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        let chosen = node.get("features_")?.wholes()?;
        let chosen: Vec<usize> = chosen.into_iter().map(|index| usize::try_from(index).unwrap_or(usize::MAX)).collect();
        let part = self.gather(table, &chosen)?;
        if part.columns.is_empty() {
            return Ok(part);
        }
        let missing = node.get("missing_values")?.simple().unwrap_or(Simple::None);
        let mut value = self.is_missing(&part, &missing)?;
        let counts: Vec<f64> =
            part.columns.iter().map(|column| f64::from(u8::from(!self.stays_none(*column, &missing)))).collect();
        if counts.contains(&0.0) {
            value = self.with(BinaryFunction::Multiply, value, &counts);
        }
        Ok(Table::computed(value, chosen.len()))
    }

    fn is_missing(&mut self, table: &Table, missing: &Simple) -> Result<ValueId> {
        let is_missing = if missing.is_missing() {
            self.each(UnaryFunction::IsNan, table.value)
        } else {
            let cells = table.columns.iter().map(|column| self.cell(*column, missing)).collect::<Result<Vec<f64>>>()?;
            self.with(BinaryFunction::Equal, table.value, &cells)
        };
        Ok(self.cast(is_missing, ElementType::Float64))
    }

    pub(super) fn missing_indicator(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        if node.is_true("error_on_new") && node.option("features").as_deref() == Some("missing-only") {
            // Which columns had none is known, and what to do of one that has: it is refused.
            let chosen = node.get("features_")?.wholes()?;
            for (index, column) in table.columns.iter().enumerate() {
                let chosen = chosen.iter().any(|chosen| usize::try_from(*chosen) == Ok(index));
                if let Some(input) = column.feature.filter(|_| !chosen).and_then(|feature| self.inputs.get_mut(feature))
                {
                    input.takes_missing = false;
                }
            }
        }
        let missing = node.get("missing_values")?.simple().unwrap_or(Simple::None);
        if missing == Simple::None {
            // Only of texts it may be None; which ones nobody knows here.
            table.columns.iter().for_each(|column| self.take_any_text(*column));
        }
        let holds_texts = table.columns.iter().any(|column| self.holds(*column) == Holds::Texts);
        let value = if holds_texts { table.value } else { self.checked(table, missing.is_missing(), false)? };
        self.indicator(node, &Table { value, columns: table.columns.clone() })
    }

    pub(super) fn simple_imputer(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        let statistics = node.get("statistics_")?.simples()?;
        if statistics.len() != table.width() {
            return Err(misshapen("its columns and what was learned of them"));
        }
        let missing = node.get("missing_values")?.simple().unwrap_or(Simple::None);
        let keeps_all = node.option("strategy").as_deref() == Some("constant") || node.is_true("keep_empty_features");
        // A column that had no values when it was fitted is left out.
        let kept: Vec<usize> =
            (0..statistics.len()).filter(|column| keeps_all || !statistics[*column].is_missing()).collect();
        let mut part = self.gather(table, &kept)?;
        if !part.columns.is_empty() {
            // Texts are settled first: only numbers can be infinite.
            let mut replacements = Vec::with_capacity(kept.len());
            let mut marks = Vec::with_capacity(kept.len());
            for (column, index) in part.columns.clone().into_iter().zip(&kept) {
                let replacement = self.cell(column, &statistics[*index])?;
                replacements.push(if self.stays_none(column, &missing) { f64::NAN } else { replacement });
                marks.push(if missing.is_missing() {
                    f64::NAN
                } else {
                    self.mark(column, &statistics[*index], &missing)?
                });
            }
            part.value = self.replaced(&part, &marks, &replacements, missing.is_missing())?;
            if missing.is_missing() {
                let stays: Vec<bool> = part.columns.iter().map(|column| self.stays_none(*column, &missing)).collect();
                let replaced = part.columns.iter_mut().zip(stays).filter(|(_, stays)| !stays);
                replaced.for_each(|(column, _)| column.missing_with = None);
            }
        }
        match node.some("indicator_") {
            None => Ok(part),
            Some(indicator) => {
                let indicator = self.indicator(indicator, table)?;
                Ok(self.beside(&[part, indicator]))
            }
        }
    }

    /// What stands for missing in a column, where it is no NaN: a text's code in a column of texts.
    fn mark(&mut self, column: TableColumn, statistic: &Simple, missing: &Simple) -> Result<f64> {
        match (missing, statistic) {
            (Simple::Text(_), Simple::Text(_)) => self.cell(column, missing),
            (Simple::Text(_), _) => Err(unsupported("a text stands for what is missing in a column of numbers")),
            _ => Ok(missing.number().unwrap_or(f64::NAN)),
        }
    }

    fn replaced(&mut self, part: &Table, marks: &[f64], replacements: &[f64], of_nan: bool) -> Result<ValueId> {
        let are_numbers = part.columns.iter().all(|column| self.holds(*column) != Holds::Texts);
        let value = if are_numbers { self.checked(part, of_nan, false)? } else { part.value };
        let same = marks.iter().all(|mark| mark.to_bits() == marks[0].to_bits());
        if !same {
            return Err(unsupported("different texts stand for what is missing in different columns"));
        }
        let (missing, replacements) = (self.constants(&marks[..1]), self.constants(replacements));
        Ok(self.step(Impute { missing, replacements }, &[value], Self::double(part.width())))
    }
}
