//! Categories: one-hot, and one mapped to another.

use e2i_core::native::operators::{Lookup, OneHot, Unknown};
use e2i_core::{Column, ElementType};

use super::constant::Constant;
use super::defaults::{float, floats, int, ints, string, strings};
use super::{Lowered, Lowering, Symbol};
use crate::graph::attribute;
use crate::proto::NodeProto;

impl Lowering<'_, '_> {
    /// One axis more: a cell for each category.
    pub(super) fn one_hot_encoder(&mut self, node: &NodeProto) -> Lowered<Symbol> {
        let value = self.rows(node, 0)?;
        let categories = match (strings(node, "cats_strings")?, ints(node, "cats_int64s")) {
            (Some(texts), None) => Column::Text(texts),
            (None, Some(numbers)) => Column::Int64(numbers.to_vec()),
            _ => return Err("it has not one list of categories".into()),
        };
        if categories.is_empty() || repeats(&categories) {
            return Err("its categories are none, or one stands twice".into());
        }
        // Numbers are cut to integers.
        let value = match categories.element() {
            ElementType::Text if value.element != ElementType::Text => {
                return Err(format!("its categories are texts, its input is {}", value.element));
            }
            ElementType::Text => value,
            _ => self.cast_rows(&value, ElementType::Int64)?,
        };
        let unknown = if int(node, "zeros", 1) == 0 { Unknown::Refused } else { Unknown::Zeros };
        let one_hot = OneHot::new(&categories, unknown, self.plan.tables());
        let mut axes = value.axes.clone();
        axes.push(categories.len());
        Ok(Symbol::Rows(self.step(one_hot, &[value.id], ElementType::Float32, value.before, axes)?))
    }

    pub(super) fn label_encoder(&mut self, node: &NodeProto) -> Lowered<Symbol> {
        let value = self.rows(node, 0)?;
        // Version 1: a list of classes, numbered.
        if let Some(classes) = strings(node, "classes_strings")? {
            let numbers: Vec<i64> = (0..classes.len() as i64).collect();
            return self.mapped(node, value, Column::Text(classes), Column::Int64(numbers));
        }
        let keys = list(node, "keys")?.ok_or("it has no keys")?;
        let values = list(node, "values")?.ok_or("it has no values")?;
        self.mapped(node, value, keys, values)
    }

    /// Version 1's table, in the direction of the input's type.
    pub(super) fn category_mapper(&mut self, node: &NodeProto) -> Lowered<Symbol> {
        let value = self.rows(node, 0)?;
        let texts = strings(node, "cats_strings")?.unwrap_or_default();
        let numbers = ints(node, "cats_int64s").unwrap_or(&[]).to_vec();
        self.mapped(node, value, Column::Text(texts), Column::Int64(numbers))
    }

    fn mapped(&mut self, node: &NodeProto, value: super::RowValue, keys: Column, values: Column) -> Lowered<Symbol> {
        if keys.len() != values.len() || keys.is_empty() {
            return Err("it has not as many keys as values".into());
        }
        // The older tables serve both directions.
        let old = attribute(node, "keys_strings").is_none() && keys.element() == ElementType::Text;
        let (keys, values) = match (value.element, keys.element()) {
            (from, of) if from == of => (keys, values),
            (ElementType::Int64, ElementType::Text) if old => (values, keys),
            (from, of) => return Err(format!("its keys are {of}, its input is {from}")),
        };
        if keys.element() != ElementType::Text && keys.element() != ElementType::Int64 && keys.len() > 64 {
            return Err("it has too many keys that are no texts and no integers".into());
        }
        let cells = with_default(node, values)?;
        let element = cells.element();
        let lookup = Lookup::new(&keys, &cells, self.plan.tables());
        Ok(Symbol::Rows(self.step(lookup, &[value.id], element, value.before, value.axes)?))
    }
}

/// The values and, last, what stands for an unknown key.
fn with_default(node: &NodeProto, values: Column) -> Lowered<Column> {
    let tensor = match attribute(node, "default_tensor").and_then(|default| default.tensor.as_ref()) {
        Some(tensor) => Some(Constant::read(tensor)?.cells),
        None => None,
    };
    let wrong = || "its default is of another type than its values".to_owned();
    macro_rules! default {
        ($variant:ident, $values:ident, $default:expr) => {{
            let default = match &tensor {
                Some(Column::$variant(cells)) => cells.first().cloned().ok_or_else(wrong)?,
                Some(_) => return Err(wrong()),
                None => $default,
            };
            let mut cells = $values;
            cells.push(default);
            Ok(Column::$variant(cells))
        }};
    }
    match values {
        Column::Text(values) => default!(Text, values, string(node, "default_string", "_Unused")?),
        Column::Int64(values) => default!(Int64, values, int(node, "default_int64", -1)),
        Column::Float32(values) => default!(Float32, values, float(node, "default_float", -0.0)),
        Column::Float64(values) => default!(Float64, values, -0.0),
        Column::Int32(_) | Column::Bool(_) => Err("its values are of a type that is not known".into()),
    }
}

/// `keys_strings`, `keys_int64s`, `keys_floats` or `keys_tensor`, and the same of values.
fn list(node: &NodeProto, prefix: &str) -> Lowered<Option<Column>> {
    if let Some(texts) = strings(node, &format!("{prefix}_strings"))? {
        return Ok(Some(Column::Text(texts)));
    }
    if let Some(numbers) = ints(node, &format!("{prefix}_int64s")) {
        return Ok(Some(Column::Int64(numbers.to_vec())));
    }
    if let Some(numbers) = floats(node, &format!("{prefix}_floats")) {
        return Ok(Some(Column::Float32(numbers.to_vec())));
    }
    match attribute(node, &format!("{prefix}_tensor")).and_then(|list| list.tensor.as_ref()) {
        Some(tensor) => Ok(Some(Constant::read(tensor)?.cells)),
        None => Ok(None),
    }
}

fn repeats(cells: &Column) -> bool {
    fn repeats<T: Ord + Clone>(cells: &[T]) -> bool {
        let mut sorted = cells.to_vec();
        sorted.sort_unstable();
        sorted.windows(2).any(|pair| pair[0] == pair[1])
    }
    match cells {
        Column::Text(cells) => repeats(cells),
        Column::Int64(cells) => repeats(cells),
        _ => true,
    }
}
