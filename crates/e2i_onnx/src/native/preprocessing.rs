//! Numbers made ready for a model: scaled, normalised, imputed, cut in two.

use e2i_core::native::operators::{Binarize, Binary, BinaryFunction, Constants, Impute, Norm, Normalize, Scale};
use e2i_core::{Column, ElementType};

use super::defaults::{float, floats, int, ints, string};
use super::symbol::RowValue;
use super::{Lowered, Lowering, Symbol};
use crate::proto::NodeProto;

impl Lowering<'_, '_> {
    /// Offsets and scales, one for each column or one for all. float64 is subtracted and multiplied as such and then
    /// rounded; integers become float32 first.
    pub(super) fn scaler(&mut self, node: &NodeProto) -> Lowered<Symbol> {
        let value = self.rows(node, 0)?;
        let width = value.width()?;
        let columns = value.axes.last().copied().ok_or("it works along the axis of the rows")?;
        let per_cell = |name: &str| -> Lowered<Vec<f32>> {
            match floats(node, name).unwrap_or(&[]) {
                [one] => Ok(vec![*one; width]),
                list if list.len() == columns && columns == width => Ok(list.to_vec()),
                _ => Err(format!("its {name} is not as long as a row")),
            }
        };
        let (offset, scale) = (per_cell("offset")?, per_cell("scale")?);
        if value.element == ElementType::Float64 {
            let double = |cells: &[f32]| Column::Float64(cells.iter().map(|cell| f64::from(*cell)).collect());
            let mut step = |function, cells: &[f32], from: &RowValue| {
                let right = Some(Constants::write(&double(cells), self.plan.tables()));
                let (before, axes) = (value.before.clone(), value.axes.clone());
                self.step(Binary { function, left: None, right }, &[from.id], ElementType::Float64, before, axes)
            };
            let difference = step(BinaryFunction::Subtract, &offset, &value)?;
            let product = step(BinaryFunction::Multiply, &scale, &difference)?;
            return self.cast_rows(&product, ElementType::Float32).map(Symbol::Rows);
        }
        let value = self.cast_rows(&value, ElementType::Float32)?;
        let scale = Scale { offset: self.plan.table(&offset), scale: self.plan.table(&scale) };
        Ok(Symbol::Rows(self.step(scale, &[value.id], ElementType::Float32, value.before, value.axes)?))
    }

    pub(super) fn normalizer(&mut self, node: &NodeProto) -> Lowered<Symbol> {
        let value = self.rows(node, 0)?;
        let norm = match string(node, "norm", "MAX")?.as_str() {
            "MAX" => Norm::Max,
            "L1" => Norm::L1,
            "L2" => Norm::L2,
            other => return Err(format!("its norm {other} is not known")),
        };
        if value.axes.len() != 1 || !value.before.is_empty() || value.element == ElementType::Float64 {
            return Err("its input is not rows of float32".into());
        }
        let value = self.cast_rows(&value, ElementType::Float32)?;
        Ok(Symbol::Rows(self.step(Normalize { norm }, &[value.id], value.element, vec![], value.axes)?))
    }

    pub(super) fn imputer(&mut self, node: &NodeProto) -> Lowered<Symbol> {
        let value = self.rows(node, 0)?;
        let (missing, replacements) = match value.element {
            ElementType::Float32 => {
                let list = floats(node, "imputed_value_floats").unwrap_or(&[]);
                let missing = float(node, "replaced_value_float", 0.0);
                (Column::Float32(vec![missing]), Column::Float32(list.to_vec()))
            }
            ElementType::Int64 => {
                let list = ints(node, "imputed_value_int64s").unwrap_or(&[]);
                let missing = int(node, "replaced_value_int64", 0);
                (Column::Int64(vec![missing]), Column::Int64(list.to_vec()))
            }
            other => return Err(format!("its input is {other}")),
        };
        let width = value.width()?;
        let mut columns = replacements.len();
        let mut replacements = replacements;
        if columns == 1 {
            columns = width;
            replacements = match replacements {
                Column::Float32(cells) => Column::Float32(vec![cells[0]; width]),
                Column::Int64(cells) => Column::Int64(vec![cells[0]; width]),
                other => other,
            };
        }
        if columns != width || value.axes.len() != 1 || !value.before.is_empty() {
            return Err("what stands for missing values is not as long as a row".into());
        }
        let tables = self.plan.tables();
        let (missing, replacements) = (Constants::write(&missing, tables), Constants::write(&replacements, tables));
        let impute = Impute { missing, replacements };
        Ok(Symbol::Rows(self.step(impute, &[value.id], value.element, value.before, value.axes)?))
    }

    /// 1 for what is greater than a threshold, else 0.
    pub(super) fn binarizer(&mut self, node: &NodeProto) -> Lowered<Symbol> {
        let value = self.rows(node, 0)?;
        if value.element != ElementType::Float32 {
            return Err(format!("its input is {}", value.element));
        }
        let binarize = Binarize { threshold: self.plan.table(&[float(node, "threshold", 0.0)]) };
        Ok(Symbol::Rows(self.step(binarize, &[value.id], value.element, value.before, value.axes)?))
    }
}
