//! [`Engine`] over a compiled plan.

use std::any::Any;
use std::collections::BTreeMap;

use serde::Serialize;

use super::forest::Forest;
use super::instruction_set::InstructionSet;
use super::operators::{Cells, Frame, Scratch};
use super::plan::{OpenPlan, Plan};
use super::pruned;
use super::value::ValueType;
use crate::batch::{Batch, Column, Tensor};
use crate::engine::{Engine, OutputSet, Outputs};
use crate::error::{Error, Kind, Result};
use crate::interface::ElementType;
use crate::known::Known;

/// Most rows that are computed at once.
const BLOCK_ROWS: usize = 1024;

/// Bytes that the values of a block should take at most, so that they stay in a processor's second-level cache.
const BLOCK_BYTES: usize = 512 << 10;

/// One step as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepDescription {
    /// The node of the graph.
    pub node: String,
    /// The operator and, where there are several ways to compute it, which one runs.
    pub kernel: String,
}

/// What runs for what a caller wants.
struct Schedule {
    steps: Vec<Scheduled>,
    /// Whether a step writes the label, or the numbers, where the caller reads them.
    label_in_place: bool,
    main_in_place: bool,
}

/// A step that runs.
struct Scheduled {
    step: usize,
    /// Which of its outputs are needed, a bit each.
    needed: u64,
    to: Destination,
}

/// Where the outputs of a step go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Destination {
    /// Where later steps find them.
    Columns,
    /// The first, which alone is needed and by nobody else, where the caller reads the label.
    Label,
    /// Likewise the numbers.
    Main,
}

impl Schedule {
    fn new(plan: &Plan, wanted: OutputSet) -> Self {
        let label = plan.label.filter(|_| wanted.label);
        let main = plan.main.filter(|_| wanted.main);
        let needed = plan.needed(label.into_iter().chain(main));
        let mut read = vec![false; plan.values.len()];
        let needing = plan.steps.iter().zip(&needed).filter(|(_, needed)| **needed != 0);
        for input in needing.flat_map(|(step, _)| &step.inputs) {
            if let Some(read) = read.get_mut(*input as usize) {
                *read = true;
            }
        }
        let read = |value: u32| read.get(value as usize).is_some_and(|read| *read);
        let scheduled = |(index, needed): (usize, &u64)| {
            let step = &plan.steps[index];
            let first = Some(step.first_output);
            let alone = *needed == 1 && (step.outputs == 1 || step.operator.writes_first_alone());
            let to = match alone && !read(step.first_output) && label != main {
                true if first == label => Destination::Label,
                true if first == main => Destination::Main,
                _ => Destination::Columns,
            };
            (*needed != 0).then_some(Scheduled { step: index, needed: *needed, to })
        };
        let steps: Vec<Scheduled> = needed.iter().enumerate().filter_map(scheduled).collect();
        let in_place = |to| steps.iter().any(|step| step.to == to);
        let (label_in_place, main_in_place) = (in_place(Destination::Label), in_place(Destination::Main));
        Self { steps, label_in_place, main_in_place }
    }
}

/// A model that is computed here.
pub struct NativeEngine {
    plan: OpenPlan,
    set: InstructionSet,
    /// What steps wrote, a column for each value; those of the batch stay empty.
    columns: Vec<Column>,
    /// Rows that the columns hold.
    rows: usize,
    block_rows: usize,
    /// The steps to run: for the label, for the numbers, for both.
    schedules: [Schedule; 3],
    scratch: Scratch,
    /// Rows of the batch that were refused so far.
    refused: BTreeMap<usize, Error>,
    /// Whether the caller wants to be interrupted; asked before each block.
    interrupted: fn() -> bool,
    /// Whether the image is that of another engine.
    is_lent: bool,
}

impl NativeEngine {
    /// Opens the image of a plan.
    ///
    /// # Errors
    /// [`Kind::BadModel`] for bytes that are no image of a plan.
    pub fn open(image: &[u8], set: InstructionSet) -> Result<Self> {
        Ok(Self::of(OpenPlan::open(image)?, set))
    }

    /// What it runs.
    pub(super) fn plan(&self) -> &OpenPlan {
        &self.plan
    }

    /// Which instructions it runs it on.
    pub(super) fn set(&self) -> InstructionSet {
        self.set
    }

    /// One that computes an open plan.
    pub(super) fn of(plan: OpenPlan, set: InstructionSet) -> Self {
        let schedules = [OutputSet::LABEL, OutputSet::MAIN, OutputSet::BOTH].map(|wanted| Schedule::new(&plan, wanted));
        let row_bytes: usize = plan.values.iter().skip(plan.inputs).map(bytes_a_row).sum();
        let block_rows = (BLOCK_BYTES / row_bytes.max(1)).clamp(1, BLOCK_ROWS);
        // Whole blocks of rows suit the kernels that take many rows at once.
        let block_rows = if block_rows > 128 { block_rows / 128 * 128 } else { block_rows };
        let columns = plan.values.iter().map(|value| Column::zeros(value.element, 0)).collect();
        let mut engine = Self {
            plan,
            set,
            columns,
            rows: 0,
            block_rows,
            schedules,
            scratch: Scratch::default(),
            refused: BTreeMap::new(),
            interrupted: || false,
            is_lent: false,
        };
        engine.hold(1);
        engine
    }

