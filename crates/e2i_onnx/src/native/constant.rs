//! Constants of a graph, and what is computed from constants alone.

use e2i_core::native::operators::{Constants, Fill, Operator};
use e2i_core::native::{InstructionSet, NativeEngine, PlanBuilder, ValueType};
use e2i_core::{Batch, Column, ElementType, Engine, OutputSet, Outputs};

use super::symbol::{product, stretched};
use super::{Lowered, Lowering, MAX_AXES, Symbol};
use crate::graph::{attribute, element_type};
use crate::proto::{NodeProto, TensorProto, data_type};

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

    /// The cells in the places of another order.
    pub(super) fn picked(&self, places: &[u32]) -> Column {
        fn pick<T: Clone>(cells: &[T], places: &[u32]) -> Vec<T> {
            places.iter().filter_map(|place| cells.get(*place as usize).cloned()).collect()
        }
        match &self.cells {
            Column::Float32(cells) => Column::Float32(pick(cells, places)),
            Column::Float64(cells) => Column::Float64(pick(cells, places)),
            Column::Int32(cells) => Column::Int32(pick(cells, places)),
            Column::Int64(cells) => Column::Int64(pick(cells, places)),
            Column::Bool(cells) => Column::Bool(pick(cells, places)),
            Column::Text(cells) => Column::Text(pick(cells, places)),
        }
    }

    /// The same cells stretched to other axes.
    pub(super) fn stretched(&self, dims: &[usize]) -> Lowered<Self> {
        Ok(Self { dims: dims.to_vec(), cells: self.picked(&stretched(&self.dims, dims)?) })
    }
}

/// Texts of the schema.
pub(super) fn texts(bytes: &[bytes::Bytes]) -> Lowered<Vec<String>> {
    bytes
        .iter()
        .map(|text| String::from_utf8(text.to_vec()).map_err(|_| "a text of it is not UTF-8".to_owned()))
        .collect()
}

/// What an operator makes of constants: a plan of that one step, run once.
pub(super) fn fold(
    operator: impl FnOnce(&mut PlanBuilder) -> Operator,
    inputs: &[Column],
    output: ValueType,
) -> Lowered<Column> {
    let failed = |error: e2i_core::Error| error.message().to_owned();
    let mut plan = PlanBuilder::default();
    let mut ids = Vec::with_capacity(inputs.len());
    for cells in inputs {
        let value = ValueType::new(cells.element(), cells.len());
        let fill = Fill { cells: Constants::write(cells, plan.tables()) };
        ids.push(plan.step("constant", fill.into(), &[], &[value]));
    }
    let operator = operator(&mut plan);
    let id = plan.step("constant", operator, &ids, &[output]);
    let image = plan.finish(None, Some(id)).map_err(failed)?;
    let mut engine = NativeEngine::open(&image, InstructionSet::Portable).map_err(failed)?;
    let mut outputs = Outputs::default();
    engine.score(&Batch::new(&[], 1), OutputSet::MAIN, &mut outputs).map_err(failed)?;
    Ok(outputs.main)
}

impl Lowering<'_, '_> {
    /// Constant: one of several attributes.
    pub(super) fn constant(&self, node: &NodeProto) -> Lowered<Symbol> {
        if let Some(tensor) = attribute(node, "value").and_then(|value| value.tensor.as_ref()) {
            return Ok(Symbol::Constant(Constant::read(tensor)?));
        }
        let scalar = |cells| Constant { dims: vec![], cells };
        let [attribute] = node.attributes.as_slice() else { return Err("it has no value".into()) };
        Ok(Symbol::Constant(match attribute.name.as_str() {
            "value_float" => scalar(Column::Float32(vec![attribute.float])),
            "value_int" => scalar(Column::Int64(vec![attribute.int])),
            "value_floats" => Constant::list(Column::Float32(attribute.floats.clone())),
            "value_ints" => Constant::list(Column::Int64(attribute.ints.clone())),
            "value_strings" => Constant::list(Column::Text(texts(&attribute.strings)?)),
            other => return Err(format!("its attribute {other:?} is not known")),
        }))
    }

    /// A constant as a value of the plan, its axes those of a row.
    pub(super) fn filled(&mut self, constant: &Constant) -> Lowered<super::RowValue> {
        product(&constant.dims)?;
        let fill = Fill { cells: Constants::write(&constant.cells, self.plan.tables()) };
        self.step(fill, &[], constant.element(), 0, constant.dims.clone())
    }
}
