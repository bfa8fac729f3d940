//! Constants of a graph.

use e2i_core::{Column, ElementType};
use ndarray::ArrayD;

use super::axes::stretched;
use super::{Lowered, MAX_AXES};
use crate::graph::element_type;
use crate::proto::{TensorProto, data_type};

/// A tensor whose cells are known.
#[derive(Debug, Clone)]
pub(super) struct Constant {
    pub dims: Vec<usize>,
    pub cells: Column,
}

impl Constant {
    /// A tensor of one axis.
    pub(super) fn list(cells: Column) -> Self {
        Self { dims: vec![cells.len()], cells }
    }

    /// How many numbers a constant has, of which a text counts as one for every eight bytes, before it is read.
    pub(super) fn size_of(tensor: &TensorProto) -> usize {
        let numbers = [
            tensor.raw_data.len() / 4,
            tensor.float_data.len(),
            tensor.double_data.len(),
            tensor.int32_data.len(),
            tensor.int64_data.len(),
        ];
        let texts = tensor.string_data.iter().fold(0, |sum: usize, text| sum.saturating_add(1 + text.len() / 8));
        numbers.iter().fold(texts, |sum, count| sum.saturating_add(*count))
    }

    /// The same of one that was read.
    pub(super) fn size(&self) -> usize {
        match &self.cells {
            Column::Text(texts) => texts.iter().fold(0, |sum: usize, text| sum.saturating_add(1 + text.len() / 8)),
            cells => cells.len(),
        }
    }

    /// Reads an initializer. The count of its cells must be that of its axes.
    pub(super) fn read(tensor: &TensorProto) -> Lowered<Self> {
        if tensor.dims.len() > MAX_AXES {
            return Err(format!("constant {:?} has too many axes", tensor.name));
        }
        let dims: Option<Vec<usize>> = tensor.dims.iter().map(|dim| usize::try_from(*dim).ok()).collect();
        let dims = dims.ok_or("a constant has an axis of negative length")?;
        let name = || format!("constant {:?} is of {}", tensor.name, data_type::name(tensor.data_type));
        let raw = &tensor.raw_data;
        macro_rules! cells {
            ($type:ty, $list:ident) => {
                if raw.is_empty() {
                    tensor.$list.iter().map(|cell| *cell as $type).collect()
                } else {
                    let cells = raw.as_chunks::<{ size_of::<$type>() }>().0;
                    cells.iter().map(|cell| <$type>::from_le_bytes(*cell)).collect()
                }
            };
        }
        let cells = match element_type(tensor.data_type).ok_or_else(name)? {
            ElementType::Float32 => Column::Float32(cells!(f32, float_data)),
            ElementType::Float64 => Column::Float64(cells!(f64, double_data)),
            ElementType::Int32 => Column::Int32(cells!(i32, int32_data)),
            ElementType::Int64 => Column::Int64(cells!(i64, int64_data)),
            ElementType::Bool => {
                let bytes: Vec<u8> = cells!(u8, int32_data);
                Column::Bool(bytes.iter().map(|byte| *byte != 0).collect())
            }
            ElementType::Text => Column::Text(texts(&tensor.string_data)?),
        };
        let count = dims.iter().try_fold(1usize, |product, dim| product.checked_mul(*dim));
        if count == Some(cells.len()) {
            Ok(Self { dims, cells })
        } else {
            Err(format!("constant {:?} has {} cells, which are not its axes'", tensor.name, cells.len()))
        }
    }

    pub(super) fn element(&self) -> ElementType {
        self.cells.element()
    }

    /// The cells as float64, which holds float32 and float64 exactly.
    pub(super) fn floats(&self) -> Lowered<Vec<f64>> {
        match &self.cells {
            Column::Float32(cells) => Ok(cells.iter().map(|cell| f64::from(*cell)).collect()),
            Column::Float64(cells) => Ok(cells.clone()),
            _ => Err("a constant is not of floats".into()),
        }
    }

    /// The cells as integers.
    pub(super) fn integers(&self) -> Lowered<Vec<i64>> {
        match &self.cells {
            Column::Int64(cells) => Ok(cells.clone()),
            Column::Int32(cells) => Ok(cells.iter().map(|cell| i64::from(*cell)).collect()),
            _ => Err("a constant is not of integers".into()),
        }
    }

    /// The cells that are named by their numbers, under the axes of these.
    pub(super) fn picked(&self, places: &ArrayD<u32>) -> Self {
        fn pick<T: Clone>(cells: &[T], places: &ArrayD<u32>) -> Vec<T> {
            places.iter().filter_map(|place| cells.get(*place as usize).cloned()).collect()
        }
        let cells = match &self.cells {
            Column::Float32(cells) => Column::Float32(pick(cells, places)),
            Column::Float64(cells) => Column::Float64(pick(cells, places)),
            Column::Int32(cells) => Column::Int32(pick(cells, places)),
            Column::Int64(cells) => Column::Int64(pick(cells, places)),
            Column::Bool(cells) => Column::Bool(pick(cells, places)),
            Column::Text(cells) => Column::Text(pick(cells, places)),
        };
        Self { dims: places.shape().to_vec(), cells }
    }

    /// Appends the cells of another to those of a list.
    pub(super) fn append(&mut self, other: &Self) -> Lowered<()> {
        match (&mut self.cells, &other.cells) {
            (Column::Float32(cells), Column::Float32(more)) => cells.extend(more),
            (Column::Float64(cells), Column::Float64(more)) => cells.extend(more),
            (Column::Int32(cells), Column::Int32(more)) => cells.extend(more),
            (Column::Int64(cells), Column::Int64(more)) => cells.extend(more),
            (Column::Bool(cells), Column::Bool(more)) => cells.extend(more),
            (Column::Text(cells), Column::Text(more)) => cells.extend(more.iter().cloned()),
            _ => return Err("its inputs are of two types".into()),
        }
        self.dims = vec![self.cells.len()];
        Ok(())
    }

    /// The same cells stretched to other axes.
    pub(super) fn stretched(&self, dims: &[usize]) -> Lowered<Self> {
        Ok(self.picked(&stretched(&self.dims, dims)?))
    }
}

/// Texts of the schema.
pub(super) fn texts(bytes: &[bytes::Bytes]) -> Lowered<Vec<String>> {
    bytes
        .iter()
        .map(|text| String::from_utf8(text.to_vec()).map_err(|_| "a text of it is not UTF-8".to_owned()))
        .collect()
}
