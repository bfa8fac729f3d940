//! Columns put together, chosen and cut apart.

use e2i_core::native::operators::{Concat, Constants, Gather, Pick};
use e2i_core::{Column, ElementType};
use ndarray::{ArrayD, Axis};

use super::constant::Constant;
use super::defaults::{int, ints};
use super::symbol::{self, RowValue, numbered, place, product};
use super::{Lowered, Lowering, Symbol};
use crate::proto::NodeProto;

/// Most numbers of a list of axis lengths, which lists joined with themselves would double at each step.
const MAX_LENGTHS: usize = 4096;

impl Lowering<'_, '_> {
    pub(super) fn concat(&mut self, node: &NodeProto) -> Lowered<Symbol> {
        let axis = int(node, "axis", 1);
        let inputs: Vec<Symbol> =
            (0..node.inputs.len()).map(|index| self.input(node, index)).collect::<Lowered<_>>()?;
        let (mut values, mut constants) = (vec![], vec![]);
        for symbol in &inputs {
            match symbol {
                Symbol::Rows(value) => values.push(value.clone()),
                Symbol::Constant(constant) => constants.push(constant.clone()),
                Symbol::Dimensions(_) => {}
            }
        }
        if constants.len() == inputs.len() {
            return self.concat_constants(axis, &constants);
        }
        if values.is_empty() {
            return self.concat_lists(inputs);
        }
        if values.len() != inputs.len() {
            return Err("it joins rows and constants".into());
        }
        let first = values[0].clone();
        let inner = first.inner_axis(axis)?;
        let cells = first.cells();
        for value in &values {
            let others = value.cells();
            let fits = value.before.len() == first.before.len()
                && value.element == first.element
                && others.len() == cells.len()
                && (0..cells.len()).all(|index| index == inner || others[index] == cells[index]);
            if !fits {
                return Err("its inputs do not fit together".into());
            }
        }
        if let [only] = values.as_slice() {
            return Ok(Symbol::Rows(only.clone()));
        }
        let ids: Vec<_> = values.iter().map(|value| value.id).collect();
        let axes: Vec<Vec<usize>> = values.iter().map(RowValue::cells).collect();
        let places = side_by_side(inner, &axes)?;
        let joined = self.step(Concat {}, &ids, first.element, vec![], vec![product(places.shape())?])?;
        self.gathered(&joined, first.before.len(), &places).map(Symbol::Rows)
    }

    fn concat_constants(&self, axis: i64, constants: &[Constant]) -> Lowered<Symbol> {
        let first = constants.first().ok_or("it has no inputs")?;
        let axis = place(axis, first.dims.len())?;
        let mut joined = Constant::list(Column::zeros(first.element(), 0));
        for constant in constants {
            joined.append(constant)?;
        }
        self.spend(joined.cells.len())?;
        let axes: Vec<Vec<usize>> = constants.iter().map(|constant| constant.dims.clone()).collect();
        Ok(Symbol::Constant(joined.picked(&side_by_side(axis, &axes)?)))
    }

    fn concat_lists(&self, inputs: Vec<Symbol>) -> Lowered<Symbol> {
        let mut lengths = Vec::new();
        for input in inputs {
            match input {
                Symbol::Dimensions(more) => lengths.extend(more),
                Symbol::Constant(constant) if constant.dims.len() == 1 => {
                    lengths.extend(constant.integers()?.into_iter().map(Some));
                }
                _ => return Err("it joins rows and constants".into()),
            }
            if lengths.len() > MAX_LENGTHS {
                return Err("it joins a long list of axis lengths".into());
            }
        }
        Ok(Symbol::Dimensions(lengths))
    }

