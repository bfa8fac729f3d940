//! A matrix of constants that rows are multiplied with: a step of its own, or a layer of a network.
//!
//! Two orders of summation, chosen by the shape when the plan is made and never by the processor or the batch:
//!
//! * few outputs: lanes over inputs. Input `i` belongs to lane `i mod 16` (those of a last, incomplete chunk to the highest
//!   lanes); each lane adds its products in order, and the lanes are added in halves: `l` and `l + 8`, then `l + 4`, ….
//! * more outputs: lanes over outputs. Each output has four sums of a quarter of the inputs each; of up to three inputs that are
//!   left over, the first is added last to the first sum, and so on; then (0 + 1) + (2 + 3).
//!
//! In float32 a product is added with one rounding, in float64 with two. Then the factor, if any, and then the bias. In float32, products are computed by the kernels in [`super::products`], alone
//! or as layers of a [`super::Network`].

use serde::{Deserialize, Serialize};

use super::constants::Constants;
use super::lanes::LANES;
use super::products::Product;
use super::unary::UnaryFunction;
use crate::batch::Column;
use crate::error::Result;
use crate::interface::ElementType;
use crate::native::image::{Image, ImageWriter};
use crate::native::value::broken;

/// From how many outputs on lanes are outputs.
pub(super) const MANY_OUTPUTS: usize = 7;

/// `factor · x W + bias`, for each group of `inputs` cells.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Linear {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// Rows of padded lanes, in the order in which they are read.
    pub(super) weights: Constants,
    /// None, or a cell for each output; with lanes over outputs filled up to whole lanes.
    pub(super) bias: Constants,
    pub(super) factor: f64,
    /// What is made of each sum; in a layer of a network only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) after: Option<UnaryFunction>,
}

impl Linear {
    /// Whether it is one product of a row of so many cells.
    pub(crate) fn is_one_product(&self, width: usize) -> bool {
        self.inputs == width
    }

    /// Lays out a matrix. `weight(input, output)` gives its cells; `bias` is empty or has a cell for each output.
    /// Both must be of `element`, float32 or float64.
    pub fn new(
        element: ElementType,
        (inputs, outputs): (usize, usize),
        weight: impl Fn(usize, usize) -> f64,
        bias: &[f64],
        factor: f64,
        tables: &mut ImageWriter,
    ) -> Self {
        let mut cells = Vec::new();
        if outputs >= MANY_OUTPUTS {
            for block in 0..outputs.div_ceil(LANES) {
                for input in 0..inputs {
                    let places = block * LANES..(block + 1) * LANES;
                    cells.extend(places.map(|output| if output < outputs { weight(input, output) } else { 0.0 }));
                }
            }
        } else {
            for output in 0..outputs {
                let whole = inputs / LANES * LANES;
                cells.extend((0..whole).map(|input| weight(input, output)));
                let rest = inputs - whole;
                if rest > 0 {
                    cells.extend(std::iter::repeat_n(0.0, LANES - rest));
                    cells.extend((whole..inputs).map(|input| weight(input, output)));
                }
            }
        }
        let mut lay = |cells: Vec<f64>| {
            let column = match element {
                ElementType::Float64 => Column::Float64(cells),
                _ => Column::Float32(cells.into_iter().map(|cell| cell as f32).collect()),
            };
            Constants::write(&column, tables)
        };
        let mut bias = bias.to_vec();
        bias.resize(padded_bias(bias.len(), outputs), 0.0);
        Self { inputs, outputs, weights: lay(cells), bias: lay(bias), factor, after: None }
    }

    /// Whether it is of float32, which alone the kernels compute.
    pub(super) fn is_single(&self) -> bool {
        matches!(self.weights, Constants::Float32(_))
    }

    /// The same product with `bias` added, if nothing is added yet.
    pub(crate) fn with_bias(&self, bias: &Column, tables: &mut ImageWriter) -> Option<Self> {
        let fits = self.bias.len() == 0
            && self.after.is_none()
            && bias.len() == self.outputs
            && bias.element() == self.weights.element();
        fits.then(|| {
            let mut bias = bias.clone();
            bias.resize(padded_bias(bias.len(), self.outputs));
            Self { bias: Constants::write(&bias, tables), ..self.clone() }
        })
    }

    /// What the kernels are told.
    #[inline(always)]
    pub(super) fn product<'i>(&self, image: &'i Image) -> Product<'i> {
        Product {
            inputs: self.inputs,
            outputs: self.outputs,
            offsets: &[],
            scales: &[],
            weights: self.weights.numbers::<f32>(image).as_chunks().0,
            bias: self.bias.numbers::<f32>(image),
            factor: self.factor as f32,
            rectify: false,
        }
    }

    /// Whether its tables are there and as large as its shape says; of `element`.
    pub(super) fn check_tables(&self, image: &Image, element: ElementType) -> Result<()> {
        self.weights.check(image)?;
        self.bias.check(image)?;
        let lanes = if self.outputs >= MANY_OUTPUTS {
            self.outputs.div_ceil(LANES).checked_mul(self.inputs).and_then(|count| count.checked_mul(LANES))
        } else {
            self.inputs.checked_next_multiple_of(LANES).and_then(|padded| padded.checked_mul(self.outputs))
        };
        let fits = [self.weights.element(), self.bias.element()] == [element; 2]
            && self.inputs > 0
            && self.outputs > 0
            && lanes == Some(self.weights.len())
            && (self.bias.len() == 0 || self.bias.len() == padded_bias(self.outputs, self.outputs));
        if fits { Ok(()) } else { Err(broken("its matrix is not shaped for its values")) }
    }

    /// Shape, function and order of summation, for people.
    pub(super) fn described(&self) -> String {
        let after = self.after.map_or(String::new(), |function| format!(", {function:?}").to_lowercase());
        format!("linear {}x{}{after}", self.inputs, self.outputs)
    }

    pub(super) fn order(&self) -> &'static str {
        if self.outputs >= MANY_OUTPUTS { "lanes over outputs" } else { "lanes over inputs" }
    }
}

/// How many cells the bias of so many outputs has.
fn padded_bias(count: usize, outputs: usize) -> usize {
    if outputs >= MANY_OUTPUTS { count.saturating_add(LANES - 1) / LANES * LANES } else { count }
}
