//! Trees compiled into tables that lie in an image, and the kernels that score from them.
//!
//! [`Forest::compile`] brings an [`Ensemble`] to one form (`shape`), lays the ways of reading a row out in tables (`inputs`),
//! the sets that branches ask for (`classes`), what leaves add (`leaves`), and the trees once for each kernel that can take
//! them: `walk` takes all; `blend` takes trees of up to 256 leaves, for many rows; `coded` those of few columns, for one row;
//! `vbmi` takes trees of depth 6 without sets, for one row. Which kernel runs depends on the shape, the number of rows and the
//! instructions; what comes out does not: weights are added tree by tree in the order of the model, in the model's type.
//!
//! Tables may come from an image that somebody damaged. [`Forest::check`] looks at everything that the kernels rely on,
//! once an image; no table is used before.
//!
//! What does not belong here: what a tree means (`native::ensemble`), and links and classes.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod blend;
mod classes;
mod coded;
mod inputs;
mod leaves;
mod number;
mod ranks;
mod shape;
#[cfg(test)]
mod tests;
mod vbmi;
mod walk;

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use self::inputs::BLOCK;
use self::number::{Given, Number};
use self::walk::Step;
use super::ensemble::{Ensemble, Precision};
use super::image::{Image, ImageWriter, Section};
use super::instruction_set::{InstructionLevel, InstructionSet};
use crate::error::{Error, Kind, Result};

/// Rows of numbers, one after the other.
#[derive(Debug, Clone, Copy)]
pub enum Rows<'a> {
    /// float32.
    Single(&'a [f32]),
    /// float64.
    Double(&'a [f64]),
}

/// Where sums are written: for each row one number a target, in the type in which the ensemble adds.
#[derive(Debug)]
pub enum SumsMut<'a> {
    /// float32.
    Single(&'a mut [f32]),
    /// float64.
    Double(&'a mut [f64]),
}

/// Memory that scoring needs, kept between calls.
#[derive(Debug, Default)]
pub struct Scratch {
    single: Vec<f32>,
    double: Vec<f64>,
    single_bench: blend::Bench<f32>,
    double_bench: blend::Bench<f64>,
}

/// A compiled ensemble: where its tables lie.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Forest {
    inputs: inputs::Inputs,
    ranks: ranks::Ranks,
    classes: classes::Classes,
    leaves: leaves::Leaves,
    walk: walk::Walk,
    blend: Option<blend::Blend>,
    coded: Option<coded::Coded>,
    rowwise: Option<vbmi::Rowwise>,
    compared_in: Kept,
    added_in: Kept,
    /// Branches of all trees, and how many of them ask for sets.
    branches: usize,
    memberships: usize,
    #[serde(skip)]
    checked: Checked,
}

/// [`Precision`] as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kept {
    Single,
    Double,
}

impl From<Precision> for Kept {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::Single => Self::Single,
            Precision::Double => Self::Double,
        }
    }
}

/// The image whose tables were checked.
#[derive(Debug, Default)]
struct Checked(AtomicU64);

impl Clone for Checked {
    fn clone(&self) -> Self {
        Self(AtomicU64::new(self.0.load(Ordering::Relaxed)))
    }
}

fn broken(what: &str) -> Error {
    Error::new(Kind::BadModel, format!("the compiled form of the model is broken: {what} of its trees"))
}