    /// Cells of a value by their numbers, under the axes of these, of which `before` stand before the rows; the value's own
    /// cells if they are all of them in order.
    pub(super) fn gathered(&mut self, value: &RowValue, before: usize, places: &ArrayD<u32>) -> Lowered<RowValue> {
        let (before, axes) = places.shape().split_at_checked(before).ok_or("an axis is missing")?;
        let (before, axes) = (before.to_vec(), axes.to_vec());
        if places.len() == value.width()? && places.iter().enumerate().all(|(index, place)| index == *place as usize) {
            return Ok(RowValue { before, axes, ..value.clone() });
        }
        if places.is_empty() {
            return Err("it leaves no columns".into());
        }
        product(places.shape())?;
        self.spend(places.len())?;
        let columns = self.plan.table(&places.iter().copied().collect::<Vec<u32>>());
        self.step(Gather { columns }, &[value.id], value.element, before, axes)
    }

    /// Indexes along one axis of a row, all of which must be there.
    fn along(&mut self, value: &RowValue, inner: usize, indexes: &[usize]) -> Lowered<RowValue> {
        let mut cells = value.cells();
        let places = numbered(&cells)?;
        *cells.get_mut(inner).ok_or("an axis is missing")? = indexes.len();
        product(&cells)?;
        self.gathered(value, value.before.len(), &places.select(Axis(inner), indexes))
    }

    pub(super) fn gather(&mut self, node: &NodeProto) -> Lowered<Symbol> {
        let axis = int(node, "axis", 0);
        match (self.input(node, 0)?, self.input(node, 1)?) {
            (Symbol::Rows(value), Symbol::Constant(indexes)) => {
                let inner = value.inner_axis(axis)?;
                let length = value.cells()[inner];
                let places: Vec<usize> =
                    indexes.integers()?.iter().map(|index| place(*index, length)).collect::<Lowered<_>>()?;
                let mut picked = self.along(&value, inner, &places)?;
                match inner.checked_sub(value.before.len()) {
                    None => picked.before.splice(inner..=inner, indexes.dims.iter().copied()),
                    Some(inner) => picked.axes.splice(inner..=inner, indexes.dims.iter().copied()),
                };
                Ok(Symbol::Rows(picked))
            }
            (Symbol::Constant(table), Symbol::Rows(indexes)) => {
                if place(axis, table.dims.len())? != 0 {
                    return Err("it picks along an axis that is not the first".into());
                }
                self.pick(table, indexes)
            }
            (Symbol::Constant(table), Symbol::Constant(indexes)) => {
                let axis = place(axis, table.dims.len())?;
                let length = table.dims[axis];
                let places: Vec<usize> =
                    indexes.integers()?.iter().map(|index| place(*index, length)).collect::<Lowered<_>>()?;
                let mut dims = table.dims.clone();
                dims.splice(axis..=axis, indexes.dims.iter().copied());
                self.spend(product(&dims)?)?;
                let picked = table.picked(&numbered(&table.dims)?.select(Axis(axis), &places));
                Ok(Symbol::Constant(Constant { dims, ..picked }))
            }
            (Symbol::Dimensions(lengths), Symbol::Constant(indexes)) => {
                let places: Vec<usize> =
                    indexes.integers()?.iter().map(|index| place(*index, lengths.len())).collect::<Lowered<_>>()?;
                let lengths = places.iter().map(|place| lengths[*place]).collect();
                Ok(Symbol::Dimensions(lengths))
            }
            _ => Err("it picks by something that is neither constant nor a table".into()),
        }
    }

    /// Parts of a table of constants by computed indexes.
    fn pick(&mut self, table: Constant, indexes: RowValue) -> Lowered<Symbol> {
        let indexes = match indexes.element {
            ElementType::Int64 => indexes,
            ElementType::Int32 => self.cast_rows(&indexes, ElementType::Int64)?,
            other => return Err(format!("its indexes are {other}")),
        };
        let width = product(&table.dims[1..])?;
        if width == 0 || table.cells.is_empty() {
            return Err("its table is empty".into());
        }
        let mut axes = indexes.axes.clone();
        axes.extend_from_slice(&table.dims[1..]);
        let cells = Constants::write(&table.cells, self.plan.tables());
        let step = self.step(Pick { cells, width }, &[indexes.id], table.element(), indexes.before, axes)?;
        Ok(Symbol::Rows(step))
    }

