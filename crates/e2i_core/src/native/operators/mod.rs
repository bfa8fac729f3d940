//! What a step can compute: one file for each family of operators.
//!
//! An operator is plain data (serialised in the head of the image) with three methods (and `open`, where tables are kept open):
//! `check` refuses what an untrusted image could get wrong, `run` computes a block of rows, `kernel` says how. After `check` has passed, `run` finds all cells
//! it expects; nothing in it indexes by what a caller or an image says without a bound.
//!
//! Sums have one fixed order each, whatever the number of rows or the instruction set, and a multiply-add is fused on every
//! processor or on none (only matrix products of float32 are): that is what makes a row's bits the same everywhere. Operators that IEEE 754 defines give ONNX Runtime's bits; matrix products and
//! elementary functions agree with it to a few units in the last place, where it does not agree with itself either.
//!
//! What does not belong here: names of any graph format, and rules of one exporter.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::forest::Forest;
use super::image::Image;
use super::instruction_set::InstructionSet;
use super::value::ValueType;
use crate::error::Result;

mod binarize;
mod binary;
mod cast;
mod category;
mod characters;
mod columns;
mod columnwise;
mod constants;
mod distances;
mod donors;
mod encode;
mod expression;
mod finite;
mod frame;
mod impute;
mod interpolate;
mod kernels;
mod lanes;
mod linear;
mod machines;
mod matrix;
mod monomials;
mod neighbours;
mod network;
mod normalize;
mod products;
mod reduce;
mod scale;
mod select;
mod softmax;
mod splines;
#[cfg(test)]
mod table_tests;
mod terms;
#[cfg(test)]
mod tests;
mod text;
mod trees;
mod unary;
mod whole_rows;

pub use binarize::Binarize;
pub use binary::{Binary, BinaryFunction};
pub use cast::Cast;
pub use category::{Lookup, OneHot, Pick, Unknown};
pub use characters::Ranges;
pub use columns::{Concat, Gather};
pub use columnwise::{ColumnFunction, Columnwise};
pub use constants::{Constants, Texts, Values};
pub use distances::{DistanceFunction, Distances};
pub use donors::{Donors, Outliers, WeightedMedian};
pub use encode::{Becomes, Encode, Encoding};
pub use expression::{Expression, MOST_STEPS, Step};
pub use finite::Finite;
pub(crate) use frame::{Cells, Frame, Scratch};
pub use impute::Impute;
pub use interpolate::{Beyond, Interpolate};
pub use kernels::{Kernel, Kernels, Pairing, Pairs};
pub use machines::Machines;
pub use matrix::Linear;
pub use monomials::Monomials;
pub use neighbours::{Metric, Neighbours};
pub use network::Network;
pub use normalize::{Norm, Normalize};
pub use reduce::{ArgExtreme, Reduce, Reduction};
pub use scale::Scale;
pub use select::{Fill, Select};
pub use softmax::Softmax;
pub use splines::{Continuation, Splines};
pub use terms::{Accents, Analyzer, LONGEST_TERM, Pattern, TermPlaces, TermWeights, Terms, listed_terms};
pub use text::{Case, Characters, Recase, Word, WordCounts};
pub use trees::{Trained, Trees};
pub use unary::{Clip, Unary, UnaryFunction};
pub use whole_rows::{Elementary, RowFunction, WholeRow};

/// What every operator can do.
pub(crate) trait Operation {
    /// Finds the tables that it keeps open. Called once, before `check`.
    fn open(&mut self, _image: &Image) -> Result<()> {
        Ok(())
    }

    /// Refuses what would make `run` panic or answer nonsense.
    fn check(&self, image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()>;

    /// Computes a block of rows.
    fn run(&self, frame: &mut Frame<'_>) -> Result<()>;

    /// Which code runs for blocks of `rows`, for people.
    fn kernel(&self, set: InstructionSet, rows: usize) -> Cow<'static, str>;
}

macro_rules! operators {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// What a step computes.
        #[derive(Debug, Clone, Serialize, Deserialize)]
        pub enum Operator {
            $($(#[$doc])* $name($name),)+
        }

        impl Operator {
            /// All there are.
            #[cfg(test)]
            const NAMES: &[&str] = &[$(stringify!($name)),+];

            #[cfg(test)]
            fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name),)+ }
            }

            pub(crate) fn open(&mut self, image: &Image) -> Result<()> {
                match self { $(Self::$name(operator) => operator.open(image),)+ }
            }

            pub(crate) fn check(&self, image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
                match self { $(Self::$name(operator) => operator.check(image, inputs, outputs),)+ }
            }

            #[inline]
            pub(crate) fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
                match self { $(Self::$name(operator) => operator.run(frame),)+ }
            }

            pub(crate) fn kernel(&self, set: InstructionSet, rows: usize) -> Cow<'static, str> {
                match self { $(Self::$name(operator) => operator.kernel(set, rows),)+ }
            }
        }

        $(impl From<$name> for Operator {
            fn from(operator: $name) -> Self {
                Self::$name(operator)
            }
        })+
    };
}

