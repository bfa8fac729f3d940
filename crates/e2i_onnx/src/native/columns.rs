//! Columns put together, chosen and cut apart.

use e2i_core::ElementType;
use e2i_core::native::operators::{Concat, Constants, Gather, Pick};
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
        let mut values = Vec::with_capacity(node.inputs.len());
        for index in 0..node.inputs.len() {
            match self.input(node, index)? {
                Symbol::Rows(value) => values.push(value),
                // A list of axis lengths, or of constants.
                _ if values.is_empty() => return self.concat_lists(node),
                _ => return Err("it joins rows and constants".into()),
            }
        }
        let first = values.first().ok_or("it has no inputs")?.clone();
        let inner = first.inner_axis(axis)?;
        let mut axes = first.axes.clone();
        axes[inner] = 0;
        for value in &values {
            let fits = value.before == first.before
                && value.element == first.element
                && value.axes.len() == axes.len()
                && (0..axes.len()).all(|index| index == inner || value.axes[index] == first.axes[index]);
            if !fits {
                return Err("its inputs do not fit together".into());
            }
            axes[inner] = axes[inner].checked_add(value.axes[inner]).ok_or("a row is too wide")?;
        }
        if let [only] = values.as_slice() {
            return Ok(Symbol::Rows(only.clone()));
        }
        let ids: Vec<_> = values.iter().map(|value| value.id).collect();
        let width = product(&axes)?;
        let joined = self.step(Concat {}, &ids, first.element, first.before, vec![width])?;
        // Side by side first, then in order.
        let mut parts = Vec::with_capacity(values.len());
        let mut start = 0;
        for value in &values {
            parts.push(numbered(&value.axes)? + start);
            start += value.width()? as u32;
        }
        let parts: Vec<_> = parts.iter().map(|part| part.view()).collect();
        let places = ndarray::concatenate(Axis(inner), &parts).map_err(|error| error.to_string())?;
        self.gathered(&joined, &places).map(Symbol::Rows)
    }

    fn concat_lists(&self, node: &NodeProto) -> Lowered<Symbol> {
        let mut lengths = Vec::new();
        for index in 0..node.inputs.len() {
            match self.input(node, index)? {
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

    /// Cells of a value by their numbers, under the axes of these; the value itself if they are all of them in order.
    pub(super) fn gathered(&mut self, value: &RowValue, places: &ArrayD<u32>) -> Lowered<RowValue> {
        let axes = places.shape().to_vec();
        if places.len() == value.width()? && places.iter().enumerate().all(|(index, place)| index == *place as usize) {
            return Ok(RowValue { axes, ..value.clone() });
        }
        if places.is_empty() {
            return Err("it leaves no columns".into());
        }
        product(&axes)?;
        self.spend(places.len())?;
        let columns = self.plan.table(&places.iter().copied().collect::<Vec<u32>>());
        self.step(Gather { columns }, &[value.id], value.element, value.before, axes)
    }

    /// Indexes along one axis of a row, all of which must be there.
    fn along(&mut self, value: &RowValue, inner: usize, indexes: &[usize]) -> Lowered<RowValue> {
        let mut axes = value.axes.clone();
        axes[inner] = indexes.len();
        product(&axes)?;
        self.gathered(value, &numbered(&value.axes)?.select(Axis(inner), indexes))
    }

    pub(super) fn gather(&mut self, node: &NodeProto) -> Lowered<Symbol> {
        let axis = int(node, "axis", 0);
        match (self.input(node, 0)?, self.input(node, 1)?) {
            (Symbol::Rows(value), Symbol::Constant(indexes)) => {
                let inner = value.inner_axis(axis)?;
                let length = value.axes[inner];
                let places: Vec<usize> =
                    indexes.integers()?.iter().map(|index| place(*index, length)).collect::<Lowered<_>>()?;
                let mut axes = value.axes.clone();
                axes.splice(inner..=inner, indexes.dims.iter().copied());
                Ok(Symbol::Rows(RowValue { axes, ..self.along(&value, inner, &places)? }))
            }
            (Symbol::Constant(table), Symbol::Rows(indexes)) => {
                if place(axis, table.dims.len())? != 0 {
                    return Err("it picks along an axis that is not the first".into());
                }
                self.pick(table, indexes)
            }
            (Symbol::Constant(table), Symbol::Constant(indexes)) if table.dims.len() == 1 => {
                let length = table.dims[0];
                let indexes_read = indexes.integers()?;
                let places = indexes_read.iter().map(|index| place(*index, length).map(|place| place as u32));
                let places = ArrayD::from_shape_vec(indexes.dims, places.collect::<Lowered<Vec<_>>>()?);
                Ok(Symbol::Constant(table.picked(&places.map_err(|error| error.to_string())?)))
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
                let Some(inner) = value.axes.len().checked_sub(1) else {
                    return Err("it works along the axis of the rows".into());
                };
                let length = value.axes[inner];
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
                let single = table.dims.len() == 1 || (table.dims.len() == 2 && table.dims[0] == 1);
                if !single || indexes.width()? != 1 {
                    return Err("it picks several columns of a table".into());
                }
                let list = Constant { dims: vec![table.cells.len()], cells: table.cells };
                match self.pick(list, indexes)? {
                    Symbol::Rows(value) => Ok(Symbol::Rows(RowValue { before: 1, axes: vec![], ..value })),
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
                        let chosen = chosen(start, end, step, value.axes[inner])?;
                        Symbol::Rows(self.along(&value, inner, &chosen)?)
                    }
                    _ if start == 0 && step == 1 && end >= i64::from(i32::MAX) => Symbol::Rows(value),
                    _ => return Err("it cuts the rows".into()),
                },
                Symbol::Constant(_) => return Err("it cuts a constant".into()),
            };
        }
        Ok(symbol)
    }

    pub(super) fn split(&mut self, node: &NodeProto) -> Lowered<Vec<Symbol>> {
        let value = self.rows(node, 0)?;
        let inner = value.inner_axis(int(node, "axis", 0))?;
        let length = value.axes[inner];
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
            if value.before != 0 || i64::try_from(value.width()?) != Ok(*width) {
                return Err("an input is not as wide as it says".into());
            }
            total += value.width()?;
            ids.push(value.id);
        }
        Ok(Symbol::Rows(self.step(Concat {}, &ids, ElementType::Float32, 0, vec![total])?))
    }
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
