//! Columns taken apart and put together: `ColumnTransformer`, `FeatureUnion`, `FunctionTransformer`.

use e2i_core::native::ValueId;
use e2i_core::native::operators::{BinaryFunction, Elementary, RowFunction, UnaryFunction};
use e2i_core::{Error, Kind, Result};

use super::{Compiler, Table, misshapen, unsupported};
use crate::node::Node;

impl Compiler {
    pub(super) fn column_transformer(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        // What names, slices, masks and functions came to when it was fitted.
        let indices = node.get("_transformer_to_input_indices")?;
        let mut parts = vec![];
        for transformer in node.get("transformers_")?.items()? {
            let [name, estimator, _] = transformer.items()?[..] else {
                return Err(misshapen("its transformers"));
            };
            let name = name.text()?;
            let instead = estimator.text().unwrap_or_default();
            let taken = indices.entry(&name).ok_or_else(|| misshapen("its transformers and columns"))?;
            let taken = taken.wholes()?.into_iter().map(|index| usize::try_from(index).unwrap_or(usize::MAX));
            let taken: Vec<usize> = taken.collect();
            if instead == "drop" || taken.is_empty() {
                continue;
            }
            let part = self.gather(table, &taken)?;
            let part = if instead == "passthrough" { part } else { self.transform(&name, estimator, &part)? };
            parts.push(self.weighted(node, &name, part)?);
        }
        Ok(self.beside(&parts))
    }

    pub(super) fn feature_union(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        let mut parts = vec![];
        for transformer in node.get("transformer_list")?.items()? {
            let [name, estimator] = transformer.items()?[..] else { return Err(misshapen("its transformers")) };
            let name = name.text()?;
            let part = match estimator.text().as_deref() {
                Ok("drop") => continue,
                Ok("passthrough") => table.clone(),
                _ => self.transform(&name, estimator, table)?,
            };
            parts.push(self.weighted(node, &name, part)?);
        }
        Ok(self.beside(&parts))
    }

    /// A part times its weight, where there are `transformer_weights`.
    fn weighted(&mut self, node: Node<'_>, name: &str, part: Table) -> Result<Table> {
        let weight = node.some("transformer_weights").and_then(|weights| weights.entry(name));
        match weight {
            Some(weight) if !part.columns.is_empty() => {
                self.take_numbers(&part)?;
                let value = self.with(BinaryFunction::Multiply, part.value, &[weight.number()?]);
                Ok(Table { value, columns: part.columns })
            }
            _ => Ok(part),
        }
    }

    pub(super) fn function_transformer(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        let Some(function) = node.some("func") else { return Ok(table.clone()) };
        if node.some("kw_args").is_some_and(|arguments| arguments.entries().is_ok_and(|entries| !entries.is_empty())) {
            return Err(unsupported("a function with arguments of its own (kw_args) is not read"));
        }
        if table.columns.is_empty() {
            return Ok(table.clone());
        }
        let value = if node.is_true("validate") { self.checked(table, false, false)? } else { table.value };
        self.take_numbers(table)?;
        let value = self.function(function, value)?;
        let columns = table.columns.iter().map(|column| super::TableColumn { feature: None, ..*column }).collect();
        Ok(Table { value, columns })
    }

    /// A function of numpy or scipy that is named.
    pub(super) fn function(&mut self, function: Node<'_>, value: ValueId) -> Result<ValueId> {
        let elementary = match function.class() {
            "log" => return Ok(self.each(UnaryFunction::Logarithm, value)),
            "exp" => return Ok(self.each(UnaryFunction::Exponential, value)),
            "sqrt" => return Ok(self.each(UnaryFunction::SquareRoot, value)),
            "absolute" | "abs" | "fabs" => return Ok(self.each(UnaryFunction::Absolute, value)),
            "floor" => return Ok(self.each(UnaryFunction::Floor, value)),
            "ceil" => return Ok(self.each(UnaryFunction::Ceiling, value)),
            "negative" => return Ok(self.each(UnaryFunction::Negate, value)),
            "sign" => return Ok(self.each(UnaryFunction::Sign, value)),
            "tanh" => return Ok(self.each(UnaryFunction::HyperbolicTangent, value)),
            "reciprocal" => return Ok(self.each(UnaryFunction::Reciprocal, value)),
            "square" => return Ok(self.both(BinaryFunction::Multiply, value, value)),
            "expit" => return self.row(RowFunction::Expit, value),
            "log1p" => Elementary::Log1p,
            "expm1" => Elementary::Expm1,
            "log2" => Elementary::Log2,
            "log10" => Elementary::Log10,
            "cbrt" => Elementary::CubeRoot,
            "sin" => Elementary::Sine,
            "cos" => Elementary::Cosine,
            "arcsinh" => Elementary::ArcSinh,
            name => {
                let message = format!("the function {name:?} of {} is not read", function.module());
                return Err(Error::new(Kind::Unsupported, message).with_detail(
                    "Read are numpy's log, log1p, log2, log10, exp, expm1, sqrt, cbrt, square, abs, sign, floor, ceil, \
                     negative, reciprocal, sin, cos, tanh and arcsinh, scipy's expit, and no function at all.",
                ));
            }
        };
        let is_known = function.is_of("numpy") && function.loader() == "FunctionNode";
        if !is_known {
            return Err(unsupported(format!(
                "the function {:?} of {} is not read",
                function.class(),
                function.module()
            )));
        }
        self.row(RowFunction::Each(elementary), value)
    }
}