impl Operator {
    /// About how much there is to do for a row: a step for each branch of a tree that it passes and each cell that is read or written,
    /// a quarter for each product that is added.
    pub(crate) fn work(&self, inputs: &[ValueType], outputs: &[ValueType]) -> f64 {
        let cells: usize = inputs.iter().chain(outputs).map(|value| value.width).sum();
        let product = |linear: &Linear| linear.inputs * linear.outputs;
        let (steps, products) = match self {
            Self::Trees(trees) => (trees.forest.steps(), 0),
            Self::Trained(trees) => (trees.forest.steps(), 0),
            Self::Linear(linear) => (0, product(linear)),
            Self::Network(network) => (0, network.layers.iter().map(product).sum()),
            Self::Distances(distances) => (0, distances.cells.len()),
            Self::Kernels(kernels) => (0, kernels.vectors.len()),
            Self::Machines(machines) => (0, machines.coefficients.len()),
            Self::Neighbours(neighbours) => (0, neighbours.points.len()),
            Self::Donors(donors) => (0, donors.points.len()),
            Self::Outliers(outliers) => (0, outliers.points.len()),
            _ => (0, 0),
        };
        (cells + steps) as f64 + products as f64 / 4.0
    }

    /// Its trees, if it has any.
    pub(crate) fn forest(&self) -> Option<&Forest> {
        match self {
            Self::Trees(trees) => Some(&trees.forest),
            Self::Trained(trees) => Some(&trees.forest),
            _ => None,
        }
    }

    /// The same, to be replaced.
    pub(crate) fn forest_mut(&mut self) -> Option<&mut Forest> {
        match self {
            Self::Trees(trees) => Some(&mut trees.forest),
            Self::Trained(trees) => Some(&mut trees.forest),
            _ => None,
        }
    }

    /// The one cell of an input, by the input's number, on which a cell of the first output depends; nothing where it is not known to
    /// be one.
    pub(crate) fn made_of(
        &self,
        image: &Image,
        inputs: &[ValueType],
        output: ValueType,
        cell: usize,
    ) -> Option<(usize, usize)> {
        match self {
            Self::Gather(gather) => Some((0, *image.slice(gather.columns).get(cell)? as usize)),
            Self::Concat(_) => {
                let mut before = 0;
                inputs.iter().enumerate().find_map(|(input, of)| {
                    let place = cell.checked_sub(before).filter(|place| *place < of.width);
                    before += of.width;
                    Some((input, place?))
                })
            }
            Self::Encode(encode) => Some((0, encode.column_of(cell)?)),
            // As many cells in a row for each cell.
            Self::Binarize(_)
            | Self::Binary(_)
            | Self::Cast(_)
            | Self::Clip(_)
            | Self::Columnwise(_)
            | Self::Impute(_)
            | Self::Interpolate(_)
            | Self::Lookup(_)
            | Self::OneHot(_)
            | Self::Pick(_)
            | Self::Recase(_)
            | Self::Scale(_)
            | Self::Unary(_) => {
                let [input] = inputs else { return None };
                let each = output.width.checked_div(input.width).filter(|each| each * input.width == output.width)?;
                Some((0, cell.checked_div(each)?))
            }
            _ => None,
        }
    }

    /// Whether it can be given its first output alone where that alone is needed.
    pub(crate) fn writes_first_alone(&self) -> bool {
        matches!(self, Self::Network(_) | Self::Trained(_))
    }

    /// Whether its result depends on an order of additions or on how a function is approximated, so that another engine may
    /// round otherwise.
    pub(crate) fn rounds(&self) -> bool {
        matches!(
            self,
            Self::Columnwise(_)
                | Self::Distances(_)
                | Self::Donors(_)
                | Self::Kernels(_)
                | Self::Linear(_)
                | Self::Machines(_)
                | Self::Neighbours(_)
                | Self::Outliers(_)
                | Self::Pairs(_)
                | Self::Network(_)
                | Self::Normalize(_)
                | Self::Reduce(_)
                | Self::Softmax(_)
                | Self::Splines(_)
                | Self::TermWeights(_)
                | Self::Unary(_)
                | Self::WholeRow(_)
        )
    }
}

operators! {
    /// The index of the least or greatest cell of a group.
    ArgExtreme,
    /// Numbers cut in two.
    Binarize,
    /// Two cells into one.
    Binary,
    /// Another element type.
    Cast,
    /// Cut to a range.
    Clip,
    /// A function of its own for each column.
    Columnwise,
    /// Values side by side.
    Concat,
    /// Distances to points.
    Distances,
    /// Missing numbers replaced by those of the nearest rows.
    Donors,
    /// Categories that are numbers, column by column.
    Encode,
    /// The same cells in every row.
    Fill,
    /// Numbers that are refused.
    Finite,
    /// Chosen columns.
    Gather,
    /// Missing values replaced.
    Impute,
    /// Lines through points.
    Interpolate,
    /// A kernel with each of some vectors.
    Kernels,
    /// A product with a matrix.
    Linear,
    /// A category mapped to something else.
    Lookup,
    /// Support vector machines of pairs of classes.
    Machines,
    /// Products of columns.
    Monomials,
    /// What the nearest points say.
    Neighbours,
    /// Products one after the other, with functions between them.
    Network,
    /// A row divided by its norm.
    Normalize,
    /// A category as zeros and a one.
    OneHot,
    /// How much denser it is around the nearest points.
    Outliers,
    /// A number for each class from pairs of classes.
    Pairs,
    /// A cell of a table by its index.
    Pick,
    /// Texts in another case.
    Recase,
    /// Groups of cells into one each.
    Reduce,
    /// Offset and scale.
    Scale,
    /// One of two cells.
    Select,
    /// Probabilities from scores.
    Softmax,
    /// Splines of each column.
    Splines,
    /// Terms of a text counted.
    Terms,
    /// Counts of terms weighed.
    TermWeights,
    /// Trees as their training library scores them.
    Trained,
    /// Trees as a graph's operators score them.
    Trees,
    /// One cell into one.
    Unary,
    /// The number in the middle of the weight.
    WeightedMedian,
    /// A function of a whole row.
    WholeRow,
    /// Words of a text counted.
    WordCounts,
}
