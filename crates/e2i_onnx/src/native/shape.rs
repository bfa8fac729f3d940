//! Operators that move no cells: the same values under other axes.

use e2i_core::Column;
use ndarray::Axis;

use super::constant::Constant;
use super::defaults::{int, ints};
use super::symbol::{self, RowValue, numbered, product};
use super::{Lowered, Lowering, Symbol};
use crate::proto::NodeProto;

impl Lowering<'_, '_> {
    pub(super) fn identity(&self, node: &NodeProto) -> Lowered<Symbol> {
        if node.op_type == "Dropout" && self.optional_input(node, 2)?.is_some() {
            return Err("it may be in training mode".into());
        }
        self.input(node, 0)
    }

    pub(super) fn reshape(&self, node: &NodeProto) -> Lowered<Symbol> {
        let lengths = match (node.inputs.len(), ints(node, "shape")) {
            (1, Some(shape)) => shape.iter().map(|length| Some(*length)).collect(),
            _ => self.lengths(node, 1)?,
        };
        if int(node, "allowzero", 0) != 0 && lengths.contains(&Some(0)) {
            return Err("it makes an axis of no length".into());
        }
        match self.input(node, 0)? {
            Symbol::Rows(value) => self.reshape_rows(&value, &lengths).map(Symbol::Rows),
            Symbol::Constant(constant) => reshape_constant(constant, &lengths).map(Symbol::Constant),
            Symbol::Dimensions(_) => Err("it reshapes a list of axis lengths".into()),
        }
    }

    fn reshape_rows(&self, value: &RowValue, lengths: &[Option<i64>]) -> Lowered<RowValue> {
        let (outer, width) = (product(&value.before)?, product(&value.axes)?);
        // A 0 copies the axis in the same place.
        let copied = |index: usize| match index.checked_sub(value.before.len()) {
            None => value.before.get(index).map(|axis| *axis as i64),
            Some(0) => None,
            Some(inner) => value.axes.get(inner - 1).map(|axis| *axis as i64),
        };
        let lengths: Vec<Option<i64>> = lengths
            .iter()
            .enumerate()
            .map(|(index, length)| if *length == Some(0) { copied(index) } else { *length })
            .collect();
        let open: Vec<usize> = (0..lengths.len()).filter(|index| lengths[*index] == Some(-1)).collect();
        let rows_named = lengths.iter().position(Option::is_none);
        let rows = match (rows_named, open.as_slice()) {
            (Some(rows), [] | [_]) => rows,
            (None, [rows]) => *rows,
            (None, []) => lengths
                .iter()
                .position(|length| length.is_some() && *length == self.fixed_rows.map(|rows| rows as i64))
                .ok_or("its shape does not depend on the number of rows")?,
            _ => return Err("its shape leaves several axes open".into()),
        };
        let known = |range: &[Option<i64>]| -> Lowered<Vec<usize>> {
            let lengths = range.iter().map(|length| length.and_then(|length| usize::try_from(length).ok()));
            lengths.collect::<Option<_>>().ok_or_else(|| "its shape is not known".to_owned())
        };
        let mut after = lengths[rows + 1..].to_vec();
        // With the rows named, the open axis takes the cells that the others leave.
        if let (Some(_), [open]) = (rows_named, open.as_slice()) {
            let open = open.checked_sub(rows + 1).ok_or("it moves the axis of the rows")?;
            let others: Vec<Option<i64>> =
                after.iter().enumerate().filter(|(index, _)| *index != open).map(|(_, length)| *length).collect();
            let others = product(&known(&others)?)?.max(1);
            after[open] = i64::try_from(width / others).ok();
        }
        let (before, axes) = (known(&lengths[..rows])?, known(&after)?);
        if product(&before)? != outer || product(&axes)? != width {
            return Err("it mixes the cells of several rows".into());
        }
        Ok(RowValue { before, axes, ..value.clone() })
    }

