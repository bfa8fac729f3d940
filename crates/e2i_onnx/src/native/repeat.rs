//! The same cells many times: filled, tiled, stretched, for as many rows as there are.

use e2i_core::{Column, ElementType};
use ndarray::{ArrayD, Axis};

use super::constant::Constant;
use super::symbol::{RowValue, broadcast, numbered, product, stretched};
use super::{Lowered, Lowering, Symbol};
use crate::graph::attribute;
use crate::proto::NodeProto;

/// Axis lengths of which one may be the number of rows.
enum Lengths {
    Known(Vec<usize>),
    /// Before and after the rows.
    Rows(Vec<usize>, Vec<usize>),
}

impl Lengths {
    fn of(lengths: &[Option<i64>]) -> Lowered<Self> {
        let known = |lengths: &[Option<i64>]| -> Lowered<Vec<usize>> {
            let lengths = lengths.iter().map(|length| length.and_then(|length| usize::try_from(length).ok()));
            lengths.collect::<Option<_>>().ok_or_else(|| "its shape is not known".to_owned())
        };
        match lengths.iter().position(Option::is_none) {
            None => known(lengths).map(Self::Known),
            Some(rows) => Ok(Self::Rows(known(&lengths[..rows])?, known(&lengths[rows + 1..])?)),
        }
    }
}

impl Lowering<'_, '_> {
    pub(super) fn constant_of_shape(&mut self, node: &NodeProto) -> Lowered<Symbol> {
        let value = match attribute(node, "value").and_then(|value| value.tensor.as_ref()) {
            Some(tensor) => Constant::read(tensor)?.cells,
            None => Column::Float32(vec![0.0]),
        };
        if value.len() != 1 {
            return Err("its value is not one cell".into());
        }
        let cell = Constant { dims: vec![], cells: value };
        match Lengths::of(&self.lengths(node, 0)?)? {
            Lengths::Known(dims) => {
                self.spend(product(&dims)?)?;
                Ok(Symbol::Constant(cell.stretched(&dims)?))
            }
            Lengths::Rows(before, axes) => self.in_every_row(&cell, before, axes).map(Symbol::Rows),
        }
    }

    /// A constant stretched to the axes before and after those of the rows, the same in every row.
    fn in_every_row(&mut self, constant: &Constant, before: Vec<usize>, axes: Vec<usize>) -> Lowered<RowValue> {
        let cells = [before.as_slice(), &axes].concat();
        self.spend(product(&cells)?)?;
        let filled = self.filled(&constant.stretched(&cells)?)?;
        Ok(RowValue { before, axes, ..filled })
    }

    pub(super) fn tile(&mut self, node: &NodeProto) -> Lowered<Symbol> {
        let repeats = self.lengths(node, 1)?;
        let symbol = self.input(node, 0)?;
        if repeats.len() != symbol.rank() {
            return Err("it does not say how often each axis is repeated".into());
        }
        match (symbol, Lengths::of(&repeats)?) {
            (Symbol::Rows(value), Lengths::Known(mut repeats)) => {
                if repeats.remove(value.before.len()) != 1 {
                    return Err("it repeats rows".into());
                }
                let places = tiled(numbered(&value.cells())?, &repeats)?;
                self.gathered(&value, value.before.len(), &places).map(Symbol::Rows)
            }
            (Symbol::Constant(constant), Lengths::Known(repeats)) => {
                let places = tiled(numbered(&constant.dims)?, &repeats)?;
                self.spend(places.len())?;
                Ok(Symbol::Constant(constant.picked(&places)))
            }
            (Symbol::Constant(constant), Lengths::Rows(before, after)) => {
                let rows = before.len();
                if constant.dims[rows] != 1 {
                    return Err("it mixes the cells of several rows".into());
                }
                let places = numbered(&constant.dims)?.index_axis_move(Axis(rows), 0);
                let tiled = constant.picked(&tiled(places, &[before, after].concat())?);
                let (before, axes) = tiled.dims.split_at(rows);
                self.in_every_row(&tiled, before.to_vec(), axes.to_vec()).map(Symbol::Rows)
            }
            _ => Err("it repeats what is not known".into()),
        }
    }

    pub(super) fn expand(&mut self, node: &NodeProto) -> Lowered<Symbol> {
        let lengths = Lengths::of(&self.lengths(node, 1)?)?;
        match (self.input(node, 0)?, lengths) {
            (Symbol::Rows(value), lengths) => {
                // 1 where the rows are: they stretch to themselves.
                let (before, axes) = match lengths {
                    Lengths::Rows(before, axes) => (before, axes),
                    Lengths::Known(mut lengths) => {
                        let after = lengths.split_off(lengths.len().saturating_sub(value.axes.len()));
                        match lengths.pop() {
                            None | Some(1) => (lengths, after),
                            Some(_) => return Err("it stretches along the axis of the rows".into()),
                        }
                    }
                };
                if axes.len() > value.axes.len() {
                    return Err("it stretches along the axis of the rows".into());
                }
                let (before, axes) = (broadcast(&value.before, &before)?, broadcast(&value.axes, &axes)?);
                let id = self.stretch(&value, &before, &axes)?;
                Ok(Symbol::Rows(RowValue { id, before, axes, ..value }))
            }
            (Symbol::Constant(constant), Lengths::Known(lengths)) => {
                let dims = broadcast(&constant.dims, &lengths)?;
                self.spend(product(&dims)?)?;
                Ok(Symbol::Constant(constant.picked(&stretched(&constant.dims, &dims)?)))
            }
            _ => Err("it stretches along the axis of the rows".into()),
        }
    }

    /// As the type of another tensor.
    pub(super) fn cast_like(&mut self, node: &NodeProto) -> Lowered<Symbol> {
        let to = match self.input(node, 1)? {
            Symbol::Rows(value) => value.element,
            Symbol::Constant(constant) => constant.element(),
            Symbol::Dimensions(_) => ElementType::Int64,
        };
        self.cast_symbol(self.input(node, 0)?, to)
    }
}

/// Cells repeated so often along each axis.
fn tiled(mut places: ArrayD<u32>, repeats: &[usize]) -> Lowered<ArrayD<u32>> {
    let lengths: Option<Vec<usize>> =
        places.shape().iter().zip(repeats).map(|(length, times)| length.checked_mul(*times)).collect();
    product(&lengths.ok_or("a row is too wide")?)?;
    for (axis, times) in repeats.iter().enumerate() {
        if *times == 0 {
            return Err("it leaves no cells".into());
        }
        let parts = vec![places.view(); *times];
        places = ndarray::concatenate(Axis(axis), &parts).map_err(|error| error.to_string())?;
    }
    Ok(places)
}