impl Forest {
    /// Makes the tables.
    ///
    /// # Errors
    /// What [`Ensemble::check`] finds, [`Kind::Limit`] for what tables cannot hold.
    pub fn compile(ensemble: &Ensemble, writer: &mut ImageWriter) -> Result<Self> {
        ensemble.check()?;
        let shape = shape::shape(ensemble)?;
        let double = ensemble.compared_in == Precision::Double;
        let ((inputs, places), ranks, (classes, of_sets)) = if double {
            let push = |writer: &mut ImageWriter, table: &[f64]| (Section::default(), writer.push(table));
            let inputs = inputs::compile(ensemble.width, &shape, writer, push)?;
            (inputs, ranks::compile(&shape, writer, push)?, classes::compile(&shape, writer, push)?)
        } else {
            let push = |writer: &mut ImageWriter, table: &[f32]| (writer.push(table), Section::default());
            let inputs = inputs::compile(ensemble.width, &shape, writer, push)?;
            (inputs, ranks::compile(&shape, writer, push)?, classes::compile(&shape, writer, push)?)
        };
        let mut rowwise = None;
        let leaves = if ensemble.added_in == Precision::Double {
            let push = |writer: &mut ImageWriter, table: &[f64]| (Section::default(), writer.push(table));
            leaves::compile(ensemble, &shape, writer, push)?
        } else {
            let kept = std::cell::RefCell::new(vec![]);
            let push = |writer: &mut ImageWriter, table: &[f32]| {
                *kept.borrow_mut() = table.to_vec();
                (writer.push(table), Section::default())
            };
            let leaves = leaves::compile(ensemble, &shape, writer, push)?;
            if leaves.one_each && !double {
                let weights = kept.into_inner();
                let mut begins = vec![];
                shape.trees.iter().fold(0, |begin, tree| {
                    begins.push(begin);
                    begin + tree.leaves.len()
                });
                let weight = |tree: usize, leaf: u32| weights[begins[tree] + leaf as usize];
                rowwise = vbmi::compile(&shape, &places, inputs.codes.len(), weight, writer);
            }
            leaves
        };
        let asks = || shape.trees.iter().flat_map(|tree| &tree.asks);
        Ok(Self {
            walk: walk::compile(&shape, &places, &of_sets, double, writer)?,
            blend: blend::compile(&shape, &places, &of_sets, inputs.codes.len(), writer),
            coded: coded::compile(&shape, &places, &of_sets, inputs.codes.len(), writer),
            rowwise,
            ranks,
            classes,
            compared_in: ensemble.compared_in.into(),
            added_in: ensemble.added_in.into(),
            branches: asks().count(),
            memberships: asks().filter(|ask| matches!(ask.asked, shape::Asked::Outside(_))).count(),
            inputs,
            leaves,
            checked: Checked::default(),
        })
    }

    /// Whether the tables are those of a forest: nothing that scoring relies on is taken on trust.
    ///
    /// # Errors
    /// [`Kind::BadModel`] if not.
    pub fn check(&self, image: &Image) -> Result<()> {
        match self.compared_in {
            Kept::Single => {
                self.inputs.check(image, self.inputs.single)?;
                self.ranks.check(image, &self.inputs, self.ranks.single)?;
                self.classes.check(image, self.classes.single, self.inputs.width)?;
            }
            Kept::Double => {
                self.inputs.check(image, self.inputs.double)?;
                self.ranks.check(image, &self.inputs, self.ranks.double)?;
                self.classes.check(image, self.classes.double, self.inputs.width)?;
            }
        }
        match self.added_in {
            Kept::Single => self.leaves.check(image, self.leaves.single)?,
            Kept::Double => self.leaves.check(image, self.leaves.double)?,
        }
        let payloads = image.slice(self.leaves.payloads);
        let (columns, sets) = (self.inputs.numbers.len(), self.classes.sets(image));
        match self.compared_in {
            Kept::Double => self.walk.check(image, self.walk.double, columns, &sets, payloads)?,
            Kept::Single if !self.walk.narrow.is_empty() => {
                self.walk.check(image, self.walk.narrow, columns, &sets, payloads)?;
            }
            Kept::Single => self.walk.check(image, self.walk.single, columns, &sets, payloads)?,
        }
        if let Some(blend) = &self.blend {
            blend.check(image, self.inputs.codes.len(), &sets, payloads)?;
        }
        if let Some(coded) = &self.coded {
            coded.check(image, self.inputs.codes.len(), &sets, payloads)?;
        }
        if let Some(rowwise) = &self.rowwise {
            if !self.leaves.one_each || (self.compared_in, self.added_in) != (Kept::Single, Kept::Single) {
                return Err(broken("the type"));
            }
            rowwise.check(image, &self.inputs, payloads)?;
        }
        self.checked.0.store(image.id(), Ordering::Relaxed);
        Ok(())
    }

