//! Columns taken apart and put together: `ColumnTransformer`, `FeatureUnion`, `FunctionTransformer`.

use e2i_core::native::ValueId;
use e2i_core::native::operators::{BinaryFunction, Elementary, Impute, RowFunction, UnaryFunction};
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
        // One text a row in one column stays what it is.
        if function.is_of("numpy") && matches!(function.class(), "ravel" | "squeeze") && table.width() == 1 {
            return Ok(table.clone());
        }
        let arguments = node.some("kw_args").map(Node::entries).transpose()?.unwrap_or_default();
        if table.columns.is_empty() {
            return Ok(table.clone());
        }
        let value = if node.is_true("validate") { self.checked(table, false, false)? } else { table.value };
        self.take_numbers(table)?;
        let has_defaults = matches!(function.class(), "nan_to_num" | "round" | "around");
        let value = if arguments.is_empty() && !has_defaults {
            self.function(function, value)?
        } else {
            self.function_with(function, &arguments, value)?
        };
        let columns = table.columns.iter().map(|column| super::TableColumn { feature: None, ..*column }).collect();
        Ok(Table { value, columns })
    }

    /// A function of numpy with arguments.
    fn function_with(&mut self, function: Node<'_>, arguments: &[(&str, Node<'_>)], value: ValueId) -> Result<ValueId> {
        let names = |known: &[&str]| arguments.iter().all(|(name, _)| known.contains(name));
        let argument = |name: &str| -> Result<Option<f64>> {
            let given = arguments.iter().find(|(own, _)| *own == name).map(|(_, node)| *node);
            given.filter(|node| !node.is_none()).map(Node::number).transpose()
        };
        let name = function.class();
        let is_known = function.is_of("numpy") && function.loader() == "FunctionNode";
        match name {
            "clip" if is_known && names(&["a_min", "a_max", "min", "max"]) => {
                let low = argument("a_min")?.or(argument("min")?).unwrap_or(f64::NEG_INFINITY);
                let high = argument("a_max")?.or(argument("max")?).unwrap_or(f64::INFINITY);
                Ok(self.clip(value, low, high))
            }
            "round" | "around" if is_known && names(&["decimals"]) => {
                let decimals = argument("decimals")?.unwrap_or(0.0);
                if decimals.trunc() != decimals || !(0.0..=22.0).contains(&decimals) {
                    return Err(unsupported(format!("rounding to {decimals} decimals is not read")));
                }
                let scale = 10f64.powi(decimals as i32);
                let scaled = self.with(BinaryFunction::Multiply, value, &[scale]);
                let rounded = self.each(UnaryFunction::Round, scaled);
                Ok(self.with(BinaryFunction::Divide, rounded, &[scale]))
            }
            "nan_to_num" if is_known && names(&["nan", "posinf", "neginf", "copy"]) => {
                let high = argument("posinf")?.unwrap_or(f64::MAX);
                let low = argument("neginf")?.unwrap_or(f64::MIN);
                let mut value = value;
                for (from, to) in
                    [(f64::NAN, argument("nan")?.unwrap_or(0.0)), (f64::INFINITY, high), (f64::NEG_INFINITY, low)]
                {
                    let width = self.width_of(value);
                    let (missing, replacements) = (self.constants(&[from]), self.constants(&vec![to; width]));
                    value = self.step(Impute { missing, replacements }, &[value], Self::double(width));
                }
                Ok(value)
            }
            _ => Err(unsupported(format!(
                "the function {name:?} of {} with arguments of its own (kw_args) is not read",
                function.module()
            ))),
        }
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
            "rint" => return Ok(self.each(UnaryFunction::Round, value)),
            "positive" | "array" | "asarray" | "copy" | "float64" if function.is_of("numpy") => return Ok(value),
            "deg2rad" | "radians" => {
                return Ok(self.with(BinaryFunction::Multiply, value, &[std::f64::consts::PI / 180.0]));
            }
            "rad2deg" | "degrees" => {
                return Ok(self.with(BinaryFunction::Multiply, value, &[180.0 / std::f64::consts::PI]));
            }
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
            "tan" => Elementary::Tangent,
            "arcsin" => Elementary::ArcSine,
            "arccos" => Elementary::ArcCosine,
            "arctan" => Elementary::ArcTangent,
            "sinh" => Elementary::HyperbolicSine,
            "cosh" => Elementary::HyperbolicCosine,
            "exp2" => Elementary::Exponential2,
            "trunc" | "fix" => Elementary::Truncate,
            "arccosh" => Elementary::ArcCosh,
            "arctanh" => Elementary::ArcTanh,
            "sinc" => Elementary::Sinc,
            "isnan" => Elementary::IsNan,
            "isinf" => Elementary::IsInfinite,
            "isfinite" => Elementary::IsFinite,
            "signbit" => Elementary::SignBit,
            "logical_not" => Elementary::IsZero,
            "logit" if function.is_of("scipy") => return self.row(RowFunction::Each(Elementary::Logit), value),
            name => {
                let message = format!("the function {name:?} of {} is not read", function.module());
                return Err(Error::new(Kind::Unsupported, message).with_detail(
                    "Read are numpy's log, log1p, log2, log10, exp, expm1, sqrt, cbrt, square, abs, sign, floor, ceil, \
                     negative, reciprocal, rint, trunc, exp2, the trigonometric and hyperbolic ones, isnan, isfinite, isinf, signbit, logical_not, sinc, \
                     clip, nan_to_num and round, scipy's expit and logit, and no function at all.",
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
