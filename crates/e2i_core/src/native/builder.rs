//! Making a plan: values, steps and tables collected, then what can be one step fused and what nobody needs left out.

use super::fuse::Bias;
use super::image::{ImageWriter, Pod, Section};
use super::operators::Operator;
use super::plan::{Plan, Step};
use super::value::{ValueId, ValueType};
use crate::batch::Column;
use crate::error::Result;
use crate::interface::ElementType;

/// Collects the values, steps and tables of a plan.
#[derive(Debug, Default)]
pub struct PlanBuilder {
    plan: Plan,
    tables: ImageWriter,
    /// Constants that steps add, for fusion.
    biases: Bias,
}

impl PlanBuilder {
    /// Adds a tensor of the batch; all of them come before the first step.
    pub fn input(&mut self, value: ValueType) -> ValueId {
        self.plan.inputs += 1;
        self.add(value)
    }

    /// Adds a step that writes `outputs`, and says which value is the first of them.
    pub fn step(&mut self, node: &str, operator: Operator, inputs: &[ValueId], outputs: &[ValueType]) -> ValueId {
        let first_output = u32::try_from(self.plan.values.len()).unwrap_or(u32::MAX);
        outputs.iter().for_each(|value| {
            self.add(*value);
        });
        self.plan.steps.push(Step {
            node: node.to_owned(),
            operator,
            inputs: inputs.to_vec(),
            first_output,
            outputs: u32::try_from(outputs.len()).unwrap_or(u32::MAX),
        });
        first_output
    }

    /// Says which constants the last step adds, one for each cell, so that it can become part of a product before it.
    pub fn last_step_adds(&mut self, bias: Column) {
        if let Some(last) = self.plan.steps.len().checked_sub(1) {
            self.biases.insert(last, bias);
        }
    }

    /// Adds a table.
    pub fn table<T: Pod>(&mut self, table: &[T]) -> Section<T> {
        self.tables.push(table)
    }

    /// Where tables go, for operators that write several.
    pub fn tables(&mut self) -> &mut ImageWriter {
        &mut self.tables
    }

    /// What a value holds; nothing for one that is not there.
    #[must_use]
    pub fn value(&self, id: ValueId) -> ValueType {
        self.plan.values.get(id as usize).copied().unwrap_or(ValueType::new(ElementType::Float32, 0))
    }

    /// The image of the plan, without the steps that neither output needs.
    ///
    /// # Errors
    /// As [`ImageWriter::finish`].
    pub fn finish(mut self, label: Option<ValueId>, main: Option<ValueId>) -> Result<Vec<u8>> {
        self.plan.label = label;
        self.plan.main = main;
        self.plan.fuse(&self.biases, &mut self.tables);
        self.plan.drop_unused();
        self.tables.finish(&self.plan)
    }

    fn add(&mut self, value: ValueType) -> ValueId {
        self.plan.values.push(value);
        u32::try_from(self.plan.values.len() - 1).unwrap_or(u32::MAX)
    }
}