    /// Numbers a row of the input has.
    #[must_use]
    pub fn width(&self) -> usize {
        self.inputs.width
    }

    /// Numbers a row of the output has.
    #[must_use]
    pub fn targets(&self) -> usize {
        self.leaves.targets
    }

    /// In which type sums are added and written.
    #[must_use]
    pub fn added_in(&self) -> Precision {
        match self.added_in {
            Kept::Single => Precision::Single,
            Kept::Double => Precision::Double,
        }
    }

    /// In which type features are compared; rows of this type are read without conversion.
    #[must_use]
    pub fn compared_in(&self) -> Precision {
        match self.compared_in {
            Kept::Single => Precision::Single,
            Kept::Double => Precision::Double,
        }
    }

    /// The kernel that scores so many rows, or most of them.
    #[must_use]
    pub fn kernel(&self, set: InstructionSet, rows: usize) -> &'static str {
        match self.blended(set, rows) {
            0 if self.is_rowwise(set) => "tree at once (AVX-512 VBMI)",
            0 if self.coded.is_some() => "coded walk",
            0 => "interleaved walk",
            _ => match set.level() {
                InstructionLevel::Portable => "blend",
                InstructionLevel::Avx2 => "blend (AVX2)",
                InstructionLevel::Avx512 | InstructionLevel::Avx512Vbmi => "blend (AVX-512)",
            },
        }
    }

    fn is_rowwise(&self, set: InstructionSet) -> bool {
        self.rowwise.is_some() && set.level() == InstructionLevel::Avx512Vbmi
    }

    /// How many of `rows` rows are best scored in blocks; the others one by one.
    ///
    /// A block costs the same whatever number of rows are in it. The costs are those of a branch of a block and of a step
    /// of a row, in tenths of a nanosecond as measured on a Zen 4 (2 cores at 3.7 GHz); only their ratios matter.
    fn blended(&self, set: InstructionSet, rows: usize) -> usize {
        if self.blend.is_none() {
            return 0;
        }
        // Of a set beside, what its column costs.
        let (branch, membership) = match set.level() {
            InstructionLevel::Portable => (120, 1500),
            InstructionLevel::Avx2 => (30, 200),
            InstructionLevel::Avx512 => (15, 80),
            InstructionLevel::Avx512Vbmi => (15, 40),
        };
        let (half, trees) = (BLOCK / 2, self.leaves.payloads.len());
        let block = |rows: usize| {
            let halves = rows.div_ceil(half).min(2);
            let branches = self.branches * branch + self.memberships * membership;
            let columns = self.inputs.codes.len() + self.classes.features.len();
            halves * (branches / 2 + trees * 300) + columns * 1500
        };
        let step = if self.memberships > 0 { 15 } else { 10 };
        let one = if self.is_rowwise(set) { trees * 30 } else { self.walk.steps * step + trees * 10 };
        let read = self.inputs.numbers.len() * 10 + self.classes.features.len() * 200;
        let pays = |rows: usize| rows > 0 && block(rows) < rows * (one + read);
        let rest = rows % BLOCK;
        if pays(rest) && (rows < BLOCK || pays(BLOCK)) {
            rows
        } else if pays(BLOCK) {
            rows - rest
        } else {
            0
        }
    }

    /// The raw scores of rows: the bits of [`Ensemble::sums`], whatever the instructions and however many rows.
    ///
    /// `input` holds `rows` rows of [`Forest::width`] numbers; `out` takes [`Forest::targets`] for each, of the type that
    /// [`Forest::added_in`] says. Nothing is allocated when `scratch` has been used for as many rows before.
    ///
    /// # Errors
    /// [`Kind::Internal`] when lengths or types are others, [`Kind::BadModel`] when the tables do not pass
    /// [`Forest::check`] (which is called for an image that is met for the first time).
    pub fn sums(
        &self,
        image: &Image,
        set: InstructionSet,
        input: Rows<'_>,
        rows: usize,
        scratch: &mut Scratch,
        out: SumsMut<'_>,
    ) -> Result<()> {
        self.sums_of(image, set, input, rows, self.blended(set, rows), scratch, out)
    }

    /// The same with so many of the rows in blocks, which only the time depends on.
    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "a function of what is public and one number more")]
    fn sums_of(
        &self,
        image: &Image,
        set: InstructionSet,
        input: Rows<'_>,
        rows: usize,
        blended: usize,
        scratch: &mut Scratch,
        out: SumsMut<'_>,
    ) -> Result<()> {
        if self.checked.0.load(Ordering::Relaxed) != image.id() {
            self.check(image)?;
        }
        if rows.checked_mul(self.inputs.width) != Some(input.len())
            || rows.checked_mul(self.leaves.targets) != Some(out.len())
        {
            return Err(Error::new(Kind::Internal, "trees were given rows of another width"));
        }
        let task = Task { forest: self, image, set, input, blended, scratch };
        match (out, self.added_in) {
            (SumsMut::Single(out), Kept::Single) => task.compared::<f32>(self.leaves.single, out),
            (SumsMut::Double(out), Kept::Double) => task.compared::<f64>(self.leaves.double, out),
            _ => return Err(Error::new(Kind::Internal, "trees add in another type")),
        }
        Ok(())
    }
}

