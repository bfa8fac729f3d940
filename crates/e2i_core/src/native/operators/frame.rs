//! What an operator sees of the batch and of the values before it.

use std::collections::BTreeMap;

pub(crate) use crate::batch::Cell;
use crate::batch::{Column, Tensor};
use crate::error::Error;
use crate::interface::ElementType;
use crate::native::image::Image;
use crate::native::instruction_set::InstructionSet;
use crate::native::value::{ValueId, ValueType};

/// Memory that operators reuse between calls.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub single: Vec<f32>,
    pub sums: Vec<f32>,
    pub double_sums: Vec<f64>,
    pub labels: Vec<u32>,
    pub forest: crate::native::forest::Scratch,
}

/// Calls a generic function with the type of an element type.
macro_rules! for_element {
    ($element:expr, $function:ident ( $($argument:expr),* )) => {
        match $element {
            $crate::interface::ElementType::Float32 => $function::<f32>($($argument),*),
            $crate::interface::ElementType::Float64 => $function::<f64>($($argument),*),
            $crate::interface::ElementType::Int32 => $function::<i32>($($argument),*),
            $crate::interface::ElementType::Int64 => $function::<i64>($($argument),*),
            $crate::interface::ElementType::Bool => $function::<bool>($($argument),*),
            $crate::interface::ElementType::Text => $function::<String>($($argument),*),
        }
    };
}
pub(crate) use for_element;

/// Cells of a block of rows, of whatever type.
pub(crate) enum Cells<'a> {
    Float32(&'a [f32]),
    Float64(&'a [f64]),
    Int32(&'a [i32]),
    Int64(&'a [i64]),
    Bool(&'a [bool]),
    Text(&'a [String]),
}

impl<'a> Cells<'a> {
    /// `count` cells of a column.
    #[inline]
    pub(crate) fn of(column: &'a Column, from: usize, count: usize) -> Self {
        fn part<T>(cells: &[T], from: usize, count: usize) -> &[T] {
            cells.get(from..from.saturating_add(count)).unwrap_or(&[])
        }
        match column {
            Column::Float32(cells) => Self::Float32(part(cells, from, count)),
            Column::Float64(cells) => Self::Float64(part(cells, from, count)),
            Column::Int32(cells) => Self::Int32(part(cells, from, count)),
            Column::Int64(cells) => Self::Int64(part(cells, from, count)),
            Column::Bool(cells) => Self::Bool(part(cells, from, count)),
            Column::Text(cells) => Self::Text(part(cells, from, count)),
        }
    }

    /// Writes the cells to the place `at` of a column of the same type, over what stands there or at its end.
    #[inline]
    pub(crate) fn write_to(&self, into: &mut Column, at: usize) {
        match (self, into) {
            (Self::Float32(cells), Column::Float32(into)) => write(cells, into, at),
            (Self::Float64(cells), Column::Float64(into)) => write(cells, into, at),
            (Self::Int32(cells), Column::Int32(into)) => write(cells, into, at),
            (Self::Int64(cells), Column::Int64(into)) => write(cells, into, at),
            (Self::Bool(cells), Column::Bool(into)) => write(cells, into, at),
            (Self::Text(cells), Column::Text(into)) => {
                // Texts that stand there already lend their memory.
                let kept = into.len().saturating_sub(at).min(cells.len());
                let (over, new) = cells.split_at(kept);
                over.iter().zip(into.iter_mut().skip(at)).for_each(|(cell, into)| into.clone_from(cell));
                into.extend(new.iter().cloned());
            }
            _ => {}
        }
    }
}

#[inline]
fn write<T: Copy>(cells: &[T], into: &mut Vec<T>, at: usize) {
    into.truncate(at);
    into.extend_from_slice(cells);
}

/// One run of an operator over a block of rows.
pub(crate) struct Frame<'a> {
    pub image: &'a Image,
    pub set: InstructionSet,
    pub rows: usize,
    /// The first row of the block in the batch.
    pub from: usize,
    pub batch: &'a [Tensor],
    /// Values with a lower number are tensors of the batch.
    pub batch_inputs: usize,
    /// The values before the step's own.
    pub computed: &'a [Column],
    pub values: &'a [ValueType],
    pub inputs: &'a [ValueId],
    pub outputs: &'a mut [Column],
    pub first_output: usize,
    /// Which outputs somebody needs, a bit each.
    pub needed: u64,
    pub scratch: &'a mut Scratch,
    /// Whom messages name.
    pub node: &'a str,
    /// Rows of the batch that were refused, and why.
    pub refused: &'a mut BTreeMap<usize, Error>,
}

impl<'a> Frame<'a> {
    /// The cells of an input for the rows of the block; none if it is of another type.
    #[inline]
    pub(crate) fn input<T: Cell>(&self, index: usize) -> &'a [T] {
        let Some(id) = self.inputs.get(index).map(|id| *id as usize) else { return &[] };
        let Some(width) = self.values.get(id).map(|value| value.width) else { return &[] };
        let (column, from) = match self.batch.get(id).filter(|_| id < self.batch_inputs) {
            Some(tensor) => (&tensor.values, self.from * width),
            None => match self.computed.get(id) {
                Some(column) => (column, 0),
                None => return &[],
            },
        };
        T::cells(column).get(from..from + self.rows * width).unwrap_or(&[])
    }

    /// The type and width of an input.
    pub(crate) fn input_type(&self, index: usize) -> ValueType {
        let value = self.inputs.get(index).and_then(|id| self.values.get(*id as usize));
        value.copied().unwrap_or(ValueType { element: ElementType::Float32, width: 0 })
    }

    /// The cells of an output for the rows of the block; none if it is of another type.
    #[inline]
    pub(crate) fn output<T: Cell>(&mut self, index: usize) -> &mut [T] {
        let width = self.output_type(index).width;
        let cells = self.outputs.get_mut(index).map(T::cells_mut).unwrap_or(&mut []);
        let count = (self.rows * width).min(cells.len());
        &mut cells[..count]
    }

    /// The type and width of an output.
    #[inline]
    pub(crate) fn output_type(&self, index: usize) -> ValueType {
        let value = self.values.get(self.first_output + index);
        value.copied().unwrap_or(ValueType { element: ElementType::Float32, width: 0 })
    }

    /// A row of the block has no answer, for the first reason that is given. Later steps compute on with whatever stands there.
    #[cold]
    pub(crate) fn refuse(&mut self, row: usize, why: impl FnOnce() -> Error) {
        let node = self.node;
        self.refused.entry(self.from + row).or_insert_with(|| why().of_node(node));
    }

    /// Whether somebody needs an output.
    pub(crate) fn needs(&self, index: usize) -> bool {
        self.needed & (1 << index.min(63)) != 0
    }
}
