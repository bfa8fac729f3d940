//! Steps that become one without changing a bit.
//!
//! A product takes into itself what is added to it; products become a network with the offsets and scales of the input,
//! with functions of their sums, with one another and with the complement of a probability. What nobody reads any more is
//! left out afterwards.

use super::image::ImageWriter;
use super::operators::{Binary, BinaryFunction, Constants, Network, Operator, Unary};
use super::plan::Plan;
use super::value::{ValueId, ValueType};
use crate::batch::Column;

/// Constants that steps were made with and that a fused step needs again.
pub(super) type Bias = std::collections::HashMap<usize, Column>;

/// A network of what a step computes, if it can be one.
fn network(operator: &Operator) -> Option<Network> {
    match operator {
        Operator::Network(network) => Some(network.clone()),
        Operator::Linear(linear) => Network::new(None, linear),
        _ => None,
    }
}

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
            let Some(before) = self.only_input(index).and_then(|input| producer[input as usize]) else { continue };
            if let (Operator::Linear(linear), Operator::Binary(Binary { function: BinaryFunction::Add, .. })) =
                (&self.steps[before].operator, &self.steps[index].operator)
                && let Some(linear) = biases.get(&index).and_then(|bias| linear.with_bias(bias, tables))
            {
                self.replace(index, before, linear.into());
            }
        }
        // What was added alone is read by nobody now, and must not count as a reader.
        let readers = self.readers();
        for index in 0..self.steps.len() {
            let Some(input) = self.only_input(index) else { continue };
            let Some(before) = producer[input as usize] else { continue };
            let alone = readers[input as usize] == 1;
            let fused = match (&self.steps[before].operator, &self.steps[index].operator) {
                (Operator::Scale(scale), Operator::Linear(linear)) => Network::new(Some(scale), linear),
                (before, Operator::Linear(linear)) if alone => network(before).and_then(|net| net.with_layer(linear)),
                (before, Operator::Unary(unary)) if alone => {
                    network(before).and_then(|network| network.with_function(unary.function))
                }
                _ => None,
            };
            if let Some(network) = fused {
                self.replace(index, before, network.into());
            }
        }
        self.fuse_complements(&producer, &readers, tables);
        self.fuse_functions(&producer);
    }

    /// The value that a step reads, if it is one.
    fn only_input(&self, index: usize) -> Option<ValueId> {
        match self.steps[index].inputs.as_slice() {
            &[input] if (input as usize) < self.values.len() => Some(input),
            _ => None,
        }
    }

    /// Makes a step compute what it and the one before computed.
    fn replace(&mut self, index: usize, before: usize, operator: Operator) {
        self.steps[index].inputs = self.steps[before].inputs.clone();
        self.steps[index].operator = operator;
    }

    /// How often each value is read by steps that are needed, or is an output.
    fn readers(&self) -> Vec<usize> {
        let outputs = self.label.into_iter().chain(self.main);
        let mut readers = vec![0; self.values.len()];
        let steps = self.steps.iter().zip(self.needed(outputs.clone())).filter(|(_, needed)| *needed != 0);
        for id in steps.flat_map(|(step, _)| step.inputs.iter().copied()).chain(outputs) {
            if let Some(count) = readers.get_mut(id as usize) {
                *count += 1;
            }
        }
        readers
    }

    /// `1 - p` and `p` side by side, read from nowhere else, become part of the network that computes `p`.
    fn fuse_complements(&mut self, producer: &[Option<usize>], readers: &[usize], tables: &ImageWriter) {
        for index in 0..self.steps.len() {
            let (Operator::Concat(_), &[rest, p]) = (&self.steps[index].operator, self.steps[index].inputs.as_slice())
            else {
                continue;
            };
            let of = |id: ValueId| producer.get(id as usize).copied().flatten();
            let (Some(subtract), Some(before)) = (of(rest), of(p)) else { continue };
            let is_complement = match &self.steps[subtract].operator {
                Operator::Binary(Binary {
                    function: BinaryFunction::Subtract,
                    left: Some(Constants::Float32(left)),
                    right: None,
                }) => tables.table(*left) == [1.0] && self.steps[subtract].inputs == [p],
                _ => false,
            };
            if is_complement
                && readers[rest as usize] == 1
                && readers[p as usize] == 2
                && let Some(network) = network(&self.steps[before].operator).and_then(Network::with_complement)
            {
                self.replace(index, before, network.into());
            }
        }
    }

    /// Where a product and a function of it are both read, they are two outputs of one step, which moves values: those of
    /// the plan are numbered anew.
    fn fuse_functions(&mut self, producer: &[Option<usize>]) {
        // For each step, the step that becomes part of it, and both as one.
        let mut part: Vec<Option<(usize, Network)>> = vec![None; self.steps.len()];
        for (index, step) in self.steps.iter().enumerate() {
            let (Operator::Unary(Unary { function }), &[input]) = (&step.operator, step.inputs.as_slice()) else {
                continue;
            };
            let Some(before) = producer.get(input as usize).copied().flatten() else { continue };
            if part[before].is_none()
                && let Some(both) = network(&self.steps[before].operator).and_then(|net| net.with_function(*function))
            {
                part[before] = Some((index, both));
            }
        }
        let mut taken = vec![false; self.steps.len()];
        part.iter().flatten().for_each(|(index, _)| taken[*index] = true);
        let mut new_ids: Vec<ValueId> = (0..self.values.len() as u32).collect();
        let mut values: Vec<ValueType> = self.values[..self.inputs].to_vec();
        let mut steps = Vec::with_capacity(self.steps.len());
        let old = std::mem::take(&mut self.steps);
        for (index, step) in old.iter().enumerate() {
            if taken[index] {
                continue;
            }
            let mut step = step.clone();
            let mut written: Vec<ValueId> = (step.first_output..step.first_output + step.outputs).collect();
            if let Some((function, both)) = part[index].take() {
                step.operator = both.into();
                written.insert(0, old[function].first_output);
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