/// One call, on its way to the function for its types.
struct Task<'a, 's> {
    forest: &'a Forest,
    image: &'a Image,
    set: InstructionSet,
    input: Rows<'a>,
    /// Rows that are scored in blocks.
    blended: usize,
    scratch: &'s mut Scratch,
}

/// What is kept between calls, by type.
trait ScratchOf: Number {
    fn numbers(scratch: &mut Scratch) -> &mut Vec<Self>;
    fn bench(scratch: &mut Scratch) -> &mut blend::Bench<Self>;
}

impl ScratchOf for f32 {
    fn numbers(scratch: &mut Scratch) -> &mut Vec<Self> {
        &mut scratch.single
    }

    fn bench(scratch: &mut Scratch) -> &mut blend::Bench<Self> {
        &mut scratch.single_bench
    }
}

impl ScratchOf for f64 {
    fn numbers(scratch: &mut Scratch) -> &mut Vec<Self> {
        &mut scratch.double
    }

    fn bench(scratch: &mut Scratch) -> &mut blend::Bench<Self> {
        &mut scratch.double_bench
    }
}

impl Task<'_, '_> {
    fn compared<A: ScratchOf>(self, weights: Section<A>, out: &mut [A]) {
        let Forest { inputs, ranks, classes, walk, .. } = self.forest;
        let singles = [inputs.single, ranks.single, classes.single];
        match self.forest.compared_in {
            Kept::Double => self.given(weights, [inputs.double, ranks.double, classes.double], walk.double, out),
            Kept::Single if !walk.narrow.is_empty() => self.given(weights, singles, walk.narrow, out),
            Kept::Single => self.given(weights, singles, walk.single, out),
        }
    }

    fn given<S: Step, A: ScratchOf>(
        self,
        weights: Section<A>,
        thresholds: [Section<S::Number>; 3],
        nodes: Section<S>,
        out: &mut [A],
    ) where
        S::Number: ScratchOf,
        f32: Given<S::Number>,
        f64: Given<S::Number>,
    {
        match self.input {
            Rows::Single(input) => self.run(input, weights, thresholds, nodes, out),
            Rows::Double(input) => self.run(input, weights, thresholds, nodes, out),
        }
    }

