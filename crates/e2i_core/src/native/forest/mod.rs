//! Trees compiled into tables that lie in an image, and the kernels that score from them.
//!
//! [`Forest::compile`] brings an [`Ensemble`] to one form (`shape`) and makes tables of it in three layers: `codes` turn rows
//! or columns of numbers into what branches compare; `topology` has the trees, once for each kernel that can take them, and
//! finds leaves; `sinks` are what becomes of leaves: sums, their indexes, what each tree says. `read_back` makes an
//! ensemble of tables again, and `pruned` one with fewer branches for rows of which something is known. `registers` is what kernels do
//! with the instructions of a processor. Which kernel runs depends on the shape, the number of rows and the instructions; what
//! comes out does not: weights are added tree by tree in the order of the model, in the model's type.
//!
//! Tables may come from an image that somebody damaged. [`Forest::open`] looks at everything that the kernels rely on and
//! keeps what it found: nothing but opened tables can be scored from.
//!
//! What does not belong here: what a tree means (`native::ensemble`), and links and classes.

mod codes;
mod number;
mod pruned;
mod read_back;
mod registers;
mod shape;
mod sinks;
#[cfg(test)]
mod tests;
mod topology;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::codes::{CodeSections, RowMajor};
pub use self::codes::{Rows, Strided};
use self::pruned::Pruned;
use self::sinks::{EachTree, Indexes, LeafSections, Leaves, Sink, Sums};
use self::topology::{Double, KernelMemory, Narrow, Single, Topology, TopologySections, WalkNode, WalkNodes};
use super::ensemble::{Ensemble, Precision};
use super::image::{Image, ImageWriter};
use super::instruction_set::InstructionSet;
use crate::error::{Error, Kind, Result};
use crate::known::Numbers;

/// Where sums are written: for each row one number a target, in the type in which the ensemble adds.
#[derive(Debug)]
pub enum SumsMut<'a> {
    /// float32.
    Single(&'a mut [f32]),
    /// float64.
    Double(&'a mut [f64]),
}

impl SumsMut<'_> {
    /// How many numbers there are.
    pub(in crate::native) fn len(&self) -> usize {
        match self {
            Self::Single(values) => values.len(),
            Self::Double(values) => values.len(),
        }
    }
}

/// Memory that scoring needs, kept between calls.
#[derive(Debug, Default)]
pub struct Scratch {
    single: KernelMemory<f32>,
    double: KernelMemory<f64>,
    /// The sums of a block, by the type of the weights.
    single_sums: Vec<f32>,
    double_sums: Vec<f64>,
}

impl Scratch {
    /// Memory it holds, in bytes.
    pub(in crate::native) fn memory_bytes(&self) -> usize {
        self.single.memory_bytes()
            + self.double.memory_bytes()
            + self.single_sums.capacity() * size_of::<f32>()
            + self.double_sums.capacity() * size_of::<f64>()
    }
}

/// A compiled ensemble: where its tables lie and, once an image was opened, the tables.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Forest {
    sections: Sections,
    #[serde(skip)]
    tables: Option<Tables>,
    /// Bytes of the image that the tables lie in.
    #[serde(skip)]
    image_bytes: usize,
    /// What is left of it for rows that are like most.
    #[serde(skip)]
    pruned: Option<Arc<Pruned>>,
}

/// Where the tables lie in an image.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Sections {
    codes: CodeSections,
    topology: TopologySections,
    leaves: LeafSections,
    compared_in: Precision,
    added_in: Precision,
}

/// Tables that were found sound.
#[derive(Clone, Debug)]
struct Tables {
    trees: TreeTables,
    leaves: LeafTables,
}

/// Codes and trees, by the kind of the nodes.
#[derive(Clone, Debug)]
enum TreeTables {
    Narrow(Topology<Narrow>),
    Single(Topology<Single>),
    Double(Topology<Double>),
}

