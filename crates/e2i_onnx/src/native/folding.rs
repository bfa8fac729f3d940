//! What is computed from constants alone, and constants as values of a plan.

use e2i_core::native::operators::{Constants, Fill, Operator};
use e2i_core::native::{InstructionSet, NativeEngine, PlanBuilder, ValueType};
use e2i_core::{Batch, Column, Engine, OutputSet, Outputs};

use super::axes::product;
use super::constant::{Constant, texts};
use super::{Lowered, Lowering, Symbol};
use crate::graph::attribute;
use crate::proto::NodeProto;

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
    let mut engine = NativeEngine::open(&image, InstructionSet::PORTABLE).map_err(failed)?;
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
        self.step(fill, &[], constant.element(), vec![], constant.dims.clone())
    }
}