    fn run<S: Step, A: ScratchOf, E: Given<S::Number> + Given<f32>>(
        self,
        input: &[E],
        weights: Section<A>,
        thresholds: [Section<S::Number>; 3],
        nodes: Section<S>,
        out: &mut [A],
    ) where
        S::Number: ScratchOf,
    {
        let forest = self.forest;
        let (width, targets) = (forest.inputs.width, forest.leaves.targets);
        let inputs = forest.inputs.open(self.image, thresholds[0]);
        let leaves = forest.leaves.open(self.image, weights);
        let blended = self.blended;
        let (blocks, out) = out.split_at_mut(blended * targets);
        if let Some(blend) = forest.blend.as_ref().filter(|_| blended > 0) {
            let classes = forest.classes.open(self.image, thresholds[2]);
            let tables = blend.open(self.image, inputs, classes, leaves);
            let bench = A::bench(self.scratch);
            run_blend(&tables, self.set, &input[..blended * width], bench, blocks);
        }
        if out.is_empty() {
            return;
        }
        let input = &input[blended * width..];
        #[cfg(target_arch = "x86_64")]
        if let Some(rowwise) = forest.rowwise.as_ref().filter(|_| forest.is_rowwise(self.set))
            && let Ok(out) = bytemuck::try_cast_slice_mut::<A, f32>(out)
        {
            let inputs = forest.inputs.open(self.image, forest.inputs.single);
            let leaves = forest.leaves.open(self.image, forest.leaves.single);
            let ranks = forest.ranks.open(self.image, forest.ranks.single, inputs);
            run_rowwise(&rowwise.open(self.image, ranks, leaves), input, out);
            return;
        }
        let classes = forest.classes.open(self.image, thresholds[2]);
        if let Some(coded) = &forest.coded {
            let ranks = forest.ranks.open(self.image, thresholds[1], inputs);
            run_coded(&coded.open(self.image, ranks, classes, leaves), self.set, input, out);
            return;
        }
        forest.walk.open(self.image, nodes, inputs, classes, leaves).sums(input, S::Number::numbers(self.scratch), out);
    }
}

#[allow(unsafe_code)]
fn run_blend<T: Number, A: Number, E: Given<T>>(
    tables: &blend::Opened<'_, T, A>,
    set: InstructionSet,
    input: &[E],
    bench: &mut blend::Bench<A>,
    out: &mut [A],
) {
    // SAFETY: only detection makes a set, and the tables passed `Forest::check` before the first use.
    unsafe {
        match set.level() {
            #[cfg(target_arch = "x86_64")]
            InstructionLevel::Avx512 => avx512::sums(tables, input, bench, out),
            #[cfg(target_arch = "x86_64")]
            InstructionLevel::Avx512Vbmi => avx512::sums_vbmi(tables, input, bench, out),
            #[cfg(target_arch = "x86_64")]
            InstructionLevel::Avx2 => avx2::sums(tables, input, bench, out),
            _ => tables.sums::<blend::Portable, E>(input, bench, out),
        }
    }
}

#[allow(unsafe_code)]
fn run_coded<T: Number, A: Number, E: Given<T>>(
    tables: &coded::Opened<'_, T, A>,
    set: InstructionSet,
    input: &[E],
    out: &mut [A],
) {
    // SAFETY: only detection makes a set, and the tables passed `Forest::check` before the first use.
    unsafe {
        match set.level() {
            #[cfg(target_arch = "x86_64")]
            InstructionLevel::Avx512 | InstructionLevel::Avx512Vbmi => avx512::coded(tables, input, out),
            #[cfg(target_arch = "x86_64")]
            InstructionLevel::Avx2 => avx2::coded(tables, input, out),
            _ => tables.sums::<ranks::Portable, E>(input, out),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
fn run_rowwise<E: Given<f32>>(tables: &vbmi::Opened<'_>, input: &[E], out: &mut [f32]) {
    // SAFETY: called only where the processor has VBMI; the tables passed `Forest::check` before the first use.
    unsafe { tables.sums(input, out) };
}