/// What leaves add, by the type of the weights.
#[derive(Clone, Debug)]
enum LeafTables {
    Single(Leaves<f32>),
    Double(Leaves<f64>),
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
        let (codes, places, of_sets) = if double {
            codes::compile::<f64>(ensemble.width, &shape, writer)?
        } else {
            codes::compile::<f32>(ensemble.width, &shape, writer)?
        };
        let topology = |weight: Option<&dyn Fn(usize, u32) -> f32>, writer: &mut ImageWriter| {
            topology::compile(&shape, &places, &of_sets, (codes.counts().0, double), weight, writer)
        };
        let (leaves, topology) = match ensemble.added_in {
            Precision::Double => {
                let (leaves, ..) = sinks::compile::<f64>(ensemble, &shape, writer)?;
                (leaves, topology(None, writer)?)
            }
            Precision::Single => {
                let (leaves, payloads, weights) = sinks::compile::<f32>(ensemble, &shape, writer)?;
                let weight = |tree: usize, leaf: u32| weights[(payloads[tree].weights + leaf) as usize];
                let topology = topology(leaves.one_each().then_some(&weight), writer)?;
                (leaves, topology)
            }
        };
        let (compared_in, added_in) = (ensemble.compared_in, ensemble.added_in);
        let sections = Sections { codes, topology, leaves, compared_in, added_in };
        Ok(Self { sections, tables: None, image_bytes: 0, pruned: None })
    }

    /// Finds the tables in an image and keeps them: nothing that scoring relies on is taken on trust.
    ///
    /// # Errors
    /// [`Kind::BadModel`] where they are not those of a forest.
    pub fn open(&mut self, image: &Image) -> Result<()> {
        let Sections { codes, topology, leaves, compared_in, added_in } = &self.sections;
        let leaves = match added_in {
            Precision::Single => LeafTables::Single(leaves.open(image)?),
            Precision::Double => LeafTables::Double(leaves.open(image)?),
        };
        let (payloads, adds_one) = match &leaves {
            LeafTables::Single(leaves) => (&leaves.payloads, leaves.one_each),
            LeafTables::Double(leaves) => (&leaves.payloads, false),
        };
        let trees = match (topology.nodes(), compared_in) {
            (WalkNodes::Narrow(_), Precision::Single) => {
                TreeTables::Narrow(topology.open(image, codes.open(image)?, payloads, adds_one)?)
            }
            (WalkNodes::Single(_), Precision::Single) => {
                TreeTables::Single(topology.open(image, codes.open(image)?, payloads, adds_one)?)
            }
            (WalkNodes::Double(_), Precision::Double) => {
                TreeTables::Double(topology.open(image, codes.open(image)?, payloads, adds_one)?)
            }
            _ => return Err(number::broken("the type")),
        };
        self.tables = Some(Tables { trees, leaves });
        self.image_bytes = image.memory_bytes();
        Ok(())
    }

    /// The same forest, faster for rows whose columns are as it is known; `None` if that decides few branches. The sums of all rows
    /// stay what they are, also of those that are otherwise: what is known is looked at in each. `known` are columns of the input
    /// and what they can be, each once.
    ///
    /// # Errors
    /// As [`Forest::ensemble`] and [`Forest::compile`].
    pub fn pruned(&self, known: &[(usize, Numbers)]) -> Result<Option<Self>> {
        let pruned = Pruned::of(self, known)?;
        Ok(pruned.map(|pruned| Self { pruned: Some(Arc::new(pruned)), ..self.clone() }))
    }

    /// Branches of all trees, and how many of them are left for rows that are as it is known.
    #[must_use]
    pub fn branches(&self) -> (usize, usize) {
        let branches = |forest: &Self| forest.sections.topology.branches();
        (branches(self), self.pruned.as_ref().map_or(branches(self), |pruned| branches(&pruned.forest)))
    }

    /// Bytes of tables that do not lie in the image.
    pub(in crate::native) fn beside_bytes(&self) -> usize {
        self.pruned.as_ref().map_or(0, |pruned| pruned.memory_bytes())
    }

    /// Branches on the longest ways of a row through all trees.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.sections.topology.steps()
    }

    /// Numbers a row of the input has.
    #[must_use]
    pub fn width(&self) -> usize {
        self.sections.codes.width()
    }

    /// Numbers a row of the output has.
    #[must_use]
    pub fn targets(&self) -> usize {
        self.sections.leaves.targets
    }

    /// How many trees there are.
    #[must_use]
    pub fn trees(&self) -> usize {
        self.sections.leaves.payloads.len()
    }

    /// In which type sums are added and written.
    #[must_use]
    pub fn added_in(&self) -> Precision {
        self.sections.added_in
    }

    /// In which type features are compared; rows of this type are read without conversion.
    #[must_use]
    pub fn compared_in(&self) -> Precision {
        self.sections.compared_in
    }

    /// The kernel that scores so many rows, or most of them.
    #[must_use]
    pub fn kernel(&self, set: InstructionSet, rows: usize) -> &'static str {
        if let Some(pruned) = &self.pruned {
            return pruned.forest.kernel(set, rows);
        }
        self.sections.topology.kernel(&self.sections.codes, self.trees(), set, rows)
    }

    /// How many of so many rows are best passed in blocks.
    fn blended(&self, set: InstructionSet, rows: usize) -> usize {
        self.sections.topology.blended(&self.sections.codes, self.trees(), set, rows)
    }

    /// The raw scores of rows: the bits of [`Ensemble::sums`], whatever the instructions and however many rows.
    ///
    /// `input` holds `rows` rows of [`Forest::width`] numbers; `out` takes [`Forest::targets`] for each, of the type that
    /// [`Forest::added_in`] says. Nothing is allocated when `scratch` has been used for as many rows before.
    ///
    /// # Errors
    /// [`Kind::Internal`] when lengths or types are others, or the forest was not opened.
    #[inline]
    pub fn sums(
        &self,
        set: InstructionSet,
        input: Rows<'_>,
        rows: usize,
        scratch: &mut Scratch,
        out: SumsMut<'_>,
    ) -> Result<()> {
        if let Some(pruned) = &self.pruned
            && input.are(rows, self.width())
            && pruned.fits(input, rows)
        {
            return pruned.forest.sums(set, input, rows, scratch, out);
        }
        self.sums_of(set, input, (rows, self.blended(set, rows)), scratch, out)
    }

    /// The same with so many of the rows in blocks, which only the time depends on.
    #[inline]
    fn sums_of(
        &self,
        set: InstructionSet,
        input: Rows<'_>,
        rows: (usize, usize),
        scratch: &mut Scratch,
        out: SumsMut<'_>,
    ) -> Result<()> {
        let tables = self.tables(input, rows.0, out.len(), self.targets())?;
        match (out, &tables.leaves) {
            (SumsMut::Single(out), LeafTables::Single(leaves)) => {
                let mut block = std::mem::take(&mut scratch.single_sums);
                self.pass(tables, set, input, rows, scratch, &mut Sums { leaves, out, block: &mut block });
                scratch.single_sums = block;
            }
            (SumsMut::Double(out), LeafTables::Double(leaves)) => {
                let mut block = std::mem::take(&mut scratch.double_sums);
                self.pass(tables, set, input, rows, scratch, &mut Sums { leaves, out, block: &mut block });
                scratch.double_sums = block;
            }
            _ => return Err(Error::new(Kind::Internal, "trees add in another type")),
        }
        Ok(())
    }

    /// Which leaf of each tree rows reach: for each row one index a tree, counted as in [`Paths`].
    ///
    /// # Errors
    /// As [`Forest::sums`].
    pub fn leaf_indexes(
        &self,
        set: InstructionSet,
        input: Rows<'_>,
        rows: usize,
        scratch: &mut Scratch,
        out: &mut [u32],
    ) -> Result<()> {
        self.leaf_indexes_of(set, input, (rows, self.blended(set, rows)), scratch, out)
    }

    fn leaf_indexes_of(
        &self,
        set: InstructionSet,
        input: Rows<'_>,
        rows: (usize, usize),
        scratch: &mut Scratch,
        out: &mut [u32],
    ) -> Result<()> {
        let tables = self.tables(input, rows.0, out.len(), self.trees())?;
        self.pass(tables, set, input, rows, scratch, &mut Indexes { trees: self.trees(), out });
        Ok(())
    }

    /// What each tree says alone: for each row and tree one number a target, 0 where it says nothing. No base is in it, and
    /// nothing is averaged.
    ///
    /// # Errors
    /// As [`Forest::sums`].
    pub fn each_tree(
        &self,
        set: InstructionSet,
        input: Rows<'_>,
        rows: usize,
        scratch: &mut Scratch,
        out: SumsMut<'_>,
    ) -> Result<()> {
        self.each_tree_of(set, input, (rows, self.blended(set, rows)), scratch, out)
    }

    fn each_tree_of(
        &self,
        set: InstructionSet,
        input: Rows<'_>,
        rows: (usize, usize),
        scratch: &mut Scratch,
        out: SumsMut<'_>,
    ) -> Result<()> {
        let tables = self.tables(input, rows.0, out.len(), self.trees().saturating_mul(self.targets()))?;
        match (out, &tables.leaves) {
            (SumsMut::Single(out), LeafTables::Single(leaves)) => {
                self.pass(tables, set, input, rows, scratch, &mut EachTree { leaves, out });
            }
            (SumsMut::Double(out), LeafTables::Double(leaves)) => {
                self.pass(tables, set, input, rows, scratch, &mut EachTree { leaves, out });
            }
            _ => return Err(Error::new(Kind::Internal, "trees add in another type")),
        }
        Ok(())
    }

    /// The tables, if what is given fits them and each row is given room for `width` numbers.
    #[inline]
    fn tables(&self, input: Rows<'_>, rows: usize, room: usize, width: usize) -> Result<&Tables> {
        if !input.are(rows, self.width()) || rows.checked_mul(width) != Some(room) {
            return Err(Error::new(Kind::Internal, "trees were given rows of another width"));
        }
        self.tables.as_ref().ok_or_else(|| Error::new(Kind::Internal, "the tables of trees were not opened"))
    }

    /// Passes rows through all trees.
    #[inline]
    fn pass(
        &self,
        tables: &Tables,
        set: InstructionSet,
        input: Rows<'_>,
        rows: (usize, usize),
        scratch: &mut Scratch,
        sink: &mut impl Sink,
    ) {
        let width = self.width();
        match &tables.trees {
            TreeTables::Narrow(trees) => pass(trees, set, (input, width), rows, &mut scratch.single, sink),
            TreeTables::Single(trees) => pass(trees, set, (input, width), rows, &mut scratch.single, sink),
            TreeTables::Double(trees) => pass(trees, set, (input, width), rows, &mut scratch.double, sink),
        }
    }
}