    pub(super) fn array_feature_extractor(&mut self, node: &NodeProto) -> Lowered<Symbol> {
        match (self.input(node, 0)?, self.input(node, 1)?) {
            (Symbol::Rows(value), Symbol::Constant(indexes)) => {
                let Some(length) = value.axes.last().copied() else {
                    return Err("it works along the axis of the rows".into());
                };
                let inner = value.before.len() + value.axes.len() - 1;
                let places: Vec<usize> = indexes
                    .integers()?
                    .iter()
                    .map(|index| usize::try_from(*index).ok().filter(|index| *index < length))
                    .collect::<Option<_>>()
                    .ok_or("it takes columns that are not there")?;
                self.along(&value, inner, &places).map(Symbol::Rows)
            }
            // A list of labels, of which each row's index picks one: the rows become the last axis.
            (Symbol::Constant(table), Symbol::Rows(indexes)) => {
                let lists: usize = match table.dims.as_slice() {
                    [_] => 1,
                    [lists, _] => *lists,
                    _ => return Err("its table has more than two axes".into()),
                };
                if indexes.width()? != 1 || lists == 0 {
                    return Err("it picks several columns of a table".into());
                }
                let length = table.cells.len() / lists;
                self.spend(table.cells.len())?;
                let by_index = table.picked(&numbered(&[lists, length])?.reversed_axes());
                match self.pick(by_index, indexes)? {
                    Symbol::Rows(value) => Ok(Symbol::Rows(RowValue { before: vec![lists], axes: vec![], ..value })),
                    other => Ok(other),
                }
            }
            _ => Err("it picks by something that is neither constant nor a table".into()),
        }
    }

