//! Groups of cells of a row into one: sums, means, extremes, and probabilities.

use e2i_core::native::ValueType;
use e2i_core::native::operators::{ArgExtreme, Binary, BinaryFunction, Constants, Reduce, Reduction, Select, Softmax};
use e2i_core::{Column, ElementType};
use ndarray::ArrayD;

use super::constant::Constant;
use super::defaults::{int, ints};
use super::folding::fold;
use super::symbol::{RowValue, numbered, place, product};
use super::{Lowered, Lowering, Symbol};
use crate::proto::NodeProto;

/// The axes that become one cell each.
struct Groups {
    /// The cells in the order in which groups lie side by side.
    places: ArrayD<u32>,
    size: usize,
    /// How far the cells of a group lie apart.
    inner: usize,
    /// The axes that are left, of which those that were reduced are 1.
    kept: Vec<usize>,
}

/// Groups along `reduced` axes of these. Where they do not lie side by side, they are put last.
fn groups(axes: &[usize], reduced: &[usize]) -> Lowered<Groups> {
    let places = numbered(axes)?;
    let mut kept = axes.to_vec();
    reduced.iter().for_each(|axis| kept[*axis] = 1);
    let (Some(&first), Some(&last)) = (reduced.first(), reduced.last()) else { return Err("it has no axes".into()) };
    let size = product(&reduced.iter().map(|axis| axes[*axis]).collect::<Vec<_>>())?;
    let (places, inner) = if last - first + 1 == reduced.len() {
        (places, product(&axes[last + 1..])?)
    } else {
        let others = (0..axes.len()).filter(|axis| !reduced.contains(axis));
        (places.permuted_axes(others.chain(reduced.iter().copied()).collect::<Vec<_>>()), 1)
    };
    if size == 0 || inner == 0 || product(axes)? == 0 {
        return Err("its groups are empty".into());
    }
    Ok(Groups { places, size, inner, kept })
}

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
            "ReduceLogSumExp" => Reduction::LogSumExp,
            _ => return Err("the native engine does not know this operator".into()),
        };
        let symbol = self.input(node, 0)?;
        let axes = match ints(node, "axes") {
            Some(axes) => axes.to_vec(),
            None if node.inputs.len() > 1 => self.constant_input(node, 1)?.integers()?,
            None => vec![],
        };
        if axes.is_empty() && int(node, "noop_with_empty_axes", 0) != 0 {
            return Ok(symbol);
        }
        let keep = int(node, "keepdims", 1) != 0;
        match symbol {
            Symbol::Rows(_) if axes.is_empty() => Err("it reduces over the rows".into()),
            Symbol::Rows(value) => {
                let inner: Vec<usize> = axes.iter().map(|axis| value.inner_axis(*axis)).collect::<Lowered<_>>()?;
                self.reduce_rows(reduction, &value, inner, keep).map(Symbol::Rows)
            }
            Symbol::Constant(constant) => {
                let rank = constant.dims.len();
                let axes = if axes.is_empty() { (0..rank as i64).collect() } else { axes };
                let reduced = sorted(axes.iter().map(|axis| place(*axis, rank)).collect::<Lowered<_>>()?);
                if reduced.is_empty() {
                    return Ok(Symbol::Constant(constant));
                }
                is_defined(reduction, constant.element())?;
                let Groups { places, size, inner, kept } = groups(&constant.dims, &reduced)?;
                let cells = constant.picked(&places).cells;
                let output = ValueType::new(constant.element(), product(&kept)?);
                let cells = fold(|_| Reduce { reduction, size, inner }.into(), &[cells], output)?;
                let dims = if keep { kept } else { without(&kept, &reduced) };
                Ok(Symbol::Constant(Constant { dims, cells }))
            }
            Symbol::Dimensions(_) => Err("it computes with the number of rows".into()),
        }
    }

    /// `reduced` names axes of a row by their index in [`RowValue::cells`].
    fn reduce_rows(
        &mut self,
        reduction: Reduction,
        value: &RowValue,
        reduced: Vec<usize>,
        keep: bool,
    ) -> Lowered<RowValue> {
        is_defined(reduction, value.element)?;
        let reduced = sorted(reduced);
        let Groups { places, size, inner, kept } = groups(&value.cells(), &reduced)?;
        let ordered = self.gathered(value, 0, &places)?;
        let (mut before, mut axes) = kept.split_at(value.before.len());
        let split = value.before.len();
        let (outer, rest): (Vec<usize>, Vec<usize>) = reduced.iter().copied().partition(|axis| *axis < split);
        let rest: Vec<usize> = rest.iter().map(|axis| axis - split).collect();
        let (short_before, short_axes) = (without(before, &outer), without(axes, &rest));
        if !keep {
            (before, axes) = (&short_before, &short_axes);
        }
        let reduce = Reduce { reduction, size, inner };
        self.step(reduce, &[ordered.id], value.element, before.to_vec(), axes.to_vec())
    }

    /// Divided by a norm along an axis; 0 where that is 0.
    pub(super) fn lp_normalization(&mut self, node: &NodeProto) -> Lowered<Symbol> {
        let value = self.rows(node, 0)?;
        let reduction = match int(node, "p", 2) {
            1 => Reduction::L1,
            2 => Reduction::L2,
            other => return Err(format!("its norm {other} is not known")),
        };
        let axis = value.inner_axis(int(node, "axis", -1))?;
        let norm = self.reduce_rows(reduction, &value, vec![axis], true)?;
        let number = |number: f64| match value.element {
            ElementType::Float64 => Ok(Column::Float64(vec![number])),
            ElementType::Float32 => Ok(Column::Float32(vec![number as f32])),
            other => Err(format!("its input is {other}")),
        };
        let (before, axes) = (norm.before.clone(), norm.axes.clone());
        let zero = Constants::write(&number(0.0)?, self.plan.tables());
        let equal = Binary { function: BinaryFunction::Equal, left: None, right: Some(zero) };
        let is_zero = self.step(equal, &[norm.id], ElementType::Bool, before.clone(), axes.clone())?;
        let ones = Constant { dims: vec![], cells: number(1.0)? }.stretched(&norm.cells())?;
        let one = self.filled(&ones)?;
        let divisor = self.step(Select {}, &[is_zero.id, one.id, norm.id], value.element, before, axes)?;
        let divisor = self.stretch(&divisor, &value.before, &value.axes)?;
        let divide = Binary { function: BinaryFunction::Divide, left: None, right: None };
        Ok(Symbol::Rows(self.step(divide, &[value.id, divisor], value.element, value.before, value.axes)?))
    }

    pub(super) fn arg_extreme(&mut self, node: &NodeProto) -> Lowered<Symbol> {
        let value = self.rows(node, 0)?;
        let axis = value.inner_axis(int(node, "axis", 0))?;
        let (_, size, inner) = value.around(axis)?;
        if size == 0 || inner == 0 || matches!(value.element, ElementType::Bool | ElementType::Text) {
            return Err("its groups are empty, or no numbers".into());
        }
        let (mut before, mut axes) = (value.before.clone(), value.axes.clone());
        let (of, at) = match axis.checked_sub(before.len()) {
            None => (&mut before, axis),
            Some(at) => (&mut axes, at),
        };
        if int(node, "keepdims", 1) == 0 {
            of.remove(at);
        } else {
            of[at] = 1;
        }
        let extreme = ArgExtreme {
            greatest: node.op_type == "ArgMax",
            last: int(node, "select_last_index", 0) != 0,
            size,
            inner,
        };
        Ok(Symbol::Rows(self.step(extreme, &[value.id], ElementType::Int64, before, axes)?))
    }

    /// Up to version 12 over all cells from an axis on, then along one axis.
    pub(super) fn softmax(&mut self, node: &NodeProto) -> Lowered<Symbol> {
        let value = self.rows(node, 0)?;
        let old = self.version < 13;
        let axis = value.inner_axis(int(node, "axis", if old { 1 } else { -1 }))?;
        if old && axis < value.before.len() {
            return Err("its groups reach over the rows".into());
        }
        let (_, length, after) = value.around(axis)?;
        let size = if old { length.saturating_mul(after) } else { length };
        if (!old && after != 1) || size == 0 || !value.element.is_float() {
            return Err("its groups do not lie side by side".into());
        }
        let softmax = Softmax { size, logarithm: node.op_type == "LogSoftmax" };
        Ok(Symbol::Rows(self.step(softmax, &[value.id], value.element, value.before, value.axes)?))
    }
}

fn sorted(mut axes: Vec<usize>) -> Vec<usize> {
    axes.sort_unstable();
    axes.dedup();
    axes
}

/// Lengths without those of some axes.
fn without(lengths: &[usize], axes: &[usize]) -> Vec<usize> {
    lengths.iter().enumerate().filter(|(axis, _)| !axes.contains(axis)).map(|(_, length)| *length).collect()
}

fn is_defined(reduction: Reduction, element: ElementType) -> Lowered<()> {
    let no_number = matches!(element, ElementType::Bool | ElementType::Text);
    if no_number || (!element.is_float() && reduction.is_of_floats()) {
        return Err(format!("its input is {element}"));
    }
    Ok(())
}
