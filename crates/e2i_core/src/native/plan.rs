//! A compiled model: typed values of fixed width, and the steps that compute one from others.
//!
//! A value is a matrix: one row for each row of the batch, `width` cells of one type. The first values are the tensors of
//! the batch; every step reads values before its own outputs, so that running the steps in order is all there is to it. The
//! number of rows is free and no step looks at two rows at once: a row's result cannot depend on its neighbours.
//!
//! A plan is read back from bytes that are not trusted: opening it makes sure of everything that the operators rely
//! on.

use serde::{Deserialize, Serialize};

use super::forest::Forest;
use super::image::Image;
use super::operators::Operator;
use super::value::{ValueId, ValueType, broken};
use crate::error::Result;

/// Most cells that all values of one row may have together.
const MAX_CELLS: usize = 1 << 22;

/// One step: an operator, what it reads and where it writes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Step {
    /// Whom to name to people: the node of the graph that it was made from.
    pub node: String,
    /// What is computed.
    pub operator: Operator,
    /// The values that it reads.
    pub inputs: Vec<ValueId>,
    /// The first value that it writes; more follow one after the other.
    pub first_output: ValueId,
    /// How many values it writes.
    pub outputs: u32,
}

/// A compiled model.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Plan {
    /// How many values are tensors of the batch.
    pub inputs: usize,
    /// All values, those of the batch first.
    pub values: Vec<ValueType>,
    /// The steps, in the order in which they run.
    pub steps: Vec<Step>,
    /// The value that holds the label.
    pub label: Option<ValueId>,
    /// The value that holds the numbers.
    pub main: Option<ValueId>,
}

impl Plan {
    /// Makes sure that the plan can be run on any batch without a panic, and opens what its operators keep open.
    fn check(&mut self, image: &Image) -> Result<()> {
        let cells = self.values.iter().try_fold(0usize, |sum, value| sum.checked_add(value.width));
        if cells.is_none_or(|cells| cells > MAX_CELLS) {
            return Err(broken("its values are too wide"));
        }
        let mut written = self.inputs;
        for (number, step) in self.steps.iter_mut().enumerate() {
            let node = step.node.clone();
            let wrong = |why: String| broken(format!("step {number}, {node}: {why}"));
            if step.first_output as usize != written || step.outputs == 0 {
                return Err(wrong("it does not write the values that follow".into()));
            }
            written = written.saturating_add(step.outputs as usize);
            if written > self.values.len() || step.inputs.iter().any(|input| *input >= step.first_output) {
                return Err(wrong("it reads or writes values that are not there".into()));
            }
            let inputs: Vec<ValueType> = step.inputs.iter().map(|input| self.values[*input as usize]).collect();
            let outputs = &self.values[step.first_output as usize..written];
            let opened = step.operator.open(image);
            let checked = opened.and_then(|()| step.operator.check(image, &inputs, outputs));
            checked.map_err(|error| wrong(error.message().to_owned()))?;
        }
        if written != self.values.len() {
            return Err(broken("values are left over"));
        }
        for (output, what) in [(self.label, "label"), (self.main, "main")] {
            if output.is_some_and(|output| output as usize >= self.values.len()) {
                return Err(broken(format!("its {what} output is not there")));
            }
        }
        Ok(())
    }
}

/// A plan and the image that its tables lie in, found sound together: nothing else can be run.
pub(super) struct OpenPlan {
    plan: Plan,
    image: Image,
}

impl OpenPlan {
    /// Opens the image of a plan.
    pub(super) fn open(bytes: &[u8]) -> Result<Self> {
        let (image, mut plan) = Image::open::<Plan>(bytes)?;
        plan.check(&image)?;
        Ok(Self { plan, image })
    }

    pub(super) fn image(&self) -> &Image {
        &self.image
    }

    /// The same plan up to a value, which is its numbers.
    pub(super) fn up_to(&self, main: ValueId) -> Self {
        let plan = Plan { label: None, main: Some(main), ..self.plan.clone() };
        Self { plan, image: self.image.clone() }
    }