    pub(super) fn flatten(&self, node: &NodeProto) -> Lowered<Symbol> {
        let value = self.rows(node, 0)?;
        let axis = int(node, "axis", 1);
        let split = if axis < 0 { axis.saturating_add(value.rank() as i64) } else { axis };
        if usize::try_from(split) != Ok(value.before.len() + 1) || product(&value.before)? != 1 {
            return Err("it mixes the cells of several rows".into());
        }
        Ok(Symbol::Rows(RowValue { before: vec![], axes: vec![value.width()?], ..value }))
    }

    /// The axes that Squeeze and Unsqueeze name: an attribute up to version 12, then an input.
    fn named_axes(&self, node: &NodeProto) -> Lowered<Option<Vec<i64>>> {
        match ints(node, "axes") {
            Some(axes) => Ok(Some(axes.to_vec())),
            None if node.inputs.len() > 1 => self.constant_input(node, 1)?.integers().map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn squeeze(&self, node: &NodeProto) -> Lowered<Symbol> {
        let axes = self.named_axes(node)?;
        match self.input(node, 0)? {
            Symbol::Dimensions(lengths) => Ok(Symbol::Dimensions(lengths)),
            Symbol::Constant(mut constant) => {
                let dropped = self.dropped(axes, constant.dims.len())?;
                let mut index = 0;
                constant.dims.retain(|dim| {
                    index += 1;
                    *dim != 1 || dropped.as_ref().is_some_and(|dropped| !dropped.contains(&(index - 1)))
                });
                Ok(Symbol::Constant(constant))
            }
            Symbol::Rows(value) => {
                let Some(axes) = axes else {
                    return Err("which axes it drops depends on the number of rows".into());
                };
                let (cells, mut dropped) = (value.cells(), Vec::new());
                for axis in axes {
                    match value.axis(axis)? {
                        symbol::Axis::Rows => return Err("it drops the axis of the rows".into()),
                        symbol::Axis::Inner(inner) if cells[inner] == 1 => dropped.push(inner),
                        symbol::Axis::Inner(_) => return Err("it drops an axis that is longer than 1".into()),
                    }
                }
                let kept = |range: std::ops::Range<usize>| range.filter(|index| !dropped.contains(index));
                let split = value.before.len();
                let before = kept(0..split).map(|index| cells[index]).collect();
                let axes = kept(split..cells.len()).map(|index| cells[index]).collect();
                Ok(Symbol::Rows(RowValue { before, axes, ..value }))
            }
        }
    }

    fn dropped(&self, axes: Option<Vec<i64>>, rank: usize) -> Lowered<Option<Vec<usize>>> {
        axes.map(|axes| axes.iter().map(|axis| symbol::place(*axis, rank)).collect()).transpose()
    }

    pub(super) fn unsqueeze(&self, node: &NodeProto) -> Lowered<Symbol> {
        let axes = self.named_axes(node)?.ok_or("it names no axes")?;
        let symbol = self.input(node, 0)?;
        let rank = match &symbol {
            Symbol::Dimensions(lengths) => {
                return Ok(Symbol::Dimensions(lengths.clone()));
            }
            Symbol::Constant(constant) => constant.dims.len(),
            Symbol::Rows(value) => value.rank(),
        };
        let new_rank = rank + axes.len();
        let mut new: Vec<usize> = axes.iter().map(|axis| symbol::place(*axis, new_rank)).collect::<Lowered<_>>()?;
        new.sort_unstable();
        new.dedup();
        if new.len() != axes.len() {
            return Err("it names an axis twice".into());
        }
        Ok(match symbol {
            Symbol::Constant(mut constant) => {
                new.iter().for_each(|axis| constant.dims.insert((*axis).min(constant.dims.len()), 1));
                Symbol::Constant(constant)
            }
            Symbol::Rows(mut value) => {
                for axis in new {
                    match axis.checked_sub(value.before.len() + 1) {
                        None => value.before.insert(axis, 1),
                        Some(inner) => value.axes.insert(inner.min(value.axes.len()), 1),
                    }
                }
                Symbol::Rows(value)
            }
            other => other,
        })
    }

    pub(super) fn transpose(&mut self, node: &NodeProto) -> Lowered<Symbol> {
        let symbol = self.input(node, 0)?;
        let rank = symbol.rank();
        let order: Vec<usize> = match ints(node, "perm") {
            None => (0..rank).rev().collect(),
            Some(order) => order.iter().map(|axis| symbol::place(*axis, rank)).collect::<Lowered<_>>()?,
        };
        if order.len() != rank || (0..rank).any(|axis| !order.contains(&axis)) {
            return Err("its order is none".into());
        }
        match symbol {
            Symbol::Constant(constant) => {
                self.spend(constant.cells.len())?;
                let places = numbered(&constant.dims)?.permuted_axes(order);
                Ok(Symbol::Constant(constant.picked(&places)))
            }
            Symbol::Rows(value) => {
                let from = value.before.len();
                let rows = order.iter().position(|axis| *axis == from).ok_or("its order is none")?;
                let places = numbered(&value.cells())?.insert_axis(Axis(from)).permuted_axes(order);
                let places = places.index_axis_move(Axis(rows), 0);
                self.gathered(&value, rows, &places).map(Symbol::Rows)
            }
            Symbol::Dimensions(_) => Err("it transposes a list of axis lengths".into()),
        }
    }

    pub(super) fn shape(&self, node: &NodeProto) -> Lowered<Symbol> {
        if int(node, "start", 0) != 0 || crate::graph::attribute(node, "end").is_some() {
            return Err("it takes a part of a shape".into());
        }
        match self.input(node, 0)? {
            Symbol::Constant(constant) => Ok(Symbol::Constant(Constant::list(Column::Int64(
                constant.dims.iter().map(|dim| *dim as i64).collect(),
            )))),
            Symbol::Rows(value) => {
                let known = |axes: &[usize]| axes.iter().map(|axis| Some(*axis as i64)).collect::<Vec<_>>();
                let lengths = [known(&value.before), vec![None], known(&value.axes)].concat();
                Ok(Symbol::Dimensions(lengths))
            }
            Symbol::Dimensions(_) => Err("it takes the shape of a list of axis lengths".into()),
        }
    }

    /// A list of axis lengths; `None` is the number of rows.
    pub(super) fn lengths(&self, node: &NodeProto, index: usize) -> Lowered<Vec<Option<i64>>> {
        match self.input(node, index)? {
            Symbol::Dimensions(lengths) => Ok(lengths),
            Symbol::Constant(constant) => Ok(constant.integers()?.into_iter().map(Some).collect()),
            Symbol::Rows(_) => Err(format!("input {index} is not constant")),
        }
    }
}

fn reshape_constant(constant: Constant, lengths: &[Option<i64>]) -> Lowered<Constant> {
    let mut dims = Vec::with_capacity(lengths.len());
    for (index, length) in lengths.iter().enumerate() {
        dims.push(match length {
            None => return Err("it gives a constant as many rows as the batch".into()),
            Some(-1) => None,
            Some(0) => Some(*constant.dims.get(index).ok_or("it copies an axis that is not there")?),
            Some(length) => Some(usize::try_from(*length).map_err(|_| "its shape is negative".to_owned())?),
        });
    }
    let known = product(&dims.iter().flatten().copied().collect::<Vec<_>>())?;
    let open = constant.cells.len().checked_div(known).unwrap_or(0);
    let dims: Vec<usize> = dims.into_iter().map(|dim| dim.unwrap_or(open)).collect();
    if product(&dims)? != constant.cells.len() {
        return Err("its shape does not fit its constant".into());
    }
    Ok(Constant { dims, cells: constant.cells })
}
