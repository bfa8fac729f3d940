//! Steps that become one without changing a bit.
//!
//! A product takes into itself what is added to it, the offsets and scales of its input, and a function of its result that
//! keeps the product itself as a first output. What nobody reads any more is left out afterwards.

use super::image::ImageWriter;
use super::operators::{Binary, BinaryFunction, Operator, Unary};
use super::plan::{Plan, ValueId, ValueType};
use crate::batch::Column;

/// Constants that steps were made with and that a fused step needs again.
pub(super) type Bias = std::collections::HashMap<usize, Column>;

impl Plan {
    /// Fuses what can be. `biases` are the constants of the steps that add constants, by step.
    pub(super) fn fuse(&mut self, biases: &Bias, tables: &mut ImageWriter) {
        let mut producer: Vec<Option<usize>> = vec![None; self.values.len()];
        for (index, step) in self.steps.iter().enumerate() {
            if let Some(place) = producer.get_mut(step.first_output as usize) {
                *place = Some(index);
            }
        }
        for index in 0..self.steps.len() {
            let &[input] = self.steps[index].inputs.as_slice() else { continue };
            let Some(before) = producer.get(input as usize).copied().flatten() else { continue };
            let fused = match (&self.steps[before].operator, &self.steps[index].operator) {
                (Operator::Linear(linear), Operator::Binary(Binary { function: BinaryFunction::Add, .. })) => {
                    biases.get(&index).and_then(|bias| linear.with_bias(bias, tables))
                }
                (Operator::Scale(scale), Operator::Linear(linear)) => linear.with_scale(scale),
                _ => None,
            };
            if let Some(linear) = fused {
                let inputs = self.steps[before].inputs.clone();
                self.steps[index].operator = linear.into();
                self.steps[index].inputs = inputs;
            }
        }
        self.fuse_functions(&producer);
    }

    /// Makes functions of a product second outputs of its step, which moves values: those of the plan are numbered anew.
    fn fuse_functions(&mut self, producer: &[Option<usize>]) {
        // For each step, the step that becomes part of it.
        let mut part: Vec<Option<usize>> = vec![None; self.steps.len()];
        for (index, step) in self.steps.iter().enumerate() {
            let (Operator::Unary(Unary { function }), &[input]) = (&step.operator, step.inputs.as_slice()) else {
                continue;
            };
            let Some(before) = producer.get(input as usize).copied().flatten() else { continue };
            if let Operator::Linear(linear) = &self.steps[before].operator
                && part[before].is_none()
                && linear.with_function(*function).is_some()
            {
                part[before] = Some(index);
            }
        }
        let mut new_ids: Vec<ValueId> = (0..self.values.len() as u32).collect();
        let mut values: Vec<ValueType> = self.values[..self.inputs].to_vec();
        let mut steps = Vec::with_capacity(self.steps.len());
        let old = std::mem::take(&mut self.steps);
        for (index, step) in old.iter().enumerate() {
            if part.contains(&Some(index)) {
                continue;
            }
            let mut step = step.clone();
            let mut written: Vec<ValueId> = (step.first_output..step.first_output + step.outputs).collect();
            if let (Some(function), Operator::Linear(linear)) = (part[index].map(|part| &old[part]), &step.operator)
                && let Operator::Unary(unary) = &function.operator
                && let Some(linear) = linear.with_function(unary.function)
            {
                step.operator = linear.into();
                written.push(function.first_output);
            }
            step.inputs.iter_mut().for_each(|id| *id = new_ids[*id as usize]);
            step.first_output = values.len() as u32;
            step.outputs = written.len() as u32;
            for id in written {
                new_ids[id as usize] = values.len() as u32;
                values.push(self.values[id as usize]);
            }
            steps.push(step);
        }
        self.steps = steps;
        self.values = values;
        self.label = self.label.map(|id| new_ids[id as usize]);
        self.main = self.main.map(|id| new_ids[id as usize]);
    }
}