    /// The same up to a value, with another operator in one of the steps, which writes as many cells as it has then.
    pub(super) fn without_after(&self, main: ValueId, step: Option<(usize, Operator)>) -> Self {
        let mut made = self.up_to(main);
        if let Some((index, operator)) = step {
            if let (Operator::Network(network), Some(value)) = (&operator, made.plan.values.get_mut(main as usize)) {
                value.width = network.outputs();
            }
            made.plan.steps[index].operator = operator;
        }
        made
    }

    /// The same plan with other forests, in steps of these numbers, which are like those that were there.
    pub(super) fn with_forests(&self, forests: Vec<(usize, Forest)>) -> Self {
        let mut plan = self.plan.clone();
        for (step, forest) in forests {
            if let Some(place) = plan.steps.get_mut(step).and_then(|step| step.operator.forest_mut()) {
                *place = forest;
            }
        }
        Self { plan, image: self.image.clone() }
    }
}

impl std::ops::Deref for OpenPlan {
    type Target = Plan;

    fn deref(&self) -> &Plan {
        &self.plan
    }
}

impl Plan {
    /// About how much there is to do for a row, see [`Operator::work`].
    #[must_use]
    pub fn work(&self) -> f64 {
        self.steps.iter().map(|step| self.work_of(step)).sum()
    }

    /// The same for one of its steps.
    pub(super) fn work_of(&self, step: &Step) -> f64 {
        let written = step.first_output as usize..(step.first_output + step.outputs) as usize;
        step.operator.work(&self.inputs_of(step), &self.values[written])
    }

    /// What a step reads.
    pub(super) fn inputs_of(&self, step: &Step) -> Vec<ValueType> {
        step.inputs.iter().map(|input| self.values[*input as usize]).collect()
    }

    /// For each step, which of its outputs (a bit each, the lowest the first) `wanted` values need; 0 is none.
    #[must_use]
    pub fn needed(&self, wanted: impl IntoIterator<Item = ValueId>) -> Vec<u64> {
        let mut read = vec![false; self.values.len()];
        let mark = |read: &mut Vec<bool>, id: ValueId| {
            if let Some(read) = read.get_mut(id as usize) {
                *read = true;
            }
        };
        wanted.into_iter().for_each(|id| mark(&mut read, id));
        let mut needed = vec![0; self.steps.len()];
        for (step, needed) in self.steps.iter().zip(&mut needed).rev() {
            let outputs =
                step.first_output as usize..(step.first_output as usize).saturating_add(step.outputs as usize);
            let written = read.get(outputs).unwrap_or(&[]).iter().enumerate();
            *needed = written.fold(0, |bits, (bit, read)| if *read { bits | 1 << bit.min(63) } else { bits });
            if *needed != 0 {
                step.inputs.iter().for_each(|id| mark(&mut read, *id));
            }
        }
        needed
    }

    /// Leaves out the steps that neither output needs.
    pub(super) fn drop_unused(&mut self) {
        let needed = self.needed(self.label.into_iter().chain(self.main));
        let mut new_ids: Vec<ValueId> = (0..self.inputs as u32).collect();
        let mut values = self.values[..self.inputs].to_vec();
        let mut steps = Vec::new();
        for (mut step, needed) in std::mem::take(&mut self.steps).into_iter().zip(needed) {
            let outputs = step.first_output as usize..(step.first_output + step.outputs) as usize;
            let kept = needed != 0;
            new_ids.extend(outputs.clone().enumerate().map(|(i, _)| (values.len() + i) as u32));
            if kept {
                step.inputs.iter_mut().for_each(|id| *id = new_ids[*id as usize]);
                step.first_output = values.len() as u32;
                values.extend_from_slice(&self.values[outputs]);
                steps.push(step);
            }
        }
        self.label = self.label.map(|id| new_ids[id as usize]);
        self.main = self.main.map(|id| new_ids[id as usize]);
        self.values = values;
        self.steps = steps;
    }
}