    pub(super) fn slice(&mut self, node: &NodeProto) -> Lowered<Symbol> {
        let list = |index: usize, name: &str| -> Lowered<Option<Vec<i64>>> {
            match ints(node, name) {
                Some(list) => Ok(Some(list.to_vec())),
                None => match self.optional_input(node, index)? {
                    None => Ok(None),
                    Some(Symbol::Constant(constant)) => constant.integers().map(Some),
                    Some(_) => Err("what it cuts is not constant".into()),
                },
            }
        };
        let starts = list(1, "starts")?.ok_or("it has no starts")?;
        let ends = list(2, "ends")?.ok_or("it has no ends")?;
        let axes = list(3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
        let steps = list(4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
        if [ends.len(), axes.len(), steps.len()].iter().any(|count| *count != starts.len()) {
            return Err("what it cuts is not stated for each axis".into());
        }
        let mut symbol = self.input(node, 0)?;
        for (((start, end), axis), step) in starts.into_iter().zip(ends).zip(axes).zip(steps) {
            symbol = match symbol {
                Symbol::Dimensions(lengths) => {
                    let chosen = chosen(start, end, step, lengths.len())?;
                    Symbol::Dimensions(chosen.iter().map(|index| lengths[*index]).collect())
                }
                Symbol::Rows(value) => match value.axis(axis)? {
                    symbol::Axis::Inner(inner) => {
                        let chosen = chosen(start, end, step, value.cells()[inner])?;
                        Symbol::Rows(self.along(&value, inner, &chosen)?)
                    }
                    _ if start == 0 && step == 1 && end >= i64::from(i32::MAX) => Symbol::Rows(value),
                    _ => return Err("it cuts the rows".into()),
                },
                Symbol::Constant(constant) => {
                    let axis = place(axis, constant.dims.len())?;
                    let chosen = chosen(start, end, step, constant.dims[axis])?;
                    self.spend(constant.cells.len())?;
                    Symbol::Constant(constant.picked(&numbered(&constant.dims)?.select(Axis(axis), &chosen)))
                }
            };
        }
        Ok(symbol)
    }

    pub(super) fn split(&mut self, node: &NodeProto) -> Lowered<Vec<Symbol>> {
        let value = self.rows(node, 0)?;
        let inner = value.inner_axis(int(node, "axis", 0))?;
        let length = value.cells()[inner];
        let parts: Vec<usize> = match (ints(node, "split"), node.inputs.len() > 1) {
            (Some(parts), _) => parts.to_vec(),
            (None, true) => self.constant_input(node, 1)?.integers()?,
            (None, false) => {
                let count = node.outputs.len();
                let part = length.div_ceil(count.max(1));
                (0..count).map(|index| length.saturating_sub(index * part).min(part) as i64).collect()
            }
        }
        .into_iter()
        .map(|part| usize::try_from(part).map_err(|_| "a part is negative".to_owned()))
        .collect::<Lowered<_>>()?;
        if parts.len() != node.outputs.len()
            || parts.iter().try_fold(0usize, |sum, part| sum.checked_add(*part)) != Some(length)
        {
            return Err("its parts are not the whole".into());
        }
        let mut start = 0;
        let mut symbols = Vec::with_capacity(parts.len());
        for part in parts {
            let part_of = self.along(&value, inner, &(start..start + part).collect::<Vec<_>>())?;
            symbols.push(Symbol::Rows(part_of));
            start += part;
        }
        Ok(symbols)
    }

    pub(super) fn feature_vectorizer(&mut self, node: &NodeProto) -> Lowered<Symbol> {
        let widths = ints(node, "inputdimensions").ok_or("it does not say how wide its inputs are")?;
        if widths.len() != node.inputs.len() {
            return Err("it does not say how wide its inputs are".into());
        }
        let mut ids = Vec::new();
        let mut total = 0;
        for (index, width) in widths.iter().enumerate() {
            let value = self.rows(node, index)?;
            let value = self.cast_rows(&value, ElementType::Float32)?;
            if !value.before.is_empty() || i64::try_from(value.width()?) != Ok(*width) {
                return Err("an input is not as wide as it says".into());
            }
            total += value.width()?;
            ids.push(value.id);
        }
        Ok(Symbol::Rows(self.step(Concat {}, &ids, ElementType::Float32, vec![], vec![total])?))
    }
}

/// The cells of tensors with these axes, numbered one tensor after the other, side by side along an axis.
fn side_by_side(axis: usize, tensors: &[Vec<usize>]) -> Lowered<ArrayD<u32>> {
    let mut parts = Vec::with_capacity(tensors.len());
    let mut start = 0u32;
    for axes in tensors {
        let part = numbered(axes)?;
        let count = u32::try_from(part.len()).ok();
        let end = count.and_then(|count| start.checked_add(count)).ok_or("a tensor is too large")?;
        parts.push(part + start);
        start = end;
    }
    let parts: Vec<_> = parts.iter().map(|part| part.view()).collect();
    ndarray::concatenate(Axis(axis), &parts).map_err(|_| "its inputs do not fit together".to_owned())
}

/// The indexes that a slice of an axis takes.
fn chosen(start: i64, end: i64, step: i64, length: usize) -> Lowered<Vec<usize>> {
    let count = i64::try_from(length).map_err(|_| "a row is too wide".to_owned())?;
    let from_end = |index: i64| if index < 0 { index.saturating_add(count) } else { index };
    let (start, end) = (from_end(start), from_end(end));
    match step {
        1.. => {
            let (start, end) = (start.clamp(0, count), end.clamp(0, count));
            Ok((start..end).step_by(usize::try_from(step).unwrap_or(usize::MAX)).map(|index| index as usize).collect())
        }
        -1 => {
            let (start, end) = (start.clamp(-1, count - 1), end.clamp(-1, count - 1));
            Ok((end + 1..=start).rev().map(|index| index as usize).collect())
        }
        _ => Err("its step is not 1 or -1 or more".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_those_of_numpy() {
        assert_eq!(chosen(1, 3, 1, 5).unwrap(), [1, 2]);
        assert_eq!(chosen(-2, i64::MAX, 1, 5).unwrap(), [3, 4]);
        assert_eq!(chosen(0, 5, 2, 5).unwrap(), [0, 2, 4]);
        assert_eq!(chosen(-1, i64::MIN, -1, 3).unwrap(), [2, 1, 0]);
        assert_eq!(chosen(4, 2, 1, 5).unwrap(), [] as [usize; 0]);
    }
}
