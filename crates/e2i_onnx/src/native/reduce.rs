//! Groups of cells of a row into one: sums, means, extremes, and probabilities.

use e2i_core::ElementType;
use e2i_core::native::operators::{ArgExtreme, Reduce, Reduction, Softmax};

use super::defaults::{int, ints};
use super::symbol::product;
use super::{Lowered, Lowering, Symbol};
use crate::proto::NodeProto;

impl Lowering<'_, '_> {
    pub(super) fn reduce(&mut self, node: &NodeProto) -> Lowered<Symbol> {
        let reduction = match node.op_type.as_str() {
            "ReduceSum" => Reduction::Sum,
            "ReduceMean" => Reduction::Mean,
            "ReduceMin" => Reduction::Minimum,
            "ReduceMax" => Reduction::Maximum,
            "ReduceProd" => Reduction::Product,
            "ReduceL1" => Reduction::L1,
            "ReduceL2" => Reduction::L2,
            "ReduceSumSquare" => Reduction::SumOfSquares,
            _ => return Err("the native engine does not know this operator".into()),
        };
        let value = self.rows(node, 0)?;
        let axes = match ints(node, "axes") {
            Some(axes) => axes.to_vec(),
            None if node.inputs.len() > 1 => self.constant_input(node, 1)?.integers()?,
            None => vec![],
        };
        if axes.is_empty() {
            return match int(node, "noop_with_empty_axes", 0) {
                0 => Err("it reduces over the rows".into()),
                _ => Ok(Symbol::Rows(value)),
            };
        }
        let mut inner: Vec<usize> = axes.iter().map(|axis| value.inner_axis(*axis)).collect::<Lowered<_>>()?;
        inner.sort_unstable();
        inner.dedup();
        let (Some(&first), Some(&last)) = (inner.first(), inner.last()) else { return Err("it has no axes".into()) };
        if last - first + 1 != inner.len() {
            return Err("its axes do not lie side by side".into());
        }
        if matches!(value.element, ElementType::Bool | ElementType::Text) {
            return Err(format!("its input is {}", value.element));
        }
        if !value.element.is_float() && matches!(reduction, Reduction::L2 | Reduction::Mean) {
            return Err(format!("its input is {}", value.element));
        }
        let size = product(&value.axes[first..=last])?;
        let after = product(&value.axes[last + 1..])?;
        if size == 0 || after == 0 {
            return Err("its groups are empty".into());
        }
        let mut kept = value.axes.clone();
        if int(node, "keepdims", 1) == 0 {
            kept.drain(first..=last);
        } else {
            kept[first..=last].fill(1);
        }
        let reduce = Reduce { reduction, size, inner: after };
        Ok(Symbol::Rows(self.step(reduce, &[value.id], value.element, value.before, kept)?))
    }

    pub(super) fn arg_extreme(&mut self, node: &NodeProto) -> Lowered<Symbol> {
        let value = self.rows(node, 0)?;
        let axis = value.inner_axis(int(node, "axis", 0))?;
        let (_, size, inner) = value.around(axis)?;
        if size == 0 || inner == 0 || matches!(value.element, ElementType::Bool | ElementType::Text) {
            return Err("its groups are empty, or no numbers".into());
        }
        let mut axes = value.axes.clone();
        if int(node, "keepdims", 1) == 0 {
            axes.remove(axis);
        } else {
            axes[axis] = 1;
        }
        let extreme = ArgExtreme {
            greatest: node.op_type == "ArgMax",
            last: int(node, "select_last_index", 0) != 0,
            size,
            inner,
        };
        Ok(Symbol::Rows(self.step(extreme, &[value.id], ElementType::Int64, value.before, axes)?))
    }

    /// Up to version 12 over all cells from an axis on, then along one axis.
    pub(super) fn softmax(&mut self, node: &NodeProto) -> Lowered<Symbol> {
        let value = self.rows(node, 0)?;
        let old = self.version < 13;
        let axis = value.inner_axis(int(node, "axis", if old { 1 } else { -1 }))?;
        let (_, length, after) = value.around(axis)?;
        let size = if old { length.saturating_mul(after) } else { length };
        if (!old && after != 1) || size == 0 || !value.element.is_float() {
            return Err("its groups do not lie side by side".into());
        }
        let softmax = Softmax { size, logarithm: node.op_type == "LogSoftmax" };
        Ok(Symbol::Rows(self.step(softmax, &[value.id], value.element, value.before, value.axes)?))
    }
}