    /// Whether every engine that follows the model's definition gives the same bits.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        !self.plan.steps.iter().any(|step| step.operator.rounds())
    }

    /// About how much there is to do for a row, in steps of half a nanosecond.
    #[must_use]
    pub fn work(&self) -> f64 {
        self.plan.work()
    }

    /// Sets what is asked before each block of rows: whether to stop.
    pub fn set_probe(&mut self, interrupted: fn() -> bool) {
        self.interrupted = interrupted;
    }

    /// The steps, in order, and the kernel that runs each of them for batches of `rows`.
    #[must_use]
    pub fn describe(&self, rows: usize) -> Vec<StepDescription> {
        let rows = rows.min(self.block_rows);
        let steps = self.plan.steps.iter();
        steps
            .map(|step| StepDescription {
                node: step.node.clone(),
                kernel: step.operator.kernel(self.set, rows).into_owned(),
            })
            .collect()
    }

    /// The instructions in use.
    #[must_use]
    pub fn instruction_set(&self) -> InstructionSet {
        self.set
    }

    /// Makes room for blocks of `rows`.
    fn hold(&mut self, rows: usize) {
        for (column, value) in self.columns.iter_mut().zip(&self.plan.values).skip(self.plan.inputs) {
            column.resize(rows * value.width);
        }
        self.rows = rows;
    }

    /// Whether the batch is of the plan's tensors, so that every step finds as many cells as it expects.
    #[inline]
    fn check_batch(&self, batch: &Batch) -> Result<()> {
        let expected = &self.plan.values[..self.plan.inputs];
        let fits = |(tensor, value): (&Tensor, &ValueType)| {
            tensor.width == value.width
                && tensor.values.element() == value.element
                && batch.rows().checked_mul(tensor.width) == Some(tensor.values.len())
        };
        if batch.tensors().len() == expected.len() && batch.tensors().iter().zip(expected).all(fits) {
            Ok(())
        } else {
            Err(Error::new(Kind::Internal, "the batch is not shaped for the compiled model"))
        }
    }

    /// Runs the steps for a block of rows. `outputs`, if the block is the whole batch, are written in place where that can be.
    fn score_block(
        &mut self,
        batch: &Batch,
        from: usize,
        rows: usize,
        schedule: usize,
        mut outputs: Option<&mut Outputs>,
    ) -> Result<()> {
        let inputs = self.plan.inputs;
        for scheduled in &self.schedules[schedule].steps {
            let step = &self.plan.steps[scheduled.step];
            let (before, after) = self.columns.split_at_mut(step.first_output as usize);
            let outputs = match (&mut outputs, scheduled.to) {
                (Some(outputs), Destination::Main) => std::slice::from_mut(&mut outputs.main),
                (Some(outputs), Destination::Label) => std::slice::from_mut(&mut outputs.label),
                _ => &mut after[..step.outputs as usize],
            };
            let mut frame = Frame {
                image: self.plan.image(),
                set: self.set,
                rows,
                from,
                batch: batch.tensors(),
                batch_inputs: inputs,
                computed: before,
                values: &self.plan.values,
                inputs: &step.inputs,
                outputs,
                first_output: step.first_output as usize,
                needed: scheduled.needed,
                scratch: &mut self.scratch,
                node: &step.node,
                refused: &mut self.refused,
            };
            step.operator.run(&mut frame).map_err(|error| error.of_node(&step.node))?;
        }
        Ok(())
    }

    /// Writes what a block has in `value` to its place in an output.
    fn copy(&self, batch: &Batch, from: usize, rows: usize, value: u32, into: &mut Column) {
        let value = value as usize;
        let width = self.plan.values[value].width;
        let cells = match batch.tensors().get(value).filter(|_| value < self.plan.inputs) {
            Some(tensor) => Cells::of(&tensor.values, from * width, rows * width),
            None => Cells::of(&self.columns[value], 0, rows * width),
        };
        cells.write_to(into, from * width);
    }
}

fn bytes_a_row(value: &ValueType) -> usize {
    let cell = match value.element {
        ElementType::Float32 | ElementType::Int32 => 4,
        ElementType::Float64 | ElementType::Int64 => 8,
        ElementType::Bool => 1,
        ElementType::Text => size_of::<String>(),
    };
    value.width.saturating_mul(cell)
}