#[cfg(test)]
impl Forest {
    /// The kernels that it has, each alone, and whether they take blocks of rows.
    fn kernels(&self, set: InstructionSet) -> Vec<(&'static str, Self, bool)> {
        let only = |rowwise: bool, answered: bool, coded: bool| {
            let mut forest = self.clone();
            let topology = &mut forest.sections.topology;
            topology.rowwise = topology.rowwise.take().filter(|_| rowwise);
            topology.answered = topology.answered.take().filter(|_| answered);
            topology.coded = topology.coded.take().filter(|_| coded);
            match forest.tables.as_mut().map(|tables| &mut tables.trees) {
                Some(TreeTables::Narrow(trees)) => trees.keep(rowwise, answered, coded),
                Some(TreeTables::Single(trees)) => trees.keep(rowwise, answered, coded),
                Some(TreeTables::Double(trees)) => trees.keep(rowwise, answered, coded),
                None => {}
            }
            forest
        };
        let topology = &self.sections.topology;
        let mut kernels = vec![("walk", only(false, false, false), false)];
        if topology.coded.is_some() {
            kernels.push(("coded", only(false, false, true), false));
        }
        if topology.answered.is_some() {
            kernels.push(("all answers at once", only(false, true, false), false));
        }
        if topology.is_rowwise(set) {
            kernels.push(("a tree at once", only(true, false, false), false));
        }
        if topology.blend.is_some() {
            kernels.push(("blend", self.clone(), true));
        }
        kernels
    }
}

#[inline]
fn pass<S: WalkNode>(
    trees: &Topology<S>,
    set: InstructionSet,
    (input, width): (Rows<'_>, usize),
    rows: (usize, usize),
    memory: &mut KernelMemory<S::Number>,
    sink: &mut impl Sink,
) where
    f32: number::Given<S::Number>,
    f64: number::Given<S::Number>,
{
    match input {
        Rows::Single(cells) => trees.pass(set, RowMajor { cells, width }, rows, memory, sink),
        Rows::Double(cells) => trees.pass(set, RowMajor { cells, width }, rows, memory, sink),
        Rows::Columns(columns) => trees.pass(set, columns, rows, memory, sink),
    }
}