impl Engine for NativeEngine {
    fn name(&self) -> &'static str {
        "native"
    }

    fn memory_bytes(&self) -> usize {
        let cells: usize = self.plan.values.iter().skip(self.plan.inputs).map(bytes_a_row).sum();
        let steps = self.plan.steps.len() * size_of::<super::plan::Step>()
            + self.plan.values.len() * (size_of::<ValueType>() + size_of::<Column>())
            + self.schedules.iter().map(|schedule| schedule.steps.len() * size_of::<Scheduled>()).sum::<usize>();
        let forests = self.plan.steps.iter().filter_map(|step| step.operator.forest());
        size_of::<Self>()
            + if self.is_lent { 0 } else { self.plan.image().memory_bytes() }
            + forests.map(Forest::beside_bytes).sum::<usize>()
            + cells * self.rows
            + steps
            + self.scratch.memory_bytes()
    }

    fn kernel(&self, rows: usize) -> Option<String> {
        let most = self.plan.steps.iter().max_by(|a, b| self.plan.work_of(a).total_cmp(&self.plan.work_of(b)))?;
        Some(most.operator.kernel(self.set, rows.min(self.block_rows)).into_owned())
    }

    fn nodes(&self) -> Option<(usize, usize)> {
        let forests = self.plan.steps.iter().filter_map(|step| step.operator.forest());
        forests.map(Forest::branches).reduce(|all, of| (all.0 + of.0, all.1 + of.1))
    }

    fn pruning_pays_from(&self) -> f64 {
        // To make a branch takes some microseconds of a processor; of a row's time, steps of half a nanosecond, perhaps a quarter is saved.
        const NANOSECONDS_A_BRANCH: f64 = 2_000.0;
        // Nobody can interrupt it: a tenth of a second.
        const MOST_BRANCHES: usize = 50_000;
        match self.nodes() {
            Some((branches, _)) if branches <= MOST_BRANCHES => {
                branches as f64 * NANOSECONDS_A_BRANCH / (self.work() * 0.5 * 0.25).max(1.0)
            }
            _ => f64::INFINITY,
        }
    }

    fn pruned(&self, known: &Known) -> Result<Option<Box<dyn Engine>>> {
        let compute = |plan: OpenPlan, batch: &Batch| {
            let mut outputs = Outputs::default();
            Self::of(plan, self.set).score_rows(batch, OutputSet::MAIN, &mut outputs)?;
            Ok(outputs)
        };
        let Some(plan) = pruned::plan(&self.plan, known, &compute)? else { return Ok(None) };
        let mut engine = Self::of(plan, self.set);
        engine.interrupted = self.interrupted;
        engine.is_lent = true;
        Ok(Some(Box::new(engine)))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn score_rows(&mut self, batch: &Batch, wanted: OutputSet, outputs: &mut Outputs) -> Result<()> {
        outputs.refused.clear();
        self.refused.clear();
        self.check_batch(batch)?;
        let label = self.plan.label.filter(|_| wanted.label);
        let main = self.plan.main.filter(|_| wanted.main);
        outputs.width = main.map_or(0, |main| self.plan.values[main as usize].width);
        let schedule = match (wanted.label, wanted.main) {
            (true, true) => 2,
            (false, true) => 1,
            _ => 0,
        };
        let is_block = batch.rows() <= self.block_rows;
        let Schedule { label_in_place, main_in_place, .. } = self.schedules[schedule];
        let (label_in_place, main_in_place) = (label_in_place && is_block, main_in_place && is_block);
        prepare(&mut outputs.label, label.map(|id| self.plan.values[id as usize]), batch.rows(), label_in_place);
        prepare(&mut outputs.main, main.map(|id| self.plan.values[id as usize]), batch.rows(), main_in_place);
        let mut from = 0;
        while from < batch.rows() {
            if from > 0 && (self.interrupted)() {
                return Err(Error::new(Kind::Interrupted, "the run was interrupted"));
            }
            let rows = self.block_rows.min(batch.rows() - from);
            if rows > self.rows {
                self.hold(rows);
            }
            self.score_block(batch, from, rows, schedule, is_block.then_some(&mut *outputs))?;
            if let Some(label) = label.filter(|_| !label_in_place) {
                self.copy(batch, from, rows, label, &mut outputs.label);
            }
            if let Some(main) = main.filter(|_| !main_in_place) {
                self.copy(batch, from, rows, main, &mut outputs.main);
            }
            from += rows;
        }
        // Texts of a call before may be left over; numbers are cut already.
        if let (Column::Text(_), Some(label)) = (&outputs.label, label) {
            outputs.label.resize(batch.rows() * self.plan.values[label as usize].width);
        }
        std::mem::swap(&mut outputs.refused, &mut self.refused);
        Ok(())
    }
}

/// Gives an output the type that is written into it, and empties it, or gives it the length of `rows` for a step that writes
/// over what stands there. Texts stay, to be written over.
#[inline]
fn prepare(column: &mut Column, value: Option<ValueType>, rows: usize, in_place: bool) {
    if let Some(value) = value.filter(|value| column.element() != value.element) {
        *column = Column::zeros(value.element, 0);
    }
    let length = value.filter(|_| in_place).map_or(0, |value| rows * value.width);
    match column {
        // The commonest first; none of these gives memory back.
        Column::Float32(cells) if cells.len() == length => {}
        Column::Float32(cells) => cells.resize(length, 0.0),
        Column::Int64(cells) if cells.len() == length => {}
        Column::Int64(cells) => cells.resize(length, 0),
        Column::Text(_) if !in_place && value.is_some() => {}
        other => other.resize(length),
    }
}
